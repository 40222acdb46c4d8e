// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: splitting areas
 *
 * In the type1 ABI of /dev/iommu, an unmap may cover a part of a mapping if large pages
 * are disabled, as VFIO_SET_IOMMU does for version 1. The area is split first: two
 * areas replace it, and both have a reference on its iopt_pages. Domains are not
 * changed, and no page is pinned or unpinned.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "iopt.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/* Check whether an area can be split at an IOVA, apart from its domains and accesses. */
static int iopt_area_check_split(struct iopt_area *area, unsigned long iova)
{
	unsigned long mask = area->iopt->iova_alignment - 1;

	if (!area->pages || area->prevent_access)
		return -EBUSY;
	/* A PFNMAP has one area: it is revoked as a whole. */
	if (area->pages->ops->pfnmap)
		return -EINVAL;
	if ((iova & mask) || (iopt_area_start_byte(area, iova) & mask))
		return -EINVAL;
	return 0;
}

/*
 * Replace an area by @head, up to @iova, and @tail. Domains are not changed, so a leaf
 * must end in front of @iova: it does if every leaf has one page. A struct
 * iopt_pages_access refers to one area and cannot be split, so the area must have none.
 */
static int iopt_area_split_locked(struct iopt_area *area, unsigned long iova,
				  struct iopt_area *head,
				  struct iopt_area *tail)
{
	unsigned long start_byte = iopt_area_start_byte(area, iova);
	struct io_pagetable *iopt = area->iopt;
	struct iopt_pages *pages = area->pages;
	int rc;

	lockdep_assert_held(&pages->mutex);

	if (area->num_accesses)
		return -EINVAL;
	if (area->storage_domain && !iopt->disable_large_pages)
		return -EINVAL;

	iopt_area_unlink(area);
	head->joined = area->joined;
	head->small_leaves = area->small_leaves;
	tail->small_leaves = area->small_leaves;
	head->single_leaves = area->single_leaves;
	tail->single_leaves = area->single_leaves;
	rc = iopt_area_insert(head, iopt, iopt_area_iova(area),
			      iopt_area_start_byte(area, iopt_area_iova(area)),
			      iova - iopt_area_iova(area), area->prot);
	rc = rc ?: iopt_area_insert(tail, iopt, iova, start_byte,
				    iopt_area_last_iova(area) - iova + 1,
				    area->prot);
	if (WARN_ON(rc)) {
		if (head->iopt)
			iopt_area_unlink(head);
		iopt_area_link(area, iopt);
		return rc;
	}

	head->vaddr_invalid = area->vaddr_invalid;
	tail->vaddr_invalid = area->vaddr_invalid;
	iopt->num_invalid += area->vaddr_invalid;
	head->pages = pages;
	tail->pages = pages;
	iopt_pages_get(pages);
	head->storage_domain = area->storage_domain;
	tail->storage_domain = area->storage_domain;
	if (area->storage_domain) {
		interval_tree_remove(&area->pages_node, &pages->domains_itree);
		interval_tree_insert(&head->pages_node, &pages->domains_itree);
		interval_tree_insert(&tail->pages_node, &pages->domains_itree);
	}
	return 0;
}

/* Split an area. @iova becomes the first IOVA of the second part. */
static int iopt_area_split(struct iopt_area *area, unsigned long iova)
{
	struct iopt_area *head, *tail;
	int rc;

	rc = iopt_area_check_split(area, iova);
	if (rc)
		return rc;

	head = iopt_area_alloc();
	tail = iopt_area_alloc();
	rc = -ENOMEM;
	if (head && tail) {
		scoped_guard(mutex, &area->pages->mutex)
			rc = iopt_area_split_locked(area, iova, head, tail);
	}
	if (rc) {
		kfree(head);
		kfree(tail);
		return rc;
	}
	kfree(area);
	return 0;
}

/**
 * iopt_split_areas() - split areas at several IOVAs
 * @iopt: the IOAS
 * @iovas: last IOVAs of first parts; an IOVA without an area, or at the end of one, is
 *	ignored
 * @num_iovas: number of elements in @iovas
 *
 * After an error, areas may have been split at some of @iovas. This changes no mapping.
 *
 * Return: 0, or
 * * -EINVAL: accesses have pinned pages of an area; an area is filled into a domain and
 *   may have leaves larger than a page; an area is of a PFNMAP; or the IOVA behind an
 *   element of @iovas, or its offset in the memory, is not aligned to
 *   &io_pagetable.iova_alignment
 * * -EBUSY: an area is being mapped or unmapped
 * * -ENOMEM: out of memory
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.iova_rwsem for writing; may sleep.
 */
int iopt_split_areas(struct io_pagetable *iopt, const unsigned long *iovas,
		     size_t num_iovas)
{
	struct iopt_area *area;
	int rc;

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < num_iovas; i++) {
		area = iopt_area_first(iopt, iovas[i], iovas[i]);
		if (area && iopt_area_last_iova(area) != iovas[i])
			rc = iopt_area_split(area, iovas[i] + 1);
	}
	up_write(&iopt->iova_rwsem);
	return rc;
}
