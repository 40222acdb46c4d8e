/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of the engine: what /dev/iommu and VFIO's container are built on.
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

/* For &iopt_map.flags: choose the IOVA. */
#define IOPT_ALLOC_IOVA		BIT(0)
/* For &iopt_map.flags: user memory may be PFNMAPs, such as a device's BAR. */
#define IOPT_PFNMAP		BIT(1)

/**
 * struct iopt_map - where a new mapping goes
 * @iova: first byte; filled in on success with IOPT_ALLOC_IOVA
 * @length: bytes
 * @prot: IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE ...
 * @flags: IOPT_ALLOC_IOVA, IOPT_PFNMAP or 0
 * @account_mode: for memory that is new to the kernel; not used by a copy
 * @max_mappings: how many mappings there may be; NULL for any number
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
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped);
int iopt_unmap_dirty(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query,
		     unsigned long *unmapped);

/* iopt_vaddr.c: user memory whose address is going to change */
int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *invalidated);
int iopt_update_vaddr(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, unsigned long vaddr,
		      enum iopt_account_mode account_mode);

/* iopt_split.c: areas split in two, for type1 v1 */
int iopt_split_areas(struct io_pagetable *iopt, const unsigned long *iovas,
		     size_t num_iovas);

/* iopt_attach.c: the domains that areas are mapped in */
int iopt_update_alignment(struct io_pagetable *iopt,
			  const struct iommu_domain *domain);
int iopt_table_add_domain(struct io_pagetable *iopt,
			  struct iommu_domain *domain);
void iopt_table_remove_domain(struct io_pagetable *iopt,
			      struct iommu_domain *domain);
int iopt_enable_large_pages(struct io_pagetable *iopt);
int iopt_disable_large_pages(struct io_pagetable *iopt);

#endif
