// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: devices that are attached and detached during dirty tracking
 *
 * The writes of a device are reported once, also after it was detached. While a
 * device lacks dirty tracking, and once after its detach, every mapped page is
 * reported. Afterwards the results are precise again.
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

/* The device that stays attached. */
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

static void attach(struct __test_metadata *_metadata, struct bench *bench,
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

/*
 * Write with the remaining device, and check that only its writes are reported.
 */
static void check_precise(struct __test_metadata *_metadata,
			  struct bench *bench, struct report *report,
			  enum report_kind kind, size_t page)
{
	query(_metadata, bench, report);
	report_write(_metadata, report, &bench->dev, kind, page * SZ_4K, SZ_4K);
	query(_metadata, bench, report);
	query(_metadata, bench, report);
}

/*
 * A device of the same IOMMU, which shares the page table, or of another one.
 */
TEST_F(scope, device_with_tracking_is_reported_once)
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
		attach(_metadata, bench, &dev, devices[i].model,
		       devices[i].skip);
		/* Attaching neither sets nor clears dirty bits. */
		query(_metadata, bench, report);
		report_write(_metadata, report, &dev, REPORT_WRITES,
			     (at + 1) * SZ_4K - 1, 2);
		query(_metadata, bench, report);
		query(_metadata, bench, report);
		/* Written without a query before the detach. */
		report_write(_metadata, report, &dev, REPORT_WRITES,
			     (at + 5) * SZ_4K, 3 * SZ_4K);
		report_write(_metadata, report, &bench->dev, self->kind,
			     (at + 15) * SZ_4K, 1);
		vfio_dev_close(&dev);
		query(_metadata, bench, report);
		check_precise(_metadata, bench, report, self->kind, 100 + i);
	}
}

/* Every page is reported while the device is attached, and once more. */
TEST_F(scope, device_without_tracking_is_conservative_and_once_more)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	for (int i = 0; i < 3; i++) {
		attach(_metadata, bench, &dev, "nodirty", 0);
		report->all = true;
		if (i != 1) {
			query(_metadata, bench, report);
			query(_metadata, bench, report);
		}
		mock_fill(_metadata, &dev, IOVA, LENGTH, 1);
		vfio_dev_close(&dev);
		report->all = false;
		report_everything(report);
		/* Also without a query while the device was attached. */
		query(_metadata, bench, report);
		check_precise(_metadata, bench, report, self->kind, 50 + i);
	}
}

/* With two such devices, every page is reported until both are detached. */
TEST_F(scope, two_devices_without_tracking_are_conservative_until_both_detach)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev one, other;

	attach(_metadata, bench, &one, "nodirty", 0);
	attach(_metadata, bench, &other, "nodirty", 1);
	report->all = true;
	query(_metadata, bench, report);
	vfio_dev_close(&one);
	query(_metadata, bench, report);
	query(_metadata, bench, report);
	vfio_dev_close(&other);
	report->all = false;
	report_everything(report);
	query(_metadata, bench, report);
	check_precise(_metadata, bench, report, self->kind, 7);
}

/*
 * Pages that a driver has pinned are reported until its detach and once more.
 */
TEST_F(scope, device_that_pins_is_reported_until_detach_and_once_more)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	/* There is only one emulated device, which stays attached. */
	if (self->kind == REPORT_PINS) {
		attach(_metadata, bench, &dev, "4k", 0);
		check_precise(_metadata, bench, report, self->kind, 9);
		vfio_dev_close(&dev);
		check_precise(_metadata, bench, report, self->kind, 10);
		return;
	}
	for (int i = 0; i < 3; i++) {
		attach(_metadata, bench, &dev, "emulated", 0);
		query(_metadata, bench, report);
		report_write(_metadata, report, &dev, REPORT_PINS,
			     (20 + i) * SZ_4K - 1, 2);
		query(_metadata, bench, report);
		report_write(_metadata, report, &dev, REPORT_PINS, 60 * SZ_4K,
			     1);
		vfio_dev_close(&dev);
		report_unpin(report);
		query(_metadata, bench, report);
		check_precise(_metadata, bench, report, self->kind, 90 + i);
	}
}

/*
 * The detach of the last device with an IOMMU keeps its dirty bits. A container
 * with a device keeps its mappings; the compat container keeps them always.
 */
