/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page table of the mock IOMMU.
 */
#ifndef _IOMMU_MOCK_PT_H
#define _IOMMU_MOCK_PT_H

#include <linux/bits.h>
#include <linux/iommu_mock.h>
#include <linux/list.h>
#include <linux/types.h>

/* IOVAs are of 48 bits whatever the granule is. */
#define MOCK_PT_IOVA_BITS	48
#define MOCK_PT_LAST_IOVA	(BIT(MOCK_PT_IOVA_BITS) - 1)

/*
 * What an entry holds. Software writes whole entries; hardware (mock_pt_walk())
 * sets ACCESSED and DIRTY in a present leaf, so whoever clears one of these
 * must do it atomically.
 */
#define MOCK_PTE_PRESENT	BIT(0)
#define MOCK_PTE_READ		BIT(1)
#define MOCK_PTE_WRITE		BIT(2)
#define MOCK_PTE_LEAF		BIT(3)
#define MOCK_PTE_ACCESSED	BIT(4)
#define MOCK_PTE_DIRTY_SHIFT	5
#define MOCK_PTE_DIRTY		BIT(MOCK_PTE_DIRTY_SHIFT)
#define MOCK_PTE_ADDRESS	GENMASK(51, 11)

/**
 * struct mock_pt - one page table
 * @root: the uppermost table
 * @pgsizes: bitmap of the leaf sizes that may be mapped
 * @granule_shift: log2 of the smallest leaf size
 * @top: level of @root; leaves of the smallest size are at level 0
 *
 * Owner: a mock_domain, or a test. Lifetime: mock_pt_init() to
 * mock_pt_destroy(); the members do not change in between.
 *
 * Locks: none. Entries are read and written with single copy atomicity, and
 * new tables are hung in with cmpxchg(). Any number of callers may map, unmap
 * and query at a time as long as their IOVA ranges, extended to whole leaves,
 * do not overlap. A walk may run at any time. It may still read a table that
 * was just taken out, so those go to a list, and the one who called waits for
 * all walks that may have begun before (that is what an IOTLB flush does) and
 * only then calls mock_pt_free_list().
 */
struct mock_pt {
	unsigned long *root;
	unsigned long pgsizes;
	unsigned int granule_shift;
	unsigned int top;
};

/**
 * struct mock_pt_leaf - what a walk found
 * @start: first IOVA of the leaf
 * @last: last IOVA of the leaf, inclusive
 * @phys: physical address that @start translates to
 * @pte: the entry, as it was when the walk ended
 */
struct mock_pt_leaf {
	unsigned long start;
	unsigned long last;
	phys_addr_t phys;
	unsigned long pte;
};

/**
 * typedef mock_pt_dirty_fn - called for every dirty leaf of a query
 * @start: first dirty IOVA, not in front of the query
 * @last: last dirty IOVA, the end of the leaf even where that is behind the
 *	end of the query
 * @opaque: the caller's
 */
typedef void (*mock_pt_dirty_fn)(unsigned long start, unsigned long last,
				 void *opaque);

int mock_pt_init(struct mock_pt *pt, unsigned long pgsizes, gfp_t gfp);
void mock_pt_destroy(struct mock_pt *pt);
int mock_pt_map(struct mock_pt *pt, unsigned long iova, phys_addr_t paddr,
		size_t pgsize, size_t pgcount, unsigned long perm, gfp_t gfp,
		size_t *mapped, struct list_head *freelist);
size_t mock_pt_unmap(struct mock_pt *pt, unsigned long iova, size_t length,
		     unsigned long *start, struct list_head *freelist);
void mock_pt_free_list(struct list_head *freelist);
bool mock_pt_empty(const struct mock_pt *pt);
bool mock_pt_lookup(const struct mock_pt *pt, unsigned long iova,
		    struct mock_pt_leaf *leaf);
enum iommu_mock_fault_reason mock_pt_walk(struct mock_pt *pt,
					  unsigned long iova, bool write,
					  bool tracking,
					  struct mock_pt_leaf *leaf);
void mock_pt_read_dirty(struct mock_pt *pt, unsigned long iova,
			unsigned long last, bool clear, mock_pt_dirty_fn fn,
			void *opaque);
long mock_pt_live_tables(void);

#if IS_ENABLED(CONFIG_KUNIT)
unsigned long *mock_pt_alloc_table(gfp_t gfp);
#endif

#endif
