/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The type1 ABI of VFIO on top of the engine: see type1.c.
 */
#ifndef __IOMMUFD_TYPE1_H
#define __IOMMUFD_TYPE1_H

#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "io_pagetable.h"

struct type1;
struct vfio_bitmap;

/* Bytes that a dirty bitmap has at most: 8 TiB of 4 KiB pages. */
#define TYPE1_MAX_BITMAP	SZ_256M

/**
 * struct type1_flavour - what the two containers do differently
 * @max_areas: mappings that there may be at a time; U32_MAX for any number
 * @strict: addresses of memory are whole pages, and a range that wraps or cuts a
 *	mapping is EINVAL. Else the engine's errnos are told, EOVERFLOW and ENOENT,
 *	and a mapping may begin within a page as far as the IOMMUs allow.
 * @cut: version 1 splits a mapping that an unmap cuts. Else it unmaps all of a
 *	mapping whose first byte is in the range, and nothing otherwise. With this,
 *	it is the IOVA space that says which version it is, and who may pin.
 */
struct type1_flavour {
	const unsigned int *max_areas;
	bool strict;
	bool cut;
};

/**
 * struct type1 - a container that speaks type1
 * @lock: held by every ioctl, and by whoever lets groups in or out; taken outside
 *	of the engine's locks; never taken by an in-kernel user that pins
 * @flavour: never changes
 * @v2: version 2 of the ABI; guarded by @lock where it can change
 * @emulated: there are groups that only pin; guarded by @lock
 *
 * Owner: whoever embeds it, from type1_init() to type1_destroy().
 */
struct type1 {
	/* one ioctl at a time */
	struct mutex lock;
	const struct type1_flavour *flavour;
	bool v2;
	bool emulated;
};

/**
 * struct type1_call - one ioctl
 * @type1: the container
 * @iopt: its IOVA space, or NULL where it has none as yet
 * @account_mode: for memory that is mapped
 * @arg: the user's structure
 */
struct type1_call {
	struct type1 *type1;
	struct io_pagetable *iopt;
	enum iopt_account_mode account_mode;
	void __user *arg;
};

void type1_init(struct type1 *type1, const struct type1_flavour *flavour);
void type1_destroy(struct type1 *type1);

/* type1.c: dispatch */
int type1_ioctl(struct type1_call *call, unsigned int cmd);
unsigned int type1_num_mappings(const struct io_pagetable *iopt);
bool type1_widen(struct io_pagetable *iopt, unsigned long iova,
		 unsigned long *last);

/* type1_info.c */
int type1_get_info(struct type1_call *call);

/* type1_map.c */
int type1_map_dma(struct type1_call *call);
int type1_unmap_dma(struct type1_call *call);

/* type1_dirty.c */
int type1_bitmap_query(const struct vfio_bitmap *bitmap, u64 iova, u64 size,
		       struct iopt_dirty_query *query);
int type1_dirty_pages(struct type1_call *call);

#endif
