/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Record dirty IOVA ranges in a bitmap in user memory, see
 * drivers/vfio/iova_bitmap.c
 */
#ifndef _LINUX_IOVA_BITMAP_H
#define _LINUX_IOVA_BITMAP_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/types.h>

struct iova_bitmap;

/**
 * typedef iova_bitmap_fn_t - record the dirty ranges of a window
 * @bitmap: argument for iova_bitmap_set()
 * @iova: first IOVA of the window
 * @length: length of the window in bytes
 * @opaque: argument of iova_bitmap_for_each()
 *
 * The bitmap memory of the window is pinned during the call.
 *
 * Return: 0, or a negative errno that ends the walk.
 */
typedef int (*iova_bitmap_fn_t)(struct iova_bitmap *bitmap, unsigned long iova,
				size_t length, void *opaque);

/**
 * typedef iova_bitmap_spill_fn_t - keep a dirty range outside of the bitmap
 * @opaque: argument of iova_bitmap_set_spill()
 * @iova: first IOVA of the range
 * @last: last IOVA of the range, inclusive
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
void iova_bitmap_keep_pinned(struct iova_bitmap *bitmap);
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn);
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length);
unsigned long iova_bitmap_nr_dropped(const struct iova_bitmap *bitmap);
u64 iova_bitmap_weight(const struct iova_bitmap *bitmap);
#else
/* Stubs for drivers in a kernel without VFIO and iommufd. */
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

static inline void iova_bitmap_keep_pinned(struct iova_bitmap *bitmap)
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

static inline u64 iova_bitmap_weight(const struct iova_bitmap *bitmap)
{
	return 0;
}
#endif

#endif
