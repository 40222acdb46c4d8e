// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: queries for a part of a huge leaf
 *
 * The hardware has one dirty bit per leaf, which a query clears as a whole. A
 * query for a part of the leaf reports that part only; later queries report the
 * other pages, whatever ranges they have, in parallel, or after a query that
 * failed. The oracle has one byte per page.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "lib/follow.h"
#include "lib/test.h"

#define IOVA	0x80000000ULL

FIXTURE(leaf)
{
	struct bench bench;
	struct oracle oracle;
	struct guarded_bitmap bm;
	__u64 length;
	__u64 seed;
};

FIXTURE_VARIANT(leaf)
{
	const char *model;
	enum mem_kind kind;
	__u64 size;
	__u64 count;
};

FIXTURE_VARIANT_ADD(leaf, model_2m) {
	.model = "2m", .kind = MEM_HUGETLB, .size = SZ_2M, .count = 4,
};

/* Two leaves map one huge page of memory. */
FIXTURE_VARIANT_ADD(leaf, model_2k) {
	.model = "2k", .kind = MEM_HUGETLB, .size = SZ_1M, .count = 4,
};

/* This model has leaves of 2 MiB too, one level below those of 1 GiB. */
FIXTURE_VARIANT_ADD(leaf, model_1g_2m) {
	.model = "1g", .kind = MEM_HUGETLB, .size = SZ_2M, .count = 4,
};

FIXTURE_VARIANT_ADD(leaf, model_1g) {
	.model = "1g", .kind = MEM_GIGANTIC, .size = SZ_1G, .count = 1,
};

FIXTURE_SETUP(leaf)
{
	if (variant->kind == MEM_GIGANTIC && !mem_has_gigantic())
		SKIP(return, "no page of 1 GiB: hugepagesz=1G hugepages=1");
	self->seed = 17;
	self->length = variant->size * variant->count;
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, self->length,
		     variant->kind);
	oracle_init(_metadata, &self->oracle, IOVA, self->length, SZ_4K);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(leaf)
{
	bench_close(_metadata, &self->bench);
	oracle_free(&self->oracle);
	bitmap_free(&self->bm);
}

/* Write one byte: all pages of its leaf are dirty. */
static void write_leaf(struct __test_metadata *_metadata, struct bench *bench,
		       struct oracle *oracle, __u64 offset, __u64 size)
{
	mock_fill(_metadata, &bench->dev, IOVA + offset, 1, 1);
	oracle_write(oracle, IOVA + offset / size * size, size);
}

/* Query the pages [first, first + count), which are clean afterwards. */
static void query_part(struct __test_metadata *_metadata, struct bench *bench,
		       struct oracle *oracle, __u64 first, __u64 count)
{
	__u64 iova = IOVA + first * SZ_4K;
	struct guarded_bitmap bm;

	bitmap_alloc_at_end(_metadata, &bm, count);
	bench_query(_metadata, bench, &bm, iova, SZ_4K);
	oracle_check(_metadata, oracle, &bm, iova, SZ_4K);
	oracle_clean(oracle, iova, count * SZ_4K);
	bitmap_free(&bm);
}

/* Query with NO_CLEAR, twice, which changes nothing. */
static void query_no_clear(struct __test_metadata *_metadata,
			   struct bench *bench, struct oracle *oracle,
			   __u64 first, __u64 count)
{
	__u64 iova = IOVA + first * SZ_4K;
	struct guarded_bitmap bm;

	bitmap_alloc_at_end(_metadata, &bm, count);
	for (int i = 0; i < 2; i++) {
		bitmap_reset(&bm);
		ASSERT_EQ(0, __bench_query(bench,
					   IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
					   iova, count * SZ_4K, SZ_4K,
					   bm.bits));
		oracle_check(_metadata, oracle, &bm, iova, SZ_4K);
	}
	bitmap_free(&bm);
}

/* Parts of a leaf: at its start, in the middle, at its end, across its end. */
static const struct {
	__u64 first, count;
	bool from_end;
} parts[] = {
	{ 0, 1 }, { 0, 2 }, { 0, 63 }, { 0, 64 }, { 0, 65 }, { 1, 1 },
	{ 7, 3 }, { 100, 28 }, { 64, 128 }, { 127, 1 }, { 3, 250 },
	{ 1, 1, true }, { 64, 64, true }, { 65, 64, true }, { 2, 1, true },
	{ 100, 100, true }, { 2, 4, true }, { 255, 255, true },
};

/* Return the pages of a part; false if memory of that size lacks some. */
static bool get_part(size_t i, __u64 leaf, __u64 length, __u64 *first,
		     __u64 *count)
{
	*first = parts[i].first;
	*count = parts[i].count;
	if (parts[i].from_end)
		*first = leaf / SZ_4K - *first;
	return *first + *count <= length / SZ_4K;
}

