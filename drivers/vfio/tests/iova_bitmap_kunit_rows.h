/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cases of the KUnit tests of iova_bitmap: position of the bitmap, IOVA range,
 * granule, and dirty ranges. Each boundary had a bug in an earlier iova_bitmap.
 */
#ifndef _VFIO_IOVA_BITMAP_KUNIT_ROWS_H
#define _VFIO_IOVA_BITMAP_KUNIT_ROWS_H

#include <linux/mm.h>
#include <linux/sizes.h>

#define IB_MAX_RANGES	8
#define IB_WINDOW_PAGES	(PAGE_SIZE / sizeof(struct page *))
/* Bytes of IOVA that a window of a page aligned bitmap covers */
#define IB_WINDOW(granule) \
	(IB_WINDOW_PAGES * PAGE_SIZE * BITS_PER_BYTE * (unsigned long)(granule))

/* A dirty range, as an offset from the first IOVA of the bitmap. */
struct ib_range {
	long offset;
	unsigned long length;
	bool reported;
};

struct ib_case {
	const char *name;
	unsigned long iova;
	unsigned long length;
	unsigned long granule;
	/* Offset of the bitmap in its first page */
	unsigned int pgoff;
	struct ib_range ranges[IB_MAX_RANGES];
};

static const struct ib_case ib_geometry[] = {
	{ "one bit", SZ_1G, SZ_1M, SZ_4K, 0, { { 0x5000, SZ_4K } } },
	{ "one byte of a granule", SZ_1G, SZ_1M, SZ_4K, 0, { { 0x5fff, 1 } } },
	{ "two bytes over an edge", SZ_1G, SZ_1M, SZ_4K, 0, { { 0x5fff, 2 } } },
	{ "no byte", SZ_1G, SZ_1M, SZ_4K, 0, { { 0x5000, 0 } } },
	{ "first and last", SZ_1G, SZ_1M, SZ_4K, 0,
	  { { 0, SZ_4K }, { SZ_1M - SZ_4K, SZ_4K } } },
	{ "all", SZ_1G, SZ_1M, SZ_4K, 0, { { 0, SZ_1M } } },
	{ "bits 7 to 8", 0, SZ_1M, SZ_4K, 0, { { 0x7000, 0x2000 } } },
	{ "bits 63 to 64", 0, SZ_1M, SZ_4K, 0, { { 0x3f000, 0x2000 } } },
	{ "bits 1 to 126", 0, SZ_1M, SZ_4K, 0, { { 0x1000, 0x7e000 } } },
	{ "a bitmap of one granule", SZ_4K, SZ_4K, SZ_4K, 0, { { 0, SZ_4K } } },
	{ "less than a granule", SZ_4K, 1, SZ_4K, 5, { { 0, 1 } } },
	{ "adjacent ranges", SZ_1G, SZ_1M, SZ_4K, 0,
	  { { 0x3000, SZ_4K }, { 0x4000, SZ_8K }, { 0x6000, SZ_64K },
	    { 0x16000, 1 }, { 0x16001, 1 } } },
	{ "runs with gaps", SZ_1G, SZ_1M, SZ_4K, 0,
	  { { 0, SZ_4K }, { 0x1000, SZ_4K }, { 0x3000, SZ_4K },
	    { 0x4000, SZ_4K }, { 0x8000, SZ_4K }, { 0xfe000, SZ_4K },
	    { 0xff000, SZ_4K } } },
	{ "runs in descending order", SZ_1G, SZ_1M, SZ_4K, 0,
	  { { 0x80000, SZ_4K }, { 0x81000, SZ_4K }, { 0x10000, SZ_4K },
	    { 0x11000, SZ_4K }, { 0, SZ_4K } } },
	{ "a run reported twice", SZ_1G, SZ_1M, SZ_4K, 0,
	  { { 0, SZ_4K }, { SZ_4K, SZ_4K }, { 0, SZ_4K }, { SZ_4K, SZ_4K } } },
	{ "a run up to the last IOVA", 1, ULONG_MAX, 1UL << 63, 0,
	  { { 0, 1UL << 62 }, { 1L << 62, 1UL << 63 },
	    { LONG_MAX, 1UL << 63 }, { 0, 1 } } },
	{ "not a multiple of 64 granules", SZ_1G, 67 * SZ_4K, SZ_4K, 0,
	  { { 0, 67 * SZ_4K } } },
	{ "not a multiple of 8, odd address", SZ_1G, 67 * SZ_4K, SZ_4K, 1,
	  { { 0, 67 * SZ_4K } } },
	{ "not a multiple of a granule", SZ_1G, 3 * SZ_4K + 1, SZ_4K, 0,
	  { { 3 * SZ_4K, 1 } } },
	{ "unaligned first IOVA", 0x12345, SZ_1M, SZ_4K, 0,
	  { { 0, 1 }, { 0xfff, 2 }, { 0x5fff, 1 } } },
	{ "u64 aligned address", SZ_1G, SZ_128M, SZ_4K, 8,
	  { { 0, SZ_4K }, { SZ_64M, SZ_2M }, { SZ_128M - SZ_4K, SZ_4K } } },
	{ "odd address", SZ_1G, SZ_128M, SZ_4K, 3,
	  { { 0, SZ_4K }, { SZ_64M, SZ_2M }, { SZ_128M - SZ_4K, SZ_4K } } },
	{ "crosses the first page", SZ_1G, SZ_256M, SZ_4K, PAGE_SIZE - 8,
	  { { 63 * SZ_4K, 2 * SZ_4K }, { SZ_2M, SZ_1M } } },
	{ "last byte of the first page", SZ_1G, SZ_256M, SZ_4K, PAGE_SIZE - 1,
	  { { 0, SZ_256M } } },
	{ "unaligned start over several pages", SZ_1G, SZ_512M, SZ_4K, 0x910,
	  { { 0x100000, SZ_256M } } },
	{ "tail on one extra page", SZ_1G, SZ_128M, SZ_4K, 8,
	  { { SZ_128M - 64 * SZ_4K, 64 * SZ_4K } } },
	{ "ends with the last page", SZ_1G, SZ_256M, SZ_4K, 0,
	  { { SZ_128M, SZ_128M } } },
	{ "granule of a byte", SZ_1G, 4096, 1, 0, { { 1, 1 }, { 77, 900 } } },
	{ "granule of 2 KiB", SZ_1G, SZ_1M, SZ_2K, 0,
	  { { SZ_2K, SZ_2K }, { SZ_4K, SZ_4K } } },
	{ "ranges finer than the granule", SZ_1G, SZ_1G, SZ_2M, 0,
	  { { SZ_2M - SZ_4K, SZ_4K }, { SZ_2M * 7, SZ_4K } } },
	{ "granule of 2 GiB", 0, 10UL << 31, 1UL << 31, 0,
	  { { 1UL << 31, SZ_4K }, { 9UL << 31, 1UL << 31 } } },
	{ "granule of 2^63", 0, ULONG_MAX, 1UL << 63, 0, { { 1L << 62, 1 } } },
	{ "granule of 2^63, both", 0, ULONG_MAX, 1UL << 63, 0,
	  { { 0, ULONG_MAX } } },
	{ "granule of 2^63, the upper", 1UL << 63, 1UL << 63, 1UL << 63, 7,
	  { { 5, 1 } } },
	{ "ends with the last IOVA", -SZ_1M, SZ_1M, SZ_4K, 0,
	  { { SZ_1M - SZ_4K, SZ_4K }, { 0, SZ_4K } } },
	{ "nearly all IOVA", 0, ULONG_MAX, 1UL << 40, 0,
	  { { 0, 1 }, { LONG_MAX, 1UL << 40 } } },
	{ "huge page starts below", SZ_1G + SZ_4K, SZ_1M, SZ_4K, 0,
	  { { -SZ_4K, SZ_2M } } },
	{ "huge page ends above", SZ_1G, SZ_4K, SZ_4K, 0,
	  { { 0, SZ_2M } } },
	{ "huge page from the middle to above", SZ_1G, SZ_2M, SZ_4K, 2,
	  { { SZ_1M, SZ_1G } } },
};

