// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: pages
 *
 * An iopt_pages is a linear range of memory. Any number of areas, in any number of
 * IOASes, map slices of it. A page is pinned once, and accounted once, as long as a
 * domain maps it or an access has pinned it. The two interval trees of an iopt_pages
 * define the pages that are pinned; there is no reference count per page.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "space/iopt_area.h"
#include "memory/iopt_pages.h"
#include "test_hooks.h"

/**
 * iopt_pages_alloc() - allocate an iopt_pages
 * @ops: the origin
 * @npages: length in pages
 * @writable: pin pages for writing
 * @account_mode: counter that pages are charged to; with CAP_IPC_LOCK, pages are
 *	charged only with IOPT_PAGES_ACCOUNT_TYPE1, and without a limit
 *
 * Pages are accounted to the current process. The caller, a function of the origin,
 * sets the members that the origin needs.
 *
 * Return: an iopt_pages with one reference, or NULL.
 */
struct iopt_pages *iopt_pages_alloc(const struct iopt_pages_ops *ops,
				    unsigned long npages, bool writable,
				    enum iopt_account_mode account_mode)
{
	struct iopt_pages *pages = kzalloc(sizeof(*pages), GFP_KERNEL_ACCOUNT);

	if (!pages)
		return NULL;
	kref_init(&pages->kref);
	mutex_init(&pages->mutex);
	pages->ops = ops;
	pages->npages = npages;
	pages->writable = writable;
	pages->account_mode = account_mode;
	if (capable(CAP_IPC_LOCK)) {
		if (account_mode == IOPT_PAGES_ACCOUNT_TYPE1)
			pages->unlimited = true;
		else
			pages->account_mode = IOPT_PAGES_ACCOUNT_NONE;
	}
	pages->source_task = get_task_struct(current->group_leader);
	pages->source_mm = current->mm;
	mmgrab(pages->source_mm);
	pages->source_user = get_uid(current_user());
	xa_init_flags(&pages->pinned_pfns, XA_FLAGS_ACCOUNT);
	pages->access_itree = RB_ROOT_CACHED;
	pages->domains_itree = RB_ROOT_CACHED;
	return pages;
}

/**
 * iopt_pages_release() - free an iopt_pages after its last reference was put
 * @kref: &iopt_pages.kref
 */
void iopt_pages_release(struct kref *kref)
{
	struct iopt_pages *pages = container_of(kref, struct iopt_pages, kref);

	WARN_ON(!RB_EMPTY_ROOT(&pages->access_itree.rb_root));
	WARN_ON(!RB_EMPTY_ROOT(&pages->domains_itree.rb_root));
	WARN_ON(!xa_empty(&pages->pinned_pfns));
	WARN_ON(pages->npinned);
	if (pages->ops->release)
		pages->ops->release(pages);
	mutex_destroy(&pages->mutex);
	mmdrop(pages->source_mm);
	put_task_struct(pages->source_task);
	free_uid(pages->source_user);
	kfree(pages);
}

static int iopt_pages_charge_user(struct iopt_pages *pages,
				  unsigned long npages, bool limited)
{
	unsigned long limit = task_rlimit(pages->source_task, RLIMIT_MEMLOCK) >>
			      PAGE_SHIFT;
	atomic_long_t *locked = &pages->source_user->locked_vm;
	unsigned long now = atomic_long_read(locked);

	if (!limited) {
		atomic_long_add(npages, locked);
		return 0;
	}
	do {
		if (npages > limit || now > limit - npages)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(locked, &now, now + npages));
	return 0;
}

/*
 * Charge or uncharge locked_vm of the mm. An mm without users has exited: it cannot be
 * charged, and there is nothing left to uncharge.
 */
static int iopt_pages_account_mm(struct iopt_pages *pages, unsigned long npages,
				 bool charge, bool limited)
{
	struct mm_struct *mm = pages->source_mm;
	int rc;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_write_lock(mm);
	rc = __account_locked_vm(mm, npages, charge, pages->source_task,
				 !limited);
	mmap_write_unlock(mm);
	mmput(mm);
	return rc;
}

/* Account @npages more pages. &iopt_pages.mutex is held, or @pages is not shared yet. */
static int iopt_pages_account(struct iopt_pages *pages, unsigned long npages,
			      bool limited)
{
	int rc = 0;

	switch (pages->account_mode) {
	case IOPT_PAGES_ACCOUNT_USER:
		rc = iopt_pages_charge_user(pages, npages, limited);
		break;
	case IOPT_PAGES_ACCOUNT_MM:
	case IOPT_PAGES_ACCOUNT_TYPE1:
		rc = iopt_pages_account_mm(pages, npages, true, limited);
		break;
	}
	if (rc)
		return rc;
	pages->npinned += npages;
	IOPT_WARN_ON(pages->npinned > pages->npages);
	atomic64_add(npages, &pages->source_mm->pinned_vm);
	return 0;
}

