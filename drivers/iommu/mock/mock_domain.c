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
 * A paging domain has a page table and a list of the attached devices. A flush
 * of the domain flushes the IOTLB of each device in the list. This also waits
 * for accesses in progress, so removed tables are freed after a flush.
 *
 * IOMMU drivers use different parts of a struct iommu_iotlb_gather. By default
 * the mock flushes as VT-d and AMD do: it flushes the gathered range for all
 * page sizes, or the whole domain if nothing was gathered. With the module
 * parameter exact_flush it flushes as SMMUv3 does: only leaves of the gathered
 * page size in the gathered range, and nothing if either is not set. Callers
 * must be correct for both. The sysfs attribute flushes of an instance counts
 * its flushes.
 *
 * The identity and the blocked domain have no page table. Mock devices cannot
 * access physical addresses, so both domains block their DMA.
 */

/*
 * Fault injection: with drop_flush set, every test that tracks writes through
 * an IOTLB must fail because it misses dirty bits.
 */
bool mock_drop_flush;
module_param_named(drop_flush, mock_drop_flush, bool, 0644);
MODULE_PARM_DESC(drop_flush,
		 "Test knob: skip the IOTLB flush after a dirty query, so that dirty bits are lost");

bool mock_exact_flush;
module_param_named(exact_flush, mock_exact_flush, bool, 0644);
MODULE_PARM_DESC(exact_flush,
		 "Flush leaves of the gathered page size in the gathered range, and nothing if either is not set, as SMMUv3 does (default: off, as VT-d)");

/* Page size of a gather whose flush must invalidate leaves of all sizes. */
#define MOCK_GATHER_ALL_SIZES	1

static void mock_domain_flush_leaves(struct mock_domain *md,
				     unsigned long start, unsigned long last,
				     size_t leaf)
{
	struct mock_attachment *attachment;

	spin_lock(&md->lock);
	list_for_each_entry(attachment, &md->devices, node) {
		struct mock_dev *mdev = attachment->mdev;

		mock_iotlb_flush_leaves(&mdev->tlb, start, last, leaf);
		atomic_long_inc(&mdev->mi->flushes);
	}
	spin_unlock(&md->lock);
}

static void mock_domain_flush(struct mock_domain *md, unsigned long start,
			      unsigned long last)
{
	mock_domain_flush_leaves(md, start, last, 0);
}

static void mock_domain_flush_all(struct iommu_domain *domain)
{
	mock_domain_flush(to_mock_domain(domain), 0, ULONG_MAX);
}

static void mock_domain_iotlb_sync(struct iommu_domain *domain,
				   struct iommu_iotlb_gather *gather)
{
	struct mock_domain *md = to_mock_domain(domain);
	bool empty = gather->start > gather->end;
	size_t leaf = gather->pgsize;

	if (leaf == MOCK_GATHER_ALL_SIZES)
		mock_domain_flush(md, gather->start, gather->end);
	else if (empty && !READ_ONCE(mock_exact_flush) &&
		 !READ_ONCE(mock_drop_flush))
		mock_domain_flush_all(domain);
	else if (!empty && !READ_ONCE(mock_exact_flush))
		mock_domain_flush(md, gather->start, gather->end);
	else if (!empty && leaf)
		mock_domain_flush_leaves(md, gather->start, gather->end, leaf);
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
		/* The leaves may be of any size, whatever @pgsize is. */
		gather->pgsize = MOCK_GATHER_ALL_SIZES;
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
	/* CPUs do all DMA of mock devices. */
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
	/* Invalidate dirty bits that the IOTLBs cached before this call. */
	mock_domain_flush_all(domain);
	return 0;
}

/* With drop_flush, record the range without adding it to the gather. */
static void mock_domain_record_dirty(unsigned long start, unsigned long last,
				     void *opaque)
{
	struct iommu_dirty_bitmap *dirty = opaque, ungathered;

	if (READ_ONCE(mock_drop_flush)) {
		iommu_dirty_bitmap_init(&ungathered, dirty->bitmap, NULL);
		dirty = &ungathered;
	}
	iommu_dirty_bitmap_record(dirty, start, last - start + 1);
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
	/* Without a bitmap, the caller clears dirty bits to enable tracking. */
	if (!READ_ONCE(md->tracking) && dirty->bitmap)
		return -EINVAL;

	mock_pt_read_dirty(&md->pt, iova, last, clear, mock_domain_record_dirty,
			   dirty);
	if (clear && !dirty->gather)
		mock_domain_flush(md, iova, last);
	return 0;
}

