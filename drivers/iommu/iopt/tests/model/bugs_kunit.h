/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fixtures of the regression tests: see iopt_bugs_kunit.c.
 */
#ifndef __BUGS_KUNIT_H
#define __BUGS_KUNIT_H

#include <linux/iommufd.h>
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

#define RW		(IOMMU_READ | IOMMU_WRITE)
#define BASE		((unsigned long)SZ_1G)
#define PAGES(n)	((n) * PAGE_SIZE)

struct bug_pinner;

/**
 * struct bug_test - state of a regression test, in &kunit.priv
 * @ik: for iopt_kunit_exit(), which requires it to be the first member
 * @run: memory objects and domains
 * @iopt: the IOVA space
 * @other: a second IOVA space, which the test initialises if it uses it
 * @domain: domain 0 of @run
 * @access: an access of @iopt, which the test adds if it uses it
 * @unmapped: number of calls of the unmap callback of @access
 * @on_unmap: called by the unmap callback of @access
 * @pinner: for @on_unmap: the thread that has pages pinned
 */
struct bug_test {
	struct iopt_kunit ik;
	struct model_run *run;
	struct io_pagetable iopt;
	struct io_pagetable other;
	struct iommu_domain *domain;
	struct iopt_access access;
	unsigned int unmapped;
	void (*on_unmap)(struct kunit *test, unsigned long iova,
			 unsigned long length);
	struct bug_pinner *pinner;
};

long iopt_bug_pins(const struct bug_test *bug);
struct bug_test *iopt_bug_begin(struct kunit *test);
void iopt_bug_end(struct kunit *test);
int iopt_bug_try_map(struct bug_test *bug, unsigned long iova, unsigned int mem,
		     unsigned long offset, unsigned long length);
void iopt_bug_map(struct kunit *test, unsigned long iova, unsigned int mem,
		  unsigned long offset, unsigned long length);
void iopt_bug_unmap(struct kunit *test, unsigned long iova,
		    unsigned long length);
void iopt_bug_add_domain(struct kunit *test, unsigned int nr);
void iopt_bug_remove_domain(struct kunit *test, unsigned int nr);
void iopt_bug_pin(struct kunit *test, unsigned long iova, unsigned long length);

#endif
