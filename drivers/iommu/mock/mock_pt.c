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
 * A radix tree as IOMMU hardware has it: tables of 512 entries of 64 bits, a
 * page each. An entry is empty, leads to the table below, or is a leaf and
 * translates its whole part of the IOVA space. The smallest leaf size, the
 * granule, gives the size of everything above: with 4 KiB these are 2 MiB and
 * 1 GiB leaves, with 2 KiB there is one level more, and the larger leaves are
 * of 1 MiB and 512 MiB.
 *
 * A table is taken out when one unmap covers all of the IOVA space below it.
 * One that was emptied bit by bit stays until a leaf takes its place or the
 * page table is destroyed: to find out that the last entry has gone would need
 * a counter that all who map and unmap below contend for.
 */

#define MOCK_PT_INDEX_BITS	9
#define MOCK_PT_ENTRIES		BIT(MOCK_PT_INDEX_BITS)

static atomic_long_t mock_pt_tables;

/**
 * mock_pt_live_tables() - count the tables of all page tables
 *
 * Return: how many tables are allocated and not freed. 0 when there is no page
 * table: anything else is a leak.
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

static void mock_pt_defer(unsigned long *table, struct list_head *freelist)
{
	list_add_tail(&virt_to_page(table)->lru, freelist);
}

/**
 * mock_pt_free_list() - free tables that were taken out
 * @freelist: list that mock_pt_map() or mock_pt_unmap() added to; empty after
 *
 * Context: No walk that began before the tables were taken out may be running.
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
 * mock_pt_init() - make an empty page table
 * @pt: to initialize
 * @pgsizes: bitmap of leaf sizes; the smallest is the granule, 2 KiB or more,
 *	and the others are the granule times powers of 512
 * @gfp: to allocate the root with
 *
 * Return: 0; -EINVAL if no radix tree has such leaves; -ENOMEM.
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

/* Take out a table that nothing leads to any more, with all below it. */
static void mock_pt_collect(unsigned long *table, unsigned int level,
			    struct list_head *freelist)
{
	unsigned int i;

	for (i = 0; level && i < MOCK_PT_ENTRIES; i++) {
		unsigned long pte = READ_ONCE(table[i]);

		if (pte && !(pte & MOCK_PTE_LEAF))
			mock_pt_collect(mock_pte_table(pte), level - 1,
					freelist);
	}
	mock_pt_defer(table, freelist);
}

/**
 * mock_pt_destroy() - free a page table with whatever is mapped in it
 * @pt: the page table
 *
 * Context: Nobody else uses @pt, and no walk runs.
 */
void mock_pt_destroy(struct mock_pt *pt)
{
	LIST_HEAD(freelist);

	mock_pt_collect(pt->root, pt->top, &freelist);
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
 * mock_pt_empty() - tell whether nothing is mapped
 * @pt: the page table
 *
 * Return: whether there is no leaf; tables that were emptied do not count.
 *
 * Context: Nobody maps or unmaps.
 */
bool mock_pt_empty(const struct mock_pt *pt)
{
	return mock_pt_table_empty(pt->root, pt->top);
}

/*
 * The table that an entry leads to, newly made if there is none. Others may
 * make it at the same time, for a range beside the caller's; the first wins.
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

/* Where the leaf of that level for that IOVA is or belongs. */
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

/* Write leaves to neighbouring slots until one is taken; return how many. */
static size_t mock_pt_fill(unsigned long *slot, size_t count,
			   unsigned int level, unsigned long pte, size_t pgsize,
			   struct list_head *freelist)
{
	size_t i;

	for (i = 0; i < count; i++, pte += pgsize) {
		unsigned long old = READ_ONCE(slot[i]);

		if (old) {
			unsigned long *below = mock_pte_table(old);

			/* A table that was emptied bit by bit gives way. */
			if (old & MOCK_PTE_LEAF ||
			    !mock_pt_table_empty(below, level - 1))
				break;
			WRITE_ONCE(slot[i], pte);
			mock_pt_collect(below, level - 1, freelist);
			continue;
		}
		WRITE_ONCE(slot[i], pte);
	}
	return i;
}

/**
 * mock_pt_map() - map leaves of one size
 * @pt: the page table
 * @iova: where, a multiple of @pgsize
 * @paddr: to what, a multiple of @pgsize
 * @pgsize: leaf size
 * @pgcount: how many leaves
 * @perm: MOCK_PTE_READ, MOCK_PTE_WRITE or both
 * @gfp: to allocate tables with
 * @mapped: set to the bytes that are mapped now, also on failure
 * @freelist: tables that leaves have replaced are added to it; see struct
 *	mock_pt for when to free them
 *
 * Return: 0; -EINVAL for a size that the page table does not have, addresses
 * that are not aligned to it, or no permission; -ERANGE for addresses that do
 * not fit; -EADDRINUSE where something is mapped already, with all in front of
 * it mapped; -ENOMEM.
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

/* How far an unmap got. */
struct mock_pt_unmap {
	const struct mock_pt *pt;
	struct list_head *freelist;
	/* what comes next, the end of the range, and the first IOVA gone */
	unsigned long iova;
	unsigned long last;
	unsigned long start;
};

/* Return: false if there was a hole, which ends the unmap. */
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
			mock_pt_defer(mock_pte_table(pte), unmap->freelist);
		}
	}
	return true;
}

