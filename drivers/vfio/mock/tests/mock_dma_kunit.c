// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Tests of the mock DMA device
 *
 * Tests of the parts that need no VFIO user: the bitmaps, the truth log, DMA
 * logging and the sequence of the workload. Most compare their results with an
 * oracle that has one byte per bit.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "mock_dma.h"

#define ROUNDS	2000

/* Create a device that is not registered with VFIO. */
static struct mock_dma *mock_dma_test_device(struct kunit *test)
{
	struct mock_dma *md = kunit_kzalloc(test, sizeof(*md), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, md);
	mutex_init(&md->lock);
	mutex_init(&md->truth_lock);
	mutex_init(&md->log_lock);
	spin_lock_init(&md->fault_lock);
	return md;
}

/* Reads return the bits that were set, and clear only the given bits. */
static void mock_dma_test_bits_match_oracle(struct kunit *test)
{
	enum { BITS = 4 * BITS_PER_LONG };
	atomic_long_t bits[BITS / BITS_PER_LONG] = {};
	u8 *oracle = kunit_kzalloc(test, BITS, GFP_KERNEL);
	struct rnd_state rnd;
	unsigned int i, n;

	KUNIT_ASSERT_NOT_NULL(test, oracle);
	prandom_seed_state(&rnd, 1);
	for (n = 0; n < ROUNDS; n++) {
		unsigned int first = prandom_u32_state(&rnd) % BITS;
		unsigned int last = first + prandom_u32_state(&rnd) % (BITS - first);
		unsigned int word = prandom_u32_state(&rnd) % ARRAY_SIZE(bits);
		u64 mask = prandom_u32_state(&rnd) | (u64)prandom_u32_state(&rnd) << 32;
		u64 clear = n % 3 ? mask & prandom_u32_state(&rnd) : mask;
		unsigned long got;

		if (n % 5 == 0) {
			mask = ~0UL;
			clear = ~0UL;
		}
		mock_dma_bits_set(bits, first, last);
		memset(oracle + first, 1, last - first + 1);
		got = mock_dma_bits_test_and_clear(&bits[word], mask, clear);
		for (i = 0; i < BITS_PER_LONG; i++) {
			u8 *bit = &oracle[word * BITS_PER_LONG + i];

			KUNIT_ASSERT_EQ(test, !!(got & BIT(i)),
					*bit && (mask & BIT(i)));
			if (clear & BIT(i))
				*bit = 0;
		}
	}
}

struct mock_dma_truth_case {
	const char *name;
	u64 granule, iova, length;
	int rc;
};

