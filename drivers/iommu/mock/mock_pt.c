// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page table of the mock IOMMU.
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "../iommu-pages.h"
#include "mock_pt.h"

/**
 * DOC: The mock page table
 *
 * The page table is a radix tree with the layout of IOMMU hardware. Each table
 * is one page of 512 entries of 64 bits. An entry is empty, points to a table
 * of the next lower level, or is a leaf that translates the entry's whole IOVA
 * range. The smallest leaf size is the granule, and determines the larger
 * sizes: 2 MiB and 1 GiB for a granule of 4 KiB. A granule of 2 KiB needs one
 * more level, and its larger leaves are 1 MiB and 512 MiB.
 *
 * An unmap removes a table if it covers the whole IOVA range of the table. A
 * table that several unmaps have emptied stays until a leaf replaces it or the
 * page table is destroyed: detecting that the last entry is gone would need a
 * counter that every concurrent map and unmap below the table contends for.
 */

#define MOCK_PT_INDEX_BITS	9
#define MOCK_PT_ENTRIES		BIT(MOCK_PT_INDEX_BITS)

static atomic_long_t mock_pt_tables;

/**
 * mock_pt_live_tables() - count the tables of all page tables
 *
 * Return: the number of allocated tables. A nonzero number while no page table
 * exists is a leak.
 */
long mock_pt_live_tables(void)
{
	return atomic_long_read(&mock_pt_tables);
}

static unsigned int mock_pt_shift(const struct mock_pt *pt, unsigned int level)
{
	return pt->granule_shift + level * MOCK_PT_INDEX_BITS;
}

static unsigned int mock_pt_index(const struct mock_pt *pt, unsigned long iova,
				  unsigned int level)
{
	return (iova >> mock_pt_shift(pt, level)) & (MOCK_PT_ENTRIES - 1);
}

VISIBLE_IF_KUNIT unsigned long *mock_pt_alloc_table(gfp_t gfp)
{
	unsigned long *table;

	KUNIT_STATIC_STUB_REDIRECT(mock_pt_alloc_table, gfp);

	table = iommu_alloc_page(gfp);
	if (table)
		atomic_long_inc(&mock_pt_tables);
	return table;
}

static void mock_pt_free_table(unsigned long *table)
{
	iommu_free_page(table);
	atomic_long_dec(&mock_pt_tables);
}

static unsigned long *mock_pte_table(unsigned long pte)
{
	return phys_to_virt(pte & MOCK_PTE_ADDRESS);
}

static void mock_pt_defer_free(unsigned long *table, struct list_head *freelist)
{
	list_add_tail(&virt_to_page(table)->lru, freelist);
}

/**
 * mock_pt_free_list() - free removed tables
 * @freelist: list that mock_pt_map() or mock_pt_unmap() added tables to; empty
 *	on return
 *
 * Context: All walks that began before the tables were removed have ended.
 */
void mock_pt_free_list(struct list_head *freelist)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, freelist, lru) {
		list_del(&page->lru);
		mock_pt_free_table(page_address(page));
	}
}

/**
 * mock_pt_init() - initialize an empty page table
 * @pt: the page table
 * @pgsizes: bitmap of leaf sizes; the smallest is the granule, 2 KiB or more,
 *	and the others are the granule times powers of 512
 * @gfp: flags for the allocation of the root
 *
 * Return:
 * * 0: success
 * * -EINVAL: no radix tree has leaves of the sizes in @pgsizes
 * * -ENOMEM: out of memory
 */
int mock_pt_init(struct mock_pt *pt, unsigned long pgsizes, gfp_t gfp)
{
	unsigned int shift;

	if (!pgsizes || __ffs(pgsizes) < __ffs(MOCK_PTE_ADDRESS) ||
	    __fls(pgsizes) >= MOCK_PT_IOVA_BITS)
		return -EINVAL;

	pt->pgsizes = pgsizes;
	pt->granule_shift = __ffs(pgsizes);
	for_each_set_bit(shift, &pgsizes, BITS_PER_LONG)
		if ((shift - pt->granule_shift) % MOCK_PT_INDEX_BITS)
			return -EINVAL;

	pt->top = (MOCK_PT_IOVA_BITS - 1 - pt->granule_shift) /
		  MOCK_PT_INDEX_BITS;
	pt->root = mock_pt_alloc_table(gfp);
	return pt->root ? 0 : -ENOMEM;
}

/* Add an unlinked table and all tables below it to a freelist. */
static void mock_pt_defer_free_tree(unsigned long *table, unsigned int level,
				    struct list_head *freelist)
{
	unsigned int i;

