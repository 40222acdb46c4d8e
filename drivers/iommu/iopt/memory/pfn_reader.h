/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Read the PFNs of an iopt_pages: see pfn_reader.c.
 */
#ifndef __PFN_READER_H
#define __PFN_READER_H

#include "memory/iopt_pages.h"
#include "memory/pfn_batch.h"

/* Number of pages that can be pinned at a time if the allocation of a list fails. */
#define PFN_PINNER_INLINE	PFN_BATCH_INLINE

/**
 * struct pfn_pinner - list of pages or folios for functions that pin memory
 * @list: array of struct page or struct folio pointers: @inline_list or allocated
 * @max: number of elements in @list; 0 until the reader pins for the first time
 * @inline_list: used for short lists, and if the allocation of @list fails
 */
struct pfn_pinner {
	void **list;
	unsigned int max;
	void *inline_list[PFN_PINNER_INLINE];
};

/**
 * struct pfn_reader - walk over the PFNs of an iopt_pages
 * @pages: the memory
 * @batch: the current batch
 * @index: page index of the first page of @batch
 * @last: last page index of the walk
 * @tier: the place that the first page of @batch was read from
 * @owns_pins: the reader unpins the pages of @batch; set for IOPT_TIER_ORIGIN, until
 *	pfn_reader_keep_pins()
 * @merge_pinned: a batch may have pages of the xarray and of several areas; the caller may
 *	set it after pfn_reader_init()
 * @check_next: the batch before @batch came from the origin
 * @next_pfn: the PFN behind the last page of the batch before @batch, or 0
 * @pinner: list for pages that are pinned
 *
 * Owner: one thread, on its stack, which holds &iopt_pages.mutex from
 * pfn_reader_init() to pfn_reader_destroy().
 */
struct pfn_reader {
	struct iopt_pages *pages;
	struct pfn_batch batch;
	unsigned long index;
	unsigned long last;
	enum iopt_tier tier;
	bool owns_pins;
	bool merge_pinned;
	bool check_next;
	unsigned long next_pfn;
	struct pfn_pinner pinner;
};

void pfn_reader_init(struct pfn_reader *reader, struct iopt_pages *pages,
		     unsigned long index, unsigned long last);
int pfn_reader_next(struct pfn_reader *reader);
void pfn_reader_destroy(struct pfn_reader *reader);

/**
 * pfn_reader_keep_pins() - transfer the pins of a batch from the reader to the caller
 * @reader: the reader, after pfn_reader_next() has returned 1
 */
static inline void pfn_reader_keep_pins(struct pfn_reader *reader)
{
	reader->owns_pins = false;
}

#endif
