/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reserved and allowed IOVAs, and the allocation of IOVAs: see iova_space.c.
 */
#ifndef __IOVA_SPACE_H
#define __IOVA_SPACE_H

#include <linux/interval_tree.h>
#include <linux/types.h>

#include "space/io_pagetable.h"

struct device;

/**
 * struct iopt_reserved - IOVAs that cannot be mapped
 * @node: the range, in &io_pagetable.reserved_itree
 * @owner: the domain or device that reserved it; NULL for a test
 *
 * Guarded by &io_pagetable.iova_rwsem.
 */
struct iopt_reserved {
	struct interval_tree_node node;
	void *owner;
};

/**
 * struct iopt_allowed - IOVAs that cannot be reserved
 * @node: the range, in &io_pagetable.allowed_itree
 */
struct iopt_allowed {
	struct interval_tree_node node;
};

/**
 * typedef iopt_range_fn - callback of iopt_walk_usable_ranges() for a range
 * @opaque: the @opaque argument of iopt_walk_usable_ranges()
 * @start: first IOVA
 * @last: last IOVA
 *
 * Return: 0 to continue, any other value to stop.
 * Context: &io_pagetable.iova_rwsem held for reading; may allocate memory, but must
 * not access user memory.
 */
typedef int (*iopt_range_fn)(void *opaque, unsigned long start,
			     unsigned long last);
int iopt_walk_usable_ranges(struct io_pagetable *iopt, iopt_range_fn fn,
			    void *opaque);
int iopt_set_allow_iova(struct io_pagetable *iopt,
			struct rb_root_cached *allowed_iova);
void iopt_free_allowed(struct rb_root_cached *allowed_iova);
int iopt_reserve_iova(struct io_pagetable *iopt, unsigned long start,
		      unsigned long last, void *owner);
void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner);
int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt,
					struct device *dev, void *owner,
					phys_addr_t *sw_msi_start);

int iopt_check_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length);
int iopt_choose_iova(struct io_pagetable *iopt, unsigned long *iova,
		     unsigned long address, unsigned long length);
void iopt_remove_reserved_locked(struct io_pagetable *iopt, void *owner);

#endif
