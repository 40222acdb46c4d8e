// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty pages and drivers' writes when memory runs out
 *
 * Every allocation of a query fails once: what the query did not tell is told
 * by the next one. Likewise for what is on the way to a dirty bit: pins of
 * drivers and what they copy.
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

/* More often than a query allocates, also on a debug kernel. */
#define MOST	1000

/**
 * struct play - an IOAS that two page tables show
 * @bench: the device of the one, which has small leaves
 * @huge: the same IOAS with the device of the other, which has leaves of 2 MiB
 * @mdev: a device that pins, attached
 * @fail: what fails
 * @apart: an IOAS with no page table
 * @bm: bits of all pages
 */
struct play {
	struct bench bench;
	struct bench huge;
	struct vfio_dev mdev;
	struct fail_nth fail;
	__u32 apart;
	struct guarded_bitmap bm;
};

FIXTURE(fail_dirty)
{
	struct play play;
};

FIXTURE_SETUP(fail_dirty)
{
	struct play *play = &self->play;
	struct bench *bench = &play->bench;
	char path[256];

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "Y"));
	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	play->huge = *bench;
	ASSERT_EQ(0, mock_find("2m", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&play->huge.dev, &bench->iommu, path));
	ASSERT_EQ(0, __ioas_alloc(bench->iommu.fd, &play->apart));
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&play->mdev, &bench->iommu, path));
	bitmap_alloc(_metadata, &play->bm, PAGES, 0);
	bench_track(_metadata, bench);
	fail_nth_open(_metadata, &play->fail);
}

/* Every allocation of this process that cannot wait fails; others do not. */
static void fail_atomic_begin(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, sysfs_write("/proc/self/make-it-fail", "1"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "task-filter", "Y"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "ignore-gfp-wait", "Y"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "times", "-1"));
	ASSERT_EQ(0, sysfs_write(FAILSLAB "probability", "100"));
}

/* The last first: without a filter it would be everybody's allocations. */
static int fail_atomic_end(void)
{
	return sysfs_write(FAILSLAB "probability", "0") ?:
	       sysfs_write(FAILSLAB "ignore-gfp-wait", "N") ?:
	       sysfs_write(FAILSLAB "task-filter", "N") ?:
	       sysfs_write("/proc/self/make-it-fail", "0");
}

FIXTURE_TEARDOWN(fail_dirty)
{
	struct play *play = &self->play;

	sysfs_write(EMULATED_PIN, "Y");
	fail_atomic_end();
	fail_nth_close(&play->fail);
	vfio_dev_close(&play->mdev);
	vfio_dev_close(&play->huge.dev);
	bench_close(_metadata, &play->bench);
	bitmap_free(&play->bm);
}

static int op_track(void *data)
{
	struct play *play = data;

	return __bench_track(&play->huge, true);
}

static int undo_track(void *data)
{
	struct play *play = data;

	return __bench_track(&play->huge, false);
}

TEST_F_TIMEOUT(fail_dirty, tracking, 300)
{
	static const struct fail_case track = {
		"SET_DIRTY_TRACKING", op_track, undo_track, 0, { -ENOENT },
	};
	struct play *play = &self->play;

	fail_each(_metadata, &play->fail, play->bench.iommu.fd, &track, play);
}

static int undo_write(void *data)
{
	struct play *play = data;

	return __vfio_dev_reset(&play->mdev);
}

/* A few pages, one by one. The device tells of no memory by a fault. */
static int op_write(void *data)
{
	struct play *play = data;
	struct vfio_dev *mdev = &play->mdev;
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
	/* what came before it is pinned */
	undo_write(play);
	return reason == VFIO_MOCK_DMA_FAULT_NO_RAM ? -ENOMEM : -EIO;
}

static void fail_writes(struct __test_metadata *_metadata, struct play *play,
			__u32 ioas, bool pin)
{
	static const struct fail_case writes = {
		"write", op_write, undo_write,
	}, pins = {
		"pin", op_write, undo_write, 2,
	};

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, pin ? "Y" : "N"));
	ASSERT_EQ(0, __vfio_dev_attach(&play->mdev, ioas));
	fail_each(_metadata, &play->fail, play->bench.iommu.fd,
		  pin ? &pins : &writes, play);
}

