// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regression tests of map and unmap: see iopt_bugs_kunit.c.
 */
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>

#include "tests/model/bugs_kunit.h"

/* Unpin the pages, then unmap the range that the caller is about to unmap. */
static void bug_unmap_again(struct kunit *test, unsigned long iova,
			    unsigned long length)
{
	struct bug_test *bug = test->priv;

	if (bug->unmapped > 1)
		return;
	iopt_unpin_pages(&bug->iopt, NULL, BASE + PAGES(2), PAGES(3));
	iopt_bug_unmap(test, iova, length);
}

/* Bug: unmap used an area that was freed while it called the unmap callbacks. */
static void area_unmapped_by_notification_is_skipped(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	unsigned long bytes = 1;

	bug->on_unmap = bug_unmap_again;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&bug->iopt, &bug->access));
	iopt_bug_add_domain(test, 0);
	iopt_bug_map(test, BASE, 1, 0, PAGES(8));
	iopt_bug_pin(test, BASE + PAGES(2), PAGES(3));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&bug->iopt, BASE, PAGES(8), &bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	KUNIT_EXPECT_EQ(test, bug->unmapped, 1);
	iopt_bug_remove_domain(test, 0);
	iopt_remove_access(&bug->iopt, &bug->access);
	iopt_bug_end(test);
}

/**
 * struct bug_pinner - a thread that pins and unpins pages
 * @bug: state of the test
 * @lock: guards @pinned
 * @pinned: pages are pinned
 * @rounds: number of rounds of pin and unpin that are left
 * @done: no round is left
 */
struct bug_pinner {
	struct bug_test *bug;
	/* guards @pinned */
	struct mutex lock;
	bool pinned;
	unsigned int rounds;
	struct completion done;
};

static void bug_pinner_unpin(struct bug_pinner *pinner)
{
	guard(mutex)(&pinner->lock);
	if (pinner->pinned)
		iopt_unpin_pages(&pinner->bug->iopt, NULL, BASE + PAGES(3),
				 PAGES(6));
	pinner->pinned = false;
}

static int bug_pinner_thread(void *data)
{
	struct bug_pinner *pinner = data;
	int rc;

	while (pinner->rounds--) {
		scoped_guard(mutex, &pinner->lock)
		{
			rc = iopt_pin_pages(&pinner->bug->iopt, NULL, BASE + PAGES(3),
					    PAGES(6),
					    pinner->bug->run->out_pages, 0);
			pinner->pinned = !rc;
		}
		schedule_timeout_uninterruptible(pinner->rounds % 2);
		bug_pinner_unpin(pinner);
	}
	complete(&pinner->done);
	return 0;
}

static void bug_unpin_on_unmap(struct kunit *test, unsigned long iova,
			       unsigned long length)
{
	bug_pinner_unpin(((struct bug_test *)test->priv)->pinner);
}

/* Bug: unpin used an area after it had dropped the lock, while unmap freed it. */
static void unpin_during_unmap_leaves_no_page_pinned(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	struct bug_pinner pinner = { .bug = bug, .rounds = 100 };
	struct task_struct *thread;

	mutex_init(&pinner.lock);
	init_completion(&pinner.done);
	bug->pinner = &pinner;
	bug->on_unmap = bug_unpin_on_unmap;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&bug->iopt, &bug->access));
	iopt_bug_add_domain(test, 0);
	thread = kthread_run(bug_pinner_thread, &pinner, "iopt_bug_pinner");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	while (!completion_done(&pinner.done)) {
		KUNIT_EXPECT_EQ(test, 0,
				iopt_bug_try_map(bug, BASE, 1, 0, PAGES(6)));
		KUNIT_EXPECT_EQ(test, 0,
				iopt_bug_try_map(bug, BASE + PAGES(6), 0, 0,
						 PAGES(8)));
		schedule_timeout_uninterruptible(1);
		iopt_bug_unmap(test, BASE, PAGES(14));
	}
	wait_for_completion(&pinner.done);
	iopt_bug_remove_domain(test, 0);
	iopt_remove_access(&bug->iopt, &bug->access);
	iopt_bug_end(test);
}

