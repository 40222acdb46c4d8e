// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the mock page table: boundaries, invalid arguments, and the lifetime
 * of tables.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/sizes.h>

#include "mock_kunit.h"
#include "mock_pt.h"

#define SIZES_2M	(SZ_4K | SZ_2M)
#define SIZES_1G	(SZ_4K | SZ_2M | SZ_1G)
#define SIZES_2K	(SZ_2K | SZ_1M)
#define RW		(MOCK_PTE_READ | MOCK_PTE_WRITE)
#define PHYS		(5UL * SZ_1G)

/* Result of a dirty query: number of reports, and the last report. */
struct mock_pt_dirty_result {
	unsigned int count;
	unsigned long start;
	unsigned long last;
};

/* A page table, and the number of live tables before it was created. */
struct mock_pt_fixture {
	struct mock_pt pt;
	long before;
	unsigned int allocations_left;
};

static void mock_pt_record_dirty(unsigned long start, unsigned long last,
				 void *opaque)
{
	struct mock_pt_dirty_result *result = opaque;

	result->count++;
	result->start = start;
	result->last = last;
}

static struct mock_pt *mock_pt_create(struct kunit *test, unsigned long pgsizes)
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
	size_t unmapped;

	unmapped = mock_pt_unmap(&f->pt, iova, length, &start, &freelist);
	mock_pt_free_list(&freelist);
	return unmapped;
}

static void mock_pt_must_write(struct kunit *test, unsigned long iova)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt_leaf leaf;

	KUNIT_ASSERT_EQ(test, mock_pt_walk(&f->pt, iova, true, true, &leaf),
			IOMMU_MOCK_FAULT_NONE);
}

static struct mock_pt_dirty_result mock_pt_query(struct kunit *test,
						 unsigned long iova,
						 unsigned long last, bool clear)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt_dirty_result result = {};

	mock_pt_read_dirty(&f->pt, iova, last, clear, mock_pt_record_dirty,
			   &result);
	return result;
}

static void mock_pt_test_init_rejects_bad_leaf_sizes(struct kunit *test)
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
	mock_pt_create(test, SIZES_2K);
}

struct mock_pt_bad_map {
	const char *name;
	unsigned long iova;
	phys_addr_t paddr;
	size_t pgsize;
	size_t pgcount;
	unsigned long perm;
	int rc;
};

static const struct mock_pt_bad_map mock_pt_bad_maps[] = {
	{ "not a leaf size", 0, 0, SZ_8K, 1, RW, -EINVAL },
	{ "leaf size of another model", 0, 0, SZ_1G, 1, RW, -EINVAL },
	{ "two leaf sizes", 0, 0, SIZES_2M, 1, RW, -EINVAL },
	{ "no leaf size", 0, 0, 0, 1, RW, -EINVAL },
	{ "iova not aligned", SZ_4K, 0, SZ_2M, 1, RW, -EINVAL },
	{ "iova not aligned by a byte", 1, 0, SZ_4K, 1, RW, -EINVAL },
	{ "address not aligned", 0, SZ_4K, SZ_2M, 1, RW, -EINVAL },
	{ "no permission", 0, 0, SZ_4K, 1, 0, -EINVAL },
	{ "bit that is no permission", 0, 0, SZ_4K, 1, RW | MOCK_PTE_DIRTY,
	  -EINVAL },
	{ "iova above the end", MOCK_PT_LAST_IOVA + 1, 0, SZ_4K, 1, RW,
	  -ERANGE },
	{ "across the end", MOCK_PT_LAST_IOVA + 1 - SZ_4K, 0, SZ_4K, 2, RW,
	  -ERANGE },
	{ "iova wraps", -(unsigned long)SZ_4K, 0, SZ_4K, 2, RW, -ERANGE },
	{ "size wraps", 0, 0, SZ_4K, BIT(52) + 1, RW, -ERANGE },
	{ "address above the end", 0, BIT(52), SZ_4K, 1, RW, -ERANGE },
	{ "address across the end", 0, BIT(52) - SZ_4K, SZ_4K, 2, RW,
	  -ERANGE },
};

KUNIT_ARRAY_PARAM_DESC(mock_pt_bad_maps, mock_pt_bad_maps, name);

static void mock_pt_test_map_rejects_bad_arguments(struct kunit *test)
{
	const struct mock_pt_bad_map *bad = test->param_value;
	struct mock_pt *pt = mock_pt_create(test, SIZES_2M);
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

/* Map the last granule of IOVA space to the last granule of physical memory. */
static void mock_pt_test_last_page_maps_and_unmaps(struct kunit *test)
{
	unsigned long page = MOCK_PT_LAST_IOVA + 1 - SZ_4K;
	struct mock_pt *pt = mock_pt_create(test, SIZES_1G);
	struct mock_pt_leaf leaf;
	struct mock_pt_dirty_result result;
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
	result = mock_pt_query(test, MOCK_PT_LAST_IOVA + 1, ULONG_MAX, true);
	KUNIT_EXPECT_EQ(test, result.count, 0);
	result = mock_pt_query(test, page, ULONG_MAX, true);
	KUNIT_EXPECT_EQ(test, result.count, 1);
	KUNIT_EXPECT_EQ(test, result.start, page);
	KUNIT_EXPECT_EQ(test, result.last, MOCK_PT_LAST_IOVA);

	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, page, SIZE_MAX), SZ_4K);
	KUNIT_EXPECT_EQ(test,
			mock_pt_do_unmap(test, MOCK_PT_LAST_IOVA + 1, SZ_4K),
			0);
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, 0, 0), 0);
}

