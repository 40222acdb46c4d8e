// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what type1 has to tell
 *
 * The oracle for a container: pages that a device's dirty bits tell, or that the
 * kernel wrote for a driver, are told once; what a driver has pinned is told in
 * every answer, and in one more when it has let go; and everything is told while
 * there is an IOMMU that has no dirty bits.
 */
#include <string.h>

#include "check.h"
#include "told.h"

/* By model of a mock device, whose writes pin pages unless told otherwise. */
enum tells tells_of(const char *model)
{
	if (!strcmp(model, "emulated"))
		return TELLS_PINS;
	return strcmp(model, "nodirty") ? TELLS_WRITES : TELLS_NOTHING;
}

void told_init(struct __test_metadata *_metadata, struct told *told,
	       __u64 iova, size_t pages)
{
	CHECK(pages <= TOLD_PAGES, "%zu pages", pages);
	memset(told, 0, sizeof(*told));
	told->iova = iova;
	told->pages = pages;
	told->bytes = (pages + 63) / 64 * 8;
	bitmap_alloc(_metadata, &told->bm, told->bytes * 8, 0);
}

void told_free(struct told *told)
{
	bitmap_free(&told->bm);
}

/* The device writes there, which has to come out. */
void told_write(struct __test_metadata *_metadata, struct told *told,
		struct vfio_dev *dev, enum tells tells, __u64 offset,
		__u64 length)
{
	size_t first = offset / SZ_4K, last = (offset + length - 1) / SZ_4K;

	mock_fill(_metadata, dev, told->iova + offset, length, 1);
	if (tells == TELLS_WRITES)
		memset(told->once + first, 1, last - first + 1);
	else if (tells == TELLS_PINS)
		memset(told->pinned + first, 1, last - first + 1);
}

/* Drivers have unpinned all that they had pinned. */
void told_unpin(struct told *told)
{
	for (size_t page = 0; page < told->pages; page++)
		told->once[page] |= told->pinned[page];
	memset(told->pinned, 0, sizeof(told->pinned));
}

/* All of it, once. */
void told_everything(struct told *told)
{
	memset(told->once, 1, sizeof(told->once));
}

/* The answer that is in the bitmap is right. */
void told_check(struct __test_metadata *_metadata, struct told *told)
{
	const struct guarded_bitmap *bm = &told->bm;

	bitmap_check_guards(_metadata, bm);
	for (size_t page = 0; page < bm->nbits; page++) {
		bool dirty = page < told->pages &&
			     (told->all || told->once[page] ||
			      told->pinned[page]);

		CHECK(bitmap_test(bm, page) == dirty,
		      "page %zu of %zu is %s", page, told->pages,
		      dirty ? "missing" : "clean in truth");
	}
	memset(told->once, 0, sizeof(told->once));
}

/* GET_BITMAP: 0 or -errno */
int __told_ask(struct told *told, struct iommu *iommu)
{
	bitmap_reset(&told->bm);
	return __type1_dirty_get(iommu->fd, told->iova, told->pages * SZ_4K,
				 SZ_4K, told->bm.bits, told->bytes);
}

void told_ask(struct __test_metadata *_metadata, struct told *told,
	      struct iommu *iommu)
{
	CHECK_RC(0, __told_ask(told, iommu), "no answer");
	told_check(_metadata, told);
}