/* Bug: the alignment of an allocated IOVA overflowed for an enormous length. */
static void enormous_length_gets_no_iova(struct kunit *test)
{
	static const unsigned long lengths[] = {
		BIT(62),
		BIT(63) - PAGE_SIZE,
		BIT(63) - 1,
		BIT(63),
		BIT(63) + 1,
		3UL << 62,
		ULONG_MAX - 2 * PAGE_SIZE,
		ULONG_MAX - PAGE_SIZE,
		ULONG_MAX,
	};
	struct bug_test *bug = iopt_bug_begin(test);
	int rc;

	iopt_bug_add_domain(test, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct iopt_map map = {
			.flags = IOPT_ALLOC_IOVA,
			.length = lengths[i],
			.prot = RW,
		};

		rc = iopt_map_user_pages(&bug->iopt, &map,
					 (void __user *)PAGE_SIZE);
		KUNIT_EXPECT_NE_MSG(test, rc, 0, "length %#lx", lengths[i]);
	}
	iopt_bug_remove_domain(test, 0);
	iopt_bug_end(test);
}

/* Map at allocated IOVAs until none is free. No range may wrap or begin too low. */
static void bug_map_until_full(struct kunit *test, unsigned long first,
			       unsigned long length)
{
	struct bug_test *bug = test->priv;
	void __user *memory = (void __user *)bug->run->mems[1].address;
	struct iopt_map map;
	int rc;

	for (unsigned int i = 0; i < 64; i++) {
		map = (struct iopt_map){
			.flags = IOPT_ALLOC_IOVA,
			.length = length,
			.prot = RW,
		};
		rc = iopt_map_user_pages(&bug->iopt, &map, memory);
		if (rc) {
			KUNIT_EXPECT_EQ(test, rc, -ENOSPC);
			return;
		}
		KUNIT_EXPECT_GE(test, map.iova, first);
		KUNIT_EXPECT_GE(test, map.iova + length - 1, map.iova);
	}
	KUNIT_FAIL(test, "more IOVAs allocated than are allowed");
}

/* Bug: an IOVA allocated near ULONG_MAX wrapped, and overlapped another area. */
static void allocated_iovas_near_ulong_max_do_not_wrap(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	unsigned long bytes;

	for (unsigned int pages = 1; pages <= 17; pages++) {
		iopt_kunit_allow(test, &bug->iopt, -PAGES(16), ULONG_MAX);
		iopt_bug_map(test, 0, 0, 0, PAGES(8));
		iopt_bug_map(test, -PAGES(9), 0, 0, PAGES(1));
		bug_map_until_full(test, -PAGES(16), PAGES(pages));
		KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->iopt, &bytes));
	}
	iopt_bug_end(test);
}

