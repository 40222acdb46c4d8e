// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tracking of an IOAS
 *
 * A type1 query covers the whole container, across all of its domains. The result
 * is the union of
 *  - the dirty bits of every domain that supports dirty tracking;
 *  - pages that accesses have pinned, or have written through iopt_rw();
 *  - every mapped page, if any domain lacks dirty tracking and its devices may
 *    write pages that no access has pinned.
 *
 * The spill of the IOAS has dirty IOVAs that no later query finds in one of these places:
 * pages that were unpinned, pages that iopt_rw() has written, and pages that a domain had
 * not reported when it was removed, got pinned scope, or began to track.
 */
#include <kunit/static_stub.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "clear_user.h"
#include "dirty/iopt_dirty.h"
#include "dirty/iopt_dirty_walk.h"
#include "dirty/iopt_protect.h"
#include "dirty/iopt_track.h"
#include "iopt_trace.h"
#include "space/iopt_area.h"

/**
 * iopt_record_unpin() - record that an access unpins pages that it pinned for reading
 * @iopt: the IOAS
 * @iova: first IOVA
 * @last: last IOVA
 *
 * In the type1 ABI every pinned page is dirty, even if it was pinned for reading. Adds
 * the range to the spill of the IOAS, if the IOAS is tracked, but to no spill of a
 * domain.
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
 * iopt_track_add_domain() - enable tracking of a new domain if the IOAS is tracked
 * @iopt: the IOAS
 * @entry: the domain, not filled yet
 *
 * Does nothing if the domain does not support dirty tracking. If the driver fails, the
 * domain does not track.
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

/* An iova_bitmap_spill_fn_t: add a range to the spill of the IOAS. */
static void iopt_track_spill(void *opaque, unsigned long iova,
			     unsigned long last)
{
	iova_set_add(opaque, iova, last, GFP_ATOMIC);
}

/* Read and clear all dirty bits of a domain. */
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
	iopt_dirty_flush_iotlb(domain, &dirty);
	return rc;
}

/*
 * Move the dirty bits and the spill of a domain to the spill of the IOAS. On an error add
 * all IOVAs instead.
 */
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
	/* If the driver fails, the domain continues to track. */
	if (entry->tracking && !entry->requested)
		iopt_dirty_disable(entry);
}

/**
 * iopt_track_remove_domain() - save the dirty bits of a domain before its removal
 * @iopt: the IOAS
 * @entry: the domain, still filled
 *
 * Does nothing unless the IOAS is tracked.
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

	lockdep_assert_held_write(&iopt->iova_rwsem);

	list_for_each_entry(entry, &iopt->domains, item)
		iopt_track_disable(entry);
}

static int iopt_start_tracking_locked(struct io_pagetable *iopt)
{
	struct iopt_domain *entry;
	int rc = 0;

	lockdep_assert_held(&iopt->tracking_mutex);

	if (iopt->tracking)
		return 0;
	list_for_each_entry(entry, &iopt->domains, item) {
		if (!entry->domain->dirty_ops || entry->tracking)
			continue;
		/* If the driver fails, results are conservative, as without dirty_ops. */
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
 * iopt_start_tracking() - start tracking dirty pages of a whole IOAS
 * @iopt: the IOAS
 *
 * Starts with all dirty bits cleared, except those of domains that
 * iopt_set_dirty_tracking() made track before. Does nothing if the IOAS is tracked
 * already. Succeeds even if domains lack dirty tracking.
 *
 * Return: 0, or, with nothing changed,
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.tracking_mutex, &io_pagetable.domains_rwsem for
 * reading and &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_start_tracking(struct io_pagetable *iopt)
{
	u64 begin = iopt_trace_begin(iopt_track);
	int rc;

	if (mutex_lock_killable(&iopt->tracking_mutex))
		return -EINTR;
	rc = down_read_killable(&iopt->domains_rwsem);
	if (!rc) {
		rc = iopt_start_tracking_locked(iopt);
		up_read(&iopt->domains_rwsem);
	}
	mutex_unlock(&iopt->tracking_mutex);
	trace_iopt_track(iopt->id, NULL, true, rc, iopt_trace_ns(begin));
	return rc;
}

