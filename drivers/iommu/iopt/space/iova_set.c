// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: spill
 *
 * A spill is a set of dirty IOVAs that no query has reported yet. Hardware has one
 * dirty bit per leaf, and a query clears it. If a leaf extends beyond the range of the
 * query, the part outside of the range is added to a spill until a query covers it.
 * Writes by accesses are added to a spill as well, as hardware does not record them.
 *
 * The size of a set is bounded. If the set has IOVA_SET_MAX_RANGES ranges, or no
 * memory can be allocated, a new range is merged with its nearest neighbour, and the
 * gap between the two is added. So a set may contain IOVAs that were never added, but
 * never lacks one that was: a clean page is copied once more, no dirty page is lost.
 */
#include <kunit/static_stub.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "space/iova_set.h"

/* Number of ranges that are handled before the lock is dropped and taken again. */
#define IOVA_SET_STEP	128

/**
 * iova_set_init() - initialize an empty set
 * @set: the set
 */
void iova_set_init(struct iova_set *set)
{
	spin_lock_init(&set->lock);
	set->ranges = RB_ROOT_CACHED;
	set->nr = 0;
	RB_CLEAR_NODE(&set->reserve.rb);
}

/* A separate function, so that a test can make the allocation fail. */
VISIBLE_IF_KUNIT struct interval_tree_node *iova_set_kmalloc(gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(iova_set_kmalloc, gfp);
	return kmalloc(sizeof(struct interval_tree_node),
		       gfp | __GFP_ACCOUNT | __GFP_NOWARN);
}

/* A separate function, so that a test can lower the limit. */
VISIBLE_IF_KUNIT unsigned int iova_set_max_ranges(void)
{
	KUNIT_STATIC_STUB_REDIRECT(iova_set_max_ranges);
	return IOVA_SET_MAX_RANGES;
}

/*
 * Get a node for one more range: @spare, a new one, or &iova_set.reserve. Return: NULL
 * if the set has the maximum number of ranges, or no node is left. An empty set always
 * has a node, its reserve.
 */
static struct interval_tree_node *
iova_set_get_node(struct iova_set *set,
		  struct interval_tree_node **spare)
{
	struct interval_tree_node *node = NULL;

	lockdep_assert_held(&set->lock);

	if (set->nr >= iova_set_max_ranges())
		return NULL;
	if (spare)
		swap(node, *spare);
	node = node ?: iova_set_kmalloc(GFP_ATOMIC);
	if (!node && RB_EMPTY_NODE(&set->reserve.rb))
		node = &set->reserve;
	return node;
}

static void iova_set_free(struct iova_set *set,
			  struct interval_tree_node *node)
{
	if (node != &set->reserve)
		kfree(node);
	else
		RB_CLEAR_NODE(&node->rb);
}

static struct interval_tree_node *iova_set_first(struct iova_set *set,
						 unsigned long start,
						 unsigned long last)
{
	lockdep_assert_held(&set->lock);
	return interval_tree_iter_first(&set->ranges, start, last);
}

static void iova_set_insert(struct iova_set *set,
			    struct interval_tree_node *node,
			    unsigned long start, unsigned long last)
{
	node->start = start;
	node->last = last;
	interval_tree_insert(node, &set->ranges);
	set->nr++;
}

static void iova_set_erase(struct iova_set *set,
			   struct interval_tree_node *node)
{
	interval_tree_remove(node, &set->ranges);
	set->nr--;
}

#if IS_ENABLED(CONFIG_KUNIT)
/**
 * iova_set_empty() - check whether a set is empty
 * @set: the set
 *
 * For tests only: the result may be stale when the function returns.
 *
 * Return: whether no IOVA is in the set.
 */
bool iova_set_empty(struct iova_set *set)
{
	bool empty;

	spin_lock(&set->lock);
	empty = RB_EMPTY_ROOT(&set->ranges.rb_root);
	spin_unlock(&set->lock);
	return empty;
}
#endif

/**
 * iova_set_clear() - remove every IOVA from a set
 * @set: the set
 *
 * Context: may sleep.
 */
