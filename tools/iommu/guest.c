// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: guest memory of precopy
 *
 * The device writes the source, whose backing is that of the command line; the
 * target stands for the memory on the other host. IOVA and virtual address are
 * both 2 MiB aligned, so that huge pages become huge leaves in the IOMMU.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "precopy.h"

static void *map_anonymous(__u64 size, int advice)
{
	unsigned char *p, *start;

	p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return p;
	start = (unsigned char *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
	/* A kernel without THP refuses both advices, and needs neither. */
	madvise(start, size, advice);
	return start;
}

static int map_hugetlb(struct guest *g)
{
	static const char path[] =
		"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	char text[32] = "0";
	__u64 need = g->size / HUGE;

	if (!read_line(path, text, sizeof(text)))
		return fail(EXIT_SETUP,
			    "--backing hugetlb: this kernel has no 2 MiB huge pages");
	if (strtoull(text, NULL, 10) < need)
		return fail(EXIT_SETUP,
			    "--backing hugetlb: %llu huge pages needed, %s are free (write nr_hugepages beside %s)",
			    need, text, path);
	g->source = mmap(NULL, g->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			 21 << MAP_HUGE_SHIFT, -1, 0);
	return 0;
}

static int map_memfd(struct guest *g)
{
	int fd = memfd_create("guest memory", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, g->size)) {
		if (fd >= 0)
			close(fd);
		return fail(EXIT_SETUP, "--backing memfd: %m");
	}
	g->source = mmap(NULL, g->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 0);
	close(fd);
	return 0;
}

static long long huge_kib(void)
{
	char line[256];
	long long kib = -1;
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	if (!file)
		return kib;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %lld", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

/* Every word differs from its neighbours and from the same word elsewhere. */
static void fill(struct guest *g)
{
	__u64 *word = (__u64 *)g->source;
	__u64 i;

	for (i = 0; i < g->size / 8; i++)
		word[i] = (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static void lay_out(struct guest *g, const struct options *o, __u64 unit)
{
	__u64 part = g->size / o->slots / unit * unit;
	__u64 offset = 0, iova = o->iova;
	struct range *slot, *span;
	unsigned int i;

	for (i = 0; i < o->slots; i++) {
		slot = &g->slots[g->nr_slots++];
		*slot = (struct range){ .iova = iova, .offset = offset,
			.size = i + 1 < o->slots ? part : g->size - offset };
		if (!i || o->hole) {
			g->spans[g->nr_spans++] = *slot;
		} else {
			span = &g->spans[g->nr_spans - 1];
			span->size += slot->size;
		}
		offset += slot->size;
		iova += slot->size + o->hole;
	}
}

int guest_create(struct guest *g, const struct options *o)
{
	int rc = 0;

	*g = (struct guest){ .size = o->memory, .page = o->page,
		.pages = o->memory / o->page,
		.words = o->memory / o->page / 64 };
	lay_out(g, o, 64 * o->page > HUGE ? 64 * o->page : HUGE);

	switch (o->backing) {
	case BACKING_HUGETLB:
		rc = map_hugetlb(g);
		break;
	case BACKING_MEMFD:
		rc = map_memfd(g);
		break;
	case BACKING_THP:
		g->source = map_anonymous(g->size, MADV_HUGEPAGE);
		break;
	default:
		g->source = map_anonymous(g->size, MADV_NOHUGEPAGE);
	}
	if (rc)
		return rc;
	if (g->source == MAP_FAILED)
		return fail(EXIT_SETUP, "%llu MiB of guest memory: %m",
			    g->size / MIB);
	fill(g);
	g->huge_kib = o->backing == BACKING_HUGETLB ? (long long)g->size >> 10 :
						      huge_kib();
	g->target = map_anonymous(g->size, MADV_NOHUGEPAGE);
	if (g->target == MAP_FAILED)
		return fail(EXIT_SETUP, "%llu MiB of destination: %m",
			    g->size / MIB);
	return 0;
}

int guest_map(const struct guest *g, struct backend *b)
{
	unsigned int i;
	int rc;

	for (i = 0; i < g->nr_slots; i++) {
		rc = b->ops->map(b, &g->slots[i],
				 g->source + g->slots[i].offset);
		if (rc)
			return rc;
	}
	return 0;
}

/* The wire between the hosts, limited to @bandwidth. */
struct wire {
	__u64 start, sent, paced, bandwidth;
};

/* Sleep until the wire would have carried the bytes sent so far. */
static int pace(struct wire *w)
{
	struct timespec until;
	__u64 due;

	w->paced = w->sent;
	if (w->bandwidth) {
		due = w->start + w->sent * NSEC / MIB / w->bandwidth;
		until.tv_sec = due / NSEC;
		until.tv_nsec = due % NSEC;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	return interrupted() ? EXIT_INTERRUPTED : 0;
}

/* Pace once for 512 KiB: reading the clock for each page costs more than its copy. */
static int send_bytes(struct guest *g, struct wire *w, __u64 offset,
		      __u64 size)
{
	__u64 part;
	int rc = 0;

	for (; size && !rc; offset += part, size -= part) {
		part = size < MIB / 2 ? size : MIB / 2;
		memcpy(g->target + offset, g->source + offset, part);
		w->sent += part;
		if (w->sent - w->paced >= MIB / 2)
			rc = pace(w);
	}
	return rc;
}

int guest_copy_all(struct guest *g, __u64 bandwidth, __u64 *copied)
{
	struct wire w = { .start = now_ns(), .bandwidth = bandwidth };
	int rc;

	rc = send_bytes(g, &w, 0, g->size);
	if (!rc)
		rc = pace(&w);
	*copied = w.sent;
	return rc;
}

int guest_copy_dirty(struct guest *g, const __u64 *dirty, __u64 bandwidth,
		     __u64 *copied)
{
	struct wire w = { .start = now_ns(), .bandwidth = bandwidth };
	__u64 first, page = 0;
	int rc = 0;

	while (!rc && page < g->pages) {
		if (!dirty[page / 64]) {
			page = (page / 64 + 1) * 64;
			continue;
		}
		if (!test_page(dirty, page)) {
			page++;
			continue;
		}
		first = page;
		while (page < g->pages && test_page(dirty, page))
			page++;
		rc = send_bytes(g, &w, first * g->page,
				(page - first) * g->page);
	}
	if (!rc)
		rc = pace(&w);
	*copied = w.sent;
	return rc;
}

__u64 guest_iova(const struct guest *g, __u64 offset)
{
	unsigned int i;

	for (i = 0; i < g->nr_slots - 1; i++)
		if (offset < g->slots[i].offset + g->slots[i].size)
			break;
	return g->slots[i].iova + offset - g->slots[i].offset;
}

unsigned int guest_columns(const struct guest *g)
{
	return g->pages < COLUMNS ? g->pages : COLUMNS;
}

void guest_compare(const struct guest *g, struct result *r)
{
	__u64 offset;

	for (offset = 0; offset < g->size; offset += g->page) {
		if (!memcmp(g->source + offset, g->target + offset, g->page))
			continue;
		if (!r->different++)
			r->first_different = guest_iova(g, offset);
	}
}
