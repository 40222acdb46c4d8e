// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tracking of an IOAS
 *
 * A type1 query covers the whole container, across all of its domains. The result
 * is the union of
 *  - the dirty bits of every domain that supports dirty tracking;
 *  - pages that accesses have pinned, or have written by iopt_rw();
 *  - every mapped page, if any domain lacks dirty tracking and its devices may
 *    write pages that no access has pinned.
 *
 * What cannot be queried a second time is kept in the spill of the IOAS: pages
 * that were unpinned, writes by iopt_rw(), and what a domain had not reported
 * when it was detached or began to track.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "clear_user.h"
#include "dirty/iopt_dirty.h"
#include "dirty/iopt_dirty_walk.h"
#include "dirty/iopt_track.h"
#include "space/iopt_area.h"

/**
 * iopt_record_unpin() - record that an access unpins pages it has not written
 * @iopt: the IOAS
 * @iova: first byte
 * @last: last byte
 *
 * To type1 pages are dirty because they are pinned.
 *
 * Context: &io_pagetable.iova_rwsem held; may sleep.
 */
void iopt_record_unpin(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last)
{
	lockdep_assert_held(&iopt->iova_rwsem);

	if (iopt->tracking)
		iova_set_add(&iopt->spill, iova, last, GFP_KERNEL);
}

/**
 * iopt_track_add_domain() - prepare a domain that is about to be filled
 * @iopt: the IOAS
 * @entry: the domain, empty
 *
 * Tracks if the IOAS does and the driver can.
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_track_add_domain(struct io_pagetable *iopt,
			   struct iopt_domain *entry)
{
	const struct iommu_dirty_ops *ops = entry->domain->dirty_ops;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (iopt->tracking && ops)
		entry->tracking = !ops->set_dirty_tracking(entry->domain, true);
}

static void iopt_track_spill(void *opaque, unsigned long iova,
			     unsigned long last)
{
	iova_set_add(opaque, iova, last, GFP_ATOMIC);
}

static int iopt_track_read_all(struct io_pagetable *iopt,
			       struct iommu_domain *domain,
			       struct iova_bitmap *bitmap)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	unsigned long iova = 0;
	int rc;

	iommu_dirty_bitmap_init(&dirty, bitmap, &gather);
	while ((rc = iopt_dirty_read_step(iopt, domain, &dirty, &iova)) > 0)
		cond_resched();
	iopt_dirty_flush(domain, &dirty);
	return rc;
}

/* Take over what a domain would report. Without memory that is everything. */
static void iopt_track_save_dirty(struct io_pagetable *iopt,
				  struct iopt_domain *entry)
{
	struct iova_bitmap *bitmap;
	int rc = -ENOMEM;

	bitmap = iova_bitmap_alloc_spill(iopt_track_spill, &iopt->spill);
	if (bitmap) {
		rc = iopt_track_read_all(iopt, entry->domain, bitmap);
		iova_bitmap_free(bitmap);
	}
	if (rc)
		iova_set_add(&iopt->spill, 0, ULONG_MAX, GFP_KERNEL);
	iova_set_move(&iopt->spill, &entry->spill);
}

/* Disable tracking of a domain, unless iopt_set_dirty_tracking() enabled it. */
static void iopt_track_disable(struct iopt_domain *entry)
{
	/* If the driver fails the domain just goes on tracking. */
	if (entry->tracking && !entry->requested)
		iopt_dirty_disable(entry);
}

/**
 * iopt_track_remove_domain() - save the dirty bits of a domain to remove
 * @iopt: the IOAS
 * @entry: the domain, still filled
 *
 * Context: &io_pagetable.iova_rwsem held for writing; may sleep.
 */
void iopt_track_remove_domain(struct io_pagetable *iopt,
			      struct iopt_domain *entry)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (!iopt->tracking)
		return;
	iopt_dirty_flush_conservative(iopt, entry);
	if (entry->tracking)
		iopt_track_save_dirty(iopt, entry);
	iopt_track_disable(entry);
}

static void iopt_track_disable_all(struct io_pagetable *iopt)
{
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	iopt_for_each_domain(iopt, i, entry)
		iopt_track_disable(entry);
}

static int iopt_start_tracking_locked(struct io_pagetable *iopt)
{
	struct iopt_domain *entry;
	unsigned long i;
	int rc = 0;

	lockdep_assert_held(&iopt->tracking_mutex);

	if (iopt->tracking)
		return 0;
	iopt_for_each_domain(iopt, i, entry) {
		if (!entry->domain->dirty_ops || entry->tracking)
			continue;
		/* A domain that cannot track makes results conservative. */
		rc = iopt_dirty_enable(iopt, entry);
		if (rc == -EINTR)
			break;
		rc = 0;
	}

	guard(rwsem_write)(&iopt->iova_rwsem);
	if (rc)
		iopt_track_disable_all(iopt);
	else
		iopt->tracking = true;
	return rc;
}

