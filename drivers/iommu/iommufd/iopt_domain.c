// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: domains
 *
 * A table fills every area into every domain it has. A new domain is filled
 * before anybody sees it, one that leaves is emptied after nobody does. What
 * domains cannot translate is reserved on their behalf, and the smallest page of
 * any of them is what IOVAs have to be aligned to.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iopt_area.h"
#include "iopt_dirty.h"
#include "iova_space.h"

static int iopt_device_is_blind(struct device *dev, void *unused)
{
	return !device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING) ||
	       !dev_iommu_ops(dev)->domain_alloc_user;
}

/**
 * iopt_device_tracks() - whether an IOMMU knows what a device writes
 * @dev: the device; those of its group have to share a domain with it
 *
 * Return: true where iopt_domain_alloc_flags() can be asked for that.
 * Context: takes the mutex of the group.
 */
bool iopt_device_tracks(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool tracks;

	tracks = group && !iommu_group_for_each_dev(group, NULL,
						    iopt_device_is_blind);
	iommu_group_put(group);
	return tracks;
}
EXPORT_SYMBOL_NS_GPL(iopt_device_tracks, IOMMU_IOPT);

/**
 * iopt_domain_alloc_flags() - a domain as somebody wants it
 * @dev: what it is for; behind an IOMMU
 * @flags: IOMMU_HWPT_ALLOC_*; 0 where its driver does not know any
 *
 * Return: an empty paging domain, for iommu_domain_free(), or an ERR_PTR() of
 * what the driver gives: EOPNOTSUPP for a flag that it cannot satisfy.
 */
struct iommu_domain *iopt_domain_alloc_flags(struct device *dev, u32 flags)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	struct iommu_domain *domain;

	if (!ops->domain_alloc_user)
		return iommu_paging_domain_alloc(dev);

	domain = ops->domain_alloc_user(dev, flags, NULL, NULL);
	if (!IS_ERR(domain))
		domain->owner = ops;
	return domain;
}
EXPORT_SYMBOL_NS_GPL(iopt_domain_alloc_flags, IOMMU_IOPT);

/**
 * iopt_domain_alloc() - a domain that knows what its devices write, if one can
 * @dev: what it is for; behind an IOMMU
 *
 * Return: as iopt_domain_alloc_flags().
 */
struct iommu_domain *iopt_domain_alloc(struct device *dev)
{
	if (!iopt_device_tracks(dev))
		return iommu_paging_domain_alloc(dev);
	return iopt_domain_alloc_flags(dev, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}
EXPORT_SYMBOL_NS_GPL(iopt_domain_alloc, IOMMU_IOPT);

/**
 * iopt_find_domain() - what the table keeps for a domain
 * @iopt: the table
 * @domain: the domain
 *
 * Return: its entry, or NULL.
 * Context: either rwsem of the table held.
 */
struct iopt_domain *iopt_find_domain(struct io_pagetable *iopt,
				     const struct iommu_domain *domain)
{
	struct iopt_domain *entry;
	unsigned long i;

	iopt_for_each_domain(iopt, i, entry)
		if (entry->domain == domain)
			return entry;
	return NULL;
}

static bool iopt_areas_aligned(struct io_pagetable *iopt, unsigned long align)
{
	struct iopt_area *area;

	iopt_for_each_area(area, iopt, 0, ULONG_MAX)
		if ((iopt_area_iova(area) | iopt_area_length(area) |
		     area->page_offset) & (align - 1))
			return false;
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
	iopt->iova_alignment = align;
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
	init_rwsem(&entry->query_rwsem);
	dirty_spill_init(&entry->spill);
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
	iopt_track_join(iopt, entry);
	rc = iopt_fill_domain(iopt, domain);
	if (rc)
		goto err_tracking;
	xa_store(&iopt->domains, id, entry, GFP_KERNEL_ACCOUNT);
	iopt->next_domain_id++;
	return 0;

err_tracking:
	if (entry->tracking)
		iopt_dirty_turn_off(entry);
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
 * of the table has no address now; ENOMEM, or what pinning and mapping give. After
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
	down_write(&iopt->domains_rwsem);
	down_write(&iopt->iova_rwsem);
	rc = iopt->num_invalid ? -EBUSY :
				 iopt_add_domain_locked(iopt, domain, entry);
	up_write(&iopt->iova_rwsem);
	up_write(&iopt->domains_rwsem);
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
	if (WARN_ON(!entry))
		return;

	iopt_track_leave(iopt, entry);

	/* The last one takes the place that becomes free. */
	moved = xa_erase(&iopt->domains, --iopt->next_domain_id);
	if (moved != entry)
		xa_store(&iopt->domains, i, moved, GFP_KERNEL_ACCOUNT);

	iopt_unfill_domain(iopt, domain, NULL);
	iopt_remove_reserved_locked(iopt, domain);
	WARN_ON(iopt_update_alignment(iopt, NULL));
	dirty_spill_clear(&entry->spill);
	kfree(entry);
}
EXPORT_SYMBOL_NS_GPL(iopt_table_remove_domain, IOMMU_IOPT);

/**
 * iopt_enable_large_pages() - let domains use leaves as large as they can
 * @iopt: the table
 *
 * Context: takes the table's locks.
 */
void iopt_enable_large_pages(struct io_pagetable *iopt)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt->disable_large_pages = false;
	WARN_ON(iopt_update_alignment(iopt, NULL));
}
EXPORT_SYMBOL_NS_GPL(iopt_enable_large_pages, IOMMU_IOPT);

/**
 * iopt_disable_large_pages() - have a leaf for each page from now on
 * @iopt: the table
 *
 * Return: 0; EINVAL where something is mapped in a domain already, EADDRINUSE
 * where areas are not aligned to pages.
 * Context: takes the table's locks.
 */
int iopt_disable_large_pages(struct io_pagetable *iopt)
{
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
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
EXPORT_SYMBOL_NS_GPL(iopt_disable_large_pages, IOMMU_IOPT);
