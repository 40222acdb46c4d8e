/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the mock IOMMU share.
 */
#ifndef _IOMMU_MOCK_PRIVATE_H
#define _IOMMU_MOCK_PRIVATE_H

#include <linux/iommu.h>
#include <linux/spinlock.h>

#include "mock_iotlb.h"
#include "mock_pt.h"

struct platform_device;

/**
 * struct mock_model - what an instance can do
 * @name: as in the module parameter
 * @pgsizes: leaf sizes, the granule being the smallest
 * @dirty: it has dirty bits
 */
struct mock_model {
	const char *name;
	unsigned long pgsizes;
	bool dirty;
};

/**
 * struct mock_iommu - an instance
 * @iommu: what the core knows
 * @model: what it can do
 * @fwnode: software node that devices behind it name it by
 * @pdev: gives it a place in sysfs
 *
 * Owner: the module. Lifetime: from loading to unloading; no member changes in
 * between. A device behind it holds a reference of the module.
 */
struct mock_iommu {
	struct iommu_device iommu;
	const struct mock_model *model;
	struct fwnode_handle *fwnode;
	struct platform_device *pdev;
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
 * @pt: the page table
 * @tracking: DMA sets dirty bits. Written with @lock held; the DMA reads it
 *	without, and may use the old value until its IOTLB was flushed.
 * @lock: guards @devices
 * @devices: attachments of all devices whose DMA may use @pt
 *
 * Owner: whoever allocated it. Lifetime: it holds a reference of the module,
 * as it may live longer than the last device.
 *
 * Lock order: mutex of the IOMMU group, then @lock, then the lock of an IOTLB.
 */
struct mock_domain {
	struct iommu_domain domain;
	struct mock_pt pt;
	bool tracking;
	/* guards the list */
	spinlock_t lock;
	struct list_head devices;
};

extern const struct iommu_ops mock_iommu_ops;
extern struct iommu_domain mock_identity_domain;
extern struct iommu_domain mock_blocked_domain;
extern bool mock_drop_flush;

struct iommu_domain *mock_domain_alloc_paging(struct device *dev);
struct iommu_domain *
mock_domain_alloc_user(struct device *dev, u32 flags,
		       struct iommu_domain *parent,
		       const struct iommu_user_data *user_data);

#endif
