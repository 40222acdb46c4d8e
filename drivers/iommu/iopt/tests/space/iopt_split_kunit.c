// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of iopt_split_areas(): a split does not change the memory that an IOVA is mapped
 * to, and each part can be unmapped without the others.
 */
#include <linux/iommufd.h>
#include <linux/rwsem.h>

#include "iopt.h"
#include "space/iopt_area.h"
#include "tests/iopt_kunit.h"

#define P		PAGE_SIZE
#define RW		(IOMMU_READ | IOMMU_WRITE)

/* The tests use SPLIT_UNITS units of SPLIT_UNIT bytes of IOVA, from a base on. */
#define SPLIT_UNIT	(PAGE_SIZE / 8)
#define SPLIT_PAGES	40
#define SPLIT_UNITS	(SPLIT_PAGES * 8)
/* Maximum number of areas that a test begins with. */
#define SPLIT_MAPS	4

/**
 * struct split_map - an area to map
 * @iova: first IOVA, relative to the base; a multiple of SPLIT_UNIT
 * @length: length in bytes, a multiple of SPLIT_UNIT; 0 for none
 */
struct split_map {
	unsigned long iova;
	unsigned long length;
};

/**
 * struct split_unit - expected state of a unit
 * @pages: the memory that is mapped there, or NULL
 * @start_byte: offset in @pages, in bytes
 * @ends: an area ends with this unit
 */
struct split_unit {
	struct iopt_pages *pages;
	unsigned long start_byte;
	bool ends;
};

/**
 * struct split_run - an IOVA space and its expected state
 * @test: the test
 * @base: first IOVA
 * @rnd: state of the random numbers
 * @iopt: the IOVA space
 * @kd: the domain, if split_add_domain() was called
 * @uptr: address of the memory of all areas
 * @units: by unit: the expected state
 */
struct split_run {
	struct kunit *test;
	unsigned long base;
	struct rnd_state rnd;
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd;
	unsigned long uptr;
	struct split_unit units[SPLIT_UNITS];
};

static struct split_run *split_alloc(struct kunit *test, unsigned long base)
{
	struct split_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	run->base = base;
	prandom_seed_state(&run->rnd, 5);
	iopt_init_table(&run->iopt);
	run->uptr = iopt_kunit_mmap(test, SPLIT_PAGES);
	return run;
}

static void split_add_domain(struct split_run *run, unsigned long pgsizes)
{
	iopt_kunit_domain_init(run->test, &run->kd, pgsizes, run->base,
			       SPLIT_PAGES * P);
	KUNIT_ASSERT_EQ(run->test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd.domain));
}

static struct iopt_area *split_find_area(struct split_run *run, unsigned int unit)
{
	unsigned long iova = run->base + unit * SPLIT_UNIT;
	struct iopt_area *area;

	down_read(&run->iopt.iova_rwsem);
	area = iopt_area_first(&run->iopt, iova, iova);
	up_read(&run->iopt.iova_rwsem);
	return area;
}

/* Map each area to the memory at the offset of its IOVA from the base. */
static void split_map(struct split_run *run, const struct split_map *maps)
{
	for (unsigned int i = 0; i < SPLIT_MAPS && maps[i].length; i++) {
		unsigned int first = maps[i].iova / SPLIT_UNIT;
		unsigned int n = maps[i].length / SPLIT_UNIT;
		struct iopt_area *area;

		KUNIT_ASSERT_EQ(run->test, 0,
				iopt_kunit_map(&run->iopt,
					       run->base + maps[i].iova,
					       run->uptr + maps[i].iova,
					       maps[i].length,
					       IOPT_PAGES_ACCOUNT_NONE));
		area = split_find_area(run, first);
		KUNIT_ASSERT_NOT_NULL(run->test, area);
		for (unsigned int u = first; u < first + n; u++) {
			run->units[u].pages = area->pages;
			run->units[u].start_byte = maps[i].iova % P +
						   (u - first) * SPLIT_UNIT;
		}
		run->units[first + n - 1].ends = true;
	}
}

