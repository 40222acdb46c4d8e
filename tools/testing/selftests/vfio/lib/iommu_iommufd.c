// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the ioctls of /dev/iommu
 *
 * One function per ioctl, which returns 0 or -errno.
 */
#include "iommu.h"

int __ioas_alloc(int fd, __u32 *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = xioctl(fd, IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return rc;
}

/* Set *@iova to the IOVA that the kernel left in the structure, always. */
int __ioas_map_at(int fd, __u32 ioas_id, __u32 flags, const void *va,
		  __u64 *iova, __u64 length)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas_id,
		.user_va = (unsigned long)va,
		.length = length,
		.iova = *iova,
	};
	int rc = xioctl(fd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return rc;
}

int __ioas_map(int fd, __u32 ioas_id, const void *va, __u64 iova, __u64 length,
	       unsigned int prot)
{
	__u32 flags = IOMMU_IOAS_MAP_FIXED_IOVA;

	if (prot & PROT_DMA_READ)
		flags |= IOMMU_IOAS_MAP_READABLE;
	if (prot & PROT_DMA_WRITE)
		flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return __ioas_map_at(fd, ioas_id, flags, va, &iova, length);
}

int __ioas_map_file(int fd, __u32 ioas_id, __u32 flags, int file, __u64 start,
		    __u64 *iova, __u64 length)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas_id,
		.fd = file,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	int rc = xioctl(fd, IOMMU_IOAS_MAP_FILE, &cmd);

	*iova = cmd.iova;
	return rc;
}

int __ioas_copy(int fd, __u32 flags, __u32 dst_ioas_id, __u64 *dst_iova,
		__u32 src_ioas_id, __u64 src_iova, __u64 length)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst_ioas_id,
		.src_ioas_id = src_ioas_id,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int rc = xioctl(fd, IOMMU_IOAS_COPY, &cmd);

	*dst_iova = cmd.dst_iova;
	return rc;
}

int __ioas_unmap(int fd, __u32 ioas_id, __u64 iova, __u64 length,
		 __u64 *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = length,
	};
	int rc = xioctl(fd, IOMMU_IOAS_UNMAP, &cmd);

	if (unmapped)
		*unmapped = rc ? 0 : cmd.length;
	return rc;
}

int __hwpt_alloc_data(int fd, __u32 dev_id, __u32 pt_id, __u32 flags,
		      __u32 fault_id, __u32 type, const void *data,
		      __u32 length, __u32 *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = pt_id,
		.data_type = type,
		.data_len = length,
		.data_uptr = (unsigned long)data,
		.fault_id = fault_id,
	};
	int rc = xioctl(fd, IOMMU_HWPT_ALLOC, &cmd);

	*id = rc ? 0 : cmd.out_hwpt_id;
	return rc;
}

int __hwpt_alloc(int fd, __u32 dev_id, __u32 pt_id, __u32 flags, __u32 *id)
{
	return __hwpt_alloc_data(fd, dev_id, pt_id, flags, 0,
				 IOMMU_HWPT_DATA_NONE, NULL, 0, id);
}

/* @count is set to the number of entries that were processed, on failure, too. */
int __hwpt_invalidate(int fd, __u32 hwpt_id, __u32 type, const void *entries,
		      __u32 length, __u32 *count)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt_id,
		.data_uptr = (unsigned long)entries,
		.data_type = type,
		.entry_len = length,
		.entry_num = *count,
	};
	int rc = xioctl(fd, IOMMU_HWPT_INVALIDATE, &cmd);

	*count = cmd.entry_num;
	return rc;
}

int __fault_alloc(int fd, __u32 *id, int *fault_fd)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int rc = xioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*id = rc ? 0 : cmd.out_fault_id;
	*fault_fd = rc ? -1 : (int)cmd.out_fault_fd;
	return rc;
}

int __hwpt_track(int fd, __u32 hwpt_id, bool enable)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = enable ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt_id,
	};

	return xioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

int __hwpt_dirty(int fd, __u32 hwpt_id, __u32 flags, __u64 iova, __u64 length,
		 __u64 page_size, void *bits)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt_id,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.data = (unsigned long)bits,
	};

	return xioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

int __iommu_destroy(int fd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return xioctl(fd, IOMMU_DESTROY, &cmd);
}

int __iommu_option(int fd, __u32 option, __u32 op, __u32 object_id,
		   __u64 *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = op,
		.object_id = object_id,
		.val64 = *value,
	};
	int rc = xioctl(fd, IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return rc;
}

int __device_can_track(int fd, __u32 dev_id, bool *able)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = dev_id };
	int rc = xioctl(fd, IOMMU_GET_HW_INFO, &cmd);

	*able = cmd.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
	return rc;
}
