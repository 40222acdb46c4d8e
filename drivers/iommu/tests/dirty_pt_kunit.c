// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of dirty bits in the page tables of IOMMU drivers.
 */
#include "dirty_pt_kunit.h"

/**
 * DOC: Tests of dirty bits in page tables
 *
 * The tests call the functions of the IOMMU drivers that map, unmap and query, on page
 * tables that no IOMMU uses. In place of the IOMMU, a walk of the page table that is
 * written after the specification sets dirty bits. Each test runs on every format that
 * is built.
 */

/* The ranges that a query reports, in order; adjacent ones are joined. */
struct dirty_pt_report {
	unsigned int nr;
	struct {
		unsigned long iova;
		unsigned long last;
	} ranges[8];
};

static const struct dirty_pt_format *const dirty_pt_formats[] = {
#ifdef CONFIG_AMD_IOMMU
	&dirty_pt_amd_v1,
#endif
#ifdef CONFIG_INTEL_IOMMU
	&dirty_pt_vtd_4level,
	&dirty_pt_vtd_5level,
#endif
#ifdef CONFIG_IOMMU_IO_PGTABLE_LPAE
	&dirty_pt_arm_4k,
	&dirty_pt_arm_16k,
	&dirty_pt_arm_64k,
#endif
};

/**
 * dirty_pt_gen_format() - generate parameters: each format
 * @prev: the previous parameter, or NULL
 * @desc: set to the name of the format
 *
 * Return: the next parameter, or NULL.
 */
const void *dirty_pt_gen_format(const void *prev, char *desc)
{
	const struct dirty_pt_format *const *next = prev;

	next = next ? next + 1 : dirty_pt_formats;
	if (next == dirty_pt_formats + ARRAY_SIZE(dirty_pt_formats))
		return NULL;
	strscpy(desc, (*next)->name, KUNIT_PARAM_DESC_SIZE);
	return next;
}

static void dirty_pt_free(void *opaque)
{
	struct dirty_pt *pt = opaque;

	if (pt->priv)
		pt->format->exit(pt);
}

/**
 * dirty_pt_create() - create an empty page table
 * @test: the test, whose parameter is from dirty_pt_gen_format()
 *
 * It is freed when the test ends.
 *
 * Return: the page table; ends the test on failure.
 */
struct dirty_pt *dirty_pt_create(struct kunit *test)
{
	const struct dirty_pt_format *const *format = test->param_value;
	struct dirty_pt *pt = kunit_kzalloc(test, sizeof(*pt), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pt);
	pt->test = test;
	pt->format = *format;
	pt->format->init(pt);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, dirty_pt_free, pt));
	return pt;
}

/**
 * dirty_pt_map() - map a writable leaf to memory that does not exist
 * @pt: the page table
 * @iova: first IOVA, not mapped
 * @pgsize: size of the leaf
 *
 * Ends the test on failure.
 */
void dirty_pt_map(struct dirty_pt *pt, unsigned long iova, size_t pgsize)
{
	phys_addr_t paddr = iova & GENMASK(45, 0) & ~(pgsize - 1);

	KUNIT_ASSERT_EQ(pt->test, 0,
			pt->format->map(pt, iova, paddr, pgsize,
					IOMMU_READ | IOMMU_WRITE));
}

/**
 * dirty_pt_query() - read dirty bits
 * @pt: the page table
 * @iova: first IOVA
 * @last: last IOVA
 * @flags: 0 to clear the dirty bits, or IOMMU_DIRTY_NO_CLEAR
 * @record: called with each range that the driver reports
 * @opaque: first argument of @record
 *
 * Ends the test on failure.
 */
void dirty_pt_query(struct dirty_pt *pt, unsigned long iova, unsigned long last,
		    unsigned long flags, iova_bitmap_spill_fn_t record,
		    void *opaque)
{
	struct iova_bitmap *bitmap = iova_bitmap_alloc_spill(record, opaque);
	struct iommu_dirty_bitmap dirty;
	int rc;

	KUNIT_ASSERT_NOT_NULL(pt->test, bitmap);
	iommu_dirty_bitmap_init(&dirty, bitmap, NULL);
	rc = pt->format->query(pt, iova, last - iova + 1, flags, &dirty);
	iova_bitmap_free(bitmap);
	KUNIT_ASSERT_EQ(pt->test, 0, rc);
}