/* Set the expected state after a split at the end of a unit. */
static void split_mark(struct split_run *run, unsigned int unit)
{
	if (run->units[unit].pages)
		run->units[unit].ends = true;
}

static int split_at(struct split_run *run, unsigned int unit)
{
	unsigned long iova = run->base + (unit + 1) * SPLIT_UNIT - 1;

	return iopt_split_areas(&run->iopt, &iova, 1);
}

/* Count the areas that have a reference on the pages of a unit. */
static unsigned int split_count_areas(struct split_run *run, unsigned int unit)
{
	unsigned int n = 0;

	for (unsigned int u = 0; u < SPLIT_UNITS; u++)
		n += run->units[u].pages == run->units[unit].pages &&
		     run->units[u].ends;
	return n;
}

static unsigned int split_first_unit(struct split_run *run, unsigned int unit)
{
	while (unit && run->units[unit - 1].pages && !run->units[unit - 1].ends)
		unit--;
	return unit;
}

/* Compare the area of a unit with the expected state. */
static void split_check_unit(struct split_run *run, unsigned int unit)
{
	unsigned long iova = run->base + unit * SPLIT_UNIT;
	struct iopt_area *area = split_find_area(run, unit);
	unsigned int end = unit;

	if (!run->units[unit].pages) {
		KUNIT_EXPECT_PTR_EQ(run->test, area, NULL);
		return;
	}
	KUNIT_ASSERT_NOT_NULL(run->test, area);
	while (!run->units[end].ends)
		end++;
	KUNIT_EXPECT_EQ(run->test, iopt_area_iova(area),
			run->base + split_first_unit(run, unit) * SPLIT_UNIT);
	KUNIT_EXPECT_EQ(run->test, iopt_area_last_iova(area),
			run->base + (end + 1) * SPLIT_UNIT - 1);
	KUNIT_EXPECT_PTR_EQ(run->test, area->pages, run->units[unit].pages);
	KUNIT_EXPECT_PTR_EQ(run->test, area->iopt, &run->iopt);
	KUNIT_EXPECT_EQ(run->test, area->prot, RW);
	KUNIT_EXPECT_EQ(run->test, iopt_area_start_byte(area, iova),
			run->units[unit].start_byte);
	KUNIT_EXPECT_EQ(run->test, area->page_offset,
			run->units[split_first_unit(run, unit)].start_byte % P);
	KUNIT_EXPECT_EQ(run->test, iopt_area_last_index(area),
			run->units[end].start_byte / P);
	if (run->units[unit].ends)
		KUNIT_EXPECT_EQ(run->test, kref_read(&area->pages->kref),
				split_count_areas(run, unit));
}

/* Compare the translation and the storage domain of a unit with the expected state. */
static void split_check_domain(struct split_run *run, unsigned int unit)
{
	unsigned long iova = run->base + unit * SPLIT_UNIT, index, last;
	struct iopt_area *area = split_find_area(run, unit), *found = NULL;
	unsigned long phys;

	phys = iommu_iova_to_phys(&run->kd.domain, iova);
	if (!area) {
		KUNIT_EXPECT_EQ(run->test, phys, 0);
		return;
	}
	KUNIT_EXPECT_EQ(run->test, phys,
			PFN_PHYS(iopt_kunit_pfn(run->test,
						run->uptr + unit * SPLIT_UNIT)) +
			unit * SPLIT_UNIT % P);
	KUNIT_EXPECT_PTR_EQ(run->test, area->storage_domain, &run->kd.domain);

	/* Bug: the tree still had an area that had been split. */
	index = iopt_area_iova_to_index(area, iova);
	last = index;
	mutex_lock(&area->pages->mutex);
	KUNIT_EXPECT_EQ(run->test,
			iopt_pages_tier(area->pages, index, &last, &found),
			IOPT_TIER_DOMAIN);
	mutex_unlock(&area->pages->mutex);
	KUNIT_EXPECT_PTR_EQ(run->test, found, area);
}

