// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of concurrent queries. The IOTLB flush of the first query starts a second query
 * in another thread, and waits until it returns or waits for the first one.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include "dirty/iopt_dirty.h"
#include "tests/dirty/track_kunit.h"

/* Pages that are mapped: a leaf of 2 MiB and three of 64 KiB if the domain has these. */
#define CONCURRENT_PAGES	560U
/* Maximum pages that a query covers. */
#define CONCURRENT_BITS		256

/* Longer than any query that ends or waits for its range needs for that. */
#define CONCURRENT_TIMEOUT	(10 * HZ)

static const struct model_config concurrent_model = {
	"query lock", 1, 0, SZ_1G, SZ_4M,
	{ SZ_4K | SZ_64K | SZ_2M, SZ_4K, SZ_4K, SZ_4K },
	.flags = MODEL_HUGE,
};

/* The window of IOVAs is high enough for a query that begins one bitmap window below. */
#define CONCURRENT_WINDOW	((u64)SZ_1G * 64)
static const struct model_config concurrent_far_model = {
	"query lock, windows", 1, 0, 2 * CONCURRENT_WINDOW, SZ_4M,
	{ SZ_4K, SZ_4K, SZ_4K, SZ_4K },
	.flags = MODEL_HUGE | MODEL_LONG_QUERY,
};

/**
 * struct concurrent_case - two queries
 * @name: name of the test parameter
 * @domain: index of the domain: 0 has large leaves, 1 does not
 * @first: pages of the first query
 * @second: pages of the second query
 * @ioas: the second query is iopt_read_dirty()
 * @waits: the second query must wait for the first one
 */
struct concurrent_case {
	const char *name;
	unsigned int domain;
	struct track_range first;
	struct track_range second;
	bool ioas;
	bool waits;
};

static const struct concurrent_case concurrent_cases[] = {
	{ "same range", 1, { 8, 16 }, { 8, 16 }, .waits = true },
	{ "end overlaps", 1, { 8, 16 }, { 16, 16 }, .waits = true },
	{ "start overlaps", 1, { 8, 16 }, { 0, 16 }, .waits = true },
	{ "last page", 1, { 8, 16 }, { 23, 16 }, .waits = true },
	{ "first page", 1, { 8, 16 }, { 0, 9 }, .waits = true },
	{ "within", 1, { 8, 16 }, { 12, 2 }, .waits = true },
	{ "around", 1, { 8, 16 }, { 0, 64 }, .waits = true },
	{ "IOAS, overlapping", 1, { 8, 16 }, { 16, 16 }, .ioas = true,
	  .waits = true },
	{ "halves of a leaf", 0, { 0, 256 }, { 256, 256 }, .waits = true },
	{ "halves of a leaf, second first", 0, { 520, 8 }, { 512, 8 },
	  .waits = true },
	{ "IOAS, halves of a leaf", 0, { 512, 8 }, { 520, 8 }, .ioas = true,
	  .waits = true },
	{ "disjoint", 1, { 8, 16 }, { 100, 16 } },
	{ "adjacent", 1, { 8, 16 }, { 24, 16 } },
	{ "adjacent, second first", 1, { 8, 16 }, { 0, 8 } },
	{ "IOAS, adjacent", 1, { 8, 16 }, { 24, 16 }, .ioas = true },
	{ "adjacent leaves", 0, { 512, 16 }, { 528, 16 } },
	{ "halves of two leaves", 0, { 520, 8 }, { 528, 8 } },
};

KUNIT_ARRAY_PARAM_DESC(concurrent, concurrent_cases, name);

