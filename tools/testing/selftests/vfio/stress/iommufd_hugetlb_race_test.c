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

struct thread_pair;

/* The step of one of the two threads: 0 or -errno. */
typedef int (*pair_step_t)(struct thread_pair *pair, int index);

/**
 * struct thread_pair - two threads and a file
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
struct thread_pair {
	struct bench bench[2];
	int fd;
	__u8 *va;
	pair_step_t step[2];
	int rc[2];
	unsigned int delay[2];
	pthread_barrier_t start;
	pthread_barrier_t end;
	bool stop;
};

/**
 * struct pair_rule - parameters of a pair
 * @step: steps of the two threads
 * @flags: flags of the mapping of the file; 0 without one
 * @pages: huge pages that are enough for a round
 * @errno_allowed: errno that mapping the file may fail with
 * @shrinks: the file is empty at the end
 * @reserves: the file has a reservation at the end for pages it lacks
 */
struct pair_rule {
	pair_step_t step[2];
	int flags;
	long pages;
	int errno_allowed;
	bool shrinks;
	bool reserves;
};

FIXTURE(hugetlb_race)
{
	struct thread_pair pair;
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
	bench_open(_metadata, &self->pair.bench[0], MODE_IOMMUFD, "2m");
	bench_open(_metadata, &self->pair.bench[1], MODE_IOMMUFD, "4k");
	counts_now(_metadata, &self->counts);
	hugetlb_fs_open(_metadata, &self->fs, variant->options);
}

FIXTURE_TEARDOWN(hugetlb_race)
{
	hugetlb_fs_close(_metadata, &self->fs);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	bench_close(_metadata, &self->pair.bench[0]);
	bench_close(_metadata, &self->pair.bench[1]);
}

static int step_map_file(struct thread_pair *pair, int index)
{
	struct iommu *iommu = &pair->bench[index].iommu;
	__u64 iova = IOVA;

	return __ioas_map_file(iommu->fd, iommu->ioas_id, MAP_RW_FIXED,
			       pair->fd, 0, &iova, LENGTH);
}

static int step_fault(struct thread_pair *pair, int index)
{
	for (size_t at = 0; at < LENGTH; at += SZ_2M)
		pair->va[at] = index;
	return 0;
}

static int step_truncate(struct thread_pair *pair, int index)
{
	return ftruncate(pair->fd, 0) ? -errno : 0;
}

static int step_punch(struct thread_pair *pair, int index)
{
	return fallocate(pair->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 0, LENGTH) ? -errno : 0;
}

static int step_allocate(struct thread_pair *pair, int index)
{
	return fallocate(pair->fd, 0, 0, LENGTH) ? -errno : 0;
}

static int step_reserve(struct thread_pair *pair, int index)
{
	void *va = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, pair->fd, 0);

	return va == MAP_FAILED || munmap(va, LENGTH) ? -errno : 0;
}

/**
 * struct pair_thread - a thread of a pair
 * @pair: the pair
 * @index: 0 or 1
 * @thread: the thread
 */
struct pair_thread {
	struct thread_pair *pair;
	int index;
	pthread_t thread;
};

static void *pair_thread_run(void *arg)
{
	struct pair_thread *me = arg;
	struct thread_pair *pair = me->pair;
	int i = me->index;

	for (;;) {
		pthread_barrier_wait(&pair->start);
		if (pair->stop)
			return NULL;
		for (unsigned int n = pair->delay[i]; n; n--)
			atomic_signal_fence(memory_order_seq_cst);
		pair->rc[i] = pair->step[i](pair, i);
		pthread_barrier_wait(&pair->end);
	}
}

/* Return the pages of the file, as the file system accounts them. */
static long file_pages(struct __test_metadata *_metadata, int fd)
{
	struct stat stat;

	ASSERT_EQ(0, fstat(fd, &stat));
	return stat.st_blocks / (long)(SZ_2M / 512);
}

static void pair_unmap(struct __test_metadata *_metadata,
		       struct thread_pair *pair, const struct pair_rule *rule)
{
	for (int i = 0; i < 2; i++) {
		int rc = pair->rc[i];

		if (rule->step[i] != step_map_file) {
			ASSERT_EQ(0, rc);
			continue;
		}
		ASSERT_TRUE(!rc || rc == rule->errno_allowed) {
			TH_LOG("mapping the file: %d", rc);
		}
		if (!rc)
			iommu_unmap(_metadata, &pair->bench[i].iommu, IOVA,
				    LENGTH);
	}
	if (rule->flags)
		ASSERT_EQ(0, munmap(pair->va, LENGTH));
}

