// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: batches
 *
 * A batch is a list of page frames. It is filled with pages that were just pinned, from a
 * domain or from an xarray. Its page frames are then mapped in domains, stored in an
 * xarray, or unpinned. A batch stores runs of contiguous page frames, so a huge page
 * takes about as much work as a small one. Initializing a batch cannot fail: if no memory
 * can be allocated, the batch uses its array of a few runs on the stack, and the caller
 * takes more steps.
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "memory/iopt_pages.h"
#include "memory/pfn_batch.h"
#include "space/iopt_area.h"
#include "test_hooks.h"

/* Maximum size of a temporary array in bytes: 4096 runs, or 8192 page pointers. */
#ifdef CONFIG_IOPT_TEST_HOOKS
#define IOPT_TEMP_LIMIT	READ_ONCE(iopt_test_memory_limit)
#else
#define IOPT_TEMP_LIMIT	SZ_64K
#endif

/* Number of pages that are read or unpinned between calls of cond_resched(). */
#define PFN_BATCH_RESCHED	8192UL

/**
 * iopt_temp_alloc() - allocate a temporary array, or fall back to a small one
 * @nr: number of elements that the caller can use
 * @size: size of an element in bytes
 * @backup: array to use if @nr is small or the allocation fails
 * @backup_nr: number of elements in @backup
 * @max: set to the number of elements in the returned array, at least 1
 *
 * Return: an array; the caller frees it by kfree() unless it is @backup.
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
 * pfn_batch_init() - initialize an empty batch
 * @batch: the batch
 * @npages: number of pages that the caller will add, at least 1
 *
 * Context: may sleep.
 */
void pfn_batch_init(struct pfn_batch *batch, unsigned long npages)
{
	pfn_batch_clear(batch);
	batch->runs = iopt_temp_alloc(npages, sizeof(*batch->runs),
				      batch->inline_runs, PFN_BATCH_INLINE,
				      &batch->max);
}

/**
 * pfn_batch_destroy() - free the memory of a batch
 * @batch: the batch
 *
 * Does not unpin pages.
 */
void pfn_batch_destroy(struct pfn_batch *batch)
{
	if (batch->runs != batch->inline_runs)
		kfree(batch->runs);
}

/*
 * Return: whether @page is @n pages behind @first. The function does not dereference the
 * page at @first + n, which may not exist. If struct pages are not one array, PFNs are
 * compared.
 */
static __always_inline bool pfn_page_follows(struct page *page,
					     struct page *first, unsigned long n)
{
	if (IS_ENABLED(CONFIG_SPARSEMEM) &&
	    !IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP))
		return page_to_pfn(page) == page_to_pfn(first) + n;
	return page == first + n;
}

/*
 * Return: the number of contiguous pages at the start of a list. Within a huge page this
 * is the only work per page, so the loop checks eight pages in a step.
 */
static unsigned long pfn_count_contig(struct page **pages, unsigned long npages)
{
	unsigned long steps = npages < 8 ? 0 : npages - 8;
	struct page *first = *pages;
	unsigned long n = 1;

	if (npages == 1 || !pfn_page_follows(pages[1], first, 1))
		return 1;
	while (n <= steps && pfn_page_follows(pages[n], first, n) &&
	       pfn_page_follows(pages[n + 1], first, n + 1) &&
	       pfn_page_follows(pages[n + 2], first, n + 2) &&
	       pfn_page_follows(pages[n + 3], first, n + 3) &&
	       pfn_page_follows(pages[n + 4], first, n + 4) &&
	       pfn_page_follows(pages[n + 5], first, n + 5) &&
	       pfn_page_follows(pages[n + 6], first, n + 6) &&
	       pfn_page_follows(pages[n + 7], first, n + 7))
		n += 8;
	while (n < npages && pfn_page_follows(pages[n], first, n))
		n++;
	return n;
}

/**
 * pfn_batch_add_pages() - append pages to a batch
 * @batch: the batch, with room for @npages runs
 * @pages: the pages
 * @npages: number of pages
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

/* Return: the number of pages from @pfn to the end of its folio. */
static __always_inline unsigned long pfn_folio_pages_left(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio;

	if (!PageCompound(page))
		return 1;
	folio = page_folio(page);
	return folio_nr_pages(folio) - folio_page_idx(folio, page);
}

/*
 * Inner loop of pfn_batch_from_domain(). For an unmap of small pages it is most of the
 * work per page, so it is compiled for each value of @whole, which means that a folio is
 * contiguous.
 */
static __always_inline void
pfn_batch_read_domain(struct pfn_batch *batch, struct iopt_area *area,
		      struct iommu_domain *domain, unsigned long index,
		      unsigned long last, bool whole)
{
	/* iommu_iova_to_phys() would check the type of the domain for each page. */
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain,
				    dma_addr_t iova) = domain->ops->iova_to_phys;
	unsigned long iova = iopt_area_index_to_iova(area, index);
	struct pfn_run *run = &batch->runs[batch->nr];
	struct pfn_run *end = &batch->runs[batch->max];
	unsigned long first = index, next = ULONG_MAX;
	unsigned long base = iova - index * PAGE_SIZE;
	unsigned long steps = PFN_BATCH_RESCHED;

	/* The first IOVA of an area may be within its first page. */
	if (index == iopt_area_index(area))
		base -= area->page_offset;
	if (batch->nr)
		next = run[-1].pfn + run[-1].npages;
	while (index <= last) {
		unsigned long pfn = PHYS_PFN(iova_to_phys(domain, iova));
		unsigned long n = whole ? pfn_folio_pages_left(pfn) : 1;

		if (pfn == next) {
			run[-1].npages += n;
		} else {
			if (run == end)
				break;
			run->pfn = pfn;
			run++->npages = n;
		}
		next = pfn + n;
		index += n;
		iova = base + index * PAGE_SIZE;
		if (!--steps) {
			cond_resched();
			steps = PFN_BATCH_RESCHED;
		}
	}
	/* The last folio may extend beyond the range. */
	if (index > last + 1) {
		run[-1].npages -= index - last - 1;
		index = last + 1;
	}
	batch->nr = run - batch->runs;
	batch->npages += index - first;
}

