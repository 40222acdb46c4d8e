// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: lifetime of PFNMAP memory
 *
 * A BAR is not refcounted: its device may be reset, closed or removed, and its addresses
 * may then belong to another device. Before each of these events the process loses its
 * mapping of the BAR: vfio-pci zaps the BAR in every process before a reset and before
 * it disables memory space, and a device can only be closed after the process has
 * unmapped the BAR or has exited. An interval notifier on the addresses is called for
 * all of them. It unmaps the BAR from every domain before it returns to its caller. The
 * memory is then revoked until its area is unmapped, or removed from the last domain:
 * the IOVAs stay reserved, but no domain maps them.
 *
 * The notifier runs with the mmap lock or locks of a file mapping held, so it cannot take
 * the other locks of the engine. It takes &iopt_pfnmap.lock, which guards the ranges that
 * domains map. A task that fills a domain holds &iopt_pfnmap.lock around iommu_map(), and
 * checks the sequence number of the notifier under it. So a domain never maps a page that
 * the process has lost. Reclaim may call notifiers: an allocation under &iopt_pfnmap.lock
 * must not enter reclaim.
 *
 * Dirty queries walk page tables without &iopt_pfnmap.lock, while the notifier may unmap.
 * So drivers are never queried for a PFNMAP: iopt_dirty_read_window() reports all of its
 * pages as dirty.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "memory/iopt_pages.h"
#include "memory/pages_pfnmap.h"
#include "memory/pfnmap_cursor.h"
#include "space/iopt_area.h"

/* Bytes that are looked up, and with leaves of 2 MiB also mapped, in one step. */
#define PFNMAP_SPAN		SZ_1G

/* Number of retries after an allocation without reclaim has failed. */
#define PFNMAP_ALLOC_TRIES	16

/* Number of attempts to fill a domain while the process keeps losing the memory. */
#define PFNMAP_FILL_TRIES	10

/**
 * struct iopt_pfnmap_entry - the range of a PFNMAP that one domain maps
 * @item: entry in &iopt_pfnmap.entries
 * @domain: the domain
 * @iova: first IOVA of the area
 * @length: number of bytes that @domain maps, from @iova on; 0 when revoked
 */
struct iopt_pfnmap_entry {
	struct list_head item;
	struct iommu_domain *domain;
	unsigned long iova;
	size_t length;
};

/**
 * struct iopt_pfnmap - lifetime of PFNMAP memory
 * @notifier: called when the process loses its mapping of the memory
 * @lock: guards @entries and @revoked; taken inside &iopt_pages.mutex, and by the
 *	notifier; an allocation under it must not enter reclaim
 * @entries: list of struct iopt_pfnmap_entry, one for each domain of the area
 * @revoked: the process has lost the memory while a domain mapped it; cleared when the
 *	last entry is removed
 * @next: replaces this object in iopt_pfnmap_move(); guarded by the
 *	&io_pagetable.iova_rwsem of the area
 *
 * Owner: the iopt_pages. Only one area maps it, as PFNMAPs are neither copied nor split.
 */
struct iopt_pfnmap {
	struct mmu_interval_notifier notifier;
	/* taken inside every other lock of the engine that is held with it */
	struct mutex lock;
	struct list_head entries;
	bool revoked;
	struct iopt_pfnmap *next;
};

/*
 * Unmap the range of an entry, from its end to its start, in steps that end at multiples
 * of PFNMAP_SPAN. No leaf crosses such a multiple.
 */
static void pfnmap_entry_unmap(struct iopt_pfnmap_entry *entry, bool may_sleep)
{
	unsigned long last, start;
	size_t length;

	while (entry->length) {
		last = entry->iova + entry->length - 1;
		start = max(last & ~(PFNMAP_SPAN - 1UL), entry->iova);
		length = last - start + 1;
		entry->length -= length;
		WARN_ON(iommu_unmap(entry->domain, start, length) != length);
		if (may_sleep)
			cond_resched();
	}
}

/* Return: whether the process keeps its mapping of the pages after the event. */
static bool pfnmap_event_keeps_pages(enum mmu_notifier_event event)
{
	switch (event) {
	case MMU_NOTIFY_PROTECTION_VMA:
	case MMU_NOTIFY_PROTECTION_PAGE:
	case MMU_NOTIFY_SOFT_DIRTY:
		return true;
	default:
		return false;
	}
}

