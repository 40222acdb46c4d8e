// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The type1 ABI
 *
 * Two containers speak it: VFIO's own, and /dev/iommu. What a call means is
 * written here once, as questions to the engine; each container adds groups and
 * devices, and a struct type1_flavour of what it does in its own way. One call
 * runs at a time, so what was found out about the IOVA space is still so when it
 * is acted upon: that way a call that is refused has changed nothing.
 */
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <uapi/linux/vfio.h>

#include "iopt_area.h"
#include "type1.h"

/**
 * type1_init() - prepare a container for ioctls
 * @type1: version 1, without groups that only pin
 * @flavour: what kind of container it is; stays
 */
void type1_init(struct type1 *type1, const struct type1_flavour *flavour)
{
	mutex_init(&type1->lock);
	type1->flavour = flavour;
	type1->v2 = false;
	type1->emulated = false;
}
EXPORT_SYMBOL_NS_GPL(type1_init, IOMMU_IOPT);

/**
 * type1_destroy() - undo type1_init()
 * @type1: nobody uses it
 */
void type1_destroy(struct type1 *type1)
{
	mutex_destroy(&type1->lock);
}
EXPORT_SYMBOL_NS_GPL(type1_destroy, IOMMU_IOPT);

/* What one call has mapped is one mapping, also where it is several areas. */
static bool type1_is_joined(struct io_pagetable *iopt,
			    const struct iopt_area *area)
{
	unsigned long iova = iopt_area_iova(area);

	/* A cut, or an unmap by IOMMU_IOAS_UNMAP, may have taken what was there. */
	return area->joined && iopt_area_first(iopt, iova - 1, iova - 1);
}

/**
 * type1_num_mappings() - count mappings
 * @iopt: the IOVA space
 *
 * Return: how many calls of VFIO_IOMMU_MAP_DMA have made what is there; less after
 * the front of what one has made was unmapped by IOMMU_IOAS_UNMAP.
 * Context: &io_pagetable.iova_rwsem held.
 */
unsigned int type1_num_mappings(const struct io_pagetable *iopt)
{
	lockdep_assert_held(&iopt->iova_rwsem);

	return iopt->num_areas - iopt->num_joined;
}

/**
 * type1_widen() - make a range hold whole mappings
 * @iopt: the IOVA space
 * @iova: first byte
 * @last: last byte; where it lies in a mapping it becomes the last one of that
 *
 * Return: true unless @iova lies in a mapping that begins before.
 * Context: takes &io_pagetable.iova_rwsem for reading.
 */
bool type1_widen(struct io_pagetable *iopt, unsigned long iova,
		 unsigned long *last)
{
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->iova_rwsem);
	area = iopt_area_first(iopt, *last, *last);
	while (area) {
		*last = iopt_area_last_iova(area);
		if (*last == ULONG_MAX)
			break;
		area = iopt_area_first(iopt, *last + 1, *last + 1);
		if (area && !area->joined)
			break;
	}
	area = iopt_area_first(iopt, iova, iova);
	return !area ||
	       (iopt_area_iova(area) == iova && !type1_is_joined(iopt, area));
}

static int type1_dispatch(struct type1_call *call, unsigned int cmd)
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

/**
 * type1_ioctl() - an ioctl of a container
 * @call: what is called
 * @cmd: VFIO_IOMMU_GET_INFO, _MAP_DMA, _UNMAP_DMA or _DIRTY_PAGES
 *
 * Return: 0; what the function for @cmd gives; -ENODEV for a well-formed call
 * without an IOVA space; -ENOTTY for any other @cmd.
 * Context: takes &type1.lock and the engine's locks; may sleep. In-kernel users
 * are told of unmaps meanwhile.
 */
int type1_ioctl(struct type1_call *call, unsigned int cmd)
{
	struct type1 *type1 = call->type1;

	guard(mutex)(&type1->lock);
	/* Where mappings can be cut others than us say so, and let users in. */
	if (type1->flavour->cut && call->iopt) {
		type1->v2 = !READ_ONCE(call->iopt->disable_large_pages);
		type1->emulated = !xa_empty(&call->iopt->access_list);
	}
	return type1_dispatch(call, cmd);
}
EXPORT_SYMBOL_NS_GPL(type1_ioctl, IOMMU_IOPT);
