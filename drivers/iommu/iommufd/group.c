// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: device groups
 *
 * Devices that an IOMMU cannot isolate from each other are in one iommu_group,
 * and share a page table. A struct iommufd_group represents a group in a
 * context. Attaching the first device of a group attaches the group to the page
 * table. The other devices must be attached to the same page table. Detaching
 * the last device blocks DMA of the group. Reserved IOVAs are those of each
 * device: the IOAS keeps them unmapped while the device is attached.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/*
 * Return: the group with a reference; NULL if the context has no group of this
 * ID.
 */
static struct iommufd_group *group_find(struct iommufd_ctx *ictx,
					unsigned int id)
{
	struct iommufd_group *igroup;

	xa_lock(&ictx->groups);
	igroup = xa_load(&ictx->groups, id);
	if (igroup)
		kref_get(&igroup->ref);
	xa_unlock(&ictx->groups);
	return igroup;
}

static struct iommufd_group *group_alloc(struct iommufd_ctx *ictx,
					 struct iommu_group *group)
{
	struct iommufd_group *igroup;

	igroup = kzalloc(sizeof(*igroup), GFP_KERNEL);
	if (!igroup)
		return NULL;
	kref_init(&igroup->ref);
	mutex_init(&igroup->lock);
	INIT_LIST_HEAD(&igroup->device_list);
	igroup->ictx = ictx;
	igroup->group = group;
	igroup->sw_msi_start = PHYS_ADDR_MAX;
	return igroup;
}

static void group_free(struct iommufd_group *igroup)
{
	mutex_destroy(&igroup->lock);
	kfree(igroup);
}

/*
 * Add @new to the context. Returns @new, or, with a reference, a group that
 * another thread has added for this ID meanwhile.
 */
static struct iommufd_group *group_publish(struct iommufd_ctx *ictx,
					   struct iommufd_group *new,
					   unsigned int id)
{
	struct iommufd_group *cur;

	xa_lock(&ictx->groups);
	cur = __xa_cmpxchg(&ictx->groups, id, NULL, new, GFP_KERNEL);
	if (!cur)
		cur = new;
	else if (xa_is_err(cur))
		cur = ERR_PTR(xa_err(cur));
	else
		kref_get(&cur->ref);
	xa_unlock(&ictx->groups);
	return cur;
}

/**
 * iommufd_get_group() - get or create the iommufd_group of a device
 * @ictx: the context
 * @dev: the device
 *
 * Return:
 * * the group with a reference, which the caller must drop by
 *   iommufd_put_group()
 * * -ENODEV: the device has no group
 * * -ENOMEM: out of memory
 *
 * Context: may sleep; takes the lock of &iommufd_ctx.groups.
 */
struct iommufd_group *iommufd_get_group(struct iommufd_ctx *ictx,
					struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommufd_group *igroup, *new = NULL;
	unsigned int id;

	if (!group)
		return ERR_PTR(-ENODEV);

	/*
	 * The ID of an iommu_group cannot be reused while there are references
	 * on the group. This function and each iommufd_group in the xarray have
	 * one.
	 */
	id = iommu_group_id(group);
	igroup = group_find(ictx, id);
	if (!igroup) {
		new = group_alloc(ictx, group);
		igroup = new ? group_publish(ictx, new, id) : ERR_PTR(-ENOMEM);
	}
	if (igroup == new)
		return igroup;	/* owns the reference on the iommu_group */

	if (new)
		group_free(new);
	iommu_group_put(group);
	return igroup;
}

/*
 * Called with the lock of &iommufd_ctx.groups held, so no lookup finds a group
 * without references. Drops the lock.
 */
static void group_release(struct kref *ref)
	__releases(&ictx->groups.xa_lock)
{
	struct iommufd_group *igroup =
		container_of(ref, struct iommufd_group, ref);
	struct iommufd_ctx *ictx = igroup->ictx;
	struct iommu_group *group = igroup->group;

	__xa_erase(&ictx->groups, iommu_group_id(group));
	xa_unlock(&ictx->groups);

	WARN_ON(igroup->hwpt || !list_empty(&igroup->device_list));
	group_free(igroup);
	iommu_group_put(group);
}

/**
 * iommufd_put_group() - put a reference of iommufd_get_group()
 * @igroup: the group; freed if this is the last reference
 *
 * Context: may sleep; takes the lock of &iommufd_ctx.groups.
 */
