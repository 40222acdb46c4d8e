// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: example of dirty tracking by a type1 container
 *
 * The container is /dev/vfio/vfio, or /dev/iommu, which has the same ioctls. A
 * query covers all groups of the container.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "example.h"

/* The kernel sets argsz to the size that it requires: call it again with that. */
static struct vfio_iommu_type1_info *get_info(int container)
{
	struct vfio_iommu_type1_info *info = NULL, *larger;
	__u32 size = sizeof(*info);

	for (;;) {
		larger = realloc(info, size);
		if (!larger)
			break;
		info = larger;
		info->argsz = size;
		if (ioctl(container, VFIO_IOMMU_GET_INFO, info))
			break;
		if (info->argsz <= size)
			return info;
		size = info->argsz;
	}
	free(info);
	return NULL;
}

static const struct vfio_iommu_type1_info_cap_migration *
find_migration(const struct vfio_iommu_type1_info *info)
{
	const struct vfio_info_cap_header *cap;
	__u32 offset = 0;

	if (info->flags & VFIO_IOMMU_INFO_CAPS)
		offset = info->cap_offset;
	for (; offset; offset = cap->next) {
		cap = (const void *)info + offset;
		if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION)
			return (const void *)cap;
	}
	return NULL;
}

/* Fail without the capability: such a container never reports a dirty page. */
static int choose_page_size(struct example_tracker *tracker,
			    const struct example_vm *vm)
{
	const struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info *info;
	int rc = 0;

	info = get_info(tracker->fd);
	migration = info ? find_migration(info) : NULL;
	if (!migration || !migration->pgsize_bitmap) {
		free(info);
		return -EOPNOTSUPP;
	}
	/* The smallest of the page sizes: the lowest bit. */
	tracker->page_size = migration->pgsize_bitmap &
			     -migration->pgsize_bitmap;
	for (unsigned int i = 0; i < vm->nr_ranges; i++)
		if (example_bitmap_bytes(vm->ranges[i].length,
					 tracker->page_size) >
		    migration->max_dirty_bitmap_size)
			rc = -E2BIG;
	free(info);
	return rc;
}

/* argsz is the size of the structure; START and STOP have no further data. */
static int dirty_pages(const struct example_tracker *tracker, __u32 flag)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = flag,
	};

	return ioctl(tracker->fd, VFIO_IOMMU_DIRTY_PAGES, &dirty) ? -errno : 0;
}

static int type1_start(struct example_tracker *tracker,
		       const struct example_vm *vm)
{
	int rc;

	rc = choose_page_size(tracker, vm);
	if (rc)
		return rc;
	return dirty_pages(tracker, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}

/* A range must not begin or end within a mapping. */
static int type1_query(struct example_tracker *tracker,
		       const struct example_range *range, __u64 *bitmap)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} query = {
		.dirty.argsz = sizeof(query),
		.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get.iova = range->iova,
		.get.size = range->length,
		.get.bitmap.pgsize = tracker->page_size,
		.get.bitmap.size = example_bitmap_bytes(range->length,
							tracker->page_size),
		.get.bitmap.data = bitmap,
	};

	return ioctl(tracker->fd, VFIO_IOMMU_DIRTY_PAGES, &query) ? -errno : 0;
}

static int type1_stop(struct example_tracker *tracker)
{
	return dirty_pages(tracker, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

/* The unmap itself reports the dirty pages of the range, while tracking is on. */
int example_type1_unmap(const struct example_tracker *tracker,
			const struct example_range *range, __u64 *bitmap)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} call = {
		.unmap.argsz = sizeof(call),
		.unmap.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		.unmap.iova = range->iova,
		.unmap.size = range->length,
		.bitmap.pgsize = tracker->page_size,
		.bitmap.size = example_bitmap_bytes(range->length,
						    tracker->page_size),
		.bitmap.data = bitmap,
	};

	return ioctl(tracker->fd, VFIO_IOMMU_UNMAP_DMA, &call) ? -errno : 0;
}

const struct example_tracker example_type1 = {
	.start = type1_start,
	.query = type1_query,
	.stop = type1_stop,
};
