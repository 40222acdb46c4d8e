// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: devices that come and go while dirty pages are tracked
 *
 * What a device wrote while it was in the container is told, also when it has
 * left, once; a device that cannot tell makes everything dirty while it is there
 * and once more; and afterwards the answers are as precise as they were.
 */
#include "lib/counts.h"
#include "lib/told.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	256
#define LENGTH	(PAGES * SZ_4K)

#define PHYSICAL_PIN	"/sys/module/vfio_mock_dma/parameters/physical_pin"

FIXTURE(scope)
{
	struct bench bench;
	struct told told;
	enum tells tells;
};

FIXTURE_VARIANT(scope)
{
	enum iommu_mode mode;
	const char *model;
};

/* The device that stays. */
FIXTURE_VARIANT_ADD(scope, type1_4k) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(scope, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(scope, compat_4k) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(scope, compat_emulated) {
	.mode = MODE_COMPAT, .model = "emulated",
};

FIXTURE_SETUP(scope)
{
	struct bench *bench = &self->bench;

	sysfs_write(EMULATED_PIN, "Y");
	sysfs_write(PHYSICAL_PIN, "N");
	bench_open(_metadata, bench, variant->mode, variant->model);
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	told_init(_metadata, &self->told, IOVA, PAGES);
	self->tells = tells_of(variant->model);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
}

FIXTURE_TEARDOWN(scope)
{
	bench_close(_metadata, &self->bench);
	told_free(&self->told);
	sysfs_write(PHYSICAL_PIN, "N");
}

static void join(struct __test_metadata *_metadata, struct bench *bench,
		 struct vfio_dev *dev, const char *model, unsigned int skip)
{
	char path[128];

	CHECK_RC(0, mock_find(model, skip, path, sizeof(path)), "%s", model);
	CHECK_RC(0, __vfio_dev_open(dev, &bench->iommu, path), "%s", model);
}

static void ask(struct __test_metadata *_metadata, struct bench *bench,
		struct told *told)
{
	told_ask(_metadata, told, &bench->iommu);
}

/* The one that stays writes, and what it wrote is all that there is to tell. */
static void still_precise(struct __test_metadata *_metadata,
			  struct bench *bench, struct told *told,
			  enum tells tells, size_t page)
{
	ask(_metadata, bench, told);
	told_write(_metadata, told, &bench->dev, tells, page * SZ_4K, SZ_4K);
	ask(_metadata, bench, told);
	ask(_metadata, bench, told);
}

/* Of the same IOMMU, which shares the page table, and of another one. */
TEST_F(scope, capable)
{
	static const struct {
		const char *model;
		unsigned int skip;
	} devices[] = { { "4k", 1 }, { "2m", 0 }, { "1g", 0 } };
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev dev;

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		size_t at = 10 + 20 * i;

		told_write(_metadata, told, &bench->dev, self->tells,
			   at * SZ_4K, SZ_4K);
		join(_metadata, bench, &dev, devices[i].model,
		     devices[i].skip);
		/* joining makes nothing dirty and cleans nothing */
		ask(_metadata, bench, told);
		told_write(_metadata, told, &dev, TELLS_WRITES,
			   (at + 1) * SZ_4K - 1, 2);
		ask(_metadata, bench, told);
		ask(_metadata, bench, told);
		/* nobody has asked for this one yet when it leaves */
		told_write(_metadata, told, &dev, TELLS_WRITES,
			   (at + 5) * SZ_4K, 3 * SZ_4K);
		told_write(_metadata, told, &bench->dev, self->tells,
			   (at + 15) * SZ_4K, 1);
		vfio_dev_close(&dev);
		ask(_metadata, bench, told);
		still_precise(_metadata, bench, told, self->tells, 100 + i);
	}
}

/* All of it while it is there, and once more for what it did at last. */
TEST_F(scope, incapable)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev dev;

	for (int i = 0; i < 3; i++) {
		join(_metadata, bench, &dev, "nodirty", 0);
		told->all = true;
		if (i != 1) {
			ask(_metadata, bench, told);
			ask(_metadata, bench, told);
		}
		mock_fill(_metadata, &dev, IOVA, LENGTH, 1);
		vfio_dev_close(&dev);
		told->all = false;
		told_everything(told);
		/* also where nobody asked while it was there */
		ask(_metadata, bench, told);
		still_precise(_metadata, bench, told, self->tells, 50 + i);
	}
}

