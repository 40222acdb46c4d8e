// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: one migration
 *
 * QEMU announces each round by an event, MIGRATION_PASS. Until some rounds were
 * seen it may stop the guest for 1 ms only, which it cannot, so that there are
 * rounds; afterwards for as long as it takes.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "vmm.h"

#define NO_DOWNTIME	1		/* in ms */
#define ANY_DOWNTIME	60000

static int set_downtime(struct driver *d, struct vm *vm, int ms)
{
	return qmp(d, vm, "migrate-set-parameters",
		   json_pack("{si}", "downtime-limit", ms));
}

/* Make a guest's QEMU ready for being the source. */
static int prepare(struct driver *d, struct vm *source)
{
	json_int_t bytes = d->o->bandwidth * MIB;
	int rc;

	rc = qmp(d, source, "migrate-set-capabilities",
		 json_pack("{s[{ssso}]}", "capabilities", "capability", "events",
			   "state", json_true()));
	if (!rc)
		rc = qmp(d, source, "migrate-set-parameters",
			 json_pack("{sI}", "max-bandwidth", bytes));
	return rc ?: set_downtime(d, source, NO_DOWNTIME);
}

/**
 * migration_start() - start a migration to a pipe
 * @d: driver
 * @source: QEMU
 * @fd: end of the pipe to write to, in this process; -1: discard the data
 *
 * The source opens the pipe by its name in /proc. The caller closes its own end
 * when the migration has ended; until then the destination cannot see an end of
 * file.
 *
 * Return: 0 when the migration is under way, or a status.
 */
int migration_start(struct driver *d, struct vm *source, int fd)
{
	char uri[64] = "exec:cat >/dev/null";
	int rc = prepare(d, source);

	if (rc)
		return rc;
	if (fd >= 0)
		snprintf(uri, sizeof(uri), "exec:cat >/proc/%d/fd/%d", getpid(),
			 fd);
	source->passes = 0;
	source->syncs = 0;
	source->is_source = true;
	source->migration[0] = 0;
	source->tracing = true;
	d->migrations++;
	return qmp(d, source, "migrate", json_pack("{ss}", "uri", uri));
}

static bool migration_ended(const struct vm *source)
{
	return !strcmp(source->migration, "completed") ||
	       !strcmp(source->migration, "failed") ||
	       !strcmp(source->migration, "cancelled") ||
	       process_ended(source);
}

/* Report the rounds that have not been reported; QEMU's numbers are the last one's. */
static void show_rounds(struct driver *d, struct vm *source)
{
	const json_t *info = json_object_get(source->reply, "return");
	struct vmm_round *r;

	/* Without traces there is no round yet. */
	while (source->syncs < source->passes)
		new_round(d, ++source->syncs);
	if (d->shown == d->nr_rounds)
		return;
	r = &d->rounds[d->nr_rounds - 1];
	r->queried = true;
	r->remaining = qmp_number(info, "ram.remaining");
	r->transferred = qmp_number(info, "ram.transferred");
	r->dirty_rate = qmp_number(info, "ram.dirty-pages-rate");
	r->expected_ms = qmp_number(info, "expected-downtime");
	while (d->shown < d->nr_rounds)
		vmm_report_round(d, &d->rounds[d->shown++]);
}

/**
 * migration_follow() - report the rounds of a migration
 * @d: driver
 * @source: QEMU
 * @passes: round after which to return; 0: follow it to its end
 *
 * Return: 0 when the round has begun or the migration has ended, in any way.
 */
int migration_follow(struct driver *d, struct vm *source, unsigned int passes)
{
	__u64 deadline = step_deadline(d);
	unsigned int seen = 0;
	bool lifted = false;
	int rc = 0;

	while (!rc && !migration_ended(source) && (!passes || seen < passes)) {
		if (seen == source->passes) {
			rc = pump(d, deadline, "end of the migration");
			continue;
		}
		seen = source->passes;
		rc = qmp(d, source, "query-migrate", NULL);
		if (!rc)
			show_rounds(d, source);
		if (!rc && !passes && !lifted && seen >= d->o->rounds) {
			lifted = true;
			rc = set_downtime(d, source, ANY_DOWNTIME);
		}
	}
	return rc;
}

/* Wait for the end of a migration that must end in this way. */
int migration_end(struct driver *d, struct vm *source, const char *how)
{
	const char *reason;
	int rc = 0;
	__u64 deadline = step_deadline(d);

	while (!rc && !migration_ended(source))
		rc = pump(d, deadline, "end of the migration");
	source->tracing = false;
	if (rc)
		return rc;
	rc = qmp(d, source, "query-migrate", NULL);
	if (rc)
		return rc;
	/* Also the round in which the guest was stopped. */
	show_rounds(d, source);
	if (!strcmp(source->migration, how))
		return 0;
	reason = json_string_value(json_object_get(json_object_get(source->reply,
								   "return"),
						   "error-desc"));
	return fail(EXIT_WRONG, "the migration is %s, not %s: %s",
		    source->migration, how, reason ?: "without a reason");
}

static void add_totals(struct driver *d, const struct vm *source)
{
	const json_t *info = json_object_get(source->reply, "return");

	d->total_ms += qmp_number(info, "total-time");
	d->downtime_ms += qmp_number(info, "downtime");
	d->transferred += qmp_number(info, "ram.transferred") +
			  qmp_number(info, "vfio.transferred");
	d->moves++;
}

/**
 * add_report() - add what the guest found to the result
 * @d: driver
 * @g: its report since its QEMU was started
 */
void add_report(struct driver *d, const struct guest_report *g)
{
	d->guest.writes += g->writes;
	d->guest.faults += g->faults;
	d->guest.units += g->units;
	d->guest.pages += g->pages;
	d->guest.different |= g->different;
	vmm_report_verdict(d, g);
}

/* The guest runs at the destination, and reports what it finds. */
static int wait_for_verdict(struct driver *d, struct vm *destination)
{
	struct guest_report *g = &destination->guest;
	__u64 deadline = step_deadline(d);
	int rc = 0;

	while (!rc && destination->stopped)
		rc = pump(d, deadline, "start of the guest at the destination");
	if (d->devices || d->o->guest) {
		if (!rc)
			rc = guest_wait(d, destination, &g->moved, d->devices ?: 1,
					"moved");
		if (!rc)
			rc = guest_wait(d, destination, &g->after_move,
					d->devices ?: 1, "after-move");
		if (!rc)
			rc = guest_wait(d, destination, &g->at_home,
					d->devices ?: 1, "at-home");
	}
	add_report(d, g);
	return rc;
}

/**
 * migrate_to() - start a destination and migrate to it
 * @d: driver
 * @source: QEMU in which the guest runs
 * @destination: unused
 * @devices: the destination's
 *
 * The guest runs at the destination afterwards, and has compared its memory; the
 * source is stopped.
 *
 * Return: 0 if the guest has reported, whatever it reported; or a status.
 */
int migrate_to(struct driver *d, struct vm *source, struct vm *destination,
	       const char *devices)
{
	int data[2], rc;

	if (pipe2(data, O_CLOEXEC))
		return fail(EXIT_SETUP, "no pipe: %m");
	rc = vm_start(d, destination, "destination", devices, data[0],
		      d->o->memory);
	close(data[0]);
	vmm_report_migration(d);
	if (!rc)
		rc = migration_start(d, source, data[1]);
	if (!rc)
		rc = migration_follow(d, source, 0);
	close(data[1]);
	if (!rc)
		rc = migration_end(d, source, "completed");
	if (rc)
		return rc;
	add_totals(d, source);
	return wait_for_verdict(d, destination);
}
