// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: every allocation of every ioctl fails once
 *
 * An ioctl that runs out of memory returns -ENOMEM and changes nothing: pins,
 * accounting and objects. After that it succeeds.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fail_nth.h"
#include "lib/test.h"

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"

#define IOVA	0x10000000ULL
#define OTHER	0x40000000ULL
#define PAGES	700
#define LENGTH	(PAGES * SZ_4K)

/**
 * struct fail_env - an IOAS with page tables of two devices, and one without
 * @bench: the first device, and memory that is mapped
 * @second: the second device, of another IOMMU
 * @mdev: a device whose driver pins, not attached
 * @path: sysfs directory of @mdev
 * @fail: failure injection
 * @fd: /dev/iommu
 * @other: the IOAS without a page table, in which the same memory is mapped
 * @file: memory that is not mapped
 * @id: object that the last call created
 * @iova: IOVA that the last call mapped
 * @parent: a page table of @other that can be a parent
 * @nested: a nested page table of @parent
 * @with_queue: a page table of @other with a fault queue
 * @queue_fd: file of the last fault queue
 */
struct fail_env {
	struct bench bench;
	struct vfio_dev second;
	struct vfio_dev mdev;
	char path[256];
	struct fail_nth fail;
	int fd;
	__u32 other;
	int file;
	int id;
	__u64 iova;
	__u32 parent;
	__u32 nested;
	__u32 with_queue;
	int queue_fd;
};

FIXTURE(fail)
{
	struct fail_env env;
};

FIXTURE_SETUP(fail)
{
	struct fail_env *env = &self->env;
	struct bench *bench = &env->bench;
	struct iommu *iommu = &bench->iommu;
	__u8 *middle;
	char path[256];

	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	middle = bench->mem.va + LENGTH / 2;
	ASSERT_EQ(0, mock_find("2m", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&env->second, iommu, path));
	ASSERT_EQ(0, mock_find("emulated", 0, env->path, sizeof(env->path)));
	ASSERT_EQ(0, __vfio_dev_bind(&env->mdev, iommu, env->path));
	env->fd = iommu->fd;
	ASSERT_EQ(0, __ioas_alloc(env->fd, &env->other));
	ASSERT_EQ(0, __ioas_map(env->fd, env->other, bench->mem.va, IOVA,
				LENGTH / 2, PROT_DMA_RW));
	ASSERT_EQ(0, __ioas_map(env->fd, env->other, middle,
				IOVA + LENGTH / 2, LENGTH / 2, PROT_DMA_RW));
	env->file = memfd_create("test", MFD_CLOEXEC);
	ASSERT_LE(0, env->file);
	ASSERT_EQ(0, ftruncate(env->file, LENGTH));
	fail_nth_open(_metadata, &env->fail);
}

FIXTURE_TEARDOWN(fail)
{
	struct fail_env *env = &self->env;

	fail_nth_close(&env->fail);
	vfio_dev_close(&env->mdev);
	vfio_dev_close(&env->second);
	bench_close(_metadata, &env->bench);
	close(env->file);
}

static void each_of(struct __test_metadata *_metadata, struct fail_env *env,
		    const struct fail_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fail_each(_metadata, &env->fail, env->fd, &cases[i], env);
}

static int op_open(void *data)
{
	struct fail_env *env = data;

	env->id = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	return env->id < 0 ? -errno : 0;
}

static int undo_open(void *data)
{
	struct fail_env *env = data;

	return close(env->id);
}

static int op_ioas_alloc(void *data)
{
	struct fail_env *env = data;
	__u32 id;
	int rc = __ioas_alloc(env->fd, &id);

	env->id = id;
	return rc;
}

static int undo_id(void *data)
{
	struct fail_env *env = data;

	return __iommu_destroy(env->fd, env->id);
}

static int op_iova_ranges(void *data)
{
	struct fail_env *env = data;
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = env->bench.iommu.ioas_id,
		.num_iovas = 8,
		.allowed_iovas = (unsigned long)ranges,
	};

	return xioctl(env->fd, IOMMU_IOAS_IOVA_RANGES, &cmd);
}

