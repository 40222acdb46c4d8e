/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOVA space of an IOAS: which user memory is mapped at which IOVA, in
 * which IOMMU domains. See io_pagetable.c.
 */
#ifndef __IO_PAGETABLE_H
#define __IO_PAGETABLE_H

#include <linux/bits.h>
#include <linux/interval_tree.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "dirty_spill.h"

struct device;
struct file;
struct iommu_domain;
struct iopt_access;
struct page;

/**
 * struct io_pagetable - one IOVA space
 * @domains_rwsem: write to change @domains, and with it what areas are filled
 *	into; read while an area is being built or torn down
 * @domains: struct iopt_domain by number, 0 to @next_domain_id - 1
 * @next_domain_id: how many domains there are
 * @iova_rwsem: guards everything below
 * @area_itree: struct iopt_area, by IOVA; areas never overlap
 * @allowed_itree: struct iopt_allowed: IOVAs that must stay usable, and where
 *	IOVAs are chosen from; empty where nobody asked
 * @reserved_itree: struct iopt_reserved: IOVAs that cannot be mapped
 * @access_list: struct iopt_access by &iopt_access.id
 * @iova_alignment: what IOVAs and lengths are multiples of, in bytes: the
 *	largest of what domains and accesses need; at most PAGE_SIZE
 * @disable_large_pages: domains get leaves of PAGE_SIZE only, so that areas
 *	can be split
 * @num_areas: areas in @area_itree
 * @num_joined: how many of them are &iopt_area.joined
 * @num_invalid: areas of memory that has no address now, see iopt_vaddr.c
 * @tracking: dirty pages of the whole table are followed, see iopt_track.c
 * @spill: with @tracking, dirty IOVAs that no domain will tell of
 *
 * Owner: whoever embeds it, from iopt_init_table() to iopt_destroy_table().
 *
 * Lock order: @domains_rwsem, @iova_rwsem, &iopt_domain.query_rwsem,
 * &iopt_pages.mutex, &dirty_spill.lock. The mmap lock is taken inside any of
 * them but the last. @domains and @access_list change under both rwsems held
 * for writing, either of them held in any way lets them be read.
 * @iova_alignment and @disable_large_pages are the same.
 */
struct io_pagetable {
	struct rw_semaphore domains_rwsem;
	struct xarray domains;
	unsigned int next_domain_id;

	struct rw_semaphore iova_rwsem;
	struct rb_root_cached area_itree;
	struct rb_root_cached allowed_itree;
	struct rb_root_cached reserved_itree;
	struct xarray access_list;
	unsigned long iova_alignment;
	bool disable_large_pages;
	unsigned int num_areas;
	unsigned int num_joined;
	unsigned int num_invalid;
	bool tracking;
	struct dirty_spill spill;
};

void iopt_init_table(struct io_pagetable *iopt);
void iopt_destroy_table(struct io_pagetable *iopt);

/**
 * enum iopt_account_mode - where pinned pages are counted
 * @IOPT_PAGES_ACCOUNT_NONE: nowhere but in mm->pinned_vm
 * @IOPT_PAGES_ACCOUNT_USER: in the user's locked_vm, against RLIMIT_MEMLOCK
 * @IOPT_PAGES_ACCOUNT_MM: in the mm's locked_vm, against RLIMIT_MEMLOCK
 * @IOPT_PAGES_ACCOUNT_TYPE1: the same, and also where whoever maps may lock any
 *	amount: counted then, but without a limit
 */
enum iopt_account_mode {
	IOPT_PAGES_ACCOUNT_NONE,
	IOPT_PAGES_ACCOUNT_USER,
	IOPT_PAGES_ACCOUNT_MM,
	IOPT_PAGES_ACCOUNT_TYPE1,
};

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
 */
struct iopt_map {
	unsigned long iova;
	unsigned long length;
	int prot;
	unsigned int flags;
	enum iopt_account_mode account_mode;
};

/* iopt_map.c: map and copy */
int iopt_map_user_pages(struct io_pagetable *iopt, struct iopt_map *map,
			void __user *uptr);
int iopt_map_file_pages(struct io_pagetable *iopt, struct iopt_map *map,
			struct file *file, unsigned long start);
int iopt_copy_iova(struct io_pagetable *iopt, struct iopt_map *map,
		   struct io_pagetable *src, unsigned long src_iova);

/* io_pagetable.c: unmap */
int iopt_unmap_iova(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long *unmapped);
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped);

/* iopt_vaddr.c: user memory whose address is going to change */
int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *invalidated);
int iopt_update_vaddr(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, unsigned long vaddr,
		      enum iopt_account_mode account_mode);

/* iopt_area.c: areas cut in two, for type1 v1 */
int iopt_cut_iova(struct io_pagetable *iopt, const unsigned long *iovas,
		  size_t num_iovas);

