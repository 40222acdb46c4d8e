// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random tests of the mock page table.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "mock_kunit.h"
#include "mock_pt.h"

/**
 * DOC: Random tests of the mock page table
 *
 * Random operations run on a page table and on an array with one element per
 * granule of a small window of IOVA space. Both must give the same result for
 * each operation. The windows cross boundaries of tables at several levels.
 */

/* Expected state of a granule; leaf_granules is 0 if it is not mapped. */
struct mock_pt_oracle {
	phys_addr_t phys;
	u32 leaf_first;
	u32 leaf_granules;
	u16 pte;
	bool reported;
	bool expected;
};

struct mock_pt_window {
	const char *name;
	unsigned long pgsizes;
	unsigned long base;
	unsigned long length;
	unsigned int steps;
};

/* A page table under test and its expected contents. */
struct mock_pt_fixture {
	struct kunit *test;
	const struct mock_pt_window *window;
	struct mock_pt pt;
	struct rnd_state rnd;
	unsigned int granules;
	struct mock_pt_oracle *oracle;
};

#define MOCK_PT_END	(MOCK_PT_LAST_IOVA + 1)

static const struct mock_pt_window mock_pt_windows[] = {
	{ "4k around 512 GiB", SZ_4K, SZ_512G - SZ_4M, SZ_8M, 3000 },
	{ "4k at the end", SZ_4K, MOCK_PT_END - SZ_8M, SZ_8M, 3000 },
	{ "2m at 0", SZ_4K | SZ_2M, 0, SZ_16M, 3000 },
	{ "2m around 1 GiB", SZ_4K | SZ_2M, SZ_1G - SZ_8M, SZ_16M, 3000 },
	{ "2m at the end", SZ_4K | SZ_2M, MOCK_PT_END - SZ_16M, SZ_16M, 3000 },
	{ "1g around 512 GiB", SZ_4K | SZ_2M | SZ_1G, SZ_512G - SZ_1G,
	  3UL * SZ_1G, 600 },
	{ "1g at the end", SZ_4K | SZ_2M | SZ_1G, MOCK_PT_END - SZ_2G, SZ_2G,
	  400 },
	{ "2k around 512 MiB", SZ_2K | SZ_1M, SZ_512M - SZ_4M, SZ_8M, 3000 },
	{ "2k around 128 TiB", SZ_2K | SZ_1M, BIT(47) - SZ_4M, SZ_8M, 3000 },
	{ "2k at the end", SZ_2K | SZ_1M, MOCK_PT_END - SZ_8M, SZ_8M, 3000 },
};

KUNIT_ARRAY_PARAM_DESC(mock_pt_windows, mock_pt_windows, name);

static unsigned int mock_pt_random(struct mock_pt_fixture *f, unsigned int below)
{
	return prandom_u32_state(&f->rnd) % below;
}

static unsigned long mock_pt_granule(const struct mock_pt_fixture *f)
{
	return BIT(f->pt.granule_shift);
}

static unsigned long mock_pt_iova(const struct mock_pt_fixture *f,
				  unsigned int granule)
{
	return f->window->base + granule * mock_pt_granule(f);
}

static struct mock_pt_oracle *mock_pt_at(const struct mock_pt_fixture *f,
					 unsigned long iova)
{
	return &f->oracle[(iova - f->window->base) >> f->pt.granule_shift];
}

static size_t mock_pt_random_pgsize(struct mock_pt_fixture *f)
{
	unsigned long pgsizes = f->pt.pgsizes;

	/* Prefer small sizes: few leaves of the largest fill the window. */
	while (hweight_long(pgsizes) > 1 && mock_pt_random(f, 4))
		pgsizes &= ~BIT(__fls(pgsizes));
	return BIT(__fls(pgsizes));
}

