// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory that a mapping costs
 *
 * Everything that the kernel takes from its page allocator for a mapping: page
 * tables, slabs and all else. The number of free pages is the sum of those in the
 * zones and those in the per-CPU lists, so that pages which are cached there for
 * reuse do not pass for used ones. Page tables are also reported by themselves.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench_map.h"

#define REPEAT		5

void print_figure(const char *name, const char *kind, double value)
{
	printf("bench: %s-%s %.2f\n", name, kind, value);
	fflush(stdout);
}

/* In .data: the first access must not allocate a page while memory is measured. */
static char text[65536] = { 1 };

static int read_text(const char *path)
{
	ssize_t n, size = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(EXIT_SETUP, "%s: %m", path);
	do {
		n = read(fd, text + size, sizeof(text) - 1 - size);
		size += n;
	} while (n > 0);
	close(fd);
	if (n < 0)
		return fail(EXIT_SETUP, "%s: %m", path);
	text[size] = 0;
	return 0;
}

/* Add up the numbers that follow @name. */
static long long sum_of(const char *name)
{
	long long sum = 0;
	const char *p;

	for (p = text; (p = strstr(p, name)); p += strlen(name))
		sum += strtoll(p + strlen(name), NULL, 10);
	return sum;
}

int read_usage(struct usage *u)
{
	int rc;

	/* Fold the per-CPU counters into the global ones. */
	rc = read_text("/proc/sys/vm/stat_refresh") ?: read_text("/proc/zoneinfo");
	if (rc)
		return rc;
	u->free = sum_of("nr_free_pages") + sum_of("count:");
	rc = read_text("/proc/vmstat");
	u->tables = sum_of("nr_sec_page_table_pages");
	return rc;
}

static int map_all(struct backend *b, void *memory, __u64 size, __u64 span)
{
	struct range slot = { .iova = BENCH_IOVA, .size = size };
	int rc = 0;

	for (; slot.iova < BENCH_IOVA + span && !rc; slot.iova += size)
		rc = b->ops->map(b, &slot, memory);
	return rc;
}

/* A domain keeps its page tables, so each measurement opens a new one. */
static int measure_once(const struct vfio_device *edu, void *memory, __u64 size,
			__u64 span, struct usage *used)
{
	struct usage after;
	struct backend b;
	int rc;

	rc = backend_open(&b, find_backend("iommufd"), edu) ?:
	     read_usage(used) ?:
	     map_all(&b, memory, size, span) ?:
	     read_usage(&after);
	backend_close(&b);
	used->free -= after.free;
	used->tables = after.tables - used->tables;
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct usage *x = a, *y = b;

	return (x->free > y->free) - (x->free < y->free);
}

/*
 * Map the same @size bytes of @memory again and again until @span bytes of IOVA
 * are full, and print the bytes of kernel memory for each @unit of IOVA. Unrelated
 * allocations of the kernel disturb single measurements: print the median.
 */
int measure_memory(const struct vfio_device *edu, const char *kind, void *memory,
		   __u64 size, __u64 span, __u64 unit)
{
	struct usage used[REPEAT];
	int i, rc;

	for (i = 0; i < REPEAT; i++) {
		rc = measure_once(edu, memory, size, span, &used[i]);
		if (rc)
			return rc;
	}
	qsort(used, REPEAT, sizeof(used[0]), compare);
	i = REPEAT / 2;
	print_figure("memory", kind, (double)used[i].free * PAGE * unit / span);
	print_figure("tables", kind,
		     (double)used[i].tables * PAGE * unit / span);
	return 0;
}
