// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: regression tests
 *
 * Each test repeats calls that earlier versions of iommufd or type1 got wrong. Domains
 * and memory objects are those of the random test: a page that is mapped without being
 * pinned, and a leaf that is split, fail the test where they occur.
 */
#include <kunit/pins.h>
#include <linux/mm.h>

#include "test_hooks.h"
#include "tests/model/bugs_kunit.h"

static const struct model_config bug_config = {
	"bugs", 1, 0, BASE, SZ_4M,
	{ SZ_4K | SZ_64K | SZ_2M, SZ_4K, SZ_2K, SZ_4K | SZ_2M },
	.flags = MODEL_HUGE,
};

static void bug_access_unmap(struct iopt_access *access, unsigned long iova,
			     unsigned long length)
{
	struct bug_test *bug = container_of(access, struct bug_test, access);

	bug->unmapped++;
	bug->on_unmap(bug->run->test, iova, length);
}

static const struct iopt_access_ops bug_access_ops = {
	.get = iopt_kunit_access_get,
	.put = iopt_kunit_access_put,
	.unmap = bug_access_unmap,
};

/**
 * iopt_bug_begin() - initialise an empty IOVA space, memory objects and domains
 * @test: the test; its priv is set to the struct bug_test
 *
 * Return: the state of the test.
 */
struct bug_test *iopt_bug_begin(struct kunit *test)
{
	struct bug_test *bug = kunit_kzalloc(test, sizeof(*bug), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bug);
	bug->ik = *(struct iopt_kunit *)test->priv;
	bug->run = iopt_model_alloc(test, &bug_config);
	bug->domain = &bug->run->domains[0].domain;
	bug->access.ops = &bug_access_ops;
	bug->access.iova_alignment = PAGE_SIZE;
	iopt_init_table(&bug->iopt);
	test->priv = bug;
	return bug;
}

/**
 * iopt_bug_pins() - count the pins of the test
 * @bug: state of the test
 *
 * Return: the number of pins.
 */
long iopt_bug_pins(const struct bug_test *bug)
{
	return pins_count() - bug->run->pins;
}

/**
 * iopt_bug_end() - check that all pages are unpinned and unmapped
 * @test: the test, which has unmapped every area and detached every domain
 */
void iopt_bug_end(struct kunit *test)
{
	struct bug_test *bug = test->priv;

	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 0);
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		KUNIT_EXPECT_EQ(test, bug->run->domains[i].mapped, 0);
	iopt_destroy_table(&bug->iopt);
}

/**
 * iopt_bug_try_map() - map a memory object for reading and writing
 * @bug: state of the test
 * @iova: first IOVA
 * @mem: index of the memory object
 * @offset: offset in the memory object
 * @length: length in bytes
 *
 * Return: what iopt_map_user_pages() returns.
 */
int iopt_bug_try_map(struct bug_test *bug, unsigned long iova, unsigned int mem,
		     unsigned long offset, unsigned long length)
{
	return iopt_kunit_map(&bug->iopt, iova,
			      bug->run->mems[mem].address + offset, length,
			      IOPT_PAGES_ACCOUNT_NONE);
}

/**
 * iopt_bug_map() - map a memory object, and assert success
 * @test: the test
 * @iova: first IOVA
 * @mem: index of the memory object
 * @offset: offset in the memory object
 * @length: length in bytes
 */
void iopt_bug_map(struct kunit *test, unsigned long iova, unsigned int mem,
		  unsigned long offset, unsigned long length)
{
	KUNIT_ASSERT_EQ(test, 0,
			iopt_bug_try_map(test->priv, iova, mem, offset,
					 length));
}

/**
 * iopt_bug_unmap() - unmap a range that whole areas cover without a gap
 * @test: the test
 * @iova: first IOVA
 * @length: length in bytes
 */
void iopt_bug_unmap(struct kunit *test, unsigned long iova,
		    unsigned long length)
{
	struct bug_test *bug = test->priv;
	unsigned long bytes = 1;

	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&bug->iopt, iova, length, &bytes));
	KUNIT_EXPECT_EQ(test, bytes, length);
}

