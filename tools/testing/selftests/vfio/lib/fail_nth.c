// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: injected failures
 *
 * The kernel counts down in everything that it was told can fail: slab, pages,
 * and the places that iommufd names itself. It does so for one thread only, and
 * that fails once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "check.h"
#include "counts.h"
#include "fail_nth.h"
#include "iommu.h"
#include "sysfs.h"

/* More often than anything allocates, also on a debug kernel. */
#define MOST	2000

/* Allocations that can sleep are the ones that are wanted. Quietly. */
void fail_nth_open(struct __test_metadata *_metadata, struct fail_nth *fail)
{
	static const struct {
		const char *knob, *value;
	} knobs[] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
	};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s",
			 knobs[i].knob);
		CHECK_RC(0, sysfs_write(path, knobs[i].value), "%s", path);
	}
	/* only there with CONFIG_IOMMUFD_TEST */
	sysfs_write("/sys/kernel/debug/fail_iommufd/verbose", "0");
	fail->fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	CHECK(fail->fd >= 0, "no fail-nth");
}

void fail_nth_close(struct fail_nth *fail)
{
	close(fail->fd);
}

/* The nth of the allocations to come fails, 1 being the next one. */
void fail_nth_arm(struct __test_metadata *_metadata, struct fail_nth *fail,
		  int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	CHECK(pwrite(fail->fd, text, strlen(text), 0) > 0, "nth = %d", nth);
}

/* Returns whether it came to that. Nothing fails from here on. */
bool fail_nth_disarm(struct __test_metadata *_metadata, struct fail_nth *fail)
{
	char text[16] = {};

	CHECK(pread(fail->fd, text, sizeof(text) - 1, 0) > 0, "fail-nth");
	CHECK_RC(1, pwrite(fail->fd, "0", 1, 0), "fail-nth");
	return !atoi(text);
}

/* The lowest ID that is free: an object that was left over has it. */
static __u32 next_id(struct __test_metadata *_metadata, int iommufd)
{
	__u32 id;

	if (iommufd < 0)
		return 0;
	CHECK_RC(0, __ioas_alloc(iommufd, &id), "IOAS");
	CHECK_RC(0, __iommu_destroy(iommufd, id), "IOAS");
	return id;
}

/*
 * A call that gets through although an allocation failed did without a larger
 * slab, maybe. It has the slab the next time, and another allocation has the
 * number: that one is tried again before the number counts as done.
 */
int fail_nth_next(int nth, bool spared, int *tries)
{
	if (spared && ++*tries < 3)
		return nth;
	*tries = 0;
	return nth + 1;
}

/*
 * Fail each allocation of it in turn, until it gets through. After every call
 * nothing more is pinned or locked than before, and there is no other object of
 * /dev/iommu, where that is open.
 */
void fail_each(struct __test_metadata *_metadata, struct fail_nth *fail,
	       int iommufd, const struct fail_case *c, void *data)
{
	__u32 id = next_id(_metadata, iommufd);
	struct counts before, now;
	int nth, rc, failed = 0, tries = 0;
	bool hit = true;

	counts_now(_metadata, &before);
	for (nth = 1; hit; nth = fail_nth_next(nth, !rc, &tries)) {
		CHECK(nth < MOST, "%s never ends", c->name);
		fail_nth_arm(_metadata, fail, nth);
		rc = c->op(data);
		hit = fail_nth_disarm(_metadata, fail);
		/* There are allocations that a kernel can do without. */
		CHECK(!rc || (hit && (rc == -ENOMEM || rc == c->others[0] ||
				      rc == c->others[1])),
		      "%s, %d: %d", c->name, nth, rc);
		failed += rc != 0;
		if (rc && c->check)
			CHECK_RC(0, c->check(data), "%s, %d: not as before",
				 c->name, nth);
		if (!rc && c->undo)
			CHECK_RC(0, c->undo(data), "%s, %d", c->name, nth);
		CHECK_RC(id, next_id(_metadata, iommufd),
			 "%s, %d: an object is left", c->name, nth);
		counts_now(_metadata, &now);
		CHECK(!memcmp(&now, &before, sizeof(now)),
		      "%s, %d: %ld pins, %ld pinned, %ld locked more", c->name,
		      nth, now.pins - before.pins, now.vm_pin - before.vm_pin,
		      now.vm_lck - before.vm_lck);
	}
	CHECK(failed >= c->least, "%s: failed %d times only", c->name, failed);
}
