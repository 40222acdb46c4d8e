// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: areas
 *
 * An area maps a slice of an iopt_pages at a range of IOVAs, in bytes. Areas of
 * a table never overlap, and each is populated as a whole. While an area's
 * pages pointer is unset its IOVAs are taken, but there is nothing to be found
 * in it: somebody fills or empties it, or has yet to find out that he cannot.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_pages.h"

/**
 * iopt_area_alloc() - memory for an area
 *
 * Return: an area that is in no tree, to be freed by kfree(), or NULL.
 */
struct iopt_area *iopt_area_alloc(void)
{
	return kzalloc(sizeof(struct iopt_area), GFP_KERNEL_ACCOUNT);
}

static void iopt_area_link(struct iopt_area *area, struct io_pagetable *iopt)
{
	interval_tree_insert(&area->node, &iopt->area_itree);
	iopt->num_joined += area->joined;
	iopt->num_areas++;
}

/**
 * iopt_area_unlink() - take an area out of its table's tree
 * @area: the area
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_area_unlink(struct iopt_area *area)
{
	struct io_pagetable *iopt = area->iopt;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	interval_tree_remove(&area->node, &iopt->area_itree);
	iopt->num_areas--;
	iopt->num_joined -= area->joined;
}

/**
 * iopt_area_insert() - take IOVAs for an area
 * @area: from iopt_area_alloc()
 * @iopt: the table
 * @pages: what it will map; not yet stored or counted
 * @iova: first IOVA, in bytes
 * @start_byte: where in @pages the area begins
 * @length: bytes, at least 1
 * @prot: IOMMU_READ and so on
 *
 * The IOVAs must be free: iopt_check_iova().
 *
 * Return: 0; EPERM for a writable mapping of memory that is not, EINVAL where
 * @iova, @start_byte or @length is less aligned than IOVAs are.
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
int iopt_area_insert(struct iopt_area *area, struct io_pagetable *iopt,
		     struct iopt_pages *pages, unsigned long iova,
		     unsigned long start_byte, unsigned long length, int prot)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if ((prot & IOMMU_WRITE) && !pages->writable)
		return -EPERM;
	/* Of pieces that are mapped together only the sum may be aligned. */
	if ((iova | start_byte | length) & (iopt->iova_alignment - 1))
		return -EINVAL;

	area->iopt = iopt;
	area->prot = prot;
	area->page_offset = offset_in_page(start_byte);
	area->node.start = iova;
	area->node.last = iova + length - 1;
	area->pages_node.start = start_byte / PAGE_SIZE;
	area->pages_node.last = (start_byte + length - 1) / PAGE_SIZE;
	if (WARN_ON(area->node.last < iova ||
		    area->pages_node.last >= pages->npages)) {
		area->iopt = NULL;
		return -EINVAL;
	}
	iopt_area_link(area, iopt);
	return 0;
}

/**
 * iopt_area_remove() - give an area's IOVAs back
 * @area: without pages and in no domain; freed
 *
 * Context: takes &io_pagetable.iova_rwsem where the area was inserted.
 */
void iopt_area_remove(struct iopt_area *area)
{
	struct io_pagetable *iopt = area->iopt;

	IOPT_WARN_ON(area->pages || area->storage_domain);
	if (iopt) {
		guard(rwsem_write)(&iopt->iova_rwsem);
		iopt_area_unlink(area);
	}
	kfree(area);
}

static bool iopt_area_contig_enter(struct iopt_area_contig *contig,
				   struct iopt_area *area)
{
	if (!area || !area->pages || iopt_area_iova(area) > contig->iova) {
		contig->area = NULL;
		return false;
	}
	contig->area = area;
	contig->last = min(contig->end, iopt_area_last_iova(area));
	return true;
}

/**
 * iopt_area_contig_first() - begin a walk: see iopt_for_each_contig_area()
 * @contig: the walk
 * @iopt: the table
 * @iova: first IOVA
 * @last: last IOVA
 *
 * Return: whether @iova is mapped.
 * Context: &io_pagetable.iova_rwsem held, as long as the walk goes.
 */
bool iopt_area_contig_first(struct iopt_area_contig *contig,
			    struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last)
{
	contig->iova = iova;
	contig->end = last;
	return iopt_area_contig_enter(contig, iopt_area_first(iopt, iova, iova));
}

/**
 * iopt_area_contig_next() - go on to the next area
 * @contig: the walk
 *
 * Return: whether there is one that begins where the one before ended.
 */
bool iopt_area_contig_next(struct iopt_area_contig *contig)
{
	if (contig->last == contig->end)
		return false;
	contig->iova = contig->last + 1;
	return iopt_area_contig_enter(contig,
				      iopt_area_next(contig->area, contig->iova,
						     contig->iova));
}

/* Cutting moves neither pages nor PFNs, so whoever holds them must allow it. */
static int iopt_area_may_cut(struct iopt_area *area, unsigned long iova)
{
	unsigned long mask = area->iopt->iova_alignment - 1;

	if (!area->pages || area->prevent_access)
		return -EBUSY;
	if ((iova & mask) || (iopt_area_start_byte(area, iova) & mask))
		return -EINVAL;
	return 0;
}

/*
 * The domains keep what they have: the new areas only change who answers for
 * which part of it. That needs leaves that end at the cut, and accesses that
 * need not be cut themselves.
 */
static int iopt_area_cut_locked(struct iopt_area *area, unsigned long iova,
				struct iopt_area *head, struct iopt_area *tail)
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
	rc = iopt_area_insert(head, iopt, pages, iopt_area_iova(area),
			      iopt_area_start_byte(area, iopt_area_iova(area)),
			      iova - iopt_area_iova(area), area->prot);
	rc = rc ?: iopt_area_insert(tail, iopt, pages, iova, start_byte,
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
static int iopt_area_cut(struct iopt_area *area, unsigned long iova)
{
	struct iopt_area *head, *tail;
	int rc;

	rc = iopt_area_may_cut(area, iova);
	if (rc)
		return rc;

	head = iopt_area_alloc();
	tail = iopt_area_alloc();
	rc = -ENOMEM;
	if (head && tail) {
		scoped_guard(mutex, &area->pages->mutex)
			rc = iopt_area_cut_locked(area, iova, head, tail);
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
 * iopt_cut_iova() - see to it that areas end at given IOVAs
 * @iopt: the table
 * @iovas: each becomes the last IOVA of an area, where it lies in one
 * @num_iovas: how many
 *
 * For the version of type1 that lets a caller unmap part of what he mapped.
 *
 * Return: 0; EINVAL where an area has in-kernel users, may have leaves larger
 * than a page, or would be cut at a place that is not aligned; EBUSY where an
 * area is being mapped or unmapped; ENOMEM. Areas may have been cut all the
 * same, which nobody notices.
 * Context: takes &io_pagetable.iova_rwsem.
 */
int iopt_cut_iova(struct io_pagetable *iopt, const unsigned long *iovas,
		  size_t num_iovas)
{
	struct iopt_area *area;
	int rc;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (size_t i = 0; i < num_iovas; i++) {
		area = iopt_area_first(iopt, iovas[i], iovas[i]);
		if (!area || iopt_area_last_iova(area) == iovas[i])
			continue;
		rc = iopt_area_cut(area, iovas[i] + 1);
		if (rc)
			return rc;
	}
	return 0;
}
