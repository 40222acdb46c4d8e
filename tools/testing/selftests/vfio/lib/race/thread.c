// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: threads of a race
 *
 * A thread keeps its error until the main thread stops it: only the main thread
 * can fail the test.
 */
#include "lib/check.h"
#include "thread.h"

static void *race_thread_run(void *arg)
{
	struct race_thread *thread = arg;

	do {
		thread->rc = thread->step(thread);
		thread->round++;
	} while (!thread->rc && !atomic_load(&thread->stop));
	return NULL;
}

void race_thread_start(struct __test_metadata *_metadata,
		       struct race_thread *thread, struct bench *bench,
		       int (*step)(struct race_thread *thread))
{
	thread->bench = bench;
	thread->step = step;
	thread->round = 0;
	thread->rc = 0;
	atomic_store(&thread->stop, false);
	CHECK_RC(0, pthread_create(&thread->id, NULL, race_thread_run, thread),
		 "cannot start a thread");
}

void race_thread_stop(struct __test_metadata *_metadata,
		      struct race_thread *thread)
{
	atomic_store(&thread->stop, true);
	CHECK_RC(0, pthread_join(thread->id, NULL), "thread");
	CHECK_RC(0, thread->rc, "thread %s failed in round %u",
		 thread->name ?: "", thread->round);
}
