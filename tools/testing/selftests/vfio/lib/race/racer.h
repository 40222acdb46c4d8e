/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that do one thing over and over, against each other. */
#ifndef _VFIO_SELFTEST_RACER_H
#define _VFIO_SELFTEST_RACER_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/bench.h"

/**
 * struct racer - a thread that does one thing over and over
 * @name: of the step, for the log
 * @bench: with what
 * @data: for the step, if it wants more than that
 * @index: a number for the step, where several threads have the same one
 * @step: what; a negative errno ends the thread and fails the test
 * @round: how often it did
 * @rc: what the step that ended it returned
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
