// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of errors of struct pfn_reader: memory that is not mapped or not writable, a
 * process that has exited, limits. After each walk the tests check how far the reader
 * got, and that exactly the pages whose pins the caller kept are pinned and charged.
 */
#include <kunit/static_stub.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>

#include "memory/pfn_reader.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

#define STOP_PAGES	12

/* The thread that reads has the mm, has no mm, or reads after the mm has exited. */
enum stop_thread {
	STOP_SELF,
	STOP_OTHER,
	STOP_EXITED,
};

/**
 * struct stop_walk - parameters and results of a walk
 * @test: the test
 * @pages: the memory
 * @index: first page index
 * @last: last page index
 * @keep: keep the pins of each batch
 * @kept: PFNs of the pages whose pins were kept
 * @nkept: number of @kept
 * @next: the first page index that was not read
 * @batches: number of batches that were read
 */
struct stop_walk {
	struct kunit *test;
	struct iopt_pages *pages;
	unsigned long index;
	unsigned long last;
	bool keep;
	unsigned long kept[STOP_PAGES];
	unsigned long nkept;
	unsigned long next;
	unsigned int batches;
};

static void stop_check(struct stop_walk *walk)
{
	struct iopt_pages *pages = walk->pages;
	struct iopt_kunit *ik = walk->test->priv;
	bool user = pages->account_mode == IOPT_PAGES_ACCOUNT_USER;
	bool mm = pages->account_mode == IOPT_PAGES_ACCOUNT_MM;
	long n = walk->nkept;

	iopt_kunit_expect_pins(walk->test, n);
	KUNIT_EXPECT_EQ(walk->test, pages->npinned, n);
	KUNIT_EXPECT_EQ(walk->test, atomic64_read(&ik->mm->pinned_vm), n);
	KUNIT_EXPECT_EQ(walk->test, ik->mm->locked_vm, mm ? n : 0);
	KUNIT_EXPECT_EQ(walk->test,
			atomic_long_read(&current_user()->locked_vm),
			ik->user_locked + (user ? n : 0));
}

static void stop_keep(struct stop_walk *walk, struct pfn_reader *reader)
{
	for (unsigned int i = 0; i < reader->batch.nr; i++)
		for (unsigned long n = 0; n < reader->batch.runs[i].npages; n++)
			walk->kept[walk->nkept++] =
				reader->batch.runs[i].pfn + n;
	pfn_reader_keep_pins(reader);
}

static void stop_unpin_kept(struct stop_walk *walk)
{
	struct pfn_batch batch;

	pfn_batch_init(&batch, 1);
	while (walk->nkept) {
		pfn_batch_clear(&batch);
		pfn_batch_add(&batch, walk->kept[--walk->nkept], 1);
		pfn_batch_unpin(&batch, walk->pages, 0, 1);
	}
	pfn_batch_destroy(&batch);
}

/* Read a batch by the thread's own mm, without an mm, or after the mm's exit. */
static int stop_next(struct pfn_reader *reader, struct iopt_kunit *ik,
		     enum stop_thread thread)
{
	int users, rc;

	switch (thread) {
	case STOP_OTHER:
		kthread_unuse_mm(ik->mm);
		rc = pfn_reader_next(reader);
		kthread_use_mm(ik->mm);
		return rc;
	case STOP_EXITED:
		users = atomic_read(&ik->mm->mm_users);
		kthread_unuse_mm(ik->mm);
		atomic_set(&ik->mm->mm_users, 0);
		rc = pfn_reader_next(reader);
		atomic_set(&ik->mm->mm_users, users);
		kthread_use_mm(ik->mm);
		return rc;
	default:
		return pfn_reader_next(reader);
	}
}

static int stop_run(struct stop_walk *walk, enum stop_thread thread)
{
	struct pfn_reader reader;
	int rc;

	walk->nkept = 0;
	walk->batches = 0;
	mutex_lock(&walk->pages->mutex);
	pfn_reader_init(&reader, walk->pages, walk->index, walk->last);
	while ((rc = stop_next(&reader, walk->test->priv, thread)) > 0) {
		walk->batches++;
		if (walk->keep)
			stop_keep(walk, &reader);
	}
	walk->next = reader.index;
	stop_check(walk);
	pfn_reader_destroy(&reader);
	stop_check(walk);
	stop_unpin_kept(walk);
	stop_check(walk);
	mutex_unlock(&walk->pages->mutex);
	return rc;
}

