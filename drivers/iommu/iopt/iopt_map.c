// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: mapping
 *
 * One call maps one or more segments. A segment is a slice of an iopt_pages, and becomes
 * an area. The areas of a call are adjacent. Either all of them are mapped, or none.
 *
 * A map takes three steps. With &io_pagetable.iova_rwsem held for writing, it inserts the
 * areas, which reserves their IOVAs. With only &io_pagetable.domains_rwsem held, it fills
 * the areas into the domains, which may wait for page faults. With
 * &io_pagetable.iova_rwsem held for writing again, it publishes the areas.
 *
 * A copy may have a million areas. The lock is dropped after IOPT_AREAS_STEP of them, so
 * that other calls wait for a bounded time. A placeholder reserves the IOVAs of areas that
 * are not inserted yet. The last area is published first: a walk from the first IOVA
 * finds either all of them published, or none.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "domains/area_fill.h"
#include "iopt.h"
#include "iopt_trace.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/* Number of areas that are handled without dropping &io_pagetable.iova_rwsem. */
#define IOPT_AREAS_STEP		1024

/**
 * struct iopt_segment - a slice of an iopt_pages that is about to become an area
 * @item: entry in &iopt_segments.list
 * @pages: the memory, with a reference
 * @start_byte: byte offset of the slice in @pages
 * @length: length in bytes
 * @area: the area; NULL after it was published, when the IOAS owns it
 */
struct iopt_segment {
	struct list_head item;
	struct iopt_pages *pages;
	unsigned long start_byte;
	unsigned long length;
	struct iopt_area *area;
};

/**
 * struct iopt_segments - the segments that one call maps
 * @list: list of struct iopt_segment, in ascending order of IOVA
 * @first: the first segment, mostly the only one; the others are allocated
 * @nr: number of segments
 * @rest: with more than IOPT_AREAS_STEP segments, the placeholder for those that are not
 *	inserted yet
 * @split: every segment is either a PFNMAP or contains none
 *
 * Owner: the calling thread, on its stack, until iopt_free_segments().
 */
struct iopt_segments {
	struct list_head list;
	struct iopt_segment first;
	unsigned long nr;
	struct iopt_area *rest;
	bool split;
};

static void iopt_init_segments(struct iopt_segments *segments, bool split)
{
	INIT_LIST_HEAD(&segments->list);
	segments->nr = 0;
	segments->rest = NULL;
	segments->split = split;
}

/* Append a segment. Consumes the caller's reference on @pages, also on an error. */
static int iopt_add_segment(struct iopt_segments *segments,
			    struct iopt_pages *pages, unsigned long start_byte,
			    unsigned long length)
{
	struct iopt_area *area = iopt_area_alloc();
	struct iopt_segment *segment = &segments->first;

	if (area && segments->nr)
		segment = kmalloc(sizeof(*segment), GFP_KERNEL_ACCOUNT);
	if (segment && segments->nr == IOPT_AREAS_STEP)
		segments->rest = iopt_area_alloc();
	if (!area || !segment ||
	    (segments->nr == IOPT_AREAS_STEP && !segments->rest)) {
		if (segment != &segments->first)
			kfree(segment);
		kfree(area);
		iopt_pages_put(pages);
		return -ENOMEM;
	}
	segment->area = area;
	segment->pages = pages;
	segment->start_byte = start_byte;
	segment->length = length;
	list_add_tail(&segment->item, &segments->list);
	segments->nr++;
	return 0;
}

/* Free segments. Areas that were not published are unmapped and freed. */
static void iopt_free_segments(struct iopt_segments *segments)
{
	struct iopt_segment *segment, *next;

	list_for_each_entry_safe(segment, next, &segments->list, item) {
		if (segment->area) {
			if (segment->area->iopt)
				iopt_area_unfill_domains(segment->area,
							 segment->pages);
			iopt_area_remove(segment->area);
		}
		iopt_pages_put(segment->pages);
		if (segment == &segments->first)
			continue;
		kfree(segment);
		cond_resched();
	}
	if (segments->rest)
		iopt_area_remove(segments->rest);
}

/*
 * Add the segments of user memory: a single one, or with &iopt_segments.split one for
 * each range of PFNMAP memory of one VMA and one for each range of other memory.
 */
static int iopt_add_user_segments(struct iopt_segments *segments,
				  struct iopt_map *map, void __user *uptr)
{
	unsigned long length, left = map->length;
	bool writable = map->prot & IOMMU_WRITE;
	struct iopt_pages *pages;
	int rc;

