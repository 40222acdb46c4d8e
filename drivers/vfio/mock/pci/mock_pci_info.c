// SPDX-License-Identifier: GPL-2.0-only
/*
 * Information ioctls of the mock PCI device. They return what vfio-pci returns
 * for a conventional PCI device.
 */
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

#include "mock_pci.h"

/**
 * mock_pci_get_info() - handle VFIO_DEVICE_GET_INFO
 * @arg: struct vfio_device_info
 *
 * Return:
 * * 0: success
 * * -EINVAL: argsz is too small
 * * -EFAULT: @arg is not accessible memory
 *
 * Context: process, may fault.
 */
int mock_pci_get_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = {};
	int rc = mock_dma_get_arg(&info, arg, size);

	if (rc)
		return rc;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	if (copy_to_user(arg, &info, min_t(size_t, info.argsz, sizeof(info))))
		return -EFAULT;
	return 0;
}

/**
 * mock_pci_get_region_info() - handle VFIO_DEVICE_GET_REGION_INFO
 * @arg: struct vfio_region_info
 *
 * Return:
 * * 0: success
 * * -EINVAL: argsz is too small, or there is no such region; the VGA region
 *   does not exist
 * * -EFAULT: @arg is not accessible memory
 *
 * Context: process, may fault.
 */
int mock_pci_get_region_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;
	int rc = mock_dma_get_arg(&info, arg, size);

	if (rc)
		return rc;
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	switch (info.index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		info.size = PCI_CFG_SPACE_SIZE;
		break;
	case VFIO_PCI_BAR0_REGION_INDEX:
		info.size = VFIO_MOCK_PCI_BAR_SIZE;
		break;
	case VFIO_PCI_BAR1_REGION_INDEX ... VFIO_PCI_ROM_REGION_INDEX:
		info.size = 0;
		info.flags = 0;
		break;
	default:
		return -EINVAL;
	}
	info.offset = mock_dma_region_offset(info.index);
	info.cap_offset = 0;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

/**
 * mock_pci_get_irq_info() - handle VFIO_DEVICE_GET_IRQ_INFO
 * @arg: struct vfio_irq_info
 *
 * Return:
 * * 0: success
 * * -EINVAL: argsz is too small, or there is no such interrupt
 * * -EFAULT: @arg is not accessible memory
 *
 * Context: process, may fault.
 */
int mock_pci_get_irq_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;
	int rc = mock_dma_get_arg(&info, arg, size);

	if (rc)
		return rc;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	switch (info.index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
		break;
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
		break;
	default:
		/* Only PCI Express has VFIO_PCI_ERR_IRQ_INDEX. */
		return -EINVAL;
	}
	info.count = mock_pci_irq_count(info.index);
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}
