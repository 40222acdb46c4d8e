// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the type1 backends of precopy
 *
 * A container, a group in it, a device from the group. The container is
 * /dev/vfio/vfio, or /dev/iommu, which speaks the same ioctls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>
#include "precopy.h"

/* The kernel reports the size that it needs: repeat with a buffer of that size. */
static struct vfio_iommu_type1_info *get_info(struct backend *b)
{
	struct vfio_iommu_type1_info *info, *more;
	__u32 size = sizeof(*info);

	info = calloc(1, size);
	while (info) {
		info->argsz = size;
		if (ioctl(b->container, VFIO_IOMMU_GET_INFO, info))
			break;
		if (info->argsz <= size)
			return info;
		size = info->argsz;
		more = realloc(info, size);
		if (!more)
			break;
		memset(more, 0, size);
		info = more;
	}
	free(info);
	return NULL;
}

static void read_migration(struct backend *b,
			   const struct vfio_iommu_type1_info *info)
{
	const struct vfio_iommu_type1_info_cap_migration *migration;
	const struct vfio_info_cap_header *cap;
	const char *base = (const char *)info;
	__u32 at = 0;

	b->reason = "the container reports no MIGRATION capability";
	if (info->flags & VFIO_IOMMU_INFO_CAPS)
		at = info->cap_offset;
	for (; at && at + sizeof(*cap) <= info->argsz; at = cap->next) {
		cap = (const void *)(base + at);
		if (cap->id != VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION)
			continue;
		migration = (const void *)cap;
		b->tracks = true;
		b->page_sizes = migration->pgsize_bitmap;
		b->max_bitmap = migration->max_dirty_bitmap_size;
		return;
	}
}

static int enter_group(struct backend *b, const struct vfio_device *dev,
		       const char *container, const char *missing)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];
	int rc;

	if (dev->group < 0)
		return fail(EXIT_SETUP, "%s: %s is in no IOMMU group",
			    b->ops->name, dev->name);
	rc = backend_open_file(b, container, missing, &b->container);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/dev/vfio/%d", dev->group);
	rc = backend_open_file(b, path, "the kernel has no CONFIG_VFIO_GROUP",
			       &b->group);
	if (rc)
		return rc;
	if (ioctl(b->group, VFIO_GROUP_GET_STATUS, &status))
		return fail(EXIT_SETUP, "%s: status of %s: %m", b->ops->name,
			    path);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return fail(EXIT_SETUP,
			    "%s: a device of %s is not bound to vfio",
			    b->ops->name, path);
	if (ioctl(b->group, VFIO_GROUP_SET_CONTAINER, &b->container))
		return fail(EXIT_SETUP, "%s: %s into %s: %m", b->ops->name,
			    path, container);
	return 0;
}

static int open_container(struct backend *b, const struct vfio_device *dev,
			  const char *container, const char *missing)
{
	struct vfio_iommu_type1_info *info;
	int rc;

	rc = enter_group(b, dev, container, missing);
	if (rc)
		return rc;
	if (ioctl(b->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0)
		return fail(EXIT_NOT_OFFERED, "%s: %s offers no type1 v2: %s",
			    b->ops->name, container, missing);
	if (ioctl(b->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return fail(EXIT_SETUP, "%s: VFIO_SET_IOMMU: %m%s",
			    b->ops->name, interrupts_hint(errno));
	b->device = ioctl(b->group, VFIO_GROUP_GET_DEVICE_FD, dev->name);
	if (b->device < 0)
		return fail(EXIT_SETUP, "%s: opening %s: %m", b->ops->name,
			    dev->name);
	info = get_info(b);
	if (!info)
		return fail(EXIT_SETUP, "%s: VFIO_IOMMU_GET_INFO: %m",
			    b->ops->name);
	if (info->flags & VFIO_IOMMU_INFO_PGSIZES)
		b->iommu_page_sizes = info->iova_pgsizes;
	read_migration(b, info);
	free(info);
	return 0;
}

static int type1_open(struct backend *b, const struct vfio_device *dev)
{
	return open_container(b, dev, "/dev/vfio/vfio", NO_TYPE1);
}

static int compat_open(struct backend *b, const struct vfio_device *dev)
{
	return open_container(b, dev, "/dev/iommu", NO_IOMMUFD);
}

static int type1_map(struct backend *b, const struct range *slot, void *memory)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (unsigned long)memory,
		.iova = slot->iova,
		.size = slot->size,
	};

	if (!ioctl(b->container, VFIO_IOMMU_MAP_DMA, &map))
		return 0;
	return fail(EXIT_SETUP, "%s: mapping %llu MiB at %#llx: %m",
		    b->ops->name, slot->size / MIB, slot->iova);
}

static int type1_unmap(struct backend *b, const struct range *slot)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = slot->iova,
		.size = slot->size,
	};

	if (!ioctl(b->container, VFIO_IOMMU_UNMAP_DMA, &unmap) &&
	    unmap.size == slot->size)
		return 0;
	return fail(EXIT_WRONG, "%s: unmapping %llu MiB at %#llx: %m",
		    b->ops->name, slot->size / MIB, slot->iova);
}

