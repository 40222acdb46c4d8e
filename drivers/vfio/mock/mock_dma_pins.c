// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Mock DMA devices that pin pages
 *
 * An emulated device has no IOMMU. As a mediated device, it gets the pages of
 * an IOVA range from vfio_pin_pages(), and writes to them with the CPU. A page
 * stays pinned from the first write until the IOVA is unmapped, or the device
 * is reset or closed. So the pages that the device may have written are those
 * that it has pinned. Reads use vfio_dma_rw() and pin no page.
 *
 * The device pins and writes page by page, so a fault is reported for the exact
 * byte.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "mock_dma.h"

static bool emulated_pin = true;
module_param(emulated_pin, bool, 0644);
MODULE_PARM_DESC(emulated_pin,
		 "Emulated devices pin the pages that they write (default: on)");

static bool emulated_unpin = true;
module_param(emulated_unpin, bool, 0644);
MODULE_PARM_DESC(emulated_unpin,
		 "Devices unpin pages before these are unmapped (default: on)");

static unsigned int emulated_unpin_delay;
module_param(emulated_unpin_delay, uint, 0644);
MODULE_PARM_DESC(emulated_unpin_delay,
		 "Milliseconds, up to 1000, that devices wait before they unpin for an unmap (default: 0)");

/* Limits an unmap that calls dma_unmap a hundred times to two minutes. */
#define UNPIN_DELAY_MAX	1000U

/* Milliseconds that a device pins no page after an unmap has unpinned pages */
#define PIN_BACKOFF_MS	20

/* Milliseconds that dma_unmap waits for progress of pins and unpins */
#define UNPIN_TIMEOUT_MS	1000

/* Mark of pages that mock_dma_unpin_work() has to unpin */
#define UNPIN		XA_MARK_0

static bool mock_dma_is_attached(struct vfio_device *vdev)
{
#if IS_ENABLED(CONFIG_IOMMUFD)
	/* A device in a container is attached before it is opened. */
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
 * Pin the page at @index and store it in the array. The caller must not hold
 * pins.lock: mock_dma_pins_unmap() takes it under locks of the container that
 * vfio_pin_pages() takes, too. While the page may be pinned but is not in the
 * array, it counts for in_flight, which mock_dma_pins_unmap() waits for.
 */
static int mock_dma_pin(struct mock_dma *md, unsigned long index)
{
	struct mock_dma_pins *pins = &md->pins;
	struct page *page;
	int rc;

	/* Reserve the entry first, so that xa_store() below cannot fail. */
	rc = xa_reserve(&pins->pages, index, GFP_KERNEL);
	if (rc)
		return rc;

	atomic_inc(&pins->in_flight);
	rc = vfio_pin_pages(&md->vdev, index << PAGE_SHIFT, 1, IOMMU_WRITE,
			    &page);
	if (rc == 1)
		xa_store(&pins->pages, index, page, GFP_KERNEL);
	else
		xa_release(&pins->pages, index);
	if (atomic_dec_and_test(&pins->in_flight))
		wake_up_all(&pins->wait);
	if (rc == 1)
		return 0;
	return rc < 0 ? rc : -EFAULT;
}

/*
 * Wait before a pin while pages are being unpinned for an unmap. An unmap of
 * type1 calls dma_unmap, and repeats this if pages of the range are pinned
 * again before it removes the mapping; after ten times, the original type1
 * driver panics. It does not notify the device when the mapping has been
 * removed. So a device that continues to write to the range delays its next
 * pin.
 */
static void mock_dma_wait_backoff(struct mock_dma *md)
{
	while (xa_marked(&md->pins.pages, UNPIN) ||
	       time_before(jiffies, READ_ONCE(md->pins.backoff_until)))
		fsleep(USEC_PER_MSEC);
}

/*
 * Write to a page, and pin it before if necessary. A device makes one write at
 * a time, so no other thread pins the same page.
 */
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
		mock_dma_wait_backoff(md);
		rc = mock_dma_pin(md, index);
		if (rc)
			return rc;
	}
}

/**
 * mock_dma_pin_range() - pin the pages of a range
 * @md: the device
 * @iova: first IOVA
 * @length: number of bytes, not 0; the range must not wrap
 *
 * For physical devices that pin pages before a write. A page that is pinned
 * already is not pinned again. Each page stays pinned until its IOVA is
 * unmapped, or the device is reset or closed.
 *
 * Return: 0, or a negative errno of vfio_pin_pages(). After an error, the pages
 * below the failing page stay pinned.
 *
 * Context: process, may sleep. The device must be open.
 */
