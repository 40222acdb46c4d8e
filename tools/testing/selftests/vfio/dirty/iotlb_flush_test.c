// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: IOTLB flushes of dirty queries
 *
 * A query that clears dirty bits flushes the IOTLB, or the next write through a
 * cached translation sets no dirty bit. IOMMU drivers use different parts of
 * the gather. The mock IOMMU flushes as VT-d does. With exact_flush it flushes
 * as SMMUv3 does: only leaves of the gathered page size, and nothing without a
 * page size. A query that clears nothing flushes nothing.
 */
#include <stdlib.h>

#include "lib/test.h"

#define EXACT_FLUSH	"/sys/module/iommu_mock/parameters/exact_flush"

#define IOVA	0x40000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(iotlb_flush)
{
	struct bench bench;
	struct mem other;
	struct guarded_bitmap bm;
};

FIXTURE_VARIANT(iotlb_flush)
{
	enum iommu_mode mode;
	const char *exact;
};

FIXTURE_VARIANT_ADD(iotlb_flush, type1_vtd) {
	.mode = MODE_TYPE1, .exact = "N",
};

FIXTURE_VARIANT_ADD(iotlb_flush, type1_smmu) {
	.mode = MODE_TYPE1, .exact = "Y",
};

FIXTURE_VARIANT_ADD(iotlb_flush, compat_smmu) {
	.mode = MODE_COMPAT, .exact = "Y",
};

FIXTURE_VARIANT_ADD(iotlb_flush, iommufd_vtd) {
	.mode = MODE_IOMMUFD, .exact = "N",
};

FIXTURE_VARIANT_ADD(iotlb_flush, iommufd_smmu) {
	.mode = MODE_IOMMUFD, .exact = "Y",
};

FIXTURE_SETUP(iotlb_flush)
{
	ASSERT_EQ(0, sysfs_write(EXACT_FLUSH, variant->exact));
	bench_open(_metadata, &self->bench, variant->mode, "2m");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(iotlb_flush)
{
	bench_close(_metadata, &self->bench);
	mem_free(&self->other);
	bitmap_free(&self->bm);
	sysfs_write(EXACT_FLUSH, "N");
}

/* Return the number of IOTLB flushes of the device's IOMMU. */
static long flush_count(struct __test_metadata *_metadata, struct bench *bench)
{
	char path[256], text[32];

	snprintf(path, sizeof(path),
		 PLATFORM_DEVICES "/%s/iommu/iommu-mock/flushes",
		 bench->dev.name);
	CHECK_RC(0, sysfs_read(path, text, sizeof(text)), "%s", path);
	return strtol(text, NULL, 10);
}

/* Check that the bit of the page at @iova is set in a bitmap from @base on. */
static void expect_dirty(struct __test_metadata *_metadata,
			 const struct guarded_bitmap *bm,
			 __u64 base, __u64 iova)
{
	CHECK(bitmap_test(bm, (iova - base) / SZ_4K),
	      "the page at 0x%llx is not reported", iova);
}

TEST_F(iotlb_flush, clean_query_flushes_nothing)
{
	struct bench *bench = &self->bench;
	long before;

	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	bench_track(_metadata, bench);
	mock_fill(_metadata, &bench->dev, IOVA + 3 * SZ_4K, 1, 1);

	before = flush_count(_metadata, bench);
	bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
	ASSERT_EQ(1, bitmap_count(&self->bm));
	ASSERT_EQ(before + 1, flush_count(_metadata, bench));
	for (int i = 0; i < 3; i++) {
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		ASSERT_EQ(0, bitmap_count(&self->bm));
	}
	ASSERT_EQ(before + 1, flush_count(_metadata, bench));
}

/* Nothing is mapped in most of the windows of the bitmap. */
TEST_F(iotlb_flush, clean_query_of_several_windows_flushes_nothing)
{
	struct bench *bench = &self->bench;
	const __u64 length = 3ULL << 36;
	long before;

	bitmap_alloc(_metadata, &self->bm, length / SZ_4K, 0);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA + length / 2,
		  LENGTH);
	bench_track(_metadata, bench);
	before = flush_count(_metadata, bench);
	bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
	ASSERT_EQ(before, flush_count(_metadata, bench));
}

