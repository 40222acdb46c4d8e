// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: VFIO_IOMMU_DIRTY_PAGES, what it tells
 *
 * A container tells the pages that were written, where every IOMMU in it has
 * dirty bits; those that drivers have pinned or written; and every mapped page
 * while there is an IOMMU that cannot tell. What is refused is in
 * dirty_type1_errno_test.c, devices that come and go in type1_scope_test.c.
 */
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

FIXTURE_VARIANT_ADD(type1, type1_2k) {
	.mode = MODE_TYPE1, .model = "2k",
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

FIXTURE_VARIANT_ADD(type1, compat_2k) {
	.mode = MODE_COMPAT, .model = "2k",
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

static void start(struct __test_metadata *_metadata, struct bench *bench)
{
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
}

static void stop(struct __test_metadata *_metadata, struct bench *bench)
{
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_STOP));
}

/* Exactly that, and clean after; what is pinned stays dirty. */
TEST_F(type1, what_is_dirty)
{
	static const struct {
		__u64 offset, length;
	} writes[] = {
		{ 0, 1 }, { SZ_4K - 1, 2 }, { 5 * SZ_4K + 1, 3 * SZ_4K },
		{ LENGTH - 1, 1 }, { 63 * SZ_4K, 2 * SZ_4K }, { 0, LENGTH },
	};
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	start(_metadata, bench);
	report_query(_metadata, report, &bench->iommu);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		report_write(_metadata, report, &bench->dev, self->kind,
			     writes[i].offset, writes[i].length);
		report_query(_metadata, report, &bench->iommu);
		report_query(_metadata, report, &bench->iommu);
	}
	if (self->kind == REPORT_PINS) {
		ASSERT_EQ(0, __vfio_dev_reset(&bench->dev));
		report_unpin(report);
		report_query(_metadata, report, &bench->iommu);
		report_query(_metadata, report, &bench->iommu);
	}
	stop(_metadata, bench);
}

/* Reads make nothing dirty, nor do writes that fault. */
TEST_F(type1, what_is_not)
{
	struct bench *bench = &self->bench;

	start(_metadata, bench);
	ASSERT_EQ(0, __mock_run(&bench->dev, VFIO_MOCK_DMA_CMD_READ, IOVA, 0,
				16 * SZ_4K));
	ASSERT_EQ(VFIO_MOCK_DMA_OK, mock_get(_metadata, &bench->dev,
					     MOCK_REG(status)));
	report_query(_metadata, &self->report, &bench->iommu);
	ASSERT_EQ(0, __mock_fill(&bench->dev, IOVA + LENGTH, SZ_4K, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, &bench->dev,
						MOCK_REG(status)));
	report_query(_metadata, &self->report, &bench->iommu);
}

/* A page is written again after each answer: that sets its bit again. */
TEST_F(type1, written_again)
{
	struct bench *bench = &self->bench;

	start(_metadata, bench);
	for (int i = 0; i < 20; i++) {
		report_write(_metadata, &self->report, &bench->dev, self->kind,
			     7 * SZ_4K, 8);
		report_write(_metadata, &self->report, &bench->dev, self->kind,
			     7 * SZ_4K + 80, 8);
		report_query(_metadata, &self->report, &bench->iommu);
	}
}

/* What was written before, or while tracking was off, is nobody's concern. */
TEST_F(type1, starts_clean)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	for (int i = 0; i < 3; i++) {
		report_write(_metadata, report, &bench->dev, self->kind,
			     i * SZ_4K, SZ_4K);
		memset(report->once, 0, sizeof(report->once));
		start(_metadata, bench);
		report_query(_metadata, report, &bench->iommu);
		/* not asked for before the end */
		report_write(_metadata, report, &bench->dev, self->kind,
			     (100 + i) * SZ_4K, SZ_4K);
		stop(_metadata, bench);
	}
}