static const struct mock_dma_truth_case mock_dma_truth_cases[] = {
	{ "4 KiB", SZ_4K, SZ_1M, SZ_1M, 0 },
	{ "a byte", 1, 12345, 1000, 0 },
	{ "2 MiB", SZ_2M, SZ_2M, 70 * SZ_2M, 0 },
	{ "the last page", SZ_4K, -(u64)SZ_4K, SZ_4K, 0 },
	{ "one granule of 2^63", BIT_ULL(63), 0, BIT_ULL(63), 0 },
	{ "granule 0", 0, 0, SZ_4K, -EINVAL },
	{ "granule not a power of two", 3 * SZ_4K, 0, 3 * SZ_4K, -EINVAL },
	{ "length 0", SZ_4K, 0, 0, -EINVAL },
	{ "start not aligned", SZ_4K, 512, SZ_4K, -EINVAL },
	{ "length not aligned", SZ_4K, SZ_4K, 512, -EINVAL },
	{ "wraps", SZ_4K, -(u64)SZ_4K, 2 * SZ_4K, -EINVAL },
	{ "too many granules", 1, 0, VFIO_MOCK_DMA_TRUTH_MAX + 1, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(mock_dma_truth, mock_dma_truth_cases, name);

static int mock_dma_test_start_truth(struct mock_dma *md,
				     const struct mock_dma_truth_case *c)
{
	int rc;

	md->regs.truth_granule = c->granule;
	md->regs.truth_iova = c->iova;
	md->regs.truth_length = c->length;
	mutex_lock(&md->lock);
	rc = mock_dma_truth_start(md);
	mutex_unlock(&md->lock);
	return rc;
}

static void mock_dma_test_stop_truth(struct mock_dma *md)
{
	mutex_lock(&md->lock);
	mock_dma_truth_stop(md);
	mutex_unlock(&md->lock);
}

/* The truth log accepts valid ranges, and rejects others. */
static void mock_dma_test_truth_start_checks_range(struct kunit *test)
{
	const struct mock_dma_truth_case *c = test->param_value;
	struct mock_dma *md = mock_dma_test_device(test);

	KUNIT_EXPECT_EQ(test, mock_dma_test_start_truth(md, c), c->rc);
	KUNIT_EXPECT_EQ(test, !rcu_access_pointer(md->truth), !!c->rc);
	if (!c->rc)
		KUNIT_EXPECT_EQ(test, mock_dma_test_start_truth(md, c), -EBUSY);
	mock_dma_test_stop_truth(md);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(md->truth));
}

/* A bit is read once, unless it could not be copied. */
static void mock_dma_test_truth_read_clears_copied_bits(struct kunit *test)
{
	static const struct mock_dma_truth_case c = {
		"", SZ_4K, SZ_1M, 1000 * SZ_4K, 0
	};
	const size_t size = 16 * sizeof(u64);
	struct mock_dma *md = mock_dma_test_device(test);
	unsigned long *bits = kunit_kzalloc(test, size, GFP_KERNEL);
	void __user *buf;

	KUNIT_ASSERT_NOT_NULL(test, bits);
	buf = (void __user *)kunit_vm_mmap(test, NULL, 0, SZ_4K,
					   PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL((void __force *)buf));
	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, buf, 8, 0), -EINVAL);
	KUNIT_ASSERT_EQ(test, mock_dma_test_start_truth(md, &c), 0);

	mock_dma_truth_mark(md, 0, SZ_1M - 1);
	mock_dma_truth_mark(md, SZ_1M + 1000 * SZ_4K, ULONG_MAX);
	mock_dma_truth_mark(md, SZ_1M - 1, SZ_1M);
	mock_dma_truth_mark(md, SZ_1M + 70 * SZ_4K - 1, SZ_1M + 80 * SZ_4K);
	mock_dma_truth_mark(md, SZ_1M + 1000 * SZ_4K - 1, ULONG_MAX);

	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, NULL, size, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, buf, 7, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, buf, 8, 4), -EINVAL);
	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, buf, size, size), 0);
	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, buf, SZ_4K, 0), size);
	KUNIT_ASSERT_EQ(test, copy_from_user(bits, buf, size), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(bits, 1024), 14);
	KUNIT_EXPECT_TRUE(test, test_bit(0, bits));
	KUNIT_EXPECT_EQ(test, find_next_bit(bits, 1024, 1), 69);
	KUNIT_EXPECT_EQ(test, find_next_zero_bit(bits, 1024, 69), 81);
	KUNIT_EXPECT_TRUE(test, test_bit(999, bits));

	KUNIT_EXPECT_EQ(test, mock_dma_truth_read(md, buf, size, 0), size);
	KUNIT_ASSERT_EQ(test, copy_from_user(bits, buf, size), 0);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(bits, 1024));
	mock_dma_test_stop_truth(md);
}

static int mock_dma_test_start_log(struct mock_dma *md, unsigned long first,
				   unsigned long last, u64 *page_size)
{
	struct interval_tree_node node = { .start = first, .last = last };
	struct rb_root_cached tree = RB_ROOT_CACHED;

	interval_tree_insert(&node, &tree);
	return mock_dma_log_start(md, &tree, 1, page_size);
}

struct mock_dma_log_case {
	const char *name;
	u64 page_size, got;
	unsigned long first, last;
	int rc;
};

