// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: migrations that do not go through, and memory hot-add
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vmm.h"

/* Rounds after which a migration is broken off. */
#define SOME_ROUNDS	3

/*
 * Follow a migration into one of its rounds. That round is slow: it is still under
 * way when QEMU handles what comes next.
 */
static int some_rounds(struct driver *d, struct vm *source)
{
	const json_int_t slow = 4 * MIB;
	int rc = migration_follow(d, source, SOME_ROUNDS - 1);

	if (!rc)
		rc = qmp(d, source, "migrate-set-parameters",
			 json_pack("{sI}", "max-bandwidth", slow));
	return rc ?: migration_follow(d, source, SOME_ROUNDS);
}

/* Pages that are pinned now, on the whole machine; -1: the kernel does not report it. */
long pinned_pages(void)
{
	int refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	long pinned = 0, value;
	unsigned int found = 0;
	char line[128];
	FILE *file;

	/* Each CPU has a part of the counters. */
	if (refresh < 0)
		return -1;
	if (write(refresh, "1", 1) != 1)
		found = 3;
	close(refresh);
	file = fopen("/proc/vmstat", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nr_foll_pin_acquired %ld", &value) == 1) {
			pinned += value;
			found++;
		} else if (sscanf(line, "nr_foll_pin_released %ld", &value) == 1) {
			pinned -= value;
			found++;
		}
	}
	if (file)
		fclose(file);
	return found == 2 ? pinned : -1;
}

/**
 * case_cancel() - cancel a migration after a few rounds
 * @d: driver
 * @source: QEMU in which the guest runs, and goes on
 *
 * Return: 0 when the migration is cancelled, or a status.
 */
int case_cancel(struct driver *d, struct vm *source)
{
	int rc;

	vmm_report_migration(d);
	rc = migration_start(d, source, -1);
	if (!rc)
		rc = some_rounds(d, source);
	if (!rc)
		rc = qmp(d, source, "migrate_cancel", NULL);
	if (!rc)
		rc = migration_end(d, source, "cancelled");
	if (!rc)
		vmm_report(d, "cancelled in round %u", source->passes);
	return rc;
}

static int wait_for_trace(struct driver *d, enum trace which, __u64 count,
			  const char *purpose)
{
	__u64 deadline = step_deadline(d);
	int rc = 0;

	while (!rc && d->traces[which] < count)
		rc = pump(d, deadline, purpose);
	return rc;
}

/**
 * case_hotplug() - add memory to the guest while dirty tracking is enabled
 * @d: driver
 * @source: QEMU in which the guest runs
 *
 * QEMU refuses memory hot-add during a migration, but not while it measures the
 * rate of dirty pages, for which it enables the same tracking. The device's log
 * has fixed ranges, for which QEMU does not start a second log: there the
 * measurement must have ended before the migration.
 *
 * Return: 0 when the guest has found the memory, or a status.
 */
int case_hotplug(struct driver *d, struct vm *source)
{
	const bool device = d->o->tracker == TRACKER_DEVICE;
	__u64 queries = d->traces[TRACE_GET_BITMAP];
	__u64 states = d->traces[TRACE_RATE];
	int rc;

	rc = qmp(d, source, "calc-dirty-rate",
		 json_pack("{sssi}", "mode", "dirty-bitmap", "calc-time",
			   device ? 10 : 60));
	/* The first query follows the start of tracking. */
	if (!rc && d->devices)
		rc = wait_for_trace(d, TRACE_GET_BITMAP, queries + 1,
				    "dirty query while QEMU measures the rate");
	if (!rc)
		rc = qmp(d, source, "object-add",
			 memory_backend(d->o, DIMM, d->o->dimm));
	if (!rc)
		rc = qmp(d, source, "device_add",
			 json_pack("{ssssss}", "driver", "pc-dimm", "id",
				   "dimm0", "memdev", DIMM));
	d->plugged = true;
	if (!rc && d->o->guest)
		rc = guest_wait(d, source, &source->guest.plugged, 1, "plugged");
	if (!rc)
		vmm_report(d, "%llu MiB were hot-added while tracking was enabled",
			   d->o->dimm / MIB);
	if (!rc && device)
		rc = wait_for_trace(d, TRACE_RATE, states + 2,
				    "end of the measurement of the rate");
	return rc;
}

/**
 * case_kill_source() - kill the source in the middle of a round
 * @d: driver
 * @source: QEMU in which the guest runs
 * @destination: unused
 *
 * Return: 0 if the destination ends by itself with an error, and no page stays
 * pinned of either.
 */
int case_kill_source(struct driver *d, struct vm *source,
		     struct vm *destination)
{
	int data[2], rc;
	long pins;

	if (pipe2(data, O_CLOEXEC))
		return fail(EXIT_SETUP, "no pipe: %m");
	rc = vm_start(d, destination, "destination", d->o->destination, data[0],
		      d->o->memory);
	close(data[0]);
	vmm_report_migration(d);
	if (!rc)
		rc = migration_start(d, source, data[1]);
	if (!rc)
		rc = some_rounds(d, source);
	if (rc)
		goto out_close;
	source->may_end = true;
	destination->may_end = true;
	process_kill(source);
	rc = vm_wait_end(d, source);
out_close:
	close(data[1]);
	if (!rc)
		rc = vm_wait_end(d, destination);
	if (rc)
		return rc;
	vmm_report(d, "source killed in round %u; the destination: status %d, %s",
		   source->passes, WEXITSTATUS(destination->status),
		   destination->message);
	if (!WIFSIGNALED(source->status) || WTERMSIG(source->status) != SIGKILL)
		return fail(EXIT_WRONG, "the source was not killed");
	if (!WIFEXITED(destination->status) ||
	    !WEXITSTATUS(destination->status))
		return fail(EXIT_WRONG, "the destination ended without an error");
	pins = pinned_pages();
	if (d->pins >= 0 && pins != d->pins)
		return fail(EXIT_WRONG, "%ld pages are still pinned", pins - d->pins);
	vmm_report(d, "pages still pinned: %s", d->pins < 0 ? "not known" : "0");
	return 0;
}

/**
 * case_refuse() - migrate to a destination that refuses
 * @d: driver
 * @source: QEMU in which the guest runs, and goes on
 * @destination: unused, and unused again afterwards
 *
 * The destination has more memory than the source.
 *
 * Return: 0 if the migration failed and the guest runs on, or a status.
 */
int case_refuse(struct driver *d, struct vm *source, struct vm *destination)
{
	int data[2], rc;

	if (pipe2(data, O_CLOEXEC))
		return fail(EXIT_SETUP, "no pipe: %m");
	rc = vm_start(d, destination, "destination", d->o->destination, data[0],
		      2 * d->o->memory);
	close(data[0]);
	destination->may_end = true;
	vmm_report_migration(d);
	if (!rc)
		rc = migration_start(d, source, data[1]);
	if (!rc)
		rc = vm_wait_end(d, destination);
	if (!rc)
		rc = migration_end(d, source, "failed");
	close(data[1]);
	if (rc)
		return rc;
	vmm_report(d, "refused: %s", destination->message);
	if (source->stopped)
		return fail(EXIT_WRONG, "the guest is stopped after a refused migration");
	vm_destroy(destination);
	return 0;
}
