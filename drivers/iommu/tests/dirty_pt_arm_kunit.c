// SPDX-License-Identifier: GPL-2.0-only
/*
 * First-stage page tables of SMMUv3 under test.
 */
#include <kunit/device.h>
#include <linux/io-pgtable.h>
#include <linux/sizes.h>

#include "dirty_pt_kunit.h"

/**
 * DOC: 64-bit LPAE, first stage
 *
 * Dirty state is not a bit of its own: a descriptor with DBM (bit 51) is writable. It is
 * clean while AP[2] (bit 7) is set, and the hardware clears AP[2] for a write.
 */

#define DIRTY_PT_ARM_BITS	48

struct dirty_pt_arm {
	struct io_pgtable_ops *ops;
	phys_addr_t ttbr;
};

static void dirty_pt_arm_flush_all(void *cookie)
{
}

static void dirty_pt_arm_flush_walk(unsigned long iova, size_t size,
				    size_t granule, void *cookie)
{
}

static void dirty_pt_arm_add_page(struct iommu_iotlb_gather *gather,
				  unsigned long iova, size_t granule,
				  void *cookie)
{
}

static const struct iommu_flush_ops dirty_pt_arm_flush_ops = {
	.tlb_flush_all = dirty_pt_arm_flush_all,
	.tlb_flush_walk = dirty_pt_arm_flush_walk,
	.tlb_add_page = dirty_pt_arm_add_page,
};

static void dirty_pt_arm_init(struct dirty_pt *pt)
{
	struct device *dev = kunit_device_register(pt->test, "dirty_pt_arm");
	struct io_pgtable_cfg cfg = {
		.quirks = IO_PGTABLE_QUIRK_ARM_HD,
		.pgsize_bitmap = pt->format->pgsizes,
		.ias = DIRTY_PT_ARM_BITS,
		.oas = 48,
		.coherent_walk = true,
		.tlb = &dirty_pt_arm_flush_ops,
		.iommu_dev = dev,
	};
	struct dirty_pt_arm *arm;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(pt->test, dev);
	set_dev_node(dev, NUMA_NO_NODE);
	arm = kunit_kzalloc(pt->test, sizeof(*arm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(pt->test, arm);
	pt->priv = arm;
	arm->ops = alloc_io_pgtable_ops(ARM_64_LPAE_S1, &cfg, pt);
	KUNIT_ASSERT_NOT_NULL(pt->test, arm->ops);
	KUNIT_ASSERT_EQ(pt->test, pt->format->pgsizes, cfg.pgsize_bitmap);
	arm->ttbr = cfg.arm_lpae_s1_cfg.ttbr;
}

static void dirty_pt_arm_exit(struct dirty_pt *pt)
{
	struct dirty_pt_arm *arm = pt->priv;

	free_io_pgtable_ops(arm->ops);
}

static int dirty_pt_arm_map(struct dirty_pt *pt, unsigned long iova,
			    phys_addr_t paddr, size_t pgsize, int prot)
{
	struct dirty_pt_arm *arm = pt->priv;
	size_t mapped = 0;

	return arm->ops->map_pages(arm->ops, iova, paddr, pgsize, 1, prot,
				   GFP_KERNEL, &mapped);
}

static size_t dirty_pt_arm_unmap(struct dirty_pt *pt, unsigned long iova,
				 size_t pgsize)
{
	struct dirty_pt_arm *arm = pt->priv;
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	return arm->ops->unmap_pages(arm->ops, iova, pgsize, 1, &gather);
}

/* Walk as the hardware does. Each leaf is one descriptor. */
static bool dirty_pt_arm_write(struct dirty_pt *pt, unsigned long iova,
			       unsigned int entry)
{
	struct dirty_pt_arm *arm = pt->priv;
	unsigned int page_shift = __ffs(pt->format->pgsizes);
	unsigned int bits = page_shift - 3;
	unsigned int shift = page_shift +
			     rounddown(DIRTY_PT_ARM_BITS - 1 - page_shift, bits);
	u64 *table = phys_to_virt(arm->ttbr), *pte;

	for (;; shift -= bits) {
		/* The first table may have fewer entries: @iova is in range. */
		pte = &table[(iova >> shift) & GENMASK(bits - 1, 0)];
		if (!(*pte & BIT_ULL(0)))
			return false;
		if (shift == page_shift || !(*pte & BIT_ULL(1)))
			break;
		table = phys_to_virt(*pte & GENMASK_ULL(47, page_shift));
	}
	if (*pte & BIT_ULL(51))
		*pte &= ~BIT_ULL(7);
	return !(*pte & BIT_ULL(7));
}

static int dirty_pt_arm_query(struct dirty_pt *pt, unsigned long iova,
			      size_t size, unsigned long flags,
			      struct iommu_dirty_bitmap *dirty)
{
	struct dirty_pt_arm *arm = pt->priv;

	return arm->ops->read_and_clear_dirty(arm->ops, iova, size, flags,
					      dirty);
}

#define DIRTY_PT_ARM_COMMON \
	.iova_bits = DIRTY_PT_ARM_BITS, \
	.contiguous = true, \
	.init = dirty_pt_arm_init, \
	.exit = dirty_pt_arm_exit, \
	.map = dirty_pt_arm_map, \
	.unmap = dirty_pt_arm_unmap, \
	.write = dirty_pt_arm_write, \
	.query = dirty_pt_arm_query

const struct dirty_pt_format dirty_pt_arm_4k = {
	.name = "Arm 64-bit LPAE, 4 KiB",
	.pgsizes = SZ_4K | SZ_2M | SZ_1G,
	DIRTY_PT_ARM_COMMON,
};

const struct dirty_pt_format dirty_pt_arm_16k = {
	.name = "Arm 64-bit LPAE, 16 KiB",
	.pgsizes = SZ_16K | SZ_32M,
	DIRTY_PT_ARM_COMMON,
};

const struct dirty_pt_format dirty_pt_arm_64k = {
	.name = "Arm 64-bit LPAE, 64 KiB",
	.pgsizes = SZ_64K | SZ_512M,
	DIRTY_PT_ARM_COMMON,
};
