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
#include "lib/race/racer.h"
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
 * struct playground - objects that the threads share
 * @fd: the container
 * @scratch: memory to map
 * @mdev: a device whose driver pins pages
 * @mdev_lock: taken for writing to close and open @mdev
 * @path: devices to attach, two for each thread, and that of @mdev
 */
struct playground {
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

static __u64 slot_of(const struct racer *racer)
{
	return WINDOW + (2 * racer->index + racer->round % 2) * SLOT;
}

static int map(struct racer *racer, __u64 length)
{
	struct playground *play = racer->data;

	return __type1_map(play->fd, play->scratch.va, slot_of(racer), length,
			   PROT_DMA_RW);
}

static int step_map(struct racer *racer)
{
	struct playground *play = racer->data;
	__u64 length = (1 + racer->round % 1024) * SZ_4K, unmapped;
	int rc;

	rc = map(racer, length);
	if (rc)
		return except(rc, -EEXIST, 0);
	rc = __type1_unmap(play->fd, slot_of(racer), length, &unmapped);
	/* Another thread may have unmapped the window. */
	return rc ?: unmapped && unmapped != length ? -EIO : 0;
}

static int step_unmap_bitmap(struct racer *racer)
{
	struct playground *play = racer->data;
	__u64 length = (1 + racer->round % 1024) * SZ_4K;
	__u64 bits[SCRATCH / SZ_4K / 64] = {};
	int rc;

	rc = map(racer, length);
	if (rc)
		return except(rc, -EEXIST, 0);
	/* Tracking may be off. */
	rc = __type1_unmap_bitmap(play->fd, slot_of(racer), &length, SZ_4K,
				  bits, sizeof(bits));
	if (rc == -EINVAL)
		rc = __type1_unmap(play->fd, slot_of(racer), SLOT, NULL);
	return rc;
}

/* Unmap all of the window, also the mappings of other threads. */
static int step_unmap_window(struct racer *racer)
{
	struct playground *play = racer->data;

	return __type1_unmap(play->fd, WINDOW, 4 * SLOT, NULL);
}

/* Map memory that is freed while it is mapped, or before. */
static int step_map_freed_memory(struct racer *racer)
{
	struct playground *play = racer->data;
	void *va = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (va == MAP_FAILED)
		return -ENOMEM;
	rc = __type1_map(play->fd, va, slot_of(racer), SZ_64K, PROT_DMA_RW);
	munmap(va, SZ_64K);
	if (rc)
		return except(rc, -EEXIST, 0);
	return __type1_unmap(play->fd, slot_of(racer), SZ_64K, NULL);
}

/* Query the mapping of the other thread. Tracking may be off. */
static int step_get(struct racer *racer)
{
	__u64 iova = WINDOW + (2 * !racer->index + racer->round % 2) * SLOT;
	struct playground *play = racer->data;
	__u64 bits[SLOT / SZ_4K / 64];

	return except(__type1_dirty_get(play->fd, iova, SLOT, SZ_4K, bits,
					sizeof(bits)), -EINVAL, 0);
}

/* Start tracking, which has started already. */
static int step_start(struct racer *racer)
{
	struct playground *play = racer->data;

	return __type1_dirty_flag(play->fd, DIRTY_START);
}

static int step_info(struct racer *racer)
{
	struct vfio_iommu_type1_info_cap_migration cap;
	struct playground *play = racer->data;

	xioctl(play->fd, VFIO_CHECK_EXTENSION, (void *)VFIO_UPDATE_VADDR);
	xioctl(play->fd, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU);
	return __type1_info_cap(play->fd, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
				&cap, sizeof(cap));
}

/* Attach a device of the same IOMMU, of another one, or without tracking. */
static int step_join(struct racer *racer)
{
	struct playground *play = racer->data;
	struct vfio_dev dev;
	int rc;

	rc = __vfio_dev_open(&dev, &racer->bench->iommu,
			     play->path[2 * racer->index + racer->round % 2]);
	if (rc)
		return rc;
	rc = __mock_run(&dev, VFIO_MOCK_DMA_CMD_READ, IOVA, 0, SZ_4K);
	vfio_dev_close(&dev);
	return rc;
}

static int step_driver_writes(struct racer *racer)
{
	struct playground *play = racer->data;
	__u64 iova = IOVA + racer->round % PAGES * SZ_4K;

	return race_driver_write(&play->mdev, &play->mdev_lock, iova,
				 racer->round);
}

/* Unmap a range that a driver has pinned; unmap_window may unmap it first. */
static int step_driver_pins(struct racer *racer)
{
	struct playground *play = racer->data;
	__u64 bits[1] = {}, length = SZ_64K;
	int rc;

	rc = map(racer, SZ_64K);
	if (rc)
		return except(rc, -EEXIST, 0);
	pthread_rwlock_rdlock(&play->mdev_lock);
	rc = __mock_fill(&play->mdev, slot_of(racer) + SZ_4K, 2 * SZ_4K, 1);
	pthread_rwlock_unlock(&play->mdev_lock);
	if (rc)
		return rc;
	if (racer->round % 2)
		return __type1_unmap(play->fd, slot_of(racer), SZ_64K, NULL);
	return __type1_unmap_bitmap(play->fd, slot_of(racer), &length, SZ_4K,
				    bits, sizeof(bits));
}

static int step_driver_moves(struct racer *racer)
{
	struct playground *play = racer->data;
	int rc;

	pthread_rwlock_wrlock(&play->mdev_lock);
	vfio_dev_close(&play->mdev);
	rc = __vfio_dev_open(&play->mdev, &racer->bench->iommu, play->path[MDEV]);
	pthread_rwlock_unlock(&play->mdev_lock);
	return rc;
}

/* Invalidation is always -EBUSY while a driver's device is attached. */
static int step_vaddr(struct racer *racer)
{
	struct playground *play = racer->data;
	int rc;

	pthread_rwlock_rdlock(&play->mdev_lock);
	rc = __type1_unmap_flags(play->fd, VFIO_DMA_UNMAP_FLAG_VADDR, IOVA,
				 LENGTH, NULL);
	pthread_rwlock_unlock(&play->mdev_lock);
	return rc ? except(rc, -EBUSY, 0) : -EIO;
}

/*
 * Map from a process that exits at once. The process shares the open files:
 * with files of its own it would keep devices open that other threads have
 * closed.
 */
static int step_process(struct racer *racer)
{
	struct playground *play = racer->data;
	int status;
	pid_t child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (child < 0)
		return -errno;
	if (!child)
		_exit(-except(map(racer, SZ_64K), -EEXIST, 0));
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status) ?:
	       __type1_unmap(play->fd, slot_of(racer), SZ_64K, NULL);
}

