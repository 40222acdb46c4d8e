/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test ABI: what is not in iommufd_test.h of the base. Tests include it, too.
 */
#ifndef __IOMMUFD_TEST_ABI_H
#define __IOMMUFD_TEST_ABI_H

enum {
	/*
	 * For create_access.flags: as MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
	 * but what is pinned cannot be unmapped. Later kernels add flags from bit 1.
	 */
	MOCK_FLAGS_ACCESS_CREATE_LOCKS = 1 << 30,
};

#endif