/**
 * iopt_start_tracking() - track dirty pages of a whole IOAS
 * @iopt: the IOAS
 *
 * Begins with everything clean, but for what userspace tracks through a domain of
 * its own already. Does nothing where it has been called before.
 *
 * Return: 0, also where domains lack dirty tracking; -EINTR if the process was
 * killed, with nothing tracked that was not before.
 * Context: takes &io_pagetable.tracking_mutex, &io_pagetable.domains_rwsem for
 * reading and &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_start_tracking(struct io_pagetable *iopt)
{
	int rc;

	if (mutex_lock_killable(&iopt->tracking_mutex))
		return -EINTR;
	rc = down_read_killable(&iopt->domains_rwsem);
	if (!rc) {
		rc = iopt_start_tracking_locked(iopt);
		up_read(&iopt->domains_rwsem);
	}
	mutex_unlock(&iopt->tracking_mutex);
	return rc;
}

/**
 * iopt_stop_tracking() - end what iopt_start_tracking() began
 * @iopt: the IOAS
 *
 * What has not been reported is discarded.
 *
 * Return: 0; -EINTR if the process was killed, with everything tracked as before.
 * Context: takes &io_pagetable.tracking_mutex, &io_pagetable.domains_rwsem for
 * reading and &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_stop_tracking(struct io_pagetable *iopt)
{
	int rc;

	if (mutex_lock_killable(&iopt->tracking_mutex))
		return -EINTR;
	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		goto out_mutex;
	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		goto out_domains;
	if (iopt->tracking) {
		iopt_track_disable_all(iopt);
		iopt->tracking = false;
		iova_set_clear(&iopt->spill);
	}
	up_write(&iopt->iova_rwsem);
out_domains:
	up_read(&iopt->domains_rwsem);
out_mutex:
	mutex_unlock(&iopt->tracking_mutex);
	return rc;
}

/**
 * iopt_set_pinned_scope() - set what the devices of a domain may write
 * @iopt: the IOAS
 * @domain: one of its domains; not of pinned scope when it is added
 * @pinned: nothing but pages that accesses have pinned
 *
 * A domain of pinned scope makes no result conservative. When one that lacks
 * dirty tracking becomes so, every page that is mapped then is in the next
 * result.
 *
 * Return: 0, or -ENOENT: @domain is not in @iopt.
 * Context: takes &io_pagetable.iova_rwsem.
 */
int iopt_set_pinned_scope(struct io_pagetable *iopt,
			  struct iommu_domain *domain, bool pinned)
{
	struct iopt_domain *entry;

	guard(rwsem_write)(&iopt->iova_rwsem);
	entry = iopt_find_domain(iopt, domain);
	if (!entry)
		return -ENOENT;
	if (pinned)
		iopt_dirty_flush_conservative(iopt, entry);
	entry->pinned_scope = pinned;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_pinned_scope, IOMMU_IOPT);

/* Query one domain for a window. */
static int iopt_track_query_domain(struct iopt_dirty_walk *walk,
				   struct iopt_domain *entry,
				   struct iova_bitmap *bitmap,
				   unsigned long iova, size_t length)
{
	struct iova_range range;
	int rc;

	walk->entry = entry;
	rc = iopt_dirty_lock_range(walk, &range, iova, iova + length - 1);
	if (rc)
		return rc;
	iommu_dirty_bitmap_init(&walk->dirty, bitmap, &walk->gather);
	rc = iopt_dirty_read_window(bitmap, iova, length, walk);
	if (!walk->query->no_clear)
		iopt_dirty_flush(entry->domain, &walk->dirty);
	iova_range_unlock(&entry->query_lock, &range);
	return rc;
}

/*
 * Report what no domain does. Check pinned pages before the spill: unpinning adds
 * to the spill first, so a page that is unpinned in between is still found.
 */
static int iopt_track_query_ioas(struct iopt_dirty_walk *walk,
				 struct iova_bitmap *bitmap,
				 unsigned long iova, unsigned long last,
				 bool conservative)
{
	struct io_pagetable *iopt = walk->iopt;
	unsigned long start, end;
	struct iopt_area *area;
	int rc = 0;

	walk->cleared = !walk->query->no_clear;
	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages)
			continue;
		cond_resched();
		start = max(iova, iopt_area_iova(area));
		end = min(last, iopt_area_last_iova(area));
		if (conservative)
			iopt_dirty_set(bitmap, start, end);
		else if (iopt_area_is_pinned(area))
			rc = iopt_dirty_set_pinned(area, bitmap, start, end,
						   true);
		if (rc)
			return rc;
		iova_set_take(&iopt->spill, start, end,
			      walk->query->no_clear, iopt_dirty_set, bitmap);
	}
	return 0;
}

