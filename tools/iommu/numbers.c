// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: values of options
 *
 * Numbers, sizes, and names of a list, as precopy and vmm-migrate take them. Each
 * parser fails with one line that begins with the option.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "precopy.h"

const char *const backing_names[] = { "anon", "thp", "hugetlb", "memfd" };
const char *const tracker_names[] = { "auto", "iommu", "device" };

const char *backing_name(enum backing backing)
{
	return backing_names[backing];
}

int one_of(const char *option, const char *text, const char *const *names,
	   int n, int *value)
{
	for (*value = 0; *value < n; ++*value)
		if (!strcmp(text, names[*value]))
			return 0;
	return fail(EXIT_SETUP, "--%s: there is no '%s', see --help", option,
		    text);
}

/* Format a size as --memory takes it; valid until the call after next. */
const char *short_size(__u64 value)
{
	static char texts[2][24];
	static unsigned int turn;
	char *text = texts[turn++ % 2];
	unsigned int unit = 0;

	for (; value && value % 1024 == 0 && unit < 4; unit++)
		value /= 1024;
	snprintf(text, sizeof(texts[0]), "%llu%.1s", value, &" KMGT"[unit]);
	if (!unit)
		text[strlen(text) - 1] = 0;
	return text;
}

int parse_number(const char *option, const char *text, bool suffix,
		 __u64 least, __u64 most, __u64 *value)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || end == text || text[0] < '0' || text[0] > '9')
		goto bad;
	if (suffix && *end) {
		unit = strchr(units, *end);
		if (!unit || end[1] ||
		    *value > ~0ULL >> (10 * (unit - units + 1)))
			goto bad;
		*value <<= 10 * (unit - units + 1);
	} else if (*end) {
		goto bad;
	}
	if (*value >= least && *value <= most)
		return 0;
bad:
	if (suffix)
		return fail(EXIT_SETUP, "--%s: '%s' is no size from %s to %s",
			    option, text, short_size(least), short_size(most));
	return fail(EXIT_SETUP, "--%s: '%s' is no number from %llu to %llu",
		    option, text, least, most);
}

int power_of_two(const char *option, const char *text, __u64 least,
		 __u64 most, __u64 *value)
{
	int rc = parse_number(option, text, true, least, most, value);

	if (!rc && *value & (*value - 1))
		rc = fail(EXIT_SETUP, "--%s: %s is no power of two", option,
			  text);
	return rc;
}
