// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: VFIO_IOMMU_DIRTY_PAGES
 *
 * What VMMs know the ioctl to do: every mapped page is dirty while a device
 * with an IOMMU is in the container, and the pinned ones where all devices
 * only pin. The container on /dev/iommu does not know the ioctl.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	200
#define LENGTH	(PAGES * SZ_4K)
#define BYTES	((PAGES + 63) / 64 * 8)

#define START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

FIXTURE(type1)
{
	struct bench bench;
	struct guarded_bitmap bm;
};

FIXTURE_VARIANT(type1)
{
	const char *model;
};

FIXTURE_VARIANT_ADD(type1, iommu) { .model = "4k" };
FIXTURE_VARIANT_ADD(type1, nodirty) { .model = "nodirty" };
FIXTURE_VARIANT_ADD(type1, emulated) { .model = "emulated" };

FIXTURE_SETUP(type1)
{
	bench_open(_metadata, &self->bench, MODE_TYPE1, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	bitmap_alloc(_metadata, &self->bm, BYTES * 8, 0);
}

FIXTURE_TEARDOWN(type1)
{
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
}

static bool is_emulated(const char *model)
{
	return !strcmp(model, "emulated");
}

/* The bits of exactly these pages, and no others. */
static void expect_pages(struct __test_metadata *_metadata,
			 const struct guarded_bitmap *bm, size_t first,
			 size_t count)
{
	bitmap_check_guards(_metadata, bm);
	for (size_t bit = 0; bit < bm->nbits; bit++) {
		ASSERT_EQ(bit >= first && bit < first + count,
			  bitmap_test(bm, bit)) {
			TH_LOG("page %zu; %zu pages from %zu on are dirty",
			       bit, count, first);
		}
	}
}

static void get_all(struct __test_metadata *_metadata, struct bench *bench,
		    struct guarded_bitmap *bm)
{
	bitmap_reset(bm);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, IOVA, LENGTH, SZ_4K,
				       bm->bits, BYTES));
}

TEST_F(type1, what_is_dirty)
{
	struct bench *bench = &self->bench;
	bool emulated = is_emulated(variant->model);

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	get_all(_metadata, bench, &self->bm);
	expect_pages(_metadata, &self->bm, 0, emulated ? 0 : PAGES);
	mock_fill(_metadata, &bench->dev, IOVA + 5 * SZ_4K + 1, 3 * SZ_4K, 1);
	get_all(_metadata, bench, &self->bm);
	expect_pages(_metadata, &self->bm, emulated ? 5 : 0,
		     emulated ? 4 : PAGES);
	/* pinned pages stay dirty until they are let go */
	get_all(_metadata, bench, &self->bm);
	expect_pages(_metadata, &self->bm, emulated ? 5 : 0,
		     emulated ? 4 : PAGES);
	if (emulated) {
		ASSERT_EQ(0, __vfio_dev_reset(&bench->dev));
		get_all(_metadata, bench, &self->bm);
		get_all(_metadata, bench, &self->bm);
		expect_pages(_metadata, &self->bm, 0, 0);
	}
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, STOP));
}

TEST_F(type1, start_and_stop)
{
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;

	ASSERT_EQ(0, __type1_dirty_flag(fd, STOP));
	ASSERT_EQ(-EINVAL, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K,
					     self->bm.bits, BYTES));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, __type1_dirty_flag(fd, START));
		ASSERT_EQ(0, __type1_dirty_flag(fd, START));
		get_all(_metadata, bench, &self->bm);
		ASSERT_EQ(0, __type1_dirty_flag(fd, STOP));
		ASSERT_EQ(0, __type1_dirty_flag(fd, STOP));
		ASSERT_EQ(-EINVAL, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K,
						     self->bm.bits, BYTES));
	}
}

TEST_F(type1, flags_refused)
{
	static const __u32 bad[] = {
		START | STOP, START | GET, STOP | GET, START | STOP | GET,
		8, START | 8, 1U << 31,
	};
	struct vfio_iommu_type1_dirty_bitmap shrt = {
		.argsz = 4,
		.flags = START,
	};
	int fd = self->bench.iommu.fd;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(-EINVAL, __type1_dirty_flag(fd, bad[i])) {
			TH_LOG("flags 0x%x", bad[i]);
		}
	}
	ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &shrt));
	ASSERT_EQ(-EFAULT, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, NULL));
	/* none of them has started it */
	ASSERT_EQ(-EINVAL, __type1_dirty_get(fd, IOVA, LENGTH, SZ_4K,
					     self->bm.bits, BYTES));
	/* nor stops one of them what was started */
	ASSERT_EQ(0, __type1_dirty_flag(fd, START));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(-EINVAL, __type1_dirty_flag(fd, bad[i])) {
			TH_LOG("flags 0x%x", bad[i]);
		}
	}
	get_all(_metadata, &self->bench, &self->bm);
}

