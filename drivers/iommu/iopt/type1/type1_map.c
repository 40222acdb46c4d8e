// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA
 *
 * VFIO_IOMMU_MAP_DMA maps like IOMMU_IOAS_MAP. VFIO_IOMMU_UNMAP_DMA treats a
 * mapping that only partly lies in the range as follows:
 *
 *  - Version 2 fails.
 *  - Version 1 in VFIO's container unmaps the whole mapping if its first byte
 *    is in the range. If the range begins within a mapping, version 1 unmaps
 *    nothing and succeeds.
 *  - The compat container of /dev/iommu splits the mapping if huge pages are
 *    disabled in the IOAS. VFIO_SET_IOMMU disables them for version 1. With
 *    huge pages, the call fails.
 *
 * ABI: if several errors apply, the errno is that of the earlier VFIO type1
 * driver, except where this would need a check inside the engine.
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
#include <trace/events/vfio_type1.h>
#include <uapi/linux/vfio.h>

#include "iopt.h"
#include "space/iopt_area.h"
#include "type1/type1.h"

#define MAP_SIZE	offsetofend(struct vfio_iommu_type1_dma_map, size)
#define UNMAP_SIZE	offsetofend(struct vfio_iommu_type1_dma_unmap, size)
#define MAP_PROT	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define UNMAP_FLAGS	(VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |	\
			 VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)

/*
 * Check that @val, the bitwise OR of user values, fits into an unsigned long.
 */
static bool fits_long(u64 val)
{
	return val == (unsigned long)val;
}

/* Check that a mapping is not empty, is page aligned and does not wrap. */
static bool map_is_strict(const struct vfio_iommu_type1_dma_map *req)
{
	unsigned long last;

	return req->size && PAGE_ALIGNED(req->vaddr | req->iova | req->size) &&
	       !check_add_overflow(req->iova, req->size - 1, &last) &&
	       !check_add_overflow(req->vaddr, req->size - 1, &last);
}

/*
 * Convert the engine's errno of a failed map to that of VFIO's container, which
 * makes its checks in another order. Nothing is left mapped by the failed call.
 */
static int map_strict_errno(const struct type1_call *call, unsigned long iova,
			    unsigned long last, int rc)
{
	struct io_pagetable *iopt = call->iopt;

	guard(rwsem_read)(&iopt->iova_rwsem);
	if (iopt_area_first(iopt, iova, last))
		return -EEXIST;
	/* ABI: these errnos take precedence over errors of the user memory. */
	if ((rc == -EINVAL || rc == -EOVERFLOW) &&
	    type1_num_mappings(iopt) >=
		    READ_ONCE(*call->type1->flavour->max_mappings))
		return -ENOSPC;
	if (rc != -EOVERFLOW)
		return rc;
	/* ABI: the last byte of the address space is not user memory. */
	return interval_tree_iter_first(&iopt->reserved_itree, iova, last) ?
		       -EINVAL : -EFAULT;
}

/* Warn if RLIMIT_MEMLOCK is the reason of an -ENOMEM of the engine. */
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
		.max_mappings = call->type1->flavour->max_mappings,
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

	/*
	 * The engine rejects an empty or wrapping range, so one byte suffices.
	 */
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
	trace_vfio_type1_map(call->iopt->id, req, rc);
	return rc;
}

/**
 * type1_map_dma() - handle VFIO_IOMMU_MAP_DMA
 * @call: the arguments; @call->arg is a struct vfio_iommu_type1_dma_map
 *
 * Return:
 * * 0: success
 * * -EFAULT: the structure cannot be read
 * * -EINVAL: argsz is too small; a flag is unknown; there is neither a
 *   protection nor VFIO_DMA_MAP_FLAG_VADDR, or both; a value does not fit into
 *   an unsigned long; or &type1_flavour.strict forbids the range
 * * -ENODEV: the container has no IOVA space
 * * -ENOSPC: there are &type1_flavour.max_mappings already
 * * -EINTR: the task was killed
 * * or another errno of iopt_map_user_pages() or iopt_update_vaddr()
 *
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

	/* IOMMU drivers need not support mappings without a protection. */
	update = req.flags & VFIO_DMA_MAP_FLAG_VADDR;
	if (update == !!(req.flags & MAP_PROT))
		return -EINVAL;
	if (!call->iopt)
		return -ENODEV;
	if (call->type1->flavour->strict && !map_is_strict(&req))
		return -EINVAL;
	return map_locked(call, &req);
}

static bool unmap_may_split(const struct type1_call *call)
{
	return call->type1->flavour->split &&
	       READ_ONCE(call->iopt->disable_large_pages);
}

/* Split mappings that only partly lie in a range. */
static int unmap_split_at_ends(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last)
{
	/* the last byte in front of each place to split at */
	unsigned long ends[] = { last, iova - 1 };

	/* There is no byte in front of IOVA 0. */
	return iopt_split_areas(iopt, ends, iova ? ARRAY_SIZE(ends) : 1);
}

