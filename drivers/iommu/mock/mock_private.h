/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures and functions shared by the files of the mock IOMMU.
 */
#ifndef _IOMMU_MOCK_PRIVATE_H
#define _IOMMU_MOCK_PRIVATE_H

#include <linux/atomic.h>
#include <linux/iommu.h>
#include <linux/iommu_mock.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "mock_iotlb.h"
#include "mock_pt.h"

struct platform_device;

/**
 * struct mock_iommu - an instance of the mock IOMMU
 * @iommu: the IOMMU core's object for the instance
 * @model: capabilities of the instance
 * @fwnode: software node that the fwspec of a device behind the instance
 *	refers to
 * @pdev: parent device of the instance in sysfs
 * @node: entry in the list of all instances; guarded by
 *	iommu_probe_device_lock
 * @request_queue: the IOMMU core's object for page requests
 * @flushes: number of IOTLB flushes of devices behind the instance; for tests
 *
 * Owner: the module, or the caller of iommu_mock_register(). Lifetime: until
 * the module is unloaded, or until iommu_mock_unregister(). Only @node and
 * @flushes change in between. Each device behind the instance holds a reference
 * on the module.
 */
struct mock_iommu {
	struct iommu_device iommu;
	const struct iommu_mock_model *model;
	struct fwnode_handle *fwnode;
	struct platform_device *pdev;
	struct list_head node;
	struct iopf_queue *request_queue;
	atomic_long_t flushes;
};

struct mock_dev;

/**
 * struct mock_attachment - an attachment of a device to a domain
 * @node: entry in &mock_domain.devices
 * @mdev: the device
 */
struct mock_attachment {
	struct list_head node;
	struct mock_dev *mdev;
};

/**
 * struct mock_dev - a device behind the mock IOMMU
 * @mi: the instance
 * @dev: the device
 * @node: entry in the list of devices that share an IOMMU group, see
 *	mock_iommu_device_group(); empty if the device has its own group
 * @tlb: the IOTLB of the device; @tlb.lock guards @domain during DMA
 * @domain: paging domain that translates DMA of the device; NULL while the
 *	device is attached to the identity or the blocked domain. Writers hold
 *	both @tlb.lock and the mutex of the IOMMU group; readers hold either.
 * @attachments: one of them is in the list of @domain. The second one is added
 *	to the new domain before the first is removed from the old domain, so
 *	a change of domains allocates no memory and misses no flush.
 * @current_attachment: index of the attachment in use; guarded by the mutex of
 *	the IOMMU group
 * @page_requests: whether page requests are enabled, see mock_fault.c
 * @request_lock: guards @requests and @next_group
 * @requests: page requests without a response
 * @next_group: counter for the group of the next page request
 * @request_wait: woken by each response
 *
 * Owner: the struct device, as its IOMMU driver data. Lifetime: from
 * probe_device() to release_device().
 */
struct mock_dev {
	struct mock_iommu *mi;
	struct device *dev;
	struct list_head node;
	struct mock_iotlb tlb;
	struct mock_domain *domain;
	struct mock_attachment attachments[2];
	unsigned int current_attachment;
	bool page_requests;
	/* guards requests and next_group */
	spinlock_t request_lock;
	struct list_head requests;
	u32 next_group;
	wait_queue_head_t request_wait;
};

/**
 * struct mock_domain - a paging domain
 * @domain: the IOMMU core's object for the domain
 * @model: model of the instance that the domain was allocated for
 * @pt: the page table
 * @tracking: whether DMA sets dirty bits. Writers hold @lock. DMA reads it
 *	without @lock, and may use the old value until the IOTLB is flushed.
 * @lock: guards @devices. A flush takes @lock, so page table walks under @lock
 *	finish before an unmap frees the tables that it removed.
 * @devices: attachments of all devices whose DMA may use @pt
 *
 * Owner: the caller that allocated the domain. Lifetime: the domain may outlive
 * the last device, so it holds a reference on the module.
 *
 * Lock order: mutex of the IOMMU group, then @lock, then &mock_iotlb.lock.
 */
struct mock_domain {
	struct iommu_domain domain;
	const struct iommu_mock_model *model;
	struct mock_pt pt;
	bool tracking;
	/* guards devices */
	spinlock_t lock;
	struct list_head devices;
};

extern const struct iommu_ops mock_iommu_ops;
extern const struct iommu_ops mock_iommu_info_ops;
extern const struct iommu_domain_ops mock_domain_ops;
extern struct iommu_domain mock_identity_domain;
extern struct iommu_domain mock_blocked_domain;
extern bool mock_drop_flush;
extern bool mock_exact_flush;

static inline struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

int mock_domain_attach_dev(struct iommu_domain *domain, struct device *dev);
struct iommu_domain *mock_domain_alloc_paging(struct device *dev);
struct iommu_domain *
mock_domain_alloc_user(struct device *dev, u32 flags,
		       struct iommu_domain *parent,
		       const struct iommu_user_data *user_data);

/* mock_fault.c */
bool mock_dev_request_page(struct mock_dev *mdev, unsigned long iova,
			   unsigned long last, bool write);
void mock_iommu_page_response(struct device *dev, struct iopf_fault *fault,
			      struct iommu_page_response *response);
int mock_iommu_enable_feat(struct device *dev, enum iommu_dev_features feat);
int mock_iommu_disable_feat(struct device *dev, enum iommu_dev_features feat);

/* mock_nested.c */
struct iommu_domain *
mock_nested_alloc_user(struct device *dev, u32 flags,
		       struct iommu_domain *parent,
		       const struct iommu_user_data *user_data);

#endif
