// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty queries of a hardware IOMMU
 *
 * QEMU's edu writes to no, some and all of the pages, each of which has a leaf of
 * its own. The IOMMU must have dirty bits.
 */
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bench_map.h"

#define REPEAT		3

/* Registers of edu, and its buffer in their address space */
#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_BUFFER	0x40000
#define EDU_RUN		1
#define EDU_TO_MEMORY	2

/* IOVA of the memory: edu has 32-bit addresses, unless QEMU has others. */
#define DIRTY_IOVA	(1 * GIB)

static int region_offset(int device, __u32 index, __u64 *offset)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	int rc = ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info);

	*offset = info.offset;
	return rc ? fail(EXIT_SETUP, "region %u of edu: %m", index) : 0;
}

static int edu_set(int device, __u64 at, __u32 value)
{
	if (pwrite(device, &value, sizeof(value), at) == sizeof(value))
		return 0;
	return fail(EXIT_SETUP, "a register of edu: %m");
}

/* Enable memory space and bus mastering, and make edu write eight bytes. */
static int edu_enable(int device, __u64 *bar)
{
	const __u16 command = 6;
	__u64 config;
	int rc;

	rc = region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX, &config) ?:
	     region_offset(device, VFIO_PCI_BAR0_REGION_INDEX, bar);
	if (rc)
		return rc;
	if (pwrite(device, &command, sizeof(command), config + 4) != sizeof(command))
		return fail(EXIT_SETUP, "the command register of edu: %m");
	return edu_set(device, *bar + EDU_SRC, EDU_BUFFER) ?:
	       edu_set(device, *bar + EDU_COUNT, 8);
}

/* The DMA ends before the call does: -device edu,x-sync=on. */
static int edu_write(int device, __u64 bar, __u64 iova)
{
	return edu_set(device, bar + EDU_DST, iova) ?:
	       edu_set(device, bar + EDU_COMMAND, EDU_RUN | EDU_TO_MEMORY);
}

/* Write to @percent of the pages: none, all, or the same selection in each run. */
static int dirty_some(int device, __u64 bar, __u64 pages, unsigned int percent)
{
	__u64 i, at, seed = 1;
	int rc = 0;

	for (i = 0; i < pages * percent / 100 && !rc; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		at = percent == 100 ? i : (seed >> 33) % pages;
		rc = edu_write(device, bar, DIRTY_IOVA + at * PAGE);
	}
	return rc;
}

static int measure_query(struct backend *b, const struct guest *g, __u64 bar,
			 const char *name, unsigned int percent)
{
	const struct range span = { .iova = DIRTY_IOVA, .size = g->size };
	__u64 *bitmap = calloc(g->words, sizeof(*bitmap));
	__u64 start, ns, best = ~0ULL, i, bits = 0;
	int rc = bitmap ? 0 : fail(EXIT_SETUP, "no memory for the bitmap");

	for (i = 0; i < REPEAT && !rc; i++) {
		rc = dirty_some(b->device, bar, g->pages, percent);
		if (rc)
			break;
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
int measure_dirty(const struct vfio_device *edu, const struct guest *g)
{
	const struct range slot = { .iova = DIRTY_IOVA, .size = g->size };
	struct backend b;
	__u64 bar;
	int rc;

	rc = backend_open(&b, find_backend("iommufd"), edu) ?:
	     edu_enable(b.device, &bar) ?:
	     b.ops->map(&b, &slot, g->source) ?:
	     b.ops->tracker->start(&b, g) ?:
	     measure_query(&b, g, bar, "clean", 0) ?:
	     measure_query(&b, g, bar, "1pc", 1) ?:
	     measure_query(&b, g, bar, "all", 100);
	backend_close(&b);
	return rc;
}