static const struct {
	__u64 iova, length, pgsize, bytes;
} bad_get[] = {
	{ IOVA, 0, SZ_4K, BYTES },
	{ IOVA, LENGTH, SZ_64K, BYTES },
	{ IOVA, LENGTH, SZ_2K, BYTES * 2 },
	{ IOVA, LENGTH, SZ_2M, BYTES },
	{ IOVA + 1, LENGTH, SZ_4K, BYTES },
	{ IOVA, LENGTH + 1, SZ_4K, BYTES + 8 },
	{ IOVA, LENGTH, SZ_4K, BYTES - 1 },
	{ IOVA, LENGTH, SZ_4K, BYTES - 8 },
	{ IOVA, LENGTH, SZ_4K, 0 },
	{ IOVA, LENGTH, SZ_4K, 256 * 1024 * 1024 + 8 },
	{ IOVA, LENGTH, SZ_4K, ~0ULL },
	{ IOVA + SZ_4K, LENGTH - SZ_4K, SZ_4K, BYTES },
	{ IOVA, LENGTH - SZ_4K, SZ_4K, BYTES },
	{ 0 - SZ_4K, 2 * SZ_4K, SZ_4K, BYTES },
};

TEST_F(type1, get_refused)
{
	struct bench *bench = &self->bench;
	struct guarded_bitmap before, after;

	bitmap_alloc(_metadata, &before, BYTES * 8, 0);
	bitmap_alloc(_metadata, &after, BYTES * 8, 0);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	mock_fill(_metadata, &bench->dev, IOVA + 3 * SZ_4K, SZ_4K, 1);
	get_all(_metadata, bench, &before);
	for (size_t i = 0; i < ARRAY_SIZE(bad_get); i++) {
		bitmap_reset(&self->bm);
		ASSERT_EQ(-EINVAL, __type1_dirty_get(bench->iommu.fd,
						     bad_get[i].iova,
						     bad_get[i].length,
						     bad_get[i].pgsize,
						     self->bm.bits,
						     bad_get[i].bytes)) {
			TH_LOG("bad_get[%zu]", i);
		}
		expect_pages(_metadata, &self->bm, 0, 0);
		get_all(_metadata, bench, &after);
		ASSERT_EQ(0, memcmp(before.bits, after.bits, BYTES));
	}
	bitmap_free(&before);
	bitmap_free(&after);
}

TEST_F(type1, get_short_or_unwritable)
{
	struct bench *bench = &self->bench;
	bool emulated = is_emulated(variant->model);
	void *page = mmap(NULL, SZ_4K, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	mock_fill(_metadata, &bench->dev, IOVA, SZ_4K, 1);
	ASSERT_EQ(-EINVAL, __type1_dirty_flag(bench->iommu.fd, GET));
	ASSERT_EQ(-EFAULT, __type1_dirty_get(bench->iommu.fd, IOVA, LENGTH,
					     SZ_4K, page, BYTES));
	ASSERT_EQ(-EFAULT, __type1_dirty_get(bench->iommu.fd, IOVA, LENGTH,
					     SZ_4K, NULL, BYTES));
	ASSERT_EQ(-EINVAL, __type1_dirty_get(bench->iommu.fd, IOVA, LENGTH,
					     SZ_4K, (void *)(1ULL << 63),
					     BYTES));
	get_all(_metadata, bench, &self->bm);
	expect_pages(_metadata, &self->bm, 0, emulated ? 1 : PAGES);
	munmap(page, SZ_4K);
}

/* Words of mappings are overwritten, those of holes are left alone. */
TEST_F(type1, mappings_and_holes)
{
	struct bench *bench = &self->bench;
	const __u64 at = IOVA + 256 * SZ_4K;
	bool emulated = is_emulated(variant->model);
	struct guarded_bitmap bm;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 64 * SZ_4K);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	mock_fill(_metadata, &bench->dev, at, SZ_4K, 1);
	bitmap_alloc(_metadata, &bm, 512, 0);
	memset(bm.bits, 0x11, 64);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, IOVA, 512 * SZ_4K,
				       SZ_4K, bm.bits, 64));
	bitmap_check_guards(_metadata, &bm);
	/* 200 pages are 3 words and 8 bits, whose word is of the mapping */
	ASSERT_TRUE(mem_is(bm.bits, 25, emulated ? 0 : 0xff));
	ASSERT_TRUE(mem_is(bm.bits + 25, 7, 0));
	ASSERT_EQ(emulated ? 1 : 0xff, bm.bits[32]);
	ASSERT_TRUE(mem_is(bm.bits + 33, 7, emulated ? 0 : 0xff));
	ASSERT_TRUE(mem_is(bm.bits + 40, 24, 0x11));
	bitmap_free(&bm);
	/* only holes */
	bitmap_alloc(_metadata, &bm, 64, 0);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, 0x90000000ULL,
				       64 * SZ_4K, SZ_4K, bm.bits, 8));
	ASSERT_EQ(0, bitmap_count(&bm));
	bitmap_free(&bm);
}

