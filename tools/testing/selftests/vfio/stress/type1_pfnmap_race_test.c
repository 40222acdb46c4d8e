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
 * struct playground - objects that the threads share
 * @iommu: the container
 * @owner: container of the edu device
 * @edu: the device with the BAR
 * @mock: the device that stays attached
 * @joins: a device that is attached and detached
 * @path: sysfs directories of the three devices
 * @bar: the BAR of @edu
 * @va: mapping of the BAR
 */
struct playground {
	struct iommu iommu;
	struct iommu owner;
	struct vfio_dev edu;
	struct vfio_dev mock;
	struct vfio_dev joins;
	char path[3][128];
	struct vfio_region_info bar;
	__u8 *va;
};

FIXTURE(bar_race)
{
	struct playground play;
	struct mem mem;
	struct counts counts;
};

FIXTURE_VARIANT(bar_race)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(bar_race, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(bar_race, compat) { .mode = MODE_COMPAT };

static void *map_bar(struct playground *play, void *at)
{
	return mmap(at, play->bar.size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | (at ? MAP_FIXED : 0), play->edu.fd,
		    play->bar.offset);
}

FIXTURE_SETUP(bar_race)
{
	struct playground *play = &self->play;

	iommu_allow_pfnmap(true);
	iommu_open(_metadata, &play->iommu, variant->mode);
	iommu_open(_metadata, &play->owner, MODE_TYPE1);
	ASSERT_EQ(0, edu_find(play->path[0], sizeof(play->path[0])));
	ASSERT_EQ(0, mock_find("4k", 0, play->path[1], sizeof(play->path[1])));
	ASSERT_EQ(0, mock_find("4k", 1, play->path[2], sizeof(play->path[2])));
	ASSERT_EQ(0, __edu_bind(play->path[0]));
	ASSERT_EQ(0, __vfio_dev_open(&play->edu, &play->owner, play->path[0]));
	ASSERT_EQ(0, __vfio_dev_open(&play->mock, &play->iommu, play->path[1]));
	ASSERT_EQ(0, __edu_enable(&play->edu));
	ASSERT_EQ(0, __vfio_dev_region(&play->edu, VFIO_PCI_BAR0_REGION_INDEX,
				       &play->bar));
	mem_alloc(_metadata, &self->mem, RAM_LENGTH, MEM_4K);
	counts_now(_metadata, &self->counts);
	iommu_map(_metadata, &play->iommu, self->mem.va, RAM_IOVA, RAM_LENGTH);
	play->va = map_bar(play, NULL);
	ASSERT_NE(MAP_FAILED, (void *)play->va);
	ASSERT_EQ(0, __type1_dirty_flag(play->iommu.fd, DIRTY_START));
}

FIXTURE_TEARDOWN(bar_race)
{
	munmap(self->play.va, self->play.bar.size);
	vfio_dev_close(&self->play.edu);
	vfio_dev_close(&self->play.mock);
	iommu_close(&self->play.iommu);
	iommu_close(&self->play.owner);
	iommu_allow_pfnmap(false);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	mem_free(&self->mem);
}

/* The BAR may be removed, but a mapping is unmapped as a whole. */
static int step_map(struct racer *racer)
{
	struct playground *play = racer->data;
	__u64 unmapped;
	int rc;

	rc = __iommu_map(&play->iommu, play->va, BAR_IOVA, play->bar.size,
			 PROT_DMA_RW);
	if (rc == -EFAULT)
		return 0;
	rc = rc ?: __type1_unmap(play->iommu.fd, BAR_IOVA, play->bar.size,
				 &unmapped);
	return rc ?: unmapped == play->bar.size ? 0 : -EIO;
}

static int step_disable(struct racer *racer)
{
	struct playground *play = racer->data;

	return __edu_disable_memory(&play->edu) ?: __edu_enable(&play->edu);
}

static int step_remap(struct racer *racer)
{
	struct playground *play = racer->data;

	/* Not a hole: another thread's memory could take its place. */
	if (racer->round % 2 &&
	    mmap(play->va, play->bar.size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != play->va)
		return -errno;
	return map_bar(play, play->va) == play->va ? 0 : -errno;
}

static int step_query(struct racer *racer)
{
	struct playground *play = racer->data;
	__u64 bits[8] = {};

	return __type1_dirty_get(play->iommu.fd, RAM_IOVA,
				 8 * sizeof(bits) * SZ_4K, SZ_4K, bits,
				 sizeof(bits));
}

/* EFAULT: the BAR may be removed before the device is attached. */
static int step_join(struct racer *racer)
{
	struct playground *play = racer->data;
	int rc;

	rc = __vfio_dev_open(&play->joins, &play->iommu, play->path[2]);
	if (!rc)
		vfio_dev_close(&play->joins);
	return rc == -EFAULT ? 0 : rc;
}

static int (* const steps[])(struct racer *racer) = {
	step_map, step_disable, step_remap, step_query, step_join,
};

#define STEPS	(sizeof(steps) / sizeof(*steps))

TEST_F_TIMEOUT(bar_race, concurrent_users_of_a_bar_succeed, 3600)
{
	struct racer racers[STEPS] = {};
	double end = race_now() + race_seconds();

	for (unsigned int i = 0; i < STEPS; i++) {
		racers[i].data = &self->play;
		racer_start(_metadata, &racers[i], NULL, steps[i]);
	}
	while (race_now() < end)
		usleep(100000);
	for (unsigned int i = 0; i < STEPS; i++)
		racer_stop(_metadata, &racers[i]);
	for (unsigned int i = 0; i < STEPS; i++)
		TH_LOG("step %u: %u rounds", i, racers[i].round);
}

/* A BAR has no dirty bits: its pages are dirty in every result. */
TEST_F(bar_race, bar_is_dirty_in_every_result)
{
	struct playground *play = &self->play;
	const size_t pages = play->bar.size / SZ_4K;
	struct guarded_bitmap bm;

	iommu_map(_metadata, &play->iommu, play->va, BAR_IOVA, play->bar.size);
	bitmap_alloc(_metadata, &bm, (pages + 63) / 64 * 64, 0);
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			ASSERT_EQ(0, __edu_disable_memory(&play->edu));
		bitmap_reset(&bm);
		ASSERT_EQ(0, __type1_dirty_get(play->iommu.fd, BAR_IOVA,
					       play->bar.size, SZ_4K, bm.bits,
					       bitmap_bytes(&bm)));
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