/* Check that the allowed ranges are as before, by the IOVA that is chosen. */
static int op_allow(void *data)
{
	struct fail_env *env = data;
	static const struct iommu_iova_range ranges[] = {
		{ OTHER, OTHER + SZ_1M - 1 }, { 8 * SZ_1G, 9 * SZ_1G - 1 },
	};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = env->bench.iommu.ioas_id,
		.num_iovas = 2,
		.allowed_iovas = (unsigned long)ranges,
	};

	return xioctl(env->fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static int undo_allow(void *data)
{
	struct fail_env *env = data;
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = env->bench.iommu.ioas_id,
	};

	return xioctl(env->fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static int op_option(void *data)
{
	struct fail_env *env = data;
	__u64 value = 0;

	return __iommu_option(env->fd, IOMMU_OPTION_HUGE_PAGES,
			      IOMMU_OPTION_OP_SET, env->other, &value);
}

static int undo_option(void *data)
{
	struct fail_env *env = data;
	__u64 value = 1;

	return __iommu_option(env->fd, IOMMU_OPTION_HUGE_PAGES,
			      IOMMU_OPTION_OP_SET, env->other, &value);
}

static int op_vfio_ioas(void *data)
{
	struct fail_env *env = data;
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = env->other,
		.op = IOMMU_VFIO_IOAS_SET,
	};

	return xioctl(env->fd, IOMMU_VFIO_IOAS, &cmd);
}

static int undo_vfio_ioas(void *data)
{
	struct fail_env *env = data;
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_VFIO_IOAS_CLEAR,
	};

	return xioctl(env->fd, IOMMU_VFIO_IOAS, &cmd);
}

static int op_hw_info(void *data)
{
	struct fail_env *env = data;
	bool able;

	return __device_can_track(env->fd, env->second.dev_id, &able);
}

TEST_F_TIMEOUT(fail, every_allocation_of_small_ioctls_fails_once, 300)
{
	static const struct fail_case cases[] = {
		{ "open", op_open, undo_open, 1 },
		{ "IOAS_ALLOC", op_ioas_alloc, undo_id, 1 },
		{ "IOAS_IOVA_RANGES", op_iova_ranges, NULL, 0,
		  { -ENOENT } },
		{ "IOAS_ALLOW_IOVAS", op_allow, undo_allow, 2,
		  { -ENOENT } },
		{ "OPTION", op_option, undo_option, 0, { -ENOENT } },
		{ "VFIO_IOAS", op_vfio_ioas, undo_vfio_ioas, 0, { -ENOENT } },
		{ "GET_HW_INFO", op_hw_info, NULL, 0, { -ENOENT } },
	};

	each_of(_metadata, &self->env, cases, ARRAY_SIZE(cases));
}

static int op_map_unpinned(void *data)
{
	struct fail_env *env = data;

	return __ioas_map(env->fd, env->other, env->bench.mem.va, OTHER,
			  LENGTH, PROT_DMA_RW);
}

static int undo_map_unpinned(void *data)
{
	struct fail_env *env = data;

	return __ioas_unmap(env->fd, env->other, OTHER, LENGTH, NULL);
}

static int op_map(void *data)
{
	struct fail_env *env = data;

	return __ioas_map(env->fd, env->bench.iommu.ioas_id,
			  env->bench.mem.va, OTHER, LENGTH, PROT_DMA_RW);
}

static int undo_map(void *data)
{
	struct fail_env *env = data;

	return __ioas_unmap(env->fd, env->bench.iommu.ioas_id, OTHER, LENGTH,
			    NULL);
}

static int op_map_anywhere(void *data)
{
	struct fail_env *env = data;

	env->iova = 0;
	return __ioas_map_at(env->fd, env->bench.iommu.ioas_id, MAP_RW,
			     env->bench.mem.va, &env->iova, LENGTH);
}

static int undo_map_anywhere(void *data)
{
	struct fail_env *env = data;

	return __ioas_unmap(env->fd, env->bench.iommu.ioas_id, env->iova,
			    LENGTH, NULL);
}

static int op_map_file(void *data)
{
	struct fail_env *env = data;
	__u64 iova = OTHER;

	return __ioas_map_file(env->fd, env->bench.iommu.ioas_id,
			       MAP_RW_FIXED, env->file, 0, &iova, LENGTH);
}

static int op_copy(void *data)
{
	struct fail_env *env = data;
	__u64 iova = OTHER;

	return __ioas_copy(env->fd, MAP_RW_FIXED, env->bench.iommu.ioas_id,
			   &iova, env->other, IOVA, LENGTH);
}

