// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: children of vmm-migrate
 *
 * Each child leads a process group, so that a signal also reaches the cat of an
 * exec: migration and the QEMU of a wrapper that did not exec it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vmm.h"

/* The status that a child exits with if it cannot execute the program. */
#define NOT_EXECUTED	127

static void stream_open(struct stream *s, int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	s->fd = fd;
	s->used = 0;
}

static void run_child(char **args, const int fds[3], const int *keep,
		      unsigned int nr_keep, bool no_thp)
{
	unsigned int i;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (no_thp)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	for (i = 0; i < 3; i++)
		dup2(fds[i], i);
	for (i = 0; i < nr_keep; i++)
		fcntl(keep[i], F_SETFD, 0);
	signal(SIGPIPE, SIG_DFL);
	execvp(args[0], args);
	dprintf(2, "%s: %s\n", args[0], strerror(errno));
	_exit(NOT_EXECUTED);
}

/* The files @keep stay open in the child, and nothing else but its pipes. */
int process_start(struct vm *vm, char **args, const int *keep,
		  unsigned int nr_keep, bool no_thp)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    pipe2(err, O_CLOEXEC))
		return fail(EXIT_SETUP, "no pipe: %m");
	vm->pid = fork();
	if (vm->pid < 0)
		return fail(EXIT_SETUP, "no process: %m");
	if (!vm->pid)
		run_child(args, (int[]){ in[0], out[1], err[1] }, keep, nr_keep,
			  no_thp);
	/* Also here: the group must exist before a signal is sent to it. */
	setpgid(vm->pid, vm->pid);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	vm->qmp_in = in[1];
	stream_open(&vm->qmp, out[0]);
	stream_open(&vm->errors, err[0]);
	return 0;
}

void process_kill(struct vm *vm)
{
	if (vm->pid > 0)
		kill(-vm->pid, SIGKILL);
}

void process_reap(struct vm *vm)
{
	if (vm->pid > 0)
		waitpid(vm->pid, &vm->status, 0);
	vm->pid = 0;
}

bool process_ended(const struct vm *vm)
{
	return vm->pid <= 0;
}

/* Read up to the end of the pipe, or fail at the deadline. */
static int read_all(int fd, char *text, size_t size, __u64 deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t used = 0;
	ssize_t n = 1;
	__u64 now;

	while (n && used + 1 < size) {
		now = now_ns();
		if (interrupted())
			return EXIT_INTERRUPTED;
		if (now >= deadline)
			return fail(EXIT_SETUP, "--qemu: no output for --version");
		if (poll(&p, 1, (deadline - now) / 1000000 + 1) <= 0)
			continue;
		n = read(fd, text + used, size - 1 - used);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			break;
		used += n > 0 ? n : 0;
	}
	text[used] = 0;
	return 0;
}

static int parse_version(struct driver *d, const char *text, int status)
{
	const struct vmm_options *o = d->o;
	unsigned int major, minor, want = 801;
	const char *at = strstr(text, "version ");

	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_EXECUTED)
		return fail(EXIT_SETUP, "--qemu %s: cannot be executed", o->qemu);
	if (!at || sscanf(at, "version %u.%u", &major, &minor) != 2)
		return fail(EXIT_SETUP, "--qemu %s: it is no QEMU, --version gives '%.*s'",
			    o->qemu, (int)strcspn(text, "\n"), text);
	at += strlen("version ");
	snprintf(d->version, sizeof(d->version), "%.*s",
		 (int)strspn(at, "0123456789."), at);
	if (o->interface == IOMMUFD || o->tracker == TRACKER_IOMMU)
		want = 901;
	if (!o->moves)
		want = o->interface == IOMMUFD ? 900 : 0;
	if (major * 100 + minor < want)
		return fail(EXIT_SETUP, "--qemu %s: QEMU %s is too old, %s over %s needs %u.%u",
			    o->qemu, d->version,
			    o->tracker == TRACKER_IOMMU ?
			    "tracking by the IOMMU" : "the device's log",
			    interface_name(o->interface), want / 100, want % 100);
	return 0;
}

/*
 * VFIO migration without x-enable-migration, and the protocol of 6.12, came with
 * QEMU 8.1; the dirty bitmap of iommufd, and the option that disables the
 * device's log, with 9.1. iommufd itself came with 9.0.
 */
int check_version(struct driver *d)
{
	char *args[3] = { (char *)d->o->qemu, "--version" };
	struct vm *vm = &d->vms[0];
	char text[512];
	int rc, status;

	rc = process_start(vm, args, NULL, 0, false);
	if (rc)
		return rc;
	rc = read_all(vm->qmp.fd, text, sizeof(text), step_deadline(d));
	if (rc)
		process_kill(vm);
	close(vm->qmp.fd);
	close(vm->errors.fd);
	close(vm->qmp_in);
	waitpid(vm->pid, &status, 0);
	vm->pid = 0;
	vm->qmp.fd = -1;
	vm->errors.fd = -1;
	vm->qmp_in = -1;
	return rc ?: parse_version(d, text, status);
}
