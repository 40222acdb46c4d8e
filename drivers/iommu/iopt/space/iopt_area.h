/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Areas: ranges of an IOVA space that memory is mapped at. See iopt_area.c.
 */
#ifndef __IOPT_AREA_H
#define __IOPT_AREA_H

#include <linux/interval_tree.h>
#include <linux/lockdep.h>
#include <linux/mm.h>

#include "space/io_pagetable.h"

struct iommu_domain;
struct iopt_pages;

/**
 * struct iopt_area - a range of IOVAs that maps a slice of an iopt_pages
 * @node: first and last IOVA, in &io_pagetable.area_itree; guarded by
 *	&io_pagetable.iova_rwsem
 * @pages_node: first and last page index in @pages, in &iopt_pages.domains_itree
 *	while @storage_domain is set; &iopt_pages.mutex guards its place in the tree;
 *	the indices never change
 * @iopt: the IOAS; never changes
 * @pages: the mapped memory, with a reference; NULL while a task that holds
 *	&io_pagetable.domains_rwsem for reading maps or unmaps the area; changes under
 *	&io_pagetable.iova_rwsem held for writing
 * @storage_domain: any one of the domains that the area is filled into; the PFNs are
 *	read back from it; NULL if the area is in no domain; guarded by
 *	&iopt_pages.mutex
 * @num_accesses: number of pins by accesses; changes under &iopt_pages.mutex with
 *	&io_pagetable.iova_rwsem held for reading
 * @num_locks: number of those pins whose access has &iopt_access.locks_areas set; guarded
 *	as @num_accesses
 * @prot: IOMMU_READ, IOMMU_WRITE ...; never changes
 * @page_offset: offset of the first IOVA in the first page, in bytes; never changes
 * @joined: the call that mapped this area also mapped the area in front of it, from
 *	another origin; type1 treats the two as one mapping; never changes
 * @small_leaves: domains may have leaves smaller than 2 MiB within the area, not only
 *	at its two ends; set while the area is filled, under &iopt_pages.mutex, before
 *	the area is published or with &io_pagetable.iova_rwsem held for writing
 * @single_leaves: every domain maps the area with leaves of one page; guarded as
 *	@small_leaves
 * @prevent_access: the area is about to be unmapped, accesses may not pin it; guarded
 *	by &io_pagetable.iova_rwsem
 * @vaddr_invalid: the memory has no address until iopt_update_vaddr() sets a new one;
 *	guarded by &io_pagetable.iova_rwsem
 *
 * Owner: @iopt, from insertion until unmap.
 */
struct iopt_area {
	struct interval_tree_node node;
	struct interval_tree_node pages_node;
	struct io_pagetable *iopt;
	struct iopt_pages *pages;
	struct iommu_domain *storage_domain;
	unsigned int num_accesses;
	unsigned int num_locks;
	int prot;
	unsigned int page_offset;
	bool joined;
	bool small_leaves;
	bool single_leaves;
	bool prevent_access;
	bool vaddr_invalid;
};

static inline unsigned long iopt_area_iova(const struct iopt_area *area)
{
	return area->node.start;
}

static inline unsigned long iopt_area_last_iova(const struct iopt_area *area)
{
	return area->node.last;
}

static inline unsigned long iopt_area_length(const struct iopt_area *area)
{
	return area->node.last - area->node.start + 1;
}

static inline unsigned long iopt_area_index(const struct iopt_area *area)
{
	return area->pages_node.start;
}

static inline unsigned long iopt_area_last_index(const struct iopt_area *area)
{
	return area->pages_node.last;
}

/* Return: the byte offset of @iova in &iopt_area.pages. */
static inline unsigned long iopt_area_start_byte(const struct iopt_area *area,
						 unsigned long iova)
{
	IOPT_WARN_ON(iova < iopt_area_iova(area) ||
		     iova > iopt_area_last_iova(area));
	return iova - iopt_area_iova(area) + area->page_offset +
	       iopt_area_index(area) * PAGE_SIZE;
}

