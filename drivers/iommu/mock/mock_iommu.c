// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU: instances and IOMMU operations.
 */
#include <linux/cleanup.h>
#include <linux/iommu_mock.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "mock_private.h"

/**
 * DOC: The mock IOMMU
 *
 * The mock IOMMU is an IOMMU driver that implements the hardware in software.
 * Mock devices do their DMA through it with iommu_mock_dma_write() and
 * iommu_mock_dma_read(). The IOMMU core, VFIO and iommufd use it as any other
 * IOMMU, including dirty tracking.
 *
 * The driver has several instances of different models. Each instance has a
 * software node, and the fwspec of a device selects the instance by this node.
 * IOMMU drivers that use no firmware nodes, such as VT-d, ignore these devices,
 * so the mock IOMMU works beside them.
 */

#define MOCK_MAX_INSTANCES	16

static const struct iommu_mock_model mock_models[] = {
	{ .name = "4k", .pgsizes = SZ_4K, .dirty = true, .nest_parent = true },
	{ .name = "2m", .pgsizes = SZ_4K | SZ_2M, .dirty = true,
	  .nest_parent = true },
	{ .name = "1g", .pgsizes = SZ_4K | SZ_2M | SZ_1G, .dirty = true },
	{ .name = "2k", .pgsizes = SZ_2K | SZ_1M, .dirty = true },
	{ .name = "nodirty", .pgsizes = SZ_4K },
	{ .name = "mixed4k", .pgsizes = SZ_4K, .dirty = true,
	  .shared_group = true },
	{ .name = "mixednodirty", .pgsizes = SZ_4K, .shared_group = true },
};

static char *instances = "4k,2m,1g,2k,nodirty,mixed4k,mixednodirty";
module_param(instances, charp, 0444);
MODULE_PARM_DESC(instances,
		 "Models of the instances, separated by commas: 4k, 2m and 1g have leaves from 4 KiB to that size, 2k has leaves of 2 KiB and 1 MiB, nodirty is 4k without dirty bits, mixed4k and mixednodirty are 4k and nodirty with all devices of both in one IOMMU group");

/* Change only while the module is loaded or unloaded. */
static struct mock_iommu *mock_iommus[MOCK_MAX_INSTANCES];
static unsigned int mock_num_iommus;

/* All instances; guarded by iommu_probe_device_lock. */
static LIST_HEAD(mock_iommu_list);

/*
 * Devices that share a group. release_device() removes a device from the list
 * before the core drops the device's reference on the group, so the group of a
 * listed device exists.
 */
static LIST_HEAD(mock_shared_devices);
static DEFINE_MUTEX(mock_shared_lock); /* guards mock_shared_devices */

/**
 * iommu_mock_count() - count the instances of the module parameter
 *
 * Return: the number of instances.
 */
unsigned int iommu_mock_count(void)
{
	return mock_num_iommus;
}
EXPORT_SYMBOL_GPL(iommu_mock_count);

/**
 * iommu_mock_model() - get the model name of an instance
 * @index: index of the instance, less than iommu_mock_count()
 *
 * Return: the name, valid until the module is unloaded, or NULL if there is no
 * such instance.
 */
const char *iommu_mock_model(unsigned int index)
{
	if (index >= mock_num_iommus)
		return NULL;
	return mock_iommus[index]->model->name;
}
EXPORT_SYMBOL_GPL(iommu_mock_model);