/* To start again what has started forgets nothing. */
TEST_F(type1, start_and_stop)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	stop(_metadata, bench);
	ASSERT_EQ(-EINVAL, __report_query(report, &bench->iommu));
	for (int i = 0; i < 3; i++) {
		start(_metadata, bench);
		report_write(_metadata, report, &bench->dev, self->kind, 0, 1);
		start(_metadata, bench);
		report_query(_metadata, report, &bench->iommu);
		stop(_metadata, bench);
		stop(_metadata, bench);
		ASSERT_EQ(-EINVAL, __report_query(report, &bench->iommu));
		ASSERT_EQ(0, bitmap_count(&report->bm));
	}
}

/* Words of mappings are overwritten, those of holes are left alone. */
TEST_F(type1, mappings_and_holes)
{
	struct bench *bench = &self->bench;
	const __u64 at = IOVA + 256 * SZ_4K;
	bool all = self->kind == REPORT_NOTHING;
	struct guarded_bitmap bm;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 64 * SZ_4K);
	start(_metadata, bench);
	mock_fill(_metadata, &bench->dev, at, SZ_4K, 1);
	bitmap_alloc(_metadata, &bm, 512, 0);
	memset(bm.bits, 0x11, 64);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, IOVA, 512 * SZ_4K,
				       SZ_4K, bm.bits, 64));
	bitmap_check_guards(_metadata, &bm);
	/* 200 pages are 3 words and 8 bits, whose word is of the mapping */
	ASSERT_TRUE(mem_is(bm.bits, 25, all ? 0xff : 0));
	ASSERT_TRUE(mem_is(bm.bits + 25, 7, 0));
	ASSERT_EQ(all ? 0xff : 1, bm.bits[32]);
	ASSERT_TRUE(mem_is(bm.bits + 33, 7, all ? 0xff : 0));
	ASSERT_TRUE(mem_is(bm.bits + 40, 24, 0x11));
	bitmap_free(&bm);
	/* only holes */
	bitmap_alloc(_metadata, &bm, 64, 0);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, 0x90000000ULL,
				       64 * SZ_4K, SZ_4K, bm.bits, 8));
	ASSERT_EQ(0, bitmap_count(&bm));
	bitmap_free(&bm);
}

/* A mapping that begins inside a word shares it with what is before. */
TEST_F(type1, mappings_share_a_word)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct report report;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 10 * SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at + 10 * SZ_4K,
		  20 * SZ_4K);
	start(_metadata, bench);
	report_init(_metadata, &report, at, 30);
	report.all = self->report.all;
	report_write(_metadata, &report, &bench->dev, self->kind, 9 * SZ_4K,
		     2 * SZ_4K);
	report_query(_metadata, &report, &bench->iommu);
	report_query(_metadata, &report, &bench->iommu);

	/* behind a hole, whose bits stay */
	iommu_unmap(_metadata, &bench->iommu, at, 10 * SZ_4K);
	bitmap_reset(&report.bm);
	report.bm.bits[0] = 0xa5;
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, at, 30 * SZ_4K, SZ_4K,
				       report.bm.bits, 8));
	ASSERT_EQ(0xa5, report.bm.bits[0]);
	ASSERT_EQ(report.all ? 0xfc : self->kind == REPORT_PINS ? 4 : 0,
		  report.bm.bits[1]);
	report_free(&report);
}

TEST_F(type1, mapped_while_tracking)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct report report;

	start(_metadata, bench);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	report_init(_metadata, &report, at, PAGES);
	report.all = self->report.all;
	report_query(_metadata, &report, &bench->iommu);
	report_write(_metadata, &report, &bench->dev, self->kind, 7 * SZ_4K,
		     SZ_4K);
	report_query(_metadata, &report, &bench->iommu);
	/* another mapping of the same memory was not written through */
	report_query(_metadata, &self->report, &bench->iommu);

	/* a new one at the same place knows nothing of the former */
	report_write(_metadata, &report, &bench->dev, self->kind, 0, LENGTH);
	iommu_unmap(_metadata, &bench->iommu, at, LENGTH);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	memset(report.once, 0, sizeof(report.once));
	memset(report.pinned, 0, sizeof(report.pinned));
	report_query(_metadata, &report, &bench->iommu);
	report_free(&report);
}

