// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: adding and removing domains
 *
 * iopt_table_add_domain() maps all areas in a new domain before it publishes the
 * domain, iopt_table_remove_domain() unpublishes it before it unmaps them. IOVAs
 * that a domain cannot translate are reserved as long as it is there, and IOVAs
 * are aligned to the smallest page of every domain.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "domains/area_fill.h"
#include "iopt.h"
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
 * iopt_update_alignment() - alignment after users of the table have changed
 * @iopt: the table
 * @domain: one that is going to be added, or NULL
 *
 * Return: 0; EADDRINUSE, with nothing changed, where areas are less aligned;
 * EINVAL where @domain cannot map single pages.
 * Context: both rwsems of the table held for writing.
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
	iopt_for_each_domain(iopt, i, entry)
		align = max(align, iopt_domain_alignment(entry->domain));
	xa_for_each(&iopt->access_list, i, access)
		align = max(align, access->iova_alignment);
	/* Memory is only known to be contiguous within a page. */
	if (align > PAGE_SIZE)
		return -EINVAL;
	if (align > iopt->iova_alignment && !iopt_areas_aligned(iopt, align))
		return -EADDRINUSE;
	WRITE_ONCE(iopt->iova_alignment, align);
	return 0;
}

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

/* Empty a domain of the areas in front of @end, or of all. */
static void iopt_unfill_domain(struct io_pagetable *iopt,
			       struct iommu_domain *domain,
			       struct iopt_area *end)
{
	struct iopt_domain *other = xa_load(&iopt->domains, 0);
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		if (area == end)
			break;
		if (IOPT_WARN_ON(!area->pages))
			continue;
		cond_resched();
		if (other && other->domain != domain)
			iopt_area_move_storage(area, domain, other->domain);
		iopt_area_unfill_domain(area, domain);
	}
}

static int iopt_fill_domain(struct io_pagetable *iopt,
			    struct iommu_domain *domain)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		/* Who builds an area keeps us out of here. */
		if (IOPT_WARN_ON(!area->pages))
			continue;
		rc = iopt_area_fill_domain(area, domain);
		if (rc) {
			iopt_unfill_domain(iopt, domain, area);
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
	unsigned int id = iopt->next_domain_id;
	int rc;

	if (WARN_ON(iopt_find_domain(iopt, domain)))
		return -EEXIST;
	rc = xa_reserve(&iopt->domains, id, GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;
	rc = iopt_update_alignment(iopt, domain);
	if (rc)
		goto err_release;
	rc = iopt_reserve_aperture(iopt, domain);
	if (rc)
		goto err_alignment;
	/* While it is empty, and so clean: then no write is missed. */
	iopt_track_add_domain(iopt, entry);
	rc = iopt_fill_domain(iopt, domain);
	if (rc)
		goto err_tracking;
	xa_store(&iopt->domains, id, entry, GFP_KERNEL_ACCOUNT);
	iopt->next_domain_id++;
	return 0;

err_tracking:
	if (entry->tracking)
		iopt_dirty_disable(entry);
err_alignment:
	iopt_remove_reserved_locked(iopt, domain);
	WARN_ON(iopt_update_alignment(iopt, NULL));
err_release:
	xa_release(&iopt->domains, id);
	return rc;
}

/**
 * iopt_table_add_domain() - fill a domain, now and from now on
 * @iopt: the table
 * @domain: empty; the caller keeps it until iopt_table_remove_domain()
 *
 * Return: 0; EINVAL where the domain cannot map single pages, EADDRINUSE where
 * something is mapped, or allowed, that it cannot translate; EBUSY where memory
 * of the table has no address now; EINTR where the process was killed; ENOMEM, or
 * what pinning and mapping give. After
 * an error everything is as before.
 * Context: takes the table's locks.
 */
int iopt_table_add_domain(struct io_pagetable *iopt,
			  struct iommu_domain *domain)
{
	struct iopt_domain *entry = iopt_alloc_entry(domain);
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
 * iopt_table_remove_domain() - empty a domain and forget it
 * @iopt: the table
 * @domain: one of its domains
 *
 * Cannot fail.
 *
 * Context: takes the table's locks.
 */
void iopt_table_remove_domain(struct io_pagetable *iopt,
			      struct iommu_domain *domain)
{
	struct iopt_domain *entry, *moved;
	unsigned long i;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt_for_each_domain(iopt, i, entry)
		if (entry->domain == domain)
			break;
	if (WARN_ON(i == iopt->next_domain_id))
		return;

	iopt_track_remove_domain(iopt, entry);

	/* The last one takes the place that becomes free. */
	moved = xa_erase(&iopt->domains, --iopt->next_domain_id);
	if (moved != entry)
		xa_store(&iopt->domains, i, moved, GFP_KERNEL_ACCOUNT);

	iopt_unfill_domain(iopt, domain, NULL);
	iopt_remove_reserved_locked(iopt, domain);
	WARN_ON(iopt_update_alignment(iopt, NULL));
	iova_set_clear(&entry->spill);
	kfree(entry);
}
EXPORT_SYMBOL_NS_GPL(iopt_table_remove_domain, IOMMU_IOPT);

/* Exclude everything else. Return: 0; -EINTR if the process was killed. */
static int iopt_lock_tables(struct io_pagetable *iopt)
{
	int rc = down_write_killable(&iopt->domains_rwsem);

	if (rc)
		return rc;
	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		up_write(&iopt->domains_rwsem);
	return rc;
}

static void iopt_unlock_tables(struct io_pagetable *iopt)
{
	up_write(&iopt->iova_rwsem);
	up_write(&iopt->domains_rwsem);
}

/**
 * iopt_enable_large_pages() - let domains use leaves as large as they can
 * @iopt: the table
 *
 * Return: 0; -EINTR if the process was killed.
 * Context: takes the table's locks.
 */
int iopt_enable_large_pages(struct io_pagetable *iopt)
{
	int rc = iopt_lock_tables(iopt);

	if (rc)
		return rc;
	iopt->disable_large_pages = false;
	WARN_ON(iopt_update_alignment(iopt, NULL));
	iopt_unlock_tables(iopt);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iopt_enable_large_pages, IOMMU_IOPT);

static int iopt_disable_large_locked(struct io_pagetable *iopt)
{
	int rc;

	if (iopt->disable_large_pages)
		return 0;
	if (!xa_empty(&iopt->domains) &&
	    !RB_EMPTY_ROOT(&iopt->area_itree.rb_root))
		return -EINVAL;
	iopt->disable_large_pages = true;
	rc = iopt_update_alignment(iopt, NULL);
	if (rc)
		iopt->disable_large_pages = false;
	return rc;
}

/**
 * iopt_disable_large_pages() - have a leaf for each page from now on
 * @iopt: the table
 *
 * Return: 0; -EINVAL where something is mapped in a domain already, -EADDRINUSE
 * where areas are not aligned to pages; -EINTR if the process was killed.
 * Context: takes the table's locks.
 */
int iopt_disable_large_pages(struct io_pagetable *iopt)
{
	int rc = iopt_lock_tables(iopt);

	if (rc)
		return rc;
	rc = iopt_disable_large_locked(iopt);
	iopt_unlock_tables(iopt);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_disable_large_pages, IOMMU_IOPT);
