// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of areas: conversions between IOVAs and page indices, insertion into an IOVA
 * space, and walks over several areas.
 */
#include <linux/iommu.h>
#include <linux/rwsem.h>

#include "space/iopt_area.h"
#include "tests/iopt_kunit.h"

/* Length of the iopt_pages that areas map. */
#define AREA_PAGES	1024

/**
 * struct geometry_case - position and length of an area
 * @name: name of the test parameter
 * @start_byte: offset in the iopt_pages, in bytes
 * @length: length in bytes
 * @iova: first IOVA
 * @npages: expected number of pages that the area overlaps
 */
struct geometry_case {
	const char *name;
	unsigned long start_byte;
	unsigned long length;
	unsigned long iova;
	unsigned long npages;
};

#define P	PAGE_SIZE

static const struct geometry_case geometry_cases[] = {
	{ "a byte", 0, 1, 0, 1 },
	{ "the last byte of a page", P - 1, 1, 5, 1 },
	{ "a page", 0, P, P, 1 },
	{ "a page that is not the first", 7 * P, P, 3 * P, 1 },
	{ "half a page", P / 2, P / 2, P / 2, 1 },
	{ "two bytes of two pages", 3 * P - 1, 2, 3 * P - 1, 2 },
	{ "a page in two", P / 2, P, P / 2, 2 },
	{ "three pages", P, 3 * P, 1UL << 40, 3 },
	{ "parts at both ends", 5 * P + 0x123, 4 * P + 0x456, 0x10000123, 5 },
	{ "other offset than the IOVA", 5 * P + 0x123, 2 * P, 0x10000fff, 3 },
	{ "ends with a page", 0x123, 3 * P - 0x123, 0x777, 3 },
	{ "begins with a page", 9 * P, 2 * P + 1, 0x777, 3 },
	{ "last IOVA", 2 * P + 9, 1, ULONG_MAX, 1 },
	{ "last page of IOVAs", 2 * P, P, -P, 1 },
	{ "parts, to the last byte", 2 * P + 0x321, 2 * P, -2 * P, 3 },
	{ "pages, to the last byte", 0, 3 * P, -3 * P, 3 },
};

KUNIT_ARRAY_PARAM_DESC(geometry, geometry_cases, name);

static void area_insert(struct kunit *test, struct iopt_area *area,
			struct io_pagetable *iopt, struct iopt_pages *pages,
			const struct geometry_case *c)
{
	KUNIT_ASSERT_NOT_NULL(test, area);
	down_write(&iopt->iova_rwsem);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_area_insert(area, iopt, c->iova, c->start_byte,
					 c->length,
					 IOMMU_READ | IOMMU_WRITE));
	up_write(&iopt->iova_rwsem);
}

/* Compare the conversions with a count of bytes and pages. */
static void each_byte_converts_to_index_and_iova(struct kunit *test)
{
	struct iopt_pages *pages = iopt_kunit_pages(test, AREA_PAGES);
	const struct geometry_case *c = test->param_value;
	struct iopt_area *area = iopt_area_alloc();
	unsigned long index = ULONG_MAX, npages = 0;
	struct io_pagetable iopt;

	iopt_init_table(&iopt);
	area_insert(test, area, &iopt, pages, c);
	KUNIT_EXPECT_EQ(test, iopt_area_iova(area), c->iova);
	KUNIT_EXPECT_EQ(test, iopt_area_last_iova(area), c->iova + c->length - 1);
	KUNIT_EXPECT_EQ(test, iopt_area_length(area), c->length);
	KUNIT_EXPECT_EQ(test, area->prot, IOMMU_READ | IOMMU_WRITE);
	for (unsigned long n = 0; n < c->length; n++) {
		unsigned long byte = c->start_byte + n;
		unsigned long iova = c->iova + n;

		KUNIT_EXPECT_EQ(test, iopt_area_start_byte(area, iova), byte);
		KUNIT_EXPECT_EQ(test, iopt_area_iova_to_index(area, iova),
				byte / P);
		if (byte / P == index)
			continue;
		KUNIT_EXPECT_EQ(test, iopt_area_index_to_iova(area, byte / P),
				iova);
		if (n)
			KUNIT_EXPECT_EQ(test,
					iopt_area_index_to_iova_last(area, index),
					iova - 1);
		else
			KUNIT_EXPECT_EQ(test, iopt_area_index(area), byte / P);
		index = byte / P;
		npages++;
	}
	KUNIT_EXPECT_EQ(test, iopt_area_last_index(area), index);
	KUNIT_EXPECT_EQ(test, iopt_area_index_to_iova_last(area, index),
			c->iova + c->length - 1);
	KUNIT_EXPECT_EQ(test, npages, c->npages);

	iopt_area_remove(area);
	iopt_destroy_table(&iopt);
	iopt_pages_put(pages);
}