static const struct mock_dma_log_case mock_dma_log_cases[] = {
	{ "4 KiB", SZ_4K, SZ_4K, SZ_1M, SZ_2M - 1, 0 },
	{ "64 KiB", SZ_64K, SZ_64K, SZ_1M, SZ_2M - 1, 0 },
	{ "no page size", 0, PAGE_SIZE, SZ_1M, SZ_2M - 1, 0 },
	{ "too small", 512, SZ_4K, 512, 1023, 0 },
	{ "too large", SZ_2G, SZ_1G, 0, SZ_2G - 1, 0 },
	{ "up to the end", SZ_4K, SZ_4K, -(unsigned long)SZ_1M, ULONG_MAX, 0 },
	{ "a TiB", SZ_1G, SZ_1G, 0, BIT(40) - 1, 0 },
	{ "not a power of two", 12288, 12288, 0, SZ_1M - 1, -EINVAL },
	{ "empty", SZ_4K, SZ_4K, SZ_4K, SZ_4K - 1, -EINVAL },
	{ "empty at 0", SZ_4K, SZ_4K, 0, ULONG_MAX, -EINVAL },
	{ "too long", SZ_4K, SZ_4K, 0, BIT(45) - 1, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(mock_dma_log, mock_dma_log_cases, name);

static void mock_dma_test_emit_none(void *arg, unsigned long iova,
				    size_t length)
{
	struct kunit *test = arg;

	KUNIT_FAIL(test, "reported 0x%zx bytes at 0x%lx", length, iova);
}

/* DMA logging accepts valid ranges and page sizes, and rejects others. */
static void mock_dma_test_log_start_checks_ranges(struct kunit *test)
{
	const struct mock_dma_log_case *c = test->param_value;
	struct mock_dma *md = mock_dma_test_device(test);
	u64 page_size = c->page_size;

	mock_dma_log_stop(md);
	KUNIT_EXPECT_EQ(test, mock_dma_log_report(md, 0, ULONG_MAX,
						  mock_dma_test_emit_none, test),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, mock_dma_test_start_log(md, c->first, c->last,
						      &page_size), c->rc);
	KUNIT_EXPECT_EQ(test, page_size, c->got);
	KUNIT_EXPECT_EQ(test, !rcu_access_pointer(md->log), !!c->rc);
	if (!c->rc) {
		KUNIT_EXPECT_EQ(test, mock_dma_test_start_log(md, c->first, c->last,
							      &page_size), -EINVAL);
		KUNIT_EXPECT_EQ(test, mock_dma_log_report(md, 0, ULONG_MAX,
							  mock_dma_test_emit_none,
							  test), 0);
	}
	mock_dma_log_stop(md);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(md->log));
}

/* Ranges of the next test, in blocks of 512 bytes, with a hole in between. */
#define BLOCK		512
#define BLOCKS		4096
#define PER_UNIT	(SZ_4K / BLOCK)
#define BASE		((unsigned long)SZ_1G)

static const struct { unsigned long first, last; } mock_dma_test_ranges[] = {
	{ 16, 1000 }, { 2048, 4095 }
};

struct mock_dma_test_report {
	struct kunit *test;
	unsigned long first, last, next;
	u8 reported[BLOCKS];
};

static void mock_dma_test_emit(void *arg, unsigned long iova, size_t length)
{
	struct mock_dma_test_report *t = arg;
	unsigned long first = (iova - BASE) / BLOCK;
	unsigned long last = (iova + length - 1 - BASE) / BLOCK;

	KUNIT_ASSERT_TRUE(t->test, IS_ALIGNED(iova | length, BLOCK));
	KUNIT_ASSERT_GE(t->test, first, t->next);
	KUNIT_ASSERT_GE(t->test, first, t->first);
	KUNIT_ASSERT_LE(t->test, last, t->last);
	/* Adjacent units are reported in one run, so runs do not touch. */
	t->next = last + 2;
	memset(t->reported + first, 1, last - first + 1);
}

/* Mark a write in the oracle, which has a byte for each 4 KiB of a range. */
static void mock_dma_test_mark(u8 (*dirty)[BLOCKS / PER_UNIT], u64 page_size,
			       unsigned long first, unsigned long last)
{
	unsigned long per_page = page_size / BLOCK;
	unsigned int r, i;

	for (r = 0; r < ARRAY_SIZE(mock_dma_test_ranges); r++) {
		unsigned long low = mock_dma_test_ranges[r].first;
		unsigned long high = mock_dma_test_ranges[r].last;

		if (last < low || first > high)
			continue;
		low = max(low, rounddown(first, per_page));
		high = min(high, rounddown(last, per_page) + per_page - 1);
		for (i = low / PER_UNIT; i <= high / PER_UNIT; i++)
			dirty[r][i] = 1;
	}
}

/* Compare a report with the oracle, and clear the units that it covers. */
static void mock_dma_test_compare(struct mock_dma_test_report *t,
				  u8 (*dirty)[BLOCKS / PER_UNIT])
{
	unsigned int r, i, b;

	for (r = 0; r < ARRAY_SIZE(mock_dma_test_ranges); r++) {
		for (i = 0; i < BLOCKS / PER_UNIT; i++) {
			unsigned long low = max_t(unsigned long, i * PER_UNIT,
						  mock_dma_test_ranges[r].first);
			unsigned long high = min_t(unsigned long,
						   i * PER_UNIT + PER_UNIT - 1,
						   mock_dma_test_ranges[r].last);

			if (low > high)
				continue;
			for (b = max(low, t->first); b <= min(high, t->last); b++)
				KUNIT_ASSERT_EQ(t->test, t->reported[b], dirty[r][i]);
			if (t->first <= low && high <= t->last)
				dirty[r][i] = 0;
		}
	}
}

static const u64 mock_dma_page_sizes[] = { SZ_4K, SZ_16K, SZ_1M };

static void mock_dma_page_size_desc(const u64 *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "pages of %llu", *size);
}

