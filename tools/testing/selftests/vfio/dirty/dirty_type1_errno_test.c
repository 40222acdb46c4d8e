// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: refused calls of VFIO_IOMMU_DIRTY_PAGES
 *
 * A refused call changes nothing: neither the state of tracking, nor the dirty
 * pages, nor a byte of the bitmap.
 */
#include <sys/mman.h>

#include "lib/type1_fixture.h"

#define BYTES	((PAGES + 63) / 64 * 8)

TEST_F(type1, bad_flags_change_nothing)
{
	static const __u32 bad[] = {
		0, DIRTY_START | DIRTY_STOP, DIRTY_START | DIRTY_GET,
		DIRTY_STOP | DIRTY_GET, DIRTY_START | DIRTY_STOP | DIRTY_GET,
		8, DIRTY_START | 8, 1U << 31,
	};
	struct vfio_iommu_type1_dirty_bitmap shrt = {
		.argsz = 4,
		.flags = DIRTY_START,
	};
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_RC(-EINVAL, __type1_dirty_flag(fd, bad[i]),
			 "flags 0x%x", bad[i]);
	ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &shrt));
	ASSERT_EQ(-EFAULT, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, NULL));
	/* None of the refused calls has started tracking, */
	ASSERT_EQ(-EINVAL, __report_query(&self->report, &bench->iommu));
	/* and none of them stops it. */
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	report_write(_metadata, &self->report, &bench->dev, self->kind, 0, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_RC(-EINVAL, __type1_dirty_flag(fd, bad[i]),
			 "flags 0x%x", bad[i]);
	report_query(_metadata, &self->report, &bench->iommu);
}

static const struct {
	__u64 iova, length, pgsize, bytes;
} bad_get[] = {
	{ IOVA, 0, SZ_4K, BYTES },
	{ IOVA, LENGTH, 0, BYTES },
	{ IOVA, LENGTH, SZ_64K, BYTES },
	{ IOVA, LENGTH, SZ_2K, BYTES * 2 },
	{ IOVA, LENGTH, SZ_2M, BYTES },
	{ IOVA, LENGTH, 3 * SZ_4K, BYTES },
	{ IOVA, LENGTH, 1ULL << 63, BYTES },
	{ IOVA + 1, LENGTH, SZ_4K, BYTES },
	{ IOVA, LENGTH + 1, SZ_4K, BYTES + 8 },
	{ IOVA, LENGTH, SZ_4K, BYTES - 1 },
	{ IOVA, LENGTH, SZ_4K, BYTES - 8 },
	{ IOVA, LENGTH, SZ_4K, 0 },
	{ IOVA, LENGTH, SZ_4K, 256 * 1024 * 1024 + 8 },
	{ IOVA, LENGTH, SZ_4K, ~0ULL },
	{ IOVA + SZ_4K, LENGTH - SZ_4K, SZ_4K, BYTES },
	{ IOVA, LENGTH - SZ_4K, SZ_4K, BYTES },
	{ IOVA + SZ_4K, SZ_4K, SZ_4K, BYTES },
	{ IOVA - SZ_4K, 2 * SZ_4K, SZ_4K, BYTES },
	{ 0 - SZ_4K, 2 * SZ_4K, SZ_4K, BYTES },
};

TEST_F(type1, get_with_bad_arguments_loses_nothing)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	for (size_t i = 0; i < ARRAY_SIZE(bad_get); i++) {
		report_write(_metadata, report, &bench->dev, self->kind,
			     (3 + 5 * i) * SZ_4K, SZ_4K);
		bitmap_reset(&report->bm);
		CHECK_RC(-EINVAL,
			 __type1_dirty_get(bench->iommu.fd, bad_get[i].iova,
					   bad_get[i].length,
					   bad_get[i].pgsize, report->bm.bits,
					   bad_get[i].bytes), "%zu", i);
		ASSERT_EQ(0, bitmap_count(&report->bm));
		bitmap_check_guards(_metadata, &report->bm);
		report_query(_metadata, report, &bench->iommu);
	}
}

