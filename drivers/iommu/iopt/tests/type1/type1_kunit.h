/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for tests of the type1 ABI: see type1_kunit.c.
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

/* Number of pages of user memory, and of pages that t1_begin() maps at BASE. */
#define T1_MEMORY	16UL
#define T1_PAGES	4UL

/*
 * Indices of &t1_arg.word: for VFIO_IOMMU_MAP_DMA, and for unmaps and queries.
 */
#define T1_MAP_VADDR	0
#define T1_MAP_IOVA	1
#define T1_MAP_SIZE	2
#define T1_IOVA		0
#define T1_SIZE		1
#define T1_PGSIZE	2
#define T1_BYTES	3
#define T1_DATA		4

/**
 * struct t1_arg - structure of any type1 ioctl except VFIO_IOMMU_GET_INFO
 * @argsz: as in each of the structures
 * @flags: as in each of the structures
 * @word: T1_MAP_* for VFIO_IOMMU_MAP_DMA; otherwise T1_*, as struct
 *	vfio_iommu_type1_dma_unmap with a bitmap and struct
 *	vfio_iommu_type1_dirty_bitmap with a query have equal layouts
 */
struct t1_arg {
	u32 argsz;
	u32 flags;
	u64 word[5];
};

/**
 * struct t1 - a container under test
 * @ik: state of iopt_kunit_init() and iopt_kunit_exit()
 * @type1: state of the ioctls
 * @iopt: the IOVA space
 * @call: arguments of t1_ioctl()
 * @memory: address of T1_MEMORY pages of user memory
 * @page: address of a user page in front of an unmapped range
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

/* maximum number of mappings of the strict container */
extern unsigned int t1_max_mappings;

#endif
