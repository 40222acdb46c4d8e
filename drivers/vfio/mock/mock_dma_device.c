// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation, open, close and release of a device, for both kinds of devices.
 */
#include <linux/cleanup.h>

#include "mock_dma.h"

/**
 * mock_dma_init() - initialize a device (vfio_device_ops.init)
 * @vdev: the VFIO device; VFIO has zeroed the memory of the mock_dma
 *
 * Return: 0, or -ENOMEM.
 */
int mock_dma_init(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	mutex_init(&md->lock);
	mutex_init(&md->truth_lock);
	mutex_init(&md->log_lock);
	mutex_init(&md->pins.lock);
	spin_lock_init(&md->fault_lock);
	xa_init(&md->pins.pages);
	init_waitqueue_head(&md->pins.wait);
	INIT_WORK(&md->pins.unpin, mock_dma_unpin_work);

	md->buffer = kvzalloc(VFIO_MOCK_DMA_BUFFER, GFP_KERNEL);
	md->bounce = kvmalloc(VFIO_MOCK_DMA_BUFFER, GFP_KERNEL);
	md->work.data = kmalloc(MOCK_DMA_UNIT_MAX, GFP_KERNEL);
	if (md->buffer && md->bounce && md->work.data)
		return 0;
	kfree(md->work.data);
	kvfree(md->bounce);
	kvfree(md->buffer);
	return -ENOMEM;
}

/**
 * mock_dma_release() - free buffers of a device (vfio_device_ops.release)
 * @vdev: the VFIO device, which has no user
 */
void mock_dma_release(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	kfree(md->work.data);
	kvfree(md->bounce);
	kvfree(md->buffer);
	xa_destroy(&md->pins.pages);
	mutex_destroy(&md->pins.lock);
	mutex_destroy(&md->log_lock);
	mutex_destroy(&md->truth_lock);
	mutex_destroy(&md->lock);
}

/**
 * mock_dma_open() - reset a device for its first user
 * @vdev: the VFIO device
 *
 * vfio_device_ops.open_device.
 *
 * Return: 0.
 */
int mock_dma_open(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	guard(mutex)(&md->lock);
	mock_dma_reset(md);
	return 0;
}

/**
 * mock_dma_close() - reset a device after its last user
 * @vdev: the VFIO device
 *
 * vfio_device_ops.close_device. On return, the device accesses no memory and
 * has no pages pinned.
 */
void mock_dma_close(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	guard(mutex)(&md->lock);
	mock_dma_reset(md);
}
