// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: splitting areas
 *
 * Version 1 of type1 lets a caller unmap a part of what it mapped in one call. The
 * area is split first: two areas take its place, and domains keep what they map.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "iopt.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/* Cutting moves neither pages nor PFNs, so whoever holds them must allow it. */
static int iopt_area_check_split(struct iopt_area *area, unsigned long iova)
{
	unsigned long mask = area->iopt->iova_alignment - 1;

	if (!area->pages || area->prevent_access)
		return -EBUSY;
	/* It ends as a whole. */
	if (area->pages->ops->pfnmap)
		return -EINVAL;
	if ((iova & mask) || (iopt_area_start_byte(area, iova) & mask))
		return -EINVAL;
	return 0;
}

/*
 * The domains keep what they have: the new areas only change who answers for
 * which part of it. That needs leaves that end at the cut, and accesses that
 * need not be cut themselves.
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

/* Make two areas out of one; @iova becomes the first of the second. */
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
 * iopt_split_areas() - see to it that areas end at given IOVAs
 * @iopt: the table
 * @iovas: each becomes the last IOVA of an area, where it lies in one
 * @num_iovas: how many
 *
 * For the version of type1 that lets a caller unmap part of what he mapped.
 *
 * Return: 0; EINVAL where an area has in-kernel users, may have leaves larger
 * than a page, is of a PFNMAP, or would be cut at a place that is not aligned;
 * EBUSY where an area is being mapped or unmapped; ENOMEM; EINTR if the process was
 * killed. Areas may have been cut all the same, which changes no mapping.
 * Context: takes &io_pagetable.iova_rwsem.
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