/* Bug: an unmap that failed left the number of unmapped bytes unset. */
static void failed_unmap_reports_unmapped_bytes(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	struct io_pagetable *iopt = &bug->iopt;
	unsigned long bytes = 1;

	KUNIT_EXPECT_EQ(test, -EINVAL, iopt_unmap_iova(iopt, BASE, 0, &bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	bytes = 1;
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iopt_unmap_iova(iopt, -PAGE_SIZE, PAGES(2), &bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	iopt_bug_map(test, BASE, 0, 0, PAGES(2));
	iopt_bug_map(test, BASE + PAGES(2), 0, 0, PAGES(4));
	bytes = 1;
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iopt_unmap_iova(iopt, BASE + PAGES(1), PAGES(5),
					&bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	/* Areas in front of the error are unmapped. */
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iopt_unmap_iova(iopt, BASE, PAGES(3), &bytes));
	KUNIT_EXPECT_EQ(test, bytes, PAGES(2));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_iova(iopt, 0, ULONG_MAX, NULL));
	iopt_bug_end(test);
}

/* Bug: a copy of an unmapped range returned an uninitialised value. */
static void rw_of_unmapped_or_no_bytes_fails(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	struct io_pagetable *iopt = &bug->iopt;
	u8 *data = bug->run->data;

	for (unsigned int flags = 0; flags <= IOMMUFD_ACCESS_RW_WRITE;
	     flags++) {
		KUNIT_EXPECT_EQ(test, -EINVAL,
				iopt_rw(iopt, BASE, data, 0, flags));
		KUNIT_EXPECT_EQ(test, -ENOENT,
				iopt_rw(iopt, BASE, data, 1, flags));
		KUNIT_EXPECT_EQ(test, -EOVERFLOW,
				iopt_rw(iopt, ULONG_MAX, data, 2, flags));
	}
	iopt_bug_map(test, BASE, 0, 0, PAGES(1));
	KUNIT_EXPECT_EQ(test, 0, iopt_rw(iopt, BASE, data, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iopt_rw(iopt, BASE, data, PAGE_SIZE + 1, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_pin_pages(iopt, NULL, BASE, 0, bug->run->out_pages, 0));
	iopt_bug_unmap(test, BASE, PAGES(1));
	iopt_bug_end(test);
}

/* Bug: unmap of a range without an area failed with -ENOENT. */
static void unmap_of_unmapped_range_succeeds(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	unsigned long bytes = 1;

	iopt_bug_add_domain(test, 0);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&bug->iopt, BASE, PAGES(4), &bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	iopt_bug_map(test, BASE + PAGES(4), 0, 0, PAGES(4));
	bytes = 1;
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&bug->iopt, BASE, PAGES(4), &bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->iopt, &bytes));
	KUNIT_EXPECT_EQ(test, bytes, PAGES(4));
	bytes = 1;
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->iopt, &bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0);
	iopt_bug_remove_domain(test, 0);
	iopt_bug_end(test);
}

/* Map again the part of the range that the caller has already unmapped. */
static void bug_map_on_unmap(struct kunit *test, unsigned long iova,
			     unsigned long length)
{
	struct bug_test *bug = test->priv;

	iopt_unpin_pages(&bug->iopt, NULL, BASE + PAGES(4), PAGES(4));
	iopt_bug_map(test, BASE, 1, PAGES(1), PAGES(3));
	iopt_bug_map(test, BASE + PAGES(3), 1, PAGES(1), PAGES(1));
}

/* Bug: unmap of several areas also unmapped an area mapped in the meantime. */
static void map_during_notification_is_kept(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	unsigned long bytes;

	bug->on_unmap = bug_map_on_unmap;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&bug->iopt, &bug->access));
	iopt_bug_add_domain(test, 0);
	iopt_bug_map(test, BASE, 1, 0, PAGES(4));
	iopt_bug_map(test, BASE + PAGES(4), 1, PAGES(4), PAGES(4));
	iopt_bug_map(test, BASE + PAGES(8), 1, PAGES(8), PAGES(4));
	iopt_bug_pin(test, BASE + PAGES(4), PAGES(4));
	iopt_bug_unmap(test, BASE, PAGES(12));
	KUNIT_EXPECT_EQ(test, bug->unmapped, 1);
	/* The new areas are mapped to the right pages. */
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 4);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(bug->domain, BASE),
			page_to_phys(bug->run->mems[1].page[1]));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->iopt, &bytes));
	KUNIT_EXPECT_EQ(test, bytes, PAGES(4));
	iopt_bug_remove_domain(test, 0);
	iopt_remove_access(&bug->iopt, &bug->access);
	iopt_bug_end(test);
}

/**
 * struct bug_unmap_hook - an IOMMU driver that maps from another thread during unmap
 * @ops: domain operations that replace @real
 * @real: domain operations of the model
 * @test: the test
 * @mapped: the other thread has mapped
 * @ran: the other thread was started
 */
struct bug_unmap_hook {
	struct iommu_domain_ops ops;
	const struct iommu_domain_ops *real;
	struct kunit *test;
	struct completion mapped;
	bool ran;
};

static struct bug_unmap_hook bug_unmap_hook;

static int bug_map_thread(void *data)
{
	struct kunit *test = data;
	struct bug_test *bug = test->priv;

	kthread_use_mm(bug->ik.mm);
	KUNIT_EXPECT_EQ(test, 0, iopt_bug_try_map(bug, BASE, 1, PAGES(1),
						  PAGES(4)));
	kthread_unuse_mm(bug->ik.mm);
	complete(&bug_unmap_hook.mapped);
	return 0;
}

static size_t bug_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			      size_t pgsize, size_t pgcount,
			      struct iommu_iotlb_gather *gather)
{
	struct bug_unmap_hook *hook = &bug_unmap_hook;
	struct task_struct *thread;

	if (iova == BASE + PAGES(4) && !hook->ran) {
		hook->ran = true;
		thread = kthread_run(bug_map_thread, hook->test, "iopt_bug_map");
		KUNIT_EXPECT_FALSE(hook->test, IS_ERR(thread));
		if (!IS_ERR(thread))
			wait_for_completion(&hook->mapped);
	}
	return hook->real->unmap_pages(domain, iova, pgsize, pgcount, gather);
}

/*
 * The bug of map_during_notification_is_kept(), without an access: unmap does not drop
 * its locks to call unmap callbacks, so the map runs while the driver unmaps.
 */
