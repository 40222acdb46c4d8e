// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: querying dirty bits
 *
 * A query covers the areas of a range. It goes window by window: what one page
 * of page pointers can pin of the bitmap. A window is pinned before any driver
 * is asked for its part of the range, with no lock held, so that a bit that was
 * taken from hardware has a place to go, and memory that is slow to be faulted
 * in keeps only the caller waiting. At most one window is pinned at a time. Where
 * there are more, each is pinned and unpinned once before the first is queried,
 * so that a bitmap that cannot be written is noticed with nothing cleared. If a
 * window cannot be pinned later all the same, because the caller unmapped it
 * meanwhile, all of the range that was queried until then is added to the spill:
 * the next query reports too much of it, never too little.
 *
 * Drivers read and report whole leaves, from the IOVA where a call begins. So a
 * call begins where a leaf does, and what the driver reports beyond the
 * window goes to the domain's spill, from which a later window or query gets
 * it. One call of a driver covers a bounded number of leaves. Between two of
 * them the query yields, and ends if its process was killed.
 */
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>

#include "dirty/iopt_dirty_walk.h"
#include "domains/iopt_leaf.h"
#include "memory/iopt_pages.h"

/*
 * Bytes of bitmap that an iova_bitmap pins at once, from a page boundary on, and
 * IOVAs that are queried at once, where these have 64 bits at least.
 */
#define IOPT_DIRTY_WINDOW	(PAGE_SIZE / sizeof(struct page *) * PAGE_SIZE)
#define IOPT_DIRTY_WINDOW_IOVAS	((u64)SZ_1G * 64)

/*
 * IOVAs that a driver is asked for in one call: 8192 leaves of 4 KiB, or 8192 of
 * 2 MiB where nothing smaller is mapped.
 */
#define IOPT_DIRTY_STEP		SZ_32M
#define IOPT_DIRTY_STEP_LARGE	((u64)SZ_1G * 16)

/* The last IOVA of a step that begins at @start, in or at the end of a leaf. */
static unsigned long iopt_dirty_step_last(struct io_pagetable *iopt,
					  struct iommu_domain *domain,
					  unsigned long start,
					  unsigned long last, bool small)
{
	u64 step = small ? IOPT_DIRTY_STEP : IOPT_DIRTY_STEP_LARGE;
	struct iopt_area *area;

	if (last - start < step)
		return last;
	area = iopt_area_first(iopt, start + step, start + step);
	return iopt_area_step_last(area, domain, start, last, step);
}

/**
 * iopt_dirty_set() - set the bits of a range: a iova_set_fn
 * @opaque: the iova_bitmap, within its callback
 * @start: first IOVA
 * @last: last IOVA
 */
void iopt_dirty_set(void *opaque, unsigned long start, unsigned long last)
{
	iova_bitmap_set(opaque, start, last - start + 1);
}

/**
 * iopt_dirty_set_pinned() - set the bits of pages that accesses have pinned
 * @area: the area that they were pinned through
 * @bitmap: takes the bits
 * @start: first IOVA, in the area
 * @last: last IOVA, in the area
 * @all: also of pages that are pinned for reading only
 *
 * Return: 0; -EINTR if the process was killed.
 * Context: &io_pagetable.iova_rwsem held; takes &iopt_pages.mutex.
 */
int iopt_dirty_set_pinned(struct iopt_area *area, struct iova_bitmap *bitmap,
			  unsigned long start, unsigned long last, bool all)
{
	struct iopt_pages *pages = area->pages;
	unsigned long index = iopt_area_iova_to_index(area, start);
	unsigned long last_index = iopt_area_iova_to_index(area, last);
	struct interval_tree_node *node;

	/* A fill holds the mutex, and may wait for memory. */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	for (node = interval_tree_iter_first(&pages->access_itree, index,
					     last_index);
	     node; node = interval_tree_iter_next(node, index, last_index)) {
		struct iopt_pages_access *access =
			container_of(node, struct iopt_pages_access, node);
		unsigned long from, to;

		cond_resched();
		if (access->area != area || !(access->write_pins || all))
			continue;
		from = iopt_area_index_to_iova(area, max(index, node->start));
		to = iopt_area_index_to_iova_last(area,
						  min(last_index, node->last));
		iopt_dirty_set(bitmap, max(from, start), min(to, last));
	}
	mutex_unlock(&pages->mutex);
	return 0;
}

