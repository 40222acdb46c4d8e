// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of an unmap of pages that an access has pinned: an access that is being removed,
 * which unpins after some time; one that ignores the notification; and one that locks
 * areas.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/workqueue.h>

#include "iopt.h"
#include "tests/iopt_kunit.h"

#define NOTIFY_IOVA	SZ_1G
#define NOTIFY_PAGES	4UL

/**
 * struct notify_run - an IOVA space and an access that has pinned all of it
 * @iopt: the IOVA space
 * @access: the access
 * @removing: the access is being removed, so its get callback fails
 * @notified: number of calls of the unmap callback
 * @unpin: work that unpins all pages
 */
struct notify_run {
	struct io_pagetable iopt;
	struct iopt_access access;
	bool removing;
	unsigned int notified;
	struct delayed_work unpin;
};

static bool notify_get(struct iopt_access *access)
{
	return !container_of(access, struct notify_run, access)->removing;
}

static void notify_unmap(struct iopt_access *access, unsigned long iova,
			 unsigned long length)
{
	container_of(access, struct notify_run, access)->notified++;
}

static const struct iopt_access_ops notify_ops = {
	.get = notify_get,
	.put = iopt_kunit_access_put,
	.unmap = notify_unmap,
};

static void notify_unpin(struct work_struct *work)
{
	struct notify_run *run = container_of(to_delayed_work(work),
					      struct notify_run, unpin);

	iopt_unpin_pages(&run->iopt, NULL, NOTIFY_IOVA, NOTIFY_PAGES * PAGE_SIZE);
}

static struct notify_run *notify_begin(struct kunit *test)
{
	struct notify_run *run = iopt_kunit_vzalloc(test, sizeof(*run));
	unsigned long length = NOTIFY_PAGES * PAGE_SIZE;
	struct page *pages[NOTIFY_PAGES];

	iopt_init_table(&run->iopt);
	INIT_DELAYED_WORK(&run->unpin, notify_unpin);
	run->access.ops = &notify_ops;
	run->access.iova_alignment = PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&run->iopt, &run->access));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_kunit_map(&run->iopt, NOTIFY_IOVA,
				       iopt_kunit_mmap(test, NOTIFY_PAGES),
				       length, IOPT_PAGES_ACCOUNT_NONE));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_pin_pages(&run->iopt, NULL, NOTIFY_IOVA, length,
				       pages, IOMMUFD_ACCESS_RW_READ));
	return run;
}

static void notify_end(struct kunit *test, struct notify_run *run)
{
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&run->iopt, NULL));
	iopt_remove_access(&run->iopt, &run->access);
	iopt_destroy_table(&run->iopt);
}

/* Unmap waits for an access that is being removed, and does not notify it. */
static void unmap_waits_for_access_being_removed(struct kunit *test)
{
	struct notify_run *run = notify_begin(test);
	unsigned long unmapped;

	run->removing = true;
	schedule_delayed_work(&run->unpin, HZ / 2);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&run->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, NOTIFY_PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, run->notified, 0);
	flush_delayed_work(&run->unpin);
	notify_end(test, run);
}

/* Unmap notifies an access that does not unpin 100 times, then fails without a WARN. */
static void unmap_fails_if_access_keeps_pins(struct kunit *test)
{
	struct notify_run *run = notify_begin(test);
	unsigned long unmapped;

	KUNIT_EXPECT_EQ(test, -EDEADLOCK,
			iopt_unmap_all(&run->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, 0);
	KUNIT_EXPECT_EQ(test, run->notified, 100);
	notify_unpin(&run->unpin.work);
	notify_end(test, run);
}

#define LOCKED_IOVA	(NOTIFY_IOVA + SZ_1M)

/* Map a second area, and lock it by a pin of its first page. */
static struct notify_run *lock_begin(struct kunit *test)
{
	struct notify_run *run = notify_begin(test);
	unsigned long address = iopt_kunit_mmap(test, NOTIFY_PAGES);
	struct page *page;

	iopt_remove_access(&run->iopt, &run->access);
	run->access.locks_areas = true;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&run->iopt, &run->access));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_kunit_map(&run->iopt, LOCKED_IOVA, address,
				       NOTIFY_PAGES * PAGE_SIZE,
				       IOPT_PAGES_ACCOUNT_NONE));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_pin_pages(&run->iopt, &run->access, LOCKED_IOVA,
				       PAGE_SIZE, &page, 0));
	return run;
}

