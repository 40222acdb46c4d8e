/* SPDX-License-Identifier: GPL-2.0-only */
/* Failing the n-th allocation of a system call. */
#ifndef _VFIO_SELFTEST_FAIL_NTH_H
#define _VFIO_SELFTEST_FAIL_NTH_H

#include <stdbool.h>

struct __test_metadata;

/**
 * struct fail_nth - which allocation of this thread fails
 * @fd: the file that says so
 */
struct fail_nth {
	int fd;
};

/* A system call of a test, or what undoes it: 0 or -errno. */
typedef int (*fail_op_t)(void *data);

/**
 * struct fail_case - what can fail, and how
 * @name: for the log
 * @op: the system call
 * @undo: its opposite, which works; NULL where there is nothing to undo
 * @least: how many different failures there are at least
 * @others: what it can fail with but for ENOMEM: fail_iommufd lets an object not
 *	be found (ENOENT, for an IOAS also EINVAL), or a device reserve IOVAs that
 *	it cannot (EINVAL)
 * @check: 0 if after a failure everything is as it was; NULL where that is only
 *	counted
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
