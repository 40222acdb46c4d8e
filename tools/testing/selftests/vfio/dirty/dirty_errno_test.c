// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: refused dirty queries of /dev/iommu
 *
 * After every refused call, a valid query checks that no dirty page was lost.
 */
#include <stdint.h>
#include <sys/mman.h>

#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	256
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(dirty_errno)
{
	struct bench bench;
	struct guarded_bitmap bm;
};

FIXTURE_SETUP(dirty_errno)
{
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	bench_track(_metadata, &self->bench);
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	mock_fill(_metadata, &self->bench.dev, IOVA, LENGTH, 1);
}

FIXTURE_TEARDOWN(dirty_errno)
{
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
}

/* Check that a query reports every page, and then write every page again. */
static void check_nothing_lost(struct __test_metadata *_metadata,
			       struct bench *bench, struct guarded_bitmap *bm)
{
	bitmap_check_guards(_metadata, bm);
	ASSERT_EQ(0, bitmap_count(bm));
	bench_query(_metadata, bench, bm, IOVA, SZ_4K);
	ASSERT_EQ(PAGES, bitmap_count(bm));
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	bitmap_reset(bm);
}

static const struct {
	int rc;
	__u64 iova, length, page_size;
	__u32 flags;
} bad_get[] = {
	{ -EINVAL, IOVA, 0, SZ_4K },
	{ -EINVAL, 0, 0, SZ_4K },
	{ -EINVAL, 0, 0, 1ULL << 63 },
	{ -EINVAL, IOVA, LENGTH, 0 },
	{ -EINVAL, IOVA + 1, LENGTH, SZ_4K },
	{ -EINVAL, IOVA + SZ_2K, LENGTH, SZ_4K },
	{ -EINVAL, IOVA, LENGTH - 1, SZ_4K },
	{ -EINVAL, IOVA, LENGTH + SZ_2K, SZ_4K },
	{ -EINVAL, IOVA + SZ_4K, SZ_64K, SZ_64K },
	{ -EINVAL, IOVA, SZ_4K, SZ_64K },
	{ -EINVAL, IOVA, LENGTH, 1ULL << 63 },
	{ -EOVERFLOW, IOVA, 0 - SZ_4K, SZ_4K },
	{ -EOVERFLOW, 0 - SZ_4K, 2 * SZ_4K, SZ_4K },
	{ -EOVERFLOW, ~0ULL & ~(SZ_4K - 1), ~0ULL, SZ_4K },
	{ -EOPNOTSUPP, IOVA, LENGTH, SZ_4K, 2 },
	{ -EOPNOTSUPP, IOVA, LENGTH, SZ_4K, 1U << 31 },
};

TEST_F(dirty_errno, query_with_bad_arguments_loses_nothing)
{
	struct bench *bench = &self->bench;

	for (size_t i = 0; i < ARRAY_SIZE(bad_get); i++) {
		ASSERT_EQ(bad_get[i].rc,
			  __hwpt_dirty(bench->iommu.fd, bench->dev.hwpt_id,
				       bad_get[i].flags, bad_get[i].iova,
				       bad_get[i].length, bad_get[i].page_size,
				       self->bm.bits)) {
			TH_LOG("bad_get[%zu]", i);
		}
		check_nothing_lost(_metadata, bench, &self->bm);
	}
}

TEST_F(dirty_errno, query_with_granule_not_power_of_two_is_einval)
{
	static const __u64 sizes[] = { 3, 0x3000, 0x18000 };
	struct bench *bench = &self->bench;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(-EINVAL, __bench_query(bench, 0, IOVA, LENGTH / 2,
						 sizes[i],
						 self->bm.bits)) {
			TH_LOG("granule 0x%llx", sizes[i]);
		}
		check_nothing_lost(_metadata, bench, &self->bm);
	}
}

