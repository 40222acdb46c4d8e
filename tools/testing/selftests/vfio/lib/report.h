/* SPDX-License-Identifier: GPL-2.0-only */
/* The exact dirty pages that a type1 container has to report. */
#ifndef _VFIO_SELFTEST_REPORT_H
#define _VFIO_SELFTEST_REPORT_H

#include "bench.h"

#define REPORT_PAGES	256

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

#define DIRTY_START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define DIRTY_STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define DIRTY_GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

/**
 * struct report - the expected result of the next query of a range
 * @iova: start of the range
 * @pages: pages of 4 KiB in the range, all of them mapped
 * @bytes: size of the bitmap for type1: whole 64-bit words
 * @all: every page is expected, as an IOMMU lacks dirty tracking
 * @once: one byte per page, 1 if the page is to be reported once
 * @pinned: one byte per page, 1 if the page is pinned: reported every time
 * @bm: result of the last query
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
 * enum report_kind - how the writes of a device are reported
 * @REPORT_WRITES: each write, by dirty bits or because the kernel copied it
 * @REPORT_PINS: every page that the driver has pinned
 * @REPORT_NOTHING: not at all, so every mapped page is reported
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
