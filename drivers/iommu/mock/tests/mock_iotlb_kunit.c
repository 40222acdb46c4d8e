// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the mock IOTLB.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "mock_iotlb.h"
#include "mock_kunit.h"

#define RW	(MOCK_PTE_READ | MOCK_PTE_WRITE)
#define PHYS	(3UL * SZ_1G)
#define PAGES	1024

/**
 * DOC: Tests of the mock IOTLB
 *
 * The tests check the cause of lost dirty bits: a write through a dirty entry
 * must not set the dirty bit in the page table, and after a flush it must.
 */

/* Pages of 4 KiB from IOVA 0 on, and leaves of 2 MiB from 1 GiB on. */
struct mock_iotlb_fixture {
	struct mock_pt pt;
	struct mock_iotlb tlb;
	bool tracking;
	DECLARE_BITMAP(reported, PAGES);
};

static enum iommu_mock_fault_reason mock_iotlb_access(struct kunit *test,
						      unsigned long iova,
						      bool write)
{
	struct mock_iotlb_fixture *f = test->priv;
	enum iommu_mock_fault_reason reason;
	phys_addr_t phys = 0;

	scoped_guard(spinlock, &f->tlb.lock)
		reason = mock_iotlb_translate(&f->tlb, &f->pt, iova, write,
					      f->tracking, &phys);
	if (!reason)
		KUNIT_EXPECT_EQ(test, phys, PHYS + iova);
	return reason;
}

static void mock_iotlb_write(struct kunit *test, unsigned long iova)
{
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova, true),
			IOMMU_MOCK_FAULT_NONE);
}

static void mock_iotlb_read(struct kunit *test, unsigned long iova)
{
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova, false),
			IOMMU_MOCK_FAULT_NONE);
}

static void mock_iotlb_count_dirty(unsigned long start, unsigned long last,
				   void *opaque)
{
	(*(unsigned int *)opaque)++;
}

/* Test and clear the dirty bit of the leaf at @iova. */
static bool mock_iotlb_was_dirty(struct kunit *test, unsigned long iova)
{
	struct mock_iotlb_fixture *f = test->priv;
	unsigned int count = 0;

	mock_pt_read_dirty(&f->pt, iova, iova, true, mock_iotlb_count_dirty,
			   &count);
	return count;
}

static void mock_iotlb_unmap(struct kunit *test, unsigned long iova,
			     size_t length)
{
	struct mock_iotlb_fixture *f = test->priv;
	LIST_HEAD(freelist);
	unsigned long start;

	KUNIT_EXPECT_EQ(test,
			mock_pt_unmap(&f->pt, iova, length, &start, &freelist),
			length);
	mock_pt_free_list(&freelist);
}

static void mock_iotlb_map(struct kunit *test, unsigned long iova,
			   size_t pgsize, size_t pgcount, unsigned long perm)
{
	struct mock_iotlb_fixture *f = test->priv;
	LIST_HEAD(freelist);
	size_t mapped;

	KUNIT_ASSERT_EQ(test,
			mock_pt_map(&f->pt, iova, PHYS + iova, pgsize, pgcount,
				    perm, GFP_KERNEL, &mapped, &freelist),
			0);
}

static void mock_iotlb_test_dirty_entry_hides_write(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;

	mock_iotlb_write(test, SZ_4K);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, SZ_4K));

	/* Without a flush, the write sets no dirty bit. */
	mock_iotlb_write(test, SZ_4K + 8);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, SZ_4K));

	mock_iotlb_flush(&f->tlb, 0, ULONG_MAX);
	mock_iotlb_write(test, SZ_4K + 8);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, SZ_4K));
}

/* A read caches the dirty bit, set or clear. */
static void mock_iotlb_test_read_caches_dirty_bit(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;

	mock_iotlb_read(test, 0);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, 0));
	mock_iotlb_write(test, 0);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));

	mock_iotlb_flush(&f->tlb, 0, ULONG_MAX);
	mock_iotlb_write(test, 0);
	mock_iotlb_flush(&f->tlb, 0, ULONG_MAX);
	mock_iotlb_read(test, 0);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));
	mock_iotlb_write(test, 0);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, 0));
}

struct mock_iotlb_range {
	const char *name;
	unsigned long start;
	unsigned long last;
	bool hits;
};

/* Ranges, and whether they contain the page at 16 KiB. */
static const struct mock_iotlb_range mock_iotlb_ranges[] = {
	{ "all", 0, ULONG_MAX, true },
	{ "the page", SZ_16K, SZ_16K + SZ_4K - 1, true },
	{ "first byte", SZ_16K, SZ_16K, true },
	{ "last byte", SZ_16K + SZ_4K - 1, SZ_16K + SZ_4K - 1, true },
	{ "up to the first byte", 0, SZ_16K, true },
	{ "from the last byte on", SZ_16K + SZ_4K - 1, ULONG_MAX, true },
	{ "all below", 0, SZ_16K - 1, false },
	{ "all above", SZ_16K + SZ_4K, ULONG_MAX, false },
};

