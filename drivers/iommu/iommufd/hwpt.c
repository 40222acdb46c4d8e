// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: page tables
 *
 * An iommufd_hwpt_paging is an iommu_domain that an IOAS keeps filled with all
 * that is mapped in it. Userspace makes one with IOMMU_HWPT_ALLOC, where it
 * wants a say in what kind it is, and keeps it until it destroys it; attaching
 * a device to an IOAS makes one where none fits, which ends with its last
 * device. Where the hardware notes what devices write, the page table is also
 * what is asked for it.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

static struct iommufd_hwpt_paging *to_hwpt(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hwpt_paging, obj);
}

/**
 * iommufd_get_hwpt_paging() - Look up a page table
 * @ictx: the context
 * @id: its ID
 *
 * Return: the page table, to be given back with iommufd_put_object(); -ENOENT
 * if there is none of that ID.
 */
struct iommufd_hwpt_paging *iommufd_get_hwpt_paging(struct iommufd_ctx *ictx,
						    u32 id)
{
	/* An error stays one: obj is the first member. */
	return to_hwpt(iommufd_get_object(ictx, id, IOMMUFD_OBJ_HWPT_PAGING));
}

/* The IOAS no longer fills the domain. */
static void hwpt_free(struct iommufd_hwpt_paging *hwpt)
{
	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	refcount_dec(&hwpt->ioas->obj.users);
}

/**
 * iommufd_hwpt_paging_destroy() - The destroy operation of a page table
 * @obj: the object; no device is attached
 *
 * Context: May sleep. Takes &iommufd_ioas.mutex and the locks of the IOAS'
 * io_pagetable.
 */
void iommufd_hwpt_paging_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = to_hwpt(obj);

	scoped_guard(mutex, &hwpt->ioas->mutex)
		list_del(&hwpt->hwpt_item);
	iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->domain);
	hwpt_free(hwpt);
}

/**
 * iommufd_hwpt_paging_abort() - The abort operation of a page table
 * @obj: the object, as far as it was made; no device is attached
 *
 * Context: May sleep. The caller holds &iommufd_ioas.mutex of its IOAS, as it
 * has since before it was made. Takes the locks of the IOAS' io_pagetable.
 */
void iommufd_hwpt_paging_abort(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = to_hwpt(obj);

	lockdep_assert_held(&hwpt->ioas->mutex);

	if (!list_empty(&hwpt->hwpt_item)) {
		list_del(&hwpt->hwpt_item);
		iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->domain);
	}
	hwpt_free(hwpt);
}

/**
 * iommufd_hwpt_paging_put() - End a device's use of a page table
 * @ictx: the context
 * @hwpt: what iommufd_hwpt_detach() or iommufd_hwpt_replace() returned
 *
 * Context: May sleep. Destroys the page table if an attach made it and nobody
 * uses it now, thus the caller must not hold &iommufd_ioas.mutex.
 */
void iommufd_hwpt_paging_put(struct iommufd_ctx *ictx,
			     struct iommufd_hwpt_paging *hwpt)
{
	lockdep_assert_not_held(&hwpt->ioas->mutex);

	if (hwpt->auto_domain)
		iommufd_object_put_and_try_destroy(ictx, &hwpt->obj);
	else
		refcount_dec(&hwpt->obj.users);
}

static int hwpt_check_flags(struct device *dev, u32 flags)
{
	if (flags & ~(IOMMU_HWPT_ALLOC_NEST_PARENT |
		      IOMMU_HWPT_ALLOC_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	if (flags && !dev_iommu_ops(dev)->domain_alloc_user)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    !device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	return 0;
}

static bool hwpt_enforce_cc(struct iommufd_hwpt_paging *hwpt)
{
	const struct iommu_domain_ops *ops = hwpt->domain->ops;

	hwpt->enforce_cache_coherency =
		ops->enforce_cache_coherency &&
		ops->enforce_cache_coherency(hwpt->domain);
	return hwpt->enforce_cache_coherency;
}

/*
 * Everything but the object itself. On failure hwpt_item and domain tell
 * iommufd_hwpt_paging_abort() how far it came.
 */
static int hwpt_init(struct iommufd_hwpt_paging *hwpt,
		     struct iommufd_device *idev, u32 flags,
		     bool immediate_attach)
{
	struct iommufd_ioas *ioas = hwpt->ioas;
	struct iommu_domain *domain;
	int rc;

	domain = iopt_domain_alloc_flags(idev->dev, flags);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	hwpt->domain = domain;

	/*
	 * Before anything is mapped, since some IOMMUs have it in each entry.
	 * It stays like that: devices that cannot have it need a page table of
	 * their own. A driver that says it can and then cannot is broken.
	 */
	if (idev->enforce_cache_coherency && WARN_ON(!hwpt_enforce_cc(hwpt)))
		return -EINVAL;

	if (immediate_attach) {
		rc = iommufd_hwpt_attach(hwpt, idev);
		if (rc)
			return rc;
	}

	rc = iopt_table_add_domain(&ioas->iopt, domain);
	if (rc) {
		if (immediate_attach) {
			iommufd_hwpt_detach(idev);
			refcount_dec(&hwpt->obj.users);
		}
		return rc;
	}
	list_add_tail(&hwpt->hwpt_item, &ioas->hwpt_list);
	return 0;
}

/**
 * iommufd_hwpt_paging_alloc() - Make a page table and fill it
 * @ictx: the context
 * @ioas: what it shows
 * @idev: a device that it is good for
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @immediate_attach: attach @idev before it is filled; there are drivers that
 *	know the shape of a domain only then
 *
 * Context: May sleep. The caller holds &iommufd_ioas.mutex until it has called
 * iommufd_object_finalize(), or iommufd_object_abort_and_destroy(). Takes
 * &iommufd_group.lock and the locks of the IOAS' io_pagetable.
 *
 * Return: the page table, with an ID but not to be found by it as yet.
 * -EOPNOTSUPP if a flag is unknown or nothing that this device's IOMMU can do.
 * -EINVAL, -EADDRINUSE, -ENOMEM and others as the driver of the IOMMU,
 * iommufd_hwpt_attach() and iopt_table_add_domain() give.
 */
struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			  struct iommufd_device *idev, u32 flags,
			  bool immediate_attach)
{
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	lockdep_assert_held(&ioas->mutex);

	rc = hwpt_check_flags(idev->dev, flags);
	if (rc)
		return ERR_PTR(rc);

	hwpt = iommufd_object_alloc(ictx, hwpt, IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt))
		return hwpt;
	INIT_LIST_HEAD(&hwpt->hwpt_item);
	refcount_inc(&ioas->obj.users);
	hwpt->ioas = ioas;

	rc = hwpt_init(hwpt, idev, flags, immediate_attach);
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, &hwpt->obj);
		return ERR_PTR(rc);
	}
	return hwpt;
}

