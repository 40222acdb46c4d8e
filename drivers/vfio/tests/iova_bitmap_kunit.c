// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of iova_bitmap.
 */
#include <kunit/pins.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "../iova_bitmap.h"
#include "iova_bitmap_kunit_rows.h"

/**
 * DOC: Tests of the IOVA bitmap
 *
 * Each test has a bitmap inside a larger range of user memory with random
 * contents. iova_bitmap_for_each() calls a driver that has a list of dirty
 * ranges. The driver reports each range once, from the first IOVA of the window
 * to the end of the range, as IOMMU drivers report a huge page. An oracle with
 * one byte per granule gives the expected contents of the user memory,
 * including the bytes around the bitmap. Each test checks for leaked page pins.
 */

/* State of a test: user memory, its expected contents, and spilled ranges. */
struct ib_run {
	struct kunit *test;
	const struct ib_case *c;
	struct ib_range ranges[IB_MAX_RANGES];

	u8 __user *mem;
	size_t bytes;
	/* The part that is mapped and compared, as some tests unmap pages */
	size_t from;
	size_t to;
	u8 *before;
	u8 *now;
	u8 *oracle;
	unsigned long nbits;

	unsigned int windows;
	unsigned long next_iova;
	int fail_window;
	int fail_errno;

	unsigned int spills;
	unsigned long spill_iova[IB_MAX_RANGES];
	unsigned long spill_last[IB_MAX_RANGES];
};

static int ib_init(struct kunit *test)
{
	long *pins = kunit_kzalloc(test, sizeof(*pins), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pins);
	*pins = pins_count();
	test->priv = pins;
	return 0;
}

static void ib_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, *(long *)test->priv, pins_count());
}

KUNIT_DEFINE_ACTION_WRAPPER(ib_vfree, vfree, const void *);

static void *ib_vzalloc(struct kunit *test, size_t bytes)
{
	void *p = vzalloc(bytes);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, ib_vfree, p));
	return p;
}

static u64 __user *ib_data(const struct ib_run *run)
{
	/* A page below the bitmap detects writes below it. */
	return (u64 __user *)(run->mem + PAGE_SIZE + run->c->pgoff);
}

static void ib_setup(struct ib_run *run, struct kunit *test,
		     const struct ib_case *c)
{
	struct rnd_state rnd;
	unsigned long addr;

	memset(run, 0, sizeof(*run));
	run->test = test;
	run->c = c;
	memcpy(run->ranges, c->ranges, sizeof(run->ranges));
	run->next_iova = c->iova;
	run->fail_window = -1;
	run->nbits = (c->length - 1) / c->granule + 1;
	run->bytes = PAGE_ALIGN(c->pgoff + run->nbits / BITS_PER_BYTE + 1) +
		     2 * PAGE_SIZE;

	run->to = run->bytes;
	addr = kunit_vm_mmap(test, NULL, 0, run->bytes, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	run->mem = (u8 __user *)addr;
	run->before = ib_vzalloc(test, run->bytes);
	run->now = ib_vzalloc(test, run->bytes);
	run->oracle = ib_vzalloc(test, ALIGN(run->nbits, 8));

	prandom_seed_state(&rnd, 1);
	prandom_bytes_state(&rnd, run->before, run->bytes);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(run->mem, run->before,
					      run->bytes));
}

static struct iova_bitmap *ib_alloc(struct ib_run *run)
{
	const struct ib_case *c = run->c;

	return iova_bitmap_alloc(c->iova, c->length, c->granule, ib_data(run));
}

/* Check whether the page of user memory at @addr is pinned. */
static bool ib_pinned(unsigned long addr)
{
	struct page *page;
	bool pinned;

	if (get_user_pages_fast(addr & PAGE_MASK, 1, FOLL_WRITE, &page) != 1)
		return false;
	pinned = folio_maybe_dma_pinned(page_folio(page));
	put_page(page);
	return pinned;
}

static unsigned long ib_addr_of(const struct ib_run *run, unsigned long iova)
{
	return (unsigned long)ib_data(run) +
	       (iova - run->c->iova) / run->c->granule / BITS_PER_BYTE;
}