KUNIT_ARRAY_PARAM(mock_dma_page_size, mock_dma_page_sizes,
		  mock_dma_page_size_desc);

/* Random writes and reports match the oracle. */
static void mock_dma_test_log_report_matches_oracle(struct kunit *test)
{
	const u64 *page_size = test->param_value;
	u8 (*dirty)[BLOCKS / PER_UNIT] = kunit_kzalloc(test, 2 * sizeof(*dirty),
						       GFP_KERNEL);
	struct mock_dma_test_report *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct mock_dma *md = mock_dma_test_device(test);
	struct rb_root_cached tree = RB_ROOT_CACHED;
	struct interval_tree_node node[2] = {};
	u64 size = *page_size;
	struct rnd_state rnd;
	unsigned int n, r;

	KUNIT_ASSERT_TRUE(test, dirty && t);
	t->test = test;
	for (r = 0; r < ARRAY_SIZE(mock_dma_test_ranges); r++) {
		node[r].start = BASE + mock_dma_test_ranges[r].first * BLOCK;
		node[r].last = BASE + mock_dma_test_ranges[r].last * BLOCK +
			       BLOCK - 1;
		interval_tree_insert(&node[r], &tree);
	}
	KUNIT_ASSERT_EQ(test, mock_dma_log_start(md, &tree, 2, &size), 0);

	prandom_seed_state(&rnd, size);
	for (n = 0; n < ROUNDS; n++) {
		unsigned long first = prandom_u32_state(&rnd) % BLOCKS;
		unsigned long last = first + prandom_u32_state(&rnd) % 100;

		last = min(last, BLOCKS - 1UL);
		mock_dma_log_mark(md, BASE + first * BLOCK + 7,
				  BASE + last * BLOCK + 9);
		mock_dma_test_mark(dirty, size, first, last);

		t->first = prandom_u32_state(&rnd) % BLOCKS;
		t->last = t->first + prandom_u32_state(&rnd) % (BLOCKS - t->first);
		t->next = 0;
		memset(t->reported, 0, sizeof(t->reported));
		if (n % 4)
			continue;
		KUNIT_ASSERT_EQ(test, mock_dma_log_report(md, BASE + t->first * BLOCK,
							  BASE + t->last * BLOCK +
							  BLOCK - 1,
							  mock_dma_test_emit, t), 0);
		mock_dma_test_compare(t, dirty);
	}
	mock_dma_log_stop(md);
}

struct mock_dma_work_case {
	const char *name;
	u64 iova, length, stride, hot, percent;
	int rc;
};

