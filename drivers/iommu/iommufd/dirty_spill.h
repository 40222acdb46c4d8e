/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty IOVAs that have yet to be told: see dirty_spill.c.
 */
#ifndef __DIRTY_SPILL_H
#define __DIRTY_SPILL_H

#include <kunit/visibility.h>
#include <linux/interval_tree.h>
#include <linux/spinlock.h>

/**
 * struct dirty_spill - a set of IOVAs, in bytes
 * @lock: guards the rest; innermost
 * @ranges: the ranges, no two of which touch
 * @reserve: a range for when there is no memory for another one
 *
 * Owner: whoever embeds it, from dirty_spill_init() to dirty_spill_clear().
 */
struct dirty_spill {
	/* guards everything below */
	spinlock_t lock;
	struct rb_root_cached ranges;
	struct interval_tree_node reserve;
};

/**
 * typedef dirty_spill_fn - takes a range
 * @opaque: what dirty_spill_take() was given
 * @start: first IOVA
 * @last: last IOVA
 *
 * Context: must not sleep.
 */
typedef void (*dirty_spill_fn)(void *opaque, unsigned long start,
			       unsigned long last);

void dirty_spill_init(struct dirty_spill *spill);
void dirty_spill_clear(struct dirty_spill *spill);
void dirty_spill_add(struct dirty_spill *spill, unsigned long start,
		     unsigned long last);
void dirty_spill_remove(struct dirty_spill *spill, unsigned long start,
			unsigned long last);
void dirty_spill_take(struct dirty_spill *spill, unsigned long start,
		      unsigned long last, bool keep, dirty_spill_fn fn,
		      void *opaque);
void dirty_spill_move(struct dirty_spill *to, struct dirty_spill *from);

/* Cheap, and right for whoever knows that nobody adds now. */
static inline bool dirty_spill_empty(const struct dirty_spill *spill)
{
	return RB_EMPTY_ROOT(&spill->ranges.rb_root);
}

#if IS_ENABLED(CONFIG_KUNIT)
struct interval_tree_node *dirty_spill_kmalloc(void);
#endif

#endif
