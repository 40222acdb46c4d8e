/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of a table's tracking share: see iopt_track_model_kunit.c.
 */
#ifndef __TRACK_KUNIT_H
#define __TRACK_KUNIT_H

#include <linux/iommufd.h>
#include <linux/mm.h>

#include "iopt.h"
#include "tests/model/random_kunit.h"

#define TRACK_PAGES	1024
#define TRACK_AREAS	24
#define TRACK_PINS	12
/* Bytes around a bitmap that have to stay as they are. */
#define TRACK_MARGIN	64
/* The driver of this one has no dirty bits. */
#define TRACK_NO_DIRTY_OPS	2

/**
 * struct track_range - pages of the window, by index
 * @first: the first
 * @n: how many; none where there is no such range
 */
struct track_range {
	unsigned int first;
	unsigned int n;
};

/**
 * struct track - a table, and what it should tell: a byte for each page
 * @ik: what the suite's init and exit functions look at; the first member
 * @run: memory and domains
 * @iopt: the table
 * @access: its in-kernel user
 * @notified: how often that was asked to unpin
 * @ignore: how often it does not do it
 * @areas: what is mapped
 * @pins: what is pinned
 * @dirty: pages that are to be told
 * @started: tracking is on
 * @attached: by domain: the table has it
 * @pinned_scope: by domain: it is of pinned scope
 * @refuse: drivers do not turn tracking on
 * @fail: the question to a driver that fails, counting down to 1; 0 for none
 * @driver_failed: one did
 */
struct track {
	struct iopt_kunit ik;
	struct model_run *run;
	struct io_pagetable iopt;
	struct iopt_access access;
	unsigned int notified;
	unsigned int ignore;
	struct track_range areas[TRACK_AREAS];
	struct track_range pins[TRACK_PINS];
	u8 dirty[TRACK_PAGES];
	bool started;
	bool attached[MODEL_DOMAINS];
	bool pinned_scope[MODEL_DOMAINS];
	bool refuse;
	unsigned int fail;
	bool driver_failed;
};

/* What such a question fails with. */
#define TRACK_ERRNO	(-EXDEV)

static inline unsigned long track_iova(const struct track *t, unsigned int page)
{
	return t->run->cfg->base + page * PAGE_SIZE;
}

/* iopt_track_model_kunit.c */
struct track *iopt_tracked_begin(struct kunit *test, const struct model_config *cfg);
void iopt_tracked_end(struct track *t);
void iopt_tracked_map(struct track *t, unsigned int mem, unsigned int offset,
		      unsigned int first, unsigned int n);
void iopt_tracked_drop_areas(struct track *t, unsigned int first, unsigned int n);
void iopt_tracked_add_domain(struct track *t, unsigned int nr);
void iopt_tracked_remove_domain(struct track *t, unsigned int nr);
void iopt_tracked_set_pinned_scope(struct track *t, unsigned int nr, bool pinned);
void iopt_tracked_start(struct track *t);
void iopt_tracked_stop(struct track *t);
void iopt_tracked_write(struct track *t, unsigned int nr, unsigned int page);
void iopt_tracked_pin(struct track *t, unsigned int first, unsigned int n,
		      bool write);
void iopt_tracked_unpin(struct track *t, struct track_range *pin);
void iopt_tracked_rw(struct track *t, unsigned long offset, size_t length,
		     bool write);
void iopt_tracked_set_dirty(struct track *t, unsigned long iova,
			    unsigned long last, bool dirty);
bool iopt_tracked_is_conservative(const struct track *t, unsigned int nr);

/* iopt_track_query_kunit.c */
void iopt_tracked_query(struct track *t, struct iopt_dirty_query *query,
			size_t at);
void iopt_tracked_unmap(struct track *t, struct iopt_dirty_query *query,
			size_t at, int expected);
void iopt_tracked_check(struct track *t);

#endif
