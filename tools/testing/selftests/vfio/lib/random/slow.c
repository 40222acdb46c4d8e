// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory of random calls that is delivered late
 *
 * Pages of one part of the arena are missing until a thread delivers them, some
 * milliseconds after the page fault. Calls that wait for the pages do so with
 * their locks taken, and may be killed there.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "lib/memory/memory.h"
#include "random.h"

/* Maximum delay of a page in microseconds. */
#define DELAY	4000

/* Deliver missing pages of this range late from now on. */
void random_slow_register(struct random_process *p, void *at, size_t length)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)at, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (p->uffd >= 0)
		xioctl(p->uffd, UFFDIO_REGISTER, &reg);
}

/* Deliver a page. If it exists or its mapping is gone, wake the waiters. */
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

	/* Runs until the process ends: other threads may wait up to then. */
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

/* Start the delivery thread. Without userfaultfd no page is late. */
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
