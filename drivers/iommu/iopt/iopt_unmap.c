// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: unmap
 *
 * An unmap removes whole areas. For each area it makes accesses unpin, without locks
 * held. Then it unpublishes the area, unmaps it from every domain, and unpins the pages
 * that have no other user. At last it releases the IOVAs.
 *
 * An area that an access locks cannot be unmapped: &iopt_access.locks_areas. A range with
 * such an area is left as it is, and no access is notified.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "dirty/iopt_dirty_walk.h"
#include "dirty/iopt_protect.h"
#include "domains/area_fill.h"
#include "iopt.h"
#include "iopt_trace.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/* Number of times that accesses are notified of an area before the unmap fails. */
#define IOPT_UNMAP_TRIES	100

/*
 * Call &iopt_access_ops.unmap of every access for a range, without locks held. Return:
 * false if an access was not notified because it is being destroyed.
 */
static bool iopt_notify_unmap(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long length)
{
	struct iopt_access *access;
	bool all = true;
	unsigned long i;

	xa_lock(&iopt->access_list);
	xa_for_each(&iopt->access_list, i, access) {
		if (!access->ops->get(access)) {
			all = false;
			continue;
		}
		xa_unlock(&iopt->access_list);
		access->ops->unmap(access, iova, length);
		access->ops->put(access);
		xa_lock(&iopt->access_list);
	}
	xa_unlock(&iopt->access_list);
	return all;
}

/*
 * Notify accesses of a range that is still pinned. Return: 0 if the caller shall check
 * again whether it is pinned; -EDEADLOCK after IOPT_UNMAP_TRIES calls.
 */
static int iopt_unpin_accesses(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long length, unsigned int *tries)
{
	if (*tries == IOPT_UNMAP_TRIES) {
		pr_warn_once("iopt: an access does not unpin IOVA %#lx when notified, it stays mapped\n",
			     iova);
		return -EDEADLOCK;
	}
	/* An access that is being destroyed is unpinned by the destroying task. */
	if (iopt_notify_unmap(iopt, iova, length))
		++*tries;
	else
		schedule_timeout_uninterruptible(1);
	return 0;
}

/*
 * Unpublish an area, unmap it from every domain, and release its IOVAs. Drops
 * &io_pagetable.iova_rwsem in between.
 */
static void iopt_unmap_area(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	area->pages = NULL;
	up_write(&iopt->iova_rwsem);

	iopt_area_unfill_domains(area, pages);
	iopt_pages_put(pages);

	down_write(&iopt->iova_rwsem);
	iopt_discard_dirty(iopt, iopt_area_iova(area),
			   iopt_area_last_iova(area));
	iopt_area_unlink(area);
	iopt->num_invalid -= area->vaddr_invalid;
	kfree(area);
}

/* Let accesses pin the areas of a range again. */
static void iopt_allow_access(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long last)
{
	struct iopt_area *area;

	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, iova, last) {
		area->prevent_access = false;
		cond_resched();
	}
}

/* Return: -EBUSY if an access locks an area of the range, else 0. */
static int iopt_check_locks(struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last)
{
	struct iopt_area *area;

	/* Saves the lock. iopt_unmap_areas() checks each area again, with it. */
	if (!READ_ONCE(iopt->num_locking))
		return 0;
	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, iova, last) {
		/* An access may pin or unpin it at the same time. */
		if (data_race(area->num_locks))
			return -EBUSY;
		cond_resched();
	}
	return 0;
}

/**
 * struct iopt_unmap - state of an unmap of a range
 * @start: first IOVA that is not unmapped yet
 * @last: last IOVA of the range
 * @bytes: number of bytes unmapped so far
 * @tries: number of times that accesses were notified of the area at @start
 * @unjoined: fail if any area is joined, as the caller has not checked that the range
 *	consists of whole mappings
 */
struct iopt_unmap {
	unsigned long start;
	unsigned long last;
	unsigned long bytes;
	unsigned int tries;
	bool unjoined;
};

/*
 * Unmap areas up to the end of the range, or up to an area with pinned pages. Return: 0
 * at the end; 1 if an area is pinned, with @area_iova and @length set to its range, and
 * &iopt_area.prevent_access set; -ENOENT or -EBUSY as iopt_unmap_iova().
 */
static int iopt_unmap_areas(struct io_pagetable *iopt, struct iopt_unmap *unmap,
			    unsigned long *area_iova, unsigned long *length)
{
	struct iopt_area *area;
	unsigned long area_last;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	if (unmap->unjoined && iopt->num_joined)
		return -ENOENT;
	while ((area = iopt_area_first(iopt, unmap->start, unmap->last))) {
		if (!area->pages || area->num_locks)
			return -EBUSY;
		area_last = iopt_area_last_iova(area);
		if (iopt_area_iova(area) < unmap->start ||
		    area_last > unmap->last)
			return -ENOENT;
		*area_iova = iopt_area_iova(area);
		*length = iopt_area_length(area);
		if (area->num_accesses) {
			area->prevent_access = true;
			return 1;
		}
		iopt_unmap_area(iopt, area);
		unmap->bytes += *length;
		unmap->tries = 0;
		/* Do not search again: another task may have mapped there since. */
		if (area_last == unmap->last)
			break;
		unmap->start = area_last + 1;
		cond_resched();
	}
	return 0;
}

