// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: VFIO_IOMMU_UNMAP_DMA
 *
 * An unmap with a bitmap reports every write that reached memory before the
 * call, and an unmap that fails changes nothing. Other tests unmap everything,
 * or a range without mappings. Version 1 and the end of the IOVA space are
 * tested in type1_edge_test.c, VADDR in type1_vaddr_test.c.
 */
#include <sys/mman.h>

#include "lib/counts.h"
#include "lib/type1_fixture.h"

/* Unmap with a bitmap: 0 or -errno. A successful unmap unmaps all of it. */
static int unmap_report(struct __test_metadata *_metadata, struct bench *bench,
			struct report *report)
{
	__u64 length = report->pages * SZ_4K;
	int rc;

	bitmap_reset(&report->bm);
	rc = __type1_unmap_bitmap(bench->iommu.fd, report->iova, &length, SZ_4K,
				  report->bm.bits, report->bytes);
	CHECK(rc || length == report->pages * SZ_4K, "0x%llx bytes", length);
	return rc;
}

static void map_again(struct __test_metadata *_metadata, struct bench *bench,
		      struct report *report)
{
	memset(report->once, 0, sizeof(report->once));
	memset(report->pinned, 0, sizeof(report->pinned));
	iommu_map(_metadata, &bench->iommu, bench->mem.va, report->iova,
		  report->pages * SZ_4K);
}

TEST_F(type1, unmap_reports_dirty_pages)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	for (int i = 0; i < 3; i++) {
		report_write(_metadata, report, &bench->dev, self->kind,
			     (9 + i) * SZ_4K, 2 * SZ_4K);
		if (i == 1)
			report_query(_metadata, report, &bench->iommu);
		report_write(_metadata, report, &bench->dev, self->kind,
			     LENGTH - 1, 1);
		ASSERT_EQ(0, unmap_report(_metadata, bench, report));
		report_check(_metadata, report);
		ASSERT_EQ(0, __mock_fill(&bench->dev, IOVA, 8, 1));
		ASSERT_EQ(VFIO_MOCK_DMA_FAULT,
			  mock_get(_metadata, &bench->dev, MOCK_REG(status)));
		map_again(_metadata, bench, report);
		report_query(_metadata, report, &bench->iommu);
	}
}

/* One unmap of several mappings; the bits of holes are unchanged. */
TEST_F(type1, unmap_of_many_mappings_reports_dirty_pages)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	bool all = self->report.all;
	__u64 length = 256 * SZ_4K;
	__u8 bits[32];

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 64 * SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at + 64 * SZ_4K,
		  8 * SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at + 192 * SZ_4K,
		  64 * SZ_4K);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	mock_fill(_metadata, &bench->dev, at + 63 * SZ_4K, 2 * SZ_4K, 1);
	mock_fill(_metadata, &bench->dev, at + 255 * SZ_4K, 1, 1);
	memset(bits, 0x11, 32);
	ASSERT_EQ(0, __type1_unmap_bitmap(bench->iommu.fd, at, &length, SZ_4K,
					  bits, 32));
	ASSERT_EQ(136 * SZ_4K, length);
	ASSERT_TRUE(mem_is(bits, 7, all ? 0xff : 0));
	ASSERT_EQ(all ? 0xff : 0x80, bits[7]);
	ASSERT_EQ(all ? 0xff : 1, bits[8]);
	ASSERT_TRUE(mem_is(bits + 9, 7, 0));
	ASSERT_TRUE(mem_is(bits + 16, 8, 0x11));
	ASSERT_TRUE(mem_is(bits + 24, 7, all ? 0xff : 0));
	ASSERT_EQ(all ? 0xff : 0x80, bits[31]);
	/* A range of holes only */
	length = 256 * SZ_4K;
	ASSERT_EQ(0, __type1_unmap_bitmap(bench->iommu.fd, at, &length, SZ_4K,
					  bits, 32));
	ASSERT_EQ(0, length);
	report_query(_metadata, &self->report, &bench->iommu);
}

/*
 * The dirty bits of long mappings are read in steps, of 32 MiB where leaves are small.
 * Pages that a device may not read stay writable until they are unmapped.
 */