/**
 * iommu_mock_init_fwspec() - initialize a device's fwspec with an instance
 * @dev: a platform device that has not been added to its bus
 * @index: index of the instance, less than iommu_mock_count()
 *
 * Puts @dev behind the instance. The IOMMU core probes @dev when the caller
 * adds it to its bus. If this function fails, or if @dev is never added, the
 * caller must call iommu_mock_free_fwspec().
 *
 * Return:
 * * 0: success
 * * -ENODEV: there is no such instance
 * * -EINVAL: @dev is behind another IOMMU
 * * -ENOMEM: out of memory
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
int iommu_mock_init_fwspec(struct device *dev, unsigned int index)
{
	if (index >= mock_num_iommus)
		return -ENODEV;
	return iommu_mock_init_fwspec_of(dev, mock_iommus[index]);
}
EXPORT_SYMBOL_GPL(iommu_mock_init_fwspec);

/**
 * iommu_mock_init_fwspec_of() - initialize a device's fwspec with a registered
 *	instance
 * @dev: a platform device that has not been added to its bus
 * @mi: the instance, from iommu_mock_register()
 *
 * Puts @dev behind @mi, see iommu_mock_init_fwspec(). @dev must be
 * removed before @mi is unregistered.
 *
 * Return:
 * * 0: success
 * * -EINVAL: @dev is behind another IOMMU
 * * -ENOMEM: out of memory
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
int iommu_mock_init_fwspec_of(struct device *dev, struct mock_iommu *mi)
{
	guard(mutex)(&iommu_probe_device_lock);
	return iommu_fwspec_init(dev, mi->fwnode);
}
EXPORT_SYMBOL_GPL(iommu_mock_init_fwspec_of);

/**
 * iommu_mock_free_fwspec() - free the fwspec and IOMMU data of a device
 * @dev: a device that could not be added to its bus
 *
 * The IOMMU core frees dev->iommu when a device is removed from its bus, so it
 * does not free dev->iommu of a device that was never added.
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
void iommu_mock_free_fwspec(struct device *dev)
{
	guard(mutex)(&iommu_probe_device_lock);
	/* If adding the device failed late, the core has freed dev->iommu. */
	if (!dev->iommu)
		return;
	iommu_fwspec_free(dev);
	kfree(dev->iommu);
	dev->iommu = NULL;
}
EXPORT_SYMBOL_GPL(iommu_mock_free_fwspec);

static bool mock_iommu_capable(struct device *dev, enum iommu_cap cap)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_DIRTY_TRACKING:
		return mdev->mi->model->dirty;
	default:
		return false;
	}
}

static struct iommu_device *mock_iommu_probe_device(struct device *dev)
{
	struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(dev);
	struct mock_iommu *mi;
	struct mock_dev *mdev;

	lockdep_assert_held(&iommu_probe_device_lock);

	list_for_each_entry(mi, &mock_iommu_list, node)
		if (mi->fwnode == fwspec->iommu_fwnode)
			break;
	if (list_entry_is_head(mi, &mock_iommu_list, node))
		return ERR_PTR(-ENODEV);

	mdev = kvzalloc(sizeof(*mdev), GFP_KERNEL);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	mdev->mi = mi;
	mdev->dev = dev;
	INIT_LIST_HEAD(&mdev->node);
	mdev->attachments[0].mdev = mdev;
	mdev->attachments[1].mdev = mdev;
	mock_iotlb_init(&mdev->tlb);
	spin_lock_init(&mdev->request_lock);
	INIT_LIST_HEAD(&mdev->requests);
	init_waitqueue_head(&mdev->request_wait);
	dev_iommu_priv_set(dev, mdev);
	if (mi->model->shared_group) {
		guard(mutex)(&mock_shared_lock);
		list_add_tail(&mdev->node, &mock_shared_devices);
	}
	return &mi->iommu;
}

static void mock_iommu_release_device(struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	scoped_guard(mutex, &mock_shared_lock)
		list_del(&mdev->node);
	kvfree(mdev);
}

static struct iommu_group *mock_iommu_device_group(struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev), *other;

	lockdep_assert_held(&iommu_probe_device_lock);

	if (mdev->mi->model->shared_group) {
		guard(mutex)(&mock_shared_lock);
		list_for_each_entry(other, &mock_shared_devices, node)
			if (other->dev->iommu_group)
				return iommu_group_ref_get(other->dev->iommu_group);
	}
	return generic_device_group(dev);
}

