/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a query for dirty bits is asked: see iopt_dirty_walk.c.
 */
#ifndef __IOPT_DIRTY_WALK_H
#define __IOPT_DIRTY_WALK_H

#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/list.h>

#include "iopt_dirty.h"

/**
 * struct iopt_dirty_chunk - a part of a query that one window is enough for
 * @item: in &iopt_dirty_walk.chunks
 * @bitmap: the bits, pinned
 */
struct iopt_dirty_chunk {
	struct list_head item;
	struct iova_bitmap *bitmap;
};

/**
 * struct iopt_dirty_walk - a query that is being answered
 * @iopt: the table
 * @entry: the domain that is asked
 * @query: the question
 * @last: its last byte
 * @chunks: its parts, by rising IOVA
 * @pinned: an area that is going to be asked for has pages that somebody holds
 * @dirty: what the driver is given
 * @gather: IOTLB entries to flush
 */
struct iopt_dirty_walk {
	struct io_pagetable *iopt;
	struct iopt_domain *entry;
	const struct iopt_dirty_query *query;
	unsigned long last;
	struct list_head chunks;
	bool pinned;
	struct iommu_dirty_bitmap dirty;
	struct iommu_iotlb_gather gather;
};

int iopt_dirty_check(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query, unsigned long *last);
int iopt_dirty_pin(struct iopt_dirty_walk *walk);
void iopt_dirty_free_chunks(struct iopt_dirty_walk *walk);
int iopt_dirty_window(struct iova_bitmap *bitmap, unsigned long iova,
		      size_t length, void *opaque);
void iopt_dirty_set(void *opaque, unsigned long start, unsigned long last);
void iopt_dirty_pinned(struct iopt_area *area, struct iova_bitmap *bitmap,
		       unsigned long start, unsigned long last, bool all);
void iopt_leaf_of(struct iommu_domain *domain, struct iopt_area *area,
		  unsigned long iova, unsigned long *leaf,
		  unsigned long *leaf_last);

#endif
