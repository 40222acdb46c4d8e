// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test ABI of /dev/iommu.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/overflow.h>

#include "test_private.h"

/**
 * DOC: Test ABI
 *
 * IOMMU_TEST_CMD replaces hardware and drivers in tests. It creates devices
 * behind a mock IOMMU (test_device.c), checks page tables and page reference
 * counts and sets dirty bits (test_domain.c), reports page faults (test_fault.c),
 * and pins or copies memory like a mediated driver (test_access.c). All
 * operations share struct iommu_test_cmd.
 *
 * iopt_should_fail() injects failures in places where failing an allocation
 * would not reach an error path. It is controlled by fail_iommufd in debugfs
 * and by /proc/self/task/TID/fail-nth.
 */

static struct dentry *fail_iommufd_dir;

/* A batch must have room for at least one address and one length. */
#define TEST_MEMORY_LIMIT_MIN	(sizeof(unsigned long) + sizeof(u32))

/* Without an owner, the range stays reserved as long as the IOAS exists. */
static int test_reserve(struct io_pagetable *iopt, unsigned long start,
			unsigned long last)
{
	guard(rwsem_write)(&iopt->iova_rwsem);
	return iopt_reserve_iova(iopt, start, last, NULL);
}

static int test_add_reserved(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long start = cmd->add_reserved.start;
	unsigned long length = cmd->add_reserved.length;
	struct iommufd_ioas *ioas;
	unsigned long last;
	int rc;

	if (length == 0)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = test_reserve(&ioas->iopt, start, last);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

static int test_set_memory_limit(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;

	if (cmd->memory_limit.limit < TEST_MEMORY_LIMIT_MIN)
		return -EINVAL;
	WRITE_ONCE(iopt_test_memory_limit, cmd->memory_limit.limit);
	return 0;
}

static int (*const test_operations[])(struct iommufd_ucmd *ucmd) = {
	[IOMMU_TEST_OP_ADD_RESERVED] = test_add_reserved,
	[IOMMU_TEST_OP_MOCK_DOMAIN] = iommufd_test_mock_domain,
	[IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS] = iommufd_test_mock_domain,
	[IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE] = iommufd_test_mock_domain_replace,
	[IOMMU_TEST_OP_MD_CHECK_MAP] = iommufd_test_check_map,
	[IOMMU_TEST_OP_MD_CHECK_REFS] = iommufd_test_check_refs,
	[IOMMU_TEST_OP_DIRTY] = iommufd_test_dirty,
	[IOMMU_TEST_OP_MD_CHECK_IOTLB] = iommufd_test_check_iotlb,
	[IOMMU_TEST_OP_TRIGGER_IOPF] = iommufd_test_trigger_iopf,
	[IOMMU_TEST_OP_CREATE_ACCESS] = iommufd_test_create_access,
	[IOMMU_TEST_OP_ACCESS_REPLACE_IOAS] = iommufd_test_access_replace_ioas,
	[IOMMU_TEST_OP_ACCESS_PAGES] = iommufd_test_access_pages,
	[IOMMU_TEST_OP_DESTROY_ACCESS_PAGES] =
		iommufd_test_destroy_access_pages,
	[IOMMU_TEST_OP_ACCESS_RW] = iommufd_test_access_rw,
	[IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT] = test_set_memory_limit,
};

/**
 * iommufd_test() - handle IOMMU_TEST_CMD
 * @ucmd: the ioctl, with a struct iommu_test_cmd
 *
 * Return: the result of the operation; -EOPNOTSUPP if it is not supported.
 */
int iommufd_test(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;

	if (cmd->op >= ARRAY_SIZE(test_operations) || !test_operations[cmd->op])
		return -EOPNOTSUPP;
	return test_operations[cmd->op](ucmd);
}

/**
 * iommufd_test_init() - initialise the test ABI
 *
 * Return: 0, or an errno of registering the mock IOMMUs.
 */
int iommufd_test_init(void)
{
	int rc;

	/* On failure, only the fault injection is missing. */
	fail_iommufd_dir = fault_create_debugfs_attr("fail_iommufd", NULL,
						     &iopt_fail_attr);
	rc = iommufd_test_iommus_register();
	if (rc)
		debugfs_remove_recursive(fail_iommufd_dir);
	return rc;
}

/**
 * iommufd_test_exit() - undo iommufd_test_init()
 *
 * Context: no context exists, so no test device exists.
 */
void iommufd_test_exit(void)
{
	iommufd_test_iommus_unregister();
	debugfs_remove_recursive(fail_iommufd_dir);
}
