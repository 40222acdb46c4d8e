/* SPDX-License-Identifier: GPL-2.0-only */
/* A container or /dev/iommu, a mock device and memory, as most tests need. */
#ifndef _VFIO_SELFTEST_BENCH_H
#define _VFIO_SELFTEST_BENCH_H

#include "bitmap.h"
#include "iommu.h"
#include "lib/memory/memory.h"
#include "lib/device/mock_dma.h"
#include "lib/device/vfio_device.h"

#define DROP_FLUSH	"/sys/module/iommu_mock/parameters/drop_flush"
#define GROUP_REQUESTS	"/sys/module/iommu_mock/parameters/group_requests"

/**
 * struct bench - a device ready for DMA
 * @iommu: container or /dev/iommu that @dev is opened with
 * @dev: the mock device, or QEMU's edu device
 * @mem: memory; empty until bench_memory()
 * @iova: IOVA that @mem is mapped at
 */
struct bench {
	struct iommu iommu;
	struct vfio_dev dev;
	struct mem mem;
	__u64 iova;
};

void bench_open(struct __test_metadata *_metadata, struct bench *bench,
		enum iommu_mode mode, const char *model);
void bench_open_pci(struct __test_metadata *_metadata, struct bench *bench,
		    enum iommu_mode mode, const char *model);
void bench_open_edu(struct __test_metadata *_metadata, struct bench *bench,
		    enum iommu_mode mode);
void bench_memory(struct __test_metadata *_metadata, struct bench *bench,
		  __u64 iova, size_t length, enum mem_kind kind);
void bench_close(struct __test_metadata *_metadata, struct bench *bench);

/* Dirty tracking of the IOMMU, for MODE_TYPE1, MODE_COMPAT and MODE_IOMMUFD. */
int __bench_track(struct bench *bench, bool enable);
void bench_track(struct __test_metadata *_metadata, struct bench *bench);
int __bench_query(struct bench *bench, __u32 flags, __u64 iova, __u64 length,
		  __u64 granule, void *bits);
void bench_query(struct __test_metadata *_metadata, struct bench *bench,
		 struct guarded_bitmap *bm, __u64 iova, __u64 granule);

#endif
