/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations of a test that fail: see iopt_fault_kunit.c.
 */
#ifndef __IOPT_FAULT_KUNIT_H
#define __IOPT_FAULT_KUNIT_H

#include <kunit/test.h>
#include <linux/sched.h>

void iopt_kunit_begin_faults(struct kunit *test);
void iopt_kunit_fail_all(bool on);

/* Make the @nth allocation of this thread fail; 1 is the next one. */
static inline void iopt_kunit_fail_nth(unsigned int nth)
{
	current->fail_nth = nth;
}

/*
 * End iopt_kunit_fail_nth(). Return: true if the thread allocated that often, so
 * that an allocation failed.
 */
static inline bool iopt_kunit_end_fail_nth(void)
{
	bool failed = !current->fail_nth;

	current->fail_nth = 0;
	return failed;
}

#endif
