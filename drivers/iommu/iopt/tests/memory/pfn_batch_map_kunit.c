// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of pfn_batch_to_domain(), which compare the page table with the batch granule by
 * granule, and of pfn_batch_unpin().
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>

#include "domains/iopt_leaf.h"
#include "domains/pfn_batch_map.h"
#include "memory/pfn_batch.h"
#include "space/iopt_area.h"
#include "tests/iopt_kunit.h"

#define P		PAGE_SIZE
#define MAP_RUNS	4
#define MAP_INDEX	5
#define HUGE		(PMD_SIZE / PAGE_SIZE)
#define GIANT		(SZ_1G / PAGE_SIZE)

/**
 * struct map_case - a batch and the area that it is mapped for
 * @name: name of the test parameter
 * @pgsizes: leaf sizes of the domain
 * @small: large pages are disabled
 * @iova: first IOVA of the area
 * @skip: pages of the area in front of the batch
 * @page_offset: bytes of the first page in front of the area
 * @tail: bytes of the last page after the area
 * @runs: runs of the batch
 * @maps: expected number of calls of map_pages
 * @steps: expected number of calls of iommu_map() for a run of more than 64 MiB, or 0
 *	for one call
 */
struct map_case {
	const char *name;
	unsigned long pgsizes;
	bool small;
	unsigned long iova;
	unsigned long skip;
	unsigned int page_offset;
	unsigned int tail;
	struct pfn_run runs[MAP_RUNS];
	unsigned int maps;
	unsigned int steps;
};

#define S4K	SZ_4K
#define S2M	(SZ_4K | SZ_2M)
#define S1G	(SZ_4K | SZ_2M | SZ_1G)
#define S2K	(SZ_2K | SZ_1M)

static const struct map_case map_cases[] = {
	{ "a page", S4K, false, P, 0, 0, 0, { { 7, 1 } }, 1 },
	{ "a run", S4K, false, P, 0, 0, 0, { { 7, 9 } }, 1 },
	{ "runs", S4K, false, P, 0, 0, 0,
	  { { 7, 1 }, { 9, 3 }, { 3, 2 }, { 7, 1 } }, 4 },
	{ "after other pages", S4K, false, P, 3, 0, 0, { { 7, 2 }, { 10, 2 } }, 2 },
	{ "to the last byte", S4K, false, -6 * P, 0, 0, 0,
	  { { 7, 4 }, { 20, 2 } }, 2 },
	{ "huge page", S2M, false, SZ_2M, 0, 0, 0, { { 3 * HUGE, HUGE } }, 1 },
	{ "huge pages in a run", S2M, false, SZ_2M, 0, 0, 0,
	  { { 3 * HUGE, 4 * HUGE } }, 1 },
	{ "huge pages apart", S2M, false, SZ_2M, 0, 0, 0,
	  { { 3 * HUGE, HUGE }, { 9 * HUGE, HUGE } }, 2 },
	{ "huge page and ends", S2M, false, SZ_2M - 2 * P, 0, 0, 0,
	  { { 3 * HUGE - 2, HUGE + 3 } }, 3 },
	{ "huge page, not aligned", S2M, false, SZ_2M + P, 0, 0, 0,
	  { { 3 * HUGE, HUGE } }, 1 },
	{ "huge page in small ones", S2M, true, SZ_2M, 0, 0, 0,
	  { { 3 * HUGE, HUGE } }, HUGE },
	{ "small ones in runs", S2M, true, SZ_2M, 2, 0, 0,
	  { { 3, 2 }, { 9, 3 } }, 5 },
	{ "half a page at the end", S2K, false, SZ_1M, 0, 0, SZ_2K,
	  { { 7, 1 } }, 1 },
	{ "half a page at the beginning", S2K, false, SZ_1M + SZ_2K, 0, SZ_2K, 0,
	  { { 7, 1 }, { 9, 1 } }, 2 },
	{ "half pages at both ends", S2K, false, SZ_1M + SZ_2K, 0, SZ_2K, SZ_2K,
	  { { 7, 1 }, { 9, 1 } }, 2 },
	{ "half pages of a run", S2K, false, SZ_1M, 0, SZ_2K, SZ_2K,
	  { { 7, 5 } }, 1 },
	{ "offset in page differs from IOVA", S2K, false, 0, 0, SZ_2K, SZ_2K,
	  { { 7, 2 }, { 11, 2 }, { 2, 2 } }, 3 },
	{ "no offset after other pages", S2K, false, SZ_2K, 1, SZ_2K, SZ_2K,
	  { { 7, 2 }, { 11, 2 } }, 2 },
	{ "half pages to the last byte", S2K, false, -4 * P, 0, SZ_2K, SZ_2K,
	  { { 7, 2 }, { 11, 3 } }, 2 },
	{ "small leaves of half a page", S2K, true, SZ_1M, 0, 0, 0,
	  { { 7, 2 }, { 10, 1 } }, 3 },
	{ "1 GiB", S1G, false, SZ_1G, 0, 0, 0, { { GIANT, GIANT } }, 1 },
	{ "1 GiB, with others", S2M, false, SZ_1G, 0, 0, 0,
	  { { 7, 1 }, { 3 * GIANT, GIANT }, { 2, 1 } }, 34, 32 },
	{ "more than 1 GiB", S1G, false, SZ_1G, 0, 0, 0,
	  { { GIANT, GIANT + 2 } }, 2 },
	{ "more than 1 GiB, with others", S4K, false, SZ_1G, 0, 0, 0,
	  { { 7, 1 }, { 3 * GIANT, GIANT + 1 }, { 2, 2 } }, 35, 33 },
	{ "more than 1 GiB, half pages", S2K, false, SZ_2K, 0, SZ_2K, SZ_2K,
	  { { 3 * GIANT, GIANT + 1 } }, 3 },
	{ "more than 1 GiB, half a page at the end", S2K, false, 0, 0, 0, SZ_2K,
	  { { 9, 1 }, { 3 * GIANT, GIANT + 1 } }, 66, 65 },
	{ "more than 4 GiB", S1G, false, 4UL * SZ_1G, 0, 0, 0,
	  { { 4 * GIANT, 4 * GIANT + 1 }, { 5, 1 } }, 3 },
};

