// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of dirty tracking of an IOAS: cases that random steps do not reach.
 */
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>
#include <linux/uaccess.h>

#include "dirty/iopt_track.h"
#include "tests/dirty/track_kunit.h"

static const struct model_config track_config = {
	"tracking", 1, 0, SZ_1G, SZ_4M,
	{ SZ_4K | SZ_64K | SZ_2M, SZ_4K, SZ_4K, SZ_4K | SZ_2M },
	.flags = MODEL_HUGE,
};

/* A query with overwrite replaces a word of the bitmap if an area covers its first bit. */
static void overwrite_replaces_whole_words_of_areas(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 256 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)t->run->bitmap + 3,
		.overwrite = true,
	};
	u64 words[] = { ~0ULL, ~0ULL, ~0ULL, ~0ULL };

	iopt_tracked_map(t, 0, 0, 0, 64);
	iopt_tracked_map(t, 0, 0, 70, 10);
	iopt_tracked_map(t, 0, 0, 100, 100);
	iopt_tracked_add_domain(t, 0);
	iopt_tracked_start(t);
	iopt_tracked_rw(t, PAGE_SIZE * 4 - 1, 2, true);
	iopt_tracked_rw(t, PAGE_SIZE * 75, 1, true);
	iopt_tracked_rw(t, PAGE_SIZE * 130, 1, true);
	KUNIT_ASSERT_EQ(test, 0,
			copy_to_user(query.data, words, sizeof(words)));
	KUNIT_EXPECT_EQ(test, 0, iopt_read_dirty(&t->iopt, &query));
	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(words, query.data, sizeof(words)));
	KUNIT_EXPECT_EQ(test, words[0], BIT_ULL(3) | BIT_ULL(4));
	KUNIT_EXPECT_EQ(test, words[1], ~0ULL);
	KUNIT_EXPECT_EQ(test, words[2], BIT_ULL(2));
	KUNIT_EXPECT_EQ(test, words[3], 0);
	iopt_tracked_end(t);
}

/* The bitmap ends after the byte with the bits: the word to overwrite faults. */
static void overwrite_past_end_of_bitmap_fails(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	u8 __user *end = (u8 __user *)t->run->bitmap + t->run->bitmap_bytes;
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 8 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)(end - 1),
		.overwrite = true,
	};
	u64 unused;

	iopt_tracked_map(t, 0, 0, 0, 8);
	iopt_tracked_add_domain(t, 0);
	iopt_tracked_start(t);
	iopt_tracked_write(t, 0, 5);
	if (copy_from_user(&unused, end, sizeof(unused))) {
		KUNIT_EXPECT_EQ(test, -EFAULT,
				iopt_read_dirty(&t->iopt, &query));
		iopt_tracked_check(t);
		iopt_tracked_unmap(t, &query, 0, -EFAULT);
		iopt_tracked_check(t);
		query.overwrite = false;
		query.no_clear = true;
		KUNIT_EXPECT_EQ(test, 0, iopt_read_dirty(&t->iopt, &query));
	}
	iopt_tracked_end(t);
}

/* Unmap notifies the access until it unpins, then reports the pages it may have written. */
static void unmap_of_pinned_pages_notifies_until_unpinned(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 40 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
	};

	iopt_tracked_map(t, 0, 0, 0, 16);
	iopt_tracked_map(t, 0, 16, 20, 16);
	iopt_tracked_add_domain(t, 1);
	iopt_tracked_start(t);
	iopt_tracked_pin(t, 3, 2, false);
	iopt_tracked_pin(t, 25, 2, true);
	iopt_tracked_write(t, 1, 30);
	t->ignore = 3;
	iopt_tracked_unmap(t, &query, SZ_4K, 0);
	/* One notification for all areas: three that are ignored, and one more. */
	KUNIT_EXPECT_EQ(test, t->notified, 4);
	iopt_tracked_check(t);
	iopt_tracked_end(t);
}

