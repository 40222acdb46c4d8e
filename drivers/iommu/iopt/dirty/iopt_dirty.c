// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: dirty tracking of a domain
 *
 * Dirty tracking of one domain: which IOVAs devices have written through the domain since
 * the previous query. See "querying dirty bits" for the steps of a query.
 *
 * Accesses write memory without an IOMMU, so no hardware records their writes. Every
 * query reports the pages that accesses have pinned for writing, as an access may write
 * them at any time. The first query after an unpin reports them once more:
 * iopt_unpin_pages() adds them to the spill of each domain that tracks.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>

#include "dirty/iopt_dirty.h"
#include "dirty/iopt_dirty_walk.h"
#include "iopt_trace.h"
#include "space/iopt_area.h"

/*
 * Maximum number of leaves in a flush of a range; for more, the whole domain is
 * flushed. An SMMUv3 without range invalidation flushes each leaf by a command of its
 * own. VT-d and AMD flush a range of any length by one command.
 */
#define IOPT_FLUSH_LEAVES_MAX	BIT(16)

/**
 * iopt_dirty_flush_iotlb() - flush the IOTLB after dirty bits were cleared
 * @domain: the domain that was queried
 * @dirty: the dirty bits that the driver recorded, with the gather; empty afterwards
 *
 * IOMMU drivers treat a gather without a range differently: VT-d and AMD flush the whole
 * domain, SMMUv3 flushes nothing. So the function never passes such a gather to a driver.
 * If the leaves have several sizes, it flushes the whole domain, as SMMUv3 only
 * invalidates leaves of the page size in the gather.
 */
void iopt_dirty_flush_iotlb(struct iommu_domain *domain,
			    struct iommu_dirty_bitmap *dirty)
{
	struct iommu_iotlb_gather *gather = dirty->gather;
	unsigned int shift;
	bool all;

	if (!dirty->pgsizes)
		return;
	shift = __ffs(dirty->pgsizes);
	all = !is_power_of_2(dirty->pgsizes) ||
	      (gather->end - gather->start) >> shift >= IOPT_FLUSH_LEAVES_MAX;
	dirty->pgsizes = 0;

	if (all && domain->ops->flush_iotlb_all) {
		iommu_flush_iotlb_all(domain);
		iommu_iotlb_gather_init(gather);
		return;
	}
	gather->pgsize = BIT(shift);
	iommu_iotlb_sync(domain, gather);
}

/**
 * iopt_record_write() - record that an access has written a range
 * @iopt: the IOAS
 * @iova: first IOVA
 * @last: last IOVA
 *
 * Adds the range to the spills of all domains that track and, if the IOAS is tracked, to
 * the spill of the IOAS. Widens it to &io_pagetable.iova_alignment first, so that many
 * small writes become few ranges.
 *
 * Context: &io_pagetable.iova_rwsem held; may sleep.
 */
void iopt_record_write(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last)
{
	unsigned long mask = iopt->iova_alignment - 1;
	struct iopt_domain *entry;

	lockdep_assert_held(&iopt->iova_rwsem);

	iova &= ~mask;
	last |= mask;
	list_for_each_entry(entry, &iopt->domains, item)
		if (entry->tracking)
			iova_set_add(&entry->spill, iova, last, GFP_KERNEL);
	if (iopt->tracking)
		iova_set_add(&iopt->spill, iova, last, GFP_KERNEL);
}

/**
 * iopt_discard_dirty() - remove a range from every spill
 * @iopt: the IOAS
 * @iova: first IOVA of a range that was unmapped, or is about to be mapped
 * @last: last IOVA
 *
 * A spill may contain IOVAs that are not mapped: see iopt_dirty_flush_conservative().
 *
 * Context: &io_pagetable.iova_rwsem held for writing; may sleep.
 */
void iopt_discard_dirty(struct io_pagetable *iopt, unsigned long iova,
			unsigned long last)
{
	struct iopt_domain *entry;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	list_for_each_entry(entry, &iopt->domains, item)
		if (entry->tracking)
			iova_set_remove(&entry->spill, iova, last);
	if (iopt->tracking)
		iova_set_remove(&iopt->spill, iova, last);
}

/* Query one domain for a window: an iopt_dirty_window_fn. */
static int iopt_dirty_query_domain(struct iopt_dirty_walk *walk,
				   struct iova_bitmap *bitmap,
				   unsigned long iova, unsigned long last)
{
	struct iopt_domain *entry = walk->entry;
	struct iova_range range;
	int rc;

	if (!entry->requested)
		return -EINVAL;
	rc = iopt_dirty_lock_range(walk, &range, iova, last);
	if (rc)
		return rc;
	iommu_dirty_bitmap_init(&walk->dirty, NULL, &walk->gather);
	rc = iova_bitmap_for_each(bitmap, walk, iopt_dirty_read_window);
	if (!walk->query->no_clear)
		iopt_dirty_flush_iotlb(entry->domain, &walk->dirty);
	iova_range_unlock(&entry->query_lock, &range);
	return rc;
}

