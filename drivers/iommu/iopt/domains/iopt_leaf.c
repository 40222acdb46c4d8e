// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: leaves
 *
 * A leaf is an entry of a hardware page table that maps memory. The IOMMU driver chooses
 * its size, and does not report it. An unmap must not split a leaf, and a read of dirty
 * bits must begin with one, so the engine derives the leaves from the alignment of IOVA
 * and memory.
 *
 * Long ranges are unmapped and read in steps of a bounded number of leaves, with
 * cond_resched() between steps. The number of leaves depends on their size:
 * &iopt_area.small_leaves records whether an area may have leaves smaller than 2 MiB.
 */
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "domains/iopt_leaf.h"
#include "memory/pfn_batch.h"

/**
 * iopt_find_leaf() - find the leaf that may map an IOVA
 * @domain: the domain
 * @area: an area that is filled into @domain
 * @iova: an IOVA of @area
 * @leaf: set to the first IOVA of the leaf
 * @leaf_last: set to the last IOVA of the leaf
 *
 * A leaf of a certain size exists only if the range of IOVAs is within the area, IOVA and
 * physical address are aligned to the size, and the memory is contiguous. The function
 * finds the largest such size. If the leaves are smaller nevertheless, the result is a
 * range of whole leaves.
 *
 * Context: @area stays filled during the call.
 */
void iopt_find_leaf(struct iommu_domain *domain, struct iopt_area *area,
		    unsigned long iova, unsigned long *leaf,
		    unsigned long *leaf_last)
{
	phys_addr_t phys = iommu_iova_to_phys(domain, iova);
	unsigned long sizes = domain->pgsize_bitmap;

	if (area->single_leaves)
		sizes &= 2 * PAGE_SIZE - 1;
	*leaf = iova;
	*leaf_last = iova;
	while (sizes) {
		unsigned long size = 1UL << __fls(sizes);
		unsigned long start = iova & ~(size - 1);
		unsigned long end = start + size - 1;

		sizes &= ~size;
		if (start < iopt_area_iova(area) ||
		    end > iopt_area_last_iova(area) ||
		    ((phys ^ iova) & (size - 1)))
			continue;
		if (start != iova &&
		    iommu_iova_to_phys(domain, start) != phys - (iova - start))
			continue;
		*leaf = start;
		*leaf_last = end;
		return;
	}
}

/**
 * iopt_area_step_last() - find the end of a step through a long range
 * @area: the area that contains @start + @step
 * @domain: a domain that @area is filled into
 * @start: first IOVA of the step, in @area or in an area before it
 * @last: last IOVA of the range
 * @step: approximate length of the step in bytes; less than the range has
 *
 * Return: the last IOVA of the step, at most @last. A leaf ends there.
 * Context: @area stays filled during the call.
 */
unsigned long iopt_area_step_last(struct iopt_area *area,
				  struct iommu_domain *domain,
				  unsigned long start, unsigned long last,
				  unsigned long step)
{
	unsigned long leaf = 1UL << __fls(domain->pgsize_bitmap);
	unsigned long next = start + step, leaf_last;

	/* No leaf crosses a multiple of the largest leaf size. */
	if (leaf <= step)
		return round_down(next, leaf) - 1;
	if (next == iopt_area_iova(area))
		return next - 1;
	iopt_find_leaf(domain, area, next, &leaf, &leaf_last);
	if (leaf > start)
		return leaf - 1;
	return min(leaf_last, last);
}

/**
 * iopt_area_update_leaf_flags() - record whether an area may have small leaves
 * @area: the area
 * @batch: pages that are about to be mapped
 * @iova: first IOVA of the batch
 *
 * Updates &iopt_area.small_leaves and &iopt_area.single_leaves.
 *
 * Context: &iopt_pages.mutex held; @area is not published, or
 * &io_pagetable.iova_rwsem is held for writing.
 */
void iopt_area_update_leaf_flags(struct iopt_area *area,
				 struct pfn_batch *batch, unsigned long iova)
{
	unsigned int offset = 0;

	/* The first IOVA of an area may be within its first page. */
	if (iova == iopt_area_iova(area))
		offset = area->page_offset;
	if (!area->iopt->disable_large_pages) {
		area->single_leaves = false;
	} else {
		/* With a storage domain, keep the value: it may have larger leaves. */
		if (!area->storage_domain)
			area->single_leaves = true;
		area->small_leaves = true;
	}
	for (unsigned int i = 0; i < batch->nr && !area->small_leaves; i++) {
		struct pfn_run *run = &batch->runs[i];
		unsigned long end = iova + run->npages * PAGE_SIZE - offset;

		/* Small leaves at the two ends of an area do not count. */
		if (((iova ^ (PFN_PHYS(run->pfn) + offset)) & (SZ_2M - 1)) ||
		    ((iova & (SZ_2M - 1)) && iova != iopt_area_iova(area)) ||
		    ((end & (SZ_2M - 1)) && end - 1 < iopt_area_last_iova(area)))
			area->small_leaves = true;
		iova = end;
		offset = 0;
	}
}

/*
 * Bytes of IOVA that one call of iommu_unmap_fast() covers: 65536 leaves of 4 KiB, or
 * 8192 leaves of 2 MiB if an area has no smaller ones. The IOTLB is flushed after every
 * IOPT_UNMAP_FLUSH bytes or more: with a flush, a driver frees the page tables, which are
 * 512 for that many bytes if the leaves have 4 KiB.
 */
#define IOPT_UNMAP_STEP		SZ_256M
#define IOPT_UNMAP_STEP_LARGE	((u64)SZ_1G * 16)
#define IOPT_UNMAP_FLUSH	SZ_1G

/**
 * iopt_area_unmap_iova() - unmap a range of an area from a domain
 * @area: the area
 * @domain: a domain that maps the range
 * @iova: first IOVA; a leaf begins there
 * @last: last IOVA; a leaf ends there
 *
 * The IOTLB is flushed when the function returns.
 *
 * Context: the pages of the range stay pinned during the call; may sleep.
 */
void iopt_area_unmap_iova(struct iopt_area *area, struct iommu_domain *domain,
			  unsigned long iova, unsigned long last)
{
	u64 step = iopt_area_has_small_leaves(area, domain) ?
		   IOPT_UNMAP_STEP : IOPT_UNMAP_STEP_LARGE;
	struct iommu_iotlb_gather gather;
	unsigned long end, flushed = iova;
	size_t size;

	iommu_iotlb_gather_init(&gather);
	for (;;) {
		end = last;
		if (end - iova >= step)
			end = iopt_area_step_last(area, domain, iova, end,
						  step);
		size = end - iova + 1;
		WARN_ON(iommu_unmap_fast(domain, iova, size, &gather) != size);
		if (end == last || end - flushed >= IOPT_UNMAP_FLUSH - 1) {
			iommu_iotlb_sync(domain, &gather);
			flushed = end + 1;
		}
		if (end == last)
			return;
		cond_resched();
		iova = end + 1;
	}
}
