// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_GET_INFO
 *
 * Behind the structure comes a chain of capabilities, each with the offset of
 * the next one. Here the places are known beforehand: usable IOVAs are at the
 * end, as only their number varies. So ranges are written as they are found, and
 * whether there was room for all of them is known afterwards. If not, the caller
 * learns how much would be needed.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "iopt_dirty.h"
#include "type1.h"

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
 * struct info_buffer - the caller's memory
 * @base: address
 * @size: bytes
 * @num_ranges: ranges of usable IOVAs that were found
 */
struct info_buffer {
	void __user *base;
	size_t size;
	u32 num_ranges;
};

/* The offset of a range; of the one behind the last, what all of it needs. */
static size_t info_range_offset(size_t index)
{
	return CAP_OFFSET(ranges) + sizeof_field(struct info_caps, ranges) +
	       index * sizeof(struct vfio_iova_range);
}

/* Return: 0, also where the range does not fit as a whole; -EFAULT. */
static int info_put_range(void *opaque, unsigned long start, unsigned long last)
{
	struct vfio_iova_range range = { .start = start, .end = last };
	struct info_buffer *buf = opaque;
	size_t offset = info_range_offset(buf->num_ranges++);

	if (info_range_offset(buf->num_ranges) > buf->size)
		return 0;
	return copy_to_user(buf->base + offset, &range, sizeof(range)) ?
	       -EFAULT : 0;
}

/*
 * Without domains and what they reserve every IOVA is usable, which VFIO's
 * container does not tell. /dev/iommu does, and others change its IOAS.
 */
static bool info_has_ranges(const struct type1_call *call)
{
	struct io_pagetable *iopt = call->iopt;

	guard(rwsem_read)(&iopt->iova_rwsem);
	return !call->type1->flavour->strict || iopt->next_domain_id ||
	       !RB_EMPTY_ROOT(&iopt->reserved_itree.rb_root);
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

	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_domain(iopt, i, entry)
		sizes &= entry->domain->pgsize_bitmap;
	return sizes | PAGE_SIZE;
}

/* How many more mappings there can be. */
static u32 info_avail(const struct type1_call *call)
{
	u32 max = READ_ONCE(*call->type1->flavour->max_areas);

	/*
	 * Without a limit it is memory that limits them. There are clients that
	 * take a small value seriously.
	 */
	if (max == U32_MAX)
		return max;
	guard(rwsem_read)(&call->iopt->iova_rwsem);
	return max - min(max, type1_num_mappings(call->iopt));
}

/* Return: 0; -EFAULT. There is room. */
static int info_put_caps(const struct type1_call *call,
			 const struct info_buffer *buf, bool has_ranges)
{
	size_t size = has_ranges ? sizeof(struct info_caps) :
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
	caps.avail.header.next = has_ranges ? CAP_OFFSET(ranges) : 0;
	caps.avail.avail = info_avail(call);

	caps.ranges.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	caps.ranges.header.version = 1;
	caps.ranges.nr_iovas = buf->num_ranges;
	return copy_to_user(buf->base + CAP_OFFSET(migration), &caps, size) ?
	       -EFAULT : 0;
}

/**
 * type1_get_info() - VFIO_IOMMU_GET_INFO
 * @call: with struct vfio_iommu_type1_info, with or without its last members,
 *	with or without room for capabilities
 *
 * Return: 0, also where there is not room enough, argsz then tells how much is
 * needed and cap_offset is 0; -EINVAL for an argsz that is too small; -ENODEV;
 * -EFAULT.
 * Context: &type1.lock held; may sleep.
 */
int type1_get_info(struct type1_call *call)
{
	struct info_buffer buf = { .base = call->arg };
	size_t needed = CAP_OFFSET(ranges);
	struct vfio_iommu_type1_info info;
	bool has_ranges;
	u32 argsz;
	int rc;

	lockdep_assert_held(&call->type1->lock);

	if (get_user(argsz, (u32 __user *)call->arg))
		return -EFAULT;
	if (argsz < offsetofend(struct vfio_iommu_type1_info, iova_pgsizes))
		return -EINVAL;
	if (!call->iopt)
		return -ENODEV;

	buf.size = argsz;
	has_ranges = info_has_ranges(call);
	if (has_ranges) {
		rc = iopt_walk_usable_ranges(call->iopt, info_put_range, &buf);
		if (rc)
			return rc;
		needed = info_range_offset(buf.num_ranges);
	}

	info = (struct vfio_iommu_type1_info) {
		.argsz = argsz,
		.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		.iova_pgsizes = info_page_sizes(call->iopt),
	};
	if (argsz < needed || !call->type1->flavour->strict)
		info.argsz = needed;
	if (argsz >= needed) {
		info.cap_offset = CAP_OFFSET(migration);
		if (info_put_caps(call, &buf, has_ranges))
			return -EFAULT;
	}
	return copy_to_user(call->arg, &info, min(buf.size, sizeof(info))) ?
	       -EFAULT : 0;
}
