// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests of devices behind the mock IOMMU.
 */
#include <linux/align.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "mock_private.h"

/**
 * DOC: Mock page requests
 *
 * While page requests of a device are enabled, a DMA fault that a change of the
 * mappings can mend does not end the transfer. The device reports a page
 * request, waits for the response, and continues with the same IOVA if the
 * response is a success. As with PCIe, the response refers to the request by the
 * index of its group. With the module parameter group_requests a group also has
 * requests for the pages that the transfer needs next, whether they fault or not.
 */

/* Number of page request groups of a device, as with PCIe. */
#define MOCK_REQUEST_GROUPS	512

static unsigned int mock_group_requests = 1;
module_param_named(group_requests, mock_group_requests, uint, 0644);
MODULE_PARM_DESC(group_requests,
		 "Maximum number of page requests in a group (default: 1)");

/**
 * struct mock_page_request - a page request group that waits for its response
 * @node: entry in &mock_dev.requests, until @done is set
 * @group: index of the page request group
 * @code: response; valid if @done is set
 * @done: whether there is a response
 *
 * Owner: the DMA transfer, on its stack. &mock_dev.request_lock guards all
 * members.
 */
struct mock_page_request {
	struct list_head node;
	u32 group;
	enum iommu_page_response_code code;
	bool done;
};

/* A thread that is about to stop gets no response from its own process. */
static bool mock_request_is_over(const struct mock_page_request *request)
{
	return READ_ONCE(request->done) ||
	       ((current->flags & PF_KTHREAD) && kthread_should_stop());
}

static void mock_request_add(struct mock_dev *mdev,
			     struct mock_page_request *request)
{
	spin_lock(&mdev->request_lock);
	request->group = mdev->next_group++ % MOCK_REQUEST_GROUPS;
	list_add_tail(&request->node, &mdev->requests);
	spin_unlock(&mdev->request_lock);
}

/* Return: the response; IOMMU_PAGE_RESP_INVALID if there is none. */
static enum iommu_page_response_code
mock_request_end(struct mock_dev *mdev, struct mock_page_request *request)
{
	enum iommu_page_response_code code = IOMMU_PAGE_RESP_INVALID;

	spin_lock(&mdev->request_lock);
	if (request->done)
		code = request->code;
	else
		list_del(&request->node);
	spin_unlock(&mdev->request_lock);
	return code;
}

/* Report requests for the pages from @iova to @last, in one group. */
static void mock_report_requests(struct mock_dev *mdev, unsigned long iova,
				 unsigned long last, u32 group, bool write)
{
	struct iopf_fault fault = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = {
				.grpid = group,
				.perm = write ? IOMMU_FAULT_PERM_WRITE :
						IOMMU_FAULT_PERM_READ,
				.addr = ALIGN_DOWN(iova, SZ_4K),
			},
		},
	};
	unsigned int left = READ_ONCE(mock_group_requests);

	/* On failure, the response has been sent, or the request is left out. */
	while (left > 1 && last - fault.fault.prm.addr >= SZ_4K) {
		iommu_report_device_fault(mdev->dev, &fault);
		fault.fault.prm.addr += SZ_4K;
		left--;
	}
	fault.fault.prm.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	iommu_report_device_fault(mdev->dev, &fault);
}

/**
 * mock_dev_request_page() - report page requests and wait for the response
 * @mdev: the device
 * @iova: IOVA of the fault
 * @last: last IOVA that the device wants to access, inclusive
 * @write: whether the device wants to write
 *
 * Return: true if the device shall try again.
 *
 * Context: process, may sleep until the response, a fatal signal, or the stop of
 * the calling kernel thread.
 */
bool mock_dev_request_page(struct mock_dev *mdev, unsigned long iova,
			   unsigned long last, bool write)
{
	struct mock_page_request request = {};

	if (!READ_ONCE(mdev->page_requests))
		return false;
	mock_request_add(mdev, &request);
	mock_report_requests(mdev, iova, last, request.group, write);
	/* What ends the wait is found by mock_request_end(). */
	(void)wait_event_killable(mdev->request_wait,
				  mock_request_is_over(&request));
	return mock_request_end(mdev, &request) == IOMMU_PAGE_RESP_SUCCESS;
}

/**
 * mock_iommu_page_response() - iommu_ops.page_response
 * @dev: the device
 * @fault: the page request
 * @response: the response; ignored if the request has ended
 *
 * Context: any that may spin.
 */
void mock_iommu_page_response(struct device *dev, struct iopf_fault *fault,
			      struct iommu_page_response *response)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	struct mock_page_request *request;

	spin_lock(&mdev->request_lock);
	list_for_each_entry(request, &mdev->requests, node) {
		if (request->group != response->grpid)
			continue;
		list_del(&request->node);
		request->code = response->code;
		WRITE_ONCE(request->done, true);
		break;
	}
	spin_unlock(&mdev->request_lock);
	wake_up_all(&mdev->request_wait);
}

/**
 * mock_iommu_enable_feat() - iommu_ops.dev_enable_feat
 * @dev: the device
 * @feat: IOMMU_DEV_FEAT_IOPF
 *
 * Return:
 * * 0: success
 * * -ENODEV: another feature
 * * -EBUSY: the feature is enabled
 * * -ENOMEM: out of memory
 *
 * Context: may sleep.
 */
int mock_iommu_enable_feat(struct device *dev, enum iommu_dev_features feat)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	int rc;

	if (feat != IOMMU_DEV_FEAT_IOPF)
		return -ENODEV;
	rc = iopf_queue_add_device(mdev->mi->request_queue, dev);
	if (!rc)
		WRITE_ONCE(mdev->page_requests, true);
	return rc;
}

/**
 * mock_iommu_disable_feat() - iommu_ops.dev_disable_feat
 * @dev: the device
 * @feat: IOMMU_DEV_FEAT_IOPF, which is enabled
 *
 * Return: 0, or -ENODEV for another feature.
 *
 * Context: may sleep.
 */
int mock_iommu_disable_feat(struct device *dev, enum iommu_dev_features feat)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	if (feat != IOMMU_DEV_FEAT_IOPF)
		return -ENODEV;
	WRITE_ONCE(mdev->page_requests, false);
	iopf_queue_remove_device(mdev->mi->request_queue, dev);
	return 0;
}
