// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of struct pfn_reader. An access has pinned some pages of the memory, a domain maps
 * some, some are both, and some are neither. The PFNs that the reader returns are compared
 * with an array, which is filled by looking up each page in the process or the file.
 */
#include <linux/file.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "memory/pfn_reader.h"
#include "space/iopt_area.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

#define READER_MAX	64
#define READER_IOVA	SZ_1G

/* The users that have a page pinned. */
#define BY_NONE		0
#define BY_ACCESS	1
#define BY_DOMAIN	2
#define BY_BOTH		(BY_ACCESS | BY_DOMAIN)

/**
 * struct reader_run - memory, and the users that have its pages pinned
 * @test: the test
 * @npages: length of the memory in pages
 * @uptr: address of user memory
 * @plain: an IOVA space without a domain, with one area that maps the memory
 * @filled: an IOVA space with a domain, with areas for the pages that a domain maps
 * @kd: the domain
 * @pages: the memory
 * @pfns: by page index: expected PFN
 * @pinned_by: by page index: BY_ACCESS and BY_DOMAIN
 * @single: pin each page by a call of its own, not ranges with equal @pinned_by
 * @merge: walk with &pfn_reader.merge_pinned
 * @npinned: number of pages that are pinned
 */
struct reader_run {
	struct kunit *test;
	unsigned long npages;
	unsigned long uptr;
	struct io_pagetable plain;
	struct io_pagetable filled;
	struct iopt_kunit_domain kd;
	struct iopt_pages *pages;
	unsigned long pfns[READER_MAX];
	u8 pinned_by[READER_MAX];
	bool single;
	bool merge;
	unsigned long npinned;
};

static struct reader_run *reader_alloc(struct kunit *test, unsigned long npages)
{
	struct reader_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	run->npages = npages;
	iopt_init_table(&run->plain);
	iopt_init_table(&run->filled);
	iopt_kunit_domain_init(test, &run->kd, SZ_4K, READER_IOVA,
			       npages * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->filled, &run->kd.domain));
	return run;
}

static void reader_set_pages(struct reader_run *run, int rc)
{
	struct iopt_area *area;

	KUNIT_ASSERT_EQ(run->test, 0, rc);
	down_read(&run->plain.iova_rwsem);
	area = iopt_area_first(&run->plain, READER_IOVA, READER_IOVA);
	up_read(&run->plain.iova_rwsem);
	KUNIT_ASSERT_NOT_NULL(run->test, area);
	run->pages = area->pages;
}

static void reader_map_user(struct reader_run *run, int prot)
{
	struct iopt_map map = {
		.iova = READER_IOVA,
		.length = run->npages * PAGE_SIZE,
		.prot = prot,
	};

	run->uptr = iopt_kunit_mmap(run->test, run->npages);
	for (unsigned long i = 0; i < run->npages; i++)
		run->pfns[i] = iopt_kunit_pfn(run->test,
					      run->uptr + i * PAGE_SIZE);
	reader_set_pages(run, iopt_map_user_pages(&run->plain, &map,
						  (void __user *)run->uptr));
}