/*
 * Map only the first and the last page. A query that visits every granule of
 * the 256 TiB would take hours.
 */
static void mock_pt_test_query_skips_holes(struct kunit *test)
{
	unsigned long page = MOCK_PT_LAST_IOVA + 1 - SZ_2K;

	mock_pt_create(test, SIZES_2K);
	mock_pt_must_map(test, 0, SZ_2K, 1, RW);
	mock_pt_must_map(test, page, SZ_2K, 1, RW);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 0);
	mock_pt_must_write(test, 0);
	mock_pt_must_write(test, page);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 2);
}

/* A leaf has one dirty bit: it is reported up to its end, and cleared whole. */
static void mock_pt_test_query_inside_leaf_reports_to_end(struct kunit *test)
{
	unsigned long leaf = SZ_1G, iova = leaf + 17 * SZ_4K;
	struct mock_pt_dirty_result result;

	mock_pt_create(test, SIZES_1G);
	mock_pt_must_map(test, leaf, SZ_1G, 1, RW);
	mock_pt_must_write(test, leaf + SZ_1G - 1);

	result = mock_pt_query(test, iova, iova, false);
	KUNIT_EXPECT_EQ(test, result.count, 1);
	KUNIT_EXPECT_EQ(test, result.start, iova);
	KUNIT_EXPECT_EQ(test, result.last, leaf + SZ_1G - 1);

	result = mock_pt_query(test, leaf - SZ_4K, leaf, true);
	KUNIT_EXPECT_EQ(test, result.count, 1);
	KUNIT_EXPECT_EQ(test, result.start, leaf);
	KUNIT_EXPECT_EQ(test, result.last, leaf + SZ_1G - 1);
	result = mock_pt_query(test, iova, ULONG_MAX, true);
	KUNIT_EXPECT_EQ(test, result.count, 0);
}

/* Return the number of leaves that changed. */
static unsigned int mock_pt_protect(struct kunit *test, unsigned long iova,
				    unsigned long last, bool enable)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt_dirty_result result = {};

	mock_pt_write_protect(&f->pt, iova, last, enable, mock_pt_record_dirty,
			      &result);
	return result.count;
}

/* Leaves of three sizes, one behind the other, and a hole. */
static void mock_pt_test_read_only_leaf_keeps_dirty_bit(struct kunit *test)
{
	static const unsigned long iovas[] = { 0, SZ_1G, SZ_1G + SZ_2M };
	struct mock_pt *pt = mock_pt_create(test, SIZES_1G);
	unsigned long page = SZ_1G + SZ_2M;
	struct mock_pt_leaf leaf;
	unsigned int i;

	mock_pt_must_map(test, 0, SZ_1G, 1, RW);
	mock_pt_must_map(test, SZ_1G, SZ_2M, 1, RW);
	mock_pt_must_map(test, page, SZ_4K, 2, RW);
	for (i = 0; i < ARRAY_SIZE(iovas); i++)
		mock_pt_must_write(test, iovas[i]);

	/* From the middle of the first leaf to the first page. */
	KUNIT_EXPECT_EQ(test, mock_pt_protect(test, SZ_2M, page, true), 3);
	KUNIT_EXPECT_EQ(test, mock_pt_protect(test, SZ_2M, page, true), 0);
	for (i = 0; i < ARRAY_SIZE(iovas); i++) {
		KUNIT_EXPECT_EQ(test,
				mock_pt_walk(pt, iovas[i], true, true, &leaf),
				IOMMU_MOCK_FAULT_WRITE);
		KUNIT_EXPECT_EQ(test,
				mock_pt_walk(pt, iovas[i], false, true, &leaf),
				IOMMU_MOCK_FAULT_NONE);
	}
	mock_pt_must_write(test, page + SZ_4K);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 4);

	KUNIT_EXPECT_EQ(test, mock_pt_protect(test, 0, ULONG_MAX, false), 3);
	KUNIT_EXPECT_EQ(test, mock_pt_protect(test, 0, ULONG_MAX, false), 0);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 0);
	for (i = 0; i < ARRAY_SIZE(iovas); i++)
		mock_pt_must_write(test, iovas[i]);
	KUNIT_EXPECT_EQ(test, mock_pt_query(test, 0, ULONG_MAX, true).count, 3);
}