/**
 * pfn_batch_from_domain() - append the page frames that a domain maps for an area
 * @batch: the batch
 * @area: the area, filled into @domain
 * @pages: the memory of @area; &iopt_area.pages may be NULL already
 * @domain: the domain
 * @index: first page index
 * @last: last page index
 *
 * Reads up to @last, or up to a page that needs another run when the batch has no room
 * for it. Contiguous pages are never split in the middle, so that the caller can unmap
 * the pages that were read without splitting a leaf.
 *
 * A domain is looked up by one IOVA at a time. Unless &iopt_pages.partial_folios is set,
 * one lookup gives the page frames up to the end of the folio.
 *
 * Context: &iopt_pages.mutex held; may sleep.
 */
void pfn_batch_from_domain(struct pfn_batch *batch, struct iopt_area *area,
			   struct iopt_pages *pages,
			   struct iommu_domain *domain, unsigned long index,
			   unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	if (pages->partial_folios)
		pfn_batch_read_domain(batch, area, domain, index, last, false);
	else
		pfn_batch_read_domain(batch, area, domain, index, last, true);
}

/**
 * pfn_batch_from_xarray() - append the page frames of an xarray
 * @batch: the batch
 * @xa: xarray of PFNs, with an entry for every index of the range
 * @index: first page index
 * @last: last page index
 *
 * Reads up to @last, or up to a page that needs another run when the batch has no room
 * for it.
 *
 * Context: &iopt_pages.mutex held; may sleep.
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
		if (!(batch->npages % PFN_BATCH_RESCHED)) {
			xas_pause(&xas);
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
	}
	rcu_read_unlock();
}

/**
 * pfn_batch_to_xarray() - store the PFNs of a batch in an xarray
 * @batch: the batch
 * @xa: xarray of PFNs, without entries in the range
 * @index: page index of the first page
 *
 * Return: 0, or, with nothing stored,
 * * -ENOMEM: out of memory
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
			cond_resched();
		}
	}
	return 0;

err_erase:
	for (; first <= index; first++)
		xa_erase(xa, first);
	return -ENOMEM;
}

/**
 * pfn_batch_to_pages() - convert a batch to an array of pages
 * @batch: the batch
 * @pages: the array, with room for &pfn_batch.npages pages
 */
void pfn_batch_to_pages(struct pfn_batch *batch, struct page **pages)
{
	for (unsigned int i = 0; i < batch->nr; i++) {
		struct pfn_run *run = &batch->runs[i];

		for (unsigned long n = 0; n < run->npages; n++)
			*pages++ = pfn_to_page(run->pfn + n);
	}
}

/**
 * pfn_batch_rw() - copy to or from the pages of a batch
 * @batch: the batch
 * @offset: offset of the first byte in the batch
 * @data: kernel buffer to copy from or to
 * @length: length in bytes; may exceed the batch
 * @write: copy to the pages
 *
 * Return: the number of bytes copied.
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

/* Not inlined: pfn_batch_unpin() then keeps its variables in registers for short runs. */
static noinline void pfn_run_unpin_long(unsigned long pfn, unsigned long npages,
					bool dirty)
{
	unsigned long n;

	for (; npages; npages -= n, pfn += n) {
		n = min(npages, PFN_BATCH_RESCHED);
		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), n, dirty);
		cond_resched();
	}
}

/**
 * pfn_batch_unpin() - unpin and uncharge a range of pages of a batch
 * @batch: the batch
 * @pages: the memory that the pages belong to
 * @skip: number of pages at the start of the batch to skip
 * @npages: number of pages to unpin
 *
 * Context: &iopt_pages.mutex held; may sleep.
 */
void pfn_batch_unpin(struct pfn_batch *batch, struct iopt_pages *pages,
		     unsigned long skip, unsigned long npages)
{
	struct pfn_run *run = batch->runs;
	unsigned long left = npages, stop, n;
	bool dirty = pages->writable;
	unsigned long pfn;

	if (IOPT_WARN_ON(skip + npages > batch->npages))
		return;
	while (left && skip >= run->npages)
		skip -= run++->npages;
	for (;;) {
		stop = left - min(left, PFN_BATCH_RESCHED);
		for (; left > stop; run++, left -= n) {
			n = min(left, run->npages - skip);
			pfn = run->pfn + skip;
			skip = 0;
			if (n <= PFN_BATCH_RESCHED)
				unpin_user_page_range_dirty_lock(pfn_to_page(pfn),
								 n, dirty);
			else
				pfn_run_unpin_long(pfn, n, dirty);
		}
		if (!left)
			break;
		cond_resched();
	}
	iopt_pages_uncharge(pages, npages);
}
