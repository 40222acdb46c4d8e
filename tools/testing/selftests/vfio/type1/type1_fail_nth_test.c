// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: every allocation of every ioctl of a container fails once
 *
 * An ioctl that runs out of memory returns -ENOMEM and changes nothing:
 * mappings, pins, accounting and dirty pages. Calls that release something need
 * no memory. At most, a later result has too many dirty pages, but never too
 * few.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/counts.h"
#include "lib/fail_nth.h"
#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define OTHER	0x40000000ULL
#define PAGES	200
#define LENGTH	(PAGES * SZ_4K)

/* Memory that takes more than one allocation to describe */
#define MORE	(700 * SZ_4K)

/* More allocations than any call makes, also on a debug kernel. */
#define MOST	2000

/**
 * struct fail_env - a container with a device that tracks
 * @test: the test, for checks in callbacks of fail_each()
 * @bench: the device, and memory that is mapped at IOVA
 * @report: expected dirty pages of that memory
 * @more: memory that is not mapped
 * @dev: another device, not open
 * @path: sysfs directory of @dev
 * @fail: failure injection
 */
struct fail_env {
	struct __test_metadata *test;
	struct bench bench;
	struct report report;
	struct mem more;
	struct vfio_dev dev;
	char path[256];
	struct fail_nth fail;
};

FIXTURE(fail)
{
	struct fail_env env;
};

