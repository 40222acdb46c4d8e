// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: dirty
 *
 * What devices wrote through one domain: iopt_dirty_walk.c tells how that is
 * asked. In-kernel users write without an IOMMU. What they hold for writing is
 * dirty in every answer, as they may be writing right now; once they let go of
 * it, it is so in the next one, which they tell the spills.
 */
#include <linux/cleanup.h>
#include <linux/export.h>

#include "iopt_area.h"
#include "iopt_dirty_walk.h"

/**
 * iopt_note_write() - an in-kernel user wrote
 * @iopt: the table
 * @iova: first byte
 * @last: last byte
 *
 * Context: &io_pagetable.iova_rwsem held.
 */
void iopt_note_write(struct io_pagetable *iopt, unsigned long iova,
		     unsigned long last)
{
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held(&iopt->iova_rwsem);

	iopt_for_each_domain(iopt, i, entry)
		if (entry->tracking)
			dirty_spill_add(&entry->spill, iova, last);
	if (iopt->tracking)
		dirty_spill_add(&iopt->spill, iova, last);
}

/**
 * iopt_forget_dirty() - IOVAs lose their meaning
 * @iopt: the table
 * @iova: first byte of what is unmapped
 * @last: last byte
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_forget_dirty(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last)
{
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	iopt_for_each_domain(iopt, i, entry)
		if (!dirty_spill_empty(&entry->spill))
			dirty_spill_remove(&entry->spill, iova, last);
	if (!dirty_spill_empty(&iopt->spill))
		dirty_spill_remove(&iopt->spill, iova, last);
}

/* Whether a leaf may reach over the IOVA from one byte to the next. */
static bool iopt_leaf_across(struct iopt_dirty_walk *walk, unsigned long iova)
{
	struct iopt_area *area = iopt_area_first(walk->iopt, iova, iova);
	unsigned long leaf, last;

	if (!area || !area->pages || iova == iopt_area_last_iova(area))
		return false;
	iopt_leaf_of(walk->entry->domain, area, iova, &leaf, &last);
	return last > iova;
}

static int iopt_dirty_walk(struct iopt_dirty_walk *walk)
{
	struct iopt_domain *entry = walk->entry;
	unsigned long iova = walk->query->iova;
	struct iopt_dirty_chunk *chunk;
	bool alone;
	int rc = 0;

	/* Who is handed part of another query's leaf lets nobody in between. */
	alone = iopt_leaf_across(walk, walk->last) ||
		(iova && iopt_leaf_across(walk, iova - 1));
	if (alone)
		down_write(&entry->query_rwsem);
	else
		down_read(&entry->query_rwsem);

	iommu_dirty_bitmap_init(&walk->dirty, NULL, &walk->gather);
	list_for_each_entry(chunk, &walk->chunks, item) {
		rc = iova_bitmap_for_each(chunk->bitmap, walk,
					  iopt_dirty_window);
		if (rc)
			break;
	}
	if (!walk->query->no_clear) {
		iommu_iotlb_sync(entry->domain, &walk->gather);
		/*
		 * No driver fails once it has begun. If one does the caller
		 * will not look at the bitmap: tell all of it again.
		 */
		if (WARN_ON(rc))
			dirty_spill_add(&entry->spill, iova, walk->last);
	}

	if (alone)
		up_write(&entry->query_rwsem);
	else
		up_read(&entry->query_rwsem);
	return rc;
}