	for (i = 0; level && i < MOCK_PT_ENTRIES; i++) {
		unsigned long pte = READ_ONCE(table[i]);

		if (pte && !(pte & MOCK_PTE_LEAF))
			mock_pt_defer_free_tree(mock_pte_table(pte), level - 1,
						freelist);
	}
	mock_pt_defer_free(table, freelist);
}

/**
 * mock_pt_destroy() - free a page table and its mappings
 * @pt: the page table
 *
 * Context: No other call that uses @pt, and no walk, is running.
 */
void mock_pt_destroy(struct mock_pt *pt)
{
	LIST_HEAD(freelist);

	mock_pt_defer_free_tree(pt->root, pt->top, &freelist);
	mock_pt_free_list(&freelist);
	pt->root = NULL;
}

static bool mock_pt_table_empty(const unsigned long *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; i < MOCK_PT_ENTRIES; i++) {
		unsigned long pte = READ_ONCE(table[i]);

		if (!pte)
			continue;
		if (pte & MOCK_PTE_LEAF ||
		    !mock_pt_table_empty(mock_pte_table(pte), level - 1))
			return false;
	}
	return true;
}

/**
 * mock_pt_empty() - check whether a page table has no leaf
 * @pt: the page table
 *
 * Return: true if @pt has no leaf. Empty tables do not matter.
 *
 * Context: No concurrent map or unmap.
 */
bool mock_pt_empty(const struct mock_pt *pt)
{
	return mock_pt_table_empty(pt->root, pt->top);
}

/*
 * Get the table that an entry points to, and allocate it if the entry is empty.
 * A concurrent map of another range may allocate the table, too; the first one
 * to link its table wins.
 */
static unsigned long *mock_pt_descend(unsigned long *entry, gfp_t gfp)
{
	unsigned long pte = READ_ONCE(*entry);
	unsigned long *table;

	if (!pte) {
		table = mock_pt_alloc_table(gfp);
		if (!table)
			return ERR_PTR(-ENOMEM);
		if (try_cmpxchg(entry, &pte,
				virt_to_phys(table) | MOCK_PTE_PRESENT))
			return table;
		mock_pt_free_table(table);
	}
	if (pte & MOCK_PTE_LEAF)
		return ERR_PTR(-EADDRINUSE);
	return mock_pte_table(pte);
}

/* Find the entry of @iova at @level, and allocate the tables above it. */
static unsigned long *mock_pt_slot(struct mock_pt *pt, unsigned long iova,
				   unsigned int level, gfp_t gfp)
{
	unsigned long *table = pt->root;
	unsigned int at;

	for (at = pt->top; at > level; at--) {
		table = mock_pt_descend(&table[mock_pt_index(pt, iova, at)],
					gfp);
		if (IS_ERR(table))
			return table;
	}
	return &table[mock_pt_index(pt, iova, level)];
}

/*
 * Write leaves to consecutive slots up to the first used slot. Returns the
 * number of leaves written.
 */
static size_t mock_pt_fill(unsigned long *slot, size_t count,
			   unsigned int level, unsigned long pte, size_t pgsize,
			   struct list_head *freelist)
{
	size_t i;

	for (i = 0; i < count; i++, pte += pgsize) {
		unsigned long old = READ_ONCE(slot[i]);

		if (old) {
			unsigned long *below = mock_pte_table(old);

			/* A leaf may replace a table without leaves. */
			if (old & MOCK_PTE_LEAF ||
			    !mock_pt_table_empty(below, level - 1))
				break;
			WRITE_ONCE(slot[i], pte);
			mock_pt_defer_free_tree(below, level - 1, freelist);
			continue;
		}
		WRITE_ONCE(slot[i], pte);
	}
	return i;
}

/**
 * mock_pt_map() - map leaves of one size
 * @pt: the page table
 * @iova: first IOVA, a multiple of @pgsize
 * @paddr: physical address, a multiple of @pgsize
 * @pgsize: leaf size
 * @pgcount: number of leaves
 * @perm: MOCK_PTE_READ, MOCK_PTE_WRITE or both
 * @gfp: flags for the allocation of tables
 * @mapped: set to the number of mapped bytes, also on failure
 * @freelist: list that takes tables that leaves have replaced; see struct
 *	mock_pt for when to free them
 *
 * After an error, the leaves below the failing IOVA stay mapped.
 *
 * Return:
 * * 0: success
 * * -EINVAL: @pgsize is not a leaf size of @pt, @iova or @paddr is not aligned
 *   to it, or @perm is no permission
 * * -ERANGE: the IOVA range or the physical range ends above the last address
 * * -EADDRINUSE: an IOVA in the range is mapped already
 * * -ENOMEM: out of memory
 */
