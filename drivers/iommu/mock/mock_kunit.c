// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tests of the mock IOMMU share.
 */
#include <linux/iommu_mock.h>
#include <linux/platform_device.h>
#include <linux/string.h>

#include "mock_kunit.h"
#include "mock_private.h"

static void mock_kunit_device_del(void *data)
{
	platform_device_unregister(data);
}

static struct platform_device *mock_kunit_alloc(struct kunit *test)
{
	struct platform_device *pdev;

	pdev = platform_device_alloc("iommu-mock-test", PLATFORM_DEVID_AUTO);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	return pdev;
}

/* Add a device that was adopted, if it was: @rc tells. */
static struct device *mock_kunit_add(struct kunit *test,
				     struct platform_device *pdev, int rc)
{
	if (!rc)
		rc = platform_device_add(pdev);
	if (rc) {
		iommu_mock_disown(&pdev->dev);
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
 * mock_kunit_device() - make a device behind the mock IOMMU
 * @test: it goes when this test ends
 * @model: of the instance that it is behind; the test is skipped where there
 *	is none
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

	pdev = mock_kunit_alloc(test);
	return mock_kunit_add(test, pdev, iommu_mock_adopt(&pdev->dev, i));
}

/**
 * mock_kunit_device_of() - make a device behind an instance of the test's
 * @test: it goes when this test ends
 * @mi: the instance, which goes later
 *
 * Return: the device, probed by the IOMMU driver and in a group of its own.
 */
struct device *mock_kunit_device_of(struct kunit *test, struct mock_iommu *mi)
{
	struct platform_device *pdev = mock_kunit_alloc(test);

	return mock_kunit_add(test, pdev, iommu_mock_adopt_to(&pdev->dev, mi));
}
