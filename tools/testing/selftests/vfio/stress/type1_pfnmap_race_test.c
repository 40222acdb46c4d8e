// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the end of a BAR mapping against all users of the BAR
 *
 * The BAR of an edu device is mapped in a container that has mock devices only,
 * so that all of its IOMMUs support dirty tracking. Threads concurrently map
 * and unmap the BAR, remove it from the process, query dirty pages, and attach
 * a device. A debug kernel must report nothing.
 *
 * RACE_SECONDS in the environment sets the duration of the race.
 */
#include <sys/mman.h>

#include "lib/counts.h"
#include "lib/device/edu.h"
#include "lib/race/race.h"
#include "lib/test.h"

#define RAM_IOVA	0x800000ULL
#define RAM_LENGTH	(16 * SZ_4K)
/* The BAR follows the memory, so that a query covers both. */
#define BAR_IOVA	(RAM_IOVA + RAM_LENGTH)
#define DIRTY_START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START

/**
 * struct bar_objects - objects that the threads share
 * @iommu: the container
 * @owner: container of the edu device
 * @edu: the device with the BAR
 * @mock: the device that stays attached
 * @second: a device that is attached and detached
 * @path: sysfs directories of the three devices
 * @bar: the BAR of @edu
 * @va: mapping of the BAR
 */
struct bar_objects {
	struct iommu iommu;
	struct iommu owner;
	struct vfio_dev edu;
	struct vfio_dev mock;
	struct vfio_dev second;
	char path[3][128];
	struct vfio_region_info bar;
	__u8 *va;
};

FIXTURE(bar_race)
{
	struct bar_objects objects;
	struct mem mem;
	struct counts counts;
};

