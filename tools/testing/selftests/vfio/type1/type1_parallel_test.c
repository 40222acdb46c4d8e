// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: ioctls of a container that wait, beside ioctls that do not
 *
 * A map waits for memory that is not delivered. Ioctls on other memory
 * continue, overlapping ioctls wait for the map, and a waiting process can be
 * killed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/memory/missing.h"
#include "lib/race/race.h"
#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)

/* IOVA of the map that waits, and of no mapping */
#define SLOW	0x20000000ULL
#define FREE	0x30000000ULL

/* An ioctl that takes longer is considered to wait for another one. */
#define SECONDS_AT_MOST	10

/**
 * struct waiter - an ioctl in a thread of its own
 * @fd: the container
 * @call: issues the ioctl: 0 or -errno
 * @missing: memory that is not delivered
 * @thread: the thread
 * @done: the ioctl has returned
 * @rc: its result
 * @length: bytes that it has unmapped
 */
struct waiter {
	int fd;
	int (*call)(struct waiter *waiter);
	struct missing *missing;
	pthread_t thread;
	atomic_bool done;
	int rc;
	__u64 length;
};

static void *waiter_run(void *data)
{
	struct waiter *waiter = data;

	waiter->rc = waiter->call(waiter);
	waiter->done = true;
	return NULL;
}

static void waiter_start(struct __test_metadata *_metadata,
			 struct waiter *waiter)
{
	CHECK_RC(0, pthread_create(&waiter->thread, NULL, waiter_run, waiter),
		 "cannot start a thread");
}

static void waiter_end(struct __test_metadata *_metadata,
		       struct waiter *waiter)
{
	CHECK_RC(0, pthread_join(waiter->thread, NULL), "thread");
}

static int call_map(struct waiter *waiter)
{
	return __type1_map(waiter->fd, waiter->missing->va, SLOW,
			   waiter->missing->length, PROT_DMA_RW);
}

static int call_unmap(struct waiter *waiter)
{
	return __type1_unmap(waiter->fd, SLOW, waiter->missing->length,
			     &waiter->length);
}

static int call_unmap_all(struct waiter *waiter)
{
	return __type1_unmap_flags(waiter->fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0,
				   &waiter->length);
}

/* The argument ends in missing memory: in the middle of the IOVA ranges. */
static int call_info(struct waiter *waiter)
{
	struct vfio_iommu_type1_info *info =
		(void *)(waiter->missing->va - 96);

	info->argsz = 4096;
	return xioctl(waiter->fd, VFIO_IOMMU_GET_INFO, info);
}

FIXTURE(parallel)
{
	struct bench bench;
	struct missing missing;
	struct waiter map;
	struct counts counts;
};

FIXTURE_VARIANT(parallel)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(parallel, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(parallel, compat) { .mode = MODE_COMPAT };

FIXTURE_SETUP(parallel)
{
	struct bench *bench = &self->bench;

	counts_now(_metadata, &self->counts);
	bench_open(_metadata, bench, variant->mode, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	missing_alloc(_metadata, &self->missing, LENGTH);
	self->map = (struct waiter) {
		.fd = bench->iommu.fd,
		.call = call_map,
		.missing = &self->missing,
	};
}

FIXTURE_TEARDOWN(parallel)
{
	bench_close(_metadata, &self->bench);
	missing_free(&self->missing);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

static void start_map(struct __test_metadata *_metadata, struct waiter *map)
{
	waiter_start(_metadata, map);
	missing_wait(_metadata, map->missing);
}

/* Call every ioctl, with memory that exists. */
static void use_container(struct __test_metadata *_metadata,
			  struct bench *bench)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	__u64 bits[PAGES / 64] = {}, length = LENGTH;
	int fd = bench->iommu.fd;

	ASSERT_EQ(0, __type1_map(fd, bench->mem.va, FREE, LENGTH, PROT_DMA_RW));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_START));
	mock_fill(_metadata, &bench->dev, FREE + 3 * SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __type1_dirty_get(fd, FREE, LENGTH, SZ_4K, bits,
				       sizeof(bits)));
	ASSERT_EQ(8, bits[0]);
	mock_fill(_metadata, &bench->dev, FREE + 4 * SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __type1_unmap_bitmap(fd, FREE, &length, SZ_4K, bits,
					  sizeof(bits)));
	ASSERT_EQ(LENGTH, length);
	ASSERT_EQ(16, bits[0]);
	/* A range that is being mapped counts as not mapped. */
	ASSERT_EQ(0, __type1_dirty_get(fd, SLOW + SZ_4K, LENGTH, SZ_4K, bits,
				       sizeof(bits)));
	ASSERT_EQ(0, __type1_dirty_flag(fd, DIRTY_STOP));
	ASSERT_EQ(0, __type1_map(fd, bench->mem.va, FREE, LENGTH, PROT_DMA_RW));
	ASSERT_EQ(0, __type1_unmap(fd, FREE, LENGTH, &length));
	ASSERT_EQ(LENGTH, length);
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
	ASSERT_EQ(1, xioctl(fd, VFIO_CHECK_EXTENSION,
			    (void *)VFIO_TYPE1v2_IOMMU));
	/* The type cannot change any more. */
	ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	/* Fails without waiting, as nothing is mapped there. */
	ASSERT_EQ(-ENOENT, __type1_map_flags(fd, VFIO_DMA_MAP_FLAG_VADDR,
					     bench->mem.va, FREE, LENGTH));
}