/* Page sizes with which a shift or a division could overflow. */
TEST_F(dirty_errno, query_with_huge_granule_is_exact)
{
	struct bench *bench = &self->bench;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, 0, SZ_64K);
	for (unsigned int shift = 31; shift <= 63; shift++) {
		mock_fill(_metadata, &bench->dev, SZ_4K, 1, 1);
		bitmap_reset(&self->bm);
		ASSERT_EQ(0, __bench_query(bench, 0, 0, 1ULL << shift,
					   1ULL << shift, self->bm.bits)) {
			TH_LOG("granule 1 << %u", shift);
		}
		bitmap_check_guards(_metadata, &self->bm);
		ASSERT_EQ(1, self->bm.bits[0]);
		ASSERT_EQ(1, bitmap_count(&self->bm));
	}
}

/* Argument structures of older and newer programs. */
TEST_F(dirty_errno, query_with_other_structure_sizes_follows_the_abi)
{
	struct {
		struct iommu_hwpt_get_dirty_bitmap cmd;
		__u64 tail;
	} arg = {
		.cmd = {
			.size = sizeof(arg),
			.hwpt_id = self->bench.dev.hwpt_id,
			.iova = IOVA,
			.length = LENGTH,
			.page_size = SZ_4K,
			.data = (uintptr_t)self->bm.bits,
		},
	};
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(48, sizeof(arg.cmd));
	arg.tail = 1ULL << 56;
	ASSERT_EQ(-E2BIG, xioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
	arg.tail = 0;
	arg.cmd.size = sizeof(arg.cmd) - 1;
	ASSERT_EQ(-EINVAL, xioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
	arg.cmd.size = sizeof(arg);
	arg.cmd.__reserved = 1;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
	arg.cmd.__reserved = 0;
	ASSERT_EQ(0, xioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg));
	ASSERT_EQ(PAGES, bitmap_count(&self->bm));
}

TEST_F(dirty_errno, query_and_tracking_of_other_objects_fail)
{
	int fd = self->bench.iommu.fd;
	__u32 ioas = self->bench.iommu.ioas_id, other;

	ASSERT_EQ(-ENOENT, __hwpt_dirty(fd, 0x7fff, 0, IOVA, LENGTH, SZ_4K,
					self->bm.bits));
	ASSERT_EQ(-ENOENT, __hwpt_dirty(fd, ioas, 0, IOVA, LENGTH, SZ_4K,
					self->bm.bits));
	ASSERT_EQ(-ENOENT, __hwpt_track(fd, 0x7fff, true));
	ASSERT_EQ(0, __hwpt_alloc(fd, self->bench.dev.dev_id, ioas, 0, &other));
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_track(fd, other, true));
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_dirty(fd, other, 0, IOVA, LENGTH, SZ_4K,
					    self->bm.bits));
	ASSERT_EQ(0, __iommu_destroy(fd, other));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
}

TEST_F(dirty_errno, set_tracking_with_bad_arguments_fails)
{
	struct {
		struct iommu_hwpt_set_dirty_tracking cmd;
		__u64 tail;
	} arg = {
		.cmd = {
			.size = sizeof(arg),
			.hwpt_id = self->bench.dev.hwpt_id,
		},
	};
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(16, sizeof(arg.cmd));
	arg.cmd.flags = 2;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING,
				      &arg));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
	arg.cmd.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	arg.tail = 1;
	ASSERT_EQ(-E2BIG, xioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
	arg.cmd.size = 8;
	ASSERT_EQ(-EINVAL, xioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg));
	check_nothing_lost(_metadata, &self->bench, &self->bm);
}

/* With tracking disabled, a query fails, also where nothing is mapped. */
TEST_F(dirty_errno, query_without_tracking_is_einval)
{
	struct bench *bench = &self->bench;

	ASSERT_EQ(0, __bench_track(bench, false));
	ASSERT_EQ(-EINVAL, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K,
					 self->bm.bits));
	ASSERT_EQ(-EINVAL, __bench_query(bench, 0, 2 * IOVA, LENGTH, SZ_4K,
					 self->bm.bits));
	ASSERT_EQ(-EINVAL,
		  __bench_query(bench, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
				IOVA, LENGTH, SZ_4K, self->bm.bits));
	ASSERT_EQ(0, bitmap_count(&self->bm));
	bitmap_check_guards(_metadata, &self->bm);
}

