// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without an IOMMU, "vfio-mock-mdev". See mock_dma_pins.c for their
 * memory accesses.
 */
#include <linux/vfio.h>

#include "mock_dma.h"

static const struct vfio_device_ops mock_dma_emulated_vfio_ops = {
	.name = "vfio-mock-mdev",
	.init = mock_dma_init,
	.release = mock_dma_release,
	.open_device = mock_dma_open,
	.close_device = mock_dma_close,
	.ioctl = mock_dma_ioctl,
	.read = mock_dma_vfio_read,
	.write = mock_dma_vfio_write,
	.dma_unmap = mock_dma_pins_unmap,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

/* Devices "vfio-mock-mdev". */
const struct mock_dma_kind mock_dma_emulated = {
	.size = sizeof(struct mock_dma),
	.ops = &mock_dma_pins_ops,
	.vfio_ops = &mock_dma_emulated_vfio_ops,
	.add = vfio_register_emulated_iommu_dev,
};
