// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: device DMA logging
 *
 * The three features by which a device reports its own writes.
 */
#include "vfio_device.h"

/* Set *@page_size to the size that the kernel left in the structure, always. */
int __dma_log_start(struct vfio_dev *dev, __u64 *page_size, __u32 count,
		    const struct vfio_device_feature_dma_logging_range *ranges)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = *page_size,
		.num_ranges = count,
		.ranges = (unsigned long)ranges,
	};
	int rc;

	rc = __vfio_dev_feature(dev, VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
				&control, sizeof(control));
	*page_size = control.page_size;
	return rc;
}

int __dma_log_stop(struct vfio_dev *dev)
{
	return __vfio_dev_feature(dev, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
				  NULL, 0);
}

int __dma_log_report(struct vfio_dev *dev, __u64 iova, __u64 length,
		     __u64 page_size, void *bits)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.bitmap = (unsigned long)bits,
	};

	return __vfio_dev_feature(dev, VFIO_DEVICE_FEATURE_GET |
				  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
				  &report, sizeof(report));
}
