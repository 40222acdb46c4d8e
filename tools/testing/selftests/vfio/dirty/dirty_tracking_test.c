// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty tracking by the bits of an IOMMU
 *
 * Compare each bit of a query's result with an oracle, which has one byte per
 * leaf. Leaves are 4 KiB here. Larger leaves are tested in dirty_huge_test.c,
 * and dirty tracking of type1 containers in dirty_type1_test.c.
 */
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	300
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(dirty)
{
	struct bench bench;
	struct oracle oracle;
	struct guarded_bitmap bm;
	__u64 seed;
};

FIXTURE_VARIANT(dirty)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(dirty, iommufd_4k) {
	.mode = MODE_IOMMUFD,
	.model = "4k",
};

/* Two leaves map one page of memory. */
FIXTURE_VARIANT_ADD(dirty, iommufd_2k) {
	.mode = MODE_IOMMUFD,
	.model = "2k",
};

FIXTURE_SETUP(dirty)
{
	self->seed = 99;
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	oracle_init(_metadata, &self->oracle, IOVA, LENGTH, SZ_4K);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(dirty)
{
	bench_close(_metadata, &self->bench);
	oracle_free(&self->oracle);
	bitmap_free(&self->bm);
}

/* Write whole pages, so that the leaves of a page do not differ. */
static void write_pages(struct __test_metadata *_metadata, struct bench *bench,
			struct oracle *oracle, __u64 first, __u64 count)
{
	__u64 iova = oracle->iova + first * SZ_4K;

	mock_fill(_metadata, &bench->dev, iova, count * SZ_4K, first + 1);
	oracle_write(oracle, iova, count * SZ_4K);
}

static void write_random(struct __test_metadata *_metadata,
			 struct bench *bench, struct oracle *oracle,
			 __u64 *seed, int times)
{
	while (times--) {
		__u64 first = next_random(seed) % oracle->count;
		__u64 room = oracle->count - first;
		__u64 count = 1 + next_random(seed) % 20;

		write_pages(_metadata, bench, oracle, first,
			    count < room ? count : room);
	}
}

/* Query all pages, compare with the oracle, and clear the oracle. */
static void query_all(struct __test_metadata *_metadata, struct bench *bench,
		      struct oracle *oracle)
{
	struct guarded_bitmap bm;

	bitmap_alloc(_metadata, &bm, oracle->count, 0);
	bench_query(_metadata, bench, &bm, oracle->iova, SZ_4K);
	oracle_check(_metadata, oracle, &bm, oracle->iova, SZ_4K);
	memset(oracle->dirty, 0, oracle->count);
	bitmap_free(&bm);
}

TEST_F(dirty, written_pages_are_reported_once)
{
	for (int round = 0; round < 20; round++) {
		write_random(_metadata, &self->bench, &self->oracle,
			     &self->seed, round);
		query_all(_metadata, &self->bench, &self->oracle);
		query_all(_metadata, &self->bench, &self->oracle);
	}
}

/*
 * Writes of a few bytes, also across the edge of a page. Reads are no writes.
 */
TEST_F(dirty, write_of_a_few_bytes_dirties_its_leaves)
{
	struct vfio_dev *dev = &self->bench.dev;

	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_READ, IOVA, 0, SZ_64K));
	query_all(_metadata, &self->bench, &self->oracle);
	if (!strcmp(variant->model, "2k"))
		return;
	mock_fill(_metadata, dev, IOVA + 3 * SZ_4K + 17, 1, 1);
	oracle_write(&self->oracle, IOVA + 3 * SZ_4K + 17, 1);
	mock_fill(_metadata, dev, IOVA + 8 * SZ_4K - 1, 2, 1);
	oracle_write(&self->oracle, IOVA + 8 * SZ_4K - 1, 2);
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_COPY, IOVA,
				IOVA + 40 * SZ_4K + 1, SZ_4K));
	oracle_write(&self->oracle, IOVA + 40 * SZ_4K + 1, SZ_4K);
	query_all(_metadata, &self->bench, &self->oracle);
}

/*
 * A write that faults at its start sets no dirty bit; one that faults later
 * does.
 */
