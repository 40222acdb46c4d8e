/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to the memory behind IOVAs: see iopt_access.c.
 */
#ifndef __IOPT_ACCESS_H
#define __IOPT_ACCESS_H

#include <linux/types.h>

struct io_pagetable;
struct iopt_access;
struct page;

/**
 * struct iopt_access_ops - operations of the owner of an access
 * @get: get a reference on the access and its owner; returns false if the access is being
 *	destroyed: it has no pages pinned, or the destroying task unpins them
 * @put: put the reference of @get
 * @unmap: unpin every page in [iova, iova + length - 1]; called with a reference of @get
 *	and without locks of the engine
 */
struct iopt_access_ops {
	bool (*get)(struct iopt_access *access);
	void (*put)(struct iopt_access *access);
	void (*unmap)(struct iopt_access *access, unsigned long iova,
		      unsigned long length);
};

/**
 * struct iopt_access - access of the kernel to the memory of an IOAS, without an IOMMU
 * @ops: operations; set by the owner before iopt_add_access()
 * @iova_alignment: alignment of IOVAs in bytes; set by the owner before
 *	iopt_add_access(): PAGE_SIZE if it pins pages, else 1
 * @locks_areas: areas with a page that it has pinned cannot be unmapped; set by the owner
 *	before iopt_add_access()
 * @id: index in &io_pagetable.access_list; set by iopt_add_access()
 *
 * Owner: the object that embeds it, which keeps it until iopt_remove_access().
 */
struct iopt_access {
	const struct iopt_access_ops *ops;
	unsigned long iova_alignment;
	bool locks_areas;
	u32 id;
};

int iopt_add_access(struct io_pagetable *iopt, struct iopt_access *access);
void iopt_remove_access(struct io_pagetable *iopt, struct iopt_access *access);
int iopt_pin_pages(struct io_pagetable *iopt, const struct iopt_access *access,
		   unsigned long iova, unsigned long length,
		   struct page **out_pages, unsigned int flags);
void iopt_unpin_pages(struct io_pagetable *iopt,
		      const struct iopt_access *access, unsigned long iova,
		      unsigned long length);
int iopt_rw(struct io_pagetable *iopt, unsigned long iova, void *data,
	    size_t length, unsigned int flags);

#endif
