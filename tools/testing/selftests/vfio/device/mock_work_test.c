// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: workload and truth log of the mock DMA device
 *
 * Other tests compare dirty tracking with the truth log. So compare the truth
 * log with a model here, and the workload with the truth log.
 */
#include <time.h>
#include <unistd.h>

#include "lib/test.h"

#define IOVA	0x200000ULL
#define LENGTH	(64 * SZ_4K)

FIXTURE(mock_work)
{
	struct bench bench;
	struct guarded_bitmap truth;
};

FIXTURE_VARIANT(mock_work)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(mock_work, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(mock_work, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(mock_work, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(mock_work)
{
	bench_open(_metadata, &self->bench, variant->mode, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(mock_work)
{
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->truth);
}

static const struct mock_work plain_work = {
	.iova = IOVA,
	.length = LENGTH,
	.stride = SZ_4K,
	.seed = 1,
};

/*
 * The log returns whole 64-bit words, which @truth has to be large enough for.
 */
static void truth_start(struct __test_metadata *_metadata, struct bench *bench,
			struct guarded_bitmap *truth, __u64 iova, __u64 length,
			__u64 granule)
{
	bitmap_alloc(_metadata, truth, (length / granule + 63) / 64 * 64, 0);
	ASSERT_EQ(0, __mock_truth_start(&bench->dev, iova, length, granule));
}

static void truth_read(struct __test_metadata *_metadata, struct bench *bench,
		       struct guarded_bitmap *truth)
{
	mock_truth_read(_metadata, &bench->dev, truth->bits,
			bitmap_bytes(truth));
}

/* The log matches the writes at any granule, and reading the log clears it. */
TEST_F(mock_work, truth_log_matches_the_model)
{
	static const __u64 granules[] = { 64, 512, 2048, 4096, 65536 };
	struct bench *bench = &self->bench;
	struct oracle oracle;
	__u64 seed = 5;

	for (size_t g = 0; g < ARRAY_SIZE(granules); g++) {
		__u64 granule = granules[g];

		truth_start(_metadata, bench, &self->truth, IOVA, LENGTH,
			    granule);
		oracle_init(_metadata, &oracle, IOVA,
			    self->truth.nbits * granule, granule);
		for (int i = 0; i < 40; i++) {
			__u64 at = next_random(&seed) % LENGTH;
			__u64 length = 1 + next_random(&seed) % (LENGTH - at);

			if (i % 2)
				length = 1 + length % 200;
			if (length > LENGTH - at)
				length = LENGTH - at;
			mock_fill(_metadata, &bench->dev, IOVA + at, length,
				  i);
			oracle_write(&oracle, IOVA + at, length);
			if (i % 4)
				continue;
			truth_read(_metadata, bench, &self->truth);
			oracle_check(_metadata, &oracle, &self->truth, IOVA,
				     granule);
			memset(oracle.dirty, 0, oracle.count);
		}
		mock_set(_metadata, &bench->dev, MOCK_REG(truth_control), 0);
		oracle_free(&oracle);
		bitmap_free(&self->truth);
	}
}

/* The log has only writes of its range, and a part of it can be read. */
TEST_F(mock_work, truth_log_of_a_part_has_writes_of_that_part_only)
{
	struct bench *bench = &self->bench;
	const __u64 from = IOVA + 4 * SZ_4K;
	__u64 words[2];

	ASSERT_EQ(0, __mock_truth_start(&bench->dev, from, 128 * 512, 512));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	ASSERT_EQ(0, __mock_region_read(&bench->dev, VFIO_MOCK_DMA_REGION_TRUTH,
					8, &words[1], 8));
	ASSERT_EQ(~0ULL, words[1]);
	ASSERT_EQ(0, __mock_region_read(&bench->dev, VFIO_MOCK_DMA_REGION_TRUTH,
					0, words, 16));
	ASSERT_EQ(~0ULL, words[0]);
	ASSERT_EQ(0, words[1]);
	mock_fill(_metadata, &bench->dev, from - 8, 8, 1);
	mock_fill(_metadata, &bench->dev, from + 128 * 512, 8, 1);
	ASSERT_EQ(0, __mock_region_read(&bench->dev, VFIO_MOCK_DMA_REGION_TRUTH,
					0, words, 16));
	ASSERT_EQ(0, words[0] | words[1]);
}

static const struct {
	__u64 iova, length, granule;
} bad_truth[] = {
	{ IOVA, LENGTH, 0 },
	{ IOVA, LENGTH, 3 },
	{ IOVA, LENGTH, 4097 },
	{ IOVA, 0, 4096 },
	{ IOVA + 1, LENGTH, 4096 },
	{ IOVA, LENGTH + 1, 4096 },
	{ IOVA, LENGTH + 2048, 4096 },
	{ IOVA, (VFIO_MOCK_DMA_TRUTH_MAX + 1) * 8, 8 },
	{ -4096ULL, 8192, 4096 },
};

TEST_F(mock_work, truth_log_with_bad_arguments_fails)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u64 word = ~0ULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad_truth); i++) {
		ASSERT_EQ(-EINVAL, __mock_truth_start(dev, bad_truth[i].iova,
						      bad_truth[i].length,
						      bad_truth[i].granule)) {
			TH_LOG("bad_truth[%zu]", i);
		}
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(truth_control)));
	}
	ASSERT_EQ(0, __mock_truth_start(dev, IOVA, LENGTH, 4096));
	ASSERT_EQ(1, mock_get(_metadata, dev, MOCK_REG(truth_control)));
	mock_fill(_metadata, dev, IOVA, 1, 1);
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(truth_iova), 0));
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(truth_length), 4096));
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(truth_granule), 8));
	/* Whole words only, and the log is read-only. */
	ASSERT_EQ(-EINVAL, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_TRUTH,
					      0, &word, 4));
	ASSERT_EQ(-EINVAL, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_TRUTH,
					      4, &word, 8));
	ASSERT_GT(0, __mock_region_write(dev, VFIO_MOCK_DMA_REGION_TRUTH, 0,
					 &word, 8));
	ASSERT_EQ(0, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_TRUTH, 0,
					&word, 8));
	ASSERT_EQ(1, word);
}

