// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty pages and drivers' writes without memory
 *
 * Fail every allocation of a query once: pages that the query did not report
 * are reported by the next one. Likewise, fail the allocations of drivers' pins
 * and copies.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fail_nth.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define OTHER	0x40000000ULL
#define PAGES	200
#define LENGTH	(PAGES * SZ_4K)

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

#define FAILSLAB	"/sys/kernel/debug/failslab/"

/* More allocations than a query makes, also on a debug kernel. */
#define MOST	1000

/**
 * struct fail_env - an IOAS with two page tables
 * @bench: device of the page table with small leaves
 * @huge: device of the page table with leaves of 2 MiB
 * @mdev: a device whose driver pins pages, attached
 * @fail: failure injection
 * @without_hwpt: an IOAS without a page table
 * @bm: bits of all pages
 */
struct fail_env {
	struct bench bench;
	struct bench huge;
	struct vfio_dev mdev;
	struct fail_nth fail;
	__u32 without_hwpt;
	struct guarded_bitmap bm;
};

FIXTURE(fail_dirty)
{
	struct fail_env env;
};

FIXTURE_SETUP(fail_dirty)
{
	struct fail_env *env = &self->env;
	struct bench *bench = &env->bench;
	char path[256];

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "Y"));
	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	env->huge = *bench;
	ASSERT_EQ(0, mock_find("2m", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&env->huge.dev, &bench->iommu, path));
	ASSERT_EQ(0, __ioas_alloc(bench->iommu.fd, &env->without_hwpt));
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&env->mdev, &bench->iommu, path));
	bitmap_alloc(_metadata, &env->bm, PAGES, 0);
	bench_track(_metadata, bench);
	fail_nth_open(_metadata, &env->fail);
}

/* Fail every slab allocation of this process that cannot sleep. */
static void fail_atomic_begin(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, sysfs_write("/proc/self/make-it-fail", "1"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "task-filter", "Y"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "ignore-gfp-wait", "Y"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "times", "-1"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "probability", "100"));
}

/*
 * Clear the filter last: without it, allocations of all processes would fail.
 */
static int fail_atomic_end(void)
{
	return sysfs_write(FAILSLAB "probability", "0") ?:
	       sysfs_write(FAILSLAB "ignore-gfp-wait", "N") ?:
	       sysfs_write(FAILSLAB "task-filter", "N") ?:
	       sysfs_write("/proc/self/make-it-fail", "0");
}

FIXTURE_TEARDOWN(fail_dirty)
{
	struct fail_env *env = &self->env;

	sysfs_write(EMULATED_PIN, "Y");
	fail_atomic_end();
	fail_nth_close(&env->fail);
	vfio_dev_close(&env->mdev);
	vfio_dev_close(&env->huge.dev);
	bench_close(_metadata, &env->bench);
	bitmap_free(&env->bm);
}

static int op_track(void *data)
{
	struct fail_env *env = data;

	return __bench_track(&env->huge, true);
}

static int undo_track(void *data)
{
	struct fail_env *env = data;

	return __bench_track(&env->huge, false);
}

TEST_F_TIMEOUT(fail_dirty, every_allocation_of_tracking_fails_once, 300)
{
	static const struct fail_case track = {
		"SET_DIRTY_TRACKING", op_track, undo_track, 0, { -ENOENT },
	};
	struct fail_env *env = &self->env;

	fail_each(_metadata, &env->fail, env->bench.iommu.fd, &track, env);
}

static int undo_write(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_reset(&env->mdev);
}

/* Write a few pages one by one. The device reports -ENOMEM as a DMA fault. */
static int op_write(void *data)
{
	struct fail_env *env = data;
	struct vfio_dev *mdev = &env->mdev;
	__u32 status, reason;
	int rc = __mock_fill(mdev, OTHER, SZ_4K * 3, 1);

	if (!rc)
		rc = __mock_region_read(mdev, VFIO_MOCK_DMA_REGION_REGS,
					MOCK_REG(status), &status, 4);
	if (!rc)
		rc = __mock_region_read(mdev, VFIO_MOCK_DMA_REGION_REGS,
					MOCK_REG(fault_reason), &reason, 4);
	if (rc || status == VFIO_MOCK_DMA_OK)
		return rc;
	/* Pages before the fault are pinned. */
	undo_write(env);
	return reason == VFIO_MOCK_DMA_FAULT_NO_RAM ? -ENOMEM : -EIO;
}