/*
 * Check the range of an unmap. Returns 0 with @last set, -EINVAL or -EOVERFLOW.
 */
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
 * Lock the range of an unmap of version 1 in VFIO's container. Extends the
 * range to the end of the mapping that it ends in. Returns 1 if the range is
 * locked, 0 if it begins within a mapping, or -EINTR.
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
 * Lock the range of an unmap. Ensures that it covers mappings only as a whole,
 * unless @split is set. Returns 1 if the range is locked, 0 if there is nothing
 * to unmap, or a negative errno.
 */
static int unmap_lock(const struct type1_call *call, unsigned long iova,
		      unsigned long *last, bool split,
		      struct type1_range *range)
{
	const struct type1_flavour *flavour = call->type1->flavour;
	unsigned long wide = *last;
	int rc;

	if (!flavour->split && !call->type1->v2)
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

/* Clears dirty bits, so it excludes queries: see type1_dirty_pages(). */
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

/* Unmap, or invalidate the user addresses of, a locked range. */
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
	/* The length of the whole IOVA space does not fit. */
	if (!iova && last == ULONG_MAX)
		return iopt_unmap_all(iopt, unmapped);
	return iopt_unmap_iova(iopt, iova, last - iova + 1, unmapped);
}

/*
 * Unmap a single page without locking its range. A mapping that is larger, or that another
 * call maps or unmaps, is left to unmap_locked(). Return: 1 if it is, else 0 or an errno.
 */
static int unmap_page(const struct type1_call *call,
		      const struct vfio_iommu_type1_dma_unmap *req,
		      unsigned long *unmapped)
{
	int rc;

	if (req->flags || req->size != PAGE_SIZE || !PAGE_ALIGNED(req->iova) ||
	    !call->type1->flavour->strict || !call->type1->v2)
		return 1;
	rc = iopt_unmap_page(call->iopt, req->iova, unmapped);
	return rc == -ENOENT || rc == -EBUSY ? 1 : rc;
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
	split = unmap_may_split(call);
	rc = unmap_lock(call, req->iova, &last, split, &range);
	if (rc <= 0)
		return rc;
	rc = split ? unmap_split_at_ends(call->iopt, req->iova, last) : 0;
	if (!rc)
		rc = unmap_areas(call, req, query, last, unmapped);
	else
		*unmapped = req->size;	/* leaves the user's size unchanged */
	type1_unlock_range(call->type1, &range);
	return rc;
}

/* Check whether an access may pin pages, which needs valid user addresses. */
static bool unmap_has_emulated(const struct type1_call *call)
{
	return call->type1->flavour->split ?
		       !xa_empty(&call->iopt->access_list) :
		       READ_ONCE(call->type1->emulated);
}

/*
 * Read the user's struct vfio_bitmap. Returns 0 with @query filled in, or an
 * errno.
 */
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
 * type1_unmap_dma() - handle VFIO_IOMMU_UNMAP_DMA
 * @call: the arguments. @call->arg is a struct vfio_iommu_type1_dma_unmap. For
 *	VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, a struct vfio_bitmap follows it.
 *
 * Sets size to the number of bytes that were unmapped, or whose user addresses
 * were invalidated, also after an error.
 *
 * Return:
 * * 0: success, even if nothing was mapped in the range
 * * -EFAULT: the structure cannot be read or written
 * * -EINVAL: argsz is too small; a flag is unknown, or excludes another one; a
 *   value does not fit into an unsigned long; the range is empty, or is given
 *   along with VFIO_DMA_UNMAP_FLAG_ALL; &type1_flavour.strict forbids the
 *   range; type1_bitmap_query() fails; or the call is for a bitmap of version 1
 * * -EOVERFLOW: the range wraps, if &type1_flavour.strict is not set
 * * -ENOENT: the range covers a mapping only in part, if &type1_flavour.strict
 *   is not set
 * * -EBUSY: the call has VFIO_DMA_UNMAP_FLAG_VADDR, and an access may pin pages
 * * -ENODEV: the container has no IOVA space
 * * -EINTR: the task was killed
 * * or another errno of iopt_split_areas(), iopt_unmap_iova(),
 *   iopt_unmap_dirty() or iopt_invalidate_vaddr()
 *
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

	/* Do not unmap if the number of unmapped bytes cannot be reported. */
	if (put_user(req.size, &ureq->size))
		return -EFAULT;
	rc = unmap_page(call, &req, &unmapped);
	if (rc > 0)
		rc = unmap_locked(call, &req, &query, &unmapped);
	trace_vfio_type1_unmap(call->iopt->id, &req, unmapped, rc);
	/* ABI: VFIO's container does not write size if nothing was unmapped. */
	if (rc && !unmapped && call->type1->flavour->strict)
		return rc;
	return put_user((u64)unmapped, &ureq->size) ? -EFAULT : rc;
}