/* Report what accesses have pinned for writing of a range. */
static int iopt_dirty_report_pinned(struct iopt_dirty_walk *walk,
				    struct iova_bitmap *bitmap,
				    unsigned long start, unsigned long last)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_area(area, walk->iopt, start, last) {
		if (!iopt_area_is_pinned(area))
			continue;
		rc = iopt_dirty_set_pinned(area, bitmap,
					   max(start, iopt_area_iova(area)),
					   min(last, iopt_area_last_iova(area)),
					   false);
		if (rc)
			return rc;
	}
	return 0;
}

/**
 * struct iopt_dirty_range - adjacent areas that are queried together
 * @first: the first area
 * @start: first byte
 * @last: last byte
 * @small: one of the areas may have leaves of less than 2 MiB
 */
struct iopt_dirty_range {
	struct iopt_area *first;
	unsigned long start;
	unsigned long last;
	bool small;
};

/*
 * Check pinned pages before the spill: unpinning adds to the spill first, so a
 * page that is unpinned in between is still found.
 */
static int iopt_dirty_query_range(struct iopt_dirty_walk *walk,
				  struct iova_bitmap *bitmap,
				  struct iopt_dirty_range *range)
{
	struct iommu_domain *domain = walk->entry->domain;
	bool no_clear = walk->query->no_clear;
	unsigned long start = range->start, end, leaf_last;
	int rc;

	if (walk->pinned) {
		rc = iopt_dirty_report_pinned(walk, bitmap, start, range->last);
		if (rc)
			return rc;
	}
	walk->pinned = false;
	walk->cleared = !no_clear;
	iova_set_take(&walk->entry->spill, start, range->last, no_clear,
		      iopt_dirty_set, bitmap);

	if (start > iopt_area_iova(range->first))
		iopt_find_leaf(domain, range->first, start, &start, &leaf_last);
	for (;;) {
		end = iopt_dirty_step_last(walk->iopt, domain, start,
					   range->last, range->small);
		rc = domain->dirty_ops->read_and_clear_dirty(domain, start,
				end - start + 1,
				no_clear ? IOMMU_DIRTY_NO_CLEAR : 0,
				&walk->dirty);
		if (rc || end == range->last)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		start = end + 1;
	}
}

/* The leaf of the walk's domain that may map an IOVA, if any does. */
static void iopt_dirty_find_leaf(struct iopt_dirty_walk *walk,
				 unsigned long iova, unsigned long *leaf,
				 unsigned long *leaf_last)
{
	struct iopt_area *area = iopt_area_first(walk->iopt, iova, iova);

	*leaf = iova;
	*leaf_last = iova;
	if (area && area->pages && !area->pages->ops->pfnmap)
		iopt_find_leaf(walk->entry->domain, area, iova, leaf,
			       leaf_last);
}

/**
 * iopt_dirty_lock_range() - exclude other queries from a range
 * @walk: with the domain set
 * @range: locked on success, for iova_range_unlock()
 * @iova: first byte
 * @last: last byte
 *
 * Widens the range to whole leaves.
 *
 * Return: 0; -EINTR if the process was killed.
 * Context: &io_pagetable.iova_rwsem held for reading; may sleep.
 */
int iopt_dirty_lock_range(struct iopt_dirty_walk *walk,
			  struct iova_range *range, unsigned long iova,
			  unsigned long last)
{
	unsigned long unused;

	iopt_dirty_find_leaf(walk, iova, &range->iova, &unused);
	iopt_dirty_find_leaf(walk, last, &unused, &range->last);
	return iova_range_lock(&walk->entry->query_lock, range);
}