static void fail_writes(struct __test_metadata *_metadata, struct fail_env *env,
			__u32 ioas, bool pin)
{
	static const struct fail_case writes = {
		"write", op_write, undo_write,
	}, pins = {
		"pin", op_write, undo_write, 2,
	};

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, pin ? "Y" : "N"));
	ASSERT_EQ(0, __vfio_dev_attach(&env->mdev, ioas));
	fail_each(_metadata, &env->fail, env->bench.iommu.fd,
		  pin ? &pins : &writes, env);
}

/*
 * Writes to memory and to a memfd, with and without a page table of the IOAS.
 */
TEST_F_TIMEOUT(fail_dirty, every_allocation_of_driver_writes_fails_once, 300)
{
	struct fail_env *env = &self->env;
	int fd = env->bench.iommu.fd;
	int file = memfd_create("test", MFD_CLOEXEC);
	__u32 ids[] = { env->bench.iommu.ioas_id, env->without_hwpt };
	__u64 iova = OTHER;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, LENGTH));
	for (int i = 0; i < 8; i++) {
		__u32 ioas = ids[i / 2 % 2];

		if (i % 2)
			CHECK_RC(0, __ioas_map_file(fd, ioas, MAP_RW_FIXED,
						    file, 0, &iova, LENGTH),
				 "%d", i);
		else
			CHECK_RC(0, __ioas_map(fd, ioas, env->bench.mem.va,
					       OTHER, LENGTH, PROT_DMA_RW),
				 "%d", i);
		fail_writes(_metadata, env, ioas, i / 4);
		CHECK_RC(0, __ioas_unmap(fd, ioas, OTHER, LENGTH, NULL), "%d",
			 i);
	}
	close(file);
}

/* Write all pages: the query, or the next one after it failed, has them all. */
static void fail_queries(struct __test_metadata *_metadata,
			 struct fail_env *env, struct bench *bench)
{
	struct guarded_bitmap *bm = &env->bm;
	int nth, rc, failed = 0, tries = 0;
	bool hit = true;

	for (nth = 1; hit; nth = fail_nth_next(nth, !rc, &tries)) {
		CHECK(nth < MOST, "too many allocations");
		mock_fill(_metadata, &bench->dev, IOVA, LENGTH, nth);
		bitmap_reset(bm);
		fail_nth_arm(_metadata, &env->fail, nth);
		rc = __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, bm->bits);
		hit = fail_nth_disarm(_metadata, &env->fail);
		bitmap_check_guards(_metadata, bm);
		if (rc) {
			CHECK(hit && (rc == -ENOMEM || rc == -ENOENT),
			      "%d: %d", nth, rc);
			failed++;
			bench_query(_metadata, bench, bm, IOVA, SZ_4K);
		}
		CHECK_RC(PAGES, bitmap_count(bm), "%d, %d", nth, rc);
		bench_query(_metadata, bench, bm, IOVA, SZ_4K);
		CHECK_RC(0, bitmap_count(bm), "%d, %d", nth, rc);
	}
	CHECK(failed >= 2, "a query failed %d times only", failed);
}

TEST_F_TIMEOUT(fail_dirty, every_allocation_of_a_query_fails_once, 300)
{
	struct fail_env *env = &self->env;

	fail_queries(_metadata, env, &env->bench);
	bench_track(_metadata, &env->huge);
	fail_queries(_metadata, env, &env->huge);
}

/* Query pages that the kernel wrote for a driver. */
TEST_F_TIMEOUT(fail_dirty, driver_writes_queried_without_memory_are_reported, 300)
{
	struct fail_env *env = &self->env;
	struct bench by_driver = env->bench;

	by_driver.dev = env->mdev;
	by_driver.dev.hwpt_id = env->bench.dev.hwpt_id;
	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	fail_queries(_metadata, env, &by_driver);
}

