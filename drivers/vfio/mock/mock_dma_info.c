// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: what the mock DMA device tells of itself
 *
 * Three regions, none of which can be mapped, no interrupts, and a reset. The
 * upper bits of an offset in the device file tell the region.
 */
#include <linux/cleanup.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

#include "mock_dma.h"

#define REGION_SHIFT	40

static const struct {
	u64 size;
	u32 flags;
} mock_dma_regions[] = {
	[VFIO_MOCK_DMA_REGION_REGS] = {
		.size = sizeof(struct vfio_mock_dma_regs),
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	},
	[VFIO_MOCK_DMA_REGION_BUFFER] = {
		.size = VFIO_MOCK_DMA_BUFFER,
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	},
	[VFIO_MOCK_DMA_REGION_TRUTH] = {
		.size = VFIO_MOCK_DMA_TRUTH_MAX / BITS_PER_BYTE,
		.flags = VFIO_REGION_INFO_FLAG_READ,
	},
};

static_assert(ARRAY_SIZE(mock_dma_regions) == VFIO_MOCK_DMA_NUM_REGIONS);

/**
 * mock_dma_region_offset() - where a region is in the device file
 * @index: enum vfio_mock_dma_region
 *
 * Return: the offset of its first byte.
 */
u64 mock_dma_region_offset(unsigned int index)
{
	return (u64)index << REGION_SHIFT;
}

/**
 * mock_dma_region_index() - the region that an offset is in
 * @offset: offset in the device file
 *
 * Return: what may be the index of a region, or too large for one.
 */
unsigned int mock_dma_region_index(u64 offset)
{
	return offset >> REGION_SHIFT;
}

/**
 * mock_dma_region_size() - bytes of a region
 * @index: enum vfio_mock_dma_region, or any other number
 *
 * Return: its bytes, or 0 if there is no such region.
 */
u64 mock_dma_region_size(unsigned int index)
{
	if (index >= VFIO_MOCK_DMA_NUM_REGIONS)
		return 0;
	return mock_dma_regions[index].size;
}

/* Fetch the first @size bytes of a structure that starts with its argsz. */
static int mock_dma_get_arg(void *to, const void __user *from, size_t size)
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
	info.flags = mock_dma_regions[info.index].flags;
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
 * mock_dma_ioctl() - the ioctls of the device file
 * @vdev: the VFIO device
 * @cmd: which one
 * @arg: its argument
 *
 * Return: 0; -EINVAL for a structure that is too short, a region that there is
 * not, and every interrupt; -ENOTTY for other ioctls; -EFAULT; -EINTR.
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
