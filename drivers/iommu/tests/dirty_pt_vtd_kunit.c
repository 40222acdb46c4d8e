// SPDX-License-Identifier: GPL-2.0-only
/*
 * Second-stage page tables of VT-d under test.
 */
#include "../intel/iommu.h"
#include "../iommu-pages.h"
#include "dirty_pt_kunit.h"

/**
 * DOC: VT-d second stage
 *
 * The tests call the functions of a paging domain that no device is attached to, so
 * tracking is enabled and IOTLBs are flushed without hardware.
 */

/* The width of the address space is 30 + 9 * @agaw bits, or 57 if that is less. */
static void dirty_pt_vtd_init_agaw(struct dirty_pt *pt, int agaw)
{
	struct dmar_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(pt->test, domain);
	pt->priv = domain;
	INIT_LIST_HEAD(&domain->devices);
	INIT_LIST_HEAD(&domain->dev_pasids);
	INIT_LIST_HEAD(&domain->cache_tags);
	spin_lock_init(&domain->lock);
	spin_lock_init(&domain->cache_lock);
	xa_init(&domain->iommu_array);
	domain->nid = NUMA_NO_NODE;
	domain->agaw = agaw;
	domain->gaw = pt->format->iova_bits;
	domain->iommu_coherency = true;
	domain->iommu_superpage = 2;
	domain->domain.type = IOMMU_DOMAIN_UNMANAGED;
	domain->domain.pgsize_bitmap = pt->format->pgsizes;
	domain->domain.ops = intel_iommu_ops.default_domain_ops;
	domain->domain.dirty_ops = &intel_dirty_ops;
	domain->pgd = iommu_alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(pt->test, domain->pgd);
	KUNIT_ASSERT_EQ(pt->test, 0,
			intel_dirty_ops.set_dirty_tracking(&domain->domain,
							   true));
}

static void dirty_pt_vtd_init_4level(struct dirty_pt *pt)
{
	dirty_pt_vtd_init_agaw(pt, 2);
}

static void dirty_pt_vtd_init_5level(struct dirty_pt *pt)
{
	dirty_pt_vtd_init_agaw(pt, 3);
}

static void dirty_pt_vtd_exit(struct dirty_pt *pt)
{
	struct dmar_domain *domain = pt->priv;

	domain->domain.ops->free(&domain->domain);
}

static int dirty_pt_vtd_map(struct dirty_pt *pt, unsigned long iova,
			    phys_addr_t paddr, size_t pgsize, int prot)
{
	struct dmar_domain *domain = pt->priv;
	size_t mapped = 0;

	return domain->domain.ops->map_pages(&domain->domain, iova, paddr,
					     pgsize, 1, prot, GFP_KERNEL,
					     &mapped);
}

static size_t dirty_pt_vtd_unmap(struct dirty_pt *pt, unsigned long iova,
				 size_t pgsize)
{
	struct dmar_domain *domain = pt->priv;
	const struct iommu_domain_ops *ops = domain->domain.ops;
	struct iommu_iotlb_gather gather;
	size_t unmapped;

	iommu_iotlb_gather_init(&gather);
	unmapped = ops->unmap_pages(&domain->domain, iova, pgsize, 1, &gather);
	ops->iotlb_sync(&domain->domain, &gather);
	return unmapped;
}

/* Walk as the hardware does. Each leaf is one entry. */
static bool dirty_pt_vtd_write(struct dirty_pt *pt, unsigned long iova,
			       unsigned int entry)
{
	struct dmar_domain *domain = pt->priv;
	unsigned int shift = 12 + 9 * (domain->agaw + 1);
	u64 *table = (u64 *)domain->pgd, *pte;

	for (;; shift -= 9) {
		pte = &table[(iova >> shift) & 0x1ff];
		/* Read and write permission, of which a present entry has one. */
		if (!(*pte & 3))
			return false;
		if (shift == 12 || (*pte & BIT_ULL(7)))
			break;
		table = phys_to_virt(*pte & GENMASK_ULL(51, 12));
	}
	if (!(*pte & 2))
		return false;
	*pte |= BIT_ULL(9);
	return true;
}

static int dirty_pt_vtd_query(struct dirty_pt *pt, unsigned long iova,
			      size_t size, unsigned long flags,
			      struct iommu_dirty_bitmap *dirty)
{
	struct dmar_domain *domain = pt->priv;

	return intel_dirty_ops.read_and_clear_dirty(&domain->domain, iova, size,
						    flags, dirty);
}

static void dirty_pt_vtd_protect(struct dirty_pt *pt, unsigned long iova,
				 size_t size, bool enable,
				 struct iommu_dirty_bitmap *dirty)
{
	struct dmar_domain *domain = pt->priv;

	intel_dirty_ops.write_protect(&domain->domain, iova, size, enable,
				      dirty);
}

#define DIRTY_PT_VTD_COMMON \
	.pgsizes = SZ_4K | SZ_2M | SZ_1G, \
	.exit = dirty_pt_vtd_exit, \
	.map = dirty_pt_vtd_map, \
	.unmap = dirty_pt_vtd_unmap, \
	.write = dirty_pt_vtd_write, \
	.query = dirty_pt_vtd_query, \
	.protect = dirty_pt_vtd_protect

const struct dirty_pt_format dirty_pt_vtd_4level = {
	.name = "VT-d second stage, 4 levels",
	.iova_bits = 48,
	.init = dirty_pt_vtd_init_4level,
	DIRTY_PT_VTD_COMMON,
};

const struct dirty_pt_format dirty_pt_vtd_5level = {
	.name = "VT-d second stage, 5 levels",
	.iova_bits = 57,
	.init = dirty_pt_vtd_init_5level,
	DIRTY_PT_VTD_COMMON,
};
