/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page frames of PFNMAP memory: see pfnmap_cursor.c.
 */
#ifndef __PFNMAP_CURSOR_H
#define __PFNMAP_CURSOR_H

#include <kunit/visibility.h>

#include "memory/pfn_batch.h"

struct iopt_pages;

/**
 * struct pfnmap_cursor - walk over the page frames of PFNMAP memory
 * @pages: the memory
 * @addr: current address
 * @end: end address, exclusive
 * @pfn: PFN at @addr, if @npages is not 0
 * @npages: number of contiguous page frames from @addr on that were looked up already
 */
struct pfnmap_cursor {
	struct iopt_pages *pages;
	unsigned long addr;
	unsigned long end;
	unsigned long pfn;
	unsigned long npages;
};

void pfnmap_cursor_init(struct pfnmap_cursor *cursor, struct iopt_pages *pages,
			unsigned long index);
int pfnmap_cursor_next(struct pfnmap_cursor *cursor, unsigned long npages,
		       struct pfn_run *run);

#if IS_ENABLED(CONFIG_KUNIT)
long pages_pfnmap_lookup(struct iopt_pages *pages, unsigned long addr,
			 unsigned long *pfn);
#endif

#endif
