// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random tests of dirty bits in page tables.
 */
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "dirty_pt_kunit.h"

/**
 * DOC: Random tests of dirty bits in page tables
 *
 * Random operations run on a page table and on arrays with one element per granule of a
 * window of IOVA space. The granule is a leaf size, so that also windows of the largest
 * leaves have few granules. There is a window at the first IOVA, one at the last IOVA,
 * and one across a boundary of the largest tables. The queries begin and end anywhere.
 */

#define DIRTY_PT_GRANULES	8192
#define DIRTY_PT_STEPS		4000

/* The model: state of each granule of the window. */
struct dirty_pt_model {
	struct dirty_pt *pt;
	struct rnd_state rnd;
	unsigned long iova;
	unsigned int shift;
	/* The leaf that the granule is in; 0 granules if it is not mapped. */
	u16 leaf_first[DIRTY_PT_GRANULES];
	u16 leaf_granules[DIRTY_PT_GRANULES];
	u8 dirty[DIRTY_PT_GRANULES];
	u8 read_only[DIRTY_PT_GRANULES];
	/* Of the latest query or change of permissions. */
	u8 expected[DIRTY_PT_GRANULES];
	u8 reported[DIRTY_PT_GRANULES];
	unsigned int outside;
};

static unsigned int dirty_pt_random(struct dirty_pt_model *m, unsigned int below)
{
	return prandom_u32_state(&m->rnd) % below;
}

static unsigned long dirty_pt_iova(const struct dirty_pt_model *m,
				   unsigned int granule)
{
	return m->iova + ((unsigned long)granule << m->shift);
}

static void dirty_pt_set_leaf(struct dirty_pt_model *m, unsigned int first,
			      unsigned int granules, unsigned int mapped)
{
	unsigned int i;

	for (i = first; i < first + granules; i++) {
		m->leaf_first[i] = first;
		m->leaf_granules[i] = mapped;
		m->dirty[i] = 0;
		m->read_only[i] = 0;
	}
}

/* Choose a leaf size between a granule and half of the window. Prefer small ones. */
static unsigned int dirty_pt_random_granules(struct dirty_pt_model *m)
{
	unsigned long sizes = m->pt->format->pgsizes >> m->shift;

	sizes &= DIRTY_PT_GRANULES - 1;
	while (!is_power_of_2(sizes) && dirty_pt_random(m, 4))
		sizes &= ~BIT(__fls(sizes));
	return BIT(__fls(sizes));
}

static void dirty_pt_random_map(struct dirty_pt_model *m)
{
	unsigned int granules = dirty_pt_random_granules(m), i;
	unsigned int first = dirty_pt_random(m, DIRTY_PT_GRANULES) &
			     ~(granules - 1);

	for (i = first; i < first + granules; i++)
		if (m->leaf_granules[i])
			return;
	dirty_pt_map(m->pt, dirty_pt_iova(m, first),
		     (unsigned long)granules << m->shift);
	dirty_pt_set_leaf(m, first, granules, granules);
}

static void dirty_pt_random_unmap(struct dirty_pt_model *m)
{
	unsigned int granule = dirty_pt_random(m, DIRTY_PT_GRANULES);
	unsigned int granules = m->leaf_granules[granule];
	unsigned int first = m->leaf_first[granule];
	unsigned long size = (unsigned long)granules << m->shift;

	if (!granules)
		return;
	KUNIT_ASSERT_EQ(m->pt->test, size,
			m->pt->format->unmap(m->pt, dirty_pt_iova(m, first),
					     size));
	dirty_pt_set_leaf(m, first, granules, 0);
}

static void dirty_pt_random_write(struct dirty_pt_model *m)
{
	unsigned int granule = dirty_pt_random(m, DIRTY_PT_GRANULES);
	bool written = m->pt->format->write(m->pt, dirty_pt_iova(m, granule),
					    dirty_pt_random(m, 256));

	KUNIT_ASSERT_EQ(m->pt->test, written,
			m->leaf_granules[granule] && !m->read_only[granule]);
	if (written)
		memset(m->dirty + m->leaf_first[granule], 1,
		       m->leaf_granules[granule]);
}

static void dirty_pt_mark_reported(void *opaque, unsigned long iova,
				   unsigned long last)
{
	struct dirty_pt_model *m = opaque;
	unsigned long first = (iova - m->iova) >> m->shift;
	unsigned long end = (last - m->iova) >> m->shift;

	if (first > end || end >= DIRTY_PT_GRANULES ||
	    iova != dirty_pt_iova(m, first) ||
	    last != dirty_pt_iova(m, end + 1) - 1) {
		m->outside++;
		return;
	}
	memset(m->reported + first, 1, end - first + 1);
}

/* A leaf that begins before the range is reported from the range on, to its end. */
static void dirty_pt_expect(struct dirty_pt_model *m, unsigned int first,
			    unsigned int last, unsigned long flags)
{
	unsigned int i, j;

	memset(m->expected, 0, sizeof(m->expected));
	for (i = first; i <= last; i++)
		for (j = i; m->dirty[i] &&
		     j < m->leaf_first[i] + m->leaf_granules[i]; j++)
			m->expected[j] = 1;
	if (flags & IOMMU_DIRTY_NO_CLEAR)
		return;
	for (i = first; i <= last; i++)
		if (m->dirty[i])
			memset(m->dirty + m->leaf_first[i], 0,
			       m->leaf_granules[i]);
}

