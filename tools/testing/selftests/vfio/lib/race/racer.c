// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: threads of a race
 *
 * A thread keeps its error until the main thread stops it: only the main thread
 * can fail the test.
 */
#include "lib/check.h"
#include "racer.h"

static void *racer_run(void *arg)
{
	struct racer *racer = arg;

	do {
		racer->rc = racer->step(racer);
		racer->round++;
	} while (!racer->rc && !atomic_load(&racer->stop));
	return NULL;
}

void racer_start(struct __test_metadata *_metadata, struct racer *racer,
		 struct bench *bench, int (*step)(struct racer *racer))
{
	racer->bench = bench;
	racer->step = step;
	racer->round = 0;
	racer->rc = 0;
	atomic_store(&racer->stop, false);
	CHECK_RC(0, pthread_create(&racer->thread, NULL, racer_run, racer),
		 "cannot start a thread");
}

void racer_stop(struct __test_metadata *_metadata, struct racer *racer)
{
	atomic_store(&racer->stop, true);
	CHECK_RC(0, pthread_join(racer->thread, NULL), "thread");
	CHECK_RC(0, racer->rc, "thread %s failed in round %u",
		 racer->name ?: "", racer->round);
}
