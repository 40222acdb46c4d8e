// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the tier of each page, against an array with one entry for each page, and of
 * the charges for pinned pages.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>

#include "space/iopt_area.h"
#include "tests/iopt_kunit.h"

#define TIER_PAGES	48
#define TIER_NODES	12

/**
 * struct tier_run - nodes in the trees of an iopt_pages
 * @test: the test
 * @rnd: state of the random numbers
 * @pages: the iopt_pages
 * @accesses: nodes of &iopt_pages.access_itree
 * @nr_accesses: number of @accesses
 * @areas: nodes of &iopt_pages.domains_itree
 * @nr_areas: number of @areas
 * @tier: by page: the expected tier
 */
struct tier_run {
	struct kunit *test;
	struct rnd_state rnd;
	struct iopt_pages *pages;
	struct iopt_pages_access accesses[TIER_NODES];
	unsigned int nr_accesses;
	struct iopt_area areas[TIER_NODES];
	unsigned int nr_areas;
	u8 tier[TIER_PAGES];
};

static void tier_random_node(struct tier_run *run,
			     struct interval_tree_node *node)
{
	unsigned long length = iopt_kunit_below(&run->rnd, 10);

	node->start = iopt_kunit_below(&run->rnd, TIER_PAGES);
	node->last = min(node->start + length, TIER_PAGES - 1);
}

static void tier_mark(struct tier_run *run, struct interval_tree_node *node,
		      enum iopt_tier tier)
{
	memset(run->tier + node->start, tier, node->last - node->start + 1);
}

/* Insert random accesses and areas, some of which overlap. */
static void tier_setup(struct tier_run *run)
{
	struct iopt_pages *pages = run->pages;

	run->nr_areas = iopt_kunit_below(&run->rnd, 7);
	run->nr_accesses = iopt_kunit_below(&run->rnd, 7);
	memset(run->tier, IOPT_TIER_ORIGIN, sizeof(run->tier));
	for (unsigned int i = 0; i < run->nr_areas; i++) {
		struct interval_tree_node *node = &run->areas[i].pages_node;

		tier_random_node(run, node);
		tier_mark(run, node, IOPT_TIER_DOMAIN);
		interval_tree_insert(node, &pages->domains_itree);
	}
	for (unsigned int i = 0; i < run->nr_accesses; i++) {
		struct interval_tree_node *node = &run->accesses[i].node;

		tier_random_node(run, node);
		tier_mark(run, node, IOPT_TIER_XARRAY);
		interval_tree_insert(node, &pages->access_itree);
	}
}

static void tier_teardown(struct tier_run *run)
{
	for (unsigned int i = 0; i < run->nr_areas; i++)
		interval_tree_remove(&run->areas[i].pages_node,
				     &run->pages->domains_itree);
	for (unsigned int i = 0; i < run->nr_accesses; i++)
		interval_tree_remove(&run->accesses[i].node,
				     &run->pages->access_itree);
}

/* Return the last page of the range from @index to @last with one tier. */
static unsigned long tier_same_until(struct tier_run *run, unsigned long index,
				     unsigned long last)
{
	unsigned long i = index;

	while (i < last && run->tier[i + 1] == run->tier[index])
		i++;
	return i;
}

/*
 * Check the tier of @index, and how many pages it is returned for. The range of a tier
 * may be returned in several parts, as an area or an access may cover only a part of it.
 */
static void tier_check(struct tier_run *run, unsigned long index,
		       unsigned long last)
{
	struct iopt_area *area = NULL;
	unsigned long end = last;
	enum iopt_tier tier;

	tier = iopt_pages_tier(run->pages, index, &end, &area);
	KUNIT_ASSERT_EQ(run->test, tier, run->tier[index]);
	KUNIT_ASSERT_GE(run->test, end, index);
	KUNIT_ASSERT_LE(run->test, end, tier_same_until(run, index, last));
	switch (tier) {
	case IOPT_TIER_ORIGIN:
		KUNIT_EXPECT_EQ(run->test, end,
				tier_same_until(run, index, last));
		break;
	case IOPT_TIER_DOMAIN:
		KUNIT_ASSERT_NOT_NULL(run->test, area);
		KUNIT_EXPECT_LE(run->test, area->pages_node.start, index);
		KUNIT_EXPECT_EQ(run->test, end,
				min(tier_same_until(run, index, last),
				    area->pages_node.last));
		break;
	case IOPT_TIER_XARRAY:
		KUNIT_EXPECT_NOT_NULL(run->test,
				      interval_tree_iter_first(&run->pages->access_itree,
							       index, end));
		break;
	}
}