int mock_dma_pin_range(struct mock_dma *md, unsigned long iova, size_t length)
{
	unsigned long last = (iova + length - 1) >> PAGE_SHIFT, index;
	int rc = 0;

	for (index = iova >> PAGE_SHIFT; !rc && index <= last; index++) {
		if (xa_load(&md->pins.pages, index))
			continue;
		mock_dma_wait_backoff(md);
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
	/* A container of VFIO_TYPE1_IOMMU does not allow devices to pin. */
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

	/* Without pins, try one call first. If it fails, find the fault. */
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

	atomic_inc(&pins->in_flight);
	smp_mb__after_atomic(); /* Pairs with mock_dma_pins_idle() */
	/* With the lock held, no write to the page is in progress. */
	scoped_guard(mutex, &pins->lock)
		page = xa_erase(&pins->pages, index);
	if (page) {
		vfio_unpin_pages(&md->vdev, index << PAGE_SHIFT, 1);
		atomic_inc(&pins->unpinned);
	}
	/* The callers wake pins.wait when all pages are unpinned. */
	atomic_dec(&pins->in_flight);
}

/**
 * mock_dma_unpin_work() - unpin the pages marked by mock_dma_pins_unmap()
 * @work: &mock_dma_pins.unpin of an open device
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

static bool mock_dma_pins_idle(struct mock_dma *md)
{
	if (xa_marked(&md->pins.pages, UNPIN))
		return false;
	/* Pairs with mock_dma_unpin(): in_flight increases before the erase. */
	smp_rmb();
	return !atomic_read(&md->pins.in_flight);
}

/* Wait until no pin is in flight or marked, as long as pages are unpinned. */
static void mock_dma_wait_pins_idle(struct mock_dma *md)
{
	struct mock_dma_pins *pins = &md->pins;
	int before;

	do {
		before = atomic_read(&pins->unpinned);
		if (wait_event_timeout(pins->wait, mock_dma_pins_idle(md),
				       msecs_to_jiffies(UNPIN_TIMEOUT_MS)))
			return;
	} while (atomic_read(&pins->unpinned) != before);
}

/**
 * mock_dma_pins_unmap() - unpin the pages of a range that will be unmapped
 * @vdev: the device
 * @iova: first IOVA
 * @length: number of bytes
 *
 * vfio_device_ops.dma_unmap. On return, no page of the range may be pinned.
 *
 * The original type1 driver calls dma_unmap with a lock held that it also
 * takes inside the lock of vfio_pin_pages() and vfio_unpin_pages(). So this
 * function calls neither. A work unpins the pages, and the function waits for
 * it and for pins in flight, whose pages are not in the array yet. If the work
 * itself waits for a lock of the caller, the wait times out, and the caller
 * calls dma_unmap again.
 *
 * For tests of the caller, emulated_unpin makes a device not unpin, unless it
 * is detached, and emulated_unpin_delay makes it unpin late.
 *
 * Context: process, may sleep. The caller holds locks of the container.
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
	if (READ_ONCE(emulated_unpin_delay))
		msleep(min(READ_ONCE(emulated_unpin_delay), UNPIN_DELAY_MAX));
	if (check_add_overflow(iova, length - 1, &end))
		end = U64_MAX;
	/* A detach unmaps the whole IOVA space, and must unpin. */
	if (!READ_ONCE(emulated_unpin) && (iova || end < U64_MAX - 1))
		return;

	wait_event_timeout(pins->wait, !atomic_read(&pins->in_flight),
			   msecs_to_jiffies(UNPIN_TIMEOUT_MS));
	scoped_guard(mutex, &pins->lock)
		xa_for_each_range(&pins->pages, index, page, iova >> PAGE_SHIFT,
				  end >> PAGE_SHIFT)
			xa_set_mark(&pins->pages, index, UNPIN);
	if (xa_marked(&pins->pages, UNPIN)) {
		queue_work(system_unbound_wq, &pins->unpin);
		any = true;
	}
	/* Wait in any case: a page not in the array may still be pinned. */
	mock_dma_wait_pins_idle(md);
	if (any)
		WRITE_ONCE(pins->backoff_until,
			   jiffies + msecs_to_jiffies(PIN_BACKOFF_MS));
}

/**
 * mock_dma_pins_release() - unpin all pages (mock_dma_ops.release)
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
	WRITE_ONCE(md->pins.backoff_until, jiffies);
}

/* Memory access of emulated devices. */
const struct mock_dma_ops mock_dma_pins_ops = {
	.read = mock_dma_emulated_read,
	.write = mock_dma_emulated_write,
	.release = mock_dma_pins_release,
};
