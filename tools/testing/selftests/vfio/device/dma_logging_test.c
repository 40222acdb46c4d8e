// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: reports of device DMA logging
 *
 * Compare the bits of VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT with the writes
 * that the device was commanded to do, over every interface that can open the
 * device.
 */
#include <sys/mman.h>

#include "lib/follow.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	400
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(dma_log)
{
	struct bench bench;
	struct oracle oracle;
	struct guarded_bitmap bm;
	__u64 seed;
};

FIXTURE_VARIANT(dma_log)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(dma_log, type1) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(dma_log, compat) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(dma_log, iommufd) {
	.mode = MODE_IOMMUFD, .model = "4k",
};

FIXTURE_VARIANT_ADD(dma_log, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(dma_log, iommufd_emulated) {
	.mode = MODE_IOMMUFD, .model = "emulated",
};

FIXTURE_SETUP(dma_log)
{
	self->seed = 17;
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	oracle_init(_metadata, &self->oracle, IOVA, LENGTH, SZ_4K);
}

FIXTURE_TEARDOWN(dma_log)
{
	bench_close(_metadata, &self->bench);
	oracle_free(&self->oracle);
	bitmap_free(&self->bm);
}

static void log_start(struct __test_metadata *_metadata, struct bench *bench,
		      __u64 iova, __u64 length, __u64 page_size)
{
	struct vfio_device_feature_dma_logging_range range = { iova, length };
	__u64 size = page_size;

	ASSERT_EQ(0, __dma_log_start(&bench->dev, &size, 1, &range));
	ASSERT_EQ(page_size, size);
}

static void write_random(struct __test_metadata *_metadata,
			 struct bench *bench, struct oracle *oracle,
			 __u64 *seed, int times)
{
	__u64 length = oracle->count * oracle->leaf;

	while (times--) {
		__u64 at = next_random(seed) % length;
		__u64 count = 1 + next_random(seed) % (8 * SZ_4K);

		if (count > length - at)
			count = length - at;
		mock_fill(_metadata, &bench->dev, oracle->iova + at, count, at);
		oracle_write(oracle, oracle->iova + at, count);
	}
}

/* Check the report of the range at @iova, and expect it to be clean then. */
static void check_report(struct __test_metadata *_metadata,
			 struct bench *bench, struct oracle *oracle,
			 struct guarded_bitmap *bm, __u64 iova, __u64 granule)
{
	__u64 length = bm->nbits * granule;

	bitmap_reset(bm);
	ASSERT_EQ(0, __dma_log_report(&bench->dev, iova, length, granule,
				      bm->bits));
	oracle_check(_metadata, oracle, bm, iova, granule);
	oracle_clean(oracle, iova, length);
}

TEST_F(dma_log, writes_are_reported_once)
{
	struct bench *bench = &self->bench;

	log_start(_metadata, bench, IOVA, LENGTH, SZ_4K);
	for (int round = 0; round < 20; round++) {
		bitmap_alloc(_metadata, &self->bm, PAGES, round * 37);
		write_random(_metadata, bench, &self->oracle, &self->seed,
			     round % 7);
		check_report(_metadata, bench, &self->oracle, &self->bm, IOVA,
			     SZ_4K);
		check_report(_metadata, bench, &self->oracle, &self->bm, IOVA,
			     SZ_4K);
		bitmap_free(&self->bm);
	}
	ASSERT_EQ(0, __dma_log_stop(&bench->dev));
}

TEST_F(dma_log, report_of_a_part_is_exact)
{
	struct bench *bench = &self->bench;

	log_start(_metadata, bench, IOVA, LENGTH, SZ_4K);
	for (int round = 0; round < 50; round++) {
		__u64 first = next_random(&self->seed) % PAGES;
		__u64 count = 1 + next_random(&self->seed) % (PAGES - first);

		write_random(_metadata, bench, &self->oracle, &self->seed, 2);
		bitmap_alloc_at_end(_metadata, &self->bm, count);
		check_report(_metadata, bench, &self->oracle, &self->bm,
			     IOVA + first * SZ_4K, SZ_4K);
		bitmap_free(&self->bm);
	}
}

/*
 * A report may have a page size other than the one that the log started with.
 */
TEST_F(dma_log, report_of_any_page_size_is_exact)
{
	static const __u64 agreed[] = { SZ_4K, SZ_64K };
	static const __u64 requested[] = { SZ_4K, 2 * SZ_4K, SZ_64K,
					   2 * SZ_64K };
	struct bench *bench = &self->bench;
	struct oracle oracle;
	__u64 size = 8 * SZ_64K;

	for (size_t a = 0; a < ARRAY_SIZE(agreed); a++) {
		log_start(_metadata, bench, IOVA, size, agreed[a]);
		oracle_init(_metadata, &oracle, IOVA, size, agreed[a]);
		for (size_t g = 0; g < ARRAY_SIZE(requested); g++) {
			bitmap_alloc(_metadata, &self->bm, size / requested[g],
				     1);
			write_random(_metadata, bench, &oracle, &self->seed,
				     3);
			check_report(_metadata, bench, &oracle, &self->bm,
				     IOVA, requested[g]);
			bitmap_free(&self->bm);
		}
		oracle_free(&oracle);
		ASSERT_EQ(0, __dma_log_stop(&bench->dev));
	}
}

/* Writes to any of the ranges are logged, writes outside of them are not. */
TEST_F(dma_log, writes_to_several_ranges_are_reported)
{
	struct vfio_device_feature_dma_logging_range ranges[] = {
		{ IOVA + 300 * SZ_4K, 50 * SZ_4K },
		{ IOVA + 10 * SZ_4K, 3 * SZ_4K },
		{ IOVA + 13 * SZ_4K, 64 * SZ_4K },
	};
	struct bench *bench = &self->bench;
	__u64 size = SZ_4K;

	ASSERT_EQ(0, __dma_log_start(&bench->dev, &size, ARRAY_SIZE(ranges),
				     ranges));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		oracle_write(&self->oracle, ranges[i].iova, ranges[i].length);
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	check_report(_metadata, bench, &self->oracle, &self->bm, IOVA, SZ_4K);
}

/* The maximum number of ranges. */
TEST_F(dma_log, writes_to_the_most_ranges_are_reported)
{
	struct vfio_device_feature_dma_logging_range ranges[256];
	struct bench *bench = &self->bench;
	__u64 size = SZ_4K;

	for (__u64 i = 0; i < 256; i++) {
		ranges[i].iova = IOVA + i * SZ_4K;
		ranges[i].length = SZ_4K;
	}
	ASSERT_EQ(0, __dma_log_start(&bench->dev, &size, 256, ranges));
	write_random(_metadata, bench, &self->oracle, &self->seed, 30);
	oracle_clean(&self->oracle, IOVA + 256 * SZ_4K,
		     LENGTH - 256 * SZ_4K);
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	check_report(_metadata, bench, &self->oracle, &self->bm, IOVA, SZ_4K);
}

TEST_F(dma_log, report_keeps_bits_that_are_set)
{
	struct bench *bench = &self->bench;

	log_start(_metadata, bench, IOVA, LENGTH, SZ_4K);
	bitmap_alloc(_metadata, &self->bm, 64, 0);
	memset(self->bm.bits, 0x81, 8);
	mock_fill(_metadata, &bench->dev, IOVA + 8 * SZ_4K, 3 * SZ_4K, 1);
	ASSERT_EQ(0, __dma_log_report(&bench->dev, IOVA, 64 * SZ_4K, SZ_4K,
				      self->bm.bits));
	ASSERT_EQ(0x81, self->bm.bits[0]);
	ASSERT_EQ(0x87, self->bm.bits[1]);
	ASSERT_TRUE(mem_is(self->bm.bits + 2, 6, 0x81));
	bitmap_check_guards(_metadata, &self->bm);
}

/* A restarted log is empty, and a stopped one cannot be reported. */
TEST_F(dma_log, restarted_log_is_empty)
{
	struct bench *bench = &self->bench;

	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	log_start(_metadata, bench, IOVA, LENGTH, SZ_4K);
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	ASSERT_EQ(0, __dma_log_stop(&bench->dev));
	ASSERT_GT(0, __dma_log_report(&bench->dev, IOVA, LENGTH, SZ_4K,
				      self->bm.bits));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	log_start(_metadata, bench, IOVA, LENGTH, SZ_4K);
	check_report(_metadata, bench, &self->oracle, &self->bm, IOVA, SZ_4K);
	ASSERT_EQ(0, __vfio_dev_reset(&bench->dev));
	ASSERT_GT(0, __dma_log_report(&bench->dev, IOVA, LENGTH, SZ_4K,
				      self->bm.bits));
	ASSERT_EQ(0, bitmap_count(&self->bm));
}

/* Return the offset in IOVA at which the second window of a bitmap begins. */
static __u64 window_edge(size_t offset)
{
	return (512 * SZ_4K - offset) * 8 * SZ_4K;
}

/*
 * A report of 65 GiB takes two windows of bitmap. Memory is mapped at its
 * start, on both sides of the window edge, and at its end. The bitmap begins at
 * odd addresses.
 */
TEST_F(dma_log, report_over_two_windows_is_exact)
{
	static const size_t offsets[] = { 0, 1, 7, 8, 2049, 4095 };
	const __u64 at = 0x1000000000ULL, length = 65 * SZ_1G;
	struct bench *bench = &self->bench;

	log_start(_metadata, bench, at, length, SZ_4K);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		__u64 edge = at + window_edge(offsets[i]);
		const __u64 places[] = { at, edge - 20 * SZ_4K,
					 at + length - 50 * SZ_4K };
		struct oracle oracle;

		oracle_init(_metadata, &oracle, at, length, SZ_4K);
		bitmap_alloc(_metadata, &self->bm, length / SZ_4K, offsets[i]);
		for (size_t p = 0; p < ARRAY_SIZE(places); p++)
			iommu_map(_metadata, &bench->iommu, bench->mem.va,
				  places[p], 50 * SZ_4K);
		for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
			__u64 first = p * 3;

			mock_fill(_metadata, &bench->dev,
				  places[p] + first * SZ_4K,
				  (50 - first) * SZ_4K, 1);
			oracle_write(&oracle, places[p] + first * SZ_4K,
				     (50 - first) * SZ_4K);
		}
		ASSERT_EQ(0, __dma_log_report(&bench->dev, at, length, SZ_4K,
					      self->bm.bits));
		oracle_check(_metadata, &oracle, &self->bm, at, SZ_4K);
		for (size_t p = 0; p < ARRAY_SIZE(places); p++)
			iommu_unmap(_metadata, &bench->iommu, places[p],
				    50 * SZ_4K);
		bitmap_free(&self->bm);
		oracle_free(&oracle);
	}
}

