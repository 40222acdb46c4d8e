// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of struct pfn_batch, against an array with one entry for each page.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "memory/pfn_batch.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

/* A PFN that the tests only compute with. */
#define BATCH_PFN	0x1000UL
#define BATCH_PAGES	200

/**
 * struct batch_run - a batch and the expected contents
 * @test: the test
 * @rnd: state of the random numbers
 * @batch: the batch
 * @pfns: expected PFNs
 * @npages: number of @pfns
 * @nr: number of runs that @pfns consist of
 */
struct batch_run {
	struct kunit *test;
	struct rnd_state rnd;
	struct pfn_batch batch;
	unsigned long pfns[BATCH_PAGES];
	unsigned long npages;
	unsigned int nr;
};

static struct batch_run *batch_alloc(struct kunit *test)
{
	struct batch_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	prandom_seed_state(&run->rnd, 6);
	return run;
}

static void batch_clear(struct batch_run *run)
{
	pfn_batch_clear(&run->batch);
	run->npages = 0;
	run->nr = 0;
}

/* Check that the batch has the expected PFNs, in as few runs as possible. */
static void batch_check(struct batch_run *run)
{
	struct pfn_batch *batch = &run->batch;
	unsigned long n = 0;

	KUNIT_ASSERT_EQ(run->test, batch->npages, run->npages);
	KUNIT_ASSERT_EQ(run->test, batch->nr, run->nr);
	for (unsigned int i = 0; i < batch->nr; i++) {
		KUNIT_ASSERT_NE(run->test, batch->runs[i].npages, 0);
		for (unsigned long k = 0; k < batch->runs[i].npages; k++, n++) {
			KUNIT_ASSERT_LT(run->test, n, run->npages);
			KUNIT_EXPECT_EQ(run->test, batch->runs[i].pfn + k,
					run->pfns[n]);
		}
	}
	KUNIT_EXPECT_EQ(run->test, n, run->npages);
}

/* Add to the expected PFNs; return false if the batch has no room. */
static bool batch_oracle_add(struct batch_run *run, unsigned long pfn,
			     unsigned long npages)
{
	if (!run->npages || run->pfns[run->npages - 1] + 1 != pfn) {
		if (run->nr == run->batch.max)
			return false;
		run->nr++;
	}
	while (npages--)
		run->pfns[run->npages++] = pfn++;
	return true;
}

/* Return the first PFN of a random run, which often continues the previous one. */
static unsigned long batch_random(struct batch_run *run, unsigned long *npages)
{
	unsigned long left = BATCH_PAGES - run->npages;

	*npages = 1 + iopt_kunit_below(&run->rnd, 6);
	if (!iopt_kunit_below(&run->rnd, 8))
		*npages += iopt_kunit_below(&run->rnd, 30);
	*npages = min(*npages, left);
	if (run->npages && iopt_kunit_below(&run->rnd, 3))
		return run->pfns[run->npages - 1] + iopt_kunit_below(&run->rnd, 3);
	return BATCH_PFN + iopt_kunit_below(&run->rnd, 1000);
}

static const size_t batch_limits[] = { 1, 16, 3 * 16, 20 * 16, SZ_64K };

static void batch_limit_name(const size_t *limit, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes", *limit);
}

KUNIT_ARRAY_PARAM(batch_limit, batch_limits, batch_limit_name);

/* Adjacent runs merge; a full batch takes only runs that merge with its last. */
static void add_merges_adjacent_runs(struct kunit *test)
{
	struct batch_run *run = batch_alloc(test);

	iopt_test_memory_limit = *(const size_t *)test->param_value;
	pfn_batch_init(&run->batch, 50);
	for (unsigned int turn = 0; turn < 200; turn++) {
		batch_clear(run);
		batch_check(run);
		while (run->npages < BATCH_PAGES) {
			unsigned long npages, pfn = batch_random(run, &npages);
			bool want = batch_oracle_add(run, pfn, npages);

			KUNIT_EXPECT_EQ(test, want,
					pfn_batch_add(&run->batch, pfn, npages));
			batch_check(run);
			if (!want && !iopt_kunit_below(&run->rnd, 4))
				break;
		}
	}
	pfn_batch_destroy(&run->batch);
}

