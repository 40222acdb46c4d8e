// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: pinned and locked pages
 *
 * The kernel has two counters that only grow: pins acquired and pins released.
 * The difference is the number of current pins. The counters are per CPU and
 * are summed up periodically, or on a write to stat_refresh.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "counts.h"
#include "sysfs.h"

#define STAT_REFRESH	"/proc/sys/vm/stat_refresh"

/**
 * struct numbers - a file that has a number in each line
 * @path: path of the file
 * @fd: the open file; stays open, as a test may drop the privilege to open it
 * @text: contents of the file
 */
struct numbers {
	const char *path;
	int fd;
	char text[16 * 1024];
};

static struct numbers machine = { .path = "/proc/vmstat", .fd = -1 };
static struct numbers process = { .path = "/proc/self/status", .fd = -1 };

static void numbers_read(struct __test_metadata *_metadata,
			 struct numbers *numbers)
{
	ssize_t got;

	if (numbers->fd < 0)
		numbers->fd = open(numbers->path, O_RDONLY | O_CLOEXEC);
	got = pread(numbers->fd, numbers->text, sizeof(numbers->text) - 1, 0);
	CHECK(got > 0, "cannot read %s", numbers->path);
	numbers->text[got] = '\0';
}

/* Return the number in the line that begins with @name. */
static long number_of(struct __test_metadata *_metadata,
		      const struct numbers *numbers, const char *name)
{
	const char *at = strstr(numbers->text, name);
	long number;

	CHECK(at && sscanf(at + strlen(name), "%ld", &number) == 1,
	      "no %s in %s", name, numbers->path);
	return number;
}

void counts_now(struct __test_metadata *_metadata, struct counts *counts)
{
	bool known = !sysfs_write(STAT_REFRESH, "1");
	long made, undone;

	numbers_read(_metadata, &machine);
	numbers_read(_metadata, &process);
	made = number_of(_metadata, &machine, "nr_foll_pin_acquired ");
	undone = number_of(_metadata, &machine, "nr_foll_pin_released ");
	counts->pins = known ? made - undone : COUNTS_UNKNOWN;
	counts->vm_pin = number_of(_metadata, &process, "VmPin:") / 4;
	counts->vm_lck = number_of(_metadata, &process, "VmLck:") / 4;
}

/* Check that the counts have grown by exactly this many pages since @before. */
void counts_check(struct __test_metadata *_metadata,
		  const struct counts *before, long pins, long vm_pin,
		  long vm_lck)
{
	struct counts now;

	counts_now(_metadata, &now);
	if (now.pins == COUNTS_UNKNOWN || before->pins == COUNTS_UNKNOWN)
		now.pins = pins;
	else
		now.pins -= before->pins;
	now.vm_pin -= before->vm_pin;
	now.vm_lck -= before->vm_lck;
	CHECK(now.pins == pins && now.vm_pin == vm_pin && now.vm_lck == vm_lck,
	      "%ld pins, %ld pinned, %ld locked more; not %ld, %ld, %ld",
	      now.pins, now.vm_pin, now.vm_lck, pins, vm_pin, vm_lck);
}

/* Return the pages locked by the calling process, which may be a child. */
long counts_locked(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmLck: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib < 0 ? kib : kib / 4;
}
