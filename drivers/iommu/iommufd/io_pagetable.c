// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IO page table
 *
 * An io_pagetable maps memory at IOVAs. It keeps areas, and whatever domains it
 * has are filled with all of them; in-kernel users see the same areas without a
 * domain. Mapping takes the IOVAs first, fills the domains without the lock of
 * the IOVAs, and then shows the area to everybody; unmapping is the same
 * backwards. Only whole areas are unmapped, so what is mapped by one call is
 * unmapped by one call.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iopt_area.h"
#include "iopt_dirty.h"
#include "iopt_pages.h"
#include "iova_space.h"

/* How often somebody is asked to unpin before it counts as a bug of his. */
#define IOPT_UNMAP_TRIES	100

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
 * iopt_init_table() - an empty table
 * @iopt: the table
 */
void iopt_init_table(struct io_pagetable *iopt)
{
	init_rwsem(&iopt->domains_rwsem);
	init_rwsem(&iopt->iova_rwsem);
	iopt->area_itree = RB_ROOT_CACHED;
	iopt->allowed_itree = RB_ROOT_CACHED;
	iopt->reserved_itree = RB_ROOT_CACHED;
	xa_init_flags(&iopt->domains, XA_FLAGS_ACCOUNT);
	xa_init_flags(&iopt->access_list, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	iopt->next_domain_id = 0;
	iopt->disable_large_pages = false;
	iopt->iova_alignment = 1;
}

/**
 * iopt_destroy_table() - free what an empty table still has
 * @iopt: without areas, domains and accesses
 */
void iopt_destroy_table(struct io_pagetable *iopt)
{
	/* What a test reserved has no owner that would give it back. */
	if (IS_ENABLED(CONFIG_IOMMUFD_TEST))
		iopt_remove_reserved_iova(iopt, NULL);
	iopt_free_allowed(&iopt->allowed_itree);

	WARN_ON(!RB_EMPTY_ROOT(&iopt->area_itree.rb_root));
	WARN_ON(!RB_EMPTY_ROOT(&iopt->reserved_itree.rb_root));
	WARN_ON(!xa_empty(&iopt->domains));
	WARN_ON(!xa_empty(&iopt->access_list));
	xa_destroy(&iopt->domains);
	xa_destroy(&iopt->access_list);
}

/* The caller's count of @pages becomes the piece's. */
static int iopt_add_piece(struct list_head *pieces, struct iopt_pages *pages,
			  unsigned long start_byte, unsigned long length)
{
	struct iopt_piece *piece = kzalloc(sizeof(*piece), GFP_KERNEL_ACCOUNT);

	if (piece)
		piece->area = iopt_area_alloc();
	if (!piece || !piece->area) {
		kfree(piece);
		iopt_pages_put(pages);
		return -ENOMEM;
	}
	piece->pages = pages;
	piece->start_byte = start_byte;
	piece->length = length;
	list_add_tail(&piece->item, pieces);
	return 0;
}

/* Pieces whose areas were filled but not shown are emptied again. */
static void iopt_free_pieces(struct list_head *pieces)
{
	struct iopt_piece *piece, *next;

	list_for_each_entry_safe(piece, next, pieces, item) {
		if (piece->area) {
			if (piece->area->iopt)
				iopt_area_unfill_domains(piece->area,
							 piece->pages);
			iopt_area_remove(piece->area);
		}
		iopt_pages_put(piece->pages);
		kfree(piece);
	}
}

/* Take the IOVAs, so that nobody else can. */
static int iopt_insert_pieces(struct io_pagetable *iopt, struct iopt_map *map,
			      struct list_head *pieces)
{
	struct iopt_piece *piece = list_first_entry(pieces, struct iopt_piece,
						    item);
	unsigned long iova = map->iova;
	int rc;

	guard(rwsem_write)(&iopt->iova_rwsem);
	if (map->length & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (map->flags & IOPT_ALLOC_IOVA)
		rc = iopt_choose_iova(iopt, &iova, piece->pages->start +
						   piece->start_byte,
				      map->length);
	else
		rc = iopt_check_iova(iopt, iova, map->length);
	if (rc)
		return rc;

	map->iova = iova;
	list_for_each_entry(piece, pieces, item) {
		rc = iopt_area_insert(piece->area, iopt, piece->pages, iova,
				      piece->start_byte, piece->length,
				      map->prot);
		if (rc)
			return rc;
		iova += piece->length;
	}
	return 0;
}

static int iopt_fill_pieces(struct list_head *pieces)
{
	struct iopt_piece *piece;
	int rc;

	list_for_each_entry(piece, pieces, item) {
		rc = iopt_area_fill_domains(piece->area, piece->pages);
		if (rc)
			return rc;
	}
	return 0;
}

/* Show the areas to everybody: they count the pages from now on. */
static void iopt_show_pieces(struct io_pagetable *iopt,
			     struct list_head *pieces)
{
	struct iopt_piece *piece;

	guard(rwsem_write)(&iopt->iova_rwsem);
	list_for_each_entry(piece, pieces, item) {
		iopt_pages_get(piece->pages);
		piece->area->pages = piece->pages;
		piece->area = NULL;
	}
}

/* Map pieces one behind the other; they are freed whatever comes of it. */
static int iopt_map_pieces(struct io_pagetable *iopt, struct iopt_map *map,
			   struct list_head *pieces)
{
	unsigned long iova = map->iova;
	int rc;

	down_read(&iopt->domains_rwsem);
	rc = iopt_insert_pieces(iopt, map, pieces);
	if (!rc)
		rc = iopt_fill_pieces(pieces);
	if (!rc)
		iopt_show_pieces(iopt, pieces);
	else
		map->iova = iova;
	iopt_free_pieces(pieces);
	up_read(&iopt->domains_rwsem);
	return rc;
}

static int iopt_map_new(struct io_pagetable *iopt, struct iopt_map *map,
			struct iopt_pages *pages, unsigned long start_byte)
{
	LIST_HEAD(pieces);
	int rc;

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	rc = iopt_add_piece(&pieces, pages, start_byte, map->length);
	return rc ?: iopt_map_pieces(iopt, map, &pieces);
}

/**
 * iopt_map_user_pages() - map memory of the current process
 * @iopt: the table
 * @map: where and how
 * @uptr: first byte, at any address
 *
 * Memory is pinned now if the table has a domain, else when it gets one.
 *
 * Return: 0; EINVAL for a length of zero, a length, IOVA or offset into a page
 * that is not aligned as the table needs it, or a reserved IOVA; EOVERFLOW where
 * a range wraps; EEXIST where something is mapped there; ENOSPC where no IOVA is
 * to be had; EFAULT where there is no memory to pin, ENOMEM where too much of it
 * would be; or what the driver gives. After an error everything is as before.
 * Context: takes the table's locks; may sleep.
 */
int iopt_map_user_pages(struct io_pagetable *iopt, struct iopt_map *map,
			void __user *uptr)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_user(uptr, map->length,
				      map->prot & IOMMU_WRITE,
				      map->account_mode);
	return iopt_map_new(iopt, map, pages,
			    offset_in_page((unsigned long)uptr));
}

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
			struct file *file, unsigned long start)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_file(file, start, map->length,
				      map->prot & IOMMU_WRITE,
				      map->account_mode);
	return iopt_map_new(iopt, map, pages, offset_in_page(start));
}

