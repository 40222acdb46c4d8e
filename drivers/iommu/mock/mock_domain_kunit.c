// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the mock IOMMU behind the IOMMU API.
 */
#include <kunit/test.h>
#include <linux/iommu_mock.h>
#include <linux/sizes.h>

#include "mock_kunit.h"
#include "mock_private.h"

#define RW	(IOMMU_READ | IOMMU_WRITE)
#define IOVA	(SZ_1G - SZ_8K)
/* Pages of memory that the tests map. */
#define PAGES	16

/**
 * DOC: Tests of the mock IOMMU behind the IOMMU API
 *
 * Every test has a device behind an instance, a domain, and some pages, and
 * uses the functions that VFIO and iommufd use.
 */
struct mock_domain_fixture {
	struct device *dev;
	struct iommu_domain *domain;
	u8 *memory;
	u8 *buffer;
	long before;
};

static void mock_test_map(struct kunit *test, unsigned long iova,
			  unsigned int page, unsigned int pages, int prot)
{
	struct mock_domain_fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test,
			iommu_map(f->domain, iova,
				  virt_to_phys(f->memory + page * PAGE_SIZE),
				  pages * PAGE_SIZE, prot, GFP_KERNEL),
			0);
}

static void mock_test_write(struct kunit *test, unsigned long iova,
			    size_t length)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_mock_fault fault;

	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(f->dev, iova, f->buffer, length,
					     &fault),
			0);
	KUNIT_EXPECT_EQ(test, fault.reason, IOMMU_MOCK_FAULT_NONE);
}

/* A write of one byte that has to be stopped. */
static void mock_test_no_write(struct kunit *test, unsigned long iova,
			       enum iommu_mock_fault_reason reason)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_mock_fault fault;

	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(f->dev, iova, f->buffer, 1,
					     &fault),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, fault.iova, iova);
	KUNIT_EXPECT_EQ(test, fault.reason, reason);
}

static bool mock_test_is_dirty(struct kunit *test, unsigned long iova)
{
	struct mock_domain_fixture *f = test->priv;
	struct mock_pt_leaf leaf;
	struct mock_domain *md;

	md = container_of(f->domain, struct mock_domain, domain);
	KUNIT_ASSERT_TRUE(test, mock_pt_lookup(&md->pt, iova, &leaf));
	return leaf.pte & MOCK_PTE_DIRTY;
}

/* A dirty query that nobody wants the answer of. */
static void mock_test_clear(struct kunit *test, unsigned long iova, size_t size,
			    struct iommu_iotlb_gather *gather)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_dirty_bitmap dirty;

	iommu_dirty_bitmap_init(&dirty, NULL, gather);
	KUNIT_EXPECT_EQ(test,
			f->domain->dirty_ops->read_and_clear_dirty(f->domain,
								   iova, size,
								   0, &dirty),
			0);
}

static void mock_test_track(struct kunit *test, bool enable)
{
	struct mock_domain_fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test,
			f->domain->dirty_ops->set_dirty_tracking(f->domain,
								 enable),
			0);
}

/* All bytes, at an odd offset, over pages that lie in memory backwards. */
static void mock_domain_test_copy(struct kunit *test)
{
	const size_t length = PAGES * PAGE_SIZE - 2 * 4001;
	struct mock_domain_fixture *f = test->priv;
	struct iommu_mock_fault fault;
	unsigned int i;
	u8 *back;

	back = kunit_kzalloc(test, length, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, back);
	for (i = 0; i < PAGES; i++)
		mock_test_map(test, IOVA + i * PAGE_SIZE, PAGES - 1 - i, 1, RW);
	get_random_bytes(f->buffer, length);

	mock_test_write(test, IOVA + 4001, length);
	for (i = 0; i < PAGES * PAGE_SIZE; i++) {
		u8 is = f->memory[(PAGES - 1 - i / PAGE_SIZE) * PAGE_SIZE +
				  i % PAGE_SIZE];
		u8 should = i < 4001 || i >= 4001 + length ?
				    0 : f->buffer[i - 4001];

		KUNIT_ASSERT_EQ(test, is, should);
	}
	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_read(f->dev, IOVA + 4001, back, length,
					    &fault),
			0);
	KUNIT_EXPECT_MEMEQ(test, back, f->buffer, length);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(f->domain, IOVA + 4001),
			virt_to_phys(f->memory) + (PAGES - 1) * PAGE_SIZE +
				4001);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(f->domain, IOVA - 1), 0);
}