/**
 * iopt_dirty_read_window() - query a domain for a window: an iova_bitmap_fn_t
 * @bitmap: takes the result
 * @iova: first byte of the window
 * @length: its bytes
 * @opaque: the struct iopt_dirty_walk
 *
 * Areas without a gap between them are queried together. What hardware reports
 * beyond the window goes to the spill of the walk's domain.
 *
 * Return:
 * * 0 on success
 * * -EINTR: the process was killed
 * * an errno of the driver
 * Context: &io_pagetable.iova_rwsem and the range locked by
 * iopt_dirty_lock_range(); may sleep.
 */
int iopt_dirty_read_window(struct iova_bitmap *bitmap, unsigned long iova,
			   size_t length, void *opaque)
{
	struct iopt_dirty_range range = {};
	struct iopt_dirty_walk *walk = opaque;
	unsigned long last = iova + length - 1;
	struct iopt_area *area;
	int rc;

	walk->dirty.bitmap = bitmap;
	iopt_for_each_area(area, walk->iopt, iova, last) {
		if (!area->pages)
			continue;
		cond_resched();
		/* Its page tables change under a lock that drivers do not take. */
		if (area->pages->ops->pfnmap) {
			iopt_dirty_set(bitmap, max(iova, iopt_area_iova(area)),
				       min(last, iopt_area_last_iova(area)));
			continue;
		}
		if (range.first && range.last + 1 != iopt_area_iova(area)) {
			rc = iopt_dirty_query_range(walk, bitmap, &range);
			if (rc)
				return rc;
			range.first = NULL;
		}
		if (!range.first) {
			range.first = area;
			range.start = max(iova, iopt_area_iova(area));
			range.small = false;
		} else if (!IS_ALIGNED(iopt_area_iova(area), SZ_2M)) {
			/* Both may end in small leaves, and be short. */
			range.small = true;
		}
		range.last = min(last, iopt_area_last_iova(area));
		range.small |= iopt_area_has_small_leaves(area,
							  walk->entry->domain);
		if (iopt_area_is_pinned(area))
			walk->pinned = true;
	}
	return range.first ? iopt_dirty_query_range(walk, bitmap, &range) : 0;
}

/**
 * iopt_dirty_read_step() - read and clear the next dirty bits of a domain
 * @iopt: the IOAS
 * @domain: one of its domains
 * @dirty: takes what is dirty
 * @iova: where to begin; set to where to go on
 *
 * One step of a walk over every area, of a bounded number of leaves.
 *
 * Return:
 * * 1 if there is more
 * * 0 at the end
 * * an errno of the driver
 * Context: &io_pagetable.iova_rwsem held; areas may change between two steps.
 */
int iopt_dirty_read_step(struct io_pagetable *iopt, struct iommu_domain *domain,
			 struct iommu_dirty_bitmap *dirty, unsigned long *iova)
{
	unsigned long start, last, leaf_last;
	struct iopt_area *area;
	int rc;

	area = iopt_area_first(iopt, *iova, ULONG_MAX);
	while (area && !area->pages)
		area = iopt_area_next(area, *iova, ULONG_MAX);
	if (!area)
		return 0;
	start = max(*iova, iopt_area_iova(area));
	last = iopt_area_last_iova(area);
	/* Reported as iopt_dirty_read_window() does. */
	if (area->pages->ops->pfnmap) {
		if (dirty->bitmap)
			iopt_dirty_set(dirty->bitmap, start, last);
		goto out;
	}
	if (start > iopt_area_iova(area))
		iopt_find_leaf(domain, area, start, &start, &leaf_last);
	last = iopt_dirty_step_last(iopt, domain, start, last,
				    iopt_area_has_small_leaves(area, domain));
	rc = domain->dirty_ops->read_and_clear_dirty(domain, start,
						     last - start + 1, 0,
						     dirty);
	if (rc)
		return rc;
out:
	*iova = last + 1;
	return last != ULONG_MAX;
}