static const struct mock_work bad_work[] = {
	{ .iova = IOVA, .length = LENGTH, .stride = 0 },
	{ .iova = IOVA, .length = LENGTH, .stride = 4 },
	{ .iova = IOVA, .length = LENGTH, .stride = 24 },
	{ .iova = IOVA, .length = LENGTH, .stride = 8192 },
	{ .iova = IOVA, .length = 0, .stride = 4096 },
	{ .iova = IOVA, .length = 2048, .stride = 4096 },
	{ .iova = -4096ULL, .length = 8192, .stride = 4096 },
	{ .iova = IOVA, .length = LENGTH, .stride = 4096,
	  .hot_length = LENGTH + 4096, .hot_percent = 1 },
	{ .iova = IOVA, .length = LENGTH, .stride = 4096,
	  .hot_length = 4096, .hot_percent = 101 },
};

TEST_F(mock_work, workload_with_bad_arguments_is_einval)
{
	struct vfio_dev *dev = &self->bench.dev;

	for (size_t i = 0; i < ARRAY_SIZE(bad_work); i++) {
		ASSERT_EQ(-EINVAL, __mock_work_start(dev, &bad_work[i])) {
			TH_LOG("bad_work[%zu]", i);
		}
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
	}
	ASSERT_TRUE(mem_is(self->bench.mem.va, LENGTH, 0));
}

TEST_F(mock_work, commands_during_workload_are_ebusy)
{
	static const struct {
		size_t offset;
	} regs[] = {
		{ MOCK_REG(work_iova) }, { MOCK_REG(work_length) },
		{ MOCK_REG(work_stride) }, { MOCK_REG(work_rate) },
		{ MOCK_REG(work_hot_length) }, { MOCK_REG(work_hot_percent) },
		{ MOCK_REG(work_seed) },
	};
	struct vfio_dev *dev = &self->bench.dev;

	mock_work_start(_metadata, dev, &plain_work);
	ASSERT_EQ(1, mock_get(_metadata, dev, MOCK_REG(work_control)));
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(work_control), 1));
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		ASSERT_EQ(-EBUSY, __mock_set(dev, regs[i].offset, 0)) {
			TH_LOG("register at 0x%zx", regs[i].offset);
		}
	}
	ASSERT_EQ(-EBUSY, __mock_fill(dev, IOVA, 8, 1));
	mock_work_wait(_metadata, dev, 100);
	mock_work_stop(_metadata, dev);
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(fault_count)));
	/* Stopping a stopped workload succeeds. */
	mock_set(_metadata, dev, MOCK_REG(work_control), 0);
	mock_fill(_metadata, dev, IOVA, 8, 1);
}

