// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of struct iova_set, against an array with one byte for each IOVA.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/prandom.h>

#include "space/iova_set.h"

/* Number of IOVAs that random steps use. */
#define SET_IOVAS	96

/**
 * struct set_case - parameters of random steps
 * @name: name of the test parameter
 * @base: first IOVA
 * @memory: percentage of allocations that succeed
 * @max: maximum number of ranges of the set, or 0 for IOVA_SET_MAX_RANGES
 */
struct set_case {
	const char *name;
	unsigned long base;
	unsigned int memory;
	unsigned int max;
};

static const struct set_case set_cases[] = {
	{ "from 0", 0, 100 },
	{ "in the middle", 0x7fffffd0, 100 },
	{ "to the last IOVA", ULONG_MAX - SET_IOVAS + 1, 100 },
	{ "from 0, little memory", 0, 60 },
	{ "in the middle, little memory", 1UL << 63, 30 },
	{ "to the last IOVA, little memory", ULONG_MAX - SET_IOVAS + 1, 60 },
	{ "no memory", 0x1000, 0 },
	{ "one range at most", 0x1000, 100, 1 },
	{ "three ranges at most", 0, 100, 3 },
	{ "three ranges at most, to the last IOVA",
	  ULONG_MAX - SET_IOVAS + 1, 60, 3 },
};

KUNIT_ARRAY_PARAM_DESC(set, set_cases, name);

/**
 * struct set_run - a set and its expected contents
 * @test: the test
 * @c: the parameters
 * @set: the set
 * @rnd: state of the random numbers
 * @oracle: by IOVA, relative to the base: 1 if the set must have it, 2 if the set may have
 *	it as an allocation failed or the set was full, otherwise 0
 * @reported: by IOVA: number of times that iova_set_take() reported it
 * @failed: number of allocations that failed
 */
struct set_run {
	struct kunit *test;
	const struct set_case *c;
	struct iova_set set;
	struct rnd_state rnd;
	u8 oracle[SET_IOVAS];
	u8 reported[SET_IOVAS];
	unsigned int failed;
};

static unsigned int set_below(struct set_run *run, unsigned int n)
{
	return prandom_u32_state(&run->rnd) % n;
}

/* Make allocations fail as often as &set_case.memory requires. */
static struct interval_tree_node *set_kmalloc(gfp_t gfp)
{
	struct set_run *run = kunit_get_current_test()->priv;

	if (set_below(run, 100) < run->c->memory)
		return kmalloc(sizeof(struct interval_tree_node), gfp);
	run->failed++;
	return NULL;
}

static int set_init(struct kunit *test)
{
	struct set_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	prandom_seed_state(&run->rnd, 1);
	iova_set_init(&run->set);
	test->priv = run;
	return 0;
}

static void set_exit(struct kunit *test)
{
	struct set_run *run = test->priv;

	iova_set_clear(&run->set);
	KUNIT_EXPECT_TRUE(test, iova_set_empty(&run->set));
}

/* Count how often each IOVA is reported. */
static void set_record_range(void *opaque, unsigned long start, unsigned long last)
{
	struct set_run *run = opaque;
	unsigned long from = start - run->c->base;
	unsigned long to = last - run->c->base;

	KUNIT_EXPECT_LE(run->test, from, to);
	KUNIT_EXPECT_LT(run->test, to, SET_IOVAS);
	for (; from <= to && to < SET_IOVAS; from++)
		run->reported[from]++;
}

/* Take a range, and compare the reported IOVAs with the oracle. */
static void set_take(struct set_run *run, unsigned int first,
		     unsigned int last, bool keep)
{
	memset(run->reported, 0, sizeof(run->reported));
	iova_set_take(&run->set, run->c->base + first,
		      run->c->base + last, keep, set_record_range, run);
	for (unsigned int i = 0; i < SET_IOVAS; i++) {
		bool inside = i >= first && i <= last;
		unsigned int must = inside && run->oracle[i] == 1;
		unsigned int may = inside && run->oracle[i] != 0;

		if (run->reported[i] < must || run->reported[i] > may)
			KUNIT_FAIL(run->test, "IOVA %u of [%u, %u] reported %u times, oracle %u",
				   i, first, last, run->reported[i],
				   run->oracle[i]);
		/* The report shows if the set has an IOVA that it may have. */
		if (inside && run->oracle[i] == 2)
			run->oracle[i] = run->reported[i];
	}
}

