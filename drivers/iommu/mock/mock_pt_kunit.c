// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the mock page table: edges, refusals, and who frees what.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/sizes.h>

#include "mock_pt.h"

#define SIZES_2M	(SZ_4K | SZ_2M)
#define SIZES_1G	(SZ_4K | SZ_2M | SZ_1G)
#define SIZES_2K	(SZ_2K | SZ_1M)
#define RW		(MOCK_PTE_READ | MOCK_PTE_WRITE)
#define PHYS		(5UL * SZ_1G)

/* What a query told: how often, and the last of it. */
struct mock_pt_told {
	unsigned int count;
	unsigned long start;
	unsigned long last;
};

/* A page table, and how many tables there were before it was made. */
struct mock_pt_fixture {
	struct mock_pt pt;
	long before;
	unsigned int allocations_left;
};

static void mock_pt_tell(unsigned long start, unsigned long last, void *opaque)
{
	struct mock_pt_told *told = opaque;

	told->count++;
	told->start = start;
	told->last = last;
}

static struct mock_pt *mock_pt_make(struct kunit *test, unsigned long pgsizes)
{
	struct mock_pt_fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, mock_pt_init(&f->pt, pgsizes, GFP_KERNEL), 0);
	return &f->pt;
}

static void mock_pt_must_map(struct kunit *test, unsigned long iova,
			     size_t pgsize, size_t pgcount, unsigned long perm)
{
	struct mock_pt_fixture *f = test->priv;
	LIST_HEAD(freelist);
	size_t mapped;

	KUNIT_ASSERT_EQ(test,
			mock_pt_map(&f->pt, iova, PHYS, pgsize, pgcount, perm,
				    GFP_KERNEL, &mapped, &freelist),
			0);
	KUNIT_EXPECT_EQ(test, mapped, pgsize * pgcount);
	KUNIT_EXPECT_TRUE(test, list_empty(&freelist));
}

static size_t mock_pt_do_unmap(struct kunit *test, unsigned long iova,
			       size_t length)
{
	struct mock_pt_fixture *f = test->priv;
	LIST_HEAD(freelist);
	unsigned long start;
	size_t gone;

	gone = mock_pt_unmap(&f->pt, iova, length, &start, &freelist);
	mock_pt_free_list(&freelist);
	return gone;
}

static void mock_pt_must_write(struct kunit *test, unsigned long iova)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt_leaf leaf;

	KUNIT_ASSERT_EQ(test, mock_pt_walk(&f->pt, iova, true, true, &leaf),
			IOMMU_MOCK_FAULT_NONE);
}

static struct mock_pt_told mock_pt_query(struct kunit *test, unsigned long iova,
					 unsigned long last, bool clear)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt_told told = {};

	mock_pt_read_dirty(&f->pt, iova, last, clear, mock_pt_tell, &told);
	return told;
}

static void mock_pt_test_sizes(struct kunit *test)
{
	static const unsigned long bad[] = {
		0,	     SZ_1K,		 SZ_1K | SZ_4K,
		SZ_4K | SZ_8K, SZ_4K | SZ_2M | SZ_4M, SZ_4K | BIT(48),
		BIT(48),     SZ_2K | SZ_2M,
	};
	struct mock_pt pt;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, mock_pt_init(&pt, bad[i], GFP_KERNEL),
				    -EINVAL, "sizes %lx", bad[i]);
	mock_pt_make(test, SIZES_2K);
}

struct mock_pt_refusal {
	const char *name;
	unsigned long iova;
	phys_addr_t paddr;
	size_t pgsize;
	size_t pgcount;
	unsigned long perm;
	int rc;
};

static const struct mock_pt_refusal mock_pt_refusals[] = {
	{ "not a leaf size", 0, 0, SZ_8K, 1, RW, -EINVAL },
	{ "leaf size of another model", 0, 0, SZ_1G, 1, RW, -EINVAL },
	{ "two leaf sizes", 0, 0, SIZES_2M, 1, RW, -EINVAL },
	{ "no leaf size", 0, 0, 0, 1, RW, -EINVAL },
	{ "iova not aligned", SZ_4K, 0, SZ_2M, 1, RW, -EINVAL },
	{ "iova not aligned by a byte", 1, 0, SZ_4K, 1, RW, -EINVAL },
	{ "address not aligned", 0, SZ_4K, SZ_2M, 1, RW, -EINVAL },
	{ "no permission", 0, 0, SZ_4K, 1, 0, -EINVAL },
	{ "more than permissions", 0, 0, SZ_4K, 1, RW | MOCK_PTE_DIRTY,
	  -EINVAL },
	{ "iova behind the end", MOCK_PT_LAST_IOVA + 1, 0, SZ_4K, 1, RW,
	  -ERANGE },
	{ "across the end", MOCK_PT_LAST_IOVA + 1 - SZ_4K, 0, SZ_4K, 2, RW,
	  -ERANGE },
	{ "iova wraps", -(unsigned long)SZ_4K, 0, SZ_4K, 2, RW, -ERANGE },
	{ "size wraps", 0, 0, SZ_4K, BIT(52) + 1, RW, -ERANGE },
	{ "address behind the end", 0, BIT(52), SZ_4K, 1, RW, -ERANGE },
	{ "address across the end", 0, BIT(52) - SZ_4K, SZ_4K, 2, RW,
	  -ERANGE },
};

