// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bitmaps against ground truth
 *
 * Round k reads and clears the device's truth log T(k), then asks for the
 * dirty bitmap Q(k). A write is in the truth log only after it has reached
 * memory, and has made its page dirty before that. So
 *
 *   missed    pages of T(k) that are in neither Q(k-1) nor Q(k)
 *   spurious  pages of Q(k) that are in neither T(k) nor T(k+1)
 *
 * The first must not be. The second is what tracking by huge leaves, or by
 * calling everything dirty, costs. It is known one round later.
 */
#include <stdlib.h>
#include <string.h>
#include "precopy.h"

int ledger_init(struct ledger *l, const struct guest *g)
{
	int i;

	l->first_missed = ~0ULL;
	for (i = 0; i < 2; i++) {
		l->dirty[i] = calloc(g->words, sizeof(__u64));
		l->truth[i] = calloc(g->words, sizeof(__u64));
		if (!l->dirty[i] || !l->truth[i])
			return fail(EXIT_SETUP, "no memory for bitmaps");
	}
	return 0;
}

/* This round becomes the one before; its bitmaps are empty now. */
void ledger_turn(struct ledger *l, const struct guest *g)
{
	__u64 *dirty = l->dirty[1], *truth = l->truth[1];

	l->dirty[1] = l->dirty[0];
	l->truth[1] = l->truth[0];
	l->dirty[0] = memset(dirty, 0, g->words * sizeof(__u64));
	l->truth[0] = memset(truth, 0, g->words * sizeof(__u64));
}

/* Adds the pages of @word, the word @index of a bitmap, to a round. */
static void add(const struct guest *g, struct round *round, enum kind kind,
		__u64 index, __u64 word)
{
	__u64 page, columns = guest_columns(g);

	round->pages[kind] += __builtin_popcountll(word);
	for (; word; word &= word - 1) {
		page = index * 64 + __builtin_ctzll(word);
		round->heat[page * columns / g->pages][kind]++;
	}
}

void ledger_round(struct ledger *l, const struct guest *g, struct round *now,
		  struct round *before)
{
	__u64 i, q, q1, t, t1, missed;

	for (i = 0; i < g->words; i++) {
		q = l->dirty[0][i];
		q1 = l->dirty[1][i];
		t = l->truth[0][i];
		t1 = l->truth[1][i];
		add(g, now, DIRTY, i, q);
		add(g, now, WRITTEN, i, t);
		add(g, before, SPURIOUS, i, q1 & ~(t1 | t));
		missed = t & ~(q | q1);
		add(g, now, MISSED, i, missed);
		if (missed && l->first_missed == ~0ULL)
			l->first_missed = i * 64 + __builtin_ctzll(missed);
	}
}

/* No round follows: the device stood still before this one. */
void ledger_close(struct ledger *l, const struct guest *g, struct round *last)
{
	__u64 i;

	for (i = 0; i < g->words; i++)
		add(g, last, SPURIOUS, i, l->dirty[0][i] & ~l->truth[0][i]);
}
