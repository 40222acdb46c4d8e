// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: devices
 *
 * A driver binds its device to a context, which from then on decides where the
 * device's DMA goes: nowhere, until the device is attached to a page table.
 * That is one which userspace made, or, where userspace names an IOAS, any
 * that shows this IOAS and was made for an earlier device like this one, or a
 * new one.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "iommufd_private.h"

#ifdef CONFIG_IOMMUFD_TEST
const struct device_type iommufd_test_device_type = {
	.name = "iommufd_mock",
};
#endif

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Accept devices that can raise any interrupt by DMA. Who drives such a device may attack the host.");

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
 * Where the platform cannot keep apart which device may raise which interrupt,
 * whoever controls the device's DMA can raise those of others.
 */
static int device_check_msi(struct device *dev, struct iommu_group *group)
{
	if (iommufd_selftest_is_mock_dev(dev) ||
	    iommu_group_has_isolated_msi(group))
		return 0;
	if (!allow_unsafe_interrupts)
		return -EPERM;
	dev_warn_ratelimited(dev, "can raise any interrupt: no interrupt remapping. Bound all the same, as iommufd.allow_unsafe_interrupts says\n");
	return 0;
}

/* On success the device has the caller's count of the group. */
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
	/* The mock devices of the test ABI go away with the context. */
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
 * iommufd_device_bind() - Put a device's DMA under the control of a context
 * @ictx: the context
 * @dev: the device; its driver has set driver_managed_dma
 * @id: where the new object's ID goes
 *
 * The driver must not let the device do anything before this succeeded, and
 * afterwards the device's DMA is blocked until iommufd_device_attach(). Nobody
 * but this context can own the DMA of any device in its group.
 *
 * Context: May sleep.
 *
 * Return: the object, which userspace cannot destroy, until
 * iommufd_device_unbind(). -EINVAL if the device's DMA is not coherent with the
 * caches, -ENODEV if it is in no group, -EPERM if it can raise interrupts that
 * are not its own and the module parameter does not allow that, -EBUSY if its
 * group is in other hands or the context has no ID left, -ENOMEM.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	struct iommufd_group *igroup;

	/* Userspace has no means to flush caches: IOMMU_CACHE has to do. */
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

	/* The driver, up to iommufd_device_unbind(). */
	refcount_inc(&idev->obj.users);
	iommufd_object_finalize(ictx, &idev->obj);
	*id = idev->obj.id;
	return idev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, IOMMUFD);

/**
 * iommufd_device_unbind() - Undo iommufd_device_bind()
 * @idev: the device, detached; gone afterwards
 *
 * The driver must not use @idev in any other way meanwhile.
 *
 * Context: May sleep; waits for ioctls that use the device.
 */
void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_object_destroy_user(idev->ictx, &idev->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, IOMMUFD);

/**
 * iommufd_ctx_has_group() - Does a context own the DMA of a group?
 * @ictx: the context, or NULL
 * @group: the group, or NULL
 *
 * &iommufd_ctx.groups cannot answer that: a group is there already while its
 * first device still tries to become owner.
 *
 * Context: Any that may take the lock of &iommufd_ctx.objects.
 *
 * Return: true if any device of the group is bound to the context.
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
 * iommufd_device_to_id() - The ID of a device
 * @idev: the device
 *
 * Return: the ID, as iommufd_device_bind() gave it.
 */
u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, IOMMUFD);

/**
 * iommufd_device_to_ictx() - The context that a device is bound to
 * @idev: the device
 *
 * Return: the context, not counted.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, IOMMUFD);

/**
 * enum idev_how - what is to be done with a device
 * @IDEV_ATTACH: attach it, it is not attached
 * @IDEV_REPLACE: take it elsewhere from where it is attached
 */
enum idev_how {
	IDEV_ATTACH,
	IDEV_REPLACE,
};

/* As iommufd_hwpt_replace(); an attach has no old page table. */
static struct iommufd_hwpt_paging *
idev_move_to_hwpt(struct iommufd_device *idev,
		  struct iommufd_hwpt_paging *hwpt, enum idev_how how)
{
	lockdep_assert_held(&hwpt->ioas->mutex);

	if (how == IDEV_REPLACE)
		return iommufd_hwpt_replace(idev, hwpt);
	return ERR_PTR(iommufd_hwpt_attach(hwpt, idev));
}

/* The container is asked what devices wrote, of whatever kind they are. */
static u32 idev_domain_flags(struct iommufd_device *idev,
			     struct iommufd_ioas *ioas)
{
	if (READ_ONCE(idev->ictx->vfio_ioas) != ioas ||
	    !iopt_device_supports_dirty_tracking(idev->dev))
		return 0;
	return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

/* The same, to a page table that is made for it. */
static struct iommufd_hwpt_paging *
idev_move_to_new(struct iommufd_device *idev, struct iommufd_ioas *ioas,
		 enum idev_how how, u32 *pt_id)
{
	struct iommufd_hwpt_paging *hwpt, *old = NULL;
	int rc;

