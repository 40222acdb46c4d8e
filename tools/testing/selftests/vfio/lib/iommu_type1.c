// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the ioctls of a type1 container
 *
 * One function per ioctl, which returns 0 or -errno.
 */
#include <stdlib.h>
#include <string.h>

#include "iommu.h"

int __type1_map_flags(int fd, __u32 flags, const void *va, __u64 iova,
		      __u64 length)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (unsigned long)va,
		.iova = iova,
		.size = length,
	};

	return xioctl(fd, VFIO_IOMMU_MAP_DMA, &map);
}

int __type1_map(int fd, const void *va, __u64 iova, __u64 length,
		unsigned int prot)
{
	__u32 flags = 0;

	if (prot & PROT_DMA_READ)
		flags |= VFIO_DMA_MAP_FLAG_READ;
	if (prot & PROT_DMA_WRITE)
		flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return __type1_map_flags(fd, flags, va, iova, length);
}

int __type1_unmap_flags(int fd, __u32 flags, __u64 iova, __u64 length,
			__u64 *unmapped)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = length,
	};
	int rc;

	rc = xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
	if (unmapped)
		*unmapped = rc ? 0 : unmap.size;
	return rc;
}

int __type1_unmap(int fd, __u64 iova, __u64 length, __u64 *unmapped)
{
	return __type1_unmap_flags(fd, 0, iova, length, unmapped);
}

/* Set *@length to the size that the kernel left in the structure, always. */
int __type1_unmap_bitmap(int fd, __u64 iova, __u64 *length, __u64 pgsize,
			 void *bits, __u64 size)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg = {
		.unmap = {
			.argsz = sizeof(arg),
			.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			.iova = iova,
			.size = *length,
		},
		.bitmap = {
			.pgsize = pgsize,
			.size = size,
			.data = bits,
		},
	};
	int rc;

	rc = xioctl(fd, VFIO_IOMMU_UNMAP_DMA, &arg);
	*length = arg.unmap.size;
	return rc;
}

int __type1_dirty_flag(int fd, __u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = flags,
	};

	return xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

int __type1_dirty_get(int fd, __u64 iova, __u64 length, __u64 pgsize,
		      void *bits, __u64 size)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.dirty = {
			.argsz = sizeof(arg),
			.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		},
		.get = {
			.iova = iova,
			.size = length,
			.bitmap.pgsize = pgsize,
			.bitmap.size = size,
			.bitmap.data = bits,
		},
	};

	return xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &arg);
}

/* Copy the capability with this ID to @cap; -ENOENT if there is none. */
int __type1_info_cap(int fd, __u16 id, void *cap, size_t size)
{
	union {
		struct vfio_iommu_type1_info info;
		char bytes[4096];
	} u;
	struct vfio_info_cap_header *header;
	__u32 at;
	int rc;

	memset(&u, 0, sizeof(u));
	u.info.argsz = sizeof(u);
	rc = xioctl(fd, VFIO_IOMMU_GET_INFO, &u);
	if (rc)
		return rc;
	if (!(u.info.flags & VFIO_IOMMU_INFO_CAPS))
		return -ENOENT;
	for (at = u.info.cap_offset; at; at = header->next) {
		header = (void *)(u.bytes + at);
		if (header->id != id)
			continue;
		memcpy(cap, header, size);
		return 0;
	}
	return -ENOENT;
}