/**
 * iopt_bug_add_domain() - attach a domain
 * @test: the test
 * @nr: index of the domain
 */
void iopt_bug_add_domain(struct kunit *test, unsigned int nr)
{
	struct bug_test *bug = test->priv;

	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&bug->iopt,
					      &bug->run->domains[nr].domain));
}

/**
 * iopt_bug_remove_domain() - detach a domain
 * @test: the test
 * @nr: index of the domain
 */
void iopt_bug_remove_domain(struct kunit *test, unsigned int nr)
{
	struct bug_test *bug = test->priv;

	iopt_table_remove_domain(&bug->iopt, &bug->run->domains[nr].domain);
}

/**
 * iopt_bug_pin() - pin pages for writing
 * @test: the test
 * @iova: first IOVA
 * @length: length in bytes
 */
void iopt_bug_pin(struct kunit *test, unsigned long iova, unsigned long length)
{
	struct bug_test *bug = test->priv;

	KUNIT_ASSERT_EQ(test, 0,
			iopt_pin_pages(&bug->iopt, NULL, iova, length,
				       bug->run->out_pages,
				       IOMMUFD_ACCESS_RW_WRITE));
}

/* Bug: a user address plus length that wraps was accepted. */
static void wrapping_user_range_fails(struct kunit *test)
{
	static const struct {
		unsigned long address;
		unsigned long length;
		int rc;
	} cases[] = {
		{ -PAGE_SIZE, 2 * PAGE_SIZE, -EOVERFLOW },
		{ -PAGE_SIZE, PAGE_SIZE, -EOVERFLOW },
		{ ULONG_MAX, 1, -EOVERFLOW },
		{ ULONG_MAX - 1, 2, -EOVERFLOW },
		{ PAGE_SIZE, ULONG_MAX - PAGE_SIZE, -EOVERFLOW },
		{ PAGE_SIZE, ULONG_MAX, -EINVAL },
		{ 0, ULONG_MAX, -EINVAL },
		{ PAGE_SIZE, 0, -EINVAL },
	};
	struct bug_test *bug = iopt_bug_begin(test);
	int rc;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iopt_map map = {
			.iova = BASE,
			.length = cases[i].length,
			.prot = RW,
		};

		rc = iopt_map_user_pages(&bug->iopt, &map,
					 (void __user *)cases[i].address);
		KUNIT_EXPECT_EQ_MSG(test, rc, cases[i].rc, "row %u", i);
	}
	/* An IOVA plus length that wraps fails, too; the last page can be mapped. */
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iopt_bug_try_map(bug, -PAGE_SIZE, 0, 0, PAGES(2)));
	iopt_bug_map(test, -PAGE_SIZE, 0, 0, PAGES(1));
	iopt_bug_unmap(test, -PAGE_SIZE, PAGES(1));
	iopt_bug_end(test);
}

/* Bug: detaching the domain unpinned pages that an access had pinned. */
static void pins_survive_removal_of_domain(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);

	iopt_bug_map(test, BASE, 1, 0, PAGES(16));
	iopt_bug_add_domain(test, 0);
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 16);
	iopt_bug_pin(test, BASE + PAGES(3), PAGES(2));
	iopt_bug_pin(test, BASE + PAGES(9), PAGES(4));
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 16);
	iopt_bug_remove_domain(test, 0);
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 6);
	iopt_bug_add_domain(test, 1);
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 16);
	iopt_unpin_pages(&bug->iopt, NULL, BASE + PAGES(3), PAGES(2));
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 16);
	iopt_bug_remove_domain(test, 1);
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 4);
	iopt_unpin_pages(&bug->iopt, NULL, BASE + PAGES(9), PAGES(4));
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 0);
	iopt_bug_unmap(test, BASE, PAGES(16));
	iopt_bug_end(test);
}