/* Undo iopt_pages_account() for @npages pages. */
static void iopt_pages_unaccount(struct iopt_pages *pages, unsigned long npages)
{
	if (WARN_ON(npages > pages->npinned))
		npages = pages->npinned;
	pages->npinned -= npages;
	switch (pages->account_mode) {
	case IOPT_PAGES_ACCOUNT_USER:
		atomic_long_sub(npages, &pages->source_user->locked_vm);
		break;
	case IOPT_PAGES_ACCOUNT_MM:
	case IOPT_PAGES_ACCOUNT_TYPE1:
		iopt_pages_account_mm(pages, npages, false, false);
		break;
	}
	atomic64_sub(npages, &pages->source_mm->pinned_vm);
}

/**
 * iopt_pages_charge() - account pages that the caller is about to pin
 * @pages: the memory; not PFNMAP memory, which is never pinned
 * @npages: number of pages
 *
 * Return: 0, or
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK
 * * -EFAULT: pages are charged to an mm whose process has exited
 * Context: &iopt_pages.mutex held; may take the mmap lock.
 */
int iopt_pages_charge(struct iopt_pages *pages, unsigned long npages)
{
	lockdep_assert_held(&pages->mutex);

	if (iopt_should_fail())
		return -ENOMEM;
	return iopt_pages_account(pages, npages, !pages->unlimited);
}

/**
 * iopt_pages_uncharge() - undo iopt_pages_charge() for some or all of its pages
 * @pages: the memory
 * @npages: number of pages
 *
 * Context: &iopt_pages.mutex held; may take the mmap lock.
 */
void iopt_pages_uncharge(struct iopt_pages *pages, unsigned long npages)
{
	lockdep_assert_held(&pages->mutex);

	iopt_pages_unaccount(pages, npages);
}

/**
 * iopt_pages_alloc_successor() - account pinned pages to the current process as well
 * @pages: the memory that the current process is about to take over
 * @account_mode: counter that pages are charged to, as for iopt_pages_alloc()
 *
 * The successor is an iopt_pages without memory. It accounts as many pages as @pages
 * has pinned, to the current process.
 *
 * Return: the successor; NULL if @pages belongs to the current process already; or an
 * ERR_PTR() of
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * Context: takes &iopt_pages.mutex and the mmap lock; may sleep.
 */
struct iopt_pages *
iopt_pages_alloc_successor(struct iopt_pages *pages,
			   enum iopt_account_mode account_mode)
{
	static const struct iopt_pages_ops successor_ops;
	struct iopt_pages *successor = NULL;
	bool limited;
	int rc = 0;

	mutex_lock(&pages->mutex);
	if (pages->source_mm == current->mm)
		goto out_unlock;
	successor = iopt_pages_alloc(&successor_ops, pages->npages, false,
				     account_mode);
	if (!successor) {
		rc = -ENOMEM;
		goto out_unlock;
	}
	/*
	 * If the pages are charged to this user already, charging them twice until
	 * iopt_pages_free_successor() must not fail.
	 */
	limited = !successor->unlimited &&
		  !(successor->account_mode == IOPT_PAGES_ACCOUNT_USER &&
		    pages->account_mode == IOPT_PAGES_ACCOUNT_USER &&
		    successor->source_user == pages->source_user);
	rc = iopt_pages_account(successor, pages->npinned, limited);
	if (rc)
		iopt_pages_put(successor);

out_unlock:
	mutex_unlock(&pages->mutex);
	return rc ? ERR_PTR(rc) : successor;
}

/**
 * iopt_pages_move() - change the address of memory, and optionally its process
 * @pages: the memory
 * @start: the new &iopt_pages.start
 * @successor: accounts the pages to the current process; @pages and @successor
 *	exchange their accounts; NULL if the process does not change
 *
 * If several areas map @pages, the first call of an update exchanges the accounts. The
 * next calls find that @pages belongs to the current process and only set the address.
 *
 * Context: takes &iopt_pages.mutex, and may take the mmap lock; may sleep.
 */