/* If an ioctl waits, the harness ends the test by its timeout. */
TEST_F_TIMEOUT(parallel, ioctls_on_other_memory_do_not_wait, 60)
{
	struct bench *bench = &self->bench;
	double start;

	start_map(_metadata, &self->map);
	start = race_now();
	use_container(_metadata, bench);
	ASSERT_GT(SECONDS_AT_MOST, race_now() - start);
	ASSERT_FALSE(self->map.done);
	missing_deliver(_metadata, &self->missing);
	waiter_end(_metadata, &self->map);
	ASSERT_EQ(0, self->map.rc);
	iommu_unmap(_metadata, &bench->iommu, SLOW, LENGTH);
}

/* Overlapping ioctls wait, and then find the mapping. */
TEST_F_TIMEOUT(parallel, overlapping_ioctls_wait_for_the_map, 60)
{
	struct bench *bench = &self->bench;
	struct waiter unmap = self->map, map = self->map;
	struct missing there = { .va = bench->mem.va, .length = LENGTH };

	start_map(_metadata, &self->map);
	map.missing = &there;
	waiter_start(_metadata, &map);
	usleep(200000);
	EXPECT_FALSE(map.done);
	missing_deliver(_metadata, &self->missing);
	waiter_end(_metadata, &map);
	waiter_end(_metadata, &self->map);
	EXPECT_EQ(0, self->map.rc);
	EXPECT_EQ(-EEXIST, map.rc);

	iommu_unmap(_metadata, &bench->iommu, SLOW, LENGTH);
	madvise(self->missing.va, LENGTH, MADV_DONTNEED);
	start_map(_metadata, &self->map);
	unmap.call = call_unmap;
	waiter_start(_metadata, &unmap);
	usleep(200000);
	EXPECT_FALSE(unmap.done);
	missing_deliver(_metadata, &self->missing);
	waiter_end(_metadata, &unmap);
	waiter_end(_metadata, &self->map);
	EXPECT_EQ(0, self->map.rc);
	EXPECT_EQ(0, unmap.rc);
	EXPECT_EQ(LENGTH, unmap.length);
}

/* A map that waits for an overlapping map succeeds if that map fails. */
TEST_F_TIMEOUT(parallel, map_waiting_for_a_failed_map_succeeds, 60)
{
	struct bench *bench = &self->bench;
	struct missing there = { .va = bench->mem.va, .length = LENGTH };
	struct waiter map = self->map;
	size_t half = LENGTH / 2;

	/* The second half is unmapped memory. */
	ASSERT_EQ(0, munmap(self->missing.va + half, half));
	start_map(_metadata, &self->map);
	map.missing = &there;
	waiter_start(_metadata, &map);
	usleep(200000);
	EXPECT_FALSE(map.done);
	self->missing.length = half;
	missing_deliver(_metadata, &self->missing);
	waiter_end(_metadata, &map);
	waiter_end(_metadata, &self->map);
	EXPECT_EQ(-EFAULT, self->map.rc);
	EXPECT_EQ(0, map.rc);
}

