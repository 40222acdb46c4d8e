/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the PFNs of an iopt_pages from wherever they are: see pfn_reader.c.
 */
#ifndef __PFN_READER_H
#define __PFN_READER_H

#include "iopt_pages.h"
#include "pfn_batch.h"

/* Pages that can be pinned at a time where there is no memory for a list. */
#define PFN_PINNER_INLINE	PFN_BATCH_INLINE

/**
 * struct pfn_pinner - room for what functions that pin memory return
 * @list: struct page or struct folio pointers: @inline_list or allocated
 * @max: how many; 0 until something is to be pinned
 * @inline_list: what there is without memory
 */
struct pfn_pinner {
	void **list;
	unsigned int max;
	void *inline_list[PFN_PINNER_INLINE];
};

/**
 * struct pfn_reader - a walk over page indices
 * @pages: the pages
 * @batch: what the last step read
 * @index: page index of its first page
 * @last: last page index of the walk
 * @tier: where the batch was read from
 * @owned: the reader holds the pins of the batch's pages, which it does if they
 *	came from IOPT_TIER_ORIGIN, until pfn_reader_keep()
 * @seam: the PFN behind that of the page in front of the batch, or 0
 * @pinner: for pinning
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
	bool owned;
	unsigned long seam;
	struct pfn_pinner pinner;
};

void pfn_reader_init(struct pfn_reader *reader, struct iopt_pages *pages,
		     unsigned long index, unsigned long last);
int pfn_reader_next(struct pfn_reader *reader);
void pfn_reader_destroy(struct pfn_reader *reader);

/**
 * pfn_reader_keep() - take the batch's pins over from the reader
 * @reader: the reader, after pfn_reader_next() gave 1
 */
static inline void pfn_reader_keep(struct pfn_reader *reader)
{
	reader->owned = false;
}

#endif
