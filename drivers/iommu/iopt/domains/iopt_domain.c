// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: domains
 *
 * An IOAS maps every area in every domain that it has. For each domain it keeps a
 * struct iopt_domain, with what dirty tracking needs beside the domain itself.
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
 * iopt_device_supports_dirty_tracking() - check the IOMMU of a device's group
 * @dev: the device; those of its group have to share a domain with it
 *
 * Return: true where iopt_domain_alloc_flags() can be asked for that.
 * Context: takes the mutex of the group.
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
	if (!iopt_device_supports_dirty_tracking(dev))
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
