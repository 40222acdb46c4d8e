// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: leaves
 *
 * IOMMU drivers do not say how large the leaves are that they map, but unmapping
 * and reading dirty bits have to begin and end with one. Long ranges are handled
 * in steps of a bounded number of leaves, between which other tasks run: an area
 * remembers whether it may have leaves of less than 2 MiB, of which a range has
 * many more.
 */
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "domains/iopt_leaf.h"
#include "memory/pfn_batch.h"

/**
 * iopt_find_leaf() - find the leaf that may map an IOVA
 * @domain: a domain
 * @area: an area that is filled into it
 * @iova: in the area
 * @leaf: set to the first IOVA of the leaf
 * @leaf_last: set to the last one
 *
 * A leaf of a size needs IOVA and address to be aligned to it, contiguous, and
 * within the area. If they are, and the leaves are smaller nevertheless, the
 * result is a range of whole leaves.
 *
 * Context: the area stays filled meanwhile.
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
 * iopt_area_step_last() - find where a step of a long range ends
 * @area: the area in which @start + @step lies
 * @domain: a domain that it is filled into
 * @start: first IOVA of the step, in or before the area
 * @last: last IOVA of the range
 * @step: bytes that the step should have, less than the range has
 *
 * Return: the last IOVA of the step, at most @last, which is that of a leaf.
 * Context: the area stays filled meanwhile.
 */
unsigned long iopt_area_step_last(struct iopt_area *area,
				  struct iommu_domain *domain,
				  unsigned long start, unsigned long last,
				  unsigned long step)
{
	unsigned long leaf = 1UL << __fls(domain->pgsize_bitmap);
	unsigned long next = start + step, leaf_last;

	/* No leaf reaches over what the largest ones are aligned to. */
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
 * @batch: pages that are going to be mapped
 * @iova: of the first page
 *
 * Context: &iopt_pages.mutex held; @area is not published, or
 * &io_pagetable.iova_rwsem is held for writing.
 */
void iopt_area_update_leaf_flags(struct iopt_area *area,
				 struct pfn_batch *batch, unsigned long iova)
{
	unsigned int offset = 0;

	/* An area may begin within its first page. */
	if (iova == iopt_area_iova(area))
		offset = area->page_offset;
	if (!area->iopt->disable_large_pages) {
		area->single_leaves = false;
	} else {
		/* In other domains, where it has a storage domain, it stays. */
		if (!area->storage_domain)
			area->single_leaves = true;
		area->small_leaves = true;
	}
	for (unsigned int i = 0; i < batch->nr && !area->small_leaves; i++) {
		struct pfn_run *run = &batch->runs[i];
		unsigned long end = iova + run->npages * PAGE_SIZE - offset;

		/* The two ends of an area may have some all the same. */
		if (((iova ^ (PFN_PHYS(run->pfn) + offset)) & (SZ_2M - 1)) ||
		    ((iova & (SZ_2M - 1)) && iova != iopt_area_iova(area)) ||
		    ((end & (SZ_2M - 1)) && end - 1 < iopt_area_last_iova(area)))
			area->small_leaves = true;
		iova = end;
		offset = 0;
	}
}

/*
 * IOVAs that are unmapped in one call: 65536 leaves of 4 KiB, or 8192 of 2 MiB
 * where nothing smaller is mapped. Flushes come more rarely: a driver frees the
 * page tables with one, 512 of them where the leaves are small.
 */
#define IOPT_UNMAP_STEP		SZ_256M
#define IOPT_UNMAP_STEP_LARGE	((u64)SZ_1G * 16)
#define IOPT_UNMAP_FLUSH	SZ_1G

/**
 * iopt_area_unmap_iova() - unmap a range of an area in a domain
 * @area: the area
 * @domain: a domain that maps the range
 * @iova: first byte, where a leaf begins
 * @last: last byte, where a leaf ends
 *
 * The IOTLB is flushed when this returns.
 *
 * Context: the area's pages stay pinned meanwhile; may sleep.
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
