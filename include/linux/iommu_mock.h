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
struct iommu_domain;
struct mock_iommu;

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

/**
 * struct iommu_mock_model - what an instance can do
 * @name: as in the module parameter and in sysfs
 * @pgsizes: leaf sizes of the domains made for it, the smallest being the
 *	granule
 * @walks: leaf sizes of the domains that it can be attached to; 0 is @pgsizes
 * @aperture_start: first IOVA that a domain has
 * @aperture_last: last IOVA that a domain has; 0 is the last there can be
 * @dirty: it has dirty bits
 * @nest_parent: a domain may be asked for that could be the parent of nested
 *	ones, although there are none
 * @unmapped_by_owner: warn where a domain is freed that has a mapping left
 * @hw_info: as in struct iommu_ops; NULL where there is nothing to tell
 * @should_fail: asked before something is mapped; NULL for never
 *
 * Owner: whoever calls iommu_mock_register(). Lifetime: longer than the
 * instance, and longer than the domains that were made for it.
 */
struct iommu_mock_model {
	const char *name;
	unsigned long pgsizes;
	unsigned long walks;
	unsigned long aperture_start;
	unsigned long aperture_last;
	bool dirty;
	bool nest_parent;
	bool unmapped_by_owner;
	void *(*hw_info)(struct device *dev, u32 *length, u32 *type);
	bool (*should_fail)(void);
};

/* The instances of the module parameter, and devices behind them. */
unsigned int iommu_mock_count(void);
const char *iommu_mock_model(unsigned int index);
int iommu_mock_adopt(struct device *dev, unsigned int index);
void iommu_mock_disown(struct device *dev);

/* Instances of models that others bring. */
struct mock_iommu *iommu_mock_register(const struct iommu_mock_model *model);
void iommu_mock_unregister(struct mock_iommu *mi);
int iommu_mock_adopt_to(struct device *dev, struct mock_iommu *mi);

/* What tests see of a domain. */
const struct iommu_mock_model *
iommu_mock_domain_model(const struct iommu_domain *domain);
bool iommu_mock_domain_tracks(struct iommu_domain *domain);
bool iommu_mock_domain_translate(struct iommu_domain *domain,
				 unsigned long iova, phys_addr_t *phys);
bool iommu_mock_domain_set_dirty(struct iommu_domain *domain,
				 unsigned long iova);

int iommu_mock_dma_read(struct device *dev, unsigned long iova, void *buf,
			size_t length, struct iommu_mock_fault *fault);
int iommu_mock_dma_write(struct device *dev, unsigned long iova,
			 const void *buf, size_t length,
			 struct iommu_mock_fault *fault);

#endif
