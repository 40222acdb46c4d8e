// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the expected report of type1
 *
 * The oracle for a container:
 *  - a page whose dirty bit is set, or that the kernel wrote for a driver, is
 *    reported once;
 *  - a page that a driver has pinned is reported by every query, and once more
 *    after it was unpinned;
 *  - every mapped page is reported while an IOMMU lacks dirty tracking.
 */
#include <string.h>

#include "check.h"
#include "report.h"

/* Return the kind of a mock device model, with the default emulated_pin. */
enum report_kind report_kind_of(const char *model)
{
	if (!strcmp(model, "emulated"))
		return REPORT_PINS;
	return strcmp(model, "nodirty") ? REPORT_WRITES : REPORT_NOTHING;
}

void report_init(struct __test_metadata *_metadata, struct report *report,
		 __u64 iova, size_t pages)
{
	CHECK(pages <= REPORT_PAGES, "%zu pages", pages);
	memset(report, 0, sizeof(*report));
	report->iova = iova;
	report->pages = pages;
	report->bytes = (pages + 63) / 64 * 8;
	bitmap_alloc(_metadata, &report->bm, report->bytes * 8, 0);
}

void report_free(struct report *report)
{
	bitmap_free(&report->bm);
}

/* Make the device write the range, and expect its pages in the report. */
void report_write(struct __test_metadata *_metadata, struct report *report,
		  struct vfio_dev *dev, enum report_kind kind, __u64 offset,
		  __u64 length)
{
	size_t first = offset / SZ_4K, last = (offset + length - 1) / SZ_4K;

	mock_fill(_metadata, dev, report->iova + offset, length, 1);
	if (kind == REPORT_WRITES)
		memset(report->once + first, 1, last - first + 1);
	else if (kind == REPORT_PINS)
		memset(report->pinned + first, 1, last - first + 1);
}

/* Drivers have unpinned all of their pages: expect them once more. */
void report_unpin(struct report *report)
{
	for (size_t page = 0; page < report->pages; page++)
		report->once[page] |= report->pinned[page];
	memset(report->pinned, 0, sizeof(report->pinned));
}

/* Expect every page once. */
void report_everything(struct report *report)
{
	memset(report->once, 1, sizeof(report->once));
}

/* Check the result in the bitmap, which clears what is expected once. */
void report_check(struct __test_metadata *_metadata, struct report *report)
{
	const struct guarded_bitmap *bm = &report->bm;

	bitmap_check_guards(_metadata, bm);
	for (size_t page = 0; page < bm->nbits; page++) {
		bool dirty = page < report->pages &&
			     (report->all || report->once[page] ||
			      report->pinned[page]);

		CHECK(bitmap_test(bm, page) == dirty,
		      "page %zu of %zu is %s", page, report->pages,
		      dirty ? "not reported" : "reported, but clean");
	}
	memset(report->once, 0, sizeof(report->once));
}

/* Query the range with GET_BITMAP: 0 or -errno */
int __report_query(struct report *report, struct iommu *iommu)
{
	bitmap_reset(&report->bm);
	return __type1_dirty_get(iommu->fd, report->iova, report->pages * SZ_4K,
				 SZ_4K, report->bm.bits, report->bytes);
}

void report_query(struct __test_metadata *_metadata, struct report *report,
		  struct iommu *iommu)
{
	CHECK_RC(0, __report_query(report, iommu), "the query failed");
	report_check(_metadata, report);
}