static void mock_domain_record_leaf(unsigned long start, unsigned long last,
				    void *opaque)
{
	iommu_dirty_bitmap_record(opaque, start, last - start + 1);
}

static void mock_domain_write_protect(struct iommu_domain *domain,
				      unsigned long iova, size_t size,
				      bool enable,
				      struct iommu_dirty_bitmap *dirty)
{
	mock_pt_write_protect(&to_mock_domain(domain)->pt, iova,
			      iova + size - 1, enable, mock_domain_record_leaf,
			      dirty);
}

static const struct iommu_dirty_ops mock_domain_dirty_ops = {
	.set_dirty_tracking = mock_domain_set_dirty_tracking,
	.read_and_clear_dirty = mock_domain_read_and_clear_dirty,
	.write_protect = mock_domain_write_protect,
};

/*
 * Change the domain that translates DMA of a device; NULL blocks DMA. Add the
 * device to the new domain before its first access through that domain, and
 * remove it from the old domain after its last, so that it misses no flush of
 * either domain.
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
	mock_iotlb_invalidate(&mdev->tlb, 0, ULONG_MAX);
	spin_unlock(&mdev->tlb.lock);
	if (old) {
		spin_lock(&old->lock);
		list_del(&mdev->attachments[!next].node);
		spin_unlock(&old->lock);
	}
	mdev->current_attachment = next;
}

/**
 * mock_domain_attach_dev() - let a paging domain translate DMA of a device
 * @domain: a paging domain of the mock IOMMU
 * @dev: a device behind the mock IOMMU
 *
 * Return:
 * * 0: success
 * * -EINVAL: the instance of @dev cannot walk leaves of @domain, or has no dirty
 *   bits, which @domain requires
 *
 * Context: mutex of the IOMMU group held.
 */
int mock_domain_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	const struct iommu_mock_model *model = mdev->mi->model;

	/* Models of different granules share no leaf size. */
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
	/* The device holds a reference on the module, so this cannot fail. */
	__module_get(THIS_MODULE);
	return &md->domain;
}

/**
 * mock_domain_alloc_paging() - allocate a paging domain without dirty tracking
 * @dev: a device that the domain will be attached to
 *
 * As with other IOMMU drivers, only mock_domain_alloc_user() allocates domains
 * that support dirty tracking. A domain without it can be attached to all
 * devices of a group.
 *
 * Return: the domain, or an ERR_PTR():
 * * -EOPNOTSUPP: @dev is NULL, so the leaf sizes are not known
 * * -ENOMEM: out of memory
 */
struct iommu_domain *mock_domain_alloc_paging(struct device *dev)
{
	if (!dev)
		return ERR_PTR(-EOPNOTSUPP);
	return mock_domain_alloc(dev, false);
}

/**
 * mock_domain_alloc_user() - allocate a domain with caller-supplied flags
 * @dev: a device that the domain will be attached to
 * @flags: IOMMU_HWPT_ALLOC_DIRTY_TRACKING for a domain that supports dirty
 *	tracking; IOMMU_HWPT_ALLOC_NEST_PARENT is accepted if the model has
 *	nest_parent set, and has no effect
 * @parent: must be NULL
 * @user_data: must be NULL
 *
 * Return: the domain, or an ERR_PTR():
 * * -EOPNOTSUPP: the instance of @dev does not support the arguments
 * * -ENOMEM: out of memory
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

static int mock_domain_attach_static(struct iommu_domain *domain,
				     struct device *dev)
{
	mock_dev_set_domain(dev_iommu_priv_get(dev), NULL);
	return 0;
}

static const struct iommu_domain_ops mock_static_domain_ops = {
	.attach_dev = mock_domain_attach_static,
};

struct iommu_domain mock_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &mock_static_domain_ops,
};

struct iommu_domain mock_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &mock_static_domain_ops,
};
