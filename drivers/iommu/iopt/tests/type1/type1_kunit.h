/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the type1 ABI share: see type1_kunit.c.
 */
#ifndef __TYPE1_KUNIT_H
#define __TYPE1_KUNIT_H

#include <linux/sizes.h>
#include <uapi/linux/vfio.h>

#include "iopt.h"
#include "tests/iopt_kunit.h"
#include "type1/type1.h"

#define BASE		((unsigned long)SZ_1G)
#define PAGES(n)	((n) * PAGE_SIZE)
#define RW		(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* Pages of memory, and how many of them are mapped at BASE to begin with. */
#define T1_MEMORY	16UL
#define T1_PAGES	4UL

/* Of &t1_arg.word, for VFIO_IOMMU_MAP_DMA and for the other two. */
#define T1_MAP_VADDR	0
#define T1_MAP_IOVA	1
#define T1_MAP_SIZE	2
#define T1_IOVA		0
#define T1_SIZE		1
#define T1_PGSIZE	2
#define T1_BYTES	3
#define T1_DATA		4

/**
 * struct t1_arg - the structure of any ioctl but VFIO_IOMMU_GET_INFO
 * @argsz: its size
 * @flags: what to do
 * @word: T1_MAP_*, or else T1_*: those for an unmap are where those of a question
 *	for dirty pages are
 */
struct t1_arg {
	u32 argsz;
	u32 flags;
	u64 word[5];
};

/**
 * struct t1 - a container
 * @ik: what the suite's init and exit functions look at
 * @type1: the ABI's side
 * @iopt: the IOVA space
 * @call: what is called
 * @memory: address of what is mapped
 * @page: address of a page with no memory behind it
 */
struct t1 {
	struct iopt_kunit ik;
	struct type1 type1;
	struct io_pagetable iopt;
	struct type1_call call;
	unsigned long memory;
	unsigned long page;
};

int t1_kunit_init(struct kunit *test);
void t1_begin(struct kunit *test, bool strict);
void t1_end(struct kunit *test);
int t1_ioctl(struct kunit *test, unsigned int cmd, void *arg, size_t size);
struct t1_arg t1_map_arg(struct kunit *test);
struct t1_arg t1_unmap_arg(u32 flags, unsigned long iova, unsigned long size);
struct t1_arg t1_bitmap_arg(struct kunit *test, u32 flags);
int t1_map(struct kunit *test, unsigned long iova, unsigned long size);
int t1_unmap(struct kunit *test, u32 flags, unsigned long iova,
	     unsigned long size, u64 *unmapped);
int t1_dirty(struct kunit *test, u32 flags);

/* The limit of mappings of the strict container. */
extern unsigned int t1_max_areas;

#endif