static int hwpt_alloc_in_ioas(struct iommufd_ucmd *ucmd,
			      struct iommufd_device *idev,
			      struct iommufd_ioas *ioas)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	/* Drivers have nothing to be told of a page table that we fill. */
	if (cmd->data_len)
		return -EOPNOTSUPP;

	guard(mutex)(&ioas->mutex);

	hwpt = iommufd_hwpt_paging_alloc(ucmd->ictx, ioas, idev, cmd->flags,
					 false);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);

	cmd->out_hwpt_id = hwpt->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->obj);
	else
		iommufd_object_finalize(ucmd->ictx, &hwpt->obj);
	return rc;
}

/**
 * iommufd_hwpt_alloc() - IOMMU_HWPT_ALLOC
 * @ucmd: struct iommu_hwpt_alloc
 *
 * Return: 0 on success. -EOPNOTSUPP if __reserved is set, a flag is unknown or
 * more than the IOMMU can do, or there is data for the driver. -EINVAL if there
 * is a data type without data or data without a type, or if pt_id is not the
 * ID of an IOAS. -ENOENT if there is no such device, -EFAULT, or an error of
 * iommufd_hwpt_paging_alloc().
 */
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	bool has_type = cmd->data_type != IOMMU_HWPT_DATA_NONE;
	struct iommufd_device *idev;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (has_type != !!cmd->data_len)
		return -EINVAL;

	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->pt_id);
	if (IS_ERR(ioas)) {
		rc = -EINVAL;
	} else {
		rc = hwpt_alloc_in_ioas(ucmd, idev, ioas);
		iommufd_put_object(ucmd->ictx, &ioas->obj);
	}
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}

/**
 * iommufd_hwpt_set_dirty_tracking() - IOMMU_HWPT_SET_DIRTY_TRACKING
 * @ucmd: struct iommu_hwpt_set_dirty_tracking
 *
 * Return: 0 on success. -EOPNOTSUPP if a flag is unknown, -ENOENT if there is
 * no such page table, or an error of iopt_set_dirty_tracking(): -EOPNOTSUPP if
 * it does not know what is written.
 */
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = iopt_set_dirty_tracking(&hwpt->ioas->iopt, hwpt->domain,
				     cmd->flags);
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	return rc;
}

/**
 * iommufd_hwpt_get_dirty_bitmap() - IOMMU_HWPT_GET_DIRTY_BITMAP
 * @ucmd: struct iommu_hwpt_get_dirty_bitmap
 *
 * Return: 0 on success. -EOPNOTSUPP if a flag is unknown or __reserved is set,
 * -ENOENT if there is no such page table, -EOVERFLOW if a number is more than
 * this machine has addresses, or an error of iopt_read_and_clear_dirty().
 */
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	struct iopt_dirty_query query = {
		.iova = cmd->iova,
		.length = cmd->length,
		.page_size = cmd->page_size,
		.data = u64_to_user_ptr(cmd->data),
		.no_clear = cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
	};
	struct iommufd_hwpt_paging *hwpt;
	int rc = -EOVERFLOW;

	if ((cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
	    cmd->__reserved)
		return -EOPNOTSUPP;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	if (!overflows_type(cmd->iova, query.iova) &&
	    !overflows_type(cmd->length, query.length) &&
	    !overflows_type(cmd->page_size, query.page_size))
		rc = iopt_read_and_clear_dirty(&hwpt->ioas->iopt, hwpt->domain,
					       &query);
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	return rc;
}
