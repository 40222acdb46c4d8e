// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: querying dirty bits
 *
 * A query is processed in windows. A window is a part of the bitmap that an iova_bitmap
 * pins at once, and the range of IOVAs that belongs to it. For each window:
 *
 *  - Pin the part of the bitmap. A dirty bit that is then read from hardware and cleared
 *    can always be stored. Only &iopt_dirty_walk.lock may be held: if a page fault on the
 *    bitmap takes long, no task waits for it but queries of an overlapping range.
 *  - Read the areas of the range, with &io_pagetable.iova_rwsem held for reading.
 *  - Unpin the part of the bitmap, so that at most one window is pinned at a time.
 *
 * A query of several windows first pins and unpins each window but the first: if a part
 * of the bitmap is not writable, the query fails before it has cleared a dirty bit. A
 * window may fail to be pinned later nevertheless, for example because another thread has
 * unmapped the bitmap. Then the range that was queried so far is added to the spill: the
 * next query reports clean pages as dirty, but misses no dirty page.
 *
 * IOMMU drivers read and clear whole leaves, and report a leaf from the IOVA at which the
 * call begins. So each call begins with a leaf. IOVAs that the driver reports beyond the
 * window are added to the spill of the domain, for a later window or query. One call
 * covers a bounded number of leaves. Between calls the query calls cond_resched(), and
 * ends if a fatal signal is pending.
 */
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>

#include "dirty/iopt_dirty_walk.h"
#include "domains/iopt_leaf.h"
#include "iopt_trace.h"
#include "memory/iopt_pages.h"

/*
 * Limits of a window: bytes of bitmap that an iova_bitmap pins at once, from a page
 * boundary on, and bytes of IOVA. A window has at least 64 bits, even if they stand for
 * more IOVAs.
 */
#define IOPT_DIRTY_WINDOW	(PAGE_SIZE / sizeof(struct page *) * PAGE_SIZE)
#define IOPT_DIRTY_WINDOW_IOVAS	((u64)SZ_1G * 64)

/*
 * Bytes of IOVA that one call of a driver reads: 8192 leaves of 4 KiB, or 8192 leaves of
 * 2 MiB if there are no smaller ones.
 */
#define IOPT_DIRTY_STEP		SZ_32M
#define IOPT_DIRTY_STEP_LARGE	((u64)SZ_1G * 16)

/**
 * iopt_dirty_step_last() - find the end of a step through the leaves of a range
 * @iopt: the IOAS
 * @domain: a domain of @iopt
 * @start: first IOVA of the step
 * @last: last IOVA of the range; mapped from @start on
 * @small: the range may have many leaves smaller than 2 MiB
 *
 * Return: the last IOVA of a step with a bounded number of leaves: @last, or the end of a
 * leaf.
 * Context: &io_pagetable.iova_rwsem held.
 */
unsigned long iopt_dirty_step_last(struct io_pagetable *iopt,
				   struct iommu_domain *domain,
				   unsigned long start, unsigned long last,
				   bool small)
{
	u64 step = small ? IOPT_DIRTY_STEP : IOPT_DIRTY_STEP_LARGE;
	struct iopt_area *area;

	if (last - start < step)
		return last;
	area = iopt_area_first(iopt, start + step, start + step);
	return iopt_area_step_last(area, domain, start, last, step);
}

/**
 * iopt_dirty_set() - set the bits of a range, an iova_set_fn
 * @opaque: the iova_bitmap
 * @start: first IOVA
 * @last: last IOVA
 */
void iopt_dirty_set(void *opaque, unsigned long start, unsigned long last)
{
	iova_bitmap_set(opaque, start, last - start + 1);
}

/**
 * iopt_dirty_set_pinned() - set the bits of pages that accesses have pinned
 * @area: the area that the pages are pinned through
 * @bitmap: the bitmap to set bits in
 * @start: first IOVA, in @area
 * @last: last IOVA, in @area
 * @all: include pages that are pinned for reading only
 *
 * Return: 0, or
 * * -EINTR: the process received a fatal signal
 * Context: &io_pagetable.iova_rwsem held; takes &iopt_pages.mutex.
 */
