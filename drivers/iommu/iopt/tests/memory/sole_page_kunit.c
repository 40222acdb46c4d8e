// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of memory of one page, which is pinned and mapped without a batch.
 */
#include <linux/iommufd.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "tests/iopt_kunit.h"

#define SOLE_IOVA	((unsigned long)SZ_1G)
#define SOLE_DOMAINS	2

/**
 * struct sole_test - a page, and domains to map it in
 * @iopt: the IOAS
 * @kd: domains, not attached
 * @address: address of the page
 */
struct sole_test {
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd[SOLE_DOMAINS];
	unsigned long address;
};

static struct sole_test *sole_begin(struct kunit *test)
{
	struct sole_test *sole = iopt_kunit_vzalloc(test, sizeof(*sole));

	iopt_init_table(&sole->iopt);
	for (unsigned int i = 0; i < SOLE_DOMAINS; i++)
		iopt_kunit_domain_init(test, &sole->kd[i], SZ_2K | PAGE_SIZE,
				       SOLE_IOVA, SZ_1M);
	sole->address = iopt_kunit_mmap(test, 1);
	return sole;
}

static int sole_map(struct sole_test *sole, unsigned long iova,
		    unsigned long offset, unsigned long length)
{
	return iopt_kunit_map(&sole->iopt, iova, sole->address + offset, length,
			      IOPT_PAGES_ACCOUNT_NONE);
}

static int sole_attach(struct sole_test *sole, unsigned int i)
{
	return iopt_table_add_domain(&sole->iopt, &sole->kd[i].domain);
}

static void sole_detach(struct sole_test *sole, unsigned int i)
{
	iopt_table_remove_domain(&sole->iopt, &sole->kd[i].domain);
}

static void sole_unmap(struct kunit *test, struct sole_test *sole,
		       unsigned long iova, unsigned long length)
{
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&sole->iopt, iova, length, NULL));
}

static void sole_end(struct kunit *test, struct sole_test *sole)
{
	iopt_kunit_expect_pins(test, 0);
	for (unsigned int i = 0; i < SOLE_DOMAINS; i++)
		iopt_kunit_domain_check(test, &sole->kd[i], 0);
	iopt_destroy_table(&sole->iopt);
}

/* Check that a domain maps @length bytes at @iova to @offset of the page. */
static void sole_expect(struct kunit *test, struct sole_test *sole,
			unsigned int i, unsigned long iova,
			unsigned long offset, unsigned long length)
{
	unsigned long pfn = iopt_kunit_pfn(test, sole->address);
	unsigned long index = (iova - SOLE_IOVA) >> sole->kd[i].shift;

	for (unsigned long done = 0; done < length; done += SZ_2K)
		KUNIT_EXPECT_EQ(test, sole->kd[i].phys[index++],
				(PFN_PHYS(pfn) + offset + done) |
					IOPT_KUNIT_MAPPED);
}

/* A domain that cannot map the page changes nothing of the other one. */
static void failed_attach_leaves_the_page_pinned(struct kunit *test)
{
	struct sole_test *sole = sole_begin(test);

	KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, 0));
	KUNIT_ASSERT_EQ(test, 0, sole_map(sole, SOLE_IOVA, 0, PAGE_SIZE));
	iopt_kunit_expect_pins(test, 1);

	sole->kd[1].fail = 1;
	KUNIT_EXPECT_EQ(test, IOPT_KUNIT_ERRNO, sole_attach(sole, 1));
	iopt_kunit_expect_pins(test, 1);
	sole_expect(test, sole, 0, SOLE_IOVA, 0, PAGE_SIZE);
	iopt_kunit_domain_check(test, &sole->kd[1], 0);

	/* Without the first domain, the second one keeps the page pinned. */
	sole->kd[1].fail = 0;
	KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, 1));
	sole_detach(sole, 0);
	iopt_kunit_expect_pins(test, 1);
	sole_expect(test, sole, 1, SOLE_IOVA, 0, PAGE_SIZE);
	sole_detach(sole, 1);
	iopt_kunit_expect_pins(test, 0);
	sole_unmap(test, sole, SOLE_IOVA, PAGE_SIZE);
	sole_end(test, sole);
}