TEST_F(type1, unmap_in_steps_reports_dirty_pages)
{
	static const unsigned int written[] = { 0, 8191, 8192, 12287, 12288 };
	const __u64 at = 0x50000000ULL, size = 12288 * SZ_4K;
	struct bench *bench = &self->bench;
	__u64 length = size + 64 * SZ_4K;
	__u64 expected[193], bits[193];
	__u8 *mem;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	iommu_map(_metadata, &bench->iommu, mem, at, size);
	ASSERT_EQ(0, __type1_map(bench->iommu.fd, mem, at + size, 64 * SZ_4K,
				 PROT_WRITE));
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	memset(expected, self->report.all ? 0xff : 0, sizeof(expected));
	for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
		mock_fill(_metadata, &bench->dev, at + written[i] * SZ_4K, 8,
			  i + 1);
		expected[written[i] / 64] |= 1ULL << written[i] % 64;
	}
	memset(bits, 0x11, sizeof(bits));
	ASSERT_EQ(0, __type1_unmap_bitmap(bench->iommu.fd, at, &length, SZ_4K,
					  bits, sizeof(bits)));
	ASSERT_EQ(size + 64 * SZ_4K, length);
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		CHECK(bits[i] == expected[i], "word %zu: 0x%llx, not 0x%llx", i,
		      bits[i], expected[i]);
	munmap(mem, size);
}

/*
 * The device writes until its memory is unmapped. The writes that are in the
 * truth log before the call are in the bitmap; writes during the call may be.
 */
TEST_F_TIMEOUT(type1, unmap_during_writes_reports_earlier_writes, 120)
{
	const struct mock_work work = {
		.iova = IOVA, .length = LENGTH, .stride = 512, .seed = 3,
	};
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct guarded_bitmap truth;
	size_t wrote = 0;

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	bitmap_alloc(_metadata, &truth, report->bytes * 8, 0);
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, __mock_truth_start(&bench->dev, IOVA, LENGTH,
						SZ_4K));
		mock_work_start(_metadata, &bench->dev, &work);
		mock_work_wait(_metadata, &bench->dev, 1 + i % 7);
		bitmap_reset(&truth);
		mock_truth_read(_metadata, &bench->dev, truth.bits,
				report->bytes);
		ASSERT_EQ(0, unmap_report(_metadata, bench, report));
		mock_work_stop(_metadata, &bench->dev);
		mock_set(_metadata, &bench->dev, MOCK_REG(truth_control), 0);
		bitmap_check_guards(_metadata, &report->bm);
		for (size_t page = 0; page < PAGES; page++)
			CHECK(!bitmap_test(&truth, page) ||
			      bitmap_test(&report->bm, page),
			      "round %d, page %zu", i, page);
		wrote += bitmap_count(&truth);
		map_again(_metadata, bench, report);
	}
	ASSERT_LE(20, wrote);
	bitmap_free(&truth);
}

/*
 * An unmap into an unwritable bitmap keeps the mapping, pins and dirty pages.
 */
TEST_F(type1, unmap_into_unwritable_bitmap_changes_nothing)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	__u8 *map = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *const bad[] = {
		map + SZ_4K, map + SZ_4K - 8, map + SZ_4K - 24, NULL,
	};
	struct counts counts;
	__u64 length;

	ASSERT_NE(MAP_FAILED, (void *)map);
	map[0] = 1;
	ASSERT_EQ(0, mprotect(map + SZ_4K, SZ_4K, PROT_READ));
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	/* Drivers are notified to unpin, although the unmap fails later. */
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		report_write(_metadata, report, &bench->dev, self->kind,
			     (60 + i) * SZ_4K, 20 * SZ_4K);
		counts_now(_metadata, &counts);
		length = LENGTH;
		CHECK_RC(-EFAULT,
			 __type1_unmap_bitmap(bench->iommu.fd, IOVA, &length,
					      SZ_4K, bad[i], report->bytes),
			 "%zu", i);
		if (self->kind == REPORT_PINS)
			report_unpin(report);
		else
			counts_check(_metadata, &counts, 0, 0, 0);
		if (i % 2)
			report_query(_metadata, report, &bench->iommu);
		report_write(_metadata, report, &bench->dev, self->kind, 0,
			     SZ_4K);
		ASSERT_EQ(1, bench->mem.va[0]);
	}
	ASSERT_EQ(0, unmap_report(_metadata, bench, report));
	report_check(_metadata, report);
	munmap(map, 2 * SZ_4K);
}

static const struct {
	__u64 iova, length, pgsize, bytes;
} bad_unmap[] = {
	{ IOVA, LENGTH, 0, 32 },
	{ IOVA, LENGTH, SZ_64K, 32 },
	{ IOVA, LENGTH, SZ_2K, 64 },
	{ IOVA, LENGTH, 1ULL << 63, 32 },
	{ IOVA, LENGTH, SZ_4K, 24 },
	{ IOVA, LENGTH, SZ_4K, 31 },
	{ IOVA, LENGTH, SZ_4K, 0 },
	{ IOVA, LENGTH, SZ_4K, 256 * 1024 * 1024 + 8 },
	{ IOVA, 0, SZ_4K, 32 },
	{ IOVA + 1, LENGTH, SZ_4K, 32 },
	{ IOVA, LENGTH - 1, SZ_4K, 32 },
};

