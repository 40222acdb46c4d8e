// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of copies of many areas, which take several steps of IOPT_AREAS_STEP areas.
 */
#include <linux/iommufd.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "space/iopt_area.h"
#include "tests/iopt_fault_kunit.h"
#include "tests/iopt_kunit.h"

#define STEP		1024UL		/* IOPT_AREAS_STEP */
#define AREAS		(3 * STEP + 5)
#define COPY_FROM	((unsigned long)SZ_1G)
#define COPY_TO		(COPY_FROM + AREAS * PAGE_SIZE)

/**
 * struct copy_test - an IOAS with AREAS areas of a page each
 * @test: the test
 * @iopt: the IOAS
 * @kd: its domain
 */
struct copy_test {
	struct kunit *test;
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd;
};

static struct copy_test *copy_begin(struct kunit *test)
{
	struct copy_test *copy = iopt_kunit_vzalloc(test, sizeof(*copy));
	unsigned long address = iopt_kunit_mmap(test, 2);

	copy->test = test;
	iopt_init_table(&copy->iopt);
	iopt_kunit_domain_init(test, &copy->kd, PAGE_SIZE, COPY_FROM,
			       2 * AREAS * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, iopt_table_add_domain(&copy->iopt,
						       &copy->kd.domain));
	for (unsigned long i = 0; i < AREAS; i++)
		KUNIT_ASSERT_EQ(test, 0,
				iopt_kunit_map(&copy->iopt,
					       COPY_FROM + i * PAGE_SIZE,
					       address + i % 2 * PAGE_SIZE,
					       PAGE_SIZE,
					       IOPT_PAGES_ACCOUNT_NONE));
	return copy;
}

static int copy_first(struct copy_test *copy, unsigned long n)
{
	struct iopt_map map = {
		.iova = COPY_TO,
		.length = n * PAGE_SIZE,
		.prot = IOMMU_READ | IOMMU_WRITE,
	};

	return iopt_copy_iova(&copy->iopt, &map, &copy->iopt, COPY_FROM);
}

static void copy_unmap(struct copy_test *copy, unsigned long iova,
		       unsigned long n)
{
	unsigned long unmapped;

	KUNIT_EXPECT_EQ(copy->test, 0, iopt_unmap_iova(&copy->iopt, iova,
						       n * PAGE_SIZE, &unmapped));
	KUNIT_EXPECT_EQ(copy->test, unmapped, n * PAGE_SIZE);
}

/* Check the number of areas, of pinned pages, and that all of the areas are mapped. */
static void copy_expect(struct copy_test *copy, unsigned long nr)
{
	struct iopt_area *area;
	unsigned long n = 0;

	down_read(&copy->iopt.iova_rwsem);
	iopt_for_each_area(area, &copy->iopt, 0, ULONG_MAX) {
		KUNIT_EXPECT_NOT_NULL(copy->test, area->pages);
		n++;
	}
	up_read(&copy->iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(copy->test, n, nr);
	KUNIT_EXPECT_EQ(copy->test, copy->iopt.num_areas, nr);
	iopt_kunit_domain_check(copy->test, &copy->kd, nr);
}

static void copy_end(struct copy_test *copy)
{
	copy_expect(copy, AREAS);
	iopt_kunit_expect_pins(copy->test, AREAS);
	copy_unmap(copy, COPY_FROM, AREAS);
	iopt_kunit_expect_pins(copy->test, 0);
	iopt_table_remove_domain(&copy->iopt, &copy->kd.domain);
	iopt_destroy_table(&copy->iopt);
}

/* Numbers of areas around whole steps */
static const unsigned long edges[] = {
	1, 2, STEP - 1, STEP, STEP + 1, 2 * STEP - 1, 2 * STEP, 2 * STEP + 1,
	3 * STEP, 3 * STEP + 1, AREAS,
};

static void copies_have_every_area(struct kunit *test)
{
	struct copy_test *copy = copy_begin(test);

	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		KUNIT_EXPECT_EQ(test, 0, copy_first(copy, edges[i]));
		copy_expect(copy, AREAS + edges[i]);
		for (unsigned long n = 0; n < edges[i]; n++)
			KUNIT_EXPECT_EQ(test, copy->kd.phys[AREAS + n],
					copy->kd.phys[n]);
		copy_unmap(copy, COPY_TO, edges[i]);
	}
	copy_end(copy);
}

/* A hole in the source, or an area at the destination */
static void failed_copies_change_nothing(struct kunit *test)
{
	struct copy_test *copy = copy_begin(test);
	unsigned long address = iopt_kunit_mmap(test, 1), iova;

	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		iova = COPY_FROM + (edges[i] - 1) * PAGE_SIZE;
		copy_unmap(copy, iova, 1);
		KUNIT_EXPECT_EQ(test, -ENOENT, copy_first(copy, AREAS));
		copy_expect(copy, AREAS - 1);
		KUNIT_EXPECT_EQ(test, 0,
				iopt_kunit_map(&copy->iopt, iova, address,
					       PAGE_SIZE,
					       IOPT_PAGES_ACCOUNT_NONE));
		iova = COPY_TO + (edges[i] - 1) * PAGE_SIZE;
		KUNIT_EXPECT_EQ(test, 0,
				iopt_kunit_map(&copy->iopt, iova, address,
					       PAGE_SIZE,
					       IOPT_PAGES_ACCOUNT_NONE));
		KUNIT_EXPECT_EQ(test, -EEXIST, copy_first(copy, AREAS));
		copy_expect(copy, AREAS + 1);
		copy_unmap(copy, iova, 1);
	}
	copy_end(copy);
}

/* The driver cannot map an area. */
static void copy_is_undone(struct kunit *test)
{
	struct copy_test *copy = copy_begin(test);

	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		copy->kd.fail = copy->kd.maps + edges[i];
		KUNIT_EXPECT_EQ(test, IOPT_KUNIT_ERRNO,
				copy_first(copy, AREAS));
		copy_expect(copy, AREAS);
	}
	copy->kd.fail = 0;
	copy_end(copy);
}

/*
 * Two allocations for an area, and one for the placeholder. Debugging allocates more, and
 * some allocations need not succeed.
 */
static void copy_without_memory_fails(struct kunit *test)
{
	struct copy_test *copy = copy_begin(test);
	unsigned int around[] = { 1, 2 * STEP, 4 * STEP };
	unsigned int failures = 0;

	iopt_kunit_begin_faults(test);
	for (unsigned int i = 0; i < ARRAY_SIZE(around); i++) {
		unsigned int nth = around[i] > 4 ? around[i] - 4 : 1;

		for (; nth < around[i] + 4; nth++) {
			bool failed;
			int rc;

			iopt_kunit_fail_nth(nth);
			rc = copy_first(copy, AREAS);
			failed = iopt_kunit_end_fail_nth();
			failures += !!rc;
			KUNIT_EXPECT_TRUE(test, !rc || (failed && rc == -ENOMEM));
			copy_expect(copy, rc ? AREAS : 2 * AREAS);
			if (!rc)
				copy_unmap(copy, COPY_TO, AREAS);
		}
	}
	KUNIT_EXPECT_NE(test, failures, 0);
	copy_end(copy);
}

static struct kunit_case copy_cases[] = {
	KUNIT_CASE(copies_have_every_area),
	KUNIT_CASE(failed_copies_change_nothing),
	KUNIT_CASE(copy_is_undone),
	KUNIT_CASE_SLOW(copy_without_memory_fails),
	{}
};

static struct kunit_suite copy_suite = {
	.name = "iommufd_iopt_copy",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = copy_cases,
};

kunit_test_suite(copy_suite);