static int mock_iommu_def_domain_type(struct device *dev)
{
	/* Mock DMA needs a paging domain, which a driver has to attach. */
	return IOMMU_DOMAIN_IDENTITY;
}

static void *mock_iommu_hw_info(struct device *dev, u32 *length, u32 *type)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	return mdev->mi->model->hw_info(dev, length, type);
}

/* Domains overwrite pgsize_bitmap with the leaf sizes of their model. */
#define MOCK_IOMMU_OPS							\
	.owner = THIS_MODULE,						\
	.capable = mock_iommu_capable,					\
	.domain_alloc_paging = mock_domain_alloc_paging,		\
	.domain_alloc_user = mock_nested_alloc_user,			\
	.probe_device = mock_iommu_probe_device,			\
	.release_device = mock_iommu_release_device,			\
	.device_group = mock_iommu_device_group,			\
	.def_domain_type = mock_iommu_def_domain_type,			\
	.dev_enable_feat = mock_iommu_enable_feat,			\
	.dev_disable_feat = mock_iommu_disable_feat,			\
	.page_response = mock_iommu_page_response,			\
	/* Faults of any PASID go to the nested domain of the device. */ \
	.user_pasid_table = true,					\
	.identity_domain = &mock_identity_domain,			\
	.blocked_domain = &mock_blocked_domain,				\
	.release_domain = &mock_blocked_domain,				\
	.pgsize_bitmap = SZ_4K

const struct iommu_ops mock_iommu_ops = {
	MOCK_IOMMU_OPS,
};

/*
 * For models with a hw_info callback. iommufd calls hw_info whenever it is set,
 * so models without the callback use mock_iommu_ops.
 */
const struct iommu_ops mock_iommu_info_ops = {
	MOCK_IOMMU_OPS,
	.hw_info = mock_iommu_hw_info,
};

static ssize_t model_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct mock_iommu *mi = container_of(dev_to_iommu_device(dev),
					     struct mock_iommu, iommu);

	return sysfs_emit(buf, "%s\n", mi->model->name);
}
static DEVICE_ATTR_RO(model);

static ssize_t flushes_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct mock_iommu *mi = container_of(dev_to_iommu_device(dev),
					     struct mock_iommu, iommu);

	return sysfs_emit(buf, "%ld\n", atomic_long_read(&mi->flushes));
}
static DEVICE_ATTR_RO(flushes);

static struct attribute *mock_iommu_attrs[] = {
	&dev_attr_flushes.attr,
	&dev_attr_model.attr,
	NULL,
};

static const struct attribute_group mock_iommu_group = {
	.name = "iommu-mock",
	.attrs = mock_iommu_attrs,
};

static const struct attribute_group *mock_iommu_groups[] = {
	&mock_iommu_group,
	NULL,
};

static void mock_iommu_list_add(struct mock_iommu *mi)
{
	guard(mutex)(&iommu_probe_device_lock);
	list_add_tail(&mi->node, &mock_iommu_list);
}

static void mock_iommu_list_del(struct mock_iommu *mi)
{
	guard(mutex)(&iommu_probe_device_lock);
	list_del(&mi->node);
}

static void mock_iommu_destroy(struct mock_iommu *mi)
{
	iommu_device_unregister(&mi->iommu);
	mock_iommu_list_del(mi);
	iommu_device_sysfs_remove(&mi->iommu);
	platform_device_unregister(mi->pdev);
	fwnode_remove_software_node(mi->fwnode);
	iopf_queue_free(mi->request_queue);
	kfree(mi);
}