/**
 * struct concurrent_run - state of a test
 * @c: the two queries
 * @t: an IOAS with one domain
 * @md: the domain
 * @driver_ops: operations of the domain without this test
 * @driver_dirty_ops: dirty operations of the domain without this test
 * @ops: @driver_ops with the flush replaced
 * @dirty_ops: @driver_dirty_ops with the query replaced
 * @mm: the mm that has the bitmaps mapped
 * @first: the thread of the first query, which is the test's thread
 * @second: the thread of the second query, or NULL if it was not started
 * @query: arguments of the second query
 * @done: completed when the second query has returned
 * @rc: result of the second query
 * @reads: number of calls of read_and_clear_dirty by the second query
 * @early_reads: @reads when the first query flushed
 * @early_done: the second query had returned when the first query flushed
 * @waited: the second query waited for its range when the first query flushed
 * @fails: the driver makes the first query fail after @second was started
 */
struct concurrent_run {
	const struct concurrent_case *c;
	struct track *t;
	struct model_domain *md;
	const struct iommu_domain_ops *driver_ops;
	const struct iommu_dirty_ops *driver_dirty_ops;
	struct iommu_domain_ops ops;
	struct iommu_dirty_ops dirty_ops;
	struct mm_struct *mm;
	struct task_struct *first;
	struct task_struct *second;
	struct iopt_dirty_query query;
	struct completion done;
	int rc;
	unsigned int reads;
	unsigned int early_reads;
	bool early_done;
	bool waited;
	bool fails;
};

static struct concurrent_run *concurrent_run_of(struct iommu_domain *domain)
{
	return container_of(domain->ops, struct concurrent_run, ops);
}

/* The page that a device writes again after the first query's flush. */
static unsigned int concurrent_rewritten(const struct concurrent_run *run)
{
	return max(run->c->first.first, run->c->second.first);
}

static void concurrent_write(struct concurrent_run *run, unsigned int page)
{
	unsigned long start, last;

	iopt_model_domain_write(run->md, track_iova(run->t, page), &start,
				&last);
}

static int concurrent_second_thread(void *opaque)
{
	struct concurrent_run *run = opaque;
	struct io_pagetable *iopt = &run->t->iopt;

	kthread_use_mm(run->mm);
	if (run->c->ioas)
		run->rc = iopt_read_dirty(iopt, &run->query);
	else
		run->rc = iopt_read_and_clear_dirty(iopt, &run->md->domain,
						    &run->query);
	kthread_unuse_mm(run->mm);
	complete(&run->done);
	return 0;
}

static bool concurrent_is_waiting(struct concurrent_run *run)
{
	struct iopt_domain *entry = iopt_find_domain(&run->t->iopt,
						     &run->md->domain);

	return (wq_has_sleeper(&entry->query_lock.wait) ||
		wq_has_sleeper(&entry->call_lock.wait)) &&
	       READ_ONCE(run->second->__state) & TASK_UNINTERRUPTIBLE;
}

/* Return when the second query has ended or waits for its range. */
static void concurrent_watch_second(struct concurrent_run *run)
{
	unsigned long end = jiffies + CONCURRENT_TIMEOUT;

	do {
		cond_resched();
		run->early_done = completion_done(&run->done);
		run->waited = !run->early_done && concurrent_is_waiting(run);
	} while (!run->early_done && !run->waited && time_before(jiffies, end));
	run->early_reads = READ_ONCE(run->reads);
}

static void concurrent_start_second(struct concurrent_run *run)
{
	struct task_struct *second;

	second = kthread_create(concurrent_second_thread, run, "iova_range_lock");
	if (IS_ERR(second))
		return;
	run->second = get_task_struct(second);
	wake_up_process(second);
	concurrent_watch_second(run);
}

static void concurrent_iotlb_sync(struct iommu_domain *domain,
				  struct iommu_iotlb_gather *gather)
{
	struct concurrent_run *run = concurrent_run_of(domain);
	bool starts = current == run->first && !run->second;

	if (starts)
		concurrent_start_second(run);
	run->driver_ops->iotlb_sync(domain, gather);
	/* From here on a write sets the dirty bit again. */
	if (starts)
		concurrent_write(run, concurrent_rewritten(run));
}

