// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: missing memory
 *
 * An access to a page of this memory, also by the kernel in an ioctl, sleeps in
 * the page fault until the test delivers all pages or the process is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "lib/check.h"
#include "missing.h"

void missing_alloc(struct __test_metadata *_metadata, struct missing *missing,
		   size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = length,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	missing->length = length;
	missing->va = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(missing->va != MAP_FAILED, "%zu bytes", length);
	/* A forked process must not sleep in faults that are never resolved. */
	madvise(missing->va, length, MADV_DONTFORK);
	missing->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CHECK(missing->fd >= 0, "CONFIG_USERFAULTFD? errno %d", errno);
	CHECK(!ioctl(missing->fd, UFFDIO_API, &api), "errno %d", errno);
	reg.range.start = (unsigned long)missing->va;
	CHECK(!ioctl(missing->fd, UFFDIO_REGISTER, &reg), "errno %d", errno);
}

/* Wait until a page fault waits. */
void missing_wait(struct __test_metadata *_metadata, struct missing *missing)
{
	struct pollfd pollfd = { .fd = missing->fd, .events = POLLIN };

	CHECK(poll(&pollfd, 1, 30000) == 1, "no page fault in 30 s");
}

void missing_deliver(struct __test_metadata *_metadata,
		     struct missing *missing)
{
	struct uffdio_zeropage zero = {
		.range = { (unsigned long)missing->va, missing->length },
	};

	CHECK(!ioctl(missing->fd, UFFDIO_ZEROPAGE, &zero), "errno %d", errno);
}

void missing_free(struct missing *missing)
{
	close(missing->fd);
	munmap(missing->va, missing->length);
}
