// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the picture of vmm-migrate
 */
#include <stdlib.h>
#include <string.h>
#include "vmm.h"

static void numbers(const struct guest *g, const struct round *r,
		    bool full_copy, char texts[PICTURE_NUMBERS][32])
{
	(void)g;
	(void)full_copy;
	thousands(r->pages[DIRTY], texts[0], 32);
	thousands(r->pages[WRITTEN], texts[1], 32);
	thousands(r->copied >> 10, texts[2], 32);
}

/* The rounds of the last migration; with many there is no room for all. */
static struct round *last_rounds(const struct driver *d, unsigned int *nr)
{
	unsigned int i, first = d->nr_rounds;
	struct round *rounds;

	while (first && d->rounds[first - 1].migration == d->migrations)
		first--;
	*nr = d->nr_rounds - first;
	rounds = calloc(*nr, sizeof(*rounds));
	for (i = 0; rounds && i < *nr; i++) {
		rounds[i] = d->rounds[first + i].shown;
		rounds[i].copied = d->rounds[first + i].remaining;
	}
	return rounds;
}

static void verdict_of(const struct driver *d, char *text, size_t size)
{
	static const char *const ends[] = {
		"memory is identical at the destination",
		"memory DIFFERS at the destination", "the migration failed",
		"memory was not compared",
	};
	char reported[32], units[32];

	snprintf(text, size, "%s pages reported dirty, %s units differ; %s",
		 thousands(d->reported, reported, sizeof(reported)),
		 thousands(d->guest.units, units, sizeof(units)),
		 ends[d->verdict]);
}

/* Draw the rounds of the last migration as --picture wants it. */
int vmm_draw(const struct driver *d)
{
	const struct vmm_options *o = d->o;
	char title[128], line[256], verdict[256], writes[32];
	struct picture_words words = {
		.file = o->picture, .title = title, .line = line,
		.verdict = verdict, .bad = d->verdict == DIFFERENT || d->verdict == FAILED,
		.upper = "reported dirty by the kernel (above)",
		.lower = "sent by QEMU (below)",
		.note = "Blue is one number for a region of memory. Orange lacks zero pages.",
		.heads = { "reported", "sent", "left KiB" },
		.numbers = numbers, .first = 1, .stopped = d->moves,
	};
	struct round *rounds;
	unsigned int nr;
	int rc;

	snprintf(title, sizeof(title),
		 "QEMU %s migrates over %s, tracked by the %s", d->version,
		 interface_name(o->interface),
		 o->tracker == TRACKER_IOMMU ? "IOMMU" : "device");
	snprintf(line, sizeof(line),
		 "%llu MiB %s memory; %s device writes; %u moves, %u rounds and %.2f s, stopped for %llu ms",
		 d->map.size / MIB, backing_name(o->backing),
		 thousands(d->guest.writes, writes, sizeof(writes)), d->moves,
		 d->nr_rounds, d->total_ms / 1e3, d->downtime_ms);
	verdict_of(d, verdict, sizeof(verdict));
	rounds = last_rounds(d, &nr);
	if (!rounds)
		return fail(EXIT_SETUP, "--picture: no memory");
	rc = draw_picture(&d->map, rounds, nr, &words);
	free(rounds);
	return rc;
}