FIXTURE_VARIANT(bar_race)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(bar_race, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(bar_race, compat) { .mode = MODE_COMPAT };

static void *map_bar(struct bar_objects *objects, void *at)
{
	return mmap(at, objects->bar.size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | (at ? MAP_FIXED : 0), objects->edu.fd,
		    objects->bar.offset);
}

FIXTURE_SETUP(bar_race)
{
	struct bar_objects *objects = &self->objects;

	iommu_allow_pfnmap(true);
	iommu_open(_metadata, &objects->iommu, variant->mode);
	iommu_open(_metadata, &objects->owner, MODE_TYPE1);
	ASSERT_EQ(0, edu_find(objects->path[0], sizeof(objects->path[0])));
	ASSERT_EQ(0, mock_find("4k", 0, objects->path[1],
			       sizeof(objects->path[1])));
	ASSERT_EQ(0, mock_find("4k", 1, objects->path[2],
			       sizeof(objects->path[2])));
	ASSERT_EQ(0, __edu_bind(objects->path[0]));
	ASSERT_EQ(0, __vfio_dev_open(&objects->edu, &objects->owner,
				     objects->path[0]));
	ASSERT_EQ(0, __vfio_dev_open(&objects->mock, &objects->iommu,
				     objects->path[1]));
	ASSERT_EQ(0, __edu_enable(&objects->edu));
	ASSERT_EQ(0,
		  __vfio_dev_region(&objects->edu, VFIO_PCI_BAR0_REGION_INDEX,
				    &objects->bar));
	mem_alloc(_metadata, &self->mem, RAM_LENGTH, MEM_4K);
	counts_now(_metadata, &self->counts);
	iommu_map(_metadata, &objects->iommu, self->mem.va, RAM_IOVA,
		  RAM_LENGTH);
	objects->va = map_bar(objects, NULL);
	ASSERT_NE(MAP_FAILED, (void *)objects->va);
	ASSERT_EQ(0, __type1_dirty_flag(objects->iommu.fd, DIRTY_START));
}

FIXTURE_TEARDOWN(bar_race)
{
	munmap(self->objects.va, self->objects.bar.size);
	vfio_dev_close(&self->objects.edu);
	vfio_dev_close(&self->objects.mock);
	iommu_close(&self->objects.iommu);
	iommu_close(&self->objects.owner);
	iommu_allow_pfnmap(false);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	mem_free(&self->mem);
}

/* The BAR may be removed, but a mapping is unmapped as a whole. */
static int step_map(struct race_thread *thread)
{
	struct bar_objects *objects = thread->data;
	__u64 unmapped;
	int rc;

	rc = __iommu_map(&objects->iommu, objects->va, BAR_IOVA,
			 objects->bar.size, PROT_DMA_RW);
	if (rc == -EFAULT)
		return 0;
	rc = rc ?: __type1_unmap(objects->iommu.fd, BAR_IOVA, objects->bar.size,
				 &unmapped);
	return rc ?: unmapped == objects->bar.size ? 0 : -EIO;
}

static int step_disable(struct race_thread *thread)
{
	struct bar_objects *objects = thread->data;

	return __edu_disable_memory(&objects->edu) ?:
	       __edu_enable(&objects->edu);
}

static int step_remap(struct race_thread *thread)
{
	struct bar_objects *objects = thread->data;

	/* Not a hole: another thread's memory could take its place. */
	if (thread->round % 2 &&
	    mmap(objects->va, objects->bar.size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != objects->va)
		return -errno;
	return map_bar(objects, objects->va) == objects->va ? 0 : -errno;
}

static int step_query(struct race_thread *thread)
{
	struct bar_objects *objects = thread->data;
	__u64 bits[8] = {};

	return __type1_dirty_get(objects->iommu.fd, RAM_IOVA,
				 8 * sizeof(bits) * SZ_4K, SZ_4K, bits,
				 sizeof(bits));
}

/* EFAULT: the BAR may be removed before the device is attached. */
static int step_attach(struct race_thread *thread)
{
	struct bar_objects *objects = thread->data;
	int rc;

	rc = __vfio_dev_open(&objects->second, &objects->iommu,
			     objects->path[2]);
	if (!rc)
		vfio_dev_close(&objects->second);
	return rc == -EFAULT ? 0 : rc;
}

static int (*const steps[])(struct race_thread *thread) = {
	step_map, step_disable, step_remap, step_query, step_attach,
};

#define STEPS	(sizeof(steps) / sizeof(*steps))

TEST_F_TIMEOUT(bar_race, concurrent_users_of_a_bar_succeed, 3600)
{
	struct race_thread threads[STEPS] = {};
	double end = race_now() + race_seconds();

	for (unsigned int i = 0; i < STEPS; i++) {
		threads[i].data = &self->objects;
		race_thread_start(_metadata, &threads[i], NULL, steps[i]);
	}
	while (race_now() < end)
		usleep(100000);
	for (unsigned int i = 0; i < STEPS; i++)
		race_thread_stop(_metadata, &threads[i]);
	for (unsigned int i = 0; i < STEPS; i++)
		TH_LOG("step %u: %u rounds", i, threads[i].round);
}

/* A BAR has no dirty bits: its pages are dirty in every result. */
TEST_F(bar_race, bar_is_dirty_in_every_result)
{
	struct bar_objects *objects = &self->objects;
	const size_t pages = objects->bar.size / SZ_4K;
	struct guarded_bitmap bm;

	iommu_map(_metadata, &objects->iommu, objects->va, BAR_IOVA,
		  objects->bar.size);
	bitmap_alloc(_metadata, &bm, (pages + 63) / 64 * 64, 0);
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			ASSERT_EQ(0, __edu_disable_memory(&objects->edu));
		bitmap_reset(&bm);
		ASSERT_EQ(0, __type1_dirty_get(objects->iommu.fd, BAR_IOVA,
					       objects->bar.size, SZ_4K,
					       bm.bits, bitmap_bytes(&bm)));
		bitmap_check_guards(_metadata, &bm);
		ASSERT_EQ(pages, bitmap_count(&bm));
	}
	bitmap_free(&bm);
}

/* Skip the tests if the machine lacks the devices. */
int main(int argc, char **argv)
{
	char path[128];

	if (edu_find(path, sizeof(path))) {
		ksft_print_header();
		ksft_exit_skip("no edu device: qemu -device edu\n");
	}
	return test_harness_run(argc, argv);
}