/* Check a query, and find its domain. Return: as iopt_read_and_clear_dirty(). */
static int iopt_dirty_query_check(struct iopt_dirty_walk *walk,
				  struct iommu_domain *domain)
{
	int rc;

	if (down_read_killable(&walk->iopt->iova_rwsem))
		return -EINTR;
	rc = iopt_dirty_check(walk->iopt, walk->query, &walk->last);
	if (rc)
		goto out_unlock;
	if (!domain->dirty_ops) {
		rc = -EOPNOTSUPP;
		goto out_unlock;
	}
	walk->entry = iopt_find_domain(walk->iopt, domain);
	if (WARN_ON(!walk->entry) || !walk->entry->requested)
		rc = -EINVAL;

out_unlock:
	up_read(&walk->iopt->iova_rwsem);
	return rc;
}

/**
 * iopt_read_and_clear_dirty() - read and clear the dirty bits of a domain
 * @iopt: the IOAS
 * @domain: a domain of @iopt; the caller prevents its removal
 * @query: the query; &iopt_dirty_query.overwrite is ignored
 *
 * Sets bits of the queried range, and never clears one. Bits of IOVAs that are not
 * mapped do not change. If iopt_start_tracking() tracks the whole IOAS as well, the two
 * share the dirty bits of the domain: this function or iopt_read_dirty() reports a
 * dirty bit, whichever is called first.
 *
 * No dirty bit is lost after an error. If the query has cleared dirty bits before the
 * error, the next query reports every page from the start of the range to the end of the
 * last window that was read. Queries of an overlapping range wait until the spill has
 * these pages.
 *
 * Return: 0, or
 * * -EINVAL: the length is 0; the page size is not a power of two; the range is not
 *   aligned to the page size or to &io_pagetable.iova_alignment; or
 *   iopt_set_dirty_tracking() has not enabled tracking
 * * -EOVERFLOW: the range wraps
 * * -EFAULT: the bitmap is not writable memory
 * * -ENOMEM: out of memory
 * * -EOPNOTSUPP: the domain does not support dirty tracking
 * * -EINTR: the process received a fatal signal
 * * another error of pinning the bitmap, or the error of the IOMMU driver
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
 */
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain,
			      const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = { .iopt = iopt, .query = query };
	u64 begin = local_clock();
	int rc;

	rc = iopt_dirty_query_check(&walk, domain);
	if (rc)
		return rc;
	walk.range.iova = query->iova;
	walk.range.last = walk.last;
	walk.lock = &walk.entry->call_lock;
	rc = iopt_dirty_walk_windows(&walk, iopt_dirty_query_domain);
	if (rc)
		iopt_dirty_restore(&walk, &walk.entry->spill,
				   &walk.entry->tracking);
	if (walk.locked)
		iova_range_unlock(walk.lock, &walk.range);
	iopt_dirty_count(&walk, domain, begin, rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_read_and_clear_dirty, IOMMU_IOPT);

/**
 * iopt_domain_is_conservative() - check whether devices may write without a record
 * @entry: the domain
 *
 * Return: true if a query of the IOAS must report every mapped page, because @entry does
 * not track, and its devices may write pages that no access has pinned.
 * Context: &io_pagetable.iova_rwsem held.
 */
bool iopt_domain_is_conservative(const struct iopt_domain *entry)
{
	return !entry->tracking && !entry->pinned_scope;
}

/**
 * iopt_dirty_flush_conservative() - record every page that a domain may have written
 * @iopt: the IOAS
 * @entry: a domain that is about to be removed, to track, or to get pinned scope
 *
 * Does nothing unless iopt_domain_is_conservative() and the IOAS is tracked. Otherwise
 * the next query of the IOAS reports every mapped page. All IOVAs are added to the
 * spill, also those that are not mapped, as one range needs one node.
 * iopt_discard_dirty() removes a range when it is mapped.
 *
 * Context: &io_pagetable.iova_rwsem held for writing; may sleep.
 */
void iopt_dirty_flush_conservative(struct io_pagetable *iopt,
				   struct iopt_domain *entry)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (iopt->tracking && iopt_domain_is_conservative(entry))
		iova_set_add(&iopt->spill, 0, ULONG_MAX, GFP_KERNEL);
}

/*
 * Clear all dirty bits of a domain. &iopt_domain.tracking is not set yet, so no query can
 * overlap.
 */
