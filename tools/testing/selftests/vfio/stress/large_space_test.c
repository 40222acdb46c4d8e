// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: calls beside a call over a large IOAS
 *
 * A call over 16 TiB takes long. Meanwhile other ranges of the same IOAS must be
 * mapped, unmapped, queried and accessed without waiting for its end. A thread
 * repeats the long call; the test, on the same CPU and of a real-time policy, makes
 * short calls at random times, and measures how long each of them takes. This is measured
 * best if the clock counts instructions (scripts/vm --icount).
 * LARGE_SPACE_LIMIT_US is the limit, LARGE_SPACE_GIB the size, a power of two.
 *
 * All of the range has the same 16 MiB of huge pages: mapped once, and copied to as
 * much as is mapped already until it is full.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "lib/bench.h"
#include "lib/sysfs.h"
#include "lib/test.h"

#define SMALL_IOVA	0x10000000ULL
#define LARGE_IOVA	0x100000000ULL
#define FIRST		(16 * SZ_1M)
#define CALLS		200
#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

static __u64 env(const char *name, __u64 value)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : value;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

struct space;

/**
 * struct space - the IOAS and the thread of the long call
 * @bench: a device with the IOAS
 * @mdev: a device whose driver pins pages
 * @length: bytes from LARGE_IOVA that are mapped
 * @bits: the bitmap of a query of all of them, a bit for each huge page
 * @call: the long call; returns 0 or a negative errno
 * @thread: the thread
 * @calls: long calls that have ended
 * @stop: the thread has to end
 * @rc: error of the long call
 * @longest: duration of the longest one, in ns
 */
struct space {
	struct bench bench;
	struct vfio_dev mdev;
	__u64 length;
	void *bits;
	int (*call)(struct space *space);
	pthread_t thread;
	atomic_uint calls;
	atomic_bool stop;
	int rc;
	__u64 longest;
};

static int long_query(struct space *space)
{
	return __bench_query(&space->bench, 0, LARGE_IOVA, space->length, SZ_2M,
			     space->bits);
}

static int long_tracking(struct space *space)
{
	int rc = __bench_track(&space->bench, false);

	return rc ?: __bench_track(&space->bench, true);
}

static int long_copy(struct space *space)
{
	__u64 to = LARGE_IOVA + space->length, unmapped;
	int fd = space->bench.iommu.fd, rc;
	__u32 ioas = space->bench.iommu.ioas_id;

	rc = __ioas_copy(fd, MAP_RW_FIXED, ioas, &to, ioas, LARGE_IOVA,
			 space->length);
	return rc ?: __ioas_unmap(fd, ioas, to, space->length, &unmapped);
}

static void *repeat_long_call(void *arg)
{
	struct space *space = arg;

	while (!atomic_load(&space->stop) && !space->rc) {
		__u64 begin = now_ns(), ns;

		space->rc = space->call(space);
		ns = now_ns() - begin;
		if (ns > space->longest)
			space->longest = ns;
		atomic_fetch_add(&space->calls, 1);
	}
	return NULL;
}

FIXTURE(space)
{
	struct space space;
};

FIXTURE_VARIANT(space)
{
	int (*call)(struct space *space);
};

FIXTURE_VARIANT_ADD(space, query) {
	.call = long_query,
};

FIXTURE_VARIANT_ADD(space, tracking) {
	.call = long_tracking,
};

FIXTURE_VARIANT_ADD(space, copy) {
	.call = long_copy,
};

static void fill_space(struct __test_metadata *_metadata, struct space *space)
{
	__u32 ioas = space->bench.iommu.ioas_id;
	__u64 done, to;

	bench_memory(_metadata, &space->bench, LARGE_IOVA, FIRST, MEM_HUGETLB);
	for (done = FIRST; done < space->length; done *= 2) {
		to = LARGE_IOVA + done;
		ASSERT_EQ(0, __ioas_copy(space->bench.iommu.fd, MAP_RW_FIXED,
					 ioas, &to, ioas, LARGE_IOVA, done));
	}
}

