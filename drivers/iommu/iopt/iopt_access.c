// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: accesses
 *
 * An access uses the memory of an IOAS without an IOMMU, for example for the driver of a
 * mediated device. It pins pages, or copies to and from memory. The PFNs of pages that an
 * access has pinned are stored in &iopt_pages.pinned_pfns. An unmap calls
 * &iopt_access_ops.unmap and continues when every access has unpinned the pages. An access
 * with &iopt_access.locks_areas set does not unpin on request: an unmap of its pages fails.
 * Memory that an access writes is dirty, as if a device had written it through a domain.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "iopt.h"
#include "memory/pfn_reader.h"
#include "space/iopt_area.h"
#include "test_hooks.h"

/**
 * iopt_add_access() - add an access to an IOAS
 * @iopt: the IOAS
 * @access: the access; &iopt_access_ops.unmap may be called from now on
 *
 * Return: 0, or
 * * -EADDRINUSE: an area is not aligned to &iopt_access.iova_alignment
 * * -ENOMEM: out of memory
 * * -EBUSY: @iopt has the maximum number of accesses, 65536
 * Context: takes &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem for writing;
 * may sleep.
 */
int iopt_add_access(struct io_pagetable *iopt, struct iopt_access *access)
{
	u32 id;
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	rc = xa_alloc(&iopt->access_list, &id, access, xa_limit_16b,
		      GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;
	rc = iopt_update_alignment(iopt, NULL);
	if (rc) {
		xa_erase(&iopt->access_list, id);
		return rc;
	}
	access->id = id;
	WRITE_ONCE(iopt->num_locking,
		   iopt->num_locking + access->locks_areas);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_add_access, IOMMU_IOPT);

/**
 * iopt_remove_access() - remove an access from an IOAS
 * @iopt: the IOAS
 * @access: the access, without pinned pages
 *
 * A running unmap may still call &iopt_access_ops.unmap, if it got its reference before.
 *
 * Context: takes &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem for writing;
 * may sleep.
 */
void iopt_remove_access(struct io_pagetable *iopt, struct iopt_access *access)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	WARN_ON(xa_erase(&iopt->access_list, access->id) != access);
	WRITE_ONCE(iopt->num_locking,
		   iopt->num_locking - access->locks_areas);
	WARN_ON(iopt_update_alignment(iopt, NULL));
}
EXPORT_SYMBOL_NS_GPL(iopt_remove_access, IOMMU_IOPT);

/* Find the node of an access that has pinned exactly this range through the area. */
static struct iopt_pages_access *
iopt_find_access(struct iopt_area *area, const struct iopt_access *owner,
		 unsigned long index, unsigned long last)
{
	struct rb_root_cached *tree = &area->pages->access_itree;
	struct iopt_pages_access *access;
	struct interval_tree_node *node;

	lockdep_assert_held(&area->pages->mutex);

	for (node = interval_tree_iter_first(tree, index, last); node;
	     node = interval_tree_iter_next(node, index, last)) {
		access = container_of(node, struct iopt_pages_access, node);
		if (access->area == area && access->owner == owner &&
		    node->start == index && node->last == last)
			return access;
		cond_resched();
	}
	return NULL;
}

/* Unpin the pages of a range, and erase their PFNs from the xarray. */
static void iopt_pages_unpin_xarray(struct iopt_pages *pages,
				    unsigned long index, unsigned long last)
{
	struct pfn_batch batch;

	pfn_batch_init(&batch, last - index + 1);
	while (index <= last) {
		pfn_batch_clear(&batch);
		pfn_batch_from_xarray(&batch, &pages->pinned_pfns, index, last);
		if (WARN_ON(!batch.npages))
			break;
		pfn_batch_unpin(&batch, pages, 0, batch.npages);
		for (unsigned long n = 0; n < batch.npages; n++) {
			xa_erase(&pages->pinned_pfns, index + n);
			cond_resched();
		}
		index += batch.npages;
	}
	pfn_batch_destroy(&batch);
}