/* What was in front of the fault is done, what is behind it is not. */
static void mock_domain_test_fault(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	const size_t page = PAGE_SIZE;
	struct iommu_mock_fault fault;

	mock_test_map(test, IOVA, 0, 1, RW);
	mock_test_map(test, IOVA + page, 1, 1, IOMMU_READ);
	mock_test_map(test, IOVA + 2 * page, 2, 1, IOMMU_WRITE);
	memset(f->buffer, 0xa5, 4 * page);

	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(f->dev, IOVA + 1, f->buffer,
					     3 * page, &fault),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, fault.iova, IOVA + page);
	KUNIT_EXPECT_EQ(test, fault.reason, IOMMU_MOCK_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, f->memory[0], 0);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(f->memory + 1, 0xa5, page - 1),
			    NULL);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(f->memory + page, 0, 3 * page),
			    NULL);

	f->memory[page] = 1;
	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_read(f->dev, IOVA + page, f->buffer,
					    2 * page, &fault),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, fault.iova, IOVA + 2 * page);
	KUNIT_EXPECT_EQ(test, fault.reason, IOMMU_MOCK_FAULT_READ);
	KUNIT_EXPECT_EQ(test, f->buffer[0], 1);
	KUNIT_EXPECT_EQ(test, f->buffer[page], 0xa5);

	mock_test_no_write(test, IOVA - 1, IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_no_write(test, IOVA + 3 * page, IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_no_write(test, ULONG_MAX, IOMMU_MOCK_FAULT_UNMAPPED);
	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(f->dev, 0, f->buffer, 0, &fault),
			0);
}

static void mock_domain_test_no_ram(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	phys_addr_t nowhere = BIT(51);

	KUNIT_ASSERT_FALSE(test, pfn_valid(PHYS_PFN(nowhere)));
	KUNIT_ASSERT_EQ(test,
			iommu_map(f->domain, IOVA, nowhere, PAGE_SIZE, RW,
				  GFP_KERNEL),
			0);
	mock_test_no_write(test, IOVA, IOMMU_MOCK_FAULT_NO_RAM);
}

/* Neither of the domains without a page table lets DMA through. */
static void mock_domain_test_blocked(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_group *group;

	mock_test_map(test, IOVA, 0, 1, RW);
	mock_test_write(test, IOVA, 1);
	iommu_detach_device(f->domain, f->dev);
	mock_test_no_write(test, IOVA, IOMMU_MOCK_FAULT_BLOCKED);

	group = iommu_group_get(f->dev);
	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_EQ(test, iommu_group_claim_dma_owner(group, test), 0);
	mock_test_no_write(test, IOVA, IOMMU_MOCK_FAULT_BLOCKED);
	KUNIT_EXPECT_EQ(test, iommu_attach_group(f->domain, group), 0);
	mock_test_write(test, IOVA, 1);
	iommu_detach_group(f->domain, group);
	mock_test_no_write(test, IOVA, IOMMU_MOCK_FAULT_BLOCKED);
	iommu_group_release_dma_owner(group);
	iommu_group_put(group);
	KUNIT_ASSERT_EQ(test, iommu_attach_device(f->domain, f->dev), 0);
}

static void mock_domain_test_not_mock(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_mock_fault fault;
	struct device dev = {};

	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(&dev, 0, f->buffer, 1, &fault),
			-ENODEV);
	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_read(&dev, 0, f->buffer, 1, &fault),
			-ENODEV);
	KUNIT_EXPECT_PTR_EQ(test, iommu_mock_model(iommu_mock_count()), NULL);
	KUNIT_EXPECT_EQ(test, iommu_mock_adopt(&dev, iommu_mock_count()),
			-ENODEV);
}

/* The device loses what is unmapped at once, and the tables are freed. */
static void mock_domain_test_unmap(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	long tables = mock_pt_live_tables();
	unsigned long iova;

	for (iova = SZ_2M; iova < SZ_4M; iova += PAGES * PAGE_SIZE)
		mock_test_map(test, iova, 0, PAGES, RW);
	mock_test_write(test, SZ_2M, 1);
	mock_test_write(test, SZ_4M - 1, 1);
	KUNIT_EXPECT_EQ(test, iommu_unmap(f->domain, SZ_2M, SZ_2M), SZ_2M);
	mock_test_no_write(test, SZ_2M, IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_no_write(test, SZ_4M - 1, IOMMU_MOCK_FAULT_UNMAPPED);
	/* Two levels above it stay. */
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), tables + 2);
}

