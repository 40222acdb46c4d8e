/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the mock IOMMU share.
 */
#ifndef _IOMMU_MOCK_KUNIT_H
#define _IOMMU_MOCK_KUNIT_H

#include <kunit/test.h>

struct device;

struct device *mock_kunit_device(struct kunit *test, const char *model);

#endif