KUNIT_ARRAY_PARAM_DESC(mock_iotlb_ranges, mock_iotlb_ranges, name);

static void mock_iotlb_test_flush_of_range_invalidates_page(struct kunit *test)
{
	const struct mock_iotlb_range *range = test->param_value;
	struct mock_iotlb_fixture *f = test->priv;
	unsigned long iova;

	for (iova = 0; iova < SZ_32K; iova += SZ_4K) {
		mock_iotlb_write(test, iova);
		KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, iova));
	}
	mock_iotlb_flush(&f->tlb, range->start, range->last);
	mock_iotlb_write(test, SZ_16K);
	KUNIT_EXPECT_EQ(test, mock_iotlb_was_dirty(test, SZ_16K), range->hits);
}

/* A flush of one byte invalidates all entries of the leaf. */
static void mock_iotlb_test_flush_in_leaf_invalidates_leaf(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;
	unsigned long iova;

	for (iova = SZ_1G; iova < SZ_1G + SZ_2M; iova += SZ_64K)
		mock_iotlb_write(test, iova);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, SZ_1G));
	mock_iotlb_write(test, SZ_1G + SZ_1M);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, SZ_1G));

	KUNIT_EXPECT_GT(test, f->tlb.used, 1);
	mock_iotlb_flush(&f->tlb, SZ_1G + SZ_8K, SZ_1G + SZ_8K);
	KUNIT_EXPECT_EQ(test, f->tlb.used, 0);
	mock_iotlb_write(test, SZ_1G + SZ_1M);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, SZ_1G));
}

/* A flush of one leaf size keeps leaves of other sizes cached. */
static void mock_iotlb_test_flush_of_size_keeps_other_sizes(struct kunit *test)
{
	/* Uses another entry than the page at 0. */
	const unsigned long huge = SZ_1G + SZ_4K;
	struct mock_iotlb_fixture *f = test->priv;

	mock_iotlb_write(test, 0);
	mock_iotlb_write(test, huge);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, huge));

	mock_iotlb_flush_leaves(&f->tlb, 0, ULONG_MAX, SZ_4K);
	mock_iotlb_write(test, 0);
	mock_iotlb_write(test, huge);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, huge));

	mock_iotlb_flush_leaves(&f->tlb, 0, ULONG_MAX, SZ_2M);
	mock_iotlb_write(test, 0);
	mock_iotlb_write(test, huge);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, 0));
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, huge));

	mock_iotlb_flush_leaves(&f->tlb, 0, SZ_1G - 1, SZ_2M);
	mock_iotlb_write(test, huge);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, huge));
}

/* Two granules that use the same entry: the second replaces the first. */
static void mock_iotlb_test_conflict_replaces_entry(struct kunit *test)
{
	const unsigned long other = MOCK_IOTLB_ENTRIES * SZ_4K;
	struct mock_iotlb_fixture *f = test->priv;

	mock_iotlb_write(test, 0);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));
	mock_iotlb_write(test, other);
	KUNIT_EXPECT_EQ(test, f->tlb.used, 1);
	mock_iotlb_write(test, 0);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));
	KUNIT_EXPECT_EQ(test, f->tlb.used, 1);
}

static void mock_iotlb_test_translate_checks_permissions(struct kunit *test)
{
	const unsigned long iova = PAGES * SZ_4K;
	struct mock_iotlb_fixture *f = test->priv;

	mock_iotlb_map(test, iova, SZ_4K, 1, MOCK_PTE_READ);
	mock_iotlb_map(test, iova + SZ_4K, SZ_4K, 1, MOCK_PTE_WRITE);
	/* First from the page table, then from the IOTLB. */
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova, true),
			IOMMU_MOCK_FAULT_WRITE);
	mock_iotlb_read(test, iova);
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova, true),
			IOMMU_MOCK_FAULT_WRITE);
	mock_iotlb_write(test, iova + SZ_4K);
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova + SZ_4K, false),
			IOMMU_MOCK_FAULT_READ);
	mock_iotlb_flush(&f->tlb, 0, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova + SZ_4K, false),
			IOMMU_MOCK_FAULT_READ);
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, iova + SZ_8K, false),
			IOMMU_MOCK_FAULT_UNMAPPED);
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, ULONG_MAX, true),
			IOMMU_MOCK_FAULT_UNMAPPED);
}

