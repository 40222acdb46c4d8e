// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU: instances, and what the IOMMU core asks of them.
 */
#include <linux/iommu_mock.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "mock_private.h"

/**
 * DOC: The mock IOMMU
 *
 * An IOMMU driver whose hardware is software too. Devices without hardware
 * (see iommu_mock_dma_write()) are put behind it, and then everything above,
 * from the IOMMU core to VFIO and iommufd, works as with any other IOMMU, dirty
 * tracking included.
 *
 * There are several instances, of different models. Each has a software node;
 * a device is behind the instance whose node its fwspec names. So an IOMMU
 * that is found without firmware nodes, such as VT-d, and this one do not get
 * in each other's way.
 */

#define MOCK_MAX_INSTANCES	16

static const struct iommu_mock_model mock_models[] = {
	{ .name = "4k", .pgsizes = SZ_4K, .dirty = true },
	{ .name = "2m", .pgsizes = SZ_4K | SZ_2M, .dirty = true },
	{ .name = "1g", .pgsizes = SZ_4K | SZ_2M | SZ_1G, .dirty = true },
	{ .name = "2k", .pgsizes = SZ_2K | SZ_1M, .dirty = true },
	{ .name = "nodirty", .pgsizes = SZ_4K },
};

static char *instances = "4k,2m,1g,2k,nodirty";
module_param(instances, charp, 0444);
MODULE_PARM_DESC(instances,
		 "Models of the instances, separated by commas: 4k, 2m and 1g have leaves of 4 KiB up to that, 2k has leaves of 2 KiB and 1 MiB, nodirty is 4k without dirty bits");

/* Written while the module is loaded and unloaded, and not in between. */
static struct mock_iommu *mock_iommus[MOCK_MAX_INSTANCES];
static unsigned int mock_iommu_number;

/* All instances; guarded by iommu_probe_device_lock. */
static LIST_HEAD(mock_iommu_list);

/**
 * iommu_mock_count() - count the instances
 *
 * Return: how many there are.
 */
unsigned int iommu_mock_count(void)
{
	return mock_iommu_number;
}
EXPORT_SYMBOL_GPL(iommu_mock_count);

/**
 * iommu_mock_model() - tell the model of an instance
 * @index: of the instance, less than iommu_mock_count()
 *
 * Return: the name, valid while the caller may call this; NULL if there is no
 * such instance.
 */
const char *iommu_mock_model(unsigned int index)
{
	if (index >= mock_iommu_number)
		return NULL;
	return mock_iommus[index]->model->name;
}
EXPORT_SYMBOL_GPL(iommu_mock_model);

/**
 * iommu_mock_adopt() - put a device behind an instance
 * @dev: a platform device that was not added to its bus yet
 * @index: of the instance, less than iommu_mock_count()
 *
 * Adding the device to its bus then attaches it. If it is never added, or if
 * this failed, iommu_mock_disown() takes back what there is.
 *
 * Return: 0; -ENODEV if there is no such instance, -EINVAL if @dev is behind
 * another IOMMU, -ENOMEM.
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
int iommu_mock_adopt(struct device *dev, unsigned int index)
{
	if (index >= mock_iommu_number)
		return -ENODEV;
	return iommu_mock_adopt_to(dev, mock_iommus[index]);
}
EXPORT_SYMBOL_GPL(iommu_mock_adopt);

/**
 * iommu_mock_adopt_to() - put a device behind an instance of the caller's
 * @dev: a platform device that was not added to its bus yet
 * @mi: the instance
 *
 * As iommu_mock_adopt(). @dev has to be removed before @mi is unregistered.
 *
 * Return: 0; -EINVAL if @dev is behind another IOMMU, -ENOMEM. iommu_mock_disown()
 * takes back what there is, also after a failure.
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
int iommu_mock_adopt_to(struct device *dev, struct mock_iommu *mi)
{
	guard(mutex)(&iommu_probe_device_lock);
	return iommu_fwspec_init(dev, mi->fwnode);
}
EXPORT_SYMBOL_GPL(iommu_mock_adopt_to);

/**
 * iommu_mock_disown() - take back that a device was put behind an instance
 * @dev: a device that could not be added to its bus
 *
 * The IOMMU core frees what it keeps of a device when that leaves its bus,
 * which a device that never got there does not.
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
void iommu_mock_disown(struct device *dev)
{
	guard(mutex)(&iommu_probe_device_lock);
	/* The core may have had it, and have freed it, for a moment. */
	if (!dev->iommu)
		return;
	iommu_fwspec_free(dev);
	kfree(dev->iommu);
	dev->iommu = NULL;
}
EXPORT_SYMBOL_GPL(iommu_mock_disown);

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
	mdev->attachments[0].mdev = mdev;
	mdev->attachments[1].mdev = mdev;
	mock_iotlb_init(&mdev->tlb);
	dev_iommu_priv_set(dev, mdev);
	return &mi->iommu;
}

