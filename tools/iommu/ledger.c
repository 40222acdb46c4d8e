// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: bitmaps against ground truth
 *
 * Round k reads and clears the device's truth log, T(k), queries the dirty
 * bitmap Q(k), and reads the log again, A(k). A write sets the page's dirty bit,
 * reaches memory, and is logged after that. So
 *
 *   missed    pages of T(k) that are not in Q(k): they were written after query
 *             k-1 had ended. One of them may be in Q(k-1) instead: the page of
 *             the write that had reached memory, but not the log, at that time.
 *             Also pages of A(k-1), written while query k-1 ran, that are in
 *             neither Q(k-1) nor Q(k).
 *   spurious  pages of Q(k) that are in none of A(k-1), T(k), A(k) and T(k+1).
 *             A page of A(k-1) is no spurious one, as query k-1 can have passed
 *             the page before the device wrote it.
 *
 * A missed page is a bug of the kernel. Spurious pages are the cost of tracking by
 * huge leaves, or of conservative tracking; their number is final one round later.
 */
#include <stdlib.h>
#include <string.h>
#include "precopy.h"

int ledger_init(struct ledger *l, const struct guest *g)
{
	int i;

	l->first_missed = ~0ULL;
	for (i = 0; i < ROUNDS_KEPT; i++) {
		l->dirty[i] = calloc(g->words, sizeof(__u64));
		l->truth[i] = calloc(g->words, sizeof(__u64));
		l->after[i] = calloc(g->words, sizeof(__u64));
		if (!l->dirty[i] || !l->truth[i] || !l->after[i])
			return fail(EXIT_SETUP, "no memory for bitmaps");
	}
	return 0;
}

static void turn(__u64 *bitmap[ROUNDS_KEPT], size_t size)
{
	__u64 *old = bitmap[ROUNDS_KEPT - 1];
	int i;

	for (i = ROUNDS_KEPT - 1; i; i--)
		bitmap[i] = bitmap[i - 1];
	bitmap[0] = memset(old, 0, size);
}

/* Begin a round with empty bitmaps; the last one becomes the previous round. */
void ledger_turn(struct ledger *l, const struct guest *g)
{
	turn(l->dirty, g->words * sizeof(__u64));
	turn(l->truth, g->words * sizeof(__u64));
	turn(l->after, g->words * sizeof(__u64));
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

static void add_missed(struct ledger *l, const struct guest *g,
		       struct round *round, __u64 index, __u64 missed)
{
	add(g, round, MISSED, index, missed);
	if (missed && l->first_missed == ~0ULL)
		l->first_missed = index * 64 + __builtin_ctzll(missed);
}

void ledger_round(struct ledger *l, const struct guest *g, struct round *now,
		  struct round *before)
{
	__u64 i, q, q1, t, a1, a2, late;
	bool under_way = false;

	for (i = 0; i < g->words; i++) {
		q = l->dirty[0][i];
		q1 = l->dirty[1][i];
		t = l->truth[0][i];
		a1 = l->after[1][i];
		a2 = l->after[2][i];
		add(g, now, DIRTY, i, q);
		add(g, now, WRITTEN, i, a1 | t);
		add(g, before, SPURIOUS, i, q1 & ~(a2 | l->truth[1][i] | a1 | t));
		late = t & ~q & q1;
		if (late && !under_way) {
			under_way = true;
			late &= late - 1;
		}
		add_missed(l, g, now, i, late | ((t | a1) & ~(q | q1)));
	}
}

/* Finish the last round: the device was stopped before its query. */
void ledger_close(struct ledger *l, const struct guest *g, struct round *last)
{
	__u64 i;

	for (i = 0; i < g->words; i++)
		add(g, last, SPURIOUS, i, l->dirty[0][i] &
		    ~(l->after[1][i] | l->truth[0][i] | l->after[0][i]));
}