/**
 * iopt_stop_tracking() - undo iopt_start_tracking()
 * @iopt: the IOAS
 *
 * Discards dirty bits that were not reported, except those of domains that
 * iopt_set_dirty_tracking() made track. Does nothing if the IOAS is not tracked.
 *
 * Return: 0, or, with nothing changed,
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.tracking_mutex, &io_pagetable.domains_rwsem for
 * reading and &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_stop_tracking(struct io_pagetable *iopt)
{
	u64 begin = iopt_trace_begin(iopt_track);
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
	trace_iopt_track(iopt->id, NULL, false, rc, iopt_trace_ns(begin));
	return rc;
}

/**
 * iopt_set_pinned_scope() - set whether devices of a domain only write pinned pages
 * @iopt: the IOAS
 * @domain: the domain; iopt_table_add_domain() adds it without pinned scope
 * @pinned: the devices only write pages that accesses have pinned
 *
 * A domain with pinned scope does not make results conservative. When a domain that does
 * not track gets pinned scope, the next query reports every page that is mapped then.
 *
 * Return: 0, or
 * * -ENOENT: @domain is not in @iopt
 * Context: takes &io_pagetable.iova_rwsem for writing; may sleep.
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
	if (walk->protect)
		rc = iopt_protect_window(walk, iova, iova + length - 1);
	iommu_dirty_bitmap_init(&walk->dirty, bitmap, &walk->gather);
	rc = rc ?: iopt_dirty_read_window(bitmap, iova, length, walk);
	if (!walk->query->no_clear)
		iopt_dirty_flush_iotlb(entry->domain, &walk->dirty);
	iova_range_unlock(&entry->query_lock, &range);
	return rc;
}

/*
 * Report the dirty IOVAs of a window that no domain reports. Check pinned pages before
 * the spill: unpinning adds the pages to the spill before it drops the pins, so a page
 * unpinned in between is still found.
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

/* Read a window from every domain that tracks, and from the IOAS: an iova_bitmap_fn_t. */
static int iopt_track_read_window(struct iova_bitmap *bitmap,
				  unsigned long iova, size_t length,
				  void *opaque)
{
	struct iopt_dirty_walk *walk = opaque;
	bool conservative = false;
	struct iopt_domain *entry;
	int rc;

	list_for_each_entry(entry, &walk->iopt->domains, item) {
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
 * Find the 64-bit words of the bitmap to clear for the first published area at or after
 * @iova. If @first exceeds @last, the area has no word to clear. Return: 1, with @iova
 * set to the IOVA behind the area; 0 if there is no such area; -EINTR if the process
 * received a fatal signal.
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

/* Check a query. Return: as iopt_read_dirty(). */
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

/* Query the IOAS. Return: as iopt_read_dirty(). */
static int iopt_track_query(struct iopt_dirty_walk *walk)
{
	struct io_pagetable *iopt = walk->iopt;
	u64 begin = local_clock();
	int rc;

	rc = iopt_track_query_check(walk);
	if (!rc && walk->query->overwrite)
		rc = iopt_track_overwrite(walk);
	if (rc)
		return rc;
	rc = iopt_dirty_walk_windows(walk, iopt_track_query_window);
	if (rc)
		iopt_dirty_restore(walk, &iopt->spill, &iopt->tracking);
	iopt_dirty_count(walk, NULL, begin, rc);
	return rc;
}

/**
 * iopt_read_dirty() - read and clear the dirty bits of a whole IOAS
 * @iopt: the IOAS
 * @query: the query
 *
 * See "tracking of an IOAS" for the pages that are reported. A page that an access has
 * pinned is dirty in every result until it is unpinned, and once more after that. Bits of
 * IOVAs that are not mapped do not change, except in words that
 * &iopt_dirty_query.overwrite clears.
 *
 * No dirty bit is lost after an error, as with iopt_read_and_clear_dirty(). The bitmap
 * may have changed.
 *
 * Return: 0, or
 * * -EINVAL: the length is 0; the page size is not a power of two; the range is not
 *   aligned to the page size and to &io_pagetable.iova_alignment; or the IOAS is not
 *   tracked
 * * -EOVERFLOW: the range wraps
 * * -EFAULT: the bitmap is not writable memory
 * * -ENOMEM: out of memory
 * * -EINTR: the process received a fatal signal
 * * another error of pinning the bitmap, or the error of an IOMMU driver
 * Context: the caller serialises calls for one IOAS; takes &io_pagetable.iova_rwsem for
 * reading; may sleep.
 */
int iopt_read_dirty(struct io_pagetable *iopt,
		    const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = { .iopt = iopt, .query = query };

	return iopt_track_query(&walk);
}

/**
 * iopt_read_dirty_protected() - query a range that is about to be unmapped
 * @iopt: the IOAS
 * @query: the query
 *
 * As iopt_read_dirty(), and makes pages read-only for devices before their dirty bits are
 * read: see "the last query before an unmap". Unless the caller unmaps the range, it
 * calls iopt_unprotect(), also after an error.
 *
 * Return: as iopt_read_dirty().
 * Context: as iopt_read_dirty().
 */
int iopt_read_dirty_protected(struct io_pagetable *iopt,
			      const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = {
		.iopt = iopt,
		.query = query,
		.protect = true,
	};

	KUNIT_STATIC_STUB_REDIRECT(iopt_read_dirty_protected, iopt, query);

	return iopt_track_query(&walk);
}
