// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: reader
 *
 * The PFN of a page can be in three places, and is read from the cheapest: the
 * xarray, if an in-kernel user holds the page; a domain, if an area maps it;
 * else the origin has to pin it. A reader walks over page indices and gives a
 * batch at a time. All of a batch comes from one place, and if that is the
 * origin its pins belong to the reader until somebody keeps them: an error
 * never leaves a page pinned that nobody counts.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "pfn_reader.h"

/*
 * Batches end at addresses that are multiples of this, if not before: so large
 * a leaf may still be mapped where memory is that contiguous.
 */
#define PFN_READER_SPAN		SZ_1G

/**
 * pfn_reader_init() - begin a walk
 * @reader: the reader
 * @pages: the pages
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
	reader->owned = false;
	reader->seam = 0;
	reader->pinner.max = 0;
	pfn_batch_init(&reader->batch, last - index + 1);
	reader->batch.pfnmap = pages->ops->pfnmap;
}

static void pfn_reader_release(struct pfn_reader *reader)
{
	if (reader->owned)
		pfn_batch_unpin(&reader->batch, reader->pages, 0,
				reader->batch.npages);
	reader->owned = false;
	reader->index += reader->batch.npages;
	pfn_batch_clear(&reader->batch);
}

/*
 * Pages that can be pinned next: what there is room for, but if possible not
 * ending within what may become one leaf. Of a PFNMAP there may be more than
 * room for, as it has few runs and needs no list.
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
	if (n <= room || reader->batch.pfnmap)
		return n;
	aligned = ALIGN_DOWN(address + room * PAGE_SIZE, PMD_SIZE);
	return aligned > address ? (aligned - address) / PAGE_SIZE : room;
}

/* Pages may be had in smaller portions than asked for, never in larger ones. */
static int pfn_reader_pin(struct pfn_reader *reader, unsigned long last)
{
	struct iopt_pages *pages = reader->pages;
	struct pfn_batch *batch = &reader->batch;
	unsigned long index = reader->index;
	unsigned long n;
	long got;
	int rc;

	do {
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
		 * The rest of the room is only worth another call if it is not
		 * going to be a small one.
		 */
	} while (index <= last &&
		 batch->max - batch->nr > batch->max / 2 &&
		 (pages->start + index * PAGE_SIZE) % PFN_READER_SPAN);
	return 0;
}

static int pfn_reader_fill_origin(struct pfn_reader *reader, unsigned long last)
{
	struct pfn_pinner *pinner = &reader->pinner;
	int rc;

	if (!pinner->max && !reader->batch.pfnmap)
		pinner->list = iopt_temp_alloc(reader->last - reader->index + 1,
					       sizeof(*pinner->list),
					       pinner->inline_list,
					       PFN_PINNER_INLINE, &pinner->max);
	reader->owned = true;
	rc = pfn_reader_pin(reader, last);
	if (rc) {
		unsigned long index = reader->index;

		pfn_reader_release(reader);
		reader->index = index;
	}
	return rc;
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
 * See whether a page will tell of the rest of its folio: wherever pages are not
 * one behind the other, a folio must end and another one begin. What is in
 * front of the first batch and behind the last one is not known.
 */
static void pfn_reader_check_folios(struct pfn_reader *reader)
{
	struct iopt_pages *pages = reader->pages;
	struct pfn_batch *batch = &reader->batch;
	unsigned long end = reader->index + batch->npages;
	bool split = false;

	if (pages->split_folios)
		return;
	for (unsigned int i = 0; i < batch->nr && !split; i++) {
		struct pfn_run *run = &batch->runs[i];

		if (reader->seam != run->pfn) {
			if (reader->seam)
				split = !pfn_ends_folio(reader->seam - 1);
			if (reader->seam || reader->index)
				split |= !pfn_begins_folio(run->pfn);
		}
		reader->seam = run->pfn + run->npages;
	}
	if (end > reader->last && end != pages->npages)
		split |= !pfn_ends_folio(reader->seam - 1);
	if (split)
		pages->split_folios = true;
}

/**
 * pfn_reader_next() - read the next batch
 * @reader: the reader; pins of the batch before are undone if nobody kept them
 *
 * Return: 1 with a batch of at least one page, 0 at the end of the walk;
 * ENOMEM where more memory would be pinned than may be, EFAULT where there is
 * none, or what else pinning gives.
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

	reader->tier = iopt_pages_tier(pages, reader->index, &last, &area);
	switch (reader->tier) {
	case IOPT_TIER_XARRAY:
		pfn_batch_from_xarray(&reader->batch, &pages->pinned_pfns,
				      reader->index, last);
		break;
	case IOPT_TIER_DOMAIN:
		pfn_batch_from_domain(&reader->batch, area, pages,
				      area->storage_domain, reader->index,
				      last);
		break;
	case IOPT_TIER_ORIGIN:
		rc = pfn_reader_fill_origin(reader, last);
		if (rc)
			return rc;
		break;
	}
	pfn_reader_check_folios(reader);
	return 1;
}

/**
 * pfn_reader_destroy() - end a walk, wherever it is
 * @reader: the reader; pins of its batch are undone if nobody kept them
 */
void pfn_reader_destroy(struct pfn_reader *reader)
{
	pfn_reader_release(reader);
	pfn_batch_destroy(&reader->batch);
	if (reader->pinner.max && reader->pinner.list != reader->pinner.inline_list)
		kfree(reader->pinner.list);
}
