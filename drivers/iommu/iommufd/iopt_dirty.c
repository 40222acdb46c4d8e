// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: dirty
 *
 * A query goes over the areas of a range and asks the domain's driver, which
 * sets bits in an iova_bitmap. All of the bitmap's memory is pinned before the
 * driver is asked the first time, so that nothing can fail once a dirty bit was
 * taken from hardware; a bitmap too large for one window gets an iova_bitmap for
 * each.
 *
 * Drivers take and report whole leaves, from where they are told to begin. So
 * they are told to begin where a leaf does, and what they report beyond what was
 * asked for goes to the domain's spill, from which a later query gets it.
 *
 * In-kernel users write without an IOMMU. What they hold for writing is dirty in
 * every answer, as they may be writing right now; once they let go of it, it is
 * so in the next one. That also goes through the spill.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_dirty.h"
#include "iopt_pages.h"

/* Bytes of bitmap that an iova_bitmap pins at once, from a page boundary on. */
#define IOPT_DIRTY_WINDOW	(PAGE_SIZE / sizeof(struct page *) * PAGE_SIZE)

/**
 * struct iopt_dirty_chunk - a part of a query that one window is enough for
 * @item: in &iopt_dirty_walk.chunks
 * @bitmap: the bits, pinned
 */
struct iopt_dirty_chunk {
	struct list_head item;
	struct iova_bitmap *bitmap;
};

/**
 * struct iopt_dirty_walk - a query that is being answered
 * @iopt: the table
 * @entry: the domain
 * @query: the question
 * @last: its last byte
 * @chunks: its parts, by rising IOVA
 * @pinned: an area that is going to be asked for has pages that somebody holds
 * @dirty: what the driver is given
 * @gather: IOTLB entries to flush
 */
struct iopt_dirty_walk {
	struct io_pagetable *iopt;
	struct iopt_domain *entry;
	const struct iopt_dirty_query *query;
	unsigned long last;
	struct list_head chunks;
	bool pinned;
	struct iommu_dirty_bitmap dirty;
	struct iommu_iotlb_gather gather;
};

/**
 * iopt_note_write() - an in-kernel user wrote
 * @iopt: the table
 * @iova: first byte
 * @last: last byte
 *
 * Context: &io_pagetable.iova_rwsem held.
 */
void iopt_note_write(struct io_pagetable *iopt, unsigned long iova,
		     unsigned long last)
{
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held(&iopt->iova_rwsem);

	iopt_for_each_domain(iopt, i, entry)
		if (entry->tracking)
			dirty_spill_add(&entry->spill, iova, last);
}

/**
 * iopt_forget_dirty() - IOVAs lose their meaning
 * @iopt: the table
 * @iova: first byte of what is unmapped
 * @last: last byte
 *
 * Context: &io_pagetable.iova_rwsem held for writing.
 */
void iopt_forget_dirty(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last)
{
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	iopt_for_each_domain(iopt, i, entry)
		if (!dirty_spill_empty(&entry->spill))
			dirty_spill_remove(&entry->spill, iova, last);
}

/*
 * The leaf that may hold an IOVA of an area. Nobody tells how large leaves are,
 * but one of @size needs IOVA and address to be aligned to it, contiguous, and
 * within the area. If they are, and the leaves are smaller nevertheless, more
 * of them are asked about than need be.
 */
static void iopt_leaf_of(struct iommu_domain *domain, struct iopt_area *area,
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

/* Whether a leaf may reach over the IOVA from one byte to the next. */
static bool iopt_leaf_across(struct iopt_dirty_walk *walk, unsigned long iova)
{
	struct iopt_area *area = iopt_area_first(walk->iopt, iova, iova);
	unsigned long leaf, last;

	if (!area || !area->pages || iova == iopt_area_last_iova(area))
		return false;
	iopt_leaf_of(walk->entry->domain, area, iova, &leaf, &last);
	return last > iova;
}

static void iopt_dirty_set(void *opaque, unsigned long start,
			   unsigned long last)
{
	iova_bitmap_set(opaque, start, last - start + 1);
}

/* What pinned pages of an area are written through, within [start, last]. */
static void iopt_dirty_pinned(struct iopt_area *area, struct iova_bitmap *bitmap,
			      unsigned long start, unsigned long last)
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

		if (access->area != area || !access->writable)
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
					  min(last, iopt_area_last_iova(pinned)));

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