static void tier_check_next_unused(struct tier_run *run, unsigned long index,
				   unsigned long last)
{
	unsigned long want = index, from = index, to = last;
	bool found;

	while (want <= last && run->tier[want] != IOPT_TIER_ORIGIN)
		want++;
	found = iopt_pages_next_unused(run->pages, &from, &to);
	KUNIT_EXPECT_EQ(run->test, found, want <= last);
	if (!found || want > last)
		return;
	KUNIT_EXPECT_EQ(run->test, from, want);
	KUNIT_EXPECT_EQ(run->test, to, tier_same_until(run, want, last));
}

static struct tier_run *tier_alloc(struct kunit *test)
{
	struct tier_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	prandom_seed_state(&run->rnd, 2);
	run->pages = iopt_kunit_pages(test, TIER_PAGES);
	return run;
}

/* Every range of pages, with random accesses and areas. */
static void tier_of_every_range_matches_oracle(struct kunit *test)
{
	struct tier_run *run = tier_alloc(test);

	for (unsigned int turn = 0; turn < 200; turn++) {
		mutex_lock(&run->pages->mutex);
		tier_setup(run);
		for (unsigned long i = 0; i < TIER_PAGES; i++) {
			for (unsigned long j = i; j < TIER_PAGES; j++) {
				tier_check(run, i, j);
				tier_check_next_unused(run, i, j);
			}
		}
		tier_teardown(run);
		mutex_unlock(&run->pages->mutex);
	}
	iopt_pages_put(run->pages);
}

/**
 * struct user_case - a range of user memory
 * @name: name of the test parameter
 * @start: address
 * @length: length in bytes
 * @rc: expected result
 * @npages: expected length in pages
 */
struct user_case {
	const char *name;
	unsigned long start;
	unsigned long length;
	int rc;
	unsigned long npages;
};

#define USER_START	(16 * PAGE_SIZE)

static const struct user_case user_cases[] = {
	{ "a byte", USER_START, 1, 0, 1 },
	{ "the last byte of a page", USER_START + PAGE_SIZE - 1, 1, 0, 1 },
	{ "two bytes of two pages", USER_START + PAGE_SIZE - 1, 2, 0, 2 },
	{ "a page", USER_START, PAGE_SIZE, 0, 1 },
	{ "a page and a byte", USER_START, PAGE_SIZE + 1, 0, 2 },
	{ "a page in two", USER_START + PAGE_SIZE / 2, PAGE_SIZE, 0, 2 },
	{ "nothing", USER_START, 0, -EINVAL, 0 },
	{ "up to the last byte but one", -PAGE_SIZE, PAGE_SIZE - 1, 0, 1 },
	{ "wraps", -PAGE_SIZE, PAGE_SIZE, -EOVERFLOW, 0 },
	{ "wraps by much", -PAGE_SIZE, USER_START, -EOVERFLOW, 0 },
	{ "wraps by all", 2 * PAGE_SIZE, ULONG_MAX - PAGE_SIZE, -EOVERFLOW, 0 },
	{ "all there is", 0, ULONG_MAX, -EINVAL, 0 },
	{ "all but a page and a byte", 0, ULONG_MAX - PAGE_SIZE, 0,
	  ULONG_MAX / PAGE_SIZE },
	{ "all but a page and a byte, misaligned", PAGE_SIZE - 1,
	  ULONG_MAX - PAGE_SIZE, 0, ULONG_MAX / PAGE_SIZE + 1 },
};

KUNIT_ARRAY_PARAM_DESC(user, user_cases, name);

/* The range is extended to whole pages. A range that wraps is refused. */
static void user_range_becomes_whole_pages_or_fails(struct kunit *test)
{
	const struct user_case *c = test->param_value;
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_user((void __user *)c->start, c->length, true,
				      IOPT_PAGES_ACCOUNT_USER);
	if (c->rc) {
		KUNIT_EXPECT_PTR_EQ(test, pages, ERR_PTR(c->rc));
		return;
	}
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pages);
	KUNIT_EXPECT_EQ(test, pages->npages, c->npages);
	KUNIT_EXPECT_EQ(test, pages->start, c->start & PAGE_MASK);
	KUNIT_EXPECT_TRUE(test, pages->writable);
	KUNIT_EXPECT_EQ(test, pages->npinned, 0);
	iopt_pages_put(pages);
}

