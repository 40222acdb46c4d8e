// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: unmapping pages that a mediated device has pinned
 *
 * An unmap asks the drivers of mediated devices to unpin, and waits for none of
 * them for ever: a driver that keeps a page pinned makes it fail with EDEADLOCK.
 * The mock device unpins when asked, late, or not at all, as its module's
 * parameters tell.
 */
#include <pthread.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/test.h"
#include "lib/report.h"

#define PARAMETERS	"/sys/module/vfio_mock_dma/parameters/"
#define UNPIN		PARAMETERS "emulated_unpin"
#define UNPIN_DELAY	PARAMETERS "emulated_unpin_delay"

#define IOVA	0x10000000ULL
#define AREA	(16 * SZ_4K)
#define AREAS	4
#define LENGTH	(AREAS * AREA)

/* A pattern of the same byte everywhere. */
#define BYTES(byte)	((byte) * 0x0101010101010101ULL)

/* A write of one byte that the device could not do. */
static bool write_faults(struct __test_metadata *_metadata,
			 struct vfio_dev *dev, __u64 iova)
{
	CHECK_RC(0, __mock_fill(dev, iova, 1, BYTES(0x66)), "no command");
	return mock_get(_metadata, dev, MOCK_REG(status)) != VFIO_MOCK_DMA_OK;
}

FIXTURE(access_unmap)
{
	struct bench bench;
	struct counts before;
	struct guarded_bitmap bm;
};

FIXTURE_VARIANT(access_unmap)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(access_unmap, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(access_unmap, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(access_unmap, iommufd) { .mode = MODE_IOMMUFD };

static void unpins_well(void)
{
	sysfs_write(EMULATED_PIN, "Y");
	sysfs_write(UNPIN, "Y");
	sysfs_write(UNPIN_DELAY, "0");
}

/* Areas of their own beside each other. */
FIXTURE_SETUP(access_unmap)
{
	struct bench *bench = &self->bench;

	unpins_well();
	counts_now(_metadata, &self->before);
	bench_open(_metadata, bench, variant->mode, "emulated");
	mem_alloc(_metadata, &bench->mem, LENGTH, MEM_4K);
	for (int i = 0; i < AREAS; i++)
		iommu_map(_metadata, &bench->iommu, bench->mem.va + i * AREA,
			  IOVA + i * AREA, AREA);
}

/* Whatever was refused, nothing stays pinned or accounted. */
FIXTURE_TEARDOWN(access_unmap)
{
	unpins_well();
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

TEST_F(access_unmap, unmap_of_a_page_that_stays_pinned_is_edeadlock)
{
	struct bench *bench = &self->bench;
	__u64 unmapped = 0;

	mock_fill(_metadata, &bench->dev, IOVA, 1, BYTES(0x11));
	ASSERT_EQ(0, sysfs_write(UNPIN, "N"));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(-EDEADLOCK, __iommu_unmap(&bench->iommu, IOVA, AREA,
						    &unmapped));
		ASSERT_EQ(0, unmapped);
	}
	/* The pinned page and all others can be used as before. */
	mock_fill(_metadata, &bench->dev, IOVA + 1, 1, BYTES(0x22));
	mock_fill(_metadata, &bench->dev, IOVA + SZ_4K, 1, BYTES(0x33));
	ASSERT_EQ(0x22, bench->mem.va[1]);
	ASSERT_EQ(0x33, bench->mem.va[SZ_4K]);
	ASSERT_EQ(0, sysfs_write(UNPIN, "Y"));
	iommu_unmap(_metadata, &bench->iommu, IOVA, AREA);
}

/* Areas in front of the pinned one are unmapped, that one and later ones not. */
TEST_F(access_unmap, unmap_of_areas_stops_at_the_one_that_stays_pinned)
{
	struct bench *bench = &self->bench;
	__u64 unmapped = 0;

	mock_fill(_metadata, &bench->dev, IOVA + 2 * AREA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN, "N"));
	ASSERT_EQ(-EDEADLOCK, __iommu_unmap(&bench->iommu, IOVA, LENGTH,
					    &unmapped));
	mock_fill(_metadata, &bench->dev, IOVA + 2 * AREA + SZ_4K, 1, 1);
	mock_fill(_metadata, &bench->dev, IOVA + 3 * AREA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN, "Y"));
	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, IOVA, LENGTH, &unmapped));
	ASSERT_EQ(2 * AREA, unmapped);
}

/* With dirty bits asked for it is all or nothing, and nothing is lost. */
TEST_F(access_unmap, unmap_with_bitmap_of_a_page_that_stays_pinned_loses_nothing)
{
	const __u64 pages = LENGTH / SZ_4K;
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	__u64 length = LENGTH;

	if (variant->mode == MODE_IOMMUFD)
		return;	/* the unmap of iommufd has no bitmap */
	bitmap_alloc(_metadata, &self->bm, pages, 0);
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
	mock_fill(_metadata, &bench->dev, IOVA + 2 * AREA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN, "N"));
	ASSERT_EQ(-EDEADLOCK, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K,
						   self->bm.bits, pages / 8));
	mock_fill(_metadata, &bench->dev, IOVA + SZ_4K, 1, 1);

	ASSERT_EQ(0, sysfs_write(UNPIN, "Y"));
	length = LENGTH;
	bitmap_reset(&self->bm);
	ASSERT_EQ(0, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K,
					  self->bm.bits, pages / 8));
	ASSERT_EQ(LENGTH, length);
	bitmap_check_guards(_metadata, &self->bm);
	ASSERT_EQ(3, bitmap_count(&self->bm));
	ASSERT_TRUE(bitmap_test(&self->bm, 0));
	ASSERT_TRUE(bitmap_test(&self->bm, 1));
	ASSERT_TRUE(bitmap_test(&self->bm, 2 * AREA / SZ_4K));
}