	hwpt = iommufd_hwpt_paging_alloc(idev->ictx, ioas, idev,
					 idev_domain_flags(idev, ioas));
	if (IS_ERR(hwpt))
		return hwpt;

	/* An attached device moves when all is there: its DMA goes on. */
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
 * The same, to whatever page table of the IOAS will do. Those that userspace
 * made are left to userspace.
 */
static struct iommufd_hwpt_paging *
idev_move_to_ioas(struct iommufd_device *idev, struct iommufd_ioas *ioas,
		  enum idev_how how, u32 *pt_id)
{
	struct iommufd_hwpt_paging *hwpt, *old;
	u32 flags = idev_domain_flags(idev, ioas);

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpt_list, hwpt_item) {
		/* A device with dirty bits would lose them to one without. */
		if (flags && !hwpt->domain->dirty_ops)
			continue;
		/*
		 * One that is about to go waits for our mutex. Being its user
		 * keeps others from that while the device comes to it.
		 */
		if (!hwpt->auto_domain ||
		    !refcount_inc_not_zero(&hwpt->obj.users))
			continue;
		old = idev_move_to_hwpt(idev, hwpt, how);
		refcount_dec(&hwpt->obj.users);

		/* This one does not suit the device. */
		if (old == ERR_PTR(-EINVAL))
			continue;
		if (!IS_ERR(old))
			*pt_id = hwpt->obj.id;
		return old;
	}
	return idev_move_to_new(idev, ioas, how, pt_id);
}

/* Killable: the owner of the mutex may be waiting for a page fault. */
static struct iommufd_hwpt_paging *
idev_move_to_obj(struct iommufd_device *idev, struct iommufd_object *obj,
		 enum idev_how how, u32 *pt_id)
{
	struct iommufd_hwpt_paging *hwpt = NULL, *old;
	struct iommufd_ioas *ioas;

	switch (obj->ops->type) {
	case IOMMUFD_OBJ_IOAS:
		ioas = container_of(obj, struct iommufd_ioas, obj);
		break;
	case IOMMUFD_OBJ_HWPT_PAGING:
		hwpt = container_of(obj, struct iommufd_hwpt_paging, obj);
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
	struct iommufd_hwpt_paging *old;
	struct iommufd_object *obj;

	obj = iommufd_get_object(idev->ictx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	old = idev_move_to_obj(idev, obj, how, pt_id);
	iommufd_put_object(idev->ictx, obj);
	if (IS_ERR(old))
		return PTR_ERR(old);

	/* Only now: it may be the end of it, which takes locks of its IOAS. */
	if (old)
		iommufd_hwpt_paging_put(idev->ictx, old);
	return 0;
}

/**
 * iommufd_device_attach() - Let a device's DMA go through a page table
 * @idev: the device, not attached
 * @pt_id: ID of a page table, or of an IOAS, for which one is found or made;
 *	on success the page table's ID
 *
 * iommufd_device_detach() undoes it.
 *
 * Context: May sleep.
 *
 * Return: 0 on success. -ENOENT if there is no such object, -EINVAL if it is of
 * another type, cannot be used by this device, or another device of its group
 * is attached elsewhere, -EADDRINUSE if the device reserves IOVAs that are in
 * use, or if what is mapped cannot be mapped for it, -EBUSY if it is attached
 * to just this already, or if a page table has to be made while memory of the
 * IOAS has no address, -EINTR if the caller was killed while it waited, -ENOMEM,
 * or what the driver of the IOMMU says.
 */
int iommufd_device_attach(struct iommufd_device *idev, u32 *pt_id)
{
	int rc = idev_move(idev, IDEV_ATTACH, pt_id);

	/* An attached device must not be unbound: this shows who tries. */
	if (!rc)
		refcount_inc(&idev->obj.users);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, IOMMUFD);

/**
 * iommufd_device_replace() - Move a device's DMA to another page table
 * @idev: the device, attached
 * @pt_id: as for iommufd_device_attach()
 *
 * The other devices of its group move with it. If it fails everything is as
 * before; if not, and if the driver of the IOMMU can do so, DMA was translated
 * by either the one page table or the other all the time.
 *
 * Context: May sleep.
 *
 * Return: 0 on success. -EINVAL if the device is not attached, else as
 * iommufd_device_attach().
 */
int iommufd_device_replace(struct iommufd_device *idev, u32 *pt_id)
{
	return idev_move(idev, IDEV_REPLACE, pt_id);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, IOMMUFD);

/**
 * iommufd_device_detach() - Undo iommufd_device_attach()
 * @idev: the device, attached
 *
 * Once all devices of its group are detached their DMA is blocked.
 *
 * Context: May sleep.
 */
void iommufd_device_detach(struct iommufd_device *idev)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_hwpt_detach(idev);

	iommufd_hwpt_paging_put(idev->ictx, hwpt);
	refcount_dec(&idev->obj.users);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, IOMMUFD);
