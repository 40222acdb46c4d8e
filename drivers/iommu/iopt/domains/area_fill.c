// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: filling
 *
 * An area is filled into a domain when the domain maps all of it. A fill that fails
 * unmaps what it has mapped, so that no domain maps an area in part.
 *
 * A page may have other users: another area, or an access. An unfill therefore takes
 * these steps. It removes the area from &iopt_pages.domains_itree and unmaps it from
 * every domain but one. It reads the PFNs from the last domain, a batch at a time, and
 * unmaps the batch there. Then it unpins the pages of the batch that neither tree of
 * the iopt_pages covers any more.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "domains/area_fill.h"
#include "domains/iopt_domain.h"
#include "domains/iopt_leaf.h"
#include "domains/pfn_batch_map.h"
#include "memory/pages_pfnmap.h"
#include "memory/pfn_reader.h"

/* Unmap pages of an area from a domain. No leaf extends beyond the range. */
static void iopt_area_unmap(struct iopt_area *area, struct iommu_domain *domain,
			    unsigned long index, unsigned long last)
{
	iopt_area_unmap_iova(area, domain, iopt_area_index_to_iova(area, index),
			     iopt_area_index_to_iova_last(area, last));
}

/* Unpin the pages of a batch that have no user. Its first page index is @index. */
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