TEST_F(leaf, query_of_a_part_keeps_the_other_pages)
{
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;
	__u64 pages = self->length / SZ_4K;
	__u64 first, count;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!get_part(i, variant->size, self->length, &first, &count))
			continue;
		write_leaf(_metadata, bench, oracle, first * SZ_4K + 77,
			   variant->size);
		query_part(_metadata, bench, oracle, first, count);
		query_part(_metadata, bench, oracle, first, count);
		query_part(_metadata, bench, oracle, 0, pages);
		query_part(_metadata, bench, oracle, 0, pages);
	}
}

TEST_F(leaf, query_with_no_clear_changes_nothing)
{
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;
	__u64 pages = self->length / SZ_4K;
	__u64 first, count;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!get_part(i, variant->size, self->length, &first, &count))
			continue;
		write_leaf(_metadata, bench, oracle, first * SZ_4K,
			   variant->size);
		query_no_clear(_metadata, bench, oracle, first, count);
		query_part(_metadata, bench, oracle, first, count);
		query_no_clear(_metadata, bench, oracle, 0, pages);
		query_no_clear(_metadata, bench, oracle, first, count);
		query_part(_metadata, bench, oracle, 0, pages);
	}
}

/* Write a leaf again after a query for a part of it. */
TEST_F(leaf, leaf_written_after_query_of_a_part_is_all_dirty)
{
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;
	__u64 pages = self->length / SZ_4K;
	__u64 first, count;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!get_part(i, variant->size, self->length, &first, &count))
			continue;
		for (int again = 0; again < 3; again++) {
			write_leaf(_metadata, bench, oracle, first * SZ_4K,
				   variant->size);
			query_part(_metadata, bench, oracle, first, count);
		}
		query_part(_metadata, bench, oracle, 0, pages);
	}
}

/* Queries of random ranges and granules, with writes in between. */
TEST_F(leaf, queries_of_random_parts_report_each_page_once)
{
	static const __u64 granules[] = { SZ_4K, SZ_4K, 2 * SZ_4K, SZ_64K };
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;

	for (int i = 0; i < 200; i++) {
		__u64 granule = granules[next_random(&self->seed) % 4];
		__u64 room = self->length / granule;
		__u64 first = next_random(&self->seed) % room;
		__u64 count = 1 + next_random(&self->seed) % (room - first);
		__u64 iova = IOVA + first * granule;

		if (i % 4 == 0)
			write_leaf(_metadata, bench, oracle,
				   next_random(&self->seed) % self->length,
				   variant->size);
		if (count > 100 && i % 8)
			count = 100;
		bitmap_alloc(_metadata, &self->bm, count, i);
		bench_query(_metadata, bench, &self->bm, iova, granule);
		oracle_check(_metadata, oracle, &self->bm, iova, granule);
		oracle_clean(oracle, iova, count * granule);
		bitmap_free(&self->bm);
	}
	query_part(_metadata, bench, oracle, 0, self->length / SZ_4K);
}

/* Queries for a part that fail report nothing and lose nothing. */
TEST_F(leaf, failed_query_of_a_part_loses_nothing)
{
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;
	__u64 first, count;
	void *page;

	page = mmap(NULL, SZ_4K, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!get_part(i, variant->size, self->length, &first, &count))
			continue;
		write_leaf(_metadata, bench, oracle, first * SZ_4K,
			   variant->size);
		ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA + first * SZ_4K,
						 count * SZ_4K, SZ_4K, page));
		query_part(_metadata, bench, oracle, first, count);
		ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA, 64 * SZ_4K,
						 SZ_4K, page));
		query_part(_metadata, bench, oracle, 0, self->length / SZ_4K);
	}
	munmap(page, SZ_4K);
}

/* An unmap discards the pending pages of the mapping, not those of others. */
TEST_F(leaf, unmap_discards_pending_pages)
{
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;
	__u64 pages = self->length / SZ_4K;
	__u64 other = IOVA + 4 * SZ_1G;
	struct oracle beside;
	__u8 bits[8];

	oracle_init(_metadata, &beside, other, variant->size, SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, other,
		  variant->size);
	for (int i = 0; i < 3; i++) {
		mock_fill(_metadata, &bench->dev, other, 1, 1);
		write_leaf(_metadata, bench, oracle, 5 * SZ_4K, variant->size);
		query_part(_metadata, bench, oracle, i, 3);
		ASSERT_EQ(0, __bench_query(bench, 0, other, SZ_4K, SZ_4K,
					   bits));
		iommu_unmap(_metadata, &bench->iommu, IOVA, self->length);
		iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA,
			  self->length);
		memset(oracle->dirty, 0, oracle->count);
		query_part(_metadata, bench, oracle, 0, pages);

		bitmap_alloc(_metadata, &self->bm, beside.count, 0);
		bench_query(_metadata, bench, &self->bm, other, SZ_4K);
		ASSERT_EQ(beside.count - 1, bitmap_count(&self->bm));
		ASSERT_FALSE(bitmap_test(&self->bm, 0));
		bitmap_free(&self->bm);
	}
	oracle_free(&beside);
}

