// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: devices that come and go while dirty pages are tracked
 *
 * What a device wrote while it was in the container is told, also when it has
 * left, once; a device that cannot tell makes everything dirty while it is there
 * and once more; and afterwards the answers are as precise as they were.
 */
#include "lib/counts.h"
#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	256
#define LENGTH	(PAGES * SZ_4K)

#define PHYSICAL_PIN	"/sys/module/vfio_mock_dma/parameters/physical_pin"

FIXTURE(scope)
{
	struct bench bench;
	struct report report;
	enum report_kind kind;
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
	report_init(_metadata, &self->report, IOVA, PAGES);
	self->kind = report_kind_of(variant->model);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
}

FIXTURE_TEARDOWN(scope)
{
	bench_close(_metadata, &self->bench);
	report_free(&self->report);
	sysfs_write(PHYSICAL_PIN, "N");
}

static void join(struct __test_metadata *_metadata, struct bench *bench,
		 struct vfio_dev *dev, const char *model, unsigned int skip)
{
	char path[128];

	CHECK_RC(0, mock_find(model, skip, path, sizeof(path)), "%s", model);
	CHECK_RC(0, __vfio_dev_open(dev, &bench->iommu, path), "%s", model);
}

static void query(struct __test_metadata *_metadata, struct bench *bench,
		  struct report *report)
{
	report_query(_metadata, report, &bench->iommu);
}

/* The one that stays writes, and what it wrote is all that there is to tell. */
static void still_precise(struct __test_metadata *_metadata,
			  struct bench *bench, struct report *report,
			  enum report_kind kind, size_t page)
{
	query(_metadata, bench, report);
	report_write(_metadata, report, &bench->dev, kind, page * SZ_4K, SZ_4K);
	query(_metadata, bench, report);
	query(_metadata, bench, report);
}

/* Of the same IOMMU, which shares the page table, and of another one. */
TEST_F(scope, capable)
{
	static const struct {
		const char *model;
		unsigned int skip;
	} devices[] = { { "4k", 1 }, { "2m", 0 }, { "1g", 0 } };
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		size_t at = 10 + 20 * i;

		report_write(_metadata, report, &bench->dev, self->kind,
			     at * SZ_4K, SZ_4K);
		join(_metadata, bench, &dev, devices[i].model,
		     devices[i].skip);
		/* joining makes nothing dirty and cleans nothing */
		query(_metadata, bench, report);
		report_write(_metadata, report, &dev, REPORT_WRITES,
			     (at + 1) * SZ_4K - 1, 2);
		query(_metadata, bench, report);
		query(_metadata, bench, report);
		/* nobody has asked for this one yet when it leaves */
		report_write(_metadata, report, &dev, REPORT_WRITES,
			     (at + 5) * SZ_4K, 3 * SZ_4K);
		report_write(_metadata, report, &bench->dev, self->kind,
			     (at + 15) * SZ_4K, 1);
		vfio_dev_close(&dev);
		query(_metadata, bench, report);
		still_precise(_metadata, bench, report, self->kind, 100 + i);
	}
}

/* All of it while it is there, and once more for what it did at last. */
TEST_F(scope, incapable)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	for (int i = 0; i < 3; i++) {
		join(_metadata, bench, &dev, "nodirty", 0);
		report->all = true;
		if (i != 1) {
			query(_metadata, bench, report);
			query(_metadata, bench, report);
		}
		mock_fill(_metadata, &dev, IOVA, LENGTH, 1);
		vfio_dev_close(&dev);
		report->all = false;
		report_everything(report);
		/* also where nobody asked while it was there */
		query(_metadata, bench, report);
		still_precise(_metadata, bench, report, self->kind, 50 + i);
	}
}

/* Two that cannot tell: it takes both of them to leave. */
TEST_F(scope, incapable_twice)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev one, other;

	join(_metadata, bench, &one, "nodirty", 0);
	join(_metadata, bench, &other, "nodirty", 1);
	report->all = true;
	query(_metadata, bench, report);
	vfio_dev_close(&one);
	query(_metadata, bench, report);
	query(_metadata, bench, report);
	vfio_dev_close(&other);
	report->all = false;
	report_everything(report);
	query(_metadata, bench, report);
	still_precise(_metadata, bench, report, self->kind, 7);
}

/* A device that pins: its pages while it has them, and once more. */
TEST_F(scope, emulated)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	/* there is one only */
	if (self->kind == REPORT_PINS) {
		join(_metadata, bench, &dev, "4k", 0);
		still_precise(_metadata, bench, report, self->kind, 9);
		vfio_dev_close(&dev);
		still_precise(_metadata, bench, report, self->kind, 10);
		return;
	}
	for (int i = 0; i < 3; i++) {
		join(_metadata, bench, &dev, "emulated", 0);
		query(_metadata, bench, report);
		report_write(_metadata, report, &dev, REPORT_PINS,
			     (20 + i) * SZ_4K - 1, 2);
		query(_metadata, bench, report);
		report_write(_metadata, report, &dev, REPORT_PINS, 60 * SZ_4K,
			     1);
		vfio_dev_close(&dev);
		report_unpin(report);
		query(_metadata, bench, report);
		still_precise(_metadata, bench, report, self->kind, 90 + i);
	}
}

