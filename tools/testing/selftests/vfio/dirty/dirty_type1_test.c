// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: VFIO_IOMMU_DIRTY_PAGES, what it tells
 *
 * A container tells the pages that were written, where every IOMMU in it has
 * dirty bits; those that drivers have pinned or written; and every mapped page
 * while there is an IOMMU that cannot tell. What is refused is in
 * dirty_type1_errno_test.c, devices that come and go in type1_scope_test.c.
 */
#include "lib/told.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	200
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(type1)
{
	struct bench bench;
	struct told told;
	enum tells tells;
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
	told_init(_metadata, &self->told, IOVA, PAGES);
	self->tells = tells_of(variant->model);
	self->told.all = self->tells == TELLS_NOTHING;
}

FIXTURE_TEARDOWN(type1)
{
	bench_close(_metadata, &self->bench);
	told_free(&self->told);
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
	struct told *told = &self->told;

	start(_metadata, bench);
	told_ask(_metadata, told, &bench->iommu);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		told_write(_metadata, told, &bench->dev, self->tells,
			   writes[i].offset, writes[i].length);
		told_ask(_metadata, told, &bench->iommu);
		told_ask(_metadata, told, &bench->iommu);
	}
	if (self->tells == TELLS_PINS) {
		ASSERT_EQ(0, __vfio_dev_reset(&bench->dev));
		told_unpin(told);
		told_ask(_metadata, told, &bench->iommu);
		told_ask(_metadata, told, &bench->iommu);
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
	told_ask(_metadata, &self->told, &bench->iommu);
	ASSERT_EQ(0, __mock_fill(&bench->dev, IOVA + LENGTH, SZ_4K, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, &bench->dev,
						MOCK_REG(status)));
	told_ask(_metadata, &self->told, &bench->iommu);
}

/* A page is written again after each answer: that sets its bit again. */
TEST_F(type1, written_again)
{
	struct bench *bench = &self->bench;

	start(_metadata, bench);
	for (int i = 0; i < 20; i++) {
		told_write(_metadata, &self->told, &bench->dev, self->tells,
			   7 * SZ_4K, 8);
		told_write(_metadata, &self->told, &bench->dev, self->tells,
			   7 * SZ_4K + 80, 8);
		told_ask(_metadata, &self->told, &bench->iommu);
	}
}

/* What was written before, or while tracking was off, is nobody's concern. */
TEST_F(type1, starts_clean)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;

	for (int i = 0; i < 3; i++) {
		told_write(_metadata, told, &bench->dev, self->tells,
			   i * SZ_4K, SZ_4K);
		memset(told->once, 0, sizeof(told->once));
		start(_metadata, bench);
		told_ask(_metadata, told, &bench->iommu);
		/* not asked for before the end */
		told_write(_metadata, told, &bench->dev, self->tells,
			   (100 + i) * SZ_4K, SZ_4K);
		stop(_metadata, bench);
	}
}

/* To start again what has started forgets nothing. */
TEST_F(type1, start_and_stop)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;

	stop(_metadata, bench);
	ASSERT_EQ(-EINVAL, __told_ask(told, &bench->iommu));
	for (int i = 0; i < 3; i++) {
		start(_metadata, bench);
		told_write(_metadata, told, &bench->dev, self->tells, 0, 1);
		start(_metadata, bench);
		told_ask(_metadata, told, &bench->iommu);
		stop(_metadata, bench);
		stop(_metadata, bench);
		ASSERT_EQ(-EINVAL, __told_ask(told, &bench->iommu));
		ASSERT_EQ(0, bitmap_count(&told->bm));
	}
}

