// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: accesses
 *
 * In-kernel users, such as drivers of mediated devices, use the memory behind
 * IOVAs without an IOMMU. They pin pages, whose PFNs are then kept in the
 * xarray of the iopt_pages, or copy to and from memory. What they hold is
 * unmapped only after they were told and have let go of it. What they write is
 * dirty as if a device had written it through a domain.
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
 * iopt_add_access() - let an in-kernel user into a table
 * @iopt: the table
 * @access: the user; told of unmaps from now on
 *
 * Return: 0; EADDRINUSE where areas are less aligned than it needs, ENOMEM.
 * Context: takes the table's locks.
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
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_add_access, IOMMU_IOPT);

/**
 * iopt_remove_access() - an in-kernel user leaves
 * @iopt: the table
 * @access: the user; has nothing pinned
 *
 * Context: takes the table's locks.
 */
void iopt_remove_access(struct io_pagetable *iopt, struct iopt_access *access)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	WARN_ON(xa_erase(&iopt->access_list, access->id) != access);
	WARN_ON(iopt_update_alignment(iopt, NULL));
}
EXPORT_SYMBOL_NS_GPL(iopt_remove_access, IOMMU_IOPT);

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

/* Let go of pages that an access, no longer in the tree, held. */
static void iopt_pages_unhold(struct iopt_pages *pages, unsigned long index,
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

/* Have PFNs in the xarray, wherever they come from, and give their pages. */
static int iopt_pages_hold(struct iopt_pages *pages, unsigned long index,
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
	/* Tests cannot make the xarray fail, so fail when it has everything. */
	if (!rc && iopt_should_fail())
		rc = -ENOMEM;
	last = reader.index;
	pfn_reader_destroy(&reader);
	if (rc && last != index)
		iopt_pages_unhold(pages, index, last - 1);
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
	rc = iopt_pages_hold(pages, index, last, out_pages);
	if (rc) {
		if (!access->pins)
			kfree(access);
		return rc;
	}
	if (!access->pins)
		interval_tree_insert(&access->node, &pages->access_itree);
	access->pins++;
	/* Read without the mutex by iopt_area_is_pinned(). */
	WRITE_ONCE(area->num_accesses, area->num_accesses + 1);
	return 0;
}

/*
 * One of the pins of an access ends. Which one is not known: while there are more
 * than those for writing it counts as one for reading. That is safe, as pages with
 * a pin for writing are dirty until the last of them ends.
 */
static void iopt_area_unpin(struct iopt_area *area,
			    const struct iopt_access *owner,
			    unsigned long index, unsigned long last, bool given)
{
	struct iopt_pages *pages = area->pages;
	struct iopt_pages_access *access;
	unsigned long iova, iova_last;

	guard(mutex)(&pages->mutex);
	access = iopt_find_access(area, owner, index, last);
	if (WARN_ON(!access))
		return;
	/* Before unpinning: a query sees one or the other. */
	iova = iopt_area_index_to_iova(area, index);
	iova_last = iopt_area_index_to_iova_last(area, last);
	if (given && access->write_pins == access->pins) {
		iopt_record_write(area->iopt, iova, iova_last);
		access->write_pins--;
	} else if (given) {
		iopt_record_unpin(area->iopt, iova, iova_last);
	}
	/* Pairs with iopt_area_is_pinned(). */
	smp_store_release(&area->num_accesses, area->num_accesses - 1);
	if (--access->pins)
		return;
	interval_tree_remove(&access->node, &pages->access_itree);
	iopt_pages_unhold(pages, index, last);
	kfree(access);
}

static int iopt_check_access(const struct iopt_area *area, unsigned int flags)
{
	int prot = flags & IOMMUFD_ACCESS_RW_WRITE ? IOMMU_WRITE : IOMMU_READ;

	if (area->prevent_access)
		return -EINVAL;
	return area->prot & prot ? 0 : -EPERM;
}

/* Pages are given as a whole, so every step has to begin and end with one. */
static bool iopt_contig_is_paged(const struct iopt_area_contig *contig)
{
	unsigned long first = iopt_area_start_byte(contig->area, contig->iova);
	unsigned long last = iopt_area_start_byte(contig->area, contig->last);

	if (offset_in_page(first))
		return false;
	return contig->last == contig->end || !offset_in_page(last + 1);
}

/* What was not @given to anybody cannot have been written. */
static void iopt_unpin_range(struct io_pagetable *iopt,
			     const struct iopt_access *owner, unsigned long iova,
			     unsigned long last, bool given)
{
	struct iopt_area_contig contig;

	iopt_for_each_contig_area(&contig, iopt, iova, last)
		iopt_area_unpin(contig.area, owner,
				iopt_area_iova_to_index(contig.area, contig.iova),
				iopt_area_iova_to_index(contig.area,
							contig.last),
				given);
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

/* Pages pinned for writing are dirty, but only once all of them are pinned. */
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
		if (!iopt_contig_is_paged(contig) ||
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
 * @iova: first byte, at the beginning of a page
 * @length: bytes
 * @out_pages: room for the pages
 * @flags: IOMMUFD_ACCESS_RW_READ or _WRITE; what is pinned for writing is dirty
 *	until it is unpinned
 *
 * Return: 0; EINVAL for a length of zero, memory that is not aligned to pages
 * or has none, or what is about to be unmapped; EOVERFLOW where the range wraps;
 * ENOENT where something of it is not mapped; EPERM where the mapping does not
 * allow it; EBUSY where memory of the table has no address now; EINTR if the process
 * was killed; ENOMEM, EFAULT or what else pinning gives. After an error nothing is
 * pinned.
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
	/* The step that failed pinned nothing, those before it did. */
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
 * @access: the access that pinned them
 * @iova: first byte, as it was pinned
 * @length: bytes, as they were pinned
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
 * Copy from or to pages that something has pinned, up to the first one that
 * nothing has. Return: the bytes that were copied.
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

/* Copy with the page frames that a device would use. */
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
	/* A copy that failed half-way has written all the same. */
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
 * @iopt: the table
 * @iova: first byte
 * @data: the other side
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_*; what is written is dirty in the next query
 *
 * Return: 0; EINVAL for a length of zero or what is about to be unmapped;
 * EOVERFLOW where the range wraps; ENOENT where something of it is not mapped;
 * EPERM where the mapping does not allow it; EBUSY where memory of the table has
 * no address now; EINTR if the process was killed; EFAULT, ENOMEM or what else
 * getting at the memory gives. After an error part of it may have been copied.
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