/* Two that cannot tell: it takes both of them to leave. */
TEST_F(scope, incapable_twice)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev one, other;

	join(_metadata, bench, &one, "nodirty", 0);
	join(_metadata, bench, &other, "nodirty", 1);
	told->all = true;
	ask(_metadata, bench, told);
	vfio_dev_close(&one);
	ask(_metadata, bench, told);
	ask(_metadata, bench, told);
	vfio_dev_close(&other);
	told->all = false;
	told_everything(told);
	ask(_metadata, bench, told);
	still_precise(_metadata, bench, told, self->tells, 7);
}

/* A device that pins: its pages while it has them, and once more. */
TEST_F(scope, emulated)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev dev;

	/* there is one only */
	if (self->tells == TELLS_PINS) {
		join(_metadata, bench, &dev, "4k", 0);
		still_precise(_metadata, bench, told, self->tells, 9);
		vfio_dev_close(&dev);
		still_precise(_metadata, bench, told, self->tells, 10);
		return;
	}
	for (int i = 0; i < 3; i++) {
		join(_metadata, bench, &dev, "emulated", 0);
		ask(_metadata, bench, told);
		told_write(_metadata, told, &dev, TELLS_PINS,
			   (20 + i) * SZ_4K - 1, 2);
		ask(_metadata, bench, told);
		told_write(_metadata, told, &dev, TELLS_PINS, 60 * SZ_4K, 1);
		vfio_dev_close(&dev);
		told_unpin(told);
		ask(_metadata, bench, told);
		still_precise(_metadata, bench, told, self->tells, 90 + i);
	}
}

/*
 * The last one with an IOMMU leaves bits behind. A container that still has a
 * device keeps what is mapped; that on /dev/iommu does so in any case.
 */
TEST_F(scope, the_last_iommu)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev dev;

	join(_metadata, bench, &dev,
	     self->tells == TELLS_PINS ? "4k" : "emulated", 0);
	if (self->tells == TELLS_PINS) {
		struct vfio_dev swap = bench->dev;

		bench->dev = dev;
		dev = swap;
	}
	told_write(_metadata, told, &bench->dev, TELLS_WRITES, 3 * SZ_4K,
		   2 * SZ_4K);
	told_write(_metadata, told, &dev, TELLS_PINS, 80 * SZ_4K, 1);
	vfio_dev_close(&bench->dev);
	ask(_metadata, bench, told);
	ask(_metadata, bench, told);
	told_write(_metadata, told, &dev, TELLS_PINS, 81 * SZ_4K, SZ_4K);
	ask(_metadata, bench, told);
	if (variant->mode == MODE_COMPAT) {
		vfio_dev_close(&dev);
		told_unpin(told);
		ask(_metadata, bench, told);
		ask(_metadata, bench, told);
	}
	/* one that comes now is tracked */
	join(_metadata, bench, &bench->dev, "4k", 1);
	still_precise(_metadata, bench, told, TELLS_WRITES, 33);
	vfio_dev_close(&dev);
}

/* What was left behind goes with the mapping, and with the end of tracking. */
TEST_F(scope, left_behind)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct iommu *iommu = &bench->iommu;
	struct vfio_dev dev;
	__u64 length = LENGTH;

	for (int i = 0; i < 3; i++) {
		join(_metadata, bench, &dev, i ? "2m" : "nodirty", 0);
		mock_fill(_metadata, &dev, IOVA + 9 * SZ_4K, 2 * SZ_4K, 1);
		vfio_dev_close(&dev);
		iommu_unmap(_metadata, iommu, IOVA, LENGTH);
		iommu_map(_metadata, iommu, bench->mem.va, IOVA, LENGTH);
		ask(_metadata, bench, told);
	}
	join(_metadata, bench, &dev, "2m", 0);
	told_write(_metadata, told, &dev, TELLS_WRITES, 9 * SZ_4K, 2 * SZ_4K);
	vfio_dev_close(&dev);
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd, DIRTY_STOP));
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd, DIRTY_START));
	memset(told->once, 0, sizeof(told->once));
	ask(_metadata, bench, told);

	join(_metadata, bench, &dev, "2m", 0);
	told_write(_metadata, told, &dev, TELLS_WRITES, 9 * SZ_4K, 2 * SZ_4K);
	vfio_dev_close(&dev);
	bitmap_reset(&told->bm);
	ASSERT_EQ(0, __type1_unmap_bitmap(iommu->fd, IOVA, &length, SZ_4K,
					  told->bm.bits, told->bytes));
	ASSERT_EQ(LENGTH, length);
	told_check(_metadata, told);
}

