// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: batches
 *
 * Page frames travel in batches: from pinned memory, from a domain or from an
 * xarray, to a domain, to an xarray, or back to being unpinned. A batch holds
 * runs of contiguous frames, so that the work that has to be done for a huge
 * page is about that of a small one. Batches never fail to come to life: where
 * there is no memory they have room for a few runs on the stack, and the work
 * takes more steps.
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_pages.h"
#include "pfn_batch.h"
#include "test_hooks.h"

/* Bytes that a temporary array may have: 4096 runs, 8192 page pointers. */
#ifdef CONFIG_IOMMUFD_TEST
#define IOPT_TEMP_LIMIT	READ_ONCE(iommufd_test_memory_limit)
#else
#define IOPT_TEMP_LIMIT	SZ_64K
#endif

/* Entries of a scatterlist that iommu_map_sg() is given at a time. */
#define PFN_BATCH_SG	32

/* A run that is no longer than this may share a scatterlist, of 32 bit lengths. */
#define PFN_RUN_SG_PAGES	(SZ_1G / PAGE_SIZE)

/**
 * iopt_temp_alloc() - memory that makes things faster, but is not needed
 * @nr: elements that would be useful
 * @size: bytes of an element
 * @backup: what to use instead
 * @backup_nr: elements that @backup has room for
 * @max: set to the elements that there is room for, at least 1
 *
 * Return: an array; to be freed by kfree() where it is not @backup.
 * Context: may sleep.
 */
void *iopt_temp_alloc(unsigned long nr, size_t size, void *backup,
		      unsigned int backup_nr, unsigned int *max)
{
	unsigned long limit = max(IOPT_TEMP_LIMIT / size, 1UL);
	void *array;

	nr = min(nr, limit);
	if (nr > backup_nr) {
		array = kmalloc_array(nr, size, GFP_KERNEL | __GFP_NOWARN |
						__GFP_NORETRY);
		if (array) {
			*max = nr;
			return array;
		}
	}
	*max = min3(nr, (unsigned long)backup_nr, limit);
	return backup;
}

/**
 * pfn_batch_init() - an empty batch
 * @batch: the batch
 * @npages: pages that it is going to be used for, at least 1
 *
 * Context: may sleep.
 */
void pfn_batch_init(struct pfn_batch *batch, unsigned long npages)
{
	pfn_batch_clear(batch);
	batch->pfnmap = false;
	batch->runs = iopt_temp_alloc(npages, sizeof(*batch->runs),
				      batch->inline_runs, PFN_BATCH_INLINE,
				      &batch->max);
}

/**
 * pfn_batch_destroy() - free a batch's memory
 * @batch: the batch; its pages are what they were
 */
void pfn_batch_destroy(struct pfn_batch *batch)
{
	if (batch->runs != batch->inline_runs)
		kfree(batch->runs);
}

/*
 * Pages at the beginning of a list that are one behind the other. Nothing else is
 * done here for every page of a huge one, so eight are looked at in a step.
 */
static unsigned long pfn_count_contig(struct page **pages, unsigned long npages)
{
	struct page **end = pages + npages, **p = pages + 1;
	struct page *next = nth_page(*pages, 1);

	if (p == end || *p != next)
		return 1;
	while (end - p >= 8 && p[0] == next &&
	       p[1] == nth_page(next, 1) && p[2] == nth_page(next, 2) &&
	       p[3] == nth_page(next, 3) && p[4] == nth_page(next, 4) &&
	       p[5] == nth_page(next, 5) && p[6] == nth_page(next, 6) &&
	       p[7] == nth_page(next, 7)) {
		p += 8;
		next = nth_page(next, 8);
	}
	while (p < end && *p == next) {
		p++;
		next = nth_page(next, 1);
	}
	return p - pages;
}

/**
 * pfn_batch_add_pages() - append pages
 * @batch: has room for as many runs as there are pages
 * @pages: the pages
 * @npages: how many
 */