int iopt_dirty_set_pinned(struct iopt_area *area, struct iova_bitmap *bitmap,
			  unsigned long start, unsigned long last, bool all)
{
	struct iopt_pages *pages = area->pages;
	unsigned long index = iopt_area_iova_to_index(area, start);
	unsigned long last_index = iopt_area_iova_to_index(area, last);
	struct interval_tree_node *node;

	/* A task that fills an area holds the mutex while it waits for page faults. */
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

/* Report the pages of a range that accesses have pinned for writing. */
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
 * struct iopt_dirty_range - range of adjacent areas that are read together
 * @first: the first area; NULL if the range is empty
 * @start: first IOVA
 * @last: last IOVA
 * @small: the range may have many leaves smaller than 2 MiB
 */
struct iopt_dirty_range {
	struct iopt_area *first;
	unsigned long start;
	unsigned long last;
	bool small;
};

/*
 * Report the dirty IOVAs of a range: pinned pages, the spill, then dirty bits. Check
 * pinned pages before the spill: unpinning adds the pages to the spill before it drops
 * the pins, so a page unpinned in between is still found.
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

/* Find the leaf of &iopt_dirty_walk.entry that may map an IOVA, else the IOVA only. */
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
 * iopt_dirty_lock_range() - lock a range in &iopt_domain.query_lock
 * @walk: the query, with &iopt_dirty_walk.entry set
 * @range: locked on success, for iova_range_unlock()
 * @iova: first IOVA
 * @last: last IOVA
 *
 * Widens the range to whole leaves. See "concurrent queries".
 *
 * Return: 0, or
 * * -EINTR: the process received a fatal signal while waiting
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
 * iopt_dirty_read_window() - read a window from a domain, an iova_bitmap_fn_t
 * @bitmap: the bitmap to set bits in
 * @iova: first IOVA of the window
 * @length: length of the window in bytes
 * @opaque: the struct iopt_dirty_walk
 *
 * Reads areas without a gap between them together. Adds IOVAs that hardware reports
 * beyond the window to the spill of &iopt_dirty_walk.entry. Reports all pages of a
 * PFNMAP.
 *
 * Return: 0, or
 * * -EINTR: the process received a fatal signal
 * * the error of the IOMMU driver
 * Context: &io_pagetable.iova_rwsem held for reading, the window locked by
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
		/* A notifier may unmap a PFNMAP at any time: no driver may read it. */
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
			/* Short areas, each with small leaves at its ends, add up. */
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
 * iopt_dirty_read_step() - read and clear dirty bits in one step of a walk over all areas
 * @iopt: the IOAS
 * @domain: a domain of @iopt
 * @dirty: records dirty IOVAs in its bitmap; without a bitmap the bits are only cleared
 * @iova: first IOVA of the step; set to the first IOVA of the next step
 *
 * A step has a bounded number of leaves of one area.
 *
 * Return: 1 if there may be more, 0 at the end, or
 * * the error of the IOMMU driver
 * Context: &io_pagetable.iova_rwsem held; the caller may drop it between steps.
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
	/* As in iopt_dirty_read_window(). */
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

/*
 * Add IOVAs that hardware reports beyond a window to the spill. With
 * &iopt_dirty_query.no_clear the dirty bits stay set in hardware.
 */
static void iopt_dirty_spill(void *opaque, unsigned long iova,
			     unsigned long last)
{
	struct iopt_dirty_walk *walk = opaque;

	if (!walk->query->no_clear)
		iova_set_add(&walk->entry->spill, iova, last, GFP_ATOMIC);
}

/* Return: the last IOVA of the window that begins at @iova. */
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
	/* Compare indices of the last bit: the number of bits may overflow. */
	if (bits > (walk->last - iova) >> shift)
		return walk->last;
	return iova + ((unsigned long)bits << shift) - 1;
}