/* Words of mappings are overwritten, those of holes are left alone. */
TEST_F(type1, mappings_and_holes)
{
	struct bench *bench = &self->bench;
	const __u64 at = IOVA + 256 * SZ_4K;
	bool all = self->tells == TELLS_NOTHING;
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
	struct told told;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, 10 * SZ_4K);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at + 10 * SZ_4K,
		  20 * SZ_4K);
	start(_metadata, bench);
	told_init(_metadata, &told, at, 30);
	told.all = self->told.all;
	told_write(_metadata, &told, &bench->dev, self->tells, 9 * SZ_4K,
		   2 * SZ_4K);
	told_ask(_metadata, &told, &bench->iommu);
	told_ask(_metadata, &told, &bench->iommu);

	/* behind a hole, whose bits stay */
	iommu_unmap(_metadata, &bench->iommu, at, 10 * SZ_4K);
	bitmap_reset(&told.bm);
	told.bm.bits[0] = 0xa5;
	ASSERT_EQ(0, __type1_dirty_get(bench->iommu.fd, at, 30 * SZ_4K, SZ_4K,
				       told.bm.bits, 8));
	ASSERT_EQ(0xa5, told.bm.bits[0]);
	ASSERT_EQ(told.all ? 0xfc : self->tells == TELLS_PINS ? 4 : 0,
		  told.bm.bits[1]);
	told_free(&told);
}

TEST_F(type1, mapped_while_tracking)
{
	struct bench *bench = &self->bench;
	const __u64 at = 0x50000000ULL;
	struct told told;

	start(_metadata, bench);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	told_init(_metadata, &told, at, PAGES);
	told.all = self->told.all;
	told_ask(_metadata, &told, &bench->iommu);
	told_write(_metadata, &told, &bench->dev, self->tells, 7 * SZ_4K,
		   SZ_4K);
	told_ask(_metadata, &told, &bench->iommu);
	/* another mapping of the same memory was not written through */
	told_ask(_metadata, &self->told, &bench->iommu);

	/* a new one at the same place knows nothing of the former */
	told_write(_metadata, &told, &bench->dev, self->tells, 0, LENGTH);
	iommu_unmap(_metadata, &bench->iommu, at, LENGTH);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, at, LENGTH);
	memset(told.once, 0, sizeof(told.once));
	memset(told.pinned, 0, sizeof(told.pinned));
	told_ask(_metadata, &told, &bench->iommu);
	told_free(&told);
}

/* What drivers have the kernel write for them is told once. */
TEST_F(type1, copied_for_a_driver)
{
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
	struct vfio_dev *mdev = &bench->dev, other = { .fd = -1, .group_fd = -1 };
	char path[128];

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	if (self->tells != TELLS_PINS) {
		ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
		ASSERT_EQ(0, __vfio_dev_open(&other, &bench->iommu, path));
		mdev = &other;
	}
	start(_metadata, bench);
	/* two bytes, of two pages */
	told_write(_metadata, told, mdev, TELLS_WRITES, SZ_4K - 1, 2);
	told_ask(_metadata, told, &bench->iommu);
	told_ask(_metadata, told, &bench->iommu);
	told_write(_metadata, told, mdev, TELLS_WRITES, 60 * SZ_4K, SZ_64K);
	told_write(_metadata, told, mdev, TELLS_WRITES, LENGTH - 1, 1);
	told_ask(_metadata, told, &bench->iommu);
	told_ask(_metadata, told, &bench->iommu);
	vfio_dev_close(&other);
}

/* A container of all sorts of devices tells what any of them wrote. */
TEST_F(type1, other_devices_beside)
{
	static const char *const models[] = { "2m", "1g", "emulated", "4k" };
	struct bench *bench = &self->bench;
	struct told *told = &self->told;
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
	told_ask(_metadata, told, &bench->iommu);
	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		if (others[i].fd < 0)
			continue;
		told_write(_metadata, told, &others[i], tells_of(models[i]),
			   (3 + 40 * i) * SZ_4K, 2 * SZ_4K);
		told_ask(_metadata, told, &bench->iommu);
		told_write(_metadata, told, &others[i], tells_of(models[i]),
			   i * SZ_4K, SZ_4K);
		told_write(_metadata, told, &bench->dev, self->tells,
			   190 * SZ_4K, SZ_4K);
	}
	told_ask(_metadata, told, &bench->iommu);
	told_ask(_metadata, told, &bench->iommu);
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
