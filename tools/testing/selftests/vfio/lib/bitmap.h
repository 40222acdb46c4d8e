/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bitmaps with canaries around them, which detect writes of the kernel beside
 * the bitmap, and an oracle with one byte per leaf for the expected bits.
 */
#ifndef _VFIO_SELFTEST_BITMAP_H
#define _VFIO_SELFTEST_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct __test_metadata;

/**
 * struct guarded_bitmap - a bitmap between two pages of canaries
 * @bits: first byte of the bitmap
 * @nbits: number of bits of the bitmap
 * @map: the mapping: a page of canaries, the bitmap, a page of canaries
 * @map_length: bytes of @map
 * @tail: preset value of the unused bits of the last byte
 */
struct guarded_bitmap {
	__u8 *bits;
	size_t nbits;
	__u8 *map;
	size_t map_length;
	__u8 tail;
};

void bitmap_alloc(struct __test_metadata *_metadata, struct guarded_bitmap *bm,
		  size_t nbits, size_t offset);
void bitmap_alloc_at_end(struct __test_metadata *_metadata,
			 struct guarded_bitmap *bm, size_t nbits);
void bitmap_free(struct guarded_bitmap *bm);
void bitmap_reset(struct guarded_bitmap *bm);
bool bitmap_test(const struct guarded_bitmap *bm, size_t bit);
size_t bitmap_count(const struct guarded_bitmap *bm);
void bitmap_check_guards(struct __test_metadata *_metadata,
			 const struct guarded_bitmap *bm);
size_t bitmap_bytes(const struct guarded_bitmap *bm);

/**
 * struct oracle - the leaves that were written
 * @iova: start of the first leaf
 * @leaf: size of a leaf in bytes
 * @count: number of leaves
 * @dirty: one byte per leaf, 1 if the leaf was written
 */
struct oracle {
	__u64 iova;
	__u64 leaf;
	size_t count;
	__u8 *dirty;
};

void oracle_init(struct __test_metadata *_metadata, struct oracle *oracle,
		 __u64 iova, __u64 length, __u64 leaf);
void oracle_free(struct oracle *oracle);
void oracle_write(struct oracle *oracle, __u64 iova, __u64 length);
void oracle_clean(struct oracle *oracle, __u64 iova, __u64 length);
void oracle_check(struct __test_metadata *_metadata,
		  const struct oracle *oracle, const struct guarded_bitmap *bm,
		  __u64 iova, __u64 granule);

#endif
