// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the mock IOMMU through the IOMMU API.
 */
#include <kunit/test.h>
#include <linux/iommu_mock.h>
#include <linux/sizes.h>

#include "mock_kunit.h"
#include "mock_private.h"

#define RW	(IOMMU_READ | IOMMU_WRITE)
#define IOVA	(SZ_1G - SZ_8K)
/* Pages of memory that the tests map */
#define PAGES	16

/**
 * DOC: Tests of the mock IOMMU through the IOMMU API
 *
 * Each test has a device behind an instance of model 4k, an attached domain,
 * and PAGES pages of memory. Tests call the functions that VFIO and iommufd
 * call.
 */
struct mock_domain_fixture {
	struct device *dev;
	struct iommu_domain *domain;
	u8 *memory;
	u8 *buffer;
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

/* Expect that a write of one byte faults. */
static void mock_test_write_faults(struct kunit *test, unsigned long iova,
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

/* Clear dirty bits with a query that has no bitmap. */
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

/* Copy at an odd offset, over pages mapped in descending physical order. */
static void mock_domain_test_unaligned_copy_moves_all_bytes(struct kunit *test)
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

/* Bytes below the fault are transferred, bytes above it are not. */
static void mock_domain_test_fault_stops_transfer(struct kunit *test)
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

	mock_test_write_faults(test, IOVA - 1, IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_write_faults(test, IOVA + 3 * page,
			       IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_write_faults(test, ULONG_MAX, IOMMU_MOCK_FAULT_UNMAPPED);
	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(f->dev, 0, f->buffer, 0, &fault),
			0);
}

static void mock_domain_test_write_without_ram_faults(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	phys_addr_t nowhere = BIT(51);

	KUNIT_ASSERT_FALSE(test, pfn_valid(PHYS_PFN(nowhere)));
	KUNIT_ASSERT_EQ(test,
			iommu_map(f->domain, IOVA, nowhere, PAGE_SIZE, RW,
				  GFP_KERNEL),
			0);
	mock_test_write_faults(test, IOVA, IOMMU_MOCK_FAULT_NO_RAM);
}

/* The identity and the blocked domain block DMA. */
static void mock_domain_test_static_domains_block_dma(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	struct iommu_group *group;

	mock_test_map(test, IOVA, 0, 1, RW);
	mock_test_write(test, IOVA, 1);
	iommu_detach_device(f->domain, f->dev);
	mock_test_write_faults(test, IOVA, IOMMU_MOCK_FAULT_BLOCKED);

	group = iommu_group_get(f->dev);
	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_EQ(test, iommu_group_claim_dma_owner(group, test), 0);
	mock_test_write_faults(test, IOVA, IOMMU_MOCK_FAULT_BLOCKED);
	KUNIT_EXPECT_EQ(test, iommu_attach_group(f->domain, group), 0);
	mock_test_write(test, IOVA, 1);
	iommu_detach_group(f->domain, group);
	mock_test_write_faults(test, IOVA, IOMMU_MOCK_FAULT_BLOCKED);
	iommu_group_release_dma_owner(group);
	iommu_group_put(group);
	KUNIT_ASSERT_EQ(test, iommu_attach_device(f->domain, f->dev), 0);
}

static void mock_domain_test_other_device_is_rejected(struct kunit *test)
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
	KUNIT_EXPECT_EQ(test, iommu_mock_init_fwspec(&dev, iommu_mock_count()),
			-ENODEV);
}

/* An unmap revokes the access of the device, and frees the tables. */
static void mock_domain_test_unmap_revokes_access(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	long tables = mock_pt_live_tables();
	unsigned long iova;

	for (iova = SZ_2M; iova < SZ_4M; iova += PAGES * PAGE_SIZE)
		mock_test_map(test, iova, 0, PAGES, RW);
	mock_test_write(test, SZ_2M, 1);
	mock_test_write(test, SZ_4M - 1, 1);
	KUNIT_EXPECT_EQ(test, iommu_unmap(f->domain, SZ_2M, SZ_2M), SZ_2M);
	mock_test_write_faults(test, SZ_2M, IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_write_faults(test, SZ_4M - 1, IOMMU_MOCK_FAULT_UNMAPPED);
	/* The two tables above stay. */
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), tables + 2);
}

static void mock_domain_test_write_after_flush_is_dirty(struct kunit *test)
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

	/* The query gathers the range to flush. */
	mock_test_clear(test, IOVA, 4 * PAGE_SIZE, &gather);
	KUNIT_EXPECT_EQ(test, gather.start, IOVA + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, gather.end, IOVA + 3 * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, gather.pgsize, 0);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));
	iommu_iotlb_sync(f->domain, &gather);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));

	/* A query without a gather flushes by itself. */
	mock_test_clear(test, IOVA, 4 * PAGE_SIZE, NULL);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));

	/* Disabling and enabling tracking flushes the IOTLB. */
	mock_test_track(test, false);
	mock_test_clear(test, IOVA, 4 * PAGE_SIZE, &gather);
	mock_test_write(test, IOVA, 1);
	KUNIT_EXPECT_FALSE(test, mock_test_is_dirty(test, IOVA));
	mock_test_track(test, true);
	mock_test_write(test, IOVA + PAGE_SIZE, 1);
	KUNIT_EXPECT_TRUE(test, mock_test_is_dirty(test, IOVA + PAGE_SIZE));
}

