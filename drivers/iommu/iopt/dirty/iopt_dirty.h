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
 * struct iopt_dirty_query - query of the dirty IOVAs of a range
 * @iova: first IOVA
 * @length: length in bytes
 * @page_size: bytes of IOVA per bit, a power of two
 * @data: the bitmap; needs no alignment
 * @no_clear: do not clear dirty bits: the next query reports them again
 * @overwrite: clear whole 64-bit words before bits are set: for each area, from the
 *	first word that begins at or after the first bit of the area, to the word that
 *	contains its last bit; only for iopt_read_dirty()
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
void iopt_dirty_flush_iotlb(struct iommu_domain *domain,
			    struct iommu_dirty_bitmap *dirty);
bool iopt_domain_is_conservative(const struct iopt_domain *entry);
void iopt_dirty_flush_conservative(struct io_pagetable *iopt,
				   struct iopt_domain *entry);
void iopt_record_write(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last);
void iopt_discard_dirty(struct io_pagetable *iopt, unsigned long iova,
			unsigned long last);

#endif
