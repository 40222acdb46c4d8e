// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of reading PFNs back from a domain. The reader looks up one page of a folio and
 * derives the PFNs that follow, unless &iopt_pages.partial_folios is set. The memory of
 * these tests consists of parts of folios in any order; the expected PFNs are in an
 * array.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>

#include "domains/area_fill.h"
#include "iopt.h"
#include "memory/pfn_reader.h"
#include "space/iopt_area.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

#define FOLIOS		7
#define FRAMES		32
#define FRAME_AREAS	4
#define FRAME_PARTS	6

static const unsigned int folio_orders[FOLIOS] = { 3, 3, 2, 2, 1, 0, 0 };

/**
 * struct frames - memory that consists of parts of folios
 * @folios: the folios
 * @pfns: PFNs of the memory by page index
 * @npages: number of @pfns
 * @burst: maximum number of pages that one call of frames_pin() pins
 * @fail: the page index that cannot be pinned
 *
 * A single instance: frames_pin() has no argument to find its test.
 */
static struct frames {
	struct page *folios[FOLIOS];
	unsigned long pfns[FRAMES];
	unsigned long npages;
	unsigned long burst;
	unsigned long fail;
} frames;

/* Pin a page as pin_user_pages_fast() does. */
static void frames_pin_page(unsigned long pfn)
{
	struct folio *folio = page_folio(pfn_to_page(pfn));

	if (folio_test_large(folio)) {
		folio_ref_add(folio, 1);
		atomic_inc(&folio->_pincount);
	} else {
		folio_ref_add(folio, GUP_PIN_COUNTING_BIAS);
	}
	node_stat_mod_folio(folio, NR_FOLL_PIN_ACQUIRED, 1);
}

static long frames_pin(struct iopt_pages *pages, struct pfn_pinner *pinner,
		       struct pfn_batch *batch, unsigned long index,
		       unsigned long npages)
{
	if (index == frames.fail)
		return -EIO;
	npages = min3(npages, frames.burst, frames.fail - index);
	for (unsigned long i = index; i < index + npages; i++) {
		frames_pin_page(frames.pfns[i]);
		pfn_batch_add(batch, frames.pfns[i], 1);
	}
	return npages;
}

static const struct iopt_pages_ops frames_ops = {
	.pin = frames_pin,
};

/* Append pages of a folio to the memory. */
static void frames_add(unsigned int folio, unsigned long first, unsigned long n)
{
	unsigned long pfn = page_to_pfn(frames.folios[folio]) + first;

	for (; n && frames.npages < FRAMES; n--)
		frames.pfns[frames.npages++] = pfn++;
}

/**
 * struct frame_run - areas that map parts of the memory
 * @test: the test
 * @rnd: state of the random numbers
 * @pages: the memory
 * @iopt: the IOVA space
 * @kd: the domain; it has IOVAs for the whole memory for each element of @areas
 * @areas: areas that map a part of the memory each; NULL for none
 */
struct frame_run {
	struct kunit *test;
	struct rnd_state rnd;
	struct iopt_pages *pages;
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd;
	struct iopt_area *areas[FRAME_AREAS];
};

static void frame_start(struct frame_run *run, struct kunit *test)
{
	run->test = test;
	frames.burst = FRAMES;
	frames.fail = FRAMES;
	iopt_init_table(&run->iopt);
	iopt_kunit_domain_init(test, &run->kd,
			       SZ_4K | SZ_8K | SZ_16K | SZ_32K, SZ_1G,
			       FRAME_AREAS * FRAMES * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd.domain));
}

static void frame_end(struct frame_run *run)
{
	iopt_kunit_domain_check(run->test, &run->kd, 0);
	iopt_table_remove_domain(&run->iopt, &run->kd.domain);
	iopt_destroy_table(&run->iopt);
}

static void frame_new_pages(struct frame_run *run)
{
	run->pages = iopt_pages_alloc(&frames_ops, frames.npages, true,
				      IOPT_PAGES_ACCOUNT_NONE);
	KUNIT_ASSERT_NOT_NULL(run->test, run->pages);
}

