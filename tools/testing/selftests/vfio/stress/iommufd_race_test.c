// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: each ioctl of iommufd against each
 *
 * Two threads repeat one ioctl each on the same IOAS, while a third device
 * writes to memory. The dirty bits of its page table must report every write.
 * The results of the ioctls are limited to a few errnos, and at the end nothing
 * is pinned. A debug kernel checks more.
 *
 * RACE_SECONDS in the environment sets the duration of each test, by default 2.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/follow.h"
#include "lib/race/race.h"
#include "lib/race/steps.h"
#include "lib/test.h"

FIXTURE(races)
{
	struct bench bench;
	struct race_objects objects;
	struct counts counts;
};

FIXTURE_VARIANT(races)
{
	const char *step;
};

FIXTURE_VARIANT_ADD(races, map) { .step = "map" };

FIXTURE_VARIANT_ADD(races, map_anywhere) { .step = "map_anywhere" };

FIXTURE_VARIANT_ADD(races, map_file) { .step = "map_file" };

FIXTURE_VARIANT_ADD(races, map_freed_memory) { .step = "map_freed_memory" };

FIXTURE_VARIANT_ADD(races, copy) { .step = "copy" };

FIXTURE_VARIANT_ADD(races, ioas) { .step = "ioas" };

FIXTURE_VARIANT_ADD(races, unmap_window) { .step = "unmap_window" };

FIXTURE_VARIANT_ADD(races, query) { .step = "query" };

FIXTURE_VARIANT_ADD(races, track) { .step = "track" };

FIXTURE_VARIANT_ADD(races, hwpt) { .step = "hwpt" };

FIXTURE_VARIANT_ADD(races, reattach) { .step = "reattach" };

FIXTURE_VARIANT_ADD(races, open_device) { .step = "open_device" };

FIXTURE_VARIANT_ADD(races, driver_writes) { .step = "driver_writes" };

FIXTURE_VARIANT_ADD(races, driver_pins) { .step = "driver_pins" };

FIXTURE_VARIANT_ADD(races, driver_moves) { .step = "driver_moves" };

FIXTURE_VARIANT_ADD(races, iovas) { .step = "iovas" };

FIXTURE_VARIANT_ADD(races, process) { .step = "process" };

/* All steps concurrently. */
FIXTURE_VARIANT_ADD(races, all) {};

FIXTURE_SETUP(races)
{
	struct bench *bench = &self->bench;
	struct race_objects *objects = &self->objects;
	char path[256];

	counts_now(_metadata, &self->counts);
	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, bench, RACE_IOVA, RACE_LENGTH, MEM_4K);
	bench_track(_metadata, bench);
	objects->fd = bench->iommu.fd;
	objects->ioas = bench->iommu.ioas_id;
	ASSERT_EQ(0, __ioas_alloc(objects->fd, &objects->other_ioas));
	mem_alloc(_metadata, &objects->scratch, RACE_SCRATCH, MEM_HUGETLB);
	ASSERT_EQ(0, __ioas_map(objects->fd, objects->other_ioas,
				objects->scratch.va, RACE_IOVA, RACE_SCRATCH,
				PROT_DMA_RW));
	objects->file = memfd_create("race", MFD_CLOEXEC);
	ASSERT_LE(0, objects->file);
	ASSERT_EQ(0, ftruncate(objects->file, RACE_SCRATCH));
	ASSERT_EQ(0, mock_find("4k", 1, path, sizeof(path)));
	ASSERT_EQ(0,
		  __vfio_dev_bind(&objects->reattached, &bench->iommu, path));
	ASSERT_EQ(0,
		  __hwpt_alloc(objects->fd, objects->reattached.dev_id,
			       objects->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			       &objects->table));
	ASSERT_EQ(0, mock_find("2m", 0, objects->path[0], 256));
	ASSERT_EQ(0, mock_find("nodirty", 0, objects->path[1], 256));
	ASSERT_EQ(0, mock_find("emulated", 0, objects->path[2], 256));
	ASSERT_EQ(0, __vfio_dev_open(&objects->mdev, &bench->iommu,
				     objects->path[2]));
	ASSERT_EQ(0, pthread_rwlock_init(&objects->mdev_lock, NULL));
}

FIXTURE_TEARDOWN(races)
{
	struct race_objects *objects = &self->objects;

	vfio_dev_close(&objects->mdev);
	vfio_dev_close(&objects->reattached);
	bench_close(_metadata, &self->bench);
	mem_free(&objects->scratch);
	close(objects->file);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* One step against each step, itself included. */
static void race_pairs(struct __test_metadata *_metadata, struct bench *bench,
		       struct race_objects *objects,
		       const struct race_step *one)
{
	double time = race_seconds() / race_steps_count;

	for (size_t i = 0; i < race_steps_count; i++) {
		const struct race_step *other = &race_steps[i];
		struct race_thread threads[2] = {
			{ .name = one->name,
			  .step = one->step,
			  .data = objects },
			{ .name = other->name,
			  .step = other->step,
			  .data = objects,
			  .index = 1 },
		};

		race(_metadata, bench, RACE_IOVA, RACE_LENGTH, threads, 2,
		     time);
	}
}

static void race_all(struct __test_metadata *_metadata, struct bench *bench,
		     struct race_objects *objects)
{
	static struct race_thread threads[64];

	ASSERT_GE(ARRAY_SIZE(threads), race_steps_count);
	for (size_t i = 0; i < race_steps_count; i++) {
		threads[i].name = race_steps[i].name;
		threads[i].step = race_steps[i].step;
		threads[i].data = objects;
		threads[i].index = i % RACE_INDICES;
	}
	race(_metadata, bench, RACE_IOVA, RACE_LENGTH, threads,
	     race_steps_count, race_seconds());
}

TEST_F_TIMEOUT(races, step_against_each_step_misses_no_write, 3600)
{
	struct bench *bench = &self->bench;

	if (variant->step)
		race_pairs(_metadata, bench, &self->objects,
			   race_step_find(variant->step));
	else
		race_all(_metadata, bench, &self->objects);
}

TEST_HARNESS_MAIN
