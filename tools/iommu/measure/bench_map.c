// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: times of map and unmap
 *
 * Memory that is faulted in is mapped for a device and unmapped, first all of it
 * by one call, then page by page. A type1 container is also queried for dirty
 * pages; the IOMMU has no dirty bits, so each mapped page is reported dirty. Each
 * case prints a line "bench: NAME-BACKEND-KIND NANOSECONDS", per MiB or, for single
 * pages and for dirty tracking, per call; in a machine whose clock advances by one
 * nanosecond an instruction (scripts/vm --icount) the number is instructions.
 */
#include <argp.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "bench_map.h"

#define REPEAT		3
#define SINGLES		1024		/* maps of a single page */

/* On a freshly booted machine memory is physically contiguous, unless @scatter. */
struct sort {
	const char *name;
	enum backing backing;
	bool scatter;
};

static const struct sort sorts[] = {
	{ "4k", BACKING_ANON, true },
	{ "run", BACKING_ANON, false },
	{ "thp", BACKING_THP, false },
	{ "hugetlb", BACKING_HUGETLB, false },
};

enum { SORT_4K, SORT_RUN, SORT_THP, SORT_HUGETLB };

/* Best times so far. */
struct times {
	__u64 map, unmap, copy, uncopy;
};

/* Best times of dirty tracking so far. */
struct tracked {
	__u64 start, get, stop;
};

static void print_time(const struct backend *b, const char *name,
		       const char *kind, __u64 ns, __u64 units)
{
	char full[64];

	snprintf(full, sizeof(full), "%s-%s", name, b->ops->name);
	print_figure(full, kind, (double)ns / units);
}

static int timed_map(struct backend *b, const struct range *slot, void *memory,
		     __u64 *best)
{
	__u64 ns = now_ns();
	int rc = b->ops->map(b, slot, memory);

	ns = now_ns() - ns;
	if (ns < *best)
		*best = ns;
	return rc;
}

static int timed_unmap(struct backend *b, const struct range *slot,
		       __u64 *best)
{
	__u64 ns = now_ns();
	int rc = b->ops->unmap(b, slot);

	ns = now_ns() - ns;
	if (ns < *best)
		*best = ns;
	return rc;
}

static int timed_copy(struct backend *b, const struct range *from,
		      const struct range *to, __u64 *best)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.dst_ioas_id = b->ioas,
		.src_ioas_id = b->ioas,
		.length = from->size,
		.dst_iova = to->iova,
		.src_iova = from->iova,
	};
	__u64 ns = now_ns();
	int rc = ioctl(b->container, IOMMU_IOAS_COPY, &copy);

	ns = now_ns() - ns;
	if (ns < *best)
		*best = ns;
	return rc ? fail(EXIT_WRONG, "copying %llu MiB to %#llx: %m",
			 from->size / MIB, to->iova) : 0;
}

/* Copy the mapping to a second IOVA, and unmap the copy. */
static int measure_copy(struct backend *b, const struct range *slot,
			struct times *t)
{
	struct range there = *slot;

	there.iova += slot->size;
	return timed_copy(b, slot, &there, &t->copy) ?:
	       timed_unmap(b, &there, &t->uncopy);
}

static int measure_whole(struct backend *b, const struct sort *sort,
			 const struct guest *g)
{
	const struct range slot = { .iova = BENCH_IOVA, .size = g->size };
	bool copies = !strcmp(b->ops->name, "iommufd");
	struct times t = { ~0ULL, ~0ULL, ~0ULL, ~0ULL };
	__u64 mib = g->size / MIB;
	int i, rc = 0;

	for (i = 0; i < REPEAT && !rc; i++)
		rc = timed_map(b, &slot, g->source, &t.map) ?:
		     (copies ? measure_copy(b, &slot, &t) : 0) ?:
		     timed_unmap(b, &slot, &t.unmap);
	if (rc)
		return rc;
	print_time(b, "map", sort->name, t.map, mib);
	print_time(b, "unmap", sort->name, t.unmap, mib);
	if (copies) {
		print_time(b, "copy", sort->name, t.copy, mib);
		print_time(b, "uncopy", sort->name, t.uncopy, mib);
	}
	return 0;
}

/* Map adjacent pages by one call each, and unmap them likewise. */
static int measure_singles(struct backend *b, const struct guest *g)
{
	__u64 start, map = ~0ULL, unmap = ~0ULL;
	struct range slot = { .size = PAGE };
	int i, n, rc = 0;

	for (i = 0; i < REPEAT; i++) {
		start = now_ns();
		for (n = 0; n < SINGLES && !rc; n++) {
			slot.iova = BENCH_IOVA + n * PAGE;
			rc = b->ops->map(b, &slot, g->source + n * PAGE);
		}
		if (now_ns() - start < map)
			map = now_ns() - start;
		start = now_ns();
		for (n = 0; n < SINGLES && !rc; n++) {
			slot.iova = BENCH_IOVA + n * PAGE;
			rc = b->ops->unmap(b, &slot);
		}
		if (now_ns() - start < unmap)
			unmap = now_ns() - start;
	}
	if (rc)
		return rc;
	print_time(b, "map", "page", map, SINGLES);
	print_time(b, "unmap", "page", unmap, SINGLES);
	return 0;
}

static int timed_tracking(struct backend *b, const struct guest *g,
			  const struct range *slot, __u64 *bitmap,
			  struct tracked *t)
{
	const struct tracker *tracker = b->ops->tracker;
	__u64 begin = now_ns(), started, queried, stopped;
	int rc;

