// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the end of the IOVA space, and version 1 of type1
 *
 * A mapping may end at the last IOVA, where a sum of start and length wraps.
 * Without an IOMMU, the last IOVA is the end of the 64 bits; with an IOMMU, it
 * is the end of its aperture. Version 1 of type1 unmaps more than the given
 * range.
 */
#include "lib/counts.h"
#include "lib/report.h"
#include "lib/test.h"

#define PAGES	200
#define LENGTH	(PAGES * SZ_4K)

/* Mappings end at 2^64, or at 2^48, the end of a mock IOMMU's aperture. */
#define TOP	(0ULL - LENGTH)
#define MOCK_END	0x1000000000000ULL

FIXTURE(top)
{
	struct bench bench;
	struct report report;
	struct counts counts;
	enum report_kind kind;
	__u64 end;
};

FIXTURE_VARIANT(top)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(top, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(top, type1_4k) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(top, type1_nodirty) {
	.mode = MODE_TYPE1, .model = "nodirty",
};

FIXTURE_VARIANT_ADD(top, compat_emulated) {
	.mode = MODE_COMPAT, .model = "emulated",
};

FIXTURE_VARIANT_ADD(top, compat_4k) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(top, compat_nodirty) {
	.mode = MODE_COMPAT, .model = "nodirty",
};

FIXTURE_SETUP(top)
{
	struct bench *bench = &self->bench;

	sysfs_write(EMULATED_PIN, "Y");
	self->kind = report_kind_of(variant->model);
	self->end = self->kind == REPORT_PINS ? 0 : MOCK_END;
	counts_now(_metadata, &self->counts);
	bench_open(_metadata, bench, variant->mode, variant->model);
	bench_memory(_metadata, bench, self->end - LENGTH, LENGTH, MEM_4K);
	report_init(_metadata, &self->report, self->end - LENGTH, PAGES);
	self->report.all = self->kind == REPORT_NOTHING;
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
}

/* Closing the container with the mapping in it must not leak pins. */
FIXTURE_TEARDOWN(top)
{
	bench_close(_metadata, &self->bench);
	report_free(&self->report);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

static void write_ends(struct __test_metadata *_metadata, struct bench *bench,
		       struct report *report, enum report_kind kind)
{
	report_write(_metadata, report, &bench->dev, kind, LENGTH - 1, 1);
	report_write(_metadata, report, &bench->dev, kind, 0, SZ_4K + 1);
	ASSERT_EQ(1, bench->mem.va[LENGTH - 1]);
	bench->mem.va[LENGTH - 1] = 0;
}

TEST_F(top, writes_at_the_end_are_reported)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	report_query(_metadata, report, &bench->iommu);
	write_ends(_metadata, bench, report, self->kind);
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
	write_ends(_metadata, bench, report, self->kind);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_STOP));
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	memset(report->once, 0, sizeof(report->once));
	report_query(_metadata, report, &bench->iommu);
}

/* All ways to unmap the last page. */
TEST_F(top, mapping_at_the_end_can_be_unmapped)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	int fd = bench->iommu.fd;
	const __u64 half = 1ULL << 63, at = report->iova;
	__u64 length = LENGTH, low, high;

	write_ends(_metadata, bench, report, self->kind);
	ASSERT_EQ(0, __type1_unmap_bitmap(fd, at, &length, SZ_4K,
					  report->bm.bits, report->bytes));
	ASSERT_EQ(LENGTH, length);
	report_check(_metadata, report);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	write_ends(_metadata, bench, report, self->kind);
	iommu_unmap(_metadata, &bench->iommu, at, LENGTH);

	/* The last page alone, beside other mappings. */
	iommu_map(_metadata, &bench->iommu, bench->mem.va + LENGTH - SZ_4K,
		  at + LENGTH - SZ_4K, SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH - SZ_4K);
	write_ends(_metadata, bench, report, self->kind);
	iommu_unmap(_metadata, &bench->iommu, at + LENGTH - SZ_4K, SZ_4K);
	iommu_unmap(_metadata, &bench->iommu, at, LENGTH - SZ_4K);

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	ASSERT_EQ(0, __type1_unmap_flags(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0,
					 &length));
	ASSERT_EQ(LENGTH, length);

	/* VMMs without VFIO_DMA_UNMAP_FLAG_ALL unmap in two halves. */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	ASSERT_EQ(0, __type1_unmap(fd, 0, half, &low));
	ASSERT_EQ(0, __type1_unmap(fd, half, half, &high));
	ASSERT_EQ(LENGTH, low + high);
	ASSERT_EQ(0, __mock_fill(&bench->dev, at, 8, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, &bench->dev,
						MOCK_REG(status)));
}