TEST_F(leaf, restart_of_tracking_discards_pending_pages)
{
	struct bench *bench = &self->bench;
	struct oracle *oracle = &self->oracle;
	__u8 bits[8] = {};

	for (int i = 0; i < 3; i++) {
		write_leaf(_metadata, bench, oracle, 0, variant->size);
		query_part(_metadata, bench, oracle, i, 3);
		ASSERT_EQ(0, __bench_track(bench, false));
		ASSERT_EQ(-EINVAL, __bench_query(bench, 0, IOVA, 64 * SZ_4K,
						 SZ_4K, bits));
		ASSERT_TRUE(mem_is(bits, sizeof(bits), 0));
		mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
		ASSERT_EQ(0, __bench_track(bench, true));
		memset(oracle->dirty, 0, oracle->count);
		query_part(_metadata, bench, oracle, 0, self->length / SZ_4K);
	}
}

/**
 * struct part_query - queries for a part of a leaf, by a thread
 * @bench: device to query
 * @barrier: rounds begin and end here
 * @iova: start of the part
 * @pages: pages of the part
 * @bits: result of the query
 * @rc: return value of the query
 * @stop: set before the last barrier
 */
struct part_query {
	struct bench *bench;
	pthread_barrier_t *barrier;
	__u64 iova;
	__u64 pages;
	__u8 *bits;
	int rc;
	bool stop;
};

static void *part_query_run(void *arg)
{
	struct part_query *query = arg;

	for (;;) {
		pthread_barrier_wait(query->barrier);
		if (query->stop)
			return NULL;
		query->rc = __bench_query(query->bench, 0, query->iova,
					  query->pages * SZ_4K, SZ_4K,
					  query->bits);
		pthread_barrier_wait(query->barrier);
	}
}

/* Check that all bits of the part are set. */
static void check_all_reported(struct __test_metadata *_metadata,
			       const struct part_query *query, int round)
{
	ASSERT_EQ(0, query->rc);
	for (__u64 page = 0; page < query->pages; page++) {
		ASSERT_TRUE(query->bits[page / 8] & (1 << page % 8)) {
			TH_LOG("round %d: page %llu of those from 0x%llx on",
			       round, page, query->iova);
		}
	}
}

/* Two threads query parts of one leaf: each page is reported to its thread. */
TEST_F_TIMEOUT(leaf, parallel_queries_of_parts_report_each_part, 120)
{
	const __u64 pages = variant->size / SZ_4K;
	static __u8 bits[2][SZ_1G / SZ_4K / 8];
	struct part_query queries[2];
	pthread_barrier_t barrier;
	pthread_t thread;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 2));
	for (int i = 0; i < 2; i++)
		queries[i] = (struct part_query) {
			.bench = &self->bench, .barrier = &barrier,
			.bits = bits[i],
		};
	ASSERT_EQ(0,
		  pthread_create(&thread, NULL, part_query_run, &queries[1]));
	for (int round = 0; round < 600; round++) {
		__u64 split = round % 2 ? pages / 2 :
			    1 + next_random(&self->seed) % (pages - 1);

		mock_fill(_metadata, &self->bench.dev, IOVA, 1, round);
		queries[0].iova = IOVA;
		queries[0].pages = split;
		queries[1].iova = IOVA + split * SZ_4K;
		queries[1].pages = pages - split;
		memset(bits, 0, 2 * sizeof(bits[0]));
		pthread_barrier_wait(&barrier);
		queries[0].rc = __bench_query(&self->bench, 0, IOVA,
					      split * SZ_4K, SZ_4K, bits[0]);
		pthread_barrier_wait(&barrier);
		check_all_reported(_metadata, &queries[0], round);
		check_all_reported(_metadata, &queries[1], round);
	}
	queries[1].stop = true;
	pthread_barrier_wait(&barrier);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	pthread_barrier_destroy(&barrier);
}

/*
 * Query ranges that are aligned to bytes of the bitmap only: 8 pages or more.
 */
static int query_by_ranges(struct bench *bench, __u64 iova, __u64 length,
			   void *bits)
{
	static unsigned int turn;
	__u64 done = 0, part;
	int rc = 0;

	while (!rc && done < length) {
		part = (8 + turn++ * 88 % 248) * SZ_4K;
		if (part > length - done)
			part = length - done;
		rc = __bench_query(bench, 0, iova + done, part, SZ_4K,
				   (__u8 *)bits + done / SZ_4K / 8);
		done += part;
	}
	return rc;
}

TEST_F(leaf, queries_of_parts_miss_no_write)
{
	struct bench *bench = &self->bench;
	struct mock_work work = {
		.iova = IOVA,
		.length = self->length,
		.stride = 4096,
		.hot_length = SZ_1M,
		.hot_percent = 30,
		.seed = 5,
	};
	struct follow follow;

	/* The copy of 1 GiB would not fit into memory. */
	if (variant->size == SZ_1G)
		return;
	follow_start(_metadata, &follow, bench, query_by_ranges);
	mock_work_start(_metadata, &bench->dev, &work);
	for (int round = 0; round < 40; round++)
		follow_round(_metadata, &follow);
	mock_work_stop(_metadata, &bench->dev);
	follow_end(_metadata, &follow);
}

TEST_HARNESS_MAIN
