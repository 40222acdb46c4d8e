// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: type1 ABI
 *
 * Two containers implement the type1 ioctls: VFIO's own container, and the
 * compat container of /dev/iommu. This folder decodes an ioctl and calls the
 * engine. Each container adds its groups and devices, and a struct
 * type1_flavour that lists how its ABI differs.
 *
 * Calls run concurrently, with two exceptions. A call that maps or unmaps waits
 * for calls on overlapping ranges, see type1_range.c. A call of
 * VFIO_IOMMU_DIRTY_PAGES waits for other calls of VFIO_IOMMU_DIRTY_PAGES. All
 * other serialisation is done by the locks of the engine.
 */
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <uapi/linux/vfio.h>

#include "type1/type1.h"

/**
 * type1_init() - initialise a container for ioctls
 * @type1: becomes a container of version 1 of the ABI, without emulated groups
 * @flavour: how the ABI of the container differs; must outlive @type1
 */
void type1_init(struct type1 *type1, const struct type1_flavour *flavour)
{
	type1->flavour = flavour;
	type1->v2 = false;
	type1->emulated = false;
	mutex_init(&type1->dirty_lock);
	spin_lock_init(&type1->range_lock);
	type1->sole_range = NULL;
	type1->ranges = RB_ROOT_CACHED;
	init_waitqueue_head(&type1->range_wait);
}
EXPORT_SYMBOL_NS_GPL(type1_init, IOMMU_IOPT);

/**
 * type1_destroy() - undo type1_init()
 * @type1: the container; no ioctl is running
 */
void type1_destroy(struct type1 *type1)
{
	WARN_ON(type1->sole_range || !RB_EMPTY_ROOT(&type1->ranges.rb_root));
	mutex_destroy(&type1->dirty_lock);
}
EXPORT_SYMBOL_NS_GPL(type1_destroy, IOMMU_IOPT);

/**
 * type1_ioctl() - handle a type1 ioctl of a container
 * @call: the arguments
 * @cmd: VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA or
 *	VFIO_IOMMU_DIRTY_PAGES
 *
 * Return:
 * * 0: success
 * * -ENODEV: the call is well-formed, but the container has no IOVA space
 * * -EINTR: the task was killed while it waited for another call
 * * -ENOTTY: unknown @cmd
 * * or another errno of type1_get_info(), type1_map_dma(), type1_unmap_dma() or
 *   type1_dirty_pages()
 *
 * Context: takes the locks of @call->type1 and of the engine; may sleep. An
 * unmap notifies accesses. If &type1_flavour.split is not set, the caller
 * prevents that groups are attached or detached meanwhile, so &type1.emulated
 * is stable.
 */
int type1_ioctl(struct type1_call *call, unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_GET_INFO:
		return type1_get_info(call);
	case VFIO_IOMMU_MAP_DMA:
		return type1_map_dma(call);
	case VFIO_IOMMU_UNMAP_DMA:
		return type1_unmap_dma(call);
	case VFIO_IOMMU_DIRTY_PAGES:
		return type1_dirty_pages(call);
	}
	return -ENOTTY;
}
EXPORT_SYMBOL_NS_GPL(type1_ioctl, IOMMU_IOPT);
