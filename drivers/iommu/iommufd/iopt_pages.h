/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that areas map: see iopt_pages.c.
 */
#ifndef __IOPT_PAGES_H
#define __IOPT_PAGES_H

#include <kunit/visibility.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "io_pagetable.h"

struct iopt_area;
struct iopt_pages;
struct pfn_batch;
struct pfn_pinner;

/**
 * struct iopt_pages_ops - where an iopt_pages has its memory from
 * @pfnmap: there are no struct pages: nothing is pinned, counted or unpinned,
 *	and no in-kernel user can be given a page
 * @pin: pin at least one and at most npages pages from index on for a long
 *	time, and append them to the batch, which has room for npages runs, or
 *	with @pfnmap for at least one; gives the number of pages, or a negative
 *	errno with nothing pinned: EFAULT where there is no memory, ENOMEM, or
 *	what pinning gives
 * @rw: copy to or from the memory without pinning it first, or -EOPNOTSUPP
 *	where that cannot be done now; NULL where it never can
 * @release: give back what the origin holds on to
 */
struct iopt_pages_ops {
	bool pfnmap;
	long (*pin)(struct iopt_pages *pages, struct pfn_pinner *pinner,
		    struct pfn_batch *batch, unsigned long index,
		    unsigned long npages);
	int (*rw)(struct iopt_pages *pages, unsigned long start_byte,
		  void *data, unsigned long length, unsigned int flags);
	void (*release)(struct iopt_pages *pages);
};

/**
 * struct iopt_pages - one linear chunk of memory, pinned where it is in use
 * @kref: a count for each area that maps it, in any table
 * @mutex: guards the trees, @pinned_pfns, @npinned, @split_folios, the process
 *	that it is of and @start, and of areas what struct iopt_area says
 * @ops: the origin
 * @npages: its length in pages; page indices are 0 to @npages - 1
 * @npinned: pages pinned now, each counted once however many use it
 * @source_task: whose RLIMIT_MEMLOCK counts
 * @source_mm: whose pinned_vm counts, and the user memory's
 * @source_user: whose locked_vm counts with IOPT_PAGES_ACCOUNT_USER
 * @start: where the memory begins, page aligned: an address of @source_mm, or
 *	an offset in @file
 * @file: the file, counted, or NULL
 * @account_mode: where pages are counted
 * @unlimited: counted without a limit
 * @writable: pages are pinned for writing
 * @split_folios: a folio may lie in the memory without its pages being one
 *	behind the other, so that a page tells nothing about the next one
 * @pinned_pfns: the PFN of every page that an access holds, as value entries
 * @access_itree: struct iopt_pages_access by page index
 * @domains_itree: struct iopt_area.pages_node of areas filled into a domain
 *
 * Owner: the areas that count it. A page is pinned, once, exactly as long as
 * something in @access_itree or @domains_itree covers it; page indices are
 * those of the trees.
 */
struct iopt_pages {
	struct kref kref;
	/* guards what changes */
	struct mutex mutex;
	const struct iopt_pages_ops *ops;
	unsigned long npages;
	unsigned long npinned;
	struct task_struct *source_task;
	struct mm_struct *source_mm;
	struct user_struct *source_user;
	unsigned long start;
	struct file *file;
	u8 account_mode;
	bool unlimited;
	bool writable;
	bool split_folios;

	struct xarray pinned_pfns;
	struct rb_root_cached access_itree;
	struct rb_root_cached domains_itree;
};

/**
 * struct iopt_pages_access - pages that in-kernel users hold
 * @node: first and last page index, in &iopt_pages.access_itree
 * @area: the area that they were asked for through
 * @users: how often; the last one frees the access
 * @writable: one of them writes, so that what is held counts as dirty
 *
 * Guarded by &iopt_pages.mutex; owned by that tree.
 */
struct iopt_pages_access {
	struct interval_tree_node node;
	struct iopt_area *area;
	unsigned int users;
	bool writable;
};

struct iopt_pages *iopt_pages_alloc(const struct iopt_pages_ops *ops,
				    unsigned long npages, bool writable,
				    enum iopt_account_mode account_mode);
void iopt_pages_release(struct kref *kref);

static inline void iopt_pages_get(struct iopt_pages *pages)
{
	kref_get(&pages->kref);
}

static inline void iopt_pages_put(struct iopt_pages *pages)
{
	kref_put(&pages->kref, iopt_pages_release);
}

int iopt_pages_charge(struct iopt_pages *pages, unsigned long npages);
void iopt_pages_uncharge(struct iopt_pages *pages, unsigned long npages);

struct iopt_pages *iopt_pages_alloc_heir(struct iopt_pages *pages,
					 enum iopt_account_mode account_mode);
void iopt_pages_move(struct iopt_pages *pages, unsigned long start,
		     struct iopt_pages *heir);
void iopt_pages_free_heir(struct iopt_pages *heir);

/**
 * enum iopt_tier - where the PFN of a page can be had
 * @IOPT_TIER_XARRAY: an access holds it: &iopt_pages.pinned_pfns
 * @IOPT_TIER_DOMAIN: an area holds it in its storage domain
 * @IOPT_TIER_ORIGIN: nobody holds it, it has to be pinned
 */
enum iopt_tier {
	IOPT_TIER_XARRAY,
	IOPT_TIER_DOMAIN,
	IOPT_TIER_ORIGIN,
};

enum iopt_tier iopt_pages_tier(struct iopt_pages *pages, unsigned long index,
			       unsigned long *last, struct iopt_area **area);
bool iopt_pages_next_free(struct iopt_pages *pages, unsigned long *index,
			  unsigned long *last);

/* pages_user.c */
struct iopt_pages *iopt_pages_alloc_user(void __user *uptr,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode);

struct iopt_pages *pages_user_alloc(const struct iopt_pages_ops *ops,
				    unsigned long start, unsigned long length,
				    bool writable,
				    enum iopt_account_mode account_mode);
int pages_user_rw(struct iopt_pages *pages, unsigned long start_byte,
		  void *data, unsigned long length, unsigned int flags);

#if IS_ENABLED(CONFIG_KUNIT)
long pages_user_gup(struct iopt_pages *pages, unsigned long addr,
		    unsigned long npages, struct page **list);
#endif

/* pages_pfnmap.c */
struct iopt_pages *iopt_pages_alloc_pfnmap(void __user *uptr,
					   unsigned long length, bool writable);
unsigned long iopt_pfnmap_stretch(const void __user *uptr, unsigned long length,
				  bool *pfnmap);

#if IS_ENABLED(CONFIG_KUNIT)
long pages_pfnmap_lookup(struct iopt_pages *pages, unsigned long addr,
			 unsigned long *pfn);
#endif

/* pages_file.c */
struct iopt_pages *iopt_pages_alloc_file(struct file *file, unsigned long start,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode);

#endif
