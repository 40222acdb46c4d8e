// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA through the mock IOMMU.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/iommu_mock.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "mock_private.h"

/**
 * DOC: Mock DMA
 *
 * An access is cut into pieces that lie within a granule and a page of memory,
 * and every piece goes as on a bus: translate, set the bits, then touch memory,
 * with the lock of the IOTLB held all the time. A flush takes that lock, so a
 * piece is either wholly before a flush or wholly behind it.
 */

/**
 * struct mock_dma - an access of a device
 * @mdev: the device
 * @iova: where it goes on
 * @length: bytes that are left
 * @from: they come from there if it is a write, else NULL
 * @to: they go there if it is a read, else NULL
 */
struct mock_dma {
	struct mock_dev *mdev;
	unsigned long iova;
	size_t length;
	const void *from;
	void *to;
};

/* As much as lies in one granule and one page of memory. */
static enum iommu_mock_fault_reason mock_dma_access(struct mock_dma *dma,
						    size_t *done)
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

static int mock_dma_run(struct device *dev, struct mock_dma *dma,
			struct iommu_mock_fault *fault)
{
	*fault = (struct iommu_mock_fault){};
	if (!dev->iommu || !dev->iommu->iommu_dev ||
	    (dev->iommu->iommu_dev->ops != &mock_iommu_ops &&
	     dev->iommu->iommu_dev->ops != &mock_iommu_info_ops))
		return -ENODEV;

	dma->mdev = dev_iommu_priv_get(dev);
	while (dma->length) {
		size_t done;

		spin_lock(&dma->mdev->tlb.lock);
		fault->reason = mock_dma_access(dma, &done);
		spin_unlock(&dma->mdev->tlb.lock);
		if (fault->reason) {
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
 * iommu_mock_dma_read() - let a device read memory
 * @dev: a device behind a mock IOMMU
 * @iova: from where; no alignment is asked for
 * @buf: to where
 * @length: how many bytes; a range that reaches past the last IOVA faults there
 * @fault: set to what stopped the access, to zeroes if nothing did
 *
 * Return: 0; -EFAULT if it was stopped, with everything in front of
 * @fault->iova read and @buf unchanged behind that; -ENODEV if @dev is not
 * behind a mock IOMMU.
 *
 * Context: Process context, may sleep. The caller sees to it that @dev stays
 * registered.
 */
int iommu_mock_dma_read(struct device *dev, unsigned long iova, void *buf,
			size_t length, struct iommu_mock_fault *fault)
{
	struct mock_dma dma = { .iova = iova, .length = length, .to = buf };

	return mock_dma_run(dev, &dma, fault);
}
EXPORT_SYMBOL_GPL(iommu_mock_dma_read);

/**
 * iommu_mock_dma_write() - let a device write memory
 * @dev: a device behind a mock IOMMU
 * @iova: to where; no alignment is asked for
 * @buf: from where
 * @length: how many bytes; a range that reaches past the last IOVA faults there
 * @fault: set to what stopped the access, to zeroes if nothing did
 *
 * The dirty bit of a leaf is set before its memory changes, and the memory is
 * not marked dirty: that is up to who pinned it.
 *
 * Return: 0; -EFAULT if it was stopped, with everything in front of
 * @fault->iova written and memory unchanged behind that; -ENODEV if @dev is not
 * behind a mock IOMMU.
 *
 * Context: Process context, may sleep. The caller sees to it that @dev stays
 * registered.
 */
int iommu_mock_dma_write(struct device *dev, unsigned long iova,
			 const void *buf, size_t length,
			 struct iommu_mock_fault *fault)
{
	struct mock_dma dma = { .iova = iova, .length = length, .from = buf };

	return mock_dma_run(dev, &dma, fault);
}
EXPORT_SYMBOL_GPL(iommu_mock_dma_write);
