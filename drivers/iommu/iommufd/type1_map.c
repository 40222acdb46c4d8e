// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA
 *
 * The same engine as for IOMMU_IOAS_MAP. An unmap has its own idea of which
 * mappings a range means. Version 2 refuses a range that cuts one. Version 1 is
 * of a time when nobody kept mappings: it unmaps the whole of one whose first
 * byte is in the range, and where the range begins within one it does nothing,
 * and calls that success. On /dev/iommu version 1 splits them instead.
 */
#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "iopt_area.h"
#include "type1.h"

#define MAP_SIZE	offsetofend(struct vfio_iommu_type1_dma_map, size)
#define UNMAP_SIZE	offsetofend(struct vfio_iommu_type1_dma_unmap, size)
#define MAP_PROT	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define UNMAP_FLAGS	(VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |	\
			 VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)

/* Whether the engine's addresses, those of the CPU, can hold what was or-ed. */
static bool fits_long(u64 val)
{
	return val == (unsigned long)val;
}

/* Whether there are bytes, in whole pages, and neither IOVAs nor addresses wrap. */
static bool map_is_strict(const struct vfio_iommu_type1_dma_map *req)
{
	unsigned long last;

	return req->size && PAGE_ALIGNED(req->vaddr | req->iova | req->size) &&
	       !check_add_overflow(req->iova, req->size - 1, &last) &&
	       !check_add_overflow(req->vaddr, req->size, &last);
}

/* Return: 0; -ENOSPC where there are as many mappings as may be; -EEXIST. */
static int map_check_room(const struct type1_call *call, unsigned long iova,
			  unsigned long last)
{
	struct io_pagetable *iopt = call->iopt;

	guard(rwsem_read)(&iopt->iova_rwsem);
	if (type1_num_mappings(iopt) < READ_ONCE(*call->type1->flavour->max_areas))
		return 0;
	return iopt_area_first(iopt, iova, last) ? -EEXIST : -ENOSPC;
}

static int map_new(const struct type1_call *call,
		   const struct vfio_iommu_type1_dma_map *req)
{
	struct iopt_map map = {
		.iova = req->iova,
		.length = req->size,
		.prot = IOMMU_CACHE,
		.flags = IOPT_PFNMAP,
		.account_mode = call->account_mode,
	};
	int rc;

	rc = map_check_room(call, map.iova, map.iova + map.length - 1);
	if (rc)
		return rc;
	if (req->flags & VFIO_DMA_MAP_FLAG_WRITE)
		map.prot |= IOMMU_WRITE;
	if (req->flags & VFIO_DMA_MAP_FLAG_READ)
		map.prot |= IOMMU_READ;
	return iopt_map_user_pages(call->iopt, &map,
				   u64_to_user_ptr(req->vaddr));
}

/**
 * type1_map_dma() - VFIO_IOMMU_MAP_DMA
 * @call: with struct vfio_iommu_type1_dma_map
 *
 * Return: 0; -EINVAL for flags that do not exist, for neither a protection nor
 * VFIO_DMA_MAP_FLAG_VADDR, or both, an argsz that is too small, a number that is
 * too large, or what &type1_flavour.strict forbids; -ENODEV; -EFAULT; -ENOSPC
 * where there are &type1_flavour.max_areas; or from iopt_map_user_pages() or
 * iopt_update_vaddr().
 * Context: &type1.lock held; may sleep.
 */
int type1_map_dma(struct type1_call *call)
{
	struct vfio_iommu_type1_dma_map req;
	bool update;

	lockdep_assert_held(&call->type1->lock);

	if (copy_from_user(&req, call->arg, MAP_SIZE))
		return -EFAULT;
	if (req.argsz < MAP_SIZE ||
	    req.flags & ~(MAP_PROT | VFIO_DMA_MAP_FLAG_VADDR) ||
	    !fits_long(req.vaddr | req.iova | req.size))
		return -EINVAL;

	/* An IOMMU driver need not know what to do without a protection. */
	update = req.flags & VFIO_DMA_MAP_FLAG_VADDR;
	if (update == !!(req.flags & MAP_PROT))
		return -EINVAL;
	if (!call->iopt)
		return -ENODEV;
	if (call->type1->flavour->strict && !map_is_strict(&req))
		return -EINVAL;
	if (update)
		return iopt_update_vaddr(call->iopt, req.iova, req.size,
					 req.vaddr, call->account_mode);
	return map_new(call, &req);
}

/* Version 1 of /dev/iommu: split the mappings that [iova, last] cuts. */
static int unmap_cut(struct io_pagetable *iopt, unsigned long iova,
		     unsigned long last)
{
	/* Each is the last byte of what comes before the cut. */
	unsigned long cuts[] = { last, iova - 1 };

	/* Nothing is below 0. */
	return iopt_cut_iova(iopt, cuts, iova ? ARRAY_SIZE(cuts) : 1);
}

