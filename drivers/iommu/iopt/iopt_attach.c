// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: adding and removing domains
 *
 * iopt_table_add_domain() maps every area in a domain before it adds the domain to
 * &io_pagetable.domains. iopt_table_remove_domain() removes the domain from there before
 * it unmaps the areas. While an IOAS has a domain, the IOVAs that the domain cannot
 * translate are reserved, and IOVAs are aligned to the smallest page size of the domain.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "domains/area_fill.h"
#include "iopt.h"
#include "iopt_trace.h"
#include "space/iopt_area.h"

static bool iopt_areas_aligned(struct io_pagetable *iopt, unsigned long align)
{
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		if ((iopt_area_iova(area) | iopt_area_length(area) |
		     area->page_offset) & (align - 1))
			return false;
		cond_resched();
	}
	return true;
}

static unsigned long iopt_domain_alignment(const struct iommu_domain *domain)
{
	return 1UL << __ffs(domain->pgsize_bitmap);
}

/**
 * iopt_update_alignment() - recompute the alignment of an IOAS
 * @iopt: the IOAS
 * @domain: a domain that is about to be added, or NULL
 *
 * Sets &io_pagetable.iova_alignment to the largest alignment that a domain or an access
 * requires.
 *
 * Return: 0, or, with nothing changed,
 * * -EADDRINUSE: an area is not aligned to the new alignment
 * * -EINVAL: the smallest page size of @domain is larger than PAGE_SIZE
 * Context: &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem held for writing.
 */
int iopt_update_alignment(struct io_pagetable *iopt,
			  const struct iommu_domain *domain)
{
	unsigned long align = iopt->disable_large_pages ? PAGE_SIZE : 1;
	struct iopt_access *access;
	struct iopt_domain *entry;
	unsigned long i;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (domain)
		align = max(align, iopt_domain_alignment(domain));
	list_for_each_entry(entry, &iopt->domains, item)
		align = max(align, iopt_domain_alignment(entry->domain));
	xa_for_each(&iopt->access_list, i, access)
		align = max(align, access->iova_alignment);
	/* Memory may be contiguous within PAGE_SIZE only. */
	if (align > PAGE_SIZE)
		return -EINVAL;
	if (align > iopt->iova_alignment && !iopt_areas_aligned(iopt, align))
		return -EADDRINUSE;
	WRITE_ONCE(iopt->iova_alignment, align);
	return 0;
}

/* Reserve the IOVAs outside of the aperture of a domain. */
static int iopt_reserve_aperture(struct io_pagetable *iopt,
				 struct iommu_domain *domain)
{
	const struct iommu_domain_geometry *geometry = &domain->geometry;
	int rc = 0;

	if (geometry->aperture_start)
		rc = iopt_reserve_iova(iopt, 0, geometry->aperture_start - 1,
				       domain);
	if (!rc && geometry->aperture_end < ULONG_MAX)
		rc = iopt_reserve_iova(iopt, geometry->aperture_end + 1,
				       ULONG_MAX, domain);
	return rc;
}

/*
 * Unmap the areas in front of @end, or every area if it is NULL, from a domain, which is
 * not in &io_pagetable.domains.
 */
static void iopt_unfill_domain(struct io_pagetable *iopt,
			       struct iommu_domain *domain,
			       struct iopt_area *end)
{
	struct iopt_domain *other;
	struct iopt_area *area;

	other = list_first_entry_or_null(&iopt->domains, struct iopt_domain,
					 item);

	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		if (area == end)
			break;
		if (IOPT_WARN_ON(!area->pages))
			continue;
		cond_resched();
		if (other)
			iopt_area_move_storage(area, domain, other->domain);
		iopt_area_unfill_domain(area, domain);
	}
}

/* Map every area in a domain. On an error, no area is mapped in it. */
static int iopt_fill_domain(struct io_pagetable *iopt,
			    struct iopt_domain *entry)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		/* A task that maps or unmaps an area holds domains_rwsem. */
		if (IOPT_WARN_ON(!area->pages))
			continue;
		rc = iopt_area_fill_domain(area, entry);
		if (rc) {
			iopt_unfill_domain(iopt, entry->domain, area);
			return rc;
		}
	}
	return 0;
}

static struct iopt_domain *iopt_alloc_entry(struct iommu_domain *domain)
{
	struct iopt_domain *entry = kzalloc(sizeof(*entry), GFP_KERNEL_ACCOUNT);

	if (!entry)
		return NULL;
	entry->domain = domain;
	iova_range_lock_init(&entry->call_lock);
	iova_range_lock_init(&entry->query_lock);
	iova_set_init(&entry->spill);
	return entry;
}

static int iopt_add_domain_locked(struct io_pagetable *iopt,
				  struct iommu_domain *domain,
				  struct iopt_domain *entry)
{
	int rc;

	if (WARN_ON(iopt_find_domain(iopt, domain)))
		return -EEXIST;
	rc = iopt_update_alignment(iopt, domain);
	if (rc)
		return rc;
	rc = iopt_reserve_aperture(iopt, domain);
	if (rc)
		goto err_alignment;
	/* Enable tracking before the domain maps an area, so that no write is missed. */
	iopt_track_add_domain(iopt, entry);
	rc = iopt_fill_domain(iopt, entry);
	if (rc)
		goto err_tracking;
	list_add_tail(&entry->item, &iopt->domains);
	iopt->domains_added++;
	return 0;

err_tracking:
	if (entry->tracking)
		iopt_dirty_disable(entry);
err_alignment:
	iopt_remove_reserved_locked(iopt, domain);
	WARN_ON(iopt_update_alignment(iopt, NULL));
	return rc;
}