/* An area behind others is locked: all stay mapped and dirty, no access has to unpin. */
static void unmap_of_locked_pages_changes_nothing(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 40 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
	};
	unsigned long locked = SZ_1G + 25 * PAGE_SIZE;

	iopt_remove_access(&t->iopt, &t->access);
	t->access.locks_areas = true;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&t->iopt, &t->access));
	iopt_tracked_map(t, 0, 0, 0, 16);
	iopt_tracked_map(t, 0, 16, 20, 16);
	iopt_tracked_add_domain(t, 1);
	iopt_tracked_start(t);
	iopt_tracked_pin(t, 3, 2, true);
	iopt_tracked_write(t, 1, 7);
	iopt_tracked_write(t, 1, 30);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_pin_pages(&t->iopt, &t->access, locked, PAGE_SIZE,
				       t->run->out_pages, 0));
	iopt_tracked_unmap(t, &query, SZ_4K, -EBUSY);
	KUNIT_EXPECT_EQ(test, t->notified, 0);
	iopt_unpin_pages(&t->iopt, &t->access, locked, PAGE_SIZE);
	/* In type1, a page that was pinned is dirty. */
	t->dirty[25] = true;
	iopt_tracked_check(t);
	iopt_tracked_unmap(t, &query, SZ_4K, 0);
	iopt_tracked_end(t);
}

/* A driver fails after other pages have become read-only: all become writable again. */
static void failed_unmap_leaves_pages_writable(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 40 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
	};
	unsigned long iova = SZ_1G + 20 * PAGE_SIZE, start, last;
	struct model_domain *domains = t->run->domains;

	iopt_tracked_map(t, 0, 0, 0, 16);
	iopt_tracked_map(t, 0, 16, 20, 16);
	iopt_tracked_add_domain(t, 0);
	iopt_tracked_add_domain(t, 1);
	iopt_tracked_start(t);
	iopt_tracked_write(t, 0, 3);
	iopt_tracked_write(t, 1, 25);
	/* Each domain has two calls, one for each area. */
	for (unsigned int call = 1; call <= 4; call++) {
		t->fail = call;
		iopt_tracked_unmap(t, &query, SZ_4K, 0);
		KUNIT_EXPECT_TRUE(test, t->driver_failed);
		t->driver_failed = false;
		for (unsigned int nr = 0; nr < 2; nr++)
			KUNIT_EXPECT_TRUE(test,
					  iopt_model_domain_write(&domains[nr],
								  iova, &start,
								  &last));
	}
	t->fail = 0;
	iopt_tracked_unmap(t, &query, SZ_4K, 0);
	iopt_tracked_end(t);
}

/* Attach a domain as soon as the query of an unmap has ended; its device writes a page. */
static int track_attach_after_query(struct io_pagetable *iopt,
				    const struct iopt_dirty_query *query)
{
	struct kunit *test = kunit_get_current_test();
	struct track *t = test->priv;
	int rc;

	kunit_deactivate_static_stub(test, iopt_read_dirty_protected);
	rc = iopt_read_dirty_protected(iopt, query);
	iopt_tracked_add_domain(t, 1);
	iopt_tracked_write(t, 1, 45);
	return rc;
}

static void unmap_reports_writes_through_new_domain(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 64 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.overwrite = true,
	};

	iopt_tracked_map(t, 0, 0, 0, 64);
	iopt_tracked_add_domain(t, 0);
	iopt_tracked_start(t);
	iopt_tracked_write(t, 0, 3);
	kunit_activate_static_stub(test, iopt_read_dirty_protected,
				   track_attach_after_query);
	iopt_tracked_unmap(t, &query, SZ_4K, 0);
	KUNIT_EXPECT_TRUE(test, t->attached[1]);
	iopt_tracked_end(t);
}

