// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: devices
 *
 * A driver binds its device to a context, which then owns the DMA of the
 * device. DMA is blocked until the driver attaches the device to a page table.
 * If userspace passes the ID of an IOAS instead of a page table, the device is
 * attached to a compatible page table of the IOAS that was created for another
 * device, or to a new one.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <trace/events/iommufd.h>

#include "iommufd_private.h"

#ifdef CONFIG_IOMMUFD_TEST
const struct device_type iommufd_test_device_type = {
	.name = "iommufd_mock",
};
#endif

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow devices that can send any interrupt to the host, through which a process may attack the host");

static void idev_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev =
		container_of(obj, struct iommufd_device, obj);

	iommu_device_release_dma_owner(idev->dev);
	iommufd_put_group(idev->igroup);
	if (!iommufd_selftest_is_mock_dev(idev->dev))
		iommufd_ctx_put(idev->ictx);
}

static const struct iommufd_object_ops idev_ops = {
	.type = IOMMUFD_OBJ_DEVICE,
	.destroy = idev_destroy,
};

/*
 * Without isolated MSI, a device can raise interrupts of other devices by DMA.
 * So can the process that controls the DMA of the device.
 */
static int device_check_msi(struct device *dev, struct iommu_group *group)
{
	if (iommufd_selftest_is_mock_dev(dev) ||
	    iommu_group_has_isolated_msi(group))
		return 0;
	if (!allow_unsafe_interrupts)
		return -EPERM;
	dev_warn_ratelimited(dev, "no interrupt remapping: the device can raise any interrupt. It is bound because iommufd.allow_unsafe_interrupts is set\n");
	return 0;
}

/* Consumes the caller's reference on @igroup on success. */
static struct iommufd_device *idev_claim(struct iommufd_ctx *ictx,
					 struct device *dev,
					 struct iommufd_group *igroup)
{
	struct iommufd_device *idev;
	int rc;

	rc = device_check_msi(dev, igroup->group);
	if (rc)
		return ERR_PTR(rc);
	rc = iommu_device_claim_dma_owner(dev, ictx);
	if (rc)
		return ERR_PTR(rc);

	idev = iommufd_object_alloc(ictx, idev, &idev_ops);
	if (IS_ERR(idev)) {
		iommu_device_release_dma_owner(dev);
		return idev;
	}
	/* A mock device of the test ABI does not outlive the context. */
	if (!iommufd_selftest_is_mock_dev(dev))
		iommufd_ctx_get(ictx);
	idev->ictx = ictx;
	idev->igroup = igroup;
	idev->dev = dev;
	INIT_LIST_HEAD(&idev->group_item);
	idev->enforce_cache_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	return idev;
}

/**
 * iommufd_device_bind() - bind a device to a context, which then owns its DMA
 * @ictx: the context
 * @dev: the device; its driver has set driver_managed_dma
 * @id: set to the ID of the new object
 *
 * The driver must not start the device before this function succeeds.
 * Afterwards, DMA of the device is blocked until iommufd_device_attach(). No
 * other context can own the DMA of any device in its group.
 *
 * Return:
 * * the device. Userspace cannot destroy it before iommufd_device_unbind()
 * * -EINVAL: DMA of the device is not cache coherent
 * * -ENODEV: the device has no group
 * * -EPERM: the device can send any interrupt to the host, and the module
 *   parameter allow_unsafe_interrupts is not set
 * * -EBUSY: the DMA of the group has another owner, or the context has no free
 *   ID
 * * -ENOMEM: out of memory
 *
 * Context: may sleep.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	struct iommufd_group *igroup;

	/*
	 * Userspace cannot flush caches, so DMA must be coherent by
	 * IOMMU_CACHE.
	 */
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ERR_PTR(-EINVAL);

	igroup = iommufd_get_group(ictx, dev);
	if (IS_ERR(igroup))
		return ERR_CAST(igroup);
	idev = idev_claim(ictx, dev, igroup);
	if (IS_ERR(idev)) {
		iommufd_put_group(igroup);
		return idev;
	}

	/* Reference of the driver, until iommufd_device_unbind(). */
	refcount_inc(&idev->obj.users);
	iommufd_object_finalize(ictx, &idev->obj);
	*id = idev->obj.id;
	return idev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, IOMMUFD);

/**
 * iommufd_device_unbind() - unbind a device from its context
 * @idev: the device, detached; freed
 *
 * The driver must not use @idev meanwhile. Waits for ioctls that use the
 * device.
 *
 * Context: may sleep.
 */
void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_object_destroy_user(idev->ictx, &idev->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, IOMMUFD);