static void split_check(struct split_run *run)
{
	unsigned long pages = 0;

	for (unsigned int u = 0; u < SPLIT_UNITS; u++) {
		split_check_unit(run, u);
		if (run->kd.nr && u % (P / SPLIT_UNIT) == 0) {
			split_check_domain(run, u);
			pages += !!run->units[u].pages;
		}
	}
	iopt_kunit_expect_pins(run->test, pages);
	KUNIT_EXPECT_EQ(run->test, run->kd.misuses, 0);
}

static void split_destroy(struct split_run *run)
{
	KUNIT_EXPECT_EQ(run->test, 0, iopt_unmap_all(&run->iopt, NULL));
	iopt_kunit_domain_check(run->test, &run->kd, 0);
	if (run->kd.nr)
		iopt_table_remove_domain(&run->iopt, &run->kd.domain);
	iopt_destroy_table(&run->iopt);
}

static const struct split_map split_random_maps[SPLIT_MAPS] = {
	{ SPLIT_UNIT, 9 * P + 3 * SPLIT_UNIT },
	{ 12 * P, 8 * P },
	{ 20 * P, P },
	{ 22 * P + 5 * SPLIT_UNIT, 18 * P - 5 * SPLIT_UNIT },
};

/* Without a domain, an area can be split at any byte; a split of no area succeeds. */
static void split_at_any_byte_keeps_translation(struct kunit *test)
{
	static const unsigned long bases[] = { 0, 1UL << 40, 0UL - SPLIT_PAGES * P };

	for (unsigned int i = 0; i < ARRAY_SIZE(bases); i++) {
		struct split_run *run = split_alloc(test, bases[i]);

		split_map(run, split_random_maps);
		split_check(run);
		for (unsigned int turn = 0; turn < 60; turn++) {
			unsigned int unit = iopt_kunit_below(&run->rnd, SPLIT_UNITS);

			KUNIT_EXPECT_EQ(test, 0, split_at(run, unit));
			split_mark(run, unit);
			split_check(run);
		}
		KUNIT_EXPECT_EQ(test, 0, split_at(run, SPLIT_UNITS - 1));
		split_check(run);
		split_destroy(run);
	}
}

/* Unmap the area of a unit. */
static void split_unmap(struct split_run *run, unsigned int unit)
{
	unsigned long length, unmapped;
	unsigned int first, n = 0;

	if (!run->units[unit].pages)
		return;
	first = split_first_unit(run, unit);
	while (!run->units[first + n++].ends)
		;
	length = n * SPLIT_UNIT;
	KUNIT_EXPECT_EQ(run->test, 0,
			iopt_unmap_iova(&run->iopt, run->base + first * SPLIT_UNIT,
					length, &unmapped));
	KUNIT_EXPECT_EQ(run->test, unmapped, length);
	memset(run->units + first, 0, n * sizeof(*run->units));
}

/* In a domain, split at the ends of pages, and unmap the parts in random order. */
static void unmap_of_split_part_in_domain_keeps_other_parts(struct kunit *test)
{
	static const struct split_map maps[SPLIT_MAPS] = {
		{ 0, 10 * P }, { 10 * P, 8 * P }, { 20 * P, 20 * P },
	};
	static const unsigned long pgsizes[] = { SZ_4K | SZ_2M, SZ_2K | SZ_1M };

	for (unsigned int i = 0; i < ARRAY_SIZE(pgsizes); i++) {
		unsigned long base = i ? SZ_1G : 0UL - SPLIT_PAGES * P;
		struct split_run *run = split_alloc(test, base);

		KUNIT_EXPECT_EQ(test, 0, iopt_disable_large_pages(&run->iopt));
		split_add_domain(run, pgsizes[i]);
		split_map(run, maps);
		split_check(run);
		for (unsigned int turn = 0; turn < 40; turn++) {
			unsigned int page = iopt_kunit_below(&run->rnd, SPLIT_PAGES);
			unsigned int unit = (page + 1) * (P / SPLIT_UNIT) - 1;

			if (turn % 3 == 2) {
				split_unmap(run, unit);
			} else {
				KUNIT_EXPECT_EQ(test, 0, split_at(run, unit));
				split_mark(run, unit);
			}
			split_check(run);
		}
		split_destroy(run);
	}
}

