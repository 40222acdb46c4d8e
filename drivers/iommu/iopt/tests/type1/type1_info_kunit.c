// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of VFIO_IOMMU_GET_INFO: see type1_kunit.c. The tests pass every buffer
 * size up to more than is needed. The page behind the buffer is not mapped.
 */
#include <linux/iommu.h>

#include "tests/type1/type1_kunit.h"

/* Offsets of the capabilities. */
#define MIGRATION	24
#define AVAIL		56
#define RANGES		72
#define RANGE(n)	(RANGES + 16 + 16 * (n))

/**
 * struct t1_info - user buffer of VFIO_IOMMU_GET_INFO
 * @info: fixed part
 * @migration: capability at offset MIGRATION
 * @avail: capability at offset AVAIL
 * @pad: padding between two capabilities
 * @ranges: capability at offset RANGES
 * @range: ranges of this capability, at offset RANGE(0)
 */
struct t1_info {
	struct vfio_iommu_type1_info info;
	struct vfio_iommu_type1_info_cap_migration migration;
	struct vfio_iommu_type1_info_dma_avail avail;
	u32 pad;
	u64 ranges[2];
	struct vfio_iova_range range[4];
};

static_assert(offsetof(struct t1_info, migration) == MIGRATION);
static_assert(offsetof(struct t1_info, avail) == AVAIL);
static_assert(offsetof(struct t1_info, ranges) == RANGES);
static_assert(offsetof(struct t1_info, range) == RANGE(0));

static void t1_check_header(struct kunit *test, const void *cap, u16 id,
			    u32 next)
{
	const struct vfio_info_cap_header *header = cap;

	KUNIT_EXPECT_EQ(test, header->id, id);
	KUNIT_EXPECT_EQ(test, header->version, 1);
	KUNIT_EXPECT_EQ(test, header->next, next);
}

static void t1_check_caps(struct kunit *test, const struct t1_info *t,
			  unsigned int nr_ranges, u32 avail)
{
	KUNIT_EXPECT_EQ(test, t->info.cap_offset, MIGRATION);
	t1_check_header(test, &t->migration, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
			AVAIL);
	KUNIT_EXPECT_EQ(test, t->migration.flags, 0);
	KUNIT_EXPECT_EQ(test, t->migration.pgsize_bitmap, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t->migration.max_dirty_bitmap_size, SZ_256M);
	t1_check_header(test, &t->avail, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			nr_ranges ? RANGES : 0);
	KUNIT_EXPECT_EQ(test, t->avail.avail, avail);
	KUNIT_EXPECT_EQ(test, t->pad, 0);
	if (nr_ranges) {
		t1_check_header(test, t->ranges,
				VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0);
		KUNIT_EXPECT_EQ(test, t->ranges[1], nr_ranges);
	}
}

/* Call the ioctl with every argsz up to more than is needed. */
static void t1_check_sizes(struct kunit *test, bool strict,
			   unsigned int nr_ranges, u32 avail)
{
	const u32 needed = nr_ranges ? RANGE(nr_ranges) : RANGES;
	struct t1_info t;
	int rc;

	for (u32 argsz = 4; argsz <= needed + 16; argsz++) {
		memset(&t, 0xaa, sizeof(t));
		t.info.argsz = argsz;
		rc = t1_ioctl(test, VFIO_IOMMU_GET_INFO, &t, argsz);
		KUNIT_ASSERT_EQ(test, rc, argsz < 16 ? -EINVAL : 0);
		if (rc)
			continue;
		KUNIT_EXPECT_EQ(test, t.info.flags, VFIO_IOMMU_INFO_PGSIZES |
						    VFIO_IOMMU_INFO_CAPS);
		KUNIT_EXPECT_EQ(test, t.info.argsz,
				strict ? max(argsz, needed) : needed);
		if (argsz >= needed)
			t1_check_caps(test, &t, nr_ranges, avail);
		else if (argsz >= sizeof(t.info))
			KUNIT_EXPECT_EQ(test, t.info.cap_offset, 0);
	}
}

static void info_fills_any_argsz(struct kunit *test)
{
	t1_begin(test, true);
	t1_max_mappings = 7;
	t1_check_sizes(test, true, 0, 6);
	t1_max_mappings = 1;
	t1_check_sizes(test, true, 0, 0);
	/* The limit is below the number of mappings. */
	t1_max_mappings = 0;
	t1_check_sizes(test, true, 0, 0);
	t1_max_mappings = U32_MAX;
	t1_check_sizes(test, true, 0, U32_MAX - 1);
	t1_end(test);

	t1_begin(test, false);
	t1_check_sizes(test, false, 1, U32_MAX);
	t1_end(test);
}

