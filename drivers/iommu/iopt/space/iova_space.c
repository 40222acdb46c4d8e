// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IOVA space
 *
 * Devices and domains reserve IOVAs that cannot be mapped: IOVAs outside of the
 * aperture, MSI windows, ranges that firmware uses. Userspace can set allowed ranges,
 * which cannot be reserved. If it has, IOVAs that the kernel chooses are allocated
 * from the allowed ranges only.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "space/iopt_area.h"
#include "space/iova_space.h"
#include "test_hooks.h"

/**
 * iopt_check_iova() - check whether a range can be mapped
 * @iopt: the IOAS
 * @iova: first IOVA
 * @length: length in bytes, at least 1
 *
 * Return: 0, or
 * * -EINVAL: @iova or @length is not aligned to &io_pagetable.iova_alignment, or a part
 *   of the range is reserved
 * * -EOVERFLOW: the range wraps
 * * -EEXIST: an area overlaps the range
 * Context: &io_pagetable.iova_rwsem held.
 */
int iopt_check_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length)
{
	unsigned long last;

	lockdep_assert_held(&iopt->iova_rwsem);

	if ((iova | length) & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (interval_tree_iter_first(&iopt->reserved_itree, iova, last))
		return -EINVAL;
	if (iopt_area_first(iopt, iova, last))
		return -EEXIST;
	return 0;
}

/*
 * Find the first IOVA at or after @from whose offset in a block of @align bytes is
 * @offset. Return: false if @length bytes from there on reach beyond @last.
 */
static bool iopt_fit(unsigned long from, unsigned long last,
		     unsigned long length, unsigned long align,
		     unsigned long offset, unsigned long *iova)
{
	unsigned long start = (from & ~(align - 1)) | offset;

	if (start < from && check_add_overflow(start, align, &start))
		return false;
	if (start > last || last - start < length - 1)
		return false;
	*iova = start;
	return true;
}

/* Find the first range in [from, last] that is neither mapped nor reserved. */
static bool iopt_choose_within(struct io_pagetable *iopt, unsigned long from,
			       unsigned long last, unsigned long length,
			       unsigned long align, unsigned long offset,
			       unsigned long *iova)
{
	struct interval_tree_node *node;
	unsigned long end;

	while (iopt_fit(from, last, length, align, offset, iova)) {
		end = *iova + length - 1;
		node = interval_tree_iter_first(&iopt->reserved_itree, *iova,
						end);
		node = node ?: interval_tree_iter_first(&iopt->area_itree,
							*iova, end);
		if (!node)
			return true;
		if (node->last >= last)
			return false;
		from = node->last + 1;
		cond_resched();
	}
	return false;
}

/**
 * iopt_choose_iova() - find a free range of IOVAs for a mapping
 * @iopt: the IOAS
 * @iova: set to the first IOVA; never 0
 * @address: address of the memory, used for its alignment only
 * @length: length in bytes, at least 1
 *
 * The IOVA gets the alignment of @address, up to PMD_SIZE, so that huge pages are
 * mapped by huge leaves.
 *
 * Return: 0, or
 * * -EOVERFLOW: @length is at least ULONG_MAX / 2
 * * -EINVAL: @address is not aligned to &io_pagetable.iova_alignment
 * * -ENOSPC: no free range is large enough
 * Context: &io_pagetable.iova_rwsem held; may sleep.
 */
int iopt_choose_iova(struct io_pagetable *iopt, unsigned long *iova,
		     unsigned long address, unsigned long length)
{
	unsigned long offset = offset_in_page(address);
	struct interval_tree_node *node;
	unsigned long align;

	lockdep_assert_held(&iopt->iova_rwsem);

	if (length >= ULONG_MAX / 2)
		return -EOVERFLOW;
	if (offset & (iopt->iova_alignment - 1))
		return -EINVAL;
	align = 1UL << __ffs(address | PMD_SIZE);
	align = max(min(align, roundup_pow_of_two(length)), PAGE_SIZE);

	/* Exclude the first page and the last page: no IOVA looks like NULL. */
	node = interval_tree_iter_first(&iopt->allowed_itree, 0, ULONG_MAX);
	if (!node)
		return iopt_choose_within(iopt, PAGE_SIZE, ULONG_MAX - PAGE_SIZE,
					  length, align, offset, iova) ?
			       0 : -ENOSPC;
	for (; node; node = interval_tree_iter_next(node, 0, ULONG_MAX))
		if (iopt_choose_within(iopt, max(node->start, PAGE_SIZE),
				       min(node->last, ULONG_MAX - PAGE_SIZE),
				       length, align, offset, iova))
			return 0;
	return -ENOSPC;
}

/**
 * iopt_walk_usable_ranges() - call a function for every range that is not reserved
 * @iopt: the IOAS
 * @fn: called for each range, in ascending order of IOVA
 * @opaque: argument of @fn
 *
 * Return: 0, the first non-zero result of @fn, which ends the walk, or
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.iova_rwsem for reading.
 */
int iopt_walk_usable_ranges(struct io_pagetable *iopt, iopt_range_fn fn,
			    void *opaque)
{
	struct interval_tree_span_iter span;
	int rc;

	rc = down_read_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	interval_tree_for_each_span(&span, &iopt->reserved_itree, 0, ULONG_MAX) {
		if (!span.is_hole)
			continue;
		rc = fn(opaque, span.start_hole, span.last_hole);
		if (rc)
			break;
	}
	up_read(&iopt->iova_rwsem);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_walk_usable_ranges, IOMMU_IOPT);

/**
 * iopt_set_allow_iova() - replace the allowed ranges of an IOAS
 * @iopt: the IOAS
 * @allowed_iova: tree of struct iopt_allowed, none of which overlap; on success
 *	exchanged with the previous tree, for the caller to free
 *
 * Return: 0, or, with nothing changed,
 * * -EADDRINUSE: a part of an allowed range is reserved
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.iova_rwsem for writing.
 */
int iopt_set_allow_iova(struct io_pagetable *iopt,
			struct rb_root_cached *allowed_iova)
{
	struct interval_tree_node *node;
	int rc;

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	for (node = interval_tree_iter_first(allowed_iova, 0, ULONG_MAX);
	     node && !rc;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		if (interval_tree_iter_first(&iopt->reserved_itree, node->start,
					     node->last))
			rc = -EADDRINUSE;
		cond_resched();
	}
	if (!rc)
		swap(*allowed_iova, iopt->allowed_itree);
	up_write(&iopt->iova_rwsem);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_allow_iova, IOMMU_IOPT);

/**
 * iopt_free_allowed() - free every struct iopt_allowed of a tree
 * @allowed_iova: the tree; empty afterwards
 */
void iopt_free_allowed(struct rb_root_cached *allowed_iova)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(allowed_iova, 0, ULONG_MAX))) {
		interval_tree_remove(node, allowed_iova);
		kfree(container_of(node, struct iopt_allowed, node));
		cond_resched();
	}
}
EXPORT_SYMBOL_NS_GPL(iopt_free_allowed, IOMMU_IOPT);

