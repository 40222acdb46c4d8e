// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA
 *
 * The same engine as for IOMMU_IOAS_MAP. An unmap has its own idea of which
 * mappings a range means. Version 2 refuses a range that cuts one. Version 1 is
 * of a time when nobody kept mappings: it unmaps the whole of one whose first
 * byte is in the range, and where the range begins within one it does nothing,
 * and calls that success. On /dev/iommu an unmap splits them instead, if the
 * IOAS has huge pages disabled, as VFIO_SET_IOMMU does for version 1.
 *
 * Where several errors apply the error is the one that the container of the base
 * kernel gives, as far as a check here can tell.
 */
#include <linux/array_size.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "iopt.h"
#include "space/iopt_area.h"
#include "type1/type1.h"

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
	       !check_add_overflow(req->vaddr, req->size - 1, &last);
}

/*
 * A map into VFIO's container failed, and has left nothing in its range. This is
 * the order in which the container checks; the engine has one of its own.
 */
static int map_strict_errno(const struct type1_call *call, unsigned long iova,
			    unsigned long last, int rc)
{
	struct io_pagetable *iopt = call->iopt;

	guard(rwsem_read)(&iopt->iova_rwsem);
	if (iopt_area_first(iopt, iova, last))
		return -EEXIST;
	/* Both come before the memory is looked at. */
	if ((rc == -EINVAL || rc == -EOVERFLOW) &&
	    type1_num_mappings(iopt) >=
		    READ_ONCE(*call->type1->flavour->max_areas))
		return -ENOSPC;
	if (rc != -EOVERFLOW)
		return rc;
	/* No process has memory at the last address that there is. */
	return interval_tree_iter_first(&iopt->reserved_itree, iova, last) ?
		       -EINVAL : -EFAULT;
}

/* Report what the engine calls ENOMEM, if RLIMIT_MEMLOCK explains it. */
static void map_warn_rlimit(unsigned long size)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK);

	if (capable(CAP_IPC_LOCK) ||
	    READ_ONCE(current->mm->locked_vm) + (size >> PAGE_SHIFT) <=
		    limit >> PAGE_SHIFT)
		return;
	pr_warn_ratelimited("vfio: RLIMIT_MEMLOCK (%lu) of %s (%d) exceeded\n",
			    limit, current->comm, task_pid_nr(current));
}

static bool map_allows_pfnmap(const struct type1_call *call)
{
	const bool *allow = call->type1->flavour->pfnmap;

	return !allow || READ_ONCE(*allow);
}

static int map_new(const struct type1_call *call,
		   const struct vfio_iommu_type1_dma_map *req)
{
	struct iopt_map map = {
		.iova = req->iova,
		.length = req->size,
		.prot = IOMMU_CACHE,
		.flags = map_allows_pfnmap(call) ? IOPT_PFNMAP : 0,
		.account_mode = call->account_mode,
		.max_mappings = call->type1->flavour->max_areas,
	};
	int rc;

	if (req->flags & VFIO_DMA_MAP_FLAG_WRITE)
		map.prot |= IOMMU_WRITE;
	if (req->flags & VFIO_DMA_MAP_FLAG_READ)
		map.prot |= IOMMU_READ;
	rc = iopt_map_user_pages(call->iopt, &map, u64_to_user_ptr(req->vaddr));
	if (!rc || !call->type1->flavour->strict)
		return rc;
	if (rc == -ENOMEM)
		map_warn_rlimit(map.length);
	return map_strict_errno(call, map.iova, map.iova + map.length - 1, rc);
}

static int map_locked(const struct type1_call *call,
		      const struct vfio_iommu_type1_dma_map *req)
{
	struct type1_range range;
	unsigned long last;
	int rc;

	/* The engine refuses such a range before it looks at anything in it. */
	if (!req->size ||
	    check_add_overflow((unsigned long)req->iova,
			       (unsigned long)req->size - 1, &last))
		last = req->iova;

	rc = type1_lock_range(call->type1, &range, req->iova, last);
	if (rc)
		return rc;
	if (req->flags & VFIO_DMA_MAP_FLAG_VADDR)
		rc = iopt_update_vaddr(call->iopt, req->iova, req->size,
				       req->vaddr, call->account_mode);
	else
		rc = map_new(call, req);
	type1_unlock_range(call->type1, &range);
	return rc;
}

/**
 * type1_map_dma() - VFIO_IOMMU_MAP_DMA
 * @call: with struct vfio_iommu_type1_dma_map
 *
 * Return: 0; -EINVAL for flags that do not exist, for neither a protection nor
 * VFIO_DMA_MAP_FLAG_VADDR, or both, an argsz that is too small, a number that is
 * too large, or what &type1_flavour.strict forbids; -ENODEV; -EFAULT; -ENOSPC
 * where there are &type1_flavour.max_areas; -EINTR; or from iopt_map_user_pages()
 * or iopt_update_vaddr().
 * Context: waits for calls that map or unmap in the range; may sleep.
 */
int type1_map_dma(struct type1_call *call)
{
	struct vfio_iommu_type1_dma_map req;
	bool update;

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
	return map_locked(call, &req);
}

static bool unmap_splits(const struct type1_call *call)
{
	return call->type1->flavour->cut &&
	       READ_ONCE(call->iopt->disable_large_pages);
}

