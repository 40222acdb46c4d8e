// SPDX-License-Identifier: GPL-2.0-only
/* DMA commands in a thread. */
#include "dma_thread.h"
#include "lib/check.h"

static void *dma_thread_run(void *arg)
{
	struct dma_thread *dma = arg;

	if (dma->command == VFIO_MOCK_DMA_CMD_FILL)
		dma->rc = __mock_fill(dma->dev, dma->iova, dma->length,
				      dma->pattern);
	else
		dma->rc = __mock_run(dma->dev, dma->command, dma->iova, 0,
				     dma->length);
	return NULL;
}

static void dma_thread_start(struct __test_metadata *_metadata,
			     struct dma_thread *dma)
{
	CHECK_RC(0, -pthread_create(&dma->thread, NULL, dma_thread_run, dma),
		 "thread for a DMA command");
}

/* Fill memory, as mock_fill(). */
void dma_thread_fill(struct __test_metadata *_metadata, struct dma_thread *dma,
		     struct vfio_dev *dev, __u64 iova, __u64 length,
		     __u64 pattern)
{
	*dma = (struct dma_thread){
		.dev = dev,
		.command = VFIO_MOCK_DMA_CMD_FILL,
		.iova = iova,
		.length = length,
		.pattern = pattern,
	};
	dma_thread_start(_metadata, dma);
}

/* Read memory into the buffer of the device. */
void dma_thread_read(struct __test_metadata *_metadata, struct dma_thread *dma,
		     struct vfio_dev *dev, __u64 iova, __u64 length)
{
	*dma = (struct dma_thread){
		.dev = dev,
		.command = VFIO_MOCK_DMA_CMD_READ,
		.iova = iova,
		.length = length,
	};
	dma_thread_start(_metadata, dma);
}

/* Wait for the end. Returns the status of the device: enum vfio_mock_dma_status. */
__u64 dma_thread_end(struct __test_metadata *_metadata, struct dma_thread *dma)
{
	CHECK_RC(0, -pthread_join(dma->thread, NULL), "end of a DMA command");
	CHECK_RC(0, dma->rc, "DMA of 0x%llx bytes at 0x%llx", dma->length,
		 dma->iova);
	return mock_get(_metadata, dma->dev, MOCK_REG(status));
}
