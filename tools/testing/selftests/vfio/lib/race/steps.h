/* SPDX-License-Identifier: GPL-2.0-only */
/* What the threads of a race do to an IOAS. */
#ifndef _VFIO_SELFTEST_RACE_STEPS_H
#define _VFIO_SELFTEST_RACE_STEPS_H

#include "thread.h"

/* The followed range, which stays mapped. */
#define RACE_IOVA	0x10000000ULL
#define RACE_PAGES	128
#define RACE_LENGTH	(RACE_PAGES * SZ_4K)

/* Bytes of memory that threads map. */
#define RACE_SCRATCH	(2 * SZ_2M)

/* Number of indices of threads, each of which has slots of its own. */
#define RACE_INDICES	16

/**
 * struct race_objects - objects that the threads share
 * @fd: /dev/iommu
 * @ioas: the IOAS that is followed
 * @other_ioas: another IOAS, with other memory at the same IOVA
 * @table: a page table of @ioas that threads track and query at any time
 * @file: memory to map, a memfd
 * @scratch: memory to map, of the process
 * @reattached: a device that is attached to one page table after the other
 * @mdev: a device whose driver pins pages
 * @mdev_lock: taken for writing to close and open @mdev
 * @path: of devices to open; the last one is that of @mdev
 */
struct race_objects {
	int fd;
	__u32 ioas;
	__u32 other_ioas;
	__u32 table;
	int file;
	struct mem scratch;
	struct vfio_dev reattached;
	struct vfio_dev mdev;
	pthread_rwlock_t mdev_lock;
	char path[3][256];
};

/**
 * struct race_step - a step that a thread can repeat
 * @name: name for the log
 * @step: for a struct race_thread whose data is a struct race_objects
 */
struct race_step {
	const char *name;
	int (*step)(struct race_thread *thread);
};

extern const struct race_step race_steps[];
extern const size_t race_steps_count;

const struct race_step *race_step_find(const char *name);

#endif
