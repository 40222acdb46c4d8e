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

#include "iova_bitmap.h"
#include "iova_bitmap_kunit_rows.h"

/**
 * DOC: idea
 *
 * A bitmap lies somewhere in a stretch of user memory full of random bytes. A
 * driver with a list of dirty ranges is asked through iova_bitmap_for_each()
 * and tells each range once, from the asked IOVA to the range's own end, as
 * IOMMU drivers tell a huge page. The oracle has a byte for every granule, and
 * knows what the whole stretch of memory must hold afterwards, the bytes
 * around the bitmap with it. After each test as many pages were unpinned as
 * were pinned.
 */

/* One run: the memory, what was in it, what the spill function was told. */
struct ib_run {
	struct kunit *test;
	const struct ib_case *c;
	struct ib_range ranges[IB_MAX_RANGES];

	u8 __user *mem;
	size_t bytes;
	/* What of it can be looked at, as some tests make holes */
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
	/* A page in front, so that writing too early is seen as well. */
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

/* Whether the page of user memory at @addr is pinned. */
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

/* The driver: tells each range once, when first asked for a part of it. */
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

		if (r->told || first > last || end < iova)
			continue;
		first = max(first, iova);
		iova_bitmap_set(bitmap, first, end - first + 1);
		r->told = true;
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

/* The oracle learns a range of offsets, both ends inclusive. */
static void ib_dirty(struct ib_run *run, unsigned long first,
		     unsigned long last)
{
	const struct ib_case *c = run->c;

	memset(run->oracle + first / c->granule, 1,
	       last / c->granule - first / c->granule + 1);
}

static void ib_dirty_all(struct ib_run *run)
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
			ib_dirty(run, first, min(last, c->length - 1));
	}
}

/* Memory is what it was, and the oracle's bits. */
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

/* Every row: the bits of the ranges inside the bitmap, and no other. */
static void ib_test_rows(struct kunit *test)
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
	ib_dirty_all(&run);
	ib_check(&run);
}

/* Random geometry and ranges; each seed is a case of its own. */
static void ib_test_random(struct kunit *test)
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
		ib_dirty_all(&run);
		ib_check(&run);
		vm_munmap((unsigned long)run.mem, run.bytes);
	}
}

static const struct ib_case ib_two_windows = {
	"two windows", SZ_4K, IB_WINDOW(1) + 2 * PAGE_SIZE * BITS_PER_BYTE, 1, 0,
	{ { 0, 1 }, { IB_WINDOW(1) - 1, 10 }, { IB_WINDOW(1) + 100, 1 } },
};

/* Windows are as many, as long and as many pages as the documentation says. */
static void ib_test_window_count(struct kunit *test)
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
 * The walk can be made again, and starts over: nothing is left from the first
 * one, though it ended with a range that went on behind the bitmap.
 */
static void ib_test_again(struct kunit *test)
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
	run.ranges[0].told = true;
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run, ib_driver));
	run.next_iova = run.c->iova;
	run.ranges[0].told = false;
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run, ib_driver));
	KUNIT_EXPECT_EQ(test, 4, run.windows);
	iova_bitmap_free(bitmap);
	ib_dirty_all(&run);
	ib_check(&run);
}

struct ib_refusal {
	const char *name;
	unsigned long iova;
	unsigned long length;
	unsigned long granule;
	int errno;
};

static const struct ib_refusal ib_refusals[] = {
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

static void ib_refusal_name(const struct ib_refusal *r, char *desc)
{
	strscpy(desc, r->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ib_refusal, ib_refusals, ib_refusal_name);

/* Bad geometry is refused, and neither pins nor writes. */
static void ib_test_refusals(struct kunit *test)
{
	const struct ib_refusal *r = test->param_value;
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_geometry[0]);
	/* Good geometry without memory is told apart from bad geometry. */
	bitmap = iova_bitmap_alloc(r->iova, r->length, r->granule,
				   r->errno ? ib_data(&run) : NULL);
	KUNIT_ASSERT_TRUE(test, IS_ERR(bitmap));
	KUNIT_EXPECT_EQ(test, r->errno ?: -EFAULT, PTR_ERR(bitmap));
	ib_check(&run);
}

/* Take a page of the bitmap away, or make it read only. */
static void ib_spoil(struct ib_run *run, unsigned long page, bool readonly)
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
 * Whichever page cannot be written: nobody is asked for its window, the windows
 * before it are told, and what they reach into it is spilled.
 */
static void ib_fault(struct kunit *test, bool readonly)
{
	unsigned int page = *(const unsigned int *)test->param_value;
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_two_windows);
	ib_spoil(&run, page, readonly);
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
	KUNIT_EXPECT_FALSE(test, run.ranges[2].told);
	KUNIT_EXPECT_EQ(test, 1, run.spills);
	KUNIT_EXPECT_EQ(test, run.c->iova + IB_WINDOW(1), run.spill_iova[0]);
	KUNIT_EXPECT_EQ(test, run.c->iova + IB_WINDOW(1) + 8, run.spill_last[0]);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);

	ib_dirty(&run, 0, 0);
	ib_dirty(&run, IB_WINDOW(1) - 1, IB_WINDOW(1) - 1);
	/* Compare what is still there: the page in front and window one. */
	run.to = PAGE_SIZE + IB_WINDOW_PAGES * PAGE_SIZE;
	ib_check(&run);
}