/* A domain tracks as long as tracking of the IOAS or of the domain is enabled. */
static void tracking_of_ioas_and_domain_are_independent(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct model_domain *md = &t->run->domains[1];
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 16 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)t->run->bitmap,
	};
	struct iommu_domain *domain = &md->domain;

	iopt_tracked_map(t, 1, 0, 0, 16);
	iopt_tracked_add_domain(t, 1);
	/* Starting IOAS tracking keeps dirty bits that no query of the domain has read. */
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, true));
	iopt_tracked_write(t, 1, 5);
	iopt_tracked_start(t);
	t->dirty[5] = true;
	iopt_tracked_check(t);
	/* Disabling one of the two leaves the other one enabled. */
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, false));
	KUNIT_EXPECT_TRUE(test, md->tracking);
	iopt_tracked_check(t);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_read_and_clear_dirty(&t->iopt, domain, &query));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, true));
	iopt_tracked_write(t, 1, 7);
	iopt_tracked_check(t);
	iopt_stop_tracking(&t->iopt);
	t->started = false;
	KUNIT_EXPECT_TRUE(test, md->tracking);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_read_and_clear_dirty(&t->iopt, domain, &query));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, false));
	KUNIT_EXPECT_FALSE(test, md->tracking);
	iopt_tracked_end(t);
}

/* The driver fails to enable tracking for the IOAS, but succeeds later for the domain. */
static void query_is_conservative_if_driver_refuses(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iommu_domain *domain = &t->run->domains[1].domain;
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 16 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
	};

	iopt_tracked_map(t, 1, 0, 0, 16);
	iopt_tracked_add_domain(t, 1);
	t->refuse = true;
	iopt_tracked_start(t);
	t->refuse = false;
	iopt_tracked_check(t);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, true));
	iopt_tracked_set_dirty(t, 0, ULONG_MAX, true);
	iopt_tracked_query(t, &query, SZ_4K);
	iopt_tracked_check(t);
	iopt_tracked_end(t);
}

static struct interval_tree_node *track_kmalloc_fails(gfp_t gfp)
{
	return NULL;
}

/* Detaching a domain without memory may add dirty pages, but loses none. */
static void removal_without_memory_reports_more(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_config);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 64 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)t->run->bitmap,
		.overwrite = true,
	};
	u64 must = 0, is;

	iopt_tracked_map(t, 1, 0, 0, 64);
	iopt_tracked_add_domain(t, 1);
	iopt_tracked_start(t);
	for (unsigned int page = 1; page < 64; page += 7) {
		iopt_tracked_write(t, 1, page);
		must |= BIT_ULL(page);
	}
	kunit_activate_static_stub(test, iova_set_kmalloc, track_kmalloc_fails);
	iopt_tracked_remove_domain(t, 1);
	kunit_deactivate_static_stub(test, iova_set_kmalloc);
	KUNIT_EXPECT_EQ(test, 0, iopt_read_dirty(&t->iopt, &query));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&is, query.data, sizeof(is)));
	KUNIT_EXPECT_EQ(test, is & must, must);
	KUNIT_EXPECT_EQ(test, 0, iopt_read_dirty(&t->iopt, &query));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&is, query.data, sizeof(is)));
	KUNIT_EXPECT_EQ(test, is, 0);
	iopt_tracked_end(t);
}

static struct kunit_case iopt_track_cases[] = {
	KUNIT_CASE(overwrite_replaces_whole_words_of_areas),
	KUNIT_CASE(overwrite_past_end_of_bitmap_fails),
	KUNIT_CASE(unmap_of_pinned_pages_notifies_until_unpinned),
	KUNIT_CASE(unmap_of_locked_pages_changes_nothing),
	KUNIT_CASE(failed_unmap_leaves_pages_writable),
	KUNIT_CASE(unmap_reports_writes_through_new_domain),
	KUNIT_CASE(tracking_of_ioas_and_domain_are_independent),
	KUNIT_CASE(query_is_conservative_if_driver_refuses),
	KUNIT_CASE(removal_without_memory_reports_more),
	{}
};

static struct kunit_suite iopt_track_suite = {
	.name = "iommufd_iopt_track",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = iopt_track_cases,
};

kunit_test_suite(iopt_track_suite);