TEST_F(dirty_errno, device_without_tracking_refuses_tracking)
{
	char path[256];
	struct vfio_dev dev;
	struct iommu iommu;
	__u32 hwpt;
	bool able;

	ASSERT_EQ(0, mock_find("nodirty", 0, path, sizeof(path)));
	iommu_open(_metadata, &iommu, MODE_IOMMUFD);
	ASSERT_EQ(0, __vfio_dev_bind(&dev, &iommu, path));
	ASSERT_EQ(0, __device_can_track(iommu.fd, dev.dev_id, &able));
	ASSERT_FALSE(able);
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_alloc(iommu.fd, dev.dev_id,
					    iommu.ioas_id,
					    IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					    &hwpt));
	ASSERT_EQ(0, __hwpt_alloc(iommu.fd, dev.dev_id, iommu.ioas_id, 0,
				  &hwpt));
	ASSERT_EQ(0, __vfio_dev_attach(&dev, hwpt));
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_track(iommu.fd, hwpt, true));
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_dirty(iommu.fd, hwpt, 0, IOVA, LENGTH,
					    SZ_4K, self->bm.bits));
	ASSERT_EQ(0, bitmap_count(&self->bm));
	vfio_dev_close(&dev);
	iommu_close(&iommu);
}

/* A device without dirty tracking cannot attach to a page table with it. */
TEST_F(dirty_errno, attach_of_device_without_tracking_is_einval)
{
	struct bench *bench = &self->bench;
	struct vfio_dev dev;
	char path[256];
	bool able;

	ASSERT_EQ(0, __device_can_track(bench->iommu.fd, bench->dev.dev_id,
					&able));
	ASSERT_TRUE(able);
	ASSERT_EQ(0, mock_find("nodirty", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(&dev, &bench->iommu, path));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(&dev, bench->dev.hwpt_id));
	vfio_dev_close(&dev);
	check_nothing_lost(_metadata, bench, &self->bm);
}

TEST_F(dirty_errno, hwpt_alloc_with_other_structure_sizes_follows_the_abi)
{
	struct {
		struct iommu_hwpt_alloc cmd;
		__u64 tail;
	} arg = {
		.cmd = {
			.size = sizeof(arg),
			.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			.dev_id = self->bench.dev.dev_id,
			.pt_id = self->bench.iommu.ioas_id,
		},
	};
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(48, sizeof(arg.cmd));
	arg.tail = 1;
	ASSERT_EQ(-E2BIG, xioctl(fd, IOMMU_HWPT_ALLOC, &arg));
	arg.tail = 0;
	arg.cmd.size = 23;
	ASSERT_EQ(-EINVAL, xioctl(fd, IOMMU_HWPT_ALLOC, &arg));
	arg.cmd.size = 24;
	ASSERT_EQ(0, xioctl(fd, IOMMU_HWPT_ALLOC, &arg));
	ASSERT_EQ(0, __iommu_destroy(fd, arg.cmd.out_hwpt_id));
	arg.cmd.flags = 1U << 30;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(fd, IOMMU_HWPT_ALLOC, &arg));
}

/* Return a bitmap that cannot be written. */
static void *bad_bitmap(int kind, void *page)
{
	switch (kind) {
	case 0:
		return NULL;
	case 1:
		mprotect(page, SZ_4K, PROT_NONE);
		return page;
	case 2:
		mprotect(page, SZ_4K, PROT_READ);
		return page;
	case 3:
		munmap(page, SZ_4K);
		return page;
	default:
		return (void *)(1ULL << 63);
	}
}

/*
 * The bitmap is pinned before the query of the page table, so an unwritable
 * bitmap clears no dirty bit.
 */