static void set_step_add(struct set_run *run, unsigned int first,
			 unsigned int last)
{
	unsigned int failed = run->failed;

	iova_set_add(&run->set, run->c->base + first,
		     run->c->base + last,
		     set_below(run, 2) ? GFP_KERNEL : GFP_ATOMIC);
	/* If an allocation failed or the set is full, it may have filled a gap. */
	for (unsigned int i = 0; i < SET_IOVAS; i++)
		if ((failed != run->failed || run->c->max) && !run->oracle[i])
			run->oracle[i] = 2;
	memset(run->oracle + first, 1, last - first + 1);
}

static void set_step_remove(struct set_run *run, unsigned int first,
			    unsigned int last)
{
	unsigned int failed = run->failed;

	iova_set_remove(&run->set, run->c->base + first,
			run->c->base + last);
	for (unsigned int i = first; i <= last; i++)
		if (run->oracle[i])
			run->oracle[i] = failed == run->failed &&
					 !run->c->max ? 0 : 2;
}

static void set_step_take(struct set_run *run, unsigned int first,
			  unsigned int last)
{
	unsigned int failed = run->failed;

	set_take(run, first, last, false);
	for (unsigned int i = first; i <= last; i++)
		if (run->oracle[i])
			run->oracle[i] = failed == run->failed &&
					 !run->c->max ? 0 : 2;
}

