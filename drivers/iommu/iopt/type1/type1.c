// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The type1 ABI
 *
 * Two containers speak it: VFIO's own, and /dev/iommu. What a call means is
 * written here once, as questions to the engine; each container adds groups and
 * devices, and a struct type1_flavour of what it does in its own way.
 *
 * Calls run concurrently. Those that map or unmap overlapping ranges take turns,
 * see type1_range.c, and so do calls of VFIO_IOMMU_DIRTY_PAGES. What else has to
 * be decided at once is decided by the engine under its own locks.
 */
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <uapi/linux/vfio.h>

#include "type1/type1.h"

/**
 * type1_init() - prepare a container for ioctls
 * @type1: version 1, without groups that only pin
 * @flavour: what kind of container it is; stays
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
 * @type1: nobody uses it
 */
void type1_destroy(struct type1 *type1)
{
	WARN_ON(type1->sole_range || !RB_EMPTY_ROOT(&type1->ranges.rb_root));
	mutex_destroy(&type1->dirty_lock);
}
EXPORT_SYMBOL_NS_GPL(type1_destroy, IOMMU_IOPT);

/**
 * type1_ioctl() - an ioctl of a container
 * @call: what is called
 * @cmd: VFIO_IOMMU_GET_INFO, _MAP_DMA, _UNMAP_DMA or _DIRTY_PAGES
 *
 * Return: 0; what the function for @cmd gives; -ENODEV for a well-formed call
 * without an IOVA space; -EINTR if the task is killed while it waits for another
 * call; -ENOTTY for any other @cmd.
 * Context: takes the locks of @call->type1 and the engine's; may sleep. Accesses
 * are notified of unmaps meanwhile. The caller keeps groups from being attached
 * and detached where &type1.emulated depends on them.
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