/*
 * The last one with an IOMMU leaves bits behind. A container that still has a
 * device keeps what is mapped; that on /dev/iommu does so in any case.
 */
TEST_F(scope, the_last_iommu)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	join(_metadata, bench, &dev,
	     self->kind == REPORT_PINS ? "4k" : "emulated", 0);
	if (self->kind == REPORT_PINS) {
		struct vfio_dev swap = bench->dev;

		bench->dev = dev;
		dev = swap;
	}
	report_write(_metadata, report, &bench->dev, REPORT_WRITES, 3 * SZ_4K,
		     2 * SZ_4K);
	report_write(_metadata, report, &dev, REPORT_PINS, 80 * SZ_4K, 1);
	vfio_dev_close(&bench->dev);
	query(_metadata, bench, report);
	query(_metadata, bench, report);
	report_write(_metadata, report, &dev, REPORT_PINS, 81 * SZ_4K, SZ_4K);
	query(_metadata, bench, report);
	if (variant->mode == MODE_COMPAT) {
		vfio_dev_close(&dev);
		report_unpin(report);
		query(_metadata, bench, report);
		query(_metadata, bench, report);
	}
	/* one that comes now is tracked */
	join(_metadata, bench, &bench->dev, "4k", 1);
	still_precise(_metadata, bench, report, REPORT_WRITES, 33);
	vfio_dev_close(&dev);
}

/* What was left behind goes with the mapping, and with the end of tracking. */
TEST_F(scope, left_behind)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct iommu *iommu = &bench->iommu;
	struct vfio_dev dev;
	__u64 length = LENGTH;

	for (int i = 0; i < 3; i++) {
		join(_metadata, bench, &dev, i ? "2m" : "nodirty", 0);
		mock_fill(_metadata, &dev, IOVA + 9 * SZ_4K, 2 * SZ_4K, 1);
		vfio_dev_close(&dev);
		iommu_unmap(_metadata, iommu, IOVA, LENGTH);
		iommu_map(_metadata, iommu, bench->mem.va, IOVA, LENGTH);
		query(_metadata, bench, report);
	}
	join(_metadata, bench, &dev, "2m", 0);
	report_write(_metadata, report, &dev, REPORT_WRITES, 9 * SZ_4K,
		     2 * SZ_4K);
	vfio_dev_close(&dev);
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd, DIRTY_STOP));
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd, DIRTY_START));
	memset(report->once, 0, sizeof(report->once));
	query(_metadata, bench, report);

	join(_metadata, bench, &dev, "2m", 0);
	report_write(_metadata, report, &dev, REPORT_WRITES, 9 * SZ_4K,
		     2 * SZ_4K);
	vfio_dev_close(&dev);
	bitmap_reset(&report->bm);
	ASSERT_EQ(0, __type1_unmap_bitmap(iommu->fd, IOVA, &length, SZ_4K,
					  report->bm.bits, report->bytes));
	ASSERT_EQ(LENGTH, length);
	report_check(_metadata, report);
}

/* Mapped while none with an IOMMU was there, replayed for the one that joins. */
TEST_F(scope, mapped_before)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct vfio_dev dev;
	struct report report;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	join(_metadata, bench, &dev, "1g", 1);
	report_init(_metadata, &report, at, PAGES);
	query(_metadata, bench, &report);
	report_write(_metadata, &report, &dev, REPORT_WRITES, 0, 1);
	report_write(_metadata, &report, &dev, REPORT_WRITES, LENGTH - 1, 1);
	query(_metadata, bench, &report);
	query(_metadata, bench, &report);
	query(_metadata, bench, &self->report);
	vfio_dev_close(&dev);
	report_free(&report);
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
	struct report *report = &self->report;
	struct vfio_dev dev;

	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "N"));
	join(_metadata, bench, &dev, "nodirty", 0);
	report->all = true;
	mock_fill(_metadata, &dev, IOVA + 4 * SZ_4K, SZ_4K, 1);
	query(_metadata, bench, report);
	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "Y"));
	if (variant->mode == MODE_COMPAT) {
		/* pins nothing, and goes on being unknown */
		mock_fill(_metadata, &dev, IOVA + 5 * SZ_4K, SZ_4K, 1);
		query(_metadata, bench, report);
		query(_metadata, bench, report);
		vfio_dev_close(&dev);
		return;
	}
	report_write(_metadata, report, &dev, REPORT_PINS, 5 * SZ_4K,
		     2 * SZ_4K);
	query(_metadata, bench, report);
	report->all = false;
	query(_metadata, bench, report);
	report_write(_metadata, report, &dev, REPORT_PINS, 70 * SZ_4K, 1);
	/* the one that stays goes on as it did */
	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "N"));
	still_precise(_metadata, bench, report, self->kind, 120);
	/* it unpins, and is still known to pin */
	ASSERT_EQ(0, __vfio_dev_reset(&dev));
	for (size_t page = 0; page < PAGES; page++)
		report->once[page] |= page == 5 || page == 6 || page == 70;
	report->pinned[5] = 0;
	report->pinned[6] = 0;
	report->pinned[70] = 0;
	query(_metadata, bench, report);
	still_precise(_metadata, bench, report, self->kind, 130);
	/* another one that does not pin yet */
	vfio_dev_close(&dev);
	still_precise(_metadata, bench, report, self->kind, 140);
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
