/* SPDX-License-Identifier: GPL-2.0-only */
/* A VFIO device, opened through its group or through its own file. */
#ifndef _VFIO_SELFTEST_DEVICE_H
#define _VFIO_SELFTEST_DEVICE_H

#include <sys/types.h>

#include "lib/iommu.h"

/**
 * struct vfio_dev - an open device
 * @iommu: container or /dev/iommu of the device; must outlive it
 * @name: name of the device on its bus
 * @fd: the device
 * @group_fd: its group, -1 with MODE_IOMMUFD
 * @dev_id: its object in /dev/iommu, MODE_IOMMUFD only
 * @hwpt_id: the page table it is attached to, 0 if that is the IOAS's own
 * @tracks: @hwpt_id was allocated for dirty tracking
 */
struct vfio_dev {
	struct iommu *iommu;
	char name[64];
	int fd;
	int group_fd;
	__u32 dev_id;
	__u32 hwpt_id;
	bool tracks;
};

int __vfio_dev_open(struct vfio_dev *dev, struct iommu *iommu,
		    const char *path);
int __vfio_dev_bind(struct vfio_dev *dev, struct iommu *iommu,
		    const char *path);
int __vfio_dev_attach(struct vfio_dev *dev, __u32 pt_id);
int __vfio_dev_detach(struct vfio_dev *dev);
void vfio_dev_close(struct vfio_dev *dev);
int __vfio_dev_reset(struct vfio_dev *dev);
int __vfio_dev_region(struct vfio_dev *dev, __u32 index,
		      struct vfio_region_info *info);
ssize_t __vfio_dev_read(struct vfio_dev *dev, __u32 index, __u64 offset,
			void *buf, size_t size);
ssize_t __vfio_dev_write(struct vfio_dev *dev, __u32 index, __u64 offset,
			 const void *buf, size_t size);

/* struct vfio_device_feature with @size bytes of payload */
int __vfio_dev_feature(struct vfio_dev *dev, __u32 flags, void *payload,
		       size_t size);

/* lib/device/migration.c: states and data of a migration */
int __mig_set(struct vfio_dev *dev, __u32 state, int *data_fd);
int __mig_get(struct vfio_dev *dev, __u32 *state);
int __mig_data_size(struct vfio_dev *dev, __u64 *length);
ssize_t __mig_read(int fd, void *buf, size_t size, size_t part);
int __mig_write(int fd, const void *buf, size_t size);
int __mig_precopy_info(int fd, struct vfio_precopy_info *info);

/* lib/device/dma_log.c: device DMA logging */
int __dma_log_start(struct vfio_dev *dev, __u64 *page_size, __u32 count,
		    const struct vfio_device_feature_dma_logging_range *ranges);
int __dma_log_stop(struct vfio_dev *dev);
int __dma_log_report(struct vfio_dev *dev, __u64 iova, __u64 length,
		     __u64 page_size, void *bits);

#endif
