// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: guarded bitmaps and the dirty oracle
 *
 * A bitmap has a page of canaries on either side, and the unused bits of its
 * last byte are preset too. The oracle has one byte per leaf.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bitmap.h"
#include "check.h"
#include "iommu.h"
#include "memory/memory.h"

#define CANARY		0xa5
#define CANARY_TAIL	0x5a

size_t bitmap_bytes(const struct guarded_bitmap *bm)
{
	return (bm->nbits + 7) / 8;
}

static __u8 tail_mask(const struct guarded_bitmap *bm)
{
	return bm->nbits % 8 ? 0xff << (bm->nbits % 8) : 0;
}

/* Clear all bits and set all canaries. */
void bitmap_reset(struct guarded_bitmap *bm)
{
	size_t bytes = bitmap_bytes(bm);

	memset(bm->map, CANARY, bm->map_length);
	memset(bm->bits, 0, bytes);
	bm->tail = CANARY_TAIL & tail_mask(bm);
	if (bytes)
		bm->bits[bytes - 1] |= bm->tail;
}

/* Allocate a bitmap that starts @offset bytes into a page. */
void bitmap_alloc(struct __test_metadata *_metadata, struct guarded_bitmap *bm,
		  size_t nbits, size_t offset)
{
	size_t body;

	memset(bm, 0, sizeof(*bm));
	bm->nbits = nbits;
	body = (offset + bitmap_bytes(bm) + SZ_4K - 1) & ~(SZ_4K - 1);
	bm->map_length = body + 2 * SZ_4K;
	bm->map = mmap(NULL, bm->map_length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(bm->map != MAP_FAILED, "out of memory");
	bm->bits = bm->map + SZ_4K + offset;
	bitmap_reset(bm);
}

/* Allocate a bitmap that ends right before a PROT_NONE page. */
void bitmap_alloc_at_end(struct __test_metadata *_metadata,
			 struct guarded_bitmap *bm, size_t nbits)
{
	size_t bytes = (nbits + 7) / 8;

	bitmap_alloc(_metadata, bm, nbits, (0 - bytes) & (SZ_4K - 1));
	bm->map_length -= SZ_4K;
	CHECK(bm->bits + bytes == bm->map + bm->map_length,
	      "the bitmap does not end a page");
	CHECK_RC(0, mprotect(bm->map + bm->map_length, SZ_4K, PROT_NONE),
		 "guard page");
}

void bitmap_free(struct guarded_bitmap *bm)
{
	if (bm->map)
		munmap(bm->map, bm->map_length);
	bm->map = NULL;
}

bool bitmap_test(const struct guarded_bitmap *bm, size_t bit)
{
	return bm->bits[bit / 8] & (1 << (bit % 8));
}

size_t bitmap_count(const struct guarded_bitmap *bm)
{
	size_t count = 0, bytes = bitmap_bytes(bm);

	for (size_t i = 0; i < bytes; i++)
		if (bm->bits[i])
			count += __builtin_popcount(bm->bits[i]);
	if (bytes)
		count -= __builtin_popcount(bm->bits[bytes - 1] & tail_mask(bm));
	return count;
}

static void check_canaries(struct __test_metadata *_metadata,
			   const struct guarded_bitmap *bm, const __u8 *at,
			   const __u8 *end)
{
	if (mem_is(at, end - at, CANARY))
		return;
	while (*at == CANARY)
		at++;
	CHECK(false, "byte %td of a bitmap of %zu bits was written",
	      at - bm->bits, bm->nbits);
}

void bitmap_check_guards(struct __test_metadata *_metadata,
			 const struct guarded_bitmap *bm)
{
	const __u8 *behind = bm->bits + bitmap_bytes(bm);

	check_canaries(_metadata, bm, bm->map, bm->bits);
	check_canaries(_metadata, bm, behind, bm->map + bm->map_length);
	CHECK(!bm->nbits || (behind[-1] & tail_mask(bm)) == bm->tail,
	      "bits after the last of %zu were written", bm->nbits);
}

void oracle_init(struct __test_metadata *_metadata, struct oracle *oracle,
		 __u64 iova, __u64 length, __u64 leaf)
{
	oracle->iova = iova;
	oracle->leaf = leaf;
	oracle->count = length / leaf;
	oracle->dirty = calloc(oracle->count, 1);
	CHECK(oracle->dirty, "out of memory");
}

void oracle_free(struct oracle *oracle)
{
	free(oracle->dirty);
	oracle->dirty = NULL;
}

static void oracle_set(struct oracle *oracle, __u64 iova, __u64 length,
		       __u8 value)
{
	__u64 first = (iova - oracle->iova) / oracle->leaf;
	__u64 last = (iova + length - 1 - oracle->iova) / oracle->leaf;

	for (__u64 leaf = first; leaf <= last; leaf++)
		oracle->dirty[leaf] = value;
}

void oracle_write(struct oracle *oracle, __u64 iova, __u64 length)
{
	oracle_set(oracle, iova, length, 1);
}

void oracle_clean(struct oracle *oracle, __u64 iova, __u64 length)
{
	oracle_set(oracle, iova, length, 0);
}

static void check_bit(struct __test_metadata *_metadata,
		      const struct oracle *oracle,
		      const struct guarded_bitmap *bm, size_t bit, __u64 iova,
		      __u64 granule)
{
	__u64 at = iova + bit * granule - oracle->iova;
	__u64 last = (at + granule - 1) / oracle->leaf;
	bool dirty = false;

	for (__u64 leaf = at / oracle->leaf; leaf <= last; leaf++)
		dirty |= oracle->dirty[leaf];
	CHECK(bitmap_test(bm, bit) == dirty,
	      "bit %zu of %zu is not %d: IOVA 0x%llx, granule 0x%llx",
	      bit, bm->nbits, dirty, iova + bit * granule, granule);
}

/* 64 bits whose leaves are all clean, or all dirty, need no look at each. */
static bool check_uniform(const struct oracle *oracle,
			  const struct guarded_bitmap *bm, size_t bit,
			  __u64 iova, __u64 granule)
{
	const __u8 *bits = bm->bits + bit / 8;
	__u64 at, first, last;

	if (bit % 64 || bm->nbits - bit < 64 || !mem_is(bits, 8, *bits))
		return false;
	at = iova + bit * granule - oracle->iova;
	first = at / oracle->leaf;
	last = (at + 64 * granule - 1) / oracle->leaf;
	return (*bits == 0 || *bits == 0xff) &&
	       mem_is(oracle->dirty + first, last - first + 1, *bits == 0xff);
}

/* Check a bitmap that starts at @iova: a bit is set if any leaf under it is. */
void oracle_check(struct __test_metadata *_metadata,
		  const struct oracle *oracle, const struct guarded_bitmap *bm,
		  __u64 iova, __u64 granule)
{
	size_t bit = 0;

	while (bit < bm->nbits) {
		if (check_uniform(oracle, bm, bit, iova, granule)) {
			bit += 64;
			continue;
		}
		check_bit(_metadata, oracle, bm, bit++, iova, granule);
	}
	bitmap_check_guards(_metadata, bm);
}
