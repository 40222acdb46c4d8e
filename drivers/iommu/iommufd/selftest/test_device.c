// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test ABI: devices behind mock IOMMUs.
 */
#include <linux/iommu_mock.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "test_private.h"

/**
 * DOC: Test devices
 *
 * A test device is bound and attached as by its driver, but never does DMA. It
 * is removed when its object is destroyed. Its flags select the features of its
 * IOMMU; there is a mock IOMMU for each combination of flags. A page of the
 * IOMMU is half a CPU page, so that tests cover the difference.
 */

#define TEST_PAGE_SIZE		(PAGE_SIZE / 2)
#define TEST_HUGE_PAGE_SIZE	(512 * TEST_PAGE_SIZE)
#define TEST_DEVICE_FLAGS	(MOCK_FLAGS_DEVICE_NO_DIRTY | \
				 MOCK_FLAGS_DEVICE_HUGE_IOVA)

/**
 * struct test_device - a test device that is bound and attached
 * @obj: the object, by which userspace destroys the device
 * @pdev: the device; owned
 * @idev: the bound device; owned
 *
 * Owner: as any object. @pdev and @idev never change; a reference on @obj keeps
 * them.
 */
struct test_device {
	struct iommufd_object obj;
	struct platform_device *pdev;
	struct iommufd_device *idev;
};

static void *test_device_hw_info(struct device *dev, u32 *length, u32 *type)
{
	struct iommu_test_hw_info *info = kzalloc(sizeof(*info), GFP_KERNEL);

	if (!info)
		return ERR_PTR(-ENOMEM);
	info->test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL;
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	*length = sizeof(*info);
	return info;
}

/* All test devices share domains, except if they differ in dirty tracking. */
#define TEST_MODEL(_name, _pgsizes, _dirty)				\
	{								\
		.name = _name,						\
		.pgsizes = _pgsizes,					\
		.walks = TEST_PAGE_SIZE | TEST_HUGE_PAGE_SIZE,		\
		.aperture_start = MOCK_APERTURE_START,			\
		.aperture_last = MOCK_APERTURE_LAST,			\
		.dirty = _dirty,					\
		.nest_parent = true,					\
		.unmapped_by_owner = true,				\
		.hw_info = test_device_hw_info,				\
		.should_fail = iopt_should_fail,			\
	}

/* indexed by the flags of the device */
static const struct iommu_mock_model test_models[TEST_DEVICE_FLAGS + 1] = {
	[0] = TEST_MODEL("test", TEST_PAGE_SIZE, true),
	[MOCK_FLAGS_DEVICE_NO_DIRTY] =
		TEST_MODEL("test-nodirty", TEST_PAGE_SIZE, false),
	[MOCK_FLAGS_DEVICE_HUGE_IOVA] =
		TEST_MODEL("test-huge", TEST_PAGE_SIZE | TEST_HUGE_PAGE_SIZE,
			   true),
	[MOCK_FLAGS_DEVICE_HUGE_IOVA | MOCK_FLAGS_DEVICE_NO_DIRTY] =
		TEST_MODEL("test-huge-nodirty",
			   TEST_PAGE_SIZE | TEST_HUGE_PAGE_SIZE, false),
};

/* set while the module is loaded */
static struct mock_iommu *test_iommus[ARRAY_SIZE(test_models)];

static struct platform_device *test_device_create(u32 flags)
{
	struct platform_device *pdev;
	int rc;

	if (flags & ~TEST_DEVICE_FLAGS)
		return ERR_PTR(-EINVAL);
	pdev = platform_device_alloc("iommufd_mock", PLATFORM_DEVID_AUTO);
	if (!pdev)
		return ERR_PTR(-ENOMEM);
	pdev->dev.type = &iommufd_test_device_type;
	rc = iommu_mock_init_fwspec_of(&pdev->dev, test_iommus[flags]);
	if (!rc)
		rc = platform_device_add(pdev);
	if (rc) {
		iommu_mock_free_fwspec(&pdev->dev);
		platform_device_put(pdev);
		return ERR_PTR(rc);
	}
	return pdev;
}