/* An unlimited workload writes every page of the range eventually. */
TEST_F(mock_work, unlimited_workload_writes_every_page)
{
	struct bench *bench = &self->bench;

	truth_start(_metadata, bench, &self->truth, IOVA, LENGTH, SZ_4K);
	mock_work_start(_metadata, &bench->dev, &plain_work);
	mock_work_wait(_metadata, &bench->dev, 64 * 20);
	mock_work_stop(_metadata, &bench->dev);
	truth_read(_metadata, bench, &self->truth);
	ASSERT_EQ(LENGTH / SZ_4K, bitmap_count(&self->truth));
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) / 1e9;
}

/* A rate is never exceeded by more than a short burst. */
TEST_F(mock_work, limited_workload_keeps_its_rate)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct mock_work work = plain_work;
	struct timespec start;
	__u64 writes;

	work.rate = 200;
	clock_gettime(CLOCK_MONOTONIC, &start);
	mock_work_start(_metadata, dev, &work);
	mock_work_wait(_metadata, dev, 100);
	writes = mock_work_stop(_metadata, dev);
	ASSERT_GE(seconds_since(&start) * work.rate + work.rate / 10, writes);
}

/* Run until there are at least @writes writes, and return their number. */
static __u64 run_work(struct __test_metadata *_metadata, struct bench *bench,
		      __u64 seed, __u64 writes, __u8 *image)
{
	struct mock_work work = plain_work;

	memset(bench->mem.va, 0, LENGTH);
	work.seed = seed;
	work.stride = 512;
	work.rate = 500;
	mock_work_start(_metadata, &bench->dev, &work);
	mock_work_wait(_metadata, &bench->dev, writes);
	writes = mock_work_stop(_metadata, &bench->dev);
	memcpy(image, bench->mem.va, LENGTH);
	return writes;
}

/*
 * The same number of writes with the same seed leaves the same memory. The
 * scheduler decides when a run stops, so repeat runs until two of them have the
 * same number of writes.
 */
TEST_F(mock_work, workload_of_one_seed_repeats_its_writes)
{
	static __u8 first[LENGTH], again[LENGTH];
	__u64 writes, seen;
	int tries = 0;

	writes = run_work(_metadata, &self->bench, 42, 60, first);
	do {
		ASSERT_GT(100, tries++);
		seen = run_work(_metadata, &self->bench, 42, writes, again);
		/* Compare with the longer run from now on. */
		if (seen > writes) {
			writes = seen;
			memcpy(first, again, LENGTH);
			seen = 0;
		}
	} while (seen != writes);
	ASSERT_EQ(0, memcmp(first, again, LENGTH));
	ASSERT_FALSE(mem_is(first, LENGTH, 0));

	/*
	 * The same number of writes with another seed, so only the seed
	 * differs.
	 */
	do {
		ASSERT_GT(200, tries++);
	} while (run_work(_metadata, &self->bench, 43, writes, again) != writes);
	ASSERT_NE(0, memcmp(first, again, LENGTH));
}

/* After the stop has returned there are no further writes. */
TEST_F(mock_work, stopped_workload_writes_nothing)
{
	static __u8 image[LENGTH];
	struct bench *bench = &self->bench;
	struct timespec start;
	__u64 writes;

	for (int round = 0; round < 5; round++) {
		mock_work_start(_metadata, &bench->dev, &plain_work);
		mock_work_wait(_metadata, &bench->dev, 50);
		writes = mock_work_stop(_metadata, &bench->dev);
		memcpy(image, bench->mem.va, LENGTH);
		clock_gettime(CLOCK_MONOTONIC, &start);
		do {
			ASSERT_EQ(0, memcmp(image, bench->mem.va, LENGTH));
		} while (seconds_since(&start) < 0.05);
		ASSERT_EQ(writes, mock_get(_metadata, &bench->dev,
					   MOCK_REG(work_writes)));
	}
}

