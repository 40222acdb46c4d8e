// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: reader
 *
 * A reader walks over a range of page indices and returns their PFNs in batches. A PFN
 * comes from the fastest place that has it: the xarray, if an access has pinned the page;
 * a domain, if an area maps the page in it; otherwise the origin, which pins the page.
 * All PFNs of a batch come from one place, or with &pfn_reader.merge_pinned from any but
 * the origin: a page that an access has pinned then does not split a leaf. The reader owns
 * the pins of pages from the origin until the caller keeps them. On an error the reader
 * unpins, so that no page stays pinned without a node of the iopt_pages that covers it.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "space/iopt_area.h"
#include "memory/pfn_reader.h"

/*
 * No batch crosses an address that is a multiple of this. Contiguous memory can then be
 * mapped by leaves of up to this size.
 */
#define PFN_READER_SPAN		SZ_1G

/**
 * pfn_reader_init() - start a walk
 * @reader: the reader
 * @pages: the memory
 * @index: first page index
 * @last: last page index
 *
 * Context: &iopt_pages.mutex held until pfn_reader_destroy(); may sleep.
 */
void pfn_reader_init(struct pfn_reader *reader, struct iopt_pages *pages,
		     unsigned long index, unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	reader->pages = pages;
	reader->index = index;
	reader->last = last;
	reader->owns_pins = false;
	reader->next_pfn = 0;
	reader->check_next = false;
	reader->merge_pinned = false;
	reader->pinner.max = 0;
	pfn_batch_init(&reader->batch, last - index + 1);
}

static void pfn_reader_release(struct pfn_reader *reader)
{
	if (reader->owns_pins)
		pfn_batch_unpin(&reader->batch, reader->pages, 0,
				reader->batch.npages);
	reader->owns_pins = false;
	reader->index += reader->batch.npages;
	pfn_batch_clear(&reader->batch);
}

/*
 * Return: the number of pages to pin next. It is limited by the room in the batch and the
 * list, and if possible ends at a multiple of PMD_SIZE, as a leaf may do.
 */
static unsigned long pfn_reader_step(struct pfn_reader *reader,
				     unsigned long index, unsigned long last)
{
	unsigned long room = min(reader->batch.max - reader->batch.nr,
				 reader->pinner.max);
	unsigned long address = reader->pages->start + index * PAGE_SIZE;
	unsigned long n = last - index + 1;
	unsigned long aligned;

	n = min(n, (PFN_READER_SPAN - address % PFN_READER_SPAN) / PAGE_SIZE);
	if (n <= room)
		return n;
	aligned = ALIGN_DOWN(address + room * PAGE_SIZE, PMD_SIZE);
	return aligned > address ? (aligned - address) / PAGE_SIZE : room;
}

