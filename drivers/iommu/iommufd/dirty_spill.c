// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: spill
 *
 * Hardware hands over dirty bits by the leaf and forgets them. What of a leaf
 * lies outside of the range that was asked for is kept here until somebody asks
 * for it. So is what in-kernel users wrote, for which there is no hardware.
 *
 * IOMMU drivers report under spinlocks, so nothing here sleeps. Where there is
 * no memory for another range the set becomes larger than it should be, up to
 * everything: a page too many is copied once more, one too few is lost.
 */
#include <kunit/static_stub.h>
#include <linux/slab.h>

#include "dirty_spill.h"

/**
 * dirty_spill_init() - an empty set
 * @spill: the set
 */
void dirty_spill_init(struct dirty_spill *spill)
{
	spin_lock_init(&spill->lock);
	spill->ranges = RB_ROOT_CACHED;
	RB_CLEAR_NODE(&spill->reserve.rb);
}

/* Apart, so that a test can have it fail. */
VISIBLE_IF_KUNIT struct interval_tree_node *dirty_spill_kmalloc(void)
{
	KUNIT_STATIC_STUB_REDIRECT(dirty_spill_kmalloc);
	return kmalloc(sizeof(struct interval_tree_node),
		       GFP_ATOMIC | __GFP_NOWARN);
}

static struct interval_tree_node *dirty_spill_alloc(struct dirty_spill *spill)
{
	struct interval_tree_node *node = dirty_spill_kmalloc();

	if (!node && RB_EMPTY_NODE(&spill->reserve.rb))
		node = &spill->reserve;
	return node;
}

static void dirty_spill_free(struct dirty_spill *spill,
			     struct interval_tree_node *node)
{
	if (node != &spill->reserve)
		kfree(node);
	else
		RB_CLEAR_NODE(&node->rb);
}

static struct interval_tree_node *dirty_spill_first(struct dirty_spill *spill,
						    unsigned long start,
						    unsigned long last)
{
	return interval_tree_iter_first(&spill->ranges, start, last);
}

static void dirty_spill_insert(struct dirty_spill *spill,
			       struct interval_tree_node *node,
			       unsigned long start, unsigned long last)
{
	node->start = start;
	node->last = last;
	interval_tree_insert(node, &spill->ranges);
}

/**
 * dirty_spill_clear() - forget everything
 * @spill: the set
 */
void dirty_spill_clear(struct dirty_spill *spill)
{
	struct interval_tree_node *node;

	spin_lock(&spill->lock);
	while ((node = dirty_spill_first(spill, 0, ULONG_MAX))) {
		interval_tree_remove(node, &spill->ranges);
		dirty_spill_free(spill, node);
	}
	spin_unlock(&spill->lock);
}

/*
 * Take everything that touches [start, last] out, widen the two to cover it,
 * and give one of the nodes back to the caller to use.
 */
static struct interval_tree_node *dirty_spill_merge(struct dirty_spill *spill,
						    unsigned long *start,
						    unsigned long *last)
{
	struct interval_tree_node *keep = NULL, *node;

	while ((node = dirty_spill_first(spill, *start - !!*start,
					 *last + !!~*last))) {
		interval_tree_remove(node, &spill->ranges);
		*start = min(*start, node->start);
		*last = max(*last, node->last);
		if (keep)
			dirty_spill_free(spill, node);
		else
			keep = node;
	}
	return keep;
}

/**
 * dirty_spill_add() - add a range
 * @spill: the set
 * @start: first IOVA
 * @last: last IOVA
 *
 * Without memory everything is added, which takes none.
 *
 * Context: any but interrupts.
 */
void dirty_spill_add(struct dirty_spill *spill, unsigned long start,
		     unsigned long last)
{
	struct interval_tree_node *node;

	spin_lock(&spill->lock);
	node = dirty_spill_merge(spill, &start, &last);
	node = node ?: dirty_spill_alloc(spill);
	if (!node) {
		/* The reserve is in the set, so there is one to be had. */
		start = 0;
		last = ULONG_MAX;
		node = dirty_spill_merge(spill, &start, &last);
	}
	dirty_spill_insert(spill, node, start, last);
	spin_unlock(&spill->lock);
}

static void dirty_spill_cut(struct dirty_spill *spill, unsigned long start,
			    unsigned long last)
{
	struct interval_tree_node *node, *rest = NULL;
	unsigned long node_start, node_last;

	lockdep_assert_held(&spill->lock);

	while ((node = dirty_spill_first(spill, start, last))) {
		node_start = node->start;
		node_last = node->last;
		/* A hole in a range takes a second one; else it stays whole. */
		if (node_start < start && node_last > last) {
			rest = dirty_spill_alloc(spill);
			if (!rest)
				return;
		}
		interval_tree_remove(node, &spill->ranges);
		if (node_start < start)
			dirty_spill_insert(spill, node, node_start, start - 1);
		else if (node_last > last)
			dirty_spill_insert(spill, node, last + 1, node_last);
		else
			dirty_spill_free(spill, node);
		if (rest)
			dirty_spill_insert(spill, rest, last + 1, node_last);
	}
}

/**
 * dirty_spill_remove() - take a range out
 * @spill: the set
 * @start: first IOVA
 * @last: last IOVA
 *
 * Where that would make two ranges of one and there is no memory, it stays.
 *
 * Context: any but interrupts.
 */
void dirty_spill_remove(struct dirty_spill *spill, unsigned long start,
			unsigned long last)
{
	spin_lock(&spill->lock);
	dirty_spill_cut(spill, start, last);
	spin_unlock(&spill->lock);
}

/**
 * dirty_spill_take() - hand over what is in a range
 * @spill: the set
 * @start: first IOVA
 * @last: last IOVA
 * @keep: leave it in the set
 * @fn: called for every range, cut to the one asked for
 * @opaque: for @fn
 *
 * What comes and goes at the same time is handed over exactly once.
 *
 * Context: any but interrupts.
 */
void dirty_spill_take(struct dirty_spill *spill, unsigned long start,
		      unsigned long last, bool keep, dirty_spill_fn fn,
		      void *opaque)
{
	struct interval_tree_node *node;

	spin_lock(&spill->lock);
	for (node = dirty_spill_first(spill, start, last); node;
	     node = interval_tree_iter_next(node, start, last))
		fn(opaque, max(start, node->start), min(last, node->last));
	if (!keep)
		dirty_spill_cut(spill, start, last);
	spin_unlock(&spill->lock);
}

/**
 * dirty_spill_move() - add everything to another set
 * @to: takes it
 * @from: is empty afterwards; nobody adds to it now
 *
 * Never holds both locks.
 *
 * Context: any but interrupts.
 */
void dirty_spill_move(struct dirty_spill *to, struct dirty_spill *from)
{
	struct interval_tree_node *node;
	unsigned long start, last;

	while (!dirty_spill_empty(from)) {
		spin_lock(&from->lock);
		node = dirty_spill_first(from, 0, ULONG_MAX);
		start = node->start;
		last = node->last;
		interval_tree_remove(node, &from->ranges);
		dirty_spill_free(from, node);
		spin_unlock(&from->lock);
		dirty_spill_add(to, start, last);
	}
}
