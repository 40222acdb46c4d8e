/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fixtures shared by the tests of the mock IOMMU.
 */
#ifndef _IOMMU_MOCK_KUNIT_H
#define _IOMMU_MOCK_KUNIT_H

#include <kunit/test.h>

struct device;
struct iommu_domain;
struct mock_iommu;

int mock_kunit_check_tables(struct kunit *test);
struct device *mock_kunit_device(struct kunit *test, const char *model);
struct device *mock_kunit_device_of(struct kunit *test, struct mock_iommu *mi);
struct iommu_domain *mock_kunit_domain(struct kunit *test, struct device *dev);

#endif
