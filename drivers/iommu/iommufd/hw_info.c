// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: what the hardware can do
 *
 * IOMMU_GET_HW_INFO answers what the IOMMU in front of a device is able to: in
 * a structure of its driver's own, which goes to userspace as it is, and in a
 * few bits that mean the same for every IOMMU.
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

/* As much as fits of the driver's structure, zeroes in what it leaves over. */
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
	 * Some drivers enable PASID along with what limits it, others only for
	 * some of their domains: AMD-Vi.
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
 * iommufd_get_hw_info() - IOMMU_GET_HW_INFO
 * @ucmd: struct iommu_hw_info
 *
 * Return: 0 on success. -EOPNOTSUPP if a flag or __reserved is set, -ENOENT if
 * there is no such device, -EFAULT, -EINTR if the process was killed, -ENODEV if
 * the driver of the IOMMU did not name the type of its data, or an error of that
 * driver.
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
	/* All of it, so that the caller learns what it did not get. */
	cmd->data_len = data_len;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
