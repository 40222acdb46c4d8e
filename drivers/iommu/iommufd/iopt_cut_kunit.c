// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of areas that are cut: IOVAs lead to the same bytes as before, whatever
 * the areas are, and each part can be unmapped without the others.
 */
#include <linux/iommufd.h>
#include <linux/rwsem.h>

#include "iopt_area.h"
#include "iopt_kunit.h"

#define P		PAGE_SIZE
#define RW		(IOMMU_READ | IOMMU_WRITE)

/* The IOVAs of a test: parts of pages, from its base on. */
#define CUT_UNIT	(PAGE_SIZE / 8)
#define CUT_PAGES	40
#define CUT_UNITS	(CUT_PAGES * 8)
/* Maps that a test begins with, at most. */
#define CUT_MAPS	4

/**
 * struct cut_map - what is mapped
 * @iova: first byte from the base on; at a multiple of a unit
 * @length: bytes, a multiple of a unit; 0 for nothing
 */
struct cut_map {
	unsigned long iova;
	unsigned long length;
};

/**
 * struct cut_byte - what the array knows of a unit
 * @pages: the memory, or NULL
 * @start_byte: where in it
 * @ends: an area ends with this unit
 */
struct cut_byte {
	struct iopt_pages *pages;
	unsigned long start_byte;
	bool ends;
};

/**
 * struct cut_run - a test while it runs
 * @test: the test
 * @base: first IOVA
 * @rnd: chance
 * @iopt: the table
 * @kd: its domain, if it has one
 * @uptr: memory for all maps
 * @units: the array
 */
struct cut_run {
	struct kunit *test;
	unsigned long base;
	struct rnd_state rnd;
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd;
	unsigned long uptr;
	struct cut_byte units[CUT_UNITS];
};

static struct cut_run *cut_alloc(struct kunit *test, unsigned long base)
{
	struct cut_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	run->base = base;
	prandom_seed_state(&run->rnd, 5);
	iopt_init_table(&run->iopt);
	run->uptr = iopt_kunit_mmap(test, CUT_PAGES);
	return run;
}

static void cut_add_domain(struct cut_run *run, unsigned long pgsizes)
{
	iopt_kunit_domain_init(run->test, &run->kd, pgsizes, run->base,
			       CUT_PAGES * P);
	KUNIT_ASSERT_EQ(run->test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd.domain));
}

static struct iopt_area *cut_area(struct cut_run *run, unsigned int unit)
{
	unsigned long iova = run->base + unit * CUT_UNIT;
	struct iopt_area *area;

	down_read(&run->iopt.iova_rwsem);
	area = iopt_area_first(&run->iopt, iova, iova);
	up_read(&run->iopt.iova_rwsem);
	return area;
}

/* Map memory that is as far from the start of its own as the IOVA is. */
static void cut_map(struct cut_run *run, const struct cut_map *maps)
{
	for (unsigned int i = 0; i < CUT_MAPS && maps[i].length; i++) {
		unsigned int first = maps[i].iova / CUT_UNIT;
		unsigned int n = maps[i].length / CUT_UNIT;
		struct iopt_map map = {
			.iova = run->base + maps[i].iova,
			.length = maps[i].length,
			.prot = RW,
		};
		struct iopt_area *area;

		KUNIT_ASSERT_EQ(run->test, 0,
				iopt_map_user_pages(&run->iopt, &map,
						    (void __user *)(run->uptr +
								    maps[i].iova)));
		area = cut_area(run, first);
		KUNIT_ASSERT_NOT_NULL(run->test, area);
		for (unsigned int u = first; u < first + n; u++) {
			run->units[u].pages = area->pages;
			run->units[u].start_byte = maps[i].iova % P +
						   (u - first) * CUT_UNIT;
		}
		run->units[first + n - 1].ends = true;
	}
}

/* What cutting at the last byte of a unit does if nothing is in the way. */
static void cut_note(struct cut_run *run, unsigned int unit)
{
	if (run->units[unit].pages)
		run->units[unit].ends = true;
}

static int cut_at(struct cut_run *run, unsigned int unit)
{
	unsigned long iova = run->base + (unit + 1) * CUT_UNIT - 1;

	return iopt_cut_iova(&run->iopt, &iova, 1);
}

/* How many areas count the pages of a unit. */
static unsigned int cut_count(struct cut_run *run, unsigned int unit)
{
	unsigned int n = 0;

	for (unsigned int u = 0; u < CUT_UNITS; u++)
		n += run->units[u].pages == run->units[unit].pages &&
		     run->units[u].ends;
	return n;
}

static unsigned int cut_first_unit(struct cut_run *run, unsigned int unit)
{
	while (unit && run->units[unit - 1].pages && !run->units[unit - 1].ends)
		unit--;
	return unit;
}