/* iova_space.c: allowed and reserved IOVAs */

/**
 * struct iopt_allowed - IOVAs that must stay usable
 * @node: the range, in &io_pagetable.allowed_itree
 */
struct iopt_allowed {
	struct interval_tree_node node;
};

/**
 * typedef iopt_range_fn - takes a range of usable IOVAs
 * @opaque: what iopt_walk_usable_ranges() was given
 * @start: first byte
 * @last: last byte
 *
 * Return: 0 to go on, anything else to stop.
 * Context: &io_pagetable.iova_rwsem held for reading; may touch user memory.
 */
typedef int (*iopt_range_fn)(void *opaque, unsigned long start,
			     unsigned long last);
int iopt_walk_usable_ranges(struct io_pagetable *iopt, iopt_range_fn fn,
			    void *opaque);
int iopt_set_allow_iova(struct io_pagetable *iopt,
			struct rb_root_cached *allowed_iova);
void iopt_free_allowed(struct rb_root_cached *allowed_iova);
int iopt_reserve_iova(struct io_pagetable *iopt, unsigned long start,
		      unsigned long last, void *owner);
void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner);
int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt,
					struct device *dev, void *owner,
					phys_addr_t *sw_msi_start);

/* iopt_domain.c: the domains that areas are filled into */
bool iopt_device_tracks(struct device *dev);
struct iommu_domain *iopt_domain_alloc_flags(struct device *dev, u32 flags);
struct iommu_domain *iopt_domain_alloc(struct device *dev);
int iopt_table_add_domain(struct io_pagetable *iopt,
			  struct iommu_domain *domain);
void iopt_table_remove_domain(struct io_pagetable *iopt,
			      struct iommu_domain *domain);
void iopt_enable_large_pages(struct io_pagetable *iopt);
int iopt_disable_large_pages(struct io_pagetable *iopt);

/* iopt_access.c: in-kernel users of the memory behind IOVAs */

/**
 * struct iopt_access_ops - what the owner of an access offers the IOVA space
 * @get: keep the access and what it belongs to alive; false where it is going
 *	away, which then has no pages pinned or unpins them itself
 * @put: undo @get
 * @unmap: unpin everything in [iova, iova + length - 1]; called with no lock
 *	of the engine held
 */
struct iopt_access_ops {
	bool (*get)(struct iopt_access *access);
	void (*put)(struct iopt_access *access);
	void (*unmap)(struct iopt_access *access, unsigned long iova,
		      unsigned long length);
};

/**
 * struct iopt_access - an in-kernel user of an IOVA space
 * @ops: set by the owner before iopt_add_access()
 * @iova_alignment: set by the owner: PAGE_SIZE where it pins pages, else 1
 * @id: its number in &io_pagetable.access_list
 */
struct iopt_access {
	const struct iopt_access_ops *ops;
	unsigned long iova_alignment;
	u32 id;
};

int iopt_add_access(struct io_pagetable *iopt, struct iopt_access *access);
void iopt_remove_access(struct io_pagetable *iopt, struct iopt_access *access);
int iopt_pin_pages(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long length, struct page **out_pages,
		   unsigned int flags);
void iopt_unpin_pages(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length);
int iopt_rw(struct io_pagetable *iopt, unsigned long iova, void *data,
	    size_t length, unsigned int flags);

/* iopt_dirty.c: what devices wrote */

/**
 * struct iopt_dirty_query - a question for what is dirty
 * @iova: first byte
 * @length: bytes
 * @page_size: bytes of IOVA that a bit stands for, a power of two
 * @data: the bitmap, at any address
 * @no_clear: leave everything as dirty as it is
 * @overwrite: bits of what is mapped are cleared before: whole 64 bit words from
 *	an area's first bit on, but for the word in which it begins, if it begins
 *	within one; only iopt_track.c looks at it
 */
struct iopt_dirty_query {
	unsigned long iova;
	unsigned long length;
	unsigned long page_size;
	u64 __user *data;
	bool no_clear;
	bool overwrite;
};

int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable);
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain,
			      const struct iopt_dirty_query *query);

/* iopt_track.c: the same for a whole table, as type1 asks */
int iopt_start_tracking(struct io_pagetable *iopt);
void iopt_stop_tracking(struct io_pagetable *iopt);
int iopt_read_dirty(struct io_pagetable *iopt,
		    const struct iopt_dirty_query *query);
int iopt_set_pinned_scope(struct io_pagetable *iopt,
			  struct iommu_domain *domain, bool pinned);

/* io_pagetable.c: unmap, and tell what was written, as type1 asks */
int iopt_unmap_dirty(struct io_pagetable *iopt,
		     const struct iopt_dirty_query *query,
		     unsigned long *unmapped);

#endif
