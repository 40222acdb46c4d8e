/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fixtures of the engine's tests: see iopt_kunit.c.
 */
#ifndef __IOPT_KUNIT_H
#define __IOPT_KUNIT_H

#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/prandom.h>

#include "iopt_access.h"
#include "memory/iopt_pages.h"
#include "space/io_pagetable.h"

/**
 * struct iopt_kunit - state at the start of a test, in &kunit.priv
 * @mm: the mm of the test's thread, with a reference
 * @pins: number of pins of the system
 * @user_locked: number of pages that the user has locked
 */
struct iopt_kunit {
	struct mm_struct *mm;
	long pins;
	long user_locked;
};

int iopt_kunit_init(struct kunit *test);
void iopt_kunit_exit(struct kunit *test);
long iopt_kunit_check_pins(long expected);
void iopt_kunit_expect_pins(struct kunit *test, unsigned long npages);
void *iopt_kunit_vzalloc(struct kunit *test, size_t bytes);
unsigned long iopt_kunit_mmap(struct kunit *test, unsigned long npages);
unsigned long iopt_kunit_mmap_pfnmap(struct kunit *test,
				     const struct vm_operations_struct *ops,
				     unsigned long address, unsigned long pgoff,
				     unsigned long npages, int prot);
unsigned long iopt_kunit_pfn(struct kunit *test, unsigned long address);
int iopt_kunit_map(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long address, unsigned long length,
		   enum iopt_account_mode mode);
void iopt_kunit_allow(struct kunit *test, struct io_pagetable *iopt,
		      unsigned long start, unsigned long last);
void iopt_kunit_drop_ipc_lock(struct kunit *test);
bool iopt_kunit_access_get(struct iopt_access *access);
void iopt_kunit_access_put(struct iopt_access *access);
struct iopt_pages *iopt_kunit_pages(struct kunit *test, unsigned long npages);

/* Return a pseudo-random number from 0 to @n - 1. */
static inline unsigned long iopt_kunit_below(struct rnd_state *rnd,
					     unsigned long n)
{
	return prandom_u32_state(rnd) % n;
}

/**
 * struct iopt_kunit_domain - an IOMMU domain whose page table is an array
 * @domain: the domain
 * @base: IOVA of the first granule
 * @nr: number of granules
 * @shift: log2 of the size of a granule, which is the smallest leaf size
 * @phys: by granule: its physical address | IOPT_KUNIT_MAPPED, or 0 if unmapped
 * @leaf: by granule: log2 of the size of the leaf that begins there, or 0
 * @maps: number of calls of map_pages
 * @syncs: number of calls of iotlb_sync_map: one for each iommu_map() and
 *	iommu_map_sg()
 * @lookups: number of calls of iova_to_phys
 * @fail: the call of map_pages, counting from 1, that maps half of its pages and
 *	fails with IOPT_KUNIT_ERRNO; 0 for none
 * @misuses: number of requests that hardware does not support: to map outside of the
 *	page table, misaligned or over a mapping, to unmap a part of a leaf, to unmap
 *	what is not mapped
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
	unsigned int misuses;
};

#define IOPT_KUNIT_MAPPED	BIT_ULL(0)
/* Error of the call that &iopt_kunit_domain.fail selects. */
#define IOPT_KUNIT_ERRNO	(-EXDEV)

void iopt_kunit_domain_init(struct kunit *test, struct iopt_kunit_domain *kd,
			    unsigned long pgsizes, unsigned long base,
			    unsigned long bytes);
unsigned long iopt_kunit_domain_mapped(const struct iopt_kunit_domain *kd);
void iopt_kunit_domain_check(struct kunit *test,
			     const struct iopt_kunit_domain *kd,
			     unsigned long mapped);

#endif