/*
 * Query a part of a leaf without memory to record its other pages: the next
 * query may report too many pages, but not too few, and the query after that
 * reports none.
 */
static void fail_query_of_a_part(struct __test_metadata *_metadata,
				 struct fail_env *env, struct guarded_bitmap *bm,
				 int nth)
{
	const size_t first = 3, count = 5;
	struct bench *bench = &env->huge;
	bool hit;
	int rc;

	mock_fill(_metadata, &bench->dev, OTHER, 1, nth);
	bitmap_reset(bm);
	fail_nth_arm(_metadata, &env->fail, nth);
	rc = __bench_query(bench, 0, OTHER + first * SZ_4K, count * SZ_4K,
			   SZ_4K, bm->bits);
	hit = fail_nth_disarm(_metadata, &env->fail);
	CHECK(rc || bm->bits[0] == 0x1f, "nth = %d", nth);
	bench_query(_metadata, bench, bm, OTHER, SZ_4K);
	for (size_t page = 0; page < bm->nbits; page++) {
		bool reported = !rc && page >= first && page < first + count;

		CHECK(reported || bitmap_test(bm, page), "nth = %d: page %zu",
		      nth, page);
	}
	CHECK(hit || bitmap_count(bm) == bm->nbits - count, "%zu dirty pages",
	      bitmap_count(bm));
	bench_query(_metadata, bench, bm, OTHER, SZ_4K);
	CHECK_RC(0, bitmap_count(bm), "nth = %d", nth);
}

TEST_F_TIMEOUT(fail_dirty, query_of_a_part_without_memory_loses_nothing, 300)
{
	struct fail_env *env = &self->env;
	struct guarded_bitmap bm;
	struct mem mem;

	mem_alloc(_metadata, &mem, SZ_2M, MEM_HUGETLB);
	iommu_map(_metadata, &env->bench.iommu, mem.va, OTHER, SZ_2M);
	bench_track(_metadata, &env->huge);
	bitmap_alloc(_metadata, &bm, SZ_2M / SZ_4K, 0);
	for (int nth = 1; nth < 40; nth++)
		fail_query_of_a_part(_metadata, env, &bm, nth);
	bitmap_free(&bm);
	mem_free(&mem);
}

/* Without memory to record other pages of leaves, results are conservative. */
TEST_F(fail_dirty, queries_of_parts_without_memory_are_conservative)
{
	const size_t leaves = 8, pages = SZ_2M / SZ_4K, taken = 100;
	struct bench *bench = &self->env.huge;
	struct guarded_bitmap bm, part;
	struct mem mem;

	mem_alloc(_metadata, &mem, leaves * SZ_2M, MEM_HUGETLB);
	iommu_map(_metadata, &bench->iommu, mem.va, OTHER, mem.length);
	bench_track(_metadata, bench);
	bitmap_alloc(_metadata, &bm, leaves * pages, 0);
	bitmap_alloc(_metadata, &part, taken, 0);
	for (int round = 0; round < 3; round++) {
		fail_atomic_begin(_metadata);
		for (size_t i = 0; i < leaves; i++) {
			__u64 leaf = OTHER + i * SZ_2M;

			mock_fill(_metadata, &bench->dev, leaf, 1, 1);
			bench_query(_metadata, bench, &part, leaf + SZ_1M,
				    SZ_4K);
			CHECK_RC(taken, bitmap_count(&part), "leaf %zu", i);
		}
		ASSERT_EQ(0, fail_atomic_end());
		bench_query(_metadata, bench, &bm, OTHER, SZ_4K);
		for (size_t page = 0; page < bm.nbits; page++) {
			size_t at = page % pages - pages / 2;

			CHECK(at < taken || bitmap_test(&bm, page), "page %zu",
			      page);
		}
		bench_query(_metadata, bench, &bm, OTHER, SZ_4K);
		ASSERT_EQ(0, bitmap_count(&bm));
	}
	bitmap_free(&bm);
	bitmap_free(&part);
	mem_free(&mem);
}

TEST_HARNESS_MAIN
