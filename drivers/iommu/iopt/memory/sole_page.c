// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: sole pages
 *
 * A guest with a virtual IOMMU maps and unmaps single pages, at a high rate. Each is an
 * iopt_pages of one page, which stores the PFN of this page while it is pinned. So its
 * areas are filled and unfilled without a batch, and without a walk of the page table of
 * a domain to find the PFN.
 */
#include <linux/mm.h>

#include "memory/iopt_pages.h"

/**
 * iopt_pages_pin_sole() - pin the only page of an iopt_pages
 * @pages: the memory, with &iopt_pages_ops.pin_sole; the page is not pinned
 *
 * Sets &iopt_pages.sole_pfn.
 *
 * Return: 0, or, with nothing changed,
 * * -ENOMEM: the page would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EFAULT: there is no memory
 * * another error of the function that pins
 * Context: &iopt_pages.mutex held; may sleep.
 */
int iopt_pages_pin_sole(struct iopt_pages *pages)
{
	int rc;

	lockdep_assert_held(&pages->mutex);

	rc = iopt_pages_charge(pages, 1);
	if (rc)
		return rc;
	rc = pages->ops->pin_sole(pages);
	if (rc)
		iopt_pages_uncharge(pages, 1);
	return rc;
}

/**
 * iopt_pages_unpin_sole() - unpin the only page of an iopt_pages
 * @pages: the memory; the page is pinned, and no access and no domain uses it
 *
 * Context: &iopt_pages.mutex held; may sleep.
 */
void iopt_pages_unpin_sole(struct iopt_pages *pages)
{
	lockdep_assert_held(&pages->mutex);

	unpin_user_page_range_dirty_lock(pfn_to_page(pages->sole_pfn), 1,
					 pages->writable);
	iopt_pages_uncharge(pages, 1);
}