/* After an unmap without a flush, the device keeps its access. */
static void mock_iotlb_test_unmap_needs_flush(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;

	mock_iotlb_write(test, 0);
	mock_iotlb_unmap(test, 0, SZ_4K);
	mock_iotlb_write(test, 0);
	mock_iotlb_flush(&f->tlb, 0, SZ_4K - 1);
	KUNIT_EXPECT_EQ(test, mock_iotlb_access(test, 0, true),
			IOMMU_MOCK_FAULT_UNMAPPED);
	/* Faults are not cached. */
	KUNIT_EXPECT_EQ(test, f->tlb.used, 0);
	mock_iotlb_map(test, 0, SZ_4K, 1, RW);
	mock_iotlb_write(test, 0);
}

static void mock_iotlb_test_untracked_write_stays_clean(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;

	f->tracking = false;
	mock_iotlb_write(test, 0);
	mock_iotlb_write(test, 0);
	KUNIT_EXPECT_FALSE(test, mock_iotlb_was_dirty(test, 0));
	/* No flush is needed: the cached entry is clean. */
	f->tracking = true;
	mock_iotlb_write(test, 0);
	KUNIT_EXPECT_TRUE(test, mock_iotlb_was_dirty(test, 0));
}

static void mock_iotlb_record_dirty(unsigned long start, unsigned long last,
				    void *opaque)
{
	struct mock_iotlb_fixture *f = opaque;

	bitmap_set(f->reported, start / SZ_4K, (last - start + 1) / SZ_4K);
}

/* With a flush after each query, no write of a random sequence is lost. */
static void mock_iotlb_test_flush_after_query_loses_no_write(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;
	unsigned long *written;
	struct rnd_state rnd;
	unsigned int step;

	written = kunit_kzalloc(test, BITS_TO_BYTES(PAGES), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, written);
	prandom_seed_state(&rnd, 0x746c62);
	for (step = 0; step < 50000; step++) {
		unsigned int page = prandom_u32_state(&rnd) % PAGES;
		unsigned int what = prandom_u32_state(&rnd) % 1000;

		if (what < 700) {
			mock_iotlb_write(test, page * SZ_4K + what);
			__set_bit(page, written);
		} else if (what < 995) {
			mock_iotlb_read(test, page * SZ_4K + what);
		} else {
			bitmap_zero(f->reported, PAGES);
			mock_pt_read_dirty(&f->pt, 0, PAGES * SZ_4K - 1, true,
					   mock_iotlb_record_dirty, f);
			mock_iotlb_flush(&f->tlb, 0, PAGES * SZ_4K - 1);
			KUNIT_EXPECT_TRUE(test, bitmap_equal(f->reported, written,
							     PAGES));
			bitmap_zero(written, PAGES);
		}
	}
}

static int mock_iotlb_test_init(struct kunit *test)
{
	struct mock_iotlb_fixture *f;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	mock_kunit_check_tables(test);
	KUNIT_ASSERT_EQ(test,
			mock_pt_init(&f->pt, SZ_4K | SZ_2M, GFP_KERNEL), 0);
	test->priv = f;
	f->tracking = true;
	mock_iotlb_init(&f->tlb);
	mock_iotlb_map(test, 0, SZ_4K, PAGES, RW);
	mock_iotlb_map(test, SZ_1G, SZ_2M, 2, RW);
	return 0;
}

static void mock_iotlb_test_exit(struct kunit *test)
{
	struct mock_iotlb_fixture *f = test->priv;

	if (f)
		mock_pt_destroy(&f->pt);
}

static struct kunit_case mock_iotlb_cases[] = {
	KUNIT_CASE(mock_iotlb_test_dirty_entry_hides_write),
	KUNIT_CASE(mock_iotlb_test_read_caches_dirty_bit),
	KUNIT_CASE_PARAM(mock_iotlb_test_flush_of_range_invalidates_page,
			 mock_iotlb_ranges_gen_params),
	KUNIT_CASE(mock_iotlb_test_flush_in_leaf_invalidates_leaf),
	KUNIT_CASE(mock_iotlb_test_flush_of_size_keeps_other_sizes),
	KUNIT_CASE(mock_iotlb_test_conflict_replaces_entry),
	KUNIT_CASE(mock_iotlb_test_translate_checks_permissions),
	KUNIT_CASE(mock_iotlb_test_unmap_needs_flush),
	KUNIT_CASE(mock_iotlb_test_untracked_write_stays_clean),
	KUNIT_CASE(mock_iotlb_test_flush_after_query_loses_no_write),
	{}
};

static struct kunit_suite mock_iotlb_suite = {
	.name = "iommu_mock_iotlb",
	.init = mock_iotlb_test_init,
	.exit = mock_iotlb_test_exit,
	.test_cases = mock_iotlb_cases,
};

kunit_test_suite(mock_iotlb_suite);
