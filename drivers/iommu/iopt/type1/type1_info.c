// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_GET_INFO
 *
 * Behind the structure comes a chain of capabilities, each with the offset of
 * the next one. Here the places are known beforehand: usable IOVAs are at the
 * end, as only their number varies. If there is not enough room for all of them
 * the caller learns how much is needed.
 *
 * Ranges are collected first and copied to the caller afterwards, as the caller's
 * memory may not be there yet: a page fault takes any time, and no lock of the
 * engine may be held meanwhile.
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
 * struct info_caps - what follows struct vfio_iommu_type1_info
 * @migration: always there
 * @avail: always there
 * @pad: capabilities begin at multiples of 8 bytes
 * @ranges: the last one; its ranges follow
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
 * struct info_buffer - the caller's memory, and what is copied there
 * @base: address
 * @size: bytes
 * @ranges: usable IOVAs, as many of them as fit into the caller's memory
 * @num_ranges: how many ranges of usable IOVAs there are
 * @room: how many fit into @ranges
 * @has_ranges: usable IOVAs are reported
 * @page_sizes: what the caller aligns mappings to
 * @avail: how many more mappings there can be
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

/* The offset of a range; of the one behind the last, what all of it needs. */
static size_t info_range_offset(size_t index)
{
	return CAP_OFFSET(ranges) + sizeof_field(struct info_caps, ranges) +
	       index * sizeof(struct vfio_iova_range);
}

/*
 * Once a range does not fit into the caller's memory the ranges are only counted.
 * Return: 0; -ENOMEM.
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
 * Without domains and what they reserve every IOVA is usable, which VFIO's
 * container does not tell. /dev/iommu does, and others change its IOAS.
 */
static bool info_has_ranges(const struct type1_call *call)
{
	return !call->type1->flavour->strict || call->iopt->next_domain_id ||
	       !RB_EMPTY_ROOT(&call->iopt->reserved_itree.rb_root);
}

/*
 * Page sizes that all IOMMUs have. They are for the caller to align mappings to,
 * and memory comes in pages of the CPU: what an IOMMU has below that is told as
 * PAGE_SIZE. That one is always among them, as no domain gets into a table that
 * cannot map single pages, and so it is the page of dirty bitmaps.
 */
static unsigned long info_page_sizes(struct io_pagetable *iopt)
{
	unsigned long i, sizes = PAGE_MASK;
	struct iopt_domain *entry;

	iopt_for_each_domain(iopt, i, entry)
		sizes &= entry->domain->pgsize_bitmap;
	return sizes | PAGE_SIZE;
}

/* How many more mappings there can be. */
static u32 info_avail(const struct type1_call *call)
{
	const unsigned int *limit = call->type1->flavour->max_areas;
	u32 max;

	/*
	 * Without a limit it is memory that limits them. There are clients that
	 * take a small value seriously.
	 */
	if (!limit)
		return U32_MAX;
	max = READ_ONCE(*limit);
	return max - min(max, type1_num_mappings(call->iopt));
}

/* Everything but the ranges. Return: 0; -EINTR. */
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

/* Return: 0; -EFAULT. There is room. */
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

/* @buf has what the call found. Return: 0; -EFAULT. */
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
 * type1_get_info() - VFIO_IOMMU_GET_INFO
 * @call: with struct vfio_iommu_type1_info, with or without its last members,
 *	with or without room for capabilities
 *
 * Return: 0, also where there is not room enough, argsz then tells how much is
 * needed and cap_offset is 0; -EINVAL for an argsz that is too small; -ENODEV;
 * -EFAULT; -ENOMEM; -EINTR.
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