/* Pin pages up to @last. The origin may pin fewer pages than requested, but not more. */
static int pfn_reader_pin(struct pfn_reader *reader, unsigned long last)
{
	struct iopt_pages *pages = reader->pages;
	struct pfn_batch *batch = &reader->batch;
	unsigned long index = reader->index;
	unsigned long n;
	long got;
	int rc;

	for (;;) {
		n = pfn_reader_step(reader, index, last);
		rc = iopt_pages_charge(pages, n);
		if (rc)
			return rc;
		got = pages->ops->pin(pages, &reader->pinner, batch, index, n);
		if (got < 0) {
			iopt_pages_uncharge(pages, n);
			return got;
		}
		if (got < n)
			iopt_pages_uncharge(pages, n - got);
		index += got;
		/*
		 * Pin again only if more than half of the batch is free: another call for
		 * a few pages only is not worth it.
		 */
		if (index > last || batch->max - batch->nr <= batch->max / 2 ||
		    (unsigned long)(pages->start + index * PAGE_SIZE) %
				    PFN_READER_SPAN == 0)
			return 0;
		/* pfn_reader_next() checked this before the first call. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static int pfn_reader_fill_origin(struct pfn_reader *reader, unsigned long last)
{
	struct pfn_pinner *pinner = &reader->pinner;
	int rc;

	if (!pinner->max)
		pinner->list = iopt_temp_alloc(reader->last - reader->index + 1,
					       sizeof(*pinner->list),
					       pinner->inline_list,
					       PFN_PINNER_INLINE, &pinner->max);
	reader->owns_pins = true;
	rc = pfn_reader_pin(reader, last);
	if (rc) {
		unsigned long index = reader->index;

		pfn_reader_release(reader);
		reader->index = index;
	} else if (reader->pages->npages == 1) {
		reader->pages->sole_pfn = reader->batch.runs->pfn;
	}
	return rc;
}

/*
 * Read pages that are pinned, from @tier up to page index @last. With @merge_pinned the
 * batch goes on with the pages that follow, if these are pinned as well.
 */
static void pfn_reader_fill_pinned(struct pfn_reader *reader,
				   enum iopt_tier tier, struct iopt_area *area,
				   unsigned long last)
{
	struct iopt_pages *pages = reader->pages;
	struct pfn_batch *batch = &reader->batch;
	unsigned long index = reader->index;

	for (;;) {
		if (tier == IOPT_TIER_XARRAY)
			pfn_batch_from_xarray(batch, &pages->pinned_pfns, index,
					      last);
		else
			pfn_batch_from_domain(batch, area, pages,
					      area->storage_domain, index,
					      last);
		index = reader->index + batch->npages;
		/* The batch is full, or the walk ends. */
		if (index <= last || index > reader->last ||
		    !reader->merge_pinned)
			return;
		last = reader->last;
		tier = iopt_pages_tier(pages, index, &last, &area);
		if (tier == IOPT_TIER_ORIGIN)
			return;
	}
}

static bool pfn_begins_folio(unsigned long pfn)
{
	return !PageTail(pfn_to_page(pfn));
}

static bool pfn_ends_folio(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio;

	if (!PageCompound(page))
		return true;
	folio = page_folio(page);
	return folio_page_idx(folio, page) == folio_nr_pages(folio) - 1;
}

/*
 * Set &iopt_pages.partial_folios unless every folio is contiguous: at each discontinuity
 * of PFNs a folio must end and another folio must begin. The PFNs in front of and behind
 * the walk are not known, so a folio must begin and end there as well, except at the
 * start and the end of the iopt_pages. What did not come from the origin was checked when
 * it did.
 */
static void pfn_reader_check_folios(struct pfn_reader *reader)
{
	struct iopt_pages *pages = reader->pages;
	struct pfn_batch *batch = &reader->batch;
	struct pfn_run *end = batch->runs + batch->nr;
	bool origin = reader->tier == IOPT_TIER_ORIGIN;
	bool check = origin || reader->check_next;
	bool split = false;

	if (pages->partial_folios)
		return;
	for (struct pfn_run *run = batch->runs; run < end && check; run++) {
		if (reader->next_pfn != run->pfn) {
			if (reader->next_pfn)
				split |= !pfn_ends_folio(reader->next_pfn - 1);
			if (reader->next_pfn || reader->index)
				split |= !pfn_begins_folio(run->pfn);
		}
		reader->next_pfn = run->pfn + run->npages;
		check = origin && !split;
	}
	reader->next_pfn = end[-1].pfn + end[-1].npages;
	reader->check_next = origin;
	if (origin && reader->index + batch->npages > reader->last &&
	    reader->last + 1 != pages->npages)
		split |= !pfn_ends_folio(reader->next_pfn - 1);
	if (split)
		pages->partial_folios = true;
}

/**
 * pfn_reader_next() - read the next batch
 * @reader: the reader
 *
 * Unpins the pages of the previous batch if the reader still owns their pins.
 *
 * Return: 1 with a batch of at least one page, 0 at the end of the walk, or
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EFAULT: there is no memory at the page index
 * * -EINTR: the process received a fatal signal
 * * the error of the function that pins
 * Context: may sleep.
 */
int pfn_reader_next(struct pfn_reader *reader)
{
	struct iopt_pages *pages = reader->pages;
	unsigned long last = reader->last;
	struct iopt_area *area;
	int rc;

	pfn_reader_release(reader);
	if (reader->index > reader->last)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();

	reader->tier = iopt_pages_tier(pages, reader->index, &last, &area);
	if (reader->tier == IOPT_TIER_ORIGIN) {
		rc = pfn_reader_fill_origin(reader, last);
		if (rc)
			return rc;
	} else {
		pfn_reader_fill_pinned(reader, reader->tier, area, last);
	}
	pfn_reader_check_folios(reader);
	return 1;
}

/**
 * pfn_reader_destroy() - end a walk at any point
 * @reader: the reader
 *
 * Unpins the pages of the current batch if the reader still owns their pins.
 */
void pfn_reader_destroy(struct pfn_reader *reader)
{
	pfn_reader_release(reader);
	pfn_batch_destroy(&reader->batch);
	if (reader->pinner.max && reader->pinner.list != reader->pinner.inline_list)
		kfree(reader->pinner.list);
}
