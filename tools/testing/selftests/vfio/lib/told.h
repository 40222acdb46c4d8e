/* SPDX-License-Identifier: GPL-2.0-only */
/* What a type1 container has to tell of dirty pages: neither more nor less. */
#ifndef _VFIO_SELFTEST_TOLD_H
#define _VFIO_SELFTEST_TOLD_H

#include "bench.h"

#define TOLD_PAGES	256

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

#define DIRTY_START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define DIRTY_STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define DIRTY_GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

/**
 * struct told - what the next answer for a range has to be
 * @iova: start of it
 * @pages: how many pages of 4 KiB, all of them mapped
 * @bytes: of a bitmap for them, as type1 wants it: whole words
 * @all: some device is behind an IOMMU that cannot tell: all of it
 * @once: a byte for each page: to be told once
 * @pinned: the same: to be told every time
 * @bm: the last answer
 */
struct told {
	__u64 iova;
	size_t pages;
	size_t bytes;
	bool all;
	__u8 once[TOLD_PAGES];
	__u8 pinned[TOLD_PAGES];
	struct guarded_bitmap bm;
};

/**
 * enum tells - how a device's writes become known
 * @TELLS_WRITES: by dirty bits, or because the kernel copied for it
 * @TELLS_PINS: by the pages that it has pinned
 * @TELLS_NOTHING: not at all
 */
enum tells {
	TELLS_WRITES,
	TELLS_PINS,
	TELLS_NOTHING,
};

enum tells tells_of(const char *model);

void told_init(struct __test_metadata *_metadata, struct told *told,
	       __u64 iova, size_t pages);
void told_free(struct told *told);
void told_write(struct __test_metadata *_metadata, struct told *told,
		struct vfio_dev *dev, enum tells tells, __u64 offset,
		__u64 length);
void told_unpin(struct told *told);
void told_everything(struct told *told);
void told_check(struct __test_metadata *_metadata, struct told *told);
int __told_ask(struct told *told, struct iommu *iommu);
void told_ask(struct __test_metadata *_metadata, struct told *told,
	      struct iommu *iommu);

#endif