void pfn_batch_add_pages(struct pfn_batch *batch, struct page **pages,
			 unsigned long npages)
{
	while (npages) {
		unsigned long n = pfn_count_contig(pages, npages);

		if (IOPT_WARN_ON(!pfn_batch_add(batch, page_to_pfn(*pages), n)))
			return;
		pages += n;
		npages -= n;
	}
}

/* Pages from this one to the end of its folio. */
static unsigned long pfn_rest_of_folio(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio = page_folio(page);

	return folio_nr_pages(folio) - folio_page_idx(folio, page);
}

/*
 * The loop of pfn_batch_from_domain(), which is all that an unmap of small pages
 * does for each; so @whole is known when it is compiled.
 */
static __always_inline void
pfn_batch_read_domain(struct pfn_batch *batch, struct iopt_area *area,
		      struct iommu_domain *domain, unsigned long index,
		      unsigned long last, bool whole)
{
	unsigned long iova = iopt_area_index_to_iova(area, index);
	struct pfn_run *run = &batch->runs[batch->nr];
	unsigned long first = index, next = ULONG_MAX;
	unsigned long base = iova - index * PAGE_SIZE;

	/* An area may begin within its first page. */
	if (index == iopt_area_index(area))
		base -= area->page_offset;
	if (batch->nr)
		next = run[-1].pfn + run[-1].npages;
	while (index <= last) {
		unsigned long pfn = PHYS_PFN(iommu_iova_to_phys(domain, iova));
		unsigned long n = 1;

		if (whole && PageCompound(pfn_to_page(pfn)))
			n = min(last - index + 1, pfn_rest_of_folio(pfn));
		if (pfn == next) {
			run[-1].npages += n;
		} else {
			if (batch->nr == batch->max)
				break;
			batch->nr++;
			run->pfn = pfn;
			run++->npages = n;
		}
		next = pfn + n;
		index += n;
		iova = base + index * PAGE_SIZE;
	}
	batch->npages += index - first;
}

/**
 * pfn_batch_from_domain() - append what a domain maps for an area
 * @batch: the batch
 * @area: filled into @domain
 * @pages: those of @area, which may not point to them any more
 * @domain: the domain
 * @index: first page index
 * @last: last page index
 *
 * Goes on until @last, or until a run begins for which there is no room: what
 * is contiguous is never cut in the middle, so that the range that was read can
 * be unmapped without splitting a leaf.
 *
 * A domain tells one address at a time. Unless the memory has folios that are
 * not mapped in one piece, an address tells about the rest of the folio too.
 *
 * Context: &iopt_pages.mutex held.
 */
void pfn_batch_from_domain(struct pfn_batch *batch, struct iopt_area *area,
			   struct iopt_pages *pages,
			   struct iommu_domain *domain, unsigned long index,
			   unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	if (pages->split_folios)
		pfn_batch_read_domain(batch, area, domain, index, last, false);
	else
		pfn_batch_read_domain(batch, area, domain, index, last, true);
}

/**
 * pfn_batch_from_xarray() - append what an xarray of PFNs holds
 * @batch: the batch
 * @xa: has an entry for every index of the range
 * @index: first page index
 * @last: last page index
 *
 * Goes on until @last, or until there is no room for a run.
 */
void pfn_batch_from_xarray(struct pfn_batch *batch, struct xarray *xa,
			   unsigned long index, unsigned long last)
{
	XA_STATE(xas, xa, index);
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, last) {
		if (xas_retry(&xas, entry))
			continue;
		if (IOPT_WARN_ON(!xa_is_value(entry)) ||
		    !pfn_batch_add(batch, xa_to_value(entry), 1))
			break;
	}
	rcu_read_unlock();
}

/**
 * pfn_batch_to_xarray() - store the PFN of each page
 * @batch: the batch
 * @xa: has no entries there
 * @index: page index of the first page
 *
 * Return: 0, or ENOMEM with nothing stored.
 * Context: may sleep.
 */
