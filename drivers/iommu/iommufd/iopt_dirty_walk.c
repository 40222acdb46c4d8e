// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: asking for dirty bits
 *
 * A query goes over the areas of a range and asks a domain's driver, which sets
 * bits in an iova_bitmap. All of the bitmap's memory is pinned before a driver
 * is asked the first time, so that nothing can fail once a dirty bit was taken
 * from hardware; a bitmap too large for one window gets an iova_bitmap for each.
 *
 * Drivers take and report whole leaves, from where they are told to begin. So
 * they are told to begin where a leaf does, and what they report beyond what was
 * asked for goes to the domain's spill, from which a later query gets it.
 */
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_dirty_walk.h"
#include "iopt_pages.h"

/* Bytes of bitmap that an iova_bitmap pins at once, from a page boundary on. */
#define IOPT_DIRTY_WINDOW	(PAGE_SIZE / sizeof(struct page *) * PAGE_SIZE)

/**
 * iopt_leaf_of() - the leaf that may hold an IOVA
 * @domain: a domain
 * @area: an area that is in it
 * @iova: in the area
 * @leaf: set to the first IOVA of the leaf
 * @leaf_last: set to the last one
 *
 * Nobody tells how large leaves are, but one of a size needs IOVA and address to
 * be aligned to it, contiguous, and within the area. If they are, and the leaves
 * are smaller nevertheless, more of them are asked about than need be.
 *
 * Context: &io_pagetable.iova_rwsem held.
 */
void iopt_leaf_of(struct iommu_domain *domain, struct iopt_area *area,
		  unsigned long iova, unsigned long *leaf,
		  unsigned long *leaf_last)
{
	phys_addr_t phys = iommu_iova_to_phys(domain, iova);
	unsigned long sizes = domain->pgsize_bitmap;

	*leaf = iova;
	*leaf_last = iova;
	while (sizes) {
		unsigned long size = 1UL << __fls(sizes);
		unsigned long start = iova & ~(size - 1);
		unsigned long end = start + size - 1;

		sizes &= ~size;
		if (start < iopt_area_iova(area) ||
		    end > iopt_area_last_iova(area) ||
		    ((phys ^ iova) & (size - 1)))
			continue;
		if (iommu_iova_to_phys(domain, start) != phys - (iova - start))
			continue;
		*leaf = start;
		*leaf_last = end;
		return;
	}
}

/**
 * iopt_dirty_set() - set the bits of a range: a dirty_spill_fn
 * @opaque: the iova_bitmap, within its callback
 * @start: first IOVA
 * @last: last IOVA
 */
void iopt_dirty_set(void *opaque, unsigned long start, unsigned long last)
{
	iova_bitmap_set(opaque, start, last - start + 1);
}

/**
 * iopt_dirty_pinned() - set the bits of what in-kernel users hold
 * @area: what they hold it through
 * @bitmap: takes the bits
 * @start: first IOVA, in the area
 * @last: last IOVA, in the area
 * @all: also of what they do not write
 *
 * Context: &io_pagetable.iova_rwsem held; takes &iopt_pages.mutex.
 */
void iopt_dirty_pinned(struct iopt_area *area, struct iova_bitmap *bitmap,
		       unsigned long start, unsigned long last, bool all)
{
	struct iopt_pages *pages = area->pages;
	unsigned long index = iopt_area_iova_to_index(area, start);
	unsigned long last_index = iopt_area_iova_to_index(area, last);
	struct interval_tree_node *node;

	guard(mutex)(&pages->mutex);
	for (node = interval_tree_iter_first(&pages->access_itree, index,
					     last_index);
	     node; node = interval_tree_iter_next(node, index, last_index)) {
		struct iopt_pages_access *access =
			container_of(node, struct iopt_pages_access, node);
		unsigned long from, to;

		if (access->area != area || !(access->writable || all))
			continue;
		from = iopt_area_index_to_iova(area, max(index, node->start));
		to = iopt_area_index_to_iova_last(area,
						  min(last_index, node->last));
		iopt_dirty_set(bitmap, max(from, start), min(to, last));
	}
}

/*
 * Ask for IOVAs that are mapped without a gap. Who unpins tells the spill before
 * he lets go, so what is pinned has to be looked at first.
 */
static int iopt_dirty_ask(struct iopt_dirty_walk *walk,
			  struct iova_bitmap *bitmap, struct iopt_area *area,
			  unsigned long start, unsigned long last)
{
	struct iommu_domain *domain = walk->entry->domain;
	bool no_clear = walk->query->no_clear;
	unsigned long leaf = start, leaf_last;
	struct iopt_area *pinned;

	for (pinned = walk->pinned ? area : NULL; pinned;
	     pinned = iopt_area_next(pinned, start, last))
		if (iopt_area_is_held(pinned))
			iopt_dirty_pinned(pinned, bitmap,
					  max(start, iopt_area_iova(pinned)),
					  min(last, iopt_area_last_iova(pinned)),
					  false);

	walk->pinned = false;

	if (!dirty_spill_empty(&walk->entry->spill))
		dirty_spill_take(&walk->entry->spill, start, last, no_clear,
				 iopt_dirty_set, bitmap);

	if (start > iopt_area_iova(area))
		iopt_leaf_of(domain, area, start, &leaf, &leaf_last);
	return domain->dirty_ops->read_and_clear_dirty(domain, leaf,
			last - leaf + 1,
			no_clear ? IOMMU_DIRTY_NO_CLEAR : 0, &walk->dirty);
}