static int switch_tracking(struct backend *b, __u32 flag)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = flag,
	};

	return ioctl(b->container, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

static int type1_start(struct backend *b, const struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->nr_slots; i++)
		if (g->slots[i].size / g->page / 8 > b->max_bitmap)
			return fail(EXIT_NOT_OFFERED,
				    "%s: a slot of %llu MiB needs a longer bitmap than the kernel takes",
				    b->ops->name, g->slots[i].size / MIB);
	if (!switch_tracking(b, VFIO_IOMMU_DIRTY_PAGES_FLAG_START))
		return 0;
	return fail(EXIT_SETUP, "%s: starting dirty tracking: %m",
		    b->ops->name);
}

static int type1_stop(struct backend *b)
{
	if (!switch_tracking(b, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP))
		return 0;
	return fail(EXIT_WRONG, "%s: stopping dirty tracking: %m",
		    b->ops->name);
}

static int query_range(struct backend *b, const struct guest *g,
		       const struct range *range, __u64 *bitmap)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} query = {
		.head.argsz = sizeof(query),
		.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get.iova = range->iova,
		.get.size = range->size,
		.get.bitmap.pgsize = g->page,
		.get.bitmap.size = range->size / g->page / 8,
		.get.bitmap.data = (void *)bitmap,
	};

	if (!ioctl(b->container, VFIO_IOMMU_DIRTY_PAGES, &query))
		return 0;
	return fail(EXIT_WRONG, "%s: dirty pages of %llu MiB at %#llx: %m",
		    b->ops->name, range->size / MIB, range->iova);
}

/* One query for the span, or one for each slot: a query must not split a mapping. */
static int type1_query(struct backend *b, const struct guest *g,
		       const struct range *span, __u64 *bitmap)
{
	const struct range *slot;
	unsigned int i;
	int rc = 0;

	if (span->size / g->page / 8 <= b->max_bitmap)
		return query_range(b, g, span, bitmap);
	for (i = 0; !rc && i < g->nr_slots; i++) {
		slot = &g->slots[i];
		if (slot->iova >= span->iova &&
		    slot->iova - span->iova < span->size)
			rc = query_range(b, g, slot, bitmap +
					 (slot->iova - span->iova) / g->page / 64);
	}
	return rc;
}

static const struct tracker type1_tracker = {
	.name = "iommu",
	.start = type1_start,
	.query = type1_query,
	.stop = type1_stop,
};

const struct backend_ops type1_ops = {
	.name = "type1",
	.open = type1_open,
	.map = type1_map,
	.unmap = type1_unmap,
	.tracker = &type1_tracker,
};

const struct backend_ops compat_ops = {
	.name = "compat",
	.open = compat_open,
	.map = type1_map,
	.unmap = type1_unmap,
	.tracker = &type1_tracker,
};
