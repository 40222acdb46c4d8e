// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: random steps of dirty tracking
 *
 * Random sequences of calls that change or query dirty pages of an IOAS, with bitmaps that
 * cannot be written, and drivers that fail.
 */
#include "tests/dirty/track_kunit.h"

/* Minimum offset of a query's bitmap in &model_run.bitmap. */
#define TRACK_BITMAP_AT	SZ_4K

static const struct model_config track_configs[] = {
	{ "leaves of 64k and 2m", 1, 3000, SZ_1G, SZ_4M,
	  { SZ_4K | SZ_64K | SZ_2M, SZ_2K | SZ_16K, SZ_4K | SZ_64K,
	    SZ_4K | SZ_2M }, .flags = MODEL_HUGE },
	{ "4k, up to the last iova", 2, 3000, -(unsigned long)SZ_4M, SZ_4M,
	  { SZ_4K, SZ_4K, SZ_4K, SZ_4K } },
	{ "long queries", 3, 600, SZ_512G, SZ_4M,
	  { SZ_4K | SZ_64K | SZ_2M, SZ_4K | SZ_16K, SZ_4K, SZ_4K },
	  .flags = MODEL_HUGE | MODEL_LONG_QUERY },
};

KUNIT_ARRAY_PARAM_DESC(track_configs, track_configs, name);

static struct track_range *track_pick(struct track *t, struct track_range *range,
				      unsigned int n)
{
	struct track_range *picked = NULL;
	unsigned int seen = 0;

	for (unsigned int i = 0; i < n; i++)
		if (range[i].n && !model_below(t->run, ++seen))
			picked = &range[i];
	return picked;
}

static struct track_range *track_pick_area(struct track *t)
{
	return track_pick(t, t->areas, TRACK_AREAS);
}

/* Pick a range of at most @max pages of an area. */
static struct track_range track_pick_pages(struct track *t,
					   const struct track_range *area,
					   unsigned int max)
{
	unsigned int skip = model_below(t->run, area->n);
	unsigned int n = 1 + model_below(t->run, min(area->n - skip, max));

	return (struct track_range){ area->first + skip, n };
}

static void track_step_map(struct track *t)
{
	unsigned int mem = model_below(t->run, 3), offset = 0, used = 0;
	unsigned int n = 1 + model_below(t->run, 40);
	unsigned int first = model_below(t->run, TRACK_PAGES - n);

	if (t->run->cfg->flags & MODEL_HUGE && !model_below(t->run, 4)) {
		/* A leaf of 2 MiB in domains that have such leaves. */
		mem = 0;
		n = 512;
		first = 512 * model_below(t->run, 2);
	}
	for (unsigned int i = 0; i < TRACK_AREAS; i++) {
		const struct track_range *area = &t->areas[i];

		used += area->n != 0;
		if (area->first < first + n && area->first + area->n > first)
			return;
	}
	if (used == TRACK_AREAS || t->run->mems[mem].npages < n)
		return;
	if (n < 512)
		offset = model_below(t->run, t->run->mems[mem].npages - n + 1);
	iopt_tracked_map(t, mem, offset, first, n);
}

static void track_step_unmap(struct track *t)
{
	const struct track_range *area = track_pick_area(t);

	if (!area)
		return;
	KUNIT_ASSERT_EQ(t->run->test, 0,
			iopt_unmap_iova(&t->iopt, track_iova(t, area->first),
					area->n * PAGE_SIZE, NULL));
	iopt_tracked_drop_areas(t, area->first, area->n);
}

static void track_step_domain(struct track *t)
{
	unsigned int nr = model_below(t->run, MODEL_DOMAINS);

	switch (model_below(t->run, 4)) {
	case 0:
		iopt_tracked_set_pinned_scope(t, nr, model_below(t->run, 2));
		break;
	case 1:
		/* Otherwise, most queries would report every mapped page. */
		iopt_tracked_set_pinned_scope(t, TRACK_NO_DIRTY_OPS, true);
		break;
	default:
		if (t->attached[nr])
			iopt_tracked_remove_domain(t, nr);
		else
			iopt_tracked_add_domain(t, nr);
	}
}

static void track_step_write(struct track *t)
{
	unsigned int nr = model_below(t->run, MODEL_DOMAINS);

	for (unsigned int n = model_below(t->run, 12); t->attached[nr] && n; n--)
		iopt_tracked_write(t, nr, model_below(t->run, TRACK_PAGES));
}

static void track_step_pin(struct track *t)
{
	const struct track_range *area = track_pick_area(t);
	unsigned int used = 0;
	struct track_range r;

	for (unsigned int i = 0; i < TRACK_PINS; i++)
		used += t->pins[i].n != 0;
	if (!area || used == TRACK_PINS)
		return;
	r = track_pick_pages(t, area, 8);
	iopt_tracked_pin(t, r.first, r.n, model_below(t->run, 2));
}

static void track_step_unpin(struct track *t)
{
	struct track_range *pin = track_pick(t, t->pins, TRACK_PINS);

	if (pin)
		iopt_tracked_unpin(t, pin);
}

static void track_step_rw(struct track *t)
{
	const struct track_range *area = track_pick_area(t);
	unsigned long offset, length;
	struct track_range r;

	if (!area)
		return;
	r = track_pick_pages(t, area, 4);
	offset = model_below(t->run, PAGE_SIZE);
	length = 1 + model_below(t->run, r.n * PAGE_SIZE - offset);
	iopt_tracked_rw(t, r.first * PAGE_SIZE + offset, length,
			model_below(t->run, 2));
}