int mock_pt_map(struct mock_pt *pt, unsigned long iova, phys_addr_t paddr,
		size_t pgsize, size_t pgcount, unsigned long perm, gfp_t gfp,
		size_t *mapped, struct list_head *freelist)
{
	unsigned long bits = perm | MOCK_PTE_PRESENT | MOCK_PTE_LEAF;
	unsigned int level;

	*mapped = 0;
	if (!is_power_of_2(pgsize) || !(pgsize & pt->pgsizes) ||
	    !IS_ALIGNED(iova | paddr, pgsize))
		return -EINVAL;
	if (!perm || perm & ~(MOCK_PTE_READ | MOCK_PTE_WRITE))
		return -EINVAL;
	if (iova > MOCK_PT_LAST_IOVA || paddr > MOCK_PTE_ADDRESS ||
	    pgcount > (MOCK_PT_LAST_IOVA - iova) / pgsize + 1 ||
	    pgcount > (MOCK_PTE_ADDRESS - paddr) / pgsize + 1)
		return -ERANGE;

	level = (__ffs(pgsize) - pt->granule_shift) / MOCK_PT_INDEX_BITS;
	while (pgcount) {
		size_t room = MOCK_PT_ENTRIES - mock_pt_index(pt, iova, level);
		size_t count = min(pgcount, room), done;
		unsigned long *slot;

		slot = mock_pt_slot(pt, iova, level, gfp);
		if (IS_ERR(slot))
			return PTR_ERR(slot);
		done = mock_pt_fill(slot, count, level, paddr | bits, pgsize,
				    freelist);
		*mapped += done * pgsize;
		if (done != count)
			return -EADDRINUSE;
		iova += count * pgsize;
		paddr += count * pgsize;
		pgcount -= count;
	}
	return 0;
}

/* State of an unmap: iova is the next IOVA to unmap. */
struct mock_pt_unmap {
	const struct mock_pt *pt;
	struct list_head *freelist;
	unsigned long iova;
	/* last IOVA of the range, and first IOVA of the first unmapped leaf */
	unsigned long last;
	unsigned long start;
};

/* Returns false at a hole, which ends the unmap. */
static bool mock_pt_unmap_table(struct mock_pt_unmap *unmap,
				unsigned long *table, unsigned int level)
{
	unsigned int i = mock_pt_index(unmap->pt, unmap->iova, level);
	unsigned long size = BIT(mock_pt_shift(unmap->pt, level));

	for (; i < MOCK_PT_ENTRIES && unmap->iova <= unmap->last; i++) {
		unsigned long start = ALIGN_DOWN(unmap->iova, size);
		unsigned long pte = READ_ONCE(table[i]);
		bool whole;

		if (!pte)
			return false;
		if (pte & MOCK_PTE_LEAF) {
			WRITE_ONCE(table[i], 0);
			unmap->start = min(unmap->start, start);
			unmap->iova = start + size;
			continue;
		}
		whole = unmap->iova == start &&
			unmap->last - start >= size - 1;
		if (!mock_pt_unmap_table(unmap, mock_pte_table(pte), level - 1))
			return false;
		if (whole) {
			WRITE_ONCE(table[i], 0);
			mock_pt_defer_free(mock_pte_table(pte),
					   unmap->freelist);
		}
	}
	return true;
}

/**
 * mock_pt_unmap() - unmap the leaves that overlap a range, up to a hole
 * @pt: the page table
 * @iova: first IOVA of the range
 * @length: length of the range in bytes
 * @start: set to the first IOVA of the first unmapped leaf, which is below
 *	@iova if @iova lies inside a leaf
 * @freelist: list that takes removed tables; see struct mock_pt for when to
 *	free them
 *
 * Return: number of bytes from @iova to the end of the last unmapped leaf, more
 * than @length if that leaf ends above the range; 0 if @iova is not mapped.
 */
size_t mock_pt_unmap(struct mock_pt *pt, unsigned long iova, size_t length,
		     unsigned long *start, struct list_head *freelist)
{
	struct mock_pt_unmap unmap = {
		.pt = pt,
		.freelist = freelist,
		.iova = iova,
		.start = iova,
	};

	*start = iova;
	if (!length || iova > MOCK_PT_LAST_IOVA)
		return 0;
	unmap.last = iova + min(length - 1, MOCK_PT_LAST_IOVA - iova);
	mock_pt_unmap_table(&unmap, pt->root, pt->top);
	*start = unmap.start;
	return unmap.iova - iova;
}