/* The driver: reports each range in the first window that overlaps it. */
static int ib_driver(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length, void *opaque)
{
	struct ib_run *run = opaque;
	unsigned long last = iova + length - 1;
	int i;

	KUNIT_EXPECT_EQ(run->test, run->next_iova, iova);
	KUNIT_EXPECT_TRUE(run->test, ib_pinned(ib_addr_of(run, iova)));
	KUNIT_EXPECT_TRUE(run->test, ib_pinned(ib_addr_of(run, last)));
	run->next_iova = last + 1;

	for (i = 0; i < IB_MAX_RANGES && run->ranges[i].length; i++) {
		struct ib_range *r = &run->ranges[i];
		unsigned long first = run->c->iova + r->offset;
		unsigned long end = first + r->length - 1;

		if (r->reported || first > last || end < iova)
			continue;
		first = max(first, iova);
		iova_bitmap_set(bitmap, first, end - first + 1);
		r->reported = true;
	}
	if (run->windows++ == run->fail_window)
		return run->fail_errno;
	return 0;
}

static void ib_spill(void *opaque, unsigned long iova, unsigned long last)
{
	struct ib_run *run = opaque;

	KUNIT_ASSERT_LT(run->test, run->spills, IB_MAX_RANGES);
	run->spill_iova[run->spills] = iova;
	run->spill_last[run->spills++] = last;
}

/* Mark a range of offsets as dirty in the oracle, both ends inclusive. */
static void ib_oracle_set(struct ib_run *run, unsigned long first,
			  unsigned long last)
{
	const struct ib_case *c = run->c;

	memset(run->oracle + first / c->granule, 1,
	       last / c->granule - first / c->granule + 1);
}

static void ib_oracle_set_all(struct ib_run *run)
{
	const struct ib_case *c = run->c;
	int i;

	for (i = 0; i < IB_MAX_RANGES && c->ranges[i].length; i++) {
		const struct ib_range *r = &c->ranges[i];
		unsigned long first = max(r->offset, 0L);
		unsigned long last = r->offset + r->length - 1;

		if (r->offset < 0 && r->length <= -r->offset)
			continue;
		if (first < c->length)
			ib_oracle_set(run, first, min(last, c->length - 1));
	}
}

/* Check that the memory has its initial contents plus the oracle's bits. */
static void ib_check(struct ib_run *run)
{
	const size_t start = PAGE_SIZE + run->c->pgoff;
	const unsigned int swizzle =
		IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? sizeof(u64) - 1 : 0;
	unsigned long n;
	size_t i;

	for (n = 0; n < run->nbits; n++) {
		if (!(n % 8) && !*(u64 *)(run->oracle + n)) {
			n += 7;
			continue;
		}
		if (run->oracle[n])
			run->before[start + ((n / 8) ^ swizzle)] |= 1 << n % 8;
	}

	KUNIT_ASSERT_EQ(run->test, 0, copy_from_user(run->now + run->from,
						     run->mem + run->from,
						     run->to - run->from));
	for (i = run->from; i < run->to; i++)
		if (run->now[i] != run->before[i])
			break;
	if (i == run->to)
		return;
	KUNIT_FAIL(run->test, "byte %ld of the bitmap is %02x, not %02x",
		   (long)i - (long)start, run->now[i], run->before[i]);
}

static void ib_name(const struct ib_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ib_geometry, ib_geometry, ib_name);
KUNIT_ARRAY_PARAM(ib_windows, ib_windows, ib_name);

/* A walk sets the bits of the ranges inside the bitmap, and no other bits. */
static void ib_test_walk_sets_bits_of_ranges(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, test->param_value);
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run, ib_driver));
	KUNIT_EXPECT_EQ(test, run.c->iova + run.c->length, run.next_iova);
	KUNIT_EXPECT_FALSE(test, ib_pinned(ib_addr_of(&run, run.c->iova)));
	iova_bitmap_free(bitmap);
	ib_oracle_set_all(&run);
	ib_check(&run);
}

