/* SPDX-License-Identifier: GPL-2.0-only */
/* Two mock PCI devices over the same memory, to migrate from one to the other. */
#ifndef _VFIO_SELFTEST_MIG_PAIR_H
#define _VFIO_SELFTEST_MIG_PAIR_H

#include "bench.h"

/* More bytes than a device state has. */
#define MIG_DATA_MAX	SZ_1M

/**
 * struct mig_pair - two devices that map the same memory at the same IOVAs
 * @bench: the source, and the memory
 * @src: the source, in @bench
 * @dst: the destination
 */
struct mig_pair {
	struct bench bench;
	struct vfio_dev *src;
	struct vfio_dev dst;
};

void mig_open(struct __test_metadata *_metadata, struct mig_pair *pair,
	      enum iommu_mode mode, __u64 iova, size_t length);
void mig_close(struct __test_metadata *_metadata, struct mig_pair *pair);
void mig_reopen_dst(struct __test_metadata *_metadata, struct mig_pair *pair);

int mig_set(struct __test_metadata *_metadata, struct vfio_dev *dev,
	    __u32 state);
__u32 mig_get(struct __test_metadata *_metadata, struct vfio_dev *dev);
size_t mig_save(struct __test_metadata *_metadata, struct vfio_dev *dev,
		__u8 *data);
void mig_load(struct __test_metadata *_metadata, struct vfio_dev *dev,
	      const __u8 *data, size_t size);

struct vfio_mock_pci_regs mock_pci_regs(struct __test_metadata *_metadata,
					struct vfio_dev *dev);
struct vfio_mock_dma_regs mock_dma_regs(struct __test_metadata *_metadata,
					struct vfio_dev *dev);

#endif