static const size_t stop_limits[] = { 1, 16, 32, 48, SZ_64K };

/* The reason why one of the pages cannot be pinned. */
enum stop_fault {
	STOP_HOLE,
	STOP_READONLY,
	STOP_NO_ACCESS,
};

/**
 * struct stop_case - a page that cannot be pinned, or only for reading
 * @name: name of the test parameter
 * @fault: the reason
 * @writable: pages are pinned for writing
 * @thread: the thread that pins
 * @rc: expected result of the walk
 */
struct stop_case {
	const char *name;
	enum stop_fault fault;
	bool writable;
	enum stop_thread thread;
	int rc;
};

static const struct stop_case stop_cases[] = {
	{ "hole", STOP_HOLE, true, STOP_SELF, -EFAULT },
	{ "hole, read", STOP_HOLE, false, STOP_SELF, -EFAULT },
	{ "hole, other thread", STOP_HOLE, true, STOP_OTHER, -EFAULT },
	{ "read only", STOP_READONLY, true, STOP_SELF, -EFAULT },
	{ "read only, other thread", STOP_READONLY, true, STOP_OTHER, -EFAULT },
	{ "read only, read", STOP_READONLY, false, STOP_SELF, 0 },
	{ "read only, read by other thread", STOP_READONLY, false, STOP_OTHER, 0 },
	{ "no access", STOP_NO_ACCESS, false, STOP_SELF, -EFAULT },
};

KUNIT_ARRAY_PARAM_DESC(stop, stop_cases, name);

static unsigned long stop_memory(struct kunit *test, unsigned long bad,
				 enum stop_fault fault)
{
	unsigned long address = iopt_kunit_mmap(test, STOP_PAGES);
	unsigned long page = address + bad * PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(page, PAGE_SIZE));
	if (fault == STOP_HOLE)
		return address;
	KUNIT_ASSERT_EQ(test, page,
			vm_mmap(NULL, page, PAGE_SIZE,
				fault == STOP_READONLY ? PROT_READ : PROT_NONE,
				MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0));
	return address;
}

static struct iopt_pages *stop_pages(struct kunit *test, unsigned long address,
				     bool writable)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_user((void __user *)address,
				      STOP_PAGES * PAGE_SIZE, writable,
				      IOPT_PAGES_ACCOUNT_NONE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pages);
	return pages;
}

/* The inaccessible page is any page, and batches have any room. */
static void reader_stops_at_inaccessible_page(struct kunit *test)
{
	const struct stop_case *c = test->param_value;
	struct stop_walk walk = { .test = test };
	int rc;

	for (unsigned long bad = 0; bad < STOP_PAGES; bad++) {
		walk.pages = stop_pages(test, stop_memory(test, bad, c->fault),
					c->writable);
		for (unsigned int i = 0; i < 2 * ARRAY_SIZE(stop_limits); i++) {
			iopt_test_memory_limit = stop_limits[i / 2];
			walk.keep = i & 1;
			walk.index = 0;
			walk.last = STOP_PAGES - 1;
			rc = stop_run(&walk, c->thread);
			KUNIT_EXPECT_EQ(test, rc, c->rc);
			KUNIT_EXPECT_LE(test, walk.next,
					c->rc ? bad : STOP_PAGES);
			/* The pages in front of it and after it can be pinned. */
			if (bad) {
				walk.last = bad - 1;
				KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, c->thread));
				KUNIT_EXPECT_EQ(test, walk.next, bad);
			}
			if (bad < STOP_PAGES - 1) {
				walk.index = bad + 1;
				walk.last = STOP_PAGES - 1;
				KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, c->thread));
			}
		}
		iopt_pages_put(walk.pages);
	}
}

/* Pages of a process that has exited cannot be pinned. */
static void reader_fails_after_exit(struct kunit *test)
{
	struct stop_walk walk = { .test = test, .last = STOP_PAGES - 1 };

	walk.pages = stop_pages(test, iopt_kunit_mmap(test, STOP_PAGES), true);
	KUNIT_EXPECT_EQ(test, -EFAULT, stop_run(&walk, STOP_EXITED));
	KUNIT_EXPECT_EQ(test, walk.next, 0);
	KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, STOP_OTHER));
	iopt_pages_put(walk.pages);
}

/**
 * struct stop_limit - a counter with or without a limit
 * @name: name of the test parameter
 * @mode: the counter
 * @limited: RLIMIT_MEMLOCK limits the counter
 */
