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
 * Hardware does not walk the page table for every access. It remembers
 * translations, what they permit, and that a leaf is dirty: the next write
 * through the same entry then leaves the page table alone. So whoever clears a
 * dirty bit has to flush, or later writes go unseen, and whoever takes a
 * mapping away has to flush, or the device keeps its access. This IOTLB is
 * there so that both mistakes show.
 *
 * It is direct-mapped, by granule. An entry inside a large leaf remembers the
 * whole leaf: flushing any part of a leaf drops every entry made from it.
 */

/**
 * mock_iotlb_init() - make an empty IOTLB
 * @tlb: to initialize
 */
void mock_iotlb_init(struct mock_iotlb *tlb)
{
	memset(tlb, 0, sizeof(*tlb));
	spin_lock_init(&tlb->lock);
}

/* Walk the page table and remember what came out. */
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
 * @pt: page table to walk if @tlb does not know
 * @iova: where the access starts; it may reach to the end of the granule
 * @write: the access is a write
 * @tracking: writes set dirty bits
 * @phys: set to the physical address, if the access is allowed
 *
 * Return: IOMMU_MOCK_FAULT_NONE if the access is allowed, otherwise why not.
 *
 * Context: Holds @tlb->lock, and does not let go of it before the memory at
 * @phys has been read or written.
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
 * mock_iotlb_drop() - forget the leaves that overlap a range
 * @tlb: the IOTLB
 * @start: start of the range
 * @last: end of the range, inclusive; ULONG_MAX from 0 forgets everything
 *
 * Context: Holds @tlb->lock.
 */
void mock_iotlb_drop(struct mock_iotlb *tlb, unsigned long start,
		     unsigned long last)
{
	struct mock_iotlb_entry *entry;

	lockdep_assert_held(&tlb->lock);

	for (entry = tlb->entries;
	     tlb->used && entry < tlb->entries + MOCK_IOTLB_ENTRIES; entry++) {
		if (!entry->valid || entry->leaf.start > last ||
		    entry->leaf.last < start)
			continue;
		entry->valid = false;
		tlb->used--;
	}
}

/**
 * mock_iotlb_flush() - forget a range and wait for the accesses under way
 * @tlb: the IOTLB
 * @start: start of the range
 * @last: end of the range, inclusive; ULONG_MAX from 0 forgets everything
 *
 * When this returns, every access that began before it has ended.
 *
 * Context: Takes @tlb->lock.
 */
void mock_iotlb_flush(struct mock_iotlb *tlb, unsigned long start,
		      unsigned long last)
{
	spin_lock(&tlb->lock);
	mock_iotlb_drop(tlb, start, last);
	spin_unlock(&tlb->lock);
}
