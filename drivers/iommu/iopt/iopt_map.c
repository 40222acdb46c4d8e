// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: mapping
 *
 * What is mapped by one call are pieces, each a slice of an iopt_pages, that
 * become areas one behind the other: either all of them or none. A piece takes
 * its IOVAs first, then fills the domains without the lock of the IOVAs, and at
 * last the area is shown to everybody.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "domains/area_fill.h"
#include "iopt.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/**
 * struct iopt_piece - a slice of pages that is going to be an area
 * @item: in a list of pieces, in the order of their IOVAs
 * @pages: the pages, counted
 * @start_byte: where in @pages it begins
 * @length: bytes
 * @area: the area, or NULL before there is one and after it was mapped
 */
struct iopt_piece {
	struct list_head item;
	struct iopt_pages *pages;
	unsigned long start_byte;
	unsigned long length;
	struct iopt_area *area;
};

/**
 * struct iopt_pieces - what one call maps
 * @list: of iopt_piece
 * @first: the first piece, and mostly the only one; the others are allocated
 * @split: no piece has both a PFNMAP and other memory
 *
 * Owner: the calling thread, on its stack, until iopt_free_pieces().
 */
struct iopt_pieces {
	struct list_head list;
	struct iopt_piece first;
	bool split;
};

static void iopt_init_pieces(struct iopt_pieces *pieces, bool split)
{
	INIT_LIST_HEAD(&pieces->list);
	pieces->split = split;
}

/* The caller's count of @pages becomes the piece's. */
static int iopt_add_piece(struct iopt_pieces *pieces, struct iopt_pages *pages,
			  unsigned long start_byte, unsigned long length)
{
	struct iopt_area *area = iopt_area_alloc();
	struct iopt_piece *piece = &pieces->first;

	if (area && !list_empty(&pieces->list))
		piece = kmalloc(sizeof(*piece), GFP_KERNEL_ACCOUNT);
	if (!area || !piece) {
		kfree(area);
		iopt_pages_put(pages);
		return -ENOMEM;
	}
	piece->area = area;
	piece->pages = pages;
	piece->start_byte = start_byte;
	piece->length = length;
	list_add_tail(&piece->item, &pieces->list);
	return 0;
}

/* Pieces whose areas were filled but not shown are emptied again. */
static void iopt_free_pieces(struct iopt_pieces *pieces)
{
	struct iopt_piece *piece, *next;

	list_for_each_entry_safe(piece, next, &pieces->list, item) {
		if (piece->area) {
			if (piece->area->iopt)
				iopt_area_unfill_domains(piece->area,
							 piece->pages);
			iopt_area_remove(piece->area);
		}
		iopt_pages_put(piece->pages);
		if (piece != &pieces->first)
			kfree(piece);
		cond_resched();
	}
}

/*
 * A single piece, or if they are split one for each stretch of ordinary memory, and
 * of a device's: those begin and end with pages, whatever the rest does.
 */
static int iopt_add_user_pieces(struct iopt_pieces *pieces,
				struct iopt_map *map, void __user *uptr)
{
	unsigned long length, left = map->length;
	bool writable = map->prot & IOMMU_WRITE;
	struct iopt_pages *pages;
	int rc;

	do {
		bool pfnmap = false;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		length = left;
		if (pieces->split)
			length = iopt_pfnmap_range_length(uptr, left, &pfnmap);
		if (pfnmap)
			pages = iopt_pages_alloc_pfnmap(uptr, length, writable);
		else
			pages = iopt_pages_alloc_user(uptr, length, writable,
						      map->account_mode);
		if (IS_ERR(pages))
			return PTR_ERR(pages);
		rc = iopt_add_piece(pieces, pages,
				    offset_in_page((unsigned long)uptr),
				    length);
		if (rc)
			return rc;
		uptr += length;
		left -= length;
	} while (left);
	return 0;
}

