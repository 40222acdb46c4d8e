// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of checking, allocating and reserving IOVAs. Arrays record which IOVAs are mapped,
 * reserved and allowed; the expected results come from an exhaustive search in them.
 */
#include <linux/iommu.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "space/iopt_area.h"
#include "space/iova_space.h"
#include "tests/iopt_kunit.h"

#define SPACE_UNITS	192
#define SPACE_AREAS	16
#define SPACE_OWNERS	3
#define SPACE_RANGES	3

/**
 * struct space_case - IOVAs that a test uses
 * @name: name of the test parameter
 * @base: first IOVA
 * @unit: size of a unit in bytes; every range consists of whole units
 */
struct space_case {
	const char *name;
	unsigned long base;
	unsigned long unit;
};

#define SPACE_TOP(unit)	(0UL - SPACE_UNITS * (unit))

static const struct space_case space_cases[] = {
	{ "parts of pages from 0", 0, PAGE_SIZE / 8 },
	{ "parts of pages in the middle", 1UL << 40, PAGE_SIZE / 8 },
	{ "parts of pages at the end", SPACE_TOP(PAGE_SIZE / 8), PAGE_SIZE / 8 },
	{ "pages from 0", 0, PAGE_SIZE },
	{ "pages at the end", SPACE_TOP(PAGE_SIZE), PAGE_SIZE },
	{ "huge pages from 0", 0, PMD_SIZE / 8 },
	{ "huge pages in the middle", 123 * PMD_SIZE / 8, PMD_SIZE / 8 },
	{ "huge pages at the end", SPACE_TOP(PMD_SIZE / 8), PMD_SIZE / 8 },
};

KUNIT_ARRAY_PARAM_DESC(space, space_cases, name);

/**
 * struct space_run - an IOVA space and its expected state
 * @test: the test
 * @c: IOVAs that the test uses
 * @rnd: state of the random numbers
 * @iopt: the IOVA space
 * @pages: the iopt_pages that areas map
 * @areas: the areas; NULL for none
 * @mapped: by unit: an area maps it
 * @reserved: by owner and unit: the owner has reserved it
 * @allowed: by unit: number of the allowed range that covers it, or 0
 * @allowing: at least one range is allowed
 */
struct space_run {
	struct kunit *test;
	const struct space_case *c;
	struct rnd_state rnd;
	struct io_pagetable iopt;
	struct iopt_pages *pages;
	struct iopt_area *areas[SPACE_AREAS];
	u8 mapped[SPACE_UNITS];
	u8 reserved[SPACE_OWNERS][SPACE_UNITS];
	u8 allowed[SPACE_UNITS];
	bool allowing;
};

/* A range of units from @first to @last. */
struct space_range {
	unsigned int first;
	unsigned int last;
};

static unsigned long space_iova(struct space_run *run, unsigned int unit)
{
	return run->c->base + unit * run->c->unit;
}

static unsigned long space_last(struct space_run *run, unsigned int unit)
{
	return space_iova(run, unit) + run->c->unit - 1;
}

static struct space_range space_random(struct space_run *run, unsigned int max)
{
	unsigned int first = iopt_kunit_below(&run->rnd, SPACE_UNITS);
	unsigned int n = iopt_kunit_below(&run->rnd, max);

	return (struct space_range){ first, min(first + n, SPACE_UNITS - 1) };
}

static bool space_any(const u8 *units, struct space_range r)
{
	for (unsigned int i = r.first; i <= r.last; i++)
		if (units[i])
			return true;
	return false;
}

static bool space_reserved(struct space_run *run, struct space_range r)
{
	for (unsigned int owner = 0; owner < SPACE_OWNERS; owner++)
		if (space_any(run->reserved[owner], r))
			return true;
	return false;
}