TEST_F(dirty_errno, query_with_unwritable_bitmap_loses_nothing)
{
	struct bench *bench = &self->bench;

	for (int kind = 0; kind < 5; kind++) {
		void *page = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ASSERT_NE(MAP_FAILED, page);
		ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K,
						 bad_bitmap(kind, page))) {
			TH_LOG("bitmap of kind %d", kind);
		}
		check_nothing_lost(_metadata, bench, &self->bm);
		munmap(page, SZ_4K);
	}
}

/* Map a bitmap whose first page is writable and whose second page is not. */
static void half_bitmap(struct __test_metadata *_metadata, struct bench *bench,
			struct guarded_bitmap *bm, int prot)
{
	__u8 *map = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u8 *at = map + SZ_4K - PAGES / 8 / 2;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, mprotect(map + SZ_4K, SZ_4K, prot));
	ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, at));
	check_nothing_lost(_metadata, bench, bm);
	munmap(map, 2 * SZ_4K);
}

TEST_F(dirty_errno, query_with_second_page_read_only_loses_nothing)
{
	half_bitmap(_metadata, &self->bench, &self->bm, PROT_READ);
}

TEST_F(dirty_errno, query_with_second_page_unmapped_loses_nothing)
{
	half_bitmap(_metadata, &self->bench, &self->bm, PROT_NONE);
}

/*
 * Check 64 bytes of bitmap, one leaf at a granule of 8 bytes: all set or clear.
 */
static void expect_leaf(struct __test_metadata *_metadata, const __u8 *map,
			size_t at, bool dirty)
{
	ASSERT_TRUE(mem_is(map + at, 64, dirty ? 0xff : 0)) {
		TH_LOG("64 bytes of bitmap at 0x%zx are not %d", at, dirty);
	}
}

/*
 * A window is 2 MiB of a bitmap. One of the later windows is not writable: the
 * query fails, and the next query reports the dirty pages of all windows.
 */
static void bad_window(struct __test_metadata *_metadata, struct bench *bench,
		       __u64 at, __u64 length, size_t bad)
{
	const size_t window = 512 * SZ_4K, bytes = length / 8 / 8;
	const size_t leaves[] = {
		0, window - 64, window, 2 * window - 64, 2 * window, bytes - 64,
	};
	__u8 *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, map);
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		mock_fill(_metadata, &bench->dev, at + leaves[i] * 64, 1, 1);
	ASSERT_EQ(0, mprotect(map + bad, SZ_4K, PROT_READ));
	ASSERT_EQ(-EFAULT, __bench_query(bench, 0, at, length, 8, map));

	ASSERT_EQ(0, mprotect(map + bad, SZ_4K, PROT_READ | PROT_WRITE));
	memset(map, 0, bytes);
	ASSERT_EQ(0, __bench_query(bench, 0, at, length, 8, map));
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		expect_leaf(_metadata, map, leaves[i], true);
	expect_leaf(_metadata, map, 64, false);
	expect_leaf(_metadata, map, window + 64, false);
	expect_leaf(_metadata, map, 2 * window + 64, false);
	munmap(map, bytes);
}

TEST_F(dirty_errno, query_with_later_window_unwritable_loses_nothing)
{
	const __u64 at = 0x100000000ULL;
	const size_t window = 512 * SZ_4K;
	const __u64 length = 2 * window * 64 + SZ_2M;
	struct mem mem;

	/* Memory that takes more than two windows of bitmap */
	mem_alloc(_metadata, &mem, SZ_2M, MEM_HUGETLB);
	for (__u64 off = 0; off < length; off += SZ_2M)
		iommu_map(_metadata, &self->bench.iommu, mem.va, at + off,
			  SZ_2M);
	bad_window(_metadata, &self->bench, at, length, 0);
	bad_window(_metadata, &self->bench, at, length, window);
	bad_window(_metadata, &self->bench, at, length,
		   2 * window - SZ_4K);
	bad_window(_metadata, &self->bench, at, length, 2 * window);
	check_nothing_lost(_metadata, &self->bench, &self->bm);
	mem_free(&mem);
}

TEST_HARNESS_MAIN
