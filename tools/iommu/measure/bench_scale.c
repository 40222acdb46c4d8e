// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bench_scale
 *
 * Measure how the cost of a guest grows with its size, for a device behind a hardware
 * IOMMU with dirty bits.
 *
 * The same huge pages, 1 GiB of them, are mapped again and again until the IOVA space is
 * full: page tables are those of a large guest, its memory is not needed. Sizes go
 * from 1 GiB by factors of four. Each case prints a line "bench: scale-NAME-SIZE VALUE",
 * the size in GiB. Values are nanoseconds per GiB, of maps of 1 GiB each, of
 * queries of the whole space and of one unmap; in a machine whose clock advances by one
 * nanosecond an instruction (scripts/vm --icount) they are instructions. Memory is in
 * bytes of the kernel per mapping, without page tables. Every query is compared with
 * what the device wrote.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "bench_map.h"

#define LARGEST		16384			/* GiB */
#define LEAF		HUGE

/**
 * struct space - the IOVA space of one size
 * @b: the interface, with the device attached
 * @edu: registers of the device
 * @guest: the memory that is mapped for each GiB
 * @range: the IOVAs
 * @leaves: leaves of @range
 * @written: bit for each leaf that the device has written since the last query
 * @bitmap: result of a query
 */
struct space {
	struct backend b;
	struct edu edu;
	const struct guest *guest;
	struct range range;
	__u64 leaves;
	__u64 *written, *bitmap;
};

static void print_scale(const struct space *s, const char *name, double value)
{
	char kind[32];

	snprintf(kind, sizeof(kind), "%s-%llu", name, s->range.size / GIB);
	print_figure("scale", kind, value);
}

static void print_time(const struct space *s, const char *name, __u64 ns)
{
	print_scale(s, name, (double)ns / (s->range.size / GIB));
}

static int map_all(struct space *s)
{
	struct range slot = { .iova = s->range.iova, .size = GIB };
	const __u64 last = s->range.iova + s->range.size - 1;
	struct usage before, after;
	__u64 begin, ns;
	long long other;
	int rc;

	rc = read_usage(&before);
	begin = now_ns();
	for (; slot.iova < last && !rc; slot.iova += GIB)
		rc = s->b.ops->map(&s->b, &slot, s->guest->source);
	ns = now_ns() - begin;
	rc = rc ?: read_usage(&after);
	if (rc)
		return rc;
	print_time(s, "map", ns);
	other = before.free - after.free - (after.tables - before.tables);
	print_scale(s, "memory", (double)other * PAGE / (s->range.size / GIB));
	return 0;
}

/* Write to no leaf, to one in a hundred, or to all. */
static void write_leaves(struct space *s, unsigned int percent)
{
	__u64 i, at, seed = 1;

	for (i = 0; i < s->leaves * percent / 100; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		at = percent == 100 ? i : (seed >> 20) % s->leaves;
		edu_write(&s->edu, s->range.iova + at * LEAF);
		s->written[at / 64] |= 1ULL << at % 64;
	}
}

static int query(struct space *s, const char *name, unsigned int percent)
{
	const struct guest unit = { .page = LEAF };
	const size_t bytes = s->leaves / 8;
	__u64 begin, ns;
	int rc;

	memset(s->written, 0, bytes);
	memset(s->bitmap, 0, bytes);
	write_leaves(s, percent);
	begin = now_ns();
	rc = s->b.ops->tracker->query(&s->b, &unit, &s->range, s->bitmap);
	ns = now_ns() - begin;
	if (rc)
		return rc;
	if (memcmp(s->written, s->bitmap, bytes))
		return fail(EXIT_WRONG, "%llu GiB, %s: not what the device wrote",
			    s->range.size / GIB, name);
	print_time(s, name, ns);
	return 0;
}

static int timed_start(struct space *s)
{
	__u64 begin = now_ns();
	int rc = s->b.ops->tracker->start(&s->b, s->guest);

	if (!rc)
		print_time(s, "start", now_ns() - begin);
	return rc;
}

static int timed_unmap(struct space *s)
{
	__u64 begin = now_ns();
	int rc = s->b.ops->unmap(&s->b, &s->range);

	if (!rc)
		print_time(s, "unmap", now_ns() - begin);
	return rc;
}

/* A domain keeps its page tables, so each size opens a new one. */
static int measure_size(const struct vfio_device *device, const struct guest *g,
			__u64 gib)
{
	struct space s = {
		.guest = g,
		.range = { .iova = BENCH_IOVA, .size = gib * GIB },
		.leaves = gib * GIB / LEAF,
	};
	int rc;

	s.written = malloc(s.leaves / 8);
	s.bitmap = malloc(s.leaves / 8);
	rc = s.written && s.bitmap ? 0 : fail(EXIT_SETUP, "no memory for bitmaps");
	rc = rc ?:
	     backend_open(&s.b, find_backend("iommufd"), device) ?:
	     edu_enable(&s.edu, s.b.device) ?:
	     map_all(&s) ?:
	     timed_start(&s) ?:
	     query(&s, "clean", 0) ?:
	     query(&s, "1pc", 1) ?:
	     query(&s, "all", 100) ?:
	     query(&s, "again", 0) ?:
	     timed_unmap(&s);
	edu_disable(&s.edu);
	backend_close(&s.b);
	free(s.written);
	free(s.bitmap);
	return rc;
}

static int parse_scale(int key, char *arg, struct argp_state *state)
{
	__u64 *largest = state->input;

	switch (key) {
	case 'L':
		*largest = strtoull(arg, NULL, 0);
		if (!*largest || *largest > LARGEST)
			argp_error(state, "1 to %d GiB", LARGEST);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "largest", 'L', "GIB", 0, "the largest size (16384)", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		options, parse_scale, NULL,
		"Time mapping and dirty queries of guests up to a size.", 0, 0, 0
	};
	static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const struct options o = {
		.memory = GIB, .backing = BACKING_HUGETLB, .page = LEAF, .slots = 1,
	};
	__u64 largest = LARGEST, gib;
	struct vfio_device device;
	struct guest g;
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, &largest);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	rc = claim_edu(&device) ?: guest_create(&g, &o);
	for (gib = 1; gib <= largest && !rc; gib *= 4)
		rc = measure_size(&device, &g, gib);
	if (rc)
		fprintf(stderr, "%s\n", take_failure());
	return rc;
}
