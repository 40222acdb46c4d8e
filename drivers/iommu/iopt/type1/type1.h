/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The type1 ABI of VFIO on top of the engine: see type1.c.
 */
#ifndef __IOMMUFD_TYPE1_H
#define __IOMMUFD_TYPE1_H

#include <linux/interval_tree.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "iopt.h"

struct type1;
struct type1_range;
struct vfio_bitmap;

/* Bytes that a dirty bitmap has at most: 8 TiB of 4 KiB pages. */
#define TYPE1_MAX_BITMAP	SZ_256M

/**
 * struct type1_flavour - what the two containers do differently
 * @max_areas: mappings that there may be at a time; NULL for any number
 * @strict: addresses of memory are whole pages, and a range that wraps or cuts a
 *	mapping is EINVAL. Else the engine's errnos are told, EOVERFLOW and ENOENT,
 *	and a mapping may begin within a page as far as the IOMMUs allow.
 * @cut: an unmap splits mappings if the IOVA space has huge pages disabled, in
 *	either version, and the accesses of the IOVA space are those that may pin.
 *	Else version 1 unmaps all of a mapping whose first byte is in the range,
 *	and nothing otherwise, and &type1.emulated says whether accesses may pin.
 * @pfnmap: whether VFIO_IOMMU_MAP_DMA accepts PFNMAPs, such as a BAR; NULL for
 *	always. Where it does not, a PFNMAP is -EFAULT, as memory that cannot be
 *	pinned.
 */
struct type1_flavour {
	const unsigned int *max_areas;
	bool strict;
	bool cut;
	const bool *pfnmap;
};

/**
 * struct type1 - a container that speaks type1
 * @flavour: never changes
 * @v2: version 2 of the ABI; changes under @dirty_lock, if at all
 * @emulated: there are groups that only pin; without &type1_flavour.cut. No call
 *	runs when it changes.
 * @dirty_lock: serialises VFIO_IOMMU_DIRTY_PAGES
 * @range_lock: guards @sole_range and @ranges
 * @sole_range: the range of one call that maps or unmaps at the moment, or NULL.
 *	A call that runs alone need not change @ranges.
 * @ranges: struct type1_range of the other calls that map or unmap; no two of
 *	them, or @sole_range, overlap
 * @range_wait: woken when a range is unlocked
 *
 * Owner: the structure that embeds it, from type1_init() to type1_destroy().
 *
 * Lock order: a range, or @dirty_lock, then the engine's locks. A range is held
 * while accesses are notified of an unmap, so an access that pins memory takes
 * neither of the two.
 */
struct type1 {
	const struct type1_flavour *flavour;
	bool v2;
	bool emulated;

	/* one call of VFIO_IOMMU_DIRTY_PAGES at a time */
	struct mutex dirty_lock;

	/* guards sole_range and ranges */
	spinlock_t range_lock;
	struct type1_range *sole_range;
	struct rb_root_cached ranges;
	wait_queue_head_t range_wait;
};

/**
 * struct type1_range - IOVAs that a call maps or unmaps
 * @node: the range; in &type1.ranges, unless it is &type1.sole_range
 *
 * Owner: the call, on its stack.
 */
struct type1_range {
	struct interval_tree_node node;
};

/**
 * struct type1_call - one ioctl
 * @type1: the container; NULL if @iopt is
 * @iopt: its IOVA space, or NULL where it has none as yet
 * @account_mode: for memory that is mapped
 * @arg: the user's structure
 */
struct type1_call {
	struct type1 *type1;
	struct io_pagetable *iopt;
	enum iopt_account_mode account_mode;
	void __user *arg;
};

void type1_init(struct type1 *type1, const struct type1_flavour *flavour);
void type1_destroy(struct type1 *type1);

/* type1.c: dispatch */
int type1_ioctl(struct type1_call *call, unsigned int cmd);
unsigned int type1_num_mappings(const struct io_pagetable *iopt);
int type1_widen(struct io_pagetable *iopt, unsigned long iova,
		unsigned long *last, bool published);

/* type1_range.c: which calls wait for each other */
int type1_lock_range(struct type1 *type1, struct type1_range *range,
		     unsigned long iova, unsigned long last);
void type1_unlock_range(struct type1 *type1, struct type1_range *range);

/* type1_info.c */
int type1_get_info(struct type1_call *call);

/* type1_map.c */
int type1_map_dma(struct type1_call *call);
int type1_unmap_dma(struct type1_call *call);

/* type1_dirty.c */
int type1_bitmap_query(const struct vfio_bitmap *bitmap, u64 iova, u64 size,
		       struct iopt_dirty_query *query);
int type1_dirty_pages(struct type1_call *call);

#endif
