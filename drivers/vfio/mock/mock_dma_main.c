// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the mock DMA device
 *
 * VFIO devices without hardware, for tests of everything that follows a
 * device's writes: platform devices "vfio-mock-dma.N" behind each mock IOMMU,
 * and "vfio-mock-mdev.N" which pin pages as mediated devices do. They share
 * all but the way to memory. <uapi/linux/vfio_mock_dma.h> has the registers.
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

/* Keeps the numbers of devices far from overflowing anything. */
#define DEVICES_MAX	64U

static unsigned int devices_per_iommu = 2;
module_param(devices_per_iommu, uint, 0444);
MODULE_PARM_DESC(devices_per_iommu,
		 "Devices behind each mock IOMMU (default: 2, at most 64)");

static unsigned int emulated = 1;
module_param(emulated, uint, 0444);
MODULE_PARM_DESC(emulated,
		 "Devices that pin pages instead (default: 1, at most 64)");

/* Platform data: what the model attribute shows. */
struct mock_dma_model {
	const char *name;
};

/**
 * mock_dma_init() - set up what belongs to the device (vfio_device_ops.init)
 * @vdev: the VFIO device, all zero but for what VFIO keeps there
 *
 * Return: 0 or -ENOMEM.
 */
int mock_dma_init(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	mutex_init(&md->lock);
	mutex_init(&md->truth_lock);
	mutex_init(&md->log_lock);
	mutex_init(&md->pins.lock);
	spin_lock_init(&md->fault_lock);
	xa_init(&md->pins.pages);
	init_waitqueue_head(&md->pins.wait);
	INIT_WORK(&md->pins.unpin, mock_dma_unpin_work);

	md->buffer = kvzalloc(VFIO_MOCK_DMA_BUFFER, GFP_KERNEL);
	md->bounce = kvmalloc(VFIO_MOCK_DMA_BUFFER, GFP_KERNEL);
	md->work.data = kmalloc(MOCK_DMA_UNIT_MAX, GFP_KERNEL);
	if (md->buffer && md->bounce && md->work.data)
		return 0;
	kfree(md->work.data);
	kvfree(md->bounce);
	kvfree(md->buffer);
	return -ENOMEM;
}

/**
 * mock_dma_release() - undo mock_dma_init() (vfio_device_ops.release)
 * @vdev: the VFIO device, which nobody uses any more
 */
void mock_dma_release(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	kfree(md->work.data);
	kvfree(md->bounce);
	kvfree(md->buffer);
	xa_destroy(&md->pins.pages);
	mutex_destroy(&md->pins.lock);
	mutex_destroy(&md->log_lock);
	mutex_destroy(&md->truth_lock);
	mutex_destroy(&md->lock);
}

/**
 * mock_dma_open() - begin with a device as new (vfio_device_ops.open_device)
 * @vdev: the VFIO device, which had no user so far
 *
 * Return: 0.
 */
int mock_dma_open(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	guard(mutex)(&md->lock);
	mock_dma_reset(md);
	return 0;
}

/**
 * mock_dma_close() - the last user is gone (vfio_device_ops.close_device)
 * @vdev: the VFIO device
 *
 * Nothing of the device touches memory or holds pages after this.
 */
void mock_dma_close(struct vfio_device *vdev)
{
	struct mock_dma *md = to_mock_dma(vdev);

	guard(mutex)(&md->lock);
	mock_dma_reset(md);
}

static int mock_dma_probe(struct platform_device *pdev)
{
	const struct platform_device_id *id = platform_get_device_id(pdev);
	const struct mock_dma_kind *kind = (void *)id->driver_data;
	struct mock_dma *md;
	int rc;

	/* Only this module's own devices carry what the driver goes by. */
	if (!dev_get_platdata(&pdev->dev))
		return -ENODEV;
	md = vfio_alloc_device(mock_dma, vdev, &pdev->dev, kind->vfio_ops);
	if (IS_ERR(md))
		return PTR_ERR(md);
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
	/* VFIO hands the devices to its users, never to the DMA API. */
	.driver_managed_dma = true,
};

/* The devices that the module made; set up before and torn down after use. */
static struct platform_device **mock_dma_devices;
static unsigned int mock_dma_count;

/* @iommu: instance of the mock IOMMU in front of it, negative for none */
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
		rc = iommu_mock_adopt(&pdev->dev, iommu);
		if (rc)
			goto err_disown;
	}
	rc = platform_device_add(pdev);
	if (rc)
		goto err_disown;
	mock_dma_devices[mock_dma_count++] = pdev;
	return 0;

err_disown:
	iommu_mock_disown(&pdev->dev);
err_put:
	platform_device_put(pdev);
	return rc;
}

static int mock_dma_add_all(unsigned int iommus)
{
	unsigned int i, n;
	int rc;

	for (i = 0; i < iommus; i++) {
		for (n = 0; n < devices_per_iommu; n++) {
			rc = mock_dma_add("vfio-mock-dma",
					  i * devices_per_iommu + n, i);
			if (rc)
				return rc;
		}
	}
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
	int rc;

	if (devices_per_iommu > DEVICES_MAX || emulated > DEVICES_MAX)
		return -EINVAL;
	mock_dma_devices = kcalloc(iommus * devices_per_iommu + emulated,
				   sizeof(*mock_dma_devices), GFP_KERNEL);
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
