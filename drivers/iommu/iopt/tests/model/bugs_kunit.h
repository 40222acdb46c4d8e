/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of old bugs share: see iopt_bugs_kunit.c.
 */
#ifndef __BUGS_KUNIT_H
#define __BUGS_KUNIT_H

#include <linux/iommufd.h>
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

#define RW		(IOMMU_READ | IOMMU_WRITE)
#define BASE		((unsigned long)SZ_1G)
#define PAGES(n)	((n) * PAGE_SIZE)

struct bug_driver;

/**
 * struct bug - what a test begins with, as its priv
 * @ik: what the suite's init and exit functions look at; the first member
 * @run: memory and domains
 * @iopt: a table
 * @other: another one, for a test that wants one
 * @domain: the first domain
 * @access: an in-kernel user of the table
 * @unmapped: how often that was told of an unmap
 * @on_unmap: called then
 * @driver: for one that wants to call a driver then
 */
struct bug {
	struct iopt_kunit ik;
	struct model_run *run;
	struct io_pagetable iopt;
	struct io_pagetable other;
	struct iommu_domain *domain;
	struct iopt_access access;
	unsigned int unmapped;
	void (*on_unmap)(struct kunit *test, unsigned long iova,
			 unsigned long length);
	struct bug_driver *driver;
};

long iopt_bug_pins(const struct bug *bug);
struct bug *iopt_bug_begin(struct kunit *test);
void iopt_bug_end(struct kunit *test);
int iopt_bug_try_map(struct bug *bug, unsigned long iova, unsigned int mem,
		     unsigned long offset, unsigned long length);
void iopt_bug_map(struct kunit *test, unsigned long iova, unsigned int mem,
		  unsigned long offset, unsigned long length);
void iopt_bug_unmap(struct kunit *test, unsigned long iova,
		    unsigned long length);
void iopt_bug_add_domain(struct kunit *test, unsigned int nr);
void iopt_bug_remove_domain(struct kunit *test, unsigned int nr);
void iopt_bug_pin(struct kunit *test, unsigned long iova, unsigned long length);

#endif
