/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the mock IOMMU share.
 */
#ifndef _IOMMU_MOCK_PRIVATE_H
#define _IOMMU_MOCK_PRIVATE_H

#include <linux/iommu.h>
#include <linux/iommu_mock.h>
#include <linux/spinlock.h>

#include "mock_iotlb.h"
#include "mock_pt.h"

struct platform_device;

/**
 * struct mock_iommu - an instance
 * @iommu: what the core knows
 * @model: what it can do
 * @fwnode: software node that devices behind it name it by
 * @pdev: gives it a place in sysfs
 * @node: in the list of all instances; guarded by iommu_probe_device_lock
 *
 * Owner: the module, or who called iommu_mock_register(). Lifetime: from
 * loading to unloading, or to iommu_mock_unregister(); nothing but @node
 * changes in between. A device behind it holds a reference of the module.
 */
struct mock_iommu {
	struct iommu_device iommu;
	const struct iommu_mock_model *model;
	struct fwnode_handle *fwnode;
	struct platform_device *pdev;
	struct list_head node;
};

struct mock_dev;

/**
 * struct mock_attachment - a device in the list of a domain
 * @node: in the list
 * @mdev: the device
 */
struct mock_attachment {
	struct list_head node;
	struct mock_dev *mdev;
};

/**
 * struct mock_dev - a device behind the mock IOMMU
 * @mi: its instance
 * @tlb: its IOTLB; @tlb.lock guards @domain for the DMA
 * @domain: paging domain that its DMA goes through; NULL while it is attached
 *	to the identity or the blocked domain. Written with @tlb.lock and the
 *	mutex of the IOMMU group held, so either is enough to read it.
 * @attachments: one is in the list of @domain. There are two so that a change
 *	from one domain to another needs no memory and leaves no gap.
 * @current_attachment: the one in use; guarded by the mutex of the group
 *
 * Owner: the struct device, as its IOMMU driver data. Lifetime: from
 * probe_device() to release_device().
 */
struct mock_dev {
	struct mock_iommu *mi;
	struct mock_iotlb tlb;
	struct mock_domain *domain;
	struct mock_attachment attachments[2];
	unsigned int current_attachment;
};

/**
 * struct mock_domain - a paging domain
 * @domain: what the core knows
 * @model: of the instance that it was made for
 * @pt: the page table
 * @tracking: DMA sets dirty bits. Written with @lock held; the DMA reads it
 *	without, and may use the old value until its IOTLB was flushed.
 * @lock: guards @devices; an unmap waits for who walks @pt with it held
 * @devices: attachments of all devices whose DMA may use @pt
 *
 * Owner: whoever allocated it. Lifetime: it holds a reference of the module,
 * as it may live longer than the last device.
 *
 * Lock order: mutex of the IOMMU group, then @lock, then the lock of an IOTLB.
 */
struct mock_domain {
	struct iommu_domain domain;
	const struct iommu_mock_model *model;
	struct mock_pt pt;
	bool tracking;
	/* guards the list */
	spinlock_t lock;
	struct list_head devices;
};

extern const struct iommu_ops mock_iommu_ops;
extern const struct iommu_ops mock_iommu_info_ops;
extern const struct iommu_domain_ops mock_domain_ops;
extern struct iommu_domain mock_identity_domain;
extern struct iommu_domain mock_blocked_domain;
extern bool mock_drop_flush;

static inline struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

struct iommu_domain *mock_domain_alloc_paging(struct device *dev);
struct iommu_domain *
mock_domain_alloc_user(struct device *dev, u32 flags,
		       struct iommu_domain *parent,
		       const struct iommu_user_data *user_data);

#endif