KUNIT_ARRAY_PARAM_DESC(mock_pt_refusals, mock_pt_refusals, name);

static void mock_pt_test_refusal(struct kunit *test)
{
	const struct mock_pt_refusal *bad = test->param_value;
	struct mock_pt *pt = mock_pt_make(test, SIZES_2M);
	long tables = mock_pt_live_tables();
	LIST_HEAD(freelist);
	size_t mapped = 1;

	KUNIT_EXPECT_EQ(test,
			mock_pt_map(pt, bad->iova, bad->paddr, bad->pgsize,
				    bad->pgcount, bad->perm, GFP_KERNEL,
				    &mapped, &freelist),
			bad->rc);
	KUNIT_EXPECT_EQ(test, mapped, 0);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), tables);
}

/* The last granule of the IOVA space, with the last of the address space. */
static void mock_pt_test_last_page(struct kunit *test)
{
	unsigned long page = MOCK_PT_LAST_IOVA + 1 - SZ_4K;
	struct mock_pt *pt = mock_pt_make(test, SIZES_1G);
	struct mock_pt_leaf leaf;
	struct mock_pt_told told;
	LIST_HEAD(freelist);
	size_t mapped;

	KUNIT_ASSERT_EQ(test,
			mock_pt_map(pt, page, BIT(52) - SZ_4K, SZ_4K, 1, RW,
				    GFP_KERNEL, &mapped, &freelist),
			0);
	KUNIT_EXPECT_TRUE(test, mock_pt_lookup(pt, MOCK_PT_LAST_IOVA, &leaf));
	KUNIT_EXPECT_EQ(test, leaf.phys, BIT(52) - SZ_4K);
	KUNIT_EXPECT_FALSE(test, mock_pt_lookup(pt, page - 1, &leaf));
	KUNIT_EXPECT_FALSE(test,
			   mock_pt_lookup(pt, MOCK_PT_LAST_IOVA + 1, &leaf));
	KUNIT_EXPECT_FALSE(test, mock_pt_lookup(pt, ULONG_MAX, &leaf));
	KUNIT_EXPECT_EQ(test, mock_pt_walk(pt, ULONG_MAX, true, true, &leaf),
			IOMMU_MOCK_FAULT_UNMAPPED);

	mock_pt_must_write(test, MOCK_PT_LAST_IOVA);
	told = mock_pt_query(test, MOCK_PT_LAST_IOVA + 1, ULONG_MAX, true);
	KUNIT_EXPECT_EQ(test, told.count, 0);
	told = mock_pt_query(test, page, ULONG_MAX, true);
	KUNIT_EXPECT_EQ(test, told.count, 1);
	KUNIT_EXPECT_EQ(test, told.start, page);
	KUNIT_EXPECT_EQ(test, told.last, MOCK_PT_LAST_IOVA);

	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, page, SIZE_MAX), SZ_4K);
	KUNIT_EXPECT_EQ(test,
			mock_pt_do_unmap(test, MOCK_PT_LAST_IOVA + 1, SZ_4K),
			0);
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, 0, 0), 0);
}

/*
 * A page at either end and nothing in between. Looked at granule by granule,
 * 256 TiB would take this test hours.
 */
static void mock_pt_test_skips_holes(struct kunit *test)
{
	unsigned long page = MOCK_PT_LAST_IOVA + 1 - SZ_2K;

	mock_pt_make(test, SIZES_2K);
	mock_pt_must_map(test, 0, SZ_2K, 1, RW);
	mock_pt_must_map(test, page, SZ_2K, 1, RW);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 0);
	mock_pt_must_write(test, 0);
	mock_pt_must_write(test, page);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 2);
}