TEST_F(top, ranges_beyond_the_end_are_refused)
{
	struct bench *bench = &self->bench;
	struct iommu *iommu = &bench->iommu;
	__u64 at = self->report.iova, bits[5] = {}, length;
	bool type1 = bench->iommu.mode == MODE_TYPE1;
	int rc;

	ASSERT_EQ(-EEXIST, __iommu_map(iommu, bench->mem.va,
				       at + LENGTH - SZ_4K, SZ_4K,
				       PROT_DMA_RW));
	iommu_unmap(_metadata, iommu, at, LENGTH);
	/* One page beyond the end. */
	rc = __iommu_map(iommu, bench->mem.va, at + SZ_4K, LENGTH,
			 PROT_DMA_RW);
	ASSERT_EQ(type1 || self->end ? -EINVAL : -EOVERFLOW, rc);
	if (!self->end) {
		/* A range that wraps can neither be queried nor unmapped. */
		ASSERT_EQ(-EINVAL, __type1_dirty_get(iommu->fd, at + SZ_4K,
						     LENGTH, SZ_4K, bits, 40));
		length = LENGTH;
		rc = __type1_unmap(iommu->fd, at + SZ_4K, length, NULL);
		ASSERT_EQ(type1 ? -EINVAL : -EOVERFLOW, rc);
	}
	iommu_map(_metadata, iommu, bench->mem.va, at, LENGTH);
}

/* A device whose IOMMU has a smaller aperture cannot be attached. */
TEST_F(top, attach_with_smaller_aperture_is_refused)
{
	struct bench *bench = &self->bench;
	bool type1 = bench->iommu.mode == MODE_TYPE1;
	struct vfio_dev dev;
	char path[128];
	int rc;

	if (self->end)
		return;
	ASSERT_EQ(0, mock_find("2m", 0, path, sizeof(path)));
	for (int i = 0; i < 3; i++) {
		rc = __vfio_dev_open(&dev, &bench->iommu, path);
		/*
		 * The first IOMMU of the container: its driver returns the
		 * errno.
		 */
		ASSERT_EQ(type1 ? -ERANGE : -EADDRINUSE, rc);
		write_ends(_metadata, bench, &self->report, self->kind);
		report_query(_metadata, &self->report, &bench->iommu);
	}
	iommu_unmap(_metadata, &bench->iommu, TOP, LENGTH);
	ASSERT_EQ(0, __vfio_dev_open(&dev, &bench->iommu, path));
	ASSERT_EQ(-EINVAL, __iommu_map(&bench->iommu, bench->mem.va, TOP,
				       LENGTH, PROT_DMA_RW));
	vfio_dev_close(&dev);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, TOP, LENGTH);
}

#define IOVA	0x10000000ULL

FIXTURE(version_1)
{
	struct bench bench;
	struct counts counts;
};

