// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: output of dirtyinfo
 *
 * A paragraph for each device, or JSON with one member a line.
 */
#include "info.h"

static const char *const way_names[] = {
	[WAY_IOMMUFD] = "iommufd",
	[WAY_TYPE1] = "type1",
	[WAY_COMPAT] = "compat",
	[WAY_DEVICE] = "device log",
};

static const char *const json_names[] = {
	[WAY_IOMMUFD] = "iommufd",
	[WAY_TYPE1] = "type1",
	[WAY_COMPAT] = "compat",
	[WAY_DEVICE] = "device_log",
};

static const char *const verdicts[] = {
	[UNKNOWN] = "unknown", [NO] = "no", [YES] = "yes"
};

static void print_size(unsigned int bit)
{
	printf("%u%.1s", 1U << bit % 10, &" KMGTPE"[bit / 10]);
}

/* "4K 2M 1G"; three powers of two in a row or more as "4K to 1G". */
static void print_page_sizes(__u64 sizes)
{
	unsigned int bit, last;

	for (bit = 0; bit < 64; bit++) {
		if (!(sizes >> bit & 1))
			continue;
		for (last = bit; last < 63 && sizes >> (last + 1) & 1; last++)
			;
		printf(" ");
		print_size(bit);
		if (last > bit + 1) {
			printf(" to ");
			print_size(last);
			bit = last;
		}
	}
}

static void print_iommu(const struct info *info)
{
	printf("  %-12s", "IOMMU");
	if (!info->iommu[0]) {
		printf("none\n");
		return;
	}
	printf("%s (%s), page sizes", info->iommu, info->iommu_driver);
	if (info->page_sizes)
		print_page_sizes(info->page_sizes);
	else
		printf(" unknown");
	printf("\n");
}

static void print_verdict(const char *name, const char *verdict,
			  const char *reason)
{
	printf("  %-12s%s%s%s\n", name, verdict, reason[0] ? ": " : "", reason);
}

void print_text(const struct info *info)
{
	int i;

	printf("%s: driver %s, ", info->device.name,
	       info->driver[0] ? info->driver : "none");
	if (info->device.group >= 0)
		printf("IOMMU group %d\n", info->device.group);
	else
		printf("no IOMMU group\n");
	print_iommu(info);
	print_verdict("dirty bits", verdicts[info->dirty_bits], info->reason);
	for (i = 0; i < WAYS; i++)
		print_verdict(way_names[i],
			      info->ways[i].tracks ? "yes" : "no",
			      info->ways[i].reason);
}

static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* An empty string is null. */
static void json_member(const char *name, const char *text)
{
	printf("      \"%s\": ", name);
	if (text[0])
		json_string(text);
	else
		printf("null");
	printf(",\n");
}

static void json_page_sizes(__u64 sizes)
{
	const char *separator = "";
	unsigned int bit;

	printf("      \"page_sizes\": [");
	for (bit = 0; bit < 64; bit++)
		if (sizes >> bit & 1) {
			printf("%s%llu", separator, 1ULL << bit);
			separator = ", ";
		}
	printf("],\n");
}

static void json_device(const struct info *info)
{
	static const char *const values[] = {
		[UNKNOWN] = "null", [NO] = "false", [YES] = "true"
	};
	int i;

	json_member("device", info->device.name);
	json_member("driver", info->driver);
	if (info->device.group >= 0)
		printf("      \"group\": %d,\n", info->device.group);
	else
		printf("      \"group\": null,\n");
	json_member("iommu", info->iommu);
	json_member("iommu_driver", info->iommu[0] ? info->iommu_driver : "");
	json_page_sizes(info->page_sizes);
	printf("      \"dirty_bits\": %s,\n", values[info->dirty_bits]);
	json_member("dirty_bits_reason", info->reason);
	for (i = 0; i < WAYS; i++) {
		printf("      \"%s\": %s,\n", json_names[i],
		       info->ways[i].tracks ? "true" : "false");
		printf("      \"%s_reason\": ", json_names[i]);
		if (info->ways[i].reason[0])
			json_string(info->ways[i].reason);
		else
			printf("null");
		printf(",\n");
	}
	printf("      \"can_track\": %s\n", can_track(info) ? "true" : "false");
}

void print_json(const struct info *infos, unsigned int count)
{
	unsigned int i;
	bool all = count;

	printf("{\n  \"devices\": [");
	for (i = 0; i < count; i++) {
		all = all && can_track(&infos[i]);
		printf("%s\n    {\n", i ? "," : "");
		json_device(&infos[i]);
		printf("    }");
	}
	printf("%s],\n  \"all_can_track\": %s\n}\n", count ? "\n  " : "",
	       all ? "true" : "false");
}