/* Compare random geometries and ranges with the oracle. */
static void ib_test_random_ranges_match_oracle(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct rnd_state rnd;
	struct ib_case c;
	struct ib_run run;
	int seed, i;

	for (seed = 0; seed < 60; seed++) {
		prandom_seed_state(&rnd, seed);
		memset(&c, 0, sizeof(c));
		c.granule = 1UL << prandom_u32_state(&rnd) % 22;
		c.iova = prandom_u32_state(&rnd);
		c.length = prandom_u32_state(&rnd) % 70000 * c.granule +
			   prandom_u32_state(&rnd) % c.granule + 1;
		c.pgoff = prandom_u32_state(&rnd) % PAGE_SIZE;
		for (i = 0; i < IB_MAX_RANGES; i++) {
			c.ranges[i].offset = ((long)prandom_u32_state(&rnd) << 8) %
					     c.length;
			c.ranges[i].length = prandom_u32_state(&rnd) %
				(c.granule << prandom_u32_state(&rnd) % 12) + 1;
		}
		ib_setup(&run, test, &c);
		bitmap = ib_alloc(&run);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
		KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run,
							      ib_driver));
		iova_bitmap_free(bitmap);
		ib_oracle_set_all(&run);
		ib_check(&run);
		vm_munmap((unsigned long)run.mem, run.bytes);
	}
}

static const struct ib_case ib_two_windows = {
	"two windows", SZ_4K, IB_WINDOW(1) + 2 * PAGE_SIZE * BITS_PER_BYTE, 1, 0,
	{ { 0, 1 }, { IB_WINDOW(1) - 1, 10 }, { IB_WINDOW(1) + 100, 1 } },
};

/* A window has as many pages, and covers as much IOVA, as documented. */
static void ib_test_window_size_is_limited(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_windows[0]);
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, pins_count(),
			*(long *)test->priv + (long)IB_WINDOW_PAGES);
	run.fail_window = 0;
	run.fail_errno = -ECANCELED;
	KUNIT_EXPECT_EQ(test, -ECANCELED,
			iova_bitmap_for_each(bitmap, &run, ib_driver));
	KUNIT_EXPECT_EQ(test, run.next_iova,
			run.c->iova + IB_WINDOW(run.c->granule));
	iova_bitmap_free(bitmap);
}

/*
 * A second walk starts over, without state of the first one, which ended with a
 * range that extends above the bitmap.
 */
static void ib_test_second_walk_starts_over(struct kunit *test)
{
	static const struct ib_case c = {
		"past the end", SZ_4K, IB_WINDOW(1) + 2 * PAGE_SIZE, 1, 0,
		{ { 0, 1 }, { IB_WINDOW(1) - 1, 10 },
		  { IB_WINDOW(1) + PAGE_SIZE, SZ_1G } },
	};
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &c);
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	run.ranges[0].reported = true;
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run, ib_driver));
	run.next_iova = run.c->iova;
	run.ranges[0].reported = false;
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run, ib_driver));
	KUNIT_EXPECT_EQ(test, 4, run.windows);
	iova_bitmap_free(bitmap);
	ib_oracle_set_all(&run);
	ib_check(&run);
}

struct ib_bad_argument {
	const char *name;
	unsigned long iova;
	unsigned long length;
	unsigned long granule;
	int errno;
};

static const struct ib_bad_argument ib_bad_arguments[] = {
	{ "no length", SZ_4K, 0, SZ_4K, -EINVAL },
	{ "no length at 0", 0, 0, SZ_4K, -EINVAL },
	{ "no granule", SZ_4K, SZ_4K, 0, -EINVAL },
	{ "granule of 3 pages", SZ_4K, SZ_4K, 0x3000, -EINVAL },
	{ "granule of all ones", SZ_4K, SZ_4K, ULONG_MAX, -EINVAL },
	{ "wraps", -SZ_4K, SZ_8K, SZ_4K, -EOVERFLOW },
	{ "wraps by a byte", -SZ_4K, SZ_4K + 1, SZ_4K, -EOVERFLOW },
	{ "all but the first, and one", 1, ULONG_MAX, SZ_4K, 0 },
	{ "longest", 2, ULONG_MAX, 1UL << 63, -EOVERFLOW },
};

