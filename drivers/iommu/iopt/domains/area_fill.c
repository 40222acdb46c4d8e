// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: filling
 *
 * What an area has in its domains: either all of it or, after an error, nothing.
 * A page is unpinned by the last one who lets go of it, so emptying goes by the
 * trees of the iopt_pages: the area leaves the tree first, then its last domain
 * is unmapped, and whatever nothing else covers is unpinned, from the PFNs that
 * were read from the domain before.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "domains/area_fill.h"
#include "domains/iopt_domain.h"
#include "domains/iopt_leaf.h"
#include "domains/pfn_batch_map.h"
#include "memory/pages_pfnmap.h"
#include "memory/pfn_reader.h"

/* Unmap pages in a domain. They begin and end where maps or leaves do. */
static void iopt_area_unmap(struct iopt_area *area, struct iommu_domain *domain,
			    unsigned long index, unsigned long last)
{
	iopt_area_unmap_iova(area, domain, iopt_area_index_to_iova(area, index),
			     iopt_area_index_to_iova_last(area, last));
}

/* Unpin what nothing holds of a batch that begins at @index. */
static void iopt_pages_unpin_unused(struct iopt_pages *pages,
				    struct pfn_batch *batch,
				    unsigned long index)
{
	unsigned long end = index + batch->npages - 1;
	unsigned long from = index, to = end;

	while (iopt_pages_next_unused(pages, &from, &to)) {
		pfn_batch_unpin(batch, pages, from - index, to - from + 1);
		if (to == end)
			return;
		from = to + 1;
		to = end;
	}
}

/*
 * Take a range out of the last domain that has it. The area is not in the tree
 * of @pages. Hardware must be done with a page before it is unpinned.
 */
static void iopt_area_unmap_unpin(struct iopt_area *area,
				  struct iopt_pages *pages,
				  struct iommu_domain *domain,
				  unsigned long index, unsigned long last)
{
	unsigned long unused_index = index, unused_last = last;
	struct pfn_batch batch;

	lockdep_assert_held(&pages->mutex);

	if (!iopt_pages_next_unused(pages, &unused_index, &unused_last)) {
		iopt_area_unmap(area, domain, index, last);
		return;
	}
	pfn_batch_init(&batch, last - index + 1);
	/* Each of the three steps may take half of the time that is allowed. */
	for (;;) {
		pfn_batch_from_domain(&batch, area, pages, domain, index, last);
		cond_resched();
		iopt_area_unmap(area, domain, index, index + batch.npages - 1);
		cond_resched();
		iopt_pages_unpin_unused(pages, &batch, index);
		index += batch.npages;
		if (index > last)
			break;
		pfn_batch_clear(&batch);
	}
	pfn_batch_destroy(&batch);
}

/* The domain that an area's range goes into, or all of its table's. */
static struct iommu_domain *iopt_target(struct iopt_area *area,
					struct iommu_domain *only,
					unsigned int i)
{
	struct iopt_domain *entry;

	if (only)
		return i ? NULL : only;
	if (i >= area->iopt->next_domain_id)
		return NULL;
	entry = xa_load(&area->iopt->domains, i);
	return entry->domain;
}

/* Undo the first @nr domains of a batch that begins at @index. */
static void iopt_area_unmap_batch(struct iopt_area *area,
				  struct iommu_domain *only, unsigned int nr,
				  struct pfn_batch *batch, unsigned long index)
{
	while (nr--)
		iopt_area_unmap(area, iopt_target(area, only, nr), index,
				index + batch->npages - 1);
}

static int iopt_area_map_batch(struct iopt_area *area,
			       struct iommu_domain *only,
			       struct pfn_batch *batch, unsigned long index)
{
	struct iommu_domain *domain;
	int rc;

	iopt_area_update_leaf_flags(area, batch,
				    iopt_area_index_to_iova(area, index));
	for (unsigned int i = 0; (domain = iopt_target(area, only, i)); i++) {
		rc = pfn_batch_to_domain(batch, area, domain, index);
		if (rc) {
			iopt_area_unmap_batch(area, only, i, batch, index);
			return rc;
		}
	}
	return 0;
}

/* Nothing is pinned of a PFNMAP, and the process may take it away any time. */
static void iopt_area_unfill_pfnmap(struct iopt_area *area,
				    struct iopt_pages *pages,
				    struct iommu_domain *only)
{
	struct iommu_domain *domain;

	for (unsigned int i = 0; (domain = iopt_target(area, only, i)); i++)
		iopt_pfnmap_unfill(area, pages, domain);
}

static int iopt_area_fill_pfnmap(struct iopt_area *area,
				 struct iopt_pages *pages,
				 struct iommu_domain *only)
{
	struct iommu_domain *domain;
	int rc;

	for (unsigned int i = 0; (domain = iopt_target(area, only, i)); i++) {
		rc = iopt_pfnmap_fill(area, pages, domain);
		if (rc) {
			iopt_area_unfill_pfnmap(area, pages, only);
			return rc;
		}
	}
	return 0;
}

/* Undo everything in front of @end. */
static void iopt_area_unfill_until(struct iopt_area *area,
				   struct iopt_pages *pages,
				   struct iommu_domain *only, unsigned long end)
{
	unsigned long index = iopt_area_index(area);
	struct iommu_domain *domain;

	if (end == index)
		return;
	if (pages->ops->pfnmap) {
		iopt_area_unfill_pfnmap(area, pages, only);
		return;
	}
	for (unsigned int i = 1; (domain = iopt_target(area, only, i)); i++)
		iopt_area_unmap(area, domain, index, end - 1);
	iopt_area_unmap_unpin(area, pages, iopt_target(area, only, 0), index,
			      end - 1);
}