TEST_F(type1, unmap_with_bad_arguments_changes_nothing)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	__u64 length = LENGTH;

	/* Tracking is off. */
	ASSERT_EQ(-EINVAL, unmap_report(_metadata, bench, report));
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	report_write(_metadata, report, &bench->dev, self->kind, 0, 3 * SZ_4K);
	for (size_t i = 0; i < ARRAY_SIZE(bad_unmap); i++) {
		length = bad_unmap[i].length;
		CHECK_RC(-EINVAL,
			 __type1_unmap_bitmap(bench->iommu.fd,
					      bad_unmap[i].iova, &length,
					      bad_unmap[i].pgsize,
					      report->bm.bits,
					      bad_unmap[i].bytes), "%zu", i);
	}
	ASSERT_EQ(0, bitmap_count(&report->bm));
	length = LENGTH;
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(bench->iommu.fd, IOVA, &length,
						SZ_4K, (void *)(1ULL << 63),
						32));
	report_query(_metadata, report, &bench->iommu);
}

/* A range that splits a mapping is refused; each container has its errno. */
TEST_F(type1, unmap_that_splits_a_mapping_is_refused)
{
	static const struct {
		__u64 offset, length;
	} splits[] = {
		{ SZ_4K, LENGTH - SZ_4K }, { 0, LENGTH - SZ_4K },
		{ SZ_4K, SZ_4K }, { SZ_4K, LENGTH }, { 0 - SZ_4K, 2 * SZ_4K },
	};
	int fd = self->bench.iommu.fd;
	int errno_split = self->bench.iommu.mode == MODE_TYPE1 ? -EINVAL :
							       -ENOENT;
	struct report *report = &self->report;
	__u64 unmapped;

	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	report_write(_metadata, report, &self->bench.dev, self->kind, 0,
		     LENGTH);
	for (size_t i = 0; i < ARRAY_SIZE(splits); i++) {
		__u64 at = IOVA + splits[i].offset, length = splits[i].length;

		CHECK_RC(errno_split, __type1_unmap(fd, at, length, &unmapped),
			 "%zu", i);
		CHECK_RC(errno_split,
			 __type1_unmap_bitmap(fd, at, &length, SZ_4K,
					      report->bm.bits, 32),
			 "%zu", i);
	}
	ASSERT_EQ(0, bitmap_count(&report->bm));
	report_query(_metadata, report, &self->bench.iommu);
}

TEST_F(type1, unmap_all_unmaps_everything)
{
	const __u32 all = VFIO_DMA_UNMAP_FLAG_ALL;
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	__u64 unmapped;

	for (int i = 1; i < 9; i++)
		iommu_map(_metadata, &bench->iommu, bench->mem.va,
			  IOVA + i * SZ_1G, i * SZ_4K);
	mock_fill(_metadata, &bench->dev, IOVA + 3 * SZ_1G, SZ_4K, 1);
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, all, SZ_4K, 0, NULL));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, all, 0, SZ_4K, NULL));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, all, 0, ~0ULL, NULL));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, 1U << 31, IOVA, LENGTH,
					       NULL));
	ASSERT_EQ(0, __type1_unmap_flags(fd, all, 0, 0, &unmapped));
	ASSERT_EQ(LENGTH + 36 * SZ_4K, unmapped);
	ASSERT_EQ(0, __type1_unmap_flags(fd, all, 0, 0, &unmapped));
	ASSERT_EQ(0, unmapped);
	/* Unmapping a range without mappings is no error, either. */
	ASSERT_EQ(0, __type1_unmap(fd, IOVA, LENGTH, &unmapped));
	ASSERT_EQ(0, unmapped);
	ASSERT_EQ(0, __mock_fill(&bench->dev, IOVA, 8, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, &bench->dev,
						MOCK_REG(status)));
}

/* GET_DIRTY_BITMAP excludes other flags and requires all of the argument. */
TEST_F(type1, unmap_with_bad_flags_is_einval)
{
	static const __u32 bad[] = {
		VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL,
		VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |
			VFIO_DMA_UNMAP_FLAG_VADDR,
		VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | 8, 8, 1U << 31,
	};
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg = {
		.unmap = { sizeof(arg), 0, IOVA, LENGTH },
		.bitmap = { SZ_4K, 32, (void *)self->report.bm.bits },
	};
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		arg.unmap.flags = bad[i];
		CHECK_RC(-EINVAL, xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &arg),
			 "flags 0x%x", bad[i]);
	}
	arg.unmap.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	for (arg.unmap.argsz = 0; arg.unmap.argsz < sizeof(arg);
	     arg.unmap.argsz++)
		CHECK_RC(-EINVAL, xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &arg),
			 "argsz %u", arg.unmap.argsz);
	arg.unmap.argsz = sizeof(arg);
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &arg));
	ASSERT_EQ(LENGTH, arg.unmap.size);
}

TEST_HARNESS_MAIN