/**
 * iopt_dirty_window() - have a domain answer for a chunk: an iova_bitmap_fn_t
 * @bitmap: takes the answer
 * @iova: first byte of the chunk
 * @length: its bytes
 * @opaque: the struct iopt_dirty_walk
 *
 * What is mapped in one piece is asked for in one. What hardware says beyond the
 * chunk goes to the spill of the walk's domain.
 *
 * Return: 0, or what the driver gives.
 * Context: &io_pagetable.iova_rwsem and &iopt_domain.query_rwsem held.
 */
int iopt_dirty_window(struct iova_bitmap *bitmap, unsigned long iova,
		      size_t length, void *opaque)
{
	struct iopt_dirty_walk *walk = opaque;
	unsigned long last = iova + length - 1;
	unsigned long start = iova, end = 0;
	struct iopt_area *area, *first = NULL;
	int rc = 0;

	walk->dirty.bitmap = bitmap;
	iopt_for_each_area(area, walk->iopt, iova, last) {
		if (!area->pages)
			continue;
		if (first && end + 1 != iopt_area_iova(area)) {
			rc = iopt_dirty_ask(walk, bitmap, first, start, end);
			if (rc)
				return rc;
			first = NULL;
		}
		if (!first) {
			first = area;
			start = max(iova, iopt_area_iova(area));
		}
		end = min(last, iopt_area_last_iova(area));
		if (iopt_area_is_held(area))
			walk->pinned = true;
	}
	if (first)
		rc = iopt_dirty_ask(walk, bitmap, first, start, end);
	return rc;
}

/* Takes what hardware says beyond a chunk; it still says so with no_clear. */
static void iopt_dirty_spill(void *opaque, unsigned long iova,
			     unsigned long last)
{
	struct iopt_dirty_walk *walk = opaque;

	if (!walk->query->no_clear)
		dirty_spill_add(&walk->entry->spill, iova, last);
}

/**
 * iopt_dirty_free_chunks() - let go of the bitmap
 * @walk: after iopt_dirty_pin(), whatever that gave
 */
void iopt_dirty_free_chunks(struct iopt_dirty_walk *walk)
{
	struct iopt_dirty_chunk *chunk, *next;

	list_for_each_entry_safe(chunk, next, &walk->chunks, item) {
		iova_bitmap_free(chunk->bitmap);
		kfree(chunk);
	}
}

/* A chunk for the bits from @bit on; its last IOVA is written to @last. */
static int iopt_dirty_add_chunk(struct iopt_dirty_walk *walk, unsigned long bit,
				unsigned long *last)
{
	const struct iopt_dirty_query *query = walk->query;
	u64 __user *data = (void __user *)query->data + bit / BITS_PER_BYTE;
	unsigned long shift = __ffs(query->page_size);
	unsigned long iova = query->iova + (bit << shift);
	unsigned long bytes = IOPT_DIRTY_WINDOW - offset_in_page(data);
	unsigned long left = ((walk->last - iova) >> shift) + 1;
	unsigned long bits = min(bytes * BITS_PER_BYTE, left);
	struct iopt_dirty_chunk *chunk;
	int rc;

	chunk = kmalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	chunk->bitmap = iova_bitmap_alloc(iova, bits << shift,
					  query->page_size, data);
	if (IS_ERR(chunk->bitmap)) {
		rc = PTR_ERR(chunk->bitmap);
		kfree(chunk);
		return rc;
	}
	iova_bitmap_set_spill(chunk->bitmap, iopt_dirty_spill, walk);
	list_add_tail(&chunk->item, &walk->chunks);
	*last = iova + (bits << shift) - 1;
	return 0;
}

/**
 * iopt_dirty_pin() - pin the bitmap
 * @walk: gets its chunks
 *
 * As far as something is mapped that it has bits for. The first bits are pinned
 * in any case, so that a bad address is told.
 *
 * Return: 0; EFAULT where the bitmap cannot be written; ENOMEM.
 * Context: &io_pagetable.iova_rwsem held; takes the mmap lock.
 */
int iopt_dirty_pin(struct iopt_dirty_walk *walk)
{
	unsigned long shift = __ffs(walk->query->page_size);
	unsigned long last, bit = 0;
	struct iopt_area *area;
	int rc;

	for (;;) {
		rc = iopt_dirty_add_chunk(walk, bit, &last);
		if (rc || last == walk->last)
			return rc;
		area = iopt_area_first(walk->iopt, last + 1, walk->last);
		if (!area)
			return 0;
		last = max(last + 1, iopt_area_iova(area));
		bit = (last - walk->query->iova) >> shift;
		bit = round_down(bit, BITS_PER_BYTE);
	}
}

/**
 * iopt_dirty_check() - see whether a question makes sense
 * @iopt: the table
 * @query: the question
 * @last: set to its last byte
 *
 * Return: 0; EINVAL for a length of zero, a page size that is no power of two,
 * or a range that is not aligned to it or to the table's alignment; EOVERFLOW
 * where the range wraps.
 * Context: &io_pagetable.iova_rwsem held.
 */
int iopt_dirty_check(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query, unsigned long *last)
{
	unsigned long align;

	lockdep_assert_held(&iopt->iova_rwsem);

	if (!query->length || !is_power_of_2(query->page_size))
		return -EINVAL;
	if (check_add_overflow(query->iova, query->length - 1, last))
		return -EOVERFLOW;
	align = max(query->page_size, iopt->iova_alignment);
	if ((query->iova | query->length) & (align - 1))
		return -EINVAL;
	return 0;
}
