/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a query for dirty bits is asked: see iopt_dirty_walk.c.
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
 * struct iopt_dirty_walk - a query in progress
 * @iopt: the IOAS
 * @entry: the domain that is queried
 * @query: the request
 * @last: last byte of the request
 * @done: with @cleared, last byte of the windows that were queried
 * @pinned: an area of the range that is read next has pages pinned by accesses
 * @cleared: dirty bits may have been cleared
 * @lock: excludes other queries of @range until the query ends; or NULL
 * @range: the range of the request
 * @locked: @range is locked
 * @dirty: passed to the IOMMU driver
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
	struct iova_range_lock *lock;
	struct iova_range range;
	bool locked;
	struct iommu_dirty_bitmap dirty;
	struct iommu_iotlb_gather gather;
};

/**
 * typedef iopt_dirty_window_fn - queries one window of a request
 * @walk: the query
 * @bitmap: the window's part of the bitmap, pinned
 * @iova: first byte of the window
 * @last: last byte of the window
 *
 * Return: 0, or a negative errno that ends the query.
 * Context: &io_pagetable.iova_rwsem held for reading.
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
