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

#include "memory/iopt_account.h"

struct iopt_access;
struct iopt_area;
struct iopt_pages;
struct iopt_pfnmap;
struct pfn_batch;
struct pfn_pinner;

/**
 * struct iopt_pages_ops - operations of an origin of memory
 * @pfnmap: the memory has no struct pages: it is neither pinned nor accounted, and
 *	accesses cannot pin it
 * @pin: pin 1 to npages pages with FOLL_LONGTERM semantics, starting at index, and
 *	append them to the batch, which has room for npages runs; returns the number of
 *	pages, or a negative errno with nothing pinned: -EFAULT if there is no memory at
 *	index, -ENOMEM, or the error of the function that pins; NULL with @pfnmap
 * @pin_sole: pin the only page of the memory with FOLL_LONGTERM semantics, and set
 *	&iopt_pages.sole_pfn; returns 0 or an error as @pin; if NULL, @pin is used
 * @rw: copy to or from the memory by user address; returns -EOPNOTSUPP if the current
 *	thread cannot use that address; NULL for memory without a user address
 * @rw_page: copy to or from one page that is not pinned; pins the page for the time of
 *	the copy only, and does not account it; NULL with @pfnmap
 * @release: put the objects that the origin has a reference on; may be NULL
 */
struct iopt_pages_ops {
	bool pfnmap;
	long (*pin)(struct iopt_pages *pages, struct pfn_pinner *pinner,
		    struct pfn_batch *batch, unsigned long index,
		    unsigned long npages);
	int (*pin_sole)(struct iopt_pages *pages);
	int (*rw)(struct iopt_pages *pages, unsigned long start_byte,
		  void *data, unsigned long length, unsigned int flags);
	int (*rw_page)(struct iopt_pages *pages, unsigned long index,
		       unsigned int offset, void *data, unsigned int length,
		       bool write);
	void (*release)(struct iopt_pages *pages);
};

/**
 * struct iopt_pages - a linear range of memory, whose pages are pinned while in use
 * @kref: references: one for each area that maps the memory, in any IOAS
 * @mutex: guards the trees, @pinned_pfns, @npinned, @sole_pfn, @partial_folios, @start,
 *	@pfnmap, the source_* members, @account_mode and @unlimited; also the members of
 *	struct iopt_area that are documented as guarded by it
 * @ops: the origin of the memory
 * @npages: length in pages; page indices are 0 to @npages - 1
 * @npinned: number of pages that are pinned; a page with several users counts once
 * @sole_pfn: if @npages is 1, the PFN of the page while it is pinned
 * @source_task: the process whose RLIMIT_MEMLOCK applies
 * @source_mm: the mm of user memory, also the mm that pages are accounted to
 * @source_user: the user that pages are charged to with IOPT_PAGES_ACCOUNT_USER
 * @start: start of the memory, page aligned: an address in @source_mm, or an offset in
 *	@file
 * @file: the file, with a reference, or NULL
 * @pfnmap: lifetime of PFNMAP memory, and the domains that map it; NULL for other
 *	memory
 * @account_mode: counter that pages are charged to
 * @unlimited: charge pages without a limit
 * @writable: pin pages for writing
 * @partial_folios: a folio may be in the memory only in part, or its pages out of
 *	order; from the PFN of one page the PFN of the next page cannot be derived
 * @pinned_pfns: the PFNs of pages that accesses have pinned, as value entries by page
 *	index
 * @access_itree: struct iopt_pages_access by page index
 * @domains_itree: &iopt_area.pages_node of areas that are filled into a domain, by page
 *	index
 *
 * Owner: the areas that have a reference. A page is pinned exactly as long as a node
 * of @access_itree or @domains_itree covers its index, and it is pinned once.
 */
struct iopt_pages {
	struct kref kref;
	/* guards every member that changes */
	struct mutex mutex;
	const struct iopt_pages_ops *ops;
	unsigned long npages;
	unsigned long npinned;
	unsigned long sole_pfn;
	struct task_struct *source_task;
	struct mm_struct *source_mm;
	struct user_struct *source_user;
	u64 start;
	struct file *file;
	struct iopt_pfnmap *pfnmap;
	u8 account_mode;
	bool unlimited;
	bool writable;
	bool partial_folios;

	struct xarray pinned_pfns;
	struct rb_root_cached access_itree;
	struct rb_root_cached domains_itree;
};

/**
 * struct iopt_pages_access - pages that an access has pinned
 * @node: first and last page index, in &iopt_pages.access_itree
 * @area: the area that the pages were pinned through
 * @owner: the access, which unpins the pages; without a reference
 * @pins: number of pins of the range; when it drops to 0, this object is freed
 * @write_pins: number of pins for writing; the pages are dirty if it is not 0
 *
 * Guarded by &iopt_pages.mutex. Owner: &iopt_pages.access_itree.
 */
struct iopt_pages_access {
	struct interval_tree_node node;
	struct iopt_area *area;
	const struct iopt_access *owner;
	unsigned int pins;
	unsigned int write_pins;
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

int iopt_pages_check_area(const struct iopt_pages *pages,
			  unsigned long start_byte, unsigned long length,
			  int prot);
int iopt_pages_charge(struct iopt_pages *pages, unsigned long npages);
void iopt_pages_uncharge(struct iopt_pages *pages, unsigned long npages);

struct iopt_pages *
iopt_pages_alloc_successor(struct iopt_pages *pages,
			   enum iopt_account_mode account_mode);
void iopt_pages_move(struct iopt_pages *pages, unsigned long start,
		     struct iopt_pages *successor);
void iopt_pages_free_successor(struct iopt_pages *successor);

/**
 * enum iopt_tier - the place that the PFN of a page is read from
 * @IOPT_TIER_XARRAY: &iopt_pages.pinned_pfns, as an access has pinned the page
 * @IOPT_TIER_DOMAIN: &iopt_area.storage_domain of an area that maps the page
 * @IOPT_TIER_ORIGIN: the origin: the page is not pinned and has to be
 */
enum iopt_tier {
	IOPT_TIER_XARRAY,
	IOPT_TIER_DOMAIN,
	IOPT_TIER_ORIGIN,
};

enum iopt_tier iopt_pages_tier(struct iopt_pages *pages, unsigned long index,
			       unsigned long *last, struct iopt_area **area);
bool iopt_pages_next_unused(struct iopt_pages *pages, unsigned long *index,
			    unsigned long *last);

/* sole_page.c */
int iopt_pages_pin_sole(struct iopt_pages *pages);
void iopt_pages_unpin_sole(struct iopt_pages *pages);

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
unsigned long iopt_pfnmap_range_length(const void __user *uptr,
				       unsigned long length, bool *pfnmap);

/* pages_file.c */
struct iopt_pages *iopt_pages_alloc_file(struct file *file, u64 start,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode);

#endif
