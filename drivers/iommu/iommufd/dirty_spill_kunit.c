// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the set of dirty IOVAs, against an array of one byte for each.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/prandom.h>

#include "dirty_spill.h"

/* IOVAs that a test uses, from its base on. */
#define SPILL_IOVAS	96

/**
 * struct spill_case - where a test takes place
 * @name: of the row
 * @base: first IOVA
 * @memory: of a hundred allocations, how many succeed
 */
struct spill_case {
	const char *name;
	unsigned long base;
	unsigned int memory;
};

static const struct spill_case spill_cases[] = {
	{ "from 0", 0, 100 },
	{ "in the middle", 0x7fffffd0, 100 },
	{ "to the last IOVA", ULONG_MAX - SPILL_IOVAS + 1, 100 },
	{ "from 0, little memory", 0, 60 },
	{ "in the middle, little memory", 1UL << 63, 30 },
	{ "to the last IOVA, little memory", ULONG_MAX - SPILL_IOVAS + 1, 60 },
	{ "no memory", 0x1000, 0 },
};

KUNIT_ARRAY_PARAM_DESC(spill, spill_cases, name);

/**
 * struct spill_run - a test while it runs
 * @test: the test
 * @c: its row
 * @spill: the set
 * @rnd: chance
 * @oracle: 1 for what must be in the set, 2 for what may be, as memory was
 *	short when it came or went
 * @told: what dirty_spill_take() told of each IOVA
 * @failed: allocations that failed
 */
struct spill_run {
	struct kunit *test;
	const struct spill_case *c;
	struct dirty_spill spill;
	struct rnd_state rnd;
	u8 oracle[SPILL_IOVAS];
	u8 told[SPILL_IOVAS];
	unsigned int failed;
};

static unsigned int spill_below(struct spill_run *run, unsigned int n)
{
	return prandom_u32_state(&run->rnd) % n;
}

/* Memory as short as the row has it. */
static struct interval_tree_node *spill_kmalloc(void)
{
	struct spill_run *run = kunit_get_current_test()->priv;

	if (spill_below(run, 100) < run->c->memory)
		return kmalloc(sizeof(struct interval_tree_node), GFP_ATOMIC);
	run->failed++;
	return NULL;
}

static int spill_init(struct kunit *test)
{
	struct spill_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	prandom_seed_state(&run->rnd, 1);
	dirty_spill_init(&run->spill);
	test->priv = run;
	return 0;
}

static void spill_exit(struct kunit *test)
{
	struct spill_run *run = test->priv;

	dirty_spill_clear(&run->spill);
	KUNIT_EXPECT_TRUE(test, dirty_spill_empty(&run->spill));
}

/* What is told is in the range that was asked for, and told once. */
static void spill_told(void *opaque, unsigned long start, unsigned long last)
{
	struct spill_run *run = opaque;
	unsigned long from = start - run->c->base;
	unsigned long to = last - run->c->base;

	KUNIT_EXPECT_LE(run->test, from, to);
	KUNIT_EXPECT_LT(run->test, to, SPILL_IOVAS);
	for (; from <= to && to < SPILL_IOVAS; from++)
		run->told[from]++;
}

/* Ask for a range, and compare what it tells with the oracle. */
static void spill_take(struct spill_run *run, unsigned int first,
		       unsigned int last, bool keep)
{
	memset(run->told, 0, sizeof(run->told));
	dirty_spill_take(&run->spill, run->c->base + first,
			 run->c->base + last, keep, spill_told, run);
	for (unsigned int i = 0; i < SPILL_IOVAS; i++) {
		bool asked = i >= first && i <= last;
		unsigned int must = asked && run->oracle[i] == 1;
		unsigned int may = asked && run->oracle[i] != 0;

		if (run->told[i] < must || run->told[i] > may)
			KUNIT_FAIL(run->test, "IOVA %u of [%u, %u] told %u times, oracle %u",
				   i, first, last, run->told[i],
				   run->oracle[i]);
		/* What stayed for lack of memory is known now. */
		if (asked && run->oracle[i] == 2)
			run->oracle[i] = run->told[i];
	}
}

