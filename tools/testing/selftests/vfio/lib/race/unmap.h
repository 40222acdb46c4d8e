/* SPDX-License-Identifier: GPL-2.0-only */
/* DMA against an unmap that reports dirty pages. */
#ifndef _VFIO_SELFTEST_RACE_UNMAP_H
#define _VFIO_SELFTEST_RACE_UNMAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/bench.h"

#define UNMAP_IOVA	0x40000000ULL
#define UNMAP_MAX_PAGES	512

/**
 * struct unmap_race - a device and the thread that makes it write
 * @bench: the device, and memory that is not mapped yet
 * @pages: number of pages of the memory
 * @leaf: number of pages in a leaf
 * @write: make the device write to each page, in order of IOVA; called by
 *	@writer
 * @written: set the byte of each page that the device wrote in this round
 * @writer: the thread
 * @begun: number of rounds that the main thread has begun
 * @ended: number of rounds that @writer has ended
 * @stop: @writer ends
 * @rc: result of @write in the latest round
 */
struct unmap_race {
	struct bench bench;
	unsigned int pages;
	unsigned int leaf;
	int (*write)(struct unmap_race *race);
	void (*written)(struct __test_metadata *_metadata,
			struct unmap_race *race, __u8 *pages);
	pthread_t writer;
	atomic_uint begun;
	atomic_uint ended;
	atomic_bool stop;
	int rc;
};

void unmap_race_start(struct __test_metadata *_metadata,
		      struct unmap_race *race);
unsigned int unmap_race_run(struct __test_metadata *_metadata,
			    struct unmap_race *race, unsigned int *rounds);
void unmap_race_stop(struct __test_metadata *_metadata,
		     struct unmap_race *race);

#endif