/* Unmap a range, and unpin its unused pages, a batch at a time. */
static noinline_for_stack void
iopt_area_unmap_unpin_batches(struct iopt_area *area, struct iopt_pages *pages,
			      struct iommu_domain *domain, unsigned long index,
			      unsigned long last)
{
	struct pfn_batch batch;

	pfn_batch_init(&batch, last - index + 1);
	/* Reading, unmapping and unpinning a batch take long: yield after each. */
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

/*
 * Unmap a range from the last domain that maps it, and unpin its pages that have no
 * other user. The area is no longer in &iopt_pages.domains_itree. A page is unpinned
 * after it was unmapped and the IOTLB was flushed: until then a device may access it.
 */
static void iopt_area_unmap_unpin(struct iopt_area *area,
				  struct iopt_pages *pages,
				  struct iommu_domain *domain,
				  unsigned long index, unsigned long last)
{
	unsigned long unused_index = index, unused_last = last;

	lockdep_assert_held(&pages->mutex);

	if (!iopt_pages_next_unused(pages, &unused_index, &unused_last)) {
		iopt_area_unmap(area, domain, index, last);
	} else if (pages->npages == 1) {
		iopt_area_unmap(area, domain, index, last);
		iopt_pages_unpin_sole(pages);
	} else {
		iopt_area_unmap_unpin_batches(area, pages, domain, index, last);
	}
}

/* Map a batch in every domain of a list. Its first page index is @index. */
static int iopt_area_map_batch(struct iopt_area *area,
			       struct list_head *domains,
			       struct pfn_batch *batch, unsigned long index)
{
	struct iopt_domain *entry;
	int rc;

	iopt_area_update_leaf_flags(area, batch,
				    iopt_area_index_to_iova(area, index));
	list_for_each_entry(entry, domains, item) {
		rc = pfn_batch_to_domain(batch, area, entry->domain, index);
		if (rc)
			goto err_unmap;
	}
	return 0;

err_unmap:
	list_for_each_entry_continue_reverse(entry, domains, item)
		iopt_area_unmap(area, entry->domain, index,
				index + batch->npages - 1);
	return rc;
}

/* A PFNMAP is not pinned, and is revoked when the process loses its mapping of it. */
static void iopt_area_unfill_pfnmap(struct iopt_area *area,
				    struct iopt_pages *pages,
				    struct list_head *domains)
{
	struct iopt_domain *entry;

	list_for_each_entry(entry, domains, item)
		iopt_pfnmap_unfill(area, pages, entry->domain);
}

static int iopt_area_fill_pfnmap(struct iopt_area *area,
				 struct iopt_pages *pages,
				 struct list_head *domains)
{
	struct iopt_domain *entry;
	int rc;

	list_for_each_entry(entry, domains, item) {
		rc = iopt_pfnmap_fill(area, pages, entry->domain);
		if (rc) {
			iopt_area_unfill_pfnmap(area, pages, domains);
			return rc;
		}
	}
	return 0;
}

/* Unfill the pages in front of page index @end, after a fill that reached @end. */
static void iopt_area_unfill_until(struct iopt_area *area,
				   struct iopt_pages *pages,
				   struct list_head *domains, unsigned long end)
{
	unsigned long index = iopt_area_index(area);
	struct iopt_domain *first, *entry;

	if (end == index)
		return;
	if (pages->ops->pfnmap) {
		iopt_area_unfill_pfnmap(area, pages, domains);
		return;
	}
	first = list_first_entry(domains, struct iopt_domain, item);
	entry = first;
	list_for_each_entry_continue(entry, domains, item)
		iopt_area_unmap(area, entry->domain, index, end - 1);
	iopt_area_unmap_unpin(area, pages, first->domain, index, end - 1);
}

/*
 * Fill an area that has the only page of its iopt_pages, or a part of it. No leaf is larger
 * than the page. See sole_page.c.
 */
static int iopt_area_fill_sole(struct iopt_area *area, struct iopt_pages *pages,
			       struct list_head *domains)
{
	bool was_pinned = pages->npinned;
	struct iopt_domain *entry;
	int rc;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (!was_pinned) {
		rc = iopt_pages_pin_sole(pages);
		if (rc)
			return rc;
	}
	area->small_leaves = true;
	area->single_leaves = true;
	list_for_each_entry(entry, domains, item) {
		rc = iommu_map(entry->domain, iopt_area_iova(area),
			       PFN_PHYS(pages->sole_pfn) + area->page_offset,
			       iopt_area_length(area), area->prot,
			       GFP_KERNEL_ACCOUNT);
		if (rc)
			goto err_unmap;
	}
	return 0;

err_unmap:
	list_for_each_entry_continue_reverse(entry, domains, item)
		iopt_area_unmap(area, entry->domain, 0, 0);
	if (!was_pinned)
		iopt_pages_unpin_sole(pages);
	return rc;
}

/* Fill an area, a batch at a time. */
static noinline_for_stack int
iopt_area_fill_batches(struct iopt_area *area, struct iopt_pages *pages,
		       struct list_head *domains)
{
	struct pfn_reader reader;
	unsigned long index;
	int rc;

	pfn_reader_init(&reader, pages, iopt_area_index(area),
			iopt_area_last_index(area));
	reader.merge_pinned = true;
	while ((rc = pfn_reader_next(&reader)) > 0) {
		rc = iopt_area_map_batch(area, domains, &reader.batch,
					 reader.index);
		if (rc)
			break;
		pfn_reader_keep_pins(&reader);
	}
	index = reader.index;
	pfn_reader_destroy(&reader);
	if (rc)
		iopt_area_unfill_until(area, pages, domains, index);
	return rc;
}

/* Fill an area into every domain of a list. On an error, it is filled into none. */
static int iopt_area_fill(struct iopt_area *area, struct iopt_pages *pages,
			  struct list_head *domains)
{
	if (pages->ops->pfnmap)
		return iopt_area_fill_pfnmap(area, pages, domains);
	if (pages->npages == 1 && pages->ops->pin_sole)
		return iopt_area_fill_sole(area, pages, domains);
	return iopt_area_fill_batches(area, pages, domains);
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
 * iopt_area_fill_domains() - map a new area in every domain of its IOAS
 * @area: the area, in no domain yet
 * @pages: the memory that it maps; &iopt_area.pages is not set yet
 *
 * Return: 0, or, with nothing mapped and nothing pinned,
 * * an error of pfn_reader_next(), pfn_batch_to_domain() or iopt_pfnmap_fill()
 * Context: &io_pagetable.domains_rwsem held; takes &iopt_pages.mutex; may sleep.
 */
int iopt_area_fill_domains(struct iopt_area *area, struct iopt_pages *pages)
{
	struct list_head *domains = &area->iopt->domains;
	struct iopt_domain *first;
	int rc;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	first = list_first_entry_or_null(domains, struct iopt_domain, item);
	if (!first)
		return 0;
	guard(mutex)(&pages->mutex);
	rc = iopt_area_fill(area, pages, domains);
	if (rc)
		return rc;
	iopt_area_set_storage(area, pages, first->domain);
	return 0;
}

/**
 * iopt_area_unfill_domains() - unmap an area from every domain of its IOAS
 * @area: the area; &iopt_area.pages is NULL
 * @pages: the memory that it maps
 *
 * Unpins the pages that have no other user. Does nothing if @area is in no domain. Cannot
 * fail.
 *
 * Context: &io_pagetable.domains_rwsem held; takes &iopt_pages.mutex; may sleep.
 */
void iopt_area_unfill_domains(struct iopt_area *area, struct iopt_pages *pages)
{
	lockdep_assert_held(&area->iopt->domains_rwsem);

	guard(mutex)(&pages->mutex);
	if (!area->storage_domain)
		return;
	iopt_area_set_storage(area, pages, NULL);
	iopt_area_unfill_until(area, pages, &area->iopt->domains,
			       iopt_area_last_index(area) + 1);
}

/**
 * iopt_area_fill_domain() - map an area in one more domain
 * @area: the area
 * @entry: the domain; not in &io_pagetable.domains yet, maps nothing of @area
 *
 * If another domain maps @area already, the PFNs are read from that one, and no page is
 * pinned.
 *
 * Return: 0, or, with nothing mapped in the domain,
 * * an error of pfn_reader_next(), pfn_batch_to_domain() or iopt_pfnmap_fill()
 * Context: &io_pagetable.domains_rwsem held for writing; takes &iopt_pages.mutex; may
 * sleep.
 */
int iopt_area_fill_domain(struct iopt_area *area, struct iopt_domain *entry)
{
	struct iopt_pages *pages = area->pages;
	LIST_HEAD(only);
	int rc;

	lockdep_assert_held_write(&area->iopt->domains_rwsem);

	list_add(&entry->item, &only);
	guard(mutex)(&pages->mutex);
	rc = iopt_area_fill(area, pages, &only);
	if (!rc && !area->storage_domain)
		iopt_area_set_storage(area, pages, entry->domain);
	list_del(&entry->item);
	return rc;
}

/**
 * iopt_area_unfill_domain() - unmap an area from one domain
 * @area: the area
 * @domain: a domain that maps @area; if it is &iopt_area.storage_domain, the last one
 *
 * Unpins the pages that have no other user, if @domain is the last one. Cannot fail.
 *
 * Context: &io_pagetable.domains_rwsem held for writing; takes &iopt_pages.mutex; may
 * sleep.
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
 * iopt_area_move_storage() - change the storage domain of an area
 * @area: the area
 * @from: a domain that the caller is about to unmap @area from
 * @to: another domain that maps @area
 *
 * Does nothing if @from is not &iopt_area.storage_domain.
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
 * @area: an area of PFNMAP memory, after iopt_pfnmap_prepare_move()
 *
 * If the fill fails, for example because the process does not map PFNMAP memory at the
 * new address, no domain maps the area afterwards.
 *
 * Context: &io_pagetable.iova_rwsem held for writing; takes &iopt_pages.mutex and the
 * mmap lock; may sleep.
 */
void iopt_area_move_pfnmap(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held_write(&area->iopt->iova_rwsem);

	guard(mutex)(&pages->mutex);
	iopt_area_unfill_pfnmap(area, pages, &area->iopt->domains);
	iopt_pfnmap_move(pages);
	if (area->storage_domain)
		iopt_area_fill_pfnmap(area, pages, &area->iopt->domains);
}