/* Map a file from its third page to its end. */
static void reader_map_file(struct reader_run *run)
{
	struct iopt_map map = {
		.iova = READER_IOVA,
		.length = run->npages * PAGE_SIZE,
		.prot = IOMMU_READ | IOMMU_WRITE,
	};
	struct file *file;

	file = shmem_file_setup("iommufd-kunit", (run->npages + 2) * PAGE_SIZE,
				VM_NORESERVE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(run->test, file);
	for (unsigned long i = 0; i < run->npages; i++) {
		struct page *page;

		page = shmem_read_mapping_page(file->f_mapping, i + 2);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(run->test, page);
		run->pfns[i] = page_to_pfn(page);
		put_page(page);
	}
	reader_set_pages(run, iopt_map_file_pages(&run->plain, &map, file,
						  2 * PAGE_SIZE));
	fput(file);
}

static void reader_free(struct reader_run *run)
{
	KUNIT_EXPECT_EQ(run->test, 0, iopt_unmap_all(&run->plain, NULL));
	iopt_table_remove_domain(&run->filled, &run->kd.domain);
	KUNIT_EXPECT_EQ(run->test, run->kd.misuses, 0);
	iopt_destroy_table(&run->plain);
	iopt_destroy_table(&run->filled);
}

/* Return the last page of the range from @index on that is pinned by one call. */
static unsigned long reader_group_end(struct reader_run *run,
				      unsigned long index)
{
	unsigned long end = index;

	while (!run->single && end + 1 < run->npages &&
	       run->pinned_by[end + 1] == run->pinned_by[index])
		end++;
	return end;
}

static void reader_set_group_pinned(struct reader_run *run, unsigned long index,
				    unsigned long last, bool pin)
{
	unsigned long length = (last - index + 1) * PAGE_SIZE;
	struct page *out[READER_MAX];
	struct iopt_map map = {
		.iova = READER_IOVA + index * PAGE_SIZE,
		.length = length,
		.prot = IOMMU_READ,
	};
	int rc = 0;

	if (run->pinned_by[index] & BY_DOMAIN)
		rc = pin ? iopt_copy_iova(&run->filled, &map, &run->plain,
					  map.iova) :
			    iopt_unmap_iova(&run->filled, map.iova, length, NULL);
	KUNIT_ASSERT_EQ(run->test, rc, 0);
	if (!(run->pinned_by[index] & BY_ACCESS))
		return;
	if (pin)
		rc = iopt_pin_pages(&run->plain, NULL, map.iova, length, out, 0);
	else
		iopt_unpin_pages(&run->plain, NULL, map.iova, length);
	KUNIT_ASSERT_EQ(run->test, rc, 0);
	for (unsigned long i = index; pin && i <= last; i++)
		KUNIT_EXPECT_EQ(run->test, page_to_pfn(out[i - index]),
				run->pfns[i]);
}

/* Pin all pages as &reader_run.pinned_by requires, or unpin them. */
static void reader_set_pinned(struct reader_run *run, bool pin)
{
	unsigned long end;

	run->npinned = 0;
	for (unsigned long i = 0; i < run->npages; i = end + 1) {
		end = reader_group_end(run, i);
		reader_set_group_pinned(run, i, end, pin);
		if (pin && run->pinned_by[i])
			run->npinned += end - i + 1;
	}
}

static enum iopt_tier reader_tier(struct reader_run *run, unsigned long index)
{
	if (run->pinned_by[index] & BY_ACCESS)
		return IOPT_TIER_XARRAY;
	return run->pinned_by[index] ? IOPT_TIER_DOMAIN : IOPT_TIER_ORIGIN;
}

/* Return the number of batches of a walk whose batches have enough room. */
static unsigned int reader_batches(struct reader_run *run, unsigned long index,
				   unsigned long last)
{
	unsigned int n = 1;

	for (; index < last; index++) {
		u8 by = run->pinned_by[index], next = run->pinned_by[index + 1];

		if (run->merge)
			n += !by != !next;
		else
			n += by != next || (run->single && by);
	}
	return n;
}

/**
 * struct reader_walk - state of a walk
 * @run: the memory
 * @reader: the reader
 * @next: the next page index to be read
 * @kept: number of pages whose pins were kept
 * @batches: number of batches that were read
 */
struct reader_walk {
	struct reader_run *run;
	struct pfn_reader reader;
	unsigned long next;
	unsigned long kept;
	unsigned int batches;
};

static void reader_check_pins(struct reader_run *run, unsigned long more)
{
	iopt_kunit_expect_pins(run->test, run->npinned + more);
	KUNIT_EXPECT_EQ(run->test, run->pages->npinned, run->npinned + more);
}

/* Check PFNs and tier of a batch; the reader has pinned the pages of an origin only. */
static void reader_check_batch(struct reader_walk *walk)
{
	struct pfn_batch *batch = &walk->reader.batch;
	struct reader_run *run = walk->run;
	bool owned = walk->reader.tier == IOPT_TIER_ORIGIN;

	KUNIT_EXPECT_EQ(run->test, walk->reader.index, walk->next);
	KUNIT_ASSERT_NE(run->test, batch->npages, 0);
	KUNIT_ASSERT_LE(run->test, walk->next + batch->npages,
			walk->reader.last + 1);
	for (unsigned int i = 0; i < batch->nr; i++) {
		for (unsigned long n = 0; n < batch->runs[i].npages; n++) {
			enum iopt_tier tier = reader_tier(run, walk->next);

			KUNIT_EXPECT_EQ(run->test, owned, tier == IOPT_TIER_ORIGIN);
			if (!run->merge)
				KUNIT_EXPECT_EQ(run->test, walk->reader.tier, tier);
			KUNIT_EXPECT_EQ(run->test, batch->runs[i].pfn + n,
					run->pfns[walk->next++]);
		}
	}
	KUNIT_EXPECT_EQ(run->test, walk->reader.owns_pins, owned);
	reader_check_pins(run, walk->kept + (owned ? batch->npages : 0));
	walk->batches++;
}

static void reader_unpin_kept(struct reader_walk *walk, unsigned long index)
{
	struct pfn_batch batch;

	pfn_batch_init(&batch, READER_MAX);
	for (; index < walk->next; index++) {
		if (reader_tier(walk->run, index) != IOPT_TIER_ORIGIN)
			continue;
		pfn_batch_clear(&batch);
		pfn_batch_add(&batch, walk->run->pfns[index], 1);
		pfn_batch_unpin(&batch, walk->run->pages, 0, 1);
	}
	pfn_batch_destroy(&batch);
}

/*
 * Read at most @max batches from @index to @last. With @keep, keep the pins of the batches
 * until the end of the walk. Return the result of the last pfn_reader_next().
 */
static int reader_walk(struct reader_run *run, unsigned long index,
		       unsigned long last, unsigned int max, bool keep,
		       struct reader_walk *walk)
{
	int rc = 0;

	walk->run = run;
	walk->next = index;
	walk->kept = 0;
	walk->batches = 0;
	mutex_lock(&run->pages->mutex);
	pfn_reader_init(&walk->reader, run->pages, index, last);
	walk->reader.merge_pinned = run->merge;
	while (walk->batches < max && (rc = pfn_reader_next(&walk->reader)) > 0) {
		reader_check_batch(walk);
		if (keep && walk->reader.owns_pins) {
			pfn_reader_keep_pins(&walk->reader);
			walk->kept += walk->reader.batch.npages;
		}
	}
	/* After an error, and at the end, reader.index is the next page index. */
	if (rc <= 0) {
		KUNIT_EXPECT_EQ(run->test, walk->reader.index, walk->next);
		reader_check_pins(run, walk->kept);
	}
	pfn_reader_destroy(&walk->reader);
	reader_check_pins(run, walk->kept);
	if (keep)
		reader_unpin_kept(walk, index);
	reader_check_pins(run, 0);
	mutex_unlock(&run->pages->mutex);
	return rc;
}

/* Walk from @index to @last, and expect success. */
static void reader_walk_all(struct reader_run *run, unsigned long index,
			    unsigned long last, bool keep)
{
	struct reader_walk walk;

	KUNIT_EXPECT_EQ(run->test, 0,
			reader_walk(run, index, last, UINT_MAX, keep, &walk));
	KUNIT_EXPECT_EQ(run->test, walk.next, last + 1);
	if (iopt_test_memory_limit == SZ_64K)
		KUNIT_EXPECT_EQ(run->test, walk.batches,
				reader_batches(run, index, last));
}

static const size_t reader_limits[] = { 1, 16, 32, 48, 100, SZ_64K };

#define READER_PAGES	4

/*
 * Every combination of users of READER_PAGES pages, every range of them, and batches with
 * and without enough room.
 */
static void reader_test_tiers(struct kunit *test, bool file)
{
	struct reader_run *run = reader_alloc(test, READER_PAGES);
	struct reader_walk walk;

	if (file)
		reader_map_file(run);
	else
		reader_map_user(run, IOMMU_READ | IOMMU_WRITE);
	for (unsigned int turn = 0; turn < 2 << 2 * READER_PAGES; turn++) {
		run->single = turn & 1;
		for (unsigned int i = 0; i < READER_PAGES; i++)
			run->pinned_by[i] = turn >> (1 + 2 * i) & BY_BOTH;
		iopt_test_memory_limit = SZ_64K;
		reader_set_pinned(run, true);
		for (unsigned int i = 0; i < READER_PAGES; i++) {
			for (unsigned int j = i; j < READER_PAGES; j++) {
				iopt_test_memory_limit = 16 + turn % 4 * 8;
				reader_walk_all(run, i, j, turn & 2);
				run->merge = !run->merge;
				reader_walk_all(run, i, j, turn & 2);
				iopt_test_memory_limit = SZ_64K;
				reader_walk_all(run, i, j, turn & 2);
				run->merge = !run->merge;
				reader_walk_all(run, i, j, !(turn & 2));
			}
		}
		/* A walk that is stopped early leaves no page pinned. */
		for (unsigned int max = 0; max < READER_PAGES; max++)
			reader_walk(run, 0, READER_PAGES - 1, max, turn & 2,
				    &walk);
		reader_set_pinned(run, false);
	}
	reader_free(run);
}

static void reader_of_user_memory_matches_array(struct kunit *test)
{
	reader_test_tiers(test, false);
}

static void reader_of_file_matches_array(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_SHMEM) || !IS_ENABLED(CONFIG_MEMFD_CREATE))
		kunit_skip(test, "no shmem or no memfd");
	reader_test_tiers(test, true);
}