/* argsz ends before the end of the bitmap structure. */
TEST_F(type1, get_with_short_argsz_is_einval)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.dirty.flags = DIRTY_GET,
		.get = { IOVA, LENGTH,
			 { SZ_4K, BYTES, (void *)self->report.bm.bits } },
	};
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(48, sizeof(arg));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	report_write(_metadata, &self->report, &self->bench.dev, self->kind, 0,
		     1);
	for (__u32 size = 0; size < sizeof(arg); size++) {
		arg.dirty.argsz = size;
		CHECK_RC(-EINVAL, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &arg),
			 "argsz %u", size);
	}
	ASSERT_EQ(0, bitmap_count(&self->report.bm));
	arg.dirty.argsz = sizeof(arg) + 8;
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &arg));
	report_check(_metadata, &self->report);
}

/*
 * A query whose bitmap is unwritable fails; the next query reports its pages.
 */
TEST_F(type1, get_into_unwritable_bitmap_loses_nothing)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	int fd = bench->iommu.fd;
	__u8 *map = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *const bad[] = {
		map + SZ_4K, /* unmapped */
		map + SZ_4K - 8, /* writable up to the first word */
		map + SZ_4K - BYTES + 8, /* writable up to the last word */
		NULL,
	};

	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(0, mprotect(map + SZ_4K, SZ_4K, PROT_READ));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		report_write(_metadata, report, &bench->dev, self->kind, 0,
			     3 * SZ_4K);
		report_write(_metadata, report, &bench->dev, self->kind,
			     (70 + i) * SZ_4K, SZ_4K);
		report_write(_metadata, report, &bench->dev, self->kind,
			     LENGTH - 1, 1);
		CHECK_RC(-EFAULT, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K,
						    bad[i], BYTES), "%zu", i);
		report_query(_metadata, report, &bench->iommu);
		report_query(_metadata, report, &bench->iommu);
	}
	report_write(_metadata, report, &bench->dev, self->kind, SZ_4K, SZ_4K);
	ASSERT_EQ(-EINVAL, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K,
					     (void *)(1ULL << 63), BYTES));
	report_query(_metadata, report, &bench->iommu);
	munmap(map, 2 * SZ_4K);
}

/* Two mappings, of which the bitmap covers the first one only. */
TEST_F(type1, get_with_half_a_bitmap_loses_nothing)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct report report;
	__u8 *map = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(0, munmap(map + SZ_4K, SZ_4K));
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 64 * SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at + 64 * SZ_4K,
		  128 * SZ_4K);
	report_init(_metadata, &report, at, 192);
	report.all = self->report.all;
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	for (int i = 0; i < 3; i++) {
		report_write(_metadata, &report, &bench->dev, self->kind,
			     (5 + i) * SZ_4K, SZ_4K);
		report_write(_metadata, &report, &bench->dev, self->kind,
			     (62 + i) * SZ_4K, 2 * SZ_4K);
		ASSERT_EQ(-EFAULT, __type1_dirty_get(bench->iommu.fd, at,
						     192 * SZ_4K, SZ_4K,
						     map + SZ_4K - 8, 24));
		report_query(_metadata, &report, &bench->iommu);
	}
	report_free(&report);
	munmap(map, SZ_4K);
}

FIXTURE(version_1)
{
	struct bench bench;
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
	ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
	iommu_open(_metadata, &bench->iommu, variant->mode);
	bench->iommu.type = VFIO_TYPE1_IOMMU;
	ASSERT_EQ(0, __vfio_dev_open(&bench->dev, &bench->iommu, path));
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(version_1)
{
	bench_close(_metadata, &self->bench);
}

/* Version 1 of type1 lacks dirty tracking, whatever the arguments are. */
TEST_F(version_1, tracking_is_eacces)
{
	int fd = self->bench.iommu.fd;
	__u64 bits[BYTES / 8] = {}, length = LENGTH;

	ASSERT_EQ(-EACCES, __type1_dirty_flag(fd, DIRTY_START));
	ASSERT_EQ(-EACCES, __type1_dirty_flag(fd, DIRTY_STOP));
	ASSERT_EQ(-EACCES, __type1_dirty_flag(fd, DIRTY_START | DIRTY_STOP));
	ASSERT_EQ(-EACCES, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, NULL));
	ASSERT_EQ(-EACCES, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K, bits,
					     BYTES));
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K, bits,
						BYTES));
	mock_fill(_metadata, &self->bench.dev, IOVA, LENGTH, 1);
}