/*
 * After a split within a page, both areas have a part of the page. A domain with leaves of
 * 2 KiB maps both, and the page stays pinned until both areas are unmapped.
 */
static void split_within_page_keeps_page_pinned_for_both(struct kunit *test)
{
	static const struct split_map maps[SPLIT_MAPS] = { { P, 3 * P } };
	struct split_run *run = split_alloc(test, SZ_1G);
	unsigned int unit = 2 * 8 + 3;

	split_map(run, maps);
	KUNIT_EXPECT_EQ(test, 0, split_at(run, unit));
	split_mark(run, unit);
	split_add_domain(run, SZ_2K);
	iopt_kunit_expect_pins(test, 3);
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(&run->kd), 6);
	split_unmap(run, unit);
	iopt_kunit_expect_pins(test, 2);
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(&run->kd), 3);
	split_unmap(run, unit + 1);
	iopt_kunit_expect_pins(test, 0);
	split_destroy(run);
}

/* The state of an area or of the IOVA space that may prevent a split. */
enum split_obstacle {
	SPLIT_NOTHING,
	SPLIT_UNPUBLISHED,
	SPLIT_PREVENT_ACCESS,
	SPLIT_PINNED,
	SPLIT_PINNED_ELSEWHERE,
	SPLIT_DOMAIN,
	SPLIT_SMALL_DOMAIN,
	SPLIT_ALIGNED,
};

/**
 * struct split_refusal - two splits of areas of pages 0 to 7 and 8 to 11
 * @name: name of the test parameter
 * @obstacle: the state that may prevent a split
 * @iovas: the last IOVAs in front of the splits, relative to the base
 * @rc: expected result
 * @done: expected number of splits
 */
struct split_refusal {
	const char *name;
	enum split_obstacle obstacle;
	unsigned long iovas[2];
	int rc;
	unsigned int done;
};

static const struct split_refusal split_refusals[] = {
	{ "no obstacle", SPLIT_NOTHING, { 3 * P - 1, 10 * P - 1 }, 0, 2 },
	{ "one IOVA twice", SPLIT_NOTHING, { 3 * P - 1, 3 * P - 1 }, 0, 1 },
	{ "one area twice", SPLIT_NOTHING, { 3 * P - 1, 2 * P - 1 }, 0, 2 },
	{ "ends of areas", SPLIT_NOTHING, { 8 * P - 1, 12 * P - 1 }, 0, 0 },
	{ "hole", SPLIT_NOTHING, { 30 * P - 1, 10 * P - 1 }, 0, 1 },
	{ "unpublished", SPLIT_UNPUBLISHED, { 3 * P - 1, 10 * P - 1 }, -EBUSY, 0 },
	{ "unpublished, at its end", SPLIT_UNPUBLISHED, { 8 * P - 1, 10 * P - 1 }, 0, 1 },
	{ "being unmapped", SPLIT_PREVENT_ACCESS, { 3 * P - 1, 10 * P - 1 }, -EBUSY, 0 },
	{ "pinned", SPLIT_PINNED, { 3 * P - 1, 10 * P - 1 }, -EINVAL, 0 },
	{ "pinned, second", SPLIT_PINNED, { 10 * P - 1, 3 * P - 1 }, -EINVAL, 1 },
	{ "pinned elsewhere", SPLIT_PINNED_ELSEWHERE,
	  { 3 * P - 1, 5 * P - 1 }, 0, 2 },
	{ "large pages", SPLIT_DOMAIN, { 3 * P - 1, 10 * P - 1 }, -EINVAL, 0 },
	{ "small pages", SPLIT_SMALL_DOMAIN, { 3 * P - 1, 10 * P - 1 }, 0, 2 },
	{ "within a small page", SPLIT_SMALL_DOMAIN,
	  { 3 * P - 1, 10 * P - SPLIT_UNIT - 1 }, -EINVAL, 1 },
	{ "aligned", SPLIT_ALIGNED, { 3 * P + 2047, 10 * P - 1 }, 0, 2 },
	{ "not aligned", SPLIT_ALIGNED, { 3 * P + 1023, 10 * P - 1 }, -EINVAL, 0 },
};

