/* SPDX-License-Identifier: GPL-2.0-only */
/* What the threads of a race do to an IOAS. */
#ifndef _VFIO_SELFTEST_RACE_STEPS_H
#define _VFIO_SELFTEST_RACE_STEPS_H

#include "racer.h"

/* The followed range, which stays mapped. */
#define RACE_IOVA	0x10000000ULL
#define RACE_PAGES	128
#define RACE_LENGTH	(RACE_PAGES * SZ_4K)

/* Bytes of memory that threads map. */
#define RACE_SCRATCH	(2 * SZ_2M)

/* Number of indices of racers, each of which has slots of its own. */
#define RACE_INDICES	16

/**
 * struct playground - objects that the threads share
 * @fd: /dev/iommu
 * @ioas: the IOAS that is followed
 * @apart: another IOAS, with other memory at the same IOVA
 * @table: a page table of @ioas that threads track and query at any time
 * @file: memory to map, a memfd
 * @scratch: memory to map, of the process
 * @roamer: a device that is attached to one page table after the other
 * @mdev: a device whose driver pins pages
 * @mdev_lock: taken for writing to close and open @mdev
 * @path: of devices to open; the last one is that of @mdev
 */
struct playground {
	int fd;
	__u32 ioas;
	__u32 apart;
	__u32 table;
	int file;
	struct mem scratch;
	struct vfio_dev roamer;
	struct vfio_dev mdev;
	pthread_rwlock_t mdev_lock;
	char path[3][256];
};

/**
 * struct race_step - a step that a racer can repeat
 * @name: name for the log
 * @step: for a struct racer whose data is a playground
 */
struct race_step {
	const char *name;
	int (*step)(struct racer *racer);
};

extern const struct race_step race_steps[];
extern const size_t race_steps_count;

const struct race_step *race_step_find(const char *name);

#endif