static void map_during_driver_unmap_is_kept(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	struct bug_unmap_hook *hook = &bug_unmap_hook;
	unsigned long bytes;

	iopt_bug_add_domain(test, 0);
	*hook = (struct bug_unmap_hook){
		.ops = *bug->domain->ops,
		.real = bug->domain->ops,
		.test = test,
	};
	hook->ops.unmap_pages = bug_unmap_pages;
	init_completion(&hook->mapped);
	iopt_bug_map(test, BASE, 1, 0, PAGES(4));
	iopt_bug_map(test, BASE + PAGES(4), 1, PAGES(4), PAGES(4));
	iopt_bug_map(test, BASE + PAGES(8), 1, PAGES(8), PAGES(4));
	bug->domain->ops = &hook->ops;
	iopt_bug_unmap(test, BASE, PAGES(12));
	bug->domain->ops = hook->real;
	KUNIT_EXPECT_TRUE(test, hook->ran);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(bug->domain, BASE),
			page_to_phys(bug->run->mems[1].page[1]));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->iopt, &bytes));
	KUNIT_EXPECT_EQ(test, bytes, PAGES(4));
	iopt_bug_remove_domain(test, 0);
	iopt_bug_end(test);
}

/* Unpin the pages, then try to pin and to read the range that is being unmapped. */
static void bug_pin_again(struct kunit *test, unsigned long iova,
			  unsigned long length)
{
	struct bug_test *bug = test->priv;

	iopt_unpin_pages(&bug->iopt, NULL, BASE + PAGES(2), PAGES(3));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_pin_pages(&bug->iopt, NULL, BASE, PAGES(1),
				       bug->run->out_pages, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_rw(&bug->iopt, BASE, bug->run->data, 1, 0));
}

/* If an area that is being unmapped could be pinned again, unmap might never end. */
static void pin_during_notification_fails(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);

	bug->on_unmap = bug_pin_again;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&bug->iopt, &bug->access));
	iopt_bug_map(test, BASE, 1, 0, PAGES(8));
	iopt_bug_pin(test, BASE + PAGES(2), PAGES(3));
	iopt_bug_unmap(test, BASE, PAGES(8));
	KUNIT_EXPECT_EQ(test, bug->unmapped, 1);
	iopt_remove_access(&bug->iopt, &bug->access);
	iopt_bug_end(test);
}

/* A map at an allocated IOVA that fails does not return the IOVA. */
static void failed_map_returns_no_iova(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	struct iopt_map map = {
		.flags = IOPT_ALLOC_IOVA,
		.iova = 0x1234,
		.length = PAGE_SIZE,
		.prot = RW,
	};

	iopt_bug_add_domain(test, 0);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iopt_map_user_pages(&bug->iopt, &map,
					    (void __user *)PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, map.iova, 0x1234);
	iopt_bug_remove_domain(test, 0);
	iopt_bug_end(test);
}

/*
 * The range to copy is aligned, but the two areas that it consists of are not: a domain
 * could not map their copies.
 */
static void copy_of_misaligned_areas_fails(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	struct iopt_map map = {
		.iova = 2 * BASE,
		.length = 2 * PAGE_SIZE,
		.prot = RW,
	};

	/* The second area begins with a page, at an IOVA that is not page-aligned. */
	iopt_bug_map(test, BASE, 1, 0, SZ_1K);
	iopt_bug_map(test, BASE + SZ_1K, 1, PAGES(2), 2 * PAGE_SIZE - SZ_1K);
	iopt_init_table(&bug->other);
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&bug->other, &bug->access));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_copy_iova(&bug->other, &map, &bug->iopt, BASE));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->other, NULL));
	iopt_remove_access(&bug->other, &bug->access);
	iopt_destroy_table(&bug->other);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&bug->iopt, NULL));
	iopt_bug_end(test);
}

static struct kunit_case iopt_bugs_map_cases[] = {
	KUNIT_CASE(area_unmapped_by_notification_is_skipped),
	KUNIT_CASE(unpin_during_unmap_leaves_no_page_pinned),
	KUNIT_CASE(enormous_length_gets_no_iova),
	KUNIT_CASE(allocated_iovas_near_ulong_max_do_not_wrap),
	KUNIT_CASE(failed_unmap_reports_unmapped_bytes),
	KUNIT_CASE(rw_of_unmapped_or_no_bytes_fails),
	KUNIT_CASE(unmap_of_unmapped_range_succeeds),
	KUNIT_CASE(map_during_notification_is_kept),
	KUNIT_CASE(map_during_driver_unmap_is_kept),
	KUNIT_CASE(pin_during_notification_fails),
	KUNIT_CASE(failed_map_returns_no_iova),
	KUNIT_CASE(copy_of_misaligned_areas_fails),
	{}
};

static struct kunit_suite iopt_bugs_map_suite = {
	.name = "iommufd_iopt_bugs_map",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = iopt_bugs_map_cases,
};

kunit_test_suite(iopt_bugs_map_suite);
