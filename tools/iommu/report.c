// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: output of precopy
 *
 * A line for each round while it runs, a verdict at the end, and JSON with
 * one member a line, so that sed can read it too.
 */
#include <errno.h>
#include <string.h>
#include "precopy.h"

static FILE *progress(const struct options *o)
{
	return o->json && !strcmp(o->json, "-") ? stderr : stdout;
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[] = {
		"converged", "forced", "broken off", "interrupted"
	};

	return names[outcome];
}

bool result_good(const struct result *r)
{
	return r->outcome <= FORCED && !r->different && !r->missed && r->writes;
}

void report_start(const struct options *o, const struct guest *g,
		  const struct vfio_device *mock, const char *tracker)
{
	FILE *out = progress(o);

	if (o->quiet)
		return;
	fprintf(out, "%s (model %s) over %s, tracked by the %s\n", mock->name,
		mock->model, o->backend,
		strcmp(tracker, "iommu") ? tracker : "IOMMU");
	fprintf(out, "guest: %llu MiB %s", g->size / MIB,
		backing_name(o->backing));
	if (g->huge_kib >= 0)
		fprintf(out, " (%lld MiB of it in huge pages)",
			g->huge_kib >> 10);
	fprintf(out, ", %u mapping%s, IOVA %#llx to %#llx\n", g->nr_slots,
		g->nr_slots > 1 ? "s" : "", guest_iova(g, 0),
		guest_iova(g, g->size - 1));
	fprintf(out, "%5s %9s %9s %10s %9s %8s %10s  %s\n", "round",
		"pages", "MiB", "query ms", "copy ms", "MiB/s", "dirtied/s",
		"until it can stop");
	fflush(out);
}

static void print_estimate(FILE *out, const struct options *o,
			   const struct result *r, bool last)
{
	const struct round *now = &r->rounds[r->nr_rounds - 1];

	if (now == r->rounds)
		fprintf(out, "full copy\n");
	else if (last)
		fprintf(out, "stopped for %.1f ms\n", r->downtime_ns / 1e6);
	else if (!now->rounds_left)
		fprintf(out, "fits the downtime\n");
	else if (r->nr_rounds > o->max_rounds)
		fprintf(out, "rounds are used up\n");
	else if (now->rounds_left < 0)
		fprintf(out, "never at this rate\n");
	else
		fprintf(out, "%d round%s, %.2f s\n", now->rounds_left,
			now->rounds_left > 1 ? "s" : "", now->left_ns / 1e9);
}

void report_round(const struct options *o, const struct guest *g,
		  const struct result *r, bool last)
{
	const struct round *now = &r->rounds[r->nr_rounds - 1];
	FILE *out = progress(o);
	__u64 pages = now->pages[DIRTY];

	if (o->quiet)
		return;
	if (now == r->rounds)
		pages = now->copied / g->page;
	if (last)
		fprintf(out, "%5s", "stop");
	else
		fprintf(out, "%5u", r->nr_rounds - 1);
	fprintf(out, " %9llu %9.1f", pages, pages * (double)g->page / MIB);
	if (now == r->rounds)
		fprintf(out, " %10s", "-");
	else
		fprintf(out, " %10.3f", now->query_ns / 1e6);
	fprintf(out, " %9.1f", now->copy_ns / 1e6);
	if (now->copied && now->copy_ns)
		fprintf(out, " %8.1f",
			now->copied * (double)NSEC / MIB / now->copy_ns);
	else
		fprintf(out, " %8s", "-");
	if (now->since_ns && !last)
		fprintf(out, " %10.0f  ",
			now->pages[DIRTY] * (double)NSEC / now->since_ns);
	else
		fprintf(out, " %10s  ", "-");
	print_estimate(out, o, r, last);
	fflush(out);
}