/**
 * dirty_pt_protect() - make pages read-only, or writable
 * @pt: the page table, with &dirty_pt_format.protect
 * @iova: first IOVA
 * @last: last IOVA
 * @enable: true to make them read-only
 * @record: called with each range that the driver reports as changed
 * @opaque: first argument of @record
 *
 * Ends the test on failure.
 */
void dirty_pt_protect(struct dirty_pt *pt, unsigned long iova,
		      unsigned long last, bool enable,
		      iova_bitmap_spill_fn_t record, void *opaque)
{
	struct iova_bitmap *bitmap = iova_bitmap_alloc_spill(record, opaque);
	struct iommu_dirty_bitmap dirty;

	KUNIT_ASSERT_NOT_NULL(pt->test, bitmap);
	iommu_dirty_bitmap_init(&dirty, bitmap, NULL);
	pt->format->protect(pt, iova, last - iova + 1, enable, &dirty);
	iova_bitmap_free(bitmap);
}

static void dirty_pt_record(void *opaque, unsigned long iova,
			    unsigned long last)
{
	struct dirty_pt_report *report = opaque;

	if (report->nr && report->ranges[report->nr - 1].last + 1 == iova) {
		report->ranges[report->nr - 1].last = last;
		return;
	}
	if (report->nr < ARRAY_SIZE(report->ranges)) {
		report->ranges[report->nr].iova = iova;
		report->ranges[report->nr].last = last;
	}
	report->nr++;
}

static void dirty_pt_read(struct dirty_pt *pt, unsigned long iova,
			  unsigned long last, unsigned long flags,
			  struct dirty_pt_report *report)
{
	report->nr = 0;
	dirty_pt_query(pt, iova, last, flags, dirty_pt_record, report);
}

static void dirty_pt_write(struct dirty_pt *pt, unsigned long iova,
			   unsigned int entry)
{
	KUNIT_ASSERT_TRUE(pt->test, pt->format->write(pt, iova, entry));
}

/* Expect that a query reports and clears nothing but a range. */
static void dirty_pt_expect_range(struct dirty_pt *pt, unsigned long iova,
				  unsigned long last, unsigned long dirty_iova,
				  unsigned long dirty_last)
{
	struct dirty_pt_report report;

	dirty_pt_read(pt, iova, last, 0, &report);
	KUNIT_EXPECT_EQ(pt->test, 1, report.nr);
	KUNIT_EXPECT_EQ(pt->test, dirty_iova, report.ranges[0].iova);
	KUNIT_EXPECT_EQ(pt->test, dirty_last, report.ranges[0].last);
}

static void dirty_pt_expect_clean(struct dirty_pt *pt, unsigned long iova,
				  unsigned long last)
{
	struct dirty_pt_report report;

	dirty_pt_read(pt, iova, last, 0, &report);
	KUNIT_EXPECT_EQ(pt->test, 0, report.nr);
}

/* The IOMMU did not write the leaf since it was mapped. */
static void dirty_pt_new_leaf_is_clean(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long size, sizes = pt->format->pgsizes;

	for (; sizes; sizes &= ~size) {
		size = BIT(__ffs(sizes));
		dirty_pt_map(pt, size, size);
		dirty_pt_expect_clean(pt, size, 2 * size - 1);
		KUNIT_ASSERT_EQ(test, size, pt->format->unmap(pt, size, size));
	}
}

static void dirty_pt_read_only_leaf_is_clean(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long page = dirty_pt_page(pt);

	KUNIT_ASSERT_EQ(test, 0,
			pt->format->map(pt, page, page, page, IOMMU_READ));
	KUNIT_EXPECT_FALSE(test, pt->format->write(pt, page, 0));
	dirty_pt_expect_clean(pt, page, 2 * page - 1);
}