/* A mapping that begins inside a word shares it with the one before. */
TEST_F(type1, mappings_share_a_word)
{
	struct bench *bench = &self->bench;
	bool emulated = is_emulated(variant->model);
	const __u64 at = 0x50000000ULL;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 10 * SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at + 10 * SZ_4K,
		  20 * SZ_4K);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	mock_fill(_metadata, &bench->dev, at + 9 * SZ_4K, 2 * SZ_4K, 1);
	bitmap_free(&self->bm);
	bitmap_alloc(_metadata, &self->bm, 64, 0);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, at, 30 * SZ_4K, SZ_4K,
				       self->bm.bits, 8));
	expect_pages(_metadata, &self->bm, emulated ? 9 : 0, emulated ? 2 : 30);
}

TEST_F(type1, mapped_while_tracking)
{
	struct bench *bench = &self->bench;
	bool emulated = is_emulated(variant->model);
	const __u64 at = 0x50000000ULL;

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	mock_fill(_metadata, &bench->dev, at + 7 * SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, at, LENGTH, SZ_4K,
				       self->bm.bits, BYTES));
	expect_pages(_metadata, &self->bm, emulated ? 7 : 0,
		     emulated ? 1 : PAGES);
}

TEST_F(type1, unmap_with_bitmap)
{
	struct bench *bench = &self->bench;
	bool emulated = is_emulated(variant->model);
	__u64 length = LENGTH;

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, START));
	mock_fill(_metadata, &bench->dev, IOVA + 9 * SZ_4K, 2 * SZ_4K, 1);
	/* the one clean query before it takes nothing away from pinned pages */
	ASSERT_EQ(0, __type1_unmap_bitmap(bench->iommu.fd, IOVA, &length, SZ_4K,
					  self->bm.bits, BYTES));
	ASSERT_EQ(LENGTH, length);
	expect_pages(_metadata, &self->bm, emulated ? 9 : 0,
		     emulated ? 2 : PAGES);
	ASSERT_EQ(0, __mock_fill(&bench->dev, IOVA, 8, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, &bench->dev,
						MOCK_REG(status)));
}

TEST_F(type1, unmap_with_bitmap_refused)
{
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	__u64 length = LENGTH;

	/* tracking is off */
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K,
						self->bm.bits, BYTES));
	ASSERT_EQ(0, __type1_dirty_flag(fd, START));
	length = LENGTH;
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(fd, IOVA, &length, SZ_64K,
						self->bm.bits, BYTES));
	length = LENGTH;
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K,
						self->bm.bits, BYTES - 8));
	length = LENGTH;
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K,
						self->bm.bits, 0));
	length = LENGTH - SZ_4K;
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(fd, IOVA, &length, SZ_4K,
						self->bm.bits, BYTES));
	expect_pages(_metadata, &self->bm, 0, 0);
	/* it is all there still */
	mock_fill(_metadata, &bench->dev, IOVA, LENGTH, 1);
	get_all(_metadata, bench, &self->bm);
	expect_pages(_metadata, &self->bm, 0, PAGES);
}

TEST_F(type1, unmap_flags)
{
	static const __u32 bad[] = {
		VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL,
		VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |
			VFIO_DMA_UNMAP_FLAG_VADDR,
		1U << 31,
	};
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg = {
		.unmap.argsz = sizeof(arg),
		.bitmap = { SZ_4K, BYTES, (void *)self->bm.bits },
	};
	int fd = self->bench.iommu.fd;
	__u64 unmapped;

	ASSERT_EQ(0, __type1_dirty_flag(fd, START));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		arg.unmap.flags = bad[i];
		ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &arg));
	}
	arg.unmap.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	arg.unmap.argsz = sizeof(arg.unmap);
	arg.unmap.iova = IOVA;
	arg.unmap.size = LENGTH;
	ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &arg));
	/* nothing is unmapped without a bitmap, and that is no error */
	ASSERT_EQ(0, __type1_unmap(fd, 0x90000000ULL, LENGTH, &unmapped));
	ASSERT_EQ(0, unmapped);
	ASSERT_EQ(-EINVAL, __type1_unmap(fd, IOVA + SZ_4K, LENGTH, &unmapped));
	ASSERT_EQ(0, __type1_unmap(fd, IOVA, LENGTH, &unmapped));
	ASSERT_EQ(LENGTH, unmapped);
}