static int iopt_track_read_window(struct iova_bitmap *bitmap,
				  unsigned long iova, size_t length,
				  void *opaque)
{
	struct iopt_dirty_walk *walk = opaque;
	bool conservative = false;
	struct iopt_domain *entry;
	unsigned long i;
	int rc;

	iopt_for_each_domain(walk->iopt, i, entry) {
		conservative |= iopt_domain_is_conservative(entry);
		if (!entry->tracking)
			continue;
		rc = iopt_track_query_domain(walk, entry, bitmap, iova, length);
		if (rc)
			return rc;
	}
	return iopt_track_query_ioas(walk, bitmap, iova, iova + length - 1,
				     conservative);
}

/* Query the IOAS for a window: an iopt_dirty_window_fn. */
static int iopt_track_query_window(struct iopt_dirty_walk *walk,
				   struct iova_bitmap *bitmap,
				   unsigned long iova, unsigned long last)
{
	if (!walk->iopt->tracking)
		return -EINVAL;
	return iova_bitmap_for_each(bitmap, walk, iopt_track_read_window);
}

/*
 * Find the words of the bitmap to clear for the first area from @iova on. Return:
 * 1, with @iova set to where to go on; 0 where there is none; -EINTR.
 */
static int iopt_track_next_words(const struct iopt_dirty_walk *walk,
				 unsigned long *iova, unsigned long *first,
				 unsigned long *last)
{
	const struct iopt_dirty_query *query = walk->query;
	unsigned long shift = __ffs(query->page_size);
	struct iopt_area *area;
	int rc = 0;

	if (down_read_killable(&walk->iopt->iova_rwsem))
		return -EINTR;
	area = iopt_area_first(walk->iopt, *iova, walk->last);
	while (area && !area->pages)
		area = iopt_area_next(area, *iova, walk->last);
	if (area) {
		*first = max(iopt_area_iova(area), query->iova) - query->iova;
		*last = min(iopt_area_last_iova(area), walk->last) -
			query->iova;
		*iova = query->iova + *last + 1;
		*first = DIV_ROUND_UP(*first >> shift, BITS_PER_TYPE(u64));
		*last = (*last >> shift) / BITS_PER_TYPE(u64);
		rc = 1;
	}
	up_read(&walk->iopt->iova_rwsem);
	return rc;
}

/* Clear words of the bitmap: see &iopt_dirty_query.overwrite. */
static int iopt_track_overwrite(const struct iopt_dirty_walk *walk)
{
	unsigned long iova = walk->query->iova, first, last;
	int rc;

	while ((rc = iopt_track_next_words(walk, &iova, &first, &last)) > 0) {
		if (first <= last)
			rc = iopt_clear_user(walk->query->data + first,
					     (last - first + 1) * sizeof(u64));
		if (rc < 0)
			return rc;
		if (iova - 1 == walk->last)
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return rc;
}

static int iopt_track_query_check(struct iopt_dirty_walk *walk)
{
	int rc;

	if (down_read_killable(&walk->iopt->iova_rwsem))
		return -EINTR;
	rc = iopt_dirty_check(walk->iopt, walk->query, &walk->last);
	if (!rc && !walk->iopt->tracking)
		rc = -EINVAL;
	up_read(&walk->iopt->iova_rwsem);
	return rc;
}

/**
 * iopt_read_dirty() - read and clear what is dirty in a whole IOAS
 * @iopt: the IOAS
 * @query: the request
 *
 * Written by devices through any domain, or by accesses; pages that accesses have
 * pinned are dirty as long as they are. Bits of IOVAs that are not mapped stay as
 * they are, but for words that are overwritten.
 *
 * After an error no dirty bit is lost, but the bitmap may have changed; see
 * iopt_read_and_clear_dirty().
 *
 * Return:
 * * 0 on success
 * * -EINVAL: the length is zero, the page size is no power of two, the range is
 *   not aligned to it or to the alignment of the IOAS, or tracking is disabled
 * * -EOVERFLOW: the range wraps
 * * -EFAULT: the bitmap cannot be written
 * * -ENOMEM: out of memory
 * * -EINTR: the process was killed
 * * an errno of a driver
 * Context: takes &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_read_dirty(struct io_pagetable *iopt,
		    const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = { .iopt = iopt, .query = query };
	int rc;

	rc = iopt_track_query_check(&walk);
	if (!rc && query->overwrite)
		rc = iopt_track_overwrite(&walk);
	if (rc)
		return rc;
	rc = iopt_dirty_walk_windows(&walk, iopt_track_query_window);
	if (rc)
		iopt_dirty_restore(&walk, &iopt->spill, &iopt->tracking);
	return rc;
}