static int iopt_dirty_clear_all(struct io_pagetable *iopt,
				struct iommu_domain *domain)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	unsigned long iova = 0;
	int rc;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (down_read_killable(&iopt->iova_rwsem))
			return -EINTR;
		iommu_dirty_bitmap_init(&dirty, NULL, &gather);
		rc = iopt_dirty_read_step(iopt, domain, &dirty, &iova);
		iopt_dirty_flush_iotlb(domain, &dirty);
		up_read(&iopt->iova_rwsem);
	} while (rc > 0);
	return rc;
}

/**
 * iopt_dirty_enable() - enable dirty tracking of a domain with all dirty bits cleared
 * @iopt: the IOAS
 * @entry: a domain that supports dirty tracking and does not track
 *
 * Clears a bounded number of dirty bits at a time, with &io_pagetable.iova_rwsem held for
 * reading.
 *
 * Return: 0, or, with tracking disabled,
 * * -EINTR: the process received a fatal signal
 * * the error of the IOMMU driver
 * Context: &io_pagetable.tracking_mutex held, &io_pagetable.domains_rwsem held for
 * reading; takes &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_dirty_enable(struct io_pagetable *iopt, struct iopt_domain *entry)
{
	const struct iommu_dirty_ops *ops = entry->domain->dirty_ops;
	int rc;

	lockdep_assert_held(&iopt->tracking_mutex);
	lockdep_assert_held_read(&iopt->domains_rwsem);

	rc = ops->set_dirty_tracking(entry->domain, true);
	if (rc)
		return rc;
	rc = iopt_dirty_clear_all(iopt, entry->domain);
	if (rc) {
		ops->set_dirty_tracking(entry->domain, false);
		return rc;
	}
	guard(rwsem_write)(&iopt->iova_rwsem);
	/* If the IOAS is tracked already, earlier writes were not recorded. */
	iopt_dirty_flush_conservative(iopt, entry);
	entry->tracking = true;
	return 0;
}

/**
 * iopt_dirty_disable() - disable dirty tracking of a domain
 * @entry: a domain that tracks
 *
 * Clears the spill of the domain.
 *
 * Return: 0, or, with tracking still enabled,
 * * the error of the IOMMU driver
 * Context: &io_pagetable.iova_rwsem held for writing; may sleep.
 */
int iopt_dirty_disable(struct iopt_domain *entry)
{
	struct iommu_domain *domain = entry->domain;
	int rc = domain->dirty_ops->set_dirty_tracking(domain, false);

	if (rc)
		return rc;
	entry->tracking = false;
	iova_set_clear(&entry->spill);
	return 0;
}

static int iopt_set_tracking_locked(struct io_pagetable *iopt,
				    struct iommu_domain *domain, bool enable)
{
	struct iopt_domain *entry;
	int rc = 0;

	entry = iopt_find_domain(iopt, domain);
	if (WARN_ON(!entry))
		return -EINVAL;
	if (enable == entry->requested)
		return 0;
	if (enable && !entry->tracking)
		rc = iopt_dirty_enable(iopt, entry);
	if (rc)
		return rc;

	guard(rwsem_write)(&iopt->iova_rwsem);
	if (!enable && !iopt->tracking)
		rc = iopt_dirty_disable(entry);
	if (!rc)
		entry->requested = enable;
	return rc;
}

/**
 * iopt_set_dirty_tracking() - enable or disable dirty tracking of a domain
 * @iopt: the IOAS
 * @domain: a domain of @iopt; the caller prevents its removal
 * @enable: true to enable tracking with all dirty bits cleared, false to disable it
 *
 * Does nothing if tracking is in the requested state already. While
 * iopt_start_tracking() tracks the whole IOAS, the domain already tracks: enabling then
 * clears no dirty bit, and disabling does not make the domain stop tracking.
 *
 * Return: 0, or, with nothing changed,
 * * -EOPNOTSUPP: the domain does not support dirty tracking
 * * -EINTR: the process received a fatal signal
 * * the error of the IOMMU driver
 * Context: takes &io_pagetable.tracking_mutex, &io_pagetable.domains_rwsem for reading
 * and &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable)
{
	u64 begin = iopt_trace_begin(iopt_track);
	int rc;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;
	if (mutex_lock_killable(&iopt->tracking_mutex))
		return -EINTR;
	rc = down_read_killable(&iopt->domains_rwsem);
	if (!rc) {
		rc = iopt_set_tracking_locked(iopt, domain, enable);
		up_read(&iopt->domains_rwsem);
	}
	mutex_unlock(&iopt->tracking_mutex);
	trace_iopt_track(iopt->id, domain, enable, rc, iopt_trace_ns(begin));
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_dirty_tracking, IOMMU_IOPT);
