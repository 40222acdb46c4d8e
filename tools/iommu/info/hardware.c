// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the IOMMU of a device in sysfs
 *
 * A device behind an IOMMU has a link "iommu" to the folder of the IOMMU in
 * /sys/class/iommu, whose name begins with the name of the driver. The drivers of
 * Intel and AMD have files there for the registers that report dirty bits; the bits
 * below are the ones that these drivers test.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "info.h"

#define BIT_ULL(nr)	(1ULL << (nr))

/* Intel's registers, as in drivers/iommu/intel/iommu.h. */
#define ECAP_SMTS	BIT_ULL(43)
#define ECAP_SLADS	BIT_ULL(45)
#define ECAP_SMPWC	BIT_ULL(48)
#define CAP_SLLPS_2M	BIT_ULL(34)
#define CAP_SLLPS_1G	BIT_ULL(35)

/* AMD's extended feature register, as in drivers/iommu/amd/amd_iommu_types.h. */
#define FEATURE_HASUP	BIT_ULL(49)
#define FEATURE_HDSUP	BIT_ULL(52)

[[gnu::format(printf, 3, 4)]]
static void set_reason(struct info *info, enum verdict dirty_bits,
		       const char *format, ...)
{
	va_list args;

	info->dirty_bits = dirty_bits;
	va_start(args, format);
	vsnprintf(info->reason, sizeof(info->reason), format, args);
	va_end(args);
}

/* Only iommufd reports dirty bits: @cause is why it reports none. */
static void set_unknown(struct info *info, const char *cause)
{
	set_reason(info, UNKNOWN,
		   "sysfs has no register for it, only iommufd reports it");
	info->cause = cause;
}

/* Store the last part of the target of a link. */
static bool read_link(const char *folder, const char *name, char *last,
		      size_t size)
{
	char path[512], target[512];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	base = strrchr(target, '/');
	return snprintf(last, size, "%s", base ? base + 1 : target) < (int)size;
}

static bool read_register(const struct info *info, const char *name,
			  __u64 *value)
{
	char path[512], text[64];
	char *end;

	snprintf(path, sizeof(path), "%s/iommu/%s", info->folder, name);
	if (!read_line(path, text, sizeof(text)))
		return false;
	*value = strtoull(text, &end, 16);
	return end > text;
}

/* The last sm_on or sm_off of all intel_iommu= on the command line wins. */
static const char *scalable_mode_option(const char *root)
{
	static char line[4096];
	const char *found = NULL;
	char path[512];
	char *word, *part, *rest, *parts;

	snprintf(path, sizeof(path), "%s/proc/cmdline", root);
	if (!read_line(path, line, sizeof(line)))
		return NULL;
	for (word = strtok_r(line, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest)) {
		if (strncmp(word, "intel_iommu=", 12))
			continue;
		for (part = strtok_r(word + 12, ",", &parts); part;
		     part = strtok_r(NULL, ",", &parts)) {
			if (!strncmp(part, "sm_on", 5))
				found = "sm_on";
			else if (!strncmp(part, "sm_off", 6))
				found = "sm_off";
		}
	}
	return found;
}

static void read_intel(struct info *info, const char *root)
{
	static const struct {
		__u64 bit;
		const char *name;
	} needed[] = {
		{ ECAP_SMTS, "scalable mode: SMTS is 0" },
		{ ECAP_SLADS, "dirty bits: SLADS is 0" },
		{ ECAP_SMPWC, "coherent page walks: SMPWC is 0" },
	};
	const char *option = scalable_mode_option(root);
	__u64 cap, ecap;
	unsigned int i;

	if (read_register(info, "intel-iommu/cap", &cap)) {
		info->page_sizes = 4096;
		if (cap & CAP_SLLPS_2M)
			info->page_sizes |= HUGE;
		if (cap & CAP_SLLPS_1G)
			info->page_sizes |= 1024 * MIB;
	}
	if (!read_register(info, "intel-iommu/ecap", &ecap)) {
		set_unknown(info, "VT-d without dirty bits, or scalable mode is off");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (ecap & needed[i].bit)
			continue;
		set_reason(info, NO, "VT-d without %s in ECAP %#llx",
			   needed[i].name, ecap);
		return;
	}
	if (option && !strcmp(option, "sm_off"))
		set_reason(info, NO, "scalable mode is off, by intel_iommu=sm_off");
	else if (option)
		set_reason(info, YES, "%s", "");
	else
		set_reason(info, UNKNOWN,
			   "scalable mode may be off: boot with intel_iommu=on,sm_on");
	info->cause = "scalable mode is off: boot with intel_iommu=on,sm_on";
}

static void read_amd(struct info *info, const char *root)
{
	__u64 features;

	(void)root;
	if (!read_register(info, "amd-iommu/features", &features))
		set_unknown(info, "AMD-Vi without dirty bits");
	else if (!(features & FEATURE_HDSUP))
		set_reason(info, NO, "AMD-Vi without dirty bits: HDSup is 0, HASup %d in %#llx",
			   !!(features & FEATURE_HASUP), features);
	else
		set_reason(info, YES, "%s", "");
}

static void read_smmu3(struct info *info, const char *root)
{
	(void)root;
	set_unknown(info,
		    "SMMUv3 without coherent page walks, or HTTU has no dirty state");
}

static void read_mock(struct info *info, const char *root)
{
	(void)root;
	set_unknown(info, "this model of the mock IOMMU has no dirty bits");
}

static const struct {
	const char *prefix, *driver;
	void (*read)(struct info *info, const char *root);
} drivers[] = {
	{ "dmar", "Intel VT-d", read_intel },
	{ "ivhd", "AMD-Vi", read_amd },
	{ "smmu3.", "Arm SMMUv3", read_smmu3 },
	{ "iommu-mock", "mock IOMMU", read_mock },
};

static void read_iommu(struct info *info, const char *root)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (strncmp(info->iommu, drivers[i].prefix,
			    strlen(drivers[i].prefix)))
			continue;
		info->iommu_driver = drivers[i].driver;
		drivers[i].read(info, root);
		return;
	}
	info->iommu_driver = "other";
	set_unknown(info,
		    "of the IOMMU drivers those of VT-d, AMD-Vi and SMMUv3 have dirty tracking");
}

/* VFIO makes groups for emulated devices and in no-IOMMU mode; these differ here. */
static bool is_noiommu(const struct info *info, const char *root)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/sys/class/vfio/noiommu-%d", root,
		 info->device.group);
	return info->device.emulated && !access(path, F_OK);
}

bool is_bound_to_vfio(const struct info *info)
{
	return info->device.cdev[0];
}

/* @root is the folder in which the host's /proc and /sys are found. */
void read_hardware(struct info *info, const char *root)
{
	if (!read_link(info->folder, "driver", info->driver,
		       sizeof(info->driver)))
		info->driver[0] = 0;
	info->iommu_driver = "none";
	if (is_noiommu(info, root)) {
		info->device.group = -1;
		info->device.emulated = false;
		set_reason(info, NO, "VFIO has the device in no-IOMMU mode");
	} else if (info->device.emulated) {
		set_reason(info, NO,
			   "an emulated device has no IOMMU: its driver writes memory");
	} else if (info->device.group < 0 ||
		   !read_link(info->folder, "iommu", info->iommu,
			      sizeof(info->iommu))) {
		set_reason(info, NO,
			   "no IOMMU, or it is disabled in firmware or by a kernel parameter");
	} else {
		read_iommu(info, root);
	}
}
