// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: example of dirty tracking by /dev/iommu
 *
 * Each page table (HWPT) has dirty bits of its own. A guest whose devices are
 * behind different IOMMUs has several page tables for the same memory.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "example.h"

static int set_tracking(const struct example_tracker *tracker, __u32 flags)
{
	int rc = 0;

	for (unsigned int i = 0; i < tracker->nr_hwpts; i++) {
		struct iommu_hwpt_set_dirty_tracking set = {
			.size = sizeof(set),
			.flags = flags,
			.hwpt_id = tracker->hwpts[i],
		};

		if (ioctl(tracker->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &set))
			rc = -errno;
	}
	return rc;
}

/* Each HWPT was allocated with IOMMU_HWPT_ALLOC_DIRTY_TRACKING. */
static int iommufd_start(struct example_tracker *tracker,
			 const struct example_vm *vm)
{
	int rc;

	tracker->page_size = 4096;
	rc = set_tracking(tracker, IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
	if (rc)
		set_tracking(tracker, 0);
	return rc;
}

/* A query only sets bits: all page tables share one bitmap, one after another. */
static int get_dirty(const struct example_tracker *tracker, __u32 flags,
		     const struct example_range *range, __u64 *bitmap)
{
	for (unsigned int i = 0; i < tracker->nr_hwpts; i++) {
		struct iommu_hwpt_get_dirty_bitmap get = {
			.size = sizeof(get),
			.hwpt_id = tracker->hwpts[i],
			.flags = flags,
			.iova = range->iova,
			.length = range->length,
			.page_size = tracker->page_size,
			.data = (unsigned long)bitmap,
		};

		if (ioctl(tracker->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get))
			return -errno;
	}
	return 0;
}

static int iommufd_query(struct example_tracker *tracker,
			 const struct example_range *range, __u64 *bitmap)
{
	return get_dirty(tracker, 0, range, bitmap);
}

static int iommufd_stop(struct example_tracker *tracker)
{
	return set_tracking(tracker, 0);
}

/*
 * Unmapping discards dirty bits, so query the range before. No later query covers
 * these pages, so their dirty bits need not be cleared.
 */
int example_iommufd_unmap(const struct example_tracker *tracker, __u32 ioas_id,
			  const struct example_range *range, __u64 *bitmap)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas_id,
		.iova = range->iova,
		.length = range->length,
	};
	int rc;

	rc = get_dirty(tracker, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, range,
		       bitmap);
	if (rc)
		return rc;
	return ioctl(tracker->fd, IOMMU_IOAS_UNMAP, &unmap) ? -errno : 0;
}

const struct example_tracker example_iommufd = {
	.start = iommufd_start,
	.query = iommufd_query,
	.stop = iommufd_stop,
};
