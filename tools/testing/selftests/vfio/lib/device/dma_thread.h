/* SPDX-License-Identifier: GPL-2.0-only */
/* A DMA command in a thread, as it may wait for the response to a page fault. */
#ifndef _VFIO_SELFTEST_DMA_THREAD_H
#define _VFIO_SELFTEST_DMA_THREAD_H

#include <pthread.h>

#include "mock_dma.h"

struct __test_metadata;

/**
 * struct dma_thread - a DMA command that runs
 * @dev: the device
 * @command: VFIO_MOCK_DMA_CMD_FILL or VFIO_MOCK_DMA_CMD_READ
 * @iova: first IOVA
 * @length: length in bytes
 * @pattern: what a fill writes
 * @thread: the thread, until dma_thread_end()
 * @rc: result of the call that runs the command
 */
struct dma_thread {
	struct vfio_dev *dev;
	__u32 command;
	__u64 iova;
	__u64 length;
	__u64 pattern;
	pthread_t thread;
	int rc;
};

void dma_thread_fill(struct __test_metadata *_metadata, struct dma_thread *dma,
		     struct vfio_dev *dev, __u64 iova, __u64 length,
		     __u64 pattern);
void dma_thread_read(struct __test_metadata *_metadata, struct dma_thread *dma,
		     struct vfio_dev *dev, __u64 iova, __u64 length);
__u64 dma_thread_end(struct __test_metadata *_metadata, struct dma_thread *dma);

#endif