/* The memory behind a range of IOVAs, without a gap. */
static int iopt_collect_pieces(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last, struct list_head *pieces)
{
	struct iopt_area_contig contig;
	int rc;

	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_contig_area(&contig, iopt, iova, last) {
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
 * mapped, EPERM for a writable copy of memory that was mapped for reading.
 * Context: takes the tables' locks, one after the other; may sleep.
 */
int iopt_copy_iova(struct io_pagetable *iopt, struct iopt_map *map,
		   struct io_pagetable *src, unsigned long src_iova)
{
	unsigned long last;
	LIST_HEAD(pieces);
	int rc;

	if (!map->length)
		return -EINVAL;
	if (check_add_overflow(src_iova, map->length - 1, &last))
		return -EOVERFLOW;
	rc = iopt_collect_pieces(src, src_iova, last, &pieces);
	if (rc) {
		iopt_free_pieces(&pieces);
		return rc;
	}
	return iopt_map_pieces(iopt, map, &pieces);
}

/* Have everybody unpin what he holds of a range. No lock is held. */
static void iopt_notify_unmap(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long length)
{
	struct iopt_access *access;
	unsigned long i;

	xa_lock(&iopt->access_list);
	xa_for_each(&iopt->access_list, i, access) {
		if (!access->ops->get(access))
			continue;
		xa_unlock(&iopt->access_list);
		access->ops->unmap(access, iova, length);
		access->ops->put(access);
		xa_lock(&iopt->access_list);
	}
	xa_unlock(&iopt->access_list);
}

/* Take an area off: it is hidden first, then emptied, then its IOVAs are free. */
static void iopt_unmap_area(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	area->pages = NULL;
	up_write(&iopt->iova_rwsem);

	iopt_area_unfill_domains(area, pages);
	iopt_pages_put(pages);

	down_write(&iopt->iova_rwsem);
	iopt_forget_dirty(iopt, iopt_area_iova(area), iopt_area_last_iova(area));
	interval_tree_remove(&area->node, &iopt->area_itree);
	kfree(area);
}

/**
 * struct iopt_unmap - a range that is being unmapped
 * @start: everything in front of it is done
 * @last: last byte
 * @bytes: bytes unmapped
 * @tries: how often users of the area at @start were asked to unpin
 */
struct iopt_unmap {
	unsigned long start;
	unsigned long last;
	unsigned long bytes;
	unsigned int tries;
};

/*
 * Unmap areas until the end, or until one has users that have to be asked first:
 * then gives 1, with @area_iova and @length of that one.
 */
static int iopt_unmap_some(struct io_pagetable *iopt, struct iopt_unmap *unmap,
			   unsigned long *area_iova, unsigned long *length)
{
	struct iopt_area *area;
	unsigned long area_last;

	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	while ((area = iopt_area_first(iopt, unmap->start, unmap->last))) {
		if (!area->pages)
			return -EBUSY;
		area_last = iopt_area_last_iova(area);
		if (iopt_area_iova(area) < unmap->start ||
		    area_last > unmap->last)
			return -ENOENT;
		*area_iova = iopt_area_iova(area);
		*length = iopt_area_length(area);
		if (area->num_accesses) {
			area->prevent_access = true;
			return 1;
		}
		iopt_unmap_area(iopt, area);
		unmap->bytes += *length;
		unmap->tries = 0;
		/* Others may map where we have been: that is not ours. */
		if (area_last == unmap->last)
			break;
		unmap->start = area_last + 1;
	}
	return 0;
}

static int iopt_unmap_range(struct io_pagetable *iopt, unsigned long start,
			    unsigned long last, unsigned long *unmapped)
{
	struct iopt_unmap unmap = { .start = start, .last = last };
	unsigned long iova, length;
	int rc;

	while ((rc = iopt_unmap_some(iopt, &unmap, &iova, &length)) > 0) {
		unmap.start = iova;
		if (WARN_ON(unmap.tries++ == IOPT_UNMAP_TRIES)) {
			rc = -EDEADLOCK;
			break;
		}
		iopt_notify_unmap(iopt, iova, length);
	}
	if (unmapped)
		*unmapped = unmap.bytes;
	return rc;
}

/**
 * iopt_unmap_iova() - unmap all areas of a range
 * @iopt: the table
 * @iova: first byte
 * @length: bytes
 * @unmapped: set to the bytes that were unmapped, also after an error; or NULL
 *
 * In-kernel users are told to unpin before.
 *
 * Return: 0, also where nothing is mapped; EINVAL for a length of zero,
 * EOVERFLOW where the range wraps, ENOENT where it would cut an area, EBUSY where
 * somebody else is mapping or unmapping there, EDEADLOCK where an in-kernel user
 * does not unpin.
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long *unmapped)
{
	unsigned long last;

	if (unmapped)
		*unmapped = 0;
	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	return iopt_unmap_range(iopt, iova, last, unmapped);
}

/**
 * iopt_unmap_all() - unmap everything
 * @iopt: the table
 * @unmapped: as for iopt_unmap_iova(); ULONG_MAX bytes and one look like 0
 *
 * Return: as iopt_unmap_iova().
 * Context: takes the table's locks; may sleep.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	return iopt_unmap_range(iopt, 0, ULONG_MAX, unmapped);
}
