/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOTLB of the mock IOMMU.
 */
#ifndef _IOMMU_MOCK_IOTLB_H
#define _IOMMU_MOCK_IOTLB_H

#include <linux/spinlock.h>

#include "mock_pt.h"

#define MOCK_IOTLB_ENTRIES	256

/**
 * struct mock_iotlb_entry - a cached translation
 * @page: IOVA of the translation, in granules
 * @leaf: the leaf that contains @page, with the permissions and the dirty bit
 *	at the time of the walk
 * @valid: whether the entry is in use
 */
struct mock_iotlb_entry {
	unsigned long page;
	struct mock_pt_leaf leaf;
	bool valid;
};

/**
 * struct mock_iotlb - the IOTLB of one device
 * @lock: guards the entries. DMA holds it from the lookup until the access to
 *	memory has ended, so a flush waits for accesses in progress.
 * @used: number of valid entries
 * @entries: the cache, direct-mapped by granule
 *
 * Owner: a mock_dev, or a test. Lifetime: that of the owner.
 */
struct mock_iotlb {
	/* guards everything below */
	spinlock_t lock;
	unsigned int used;
	struct mock_iotlb_entry entries[MOCK_IOTLB_ENTRIES];
};

void mock_iotlb_init(struct mock_iotlb *tlb);
enum iommu_mock_fault_reason
mock_iotlb_translate(struct mock_iotlb *tlb, struct mock_pt *pt,
		     unsigned long iova, bool write, bool tracking,
		     phys_addr_t *phys);
void mock_iotlb_invalidate(struct mock_iotlb *tlb, unsigned long start,
			   unsigned long last);
void mock_iotlb_invalidate_leaves(struct mock_iotlb *tlb, unsigned long start,
				  unsigned long last, size_t leaf);
void mock_iotlb_flush(struct mock_iotlb *tlb, unsigned long start,
		      unsigned long last);
void mock_iotlb_flush_leaves(struct mock_iotlb *tlb, unsigned long start,
			     unsigned long last, size_t leaf);

#endif
