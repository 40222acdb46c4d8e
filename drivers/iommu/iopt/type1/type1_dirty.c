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

#include "type1/type1.h"

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

/* Return: 0, with @query filled in; -EINVAL; -EFAULT. */
static int dirty_get_query(const struct type1_call *call, u32 argsz,
			   struct iopt_dirty_query *query)
{
	struct vfio_iommu_type1_dirty_bitmap_get req;

	if (argsz < DIRTY_SIZE + sizeof(req))
		return -EINVAL;
	if (copy_from_user(&req, call->arg + DIRTY_SIZE, sizeof(req)))
		return -EFAULT;
	return type1_bitmap_query(&req.bitmap, req.iova, req.size, query);
}

static int dirty_get(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query)
{
	unsigned long last = query->iova + query->length - 1;
	unsigned long wide = last;

	int rc;

	/* What is mapped or unmapped at the moment need not be in the result. */
	rc = type1_widen(iopt, query->iova, &wide, true);
	if (rc < 0)
		return rc;
	if (!rc || wide != last)
		return -EINVAL;
	return iopt_read_dirty(iopt, query);
}

static int dirty_dispatch(struct type1_call *call, u32 flags,
			  const struct iopt_dirty_query *query)
{
	lockdep_assert_held(&call->type1->dirty_lock);

	if (!call->type1->v2)
		return -EACCES;

	/* One at a time. */
	switch (flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		return iopt_start_tracking(call->iopt);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		return iopt_stop_tracking(call->iopt);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return dirty_get(call->iopt, query);
	}
	return -EINVAL;
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
 * -EINTR; or from iopt_start_tracking() and iopt_read_dirty(). A question that
 * fails leaves everything as dirty as it was.
 * Context: takes &type1.dirty_lock; may sleep.
 */
int type1_dirty_pages(struct type1_call *call)
{
	struct vfio_iommu_type1_dirty_bitmap req;
	struct iopt_dirty_query query = {};
	int rc;

	if (!call->iopt)
		return -ENODEV;
	if (!READ_ONCE(call->type1->v2))
		return -EACCES;
	if (copy_from_user(&req, call->arg, DIRTY_SIZE))
		return -EFAULT;
	if (req.argsz < DIRTY_SIZE)
		return -EINVAL;

	if (req.flags == VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) {
		rc = dirty_get_query(call, req.argsz, &query);
		if (rc)
			return rc;
	}

	/*
	 * Two queries that cover a page would share its dirty bits: one of them
	 * reports the page, the other does not.
	 */
	rc = mutex_lock_killable(&call->type1->dirty_lock);
	if (rc)
		return rc;
	rc = dirty_dispatch(call, req.flags, &query);
	mutex_unlock(&call->type1->dirty_lock);
	return rc;
}
