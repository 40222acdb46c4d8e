// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: pre-copy
 *
 * All memory is copied once while the device goes on writing. Each round then
 * queries the dirty pages and copies these. When the dirty pages can be copied
 * within the downtime, or rounds run out, the device is stopped, a last query is
 * made, and all pages that are still to be copied are copied.
 */
#include <stdlib.h>
#include <time.h>
#include "precopy.h"

struct run {
	const struct options *o;
	struct guest *g;
	struct backend *b;
	const struct tracker *tracker;
	struct device *d;
	struct result *r;
	struct ledger ledger;
	double rate;			/* bytes a second that can be copied */
	__u64 queried;			/* when the last query began */
	bool working, tracking;
};

static int work_start(struct run *m, unsigned int round)
{
	const struct guest *g = m->g;
	int rc;

	/* A new seed each time: writing equal data again would hide a loss. */
	rc = device_work_start(m->d, m->o, &g->spans[round % g->nr_spans],
			       m->o->seed + round);
	m->working = !rc;
	return rc;
}

static int work_stop(struct run *m)
{
	m->working = false;
	return device_work_stop(m->d);
}

/*
 * The device is stopped while tracking and truth log start, so that both start
 * with the same write. Writes of the warm-up must not be reported.
 */
static int begin(struct run *m)
{
	struct timespec warmup = {
		.tv_sec = m->o->warmup_ms / 1000,
		.tv_nsec = m->o->warmup_ms % 1000 * 1000000,
	};
	int rc;

	rc = ledger_init(&m->ledger, m->g);
	if (!rc)
		rc = work_start(m, 0);
	if (rc)
		return rc;
	nanosleep(&warmup, NULL);
	rc = work_stop(m);
	if (!rc)
		rc = m->tracker->start(m->b, m->g);
	if (rc)
		return rc;
	m->tracking = true;
	rc = device_truth_start(m->d, m->g);
	if (!rc)
		rc = work_start(m, 1);
	return rc;
}

static int query(struct run *m, struct round *now)
{
	const struct range *span;
	struct guest *g = m->g;
	__u64 began;
	unsigned int i;
	int rc;

	ledger_turn(&m->ledger, g);
	rc = device_truth_read(m->d, g, m->ledger.truth[0]);
	began = now_ns();
	for (i = 0; !rc && i < g->nr_spans; i++) {
		span = &g->spans[i];
		rc = m->tracker->query(m->b, g, span, m->ledger.dirty[0] +
				       span->offset / g->page / 64);
	}
	now->query_ns = now_ns() - began;
	if (!rc)
		rc = device_truth_read(m->d, g, m->ledger.after[0]);
	if (rc)
		return rc;
	now->since_ns = began - m->queried;
	m->queried = began;
	ledger_round(&m->ledger, g, now, now - 1);
	m->r->queries++;
	return 0;
}

/* A copy of less than 1 MiB is too short to measure the rate. */
static void measure(struct run *m, const struct round *round)
{
	if (round->copied >= MIB && round->copy_ns)
		m->rate = (double)round->copied * NSEC / round->copy_ns;
}

static bool fits(const struct run *m, __u64 pages, __u64 query_ns)
{
	double ns = pages * (double)m->g->page * NSEC / m->rate + query_ns;

	return ns <= m->o->downtime_ms * 1e6;
}

/* The pages of a round are those dirtied while the previous round was copied. */
static void estimate(const struct run *m, struct round *now)
{
	double dirtied = (double)now->pages[DIRTY] * NSEC / now->since_ns;
	double pages = now->pages[DIRTY], seconds = 0, copied;

	copied = m->rate / m->g->page;
	now->rounds_left = 0;
	while (!fits(m, pages, now->query_ns)) {
		if (dirtied >= copied || now->rounds_left >= 99) {
			now->rounds_left = -1;
			break;
		}
		seconds += pages / copied;
		pages *= dirtied / copied;
		now->rounds_left++;
	}
	now->left_ns = seconds * NSEC;
}

static int copy(struct run *m, struct round *now, const __u64 *dirty)
{
	__u64 began = now_ns();
	int rc;

	if (dirty)
		rc = guest_copy_dirty(m->g, dirty, m->o->bandwidth,
				      &now->copied);
	else
		rc = guest_copy_all(m->g, m->o->bandwidth, &now->copied);
	now->copy_ns = now_ns() - began;
	m->r->copied += now->copied;
	measure(m, now);
	return rc;
}