FIXTURE_VARIANT(version_1)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(version_1, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(version_1, compat) { .mode = MODE_COMPAT };

FIXTURE_SETUP(version_1)
{
	struct bench *bench = &self->bench;
	char path[128];

	memset(bench, 0, sizeof(*bench));
	counts_now(_metadata, &self->counts);
	ASSERT_EQ(0, mock_find("2m", 0, path, sizeof(path)));
	iommu_open(_metadata, &bench->iommu, variant->mode);
	bench->iommu.type = VFIO_TYPE1_IOMMU;
	ASSERT_EQ(0, __vfio_dev_open(&bench->dev, &bench->iommu, path));
	mem_alloc(_metadata, &bench->mem, 2 * SZ_2M, MEM_THP);
}

FIXTURE_TEARDOWN(version_1)
{
	bench_close(_metadata, &self->bench);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Return true if the device can write to the page at @offset. */
static bool reaches(struct __test_metadata *_metadata, struct bench *bench,
		    __u64 offset)
{
	ASSERT_EQ(0, __mock_fill(&bench->dev, IOVA + offset, 8, 1));
	return mock_get(_metadata, &bench->dev, MOCK_REG(status)) ==
	       VFIO_MOCK_DMA_OK;
}

static __u64 unmap(struct __test_metadata *_metadata, struct bench *bench,
		   __u64 offset, __u64 length)
{
	__u64 unmapped;

	CHECK_RC(0, __type1_unmap(bench->iommu.fd, IOVA + offset, length,
				  &unmapped), "at 0x%llx", offset);
	return unmapped;
}

/*
 * Version 1 unmaps the whole of a mapping whose first byte is in the range, and
 * no other mapping. The compat container has always split mappings instead.
 */
TEST_F(version_1, unmap_of_a_part_unmaps_whole_mapping_or_splits)
{
	struct bench *bench = &self->bench;
	bool splits = bench->iommu.mode == MODE_COMPAT;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA, 2 * SZ_2M);
	ASSERT_EQ(splits ? SZ_4K : 0, unmap(_metadata, bench, SZ_2M, SZ_4K));
	ASSERT_EQ(!splits, reaches(_metadata, bench, SZ_2M));
	ASSERT_TRUE(reaches(_metadata, bench, SZ_2M - SZ_4K));
	ASSERT_TRUE(reaches(_metadata, bench, SZ_2M + SZ_4K));
	/* From the middle to beyond the end. */
	ASSERT_EQ(splits ? SZ_64K : 0, unmap(_metadata, bench,
					     2 * SZ_2M - SZ_64K, 2 * SZ_64K));
	ASSERT_EQ(!splits, reaches(_metadata, bench, 2 * SZ_2M - SZ_4K));
	/* The first page, and with version 1 the whole mapping. */
	ASSERT_EQ(splits ? SZ_4K : 2 * SZ_2M,
		  unmap(_metadata, bench, 0, SZ_4K));
	ASSERT_EQ(splits, reaches(_metadata, bench, SZ_4K));
	ASSERT_FALSE(reaches(_metadata, bench, 0));
	unmap(_metadata, bench, 0, 2 * SZ_2M);
	ASSERT_FALSE(reaches(_metadata, bench, SZ_4K));
	ASSERT_EQ(0, unmap(_metadata, bench, 0, 2 * SZ_2M));
}

TEST_F(version_1, unmap_of_several_unmaps_whole_mappings_or_splits)
{
	struct bench *bench = &self->bench;
	bool splits = bench->iommu.mode == MODE_COMPAT;

	for (int i = 0; i < 4; i++)
		iommu_map(_metadata, &bench->iommu, bench->mem.va,
			  IOVA + i * SZ_2M, SZ_64K);
	/* From a hole into the last mapping. */
	ASSERT_EQ(splits ? SZ_64K + SZ_4K : 2 * SZ_64K,
		  unmap(_metadata, bench, SZ_2M + SZ_1M, SZ_2M + SZ_1M + SZ_4K));
	ASSERT_TRUE(reaches(_metadata, bench, SZ_2M));
	ASSERT_FALSE(reaches(_metadata, bench, 2 * SZ_2M));
	ASSERT_EQ(splits, reaches(_metadata, bench, 3 * SZ_2M + SZ_4K));
	/* Both of the first mappings. */
	unmap(_metadata, bench, 0, 2 * SZ_2M);
	ASSERT_FALSE(reaches(_metadata, bench, 0));
	ASSERT_FALSE(reaches(_metadata, bench, SZ_2M));
	ASSERT_EQ(0, __type1_unmap_flags(bench->iommu.fd,
					 VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, NULL));
}

TEST_HARNESS_MAIN