static unsigned int pages_released;

static void pages_count_release(struct iopt_pages *pages)
{
	pages_released++;
}

static const struct iopt_pages_ops pages_count_ops = {
	.release = pages_count_release,
};

/* Dropping the last reference releases the origin; dropping another one does not. */
static void last_put_releases_origin(struct kunit *test)
{
	struct iopt_pages *pages;

	pages_released = 0;
	pages = iopt_pages_alloc(&pages_count_ops, 1, false,
				 IOPT_PAGES_ACCOUNT_NONE);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_EXPECT_FALSE(test, pages->writable);
	iopt_pages_get(pages);
	iopt_pages_put(pages);
	KUNIT_EXPECT_EQ(test, pages_released, 0);
	iopt_pages_put(pages);
	KUNIT_EXPECT_EQ(test, pages_released, 1);
}

/**
 * struct charge_case - a counter that pages are charged to
 * @name: name of the test parameter
 * @mode: the counter
 * @user: pages are charged to locked_vm of the user
 * @mm: pages are charged to locked_vm of the mm
 */
struct charge_case {
	const char *name;
	enum iopt_account_mode mode;
	bool user;
	bool mm;
};

static const struct charge_case charge_cases[] = {
	{ "nowhere", IOPT_PAGES_ACCOUNT_NONE, false, false },
	{ "user", IOPT_PAGES_ACCOUNT_USER, true, false },
	{ "mm", IOPT_PAGES_ACCOUNT_MM, false, true },
	{ "type1", IOPT_PAGES_ACCOUNT_TYPE1, false, true },
};

KUNIT_ARRAY_PARAM_DESC(charge, charge_cases, name);

/* With CAP_IPC_LOCK, pages are not charged, or for type1 charged without a limit. */
static void cap_ipc_lock_lifts_limit(struct kunit *test)
{
	const struct charge_case *c = test->param_value;
	bool type1 = c->mode == IOPT_PAGES_ACCOUNT_TYPE1;
	struct iopt_pages *pages;

	pages = iopt_pages_alloc(&pages_count_ops, 1, true, c->mode);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_EXPECT_EQ(test, pages->account_mode,
			type1 ? c->mode : IOPT_PAGES_ACCOUNT_NONE);
	KUNIT_EXPECT_EQ(test, pages->unlimited, type1);
	iopt_pages_put(pages);

	iopt_kunit_drop_ipc_lock(test);
	pages = iopt_pages_alloc(&pages_count_ops, 1, true, c->mode);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_EXPECT_EQ(test, pages->account_mode, c->mode);
	KUNIT_EXPECT_FALSE(test, pages->unlimited);
	iopt_pages_put(pages);
}

/* Without a limit, pages are charged even if RLIMIT_MEMLOCK is 0. */
static void charge_without_limit_accounts_all(struct kunit *test)
{
	struct iopt_kunit *ik = test->priv;
	struct iopt_pages *pages;

	pages = iopt_pages_alloc(&pages_count_ops, 10, true,
				 IOPT_PAGES_ACCOUNT_TYPE1);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = 0;
	mutex_lock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 10), 0);
	KUNIT_EXPECT_EQ(test, ik->mm->locked_vm, 10);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ik->mm->pinned_vm), 10);
	iopt_pages_uncharge(pages, 10);
	KUNIT_EXPECT_EQ(test, ik->mm->locked_vm, 0);
	mutex_unlock(&pages->mutex);
	iopt_pages_put(pages);
}

/* Check that every counter that pages are charged to has @npages. */
static void charge_check(struct kunit *test, struct iopt_pages *pages,
			 unsigned long npages)
{
	const struct charge_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;

	KUNIT_EXPECT_EQ(test, pages->npinned, npages);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ik->mm->pinned_vm), npages);
	KUNIT_EXPECT_EQ(test, ik->mm->locked_vm, c->mm ? npages : 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm),
			ik->user_locked + (c->user ? npages : 0));
}