struct stop_limit {
	const char *name;
	enum iopt_account_mode mode;
	bool limited;
};

static const struct stop_limit stop_modes[] = {
	{ "not charged", IOPT_PAGES_ACCOUNT_NONE, false },
	{ "user", IOPT_PAGES_ACCOUNT_USER, true },
	{ "mm", IOPT_PAGES_ACCOUNT_MM, true },
};

KUNIT_ARRAY_PARAM_DESC(stop_limit, stop_modes, name);

/* Every limit from 0 to the number of pages. Pages whose pins are not kept are uncharged. */
static void reader_stops_at_limit(struct kunit *test)
{
	struct stop_walk walk = { .test = test, .last = STOP_PAGES - 1 };
	const struct stop_limit *c = test->param_value;
	struct iopt_kunit *ik = test->priv;
	unsigned long others = c->mode == IOPT_PAGES_ACCOUNT_USER ?
			       ik->user_locked : 0;

	walk.pages = stop_pages(test, iopt_kunit_mmap(test, STOP_PAGES), true);
	walk.pages->account_mode = c->mode;
	for (unsigned long limit = 0; limit <= STOP_PAGES; limit++) {
		current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur =
			(limit + others) * PAGE_SIZE;
		for (unsigned int i = 0; i < ARRAY_SIZE(stop_limits); i++) {
			bool enough = !c->limited || limit == STOP_PAGES;

			iopt_test_memory_limit = stop_limits[i];
			walk.keep = true;
			KUNIT_EXPECT_EQ(test, enough ? 0 : -ENOMEM,
					stop_run(&walk, STOP_SELF));
			if (!enough)
				KUNIT_EXPECT_LE(test, walk.next, limit);

			/* With batches of one page, a limit of one page suffices. */
			if (stop_limits[i] != 1 || !limit)
				continue;
			walk.keep = false;
			KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, STOP_SELF));
		}
	}
	iopt_pages_put(walk.pages);
}

static long stop_no_pages(struct iopt_pages *pages, unsigned long addr,
			  unsigned long npages, struct page **list)
{
	return 0;
}

/* Bug: 0 returned by pin_user_pages_remote() was neither a page nor an error. */
static void reader_fails_if_gup_returns_0(struct kunit *test)
{
	struct stop_walk walk = { .test = test, .last = STOP_PAGES - 1 };

	walk.pages = stop_pages(test, iopt_kunit_mmap(test, STOP_PAGES), true);
	kunit_activate_static_stub(test, pages_user_gup, stop_no_pages);
	KUNIT_EXPECT_EQ(test, -EFAULT, stop_run(&walk, STOP_SELF));
	KUNIT_EXPECT_EQ(test, walk.next, 0);
	iopt_pages_put(walk.pages);
}

/**
 * struct stop_origin - an origin that pins a few pages at a time
 * @address: address of the memory in the test's mm
 * @burst: maximum number of pages that one call pins
 * @fail: the page index that cannot be pinned
 * @calls: number of calls
 * @crosses_pmd: number of calls for a range that crosses a multiple of PMD_SIZE, but ends
 *	neither at such a multiple nor at the end of the memory
 * @crosses_1g: number of calls for a range that crosses a multiple of 1 GiB
 */
static struct stop_origin {
	unsigned long address;
	unsigned long burst;
	unsigned long fail;
	unsigned int calls;
	unsigned int crosses_pmd;
	unsigned int crosses_1g;
} stop_origin;

static void stop_origin_record(struct iopt_pages *pages, unsigned long index,
			       unsigned long npages)
{
	unsigned long start = pages->start + index * PAGE_SIZE;
	unsigned long end = start + npages * PAGE_SIZE;

	stop_origin.calls++;
	if (index + npages < pages->npages && end % PMD_SIZE)
		stop_origin.crosses_pmd += start / PMD_SIZE != end / PMD_SIZE;
	stop_origin.crosses_1g += start / SZ_1G != (end - 1) / SZ_1G;
}

static long stop_origin_pin(struct iopt_pages *pages, struct pfn_pinner *pinner,
			    struct pfn_batch *batch, unsigned long index,
			    unsigned long npages)
{
	struct page **list = (struct page **)pinner->list;
	long got;

	stop_origin_record(pages, index, npages);
	/* The caller must have room for all pages that it requests. */
	if (!npages || npages > pinner->max ||
	    npages > batch->max - batch->nr || index + npages > pages->npages)
		return -EXDEV;
	if (index == stop_origin.fail)
		return -EIO;
	npages = min3(npages, stop_origin.burst, stop_origin.fail - index);
	got = pin_user_pages_fast(stop_origin.address + index * PAGE_SIZE,
				  npages, FOLL_WRITE | FOLL_LONGTERM, list);
	if (got > 0)
		pfn_batch_add_pages(batch, list, got);
	return got;
}