/**
 * iopt_reserve_iova() - reserve a range, so that it cannot be mapped
 * @iopt: the IOAS
 * @start: first IOVA
 * @last: last IOVA
 * @owner: the owner, for iopt_remove_reserved_iova()
 *
 * Reserved ranges may overlap.
 *
 * Return: 0, or
 * * -EADDRINUSE: an area or an allowed range overlaps the range
 * * -ENOMEM: out of memory
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
int iopt_reserve_iova(struct io_pagetable *iopt, unsigned long start,
		      unsigned long last, void *owner)
{
	struct iopt_reserved *range;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (interval_tree_iter_first(&iopt->allowed_itree, start, last))
		return -EADDRINUSE;
	if (iopt_area_first(iopt, start, last))
		return -EADDRINUSE;

	range = kmalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
	if (!range)
		return -ENOMEM;
	*range = (struct iopt_reserved) {
		.node = { .start = start, .last = last },
		.owner = owner,
	};
	interval_tree_insert(&range->node, &iopt->reserved_itree);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_reserve_iova, IOMMU_IOPT);

/**
 * iopt_remove_reserved_locked() - release every range that an owner has reserved
 * @iopt: the IOAS
 * @owner: the owner
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_remove_reserved_locked(struct io_pagetable *iopt, void *owner)
{
	struct interval_tree_node *node, *next;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (node = interval_tree_iter_first(&iopt->reserved_itree, 0, ULONG_MAX);
	     node; node = next) {
		struct iopt_reserved *reserved =
			container_of(node, struct iopt_reserved, node);

		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (reserved->owner != owner)
			continue;
		interval_tree_remove(node, &iopt->reserved_itree);
		kfree(reserved);
	}
}

/**
 * iopt_remove_reserved_iova() - release every range that an owner has reserved
 * @iopt: the IOAS
 * @owner: the owner
 *
 * Context: takes &io_pagetable.iova_rwsem for writing.
 */
void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner)
{
	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt_remove_reserved_locked(iopt, owner);
}
EXPORT_SYMBOL_NS_GPL(iopt_remove_reserved_iova, IOMMU_IOPT);

static int iopt_reserve_regions(struct io_pagetable *iopt,
				struct list_head *regions, void *owner,
				phys_addr_t *sw_msi_start)
{
	struct iommu_resv_region *region, *sw_msi = NULL;
	bool hw_msi = false;
	int rc;

	list_for_each_entry(region, regions, list) {
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE)
			continue;
		if (region->type == IOMMU_RESV_MSI)
			hw_msi = true;
		if (region->type == IOMMU_RESV_SW_MSI)
			sw_msi = region;
		rc = iopt_reserve_iova(iopt, region->start,
				       region->start + region->length - 1,
				       owner);
		if (rc)
			return rc;
	}
	/* With an MSI window in hardware, software does not have to map one. */
	if (sw_msi_start && sw_msi && !hw_msi)
		*sw_msi_start = sw_msi->start;
	return 0;
}

/**
 * iopt_table_enforce_dev_resv_regions() - reserve the IOVAs that a device cannot use
 * @iopt: the IOAS
 * @dev: the device
 * @owner: the owner, for iopt_remove_reserved_iova()
 * @sw_msi_start: set to the start of the software MSI window, if the device has one
 *	and no MSI window in hardware; or NULL
 *
 * Reserves the MSI windows in hardware and software as well.
 *
 * Return: 0, or
 * * -EADDRINUSE: an area or an allowed range overlaps one of the ranges; @owner has no
 *   range reserved afterwards
 * * -ENOMEM: out of memory; @owner has no range reserved afterwards
 * * -EINTR: the process received a fatal signal; no range has changed
 * * -EINVAL: a test makes the function fail; no range has changed
 * Context: takes &io_pagetable.iova_rwsem for writing.
 */
int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt,
					struct device *dev, void *owner,
					phys_addr_t *sw_msi_start)
{
	LIST_HEAD(regions);
	int rc;

	if (iopt_should_fail())
		return -EINVAL;

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	iommu_get_resv_regions(dev, &regions);
	rc = iopt_reserve_regions(iopt, &regions, owner, sw_msi_start);
	if (rc)
		iopt_remove_reserved_locked(iopt, owner);
	iommu_put_resv_regions(dev, &regions);
	up_write(&iopt->iova_rwsem);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_table_enforce_dev_resv_regions, IOMMU_IOPT);