/**
 * mock_pt_unmap() - unmap whatever leaves overlap a range, up to a hole
 * @pt: the page table
 * @iova: start of the range
 * @length: its bytes
 * @start: set to the first IOVA that is no longer mapped, which is in front of
 *	@iova if that lies inside a leaf
 * @freelist: tables that are not needed any more are added to it; see struct
 *	mock_pt for when to free them
 *
 * Return: bytes from @iova to the end of the last leaf that was unmapped, more
 * than @length if that leaf reaches further; 0 if nothing is mapped at @iova.
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

/* The entry that translates an IOVA, or the empty one that does not. */
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
 * mock_pt_lookup() - translate as software does, leaving no mark
 * @pt: the page table
 * @iova: any IOVA
 * @leaf: set to the leaf that translates @iova if there is one
 *
 * Return: whether there is one.
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
 * mock_pt_walk() - translate as hardware does
 * @pt: the page table
 * @iova: any IOVA
 * @write: the access is a write
 * @tracking: a write sets the dirty bit
 * @leaf: set to the leaf that translates @iova, if the access is allowed
 *
 * The accessed bit, and the dirty bit where asked for, are set before this
 * returns; an access that is not allowed sets none.
 *
 * Return: IOMMU_MOCK_FAULT_NONE if the access is allowed, otherwise why not.
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

	/* An entry that changes under the walk is walked to again. */
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

/* What one dirty query is after. */
struct mock_pt_query {
	const struct mock_pt *pt;
	mock_pt_dirty_fn fn;
	void *opaque;
	bool clear;
};

static bool mock_pte_read_dirty(unsigned long *entry, bool clear)
{
	if (clear)
		return test_and_clear_bit(MOCK_PTE_DIRTY_SHIFT, entry);
	return true;
}

/* Four leaves, all clean, as most are. */
static bool mock_pt_clean_leaves(const unsigned long *table)
{
	unsigned long a = READ_ONCE(table[0]), b = READ_ONCE(table[1]);
	unsigned long c = READ_ONCE(table[2]), d = READ_ONCE(table[3]);

	return (a & b & c & d & MOCK_PTE_LEAF) &&
	       !((a | b | c | d) & MOCK_PTE_DIRTY);
}

static void mock_pt_dirty_table(const struct mock_pt_query *query,
				unsigned long *table, unsigned int level,
				unsigned long iova, unsigned long last)
{
	unsigned int shift = mock_pt_shift(query->pt, level);
	unsigned int first = mock_pt_index(query->pt, iova, level);
	unsigned int end = mock_pt_index(query->pt, last, level);
	unsigned long base = ALIGN_DOWN(iova, BIT(shift));

	for (unsigned int i = first; i <= end; i++) {
		unsigned long pte, start, stop;

		while (i + 3 <= end && mock_pt_clean_leaves(&table[i]))
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
			mock_pt_dirty_table(query, mock_pte_table(pte),
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
 * mock_pt_read_dirty() - tell which leaves in a range are dirty
 * @pt: the page table
 * @iova: start of the range
 * @last: end of the range, inclusive
 * @clear: make them clean
 * @fn: called for every dirty leaf that overlaps the range, in order
 * @opaque: for @fn
 *
 * A leaf has one dirty bit, so clearing it for a part of the leaf clears it
 * for all. What is behind @last is told to @fn, what is in front of @iova is
 * not: a caller that clears has to start where a leaf starts, or loses that.
 *
 * Context: May sleep, and so may @fn.
 */
void mock_pt_read_dirty(struct mock_pt *pt, unsigned long iova,
			unsigned long last, bool clear, mock_pt_dirty_fn fn,
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
		mock_pt_dirty_table(&query, pt->root, pt->top, iova, last);
}
