// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: dirty
 *
 * What devices wrote through one domain: iopt_dirty_walk.c is how that is
 * queried. Accesses write without an IOMMU. Pages that they have pinned for
 * writing are dirty in every result, as they may be written at that moment, and
 * in the first one after they were unpinned, for which they are added to the
 * spills.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>

#include "dirty/iopt_dirty.h"
#include "dirty/iopt_dirty_walk.h"
#include "space/iopt_area.h"

/*
 * A range of more leaves is not flushed leaf by leaf, which an SMMUv3 without
 * range invalidation does. VT-d and AMD flush a range by one command anyway.
 */
#define IOPT_FLUSH_LEAVES_MAX	BIT(16)

/**
 * iopt_dirty_flush() - flush the IOTLB after dirty bits were cleared
 * @domain: the domain that was queried
 * @dirty: what its driver recorded; nothing is gathered afterwards
 *
 * IOMMU drivers disagree on what a gather without a range or page size means:
 * VT-d and AMD flush the whole domain, SMMUv3 flushes nothing. So this passes on
 * neither. Leaves of several sizes, too, need a flush of the whole domain, since
 * SMMUv3 invalidates only leaves of the page size that it is given.
 */
void iopt_dirty_flush(struct iommu_domain *domain,
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
 * iopt_record_write() - record that an access wrote
 * @iopt: the IOAS
 * @iova: first byte
 * @last: last byte
 *
 * Widens the range to &io_pagetable.iova_alignment, so that many small writes are
 * few ranges.
 *
 * Context: &io_pagetable.iova_rwsem held; may sleep.
 */
void iopt_record_write(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last)
{
	unsigned long mask = iopt->iova_alignment - 1;
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held(&iopt->iova_rwsem);

	iova &= ~mask;
	last |= mask;
	iopt_for_each_domain(iopt, i, entry)
		if (entry->tracking)
			iova_set_add(&entry->spill, iova, last, GFP_KERNEL);
	if (iopt->tracking)
		iova_set_add(&iopt->spill, iova, last, GFP_KERNEL);
}

/**
 * iopt_discard_dirty() - discard what is pending for a range
 * @iopt: the IOAS
 * @iova: first byte of a range that is unmapped, or about to be mapped
 * @last: last byte
 *
 * A spill may have more than is mapped: see iopt_dirty_flush_conservative().
 *
 * Context: &io_pagetable.iova_rwsem held for writing; may sleep.
 */
void iopt_discard_dirty(struct io_pagetable *iopt, unsigned long iova,
			unsigned long last)
{
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	iopt_for_each_domain(iopt, i, entry)
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
		iopt_dirty_flush(entry->domain, &walk->dirty);
	iova_range_unlock(&entry->query_lock, &range);
	return rc;
}

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
 * @domain: one of its domains, which the caller keeps there
 * @query: the request
 *
 * Bits are only ever set, and only those of the requested range; bits of IOVAs
 * that are not mapped stay as they are. Where the whole IOAS is tracked as well,
 * each of the two reports what the other has not reported.
 *
 * After an error no dirty bit is lost. Where the process was killed, or the
 * bitmap could be written when the query began but not when its turn came, all
 * of the range that was queried until then is reported by the next query. Queries
 * that overlap with it wait until that is so.
 *
 * Return:
 * * 0 on success
 * * -EINVAL: the length is zero, the page size is no power of two, the range is
 *   not aligned to it or to the alignment of the IOAS, or
 *   iopt_set_dirty_tracking() has not enabled tracking
 * * -EOVERFLOW: the range wraps
 * * -EFAULT: the bitmap cannot be written
 * * -ENOMEM: out of memory
 * * -EOPNOTSUPP: the domain does not support dirty tracking
 * * -EINTR: the process was killed
 * Context: takes &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain,
			      const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = { .iopt = iopt, .query = query };
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
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_read_and_clear_dirty, IOMMU_IOPT);

/**
 * iopt_domain_is_conservative() - check whether a domain may hide writes
 * @entry: the domain
 *
 * Return: true if its devices may have written any mapped page.
 * Context: &io_pagetable.iova_rwsem held.
 */
bool iopt_domain_is_conservative(const struct iopt_domain *entry)
{
	return !entry->tracking && !entry->pinned_scope;
}

/**
 * iopt_dirty_flush_conservative() - report what a domain may have written
 * @iopt: the IOAS
 * @entry: a domain that is about to change; nothing happens if it tracks
 *
 * Every mapped page is in the next result. IOVAs that are not mapped are added to
 * the spill as well: one range whatever is mapped. iopt_discard_dirty() removes
 * them when they are mapped.
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_dirty_flush_conservative(struct io_pagetable *iopt,
				   struct iopt_domain *entry)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (iopt->tracking && iopt_domain_is_conservative(entry))
		iova_set_add(&iopt->spill, 0, ULONG_MAX, GFP_KERNEL);
}

/* Clear the dirty bits of a domain, which does not track yet. */
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
		iopt_dirty_flush(domain, &dirty);
		up_read(&iopt->iova_rwsem);
	} while (rc > 0);
	return rc;
}

/**
 * iopt_dirty_enable() - enable dirty tracking of a domain, with all bits cleared
 * @iopt: the IOAS
 * @entry: a domain that supports dirty tracking and does not track
 *
 * Page tables are walked with &io_pagetable.iova_rwsem held for reading, a bounded
 * number of leaves at a time.
 *
 * Return:
 * * 0 on success
 * * -EINTR: the process was killed
 * * an errno of the driver
 * After an error the domain does not track.
 * Context: &io_pagetable.tracking_mutex held, and &io_pagetable.domains_rwsem for
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
	/* Until here nothing recorded what the devices of the domain wrote. */
	iopt_dirty_flush_conservative(iopt, entry);
	entry->tracking = true;
	return 0;
}

/**
 * iopt_dirty_disable() - disable dirty tracking of a domain
 * @entry: a domain that tracks
 *
 * Return: 0, or an errno of the driver; then the domain goes on tracking.
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
 * @domain: one of its domains, which the caller keeps there
 * @enable: enable, with all dirty bits cleared, or disable
 *
 * To enable what is enabled changes nothing. While the whole IOAS is tracked the
 * domain tracks without this. Then it begins with what is dirty, and goes on
 * tracking when it is disabled.
 *
 * Return:
 * * 0 on success
 * * -EOPNOTSUPP: the domain does not support dirty tracking
 * * -EINTR: the process was killed
 * * an errno of the driver
 * After an error tracking is as before.
 * Context: takes &io_pagetable.tracking_mutex, &io_pagetable.domains_rwsem and
 * &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable)
{
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
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_dirty_tracking, IOMMU_IOPT);