static struct mock_iommu *
mock_iommu_create(const struct iommu_mock_model *model, int id)
{
	const struct iommu_ops *ops =
		model->hw_info ? &mock_iommu_info_ops : &mock_iommu_ops;
	struct platform_device_info info = {
		.name = "iommu-mock",
		.id = id,
	};
	struct mock_iommu *mi;
	int rc;

	mi = kzalloc(sizeof(*mi), GFP_KERNEL);
	if (!mi)
		return ERR_PTR(-ENOMEM);
	mi->model = model;
	mi->request_queue = iopf_queue_alloc(model->name);
	if (!mi->request_queue) {
		rc = -ENOMEM;
		goto err_free;
	}

	mi->fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(mi->fwnode)) {
		rc = PTR_ERR(mi->fwnode);
		goto err_queue;
	}
	info.fwnode = mi->fwnode;
	mi->pdev = platform_device_register_full(&info);
	if (IS_ERR(mi->pdev)) {
		rc = PTR_ERR(mi->pdev);
		goto err_fwnode;
	}
	rc = iommu_device_sysfs_add(&mi->iommu, &mi->pdev->dev,
				    mock_iommu_groups, "%s",
				    dev_name(&mi->pdev->dev));
	if (rc)
		goto err_pdev;
	mock_iommu_list_add(mi);
	rc = iommu_device_register(&mi->iommu, ops, &mi->pdev->dev);
	if (rc)
		goto err_list;
	return mi;

err_list:
	mock_iommu_list_del(mi);
	iommu_device_sysfs_remove(&mi->iommu);
err_pdev:
	platform_device_unregister(mi->pdev);
err_fwnode:
	fwnode_remove_software_node(mi->fwnode);
err_queue:
	iopf_queue_free(mi->request_queue);
err_free:
	kfree(mi);
	return ERR_PTR(rc);
}

/**
 * iommu_mock_register() - register an instance
 * @model: model of the instance
 *
 * The instance is not included in iommu_mock_count(). May be called before the
 * mock IOMMU is initialized. Leaf sizes that no page table supports make the
 * allocation of a domain fail with -EINVAL.
 *
 * Return: the instance, or an ERR_PTR():
 * * -ENOMEM: out of memory
 * * or an errno of the driver core
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
struct mock_iommu *iommu_mock_register(const struct iommu_mock_model *model)
{
	return mock_iommu_create(model, PLATFORM_DEVID_AUTO);
}
EXPORT_SYMBOL_GPL(iommu_mock_register);

/**
 * iommu_mock_unregister() - unregister an instance
 * @mi: the instance, from iommu_mock_register(); no device is behind it
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
void iommu_mock_unregister(struct mock_iommu *mi)
{
	mock_iommu_destroy(mi);
}
EXPORT_SYMBOL_GPL(iommu_mock_unregister);

static const struct iommu_mock_model *mock_model_find(const char *name,
						      size_t length)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mock_models); i++)
		if (strlen(mock_models[i].name) == length &&
		    !strncmp(mock_models[i].name, name, length))
			return &mock_models[i];
	return NULL;
}

static void mock_iommu_exit(void)
{
	while (mock_num_iommus)
		mock_iommu_destroy(mock_iommus[--mock_num_iommus]);
	WARN_ON(mock_pt_live_tables());
}

static int __init mock_iommu_add(const char *name, size_t length)
{
	const struct iommu_mock_model *model = mock_model_find(name, length);
	struct mock_iommu *mi;

	if (!model || mock_num_iommus == MOCK_MAX_INSTANCES) {
		pr_err("iommu-mock: %s: '%.*s'\n",
		       model ? "too many instances at" : "no such model",
		       (int)length, name);
		return -EINVAL;
	}
	mi = mock_iommu_create(model, mock_num_iommus);
	if (IS_ERR(mi))
		return PTR_ERR(mi);
	mock_iommus[mock_num_iommus++] = mi;
	return 0;
}

static int __init mock_iommu_init(void)
{
	const char *name = instances;
	int rc = 0;

	while (!rc && *name) {
		size_t length = strcspn(name, ",");

		rc = mock_iommu_add(name, length);
		name += length;
		if (*name)
			name++;
	}
	if (rc)
		mock_iommu_exit();
	return rc;
}
module_init(mock_iommu_init);
module_exit(mock_iommu_exit);

MODULE_DESCRIPTION("Software IOMMU with dirty tracking, for tests");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