/*
 * Undo iopt_pages_pin(). The node of the access is not in &iopt_pages.access_itree. Pages
 * of another access keep their entry in the xarray; pages that a domain maps stay pinned.
 */
static void iopt_pages_unpin(struct iopt_pages *pages, unsigned long index,
			     unsigned long last)
{
	struct iopt_area *area;

	lockdep_assert_held(&pages->mutex);

	for (;;) {
		unsigned long end = last;

		switch (iopt_pages_tier(pages, index, &end, &area)) {
		case IOPT_TIER_XARRAY:
			break;
		case IOPT_TIER_DOMAIN:
			for (unsigned long i = index; i <= end; i++) {
				xa_erase(&pages->pinned_pfns, i);
				cond_resched();
			}
			break;
		case IOPT_TIER_ORIGIN:
			iopt_pages_unpin_xarray(pages, index, end);
			break;
		}
		if (end == last)
			return;
		index = end + 1;
	}
}

/*
 * Store the PFNs of a range in the xarray, and the pages in @out_pages. Pages that have
 * no user yet are pinned. Return: 0, or, with nothing pinned, the error of
 * pfn_reader_next(), or -ENOMEM.
 */
static int iopt_pages_pin(struct iopt_pages *pages, unsigned long index,
			  unsigned long last, struct page **out_pages)
{
	struct pfn_reader reader;
	int rc;

	pfn_reader_init(&reader, pages, index, last);
	while ((rc = pfn_reader_next(&reader)) > 0) {
		if (reader.tier != IOPT_TIER_XARRAY) {
			rc = pfn_batch_to_xarray(&reader.batch,
						 &pages->pinned_pfns,
						 reader.index);
			if (rc)
				break;
			pfn_reader_keep_pins(&reader);
		}
		pfn_batch_to_pages(&reader.batch,
				   out_pages + (reader.index - index));
	}
	/* Fault injection cannot make the xarray fail: fail after the last store. */
	if (!rc && iopt_should_fail())
		rc = -ENOMEM;
	last = reader.index;
	pfn_reader_destroy(&reader);
	if (rc && last != index)
		iopt_pages_unpin(pages, index, last - 1);
	return rc;
}

static int iopt_area_pin(struct iopt_area *area,
			 const struct iopt_access *owner, unsigned long index,
			 unsigned long last, struct page **out_pages)
{
	struct iopt_pages *pages = area->pages;
	struct iopt_pages_access *access;
	int rc;

	guard(mutex)(&pages->mutex);
	access = iopt_find_access(area, owner, index, last);
	if (!access) {
		access = kzalloc(sizeof(*access), GFP_KERNEL_ACCOUNT);
		if (!access)
			return -ENOMEM;
		access->area = area;
		access->owner = owner;
		access->node.start = index;
		access->node.last = last;
	}
	rc = iopt_pages_pin(pages, index, last, out_pages);
	if (rc) {
		if (!access->pins)
			kfree(access);
		return rc;
	}
	if (!access->pins)
		interval_tree_insert(&access->node, &pages->access_itree);
	access->pins++;
	if (owner && owner->locks_areas)
		area->num_locks++;
	/* Read without the mutex by iopt_area_is_pinned(). */
	WRITE_ONCE(area->num_accesses, area->num_accesses + 1);
	return 0;
}

/*
 * Drop one pin of an access on a range. The caller does not specify whether the pin is
 * for writing. As long as the range has a pin for reading, a pin for reading is
 * dropped. No dirty page is missed: as long as &iopt_pages_access.write_pins is not 0,
 * every query reports the pages. @record is false if iopt_pin_pages() fails: it has not
 * returned the pages, so the access cannot have written them.
 */