static void dirty_pt_random_query(struct dirty_pt_model *m)
{
	unsigned int first = dirty_pt_random(m, DIRTY_PT_GRANULES), i;
	unsigned int last = first + dirty_pt_random(m, DIRTY_PT_GRANULES - first);
	unsigned long flags = dirty_pt_random(m, 2) ? IOMMU_DIRTY_NO_CLEAR : 0;

	if (m->pt->format->contiguous) {
		if (!m->leaf_granules[first])
			return;
		for (i = first; i <= last && m->leaf_granules[i]; i++)
			;
		last = i - 1;
	}
	memset(m->reported, 0, sizeof(m->reported));
	dirty_pt_query(m->pt, dirty_pt_iova(m, first),
		       dirty_pt_iova(m, last + 1) - 1, flags,
		       dirty_pt_mark_reported, m);
	dirty_pt_expect(m, first, last, flags);
	KUNIT_ASSERT_EQ(m->pt->test, 0, m->outside);
	KUNIT_ASSERT_MEMEQ(m->pt->test, m->expected, m->reported,
			   sizeof(m->expected));
}

/* Every leaf that overlaps the range changes, unless it is so already. */
static void dirty_pt_random_protect(struct dirty_pt_model *m)
{
	unsigned int first = dirty_pt_random(m, DIRTY_PT_GRANULES), i;
	unsigned int last = first + dirty_pt_random(m, DIRTY_PT_GRANULES - first);
	/* More often off than on, so that most pages are writable. */
	bool enable = !dirty_pt_random(m, 3);

	if (!m->pt->format->protect)
		return;
	/* A range begins with a leaf. */
	if (m->leaf_granules[first])
		first = m->leaf_first[first];
	memset(m->reported, 0, sizeof(m->reported));
	memset(m->expected, 0, sizeof(m->expected));
	dirty_pt_protect(m->pt, dirty_pt_iova(m, first),
			 dirty_pt_iova(m, last + 1) - 1, enable,
			 dirty_pt_mark_reported, m);
	for (i = first; i <= last; i++) {
		if (!m->leaf_granules[i] || m->read_only[i] == enable)
			continue;
		memset(m->expected + m->leaf_first[i], 1, m->leaf_granules[i]);
		memset(m->read_only + m->leaf_first[i], enable,
		       m->leaf_granules[i]);
	}
	KUNIT_ASSERT_EQ(m->pt->test, 0, m->outside);
	KUNIT_ASSERT_MEMEQ(m->pt->test, m->expected, m->reported,
			   sizeof(m->expected));
}

static void dirty_pt_random_window(struct dirty_pt_model *m, unsigned long iova,
				   unsigned int shift)
{
	unsigned int step, i;

	m->iova = iova;
	m->shift = shift;
	for (step = 0; step < DIRTY_PT_STEPS; step++) {
		switch (dirty_pt_random(m, 9)) {
		case 0 ... 2:
			dirty_pt_random_map(m);
			break;
		case 3:
			dirty_pt_random_unmap(m);
			break;
		case 4 ... 6:
			dirty_pt_random_write(m);
			break;
		case 7:
			dirty_pt_random_query(m);
			break;
		case 8:
			dirty_pt_random_protect(m);
			break;
		}
	}
	for (i = 0; i < DIRTY_PT_GRANULES; i++) {
		if (!m->leaf_granules[i])
			continue;
		m->pt->format->unmap(m->pt, dirty_pt_iova(m, i),
				     (unsigned long)m->leaf_granules[i] << shift);
		dirty_pt_set_leaf(m, i, m->leaf_granules[i], 0);
	}
}

static void dirty_pt_random_queries_equal_model(struct kunit *test)
{
	struct dirty_pt *pt = dirty_pt_create(test);
	struct dirty_pt_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned long window, last = dirty_pt_last(pt);
	/* The smallest leaf size, and larger ones of the formats. */
	unsigned long shifts = dirty_pt_page(pt) | SZ_2M | SZ_32M | SZ_512M |
			       SZ_1G | BIT(40);
	unsigned int shift;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->pt = pt;
	prandom_seed_state(&m->rnd, 1);
	shifts &= pt->format->pgsizes;
	for_each_set_bit(shift, &shifts, BITS_PER_LONG) {
		window = (unsigned long)DIRTY_PT_GRANULES << shift;
		dirty_pt_random_window(m, 0, shift);
		dirty_pt_random_window(m, last / 2 - window / 2 + 1, shift);
		dirty_pt_random_window(m, last - window + 1, shift);
	}
}

static struct kunit_case dirty_pt_random_cases[] = {
	KUNIT_CASE_PARAM_ATTR(dirty_pt_random_queries_equal_model,
			      dirty_pt_gen_format,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite dirty_pt_random_suite = {
	.name = "dirty_pt_random",
	.test_cases = dirty_pt_random_cases,
};

kunit_test_suite(dirty_pt_random_suite);