KUNIT_ARRAY_PARAM_DESC(map, map_cases, name);

/**
 * struct map_run - a batch, its area and its domain
 * @test: the test
 * @iopt: the IOVA space of the area
 * @area: the area, which is in no tree
 * @batch: the batch
 * @kd: the domain
 * @index: page index of the batch
 * @iova: first IOVA of the batch
 * @bytes: length of the area from @iova on
 */
struct map_run {
	struct kunit *test;
	struct io_pagetable iopt;
	struct iopt_area area;
	struct pfn_batch batch;
	struct iopt_kunit_domain kd;
	unsigned long index;
	unsigned long iova;
	unsigned long bytes;
};

static struct map_run *map_alloc(struct kunit *test)
{
	struct map_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	iopt_init_table(&run->iopt);
	run->area.iopt = &run->iopt;
	run->area.prot = IOMMU_READ | IOMMU_WRITE;
	pfn_batch_init(&run->batch, BITS_PER_LONG * 4);
	return run;
}

static void map_free(struct map_run *run)
{
	pfn_batch_destroy(&run->batch);
	iopt_destroy_table(&run->iopt);
}

/* Set the area to the pages of the batch and @skip pages in front of them. */
static void map_set_area(struct map_run *run, const struct map_case *c)
{
	unsigned long npages = c->skip + run->batch.npages;
	unsigned long length = npages * P - c->page_offset - c->tail;
	struct iopt_area *area = &run->area;

	run->iopt.disable_large_pages = c->small;
	area->page_offset = c->page_offset;
	area->node.start = c->iova;
	area->node.last = c->iova + length - 1;
	area->pages_node.start = MAP_INDEX;
	area->pages_node.last = MAP_INDEX + npages - 1;
	run->index = MAP_INDEX + c->skip;
	run->iova = iopt_area_index_to_iova(area, run->index);
	run->bytes = area->node.last - run->iova + 1;
}

/* Check every granule of the batch, and that no other granule is mapped. */
static void map_check(struct map_run *run)
{
	unsigned long granule = BIT(run->kd.shift);
	unsigned long at = (run->iova - run->kd.base) / granule;
	unsigned long skip = run->index == MAP_INDEX ? run->area.page_offset : 0;
	unsigned long i = 0, done = 0, wrong = 0;

	for (unsigned long n = 0; n < run->bytes; n += granule, at++) {
		struct pfn_run *r = &run->batch.runs[i];
		u64 phys = PFN_PHYS(r->pfn) + skip + n - done;

		wrong += run->kd.phys[at] != (phys | IOPT_KUNIT_MAPPED);
		if (skip + n + granule - done == r->npages * P) {
			done += r->npages * P - skip;
			skip = 0;
			i++;
		}
	}
	KUNIT_EXPECT_EQ(run->test, wrong, 0);
	iopt_kunit_domain_check(run->test, &run->kd, run->bytes / granule);
}

