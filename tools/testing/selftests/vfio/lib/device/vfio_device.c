// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: opening VFIO devices
 *
 * A device is named by its sysfs directory, which leads to its group and its
 * device file.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sysfs.h"
#include "vfio_device.h"

static int open_group(struct vfio_dev *dev, const char *path)
{
	char link[PATH_MAX], number[16], node[64];
	struct iommu *iommu = dev->iommu;
	int rc;

	snprintf(link, sizeof(link), "%s/iommu_group", path);
	rc = sysfs_link_name(link, number, sizeof(number));
	if (rc)
		return rc;
	snprintf(node, sizeof(node), "/dev/vfio/%s", number);
	dev->group_fd = open(node, O_RDWR | O_CLOEXEC);
	if (dev->group_fd < 0)
		return -errno;
	rc = xioctl(dev->group_fd, VFIO_GROUP_SET_CONTAINER, &iommu->fd);
	if (rc)
		return rc;
	if (!iommu->ready)
		rc = xioctl(iommu->fd, VFIO_SET_IOMMU,
			    (void *)(iommu->type ?: VFIO_TYPE1v2_IOMMU));
	if (rc)
		return rc;
	iommu->ready = true;
	dev->fd = xioctl(dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, dev->name);
	return dev->fd < 0 ? dev->fd : 0;
}

static int open_cdev(struct vfio_dev *dev, const char *path)
{
	char dir[PATH_MAX], name[32], node[64];
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = dev->iommu->fd,
	};
	int rc;

	snprintf(dir, sizeof(dir), "%s/vfio-dev", path);
	rc = sysfs_find(dir, "vfio", 0, name, sizeof(name));
	if (rc)
		return rc;
	snprintf(node, sizeof(node), "/dev/vfio/devices/%s", name);
	dev->fd = open(node, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return -errno;
	rc = xioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	dev->dev_id = bind.out_devid;
	return rc;
}

/* Open a device that is attached to a container, or bound to /dev/iommu. */
int __vfio_dev_bind(struct vfio_dev *dev, struct iommu *iommu, const char *path)
{
	const char *name = strrchr(path, '/');
	int rc;

	memset(dev, 0, sizeof(*dev));
	dev->iommu = iommu;
	dev->fd = -1;
	dev->group_fd = -1;
	snprintf(dev->name, sizeof(dev->name), "%s", name ? name + 1 : path);

	if (iommu->mode == MODE_IOMMUFD)
		rc = open_cdev(dev, path);
	else
		rc = open_group(dev, path);
	if (rc)
		vfio_dev_close(dev);
	return rc;
}

/*
 * Open a device ready for DMA. With /dev/iommu, its page table supports dirty
 * tracking if the device does. A device without an IOMMU has no page table:
 * GET_HW_INFO and HWPT_ALLOC fail for it, and it is attached to the IOAS.
 */
int __vfio_dev_open(struct vfio_dev *dev, struct iommu *iommu, const char *path)
{
	bool emulated, able = false;
	__u32 flags = 0;
	int rc;

	rc = __vfio_dev_bind(dev, iommu, path);
	if (rc || iommu->mode != MODE_IOMMUFD)
		return rc;

	emulated = sysfs_attr_is(path, "model", "emulated");
	if (!emulated) {
		rc = __device_can_track(iommu->fd, dev->dev_id, &able);
		if (able)
			flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
		if (!rc)
			rc = __hwpt_alloc(iommu->fd, dev->dev_id,
					  iommu->ioas_id, flags, &dev->hwpt_id);
		dev->tracks = able;
	}
	if (!rc)
		rc = __vfio_dev_attach(dev, emulated ? iommu->ioas_id :
						       dev->hwpt_id);
	if (rc)
		vfio_dev_close(dev);
	return rc;
}

int __vfio_dev_attach(struct vfio_dev *dev, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt_id,
	};

	return xioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int __vfio_dev_detach(struct vfio_dev *dev)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return xioctl(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

void vfio_dev_close(struct vfio_dev *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	if (dev->group_fd >= 0)
		close(dev->group_fd);
	dev->fd = -1;
	dev->group_fd = -1;
}

int __vfio_dev_reset(struct vfio_dev *dev)
{
	return xioctl(dev->fd, VFIO_DEVICE_RESET, NULL);
}

int __vfio_dev_region(struct vfio_dev *dev, __u32 index,
		      struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return xioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* Return the number of bytes or -errno. */
ssize_t __vfio_dev_read(struct vfio_dev *dev, __u32 index, __u64 offset,
			void *buf, size_t size)
{
	struct vfio_region_info info;
	ssize_t done;
	int rc;

	rc = __vfio_dev_region(dev, index, &info);
	if (rc)
		return rc;
	done = pread(dev->fd, buf, size, info.offset + offset);
	return done < 0 ? -errno : done;
}

ssize_t __vfio_dev_write(struct vfio_dev *dev, __u32 index, __u64 offset,
			 const void *buf, size_t size)
{
	struct vfio_region_info info;
	ssize_t done;
	int rc;

	rc = __vfio_dev_region(dev, index, &info);
	if (rc)
		return rc;
	done = pwrite(dev->fd, buf, size, info.offset + offset);
	return done < 0 ? -errno : done;
}

int __vfio_dev_feature(struct vfio_dev *dev, __u32 flags, void *payload,
		       size_t size)
{
	struct vfio_device_feature *feature;
	int rc;

	feature = calloc(1, sizeof(*feature) + size);
	if (!feature)
		return -ENOMEM;
	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, payload, size);
	rc = xioctl(dev->fd, VFIO_DEVICE_FEATURE, feature);
	if (size)
		memcpy(payload, feature->data, size);
	free(feature);
	return rc;
}
