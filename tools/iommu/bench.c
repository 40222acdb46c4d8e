// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bench
 *
 * Time a dirty query over a large guest. The guest's memory is small and is mapped
 * again and again until the requested span of IOVA is full. Each case prints a
 * line "bench: NAME NANOSECONDS"; in a machine whose clock advances by one
 * nanosecond an instruction (scripts/vm --icount) the number is instructions.
 */
#include <argp.h>
#include <linux/vfio_mock_dma.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "precopy.h"

#define GIB		(1024 * MIB)
#define PAGE		4096ULL
#define REPEAT		3

struct bench_options {
	const char *model;
	__u64 memory, span;
};

struct bench {
	struct backend b;
	struct device d;
	struct guest g;
	__u64 *bitmap;
	const char *model;
};

static int parse_bench(int key, char *arg, struct argp_state *state)
{
	struct bench_options *o = state->input;

	switch (key) {
	case 'm':
		o->model = arg;
		return 0;
	case 's':
		o->span = strtoull(arg, NULL, 0) * GIB;
		return 0;
	case 'M':
		o->memory = strtoull(arg, NULL, 0) * MIB;
		return 0;
	case ARGP_KEY_END:
		if (!o->span || !o->memory || o->span % o->memory)
			argp_error(state, "the span must be a multiple of the memory");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int reg_write(struct bench *t, size_t at, const void *value, size_t size)
{
	if (pwrite(t->d.fd, value, size,
		   t->d.region[VFIO_MOCK_DMA_REGION_REGS] + at) == (ssize_t)size)
		return 0;
	return fail(EXIT_SETUP, "bench: device register %zu: %m", at);
}

/* Make the device write eight bytes. */
static int dirty(struct bench *t, __u64 iova)
{
	const __u32 command = VFIO_MOCK_DMA_CMD_FILL;
	const __u64 length = 8;

	return reg_write(t, offsetof(struct vfio_mock_dma_regs, dst), &iova, 8) ?:
	       reg_write(t, offsetof(struct vfio_mock_dma_regs, length), &length, 8) ?:
	       reg_write(t, offsetof(struct vfio_mock_dma_regs, command), &command, 4);
}

static int query(struct bench *t, __u64 *ns)
{
	__u64 start = now_ns();
	int rc = t->b.ops->tracker->query(&t->b, &t->g, &t->g.spans[0], t->bitmap);

	*ns = now_ns() - start;
	return rc;
}

static void print(const struct bench *t, const char *name, __u64 ns)
{
	printf("bench: query-%s-%s-%lluG %llu.00\n", name, t->model,
	       t->g.size / GIB, ns);
	fflush(stdout);
}

/* A clean query whose bitmap, at the granule of a huge page, is one page. */
static int measure_small(struct bench *t)
{
	const __u64 page = t->g.page;
	__u64 ns, best = ~0ULL;
	int i, rc;

	t->g.page = HUGE;
	for (i = 0; i < REPEAT; i++) {
		rc = query(t, &ns);
		if (rc)
			return rc;
		if (ns < best)
			best = ns;
	}
	t->g.page = page;
	print(t, "large-granule", best);
	return 0;
}

/*
 * Make the device write to @percent of the leaves of @leaf pages each: none, all,
 * or a pseudo-random selection that is the same in every run.
 */
static int dirty_some(struct bench *t, unsigned int percent, __u64 leaf)
{
	__u64 leaves = t->g.pages / leaf, i, at, seed = 1;
	int rc = 0;

	for (i = 0; i < leaves * percent / 100 && !rc; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		at = percent == 100 ? i : (seed >> 33) % leaves;
		rc = dirty(t, at * leaf * PAGE);
	}
	return rc;
}

static int measure(struct bench *t, const char *name, unsigned int percent,
		   __u64 leaf)
{
	__u64 ns, best = ~0ULL, word, bits;
	int i, rc;

	for (i = 0; i < REPEAT; i++) {
		rc = dirty_some(t, percent, leaf);
		if (rc)
			return rc;
		memset(t->bitmap, 0, t->g.words * 8);
		rc = query(t, &ns);
		if (rc)
			return rc;
		if (ns < best)
			best = ns;
	}
	for (bits = 0, word = 0; word < t->g.words; word++)
		bits += __builtin_popcountll(t->bitmap[word]);
	if (!bits != !percent)
		return fail(EXIT_WRONG, "bench: %s: %llu pages dirty", name, bits);
	print(t, name, best);
	return 0;
}

static int set_up(struct bench *t, const struct bench_options *o)
{
	struct options po = {
		.model = o->model, .backend = "iommufd", .memory = o->memory,
		.backing = BACKING_THP, .page = PAGE, .slots = 1,
	};
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct range slot = { .size = o->memory };
	struct guest memory;
	struct vfio_device mock;
	int rc;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	t->model = o->model;
	rc = find_mock(&po, &mock) ?:
	     backend_open(&t->b, find_backend(po.backend), &mock) ?:
	     device_init(&t->d, t->b.device) ?:
	     guest_create(&memory, &po);
	if (rc)
		return rc;
	t->g = (struct guest){
		.size = o->span, .page = PAGE, .pages = o->span / PAGE,
		.words = o->span / PAGE / 64, .nr_spans = 1,
		.spans = { { .size = o->span } },
	};
	t->bitmap = mmap(NULL, t->g.words * 8, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->bitmap == MAP_FAILED)
		return fail(EXIT_SETUP, "bench: no memory for the bitmap");
	for (; slot.iova < o->span && !rc; slot.iova += o->memory)
		rc = t->b.ops->map(&t->b, &slot, memory.source);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "model", 'm', "NAME", 0, "mock IOMMU: 4k, 2m, 1g (2m)", 0 },
		{ "span", 's', "GIB", 0, "IOVA that is mapped and queried (64)", 0 },
		{ "memory", 'M', "MIB", 0, "memory behind it (256)", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		options, parse_bench, NULL, "Time dirty queries.", 0, 0, 0
	};
	struct bench_options o = {
		.model = "2m", .memory = 256 * MIB, .span = 64 * GIB,
	};
	static struct bench t;
	__u64 leaf;
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	leaf = strcmp(o.model, "4k") ? HUGE / PAGE : 1;
	rc = set_up(&t, &o) ?:
	     t.b.ops->tracker->start(&t.b, &t.g) ?:
	     measure(&t, "clean", 0, leaf) ?:
	     (leaf > 1 ? measure_small(&t) : 0) ?:
	     measure(&t, "1pc", 1, leaf) ?:
	     (leaf > 1 ? measure(&t, "all", 100, leaf) : 0);
	backend_close(&t.b);
	if (rc)
		fprintf(stderr, "%s\n", take_failure());
	return rc;
}
