// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of which domain may be attached where, and of several devices.
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

/* Every leaf of the domain has to be one that the instance can walk. */
static const struct mock_attach_case mock_attach_table[] = {
	{ "same model", "2m", "2m", true, 0 },
	{ "fewer sizes", "4k", "1g", true, 0 },
	{ "more sizes", "1g", "2m", true, -EINVAL },
	{ "other granule", "2k", "4k", true, -EINVAL },
	{ "other granule, other way", "4k", "2k", true, -EINVAL },
	{ "dirty bits that it has not", "4k", "nodirty", true, -EINVAL },
	{ "none needed", "4k", "nodirty", false, 0 },
	{ "none made", "nodirty", "4k", false, 0 },
};

KUNIT_ARRAY_PARAM_DESC(mock_attach_table, mock_attach_table, name);

static void mock_attach_test_compatible(struct kunit *test)
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

static void mock_attach_test_model(struct kunit *test)
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
	KUNIT_EXPECT_EQ(test, domain->pgsize_bitmap, m->pgsizes);
	KUNIT_EXPECT_EQ(test, !!domain->dirty_ops, m->dirty);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_start, 0);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_end, BIT(48) - 1);
	KUNIT_EXPECT_TRUE(test, domain->geometry.force_aperture);
	KUNIT_EXPECT_TRUE(test, domain->ops->enforce_cache_coherency(domain));
	iommu_domain_free(domain);
}

static void mock_attach_test_user_flags(struct kunit *test)
{
	struct device *nodirty = mock_kunit_device(test, "nodirty");
	struct device *dev = mock_kunit_device(test, "4k");
	struct iommu_user_data data = {};
	struct iommu_domain *domain;

	domain = mock_domain_alloc_user(dev, 0, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	/* As on hardware: what was not asked for is not there. */
	KUNIT_EXPECT_PTR_EQ(test, domain->dirty_ops, NULL);
	KUNIT_EXPECT_EQ(test, domain->type, IOMMU_DOMAIN_UNMANAGED);

	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(nodirty, DIRTY, NULL,
						       NULL)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(dev, PARENT, NULL,
						       NULL)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_domain_alloc_user(dev, 0, domain, NULL)),
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
	struct iommu_domain *domain = iommu_paging_domain_alloc(dev);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	KUNIT_EXPECT_EQ(test,
			iommu_map(domain, IOVA, virt_to_phys(memory), PAGE_SIZE,
				  RW, GFP_KERNEL),
			0);
	return domain;
}

/* Two devices, two domains, and either moves while the other stays. */
static void mock_attach_test_switch(struct kunit *test)
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

	/* What one loses the other keeps. */
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

/* A flush reaches every device, not only the one that wrote. */
static void mock_attach_test_flush_all(struct kunit *test)
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

static int mock_attach_test_init(struct kunit *test)
{
	test->priv = (void *)mock_pt_live_tables();
	return 0;
}

static void mock_attach_test_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, mock_pt_live_tables(), (long)test->priv);
}

static struct kunit_case mock_attach_cases[] = {
	KUNIT_CASE_PARAM(mock_attach_test_compatible,
			 mock_attach_table_gen_params),
	KUNIT_CASE_PARAM(mock_attach_test_model, mock_attach_models_gen_params),
	KUNIT_CASE(mock_attach_test_user_flags),
	KUNIT_CASE(mock_attach_test_switch),
	KUNIT_CASE(mock_attach_test_flush_all),
	{}
};

static struct kunit_suite mock_attach_suite = {
	.name = "iommu_mock_attach",
	.init = mock_attach_test_init,
	.exit = mock_attach_test_exit,
	.test_cases = mock_attach_cases,
};

kunit_test_suite(mock_attach_suite);