static unsigned int set_count(struct iova_set *set)
{
	struct interval_tree_node *node;
	unsigned int n = 0;

	for (node = interval_tree_iter_first(&set->ranges, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		n++;
	return n;
}

/* Return the maximum number of ranges of the set. */
static unsigned int set_max(void)
{
	struct set_run *run = kunit_get_current_test()->priv;

	return run->c->max ?: IOVA_SET_MAX_RANGES;
}

/* Check that no two ranges are adjacent, and the number of ranges. */
static void set_check_ranges(struct set_run *run)
{
	struct interval_tree_node *node, *next;

	KUNIT_EXPECT_EQ(run->test, run->set.nr, set_count(&run->set));
	KUNIT_EXPECT_LE(run->test, run->set.nr, set_max());

	node = interval_tree_iter_first(&run->set.ranges, 0, ULONG_MAX);
	for (; node; node = next) {
		KUNIT_EXPECT_LE(run->test, node->start, node->last);
		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (next)
			KUNIT_EXPECT_GT(run->test, next->start - 1, node->last);
	}
}

/* After each random step, compare the whole set with the oracle. */
static void random_steps_match_oracle(struct kunit *test)
{
	struct set_run *run = test->priv;

	run->c = test->param_value;
	kunit_activate_static_stub(test, iova_set_kmalloc, set_kmalloc);
	kunit_activate_static_stub(test, iova_set_max_ranges, set_max);
	for (unsigned int step = 0; step < 4000; step++) {
		unsigned int pick = set_below(run, 100);
		unsigned int first = set_below(run, SET_IOVAS);
		unsigned int length = set_below(run, 1 + set_below(run, 40));
		unsigned int last = min(first + length, SET_IOVAS - 1);

		if (pick < 55)
			set_step_add(run, first, last);
		else if (pick < 85)
			set_step_remove(run, first, last);
		else if (pick < 98)
			set_step_take(run, first, last);
		else
			iova_set_clear(&run->set);
		if (pick >= 98)
			memset(run->oracle, 0, sizeof(run->oracle));
		set_check_ranges(run);
		set_take(run, 0, SET_IOVAS - 1, true);
	}
	KUNIT_EXPECT_EQ(test, run->failed != 0, run->c->memory != 100);
}

/**
 * struct set_touch - two ranges of one IOVA each
 * @name: name of the test parameter
 * @one: IOVA of the first range
 * @other: IOVA of the second range
 * @merged: the ranges become one
 */
struct set_touch {
	const char *name;
	unsigned long one;
	unsigned long other;
	bool merged;
};

static const struct set_touch set_touches[] = {
	{ "0 and 1", 0, 1, true },
	{ "0 and 2", 0, 2, false },
	{ "0 and the last", 0, ULONG_MAX, false },
	{ "the last two", ULONG_MAX - 1, ULONG_MAX, true },
	{ "the last and last but two", ULONG_MAX - 2, ULONG_MAX, false },
	{ "5 twice", 5, 5, true },
	{ "0 twice", 0, 0, true },
	{ "the last twice", ULONG_MAX, ULONG_MAX, true },
	{ "in the middle", LONG_MAX, 1UL << 63, true },
};

KUNIT_ARRAY_PARAM_DESC(set_touch, set_touches, name);

static struct interval_tree_node *set_kmalloc_fails(gfp_t gfp)
{
	return NULL;
}

/* Adjacent ranges merge, in either order of adding them. */
static void adjacent_ranges_merge(struct kunit *test)
{
	const struct set_touch *t = test->param_value;
	struct set_run *run = test->priv;

	for (unsigned int turn = 0; turn < 2; turn++) {
		unsigned long a = turn ? t->one : t->other;
		unsigned long b = turn ? t->other : t->one;

		iova_set_add(&run->set, a, a, GFP_KERNEL);
		iova_set_add(&run->set, b, b, GFP_ATOMIC);
		KUNIT_EXPECT_EQ(test, set_count(&run->set),
				t->merged ? 1 : 2);
		iova_set_remove(&run->set, a, a);
		iova_set_remove(&run->set, b, b);
		KUNIT_EXPECT_TRUE(test, iova_set_empty(&run->set));
	}
}

/**
 * struct set_ends - ranges that iova_set_take() reported
 * @calls: number of ranges
 * @start: by range: first IOVA
 * @last: by range: last IOVA
 */
struct set_ends {
	unsigned int calls;
	unsigned long start[4];
	unsigned long last[4];
};

static void set_record_ends(void *opaque, unsigned long start, unsigned long last)
{
	struct set_ends *ends = opaque;

	if (ends->calls < ARRAY_SIZE(ends->start)) {
		ends->start[ends->calls] = start;
		ends->last[ends->calls] = last;
	}
	ends->calls++;
}

/* Taking a range out of a set of all IOVAs leaves all others, to the byte. */
static void take_of_range_leaves_all_others(struct kunit *test)
{
	struct set_run *run = test->priv;
	struct set_ends ends = {};

	iova_set_add(&run->set, 0, ULONG_MAX, GFP_KERNEL);
	iova_set_take(&run->set, 0x1000, 0x1fff, false, set_record_ends, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 1);
	KUNIT_EXPECT_EQ(test, ends.start[0], 0x1000);
	KUNIT_EXPECT_EQ(test, ends.last[0], 0x1fff);
	iova_set_take(&run->set, 0, ULONG_MAX, false, set_record_ends, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 3);
	KUNIT_EXPECT_EQ(test, ends.start[1], 0);
	KUNIT_EXPECT_EQ(test, ends.last[1], 0xfff);
	KUNIT_EXPECT_EQ(test, ends.start[2], 0x2000);
	KUNIT_EXPECT_EQ(test, ends.last[2], ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, iova_set_empty(&run->set));
}

/*
 * If every allocation fails, the set stores one exact range in its reserve, and extends it
 * to cover a second range. After the range was taken, the reserve is free again.
 */
static void one_range_is_exact_without_memory(struct kunit *test)
{
	struct set_run *run = test->priv;

	kunit_activate_static_stub(test, iova_set_kmalloc, set_kmalloc_fails);
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct set_ends ends = {};

		iova_set_add(&run->set, 100, 199, GFP_KERNEL);
		iova_set_remove(&run->set, 100, 109);
		iova_set_take(&run->set, 0, ULONG_MAX, true, set_record_ends,
			      &ends);
		KUNIT_EXPECT_EQ(test, ends.calls, 1);
		KUNIT_EXPECT_EQ(test, ends.start[0], 110);
		KUNIT_EXPECT_EQ(test, ends.last[0], 199);

		/* A hole requires a second range: nothing is removed. */
		iova_set_remove(&run->set, 120, 129);
		iova_set_take(&run->set, 120, 129, true, set_record_ends,
			      &ends);
		KUNIT_EXPECT_EQ(test, ends.calls, 2);

		iova_set_add(&run->set, 300, 300, GFP_ATOMIC);
		iova_set_take(&run->set, 0, ULONG_MAX, false, set_record_ends,
			      &ends);
		KUNIT_EXPECT_EQ(test, ends.calls, 3);
		KUNIT_EXPECT_EQ(test, ends.start[2], 110);
		KUNIT_EXPECT_EQ(test, ends.last[2], 300);
		KUNIT_EXPECT_TRUE(test, iova_set_empty(&run->set));
	}
}

/* More ranges than the set handles while it holds its lock once. */
static void thousands_of_ranges_merge_and_move(struct kunit *test)
{
	struct set_run *run = test->priv;
	struct set_ends ends = {};
	struct iova_set other;

	iova_set_init(&other);
	for (unsigned long i = 0; i < 3000; i++)
		iova_set_add(&run->set, 4 * i, 4 * i + 1, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, run->set.nr, 3000);
	iova_set_take(&run->set, 0, ULONG_MAX, true, set_record_ends, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 3000);
	iova_set_remove(&run->set, 0, 4 * 1000 - 1);
	KUNIT_EXPECT_EQ(test, run->set.nr, 2000);
	iova_set_move(&other, &run->set);
	KUNIT_EXPECT_TRUE(test, iova_set_empty(&run->set));
	KUNIT_EXPECT_EQ(test, other.nr, 2000);

	iova_set_add(&other, 4 * 1000 + 1, 4 * 2500 - 1, GFP_ATOMIC);
	KUNIT_EXPECT_EQ(test, other.nr, 500);
	ends.calls = 0;
	iova_set_take(&other, 0, 4 * 2500 + 1, false, set_record_ends, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 1);
	KUNIT_EXPECT_EQ(test, ends.start[0], 4 * 1000);
	KUNIT_EXPECT_EQ(test, ends.last[0], 4 * 2500 + 1);
	iova_set_clear(&other);
	KUNIT_EXPECT_TRUE(test, iova_set_empty(&other));
}

static unsigned int set_max_two(void)
{
	return 2;
}

/* A full set fills the smaller of the gaps around a new range, on either side. */
static void full_set_joins_nearest_ranges(struct kunit *test)
{
	struct set_run *run = test->priv;
	struct set_ends ends = {};

	kunit_activate_static_stub(test, iova_set_max_ranges, set_max_two);
	iova_set_add(&run->set, 100, 109, GFP_KERNEL);
	iova_set_add(&run->set, 200, 209, GFP_KERNEL);
	iova_set_add(&run->set, 120, 129, GFP_KERNEL);
	iova_set_add(&run->set, 180, 189, GFP_ATOMIC);
	iova_set_take(&run->set, 0, ULONG_MAX, true, set_record_ends, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 2);
	KUNIT_EXPECT_EQ(test, ends.start[0], 100);
	KUNIT_EXPECT_EQ(test, ends.last[0], 129);
	KUNIT_EXPECT_EQ(test, ends.start[1], 180);
	KUNIT_EXPECT_EQ(test, ends.last[1], 209);
	/* A hole requires a third range: nothing is removed. The start of a range is. */
	iova_set_remove(&run->set, 110, 119);
	iova_set_remove(&run->set, 180, 199);
	ends.calls = 0;
	iova_set_take(&run->set, 0, ULONG_MAX, true, set_record_ends, &ends);
	KUNIT_EXPECT_EQ(test, ends.calls, 2);
	KUNIT_EXPECT_EQ(test, ends.last[0], 129);
	KUNIT_EXPECT_EQ(test, ends.start[1], 200);
}

static struct kunit_case set_kunit_cases[] = {
	KUNIT_CASE_PARAM(random_steps_match_oracle, set_gen_params),
	KUNIT_CASE_PARAM(adjacent_ranges_merge, set_touch_gen_params),
	KUNIT_CASE(take_of_range_leaves_all_others),
	KUNIT_CASE(one_range_is_exact_without_memory),
	KUNIT_CASE(thousands_of_ranges_merge_and_move),
	KUNIT_CASE(full_set_joins_nearest_ranges),
	{}
};

static struct kunit_suite set_suite = {
	.name = "iommufd_iova_set",
	.init = set_init,
	.exit = set_exit,
	.test_cases = set_kunit_cases,
};

kunit_test_suite(set_suite);
