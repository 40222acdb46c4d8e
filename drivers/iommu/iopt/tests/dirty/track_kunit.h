/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of dirty tracking of an IOAS: see iopt_track_model_kunit.c.
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
/* Bytes on each side of a bitmap that a query must not change. */
#define TRACK_MARGIN	64
/* Index of the domain without dirty_ops. */
#define TRACK_NO_DIRTY_OPS	2
/* Index of the domain that cannot make pages read-only. */
#define TRACK_NO_PROTECT	3

/**
 * struct track_range - a range of pages of the window
 * @first: index of the first page
 * @n: number of pages, or 0 if the element is unused
 */
struct track_range {
	unsigned int first;
	unsigned int n;
};

/**
 * struct track - an IOVA space with dirty tracking, and its model; in &kunit.priv
 * @ik: for iopt_kunit_exit(), which requires it to be the first member
 * @run: memory objects and domains
 * @iopt: the IOVA space
 * @access: its access
 * @notified: number of calls of the unmap callback of @access
 * @ignore: number of the next calls of the callback that do not unpin
 * @areas: ranges that are mapped
 * @pins: ranges that @access has pinned
 * @dirty: by page of the window: the next query must report the page
 * @started: tracking of the IOAS is enabled
 * @attached: by domain: the domain is attached
 * @pinned_scope: by domain: its devices write pages only that are pinned
 * @refuse: drivers fail to enable tracking
 * @fail: number of calls of read_and_clear_dirty up to the one that fails with
 *	TRACK_ERRNO; 0 for none
 * @driver_failed: a call of read_and_clear_dirty has failed
 * @write_late: as soon as a driver has read dirty bits, devices try to write the pages
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
	bool write_late;
};

/* Error of a driver that fails. */
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