static void ib_bad_argument_name(const struct ib_bad_argument *r, char *desc)
{
	strscpy(desc, r->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ib_bad_argument, ib_bad_arguments, ib_bad_argument_name);

/* iova_bitmap_alloc() rejects a bad geometry, and neither pins nor writes. */
static void ib_test_alloc_rejects_bad_arguments(struct kunit *test)
{
	const struct ib_bad_argument *r = test->param_value;
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_geometry[0]);
	/* A valid geometry without memory gives -EFAULT instead. */
	bitmap = iova_bitmap_alloc(r->iova, r->length, r->granule,
				   r->errno ? ib_data(&run) : NULL);
	KUNIT_ASSERT_TRUE(test, IS_ERR(bitmap));
	KUNIT_EXPECT_EQ(test, r->errno ?: -EFAULT, PTR_ERR(bitmap));
	ib_check(&run);
}

/* Unmap a page of the bitmap, or make it read-only. */
static void ib_revoke_page(struct ib_run *run, unsigned long page, bool readonly)
{
	unsigned long addr = (unsigned long)run->mem + (1 + page) * PAGE_SIZE;

	KUNIT_ASSERT_EQ(run->test, 0, vm_munmap(addr, PAGE_SIZE));
	if (readonly)
		KUNIT_ASSERT_EQ(run->test, addr,
				vm_mmap(NULL, addr, PAGE_SIZE, PROT_READ,
					MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED,
					0));
}

static const unsigned int ib_bad_pages[] = {
	0, 1, IB_WINDOW_PAGES / 2, IB_WINDOW_PAGES - 1,
	IB_WINDOW_PAGES, IB_WINDOW_PAGES + 1,
};

static void ib_bad_page_name(const unsigned int *page, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "page %u", *page);
}

KUNIT_ARRAY_PARAM(ib_bad_page, ib_bad_pages, ib_bad_page_name);

/*
 * If a page is not writable, the driver is not called for its window. Earlier
 * windows are complete, and the part of their ranges in the failing window is
 * spilled.
 */
static void ib_check_bad_page(struct kunit *test, bool readonly)
{
	unsigned int page = *(const unsigned int *)test->param_value;
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_two_windows);
	ib_revoke_page(&run, page, readonly);
	bitmap = ib_alloc(&run);
	if (page < IB_WINDOW_PAGES) {
		KUNIT_ASSERT_TRUE(test, IS_ERR(bitmap));
		KUNIT_EXPECT_EQ(test, -EFAULT, PTR_ERR(bitmap));
		return;
	}

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	iova_bitmap_set_spill(bitmap, ib_spill, &run);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(bitmap, &run, ib_driver));
	KUNIT_EXPECT_EQ(test, 1, run.windows);
	KUNIT_EXPECT_FALSE(test, run.ranges[2].reported);
	KUNIT_EXPECT_EQ(test, 1, run.spills);
	KUNIT_EXPECT_EQ(test, run.c->iova + IB_WINDOW(1), run.spill_iova[0]);
	KUNIT_EXPECT_EQ(test, run.c->iova + IB_WINDOW(1) + 8, run.spill_last[0]);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);

	ib_oracle_set(&run, 0, 0);
	ib_oracle_set(&run, IB_WINDOW(1) - 1, IB_WINDOW(1) - 1);
	/* Compare the memory that is mapped: the page below, and window one. */
	run.to = PAGE_SIZE + IB_WINDOW_PAGES * PAGE_SIZE;
	ib_check(&run);
}

static void ib_test_hole_in_bitmap_fails_walk(struct kunit *test)
{
	ib_check_bad_page(test, false);
}

static void ib_test_readonly_page_fails_walk(struct kunit *test)
{
	ib_check_bad_page(test, true);
}

