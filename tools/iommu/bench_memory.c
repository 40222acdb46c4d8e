// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory that a mapping costs
 *
 * All that the kernel takes from its page allocator while something is mapped:
 * page tables, slabs, whatever. Free pages are counted where they are, in the
 * zones and in the CPUs' lists of pages, so that what is kept for reuse there
 * does not look as if it was in use. The page tables are also told alone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench_map.h"

#define REPEAT		5

struct usage {
	long long free, tables;		/* pages */
};

/* Not on the stack, nor in pages that are only there once they are used. */
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

/* The numbers behind every @name. */
static long long sum_of(const char *name)
{
	long long sum = 0;
	const char *p;

	for (p = text; (p = strstr(p, name)); p += strlen(name))
		sum += strtoll(p + strlen(name), NULL, 10);
	return sum;
}

static int read_usage(struct usage *u)
{
	int rc;

	/* Have the CPUs add up what they counted. */
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

/* Page tables stay while there is a domain, so each look gets a new one. */
static int measure_once(const struct mock *edu, void *memory, __u64 size,
			__u64 span, struct usage *held)
{
	struct usage after;
	struct backend b;
	int rc;

	rc = backend_open(&b, find_backend("iommufd"), edu) ?:
	     read_usage(held) ?:
	     map_all(&b, memory, size, span) ?:
	     read_usage(&after);
	backend_close(&b);
	held->free -= after.free;
	held->tables = after.tables - held->tables;
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct usage *x = a, *y = b;

	return (x->free > y->free) - (x->free < y->free);
}

/*
 * Map the same @size of @memory over and over until @span of IOVA is full. What
 * the kernel does meanwhile for other reasons may add to the pages or take from
 * them: the median has neither. In bytes for each @unit of IOVA.
 */
int measure_memory(const struct mock *edu, const char *kind, void *memory,
		   __u64 size, __u64 span, __u64 unit)
{
	struct usage held[REPEAT];
	int i, rc;

	for (i = 0; i < REPEAT; i++) {
		rc = measure_once(edu, memory, size, span, &held[i]);
		if (rc)
			return rc;
	}
	qsort(held, REPEAT, sizeof(held[0]), compare);
	i = REPEAT / 2;
	print_figure("memory", kind, (double)held[i].free * PAGE * unit / span);
	print_figure("tables", kind,
		     (double)held[i].tables * PAGE * unit / span);
	return 0;
}