/* Keeps what hardware reports beyond a window; with no_clear it still has it. */
static void iopt_dirty_spill(void *opaque, unsigned long iova,
			     unsigned long last)
{
	struct iopt_dirty_walk *walk = opaque;

	if (!walk->query->no_clear)
		iova_set_add(&walk->entry->spill, iova, last, GFP_ATOMIC);
}

/* The last IOVA of the window that begins at @iova. */
static unsigned long iopt_dirty_window_last(const struct iopt_dirty_walk *walk,
					    unsigned long iova)
{
	const struct iopt_dirty_query *query = walk->query;
	unsigned long shift = __ffs(query->page_size);
	unsigned long bit = (iova - query->iova) >> shift;
	unsigned long addr = (unsigned long)query->data + bit / BITS_PER_BYTE;
	u64 bits = (u64)(IOPT_DIRTY_WINDOW - offset_in_page(addr)) *
		   BITS_PER_BYTE;

	bits = min(bits, max_t(u64, IOPT_DIRTY_WINDOW_IOVAS >> shift,
			       BITS_PER_TYPE(u64)));
	/* As a last bit, not a number of bits: that may be one too many. */
	if (bits > (walk->last - iova) >> shift)
		return walk->last;
	return iova + ((unsigned long)bits << shift) - 1;
}

/* Pin the window from @iova to @last. */
static struct iova_bitmap *iopt_dirty_pin_window(struct iopt_dirty_walk *walk,
						 unsigned long iova,
						 unsigned long last)
{
	const struct iopt_dirty_query *query = walk->query;
	unsigned long shift = __ffs(query->page_size);
	unsigned long bit = (iova - query->iova) >> shift;
	struct iova_bitmap *bitmap;

	bitmap = iova_bitmap_alloc(iova, last - iova + 1, query->page_size,
				   (void __user *)query->data +
				   bit / BITS_PER_BYTE);
	if (!IS_ERR(bitmap)) {
		iova_bitmap_set_spill(bitmap, iopt_dirty_spill, walk);
		iova_bitmap_keep_pinned(bitmap);
	}
	return bitmap;
}

/*
 * Find the first window behind @last that has something mapped. Return: 1, with
 * @iova set to its first byte; 0 where there is none; -EINTR.
 */
static int iopt_dirty_next_window(struct iopt_dirty_walk *walk,
				  unsigned long last, unsigned long *iova)
{
	unsigned long shift = __ffs(walk->query->page_size);
	unsigned long bit, next;
	struct iopt_area *area;

	if (last == walk->last)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	if (down_read_killable(&walk->iopt->iova_rwsem))
		return -EINTR;
	area = iopt_area_first(walk->iopt, last + 1, walk->last);
	if (area) {
		next = (last + 1 - walk->query->iova) >> shift;
		*iova = max(last + 1, iopt_area_iova(area));
		bit = (*iova - walk->query->iova) >> shift;
		/* Big-endian bitmaps consist of words. */
		bit = max(round_down(bit, BITS_PER_TYPE(u64)), next);
		*iova = walk->query->iova + (bit << shift);
	}
	up_read(&walk->iopt->iova_rwsem);
	return !!area;
}

/* Exclude other queries until this one ends, once its first window is pinned. */
static int iopt_dirty_begin(struct iopt_dirty_walk *walk)
{
	int rc;

	if (!walk->lock || walk->locked)
		return 0;
	rc = iova_range_lock(walk->lock, &walk->range);
	walk->locked = !rc;
	return rc;
}

