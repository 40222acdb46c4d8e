// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: nested page tables
 *
 * A guest with a virtual IOMMU has page tables of its own. An IOMMU with two
 * stages of translation can use such a page table unchanged: the first stage
 * translates by it, and what it yields is translated by a second stage, which is
 * a paging page table of the VMM. The first stage is a nested struct
 * iommufd_hwpt, and the second stage is its parent. The guest changes the nested
 * page table without the kernel, and the VMM forwards its invalidations by
 * IOMMU_HWPT_INVALIDATE.
 *
 * Only the parent has mappings of the IOAS. DMA through a nested page table sets
 * dirty bits in the parent, so dirty pages are queried there, whatever page
 * tables devices are attached to meanwhile.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/* Maximum number of entries of an IOMMU_HWPT_INVALIDATE; bounds its time. */
#define INVALIDATE_ENTRIES_MAX	SZ_512K

static void hwpt_nested_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = container_of(obj, struct iommufd_hwpt, obj);

	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	if (hwpt->fault)
		refcount_dec(&hwpt->fault->obj.users);
	refcount_dec(&hwpt->parent->obj.users);
}

static const struct iommufd_object_ops hwpt_nested_ops = {
	.type = IOMMUFD_OBJ_HWPT_NESTED,
	.destroy = hwpt_nested_destroy,
};

/* On failure, hwpt_nested_destroy() frees hwpt->domain unless it is NULL. */
static int hwpt_nested_init(struct iommufd_hwpt *hwpt, struct device *dev,
			    const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	struct iommu_domain *domain;

	domain = ops->domain_alloc_user(dev, 0, hwpt->parent->domain,
					user_data);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	domain->owner = ops;
	hwpt->domain = domain;

	/* A driver that accepts a parent must not fail here. */
	if (WARN_ON_ONCE(domain->type != IOMMU_DOMAIN_NESTED ||
			 !domain->ops->cache_invalidate_user))
		return -EINVAL;
	return 0;
}

/**
 * iommufd_hwpt_nested_alloc() - allocate a nested page table
 * @ictx: the context
 * @parent: the second stage; the page table takes a reference
 * @idev: a device that can be attached to the page table
 * @flags: IOMMU_HWPT_FAULT_ID_VALID if iommufd_fault_init_hwpt() follows, or 0
 * @user_data: where the page table of the guest is, for the IOMMU driver
 *
 * The driver reads @user_data. If its memory is not present, this waits for a
 * page fault, and an unbind of @idev waits meanwhile.
 *
 * Return:
 * * the page table. Its ID cannot be looked up before iommufd_object_finalize()
 * * -EOPNOTSUPP: another flag is set, there is no data, or the device's IOMMU
 *   does not support nested page tables
 * * -EINVAL: @parent was not allocated with IOMMU_HWPT_ALLOC_NEST_PARENT, or not
 *   for an IOMMU of this driver
 * * -ENOMEM: out of memory
 * * -EBUSY: the context has no free ID
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep.
 */
struct iommufd_hwpt *
iommufd_hwpt_nested_alloc(struct iommufd_ctx *ictx, struct iommufd_hwpt *parent,
			  struct iommufd_device *idev, u32 flags,
			  const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(idev->dev);
	struct iommufd_hwpt *hwpt;
	int rc;

	if ((flags & ~IOMMU_HWPT_FAULT_ID_VALID) || !user_data->len ||
	    !ops->domain_alloc_user)
		return ERR_PTR(-EOPNOTSUPP);
	if (!parent->nest_parent || parent->domain->owner != ops)
		return ERR_PTR(-EINVAL);

	hwpt = iommufd_object_alloc(ictx, hwpt, &hwpt_nested_ops);
	if (IS_ERR(hwpt))
		return hwpt;
	INIT_LIST_HEAD(&hwpt->hwpt_item);
	refcount_inc(&parent->obj.users);
	hwpt->parent = parent;
	hwpt->ioas = parent->ioas;

	rc = hwpt_nested_init(hwpt, idev->dev, user_data);
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, &hwpt->obj);
		return ERR_PTR(rc);
	}
	return hwpt;
}

static int hwpt_invalidate(struct iommufd_ucmd *ucmd, u32 *done)
{
	const struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	struct iommu_user_data_array array = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
	};
	struct iommufd_hwpt *hwpt;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num &&
	    (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > PAGE_SIZE ||
	     cmd->entry_num > INVALIDATE_ENTRIES_MAX))
		return -EINVAL;

	hwpt = iommufd_get_hwpt_nested(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = hwpt->domain->ops->cache_invalidate_user(hwpt->domain, &array);
	*done = array.entry_num;
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	return rc;
}

/**
 * iommufd_hwpt_invalidate() - handle IOMMU_HWPT_INVALIDATE
 * @ucmd: the ioctl, with a struct iommu_hwpt_invalidate
 *
 * Sets entry_num to the number of entries that were processed, on failure, too.
 * Without entries, the call only checks data_type.
 *
 * Return:
 * * 0: all entries were processed
 * * -EOPNOTSUPP: __reserved is set
 * * -EINVAL: there are entries, but no address or size of these; an entry is
 *   larger than PAGE_SIZE; or there are more than 2^19
 * * -ENOENT: there is no such nested page table
 * * -EFAULT: the structure cannot be written
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep.
 */
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	u32 done = 0;
	int rc = hwpt_invalidate(ucmd, &done);

	cmd->entry_num = done;
	if (iommufd_ucmd_respond(ucmd, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}
