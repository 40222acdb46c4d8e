// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of devices that no test machine has, by devices that are only in an
 * iommufd_ctx. Nothing is bound: an ioctl and the functions for VFIO's reset look
 * the devices up, and attachments with page faults are refused.
 */
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mman.h>
#include <linux/pci.h>
#include <uapi/linux/pci_regs.h>

#include "iommufd_private.h"

/* Offset of the PASID capability in the configuration space. */
#define PASID_CAP	0x100

/**
 * struct fake_device - a device behind an IOMMU with hw_info
 * @pdev: the device; &pci_dev.dev is in no bus if it is no PCI device
 * @bus: bus of @pdev, which reads @control
 * @control: the PASID control register
 * @ops: operations of the IOMMU
 * @iommu_dev: the IOMMU
 * @iommu: what the IOMMU core stores of the device
 * @igroup: group of the device in the context
 * @idev: the object
 */
struct fake_device {
	struct pci_dev pdev;
	struct pci_bus bus;
	u16 control;
	struct iommu_ops ops;
	struct iommu_device iommu_dev;
	struct dev_iommu iommu;
	struct iommufd_group igroup;
	struct iommufd_device *idev;
};

static void fake_destroy(struct iommufd_object *obj)
{
}

static const struct iommufd_object_ops fake_device_ops = {
	.type = IOMMUFD_OBJ_DEVICE,
	.destroy = fake_destroy,
};

static const struct iommufd_object_ops fake_ioas_ops = {
	.type = IOMMUFD_OBJ_IOAS,
	.destroy = fake_destroy,
};

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 *value)
{
	struct fake_device *fake = container_of(bus, struct fake_device, bus);

	*value = where == PASID_CAP + PCI_PASID_CTRL ? fake->control : 0;
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops fake_pci_ops = {
	.read = fake_read,
};

static bool fake_capable(struct device *dev, enum iommu_cap cap)
{
	return false;
}

static void *fake_hw_info(struct device *dev, u32 *length, u32 *type)
{
	*length = 0;
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	return NULL;
}

static void *fake_hw_info_fails(struct device *dev, u32 *length, u32 *type)
{
	return ERR_PTR(-EXDEV);
}

static struct iommufd_ctx *fake_ctx(struct kunit *test)
{
	struct iommufd_ctx *ictx = kunit_kzalloc(test, sizeof(*ictx),
						 GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ictx);
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1);
	xa_init(&ictx->groups);
	init_waitqueue_head(&ictx->destroy_wait);
	return ictx;
}

/* @group is only compared. */
static struct fake_device *fake_bind(struct kunit *test,
				     struct iommufd_ctx *ictx,
				     struct iommu_group *group)
{
	struct fake_device *fake = kunit_kzalloc(test, sizeof(*fake),
						 GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->bus.ops = &fake_pci_ops;
	fake->pdev.bus = &fake->bus;
	fake->pdev.error_state = pci_channel_io_normal;
	fake->ops.capable = fake_capable;
	fake->ops.hw_info = fake_hw_info;
	fake->iommu_dev.ops = &fake->ops;
	fake->iommu.iommu_dev = &fake->iommu_dev;
	fake->pdev.dev.iommu = &fake->iommu;
	fake->igroup.group = group;
	mutex_init(&fake->igroup.lock);

	fake->idev = iommufd_object_alloc(ictx, fake->idev, &fake_device_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fake->idev);
	fake->idev->ictx = ictx;
	fake->idev->igroup = &fake->igroup;
	fake->idev->dev = &fake->pdev.dev;
	iommufd_object_finalize(ictx, &fake->idev->obj);
	return fake;
}

#ifdef CONFIG_PCI_PASID
static void fake_make_pci(struct fake_device *fake, bool pasid_cap)
{
	fake->pdev.dev.bus = &pci_bus_type;
	fake->pdev.pasid_cap = pasid_cap ? PASID_CAP : 0;
}
#else
static void fake_make_pci(struct fake_device *fake, bool pasid_cap)
{
}
#endif

/* A pointer that stands for a group. */
static struct iommu_group *fake_group(unsigned long number)
{
	return (struct iommu_group *)(number * sizeof(long));
}

/* vfio-pci checks this before it resets a bus. */
static void ctx_has_group_of_its_devices_only(struct kunit *test)
{
	struct iommufd_ctx *ictx = fake_ctx(test), *other = fake_ctx(test);
	struct iommufd_ioas *ioas;
	struct fake_device *first, *second;

	/* An object of another type is skipped. */
	ioas = iommufd_object_alloc(ictx, ioas, &fake_ioas_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	iommufd_object_finalize(ictx, &ioas->obj);
	first = fake_bind(test, ictx, fake_group(1));
	second = fake_bind(test, ictx, fake_group(2));

	KUNIT_EXPECT_TRUE(test, iommufd_ctx_has_group(ictx, fake_group(1)));
	KUNIT_EXPECT_TRUE(test, iommufd_ctx_has_group(ictx, fake_group(2)));
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(ictx, fake_group(3)));
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(other, fake_group(1)));
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(NULL, fake_group(1)));
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(ictx, NULL));

	KUNIT_EXPECT_PTR_EQ(test, iommufd_device_to_ictx(second->idev), ictx);
	KUNIT_EXPECT_EQ(test, iommufd_device_to_id(second->idev),
			second->idev->obj.id);
	KUNIT_EXPECT_NE(test, iommufd_device_to_id(first->idev),
			iommufd_device_to_id(second->idev));
	iommufd_destroy_all_objects(ictx);
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(ictx, fake_group(1)));
}

