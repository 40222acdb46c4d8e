/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that repeat one step, concurrently. */
#ifndef _VFIO_SELFTEST_RACE_THREAD_H
#define _VFIO_SELFTEST_RACE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/bench.h"

/**
 * struct race_thread - a thread that repeats one step
 * @name: name of the step, for the log
 * @bench: the device and its memory
 * @data: further data of the step
 * @index: number of this thread among those with the same step
 * @step: the step; a negative errno ends the thread and fails the test
 * @round: number of completed steps
 * @rc: result of the last step
 * @stop: set by the main thread
 * @id: ID of the thread
 */
struct race_thread {
	const char *name;
	struct bench *bench;
	void *data;
	unsigned int index;
	int (*step)(struct race_thread *thread);
	unsigned int round;
	int rc;
	atomic_bool stop;
	pthread_t id;
};

void race_thread_start(struct __test_metadata *_metadata,
		       struct race_thread *thread, struct bench *bench,
		       int (*step)(struct race_thread *thread));
void race_thread_stop(struct __test_metadata *_metadata,
		      struct race_thread *thread);

#endif
