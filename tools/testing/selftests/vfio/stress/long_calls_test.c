// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: long calls yield and can be killed
 *
 * A call over a large range may take long, but must let other tasks run, and
 * must end soon after its process is killed. A thread of a real-time policy on
 * the same CPU sleeps for a moment repeatedly; its worst wake-up latency is how
 * long the call kept it off the CPU. This is measured best if the clock counts
 * instructions (scripts/vm --icount). LONG_CALLS_LIMIT_US is the limit of the
 * latency, LONG_CALLS_MIB the size of the range, a multiple of 16. How soon a
 * killed call ends is measured up to LONG_CALLS_ROUNDS times, of which one has
 * to pass: on a busy host the clock continues while the machine does not run.
 */
#define _GNU_SOURCE
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/counts.h"
#include "lib/test.h"

#define IOVA		0x100000000ULL
#define FILE_LENGTH	(16 * SZ_1M)
#define KILLED_NS	20000000ULL

static size_t env(const char *name, size_t value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/**
 * struct watch - the thread that must not be kept off the CPU
 * @thread: the thread
 * @ready: the thread runs
 * @stop: the thread has to end
 * @precise: timers are precise, some time after boot
 * @worst: worst wake-up latency in ns
 */
struct watch {
	pthread_t thread;
	atomic_bool ready;
	atomic_bool stop;
	atomic_bool precise;
	__u64 worst;
};

static void *watch_run(void *arg)
{
	struct timespec nap = { .tv_nsec = 20000 };
	struct watch *watch = arg;

	while (!atomic_load(&watch->stop)) {
		__u64 start = now_ns(), late;

		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		late = now_ns() - start - nap.tv_nsec;
		if (late < 1000000)
			atomic_store(&watch->precise, true);
		if (atomic_load(&watch->ready) && late > watch->worst)
			watch->worst = late;
		atomic_store(&watch->ready, true);
	}
	return NULL;
}

FIXTURE(calls)
{
	struct bench bench;
	struct watch watch;
	size_t length;
	__u8 *va;
	int file;
};

FIXTURE_VARIANT(calls)
{
	enum iommu_mode mode;
	const char *model;
	unsigned int memfd;
	__u64 skew;
};

FIXTURE_VARIANT_ADD(calls, type1_small_pages) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(calls, compat_small_pages) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(calls, iommufd_small_pages) {
	.mode = MODE_IOMMUFD, .model = "4k",
};

FIXTURE_VARIANT_ADD(calls, iommufd_huge_pages) {
	.mode = MODE_IOMMUFD, .model = "2m", .memfd = MFD_HUGETLB,
};

/* Map long runs of pages that no huge leaf can map. */
FIXTURE_VARIANT_ADD(calls, iommufd_huge_pages_misaligned) {
	.mode = MODE_IOMMUFD, .model = "2m", .memfd = MFD_HUGETLB,
	.skew = SZ_4K,
};

FIXTURE_VARIANT_ADD(calls, type1_huge_pages_misaligned) {
	.mode = MODE_TYPE1, .model = "2m", .memfd = MFD_HUGETLB,
	.skew = SZ_4K,
};

/* Map a large range of addresses with little memory. */
static __u8 *map_again_and_again(struct __test_metadata *_metadata, int file,
				 size_t length)
{
	__u8 *va;

	va = mmap(NULL, length + SZ_2M, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, va);
	va = (__u8 *)(((unsigned long)va + SZ_2M - 1) & ~(SZ_2M - 1));
	ASSERT_EQ(0, length % FILE_LENGTH);
	for (size_t at = 0; at < length; at += FILE_LENGTH)
		ASSERT_EQ(va + at, mmap(va + at, FILE_LENGTH,
					PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_FIXED | MAP_POPULATE,
					file, 0));
	return va;
}

FIXTURE_SETUP(calls)
{
	struct sched_param param = { .sched_priority = 1 };
	cpu_set_t cpus;

	self->length = env("LONG_CALLS_MIB", 128) * SZ_1M;
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	self->file = memfd_create("long", variant->memfd);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, FILE_LENGTH));
	self->va = map_again_and_again(_metadata, self->file, self->length);

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	ASSERT_EQ(0, pthread_create(&self->watch.thread, NULL, watch_run,
				    &self->watch));
	ASSERT_EQ(0, pthread_setschedparam(self->watch.thread, SCHED_FIFO,
					   &param));
	while (!atomic_load(&self->watch.precise))
		sched_yield();
	self->watch.worst = 0;
}

FIXTURE_TEARDOWN(calls)
{
	atomic_store(&self->watch.stop, true);
	pthread_join(self->watch.thread, NULL);
	munmap(self->va, self->length);
	close(self->file);
	bench_close(_metadata, &self->bench);
}

