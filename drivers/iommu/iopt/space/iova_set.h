/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets of IOVAs, for spills: see iova_set.c.
 */
#ifndef __IOVA_SET_H
#define __IOVA_SET_H

#include <kunit/visibility.h>
#include <linux/gfp_types.h>
#include <linux/interval_tree.h>
#include <linux/spinlock.h>

/*
 * Maximum number of ranges in a set. kmalloc() rounds a node up to 64 bytes, so a set
 * takes at most 2 MiB, charged to the memory cgroups of the tasks that add to it.
 */
#define IOVA_SET_MAX_RANGES	32768

/**
 * struct iova_set - a set of IOVAs, as ranges of bytes
 * @lock: guards the members below; the innermost lock; held for a bounded number of
 *	ranges at a time
 * @ranges: interval tree of the ranges; no two overlap or are adjacent
 * @nr: number of ranges in @ranges, at most IOVA_SET_MAX_RANGES
 * @reserve: used for one range if the allocation of a node fails
 *
 * Owner: the object that embeds it, from iova_set_init() to iova_set_clear().
 *
 * Every read of a set takes @lock, even a check whether the set is empty. An addition
 * that merges ranges, and a removal that splits one, erases nodes before it inserts
 * others. In between @ranges may be empty although the set never is. A query that
 * trusted an empty tree would miss dirty IOVAs.
 */
struct iova_set {
	/* guards the members below */
	spinlock_t lock;
	struct rb_root_cached ranges;
	unsigned int nr;
	struct interval_tree_node reserve;
};

/**
 * typedef iova_set_fn - callback of iova_set_take() for a range
 * @opaque: the @opaque argument of iova_set_take()
 * @start: first IOVA
 * @last: last IOVA
 *
 * Context: called with &iova_set.lock held; must not sleep.
 */
typedef void (*iova_set_fn)(void *opaque, unsigned long start,
			    unsigned long last);

void iova_set_init(struct iova_set *set);
void iova_set_clear(struct iova_set *set);
void iova_set_add(struct iova_set *set, unsigned long start,
		  unsigned long last, gfp_t gfp);
void iova_set_remove(struct iova_set *set, unsigned long start,
		     unsigned long last);
void iova_set_take(struct iova_set *set, unsigned long start,
		   unsigned long last, bool keep, iova_set_fn fn,
		   void *opaque);
void iova_set_move(struct iova_set *to, struct iova_set *from);

#if IS_ENABLED(CONFIG_KUNIT)
bool iova_set_empty(struct iova_set *set);
struct interval_tree_node *iova_set_kmalloc(gfp_t gfp);
unsigned int iova_set_max_ranges(void);
#endif

#endif
