// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of ioctls with arguments that userspace cannot pass, without a context.
 */
#include <kunit/test.h>

#include "iommufd_private.h"

/*
 * Bug number 21: a mapping that can be neither read nor written. The ioctl must
 * reject it before it uses the context; see iopt_bugs_kunit.c.
 */
static void ioas_bug_21_map_without_protection_fails(struct kunit *test)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.length = PAGE_SIZE,
		.user_va = PAGE_SIZE,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.length = PAGE_SIZE,
	};
	struct iommufd_ucmd ucmd = { .cmd = &map };

	KUNIT_EXPECT_EQ(test, -EINVAL, iommufd_ioas_map(&ucmd));
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA;
	KUNIT_EXPECT_EQ(test, -EINVAL, iommufd_ioas_map(&ucmd));
	ucmd.cmd = &copy;
	KUNIT_EXPECT_EQ(test, -EINVAL, iommufd_ioas_copy(&ucmd));
}

static struct kunit_case ioas_cases[] = {
	KUNIT_CASE(ioas_bug_21_map_without_protection_fails),
	{}
};

static struct kunit_suite ioas_suite = {
	.name = "iommufd_ioas",
	.test_cases = ioas_cases,
};

kunit_test_suite(ioas_suite);
