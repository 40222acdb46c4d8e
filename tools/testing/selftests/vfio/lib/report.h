/* SPDX-License-Identifier: GPL-2.0-only */
/* What a type1 container has to tell of dirty pages: neither more nor less. */
#ifndef _VFIO_SELFTEST_REPORT_H
#define _VFIO_SELFTEST_REPORT_H

#include "bench.h"

#define REPORT_PAGES	256

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

#define DIRTY_START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define DIRTY_STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define DIRTY_GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

/**
 * struct report - what the next answer for a range has to be
 * @iova: start of it
 * @pages: how many pages of 4 KiB, all of them mapped
 * @bytes: of a bitmap for them, as type1 wants it: whole words
 * @all: some device is behind an IOMMU that cannot tell: all of it
 * @once: a byte for each page: to be told once
 * @pinned: the same: to be told every time
 * @bm: the last answer
 */
struct report {
	__u64 iova;
	size_t pages;
	size_t bytes;
	bool all;
	__u8 once[REPORT_PAGES];
	__u8 pinned[REPORT_PAGES];
	struct guarded_bitmap bm;
};

/**
 * enum kind - how a device's writes become known
 * @REPORT_WRITES: by dirty bits, or because the kernel copied for it
 * @REPORT_PINS: by the pages that it has pinned
 * @REPORT_NOTHING: not at all
 */
enum report_kind {
	REPORT_WRITES,
	REPORT_PINS,
	REPORT_NOTHING,
};

enum report_kind report_kind_of(const char *model);

void report_init(struct __test_metadata *_metadata, struct report *report,
		 __u64 iova, size_t pages);
void report_free(struct report *report);
void report_write(struct __test_metadata *_metadata, struct report *report,
		  struct vfio_dev *dev, enum report_kind kind, __u64 offset,
		  __u64 length);
void report_unpin(struct report *report);
void report_everything(struct report *report);
void report_check(struct __test_metadata *_metadata, struct report *report);
int __report_query(struct report *report, struct iommu *iommu);
void report_query(struct __test_metadata *_metadata, struct report *report,
		  struct iommu *iommu);

#endif