void iova_set_clear(struct iova_set *set)
{
	struct interval_tree_node *node, *next;
	struct rb_root_cached ranges;

	spin_lock(&set->lock);
	if (!RB_EMPTY_NODE(&set->reserve.rb)) {
		iova_set_erase(set, &set->reserve);
		RB_CLEAR_NODE(&set->reserve.rb);
	}
	ranges = set->ranges;
	set->ranges = RB_ROOT_CACHED;
	set->nr = 0;
	spin_unlock(&set->lock);

	rbtree_postorder_for_each_entry_safe(node, next, &ranges.rb_root, rb) {
		kfree(node);
		cond_resched();
	}
}

/*
 * Erase up to IOVA_SET_STEP ranges that overlap or are adjacent to [start, last], and
 * widen [start, last] to include them. If more such ranges are left, @last is set to
 * the end of the last range erased. Return: the node of one of the erased ranges, for
 * the caller to insert, or NULL if there was none.
 */
static struct interval_tree_node *iova_set_merge_adjacent(struct iova_set *set,
							  unsigned long *start,
							  unsigned long *last)
{
	struct interval_tree_node *keep = NULL, *node;
	unsigned long end = *last;

	for (unsigned int n = 0; ; n++) {
		node = iova_set_first(set, *start - !!*start, *last + !!~*last);
		if (!node)
			return keep;
		if (n == IOVA_SET_STEP)
			break;
		iova_set_erase(set, node);
		*start = min(*start, node->start);
		*last = max(*last, node->last);
		end = node->last;
		if (keep)
			iova_set_free(set, node);
		else
			keep = node;
	}
	*last = end;
	return keep;
}

/*
 * Erase the range nearest to [start, last], and widen [start, last] to include it and
 * the gap. No range overlaps or is adjacent to [start, last]. The set is not empty, as
 * iova_set_get_node() has returned NULL. Return: the node of the erased range, for the
 * caller to insert.
 */
static struct interval_tree_node *iova_set_merge_nearest(struct iova_set *set,
							 unsigned long *start,
							 unsigned long *last)
{
	struct rb_node *rb = set->ranges.rb_root.rb_node;
	struct interval_tree_node *node, *before = NULL, *behind = NULL;

	while (rb) {
		node = rb_entry(rb, struct interval_tree_node, rb);
		if (node->start < *start) {
			before = node;
			rb = rb->rb_right;
		} else {
			behind = node;
			rb = rb->rb_left;
		}
	}
	node = before;
	if (!before || (behind &&
			behind->start - *last < *start - before->last))
		node = behind;
	iova_set_erase(set, node);
	*start = min(*start, node->start);
	*last = max(*last, node->last);
	return node;
}

/* Add the first part of a range. Return: the last IOVA that was added. */
static unsigned long iova_set_add_step(struct iova_set *set,
				       unsigned long start,
				       unsigned long last,
				       struct interval_tree_node **spare)
{
	struct interval_tree_node *node;

	spin_lock(&set->lock);
	node = iova_set_merge_adjacent(set, &start, &last);
	node = node ?: iova_set_get_node(set, spare);
	node = node ?: iova_set_merge_nearest(set, &start, &last);
	iova_set_insert(set, node, start, last);
	spin_unlock(&set->lock);
	return last;
}

/**
 * iova_set_add() - add a range to a set
 * @set: the set
 * @start: first IOVA
 * @last: last IOVA
 * @gfp: GFP_KERNEL, or GFP_ATOMIC if the caller must not sleep
 *
 * Never fails: if the set has the maximum number of ranges, or no memory can be
 * allocated, the gap to the nearest range is added as well. When the function returns,
 * all of [start, last] is in the set; before, a concurrent query may see a part of it.
 *
 * Context: not in interrupts; may sleep if @gfp allows it.
 */
void iova_set_add(struct iova_set *set, unsigned long start,
		  unsigned long last, gfp_t gfp)
{
	struct interval_tree_node *spare = NULL;
	unsigned long end;

	if (gfpflags_allow_blocking(gfp))
		spare = iova_set_kmalloc(gfp);
	for (;;) {
		end = iova_set_add_step(set, start, last, &spare);
		if (end >= last)
			break;
		start = end + 1;
		if (gfpflags_allow_blocking(gfp))
			cond_resched();
	}
	kfree(spare);
}

