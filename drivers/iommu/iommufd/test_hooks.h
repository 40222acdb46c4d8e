/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where tests reach into the code that they test: see test_hooks.c.
 */
#ifndef __IOMMUFD_TEST_HOOKS_H
#define __IOMMUFD_TEST_HOOKS_H

#include <linux/types.h>

struct fault_attr;

#ifdef CONFIG_IOMMUFD_TEST
/* What decides that, for debugfs. */
extern struct fault_attr fail_iommufd;

/* True where a test wants this to fail. */
bool iommufd_should_fail(void);

/* Bytes that a temporary array may have. */
extern size_t iommufd_test_memory_limit;
#else
static inline bool iommufd_should_fail(void)
{
	return false;
}
#endif

#endif