static void iopt_area_unpin(struct iopt_area *area,
			    const struct iopt_access *owner,
			    unsigned long index, unsigned long last, bool record)
{
	struct iopt_pages *pages = area->pages;
	struct iopt_pages_access *access;
	unsigned long iova, iova_last;

	guard(mutex)(&pages->mutex);
	access = iopt_find_access(area, owner, index, last);
	if (WARN_ON(!access))
		return;
	/* Record before unpinning: a query finds the pages in one place or the other. */
	iova = iopt_area_index_to_iova(area, index);
	iova_last = iopt_area_index_to_iova_last(area, last);
	if (record && access->write_pins == access->pins) {
		iopt_record_write(area->iopt, iova, iova_last);
		access->write_pins--;
	} else if (record) {
		iopt_record_unpin(area->iopt, iova, iova_last);
	}
	if (owner && owner->locks_areas)
		area->num_locks--;
	/* Pairs with iopt_area_is_pinned(). */
	smp_store_release(&area->num_accesses, area->num_accesses - 1);
	if (--access->pins)
		return;
	interval_tree_remove(&access->node, &pages->access_itree);
	iopt_pages_unpin(pages, index, last);
	kfree(access);
}

static int iopt_check_access(const struct iopt_area *area, unsigned int flags)
{
	int prot = flags & IOMMUFD_ACCESS_RW_WRITE ? IOMMU_WRITE : IOMMU_READ;

	if (area->prevent_access)
		return -EINVAL;
	return area->prot & prot ? 0 : -EPERM;
}

/*
 * Check that the part of a range in one area begins with a page and, unless it is the
 * last part, ends with a page: pages are pinned as a whole.
 */
static bool iopt_contig_is_page_aligned(const struct iopt_area_contig *contig)
{
	unsigned long first = iopt_area_start_byte(contig->area, contig->iova);
	unsigned long last = iopt_area_start_byte(contig->area, contig->last);

	if (offset_in_page(first))
		return false;
	return contig->last == contig->end || !offset_in_page(last + 1);
}

/* Unpin a range area by area. See iopt_area_unpin() for @record. */
static void iopt_unpin_range(struct io_pagetable *iopt,
			     const struct iopt_access *owner, unsigned long iova,
			     unsigned long last, bool record)
{
	struct iopt_area_contig contig;

	iopt_for_each_contig_area(&contig, iopt, iova, last)
		iopt_area_unpin(contig.area, owner,
				iopt_area_iova_to_index(contig.area, contig.iova),
				iopt_area_iova_to_index(contig.area,
							contig.last),
				record);
	WARN_ON(!iopt_area_contig_done(&contig));
}

static void iopt_area_add_writer(struct iopt_area *area,
				 const struct iopt_access *owner,
				 unsigned long index, unsigned long last)
{
	struct iopt_pages_access *access;

	guard(mutex)(&area->pages->mutex);
	access = iopt_find_access(area, owner, index, last);
	if (!WARN_ON(!access))
		access->write_pins++;
}

/* Make pages dirty that are pinned for writing, after all of the range was pinned. */
static void iopt_add_writer_range(struct io_pagetable *iopt,
				  const struct iopt_access *owner,
				  unsigned long iova, unsigned long last)
{
	struct iopt_area_contig contig;

	iopt_for_each_contig_area(&contig, iopt, iova, last)
		iopt_area_add_writer(contig.area, owner,
				     iopt_area_iova_to_index(contig.area,
							     contig.iova),
				     iopt_area_iova_to_index(contig.area,
							     contig.last));
}

/* Pin a range area by area. On an error, @contig is at the first area not pinned. */
static int iopt_pin_range(struct io_pagetable *iopt,
			  const struct iopt_access *owner,
			  struct iopt_area_contig *contig, unsigned long iova,
			  unsigned long last, struct page **out_pages,
			  unsigned int flags)
{
	unsigned long first_index, last_index;
	int rc;

	iopt_for_each_contig_area(contig, iopt, iova, last) {
		rc = iopt_check_access(contig->area, flags);
		if (rc)
			return rc;
		if (!iopt_contig_is_page_aligned(contig) ||
		    contig->area->pages->ops->pfnmap)
			return -EINVAL;
		first_index = iopt_area_iova_to_index(contig->area, contig->iova);
		last_index = iopt_area_iova_to_index(contig->area, contig->last);
		rc = iopt_area_pin(contig->area, owner, first_index,
				   last_index, out_pages);
		if (rc)
			return rc;
		out_pages += last_index - first_index + 1;
	}
	return iopt_area_contig_done(contig) ? 0 : -ENOENT;
}

