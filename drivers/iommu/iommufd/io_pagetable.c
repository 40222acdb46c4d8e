// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IO page table
 *
 * An io_pagetable maps memory at IOVAs. It keeps areas, and whatever domains it
 * has are filled with all of them; in-kernel users see the same areas without a
 * domain. Mapping takes the IOVAs first, fills the domains without the lock of
 * the IOVAs, and then shows the area to everybody; unmapping is the same
 * backwards. Only whole areas are unmapped, so what is mapped by one call is
 * unmapped by one call.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_dirty_walk.h"
#include "iopt_pages.h"
#include "iova_space.h"

/* How often somebody is asked to unpin before it counts as a bug of his. */
#define IOPT_UNMAP_TRIES	100

/**
 * iopt_init_table() - an empty table
 * @iopt: the table
 */
void iopt_init_table(struct io_pagetable *iopt)
{
	init_rwsem(&iopt->domains_rwsem);
	init_rwsem(&iopt->iova_rwsem);
	iopt->area_itree = RB_ROOT_CACHED;
	iopt->allowed_itree = RB_ROOT_CACHED;
	iopt->reserved_itree = RB_ROOT_CACHED;
	xa_init_flags(&iopt->domains, XA_FLAGS_ACCOUNT);
	xa_init_flags(&iopt->access_list, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	iopt->next_domain_id = 0;
	iopt->disable_large_pages = false;
	iopt->num_areas = 0;
	iopt->num_joined = 0;
	iopt->num_invalid = 0;
	iopt->tracking = false;
	dirty_spill_init(&iopt->spill);
	iopt->iova_alignment = 1;
}
EXPORT_SYMBOL_NS_GPL(iopt_init_table, IOMMU_IOPT);

/**
 * iopt_destroy_table() - free what an empty table still has
 * @iopt: without areas, domains and accesses
 */
void iopt_destroy_table(struct io_pagetable *iopt)
{
	/* What a test reserved has no owner that would give it back. */
	if (IS_ENABLED(CONFIG_IOMMUFD_TEST))
		iopt_remove_reserved_iova(iopt, NULL);
	iopt_free_allowed(&iopt->allowed_itree);
	dirty_spill_clear(&iopt->spill);

	WARN_ON(!RB_EMPTY_ROOT(&iopt->area_itree.rb_root) || iopt->num_areas);
	WARN_ON(!RB_EMPTY_ROOT(&iopt->reserved_itree.rb_root));
	WARN_ON(!xa_empty(&iopt->domains));
	WARN_ON(!xa_empty(&iopt->access_list));
	xa_destroy(&iopt->domains);
	xa_destroy(&iopt->access_list);
}
EXPORT_SYMBOL_NS_GPL(iopt_destroy_table, IOMMU_IOPT);

/* Have everybody unpin what he holds of a range. No lock is held. */
static void iopt_notify_unmap(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long length)
{
	struct iopt_access *access;
	unsigned long i;

	xa_lock(&iopt->access_list);
	xa_for_each(&iopt->access_list, i, access) {
		if (!access->ops->get(access))
			continue;
		xa_unlock(&iopt->access_list);
		access->ops->unmap(access, iova, length);
		access->ops->put(access);
		xa_lock(&iopt->access_list);
	}
	xa_unlock(&iopt->access_list);
}

/* Take an area off: it is hidden first, then emptied, then its IOVAs are free. */
static void iopt_unmap_area(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	area->pages = NULL;
	up_write(&iopt->iova_rwsem);

	iopt_area_unfill_domains(area, pages);
	iopt_pages_put(pages);

	down_write(&iopt->iova_rwsem);
	iopt_forget_dirty(iopt, iopt_area_iova(area), iopt_area_last_iova(area));
	iopt_area_unlink(area);
	iopt->num_invalid -= area->vaddr_invalid;
	kfree(area);
}

/**
 * struct iopt_unmap - a range that is being unmapped
 * @start: everything in front of it is done
 * @last: last byte
 * @bytes: bytes unmapped
 * @tries: how often users of the area at @start were asked to unpin
 */
struct iopt_unmap {
	unsigned long start;
	unsigned long last;
	unsigned long bytes;
	unsigned int tries;
};

/*
 * Unmap areas until the end, or until one has users that have to be asked first:
 * then gives 1, with @area_iova and @length of that one.
 */
static int iopt_unmap_some(struct io_pagetable *iopt, struct iopt_unmap *unmap,
			   unsigned long *area_iova, unsigned long *length)
{
	struct iopt_area *area;
	unsigned long area_last;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	while ((area = iopt_area_first(iopt, unmap->start, unmap->last))) {
		if (!area->pages)
			return -EBUSY;
		area_last = iopt_area_last_iova(area);
		if (iopt_area_iova(area) < unmap->start ||
		    area_last > unmap->last)
			return -ENOENT;
		*area_iova = iopt_area_iova(area);
		*length = iopt_area_length(area);
		if (area->num_accesses) {
			area->prevent_access = true;
			return 1;
		}
		iopt_unmap_area(iopt, area);
		unmap->bytes += *length;
		unmap->tries = 0;
		/* Others may map where we have been: that is not ours. */
		if (area_last == unmap->last)
			break;
		unmap->start = area_last + 1;
	}
	return 0;
}

static int iopt_unmap_range(struct io_pagetable *iopt, unsigned long start,
			    unsigned long last, unsigned long *unmapped)
{
	struct iopt_unmap unmap = { .start = start, .last = last };
	unsigned long iova, length;
	int rc;

	while ((rc = iopt_unmap_some(iopt, &unmap, &iova, &length)) > 0) {
		unmap.start = iova;
		if (WARN_ON(unmap.tries++ == IOPT_UNMAP_TRIES)) {
			rc = -EDEADLOCK;
			break;
		}
		iopt_notify_unmap(iopt, iova, length);
	}
	if (unmapped)
		*unmapped = unmap.bytes;
	return rc;
}

/**
 * iopt_unmap_iova() - unmap all areas of a range
 * @iopt: the table
 * @iova: first byte
 * @length: bytes
 * @unmapped: set to the bytes that were unmapped, also after an error; or NULL
 *
 * In-kernel users are told to unpin before.
 *
 * Return: 0, also where nothing is mapped; EINVAL for a length of zero,
 * EOVERFLOW where the range wraps, ENOENT where it would cut an area, EBUSY where
 * somebody else is mapping or unmapping there, EDEADLOCK where an in-kernel user
 * does not unpin.
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long *unmapped)
{
	unsigned long last;

	if (unmapped)
		*unmapped = 0;
	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	return iopt_unmap_range(iopt, iova, last, unmapped);
}
EXPORT_SYMBOL_NS_GPL(iopt_unmap_iova, IOMMU_IOPT);

/**
 * iopt_unmap_all() - unmap everything
 * @iopt: the table
 * @unmapped: as for iopt_unmap_iova(); ULONG_MAX bytes and one look like 0
 *
 * Return: as iopt_unmap_iova().
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	return iopt_unmap_range(iopt, 0, ULONG_MAX, unmapped);
}
EXPORT_SYMBOL_NS_GPL(iopt_unmap_all, IOMMU_IOPT);

/*
 * Let nobody hold anew what is going to be unmapped. Gives 1, with @held_iova and
 * @held_length, for the first area that somebody holds still.
 */
static int iopt_prevent_access(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last, unsigned long *held_iova,
			       unsigned long *held_length)
{
	struct iopt_area *area;
	int rc = 0;

	iopt_for_each_area(area, iopt, iova, last) {
		if (!area->pages)
			return -EBUSY;
		if (iopt_area_iova(area) < iova ||
		    iopt_area_last_iova(area) > last)
			return -ENOENT;
	}
	iopt_for_each_area(area, iopt, iova, last) {
		area->prevent_access = true;
		if (rc || !area->num_accesses)
			continue;
		*held_iova = iopt_area_iova(area);
		*held_length = iopt_area_length(area);
		rc = 1;
	}
	return rc;
}

static void iopt_allow_access(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long last)
{
	struct iopt_area *area;

	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, iova, last)
		area->prevent_access = false;
}

