// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IOVA space
 *
 * Devices and domains reserve IOVAs that cannot be mapped: what lies outside of
 * an aperture, windows for interrupts, ranges that firmware uses. Userspace can
 * name ranges that must never be reserved; then what it leaves the kernel to
 * choose comes from them.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iova_space.h"
#include "test_hooks.h"

/**
 * iopt_check_iova() - see whether a range can be mapped
 * @iopt: the table
 * @iova: first byte
 * @length: bytes, at least 1
 *
 * Return: 0; EINVAL where the range is reserved or not aligned, EOVERFLOW where
 * it wraps, EEXIST where something is mapped in it.
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
 * First IOVA from @from on that has the low bits of @offset, and room for the
 * length up to @last.
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

/* What is neither mapped nor reserved between two IOVAs, one after the other. */
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
	}
	return false;
}

/**
 * iopt_choose_iova() - find IOVAs for a mapping
 * @iopt: the table
 * @iova: set to the first one; never 0
 * @address: where the memory begins, as far as alignment goes
 * @length: bytes, at least 1
 *
 * What is aligned in memory, for a huge page say, is aligned as IOVA too.
 *
 * Return: 0; ENOSPC where there is no room, EOVERFLOW where there never can be,
 * EINVAL where the memory is less aligned than IOVAs are.
 * Context: &io_pagetable.iova_rwsem held.
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

	/* Neither the first page nor the last one: an IOVA that looks like NULL */
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
 * iopt_walk_usable_ranges() - tell what is not reserved
 * @iopt: the table
 * @fn: called for each range, by rising IOVA
 * @opaque: for @fn
 *
 * Return: 0, or what @fn returned, which ends it.
 * Context: takes &io_pagetable.iova_rwsem for reading.
 */
int iopt_walk_usable_ranges(struct io_pagetable *iopt, iopt_range_fn fn,
			    void *opaque)
{
	struct interval_tree_span_iter span;
	int rc;

	guard(rwsem_read)(&iopt->iova_rwsem);
	interval_tree_for_each_span(&span, &iopt->reserved_itree, 0, ULONG_MAX) {
		if (!span.is_hole)
			continue;
		rc = fn(opaque, span.start_hole, span.last_hole);
		if (rc)
			return rc;
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_walk_usable_ranges, IOMMU_IOPT);

/**
 * iopt_set_allow_iova() - name the ranges that must stay usable
 * @iopt: the table
 * @allowed_iova: struct iopt_allowed, none of which overlap; on success what
 *	was allowed before, for the caller to free
 *
 * Return: 0; EADDRINUSE, with nothing changed, where one is reserved already.
 * Context: takes &io_pagetable.iova_rwsem.
 */
int iopt_set_allow_iova(struct io_pagetable *iopt,
			struct rb_root_cached *allowed_iova)
{
	struct interval_tree_node *node;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (node = interval_tree_iter_first(allowed_iova, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		if (interval_tree_iter_first(&iopt->reserved_itree, node->start,
					     node->last))
			return -EADDRINUSE;
	swap(*allowed_iova, iopt->allowed_itree);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_set_allow_iova, IOMMU_IOPT);

/**
 * iopt_free_allowed() - free a tree of struct iopt_allowed
 * @allowed_iova: the tree; empty afterwards
 */
void iopt_free_allowed(struct rb_root_cached *allowed_iova)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(allowed_iova, 0, ULONG_MAX))) {
		interval_tree_remove(node, allowed_iova);
		kfree(container_of(node, struct iopt_allowed, node));
	}
}
EXPORT_SYMBOL_NS_GPL(iopt_free_allowed, IOMMU_IOPT);

/**
 * iopt_reserve_iova() - make a range unusable
 * @iopt: the table
 * @start: first byte
 * @last: last byte
 * @owner: on whose behalf; ranges may overlap
 *
 * Return: 0; EADDRINUSE where something in it is mapped or has to stay usable;
 * ENOMEM.
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
 * iopt_remove_reserved_locked() - undo all of an owner's reservations
 * @iopt: the table
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
 * iopt_remove_reserved_iova() - undo all of an owner's reservations
 * @iopt: the table
 * @owner: the owner
 *
 * Context: takes &io_pagetable.iova_rwsem.
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
	unsigned int hw_msi = 0, sw_msi = 0;
	struct iommu_resv_region *region;
	int rc;

	list_for_each_entry(region, regions, list) {
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE)
			continue;
		hw_msi += region->type == IOMMU_RESV_MSI;
		if (region->type == IOMMU_RESV_SW_MSI) {
			sw_msi++;
			if (sw_msi_start)
				*sw_msi_start = region->start;
		}
		rc = iopt_reserve_iova(iopt, region->start,
				       region->start + region->length - 1,
				       owner);
		if (rc)
			return rc;
	}
	/* Interrupts pass by one window, which hardware has or software sets. */
	if (sw_msi_start && WARN_ON(sw_msi > 1 || (sw_msi && hw_msi)))
		return -EINVAL;
	return 0;
}

/**
 * iopt_table_enforce_dev_resv_regions() - reserve what a device cannot use
 * @iopt: the table
 * @dev: the device
 * @owner: on whose behalf; for iopt_remove_reserved_iova()
 * @sw_msi_start: set to where the window for software MSI is, if the device has
 *	one; or NULL
 *
 * Return: 0; EADDRINUSE where such a range is mapped or has to stay usable,
 * EINVAL where the driver tells nonsense, ENOMEM. After an error the owner has
 * nothing reserved at all.
 * Context: takes &io_pagetable.iova_rwsem.
 */
int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt,
					struct device *dev, void *owner,
					phys_addr_t *sw_msi_start)
{
	LIST_HEAD(regions);
	int rc;

	if (iommufd_should_fail())
		return -EINVAL;

	guard(rwsem_write)(&iopt->iova_rwsem);
	iommu_get_resv_regions(dev, &regions);
	rc = iopt_reserve_regions(iopt, &regions, owner, sw_msi_start);
	if (rc)
		iopt_remove_reserved_locked(iopt, owner);
	iommu_put_resv_regions(dev, &regions);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_table_enforce_dev_resv_regions, IOMMU_IOPT);
