// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bitmaps of many windows
 *
 * A query pins the pages of its bitmap that one page of page pointers
 * describes: 512 pages of 4 KiB. With a bit per byte, such a window covers 16
 * MiB of IOVA. At most one window is pinned, every bit is in its own window,
 * and if a window is unwritable no dirty bit is cleared.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/counts.h"
#include "lib/test.h"

#define IOVA		0x10000000ULL
#define WINDOW		(16 * SZ_1M)
#define WINDOWS		4
#define LENGTH		(WINDOWS * WINDOW)
#define PAGES		(LENGTH / SZ_4K)
#define BITMAP		(LENGTH / 8)
#define WINDOW_PAGES	512

FIXTURE(window)
{
	struct bench bench;
	struct oracle oracle;
	__u8 *bits;
	__u64 seed;
};

FIXTURE_VARIANT(window)
{
	const char *model;
	enum mem_kind kind;
	__u64 leaf;
};

FIXTURE_VARIANT_ADD(window, small_leaves) {
	.model = "4k", .kind = MEM_4K, .leaf = SZ_4K,
};

FIXTURE_VARIANT_ADD(window, huge_leaves) {
	.model = "2m", .kind = MEM_HUGETLB, .leaf = SZ_2M,
};

FIXTURE_SETUP(window)
{
	self->seed = 3;
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, variant->kind);
	self->bits = mmap(NULL, BITMAP, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->bits);
	oracle_init(_metadata, &self->oracle, IOVA, LENGTH, variant->leaf);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(window)
{
	oracle_free(&self->oracle);
	munmap(self->bits, BITMAP);
	bench_close(_metadata, &self->bench);
}

static int query(struct bench *bench, __u32 flags, void *bits)
{
	return __bench_query(bench, flags, IOVA, LENGTH, 1, bits);
}

static void write_some(struct __test_metadata *_metadata, struct bench *bench,
		       struct oracle *oracle, __u64 *seed)
{
	for (int i = 0; i < 40; i++) {
		__u64 offset = next_random(seed) % (LENGTH - SZ_64K);
		__u64 length = 1 + next_random(seed) % SZ_64K;

		mock_fill(_metadata, &bench->dev, IOVA + offset, length, i);
		oracle_write(oracle, IOVA + offset, length);
	}
}

/* Check the bitmap: each page has 512 bytes of it, all set or all clear. */
static void check(struct __test_metadata *_metadata, const __u8 *bits,
		  const struct oracle *oracle)
{
	struct guarded_bitmap pages;

	bitmap_alloc(_metadata, &pages, PAGES, 0);
	for (size_t page = 0; page < PAGES; page++) {
		const __u8 *of_page = bits + page * (SZ_4K / 8);

		ASSERT_TRUE(mem_is(of_page, SZ_4K / 8, of_page[0])) {
			TH_LOG("page %zu in part", page);
		}
		if (of_page[0])
			pages.bits[page / 8] |= 1 << page % 8;
	}
	oracle_check(_metadata, oracle, &pages, IOVA, SZ_4K);
	bitmap_free(&pages);
}

TEST_F(window, query_of_many_windows_is_exact)
{
	for (int round = 0; round < 3; round++) {
		write_some(_metadata, &self->bench, &self->oracle,
			   &self->seed);
		memset(self->bits, 0, BITMAP);
		ASSERT_EQ(0, query(&self->bench,
				   IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
				   self->bits));
		check(_metadata, self->bits, &self->oracle);
		memset(self->bits, 0, BITMAP);
		ASSERT_EQ(0, query(&self->bench, 0, self->bits));
		check(_metadata, self->bits, &self->oracle);
		oracle_clean(&self->oracle, IOVA, LENGTH);
		memset(self->bits, 0, BITMAP);
		ASSERT_EQ(0, query(&self->bench, 0, self->bits));
		check(_metadata, self->bits, &self->oracle);
	}
}

