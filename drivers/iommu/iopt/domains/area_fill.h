/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Map areas in domains, and unmap them: see area_fill.c.
 */
#ifndef __AREA_FILL_H
#define __AREA_FILL_H

struct iommu_domain;
struct iopt_area;
struct iopt_domain;
struct iopt_pages;

int iopt_area_fill_domains(struct iopt_area *area, struct iopt_pages *pages);
void iopt_area_unfill_domains(struct iopt_area *area,
			      struct iopt_pages *pages);
int iopt_area_fill_domain(struct iopt_area *area, struct iopt_domain *entry);
void iopt_area_unfill_domain(struct iopt_area *area,
			     struct iommu_domain *domain);
void iopt_area_move_storage(struct iopt_area *area, struct iommu_domain *from,
			    struct iommu_domain *to);
void iopt_area_move_pfnmap(struct iopt_area *area);

#endif