/* Add arrays of pages, and convert the batch to an array of pages. */
static void to_pages_returns_added_pages(struct kunit *test)
{
	struct page **pages = iopt_kunit_vzalloc(test, BATCH_PAGES * sizeof(*pages));
	struct page **copy = iopt_kunit_vzalloc(test, BATCH_PAGES * sizeof(*copy));
	struct batch_run *run = batch_alloc(test);

	pfn_batch_init(&run->batch, BATCH_PAGES);
	KUNIT_EXPECT_EQ(test, run->batch.max, BATCH_PAGES);
	for (unsigned int turn = 0; turn < 100; turn++) {
		batch_clear(run);
		while (run->npages < BATCH_PAGES) {
			unsigned long npages, pfn = batch_random(run, &npages);
			unsigned long n;

			/* Arrays of any length; some continue the previous run. */
			batch_oracle_add(run, pfn, npages);
			pfn = batch_random(run, &n);
			for (unsigned long i = 0; i < n; i++)
				batch_oracle_add(run, pfn + i * (i % 3), 1);
			for (n = run->batch.npages; n < run->npages; n++)
				pages[n] = pfn_to_page(run->pfns[n]);
			pfn_batch_add_pages(&run->batch,
					    pages + run->batch.npages,
					    run->npages - run->batch.npages);
			batch_check(run);
		}
		pfn_batch_to_pages(&run->batch, copy);
		KUNIT_EXPECT_MEMEQ(test, pages, copy,
				   run->npages * sizeof(*pages));
	}
	pfn_batch_destroy(&run->batch);
}

/**
 * struct temp_case - a call of iopt_temp_alloc()
 * @name: name of the test parameter
 * @limit: iopt_test_memory_limit
 * @nr: number of elements that the caller can use
 * @size: size of an element in bytes
 * @backup_nr: number of elements of the backup array
 * @max: expected number of elements of the returned array
 * @backup: the returned array is the backup
 */
struct temp_case {
	const char *name;
	size_t limit;
	unsigned long nr;
	size_t size;
	unsigned int backup_nr;
	unsigned int max;
	bool backup;
};

static const struct temp_case temp_cases[] = {
	{ "one", SZ_64K, 1, 16, 16, 1, true },
	{ "all of the backup", SZ_64K, 16, 16, 16, 16, true },
	{ "one more than the backup", SZ_64K, 17, 16, 16, 17, false },
	{ "all there may be", SZ_64K, 4096, 16, 16, 4096, false },
	{ "one more than may be", SZ_64K, 4097, 16, 16, 4096, false },
	{ "smaller elements", SZ_64K, 10000, 8, 16, 8192, false },
	{ "maximum number of elements", SZ_64K, ULONG_MAX, 16, 16, 4096, false },
	{ "less than the backup", 64, 100, 16, 16, 4, true },
	{ "just the backup", 256, 100, 16, 16, 16, true },
	{ "an element", 16, 100, 16, 16, 1, true },
	{ "less than an element", 15, 100, 16, 16, 1, true },
	{ "less than an element, one wanted", 15, 1, 16, 16, 1, true },
	{ "a part of an element more", 47, 100, 16, 1, 2, false },
};

KUNIT_ARRAY_PARAM_DESC(temp, temp_cases, name);

static void temp_alloc_falls_back_to_backup(struct kunit *test)
{
	const struct temp_case *c = test->param_value;
	unsigned int max = 0;
	char backup[256];
	void *array;

	iopt_test_memory_limit = c->limit;
	array = iopt_temp_alloc(c->nr, c->size, backup, c->backup_nr, &max);
	KUNIT_ASSERT_NOT_NULL(test, array);
	KUNIT_EXPECT_EQ(test, max, c->max);
	KUNIT_EXPECT_EQ(test, array == backup, c->backup);
	/* Write to the whole array, for KASAN. */
	memset(array, 0, max * c->size);
	if (array != backup)
		kfree(array);
}

#define BATCH_INDEX	70

