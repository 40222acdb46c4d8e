// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DMA against an unmap that reports dirty pages
 *
 * A device writes pages in order while another thread unmaps them. The first
 * page that was unmapped in time faults, and ends the DMA. So the bitmap of the
 * unmap must have a bit for every page before it, and for no other.
 *
 * RACE_SECONDS in the environment sets the duration of each test, by default 2.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/race/race.h"
#include "lib/report.h"
#include "lib/test.h"

#define IOVA		0x40000000ULL
#define MAX_PAGES	512

/**
 * struct unmap_race - a device and the thread that makes it write
 * @bench: the device
 * @writer: the thread
 * @begun: number of rounds that the main thread has begun
 * @ended: number of rounds that @writer has ended
 * @stop: @writer ends
 * @rc: result of @writer in the latest round
 */
struct unmap_race {
	struct bench bench;
	pthread_t writer;
	atomic_uint begun;
	atomic_uint ended;
	atomic_bool stop;
	int rc;
};

FIXTURE(unmap_race)
{
	struct unmap_race race;
};

FIXTURE_VARIANT(unmap_race)
{
	enum iommu_mode mode;
	const char *model;
	enum mem_kind kind;
	unsigned int pages;
	/* Pages in a leaf */
	unsigned int leaf;
};

FIXTURE_VARIANT_ADD(unmap_race, type1_4k) {
	MODE_TYPE1, "4k", MEM_4K, 128, 1,
};

FIXTURE_VARIANT_ADD(unmap_race, compat_4k) {
	MODE_COMPAT, "4k", MEM_4K, 128, 1,
};

FIXTURE_VARIANT_ADD(unmap_race, type1_2m) {
	MODE_TYPE1, "2m", MEM_HUGETLB, 512, 512,
};

/* In each round, write until the unmap makes a page fault. */
static void *write_pages(void *arg)
{
	struct unmap_race *race = arg;

	for (unsigned int round = 1;; round++) {
		/* A thread that sleeps would begin too late. */
		while (race->begun != round && !race->stop)
			sched_yield();
		if (race->stop)
			return NULL;
		race->rc = __mock_set(&race->bench.dev, MOCK_REG(command),
				      VFIO_MOCK_DMA_CMD_FILL);
		race->ended = round;
	}
}

FIXTURE_SETUP(unmap_race)
{
	struct bench *bench = &self->race.bench;
	__u64 length = variant->pages * SZ_4K;

	bench_open(_metadata, bench, variant->mode, variant->model);
	mem_alloc(_metadata, &bench->mem, length, variant->kind);
	mock_set(_metadata, &bench->dev, MOCK_REG(dst), IOVA);
	mock_set(_metadata, &bench->dev, MOCK_REG(length), length);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	ASSERT_EQ(0, pthread_create(&self->race.writer, NULL, write_pages,
				    &self->race));
}

FIXTURE_TEARDOWN(unmap_race)
{
	self->race.stop = true;
	pthread_join(self->race.writer, NULL);
	bench_close(_metadata, &self->race.bench);
}

/* Return the number of pages that the device has written. */
static unsigned int pages_written(struct __test_metadata *_metadata,
				  struct vfio_dev *dev, unsigned int pages)
{
	if (mock_get(_metadata, dev, MOCK_REG(status)) == VFIO_MOCK_DMA_OK)
		return pages;
	return (mock_get(_metadata, dev, MOCK_REG(fault_iova)) - IOVA) / SZ_4K;
}

/*
 * Write and unmap pages once; a leaf has @leaf of them. The unmap begins after
 * @delay iterations of a loop. Return the number of pages that were written.
 */
static unsigned int run_round(struct __test_metadata *_metadata,
			      struct unmap_race *race, unsigned int delay,
			      unsigned int pages, unsigned int leaf)
{
	struct bench *bench = &race->bench;
	__u64 bits[MAX_PAGES / 64] = {}, length = bench->mem.length;
	unsigned int written, dirty, page;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA, length);
	race->begun++;
	for (unsigned int i = 0; i < delay; i++)
		atomic_signal_fence(memory_order_seq_cst);
	CHECK_RC(0, __type1_unmap_bitmap(bench->iommu.fd, IOVA, &length, SZ_4K,
					 bits, sizeof(bits)), "unmap");
	while (race->ended != race->begun)
		sched_yield();
	CHECK_RC(0, race->rc, "writer");
	written = pages_written(_metadata, &bench->dev, pages);
	dirty = (written + leaf - 1) / leaf * leaf;
	for (page = 0; page < pages; page++) {
		bool reported = bits[page / 64] >> page % 64 & 1;
		bool expected = page < dirty;

		if (reported != expected)
			break;
	}
	CHECK(page == pages, "page %u of %u written is %sreported",
	      page, written, page < dirty ? "not " : "");
	return written;
}

TEST_F_TIMEOUT(unmap_race, unmap_reports_every_write, 3600)
{
	double end = race_now() + race_seconds();
	unsigned int written, delay = 0, rounds = 0, races = 0;

	srand(1);
	while (race_now() < end || !races) {
		written = run_round(_metadata, &self->race, delay,
				    variant->pages, variant->leaf);
		rounds++;
		if (written && written < variant->pages)
			races++;
		/* Stay where the unmap meets the writes. */
		if (!written)
			delay += rand() % 256;
		else if (written == variant->pages)
			delay -= rand() % (delay / 2 + 1);
		else
			delay += rand() % 65 - (delay >= 32 ? 32 : 0);
	}
	TH_LOG("%u unmaps during DMA in %u rounds", races, rounds);
}

TEST_HARNESS_MAIN