/* Mapped while none with an IOMMU was there, replayed for the one that joins. */
TEST_F(scope, mapped_before)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct vfio_dev dev;
	struct told told;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	join(_metadata, bench, &dev, "1g", 1);
	told_init(_metadata, &told, at, PAGES);
	ask(_metadata, bench, &told);
	told_write(_metadata, &told, &dev, TELLS_WRITES, 0, 1);
	told_write(_metadata, &told, &dev, TELLS_WRITES, LENGTH - 1, 1);
	ask(_metadata, bench, &told);
	ask(_metadata, bench, &told);
	ask(_metadata, bench, &self->told);
	vfio_dev_close(&dev);
	told_free(&told);
}

/*
 * A device behind an IOMMU without dirty bits that pins what it writes: from its
 * first pin on these pages are what it can have written. Whatever it wrote before
 * is told once. Drivers pin through the container, which for a device with an
 * IOMMU only that of type1 can do.
 */
TEST_F(scope, pins_behind_an_iommu)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev dev;

	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "N"));
	join(_metadata, bench, &dev, "nodirty", 0);
	told->all = true;
	mock_fill(_metadata, &dev, IOVA + 4 * SZ_4K, SZ_4K, 1);
	ask(_metadata, bench, told);
	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "Y"));
	if (variant->mode == MODE_COMPAT) {
		/* pins nothing, and goes on being unknown */
		mock_fill(_metadata, &dev, IOVA + 5 * SZ_4K, SZ_4K, 1);
		ask(_metadata, bench, told);
		ask(_metadata, bench, told);
		vfio_dev_close(&dev);
		return;
	}
	told_write(_metadata, told, &dev, TELLS_PINS, 5 * SZ_4K, 2 * SZ_4K);
	ask(_metadata, bench, told);
	told->all = false;
	ask(_metadata, bench, told);
	told_write(_metadata, told, &dev, TELLS_PINS, 70 * SZ_4K, 1);
	/* the one that stays goes on as it did */
	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "N"));
	still_precise(_metadata, bench, told, self->tells, 120);
	/* it unpins, and is still known to pin */
	ASSERT_EQ(0, __vfio_dev_reset(&dev));
	for (size_t page = 0; page < PAGES; page++)
		told->once[page] |= page == 5 || page == 6 || page == 70;
	told->pinned[5] = 0;
	told->pinned[6] = 0;
	told->pinned[70] = 0;
	ask(_metadata, bench, told);
	still_precise(_metadata, bench, told, self->tells, 130);
	/* another one that does not pin yet */
	vfio_dev_close(&dev);
	still_precise(_metadata, bench, told, self->tells, 140);
}

/* However they come and go, nothing stays pinned. */
TEST_F(scope, nothing_is_left)
{
	static const char *const models[] = { "2m", "nodirty", "1g", "2k" };
	struct bench *bench = &self->bench;
	struct counts counts;
	struct vfio_dev dev;

	counts_now(_metadata, &counts);
	for (int i = 0; i < 8; i++) {
		join(_metadata, bench, &dev, models[i % ARRAY_SIZE(models)],
		     i / 4);
		mock_fill(_metadata, &dev, IOVA, LENGTH, 1);
		vfio_dev_close(&dev);
		counts_check(_metadata, &counts, 0, 0, 0);
	}
}

TEST_HARNESS_MAIN