/* struct unmapper - a thread that unmaps */
struct unmapper {
	struct iommu *iommu;
	__u64 iova;
	__u64 length;
	__u64 unmapped;
	int rc;
	pthread_t thread;
};

static void *unmapper_run(void *data)
{
	struct unmapper *u = data;

	u->rc = __iommu_unmap(u->iommu, u->iova, u->length, &u->unmapped);
	return NULL;
}

static void unmapper_start(struct __test_metadata *_metadata,
			   struct unmapper *u)
{
	CHECK_RC(0, pthread_create(&u->thread, NULL, unmapper_run, u),
		 "no thread");
	/* Long enough to be asking the driver, whose delay is longer. */
	usleep(300 * 1000);
}

/* While the driver is asked to unpin, no page of the area is pinned anew. */
TEST_F(access_unmap, pin_while_an_unmap_is_notified_is_refused)
{
	struct bench *bench = &self->bench;
	struct unmapper u = {
		.iommu = &bench->iommu, .iova = IOVA, .length = AREA,
	};

	mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN_DELAY, "1000"));
	unmapper_start(_metadata, &u);
	/* A page of the area that nobody has pinned, and one of another area. */
	ASSERT_TRUE(write_faults(_metadata, &bench->dev, IOVA + SZ_4K));
	ASSERT_EQ(0, bench->mem.va[SZ_4K]);
	mock_fill(_metadata, &bench->dev, IOVA + AREA, 1, BYTES(0x44));
	ASSERT_EQ(0x44, bench->mem.va[AREA]);
	ASSERT_EQ(0, pthread_join(u.thread, NULL));
	ASSERT_EQ(0, u.rc);
	ASSERT_EQ(AREA, u.unmapped);
	ASSERT_TRUE(write_faults(_metadata, &bench->dev, IOVA));
}

/*
 * An unmap of several areas waits for a driver at the last one. What is mapped
 * meanwhile where areas are gone already is not part of it.
 */
TEST_F(access_unmap, map_behind_a_waiting_unmap_stays)
{
	struct bench *bench = &self->bench;
	struct iommu *iommu = &bench->iommu;
	struct unmapper u = {
		.iommu = iommu, .iova = IOVA, .length = LENGTH,
	};
	__u64 unmapped = 0;

	mock_fill(_metadata, &bench->dev, IOVA + LENGTH - 1, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN_DELAY, "1000"));
	unmapper_start(_metadata, &u);
	ASSERT_EQ(0, __iommu_map(iommu, bench->mem.va, IOVA + AREA, AREA,
				 PROT_DMA_RW));
	/*
	 * The area that the unmap waits for is there still. The ioctls of a
	 * container may wait for each other, and then it is not.
	 */
	if (variant->mode == MODE_IOMMUFD)
		ASSERT_EQ(-EEXIST, __iommu_map(iommu, bench->mem.va,
					       IOVA + LENGTH - AREA, AREA,
					       PROT_DMA_RW));
	ASSERT_EQ(0, pthread_join(u.thread, NULL));
	ASSERT_EQ(0, u.rc);
	ASSERT_EQ(LENGTH, u.unmapped);

	mock_fill(_metadata, &bench->dev, IOVA + AREA, 1, BYTES(0x55));
	ASSERT_EQ(0x55, bench->mem.va[0]);
	ASSERT_EQ(0, sysfs_write(UNPIN_DELAY, "0"));
	ASSERT_EQ(0, __iommu_unmap(iommu, IOVA, LENGTH, &unmapped));
	ASSERT_EQ(AREA, unmapped);
}

/* A device that leaves has to unpin, whatever it does otherwise. */
TEST_F(access_unmap, close_of_a_device_that_does_not_unpin_leaves_nothing)
{
	struct bench *bench = &self->bench;

	for (int i = 0; i < AREAS; i++)
		mock_fill(_metadata, &bench->dev, IOVA + i * AREA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN, "N"));
	ASSERT_EQ(-EDEADLOCK, __iommu_unmap(&bench->iommu, IOVA, LENGTH, NULL));
	vfio_dev_close(&bench->dev);
	iommu_close(&bench->iommu);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

/* Detaching cannot be refused, so the device unpins then. */
TEST_F(access_unmap, detach_of_a_device_that_does_not_unpin_succeeds)
{
	struct bench *bench = &self->bench;

	if (variant->mode != MODE_IOMMUFD)
		return;	/* a container has no such ioctl */
	mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN, "N"));
	ASSERT_EQ(0, __vfio_dev_detach(&bench->dev));
	iommu_unmap(_metadata, &bench->iommu, IOVA, AREA);
}

TEST_HARNESS_MAIN
