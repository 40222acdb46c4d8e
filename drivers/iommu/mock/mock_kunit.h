/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the mock IOMMU share.
 */
#ifndef _IOMMU_MOCK_KUNIT_H
#define _IOMMU_MOCK_KUNIT_H

#include <kunit/test.h>

struct device;
struct mock_iommu;

struct device *mock_kunit_device(struct kunit *test, const char *model);
struct device *mock_kunit_device_of(struct kunit *test, struct mock_iommu *mi);

#endif