/* Each unit is in the area that the array has it in, at the right place. */
static void cut_check_unit(struct cut_run *run, unsigned int unit)
{
	unsigned long iova = run->base + unit * CUT_UNIT;
	struct iopt_area *area = cut_area(run, unit);
	unsigned int end = unit;

	if (!run->units[unit].pages) {
		KUNIT_EXPECT_PTR_EQ(run->test, area, NULL);
		return;
	}
	KUNIT_ASSERT_NOT_NULL(run->test, area);
	while (!run->units[end].ends)
		end++;
	KUNIT_EXPECT_EQ(run->test, iopt_area_iova(area),
			run->base + cut_first_unit(run, unit) * CUT_UNIT);
	KUNIT_EXPECT_EQ(run->test, iopt_area_last_iova(area),
			run->base + (end + 1) * CUT_UNIT - 1);
	KUNIT_EXPECT_PTR_EQ(run->test, area->pages, run->units[unit].pages);
	KUNIT_EXPECT_PTR_EQ(run->test, area->iopt, &run->iopt);
	KUNIT_EXPECT_EQ(run->test, area->prot, RW);
	KUNIT_EXPECT_EQ(run->test, iopt_area_start_byte(area, iova),
			run->units[unit].start_byte);
	KUNIT_EXPECT_EQ(run->test, area->page_offset,
			run->units[cut_first_unit(run, unit)].start_byte % P);
	KUNIT_EXPECT_EQ(run->test, iopt_area_last_index(area),
			run->units[end].start_byte / P);
	if (run->units[unit].ends)
		KUNIT_EXPECT_EQ(run->test, kref_read(&area->pages->kref),
				cut_count(run, unit));
}

/* What the domain has: what is mapped, from the storage of the right areas. */
static void cut_check_domain(struct cut_run *run, unsigned int unit)
{
	unsigned long iova = run->base + unit * CUT_UNIT, index, last;
	struct iopt_area *area = cut_area(run, unit), *holder = NULL;
	unsigned long phys;

	phys = iommu_iova_to_phys(&run->kd.domain, iova);
	if (!area) {
		KUNIT_EXPECT_EQ(run->test, phys, 0);
		return;
	}
	KUNIT_EXPECT_EQ(run->test, phys,
			PFN_PHYS(iopt_kunit_pfn(run->test,
						run->uptr + unit * CUT_UNIT)) +
			unit * CUT_UNIT % P);
	KUNIT_EXPECT_PTR_EQ(run->test, area->storage_domain, &run->kd.domain);

	/* Bug 18: areas that are no more, in the tree of the pages. */
	index = iopt_area_iova_to_index(area, iova);
	last = index;
	mutex_lock(&area->pages->mutex);
	KUNIT_EXPECT_EQ(run->test,
			iopt_pages_tier(area->pages, index, &last, &holder),
			IOPT_TIER_DOMAIN);
	mutex_unlock(&area->pages->mutex);
	KUNIT_EXPECT_PTR_EQ(run->test, holder, area);
}

static void cut_check(struct cut_run *run)
{
	struct iopt_kunit *ik = run->test->priv;
	unsigned long pages = 0;

	for (unsigned int u = 0; u < CUT_UNITS; u++) {
		cut_check_unit(run, u);
		if (run->kd.nr && u % (P / CUT_UNIT) == 0) {
			cut_check_domain(run, u);
			pages += !!run->units[u].pages;
		}
	}
	KUNIT_EXPECT_EQ(run->test, iopt_kunit_check_pins(ik->pins + pages),
			ik->pins + pages);
	KUNIT_EXPECT_EQ(run->test, run->kd.broken, 0);
}

static void cut_destroy(struct cut_run *run)
{
	KUNIT_EXPECT_EQ(run->test, 0, iopt_unmap_all(&run->iopt, NULL));
	if (run->kd.nr) {
		KUNIT_EXPECT_EQ(run->test, iopt_kunit_domain_mapped(&run->kd), 0);
		iopt_table_remove_domain(&run->iopt, &run->kd.domain);
	}
	KUNIT_EXPECT_EQ(run->test, run->kd.broken, 0);
	iopt_destroy_table(&run->iopt);
}

static const struct cut_map cut_random_maps[CUT_MAPS] = {
	{ CUT_UNIT, 9 * P + 3 * CUT_UNIT },
	{ 12 * P, 8 * P },
	{ 20 * P, P },
	{ 22 * P + 5 * CUT_UNIT, 18 * P - 5 * CUT_UNIT },
};