static int concurrent_read_and_clear_dirty(struct iommu_domain *domain,
					   unsigned long iova, size_t size,
					   unsigned long flags,
					   struct iommu_dirty_bitmap *dirty)
{
	struct concurrent_run *run = concurrent_run_of(domain);

	if (current == run->second) {
		WRITE_ONCE(run->reads, run->reads + 1);
	} else if (run->fails && run->second) {
		concurrent_watch_second(run);
		return -EIO;
	}
	return run->driver_dirty_ops->read_and_clear_dirty(domain, iova, size,
							   flags, dirty);
}

/* Set up an IOAS with one domain, which tracks, and map CONCURRENT_PAGES pages. */
static struct concurrent_run *concurrent_begin(struct kunit *test,
					       const struct concurrent_case *c,
					       const struct model_config *model)
{
	struct concurrent_run *run = iopt_kunit_vzalloc(test, sizeof(*run));
	struct iommu_domain *domain;

	run->c = c;
	run->t = iopt_tracked_begin(test, model);
	run->md = &run->t->run->domains[run->c->domain];
	run->mm = current->mm;
	run->first = current;
	init_completion(&run->done);
	iopt_tracked_map(run->t, 0, 0, 0, CONCURRENT_PAGES);
	iopt_tracked_add_domain(run->t, run->c->domain);

	domain = &run->md->domain;
	KUNIT_ASSERT_EQ(test, 0,
			iopt_set_dirty_tracking(&run->t->iopt, domain, true));
	if (run->c->ioas)
		iopt_tracked_start(run->t);
	run->driver_ops = domain->ops;
	run->driver_dirty_ops = domain->dirty_ops;
	run->ops = *domain->ops;
	run->ops.iotlb_sync = concurrent_iotlb_sync;
	run->dirty_ops = *domain->dirty_ops;
	run->dirty_ops.read_and_clear_dirty = concurrent_read_and_clear_dirty;
	domain->ops = &run->ops;
	domain->dirty_ops = &run->dirty_ops;
	return run;
}

static void concurrent_end(struct kunit *test, struct concurrent_run *run)
{
	struct iommu_domain *domain = &run->md->domain;

	domain->ops = run->driver_ops;
	domain->dirty_ops = run->driver_dirty_ops;
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&run->t->iopt, domain, false));
	if (run->c->ioas)
		iopt_tracked_stop(run->t);
	iopt_tracked_end(run->t);
}

/* Wait for the end of the second query; if it was not woken, fail and wake it. */
static void concurrent_join(struct kunit *test, struct concurrent_run *run)
{
	struct iopt_domain *entry;

	KUNIT_ASSERT_NOT_NULL(test, run->second);
	if (!wait_for_completion_timeout(&run->done, CONCURRENT_TIMEOUT)) {
		KUNIT_FAIL(test, "the second query does not end");
		scoped_guard(rwsem_read, &run->t->iopt.iova_rwsem)
			entry = iopt_find_domain(&run->t->iopt,
						 &run->md->domain);
		wake_up_all(&entry->query_lock.wait);
		wake_up_all(&entry->call_lock.wait);
	}
	kthread_stop_put(run->second);
}

static struct iopt_dirty_query concurrent_query(const struct concurrent_run *run,
						const struct track_range *range,
						unsigned int nr)
{
	return (struct iopt_dirty_query){
		.iova = track_iova(run->t, range->first),
		.length = range->n * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)run->t->run->bitmap + nr * PAGE_SIZE,
	};
}

/*
 * The first query reports every page of its range. The second one reports every page that
 * is not in the range of the first, and the page written after the flush.
 */