/*
 * Return the expected number of calls of iommu_map() and iommu_map_sg(): one for each
 * run of more than 64 MiB, and one for up to 32 consecutive smaller runs.
 */
static unsigned int map_syncs(struct map_run *run, const struct map_case *c)
{
	unsigned int syncs = 0, together = 0;

	if (run->iopt.disable_large_pages)
		return run->batch.npages;
	for (unsigned int i = 0; i < run->batch.nr; i++) {
		bool giant = run->batch.runs[i].npages > SZ_64M / PAGE_SIZE;

		if (giant || together == 32)
			together = 0;
		syncs += giant && c->steps ? c->steps : !together;
		together += !giant;
	}
	return syncs;
}

static void map_unmap(struct map_run *run)
{
	KUNIT_EXPECT_EQ(run->test, run->bytes,
			iommu_unmap(&run->kd.domain, run->iova, run->bytes));
}

static int map_batch(struct map_run *run)
{
	run->kd.maps = 0;
	run->kd.syncs = 0;
	return pfn_batch_to_domain(&run->batch, &run->area, &run->kd.domain,
				   run->index);
}

static void map_domain(struct map_run *run, const struct map_case *c)
{
	unsigned long bytes = run->area.node.last - c->iova + 1;

	iopt_kunit_domain_init(run->test, &run->kd, c->pgsizes, c->iova, bytes);
}

static void mapped_batch_translates_each_granule(struct kunit *test)
{
	const struct map_case *c = test->param_value;
	struct map_run *run = map_alloc(test);

	for (unsigned int i = 0; i < MAP_RUNS && c->runs[i].npages; i++)
		pfn_batch_add(&run->batch, c->runs[i].pfn, c->runs[i].npages);
	map_set_area(run, c);
	map_domain(run, c);
	KUNIT_EXPECT_EQ(test, map_batch(run), 0);
	KUNIT_EXPECT_EQ(test, run->kd.maps, c->maps);
	KUNIT_EXPECT_EQ(test, run->kd.syncs, map_syncs(run, c));
	map_check(run);
	map_unmap(run);

	/* If a call of map_pages fails, the pages mapped before it are unmapped. */
	for (unsigned int fail = 1; fail <= c->maps; fail++) {
		run->kd.fail = fail;
		KUNIT_EXPECT_EQ(test, map_batch(run), IOPT_KUNIT_ERRNO);
		KUNIT_EXPECT_EQ(test, run->kd.maps, fail);
	}
	iopt_kunit_domain_check(test, &run->kd, 0);
	map_free(run);
}

/* Batches of more runs than one iommu_map_sg() maps, of any length and alignment. */
static void random_batches_translate_each_granule(struct kunit *test)
{
	static const unsigned long pgsizes[] = { S4K, S2K, SZ_4K | SZ_16K | SZ_64K };
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 7);
	for (unsigned int turn = 0; turn < 60; turn++) {
		struct map_case c = {
			.pgsizes = pgsizes[turn % ARRAY_SIZE(pgsizes)],
			.small = turn % 7 == 6,
			.iova = iopt_kunit_below(&rnd, 64) * P,
			.skip = iopt_kunit_below(&rnd, 2) * 3,
		};
		struct map_run *run = map_alloc(test);
		unsigned int runs = 1 + iopt_kunit_below(&rnd, 100);
		unsigned long pfn = 0;

		for (unsigned int i = 0; i < runs; i++) {
			unsigned long n = 1 + iopt_kunit_below(&rnd, 20);

			pfn += 1 + iopt_kunit_below(&rnd, 40);
			pfn_batch_add(&run->batch, pfn, n);
			pfn += n;
		}
		if (c.pgsizes == S2K && !c.small) {
			c.page_offset = iopt_kunit_below(&rnd, 2) * SZ_2K;
			c.tail = iopt_kunit_below(&rnd, 2) * SZ_2K;
		}
		map_set_area(run, &c);
		map_domain(run, &c);
		KUNIT_EXPECT_EQ(test, map_batch(run), 0);
		KUNIT_EXPECT_EQ(test, run->kd.syncs, map_syncs(run, &c));
		map_check(run);
		map_unmap(run);
		run->kd.fail = 1 + iopt_kunit_below(&rnd, run->kd.maps);
		KUNIT_EXPECT_EQ(test, map_batch(run), IOPT_KUNIT_ERRNO);
		iopt_kunit_domain_check(test, &run->kd, 0);
		map_free(run);
	}
}

