// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of IOVAs near 0 and ULONG_MAX, and of the reserved regions of devices.
 */
#include <kunit/test-bug.h>
#include <linux/iommu.h>
#include <linux/rwsem.h>

#include "space/iova_space.h"
#include "tests/iopt_kunit.h"

/**
 * struct edge_range - a range of IOVAs
 * @start: first IOVA
 * @last: last IOVA; less than @start for no range
 */
struct edge_range {
	unsigned long start;
	unsigned long last;
};

/**
 * struct edge_choice - a call of iopt_choose_iova() in an IOVA space without areas
 * @name: name of the test parameter
 * @free: IOVAs that are not reserved
 * @allowed: IOVAs that are allowed
 * @align: alignment of the IOVA space
 * @address: address of the memory
 * @length: length of the memory in bytes
 * @rc: expected result
 * @iova: expected IOVA
 */
struct edge_choice {
	const char *name;
	struct edge_range free;
	struct edge_range allowed;
	unsigned long align;
	unsigned long address;
	unsigned long length;
	int rc;
	unsigned long iova;
};

#define ALL	{ 0, ULONG_MAX }
#define NOTHING	{ 1, 0 }
#define TOP(n)	{ 0UL - (n) * PAGE_SIZE, ULONG_MAX }
#define TO(n)	{ 0, (n) * PAGE_SIZE - 1 }

static const struct edge_choice edge_choices[] = {
	{ "not 0", ALL, NOTHING, 1, 0, 1, 0, PAGE_SIZE },
	{ "offset in page", ALL, NOTHING, 1, 0x123, 1, 0, PAGE_SIZE + 0x123 },
	{ "huge page", ALL, NOTHING, 1, PMD_SIZE, PMD_SIZE, 0, PMD_SIZE },
	{ "half a huge page", ALL, NOTHING, 1, PMD_SIZE, PMD_SIZE / 2, 0,
	  PMD_SIZE / 2 },
	{ "more than half of one", ALL, NOTHING, 1, PMD_SIZE, PMD_SIZE / 2 + 1,
	  0, PMD_SIZE },
	{ "no more than a huge page", ALL, NOTHING, 1, 0, 1UL << 40, 0,
	  PMD_SIZE },
	/* Bug: the alignment of enormous lengths overflowed. */
	{ "maximum length", ALL, NOTHING, 1, 0, ULONG_MAX, -EOVERFLOW },
	{ "half of all IOVAs, and one", ALL, NOTHING, 1, 0, 1UL << 63, -EOVERFLOW },
	{ "half of all IOVAs", ALL, NOTHING, 1, 0, ULONG_MAX / 2, -EOVERFLOW },
	{ "less than half of all IOVAs", ALL, NOTHING, 1, 0, ULONG_MAX / 2 - 1, 0,
	  PMD_SIZE },
	{ "a quarter of all IOVAs", ALL, NOTHING, 1, 0, 1UL << 62, 0, PMD_SIZE },
	/* Bug: the end of the range, or the next IOVA to try, wrapped. */
	{ "wraps by a page", TOP(4), NOTHING, 1, 0, 5 * PAGE_SIZE, -ENOSPC },
	{ "wraps by a byte", TOP(4), NOTHING, 1, 0, 4 * PAGE_SIZE + 1,
	  -ENOSPC },
	{ "needs the last page", TOP(4), NOTHING, 1, 0, 4 * PAGE_SIZE,
	  -ENOSPC },
	{ "needs a byte of the last page", TOP(4), NOTHING, 1, 0,
	  3 * PAGE_SIZE + 1, -ENOSPC },
	{ "all but the last page", TOP(4), NOTHING, 1, PAGE_SIZE,
	  3 * PAGE_SIZE, 0, 0UL - 4 * PAGE_SIZE },
	{ "with an offset", TOP(4), NOTHING, 1, 0x800,
	  3 * PAGE_SIZE - 0x800, 0, 0UL - 4 * PAGE_SIZE + 0x800 },
	{ "offset and a byte", TOP(4), NOTHING, 1, 0x800,
	  3 * PAGE_SIZE - 0x7ff, -ENOSPC },
	{ "offset in front", { 0UL - 3 * PAGE_SIZE - 0x700, ULONG_MAX },
	  NOTHING, 1, 0x800, 2 * PAGE_SIZE - 0x800, 0,
	  0UL - 3 * PAGE_SIZE + 0x800 },
	{ "alignment wraps", TOP(3), NOTHING, 1, PMD_SIZE, PMD_SIZE,
	  -ENOSPC },
	{ "alignment wraps, one page", TOP(1), NOTHING, 1, 0x10, 1,
	  -ENOSPC },
	{ "enormous", { 1UL << 63, ULONG_MAX }, NOTHING, 1, 0,
	  ULONG_MAX / 2 - 1, -ENOSPC },
	{ "only the first page", TO(1), NOTHING, 1, 0, 1,
	  -ENOSPC },
	{ "the second page", TO(2), NOTHING, 1, 0,
	  PAGE_SIZE, 0, PAGE_SIZE },
	{ "two of two pages", TO(2), NOTHING, 1, 0,
	  PAGE_SIZE + 1, -ENOSPC },
	{ "allowed first page", ALL, TO(1), 1, 0, 1, -ENOSPC },
	{ "allowed part", ALL, { 0x8000, 0x8fff }, 1, 0, 0x1000, 0, 0x8000 },
	{ "more than allowed", ALL, { 0x8000, 0x8fff }, 1, 0, 0x1001, -ENOSPC },
	{ "allowed last page", ALL, TOP(1), 1, 0, 1, -ENOSPC },
	{ "allowed last pages", ALL, TOP(2), 1, 0, PAGE_SIZE, 0,
	  0UL - 2 * PAGE_SIZE },
	{ "less aligned", ALL, NOTHING, 0x800, 0x400, 0x800, -EINVAL },
	{ "aligned", ALL, NOTHING, 0x800, 0x800, 0x800, 0, PAGE_SIZE + 0x800 },
};

