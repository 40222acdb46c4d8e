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

/* IOVAs have 48 bits for every granule. */
#define MOCK_PT_IOVA_BITS	48
#define MOCK_PT_LAST_IOVA	(BIT(MOCK_PT_IOVA_BITS) - 1)

/*
 * Bits of a page table entry. Software writes whole entries. Hardware
 * (mock_pt_walk()) sets ACCESSED and DIRTY in a present leaf at any time, so
 * software changes bits of a present leaf atomically.
 */
#define MOCK_PTE_PRESENT	BIT(0)
#define MOCK_PTE_READ		BIT(1)
#define MOCK_PTE_WRITE_SHIFT	2
#define MOCK_PTE_WRITE		BIT(MOCK_PTE_WRITE_SHIFT)
#define MOCK_PTE_LEAF		BIT(3)
#define MOCK_PTE_ACCESSED	BIT(4)
#define MOCK_PTE_DIRTY_SHIFT	5
#define MOCK_PTE_DIRTY		BIT(MOCK_PTE_DIRTY_SHIFT)
#define MOCK_PTE_ADDRESS	GENMASK(51, 11)

/**
 * struct mock_pt - a page table
 * @root: the table of the top level
 * @pgsizes: bitmap of the supported leaf sizes
 * @granule_shift: log2 of the smallest leaf size
 * @top: level of @root; leaves of the smallest size are at level 0
 *
 * Owner: a mock_domain, or a test. Lifetime: mock_pt_init() to
 * mock_pt_destroy(); the members do not change in between.
 *
 * Locks: none. Entries are read and written with single copy atomicity, and
 * new tables are linked with cmpxchg(). Concurrent calls that map, unmap, query
 * and protect are allowed as long as their IOVA ranges, extended to whole leaves, do
 * not overlap. A walk may run at any time, and may still read a table that an
 * unmap has just removed. Removed tables therefore go to a freelist, which the
 * caller passes to mock_pt_free_list() after all earlier walks have ended. An
 * IOTLB flush waits for these walks.
 */
struct mock_pt {
	unsigned long *root;
	unsigned long pgsizes;
	unsigned int granule_shift;
	unsigned int top;
};

/**
 * struct mock_pt_leaf - result of a walk
 * @start: first IOVA of the leaf
 * @last: last IOVA of the leaf, inclusive
 * @phys: physical address that @start translates to
 * @pte: value of the entry at the end of the walk
 */
struct mock_pt_leaf {
	unsigned long start;
	unsigned long last;
	phys_addr_t phys;
	unsigned long pte;
};

/**
 * typedef mock_pt_leaf_fn - called for a leaf
 * @start: first IOVA of the leaf, or of the range if the leaf begins before it
 * @last: last IOVA of the leaf, which may be above the last IOVA of the range
 * @opaque: caller's pointer
 */
typedef void (*mock_pt_leaf_fn)(unsigned long start, unsigned long last,
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
			unsigned long last, bool clear, mock_pt_leaf_fn fn,
			void *opaque);
void mock_pt_write_protect(struct mock_pt *pt, unsigned long iova,
			   unsigned long last, bool enable, mock_pt_leaf_fn fn,
			   void *opaque);
long mock_pt_live_tables(void);

#if IS_ENABLED(CONFIG_KUNIT)
unsigned long *mock_pt_alloc_table(gfp_t gfp);
#endif

#endif