static int set_iommu(int fd, unsigned long type)
{
	return xioctl(fd, VFIO_SET_IOMMU, (void *)type);
}

FIXTURE(split)
{
	struct bench bench;
	__u32 ioas_id;
};

FIXTURE_VARIANT(split)
{
	const char *model;
};

FIXTURE_VARIANT_ADD(split, compat_4k) { .model = "4k" };

FIXTURE_VARIANT_ADD(split, compat_emulated) { .model = "emulated" };

FIXTURE_SETUP(split)
{
	struct iommu_vfio_ioas vfio_ioas = {
		.size = sizeof(vfio_ioas),
		.op = IOMMU_VFIO_IOAS_GET,
	};
	struct bench *bench = &self->bench;

	sysfs_write(EMULATED_PIN, "N");
	bench_open(_metadata, bench, MODE_COMPAT, variant->model);
	ASSERT_EQ(0, xioctl(bench->iommu.fd, IOMMU_VFIO_IOAS, &vfio_ioas));
	self->ioas_id = vfio_ioas.ioas_id;
}

FIXTURE_TEARDOWN(split)
{
	bench_close(_metadata, &self->bench);
	sysfs_write(EMULATED_PIN, "Y");
}

static int set_huge_pages(int fd, __u32 ioas_id, __u64 value)
{
	return __iommu_option(fd, IOMMU_OPTION_HUGE_PAGES,
			      IOMMU_OPTION_OP_SET, ioas_id, &value);
}

/* Disabled huge pages allow splits of mappings, which is not version 1. */
TEST_F(split, container_without_huge_pages_has_tracking)
{
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	__u64 bits[BYTES / 8] = {}, length;

	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	ASSERT_EQ(0, set_huge_pages(fd, self->ioas_id, 0));
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	mock_fill(_metadata, &bench->dev, IOVA + 3 * SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K, bits, BYTES));
	ASSERT_EQ(8, bits[0]);
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_STOP));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	/* The remaining part of a split mapping is still tracked. */
	mock_fill(_metadata, &bench->dev, IOVA + 4 * SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __type1_unmap(fd, IOVA + 8 * SZ_4K, SZ_4K, &length));
	ASSERT_EQ(SZ_4K, length);
	ASSERT_EQ(0, __type1_dirty_get(fd, IOVA, 8 * SZ_4K, SZ_4K, bits, 8));
	ASSERT_EQ(16, bits[0]);
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_STOP));
}

/* A container that tracks cannot change to version 1, which has no STOP. */
TEST_F(split, change_of_version_while_tracking_is_ebusy)
{
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	__u64 length;

	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	ASSERT_EQ(-EBUSY, set_iommu(fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_STOP));
	ASSERT_EQ(0, set_iommu(fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(-EACCES, __type1_dirty_flag(fd, DIRTY_START));
	/* Version 1 has no tracking, also with huge pages enabled. */
	ASSERT_EQ(0, set_huge_pages(fd, self->ioas_id, 1));
	ASSERT_EQ(-EACCES, __type1_dirty_flag(fd, DIRTY_START));
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	ASSERT_EQ(-ENOENT, __type1_unmap(fd, IOVA, SZ_4K, NULL));
	ASSERT_EQ(0, __type1_unmap(fd, IOVA, LENGTH, NULL));

	ASSERT_EQ(0, set_huge_pages(fd, self->ioas_id, 0));
	ASSERT_EQ(0, set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	/* The option of huge pages allows the split, as before. */
	ASSERT_EQ(0, __type1_map(fd, bench->mem.va, IOVA, LENGTH, PROT_DMA_RW));
	ASSERT_EQ(0, __type1_unmap(fd, IOVA, SZ_4K, &length));
	ASSERT_EQ(SZ_4K, length);
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_STOP));
}

TEST_HARNESS_MAIN
