/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty tracking of one domain: see iopt_dirty.c.
 */
#ifndef __IOPT_DIRTY_H
#define __IOPT_DIRTY_H

#include <linux/types.h>

struct io_pagetable;
struct iommu_dirty_bitmap;
struct iommu_domain;
struct iopt_domain;

/**
 * struct iopt_dirty_query - a question for what is dirty
 * @iova: first byte
 * @length: bytes
 * @page_size: bytes of IOVA that a bit stands for, a power of two
 * @data: the bitmap, at any address
 * @no_clear: leave everything as dirty as it is
 * @overwrite: bits of what is mapped are cleared before: whole 64 bit words from
 *	an area's first bit on, but for the word in which it begins, if it begins
 *	within one; only iopt_track.c looks at it
 */
struct iopt_dirty_query {
	unsigned long iova;
	unsigned long length;
	unsigned long page_size;
	u64 __user *data;
	bool no_clear;
	bool overwrite;
};

int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable);
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain,
			      const struct iopt_dirty_query *query);
int iopt_dirty_enable(struct io_pagetable *iopt, struct iopt_domain *entry);
int iopt_dirty_disable(struct iopt_domain *entry);
void iopt_dirty_flush(struct iommu_domain *domain,
		      struct iommu_dirty_bitmap *dirty);
bool iopt_domain_is_conservative(const struct iopt_domain *entry);
void iopt_dirty_flush_conservative(struct io_pagetable *iopt,
				   struct iopt_domain *entry);
void iopt_record_write(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last);
void iopt_discard_dirty(struct io_pagetable *iopt, unsigned long iova,
			unsigned long last);

#endif
