// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: test hooks
 *
 * Where a test reaches into the engine: it can have something fail, and have it
 * take little memory. The switches are those of the test ABI, see test.c, but
 * the engine is a module of its own, which the test ABI's needs.
 */
#include <linux/export.h>
#include <linux/fault-inject.h>
#include <linux/sizes.h>

#include "test_hooks.h"

struct fault_attr fail_iommufd = FAULT_ATTR_INITIALIZER;
EXPORT_SYMBOL_NS_GPL(fail_iommufd, IOMMU_IOPT);

size_t iommufd_test_memory_limit = SZ_64K;
EXPORT_SYMBOL_NS_GPL(iommufd_test_memory_limit, IOMMU_IOPT);

/**
 * iommufd_should_fail() - fail here because a test wants it
 *
 * Return: true where the caller has to act as if what it does next failed.
 */
bool iommufd_should_fail(void)
{
	return should_fail(&fail_iommufd, 1);
}
EXPORT_SYMBOL_NS_GPL(iommufd_should_fail, IOMMU_IOPT);
