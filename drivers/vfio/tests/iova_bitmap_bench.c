// SPDX-License-Identifier: GPL-2.0-only
/*
 * Benchmark of iova_bitmap.
 */
#include <kunit/test.h>

#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sizes.h>

/**
 * DOC: Benchmark of the IOVA bitmap
 *
 * Prints a line ``bench: NAME FIGURE`` per case, with the nanoseconds per call.
 * In a virtual machine whose clock counts instructions, the figure is a number
 * of instructions, which is the same in every run. The calls are spread over a
 * bitmap of two pages, so neither compiler nor cache can predict the position
 * of a bit.
 */

#define BENCH_GRANULE	SZ_4K
#define BENCH_CALLS	4096
#define BENCH_BITS	(2 * PAGE_SIZE * BITS_PER_BYTE)

struct bench_case {
	const char *name;
	/* Bits per call, bits from one call to the next, first bit */
	unsigned int bits;
	unsigned int step;
	unsigned int first;
};

static const struct bench_case bench_cases[] = {
	{ "set-1", 1, 13, 0 },
	{ "set-8", 8, 16, 0 },
	{ "set-8-odd", 8, 13, 3 },
	{ "set-512", 512, 1024, 0 },
	{ "set-512-odd", 512, 1001, 3 },
	{ "set-32768", 32768, 0, 0 },
	{ "set-32768-odd", 32768, 0, 3 },
};

static u64 __user *bench_bitmap(struct kunit *test, size_t bytes)
{
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, 0, bytes, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, TASK_SIZE);
	KUNIT_ASSERT_EQ(test, clear_user((void __user *)addr, bytes), 0);
	return (u64 __user *)addr;
}

struct bench_run {
	const struct bench_case *c;
	u64 ns;
};

static int bench_set_fn(struct iova_bitmap *bitmap, unsigned long iova,
			size_t length, void *opaque)
{
	struct bench_run *run = opaque;
	const struct bench_case *c = run->c;
	unsigned int bit = c->first;
	unsigned int i;
	u64 start;

	/* The first call may pin the bitmap: do not measure it. */
	iova_bitmap_set(bitmap, iova, BENCH_GRANULE);

	start = ktime_get_ns();
	for (i = 0; i < BENCH_CALLS; i++) {
		iova_bitmap_set(bitmap, iova + (unsigned long)bit * BENCH_GRANULE,
				(size_t)c->bits * BENCH_GRANULE);
		bit += c->step;
		if (bit + c->bits > BENCH_BITS)
			bit = c->first;
	}
	run->ns = ktime_get_ns() - start;
	return 0;
}

static void bench_set(struct kunit *test)
{
	struct bench_run run = { .c = test->param_value };
	u64 __user *data = bench_bitmap(test, BENCH_BITS / BITS_PER_BYTE);
	struct iova_bitmap *bitmap;
	u64 ns = U64_MAX;
	int i;

	for (i = 0; i < 3; i++) {
		bitmap = iova_bitmap_alloc(SZ_1G, BENCH_BITS * BENCH_GRANULE,
					   BENCH_GRANULE, data);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
		KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run,
							      bench_set_fn));
		iova_bitmap_free(bitmap);
		ns = min(ns, run.ns);
	}
	kunit_info(test, "bench: %s %llu.%02llu\n", run.c->name,
		   ns / BENCH_CALLS, ns * 100 / BENCH_CALLS % 100);
}

static int bench_clean_fn(struct iova_bitmap *bitmap, unsigned long iova,
			  size_t length, void *opaque)
{
	return 0;
}

/* Measure a query without dirty ranges, and its pinning alone. */
static void bench_clean(struct kunit *test)
{
	const size_t bytes = PAGE_SIZE / sizeof(struct page *) * PAGE_SIZE;
	u64 __user *data = bench_bitmap(test, bytes);
	u64 start, ns = U64_MAX, pin = U64_MAX;
	struct iova_bitmap *bitmap;
	struct page **pages;
	int i;

	pages = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < 3; i++) {
		start = ktime_get_ns();
		bitmap = iova_bitmap_alloc(0, bytes * BITS_PER_BYTE *
					   BENCH_GRANULE, BENCH_GRANULE, data);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
		KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, NULL,
							      bench_clean_fn));
		iova_bitmap_free(bitmap);
		ns = min(ns, ktime_get_ns() - start);

		start = ktime_get_ns();
		KUNIT_ASSERT_EQ(test, (int)(bytes / PAGE_SIZE),
				pin_user_pages_fast((unsigned long)data,
						    bytes / PAGE_SIZE,
						    FOLL_WRITE, pages));
		unpin_user_pages(pages, bytes / PAGE_SIZE);
		pin = min(pin, ktime_get_ns() - start);
	}
	kunit_info(test, "bench: clean-64G %llu.00\n", ns);
	kunit_info(test, "bench: pin-64G %llu.00\n", pin);
}

static void bench_name(const struct bench_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bench, bench_cases, bench_name);

static struct kunit_case bench_kunit_cases[] = {
	KUNIT_CASE_PARAM_ATTR(bench_set, bench_gen_params,
			      { .speed = KUNIT_SPEED_VERY_SLOW }),
	KUNIT_CASE_ATTR(bench_clean, { .speed = KUNIT_SPEED_VERY_SLOW }),
	{}
};

static struct kunit_suite bench_suite = {
	.name = "iova_bitmap_bench",
	.test_cases = bench_kunit_cases,
};

kunit_test_suite(bench_suite);

MODULE_DESCRIPTION("Benchmark of iova_bitmap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