static const struct mock_dma_work_case mock_dma_work_cases[] = {
	{ "no hot set", SZ_1G, SZ_64K, SZ_4K, 0, 0, 0 },
	{ "a hot set", SZ_1G, SZ_64K, SZ_4K, SZ_8K, 90, 0 },
	{ "a hot set without writes", SZ_1G, SZ_64K, 8, SZ_8K, 0, 0 },
	{ "a hot set of the whole range", SZ_1G, SZ_64K, 512, SZ_64K, 100, 0 },
	{ "one unit, the last", -8ULL, 8, 8, 0, 0, 0 },
	{ "unit 4", SZ_1G, SZ_64K, 4, 0, 0, -EINVAL },
	{ "unit not a power of two", SZ_1G, 24, 24, 0, 0, -EINVAL },
	{ "unit 8192", SZ_1G, SZ_64K, SZ_8K, 0, 0, -EINVAL },
	{ "start not aligned", 8, SZ_64K, SZ_4K, 0, 0, -EINVAL },
	{ "length not aligned", SZ_1G, SZ_64K + 8, SZ_4K, 0, 0, -EINVAL },
	{ "length 0", SZ_1G, 0, SZ_4K, 0, 0, -EINVAL },
	{ "wraps", -(u64)SZ_4K, SZ_8K, SZ_4K, 0, 0, -EINVAL },
	{ "hot set not aligned", SZ_1G, SZ_64K, SZ_4K, 8, 50, -EINVAL },
	{ "hot set too long", SZ_1G, SZ_64K, SZ_4K, SZ_128K, 50, -EINVAL },
	{ "writes to an empty hot set", SZ_1G, SZ_64K, SZ_4K, 0, 1, -EINVAL },
	{ "writes to an empty cold set", SZ_1G, SZ_64K, SZ_4K, SZ_64K, 99,
	  -EINVAL },
	{ "101 percent", SZ_1G, SZ_64K, SZ_4K, SZ_4K, 101, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(mock_dma_work, mock_dma_work_cases, name);

/* Writes are whole units of the range; the given percentage is hot. */
static void mock_dma_test_sequence_stays_in_range(struct kunit *test)
{
	const struct mock_dma_work_case *c = test->param_value;
	struct vfio_mock_dma_regs regs = {
		.work_iova = c->iova,
		.work_length = c->length,
		.work_stride = c->stride,
		.work_hot_length = c->hot,
		.work_hot_percent = c->percent,
		.work_seed = 99,
	};
	struct mock_dma_sequence seq;
	u64 n, hot = 0;

	KUNIT_ASSERT_EQ(test, mock_dma_sequence_init(&seq, &regs), c->rc);
	if (c->rc)
		return;
	for (n = 0; n < ROUNDS; n++) {
		unsigned long iova = mock_dma_sequence_iova(&seq, n);

		KUNIT_ASSERT_TRUE(test, IS_ALIGNED(iova, c->stride));
		KUNIT_ASSERT_GE(test, iova, c->iova);
		KUNIT_ASSERT_LE(test, iova - c->iova, c->length - c->stride);
		hot += iova - c->iova < c->hot;
	}
	/* Allow five standard deviations. */
	KUNIT_EXPECT_LE(test, abs_diff(hot * 100, c->percent * ROUNDS),
			c->percent % 100 ? 100 * 5 * 15 : 0);
}

/* The sequence depends on the seed alone, and no write repeats a word. */
static void mock_dma_test_sequence_depends_on_seed(struct kunit *test)
{
	struct vfio_mock_dma_regs regs = {
		.work_length = SZ_1M,
		.work_stride = MOCK_DMA_UNIT_MAX,
		.work_seed = 1,
	};
	const unsigned int words = MOCK_DMA_UNIT_MAX / sizeof(u64);
	u64 *a = kunit_kzalloc(test, MOCK_DMA_UNIT_MAX, GFP_KERNEL);
	u64 *b = kunit_kzalloc(test, MOCK_DMA_UNIT_MAX, GFP_KERNEL);
	struct mock_dma_sequence one, same, other;
	unsigned int i, n, equal = 0;

	KUNIT_ASSERT_TRUE(test, a && b);
	KUNIT_ASSERT_EQ(test, mock_dma_sequence_init(&one, &regs), 0);
	KUNIT_ASSERT_EQ(test, mock_dma_sequence_init(&same, &regs), 0);
	regs.work_seed = 2;
	KUNIT_ASSERT_EQ(test, mock_dma_sequence_init(&other, &regs), 0);

	for (n = 0; n < 100; n++) {
		KUNIT_ASSERT_EQ(test, mock_dma_sequence_iova(&one, n),
				mock_dma_sequence_iova(&same, n));
		equal += mock_dma_sequence_iova(&one, n) ==
			 mock_dma_sequence_iova(&other, n);
		mock_dma_sequence_data(&one, n, a);
		mock_dma_sequence_data(&same, n, b);
		KUNIT_ASSERT_MEMEQ(test, a, b, MOCK_DMA_UNIT_MAX);
		mock_dma_sequence_data(&one, n + 1, b);
		for (i = 0; i < words; i++)
			KUNIT_ASSERT_NE(test, a[i], b[i]);
		mock_dma_sequence_data(&other, n, b);
		for (i = 0; i < words; i++)
			KUNIT_ASSERT_NE(test, a[i], b[i]);
	}
	KUNIT_EXPECT_LT(test, equal, 10);
}

static struct kunit_case mock_dma_test_cases[] = {
	KUNIT_CASE(mock_dma_test_bits_match_oracle),
	KUNIT_CASE_PARAM(mock_dma_test_truth_start_checks_range,
			 mock_dma_truth_gen_params),
	KUNIT_CASE(mock_dma_test_truth_read_clears_copied_bits),
	KUNIT_CASE_PARAM(mock_dma_test_log_start_checks_ranges,
			 mock_dma_log_gen_params),
	KUNIT_CASE_PARAM(mock_dma_test_log_report_matches_oracle,
			 mock_dma_page_size_gen_params),
	KUNIT_CASE_PARAM(mock_dma_test_sequence_stays_in_range,
			 mock_dma_work_gen_params),
	KUNIT_CASE(mock_dma_test_sequence_depends_on_seed),
	{}
};

static struct kunit_suite mock_dma_test_suite = {
	.name = "vfio-mock-dma",
	.test_cases = mock_dma_test_cases,
};

kunit_test_suite(mock_dma_test_suite);
