/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One handle for the three ways to map memory for a device, so that a test is
 * written once. __op() returns 0 or -errno, op() fails the test.
 */
#ifndef _VFIO_SELFTEST_IOMMU_H
#define _VFIO_SELFTEST_IOMMU_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct __test_metadata;

#ifndef SZ_4K
#define SZ_2K	0x800UL
#define SZ_4K	0x1000UL
#define SZ_64K	0x10000UL
#define SZ_1M	0x100000UL
#define SZ_2M	0x200000UL
#define SZ_1G	0x40000000UL
#endif

/**
 * enum iommu_mode - the interface that a test uses
 * @MODE_TYPE1: a group in a container of /dev/vfio/vfio
 * @MODE_COMPAT: a group in the compat container of /dev/iommu
 * @MODE_IOMMUFD: a device file bound to /dev/iommu, with a page table object
 */
enum iommu_mode {
	MODE_TYPE1,
	MODE_COMPAT,
	MODE_IOMMUFD,
};

/**
 * struct iommu - an open container or /dev/iommu
 * @mode: the interface; MODE_COMPAT if iommufd provides /dev/vfio/vfio
 * @fd: /dev/vfio/vfio or /dev/iommu
 * @ready: the container's type is set, which requires a group in it
 * @type: type to set; 0 for VFIO_TYPE1v2_IOMMU
 * @ioas_id: the IOAS, MODE_IOMMUFD only
 */
struct iommu {
	enum iommu_mode mode;
	int fd;
	bool ready;
	unsigned long type;
	__u32 ioas_id;
};

#define PROT_DMA_READ	1
#define PROT_DMA_WRITE	2
#define PROT_DMA_RW	(PROT_DMA_READ | PROT_DMA_WRITE)

/* Flags of the map ioctls; MAP_RW_FIXED maps at the IOVA of the caller. */
#define MAP_R		IOMMU_IOAS_MAP_READABLE
#define MAP_RW		(MAP_R | IOMMU_IOAS_MAP_WRITEABLE)
#define MAP_RW_FIXED	(MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA)

static inline int xioctl(int fd, unsigned long cmd, void *arg)
{
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

int iommu_allow_pfnmap(bool allow);
int iommu_allow_unsafe_interrupts(const struct iommu *iommu, bool allow);
int __iommu_open(struct iommu *iommu, enum iommu_mode mode);
void iommu_open(struct __test_metadata *_metadata, struct iommu *iommu,
		enum iommu_mode mode);
void iommu_close(struct iommu *iommu);
long iommu_locked(const struct iommu *iommu, long pages);
int __iommu_map(struct iommu *iommu, const void *va, __u64 iova, __u64 length,
		unsigned int prot);
void iommu_map(struct __test_metadata *_metadata, struct iommu *iommu,
	       const void *va, __u64 iova, __u64 length);
int __iommu_unmap(struct iommu *iommu, __u64 iova, __u64 length,
		  __u64 *unmapped);
void iommu_unmap(struct __test_metadata *_metadata, struct iommu *iommu,
		 __u64 iova, __u64 length);

/* lib/iommu_type1.c: ioctls of both kinds of type1 containers */
int __type1_map(int fd, const void *va, __u64 iova, __u64 length,
		unsigned int prot);
int __type1_map_flags(int fd, __u32 flags, const void *va, __u64 iova,
		      __u64 length);
int __type1_unmap(int fd, __u64 iova, __u64 length, __u64 *unmapped);
int __type1_unmap_flags(int fd, __u32 flags, __u64 iova, __u64 length,
			__u64 *unmapped);
int __type1_unmap_bitmap(int fd, __u64 iova, __u64 *length, __u64 pgsize,
			 void *bits, __u64 size);
int __type1_dirty_flag(int fd, __u32 flags);
int __type1_dirty_get(int fd, __u64 iova, __u64 length, __u64 pgsize,
		      void *bits, __u64 size);
int __type1_info_cap(int fd, __u16 id, void *cap, size_t size);

/* lib/iommu_iommufd.c: ioctls of /dev/iommu */
int __ioas_alloc(int fd, __u32 *id);
int __ioas_map(int fd, __u32 ioas_id, const void *va, __u64 iova, __u64 length,
	       unsigned int prot);
int __ioas_map_at(int fd, __u32 ioas_id, __u32 flags, const void *va,
		  __u64 *iova, __u64 length);
int __ioas_map_file(int fd, __u32 ioas_id, __u32 flags, int file, __u64 start,
		    __u64 *iova, __u64 length);
int __ioas_copy(int fd, __u32 flags, __u32 dst_ioas_id, __u64 *dst_iova,
		__u32 src_ioas_id, __u64 src_iova, __u64 length);
int __ioas_unmap(int fd, __u32 ioas_id, __u64 iova, __u64 length,
		 __u64 *unmapped);
int __hwpt_alloc(int fd, __u32 dev_id, __u32 pt_id, __u32 flags, __u32 *id);
int __hwpt_alloc_data(int fd, __u32 dev_id, __u32 pt_id, __u32 flags,
		      __u32 fault_id, __u32 type, const void *data,
		      __u32 length, __u32 *id);
int __hwpt_invalidate(int fd, __u32 hwpt_id, __u32 type, const void *entries,
		      __u32 length, __u32 *count);
int __fault_alloc(int fd, __u32 *id, int *fault_fd);
int __hwpt_track(int fd, __u32 hwpt_id, bool enable);
int __hwpt_dirty(int fd, __u32 hwpt_id, __u32 flags, __u64 iova, __u64 length,
		 __u64 page_size, void *bits);
int __iommu_destroy(int fd, __u32 id);
int __iommu_option(int fd, __u32 option, __u32 op, __u32 object_id,
		   __u64 *value);
int __device_can_track(int fd, __u32 dev_id, bool *able);

#endif
