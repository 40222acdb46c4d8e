// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the one place where vmm-migrate waits
 *
 * pump() reads what the QEMUs have written, hands each line to its parser, and
 * returns after at least one line, so that the caller can check for its condition.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vmm.h"

#define PIPE_SIZE	65536	/* what a pipe can contain */

__u64 step_deadline(const struct driver *d)
{
	return now_ns() + d->o->timeout * NSEC;
}

static void pass_line(struct driver *d, struct vm *vm, struct stream *s,
		      char *line, size_t length)
{
	/* The log has no use for each page. */
	if (s->log && strncmp(line, trace_names[TRACE_SENT],
			      strlen(trace_names[TRACE_SENT])))
		fprintf(s->log, "%s\n", line);
	if (s == &vm->qmp)
		qmp_line(d, vm, line, length);
	else if (s == &vm->errors)
		trace_line(d, vm, line);
	else
		serial_line(vm, line);
}

static void pass_lines(struct driver *d, struct vm *vm, struct stream *s)
{
	char *line = s->buffer, *end;

	while ((end = memchr(line, '\n', s->buffer + s->used - line))) {
		*end = 0;
		if (end > line && end[-1] == '\r')
			end[-1] = 0;
		pass_line(d, vm, s, line, strlen(line));
		line = end + 1;
	}
	s->used -= line - s->buffer;
	memmove(s->buffer, line, s->used);
	/* No line of QEMU is that long: drop it rather than stop reading. */
	if (s->used == sizeof(s->buffer))
		s->used = 0;
}

/* Read once what is there; return the number of bytes. */
static size_t fill(struct stream *s)
{
	size_t room = sizeof(s->buffer) - s->used;
	ssize_t n;

	if (s->fd < 0)
		return 0;
	n = read(s->fd, s->buffer + s->used, room);
	if (n > 0) {
		s->used += n;
		return n;
	}
	if (n < 0)
		return 0;
	/* A last line without its end. */
	if (s->used && room)
		s->buffer[s->used++] = '\n';
	close(s->fd);
	s->fd = -1;
	return 0;
}

/* Read what was in the pipe when this began: no writer can keep it from ending. */
static void drain(struct driver *d, struct vm *vm, struct stream *s)
{
	size_t left = PIPE_SIZE, n;

	while ((n = fill(s))) {
		pass_lines(d, vm, s);
		if (n >= left)
			return;
		left -= n;
	}
	pass_lines(d, vm, s);
}

/*
 * QEMU writes the traces of a round before the event that begins it. The event is
 * read first and handled last: by then every trace before it was handled.
 */
static void drain_vm(struct driver *d, struct vm *vm)
{
	fill(&vm->qmp);
	drain(d, vm, &vm->errors);
	drain(d, vm, &vm->serial);
	pass_lines(d, vm, &vm->qmp);
}

static bool has_ended(const struct vm *vm)
{
	return vm->pid > 0 && vm->qmp.fd < 0 && vm->errors.fd < 0;
}

/*
 * Read what all QEMUs have written. If one has ended, read again: what another
 * one wrote before that may be the reason.
 */
static void drain_all(struct driver *d)
{
	bool ended = false;
	unsigned int i;

	for (i = 0; i < MAX_VMS; i++) {
		drain_vm(d, &d->vms[i]);
		ended |= has_ended(&d->vms[i]);
	}
	for (i = 0; ended && i < MAX_VMS; i++)
		drain_vm(d, &d->vms[i]);
}

/* A destination ends if the migration fails; the source reports the reason. */
static bool migration_failed(const struct driver *d)
{
	unsigned int i;

	for (i = 0; i < MAX_VMS; i++)
		if (d->vms[i].is_source &&
		    !strcmp(d->vms[i].migration, "failed"))
			return true;
	return false;
}

static int check_end(struct driver *d, struct vm *vm)
{
	if (!has_ended(vm))
		return 0;
	process_reap(vm);
	close(vm->qmp_in);
	vm->qmp_in = -1;
	if (vm->may_end || (!vm->is_source && migration_failed(d)))
		return 0;
	if (WIFSIGNALED(vm->status))
		return fail(EXIT_WRONG, "the QEMU of the %s died of signal %d: %s",
			    vm->name, WTERMSIG(vm->status), vm->message);
	/*
	 * Devices are opened after the greeting, and before the first command. The
	 * words of QEMU decide whether the kernel lacks what the options need.
	 */
	return fail(strstr(vm->message, "not support") ? EXIT_NOT_OFFERED :
		    vm->ready ? EXIT_WRONG : EXIT_SETUP,
		    "the QEMU of the %s ended with status %d: %s", vm->name,
		    WEXITSTATUS(vm->status),
		    vm->message[0] ? vm->message : "without a message");
}

static unsigned int add_fds(const struct vm *vm, struct pollfd *fds,
			    unsigned int n)
{
	const int all[] = { vm->errors.fd, vm->serial.fd, vm->qmp.fd };
	unsigned int i;

	for (i = 0; vm->pid > 0 && i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			fds[n++] = (struct pollfd){ all[i], POLLIN, 0 };
	return n;
}

/**
 * pump() - read and handle what the QEMUs write, once
 * @d: driver
 * @deadline: time at which to fail
 * @purpose: what the caller waits for, for the message
 *
 * Return: 0 after something was read. Fails if @deadline passes, on a signal, and
 * if a QEMU ends that must not.
 */
int pump(struct driver *d, __u64 deadline, const char *purpose)
{
	struct pollfd fds[3 * MAX_VMS];
	unsigned int i, n = 0;
	__u64 now = now_ns();
	int rc;

	for (i = 0; i < MAX_VMS; i++)
		n = add_fds(&d->vms[i], fds, n);
	if (!n)
		return fail(EXIT_WRONG, "no %s: every QEMU has ended", purpose);
	if (now < deadline)
		rc = poll(fds, n, (deadline - now) / 1000000 + 1);
	if (interrupted())
		return fail(EXIT_INTERRUPTED, "interrupted");
	if (now >= deadline)
		return fail(EXIT_WRONG, "no %s within %llu s", purpose,
			    d->o->timeout);
	if (rc < 0 && errno != EINTR)
		return fail(EXIT_SETUP, "poll: %m");
	drain_all(d);
	for (i = 0; i < MAX_VMS; i++) {
		rc = check_end(d, &d->vms[i]);
		if (rc)
			return rc;
	}
	return 0;
}
