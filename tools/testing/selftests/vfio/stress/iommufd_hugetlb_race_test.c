// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: IOMMU_IOAS_MAP_FILE of huge pages against other users of the file
 *
 * Two threads start at the same moment on a new hugetlb file: one maps it for a
 * device; the other one maps it too, or faults, truncates, punches, allocates
 * or reserves. After each round all counters of huge pages are exact. Another
 * process has reserved all pages that the two threads do not need. So the
 * threads always have enough pages, and at the end that process has a page for
 * each reservation.
 *
 * Each test takes a third of RACE_SECONDS in the environment.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/memory/hugetlb.h"
#include "lib/race/race.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	2
#define LENGTH	(PAGES * SZ_2M)

struct duel;

/* The step of one of the two threads: 0 or -errno. */
typedef int (*duel_step_t)(struct duel *duel, int index);

/**
 * struct duel - two threads and a file
 * @bench: a device for each thread, each in an IOMMU context of its own
 * @fd: the file of this round
 * @va: mapping of the file; MAP_FAILED without one
 * @step: steps of the threads
 * @rc: results of the steps
 * @delay: how long each thread waits, in iterations of a loop
 * @start: both threads begin a round
 * @end: both threads have ended the round
 * @stop: the threads have to end instead of a round
 */
struct duel {
	struct bench bench[2];
	int fd;
	__u8 *va;
	duel_step_t step[2];
	int rc[2];
	unsigned int delay[2];
	pthread_barrier_t start;
	pthread_barrier_t end;
	bool stop;
};

/**
 * struct duel_rule - parameters of a duel
 * @step: steps of the two threads
 * @flags: flags of the mapping of the file; 0 without one
 * @pages: huge pages that are enough for a round
 * @errno_allowed: errno that mapping the file may fail with
 * @shrinks: the file is empty at the end
 * @reserves: the file has a reservation at the end for pages it lacks
 */
struct duel_rule {
	duel_step_t step[2];
	int flags;
	long pages;
	int errno_allowed;
	bool shrinks;
	bool reserves;
};

FIXTURE(hugetlb_race)
{
	struct duel duel;
	struct counts counts;
	struct hugetlb_fs fs;
};

FIXTURE_VARIANT(hugetlb_race)
{
	const char *options;
};

FIXTURE_VARIANT_ADD(hugetlb_race, memfd) {};

FIXTURE_VARIANT_ADD(hugetlb_race, size) { .options = "pagesize=2M,size=8M" };

FIXTURE_VARIANT_ADD(hugetlb_race, min_size) {
	.options = "pagesize=2M,min_size=8M",
};

FIXTURE_VARIANT_ADD(hugetlb_race, size_and_min_size) {
	.options = "pagesize=2M,size=8M,min_size=2M",
};

FIXTURE_SETUP(hugetlb_race)
{
	bench_open(_metadata, &self->duel.bench[0], MODE_IOMMUFD, "2m");
	bench_open(_metadata, &self->duel.bench[1], MODE_IOMMUFD, "4k");
	counts_now(_metadata, &self->counts);
	hugetlb_fs_open(_metadata, &self->fs, variant->options);
}

FIXTURE_TEARDOWN(hugetlb_race)
{
	hugetlb_fs_close(_metadata, &self->fs);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	bench_close(_metadata, &self->duel.bench[0]);
	bench_close(_metadata, &self->duel.bench[1]);
}

static int step_map_file(struct duel *duel, int index)
{
	struct iommu *iommu = &duel->bench[index].iommu;
	__u64 iova = IOVA;

	return __ioas_map_file(iommu->fd, iommu->ioas_id, MAP_RW_FIXED,
			       duel->fd, 0, &iova, LENGTH);
}

static int step_fault(struct duel *duel, int index)
{
	for (size_t at = 0; at < LENGTH; at += SZ_2M)
		duel->va[at] = index;
	return 0;
}

static int step_truncate(struct duel *duel, int index)
{
	return ftruncate(duel->fd, 0) ? -errno : 0;
}

static int step_punch(struct duel *duel, int index)
{
	return fallocate(duel->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 0, LENGTH) ? -errno : 0;
}

static int step_allocate(struct duel *duel, int index)
{
	return fallocate(duel->fd, 0, 0, LENGTH) ? -errno : 0;
}

static int step_reserve(struct duel *duel, int index)
{
	void *va = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, duel->fd, 0);

	return va == MAP_FAILED || munmap(va, LENGTH) ? -errno : 0;
}

/**
 * struct duellist - a thread of a duel
 * @duel: the duel
 * @index: 0 or 1
 * @thread: the thread
 */
struct duellist {
	struct duel *duel;
	int index;
	pthread_t thread;
};

static void *duellist_run(void *arg)
{
	struct duellist *me = arg;
	struct duel *duel = me->duel;
	int i = me->index;

	for (;;) {
		pthread_barrier_wait(&duel->start);
		if (duel->stop)
			return NULL;
		for (unsigned int n = duel->delay[i]; n; n--)
			atomic_signal_fence(memory_order_seq_cst);
		duel->rc[i] = duel->step[i](duel, i);
		pthread_barrier_wait(&duel->end);
	}
}

