// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the edu device, driven through vfio-pci
 *
 * The device copies between its own buffer and memory. A transfer takes a tenth
 * of a second, whatever its size, unless QEMU has an edu that does it at once.
 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edu.h"
#include "lib/sysfs.h"

#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_BUFFER	0x40000

#define EDU_RUN		1
#define EDU_TO_MEMORY	2

#define EDU_SECONDS	20

/* Return the sysfs directory of edu device number @nth; -ENOENT if missing. */
int edu_find_nth(unsigned int nth, char *path, size_t size)
{
	char name[64];
	int rc;

	for (unsigned int i = 0;; i++) {
		rc = sysfs_find(PCI_DEVICES, "", i, name, sizeof(name));
		if (rc)
			return rc;
		snprintf(path, size, PCI_DEVICES "/%s", name);
		if (sysfs_attr_is(path, "vendor", "0x1234") &&
		    sysfs_attr_is(path, "device", "0x11e8") && !nth--)
			return 0;
	}
}

int edu_find(char *path, size_t size)
{
	return edu_find_nth(0, path, size);
}

/* Bind the device to vfio-pci, unless it is bound already. */
int __edu_bind(const char *path)
{
	char file[PATH_MAX], driver[64];
	const char *name = strrchr(path, '/') + 1;
	int rc;

	snprintf(file, sizeof(file), "%s/driver", path);
	rc = sysfs_link_name(file, driver, sizeof(driver));
	if (!rc && !strcmp(driver, "vfio-pci"))
		return 0;
	if (!rc) {
		snprintf(file, sizeof(file), "%s/driver/unbind", path);
		rc = sysfs_write(file, name);
		if (rc)
			return rc;
	}
	snprintf(file, sizeof(file), "%s/driver_override", path);
	rc = sysfs_write(file, "vfio-pci");
	if (rc)
		return rc;
	return sysfs_write("/sys/bus/pci/drivers_probe", name);
}

/*
 * Whether the IOMMU of the device has dirty bits. The device is bound to
 * vfio-pci, and not open.
 */
int __edu_can_track(const char *path, bool *able)
{
	struct iommu iommu;
	struct vfio_dev dev;
	int rc;

	rc = __iommu_open(&iommu, MODE_IOMMUFD);
	if (rc)
		return rc;
	rc = __vfio_dev_bind(&dev, &iommu, path);
	if (!rc) {
		rc = __device_can_track(iommu.fd, dev.dev_id, able);
		vfio_dev_close(&dev);
	}
	iommu_close(&iommu);
	return rc;
}

/* Whether there is an edu device behind an IOMMU with dirty bits */
bool edu_has_dirty_bits(void)
{
	bool able = false;
	char path[128];

	return !edu_find(path, sizeof(path)) && !__edu_bind(path) &&
	       !__edu_can_track(path, &able) && able;
}

static int access_region(struct vfio_dev *dev, __u32 region, __u64 offset,
			 void *value, size_t size, bool write)
{
	struct vfio_region_info info;
	ssize_t done;
	int rc;

	rc = __vfio_dev_region(dev, region, &info);
	if (rc)
		return rc;
	if (write)
		done = pwrite(dev->fd, value, size, info.offset + offset);
	else
		done = pread(dev->fd, value, size, info.offset + offset);
	if (done < 0)
		return -errno;
	return (size_t)done == size ? 0 : -EIO;
}

static int set_command(struct vfio_dev *dev, __u16 clear, __u16 set)
{
	const __u64 command = 4;
	__u16 value;
	int rc;

	rc = access_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, command, &value,
			   sizeof(value), false);
	if (rc)
		return rc;
	value = (value & ~clear) | set;
	return access_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, command, &value,
			     sizeof(value), true);
}

/* Enable memory space and bus mastering. */
int __edu_enable(struct vfio_dev *dev)
{
	return set_command(dev, 0, 2 | 4);
}

/* Disable memory space: vfio-pci zaps every mapping of the BAR. */
int __edu_disable_memory(struct vfio_dev *dev)
{
	return set_command(dev, 2, 0);
}

static int bar_write(struct vfio_dev *dev, __u64 offset, __u32 value)
{
	return access_region(dev, VFIO_PCI_BAR0_REGION_INDEX, offset, &value,
			     sizeof(value), true);
}

static int wait_until_done(struct vfio_dev *dev)
{
	time_t start = time(NULL);
	__u32 command;
	int rc;

	do {
		rc = access_region(dev, VFIO_PCI_BAR0_REGION_INDEX, EDU_COMMAND,
				   &command, sizeof(command), false);
		if (rc || !(command & EDU_RUN))
			return rc;
		sched_yield();
	} while (time(NULL) - start < EDU_SECONDS);
	return -ETIMEDOUT;
}

static int transfer(struct vfio_dev *dev, __u32 src, __u32 dst, __u32 length,
		    __u32 direction)
{
	int rc;

	rc = bar_write(dev, EDU_SRC, src);
	if (!rc)
		rc = bar_write(dev, EDU_DST, dst);
	if (!rc)
		rc = bar_write(dev, EDU_COUNT, length);
	if (!rc)
		rc = bar_write(dev, EDU_COMMAND, EDU_RUN | direction);
	return rc ? rc : wait_until_done(dev);
}

/* Copy from memory to the start of the device's buffer. */
int __edu_read(struct vfio_dev *dev, __u64 iova, __u32 length)
{
	return transfer(dev, iova, EDU_BUFFER, length, 0);
}

/* Copy from the start of the device's buffer to memory. */
int __edu_write(struct vfio_dev *dev, __u64 iova, __u32 length)
{
	return transfer(dev, EDU_BUFFER, iova, length, EDU_TO_MEMORY);
}
