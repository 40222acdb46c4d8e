// SPDX-License-Identifier: GPL-2.0-only
/*
 * The domains of the mock IOMMU.
 */
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "mock_private.h"

/**
 * DOC: Mock domains
 *
 * A paging domain is a page table and the list of devices that walk it. To
 * flush is to go through that list and flush the IOTLB of each device; that
 * also waits for the accesses under way, so tables that were taken out are
 * freed after a flush.
 *
 * The identity and the blocked domain have no page table. The mock's DMA does
 * not know physical addresses, so both stop it.
 */

/*
 * The proof that tests see lost dirty bits: every test that tracks writes
 * through an IOTLB has to fail with this set.
 */
bool mock_drop_flush;
module_param_named(drop_flush, mock_drop_flush, bool, 0644);
MODULE_PARM_DESC(drop_flush,
		 "Test knob: lose the IOTLB flush behind a dirty query, so that dirty bits get lost");

static void mock_domain_flush(struct mock_domain *md, unsigned long start,
			      unsigned long last)
{
	struct mock_attachment *attachment;

	spin_lock(&md->lock);
	list_for_each_entry(attachment, &md->devices, node)
		mock_iotlb_flush(&attachment->mdev->tlb, start, last);
	spin_unlock(&md->lock);
}

static void mock_domain_flush_all(struct iommu_domain *domain)
{
	mock_domain_flush(to_mock_domain(domain), 0, ULONG_MAX);
}

/*
 * A dirty query leaves gather->pgsize alone, unmap sets it: only where a
 * mapping went away memory is at stake.
 */
static void mock_domain_iotlb_sync(struct iommu_domain *domain,
				   struct iommu_iotlb_gather *gather)
{
	if (gather->start <= gather->end &&
	    (gather->pgsize || !READ_ONCE(mock_drop_flush)))
		mock_domain_flush(to_mock_domain(domain), gather->start,
				  gather->end);
	mock_pt_free_list(&gather->freelist);
}

static int mock_domain_map_pages(struct iommu_domain *domain,
				 unsigned long iova, phys_addr_t paddr,
				 size_t pgsize, size_t pgcount, int prot,
				 gfp_t gfp, size_t *mapped)
{
	struct mock_domain *md = to_mock_domain(domain);
	unsigned long perm = 0;
	LIST_HEAD(replaced);
	int rc;

	if (md->model->should_fail && md->model->should_fail())
		return -ENOMEM;
	if (prot & IOMMU_READ)
		perm |= MOCK_PTE_READ;
	if (prot & IOMMU_WRITE)
		perm |= MOCK_PTE_WRITE;
	rc = mock_pt_map(&md->pt, iova, paddr, pgsize, pgcount, perm, gfp,
			 mapped, &replaced);
	if (!list_empty(&replaced)) {
		mock_domain_flush(md, iova, iova + *mapped - 1);
		mock_pt_free_list(&replaced);
	}
	return rc;
}

static size_t mock_domain_unmap_pages(struct iommu_domain *domain,
				      unsigned long iova, size_t pgsize,
				      size_t pgcount,
				      struct iommu_iotlb_gather *gather)
{
	struct mock_domain *md = to_mock_domain(domain);
	unsigned long start;
	size_t unmapped;

	unmapped = mock_pt_unmap(&md->pt, iova, pgsize * pgcount, &start,
				 &gather->freelist);
	if (unmapped) {
		iommu_iotlb_gather_add_range(gather, start,
					     iova + unmapped - start);
		gather->pgsize = pgsize;
	}
	return unmapped;
}

static phys_addr_t mock_domain_iova_to_phys(struct iommu_domain *domain,
					    dma_addr_t iova)
{
	struct mock_pt_leaf leaf;

	if (!mock_pt_lookup(&to_mock_domain(domain)->pt, iova, &leaf))
		return 0;
	return leaf.phys + (iova - leaf.start);
}

static bool mock_domain_enforce_cache_coherency(struct iommu_domain *domain)
{
	/* All DMA is done by a CPU. */
	return true;
}

static void mock_domain_free(struct iommu_domain *domain)
{
	struct mock_domain *md = to_mock_domain(domain);

	WARN_ON(!list_empty(&md->devices));
	WARN_ON(md->model->unmapped_by_owner && !mock_pt_empty(&md->pt));
	mock_pt_destroy(&md->pt);
	kfree(md);
	module_put(THIS_MODULE);
}

static int mock_domain_set_dirty_tracking(struct iommu_domain *domain,
					  bool enabled)
{
	struct mock_domain *md = to_mock_domain(domain);

	spin_lock(&md->lock);
	WRITE_ONCE(md->tracking, enabled);
	spin_unlock(&md->lock);
	/* What was dirty while it was off, or before that, counts no more. */
	mock_domain_flush_all(domain);
	return 0;
}

static void mock_domain_record(unsigned long start, unsigned long last,
			       void *opaque)
{
	iommu_dirty_bitmap_record(opaque, start, last - start + 1);
}

static int mock_domain_read_and_clear_dirty(struct iommu_domain *domain,
					    unsigned long iova, size_t size,
					    unsigned long flags,
					    struct iommu_dirty_bitmap *dirty)
{
	struct mock_domain *md = to_mock_domain(domain);
	bool clear = !(flags & IOMMU_DIRTY_NO_CLEAR);
	unsigned long last;

	if (!size)
		return -EINVAL;
	if (check_add_overflow(iova, size - 1, &last))
		return -EOVERFLOW;
	/* Without a bitmap this tidies up before tracking is turned on. */
	if (!READ_ONCE(md->tracking) && dirty->bitmap)
		return -EINVAL;

