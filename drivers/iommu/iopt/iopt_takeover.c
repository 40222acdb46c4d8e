// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: memory of another process
 *
 * Memory of a file can be pinned by any process, but pinned pages are accounted to the
 * process that mapped it. When another process takes over, the accounts of several IOASes
 * move, either all of them or none. iopt_takeover_add() charges the pinned pages of an
 * IOAS to the current process as well, within its limits. When all pages are charged,
 * iopt_takeover_commit() exchanges the accounts of the two processes, which cannot fail.
 *
 * No lock is held in between. Pages that are pinned or unpinned meanwhile are accounted
 * when the accounts are exchanged, without a limit. Memory that is mapped meanwhile stays
 * with the process that maps it, as if it was mapped afterwards.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "iopt_takeover.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/* Number of areas that are added with &io_pagetable.iova_rwsem held. */
#define IOPT_TAKEOVER_STEP	256

/**
 * struct iopt_takeover_item - memory that the current process is taking over
 * @pages: the memory, with a reference
 * @successor: the account of the current process, which becomes that of the former one
 *
 * Owner: &iopt_takeover.items.
 */
struct iopt_takeover_item {
	struct iopt_pages *pages;
	struct iopt_pages *successor;
};

/**
 * iopt_takeover_init() - begin to take over memory
 * @takeover: what is taken over: nothing yet
 * @account_mode: counter of the current process that pages are charged to
 */
void iopt_takeover_init(struct iopt_takeover *takeover,
			enum iopt_account_mode account_mode)
{
	xa_init_flags(&takeover->items, XA_FLAGS_ACCOUNT);
	takeover->account_mode = account_mode;
}
EXPORT_SYMBOL_NS_GPL(iopt_takeover_init, IOMMU_IOPT);

static void iopt_free_item(struct iopt_takeover_item *item)
{
	iopt_pages_free_successor(item->successor);
	iopt_pages_put(item->pages);
	kfree(item);
}

/* Return: the index of an iopt_pages in an xarray: its address, without low bits. */
static unsigned long iopt_pages_key(const struct iopt_pages *pages)
{
	return (unsigned long)pages / sizeof(long);
}

/**
 * iopt_takeover_successor() - find the account of the current process
 * @takeover: what is taken over
 * @pages: memory that iopt_takeover_pages() was called for
 *
 * Return: for iopt_pages_move(): the successor of @pages, or NULL.
 */
struct iopt_pages *iopt_takeover_successor(struct iopt_takeover *takeover,
					   const struct iopt_pages *pages)
{
	struct iopt_takeover_item *item =
		xa_load(&takeover->items, iopt_pages_key(pages));

	return item ? item->successor : NULL;
}

/**
 * iopt_takeover_pages() - charge pinned pages to the current process as well
 * @takeover: what is taken over
 * @pages: the memory
 *
 * Does nothing if @pages belongs to the current process, or was added already.
 *
 * Return: 0, or
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * Context: takes &iopt_pages.mutex and the mmap lock; may sleep.
 */
int iopt_takeover_pages(struct iopt_takeover *takeover,
			struct iopt_pages *pages)
{
	struct iopt_takeover_item *item;
	struct iopt_pages *successor;
	int rc = -ENOMEM;

	if (iopt_takeover_successor(takeover, pages))
		return 0;
	successor = iopt_pages_alloc_successor(pages, takeover->account_mode);
	if (IS_ERR_OR_NULL(successor))
		return PTR_ERR_OR_ZERO(successor);
	item = kmalloc(sizeof(*item), GFP_KERNEL_ACCOUNT);
	if (item) {
		iopt_pages_get(pages);
		item->pages = pages;
		item->successor = successor;
		rc = xa_insert(&takeover->items, iopt_pages_key(pages), item,
			       GFP_KERNEL_ACCOUNT);
		if (rc)
			iopt_free_item(item);
	} else {
		iopt_pages_free_successor(successor);
	}
	return rc;
}

/*
 * Add a bounded number of areas from @iova on. Return: 1, with @iova set, if there may be
 * more; 0 at the end; or as iopt_takeover_add().
 */
static int iopt_takeover_step(struct iopt_takeover *takeover,
			      struct io_pagetable *iopt, unsigned long *iova)
{
	unsigned int n = IOPT_TAKEOVER_STEP;
	struct iopt_area *area;
	int rc;

	scoped_cond_guard(rwsem_read_kill, return -EINTR, &iopt->iova_rwsem) {
		iopt_for_each_area(area, iopt, *iova, ULONG_MAX) {
			/* An area that is being mapped stays with its process. */
			if (area->pages) {
				if (!area->pages->file)
					return -EINVAL;
				rc = iopt_takeover_pages(takeover, area->pages);
				if (rc)
					return rc;
			}
			*iova = iopt_area_last_iova(area) + 1;
			if (!*iova)
				return 0;
			if (!--n)
				return 1;
		}
	}
	return 0;
}

/**
 * iopt_takeover_add() - charge the pinned pages of an IOAS to the current process
 * @takeover: what is taken over
 * @iopt: the IOAS
 *
 * Memory that several areas share is charged once, also if they are in several IOASes.
 *
 * Return: 0, or
 * * -EINVAL: an area does not map memory of a file
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.iova_rwsem for reading and the mmap lock; may sleep.
 */
int iopt_takeover_add(struct iopt_takeover *takeover,
		      struct io_pagetable *iopt)
{
	unsigned long iova = 0;
	int rc;

	while ((rc = iopt_takeover_step(takeover, iopt, &iova)) > 0) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_takeover_add, IOMMU_IOPT);

/**
 * iopt_takeover_commit() - move the accounts of all memory to the current process
 * @takeover: what is taken over
 *
 * Context: takes the mmap lock; may sleep.
 */
void iopt_takeover_commit(struct iopt_takeover *takeover)
{
	struct iopt_takeover_item *item;
	unsigned long i;

	xa_for_each(&takeover->items, i, item) {
		iopt_pages_move(item->pages, item->pages->start,
				item->successor);
		cond_resched();
	}
}
EXPORT_SYMBOL_NS_GPL(iopt_takeover_commit, IOMMU_IOPT);

/**
 * iopt_takeover_end() - drop the accounts that are not used any more
 * @takeover: what was taken over
 *
 * After iopt_takeover_commit() these are the accounts of the former process, otherwise
 * those of the current process, so that nothing has changed.
 *
 * Context: may take the mmap lock; may sleep.
 */
void iopt_takeover_end(struct iopt_takeover *takeover)
{
	struct iopt_takeover_item *item;
	unsigned long i;

	xa_for_each(&takeover->items, i, item) {
		iopt_free_item(item);
		cond_resched();
	}
	xa_destroy(&takeover->items);
}
EXPORT_SYMBOL_NS_GPL(iopt_takeover_end, IOMMU_IOPT);
