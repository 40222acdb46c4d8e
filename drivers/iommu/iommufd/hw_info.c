// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IOMMU_GET_HW_INFO
 *
 * IOMMU_GET_HW_INFO reports the capabilities of the IOMMU of a device: a
 * structure of the IOMMU driver, which is copied to userspace unchanged, and
 * capability bits that do not depend on the driver.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../iommu-priv.h"
#include "clear_user.h"
#include "iommufd_private.h"

/*
 * Copy as much of the driver's structure as fits. Clear the remaining buffer.
 */
static int hw_info_copy(const struct iommu_hw_info *cmd, const void *data,
			u32 data_len)
{
	void __user *uptr = u64_to_user_ptr(cmd->data_uptr);
	u32 len = min(data_len, cmd->data_len);

	if (copy_to_user(uptr, data, len))
		return -EFAULT;
	return iopt_clear_user(uptr + len, cmd->data_len - len);
}

static void hw_info_pasid(struct iommu_hw_info *cmd, struct device *dev)
{
	u32 max_pasids = dev->iommu->max_pasids;
	int ctrl = 0;

	/*
	 * Some drivers enable PASID when they probe the device. Others, such as
	 * AMD-Vi, enable it only for some domains.
	 */
	if (max_pasids && dev_is_pci(dev)) {
		ctrl = pci_pasid_status(to_pci_dev(dev));
		if (ctrl < 0 || !(ctrl & PCI_PASID_CTRL_ENABLE))
			return;
	}
	cmd->out_max_pasid_log2 = max_pasids ? ilog2(max_pasids) : 0;
	if (ctrl & PCI_PASID_CTRL_EXEC)
		cmd->out_capabilities |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (ctrl & PCI_PASID_CTRL_PRIV)
		cmd->out_capabilities |= IOMMU_HW_CAP_PCI_PASID_PRIV;
}

/*
 * Query everything that needs the device. The caller frees @data, which is NULL
 * if the IOMMU driver reports no structure of its own.
 */
static int hw_info_get(struct iommu_hw_info *cmd, struct device *dev,
		       void **data, u32 *data_len)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	void *info = NULL;

	*data_len = 0;
	cmd->out_data_type = IOMMU_HW_INFO_TYPE_NONE;
	if (ops->hw_info) {
		info = ops->hw_info(dev, data_len, &cmd->out_data_type);
		if (IS_ERR(info))
			return PTR_ERR(info);
	}
	*data = info;
	/* Userspace cannot interpret a structure without a type. */
	if (WARN_ON_ONCE(ops->hw_info &&
			 cmd->out_data_type == IOMMU_HW_INFO_TYPE_NONE))
		return -ENODEV;

	cmd->out_capabilities = 0;
	cmd->out_max_pasid_log2 = 0;
	if (device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		cmd->out_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	hw_info_pasid(cmd, dev);
	return 0;
}

/**
 * iommufd_get_hw_info() - handle IOMMU_GET_HW_INFO
 * @ucmd: the ioctl, with a struct iommu_hw_info
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: a flag or __reserved is set
 * * -ENOENT: there is no such device
 * * -EFAULT: user memory cannot be written
 * * -EINTR: the task was killed
 * * -ENODEV: the IOMMU driver did not report the type of its structure
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep.
 */
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	void *data __free(kfree) = NULL;
	struct iommu_hw_info *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	u32 data_len;
	int rc;

	if (cmd->flags ||
	    memchr_inv(cmd->__reserved, 0, sizeof(cmd->__reserved)))
		return -EOPNOTSUPP;

	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	rc = hw_info_get(cmd, idev->dev, &data, &data_len);
	/* Put the device before copying, which can wait for page faults. */
	iommufd_put_object(ucmd->ictx, &idev->obj);
	if (rc)
		return rc;

	rc = hw_info_copy(cmd, data, data_len);
	if (rc)
		return rc;
	/* Report the full size, so that the caller learns about truncation. */
	cmd->data_len = data_len;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
