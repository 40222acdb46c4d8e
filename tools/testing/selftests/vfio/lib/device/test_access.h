/* SPDX-License-Identifier: GPL-2.0-only */
/* Accesses of iommufd's test ABI, which stand for drivers of mediated devices. */
#ifndef _VFIO_SELFTEST_TEST_ACCESS_H
#define _VFIO_SELFTEST_TEST_ACCESS_H

#include <linux/types.h>

#include "lib/iommu.h"

#include "../../../../../../drivers/iommu/iommufd/iommufd_test.h"
#include "../../../../../../drivers/iommu/iommufd/selftest/test_abi.h"

int __access_create(struct iommu *iommu, __u32 flags);
int __access_pin(struct iommu *iommu, int access, __u32 flags, __u64 iova,
		 __u64 length, const void *va, __u32 *pin);
int __access_unpin(struct iommu *iommu, int access, __u32 pin);
int __access_read(struct iommu *iommu, int access, __u64 iova, void *data,
		  __u64 length);
int __access_replace(struct iommu *iommu, int access, __u32 ioas_id);

#endif