/* What drivers have the kernel write for them is told once. */
TEST_F(type1, copied_for_a_driver)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev *mdev = &bench->dev, other = { .fd = -1, .group_fd = -1 };
	char path[128];

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	if (self->kind != REPORT_PINS) {
		ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
		ASSERT_EQ(0, __vfio_dev_open(&other, &bench->iommu, path));
		mdev = &other;
	}
	start(_metadata, bench);
	/* two bytes, of two pages */
	report_write(_metadata, report, mdev, REPORT_WRITES, SZ_4K - 1, 2);
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
	report_write(_metadata, report, mdev, REPORT_WRITES, 60 * SZ_4K,
		     SZ_64K);
	report_write(_metadata, report, mdev, REPORT_WRITES, LENGTH - 1, 1);
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
	vfio_dev_close(&other);
}

/* A container of all sorts of devices tells what any of them wrote. */
TEST_F(type1, other_devices_beside)
{
	static const char *const models[] = { "2m", "1g", "emulated", "4k" };
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev others[ARRAY_SIZE(models)];
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		/* one of that model is in use by the test itself */
		if (!strcmp(models[i], variant->model)) {
			others[i].fd = -1;
			others[i].group_fd = -1;
			continue;
		}
		ASSERT_EQ(0, mock_find(models[i], 0, path, sizeof(path)));
		ASSERT_EQ(0, __vfio_dev_open(&others[i], &bench->iommu, path));
	}
	start(_metadata, bench);
	report_query(_metadata, report, &bench->iommu);
	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		if (others[i].fd < 0)
			continue;
		report_write(_metadata, report, &others[i],
			     report_kind_of(models[i]), (3 + 40 * i) * SZ_4K,
			     2 * SZ_4K);
		report_query(_metadata, report, &bench->iommu);
		report_write(_metadata, report, &others[i],
			     report_kind_of(models[i]), i * SZ_4K, SZ_4K);
		report_write(_metadata, report, &bench->dev, self->kind,
			     190 * SZ_4K, SZ_4K);
	}
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		vfio_dev_close(&others[i]);
}

/* A leaf has one dirty bit: all its pages are dirty, and those of no other. */
static void check_leaf(struct __test_metadata *_metadata, enum iommu_mode mode,
		       __u64 leaf_pages, enum mem_kind kind)
{
	const size_t pages = 4 * SZ_2M / SZ_4K;
	struct guarded_bitmap bm;
	struct bench bench;

	bench_open(_metadata, &bench, mode, "2m");
	bench_memory(_metadata, &bench, 8 * SZ_2M, 4 * SZ_2M, kind);
	start(_metadata, &bench);
	bitmap_alloc(_metadata, &bm, pages, 0);
	for (size_t page = 3; page < pages; page += 300) {
		mock_fill(_metadata, &bench.dev, 8 * SZ_2M + page * SZ_4K, 8,
			  1);
		bench_query(_metadata, &bench, &bm, 8 * SZ_2M, SZ_4K);
		for (size_t bit = 0; bit < pages; bit++)
			CHECK(bitmap_test(&bm, bit) ==
			      (bit / leaf_pages == page / leaf_pages),
			      "page %zu: bit %zu", page, bit);
	}
	bench_query(_metadata, &bench, &bm, 8 * SZ_2M, SZ_4K);
	ASSERT_EQ(0, bitmap_count(&bm));
	bitmap_free(&bm);
	bench_close(_metadata, &bench);
}

TEST(leaves_of_type1)
{
	check_leaf(_metadata, MODE_TYPE1, 1, MEM_4K);
	check_leaf(_metadata, MODE_TYPE1, 512, MEM_HUGETLB);
}

TEST(leaves_of_compat)
{
	check_leaf(_metadata, MODE_COMPAT, 1, MEM_4K);
	check_leaf(_metadata, MODE_COMPAT, 512, MEM_HUGETLB);
}

TEST_HARNESS_MAIN
