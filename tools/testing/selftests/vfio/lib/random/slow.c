// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory of random calls that is delivered late
 *
 * Pages of one part of the arena are missing until a thread delivers them, some
 * milliseconds after the page fault. Calls wait for them with their locks, and
 * are killed there.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "lib/memory/memory.h"
#include "random.h"

/* Microseconds that a page takes, at most. */
#define DELAY	4000

/* Pages that are missing there are delivered late from now on. */
void random_slow_register(struct random_process *p, void *at, size_t length)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)at, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (p->uffd >= 0)
		xioctl(p->uffd, UFFDIO_REGISTER, &reg);
}

/* The page may be there, or gone: waiting threads try again in any case. */
static void deliver(int uffd, __u64 address)
{
	struct uffdio_zeropage zero = {
		.range = { .start = address & ~(SZ_4K - 1), .len = SZ_4K },
	};

	if (xioctl(uffd, UFFDIO_ZEROPAGE, &zero))
		xioctl(uffd, UFFDIO_WAKE, &zero.range);
}

static void *deliver_main(void *data)
{
	struct random_process *p = data;
	struct pollfd fault = { .fd = p->uffd, .events = POLLIN };
	__u64 rng = p->world->seed * 2 + 1;
	struct uffd_msg msg;

	/* Ends with the process: other threads may wait up to then. */
	for (;;) {
		poll(&fault, 1, -1);
		if (read(p->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		usleep(next_random(&rng) % DELAY);
		if (msg.event == UFFD_EVENT_PAGEFAULT)
			deliver(p->uffd, msg.arg.pagefault.address);
	}
	return NULL;
}

/* Without userfaultfd in the kernel all memory is there at once. */
void random_slow_init(struct random_process *p)
{
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t thread;

	p->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (p->uffd < 0)
		return;
	if (xioctl(p->uffd, UFFDIO_API, &api) ||
	    pthread_create(&thread, NULL, deliver_main, p)) {
		close(p->uffd);
		p->uffd = -1;
	}
}
