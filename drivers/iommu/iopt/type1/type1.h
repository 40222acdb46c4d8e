/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Type1 ABI of VFIO, on top of the engine: see type1.c.
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

/* Maximum size of a dirty bitmap in bytes: 8 TiB of 4 KiB pages. */
#define TYPE1_MAX_BITMAP	SZ_256M

/**
 * struct type1_flavour - how the type1 ABI of a container differs
 * @max_mappings: maximum number of mappings at a time; NULL for no limit
 * @strict: user addresses must be page aligned, and a range that wraps or
 *	covers a mapping only in part is -EINVAL. If not set, the errnos of the
 *	engine are returned, -EOVERFLOW and -ENOENT, and a mapping may begin
 *	within a page if the IOMMUs allow it.
 * @split: an unmap splits mappings, in version 1 and 2, if huge pages are
 *	disabled in the IOVA space. Accesses that may pin are those in the IOVA
 *	space. If not set, an unmap of version 1 unmaps all of a mapping whose
 *	first byte is in the range, and does nothing if the range begins within
 *	a mapping. Then &type1.emulated is set if an access may pin.
 * @pfnmap: whether VFIO_IOMMU_MAP_DMA accepts a PFNMAP, such as a BAR; NULL if
 *	it always does. A PFNMAP that is not accepted is -EFAULT, like memory
 *	that cannot be pinned.
 */
struct type1_flavour {
	const unsigned int *max_mappings;
	bool strict;
	bool split;
	const bool *pfnmap;
};

/**
 * struct type1 - state of the type1 ioctls of a container
 * @flavour: how the ABI of the container differs; never changes
 * @v2: whether the container has version 2 of the ABI; written with @dirty_lock
 *	held
 * @emulated: whether the container has groups without an IOMMU, whose drivers
 *	pin pages; only used without &type1_flavour.split. Does not change
 *	during an ioctl.
 * @dirty_lock: serialises queries of dirty pages, see type1_dirty_pages()
 * @range_lock: guards @sole_range and @ranges
 * @sole_range: locked range of one call that maps or unmaps, or NULL. It spares
 *	a call that runs alone the update of @ranges.
 * @ranges: tree of the other locked struct type1_range. No two ranges in
 *	@ranges and @sole_range overlap.
 * @range_wait: woken when a range is unlocked
 *
 * Owner: the structure that embeds it, from type1_init() to type1_destroy().
 *
 * Lock order: a range, then @dirty_lock, then the locks of the engine. An unmap
 * may hold both while it notifies accesses, so an access must take neither to
 * pin or unpin pages.
 */
struct type1 {
	const struct type1_flavour *flavour;
	bool v2;
	bool emulated;

	/* held during a query of dirty pages */
	struct mutex dirty_lock;

	/* guards sole_range and ranges */
	spinlock_t range_lock;
	struct type1_range *sole_range;
	struct rb_root_cached ranges;
	wait_queue_head_t range_wait;
};

/**
 * struct type1_range - IOVA range that a call has locked
 * @node: the range; in &type1.ranges, or not in a tree if it is
 *	&type1.sole_range
 *
 * Owner: the call, on its stack.
 */
struct type1_range {
	struct interval_tree_node node;
};

/**
 * struct type1_call - arguments of an ioctl
 * @type1: the container, or NULL if @iopt is NULL
 * @iopt: IOVA space of the container, or NULL if it has none yet
 * @account_mode: how pinned pages of new mappings are accounted
 * @arg: user address of the ioctl's structure
 */
struct type1_call {
	struct type1 *type1;
	struct io_pagetable *iopt;
	enum iopt_account_mode account_mode;
	void __user *arg;
};

void type1_init(struct type1 *type1, const struct type1_flavour *flavour);
void type1_destroy(struct type1 *type1);

/* type1.c */
int type1_ioctl(struct type1_call *call, unsigned int cmd);

/* type1_mappings.c */
unsigned int type1_num_mappings(const struct io_pagetable *iopt);
int type1_widen(struct io_pagetable *iopt, unsigned long iova,
		unsigned long *last, bool published);

/* type1_range.c */
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