/* Return: 0, with @last set; -EINVAL; -EOVERFLOW. */
static int unmap_range(const struct type1_call *call,
		       const struct vfio_iommu_type1_dma_unmap *req,
		       unsigned long *last)
{
	bool strict = call->type1->flavour->strict;

	if (req->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		*last = ULONG_MAX;
		return 0;
	}
	if (!req->size || (strict && !PAGE_ALIGNED(req->iova | req->size)))
		return -EINVAL;
	if (check_add_overflow(req->iova, req->size - 1, last))
		return strict ? -EINVAL : -EOVERFLOW;
	return 0;
}

/* Do it, with a range that was looked at, or say why the range is no good. */
static int unmap_areas(const struct type1_call *call,
		       const struct vfio_iommu_type1_dma_unmap *req,
		       const struct iopt_dirty_query *query,
		       unsigned long *unmapped)
{
	const struct type1_flavour *flavour = call->type1->flavour;
	unsigned long last, wide, iova = req->iova;
	struct io_pagetable *iopt = call->iopt;
	bool begins;
	int rc;

	rc = unmap_range(call, req, &last);
	if (rc)
		return rc;

	wide = last;
	begins = type1_widen(iopt, iova, &wide);
	if (call->type1->v2) {
		if (!begins || wide != last)
			return flavour->strict ? -EINVAL : -ENOENT;
	} else if (flavour->cut) {
		rc = unmap_cut(iopt, iova, last);
		if (rc)
			return rc;
	} else {
		if (!begins)
			return 0;
		last = wide;
	}

	if (req->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP)
		return iopt_unmap_dirty(iopt, query, unmapped);
	if (req->flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return iopt_invalidate_vaddr(iopt, iova, last, unmapped);
	/* Of everything the length is no number. */
	if (!iova && last == ULONG_MAX)
		return iopt_unmap_all(iopt, unmapped);
	return iopt_unmap_iova(iopt, iova, last - iova + 1, unmapped);
}

/* The caller's bitmap. Return: 0, with @query filled in; -EINVAL; -EFAULT. */
static int unmap_get_query(const struct type1_call *call,
			   const struct vfio_iommu_type1_dma_unmap *req,
			   struct iopt_dirty_query *query)
{
	struct vfio_bitmap bitmap;

	if (req->flags & (VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR))
		return -EINVAL;
	if (req->argsz < UNMAP_SIZE + sizeof(bitmap))
		return -EINVAL;
	if (copy_from_user(&bitmap, call->arg + UNMAP_SIZE, sizeof(bitmap)))
		return -EFAULT;
	return type1_bitmap_query(&bitmap, req->iova, req->size, query);
}

/**
 * type1_unmap_dma() - VFIO_IOMMU_UNMAP_DMA
 * @call: with struct vfio_iommu_type1_dma_unmap, and behind it, for
 *	VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, struct vfio_bitmap; size becomes
 *	the number of bytes that were unmapped, or invalidated
 *
 * Return: 0, also where nothing was mapped; -EINVAL for flags that do not exist
 * or not together, a range along with VFIO_DMA_UNMAP_FLAG_ALL, an argsz that is
 * too small, an empty range, one that &type1_flavour.strict forbids, a bitmap
 * that type1_bitmap_query() does not take or that version 1 asks for; -ENOENT
 * for a range that cuts a mapping, where that is not EINVAL; -EBUSY for
 * VFIO_DMA_UNMAP_FLAG_VADDR where somebody may want to pin; -ENODEV; -EFAULT; or
 * from iopt_cut_iova(), iopt_unmap_iova(), iopt_unmap_dirty() and
 * iopt_invalidate_vaddr(). Whatever was unmapped before an error is told in size.
 * Context: &type1.lock held; may sleep.
 */
int type1_unmap_dma(struct type1_call *call)
{
	struct vfio_iommu_type1_dma_unmap __user *ureq = call->arg;
	struct vfio_iommu_type1_dma_unmap req;
	struct iopt_dirty_query query = {};
	unsigned long unmapped = 0;
	int rc;

	lockdep_assert_held(&call->type1->lock);

	if (copy_from_user(&req, call->arg, UNMAP_SIZE))
		return -EFAULT;
	if (req.argsz < UNMAP_SIZE || req.flags & ~UNMAP_FLAGS ||
	    !fits_long(req.iova | req.size))
		return -EINVAL;
	if (req.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
		rc = unmap_get_query(call, &req, &query);
		if (rc)
			return rc;
	}
	if (!call->iopt)
		return -ENODEV;
	if (req.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP &&
	    !call->type1->v2)
		return -EINVAL;
	if (req.flags & VFIO_DMA_UNMAP_FLAG_VADDR && call->type1->emulated)
		return -EBUSY;
	if (req.flags & VFIO_DMA_UNMAP_FLAG_ALL && (req.iova || req.size))
		return -EINVAL;

	/* What cannot be told must not be done. */
	if (put_user(req.size, &ureq->size))
		return -EFAULT;
	rc = unmap_areas(call, &req, &query, &unmapped);
	if (rc && !unmapped)
		return rc;
	return put_user((u64)unmapped, &ureq->size) ? -EFAULT : rc;
}
