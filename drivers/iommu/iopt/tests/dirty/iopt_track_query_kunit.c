// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queries of dirty tracking, compared with the model: see iopt_track_model_kunit.c.
 */
#include <linux/uaccess.h>

#include "tests/dirty/track_kunit.h"

static bool track_is_dirty(const struct track *t, unsigned int page)
{
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (iopt_tracked_is_conservative(t, i))
			return true;
	for (unsigned int i = 0; i < TRACK_PINS; i++)
		if (page >= t->pins[i].first &&
		    page < t->pins[i].first + t->pins[i].n)
			return true;
	return t->dirty[page];
}

/*
 * Compute the bits of one area in the expected bitmap. With @words, clear the words that a
 * query with overwrite replaces; otherwise set the bits of dirty pages.
 */
static void track_expect(struct track *t, const struct track_range *area,
			 const struct iopt_dirty_query *query, bool words)
{
	unsigned long iova, start, last, bit;

	start = max(track_iova(t, area->first), query->iova) - query->iova;
	last = min(track_iova(t, area->first) + area->n * PAGE_SIZE - 1,
		   query->iova + query->length - 1) - query->iova;
	if (words) {
		bit = round_up(start / query->page_size, 64);
		for (; bit <= last / query->page_size; bit += 64)
			memset(t->run->must + bit / 8, 0, 8);
		return;
	}
	for (unsigned int i = area->first; i < area->first + area->n; i++) {
		iova = track_iova(t, i) - query->iova;
		bit = iova / query->page_size;
		if (iova >= start && iova <= last && track_is_dirty(t, i))
			t->run->must[bit / 8] |= BIT(bit % 8);
	}
}

static void track_expect_all(struct track *t,
			     const struct iopt_dirty_query *query, bool words)
{
	for (unsigned int i = 0; i < TRACK_AREAS; i++)
		if (t->areas[i].n &&
		    track_iova(t, t->areas[i].first) <=
			    query->iova + query->length - 1 &&
		    track_iova(t, t->areas[i].first + t->areas[i].n) - 1 >=
			    query->iova)
			track_expect(t, &t->areas[i], query, words);
}

/* Fill the bitmap of a query and the bytes around it with random contents. */
static size_t track_bitmap(struct track *t, struct iopt_dirty_query *query,
			   size_t at)
{
	size_t bytes = round_up(query->length / query->page_size, 64) / 8;
	struct model_run *run = t->run;

	memset(run->before, 0, bytes + 2 * TRACK_MARGIN);
	prandom_bytes_state(&run->rnd, run->before,
			    min(bytes + 2 * TRACK_MARGIN, SZ_4K));
	if (at + bytes + TRACK_MARGIN > run->bitmap_bytes ||
	    copy_to_user((void __user *)run->bitmap + at - TRACK_MARGIN,
			 run->before, bytes + 2 * TRACK_MARGIN))
		iopt_model_fail(run, "copying the bitmap failed");
	query->data = (void __user *)run->bitmap + at;
	memcpy(run->must, run->before + TRACK_MARGIN, bytes);
	return bytes;
}

static void track_compare(struct track *t, size_t at, size_t bytes)
{
	struct model_run *run = t->run;

	if (copy_from_user(run->after,
			   (void __user *)run->bitmap + at - TRACK_MARGIN,
			   bytes + 2 * TRACK_MARGIN))
		iopt_model_fail(run, "copying the bitmap failed");
	memcpy(run->before + TRACK_MARGIN, run->must, bytes);
	for (size_t i = 0; i < bytes + 2 * TRACK_MARGIN; i++)
		if (run->before[i] != run->after[i]) {
			iopt_model_fail(run, "byte %zd is %#x, needs %#x",
					i - TRACK_MARGIN, run->after[i],
					run->before[i]);
			return;
		}
}

static unsigned long track_query_last(const struct iopt_dirty_query *query)
{
	return query->iova + query->length - 1;
}

/* Compare the bitmap that a query has written with the model. */
static void track_check_result(struct track *t, const struct iopt_dirty_query *query,
			       size_t at, size_t bytes)
{
	if (query->overwrite)
		track_expect_all(t, query, true);
	track_expect_all(t, query, false);
	track_compare(t, at, bytes);
}

/**
 * iopt_tracked_query() - query dirty pages of the IOAS, and check the result
 * @t: the IOVA space and its model
 * @query: the query; its data is set to &model_run.bitmap + @at
 * @at: offset of the bitmap, at least TRACK_MARGIN
 */
