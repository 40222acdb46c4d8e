// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO ioctls of the mock DMA device
 *
 * The device has three regions, none of which can be mapped, no interrupts, and
 * a reset. The upper bits of an offset in the device file are the region index.
 */
#include <linux/cleanup.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

#include "mock_dma.h"

/**
 * mock_dma_get_arg() - copy a user structure that starts with argsz
 * @to: destination
 * @from: the user structure
 * @size: number of bytes that the structure must have
 *
 * Return:
 * * 0: success
 * * -EFAULT: @from is not readable memory
 * * -EINVAL: argsz is less than @size
 *
 * Context: process, may fault.
 */
int mock_dma_get_arg(void *to, const void __user *from, size_t size)
{
	if (copy_from_user(to, from, size))
		return -EFAULT;
	return *(u32 *)to < size ? -EINVAL : 0;
}

static int mock_dma_get_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;
	int rc = mock_dma_get_arg(&info, arg, size);

	if (rc)
		return rc;
	info.flags = VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_MOCK_DMA_NUM_REGIONS;
	info.num_irqs = 0;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static int mock_dma_get_region_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;
	int rc = mock_dma_get_arg(&info, arg, size);

	if (rc)
		return rc;
	if (info.index >= VFIO_MOCK_DMA_NUM_REGIONS)
		return -EINVAL;
	info.size = mock_dma_region_size(info.index);
	info.offset = mock_dma_region_offset(info.index);
	info.flags = mock_dma_region_flags(info.index);
	info.cap_offset = 0;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static int mock_dma_user_reset(struct mock_dma *md)
{
	scoped_cond_guard(mutex_intr, return -EINTR, &md->lock)
		mock_dma_reset(md);
	return 0;
}

/**
 * mock_dma_ioctl() - handle an ioctl of the device file
 * @vdev: the VFIO device
 * @cmd: VFIO_DEVICE_*
 * @arg: argument of the ioctl
 *
 * Return:
 * * 0: success
 * * -EINVAL: argsz is too small, there is no such region, or @cmd is an ioctl
 *   for interrupts
 * * -ENOTTY: the device does not support @cmd
 * * -EFAULT: @arg is not accessible memory
 * * -EINTR: a signal is pending
 *
 * Context: process.
 */
long mock_dma_ioctl(struct vfio_device *vdev, unsigned int cmd,
		    unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return mock_dma_get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return mock_dma_get_region_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
	case VFIO_DEVICE_SET_IRQS:
		return -EINVAL;
	case VFIO_DEVICE_RESET:
		return mock_dma_user_reset(to_mock_dma(vdev));
	default:
		return -ENOTTY;
	}
}
