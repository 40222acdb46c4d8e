// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of batches at the limits: without memory, of more pages than are read
 * without a break, and of pages that are appended.
 */
#include <linux/sizes.h>
#include <linux/xarray.h>

#include "memory/iopt_pages.h"
#include "memory/pfn_batch.h"
#include "space/iopt_area.h"
#include "tests/iopt_fault_kunit.h"
#include "tests/iopt_kunit.h"

#define EDGE_PFN	0x1000UL
#define EDGE_PAGES	16UL
/* Entries of a node of an xarray. */
#define EDGE_NODE	64UL

static void to_xarray_without_memory_stores_nothing(struct kunit *test)
{
	/* The first pages need no memory: their node is there. */
	unsigned long index = EDGE_NODE - EDGE_PAGES / 2, i, count = 0;
	struct pfn_batch batch;
	DEFINE_XARRAY(xa);
	void *entry;
	int rc;

	KUNIT_ASSERT_FALSE(test, xa_is_err(xa_store(&xa, 1, xa_mk_value(1),
						    GFP_KERNEL)));
	pfn_batch_init(&batch, EDGE_PAGES);
	pfn_batch_add(&batch, EDGE_PFN, EDGE_PAGES / 4);
	pfn_batch_add(&batch, 2 * EDGE_PFN, EDGE_PAGES - EDGE_PAGES / 4);

	iopt_kunit_begin_faults(test);
	iopt_kunit_fail_all(true);
	rc = pfn_batch_to_xarray(&batch, &xa, index);
	iopt_kunit_fail_all(false);
	KUNIT_EXPECT_EQ(test, -ENOMEM, rc);
	xa_for_each(&xa, i, entry)
		count++;
	KUNIT_EXPECT_EQ(test, count, 1);

	KUNIT_EXPECT_EQ(test, 0, pfn_batch_to_xarray(&batch, &xa, index));
	pfn_batch_destroy(&batch);
	xa_destroy(&xa);
}

/* More than 8192 pages: the walk leaves its RCU section once, and goes on. */
static void from_xarray_of_many_pages_reads_all(struct kunit *test)
{
	unsigned long npages = 8192 + EDGE_PAGES;
	struct pfn_batch batch;
	DEFINE_XARRAY(xa);

	for (unsigned long i = 0; i < npages; i++)
		KUNIT_ASSERT_FALSE(test,
				   xa_is_err(xa_store(&xa, i,
						      xa_mk_value(EDGE_PFN + i),
						      GFP_KERNEL)));
	pfn_batch_init(&batch, npages);
	pfn_batch_from_xarray(&batch, &xa, 0, npages - 1);
	KUNIT_EXPECT_EQ(test, batch.npages, npages);
	KUNIT_ASSERT_EQ(test, batch.nr, 1);
	KUNIT_EXPECT_EQ(test, batch.runs[0].pfn, EDGE_PFN);
	KUNIT_EXPECT_EQ(test, batch.runs[0].npages, npages);
	pfn_batch_destroy(&batch);
	xa_destroy(&xa);
}

/* What follows the last run of the batch extends it. */
static void from_domain_appends_to_batch(struct kunit *test)
{
	struct iopt_kunit_domain *kd = iopt_kunit_vzalloc(test, sizeof(*kd));
	struct iopt_pages *pages = iopt_kunit_pages(test, EDGE_PAGES);
	unsigned long half = EDGE_PAGES / 2;
	struct iopt_area area = {
		.pages = pages,
		.node.start = SZ_1G,
		.node.last = SZ_1G + EDGE_PAGES * PAGE_SIZE - 1,
		.pages_node.last = EDGE_PAGES - 1,
	};
	struct pfn_batch batch;

	iopt_kunit_domain_init(test, kd, PAGE_SIZE, SZ_1G,
			       EDGE_PAGES * PAGE_SIZE);
	for (unsigned long i = 0; i < EDGE_PAGES; i++)
		kd->phys[i] = PFN_PHYS(EDGE_PFN + i) | IOPT_KUNIT_MAPPED;
	/* Without folios: there are no pages behind these page frames. */
	pages->partial_folios = true;
	pfn_batch_init(&batch, EDGE_PAGES);
	mutex_lock(&pages->mutex);
	pfn_batch_from_domain(&batch, &area, pages, &kd->domain, 0, half - 1);
	KUNIT_EXPECT_EQ(test, batch.npages, half);
	pfn_batch_from_domain(&batch, &area, pages, &kd->domain, half,
			      EDGE_PAGES - 1);
	mutex_unlock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, batch.npages, EDGE_PAGES);
	KUNIT_ASSERT_EQ(test, batch.nr, 1);
	KUNIT_EXPECT_EQ(test, batch.runs[0].pfn, EDGE_PFN);
	KUNIT_EXPECT_EQ(test, batch.runs[0].npages, EDGE_PAGES);
	pfn_batch_destroy(&batch);
	iopt_pages_put(pages);
}

static struct kunit_case edge_cases[] = {
	KUNIT_CASE(to_xarray_without_memory_stores_nothing),
	KUNIT_CASE(from_xarray_of_many_pages_reads_all),
	KUNIT_CASE(from_domain_appends_to_batch),
	{}
};

static struct kunit_suite edge_suite = {
	.name = "iommufd_pfn_batch_edge",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = edge_cases,
};

kunit_test_suite(edge_suite);