static struct iopt_pages *charge_pages(struct kunit *test)
{
	const struct charge_case *c = test->param_value;
	struct iopt_pages *pages = iopt_kunit_pages(test, 1000);

	pages->account_mode = c->mode;
	return pages;
}

/* Charge up to the limit, at once or page by page; one page more fails. */
static void charge_fails_above_limit(struct kunit *test)
{
	const struct charge_case *c = test->param_value;
	struct rlimit *rlimit = &current->signal->rlim[RLIMIT_MEMLOCK];
	struct iopt_pages *pages = charge_pages(test);
	struct iopt_kunit *ik = test->priv;
	int over = c->user || c->mm ? -ENOMEM : 0;
	unsigned long limit = 100;

	/* Pages that other processes of the user have locked count, too. */
	rlimit->rlim_cur = (limit + (c->user ? ik->user_locked : 0)) * PAGE_SIZE;
	mutex_lock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, limit + 1), over);
	if (!over)
		iopt_pages_uncharge(pages, limit + 1);
	charge_check(test, pages, 0);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, limit), 0);
	charge_check(test, pages, limit);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 1), over);
	if (!over)
		iopt_pages_uncharge(pages, 1);
	charge_check(test, pages, limit);
	iopt_pages_uncharge(pages, 40);
	charge_check(test, pages, limit - 40);
	for (unsigned long n = limit - 40; n < limit; n++) {
		KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 1), 0);
		charge_check(test, pages, n + 1);
	}
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 900), over);
	if (!over)
		iopt_pages_uncharge(pages, 900);
	iopt_pages_uncharge(pages, limit);
	charge_check(test, pages, 0);
	mutex_unlock(&pages->mutex);
	iopt_pages_put(pages);
}

/* If more than the limit is charged already, no page can be charged. */
static void charge_fails_if_limit_was_lowered(struct kunit *test)
{
	const struct charge_case *c = test->param_value;
	struct rlimit *rlimit = &current->signal->rlim[RLIMIT_MEMLOCK];
	struct iopt_pages *pages = charge_pages(test);
	int over = c->user || c->mm ? -ENOMEM : 0;

	rlimit->rlim_cur = RLIM_INFINITY;
	mutex_lock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 10), 0);
	rlimit->rlim_cur = 5 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 1), over);
	if (!over)
		iopt_pages_uncharge(pages, 1);
	charge_check(test, pages, 10);
	iopt_pages_uncharge(pages, 10);
	mutex_unlock(&pages->mutex);
	iopt_pages_put(pages);
}

/* Pages cannot be charged to an mm that has exited, but can be uncharged. */
static void charge_fails_and_uncharge_works_after_exit(struct kunit *test)
{
	const struct charge_case *c = test->param_value;
	struct iopt_pages *pages = charge_pages(test);
	struct iopt_kunit *ik = test->priv;
	int users;

	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
	mutex_lock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 3), 0);
	charge_check(test, pages, 3);
	users = atomic_xchg(&ik->mm->mm_users, 0);
	KUNIT_EXPECT_EQ(test, iopt_pages_charge(pages, 2), c->mm ? -EFAULT : 0);
	iopt_pages_uncharge(pages, c->mm ? 3 : 5);
	atomic_set(&ik->mm->mm_users, users);
	KUNIT_EXPECT_EQ(test, pages->npinned, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ik->mm->pinned_vm), 0);
	if (c->mm)
		ik->mm->locked_vm -= 3;
	mutex_unlock(&pages->mutex);
	iopt_pages_put(pages);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE(tier_of_every_range_matches_oracle),
	KUNIT_CASE_PARAM(user_range_becomes_whole_pages_or_fails, user_gen_params),
	KUNIT_CASE(last_put_releases_origin),
	KUNIT_CASE_PARAM(cap_ipc_lock_lifts_limit, charge_gen_params),
	KUNIT_CASE(charge_without_limit_accounts_all),
	KUNIT_CASE_PARAM(charge_fails_above_limit, charge_gen_params),
	KUNIT_CASE_PARAM(charge_fails_if_limit_was_lowered, charge_gen_params),
	KUNIT_CASE_PARAM(charge_fails_and_uncharge_works_after_exit, charge_gen_params),
	{}
};

static struct kunit_suite pages_suite = {
	.name = "iommufd_iopt_pages",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = pages_cases,
};

kunit_test_suite(pages_suite);