/* Return: the index of the page that contains @iova. */
static inline unsigned long iopt_area_iova_to_index(const struct iopt_area *area,
						    unsigned long iova)
{
	return iopt_area_start_byte(area, iova) / PAGE_SIZE;
}

/* Return: the first IOVA of a page. Only the first page may be mapped in part. */
static inline unsigned long iopt_area_index_to_iova(const struct iopt_area *area,
						    unsigned long index)
{
	unsigned long offset = (index - iopt_area_index(area)) * PAGE_SIZE;

	IOPT_WARN_ON(index < iopt_area_index(area) ||
		     index > iopt_area_last_index(area));
	return iopt_area_iova(area) + (offset ? offset - area->page_offset : 0);
}

/* Return: the last IOVA of a page. Only the last page may end early. */
static inline unsigned long
iopt_area_index_to_iova_last(const struct iopt_area *area, unsigned long index)
{
	if (index == iopt_area_last_index(area))
		return iopt_area_last_iova(area);
	return iopt_area_index_to_iova(area, index + 1) - 1;
}

/*
 * Check, without a lock, whether accesses have pinned pages of the area. Before
 * iopt_area_unpin() decrements &iopt_area.num_accesses, it adds the pages that the
 * access may have written to the spill: a caller that sees the lower count also sees
 * the spill.
 */
static inline bool iopt_area_is_pinned(const struct iopt_area *area)
{
	/* Pairs with iopt_area_unpin(). */
	return smp_load_acquire(&area->num_accesses);
}

static inline struct iopt_area *iopt_area_of(struct interval_tree_node *node)
{
	return node ? container_of(node, struct iopt_area, node) : NULL;
}

static inline struct iopt_area *iopt_area_first(struct io_pagetable *iopt,
						unsigned long start,
						unsigned long last)
{
	lockdep_assert_held(&iopt->iova_rwsem);
	return iopt_area_of(interval_tree_iter_first(&iopt->area_itree, start,
						     last));
}

static inline struct iopt_area *iopt_area_next(struct iopt_area *area,
					       unsigned long start,
					       unsigned long last)
{
	return iopt_area_of(interval_tree_iter_next(&area->node, start, last));
}

/* Walk over every area that overlaps [start, last], in ascending order of IOVA. */
#define iopt_for_each_area(area, iopt, start, last)			\
	for ((area) = iopt_area_first((iopt), (start), (last)); (area);	\
	     (area) = iopt_area_next((area), (start), (last)))

/**
 * struct iopt_area_contig - walk over contiguous areas
 * @area: the current area; NULL if an IOVA of the range is not covered
 * @iova: first IOVA of the range within @area
 * @last: last IOVA of the range within @area
 * @end: last IOVA of the range
 */
struct iopt_area_contig {
	struct iopt_area *area;
	unsigned long iova;
	unsigned long last;
	unsigned long end;
};

bool iopt_area_contig_first(struct iopt_area_contig *contig,
			    struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last);
bool iopt_area_contig_next(struct iopt_area_contig *contig);

/*
 * Walk over the areas that cover [iova, last]. The walk stops at an IOVA that no area
 * covers, and at an area that is being mapped or unmapped. Afterwards the caller
 * checks with iopt_area_contig_done() that the areas cover the whole range.
 */
#define iopt_for_each_contig_area(contig, iopt, iova, last)		\
	for (bool __more = iopt_area_contig_first((contig), (iopt),	\
						  (iova), (last));	\
	     __more; __more = iopt_area_contig_next(contig))

/* Return: after a walk, whether the areas cover the whole range. */
static inline bool iopt_area_contig_done(const struct iopt_area_contig *contig)
{
	return contig->area && contig->last == contig->end;
}

struct iopt_area *iopt_area_alloc(void);
int iopt_area_insert(struct iopt_area *area, struct io_pagetable *iopt,
		     unsigned long iova, unsigned long start_byte,
		     unsigned long length, int prot);
void iopt_area_link(struct iopt_area *area, struct io_pagetable *iopt);
void iopt_area_unlink(struct iopt_area *area);
void iopt_area_remove(struct iopt_area *area);

#endif
