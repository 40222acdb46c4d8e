// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: mappings of type1
 *
 * To type1 all that one call of VFIO_IOMMU_MAP_DMA maps is one mapping. The engine
 * has an area for each origin of memory in it, joined to the one in front.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>

#include "iopt.h"
#include "space/iopt_area.h"
#include "type1/type1.h"

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

static struct iopt_area *type1_find_area(struct io_pagetable *iopt,
					 unsigned long iova, bool published)
{
	struct iopt_area *area = iopt_area_first(iopt, iova, iova);

	return area && published && !area->pages ? NULL : area;
}

/**
 * type1_widen() - make a range hold whole mappings
 * @iopt: the IOVA space
 * @iova: first byte
 * @last: last byte; if it lies in a mapping it becomes the last byte of that
 * @published: ignore areas that are being mapped or unmapped
 *
 * Return: 1; 0 where @iova lies in a mapping that begins before; -EINTR if the
 * process was killed.
 * Context: takes &io_pagetable.iova_rwsem for reading.
 */
int type1_widen(struct io_pagetable *iopt, unsigned long iova,
		unsigned long *last, bool published)
{
	struct iopt_area *area, *first;
	bool begins;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	area = type1_find_area(iopt, *last, published);
	first = area;
	while (area) {
		*last = iopt_area_last_iova(area);
		if (*last == ULONG_MAX || !iopt->num_joined)
			break;
		area = type1_find_area(iopt, *last + 1, published);
		if (area && !area->joined)
			break;
		cond_resched();
	}
	if (!first || iopt_area_iova(first) != iova)
		first = type1_find_area(iopt, iova, published);
	begins = !first ||
		 (iopt_area_iova(first) == iova && !type1_is_joined(iopt, first));
	up_read(&iopt->iova_rwsem);
	return begins;
}