/**
 * struct pasid_case - a device with PASIDs
 * @name: of the row
 * @pci: it is a PCI device
 * @pasid_cap: with the PASID capability
 * @max_pasids: PASIDs that the IOMMU supports for the device
 * @control: the PASID control register
 * @log2: reported as out_max_pasid_log2
 * @caps: reported as out_capabilities
 */
struct pasid_case {
	const char *name;
	bool pci;
	bool pasid_cap;
	u32 max_pasids;
	u16 control;
	u8 log2;
	u64 caps;
};

static const struct pasid_case pasid_cases[] = {
	{ "not PCI", .max_pasids = 16, .log2 = 4 },
	{ "not PCI, not supported" },
#ifdef CONFIG_PCI_PASID
	{ "not supported", .pci = true, .pasid_cap = true,
	  .control = PCI_PASID_CTRL_ENABLE },
	{ "without capability", .pci = true, .max_pasids = 16 },
	{ "disabled", .pci = true, .pasid_cap = true, .max_pasids = 16,
	  .control = PCI_PASID_CTRL_EXEC },
	{ "enabled", .pci = true, .pasid_cap = true, .max_pasids = 1 << 20,
	  .control = PCI_PASID_CTRL_ENABLE, .log2 = 20 },
	{ "with execute permission", .pci = true, .pasid_cap = true,
	  .max_pasids = 16,
	  .control = PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_EXEC, .log2 = 4,
	  .caps = IOMMU_HW_CAP_PCI_PASID_EXEC },
	{ "with privileged mode", .pci = true, .pasid_cap = true,
	  .max_pasids = 16,
	  .control = PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV, .log2 = 4,
	  .caps = IOMMU_HW_CAP_PCI_PASID_PRIV },
#endif
};

KUNIT_ARRAY_PARAM_DESC(pasid, pasid_cases, name);

/* IOMMU_GET_HW_INFO without room for the driver's structure. */
static int fake_hw_info_ioctl(struct kunit *test, struct iommufd_ctx *ictx,
			      struct iommu_hw_info *cmd)
{
	unsigned long address;
	struct iommufd_ucmd ucmd = {
		.ictx = ictx,
		.cmd = cmd,
		.user_size = sizeof(*cmd),
	};

	/* The first map makes the thread of the test a process. */
	address = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, address, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(address));
	ucmd.ubuffer = (void __user *)address;
	cmd->data_uptr = address;
	return iommufd_get_hw_info(&ucmd);
}

static void hw_info_reports_pasids_that_are_enabled(struct kunit *test)
{
	const struct pasid_case *c = test->param_value;
	struct iommufd_ctx *ictx = fake_ctx(test);
	struct fake_device *fake = fake_bind(test, ictx, fake_group(1));
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = fake->idev->obj.id,
	};

	if (c->pci)
		fake_make_pci(fake, c->pasid_cap);
	fake->control = c->control;
	fake->iommu.max_pasids = c->max_pasids;
	KUNIT_EXPECT_EQ(test, 0, fake_hw_info_ioctl(test, ictx, &cmd));
	KUNIT_EXPECT_EQ(test, cmd.out_max_pasid_log2, c->log2);
	KUNIT_EXPECT_EQ(test, cmd.out_capabilities, c->caps);
	iommufd_destroy_all_objects(ictx);
}