/* Tracking begins by clearing all dirty bits, of which there are none. */
TEST_F(iotlb_flush, start_without_dirty_bits_flushes_as_the_driver_does)
{
	struct bench *bench = &self->bench;
	long before = flush_count(_metadata, bench);

	bench_track(_metadata, bench);
	/* set_dirty_tracking() of the mock IOMMU flushes once. */
	ASSERT_EQ(before + 1, flush_count(_metadata, bench));
}

TEST_F(iotlb_flush, query_without_clearing_flushes_nothing)
{
	struct bench *bench = &self->bench;
	long before;

	if (variant->mode != MODE_IOMMUFD)
		return;	/* type1 has no such query */
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	bench_track(_metadata, bench);
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	before = flush_count(_metadata, bench);
	ASSERT_EQ(0, __bench_query(bench, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
				   IOVA, LENGTH, SZ_4K, self->bm.bits));
	ASSERT_EQ(PAGES, bitmap_count(&self->bm));
	ASSERT_EQ(before, flush_count(_metadata, bench));
}

/* Without a flush of just this page the second write sets no dirty bit. */
TEST_F(iotlb_flush, write_after_query_of_one_size_is_reported)
{
	struct bench *bench = &self->bench;

	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	bench_track(_metadata, bench);
	for (int i = 0; i < PAGES; i++) {
		mock_fill(_metadata, &bench->dev, IOVA + i * SZ_4K, 1, 1);
		mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		expect_dirty(_metadata, &self->bm, IOVA,
			     IOVA + i * SZ_4K);
		expect_dirty(_metadata, &self->bm, IOVA, IOVA);
	}
}

/* A flush of one page size leaves dirty entries of the other one cached. */
TEST_F(iotlb_flush, write_after_query_of_two_leaf_sizes_is_reported)
{
	struct bench *bench = &self->bench;
	const __u64 base = IOVA - 2 * SZ_2M, huge = base;

	mem_alloc(_metadata, &self->other, 2 * SZ_2M, MEM_HUGETLB);
	iommu_map(_metadata, &bench->iommu, self->other.va, base, 2 * SZ_2M);
	bitmap_alloc(_metadata, &self->bm, (2 * SZ_2M + LENGTH) / SZ_4K, 0);
	bench_track(_metadata, bench);
	for (int i = 0; i < 4; i++) {
		mock_fill(_metadata, &bench->dev, huge + 5 * SZ_4K, 1, 1);
		mock_fill(_metadata, &bench->dev, IOVA + 7 * SZ_4K, 1, 1);
		bench_query(_metadata, bench, &self->bm, base, SZ_4K);
		ASSERT_EQ(SZ_2M / SZ_4K + 1, bitmap_count(&self->bm));
		expect_dirty(_metadata, &self->bm, base,
			     huge + 5 * SZ_4K);
		expect_dirty(_metadata, &self->bm, base,
			     IOVA + 7 * SZ_4K);
	}
}

/* Two pages far apart: a flush of all leaves between them would take long. */
TEST_F(iotlb_flush, write_after_query_of_a_sparse_range_is_reported)
{
	struct bench *bench = &self->bench;
	const __u64 far = SZ_1G;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA + far, LENGTH);
	bitmap_alloc(_metadata, &self->bm, (far + LENGTH) / SZ_4K, 0);
	bench_track(_metadata, bench);
	for (int i = 0; i < 4; i++) {
		long before;

		mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
		mock_fill(_metadata, &bench->dev, IOVA + far, 1, 1);
		before = flush_count(_metadata, bench);
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		ASSERT_EQ(2, bitmap_count(&self->bm));
		ASSERT_EQ(before + 1, flush_count(_metadata, bench));
	}
}

/* A restart clears dirty bits, and flushes. */
TEST_F(iotlb_flush, write_after_restart_is_reported)
{
	struct bench *bench = &self->bench;

	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	for (int i = 0; i < 3; i++) {
		bench_track(_metadata, bench);
		mock_fill(_metadata, &bench->dev, IOVA + SZ_4K, 1, 1);
		ASSERT_EQ(0, __bench_track(bench, false));
		bench_track(_metadata, bench);
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		ASSERT_EQ(0, bitmap_count(&self->bm));
		mock_fill(_metadata, &bench->dev, IOVA + SZ_4K, 1, 1);
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		ASSERT_EQ(1, bitmap_count(&self->bm));
		ASSERT_EQ(0, __bench_track(bench, false));
	}
}

TEST_HARNESS_MAIN