FIXTURE_VARIANT(fail)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(fail, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(fail, compat) { .mode = MODE_COMPAT };

FIXTURE_SETUP(fail)
{
	struct fail_env *env = &self->env;

	env->test = _metadata;
	sysfs_write(EMULATED_PIN, "Y");
	bench_open(_metadata, &env->bench, variant->mode, "4k");
	bench_memory(_metadata, &env->bench, IOVA, LENGTH, MEM_4K);
	mem_alloc(_metadata, &env->more, MORE, MEM_4K);
	report_init(_metadata, &env->report, IOVA, PAGES);
	ASSERT_EQ(0, mock_find("2m", 0, env->path, sizeof(env->path)));
	env->dev.fd = -1;
	env->dev.group_fd = -1;
	fail_nth_open(_metadata, &env->fail);
}

FIXTURE_TEARDOWN(fail)
{
	struct fail_env *env = &self->env;

	fail_nth_close(&env->fail);
	vfio_dev_close(&env->dev);
	bench_close(_metadata, &env->bench);
	mem_free(&env->more);
	report_free(&env->report);
}

static void track(struct __test_metadata *_metadata, struct fail_env *env)
{
	ASSERT_EQ(0, __type1_dirty_flag(env->bench.iommu.fd, DIRTY_START));
}

/* Check that the writes of the first device are reported. */
static int check_device(void *data)
{
	struct fail_env *env = data;
	struct __test_metadata *_metadata = env->test;

	report_write(_metadata, &env->report, &env->bench.dev, REPORT_WRITES,
		     SZ_4K, SZ_4K);
	report_query(_metadata, &env->report, &env->bench.iommu);
	return 0;
}

static int op_map(void *data)
{
	struct fail_env *env = data;

	return __type1_map(env->bench.iommu.fd, env->more.va, OTHER, MORE,
			   PROT_DMA_RW);
}

/* Check that a failed map leaves nothing mapped and unmaps nothing. */
static int check_map(void *data)
{
	struct fail_env *env = data;
	__u64 unmapped;
	int rc = __type1_unmap(env->bench.iommu.fd, OTHER, MORE, &unmapped);

	if (rc || unmapped)
		return rc ?: -EEXIST;
	return check_device(env);
}

/* Unmapping needs no memory. */
static int op_unmap(void *data)
{
	struct fail_env *env = data;
	__u64 unmapped;
	int rc = __type1_unmap(env->bench.iommu.fd, OTHER, MORE, &unmapped);

	if (!rc && unmapped != MORE)
		return -EIO;
	return rc == -ENOMEM ? -EIO : rc;
}

static int op_info(void *data)
{
	struct fail_env *env = data;
	struct vfio_iommu_type1_info_cap_migration cap;

	return __type1_info_cap(env->bench.iommu.fd,
				VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, &cap,
				sizeof(cap));
}

TEST_F_TIMEOUT(fail, every_allocation_of_mapping_fails_once, 600)
{
	static const struct fail_case cases[] = {
		{ .name = "MAP_DMA", .op = op_map, .undo = op_unmap,
		  .least = 3, .check = check_map },
		{ .name = "GET_INFO", .op = op_info },
		{ .name = "UNMAP_DMA", .op = op_unmap, .undo = op_map },
	};
	struct fail_env *env = &self->env;

	track(_metadata, env);
	fail_each(_metadata, &env->fail, -1, &cases[0], env);
	fail_each(_metadata, &env->fail, -1, &cases[1], env);
	ASSERT_EQ(0, op_map(env));
	fail_each(_metadata, &env->fail, -1, &cases[2], env);
}

static int op_start(void *data)
{
	struct fail_env *env = data;

	return __type1_dirty_flag(env->bench.iommu.fd, DIRTY_START);
}

static int op_stop(void *data)
{
	struct fail_env *env = data;

	return __type1_dirty_flag(env->bench.iommu.fd, DIRTY_STOP);
}

/* Check that tracking is off: then a query fails. */
static int check_start(void *data)
{
	struct fail_env *env = data;
	int rc = __report_query(&env->report, &env->bench.iommu);

	return rc == -EINVAL ? 0 : -EIO;
}

TEST_F_TIMEOUT(fail, every_allocation_of_start_fails_once, 300)
{
	static const struct fail_case cases[] = {
		{ .name = "START", .op = op_start, .undo = op_stop,
		  .check = check_start },
		{ .name = "STOP", .op = op_stop, .undo = op_start },
	};
	struct fail_env *env = &self->env;

	fail_each(_metadata, &env->fail, -1, &cases[0], env);
	ASSERT_EQ(0, op_start(env));
	fail_each(_metadata, &env->fail, -1, &cases[1], env);
	/* No failure has a lasting effect. */
	ASSERT_EQ(0, op_stop(env));
	ASSERT_EQ(0, op_start(env));
	check_device(env);
}

/* A call that returns the dirty bits, GET or unmap: 0 or -errno. */
typedef int (*query_t)(struct fail_env *env);

static int query_get(struct fail_env *env)
{
	return __report_query(&env->report, &env->bench.iommu);
}

static int query_unmap(struct fail_env *env)
{
	__u64 length = LENGTH;

	bitmap_reset(&env->report.bm);
	return __type1_unmap_bitmap(env->bench.iommu.fd, IOVA, &length, SZ_4K,
				    env->report.bm.bits, env->report.bytes);
}

/* Write with a device, make the query fail, and query again. */
static void fail_query(struct __test_metadata *_metadata, struct fail_env *env,
		       struct vfio_dev *dev, enum report_kind kind,
		       query_t query)
{
	struct report *report = &env->report;
	int rc, failed = 0;
	bool hit = true;

	for (int nth = 1; hit; nth++) {
		CHECK(nth < MOST, "too many allocations");
		report_write(_metadata, report, dev, kind,
			     nth % (PAGES - 3) * SZ_4K, 3 * SZ_4K);
		fail_nth_arm(_metadata, &env->fail, nth);
		rc = query(env);
		hit = fail_nth_disarm(_metadata, &env->fail);
		CHECK(!rc || (hit && rc == -ENOMEM), "%d: %d", nth, rc);
		failed += rc != 0;
		/*
		 * Pages that the unmap made drivers unpin are reported once
		 * more.
		 */
		if (rc && query == query_unmap)
			report_unpin(report);
		if (rc) {
			report_query(_metadata, report, &env->bench.iommu);
			continue;
		}
		report_check(_metadata, report);
		if (query == query_unmap) {
			memset(report->pinned, 0, sizeof(report->pinned));
			iommu_map(_metadata, &env->bench.iommu,
				  env->bench.mem.va, IOVA, LENGTH);
		}
		report_query(_metadata, report, &env->bench.iommu);
	}
	CHECK(failed >= 1, "failed %d times only", failed);
}

TEST_F_TIMEOUT(fail, failed_query_loses_nothing, 600)
{
	struct fail_env *env = &self->env;
	struct vfio_dev mdev;
	char path[128];

	track(_metadata, env);
	fail_query(_metadata, env, &env->bench.dev, REPORT_WRITES,
		   query_get);
	fail_query(_metadata, env, &env->bench.dev, REPORT_WRITES,
		   query_unmap);
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&mdev, &env->bench.iommu, path));
	fail_query(_metadata, env, &mdev, REPORT_PINS, query_get);
	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	ASSERT_EQ(0, __vfio_dev_reset(&mdev));
	report_unpin(&env->report);
	fail_query(_metadata, env, &mdev, REPORT_WRITES, query_get);
	fail_query(_metadata, env, &mdev, REPORT_WRITES, query_unmap);
	sysfs_write(EMULATED_PIN, "Y");
	vfio_dev_close(&mdev);
}