/* Check that a call kept the thread off the CPU no longer than the limit. */
#define check_watch(what)						\
do {									\
	__u64 limit = env("LONG_CALLS_LIMIT_US", 500000) * 1000;	\
	__u64 worst = self->watch.worst;				\
									\
	self->watch.worst = 0;						\
	TH_LOG("%s: %llu us", what, worst / 1000);			\
	EXPECT_GE(limit, worst);					\
} while (0)

static int map_all(struct bench *bench, const __u8 *va, __u64 iova,
		   size_t length)
{
	return __iommu_map(&bench->iommu, va, iova, length, PROT_DMA_RW);
}

TEST_F_TIMEOUT(calls, map_and_unmap_yield, 120)
{
	struct bench *bench = &self->bench;
	__u64 iova = IOVA + variant->skew, unmapped;

	ASSERT_EQ(0, map_all(bench, self->va, iova, self->length));
	check_watch("map");
	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, iova, self->length,
				   &unmapped));
	check_watch("unmap");
	ASSERT_EQ(self->length, unmapped);
}

TEST_F_TIMEOUT(calls, tracking_and_queries_yield, 120)
{
	struct bench *bench = &self->bench;
	__u64 iova = IOVA + variant->skew, unmapped;
	void *bits = calloc(1, self->length / SZ_4K / 8 + 8);

	ASSERT_EQ(0, map_all(bench, self->va, iova, self->length));
	self->watch.worst = 0;
	/* The compat container may use the tracking of another device. */
	ASSERT_EQ(0, __bench_track(bench, true));
	check_watch("start");
	ASSERT_EQ(0, __bench_query(bench, 0, iova, self->length, SZ_4K, bits));
	check_watch("query, clean");
	mock_fill(_metadata, &bench->dev, iova, self->length / 8, 1);
	self->watch.worst = 0;
	ASSERT_EQ(0, __bench_query(bench, 0, iova, self->length, SZ_4K, bits));
	check_watch("query, dirty");
	ASSERT_EQ(0, __bench_track(bench, false));
	check_watch("stop");
	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, iova, self->length,
				   &unmapped));
	free(bits);
}

TEST_F_TIMEOUT(calls, page_tables_and_copies_yield, 120)
{
	struct bench *bench = &self->bench;
	__u64 iova = IOVA + variant->skew, unmapped;
	int fd = bench->iommu.fd;
	__u32 hwpt, ioas;

	if (variant->mode != MODE_IOMMUFD)
		return;
	ASSERT_EQ(0, map_all(bench, self->va, iova, self->length));
	self->watch.worst = 0;
	ASSERT_EQ(0, __hwpt_alloc(fd, bench->dev.dev_id, bench->iommu.ioas_id,
				  0, &hwpt));
	check_watch("page table");
	ASSERT_EQ(0, __iommu_destroy(fd, hwpt));
	check_watch("destroy page table");
	ASSERT_EQ(0, __ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, __hwpt_alloc(fd, bench->dev.dev_id, ioas, 0, &hwpt));
	ASSERT_EQ(0, __ioas_copy(fd, MAP_RW_FIXED, ioas, &iova,
				 bench->iommu.ioas_id, iova, self->length));
	check_watch("copy");
	ASSERT_EQ(0, __ioas_unmap(fd, ioas, iova, self->length, &unmapped));
	check_watch("unmap copy");
	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, iova, self->length,
				   &unmapped));
}

/* Mapping a file fills its holes. */
TEST_F_TIMEOUT(calls, map_file_yields, 120)
{
	struct bench *bench = &self->bench;
	__u64 iova = IOVA, unmapped;

	if (variant->mode != MODE_IOMMUFD)
		return;
	ASSERT_EQ(0, ftruncate(self->file, 0));
	ASSERT_EQ(0, ftruncate(self->file, FILE_LENGTH));
	self->watch.worst = 0;
	ASSERT_EQ(0, __ioas_map_file(bench->iommu.fd, bench->iommu.ioas_id,
				     MAP_RW_FIXED, self->file, 0, &iova,
				     FILE_LENGTH));
	check_watch("map file");
	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, iova, FILE_LENGTH,
				   &unmapped));
}

FIXTURE(killed)
{
	size_t length;
	__u8 *va;
	int file;
	struct counts before;
};

FIXTURE_VARIANT(killed)
{
	enum iommu_mode mode;
	const char *model;
	unsigned int memfd;
	__u64 skew;
	bool attach;
};

FIXTURE_VARIANT_ADD(killed, map_type1_small) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(killed, map_compat_small) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(killed, map_iommufd_small) {
	.mode = MODE_IOMMUFD, .model = "4k",
};

FIXTURE_VARIANT_ADD(killed, map_iommufd_huge_misaligned) {
	.mode = MODE_IOMMUFD, .model = "2m", .memfd = MFD_HUGETLB,
	.skew = SZ_4K,
};

FIXTURE_VARIANT_ADD(killed, attach_small) {
	.mode = MODE_IOMMUFD, .model = "4k", .attach = true,
};

