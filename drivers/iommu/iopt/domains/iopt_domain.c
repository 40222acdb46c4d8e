// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: domains
 *
 * Every domain of an IOAS maps every area of the IOAS. A struct iopt_domain, one for
 * each domain, has the state of dirty tracking: whether the domain tracks, and the spill
 * with the dirty IOVAs that hardware no longer reports.
 */
#include <linux/export.h>
#include <linux/iommu.h>
#include <uapi/linux/iommufd.h>

#include "../../iommu-priv.h"
#include "domains/iopt_domain.h"

static int iopt_device_lacks_dirty_tracking(struct device *dev, void *unused)
{
	return !device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING) ||
	       !dev_iommu_ops(dev)->domain_alloc_user;
}

/**
 * iopt_device_supports_dirty_tracking() - check a device's group for dirty tracking
 * @dev: the device
 *
 * All devices of a group share one domain, so the IOMMU of each of them must support
 * dirty tracking.
 *
 * Return: true if iopt_domain_alloc_flags() may be called with
 * IOMMU_HWPT_ALLOC_DIRTY_TRACKING; false if @dev has no group.
 * Context: takes the mutex of the group; may sleep.
 */
bool iopt_device_supports_dirty_tracking(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool supported;

	supported = group &&
		    !iommu_group_for_each_dev(group, NULL,
					      iopt_device_lacks_dirty_tracking);
	iommu_group_put(group);
	return supported;
}
EXPORT_SYMBOL_NS_GPL(iopt_device_supports_dirty_tracking, IOMMU_IOPT);

/**
 * iopt_domain_alloc_flags() - allocate a paging domain with caller-supplied flags
 * @dev: a device behind an IOMMU, which the domain will be attached to
 * @flags: IOMMU_HWPT_ALLOC_*; ignored if the IOMMU driver has no domain_alloc_user
 *
 * Return: an empty domain, for iommu_domain_free(), or an ERR_PTR() of
 * * -EOPNOTSUPP: the IOMMU driver does not support one of @flags
 * * another error of the IOMMU driver
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
 * iopt_domain_alloc() - allocate a paging domain, with dirty tracking if supported
 * @dev: a device behind an IOMMU, which the domain will be attached to
 *
 * Return: as iopt_domain_alloc_flags().
 */
struct iommu_domain *iopt_domain_alloc(struct device *dev)
{
	if (!iopt_device_supports_dirty_tracking(dev))
		return iommu_paging_domain_alloc(dev);
	return iopt_domain_alloc_flags(dev, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}
EXPORT_SYMBOL_NS_GPL(iopt_domain_alloc, IOMMU_IOPT);

/**
 * iopt_find_domain() - find the struct iopt_domain of a domain
 * @iopt: the IOAS
 * @domain: the domain
 *
 * Return: the struct iopt_domain, or NULL if @iopt does not have @domain.
 * Context: &io_pagetable.domains_rwsem or &io_pagetable.iova_rwsem held.
 */
struct iopt_domain *iopt_find_domain(struct io_pagetable *iopt,
				     const struct iommu_domain *domain)
{
	struct iopt_domain *entry;

	list_for_each_entry(entry, &iopt->domains, item)
		if (entry->domain == domain)
			return entry;
	return NULL;
}