/* Pin each window but the first once, to have its memory there. */
static int iopt_dirty_fault_in(struct iopt_dirty_walk *walk)
{
	unsigned long last = iopt_dirty_window_last(walk, walk->query->iova);
	struct iova_bitmap *bitmap;
	unsigned long iova;
	int rc;

	while ((rc = iopt_dirty_next_window(walk, last, &iova)) > 0) {
		last = iopt_dirty_window_last(walk, iova);
		bitmap = iopt_dirty_pin_window(walk, iova, last);
		if (IS_ERR(bitmap))
			return PTR_ERR(bitmap);
		iova_bitmap_free(bitmap);
	}
	return rc;
}

/**
 * iopt_dirty_walk_windows() - query a range window by window
 * @walk: with @iopt, @query and @last set
 * @fn: queries one window
 *
 * Windows of the bitmap in which nothing is mapped are left out, but for the
 * first one, so that a bad address is noticed. After an error the caller has to
 * call iopt_dirty_restore(), and in any case to unlock what @walk has locked.
 *
 * Return:
 * * 0 on success
 * * -EFAULT: the bitmap cannot be written
 * * -ENOMEM: out of memory
 * * -EINTR: the process was killed
 * * an errno of @fn
 * Context: takes &iopt_dirty_walk.lock, &io_pagetable.iova_rwsem and the mmap lock,
 * the last two one after the other; may sleep.
 */
int iopt_dirty_walk_windows(struct iopt_dirty_walk *walk,
			    iopt_dirty_window_fn fn)
{
	unsigned long iova = walk->query->iova, last;
	struct iova_bitmap *bitmap;
	int rc;

	rc = iopt_dirty_fault_in(walk);
	if (rc)
		return rc;
	do {
		last = iopt_dirty_window_last(walk, iova);
		bitmap = iopt_dirty_pin_window(walk, iova, last);
		if (IS_ERR(bitmap))
			return PTR_ERR(bitmap);
		rc = iopt_dirty_begin(walk) ?:
		     down_read_killable(&walk->iopt->iova_rwsem);
		if (!rc) {
			walk->done = last;
			rc = fn(walk, bitmap, iova, last);
			up_read(&walk->iopt->iova_rwsem);
		}
		iova_bitmap_free(bitmap);
	} while (!rc && (rc = iopt_dirty_next_window(walk, last, &iova)) > 0);
	return rc;
}

/**
 * iopt_dirty_restore() - report again what a failed query has cleared
 * @walk: the query
 * @spill: where the range goes that was queried until the error
 * @tracking: whether @spill is in use, read under &io_pagetable.iova_rwsem
 *
 * The caller of a query that failed does not look at the bitmap, in which the
 * cleared dirty bits are. Which of its bits those are is not known any more.
 *
 * Context: takes &io_pagetable.iova_rwsem; may sleep.
 */
void iopt_dirty_restore(struct iopt_dirty_walk *walk, struct iova_set *spill,
			const bool *tracking)
{
	guard(rwsem_read)(&walk->iopt->iova_rwsem);
	if (walk->cleared && *tracking)
		iova_set_add(spill, walk->query->iova, walk->done,
			     GFP_KERNEL);
}

/**
 * iopt_dirty_check() - check the arguments of a query
 * @iopt: the IOAS
 * @query: the request
 * @last: set to the last byte
 *
 * Return:
 * * 0 on success
 * * -EINVAL: the length is zero, the page size is no power of two, or the range
 *   is not aligned to it or to &io_pagetable.iova_alignment
 * * -EOVERFLOW: the range wraps
 * Context: &io_pagetable.iova_rwsem held.
 */
int iopt_dirty_check(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query, unsigned long *last)
{
	unsigned long align;

	lockdep_assert_held(&iopt->iova_rwsem);

	if (!query->length)
		return -EINVAL;
	if (check_add_overflow(query->iova, query->length - 1, last))
		return -EOVERFLOW;
	if (!is_power_of_2(query->page_size))
		return -EINVAL;
	align = max(query->page_size, iopt->iova_alignment);
	if ((query->iova | query->length) & (align - 1))
		return -EINVAL;
	return 0;
}