KUNIT_ARRAY_PARAM_DESC(split_refusal, split_refusals, name);

static void split_set_obstacle(struct split_run *run, enum split_obstacle obstacle,
			       bool block)
{
	unsigned long pinned = obstacle == SPLIT_PINNED ? 0 : 8 * P;
	struct iopt_area *area = split_find_area(run, 0);
	struct page *page;

	switch (obstacle) {
	case SPLIT_UNPUBLISHED:
		area->pages = block ? NULL : run->units[0].pages;
		break;
	case SPLIT_PREVENT_ACCESS:
		area->prevent_access = block;
		break;
	case SPLIT_PINNED:
	case SPLIT_PINNED_ELSEWHERE:
		if (block)
			KUNIT_EXPECT_EQ(run->test, 0,
					iopt_pin_pages(&run->iopt, NULL,
						       run->base + pinned, P,
						       &page, 0));
		else
			iopt_unpin_pages(&run->iopt, NULL, run->base + pinned, P);
		break;
	default:
		break;
	}
}

static void split_stops_at_obstacle(struct kunit *test)
{
	static const struct split_map maps[SPLIT_MAPS] = {
		{ 0, 8 * P }, { 8 * P, 4 * P },
	};
	const struct split_refusal *c = test->param_value;
	struct split_run *run = split_alloc(test, SZ_1G);
	unsigned long iovas[2];

	if (c->obstacle == SPLIT_SMALL_DOMAIN)
		KUNIT_EXPECT_EQ(test, 0, iopt_disable_large_pages(&run->iopt));
	if (c->obstacle == SPLIT_DOMAIN || c->obstacle == SPLIT_SMALL_DOMAIN)
		split_add_domain(run, SZ_4K);
	if (c->obstacle == SPLIT_ALIGNED)
		run->iopt.iova_alignment = 2048;
	split_map(run, maps);
	split_set_obstacle(run, c->obstacle, true);
	for (unsigned int i = 0; i < 2; i++)
		iovas[i] = run->base + c->iovas[i];
	KUNIT_EXPECT_EQ(test, c->rc, iopt_split_areas(&run->iopt, iovas, 2));
	split_set_obstacle(run, c->obstacle, false);

	/* Splits in front of the error are not undone. */
	for (unsigned int i = 0, done = 0; i < 2 && done < c->done; i++) {
		unsigned int unit = c->iovas[i] / SPLIT_UNIT;

		if (!run->units[unit].pages || run->units[unit].ends)
			continue;
		split_mark(run, unit);
		done++;
	}
	split_check(run);
	split_destroy(run);
}

static struct kunit_case split_cases[] = {
	KUNIT_CASE(split_at_any_byte_keeps_translation),
	KUNIT_CASE(unmap_of_split_part_in_domain_keeps_other_parts),
	KUNIT_CASE(split_within_page_keeps_page_pinned_for_both),
	KUNIT_CASE_PARAM(split_stops_at_obstacle, split_refusal_gen_params),
	{}
};

static struct kunit_suite split_suite = {
	.name = "iommufd_iopt_split",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = split_cases,
};

kunit_test_suite(split_suite);