/* Map leaves in the oracle, up to the first granule that is mapped already. */
static size_t mock_pt_oracle_map(struct mock_pt_fixture *f, unsigned int first,
				 phys_addr_t paddr, size_t pgsize,
				 size_t pgcount, unsigned long perm)
{
	unsigned int n = pgsize >> f->pt.granule_shift;
	size_t done;
	unsigned int i;

	for (done = 0; done < pgcount; done++, first += n, paddr += pgsize) {
		for (i = 0; i < n; i++)
			if (f->oracle[first + i].leaf_granules)
				return done;
		for (i = 0; i < n; i++)
			f->oracle[first + i] = (struct mock_pt_oracle){
				.phys = paddr + i * mock_pt_granule(f),
				.leaf_first = first,
				.leaf_granules = n,
				.pte = perm | MOCK_PTE_PRESENT | MOCK_PTE_LEAF,
			};
	}
	return done;
}

static void mock_pt_step_map(struct mock_pt_fixture *f)
{
	size_t pgsize = mock_pt_random_pgsize(f);
	unsigned int n = pgsize >> f->pt.granule_shift;
	unsigned int slot = mock_pt_random(f, f->granules / n);
	size_t count = 1 + mock_pt_random(f, f->granules / n - slot);
	unsigned long perm = (1 + mock_pt_random(f, 3)) * MOCK_PTE_READ;
	phys_addr_t paddr = mock_pt_random(f, SZ_64K) * pgsize;
	size_t expected, mapped;
	LIST_HEAD(freelist);
	int rc;

	if (mock_pt_random(f, 8))
		count = min(count, 1 + mock_pt_random(f, 600));
	rc = mock_pt_map(&f->pt, mock_pt_iova(f, slot * n), paddr, pgsize,
			 count, perm, GFP_KERNEL, &mapped, &freelist);
	mock_pt_free_list(&freelist);

	expected = mock_pt_oracle_map(f, slot * n, paddr, pgsize, count, perm);
	KUNIT_EXPECT_EQ(f->test, rc, expected == count ? 0 : -EADDRINUSE);
	KUNIT_EXPECT_EQ(f->test, mapped, expected * pgsize);
}

static void mock_pt_step_unmap(struct mock_pt_fixture *f)
{
	unsigned int first = mock_pt_random(f, f->granules);
	unsigned int count = 1 + mock_pt_random(f, f->granules - first);
	unsigned int at = first, start = first, i;
	unsigned long unmapped_from;
	size_t unmapped;
	LIST_HEAD(freelist);

	if (mock_pt_random(f, 8))
		count = min(count, 1 + mock_pt_random(f, 600));
	unmapped = mock_pt_unmap(&f->pt, mock_pt_iova(f, first),
				 count * mock_pt_granule(f), &unmapped_from,
				 &freelist);
	mock_pt_free_list(&freelist);

	while (at < first + count && f->oracle[at].leaf_granules) {
		struct mock_pt_oracle leaf = f->oracle[at];

		start = min(start, leaf.leaf_first);
		at = leaf.leaf_first + leaf.leaf_granules;
		for (i = leaf.leaf_first; i < at; i++)
			f->oracle[i] = (struct mock_pt_oracle){};
	}
	KUNIT_EXPECT_EQ(f->test, unmapped, (at - first) * mock_pt_granule(f));
	KUNIT_EXPECT_EQ(f->test, unmapped_from, mock_pt_iova(f, start));
}

static enum iommu_mock_fault_reason
mock_pt_oracle_walk(struct mock_pt_fixture *f, struct mock_pt_oracle *at,
		    bool write, bool tracking)
{
	u16 set = MOCK_PTE_ACCESSED;
	unsigned int i;

	if (!at->leaf_granules)
		return IOMMU_MOCK_FAULT_UNMAPPED;
	if (write && !(at->pte & MOCK_PTE_WRITE))
		return IOMMU_MOCK_FAULT_WRITE;
	if (!write && !(at->pte & MOCK_PTE_READ))
		return IOMMU_MOCK_FAULT_READ;
	if (write && tracking)
		set |= MOCK_PTE_DIRTY;
	for (i = 0; i < at->leaf_granules; i++)
		f->oracle[at->leaf_first + i].pte |= set;
	return IOMMU_MOCK_FAULT_NONE;
}