#define STEP(what)	{ .name = #what, .step = step_##what }

static const struct {
	const char *name;
	int (*step)(struct racer *racer);
} steps[] = {
	STEP(map), STEP(unmap_bitmap), STEP(unmap_window), STEP(map_freed_memory),
	STEP(get), STEP(start), STEP(info), STEP(join), STEP(driver_writes),
	STEP(driver_pins), STEP(driver_moves), STEP(vaddr), STEP(process),
};

FIXTURE(races)
{
	struct bench bench;
	struct playground play;
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
	struct playground *play = &self->play;

	sysfs_write(EMULATED_PIN, "Y");
	counts_now(_metadata, &self->counts);
	bench_open(_metadata, bench, variant->mode, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	bench_track(_metadata, bench);
	play->fd = bench->iommu.fd;
	mem_alloc(_metadata, &play->scratch, SCRATCH, MEM_HUGETLB);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		ASSERT_EQ(0, mock_find(devices[i].model, devices[i].skip,
				       play->path[i], 256));
	ASSERT_EQ(0, __vfio_dev_open(&play->mdev, &bench->iommu,
				     play->path[MDEV]));
	ASSERT_EQ(0, pthread_rwlock_init(&play->mdev_lock, NULL));
}

FIXTURE_TEARDOWN(races)
{
	struct playground *play = &self->play;

	vfio_dev_close(&play->mdev);
	bench_close(_metadata, &self->bench);
	mem_free(&play->scratch);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Each step against each step, itself included. */
TEST_F_TIMEOUT(races, step_against_each_step_misses_no_write, 7200)
{
	double time = race_seconds() / ARRAY_SIZE(steps);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		for (size_t j = i; j < ARRAY_SIZE(steps); j++) {
			struct racer racers[2] = {
				{ .name = steps[i].name, .step = steps[i].step,
				  .data = &self->play },
				{ .name = steps[j].name, .step = steps[j].step,
				  .data = &self->play, .index = 1 },
			};

			race(_metadata, &self->bench, IOVA, LENGTH, racers,
			     2, time);
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
		struct racer racer = {
			.name = steps[i].name, .data = &self->play,
		};
		double end = race_now() + time;

		/* These steps need tracking. */
		if (steps[i].step == step_driver_pins)
			continue;
		mock_work_start(_metadata, &bench->dev, &work);
		racer_start(_metadata, &racer, bench, steps[i].step);
		for (unsigned int round = 0; race_now() < end; round++) {
			ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd,
							flags[round % 2]));
			rc = __type1_dirty_get(bench->iommu.fd, IOVA, LENGTH,
					       SZ_4K, bits, sizeof(bits));
			/* Another thread may have started tracking. */
			ASSERT_TRUE(!rc || (rc == -EINVAL && round % 2));
		}
		racer_stop(_metadata, &racer);
		mock_work_stop(_metadata, &bench->dev);
	}
}

TEST_HARNESS_MAIN
