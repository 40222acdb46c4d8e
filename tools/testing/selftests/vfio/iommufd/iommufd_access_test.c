// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty pages of accesses
 *
 * A device whose driver pins pages, or makes the kernel copy, is attached to
 * the same IOAS as a device whose IOMMU tracks. The dirty pages of the page
 * table include the writes of both: a copied page in the next query, a page
 * pinned for writing in every query until it is unpinned and in one more.
 */
#include <sys/mman.h>

#include "lib/counts.h"
#include "lib/follow.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	512
#define LENGTH	(PAGES * SZ_4K)

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

FIXTURE(access)
{
	struct bench bench;
	struct vfio_dev mdev;
	__u8 expected[PAGES];
	__u64 seed;
};

FIXTURE_VARIANT(access)
{
	const char *model;
	enum mem_kind kind;
	const char *pin;
};

FIXTURE_VARIANT_ADD(access, rw_4k) {
	.model = "4k", .kind = MEM_4K, .pin = "N",
};

FIXTURE_VARIANT_ADD(access, rw_2m) {
	.model = "2m", .kind = MEM_HUGETLB, .pin = "N",
};

FIXTURE_VARIANT_ADD(access, pin_4k) {
	.model = "4k", .kind = MEM_4K, .pin = "Y",
};

FIXTURE_VARIANT_ADD(access, pin_2m) {
	.model = "2m", .kind = MEM_HUGETLB, .pin = "Y",
};

FIXTURE_SETUP(access)
{
	char path[256];

	self->seed = 4;
	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, variant->pin));
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, variant->kind);
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&self->mdev, &self->bench.iommu, path));
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(access)
{
	vfio_dev_close(&self->mdev);
	bench_close(_metadata, &self->bench);
	sysfs_write(EMULATED_PIN, "Y");
}

static bool pins(const char *pin)
{
	return pin[0] == 'Y';
}

/* Check that the bits from page @first on are exactly the expected ones. */
static void check_bits(struct __test_metadata *_metadata,
		       const struct guarded_bitmap *bm, const __u8 *expected,
		       size_t from)
{
	bitmap_check_guards(_metadata, bm);
	for (size_t page = 0; page < PAGES; page++) {
		ASSERT_EQ(page >= from && expected[page],
			  bitmap_test(bm, page)) {
			TH_LOG("page %zu", page);
		}
	}
}

static void query(struct __test_metadata *_metadata, struct bench *bench,
		  __u32 flags, const __u8 *expected)
{
	struct guarded_bitmap bm;

	bitmap_alloc(_metadata, &bm, PAGES, 1);
	ASSERT_EQ(0, __bench_query(bench, flags, IOVA, LENGTH, SZ_4K,
				   bm.bits));
	check_bits(_metadata, &bm, expected, 0);
	bitmap_free(&bm);
}

/* Write with the driver's device, and expect its pages. */
static void driver_writes(struct __test_metadata *_metadata,
			  struct vfio_dev *mdev, __u8 *expected, __u64 offset,
			  __u64 length)
{
	mock_fill(_metadata, mdev, IOVA + offset, length, 1);
	memset(expected + offset / SZ_4K, 1,
	       (offset + length - 1) / SZ_4K - offset / SZ_4K + 1);
}

TEST_F(access, driver_writes_are_reported)
{
	static const struct {
		__u64 offset, length;
	} writes[] = {
		{ 0, 1 }, { SZ_4K - 1, 2 }, { 5 * SZ_4K, SZ_4K },
		{ LENGTH - 1, 1 }, { 100 * SZ_4K + 8, 10 * SZ_4K },
		{ 0, LENGTH },
	};
	__u8 *expected = self->expected;

	query(_metadata, &self->bench, 0, expected);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		driver_writes(_metadata, &self->mdev, expected,
			      writes[i].offset, writes[i].length);
		query(_metadata, &self->bench,
		      IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, expected);
		query(_metadata, &self->bench,
		      IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, expected);
		query(_metadata, &self->bench, 0, expected);
		if (!pins(variant->pin))
			memset(expected, 0, PAGES);
		query(_metadata, &self->bench, 0, expected);
		query(_metadata, &self->bench, 0, expected);
	}
	/* After an unpin, pages are reported once more. */
	ASSERT_EQ(0, __vfio_dev_reset(&self->mdev));
	query(_metadata, &self->bench, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
	      expected);
	query(_metadata, &self->bench, 0, expected);
	memset(expected, 0, PAGES);
	query(_metadata, &self->bench, 0, expected);
}