/* A bitmap that fills its pages, with no mapped memory around it. */
static void ib_test_walk_pins_only_bitmap_pages(struct kunit *test)
{
	static const struct ib_case c = {
		"alone", SZ_1G, 3 * PAGE_SIZE * BITS_PER_BYTE * SZ_4K, SZ_4K, 0,
		{ { 0, 1 }, { SZ_256M, 3 * PAGE_SIZE * BITS_PER_BYTE * SZ_4K } },
	};
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &c);
	run.from = PAGE_SIZE;
	run.to = 4 * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap((unsigned long)run.mem, run.from));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap((unsigned long)run.mem + run.to,
					   run.bytes - run.to));
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run, ib_driver));
	iova_bitmap_free(bitmap);
	ib_oracle_set_all(&run);
	ib_check(&run);
}

static int ib_pin_calls;
static int ib_pin_fail;

static int ib_pin_stub(unsigned long addr, unsigned int npages,
		       struct page **pages)
{
	if (ib_pin_calls++ == ib_pin_fail)
		return -ENOMEM;
	return pin_user_pages_fast(addr, npages, FOLL_WRITE, pages) == npages ?
	       0 : -EFAULT;
}

/* An errno of pinning other than -EFAULT is returned unchanged. */
static void ib_test_pin_errno_is_returned(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	kunit_activate_static_stub(test, iova_bitmap_pin_pages, ib_pin_stub);
	ib_setup(&run, test, &ib_two_windows);

	ib_pin_calls = 0;
	ib_pin_fail = 0;
	bitmap = ib_alloc(&run);
	KUNIT_EXPECT_TRUE(test, IS_ERR(bitmap));
	KUNIT_EXPECT_EQ(test, -ENOMEM, PTR_ERR(bitmap));

	ib_pin_calls = 0;
	ib_pin_fail = 1;
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			iova_bitmap_for_each(bitmap, &run, ib_driver));
	KUNIT_EXPECT_EQ(test, 1, run.windows);
	/* The carried range has no spill function, so it is lost. */
	KUNIT_EXPECT_EQ(test, 1, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);
}

/* A walk returns the driver's errno, and still sets bits in later windows. */
static void ib_test_callback_errno_is_returned(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_two_windows);
	run.fail_window = 0;
	run.fail_errno = -EIO;
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	iova_bitmap_set_spill(bitmap, ib_spill, &run);
	KUNIT_EXPECT_EQ(test, -EIO, iova_bitmap_for_each(bitmap, &run,
							 ib_driver));
	KUNIT_EXPECT_EQ(test, 1, run.windows);
	KUNIT_EXPECT_EQ(test, 0, run.spills);
	iova_bitmap_free(bitmap);
	ib_oracle_set(&run, 0, 0);
	ib_oracle_set(&run, IB_WINDOW(1) - 1, IB_WINDOW(1) + 8);
	ib_check(&run);
}

static const struct ib_case ib_small = {
	"small", SZ_1G, SZ_1M, SZ_4K, 4,
	{ { -SZ_1M, 3 * SZ_1M } },
};

static int ib_report_outside(struct iova_bitmap *bitmap, unsigned long iova,
			     size_t length, void *opaque)
{
	iova_bitmap_set(bitmap, SZ_1G - SZ_1M, SZ_64K);
	iova_bitmap_set(bitmap, SZ_1G - SZ_4K, SZ_8K);
	iova_bitmap_set(bitmap, SZ_1G + SZ_1M - SZ_4K, SZ_2M);
	iova_bitmap_set(bitmap, SZ_1G + SZ_1M, SZ_4K);
	iova_bitmap_set(bitmap, SZ_1G + SZ_8K, 0);
	iova_bitmap_set(bitmap, ULONG_MAX, 2);
	return 0;
}

