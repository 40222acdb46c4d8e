/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Map the pages of a batch in a domain: see pfn_batch_map.c.
 */
#ifndef __PFN_BATCH_MAP_H
#define __PFN_BATCH_MAP_H

struct iommu_domain;
struct iopt_area;
struct pfn_batch;

int pfn_batch_to_domain(struct pfn_batch *batch, struct iopt_area *area,
			struct iommu_domain *domain, unsigned long index);

#endif
