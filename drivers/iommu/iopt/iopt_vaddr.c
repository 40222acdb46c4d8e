// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: addresses that change
 *
 * A VMM that is about to replace itself says that the addresses of its memory
 * become invalid, and the new one, at another address or in another process,
 * says where the memory is now. Devices go on with the page frames they have.
 * In between nothing can be pinned or copied through an address, so whoever
 * needs that is refused: &io_pagetable.num_invalid.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/xarray.h>

#include "domains/area_fill.h"
#include "iopt.h"
#include "memory/iopt_pages.h"
#include "memory/pages_pfnmap.h"
#include "space/iopt_area.h"

static int iopt_invalidate_locked(struct io_pagetable *iopt, unsigned long iova,
				  unsigned long last, unsigned long *invalidated)
{
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages)
			return -EBUSY;
		if (iopt_area_iova(area) < iova ||
		    iopt_area_last_iova(area) > last)
			return -ENOENT;
		if (area->vaddr_invalid || area->pages->file)
			return -EINVAL;
		cond_resched();
	}
	iopt_for_each_area(area, iopt, iova, last) {
		area->vaddr_invalid = true;
		iopt->num_invalid++;
		*invalidated += iopt_area_length(area);
		cond_resched();
	}
	return 0;
}

/**
 * iopt_invalidate_vaddr() - memory will have another address
 * @iopt: the table
 * @iova: first byte
 * @last: last byte
 * @invalidated: set to the sum of the lengths of the areas in the range; 0 after
 *	an error
 *
 * Return: 0, also where nothing is mapped; ENOENT where the range would cut an
 * area; EINVAL where an area has no address already, or never had one, being of
 * a file; EBUSY where an area is being mapped or unmapped; EINTR if the
 * process was killed. After an error nothing has changed.
 * Context: takes &io_pagetable.iova_rwsem.
 */
int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *invalidated)
{
	int rc;

	*invalidated = 0;
	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	rc = iopt_invalidate_locked(iopt, iova, last, invalidated);
	up_write(&iopt->iova_rwsem);
	return rc;
}

/* Whether the areas are just the range, without a gap, and have no address. */
static int iopt_check_vaddr(struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last, unsigned long vaddr)
{
	struct iopt_area_contig contig;

	if (!iopt_area_first(iopt, iova, last))
		return -ENOENT;
	iopt_for_each_contig_area(&contig, iopt, iova, last) {
		struct iopt_area *area = contig.area;

		if (!area->vaddr_invalid ||
		    iopt_area_iova(area) != contig.iova ||
		    iopt_area_last_iova(area) != contig.last ||
		    offset_in_page(vaddr + (contig.iova - iova)) !=
			    area->page_offset)
			return -EINVAL;
	}
	return iopt_area_contig_done(&contig) ? 0 : -EINVAL;
}

static void iopt_free_successors(struct xarray *successors)
{
	struct iopt_pages *successor;
	unsigned long i;

	xa_for_each(successors, i, successor)
		iopt_pages_free_successor(successor);
	xa_destroy(successors);
}

/* The index of an iopt_pages in an xarray: it is aligned to more than this. */
static unsigned long iopt_pages_key(const struct iopt_pages *pages)
{
	return (unsigned long)pages / sizeof(long);
}

/* Account the pages of an area to the current process, once if areas share them. */
static int iopt_add_successor(struct xarray *successors,
			      struct iopt_pages *pages,
			      enum iopt_account_mode account_mode)
{
	struct iopt_pages *successor;
	int rc;

	if (xa_load(successors, iopt_pages_key(pages)))
		return 0;
	successor = iopt_pages_alloc_successor(pages, account_mode);
	if (IS_ERR_OR_NULL(successor))
		return PTR_ERR_OR_ZERO(successor);
	rc = xa_insert(successors, iopt_pages_key(pages), successor,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		iopt_pages_free_successor(successor);
	return rc;
}

/* Account what is pinned to the current process; after an error nothing is. */
static int iopt_alloc_successors(struct io_pagetable *iopt, unsigned long iova,
				 unsigned long last, struct xarray *successors,
				 enum iopt_account_mode account_mode)
{
	struct iopt_area *area;
	int rc;

