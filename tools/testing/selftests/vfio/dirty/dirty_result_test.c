// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: every single result is complete
 *
 * Pages that were written before a query began are in the result of that query,
 * whatever other queries run concurrently: the result of a later query is too
 * late after the last round of a migration. Two threads query one half of a
 * range each.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/sysfs.h"
#include "lib/test.h"
#include "lib/device/test_access.h"

#define IOVA	0x10000000ULL
#define PAGES	512
#define LENGTH	(PAGES * SZ_4K)
#define ROUNDS	800
#define PINS	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

/**
 * struct half - one of the two threads
 * @bench: device to query
 * @first: first page of the half
 * @pages: pages of the half
 * @bits: the result
 * @delay: time to wait before the query
 * @round: set to the number of a round to begin it
 * @done: set to the number of the round at its end
 * @rc: return value of the query
 * @quit: no more rounds
 */
struct half {
	struct bench *bench;
	size_t first;
	size_t pages;
	__u64 bits[PAGES / 64];
	unsigned int delay;
	atomic_uint round;
	atomic_uint done;
	int rc;
	atomic_bool quit;
};

static void spin(unsigned int turns)
{
	while (turns--)
		asm volatile("");
}

static void half_query(struct half *half)
{
	memset(half->bits, 0, sizeof(half->bits));
	spin(half->delay);
	half->rc = __bench_query(half->bench, 0, IOVA + half->first * SZ_4K,
				 half->pages * SZ_4K, SZ_4K, half->bits);
}

static void *half_run(void *arg)
{
	struct half *half = arg;
	unsigned int round = 0;

	for (;;) {
		while (atomic_load(&half->round) == round)
			if (atomic_load(&half->quit))
				return NULL;
		round = atomic_load(&half->round);
		half_query(half);
		atomic_store(&half->done, round);
	}
}

static size_t half_count(const struct half *half)
{
	size_t n = 0;

	for (size_t i = 0; i < PAGES / 64; i++)
		n += __builtin_popcountll(half->bits[i]);
	return n;
}

FIXTURE(halves)
{
	struct bench bench;
	struct vfio_dev mdev;
};

FIXTURE_VARIANT(halves)
{
	enum iommu_mode mode;
	const char *model;
	enum mem_kind kind;
	bool mdev;
	size_t pages;
};

/* Two halves of one write of an access: a range of the spill is split. */
FIXTURE_VARIANT_ADD(halves, access_of_iommufd) {
	.mode = MODE_IOMMUFD, .model = "4k", .kind = MEM_4K, .mdev = true,
	.pages = 16,
};

FIXTURE_VARIANT_ADD(halves, access_of_type1) {
	.mode = MODE_TYPE1, .model = "4k", .kind = MEM_4K, .mdev = true,
	.pages = 16,
};

FIXTURE_VARIANT_ADD(halves, access_of_compat) {
	.mode = MODE_COMPAT, .model = "4k", .kind = MEM_4K, .mdev = true,
	.pages = 16,
};

/*
 * Two halves of a leaf: pages outside of a query go to the spill. A container
 * refuses queries for a part of a mapping.
 */
FIXTURE_VARIANT_ADD(halves, leaf_of_iommufd) {
	.mode = MODE_IOMMUFD, .model = "2m", .kind = MEM_HUGETLB,
	.pages = PAGES,
};

FIXTURE_SETUP(halves)
{
	char path[256];

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	if (variant->mdev) {
		ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
		ASSERT_EQ(0, __vfio_dev_open(&self->mdev, &self->bench.iommu,
					     path));
	}
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, variant->kind);
	/* A container queries whole mappings only: map each half by itself. */
	if (variant->mode != MODE_IOMMUFD && variant->mdev) {
		__u64 half = variant->pages / 2 * SZ_4K;

		iommu_unmap(_metadata, &self->bench.iommu, IOVA, LENGTH);
		iommu_map(_metadata, &self->bench.iommu, self->bench.mem.va,
			  IOVA, half);
		iommu_map(_metadata, &self->bench.iommu,
			  self->bench.mem.va + half, IOVA + half, half);
	}
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(halves)
{
	if (variant->mdev)
		vfio_dev_close(&self->mdev);
	bench_close(_metadata, &self->bench);
	sysfs_write(EMULATED_PIN, "Y");
}

static void write_all(struct __test_metadata *_metadata, struct bench *bench,
		      struct vfio_dev *mdev, size_t pages)
{
	if (mdev)
		mock_fill(_metadata, mdev, IOVA, pages * SZ_4K, 1);
	else
		mock_fill(_metadata, &bench->dev, IOVA, 8, 1);
}

