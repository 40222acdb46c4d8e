// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: concurrent queries
 *
 * Queries of one domain run concurrently unless their ranges overlap. Of two queries
 * that overlap, one waits for the other, for three reasons:
 *
 *  - After a query has cleared a dirty bit, the IOMMU sets the bit again only once
 *    the IOTLB was flushed. Until the flush a second query finds the page clean,
 *    although the device may have written it before the second query began.
 *  - A leaf that extends beyond the range of a query is cleared as a whole. Until its
 *    part outside of the range is in the spill, a second query finds that part
 *    neither in the page table nor in the spill.
 *  - If a query fails, it returns the bits that it has cleared to the spill only at
 *    its end.
 *
 * For the first two reasons a query locks each window, widened to whole leaves, in
 * &iopt_domain.query_lock. For the third it locks its range in
 * &iopt_domain.call_lock, from its first window to its end.
 */
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "space/iova_range_lock.h"

/**
 * iova_range_lock_init() - initialize the lock of a domain
 * @lock: the lock
 */
void iova_range_lock_init(struct iova_range_lock *lock)
{
	spin_lock_init(&lock->lock);
	INIT_LIST_HEAD(&lock->ranges);
	init_waitqueue_head(&lock->wait);
}

static bool iova_range_trylock(struct iova_range_lock *lock,
			       struct iova_range *range)
{
	struct iova_range *other;
	bool free = true;

	spin_lock(&lock->lock);
	list_for_each_entry(other, &lock->ranges, item)
		if (other->iova <= range->last && range->iova <= other->last)
			free = false;
	if (free)
		list_add(&range->item, &lock->ranges);
	spin_unlock(&lock->lock);
	return free;
}

/**
 * iova_range_lock() - lock a range, after waiting for ranges that overlap it
 * @lock: the lock
 * @range: the range, with @iova and @last set; in use until iova_range_unlock()
 *
 * Return: 0, or
 * * -EINTR: the process received a fatal signal while waiting
 * Context: a range of &iopt_domain.query_lock is locked with &io_pagetable.iova_rwsem
 * held for reading, a range of &iopt_domain.call_lock before &io_pagetable.iova_rwsem
 * is taken. A task locks one range of a lock at a time. May sleep.
 */
int iova_range_lock(struct iova_range_lock *lock,
		    struct iova_range *range)
{
	if (wait_event_killable(lock->wait, iova_range_trylock(lock, range)))
		return -EINTR;
	return 0;
}

/**
 * iova_range_unlock() - unlock a range and wake waiting queries
 * @lock: the lock
 * @range: the range, locked by iova_range_lock()
 */
void iova_range_unlock(struct iova_range_lock *lock,
		       struct iova_range *range)
{
	spin_lock(&lock->lock);
	list_del(&range->item);
	spin_unlock(&lock->lock);
	/* Waiters add themselves to @wait before they read @ranges: none is missed. */
	if (wq_has_sleeper(&lock->wait))
		wake_up_all(&lock->wait);
}