/**
 * struct insert_case - an area whose insertion may fail
 * @name: name of the test parameter
 * @writable: the pages are pinned for writing
 * @prot: protection of the area
 * @align: alignment of the IOVA space
 * @start_byte: offset in the iopt_pages, in bytes
 * @rc: expected result
 */
struct insert_case {
	const char *name;
	bool writable;
	int prot;
	unsigned long align;
	unsigned long start_byte;
	int rc;
};

static const struct insert_case insert_cases[] = {
	{ "read only", false, IOMMU_READ, 1, 3, 0 },
	{ "write to read only", false, IOMMU_WRITE, 1, 0, -EPERM },
	{ "both to read only", false, IOMMU_READ | IOMMU_WRITE, 1, 0, -EPERM },
	{ "write", true, IOMMU_WRITE, 1, 0, 0 },
	{ "aligned", true, IOMMU_READ, 0x800, 0x1800, 0 },
	{ "not aligned", true, IOMMU_READ, 0x800, 0x1c00, -EINVAL },
	{ "not aligned to a page", true, IOMMU_READ, P, P / 2, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(insert, insert_cases, name);

/* An area whose insertion fails is not in the tree, and can be freed. */
static void insert_refuses_protection_or_alignment(struct kunit *test)
{
	struct iopt_pages *pages = iopt_kunit_pages(test, AREA_PAGES);
	const struct insert_case *c = test->param_value;
	struct iopt_area *area = iopt_area_alloc();
	struct io_pagetable iopt;

	KUNIT_ASSERT_NOT_NULL(test, area);
	iopt_init_table(&iopt);
	iopt.iova_alignment = c->align;
	pages->writable = c->writable;
	down_write(&iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(test, c->rc,
			iopt_pages_check_area(pages, c->start_byte, P, c->prot) ?:
			iopt_area_insert(area, &iopt, P, c->start_byte, P,
					 c->prot));
	KUNIT_EXPECT_PTR_EQ(test, iopt_area_first(&iopt, 0, ULONG_MAX),
			    c->rc ? NULL : area);
	up_write(&iopt.iova_rwsem);
	iopt_area_remove(area);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&iopt.area_itree.rb_root));
	iopt_destroy_table(&iopt);
	iopt_pages_put(pages);
}

/* Number of IOVAs that the tests of walks use, and maximum number of areas. */
#define WALK_BYTES	64
#define WALK_AREAS	20

/**
 * struct walk_case - IOVAs that walks use
 * @name: name of the test parameter
 * @base: first IOVA
 */
struct walk_case {
	const char *name;
	unsigned long base;
};

static const struct walk_case walk_cases[] = {
	{ "from 0", 0 },
	{ "in the middle", LONG_MAX - WALK_BYTES / 2 },
	{ "to the last byte", 0UL - WALK_BYTES },
};

KUNIT_ARRAY_PARAM_DESC(walk, walk_cases, name);

/**
 * struct walk_run - areas, and an array to compare walks with
 * @test: the test
 * @base: first IOVA
 * @rnd: state of the random numbers
 * @iopt: the IOVA space
 * @pages: the iopt_pages that the areas map
 * @areas: the areas in ascending order of IOVAs
 * @nr: number of @areas
 * @owner: by IOVA, relative to @base: the area that maps it, or NULL
 */
struct walk_run {
	struct kunit *test;
	unsigned long base;
	struct rnd_state rnd;
	struct io_pagetable iopt;
	struct iopt_pages *pages;
	struct iopt_area *areas[WALK_AREAS];
	unsigned int nr;
	struct iopt_area *owner[WALK_BYTES];
};

/* Insert areas of a few bytes, most without a gap, a few of them unpublished. */
static void walk_setup(struct walk_run *run)
{
	unsigned int byte = iopt_kunit_below(&run->rnd, 4);

	run->nr = 0;
	memset(run->owner, 0, sizeof(run->owner));
	while (byte < WALK_BYTES && run->nr < WALK_AREAS) {
		struct geometry_case c = {
			.start_byte = iopt_kunit_below(&run->rnd, 5 * P),
			.length = 1 + iopt_kunit_below(&run->rnd, 9),
			.iova = run->base + byte,
		};
		struct iopt_area *area = iopt_area_alloc();

		c.length = min(c.length, WALK_BYTES - byte);
		area_insert(run->test, area, &run->iopt, run->pages, &c);
		if (iopt_kunit_below(&run->rnd, 8))
			area->pages = run->pages;
		run->areas[run->nr++] = area;
		for (unsigned int i = 0; i < c.length; i++)
			run->owner[byte++] = area;
		if (!iopt_kunit_below(&run->rnd, 4))
			byte += 1 + iopt_kunit_below(&run->rnd, 5);
	}
}

static void walk_teardown(struct walk_run *run)
{
	while (run->nr) {
		run->areas[--run->nr]->pages = NULL;
		iopt_area_remove(run->areas[run->nr]);
	}
}

static bool walk_is_published(struct walk_run *run, unsigned int byte)
{
	return run->owner[byte] && run->owner[byte]->pages;
}

/* A contiguous walk steps from area to area, up to a gap or an unpublished area. */
static void walk_check_contig(struct walk_run *run, unsigned int first,
			      unsigned int last)
{
	struct iopt_area_contig contig;
	unsigned int byte = first, end;

	iopt_for_each_contig_area(&contig, &run->iopt, run->base + first,
				  run->base + last) {
		KUNIT_ASSERT_LE(run->test, byte, last);
		KUNIT_ASSERT_TRUE(run->test, walk_is_published(run, byte));
		for (end = byte; end < last; end++)
			if (run->owner[end + 1] != run->owner[byte])
				break;
		KUNIT_EXPECT_PTR_EQ(run->test, contig.area, run->owner[byte]);
		KUNIT_EXPECT_EQ(run->test, contig.iova, run->base + byte);
		KUNIT_EXPECT_EQ(run->test, contig.last, run->base + end);
		byte = end + 1;
	}
	KUNIT_EXPECT_TRUE(run->test, byte > last || !walk_is_published(run, byte));
	KUNIT_EXPECT_EQ(run->test, iopt_area_contig_done(&contig), byte > last);
	/* Callers undo a walk up to the IOVA at which it stopped. */
	if (byte <= last)
		KUNIT_EXPECT_EQ(run->test, contig.iova, run->base + byte);

	/* A walk that is left by break is done only if this was its last area. */
	iopt_for_each_contig_area(&contig, &run->iopt, run->base + first,
				  run->base + last)
		break;
	KUNIT_EXPECT_EQ(run->test, iopt_area_contig_done(&contig),
			walk_is_published(run, first) &&
			contig.last == run->base + last);
}

/* A walk over all areas returns unpublished areas, too, in ascending order of IOVAs. */
static void walk_check_all(struct walk_run *run, unsigned int first,
			   unsigned int last)
{
	struct iopt_area *area, *before = NULL;
	unsigned int byte = first;

	iopt_for_each_area(area, &run->iopt, run->base + first,
			   run->base + last) {
		while (byte <= last &&
		       (!run->owner[byte] || run->owner[byte] == before))
			byte++;
		KUNIT_ASSERT_LE(run->test, byte, last);
		KUNIT_EXPECT_PTR_EQ(run->test, area, run->owner[byte]);
		before = area;
	}
	for (; byte <= last; byte++)
		KUNIT_EXPECT_TRUE(run->test,
				  !run->owner[byte] || run->owner[byte] == before);
}

static void walks_match_array(struct kunit *test)
{
	struct walk_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	const struct walk_case *c = test->param_value;

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	run->base = c->base;
	prandom_seed_state(&run->rnd, 4);
	iopt_init_table(&run->iopt);
	run->pages = iopt_kunit_pages(test, AREA_PAGES);
	for (unsigned int turn = 0; turn < 50; turn++) {
		walk_setup(run);
		down_read(&run->iopt.iova_rwsem);
		for (unsigned int i = 0; i < WALK_BYTES; i++) {
			for (unsigned int j = i; j < WALK_BYTES; j++) {
				walk_check_contig(run, i, j);
				walk_check_all(run, i, j);
			}
		}
		up_read(&run->iopt.iova_rwsem);
		walk_teardown(run);
	}
	iopt_destroy_table(&run->iopt);
	iopt_pages_put(run->pages);
}

static struct kunit_case area_cases[] = {
	KUNIT_CASE_PARAM(each_byte_converts_to_index_and_iova, geometry_gen_params),
	KUNIT_CASE_PARAM(insert_refuses_protection_or_alignment, insert_gen_params),
	KUNIT_CASE_PARAM(walks_match_array, walk_gen_params),
	{}
};

static struct kunit_suite area_suite = {
	.name = "iommufd_iopt_area",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = area_cases,
};

kunit_test_suite(area_suite);