/* One dirty bit for the leaf: told up to its end, cleared for all of it. */
static void mock_pt_test_query_inside_leaf(struct kunit *test)
{
	unsigned long leaf = SZ_1G, iova = leaf + 17 * SZ_4K;
	struct mock_pt_told told;

	mock_pt_make(test, SIZES_1G);
	mock_pt_must_map(test, leaf, SZ_1G, 1, RW);
	mock_pt_must_write(test, leaf + SZ_1G - 1);

	told = mock_pt_query(test, iova, iova, false);
	KUNIT_EXPECT_EQ(test, told.count, 1);
	KUNIT_EXPECT_EQ(test, told.start, iova);
	KUNIT_EXPECT_EQ(test, told.last, leaf + SZ_1G - 1);

	told = mock_pt_query(test, leaf - SZ_4K, leaf, true);
	KUNIT_EXPECT_EQ(test, told.count, 1);
	KUNIT_EXPECT_EQ(test, told.start, leaf);
	KUNIT_EXPECT_EQ(test, told.last, leaf + SZ_1G - 1);
	told = mock_pt_query(test, iova, ULONG_MAX, true);
	KUNIT_EXPECT_EQ(test, told.count, 0);
}

static void mock_pt_test_permissions(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_make(test, SIZES_2M);
	struct mock_pt_leaf leaf;

	mock_pt_must_map(test, 0, SZ_4K, 1, MOCK_PTE_READ);
	mock_pt_must_map(test, SZ_4K, SZ_4K, 1, MOCK_PTE_WRITE);
	KUNIT_EXPECT_EQ(test, mock_pt_walk(pt, 0, true, true, &leaf),
			IOMMU_MOCK_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, mock_pt_walk(pt, SZ_4K, false, true, &leaf),
			IOMMU_MOCK_FAULT_READ);
	KUNIT_ASSERT_TRUE(test, mock_pt_lookup(pt, 0, &leaf));
	KUNIT_EXPECT_FALSE(test, leaf.pte & MOCK_PTE_ACCESSED);
	KUNIT_ASSERT_TRUE(test, mock_pt_lookup(pt, SZ_4K, &leaf));
	KUNIT_EXPECT_FALSE(test, leaf.pte & MOCK_PTE_ACCESSED);

	KUNIT_EXPECT_EQ(test, mock_pt_walk(pt, 0, false, true, &leaf),
			IOMMU_MOCK_FAULT_NONE);
	KUNIT_EXPECT_TRUE(test, leaf.pte & MOCK_PTE_ACCESSED);
	KUNIT_EXPECT_FALSE(test, leaf.pte & MOCK_PTE_DIRTY);
	KUNIT_EXPECT_EQ(test, mock_pt_walk(pt, SZ_4K, true, false, &leaf),
			IOMMU_MOCK_FAULT_NONE);
	KUNIT_EXPECT_FALSE(test, leaf.pte & MOCK_PTE_DIRTY);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 0);
}

/* Memory that one leaf covers goes as a whole, wherever the unmap begins. */
static void mock_pt_test_unmap_inside_leaf(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_make(test, SIZES_2M);
	LIST_HEAD(freelist);
	unsigned long start;

	mock_pt_must_map(test, SZ_2M, SZ_2M, 1, RW);
	KUNIT_EXPECT_EQ(test,
			mock_pt_unmap(pt, SZ_2M + SZ_4K, SZ_4K, &start,
				      &freelist),
			SZ_2M - SZ_4K);
	KUNIT_EXPECT_EQ(test, start, SZ_2M);
	KUNIT_EXPECT_TRUE(test, list_empty(&freelist));
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, SZ_2M, SZ_2M), 0);
}

/* Tables go with the unmap that covers them, and not before they are freed. */
static void mock_pt_test_unmap_frees(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_make(test, SIZES_2M);
	long root = mock_pt_live_tables();
	LIST_HEAD(freelist);
	unsigned long start;
	size_t gone;

	/* 1 GiB and a page: 513 tables of level 0, 2 of level 1, 1 above. */
	mock_pt_must_map(test, 0, SZ_4K, SZ_1G / SZ_4K + 1, RW);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), root + 513 + 2 + 1);
	gone = mock_pt_unmap(pt, 0, SZ_1G, &start, &freelist);
	KUNIT_EXPECT_EQ(test, gone, SZ_1G);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), root + 513 + 2 + 1);
	mock_pt_free_list(&freelist);
	KUNIT_EXPECT_TRUE(test, list_empty(&freelist));
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), root + 1 + 1 + 1);
}