	for (;;) {
		bool pfnmap = false;

		length = left;
		if (segments->split)
			length = iopt_pfnmap_range_length(uptr, left, &pfnmap);
		if (pfnmap)
			pages = iopt_pages_alloc_pfnmap(uptr, length, writable);
		else
			pages = iopt_pages_alloc_user(uptr, length, writable,
						      map->account_mode);
		if (IS_ERR(pages))
			return PTR_ERR(pages);
		rc = iopt_add_segment(segments, pages,
				      offset_in_page((unsigned long)uptr),
				    length);
		if (rc)
			return rc;
		uptr += length;
		left -= length;
		if (!left)
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* Allocate or check the IOVAs, and check the number of mappings. */
static int iopt_find_iova(struct io_pagetable *iopt, struct iopt_map *map,
			  const struct iopt_segment *segment,
			  unsigned long *iova)
{
	int rc;

	if (map->length & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (map->flags & IOPT_ALLOC_IOVA)
		rc = iopt_choose_iova(iopt, iova, segment->pages->start +
						  segment->start_byte,
				      map->length);
	else
		rc = iopt_check_iova(iopt, *iova, map->length);
	if (rc)
		return rc;
	if (map->max_mappings && iopt->num_areas - iopt->num_joined >=
				 READ_ONCE(*map->max_mappings))
		return -ENOSPC;
	return 0;
}

/*
 * Insert up to IOPT_AREAS_STEP areas from @iova on, and reserve the IOVAs behind them for
 * the rest. @next is set to the first segment that remains, if any. Return: 1 if one
 * remains, 0 or the error of iopt_area_insert().
 */
static int iopt_insert_step(struct io_pagetable *iopt,
			    const struct iopt_map *map,
			    struct iopt_segments *segments,
			    struct iopt_segment **next, unsigned long *iova)
{
	struct iopt_segment *segment = *next;
	unsigned int n = 0;
	int rc;

	list_for_each_entry_from(segment, &segments->list, item) {
		if (n++ == IOPT_AREAS_STEP)
			break;
		segment->area->joined = map->flags & IOPT_PFNMAP &&
				      *iova != map->iova;
		rc = iopt_pages_check_area(segment->pages, segment->start_byte,
					   segment->length, map->prot);
		rc = rc ?: iopt_area_insert(segment->area, iopt, *iova,
					    segment->start_byte, segment->length,
					    map->prot);
		if (rc)
			return rc;
		*iova += segment->length;
	}
	if (list_entry_is_head(segment, &segments->list, item))
		return 0;
	*next = segment;
	rc = iopt_area_insert(segments->rest, iopt, *iova, 0,
			      map->iova + map->length - *iova, 0);
	return rc ?: 1;
}

/*
 * Insert the areas without publishing them, which reserves the IOVAs. After an error,
 * iopt_free_segments() removes those that are inserted.
 */
static int iopt_insert_segments(struct io_pagetable *iopt, struct iopt_map *map,
				struct iopt_segments *segments)
{
	struct iopt_segment *next = &segments->first;
	unsigned long iova = map->iova;
	int rc;

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	rc = iopt_find_iova(iopt, map, next, &iova);
	if (rc)
		goto out_unlock;

	/* Dirty IOVAs in the spills do not belong to the new mapping. */
	iopt_discard_dirty(iopt, iova, iova + map->length - 1);
	map->iova = iova;
	while ((rc = iopt_insert_step(iopt, map, segments, &next, &iova)) > 0) {
		up_write(&iopt->iova_rwsem);
		cond_resched();
		if (fatal_signal_pending(current) ||
		    down_write_killable(&iopt->iova_rwsem))
			return -EINTR;
		iopt_area_unlink(segments->rest);
		segments->rest->iopt = NULL;
	}

out_unlock:
	up_write(&iopt->iova_rwsem);
	return rc;
}

static bool iopt_has_pfnmap(const struct iopt_map *map,
			    const void __user *uptr)
{
	bool pfnmap;

	return iopt_pfnmap_range_length(uptr, map->length, &pfnmap) <
		       map->length || pfnmap;
}

/* Check whether segments that are not split have PFNMAP memory, if it is allowed. */
static bool iopt_must_split(const struct iopt_map *map,
			    const struct iopt_segments *segments)
{
	const struct iopt_segment *segment = &segments->first;

	return map->flags & IOPT_PFNMAP && !segments->split &&
	       iopt_has_pfnmap(map, u64_to_user_ptr(segment->pages->start +
						   segment->start_byte));
}

static int iopt_fill_segments(struct io_pagetable *iopt, struct iopt_map *map,
			      struct iopt_segments *segments)
{
	struct iopt_segment *segment;
	int rc;

	/* Without a domain, no pin fails with -EFAULT and thereby detects a PFNMAP. */
	if (list_empty(&iopt->domains) && iopt_must_split(map, segments))
		return -EFAULT;

	list_for_each_entry(segment, &segments->list, item) {
		rc = iopt_area_fill_domains(segment->area, segment->pages);
		if (rc)
			return rc;
	}
	return 0;
}

/* Publish the areas, the last one first. Each gets a reference on its iopt_pages. */
static void iopt_publish_segments(struct io_pagetable *iopt,
				  struct iopt_segments *segments)
{
	struct iopt_segment *segment;
	unsigned int n = 0;

	down_write(&iopt->iova_rwsem);
	list_for_each_entry_reverse(segment, &segments->list, item) {
		if (n++ == IOPT_AREAS_STEP) {
			up_write(&iopt->iova_rwsem);
			cond_resched();
			down_write(&iopt->iova_rwsem);
			n = 1;
		}
		iopt_pages_get(segment->pages);
		segment->area->pages = segment->pages;
		segment->area = NULL;
	}
	up_write(&iopt->iova_rwsem);
}

/* Map segments at adjacent IOVAs. Frees the segments, also on an error. */
static int iopt_map_segments(struct io_pagetable *iopt, struct iopt_map *map,
			     struct iopt_segments *segments)
{
	unsigned long iova = map->iova;
	int rc;

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc) {
		iopt_free_segments(segments);
		return rc;
	}
	rc = iopt_insert_segments(iopt, map, segments);
	if (!rc)
		rc = iopt_fill_segments(iopt, map, segments);
	if (!rc)
		iopt_publish_segments(iopt, segments);
	else
		map->iova = iova;
	iopt_free_segments(segments);
	up_read(&iopt->domains_rwsem);
	return rc;
}

static int iopt_map_user_segments(struct io_pagetable *iopt,
				  struct iopt_map *map, void __user *uptr,
				bool split)
{
	struct iopt_segments segments;
	int rc;

	iopt_init_segments(&segments, split);
	rc = iopt_add_user_segments(&segments, map, uptr);
	if (rc) {
		iopt_free_segments(&segments);
		return rc;
	}
	return iopt_map_segments(iopt, map, &segments);
}

static void iopt_trace_map(const struct io_pagetable *iopt,
			   const struct iopt_map *map, int rc, u64 begin)
{
	trace_iopt_map(iopt->id, map->iova, map->length, map->prot, rc,
		       iopt_trace_ns(begin));
}

/**
 * iopt_map_user_pages() - map memory of the current process
 * @iopt: the IOAS
 * @map: the range of IOVAs, and how to map it
 * @uptr: address of the first byte; needs no alignment but &io_pagetable.iova_alignment
 *
 * Pins the memory if @iopt has a domain. Otherwise the memory is pinned when @iopt gets
 * a domain, or an access pins it. With IOPT_PFNMAP, the memory may have PFNMAPs: they
 * are not pinned, and are mapped by areas of their own.
 *
 * Return: 0, or, with nothing changed,
 * * -EINVAL: the length is 0 or more than ULONG_MAX - PAGE_SIZE; the length, the IOVA or
 *   the offset of @uptr in its page is not aligned to &io_pagetable.iova_alignment; or a
 *   part of the range is reserved
 * * -EOVERFLOW: a range wraps, or the length is too large for an IOVA to be allocated
 * * -EEXIST: an area overlaps the range
 * * -ENOSPC: no free range of IOVAs is large enough, or @iopt has
 *   &iopt_map.max_mappings already
 * * -EFAULT: there is no memory at an address, or a PFNMAP without IOPT_PFNMAP
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EINTR: the process received a fatal signal
 * * another error of iopt_area_fill_domains()
 * Context: takes &io_pagetable.domains_rwsem for reading and &io_pagetable.iova_rwsem for
 * writing; may sleep.
 */
int iopt_map_user_pages(struct io_pagetable *iopt, struct iopt_map *map,
			void __user *uptr)
{
	u64 begin = iopt_trace_begin(iopt_map);
	int rc = iopt_map_user_segments(iopt, map, uptr, false);

	/*
	 * A PFNMAP can be neither pinned nor accounted. It is rare, so VMAs are
	 * searched for one only after pinning or accounting has failed.
	 */
	if (map->flags & IOPT_PFNMAP && (rc == -EFAULT || rc == -ENOMEM) &&
	    iopt_has_pfnmap(map, uptr))
		rc = iopt_map_user_segments(iopt, map, uptr, true);
	iopt_trace_map(iopt, map, rc, begin);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_map_user_pages, IOMMU_IOPT);

/**
 * iopt_map_file_pages() - map memory of a file
 * @iopt: the IOAS
 * @map: the range of IOVAs, and how to map it; without IOPT_PFNMAP
 * @file: a file of memfd, shmem or hugetlbfs
 * @start: byte offset in @file
 *
 * Return: as iopt_map_user_pages() and iopt_pages_alloc_file().
 * Context: takes &io_pagetable.domains_rwsem for reading and &io_pagetable.iova_rwsem for
 * writing; may sleep.
 */
int iopt_map_file_pages(struct io_pagetable *iopt, struct iopt_map *map,
			struct file *file, u64 start)
{
	u64 begin = iopt_trace_begin(iopt_map);
	struct iopt_segments segments;
	struct iopt_pages *pages;
	int rc;

	pages = iopt_pages_alloc_file(file, start, map->length,
				      map->prot & IOMMU_WRITE,
				      map->account_mode);
	rc = PTR_ERR_OR_ZERO(pages);
	if (!rc) {
		iopt_init_segments(&segments, false);
		rc = iopt_add_segment(&segments, pages, offset_in_page(start),
				      map->length);
		rc = rc ?: iopt_map_segments(iopt, map, &segments);
	}
	iopt_trace_map(iopt, map, rc, begin);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_map_file_pages, IOMMU_IOPT);

/*
 * Add a segment for each of up to IOPT_AREAS_STEP areas that map a part of a range of the
 * source. Return: 1 with @iova set to the first IOVA that remains; 0 at the end of the
 * range; or an error as iopt_copy_iova().
 */
static int iopt_collect_step(struct io_pagetable *iopt, unsigned long *iova,
			     unsigned long last, struct iopt_segments *segments)
{
	struct iopt_area_contig contig;
	unsigned int n = 0;
	int rc;

	lockdep_assert_held_read(&iopt->iova_rwsem);

	iopt_for_each_contig_area(&contig, iopt, *iova, last) {
		if (n++ == IOPT_AREAS_STEP) {
			*iova = contig.iova;
			return 1;
		}
		if (contig.area->vaddr_invalid)
			return -EBUSY;
		/* A BAR may be accessed by the devices of its container only. */
		if (contig.area->pages->ops->pfnmap)
			return -EFAULT;
		iopt_pages_get(contig.area->pages);
		rc = iopt_add_segment(segments, contig.area->pages,
				      iopt_area_start_byte(contig.area,
							   contig.iova),
				      contig.last - contig.iova + 1);
		if (rc)
			return rc;
	}
	return iopt_area_contig_done(&contig) ? 0 : -ENOENT;
}

/* Add a segment for each area that maps a part of a range. Return: as iopt_copy_iova(). */
static int iopt_collect_segments(struct io_pagetable *iopt, unsigned long iova,
				 unsigned long last,
				 struct iopt_segments *segments)
{
	int rc;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		rc = down_read_killable(&iopt->iova_rwsem);
		if (rc)
			return rc;
		rc = iopt_collect_step(iopt, &iova, last, segments);
		up_read(&iopt->iova_rwsem);
	} while (rc > 0);
	return rc;
}

/* Map the memory of [src_iova, last] of an IOAS. Return: as iopt_copy_iova(). */
static int iopt_copy_range(struct io_pagetable *iopt, struct iopt_map *map,
			   struct io_pagetable *src, unsigned long src_iova,
			   unsigned long last)
{
	struct iopt_segments segments;
	int rc;

	iopt_init_segments(&segments, false);
	rc = iopt_collect_segments(src, src_iova, last, &segments);
	if (rc) {
		iopt_free_segments(&segments);
		return rc;
	}
	return iopt_map_segments(iopt, map, &segments);
}

/**
 * iopt_copy_iova() - map memory that an IOAS maps already
 * @iopt: the IOAS to map the memory in
 * @map: the range of IOVAs in @iopt, and how to map it
 * @src: the IOAS that maps the memory, which may be @iopt
 * @src_iova: first IOVA in @src
 *
 * The areas of both IOASes share the iopt_pages: the memory is neither pinned nor
 * accounted a second time. The copy has an area for each area in the range of @src. Areas
 * that another task maps or unmaps there during the call are copied or not.
 *
 * Return: as iopt_map_user_pages(), or, with nothing changed,
 * * -ENOENT: a part of the range in @src is not mapped
 * * -EFAULT: the range in @src has a PFNMAP
 * * -EPERM: the copy is writable, but the memory was mapped for reading only
 * * -EBUSY: memory in the range of @src has no address: &iopt_area.vaddr_invalid
 * Context: takes &io_pagetable.iova_rwsem of @src for reading; after it is dropped, takes
 * &io_pagetable.domains_rwsem of @iopt for reading and &io_pagetable.iova_rwsem of @iopt
 * for writing; may sleep.
 */
int iopt_copy_iova(struct io_pagetable *iopt, struct iopt_map *map,
		   struct io_pagetable *src, unsigned long src_iova)
{
	u64 begin = iopt_trace_begin(iopt_map);
	unsigned long last;
	int rc;

	if (!map->length)
		return -EINVAL;
	if (check_add_overflow(src_iova, map->length - 1, &last))
		return -EOVERFLOW;
	rc = iopt_copy_range(iopt, map, src, src_iova, last);
	iopt_trace_map(iopt, map, rc, begin);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_copy_iova, IOMMU_IOPT);
