// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: steps of races
 *
 * Each step undoes its changes, so that it can be repeated. A step ignores the
 * errnos that a concurrent step can cause; any other errno fails the test.
 */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "race.h"
#include "steps.h"

/* The window in which threads map and unmap, with two slots for each. */
#define WINDOW		0x40000000ULL
#define SLOT		(16 * SZ_1M)
#define NR_SLOTS	(2 * RACE_INDICES)

/* Return 0 for an errno that a concurrent step can cause. */
static int except(int rc, int one, int other)
{
	return rc == one || rc == other ? 0 : rc;
}

static __u64 slot_of(struct race_thread *thread)
{
	return WINDOW + (2 * thread->index + thread->round % 2) * SLOT;
}

/* Unmap a range, which another thread may have unmapped or be unmapping. */
static int unmap(struct race_objects *objects, __u64 iova, __u64 length)
{
	return except(__ioas_unmap(objects->fd, objects->ioas, iova, length,
				   NULL),
		      -ENOENT, -EBUSY);
}

static int step_map(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 length = (1 + thread->round % 1024) * SZ_4K;
	__u64 iova = slot_of(thread);
	int rc;

	rc = __ioas_map(objects->fd, objects->ioas, objects->scratch.va, iova,
			length, PROT_DMA_RW);
	return except(rc, -EEXIST, 0) ?: unmap(objects, iova, length);
}

static int step_map_anywhere(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 iova = 0;
	int rc;

	rc = __ioas_map_at(objects->fd, objects->ioas, MAP_RW,
			   objects->scratch.va, &iova, SZ_2M);
	return rc ?: unmap(objects, iova, SZ_2M);
}

static int step_map_file(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 length = (1 + thread->round % 300) * SZ_4K;
	__u64 iova = slot_of(thread);
	int rc;

	rc = __ioas_map_file(objects->fd, objects->ioas, MAP_RW_FIXED,
			     objects->file, (thread->round % 7) * SZ_4K, &iova,
			     length);
	return except(rc, -EEXIST, 0) ?: unmap(objects, iova, length);
}

/* Map memory that is freed while it is mapped, or before. */
static int step_map_freed_memory(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 iova = slot_of(thread);
	void *va = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (va == MAP_FAILED)
		return -ENOMEM;
	rc = __ioas_map(objects->fd, objects->ioas, va, iova, SZ_64K,
			PROT_DMA_RW);
	munmap(va, SZ_64K);
	return except(rc, -EEXIST, 0) ?: unmap(objects, iova, SZ_64K);
}

/*
 * Copy the followed range, or a range that another thread has mapped. If that
 * thread unmaps the range meanwhile, the copy pins the memory anew; the memory
 * may be freed by then: EFAULT.
 */
static int step_copy(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 iova = slot_of(thread), from = RACE_IOVA, length = RACE_LENGTH;
	int rc, gone = 0;

	if (thread->round % 3 == 0) {
		from = WINDOW + thread->round % NR_SLOTS * SLOT;
		length = SZ_4K;
		gone = -EFAULT;
	}
	rc = __ioas_copy(objects->fd, MAP_R | IOMMU_IOAS_MAP_FIXED_IOVA,
			 objects->ioas, &iova, objects->ioas, from, length);
	if (!rc)
		return unmap(objects, iova, length);
	return rc == gone ? 0 : except(rc, -ENOENT, -EEXIST);
}

/* Create an IOAS, copy from both other IOASes, and destroy it. */
static int step_ioas(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 to = RACE_IOVA;
	__u32 ioas;
	int rc;

	rc = __ioas_alloc(objects->fd, &ioas);
	if (rc)
		return rc;
	rc = __ioas_copy(objects->fd, MAP_R, ioas, &to, objects->ioas,
			 RACE_IOVA, RACE_LENGTH);
	if (!rc)
		rc = __ioas_copy(objects->fd, MAP_R, ioas, &to,
				 objects->other_ioas, RACE_IOVA, RACE_SCRATCH);
	return rc ?: __iommu_destroy(objects->fd, ioas);
}

/* Unmap all of the window, also the mappings of other threads. */
static int step_unmap_window(struct race_thread *thread)
{
	return unmap(thread->data, WINDOW, NR_SLOTS * SLOT);
}

static int step_query(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 bits[SLOT / SZ_4K / 64] = {};
	__u32 flags = thread->round % 3 ? 0 :
					  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	__u64 window = WINDOW + SLOT / 2 * thread->index;
	int rc;

	/* Another thread may have disabled tracking. */
	rc = __hwpt_dirty(objects->fd, objects->table, flags,
			  thread->round % 2 ? RACE_IOVA : window, SLOT, SZ_4K,
			  bits);
	return except(rc, -EINVAL, 0);
}

static int step_track(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;

	return __hwpt_track(objects->fd, objects->table, thread->round % 2);
}

static int step_hwpt(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u32 ioas, id;
	int rc;

	ioas = thread->round % 3 ? objects->ioas : objects->other_ioas;
	rc = __hwpt_alloc(objects->fd, objects->reattached.dev_id, ioas,
			  thread->round % 2 * IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			  &id);
	return rc ?: __iommu_destroy(objects->fd, id);
}

