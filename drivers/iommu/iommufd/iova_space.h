/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which IOVAs can be had: see iova_space.c.
 */
#ifndef __IOVA_SPACE_H
#define __IOVA_SPACE_H

#include <linux/interval_tree.h>

#include "io_pagetable.h"

/**
 * struct iopt_reserved - IOVAs that cannot be mapped
 * @node: the range, in &io_pagetable.reserved_itree
 * @owner: on whose behalf: a domain, a device, or NULL for a test
 *
 * Guarded by &io_pagetable.iova_rwsem.
 */
struct iopt_reserved {
	struct interval_tree_node node;
	void *owner;
};

int iopt_check_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length);
int iopt_choose_iova(struct io_pagetable *iopt, unsigned long *iova,
		     unsigned long address, unsigned long length);
void iopt_remove_reserved_locked(struct io_pagetable *iopt, void *owner);

/* iopt_domain.c */
int iopt_update_alignment(struct io_pagetable *iopt,
			  const struct iommu_domain *domain);

#endif