/* Store a batch in an xarray, and read it back by batches with less room. */
static void from_xarray_returns_stored_pfns(struct kunit *test)
{
	struct batch_run *run = batch_alloc(test);
	DEFINE_XARRAY(xa);

	for (unsigned int turn = 0; turn < 30; turn++) {
		unsigned long index = BATCH_INDEX, want = 0, npages, pfn;

		iopt_test_memory_limit = SZ_64K;
		batch_clear(run);
		pfn_batch_init(&run->batch, BATCH_PAGES);
		while (run->npages < BATCH_PAGES) {
			pfn = batch_random(run, &npages);
			batch_oracle_add(run, pfn, npages);
			pfn_batch_add(&run->batch, pfn, npages);
		}
		KUNIT_EXPECT_EQ(test, 0,
				pfn_batch_to_xarray(&run->batch, &xa, index));
		pfn_batch_destroy(&run->batch);
		for (unsigned long n = 0; n < BATCH_PAGES; n++)
			KUNIT_EXPECT_EQ(test, xa_to_value(xa_load(&xa, index + n)),
					run->pfns[n]);
		KUNIT_EXPECT_PTR_EQ(test, NULL, xa_load(&xa, index - 1));
		KUNIT_EXPECT_PTR_EQ(test, NULL, xa_load(&xa, index + BATCH_PAGES));

		iopt_test_memory_limit = 16 * (1 + turn);
		pfn_batch_init(&run->batch, BATCH_PAGES);
		while (want < BATCH_PAGES) {
			unsigned long last = min(want + 37, BATCH_PAGES - 1);

			pfn_batch_clear(&run->batch);
			pfn_batch_from_xarray(&run->batch, &xa, index + want,
					      index + last);
			KUNIT_ASSERT_NE(test, run->batch.npages, 0);
			KUNIT_ASSERT_LE(test, want + run->batch.npages, last + 1);
			if (want + run->batch.npages <= last)
				KUNIT_EXPECT_EQ(test, run->batch.nr, run->batch.max);
			for (unsigned int i = 0; i < run->batch.nr; i++)
				for (unsigned long k = 0; k < run->batch.runs[i].npages; k++)
					KUNIT_EXPECT_EQ(test, run->batch.runs[i].pfn + k,
							run->pfns[want++]);
		}
		pfn_batch_destroy(&run->batch);
		xa_destroy(&xa);
	}
}

#define RW_PAGES	6
#define RW_BYTES	(RW_PAGES * PAGE_SIZE)

/* Offsets follow the order of the pages in the batch, not the order of their PFNs. */
static void rw_copies_in_order_of_batch(struct kunit *test)
{
	static const unsigned int order[RW_PAGES] = { 3, 4, 0, 5, 1, 2 };
	u8 *oracle = iopt_kunit_vzalloc(test, 2 * RW_BYTES);
	u8 *data = iopt_kunit_vzalloc(test, 2 * RW_BYTES);
	struct page *pages = alloc_pages(GFP_KERNEL, 3);
	struct batch_run *run = batch_alloc(test);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	pfn_batch_init(&run->batch, RW_PAGES);
	for (unsigned int i = 0; i < RW_PAGES; i++)
		pfn_batch_add(&run->batch, page_to_pfn(pages) + order[i], 1);
	KUNIT_EXPECT_EQ(test, run->batch.nr, 4);
	memset(page_address(pages), 0, 8 * PAGE_SIZE);

	for (unsigned int turn = 0; turn < 3000; turn++) {
		unsigned long offset = iopt_kunit_below(&run->rnd, RW_BYTES + 10);
		unsigned long length = iopt_kunit_below(&run->rnd, 3 * PAGE_SIZE);
		unsigned long want = 0;
		bool write = turn % 2;

		if (offset < RW_BYTES)
			want = min(length, RW_BYTES - offset);
		memset(data, 0xee, length);
		if (write)
			prandom_bytes_state(&run->rnd, data, min(length, 100UL));
		if (write)
			memcpy(oracle + offset, data, want);
		KUNIT_EXPECT_EQ(test, want,
				pfn_batch_rw(&run->batch, offset, data, length,
					     write));
		if (!write && want)
			KUNIT_EXPECT_MEMEQ(test, data, oracle + offset, want);
		if (!write && want < length)
			KUNIT_EXPECT_EQ(test, data[want], 0xee);
	}
	for (unsigned int i = 0; i < RW_PAGES; i++)
		KUNIT_EXPECT_MEMEQ(test, page_address(pages + order[i]),
				   oracle + i * PAGE_SIZE, PAGE_SIZE);
	/* Nothing was written to pages that are not in the batch. */
	KUNIT_EXPECT_PTR_EQ(test, NULL,
			    memchr_inv(page_address(pages + RW_PAGES), 0,
				       2 * PAGE_SIZE));
	pfn_batch_destroy(&run->batch);
	__free_pages(pages, 3);
}

static struct kunit_case batch_cases[] = {
	KUNIT_CASE_PARAM(add_merges_adjacent_runs, batch_limit_gen_params),
	KUNIT_CASE(to_pages_returns_added_pages),
	KUNIT_CASE_PARAM(temp_alloc_falls_back_to_backup, temp_gen_params),
	KUNIT_CASE(from_xarray_returns_stored_pfns),
	KUNIT_CASE(rw_copies_in_order_of_batch),
	{}
};

static struct kunit_suite batch_suite = {
	.name = "iommufd_pfn_batch",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = batch_cases,
};

kunit_test_suite(batch_suite);
