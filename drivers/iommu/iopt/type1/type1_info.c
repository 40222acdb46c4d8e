// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_GET_INFO
 *
 * struct vfio_iommu_type1_info is followed by a chain of capabilities. The
 * header of each capability has the offset of the next one. Only the capability
 * of usable IOVA ranges varies in size, so it is the last one and all offsets
 * are constant. If the user's buffer is too small for all capabilities, none is
 * copied, and the caller learns the required size.
 *
 * The ranges are collected first and copied afterwards. Copying may wait for a
 * page fault for an unlimited time, so the engine's locks must not be held
 * meanwhile.
 */
#include <linux/iommu.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "iopt.h"
#include "type1/type1.h"

/**
 * struct info_caps - capabilities behind struct vfio_iommu_type1_info
 * @migration: page size and maximum size of dirty bitmaps; always present
 * @avail: number of mappings that can be added; always present
 * @pad: aligns the next capability to 8 bytes
 * @ranges: usable IOVA ranges, which follow it; absent if there is no
 *	restriction to report
 */
struct info_caps {
	struct vfio_iommu_type1_info_cap_migration migration;
	struct vfio_iommu_type1_info_dma_avail avail;
	u32 pad;
	struct vfio_iommu_type1_info_cap_iova_range ranges;
};

#define CAP_OFFSET(cap)							\
	(sizeof(struct vfio_iommu_type1_info) + offsetof(struct info_caps, cap))

/**
 * struct info_buffer - the user's buffer, and the data to copy to it
 * @base: user address of the buffer
 * @size: size of the buffer in bytes
 * @ranges: usable IOVA ranges; only as many as fit into the buffer
 * @num_ranges: number of usable IOVA ranges, including those that do not fit
 * @room: number of allocated entries of @ranges
 * @has_ranges: whether to report usable IOVA ranges
 * @page_sizes: bitmap of page sizes for &vfio_iommu_type1_info.iova_pgsizes
 * @avail: number of mappings that can be added
 */
struct info_buffer {
	void __user *base;
	size_t size;
	struct vfio_iova_range *ranges;
	u32 num_ranges;
	u32 room;
	bool has_ranges;
	unsigned long page_sizes;
	u32 avail;
};

/* Offset of a range. If @index is the number of ranges: the required size. */
static size_t info_range_offset(size_t index)
{
	return CAP_OFFSET(ranges) + sizeof_field(struct info_caps, ranges) +
	       index * sizeof(struct vfio_iova_range);
}

/*
 * iopt_walk_usable_ranges() callback. Counts a range, and stores it if all
 * ranges so far fit into the user's buffer. Returns 0 or -ENOMEM.
 */
static int info_add_range(void *opaque, unsigned long start, unsigned long last)
{
	struct info_buffer *buf = opaque;
	u32 index = buf->num_ranges++, room;
	struct vfio_iova_range *ranges;

	if (info_range_offset(buf->num_ranges) > buf->size)
		return 0;
	if (index == buf->room) {
		room = max(2 * buf->room, 8U);
		ranges = kvrealloc(buf->ranges, room * sizeof(*ranges),
				   GFP_KERNEL_ACCOUNT);
		if (!ranges)
			return -ENOMEM;
		buf->ranges = ranges;
		buf->room = room;
	}
	buf->ranges[index] = (struct vfio_iova_range) {
		.start = start,
		.end = last,
	};
	return 0;
}

/*
 * Without domains and reserved ranges, every IOVA is usable. ABI: VFIO's
 * container omits the capability then. The compat container of /dev/iommu
 * reports it anyway, because ioctls of iommufd may restrict the IOAS.
 */
static bool info_has_ranges(const struct type1_call *call)
{
	return !call->type1->flavour->strict ||
	       !list_empty(&call->iopt->domains) ||
	       !RB_EMPTY_ROOT(&call->iopt->reserved_itree.rb_root);
}

/*
 * Page sizes that every domain supports, for the alignment of mappings. User
 * memory consists of CPU pages, so smaller sizes are reported as PAGE_SIZE.
 * PAGE_SIZE is always included: every domain of an IOAS can map single pages.
 * It is also the page size of dirty bitmaps.
 */
static unsigned long info_page_sizes(struct io_pagetable *iopt)
{
	unsigned long sizes = PAGE_MASK;
	struct iopt_domain *entry;

	list_for_each_entry(entry, &iopt->domains, item)
		sizes &= entry->domain->pgsize_bitmap;
	return sizes | PAGE_SIZE;
}

