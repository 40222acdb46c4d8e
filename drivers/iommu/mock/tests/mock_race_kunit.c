// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of DMA that races with changes of its domain.
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
/* IOVAs that stay mapped, and IOVAs that are unmapped and mapped again */
#define STABLE	SZ_1G
#define CHURN	SZ_2G

/**
 * DOC: Tests of races
 *
 * A thread writes continuously by DMA of a device while the test queries dirty
 * bits, unmaps and maps memory, and changes the domain of the device. KASAN
 * detects a table that is freed too early. The test detects a write that no
 * query reports.
 */
struct mock_race {
	struct device *dev;
	struct iommu_domain *domain;
	struct task_struct *writer;
	unsigned long iova;
	u8 *memory;
	/* set by the writer after each write, cleared by the test */
	DECLARE_BITMAP(written, PAGES);
	DECLARE_BITMAP(reported, PAGES);
	DECLARE_BITMAP(last_reported, PAGES);
	/* number of writes and faults that the test waits for */
	unsigned long target;
	struct completion reached;
	unsigned long writes;
	unsigned long faults;
	unsigned long errors;
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
			WRITE_ONCE(race->errors, race->errors + 1);
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

/* Wait until the writer has made @count more writes, also with one CPU. */
static void mock_race_wait_for_writes(struct mock_race *race,
				      unsigned long count)
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
	KUNIT_EXPECT_EQ(test, race->errors, 0);
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

static void mock_race_record_dirty(unsigned long start, unsigned long last,
				   void *opaque)
{
	struct mock_race *race = opaque;

	bitmap_set(race->reported, (start - STABLE) / PAGE_SIZE,
		   (last - start + 1) / PAGE_SIZE);
}

/*
 * A write that ended before a query is reported by this query or the previous
 * one: it set the dirty bit before the query, or it went through a dirty IOTLB
 * entry before the flush of the previous query, which reported the page.
 */
static void mock_race_test_query_loses_no_write(struct kunit *test)
{
	struct mock_race *race = test->priv;
	unsigned long lost = 0, num_reported = 0;
	struct mock_domain *md;
	unsigned int round, i;

	md = container_of(race->domain, struct mock_domain, domain);
	mock_race_map(test, race->domain, STABLE);
	race->domain->dirty_ops->set_dirty_tracking(race->domain, true);
	mock_race_start(test, STABLE);
	for (round = 0; round < 200; round++) {
		DECLARE_BITMAP(finished, PAGES);

		mock_race_wait_for_writes(race, 50);
		for (i = 0; i < BITS_TO_LONGS(PAGES); i++)
			finished[i] = xchg(&race->written[i], 0);
		bitmap_zero(race->reported, PAGES);
		mock_pt_read_dirty(&md->pt, STABLE,
				   STABLE + PAGES * PAGE_SIZE - 1, true,
				   mock_race_record_dirty, race);
		iommu_flush_iotlb_all(race->domain);

		num_reported += bitmap_weight(race->reported, PAGES);
		bitmap_andnot(finished, finished, race->last_reported, PAGES);
		bitmap_andnot(finished, finished, race->reported, PAGES);
		lost += bitmap_weight(finished, PAGES);
		bitmap_copy(race->last_reported, race->reported, PAGES);
	}
	mock_race_stop(test);
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_GT(test, num_reported, 0);
	KUNIT_EXPECT_EQ(test, race->faults, 0);
}

/* Unmap and map under DMA: an unmap stops the writes, and no table leaks. */
static void mock_race_test_unmap_stops_writes(struct kunit *test)
{
	struct mock_race *race = test->priv;
	unsigned int round;

	mock_race_map(test, race->domain, CHURN);
	mock_race_start(test, CHURN);
	for (round = 0; round < 200; round++) {
		mock_race_wait_for_writes(race, 20);
		KUNIT_EXPECT_EQ(test,
				iommu_unmap(race->domain, CHURN,
					    PAGES * PAGE_SIZE),
				PAGES * PAGE_SIZE);
		/* No DMA reaches this memory while it is unmapped. */
		memset(race->memory, 0, PAGES * PAGE_SIZE);
		mock_race_wait_for_writes(race, 5);
		KUNIT_EXPECT_PTR_EQ(test,
				    memchr_inv(race->memory, 0,
					       PAGES * PAGE_SIZE),
				    NULL);
		mock_race_map(test, race->domain, CHURN);
	}
	mock_race_stop(test);
	KUNIT_EXPECT_GT(test, race->faults, 0);
}

/* If both domains have the same mappings, a switch causes no fault. */
static void mock_race_test_domain_switch_never_faults(struct kunit *test)
{
	struct mock_race *race = test->priv;
	struct iommu_domain *domain[2];
	struct mock_dev *mdev;
	unsigned int round;

	mdev = dev_iommu_priv_get(race->dev);
	domain[0] = race->domain;
	domain[1] = mock_kunit_domain(test, race->dev);
	mock_race_map(test, domain[0], STABLE);
	mock_race_map(test, domain[1], STABLE);
	mock_race_start(test, STABLE);
	for (round = 1; round < 400; round++) {
		struct iommu_domain *next = domain[round % 2];

		/* Replacing a domain makes this call. */
		KUNIT_EXPECT_EQ(test, next->ops->attach_dev(next, race->dev),
				0);
		mock_race_wait_for_writes(race, 5);
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
	mock_kunit_check_tables(test);
	race->memory = kunit_kzalloc(test, PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race->memory);
	race->dev = mock_kunit_device(test, "4k");
	race->domain = mock_kunit_domain(test, race->dev);
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
}

static struct kunit_case mock_race_cases[] = {
	KUNIT_CASE(mock_race_test_query_loses_no_write),
	KUNIT_CASE(mock_race_test_unmap_stops_writes),
	KUNIT_CASE(mock_race_test_domain_switch_never_faults),
	{}
};

static struct kunit_suite mock_race_suite = {
	.name = "iommu_mock_race",
	.init = mock_race_test_init,
	.exit = mock_race_test_exit,
	.test_cases = mock_race_cases,
};

kunit_test_suite(mock_race_suite);