/* Parts outside of the bitmap are spilled, with exact first and last IOVA. */
static void ib_test_range_outside_is_spilled(struct kunit *test)
{
	static const unsigned long want[][2] = {
		{ SZ_1G - SZ_1M, SZ_1G - SZ_1M + SZ_64K - 1 },
		{ SZ_1G - SZ_4K, SZ_1G - 1 },
		{ SZ_1G + SZ_1M, SZ_1G + SZ_1M - SZ_4K + SZ_2M - 1 },
		{ SZ_1G + SZ_1M, SZ_1G + SZ_1M + SZ_4K - 1 },
		{ ULONG_MAX, ULONG_MAX },
		{ SZ_1G, SZ_1G },
	};
	struct iova_bitmap *bitmap;
	struct ib_run run;
	int i;

	ib_setup(&run, test, &ib_small);
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	iova_bitmap_set_spill(bitmap, ib_spill, &run);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run,
						      ib_report_outside));
	/* After the walk no window is pinned: all ranges are spilled. */
	iova_bitmap_set(bitmap, SZ_1G, 1);
	KUNIT_ASSERT_EQ(test, ARRAY_SIZE(want), run.spills);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		KUNIT_EXPECT_EQ(test, want[i][0], run.spill_iova[i]);
		KUNIT_EXPECT_EQ(test, want[i][1], run.spill_last[i]);
	}
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);
	ib_oracle_set(&run, 0, 0);
	ib_oracle_set(&run, SZ_1M - SZ_4K, SZ_1M - 1);
	ib_check(&run);
}

/* Without a spill function, each part outside is counted as lost. */
static void ib_test_range_without_spill_is_counted(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_small);
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run,
						      ib_report_outside));
	KUNIT_EXPECT_EQ(test, 5, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);
	ib_oracle_set(&run, 0, 0);
	ib_oracle_set(&run, SZ_1M - SZ_4K, SZ_1M - 1);
	ib_check(&run);
}

static int ib_report_nothing(struct iova_bitmap *bitmap, unsigned long iova,
			     size_t length, void *opaque)
{
	return 0;
}

/* Pages with new bits are marked dirty, so reclaim does not drop them. */
static void ib_test_page_with_new_bits_is_dirty(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct folio *folio;
	struct page *page;
	struct ib_run run;
	int set;

	ib_setup(&run, test, &ib_small);
	KUNIT_ASSERT_EQ(test, 1,
			get_user_pages_fast((unsigned long)ib_data(&run) &
					    PAGE_MASK, 1, FOLL_WRITE, &page));
	folio = page_folio(page);
	for (set = 0; set < 2; set++) {
		folio_lock(folio);
		__folio_clear_dirty(folio);
		folio_unlock(folio);
		bitmap = ib_alloc(&run);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
		iova_bitmap_for_each(bitmap, &run,
				     set ? ib_driver : ib_report_nothing);
		iova_bitmap_free(bitmap);
		KUNIT_EXPECT_EQ(test, set, folio_test_dirty(folio));
	}
	put_page(page);
}

static struct kunit_case ib_cases[] = {
	KUNIT_CASE_PARAM(ib_test_walk_sets_bits_of_ranges,
			 ib_geometry_gen_params),
	KUNIT_CASE_PARAM(ib_test_walk_sets_bits_of_ranges,
			 ib_windows_gen_params),
	KUNIT_CASE(ib_test_random_ranges_match_oracle),
	KUNIT_CASE(ib_test_window_size_is_limited),
	KUNIT_CASE(ib_test_second_walk_starts_over),
	KUNIT_CASE_PARAM(ib_test_alloc_rejects_bad_arguments,
			 ib_bad_argument_gen_params),
	KUNIT_CASE_PARAM(ib_test_hole_in_bitmap_fails_walk,
			 ib_bad_page_gen_params),
	KUNIT_CASE_PARAM(ib_test_readonly_page_fails_walk,
			 ib_bad_page_gen_params),
	KUNIT_CASE(ib_test_walk_pins_only_bitmap_pages),
	KUNIT_CASE(ib_test_pin_errno_is_returned),
	KUNIT_CASE(ib_test_callback_errno_is_returned),
	KUNIT_CASE(ib_test_range_outside_is_spilled),
	KUNIT_CASE(ib_test_range_without_spill_is_counted),
	KUNIT_CASE(ib_test_page_with_new_bits_is_dirty),
	{}
};

static struct kunit_suite ib_suite = {
	.name = "iova_bitmap",
	.init = ib_init,
	.exit = ib_exit,
	.test_cases = ib_cases,
};

kunit_test_suite(ib_suite);

MODULE_DESCRIPTION("KUnit tests of iova_bitmap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
