// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test ABI: page faults of devices.
 */
#include <linux/iommu.h>

#include "test_private.h"

/**
 * DOC: Test faults
 *
 * A test device does no DMA, so the caller describes the fault that it reports.
 * Its response is ignored.
 */

/**
 * iommufd_test_trigger_iopf() - report a page fault of a device
 * @ucmd: IOMMU_TEST_OP_TRIGGER_IOPF, with the ID of a device
 *
 * Return:
 * * 0: the fault was reported; if there is no handler, it was responded
 * * -ENOENT: there is no such device
 * * -EINVAL: the device is not behind a mock IOMMU of the test ABI
 */
int iommufd_test_trigger_iopf(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iopf_fault fault = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = {
				.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
				.pasid = cmd->trigger_iopf.pasid,
				.grpid = cmd->trigger_iopf.grpid,
				.perm = cmd->trigger_iopf.perm,
				.addr = cmd->trigger_iopf.addr,
			},
		},
	};
	struct iommufd_device *idev;
	int rc = -EINVAL;

	if (fault.fault.prm.pasid != IOMMU_NO_PASID)
		fault.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;
	idev = iommufd_get_device(ucmd->ictx, cmd->trigger_iopf.dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	if (iommufd_selftest_is_mock_dev(idev->dev)) {
		iommu_report_device_fault(idev->dev, &fault);
		rc = 0;
	}
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}