/* Pin the part of the bitmap for the window [iova, last]. Return: it, or an ERR_PTR(). */
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
 * Find the first window behind @last that contains an area. Return: 1, with @iova set to
 * the first IOVA of the window; 0 if there is none; -EINTR if a fatal signal is pending.
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
		/* Begin with a word: on big-endian machines its bytes are reversed. */
		bit = max(round_down(bit, BITS_PER_TYPE(u64)), next);
		*iova = walk->query->iova + (bit << shift);
	}
	up_read(&walk->iopt->iova_rwsem);
	return !!area;
}

/* Lock the range of the query in &iopt_dirty_walk.lock, unless it is locked already. */
static int iopt_dirty_lock_call(struct iopt_dirty_walk *walk)
{
	int rc;

	if (!walk->lock || walk->locked)
		return 0;
	rc = iova_range_lock(walk->lock, &walk->range);
	walk->locked = !rc;
	return rc;
}

/* Pin and unpin each window but the first, to fault in the bitmap. */
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
 * iopt_dirty_walk_windows() - call a function for every window of a query
 * @walk: the query, with @iopt, @query and @last set, and optionally @lock and @range
 * @fn: called for each window
 *
 * Skips windows without an area, except the first one, so that an address that is not
 * writable is reported. After an error the caller calls iopt_dirty_restore(). In any case
 * it unlocks @range if @locked is set.
 *
 * Return: 0, or
 * * -EFAULT: the bitmap is not writable memory
 * * -ENOMEM: out of memory
 * * -EINTR: the process received a fatal signal
 * * another error of pinning the bitmap, or the error of @fn
 * Context: takes the mmap lock to pin a window; then locks @range; then takes
 * &io_pagetable.iova_rwsem for reading, without the mmap lock; may sleep.
 */
int iopt_dirty_walk_windows(struct iopt_dirty_walk *walk,
			    iopt_dirty_window_fn fn)
{
	/* The number of bits is for the event only, as this reads the whole bitmap. */
	bool traced = trace_iopt_query_enabled();
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
		if (traced)
			walk->dirty_bits -= iova_bitmap_weight(bitmap);
		rc = iopt_dirty_lock_call(walk) ?:
		     down_read_killable(&walk->iopt->iova_rwsem);
		if (!rc) {
			walk->done = last;
			rc = fn(walk, bitmap, iova, last);
			up_read(&walk->iopt->iova_rwsem);
		}
		if (traced)
			walk->dirty_bits += iova_bitmap_weight(bitmap);
		iova_bitmap_free(bitmap);
	} while (!rc && (rc = iopt_dirty_next_window(walk, last, &iova)) > 0);
	return rc;
}

/**
 * iopt_dirty_restore() - restore the dirty IOVAs that a failed query has cleared
 * @walk: the query that failed
 * @spill: the spill to add the queried range to
 * @tracking: whether @spill is in use; read under &io_pagetable.iova_rwsem
 *
 * Userspace ignores the bitmap of a failed query, so the dirty bits that were cleared
 * must be reported again. They are not recorded separately, so every page that was
 * queried until the error is added.
 *
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
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
 * iopt_dirty_count() - count a query that has ended
 * @walk: the query
 * @domain: the domain that was queried; NULL for the IOAS
 * @begin: local_clock() when the query began
 * @rc: result of the query
 *
 * Context: any.
 */
void iopt_dirty_count(const struct iopt_dirty_walk *walk,
		      const struct iommu_domain *domain, u64 begin, int rc)
{
	const struct iopt_dirty_query *query = walk->query;
	u64 ns = local_clock() - begin;

	iopt_stats_add(&walk->iopt->stats, ns, rc);
	trace_iopt_query(walk->iopt->id, domain, query->iova, query->length,
			 query->page_size, query->no_clear, walk->dirty_bits,
			 rc, ns);
}

/**
 * iopt_dirty_check() - check the arguments of a query
 * @iopt: the IOAS
 * @query: the query
 * @last: set to the last IOVA
 *
 * Return: 0, or
 * * -EINVAL: the length is 0; the page size is not a power of two; or the range is not
 *   aligned to the page size and to &io_pagetable.iova_alignment
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
