// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: failure injection
 *
 * With fail-nth, the kernel counts the allocations of one thread that may fail:
 * slab, pages, and the fail_iommufd sites of iommufd. The n-th of them fails,
 * once.
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

/* More allocations than any call makes, also on a debug kernel. */
#define MOST	2000

/* Make allocations that can sleep fail too, without a log line for each. */
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
	/* This file exists only with CONFIG_IOMMUFD_TEST. */
	sysfs_write("/sys/kernel/debug/fail_iommufd/verbose", "0");
	fail->fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	CHECK(fail->fd >= 0, "no fail-nth");
}

void fail_nth_close(struct fail_nth *fail)
{
	close(fail->fd);
}

/* Make the nth of the following allocations fail, 1 being the next one. */
void fail_nth_arm(struct __test_metadata *_metadata, struct fail_nth *fail,
		  int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	CHECK(pwrite(fail->fd, text, strlen(text), 0) > 0, "nth = %d", nth);
}

/* Stop the injection. Return true if the nth allocation was reached. */
bool fail_nth_disarm(struct __test_metadata *_metadata, struct fail_nth *fail)
{
	char text[16] = {};

	CHECK(pread(fail->fd, text, sizeof(text) - 1, 0) > 0, "fail-nth");
	CHECK_RC(1, pwrite(fail->fd, "0", 1, 0), "fail-nth");
	return !atoi(text);
}

/* Return the lowest free object ID; a leaked object changes it. */
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
 * Return the next nth to try. A call may succeed although an allocation failed:
 * SLUB falls back to a smaller order, for example. The next try finds that
 * slab, and another allocation is the nth. So try the same nth up to three
 * times if the call was @spared.
 */
int fail_nth_next(int nth, bool spared, int *tries)
{
	if (spared && ++*tries < 3)
		return nth;
	*tries = 0;
	return nth + 1;
}

/*
 * Fail each allocation of c->op in turn, until the call succeeds without a
 * failure. After every call, check that no page more than before is pinned or
 * locked, and that no object of /dev/iommu is leaked, if @iommufd is not -1.
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
		CHECK(nth < MOST, "%s: too many allocations", c->name);
		fail_nth_arm(_metadata, fail, nth);
		rc = c->op(data);
		hit = fail_nth_disarm(_metadata, fail);
		/* The kernel can do without some allocations. */
		CHECK(!rc || (hit && (rc == -ENOMEM || rc == c->others[0] ||
				      rc == c->others[1])),
		      "%s, %d: %d", c->name, nth, rc);
		failed += rc != 0;
		if (rc && c->check)
			CHECK_RC(0, c->check(data),
				 "%s, %d: the failure changed something",
				 c->name, nth);
		if (!rc && c->undo)
			CHECK_RC(0, c->undo(data), "%s, %d", c->name, nth);
		CHECK_RC(id, next_id(_metadata, iommufd),
			 "%s, %d: an object was leaked", c->name, nth);
		counts_now(_metadata, &now);
		CHECK(!memcmp(&now, &before, sizeof(now)),
		      "%s, %d: %ld pins, %ld pinned, %ld locked more", c->name,
		      nth, now.pins - before.pins, now.vm_pin - before.vm_pin,
		      now.vm_lck - before.vm_lck);
	}
	CHECK(failed >= c->least, "%s: failed %d times only", c->name, failed);
}
