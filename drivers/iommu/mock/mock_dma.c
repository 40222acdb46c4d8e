// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA through the mock IOMMU.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/iommu_mock.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>

#include "mock_private.h"

/**
 * DOC: Mock DMA
 *
 * A transfer is split at the boundaries of granules and pages of memory. Each
 * part goes through the steps of a bus access: translate the IOVA, set the
 * accessed and dirty bits, then read or write memory. The lock of the IOTLB is
 * held for all three steps. A flush takes the same lock, so each part happens
 * entirely before or entirely after a flush. A part that faults is tried again
 * if the device can request the page.
 */

/**
 * struct mock_dma_transfer - state of a DMA transfer
 * @mdev: the device
 * @iova: IOVA of the next byte
 * @length: remaining bytes
 * @from: next byte of the source buffer for a write, NULL for a read
 * @to: next byte of the destination buffer for a read, NULL for a write
 */
struct mock_dma_transfer {
	struct mock_dev *mdev;
	unsigned long iova;
	size_t length;
	const void *from;
	void *to;
};

/* Transfer up to the end of the granule or the page of memory. */
static enum iommu_mock_fault_reason
mock_dma_access(struct mock_dma_transfer *dma, size_t *done)
{
	struct mock_dev *mdev = dma->mdev;
	struct mock_domain *md = mdev->domain;
	enum iommu_mock_fault_reason reason;
	struct page *page;
	phys_addr_t phys;
	size_t granule;

	lockdep_assert_held(&mdev->tlb.lock);

	if (!md)
		return IOMMU_MOCK_FAULT_BLOCKED;
	reason = mock_iotlb_translate(&mdev->tlb, &md->pt, dma->iova, dma->from,
				      READ_ONCE(md->tracking), &phys);
	if (reason)
		return reason;
	if (!pfn_valid(PHYS_PFN(phys)))
		return IOMMU_MOCK_FAULT_NO_RAM;

	granule = min(BIT(md->pt.granule_shift), PAGE_SIZE);
	*done = min(dma->length, granule - (dma->iova & (granule - 1)));
	page = pfn_to_page(PHYS_PFN(phys));
	if (dma->from)
		memcpy_to_page(page, offset_in_page(phys), dma->from, *done);
	else
		memcpy_from_page(dma->to, page, offset_in_page(phys), *done);
	return IOMMU_MOCK_FAULT_NONE;
}

/* Request the page of a fault, if that can mend it. */
static bool mock_dma_request_page(const struct mock_dma_transfer *dma,
				  enum iommu_mock_fault_reason reason)
{
	unsigned long last;

	switch (reason) {
	case IOMMU_MOCK_FAULT_UNMAPPED:
	case IOMMU_MOCK_FAULT_READ:
	case IOMMU_MOCK_FAULT_WRITE:
		if (check_add_overflow(dma->iova, dma->length - 1, &last))
			last = ULONG_MAX;
		return mock_dev_request_page(dma->mdev, dma->iova, last,
					     dma->from);
	default:
		return false;
	}
}

static int mock_dma_run(struct device *dev, struct mock_dma_transfer *dma,
			struct iommu_mock_fault *fault)
{
	*fault = (struct iommu_mock_fault){};
	if (!dev->iommu || !dev->iommu->iommu_dev ||
	    (dev->iommu->iommu_dev->ops != &mock_iommu_ops &&
	     dev->iommu->iommu_dev->ops != &mock_iommu_info_ops))
		return -ENODEV;

	dma->mdev = dev_iommu_priv_get(dev);
	while (dma->length) {
		enum iommu_mock_fault_reason reason;
		size_t done;

		spin_lock(&dma->mdev->tlb.lock);
		reason = mock_dma_access(dma, &done);
		spin_unlock(&dma->mdev->tlb.lock);
		if (reason && mock_dma_request_page(dma, reason))
			continue;
		if (reason) {
			fault->reason = reason;
			fault->iova = dma->iova;
			return -EFAULT;
		}
		dma->iova += done;
		dma->length -= done;
		if (dma->from)
			dma->from += done;
		else
			dma->to += done;
		cond_resched();
	}
	return 0;
}

/**
 * iommu_mock_dma_read() - read memory by DMA of a device
 * @dev: a device behind a mock IOMMU
 * @iova: first IOVA; need not be aligned
 * @buf: destination
 * @length: number of bytes; a range that ends above the last IOVA faults there
 * @fault: set to the fault that stopped the transfer, or to zeroes
 *
 * Return:
 * * 0: success
 * * -EFAULT: a fault stopped the transfer. The bytes below @fault->iova have
 *   been read, and the rest of @buf is unchanged.
 * * -ENODEV: @dev is not behind a mock IOMMU
 *
 * Context: Process context, may sleep; if page requests of @dev are enabled, as
 * mock_dev_request_page(). The caller ensures that @dev stays registered.
 */
int iommu_mock_dma_read(struct device *dev, unsigned long iova, void *buf,
			size_t length, struct iommu_mock_fault *fault)
{
	struct mock_dma_transfer dma = {
		.iova = iova,
		.length = length,
		.to = buf,
	};

	return mock_dma_run(dev, &dma, fault);
}
EXPORT_SYMBOL_GPL(iommu_mock_dma_read);

/**
 * iommu_mock_dma_write() - write memory by DMA of a device
 * @dev: a device behind a mock IOMMU
 * @iova: first IOVA; need not be aligned
 * @buf: source
 * @length: number of bytes; a range that ends above the last IOVA faults there
 * @fault: set to the fault that stopped the transfer, or to zeroes
 *
 * The dirty bit of a leaf is set before the memory changes. The pages of the
 * memory are not marked dirty: the owner of the pins marks them at unpin.
 *
 * Return:
 * * 0: success
 * * -EFAULT: a fault stopped the transfer. The bytes below @fault->iova have
 *   been written, and memory from @fault->iova on is unchanged.
 * * -ENODEV: @dev is not behind a mock IOMMU
 *
 * Context: Process context, may sleep; if page requests of @dev are enabled, as
 * mock_dev_request_page(). The caller ensures that @dev stays registered.
 */
int iommu_mock_dma_write(struct device *dev, unsigned long iova,
			 const void *buf, size_t length,
			 struct iommu_mock_fault *fault)
{
	struct mock_dma_transfer dma = {
		.iova = iova,
		.length = length,
		.from = buf,
	};

	return mock_dma_run(dev, &dma, fault);
}
EXPORT_SYMBOL_GPL(iommu_mock_dma_write);
