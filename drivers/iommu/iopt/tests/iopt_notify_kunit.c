// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of an unmap that has to wait for accesses: for one that is going away and
 * unpins when it likes, and for one that never does.
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
 * @removing: the access is going away, so it is not notified
 * @notified: how often it was
 * @unpin: unpins
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

static void notify_put(struct iopt_access *access)
{
}

static void notify_unmap(struct iopt_access *access, unsigned long iova,
			 unsigned long length)
{
	container_of(access, struct notify_run, access)->notified++;
}

static const struct iopt_access_ops notify_ops = {
	.get = notify_get,
	.put = notify_put,
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
	struct iopt_map map = {
		.iova = NOTIFY_IOVA,
		.length = NOTIFY_PAGES * PAGE_SIZE,
		.prot = IOMMU_READ | IOMMU_WRITE,
	};
	struct page *pages[NOTIFY_PAGES];
	unsigned long address;

	iopt_init_table(&run->iopt);
	INIT_DELAYED_WORK(&run->unpin, notify_unpin);
	run->access.ops = &notify_ops;
	run->access.iova_alignment = PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&run->iopt, &run->access));
	address = iopt_kunit_mmap(test, NOTIFY_PAGES);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_map_user_pages(&run->iopt, &map,
					    (void __user *)address));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_pin_pages(&run->iopt, NULL, NOTIFY_IOVA, map.length,
				       pages, IOMMUFD_ACCESS_RW_READ));
	return run;
}

static void notify_end(struct kunit *test, struct notify_run *run)
{
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&run->iopt, NULL));
	iopt_remove_access(&run->iopt, &run->access);
	iopt_destroy_table(&run->iopt);
}

/* An access that is going away is waited for, however long its driver takes. */
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

/* One that does not unpin makes the unmap fail, without a trace or a WARN. */
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
