// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: refused calls of device DMA logging
 *
 * For each errno, check that the refused call changes nothing: a log that was
 * not started stays off, and a started log loses no dirty page.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fail_nth.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	256
#define LENGTH	(PAGES * SZ_4K)

#define START	(VFIO_DEVICE_FEATURE_SET | \
		 VFIO_DEVICE_FEATURE_DMA_LOGGING_START)
#define STOP	(VFIO_DEVICE_FEATURE_SET | \
		 VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP)
#define REPORT	(VFIO_DEVICE_FEATURE_GET | \
		 VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT)

FIXTURE(log_errno)
{
	struct bench bench;
	struct guarded_bitmap bm;
};

FIXTURE_VARIANT(log_errno)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(log_errno, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(log_errno, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(log_errno, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(log_errno)
{
	bench_open(_metadata, &self->bench, variant->mode, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
}

FIXTURE_TEARDOWN(log_errno)
{
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
}

static void start(struct __test_metadata *_metadata, struct bench *bench)
{
	struct vfio_device_feature_dma_logging_range range = { IOVA, LENGTH };
	__u64 size = SZ_4K;

	ASSERT_EQ(0, __dma_log_start(&bench->dev, &size, 1, &range));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
}

/* Check that every page is reported, and then write every page again. */
static void check_nothing_lost(struct __test_metadata *_metadata,
			       struct bench *bench, struct guarded_bitmap *bm)
{
	bitmap_check_guards(_metadata, bm);
	ASSERT_EQ(0, bitmap_count(bm));
	ASSERT_EQ(0, __dma_log_report(&bench->dev, IOVA, LENGTH, SZ_4K,
				      bm->bits));
	bitmap_check_guards(_metadata, bm);
	ASSERT_EQ(PAGES, bitmap_count(bm));
	bitmap_reset(bm);
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
}

static void check_log_is_off(struct __test_metadata *_metadata,
			     struct bench *bench, struct guarded_bitmap *bm)
{
	ASSERT_EQ(-EINVAL, __dma_log_report(&bench->dev, IOVA, LENGTH, SZ_4K,
					    bm->bits));
	ASSERT_EQ(0, bitmap_count(bm));
}

static int probe_feature(struct vfio_dev *dev, __u32 flags)
{
	return __vfio_dev_feature(dev, flags | VFIO_DEVICE_FEATURE_PROBE, NULL,
				  0);
}

TEST_F(log_errno, probe_supports_each_feature_with_its_own_flag_only)
{
	static const __u32 features[] = { START, STOP, REPORT };
	struct vfio_dev *dev = &self->bench.dev;
	char payload[64] = {};

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		__u32 other = features[i] ^ (VFIO_DEVICE_FEATURE_SET |
					     VFIO_DEVICE_FEATURE_GET);

		ASSERT_EQ(0, probe_feature(dev, features[i]));
		ASSERT_EQ(-EINVAL, probe_feature(dev, other));
		ASSERT_EQ(-EINVAL, __vfio_dev_feature(dev, other, payload,
						      sizeof(payload)));
	}
	check_log_is_off(_metadata, &self->bench, &self->bm);
}

static const struct {
	int rc;
	__u64 page_size;
	__u32 count;
	struct vfio_device_feature_dma_logging_range ranges[3];
} bad_start[] = {
	{ -EINVAL, SZ_4K, 0 },
	{ -E2BIG, SZ_4K, 257 },
	{ -E2BIG, SZ_4K, ~0U },
	{ -EINVAL, SZ_4K, 1, { { IOVA + 1, SZ_4K } } },
	{ -EINVAL, SZ_4K, 1, { { IOVA, SZ_4K + 1 } } },
	{ -EINVAL, SZ_64K, 1, { { IOVA + SZ_4K, SZ_64K } } },
	{ -EINVAL, SZ_4K, 1, { { IOVA, 0 } } },
	{ -EINVAL, 0x3000, 1, { { 0, LENGTH } } },
	{ -EOVERFLOW, SZ_4K, 1, { { 0 - SZ_4K, 2 * SZ_4K } } },
	{ -EOVERFLOW, SZ_4K, 1, { { 0 - SZ_4K, SZ_4K } } },
	{ -EINVAL, SZ_4K, 2, { { IOVA, 2 * SZ_4K }, { IOVA + SZ_4K, SZ_4K } } },
	{ -EINVAL, SZ_4K, 2, { { IOVA, SZ_4K }, { IOVA, SZ_4K } } },
	{ -EINVAL, SZ_4K, 3, { { IOVA, SZ_4K }, { IOVA + 4 * SZ_4K, SZ_4K },
			       { IOVA, LENGTH } } },
	{ -EOVERFLOW, SZ_4K, 2, { { IOVA, SZ_4K }, { SZ_4K, 0 - SZ_4K } } },
};

TEST_F(log_errno, start_with_bad_arguments_fails)
{
	struct bench *bench = &self->bench;

	for (size_t i = 0; i < ARRAY_SIZE(bad_start); i++) {
		__u64 size = bad_start[i].page_size;

		ASSERT_EQ(bad_start[i].rc,
			  __dma_log_start(&bench->dev, &size,
					  bad_start[i].count,
					  bad_start[i].ranges)) {
			TH_LOG("bad_start[%zu]", i);
		}
		check_log_is_off(_metadata, bench, &self->bm);
	}
}

TEST_F(log_errno, start_with_unreadable_arguments_fails)
{
	struct bench *bench = &self->bench;
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = SZ_4K,
		.num_ranges = 1,
	};
	__u64 size = SZ_4K;

	ASSERT_EQ(-EFAULT, __dma_log_start(&bench->dev, &size, 1, NULL));
	check_log_is_off(_metadata, bench, &self->bm);
	ASSERT_EQ(-EINVAL, __vfio_dev_feature(&bench->dev, START, &control,
					      sizeof(control) - 8));
	check_log_is_off(_metadata, bench, &self->bm);
}

TEST_F(log_errno, second_start_fails_and_loses_nothing)
{
	struct bench *bench = &self->bench;
	struct vfio_device_feature_dma_logging_range range = { 0, SZ_4K };
	__u64 size = SZ_4K;

	start(_metadata, bench);
	ASSERT_EQ(-EINVAL, __dma_log_start(&bench->dev, &size, 1, &range));
	check_nothing_lost(_metadata, bench, &self->bm);
	ASSERT_EQ(0, __dma_log_stop(&bench->dev));
	check_log_is_off(_metadata, bench, &self->bm);
}

/* The device's choice of the page size is written back. */
TEST_F(log_errno, start_writes_back_the_page_size)
{
	static const struct {
		__u64 requested, given;
	} sizes[] = {
		{ SZ_4K, SZ_4K }, { 512, SZ_4K }, { SZ_2K, SZ_4K },
		{ SZ_64K, SZ_64K }, { SZ_2M, SZ_2M }, { 4 * SZ_1G, SZ_1G },
	};
	struct bench *bench = &self->bench;
	struct vfio_device_feature_dma_logging_range range = { 0, 4 * SZ_1G };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		__u64 size = sizes[i].requested;

		ASSERT_EQ(0, __dma_log_start(&bench->dev, &size, 1, &range));
		ASSERT_EQ(sizes[i].given, size);
		ASSERT_EQ(0, __dma_log_stop(&bench->dev));
	}
}

static const struct {
	int rc;
	__u64 iova, length, page_size;
} bad_report[] = {
	{ -EINVAL, IOVA, LENGTH, 0 },
	{ -EINVAL, IOVA, LENGTH, 1 },
	{ -EINVAL, IOVA, LENGTH, SZ_2K },
	{ -EINVAL, IOVA, LENGTH, 0x3000 },
	{ -EINVAL, IOVA, LENGTH, SZ_4K + 1 },
	{ -EINVAL, IOVA, 0, SZ_4K },
	{ -EINVAL, 0, 0, SZ_4K },
	{ -EOVERFLOW, IOVA, 0 - SZ_4K, SZ_4K },
	{ -EOVERFLOW, 0 - SZ_4K, SZ_4K, SZ_4K },
	{ -EOVERFLOW, ~0ULL, ~0ULL, SZ_4K },
};

TEST_F(log_errno, report_with_bad_arguments_fails_and_loses_nothing)
{
	struct bench *bench = &self->bench;

	start(_metadata, bench);
	for (size_t i = 0; i < ARRAY_SIZE(bad_report); i++) {
		ASSERT_EQ(bad_report[i].rc,
			  __dma_log_report(&bench->dev, bad_report[i].iova,
					   bad_report[i].length,
					   bad_report[i].page_size,
					   self->bm.bits)) {
			TH_LOG("bad_report[%zu]", i);
		}
		check_nothing_lost(_metadata, bench, &self->bm);
	}
}

TEST_F(log_errno, report_with_short_argument_is_einval)
{
	struct vfio_device_feature_dma_logging_report report = {};
	struct bench *bench = &self->bench;

	start(_metadata, bench);
	ASSERT_EQ(-EINVAL, __vfio_dev_feature(&bench->dev, REPORT, &report,
					      sizeof(report) - 8));
	check_nothing_lost(_metadata, bench, &self->bm);
}

/* Fail each allocation of a report once: -ENOMEM, and no dirty page is lost. */
TEST_F(log_errno, report_out_of_memory_loses_nothing)
{
	struct bench *bench = &self->bench;
	int nth, rc, refused = 0, tries = 0;
	struct fail_nth fail;

	fail_nth_open(_metadata, &fail);
	start(_metadata, bench);

	for (nth = 1; nth < 100; nth = fail_nth_next(nth, !rc, &tries)) {
		fail_nth_arm(_metadata, &fail, nth);
		rc = __dma_log_report(&bench->dev, IOVA, LENGTH, SZ_4K,
				      self->bm.bits);
		if (!fail_nth_disarm(_metadata, &fail))
			break;
		if (!rc) {
			ASSERT_EQ(PAGES, bitmap_count(&self->bm));
			bitmap_reset(&self->bm);
			mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
			continue;
		}
		ASSERT_EQ(-ENOMEM, rc);
		check_nothing_lost(_metadata, bench, &self->bm);
		refused++;
	}
	fail_nth_close(&fail);
	/* The bitmap's object and its page of page pointers. */
	EXPECT_LE(2, refused);
	ASSERT_EQ(0, rc);
	EXPECT_EQ(PAGES, bitmap_count(&self->bm));
}

/* A bitmap that is not writable, at its start or from its second page on. */
TEST_F(log_errno, report_with_unwritable_bitmap_loses_nothing)
{
	static const int prots[] = { PROT_NONE, PROT_READ };
	struct bench *bench = &self->bench;
	struct vfio_dev *dev = &bench->dev;

	start(_metadata, bench);
	for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
		__u8 *map = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ASSERT_NE(MAP_FAILED, map);
		ASSERT_EQ(0, mprotect(map + SZ_4K, SZ_4K, prots[i]));
		ASSERT_EQ(-EFAULT, __dma_log_report(dev, IOVA, LENGTH, SZ_4K,
						    map + SZ_4K));
		check_nothing_lost(_metadata, bench, &self->bm);
		ASSERT_EQ(-EFAULT, __dma_log_report(dev, IOVA, LENGTH, SZ_4K,
						    map + SZ_4K - 16));
		ASSERT_TRUE(mem_is(map, SZ_4K, 0));
		check_nothing_lost(_metadata, bench, &self->bm);
		munmap(map, 2 * SZ_4K);
	}
	ASSERT_EQ(-EFAULT, __dma_log_report(dev, IOVA, LENGTH, SZ_4K, NULL));
	check_nothing_lost(_metadata, bench, &self->bm);
	ASSERT_EQ(-EFAULT, __dma_log_report(dev, IOVA, LENGTH, SZ_4K,
					    (void *)(1ULL << 63)));
	check_nothing_lost(_metadata, bench, &self->bm);
}

/* IOVAs outside of the logged ranges have no dirty bits; this is no error. */
TEST_F(log_errno, report_outside_of_logged_ranges_is_clean)
{
	struct bench *bench = &self->bench;

	start(_metadata, bench);
	ASSERT_EQ(0, __dma_log_report(&bench->dev, 0, LENGTH, SZ_4K,
				      self->bm.bits));
	ASSERT_EQ(0, bitmap_count(&self->bm));
	check_nothing_lost(_metadata, bench, &self->bm);
}

TEST_HARNESS_MAIN
