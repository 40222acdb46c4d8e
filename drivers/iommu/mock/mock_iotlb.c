// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOTLB of the mock IOMMU.
 */
#include <linux/lockdep.h>
#include <linux/string.h>

#include "mock_iotlb.h"

/**
 * DOC: The mock IOTLB
 *
 * Hardware does not walk the page table for every access. An IOTLB caches
 * translations, their permissions, and the dirty bit of the leaf. A write
 * through an entry that is already dirty does not access the page table. So the
 * IOTLB must be flushed after a query has cleared dirty bits, or later writes
 * set no dirty bit; and after an unmap, or the device keeps its access. The
 * mock IOTLB makes tests fail if either flush is missing.
 *
 * The mock IOTLB is direct-mapped by granule. An entry caches the whole leaf
 * that contains its granule: a flush of any part of a leaf invalidates all
 * entries of the leaf.
 */

/**
 * mock_iotlb_init() - initialize an empty IOTLB
 * @tlb: the IOTLB
 */
void mock_iotlb_init(struct mock_iotlb *tlb)
{
	memset(tlb, 0, sizeof(*tlb));
	spin_lock_init(&tlb->lock);
}

/* Walk the page table and cache the result. */
static enum iommu_mock_fault_reason
mock_iotlb_fill(struct mock_iotlb *tlb, struct mock_iotlb_entry *entry,
		struct mock_pt *pt, unsigned long iova, bool write,
		bool tracking)
{
	enum iommu_mock_fault_reason reason;

	if (entry->valid) {
		entry->valid = false;
		tlb->used--;
	}
	reason = mock_pt_walk(pt, iova, write, tracking, &entry->leaf);
	if (reason)
		return reason;
	entry->page = iova >> pt->granule_shift;
	entry->valid = true;
	tlb->used++;
	return IOMMU_MOCK_FAULT_NONE;
}

/**
 * mock_iotlb_translate() - translate an access of a device
 * @tlb: the IOTLB of the device
 * @pt: page table to walk if @tlb has no entry for @iova
 * @iova: first IOVA of the access, which must end within the same granule
 * @write: whether the access is a write
 * @tracking: whether writes set dirty bits
 * @phys: set to the physical address, if the access is allowed
 *
 * Return: IOMMU_MOCK_FAULT_NONE if the access is allowed, or the reason of the
 * fault.
 *
 * Context: The caller holds @tlb->lock until it has read or written the memory
 * at @phys.
 */
enum iommu_mock_fault_reason
mock_iotlb_translate(struct mock_iotlb *tlb, struct mock_pt *pt,
		     unsigned long iova, bool write, bool tracking,
		     phys_addr_t *phys)
{
	unsigned long page = iova >> pt->granule_shift;
	struct mock_iotlb_entry *entry =
		&tlb->entries[page % MOCK_IOTLB_ENTRIES];
	bool hit = entry->valid && entry->page == page;
	unsigned long pte = entry->leaf.pte;

	lockdep_assert_held(&tlb->lock);

	if (hit && write && tracking && pte & MOCK_PTE_WRITE)
		hit = pte & MOCK_PTE_DIRTY;
	if (!hit) {
		enum iommu_mock_fault_reason reason;

		reason = mock_iotlb_fill(tlb, entry, pt, iova, write, tracking);
		if (reason)
			return reason;
	} else if (write && !(pte & MOCK_PTE_WRITE)) {
		return IOMMU_MOCK_FAULT_WRITE;
	} else if (!write && !(pte & MOCK_PTE_READ)) {
		return IOMMU_MOCK_FAULT_READ;
	}
	*phys = entry->leaf.phys + (iova - entry->leaf.start);
	return IOMMU_MOCK_FAULT_NONE;
}

/**
 * mock_iotlb_invalidate_leaves() - invalidate the leaves of one size in a range
 * @tlb: the IOTLB
 * @start: first IOVA of the range
 * @last: last IOVA of the range, inclusive
 * @leaf: size of the leaves to invalidate; 0 for leaves of all sizes
 *
 * A leaf of another size stays cached also if it overlaps the range: hardware
 * that gets the level of the leaves invalidates no other level.
 *
 * Context: The caller holds @tlb->lock.
 */
void mock_iotlb_invalidate_leaves(struct mock_iotlb *tlb, unsigned long start,
				  unsigned long last, size_t leaf)
{
	struct mock_iotlb_entry *entry;

	lockdep_assert_held(&tlb->lock);

	for (entry = tlb->entries;
	     tlb->used && entry < tlb->entries + MOCK_IOTLB_ENTRIES; entry++) {
		if (!entry->valid || entry->leaf.start > last ||
		    entry->leaf.last < start)
			continue;
		if (leaf && entry->leaf.last - entry->leaf.start != leaf - 1)
			continue;
		entry->valid = false;
		tlb->used--;
	}
}

/**
 * mock_iotlb_invalidate() - invalidate the leaves that overlap a range
 * @tlb: the IOTLB
 * @start: first IOVA of the range
 * @last: last IOVA of the range, inclusive; 0 to ULONG_MAX is the whole IOTLB
 *
 * Context: The caller holds @tlb->lock.
 */
void mock_iotlb_invalidate(struct mock_iotlb *tlb, unsigned long start,
			   unsigned long last)
{
	mock_iotlb_invalidate_leaves(tlb, start, last, 0);
}

/**
 * mock_iotlb_flush() - invalidate a range and wait for accesses in progress
 * @tlb: the IOTLB
 * @start: first IOVA of the range
 * @last: last IOVA of the range, inclusive; 0 to ULONG_MAX is the whole IOTLB
 *
 * On return, every access that began before the call has ended.
 *
 * Context: Takes @tlb->lock.
 */
void mock_iotlb_flush(struct mock_iotlb *tlb, unsigned long start,
		      unsigned long last)
{
	mock_iotlb_flush_leaves(tlb, start, last, 0);
}

/**
 * mock_iotlb_flush_leaves() - invalidate the leaves of one size in a range and
 *	wait for accesses in progress
 * @tlb: the IOTLB
 * @start: first IOVA of the range
 * @last: last IOVA of the range, inclusive
 * @leaf: size of the leaves to invalidate; 0 for leaves of all sizes
 *
 * On return, every access that began before the call has ended.
 *
 * Context: Takes @tlb->lock.
 */
void mock_iotlb_flush_leaves(struct mock_iotlb *tlb, unsigned long start,
			     unsigned long last, size_t leaf)
{
	spin_lock(&tlb->lock);
	mock_iotlb_invalidate_leaves(tlb, start, last, leaf);
	spin_unlock(&tlb->lock);
}