/* Answer for a chunk: what is mapped in one piece is asked for in one. */
static int iopt_dirty_window(struct iova_bitmap *bitmap, unsigned long iova,
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

static void iopt_dirty_free_chunks(struct iopt_dirty_walk *walk)
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

/*
 * Pin the bitmap, as far as something is mapped that it has bits for. The first
 * bits are pinned in any case, so that a bad address is told.
 */
static int iopt_dirty_pin(struct iopt_dirty_walk *walk)
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

static int iopt_dirty_walk(struct iopt_dirty_walk *walk)
{
	struct iopt_domain *entry = walk->entry;
	unsigned long iova = walk->query->iova;
	struct iopt_dirty_chunk *chunk;
	bool alone;
	int rc = 0;

	/* Who is handed part of another query's leaf lets nobody in between. */
	alone = iopt_leaf_across(walk, walk->last) ||
		(iova && iopt_leaf_across(walk, iova - 1));
	if (alone)
		down_write(&entry->query_rwsem);
	else
		down_read(&entry->query_rwsem);

	iommu_dirty_bitmap_init(&walk->dirty, NULL, &walk->gather);
	list_for_each_entry(chunk, &walk->chunks, item) {
		rc = iova_bitmap_for_each(chunk->bitmap, walk,
					  iopt_dirty_window);
		if (rc)
			break;
	}
	if (!walk->query->no_clear) {
		iommu_iotlb_sync(entry->domain, &walk->gather);
		/*
		 * No driver fails once it has begun. If one does the caller
		 * will not look at the bitmap: tell all of it again.
		 */
		if (WARN_ON(rc))
			dirty_spill_add(&entry->spill, iova, walk->last);
	}

	if (alone)
		up_write(&entry->query_rwsem);
	else
		up_read(&entry->query_rwsem);
	return rc;
}

static int iopt_dirty_check(struct io_pagetable *iopt,
			    const struct iopt_dirty_query *query,
			    unsigned long *last)
{
	unsigned long align;

	if (!query->length || !is_power_of_2(query->page_size))
		return -EINVAL;
	if (check_add_overflow(query->iova, query->length - 1, last))
		return -EOVERFLOW;
	align = max(query->page_size, iopt->iova_alignment);
	if ((query->iova | query->length) & (align - 1))
		return -EINVAL;
	return 0;
}

/**
 * iopt_read_and_clear_dirty() - tell what was written since it was last told
 * @iopt: the table
 * @domain: one of its domains
 * @query: the question
 *
 * Bits are only ever set, and only those of the range that was asked for; bits
 * of IOVAs that are not mapped stay as they are.
 *
 * Return: 0; EINVAL for a length of zero, a page size that is no power of two,
 * a range that is not aligned to it or to the table's alignment, or where
 * tracking is off; EOVERFLOW where the range wraps; EFAULT where the bitmap
 * cannot be written; ENOMEM; EOPNOTSUPP where the domain has no dirty bits.
 * After an error everything is as dirty as before.
 * Context: takes &io_pagetable.iova_rwsem; may sleep.
 */
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain,
			      const struct iopt_dirty_query *query)
{
	struct iopt_dirty_walk walk = {
		.iopt = iopt,
		.query = query,
		.chunks = LIST_HEAD_INIT(walk.chunks),
	};
	int rc;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;

	guard(rwsem_read)(&iopt->iova_rwsem);
	rc = iopt_dirty_check(iopt, query, &walk.last);
	if (rc)
		return rc;
	walk.entry = iopt_find_domain(iopt, domain);
	if (WARN_ON(!walk.entry) || !walk.entry->tracking)
		return -EINVAL;

	rc = iopt_dirty_pin(&walk);
	if (!rc)
		rc = iopt_dirty_walk(&walk);
	iopt_dirty_free_chunks(&walk);
	return rc;
}

/* Make everything clean in hardware, and see to it that hardware knows. */
static int iopt_clear_dirty(struct io_pagetable *iopt,
			    struct iommu_domain *domain)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	struct iopt_area *area;
	int rc = 0;

	iommu_dirty_bitmap_init(&dirty, NULL, &gather);
	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		if (!area->pages)
			continue;
		rc = domain->dirty_ops->read_and_clear_dirty(domain,
				iopt_area_iova(area), iopt_area_length(area), 0,
				&dirty);
		if (rc)
			break;
	}
	iommu_iotlb_sync(domain, &gather);
	return rc;
}

/**
 * iopt_set_dirty_tracking() - turn dirty tracking on or off
 * @iopt: the table
 * @domain: one of its domains
 * @enable: on, with everything clean; on when it is on does nothing
 *
 * Return: 0; EOPNOTSUPP where the domain has no dirty bits; what its driver
 * gives, with tracking as before.
 * Context: takes the table's locks; may sleep.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable)
{
	const struct iommu_dirty_ops *ops = domain->dirty_ops;
	struct iopt_domain *entry;
	int rc;

	if (!ops)
		return -EOPNOTSUPP;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	entry = iopt_find_domain(iopt, domain);
	if (WARN_ON(!entry))
		return -EINVAL;
	if (enable == entry->tracking)
		return 0;
	rc = ops->set_dirty_tracking(domain, enable);
	if (rc)
		return rc;
	dirty_spill_clear(&entry->spill);
	if (enable) {
		rc = iopt_clear_dirty(iopt, domain);
		if (rc) {
			ops->set_dirty_tracking(domain, false);
			return rc;
		}
	}
	entry->tracking = enable;
	return 0;
}