static void ib_test_hole(struct kunit *test)
{
	ib_fault(test, false);
}

static void ib_test_readonly(struct kunit *test)
{
	ib_fault(test, true);
}

/* A bitmap that fills its pages, and nothing around them to be pinned. */
static void ib_test_alone(struct kunit *test)
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
	ib_dirty_all(&run);
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

/* An error of pinning other than EFAULT comes out as it is. */
static void ib_test_pin_errno(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	kunit_activate_static_stub(test, iova_bitmap_pin, ib_pin_stub);
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
	/* Nobody takes the carry: counted. */
	KUNIT_EXPECT_EQ(test, 1, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);
}

/* The callback's errno comes out; what it told of a later window is written. */
static void ib_test_callback_errno(struct kunit *test)
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
	ib_dirty(&run, 0, 0);
	ib_dirty(&run, IB_WINDOW(1) - 1, IB_WINDOW(1) + 8);
	ib_check(&run);
}

static const struct ib_case ib_small = {
	"small", SZ_1G, SZ_1M, SZ_4K, 4,
	{ { -SZ_1M, 3 * SZ_1M } },
};

static int ib_outside(struct iova_bitmap *bitmap, unsigned long iova,
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

/* What is outside is spilled to the byte; what is inside is written. */
static void ib_test_spill(struct kunit *test)
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
						      ib_outside));
	/* No window is pinned any more: all of it is outside. */
	iova_bitmap_set(bitmap, SZ_1G, 1);
	KUNIT_ASSERT_EQ(test, ARRAY_SIZE(want), run.spills);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		KUNIT_EXPECT_EQ(test, want[i][0], run.spill_iova[i]);
		KUNIT_EXPECT_EQ(test, want[i][1], run.spill_last[i]);
	}
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);
	ib_dirty(&run, 0, 0);
	ib_dirty(&run, SZ_1M - SZ_4K, SZ_1M - 1);
	ib_check(&run);
}

/* Without anybody to take it each part is counted, and memory is left alone. */
static void ib_test_dropped(struct kunit *test)
{
	struct iova_bitmap *bitmap;
	struct ib_run run;

	ib_setup(&run, test, &ib_small);
	bitmap = ib_alloc(&run);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &run,
						      ib_outside));
	KUNIT_EXPECT_EQ(test, 5, iova_bitmap_nr_dropped(bitmap));
	iova_bitmap_free(bitmap);
	ib_dirty(&run, 0, 0);
	ib_dirty(&run, SZ_1M - SZ_4K, SZ_1M - 1);
	ib_check(&run);
}

static int ib_nothing(struct iova_bitmap *bitmap, unsigned long iova,
		      size_t length, void *opaque)
{
	return 0;
}

/* Pages with new bits are marked dirty, or reclaim could drop them. */
static void ib_test_page_dirty(struct kunit *test)
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
		iova_bitmap_for_each(bitmap, &run, set ? ib_driver : ib_nothing);
		iova_bitmap_free(bitmap);
		KUNIT_EXPECT_EQ(test, set, folio_test_dirty(folio));
	}
	put_page(page);
}

static struct kunit_case ib_cases[] = {
	KUNIT_CASE_PARAM(ib_test_rows, ib_geometry_gen_params),
	KUNIT_CASE_PARAM(ib_test_rows, ib_windows_gen_params),
	KUNIT_CASE(ib_test_random),
	KUNIT_CASE(ib_test_window_count),
	KUNIT_CASE(ib_test_again),
	KUNIT_CASE_PARAM(ib_test_refusals, ib_refusal_gen_params),
	KUNIT_CASE_PARAM(ib_test_hole, ib_bad_page_gen_params),
	KUNIT_CASE_PARAM(ib_test_readonly, ib_bad_page_gen_params),
	KUNIT_CASE(ib_test_alone),
	KUNIT_CASE(ib_test_pin_errno),
	KUNIT_CASE(ib_test_callback_errno),
	KUNIT_CASE(ib_test_spill),
	KUNIT_CASE(ib_test_dropped),
	KUNIT_CASE(ib_test_page_dirty),
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