/**
 * iopt_pin_pages() - pin the memory behind IOVAs for an access
 * @iopt: the IOAS
 * @access: the access, for iopt_unpin_pages()
 * @iova: first IOVA; the start of a page
 * @length: length in bytes
 * @out_pages: set to the pages
 * @flags: IOMMUFD_ACCESS_RW_WRITE to pin for writing: the pages are then dirty until they
 *	are unpinned; else IOMMUFD_ACCESS_RW_READ
 *
 * Return: 0, or, with nothing pinned,
 * * -EINVAL: @length is 0; the part of the range in one area does not begin with a page,
 *   or is not the last one and does not end with a page; an area is of a PFNMAP; or an
 *   area is about to be unmapped
 * * -EOVERFLOW: the range wraps
 * * -ENOENT: a part of the range is not mapped
 * * -EPERM: an area does not allow the access of @flags
 * * -EBUSY: memory of the IOAS has no address: &io_pagetable.num_invalid
 * * -EINTR: the process received a fatal signal
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EFAULT: there is no memory at the address
 * * another error of pfn_reader_next()
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
 */
int iopt_pin_pages(struct io_pagetable *iopt, const struct iopt_access *access,
		   unsigned long iova, unsigned long length,
		   struct page **out_pages, unsigned int flags)
{
	struct iopt_area_contig contig;
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	rc = down_read_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	if (iopt->num_invalid) {
		rc = -EBUSY;
		goto out_unlock;
	}
	rc = iopt_pin_range(iopt, access, &contig, iova, last, out_pages,
			    flags);
	/* The areas in front of the one that failed are pinned. */
	if (rc && contig.iova != iova)
		iopt_unpin_range(iopt, access, iova, contig.iova - 1, false);
	if (!rc && flags & IOMMUFD_ACCESS_RW_WRITE)
		iopt_add_writer_range(iopt, access, iova, last);

out_unlock:
	up_read(&iopt->iova_rwsem);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_pin_pages, IOMMU_IOPT);

/**
 * iopt_unpin_pages() - undo iopt_pin_pages()
 * @iopt: the IOAS
 * @access: the access that has pinned the pages
 * @iova: the @iova of iopt_pin_pages()
 * @length: the @length of iopt_pin_pages()
 *
 * The range must be one that iopt_pin_pages() has pinned, not a part of it.
 *
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
 */
void iopt_unpin_pages(struct io_pagetable *iopt,
		      const struct iopt_access *access, unsigned long iova,
		      unsigned long length)
{
	unsigned long last;

	if (WARN_ON(!length || check_add_overflow(iova, length - 1, &last)))
		return;
	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_unpin_range(iopt, access, iova, last, true);
}
EXPORT_SYMBOL_NS_GPL(iopt_unpin_pages, IOMMU_IOPT);

/*
 * Copy from or to pages that are pinned, as far as their PFNs are in one place. Return:
 * the number of bytes copied; 0 if the first page is not pinned.
 */
