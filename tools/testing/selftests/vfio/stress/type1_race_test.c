// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: each ioctl of a container against each
 *
 * Two threads repeat one ioctl each, while a device writes to memory whose
 * dirty pages are followed: every write must be reported. The results of the
 * ioctls are limited to a few errnos, and at the end nothing is pinned. A debug
 * kernel checks more.
 *
 * RACE_SECONDS in the environment sets the duration of each test, by default 2.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/follow.h"
#include "lib/race/race.h"
#include "lib/race/thread.h"
#include "lib/report.h"
#include "lib/test.h"

/* The followed range, which stays mapped. */
#define IOVA		0x10000000ULL
#define PAGES		128
#define LENGTH		(PAGES * SZ_4K)

/* The window in which the threads map, with two slots for each. */
#define WINDOW		0x40000000ULL
#define SLOT		(16 * SZ_1M)
#define SCRATCH		(2 * SZ_2M)

/**
 * struct type1_objects - objects that the threads share
 * @fd: the container
 * @scratch: memory to map
 * @mdev: a device whose driver pins pages
 * @mdev_lock: taken for writing to close and open @mdev
 * @path: devices to attach, two for each thread, and that of @mdev
 */
struct type1_objects {
	int fd;
	struct mem scratch;
	struct vfio_dev mdev;
	pthread_rwlock_t mdev_lock;
	char path[5][256];
};

static const struct {
	const char *model;
	unsigned int skip;
} devices[] = {
	{ "2m", 0 }, { "nodirty", 0 }, { "4k", 1 }, { "1g", 0 },
	{ "emulated", 0 },
};

#define MDEV	4

/* Return 0 for an errno that a concurrent step can cause. */
static int except(int rc, int one, int other)
{
	return rc == one || rc == other ? 0 : rc;
}

static __u64 slot_of(const struct race_thread *thread)
{
	return WINDOW + (2 * thread->index + thread->round % 2) * SLOT;
}

static int map(struct race_thread *thread, __u64 length)
{
	struct type1_objects *objects = thread->data;

	return __type1_map(objects->fd, objects->scratch.va, slot_of(thread),
			   length, PROT_DMA_RW);
}

static int step_map(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	__u64 length = (1 + thread->round % 1024) * SZ_4K, unmapped;
	int rc;

	rc = map(thread, length);
	if (rc)
		return except(rc, -EEXIST, 0);
	rc = __type1_unmap(objects->fd, slot_of(thread), length, &unmapped);
	/* Another thread may have unmapped the window. */
	return rc ?: unmapped && unmapped != length ? -EIO : 0;
}

static int step_unmap_bitmap(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	__u64 length = (1 + thread->round % 1024) * SZ_4K;
	__u64 bits[SCRATCH / SZ_4K / 64] = {};
	int rc;

	rc = map(thread, length);
	if (rc)
		return except(rc, -EEXIST, 0);
	/* Tracking may be off. */
	rc = __type1_unmap_bitmap(objects->fd, slot_of(thread), &length, SZ_4K,
				  bits, sizeof(bits));
	if (rc == -EINVAL)
		rc = __type1_unmap(objects->fd, slot_of(thread), SLOT, NULL);
	return rc;
}

/* Unmap all of the window, also the mappings of other threads. */
static int step_unmap_window(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;

	return __type1_unmap(objects->fd, WINDOW, 4 * SLOT, NULL);
}

/* Map memory that is freed while it is mapped, or before. */
static int step_map_freed_memory(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	void *va = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (va == MAP_FAILED)
		return -ENOMEM;
	rc = __type1_map(objects->fd, va, slot_of(thread), SZ_64K, PROT_DMA_RW);
	munmap(va, SZ_64K);
	if (rc)
		return except(rc, -EEXIST, 0);
	return __type1_unmap(objects->fd, slot_of(thread), SZ_64K, NULL);
}

/* Query the mapping of the other thread. Tracking may be off. */
static int step_get(struct race_thread *thread)
{
	__u64 iova = WINDOW + (2 * !thread->index + thread->round % 2) * SLOT;
	struct type1_objects *objects = thread->data;
	__u64 bits[SLOT / SZ_4K / 64];

	return except(__type1_dirty_get(objects->fd, iova, SLOT, SZ_4K, bits,
					sizeof(bits)),
		      -EINVAL, 0);
}

/* Start tracking, which has started already. */
static int step_start(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;

	return __type1_dirty_flag(objects->fd, DIRTY_START);
}

static int step_info(struct race_thread *thread)
{
	struct vfio_iommu_type1_info_cap_migration cap;
	struct type1_objects *objects = thread->data;

	xioctl(objects->fd, VFIO_CHECK_EXTENSION, (void *)VFIO_UPDATE_VADDR);
	xioctl(objects->fd, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU);
	return __type1_info_cap(objects->fd,
				VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, &cap,
				sizeof(cap));
}

/* Attach a device of the same IOMMU, of another one, or without tracking. */
static int step_attach(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	struct vfio_dev dev;
	const char *path;
	int rc;

	path = objects->path[2 * thread->index + thread->round % 2];
	rc = __vfio_dev_open(&dev, &thread->bench->iommu, path);
	if (rc)
		return rc;
	rc = __mock_run(&dev, VFIO_MOCK_DMA_CMD_READ, IOVA, 0, SZ_4K);
	vfio_dev_close(&dev);
	return rc;
}

static int step_driver_writes(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	__u64 iova = IOVA + thread->round % PAGES * SZ_4K;

	return race_driver_write(&objects->mdev, &objects->mdev_lock, iova,
				 thread->round);
}

