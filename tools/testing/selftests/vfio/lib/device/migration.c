// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: migration of a device
 *
 * VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, and the file of a data transfer
 * session.
 */
#include <unistd.h>

#include "vfio_device.h"

/* Set *@data_fd to the file of a new session, or to -1. */
int __mig_set(struct vfio_dev *dev, __u32 state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = {
		.device_state = state,
		.data_fd = -1,
	};
	int rc;

	rc = __vfio_dev_feature(dev, VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				&mig, sizeof(mig));
	*data_fd = mig.data_fd;
	return rc;
}

int __mig_get(struct vfio_dev *dev, __u32 *state)
{
	struct vfio_device_feature_mig_state mig = {};
	int rc;

	rc = __vfio_dev_feature(dev, VFIO_DEVICE_FEATURE_GET |
				VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				&mig, sizeof(mig));
	*state = mig.device_state;
	return rc;
}

int __mig_data_size(struct vfio_dev *dev, __u64 *length)
{
	struct vfio_device_feature_mig_data_size size = {};
	int rc;

	rc = __vfio_dev_feature(dev, VFIO_DEVICE_FEATURE_GET |
				VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
				&size, sizeof(size));
	*length = size.stop_copy_length;
	return rc;
}

/*
 * Read until the end of the data, @part bytes at a time. Returns the number of
 * bytes, -errno, or -EOVERFLOW if there are more than @size.
 */
ssize_t __mig_read(int fd, void *buf, size_t size, size_t part)
{
	size_t done = 0;
	ssize_t got;
	char more;

	do {
		size_t want = part < size - done ? part : size - done;

		got = want ? read(fd, buf + done, want) : read(fd, &more, 1);
		if (got < 0)
			return -errno;
		if (got && !want)
			return -EOVERFLOW;
		done += got;
	} while (got);
	return done;
}

int __mig_write(int fd, const void *buf, size_t size)
{
	while (size) {
		ssize_t done = write(fd, buf, size);

		if (done < 0)
			return -errno;
		buf += done;
		size -= done;
	}
	return 0;
}

int __mig_precopy_info(int fd, struct vfio_precopy_info *info)
{
	info->argsz = sizeof(*info);
	return xioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info);
}
