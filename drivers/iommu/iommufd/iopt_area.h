/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Areas: pieces of an IOVA space that memory is mapped at. See iopt_area.c.
 */
#ifndef __IOPT_AREA_H
#define __IOPT_AREA_H

#include <linux/bug.h>
#include <linux/interval_tree.h>
#include <linux/lockdep.h>
#include <linux/mm.h>

#include "io_pagetable.h"

/* A broken invariant of the engine: told in kernels made for tests. */
#ifdef CONFIG_IOMMUFD_TEST
#define IOPT_WARN_ON(condition) WARN_ON(condition)
#else
#define IOPT_WARN_ON(condition) unlikely(condition)
#endif

struct iopt_pages;

/**
 * struct iopt_area - IOVAs that a slice of an iopt_pages is mapped at
 * @node: first and last IOVA, in &io_pagetable.area_itree; guarded by
 *	&io_pagetable.iova_rwsem
 * @pages_node: first and last page index in @pages, in
 *	&iopt_pages.domains_itree while @storage_domain is set; its place in
 *	the tree is guarded by &iopt_pages.mutex, its numbers never change
 * @iopt: the table; never changes
 * @pages: NULL while somebody builds the area or tears it down, who then holds
 *	&io_pagetable.domains_rwsem for reading; changes under
 *	&io_pagetable.iova_rwsem held for writing; counted
 * @storage_domain: one of the domains that the area is filled into, any, which
 *	the PFNs can be read back from; NULL where there is none; guarded by
 *	&iopt_pages.mutex
 * @num_accesses: pins by in-kernel users; changes under &iopt_pages.mutex with
 *	&io_pagetable.iova_rwsem held for reading
 * @prot: IOMMU_READ, IOMMU_WRITE ...; never changes
 * @page_offset: bytes into the first page where @node begins; never changes
 * @joined: was mapped by one call with the area in front of it, which is of
 *	another origin; to type1 they are one; never changes
 * @prevent_access: about to be unmapped, no more pins; guarded by
 *	&io_pagetable.iova_rwsem
 * @vaddr_invalid: counted in &io_pagetable.num_invalid; guarded by
 *	&io_pagetable.iova_rwsem
 *
 * Owner: the table, from insertion until unmap.
 */
struct iopt_area {
	struct interval_tree_node node;
	struct interval_tree_node pages_node;
	struct io_pagetable *iopt;
	struct iopt_pages *pages;
	struct iommu_domain *storage_domain;
	unsigned int num_accesses;
	int prot;
	unsigned int page_offset;
	bool joined;
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

/* Bytes from the start of the pages to an IOVA of the area. */
static inline unsigned long iopt_area_start_byte(const struct iopt_area *area,
						 unsigned long iova)
{
	IOPT_WARN_ON(iova < iopt_area_iova(area) ||
		     iova > iopt_area_last_iova(area));
	return iova - iopt_area_iova(area) + area->page_offset +
	       iopt_area_index(area) * PAGE_SIZE;
}

/* The page that an IOVA of the area lies in. */
static inline unsigned long iopt_area_iova_to_index(const struct iopt_area *area,
						    unsigned long iova)
{
	return iopt_area_start_byte(area, iova) / PAGE_SIZE;
}

/* First IOVA of a page of the area: only the first page may begin within. */
static inline unsigned long iopt_area_index_to_iova(const struct iopt_area *area,
						    unsigned long index)
{
	unsigned long offset = (index - iopt_area_index(area)) * PAGE_SIZE;

	IOPT_WARN_ON(index < iopt_area_index(area) ||
		     index > iopt_area_last_index(area));
	return iopt_area_iova(area) + (offset ? offset - area->page_offset : 0);
}

/* Last IOVA of a page of the area: only the last page may end within. */
static inline unsigned long
iopt_area_index_to_iova_last(const struct iopt_area *area, unsigned long index)
{
	if (index == iopt_area_last_index(area))
		return iopt_area_last_iova(area);
	return iopt_area_index_to_iova(area, index + 1) - 1;
}

/*
 * Whether in-kernel users hold pages of the area. Who has let go of one has told
 * what he wrote before: seen here without a lock, that is seen as well.
 */
static inline bool iopt_area_is_held(const struct iopt_area *area)
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

/* Every area that has a byte in [start, last], by rising IOVA. */
#define iopt_for_each_area(area, iopt, start, last)			\
	for ((area) = iopt_area_first((iopt), (start), (last)); (area);	\
	     (area) = iopt_area_next((area), (start), (last)))

/**
 * struct iopt_area_contig - a walk over areas without a gap between them
 * @area: where the walk is; NULL where the areas ended early
 * @iova: first IOVA of the walk within @area
 * @last: last IOVA of the walk within @area
 * @end: last IOVA of the whole walk
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
 * Walk over the areas that cover [iova, last]. It stops where something is not
 * covered, or is being built or torn down: ask iopt_area_contig_done() then.
 */
#define iopt_for_each_contig_area(contig, iopt, iova, last)		\
	for (bool __more = iopt_area_contig_first((contig), (iopt),	\
						  (iova), (last));	\
	     __more; __more = iopt_area_contig_next(contig))

/* True after a walk that came to its end, all of it covered. */
static inline bool iopt_area_contig_done(const struct iopt_area_contig *contig)
{
	return contig->area && contig->last == contig->end;
}

struct iopt_area *iopt_area_alloc(void);
int iopt_area_insert(struct iopt_area *area, struct io_pagetable *iopt,
		     struct iopt_pages *pages, unsigned long iova,
		     unsigned long start_byte, unsigned long length, int prot);
void iopt_area_unlink(struct iopt_area *area);
void iopt_area_remove(struct iopt_area *area);

/* area_fill.c: what domains hold of an area */
int iopt_area_fill_domains(struct iopt_area *area, struct iopt_pages *pages);
void iopt_area_unfill_domains(struct iopt_area *area,
			      struct iopt_pages *pages);
int iopt_area_fill_domain(struct iopt_area *area, struct iommu_domain *domain);
void iopt_area_unfill_domain(struct iopt_area *area,
			     struct iommu_domain *domain);
void iopt_area_move_storage(struct iopt_area *area, struct iommu_domain *from,
			    struct iommu_domain *to);

#endif
