/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations of the test ABI: see test.c.
 */
#ifndef __IOMMUFD_TEST_PRIVATE_H
#define __IOMMUFD_TEST_PRIVATE_H

#include "iommufd_private.h"
#include "iommufd_test.h"

/*
 * Operations. Each has its arguments in ucmd->cmd, a struct iommu_test_cmd, and
 * returns 0 or a negative errno.
 */

/* test_device.c */
int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd);
int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd);

/* test_domain.c */
int iommufd_test_check_map(struct iommufd_ucmd *ucmd);
int iommufd_test_check_refs(struct iommufd_ucmd *ucmd);
int iommufd_test_dirty(struct iommufd_ucmd *ucmd);
int iommufd_test_check_iotlb(struct iommufd_ucmd *ucmd);

/* test_fault.c */
int iommufd_test_trigger_iopf(struct iommufd_ucmd *ucmd);

/* test_access.c */
int iommufd_test_create_access(struct iommufd_ucmd *ucmd);
int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd);
int iommufd_test_access_pages(struct iommufd_ucmd *ucmd);
int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd);
int iommufd_test_access_rw(struct iommufd_ucmd *ucmd);

/* test_device.c */
int iommufd_test_iommus_register(void);
void iommufd_test_iommus_unregister(void);

#endif