FIXTURE_SETUP(killed)
{
	self->length = env("LONG_CALLS_MIB", 128) * SZ_1M;
	self->file = memfd_create("long", variant->memfd);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, FILE_LENGTH));
	self->va = map_again_and_again(_metadata, self->file, self->length);
	counts_now(_metadata, &self->before);
}

FIXTURE_TEARDOWN(killed)
{
	munmap(self->va, self->length);
	close(self->file);
}

/**
 * struct killed_call - the call to be killed
 * @mode: interface
 * @model: model of the device
 * @iova: start of the range
 * @length: bytes of the range
 * @va: the memory
 * @attach: map it in an IOAS first; the call attaches, which fills a page table
 */
struct killed_call {
	enum iommu_mode mode;
	const char *model;
	__u64 iova;
	size_t length;
	__u8 *va;
	bool attach;
};

/*
 * In a child: report the start, call unless @wait is set, and report the end.
 */
static void call_and_report(struct __test_metadata *_metadata, int out,
			    bool wait, const struct killed_call *call)
{
	struct bench bench;
	__u64 start;
	__u32 hwpt;

	bench_open(_metadata, &bench, call->mode, call->model);
	if (call->attach) {
		ASSERT_EQ(0, __vfio_dev_detach(&bench.dev));
		ASSERT_EQ(0, map_all(&bench, call->va, call->iova,
				     call->length));
	}
	start = now_ns();
	ASSERT_EQ(sizeof(start), write(out, &start, sizeof(start)));
	if (wait)
		pause();
	else if (call->attach)
		__hwpt_alloc(bench.iommu.fd, bench.dev.dev_id,
			     bench.iommu.ioas_id, 0, &hwpt);
	else
		map_all(&bench, call->va, call->iova, call->length);
	start = now_ns() - start;
	ASSERT_EQ(sizeof(start), write(out, &start, sizeof(start)));
	_exit(0);
}

/**
 * struct killed_run - a child that makes the call
 * @wait: wait instead of making the call
 * @after_ns: time until the child is killed, or 0 to let it end
 * @call_ns: set to the duration of the call, unless it is killed
 * @exit_ns: set to the time from the kill to the end of the child
 */
struct killed_run {
	bool wait;
	__u64 after_ns;
	__u64 call_ns;
	__u64 exit_ns;
};

static void call_in_child(struct __test_metadata *_metadata,
			  struct killed_run *run,
			  const struct killed_call *call)
{
	int fds[2], status;
	__u64 start;
	pid_t child;

	ASSERT_EQ(0, pipe(fds));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		call_and_report(_metadata, fds[1], run->wait, call);
	ASSERT_EQ(sizeof(start), read(fds[0], &start, sizeof(start)));
	if (run->after_ns) {
		while (now_ns() - start < run->after_ns)
			sched_yield();
		ASSERT_EQ(0, kill(child, SIGKILL));
		start = now_ns();
	} else {
		ASSERT_EQ(sizeof(run->call_ns),
			  read(fds[0], &run->call_ns, sizeof(run->call_ns)));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	run->exit_ns = now_ns() - start;
	close(fds[0]);
	close(fds[1]);
}

/*
 * One round: return true if a process that is killed after an eighth of the
 * call ends in time. The limit is the time of a process that is killed without
 * the call, plus half of the duration of the call, or KILLED_NS if that is
 * longer.
 */
static bool killed_in_time(struct __test_metadata *_metadata,
			   const struct killed_call *call)
{
	struct killed_run whole = {}, none = { .wait = true, .after_ns = 1 };
	struct killed_run killed = {};

	call_in_child(_metadata, &whole, call);
	call_in_child(_metadata, &none, call);
	killed.after_ns = whole.call_ns / 8;
	call_in_child(_metadata, &killed, call);
	TH_LOG("call: %llu us; killed after an eighth it took %llu us, without a call %llu us",
	       whole.call_ns / 1000, killed.exit_ns / 1000,
	       none.exit_ns / 1000);
	return killed.exit_ns < none.exit_ns +
		(whole.call_ns > 2 * KILLED_NS ? whole.call_ns / 2 : KILLED_NS);
}

/* A killed call ends before it is complete, and leaves nothing. */
TEST_F_TIMEOUT(killed, killed_call_ends_and_leaves_nothing, 120)
{
	size_t rounds = env("LONG_CALLS_ROUNDS", 5);
	bool in_time = false;
	struct killed_call call = {
		.mode = variant->mode,
		.model = variant->model,
		.iova = IOVA + variant->skew,
		.length = self->length,
		.va = self->va,
		.attach = variant->attach,
	};

	while (!in_time && rounds--)
		in_time = killed_in_time(_metadata, &call);
	EXPECT_TRUE(in_time);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

TEST_HARNESS_MAIN