/* Choose or check the IOVAs. */
static int iopt_find_iova(struct io_pagetable *iopt, struct iopt_map *map,
			  const struct iopt_piece *piece, unsigned long *iova)
{
	int rc;

	if (map->length & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (map->flags & IOPT_ALLOC_IOVA)
		rc = iopt_choose_iova(iopt, iova, piece->pages->start +
						  piece->start_byte,
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

/* Insert the areas, not published yet, so that the IOVAs are taken. */
static int iopt_insert_pieces(struct io_pagetable *iopt, struct iopt_map *map,
			      struct iopt_pieces *pieces)
{
	struct iopt_piece *piece = &pieces->first;
	unsigned long iova = map->iova;
	int rc;

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		return rc;
	rc = iopt_find_iova(iopt, map, piece, &iova);
	if (rc)
		goto out_unlock;

	/* What is pending there belongs to nothing that is mapped. */
	iopt_discard_dirty(iopt, iova, iova + map->length - 1);
	map->iova = iova;
	list_for_each_entry(piece, &pieces->list, item) {
		piece->area->joined = map->flags & IOPT_PFNMAP &&
				      iova != map->iova;
		rc = iopt_pages_check_area(piece->pages, piece->start_byte,
					   piece->length, map->prot);
		rc = rc ?: iopt_area_insert(piece->area, iopt, iova,
					    piece->start_byte, piece->length,
					    map->prot);
		if (rc)
			break;
		iova += piece->length;
		cond_resched();
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

static bool iopt_must_split(const struct iopt_map *map,
			    const struct iopt_pieces *pieces)
{
	const struct iopt_piece *piece = &pieces->first;

	return map->flags & IOPT_PFNMAP && !pieces->split &&
	       iopt_has_pfnmap(map, u64_to_user_ptr(piece->pages->start +
						   piece->start_byte));
}

static int iopt_fill_pieces(struct io_pagetable *iopt, struct iopt_map *map,
			    struct iopt_pieces *pieces)
{
	struct iopt_piece *piece;
	int rc;

	/* Without a domain nothing is pinned, and so nothing fails. */
	if (!iopt->next_domain_id && iopt_must_split(map, pieces))
		return -EFAULT;

	list_for_each_entry(piece, &pieces->list, item) {
		rc = iopt_area_fill_domains(piece->area, piece->pages);
		if (rc)
			return rc;
	}
	return 0;
}

/* Show the areas to everybody: they count the pages from now on. */
static void iopt_show_pieces(struct io_pagetable *iopt,
			     struct iopt_pieces *pieces)
{
	struct iopt_piece *piece;

	guard(rwsem_write)(&iopt->iova_rwsem);
	list_for_each_entry(piece, &pieces->list, item) {
		iopt_pages_get(piece->pages);
		piece->area->pages = piece->pages;
		piece->area = NULL;
		cond_resched();
	}
}

/* Map pieces one behind the other; they are freed whatever comes of it. */
static int iopt_map_pieces(struct io_pagetable *iopt, struct iopt_map *map,
			   struct iopt_pieces *pieces)
{
	unsigned long iova = map->iova;
	int rc;

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc) {
		iopt_free_pieces(pieces);
		return rc;
	}
	rc = iopt_insert_pieces(iopt, map, pieces);
	if (!rc)
		rc = iopt_fill_pieces(iopt, map, pieces);
	if (!rc)
		iopt_show_pieces(iopt, pieces);
	else
		map->iova = iova;
	iopt_free_pieces(pieces);
	up_read(&iopt->domains_rwsem);
	return rc;
}

static int iopt_map_user_pieces(struct io_pagetable *iopt,
				struct iopt_map *map, void __user *uptr,
				bool split)
{
	struct iopt_pieces pieces;
	int rc;

	iopt_init_pieces(&pieces, split);
	rc = iopt_add_user_pieces(&pieces, map, uptr);
	if (rc) {
		iopt_free_pieces(&pieces);
		return rc;
	}
	return iopt_map_pieces(iopt, map, &pieces);
}

/**
 * iopt_map_user_pages() - map memory of the current process
 * @iopt: the table
 * @map: where and how
 * @uptr: first byte, at any address
 *
 * Memory is pinned now if the table has a domain, else when it gets one. What is
 * a PFNMAP, where there may be any, is not pinned, and becomes areas of its own.
 *
 * Return: 0; EINVAL for a length of zero, a length, IOVA or offset into a page
 * that is not aligned as the table needs it, or a reserved IOVA; EOVERFLOW where
 * a range wraps; EEXIST where something is mapped there; ENOSPC where no IOVA is
 * to be had, or there are &iopt_map.max_mappings; EFAULT where there is no memory
 * to pin, ENOMEM where too much of it would be; or what the driver gives. After an
 * error everything is as before.
 * Context: takes the table's locks; may sleep.
 */
int iopt_map_user_pages(struct io_pagetable *iopt, struct iopt_map *map,
			void __user *uptr)
{
	int rc = iopt_map_user_pieces(iopt, map, uptr, false);

	/*
	 * A PFNMAP cannot be pinned, and is not accounted. It is rare, so that
	 * VMAs are looked at only where pinning or accounting failed.
	 */
	if (map->flags & IOPT_PFNMAP && (rc == -EFAULT || rc == -ENOMEM) &&
	    iopt_has_pfnmap(map, uptr))
		rc = iopt_map_user_pieces(iopt, map, uptr, true);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iopt_map_user_pages, IOMMU_IOPT);

/**
 * iopt_map_file_pages() - map memory of a file
 * @iopt: the table
 * @map: where and how
 * @file: memfd, shmem or hugetlbfs
 * @start: first byte in it
 *
 * Return: as iopt_map_user_pages() and iopt_pages_alloc_file().
 * Context: takes the table's locks; may sleep.
 */
int iopt_map_file_pages(struct io_pagetable *iopt, struct iopt_map *map,
			struct file *file, u64 start)
{
	struct iopt_pages *pages;
	struct iopt_pieces pieces;
	int rc;

	pages = iopt_pages_alloc_file(file, start, map->length,
				      map->prot & IOMMU_WRITE,
				      map->account_mode);
	if (IS_ERR(pages))
		return PTR_ERR(pages);
	iopt_init_pieces(&pieces, false);
	rc = iopt_add_piece(&pieces, pages, offset_in_page(start), map->length);
	return rc ?: iopt_map_pieces(iopt, map, &pieces);
}
EXPORT_SYMBOL_NS_GPL(iopt_map_file_pages, IOMMU_IOPT);

/* The memory behind a range of IOVAs, without a gap. */
static int iopt_collect_pieces(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last,
			       struct iopt_pieces *pieces)
{
	struct iopt_area_contig contig;
	int rc;

	lockdep_assert_held_read(&iopt->iova_rwsem);

	iopt_for_each_contig_area(&contig, iopt, iova, last) {
		if (contig.area->vaddr_invalid)
			return -EBUSY;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		/* A BAR is for the devices of its container only. */
		if (contig.area->pages->ops->pfnmap)
			return -EFAULT;
		iopt_pages_get(contig.area->pages);
		rc = iopt_add_piece(pieces, contig.area->pages,
				    iopt_area_start_byte(contig.area,
							 contig.iova),
				    contig.last - contig.iova + 1);
		if (rc)
			return rc;
	}
	return iopt_area_contig_done(&contig) ? 0 : -ENOENT;
}

/**
 * iopt_copy_iova() - map what is mapped already, there or elsewhere
 * @iopt: the table
 * @map: where and how
 * @src: the table to copy from, which may be @iopt
 * @src_iova: first byte of what to copy
 *
 * Memory is shared: it is neither pinned nor counted a second time.
 *
 * Return: as iopt_map_user_pages(); ENOENT where not all of the source is
 * mapped, EFAULT where the source has a PFNMAP, EPERM for a writable copy of
 * memory that was mapped for reading, EBUSY where the memory has no address now.
 * Context: takes the tables' locks, one after the other; may sleep.
 */
int iopt_copy_iova(struct io_pagetable *iopt, struct iopt_map *map,
		   struct io_pagetable *src, unsigned long src_iova)
{
	unsigned long last;
	struct iopt_pieces pieces;
	int rc;

	if (!map->length)
		return -EINVAL;
	if (check_add_overflow(src_iova, map->length - 1, &last))
		return -EOVERFLOW;
	iopt_init_pieces(&pieces, false);
	rc = down_read_killable(&src->iova_rwsem);
	if (rc)
		return rc;
	rc = iopt_collect_pieces(src, src_iova, last, &pieces);
	up_read(&src->iova_rwsem);
	if (rc) {
		iopt_free_pieces(&pieces);
		return rc;
	}
	return iopt_map_pieces(iopt, map, &pieces);
}
EXPORT_SYMBOL_NS_GPL(iopt_copy_iova, IOMMU_IOPT);