static void mock_pt_expect_leaf(struct mock_pt_fixture *f, unsigned long iova,
				const struct mock_pt_oracle *at,
				const struct mock_pt_leaf *leaf)
{
	unsigned long offset = iova & (mock_pt_granule(f) - 1);

	KUNIT_EXPECT_EQ(f->test, leaf->start, mock_pt_iova(f, at->leaf_first));
	KUNIT_EXPECT_EQ(f->test, leaf->last,
			leaf->start - 1 +
				at->leaf_granules * mock_pt_granule(f));
	KUNIT_EXPECT_EQ(f->test, leaf->phys + (iova - leaf->start),
			at->phys + offset);
	KUNIT_EXPECT_EQ(f->test, leaf->pte & ~MOCK_PTE_ADDRESS,
			(unsigned long)at->pte);
}

static void mock_pt_step_walk(struct mock_pt_fixture *f)
{
	unsigned long iova =
		mock_pt_iova(f, mock_pt_random(f, f->granules)) +
		mock_pt_random(f, mock_pt_granule(f));
	struct mock_pt_oracle *at = mock_pt_at(f, iova);
	bool tracking = mock_pt_random(f, 4);
	bool write = mock_pt_random(f, 2);
	enum iommu_mock_fault_reason reason;
	struct mock_pt_leaf leaf;

	reason = mock_pt_walk(&f->pt, iova, write, tracking, &leaf);
	KUNIT_EXPECT_EQ(f->test, reason,
			mock_pt_oracle_walk(f, at, write, tracking));
	if (!reason)
		mock_pt_expect_leaf(f, iova, at, &leaf);
}

static void mock_pt_step_lookup(struct mock_pt_fixture *f)
{
	unsigned long iova =
		mock_pt_iova(f, mock_pt_random(f, f->granules)) +
		mock_pt_random(f, mock_pt_granule(f));
	struct mock_pt_oracle *at = mock_pt_at(f, iova);
	struct mock_pt_leaf leaf;
	bool found;

	found = mock_pt_lookup(&f->pt, iova, &leaf);
	KUNIT_EXPECT_EQ(f->test, found, !!at->leaf_granules);
	if (found && at->leaf_granules)
		mock_pt_expect_leaf(f, iova, at, &leaf);
}

static void mock_pt_check_report(unsigned long start, unsigned long last,
				 void *opaque)
{
	struct mock_pt_fixture *f = opaque;
	unsigned long end = f->window->base + f->window->length - 1;
	unsigned long iova;

	KUNIT_ASSERT_GE(f->test, start, f->window->base);
	KUNIT_ASSERT_LE(f->test, last, end);
	KUNIT_ASSERT_LT(f->test, start, last);
	for (iova = start; iova <= last; iova += mock_pt_granule(f)) {
		/* A query reports each granule at most once. */
		KUNIT_EXPECT_FALSE(f->test, mock_pt_at(f, iova)->reported);
		mock_pt_at(f, iova)->reported = true;
	}
}

