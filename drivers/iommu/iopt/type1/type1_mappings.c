// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: type1 mappings
 *
 * In the type1 ABI, each call of VFIO_IOMMU_MAP_DMA creates one mapping. The
 * engine creates several areas for a call if its memory is of several kinds,
 * for instance a PFNMAP behind anonymous memory. All of these areas but the
 * first have &iopt_area.joined set.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>

#include "iopt.h"
#include "space/iopt_area.h"
#include "type1/type1.h"

/*
 * Check whether an area belongs to the same mapping as the area in front of it.
 */
static bool type1_is_joined(struct io_pagetable *iopt,
			    const struct iopt_area *area)
{
	unsigned long iova = iopt_area_iova(area);

	/* A split or IOMMU_IOAS_UNMAP may have removed the area in front. */
	return area->joined && iopt_area_first(iopt, iova - 1, iova - 1);
}

/**
 * type1_num_mappings() - count the mappings of an IOVA space
 * @iopt: the IOVA space
 *
 * Return: the number of mappings, without those whose first area was unmapped
 * by IOMMU_IOAS_UNMAP.
 * Context: &io_pagetable.iova_rwsem is held.
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
 * type1_widen() - extend a range to the end of its last mapping
 * @iopt: the IOVA space
 * @iova: first byte
 * @last: last byte; if it is in a mapping, it becomes the last byte of the
 *	mapping
 * @published: ignore areas that are being mapped or unmapped
 *
 * Return:
 * * 1: the range does not begin within a mapping
 * * 0: the range begins within a mapping
 * * -EINTR: the task was killed
 *
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