/* Bug: a batch with room for one run overwrote a PFN that was not yet mapped. */
static void batch_of_one_run_maps_scattered_pages(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	const struct model_domain *md = &bug->run->domains[0];
	const struct model_mem *mem = &bug->run->mems[2];

	iopt_test_memory_limit = 1;
	iopt_bug_add_domain(test, 0);
	iopt_bug_map(test, BASE, 2, 0, PAGES(64));
	for (unsigned int i = 0; i < 64; i++)
		KUNIT_EXPECT_EQ_MSG(test, md->granules[i].phys,
				    page_to_phys(mem->page[i]), "page %u", i);
	iopt_bug_pin(test, BASE + PAGES(5), PAGES(30));
	for (unsigned int i = 0; i < 30; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test, bug->run->out_pages[i],
					mem->page[i + 5], "page %u", i);
	iopt_bug_remove_domain(test, 0);
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 30);
	iopt_unpin_pages(&bug->iopt, NULL, BASE + PAGES(5), PAGES(30));
	iopt_bug_unmap(test, BASE, PAGES(64));
	iopt_bug_end(test);
}

/* Bug: some pages of a huge page that is larger than a batch stayed pinned. */
static void huge_page_in_small_batches_unpins_all(struct kunit *test)
{
	struct bug_test *bug = iopt_bug_begin(test);
	unsigned long length = SZ_2M + PAGES(16);

	for (unsigned int limit = 1; limit <= 256; limit *= 16) {
		iopt_test_memory_limit = limit;
		iopt_bug_add_domain(test, 0);
		iopt_bug_map(test, BASE, 0, 0, length);
		KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), length / PAGE_SIZE);
		iopt_bug_add_domain(test, 1);
		iopt_bug_remove_domain(test, 0);
		KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), length / PAGE_SIZE);
		iopt_bug_unmap(test, BASE, length);
		KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 0);
		iopt_bug_remove_domain(test, 1);
	}
	iopt_bug_end(test);
}

/*
 * Bug: after a split, &iopt_pages.domains_itree still had the area that was split, so an
 * unmap of one part used a freed area.
 */
static void split_in_domain_keeps_other_parts(struct kunit *test)
{
	unsigned long iovas[] = { BASE + PAGES(5) - 1, BASE + PAGES(11) - 1 };
	struct bug_test *bug = iopt_bug_begin(test);

	KUNIT_ASSERT_EQ(test, 0, iopt_disable_large_pages(&bug->iopt));
	iopt_bug_add_domain(test, 0);
	iopt_bug_add_domain(test, 1);
	iopt_bug_map(test, BASE, 0, 0, PAGES(16));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_split_areas(&bug->iopt, iovas, ARRAY_SIZE(iovas)));
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 16);
	iopt_bug_unmap(test, BASE + PAGES(5), PAGES(6));
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 10);
	/* The other parts still map the same pages. */
	iopt_bug_pin(test, BASE, PAGES(5));
	KUNIT_EXPECT_PTR_EQ(test, bug->run->out_pages[4],
			    bug->run->mems[0].page[4]);
	iopt_bug_remove_domain(test, 0);
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 10);
	iopt_unpin_pages(&bug->iopt, NULL, BASE, PAGES(5));
	iopt_bug_unmap(test, BASE, PAGES(5));
	KUNIT_EXPECT_EQ(test, iopt_bug_pins(bug), 5);
	iopt_bug_unmap(test, BASE + PAGES(11), PAGES(5));
	iopt_bug_remove_domain(test, 1);
	iopt_bug_end(test);
}

static struct kunit_case iopt_bugs_cases[] = {
	KUNIT_CASE(wrapping_user_range_fails),
	KUNIT_CASE(pins_survive_removal_of_domain),
	KUNIT_CASE(batch_of_one_run_maps_scattered_pages),
	KUNIT_CASE(huge_page_in_small_batches_unpins_all),
	KUNIT_CASE(split_in_domain_keeps_other_parts),
	{}
};

static struct kunit_suite iopt_bugs_suite = {
	.name = "iommufd_iopt_bugs",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = iopt_bugs_cases,
};

kunit_test_suite(iopt_bugs_suite);
