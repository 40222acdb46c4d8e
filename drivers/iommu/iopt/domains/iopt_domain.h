/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOMMU domains of an IOAS: see iopt_domain.c.
 */
#ifndef __IOPT_DOMAIN_H
#define __IOPT_DOMAIN_H

#include <linux/list.h>
#include <linux/types.h>

#include "space/io_pagetable.h"
#include "space/iova_range_lock.h"
#include "space/iova_set.h"

struct device;
struct iommu_domain;

/**
 * struct iopt_domain - a domain that the areas of an IOAS are filled into
 * @item: entry in &io_pagetable.domains
 * @domain: the domain; the caller of iopt_table_add_domain() owns it
 * @tracking: dirty tracking is enabled
 * @requested: iopt_set_dirty_tracking() has enabled tracking; if false, @tracking is set
 *	only while the whole IOAS is tracked
 * @pinned_scope: devices of the domain only write pages that accesses have pinned
 * @call_lock: ranges of queries, each locked from its first window to its end
 * @query_lock: ranges of windows that are being read, widened to whole leaves
 * @spill: dirty IOVAs that the next query reports in addition to those that hardware
 *	reports; empty while @tracking is false
 *
 * Owner: &io_pagetable.domains. The flags change with &io_pagetable.iova_rwsem held for
 * writing; @requested changes with &io_pagetable.tracking_mutex held as well.
 */
struct iopt_domain {
	struct list_head item;
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

#endif
