/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty tracking of a whole IOAS, as type1 queries it: see iopt_track.c.
 */
#ifndef __IOPT_TRACK_H
#define __IOPT_TRACK_H

#include <linux/types.h>

struct io_pagetable;
struct iommu_domain;
struct iopt_dirty_query;
struct iopt_domain;

int iopt_start_tracking(struct io_pagetable *iopt);
int iopt_stop_tracking(struct io_pagetable *iopt);
int iopt_read_dirty(struct io_pagetable *iopt,
		    const struct iopt_dirty_query *query);
int iopt_read_dirty_protected(struct io_pagetable *iopt,
			      const struct iopt_dirty_query *query);
int iopt_set_pinned_scope(struct io_pagetable *iopt,
			  struct iommu_domain *domain, bool pinned);

void iopt_record_unpin(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last);
void iopt_track_add_domain(struct io_pagetable *iopt,
			   struct iopt_domain *entry);
void iopt_track_remove_domain(struct io_pagetable *iopt,
			      struct iopt_domain *entry);

#endif
