// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what the guest reports on its serial port
 *
 * A line begins with "guest: ", and with "device N: " if the guest has several
 * devices. A destination's port has only what was written after the move.
 */
#include <string.h>
#include "vmm.h"

static bool begins(const char **text, const char *with)
{
	size_t n = strlen(with);

	if (strncmp(*text, with, n))
		return false;
	*text += n;
	return true;
}

static void parse_verdict(struct guest_report *g, const char *text, bool same)
{
	__u64 writes, units, pages;
	unsigned int *count;

	if (begins(&text, "after-move: "))
		count = &g->after_move;
	else if (begins(&text, "at-home: "))
		count = &g->at_home;
	else
		return;
	if (sscanf(text, "%llu writes, %*u of %*u units written, %llu differ on %llu pages",
		   &writes, &units, &pages) != 3) {
		snprintf(g->error, sizeof(g->error), "unclear: %s", text);
		return;
	}
	++*count;
	g->writes += writes;
	g->units += units;
	g->pages += pages;
	g->different |= !same || units;
}

/* A line of the serial port, without its end. */
void serial_line(struct vm *vm, char *line)
{
	struct guest_report *g = &vm->guest;
	const char *text = line;
	__u64 faults = 0;

	if (!begins(&text, "guest: "))
		return;
	if (begins(&text, "device ")) {
		text += strspn(text, "0123456789");
		begins(&text, ": ");
	}
	if (begins(&text, "running ")) {
		g->running++;
	} else if (begins(&text, "moved ")) {
		g->moved++;
		if (sscanf(text, "%*u writes %*u faults %llu", &faults) != 1)
			snprintf(g->error, sizeof(g->error), "unclear: %s", text);
		g->faults += faults;
	} else if (begins(&text, "same ")) {
		parse_verdict(g, text, true);
	} else if (begins(&text, "different ")) {
		parse_verdict(g, text, false);
	} else if (begins(&text, "plugged ")) {
		g->plugged++;
	} else if (begins(&text, "end")) {
		g->ended = true;
	} else if (begins(&text, "error ")) {
		snprintf(g->error, sizeof(g->error), "%s", text);
	}
}

/**
 * guest_wait() - wait until each device has reported something
 * @d: driver
 * @vm: QEMU of the guest
 * @count: member of vm->guest that counts these reports
 * @wanted: number of reports
 * @purpose: what they are, for the message of a failure
 *
 * Return: 0, or EXIT_WRONG if the guest gave up, ended, or did not report.
 */
int guest_wait(struct driver *d, struct vm *vm, const unsigned int *count,
	       unsigned int wanted, const char *purpose)
{
	__u64 deadline = step_deadline(d);
	char words[96];
	int rc = 0;

	snprintf(words, sizeof(words), "report '%s' of the guest at the %s",
		 purpose, vm->name);
	while (!rc && *count < wanted) {
		if (vm->guest.error[0])
			return fail(EXIT_WRONG, "the guest gave up: %s",
				    vm->guest.error);
		if (vm->guest.ended)
			return fail(EXIT_WRONG, "the guest ended without a %s",
				    words);
		rc = pump(d, deadline, words);
	}
	return rc;
}
