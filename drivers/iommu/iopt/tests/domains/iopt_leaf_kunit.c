// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the steps in which long ranges are unmapped and queried. A step must
 * not end within a leaf.
 */
#include <linux/sizes.h>

#include "domains/iopt_leaf.h"
#include "space/iopt_area.h"
#include "tests/iopt_kunit.h"

/* Two ranges of 1 GiB: the first one is a leaf, the second one small leaves. */
#define LEAF_IOVA	(4UL * SZ_1G)
#define LEAF_BYTES	(2UL * SZ_1G)

/**
 * struct leaf_case - a step
 * @name: of the row
 * @area: first IOVA of the area that has the end of the step, from LEAF_IOVA on
 * @start: first IOVA of the step, likewise
 * @step: bytes of the step
 * @last: last IOVA of the range, likewise
 * @expect: last IOVA of the step, likewise
 */
struct leaf_case {
	const char *name;
	unsigned long area;
	unsigned long start;
	unsigned long step;
	unsigned long last;
	unsigned long expect;
};

#define END	(LEAF_BYTES - 1)

static const struct leaf_case leaf_cases[] = {
	{ "ends in front of the area", SZ_64M, SZ_32M, SZ_32M, END,
	  SZ_64M - 1 },
	{ "ends in the leaf that it begins in", 0, 0, SZ_32M, END, SZ_1G - 1 },
	{ "ends in the leaf, behind the range", 0, 0, SZ_32M, SZ_1G / 2,
	  SZ_1G / 2 },
	{ "ends in a later small leaf", 0, SZ_1G, SZ_32M, END,
	  SZ_1G + SZ_32M - 1 },
	{ "ends within a later small leaf", 0, SZ_1G, SZ_32M + SZ_2K, END,
	  SZ_1G + SZ_32M - 1 },
	{ "ends behind the leaf", 0, SZ_1G - SZ_4K, SZ_32M, END,
	  SZ_1G + SZ_32M - SZ_4K - 1 },
	{ "as long as a leaf", 0, 0, SZ_1G, END, SZ_1G - 1 },
	{ "longer than a leaf", 0, 0, SZ_1G + SZ_32M, END, SZ_1G - 1 },
};

KUNIT_ARRAY_PARAM_DESC(leaf, leaf_cases, name);

static void step_ends_with_a_leaf(struct kunit *test)
{
	struct iopt_kunit_domain *kd = iopt_kunit_vzalloc(test, sizeof(*kd));
	const struct leaf_case *c = test->param_value;
	struct iopt_area area = {
		.node.start = LEAF_IOVA + c->area,
		.node.last = LEAF_IOVA + END,
	};

	iopt_kunit_domain_init(test, kd, SZ_4K | SZ_1G, LEAF_IOVA, LEAF_BYTES);
	for (unsigned long i = 0; i < kd->nr; i++) {
		bool small = i >= kd->nr / 2;

		/* Small leaves lead to addresses that 1 GiB cannot. */
		kd->phys[i] = (SZ_1G + i * SZ_4K + small * SZ_4K) |
			      IOPT_KUNIT_MAPPED;
		kd->leaf[i] = small ? 12 : i ? 0 : 30;
	}
	KUNIT_EXPECT_EQ(test, LEAF_IOVA + c->expect,
			iopt_area_step_last(&area, &kd->domain,
					    LEAF_IOVA + c->start,
					    LEAF_IOVA + c->last, c->step));
}

static struct kunit_case leaf_kunit_cases[] = {
	KUNIT_CASE_PARAM(step_ends_with_a_leaf, leaf_gen_params),
	{}
};

static struct kunit_suite leaf_suite = {
	.name = "iommufd_iopt_leaf",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = leaf_kunit_cases,
};

kunit_test_suite(leaf_suite);
