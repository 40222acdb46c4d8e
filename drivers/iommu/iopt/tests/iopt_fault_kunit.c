// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault injection for tests. Slab allocations of the test's thread fail: the nth
 * one after iopt_kunit_fail_nth(), or all of them while iopt_kunit_fail_all() is
 * on. Other threads are not affected. CONFIG_FAILSLAB has no interface for kernel
 * code, so its attributes are found by their files in debugfs.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/fs.h>

#include "test_hooks.h"
#include "tests/iopt_fault_kunit.h"

/* The variable behind a file of failslab, or NULL. */
static void *fault_attribute(const char *name)
{
	struct dentry *parent = debugfs_lookup("failslab", NULL), *file;
	void *value = NULL;

	if (IS_ERR_OR_NULL(parent))
		return NULL;
	file = debugfs_lookup(name, parent);
	if (!IS_ERR_OR_NULL(file)) {
		value = d_inode(file)->i_private;
		dput(file);
	}
	dput(parent);
	return value;
}

/* Allocations that may sleep fail, too, without a message in the log. */
static void fault_set(bool on)
{
	bool *only_atomic = fault_attribute("ignore-gfp-wait");
	unsigned long *verbose = fault_attribute("verbose");

	if (only_atomic)
		*only_atomic = !on;
	if (verbose)
		*verbose = on ? 0 : 2;
	iopt_fail_attr.verbose = on ? 0 : 2;
}

static void fault_end(void *unused)
{
	current->fail_nth = 0;
	iopt_kunit_fail_all(false);
	fault_set(false);
}

/**
 * iopt_kunit_begin_faults() - let allocations of a test fail
 * @test: the test; no allocation fails after it
 *
 * Skips @test on a kernel without CONFIG_FAILSLAB or without debugfs.
 */
void iopt_kunit_begin_faults(struct kunit *test)
{
	if (!fault_attribute("ignore-gfp-wait") ||
	    !fault_attribute("probability") || !fault_attribute("times") ||
	    !fault_attribute("task-filter"))
		kunit_skip(test, "CONFIG_FAILSLAB or debugfs is missing");
	fault_set(true);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fault_end, NULL));
}

/**
 * iopt_kunit_fail_all() - make every slab allocation of this thread fail
 * @on: begin, or end
 *
 * Needs iopt_kunit_begin_faults(). Unlike with a single failure, a caller that
 * retries an allocation, as an xarray does, fails too.
 */
void iopt_kunit_fail_all(bool on)
{
	unsigned long *probability = fault_attribute("probability");
	bool *task_filter = fault_attribute("task-filter");
	atomic_t *times = fault_attribute("times");

	if (!probability || !task_filter || !times)
		return;
	/* The filter first: other threads must not fail in between. */
	if (on) {
		*task_filter = true;
		atomic_set(times, -1);
	}
	current->make_it_fail = on;
	*probability = on ? 100 : 0;
	if (!on) {
		atomic_set(times, 1);
		*task_filter = false;
	}
}
