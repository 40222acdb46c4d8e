// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: results of VFIO_IOMMU_DIRTY_PAGES
 *
 * A container reports
 *  - pages that were written, by the dirty bits of its IOMMUs;
 *  - pages that drivers have pinned, or that the kernel wrote for them;
 *  - every mapped page, while an IOMMU lacks dirty tracking.
 *
 * Refused calls are tested in dirty_type1_errno_test.c, attach and detach of
 * devices in type1_scope_test.c.
 */
#include "lib/type1_fixture.h"

FIXTURE_VARIANT_ADD(type1, type1_2k) {
	.mode = MODE_TYPE1, .model = "2k",
};

FIXTURE_VARIANT_ADD(type1, compat_2k) {
	.mode = MODE_COMPAT, .model = "2k",
};

static void start(struct __test_metadata *_metadata, struct bench *bench)
{
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
}

static void stop(struct __test_metadata *_metadata, struct bench *bench)
{
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_STOP));
}

/* Written pages are reported once, pinned pages every time. */
TEST_F(type1, written_pages_are_reported_once)
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

/* Neither reads nor writes that fault dirty a page. */
TEST_F(type1, reads_and_faulting_writes_are_not_reported)
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

/* A page that is written again after a query is reported again. */
TEST_F(type1, page_written_after_query_is_reported_again)
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

/* Writes before START, or between STOP and START, are not reported. */
TEST_F(type1, writes_without_tracking_are_not_reported)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	for (int i = 0; i < 3; i++) {
		report_write(_metadata, report, &bench->dev, self->kind,
			     i * SZ_4K, SZ_4K);
		memset(report->once, 0, sizeof(report->once));
		start(_metadata, bench);
		report_query(_metadata, report, &bench->iommu);
		/* Written without a query before STOP. */
		report_write(_metadata, report, &bench->dev, self->kind,
			     (100 + i) * SZ_4K, SZ_4K);
		stop(_metadata, bench);
	}
}

/* A second START keeps the dirty pages. */
TEST_F(type1, start_and_stop_can_be_repeated)
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

/* The words of mappings are overwritten, the words of holes are unchanged. */
TEST_F(type1, query_overwrites_words_of_mappings_only)
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
	/*
	 * 200 pages are 3 words and 8 bits; the 4th word is overwritten as
	 * well.
	 */
	ASSERT_TRUE(mem_is(bm.bits, 25, all ? 0xff : 0));
	ASSERT_TRUE(mem_is(bm.bits + 25, 7, 0));
	ASSERT_EQ(all ? 0xff : 1, bm.bits[32]);
	ASSERT_TRUE(mem_is(bm.bits + 33, 7, all ? 0xff : 0));
	ASSERT_TRUE(mem_is(bm.bits + 40, 24, 0x11));
	bitmap_free(&bm);
	/* A range of holes only */
	bitmap_alloc(_metadata, &bm, 64, 0);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, 0x90000000ULL,
				       64 * SZ_4K, SZ_4K, bm.bits, 8));
	ASSERT_EQ(0, bitmap_count(&bm));
	bitmap_free(&bm);
}

/* A mapping that begins within a word shares the word with the one before. */
TEST_F(type1, mappings_in_one_word_are_both_reported)
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

	/* The mapping follows a hole, whose bits are unchanged. */
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

TEST_F(type1, mapping_made_while_tracking_is_tracked)
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
	/* Another mapping of the same memory was not written. */
	report_query(_metadata, &self->report, &bench->iommu);

	/* A new mapping at the same IOVA starts clean. */
	report_write(_metadata, &report, &bench->dev, self->kind, 0, LENGTH);
	iommu_unmap(_metadata, &bench->iommu, at, LENGTH);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	memset(report.once, 0, sizeof(report.once));
	memset(report.pinned, 0, sizeof(report.pinned));
	report_query(_metadata, &report, &bench->iommu);
	report_free(&report);
}

/* Pages that the kernel writes for a driver are reported once. */
TEST_F(type1, write_of_the_kernel_for_a_driver_is_reported_once)
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
	/* Two bytes on two pages */
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

/* A container with several kinds of devices reports the writes of each. */
TEST_F(type1, writes_of_every_device_are_reported)
{
	static const char *const models[] = { "2m", "1g", "emulated", "4k" };
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev others[ARRAY_SIZE(models)];
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		/* The test uses the device of this model. */
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

/* All pages of a leaf are dirty, as it has one dirty bit; no others are. */
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

TEST(write_dirties_its_leaf_of_type1)
{
	check_leaf(_metadata, MODE_TYPE1, 1, MEM_4K);
	check_leaf(_metadata, MODE_TYPE1, 512, MEM_HUGETLB);
}

TEST(write_dirties_its_leaf_of_compat)
{
	check_leaf(_metadata, MODE_COMPAT, 1, MEM_4K);
	check_leaf(_metadata, MODE_COMPAT, 512, MEM_HUGETLB);
}

TEST_HARNESS_MAIN