/* Put an area into one domain, or into all of its table's. */
static int iopt_area_fill(struct iopt_area *area, struct iopt_pages *pages,
			  struct iommu_domain *only)
{
	struct pfn_reader reader;
	unsigned long index;
	int rc;

	if (pages->ops->pfnmap)
		return iopt_area_fill_pfnmap(area, pages, only);
	pfn_reader_init(&reader, pages, iopt_area_index(area),
			iopt_area_last_index(area));
	while ((rc = pfn_reader_next(&reader)) > 0) {
		rc = iopt_area_map_batch(area, only, &reader.batch,
					 reader.index);
		if (rc)
			break;
		pfn_reader_keep_pins(&reader);
	}
	index = reader.index;
	pfn_reader_destroy(&reader);
	if (rc)
		iopt_area_unfill_until(area, pages, only, index);
	return rc;
}

static void iopt_area_set_storage(struct iopt_area *area,
				  struct iopt_pages *pages,
				  struct iommu_domain *domain)
{
	lockdep_assert_held(&pages->mutex);

	if (domain && !area->storage_domain)
		interval_tree_insert(&area->pages_node, &pages->domains_itree);
	else if (!domain && area->storage_domain)
		interval_tree_remove(&area->pages_node, &pages->domains_itree);
	area->storage_domain = domain;
}

/**
 * iopt_area_fill_domains() - map a new area in all domains of its table
 * @area: in no domain yet
 * @pages: what it maps; &iopt_area.pages is not set yet
 *
 * Return: 0; what pinning or mapping gave, and then everything is as before.
 * Context: &io_pagetable.domains_rwsem held; takes &iopt_pages.mutex.
 */
int iopt_area_fill_domains(struct iopt_area *area, struct iopt_pages *pages)
{
	struct iommu_domain *domain = iopt_target(area, NULL, 0);
	int rc;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (!domain)
		return 0;
	guard(mutex)(&pages->mutex);
	rc = iopt_area_fill(area, pages, NULL);
	if (rc)
		return rc;
	iopt_area_set_storage(area, pages, domain);
	return 0;
}

/**
 * iopt_area_unfill_domains() - unmap an area in all domains of its table
 * @area: &iopt_area.pages is not set any more
 * @pages: what it maps
 *
 * Cannot fail.
 *
 * Context: &io_pagetable.domains_rwsem held; takes &iopt_pages.mutex.
 */
void iopt_area_unfill_domains(struct iopt_area *area, struct iopt_pages *pages)
{
	lockdep_assert_held(&area->iopt->domains_rwsem);

	guard(mutex)(&pages->mutex);
	if (!area->storage_domain)
		return;
	iopt_area_set_storage(area, pages, NULL);
	iopt_area_unfill_until(area, pages, NULL,
			       iopt_area_last_index(area) + 1);
}

/**
 * iopt_area_fill_domain() - map an area in one more domain
 * @area: the area
 * @domain: has nothing there yet; not yet in the table
 *
 * Return: 0; what pinning or mapping gave, and then everything is as before.
 * Context: &io_pagetable.domains_rwsem held for writing; takes
 * &iopt_pages.mutex.
 */
int iopt_area_fill_domain(struct iopt_area *area, struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;
	int rc;

	lockdep_assert_held_write(&area->iopt->domains_rwsem);

	guard(mutex)(&pages->mutex);
	rc = iopt_area_fill(area, pages, domain);
	if (!rc && !area->storage_domain)
		iopt_area_set_storage(area, pages, domain);
	return rc;
}

/**
 * iopt_area_unfill_domain() - unmap an area in one domain
 * @area: the area
 * @domain: any that has it; where it is the storage domain it is the last one
 *
 * Cannot fail.
 *
 * Context: &io_pagetable.domains_rwsem held for writing; takes
 * &iopt_pages.mutex.
 */
void iopt_area_unfill_domain(struct iopt_area *area,
			     struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held_write(&area->iopt->domains_rwsem);

	guard(mutex)(&pages->mutex);
	if (pages->ops->pfnmap) {
		if (area->storage_domain == domain)
			iopt_area_set_storage(area, pages, NULL);
		iopt_pfnmap_unfill(area, pages, domain);
		return;
	}
	if (area->storage_domain != domain) {
		iopt_area_unmap(area, domain, iopt_area_index(area),
				iopt_area_last_index(area));
		return;
	}
	iopt_area_set_storage(area, pages, NULL);
	iopt_area_unmap_unpin(area, pages, domain, iopt_area_index(area),
			      iopt_area_last_index(area));
}

/**
 * iopt_area_move_storage() - read PFNs from another domain from now on
 * @area: the area
 * @from: is going to lose the area
 * @to: has it, and keeps it
 *
 * Context: takes &iopt_pages.mutex.
 */
void iopt_area_move_storage(struct iopt_area *area, struct iommu_domain *from,
			    struct iommu_domain *to)
{
	guard(mutex)(&area->pages->mutex);
	if (area->storage_domain == from)
		area->storage_domain = to;
}

/**
 * iopt_area_move_pfnmap() - map a PFNMAP from its new address
 * @area: of a PFNMAP, for which iopt_pfnmap_prepare_move() was called
 *
 * What the process does not have at the address is mapped nowhere, as what has
 * ended.
 *
 * Context: &io_pagetable.iova_rwsem held for writing; takes &iopt_pages.mutex.
 */
void iopt_area_move_pfnmap(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held_write(&area->iopt->iova_rwsem);

	guard(mutex)(&pages->mutex);
	iopt_area_unfill_pfnmap(area, pages, NULL);
	iopt_pfnmap_move(pages);
	if (area->storage_domain)
		iopt_area_fill_pfnmap(area, pages, NULL);
}
