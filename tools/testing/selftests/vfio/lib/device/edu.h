/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's edu device, a PCI device with a DMA address of 28 bits. */
#ifndef _VFIO_SELFTEST_EDU_H
#define _VFIO_SELFTEST_EDU_H

#include "vfio_device.h"

/* The documented limit is 4096 bytes, with which QEMU terminates. */
#define EDU_MAX		2048
#define EDU_DMA_LAST	((1ULL << 28) - 1)

int edu_find_nth(unsigned int nth, char *path, size_t size);
int edu_find(char *path, size_t size);
int __edu_bind(const char *path);
int __edu_can_track(const char *path, bool *able);
bool edu_has_dirty_bits(void);
int __edu_enable(struct vfio_dev *dev);
int __edu_disable_memory(struct vfio_dev *dev);
int __edu_read(struct vfio_dev *dev, __u64 iova, __u32 length);
int __edu_write(struct vfio_dev *dev, __u64 iova, __u32 length);

#endif