void iommufd_put_group(struct iommufd_group *igroup)
{
	kref_put_lock(&igroup->ref, group_release,
		      &igroup->ictx->groups.xa_lock);
}

/*
 * Check whether a device can be attached to a page table, as far as possible
 * without its IOMMU driver. A driver cannot check a domain of another driver. A
 * domain that supports dirty tracking rejects devices whose IOMMU lacks it, as
 * writes of these devices would not be reported. DMA through a nested page table
 * sets dirty bits in its parent.
 */
static bool hwpt_is_compatible(struct iommufd_hwpt *hwpt, struct device *dev)
{
	if (hwpt->domain->owner != dev_iommu_ops(dev))
		return false;
	return !iommufd_hwpt_paging(hwpt)->domain->dirty_ops ||
	       device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING);
}

/*
 * Some IOMMUs translate MSI writes like other DMA. The interrupt code maps MSI
 * doorbells in the window that the cookie defines, also for a nested page table
 * in its parent.
 */
static int group_setup_msi(struct iommufd_group *igroup,
			   struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt *paging = iommufd_hwpt_paging(hwpt);
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);

	if (igroup->sw_msi_start == PHYS_ADDR_MAX || paging->msi_cookie)
		return 0;
	rc = iommu_get_msi_cookie(paging->domain, igroup->sw_msi_start);
	if (!rc)
		paging->msi_cookie = true;	/* a domain accepts only one */
	return rc;
}

static int group_attach_domain(struct iommufd_group *igroup,
			       struct iommufd_device *idev,
			       struct iommufd_hwpt *hwpt)
{
	int rc = group_setup_msi(igroup, hwpt);

	if (rc)
		return rc;
	if (hwpt->fault)
		return iommufd_fault_attach(igroup, idev, hwpt);
	return iommu_attach_group(hwpt->domain, igroup->group);
}

static void group_detach_domain(struct iommufd_group *igroup,
				struct iommufd_hwpt *hwpt)
{
	if (hwpt->fault)
		iommufd_fault_detach(igroup);
	else
		iommu_detach_group(hwpt->domain, igroup->group);
}

static int group_replace_domain(struct iommufd_group *igroup,
				struct iommufd_device *idev,
				struct iommufd_hwpt *hwpt)
{
	int rc = group_setup_msi(igroup, hwpt);

	if (rc)
		return rc;
	if (hwpt->fault || igroup->handle)
		return iommufd_fault_replace(igroup, idev, hwpt);
	return iommu_group_replace_domain(igroup->group, hwpt->domain);
}

/**
 * iommufd_hwpt_attach() - attach a device to a page table
 * @hwpt: the page table; the device takes a reference
 * @idev: the device
 *
 * The first device of a group attaches the whole group.
 *
 * Return:
 * * 0: success
 * * -EINVAL: the group is attached to another page table; the page table is not
 *   compatible with the device; or it has a fault queue, and another device of
 *   the group is attached
 * * -EBUSY: the device is attached already, or the group has another owner
 * * -EADDRINUSE: the device reserves IOVAs that are mapped or allowed
 * * -ENOMEM: out of memory
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep; &iommufd_ioas.mutex of the IOAS is held. Takes
 * &iommufd_group.lock and the locks of the io_pagetable.
 */
int iommufd_hwpt_attach(struct iommufd_hwpt *hwpt,
			struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct io_pagetable *iopt = &hwpt->ioas->iopt;
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);
	guard(mutex)(&igroup->lock);

	if (igroup->hwpt && igroup->hwpt != hwpt)
		return -EINVAL;
	if (!list_empty(&idev->group_item))
		return -EBUSY;
	if (!hwpt_is_compatible(hwpt, idev->dev))
		return -EINVAL;
	/* A fault is of the only device of the group: see fault_attach.c. */
	if (igroup->handle)
		return -EINVAL;

	rc = iopt_table_enforce_dev_resv_regions(iopt, idev->dev, idev->dev,
						 &igroup->sw_msi_start);
	if (rc)
		return rc;

	if (!igroup->hwpt) {
		rc = group_attach_domain(igroup, idev, hwpt);
		if (rc) {
			iopt_remove_reserved_iova(iopt, idev->dev);
			return rc;
		}
		igroup->hwpt = hwpt;
	}
	list_add_tail(&idev->group_item, &igroup->device_list);
	refcount_inc(&hwpt->obj.users);
	return 0;
}

