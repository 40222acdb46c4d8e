// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The mock DMA device
 *
 * The driver provides VFIO devices without hardware for tests of dirty page
 * tracking. There are three kinds of platform devices:
 *
 * * "vfio-mock-dma.N" are behind an instance of the mock IOMMU.
 * * "vfio-mock-pci.N" are, too. To userspace, they are PCI devices that can be
 *   migrated.
 * * "vfio-mock-mdev.N" have no IOMMU, and pin pages as mediated devices do.
 *
 * All have the registers that <uapi/linux/vfio_mock_dma.h> describes.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "mock_dma.h"

/* Upper limit of the parameters, so that sums do not overflow. */
#define DEVICES_MAX	64U

static unsigned int devices_per_iommu = 2;
module_param(devices_per_iommu, uint, 0444);
MODULE_PARM_DESC(devices_per_iommu,
		 "Devices behind each mock IOMMU (default: 2, at most 64)");

static unsigned int pci_per_iommu = 2;
module_param(pci_per_iommu, uint, 0444);
MODULE_PARM_DESC(pci_per_iommu,
		 "PCI devices behind each mock IOMMU (default: 2, at most 64)");

static unsigned int emulated = 1;
module_param(emulated, uint, 0444);
MODULE_PARM_DESC(emulated,
		 "Devices without an IOMMU, which pin pages (default: 1, at most 64)");

/* Platform data of a device, with the value of the sysfs attribute model. */
struct mock_dma_model {
	const char *name;
};

static int mock_dma_probe(struct platform_device *pdev)
{
	const struct platform_device_id *id = platform_get_device_id(pdev);
	const struct mock_dma_kind *kind = (void *)id->driver_data;
	struct vfio_device *vdev;
	struct mock_dma *md;
	int rc;

	/* Reject platform devices that this module did not create. */
	if (!dev_get_platdata(&pdev->dev))
		return -ENODEV;
	/* All kinds of devices start with struct mock_dma. */
	BUILD_BUG_ON(offsetof(struct mock_dma, vdev));
	vdev = _vfio_alloc_device(kind->size, &pdev->dev, kind->vfio_ops);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	md = to_mock_dma(vdev);
	md->ops = kind->ops;
	md->vdev.log_ops = &mock_dma_log_ops;
	platform_set_drvdata(pdev, md);

	rc = kind->add(&md->vdev);
	if (rc)
		vfio_put_device(&md->vdev);
	return rc;
}

static void mock_dma_remove(struct platform_device *pdev)
{
	struct mock_dma *md = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&md->vdev);
	vfio_put_device(&md->vdev);
}

static ssize_t model_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	const struct mock_dma_model *model = dev_get_platdata(dev);

	return sysfs_emit(buf, "%s\n", model->name);
}
static DEVICE_ATTR_RO(model);

static struct attribute *mock_dma_attrs[] = {
	&dev_attr_model.attr,
	NULL,
};
ATTRIBUTE_GROUPS(mock_dma);

static const struct platform_device_id mock_dma_ids[] = {
	{ "vfio-mock-dma", (kernel_ulong_t)&mock_dma_physical },
	{ "vfio-mock-pci", (kernel_ulong_t)&mock_pci_kind },
	{ "vfio-mock-mdev", (kernel_ulong_t)&mock_dma_emulated },
	{}
};

static struct platform_driver mock_dma_driver = {
	.driver = {
		.name = "vfio-mock-dma",
		.dev_groups = mock_dma_groups,
	},
	.probe = mock_dma_probe,
	.remove = mock_dma_remove,
	.id_table = mock_dma_ids,
	/* Only VFIO manages DMA of these devices, not the DMA API. */
	.driver_managed_dma = true,
};

/* The devices that this module created. */
static struct platform_device **mock_dma_devices;
static unsigned int mock_dma_count;

/* Create a device; @iommu is the index of its mock IOMMU, negative for none. */
static int mock_dma_add(const char *name, unsigned int id, int iommu)
{
	struct mock_dma_model model = {
		.name = iommu < 0 ? "emulated" : iommu_mock_model(iommu),
	};
	struct platform_device *pdev;
	int rc;

	pdev = platform_device_alloc(name, id);
	if (!pdev)
		return -ENOMEM;
	rc = platform_device_add_data(pdev, &model, sizeof(model));
	if (rc)
		goto err_put;
	if (iommu >= 0) {
		rc = iommu_mock_init_fwspec(&pdev->dev, iommu);
		if (rc)
			goto err_fwspec;
	}
	rc = platform_device_add(pdev);
	if (rc)
		goto err_fwspec;
	mock_dma_devices[mock_dma_count++] = pdev;
	return 0;

err_fwspec:
	iommu_mock_free_fwspec(&pdev->dev);
err_put:
	platform_device_put(pdev);
	return rc;
}

/* Create @count devices behind each mock IOMMU. */
static int mock_dma_add_physical(const char *name, unsigned int iommus,
				 unsigned int count)
{
	unsigned int n;
	int rc;

	for (n = 0; n < iommus * count; n++) {
		rc = mock_dma_add(name, n, n / count);
		if (rc)
			return rc;
	}
	return 0;
}

static int mock_dma_add_all(unsigned int iommus)
{
	unsigned int n;
	int rc;

	rc = mock_dma_add_physical("vfio-mock-dma", iommus, devices_per_iommu);
	if (rc)
		return rc;
	rc = mock_dma_add_physical("vfio-mock-pci", iommus, pci_per_iommu);
	if (rc)
		return rc;
	for (n = 0; n < emulated; n++) {
		rc = mock_dma_add("vfio-mock-mdev", n, -1);
		if (rc)
			return rc;
	}
	return 0;
}

static void mock_dma_remove_all(void)
{
	while (mock_dma_count)
		platform_device_unregister(mock_dma_devices[--mock_dma_count]);
	kfree(mock_dma_devices);
}

static int __init mock_dma_module_init(void)
{
	unsigned int iommus = iommu_mock_count();
	unsigned int count;
	int rc;

	if (devices_per_iommu > DEVICES_MAX || pci_per_iommu > DEVICES_MAX ||
	    emulated > DEVICES_MAX)
		return -EINVAL;
	count = iommus * (devices_per_iommu + pci_per_iommu) + emulated;
	mock_dma_devices = kcalloc(count, sizeof(*mock_dma_devices),
				   GFP_KERNEL);
	if (!mock_dma_devices)
		return -ENOMEM;
	rc = platform_driver_register(&mock_dma_driver);
	if (rc)
		goto err_free;
	rc = mock_dma_add_all(iommus);
	if (rc)
		goto err_unregister;
	return 0;

err_unregister:
	platform_driver_unregister(&mock_dma_driver);
err_free:
	mock_dma_remove_all();
	return rc;
}
module_init(mock_dma_module_init);

static void __exit mock_dma_module_exit(void)
{
	platform_driver_unregister(&mock_dma_driver);
	mock_dma_remove_all();
}
module_exit(mock_dma_module_exit);

MODULE_DESCRIPTION("Mock DMA device for tests of VFIO and dirty page tracking");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
