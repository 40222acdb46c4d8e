// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: device groups
 *
 * Devices that the IOMMU cannot tell apart are in one iommu_group and have one
 * page table between them. The iommufd_group is what a context knows of such a
 * group: the first device that is attached brings the whole group to the page
 * table, those that follow must name the same one, the last to leave takes the
 * group back to where all DMA is blocked. What each device does bring of its
 * own are its reserved IOVAs, which the IOAS keeps free while it is attached.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/* Counted for the caller; NULL if there is none of that ID. */
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
 * Make @new the context's group of that ID, or take the one that another
 * thread was faster to put there.
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
 * iommufd_get_group() - The context's view of a device's group
 * @ictx: the context
 * @dev: the device
 *
 * Context: May sleep. Takes the lock of &iommufd_ctx.groups.
 *
 * Return: the group, counted; iommufd_put_group() undoes that. -ENODEV if the
 * device is in no group, -ENOMEM.
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
	 * An ID names one iommu_group as long as that is counted, which it is
	 * by us and by every iommufd_group that can be found.
	 */
	id = iommu_group_id(group);
	igroup = group_find(ictx, id);
	if (!igroup) {
		new = group_alloc(ictx, group);
		igroup = new ? group_publish(ictx, new, id) : ERR_PTR(-ENOMEM);
	}
	if (igroup == new)
		return igroup;	/* which has our count of the iommu_group */

	if (new)
		group_free(new);
	iommu_group_put(group);
	return igroup;
}

/*
 * Called with the lock of &iommufd_ctx.groups held, which it gives up: a group
 * without a count is never seen there.
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
 * iommufd_put_group() - Undo iommufd_get_group()
 * @igroup: the group; gone if that was the last count
 *
 * Context: May sleep. Takes the lock of &iommufd_ctx.groups.
 */
void iommufd_put_group(struct iommufd_group *igroup)
{
	kref_put_lock(&igroup->ref, group_release,
		      &igroup->ictx->groups.xa_lock);
}

/*
 * Can the device do its DMA through this page table? The driver of its IOMMU
 * has the last word. It cannot be asked about another driver's domain, and a
 * page table that is to tell what was written must not get a device whose
 * writes leave no trace.
 */
static bool hwpt_suits(const struct iommufd_hwpt_paging *hwpt,
		       struct device *dev)
{
	const struct iommu_domain *domain = hwpt->domain;

	if (domain->owner != dev_iommu_ops(dev))
		return false;
	return !domain->dirty_ops ||
	       device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING);
}

/*
 * Interrupts of devices behind some IOMMUs are DMA writes that have to be
 * mapped like any other. The interrupt code maps them where the cookie says.
 */
static int group_setup_msi(struct iommufd_group *igroup,
			   struct iommufd_hwpt_paging *hwpt)
{
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);

	if (igroup->sw_msi_start == PHYS_ADDR_MAX || hwpt->msi_cookie)
		return 0;
	rc = iommu_get_msi_cookie(hwpt->domain, igroup->sw_msi_start);
	if (!rc)
		hwpt->msi_cookie = true;	/* a domain takes only one */
	return rc;
}

static int group_attach_domain(struct iommufd_group *igroup,
			       struct iommufd_hwpt_paging *hwpt)
{
	int rc = group_setup_msi(igroup, hwpt);

	return rc ?: iommu_attach_group(hwpt->domain, igroup->group);
}

static int group_replace_domain(struct iommufd_group *igroup,
				struct iommufd_hwpt_paging *hwpt)
{
	int rc = group_setup_msi(igroup, hwpt);

	return rc ?: iommu_group_replace_domain(igroup->group, hwpt->domain);
}

/**
 * iommufd_hwpt_attach() - Attach a device to a page table
 * @hwpt: the page table; the device becomes a user of it
 * @idev: the device
 *
 * The first device of a group takes the group with it.
 *
 * Context: May sleep. The caller holds &iommufd_ioas.mutex of the page table's
 * IOAS. Takes &iommufd_group.lock and the locks of the IOAS' io_pagetable.
 *
 * Return: 0 on success. -EINVAL if the group is attached to another page
 * table, or if the device and this one do not go together; another may do.
 * -EBUSY if the device is attached already, or the group is used by somebody
 * else. -EADDRINUSE if an IOVA that the device reserves is mapped or must stay
 * usable, -ENOMEM, or what the driver of the IOMMU says.
 */
