// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_DIRTY_PAGES
 *
 * One switch and one question for all of a container. Which device wrote what,
 * and who can tell, is the engine's business. There is one page size, that of
 * the CPU, for all bitmaps: a caller learns it from VFIO_IOMMU_GET_INFO.
 */
#include <linux/align.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "type1.h"

#define DIRTY_SIZE	offsetofend(struct vfio_iommu_type1_dirty_bitmap, flags)

/**
 * type1_bitmap_query() - make a question of what a caller gives for a bitmap
 * @bitmap: his bitmap, bit 0 stands for the page of @iova
 * @iova: first byte
 * @size: bytes; the range may end with the last byte that there is
 * @query: filled in
 *
 * Return: 0; -EINVAL for another page size than PAGE_SIZE, a range that is empty,
 * wraps or has parts of pages, a bitmap that has not a bit for each page, in
 * whole u64, or has more than 256 MiB, or one where no user memory can be.
 * Context: any.
 */
int type1_bitmap_query(const struct vfio_bitmap *bitmap, u64 iova, u64 size,
		       struct iopt_dirty_query *query)
{
	unsigned long last;

	if (bitmap->pgsize != PAGE_SIZE || !size ||
	    (iova | size) & (PAGE_SIZE - 1) ||
	    check_add_overflow(iova, size - 1, &last))
		return -EINVAL;
	if (bitmap->size > TYPE1_MAX_BITMAP ||
	    bitmap->size < ALIGN(size / PAGE_SIZE, 64) / 8)
		return -EINVAL;
	if (!access_ok(bitmap->data, bitmap->size))
		return -EINVAL;

	*query = (struct iopt_dirty_query) {
		.iova = iova,
		.length = size,
		.page_size = PAGE_SIZE,
		.data = bitmap->data,
		.overwrite = true,
	};
	return 0;
}

static int dirty_get(struct type1_call *call, u32 argsz)
{
	struct vfio_iommu_type1_dirty_bitmap_get req;
	struct io_pagetable *iopt = call->iopt;
	struct iopt_dirty_query query;
	unsigned long last, wide;
	int rc;

	if (argsz < DIRTY_SIZE + sizeof(req))
		return -EINVAL;
	if (copy_from_user(&req, call->arg + DIRTY_SIZE, sizeof(req)))
		return -EFAULT;
	rc = type1_bitmap_query(&req.bitmap, req.iova, req.size, &query);
	if (rc)
		return rc;
	last = query.iova + query.length - 1;
	wide = last;
	if (!type1_widen(iopt, query.iova, &wide) || wide != last)
		return -EINVAL;
	return iopt_read_dirty(iopt, &query);
}

/**
 * type1_dirty_pages() - VFIO_IOMMU_DIRTY_PAGES
 * @call: with struct vfio_iommu_type1_dirty_bitmap, and behind it, for
 *	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, struct
 *	vfio_iommu_type1_dirty_bitmap_get; argsz covers both, but no bitmap
 *
 * To start what is started, or to stop what is stopped, does nothing. A question
 * is answered between the two. Bits of what is mapped are written, not only set,
 * as far as &iopt_dirty_query.overwrite says; others stay as they are.
 *
 * Return: 0; -EACCES for version 1; -EINVAL for flags that do not exist, none or
 * more than one, an argsz that is too small, where type1_bitmap_query() says so,
 * for a range that cuts a mapping, or where tracking is off; -ENODEV; -EFAULT;
 * or from iopt_start_tracking() and iopt_read_dirty(). A question that fails
 * leaves everything as dirty as it was.
 * Context: &type1.lock held; may sleep.
 */
int type1_dirty_pages(struct type1_call *call)
{
	struct vfio_iommu_type1_dirty_bitmap req;

	lockdep_assert_held(&call->type1->lock);

	if (!call->iopt)
		return -ENODEV;
	if (!call->type1->v2)
		return -EACCES;
	if (copy_from_user(&req, call->arg, DIRTY_SIZE))
		return -EFAULT;
	if (req.argsz < DIRTY_SIZE)
		return -EINVAL;

	/* One at a time. */
	switch (req.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		return iopt_start_tracking(call->iopt);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		iopt_stop_tracking(call->iopt);
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return dirty_get(call, req.argsz);
	}
	return -EINVAL;
}