/* The ioctls of the compat container. */
static int op_map_dma(void *data)
{
	struct fail_env *env = data;

	return __type1_map(env->fd, env->bench.mem.va, OTHER, LENGTH,
			   PROT_DMA_RW);
}

static int undo_map_dma(void *data)
{
	struct fail_env *env = data;

	return __type1_unmap(env->fd, OTHER, LENGTH, NULL);
}

static int op_get_info(void *data)
{
	struct vfio_iommu_type1_info_cap_iova_range range;
	struct fail_env *env = data;

	return __type1_info_cap(env->fd, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
				&range, sizeof(range));
}

TEST_F_TIMEOUT(fail, every_allocation_of_container_ioctls_fails_once, 300)
{
	static const struct fail_case cases[] = {
		{ "MAP_DMA", op_map_dma, undo_map_dma, 3 },
		{ "GET_INFO", op_get_info, NULL, 0 },
		{ "UNMAP_DMA", undo_map_dma, op_map_dma, 0 },
	};
	struct fail_env *env = &self->env;
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = env->bench.iommu.ioas_id,
		.op = IOMMU_VFIO_IOAS_SET,
	};

	ASSERT_EQ(0, xioctl(env->fd, IOMMU_VFIO_IOAS, &set));
	each_of(_metadata, env, &cases[0], 2);
	ASSERT_EQ(0, op_map_dma(env));
	each_of(_metadata, env, &cases[2], 1);
}

TEST_F_TIMEOUT(fail, every_allocation_of_mapping_fails_once, 600)
{
	static const struct fail_case cases[] = {
		{ "IOAS_MAP without a page table", op_map_unpinned,
		  undo_map_unpinned, 2, { -ENOENT } },
		{ "IOAS_MAP", op_map, undo_map, 3, { -ENOENT } },
		{ "IOAS_MAP anywhere", op_map_anywhere, undo_map_anywhere, 3,
		  { -ENOENT } },
		{ "IOAS_MAP_FILE", op_map_file, undo_map, 3, { -ENOENT } },
		{ "IOAS_COPY", op_copy, undo_map, 3, { -ENOENT } },
	};

	/* Allocate the file's memory first, which is not what is tested. */
	ASSERT_EQ(0, op_map_file(&self->env));
	ASSERT_EQ(0, undo_map(&self->env));
	each_of(_metadata, &self->env, cases, ARRAY_SIZE(cases));
}

/* Unmapping needs no memory; with fail_iommufd, the IOAS may not be found. */
static int op_unmap(void *data)
{
	struct fail_env *env = data;
	int rc = __ioas_unmap(env->fd, env->bench.iommu.ioas_id, OTHER,
			      LENGTH, NULL);

	return rc == -ENOMEM ? -EIO : rc;
}

static int op_detach(void *data)
{
	struct fail_env *env = data;
	int rc = __vfio_dev_detach(&env->second);

	return rc == -ENOMEM ? -EIO : rc;
}

static int undo_detach(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_attach(&env->second, env->second.hwpt_id);
}

TEST_F_TIMEOUT(fail, calls_that_free_need_no_memory, 300)
{
	static const struct fail_case cases[] = {
		{ "IOAS_UNMAP", op_unmap, op_map, 0, { -ENOENT } },
		{ "IOAS_UNMAP of a copy", op_unmap, op_copy, 0, { -ENOENT } },
		{ "IOAS_UNMAP of a file", op_unmap, op_map_file, 0,
		  { -ENOENT } },
		{ "detach", op_detach, undo_detach, 0, { -ENOENT } },
	};
	struct fail_env *env = &self->env;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].op == op_unmap)
			CHECK_RC(0, cases[i].undo(env), "%s", cases[i].name);
		each_of(_metadata, env, &cases[i], 1);
		if (cases[i].op == op_unmap)
			CHECK_RC(0, op_unmap(env), "%s", cases[i].name);
	}
}

static int op_hwpt_alloc(void *data)
{
	struct fail_env *env = data;
	__u32 id;
	int rc = __hwpt_alloc(env->fd, env->second.dev_id, env->other,
			      IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &id);

	env->id = id;
	return rc;
}

static int undo_attach(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_detach(&env->second);
}

static int op_attach(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_attach(&env->second, env->other);
}

static int undo_replace(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_attach(&env->second, env->second.hwpt_id);
}