static unsigned long iopt_pages_rw_pinned(struct iopt_pages *pages,
					  unsigned long start_byte, void *data,
					  unsigned long length, bool write)
{
	unsigned long index = start_byte / PAGE_SIZE;
	unsigned long last = (start_byte + length - 1) / PAGE_SIZE;
	struct pfn_batch batch;
	struct iopt_area *area;
	enum iopt_tier tier;
	unsigned long done;

	guard(mutex)(&pages->mutex);
	tier = iopt_pages_tier(pages, index, &last, &area);
	if (tier == IOPT_TIER_ORIGIN)
		return 0;
	pfn_batch_init(&batch, last - index + 1);
	if (tier == IOPT_TIER_XARRAY)
		pfn_batch_from_xarray(&batch, &pages->pinned_pfns, index, last);
	else
		pfn_batch_from_domain(&batch, area, pages, area->storage_domain,
				      index, last);
	done = pfn_batch_rw(&batch, offset_in_page(start_byte), data, length,
			    write);
	pfn_batch_destroy(&batch);
	return done;
}

/* Copy by page frame: that of a pinned page, else that of a page pinned for the copy. */
static int iopt_pages_rw(struct iopt_pages *pages, unsigned long start_byte,
			 void *data, unsigned long length, bool write)
{
	unsigned long n;
	int rc;

	while (length) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		n = iopt_pages_rw_pinned(pages, start_byte, data, length, write);
		if (!n) {
			n = min(length, PAGE_SIZE - offset_in_page(start_byte));
			rc = pages->ops->rw_page(pages, start_byte / PAGE_SIZE,
						 offset_in_page(start_byte),
						 data, n, write);
			if (rc)
				return rc;
		}
		data += n;
		start_byte += n;
		length -= n;
	}
	return 0;
}

static int iopt_area_rw(struct iopt_area *area, unsigned long iova, void *data,
			unsigned long length, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	unsigned long start_byte = iopt_area_start_byte(area, iova);
	struct iopt_pages *pages = area->pages;
	int rc = -EOPNOTSUPP;

	if (pages->ops->rw)
		rc = pages->ops->rw(pages, start_byte, data, length, flags);
	if (rc == -EOPNOTSUPP)
		rc = iopt_pages_rw(pages, start_byte, data, length, write);
	/* Even a copy that failed may have written a part of the range. */
	if (write)
		iopt_record_write(area->iopt, iova, iova + length - 1);
	return rc;
}

static int iopt_rw_locked(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, void *data, unsigned int flags)
{
	struct iopt_area_contig contig;
	unsigned long n;
	int rc;

	if (iopt->num_invalid)
		return -EBUSY;
	iopt_for_each_contig_area(&contig, iopt, iova, last) {
		n = contig.last - contig.iova + 1;
		rc = iopt_check_access(contig.area, flags);
		rc = rc ?: iopt_area_rw(contig.area, contig.iova, data, n,
					flags);
		if (rc)
			return rc;
		data += n;
	}
	return iopt_area_contig_done(&contig) ? 0 : -ENOENT;
}

/**
 * iopt_rw() - copy to or from the memory behind IOVAs
 * @iopt: the IOAS
 * @iova: first IOVA
 * @data: kernel buffer to copy from or to
 * @length: length in bytes
 * @flags: IOMMUFD_ACCESS_RW_*; with IOMMUFD_ACCESS_RW_WRITE, copy to the memory, which is
 *	dirty in the next query
 *
 * Return: 0, or, with a part of the range possibly copied,
 * * -EINVAL: @length is 0, or an area is about to be unmapped
 * * -EOVERFLOW: the range wraps
 * * -ENOENT: a part of the range is not mapped
 * * -EPERM: an area does not allow the access of @flags
 * * -EBUSY: memory of the IOAS has no address: &io_pagetable.num_invalid
 * * -EINTR: the process received a fatal signal
 * * an error of &iopt_pages_ops.rw or &iopt_pages_ops.rw_page, such as -EFAULT: a part of
 *   the memory is not accessible
 * Context: takes &io_pagetable.iova_rwsem for reading; may sleep.
 */
int iopt_rw(struct io_pagetable *iopt, unsigned long iova, void *data,
	    size_t length, unsigned int flags)
{
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	rc = down_read_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	rc = iopt_rw_locked(iopt, iova, last, data, flags);
	up_read(&iopt->iova_rwsem);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_rw, IOMMU_IOPT);
