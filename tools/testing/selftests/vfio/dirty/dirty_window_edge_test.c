// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bits after the first window of a query
 *
 * A bitmap is pinned in windows of 512 pages. A mapping after the first window
 * may begin at any bit, but a window begins with a whole byte: bits of that
 * byte before the mapping are not part of any mapping and must not change.
 */
#include "lib/test.h"
#include "lib/report.h"

#define IOVA	0x100000000ULL
#define AREA	(5 * SZ_4K)
/* IOVAs of a window whose bitmap begins with a page */
#define WINDOW	(512 * SZ_4K * 8 * SZ_4K)
#define LENGTH	(WINDOW + 64 * 16 * SZ_4K)

FIXTURE(dirty_window)
{
	struct bench bench;
	struct guarded_bitmap bm;
};

FIXTURE_VARIANT(dirty_window)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(dirty_window, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(dirty_window, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(dirty_window, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(dirty_window)
{
	bench_open(_metadata, &self->bench, variant->mode, "4k");
	mem_alloc(_metadata, &self->bench.mem, AREA, MEM_4K);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(dirty_window)
{
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
}

/* A mapping that begins with any bit of a byte, and of a word. */
TEST_F(dirty_window, mapping_at_any_bit_behind_the_first_window_is_exact)
{
	static const size_t offsets[] = { 0, 8, 4088 };
	struct bench *bench = &self->bench;
	struct guarded_bitmap *bm = &self->bm;

	for (unsigned int bit = 0; bit < 17; bit++) {
		size_t offset = offsets[bit % 3];
		__u64 first = WINDOW / SZ_4K + 64 * 5 + bit;
		__u64 at = IOVA + first * SZ_4K;

		bitmap_alloc(_metadata, bm, LENGTH / SZ_4K, offset);
		iommu_map(_metadata, &bench->iommu, bench->mem.va, at, AREA);
		mock_fill(_metadata, &bench->dev, at, 1, 1);
		mock_fill(_metadata, &bench->dev, at + AREA - 1, 1, 1);

		bench_query(_metadata, bench, bm, IOVA, SZ_4K);
		ASSERT_EQ(2, bitmap_count(bm)) {
			TH_LOG("bit %u, bitmap at %zu", bit, offset);
		}
		ASSERT_TRUE(bitmap_test(bm, first));
		ASSERT_TRUE(bitmap_test(bm, first + AREA / SZ_4K - 1));
		iommu_unmap(_metadata, &bench->iommu, at, AREA);
		bitmap_free(bm);
	}
}

/* A mapping that is partly in each window. */
TEST_F(dirty_window, mapping_across_the_end_of_the_first_window_is_exact)
{
	struct bench *bench = &self->bench;
	struct guarded_bitmap *bm = &self->bm;

	for (unsigned int before = 1; before < AREA / SZ_4K; before++) {
		__u64 first = WINDOW / SZ_4K - before;
		__u64 at = IOVA + first * SZ_4K;

		bitmap_alloc(_metadata, bm, LENGTH / SZ_4K, 0);
		iommu_map(_metadata, &bench->iommu, bench->mem.va, at, AREA);
		mock_fill(_metadata, &bench->dev, at, AREA, 1);
		bench_query(_metadata, bench, bm, IOVA, SZ_4K);
		ASSERT_EQ(AREA / SZ_4K, bitmap_count(bm));
		for (unsigned int i = 0; i < AREA / SZ_4K; i++)
			ASSERT_TRUE(bitmap_test(bm, first + i));
		bench_query(_metadata, bench, bm, IOVA, SZ_4K);
		ASSERT_EQ(0, bitmap_count(bm));
		iommu_unmap(_metadata, &bench->iommu, at, AREA);
		bitmap_free(bm);
	}
}

/* iommufd sets bits and clears none, in whatever byte a window begins. */
TEST_F(dirty_window, bits_beside_a_mapping_behind_the_first_window_stay)
{
	const __u64 first = WINDOW / SZ_4K + 64 * 5 + 3;
	struct bench *bench = &self->bench;
	struct guarded_bitmap *bm = &self->bm;
	const __u64 at = IOVA + first * SZ_4K;

	if (variant->mode != MODE_IOMMUFD)
		return;	/* Type1 clears whole words of mappings. */
	bitmap_alloc(_metadata, bm, LENGTH / SZ_4K, 0);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, AREA);
	mock_fill(_metadata, &bench->dev, at + SZ_4K, 1, 1);
	bm->bits[first / 8 - 1] = 0xa5;
	bm->bits[first / 8] = 0x07;
	bm->bits[first / 8 + 1] = 0xfe;
	ASSERT_EQ(0, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, bm->bits));
	bitmap_check_guards(_metadata, bm);
	ASSERT_EQ(0xa5, bm->bits[first / 8 - 1]);
	ASSERT_EQ(0x17, bm->bits[first / 8]);
	ASSERT_EQ(0xfe, bm->bits[first / 8 + 1]);
	ASSERT_EQ(0, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, bm->bits));
	ASSERT_EQ(0x17, bm->bits[first / 8]);
}

TEST_HARNESS_MAIN