/* Tables that were emptied bit by bit are no obstacle to a larger leaf. */
static void mock_pt_test_leaf_replaces_tables(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_make(test, SIZES_1G);
	LIST_HEAD(freelist);
	unsigned long iova;
	size_t mapped;
	long tables;
	int rc;

	mock_pt_must_map(test, 0, SZ_4K, SZ_4M / SZ_4K, RW);
	tables = mock_pt_live_tables();
	for (iova = 0; iova < SZ_4M - SZ_4K; iova += SZ_4K)
		KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, iova, SZ_4K),
				SZ_4K);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), tables);

	/* The last page of the second table is still there. */
	rc = mock_pt_map(pt, 0, PHYS, SZ_1G, 1, RW, GFP_KERNEL, &mapped,
			 &freelist);
	KUNIT_EXPECT_EQ(test, rc, -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, mapped, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&freelist));
	rc = mock_pt_map(pt, 0, PHYS, SZ_2M, 2, RW, GFP_KERNEL, &mapped,
			 &freelist);
	KUNIT_EXPECT_EQ(test, rc, -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, mapped, SZ_2M);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&freelist), 1);
	mock_pt_free_list(&freelist);

	/* Now a table with an empty table in it. */
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, 0, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, iova, SZ_4K), SZ_4K);
	rc = mock_pt_map(pt, 0, PHYS, SZ_1G, 1, RW, GFP_KERNEL, &mapped,
			 &freelist);
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&freelist), 2);
	mock_pt_free_list(&freelist);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), tables - 3);
}

/* Stands in for the allocator: so many tables, and then no more. */
static unsigned long *mock_pt_alloc_some(gfp_t gfp)
{
	struct kunit *test = kunit_get_current_test();
	struct mock_pt_fixture *f = test->priv;
	unsigned long *table;

	if (!f->allocations_left)
		return NULL;
	f->allocations_left--;
	kunit_deactivate_static_stub(test, mock_pt_alloc_table);
	table = mock_pt_alloc_table(gfp);
	kunit_activate_static_stub(test, mock_pt_alloc_table,
				   mock_pt_alloc_some);
	return table;
}

static void mock_pt_test_no_memory(struct kunit *test)
{
	const unsigned long iova = SZ_512G - SZ_2M;
	struct mock_pt_fixture *f = test->priv;
	const size_t pages = 2 * SZ_2M / SZ_4K;
	struct mock_pt *pt = mock_pt_make(test, SIZES_2M);
	unsigned int limit;
	int rc = -ENOMEM;

	/* Either side of 512 GiB needs three tables of its own. */
	for (limit = 0; rc; limit++) {
		LIST_HEAD(freelist);
		size_t mapped;

		f->allocations_left = limit;
		kunit_activate_static_stub(test, mock_pt_alloc_table,
					   mock_pt_alloc_some);
		rc = mock_pt_map(pt, iova, PHYS, SZ_4K, pages, RW, GFP_KERNEL,
				 &mapped, &freelist);
		kunit_deactivate_static_stub(test, mock_pt_alloc_table);

		KUNIT_EXPECT_EQ(test, rc, limit < 6 ? -ENOMEM : 0);
		KUNIT_EXPECT_EQ(test, mapped, limit / 3 * SZ_2M);
		KUNIT_EXPECT_TRUE(test, list_empty(&freelist));
		KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, iova, SZ_4M),
				mapped);
		mock_pt_destroy(pt);
		KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), f->before);
		mock_pt_make(test, SIZES_2M);
	}
	KUNIT_EXPECT_EQ(test, limit, 7);
}

static void mock_pt_test_no_root(struct kunit *test)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt pt;

	f->allocations_left = 0;
	kunit_activate_static_stub(test, mock_pt_alloc_table,
				   mock_pt_alloc_some);
	KUNIT_EXPECT_EQ(test, mock_pt_init(&pt, SIZES_2M, GFP_KERNEL),
			-ENOMEM);
	kunit_deactivate_static_stub(test, mock_pt_alloc_table);
}

static int mock_pt_test_init(struct kunit *test)
{
	struct mock_pt_fixture *f;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->before = mock_pt_live_tables();
	test->priv = f;
	return 0;
}

static void mock_pt_test_exit(struct kunit *test)
{
	struct mock_pt_fixture *f = test->priv;

	if (!f)
		return;
	if (f->pt.root)
		mock_pt_destroy(&f->pt);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), f->before);
}

static struct kunit_case mock_pt_cases[] = {
	KUNIT_CASE(mock_pt_test_sizes),
	KUNIT_CASE_PARAM(mock_pt_test_refusal, mock_pt_refusals_gen_params),
	KUNIT_CASE(mock_pt_test_last_page),
	KUNIT_CASE(mock_pt_test_skips_holes),
	KUNIT_CASE(mock_pt_test_query_inside_leaf),
	KUNIT_CASE(mock_pt_test_permissions),
	KUNIT_CASE(mock_pt_test_unmap_inside_leaf),
	KUNIT_CASE(mock_pt_test_unmap_frees),
	KUNIT_CASE(mock_pt_test_leaf_replaces_tables),
	KUNIT_CASE(mock_pt_test_no_memory),
	KUNIT_CASE(mock_pt_test_no_root),
	{}
};

static struct kunit_suite mock_pt_suite = {
	.name = "iommu_mock_pt",
	.init = mock_pt_test_init,
	.exit = mock_pt_test_exit,
	.test_cases = mock_pt_cases,
};

kunit_test_suite(mock_pt_suite);