TEST_F(dirty, faulting_write_dirties_what_it_wrote)
{
	struct vfio_dev *dev = &self->bench.dev;

	ASSERT_EQ(0, __mock_fill(dev, IOVA - SZ_4K, 2 * SZ_4K, 1));
	query_all(_metadata, &self->bench, &self->oracle);
	ASSERT_EQ(0, __mock_fill(dev, IOVA + LENGTH - SZ_4K, 2 * SZ_4K, 1));
	oracle_write(&self->oracle, IOVA + LENGTH - SZ_4K, SZ_4K);
	query_all(_metadata, &self->bench, &self->oracle);
}

TEST_F(dirty, leaves_below_a_page_are_exact)
{
	struct oracle half;
	bool fine = !strcmp(variant->model, "2k");

	oracle_init(_metadata, &half, IOVA, LENGTH, fine ? SZ_2K : SZ_4K);
	bitmap_alloc(_metadata, &self->bm, 2 * PAGES, 3);
	for (int i = 0; i < 40; i++) {
		__u64 at = IOVA + next_random(&self->seed) % LENGTH;

		mock_fill(_metadata, &self->bench.dev, at, 1, i);
		oracle_write(&half, at, 1);
	}
	bench_query(_metadata, &self->bench, &self->bm, IOVA, SZ_2K);
	oracle_check(_metadata, &half, &self->bm, IOVA, SZ_2K);
	oracle_free(&half);
}

/* The query must flush the IOTLB, or a second write sets no dirty bit. */
TEST_F(dirty, write_after_query_is_reported)
{
	for (int round = 0; round < 30; round++) {
		__u64 page = next_random(&self->seed) % (PAGES - 4);

		for (int again = 0; again < 4; again++) {
			write_pages(_metadata, &self->bench, &self->oracle,
				    page, 1 + again);
			query_all(_metadata, &self->bench, &self->oracle);
		}
	}
}

/*
 * The mock IOMMU can drop this flush. If this test did not notice it, no test
 * would notice a driver that lacks the flush.
 */
TEST_F(dirty, write_after_query_without_flush_is_missed)
{
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	write_pages(_metadata, &self->bench, &self->oracle, 7, 1);
	ASSERT_EQ(0, sysfs_write(DROP_FLUSH, "1"));
	query_all(_metadata, &self->bench, &self->oracle);
	mock_fill(_metadata, &self->bench.dev, IOVA + 7 * SZ_4K, SZ_4K, 2);
	bench_query(_metadata, &self->bench, &self->bm, IOVA, SZ_4K);
	ASSERT_FALSE(bitmap_test(&self->bm, 7)) {
		TH_LOG("with no flush the write was reported nevertheless");
	}
	ASSERT_EQ(0, sysfs_write(DROP_FLUSH, "0"));

	/* Mapping anew flushes, so writes are reported again. */
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, LENGTH);
	iommu_map(_metadata, &self->bench.iommu, self->bench.mem.va, IOVA,
		  LENGTH);
	for (int again = 0; again < 3; again++) {
		write_pages(_metadata, &self->bench, &self->oracle, 7, 1);
		query_all(_metadata, &self->bench, &self->oracle);
	}
}

TEST_F(dirty, query_with_no_clear_keeps_dirty_bits)
{
	struct iommu *iommu = &self->bench.iommu;

	bitmap_alloc(_metadata, &self->bm, PAGES, 5);
	write_random(_metadata, &self->bench, &self->oracle, &self->seed, 12);
	for (int i = 0; i < 3; i++) {
		bitmap_reset(&self->bm);
		ASSERT_EQ(0, __hwpt_dirty(iommu->fd, self->bench.dev.hwpt_id,
					  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
					  IOVA, LENGTH, SZ_4K, self->bm.bits));
		oracle_check(_metadata, &self->oracle, &self->bm, IOVA, SZ_4K);
		write_random(_metadata, &self->bench, &self->oracle,
			     &self->seed, 2);
	}
	query_all(_metadata, &self->bench, &self->oracle);
	query_all(_metadata, &self->bench, &self->oracle);
}

