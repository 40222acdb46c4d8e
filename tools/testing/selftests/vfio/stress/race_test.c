// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: concurrent changes of mappings and devices
 *
 * A device writes at full speed while mappings change, dirty pages are queried,
 * and devices are attached and detached. No write may be missed. A debug kernel
 * checks more.
 */
#include "lib/follow.h"
#include "lib/race/thread.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	256
#define LENGTH	(PAGES * SZ_4K)
#define ROUNDS	150

FIXTURE(race)
{
	struct bench bench;
	struct follow follow;
};

FIXTURE_VARIANT(race)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(race, type1) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(race, compat) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(race, iommufd) {
	.mode = MODE_IOMMUFD, .model = "4k",
};

FIXTURE_VARIANT_ADD(race, iommufd_2m) {
	.mode = MODE_IOMMUFD, .model = "2m",
};

static const struct mock_work work = {
	.iova = IOVA,
	.length = LENGTH,
	.stride = 1024,
	.hot_length = 16 * SZ_4K,
	.hot_percent = 50,
	.seed = 8,
};

/* Query the page table if it supports dirty tracking, else the device. */
static void track(struct __test_metadata *_metadata, struct bench *bench,
		  struct follow *follow)
{
	struct vfio_device_feature_dma_logging_range range = { IOVA, LENGTH };
	__u64 size = SZ_4K;

	if (bench->iommu.mode == MODE_IOMMUFD) {
		bench_track(_metadata, bench);
		follow_start(_metadata, follow, bench, query_iommu);
		return;
	}
	ASSERT_EQ(0, __dma_log_start(&bench->dev, &size, 1, &range));
	follow_start(_metadata, follow, bench, query_device);
}

FIXTURE_SETUP(race)
{
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	if (strcmp(variant->model, "2m"))
		bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	else
		bench_memory(_metadata, &self->bench, IOVA, 2 * SZ_2M,
			     MEM_HUGETLB);
	track(_metadata, &self->bench, &self->follow);
}

FIXTURE_TEARDOWN(race)
{
	bench_close(_metadata, &self->bench);
}

/* Map the same memory elsewhere, also next to the tracked range. */
static int step_map(struct race_thread *thread)
{
	struct bench *bench = thread->bench;
	__u64 iova = IOVA + bench->mem.length + thread->round % 7 * SZ_2M;
	__u64 length = (1 + thread->round % 64) * SZ_4K;
	__u64 unmapped;
	int rc;

	rc = __iommu_map(&bench->iommu, bench->mem.va, iova, length,
			 PROT_DMA_RW);
	if (rc)
		return rc;
	rc = __iommu_unmap(&bench->iommu, iova, length, &unmapped);
	if (rc)
		return rc;
	return unmapped == length ? 0 : -EIO;
}

/* Attach and detach a second device. */
static int step_second_device(struct race_thread *thread)
{
	struct bench *bench = thread->bench;
	struct vfio_dev dev;
	int rc;

	rc = __vfio_dev_bind(&dev, &bench->iommu, thread->data);
	if (rc)
		return rc;
	if (bench->iommu.mode == MODE_IOMMUFD) {
		rc = __vfio_dev_attach(&dev, bench->dev.hwpt_id);
		if (!rc && thread->round % 2)
			rc = __vfio_dev_detach(&dev);
	}
	if (!rc)
		rc = __mock_fill(&dev, IOVA + LENGTH + 100 * SZ_2M, 8, 1);
	vfio_dev_close(&dev);
	return rc;
}

/* Query with NO_CLEAR, half of the range and beyond it. */
static int step_query_no_clear(struct race_thread *thread)
{
	struct bench *bench = thread->bench;
	__u64 bits[PAGES / 64 + 64] = {};

	return __hwpt_dirty(bench->iommu.fd, bench->dev.hwpt_id,
			    IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
			    IOVA + LENGTH / 2, LENGTH, SZ_4K, bits);
}

/* Detach the device from its page table for a moment. */
static int step_detach(struct race_thread *thread)
{
	struct vfio_dev *dev = &thread->bench->dev;
	int rc;

	rc = __vfio_dev_detach(dev);
	return rc ? rc : __vfio_dev_attach(dev, dev->hwpt_id);
}

static void follow_rounds(struct __test_metadata *_metadata,
			  struct follow *follow, struct bench *bench)
{
	mock_work_start(_metadata, &bench->dev, &work);
	for (int round = 0; round < ROUNDS; round++)
		follow_round(_metadata, follow);
	mock_work_wait(_metadata, &bench->dev, 500);
}

TEST_F_TIMEOUT(race, changing_mappings_miss_no_write, 300)
{
	struct race_thread map_thread = {};

	race_thread_start(_metadata, &map_thread, &self->bench, step_map);
	follow_rounds(_metadata, &self->follow, &self->bench);
	race_thread_stop(_metadata, &map_thread);
	mock_work_stop(_metadata, &self->bench.dev);
	follow_end(_metadata, &self->follow);
	ASSERT_EQ(0, mock_get(_metadata, &self->bench.dev,
			      MOCK_REG(fault_count)));
}

