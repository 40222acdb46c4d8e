// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMD v1 page tables under test.
 */
#include <linux/io-pgtable.h>

#include "../amd/amd_iommu.h"
#include "../amd/amd_iommu_types.h"
#include "dirty_pt_kunit.h"

/**
 * DOC: AMD v1
 *
 * The page table grows by levels as higher IOVAs are mapped, up to the 2^64 bytes of
 * IOVA space. A leaf may have any power of two as its size. If this is not the size of
 * an entry at some level, the leaf is 2 to 256 equal entries with next level 7, and the
 * hardware may set the dirty bit of any of them.
 */

static void dirty_pt_amd_init(struct dirty_pt *pt)
{
	struct protection_domain *domain;

	domain = kunit_kzalloc(pt->test, sizeof(*domain), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(pt->test, domain);
	spin_lock_init(&domain->lock);
	INIT_LIST_HEAD(&domain->dev_list);
	INIT_LIST_HEAD(&domain->dev_data_list);
	xa_init(&domain->iommu_array);
	domain->pd_mode = PD_MODE_V1;
	domain->iop.pgtbl.cfg.amd.nid = NUMA_NO_NODE;

	KUNIT_ASSERT_NOT_NULL(pt->test,
			      alloc_io_pgtable_ops(AMD_IOMMU_V1,
						   &domain->iop.pgtbl.cfg,
						   domain));
	pt->priv = domain;
}

static void dirty_pt_amd_exit(struct dirty_pt *pt)
{
	struct protection_domain *domain = pt->priv;

	free_io_pgtable_ops(&domain->iop.pgtbl.ops);
}

static int dirty_pt_amd_map(struct dirty_pt *pt, unsigned long iova,
			    phys_addr_t paddr, size_t pgsize, int prot)
{
	struct protection_domain *domain = pt->priv;
	struct io_pgtable_ops *ops = &domain->iop.pgtbl.ops;
	int amd_prot = 0;
	size_t mapped = 0;

	if (prot & IOMMU_READ)
		amd_prot |= IOMMU_PROT_IR;
	if (prot & IOMMU_WRITE)
		amd_prot |= IOMMU_PROT_IW;
	return ops->map_pages(ops, iova, paddr, pgsize, 1, amd_prot, GFP_KERNEL,
			      &mapped);
}

static size_t dirty_pt_amd_unmap(struct dirty_pt *pt, unsigned long iova,
				 size_t pgsize)
{
	struct protection_domain *domain = pt->priv;
	struct io_pgtable_ops *ops = &domain->iop.pgtbl.ops;

	return ops->unmap_pages(ops, iova, pgsize, 1, NULL);
}

/* Walk as the hardware does. Return: the leaf's entry that maps @iova, or NULL. */
static u64 *dirty_pt_amd_walk(struct protection_domain *domain,
			      unsigned long iova, unsigned int *entries)
{
	u64 *table = domain->iop.root;
	unsigned int level = domain->iop.mode, next, size_bits;
	u64 *pte;

	if (level < PAGE_MODE_6_LEVEL && iova >> (12 + 9 * level))
		return NULL;
	for (;; table = phys_to_virt(*pte & GENMASK_ULL(51, 12))) {
		level--;
		pte = &table[(iova >> (12 + 9 * level)) & 0x1ff];
		if (!(*pte & BIT_ULL(0)))
			return NULL;
		next = (*pte >> 9) & 7;
		if (next == 0 || next == 7)
			break;
	}
	*entries = 1;
	if (next == 7) {
		/* The lowest 0 of the address is at half of the size. */
		size_bits = ffz(*pte | GENMASK(11, 0)) + 1;
		*entries = BIT(size_bits - 12 - 9 * level);
	}
	return pte;
}

static bool dirty_pt_amd_write(struct dirty_pt *pt, unsigned long iova,
			       unsigned int entry)
{
	unsigned int entries;
	u64 *pte = dirty_pt_amd_walk(pt->priv, iova, &entries);

	if (!pte || !(*pte & BIT_ULL(62)))
		return false;
	pte = PTR_ALIGN_DOWN(pte, entries * sizeof(*pte));
	pte[entry % entries] |= BIT_ULL(6);
	return true;
}

static int dirty_pt_amd_query(struct dirty_pt *pt, unsigned long iova,
			      size_t size, unsigned long flags,
			      struct iommu_dirty_bitmap *dirty)
{
	struct protection_domain *domain = pt->priv;
	struct io_pgtable_ops *ops = &domain->iop.pgtbl.ops;

	return ops->read_and_clear_dirty(ops, iova, size, flags, dirty);
}

static void dirty_pt_amd_protect(struct dirty_pt *pt, unsigned long iova,
				 size_t size, bool enable,
				 struct iommu_dirty_bitmap *dirty)
{
	struct protection_domain *domain = pt->priv;
	struct io_pgtable_ops *ops = &domain->iop.pgtbl.ops;

	ops->write_protect(ops, iova, size, enable, dirty);
}

const struct dirty_pt_format dirty_pt_amd_v1 = {
	.name = "AMD v1",
	.iova_bits = 64,
	.pgsizes = AMD_IOMMU_PGSIZES,
	.init = dirty_pt_amd_init,
	.exit = dirty_pt_amd_exit,
	.map = dirty_pt_amd_map,
	.unmap = dirty_pt_amd_unmap,
	.write = dirty_pt_amd_write,
	.query = dirty_pt_amd_query,
	.protect = dirty_pt_amd_protect,
};