/* Find the leaf that translates an IOVA, or the empty entry in its place. */
static unsigned long *mock_pt_find(const struct mock_pt *pt, unsigned long iova,
				   unsigned int *level, unsigned long *pte)
{
	unsigned long *table = pt->root;
	unsigned long *entry;
	unsigned int at;

	for (at = pt->top;; at--) {
		entry = &table[mock_pt_index(pt, iova, at)];
		*pte = READ_ONCE(*entry);
		if (!*pte || *pte & MOCK_PTE_LEAF)
			break;
		table = mock_pte_table(*pte);
	}
	*level = at;
	return entry;
}

static void mock_pt_set_leaf(const struct mock_pt *pt, unsigned long iova,
			     unsigned int level, unsigned long pte,
			     struct mock_pt_leaf *leaf)
{
	unsigned long mask = BIT(mock_pt_shift(pt, level)) - 1;

	leaf->start = iova & ~mask;
	leaf->last = iova | mask;
	leaf->phys = pte & MOCK_PTE_ADDRESS;
	leaf->pte = pte;
}

/**
 * mock_pt_lookup() - translate an IOVA without setting accessed or dirty bits
 * @pt: the page table
 * @iova: any IOVA
 * @leaf: set to the leaf that translates @iova, if @iova is mapped
 *
 * Return: true if @iova is mapped.
 */
bool mock_pt_lookup(const struct mock_pt *pt, unsigned long iova,
		    struct mock_pt_leaf *leaf)
{
	unsigned int level;
	unsigned long pte;

	if (iova > MOCK_PT_LAST_IOVA)
		return false;
	mock_pt_find(pt, iova, &level, &pte);
	if (!pte)
		return false;
	mock_pt_set_leaf(pt, iova, level, pte, leaf);
	return true;
}

/**
 * mock_pt_walk() - translate an IOVA as hardware does
 * @pt: the page table
 * @iova: any IOVA
 * @write: whether the access is a write
 * @tracking: whether a write sets the dirty bit
 * @leaf: set to the leaf that translates @iova, if the access is allowed
 *
 * Sets the accessed bit, and the dirty bit for a write with @tracking. An
 * access that is not allowed sets no bit.
 *
 * Return: IOMMU_MOCK_FAULT_NONE if the access is allowed, or the reason of the
 * fault.
 */
enum iommu_mock_fault_reason mock_pt_walk(struct mock_pt *pt,
					  unsigned long iova, bool write,
					  bool tracking,
					  struct mock_pt_leaf *leaf)
{
	unsigned long set = MOCK_PTE_ACCESSED;
	unsigned long *entry;
	unsigned int level;
	unsigned long pte;

	if (iova > MOCK_PT_LAST_IOVA)
		return IOMMU_MOCK_FAULT_UNMAPPED;
	if (write && tracking)
		set |= MOCK_PTE_DIRTY;

	/* Walk again if the entry changes before its bits are set. */
	do {
		entry = mock_pt_find(pt, iova, &level, &pte);
		if (!pte)
			return IOMMU_MOCK_FAULT_UNMAPPED;
		if (write && !(pte & MOCK_PTE_WRITE))
			return IOMMU_MOCK_FAULT_WRITE;
		if (!write && !(pte & MOCK_PTE_READ))
			return IOMMU_MOCK_FAULT_READ;
	} while ((pte & set) != set && !try_cmpxchg(entry, &pte, pte | set));

	mock_pt_set_leaf(pt, iova, level, pte | set, leaf);
	return IOMMU_MOCK_FAULT_NONE;
}

/* Arguments of a dirty query. */
struct mock_pt_query {
	const struct mock_pt *pt;
	mock_pt_leaf_fn fn;
	void *opaque;
	bool clear;
};

static bool mock_pte_read_dirty(unsigned long *entry, bool clear)
{
	if (clear)
		return test_and_clear_bit(MOCK_PTE_DIRTY_SHIFT, entry);
	return true;
}

/* Check four entries at once: most entries of a query are clean leaves. */
static bool mock_pt_four_leaves_clean(const unsigned long *table)
{
	unsigned long a = READ_ONCE(table[0]), b = READ_ONCE(table[1]);
	unsigned long c = READ_ONCE(table[2]), d = READ_ONCE(table[3]);

	return (a & b & c & d & MOCK_PTE_LEAF) &&
	       !((a | b | c | d) & MOCK_PTE_DIRTY);
}