/* Return the pages of the file, as the file system accounts them. */
static long file_pages(struct __test_metadata *_metadata, int fd)
{
	struct stat stat;

	ASSERT_EQ(0, fstat(fd, &stat));
	return stat.st_blocks / (long)(SZ_2M / 512);
}

static void duel_unmap(struct __test_metadata *_metadata, struct duel *duel,
		       const struct duel_rule *rule)
{
	for (int i = 0; i < 2; i++) {
		int rc = duel->rc[i];

		if (rule->step[i] != step_map_file) {
			ASSERT_EQ(0, rc);
			continue;
		}
		ASSERT_TRUE(!rc || rc == rule->errno_allowed) {
			TH_LOG("mapping the file: %d", rc);
		}
		if (!rc)
			iommu_unmap(_metadata, &duel->bench[i].iommu, IOVA,
				    LENGTH);
	}
	if (rule->flags)
		ASSERT_EQ(0, munmap(duel->va, LENGTH));
}

static void duel_round(struct __test_metadata *_metadata, struct duel *duel,
		       struct hugetlb_fs *fs, const struct duel_rule *rule)
{
	long pages;

	duel->fd = hugetlb_file(_metadata, fs, LENGTH);
	if (rule->flags) {
		duel->va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
				rule->flags, duel->fd, 0);
		ASSERT_NE(MAP_FAILED, duel->va);
	}
	pthread_barrier_wait(&duel->start);
	pthread_barrier_wait(&duel->end);
	duel_unmap(_metadata, duel, rule);
	pages = file_pages(_metadata, duel->fd);
	if (rule->shrinks)
		ASSERT_EQ(0, pages);
	hugetlb_check(_metadata, fs, "unmapped", pages,
		      rule->reserves ? PAGES - pages : 0);
	ASSERT_EQ(0, close(duel->fd));
	hugetlb_check(_metadata, fs, "file closed", 0, 0);
}

static void duel_rounds(struct __test_metadata *_metadata, struct duel *duel,
			struct hugetlb_fs *fs, const struct duel_rule *rule)
{
	double end = race_now() + race_seconds() / 3;
	struct duellist duellists[2];
	__u64 seed = 8;

	duel->stop = false;
	pthread_barrier_init(&duel->start, NULL, 3);
	pthread_barrier_init(&duel->end, NULL, 3);
	for (int i = 0; i < 2; i++) {
		duel->step[i] = rule->step[i];
		duellists[i].duel = duel;
		duellists[i].index = i;
		ASSERT_EQ(0, pthread_create(&duellists[i].thread, NULL,
					    duellist_run, &duellists[i]));
	}
	do {
		/* From no delay to about the time to clear a huge page */
		for (int i = 0; i < 2; i++)
			duel->delay[i] = next_random(&seed) %
					 (1U << next_random(&seed) % 20);
		duel_round(_metadata, duel, fs, rule);
	} while (race_now() < end);
	duel->stop = true;
	pthread_barrier_wait(&duel->start);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(duellists[i].thread, NULL));
}

/* Run rounds while another process reserves the pages that they do not need. */
static void duel(struct __test_metadata *_metadata, struct duel *duel,
		 struct hugetlb_fs *fs, const struct duel_rule *rule)
{
	long own = fs->min < rule->pages ? fs->min : rule->pages;
	struct hugetlb_guard guard;

	hugetlb_guard_start(_metadata, &guard,
			    fs->idle.free - fs->idle.reserved - rule->pages +
			    own, MAP_PRIVATE);
	hugetlb_counts_now(_metadata, fs, &fs->idle);
	duel_rounds(_metadata, duel, fs, rule);
	hugetlb_guard_end(_metadata, &guard);
}

TEST_F_TIMEOUT(hugetlb_race, two_maps_are_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_map_file }, .pages = PAGES,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, two_maps_of_reserved_file_are_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_map_file }, .pages = PAGES,
		.flags = MAP_SHARED, .reserves = true,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_shared_fault_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_fault }, .pages = PAGES,
		.flags = MAP_SHARED, .reserves = true,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_private_fault_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_fault }, .pages = 2 * PAGES,
		.flags = MAP_PRIVATE,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_truncate_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_truncate }, .pages = PAGES,
		.errno_allowed = -EINVAL, .shrinks = true,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_reserved_truncate_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_truncate }, .pages = PAGES,
		.flags = MAP_SHARED, .errno_allowed = -EINVAL, .shrinks = true,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_hole_punch_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_punch }, .pages = PAGES,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_fallocate_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_allocate }, .pages = PAGES,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_reservation_is_exact, 3600)
{
	const struct duel_rule rule = {
		.step = { step_map_file, step_reserve }, .pages = PAGES,
		.reserves = true,
	};

	duel(_metadata, &self->duel, &self->fs, &rule);
}

TEST_HARNESS_MAIN