/**
 * iommufd_ctx_has_group() - check whether a context owns the DMA of a group
 * @ictx: the context, or NULL
 * @group: the group, or NULL
 *
 * &iommufd_ctx.groups is not sufficient for this: it contains a group before
 * the first device has claimed ownership.
 *
 * Return: true if a device of the group is bound to the context.
 * Context: takes the lock of &iommufd_ctx.objects.
 */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	struct iommufd_device *idev;
	struct iommufd_object *obj;
	bool found = false;
	unsigned long id;

	if (!ictx || !group)
		return false;

	xa_lock(&ictx->objects);
	xa_for_each(&ictx->objects, id, obj) {
		if (obj->ops->type != IOMMUFD_OBJ_DEVICE)
			continue;
		idev = container_of(obj, struct iommufd_device, obj);
		found = idev->igroup->group == group;
		if (found)
			break;
	}
	xa_unlock(&ictx->objects);
	return found;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_has_group, IOMMUFD);

/**
 * iommufd_device_to_id() - get the ID of a device
 * @idev: the device
 *
 * Return: the ID.
 */
u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, IOMMUFD);

/**
 * iommufd_device_to_ictx() - get the context of a device
 * @idev: the device
 *
 * Return: the context, without a reference.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, IOMMUFD);

/**
 * enum idev_how - how to attach a device
 * @IDEV_ATTACH: attach a device that is not attached
 * @IDEV_REPLACE: attach a device that is attached elsewhere
 */
enum idev_how {
	IDEV_ATTACH,
	IDEV_REPLACE,
};

/*
 * Attach to a page table. Returns as iommufd_hwpt_replace(); NULL for an
 * attach.
 */
static struct iommufd_hwpt *
idev_move_to_hwpt(struct iommufd_device *idev,
		  struct iommufd_hwpt *hwpt, enum idev_how how)
{
	lockdep_assert_held(&hwpt->ioas->mutex);

	if (how == IDEV_REPLACE)
		return iommufd_hwpt_replace(idev, hwpt);
	return ERR_PTR(iommufd_hwpt_attach(hwpt, idev));
}

/*
 * The compat container reports dirty pages, so prefer domains that track them.
 */
static u32 idev_domain_flags(struct iommufd_device *idev,
			     struct iommufd_ioas *ioas)
{
	if (READ_ONCE(idev->ictx->vfio_ioas) != ioas ||
	    !iopt_device_supports_dirty_tracking(idev->dev))
		return 0;
	return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

/* Attach to a new page table. Returns as idev_move_to_hwpt(). */
static struct iommufd_hwpt *
idev_move_to_new(struct iommufd_device *idev, struct iommufd_ioas *ioas,
		 enum idev_how how, u32 *pt_id)
{
	struct iommufd_hwpt *hwpt, *old = NULL;
	int rc;

	hwpt = iommufd_hwpt_paging_alloc(idev->ictx, ioas, idev,
					 idev_domain_flags(idev, ioas), NULL);
	if (IS_ERR(hwpt))
		return hwpt;

	/*
	 * Replace only after the fill, so that the DMA of the device continues.
	 */
	rc = iommufd_hwpt_paging_fill(hwpt, how == IDEV_ATTACH ? idev : NULL);
	if (rc)
		old = ERR_PTR(rc);
	else if (how == IDEV_REPLACE)
		old = idev_move_to_hwpt(idev, hwpt, how);
	if (IS_ERR(old)) {
		iommufd_object_abort_and_destroy(idev->ictx, &hwpt->obj);
		return old;
	}
	hwpt->auto_domain = true;
	*pt_id = hwpt->obj.id;
	iommufd_object_finalize(idev->ictx, &hwpt->obj);
	return old;
}

/*
 * Attach to a compatible page table of the IOAS that an attach has created, or
 * to a new one. Returns as idev_move_to_hwpt().
 */
static struct iommufd_hwpt *
idev_move_to_ioas(struct iommufd_device *idev, struct iommufd_ioas *ioas,
		  enum idev_how how, u32 *pt_id)
{
	struct iommufd_hwpt *hwpt, *old;
	u32 flags = idev_domain_flags(idev, ioas);

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpt_list, hwpt_item) {
		/* Do not lose dirty tracking that the device supports. */
		if (flags && !hwpt->domain->dirty_ops)
			continue;
		/*
		 * A concurrent destruction waits for ioas->mutex, and the
		 * object has no users then. A reference prevents it during the
		 * attach.
		 */
		if (!hwpt->auto_domain ||
		    !refcount_inc_not_zero(&hwpt->obj.users))
			continue;
		old = idev_move_to_hwpt(idev, hwpt, how);
		refcount_dec(&hwpt->obj.users);

		/* The page table is not compatible with the device. */
		if (old == ERR_PTR(-EINVAL))
			continue;
		if (!IS_ERR(old))
			*pt_id = hwpt->obj.id;
		return old;
	}
	return idev_move_to_new(idev, ioas, how, pt_id);
}

