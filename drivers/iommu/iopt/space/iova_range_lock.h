/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks for ranges of IOVAs: see iova_range_lock.c.
 */
#ifndef __IOVA_RANGE_LOCK_H
#define __IOVA_RANGE_LOCK_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

/**
 * struct iova_range_lock - locked ranges of a domain
 * @lock: guards @ranges
 * @ranges: list of struct iova_range, one per locked range; none overlap
 * @wait: queries that wait for a range to be unlocked
 *
 * Owner: the struct iopt_domain that embeds it. See iova_range_lock.c.
 */
struct iova_range_lock {
	/* guards ranges */
	spinlock_t lock;
	struct list_head ranges;
	wait_queue_head_t wait;
};

/**
 * struct iova_range - a range of IOVAs that a query locks
 * @item: entry in &iova_range_lock.ranges
 * @iova: first IOVA
 * @last: last IOVA
 *
 * Owner: the querying thread, on its stack.
 */
struct iova_range {
	struct list_head item;
	unsigned long iova;
	unsigned long last;
};

void iova_range_lock_init(struct iova_range_lock *lock);
int iova_range_lock(struct iova_range_lock *lock,
		    struct iova_range *range);
void iova_range_unlock(struct iova_range_lock *lock,
		       struct iova_range *range);

#endif