static void mock_pt_check_query(struct mock_pt_fixture *f, unsigned int first,
				unsigned int count, bool clear)
{
	unsigned int i, j, wrong = 0;

	for (i = first; i < first + count; i++) {
		struct mock_pt_oracle leaf = f->oracle[i];

		if (!leaf.leaf_granules || !(leaf.pte & MOCK_PTE_DIRTY))
			continue;
		for (j = 0; j < leaf.leaf_granules; j++) {
			unsigned int at = leaf.leaf_first + j;

			f->oracle[at].expected = at >= first;
			if (clear)
				f->oracle[at].pte &= ~MOCK_PTE_DIRTY;
		}
		i = leaf.leaf_first + leaf.leaf_granules - 1;
	}

	mock_pt_read_dirty(&f->pt, mock_pt_iova(f, first),
			   mock_pt_iova(f, first + count) - 1, clear,
			   mock_pt_check_report, f);
	for (i = 0; i < f->granules; i++) {
		wrong += f->oracle[i].expected != f->oracle[i].reported;
		f->oracle[i].expected = false;
		f->oracle[i].reported = false;
	}
	KUNIT_EXPECT_EQ(f->test, wrong, 0);
}

static void mock_pt_step_query(struct mock_pt_fixture *f)
{
	unsigned int first = mock_pt_random(f, f->granules);
	unsigned int count = 1 + mock_pt_random(f, f->granules - first);

	mock_pt_check_query(f, first, count, mock_pt_random(f, 2));
}

/* Check every granule, and that queries outside the window report nothing. */
static void mock_pt_check_all(struct mock_pt_fixture *f)
{
	struct mock_pt_leaf leaf;
	unsigned int i;

	for (i = 0; i < f->granules; i++) {
		bool found = mock_pt_lookup(&f->pt, mock_pt_iova(f, i), &leaf);

		KUNIT_ASSERT_EQ(f->test, found, !!f->oracle[i].leaf_granules);
		if (found)
			mock_pt_expect_leaf(f, mock_pt_iova(f, i),
					    &f->oracle[i], &leaf);
	}
	mock_pt_check_query(f, 0, f->granules, false);
	if (f->window->base)
		mock_pt_read_dirty(&f->pt, 0, f->window->base - 1, true,
				   mock_pt_check_report, f);
	mock_pt_read_dirty(&f->pt, f->window->base + f->window->length,
			   ULONG_MAX, true, mock_pt_check_report, f);
}

static void mock_pt_test_random_steps_match_oracle(struct kunit *test)
{
	struct mock_pt_fixture *f = test->priv;
	unsigned int step;

	for (step = 0; step < f->window->steps; step++) {
		unsigned int what = mock_pt_random(f, 100);

		if (what < 12)
			mock_pt_step_map(f);
		else if (what < 20)
			mock_pt_step_unmap(f);
		else if (what < 70)
			mock_pt_step_walk(f);
		else if (what < 90)
			mock_pt_step_lookup(f);
		else
			mock_pt_step_query(f);
	}
	mock_pt_check_all(f);
}

static int mock_pt_random_init(struct kunit *test)
{
	const struct mock_pt_window *window = test->param_value;
	struct mock_pt_fixture *f;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->window = window;
	mock_kunit_check_tables(test);
	KUNIT_ASSERT_EQ(test,
			mock_pt_init(&f->pt, window->pgsizes, GFP_KERNEL), 0);
	test->priv = f;
	prandom_seed_state(&f->rnd, 0x6d6f636b + window->base);
	f->granules = window->length >> f->pt.granule_shift;
	f->oracle = vcalloc(f->granules, sizeof(*f->oracle));
	KUNIT_ASSERT_NOT_NULL(test, f->oracle);
	return 0;
}

static void mock_pt_random_exit(struct kunit *test)
{
	struct mock_pt_fixture *f = test->priv;

	if (!f)
		return;
	vfree(f->oracle);
	mock_pt_destroy(&f->pt);
}

static struct kunit_case mock_pt_random_cases[] = {
	KUNIT_CASE_PARAM(mock_pt_test_random_steps_match_oracle,
			 mock_pt_windows_gen_params),
	{}
};

static struct kunit_suite mock_pt_random_suite = {
	.name = "iommu_mock_pt_random",
	.init = mock_pt_random_init,
	.exit = mock_pt_random_exit,
	.test_cases = mock_pt_random_cases,
};

kunit_test_suite(mock_pt_random_suite);