static void mock_iommu_release_device(struct device *dev)
{
	kvfree(dev_iommu_priv_get(dev));
}

static int mock_iommu_def_domain_type(struct device *dev)
{
	/* DMA needs a paging domain that a driver asks for; see mock_dma.c. */
	return IOMMU_DOMAIN_IDENTITY;
}

static void *mock_iommu_hw_info(struct device *dev, u32 *length, u32 *type)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	return mdev->mi->model->hw_info(dev, length, type);
}

/* Every domain says for itself which sizes of pages it has. */
#define MOCK_IOMMU_OPS							\
	.owner = THIS_MODULE,						\
	.capable = mock_iommu_capable,					\
	.domain_alloc_paging = mock_domain_alloc_paging,		\
	.domain_alloc_user = mock_domain_alloc_user,			\
	.probe_device = mock_iommu_probe_device,			\
	.release_device = mock_iommu_release_device,			\
	.device_group = generic_device_group,				\
	.def_domain_type = mock_iommu_def_domain_type,			\
	.identity_domain = &mock_identity_domain,			\
	.blocked_domain = &mock_blocked_domain,				\
	.release_domain = &mock_blocked_domain,				\
	.pgsize_bitmap = SZ_4K

const struct iommu_ops mock_iommu_ops = {
	MOCK_IOMMU_OPS,
};

/*
 * For models with something to tell: having a hw_info is all that the core
 * goes by, so those without must not have one.
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

static struct attribute *mock_iommu_attrs[] = {
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

	mi->fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(mi->fwnode)) {
		rc = PTR_ERR(mi->fwnode);
		goto err_free;
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
err_free:
	kfree(mi);
	return ERR_PTR(rc);
}

/**
 * iommu_mock_register() - add an instance
 * @model: what it can do
 *
 * It is there beside those of the module parameter, not counted among them.
 * This may be called before the mock IOMMU was initialized.
 *
 * Return: the instance, or an ERR_PTR(): -ENOMEM, or what the driver core
 * says. Domains are where leaf sizes that cannot be are told: -EINVAL.
 *
 * Context: Process context, takes iommu_probe_device_lock.
 */
struct mock_iommu *iommu_mock_register(const struct iommu_mock_model *model)
{
	return mock_iommu_create(model, PLATFORM_DEVID_AUTO);
}
EXPORT_SYMBOL_GPL(iommu_mock_register);

/**
 * iommu_mock_unregister() - take an instance away
 * @mi: from iommu_mock_register(), with no device behind it any more
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
	while (mock_iommu_number)
		mock_iommu_destroy(mock_iommus[--mock_iommu_number]);
	WARN_ON(mock_pt_live_tables());
}

static int __init mock_iommu_add(const char *name, size_t length)
{
	const struct iommu_mock_model *model = mock_model_find(name, length);
	struct mock_iommu *mi;

	if (!model || mock_iommu_number == MOCK_MAX_INSTANCES) {
		pr_err("iommu-mock: %s: '%.*s'\n",
		       model ? "too many instances at" : "no such model",
		       (int)length, name);
		return -EINVAL;
	}
	mi = mock_iommu_create(model, mock_iommu_number);
	if (IS_ERR(mi))
		return PTR_ERR(mi);
	mock_iommus[mock_iommu_number++] = mi;
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

MODULE_DESCRIPTION("IOMMU in software, with dirty tracking, for tests");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
