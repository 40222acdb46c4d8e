// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: a mock DMA device that pins pages
 *
 * It is in front of no IOMMU: as a mediated device does, it asks VFIO for the
 * pages behind an IOVA and writes to them itself. A page stays pinned from the
 * first write until it is unmapped, the device is reset, or closed. So the
 * container knows that all that this device can have written are the pages
 * that it pinned. Reads pin nothing.
 *
 * Page by page, so that a fault is found at the byte where it is.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "mock_dma.h"

static bool emulated_pin = true;
module_param(emulated_pin, bool, 0644);
MODULE_PARM_DESC(emulated_pin,
		 "Emulated devices pin the pages that they write (default: on)");

/* How long a device pins nothing after it had to unpin, in milliseconds. */
#define QUIET_MS	20

/* How long unmapping waits where no pin comes or goes, in milliseconds. */
#define STUCK_MS	1000

/* Pages that another thread shall unpin. */
#define UNPIN		XA_MARK_0

static bool mock_dma_is_attached(struct vfio_device *vdev)
{
#if IS_ENABLED(CONFIG_IOMMUFD)
	/* A container is there before the device can be opened. */
	if (vdev->iommufd_access)
		return vdev->iommufd_attached;
#endif
	return true;
}

static enum iommu_mock_fault_reason
mock_dma_emulated_reason(struct mock_dma *md, int rc, bool write)
{
	if (!mock_dma_is_attached(&md->vdev))
		return IOMMU_MOCK_FAULT_BLOCKED;
	switch (rc) {
	case -EPERM:
		return write ? IOMMU_MOCK_FAULT_WRITE : IOMMU_MOCK_FAULT_READ;
	case -ENOENT:
	case -EINVAL:
		return IOMMU_MOCK_FAULT_UNMAPPED;
	default:
		return IOMMU_MOCK_FAULT_NO_RAM;
	}
}

/*
 * Pin the page that @index is of, and keep it. To be called without the lock:
 * who holds it may be unmapping on behalf of a container whose lock is needed
 * for pinning. What is on its way is counted, see mock_dma_emulated_unmap().
 */
static int mock_dma_pin(struct mock_dma *md, unsigned long index)
{
	struct mock_dma_pins *pins = &md->pins;
	struct page *page;
	int rc;

	/* So that nothing can fail once the page is pinned. */
	rc = xa_reserve(&pins->pages, index, GFP_KERNEL);
	if (rc)
		return rc;

	atomic_inc(&pins->under_way);
	rc = vfio_pin_pages(&md->vdev, index << PAGE_SHIFT, 1, IOMMU_WRITE,
			    &page);
	if (rc == 1)
		xa_store(&pins->pages, index, page, GFP_KERNEL);
	else
		xa_release(&pins->pages, index);
	if (atomic_dec_and_test(&pins->under_way))
		wake_up_all(&pins->wait);
	if (rc == 1)
		return 0;
	return rc < 0 ? rc : -EFAULT;
}

/*
 * Type1 asks for unpinning, and tears down when nothing is pinned any more;
 * pages that were pinned anew meanwhile make it start over, and after ten
 * times it takes the kernel down. It never tells that it is done. So that a
 * device which goes on writing to what is being unmapped does no harm, it
 * waits a moment before the next pin.
 */
static void mock_dma_wait_quiet(struct mock_dma *md)
{
	while (xa_marked(&md->pins.pages, UNPIN) ||
	       time_before(jiffies, READ_ONCE(md->pins.quiet_until)))
		fsleep(USEC_PER_MSEC);
}

/* A device has one write at a time, so nobody else pins the same page. */
static int mock_dma_write_pinned(struct mock_dma *md, unsigned long iova,
				 const void *buf, size_t length)
{
	unsigned long index = iova >> PAGE_SHIFT;
	struct page *page;
	int rc;

	for (;;) {
		scoped_guard(mutex, &md->pins.lock) {
			page = xa_load(&md->pins.pages, index);
			if (page) {
				memcpy_to_page(page, offset_in_page(iova), buf,
					       length);
				return 0;
			}
		}
		mock_dma_wait_quiet(md);
		rc = mock_dma_pin(md, index);
		if (rc)
			return rc;
	}
}