static void mock_domain_test_tracking(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_iotlb_gather gather;

	mock_test_map(test, IOVA, 0, 4, RW);
	mock_test_write(test, IOVA, 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA));

	mock_test_track(test, true);
	mock_test_write(test, IOVA + PAGE_SIZE, PAGE_SIZE + 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA));
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + 2 * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test,
			   mock_test_is_dirty(test, IOVA + 3 * PAGE_SIZE));

	/* The query tells what to flush. */
	mock_test_clear(test, IOVA, 4 * PAGE_SIZE, &gather);
	KUNIT_EXPECT_EQ(test, gather.start, IOVA + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, gather.end, IOVA + 3 * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, gather.pgsize, 0);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));
	iommu_iotlb_sync(f->domain, &gather);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));

	/* Without a gather it flushes by itself. */
	mock_test_clear(test, IOVA, 4 * PAGE_SIZE, NULL);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));

	/* Off and on again: what the IOTLB knew counts no more. */
	mock_test_track(test, false);
	mock_test_clear(test, IOVA, 4 * PAGE_SIZE, &gather);
	mock_test_write(test, IOVA, 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA));
	mock_test_track(test, true);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));
}

static void mock_domain_test_query_refusals(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	const struct iommu_dirty_ops *ops = f->domain->dirty_ops;
	/* Never looked at. */
	struct iova_bitmap *bitmap = (struct iova_bitmap *)f->buffer;
	struct iommu_dirty_bitmap dirty;

	mock_test_map(test, IOVA, 0, 1, RW);
	mock_test_track(test, true);
	mock_test_write(test, IOVA, 1);
	iommu_dirty_bitmap_init(&dirty, bitmap, NULL);
	KUNIT_EXPECT_EQ(test,
			ops->read_and_clear_dirty(f->domain, IOVA, 0, 0,
						  &dirty),
			-EINVAL);
	KUNIT_EXPECT_EQ(test,
			ops->read_and_clear_dirty(f->domain, IOVA, SIZE_MAX, 0,
						  &dirty),
			-EOVERFLOW);
	mock_test_track(test, false);
	KUNIT_EXPECT_EQ(test,
			ops->read_and_clear_dirty(f->domain, IOVA, PAGE_SIZE,
						  0, &dirty),
			-EINVAL);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA));
	dirty.bitmap = NULL;
	KUNIT_EXPECT_EQ(test,
			ops->read_and_clear_dirty(f->domain, IOVA, PAGE_SIZE,
						  IOMMU_DIRTY_NO_CLEAR, &dirty),
			0);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA));
}

/* The knob loses the flush of a query, and no other. */
static void mock_domain_test_drop_flush(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_iotlb_gather gather;
	bool was = mock_drop_flush;

	mock_test_map(test, IOVA, 0, 2, RW);
	mock_test_track(test, true);
	mock_test_write(test, IOVA, 1);

	WRITE_ONCE(mock_drop_flush, true);
	mock_test_clear(test, IOVA, PAGE_SIZE, &gather);
	iommu_iotlb_sync(f->domain, &gather);
	mock_test_write(test, IOVA, 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA));
	KUNIT_EXPECT_EQ(test, iommu_unmap(f->domain, IOVA, PAGE_SIZE),
			PAGE_SIZE);
	mock_test_no_write(test, IOVA, IOMMU_MOCK_FAULT_UNMAPPED);
	WRITE_ONCE(mock_drop_flush, was);
}

static int mock_domain_test_init(struct kunit *test)
{
	struct mock_domain_fixture *f;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->before = mock_pt_live_tables();
	f->memory = kunit_kzalloc(test, PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->memory);
	KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(f->memory));
	f->buffer = kunit_kzalloc(test, PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->buffer);
	f->dev = mock_kunit_device(test, "4k");
	f->domain = iommu_paging_domain_alloc(f->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->domain);
	test->priv = f;
	KUNIT_ASSERT_EQ(test, iommu_attach_device(f->domain, f->dev), 0);
	return 0;
}

static void mock_domain_test_exit(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;

	if (!f)
		return;
	iommu_detach_device(f->domain, f->dev);
	iommu_domain_free(f->domain);
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), f->before);
}

static struct kunit_case mock_domain_cases[] = {
	KUNIT_CASE(mock_domain_test_copy),
	KUNIT_CASE(mock_domain_test_fault),
	KUNIT_CASE(mock_domain_test_no_ram),
	KUNIT_CASE(mock_domain_test_blocked),
	KUNIT_CASE(mock_domain_test_not_mock),
	KUNIT_CASE(mock_domain_test_unmap),
	KUNIT_CASE(mock_domain_test_tracking),
	KUNIT_CASE(mock_domain_test_query_refusals),
	KUNIT_CASE(mock_domain_test_drop_flush),
	{}
};

static struct kunit_suite mock_domain_suite = {
	.name = "iommu_mock_domain",
	.init = mock_domain_test_init,
	.exit = mock_domain_test_exit,
	.test_cases = mock_domain_cases,
};

kunit_test_suite(mock_domain_suite);
