// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: unmap
 *
 * An unmap takes whole areas. For each it first makes accesses unpin, without a
 * lock; then unpublishes the area, unmaps it from every domain and unpins its
 * pages; and frees the IOVAs last.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "dirty/iopt_dirty_walk.h"
#include "domains/area_fill.h"
#include "iopt.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/* How often an access is notified before it counts as one that does not unpin. */
#define IOPT_UNMAP_TRIES	100

/*
 * Make every access unpin what it has pinned of a range. No lock is held. Return:
 * false where an access was not notified because it is going away.
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
 * Notify, once more, accesses of a range that is still pinned. Return: 0, to look
 * again; -EDEADLOCK after IOPT_UNMAP_TRIES.
 */
static int iopt_unpin_accesses(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long length, unsigned int *tries)
{
	if (*tries == IOPT_UNMAP_TRIES) {
		pr_warn_once("iopt: an access does not unpin IOVA %#lx when notified, it stays mapped\n",
			     iova);
		return -EDEADLOCK;
	}
	/* What is going away unpins by itself, on another thread. */
	if (iopt_notify_unmap(iopt, iova, length))
		++*tries;
	else
		schedule_timeout_uninterruptible(1);
	return 0;
}

/* Take an area off: it is hidden first, then emptied, then its IOVAs are free. */
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

/**
 * struct iopt_unmap - a range that is being unmapped
 * @start: everything in front of it is done
 * @last: last byte
 * @bytes: bytes unmapped
 * @tries: how often users of the area at @start were asked to unpin
 */
struct iopt_unmap {
	unsigned long start;
	unsigned long last;
	unsigned long bytes;
	unsigned int tries;
};

/*
 * Unmap areas until the end, or until one has users that have to be asked first:
 * then gives 1, with @area_iova and @length of that one.
 */
static int iopt_unmap_some(struct io_pagetable *iopt, struct iopt_unmap *unmap,
			   unsigned long *area_iova, unsigned long *length)
{
	struct iopt_area *area;
	unsigned long area_last;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	while ((area = iopt_area_first(iopt, unmap->start, unmap->last))) {
		if (!area->pages)
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
		cond_resched();
		unmap->bytes += *length;
		unmap->tries = 0;
		/* Others may map where we have been: that is not ours. */
		if (area_last == unmap->last)
			break;
		unmap->start = area_last + 1;
	}
	return 0;
}

static int iopt_unmap_range(struct io_pagetable *iopt, unsigned long start,
			    unsigned long last, unsigned long *unmapped)
{
	struct iopt_unmap unmap = { .start = start, .last = last };
	unsigned long iova, length;
	int rc;

	while ((rc = iopt_unmap_some(iopt, &unmap, &iova, &length)) > 0) {
		unmap.start = iova;
		rc = iopt_unpin_accesses(iopt, iova, length, &unmap.tries);
		if (rc) {
			/* The area stays, and so it can be used again. */
			iopt_allow_access(iopt, iova, iova + length - 1);
			break;
		}
	}
	if (unmapped)
		*unmapped = unmap.bytes;
	return rc;
}

/**
 * iopt_unmap_iova() - unmap all areas of a range
 * @iopt: the table
 * @iova: first byte
 * @length: bytes
 * @unmapped: set to the bytes that were unmapped, also after an error; or NULL
 *
 * In-kernel users are told to unpin before.
 *
 * Return: 0, also where nothing is mapped; EINVAL for a length of zero,
 * EOVERFLOW where the range wraps, ENOENT where it would cut an area, EBUSY where
 * somebody else is mapping or unmapping there, EDEADLOCK where an in-kernel user
 * does not unpin.
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long *unmapped)
{
	unsigned long last;

	if (unmapped)
		*unmapped = 0;
	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	return iopt_unmap_range(iopt, iova, last, unmapped);
}
EXPORT_SYMBOL_NS_GPL(iopt_unmap_iova, IOMMU_IOPT);

/**
 * iopt_unmap_all() - unmap everything
 * @iopt: the table
 * @unmapped: as for iopt_unmap_iova(); ULONG_MAX bytes and one look like 0
 *
 * Return: as iopt_unmap_iova().
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	return iopt_unmap_range(iopt, 0, ULONG_MAX, unmapped);
}
EXPORT_SYMBOL_NS_GPL(iopt_unmap_all, IOMMU_IOPT);

/*
 * Prevent access to what is going to be unmapped. Return: 1, with @pinned set to
 * the first IOVA of the first area that is still pinned; 0 where none is; -errno.
 */
static int iopt_prevent_access(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last, unsigned long *pinned)
{
	struct iopt_area *area;
	int rc = 0;

	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages)
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
 * Unmap the areas that access was prevented to. The lock is dropped for each, and
 * others may map something there: that stays.
 */
static unsigned long iopt_unmap_prevented(struct io_pagetable *iopt,
					  unsigned long iova,
					  unsigned long last)
{
	unsigned long area_last, bytes = 0;
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	area = iopt_area_first(iopt, iova, last);
	while (area) {
		area_last = iopt_area_last_iova(area);
		if (area->pages && area->prevent_access &&
		    !area->num_accesses) {
			bytes += iopt_area_length(area);
			iopt_unmap_area(iopt, area);
			cond_resched();
		}
		if (area_last >= last)
			break;
		area = iopt_area_first(iopt, area_last + 1, last);
	}
	return bytes;
}

/* Prevent access to all areas of a range, and wait until none is pinned. */
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
 * iopt_unmap_dirty() - unmap all areas of a range and report what is dirty there
 * @iopt: the IOAS
 * @query: the request; what is reported is cleared, whatever it says
 * @unmapped: set to the bytes that were unmapped, 0 after an error
 *
 * Accesses unpin first. What was written before the call is reported; what a
 * device writes meanwhile may be.
 *
 * Return: as iopt_read_dirty(), and
 * * -ENOENT: an area lies in the range only in part
 * * -EBUSY: an area is being mapped or unmapped
 * * -EDEADLOCK: an access does not unpin
 * After an error nothing is unmapped and no dirty bit is lost.
 * Context: takes &io_pagetable.domains_rwsem for reading and
 * &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_unmap_dirty(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query,
		     unsigned long *unmapped)
{
	struct iopt_dirty_query clear = *query;
	unsigned long last;
	int rc;

	*unmapped = 0;
	clear.no_clear = false;
	scoped_cond_guard(rwsem_read_kill, return -EINTR, &iopt->iova_rwsem) {
		rc = iopt_dirty_check(iopt, query, &last);
		if (!rc && !iopt->tracking)
			rc = -EINVAL;
	}
	if (rc)
		return rc;

	rc = iopt_prevent_and_notify(iopt, query->iova, last);
	/* From here on no access writes to these areas. */
	rc = rc ?: iopt_read_dirty(iopt, &clear);
	if (rc)
		iopt_allow_access(iopt, query->iova, last);
	else
		*unmapped = iopt_unmap_prevented(iopt, query->iova, last);
	return rc;
}
