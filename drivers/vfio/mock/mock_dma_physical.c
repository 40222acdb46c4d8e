// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Mock DMA devices behind the mock IOMMU
 *
 * DMA of a physical device goes through the IOTLB and the page table of the
 * attached domain, and sets dirty bits there. With the module parameter
 * physical_pin, the device also pins pages before it writes to them, as
 * drivers do whose IOMMU does not support dirty tracking. If the
 * IOMMU lacks dirty tracking, a type1 container then reports only pinned pages
 * as dirty. Only type1 containers allow devices with an IOMMU to pin pages.
 */
#include <linux/moduleparam.h>

#include "mock_dma.h"

static bool physical_pin;
module_param(physical_pin, bool, 0644);
MODULE_PARM_DESC(physical_pin,
		 "Devices with an IOMMU pin the pages that they write (default: off)");

/**
 * mock_dma_physical_read() - read memory through the mock IOMMU
 * @md: the device
 * @iova: first IOVA
 * @buf: destination
 * @length: number of bytes, not 0; the range must not wrap
 * @fault: set to the fault, if the function fails
 *
 * mock_dma_ops.read.
 *
 * Return: 0, or a negative errno. After an error, the bytes below @fault->iova
 * have been read.
 *
 * Context: process, may sleep.
 */
int mock_dma_physical_read(struct mock_dma *md, unsigned long iova, void *buf,
			   size_t length, struct iommu_mock_fault *fault)
{
	return iommu_mock_dma_read(md->vdev.dev, iova, buf, length, fault);
}

/**
 * mock_dma_physical_write() - write memory through the mock IOMMU
 * @md: the device
 * @iova: first IOVA
 * @buf: source
 * @length: number of bytes, not 0; the range must not wrap
 * @fault: set to the fault, if the function fails
 *
 * mock_dma_ops.write.
 *
 * Return: 0, or a negative errno. After an error, the bytes below @fault->iova
 * have been written.
 *
 * Context: process, may sleep. The device must be open.
 */
int mock_dma_physical_write(struct mock_dma *md, unsigned long iova,
			    const void *buf, size_t length,
			    struct iommu_mock_fault *fault)
{
	/* Ignore errors: the page is not mapped, or pins are not supported. */
	if (READ_ONCE(physical_pin))
		mock_dma_pin_range(md, iova, length);
	return iommu_mock_dma_write(md->vdev.dev, iova, buf, length, fault);
}

static const struct mock_dma_ops mock_dma_physical_ops = {
	.read = mock_dma_physical_read,
	.write = mock_dma_physical_write,
	.release = mock_dma_pins_release,
};

static const struct vfio_device_ops mock_dma_physical_vfio_ops = {
	.name = "vfio-mock-dma",
	.init = mock_dma_init,
	.release = mock_dma_release,
	.open_device = mock_dma_open,
	.close_device = mock_dma_close,
	.ioctl = mock_dma_ioctl,
	.read = mock_dma_vfio_read,
	.write = mock_dma_vfio_write,
	.dma_unmap = mock_dma_pins_unmap,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

/* Devices "vfio-mock-dma". */
const struct mock_dma_kind mock_dma_physical = {
	.size = sizeof(struct mock_dma),
	.ops = &mock_dma_physical_ops,
	.vfio_ops = &mock_dma_physical_vfio_ops,
	.add = vfio_register_group_dev,
};
