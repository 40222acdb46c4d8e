/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Leaves of hardware page tables: see iopt_leaf.c.
 */
#ifndef __IOPT_LEAF_H
#define __IOPT_LEAF_H

#include <linux/iommu.h>
#include <linux/sizes.h>

#include "space/iopt_area.h"

struct pfn_batch;

void iopt_find_leaf(struct iommu_domain *domain, struct iopt_area *area,
		    unsigned long iova, unsigned long *leaf,
		    unsigned long *leaf_last);
unsigned long iopt_area_step_last(struct iopt_area *area,
				  struct iommu_domain *domain,
				  unsigned long start, unsigned long last,
				  unsigned long step);
void iopt_area_update_leaf_flags(struct iopt_area *area,
				 struct pfn_batch *batch, unsigned long iova);

void iopt_area_unmap_iova(struct iopt_area *area, struct iommu_domain *domain,
			  unsigned long iova, unsigned long last);

/* Return: whether the domain may map the area, beside its two ends, by small leaves. */
static inline bool iopt_area_has_small_leaves(const struct iopt_area *area,
					      const struct iommu_domain *domain)
{
	return area->small_leaves || !(domain->pgsize_bitmap & SZ_2M);
}

#endif
