/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that repeat one step, concurrently. */
#ifndef _VFIO_SELFTEST_RACER_H
#define _VFIO_SELFTEST_RACER_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/bench.h"

/**
 * struct racer - a thread that repeats one step
 * @name: name of the step, for the log
 * @bench: the device and its memory
 * @data: further data of the step
 * @index: number of this thread among those with the same step
 * @step: the step; a negative errno ends the thread and fails the test
 * @round: number of completed steps
 * @rc: result of the last step
 * @stop: set by the main thread
 * @thread: the thread
 */
struct racer {
	const char *name;
	struct bench *bench;
	void *data;
	unsigned int index;
	int (*step)(struct racer *racer);
	unsigned int round;
	int rc;
	atomic_bool stop;
	pthread_t thread;
};

void racer_start(struct __test_metadata *_metadata, struct racer *racer,
		 struct bench *bench, int (*step)(struct racer *racer));
void racer_stop(struct __test_metadata *_metadata, struct racer *racer);

#endif
