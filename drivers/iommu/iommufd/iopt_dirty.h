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
struct iova_bitmap;

/**
 * struct iopt_domain - a domain that a table's areas are filled into
 * @domain: the domain; not owned
 * @tracking: dirty tracking is on
 * @asked: iopt_set_dirty_tracking() turned it on, not only the table
 * @pinned_scope: its devices write nothing but what in-kernel users hold
 * @query_rwsem: held by queries; for writing by one that may be handed dirty
 *	bits of leaves that others ask for; inside &io_pagetable.iova_rwsem
 * @spill: dirty IOVAs that the next query is told, beside what hardware says;
 *	empty while @tracking is off
 *
 * Owner: &io_pagetable.domains. The flags change under &io_pagetable.iova_rwsem
 * held for writing.
 */
struct iopt_domain {
	struct iommu_domain *domain;
	bool tracking;
	bool asked;
	bool pinned_scope;
	struct rw_semaphore query_rwsem;
	struct dirty_spill spill;
};

/* iopt_domain.c */
struct iopt_domain *iopt_find_domain(struct io_pagetable *iopt,
				     const struct iommu_domain *domain);

/* iopt_dirty.c */
void iopt_note_write(struct io_pagetable *iopt, unsigned long iova,
		     unsigned long last);
void iopt_forget_dirty(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last);
int iopt_dirty_read_all(struct io_pagetable *iopt, struct iommu_domain *domain,
			struct iova_bitmap *bitmap);
int iopt_dirty_turn_on(struct io_pagetable *iopt, struct iopt_domain *entry);
int iopt_dirty_turn_off(struct iopt_domain *entry);

/* iopt_track.c */
void iopt_note_pin(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long last);
void iopt_track_untold(struct io_pagetable *iopt, struct iopt_domain *entry);
void iopt_track_join(struct io_pagetable *iopt, struct iopt_domain *entry);
void iopt_track_leave(struct io_pagetable *iopt, struct iopt_domain *entry);
int iopt_read_dirty_locked(struct io_pagetable *iopt,
			   const struct iopt_dirty_query *query);

/* To look behind the last one for more would take longer than all the rest. */
#define iopt_for_each_domain(iopt, i, entry)				\
	xa_for_each_range(&(iopt)->domains, (i), (entry), 0,		\
			  (iopt)->next_domain_id - 1)

#endif