/*
 * The second window of the bitmap is unwritable: the next report has its bits.
 */
TEST_F(dma_log, second_window_unwritable_loses_nothing)
{
	const __u64 at = 0x1000000000ULL, length = 65 * SZ_1G;
	const __u64 edge = at + window_edge(0);
	const size_t first = 512 * SZ_4K, second = 16 * SZ_4K;
	struct bench *bench = &self->bench;
	__u8 *map;

	log_start(_metadata, bench, at, length, SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, edge - 8 * SZ_4K,
		  16 * SZ_4K);
	mock_fill(_metadata, &bench->dev, edge - 8 * SZ_4K, 16 * SZ_4K, 1);
	map = mmap(NULL, first + second, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, mprotect(map + first, second, PROT_NONE));
	ASSERT_EQ(-EFAULT, __dma_log_report(&bench->dev, at, length, SZ_4K,
					    map));
	ASSERT_TRUE(mem_is(map, first - 1, 0));
	ASSERT_EQ(0, mprotect(map + first, second, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, __dma_log_report(&bench->dev, at, length, SZ_4K, map));
	/* The first window may have been reported by either report. */
	ASSERT_EQ(0xff, map[first - 1]);
	ASSERT_EQ(0xff, map[first]);
	ASSERT_TRUE(mem_is(map + first + 1, second - 1, 0));
	munmap(map, first + second);
}

TEST_F_TIMEOUT(dma_log, continuous_writes_are_all_reported, 120)
{
	struct bench *bench = &self->bench;
	struct mock_work work = {
		.iova = IOVA,
		.length = LENGTH,
		.stride = 512,
		.hot_length = 32 * SZ_4K,
		.hot_percent = 60,
		.seed = 4,
	};
	struct follow follow;

	log_start(_metadata, bench, IOVA, LENGTH, SZ_4K);
	follow_start(_metadata, &follow, bench, query_device);
	mock_work_start(_metadata, &bench->dev, &work);
	for (int round = 0; round < 100; round++)
		follow_round(_metadata, &follow);
	mock_work_wait(_metadata, &bench->dev, 1000);
	mock_work_stop(_metadata, &bench->dev);
	follow_end(_metadata, &follow);
	ASSERT_EQ(0, mock_get(_metadata, &bench->dev, MOCK_REG(fault_count)));
}

TEST_HARNESS_MAIN