FIXTURE_SETUP(space)
{
	struct space *space = &self->space;
	char path[256];
	cpu_set_t cpus;

	space->call = variant->call;
	space->length = env("LARGE_SPACE_GIB", 64) * SZ_1G;
	space->bits = calloc(1, space->length / SZ_2M / 8);
	ASSERT_NE(NULL, space->bits);
	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "Y"));
	bench_open(_metadata, &space->bench, MODE_IOMMUFD, "2m");
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&space->mdev, &space->bench.iommu, path));
	fill_space(_metadata, space);
	bench_track(_metadata, &space->bench);

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
}

FIXTURE_TEARDOWN(space)
{
	vfio_dev_close(&self->space.mdev);
	bench_close(_metadata, &self->space.bench);
	free(self->space.bits);
}

/* Short calls, of ranges that the long call does not change */
enum { MAP, UNMAP, QUERY, ACCESS, KINDS };

static const char * const kinds[KINDS] = { "map", "unmap", "query", "access" };

static int short_call(struct space *space, int kind)
{
	struct bench *bench = &space->bench;
	__u64 unmapped, bits;
	int rc;

	switch (kind) {
	case MAP:
		return __iommu_map(&bench->iommu, bench->mem.va, SMALL_IOVA,
				   SZ_2M, PROT_DMA_RW);
	case UNMAP:
		return __iommu_unmap(&bench->iommu, SMALL_IOVA, SZ_2M,
				     &unmapped);
	case QUERY:
		rc = __bench_query(bench, 0, SMALL_IOVA, SZ_2M, SZ_2M, &bits);
		/* Not while tracking is disabled */
		return rc == -EINVAL && space->call == long_tracking ? 0 : rc;
	default:
		return __mock_fill(&space->mdev,
				   LARGE_IOVA + space->length / 2, SZ_4K, 1);
	}
}

/* Make @CALLS short calls of each kind, and more until a long call has ended. */
static void make_short_calls(struct __test_metadata *_metadata,
			     struct space *space, __u64 *worst)
{
	static const int order[] = { MAP, QUERY, ACCESS, UNMAP };
	struct timespec nap = { 0 };
	__u64 seed = 1, begin, ns;
	unsigned int i, n = 0;

	while (n++ < CALLS || atomic_load(&space->calls) < 2) {
		for (i = 0; i < KINDS; i++) {
			nap.tv_nsec = next_random(&seed) % 200000;
			clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
			begin = now_ns();
			ASSERT_EQ(0, short_call(space, order[i])) {
				TH_LOG("%s", kinds[order[i]]);
			}
			ns = now_ns() - begin;
			if (ns > worst[order[i]])
				worst[order[i]] = ns;
		}
	}
	TH_LOG("%u short calls of each kind, %u long calls of %llu GiB, up to %llu us",
	       n - 1, atomic_load(&space->calls), space->length / SZ_1G,
	       space->longest / 1000);
}

TEST_F_TIMEOUT(space, short_calls_do_not_wait, 600)
{
	const __u64 limit = env("LARGE_SPACE_LIMIT_US", 500000) * 1000;
	struct sched_param param = { .sched_priority = 1 };
	struct space *space = &self->space;
	__u64 worst[KINDS] = { 0 };

	ASSERT_EQ(0, pthread_create(&space->thread, NULL, repeat_long_call,
				    space));
	ASSERT_EQ(0, pthread_setschedparam(pthread_self(), SCHED_FIFO, &param));
	make_short_calls(_metadata, space, worst);
	param.sched_priority = 0;
	ASSERT_EQ(0, pthread_setschedparam(pthread_self(), SCHED_OTHER, &param));
	atomic_store(&space->stop, true);
	ASSERT_EQ(0, pthread_join(space->thread, NULL));
	ASSERT_EQ(0, space->rc);
	for (int i = 0; i < KINDS; i++) {
		TH_LOG("%s: at most %llu us", kinds[i], worst[i] / 1000);
		EXPECT_GE(limit, worst[i]);
	}
}

TEST_HARNESS_MAIN