/* Number of mappings that can be added. */
static u32 info_avail(const struct type1_call *call)
{
	const unsigned int *limit = call->type1->flavour->max_mappings;
	u32 max;

	/*
	 * Only available memory limits the number. Report the largest value,
	 * because some programs refuse to run with a small one.
	 */
	if (!limit)
		return U32_MAX;
	max = READ_ONCE(*limit);
	return max - min(max, type1_num_mappings(call->iopt));
}

/* Collect everything but the ranges. Returns 0 or -EINTR. */
static int info_collect(const struct type1_call *call, struct info_buffer *buf)
{
	int rc = down_read_killable(&call->iopt->iova_rwsem);

	if (rc)
		return rc;
	buf->has_ranges = info_has_ranges(call);
	buf->page_sizes = info_page_sizes(call->iopt);
	buf->avail = info_avail(call);
	up_read(&call->iopt->iova_rwsem);
	return 0;
}

/*
 * Copy the capabilities, for which the buffer has room. Returns 0 or -EFAULT.
 */
static int info_put_caps(const struct info_buffer *buf)
{
	size_t size = buf->has_ranges ? sizeof(struct info_caps) :
					offsetof(struct info_caps, ranges);
	struct info_caps caps;

	memset(&caps, 0, sizeof(caps));
	caps.migration.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION;
	caps.migration.header.version = 1;
	caps.migration.header.next = CAP_OFFSET(avail);
	caps.migration.pgsize_bitmap = PAGE_SIZE;
	caps.migration.max_dirty_bitmap_size = TYPE1_MAX_BITMAP;

	caps.avail.header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	caps.avail.header.version = 1;
	caps.avail.header.next = buf->has_ranges ? CAP_OFFSET(ranges) : 0;
	caps.avail.avail = buf->avail;

	caps.ranges.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	caps.ranges.header.version = 1;
	caps.ranges.nr_iovas = buf->num_ranges;
	if (copy_to_user(buf->base + CAP_OFFSET(migration), &caps, size) ||
	    copy_to_user(buf->base + info_range_offset(0), buf->ranges,
			 buf->num_ranges * sizeof(*buf->ranges)))
		return -EFAULT;
	return 0;
}

/*
 * Copy the structure, and the capabilities if they fit. Returns 0 or -EFAULT.
 */
static int info_put(const struct type1_call *call,
		    const struct info_buffer *buf)
{
	size_t needed = buf->has_ranges ? info_range_offset(buf->num_ranges) :
					  CAP_OFFSET(ranges);
	struct vfio_iommu_type1_info info = {
		.argsz = buf->size,
		.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		.iova_pgsizes = buf->page_sizes,
	};

	if (buf->size < needed || !call->type1->flavour->strict)
		info.argsz = needed;
	if (buf->size >= needed) {
		info.cap_offset = CAP_OFFSET(migration);
		if (info_put_caps(buf))
			return -EFAULT;
	}
	return copy_to_user(buf->base, &info, min(buf->size, sizeof(info))) ?
	       -EFAULT : 0;
}

/**
 * type1_get_info() - handle VFIO_IOMMU_GET_INFO
 * @call: the arguments. @call->arg is a struct vfio_iommu_type1_info, of which
 *	argsz covers at least iova_pgsizes, and optionally cap_offset and room
 *	for capabilities.
 *
 * If the buffer is too small for all capabilities, argsz is set to the required
 * size and cap_offset to 0. If &type1_flavour.strict is not set, argsz is
 * always set to the required size.
 *
 * Return:
 * * 0: success, even if the buffer is too small for the capabilities
 * * -EFAULT: the buffer cannot be read or written
 * * -EINVAL: argsz is too small
 * * -ENODEV: the container has no IOVA space
 * * -ENOMEM: out of memory
 * * -EINTR: the task was killed
 *
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
 */
int type1_get_info(struct type1_call *call)
{
	struct info_buffer buf = { .base = call->arg };
	u32 argsz;
	int rc;

	if (get_user(argsz, (u32 __user *)call->arg))
		return -EFAULT;
	if (argsz < offsetofend(struct vfio_iommu_type1_info, iova_pgsizes))
		return -EINVAL;
	if (!call->iopt)
		return -ENODEV;

	buf.size = argsz;
	rc = info_collect(call, &buf);
	if (!rc && buf.has_ranges)
		rc = iopt_walk_usable_ranges(call->iopt, info_add_range, &buf);
	rc = rc ?: info_put(call, &buf);
	kvfree(buf.ranges);
	return rc;
}