TEST_F_TIMEOUT(halves, each_result_has_its_half, 240)
{
	struct vfio_dev *mdev = variant->mdev ? &self->mdev : NULL;
	struct half halves[2] = {};
	unsigned int lacking = 0;
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		halves[i].bench = &self->bench;
		halves[i].pages = variant->pages / 2;
		halves[i].first = i * halves[i].pages;
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, half_run, &halves[1]));
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		write_all(_metadata, &self->bench, mdev, variant->pages);
		halves[0].delay = random() % 400;
		halves[1].delay = random() % 400;
		atomic_store(&halves[1].round, round);
		half_query(&halves[0]);
		while (atomic_load(&halves[1].done) != round)
			;
		ASSERT_EQ(0, halves[0].rc);
		ASSERT_EQ(0, halves[1].rc);
		for (int i = 0; i < 2; i++)
			lacking += half_count(&halves[i]) != halves[i].pages;
	}
	atomic_store(&halves[1].quit, true);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, lacking) {
		TH_LOG("%u results of %u lack a page", lacking, 2 * ROUNDS);
	}
}

FIXTURE(pins)
{
	struct bench bench;
	int reader;
	int writer;
};

/* Pin the first page and return the ID of the pin. */
static __u32 pin_first(struct __test_metadata *_metadata, struct bench *bench,
		       int access, bool write)
{
	__u32 pin;

	ASSERT_EQ(0, __access_pin(&bench->iommu, access,
				  write ? MOCK_FLAGS_ACCESS_WRITE : 0, IOVA,
				  SZ_4K, bench->mem.va, &pin));
	return pin;
}

static void unpin_first(struct __test_metadata *_metadata, struct bench *bench,
			int access, __u32 pin)
{
	ASSERT_EQ(0, __access_unpin(&bench->iommu, access, pin));
}

FIXTURE_SETUP(pins)
{
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	self->reader = __access_create(&self->bench.iommu, PINS);
	self->writer = __access_create(&self->bench.iommu, PINS);
	ASSERT_LE(0, self->reader);
	ASSERT_LE(0, self->writer);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(pins)
{
	close(self->writer);
	close(self->reader);
	bench_close(_metadata, &self->bench);
}

static __u64 first_pages(struct __test_metadata *_metadata, struct bench *bench)
{
	__u64 bits = 0;

	ASSERT_EQ(0, __bench_query(bench, 0, IOVA, 64 * SZ_4K, SZ_4K, &bits));
	return bits;
}

/* A page is dirty while it is pinned for writing and once more, not longer. */
TEST_F(pins, reader_stays_writer_unpins_page_becomes_clean)
{
	struct bench *bench = &self->bench;
	__u32 read, write;

	read = pin_first(_metadata, bench, self->reader, false);
	ASSERT_EQ(0, first_pages(_metadata, bench));
	write = pin_first(_metadata, bench, self->writer, true);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	ASSERT_EQ(1, first_pages(_metadata, bench));
	unpin_first(_metadata, bench, self->writer, write);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	ASSERT_EQ(0, first_pages(_metadata, bench));
	unpin_first(_metadata, bench, self->reader, read);
	ASSERT_EQ(0, first_pages(_metadata, bench));
}

TEST_F(pins, writer_stays_reader_unpins_page_stays_dirty)
{
	struct bench *bench = &self->bench;
	__u32 read, write;

	write = pin_first(_metadata, bench, self->writer, true);
	read = pin_first(_metadata, bench, self->reader, false);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	unpin_first(_metadata, bench, self->reader, read);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	ASSERT_EQ(1, first_pages(_metadata, bench));
	unpin_first(_metadata, bench, self->writer, write);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	ASSERT_EQ(0, first_pages(_metadata, bench));
}

/* With two pins of one access, it is unknown which one ends first. */
TEST_F(pins, one_access_reads_and_writes_page_is_dirty_to_the_end)
{
	struct bench *bench = &self->bench;
	__u32 read, write;

	read = pin_first(_metadata, bench, self->writer, false);
	write = pin_first(_metadata, bench, self->writer, true);
	unpin_first(_metadata, bench, self->writer, write);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	ASSERT_EQ(1, first_pages(_metadata, bench));
	unpin_first(_metadata, bench, self->writer, read);
	ASSERT_EQ(1, first_pages(_metadata, bench));
	ASSERT_EQ(0, first_pages(_metadata, bench));
}

TEST_HARNESS_MAIN