/* Enabling clears all dirty bits; while disabled, no query is possible. */
TEST_F(dirty, enabling_discards_earlier_writes)
{
	struct bench *bench = &self->bench;
	__u8 bits[(PAGES + 7) / 8] = {};

	write_random(_metadata, bench, &self->oracle, &self->seed, 5);
	ASSERT_EQ(0, __bench_track(bench, false));
	ASSERT_EQ(0, __bench_track(bench, false));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 5);
	ASSERT_EQ(-EINVAL, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, bits));
	ASSERT_TRUE(mem_is(bits, sizeof(bits), 0));
	ASSERT_EQ(0, __bench_track(bench, true));
	memset(self->oracle.dirty, 0, self->oracle.count);
	query_all(_metadata, bench, &self->oracle);
	write_random(_metadata, bench, &self->oracle, &self->seed, 5);
	query_all(_metadata, bench, &self->oracle);
	ASSERT_EQ(0, __bench_track(bench, true));
	query_all(_metadata, bench, &self->oracle);
	write_random(_metadata, bench, &self->oracle, &self->seed, 5);
	query_all(_metadata, bench, &self->oracle);
}

TEST_F(dirty, query_of_any_granule_is_exact)
{
	static const __u64 granules[] = {
		512, SZ_2K, SZ_4K, 2 * SZ_4K, 4 * SZ_4K, SZ_64K, 4 * SZ_64K,
	};
	struct bench *bench = &self->bench;
	struct oracle part;

	for (size_t g = 0; g < ARRAY_SIZE(granules); g++) {
		__u64 length = LENGTH / granules[g] * granules[g];

		oracle_init(_metadata, &part, IOVA, length, SZ_4K);
		bitmap_alloc(_metadata, &self->bm, length / granules[g], 1);
		for (int round = 0; round < 4; round++) {
			write_random(_metadata, bench, &part, &self->seed,
				     2 * round);
			bench_query(_metadata, bench, &self->bm, IOVA,
				    granules[g]);
			oracle_check(_metadata, &part, &self->bm, IOVA,
				     granules[g]);
			memset(part.dirty, 0, part.count);
		}
		bitmap_free(&self->bm);
		oracle_free(&part);
	}
}

TEST_F(dirty, query_into_bitmap_at_any_byte_is_exact)
{
	static const size_t offsets[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 2049, 4056, 4057, 4058, 4059,
		4080, 4087, 4088, 4089, 4094, 4095,
	};

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		bitmap_alloc(_metadata, &self->bm, PAGES, offsets[i]);
		write_random(_metadata, &self->bench, &self->oracle,
			     &self->seed, 8);
		bench_query(_metadata, &self->bench, &self->bm, IOVA, SZ_4K);
		oracle_check(_metadata, &self->oracle, &self->bm, IOVA, SZ_4K);
		memset(self->oracle.dirty, 0, self->oracle.count);
		bitmap_free(&self->bm);
	}
}

/*
 * Lengths that fill no word, with a bitmap that ends before an unmapped page.
 */
TEST_F(dirty, query_of_any_length_stays_in_its_bitmap)
{
	static const size_t lengths[] = {
		1, 2, 7, 8, 9, 15, 17, 63, 64, 65, 127, 128, 129, 255, PAGES,
	};
	struct bench *bench = &self->bench;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		__u64 first = next_random(&self->seed) %
			      (PAGES - lengths[i] + 1);
		__u64 iova = IOVA + first * SZ_4K;

		write_pages(_metadata, bench, &self->oracle, 0, PAGES);
		bitmap_alloc_at_end(_metadata, &self->bm, lengths[i]);
		bench_query(_metadata, bench, &self->bm, iova, SZ_4K);
		oracle_check(_metadata, &self->oracle, &self->bm, iova, SZ_4K);
		oracle_clean(&self->oracle, iova, lengths[i] * SZ_4K);
		bitmap_free(&self->bm);
		query_all(_metadata, bench, &self->oracle);
	}
}

