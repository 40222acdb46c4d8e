/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection and limits for tests: see test_hooks.c.
 */
#ifndef __IOPT_TEST_HOOKS_H
#define __IOPT_TEST_HOOKS_H

#include <linux/types.h>

struct fault_attr;

#ifdef CONFIG_IOPT_TEST_HOOKS
/* Attributes of iopt_should_fail(), for debugfs. */
extern struct fault_attr iopt_fail_attr;

/* Return: true if the caller must fail. */
bool iopt_should_fail(void);

/* Maximum size of a temporary array, in bytes. */
extern size_t iopt_test_memory_limit;
#else
static inline bool iopt_should_fail(void)
{
	return false;
}
#endif

#endif
