// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: pages
 *
 * An iopt_pages is a linear chunk of memory that any number of areas, in any
 * number of tables, map slices of. A page of it is pinned once, and counted
 * once, as long as at least one area has it in a domain or one in-kernel user
 * holds it. The two interval trees say which pages that is; there is no count
 * per page that could go wrong.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_pages.h"
#include "test_hooks.h"

/**
 * iopt_pages_alloc() - what all origins have in common
 * @ops: the origin
 * @npages: length in pages
 * @writable: pin for writing
 * @account_mode: how the caller wants pages counted; who may lock any amount
 *	of memory is counted only with IOPT_PAGES_ACCOUNT_TYPE1
 *
 * Return: an iopt_pages with a count of one, or NULL.
 * Context: the memory is the current task's to account for.
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
 * iopt_pages_release() - free an iopt_pages that nobody counts any more
 * @kref: its count
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

/* An mm that has no users any more has nothing that could be counted. */
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

/* Where nobody else knows @pages, or &iopt_pages.mutex is held. */
static int iopt_pages_count(struct iopt_pages *pages, unsigned long npages,
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

/* The same backwards. */
static void iopt_pages_discount(struct iopt_pages *pages, unsigned long npages)
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
 * iopt_pages_charge() - account for pages that are going to be pinned
 * @pages: where; of a PFNMAP nothing is counted
 * @npages: how many
 *
 * Return: 0; ENOMEM where RLIMIT_MEMLOCK is in the way, EFAULT where the
 * process is gone that has to account for them.
 * Context: &iopt_pages.mutex held; may take the mmap lock.
 */
int iopt_pages_charge(struct iopt_pages *pages, unsigned long npages)
{
	lockdep_assert_held(&pages->mutex);

	if (iommufd_should_fail())
		return -ENOMEM;
	if (pages->ops->pfnmap)
		return 0;
	return iopt_pages_count(pages, npages, !pages->unlimited);
}

/**
 * iopt_pages_uncharge() - undo iopt_pages_charge(), in part or as a whole
 * @pages: where
 * @npages: how many
 *
 * Context: &iopt_pages.mutex held; may take the mmap lock.
 */
void iopt_pages_uncharge(struct iopt_pages *pages, unsigned long npages)
{
	lockdep_assert_held(&pages->mutex);

	if (!pages->ops->pfnmap)
		iopt_pages_discount(pages, npages);
}

/**
 * iopt_pages_alloc_heir() - have the current process account as well
 * @pages: memory that it is going to take over
 * @account_mode: how, as for iopt_pages_alloc()
 *
 * Return: what is charged for as many pages as are pinned now, the way they are;
 * NULL where the process has the memory already; ENOMEM where RLIMIT_MEMLOCK or
 * a lack of memory is in the way.
 * Context: takes &iopt_pages.mutex and the mmap lock; may sleep.
 */
struct iopt_pages *iopt_pages_alloc_heir(struct iopt_pages *pages,
					 enum iopt_account_mode account_mode)
{
	static const struct iopt_pages_ops heir_ops;
	struct iopt_pages *heir = NULL;
	bool limited;
	int rc = 0;

	mutex_lock(&pages->mutex);
	if (pages->source_mm == current->mm)
		goto out_unlock;
	heir = iopt_pages_alloc(&heir_ops, pages->npages, false, account_mode);
	if (!heir) {
		rc = -ENOMEM;
		goto out_unlock;
	}
	/* Who counts them already may count them twice for a moment. */
	limited = !heir->unlimited &&
		  !(heir->account_mode == IOPT_PAGES_ACCOUNT_USER &&
		    pages->account_mode == IOPT_PAGES_ACCOUNT_USER &&
		    heir->source_user == pages->source_user);
	rc = iopt_pages_count(heir, pages->npinned, limited);
	if (rc)
		iopt_pages_put(heir);

out_unlock:
	mutex_unlock(&pages->mutex);
	return rc ? ERR_PTR(rc) : heir;
}

/**
 * iopt_pages_move() - memory has another address, maybe in another process
 * @pages: the memory
 * @start: the new &iopt_pages.start
 * @heir: the new process' account, which becomes that of the old one; or NULL
 *
 * Context: takes &iopt_pages.mutex and maybe the mmap lock; may sleep.
 */
void iopt_pages_move(struct iopt_pages *pages, unsigned long start,
		     struct iopt_pages *heir)
{
	guard(mutex)(&pages->mutex);
	pages->start = start;
	if (!heir || pages->source_mm == heir->source_mm)
		return;
	/* Another table may have pinned or unpinned some meanwhile. */
	if (pages->npinned > heir->npinned)
		iopt_pages_count(heir, pages->npinned - heir->npinned, false);
	else
		iopt_pages_discount(heir, heir->npinned - pages->npinned);
	swap(pages->source_task, heir->source_task);
	swap(pages->source_mm, heir->source_mm);
	swap(pages->source_user, heir->source_user);
	swap(pages->account_mode, heir->account_mode);
	swap(pages->unlimited, heir->unlimited);
}

/**
 * iopt_pages_free_heir() - uncharge who does not have memory
 * @heir: from iopt_pages_alloc_heir(), with or without iopt_pages_move(), or NULL
 *
 * Context: may take the mmap lock; may sleep.
 */
void iopt_pages_free_heir(struct iopt_pages *heir)
{
	if (!heir)
		return;
	iopt_pages_discount(heir, heir->npinned);
	iopt_pages_put(heir);
}

/* Where the first node begins that has a page in [index, last]. */
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
	/* It covers something, but not the first page. */
	*last = node->start - 1;
	return NULL;
}

/**
 * iopt_pages_tier() - where PFNs are best read from
 * @pages: the pages
 * @index: first page index
 * @last: last page index; lowered to the last one of which the same is true
 * @area: set for IOPT_TIER_DOMAIN: an area that has them in its storage domain
 *
 * Return: the cheapest place that has the page of @index.
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
 * iopt_pages_next_free() - find pages that nothing holds
 * @pages: the pages
 * @index: where to begin; set to the first such page
 * @last: where to end; set to the last one behind it
 *
 * Return: false where all of the range is held.
 * Context: &iopt_pages.mutex held.
 */
bool iopt_pages_next_free(struct iopt_pages *pages, unsigned long *index,
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
	}
	return true;
}
