// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bench_parallel
 *
 * Measure how much more two threads on two CPUs do than one, on one IOAS of a device
 * behind a hardware IOMMU with dirty bits.
 *
 * Each thread has a range of IOVAs and memory of its own, and repeats the same calls:
 * dirty queries, maps and unmaps of much memory, or of single pages. A run times one
 * thread and then two; the best of the runs counts. Each case prints three lines
 * "bench: parallel-NAME-...": the nanoseconds of a round of one thread alone and of two at
 * the same time, and the ratio of the work that two do to that of one in the same time, at
 * best 2. In contrast to the other benchmarks, it needs a machine with two CPUs and no
 * other load.
 */
#include <argp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "bench_map.h"

#define THREADS		2
#define RUNS		15
#define MEMORY		(128 * MIB)	/* of a thread */
#define SPAN		(2 * GIB)	/* IOVAs of a thread; also those between */
#define PAGES		512		/* maps of single pages in a round */

struct work;

/**
 * struct worker - a thread
 * @work: what it does
 * @cpu: its CPU
 * @g: its memory
 * @range: its IOVAs
 * @bitmap: result of its queries
 * @rc: first error
 */
struct worker {
	const struct work *work;
	unsigned int cpu;
	struct guest g;
	struct range range;
	__u64 *bitmap;
	int rc;
};

struct work {
	const char *name;
	int (*prepare)(struct worker *w);
	int (*round)(struct worker *w);
	int (*finish)(struct worker *w);
	unsigned int rounds;
};

static struct backend iommufd;
static pthread_barrier_t barrier;

static int map_at(struct worker *w, __u64 iova, __u64 offset, __u64 size)
{
	const struct range slot = { .iova = iova, .size = size };

	return iommufd.ops->map(&iommufd, &slot, w->g.source + offset);
}

static int unmap_at(__u64 iova, __u64 size)
{
	const struct range slot = { .iova = iova, .size = size };

	return iommufd.ops->unmap(&iommufd, &slot);
}

/* Fill the range by mapping the memory again and again. */
static int map_range(struct worker *w)
{
	__u64 at;
	int rc = 0;

	for (at = 0; at < SPAN && !rc; at += MEMORY)
		rc = map_at(w, w->range.iova + at, 0, MEMORY);
	return rc;
}

static int unmap_range(struct worker *w)
{
	return unmap_at(w->range.iova, SPAN);
}

static int query_round(struct worker *w)
{
	return iommufd.ops->tracker->query(&iommufd, &w->g, &w->range, w->bitmap);
}

static int map_round(struct worker *w)
{
	return map_at(w, w->range.iova, 0, MEMORY) ?:
	       unmap_at(w->range.iova, MEMORY);
}

static int page_round(struct worker *w)
{
	__u64 i;
	int rc = 0;

	for (i = 0; i < PAGES && !rc; i++)
		rc = map_at(w, w->range.iova + i * PAGE, i * PAGE, PAGE);
	for (i = 0; i < PAGES && !rc; i++)
		rc = unmap_at(w->range.iova + i * PAGE, PAGE);
	return rc;
}

static int nothing(struct worker *w)
{
	(void)w;
	return 0;
}

static const struct work works[] = {
	{ "query", map_range, query_round, unmap_range, 12 },
	{ "map", nothing, map_round, nothing, 3 },
	{ "page", nothing, page_round, nothing, 6 },
};

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	unsigned int i;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(w->cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < w->work->rounds && !w->rc; i++)
		w->rc = w->work->round(w);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* Time @threads workers that do the same at the same time. */
static int timed_run(struct worker *workers, unsigned int threads, double *ns)
{
	pthread_t thread[THREADS];
	unsigned int i;
	__u64 begin;
	int rc = 0;

	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run_worker, &workers[i]))
			return fail(EXIT_SETUP, "no thread: %m");
	pthread_barrier_wait(&barrier);
	begin = now_ns();
	pthread_barrier_wait(&barrier);
	*ns = (double)(now_ns() - begin) / workers[0].work->rounds;
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		rc = rc ?: workers[i].rc;
	}
	pthread_barrier_destroy(&barrier);
	return rc;
}

static int measure_work(struct worker *workers, const struct work *work)
{
	double one = 1e18, two = 1e18, ns;
	unsigned int i;
	char kind[32];
	int rc = 0;

	for (i = 0; i < THREADS && !rc; i++) {
		workers[i].work = work;
		rc = work->prepare(&workers[i]);
	}
	for (i = 0; i < RUNS && !rc; i++) {
		rc = timed_run(workers, 1, &ns);
		one = ns < one ? ns : one;
		rc = rc ?: timed_run(workers, THREADS, &ns);
		two = ns < two ? ns : two;
	}
	for (i = 0; i < THREADS && !rc; i++)
		rc = work->finish(&workers[i]);
	if (rc)
		return rc;
	snprintf(kind, sizeof(kind), "%s-one", work->name);
	print_figure("parallel", kind, one);
	snprintf(kind, sizeof(kind), "%s-two", work->name);
	print_figure("parallel", kind, two);
	snprintf(kind, sizeof(kind), "%s-ratio", work->name);
	print_figure("parallel", kind, THREADS * one / two);
	return 0;
}

static int prepare_worker(struct worker *w, unsigned int cpu)
{
	const struct options o = {
		.memory = MEMORY, .backing = BACKING_ANON, .page = PAGE,
		.slots = 1,
	};
	const size_t bytes = SPAN / PAGE / 8;

	w->cpu = cpu;
	w->range.iova = BENCH_IOVA + 2 * cpu * SPAN;
	w->range.size = SPAN;
	w->bitmap = malloc(bytes);
	if (!w->bitmap)
		return fail(EXIT_SETUP, "no memory for the bitmap");
	/* Fault it in. */
	memset(w->bitmap, 0, bytes);
	return guest_create(&w->g, &o);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		NULL, NULL, NULL,
		"Compare two threads with one: dirty queries, maps and unmaps.", 0, 0, 0
	};
	static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	static struct worker workers[THREADS];
	struct vfio_device device;
	unsigned int i;
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	rc = claim_edu(&device) ?:
	     backend_open(&iommufd, find_backend("iommufd"), &device);
	for (i = 0; i < THREADS && !rc; i++)
		rc = prepare_worker(&workers[i], i);
	rc = rc ?: iommufd.ops->tracker->start(&iommufd, &workers[0].g);
	for (i = 0; i < ARRAY_SIZE(works) && !rc; i++)
		rc = measure_work(workers, &works[i]);
	backend_close(&iommufd);
	if (rc)
		fprintf(stderr, "%s\n", take_failure());
	return rc;
}