void report_end(const struct options *o, const struct guest *g,
		const struct result *r)
{
	FILE *out = progress(o);

	if (o->quiet)
		return;
	fprintf(out, "%s after %.2f s: %u rounds, %llu device writes, ",
		outcome_name(r->outcome), r->total_ns / 1e9, r->nr_rounds,
		r->writes);
	fprintf(out, "%.1f MiB copied, %.3f ms in %llu queries\n",
		r->copied / (double)MIB, r->query_ns / 1e6, r->queries);
	fprintf(out, "bitmaps against the device's log: %llu dirty, %llu missed",
		r->dirty, r->missed);
	if (r->missed)
		fprintf(out, " (the first at IOVA %#llx)", r->first_missed);
	fprintf(out, ", %llu falsely dirty\n", r->spurious);
	if (r->outcome > FORCED)
		return;
	if (r->different)
		fprintf(out, "memory: %llu of %llu pages differ, the first at IOVA %#llx\n",
			r->different, g->pages, r->first_different);
	else
		fprintf(out, "memory: all %llu pages are identical\n", g->pages);
	fflush(out);
}

static void json_rounds(FILE *out, const struct result *r)
{
	const struct round *now;
	unsigned int i;

	fprintf(out, "  \"rounds\": [\n");
	for (i = 0; i < r->nr_rounds; i++) {
		now = &r->rounds[i];
		fprintf(out, "    {\"round\": %u, \"dirty\": %llu, \"written\": %llu, ",
			i, now->pages[DIRTY], now->pages[WRITTEN]);
		fprintf(out, "\"missed\": %llu, \"false\": %llu, \"copied_bytes\": %llu, ",
			now->pages[MISSED], now->pages[SPURIOUS], now->copied);
		fprintf(out, "\"query_ns\": %llu, \"copy_ns\": %llu, \"dirtied_in_ns\": %llu}%s\n",
			now->query_ns, now->copy_ns, now->since_ns,
			i + 1 < r->nr_rounds ? "," : "");
	}
	fprintf(out, "  ]\n");
}

static void json_members(FILE *out, const struct options *o,
			 const struct guest *g, const struct vfio_device *mock,
			 const struct result *r)
{
	const struct {
		const char *name;
		__u64 value;
	} numbers[] = {
		{ "memory_bytes", g->size }, { "page_bytes", g->page },
		{ "mappings", g->nr_slots }, { "rate", o->rate },
		{ "stride", o->stride }, { "hot_bytes", o->hot },
		{ "hot_percent", o->hot_percent }, { "seed", o->seed },
		{ "downtime_ms", o->downtime_ms },
		{ "bandwidth_mib", o->bandwidth },
		{ "max_rounds", o->max_rounds }, { "nr_rounds", r->nr_rounds },
		{ "device_writes", r->writes }, { "faults", r->faults },
		{ "dirty", r->dirty }, { "missed", r->missed },
		{ "false", r->spurious }, { "different", r->different },
		{ "queries", r->queries }, { "query_ns", r->query_ns },
		{ "copied_bytes", r->copied }, { "total_ns", r->total_ns },
		{ "stopped_ns", r->downtime_ns },
	};
	unsigned int i;

	fprintf(out, "  \"backend\": \"%s\",\n  \"tracker\": \"%s\",\n",
		o->backend, r->tracker);
	fprintf(out, "  \"device\": \"%s\",\n  \"model\": \"%s\",\n",
		mock->name, mock->model);
	fprintf(out, "  \"backing\": \"%s\",\n  \"outcome\": \"%s\",\n",
		backing_name(o->backing), outcome_name(r->outcome));
	fprintf(out, "  \"good\": %s,\n", result_good(r) ? "true" : "false");
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		fprintf(out, "  \"%s\": %llu,\n", numbers[i].name,
			numbers[i].value);
}

int report_json(const struct options *o, const struct guest *g,
		const struct vfio_device *mock, const struct result *r)
{
	bool to_stdout = !strcmp(o->json, "-");
	FILE *out = to_stdout ? stdout : fopen(o->json, "we");
	bool bad;

	if (!out)
		return fail(EXIT_SETUP, "--json %s: %m", o->json);
	fprintf(out, "{\n");
	json_members(out, o, g, mock, r);
	json_rounds(out, r);
	fprintf(out, "}\n");
	bad = fflush(out) || ferror(out);
	if (!to_stdout)
		bad = fclose(out) || bad;
	if (bad)
		return fail(EXIT_SETUP, "--json %s: %m", o->json);
	return 0;
}
