// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of a table's tracking: what random steps do not lead to.
 */
#include <kunit/static_stub.h>
#include <linux/uaccess.h>

#include "track_kunit.h"

static const struct model_row track_row = {
	"tracking", 1, 0, SZ_1G, SZ_4M,
	{ SZ_4K | SZ_64K | SZ_2M, SZ_4K, SZ_4K, SZ_4K | SZ_2M },
	.flags = MODEL_HUGE,
};

/* Whole words are overwritten, but not the one that an area begins within. */
static void iopt_test_track_overwrite(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_row);
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
	iopt_tracked_add(t, 0);
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

/* The bits have a place, the rest of the word to overwrite has none. */
static void iopt_test_track_half_word(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_row);
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
	iopt_tracked_add(t, 0);
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

/* Whoever holds pages is asked until he lets go, and then what he wrote told. */
static void iopt_test_track_unmap_held(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_row);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 40 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
	};

	iopt_tracked_map(t, 0, 0, 0, 16);
	iopt_tracked_map(t, 0, 16, 20, 16);
	iopt_tracked_add(t, 1);
	iopt_tracked_start(t);
	iopt_tracked_pin(t, 3, 2, false);
	iopt_tracked_pin(t, 25, 2, true);
	iopt_tracked_write(t, 1, 30);
	t->obstinate = 3;
	iopt_tracked_unmap(t, &query, SZ_4K, 0);
	KUNIT_EXPECT_EQ(test, t->told, 5);
	iopt_tracked_check(t);
	iopt_tracked_end(t);
}

/* The table and userspace want a domain to track: either is enough. */
static void iopt_test_track_shared(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_row);
	struct model_domain *md = &t->run->domains[1];
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 16 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)t->run->bitmap,
	};
	struct iommu_domain *domain = &md->domain;

	iopt_tracked_map(t, 1, 0, 0, 16);
	iopt_tracked_add(t, 1);
	/* What userspace has not asked for yet the table is told. */
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, true));
	iopt_tracked_write(t, 1, 5);
	iopt_tracked_start(t);
	t->dirty[5] = true;
	iopt_tracked_check(t);
	/* Neither turns off what the other wants. */
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

/* A driver does not want to track, but then it does. */
static void iopt_test_track_refused(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_row);
	struct iommu_domain *domain = &t->run->domains[1].domain;
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 16 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
	};

	iopt_tracked_map(t, 1, 0, 0, 16);
	iopt_tracked_add(t, 1);
	t->refuse = true;
	iopt_tracked_start(t);
	t->refuse = false;
	iopt_tracked_check(t);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_set_dirty_tracking(&t->iopt, domain, true));
	iopt_tracked_set(t, 0, ULONG_MAX, true);
	iopt_tracked_query(t, &query, SZ_4K);
	iopt_tracked_check(t);
	iopt_tracked_end(t);
}

static struct interval_tree_node *track_no_memory(void)
{
	return NULL;
}

/* Without memory a domain that leaves has more to say, never less. */
static void iopt_test_track_no_memory(struct kunit *test)
{
	struct track *t = iopt_tracked_begin(test, &track_row);
	struct iopt_dirty_query query = {
		.iova = SZ_1G,
		.length = 64 * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (void __user *)t->run->bitmap,
		.overwrite = true,
	};
	u64 must = 0, is;

	iopt_tracked_map(t, 1, 0, 0, 64);
	iopt_tracked_add(t, 1);
	iopt_tracked_start(t);
	for (unsigned int page = 1; page < 64; page += 7) {
		iopt_tracked_write(t, 1, page);
		must |= BIT_ULL(page);
	}
	kunit_activate_static_stub(test, dirty_spill_kmalloc, track_no_memory);
	iopt_tracked_remove(t, 1);
	kunit_deactivate_static_stub(test, dirty_spill_kmalloc);
	KUNIT_EXPECT_EQ(test, 0, iopt_read_dirty(&t->iopt, &query));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&is, query.data, sizeof(is)));
	KUNIT_EXPECT_EQ(test, is & must, must);
	KUNIT_EXPECT_EQ(test, 0, iopt_read_dirty(&t->iopt, &query));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&is, query.data, sizeof(is)));
	KUNIT_EXPECT_EQ(test, is, 0);
	iopt_tracked_end(t);
}

static struct kunit_case iopt_track_cases[] = {
	KUNIT_CASE(iopt_test_track_overwrite),
	KUNIT_CASE(iopt_test_track_half_word),
	KUNIT_CASE(iopt_test_track_unmap_held),
	KUNIT_CASE(iopt_test_track_shared),
	KUNIT_CASE(iopt_test_track_refused),
	KUNIT_CASE(iopt_test_track_no_memory),
	{}
};

static struct kunit_suite iopt_track_suite = {
	.name = "iommufd_iopt_track",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = iopt_track_cases,
};

kunit_test_suite(iopt_track_suite);