static const struct iopt_pages_ops stop_origin_ops = {
	.pin = stop_origin_pin,
};

static struct iopt_pages *stop_origin_pages(struct kunit *test)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc(&stop_origin_ops, STOP_PAGES, true,
				 IOPT_PAGES_ACCOUNT_NONE);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	memset(&stop_origin, 0, sizeof(stop_origin));
	stop_origin.address = iopt_kunit_mmap(test, STOP_PAGES);
	stop_origin.fail = STOP_PAGES;
	stop_origin.burst = STOP_PAGES;
	return pages;
}

/* The origin pins any number of pages at a time, and fails at any page. */
static void reader_stops_at_failing_page_of_any_burst(struct kunit *test)
{
	struct stop_walk walk = { .test = test, .last = STOP_PAGES - 1 };

	walk.pages = stop_origin_pages(test);
	for (unsigned int i = 0; i < ARRAY_SIZE(stop_limits); i++) {
		iopt_test_memory_limit = stop_limits[i];
		for (unsigned long fail = 0; fail <= STOP_PAGES; fail++) {
			for (unsigned long burst = 1; burst <= 7; burst++) {
				int want = fail < STOP_PAGES ? -EIO : 0;

				stop_origin.fail = fail;
				stop_origin.burst = burst;
				walk.keep = burst & 1;
				KUNIT_EXPECT_EQ(test, want,
						stop_run(&walk, STOP_SELF));
				KUNIT_EXPECT_LE(test, walk.next, fail);
				/* The reader merges small bursts to large batches. */
				if (stop_limits[i] == SZ_64K)
					KUNIT_EXPECT_LE(test, walk.batches, 2);
			}
		}
	}
	/* One call pins all pages, and there is no call after the last page. */
	stop_origin.burst = STOP_PAGES;
	stop_origin.calls = 0;
	KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, STOP_SELF));
	KUNIT_EXPECT_EQ(test, stop_origin.calls, 1);
	iopt_pages_put(walk.pages);
}

/*
 * The pages of one call end at a multiple of PMD_SIZE rather than after it, and always at
 * a multiple of 1 GiB, whatever the address of the memory is.
 */
static void reader_pins_up_to_huge_page_boundaries(struct kunit *test)
{
	struct stop_walk walk = { .test = test, .last = STOP_PAGES - 1 };

	walk.pages = stop_origin_pages(test);
	for (unsigned int i = 0; i < ARRAY_SIZE(stop_limits); i++) {
		iopt_test_memory_limit = stop_limits[i];
		for (unsigned long n = 0; n <= STOP_PAGES; n++) {
			walk.keep = n & 1;
			walk.pages->start = 5 * PMD_SIZE - n * PAGE_SIZE;
			KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, STOP_SELF));
			KUNIT_EXPECT_EQ(test, stop_origin.crosses_pmd, 0);

			walk.pages->start = SZ_1G - n * PAGE_SIZE;
			KUNIT_EXPECT_EQ(test, 0, stop_run(&walk, STOP_SELF));
			KUNIT_EXPECT_EQ(test, stop_origin.crosses_1g, 0);
			if (stop_limits[i] == SZ_64K)
				KUNIT_EXPECT_EQ(test, walk.batches,
						n && n < STOP_PAGES ? 2 : 1);
		}
	}
	iopt_pages_put(walk.pages);
}

static struct kunit_case stop_kunit_cases[] = {
	KUNIT_CASE_PARAM(reader_stops_at_inaccessible_page, stop_gen_params),
	KUNIT_CASE(reader_fails_after_exit),
	KUNIT_CASE_PARAM(reader_stops_at_limit, stop_limit_gen_params),
	KUNIT_CASE(reader_fails_if_gup_returns_0),
	KUNIT_CASE(reader_stops_at_failing_page_of_any_burst),
	KUNIT_CASE(reader_pins_up_to_huge_page_boundaries),
	{}
};

static struct kunit_suite stop_suite = {
	.name = "iommufd_pfn_reader_error",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = stop_kunit_cases,
};

kunit_test_suite(stop_suite);
