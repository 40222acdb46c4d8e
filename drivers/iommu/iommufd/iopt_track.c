// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tracking of a table
 *
 * Type1 asks what is dirty of a container, whatever its domains are. The answer
 * is all that anybody may have written: what the domains that have dirty bits
 * tell, what in-kernel users hold, and everything as long as there is a domain
 * without dirty bits, unless its devices write nothing but what is held.
 *
 * What cannot be asked for a second time is kept in the table's spill: pages that
 * were let go of, what was written by copying, and all that a domain would have
 * been asked for that has left, or that needs not be asked any more.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/uaccess.h>

#include "iopt_area.h"
#include "iopt_dirty_walk.h"

/* Have everything that is mapped in a range in the next answer. */
static void iopt_track_add_areas(struct io_pagetable *iopt, unsigned long iova,
				 unsigned long last)
{
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, iova, last)
		if (area->pages)
			dirty_spill_add(&iopt->spill,
					max(iova, iopt_area_iova(area)),
					min(last, iopt_area_last_iova(area)));
}

/**
 * iopt_note_pin() - an in-kernel user lets go of what he has not written
 * @iopt: the table
 * @iova: first byte
 * @last: last byte
 *
 * To type1 pages are dirty because they are held.
 *
 * Context: &io_pagetable.iova_rwsem held.
 */
void iopt_note_pin(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long last)
{
	lockdep_assert_held(&iopt->iova_rwsem);

	if (iopt->tracking)
		dirty_spill_add(&iopt->spill, iova, last);
}

/* Whether what a domain's devices write can only be guessed. */
static bool iopt_track_coarse(const struct iopt_domain *entry)
{
	return !entry->tracking && !entry->pinned_scope;
}

/**
 * iopt_track_untold() - a domain that could tell nothing is about to change
 * @iopt: the table
 * @entry: the domain; nothing happens if it could
 *
 * What its devices may have written until now is in the next answer.
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_track_untold(struct io_pagetable *iopt, struct iopt_domain *entry)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (iopt->tracking && iopt_track_coarse(entry))
		iopt_track_add_areas(iopt, 0, ULONG_MAX);
}

/**
 * iopt_track_join() - a domain is about to be filled
 * @iopt: the table
 * @entry: the domain, empty
 *
 * Tracks if the table does and the driver can.
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_track_join(struct io_pagetable *iopt, struct iopt_domain *entry)
{
	const struct iommu_dirty_ops *ops = entry->domain->dirty_ops;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (iopt->tracking && ops)
		entry->tracking = !ops->set_dirty_tracking(entry->domain, true);
}

static void iopt_track_spill(void *opaque, unsigned long iova,
			     unsigned long last)
{
	dirty_spill_add(opaque, iova, last);
}

/* Take over what a domain would tell. Without memory that is everything. */
static void iopt_track_take(struct io_pagetable *iopt,
			    struct iopt_domain *entry)
{
	struct iova_bitmap *bitmap;
	int rc = -ENOMEM;

	bitmap = iova_bitmap_alloc_spill(iopt_track_spill, &iopt->spill);
	if (bitmap) {
		rc = iopt_dirty_read_all(iopt, entry->domain, bitmap);
		iova_bitmap_free(bitmap);
	}
	if (rc)
		iopt_track_add_areas(iopt, 0, ULONG_MAX);
	dirty_spill_move(&iopt->spill, &entry->spill);
}

/* Have a domain track no more, unless somebody else wants it to. */
static void iopt_track_release(struct iopt_domain *entry)
{
	/* If the driver does not want to, it just goes on. */
	if (entry->tracking && !entry->asked)
		iopt_dirty_turn_off(entry);
}

/**
 * iopt_track_leave() - a domain is about to be emptied
 * @iopt: the table
 * @entry: the domain, still filled
 *
 * What its devices wrote is in the next answer.
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_track_leave(struct io_pagetable *iopt, struct iopt_domain *entry)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (!iopt->tracking)
		return;
	iopt_track_untold(iopt, entry);
	if (entry->tracking)
		iopt_track_take(iopt, entry);
	iopt_track_release(entry);
}

/**
 * iopt_start_tracking() - follow dirty pages of the whole table
 * @iopt: the table
 *
 * Everything is clean, but for what userspace has tracked through a domain of
 * its own already. Does nothing where it has been called before.
 *
 * Return: 0: a domain that cannot tell what is dirty makes answers coarse.
 * Context: takes the table's locks; may sleep.
 */
int iopt_start_tracking(struct io_pagetable *iopt)
{
	struct iopt_domain *entry;
	unsigned long i;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	if (iopt->tracking)
		return 0;
	iopt_for_each_domain(iopt, i, entry)
		if (entry->domain->dirty_ops && !entry->tracking)
			iopt_dirty_turn_on(iopt, entry);
	iopt->tracking = true;
	return 0;
}

/**
 * iopt_stop_tracking() - follow them no more
 * @iopt: the table
 *
 * What has not been told is forgotten.
 *
 * Context: takes the table's locks; may sleep.
 */
void iopt_stop_tracking(struct io_pagetable *iopt)
{
	struct iopt_domain *entry;
	unsigned long i;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	if (!iopt->tracking)
		return;
	iopt_for_each_domain(iopt, i, entry)
		iopt_track_release(entry);
	iopt->tracking = false;
	dirty_spill_clear(&iopt->spill);
}

