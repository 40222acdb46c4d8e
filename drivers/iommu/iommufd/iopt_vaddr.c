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
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_pages.h"

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
 * a file; EBUSY where somebody else is mapping or unmapping there. After an error
 * nothing has changed.
 * Context: takes &io_pagetable.iova_rwsem.
 */
int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *invalidated)
{
	unsigned long bytes = 0;
	struct iopt_area *area;

	*invalidated = 0;
	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages)
			return -EBUSY;
		if (iopt_area_iova(area) < iova ||
		    iopt_area_last_iova(area) > last)
			return -ENOENT;
		if (area->vaddr_invalid || area->pages->file)
			return -EINVAL;
	}
	iopt_for_each_area(area, iopt, iova, last) {
		area->vaddr_invalid = true;
		iopt->num_invalid++;
		bytes += iopt_area_length(area);
	}
	*invalidated = bytes;
	return 0;
}

/* Whether the areas are just the range, and how many. */
static int iopt_check_vaddr(struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last, unsigned long vaddr,
			    size_t *nr)
{
	struct iopt_area_contig contig;

	if (!iopt_area_first(iopt, iova, last))
		return -ENOENT;
	*nr = 0;
	iopt_for_each_contig_area(&contig, iopt, iova, last) {
		struct iopt_area *area = contig.area;

		if (!area->vaddr_invalid ||
		    iopt_area_iova(area) != contig.iova ||
		    iopt_area_last_iova(area) != contig.last ||
		    offset_in_page(vaddr + (contig.iova - iova)) !=
			    area->page_offset)
			return -EINVAL;
		++*nr;
	}
	return iopt_area_contig_done(&contig) ? 0 : -EINVAL;
}

static void iopt_free_heirs(struct iopt_pages **heirs, size_t nr)
{
	while (nr--)
		iopt_pages_free_heir(heirs[nr]);
	kvfree(heirs);
}

/* Charge the current process for what is pinned; on an error for nothing. */
static struct iopt_pages **iopt_alloc_heirs(struct io_pagetable *iopt,
					    unsigned long iova,
					    unsigned long last, size_t nr,
					    enum iopt_account_mode account_mode)
{
	struct iopt_pages **heirs, *heir;
	struct iopt_area *area;
	size_t i = 0;

	heirs = kvcalloc(nr, sizeof(*heirs), GFP_KERNEL_ACCOUNT);
	if (!heirs)
		return ERR_PTR(-ENOMEM);
	iopt_for_each_area(area, iopt, iova, last) {
		heir = iopt_pages_alloc_heir(area->pages, account_mode);
		if (IS_ERR(heir)) {
			iopt_free_heirs(heirs, i);
			return ERR_CAST(heir);
		}
		heirs[i++] = heir;
	}
	return heirs;
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
 * share memory, as those that were cut out of one do, share its address too.
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
	struct iopt_pages **heirs;
	struct iopt_area *area;
	size_t nr, i = 0;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last) ||
	    check_add_overflow(vaddr, length - 1, &vlast))
		return -EOVERFLOW;

	guard(rwsem_write)(&iopt->iova_rwsem);
	rc = iopt_check_vaddr(iopt, iova, last, vaddr, &nr);
	if (rc)
		return rc;
	heirs = iopt_alloc_heirs(iopt, iova, last, nr, account_mode);
	if (IS_ERR(heirs))
		return PTR_ERR(heirs);

	iopt_for_each_area(area, iopt, iova, last) {
		unsigned long first = iopt_area_iova(area);

		iopt_pages_move(area->pages, vaddr + (first - iova) -
					     iopt_area_start_byte(area, first),
				heirs[i++]);
		area->vaddr_invalid = false;
		iopt->num_invalid--;
	}
	iopt_free_heirs(heirs, nr);
	return 0;
}
