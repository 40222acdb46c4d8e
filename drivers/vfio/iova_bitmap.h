/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal functions of iova_bitmap for its KUnit suite.
 */
#ifndef _VFIO_IOVA_BITMAP_H
#define _VFIO_IOVA_BITMAP_H

#include <kunit/visibility.h>

#if IS_ENABLED(CONFIG_KUNIT)
struct page;

int iova_bitmap_pin_pages(unsigned long addr, unsigned int npages,
			  struct page **pages);
#endif

#endif