static int op_attach_mdev(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_attach(&env->mdev, env->other);
}

static int undo_attach_mdev(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_detach(&env->mdev);
}

static int op_bind(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_bind(&env->mdev, &env->bench.iommu, env->path);
}

static int undo_bind(void *data)
{
	struct fail_env *env = data;

	vfio_dev_close(&env->mdev);
	return 0;
}

TEST_F_TIMEOUT(fail, every_allocation_of_attach_fails_once, 600)
{
	static const struct fail_case cases[] = {
		{ "HWPT_ALLOC", op_hwpt_alloc, undo_id, 4,
		  { -ENOENT, -EINVAL } },
		{ "replace", op_attach, undo_replace, 3, { -ENOENT, -EINVAL } },
		{ "attach", op_attach, undo_attach, 3, { -ENOENT, -EINVAL } },
		{ "attach of a driver", op_attach_mdev, undo_attach_mdev, 1,
		  { -ENOENT } },
		{ "bind", op_bind, undo_bind, 1 },
	};
	struct fail_env *env = &self->env;

	each_of(_metadata, env, &cases[0], 2);
	ASSERT_EQ(0, __vfio_dev_detach(&env->second));
	each_of(_metadata, env, &cases[2], 2);
	vfio_dev_close(&env->mdev);
	each_of(_metadata, env, &cases[4], 1);
}

static int op_fault_alloc(void *data)
{
	struct fail_env *env = data;
	__u32 id;
	int rc = __fault_alloc(env->fd, &id, &env->queue_fd);

	env->id = id;
	return rc;
}

static int undo_fault_alloc(void *data)
{
	struct fail_env *env = data;

	close(env->queue_fd);
	return __iommu_destroy(env->fd, env->id);
}

static int op_hwpt_nested(void *data)
{
	struct iommu_hwpt_selftest selftest = { .iotlb = 1 };
	struct fail_env *env = data;
	__u32 id;
	int rc = __hwpt_alloc_data(env->fd, env->second.dev_id, env->parent, 0,
				   0, IOMMU_HWPT_DATA_SELFTEST, &selftest,
				   sizeof(selftest), &id);

	env->id = id;
	return rc;
}

static int op_attach_nested(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_attach(&env->second, env->nested);
}

static int op_attach_queue(void *data)
{
	struct fail_env *env = data;

	return __vfio_dev_attach(&env->second, env->with_queue);
}

/* Page tables that are nested, or have a fault queue */
TEST_F_TIMEOUT(fail, every_allocation_for_guest_tables_and_faults_fails_once, 600)
{
	static const struct fail_case cases[] = {
		{ "FAULT_QUEUE_ALLOC", op_fault_alloc, undo_fault_alloc, 3,
		  { -ENFILE } },
		{ "HWPT_ALLOC, nested", op_hwpt_nested, undo_id, 2,
		  { -ENOENT, -EINVAL } },
		{ "replace, nested", op_attach_nested, undo_replace, 0,
		  { -ENOENT, -EINVAL } },
		{ "replace, queue", op_attach_queue, undo_replace, 2,
		  { -ENOENT, -EINVAL } },
		{ "attach, nested", op_attach_nested, undo_attach, 0,
		  { -ENOENT, -EINVAL } },
		{ "attach, queue", op_attach_queue, undo_attach, 2,
		  { -ENOENT, -EINVAL } },
	};
	struct fail_env *env = &self->env;
	__u32 dev = env->second.dev_id, queue;
	int fd;

	ASSERT_EQ(0, __hwpt_alloc(env->fd, dev, env->other,
				  IOMMU_HWPT_ALLOC_NEST_PARENT, &env->parent));
	ASSERT_EQ(0, op_hwpt_nested(env));
	env->nested = env->id;
	ASSERT_EQ(0, __fault_alloc(env->fd, &queue, &fd));
	ASSERT_EQ(0, __hwpt_alloc_data(env->fd, dev, env->other,
				       IOMMU_HWPT_FAULT_ID_VALID, queue,
				       IOMMU_HWPT_DATA_NONE, NULL, 0,
				       &env->with_queue));
	each_of(_metadata, env, &cases[0], 4);
	ASSERT_EQ(0, __vfio_dev_detach(&env->second));
	each_of(_metadata, env, &cases[4], 2);
	close(fd);
}

TEST_HARNESS_MAIN