int pfn_batch_to_xarray(struct pfn_batch *batch, struct xarray *xa,
			unsigned long index)
{
	unsigned long first = index;

	for (unsigned int i = 0; i < batch->nr; i++) {
		struct pfn_run *run = &batch->runs[i];

		for (unsigned long n = 0; n < run->npages; n++, index++) {
			void *old = xa_store(xa, index,
					     xa_mk_value(run->pfn + n),
					     GFP_KERNEL_ACCOUNT);

			IOPT_WARN_ON(!xa_is_err(old) && old);
			if (xa_is_err(old))
				goto err_erase;
		}
	}
	return 0;

err_erase:
	for (; first <= index; first++)
		xa_erase(xa, first);
	return -ENOMEM;
}

/**
 * pfn_batch_to_pages() - the pages of a batch as an array
 * @batch: the batch
 * @pages: room for as many as the batch has
 */
void pfn_batch_to_pages(struct pfn_batch *batch, struct page **pages)
{
	for (unsigned int i = 0; i < batch->nr; i++) {
		struct pfn_run *run = &batch->runs[i];

		for (unsigned long n = 0; n < run->npages; n++)
			*pages++ = pfn_to_page(run->pfn + n);
	}
}

static void iommu_unmap_exactly(struct iommu_domain *domain, unsigned long iova,
				size_t size)
{
	/*
	 * Only a driver that needs memory to unmap, or an unmap that cuts a
	 * leaf, can end here; neither is allowed.
	 */
	if (size)
		WARN_ON(iommu_unmap(domain, iova, size) != size);
}

/* Leaves of one page each, so that areas can be cut anywhere. */
static int pfn_run_map_small(struct pfn_run *run, struct iopt_area *area,
			     struct iommu_domain *domain, unsigned long iova)
{
	unsigned long n;
	int rc;

	for (n = 0; n < run->npages; n++) {
		rc = iommu_map(domain, iova + n * PAGE_SIZE,
			       PFN_PHYS(run->pfn + n), PAGE_SIZE, area->prot,
			       GFP_KERNEL_ACCOUNT);
		if (rc) {
			iommu_unmap_exactly(domain, iova, n * PAGE_SIZE);
			return rc;
		}
	}
	return 0;
}

/* Bytes of a run from @offset on. The area may end within its last page. */
static unsigned long pfn_run_bytes(struct pfn_run *run, struct iopt_area *area,
				   unsigned long iova, unsigned int offset)
{
	return min(run->npages * PAGE_SIZE - offset - 1,
		   iopt_area_last_iova(area) - iova) + 1;
}

/* Map a run by itself. Gives the bytes that were mapped. */
static ssize_t pfn_run_map(struct pfn_run *run, struct iopt_area *area,
			   struct iommu_domain *domain, unsigned long iova,
			   unsigned int offset)
{
	unsigned long length = pfn_run_bytes(run, area, iova, offset);

	return iommu_map(domain, iova, PFN_PHYS(run->pfn) + offset, length,
			 area->prot, GFP_KERNEL_ACCOUNT) ?: length;
}

/*
 * Map some of @nr runs by one call into the driver, which may have to flush or
 * sync for each. Gives the bytes that were mapped, and in @nr of how many runs.
 */
static ssize_t pfn_runs_map(struct pfn_run *runs, unsigned int *nr,
			    struct iopt_area *area, struct iommu_domain *domain,
			    unsigned long iova, unsigned int offset)
{
	unsigned int max = min(*nr, PFN_BATCH_SG);
	struct scatterlist sg[PFN_BATCH_SG];
	unsigned long length, next = iova;

	sg_init_table(sg, max);
	for (*nr = 0; *nr < max; ++*nr) {
		if (runs[*nr].npages > PFN_RUN_SG_PAGES)
			break;
		length = pfn_run_bytes(&runs[*nr], area, next, offset);
		sg_set_page(&sg[*nr], pfn_to_page(runs[*nr].pfn), length,
			    offset);
		next += length;
		offset = 0;
	}
	sg_mark_end(&sg[*nr - 1]);
	return iommu_map_sg(domain, iova, sg, *nr, area->prot,
			    GFP_KERNEL_ACCOUNT);
}