/**
 * mock_dma_pin_range() - pin pages before they are written some other way
 * @md: the device
 * @iova: first byte
 * @length: bytes, not 0; the range must not wrap
 *
 * As mock_dma_emulated_write() does it: each page once, until it is unmapped, or
 * the device is reset or closed.
 *
 * Return: 0; as vfio_pin_pages(), with the pages in front of it pinned.
 * Context: process, may sleep. The device must be open.
 */
int mock_dma_pin_range(struct mock_dma *md, unsigned long iova, size_t length)
{
	unsigned long last = (iova + length - 1) >> PAGE_SHIFT, index;
	int rc = 0;

	for (index = iova >> PAGE_SHIFT; !rc && index <= last; index++) {
		if (xa_load(&md->pins.pages, index))
			continue;
		mock_dma_wait_quiet(md);
		rc = mock_dma_pin(md, index);
	}
	return rc;
}

static int mock_dma_write_part(struct mock_dma *md, unsigned long iova,
			       const void *buf, size_t length)
{
	int rc = -EACCES;

	if (READ_ONCE(emulated_pin))
		rc = mock_dma_write_pinned(md, iova, buf, length);
	/* A version 1 container pins nothing for devices. */
	if (rc == -EACCES)
		rc = vfio_dma_rw(&md->vdev, iova, (void *)buf, length, true);
	return rc;
}

static int mock_dma_emulated_write(struct mock_dma *md, unsigned long iova,
				   const void *buf, size_t length,
				   struct iommu_mock_fault *fault)
{
	size_t done, part;
	int rc;

	/* In one go, unless there is something to be told of it. */
	if (!READ_ONCE(emulated_pin) &&
	    !vfio_dma_rw(&md->vdev, iova, (void *)buf, length, true))
		return 0;
	for (done = 0; done < length; done += part) {
		part = min(length - done, PAGE_SIZE - offset_in_page(iova + done));
		rc = mock_dma_write_part(md, iova + done, buf + done, part);
		if (rc) {
			fault->iova = iova + done;
			fault->reason = mock_dma_emulated_reason(md, rc, true);
			return -EFAULT;
		}
	}
	return 0;
}

static int mock_dma_emulated_read(struct mock_dma *md, unsigned long iova,
				  void *buf, size_t length,
				  struct iommu_mock_fault *fault)
{
	size_t done, part;
	int rc;

	for (done = 0; done < length; done += part) {
		part = min(length - done, PAGE_SIZE - offset_in_page(iova + done));
		rc = vfio_dma_rw(&md->vdev, iova + done, buf + done, part, false);
		if (rc) {
			fault->iova = iova + done;
			fault->reason = mock_dma_emulated_reason(md, rc, false);
			return -EFAULT;
		}
	}
	return 0;
}

static void mock_dma_unpin(struct mock_dma *md, unsigned long index)
{
	struct mock_dma_pins *pins = &md->pins;
	struct page *page;

	atomic_inc(&pins->under_way);
	smp_mb__after_atomic(); /* Pairs with mock_dma_pins_settled() */
	/* With the lock, nobody is writing to the page any more. */
	scoped_guard(mutex, &pins->lock)
		page = xa_erase(&pins->pages, index);
	if (page) {
		vfio_unpin_pages(&md->vdev, index << PAGE_SHIFT, 1);
		atomic_inc(&pins->unpinned);
	}
	/* Whoever waits is woken when all pages have gone. */
	atomic_dec(&pins->under_way);
}

/**
 * mock_dma_unpin_work() - unpin what dma_unmap asked for
 * @work: @unpin of the pins of a device, which is open
 *
 * Context: workqueue; ends before the device is reset or closed.
 */
void mock_dma_unpin_work(struct work_struct *work)
{
	struct mock_dma *md = container_of(work, struct mock_dma, pins.unpin);
	struct page *page;
	unsigned long index;

	xa_for_each_marked(&md->pins.pages, index, page, UNPIN)
		mock_dma_unpin(md, index);
	wake_up_all(&md->pins.wait);
}