static void pair_round(struct __test_metadata *_metadata,
		       struct thread_pair *pair, struct hugetlb_fs *fs,
		       const struct pair_rule *rule)
{
	long pages;

	pair->fd = hugetlb_file(_metadata, fs, LENGTH);
	if (rule->flags) {
		pair->va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
				rule->flags, pair->fd, 0);
		ASSERT_NE(MAP_FAILED, pair->va);
	}
	pthread_barrier_wait(&pair->start);
	pthread_barrier_wait(&pair->end);
	pair_unmap(_metadata, pair, rule);
	pages = file_pages(_metadata, pair->fd);
	if (rule->shrinks)
		ASSERT_EQ(0, pages);
	hugetlb_check(_metadata, fs, "unmapped", pages,
		      rule->reserves ? PAGES - pages : 0);
	ASSERT_EQ(0, close(pair->fd));
	hugetlb_check(_metadata, fs, "file closed", 0, 0);
}

static void pair_rounds(struct __test_metadata *_metadata,
			struct thread_pair *pair, struct hugetlb_fs *fs,
			const struct pair_rule *rule)
{
	double end = race_now() + race_seconds() / 3;
	struct pair_thread threads[2];
	__u64 seed = 8;

	pair->stop = false;
	pthread_barrier_init(&pair->start, NULL, 3);
	pthread_barrier_init(&pair->end, NULL, 3);
	for (int i = 0; i < 2; i++) {
		pair->step[i] = rule->step[i];
		threads[i].pair = pair;
		threads[i].index = i;
		ASSERT_EQ(0, pthread_create(&threads[i].thread, NULL,
					    pair_thread_run, &threads[i]));
	}
	do {
		/* From no delay to about the time to clear a huge page */
		for (int i = 0; i < 2; i++)
			pair->delay[i] = next_random(&seed) %
					 (1U << next_random(&seed) % 20);
		pair_round(_metadata, pair, fs, rule);
	} while (race_now() < end);
	pair->stop = true;
	pthread_barrier_wait(&pair->start);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(threads[i].thread, NULL));
}

/* Run rounds while another process reserves the pages that they do not need. */
static void run_pair(struct __test_metadata *_metadata,
		     struct thread_pair *pair, struct hugetlb_fs *fs,
		     const struct pair_rule *rule)
{
	long own = fs->min < rule->pages ? fs->min : rule->pages;
	struct hugetlb_guard guard;

	hugetlb_guard_start(_metadata, &guard,
			    fs->idle.free - fs->idle.reserved - rule->pages +
			    own, MAP_PRIVATE);
	hugetlb_counts_now(_metadata, fs, &fs->idle);
	pair_rounds(_metadata, pair, fs, rule);
	hugetlb_guard_end(_metadata, &guard);
}

TEST_F_TIMEOUT(hugetlb_race, two_maps_are_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_map_file },
		.pages = PAGES,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, two_maps_of_reserved_file_are_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_map_file },
		.pages = PAGES,
		.flags = MAP_SHARED,
		.reserves = true,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_shared_fault_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_fault },
		.pages = PAGES,
		.flags = MAP_SHARED,
		.reserves = true,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_private_fault_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_fault },
		.pages = 2 * PAGES,
		.flags = MAP_PRIVATE,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_truncate_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_truncate },
		.pages = PAGES,
		.errno_allowed = -EINVAL,
		.shrinks = true,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_reserved_truncate_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_truncate },
		.pages = PAGES,
		.flags = MAP_SHARED,
		.errno_allowed = -EINVAL,
		.shrinks = true,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_hole_punch_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_punch },
		.pages = PAGES,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_fallocate_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_allocate },
		.pages = PAGES,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_F_TIMEOUT(hugetlb_race, map_against_reservation_is_exact, 3600)
{
	const struct pair_rule rule = {
		.step = { step_map_file, step_reserve },
		.pages = PAGES,
		.reserves = true,
	};

	run_pair(_metadata, &self->pair, &self->fs, &rule);
}

TEST_HARNESS_MAIN