static void track_step_query(struct track *t)
{
	struct iopt_dirty_query query = {
		.page_size = PAGE_SIZE << (model_below(t->run, 3) ? 0 :
					   model_below(t->run, 6)),
		.no_clear = !model_below(t->run, 4),
		.overwrite = model_below(t->run, 2),
	};
	unsigned int first = model_below(t->run, TRACK_PAGES);
	unsigned int n = 1 + model_below(t->run, TRACK_PAGES - first);
	size_t at = TRACK_BITMAP_AT + model_below(t->run, PAGE_SIZE);
	unsigned long iova = track_iova(t, first), bits;

	query.iova = round_down(iova, query.page_size);
	query.length = round_up(iova - query.iova + n * PAGE_SIZE,
				query.page_size);
	if (t->run->cfg->flags & MODEL_LONG_QUERY && !model_below(t->run, 4)) {
		/* The first window of the bitmap ends in the window of the run. */
		query.page_size = SZ_4K;
		bits = (SZ_2M - offset_in_page(t->run->bitmap + at)) * 8;
		query.iova = iova - bits * SZ_4K;
		query.length = model_window_last(t->run) + 1 - query.iova;
	}
	iopt_tracked_query(t, &query, at);
}

/* Return an address that is not mapped, or is mapped read-only. */
static void __user *track_unwritable_bitmap(struct track *t)
{
	if (model_below(t->run, 2))
		return (void __user *)PAGE_SIZE;
	return (void __user *)t->run->mems[MODEL_MEMS - 1].address;
}

static void track_step_faulting_query(struct track *t)
{
	struct iopt_dirty_query query = {
		.iova = t->run->cfg->base,
		.length = t->run->cfg->bytes,
		.page_size = PAGE_SIZE,
		.data = track_unwritable_bitmap(t),
		.overwrite = model_below(t->run, 2),
	};

	KUNIT_EXPECT_EQ(t->run->test, iopt_read_dirty(&t->iopt, &query),
			t->started ? -EFAULT : -EINVAL);
}

/*
 * Unmap a range of some areas. In some cases the bitmap faults, or the range begins or
 * ends within an area.
 */
static void track_step_unmap_dirty(struct track *t)
{
	const struct track_range *area = track_pick_area(t);
	size_t at = TRACK_BITMAP_AT + model_below(t->run, PAGE_SIZE);
	struct iopt_dirty_query query = {
		.page_size = PAGE_SIZE,
		.no_clear = model_below(t->run, 2),
		.overwrite = model_below(t->run, 2),
	};
	unsigned int first, end, expected = 0;

	if (!area)
		return;
	first = area->first + !model_below(t->run, 6);
	end = min(area->first + area->n +
		  model_below(t->run, 3) * model_below(t->run, 40),
		  TRACK_PAGES);
	if (first >= end)
		return;
	for (unsigned int i = 0; i < TRACK_AREAS; i++) {
		unsigned int a = t->areas[i].first, b = a + t->areas[i].n;

		if (a < b && a < end && b > first && (a < first || b > end))
			expected = -ENOENT;
	}
	if (!expected && !model_below(t->run, 4)) {
		query.data = track_unwritable_bitmap(t);
		expected = -EFAULT;
		at = 0;
	}
	query.iova = track_iova(t, first);
	query.length = (end - first) * PAGE_SIZE;
	iopt_tracked_unmap(t, &query, at, t->started ? expected : -EINVAL);
}

static void track_step_start_or_stop(struct track *t)
{
	if (model_below(t->run, 8))
		iopt_tracked_start(t);
	else
		iopt_tracked_stop(t);
}

static const struct {
	unsigned int weight;
	void (*step)(struct track *t);
} track_steps[] = {
	{ 10, track_step_map },
	{ 3, track_step_unmap },
	{ 5, track_step_domain },
	{ 14, track_step_write },
	{ 6, track_step_pin },
	{ 5, track_step_unpin },
	{ 5, track_step_rw },
	{ 10, track_step_query },
	{ 2, track_step_faulting_query },
	{ 5, track_step_unmap_dirty },
	{ 3, track_step_start_or_stop },
};

static void track_step(struct track *t)
{
	unsigned int sum = 0, pick, i;

	for (i = 0; i < ARRAY_SIZE(track_steps); i++)
		sum += track_steps[i].weight;
	pick = model_below(t->run, sum);
	for (i = 0; pick >= track_steps[i].weight; i++)
		pick -= track_steps[i].weight;
	iopt_model_describe(t->run, "%ps", track_steps[i].step);
	t->driver_failed = false;
	t->refuse = !model_below(t->run, 12);
	t->fail = model_below(t->run, 8) ? 0 : 1 + model_below(t->run, 4);
	track_steps[i].step(t);
	t->refuse = false;
	t->fail = 0;
	t->driver_failed = false;
}

static void random_steps_of_tracking_match_model(struct kunit *test)
{
	const struct model_config *cfg = test->param_value;
	struct track *t = iopt_tracked_begin(test, cfg);
	struct model_run *run = t->run;

	for (; run->step < cfg->steps && !run->failed; run->step++) {
		track_step(t);
		if (!model_below(run, 3))
			iopt_tracked_check(t);
		cond_resched();
	}
	iopt_tracked_end(t);
}

static struct kunit_case iopt_track_random_cases[] = {
	KUNIT_CASE_PARAM_ATTR(random_steps_of_tracking_match_model,
			      track_configs_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite iopt_track_random_suite = {
	.name = "iommufd_iopt_track_random",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = iopt_track_random_cases,
};

kunit_test_suite(iopt_track_random_suite);
