/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In-kernel users of the memory behind IOVAs: see iopt_access.c.
 */
#ifndef __IOPT_ACCESS_H
#define __IOPT_ACCESS_H

#include <linux/types.h>

struct io_pagetable;
struct iopt_access;
struct page;

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
int iopt_pin_pages(struct io_pagetable *iopt, const struct iopt_access *access,
		   unsigned long iova, unsigned long length,
		   struct page **out_pages, unsigned int flags);
void iopt_unpin_pages(struct io_pagetable *iopt,
		      const struct iopt_access *access, unsigned long iova,
		      unsigned long length);
int iopt_rw(struct io_pagetable *iopt, unsigned long iova, void *data,
	    size_t length, unsigned int flags);

#endif
