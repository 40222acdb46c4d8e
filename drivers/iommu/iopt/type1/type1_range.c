// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Ranges of concurrent calls
 *
 * Calls that map or unmap run concurrently unless their IOVA ranges overlap. A
 * call locks its range before it examines the IOVA space, and unlocks the range
 * when it is done. So mappings that a call has found in its range stay until
 * the call unmaps them. And a call never finds the mapping of another call that
 * has not finished, and may fail.
 *
 * An unmap of one page in VFIO's container does not lock its range: the engine finds
 * with one hold of &io_pagetable.iova_rwsem whether the page is a mapping, and unmaps
 * it. If another call is mapping there, the unmap locks the range, and so waits.
 *
 * A call may keep its range locked for an unlimited time, since pinning waits
 * for page faults. A task that waits for a range can be killed.
 */
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/interval_tree.h>
#include <linux/lockdep.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "type1/type1.h"

static bool type1_range_is_locked(struct type1 *type1, unsigned long iova,
				  unsigned long last)
{
	const struct type1_range *sole = type1->sole_range;

	lockdep_assert_held(&type1->range_lock);

	if (sole && sole->node.start <= last && iova <= sole->node.last)
		return true;
	return interval_tree_iter_first(&type1->ranges, iova, last);
}

static bool type1_try_lock_range(struct type1 *type1,
				 struct type1_range *range)
{
	bool free;

	spin_lock(&type1->range_lock);
	free = !type1_range_is_locked(type1, range->node.start,
				      range->node.last);
	if (free && type1->sole_range)
		interval_tree_insert(&range->node, &type1->ranges);
	else if (free)
		type1->sole_range = range;
	spin_unlock(&type1->range_lock);
	return free;
}

/**
 * type1_lock_range() - wait until no call maps or unmaps in a range
 * @type1: the container
 * @range: initialised by this function; must live until type1_unlock_range()
 * @iova: first byte
 * @last: last byte
 *
 * Waiting tasks have no order: a call with a large range does not delay later
 * calls with small ranges.
 *
 * Return:
 * * 0: the range is locked
 * * -EINTR: the task was killed
 *
 * Context: may sleep; no range and no lock of the engine is held.
 */
int type1_lock_range(struct type1 *type1, struct type1_range *range,
		     unsigned long iova, unsigned long last)
{
	range->node.start = iova;
	range->node.last = last;
	if (wait_event_killable(type1->range_wait,
				type1_try_lock_range(type1, range)))
		return -EINTR;
	return 0;
}

/**
 * type1_unlock_range() - unlock a range, and wake the calls that wait for it
 * @type1: the container
 * @range: locked by type1_lock_range()
 *
 * Context: process context; does not sleep.
 */
void type1_unlock_range(struct type1 *type1, struct type1_range *range)
{
	scoped_guard(spinlock, &type1->range_lock) {
		if (type1->sole_range == range)
			type1->sole_range = NULL;
		else
			interval_tree_remove(&range->node, &type1->ranges);
	}
	/*
	 * A waiting task adds itself to the queue before it checks the ranges.
	 */
	if (wq_has_sleeper(&type1->range_wait))
		wake_up_all(&type1->range_wait);
}