void iopt_tracked_query(struct track *t, struct iopt_dirty_query *query,
			size_t at)
{
	unsigned long last = track_query_last(query);
	size_t bytes = track_bitmap(t, query, at);
	int rc = iopt_read_dirty(&t->iopt, query);
	int expected = t->started ? 0 : -EINVAL;

	if (t->driver_failed)
		expected = TRACK_ERRNO;
	if (rc != expected)
		iopt_model_fail(t->run, "returned %d, not %d", rc, expected);
	if (!rc)
		track_check_result(t, query, at, bytes);
	if (!query->no_clear && (!rc || t->driver_failed))
		iopt_tracked_set_dirty(t, query->iova, last, t->driver_failed);
}

/* Devices can write every page that is mapped. */
static void track_check_writable(struct track *t)
{
	for (unsigned int nr = 0; nr < MODEL_DOMAINS; nr++) {
		struct model_domain *md = &t->run->domains[nr];

		for (unsigned int i = 0; t->attached[nr] && i < md->nr; i++)
			if (md->granules[i].n &&
			    md->granules[md->granules[i].leaf].read_only)
				iopt_model_fail(t->run, "granule %u of domain %u is read-only",
						i, nr);
	}
}

/* After an unmap that failed, every area must still be mapped and accessible. */
static void track_unmap_failed(struct track *t,
			       const struct iopt_dirty_query *query,
			       unsigned long unmapped)
{
	if (unmapped)
		iopt_model_fail(t->run, "%#lx bytes unmapped", unmapped);
	if (t->driver_failed)
		iopt_tracked_set_dirty(t, query->iova, track_query_last(query), true);
	for (unsigned int i = 0; i < TRACK_AREAS; i++)
		if (t->areas[i].n)
			iopt_tracked_rw(t, t->areas[i].first * PAGE_SIZE, 1,
					false);
}

/**
 * iopt_tracked_unmap() - unmap by iopt_unmap_dirty(), and check the result
 * @t: the IOVA space and its model
 * @query: the query; its data is set to &model_run.bitmap + @at, unless @at is 0
 * @at: offset of the bitmap, at least TRACK_MARGIN, or 0
 * @expected: expected result if no driver fails
 */
void iopt_tracked_unmap(struct track *t, struct iopt_dirty_query *query,
			size_t at, int expected)
{
	unsigned int first = (query->iova - t->run->cfg->base) / PAGE_SIZE;
	unsigned int n = query->length / PAGE_SIZE;
	unsigned long unmapped = 1, length = 0;
	size_t bytes = at ? track_bitmap(t, query, at) : 0;
	int rc;

	t->write_late = true;
	rc = iopt_unmap_dirty(&t->iopt, query, &unmapped);
	t->write_late = false;
	track_check_writable(t);
	if (t->driver_failed)
		expected = TRACK_ERRNO;
	if (rc != expected)
		iopt_model_fail(t->run, "returned %d, not %d", rc, expected);
	if (rc) {
		track_unmap_failed(t, query, unmapped);
		return;
	}
	track_check_result(t, query, at, bytes);
	for (unsigned int i = 0; i < TRACK_AREAS; i++)
		if (t->areas[i].n && t->areas[i].first >= first &&
		    t->areas[i].first < first + n)
			length += t->areas[i].n * PAGE_SIZE;
	if (unmapped != length)
		iopt_model_fail(t->run, "%#lx bytes unmapped, not %#lx",
				unmapped, length);
	iopt_tracked_drop_areas(t, first, n);
}

/**
 * iopt_tracked_check() - compare all dirty pages, without clearing them, and all areas
 * @t: the IOVA space and its model
 */
void iopt_tracked_check(struct track *t)
{
	struct iopt_dirty_query query = {
		.iova = t->run->cfg->base,
		.length = t->run->cfg->bytes,
		.page_size = PAGE_SIZE,
		.no_clear = true,
	};
	unsigned int n = 0;

	iopt_tracked_query(t, &query, TRACK_MARGIN);
	for (unsigned int i = 0; i < TRACK_AREAS; i++)
		n += t->areas[i].n != 0;
	if (t->iopt.num_areas != n)
		iopt_model_fail(t->run, "%u areas, not %u", t->iopt.num_areas,
				n);
}
