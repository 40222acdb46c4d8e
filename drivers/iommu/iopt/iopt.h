/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of the engine, for iommufd and the VFIO type1 container.
 */
#ifndef __IOPT_H
#define __IOPT_H

#include <linux/bits.h>
#include <linux/types.h>

#include "dirty/iopt_dirty.h"
#include "dirty/iopt_track.h"
#include "domains/iopt_domain.h"
#include "iopt_access.h"
#include "memory/iopt_account.h"
#include "space/io_pagetable.h"
#include "space/iova_space.h"

struct file;
struct iommu_domain;

/* &iopt_map.flags: allocate the IOVA. */
#define IOPT_ALLOC_IOVA		BIT(0)
/* &iopt_map.flags: user memory may have PFNMAPs, such as the BAR of a device. */
#define IOPT_PFNMAP		BIT(1)

/**
 * struct iopt_map - arguments of a map or copy
 * @iova: first IOVA; with IOPT_ALLOC_IOVA, set on success
 * @length: length in bytes
 * @prot: IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE ...
 * @flags: IOPT_ALLOC_IOVA, IOPT_PFNMAP
 * @account_mode: counter that pages are charged to; a copy ignores it
 * @max_mappings: maximum number of areas in the IOAS, without those that have
 *	&iopt_area.joined set; NULL for no limit
 */
struct iopt_map {
	unsigned long iova;
	unsigned long length;
	int prot;
	unsigned int flags;
	enum iopt_account_mode account_mode;
	const unsigned int *max_mappings;
};

/* iopt_map.c: map and copy */
int iopt_map_user_pages(struct io_pagetable *iopt, struct iopt_map *map,
			void __user *uptr);
int iopt_map_file_pages(struct io_pagetable *iopt, struct iopt_map *map,
			struct file *file, u64 start);
int iopt_copy_iova(struct io_pagetable *iopt, struct iopt_map *map,
		   struct io_pagetable *src, unsigned long src_iova);

/* iopt_unmap.c */
int iopt_unmap_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long *unmapped);
int iopt_unmap_page(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long *unmapped);
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped);
int iopt_unmap_dirty(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query,
		     unsigned long *unmapped);

/* iopt_vaddr.c: change the address of user memory */
int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *invalidated);
int iopt_update_vaddr(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, unsigned long vaddr,
		      enum iopt_account_mode account_mode);

/* iopt_split.c: split areas, for unmaps of type1 */
int iopt_split_areas(struct io_pagetable *iopt, const unsigned long *iovas,
		     size_t num_iovas);

/* iopt_attach.c: add and remove domains */
int iopt_update_alignment(struct io_pagetable *iopt,
			  const struct iommu_domain *domain);
int iopt_table_add_domain(struct io_pagetable *iopt,
			  struct iommu_domain *domain);
void iopt_table_remove_domain(struct io_pagetable *iopt,
			      struct iommu_domain *domain);
int iopt_enable_large_pages(struct io_pagetable *iopt);
int iopt_disable_large_pages(struct io_pagetable *iopt);

#endif