/**
 * iopt_read_and_clear_dirty() - tell what was written since it was last told
 * @iopt: the table
 * @domain: one of its domains
 * @query: the question
 *
 * Bits are only ever set, and only those of the range that was asked for; bits
 * of IOVAs that are not mapped stay as they are. Where the whole table is tracked
 * as well, either is told what the other has not been told.
 *
 * Return: 0; EINVAL for a length of zero, a page size that is no power of two,
 * a range that is not aligned to it or to the table's alignment, or where
 * iopt_set_dirty_tracking() has not turned tracking on; EOVERFLOW where the range
 * wraps; EFAULT where the bitmap cannot be written; ENOMEM; EOPNOTSUPP where the
 * domain has no dirty bits.
 * After an error everything is as dirty as before.
 * Context: takes &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain,
			      const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = {
		.iopt = iopt,
		.query = query,
		.chunks = LIST_HEAD_INIT(walk.chunks),
	};
	int rc;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;

	guard(rwsem_read)(&iopt->iova_rwsem);
	rc = iopt_dirty_check(iopt, query, &walk.last);
	if (rc)
		return rc;
	walk.entry = iopt_find_domain(iopt, domain);
	if (WARN_ON(!walk.entry) || !walk.entry->asked)
		return -EINVAL;

	rc = iopt_dirty_pin(&walk);
	if (!rc)
		rc = iopt_dirty_walk(&walk);
	iopt_dirty_free_chunks(&walk);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_read_and_clear_dirty, IOMMU_IOPT);

/**
 * iopt_dirty_read_all() - have a domain tell of all areas, and forget
 * @iopt: the table
 * @domain: one of its domains
 * @bitmap: is told, or NULL
 *
 * Hardware is seen to know that everything is clean.
 *
 * Return: 0, or what the driver gives.
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
int iopt_dirty_read_all(struct io_pagetable *iopt, struct iommu_domain *domain,
			struct iova_bitmap *bitmap)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	struct iopt_area *area;
	int rc = 0;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	iommu_dirty_bitmap_init(&dirty, bitmap, &gather);
	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		if (!area->pages)
			continue;
		rc = domain->dirty_ops->read_and_clear_dirty(domain,
				iopt_area_iova(area), iopt_area_length(area), 0,
				&dirty);
		if (rc)
			break;
	}
	iommu_iotlb_sync(domain, &gather);
	return rc;
}

/**
 * iopt_dirty_turn_on() - have a domain track, with everything clean
 * @iopt: the table
 * @entry: a domain that has dirty bits and does not track
 *
 * Return: 0, or what the driver gives; then it does not track.
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
int iopt_dirty_turn_on(struct io_pagetable *iopt, struct iopt_domain *entry)
{
	const struct iommu_dirty_ops *ops = entry->domain->dirty_ops;
	int rc;

	rc = ops->set_dirty_tracking(entry->domain, true);
	if (rc)
		return rc;
	rc = iopt_dirty_read_all(iopt, entry->domain, NULL);
	if (rc) {
		ops->set_dirty_tracking(entry->domain, false);
		return rc;
	}
	entry->tracking = true;
	return 0;
}

/**
 * iopt_dirty_turn_off() - have a domain track no more
 * @entry: a domain that does
 *
 * Return: 0, or what the driver gives; then it goes on tracking.
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
int iopt_dirty_turn_off(struct iopt_domain *entry)
{
	struct iommu_domain *domain = entry->domain;
	int rc = domain->dirty_ops->set_dirty_tracking(domain, false);

	if (rc)
		return rc;
	dirty_spill_clear(&entry->spill);
	entry->tracking = false;
	return 0;
}

/**
 * iopt_set_dirty_tracking() - turn dirty tracking on or off
 * @iopt: the table
 * @domain: one of its domains
 * @enable: on, with everything clean; on when it is on does nothing
 *
 * While the whole table is tracked the domain is on without this. Then it starts
 * with what is dirty, and it is not turned off.
 *
 * Return: 0; EOPNOTSUPP where the domain has no dirty bits; what its driver
 * gives, with tracking as before.
 * Context: takes the table's locks; may sleep.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable)
{
	struct iopt_domain *entry;
	int rc = 0;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	entry = iopt_find_domain(iopt, domain);
	if (WARN_ON(!entry))
		return -EINVAL;
	if (enable == entry->asked)
		return 0;
	if (enable && !entry->tracking) {
		/* The table has not been told what was written until now. */
		iopt_track_untold(iopt, entry);
		rc = iopt_dirty_turn_on(iopt, entry);
	} else if (!enable && !iopt->tracking) {
		rc = iopt_dirty_turn_off(entry);
	}
	if (rc)
		return rc;
	entry->asked = enable;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_dirty_tracking, IOMMU_IOPT);