/* Of user memory, and of that of a file, which page tables have or have not. */
TEST_F_TIMEOUT(fail_dirty, driver_writes, 300)
{
	struct play *play = &self->play;
	int fd = play->bench.iommu.fd;
	int file = memfd_create("test", MFD_CLOEXEC);
	__u32 ids[] = { play->bench.iommu.ioas_id, play->apart };
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
			CHECK_RC(0, __ioas_map(fd, ioas, play->bench.mem.va,
					       OTHER, LENGTH, PROT_DMA_RW),
				 "%d", i);
		fail_writes(_metadata, play, ioas, i / 4);
		CHECK_RC(0, __ioas_unmap(fd, ioas, OTHER, LENGTH, NULL), "%d",
			 i);
	}
	close(file);
}

/* Everything was written: a query tells all of it, or nothing is lost. */
static void fail_queries(struct __test_metadata *_metadata, struct play *play,
			 struct bench *bench)
{
	struct guarded_bitmap *bm = &play->bm;
	int nth, rc, failed = 0, tries = 0;
	bool hit = true;

	for (nth = 1; hit; nth = fail_nth_next(nth, !rc, &tries)) {
		CHECK(nth < MOST, "a query never ends");
		mock_fill(_metadata, &bench->dev, IOVA, LENGTH, nth);
		bitmap_reset(bm);
		fail_nth_arm(_metadata, &play->fail, nth);
		rc = __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, bm->bits);
		hit = fail_nth_disarm(_metadata, &play->fail);
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

TEST_F_TIMEOUT(fail_dirty, query, 300)
{
	struct play *play = &self->play;

	fail_queries(_metadata, play, &play->bench);
	bench_track(_metadata, &play->huge);
	fail_queries(_metadata, play, &play->huge);
}

/* The same for what a driver wrote, be it pinned still or not. */
TEST_F_TIMEOUT(fail_dirty, query_of_what_a_driver_wrote, 300)
{
	struct play *play = &self->play;
	struct bench by_driver = play->bench;

	by_driver.dev = play->mdev;
	by_driver.dev.hwpt_id = play->bench.dev.hwpt_id;
	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	fail_queries(_metadata, play, &by_driver);
}

/*
 * A part of a leaf is asked for, and there is no memory to remember the rest:
 * more may be told then, but not less, and by the query after that nothing.
 */
static void fail_rest(struct __test_metadata *_metadata, struct play *play,
		      struct guarded_bitmap *bm, int nth)
{
	const size_t first = 3, count = 5;
	struct bench *bench = &play->huge;
	bool hit;
	int rc;

	mock_fill(_metadata, &bench->dev, OTHER, 1, nth);
	bitmap_reset(bm);
	fail_nth_arm(_metadata, &play->fail, nth);
	rc = __bench_query(bench, 0, OTHER + first * SZ_4K, count * SZ_4K,
			   SZ_4K, bm->bits);
	hit = fail_nth_disarm(_metadata, &play->fail);
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

TEST_F_TIMEOUT(fail_dirty, rest_of_a_leaf, 300)
{
	struct play *play = &self->play;
	struct guarded_bitmap bm;
	struct mem mem;

	mem_alloc(_metadata, &mem, SZ_2M, MEM_HUGETLB);
	iommu_map(_metadata, &play->bench.iommu, mem.va, OTHER, SZ_2M);
	bench_track(_metadata, &play->huge);
	bitmap_alloc(_metadata, &bm, SZ_2M / SZ_4K, 0);
	for (int nth = 1; nth < 40; nth++)
		fail_rest(_metadata, play, &bm, nth);
	bitmap_free(&bm);
	mem_free(&mem);
}

/* Less and less can be remembered, and in the end only that it is a lot. */
TEST_F(fail_dirty, no_memory_for_rests)
{
	const size_t leaves = 8, pages = SZ_2M / SZ_4K, taken = 100;
	struct bench *bench = &self->play.huge;
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
