/* SPDX-License-Identifier: GPL-2.0-only */
/* Make the n-th allocation of a system call fail. */
#ifndef _VFIO_SELFTEST_FAIL_NTH_H
#define _VFIO_SELFTEST_FAIL_NTH_H

#include <stdbool.h>

struct __test_metadata;

/**
 * struct fail_nth - failure injection for the calling thread
 * @fd: /proc/thread-self/fail-nth
 */
struct fail_nth {
	int fd;
};

/* A system call of a test, or the call that undoes it: 0 or -errno. */
typedef int (*fail_op_t)(void *data);

/**
 * struct fail_case - a system call whose allocations fail one by one
 * @name: name for the log
 * @op: the system call
 * @undo: undoes a successful @op; NULL if there is nothing to undo
 * @least: minimum number of failures that the test expects
 * @others: errnos that @op may return besides ENOMEM. With fail_iommufd, the
 *	lookup of an object fails (ENOENT, for an IOAS also EINVAL), or the
 *	IOVAs that a device reserves conflict (EINVAL).
 * @check: returns 0 if a failed @op has changed nothing; NULL to check the
 *	accounting only
 */
struct fail_case {
	const char *name;
	fail_op_t op;
	fail_op_t undo;
	int least;
	int others[2];
	fail_op_t check;
};

void fail_nth_open(struct __test_metadata *_metadata, struct fail_nth *fail);
void fail_nth_close(struct fail_nth *fail);
void fail_nth_arm(struct __test_metadata *_metadata, struct fail_nth *fail,
		  int nth);
bool fail_nth_disarm(struct __test_metadata *_metadata, struct fail_nth *fail);
int fail_nth_next(int nth, bool spared, int *tries);
void fail_each(struct __test_metadata *_metadata, struct fail_nth *fail,
	       int iommufd, const struct fail_case *c, void *data);

#endif
