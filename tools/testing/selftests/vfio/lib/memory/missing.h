/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory whose page faults wait until the test delivers the pages. */
#ifndef _VFIO_SELFTEST_MISSING_H
#define _VFIO_SELFTEST_MISSING_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct __test_metadata;

/**
 * struct missing - memory without pages, by userfaultfd
 * @va: address
 * @length: bytes
 * @fd: the userfaultfd
 */
struct missing {
	__u8 *va;
	size_t length;
	int fd;
};

void missing_alloc(struct __test_metadata *_metadata, struct missing *missing,
		   size_t length);
void missing_wait(struct __test_metadata *_metadata, struct missing *missing);
void missing_deliver(struct __test_metadata *_metadata,
		     struct missing *missing);
void missing_free(struct missing *missing);

#endif
