// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each function returns 0 or -errno. __access_create() returns the file of the
 * access, which is destroyed when it is closed.
 */
#include "lib/device/test_access.h"

static int test_cmd(struct iommu *iommu, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return xioctl(iommu->fd, IOMMU_TEST_CMD, cmd);
}

int __access_create(struct iommu *iommu, __u32 flags)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = iommu->ioas_id,
		.create_access.flags = flags,
	};
	int rc = test_cmd(iommu, &cmd);

	return rc ?: (int)cmd.create_access.out_access_fd;
}

/*
 * @flags: MOCK_FLAGS_ACCESS_WRITE or 0; @pin is set to the ID of the pin. Fails
 * with EBADE if the pages are not those at @va, unless that is NULL.
 */
int __access_pin(struct iommu *iommu, int access, __u32 flags, __u64 iova,
		 __u64 length, const void *va, __u32 *pin)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = access,
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = (unsigned long)va,
		},
	};
	int rc = test_cmd(iommu, &cmd);

	*pin = cmd.access_pages.out_access_pages_id;
	return rc;
}

int __access_unpin(struct iommu *iommu, int access, __u32 pin)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		.id = access,
		.destroy_access_pages.access_pages_id = pin,
	};

	return test_cmd(iommu, &cmd);
}

int __access_read(struct iommu *iommu, int access, __u64 iova, void *data,
		  __u64 length)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = access,
		.access_rw = {
			.iova = iova,
			.uptr = (unsigned long)data,
			.length = length,
		},
	};

	return test_cmd(iommu, &cmd);
}

int __access_replace(struct iommu *iommu, int access, __u32 ioas_id)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
		.id = access,
		.access_replace_ioas.ioas_id = ioas_id,
	};

	return test_cmd(iommu, &cmd);
}
