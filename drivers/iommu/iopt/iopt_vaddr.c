// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: addresses that change
 *
 * A VMM that is replaced by a new one, for example by exec(2), keeps its mappings. The
 * old VMM invalidates the addresses of the memory with iopt_invalidate_vaddr(). The new
 * VMM has the memory at another address or in another process, and sets it with
 * iopt_update_vaddr(). Devices use the memory all the time, as its pages stay pinned.
 *
 * In between, memory cannot be pinned or copied by its address. As long as
 * &io_pagetable.num_invalid is not 0, accesses can neither pin nor copy, and no domain
 * can be added.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>

#include "domains/area_fill.h"
#include "iopt.h"
#include "iopt_takeover.h"
#include "memory/iopt_pages.h"
#include "memory/pages_pfnmap.h"
#include "space/iopt_area.h"

/* Check every area of a range, then invalidate the addresses of all. */
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
 * iopt_invalidate_vaddr() - invalidate the addresses of the memory of a range
 * @iopt: the IOAS
 * @iova: first IOVA
 * @last: last IOVA
 * @invalidated: set to the sum of the lengths of the areas in the range; 0 after an error
 *
 * Return: 0, also if nothing is mapped in the range, or, with nothing changed,
 * * -ENOENT: an area is only partly in the range
 * * -EINVAL: the address of an area is invalid already, or an area maps memory of a file
 * * -EBUSY: an area is being mapped or unmapped
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.iova_rwsem for writing.
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

/*
 * Check that areas cover exactly the range, that the address of each is invalid, and that
 * the new address of each has the offset in its page that the old one had.
 */
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

/* Charge the pinned pages of a range to the current process, or on an error none. */
static int iopt_take_over_range(struct io_pagetable *iopt, unsigned long iova,
				unsigned long last,
				struct iopt_takeover *takeover)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_area(area, iopt, iova, last) {
		rc = iopt_takeover_pages(takeover, area->pages);
		if (rc) {
			iopt_takeover_end(takeover);
			return rc;
		}
		cond_resched();
	}
	return 0;
}

/* Return: the start of the memory, if the first byte of the area is at @vaddr. */
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

/* Prepare the move of every PFNMAP of a range, or on an error of none. */
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
	struct iopt_takeover takeover;
	struct iopt_area *area;
	int rc;

	rc = iopt_check_vaddr(iopt, iova, last, vaddr);
	if (rc)
		return rc;
	iopt_takeover_init(&takeover, account_mode);
	rc = iopt_take_over_range(iopt, iova, last, &takeover);
	if (rc)
		return rc;
	rc = iopt_prepare_pfnmaps(iopt, iova, last, vaddr);
	if (rc) {
		iopt_takeover_end(&takeover);
		return rc;
	}

	iopt_for_each_area(area, iopt, iova, last) {
		unsigned long first = iopt_area_iova(area);
		struct iopt_pages *pages = area->pages;

		iopt_pages_move(pages,
				iopt_moved_start(area, vaddr + (first - iova)),
				iopt_takeover_successor(&takeover, pages));
		if (pages->ops->pfnmap)
			iopt_area_move_pfnmap(area);
		area->vaddr_invalid = false;
		iopt->num_invalid--;
		cond_resched();
	}
	iopt_takeover_end(&takeover);
	return 0;
}

/**
 * iopt_update_vaddr() - set the new address of the memory of a range
 * @iopt: the IOAS
 * @iova: first IOVA
 * @length: length in bytes
 * @vaddr: address of the first byte in the current process
 * @account_mode: counter that pages are charged to, if the process changes
 *
 * Moves the accounting of pinned pages to the current process. Areas that share an
 * iopt_pages share its address, such as areas that were split from one: the last update
 * applies to all of them. The page frames of a PFNMAP are read again at the new
 * address; if the process does not map a PFNMAP there, no domain maps the area.
 *
 * Return: 0, or, with nothing changed,
 * * -ENOENT: nothing is mapped in the range
 * * -EINVAL: @length is 0; the areas do not cover exactly the range; the address of an
 *   area is valid; or the offset of an area in its page would change
 * * -EOVERFLOW: a range wraps
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EINTR: the process received a fatal signal
 * * another error of iopt_pages_alloc_successor() or iopt_pfnmap_prepare_move()
 * Context: takes &io_pagetable.iova_rwsem for writing and the mmap lock; may sleep.
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
