// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: output of vmm-migrate
 *
 * As that of precopy: a line for each round, a verdict, and JSON with one member a
 * line.
 */
#include <stdarg.h>
#include <string.h>
#include "vmm.h"

static FILE *progress(const struct driver *d)
{
	return d->o->json && !strcmp(d->o->json, "-") ? stderr : stdout;
}

void vmm_report(const struct driver *d, const char *format, ...)
{
	FILE *out = progress(d);
	va_list args;

	if (d->o->quiet)
		return;
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
	fflush(out);
}

static const char *tracker_words(const struct driver *d)
{
	return d->o->tracker == TRACKER_IOMMU ? "IOMMU" : "device";
}

void vmm_report_start(const struct driver *d)
{
	const struct vmm_options *o = d->o;

	vmm_report(d, "QEMU %s: %s to %s over %s, tracked by the %s", d->version,
		   o->source, o->destination, interface_name(o->interface),
		   tracker_words(d));
	vmm_report(d, "guest: %llu MiB %s, %u device%s", o->memory / MIB,
		   backing_name(o->backing), d->devices,
		   d->devices == 1 ? "" : "s");
}

void vmm_report_migration(const struct driver *d)
{
	vmm_report(d, "%5s %10s %12s %12s %12s %14s", "round", "reported",
		   "left KiB", "sent KiB", "pages/s", "downtime ms");
}

void vmm_report_round(const struct driver *d, const struct vmm_round *r)
{
	if (!r->queried)
		vmm_report(d, "%5u %10llu %12s %12s %12s %14s", r->pass,
			   r->shown.pages[DIRTY], "-", "-", "-", "-");
	else
		vmm_report(d, "%5u %10llu %12llu %12llu %12llu %14llu", r->pass,
			   r->shown.pages[DIRTY], r->remaining >> 10,
			   r->transferred >> 10, r->dirty_rate, r->expected_ms);
}

void vmm_report_verdict(const struct driver *d, const struct guest_report *g)
{
	char move[16] = "stayed";

	if (d->moves)
		snprintf(move, sizeof(move), "move %u", d->moves);
	vmm_report(d, "%s: %llu writes, %llu units differ on %llu pages", move,
		   g->writes, g->units, g->pages);
}

static const char *result_name(const struct driver *d)
{
	static const char *const names[] = {
		"same", "different", "failed", "not compared"
	};

	return names[d->verdict];
}

void vmm_report_end(const struct driver *d)
{
	unsigned int i;

	for (i = 0; i < d->nr_messages; i++)
		vmm_report(d, "QEMU: %s", d->messages[i]);
	vmm_report(d, "%u move%s in %llu ms, stopped for %llu ms; %llu pages reported",
		   d->moves, d->moves == 1 ? "" : "s", d->total_ms,
		   d->downtime_ms, d->reported);
	vmm_report(d, "memory: %s", result_name(d));
}

/* A string with what JSON requires to be escaped. */
static void json_string_to(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			fprintf(out, "\\u%04x", *text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

static void json_strings(FILE *out, const struct driver *d)
{
	const struct vmm_options *o = d->o;
	const struct {
		const char *name, *value;
	} strings[] = {
		{ "result", result_name(d) }, { "qemu", d->version },
		{ "interface", interface_name(o->interface) },
		{ "tracker", o->tracker == TRACKER_IOMMU ? "iommu" : "device" },
		{ "source", o->source }, { "destination", o->destination },
		{ "backing", backing_name(o->backing) },
	};
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		fprintf(out, "  \"%s\": ", strings[i].name);
		json_string_to(out, strings[i].value);
		fprintf(out, ",\n");
	}
	fprintf(out, "  \"traces\": \"");
	for (i = 0; i < TRACES; i++)
		if (d->traces[i])
			fprintf(out, "%s%s", n++ ? " " : "", trace_names[i]);
	fprintf(out, "\",\n  \"messages\": [");
	for (i = 0; i < d->nr_messages; i++) {
		fprintf(out, "%s", i ? ", " : "");
		json_string_to(out, d->messages[i]);
	}
	fprintf(out, "],\n");
}

static void json_numbers(FILE *out, const struct driver *d)
{
	const struct {
		const char *name;
		__u64 value;
	} numbers[] = {
		{ "memory_bytes", d->o->memory }, { "dimm_bytes", d->o->dimm },
		{ "devices", d->devices }, { "moves", d->moves },
		{ "migrations", d->migrations }, { "nr_rounds", d->nr_rounds },
		{ "reported", d->reported },
		{ "reported_outside", d->outside },
		{ "queries", d->traces[TRACE_GET_BITMAP] },
		{ "hwpt_queries", d->traces[TRACE_HWPT_BITMAP] },
		{ "device_logs", d->traces[TRACE_DEVICE_START] },
		{ "dimm_queries", d->dimm_queries },
		{ "device_writes", d->guest.writes },
		{ "faults", d->guest.faults },
		{ "differing_units", d->guest.units },
		{ "differing_pages", d->guest.pages },
		{ "transferred", d->transferred }, { "total_ms", d->total_ms },
		{ "downtime_ms", d->downtime_ms },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		fprintf(out, "  \"%s\": %llu,\n", numbers[i].name,
			numbers[i].value);
}

static void json_rounds(FILE *out, const struct driver *d)
{
	const struct vmm_round *r;
	unsigned int i;

	fprintf(out, "  \"rounds\": [\n");
	for (i = 0; i < d->nr_rounds; i++) {
		r = &d->rounds[i];
		fprintf(out, "    {\"migration\": %u, \"round\": %u, \"queries\": %llu, ",
			r->migration, r->pass, r->queries);
		fprintf(out, "\"reported\": %llu", r->shown.pages[DIRTY]);
		if (r->queried) {
			fprintf(out, ", \"remaining_bytes\": %llu", r->remaining);
			fprintf(out, ", \"transferred_bytes\": %llu", r->transferred);
			fprintf(out, ", \"dirty_pages_rate\": %llu", r->dirty_rate);
			fprintf(out, ", \"expected_downtime_ms\": %llu",
				r->expected_ms);
		}
		fprintf(out, "}%s\n", i + 1 < d->nr_rounds ? "," : "");
	}
	fprintf(out, "  ]\n");
}

int vmm_report_json(const struct driver *d)
{
	bool to_stdout = !strcmp(d->o->json, "-");
	FILE *out = to_stdout ? stdout : fopen(d->o->json, "we");
	bool bad;

	if (!out)
		return fail(EXIT_SETUP, "--json %s: %m", d->o->json);
	fprintf(out, "{\n");
	json_strings(out, d);
	json_numbers(out, d);
	json_rounds(out, d);
	fprintf(out, "}\n");
	bad = fflush(out) || ferror(out);
	if (!to_stdout)
		bad = fclose(out) || bad;
	if (bad)
		return fail(EXIT_SETUP, "--json %s: %m", d->o->json);
	return 0;
}