/* A leaf of each size between clean neighbours, with each of its dirty bits set. */
static void dirty_pt_leaf_of_each_size_is_reported(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long size, sizes = pt->format->pgsizes;
	struct dirty_pt_report report;
	unsigned int i;

	for (; sizes; sizes &= ~size) {
		size = BIT(__ffs(sizes));
		for (i = 1; i <= 3; i++)
			dirty_pt_map(pt, i * size, size);
		for (i = 0; i < 256; i++) {
			dirty_pt_write(pt, 2 * size + i * (size / 256), i);
			dirty_pt_read(pt, size, 4 * size - 1,
				      IOMMU_DIRTY_NO_CLEAR, &report);
			KUNIT_EXPECT_EQ(test, 1, report.nr);
			dirty_pt_expect_range(pt, size, 4 * size - 1, 2 * size,
					      3 * size - 1);
			dirty_pt_expect_clean(pt, size, 4 * size - 1);
		}
		for (i = 1; i <= 3; i++)
			KUNIT_ASSERT_EQ(test, size,
					pt->format->unmap(pt, i * size, size));
	}
}

/* Expect that a leaf changes, and is reported. */
static void dirty_pt_expect_protect(struct dirty_pt *pt, unsigned long iova,
				    unsigned long last, bool enable)
{
	struct dirty_pt_report report = {};

	dirty_pt_protect(pt, iova, last, enable, dirty_pt_record, &report);
	KUNIT_EXPECT_EQ(pt->test, 1, report.nr);
	KUNIT_EXPECT_EQ(pt->test, iova, report.ranges[0].iova);
	KUNIT_EXPECT_EQ(pt->test, last, report.ranges[0].last);
	/* Nothing is left to change. */
	report.nr = 0;
	dirty_pt_protect(pt, iova, last, enable, dirty_pt_record, &report);
	KUNIT_EXPECT_EQ(pt->test, 0, report.nr);
}

/* A leaf of each size between writable neighbours. */
static void dirty_pt_read_only_page_keeps_dirty_bit(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long size, sizes = pt->format->pgsizes;
	unsigned int i, entry;

	for (; sizes; sizes &= ~size) {
		size = BIT(__ffs(sizes));
		for (i = 1; i <= 3; i++)
			dirty_pt_map(pt, i * size, size);
		dirty_pt_write(pt, 2 * size, 1);
		dirty_pt_expect_protect(pt, 2 * size, 3 * size - 1, true);
		for (entry = 0; entry < 256; entry++)
			KUNIT_EXPECT_FALSE(test,
					   pt->format->write(pt, 2 * size, entry));
		dirty_pt_write(pt, 2 * size - 1, 0);
		dirty_pt_write(pt, 3 * size, 0);
		dirty_pt_expect_range(pt, size, 4 * size - 1, size,
				      4 * size - 1);
		dirty_pt_expect_protect(pt, 2 * size, 3 * size - 1, false);
		dirty_pt_expect_clean(pt, size, 4 * size - 1);
		dirty_pt_write(pt, 2 * size, 0);
		dirty_pt_expect_range(pt, size, 4 * size - 1, 2 * size,
				      3 * size - 1);
		for (i = 1; i <= 3; i++)
			KUNIT_ASSERT_EQ(test, size,
					pt->format->unmap(pt, i * size, size));
	}
}