static bool mock_dma_pins_settled(struct mock_dma *md)
{
	if (xa_marked(&md->pins.pages, UNPIN))
		return false;
	/* Pairs with mock_dma_unpin(): a page is counted before it goes. */
	smp_rmb();
	return !atomic_read(&md->pins.under_way);
}

/* Wait for pins to come and go, for as long as they do. */
static void mock_dma_wait_settled(struct mock_dma *md)
{
	struct mock_dma_pins *pins = &md->pins;
	int before;

	do {
		before = atomic_read(&pins->unpinned);
		if (wait_event_timeout(pins->wait, mock_dma_pins_settled(md),
				       msecs_to_jiffies(STUCK_MS)))
			return;
	} while (atomic_read(&pins->unpinned) != before);
}

/**
 * mock_dma_pins_unmap() - unpin pages (vfio_device_ops.dma_unmap)
 * @vdev: the device
 * @iova: first byte
 * @length: bytes
 *
 * The pages of the range are about to be unmapped: none of them may be pinned any
 * more when this returns.
 *
 * Type1 calls with a lock held that it takes with another one held that pinning
 * and unpinning need. So neither is done here: another thread unpins, and a pin
 * that is on its way, by which the page is pinned already but not in the array,
 * is given time to get there. Where that thread has to wait for the caller,
 * nothing moves until this gives up, and the caller asks again.
 *
 * Context: process, may sleep, with locks of the container held.
 */
void mock_dma_pins_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct mock_dma *md = to_mock_dma(vdev);
	struct mock_dma_pins *pins = &md->pins;
	struct page *page;
	unsigned long index;
	bool any = false;
	u64 end;

	if (!length)
		return;
	if (check_add_overflow(iova, length - 1, &end))
		end = U64_MAX;

	wait_event_timeout(pins->wait, !atomic_read(&pins->under_way),
			   msecs_to_jiffies(STUCK_MS));
	scoped_guard(mutex, &pins->lock)
		xa_for_each_range(&pins->pages, index, page, iova >> PAGE_SHIFT,
				  end >> PAGE_SHIFT)
			xa_set_mark(&pins->pages, index, UNPIN);
	if (xa_marked(&pins->pages, UNPIN)) {
		queue_work(system_unbound_wq, &pins->unpin);
		any = true;
	}
	/* Even if not: a page may be out of the array and pinned still. */
	mock_dma_wait_settled(md);
	if (any)
		WRITE_ONCE(pins->quiet_until,
			   jiffies + msecs_to_jiffies(QUIET_MS));
}

/**
 * mock_dma_pins_release() - unpin everything (mock_dma_ops.release)
 * @md: the device
 *
 * Context: process, may sleep.
 */
void mock_dma_pins_release(struct mock_dma *md)
{
	struct page *page;
	unsigned long index;

	cancel_work_sync(&md->pins.unpin);
	xa_for_each(&md->pins.pages, index, page)
		mock_dma_unpin(md, index);
	wake_up_all(&md->pins.wait);
	WRITE_ONCE(md->pins.quiet_until, jiffies);
}

static const struct mock_dma_ops mock_dma_emulated_ops = {
	.read = mock_dma_emulated_read,
	.write = mock_dma_emulated_write,
	.release = mock_dma_pins_release,
};

static const struct vfio_device_ops mock_dma_emulated_vfio_ops = {
	.name = "vfio-mock-mdev",
	.init = mock_dma_init,
	.release = mock_dma_release,
	.open_device = mock_dma_open,
	.close_device = mock_dma_close,
	.ioctl = mock_dma_ioctl,
	.read = mock_dma_vfio_read,
	.write = mock_dma_vfio_write,
	.dma_unmap = mock_dma_pins_unmap,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

/* What the driver makes a "vfio-mock-mdev" of. */
const struct mock_dma_kind mock_dma_emulated = {
	.ops = &mock_dma_emulated_ops,
	.vfio_ops = &mock_dma_emulated_vfio_ops,
	.add = vfio_register_emulated_iommu_dev,
};
