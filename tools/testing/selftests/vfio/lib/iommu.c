// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: mappings of all interfaces
 *
 * Only this file depends on the mode: a test calls map and unmap.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "iommu.h"
#include "sysfs.h"

/*
 * The mock devices have no isolated interrupts. Without these parameters, type1
 * and iommufd refuse such devices.
 */
static const char * const unsafe_interrupts[] = {
	[MODE_TYPE1] = "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
	[MODE_COMPAT] = "/sys/module/iommufd/parameters/allow_unsafe_interrupts",
	[MODE_IOMMUFD] = "/sys/module/iommufd/parameters/allow_unsafe_interrupts",
};

/* Set whether devices without isolated interrupts can be attached. */
int iommu_allow_unsafe_interrupts(const struct iommu *iommu, bool allow)
{
	return sysfs_write(unsafe_interrupts[iommu->mode], allow ? "1" : "0");
}

static void allow_devices_without_msi(void)
{
	for (unsigned int i = 0; i < 2; i++)
		sysfs_write(unsafe_interrupts[i], "1");
}

/* Allow the compat container to map BARs; type1 always does. */
int iommu_allow_pfnmap(bool allow)
{
	return sysfs_write("/sys/module/iommufd/parameters/allow_unsafe_pfnmap",
			   allow ? "1" : "0");
}

/* /dev/vfio/vfio can be that of iommufd, which has ioctls of its own. */
static bool is_iommufd(int fd)
{
	__u64 value;

	return !__iommu_option(fd, IOMMU_OPTION_RLIMIT_MODE,
			       IOMMU_OPTION_OP_GET, 0, &value);
}

int __iommu_open(struct iommu *iommu, enum iommu_mode mode)
{
	const char *path = "/dev/iommu";

	allow_devices_without_msi();
	memset(iommu, 0, sizeof(*iommu));
	iommu->mode = mode;
	if (mode == MODE_TYPE1)
		path = "/dev/vfio/vfio";
	iommu->fd = open(path, O_RDWR | O_CLOEXEC);
	if (iommu->fd < 0)
		return -errno;
	if (mode == MODE_TYPE1 && is_iommufd(iommu->fd))
		iommu->mode = MODE_COMPAT;
	if (mode != MODE_IOMMUFD)
		return 0;
	return __ioas_alloc(iommu->fd, &iommu->ioas_id);
}

void iommu_open(struct __test_metadata *_metadata, struct iommu *iommu,
		enum iommu_mode mode)
{
	CHECK_RC(0, __iommu_open(iommu, mode), "mode %d", mode);
}

void iommu_close(struct iommu *iommu)
{
	close(iommu->fd);
	iommu->fd = -1;
}

/*
 * Return how many pages of a process with CAP_IPC_LOCK are in locked_vm: VFIO's
 * container accounts all that it pins, iommufd what is subject to a limit.
 */
long iommu_locked(const struct iommu *iommu, long pages)
{
	return iommu->mode == MODE_TYPE1 ? pages : 0;
}

int __iommu_map(struct iommu *iommu, const void *va, __u64 iova, __u64 length,
		unsigned int prot)
{
	if (iommu->mode == MODE_IOMMUFD)
		return __ioas_map(iommu->fd, iommu->ioas_id, va, iova, length,
				  prot);
	return __type1_map(iommu->fd, va, iova, length, prot);
}

void iommu_map(struct __test_metadata *_metadata, struct iommu *iommu,
	       const void *va, __u64 iova, __u64 length)
{
	CHECK_RC(0, __iommu_map(iommu, va, iova, length, PROT_DMA_RW),
		 "0x%llx bytes at 0x%llx", length, iova);
}

int __iommu_unmap(struct iommu *iommu, __u64 iova, __u64 length,
		  __u64 *unmapped)
{
	if (iommu->mode == MODE_IOMMUFD)
		return __ioas_unmap(iommu->fd, iommu->ioas_id, iova, length,
				    unmapped);
	return __type1_unmap(iommu->fd, iova, length, unmapped);
}

void iommu_unmap(struct __test_metadata *_metadata, struct iommu *iommu,
		 __u64 iova, __u64 length)
{
	__u64 unmapped = 0;

	CHECK_RC(0, __iommu_unmap(iommu, iova, length, &unmapped),
		 "0x%llx bytes at 0x%llx", length, iova);
	CHECK(unmapped == length, "0x%llx, not 0x%llx", unmapped, length);
}