	rc = tracker->start(b, g);
	started = now_ns();
	rc = rc ?: tracker->query(b, g, slot, bitmap);
	queried = now_ns();
	rc = rc ?: tracker->stop(b);
	stopped = now_ns();
	if (started - begin < t->start)
		t->start = started - begin;
	if (queried - started < t->get)
		t->get = queried - started;
	if (stopped - queried < t->stop)
		t->stop = stopped - queried;
	return rc;
}

/* One call maps all of the memory, and one query covers all of it. */
static int measure_tracking(struct backend *b, const struct sort *sort,
			    const struct guest *g, bool dirty_bits)
{
	const struct range slot = { .iova = BENCH_IOVA, .size = g->size };
	struct tracked t = { ~0ULL, ~0ULL, ~0ULL };
	__u64 *bitmap = calloc(g->words, sizeof(*bitmap));
	__u64 i, dirty = 0;
	int rc = 0;

	if (!bitmap)
		return fail(EXIT_SETUP, "no memory for the bitmap");
	rc = b->ops->map(b, &slot, g->source);
	for (i = 0; i < REPEAT && !rc; i++) {
		/* Also faults the bitmap in. */
		memset(bitmap, 0, g->words * sizeof(*bitmap));
		rc = timed_tracking(b, g, &slot, bitmap, &t);
	}
	rc = rc ?: b->ops->unmap(b, &slot);
	for (i = 0; i < g->words; i++)
		dirty += __builtin_popcountll(bitmap[i]);
	free(bitmap);
	/* None was written; the base's type1 does not use the IOMMU's dirty bits. */
	if (!rc && dirty != g->pages && (dirty || !dirty_bits))
		rc = fail(EXIT_WRONG, "%llu of %llu pages dirty", dirty,
			  g->pages);
	if (rc)
		return rc;
	print_time(b, "start", sort->name, t.start, 1);
	print_time(b, "get", sort->name, t.get, 1);
	print_time(b, "stop", sort->name, t.stop, 1);
	return 0;
}

/*
 * Measure one backend with every sort of memory. With iommufd, set @dirty_bits if
 * the IOMMU has them.
 */
static int measure_times(const char *name, const struct vfio_device *edu,
			 const struct guest *guests, bool *dirty_bits)
{
	struct backend b;
	unsigned int i;
	int rc;

	rc = backend_open(&b, find_backend(name), edu);
	for (i = 0; i < ARRAY_SIZE(sorts) && !rc; i++)
		rc = measure_whole(&b, &sorts[i], &guests[i]);
	rc = rc ?: measure_singles(&b, &guests[SORT_4K]);
	if (!strcmp(name, "type1"))
		rc = rc ?: measure_tracking(&b, &sorts[SORT_4K],
					    &guests[SORT_4K], *dirty_bits) ?:
		     measure_tracking(&b, &sorts[SORT_HUGETLB],
				      &guests[SORT_HUGETLB], *dirty_bits);
	else
		*dirty_bits = b.tracks;
	backend_close(&b);
	return rc;
}

/* Fault the even pages in before the odd ones: no two neighbours are contiguous. */
static void scatter(const struct guest *g)
{
	__u64 at;

	madvise(g->source, g->size, MADV_DONTNEED);
	for (at = 0; at < g->size; at += 2 * PAGE)
		g->source[at] = 1;
	for (at = PAGE; at < g->size; at += 2 * PAGE)
		g->source[at] = 1;
}

static int get_memory(const struct sort *sort, struct guest *g, __u64 size)
{
	struct options o = {
		.memory = size, .backing = sort->backing, .page = PAGE,
		.slots = 1,
	};
	int rc = guest_create(g, &o);

	if (!rc && o.backing == BACKING_THP &&
	    g->huge_kib << 10 < (long long)size)
		rc = fail(EXIT_SETUP, "no transparent huge pages");
	if (!rc && sort->scatter)
		scatter(g);
	return rc;
}

static int parse_bench(int key, char *arg, struct argp_state *state)
{
	__u64 *memory = state->input;

	switch (key) {
	case 'M':
		*memory = strtoull(arg, NULL, 0) * MIB;
		if (!*memory || *memory % HUGE)
			argp_error(state, "the memory must be a multiple of 2 MiB");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "memory", 'M', "MIB", 0, "memory that is mapped (256)", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		options, parse_bench, NULL,
		"Time mapping of memory for a device.", 0, 0, 0
	};
	static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	static struct guest guests[ARRAY_SIZE(sorts)];
	__u64 memory = 256 * MIB;
	bool dirty_bits = false;
	struct vfio_device edu;
	unsigned int i;
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, &memory);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	rc = claim_edu(&edu);
	for (i = 0; i < ARRAY_SIZE(sorts) && !rc; i++)
		rc = get_memory(&sorts[i], &guests[i], memory);
	/* While no domain of a backend is attached */
	for (i = 0; i < ARRAY_SIZE(sorts) && !rc; i++)
		rc = measure_floor(sorts[i].name, &guests[i]);
	rc = rc ?:
	     measure_times("iommufd", &edu, guests, &dirty_bits) ?:
	     measure_times("type1", &edu, guests, &dirty_bits) ?:
	     measure_memory(&edu, "4k", guests[SORT_4K].source, memory, GIB,
			    GIB) ?:
	     measure_memory(&edu, "hugetlb", guests[SORT_HUGETLB].source,
			    memory, 16 * GIB, GIB) ?:
	     measure_memory(&edu, "page", guests[SORT_4K].source, PAGE,
			    32 * MIB, PAGE) ?:
	     (dirty_bits ? measure_dirty(&edu, &guests[SORT_4K]) : 0);
	if (rc)
		fprintf(stderr, "%s\n", take_failure());
	return rc;
}
