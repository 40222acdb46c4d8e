/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains that the areas of an IOAS are mapped in: see iopt_domain.c.
 */
#ifndef __IOPT_DOMAIN_H
#define __IOPT_DOMAIN_H

#include <linux/types.h>
#include <linux/xarray.h>

#include "space/io_pagetable.h"
#include "space/iova_range_lock.h"
#include "space/iova_set.h"

struct device;
struct iommu_domain;

/**
 * struct iopt_domain - a domain that the areas of an IOAS are filled into
 * @domain: the domain; not owned
 * @tracking: dirty tracking is enabled
 * @requested: iopt_set_dirty_tracking() enabled it, not only iopt_start_tracking()
 * @pinned_scope: its devices write nothing but pages that accesses have pinned
 * @call_lock: ranges of queries from their first window to their end
 * @query_lock: ranges of windows that are being read, in whole leaves
 * @spill: dirty IOVAs that the next query reports, beside what hardware reports;
 *	empty while @tracking is off
 *
 * Owner: &io_pagetable.domains. The flags change under &io_pagetable.iova_rwsem
 * held for writing; @requested also under &io_pagetable.tracking_mutex.
 */
struct iopt_domain {
	struct iommu_domain *domain;
	bool tracking;
	bool requested;
	bool pinned_scope;
	struct iova_range_lock call_lock;
	struct iova_range_lock query_lock;
	struct iova_set spill;
};

struct iopt_domain *iopt_find_domain(struct io_pagetable *iopt,
				     const struct iommu_domain *domain);
bool iopt_device_supports_dirty_tracking(struct device *dev);
struct iommu_domain *iopt_domain_alloc_flags(struct device *dev, u32 flags);
struct iommu_domain *iopt_domain_alloc(struct device *dev);

/* To look behind the last one for more would take longer than all the rest. */
#define iopt_for_each_domain(iopt, i, entry)				\
	for ((i) = 0;							\
	     (i) < (iopt)->next_domain_id &&				\
	     ((entry) = xa_load(&(iopt)->domains, (i)));		\
	     (i)++)

#endif
