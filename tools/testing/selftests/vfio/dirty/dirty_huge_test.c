// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty tracking with huge leaves
 *
 * A leaf of 2 MiB has one dirty bit: every granule under it is dirty. Queries
 * for a part of a leaf are tested in dirty_leaf_test.c.
 */
#include "lib/test.h"

#define IOVA	0x40000000ULL
#define LEAVES	6
#define LENGTH	(LEAVES * SZ_2M)

FIXTURE(dirty_huge)
{
	struct bench bench;
	struct oracle oracle;
	struct guarded_bitmap bm;
	__u64 seed;
};

FIXTURE_VARIANT(dirty_huge)
{
	const char *model;
};

FIXTURE_VARIANT_ADD(dirty_huge, iommufd_2m) { .model = "2m" };

/* This model has leaves of 2 MiB too, one level below those of 1 GiB. */
FIXTURE_VARIANT_ADD(dirty_huge, iommufd_1g) { .model = "1g" };

FIXTURE_SETUP(dirty_huge)
{
	self->seed = 3;
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_HUGETLB);
	oracle_init(_metadata, &self->oracle, IOVA, LENGTH, SZ_2M);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(dirty_huge)
{
	bench_close(_metadata, &self->bench);
	oracle_free(&self->oracle);
	bitmap_free(&self->bm);
}

static void write_byte(struct __test_metadata *_metadata, struct bench *bench,
		       struct oracle *oracle, __u64 iova)
{
	mock_fill(_metadata, &bench->dev, iova, 1, 1);
	oracle_write(oracle, iova, 1);
}

TEST_F(dirty_huge, write_of_a_byte_dirties_its_leaf)
{
	static const __u64 granules[] = { SZ_4K, SZ_64K, SZ_2M };
	struct bench *bench = &self->bench;

	for (size_t g = 0; g < ARRAY_SIZE(granules); g++) {
		bitmap_alloc(_metadata, &self->bm, LENGTH / granules[g], 4093);
		for (int round = 0; round < 8; round++) {
			for (int i = 0; i < round % 4; i++)
				write_byte(_metadata, bench, &self->oracle,
					   IOVA + next_random(&self->seed) %
					   LENGTH);
			bench_query(_metadata, bench, &self->bm, IOVA,
				    granules[g]);
			oracle_check(_metadata, &self->oracle, &self->bm, IOVA,
				     granules[g]);
			memset(self->oracle.dirty, 0, LEAVES);
		}
		bitmap_free(&self->bm);
	}
}

/* A granule larger than a leaf is dirty if any of its leaves is. */
TEST_F(dirty_huge, query_of_granule_above_leaf_is_exact)
{
	struct bench *bench = &self->bench;

	bitmap_alloc(_metadata, &self->bm, LEAVES / 2, 0);
	for (int leaf = 0; leaf < LEAVES; leaf++) {
		write_byte(_metadata, bench, &self->oracle,
			   IOVA + leaf * SZ_2M + 12345);
		bench_query(_metadata, bench, &self->bm, IOVA, 2 * SZ_2M);
		oracle_check(_metadata, &self->oracle, &self->bm, IOVA,
			     2 * SZ_2M);
		memset(self->oracle.dirty, 0, LEAVES);
	}
}

/* Write every leaf repeatedly: each query must flush the IOTLB. */
TEST_F(dirty_huge, write_after_query_is_reported)
{
	struct bench *bench = &self->bench;

	bitmap_alloc(_metadata, &self->bm, LENGTH / SZ_4K, 0);
	for (int round = 0; round < 20; round++) {
		write_byte(_metadata, bench, &self->oracle,
			   IOVA + round % LEAVES * SZ_2M + round);
		write_byte(_metadata, bench, &self->oracle, IOVA);
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		oracle_check(_metadata, &self->oracle, &self->bm, IOVA, SZ_4K);
		memset(self->oracle.dirty, 0, LEAVES);
	}
}

/*
 * A leaf across the edge of two windows. With a bit per 8 bytes, the first
 * window ends at 128 MiB minus the offset of the bitmap in its first page: in
 * the middle of the last leaf but one. Each window reports its part of the
 * leaf.
 */
TEST_F(dirty_huge, leaf_across_windows_is_reported_by_both)
{
	static const size_t offsets[] = { 1, 2048, 4095 };
	struct bench *bench = &self->bench;
	const __u64 at = 0x100000000ULL, granule = 8;
	const __u64 length = 132 * 1024 * 1024;
	struct oracle oracle;
	struct mem mem;
	__u64 edge;

	mem_alloc(_metadata, &mem, length, MEM_HUGETLB);
	iommu_map(_metadata, &bench->iommu, mem.va, at, length);
	oracle_init(_metadata, &oracle, at, length, SZ_2M);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		edge = 512 * SZ_4K * 8 * granule - offsets[i] * 8 * granule;
		bitmap_alloc(_metadata, &self->bm, length / granule,
			     offsets[i]);
		write_byte(_metadata, bench, &oracle, at + edge);
		write_byte(_metadata, bench, &oracle, at);
		ASSERT_EQ(0, __bench_query(bench, 0, at, length, granule,
					   self->bm.bits));
		bitmap_check_guards(_metadata, &self->bm);
		for (__u64 leaf = 0; leaf < oracle.count; leaf++) {
			size_t bytes = SZ_2M / granule / 8;

			ASSERT_TRUE(mem_is(self->bm.bits + leaf * bytes, bytes,
					   oracle.dirty[leaf] ? 0xff : 0)) {
				TH_LOG("leaf %llu, offset %zu", leaf,
				       offsets[i]);
			}
		}
		memset(oracle.dirty, 0, oracle.count);
		bitmap_free(&self->bm);
	}
	oracle_free(&oracle);
	mem_free(&mem);
}

TEST_HARNESS_MAIN