/* Unmap every area of a range, as iopt_unmap_iova(). */
static int iopt_unmap_range(struct io_pagetable *iopt, struct iopt_unmap *unmap)
{
	unsigned long start = unmap->start, iova, length;
	u64 begin = iopt_trace_begin(iopt_unmap);
	int rc = iopt_check_locks(iopt, start, unmap->last);

	while (!rc && (rc = iopt_unmap_areas(iopt, unmap, &iova, &length)) > 0) {
		unmap->start = iova;
		rc = iopt_unpin_accesses(iopt, iova, length, &unmap->tries);
		if (rc)
			/* The area stays mapped: let accesses pin it again. */
			iopt_allow_access(iopt, iova, iova + length - 1);
	}
	trace_iopt_unmap(iopt->id, start, unmap->last, unmap->bytes, rc,
			 iopt_trace_ns(begin));
	return rc;
}

/**
 * iopt_unmap_iova() - unmap every area of a range
 * @iopt: the IOAS
 * @iova: first IOVA
 * @length: length in bytes
 * @unmapped: set to the number of bytes unmapped, also after an error; or NULL
 *
 * Accesses that have pinned pages of an area are notified, and unpin them first.
 *
 * Return: 0, also if nothing is mapped in the range, or, with the areas in front of the
 * one that failed unmapped,
 * * -EINVAL: @length is 0
 * * -EOVERFLOW: the range wraps
 * * -ENOENT: an area is only partly in the range
 * * -EBUSY: an area is being mapped or unmapped by another task, or an access locks an
 *   area of the range; no area is unmapped unless it was locked during the call
 * * -EDEADLOCK: an access does not unpin
 * Context: takes &io_pagetable.domains_rwsem for reading and &io_pagetable.iova_rwsem for
 * writing; calls &iopt_access_ops.unmap without them; may sleep.
 */
int iopt_unmap_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long *unmapped)
{
	struct iopt_unmap unmap = { .start = iova };
	int rc;

	if (!length)
		rc = -EINVAL;
	else if (check_add_overflow(iova, length - 1, &unmap.last))
		rc = -EOVERFLOW;
	else
		rc = iopt_unmap_range(iopt, &unmap);
	if (unmapped)
		*unmapped = unmap.bytes;
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_unmap_iova, IOMMU_IOPT);

/**
 * iopt_unmap_page() - unmap a mapping of one page
 * @iopt: the IOAS, whose areas all begin and end at pages
 * @iova: first IOVA, page aligned
 * @unmapped: as for iopt_unmap_iova()
 *
 * For callers that unmap mappings only as a whole: since at most one area overlaps the
 * page, they need not look for it first.
 *
 * Return: as iopt_unmap_iova(), also -ENOENT, with nothing changed, if @iopt has a joined
 * area: &iopt_area.joined.
 * Context: as iopt_unmap_iova().
 */
int iopt_unmap_page(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long *unmapped)
{
	struct iopt_unmap unmap = {
		.start = iova,
		.last = iova + PAGE_SIZE - 1,
		.unjoined = true,
	};
	int rc = iopt_unmap_range(iopt, &unmap);

	*unmapped = unmap.bytes;
	return rc;
}

/**
 * iopt_unmap_all() - unmap every area of an IOAS
 * @iopt: the IOAS
 * @unmapped: as for iopt_unmap_iova(); 0 if all IOVAs were mapped, as the sum overflows
 *
 * Return: as iopt_unmap_iova().
 * Context: as iopt_unmap_iova().
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	struct iopt_unmap unmap = { .last = ULONG_MAX };
	int rc = iopt_unmap_range(iopt, &unmap);

	if (unmapped)
		*unmapped = unmap.bytes;
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_unmap_all, IOMMU_IOPT);

/*
 * Set &iopt_area.prevent_access of every area of a range. Return: 0 if no area is
 * pinned; 1 with @pinned set to the first IOVA of the first area that is; -ENOENT or
 * -EBUSY, with nothing changed, as iopt_unmap_iova().
 */
static int iopt_prevent_access(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last, unsigned long *pinned)
{
	struct iopt_area *area;
	int rc = 0;

	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages || area->num_locks)
			return -EBUSY;
		if (iopt_area_iova(area) < iova ||
		    iopt_area_last_iova(area) > last)
			return -ENOENT;
		cond_resched();
	}
	iopt_for_each_area(area, iopt, iova, last) {
		area->prevent_access = true;
		cond_resched();
		if (rc || !area->num_accesses)
			continue;
		*pinned = iopt_area_iova(area);
		rc = 1;
	}
	return rc;
}