/**
 * pfn_batch_to_domain() - map the pages of a batch
 * @batch: the batch
 * @area: where
 * @domain: where
 * @index: page index of the batch's first page
 *
 * Return: 0, or what mapping gave, with nothing mapped.
 * Context: may sleep.
 */
int pfn_batch_to_domain(struct pfn_batch *batch, struct iopt_area *area,
			struct iommu_domain *domain, unsigned long index)
{
	unsigned int offset = index == iopt_area_index(area) ?
			      area->page_offset : 0;
	unsigned long start = iopt_area_index_to_iova(area, index);
	unsigned long iova = start;
	unsigned int nr;
	ssize_t rc;

	for (unsigned int i = 0; i < batch->nr; i += nr) {
		struct pfn_run *run = &batch->runs[i];

		if (area->iopt->disable_large_pages) {
			nr = 1;
			rc = pfn_run_map_small(run, area, domain, iova);
			rc = rc ?: run->npages * PAGE_SIZE;
		} else if (batch->pfnmap || run->npages > PFN_RUN_SG_PAGES) {
			nr = 1;
			rc = pfn_run_map(run, area, domain, iova, offset);
		} else {
			nr = batch->nr - i;
			rc = pfn_runs_map(run, &nr, area, domain, iova, offset);
		}
		if (rc < 0) {
			iommu_unmap_exactly(domain, start, iova - start);
			return rc;
		}
		iova += rc;
		offset = 0;
	}
	return 0;
}

/**
 * pfn_batch_rw() - copy to or from the pages of a batch
 * @batch: the batch
 * @offset: bytes into it
 * @data: the other side
 * @length: bytes, may be more than there are
 * @write: to the pages
 *
 * Return: bytes copied.
 * Context: the pages are pinned.
 */
unsigned long pfn_batch_rw(struct pfn_batch *batch, unsigned long offset,
			   void *data, unsigned long length, bool write)
{
	unsigned long done = 0;

	for (unsigned int i = 0; i < batch->nr && done < length; i++) {
		struct pfn_run *run = &batch->runs[i];
		unsigned long size = run->npages * PAGE_SIZE;

		while (offset < size && done < length) {
			unsigned long pfn = run->pfn + offset / PAGE_SIZE;
			struct page *page = pfn_to_page(pfn);
			unsigned int pgoff = offset_in_page(offset);
			size_t n = min(PAGE_SIZE - pgoff, length - done);

			/* Unpinning will mark the page dirty. */
			if (write)
				memcpy_to_page(page, pgoff, data + done, n);
			else
				memcpy_from_page(data + done, page, pgoff, n);
			done += n;
			offset += n;
		}
		offset -= size;
	}
	return done;
}

/**
 * pfn_batch_unpin() - undo pins of some pages of a batch
 * @batch: the batch
 * @pages: where they were pinned for; uncharged
 * @skip: pages of the batch to leave alone, at its beginning
 * @npages: pages to unpin
 *
 * Context: &iopt_pages.mutex held; may sleep.
 */
void pfn_batch_unpin(struct pfn_batch *batch, struct iopt_pages *pages,
		     unsigned long skip, unsigned long npages)
{
	struct pfn_run *run = batch->runs;
	unsigned long left = npages;

	if (IOPT_WARN_ON(skip + npages > batch->npages))
		return;
	if (pages->ops->pfnmap)
		return;
	while (left && skip >= run->npages)
		skip -= run++->npages;
	for (; left; run++) {
		unsigned long n = min(left, run->npages - skip);

		unpin_user_page_range_dirty_lock(pfn_to_page(run->pfn + skip),
						 n, pages->writable);
		left -= n;
		skip = 0;
	}
	iopt_pages_uncharge(pages, npages);
}
