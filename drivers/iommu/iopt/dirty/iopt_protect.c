// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the last query before an unmap
 *
 * A device may write a page after its dirty bit was read and before it is unmapped. An
 * unmap that reports dirty pages would miss such a write. So each window is made
 * read-only in every domain, and the IOTLB flushed, before the dirty bits are read. A
 * write that succeeds has set the dirty bit before that; a later one faults, as it does
 * after the unmap. If the query fails, the pages become writable again.
 *
 * This requires &iommu_dirty_ops.write_protect. Without it, and for areas that devices may
 * write but not read, a write during the unmap may be missed: such a page cannot be
 * read-only, as an entry that permits neither is not present.
 */
#include <linux/cleanup.h>
#include <linux/sched/signal.h>

#include "dirty/iopt_dirty_walk.h"
#include "dirty/iopt_protect.h"
#include "domains/iopt_leaf.h"
#include "memory/iopt_pages.h"

static bool iopt_may_protect(const struct iopt_area *area)
{
	const int rw = IOMMU_READ | IOMMU_WRITE;

	/* A notifier may unmap a PFNMAP at any time; all of it is reported anyway. */
	return area->pages && !area->pages->ops->pfnmap &&
	       (area->prot & rw) == rw;
}

/*
 * Make a range of an area read-only in a domain, or writable again. Changes whole leaves.
 * Return: 0; -EINTR if the range was to become read-only and a fatal signal is pending.
 */
static int iopt_protect_range(struct iopt_area *area,
			      struct iommu_domain *domain,
			      unsigned long start, unsigned long last,
			      bool protect, struct iommu_dirty_bitmap *dirty)
{
	bool small = iopt_area_has_small_leaves(area, domain);
	unsigned long end, unused;

	if (start > iopt_area_iova(area))
		iopt_find_leaf(domain, area, start, &start, &unused);
	for (;;) {
		end = iopt_dirty_step_last(area->iopt, domain, start, last,
					   small);
		domain->dirty_ops->write_protect(domain, start,
						 end - start + 1, protect,
						 dirty);
		if (end == last)
			return 0;
		if (protect && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		start = end + 1;
	}
}

/**
 * iopt_protect_window() - protect the pages of a window from writes of devices
 * @walk: the query, with &iopt_dirty_walk.entry set to the domain
 * @iova: first IOVA of the window
 * @last: last IOVA of the window
 *
 * The IOTLB is flushed when the function returns. Does nothing if the driver of the
 * domain does not implement it.
 *
 * Return: 0, or, with a part of the window made read-only,
 * * -EINTR: the process received a fatal signal
 * Context: &io_pagetable.iova_rwsem held for reading, the window locked by
 * iopt_dirty_lock_range(); may sleep.
 */
int iopt_protect_window(struct iopt_dirty_walk *walk, unsigned long iova,
			unsigned long last)
{
	struct iommu_domain *domain = walk->entry->domain;
	struct iopt_area *area;
	int rc = 0;

	lockdep_assert_held(&walk->iopt->iova_rwsem);

	if (!domain->dirty_ops->write_protect)
		return 0;
	iommu_dirty_bitmap_init(&walk->dirty, NULL, &walk->gather);
	iopt_for_each_area(area, walk->iopt, iova, last) {
		cond_resched();
		if (!iopt_may_protect(area))
			continue;
		rc = iopt_protect_range(area, domain,
					max(iova, iopt_area_iova(area)),
					min(last, iopt_area_last_iova(area)),
					true, &walk->dirty);
		if (rc)
			break;
	}
	iopt_dirty_flush_iotlb(domain, &walk->dirty);
	return rc;
}

/**
 * iopt_unprotect_area() - allow devices to write the pages of an area again
 * @area: an area; pages that are writable already do not change
 *
 * Context: &io_pagetable.iova_rwsem held; may sleep.
 */
void iopt_unprotect_area(struct iopt_area *area)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	struct iopt_domain *entry;

	lockdep_assert_held(&area->iopt->iova_rwsem);

	if (!iopt_may_protect(area))
		return;
	list_for_each_entry(entry, &area->iopt->domains, item) {
		const struct iommu_dirty_ops *ops = entry->domain->dirty_ops;

		if (!ops || !ops->write_protect)
			continue;
		iommu_dirty_bitmap_init(&dirty, NULL, &gather);
		iopt_protect_range(area, entry->domain, iopt_area_iova(area),
				   iopt_area_last_iova(area), false, &dirty);
		iopt_dirty_flush_iotlb(entry->domain, &dirty);
	}
}

/**
 * iopt_unprotect() - allow devices to write the pages of a range again
 * @iopt: the IOAS
 * @iova: first IOVA
 * @last: last IOVA
 *
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
 */
void iopt_unprotect(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long last)
{
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, iova, last) {
		iopt_unprotect_area(area);
		cond_resched();
	}
}
