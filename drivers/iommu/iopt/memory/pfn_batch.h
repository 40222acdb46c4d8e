/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Batches of page frames: see pfn_batch.c.
 */
#ifndef __PFN_BATCH_H
#define __PFN_BATCH_H

#include <linux/types.h>

struct iommu_domain;
struct iopt_area;
struct iopt_pages;
struct page;
struct xarray;

/* Number of runs that a batch has room for without an allocation. */
#define PFN_BATCH_INLINE	16

/**
 * struct pfn_run - contiguous page frames
 * @pfn: first PFN
 * @npages: number of pages
 */
struct pfn_run {
	unsigned long pfn;
	unsigned long npages;
};

/**
 * struct pfn_batch - page frames of consecutive page indices, as runs
 * @runs: array of runs: @inline_runs or allocated
 * @nr: number of runs
 * @max: number of runs that @runs has room for
 * @npages: number of pages in all runs
 * @inline_runs: used for small batches, and if the allocation of @runs fails
 *
 * Owner: one thread, on its stack, from pfn_batch_init() to pfn_batch_destroy(). A batch
 * is a list only: the function that uses it decides whether its pages are pinned, and
 * unpins them.
 */
struct pfn_batch {
	struct pfn_run *runs;
	unsigned int nr;
	unsigned int max;
	unsigned long npages;
	struct pfn_run inline_runs[PFN_BATCH_INLINE];
};

void *iopt_temp_alloc(unsigned long nr, size_t size, void *backup,
		      unsigned int backup_nr, unsigned int *max);

void pfn_batch_init(struct pfn_batch *batch, unsigned long npages);
void pfn_batch_destroy(struct pfn_batch *batch);

static inline void pfn_batch_clear(struct pfn_batch *batch)
{
	batch->nr = 0;
	batch->npages = 0;
}

/**
 * pfn_batch_add() - append contiguous page frames to a batch
 * @batch: the batch
 * @pfn: first PFN
 * @npages: number of pages, at least 1
 *
 * Return: true, or false with nothing appended, if the page frames need another run and
 * the batch has no room for it.
 */
static inline bool pfn_batch_add(struct pfn_batch *batch, unsigned long pfn,
				 unsigned long npages)
{
	struct pfn_run *run = &batch->runs[batch->nr];

	if (batch->nr && run[-1].pfn + run[-1].npages == pfn) {
		run[-1].npages += npages;
	} else if (batch->nr < batch->max) {
		run->pfn = pfn;
		run->npages = npages;
		batch->nr++;
	} else {
		return false;
	}
	batch->npages += npages;
	return true;
}

void pfn_batch_add_pages(struct pfn_batch *batch, struct page **pages,
			 unsigned long npages);
void pfn_batch_from_domain(struct pfn_batch *batch, struct iopt_area *area,
			   struct iopt_pages *pages,
			   struct iommu_domain *domain, unsigned long index,
			   unsigned long last);
void pfn_batch_from_xarray(struct pfn_batch *batch, struct xarray *xa,
			   unsigned long index, unsigned long last);
int pfn_batch_to_xarray(struct pfn_batch *batch, struct xarray *xa,
			unsigned long index);
void pfn_batch_to_pages(struct pfn_batch *batch, struct page **pages);
unsigned long pfn_batch_rw(struct pfn_batch *batch, unsigned long offset,
			   void *data, unsigned long length, bool write);
void pfn_batch_unpin(struct pfn_batch *batch, struct iopt_pages *pages,
		     unsigned long skip, unsigned long npages);

#endif
