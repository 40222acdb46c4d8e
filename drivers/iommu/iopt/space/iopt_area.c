// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: areas
 *
 * An area maps a slice of an iopt_pages at a range of IOVAs, in bytes. Areas of an
 * IOAS never overlap. Every IOVA of an area is mapped, there are no holes.
 *
 * An area with &iopt_area.pages set is published. Without it, the area only reserves
 * its IOVAs: they can be neither mapped nor pinned, copied or queried. A task is
 * filling or unfilling the domains of such an area, or is about to fail to fill them.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "space/iopt_area.h"

/**
 * iopt_area_alloc() - allocate an area
 *
 * Return: an area that is in no tree, to be freed by kfree(), or NULL.
 */
struct iopt_area *iopt_area_alloc(void)
{
	return kzalloc(sizeof(struct iopt_area), GFP_KERNEL_ACCOUNT);
}

/**
 * iopt_area_link() - insert an area into the tree of its IOAS
 * @area: the area, with &iopt_area.node set to a free range of IOVAs
 * @iopt: the IOAS
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_area_link(struct iopt_area *area, struct io_pagetable *iopt)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	interval_tree_insert(&area->node, &iopt->area_itree);
	iopt->num_joined += area->joined;
	iopt->num_areas++;
}

/**
 * iopt_area_unlink() - remove an area from the tree of its IOAS
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
 * iopt_area_insert() - reserve a range of IOVAs for an area
 * @area: the area, from iopt_area_alloc()
 * @iopt: the IOAS
 * @iova: first IOVA
 * @start_byte: byte offset of the area in the iopt_pages that it will map
 * @length: length in bytes, at least 1
 * @prot: IOMMU_READ, IOMMU_WRITE ...
 *
 * The caller has checked with iopt_check_iova() that the IOVAs are free.
 *
 * Return: 0, or
 * * -EINVAL: @iova, @start_byte or @length is not aligned to
 *   &io_pagetable.iova_alignment
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
int iopt_area_insert(struct iopt_area *area, struct io_pagetable *iopt,
		     unsigned long iova, unsigned long start_byte,
		     unsigned long length, int prot)
{
	lockdep_assert_held_write(&iopt->iova_rwsem);

	/*
	 * iopt_check_iova() checks the total length only, but one call may map more
	 * than one area.
	 */
	if ((iova | start_byte | length) & (iopt->iova_alignment - 1))
		return -EINVAL;

	area->iopt = iopt;
	area->prot = prot;
	area->page_offset = offset_in_page(start_byte);
	area->node.start = iova;
	area->node.last = iova + length - 1;
	area->pages_node.start = start_byte / PAGE_SIZE;
	area->pages_node.last = (start_byte + length - 1) / PAGE_SIZE;
	if (WARN_ON(area->node.last < iova)) {
		area->iopt = NULL;
		return -EINVAL;
	}
	iopt_area_link(area, iopt);
	return 0;
}

/**
 * iopt_area_remove() - release the IOVAs of an area and free it
 * @area: the area, without &iopt_area.pages and in no domain
 *
 * Context: takes &io_pagetable.iova_rwsem for writing if @area was inserted.
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
 * iopt_area_contig_first() - start a walk of iopt_for_each_contig_area()
 * @contig: the walk
 * @iopt: the IOAS
 * @iova: first IOVA
 * @last: last IOVA
 *
 * Return: whether a published area maps @iova.
 * Context: &io_pagetable.iova_rwsem held until the walk ends.
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
 * iopt_area_contig_next() - advance a walk to the next area
 * @contig: the walk
 *
 * Return: whether the range goes on, in a published area right behind the current one.
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