	xa_init_flags(successors, XA_FLAGS_ACCOUNT);
	iopt_for_each_area(area, iopt, iova, last) {
		rc = iopt_add_successor(successors, area->pages, account_mode);
		if (rc) {
			iopt_free_successors(successors);
			return rc;
		}
		cond_resched();
	}
	return 0;
}

/* Where the first page of an area's memory is, when the area's is at @vaddr. */
static unsigned long iopt_moved_start(const struct iopt_area *area,
				      unsigned long vaddr)
{
	return vaddr - iopt_area_start_byte(area, iopt_area_iova(area));
}

static void iopt_cancel_pfnmaps(struct io_pagetable *iopt, unsigned long iova,
				unsigned long last)
{
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, iova, last)
		if (area->pages->ops->pfnmap)
			iopt_pfnmap_cancel_move(area->pages);
}

/* Follow PFNMAPs at their new addresses, too; on an error not. */
static int iopt_prepare_pfnmaps(struct io_pagetable *iopt, unsigned long iova,
				unsigned long last, unsigned long vaddr)
{
	struct iopt_area *area;
	unsigned long start;
	int rc = 0;

	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages->ops->pfnmap)
			continue;
		start = vaddr + (iopt_area_iova(area) - iova);
		rc = iopt_pfnmap_prepare_move(area->pages,
					      iopt_moved_start(area, start));
		if (rc) {
			iopt_cancel_pfnmaps(iopt, iova, last);
			break;
		}
	}
	return rc;
}

static int iopt_update_locked(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long last, unsigned long vaddr,
			      enum iopt_account_mode account_mode)
{
	struct xarray successors;
	struct iopt_area *area;
	int rc;

	rc = iopt_check_vaddr(iopt, iova, last, vaddr);
	if (rc)
		return rc;
	rc = iopt_alloc_successors(iopt, iova, last, &successors, account_mode);
	if (rc)
		return rc;
	rc = iopt_prepare_pfnmaps(iopt, iova, last, vaddr);
	if (rc) {
		iopt_free_successors(&successors);
		return rc;
	}

	iopt_for_each_area(area, iopt, iova, last) {
		unsigned long first = iopt_area_iova(area);
		struct iopt_pages *pages = area->pages;

		iopt_pages_move(pages,
				iopt_moved_start(area, vaddr + (first - iova)),
				xa_load(&successors, iopt_pages_key(pages)));
		if (pages->ops->pfnmap)
			iopt_area_move_pfnmap(area);
		area->vaddr_invalid = false;
		iopt->num_invalid--;
		cond_resched();
	}
	iopt_free_successors(&successors);
	return 0;
}

/**
 * iopt_update_vaddr() - memory has another address
 * @iopt: the table
 * @iova: first byte
 * @length: bytes
 * @vaddr: where the first byte is in the current process
 * @account_mode: how another process than before wants its pages counted
 *
 * Whatever is pinned is counted for the current process from now on. Areas that
 * share memory, as those that were split from one do, share its address too. A
 * PFNMAP is looked up at its new address, and is mapped only if it is found there.
 *
 * Return: 0; ENOENT where nothing is mapped; EINVAL where the areas of the range
 * are not just the range without a gap, have an address, or begin elsewhere in
 * their page than @vaddr does, and for a length of zero; EOVERFLOW where a range
 * wraps; ENOMEM where the process may not lock so much. After an error nothing
 * has changed.
 * Context: takes &io_pagetable.iova_rwsem and the mmap lock; may sleep.
 */
int iopt_update_vaddr(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, unsigned long vaddr,
		      enum iopt_account_mode account_mode)
{
	unsigned long last, vlast;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last) ||
	    check_add_overflow(vaddr, length - 1, &vlast))
		return -EOVERFLOW;

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	rc = iopt_update_locked(iopt, iova, last, vaddr, account_mode);
	up_write(&iopt->iova_rwsem);
	return rc;
}
