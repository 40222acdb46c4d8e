// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: test hooks
 *
 * Tests can make operations of the engine fail, and limit the size of its temporary
 * arrays. The test ABI of iommufd, see test.c, sets both. They are defined here, as the
 * engine is a separate module that the test ABI's module depends on.
 */
#include <linux/export.h>
#include <linux/fault-inject.h>
#include <linux/sizes.h>

#include "test_hooks.h"

struct fault_attr iopt_fail_attr = FAULT_ATTR_INITIALIZER;
EXPORT_SYMBOL_NS_GPL(iopt_fail_attr, IOMMU_IOPT);

size_t iopt_test_memory_limit = SZ_64K;
EXPORT_SYMBOL_NS_GPL(iopt_test_memory_limit, IOMMU_IOPT);

/**
 * iopt_should_fail() - check whether fault injection makes the caller fail
 *
 * Return: true if the caller must act as if its next operation had failed.
 */
bool iopt_should_fail(void)
{
	return should_fail(&iopt_fail_attr, 1);
}
EXPORT_SYMBOL_NS_GPL(iopt_should_fail, IOMMU_IOPT);
