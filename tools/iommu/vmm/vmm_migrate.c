// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: from the options to the verdict
 *
 * The guest is started, moves as often as wanted, each time to a new QEMU with the
 * devices that the one before the last had, and ends.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "vmm.h"

static void describe_memory(struct driver *d)
{
	const struct vmm_options *o = d->o;
	struct guest *g = &d->map;

	g->page = 4096;
	g->nr_slots = 1;
	g->slots[0] = (struct range){ 0, o->memory, 0 };
	if (o->dimm)
		g->slots[g->nr_slots++] =
			(struct range){ DIMM_IOVA, o->dimm, o->memory };
	g->size = o->memory + o->dimm;
	g->pages = g->size / g->page;
}

static int check_all_devices(struct driver *d)
{
	unsigned int n;
	int rc = check_devices(d->o->source, &d->devices);

	if (!rc && d->o->moves)
		rc = check_devices(d->o->destination, &n);
	if (!rc && d->o->moves && n != d->devices)
		rc = fail(EXIT_SETUP, "--source has %u devices, --destination %u",
			  d->devices, n);
	return rc;
}

static int start_source(struct driver *d, struct vm *source)
{
	int rc = vm_start(d, source, "source", d->o->source, -1, d->o->memory);

	if (!rc && d->o->guest && d->o->moves)
		rc = guest_wait(d, source, &source->guest.running,
				d->devices ?: 1, "running");
	return rc;
}

/* After a move: end the old source. The guest goes on at the new one. */
static int next_source(struct driver *d, struct vm **source,
		       struct vm **destination, bool last)
{
	struct vm *old = *source;
	int rc = vm_end(d, old);

	if (rc)
		return rc;
	*source = *destination;
	*destination = old;
	snprintf((*source)->name, sizeof((*source)->name), "source");
	if (last || !d->o->guest)
		return 0;
	return guest_wait(d, *source, &(*source)->guest.running,
			  d->devices ?: 1, "running");
}

/* The guest does not move: it runs the workload and compares. */
static int stay(struct driver *d, struct vm *vm)
{
	int rc = guest_wait(d, vm, &vm->guest.at_home,
			    d->devices ?: 1, "at-home");

	add_report(d, &vm->guest);
	return rc ?: vm_end(d, vm);
}

static int moves(struct driver *d, struct vm *source, struct vm *destination)
{
	const char *devices[2] = { d->o->destination, d->o->source };
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < d->o->moves; i++) {
		rc = migrate_to(d, source, destination, devices[i % 2]);
		if (!rc)
			rc = next_source(d, &source, &destination,
					 i + 1 == d->o->moves);
	}
	return rc;
}

static int judge(const struct driver *d)
{
	if (d->guest.different)
		return fail(EXIT_WRONG, "%llu units differ on %llu pages",
			    d->guest.units, d->guest.pages);
	if (d->guest.faults)
		return fail(EXIT_WRONG, "the device had %llu faults",
			    d->guest.faults);
	if (d->o->guest && !d->guest.writes)
		return fail(EXIT_WRONG,
			    "the device wrote nothing, so this shows nothing");
	if (!d->o->guest || !d->o->moves)
		return 0;
	if (d->o->hotplug && !d->dimm_queries)
		return fail(EXIT_WRONG, "QEMU did not query the hot-added memory");
	return check_traces(d);
}

static int run(struct driver *d)
{
	const struct vmm_options *o = d->o;
	struct vm *source = &d->vms[0], *destination = &d->vms[1];
	int rc = start_source(d, source);

	if (!rc && o->hotplug)
		rc = case_hotplug(d, source);
	if (!rc && o->cancel)
		rc = case_cancel(d, source);
	if (!rc && o->refuse)
		rc = case_refuse(d, source, destination);
	if (!rc && o->kill_source)
		return case_kill_source(d, source, destination);
	if (!rc && !o->moves)
		return stay(d, source);
	return rc ?: moves(d, source, destination);
}

static int start(int argc, char **argv, struct driver *d)
{
	static struct vmm_options options;
	unsigned int i;
	int rc;

	for (i = 0; i < MAX_VMS; i++)
		vm_init(&d->vms[i]);
	rc = vmm_parse_options(argc, argv, &options);
	if (rc)
		return rc;
	d->o = &options;
	rc = check_all_devices(d);
	if (!rc)
		rc = check_version(d);
	if (rc)
		return rc;
	describe_memory(d);
	d->pins = pinned_pages();
	d->verdict = FAILED;
	vmm_report_start(d);
	rc = run(d);
	for (i = 0; i < MAX_VMS; i++)
		vm_destroy(&d->vms[i]);
	if (!rc && !options.kill_source)
		rc = judge(d);
	d->verdict = d->guest.different ? DIFFERENT : rc ? FAILED :
		     d->guest.writes ? SAME : NOT_COMPARED;
	vmm_report_end(d);
	if (options.json)
		rc = vmm_report_json(d) ?: rc;
	if (options.picture && d->nr_rounds)
		rc = vmm_draw(d) ?: rc;
	return rc;
}

int main(int argc, char **argv)
{
	static struct driver driver;
	const char *text;
	int rc;

	catch_signals();
	/* Writing to a QEMU that has died is an error like others. */
	signal(SIGPIPE, SIG_IGN);
	rc = start(argc, argv, &driver);
	text = take_failure();
	if (text[0])
		fprintf(stderr, "vmm-migrate: %s\n", text);
	return rc;
}
