// SPDX-License-Identifier: GPL-2.0-only
/*
 * Benchmark of dirty queries of page tables.
 */
#include <linux/ktime.h>
#include <linux/mman.h>

#include "dirty_pt_kunit.h"

/**
 * DOC: Benchmark of dirty queries of page tables
 *
 * It prints the time of a query per page, for the smallest leaves, where no page, each
 * hundredth, and each page is dirty. If the clock of the machine counts instructions,
 * as with QEMU's -icount, the time is the number of instructions.
 */

#define DIRTY_PT_BENCH_PAGES	65536UL

static int dirty_pt_bench_window(struct iova_bitmap *bitmap, unsigned long iova,
				 size_t length, void *opaque)
{
	struct dirty_pt *pt = opaque;
	struct iommu_dirty_bitmap dirty;

	iommu_dirty_bitmap_init(&dirty, bitmap, NULL);
	return pt->format->query(pt, iova, length, 0, &dirty);
}

/* Set the dirty bit of each page whose number is a multiple of @every; 0 for none. */
static void dirty_pt_bench_run(struct dirty_pt *pt, u64 __user *data,
			       unsigned long every, const char *what)
{
	unsigned long page = dirty_pt_page(pt), i;
	struct iova_bitmap *bitmap;
	u64 start, ns;

	for (i = 0; every && i < DIRTY_PT_BENCH_PAGES; i += every)
		pt->format->write(pt, i * page, 0);
	bitmap = iova_bitmap_alloc(0, DIRTY_PT_BENCH_PAGES * page, page, data);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(pt->test, bitmap);
	start = ktime_get_ns();
	KUNIT_EXPECT_EQ(pt->test, 0,
			iova_bitmap_for_each(bitmap, pt,
					     dirty_pt_bench_window));
	ns = ktime_get_ns() - start;
	iova_bitmap_free(bitmap);
	kunit_info(pt->test, "%s: %s: %llu.%02llu ns per page\n",
		   pt->format->name, what, ns / DIRTY_PT_BENCH_PAGES,
		   ns * 100 / DIRTY_PT_BENCH_PAGES % 100);
}

static void dirty_pt_bench_query(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long page = dirty_pt_page(pt), i, addr;

	addr = kunit_vm_mmap(test, NULL, 0,
			     DIRTY_PT_BENCH_PAGES / BITS_PER_BYTE,
			     PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	for (i = 0; i < DIRTY_PT_BENCH_PAGES; i++)
		dirty_pt_map(pt, i * page, page);

	/* Once more for clean pages: the first query takes page faults. */
	dirty_pt_bench_run(pt, (u64 __user *)addr, 0, "first");
	dirty_pt_bench_run(pt, (u64 __user *)addr, 0, "clean");
	dirty_pt_bench_run(pt, (u64 __user *)addr, 100, "1 % dirty");
	dirty_pt_bench_run(pt, (u64 __user *)addr, 1, "all dirty");
}

static struct kunit_case dirty_pt_bench_cases[] = {
	KUNIT_CASE_PARAM_ATTR(dirty_pt_bench_query, dirty_pt_gen_format,
			      { .speed = KUNIT_SPEED_VERY_SLOW }),
	{}
};

static struct kunit_suite dirty_pt_bench_suite = {
	.name = "dirty_pt_bench",
	.test_cases = dirty_pt_bench_cases,
};

kunit_test_suite(dirty_pt_bench_suite);