KUNIT_ARRAY_PARAM_DESC(edge_choice, edge_choices, name);

static void choose_returns_lowest_iova_or_fails(struct kunit *test)
{
	const struct edge_choice *c = test->param_value;
	struct io_pagetable iopt;
	unsigned long iova = 0;

	iopt_init_table(&iopt);
	if (c->allowed.start <= c->allowed.last)
		iopt_kunit_allow(test, &iopt, c->allowed.start, c->allowed.last);
	down_write(&iopt.iova_rwsem);
	if (c->free.start)
		KUNIT_EXPECT_EQ(test, 0,
				iopt_reserve_iova(&iopt, 0, c->free.start - 1,
						  NULL));
	if (c->free.last != ULONG_MAX)
		KUNIT_EXPECT_EQ(test, 0,
				iopt_reserve_iova(&iopt, c->free.last + 1,
						  ULONG_MAX, NULL));
	iopt.iova_alignment = c->align;
	KUNIT_EXPECT_EQ(test, c->rc,
			iopt_choose_iova(&iopt, &iova, c->address, c->length));
	if (!c->rc) {
		KUNIT_EXPECT_EQ(test, iova, c->iova);
		/* A map at this IOVA, chosen by the caller, would succeed, too. */
		iopt.iova_alignment = 1;
		KUNIT_EXPECT_EQ(test, 0,
				iopt_check_iova(&iopt, iova, c->length));
	}
	up_write(&iopt.iova_rwsem);
	iopt_remove_reserved_iova(&iopt, NULL);
	iopt_destroy_table(&iopt);
}

/**
 * struct edge_check - a call of iopt_check_iova(), with the page at EDGE_RESERVED reserved
 * @name: name of the test parameter
 * @align: alignment of the IOVA space
 * @iova: first IOVA
 * @length: length in bytes
 * @rc: expected result
 */
struct edge_check {
	const char *name;
	unsigned long align;
	unsigned long iova;
	unsigned long length;
	int rc;
};

#define EDGE_RESERVED	BIT(40)