int iommufd_hwpt_attach(struct iommufd_hwpt_paging *hwpt,
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
	if (!hwpt_suits(hwpt, idev->dev))
		return -EINVAL;

	rc = iopt_table_enforce_dev_resv_regions(iopt, idev->dev, idev->dev,
						 &igroup->sw_msi_start);
	if (rc)
		return rc;

	if (!igroup->hwpt) {
		rc = group_attach_domain(igroup, hwpt);
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
 * iommufd_hwpt_detach() - Undo iommufd_hwpt_attach()
 * @idev: the device, attached
 *
 * Context: May sleep. Takes &iommufd_group.lock and the locks of the IOAS'
 * io_pagetable.
 *
 * Return: what the device was attached to. The device still counts as its
 * user, the caller ends that: with iommufd_hwpt_paging_put() once no lock is
 * held, or as it sees fit where the page table never became known.
 */
struct iommufd_hwpt_paging *iommufd_hwpt_detach(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt_paging *hwpt;

	guard(mutex)(&igroup->lock);

	hwpt = igroup->hwpt;
	list_del_init(&idev->group_item);
	if (list_empty(&igroup->device_list)) {
		iommu_detach_group(hwpt->domain, igroup->group);
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

/* What the attached devices reserve, in an IOAS that is new to the group. */
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

static bool hwpt_suits_group(const struct iommufd_hwpt_paging *hwpt,
			     struct iommufd_group *igroup)
{
	struct iommufd_device *idev;

	list_for_each_entry(idev, &igroup->device_list, group_item)
		if (!hwpt_suits(hwpt, idev->dev))
			return false;
	return true;
}

/* Each device is a user of the group's page table: all but one move here. */
static void group_move_users(struct iommufd_group *igroup,
			     struct iommufd_hwpt_paging *hwpt)
{
	unsigned int devices = list_count_nodes(&igroup->device_list);
	struct iommufd_hwpt_paging *old = igroup->hwpt;

	refcount_add(devices, &hwpt->obj.users);
	if (devices > 1)
		WARN_ON(refcount_sub_and_test(devices - 1, &old->obj.users));
	igroup->hwpt = hwpt;
}

/**
 * iommufd_hwpt_replace() - Move a device's group to another page table
 * @idev: the device
 * @hwpt: the page table; each attached device of the group becomes its user
 *
 * All devices of the group move. At no time is their DMA blocked, if the
 * driver of the IOMMU can do that. Where this fails nothing has changed.
 *
 * Context: May sleep. The caller holds &iommufd_ioas.mutex of the page table's
 * IOAS. Takes &iommufd_group.lock and the locks of both IOASes' io_pagetables.
 *
 * Return: what the group was attached to, as iommufd_hwpt_detach() does; NULL
 * if that was @hwpt. -EINVAL if the device is not attached, or the devices and
 * the page table do not go together, -EADDRINUSE if an IOVA that a device
 * reserves is mapped or must stay usable, -ENOMEM, or what the driver of the
 * IOMMU says.
 */
struct iommufd_hwpt_paging *
iommufd_hwpt_replace(struct iommufd_device *idev,
		     struct iommufd_hwpt_paging *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt_paging *old;
	bool moves;
	int rc = 0;

	lockdep_assert_held(&hwpt->ioas->mutex);
	guard(mutex)(&igroup->lock);

	if (list_empty(&idev->group_item))
		return ERR_PTR(-EINVAL);
	old = igroup->hwpt;
	if (old == hwpt)
		return NULL;
	if (!hwpt_suits_group(hwpt, igroup))
		return ERR_PTR(-EINVAL);

	/* Within one IOAS what the devices reserve stays as it is. */
	moves = old->ioas != hwpt->ioas;
	if (moves)
		rc = group_reserve(igroup, hwpt->ioas);
	if (rc)
		return ERR_PTR(rc);

	rc = group_replace_domain(igroup, hwpt);
	if (moves)
		group_unreserve(igroup, rc ? hwpt->ioas : old->ioas);
	if (rc)
		return ERR_PTR(rc);

	group_move_users(igroup, hwpt);
	return old;
}
