// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the compatibility of domains and instances, and of several devices
 * in one domain.
 */
#include <linux/iommu_mock.h>
#include <linux/sizes.h>
#include <uapi/linux/iommufd.h>

#include "mock_kunit.h"
#include "mock_private.h"

#define DIRTY	IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define PARENT	IOMMU_HWPT_ALLOC_NEST_PARENT
#define RW	(IOMMU_READ | IOMMU_WRITE)
#define IOVA	SZ_2M

struct mock_attach_case {
	const char *name;
	const char *domain_of;
	const char *attach_to;
	bool dirty;
	int rc;
};

/* The instance must support all leaf sizes and dirty bits of the domain. */
static const struct mock_attach_case mock_attach_table[] = {
	{ "same model", "2m", "2m", true, 0 },
	{ "fewer sizes", "4k", "1g", true, 0 },
	{ "more sizes", "1g", "2m", true, -EINVAL },
	{ "other granule", "2k", "4k", true, -EINVAL },
	{ "other granule, other way", "4k", "2k", true, -EINVAL },
	{ "dirty bits, unsupported", "4k", "nodirty", true, -EINVAL },
	{ "no dirty bits, unsupported", "4k", "nodirty", false, 0 },
	{ "no dirty bits, supported", "nodirty", "4k", false, 0 },
};

KUNIT_ARRAY_PARAM_DESC(mock_attach_table, mock_attach_table, name);

static void mock_attach_test_attach_checks_leaf_sizes(struct kunit *test)
{
	const struct mock_attach_case *c = test->param_value;
	struct device *other = mock_kunit_device(test, c->attach_to);
	struct device *dev = mock_kunit_device(test, c->domain_of);
	struct iommu_domain *domain;

	domain = mock_domain_alloc_user(dev, c->dirty ? DIRTY : 0, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	domain->owner = &mock_iommu_ops;
	KUNIT_EXPECT_EQ(test, iommu_attach_device(domain, dev), 0);
	KUNIT_EXPECT_EQ(test, iommu_attach_device(domain, other), c->rc);
	if (!c->rc)
		iommu_detach_device(domain, other);
	iommu_detach_device(domain, dev);
	iommu_domain_free(domain);
}

struct mock_attach_model {
	const char *model;
	unsigned long pgsizes;
	bool dirty;
};

static const struct mock_attach_model mock_attach_models[] = {
	{ "4k", SZ_4K, true },
	{ "2m", SZ_4K | SZ_2M, true },
	{ "1g", SZ_4K | SZ_2M | SZ_1G, true },
	{ "2k", SZ_2K | SZ_1M, true },
	{ "nodirty", SZ_4K, false },
};

KUNIT_ARRAY_PARAM_DESC(mock_attach_models, mock_attach_models, model);

static void mock_attach_test_domain_matches_model(struct kunit *test)
{
	const struct mock_attach_model *m = test->param_value;
	struct device *dev = mock_kunit_device(test, m->model);
	struct iommu_domain *domain;

	KUNIT_EXPECT_TRUE(test, device_iommu_capable(dev,
						     IOMMU_CAP_CACHE_COHERENCY));
	KUNIT_EXPECT_TRUE(test,
			  device_iommu_capable(dev,
					       IOMMU_CAP_ENFORCE_CACHE_COHERENCY));
	KUNIT_EXPECT_EQ(test,
			device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING),
			m->dirty);
	KUNIT_EXPECT_FALSE(test, device_iommu_capable(dev, IOMMU_CAP_NOEXEC));

	domain = iommu_paging_domain_alloc(dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	KUNIT_EXPECT_PTR_EQ(test, domain->dirty_ops, NULL);
	iommu_domain_free(domain);

	domain = mock_kunit_domain(test, dev);
	KUNIT_EXPECT_EQ(test, domain->pgsize_bitmap, m->pgsizes);
	KUNIT_EXPECT_EQ(test, !!domain->dirty_ops, m->dirty);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_start, 0);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_end, BIT(48) - 1);
	KUNIT_EXPECT_TRUE(test, domain->geometry.force_aperture);
	KUNIT_EXPECT_TRUE(test, domain->ops->enforce_cache_coherency(domain));
	iommu_domain_free(domain);
}

static void mock_attach_test_alloc_rejects_bad_flags(struct kunit *test)
{
	struct device *nodirty = mock_kunit_device(test, "nodirty");
	struct device *dev = mock_kunit_device(test, "4k");
	struct iommu_user_data data = {};
	struct iommu_domain *domain;

	domain = mock_domain_alloc_user(dev, 0, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	/* As with hardware, dirty tracking needs the flag. */
	KUNIT_EXPECT_PTR_EQ(test, domain->dirty_ops, NULL);
	KUNIT_EXPECT_EQ(test, domain->type, IOMMU_DOMAIN_UNMANAGED);

	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(nodirty, DIRTY, NULL,
						       NULL)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(nodirty, PARENT, NULL,
						       NULL)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(nodirty, 0, domain,
						       NULL)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(dev, 0, NULL, &data)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, PTR_ERR(mock_domain_alloc_paging(NULL)),
			-EOPNOTSUPP);
	iommu_domain_free(domain);
}

