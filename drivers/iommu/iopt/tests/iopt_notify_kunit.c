// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of an unmap that has to wait for an access to unpin: an access that is being
 * removed, which unpins after some time, and an access that ignores the notification.
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

static struct kunit_case notify_kunit_cases[] = {
	KUNIT_CASE(unmap_waits_for_access_being_removed),
	KUNIT_CASE(unmap_fails_if_access_keeps_pins),
	{}
};

static struct kunit_suite notify_suite = {
	.name = "iommufd_iopt_notify",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = notify_kunit_cases,
};

kunit_test_suite(notify_suite);
