// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_IOMMU_GET_INFO of the type1-compatible container.
 */
#include <linux/align.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"
#include "vfio_compat.h"

/**
 * DOC: What the type1-compatible container tells
 *
 * Behind the structure comes a chain of capabilities, each with the offset of
 * the next one. Here the places are known beforehand: how many mappings there
 * can be first, usable IOVAs at the end, as only their number varies. So ranges
 * are written as they are found, and whether there was room for all of them is
 * known afterwards. If not, the caller learns how much would be needed.
 */
#define AVAIL_OFFSET	sizeof(struct vfio_iommu_type1_info)
#define RANGE_OFFSET							\
	(AVAIL_OFFSET +							\
	 ALIGN(sizeof(struct vfio_iommu_type1_info_dma_avail), sizeof(u64)))

/**
 * struct info_buffer - the caller's memory
 * @base: address
 * @size: bytes
 * @num_ranges: ranges of usable IOVAs that were found
 *
 * Owner: iommufd_vfio_get_info().
 */
struct info_buffer {
	void __user *base;
	size_t size;
	u32 num_ranges;
};

/* Return: 0, also where @data does not fit as a whole; -EFAULT. */
static int info_put(struct info_buffer *buf, size_t offset, const void *data,
		    size_t length)
{
	if (buf->size < length || buf->size - length < offset)
		return 0;
	return copy_to_user(buf->base + offset, data, length) ? -EFAULT : 0;
}

/* The offset of a range; of the one behind the last, what all of it needs. */
static size_t info_range_offset(size_t index)
{
	return RANGE_OFFSET +
	       sizeof(struct vfio_iommu_type1_info_cap_iova_range) +
	       index * sizeof(struct vfio_iova_range);
}

static int info_put_range(void *opaque, unsigned long start, unsigned long last)
{
	struct vfio_iova_range range = { .start = start, .end = last };
	struct info_buffer *buf = opaque;

	return info_put(buf, info_range_offset(buf->num_ranges++), &range,
			sizeof(range));
}

static int info_put_headers(struct info_buffer *buf)
{
	const struct vfio_iommu_type1_info_dma_avail avail = {
		.header = {
			.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			.version = 1,
			.next = RANGE_OFFSET,
		},
		/*
		 * Memory is what limits mappings here, not their number, and
		 * there are clients that take a small value seriously.
		 */
		.avail = U32_MAX,
	};
	const struct vfio_iommu_type1_info_cap_iova_range ranges = {
		.header = {
			.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			.version = 1,
		},
		.nr_iovas = buf->num_ranges,
	};
	int rc;

	rc = info_put(buf, AVAIL_OFFSET, &avail, sizeof(avail));
	return rc ?: info_put(buf, RANGE_OFFSET, &ranges, sizeof(ranges));
}

/*
 * Page sizes that all IOMMUs behind @ioas have. They are for the caller to
 * align mappings to, and memory comes in pages of the CPU: what an IOMMU has
 * below that is told as PAGE_SIZE.
 */
static unsigned long info_page_sizes(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt_paging *hwpt;
	unsigned long sizes = ULONG_MAX;

	scoped_guard(mutex, &ioas->mutex)
		list_for_each_entry(hwpt, &ioas->hwpt_list, hwpt_item)
			sizes &= hwpt->domain->pgsize_bitmap;

	if (sizes & ~PAGE_MASK)
		sizes = (sizes & PAGE_MASK) | PAGE_SIZE;

	/* No size in common: what every IOVA must be a multiple of still is. */
	guard(rwsem_read)(&ioas->iopt.iova_rwsem);
	return max(sizes, ioas->iopt.iova_alignment);
}

/* Fill in @info and whatever is behind it in @buf. */
static int info_fill(struct iommufd_ioas *ioas, struct info_buffer *buf,
		     struct vfio_iommu_type1_info *info)
{
	size_t needed;
	int rc;

	*info = (struct vfio_iommu_type1_info) {
		.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		.iova_pgsizes = info_page_sizes(ioas),
	};

	rc = iopt_walk_usable_ranges(&ioas->iopt, info_put_range, buf);
	if (rc)
		return rc;

	needed = info_range_offset(buf->num_ranges);
	info->argsz = needed;
	if (buf->size < needed)
		return 0;
	info->cap_offset = AVAIL_OFFSET;
	return info_put_headers(buf);
}

/**
 * iommufd_vfio_get_info - VFIO_IOMMU_GET_INFO
 * @ictx: the context
 * @arg: struct vfio_iommu_type1_info, with or without its last members, with or
 *	without room for capabilities
 *
 * Return: 0, also where there is not room enough, argsz then tells how much is
 * needed; -EINVAL for an argsz that is too small; -ENODEV without an IOAS;
 * -EFAULT.
 * Context: may sleep.
 */
int iommufd_vfio_get_info(struct iommufd_ctx *ictx, void __user *arg)
{
	struct info_buffer buf = { .base = arg };
	struct vfio_iommu_type1_info info;
	struct iommufd_ioas *ioas;
	u32 argsz;
	int rc;

	if (get_user(argsz, (u32 __user *)arg))
		return -EFAULT;
	if (argsz < offsetofend(struct vfio_iommu_type1_info, iova_pgsizes))
		return -EINVAL;
	buf.size = argsz;

	ioas = iommufd_vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = info_fill(ioas, &buf, &info);
	iommufd_put_object(ictx, &ioas->obj);
	if (rc)
		return rc;

	return copy_to_user(arg, &info, min(buf.size, sizeof(info))) ?
	       -EFAULT : 0;
}