/* Map pages @index to @last of the memory at the IOVAs of &frame_run.areas[@slot]. */
static int frame_map(struct frame_run *run, unsigned int slot,
		     unsigned long index, unsigned long last)
{
	unsigned long iova = SZ_1G + (slot * FRAMES + index) * PAGE_SIZE;
	struct iopt_area *area = iopt_area_alloc();
	int rc;

	KUNIT_ASSERT_NOT_NULL(run->test, area);
	down_read(&run->iopt.domains_rwsem);
	down_write(&run->iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(run->test, 0,
			iopt_area_insert(area, &run->iopt, iova,
					 index * PAGE_SIZE,
					 (last - index + 1) * PAGE_SIZE,
					 IOMMU_READ | IOMMU_WRITE));
	up_write(&run->iopt.iova_rwsem);
	rc = iopt_area_fill_domains(area, run->pages);
	up_read(&run->iopt.domains_rwsem);
	if (rc)
		iopt_area_remove(area);
	else
		run->areas[slot] = area;
	return rc;
}

static void frame_unmap(struct frame_run *run, unsigned int slot)
{
	if (!run->areas[slot])
		return;
	down_read(&run->iopt.domains_rwsem);
	iopt_area_unfill_domains(run->areas[slot], run->pages);
	up_read(&run->iopt.domains_rwsem);
	iopt_area_remove(run->areas[slot]);
	run->areas[slot] = NULL;
}

/* Read back a range of an area. A batch ends at the end of a run. */
static void frame_read(struct frame_run *run, struct iopt_area *area,
		       unsigned long index, unsigned long last)
{
	unsigned long next = index;
	struct pfn_batch batch;

	pfn_batch_init(&batch, last - index + 1);
	mutex_lock(&run->pages->mutex);
	while (next <= last) {
		pfn_batch_clear(&batch);
		pfn_batch_from_domain(&batch, area, run->pages,
				      &run->kd.domain, next, last);
		KUNIT_ASSERT_NE(run->test, batch.npages, 0);
		KUNIT_ASSERT_LE(run->test, next + batch.npages, last + 1);
		for (unsigned int i = 0; i < batch.nr; i++)
			for (unsigned long n = 0; n < batch.runs[i].npages; n++)
				KUNIT_EXPECT_EQ(run->test, batch.runs[i].pfn + n,
						frames.pfns[next++]);
		if (next <= last)
			KUNIT_EXPECT_NE(run->test, frames.pfns[next - 1] + 1,
					frames.pfns[next]);
	}
	mutex_unlock(&run->pages->mutex);
	pfn_batch_destroy(&batch);
}

/* Check that exactly the pages that areas map are pinned, and are mapped. */
static void frame_check(struct frame_run *run)
{
	unsigned long pinned = 0, mapped = 0;
	bool pinned_by_area[FRAMES] = {};

	for (unsigned int slot = 0; slot < FRAME_AREAS; slot++) {
		struct iopt_area *area = run->areas[slot];

		if (!area)
			continue;
		mapped += iopt_area_length(area) / PAGE_SIZE;
		for (unsigned long i = iopt_area_index(area);
		     i <= iopt_area_last_index(area); i++)
			pinned_by_area[i] = true;
	}
	for (unsigned int i = 0; i < FRAMES; i++)
		pinned += pinned_by_area[i];
	KUNIT_EXPECT_EQ(run->test, run->pages->npinned, pinned);
	iopt_kunit_expect_pins(run->test, pinned);
	KUNIT_EXPECT_EQ(run->test, iopt_kunit_domain_mapped(&run->kd), mapped);
}

static bool frame_is_pinned(struct frame_run *run, unsigned long index)
{
	for (unsigned int slot = 0; slot < FRAME_AREAS; slot++)
		if (run->areas[slot] &&
		    iopt_area_index(run->areas[slot]) <= index &&
		    iopt_area_last_index(run->areas[slot]) >= index)
			return true;
	return false;
}

/* Map a random part of the memory; in some cases pinning or the driver's map fails. */
static void frame_step_map(struct frame_run *run, unsigned int slot)
{
	unsigned long index = iopt_kunit_below(&run->rnd, FRAMES);
	unsigned long last = index + iopt_kunit_below(&run->rnd, FRAMES - index);
	bool fails;
	int rc;

	frames.burst = 1 + iopt_kunit_below(&run->rnd, 10);
	if (!iopt_kunit_below(&run->rnd, 4))
		frames.fail = index + iopt_kunit_below(&run->rnd, last - index + 1);
	fails = frames.fail < FRAMES && !frame_is_pinned(run, frames.fail);
	if (!iopt_kunit_below(&run->rnd, 4))
		run->kd.fail = run->kd.maps + 1 + iopt_kunit_below(&run->rnd, 6);
	rc = frame_map(run, slot, index, last);
	if (run->kd.fail && run->kd.maps >= run->kd.fail)
		KUNIT_EXPECT_EQ(run->test, rc, IOPT_KUNIT_ERRNO);
	else
		KUNIT_EXPECT_EQ(run->test, rc, fails ? -EIO : 0);
	frames.fail = FRAMES;
	run->kd.fail = 0;
}

/* Fill the memory with parts of folios, or with whole folios only. */
static void frames_random(struct frame_run *run, bool whole)
{
	frames.npages = 0;
	while (frames.npages < FRAMES) {
		unsigned int folio = iopt_kunit_below(&run->rnd, FOLIOS);
		unsigned long size = 1UL << folio_orders[folio];
		unsigned long first = 0, n = size;

		if (!whole && iopt_kunit_below(&run->rnd, 2)) {
			first = iopt_kunit_below(&run->rnd, size);
			n = 1 + iopt_kunit_below(&run->rnd, size - first);
		}
		if (!whole || frames.npages + n <= FRAMES)
			frames_add(folio, first, n);
	}
}

/* Map, unmap and read back random parts of the memory. */
static void random_ranges_are_read_back(struct kunit *test)
{
	static const size_t limits[] = { 1, 16, 48, 128, SZ_64K };
	struct frame_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	prandom_seed_state(&run->rnd, 10);
	frame_start(run, test);
	for (unsigned int turn = 0; turn < 150; turn++) {
		frames_random(run, turn % 3 == 0);
		frame_new_pages(run);
		for (unsigned int step = 0; step < 25; step++) {
			unsigned int slot = iopt_kunit_below(&run->rnd, FRAME_AREAS);
			struct iopt_area *area = run->areas[slot];
			unsigned long index, last;

			iopt_test_memory_limit =
				limits[iopt_kunit_below(&run->rnd, ARRAY_SIZE(limits))];
			if (!area) {
				frame_step_map(run, slot);
			} else if (!iopt_kunit_below(&run->rnd, 3)) {
				frame_unmap(run, slot);
			} else {
				last = iopt_area_last_index(area);
				index = iopt_area_index(area);
				index += iopt_kunit_below(&run->rnd, last - index + 1);
				last -= iopt_kunit_below(&run->rnd, last - index + 1);
				frame_read(run, area, index, last);
			}
			frame_check(run);
		}
		for (unsigned int slot = 0; slot < FRAME_AREAS; slot++)
			frame_unmap(run, slot);
		frame_check(run);
		iopt_pages_put(run->pages);
	}
	frame_end(run);
}

/**
 * struct partial_case - memory that consists of given parts of folios
 * @name: name of the test parameter
 * @parts: the parts: index of the folio, its first page, number of pages
 * @index: first page index of the area
 * @last: last page index of the area
 * @partial: expected &iopt_pages.partial_folios
 * @lookups: expected number of calls of iova_to_phys to read the area back
 */
struct partial_case {
	const char *name;
	struct {
		unsigned int folio;
		unsigned long first;
		unsigned long n;
	} parts[FRAME_PARTS];
	unsigned long index;
	unsigned long last;
	bool partial;
	unsigned int lookups;
};

static const struct partial_case partial_cases[] = {
	{ "whole folios", { { 0, 0, 8 }, { 2, 0, 4 }, { 1, 0, 8 } },
	  0, 19, false, 3 },
	{ "small folios", { { 5, 0, 1 }, { 6, 0, 1 } }, 0, 1, false, 2 },
	{ "same folio twice", { { 2, 0, 4 }, { 2, 0, 4 } }, 0, 7, false, 2 },
	{ "end of a folio, at the start", { { 0, 3, 5 }, { 2, 0, 4 } },
	  0, 8, false, 2 },
	{ "start of a folio, at the end", { { 2, 0, 4 }, { 0, 0, 5 } },
	  0, 8, false, 2 },
	{ "parts at both ends", { { 0, 7, 1 }, { 2, 0, 4 }, { 1, 0, 1 } },
	  0, 5, false, 3 },
	{ "middle of a folio", { { 0, 2, 4 } }, 0, 3, false, 1 },
	{ "folio of two parts", { { 0, 0, 3 }, { 0, 3, 5 } }, 0, 7, false, 1 },
	{ "start of a folio, then another", { { 0, 0, 5 }, { 2, 0, 4 } },
	  0, 8, true, 9 },
	{ "end of a folio, after another", { { 2, 0, 4 }, { 0, 3, 5 } },
	  0, 8, true, 9 },
	{ "page twice", { { 0, 0, 1 }, { 0, 0, 1 } }, 0, 1, true, 2 },
	{ "folio of two, backwards", { { 4, 1, 1 }, { 4, 0, 1 } },
	  0, 1, false, 2 },
	{ "folio of four, backwards", { { 2, 2, 2 }, { 2, 1, 1 }, { 2, 0, 1 } },
	  0, 3, true, 4 },
	{ "without the middle", { { 0, 0, 3 }, { 0, 5, 3 } }, 0, 5, true, 6 },
	{ "slice of whole folios", { { 0, 0, 8 }, { 2, 0, 4 }, { 1, 0, 8 } },
	  8, 11, false, 1 },
	{ "slice ends within", { { 0, 0, 8 }, { 2, 0, 4 } }, 0, 5, true, 6 },
	{ "slice begins within", { { 0, 0, 8 }, { 2, 0, 4 } }, 3, 11, true, 9 },
};

KUNIT_ARRAY_PARAM_DESC(partial, partial_cases, name);

/* The results do not depend on the number of pages that are pinned at a time. */
static void partial_folios_are_looked_up_by_page(struct kunit *test)
{
	static const size_t limits[] = { 1, 16, 32, 48, SZ_64K };
	const struct partial_case *c = test->param_value;
	struct frame_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	frame_start(run, test);
	frames.npages = 0;
	for (unsigned int i = 0; i < FRAME_PARTS; i++)
		frames_add(c->parts[i].folio, c->parts[i].first, c->parts[i].n);
	for (unsigned int i = 0; i < ARRAY_SIZE(limits); i++) {
		for (frames.burst = 1; frames.burst < 12; frames.burst += 2) {
			frame_new_pages(run);
			iopt_test_memory_limit = limits[i];
			KUNIT_EXPECT_EQ(test, 0,
					frame_map(run, 0, c->index, c->last));
			KUNIT_EXPECT_EQ(test, run->pages->partial_folios,
					c->partial);
			iopt_test_memory_limit = SZ_64K;
			run->kd.lookups = 0;
			frame_read(run, run->areas[0], c->index, c->last);
			KUNIT_EXPECT_EQ(test, run->kd.lookups, c->lookups);
			frame_unmap(run, 0);
			frame_check(run);
			iopt_pages_put(run->pages);
		}
	}
	frame_end(run);
}

/* An access pins a page in the middle of a folio that an area maps. */
static void mapped_pages_are_not_checked_again(struct kunit *test)
{
	struct frame_run *run = iopt_kunit_vzalloc(test, sizeof(*run));
	struct pfn_reader reader;

	frame_start(run, test);
	frames.npages = 0;
	frames_add(2, 0, 4);
	frames_add(0, 0, 8);
	frame_new_pages(run);
	KUNIT_EXPECT_EQ(test, 0, frame_map(run, 0, 0, 11));
	mutex_lock(&run->pages->mutex);
	for (unsigned long index = 0; index < 12; index++) {
		pfn_reader_init(&reader, run->pages, index, index);
		KUNIT_EXPECT_EQ(test, 1, pfn_reader_next(&reader));
		KUNIT_EXPECT_EQ(test, reader.tier, IOPT_TIER_DOMAIN);
		pfn_reader_destroy(&reader);
	}
	mutex_unlock(&run->pages->mutex);
	KUNIT_EXPECT_FALSE(test, run->pages->partial_folios);
	frame_unmap(run, 0);
	frame_check(run);
	iopt_pages_put(run->pages);
	frame_end(run);
}

/* A fill of pages that two areas map makes one batch of them. */
static void pinned_pages_are_merged(struct kunit *test)
{
	struct frame_run *run = iopt_kunit_vzalloc(test, sizeof(*run));
	struct pfn_reader reader;

	frame_start(run, test);
	frames.npages = 0;
	frames_add(0, 0, 8);
	frames_add(5, 0, 1);
	frame_new_pages(run);
	KUNIT_EXPECT_EQ(test, 0, frame_map(run, 0, 0, 2));
	KUNIT_EXPECT_EQ(test, 0, frame_map(run, 1, 3, 8));
	mutex_lock(&run->pages->mutex);
	pfn_reader_init(&reader, run->pages, 0, 8);
	reader.merge_pinned = true;
	KUNIT_EXPECT_EQ(test, 1, pfn_reader_next(&reader));
	KUNIT_EXPECT_EQ(test, reader.batch.npages, 9);
	KUNIT_EXPECT_EQ(test, reader.batch.runs[0].npages, 8);
	KUNIT_EXPECT_EQ(test, 0, pfn_reader_next(&reader));
	pfn_reader_destroy(&reader);
	mutex_unlock(&run->pages->mutex);
	frame_unmap(run, 0);
	frame_unmap(run, 1);
	frame_check(run);
	iopt_pages_put(run->pages);
	frame_end(run);
}

/* The start of a folio is mapped, and the page behind it is of another folio. */
static void mapped_page_is_checked_against_the_next(struct kunit *test)
{
	struct frame_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	frame_start(run, test);
	frames.npages = 0;
	frames_add(2, 0, 4);
	frames_add(0, 0, 5);
	frames_add(5, 0, 1);
	frame_new_pages(run);
	KUNIT_EXPECT_EQ(test, 0, frame_map(run, 0, 0, 3));
	KUNIT_EXPECT_FALSE(test, run->pages->partial_folios);
	KUNIT_EXPECT_EQ(test, 0, frame_map(run, 1, 9, 9));
	KUNIT_EXPECT_FALSE(test, run->pages->partial_folios);
	/* From the domain, from the origin, and from the domain */
	KUNIT_EXPECT_EQ(test, 0, frame_map(run, 2, 0, 9));
	KUNIT_EXPECT_TRUE(test, run->pages->partial_folios);
	for (unsigned int slot = 0; slot < 3; slot++)
		frame_unmap(run, slot);
	frame_check(run);
	iopt_pages_put(run->pages);
	frame_end(run);
}

static int frame_init(struct kunit *test)
{
	for (unsigned int i = 0; i < FOLIOS; i++) {
		frames.folios[i] = alloc_pages(GFP_KERNEL | __GFP_COMP,
					       folio_orders[i]);
		KUNIT_ASSERT_NOT_NULL(test, frames.folios[i]);
	}
	return iopt_kunit_init(test);
}

static void frame_exit(struct kunit *test)
{
	iopt_kunit_exit(test);
	for (unsigned int i = 0; i < FOLIOS; i++) {
		if (!frames.folios[i])
			continue;
		KUNIT_EXPECT_EQ(test, page_ref_count(frames.folios[i]), 1);
		__free_pages(frames.folios[i], folio_orders[i]);
		frames.folios[i] = NULL;
	}
}

static struct kunit_case frame_cases[] = {
	KUNIT_CASE(random_ranges_are_read_back),
	KUNIT_CASE_PARAM(partial_folios_are_looked_up_by_page, partial_gen_params),
	KUNIT_CASE(mapped_pages_are_not_checked_again),
	KUNIT_CASE(pinned_pages_are_merged),
	KUNIT_CASE(mapped_page_is_checked_against_the_next),
	{}
};

static struct kunit_suite frame_suite = {
	.name = "iommufd_pfn_reader_folio",
	.init = frame_init,
	.exit = frame_exit,
	.test_cases = frame_cases,
};

kunit_test_suite(frame_suite);
