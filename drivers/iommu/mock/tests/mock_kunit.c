// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fixtures shared by the tests of the mock IOMMU.
 */
#include <kunit/test-bug.h>
#include <linux/iommu_mock.h>
#include <linux/platform_device.h>
#include <linux/string.h>
#include <uapi/linux/iommufd.h>

#include "mock_kunit.h"
#include "mock_private.h"

static void mock_kunit_expect_tables(void *before)
{
	KUNIT_EXPECT_EQ(kunit_get_current_test(), mock_pt_live_tables(),
			(long)before);
}

/**
 * mock_kunit_check_tables() - check at the end of a test that no table leaks
 * @test: the test; must call this function before it allocates any table
 *
 * Suites without a fixture can use it as &kunit_suite.init.
 *
 * Return: 0
 */
int mock_kunit_check_tables(struct kunit *test)
{
	void *before = (void *)mock_pt_live_tables();

	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test,
						  mock_kunit_expect_tables,
						  before),
			0);
	return 0;
}

static void mock_kunit_device_del(void *data)
{
	platform_device_unregister(data);
}

static struct platform_device *mock_kunit_alloc_pdev(struct kunit *test)
{
	struct platform_device *pdev;

	pdev = platform_device_alloc("iommu-mock-test", PLATFORM_DEVID_AUTO);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	return pdev;
}

/* Add a device to its bus; @rc is the result of iommu_mock_init_fwspec(). */
static struct device *mock_kunit_add_pdev(struct kunit *test,
					  struct platform_device *pdev, int rc)
{
	if (!rc)
		rc = platform_device_add(pdev);
	if (rc) {
		iommu_mock_free_fwspec(&pdev->dev);
		platform_device_put(pdev);
	}
	KUNIT_ASSERT_EQ(test, rc, 0);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, mock_kunit_device_del,
						  pdev),
			0);
	KUNIT_ASSERT_NOT_NULL(test, dev_iommu_priv_get(&pdev->dev));
	return &pdev->dev;
}

/**
 * mock_kunit_device() - create a device behind an instance of a model
 * @test: the test; removes the device at its end
 * @model: name of the model; without an instance of it, the test is skipped
 *
 * Return: the device, probed by the IOMMU driver and in a group of its own.
 */
struct device *mock_kunit_device(struct kunit *test, const char *model)
{
	struct platform_device *pdev;
	unsigned int i;

	for (i = 0; i < iommu_mock_count(); i++)
		if (!strcmp(iommu_mock_model(i), model))
			break;
	if (i == iommu_mock_count())
		kunit_skip(test, "no instance of model %s", model);

	pdev = mock_kunit_alloc_pdev(test);
	return mock_kunit_add_pdev(test, pdev,
				   iommu_mock_init_fwspec(&pdev->dev, i));
}

/**
 * mock_kunit_device_of() - create a device behind a registered instance
 * @test: the test; removes the device at its end
 * @mi: the instance, which must outlive the device
 *
 * Return: the device, probed by the IOMMU driver.
 */
struct device *mock_kunit_device_of(struct kunit *test, struct mock_iommu *mi)
{
	struct platform_device *pdev = mock_kunit_alloc_pdev(test);

	return mock_kunit_add_pdev(test, pdev,
				   iommu_mock_init_fwspec_of(&pdev->dev, mi));
}

/**
 * mock_kunit_domain() - allocate a domain, with dirty tracking if supported
 * @test: the test; fails if the allocation fails
 * @dev: a device that the domain will be attached to
 *
 * Return: the domain. The caller frees it with iommu_domain_free().
 */
struct iommu_domain *mock_kunit_domain(struct kunit *test, struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	u32 flags = mdev->mi->model->dirty ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0;
	struct iommu_domain *domain;

	domain = mock_domain_alloc_user(dev, flags, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	domain->owner = dev->iommu->iommu_dev->ops;
	return domain;
}