/* Each unit that has changed is in the truth log and in the range. */
TEST_F(mock_work, written_units_are_aligned_and_reported)
{
	struct bench *bench = &self->bench;
	struct mock_work work = plain_work;

	work.iova = IOVA + 3 * SZ_4K;
	work.length = 20 * SZ_4K;
	work.stride = 256;
	work.rate = 2000;
	truth_start(_metadata, bench, &self->truth, IOVA, LENGTH, 256);
	memset(bench->mem.va, 0, LENGTH);
	mock_work_start(_metadata, &bench->dev, &work);
	mock_work_wait(_metadata, &bench->dev, 150);
	mock_work_stop(_metadata, &bench->dev);
	truth_read(_metadata, bench, &self->truth);
	ASSERT_NE(0, bitmap_count(&self->truth));
	ASSERT_GE(150 + 400, bitmap_count(&self->truth));
	for (size_t unit = 0; unit < self->truth.nbits; unit++) {
		__u64 at = unit * 256;
		bool reported = bitmap_test(&self->truth, unit);

		ASSERT_EQ(reported, !mem_is(bench->mem.va + at, 256, 0)) {
			TH_LOG("unit at 0x%llx", at);
		}
		ASSERT_TRUE(!reported || (at >= 3 * SZ_4K && at < 23 * SZ_4K));
	}
}

TEST_F(mock_work, hot_set_has_its_share_of_the_writes)
{
	struct bench *bench = &self->bench;
	struct mock_work work = plain_work;

	work.hot_length = 8 * SZ_4K;
	work.hot_percent = 100;
	truth_start(_metadata, bench, &self->truth, IOVA, LENGTH, SZ_4K);
	mock_work_start(_metadata, &bench->dev, &work);
	mock_work_wait(_metadata, &bench->dev, 500);
	mock_work_stop(_metadata, &bench->dev);
	truth_read(_metadata, bench, &self->truth);
	ASSERT_EQ(8, bitmap_count(&self->truth));
	ASSERT_EQ(0xff, self->truth.bits[0]);

	work.hot_percent = 95;
	work.rate = 2000;
	mock_work_start(_metadata, &bench->dev, &work);
	mock_work_wait(_metadata, &bench->dev, 200);
	mock_work_stop(_metadata, &bench->dev);
	truth_read(_metadata, bench, &self->truth);
	ASSERT_EQ(0xff, self->truth.bits[0]);
	ASSERT_GT(8 + 40, bitmap_count(&self->truth));
}

/*
 * Half of the range is unmapped during the workload: the device reports faults.
 */
TEST_F(mock_work, workload_over_a_hole_counts_faults)
{
	struct bench *bench = &self->bench;
	struct mock_work work = plain_work;

	work.length = 2 * LENGTH;
	mock_work_start(_metadata, &bench->dev, &work);
	while (mock_get(_metadata, &bench->dev, MOCK_REG(fault_count)) < 10) {
		ASSERT_EQ(1, mock_get(_metadata, &bench->dev,
				      MOCK_REG(work_control)));
	}
	mock_work_stop(_metadata, &bench->dev);
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT_UNMAPPED,
		  mock_get(_metadata, &bench->dev, MOCK_REG(fault_reason)));
	ASSERT_LE(IOVA + LENGTH, mock_get(_metadata, &bench->dev,
					  MOCK_REG(fault_iova)));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 0);
	ASSERT_TRUE(mem_is(bench->mem.va, LENGTH, 0));
}

/* Reset and close stop the workload and the log, as the stop register does. */
TEST_F(mock_work, reset_and_close_stop_the_workload)
{
	static __u8 image[LENGTH];
	struct bench *bench = &self->bench;

	ASSERT_EQ(0, __mock_truth_start(&bench->dev, IOVA, LENGTH, SZ_4K));
	mock_work_start(_metadata, &bench->dev, &plain_work);
	mock_work_wait(_metadata, &bench->dev, 50);
	ASSERT_EQ(0, __vfio_dev_reset(&bench->dev));
	memcpy(image, bench->mem.va, LENGTH);
	ASSERT_EQ(0, mock_get(_metadata, &bench->dev, MOCK_REG(work_control)));
	ASSERT_EQ(0, mock_get(_metadata, &bench->dev, MOCK_REG(work_length)));
	ASSERT_EQ(0, mock_get(_metadata, &bench->dev,
			      MOCK_REG(truth_control)));
	ASSERT_EQ(0, memcmp(image, bench->mem.va, LENGTH));

	mock_work_start(_metadata, &bench->dev, &plain_work);
	mock_work_wait(_metadata, &bench->dev, 50);
	vfio_dev_close(&bench->dev);
	memcpy(image, bench->mem.va, LENGTH);
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, memcmp(image, bench->mem.va, LENGTH)) {
			TH_LOG("a write came after the close");
		}
	}
}

TEST_HARNESS_MAIN
