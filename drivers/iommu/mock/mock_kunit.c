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
	int rc;

	for (i = 0; i < iommu_mock_count(); i++)
		if (!strcmp(iommu_mock_model(i), model))
			break;
	if (i == iommu_mock_count())
		kunit_skip(test, "no instance of model %s", model);

	pdev = platform_device_alloc("iommu-mock-test", PLATFORM_DEVID_AUTO);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	rc = iommu_mock_adopt(&pdev->dev, i);
	if (!rc)
		rc = platform_device_add(pdev);
	if (rc)
		platform_device_put(pdev);
	KUNIT_ASSERT_EQ(test, rc, 0);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, mock_kunit_device_del,
						  pdev),
			0);
	KUNIT_ASSERT_NOT_NULL(test, dev_iommu_priv_get(&pdev->dev));
	return &pdev->dev;
}