TEST_F_TIMEOUT(race, attach_and_detach_miss_no_write, 300)
{
	struct race_thread attach_thread = {}, map_thread = {};
	char path[128];

	ASSERT_EQ(0, mock_find(variant->model, 1, path, sizeof(path)));
	attach_thread.data = path;
	race_thread_start(_metadata, &attach_thread, &self->bench,
			  step_second_device);
	race_thread_start(_metadata, &map_thread, &self->bench, step_map);
	follow_rounds(_metadata, &self->follow, &self->bench);
	race_thread_stop(_metadata, &map_thread);
	race_thread_stop(_metadata, &attach_thread);
	mock_work_stop(_metadata, &self->bench.dev);
	follow_end(_metadata, &self->follow);
	ASSERT_EQ(0, mock_get(_metadata, &self->bench.dev,
			      MOCK_REG(fault_count)));
}

/* Writes before and after the gap are reported, writes in between fault. */
TEST_F_TIMEOUT(race, detach_during_writes_misses_no_write, 300)
{
	struct race_thread detach_thread = {};

	if (variant->mode != MODE_IOMMUFD) {
		/*
		 * Whether or not the group can be removed, its device
		 * continues.
		 */
		xioctl(self->bench.dev.group_fd, VFIO_GROUP_UNSET_CONTAINER,
		       NULL);
		follow_rounds(_metadata, &self->follow, &self->bench);
		mock_work_stop(_metadata, &self->bench.dev);
		follow_end(_metadata, &self->follow);
		return;
	}
	race_thread_start(_metadata, &detach_thread, &self->bench, step_detach);
	follow_rounds(_metadata, &self->follow, &self->bench);
	race_thread_stop(_metadata, &detach_thread);
	mock_work_stop(_metadata, &self->bench.dev);
	follow_end(_metadata, &self->follow);
}

/* Two threads query and one changes mappings; only one query clears. */
TEST_F_TIMEOUT(race, parallel_queries_miss_no_write, 300)
{
	struct race_thread query_thread = {}, map_thread = {};

	if (variant->mode == MODE_IOMMUFD)
		race_thread_start(_metadata, &query_thread, &self->bench,
				  step_query_no_clear);
	race_thread_start(_metadata, &map_thread, &self->bench, step_map);
	follow_rounds(_metadata, &self->follow, &self->bench);
	if (variant->mode == MODE_IOMMUFD)
		race_thread_stop(_metadata, &query_thread);
	race_thread_stop(_metadata, &map_thread);
	mock_work_stop(_metadata, &self->bench.dev);
	follow_end(_metadata, &self->follow);
}

/* Close the device while it writes and while other devices use its IOAS. */
TEST_F_TIMEOUT(race, close_during_writes_succeeds, 300)
{
	struct bench *bench = &self->bench;
	struct race_thread map_thread = {};
	struct vfio_dev second;
	char path[128];

	/* The second device keeps the container or the page table in use. */
	ASSERT_EQ(0, mock_find(variant->model, 1, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&second, &bench->iommu, path));
	ASSERT_EQ(0, mock_find(variant->model, 0, path, sizeof(path)));
	race_thread_start(_metadata, &map_thread, bench, step_map);
	for (int round = 0; round < ROUNDS / 5; round++) {
		mock_work_start(_metadata, &bench->dev, &work);
		mock_work_wait(_metadata, &bench->dev, 20);
		vfio_dev_close(&bench->dev);
		ASSERT_EQ(0, __vfio_dev_open(&bench->dev, &bench->iommu,
					     path));
	}
	race_thread_stop(_metadata, &map_thread);
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	mock_fill(_metadata, &second, IOVA, LENGTH, 2);
	vfio_dev_close(&second);
}

/* Unmap and map the range while the device writes and a thread queries. */
TEST_F_TIMEOUT(race, query_of_range_during_unmap_succeeds, 300)
{
	struct bench *bench = &self->bench;
	struct race_thread query_thread = {};

	mock_work_start(_metadata, &bench->dev, &work);
	if (variant->mode == MODE_IOMMUFD)
		race_thread_start(_metadata, &query_thread, bench,
				  step_query_no_clear);
	for (int round = 0; round < ROUNDS; round++) {
		iommu_unmap(_metadata, &bench->iommu, IOVA, bench->mem.length);
		iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA,
			  bench->mem.length);
	}
	if (variant->mode == MODE_IOMMUFD)
		race_thread_stop(_metadata, &query_thread);
	mock_work_stop(_metadata, &bench->dev);
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 0);
	ASSERT_TRUE(mem_is(bench->mem.va, LENGTH, 0));
}

TEST_HARNESS_MAIN
