/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queries of dirty bits, window by window: see iopt_dirty_walk.c.
 */
#ifndef __IOPT_DIRTY_WALK_H
#define __IOPT_DIRTY_WALK_H

#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/list.h>

#include "dirty/iopt_dirty.h"
#include "domains/iopt_domain.h"

struct iopt_area;

/**
 * struct iopt_dirty_walk - state of a query
 * @iopt: the IOAS
 * @entry: the domain that is being read
 * @query: the query
 * @last: last IOVA of the query
 * @done: last IOVA of the window that was read most recently; valid with @cleared
 * @pinned: accesses have pinned pages of an area in the range that is read next
 * @cleared: dirty bits may have been cleared
 * @protect: make the pages of a window read-only for devices before it is read
 * @lock: locks @range from the first window of the query to its end; NULL if the caller
 *	serialises queries
 * @range: the range of the query; set with @lock
 * @locked: @range is locked
 * @dirty_bits: number of bits that were set so far; only summed up for the event
 * @dirty: argument of &iommu_dirty_ops.read_and_clear_dirty
 * @gather: IOTLB entries to flush
 *
 * Owner: the querying thread, on its stack.
 */
struct iopt_dirty_walk {
	struct io_pagetable *iopt;
	struct iopt_domain *entry;
	const struct iopt_dirty_query *query;
	unsigned long last;
	unsigned long done;
	bool pinned;
	bool cleared;
	bool protect;
	struct iova_range_lock *lock;
	struct iova_range range;
	bool locked;
	u64 dirty_bits;
	struct iommu_dirty_bitmap dirty;
	struct iommu_iotlb_gather gather;
};

/**
 * typedef iopt_dirty_window_fn - callback of iopt_dirty_walk_windows() for a window
 * @walk: the query
 * @bitmap: the part of the bitmap that belongs to the window; pinned
 * @iova: first IOVA of the window
 * @last: last IOVA of the window
 *
 * Return: 0 to continue, or a negative errno that ends the query.
 * Context: &io_pagetable.iova_rwsem held for reading; may sleep.
 */
typedef int (*iopt_dirty_window_fn)(struct iopt_dirty_walk *walk,
				    struct iova_bitmap *bitmap,
				    unsigned long iova, unsigned long last);

int iopt_dirty_check(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query, unsigned long *last);
int iopt_dirty_walk_windows(struct iopt_dirty_walk *walk,
			    iopt_dirty_window_fn fn);
void iopt_dirty_restore(struct iopt_dirty_walk *walk, struct iova_set *spill,
			const bool *tracking);
void iopt_dirty_count(const struct iopt_dirty_walk *walk,
		      const struct iommu_domain *domain, u64 begin, int rc);
unsigned long iopt_dirty_step_last(struct io_pagetable *iopt,
				   struct iommu_domain *domain,
				   unsigned long start, unsigned long last,
				   bool small);
int iopt_dirty_lock_range(struct iopt_dirty_walk *walk,
			  struct iova_range *range, unsigned long iova,
			  unsigned long last);
int iopt_dirty_read_window(struct iova_bitmap *bitmap, unsigned long iova,
			   size_t length, void *opaque);
int iopt_dirty_read_step(struct io_pagetable *iopt, struct iommu_domain *domain,
			 struct iommu_dirty_bitmap *dirty, unsigned long *iova);
void iopt_dirty_set(void *opaque, unsigned long start, unsigned long last);
int iopt_dirty_set_pinned(struct iopt_area *area, struct iova_bitmap *bitmap,
			  unsigned long start, unsigned long last, bool all);

#endif