/* Any cuts, in a table that has no domain: at any place, holes among them. */
static void cut_test_random(struct kunit *test)
{
	static const unsigned long bases[] = { 0, 1UL << 40, 0UL - CUT_PAGES * P };

	for (unsigned int i = 0; i < ARRAY_SIZE(bases); i++) {
		struct cut_run *run = cut_alloc(test, bases[i]);

		cut_map(run, cut_random_maps);
		cut_check(run);
		for (unsigned int turn = 0; turn < 60; turn++) {
			unsigned int unit = iopt_kunit_below(&run->rnd, CUT_UNITS);

			KUNIT_EXPECT_EQ(test, 0, cut_at(run, unit));
			cut_note(run, unit);
			cut_check(run);
		}
		KUNIT_EXPECT_EQ(test, 0, cut_at(run, CUT_UNITS - 1));
		cut_check(run);
		cut_destroy(run);
	}
}

/* Unmap the area of a unit, and nothing else. */
static void cut_unmap(struct cut_run *run, unsigned int unit)
{
	unsigned long length, unmapped;
	unsigned int first, n = 0;

	if (!run->units[unit].pages)
		return;
	first = cut_first_unit(run, unit);
	while (!run->units[first + n++].ends)
		;
	length = n * CUT_UNIT;
	KUNIT_EXPECT_EQ(run->test, 0,
			iopt_unmap_iova(&run->iopt, run->base + first * CUT_UNIT,
					length, &unmapped));
	KUNIT_EXPECT_EQ(run->test, unmapped, length);
	memset(run->units + first, 0, n * sizeof(*run->units));
}

/* In a domain, with cuts between pages, and unmaps of what they make. */
static void cut_test_domain(struct kunit *test)
{
	static const struct cut_map maps[CUT_MAPS] = {
		{ 0, 10 * P }, { 10 * P, 8 * P }, { 20 * P, 20 * P },
	};
	static const unsigned long pgsizes[] = { SZ_4K | SZ_2M, SZ_2K | SZ_1M };

	for (unsigned int i = 0; i < ARRAY_SIZE(pgsizes); i++) {
		struct cut_run *run = cut_alloc(test, i ? SZ_1G : 0UL - CUT_PAGES * P);

		KUNIT_EXPECT_EQ(test, 0, iopt_disable_large_pages(&run->iopt));
		cut_add_domain(run, pgsizes[i]);
		cut_map(run, maps);
		cut_check(run);
		for (unsigned int turn = 0; turn < 40; turn++) {
			unsigned int page = iopt_kunit_below(&run->rnd, CUT_PAGES);
			unsigned int unit = (page + 1) * (P / CUT_UNIT) - 1;

			if (turn % 3 == 2) {
				cut_unmap(run, unit);
			} else {
				KUNIT_EXPECT_EQ(test, 0, cut_at(run, unit));
				cut_note(run, unit);
			}
			cut_check(run);
		}
		cut_destroy(run);
	}
}

/*
 * A cut within a page, which both areas then have a part of. A domain with
 * small enough leaves gets both, and the page is pinned until neither is left.
 */
static void cut_test_within_page(struct kunit *test)
{
	static const struct cut_map maps[CUT_MAPS] = { { P, 3 * P } };
	struct cut_run *run = cut_alloc(test, SZ_1G);
	struct iopt_kunit *ik = test->priv;
	unsigned int unit = 2 * 8 + 3;

	cut_map(run, maps);
	KUNIT_EXPECT_EQ(test, 0, cut_at(run, unit));
	cut_note(run, unit);
	cut_add_domain(run, SZ_2K);
	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(ik->pins + 3),
			ik->pins + 3);
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(&run->kd), 6);
	cut_unmap(run, unit);
	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(ik->pins + 2),
			ik->pins + 2);
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(&run->kd), 3);
	cut_unmap(run, unit + 1);
	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(ik->pins),
			ik->pins);
	cut_destroy(run);
}

/* What may be in the way of a cut. */
enum cut_obstacle {
	CUT_NOTHING,
	CUT_HIDDEN,
	CUT_PREVENTED,
	CUT_PINNED,
	CUT_PINNED_ELSEWHERE,
	CUT_DOMAIN,
	CUT_SMALL_DOMAIN,
	CUT_ALIGNED,
};

/**
 * struct cut_refusal - two cuts, of an area of eight pages and of one behind it
 * @name: of the row
 * @obstacle: what is in the way of both
 * @iovas: last IOVAs, from the base on
 * @rc: what comes of it
 * @done: how many of the cuts are done
 */
struct cut_refusal {
	const char *name;
	enum cut_obstacle obstacle;
	unsigned long iovas[2];
	int rc;
	unsigned int done;
};

