/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables of IOMMU drivers under test.
 */
#ifndef DIRTY_PT_KUNIT_H
#define DIRTY_PT_KUNIT_H

#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/types.h>

struct dirty_pt_format;

/**
 * struct dirty_pt - a page table under test
 * @test: the test
 * @format: format of the page table
 * @priv: data of the format
 */
struct dirty_pt {
	struct kunit *test;
	const struct dirty_pt_format *format;
	void *priv;
};

/**
 * struct dirty_pt_format - a page table format and the driver's functions for it
 * @name: name of the format
 * @iova_bits: the IOVA space has 2^@iova_bits bytes
 * @pgsizes: bitmap of leaf sizes
 * @contiguous: the driver only accepts queries of ranges that are mapped throughout
 * @init: allocate an empty page table, set &dirty_pt.priv, ASSERT on failure
 * @exit: free the page table and everything that it maps
 * @map: map one leaf. Returns 0 or a negative errno.
 * @unmap: unmap one leaf. Returns the number of bytes.
 * @write: set the dirty bit of a leaf as the hardware does for a write. Of a leaf that
 *	has several entries, take entry number @entry modulo the number of entries.
 *	Returns false if @iova is not mapped, or not for writing.
 * @query: read dirty bits, and clear them without IOMMU_DIRTY_NO_CLEAR
 * @protect: make pages read-only, or writable; NULL if the driver cannot
 */
struct dirty_pt_format {
	const char *name;
	unsigned int iova_bits;
	unsigned long pgsizes;
	bool contiguous;

	void (*init)(struct dirty_pt *pt);
	void (*exit)(struct dirty_pt *pt);
	int (*map)(struct dirty_pt *pt, unsigned long iova, phys_addr_t paddr,
		   size_t pgsize, int prot);
	size_t (*unmap)(struct dirty_pt *pt, unsigned long iova, size_t pgsize);
	bool (*write)(struct dirty_pt *pt, unsigned long iova,
		      unsigned int entry);
	int (*query)(struct dirty_pt *pt, unsigned long iova, size_t size,
		     unsigned long flags, struct iommu_dirty_bitmap *dirty);
	void (*protect)(struct dirty_pt *pt, unsigned long iova, size_t size,
			bool enable, struct iommu_dirty_bitmap *dirty);
};

/* The last IOVA of the space. */
static inline unsigned long dirty_pt_last(const struct dirty_pt *pt)
{
	return GENMASK(pt->format->iova_bits - 1, 0);
}

/* The size of the smallest leaves. */
static inline unsigned long dirty_pt_page(const struct dirty_pt *pt)
{
	return BIT(__ffs(pt->format->pgsizes));
}

extern const struct dirty_pt_format dirty_pt_amd_v1;
extern const struct dirty_pt_format dirty_pt_arm_4k;
extern const struct dirty_pt_format dirty_pt_arm_16k;
extern const struct dirty_pt_format dirty_pt_arm_64k;
extern const struct dirty_pt_format dirty_pt_vtd_4level;
extern const struct dirty_pt_format dirty_pt_vtd_5level;

const void *dirty_pt_gen_format(const void *prev, char *desc);
struct dirty_pt *dirty_pt_create(struct kunit *test);
void dirty_pt_map(struct dirty_pt *pt, unsigned long iova, size_t pgsize);
void dirty_pt_query(struct dirty_pt *pt, unsigned long iova, unsigned long last,
		    unsigned long flags, iova_bitmap_spill_fn_t record,
		    void *opaque);
void dirty_pt_protect(struct dirty_pt *pt, unsigned long iova,
		      unsigned long last, bool enable,
		      iova_bitmap_spill_fn_t record, void *opaque);

#endif