/**
 * iopt_table_add_domain() - add a domain to an IOAS and map every area in it
 * @iopt: the IOAS
 * @domain: an empty domain; the caller does not free it before iopt_table_remove_domain()
 *
 * Areas that are mapped later are mapped in the domain as well.
 *
 * Return: 0, or, with nothing changed,
 * * -EINVAL: the smallest page size of @domain is larger than PAGE_SIZE
 * * -EADDRINUSE: an area or an allowed range has IOVAs that @domain cannot translate, or
 *   an area is not aligned to the smallest page size of @domain
 * * -EBUSY: memory of the IOAS has no address: &io_pagetable.num_invalid
 * * -EINTR: the process received a fatal signal
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * another error of iopt_area_fill_domain()
 * Context: takes &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem for writing;
 * may sleep.
 */
int iopt_table_add_domain(struct io_pagetable *iopt,
			  struct iommu_domain *domain)
{
	struct iopt_domain *entry = iopt_alloc_entry(domain);
	u64 begin = iopt_trace_begin(iopt_attach);
	int rc;

	if (!entry)
		return -ENOMEM;
	rc = down_write_killable(&iopt->domains_rwsem);
	if (rc)
		goto out_free;
	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		goto out_unlock;
	rc = iopt->num_invalid ? -EBUSY :
				 iopt_add_domain_locked(iopt, domain, entry);
	trace_iopt_attach(iopt->id, domain, iopt->num_areas, rc,
			  iopt_trace_ns(begin));
	up_write(&iopt->iova_rwsem);
out_unlock:
	up_write(&iopt->domains_rwsem);
out_free:
	if (rc)
		kfree(entry);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_table_add_domain, IOMMU_IOPT);

/**
 * iopt_table_remove_domain() - remove a domain from an IOAS and unmap every area from it
 * @iopt: the IOAS
 * @domain: a domain of @iopt
 *
 * Unpins the pages that have no other user. Cannot fail.
 *
 * Context: takes &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem for writing;
 * may sleep.
 */
void iopt_table_remove_domain(struct io_pagetable *iopt,
			      struct iommu_domain *domain)
{
	u64 begin = iopt_trace_begin(iopt_detach);
	struct iopt_domain *entry;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	entry = iopt_find_domain(iopt, domain);
	if (WARN_ON(!entry))
		return;

	iopt_track_remove_domain(iopt, entry);
	list_del(&entry->item);
	iopt_unfill_domain(iopt, domain, NULL);
	iopt_remove_reserved_locked(iopt, domain);
	WARN_ON(iopt_update_alignment(iopt, NULL));
	iova_set_clear(&entry->spill);
	kfree(entry);
	trace_iopt_detach(iopt->id, domain, iopt->num_areas, 0,
			  iopt_trace_ns(begin));
}
EXPORT_SYMBOL_NS_GPL(iopt_table_remove_domain, IOMMU_IOPT);

/* Take both rwsems for writing. Return: 0; -EINTR on a fatal signal. */
static int iopt_lock_exclusive(struct io_pagetable *iopt)
{
	int rc = down_write_killable(&iopt->domains_rwsem);

	if (rc)
		return rc;
	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		up_write(&iopt->domains_rwsem);
	return rc;
}

static void iopt_unlock_exclusive(struct io_pagetable *iopt)
{
	up_write(&iopt->iova_rwsem);
	up_write(&iopt->domains_rwsem);
}

/**
 * iopt_enable_large_pages() - map areas by leaves of any size
 * @iopt: the IOAS
 *
 * Applies to areas that are filled into a domain later.
 *
 * Return: 0, or
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem for writing.
 */
int iopt_enable_large_pages(struct io_pagetable *iopt)
{
	int rc = iopt_lock_exclusive(iopt);

	if (rc)
		return rc;
	iopt->disable_large_pages = false;
	WARN_ON(iopt_update_alignment(iopt, NULL));
	iopt_unlock_exclusive(iopt);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_enable_large_pages, IOMMU_IOPT);

static int iopt_disable_large_locked(struct io_pagetable *iopt)
{
	int rc;

	if (iopt->disable_large_pages)
		return 0;
	if (!list_empty(&iopt->domains) &&
	    !RB_EMPTY_ROOT(&iopt->area_itree.rb_root))
		return -EINVAL;
	iopt->disable_large_pages = true;
	rc = iopt_update_alignment(iopt, NULL);
	if (rc)
		iopt->disable_large_pages = false;
	return rc;
}

/**
 * iopt_disable_large_pages() - map areas by leaves of one page only
 * @iopt: the IOAS
 *
 * Return: 0, or, with nothing changed,
 * * -EINVAL: a domain maps an area already
 * * -EADDRINUSE: an area is not aligned to PAGE_SIZE
 * * -EINTR: the process received a fatal signal
 * Context: takes &io_pagetable.domains_rwsem and &io_pagetable.iova_rwsem for writing.
 */
int iopt_disable_large_pages(struct io_pagetable *iopt)
{
	int rc = iopt_lock_exclusive(iopt);

	if (rc)
		return rc;
	rc = iopt_disable_large_locked(iopt);
	iopt_unlock_exclusive(iopt);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_disable_large_pages, IOMMU_IOPT);