static void mock_pt_read_dirty_table(const struct mock_pt_query *query,
				     unsigned long *table, unsigned int level,
				unsigned long iova, unsigned long last)
{
	unsigned int shift = mock_pt_shift(query->pt, level);
	unsigned int first = mock_pt_index(query->pt, iova, level);
	unsigned int end = mock_pt_index(query->pt, last, level);
	unsigned long base = ALIGN_DOWN(iova, BIT(shift));

	for (unsigned int i = first; i <= end; i++) {
		unsigned long pte, start, stop;

		while (i + 3 <= end && mock_pt_four_leaves_clean(&table[i]))
			i += 4;
		if (i > end)
			break;
		pte = READ_ONCE(table[i]);
		if (!pte ||
		    (pte & (MOCK_PTE_LEAF | MOCK_PTE_DIRTY)) == MOCK_PTE_LEAF)
			continue;
		start = base + ((unsigned long)(i - first) << shift);
		stop = start + BIT(shift) - 1;
		if (!(pte & MOCK_PTE_LEAF)) {
			mock_pt_read_dirty_table(query, mock_pte_table(pte),
						 level - 1, max(start, iova),
					    min(stop, last));
			if (level == 2)
				cond_resched();
		} else if (mock_pte_read_dirty(&table[i], query->clear)) {
			query->fn(max(start, iova), stop, query->opaque);
		}
	}
}

/**
 * mock_pt_read_dirty() - report the dirty leaves of a range
 * @pt: the page table
 * @iova: first IOVA of the range
 * @last: last IOVA of the range, inclusive
 * @clear: whether to clear the dirty bits
 * @fn: called for every dirty leaf that overlaps the range, in ascending order
 * @opaque: last argument of @fn
 *
 * A leaf has one dirty bit, and @clear clears it also if the range covers only
 * part of the leaf. @fn gets the part of the leaf above @last, but not the part
 * below @iova: a caller that clears dirty bits loses the dirty state of that
 * part unless @iova is the first IOVA of a leaf.
 *
 * Context: May sleep. @fn may sleep.
 */
void mock_pt_read_dirty(struct mock_pt *pt, unsigned long iova,
			unsigned long last, bool clear, mock_pt_leaf_fn fn,
			void *opaque)
{
	const struct mock_pt_query query = {
		.pt = pt,
		.fn = fn,
		.opaque = opaque,
		.clear = clear,
	};

	last = min(last, MOCK_PT_LAST_IOVA);
	if (iova <= last)
		mock_pt_read_dirty_table(&query, pt->root, pt->top, iova, last);
}

/* Arguments of mock_pt_write_protect(). */
struct mock_pt_protect {
	const struct mock_pt *pt;
	mock_pt_leaf_fn fn;
	void *opaque;
	bool enable;
};

static void mock_pt_protect_table(const struct mock_pt_protect *protect,
				  unsigned long *table, unsigned int level,
				  unsigned long iova, unsigned long last)
{
	unsigned int shift = mock_pt_shift(protect->pt, level);
	unsigned int first = mock_pt_index(protect->pt, iova, level);
	unsigned int end = mock_pt_index(protect->pt, last, level);
	unsigned long base = ALIGN_DOWN(iova, BIT(shift));

	for (unsigned int i = first; i <= end; i++) {
		unsigned long start = base +
				      ((unsigned long)(i - first) << shift);
		unsigned long stop = start + BIT(shift) - 1;
		unsigned long pte = READ_ONCE(table[i]);

		if (!pte)
			continue;
		if (!(pte & MOCK_PTE_LEAF)) {
			mock_pt_protect_table(protect, mock_pte_table(pte),
					      level - 1, max(start, iova),
					      min(stop, last));
		} else if (protect->enable == !!(pte & MOCK_PTE_WRITE)) {
			change_bit(MOCK_PTE_WRITE_SHIFT, &table[i]);
			protect->fn(max(start, iova), stop, protect->opaque);
		}
	}
}

/**
 * mock_pt_write_protect() - protect the leaves of a range from writes, or allow them
 * @pt: the page table
 * @iova: first IOVA of the range
 * @last: last IOVA of the range, inclusive
 * @enable: whether to make them read-only
 * @fn: called for every leaf that changes, in ascending order
 * @opaque: last argument of @fn
 *
 * Changes every leaf that overlaps the range, and keeps its dirty bit.
 *
 * Context: @fn may sleep if the caller may.
 */
void mock_pt_write_protect(struct mock_pt *pt, unsigned long iova,
			   unsigned long last, bool enable, mock_pt_leaf_fn fn,
			   void *opaque)
{
	const struct mock_pt_protect protect = {
		.pt = pt,
		.fn = fn,
		.opaque = opaque,
		.enable = enable,
	};

	last = min(last, MOCK_PT_LAST_IOVA);
	if (iova <= last)
		mock_pt_protect_table(&protect, pt->root, pt->top, iova, last);
}
