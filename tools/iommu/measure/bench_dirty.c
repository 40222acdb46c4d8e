// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty queries of a hardware IOMMU
 *
 * QEMU's edu writes to no, some and all of the pages, each of which has a leaf of
 * its own. The IOMMU must have dirty bits.
 */
#include <stdlib.h>
#include <string.h>
#include "bench_map.h"

#define REPEAT		3

/* IOVA of the memory: edu has 32-bit addresses, unless QEMU has others. */
#define DIRTY_IOVA	(1 * GIB)

/* Write to @percent of the pages: none, all, or the same selection in each run. */
static void dirty_some(const struct edu *edu, __u64 pages, unsigned int percent)
{
	__u64 i, at, seed = 1;

	for (i = 0; i < pages * percent / 100; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		at = percent == 100 ? i : (seed >> 33) % pages;
		edu_write(edu, DIRTY_IOVA + at * PAGE);
	}
}

static int measure_query(struct backend *b, const struct guest *g,
			 const struct edu *edu, const char *name, unsigned int percent)
{
	const struct range span = { .iova = DIRTY_IOVA, .size = g->size };
	__u64 *bitmap = calloc(g->words, sizeof(*bitmap));
	__u64 start, ns, best = ~0ULL, i, bits = 0;
	int rc = bitmap ? 0 : fail(EXIT_SETUP, "no memory for the bitmap");

	for (i = 0; i < REPEAT && !rc; i++) {
		dirty_some(edu, g->pages, percent);
		memset(bitmap, 0, g->words * sizeof(*bitmap));
		start = now_ns();
		rc = b->ops->tracker->query(b, g, &span, bitmap);
		ns = now_ns() - start;
		if (ns < best)
			best = ns;
	}
	for (i = 0; i < g->words && !rc; i++)
		bits += __builtin_popcountll(bitmap[i]);
	free(bitmap);
	if (!rc && (percent == 100 ? bits != g->pages : !bits != !percent))
		rc = fail(EXIT_WRONG, "%s: %llu pages dirty", name, bits);
	if (!rc)
		print_figure("query-edu", name, (double)best / g->pages);
	return rc;
}

/* Measure queries of @g's memory, in instructions a page. */
int measure_dirty(const struct vfio_device *device, const struct guest *g)
{
	const struct range slot = { .iova = DIRTY_IOVA, .size = g->size };
	struct backend b;
	struct edu edu = { 0 };
	int rc;

	rc = backend_open(&b, find_backend("iommufd"), device) ?:
	     edu_enable(&edu, b.device) ?:
	     b.ops->map(&b, &slot, g->source) ?:
	     b.ops->tracker->start(&b, g) ?:
	     measure_query(&b, g, &edu, "clean", 0) ?:
	     measure_query(&b, g, &edu, "1pc", 1) ?:
	     measure_query(&b, g, &edu, "all", 100);
	edu_disable(&edu);
	backend_close(&b);
	return rc;
}
