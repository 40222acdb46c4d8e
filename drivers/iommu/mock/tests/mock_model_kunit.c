// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of registered instances and of the inspection of domains.
 */
#include <linux/iommu_mock.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <uapi/linux/iommufd.h>

#include "mock_kunit.h"
#include "mock_private.h"

#define DIRTY	IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define PARENT	IOMMU_HWPT_ALLOC_NEST_PARENT
#define RW	(IOMMU_READ | IOMMU_WRITE)
#define START	SZ_16M
#define LAST	(SZ_2G - 1)
#define INFO	0x1e5

/* Number of calls until mock_model_should_fail() returns true. */
static unsigned int mock_model_successes;

static bool mock_model_should_fail(void)
{
	return !mock_model_successes || !mock_model_successes--;
}

static void *mock_model_hw_info(struct device *dev, u32 *length, u32 *type)
{
	*type = INFO;
	*length = 0;
	return NULL;
}

static const struct iommu_mock_model mock_model_small = {
	.name = "small",
	.pgsizes = SZ_2K,
	.walks = SZ_2K | SZ_1M,
	.aperture_start = START,
	.aperture_last = LAST,
	.dirty = true,
	.nest_parent = true,
	.unmapped_by_owner = true,
	.hw_info = mock_model_hw_info,
	.should_fail = mock_model_should_fail,
};

static const struct iommu_mock_model mock_model_large = {
	.name = "large",
	.pgsizes = SZ_2K | SZ_1M,
	.hw_info = mock_model_hw_info,
};

static const struct iommu_mock_model mock_model_shared_dirty = {
	.name = "shared, dirty",
	.pgsizes = SZ_4K,
	.dirty = true,
	.shared_group = true,
};

static const struct iommu_mock_model mock_model_shared = {
	.name = "shared",
	.pgsizes = SZ_4K,
	.shared_group = true,
};

static void mock_model_unregister(void *mi)
{
	iommu_mock_unregister(mi);
}

static struct device *mock_model_device(struct kunit *test,
					const struct iommu_mock_model *model)
{
	struct mock_iommu *mi = iommu_mock_register(model);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mi);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, mock_model_unregister,
						  mi),
			0);
	return mock_kunit_device_of(test, mi);
}

static struct iommu_domain *mock_model_domain(struct kunit *test,
					      struct device *dev, u32 flags)
{
	const struct iommu_ops *ops = dev->iommu->iommu_dev->ops;
	struct iommu_domain *domain;