/* Bitmaps of about a window or more. The oracle has a byte per bit, so few. */
static const struct ib_case ib_windows[] = {
	{ "4 GiB to 128 GiB", 4UL * SZ_1G, 124UL * SZ_1G, SZ_4K, 0,
	  { { 0, SZ_4K }, { 64L * SZ_1G - SZ_4K, SZ_4K },
	    { 64L * SZ_1G, SZ_4K }, { 124L * SZ_1G - SZ_4K, SZ_4K } } },
	{ "exactly a window", 0, IB_WINDOW(SZ_4K), SZ_4K, 0,
	  { { IB_WINDOW(SZ_4K) - SZ_4K, SZ_4K } } },
	{ "a window and a granule", 0, IB_WINDOW(SZ_4K) + SZ_4K, SZ_4K, 0,
	  { { IB_WINDOW(SZ_4K) - SZ_4K, 2 * SZ_4K } } },
	{ "a granule less than a window", 0, IB_WINDOW(SZ_4K) - SZ_4K, SZ_4K, 0,
	  { { IB_WINDOW(SZ_4K) - SZ_1G, SZ_1G } } },
	{ "a window at an odd address", SZ_4K, IB_WINDOW(SZ_4K), SZ_4K, 1,
	  { { IB_WINDOW(SZ_4K) - SZ_1G, SZ_1G }, { 0, 1 } } },
	{ "huge page over the window's edge", SZ_4K, IB_WINDOW(SZ_4K) + SZ_1G,
	  SZ_4K, 0,
	  { { IB_WINDOW(SZ_4K) - SZ_4K, SZ_1G },
	    { IB_WINDOW(SZ_4K) - SZ_2M, SZ_2M + SZ_4K } } },
	{ "a range over three windows", 0, 3 * IB_WINDOW(1), 1, 5,
	  { { 1, 3 * IB_WINDOW(1) - 2 } } },
	{ "a range past three windows", 0, 2 * IB_WINDOW(1) + 64, 1, PAGE_SIZE - 1,
	  { { IB_WINDOW(1) - 1, SZ_1G } } },
};

#endif
