// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested domains of the mock IOMMU.
 */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "mock_private.h"

/**
 * DOC: Nested mock domains
 *
 * A nested domain is the first stage of a translation whose second stage is a
 * paging domain, its parent. The first stage of the mock translates each IOVA to
 * itself, so a device that is attached to a nested domain uses the page table of
 * the parent, sets dirty bits there, and is flushed with it.
 *
 * A few numbers take the place of translations that an IOTLB has cached from the
 * page table of a guest. Their value comes from userspace, and an invalidation
 * sets them to 0, so that tests can see what was invalidated.
 */

/**
 * struct mock_nested - a nested domain
 * @domain: the IOMMU core's object for the domain
 * @parent: the second stage
 * @lock: guards @iotlb
 * @iotlb: the cached entries
 *
 * Owner: the caller that allocated the domain, which keeps @parent meanwhile.
 * Lifetime: the domain may outlive the last device, so it holds a reference on
 * the module.
 */
struct mock_nested {
	struct iommu_domain domain;
	struct iommu_domain *parent;
	/* guards iotlb */
	spinlock_t lock;
	u32 iotlb[IOMMU_MOCK_NESTED_IOTLB_NUM];
};

static struct mock_nested *to_mock_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_nested, domain);
}

static int mock_nested_attach_dev(struct iommu_domain *domain,
				  struct device *dev)
{
	return mock_domain_attach_dev(to_mock_nested(domain)->parent, dev);
}

static void mock_nested_free(struct iommu_domain *domain)
{
	kfree(to_mock_nested(domain));
	module_put(THIS_MODULE);
}

static int mock_nested_invalidate(struct mock_nested *nested,
				  const struct iommu_mock_hwpt_invalidate *inv)
{
	int rc = 0;

	if (inv->flags & ~IOMMU_MOCK_HWPT_INVALIDATE_ALL)
		return -EOPNOTSUPP;

	spin_lock(&nested->lock);
	if (inv->flags & IOMMU_MOCK_HWPT_INVALIDATE_ALL)
		memset(nested->iotlb, 0, sizeof(nested->iotlb));
	else if (inv->iotlb_id < IOMMU_MOCK_NESTED_IOTLB_NUM)
		nested->iotlb[inv->iotlb_id] = 0;
	else
		rc = -EINVAL;
	spin_unlock(&nested->lock);
	return rc;
}

static int
mock_nested_cache_invalidate_user(struct iommu_domain *domain,
				  struct iommu_user_data_array *array)
{
	u32 entries = array->entry_num, done = 0;
	struct iommu_mock_hwpt_invalidate inv;
	int rc = 0;

	if (array->type != IOMMU_MOCK_HWPT_INVALIDATE_DATA ||
	    (entries && array->entry_len != sizeof(inv)))
		rc = -EINVAL;

	while (!rc && done < entries) {
		rc = iommu_copy_struct_from_user_array(&inv, array,
						       IOMMU_MOCK_HWPT_INVALIDATE_DATA,
						       done, iotlb_id);
		rc = rc ?: mock_nested_invalidate(to_mock_nested(domain), &inv);
		if (!rc)
			done++;
		cond_resched();
	}
	array->entry_num = done;
	return rc;
}

static const struct iommu_domain_ops mock_nested_ops = {
	.attach_dev = mock_nested_attach_dev,
	.cache_invalidate_user = mock_nested_cache_invalidate_user,
	.free = mock_nested_free,
};

static struct iommu_domain *
mock_nested_alloc(struct iommu_domain *parent, u32 flags,
		  const struct iommu_user_data *user_data)
{
	struct iommu_mock_hwpt_data data;
	struct mock_nested *nested;
	int rc;

	if (flags || !user_data || user_data->type != IOMMU_MOCK_HWPT_DATA)
		return ERR_PTR(-EOPNOTSUPP);
	if (parent->ops != &mock_domain_ops)
		return ERR_PTR(-EINVAL);
	rc = iommu_copy_struct_from_user(&data, user_data, IOMMU_MOCK_HWPT_DATA,
					 iotlb);
	if (rc)
		return ERR_PTR(rc);

	nested = kzalloc(sizeof(*nested), GFP_KERNEL_ACCOUNT);
	if (!nested)
		return ERR_PTR(-ENOMEM);
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &mock_nested_ops;
	nested->parent = parent;
	spin_lock_init(&nested->lock);
	memset32(nested->iotlb, data.iotlb, IOMMU_MOCK_NESTED_IOTLB_NUM);
	/* The device holds a reference on the module, so this cannot fail. */
	__module_get(THIS_MODULE);
	return &nested->domain;
}

/**
 * mock_nested_alloc_user() - allocate a paging or a nested domain
 * @dev: a device that the domain will be attached to
 * @flags: for a paging domain, as for mock_domain_alloc_user(); else 0
 * @parent: for a nested domain, its second stage, which must outlive the domain;
 *	NULL for a paging domain
 * @user_data: for a nested domain, a struct iommu_mock_hwpt_data; else NULL
 *
 * iommu_ops.domain_alloc_user.
 *
 * Return: the domain, or an ERR_PTR():
 * * -EOPNOTSUPP: the instance of @dev does not support the arguments
 * * -EINVAL: @parent is not a paging domain of the mock IOMMU, or @user_data is
 *   too short
 * * -EFAULT: @user_data cannot be read
 * * -ENOMEM: out of memory
 * * or another errno of iommu_copy_struct_from_user()
 *
 * Context: may sleep.
 */
struct iommu_domain *
mock_nested_alloc_user(struct device *dev, u32 flags,
		       struct iommu_domain *parent,
		       const struct iommu_user_data *user_data)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	if (!parent)
		return mock_domain_alloc_user(dev, flags, NULL, user_data);
	if (!mdev->mi->model->nest_parent)
		return ERR_PTR(-EOPNOTSUPP);
	return mock_nested_alloc(parent, flags, user_data);
}

/**
 * iommu_mock_nested_iotlb() - read an entry of a nested domain
 * @domain: any domain
 * @index: index of the entry
 * @value: set to the value of the entry; 0 if it was invalidated
 *
 * Return:
 * * 0: success
 * * -EINVAL: @domain is not a nested domain of the mock IOMMU, or has no such
 *   entry
 */
int iommu_mock_nested_iotlb(struct iommu_domain *domain, unsigned int index,
			    u32 *value)
{
	struct mock_nested *nested;

	if (domain->ops != &mock_nested_ops ||
	    index >= IOMMU_MOCK_NESTED_IOTLB_NUM)
		return -EINVAL;
	nested = to_mock_nested(domain);
	spin_lock(&nested->lock);
	*value = nested->iotlb[index];
	spin_unlock(&nested->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_mock_nested_iotlb);