static int full_copy(struct run *m)
{
	struct round *now = &m->r->rounds[m->r->nr_rounds++];
	int rc;

	m->queried = now_ns();
	rc = copy(m, now, NULL);
	report_round(m->o, m->g, m->r, false);
	return rc;
}

/* The last round's pages are not copied here: stop_and_copy() does it. */
static int copy_rounds(struct run *m)
{
	struct result *r = m->r;
	struct round *now;
	int rc;

	for (;;) {
		if (m->g->nr_spans > 1) {
			rc = work_stop(m);
			if (!rc)
				rc = work_start(m, r->nr_rounds + 1);
			if (rc)
				return rc;
		}
		now = &r->rounds[r->nr_rounds];
		rc = query(m, now);
		if (rc)
			return rc;
		r->nr_rounds++;
		estimate(m, now);
		if (!now->rounds_left || r->nr_rounds > m->o->max_rounds) {
			r->outcome = now->rounds_left ? FORCED : CONVERGED;
			report_round(m->o, m->g, r, false);
			return 0;
		}
		rc = copy(m, now, m->ledger.dirty[0]);
		report_round(m->o, m->g, r, false);
		if (rc)
			return rc;
	}
}

static int stop_and_copy(struct run *m)
{
	struct round *now = &m->r->rounds[m->r->nr_rounds];
	__u64 i, began = now_ns();
	int rc;

	rc = work_stop(m);
	if (!rc)
		rc = query(m, now);
	if (rc)
		return rc;
	m->r->nr_rounds++;
	for (i = 0; i < m->g->words; i++)
		m->ledger.dirty[1][i] |= m->ledger.dirty[0][i];
	rc = copy(m, now, m->ledger.dirty[1]);
	m->r->downtime_ns = now_ns() - began;
	ledger_close(&m->ledger, m->g, now);
	report_round(m->o, m->g, m->r, true);
	return rc;
}

static void sum_up(struct run *m)
{
	struct result *r = m->r;
	unsigned int i;

	for (i = 0; i < r->nr_rounds; i++) {
		r->dirty += r->rounds[i].pages[DIRTY];
		r->spurious += r->rounds[i].pages[SPURIOUS];
		r->missed += r->rounds[i].pages[MISSED];
		r->query_ns += r->rounds[i].query_ns;
	}
	r->writes = m->d->writes;
	if (r->missed)
		r->first_missed = guest_iova(m->g, m->ledger.first_missed *
						   m->g->page);
}

/* Stop the device and tracking on success and on failure alike. */
static int end(struct run *m, int rc)
{
	int more = 0;

	if (m->working)
		more = work_stop(m);
	if (m->tracking)
		more = m->tracker->stop(m->b) ?: more;
	rc = rc ?: more;
	more = device_faults(m->d, &m->r->faults);
	rc = rc ?: more;
	if (rc)
		m->r->outcome = rc == EXIT_INTERRUPTED ? INTERRUPTED :
							 BROKEN_OFF;
	sum_up(m);
	return rc;
}

int migrate(const struct options *o, struct guest *g, struct backend *b,
	    const struct tracker *tracker, struct device *d, struct result *r)
{
	struct run m = { .o = o, .g = g, .b = b, .tracker = tracker, .d = d,
			 .r = r, .rate = 1 };
	__u64 began;
	int rc;

	*r = (struct result){ .tracker = tracker->name };
	r->rounds = calloc(o->max_rounds + 2, sizeof(*r->rounds));
	if (!r->rounds)
		return fail(EXIT_SETUP, "no memory for the rounds");
	began = now_ns();
	rc = begin(&m);
	if (!rc)
		rc = full_copy(&m);
	if (!rc)
		rc = copy_rounds(&m);
	if (!rc && interrupted())
		rc = EXIT_INTERRUPTED;
	if (!rc)
		rc = stop_and_copy(&m);
	r->total_ns = now_ns() - began;
	rc = end(&m, rc);
	if (!rc)
		guest_compare(g, r);
	return rc;
}
