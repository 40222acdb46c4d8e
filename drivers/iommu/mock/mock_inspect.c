// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inspection of mock domains by tests.
 */
#include <linux/export.h>
#include <linux/iommu_mock.h>

#include "mock_private.h"

/**
 * DOC: Inspection of mock domains
 *
 * Tests compare the page table of a domain with the mappings that they expect,
 * and set dirty bits without a device. The functions that walk the page table
 * hold the lock of the domain. A flush takes the same lock, so a concurrent
 * unmap frees no table before the walk has ended.
 */

/**
 * iommu_mock_domain_model() - get the model that a domain was allocated for
 * @domain: any domain
 *
 * Return: the model, or NULL if @domain is not a paging domain of the mock
 * IOMMU.
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
 * iommu_mock_domain_tracks() - check whether dirty tracking is enabled
 * @domain: a paging domain of the mock IOMMU
 *
 * Return: true if dirty tracking is enabled.
 */
bool iommu_mock_domain_tracks(struct iommu_domain *domain)
{
	return READ_ONCE(to_mock_domain(domain)->tracking);
}
EXPORT_SYMBOL_GPL(iommu_mock_domain_tracks);

/**
 * iommu_mock_domain_translate() - translate an IOVA without setting its bits
 * @domain: a paging domain of the mock IOMMU
 * @iova: any IOVA
 * @phys: set to the physical address, if @iova is mapped
 *
 * Return: true if @iova is mapped.
 *
 * Context: Any but interrupt context. Unlike iommu_iova_to_phys(), safe against
 * a concurrent unmap.
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
 * iommu_mock_domain_set_dirty() - set the dirty bit of a leaf
 * @domain: a paging domain of the mock IOMMU
 * @iova: any IOVA in the leaf
 *
 * Sets the accessed and the dirty bit as a write by a device does. IOTLBs need
 * no flush: the next write through a clean entry walks the page table.
 *
 * Return: true if a writable leaf contains @iova; the leaf is dirty on return,
 * and may have been dirty before.
 *
 * Context: Any but interrupt context. Safe against a concurrent unmap.
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
