/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lifetime of PFNMAP memory: see pages_pfnmap_life.c.
 */
#ifndef __PAGES_PFNMAP_H
#define __PAGES_PFNMAP_H

struct iommu_domain;
struct iopt_area;
struct iopt_pages;
struct iopt_pfnmap;

struct iopt_pfnmap *iopt_pfnmap_alloc(unsigned long start,
				      unsigned long npages);
void iopt_pfnmap_free(struct iopt_pfnmap *pfnmap);
int iopt_pfnmap_fill(struct iopt_area *area, struct iopt_pages *pages,
		     struct iommu_domain *domain);
void iopt_pfnmap_unfill(struct iopt_area *area, struct iopt_pages *pages,
			struct iommu_domain *domain);
int iopt_pfnmap_prepare_move(struct iopt_pages *pages, unsigned long start);
void iopt_pfnmap_cancel_move(struct iopt_pages *pages);
void iopt_pfnmap_move(struct iopt_pages *pages);

#endif