/* Split the mappings that [iova, last] cuts. */
static int unmap_cut(struct io_pagetable *iopt, unsigned long iova,
		     unsigned long last)
{
	/* Each is the last byte of what comes before the cut. */
	unsigned long cuts[] = { last, iova - 1 };

	/* Nothing is below 0. */
	return iopt_split_areas(iopt, cuts, iova ? ARRAY_SIZE(cuts) : 1);
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

/*
 * Lock the range of an unmap by version 1 of VFIO's container, until the end of
 * the mapping that it ends in. Return: 1; 0, with nothing locked, if the range
 * begins within a mapping; -EINTR.
 */
static int unmap_lock_v1(const struct type1_call *call, unsigned long iova,
			 unsigned long *last, struct type1_range *range)
{
	unsigned long wide;
	int begins, rc;

	for (;;) {
		rc = type1_lock_range(call->type1, range, iova, *last);
		if (rc)
			return rc;
		wide = *last;
		begins = type1_widen(call->iopt, iova, &wide, false);
		if (begins > 0 && wide == *last)
			return 1;
		type1_unlock_range(call->type1, range);
		if (begins <= 0)
			return begins;
		*last = wide;
	}
}

/*
 * Lock the range of an unmap, which is of whole mappings from then on unless the
 * unmap splits them. Return: 1; 0, with nothing locked, if there is nothing to do;
 * -errno.
 */
static int unmap_lock(const struct type1_call *call, unsigned long iova,
		      unsigned long *last, bool split,
		      struct type1_range *range)
{
	const struct type1_flavour *flavour = call->type1->flavour;
	unsigned long wide = *last;
	int rc;

	if (!flavour->cut && !call->type1->v2)
		return unmap_lock_v1(call, iova, last, range);

	rc = type1_lock_range(call->type1, range, iova, *last);
	if (rc)
		return rc;
	if (split)
		return 1;
	rc = type1_widen(call->iopt, iova, &wide, false);
	if (rc > 0 && wide == *last)
		return 1;
	type1_unlock_range(call->type1, range);
	if (rc < 0)
		return rc;
	return flavour->strict ? -EINVAL : -ENOENT;
}

/* Two queries that cover a page would share its dirty bits: see type1_dirty.c. */
static int unmap_dirty(const struct type1_call *call,
		       const struct iopt_dirty_query *query,
		       unsigned long *unmapped)
{
	int rc;

	if (mutex_lock_killable(&call->type1->dirty_lock))
		return -EINTR;
	rc = iopt_unmap_dirty(call->iopt, query, unmapped);
	mutex_unlock(&call->type1->dirty_lock);
	return rc;
}

/* Do it, with a range that was looked at, or say why the range is no good. */
static int unmap_areas(const struct type1_call *call,
		       const struct vfio_iommu_type1_dma_unmap *req,
		       const struct iopt_dirty_query *query, unsigned long last,
		       unsigned long *unmapped)
{
	struct io_pagetable *iopt = call->iopt;
	unsigned long iova = req->iova;

	if (req->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP)
		return unmap_dirty(call, query, unmapped);
	if (req->flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return iopt_invalidate_vaddr(iopt, iova, last, unmapped);
	/* Of everything the length is no number. */
	if (!iova && last == ULONG_MAX)
		return iopt_unmap_all(iopt, unmapped);
	return iopt_unmap_iova(iopt, iova, last - iova + 1, unmapped);
}

static int unmap_locked(const struct type1_call *call,
			const struct vfio_iommu_type1_dma_unmap *req,
			const struct iopt_dirty_query *query,
			unsigned long *unmapped)
{
	struct type1_range range;
	unsigned long last;
	bool split;
	int rc;

	rc = unmap_range(call, req, &last);
	if (rc)
		return rc;
	split = unmap_splits(call);
	rc = unmap_lock(call, req->iova, &last, split, &range);
	if (rc <= 0)
		return rc;
	rc = split ? unmap_cut(call->iopt, req->iova, last) : 0;
	if (!rc)
		rc = unmap_areas(call, req, query, last, unmapped);
	else
		*unmapped = req->size;	/* the size is as it was */
	type1_unlock_range(call->type1, &range);
	return rc;
}

/* Whether there is anything that pins, and cannot do so without an address. */
static bool unmap_has_emulated(const struct type1_call *call)
{
	return call->type1->flavour->cut ?
		       !xa_empty(&call->iopt->access_list) :
		       READ_ONCE(call->type1->emulated);
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
 * VFIO_DMA_UNMAP_FLAG_VADDR if an access may want to pin; -ENODEV; -EFAULT;
 * -EINTR; or from iopt_split_areas(), iopt_unmap_iova(), iopt_unmap_dirty() and
 * iopt_invalidate_vaddr(). What was unmapped before an error is reported in size.
 * Context: waits for calls that map or unmap in the range; may sleep.
 */
int type1_unmap_dma(struct type1_call *call)
{
	struct vfio_iommu_type1_dma_unmap __user *ureq = call->arg;
	struct vfio_iommu_type1_dma_unmap req;
	struct iopt_dirty_query query = {};
	unsigned long unmapped = 0;
	int rc;

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
	    !READ_ONCE(call->type1->v2))
		return -EINVAL;
	if (req.flags & VFIO_DMA_UNMAP_FLAG_VADDR && unmap_has_emulated(call))
		return -EBUSY;
	if (req.flags & VFIO_DMA_UNMAP_FLAG_ALL && (req.iova || req.size))
		return -EINVAL;

	/* What cannot be told must not be done. */
	if (put_user(req.size, &ureq->size))
		return -EFAULT;
	rc = unmap_locked(call, &req, &query, &unmapped);
	/* VFIO's container leaves the size alone if nothing was unmapped. */
	if (rc && !unmapped && call->type1->flavour->strict)
		return rc;
	return put_user((u64)unmapped, &ureq->size) ? -EFAULT : rc;
}