static void mock_attach_write(struct kunit *test, struct device *dev, u64 value,
			      int rc)
{
	struct iommu_mock_fault fault;

	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(dev, IOVA, &value, sizeof(value),
					     &fault),
			rc);
}

static struct iommu_domain *mock_attach_domain(struct kunit *test,
					       struct device *dev, u64 *memory)
{
	struct iommu_domain *domain = mock_kunit_domain(test, dev);

	KUNIT_EXPECT_EQ(test,
			iommu_map(domain, IOVA, virt_to_phys(memory), PAGE_SIZE,
				  RW, GFP_KERNEL),
			0);
	return domain;
}

/* A change of the domain of one device does not affect the other device. */
static void mock_attach_test_switch_moves_one_device(struct kunit *test)
{
	struct device *dev[2] = { mock_kunit_device(test, "4k"),
				  mock_kunit_device(test, "2m") };
	u64 *memory[2] = { kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL),
			   kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL) };
	struct iommu_domain *domain[2];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, memory[0]);
	KUNIT_ASSERT_NOT_NULL(test, memory[1]);
	for (i = 0; i < 2; i++) {
		domain[i] = mock_attach_domain(test, dev[0], memory[i]);
		KUNIT_EXPECT_EQ(test, iommu_attach_device(domain[0], dev[i]),
				0);
		mock_attach_write(test, dev[i], 10 + i, 0);
		KUNIT_EXPECT_EQ(test, *memory[0], 10 + i);
	}

	iommu_detach_device(domain[0], dev[1]);
	KUNIT_EXPECT_EQ(test, iommu_attach_device(domain[1], dev[1]), 0);
	mock_attach_write(test, dev[1], 20, 0);
	mock_attach_write(test, dev[0], 21, 0);
	KUNIT_EXPECT_EQ(test, *memory[1], 20);
	KUNIT_EXPECT_EQ(test, *memory[0], 21);

	/* An unmap in one domain does not affect the other domain. */
	KUNIT_EXPECT_EQ(test, iommu_unmap(domain[0], IOVA, PAGE_SIZE),
			PAGE_SIZE);
	mock_attach_write(test, dev[0], 30, -EFAULT);
	mock_attach_write(test, dev[1], 31, 0);
	KUNIT_EXPECT_EQ(test, *memory[1], 31);

	for (i = 0; i < 2; i++) {
		iommu_detach_device(domain[i], dev[i]);
		mock_attach_write(test, dev[i], 40, -EFAULT);
		iommu_domain_free(domain[i]);
	}
}

/* A flush invalidates the IOTLB of every device of the domain. */
static void mock_attach_test_flush_reaches_all_devices(struct kunit *test)
{
	struct device *dev[2] = { mock_kunit_device(test, "4k"),
				  mock_kunit_device(test, "4k") };
	u64 *memory = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	struct iommu_domain *domain;
	struct mock_pt_leaf leaf;
	struct mock_domain *md;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, memory);
	domain = mock_attach_domain(test, dev[0], memory);
	md = container_of(domain, struct mock_domain, domain);
	domain->dirty_ops->set_dirty_tracking(domain, true);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, iommu_attach_device(domain, dev[i]), 0);
		mock_attach_write(test, dev[i], i, 0);
	}
	for (i = 0; i < 2; i++) {
		iommu_dirty_bitmap_init(&dirty, NULL, &gather);
		domain->dirty_ops->read_and_clear_dirty(domain, IOVA, PAGE_SIZE,
							0, &dirty);
		iommu_iotlb_sync(domain, &gather);
		KUNIT_EXPECT_TRUE(test, mock_pt_lookup(&md->pt, IOVA, &leaf));
		KUNIT_EXPECT_FALSE(test, leaf.pte & MOCK_PTE_DIRTY);
		mock_attach_write(test, dev[i], i, 0);
		KUNIT_EXPECT_TRUE(test, mock_pt_lookup(&md->pt, IOVA, &leaf));
		KUNIT_EXPECT_TRUE(test, leaf.pte & MOCK_PTE_DIRTY);
	}
	for (i = 0; i < 2; i++)
		iommu_detach_device(domain, dev[i]);
	iommu_domain_free(domain);
}

static struct kunit_case mock_attach_cases[] = {
	KUNIT_CASE_PARAM(mock_attach_test_attach_checks_leaf_sizes,
			 mock_attach_table_gen_params),
	KUNIT_CASE_PARAM(mock_attach_test_domain_matches_model,
			 mock_attach_models_gen_params),
	KUNIT_CASE(mock_attach_test_alloc_rejects_bad_flags),
	KUNIT_CASE(mock_attach_test_switch_moves_one_device),
	KUNIT_CASE(mock_attach_test_flush_reaches_all_devices),
	{}
};

static struct kunit_suite mock_attach_suite = {
	.name = "iommu_mock_attach",
	.init = mock_kunit_check_tables,
	.test_cases = mock_attach_cases,
};

kunit_test_suite(mock_attach_suite);