static void mock_domain_test_query_rejects_bad_arguments(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	const struct iommu_dirty_ops *ops = f->domain->dirty_ops;
	/* Never dereferenced. */
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

/* drop_flush skips the flush of a query, but not that of an unmap. */
static void mock_domain_test_drop_flush_loses_dirty_bit(struct kunit *test)
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
	mock_test_write_faults(test, IOVA, IOMMU_MOCK_FAULT_UNMAPPED);
	WRITE_ONCE(mock_drop_flush, was);
}

static long mock_test_flushes(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	struct mock_dev *mdev = dev_iommu_priv_get(f->dev);

	return atomic_long_read(&mdev->mi->flushes);
}

struct mock_sync {
	const char *name;
	bool exact;
	unsigned long start;
	unsigned long last;
	size_t pgsize;
	bool flushes;
	bool invalidates;
};

/* Gathers, and their effect on a cached dirty page at IOVA. */
static const struct mock_sync mock_syncs[] = {
	{ "vtd, nothing gathered", false, ULONG_MAX, 0, 0, true, true },
	{ "vtd, no page size", false, IOVA, IOVA, 0, true, true },
	{ "vtd, other page size", false, IOVA, IOVA, SZ_2M, true, true },
	{ "vtd, other range", false, 0, IOVA - 1, SZ_4K, true, false },
	{ "smmu, nothing gathered", true, ULONG_MAX, 0, 0, false, false },
	{ "smmu, no page size", true, IOVA, IOVA, 0, false, false },
	{ "smmu, other page size", true, IOVA, IOVA, SZ_2M, true, false },
	{ "smmu, other range", true, 0, IOVA - 1, SZ_4K, true, false },
	{ "smmu, the page", true, IOVA, IOVA, SZ_4K, true, true },
};

KUNIT_ARRAY_PARAM_DESC(mock_syncs, mock_syncs, name);

/* A sync flushes as VT-d or SMMUv3 would for the gather. */
static void mock_domain_test_sync_flushes_gather(struct kunit *test)
{
	const struct mock_sync *sync = test->param_value;
	struct mock_domain_fixture *f = test->priv;
	struct iommu_iotlb_gather gather;
	bool was = mock_exact_flush;
	long before;

	mock_test_map(test, IOVA, 0, 1, RW);
	mock_test_track(test, true);
	mock_test_write(test, IOVA, 1);
	mock_test_clear(test, IOVA, PAGE_SIZE, &gather);
	KUNIT_EXPECT_EQ(test, gather.start, IOVA);
	KUNIT_EXPECT_EQ(test, gather.end, IOVA + PAGE_SIZE - 1);

	iommu_iotlb_gather_init(&gather);
	gather.start = sync->start;
	gather.end = sync->last;
	gather.pgsize = sync->pgsize;
	before = mock_test_flushes(test);
	WRITE_ONCE(mock_exact_flush, sync->exact);
	iommu_iotlb_sync(f->domain, &gather);
	WRITE_ONCE(mock_exact_flush, was);
	KUNIT_EXPECT_EQ(test, mock_test_flushes(test), before + sync->flushes);
	mock_test_write(test, IOVA, 1);
	KUNIT_EXPECT_EQ(test, mock_test_is_dirty(test, IOVA),
			sync->invalidates);
}

/* An unmap flushes leaves of all sizes also with exact_flush. */
static void mock_domain_test_exact_unmap_flushes_all_sizes(struct kunit *test)
{
	struct mock_domain_fixture *f = test->priv;
	bool was = mock_exact_flush;

	WRITE_ONCE(mock_exact_flush, true);
	mock_test_map(test, IOVA, 0, 2, RW);
	mock_test_write(test, IOVA, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, iommu_unmap(f->domain, IOVA, 2 * PAGE_SIZE),
			2 * PAGE_SIZE);
	mock_test_write_faults(test, IOVA, IOMMU_MOCK_FAULT_UNMAPPED);
	mock_test_write_faults(test, IOVA + PAGE_SIZE,
			       IOMMU_MOCK_FAULT_UNMAPPED);
	WRITE_ONCE(mock_exact_flush, was);
}

static int mock_domain_test_init(struct kunit *test)
{
	struct mock_domain_fixture *f;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	mock_kunit_check_tables(test);
	f->memory = kunit_kzalloc(test, PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->memory);
	KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(f->memory));
	f->buffer = kunit_kzalloc(test, PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->buffer);
	f->dev = mock_kunit_device(test, "4k");
	f->domain = mock_kunit_domain(test, f->dev);
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
}

static struct kunit_case mock_domain_cases[] = {
	KUNIT_CASE(mock_domain_test_unaligned_copy_moves_all_bytes),
	KUNIT_CASE(mock_domain_test_fault_stops_transfer),
	KUNIT_CASE(mock_domain_test_write_without_ram_faults),
	KUNIT_CASE(mock_domain_test_static_domains_block_dma),
	KUNIT_CASE(mock_domain_test_other_device_is_rejected),
	KUNIT_CASE(mock_domain_test_unmap_revokes_access),
	KUNIT_CASE(mock_domain_test_write_after_flush_is_dirty),
	KUNIT_CASE(mock_domain_test_query_rejects_bad_arguments),
	KUNIT_CASE(mock_domain_test_drop_flush_loses_dirty_bit),
	KUNIT_CASE_PARAM(mock_domain_test_sync_flushes_gather,
			 mock_syncs_gen_params),
	KUNIT_CASE(mock_domain_test_exact_unmap_flushes_all_sizes),
	{}
};

static struct kunit_suite mock_domain_suite = {
	.name = "iommu_mock_domain",
	.init = mock_domain_test_init,
	.exit = mock_domain_test_exit,
	.test_cases = mock_domain_cases,
};

kunit_test_suite(mock_domain_suite);
