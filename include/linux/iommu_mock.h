/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA of mock devices through the mock IOMMU.
 *
 * Drivers of mock devices call iommu_mock_dma_read() and iommu_mock_dma_write()
 * for each DMA transfer. An IOTLB and the page table of the attached domain
 * translate the IOVA, and the accessed and dirty bits are set, before memory is
 * read or written.
 */
#ifndef _LINUX_IOMMU_MOCK_H
#define _LINUX_IOMMU_MOCK_H

#include <linux/bits.h>
#include <linux/types.h>

struct device;
struct iommu_domain;
struct mock_iommu;

/**
 * enum iommu_mock_fault_reason - reason of a DMA fault
 * @IOMMU_MOCK_FAULT_NONE: no fault
 * @IOMMU_MOCK_FAULT_UNMAPPED: the IOVA is not mapped
 * @IOMMU_MOCK_FAULT_READ: the mapping does not allow reads
 * @IOMMU_MOCK_FAULT_WRITE: the mapping does not allow writes
 * @IOMMU_MOCK_FAULT_NO_RAM: the physical address has no struct page
 * @IOMMU_MOCK_FAULT_BLOCKED: the device is not attached to a paging domain
 *
 * struct vfio_mock_dma_regs reports these values to userspace.
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
 * struct iommu_mock_fault - fault of a DMA transfer
 * @iova: IOVA of the first byte that was not transferred; all bytes below it
 *	were transferred
 * @reason: reason of the fault
 */
struct iommu_mock_fault {
	unsigned long iova;
	enum iommu_mock_fault_reason reason;
};

/**
 * struct iommu_mock_model - capabilities of an instance
 * @name: name of the model in the module parameter and in sysfs
 * @pgsizes: bitmap of the leaf sizes of domains allocated for the instance; the
 *	smallest is the granule
 * @walks: bitmap of the leaf sizes that the instance can walk, in domains that
 *	were allocated for other instances; 0 for @pgsizes
 * @aperture_start: first IOVA of domains allocated for the instance
 * @aperture_last: last IOVA of these domains; 0 for the last IOVA of the page
 *	table
 * @dirty: whether the instance supports dirty tracking
 * @shared_group: whether the devices are in one IOMMU group, shared by all
 *	instances of models with @shared_group
 * @nest_parent: whether domains can be allocated with
 *	IOMMU_HWPT_ALLOC_NEST_PARENT, and nested domains
 * @unmapped_by_owner: whether to warn about a mapping in a freed domain
 * @hw_info: as in struct iommu_ops; may be NULL
 * @should_fail: fault injection, called before each map; returns true to make
 *	the map fail with -ENOMEM; may be NULL
 *
 * Owner: the caller of iommu_mock_register(). Lifetime: until the instance is
 * unregistered and all domains allocated for it are freed.
 */
struct iommu_mock_model {
	const char *name;
	unsigned long pgsizes;
	unsigned long walks;
	unsigned long aperture_start;
	unsigned long aperture_last;
	bool dirty;
	bool shared_group;
	bool nest_parent;
	bool unmapped_by_owner;
	void *(*hw_info)(struct device *dev, u32 *length, u32 *type);
	bool (*should_fail)(void);
};

/* Type of the data for a nested domain in IOMMU_HWPT_ALLOC */
#define IOMMU_MOCK_HWPT_DATA			0xdead

/**
 * struct iommu_mock_hwpt_data - data for a nested domain
 * @iotlb: initial value of the entries, see iommu_mock_nested_iotlb()
 */
struct iommu_mock_hwpt_data {
	__u32 iotlb;
};

/* Type of the data of an entry in IOMMU_HWPT_INVALIDATE */
#define IOMMU_MOCK_HWPT_INVALIDATE_DATA		0xdeadbeef

/* Invalidate all entries */
#define IOMMU_MOCK_HWPT_INVALIDATE_ALL		BIT(0)

/**
 * struct iommu_mock_hwpt_invalidate - an invalidation of a nested domain
 * @flags: IOMMU_MOCK_HWPT_INVALIDATE_ALL, or 0
 * @iotlb_id: index of the entry to invalidate, without that flag
 */
struct iommu_mock_hwpt_invalidate {
	__u32 flags;
	__u32 iotlb_id;
};

/* Number of entries of a nested domain */
#define IOMMU_MOCK_NESTED_IOTLB_NUM		4

/* Instances of the module parameter, and devices behind them */
unsigned int iommu_mock_count(void);
const char *iommu_mock_model(unsigned int index);
int iommu_mock_init_fwspec(struct device *dev, unsigned int index);
void iommu_mock_free_fwspec(struct device *dev);

/* Instances with a caller-supplied model, and devices behind them */
struct mock_iommu *iommu_mock_register(const struct iommu_mock_model *model);
void iommu_mock_unregister(struct mock_iommu *mi);
int iommu_mock_init_fwspec_of(struct device *dev, struct mock_iommu *mi);

/* Inspection of domains by tests */
const struct iommu_mock_model *
iommu_mock_domain_model(const struct iommu_domain *domain);
bool iommu_mock_domain_tracks(struct iommu_domain *domain);
bool iommu_mock_domain_translate(struct iommu_domain *domain,
				 unsigned long iova, phys_addr_t *phys);
bool iommu_mock_domain_set_dirty(struct iommu_domain *domain,
				 unsigned long iova);
int iommu_mock_nested_iotlb(struct iommu_domain *domain, unsigned int index,
			    u32 *value);

/* DMA of mock devices */
int iommu_mock_dma_read(struct device *dev, unsigned long iova, void *buf,
			size_t length, struct iommu_mock_fault *fault);
int iommu_mock_dma_write(struct device *dev, unsigned long iova,
			 const void *buf, size_t length,
			 struct iommu_mock_fault *fault);

#endif
