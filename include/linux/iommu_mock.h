/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA as a device behind the mock IOMMU does it.
 *
 * Devices that have no hardware behind them call these instead of putting
 * an address on a bus: the IOVA goes through the IOTLB and the page table of
 * the domain that the device is attached to, and sets accessed and dirty bits
 * there, before any memory is touched.
 */
#ifndef _LINUX_IOMMU_MOCK_H
#define _LINUX_IOMMU_MOCK_H

#include <linux/types.h>

struct device;

/**
 * enum iommu_mock_fault_reason - why a DMA was stopped
 * @IOMMU_MOCK_FAULT_NONE: it was not
 * @IOMMU_MOCK_FAULT_UNMAPPED: no translation for the IOVA
 * @IOMMU_MOCK_FAULT_READ: the translation does not let the device read
 * @IOMMU_MOCK_FAULT_WRITE: the translation does not let the device write
 * @IOMMU_MOCK_FAULT_NO_RAM: the translation leads to no struct page
 * @IOMMU_MOCK_FAULT_BLOCKED: the device is attached to no paging domain
 *
 * The values are those that struct vfio_mock_dma_regs reports to userspace.
 */
enum iommu_mock_fault_reason {
	IOMMU_MOCK_FAULT_NONE,
	IOMMU_MOCK_FAULT_UNMAPPED,
	IOMMU_MOCK_FAULT_READ,
	IOMMU_MOCK_FAULT_WRITE,
	IOMMU_MOCK_FAULT_NO_RAM,
	IOMMU_MOCK_FAULT_BLOCKED,
};

/**
 * struct iommu_mock_fault - the first byte that a DMA could not reach
 * @iova: its IOVA; everything in front of it was transferred, nothing behind it
 * @reason: why
 */
struct iommu_mock_fault {
	unsigned long iova;
	enum iommu_mock_fault_reason reason;
};

unsigned int iommu_mock_count(void);
const char *iommu_mock_model(unsigned int index);
int iommu_mock_adopt(struct device *dev, unsigned int index);

int iommu_mock_dma_read(struct device *dev, unsigned long iova, void *buf,
			size_t length, struct iommu_mock_fault *fault);
int iommu_mock_dma_write(struct device *dev, unsigned long iova,
			 const void *buf, size_t length,
			 struct iommu_mock_fault *fault);

#endif