static const struct cut_refusal cut_refusals[] = {
	{ "nothing", CUT_NOTHING, { 3 * P - 1, 10 * P - 1 }, 0, 2 },
	{ "the same twice", CUT_NOTHING, { 3 * P - 1, 3 * P - 1 }, 0, 1 },
	{ "the same area twice", CUT_NOTHING, { 3 * P - 1, 2 * P - 1 }, 0, 2 },
	{ "ends of areas", CUT_NOTHING, { 8 * P - 1, 12 * P - 1 }, 0, 0 },
	{ "hole", CUT_NOTHING, { 30 * P - 1, 10 * P - 1 }, 0, 1 },
	{ "hidden", CUT_HIDDEN, { 3 * P - 1, 10 * P - 1 }, -EBUSY, 0 },
	{ "hidden, at its end", CUT_HIDDEN, { 8 * P - 1, 10 * P - 1 }, 0, 1 },
	{ "about to go", CUT_PREVENTED, { 3 * P - 1, 10 * P - 1 }, -EBUSY, 0 },
	{ "pinned", CUT_PINNED, { 3 * P - 1, 10 * P - 1 }, -EINVAL, 0 },
	{ "pinned, second", CUT_PINNED, { 10 * P - 1, 3 * P - 1 }, -EINVAL, 1 },
	{ "pinned elsewhere", CUT_PINNED_ELSEWHERE,
	  { 3 * P - 1, 5 * P - 1 }, 0, 2 },
	{ "large pages", CUT_DOMAIN, { 3 * P - 1, 10 * P - 1 }, -EINVAL, 0 },
	{ "small pages", CUT_SMALL_DOMAIN, { 3 * P - 1, 10 * P - 1 }, 0, 2 },
	{ "within a small page", CUT_SMALL_DOMAIN,
	  { 3 * P - 1, 10 * P - CUT_UNIT - 1 }, -EINVAL, 1 },
	{ "aligned", CUT_ALIGNED, { 3 * P + 2047, 10 * P - 1 }, 0, 2 },
	{ "not aligned", CUT_ALIGNED, { 3 * P + 1023, 10 * P - 1 }, -EINVAL, 0 },
};

KUNIT_ARRAY_PARAM_DESC(cut_refusal, cut_refusals, name);

static void cut_block(struct cut_run *run, enum cut_obstacle obstacle,
		      bool block)
{
	unsigned long pinned = obstacle == CUT_PINNED ? 0 : 8 * P;
	struct iopt_area *area = cut_area(run, 0);
	struct page *page;

	switch (obstacle) {
	case CUT_HIDDEN:
		area->pages = block ? NULL : run->units[0].pages;
		break;
	case CUT_PREVENTED:
		area->prevent_access = block;
		break;
	case CUT_PINNED:
	case CUT_PINNED_ELSEWHERE:
		if (block)
			KUNIT_EXPECT_EQ(run->test, 0,
					iopt_pin_pages(&run->iopt,
						       run->base + pinned, P,
						       &page, 0));
		else
			iopt_unpin_pages(&run->iopt, run->base + pinned, P);
		break;
	default:
		break;
	}
}

static void cut_test_refusal(struct kunit *test)
{
	static const struct cut_map maps[CUT_MAPS] = { { 0, 8 * P }, { 8 * P, 4 * P } };
	const struct cut_refusal *c = test->param_value;
	struct cut_run *run = cut_alloc(test, SZ_1G);
	unsigned long iovas[2];

	if (c->obstacle == CUT_SMALL_DOMAIN)
		KUNIT_EXPECT_EQ(test, 0, iopt_disable_large_pages(&run->iopt));
	if (c->obstacle == CUT_DOMAIN || c->obstacle == CUT_SMALL_DOMAIN)
		cut_add_domain(run, SZ_4K);
	if (c->obstacle == CUT_ALIGNED)
		run->iopt.iova_alignment = 2048;
	cut_map(run, maps);
	cut_block(run, c->obstacle, true);
	for (unsigned int i = 0; i < 2; i++)
		iovas[i] = run->base + c->iovas[i];
	KUNIT_EXPECT_EQ(test, c->rc, iopt_cut_iova(&run->iopt, iovas, 2));
	cut_block(run, c->obstacle, false);

	/* What was cut in front of the error stays cut. */
	for (unsigned int i = 0, done = 0; i < 2 && done < c->done; i++) {
		unsigned int unit = c->iovas[i] / CUT_UNIT;

		if (!run->units[unit].pages || run->units[unit].ends)
			continue;
		cut_note(run, unit);
		done++;
	}
	cut_check(run);
	cut_destroy(run);
}

static struct kunit_case cut_cases[] = {
	KUNIT_CASE(cut_test_random),
	KUNIT_CASE(cut_test_domain),
	KUNIT_CASE(cut_test_within_page),
	KUNIT_CASE_PARAM(cut_test_refusal, cut_refusal_gen_params),
	{}
};

static struct kunit_suite cut_suite = {
	.name = "iommufd_iopt_cut",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = cut_cases,
};

kunit_test_suite(cut_suite);