/* An ioctl whose argument is missing does not make other ioctls wait. */
TEST_F_TIMEOUT(parallel, ioctl_with_missing_argument_blocks_no_other, 60)
{
	struct missing *missing = &self->missing;
	struct waiter info = self->map;
	double start;

	/* A page before the missing memory, for the start of the argument. */
	ASSERT_NE(MAP_FAILED, mmap(missing->va - SZ_4K, SZ_4K,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	info.call = call_info;
	start_map(_metadata, &info);
	start = race_now();
	use_container(_metadata, &self->bench);
	ASSERT_GT(SECONDS_AT_MOST, race_now() - start);
	ASSERT_FALSE(info.done);
	missing_deliver(_metadata, missing);
	waiter_end(_metadata, &info);
	ASSERT_EQ(0, info.rc);
	munmap(missing->va - SZ_4K, SZ_4K);
}

/* In a child: one map waits for memory, other calls wait for the map. */
static void wait_for_ever(struct __test_metadata *_metadata, int fd, int ready)
{
	struct waiter waiters[3] = {};
	struct missing missing;

	missing_alloc(_metadata, &missing, LENGTH);
	for (int i = 0; i < 3; i++) {
		waiters[i].fd = fd;
		waiters[i].missing = &missing;
	}
	waiters[0].call = call_map;
	waiters[1].call = call_unmap;
	waiters[2].call = call_unmap_all;
	start_map(_metadata, &waiters[0]);
	waiter_start(_metadata, &waiters[1]);
	waiter_start(_metadata, &waiters[2]);
	usleep(200000);
	write(ready, "", 1);
	for (;;)
		pause();
}

TEST_F_TIMEOUT(parallel, waiting_process_can_be_killed, 60)
{
	struct bench *bench = &self->bench;
	int pipefd[2], status;
	double start;
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(pipefd));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		wait_for_ever(_metadata, bench->iommu.fd, pipefd[1]);
	ASSERT_EQ(1, read(pipefd[0], &byte, 1));
	/* Another process with the container continues. */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, FREE, LENGTH);
	iommu_unmap(_metadata, &bench->iommu, FREE, LENGTH);
	start = race_now();
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_GT(SECONDS_AT_MOST, race_now() - start);
	/* Nothing is left of the map. */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, SLOW, LENGTH);
	iommu_unmap(_metadata, &bench->iommu, SLOW, LENGTH);
	close(pipefd[0]);
	close(pipefd[1]);
}

#define ENTRY_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define THREADS		4

/**
 * struct limited - threads that map concurrently
 * @fd: the container
 * @va: a page of memory
 * @barrier: rounds begin and end here
 * @stop: the threads have to end
 * @done: number of mappings made in this round
 * @other: number of errnos other than ENOSPC
 */
struct limited {
	int fd;
	void *va;
	pthread_barrier_t barrier;
	atomic_bool stop;
	atomic_uint done;
	atomic_uint other;
};

static void *limited_map(void *data)
{
	static atomic_uint threads;
	__u64 iova = FREE + atomic_fetch_add(&threads, 1) * SZ_4K;
	struct limited *limited = data;
	int rc;

	for (;;) {
		pthread_barrier_wait(&limited->barrier);
		if (limited->stop)
			return NULL;
		rc = __type1_map(limited->fd, limited->va, iova, SZ_4K,
				 PROT_DMA_RW);
		if (!rc)
			limited->done++;
		else if (rc != -ENOSPC)
			limited->other++;
		pthread_barrier_wait(&limited->barrier);
	}
}

/*
 * Concurrent maps make as many mappings as the limit of VFIO's container allows,
 * and no more.
 */
TEST(concurrent_maps_meet_the_limit_exactly)
{
	pthread_t threads[THREADS];
	struct limited limited = {};
	struct bench bench;

	bench_open(_metadata, &bench, MODE_TYPE1, "4k");
	if (bench.iommu.mode != MODE_TYPE1) {
		bench_close(_metadata, &bench);
		return;
	}
	bench_memory(_metadata, &bench, IOVA, LENGTH, MEM_4K);
	limited.fd = bench.iommu.fd;
	limited.va = bench.mem.va;
	ASSERT_EQ(0, sysfs_write(ENTRY_LIMIT, "3"));
	pthread_barrier_init(&limited.barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, limited_map,
					    &limited));
	for (int round = 0; round < 2000; round++) {
		limited.done = 0;
		pthread_barrier_wait(&limited.barrier);
		pthread_barrier_wait(&limited.barrier);
		if (limited.done != 2)
			break;
		__type1_unmap(limited.fd, FREE, THREADS * SZ_4K, NULL);
	}
	limited.stop = true;
	pthread_barrier_wait(&limited.barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, sysfs_write(ENTRY_LIMIT, "65535"));
	EXPECT_EQ(2, limited.done);
	EXPECT_EQ(0, limited.other);
	pthread_barrier_destroy(&limited.barrier);
	bench_close(_metadata, &bench);
}

TEST_HARNESS_MAIN
