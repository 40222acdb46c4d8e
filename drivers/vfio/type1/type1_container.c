// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VFIO type1 container
 *
 * VFIO_SET_IOMMU with a type1 IOMMU type creates a struct vfio_type1 for the
 * container. It has an io_pagetable of the engine in drivers/iommu/iopt. The
 * engine maps it in the IOMMU domains of the container's groups. Mediated
 * drivers pin its memory, or copy from and to it; the engine sees all of them
 * as one access. drivers/iommu/iopt/type1 implements the ioctls. This driver
 * implements the VFIO IOMMU driver operations: groups, devices, pins and
 * copies.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <uapi/linux/vfio.h>

#include "space/iopt_area.h"
#include "type1_container.h"

static bool disable_hugepages;
module_param(disable_hugepages, bool, 0644);
MODULE_PARM_DESC(disable_hugepages,
		 "Map only single pages in the IOMMU, in containers opened after a change");

static unsigned int dma_entry_limit = U16_MAX;
module_param(dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Maximum number of mappings in a container (65535)");

static const struct type1_flavour vfio_type1_flavour = {
	.max_mappings = &dma_entry_limit,
	.strict = true,
};

static void vfio_type1_register_device(void *data, struct vfio_device *vdev)
{
	struct vfio_type1 *container = data;

	if (!vdev->ops->dma_unmap)
		return;
	guard(mutex)(&container->device_lock);
	list_add(&vdev->iommu_entry, &container->devices);
}

/* Waits for a running dma_unmap of the device, and prevents further calls. */
static void vfio_type1_unregister_device(void *data, struct vfio_device *vdev)
{
	struct vfio_type1 *container = data;

	if (!vdev->ops->dma_unmap)
		return;
	guard(mutex)(&container->device_lock);
	list_del(&vdev->iommu_entry);
}

static void vfio_type1_unmap(struct iopt_access *access, unsigned long iova,
			     unsigned long length)
{
	struct vfio_type1 *container =
		container_of(access, struct vfio_type1, access);
	struct vfio_device *vdev;

	guard(mutex)(&container->device_lock);
	list_for_each_entry(vdev, &container->devices, iommu_entry)
		vdev->ops->dma_unmap(vdev, iova, length);
}

/* No reference count is needed: the access outlives all mappings. */
static bool vfio_type1_access_get(struct iopt_access *access)
{
	return true;
}

static void vfio_type1_access_put(struct iopt_access *access)
{
}

static const struct iopt_access_ops vfio_type1_access_ops = {
	.get = vfio_type1_access_get,
	.put = vfio_type1_access_put,
	.unmap = vfio_type1_unmap,
};

/* Check that mappings allow all of @prot. The engine checks only one bit. */
static int vfio_type1_check_prot(struct io_pagetable *iopt, dma_addr_t iova,
				 unsigned long length, int prot)
{
	struct iopt_area *area;
	unsigned long last;

	if (iova > ULONG_MAX || check_add_overflow(iova, length - 1, &last))
		return -EINVAL;
	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, iova, last)
		if ((area->prot & prot) != prot)
			return -EPERM;
	return 0;
}

static void vfio_type1_unpin_pages(void *data, dma_addr_t iova, int npage)
{
	struct vfio_type1 *container = data;

	for (int i = 0; i < npage; i++)
		iopt_unpin_pages(&container->iopt, &container->access,
				 iova + i * PAGE_SIZE, PAGE_SIZE);
}

/* Pin each page separately, because drivers may unpin each page separately. */
static int vfio_type1_pin_pages(void *data, struct iommu_group *iommu_group,
				dma_addr_t iova, int npage, int prot,
				struct page **pages)
{
	struct vfio_type1 *container = data;
	unsigned int flags = prot & IOMMU_WRITE ? IOMMUFD_ACCESS_RW_WRITE :
						  IOMMUFD_ACCESS_RW_READ;
	int rc, i;

	if (!container || !pages)
		return -EINVAL;
	if (!container->type1.v2)
		return -EACCES;
	/* Without a dma_unmap callback, an unmap could not unpin the pages. */
	if (list_empty(&container->devices))
		return -EINVAL;

	rc = vfio_type1_check_prot(&container->iopt, iova,
				   (unsigned long)npage * PAGE_SIZE, prot);
	if (rc)
		return rc;
	for (i = 0; i < npage; i++) {
		rc = iopt_pin_pages(&container->iopt, &container->access,
				    iova + i * PAGE_SIZE, PAGE_SIZE, pages + i,
				    flags);
		if (rc) {
			vfio_type1_unpin_pages(container, iova, i);
			return rc == -ENOENT ? -EINVAL : rc;
		}
	}
	vfio_type1_set_pinned_scope(container, iommu_group);
	return npage;
}