static void spill_step_add(struct spill_run *run, unsigned int first,
			   unsigned int last)
{
	unsigned int failed = run->failed;

	dirty_spill_add(&run->spill, run->c->base + first,
			run->c->base + last);
	/* Then everything may be in the set, but nobody has to tell. */
	for (unsigned int i = 0; i < SPILL_IOVAS; i++)
		if (failed != run->failed && !run->oracle[i])
			run->oracle[i] = 2;
	memset(run->oracle + first, 1, last - first + 1);
}

static void spill_step_remove(struct spill_run *run, unsigned int first,
			      unsigned int last)
{
	unsigned int failed = run->failed;

	dirty_spill_remove(&run->spill, run->c->base + first,
			   run->c->base + last);
	for (unsigned int i = first; i <= last; i++)
		if (run->oracle[i])
			run->oracle[i] = failed == run->failed ? 0 : 2;
}

static void spill_step_take(struct spill_run *run, unsigned int first,
			    unsigned int last)
{
	unsigned int failed = run->failed;

	spill_take(run, first, last, false);
	for (unsigned int i = first; i <= last; i++)
		if (run->oracle[i])
			run->oracle[i] = failed == run->failed ? 0 : 2;
}

/* No two ranges touch, so the set is never larger than it has to be. */
static void spill_check_ranges(struct spill_run *run)
{
	struct interval_tree_node *node, *next;

	node = interval_tree_iter_first(&run->spill.ranges, 0, ULONG_MAX);
	for (; node; node = next) {
		KUNIT_EXPECT_LE(run->test, node->start, node->last);
		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (next)
			KUNIT_EXPECT_GT(run->test, next->start - 1, node->last);
	}
}

/* Random steps; after each all of the set is what the oracle says. */
static void spill_test_random(struct kunit *test)
{
	struct spill_run *run = test->priv;

	run->c = test->param_value;
	kunit_activate_static_stub(test, dirty_spill_kmalloc, spill_kmalloc);
	for (unsigned int step = 0; step < 4000; step++) {
		unsigned int what = spill_below(run, 100);
		unsigned int first = spill_below(run, SPILL_IOVAS);
		unsigned int length = spill_below(run, 1 + spill_below(run, 40));
		unsigned int last = min(first + length, SPILL_IOVAS - 1);

		if (what < 55)
			spill_step_add(run, first, last);
		else if (what < 85)
			spill_step_remove(run, first, last);
		else if (what < 98)
			spill_step_take(run, first, last);
		else
			dirty_spill_clear(&run->spill);
		if (what >= 98)
			memset(run->oracle, 0, sizeof(run->oracle));
		spill_check_ranges(run);
		spill_take(run, 0, SPILL_IOVAS - 1, true);
	}
	KUNIT_EXPECT_EQ(test, run->failed != 0, run->c->memory != 100);
}

/**
 * struct spill_touch - two ranges of one IOVA each
 * @name: of the row
 * @one: the first
 * @other: the second
 * @merged: they become one range
 */
struct spill_touch {
	const char *name;
	unsigned long one;
	unsigned long other;
	bool merged;
};

static const struct spill_touch spill_touches[] = {
	{ "0 and 1", 0, 1, true },
	{ "0 and 2", 0, 2, false },
	{ "0 and the last", 0, ULONG_MAX, false },
	{ "the last two", ULONG_MAX - 1, ULONG_MAX, true },
	{ "the last and last but two", ULONG_MAX - 2, ULONG_MAX, false },
	{ "the same", 5, 5, true },
	{ "0 twice", 0, 0, true },
	{ "the last twice", ULONG_MAX, ULONG_MAX, true },
	{ "in the middle", LONG_MAX, 1UL << 63, true },
};

KUNIT_ARRAY_PARAM_DESC(spill_touch, spill_touches, name);