/**
 * iommufd_hwpt_detach() - detach a device from its page table
 * @idev: the device, which is attached
 *
 * Return: the page table, with the device's reference. The caller must put it
 * by iommufd_hwpt_put() without locks held. It may instead put it
 * directly if the page table is not finalized.
 * Context: may sleep; takes &iommufd_group.lock and the locks of the
 * io_pagetable.
 */
struct iommufd_hwpt *iommufd_hwpt_detach(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt *hwpt;

	guard(mutex)(&igroup->lock);

	hwpt = igroup->hwpt;
	list_del_init(&idev->group_item);
	if (list_empty(&igroup->device_list)) {
		group_detach_domain(igroup, hwpt);
		igroup->hwpt = NULL;
	}
	iopt_remove_reserved_iova(&hwpt->ioas->iopt, idev->dev);
	return hwpt;
}

static void group_unreserve(struct iommufd_group *igroup,
			    struct iommufd_ioas *ioas)
{
	struct iommufd_device *idev;

	list_for_each_entry(idev, &igroup->device_list, group_item)
		iopt_remove_reserved_iova(&ioas->iopt, idev->dev);
}

/*
 * Reserve the IOVAs of all attached devices in an IOAS that is new to the
 * group.
 */
static int group_reserve(struct iommufd_group *igroup,
			 struct iommufd_ioas *ioas)
{
	struct iommufd_device *idev;
	int rc;

	list_for_each_entry(idev, &igroup->device_list, group_item) {
		rc = iopt_table_enforce_dev_resv_regions(&ioas->iopt, idev->dev,
							 idev->dev,
							 &igroup->sw_msi_start);
		if (rc) {
			group_unreserve(igroup, ioas);
			return rc;
		}
	}
	return 0;
}

static bool group_is_compatible(struct iommufd_group *igroup,
				struct iommufd_hwpt *hwpt)
{
	struct iommufd_device *idev;

	list_for_each_entry(idev, &igroup->device_list, group_item)
		if (!hwpt_is_compatible(hwpt, idev->dev))
			return false;
	return true;
}

/*
 * Move the references of the devices to @hwpt, except for one that the caller
 * puts.
 */
static void group_move_users(struct iommufd_group *igroup,
			     struct iommufd_hwpt *hwpt)
{
	unsigned int devices = list_count_nodes(&igroup->device_list);
	struct iommufd_hwpt *old = igroup->hwpt;

	refcount_add(devices, &hwpt->obj.users);
	if (devices > 1)
		WARN_ON(refcount_sub_and_test(devices - 1, &old->obj.users));
	igroup->hwpt = hwpt;
}

/**
 * iommufd_hwpt_replace() - attach a device's group to another page table
 * @idev: the device, which is attached
 * @hwpt: the page table; each attached device of the group takes a reference
 *
 * All devices of the group move. If the IOMMU driver supports it, their DMA is
 * never blocked. On failure nothing has changed.
 *
 * Return:
 * * the old page table, with a reference that the caller puts as for
 *   iommufd_hwpt_detach(); NULL if it is @hwpt
 * * -EINVAL: the device is not attached; the page table is not compatible with
 *   a device of the group; or it has a fault queue, and another device of the
 *   group is attached
 * * -EADDRINUSE: a device reserves IOVAs that are mapped or allowed
 * * -ENOMEM: out of memory
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep; &iommufd_ioas.mutex of the IOAS of @hwpt is held. Takes
 * &iommufd_group.lock and the locks of both io_pagetables.
 */
struct iommufd_hwpt *
iommufd_hwpt_replace(struct iommufd_device *idev,
		     struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt *old;
	bool moves;
	int rc = 0;

	lockdep_assert_held(&hwpt->ioas->mutex);
	guard(mutex)(&igroup->lock);

	if (list_empty(&idev->group_item))
		return ERR_PTR(-EINVAL);
	old = igroup->hwpt;
	if (old == hwpt)
		return NULL;
	if (!group_is_compatible(igroup, hwpt) ||
	    (hwpt->fault && !list_is_singular(&igroup->device_list)))
		return ERR_PTR(-EINVAL);

	/* Reservations only change if the IOAS does. */
	moves = old->ioas != hwpt->ioas;
	if (moves)
		rc = group_reserve(igroup, hwpt->ioas);
	if (rc)
		return ERR_PTR(rc);

	rc = group_replace_domain(igroup, idev, hwpt);
	if (moves)
		group_unreserve(igroup, rc ? hwpt->ioas : old->ioas);
	if (rc)
		return ERR_PTR(rc);

	group_move_users(igroup, hwpt);
	return old;
}