	domain = ops->domain_alloc_user(dev, flags, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	domain->owner = ops;
	return domain;
}

static void mock_model_test_domain_matches_model(struct kunit *test)
{
	struct device *dev = mock_model_device(test, &mock_model_small);
	const struct iommu_ops *ops = dev->iommu->iommu_dev->ops;
	struct iommu_domain *domain;
	u32 length, type;

	domain = mock_model_domain(test, dev, DIRTY | PARENT);
	KUNIT_EXPECT_PTR_EQ(test, iommu_mock_domain_model(domain),
			    &mock_model_small);
	KUNIT_EXPECT_NOT_NULL(test, domain->dirty_ops);
	KUNIT_EXPECT_EQ(test, domain->pgsize_bitmap, SZ_2K);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_start, START);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_end, LAST);
	iommu_domain_free(domain);

	KUNIT_EXPECT_EQ(test,
			PTR_ERR(ops->domain_alloc_user(dev, ~PARENT, NULL,
						       NULL)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_PTR_EQ(test, ops->hw_info(dev, &length, &type), NULL);
	KUNIT_EXPECT_EQ(test, type, INFO);
	KUNIT_EXPECT_PTR_EQ(test, iommu_mock_domain_model(&mock_blocked_domain),
			    NULL);
}

/* An instance may walk leaf sizes that its own domains do not use. */
static void mock_model_test_attach_checks_leaf_sizes(struct kunit *test)
{
	struct device *small = mock_model_device(test, &mock_model_small);
	struct device *large = mock_model_device(test, &mock_model_large);
	struct iommu_domain *domain = mock_model_domain(test, large, 0);
	struct iommu_domain *dirty = mock_model_domain(test, small, DIRTY);

	KUNIT_EXPECT_EQ(test, iommu_attach_device(domain, small), 0);
	iommu_detach_device(domain, small);
	KUNIT_EXPECT_EQ(test, iommu_attach_device(dirty, large), -EINVAL);
	iommu_domain_free(domain);
	iommu_domain_free(dirty);
}

/* If the last of several map calls fails, no mapping is left. */
static void mock_model_test_failed_map_leaves_no_mapping(struct kunit *test)
{
	struct device *dev = mock_model_device(test, &mock_model_small);
	struct iommu_domain *domain = mock_model_domain(test, dev, 0);
	struct scatterlist sg[2];
	phys_addr_t phys;
	u8 *memory;

	memory = kunit_kzalloc(test, 3 * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, memory);
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], memory, PAGE_SIZE);
	sg_set_buf(&sg[1], memory + 2 * PAGE_SIZE, PAGE_SIZE);

	mock_model_successes = 0;
	KUNIT_EXPECT_EQ(test,
			iommu_map(domain, START, virt_to_phys(memory),
				  PAGE_SIZE, RW, GFP_KERNEL),
			-ENOMEM);
	mock_model_successes = 1;
	KUNIT_EXPECT_EQ(test,
			iommu_map_sg(domain, START, sg, 2, RW, GFP_KERNEL),
			-ENOMEM);
	KUNIT_EXPECT_FALSE(test,
			   iommu_mock_domain_translate(domain, START, &phys));
	mock_model_successes = 2;
	KUNIT_EXPECT_EQ(test,
			iommu_map_sg(domain, START, sg, 2, RW, GFP_KERNEL),
			2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, iommu_unmap(domain, START, 2 * PAGE_SIZE),
			2 * PAGE_SIZE);
	iommu_domain_free(domain);
}

static bool mock_model_is_dirty(struct iommu_domain *domain, unsigned long iova)
{
	struct mock_pt_leaf leaf;

	return mock_pt_lookup(&to_mock_domain(domain)->pt, iova, &leaf) &&
	       leaf.pte & MOCK_PTE_DIRTY;
}

static void mock_model_test_inspect_translates_and_dirties(struct kunit *test)
{
	struct device *dev = mock_model_device(test, &mock_model_small);
	struct iommu_domain *domain = mock_model_domain(test, dev, DIRTY);
	u8 *memory = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	phys_addr_t phys = 0;

	KUNIT_ASSERT_NOT_NULL(test, memory);
	KUNIT_EXPECT_FALSE(test, iommu_mock_domain_tracks(domain));
	domain->dirty_ops->set_dirty_tracking(domain, true);
	KUNIT_EXPECT_TRUE(test, iommu_mock_domain_tracks(domain));

	mock_model_successes = 2;
	KUNIT_ASSERT_EQ(test,
			iommu_map(domain, START, virt_to_phys(memory), SZ_2K,
				  RW, GFP_KERNEL),
			0);
	KUNIT_ASSERT_EQ(test,
			iommu_map(domain, START + SZ_2K, virt_to_phys(memory),
				  SZ_2K, IOMMU_READ, GFP_KERNEL),
			0);
	KUNIT_EXPECT_TRUE(test,
			  iommu_mock_domain_translate(domain, START + 5, &phys));
	KUNIT_EXPECT_EQ(test, phys, virt_to_phys(memory) + 5);
	KUNIT_EXPECT_FALSE(test,
			   iommu_mock_domain_translate(domain, START - 1,
						       &phys));
	KUNIT_EXPECT_FALSE(test, mock_model_is_dirty(domain, START));

	KUNIT_EXPECT_TRUE(test, iommu_mock_domain_set_dirty(domain, START + 5));
	KUNIT_EXPECT_TRUE(test, mock_model_is_dirty(domain, START));
	KUNIT_EXPECT_TRUE(test, iommu_mock_domain_set_dirty(domain, START));
	/* A read-only leaf, and IOVAs that are not mapped. */
	KUNIT_EXPECT_FALSE(test,
			   iommu_mock_domain_set_dirty(domain, START + SZ_2K));
	KUNIT_EXPECT_FALSE(test, iommu_mock_domain_set_dirty(domain, START - 1));
	KUNIT_EXPECT_FALSE(test, iommu_mock_domain_set_dirty(domain, ULONG_MAX));

	KUNIT_EXPECT_EQ(test, iommu_unmap(domain, START, PAGE_SIZE), PAGE_SIZE);
	iommu_domain_free(domain);
}