/*
 * Unmap the areas of a range that have &iopt_area.prevent_access set. The lock is dropped
 * for each area, and another task may map there meanwhile: its area stays mapped. Return:
 * false, with nothing unmapped, if a domain was added after @added of them.
 */
static bool iopt_unmap_inaccessible(struct io_pagetable *iopt,
				    unsigned long iova, unsigned long last,
				    unsigned int added, unsigned long *unmapped)
{
	struct iopt_area *area;
	unsigned long area_last;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	if (iopt->domains_added != added)
		return false;
	area = iopt_area_first(iopt, iova, last);
	while (area) {
		area_last = iopt_area_last_iova(area);
		if (area->pages && area->prevent_access &&
		    !area->num_accesses) {
			*unmapped += iopt_area_length(area);
			iopt_unmap_area(iopt, area);
		} else {
			/* Another unmap that failed lets accesses pin it again. */
			iopt_unprotect_area(area);
		}
		cond_resched();
		if (area_last >= last)
			break;
		area = iopt_area_first(iopt, area_last + 1, last);
	}
	return true;
}

/*
 * Query a range that no access can pin, and unmap it. A domain that is added after the
 * query maps the pages writable, so query again. Return: as iopt_unmap_dirty().
 */
static int iopt_query_and_unmap(struct io_pagetable *iopt,
				const struct iopt_dirty_query *query,
				unsigned long last, unsigned long *unmapped)
{
	struct iopt_dirty_query clear = *query;
	unsigned int added;
	int rc;

	clear.no_clear = false;
	do {
		scoped_guard(rwsem_read, &iopt->iova_rwsem)
			added = iopt->domains_added;
		rc = iopt_read_dirty_protected(iopt, &clear);
		if (rc) {
			iopt_unprotect(iopt, query->iova, last);
			return rc;
		}
		/* Keep the bits that are set. */
		clear.overwrite = false;
	} while (!iopt_unmap_inaccessible(iopt, query->iova, last, added,
					  unmapped));
	return 0;
}

/* Prevent accesses from pinning areas of a range, and wait until none is pinned. */
static int iopt_prevent_and_notify(struct io_pagetable *iopt,
				   unsigned long iova, unsigned long last)
{
	unsigned long pinned, notified = 0;
	unsigned int tries = 0;
	int rc;

	for (;;) {
		scoped_cond_guard(rwsem_write_kill, return -EINTR,
				  &iopt->iova_rwsem)
			rc = iopt_prevent_access(iopt, iova, last, &pinned);
		if (rc <= 0)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (pinned != notified)
			tries = 0;
		notified = pinned;
		rc = iopt_unpin_accesses(iopt, iova, last - iova + 1, &tries);
		if (rc)
			return rc;
	}
}

/**
 * iopt_unmap_dirty() - query the dirty bits of a range and unmap every area of it
 * @iopt: the IOAS
 * @query: the query; &iopt_dirty_query.no_clear is ignored
 * @unmapped: set to the number of bytes unmapped; 0 after an error
 *
 * Accesses unpin first. Every page that was written before it was unmapped is reported,
 * as far as the IOMMU driver allows: see "the last query before an unmap". While the call
 * is running, a write of a device may fault even if the call then fails.
 *
 * Return: as iopt_read_dirty(), or, with nothing unmapped and no dirty bit lost,
 * * -ENOENT: an area is only partly in the range
 * * -EBUSY: an area is being mapped or unmapped by another task, or an access locks it
 * * -EDEADLOCK: an access does not unpin
 * Context: the caller serialises this function and iopt_read_dirty() for one IOAS; takes
 * &io_pagetable.domains_rwsem for reading and &io_pagetable.iova_rwsem; calls
 * &iopt_access_ops.unmap without them; may sleep.
 */
int iopt_unmap_dirty(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query,
		     unsigned long *unmapped)
{
	u64 begin = iopt_trace_begin(iopt_unmap);
	unsigned long last;
	int rc;

	*unmapped = 0;
	scoped_cond_guard(rwsem_read_kill, return -EINTR, &iopt->iova_rwsem) {
		rc = iopt_dirty_check(iopt, query, &last);
		if (!rc && !iopt->tracking)
			rc = -EINVAL;
	}
	if (rc)
		return rc;

	rc = iopt_prevent_and_notify(iopt, query->iova, last);
	/* No access can write to the areas any more. */
	rc = rc ?: iopt_query_and_unmap(iopt, query, last, unmapped);
	if (rc)
		iopt_allow_access(iopt, query->iova, last);
	trace_iopt_unmap(iopt->id, query->iova, last, *unmapped, rc,
			 iopt_trace_ns(begin));
	return rc;
}