static void hw_info_returns_error_of_driver(struct kunit *test)
{
	struct iommufd_ctx *ictx = fake_ctx(test);
	struct fake_device *fake = fake_bind(test, ictx, fake_group(1));
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = fake->idev->obj.id,
	};

	fake->ops.hw_info = fake_hw_info_fails;
	KUNIT_EXPECT_EQ(test, -EXDEV, fake_hw_info_ioctl(test, ictx, &cmd));
	iommufd_destroy_all_objects(ictx);
}

/* A container gets an IOAS or no IOMMU, never both. */
static void no_iommu_container_has_no_ioas(struct kunit *test)
{
	struct iommufd_ctx *ictx = fake_ctx(test);
	u32 id;

	KUNIT_EXPECT_EQ(test, 0, iommufd_vfio_compat_set_no_iommu(ictx));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommufd_vfio_compat_ioas_create(ictx));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			iommufd_vfio_compat_ioas_get_id(ictx, &id));

	ictx = fake_ctx(test);
	KUNIT_EXPECT_EQ(test, 0, iommufd_vfio_compat_ioas_create(ictx));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommufd_vfio_compat_set_no_iommu(ictx));
	KUNIT_EXPECT_EQ(test, 0, iommufd_vfio_compat_ioas_get_id(ictx, &id));
	iommufd_destroy_all_objects(ictx);
}

static int fake_enable_fails(struct device *dev, enum iommu_dev_features feat)
{
	return -EXDEV;
}

static int fake_fault_attach(struct fake_device *fake)
{
	struct iommufd_hwpt hwpt = {};

	guard(mutex)(&fake->igroup.lock);
	return iommufd_fault_attach(&fake->igroup, fake->idev, &hwpt);
}

static void device_without_page_faults_gets_no_queue(struct kunit *test)
{
	struct iommufd_ctx *ictx = fake_ctx(test);
	struct fake_device *fake = fake_bind(test, ictx, fake_group(1));

	KUNIT_EXPECT_EQ(test, -ENODEV, fake_fault_attach(fake));
	fake->ops.dev_enable_feat = fake_enable_fails;
	KUNIT_EXPECT_EQ(test, -EXDEV, fake_fault_attach(fake));
	KUNIT_EXPECT_NULL(test, fake->igroup.handle);
	iommufd_destroy_all_objects(ictx);
}

#ifdef CONFIG_PCI_PRI
/* A virtual function has the page requests of its physical function. */
static void virtual_function_gets_no_queue(struct kunit *test)
{
	struct iommufd_ctx *ictx = fake_ctx(test);
	struct fake_device *physical = fake_bind(test, ictx, fake_group(1));
	struct fake_device *fake = fake_bind(test, ictx, fake_group(2));

	fake->ops.dev_enable_feat = fake_enable_fails;
	fake->pdev.dev.bus = &pci_bus_type;
	fake->pdev.is_virtfn = 1;
	fake->pdev.physfn = &physical->pdev;
	/* Without CONFIG_PCI_IOV this is not @physical. */
	pci_physfn(&fake->pdev)->pri_cap = 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_fault_attach(fake));
	KUNIT_EXPECT_NULL(test, fake->igroup.handle);
	pci_physfn(&fake->pdev)->pri_cap = 0;
	KUNIT_EXPECT_EQ(test, -EXDEV, fake_fault_attach(fake));
	iommufd_destroy_all_objects(ictx);
}
#endif

static struct kunit_case device_cases[] = {
	KUNIT_CASE(ctx_has_group_of_its_devices_only),
	KUNIT_CASE_PARAM(hw_info_reports_pasids_that_are_enabled,
			 pasid_gen_params),
	KUNIT_CASE(hw_info_returns_error_of_driver),
	KUNIT_CASE(no_iommu_container_has_no_ioas),
	KUNIT_CASE(device_without_page_faults_gets_no_queue),
#ifdef CONFIG_PCI_PRI
	KUNIT_CASE(virtual_function_gets_no_queue),
#endif
	{}
};

static struct kunit_suite device_suite = {
	.name = "iommufd_device",
	.test_cases = device_cases,
};

kunit_test_suite(device_suite);