static unsigned int spill_count(struct dirty_spill *spill)
{
	struct interval_tree_node *node;
	unsigned int n = 0;

	for (node = interval_tree_iter_first(&spill->ranges, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		n++;
	return n;
}

static struct interval_tree_node *spill_no_kmalloc(void)
{
	return NULL;
}

/* Ranges merge if they touch, in whatever order they come. */
static void spill_test_touch(struct kunit *test)
{
	const struct spill_touch *t = test->param_value;
	struct spill_run *run = test->priv;

	for (unsigned int turn = 0; turn < 2; turn++) {
		unsigned long a = turn ? t->one : t->other;
		unsigned long b = turn ? t->other : t->one;

		dirty_spill_add(&run->spill, a, a);
		dirty_spill_add(&run->spill, b, b);
		KUNIT_EXPECT_EQ(test, spill_count(&run->spill),
				t->merged ? 1 : 2);
		dirty_spill_remove(&run->spill, a, a);
		dirty_spill_remove(&run->spill, b, b);
		KUNIT_EXPECT_TRUE(test, dirty_spill_empty(&run->spill));
	}
}

/**
 * struct spill_ends - what dirty_spill_take() told
 * @calls: how many ranges
 * @start: first IOVA of each
 * @last: last IOVA of each
 */
struct spill_ends {
	unsigned int calls;
	unsigned long start[4];
	unsigned long last[4];
};

static void spill_note(void *opaque, unsigned long start, unsigned long last)
{
	struct spill_ends *ends = opaque;

	if (ends->calls < ARRAY_SIZE(ends->start)) {
		ends->start[ends->calls] = start;
		ends->last[ends->calls] = last;
	}
	ends->calls++;
}

/* A set of everything, with a hole in it, without a byte too many or few. */
static void spill_test_everything(struct kunit *test)
{
	struct spill_run *run = test->priv;
	struct spill_ends ends = {};

	dirty_spill_add(&run->spill, 0, ULONG_MAX);
	dirty_spill_take(&run->spill, 0x1000, 0x1fff, false, spill_note, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 1);
	KUNIT_EXPECT_EQ(test, ends.start[0], 0x1000);
	KUNIT_EXPECT_EQ(test, ends.last[0], 0x1fff);
	dirty_spill_take(&run->spill, 0, ULONG_MAX, false, spill_note, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 3);
	KUNIT_EXPECT_EQ(test, ends.start[1], 0);
	KUNIT_EXPECT_EQ(test, ends.last[1], 0xfff);
	KUNIT_EXPECT_EQ(test, ends.start[2], 0x2000);
	KUNIT_EXPECT_EQ(test, ends.last[2], ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, dirty_spill_empty(&run->spill));
}

/*
 * Without any memory: one range is to the byte, as there is a reserve for it;
 * a second one makes everything dirty, and the reserve can be had again after
 * it was taken out.
 */
static void spill_test_reserve(struct kunit *test)
{
	struct spill_run *run = test->priv;

	kunit_activate_static_stub(test, dirty_spill_kmalloc, spill_no_kmalloc);
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct spill_ends ends = {};

		dirty_spill_add(&run->spill, 100, 199);
		dirty_spill_remove(&run->spill, 100, 109);
		dirty_spill_take(&run->spill, 0, ULONG_MAX, true, spill_note,
				 &ends);
		KUNIT_EXPECT_EQ(test, ends.calls, 1);
		KUNIT_EXPECT_EQ(test, ends.start[0], 110);
		KUNIT_EXPECT_EQ(test, ends.last[0], 199);

		/* A hole takes a second range: nothing goes. */
		dirty_spill_remove(&run->spill, 120, 129);
		dirty_spill_take(&run->spill, 120, 129, true, spill_note,
				 &ends);
		KUNIT_EXPECT_EQ(test, ends.calls, 2);

		dirty_spill_add(&run->spill, 300, 300);
		dirty_spill_take(&run->spill, 0, ULONG_MAX, false, spill_note,
				 &ends);
		KUNIT_EXPECT_EQ(test, ends.calls, 3);
		KUNIT_EXPECT_EQ(test, ends.start[2], 0);
		KUNIT_EXPECT_EQ(test, ends.last[2], ULONG_MAX);
		KUNIT_EXPECT_TRUE(test, dirty_spill_empty(&run->spill));
	}
}

static struct kunit_case spill_kunit_cases[] = {
	KUNIT_CASE_PARAM(spill_test_random, spill_gen_params),
	KUNIT_CASE_PARAM(spill_test_touch, spill_touch_gen_params),
	KUNIT_CASE(spill_test_everything),
	KUNIT_CASE(spill_test_reserve),
	{}
};

static struct kunit_suite spill_suite = {
	.name = "iommufd_dirty_spill",
	.init = spill_init,
	.exit = spill_exit,
	.test_cases = spill_kunit_cases,
};

kunit_test_suite(spill_suite);