static void info_omits_reserved_iovas(struct kunit *test)
{
	struct t1_info t = { .info.argsz = sizeof(t) };
	struct t1 *t1 = test->priv;
	int owner;

	for (int strict = 0; strict < 2; strict++) {
		t1_begin(test, strict);
		down_write(&t1->iopt.iova_rwsem);
		KUNIT_ASSERT_EQ(test, 0, iopt_reserve_iova(&t1->iopt, SZ_1M,
							   SZ_2M - 1, &owner));
		up_write(&t1->iopt.iova_rwsem);
		t1_check_sizes(test, strict, 2, strict ? 99 : U32_MAX);
		KUNIT_EXPECT_EQ(test, 0, t1_ioctl(test, VFIO_IOMMU_GET_INFO, &t,
						  sizeof(t)));
		KUNIT_EXPECT_EQ(test, t.range[0].start, 0);
		KUNIT_EXPECT_EQ(test, t.range[0].end, SZ_1M - 1);
		KUNIT_EXPECT_EQ(test, t.range[1].start, SZ_2M);
		KUNIT_EXPECT_EQ(test, t.range[1].end, U64_MAX);
		iopt_remove_reserved_iova(&t1->iopt, &owner);
		t1_end(test);
	}
}

/**
 * struct t1_sizes - page sizes of two IOMMUs, and the reported page sizes
 * @name: name of the row
 * @sizes: page sizes that each IOMMU supports
 * @reported: expected iova_pgsizes
 */
struct t1_sizes {
	const char *name;
	unsigned long sizes[2];
	unsigned long reported;
};

static const struct t1_sizes t1_sizes_cases[] = {
	{ "equal page sizes", { SZ_4K | SZ_2M, SZ_4K | SZ_2M }, SZ_4K | SZ_2M },
	{ "one IOMMU has more", { SZ_4K | SZ_2M | SZ_1G, SZ_4K | SZ_2M },
	  SZ_4K | SZ_2M },
	{ "smaller than PAGE_SIZE", { SZ_2K | SZ_2M, SZ_2K | SZ_2M },
	  SZ_4K | SZ_2M },
	{ "smaller than PAGE_SIZE in one", { SZ_2K | SZ_2M, SZ_4K | SZ_2M },
	  SZ_4K | SZ_2M },
	{ "unequal, smaller than PAGE_SIZE", { SZ_1K, SZ_2K | SZ_2M }, SZ_4K },
	{ "only PAGE_SIZE", { SZ_4K, SZ_4K | SZ_2M }, SZ_4K },
};

KUNIT_ARRAY_PARAM_DESC(t1_sizes, t1_sizes_cases, name);

static void info_reports_common_page_sizes(struct kunit *test)
{
	const struct t1_sizes *c = test->param_value;
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct iopt_kunit_domain *kd;
	struct t1 *t1 = test->priv;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "the rows are for pages of 4 KiB");
	kd = kunit_kcalloc(test, 2, sizeof(*kd), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kd);
	t1_begin(test, true);
	KUNIT_EXPECT_EQ(test, 0, t1_ioctl(test, VFIO_IOMMU_GET_INFO, &info,
					  sizeof(info)));
	KUNIT_EXPECT_EQ(test, info.iova_pgsizes, PAGE_MASK);
	for (unsigned int i = 0; i < 2; i++) {
		iopt_kunit_domain_init(test, &kd[i], c->sizes[i], BASE, SZ_64K);
		KUNIT_ASSERT_EQ(test, 0, iopt_table_add_domain(&t1->iopt,
							       &kd[i].domain));
	}
	info.argsz = sizeof(info);
	KUNIT_EXPECT_EQ(test, 0, t1_ioctl(test, VFIO_IOMMU_GET_INFO, &info,
					  sizeof(info)));
	KUNIT_EXPECT_EQ(test, info.iova_pgsizes, c->reported);
		/*
		 * VFIO's container reports the ranges as soon as it has a
		 * domain.
		 */
	KUNIT_EXPECT_EQ(test, info.argsz, RANGE(1));
	for (unsigned int i = 0; i < 2; i++)
		iopt_table_remove_domain(&t1->iopt, &kd[i].domain);
	t1_end(test);
}

static struct kunit_case t1_info_cases[] = {
	KUNIT_CASE(info_fills_any_argsz),
	KUNIT_CASE(info_omits_reserved_iovas),
	KUNIT_CASE_PARAM(info_reports_common_page_sizes, t1_sizes_gen_params),
	{}
};

static struct kunit_suite t1_info_suite = {
	.name = "iommufd_type1_info",
	.init = t1_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = t1_info_cases,
};

kunit_test_suite(t1_info_suite);