/* If a window is partly or fully read-only, nothing is cleared or set. */
TEST_F(window, unwritable_window_loses_nothing)
{
	size_t bad[] = { 0, WINDOW / 8 - SZ_4K, WINDOW / 8, BITMAP / 2 + SZ_64K,
			 BITMAP - SZ_4K };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_some(_metadata, &self->bench, &self->oracle,
			   &self->seed);
		ASSERT_EQ(0, mprotect(self->bits + bad[i], SZ_4K, PROT_READ));
		ASSERT_EQ(-EFAULT, query(&self->bench, 0, self->bits));
		ASSERT_EQ(0, mprotect(self->bits + bad[i], SZ_4K,
				      PROT_READ | PROT_WRITE));
		memset(self->bits, 0, BITMAP);
		ASSERT_EQ(0, query(&self->bench, 0, self->bits));
		check(_metadata, self->bits, &self->oracle);
		oracle_clean(&self->oracle, IOVA, LENGTH);
	}
}

/**
 * struct spoiler - a thread that makes a window unwritable during queries
 * @at: address in the bitmap to change the protection of
 * @stop: the thread has to end
 */
struct spoiler {
	__u8 *at;
	atomic_bool stop;
};

static void spin(unsigned int turns)
{
	while (turns--)
		asm volatile("");
}

static void *spoil(void *arg)
{
	struct spoiler *spoiler = arg;

	while (!atomic_load(&spoiler->stop)) {
		mprotect(spoiler->at, SZ_4K, PROT_READ);
		spin(2000);
		mprotect(spoiler->at, SZ_4K, PROT_READ | PROT_WRITE);
		spin(20000);
	}
	return NULL;
}

/* A later result may report too many pages, but never too few. */
TEST_F_TIMEOUT(window, window_unwritable_during_query_loses_nothing, 120)
{
	struct spoiler spoiler = { .at = self->bits + BITMAP - SZ_4K };
	unsigned int failed = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, spoil, &spoiler));
	for (int round = 0; round < 60; round++) {
		__u64 page = next_random(&self->seed) % PAGES;
		__u8 *bit = self->bits + page * (SZ_4K / 8);
		int rc;

		mock_fill(_metadata, &self->bench.dev, IOVA + page * SZ_4K, 8,
			  round);
		do {
			madvise(self->bits, BITMAP - SZ_4K, MADV_DONTNEED);
			rc = query(&self->bench, 0, self->bits);
			failed += rc == -EFAULT;
		} while (rc == -EFAULT);
		ASSERT_EQ(0, rc);
		if (page < PAGES - 8)
			ASSERT_EQ(0xff, *bit);
	}
	atomic_store(&spoiler.stop, true);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	TH_LOG("%u queries failed", failed);
}

/**
 * struct sampler - a thread that samples the pins of the machine
 * @stop: the thread has to end
 * @most: maximum number of pins
 * @samples: number of samples
 */
struct sampler {
	atomic_bool stop;
	long most;
	unsigned int samples;
};

static long pins_now(void)
{
	char line[128];
	long pins = 0, n;
	FILE *file = fopen("/proc/vmstat", "r");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nr_foll_pin_acquired %ld", &n) == 1)
			pins += n;
		else if (sscanf(line, "nr_foll_pin_released %ld", &n) == 1)
			pins -= n;
	}
	fclose(file);
	return pins;
}

static void *sample(void *arg)
{
	struct sampler *sampler = arg;
	long pins;

	while (!atomic_load(&sampler->stop)) {
		pins = pins_now();
		if (pins > sampler->most)
			sampler->most = pins;
		sampler->samples++;
	}
	return NULL;
}

TEST_F_TIMEOUT(window, query_pins_one_window_at_a_time, 120)
{
	struct sampler sampler = {};
	long before = pins_now();
	pthread_t thread;

	memset(self->bits, 0, BITMAP);
	ASSERT_EQ(0, pthread_create(&thread, NULL, sample, &sampler));
	for (int round = 0; round < 200; round++)
		ASSERT_EQ(0, query(&self->bench, 0, self->bits));
	atomic_store(&sampler.stop, true);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	TH_LOG("%ld pins in %u samples", sampler.most - before,
	       sampler.samples);
	/*
	 * The counters are per CPU, so one CPU sees changes of another one
	 * late.
	 */
	ASSERT_LE(sampler.most, before + 2 * WINDOW_PAGES);
}

TEST_HARNESS_MAIN