/*
 * Unmap the areas that access was prevented to. The lock is let go of meanwhile,
 * and others may map something there: that stays.
 */
static unsigned long iopt_unmap_prevented(struct io_pagetable *iopt,
					  unsigned long iova,
					  unsigned long last)
{
	struct iopt_area *area = iopt_area_first(iopt, iova, last);
	unsigned long area_last, bytes = 0;

	while (area) {
		area_last = iopt_area_last_iova(area);
		if (area->pages && area->prevent_access &&
		    !area->num_accesses) {
			bytes += iopt_area_length(area);
			iopt_unmap_area(iopt, area);
		}
		if (area_last >= last)
			break;
		area = iopt_area_first(iopt, area_last + 1, last);
	}
	return bytes;
}

static int iopt_unmap_told(struct io_pagetable *iopt,
			   const struct iopt_dirty_query *query,
			   unsigned long last, unsigned long *unmapped,
			   unsigned long *held_iova, unsigned long *held_length)
{
	int rc;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	rc = iopt_prevent_access(iopt, query->iova, last, held_iova,
				 held_length);
	/* From here on nobody in the kernel writes. */
	rc = rc ?: iopt_read_dirty_locked(iopt, query);
	if (!rc)
		*unmapped = iopt_unmap_prevented(iopt, query->iova, last);
	return rc;
}

/**
 * iopt_unmap_dirty() - unmap all areas of a range and tell what is dirty there
 * @iopt: the table
 * @query: the question; what is told is forgotten, whatever it says
 * @unmapped: set to the bytes that were unmapped, 0 after an error
 *
 * In-kernel users are told to unpin before. What was written before the call is
 * told; what a device writes meanwhile may be.
 *
 * Return: as iopt_read_dirty(); ENOENT where it would cut an area, EBUSY where
 * somebody else is mapping or unmapping there, EDEADLOCK where an in-kernel user
 * does not unpin. After an error nothing is unmapped and everything is as dirty
 * as before.
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_dirty(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query,
		     unsigned long *unmapped)
{
	unsigned long last, iova, length, asked = 0;
	struct iopt_dirty_query clear = *query;
	unsigned int tries = 0;
	int rc;

	*unmapped = 0;
	clear.no_clear = false;
	down_read(&iopt->iova_rwsem);
	rc = iopt_dirty_check(iopt, query, &last);
	if (!rc && !iopt->tracking)
		rc = -EINVAL;
	up_read(&iopt->iova_rwsem);
	if (rc)
		return rc;

	while ((rc = iopt_unmap_told(iopt, &clear, last, unmapped, &iova,
				     &length)) > 0) {
		if (iova != asked)
			tries = 0;
		asked = iova;
		if (WARN_ON(tries++ == IOPT_UNMAP_TRIES)) {
			rc = -EDEADLOCK;
			break;
		}
		iopt_notify_unmap(iopt, iova, length);
	}
	if (rc)
		iopt_allow_access(iopt, clear.iova, last);
	return rc;
}

MODULE_IMPORT_NS(IOMMUFD);
MODULE_DESCRIPTION("IOVA spaces, filled into IOMMU page tables");
MODULE_LICENSE("GPL");