TEST_F(access, driver_reads_are_not_reported)
{
	ASSERT_EQ(0, __mock_run(&self->mdev, VFIO_MOCK_DMA_CMD_READ, IOVA, 0,
				SZ_64K));
	query(_metadata, &self->bench, 0, self->expected);
}

/* The IOMMU device dirties a leaf, the driver its pages; both are reported. */
TEST_F(access, driver_and_device_writes_are_both_reported)
{
	__u8 *expected = self->expected;
	bool huge = variant->kind == MEM_HUGETLB;
	__u8 all[PAGES];

	memset(all, 1, PAGES);
	for (int i = 0; i < 20; i++) {
		driver_writes(_metadata, &self->mdev, expected,
			      next_random(&self->seed) % (LENGTH - SZ_64K),
			      1 + next_random(&self->seed) % SZ_64K);
		query(_metadata, &self->bench, 0, expected);
		if (!pins(variant->pin))
			memset(expected, 0, PAGES);
		if (i % 4)
			continue;
		mock_fill(_metadata, &self->bench.dev, IOVA + i * SZ_4K, 8, 1);
		if (huge) {
			query(_metadata, &self->bench, 0, all);
		} else {
			__u8 was = expected[i];

			expected[i] = 1;
			query(_metadata, &self->bench, 0, expected);
			expected[i] = was;
		}
		query(_metadata, &self->bench, 0, expected);
	}
}

/* A query of a part keeps the other pages dirty. */
TEST_F(access, query_of_a_part_keeps_the_other_pages)
{
	struct bench *bench = &self->bench;
	struct guarded_bitmap bm;

	for (int i = 0; i < 20; i++) {
		size_t split =
			8 + next_random(&self->seed) % (PAGES - 8) / 8 * 8;
		size_t first = next_random(&self->seed) % (PAGES - 40);

		driver_writes(_metadata, &self->mdev, self->expected,
			      first * SZ_4K, 40 * SZ_4K);
		ASSERT_EQ(0, __vfio_dev_reset(&self->mdev));
		bitmap_alloc(_metadata, &bm, PAGES, 0);
		/* The second part first */
		ASSERT_EQ(0, __bench_query(bench, 0, IOVA + split * SZ_4K,
					   (PAGES - split) * SZ_4K, SZ_4K,
					   bm.bits + split / 8));
		check_bits(_metadata, &bm, self->expected, split);
		ASSERT_EQ(0, __bench_query(bench, 0, IOVA, split * SZ_4K, SZ_4K,
					   bm.bits));
		check_bits(_metadata, &bm, self->expected, 0);
		bitmap_free(&bm);
		memset(self->expected, 0, PAGES);
		query(_metadata, bench, 0, self->expected);
	}
}

TEST_F(access, failed_query_loses_nothing)
{
	struct bench *bench = &self->bench;

	driver_writes(_metadata, &self->mdev, self->expected, 0, 7 * SZ_4K);
	ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, NULL));
	query(_metadata, bench, 0, self->expected);
	if (!pins(variant->pin))
		return;
	ASSERT_EQ(0, __vfio_dev_reset(&self->mdev));
	ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, NULL));
	query(_metadata, bench, 0, self->expected);
	memset(self->expected, 0, PAGES);
	query(_metadata, bench, 0, self->expected);
}

/* A restart of tracking discards writes, but not pinned pages. */
TEST_F(access, restart_of_tracking_keeps_pinned_pages_only)
{
	struct bench *bench = &self->bench;

	driver_writes(_metadata, &self->mdev, self->expected, 3 * SZ_4K,
		      9 * SZ_4K);
	ASSERT_EQ(0, __bench_track(bench, false));
	ASSERT_EQ(0, __bench_track(bench, true));
	if (!pins(variant->pin))
		memset(self->expected, 0, PAGES);
	query(_metadata, bench, 0, self->expected);
	ASSERT_EQ(0, __vfio_dev_reset(&self->mdev));
	ASSERT_EQ(0, __bench_track(bench, false));
	driver_writes(_metadata, &self->mdev, self->expected, 50 * SZ_4K, 8);
	ASSERT_EQ(0, __vfio_dev_reset(&self->mdev));
	ASSERT_EQ(0, __bench_track(bench, true));
	memset(self->expected, 0, PAGES);
	query(_metadata, bench, 0, self->expected);
}

