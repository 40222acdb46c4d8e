/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the engine keeps for each domain: see iopt_domain.c and iopt_dirty.c.
 */
#ifndef __IOPT_DIRTY_H
#define __IOPT_DIRTY_H

#include <linux/rwsem.h>

#include "dirty_spill.h"
#include "io_pagetable.h"

struct iopt_area;

/**
 * struct iopt_domain - a domain that a table's areas are filled into
 * @domain: the domain; not owned
 * @tracking: dirty tracking is on; changes under &io_pagetable.iova_rwsem held
 *	for writing
 * @query_rwsem: held by queries; for writing by one that may be handed dirty
 *	bits of leaves that others ask for; inside &io_pagetable.iova_rwsem
 * @spill: dirty IOVAs that the next query is told, beside what hardware says;
 *	empty while @tracking is off
 *
 * Owner: &io_pagetable.domains.
 */
struct iopt_domain {
	struct iommu_domain *domain;
	bool tracking;
	struct rw_semaphore query_rwsem;
	struct dirty_spill spill;
};

struct iopt_domain *iopt_find_domain(struct io_pagetable *iopt,
				     const struct iommu_domain *domain);

void iopt_note_write(struct io_pagetable *iopt, unsigned long iova,
		     unsigned long last);
void iopt_forget_dirty(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last);

/* To look behind the last one for more would take longer than all the rest. */
#define iopt_for_each_domain(iopt, i, entry)				\
	xa_for_each_range(&(iopt)->domains, (i), (entry), 0,		\
			  (iopt)->next_domain_id - 1)

#endif
