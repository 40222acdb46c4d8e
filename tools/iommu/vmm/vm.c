// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: start and end of a QEMU
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "vmm.h"

static int open_log(const struct driver *d, const struct vm *vm,
		    struct stream *s, const char *kind)
{
	char path[512];

	s->log = NULL;
	if (!d->o->log)
		return 0;
	snprintf(path, sizeof(path), "%s/%s-%u.%s", d->o->log, vm->name,
		 d->started, kind);
	s->log = fopen(path, "we");
	if (!s->log)
		return fail(EXIT_SETUP, "--log %s: %m", path);
	setlinebuf(s->log);
	return 0;
}

static int open_logs(struct driver *d, struct vm *vm)
{
	int rc = open_log(d, vm, &vm->qmp, "qmp");

	if (!rc)
		rc = open_log(d, vm, &vm->errors, "err");
	if (!rc)
		rc = open_log(d, vm, &vm->serial, "serial");
	return rc;
}

static void close_logs(struct vm *vm)
{
	struct stream *all[] = { &vm->qmp, &vm->errors, &vm->serial };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i]->log)
			fclose(all[i]->log);
		all[i]->log = NULL;
	}
}

/* An unused struct vm: no process, and no file that may be closed. */
void vm_init(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->qmp_in = -1;
	vm->qmp.fd = -1;
	vm->errors.fd = -1;
	vm->serial.fd = -1;
}

/**
 * vm_start() - start a QEMU and talk to it
 * @d: driver
 * @vm: the QEMU, unused or ended
 * @role: "source" or "destination", for messages and names of logs
 * @devices: names, separated by commas
 * @incoming: file from which the migration comes, or -1; not consumed
 * @memory: size of the guest's memory
 *
 * Return: 0 when QMP is ready and the interface is the one under test.
 */
int vm_start(struct driver *d, struct vm *vm, const char *role,
	     const char *devices, int incoming, __u64 memory)
{
	int serial[2], rc, keep[2];
	struct command command;

	vm_init(vm);
	snprintf(vm->name, sizeof(vm->name), "%s", role);
	d->started++;
	if (pipe2(serial, O_CLOEXEC))
		return fail(EXIT_SETUP, "no pipe: %m");
	fcntl(serial[0], F_SETFL, O_NONBLOCK);
	vm->serial.fd = serial[0];
	vm->stopped = incoming >= 0;
	keep[0] = serial[1];
	keep[1] = incoming;
	rc = command_build(d, &command, devices, serial[1], incoming, memory);
	if (!rc)
		rc = open_logs(d, vm);
	if (!rc)
		rc = process_start(vm, command.args, keep, incoming >= 0 ? 2 : 1,
				   d->o->backing == BACKING_ANON);
	close(serial[1]);
	command_free(&command);
	if (!rc)
		rc = qmp_greeting(d, vm);
	if (!rc && d->devices)
		rc = check_interface(d, vm);
	return rc;
}

/* Wait until a QEMU that may end has ended. */
int vm_wait_end(struct driver *d, struct vm *vm)
{
	__u64 deadline = step_deadline(d);
	char purpose[64];
	int rc = 0;

	snprintf(purpose, sizeof(purpose), "end of the %s", vm->name);
	while (!rc && !process_ended(vm))
		rc = pump(d, deadline, purpose);
	return rc;
}

static void vm_free(struct vm *vm)
{
	struct stream *all[] = { &vm->qmp, &vm->errors, &vm->serial };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->fd >= 0)
			close(all[i]->fd);
	if (vm->qmp_in >= 0)
		close(vm->qmp_in);
	close_logs(vm);
	json_decref(vm->reply);
	vm_init(vm);
}

/* End a QEMU that has done its work. */
int vm_end(struct driver *d, struct vm *vm)
{
	const char *error;
	int rc;

	vm->may_end = true;
	rc = qmp_try(d, vm, "quit", NULL, &error);
	if (!rc)
		rc = vm_wait_end(d, vm);
	if (!rc)
		vm_free(vm);
	return rc;
}

/* After a failure, or when the program ends. */
void vm_destroy(struct vm *vm)
{
	process_kill(vm);
	process_reap(vm);
	vm_free(vm);
}
