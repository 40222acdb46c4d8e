/* SPDX-License-Identifier: GPL-2.0-only */
/* Copy memory by its dirty bits, as a migration does, and check the result. */
#ifndef _VFIO_SELFTEST_FOLLOW_H
#define _VFIO_SELFTEST_FOLLOW_H

#include "bench.h"

/* A clearing query of [iova, iova + length) at 4 KiB: 0 or -errno. */
typedef int (*follow_query_t)(struct bench *bench, __u64 iova, __u64 length,
			      void *bits);

/**
 * struct follow - a copy of memory that is kept up to date by dirty bits
 * @bench: its memory is copied while its device writes to it
 * @query: the dirty query
 * @pages: pages of the memory
 * @copy: the copy
 * @reported: for each page, the round in which it was last reported dirty,
 *	starting at 1; 0 for never
 * @round: the current round
 * @bm: result of the last query
 * @truth: the device's log of the pages that it wrote before that query
 */
struct follow {
	struct bench *bench;
	follow_query_t query;
	size_t pages;
	__u8 *copy;
	__u32 *reported;
	__u32 round;
	struct guarded_bitmap bm;
	struct guarded_bitmap truth;
};

int query_iommu(struct bench *bench, __u64 iova, __u64 length, void *bits);
int query_device(struct bench *bench, __u64 iova, __u64 length, void *bits);

void follow_start(struct __test_metadata *_metadata, struct follow *follow,
		  struct bench *bench, follow_query_t query);
void follow_round(struct __test_metadata *_metadata, struct follow *follow);
void follow_end(struct __test_metadata *_metadata, struct follow *follow);

#endif
