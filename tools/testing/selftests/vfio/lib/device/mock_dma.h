/* SPDX-License-Identifier: GPL-2.0-only */
/* The mock DMA device: registers by name, commands, workload, truth log. */
#ifndef _VFIO_SELFTEST_MOCK_DMA_H
#define _VFIO_SELFTEST_MOCK_DMA_H

#include <stddef.h>
#include <linux/vfio_mock_dma.h>
#include <linux/vfio_mock_pci.h>

#include "vfio_device.h"

/* The offset of a register. */
#define MOCK_REG(name)	offsetof(struct vfio_mock_dma_regs, name)

/**
 * struct mock_work - parameters of the background workload
 * @iova: start of the range to write
 * @length: bytes of the range
 * @stride: bytes of one write
 * @rate: writes per second, 0 for unlimited
 * @hot_length: bytes of the hot set at the start of the range
 * @hot_percent: percentage of the writes that go to the hot set
 * @seed: seed of the sequence of writes
 */
struct mock_work {
	__u64 iova;
	__u64 length;
	__u64 stride;
	__u64 rate;
	__u64 hot_length;
	__u64 hot_percent;
	__u64 seed;
};

int mock_find(const char *model, unsigned int skip, char *path, size_t size);
int mock_pci_find(const char *model, unsigned int skip, char *path,
		  size_t size);

int __mock_region_read(struct vfio_dev *dev, __u32 region, __u64 offset,
		       void *buf, size_t size);
int __mock_region_write(struct vfio_dev *dev, __u32 region, __u64 offset,
			const void *buf, size_t size);
int __mock_set(struct vfio_dev *dev, size_t offset, __u64 value);
void mock_set(struct __test_metadata *_metadata, struct vfio_dev *dev,
	      size_t offset, __u64 value);
__u64 mock_get(struct __test_metadata *_metadata, struct vfio_dev *dev,
	       size_t offset);

int __mock_run(struct vfio_dev *dev, __u32 command, __u64 src, __u64 dst,
	       __u64 length);
int __mock_fill(struct vfio_dev *dev, __u64 iova, __u64 length, __u64 pattern);
void mock_fill(struct __test_metadata *_metadata, struct vfio_dev *dev,
	       __u64 iova, __u64 length, __u64 pattern);

int __mock_work_start(struct vfio_dev *dev, const struct mock_work *work);
void mock_work_start(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     const struct mock_work *work);
void mock_work_wait(struct __test_metadata *_metadata, struct vfio_dev *dev,
		    __u64 writes);
__u64 mock_work_stop(struct __test_metadata *_metadata, struct vfio_dev *dev);

/* lib/device/mock_sequence.c: a model of the workload's writes */
void mock_sequence_write(const struct mock_work *work, __u64 n, __u8 *mem);
void mock_sequence_run(const struct mock_work *work, __u64 writes, __u8 *mem);

int __mock_truth_start(struct vfio_dev *dev, __u64 iova, __u64 length,
		       __u64 granule);
void mock_truth_read(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     __u8 *bits, size_t bytes);

#endif
