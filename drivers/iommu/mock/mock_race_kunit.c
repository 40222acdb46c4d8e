// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of DMA against everything that changes a domain under it.
 */
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/iommu_mock.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "mock_kunit.h"
#include "mock_private.h"

#define RW	(IOMMU_READ | IOMMU_WRITE)
#define PAGES	512
/* Stays mapped, and comes and goes. */
#define STABLE	SZ_1G
#define CHURN	SZ_2G

/**
 * DOC: Tests of races
 *
 * A thread writes all the time through a device while the test queries dirty
 * bits, unmaps and maps again, and moves the device from one domain to another.
 * Under KASAN and lockdep a table that is freed too early shows; a write that
 * no answer tells shows anyway.
 */
struct mock_race {
	struct device *dev;
	struct iommu_domain *domain;
	struct task_struct *writer;
	unsigned long iova;
	u8 *memory;
	/* set behind each write by the writer, taken by the test */
	DECLARE_BITMAP(written, PAGES);
	DECLARE_BITMAP(answer, PAGES);
	DECLARE_BITMAP(last_answer, PAGES);
	/* the test waits until as many writes and faults there are */
	unsigned long target;
	struct completion reached;
	unsigned long writes;
	unsigned long faults;
	unsigned long wrong;
	long before;
};

static void mock_race_wake(struct mock_race *race)
{
	unsigned long target = READ_ONCE(race->target);

	if (target && race->writes + race->faults >= target) {
		WRITE_ONCE(race->target, 0);
		complete(&race->reached);
	}
}

static int mock_race_writer(void *data)
{
	struct mock_race *race = data;
	struct iommu_mock_fault fault;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 0x72616365);
	while (!kthread_should_stop()) {
		unsigned int page = prandom_u32_state(&rnd) % PAGES;
		unsigned long iova = race->iova + page * PAGE_SIZE;
		u64 value = page;
		int rc;

		rc = iommu_mock_dma_write(race->dev, iova, &value,
					  sizeof(value), &fault);
		if (!rc) {
			set_bit(page, race->written);
			WRITE_ONCE(race->writes, race->writes + 1);
		} else if (rc == -EFAULT && fault.iova == iova) {
			WRITE_ONCE(race->faults, race->faults + 1);
		} else {
			WRITE_ONCE(race->wrong, race->wrong + 1);
		}
		mock_race_wake(race);
		cond_resched();
	}
	return 0;
}

static void mock_race_start(struct kunit *test, unsigned long iova)
{
	struct mock_race *race = test->priv;

	race->iova = iova;
	race->writer = kthread_run(mock_race_writer, race, "iommu-mock-race");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, race->writer);
}

/* Let the writer get somewhere, with one CPU too. */
static void mock_race_let_write(struct mock_race *race, unsigned long count)
{
	WRITE_ONCE(race->target, READ_ONCE(race->writes) +
				 READ_ONCE(race->faults) + count);
	wait_for_completion(&race->reached);
}

static void mock_race_stop(struct kunit *test)
{
	struct mock_race *race = test->priv;

	kthread_stop(race->writer);
	race->writer = NULL;
	KUNIT_EXPECT_EQ(test, race->wrong, 0);
	KUNIT_EXPECT_GT(test, race->writes, 0);
}

static void mock_race_map(struct kunit *test, struct iommu_domain *domain,
			  unsigned long iova)
{
	struct mock_race *race = test->priv;

	KUNIT_ASSERT_EQ(test,
			iommu_map(domain, iova, virt_to_phys(race->memory),
				  PAGES * PAGE_SIZE, RW, GFP_KERNEL),
			0);
}

static void mock_race_answer(unsigned long start, unsigned long last,
			     void *opaque)
{
	struct mock_race *race = opaque;

	bitmap_set(race->answer, (start - STABLE) / PAGE_SIZE,
		   (last - start + 1) / PAGE_SIZE);
}

/*
 * A write that finished before a query is in its answer or the one before: its
 * dirty bit was set by then, and what a flush let out was set again.
 */