static int op_attach(void *data)
{
	struct fail_env *env = data;
	int rc = __vfio_dev_open(&env->dev, &env->bench.iommu, env->path);

	/* Opening files and sysfs may fail with ENFILE, too. */
	return rc == -ENFILE ? -ENOMEM : rc;
}

static int undo_attach(void *data)
{
	struct fail_env *env = data;

	vfio_dev_close(&env->dev);
	return check_device(env);
}

/* Attach a device with another IOMMU, the same IOMMU, or none. */
TEST_F_TIMEOUT(fail, every_allocation_of_attach_fails_once, 600)
{
	static const struct {
		const char *model;
		unsigned int skip;
	} devices[] = { { "2m", 0 }, { "4k", 1 }, { "emulated", 0 } };
	struct fail_case attach = {
		.op = op_attach, .undo = undo_attach, .least = 1,
		.others = { -ENOENT, -EINVAL }, .check = check_device,
	};
	struct fail_env *env = &self->env;

	track(_metadata, env);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		attach.name = devices[i].model;
		ASSERT_EQ(0, mock_find(devices[i].model, devices[i].skip,
				       env->path, sizeof(env->path)));
		fail_each(_metadata, &env->fail, -1, &attach, env);
	}
}

/* Detaching cannot fail: its writes are reported, perhaps with other pages. */
TEST_F_TIMEOUT(fail, detach_without_memory_loses_nothing, 600)
{
	struct fail_env *env = &self->env;
	struct report *report = &env->report;
	struct counts counts;
	bool hit = true;

	track(_metadata, env);
	counts_now(_metadata, &counts);
	for (int nth = 1; hit; nth++) {
		CHECK(nth < MOST, "too many allocations");
		ASSERT_EQ(0, op_attach(env));
		report_write(_metadata, report, &env->dev, REPORT_WRITES,
			     nth % PAGES * SZ_4K, 1);
		report_write(_metadata, report, &env->bench.dev, REPORT_WRITES,
			     (nth + 9) % PAGES * SZ_4K, 1);
		fail_nth_arm(_metadata, &env->fail, nth);
		vfio_dev_close(&env->dev);
		hit = fail_nth_disarm(_metadata, &env->fail);
		ASSERT_EQ(0, __report_query(report, &env->bench.iommu));
		for (size_t page = 0; hit && page < PAGES; page++) {
			CHECK(!report->once[page] || bitmap_test(&report->bm, page),
			      "%d: page %zu", nth, page);
			report->once[page] = bitmap_test(&report->bm, page);
		}
		report_check(_metadata, report);
		report_query(_metadata, report, &env->bench.iommu);
		counts_check(_metadata, &counts, 0, 0, 0);
	}
}

static int op_invalidate(void *data)
{
	struct fail_env *env = data;

	return __type1_unmap_flags(env->bench.iommu.fd,
				   VFIO_DMA_UNMAP_FLAG_VADDR, IOVA, LENGTH,
				   NULL);
}

static int op_update(void *data)
{
	struct fail_env *env = data;

	return __type1_map_flags(env->bench.iommu.fd, VFIO_DMA_MAP_FLAG_VADDR,
				 env->bench.mem.va, IOVA, LENGTH);
}

/*
 * Check that a valid address cannot be updated, nor an invalid one invalidated.
 */
static int check_valid(void *data)
{
	return op_update(data) == -EINVAL ? check_device(data) : -EIO;
}

static int check_invalid(void *data)
{
	return op_invalidate(data) == -EINVAL ? check_device(data) : -EIO;
}

TEST_F_TIMEOUT(fail, every_allocation_of_address_updates_fails_once, 300)
{
	static const struct fail_case cases[] = {
		{ .name = "UNMAP_DMA VADDR", .op = op_invalidate,
		  .undo = op_update, .check = check_valid },
		{ .name = "MAP_DMA VADDR", .op = op_update,
		  .undo = op_invalidate, .check = check_invalid },
	};
	struct fail_env *env = &self->env;

	track(_metadata, env);
	fail_each(_metadata, &env->fail, -1, &cases[0], env);
	ASSERT_EQ(0, op_invalidate(env));
	fail_each(_metadata, &env->fail, -1, &cases[1], env);
	ASSERT_EQ(0, op_update(env));
	check_device(env);
}

TEST_HARNESS_MAIN