/* Remove [start, last] from a range, or nothing if no node is left to split it. */
static void iova_set_split(struct iova_set *set,
			   struct interval_tree_node *node,
			   unsigned long start, unsigned long last)
{
	unsigned long node_start = node->start, node_last = node->last;
	struct interval_tree_node *tail = NULL;

	if (node_start < start && node_last > last) {
		tail = iova_set_get_node(set, NULL);
		if (!tail)
			return;
	}
	iova_set_erase(set, node);
	if (node_start < start)
		iova_set_insert(set, node, node_start, start - 1);
	else if (node_last > last)
		iova_set_insert(set, node, last + 1, node_last);
	else
		iova_set_free(set, node);
	if (tail)
		iova_set_insert(set, tail, last + 1, node_last);
}

/*
 * Report the first IOVA_SET_STEP ranges in [start, last], and unless @keep is set
 * remove them. Return: whether ranges are left; they begin at or after @start, which
 * is updated.
 */
static bool iova_set_take_step(struct iova_set *set,
			       unsigned long *start, unsigned long last,
			       bool keep, iova_set_fn fn, void *opaque)
{
	struct interval_tree_node *node, *next;
	unsigned int n;

	spin_lock(&set->lock);
	node = iova_set_first(set, *start, last);
	for (n = 0; node && n < IOVA_SET_STEP; n++) {
		next = interval_tree_iter_next(node, *start, last);
		if (fn)
			fn(opaque, max(*start, node->start),
			   min(last, node->last));
		if (!keep)
			iova_set_split(set, node, *start, last);
		node = next;
	}
	if (node)
		*start = max(*start, node->start);
	spin_unlock(&set->lock);
	return node;
}

/**
 * iova_set_take() - report the IOVAs in a range and remove them from a set
 * @set: the set
 * @start: first IOVA
 * @last: last IOVA
 * @keep: do not remove the IOVAs
 * @fn: called under &iova_set.lock for every range, clipped to [start, last]; or NULL
 * @opaque: argument of @fn
 *
 * An IOVA that was added before the call is reported, unless another task has taken
 * it. An IOVA that is added or removed during the call is reported at most once. If a
 * range has to be split and no node is left, the whole range stays in the set, and is
 * reported again by the next call.
 *
 * Context: may sleep.
 */
void iova_set_take(struct iova_set *set, unsigned long start,
		   unsigned long last, bool keep, iova_set_fn fn,
		   void *opaque)
{
	while (iova_set_take_step(set, &start, last, keep, fn, opaque))
		cond_resched();
}

/**
 * iova_set_remove() - remove a range from a set
 * @set: the set
 * @start: first IOVA
 * @last: last IOVA
 *
 * If a range of the set has to be split and no node is left, that whole range stays in
 * the set.
 *
 * Context: may sleep.
 */
void iova_set_remove(struct iova_set *set, unsigned long start,
		     unsigned long last)
{
	iova_set_take(set, start, last, false, NULL, NULL);
}

/* Remove the first range. Return: false if the set is empty. */
static bool iova_set_pop(struct iova_set *set, unsigned long *start,
			 unsigned long *last)
{
	struct interval_tree_node *node;

	spin_lock(&set->lock);
	node = iova_set_first(set, 0, ULONG_MAX);
	if (node) {
		*start = node->start;
		*last = node->last;
		iova_set_erase(set, node);
		iova_set_free(set, node);
	}
	spin_unlock(&set->lock);
	return node;
}

/**
 * iova_set_move() - move every range of a set to another set
 * @to: the set to add to
 * @from: the set to empty; the caller prevents concurrent additions and queries
 *
 * Holds only one of the two locks at a time.
 *
 * Context: may sleep.
 */
void iova_set_move(struct iova_set *to, struct iova_set *from)
{
	unsigned long start, last;

	while (iova_set_pop(from, &start, &last)) {
		iova_set_add(to, start, last, GFP_KERNEL);
		cond_resched();
	}
}
