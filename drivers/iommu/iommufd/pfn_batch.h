/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page frames on their way from one place to another: see pfn_batch.c.
 */
#ifndef __PFN_BATCH_H
#define __PFN_BATCH_H

#include <linux/types.h>

struct iommu_domain;
struct iopt_area;
struct iopt_pages;
struct page;
struct xarray;

/* Runs that a batch always has room for, on its owner's stack. */
#define PFN_BATCH_INLINE	16

/**
 * struct pfn_run - page frames one behind the other
 * @pfn: the first
 * @npages: how many
 */
struct pfn_run {
	unsigned long pfn;
	unsigned long npages;
};

/**
 * struct pfn_batch - page frames of consecutive page indices, as runs
 * @runs: the runs: @inline_runs or allocated
 * @nr: how many there are
 * @max: how many there can be
 * @npages: sum of their lengths
 * @pfnmap: the page frames have no struct page
 * @inline_runs: enough to get on where there is no memory
 *
 * Owner: one thread, on its stack, between pfn_batch_init() and
 * pfn_batch_destroy(). A batch is only a list: whether its pages are pinned,
 * and who unpins them, is between those who fill and empty it.
 */
struct pfn_batch {
	struct pfn_run *runs;
	unsigned int nr;
	unsigned int max;
	unsigned long npages;
	bool pfnmap;
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
 * pfn_batch_add() - append page frames
 * @batch: the batch
 * @pfn: the first
 * @npages: how many, at least 1
 *
 * Return: false, with nothing done, where they begin a run and there is no
 * room for one more.
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
int pfn_batch_to_domain(struct pfn_batch *batch, struct iopt_area *area,
			struct iommu_domain *domain, unsigned long index);
int pfn_batch_to_xarray(struct pfn_batch *batch, struct xarray *xa,
			unsigned long index);
void pfn_batch_to_pages(struct pfn_batch *batch, struct page **pages);
unsigned long pfn_batch_rw(struct pfn_batch *batch, unsigned long offset,
			   void *data, unsigned long length, bool write);
void pfn_batch_unpin(struct pfn_batch *batch, struct iopt_pages *pages,
		     unsigned long skip, unsigned long npages);

#endif