/* Bind and attach a device, and report it to userspace. */
static int test_device_attach(struct iommufd_ucmd *ucmd,
			      struct test_device *tdev)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 pt_id = cmd->id;
	u32 idev_id;
	int rc;

	tdev->idev = iommufd_device_bind(ucmd->ictx, &tdev->pdev->dev,
					 &idev_id);
	if (IS_ERR(tdev->idev))
		return PTR_ERR(tdev->idev);
	rc = iommufd_device_attach(tdev->idev, &pt_id);
	if (rc)
		goto err_unbind;

	/* mock_domain_flags has its outputs at the same offsets. */
	cmd->mock_domain.out_stdev_id = tdev->obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = idev_id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_detach;
	return 0;

err_detach:
	iommufd_device_detach(tdev->idev);
err_unbind:
	iommufd_device_unbind(tdev->idev);
	return rc;
}

static void test_device_destroy(struct iommufd_object *obj)
{
	struct test_device *tdev = container_of(obj, struct test_device, obj);

	iommufd_device_detach(tdev->idev);
	iommufd_device_unbind(tdev->idev);
	platform_device_unregister(tdev->pdev);
}

static const struct iommufd_object_ops test_device_ops = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.destroy = test_device_destroy,
};

/**
 * iommufd_test_mock_domain() - create and attach a test device
 * @ucmd: IOMMU_TEST_OP_MOCK_DOMAIN or IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, with the
 *	ID of an IOAS or of a page table
 *
 * Return:
 * * 0: success
 * * -EINVAL: unknown flag
 * * -EFAULT: user memory cannot be written
 * * or another errno of creating the device, iommufd_device_bind() or
 *   iommufd_device_attach()
 */
int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_device *tdev;
	u32 flags = 0;
	int rc;

	if (cmd->op == IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS)
		flags = cmd->mock_domain_flags.dev_flags;
	tdev = iommufd_object_alloc(ucmd->ictx, tdev, &test_device_ops);
	if (IS_ERR(tdev))
		return PTR_ERR(tdev);
	tdev->pdev = test_device_create(flags);
	if (IS_ERR(tdev->pdev)) {
		rc = PTR_ERR(tdev->pdev);
		goto err_abort;
	}
	rc = test_device_attach(ucmd, tdev);
	if (rc)
		goto err_remove;
	iommufd_object_finalize(ucmd->ictx, &tdev->obj);
	return 0;

err_remove:
	platform_device_unregister(tdev->pdev);
err_abort:
	iommufd_object_abort(ucmd->ictx, &tdev->obj);
	return rc;
}

/**
 * iommufd_test_mock_domain_replace() - attach a test device to another page table
 * @ucmd: IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, with the ID of the test device
 *
 * Return:
 * * 0: success
 * * -ENOENT: there is no such device or page table
 * * -EFAULT: user memory cannot be written
 * * or another errno of iommufd_device_replace()
 */
int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_object *obj;
	struct test_device *tdev;
	u32 pt_id = cmd->mock_domain_replace.pt_id;
	int rc;

	obj = iommufd_get_object(ucmd->ictx, cmd->id, IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	tdev = container_of(obj, struct test_device, obj);
	rc = iommufd_device_replace(tdev->idev, &pt_id);
	if (!rc) {
		cmd->mock_domain_replace.pt_id = pt_id;
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	}
	iommufd_put_object(ucmd->ictx, obj);
	return rc;
}

static void test_iommus_unregister(unsigned int count)
{
	while (count)
		iommu_mock_unregister(test_iommus[--count]);
}

/**
 * iommufd_test_iommus_register() - register the IOMMUs of test devices
 *
 * Return: 0, or an errno of iommu_mock_register().
 */
int iommufd_test_iommus_register(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(test_models); i++) {
		test_iommus[i] = iommu_mock_register(&test_models[i]);
		if (IS_ERR(test_iommus[i])) {
			test_iommus_unregister(i);
			return PTR_ERR(test_iommus[i]);
		}
	}
	return 0;
}

/**
 * iommufd_test_iommus_unregister() - undo iommufd_test_iommus_register()
 */
void iommufd_test_iommus_unregister(void)
{
	test_iommus_unregister(ARRAY_SIZE(test_models));
}
