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
 * struct mock_iotlb_entry - a translation that the IOTLB remembers
 * @page: number of the granule that it was made for
 * @leaf: the leaf that @page lies in, with the permissions and the dirty bit
 *	that the walk saw
 * @valid: it is one
 */
struct mock_iotlb_entry {
	unsigned long page;
	struct mock_pt_leaf leaf;
	bool valid;
};

/**
 * struct mock_iotlb - the IOTLB of one device
 * @lock: guards the entries, and is held from the lookup until the access to
 *	memory has ended, so that a flush waits for accesses under way
 * @used: number of valid entries
 * @entries: every granule has one place
 *
 * Owner: a mock_dev, or a test. Lifetime: its owner's.
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
void mock_iotlb_drop(struct mock_iotlb *tlb, unsigned long start,
		     unsigned long last);
void mock_iotlb_flush(struct mock_iotlb *tlb, unsigned long start,
		      unsigned long last);

#endif