/* A query of a part of a mapping clears only that part. */
TEST_F(dirty, query_of_a_part_clears_that_part_only)
{
	struct bench *bench = &self->bench;

	for (int round = 0; round < 60; round++) {
		__u64 first = next_random(&self->seed) % PAGES;
		__u64 count = 1 + next_random(&self->seed) % (PAGES - first);
		__u64 iova = IOVA + first * SZ_4K;

		write_random(_metadata, bench, &self->oracle, &self->seed, 2);
		bitmap_alloc(_metadata, &self->bm, count, round);
		bench_query(_metadata, bench, &self->bm, iova, SZ_4K);
		oracle_check(_metadata, &self->oracle, &self->bm, iova, SZ_4K);
		oracle_clean(&self->oracle, iova, count * SZ_4K);
		bitmap_free(&self->bm);
	}
	query_all(_metadata, bench, &self->oracle);
}

TEST_F(dirty, query_across_many_mappings_is_exact)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x80000000ULL;
	const __u64 ranges[] = { 1, 63, 64, 65, 2, 5, 100 };
	struct oracle oracle;
	__u64 page = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		iommu_map(_metadata, &bench->iommu,
			  bench->mem.va + page * SZ_4K, at + page * SZ_4K,
			  ranges[i] * SZ_4K);
		page += ranges[i];
	}
	ASSERT_EQ(PAGES, page);
	oracle_init(_metadata, &oracle, at, LENGTH, SZ_4K);
	for (int round = 0; round < 10; round++) {
		write_random(_metadata, bench, &oracle, &self->seed, round);
		query_all(_metadata, bench, &oracle);
	}
	oracle_free(&oracle);
	/* Another mapping of the same memory is not dirty. */
	query_all(_metadata, bench, &self->oracle);
}

/* Mappings that were made or replaced while tracking is enabled are tracked. */
TEST_F(dirty, mapping_made_while_tracking_is_tracked)
{
	struct bench *bench = &self->bench;

	for (int round = 0; round < 5; round++) {
		write_random(_metadata, bench, &self->oracle, &self->seed, 3);
		iommu_unmap(_metadata, &bench->iommu, IOVA, LENGTH);
		iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA,
			  LENGTH);
		memset(self->oracle.dirty, 0, self->oracle.count);
		query_all(_metadata, bench, &self->oracle);
		write_random(_metadata, bench, &self->oracle, &self->seed, 3);
		query_all(_metadata, bench, &self->oracle);
	}
}

/* A hole in the range is no error, and the bits of the hole are unchanged. */
TEST_F(dirty, query_across_a_hole_keeps_its_bits)
{
	struct bench *bench = &self->bench;
	const __u64 hole = 20, behind = IOVA + LENGTH + hole * SZ_4K;
	size_t nbits = PAGES + hole + 10;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, behind, 10 * SZ_4K);
	write_pages(_metadata, bench, &self->oracle, 250, 50);
	mock_fill(_metadata, &bench->dev, behind, 3 * SZ_4K, 1);

	bitmap_alloc(_metadata, &self->bm, nbits, 0);
	self->bm.bits[(PAGES + 4) / 8] |= 1 << ((PAGES + 4) % 8);
	ASSERT_EQ(0, __bench_query(bench, 0, IOVA, nbits * SZ_4K, SZ_4K,
				   self->bm.bits));
	bitmap_check_guards(_metadata, &self->bm);
	for (__u64 page = 0; page < nbits; page++) {
		bool dirty = page >= 250 && page < 300;

		if (page >= PAGES + hole)
			dirty = page < PAGES + hole + 3;
		ASSERT_EQ(dirty || page == PAGES + 4,
			  bitmap_test(&self->bm, page)) {
			TH_LOG("page %llu", page);
		}
	}
	/* All of these pages were reported. */
	bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
	ASSERT_EQ(0, bitmap_count(&self->bm));
}

TEST_F(dirty, query_keeps_bits_that_are_set)
{
	struct bench *bench = &self->bench;
	const size_t bytes = PAGES / 8;

	bitmap_alloc(_metadata, &self->bm, bytes * 8, 0);
	memset(self->bm.bits, 0x81, bytes);
	write_pages(_metadata, bench, &self->oracle, 8, 3);
	ASSERT_EQ(0, __bench_query(bench, 0, IOVA, bytes * 8 * SZ_4K, SZ_4K,
				   self->bm.bits));
	bitmap_check_guards(_metadata, &self->bm);
	ASSERT_EQ(0x81, self->bm.bits[0]);
	ASSERT_EQ(0x87, self->bm.bits[1]);
	ASSERT_TRUE(mem_is(self->bm.bits + 2, bytes - 2, 0x81));
}

