// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the words in a picture of precopy
 */
#include <string.h>
#include "precopy.h"

static void numbers(const struct guest *g, const struct round *r,
		    bool full_copy, char texts[PICTURE_NUMBERS][32])
{
	thousands(full_copy ? g->pages : r->pages[DIRTY], texts[0], 32);
	if (full_copy)
		return;
	thousands(r->pages[SPURIOUS], texts[1], 32);
	snprintf(texts[2], 32, "%.3f", r->query_ns / 1e6);
}

static void line_of(const struct options *o, const struct guest *g,
		    const struct result *r, char *text, size_t size)
{
	char writes[32];

	snprintf(text, size,
		 "%llu MiB %s memory; %s device writes; %s after %u rounds and %.2f s, stopped for %.1f ms",
		 g->size / MIB, backing_name(o->backing),
		 thousands(r->writes, writes, sizeof(writes)),
		 outcome_name(r->outcome), r->nr_rounds, r->total_ns / 1e9,
		 r->downtime_ns / 1e6);
}

static void verdict_of(const struct result *r, char *text, size_t size)
{
	char missed[32], spurious[32];

	snprintf(text, size, "%s pages missed, %s falsely dirty; %s",
		 thousands(r->missed, missed, sizeof(missed)),
		 thousands(r->spurious, spurious, sizeof(spurious)),
		 r->outcome > FORCED ? "memory was not compared" :
		 r->different ? "memory DIFFERS at the destination" :
		 "memory is identical at the destination");
}

/* Draw the result of precopy as --picture wants it. */
int draw_result(const struct options *o, const struct guest *g,
		const struct vfio_device *mock, const struct result *r)
{
	char title[128], line[256], verdict[256];
	const struct picture_words words = {
		.file = o->picture, .title = title, .line = line,
		.verdict = verdict, .bad = !result_good(r),
		.upper = "reported dirty by the kernel (above)",
		.lower = "written, by the device's own log (below)",
		.missed = "missed by the kernel",
		.note = "Falsely dirty is blue with no orange below it, in this round or the next.",
		.full_copy = "all memory is copied, without a query",
		.heads = { "pages", "false", "query ms" },
		.numbers = numbers, .stopped = r->outcome <= FORCED,
	};

	snprintf(title, sizeof(title),
		 "Pre-copy over %s, device model %s, tracked by the %s",
		 o->backend, mock->model,
		 strcmp(r->tracker, "iommu") ? r->tracker : "IOMMU");
	line_of(o, g, r, line, sizeof(line));
	verdict_of(r, verdict, sizeof(verdict));
	return draw_picture(g, r->rounds, r->nr_rounds, &words);
}