#define UNPIN_PAGES	40

/**
 * struct unpin_run - pinned pages
 * @pages: the iopt_pages that they are charged to
 * @list: the pages, in the order of the batch
 * @pinned: by index in @list: the page is pinned
 * @left: number of pages that are pinned
 */
struct unpin_run {
	struct iopt_pages *pages;
	struct page *list[UNPIN_PAGES];
	bool pinned[UNPIN_PAGES];
	unsigned long left;
};

static void unpin_setup(struct kunit *test, struct unpin_run *run,
			struct pfn_batch *batch, bool writable)
{
	unsigned long address = iopt_kunit_mmap(test, UNPIN_PAGES);

	memset(run, 0, sizeof(*run));
	run->pages = iopt_kunit_pages(test, UNPIN_PAGES);
	run->pages->writable = writable;
	run->left = UNPIN_PAGES;
	KUNIT_ASSERT_EQ(test, UNPIN_PAGES,
			pin_user_pages_fast(address, UNPIN_PAGES,
					    FOLL_WRITE | FOLL_LONGTERM,
					    run->list));
	/* Swap some pages, so that some neighbours are adjacent and others are not. */
	for (unsigned int i = 0; i + 7 < UNPIN_PAGES; i += 5)
		swap(run->list[i], run->list[i + 7]);
	for (unsigned int i = 0; i < UNPIN_PAGES; i++) {
		struct folio *folio = page_folio(run->list[i]);

		run->pinned[i] = true;
		folio_lock(folio);
		__folio_clear_dirty(folio);
		folio_unlock(folio);
	}
	pfn_batch_clear(batch);
	pfn_batch_add_pages(batch, run->list, UNPIN_PAGES);
	mutex_lock(&run->pages->mutex);
	KUNIT_EXPECT_EQ(test, 0, iopt_pages_charge(run->pages, UNPIN_PAGES));
}

/* Check if each page is pinned and dirty, and the accounting. */
static void unpin_check(struct kunit *test, struct unpin_run *run)
{
	struct iopt_kunit *ik = test->priv;

	for (unsigned int i = 0; i < UNPIN_PAGES; i++) {
		struct folio *folio = page_folio(run->list[i]);

		KUNIT_EXPECT_EQ(test, folio_maybe_dma_pinned(folio),
				run->pinned[i]);
		KUNIT_EXPECT_EQ(test, folio_test_dirty(folio),
				!run->pinned[i] && run->pages->writable);
	}
	iopt_kunit_expect_pins(test, run->left);
	KUNIT_EXPECT_EQ(test, run->pages->npinned, run->left);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ik->mm->pinned_vm), run->left);
}

/* Unpin random ranges of a batch, until no page is pinned. */
static void unpin_of_any_range_unpins_each_page_once(struct kunit *test)
{
	struct unpin_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	struct pfn_batch batch;
	struct rnd_state rnd;

	KUNIT_ASSERT_NOT_NULL(test, run);
	prandom_seed_state(&rnd, 8);
	pfn_batch_init(&batch, UNPIN_PAGES);
	for (unsigned int turn = 0; turn < 20; turn++) {
		unpin_setup(test, run, &batch, turn % 2);
		unpin_check(test, run);
		while (run->left) {
			unsigned int skip = iopt_kunit_below(&rnd, UNPIN_PAGES);
			unsigned int max = 1 + iopt_kunit_below(&rnd, 12), n;

			for (n = 0; n < max && skip + n < UNPIN_PAGES; n++) {
				if (!run->pinned[skip + n])
					break;
				run->pinned[skip + n] = false;
			}
			pfn_batch_unpin(&batch, run->pages, skip, n);
			run->left -= n;
			unpin_check(test, run);
		}
		mutex_unlock(&run->pages->mutex);
		iopt_pages_put(run->pages);
	}
	pfn_batch_destroy(&batch);
}

static struct kunit_case map_kunit_cases[] = {
	KUNIT_CASE_PARAM(mapped_batch_translates_each_granule, map_gen_params),
	KUNIT_CASE(random_batches_translate_each_granule),
	KUNIT_CASE(unpin_of_any_range_unpins_each_page_once),
	{}
};

static struct kunit_suite map_suite = {
	.name = "iommufd_pfn_batch_map",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = map_kunit_cases,
};

kunit_test_suite(map_suite);