static bool pfnmap_invalidate(struct mmu_interval_notifier *notifier,
			      const struct mmu_notifier_range *range,
			      unsigned long seq)
{
	struct iopt_pfnmap *pfnmap =
		container_of(notifier, struct iopt_pfnmap, notifier);
	struct iopt_pfnmap_entry *entry;

	if (pfnmap_event_keeps_pages(range->event))
		return true;
	if (mmu_notifier_range_blockable(range))
		mutex_lock(&pfnmap->lock);
	else if (!mutex_trylock(&pfnmap->lock))
		return false;
	mmu_interval_set_seq(notifier, seq);
	list_for_each_entry(entry, &pfnmap->entries, item) {
		if (!entry->length)
			continue;
		pfnmap->revoked = true;
		pfnmap_entry_unmap(entry, mmu_notifier_range_blockable(range));
	}
	mutex_unlock(&pfnmap->lock);
	return true;
}

static const struct mmu_interval_notifier_ops pfnmap_notifier_ops = {
	.invalidate = pfnmap_invalidate,
};

/**
 * iopt_pfnmap_alloc() - register a notifier on PFNMAP memory of the current process
 * @start: first address, page aligned
 * @npages: number of pages
 *
 * Return: an iopt_pfnmap without entries, for iopt_pfnmap_free(), or an ERR_PTR() of
 * * -ENOMEM: out of memory
 * * the error of mmu_interval_notifier_insert()
 * Context: takes the mmap lock for writing; may sleep.
 */
struct iopt_pfnmap *iopt_pfnmap_alloc(unsigned long start, unsigned long npages)
{
	struct iopt_pfnmap *pfnmap = kzalloc(sizeof(*pfnmap),
					     GFP_KERNEL_ACCOUNT);
	int rc;

	if (!pfnmap)
		return ERR_PTR(-ENOMEM);
	mutex_init(&pfnmap->lock);
	INIT_LIST_HEAD(&pfnmap->entries);
	rc = mmu_interval_notifier_insert(&pfnmap->notifier, current->mm,
					  untagged_addr(start),
					  npages * PAGE_SIZE,
					  &pfnmap_notifier_ops);
	if (rc) {
		kfree(pfnmap);
		return ERR_PTR(rc);
	}
	return pfnmap;
}

/**
 * iopt_pfnmap_free() - unregister the notifier and free an iopt_pfnmap
 * @pfnmap: an iopt_pfnmap without entries, or NULL
 *
 * Frees &iopt_pfnmap.next as well.
 *
 * Context: waits for a running notifier, so the caller must not hold a lock that a
 * notifier takes; may sleep.
 */
void iopt_pfnmap_free(struct iopt_pfnmap *pfnmap)
{
	if (!pfnmap)
		return;
	WARN_ON(!list_empty(&pfnmap->entries));
	iopt_pfnmap_free(pfnmap->next);
	mmu_interval_notifier_remove(&pfnmap->notifier);
	mutex_destroy(&pfnmap->lock);
	kfree(pfnmap);
}

/**
 * struct pfnmap_fill - state of mapping one area in one domain
 * @area: the area
 * @pfnmap: lifetime of the memory
 * @entry: the range that the domain maps so far; in &iopt_pfnmap.entries
 * @cursor: position in the addresses of the memory
 * @seq: sequence number of the notifier before the first lookup
 */
struct pfnmap_fill {
	struct iopt_area *area;
	struct iopt_pfnmap *pfnmap;
	struct iopt_pfnmap_entry *entry;
	struct pfnmap_cursor cursor;
	unsigned long seq;
};

/* Return: the number of bytes to map in one step, so that it allocates few tables. */
static size_t pfnmap_step(const struct pfnmap_fill *fill, unsigned long iova,
			  phys_addr_t phys, size_t length)
{
	bool huge = fill->entry->domain->pgsize_bitmap >= SZ_2M &&
		    !((iova ^ phys) & (SZ_2M - 1)) &&
		    !fill->area->iopt->disable_large_pages;
	unsigned long span = huge ? PFNMAP_SPAN : SZ_2M;

	return min(length, span - (iova & (span - 1)));
}