TEST_F(type1, migration_capability)
{
	struct vfio_iommu_type1_info_cap_migration cap = {};
	struct vfio_iommu_type1_info info = { .argsz = 24 };
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(32, sizeof(cap));
	ASSERT_EQ(0, __type1_info_cap(fd, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
				      &cap, sizeof(cap)));
	ASSERT_EQ(1, cap.header.version);
	ASSERT_EQ(SZ_4K, cap.pgsize_bitmap);
	ASSERT_EQ(256 * 1024 * 1024, cap.max_dirty_bitmap_size);
	/* a program that does not ask for capabilities yet */
	info.argsz = 16;
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
	ASSERT_LT(24, info.argsz);
	ASSERT_EQ(0, info.cap_offset);
}

/* Version 1 containers have no tracking. */
TEST(version_1_has_no_tracking)
{
	char path[128], node[160], number[16];
	struct iommu iommu;
	int group;

	ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
	iommu_open(_metadata, &iommu, MODE_TYPE1);
	snprintf(node, sizeof(node), "%s/iommu_group", path);
	ASSERT_EQ(0, sysfs_link_name(node, number, sizeof(number)));
	snprintf(node, sizeof(node), "/dev/vfio/%s", number);
	group = open(node, O_RDWR);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, xioctl(group, VFIO_GROUP_SET_CONTAINER, &iommu.fd));
	ASSERT_EQ(0, xioctl(iommu.fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	ASSERT_EQ(-EACCES, __type1_dirty_flag(iommu.fd, START));
	ASSERT_EQ(-EACCES, __type1_dirty_flag(iommu.fd, START | STOP));
	close(group);
	iommu_close(&iommu);
}

/* What the container on /dev/iommu answers; it does not track. */
TEST(compat_does_not_know_it)
{
	struct vfio_iommu_type1_info_cap_migration cap;
	struct guarded_bitmap bm;
	struct bench bench;
	__u64 length = LENGTH;
	int rc;

	bench_open(_metadata, &bench, MODE_COMPAT, "4k");
	bench_memory(_metadata, &bench, IOVA, LENGTH, MEM_4K);
	bitmap_alloc(_metadata, &bm, BYTES * 8, 0);
	ASSERT_EQ(-ENOTTY, __type1_dirty_flag(bench.iommu.fd, START));
	ASSERT_EQ(-ENOTTY, __type1_dirty_flag(bench.iommu.fd, STOP));
	ASSERT_EQ(-ENOTTY, __type1_dirty_get(bench.iommu.fd, IOVA, LENGTH,
					     SZ_4K, bm.bits, BYTES));
	ASSERT_EQ(-EINVAL, __type1_unmap_bitmap(bench.iommu.fd, IOVA, &length,
						SZ_4K, bm.bits, BYTES));
	rc = __type1_info_cap(bench.iommu.fd,
			      VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, &cap,
			      sizeof(cap));
	ASSERT_EQ(-ENOENT, rc);
	ASSERT_EQ(0, bitmap_count(&bm));
	bitmap_check_guards(_metadata, &bm);
	mock_fill(_metadata, &bench.dev, IOVA, LENGTH, 1);
	bitmap_free(&bm);
	bench_close(_metadata, &bench);
}

/* Joining and leaving devices change what a container can tell. */
TEST(pinning_device_beside_an_iommu)
{
	struct guarded_bitmap bm;
	struct vfio_dev other;
	struct bench bench;
	char path[128];

	bench_open(_metadata, &bench, MODE_TYPE1, "4k");
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&other, &bench.iommu, path));
	bench_memory(_metadata, &bench, IOVA, LENGTH, MEM_4K);
	bitmap_alloc(_metadata, &bm, BYTES * 8, 0);
	ASSERT_EQ(0, __type1_dirty_flag(bench.iommu.fd, START));
	mock_fill(_metadata, &other, IOVA, SZ_4K, 1);
	get_all(_metadata, &bench, &bm);
	expect_pages(_metadata, &bm, 0, PAGES);

	/* what the device that left has written is told once more */
	vfio_dev_close(&bench.dev);
	get_all(_metadata, &bench, &bm);
	expect_pages(_metadata, &bm, 0, PAGES);
	get_all(_metadata, &bench, &bm);
	expect_pages(_metadata, &bm, 0, 1);
	vfio_dev_close(&other);
	bitmap_free(&bm);
	bench_close(_metadata, &bench);
}

TEST_HARNESS_MAIN