static void mock_race_test_dirty(struct kunit *test)
{
	struct mock_race *race = test->priv;
	unsigned long lost = 0, told = 0;
	struct mock_domain *md;
	unsigned int round, i;

	md = container_of(race->domain, struct mock_domain, domain);
	mock_race_map(test, race->domain, STABLE);
	race->domain->dirty_ops->set_dirty_tracking(race->domain, true);
	mock_race_start(test, STABLE);
	for (round = 0; round < 200; round++) {
		DECLARE_BITMAP(finished, PAGES);

		mock_race_let_write(race, 50);
		for (i = 0; i < BITS_TO_LONGS(PAGES); i++)
			finished[i] = xchg(&race->written[i], 0);
		bitmap_zero(race->answer, PAGES);
		mock_pt_read_dirty(&md->pt, STABLE,
				   STABLE + PAGES * PAGE_SIZE - 1, true,
				   mock_race_answer, race);
		iommu_flush_iotlb_all(race->domain);

		told += bitmap_weight(race->answer, PAGES);
		bitmap_andnot(finished, finished, race->last_answer, PAGES);
		bitmap_andnot(finished, finished, race->answer, PAGES);
		lost += bitmap_weight(finished, PAGES);
		bitmap_copy(race->last_answer, race->answer, PAGES);
	}
	mock_race_stop(test);
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_GT(test, told, 0);
	KUNIT_EXPECT_EQ(test, race->faults, 0);
}

/* Tables come and go under the DMA; at the end they have all gone. */
static void mock_race_test_unmap(struct kunit *test)
{
	struct mock_race *race = test->priv;
	unsigned int round;

	mock_race_map(test, race->domain, CHURN);
	mock_race_start(test, CHURN);
	for (round = 0; round < 200; round++) {
		mock_race_let_write(race, 20);
		KUNIT_EXPECT_EQ(test,
				iommu_unmap(race->domain, CHURN,
					    PAGES * PAGE_SIZE),
				PAGES * PAGE_SIZE);
		/* No DMA reaches it now, so nobody sees this. */
		memset(race->memory, 0, PAGES * PAGE_SIZE);
		mock_race_let_write(race, 5);
		KUNIT_EXPECT_PTR_EQ(test,
				    memchr_inv(race->memory, 0,
					       PAGES * PAGE_SIZE),
				    NULL);
		mock_race_map(test, race->domain, CHURN);
	}
	mock_race_stop(test);
	KUNIT_EXPECT_GT(test, race->faults, 0);
}

/* With the same mapped in both there is no moment without a translation. */
static void mock_race_test_switch(struct kunit *test)
{
	struct mock_race *race = test->priv;
	struct iommu_domain *domain[2];
	struct mock_dev *mdev;
	unsigned int round;

	mdev = dev_iommu_priv_get(race->dev);
	domain[0] = race->domain;
	domain[1] = iommu_paging_domain_alloc(race->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain[1]);
	mock_race_map(test, domain[0], STABLE);
	mock_race_map(test, domain[1], STABLE);
	mock_race_start(test, STABLE);
	for (round = 1; round < 400; round++) {
		struct iommu_domain *next = domain[round % 2];

		/* What replacing a domain comes down to. */
		KUNIT_EXPECT_EQ(test, next->ops->attach_dev(next, race->dev),
				0);
		mock_race_let_write(race, 5);
	}
	KUNIT_EXPECT_EQ(test, domain[0]->ops->attach_dev(domain[0], race->dev),
			0);
	mock_race_stop(test);
	KUNIT_EXPECT_EQ(test, race->faults, 0);
	KUNIT_EXPECT_PTR_EQ(test, &mdev->domain->domain, domain[0]);
	iommu_domain_free(domain[1]);
}

static int mock_race_test_init(struct kunit *test)
{
	struct mock_race *race;

	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	init_completion(&race->reached);
	race->before = mock_pt_live_tables();
	race->memory = kunit_kzalloc(test, PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race->memory);
	race->dev = mock_kunit_device(test, "4k");
	race->domain = iommu_paging_domain_alloc(race->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, race->domain);
	test->priv = race;
	KUNIT_ASSERT_EQ(test, iommu_attach_device(race->domain, race->dev), 0);
	return 0;
}

static void mock_race_test_exit(struct kunit *test)
{
	struct mock_race *race = test->priv;

	if (!race)
		return;
	if (race->writer)
		kthread_stop(race->writer);
	iommu_detach_device(race->domain, race->dev);
	iommu_domain_free(race->domain);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), race->before);
}

static struct kunit_case mock_race_cases[] = {
	KUNIT_CASE(mock_race_test_dirty),
	KUNIT_CASE(mock_race_test_unmap),
	KUNIT_CASE(mock_race_test_switch),
	{}
};

static struct kunit_suite mock_race_suite = {
	.name = "iommu_mock_race",
	.init = mock_race_test_init,
	.exit = mock_race_test_exit,
	.test_cases = mock_race_cases,
};

kunit_test_suite(mock_race_suite);