TEST_F(scope, detach_of_last_iommu_keeps_dirty_bits)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	attach(_metadata, bench, &dev,
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
	if (bench->iommu.mode == MODE_COMPAT) {
		vfio_dev_close(&dev);
		report_unpin(report);
		query(_metadata, bench, report);
		query(_metadata, bench, report);
	}
	/* A device that is attached now is tracked. */
	attach(_metadata, bench, &bench->dev, "4k", 1);
	check_precise(_metadata, bench, report, REPORT_WRITES, 33);
	vfio_dev_close(&dev);
}

/* Pending pages are discarded by an unmap, and by STOP. */
TEST_F(scope, pending_pages_are_discarded_by_unmap_and_stop)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct iommu *iommu = &bench->iommu;
	struct vfio_dev dev;
	__u64 length = LENGTH;

	for (int i = 0; i < 3; i++) {
		attach(_metadata, bench, &dev, i ? "2m" : "nodirty", 0);
		mock_fill(_metadata, &dev, IOVA + 9 * SZ_4K, 2 * SZ_4K, 1);
		vfio_dev_close(&dev);
		iommu_unmap(_metadata, iommu, IOVA, LENGTH);
		iommu_map(_metadata, iommu, bench->mem.va, IOVA, LENGTH);
		query(_metadata, bench, report);
	}
	attach(_metadata, bench, &dev, "2m", 0);
	report_write(_metadata, report, &dev, REPORT_WRITES, 9 * SZ_4K,
		     2 * SZ_4K);
	vfio_dev_close(&dev);
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd, DIRTY_STOP));
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd, DIRTY_START));
	memset(report->once, 0, sizeof(report->once));
	query(_metadata, bench, report);

	attach(_metadata, bench, &dev, "2m", 0);
	report_write(_metadata, report, &dev, REPORT_WRITES, 9 * SZ_4K,
		     2 * SZ_4K);
	vfio_dev_close(&dev);
	bitmap_reset(&report->bm);
	ASSERT_EQ(0, __type1_unmap_bitmap(iommu->fd, IOVA, &length, SZ_4K,
					  report->bm.bits, report->bytes));
	ASSERT_EQ(LENGTH, length);
	report_check(_metadata, report);
}

/* Map without an IOMMU, and then attach a device with an IOMMU. */
TEST_F(scope, mapping_from_before_attach_is_tracked)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct vfio_dev dev;
	struct report report;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	attach(_metadata, bench, &dev, "1g", 1);
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
 * A device whose IOMMU lacks dirty tracking, but whose driver pins pages. After
 * its first pin, only pinned pages are reported; before it, every page, and
 * once more. The driver of a device with an IOMMU can pin pages in type1 only.
 */
TEST_F(scope, device_that_pins_without_tracking_becomes_precise)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev dev;

	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "N"));
	attach(_metadata, bench, &dev, "nodirty", 0);
	report->all = true;
	mock_fill(_metadata, &dev, IOVA + 4 * SZ_4K, SZ_4K, 1);
	query(_metadata, bench, report);
	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "Y"));
	if (bench->iommu.mode == MODE_COMPAT) {
		/* The driver pins nothing, so every page is reported. */
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
	/* The remaining device is precise. */
	ASSERT_EQ(0, sysfs_write(PHYSICAL_PIN, "N"));
	check_precise(_metadata, bench, report, self->kind, 120);
	/* After it unpins, the device is still one that pins. */
	ASSERT_EQ(0, __vfio_dev_reset(&dev));
	for (size_t page = 0; page < PAGES; page++)
		report->once[page] |= page == 5 || page == 6 || page == 70;
	report->pinned[5] = 0;
	report->pinned[6] = 0;
	report->pinned[70] = 0;
	query(_metadata, bench, report);
	check_precise(_metadata, bench, report, self->kind, 130);
	/* Another device that has not pinned yet. */
	vfio_dev_close(&dev);
	check_precise(_metadata, bench, report, self->kind, 140);
}

/* Attaching and detaching leaves nothing pinned. */
TEST_F(scope, attach_and_detach_leave_nothing_pinned)
{
	static const char *const models[] = { "2m", "nodirty", "1g", "2k" };
	struct bench *bench = &self->bench;
	struct counts counts;
	struct vfio_dev dev;

	counts_now(_metadata, &counts);
	for (int i = 0; i < 8; i++) {
		attach(_metadata, bench, &dev, models[i % ARRAY_SIZE(models)],
		       i / 4);
		mock_fill(_metadata, &dev, IOVA, LENGTH, 1);
		vfio_dev_close(&dev);
		counts_check(_metadata, &counts, 0, 0, 0);
	}
}

TEST_HARNESS_MAIN