static void lock_end(struct kunit *test, struct notify_run *run)
{
	iopt_unpin_pages(&run->iopt, &run->access, LOCKED_IOVA, PAGE_SIZE);
	notify_unpin(&run->unpin.work);
	notify_end(test, run);
	KUNIT_EXPECT_EQ(test, run->iopt.num_locking, 0);
}

static void unmap_of_locked_area_changes_nothing(struct kunit *test)
{
	struct notify_run *run = lock_begin(test);
	unsigned long unmapped = 1;
	struct page *page;

	KUNIT_EXPECT_EQ(test, -EBUSY, iopt_unmap_all(&run->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, 0);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iopt_unmap_iova(&run->iopt, LOCKED_IOVA,
					NOTIFY_PAGES * PAGE_SIZE, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, 0);
	KUNIT_EXPECT_EQ(test, run->notified, 0);
	KUNIT_EXPECT_EQ(test, run->iopt.num_areas, 2);
	/* Both areas can be pinned as before. */
	for (unsigned long iova = NOTIFY_IOVA; iova <= LOCKED_IOVA;
	     iova += SZ_1M) {
		KUNIT_EXPECT_EQ(test, 0,
				iopt_pin_pages(&run->iopt, NULL, iova, PAGE_SIZE,
					       &page, 0));
		iopt_unpin_pages(&run->iopt, NULL, iova, PAGE_SIZE);
	}
	lock_end(test, run);
}

/* A pin of another access on the same pages does not unlock the area when it ends. */
static void area_is_locked_up_to_the_last_unpin(struct kunit *test)
{
	struct notify_run *run = lock_begin(test);
	struct page *page;

	for (unsigned int i = 0; i < 2; i++) {
		const struct iopt_access *owner = i ? &run->access : NULL;

		KUNIT_ASSERT_EQ(test, 0,
				iopt_pin_pages(&run->iopt, owner, LOCKED_IOVA,
					       PAGE_SIZE, &page, 0));
		iopt_unpin_pages(&run->iopt, owner, LOCKED_IOVA, PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, -EBUSY,
				iopt_unmap_iova(&run->iopt, LOCKED_IOVA,
						NOTIFY_PAGES * PAGE_SIZE,
						NULL));
	}
	lock_end(test, run);
}

/* Locks taken while an unmap runs are found area by area. */
static void lock_during_unmap_keeps_the_areas_behind(struct kunit *test)
{
	struct notify_run *run = lock_begin(test);
	unsigned long unmapped;

	/* As if the access had been added after the check of the range. */
	run->iopt.num_locking = 0;
	notify_unpin(&run->unpin.work);
	KUNIT_EXPECT_EQ(test, -EBUSY, iopt_unmap_all(&run->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, NOTIFY_PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, run->iopt.num_areas, 1);
	run->iopt.num_locking = 1;
	iopt_unpin_pages(&run->iopt, &run->access, LOCKED_IOVA, PAGE_SIZE);
	notify_end(test, run);
}

static struct kunit_case notify_kunit_cases[] = {
	KUNIT_CASE(unmap_waits_for_access_being_removed),
	KUNIT_CASE(unmap_fails_if_access_keeps_pins),
	KUNIT_CASE(unmap_of_locked_area_changes_nothing),
	KUNIT_CASE(area_is_locked_up_to_the_last_unpin),
	KUNIT_CASE(lock_during_unmap_keeps_the_areas_behind),
	{}
};

static struct kunit_suite notify_suite = {
	.name = "iommufd_iopt_notify",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = notify_kunit_cases,
};

kunit_test_suite(notify_suite);