/* Unmap a range that a driver has pinned; unmap_window may unmap it first. */
static int step_driver_pins(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	__u64 bits[1] = {}, length = SZ_64K;
	int rc;

	rc = map(thread, SZ_64K);
	if (rc)
		return except(rc, -EEXIST, 0);
	pthread_rwlock_rdlock(&objects->mdev_lock);
	rc = __mock_fill(&objects->mdev, slot_of(thread) + SZ_4K, 2 * SZ_4K, 1);
	pthread_rwlock_unlock(&objects->mdev_lock);
	if (rc)
		return rc;
	if (thread->round % 2)
		return __type1_unmap(objects->fd, slot_of(thread), SZ_64K,
				     NULL);
	return __type1_unmap_bitmap(objects->fd, slot_of(thread), &length,
				    SZ_4K, bits, sizeof(bits));
}

static int step_driver_moves(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	int rc;

	pthread_rwlock_wrlock(&objects->mdev_lock);
	vfio_dev_close(&objects->mdev);
	rc = __vfio_dev_open(&objects->mdev, &thread->bench->iommu,
			     objects->path[MDEV]);
	pthread_rwlock_unlock(&objects->mdev_lock);
	return rc;
}

/* Invalidation is always -EBUSY while a driver's device is attached. */
static int step_vaddr(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	int rc;

	pthread_rwlock_rdlock(&objects->mdev_lock);
	rc = __type1_unmap_flags(objects->fd, VFIO_DMA_UNMAP_FLAG_VADDR, IOVA,
				 LENGTH, NULL);
	pthread_rwlock_unlock(&objects->mdev_lock);
	return rc ? except(rc, -EBUSY, 0) : -EIO;
}

/*
 * Map from a process that exits at once. The process shares the open files:
 * with files of its own it would keep devices open that other threads have
 * closed.
 */
static int step_process(struct race_thread *thread)
{
	struct type1_objects *objects = thread->data;
	int status;
	pid_t child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (child < 0)
		return -errno;
	if (!child)
		_exit(-except(map(thread, SZ_64K), -EEXIST, 0));
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status) ?:
	       __type1_unmap(objects->fd, slot_of(thread), SZ_64K, NULL);
}

#define STEP(what)	{ .name = #what, .step = step_##what }

static const struct {
	const char *name;
	int (*step)(struct race_thread *thread);
} steps[] = {
	STEP(map), STEP(unmap_bitmap), STEP(unmap_window), STEP(map_freed_memory),
	STEP(get), STEP(start), STEP(info), STEP(attach), STEP(driver_writes),
	STEP(driver_pins), STEP(driver_moves), STEP(vaddr), STEP(process),
};

FIXTURE(races)
{
	struct bench bench;
	struct type1_objects objects;
	struct counts counts;
};

FIXTURE_VARIANT(races)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(races, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(races, compat) { .mode = MODE_COMPAT };

FIXTURE_SETUP(races)
{
	struct bench *bench = &self->bench;
	struct type1_objects *objects = &self->objects;

	sysfs_write(EMULATED_PIN, "Y");
	counts_now(_metadata, &self->counts);
	bench_open(_metadata, bench, variant->mode, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	bench_track(_metadata, bench);
	objects->fd = bench->iommu.fd;
	mem_alloc(_metadata, &objects->scratch, SCRATCH, MEM_HUGETLB);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		ASSERT_EQ(0, mock_find(devices[i].model, devices[i].skip,
				       objects->path[i], 256));
	ASSERT_EQ(0, __vfio_dev_open(&objects->mdev, &bench->iommu,
				     objects->path[MDEV]));
	ASSERT_EQ(0, pthread_rwlock_init(&objects->mdev_lock, NULL));
}

FIXTURE_TEARDOWN(races)
{
	struct type1_objects *objects = &self->objects;

	vfio_dev_close(&objects->mdev);
	bench_close(_metadata, &self->bench);
	mem_free(&objects->scratch);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Each step against each step, itself included. */
TEST_F_TIMEOUT(races, step_against_each_step_misses_no_write, 7200)
{
	double time = race_seconds() / ARRAY_SIZE(steps);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		for (size_t j = i; j < ARRAY_SIZE(steps); j++) {
			struct race_thread threads[2] = {
				{ .name = steps[i].name,
				  .step = steps[i].step,
				  .data = &self->objects },
				{ .name = steps[j].name,
				  .step = steps[j].step,
				  .data = &self->objects,
				  .index = 1 },
			};

			race(_metadata, &self->bench, IOVA, LENGTH, threads, 2,
			     time);
		}
	}
}

/* Tracking is started and stopped all the time, so no write can be followed. */
TEST_F_TIMEOUT(races, steps_during_start_and_stop_succeed, 7200)
{
	static const __u32 flags[] = { DIRTY_START, DIRTY_STOP };
	const struct mock_work work = race_work(IOVA, LENGTH);
	double time = race_seconds() / ARRAY_SIZE(steps);
	struct bench *bench = &self->bench;
	__u64 bits[PAGES / 64];
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct race_thread thread = {
			.name = steps[i].name,
			.data = &self->objects,
		};
		double end = race_now() + time;

		/* These steps need tracking. */
		if (steps[i].step == step_driver_pins)
			continue;
		mock_work_start(_metadata, &bench->dev, &work);
		race_thread_start(_metadata, &thread, bench, steps[i].step);
		for (unsigned int round = 0; race_now() < end; round++) {
			ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd,
							flags[round % 2]));
			rc = __type1_dirty_get(bench->iommu.fd, IOVA, LENGTH,
					       SZ_4K, bits, sizeof(bits));
			/* Another thread may have started tracking. */
			ASSERT_TRUE(!rc || (rc == -EINVAL && round % 2));
		}
		race_thread_stop(_metadata, &thread);
		mock_work_stop(_metadata, &bench->dev);
	}
}

TEST_HARNESS_MAIN