/* A group of devices with and without dirty tracking shares one domain. */
static void mock_model_test_shared_group_needs_common_domain(struct kunit *test)
{
	struct device *dirty = mock_model_device(test, &mock_model_shared_dirty);
	struct device *plain = mock_model_device(test, &mock_model_shared);
	struct device *alone = mock_model_device(test, &mock_model_large);
	struct iommu_group *group = iommu_group_get(dirty);
	struct iommu_domain *domain;

	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_PTR_EQ(test, plain->iommu_group, group);
	KUNIT_EXPECT_PTR_NE(test, alone->iommu_group, group);
	KUNIT_EXPECT_TRUE(test, device_iommu_capable(dirty,
						     IOMMU_CAP_DIRTY_TRACKING));
	KUNIT_EXPECT_FALSE(test,
			   device_iommu_capable(plain,
						IOMMU_CAP_DIRTY_TRACKING));

	domain = mock_model_domain(test, dirty, DIRTY);
	KUNIT_EXPECT_EQ(test, iommu_attach_group(domain, group), -EINVAL);
	iommu_domain_free(domain);
	domain = mock_model_domain(test, dirty, 0);
	KUNIT_EXPECT_EQ(test, iommu_attach_group(domain, group), 0);
	iommu_detach_group(domain, group);
	iommu_domain_free(domain);
	iommu_group_put(group);
}

/* iommu_mock_free_fwspec() frees all data of a device that was never added. */
static void mock_model_test_free_fwspec_frees_device_data(struct kunit *test)
{
	struct mock_iommu *mi = iommu_mock_register(&mock_model_large);
	struct platform_device *pdev;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mi);
	pdev = platform_device_alloc("iommu-mock-test", PLATFORM_DEVID_AUTO);
	if (pdev) {
		KUNIT_EXPECT_EQ(test,
				iommu_mock_init_fwspec_of(&pdev->dev, mi), 0);
		KUNIT_EXPECT_NOT_NULL(test, pdev->dev.iommu);
		iommu_mock_free_fwspec(&pdev->dev);
		KUNIT_EXPECT_PTR_EQ(test, pdev->dev.iommu, NULL);
		iommu_mock_free_fwspec(&pdev->dev);
		platform_device_put(pdev);
	}
	iommu_mock_unregister(mi);
}

static struct kunit_case mock_model_cases[] = {
	KUNIT_CASE(mock_model_test_domain_matches_model),
	KUNIT_CASE(mock_model_test_attach_checks_leaf_sizes),
	KUNIT_CASE(mock_model_test_failed_map_leaves_no_mapping),
	KUNIT_CASE(mock_model_test_inspect_translates_and_dirties),
	KUNIT_CASE(mock_model_test_shared_group_needs_common_domain),
	KUNIT_CASE(mock_model_test_free_fwspec_frees_device_data),
	{}
};

static struct kunit_suite mock_model_suite = {
	.name = "iommu_mock_model",
	.init = mock_kunit_check_tables,
	.test_cases = mock_model_cases,
};

kunit_test_suite(mock_model_suite);