void iopt_pages_move(struct iopt_pages *pages, unsigned long start,
		     struct iopt_pages *successor)
{
	guard(mutex)(&pages->mutex);
	pages->start = start;
	if (!successor || pages->source_mm == current->mm)
		return;
	/* Pages may have been pinned or unpinned in between, by another IOAS at least. */
	if (pages->npinned > successor->npinned)
		iopt_pages_account(successor,
				   pages->npinned - successor->npinned, false);
	else
		iopt_pages_unaccount(successor,
				     successor->npinned - pages->npinned);
	swap(pages->source_task, successor->source_task);
	swap(pages->source_mm, successor->source_mm);
	swap(pages->source_user, successor->source_user);
	swap(pages->account_mode, successor->account_mode);
	swap(pages->unlimited, successor->unlimited);
}

/**
 * iopt_pages_free_successor() - free a successor and unaccount its pages
 * @successor: from iopt_pages_alloc_successor(), or NULL
 *
 * After iopt_pages_move() this is the account of the previous process, otherwise that
 * of the current process.
 *
 * Context: may take the mmap lock; may sleep.
 */
void iopt_pages_free_successor(struct iopt_pages *successor)
{
	if (!successor)
		return;
	iopt_pages_unaccount(successor, successor->npinned);
	iopt_pages_put(successor);
}

/*
 * Find the node that covers @index. If there is none, lower @last to the page in front
 * of the first node in [index, last]. Return: the node, or NULL.
 */
static struct interval_tree_node *
iopt_pages_first_node(struct rb_root_cached *tree, unsigned long index,
		      unsigned long *last)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(tree, index, *last);
	if (!node)
		return NULL;
	if (node->start <= index)
		return node;
	/* The node covers a part of the range, but not @index. */
	*last = node->start - 1;
	return NULL;
}

/**
 * iopt_pages_tier() - find the place to read PFNs from
 * @pages: the memory
 * @index: first page index
 * @last: last page index; lowered to the last page index with the result of @index
 * @area: for IOPT_TIER_DOMAIN, set to an area that maps the pages in its storage domain
 *
 * Return: of the places that have the PFN of @index, the fastest to read.
 * Context: &iopt_pages.mutex held.
 */
enum iopt_tier iopt_pages_tier(struct iopt_pages *pages, unsigned long index,
			       unsigned long *last, struct iopt_area **area)
{
	struct interval_tree_node *node;

	lockdep_assert_held(&pages->mutex);

	node = iopt_pages_first_node(&pages->access_itree, index, last);
	if (node) {
		*last = min(*last, node->last);
		return IOPT_TIER_XARRAY;
	}
	node = iopt_pages_first_node(&pages->domains_itree, index, last);
	if (node) {
		*last = min(*last, node->last);
		*area = container_of(node, struct iopt_area, pages_node);
		return IOPT_TIER_DOMAIN;
	}
	return IOPT_TIER_ORIGIN;
}

/**
 * iopt_pages_next_unused() - find pages that no access and no domain uses
 * @pages: the memory
 * @index: first page index; set to the first unused page
 * @last: last page index; set to the last unused page that follows without a gap
 *
 * Return: false if every page of the range is in use.
 * Context: &iopt_pages.mutex held; may sleep.
 */
bool iopt_pages_next_unused(struct iopt_pages *pages, unsigned long *index,
			    unsigned long *last)
{
	unsigned long end = *last;
	struct iopt_area *area;

	if (RB_EMPTY_ROOT(&pages->access_itree.rb_root) &&
	    RB_EMPTY_ROOT(&pages->domains_itree.rb_root))
		return true;
	while (iopt_pages_tier(pages, *index, last, &area) != IOPT_TIER_ORIGIN) {
		if (*last == end)
			return false;
		*index = *last + 1;
		*last = end;
		cond_resched();
	}
	return true;
}

/**
 * iopt_pages_check_area() - check whether an area may map a slice
 * @pages: the memory
 * @start_byte: byte offset of the slice in @pages
 * @length: length in bytes, at least 1
 * @prot: IOMMU_READ, IOMMU_WRITE ... of the area
 *
 * Return: 0, or
 * * -EPERM: @prot has IOMMU_WRITE, but @pages is not writable
 * * -EINVAL: the slice is not within @pages, which is a bug
 */
int iopt_pages_check_area(const struct iopt_pages *pages,
			  unsigned long start_byte, unsigned long length,
			  int prot)
{
	if ((prot & IOMMU_WRITE) && !pages->writable)
		return -EPERM;
	if (WARN_ON((start_byte + length - 1) / PAGE_SIZE >= pages->npages))
		return -EINVAL;
	return 0;
}
