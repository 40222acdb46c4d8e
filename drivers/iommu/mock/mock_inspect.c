// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tests see of a domain of the mock IOMMU.
 */
#include <linux/export.h>
#include <linux/iommu_mock.h>

#include "mock_private.h"

/**
 * DOC: Looking into mock domains
 *
 * A test knows what it mapped and asks the page table whether it is so, or says
 * that a device wrote without having a device do it. These walk the page table
 * for it, with the lock of the domain held, which a flush takes: so a table
 * that somebody unmaps meanwhile is not freed before the walk has ended.
 */

/**
 * iommu_mock_domain_model() - tell the model that a domain was made for
 * @domain: any domain
 *
 * Return: the model; NULL if @domain is no paging domain of the mock IOMMU.
 */
const struct iommu_mock_model *
iommu_mock_domain_model(const struct iommu_domain *domain)
{
	if (domain->ops != &mock_domain_ops)
		return NULL;
	return container_of_const(domain, struct mock_domain, domain)->model;
}
EXPORT_SYMBOL_GPL(iommu_mock_domain_model);

/**
 * iommu_mock_domain_tracks() - tell whether dirty tracking is on
 * @domain: a paging domain of the mock IOMMU
 *
 * Return: whether it is.
 */
bool iommu_mock_domain_tracks(struct iommu_domain *domain)
{
	return READ_ONCE(to_mock_domain(domain)->tracking);
}
EXPORT_SYMBOL_GPL(iommu_mock_domain_tracks);

/**
 * iommu_mock_domain_translate() - look an IOVA up, leaving no mark
 * @domain: a paging domain of the mock IOMMU
 * @iova: any IOVA
 * @phys: set to what @iova translates to, if to anything
 *
 * Return: whether something is mapped there.
 *
 * Context: Any but interrupts. Unmapping meanwhile is no danger, unlike with
 * iommu_iova_to_phys().
 */
bool iommu_mock_domain_translate(struct iommu_domain *domain,
				 unsigned long iova, phys_addr_t *phys)
{
	struct mock_domain *md = to_mock_domain(domain);
	struct mock_pt_leaf leaf;
	bool found;

	spin_lock(&md->lock);
	found = mock_pt_lookup(&md->pt, iova, &leaf);
	spin_unlock(&md->lock);
	if (found)
		*phys = leaf.phys + (iova - leaf.start);
	return found;
}
EXPORT_SYMBOL_GPL(iommu_mock_domain_translate);

/**
 * iommu_mock_domain_set_dirty() - mark a leaf as a device's write does
 * @domain: a paging domain of the mock IOMMU
 * @iova: any IOVA in the leaf
 *
 * No IOTLB has to know: one that holds the leaf as clean walks again before it
 * lets a write through, and one that holds it as dirty has done so before.
 *
 * Return: whether there is a leaf that a device may write; it is dirty now, and
 * may have been before.
 *
 * Context: Any but interrupts. Unmapping meanwhile is no danger.
 */
bool iommu_mock_domain_set_dirty(struct iommu_domain *domain,
				 unsigned long iova)
{
	struct mock_domain *md = to_mock_domain(domain);
	enum iommu_mock_fault_reason reason;
	struct mock_pt_leaf leaf;

	spin_lock(&md->lock);
	reason = mock_pt_walk(&md->pt, iova, true, true, &leaf);
	spin_unlock(&md->lock);
	return reason == IOMMU_MOCK_FAULT_NONE;
}
EXPORT_SYMBOL_GPL(iommu_mock_domain_set_dirty);
