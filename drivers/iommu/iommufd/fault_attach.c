// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: attachments with page faults
 *
 * While a device is attached to a page table with a fault queue, a
 * struct iommufd_attach_handle represents the attachment. The IOMMU core passes
 * it with each fault, and it has the device. Before it is freed, all faults that
 * refer to it are responded.
 *
 * The group of the device must have no other attached device: a fault has a
 * handle, but the handle has one device.
 */
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

static int fault_enable(struct iommufd_device *idev)
{
	struct device *dev = idev->dev;

	/*
	 * A virtual function shares the page request interface of its physical
	 * function, whose resets and settings it does not control.
	 */
	if (dev_is_pci(dev) && to_pci_dev(dev)->is_virtfn &&
	    pci_pri_supported(to_pci_dev(dev)))
		return -EINVAL;
	return iommu_dev_enable_feature(dev, IOMMU_DEV_FEAT_IOPF);
}

static void fault_disable(struct iommufd_device *idev)
{
	iommu_dev_disable_feature(idev->dev, IOMMU_DEV_FEAT_IOPF);
}

static struct iommufd_attach_handle *handle_alloc(struct iommufd_device *idev)
{
	struct iommufd_attach_handle *handle;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL);
	if (handle)
		handle->idev = idev;
	return handle;
}

/*
 * Free a handle that the IOMMU core no longer has. Its faults are responded
 * first: fault_disable() would free them.
 */
static void handle_free(struct iommufd_fault *fault,
			struct iommufd_attach_handle *handle, bool disable)
{
	iommufd_fault_respond_all(fault, &handle->handle);
	if (disable)
		fault_disable(handle->idev);
	kfree(handle);
}

/**
 * iommufd_fault_attach() - attach a group to a page table with a fault queue
 * @igroup: the group, without attached devices
 * @idev: the device that is being attached
 * @hwpt: the page table
 *
 * Return:
 * * 0: success
 * * -EINVAL: @idev is a virtual function with a page request interface
 * * -ENODEV: the IOMMU or the device does not support page faults
 * * -ENOMEM: out of memory
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep; &iommufd_group.lock held.
 */
int iommufd_fault_attach(struct iommufd_group *igroup,
			 struct iommufd_device *idev, struct iommufd_hwpt *hwpt)
{
	struct iommufd_attach_handle *handle;
	int rc;

	lockdep_assert_held(&igroup->lock);

	handle = handle_alloc(idev);
	if (!handle)
		return -ENOMEM;
	rc = fault_enable(idev);
	if (rc) {
		kfree(handle);
		return rc;
	}
	rc = iommu_attach_group_handle(hwpt->domain, igroup->group,
				       &handle->handle);
	if (rc) {
		/* Faults may have been reported while it was tried. */
		handle_free(hwpt->fault, handle, true);
		return rc;
	}
	igroup->handle = handle;
	return 0;
}

/**
 * iommufd_fault_detach() - detach a group from a page table with a fault queue
 * @igroup: the group
 *
 * Context: may sleep; &iommufd_group.lock held.
 */
void iommufd_fault_detach(struct iommufd_group *igroup)
{
	struct iommufd_hwpt *hwpt = igroup->hwpt;

	lockdep_assert_held(&igroup->lock);

	iommu_detach_group_handle(hwpt->domain, igroup->group);
	handle_free(hwpt->fault, igroup->handle, true);
	igroup->handle = NULL;
}

/**
 * iommufd_fault_replace() - attach a group to another page table, if the old or
 *	the new one has a fault queue
 * @igroup: the group; its only attached device is @idev if @hwpt has a fault
 *	queue
 * @idev: the device
 * @hwpt: the new page table; &iommufd_group.hwpt is the old one
 *
 * Return: as iommufd_fault_attach(). On failure nothing has changed.
 * Context: may sleep; &iommufd_group.lock held.
 */
int iommufd_fault_replace(struct iommufd_group *igroup,
			  struct iommufd_device *idev,
			  struct iommufd_hwpt *hwpt)
{
	struct iommufd_attach_handle *old = igroup->handle, *new = NULL;
	int rc = 0;

	lockdep_assert_held(&igroup->lock);

	if (hwpt->fault) {
		new = handle_alloc(idev);
		if (!new)
			return -ENOMEM;
		if (!old)
			rc = fault_enable(idev);
		if (rc)
			goto err_free;
	}
	rc = iommu_replace_group_handle(igroup->group, hwpt->domain,
					new ? &new->handle : NULL);
	if (rc)
		goto err_disable;
	igroup->handle = new;
	if (old)
		handle_free(igroup->hwpt->fault, old, !new);
	return 0;

err_disable:
	if (new && !old)
		fault_disable(idev);
err_free:
	kfree(new);
	return rc;
}
