/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the engine share: see iopt_kunit.c.
 */
#ifndef __IOPT_KUNIT_H
#define __IOPT_KUNIT_H

#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/prandom.h>

#include "memory/iopt_pages.h"
#include "space/io_pagetable.h"

/**
 * struct iopt_kunit - what a test begins with, as its priv
 * @mm: the process that the test's thread is; counted
 * @pins: pins that the system had
 * @user_locked: pages that the user had locked
 */
struct iopt_kunit {
	struct mm_struct *mm;
	long pins;
	long user_locked;
};

int iopt_kunit_init(struct kunit *test);
void iopt_kunit_exit(struct kunit *test);
long iopt_kunit_check_pins(long expected);
void *iopt_kunit_vzalloc(struct kunit *test, size_t bytes);
unsigned long iopt_kunit_mmap(struct kunit *test, unsigned long npages);
unsigned long iopt_kunit_pfn(struct kunit *test, unsigned long address);
struct iopt_pages *iopt_kunit_pages(struct kunit *test, unsigned long npages);

/* A number from 0 to @n - 1. */
static inline unsigned long iopt_kunit_below(struct rnd_state *rnd,
					     unsigned long n)
{
	return prandom_u32_state(rnd) % n;
}

/**
 * struct iopt_kunit_domain - an IOMMU that is an array
 * @domain: what the engine sees
 * @base: IOVA of the first granule
 * @nr: granules that there are
 * @shift: log2 of a granule, the smallest leaf size
 * @phys: for each granule what it translates to, plus IOPT_KUNIT_MAPPED, or 0
 * @leaf: log2 of the leaf that begins with a granule, or 0
 * @maps: calls to map
 * @syncs: how often it was told that a map was complete: once for each call of
 *	iommu_map() or iommu_map_sg()
 * @lookups: calls to translate
 * @fail: the call to map that fails, counted from 1, with half of it done
 * @broken: how often something was asked that an IOMMU cannot do: to map what
 *	is mapped, to cut a leaf, to unmap what is not mapped
 */
struct iopt_kunit_domain {
	struct iommu_domain domain;
	unsigned long base;
	unsigned long nr;
	unsigned int shift;
	u64 *phys;
	u8 *leaf;
	unsigned int maps;
	unsigned int syncs;
	unsigned int lookups;
	unsigned int fail;
	unsigned int broken;
};

#define IOPT_KUNIT_MAPPED	BIT_ULL(0)
/* What the call fails with. */
#define IOPT_KUNIT_ERRNO	(-EXDEV)

void iopt_kunit_domain_init(struct kunit *test, struct iopt_kunit_domain *kd,
			    unsigned long pgsizes, unsigned long base,
			    unsigned long bytes);
unsigned long iopt_kunit_domain_mapped(const struct iopt_kunit_domain *kd);

#endif
