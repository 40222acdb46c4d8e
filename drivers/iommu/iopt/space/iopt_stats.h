/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics of the queries of dirty bits, for debugfs.
 */
#ifndef __IOPT_STATS_H
#define __IOPT_STATS_H

#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * struct iopt_stats - statistics of the queries of an IOAS and of its domains
 * @lock: guards the members below
 * @queries: number of queries that have ended
 * @failed: number of these that failed
 * @last_ns: duration of the query that ended last, in nanoseconds
 * @max_ns: duration of the longest query, in nanoseconds
 *
 * Owner: the io_pagetable that embeds it.
 */
struct iopt_stats {
	/* guards the members below */
	spinlock_t lock;
	u64 queries;
	u64 failed;
	u64 last_ns;
	u64 max_ns;
};

static inline void iopt_stats_add(struct iopt_stats *stats, u64 ns, int rc)
{
	spin_lock(&stats->lock);
	stats->queries++;
	if (rc)
		stats->failed++;
	stats->last_ns = ns;
	if (ns > stats->max_ns)
		stats->max_ns = ns;
	spin_unlock(&stats->lock);
}

#endif