/* Attach, replace or detach; another thread may do so at the same time. */
static int step_reattach(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u32 to[] = { objects->ioas, objects->table, objects->other_ioas,
		       thread->bench->dev.hwpt_id };
	int rc;

	if (thread->round % 11 == 10)
		return __vfio_dev_detach(&objects->reattached);
	rc = __vfio_dev_attach(&objects->reattached, to[thread->round % 7 % 4]);
	if (!rc)
		rc = __mock_run(&objects->reattached, VFIO_MOCK_DMA_CMD_READ,
				RACE_IOVA, 0, SZ_4K);
	return except(rc, -EBUSY, -EINVAL);
}

/* Open and attach another device, and close it while it is attached. */
static int step_open_device(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	struct iommu *iommu = &thread->bench->iommu;
	struct vfio_dev dev;
	int rc;

	rc = __vfio_dev_bind(&dev, iommu, objects->path[thread->index % 2]);
	if (rc)
		return rc;
	rc = __vfio_dev_attach(&dev, thread->round % 2 ? objects->ioas :
							 objects->other_ioas);
	if (!rc)
		rc = __mock_run(&dev, VFIO_MOCK_DMA_CMD_READ, RACE_IOVA, 0,
				SZ_4K);
	vfio_dev_close(&dev);
	return rc;
}

static int step_driver_writes(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 iova = RACE_IOVA + thread->round % RACE_PAGES * SZ_4K;

	return race_driver_write(&objects->mdev, &objects->mdev_lock, iova,
				 thread->round);
}

/* Unmap a range that a driver has pinned; unmap_window may unmap it first. */
static int step_driver_pins(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 iova = slot_of(thread);
	int rc;

	rc = __ioas_map(objects->fd, objects->ioas, objects->scratch.va, iova,
			SZ_64K, PROT_DMA_RW);
	if (except(rc, -EEXIST, 0))
		return rc;
	pthread_rwlock_rdlock(&objects->mdev_lock);
	rc = __mock_fill(&objects->mdev, iova + SZ_4K, 2 * SZ_4K, 1);
	pthread_rwlock_unlock(&objects->mdev_lock);
	return rc ?: unmap(objects, iova, SZ_64K);
}

static int step_driver_moves(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	int rc = 0;

	if (thread->round % 5 == 4) {
		pthread_rwlock_wrlock(&objects->mdev_lock);
		vfio_dev_close(&objects->mdev);
		rc = __vfio_dev_open(&objects->mdev, &thread->bench->iommu,
				     objects->path[2]);
		pthread_rwlock_unlock(&objects->mdev_lock);
		return rc;
	}
	pthread_rwlock_rdlock(&objects->mdev_lock);
	if (thread->round % 5 == 3)
		rc = __vfio_dev_detach(&objects->mdev);
	else
		rc = __vfio_dev_attach(&objects->mdev,
				       thread->round % 2 ? objects->ioas :
							   objects->other_ioas);
	pthread_rwlock_unlock(&objects->mdev_lock);
	return except(rc, -EBUSY, 0);
}

static int step_iovas(struct race_thread *thread)
{
	static const struct iommu_iova_range low = { 0, SZ_1G * 64 };
	struct race_objects *objects = thread->data;
	struct iommu_iova_range ranges[4];
	struct iommu_ioas_iova_ranges get = {
		.size = sizeof(get),
		.ioas_id = objects->ioas,
		.num_iovas = 4,
		.allowed_iovas = (unsigned long)ranges,
	};
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = objects->ioas,
		.num_iovas = thread->round % 2,
		.allowed_iovas = (unsigned long)&low,
	};
	bool able;

	return xioctl(objects->fd, IOMMU_IOAS_IOVA_RANGES, &get) ?:
	       xioctl(objects->fd, IOMMU_IOAS_ALLOW_IOVAS, &allow) ?:
	       __device_can_track(objects->fd, objects->reattached.dev_id,
				  &able);
}

/*
 * Map from a process that exits at once. The process shares the open files:
 * with files of its own it would keep devices open that other threads have
 * closed.
 */
static int step_process(struct race_thread *thread)
{
	struct race_objects *objects = thread->data;
	__u64 iova = slot_of(thread);
	int status, rc;
	pid_t child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (child < 0)
		return -errno;
	if (!child) {
		rc = __ioas_map(objects->fd, objects->ioas, objects->scratch.va,
				iova, SZ_64K, PROT_DMA_RW);
		_exit(-except(rc, -EEXIST, 0));
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status) ?: unmap(objects, iova, SZ_64K);
}

#define STEP(what)	{ .name = #what, .step = step_##what }

const struct race_step race_steps[] = {
	STEP(map), STEP(map_anywhere), STEP(map_file), STEP(map_freed_memory),
	STEP(copy), STEP(ioas), STEP(unmap_window), STEP(query), STEP(track),
	STEP(hwpt), STEP(reattach), STEP(open_device), STEP(driver_writes),
	STEP(driver_pins), STEP(driver_moves), STEP(iovas), STEP(process),
};

const size_t race_steps_count = ARRAY_SIZE(race_steps);

/* Return the step of that name, or NULL. */
const struct race_step *race_step_find(const char *name)
{
	for (size_t i = 0; i < race_steps_count; i++)
		if (!strcmp(race_steps[i].name, name))
			return &race_steps[i];
	return NULL;
}