static int vfio_type1_dma_rw(void *data, dma_addr_t iova, void *buf,
			     size_t count, bool write)
{
	struct vfio_type1 *container = data;
	unsigned int flags = write ? IOMMUFD_ACCESS_RW_WRITE :
				     IOMMUFD_ACCESS_RW_READ;
	int prot = write ? IOMMU_READ | IOMMU_WRITE : IOMMU_READ;
	int rc;

	if (!current->mm)
		flags |= IOMMUFD_ACCESS_RW_KTHREAD;
	rc = vfio_type1_check_prot(&container->iopt, iova, count, prot);
	rc = rc ?: iopt_rw(&container->iopt, iova, buf, count, flags);
	return rc == -ENOENT ? -EINVAL : rc;
}

static void vfio_type1_free(struct vfio_type1 *container)
{
	iopt_destroy_table(&container->iopt);
	type1_destroy(&container->type1);
	mutex_destroy(&container->device_lock);
	mutex_destroy(&container->group_lock);
	kfree(container);
}

static void *vfio_type1_open(unsigned long arg)
{
	struct vfio_type1 *container;
	int rc = 0;

	if (arg != VFIO_TYPE1_IOMMU && arg != VFIO_TYPE1v2_IOMMU &&
	    arg != VFIO_TYPE1_NESTING_IOMMU)
		return ERR_PTR(-EINVAL);

	container = kzalloc(sizeof(*container), GFP_KERNEL_ACCOUNT);
	if (!container)
		return ERR_PTR(-ENOMEM);
	type1_init(&container->type1, &vfio_type1_flavour);
	container->type1.v2 = arg != VFIO_TYPE1_IOMMU;
	container->nesting = arg == VFIO_TYPE1_NESTING_IOMMU;
	iopt_init_table(&container->iopt);
	mutex_init(&container->group_lock);
	INIT_LIST_HEAD(&container->groups);
	mutex_init(&container->device_lock);
	INIT_LIST_HEAD(&container->devices);

	container->access.ops = &vfio_type1_access_ops;
	container->access.iova_alignment = PAGE_SIZE;
	if (disable_hugepages)
		rc = iopt_disable_large_pages(&container->iopt);
	rc = rc ?: iopt_add_access(&container->iopt, &container->access);
	if (rc) {
		vfio_type1_free(container);
		return ERR_PTR(rc);
	}
	return container;
}

static void vfio_type1_release(void *data)
{
	struct vfio_type1 *container = data;

	/* Detaching the last group has unmapped everything. */
	WARN_ON(iopt_unmap_all(&container->iopt, NULL));
	iopt_remove_access(&container->iopt, &container->access);
	vfio_type1_free(container);
}

/* @container is NULL before VFIO_SET_IOMMU. */
static long vfio_type1_check_extension(struct vfio_type1 *container,
				       unsigned long extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_TYPE1_NESTING_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_UPDATE_VADDR:
		/* Emulated devices access memory by its user address. */
		return container && !READ_ONCE(container->num_emulated);
	case VFIO_DMA_CC_IOMMU:
		return container && vfio_type1_is_coherent(container);
	}
	return 0;
}

static long vfio_type1_ioctl(void *data, unsigned int cmd, unsigned long arg)
{
	struct vfio_type1 *container = data;
	struct type1_call call;

	switch (cmd) {
	case VFIO_CHECK_EXTENSION:
		return vfio_type1_check_extension(container, arg);
	case VFIO_IOMMU_GET_INFO:
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA:
	case VFIO_IOMMU_DIRTY_PAGES:
		call = (struct type1_call) {
			.type1 = &container->type1,
			.iopt = &container->iopt,
			.account_mode = IOPT_PAGES_ACCOUNT_TYPE1,
			.arg = (void __user *)arg,
		};
		return type1_ioctl(&call, cmd);
	}
	return -ENOTTY;
}

static const struct vfio_iommu_driver_ops vfio_type1_ops = {
	.name = "vfio-iommu-type1",
	.owner = THIS_MODULE,
	.open = vfio_type1_open,
	.release = vfio_type1_release,
	.ioctl = vfio_type1_ioctl,
	.attach_group = vfio_type1_attach_group,
	.detach_group = vfio_type1_detach_group,
	.pin_pages = vfio_type1_pin_pages,
	.unpin_pages = vfio_type1_unpin_pages,
	.register_device = vfio_type1_register_device,
	.unregister_device = vfio_type1_unregister_device,
	.dma_rw = vfio_type1_dma_rw,
};

module_driver(vfio_type1_ops, vfio_register_iommu_driver,
	      vfio_unregister_iommu_driver);

MODULE_DESCRIPTION("Type1 IOMMU driver for VFIO");
MODULE_LICENSE("GPL");
/* The version of the earlier driver with this ABI. Programs may check it. */
MODULE_VERSION("0.2");
MODULE_IMPORT_NS(IOMMU_IOPT);