/* Check a bitmap with one bit per 8 bytes: a leaf is whole bytes of bitmap. */
static void check_fine_bits(struct __test_metadata *_metadata,
			    const struct oracle *oracle,
			    const struct guarded_bitmap *bm)
{
	size_t bytes = oracle->leaf / 8 / 8;

	bitmap_check_guards(_metadata, bm);
	for (size_t leaf = 0; leaf < oracle->count; leaf++) {
		ASSERT_TRUE(mem_is(bm->bits + leaf * bytes, bytes,
				   oracle->dirty[leaf] ? 0xff : 0)) {
			TH_LOG("leaf %zu should be %d", leaf,
			       oracle->dirty[leaf]);
		}
	}
}

/*
 * A window is 2 MiB of a bitmap. With a bit per 8 bytes, a window covers 128
 * MiB of IOVA. Here 160 MiB are mapped, and the bitmap begins within a page, so
 * that the edge of the window is not the edge of a leaf. The leaves of one
 * model are 4 KiB, those of the other 1 MiB, as far as memory allows.
 */
TEST_F(dirty, query_across_a_window_edge_is_exact)
{
	static const size_t offsets[] = { 0, 1, 4095, 2048 };
	struct bench *bench = &self->bench;
	const __u64 at = 0x100000000ULL, granule = 8;
	const __u64 window = 512 * SZ_4K * 8 * granule;
	const __u64 length = window + window / 4;
	struct oracle oracle;
	struct mem mem;

	mem_alloc(_metadata, &mem, length / 2, MEM_HUGETLB);
	iommu_map(_metadata, &bench->iommu, mem.va, at, length / 2);
	iommu_map(_metadata, &bench->iommu, mem.va, at + length / 2,
		  length / 2);
	oracle_init(_metadata, &oracle, at, length,
		    strcmp(variant->model, "2k") ? SZ_4K : SZ_1M);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		/* Start of the second window of this bitmap */
		__u64 edge = at + window - offsets[i] * 8 * granule;

		bitmap_alloc(_metadata, &self->bm, length / granule,
			     offsets[i]);
		mock_fill(_metadata, &bench->dev, edge - 5000, 9000, 1);
		oracle_write(&oracle, edge - 5000, 9000);
		mock_fill(_metadata, &bench->dev, at + length - 1, 1, 1);
		oracle_write(&oracle, at + length - 1, 1);
		ASSERT_EQ(0, __bench_query(bench, 0, at, length, granule,
					   self->bm.bits));
		check_fine_bits(_metadata, &oracle, &self->bm);
		oracle_clean(&oracle, at, length);
		bitmap_free(&self->bm);
	}
	oracle_free(&oracle);
	mem_free(&mem);
}

/*
 * Nothing is mapped from within the first window to within the second window,
 * which must begin with a whole byte of the bitmap nevertheless.
 */
TEST_F(dirty, query_with_a_hole_across_the_window_edge_is_exact)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x100000000ULL;
	const size_t window = 512 * SZ_4K * 8, bits = window + 16;
	struct mem mem;

	mem_alloc(_metadata, &mem, SZ_4K, MEM_4K);
	for (size_t bit = window; bit < bits; bit++) {
		iommu_map(_metadata, &bench->iommu, mem.va, at + bit * SZ_4K,
			  SZ_4K);
		mock_fill(_metadata, &bench->dev, at + bit * SZ_4K, SZ_4K, 1);
		bitmap_alloc(_metadata, &self->bm, bits, 0);
		ASSERT_EQ(0, __bench_query(bench, 0, at, bits * SZ_4K, SZ_4K,
					   self->bm.bits));
		bitmap_check_guards(_metadata, &self->bm);
		ASSERT_EQ(1 << bit % 8, self->bm.bits[bit / 8]);
		self->bm.bits[bit / 8] = 0;
		ASSERT_TRUE(mem_is(self->bm.bits, bits / 8, 0));
		bitmap_free(&self->bm);
		iommu_unmap(_metadata, &bench->iommu, at + bit * SZ_4K, SZ_4K);
	}
	mem_free(&mem);
}

TEST_HARNESS_MAIN
