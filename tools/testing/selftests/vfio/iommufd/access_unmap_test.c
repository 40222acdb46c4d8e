// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: unmapping pages that a mediated device has pinned
 *
 * An unmap notifies the drivers of mediated devices to unpin, and does not wait
 * forever: it fails with EDEADLOCK if a driver keeps a page pinned. The mock
 * device unpins when notified, late, or not at all, as set by its module's
 * parameters.
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

/* A pattern that repeats one byte */
#define BYTES(byte)	((byte) * 0x0101010101010101ULL)

/* Write one byte and return true if the device faults. */
static bool write_faults(struct __test_metadata *_metadata,
			 struct vfio_dev *dev, __u64 iova)
{
	CHECK_RC(0, __mock_fill(dev, iova, 1, BYTES(0x66)),
		 "the command was refused");
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

/* Map adjacent areas by one call each. */
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

/* Check that refused calls leave nothing pinned or accounted. */
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
	/* The pinned page and the other pages can be used as before. */
	mock_fill(_metadata, &bench->dev, IOVA + 1, 1, BYTES(0x22));
	mock_fill(_metadata, &bench->dev, IOVA + SZ_4K, 1, BYTES(0x33));
	ASSERT_EQ(0x22, bench->mem.va[1]);
	ASSERT_EQ(0x33, bench->mem.va[SZ_4K]);
	ASSERT_EQ(0, sysfs_write(UNPIN, "Y"));
	iommu_unmap(_metadata, &bench->iommu, IOVA, AREA);
}

/* The areas before the pinned one are unmapped, this and later ones are not. */
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

/*
 * An unmap with a bitmap unmaps everything or nothing, and loses no dirty page.
 */
TEST_F(access_unmap, unmap_with_bitmap_of_a_page_that_stays_pinned_loses_nothing)
{
	const __u64 pages = LENGTH / SZ_4K;
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	__u64 length = LENGTH;

	if (variant->mode == MODE_IOMMUFD)
		return;	/* The unmap of iommufd has no bitmap. */
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
		 "cannot start a thread");
	/* By then the unmap has notified the driver, whose delay is longer. */
	usleep(300 * 1000);
}

/* While an unmap notifies the driver, no page of the area can be pinned. */
TEST_F(access_unmap, pin_while_an_unmap_is_notified_is_refused)
{
	struct bench *bench = &self->bench;
	struct unmapper u = {
		.iommu = &bench->iommu, .iova = IOVA, .length = AREA,
	};

	mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN_DELAY, "1000"));
	unmapper_start(_metadata, &u);
	/* An unpinned page of the area, and a page of another area. */
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
 * An unmap of several areas waits for a driver at the last one. Areas that are
 * mapped meanwhile, at IOVAs that are unmapped already, are not part of it.
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
	 * The area that the unmap waits for still exists. The ioctls of a
	 * container may serialize: then it is unmapped by now.
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

/*
 * Closing a device unpins its pages, even if its driver ignores the notifier.
 */
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

/* A detach cannot be refused, so the device unpins its pages. */
TEST_F(access_unmap, detach_of_a_device_that_does_not_unpin_succeeds)
{
	struct bench *bench = &self->bench;

	if (variant->mode != MODE_IOMMUFD)
		return;	/* A container has no such ioctl. */
	mock_fill(_metadata, &bench->dev, IOVA, 1, 1);
	ASSERT_EQ(0, sysfs_write(UNPIN, "N"));
	ASSERT_EQ(0, __vfio_dev_detach(&bench->dev));
	iommu_unmap(_metadata, &bench->iommu, IOVA, AREA);
}

TEST_HARNESS_MAIN