/* Longer ranges of pages with the same users, and longer walks. */
static void reader_of_random_pins_matches_array(struct kunit *test)
{
	struct reader_run *run = reader_alloc(test, READER_MAX);
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 9);
	reader_map_user(run, IOMMU_READ | IOMMU_WRITE);
	for (unsigned int turn = 0; turn < 60; turn++) {
		u8 pinned_by = BY_NONE;

		for (unsigned int i = 0; i < READER_MAX; i++) {
			if (!iopt_kunit_below(&rnd, 6))
				pinned_by = iopt_kunit_below(&rnd, 4);
			run->pinned_by[i] = pinned_by;
		}
		run->single = !iopt_kunit_below(&rnd, 4);
		run->merge = iopt_kunit_below(&rnd, 2);
		reader_set_pinned(run, true);
		for (unsigned int n = 0; n < 30; n++) {
			unsigned long index = iopt_kunit_below(&rnd, READER_MAX);
			unsigned long last = index +
				iopt_kunit_below(&rnd, READER_MAX - index);

			iopt_test_memory_limit =
				reader_limits[n % ARRAY_SIZE(reader_limits)];
			reader_walk_all(run, index, last, n & 1);
		}
		reader_set_pinned(run, false);
		iopt_test_memory_limit = SZ_64K;
	}
	reader_free(run);
}

static struct kunit_case reader_cases[] = {
	KUNIT_CASE(reader_of_user_memory_matches_array),
	KUNIT_CASE(reader_of_file_matches_array),
	KUNIT_CASE(reader_of_random_pins_matches_array),
	{}
};

static struct kunit_suite reader_suite = {
	.name = "iommufd_pfn_reader",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = reader_cases,
};

kunit_test_suite(reader_suite);