/**
 * iopt_set_pinned_scope() - tell what a domain's devices write
 * @iopt: the table
 * @domain: one of its domains; not of pinned scope when it joins
 * @pinned: nothing but pages that are pinned through an access
 *
 * Such a domain makes no answer coarse. One that was not like this, and could
 * not tell, has everything that is mapped now in the next answer.
 *
 * Return: 0, or ENOENT where the table does not have the domain.
 * Context: takes the table's locks.
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
		iopt_track_untold(iopt, entry);
	entry->pinned_scope = pinned;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_pinned_scope, IOMMU_IOPT);

/* Have one domain answer for a chunk; queries of the table want it alone. */
static int iopt_track_ask(struct iopt_dirty_walk *walk,
			  struct iopt_domain *entry, struct iova_bitmap *bitmap,
			  unsigned long iova, size_t length)
{
	int rc;

	guard(rwsem_write)(&entry->query_rwsem);
	walk->entry = entry;
	iommu_dirty_bitmap_init(&walk->dirty, bitmap, &walk->gather);
	rc = iopt_dirty_window(bitmap, iova, length, walk);
	if (!walk->query->no_clear)
		iommu_iotlb_sync(entry->domain, &walk->gather);
	return rc;
}

/*
 * What no domain tells. Who unpins tells the spill before he lets go, so what is
 * pinned has to be looked at first.
 */
static void iopt_track_rest(struct iopt_dirty_walk *walk,
			    struct iova_bitmap *bitmap, unsigned long iova,
			    unsigned long last, bool coarse)
{
	struct io_pagetable *iopt = walk->iopt;
	unsigned long start, end;
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages)
			continue;
		start = max(iova, iopt_area_iova(area));
		end = min(last, iopt_area_last_iova(area));
		if (coarse)
			iopt_dirty_set(bitmap, start, end);
		else if (iopt_area_is_held(area))
			iopt_dirty_pinned(area, bitmap, start, end, true);
		dirty_spill_take(&iopt->spill, start, end,
				 walk->query->no_clear, iopt_dirty_set, bitmap);
	}
}

static int iopt_track_window(struct iova_bitmap *bitmap, unsigned long iova,
			     size_t length, void *opaque)
{
	struct iopt_dirty_walk *walk = opaque;
	struct iopt_domain *entry;
	bool coarse = false;
	unsigned long i;
	int rc;

	iopt_for_each_domain(walk->iopt, i, entry) {
		coarse |= iopt_track_coarse(entry);
		if (!entry->tracking)
			continue;
		rc = iopt_track_ask(walk, entry, bitmap, iova, length);
		if (rc)
			return rc;
	}
	iopt_track_rest(walk, bitmap, iova, iova + length - 1, coarse);
	return 0;
}

/* Clear words of the bitmap: see &iopt_dirty_query.overwrite. */
static int iopt_track_overwrite(const struct iopt_dirty_walk *walk)
{
	const struct iopt_dirty_query *query = walk->query;
	unsigned long shift = __ffs(query->page_size);
	unsigned long first, last;
	struct iopt_area *area;

	iopt_for_each_area(area, walk->iopt, query->iova, walk->last) {
		if (!area->pages)
			continue;
		first = max(iopt_area_iova(area), query->iova) - query->iova;
		last = min(iopt_area_last_iova(area), walk->last) - query->iova;
		first = DIV_ROUND_UP(first >> shift, BITS_PER_TYPE(u64));
		last = (last >> shift) / BITS_PER_TYPE(u64);
		if (first <= last &&
		    clear_user(query->data + first,
			       (last - first + 1) * sizeof(u64)))
			return -EFAULT;
	}
	return 0;
}

static int iopt_track_walk(struct iopt_dirty_walk *walk)
{
	const struct iopt_dirty_query *query = walk->query;
	struct iopt_dirty_chunk *chunk;
	int rc;

	if (query->overwrite) {
		rc = iopt_track_overwrite(walk);
		if (rc)
			return rc;
	}
	list_for_each_entry(chunk, &walk->chunks, item) {
		rc = iova_bitmap_for_each(chunk->bitmap, walk,
					  iopt_track_window);
		if (!rc)
			continue;
		/* The caller will not look at the bitmap: tell it again. */
		if (!query->no_clear)
			iopt_track_add_areas(walk->iopt, query->iova,
					     walk->last);
		return rc;
	}
	return 0;
}

/**
 * iopt_read_dirty_locked() - answer for a whole table
 * @iopt: the table
 * @query: the question
 *
 * Return: as iopt_read_dirty().
 * Context: &io_pagetable.iova_rwsem held; may sleep.
 */
int iopt_read_dirty_locked(struct io_pagetable *iopt,
			   const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = {
		.iopt = iopt,
		.query = query,
		.chunks = LIST_HEAD_INIT(walk.chunks),
	};
	int rc;

	rc = iopt_dirty_check(iopt, query, &walk.last);
	if (rc)
		return rc;
	if (!iopt->tracking)
		return -EINVAL;

	rc = iopt_dirty_pin(&walk);
	if (!rc)
		rc = iopt_track_walk(&walk);
	iopt_dirty_free_chunks(&walk);
	return rc;
}

/**
 * iopt_read_dirty() - tell what was written since it was last told
 * @iopt: the table
 * @query: the question
 *
 * By devices, in all domains, and by in-kernel users. What these hold is dirty
 * as long as they do. Bits of IOVAs that are not mapped stay as they are, but for
 * what is overwritten.
 *
 * Return: 0; EINVAL for a length of zero, a page size that is no power of two,
 * a range that is not aligned to it or to the table's alignment, or where
 * tracking is off; EOVERFLOW where the range wraps; EFAULT where the bitmap
 * cannot be written; ENOMEM; what a driver gives. After an error everything is
 * as dirty as before, but the bitmap may have changed.
 * Context: takes &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_read_dirty(struct io_pagetable *iopt,
		    const struct iopt_dirty_query *query)
{
	guard(rwsem_read)(&iopt->iova_rwsem);
	return iopt_read_dirty_locked(iopt, query);
}
