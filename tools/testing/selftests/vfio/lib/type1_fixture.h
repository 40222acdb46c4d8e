/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests of the type1 ABI: a device of each kind in each container, and
 * the dirty pages that the container has to report. Like lib/test.h, only the test
 * itself can include it. A test can add variants.
 */
#ifndef _VFIO_SELFTEST_TYPE1_FIXTURE_H
#define _VFIO_SELFTEST_TYPE1_FIXTURE_H

#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	200
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(type1)
{
	struct bench bench;
	struct report report;
	enum report_kind kind;
};

FIXTURE_VARIANT(type1)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(type1, type1_4k) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(type1, type1_nodirty) {
	.mode = MODE_TYPE1, .model = "nodirty",
};

FIXTURE_VARIANT_ADD(type1, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(type1, compat_4k) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(type1, compat_nodirty) {
	.mode = MODE_COMPAT, .model = "nodirty",
};

FIXTURE_VARIANT_ADD(type1, compat_emulated) {
	.mode = MODE_COMPAT, .model = "emulated",
};

FIXTURE_SETUP(type1)
{
	sysfs_write(EMULATED_PIN, "Y");
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	report_init(_metadata, &self->report, IOVA, PAGES);
	self->kind = report_kind_of(variant->model);
	self->report.all = self->kind == REPORT_NOTHING;
}

FIXTURE_TEARDOWN(type1)
{
	bench_close(_metadata, &self->bench);
	report_free(&self->report);
	sysfs_write(EMULATED_PIN, "Y");
}

#endif