static int pfnmap_map(const struct pfnmap_fill *fill, unsigned long iova,
		      phys_addr_t phys, size_t length)
{
	bool small = fill->area->iopt->disable_large_pages;
	struct iommu_domain *domain = fill->entry->domain;
	size_t n, done;
	int rc;

	for (done = 0; done < length; done += n) {
		n = small ? PAGE_SIZE : length;
		rc = iommu_map(domain, iova + done, phys + done, n,
			       fill->area->prot,
			       GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
		if (!rc)
			continue;
		if (done)
			WARN_ON(iommu_unmap(domain, iova, done) != done);
		return rc;
	}
	return 0;
}

/*
 * Map a looked-up range under &iopt_pfnmap.lock, unless the process has lost it since the
 * lookup. Return: 0; 1 if the memory is revoked; -EAGAIN if the process lost it before
 * any domain mapped a part of it.
 */
static int pfnmap_map_locked(struct pfnmap_fill *fill, unsigned long iova,
			     phys_addr_t phys, size_t length)
{
	struct iopt_pfnmap *pfnmap = fill->pfnmap;
	int rc;

	guard(mutex)(&pfnmap->lock);
	if (pfnmap->revoked)
		return 1;
	if (mmu_interval_read_retry(&pfnmap->notifier, fill->seq))
		return -EAGAIN;
	rc = pfnmap_map(fill, iova, phys, length);
	if (!rc)
		fill->entry->length += length;
	return rc;
}

/* Make reclaim free a page, for the next allocation without reclaim. */
static int pfnmap_reclaim(void)
{
	unsigned long page = __get_free_page(GFP_KERNEL_ACCOUNT);

	if (!page)
		return -ENOMEM;
	free_page(page);
	return 0;
}

static int pfnmap_fill_run(struct pfnmap_fill *fill, unsigned long iova,
			   phys_addr_t phys, size_t length)
{
	unsigned int tries = 0;
	size_t step;
	int rc;

	while (length) {
		step = pfnmap_step(fill, iova, phys, length);
		rc = pfnmap_map_locked(fill, iova, phys, step);
		if (rc == -ENOMEM && tries++ < PFNMAP_ALLOC_TRIES &&
		    !pfnmap_reclaim())
			continue;
		if (rc)
			return rc;
		tries = 0;
		iova += step;
		phys += step;
		length -= step;
		cond_resched();
	}
	return 0;
}

/*
 * Try to map the area in the domain. Return: 0; 1 if the memory is revoked; -EAGAIN, with
 * nothing mapped, if the process has lost a part of the memory, and a retry may find it
 * again.
 */
static int pfnmap_try_fill(struct pfnmap_fill *fill, struct iopt_pages *pages)
{
	unsigned long offset = fill->area->page_offset;
	size_t left = iopt_area_length(fill->area), length;
	unsigned long iova = iopt_area_iova(fill->area);
	struct pfn_run run;
	int rc;

	fill->seq = mmu_interval_read_begin(&fill->pfnmap->notifier);
	pfnmap_cursor_init(&fill->cursor, pages, iopt_area_index(fill->area));
	while (left) {
		if (fatal_signal_pending(current))
			return -EINTR;
		length = min(left, PFNMAP_SPAN - (iova & (PFNMAP_SPAN - 1)));
		rc = pfnmap_cursor_next(&fill->cursor,
					DIV_ROUND_UP(length + offset,
						     PAGE_SIZE), &run);
		if (rc)
			return rc;
		length = min(left, run.npages * PAGE_SIZE - offset);
		rc = pfnmap_fill_run(fill, iova, PFN_PHYS(run.pfn) + offset,
				     length);
		if (rc)
			return rc;
		iova += length;
		left -= length;
		offset = 0;
	}
	return 0;
}

/**
 * iopt_pfnmap_fill() - map an area of PFNMAP memory in a domain
 * @area: the area, not mapped in @domain yet
 * @pages: the memory of @area
 * @domain: the domain
 *
 * If the memory is revoked, the function succeeds, but maps nothing.
 *
 * Return: 0, or, with nothing mapped,
 * * -EFAULT: the process does not map the memory, or repeatedly lost it
 * * -EINTR: the process received a fatal signal
 * * -ENOMEM: out of memory
 * * the error of the IOMMU driver, or of the page fault
 * Context: &iopt_pages.mutex held; takes the mmap lock; may sleep.
 */
int iopt_pfnmap_fill(struct iopt_area *area, struct iopt_pages *pages,
		     struct iommu_domain *domain)
{
	struct pfnmap_fill fill = {
		.area = area,
		.pfnmap = pages->pfnmap,
	};
	unsigned int tries = 0;
	int rc;

	lockdep_assert_held(&pages->mutex);

	fill.entry = kzalloc(sizeof(*fill.entry), GFP_KERNEL_ACCOUNT);
	if (!fill.entry)
		return -ENOMEM;
	fill.entry->domain = domain;
	fill.entry->iova = iopt_area_iova(area);
	scoped_guard(mutex, &fill.pfnmap->lock) {
		list_add_tail(&fill.entry->item, &fill.pfnmap->entries);
		if (fill.pfnmap->revoked)
			return 0;
	}
	do {
		rc = pfnmap_try_fill(&fill, pages);
	} while (rc == -EAGAIN && ++tries < PFNMAP_FILL_TRIES);
	if (rc >= 0)
		return 0;
	iopt_pfnmap_unfill(area, pages, domain);
	return rc == -EAGAIN ? -EFAULT : rc;
}

/**
 * iopt_pfnmap_unfill() - unmap an area of PFNMAP memory in a domain
 * @area: the area
 * @pages: the memory of @area
 * @domain: the domain
 *
 * Does nothing if iopt_pfnmap_fill() has failed for @domain. Cannot fail.
 *
 * Context: &iopt_pages.mutex held; may sleep.
 */
void iopt_pfnmap_unfill(struct iopt_area *area, struct iopt_pages *pages,
			struct iommu_domain *domain)
{
	struct iopt_pfnmap *pfnmap = pages->pfnmap;
	struct iopt_pfnmap_entry *entry;

	lockdep_assert_held(&pages->mutex);

	guard(mutex)(&pfnmap->lock);
	list_for_each_entry(entry, &pfnmap->entries, item) {
		if (entry->domain != domain)
			continue;
		pfnmap_entry_unmap(entry, true);
		list_del(&entry->item);
		kfree(entry);
		break;
	}
	/* The next domain maps the memory that the process has then. */
	if (list_empty(&pfnmap->entries))
		pfnmap->revoked = false;
}

/**
 * iopt_pfnmap_prepare_move() - register a notifier on the new address of memory
 * @pages: the memory
 * @start: the new address, in the current process, page aligned
 *
 * The caller calls iopt_pfnmap_move() or iopt_pfnmap_cancel_move() next.
 *
 * Return: 0, or an error of iopt_pfnmap_alloc().
 * Context: &io_pagetable.iova_rwsem held for writing; takes the mmap lock for writing.
 */
int iopt_pfnmap_prepare_move(struct iopt_pages *pages, unsigned long start)
{
	struct iopt_pfnmap *next = iopt_pfnmap_alloc(start, pages->npages);

	if (IS_ERR(next))
		return PTR_ERR(next);
	pages->pfnmap->next = next;
	return 0;
}

/**
 * iopt_pfnmap_cancel_move() - undo iopt_pfnmap_prepare_move()
 * @pages: the memory
 *
 * Does nothing without iopt_pfnmap_prepare_move().
 *
 * Context: &io_pagetable.iova_rwsem held for writing; as iopt_pfnmap_free().
 */
void iopt_pfnmap_cancel_move(struct iopt_pages *pages)
{
	iopt_pfnmap_free(pages->pfnmap->next);
	pages->pfnmap->next = NULL;
}

/**
 * iopt_pfnmap_move() - replace the notifier by the one on the new address
 * @pages: the memory, after iopt_pfnmap_prepare_move(); no domain maps it
 *
 * Context: &io_pagetable.iova_rwsem held for writing, &iopt_pages.mutex held; as
 * iopt_pfnmap_free().
 */
void iopt_pfnmap_move(struct iopt_pages *pages)
{
	struct iopt_pfnmap *old = pages->pfnmap;

	lockdep_assert_held(&pages->mutex);

	pages->pfnmap = old->next;
	old->next = NULL;
	iopt_pfnmap_free(old);
}