static void concurrent_check(struct kunit *test, struct concurrent_run *run,
			     const struct iopt_dirty_query *query,
			     const struct track_range *range)
{
	const struct track_range *first = &run->c->first;
	u64 bits[CONCURRENT_BITS / 64] = {};

	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(bits, query->data, sizeof(bits)));
	for (unsigned int i = 0; i < CONCURRENT_BITS; i++) {
		unsigned int page = range->first + i;
		bool dirty = i < range->n;

		if (range != first && page >= first->first &&
		    page < first->first + first->n)
			dirty &= page == concurrent_rewritten(run);
		KUNIT_EXPECT_EQ_MSG(test, dirty,
				    !!(bits[i / 64] & BIT_ULL(i % 64)),
				    "page %u of the %s query", page,
				    range == first ? "first" : "second");
	}
}

/*
 * All pages are dirty, and cached as dirty in the IOTLB. A second query that begins between
 * the first query's driver call and its flush waits if both cover pages of one leaf, even
 * if they have no page in common, and reports pages written after the flush.
 */
static void query_during_flush_of_another_waits_if_leaves_overlap(struct kunit *test)
{
	const struct concurrent_case *c = test->param_value;
	struct concurrent_run *run = concurrent_begin(test, c,
						      &concurrent_model);
	struct iopt_dirty_query query = concurrent_query(run, &c->first, 0);

	run->query = concurrent_query(run, &c->second, 1);
	for (unsigned int page = 0; page < CONCURRENT_PAGES; page++)
		concurrent_write(run, page);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_read_and_clear_dirty(&run->t->iopt,
						  &run->md->domain, &query));
	concurrent_join(test, run);
	KUNIT_EXPECT_EQ(test, run->waited, c->waits);
	KUNIT_EXPECT_EQ(test, run->early_done, !c->waits);
	KUNIT_EXPECT_EQ(test, run->early_reads, c->waits ? 0 : 1);
	KUNIT_EXPECT_EQ(test, run->reads, 1);
	KUNIT_EXPECT_EQ(test, run->rc, 0);
	concurrent_check(test, run, &query, &c->first);
	concurrent_check(test, run, &run->query, &c->second);
	concurrent_end(test, run);
}

/*
 * The first query clears dirty bits in the first window of its bitmap, and fails in the
 * second window. A query that began before the failure waits, and reports the dirty bits.
 */
static void query_reports_what_failed_query_cleared(struct kunit *test)
{
	static const struct concurrent_case c = {
		"fails", 1, { 8, 8 }, { 8, 8 }, .waits = true,
	};
	struct concurrent_run *run = concurrent_begin(test, &c,
						      &concurrent_far_model);
	struct iopt_dirty_query query = {
		.iova = track_iova(run->t, 16) - CONCURRENT_WINDOW,
		.length = CONCURRENT_WINDOW + 16 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)run->t->run->bitmap,
	};
	u64 bits = 0;

	run->fails = true;
	/* The bitmap of the second query is after the two windows of the first. */
	run->query = concurrent_query(run, &c.second,
				      SZ_2M / PAGE_SIZE + 8);
	for (unsigned int page = 0; page < CONCURRENT_PAGES; page++)
		concurrent_write(run, page);
	KUNIT_EXPECT_EQ(test, -EIO,
			iopt_read_and_clear_dirty(&run->t->iopt,
						  &run->md->domain, &query));
	KUNIT_EXPECT_FALSE(test, run->early_done);
	concurrent_join(test, run);
	KUNIT_EXPECT_EQ(test, run->rc, 0);
	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(&bits, run->query.data, sizeof(bits)));
	KUNIT_EXPECT_EQ(test, bits, GENMASK_ULL(7, 0));
	concurrent_end(test, run);
}

static struct kunit_case concurrent_kunit_cases[] = {
	KUNIT_CASE_PARAM(query_during_flush_of_another_waits_if_leaves_overlap,
			 concurrent_gen_params),
	KUNIT_CASE(query_reports_what_failed_query_cleared),
	{}
};

static struct kunit_suite concurrent_suite = {
	.name = "iommufd_iopt_concurrent_query",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = concurrent_kunit_cases,
};

kunit_test_suite(concurrent_suite);
