// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_DIRTY_PAGES
 *
 * VFIO_IOMMU_DIRTY_PAGES enables, disables and queries dirty tracking for a
 * whole container. The engine combines the dirty bits of all domains with the
 * pages that accesses wrote or pinned, see iopt_read_dirty(). Bitmaps have one
 * bit for each page of PAGE_SIZE. This is the only page size, as
 * VFIO_IOMMU_GET_INFO reports.
 */
#include <linux/align.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>
#include <trace/events/vfio_type1.h>
#include <uapi/linux/vfio.h>

#include "type1/type1.h"

#define DIRTY_SIZE	offsetofend(struct vfio_iommu_type1_dirty_bitmap, flags)

/**
 * type1_bitmap_query() - convert a user's struct vfio_bitmap to a dirty query
 * @bitmap: the bitmap; bit 0 is the page at @iova
 * @iova: first byte
 * @size: number of bytes; the range may end at ULONG_MAX
 * @query: filled in
 *
 * Return:
 * * 0: success
 * * -EINVAL: the page size is not PAGE_SIZE; the range is empty, wraps or is
 *   not page aligned; the bitmap, in whole u64, has less than one bit for each
 *   page, or more than 256 MiB; or its address cannot be user memory
 *
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

/* Return: 0 with @query filled in, -EINVAL or -EFAULT. */
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

	/* The result may omit a mapping that is being mapped or unmapped. */
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

	/* Exactly one flag must be set. */
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
 * type1_dirty_pages() - handle VFIO_IOMMU_DIRTY_PAGES
 * @call: the arguments. @call->arg is a struct vfio_iommu_type1_dirty_bitmap.
 *	For VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, a struct
 *	vfio_iommu_type1_dirty_bitmap_get follows it. argsz covers both
 *	structures, but not the bitmap.
 *
 * Starting a started or stopping a stopped container succeeds and has no
 * effect. A query clears bits of clean pages, as &iopt_dirty_query.overwrite
 * describes; bits outside of mappings do not change. A query that fails loses
 * no dirty bit.
 *
 * Return:
 * * 0: success
 * * -ENODEV: the container has no IOVA space
 * * -EACCES: the container has version 1 of the ABI
 * * -EINVAL: argsz is too small; there is not exactly one flag, or it is
 *   unknown; type1_bitmap_query() fails; the range covers a mapping only in
 *   part; or tracking is not started
 * * -EFAULT: the structures cannot be read, or the bitmap cannot be written
 * * -EINTR: the task was killed
 * * or another errno of iopt_start_tracking(), iopt_stop_tracking() or
 *   iopt_read_dirty()
 *
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
	trace_vfio_type1_dirty(call->iopt->id, req.flags, query.iova,
			       query.length, rc);
	return rc;
}