/* The lock is killable, because its owner may wait for a page fault. */
static struct iommufd_hwpt *
idev_move_to_obj(struct iommufd_device *idev, struct iommufd_object *obj,
		 enum idev_how how, u32 *pt_id)
{
	struct iommufd_hwpt *hwpt = NULL, *old;
	struct iommufd_ioas *ioas;

	switch (obj->ops->type) {
	case IOMMUFD_OBJ_IOAS:
		ioas = container_of(obj, struct iommufd_ioas, obj);
		break;
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		hwpt = container_of(obj, struct iommufd_hwpt, obj);
		ioas = hwpt->ioas;
		break;
	default:
		return ERR_PTR(-EINVAL);
	}

	if (mutex_lock_killable(&ioas->mutex))
		return ERR_PTR(-EINTR);
	old = hwpt ? idev_move_to_hwpt(idev, hwpt, how) :
		     idev_move_to_ioas(idev, ioas, how, pt_id);
	mutex_unlock(&ioas->mutex);
	return old;
}

static int idev_move(struct iommufd_device *idev, enum idev_how how,
		     u32 *pt_id)
{
	struct iommufd_hwpt *old;
	struct iommufd_object *obj;

	obj = iommufd_get_object(idev->ictx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	old = idev_move_to_obj(idev, obj, how, pt_id);
	iommufd_put_object(idev->ictx, obj);
	if (IS_ERR(old))
		return PTR_ERR(old);

	/* Destroying @old takes locks of its IOAS, so no lock must be held. */
	if (old)
		iommufd_hwpt_put(idev->ictx, old);
	return 0;
}

/**
 * iommufd_device_attach() - attach a device to a page table
 * @idev: the device, which is not attached
 * @pt_id: ID of a page table, or of an IOAS to use a compatible or new page
 *	table of; set to the ID of the page table
 *
 * Return:
 * * 0: success
 * * -ENOENT: there is no such object
 * * -EINVAL: the object has another type, the page table is not compatible with
 *   the device, or another device of the group is attached to another page
 *   table
 * * -EADDRINUSE: the device reserves IOVAs that are mapped or allowed, or a new
 *   page table cannot translate all of them
 * * -EBUSY: the device is attached, or a new page table is required while a
 *   mapping of the IOAS has no valid user address
 * * -EINTR: the task was killed
 * * -ENOMEM: out of memory
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep.
 */
int iommufd_device_attach(struct iommufd_device *idev, u32 *pt_id)
{
	int rc = idev_move(idev, IDEV_ATTACH, pt_id);

	/* With this reference, an unbind of an attached device warns. */
	if (!rc)
		refcount_inc(&idev->obj.users);
	trace_iommufd_attach(dev_name(idev->dev), idev->obj.id, *pt_id, false,
			     rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, IOMMUFD);

/**
 * iommufd_device_replace() - attach a device and its group to another page table
 * @idev: the device, which is attached
 * @pt_id: as for iommufd_device_attach()
 *
 * All devices of the group move to the page table. If the IOMMU driver supports
 * it, DMA is translated by either the old or the new page table at any time. On
 * failure nothing has changed.
 *
 * Return: 0; -EINVAL if the device is not attached; or an errno of
 * iommufd_device_attach().
 *
 * Context: may sleep.
 */
int iommufd_device_replace(struct iommufd_device *idev, u32 *pt_id)
{
	int rc = idev_move(idev, IDEV_REPLACE, pt_id);

	trace_iommufd_attach(dev_name(idev->dev), idev->obj.id, *pt_id, true,
			     rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, IOMMUFD);

/**
 * iommufd_device_detach() - detach a device from its page table
 * @idev: the device, which is attached
 *
 * Blocks DMA of the group when its last device is detached.
 *
 * Context: may sleep.
 */
void iommufd_device_detach(struct iommufd_device *idev)
{
	struct iommufd_hwpt *hwpt = iommufd_hwpt_detach(idev);

	iommufd_hwpt_put(idev->ictx, hwpt);
	refcount_dec(&idev->obj.users);
	trace_iommufd_detach(dev_name(idev->dev), idev->obj.id);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, IOMMUFD);
