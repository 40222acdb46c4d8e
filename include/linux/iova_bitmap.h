/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty IOVA ranges as bits in a caller's memory: see drivers/vfio/iova_bitmap.c
 */
#ifndef _LINUX_IOVA_BITMAP_H
#define _LINUX_IOVA_BITMAP_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/types.h>

struct iova_bitmap;

/**
 * typedef iova_bitmap_fn_t - asks the owner for what is dirty in one window
 * @bitmap: takes the answer through iova_bitmap_set()
 * @iova: first byte of the window, as an absolute IOVA
 * @length: bytes of the window
 * @opaque: what iova_bitmap_for_each() was given
 *
 * The bitmap memory of the window is pinned while this runs.
 *
 * Return: 0, or a negative errno that ends the walk.
 */
typedef int (*iova_bitmap_fn_t)(struct iova_bitmap *bitmap, unsigned long iova,
				size_t length, void *opaque);

/**
 * typedef iova_bitmap_spill_fn_t - takes a dirty range that found no bits
 * @opaque: what iova_bitmap_set_spill() was given
 * @iova: first byte, as an absolute IOVA
 * @last: last byte
 *
 * Context: that of iova_bitmap_set(); must not sleep.
 */
typedef void (*iova_bitmap_spill_fn_t)(void *opaque, unsigned long iova,
				       unsigned long last);

#if IS_ENABLED(CONFIG_IOVA_BITMAP)
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length,
				      unsigned long page_size,
				      u64 __user *data);
struct iova_bitmap *iova_bitmap_alloc_spill(iova_bitmap_spill_fn_t spill,
					    void *opaque);
void iova_bitmap_free(struct iova_bitmap *bitmap);
void iova_bitmap_set_spill(struct iova_bitmap *bitmap,
			   iova_bitmap_spill_fn_t spill, void *opaque);
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn);
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length);
unsigned long iova_bitmap_nr_dropped(const struct iova_bitmap *bitmap);
#else
/* Neither vfio nor iommufd is built: nobody asks, drivers still compile. */
static inline struct iova_bitmap *
iova_bitmap_alloc(unsigned long iova, size_t length, unsigned long page_size,
		  u64 __user *data)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline struct iova_bitmap *
iova_bitmap_alloc_spill(iova_bitmap_spill_fn_t spill, void *opaque)
{
	return NULL;
}

static inline void iova_bitmap_free(struct iova_bitmap *bitmap)
{
}

static inline void iova_bitmap_set_spill(struct iova_bitmap *bitmap,
					 iova_bitmap_spill_fn_t spill,
					 void *opaque)
{
}

static inline int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
				       iova_bitmap_fn_t fn)
{
	return -EOPNOTSUPP;
}

static inline void iova_bitmap_set(struct iova_bitmap *bitmap,
				   unsigned long iova, size_t length)
{
}

static inline unsigned long
iova_bitmap_nr_dropped(const struct iova_bitmap *bitmap)
{
	return 0;
}
#endif

#endif