/* The driver unpins unmapped pages, and a new mapping starts clean. */
TEST_F(access, unmap_discards_dirty_pages)
{
	struct bench *bench = &self->bench;

	for (int i = 0; i < 3; i++) {
		driver_writes(_metadata, &self->mdev, self->expected, 0,
			      20 * SZ_4K);
		iommu_unmap(_metadata, &bench->iommu, IOVA, LENGTH);
		ASSERT_EQ(0, __mock_fill(&self->mdev, IOVA, 8, 1));
		ASSERT_EQ(VFIO_MOCK_DMA_FAULT_UNMAPPED,
			  mock_get(_metadata, &self->mdev,
				   MOCK_REG(fault_reason)));
		iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA,
			  LENGTH);
		memset(self->expected, 0, PAGES);
		query(_metadata, bench, 0, self->expected);
	}
}

/* Every page table of the IOAS reports the writes, other IOASes do not. */
TEST_F(access, driver_writes_are_reported_by_every_page_table)
{
	struct bench *bench = &self->bench, other = *bench, other_ioas = *bench;
	struct iommu *iommu = &bench->iommu;
	__u8 clean[PAGES] = {};
	__u64 to = IOVA;
	__u32 ioas;

	ASSERT_EQ(0, __hwpt_alloc(iommu->fd, bench->dev.dev_id, iommu->ioas_id,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				  &other.dev.hwpt_id));
	ASSERT_EQ(0, __ioas_alloc(iommu->fd, &ioas));
	ASSERT_EQ(0, __ioas_copy(iommu->fd, MAP_RW_FIXED, ioas, &to,
				 iommu->ioas_id, IOVA, LENGTH));
	ASSERT_EQ(0, __hwpt_alloc(iommu->fd, bench->dev.dev_id, ioas,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				  &other_ioas.dev.hwpt_id));
	bench_track(_metadata, &other);
	bench_track(_metadata, &other_ioas);
	driver_writes(_metadata, &self->mdev, self->expected, 77, 5 * SZ_4K);
	ASSERT_EQ(0, __vfio_dev_reset(&self->mdev));
	query(_metadata, &other_ioas, 0, clean);
	query(_metadata, bench, 0, self->expected);
	query(_metadata, bench, 0, clean);
	query(_metadata, &other, 0, self->expected);
	query(_metadata, &other, 0, clean);
}

/* After the driver's device is detached, its pages are reported once more. */
TEST_F(access, detach_reports_pinned_pages_once_more)
{
	struct bench *bench = &self->bench;
	__u8 clean[PAGES] = {};
	__u32 ioas;

	ASSERT_EQ(0, __ioas_alloc(bench->iommu.fd, &ioas));
	driver_writes(_metadata, &self->mdev, self->expected, 0, 5 * SZ_4K);
	ASSERT_EQ(0, __vfio_dev_attach(&self->mdev, ioas));
	query(_metadata, bench, 0, self->expected);
	query(_metadata, bench, 0, clean);
	ASSERT_EQ(0, __vfio_dev_attach(&self->mdev, bench->iommu.ioas_id));
	driver_writes(_metadata, &self->mdev, self->expected, 0, 5 * SZ_4K);
	vfio_dev_close(&self->mdev);
	query(_metadata, bench, 0, self->expected);
	query(_metadata, bench, 0, clean);
}

/* The device writes at full speed, and every change is reported. */
TEST_F(access, continuous_driver_writes_are_all_reported)
{
	static const struct mock_work work = {
		.iova = IOVA,
		.length = LENGTH,
		.stride = 512,
		.rate = 20000,
		.hot_length = 8 * SZ_4K,
		.hot_percent = 50,
		.seed = 6,
	};
	struct bench bench = self->bench;
	struct follow follow;

	/* Follow the driver's device, and query the page table. */
	bench.dev = self->mdev;
	bench.dev.hwpt_id = self->bench.dev.hwpt_id;
	follow_start(_metadata, &follow, &bench, query_iommu);
	mock_work_start(_metadata, &bench.dev, &work);
	for (int round = 0; round < 60; round++)
		follow_round(_metadata, &follow);
	mock_work_stop(_metadata, &bench.dev);
	follow_end(_metadata, &follow);
}

TEST_HARNESS_MAIN