	mock_pt_read_dirty(&md->pt, iova, last, clear, mock_domain_record,
			   dirty);
	if (clear && !dirty->gather)
		mock_domain_flush(md, iova, last);
	return 0;
}

static const struct iommu_dirty_ops mock_domain_dirty_ops = {
	.set_dirty_tracking = mock_domain_set_dirty_tracking,
	.read_and_clear_dirty = mock_domain_read_and_clear_dirty,
};

/*
 * Let the device's DMA go through another domain, or none. The new one learns
 * of the device before its first access and the old one forgets it after its
 * last, so that neither misses a flush.
 */
static void mock_dev_set_domain(struct mock_dev *mdev, struct mock_domain *md)
{
	struct mock_domain *old = mdev->domain;
	unsigned int next = !mdev->current_attachment;

	if (md == old)
		return;
	if (md) {
		spin_lock(&md->lock);
		list_add_tail(&mdev->attachments[next].node, &md->devices);
		spin_unlock(&md->lock);
	}
	spin_lock(&mdev->tlb.lock);
	mdev->domain = md;
	mock_iotlb_drop(&mdev->tlb, 0, ULONG_MAX);
	spin_unlock(&mdev->tlb.lock);
	if (old) {
		spin_lock(&old->lock);
		list_del(&mdev->attachments[!next].node);
		spin_unlock(&old->lock);
	}
	mdev->current_attachment = next;
}

static int mock_domain_attach_dev(struct iommu_domain *domain,
				  struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	const struct iommu_mock_model *model = mdev->mi->model;

	/* That the granules are the same follows, as both are leaf sizes. */
	if (domain->pgsize_bitmap & ~(model->walks ?: model->pgsizes))
		return -EINVAL;
	if (domain->dirty_ops && !model->dirty)
		return -EINVAL;
	mock_dev_set_domain(mdev, to_mock_domain(domain));
	return 0;
}

const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_domain_attach_dev,
	.map_pages = mock_domain_map_pages,
	.unmap_pages = mock_domain_unmap_pages,
	.flush_iotlb_all = mock_domain_flush_all,
	.iotlb_sync = mock_domain_iotlb_sync,
	.iova_to_phys = mock_domain_iova_to_phys,
	.enforce_cache_coherency = mock_domain_enforce_cache_coherency,
	.free = mock_domain_free,
};

static struct iommu_domain *mock_domain_alloc(struct device *dev, bool dirty)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	const struct iommu_mock_model *model = mdev->mi->model;
	struct mock_domain *md;
	int rc;

	md = kzalloc(sizeof(*md), GFP_KERNEL_ACCOUNT);
	if (!md)
		return ERR_PTR(-ENOMEM);
	rc = mock_pt_init(&md->pt, model->pgsizes, GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(md);
		return ERR_PTR(rc);
	}
	md->model = model;
	spin_lock_init(&md->lock);
	INIT_LIST_HEAD(&md->devices);
	md->domain.type = IOMMU_DOMAIN_UNMANAGED;
	md->domain.ops = &mock_domain_ops;
	md->domain.dirty_ops = dirty ? &mock_domain_dirty_ops : NULL;
	md->domain.pgsize_bitmap = model->pgsizes;
	md->domain.geometry.aperture_start = model->aperture_start;
	md->domain.geometry.aperture_end =
		model->aperture_last ?: MOCK_PT_LAST_IOVA;
	md->domain.geometry.force_aperture = true;
	/* The device holds one already. */
	__module_get(THIS_MODULE);
	return &md->domain;
}

/**
 * mock_domain_alloc_paging() - allocate a domain for use by the kernel
 * @dev: a device that it will be attached to
 *
 * It has dirty bits if the instance of @dev has.
 *
 * Return: the domain; -EOPNOTSUPP without a device, whose instance is what
 * tells the leaf sizes; -ENOMEM.
 */
struct iommu_domain *mock_domain_alloc_paging(struct device *dev)
{
	struct mock_dev *mdev;

	if (!dev)
		return ERR_PTR(-EOPNOTSUPP);
	mdev = dev_iommu_priv_get(dev);
	return mock_domain_alloc(dev, mdev->mi->model->dirty);
}

/**
 * mock_domain_alloc_user() - allocate a domain as userspace asks for it
 * @dev: a device that it will be attached to
 * @flags: IOMMU_HWPT_ALLOC_DIRTY_TRACKING gives it dirty bits;
 *	IOMMU_HWPT_ALLOC_NEST_PARENT changes nothing, where the model takes it
 * @parent: must be NULL
 * @user_data: must be NULL
 *
 * Return: the domain; -EOPNOTSUPP for anything that @dev cannot have; -ENOMEM.
 */
struct iommu_domain *
mock_domain_alloc_user(struct device *dev, u32 flags,
		       struct iommu_domain *parent,
		       const struct iommu_user_data *user_data)
{
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	const struct iommu_mock_model *model = mdev->mi->model;
	u32 known = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;

	if (model->nest_parent)
		known |= IOMMU_HWPT_ALLOC_NEST_PARENT;
	if (flags & ~known || parent || user_data)
		return ERR_PTR(-EOPNOTSUPP);
	if (dirty && !model->dirty)
		return ERR_PTR(-EOPNOTSUPP);
	return mock_domain_alloc(dev, dirty);
}

static int mock_domain_attach_none(struct iommu_domain *domain,
				   struct device *dev)
{
	mock_dev_set_domain(dev_iommu_priv_get(dev), NULL);
	return 0;
}

static const struct iommu_domain_ops mock_static_domain_ops = {
	.attach_dev = mock_domain_attach_none,
};

struct iommu_domain mock_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &mock_static_domain_ops,
};

struct iommu_domain mock_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &mock_static_domain_ops,
};