static void space_map(struct space_run *run, struct space_range r)
{
	unsigned long length = (r.last - r.first + 1) * run->c->unit;
	struct iopt_area *area;
	unsigned int i = 0;

	while (i < SPACE_AREAS && run->areas[i])
		i++;
	if (i == SPACE_AREAS)
		return;
	area = iopt_area_alloc();
	KUNIT_ASSERT_NOT_NULL(run->test, area);
	down_write(&run->iopt.iova_rwsem);
	KUNIT_ASSERT_EQ(run->test, 0,
			iopt_area_insert(area, &run->iopt,
					 space_iova(run, r.first), 0, length,
					 IOMMU_READ));
	up_write(&run->iopt.iova_rwsem);
	run->areas[i] = area;
	memset(run->mapped + r.first, 1, r.last - r.first + 1);
}

static void space_step_unmap(struct space_run *run)
{
	unsigned int i = iopt_kunit_below(&run->rnd, SPACE_AREAS);
	struct iopt_area *area = run->areas[i];

	if (!area)
		return;
	memset(run->mapped + (iopt_area_iova(area) - run->c->base) / run->c->unit,
	       0, iopt_area_length(area) / run->c->unit);
	iopt_area_remove(area);
	run->areas[i] = NULL;
}

/* Check a random range, and map it in some cases if it is free. */
static void space_step_check(struct space_run *run)
{
	struct space_range r = space_random(run, 24);
	unsigned long length = (r.last - r.first + 1) * run->c->unit;
	unsigned long iova = space_iova(run, r.first);
	int want = 0, rc;

	if (iova % run->iopt.iova_alignment || length % run->iopt.iova_alignment)
		want = -EINVAL;
	else if (space_reserved(run, r))
		want = -EINVAL;
	else if (space_any(run->mapped, r))
		want = -EEXIST;

	down_read(&run->iopt.iova_rwsem);
	rc = iopt_check_iova(&run->iopt, iova, length);
	up_read(&run->iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(run->test, rc, want);
	if (!rc && iopt_kunit_below(&run->rnd, 2))
		space_map(run, r);
}

static void space_step_reserve(struct space_run *run)
{
	unsigned int owner = iopt_kunit_below(&run->rnd, SPACE_OWNERS);
	struct space_range r = space_random(run, 12);
	int want = 0, rc;

	if (space_any(run->mapped, r) || space_any(run->allowed, r))
		want = -EADDRINUSE;
	down_write(&run->iopt.iova_rwsem);
	rc = iopt_reserve_iova(&run->iopt, space_iova(run, r.first),
			       space_last(run, r.last), run->reserved[owner]);
	up_write(&run->iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(run->test, rc, want);
	if (!rc)
		memset(run->reserved[owner] + r.first, 1, r.last - r.first + 1);
}

static void space_step_remove(struct space_run *run)
{
	unsigned int owner = iopt_kunit_below(&run->rnd, SPACE_OWNERS);

	iopt_remove_reserved_iova(&run->iopt, run->reserved[owner]);
	memset(run->reserved[owner], 0, SPACE_UNITS);
}

/* Replace the allowed ranges by random ones; fails if one of them is reserved. */
static void space_step_allow(struct space_run *run)
{
	unsigned int n = iopt_kunit_below(&run->rnd, SPACE_RANGES + 1);
	struct rb_root_cached tree = RB_ROOT_CACHED;
	u8 allowed[SPACE_UNITS] = {};
	struct iopt_allowed *node;
	bool allowing = false;
	int want = 0;

	for (unsigned int i = 1; i <= n; i++) {
		struct space_range r = space_random(run, 60);

		if (space_any(allowed, r))
			continue;
		memset(allowed + r.first, i, r.last - r.first + 1);
		node = kzalloc(sizeof(*node), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(run->test, node);
		node->node.start = space_iova(run, r.first);
		node->node.last = space_last(run, r.last);
		interval_tree_insert(&node->node, &tree);
		allowing = true;
		if (space_reserved(run, r))
			want = -EADDRINUSE;
	}
	KUNIT_EXPECT_EQ(run->test, iopt_set_allow_iova(&run->iopt, &tree), want);
	iopt_free_allowed(&tree);
	KUNIT_EXPECT_TRUE(run->test, RB_EMPTY_ROOT(&tree.rb_root));
	if (want)
		return;
	memcpy(run->allowed, allowed, sizeof(allowed));
	run->allowing = allowing;
}

/* Check if memory at @address may be mapped at a range that the engine chooses. */
static bool space_may_choose(struct space_run *run, struct space_range r,
			     unsigned long address, unsigned long length)
{
	unsigned long iova = space_iova(run, r.first);
	unsigned long align = PAGE_SIZE;

	while (align < PMD_SIZE && align < length && !(address % (2 * align)))
		align *= 2;
	if ((iova - address) % align)
		return false;
	if (iova < PAGE_SIZE || space_last(run, r.last) > ULONG_MAX - PAGE_SIZE)
		return false;
	if (space_any(run->mapped, r) || space_reserved(run, r))
		return false;
	for (unsigned int i = r.first; run->allowing && i <= r.last; i++)
		if (!run->allowed[i] || run->allowed[i] != run->allowed[r.first])
			return false;
	return true;
}

/* The engine chooses the lowest IOVA that is possible. */
static void space_step_choose(struct space_run *run)
{
	unsigned int n = 1 + iopt_kunit_below(&run->rnd, 24);
	unsigned long length = n * run->c->unit, iova = 0, want = 0;
	unsigned long address = iopt_kunit_below(&run->rnd, 64) * run->c->unit;
	unsigned int i;
	int rc;

	down_read(&run->iopt.iova_rwsem);
	rc = iopt_choose_iova(&run->iopt, &iova, address, length);
	up_read(&run->iopt.iova_rwsem);

	if (address % min(run->iopt.iova_alignment, PAGE_SIZE)) {
		KUNIT_EXPECT_EQ(run->test, rc, -EINVAL);
		return;
	}
	for (i = 0; i + n <= SPACE_UNITS; i++)
		if (space_may_choose(run, (struct space_range){ i, i + n - 1 },
				     address, length))
			break;
	if (i + n > SPACE_UNITS) {
		KUNIT_EXPECT_EQ(run->test, rc, -ENOSPC);
		return;
	}
	want = space_iova(run, i);
	KUNIT_EXPECT_EQ(run->test, rc, 0);
	KUNIT_EXPECT_EQ(run->test, iova, want);
	if (!rc && iova == want && length % run->iopt.iova_alignment == 0)
		space_map(run, (struct space_range){ i, i + n - 1 });
}

/**
 * struct space_walk - a walk over usable ranges
 * @run: the IOVA space and its expected state
 * @unit: the first unit that the walk has not reached
 */
struct space_walk {
	struct space_run *run;
	unsigned int unit;
};

static int space_usable(void *opaque, unsigned long start, unsigned long last)
{
	struct space_walk *walk = opaque;
	struct space_run *run = walk->run;
	unsigned int i = walk->unit;

	while (i < SPACE_UNITS && space_reserved(run, (struct space_range){ i, i }))
		i++;
	KUNIT_EXPECT_EQ(run->test, start, space_iova(run, i));
	while (i < SPACE_UNITS && !space_reserved(run, (struct space_range){ i, i }))
		i++;
	KUNIT_EXPECT_EQ(run->test, last, space_last(run, i - 1));
	walk->unit = i;
	return 0;
}

/* Usable are IOVAs that are not reserved, in as few ranges as possible. */
static void space_step_usable(struct space_run *run)
{
	struct space_walk walk = { .run = run };
	unsigned int i;

	KUNIT_EXPECT_EQ(run->test, 0,
			iopt_walk_usable_ranges(&run->iopt, space_usable,
						&walk));
	for (i = walk.unit; i < SPACE_UNITS; i++)
		if (!space_reserved(run, (struct space_range){ i, i }))
			break;
	KUNIT_EXPECT_EQ(run->test, i, SPACE_UNITS);
}

/* Reserve every IOVA but those of the units. */
static void space_setup(struct space_run *run)
{
	unsigned long last = space_last(run, SPACE_UNITS - 1);

	iopt_init_table(&run->iopt);
	run->pages = iopt_kunit_pages(run->test,
				      SPACE_UNITS * run->c->unit / PAGE_SIZE);
	down_write(&run->iopt.iova_rwsem);
	if (run->c->base)
		KUNIT_EXPECT_EQ(run->test, 0,
				iopt_reserve_iova(&run->iopt, 0,
						  run->c->base - 1, run));
	if (last != ULONG_MAX)
		KUNIT_EXPECT_EQ(run->test, 0,
				iopt_reserve_iova(&run->iopt, last + 1,
						  ULONG_MAX, run));
	up_write(&run->iopt.iova_rwsem);
}

static void space_teardown(struct space_run *run)
{
	for (unsigned int i = 0; i < SPACE_AREAS; i++)
		if (run->areas[i])
			iopt_area_remove(run->areas[i]);
	for (unsigned int i = 0; i < SPACE_OWNERS; i++)
		iopt_remove_reserved_iova(&run->iopt, run->reserved[i]);
	iopt_remove_reserved_iova(&run->iopt, run);
	iopt_destroy_table(&run->iopt);
	iopt_pages_put(run->pages);
}

static void random_steps_match_arrays(struct kunit *test)
{
	struct space_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	static const unsigned int aligns[] = { 1, 1, 1, 512, 2048, 4096 };

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	run->c = test->param_value;
	prandom_seed_state(&run->rnd, 3);
	space_setup(run);
	for (unsigned int step = 0; step < 6000; step++) {
		unsigned int pick = iopt_kunit_below(&run->rnd, 100);

		run->iopt.iova_alignment =
			aligns[iopt_kunit_below(&run->rnd, ARRAY_SIZE(aligns))];
		if (pick < 25)
			space_step_check(run);
		else if (pick < 50)
			space_step_unmap(run);
		else if (pick < 60)
			space_step_reserve(run);
		else if (pick < 66)
			space_step_remove(run);
		else if (pick < 70)
			space_step_allow(run);
		else if (pick < 90)
			space_step_choose(run);
		else
			space_step_usable(run);
	}
	space_teardown(run);
}

/* End a walk over usable ranges by an error in the second call. */
static int space_stop(void *opaque, unsigned long start, unsigned long last)
{
	unsigned int *calls = opaque;

	return ++*calls == 2 ? -EXDEV : 0;
}

static void walk_returns_error_of_callback(struct kunit *test)
{
	unsigned int calls = 0, owner;
	struct io_pagetable iopt;

	iopt_init_table(&iopt);
	down_write(&iopt.iova_rwsem);
	for (unsigned long i = 1; i < 5; i++)
		KUNIT_EXPECT_EQ(test, 0, iopt_reserve_iova(&iopt, i * PMD_SIZE,
							   i * PMD_SIZE + 1,
							   &owner));
	up_write(&iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(test, -EXDEV,
			iopt_walk_usable_ranges(&iopt, space_stop, &calls));
	KUNIT_EXPECT_EQ(test, calls, 2);
	iopt_remove_reserved_iova(&iopt, &owner);
	iopt_destroy_table(&iopt);
}

static struct kunit_case space_kunit_cases[] = {
	KUNIT_CASE_PARAM(random_steps_match_arrays, space_gen_params),
	KUNIT_CASE(walk_returns_error_of_callback),
	{}
};

static struct kunit_suite space_suite = {
	.name = "iommufd_iova_space",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = space_kunit_cases,
};

kunit_test_suite(space_suite);