static void mock_pt_test_walk_checks_permissions(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_create(test, SIZES_2M);
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

/* An unmap of any part of a leaf unmaps the whole leaf. */
static void mock_pt_test_unmap_inside_leaf_unmaps_leaf(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_create(test, SIZES_2M);
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

/* An unmap removes the tables that it covers; the freelist frees them. */
static void mock_pt_test_unmap_defers_free_of_tables(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_create(test, SIZES_2M);
	long root = mock_pt_live_tables();
	LIST_HEAD(freelist);
	unsigned long start;
	size_t unmapped;

	/* 1 GiB and a page: 513 tables of level 0, 2 of level 1, 1 above. */
	mock_pt_must_map(test, 0, SZ_4K, SZ_1G / SZ_4K + 1, RW);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), root + 513 + 2 + 1);
	unmapped = mock_pt_unmap(pt, 0, SZ_1G, &start, &freelist);
	KUNIT_EXPECT_EQ(test, unmapped, SZ_1G);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), root + 513 + 2 + 1);
	mock_pt_free_list(&freelist);
	KUNIT_EXPECT_TRUE(test, list_empty(&freelist));
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), root + 1 + 1 + 1);
}

/* A larger leaf replaces tables that have no leaf. */
static void mock_pt_test_leaf_replaces_empty_tables(struct kunit *test)
{
	struct mock_pt *pt = mock_pt_create(test, SIZES_1G);
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

	/* The last page of the second table is still mapped. */
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

	/* Replace a table that contains an empty table. */
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, 0, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, mock_pt_do_unmap(test, iova, SZ_4K), SZ_4K);
	rc = mock_pt_map(pt, 0, PHYS, SZ_1G, 1, RW, GFP_KERNEL, &mapped,
			 &freelist);
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&freelist), 2);
	mock_pt_free_list(&freelist);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), tables - 3);
}

/* Stub of the allocator that fails after allocations_left tables. */
static unsigned long *mock_pt_alloc_limited(gfp_t gfp)
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
				   mock_pt_alloc_limited);
	return table;
}

static void mock_pt_test_map_without_memory_maps_part(struct kunit *test)
{
	const unsigned long iova = SZ_512G - SZ_2M;
	struct mock_pt_fixture *f = test->priv;
	const size_t pages = 2 * SZ_2M / SZ_4K;
	struct mock_pt *pt = mock_pt_create(test, SIZES_2M);
	unsigned int limit;
	int rc = -ENOMEM;

	/* Each side of 512 GiB needs three tables. */
	for (limit = 0; rc; limit++) {
		LIST_HEAD(freelist);
		size_t mapped;

		f->allocations_left = limit;
		kunit_activate_static_stub(test, mock_pt_alloc_table,
					   mock_pt_alloc_limited);
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
		mock_pt_create(test, SIZES_2M);
	}
	KUNIT_EXPECT_EQ(test, limit, 7);
}

static void mock_pt_test_init_without_memory_fails(struct kunit *test)
{
	struct mock_pt_fixture *f = test->priv;
	struct mock_pt pt;

	f->allocations_left = 0;
	kunit_activate_static_stub(test, mock_pt_alloc_table,
				   mock_pt_alloc_limited);
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
	return mock_kunit_check_tables(test);
}

static void mock_pt_test_exit(struct kunit *test)
{
	struct mock_pt_fixture *f = test->priv;

	if (f && f->pt.root)
		mock_pt_destroy(&f->pt);
}

static struct kunit_case mock_pt_cases[] = {
	KUNIT_CASE(mock_pt_test_init_rejects_bad_leaf_sizes),
	KUNIT_CASE_PARAM(mock_pt_test_map_rejects_bad_arguments,
			 mock_pt_bad_maps_gen_params),
	KUNIT_CASE(mock_pt_test_last_page_maps_and_unmaps),
	KUNIT_CASE(mock_pt_test_query_skips_holes),
	KUNIT_CASE(mock_pt_test_query_inside_leaf_reports_to_end),
	KUNIT_CASE(mock_pt_test_read_only_leaf_keeps_dirty_bit),
	KUNIT_CASE(mock_pt_test_walk_checks_permissions),
	KUNIT_CASE(mock_pt_test_unmap_inside_leaf_unmaps_leaf),
	KUNIT_CASE(mock_pt_test_unmap_defers_free_of_tables),
	KUNIT_CASE(mock_pt_test_leaf_replaces_empty_tables),
	KUNIT_CASE(mock_pt_test_map_without_memory_maps_part),
	KUNIT_CASE(mock_pt_test_init_without_memory_fails),
	{}
};

static struct kunit_suite mock_pt_suite = {
	.name = "iommu_mock_pt",
	.init = mock_pt_test_init,
	.exit = mock_pt_test_exit,
	.test_cases = mock_pt_cases,
};

kunit_test_suite(mock_pt_suite);