/* Pages after a large leaf are not skipped, and their ranges are not shifted. */
static void dirty_pt_query_from_middle_of_leaf_reports_rest(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long page = dirty_pt_page(pt), size, middle;
	unsigned long sizes = pt->format->pgsizes & ~page;
	struct dirty_pt_report report;

	for (; sizes; sizes &= ~size) {
		size = BIT(__ffs(sizes));
		middle = size + size / 2;
		dirty_pt_map(pt, size, size);
		dirty_pt_map(pt, 2 * size, page);
		dirty_pt_map(pt, 2 * size + page, page);
		dirty_pt_write(pt, size, 0);
		dirty_pt_write(pt, 2 * size + page, 0);
		dirty_pt_read(pt, middle, 2 * size + 2 * page - 1, 0, &report);
		KUNIT_EXPECT_EQ(test, 2, report.nr);
		KUNIT_EXPECT_EQ(test, middle, report.ranges[0].iova);
		KUNIT_EXPECT_EQ(test, 2 * size - 1, report.ranges[0].last);
		KUNIT_EXPECT_EQ(test, 2 * size + page, report.ranges[1].iova);
		KUNIT_EXPECT_EQ(test, 2 * size + 2 * page - 1,
				report.ranges[1].last);
		KUNIT_ASSERT_EQ(test, size, pt->format->unmap(pt, size, size));
		KUNIT_ASSERT_EQ(test, page,
				pt->format->unmap(pt, 2 * size, page));
		KUNIT_ASSERT_EQ(test, page,
				pt->format->unmap(pt, 2 * size + page, page));
	}
}

/* A query of the last page ends, though no IOVA is above it. */
static void dirty_pt_last_page_of_space_is_reported(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long last = dirty_pt_last(pt);
	unsigned long page = dirty_pt_page(pt), iova = last - page + 1;

	dirty_pt_map(pt, iova - page, page);
	dirty_pt_map(pt, iova, page);
	dirty_pt_expect_clean(pt, iova - page, last);
	dirty_pt_write(pt, last, 0);
	dirty_pt_expect_range(pt, iova - page, last, iova, last);
	dirty_pt_expect_clean(pt, iova, last);
}

/* The query ends soon, though it has up to 2^52 pages. */
static void dirty_pt_query_of_space_reports_both_ends(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	unsigned long last = dirty_pt_last(pt), page = dirty_pt_page(pt);
	struct dirty_pt_report report;

	if (pt->format->contiguous)
		kunit_skip(test, "the driver only queries what is mapped");
	/* Before the page table has all levels. */
	dirty_pt_expect_clean(pt, page, last);
	dirty_pt_map(pt, page, page);
	dirty_pt_map(pt, last - page + 1, page);
	dirty_pt_write(pt, page, 0);
	dirty_pt_write(pt, last, 0);
	dirty_pt_read(pt, page, last, 0, &report);
	KUNIT_EXPECT_EQ(test, 2, report.nr);
	KUNIT_EXPECT_EQ(test, page, report.ranges[0].iova);
	KUNIT_EXPECT_EQ(test, 2 * page - 1, report.ranges[0].last);
	KUNIT_EXPECT_EQ(test, last - page + 1, report.ranges[1].iova);
	KUNIT_EXPECT_EQ(test, last, report.ranges[1].last);
}

/* Generate parameters: each format whose driver can make pages read-only. */
static const void *dirty_pt_gen_protect_format(const void *prev, char *desc)
{
	const struct dirty_pt_format *const *next = prev;

	do {
		next = dirty_pt_gen_format(next, desc);
	} while (next && !(*next)->protect);
	return next;
}

static struct kunit_case dirty_pt_cases[] = {
	KUNIT_CASE_PARAM(dirty_pt_new_leaf_is_clean, dirty_pt_gen_format),
	KUNIT_CASE_PARAM(dirty_pt_read_only_leaf_is_clean, dirty_pt_gen_format),
	KUNIT_CASE_PARAM(dirty_pt_leaf_of_each_size_is_reported,
			 dirty_pt_gen_format),
	KUNIT_CASE_PARAM(dirty_pt_read_only_page_keeps_dirty_bit,
			 dirty_pt_gen_protect_format),
	KUNIT_CASE_PARAM(dirty_pt_query_from_middle_of_leaf_reports_rest,
			 dirty_pt_gen_format),
	KUNIT_CASE_PARAM(dirty_pt_last_page_of_space_is_reported,
			 dirty_pt_gen_format),
	KUNIT_CASE_PARAM(dirty_pt_query_of_space_reports_both_ends,
			 dirty_pt_gen_format),
	{}
};

static struct kunit_suite dirty_pt_suite = {
	.name = "dirty_pt",
	.test_cases = dirty_pt_cases,
};

kunit_test_suite(dirty_pt_suite);