static const struct edge_check edge_checks[] = {
	{ "first byte", 1, 0, 1, 0 },
	{ "last byte", 1, ULONG_MAX, 1, 0 },
	{ "wraps by a byte", 1, ULONG_MAX, 2, -EOVERFLOW },
	{ "last page", PAGE_SIZE, -PAGE_SIZE, PAGE_SIZE, 0 },
	{ "wraps by a page", PAGE_SIZE, -PAGE_SIZE, 2 * PAGE_SIZE, -EOVERFLOW },
	{ "maximum length", 1, 1, ULONG_MAX, -EINVAL },
	{ "maximum length, wraps", 1, 2, ULONG_MAX, -EOVERFLOW },
	{ "start not aligned", 0x800, 0x400, 0x800, -EINVAL },
	{ "length not aligned", 0x800, 0x800, 0x801, -EINVAL },
	{ "neither aligned, and wraps", 0x800, ULONG_MAX, 2, -EINVAL },
	{ "up to reserved page", 1, 0, EDGE_RESERVED, 0 },
	{ "first byte of reserved page", 1, 0, EDGE_RESERVED + 1, -EINVAL },
	{ "last byte of reserved page", 1, EDGE_RESERVED + PAGE_SIZE - 1, 2,
	  -EINVAL },
	{ "after reserved page", 1, EDGE_RESERVED + PAGE_SIZE, 2, 0 },
	{ "around reserved page", 1, EDGE_RESERVED - 1, 2 * PAGE_SIZE, -EINVAL },
	{ "in reserved page", 1, EDGE_RESERVED + 1, 1, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(edge_check, edge_checks, name);

static void check_refuses_wrapping_or_reserved_iova(struct kunit *test)
{
	const struct edge_check *c = test->param_value;
	struct io_pagetable iopt;

	iopt_init_table(&iopt);
	iopt.iova_alignment = c->align;
	down_write(&iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_reserve_iova(&iopt, EDGE_RESERVED,
					  EDGE_RESERVED + PAGE_SIZE - 1, NULL));
	KUNIT_EXPECT_EQ(test, c->rc, iopt_check_iova(&iopt, c->iova, c->length));
	up_write(&iopt.iova_rwsem);
	iopt_remove_reserved_iova(&iopt, NULL);
	iopt_destroy_table(&iopt);
}

#define RESV_REGIONS	3

/**
 * struct resv_case - reserved regions of a device; the page at RESV_ALLOWED is allowed
 * @name: name of the test parameter
 * @regions: the regions; length 0 for none
 * @no_msi: the caller does not request the window of software MSI
 * @rc: expected result
 * @sw_msi: expected start of the window of software MSI, or RESV_NO_MSI
 * @usable: bitmap of regions that are not reserved afterwards
 */
struct resv_case {
	const char *name;
	struct {
		unsigned long start;
		unsigned long length;
		enum iommu_resv_type type;
	} regions[RESV_REGIONS];
	bool no_msi;
	int rc;
	unsigned long sw_msi;
	unsigned int usable;
};

#define RESV_ALLOWED	BIT(32)
#define RESV_NO_MSI	0x5a5a

static const struct resv_case resv_cases[] = {
	{ "no region", {}, false, 0, RESV_NO_MSI, 7 },
	{ "reserved", { { 0x1000, 0x1000, IOMMU_RESV_RESERVED } },
	  false, 0, RESV_NO_MSI, 6 },
	{ "direct", { { 0x1000, 0x1000, IOMMU_RESV_DIRECT } },
	  false, 0, RESV_NO_MSI, 6 },
	{ "relaxable", { { 0x1000, 0x1000, IOMMU_RESV_DIRECT_RELAXABLE },
			 { 0x8000, 0x1000, IOMMU_RESV_DIRECT } },
	  false, 0, RESV_NO_MSI, 5 },
	{ "hardware MSI", { { 0xfee00000, 0x100000, IOMMU_RESV_MSI } },
	  false, 0, RESV_NO_MSI, 6 },
	{ "software MSI", { { 0x1000, 0x1000, IOMMU_RESV_RESERVED },
			    { 0x8000000, 0x100000, IOMMU_RESV_SW_MSI } },
	  false, 0, 0x8000000, 4 },
	{ "software MSI, not requested", { { 0x1000, 0x1000, IOMMU_RESV_RESERVED },
				       { 0x8000000, 0x100000, IOMMU_RESV_SW_MSI } },
	  true, 0, RESV_NO_MSI, 4 },
	{ "hardware MSI after software MSI",
	  { { 0x8000000, 0x100000, IOMMU_RESV_SW_MSI },
	    { 0xfee00000, 0x100000, IOMMU_RESV_MSI } },
	  false, 0, RESV_NO_MSI, 4 },
	{ "hardware MSI before software MSI",
	  { { 0xfee00000, 0x100000, IOMMU_RESV_MSI },
	    { 0x8000000, 0x100000, IOMMU_RESV_SW_MSI } },
	  false, 0, RESV_NO_MSI, 4 },
	{ "two windows for software MSI",
	  { { 0x8000000, 0x100000, IOMMU_RESV_SW_MSI },
	    { 0x9000000, 0x100000, IOMMU_RESV_SW_MSI } },
	  false, 0, 0x9000000, 4 },
	{ "overlapping", { { 0x1000, 0x2000, IOMMU_RESV_RESERVED },
			   { 0x2000, 0x2000, IOMMU_RESV_RESERVED } },
	  false, 0, RESV_NO_MSI, 4 },
	{ "to the last byte", { { -PAGE_SIZE, PAGE_SIZE, IOMMU_RESV_RESERVED } },
	  false, 0, RESV_NO_MSI, 6 },
	{ "allowed first", { { RESV_ALLOWED, 1, IOMMU_RESV_RESERVED },
			     { 0x1000, 0x1000, IOMMU_RESV_RESERVED } },
	  false, -EADDRINUSE, RESV_NO_MSI, 7 },
	{ "allowed last", { { 0x1000, 0x1000, IOMMU_RESV_RESERVED },
			    { 0x8000, 0x1000, IOMMU_RESV_RESERVED },
			    { RESV_ALLOWED + PAGE_SIZE - 1, 1,
			      IOMMU_RESV_RESERVED } },
	  false, -EADDRINUSE, RESV_NO_MSI, 7 },
	{ "beside allowed", { { RESV_ALLOWED - 1, 1, IOMMU_RESV_RESERVED },
			      { RESV_ALLOWED + PAGE_SIZE, 1,
				IOMMU_RESV_RESERVED } },
	  false, 0, RESV_NO_MSI, 4 },
};

KUNIT_ARRAY_PARAM_DESC(resv, resv_cases, name);

static void resv_regions(struct device *dev, struct list_head *list)
{
	const struct resv_case *c = kunit_get_current_test()->param_value;

	for (unsigned int i = 0; i < RESV_REGIONS; i++) {
		struct iommu_resv_region *region;

		if (!c->regions[i].length)
			continue;
		region = iommu_alloc_resv_region(c->regions[i].start,
						 c->regions[i].length,
						 IOMMU_READ, c->regions[i].type,
						 GFP_KERNEL);
		if (region)
			list_add_tail(&region->list, list);
	}
}

static const struct iommu_ops resv_ops = {
	.get_resv_regions = resv_regions,
};

/**
 * struct resv_device - a device with as much as iommu_get_resv_regions() uses
 * @dev: the device
 * @iommu: &device.iommu
 * @hw: the IOMMU
 */
struct resv_device {
	struct device dev;
	struct dev_iommu iommu;
	struct iommu_device hw;
};

/* Every region but a relaxable one becomes reserved, or on error none. */
static void regions_of_device_become_reserved(struct kunit *test)
{
	const struct resv_case *c = test->param_value;
	phys_addr_t sw_msi = RESV_NO_MSI;
	struct io_pagetable iopt;
	struct resv_device *rd;
	unsigned int other;

	rd = kunit_kzalloc(test, sizeof(*rd), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rd);
	rd->hw.ops = &resv_ops;
	rd->iommu.iommu_dev = &rd->hw;
	rd->dev.iommu = &rd->iommu;

	iopt_init_table(&iopt);
	iopt_kunit_allow(test, &iopt, RESV_ALLOWED, RESV_ALLOWED + PAGE_SIZE - 1);
	down_write(&iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(test, 0, iopt_reserve_iova(&iopt, 0, 0, &other));
	up_write(&iopt.iova_rwsem);

	KUNIT_EXPECT_EQ(test, c->rc,
			iopt_table_enforce_dev_resv_regions(&iopt, &rd->dev, rd,
							    c->no_msi ? NULL : &sw_msi));
	KUNIT_EXPECT_EQ(test, sw_msi, c->sw_msi);
	down_write(&iopt.iova_rwsem);
	for (unsigned int i = 0; i < RESV_REGIONS; i++) {
		unsigned long start = c->regions[i].start;
		unsigned long length = c->regions[i].length;

		if (!length)
			continue;
		KUNIT_EXPECT_EQ(test, iopt_check_iova(&iopt, start, 1),
				c->usable & BIT(i) ? 0 : -EINVAL);
		KUNIT_EXPECT_EQ(test,
				iopt_check_iova(&iopt, start + length - 1, 1),
				c->usable & BIT(i) ? 0 : -EINVAL);
	}
	KUNIT_EXPECT_EQ(test, iopt_check_iova(&iopt, 0, 1), -EINVAL);
	up_write(&iopt.iova_rwsem);

	iopt_remove_reserved_iova(&iopt, rd);
	KUNIT_EXPECT_PTR_EQ(test, NULL,
			    interval_tree_iter_first(&iopt.reserved_itree, 1,
						     ULONG_MAX));
	iopt_remove_reserved_iova(&iopt, &other);
	iopt_destroy_table(&iopt);
}

static struct kunit_case edge_cases[] = {
	KUNIT_CASE_PARAM(choose_returns_lowest_iova_or_fails, edge_choice_gen_params),
	KUNIT_CASE_PARAM(check_refuses_wrapping_or_reserved_iova, edge_check_gen_params),
	KUNIT_CASE_PARAM(regions_of_device_become_reserved, resv_gen_params),
	{}
};

static struct kunit_suite edge_suite = {
	.name = "iommufd_iova_space_edge",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = edge_cases,
};

kunit_test_suite(edge_suite);