/* If the second domain cannot map a new page, the first one does not, either. */
static void failed_map_unpins(struct kunit *test)
{
	struct sole_test *sole = sole_begin(test);

	for (unsigned int i = 0; i < SOLE_DOMAINS; i++)
		KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, i));
	for (unsigned int i = 0; i < SOLE_DOMAINS; i++) {
		sole->kd[i].fail = sole->kd[i].maps + 1;
		KUNIT_EXPECT_EQ(test, IOPT_KUNIT_ERRNO,
				sole_map(sole, SOLE_IOVA, 0, PAGE_SIZE));
		sole->kd[i].fail = 0;
		iopt_kunit_expect_pins(test, 0);
		for (unsigned int j = 0; j < SOLE_DOMAINS; j++)
			iopt_kunit_domain_check(test, &sole->kd[j], 0);
	}
	KUNIT_EXPECT_EQ(test, 0, sole_map(sole, SOLE_IOVA, 0, PAGE_SIZE));
	sole_unmap(test, sole, SOLE_IOVA, PAGE_SIZE);
	for (unsigned int i = 0; i < SOLE_DOMAINS; i++)
		sole_detach(sole, i);
	sole_end(test, sole);
}

/* The pin of an access and that of a domain are the same one, in any order. */
static void access_and_domain_share_the_pin(struct kunit *test)
{
	struct sole_test *sole = sole_begin(test);
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0, sole_map(sole, SOLE_IOVA, 0, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_pin_pages(&sole->iopt, NULL, SOLE_IOVA, PAGE_SIZE,
				       &page, IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, 0));
	iopt_kunit_expect_pins(test, 1);
	sole_expect(test, sole, 0, SOLE_IOVA, 0, PAGE_SIZE);
	sole_detach(sole, 0);
	iopt_kunit_expect_pins(test, 1);

	KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, 0));
	iopt_unpin_pages(&sole->iopt, NULL, SOLE_IOVA, PAGE_SIZE);
	iopt_kunit_expect_pins(test, 1);
	sole_expect(test, sole, 0, SOLE_IOVA, 0, PAGE_SIZE);
	sole_unmap(test, sole, SOLE_IOVA, PAGE_SIZE);
	iopt_kunit_expect_pins(test, 0);
	sole_detach(sole, 0);
	sole_end(test, sole);
}

/* Areas smaller than a page share its pin. */
static void parts_of_a_page_share_the_pin(struct kunit *test)
{
	struct sole_test *sole = sole_begin(test);
	struct iopt_map map = {
		.iova = SOLE_IOVA + SZ_512K,
		.length = PAGE_SIZE - SZ_2K,
		.prot = IOMMU_READ | IOMMU_WRITE,
	};

	KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, 0));
	KUNIT_ASSERT_EQ(test, 0, sole_map(sole, SOLE_IOVA, 0, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, iopt_copy_iova(&sole->iopt, &map, &sole->iopt,
						SOLE_IOVA + SZ_2K));
	iopt_kunit_expect_pins(test, 1);
	sole_expect(test, sole, 0, map.iova, SZ_2K, map.length);
	sole_unmap(test, sole, SOLE_IOVA, PAGE_SIZE);
	iopt_kunit_expect_pins(test, 1);

	/* A domain that is added maps the part only. */
	KUNIT_ASSERT_EQ(test, 0, sole_attach(sole, 1));
	sole_expect(test, sole, 1, map.iova, SZ_2K, map.length);
	iopt_kunit_domain_check(test, &sole->kd[1], map.length / SZ_2K);
	sole_unmap(test, sole, map.iova, map.length);
	for (unsigned int i = 0; i < SOLE_DOMAINS; i++)
		sole_detach(sole, i);
	sole_end(test, sole);
}

static struct kunit_case sole_cases[] = {
	KUNIT_CASE(failed_attach_leaves_the_page_pinned),
	KUNIT_CASE(failed_map_unpins),
	KUNIT_CASE(access_and_domain_share_the_pin),
	KUNIT_CASE(parts_of_a_page_share_the_pin),
	{}
};

static struct kunit_suite sole_suite = {
	.name = "iommufd_iopt_sole_page",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = sole_cases,
};

kunit_test_suite(sole_suite);
