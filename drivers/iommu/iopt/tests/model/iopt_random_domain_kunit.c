// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random steps of domains and dirty tracking: see iopt_random_kunit.c.
 */
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

/* Minimum offset of a query's bitmap in &model_run.bitmap. */
#define MODEL_BITMAP_AT		SZ_4K

/* Pick a domain that is attached to an IOAS, or one that is not. */
static struct model_domain *model_pick_domain(struct model_run *run, bool attached)
{
	struct model_domain *picked = NULL;
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++) {
		bool is_in = run->now.ioas[i] >= 0;

		if (run->domains[i].nr && is_in == attached && !model_below(run, ++n))
			picked = &run->domains[i];
	}
	return picked;
}

/* Pick an attached domain, preferably one with tracking enabled. */
static struct model_domain *model_tracking_domain(struct model_run *run)
{
	struct model_domain *md = model_pick_domain(run, true);

	for (unsigned int tries = 0; md && tries < 4; tries++) {
		if (run->now.tracked[md - run->domains])
			break;
		md = model_pick_domain(run, true);
	}
	return md;
}

static bool model_areas_aligned(struct model_run *run, unsigned int ioas,
				unsigned long align)
{
	struct model_area *area;

	model_for_each_area(area, &run->now, ioas)
		if ((area->iova | area->length | area->start_byte) &
		    (align - 1))
			return false;
	return true;
}

/**
 * iopt_random_add_domain() - attach a domain to an IOAS
 * @run: the run
 */
void iopt_random_add_domain(struct model_run *run)
{
	struct model_domain *md = model_pick_domain(run, false);
	unsigned int ioas = model_below(run, MODEL_IOASES);
	unsigned int nr, allowed = 0;
	struct mm_struct *mm;
	int rc;

	if (!md)
		return;
	nr = md - run->domains;
	iopt_model_describe(run, "IOAS %u: add domain %u", ioas, nr);
	run->next = run->now;
	run->next.ioas[nr] = ioas;
	run->next.tracked[nr] = false;
	if (BIT(md->shift) > PAGE_SIZE)
		allowed |= MODEL_EINVAL;
	if (!model_areas_aligned(run, ioas, BIT(md->shift)))
		allowed |= MODEL_EADDRINUSE;
	allowed = allowed ?: iopt_model_resources(run, &run->next);
	if (run->cfg->flags & MODEL_FAULTS && !model_below(run, 4))
		md->fail = 1 + model_below(run, 30);
	mm = iopt_random_unuse_mm(run);
	iopt_model_begin(run);
	rc = iopt_table_add_domain(&run->iopts[ioas], &md->domain);
	iopt_model_end(run, rc, allowed);
	iopt_random_use_mm(mm);
	if (rc)
		return;
	run->now = run->next;
	memset(md->expected, 0, run->cfg->bytes / MODEL_UNIT);
}

static void model_remove_domain(struct model_run *run, struct model_domain *md)
{
	unsigned int nr = md - run->domains;

	iopt_model_describe(run, "IOAS %u: remove domain %u", run->now.ioas[nr],
			    nr);
	iopt_model_begin(run);
	iopt_table_remove_domain(&run->iopts[run->now.ioas[nr]],
				 &md->domain);
	iopt_model_end(run, 0, MODEL_OK);
	run->now.ioas[nr] = -1;
	run->now.tracked[nr] = false;
	md->tracking = false;
}

/**
 * iopt_random_remove_domain() - detach a domain from its IOAS
 * @run: the run
 */
void iopt_random_remove_domain(struct model_run *run)
{
	struct model_domain *md = model_pick_domain(run, true);

	if (md)
		model_remove_domain(run, md);
}

/**
 * iopt_random_remove_domains() - detach all domains from an IOAS
 * @run: the run
 * @ioas: index of the IOAS
 */
void iopt_random_remove_domains(struct model_run *run, unsigned int ioas)
{
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.ioas[i] == ioas)
			model_remove_domain(run, &run->domains[i]);
}

/**
 * iopt_random_large_pages() - disable large pages, or enable them
 * @run: the run
 */
void iopt_random_large_pages(struct model_run *run)
{
	unsigned int ioas = model_below(run, MODEL_IOASES);
	bool small = model_below(run, 2), empty = true;
	unsigned int allowed = MODEL_OK;
	struct model_area *area;
	int rc = 0;

	iopt_model_describe(run, "IOAS %u: %s large pages", ioas,
			    small ? "disable" : "enable");
	model_for_each_area(area, &run->now, ioas)
		empty = false;
	if (small && !run->now.small[ioas]) {
		if (!empty && iopt_model_domains_of(&run->now, ioas))
			allowed = MODEL_EINVAL;
		else if (!model_areas_aligned(run, ioas, PAGE_SIZE))
			allowed = MODEL_EADDRINUSE;
	}
	iopt_model_begin(run);
	if (small)
		rc = iopt_disable_large_pages(&run->iopts[ioas]);
	else
		iopt_enable_large_pages(&run->iopts[ioas]);
	iopt_model_end(run, rc, allowed);
	if (!rc)
		run->now.small[ioas] = small;
}

/**
 * iopt_random_track() - enable or disable dirty tracking of a domain
 * @run: the run
 */
void iopt_random_track(struct model_run *run)
{
	struct model_domain *md = model_pick_domain(run, true);
	bool enable = model_below(run, 12);
	unsigned int nr;
	int rc;

	if (!md)
		return;
	nr = md - run->domains;
	iopt_model_describe(run, "domain %u: %s tracking", nr,
			    enable ? "enable" : "disable");
	iopt_model_begin(run);
	rc = iopt_set_dirty_tracking(&run->iopts[run->now.ioas[nr]],
				     &md->domain, enable);
	iopt_model_end(run, rc, MODEL_OK);
	if (enable != run->now.tracked[nr])
		memset(md->expected, 0, run->cfg->bytes / MODEL_UNIT);
	run->now.tracked[nr] = enable;
	if (md->tracking != enable)
		iopt_model_fail(run, "set_dirty_tracking() was not called");
}

/**
 * iopt_random_write() - simulate writes by devices
 * @run: the run
 */
void iopt_random_write(struct model_run *run)
{
	struct model_domain *md = model_tracking_domain(run);
	unsigned long iova, start, last;
	unsigned int nr;

	if (!md)
		return;
	nr = md - run->domains;
	iopt_model_describe(run, "domain %u: devices write", nr);
	for (unsigned int n = model_below(run, 12); n; n--) {
		iova = iopt_random_iova(run, run->now.ioas[nr]);
		if (!iopt_model_domain_write(md, iova, &start, &last))
			continue;
		start = (start - run->cfg->base) / MODEL_UNIT;
		last = (last - run->cfg->base) / MODEL_UNIT;
		memset(md->expected + start, MODEL_MUST | MODEL_MAY,
		       last - start + 1);
	}
}

/*
 * Set the range of a query so that the first window of its bitmap ends in the window of
 * the run.
 */
static size_t model_long_query(struct model_run *run,
			       struct iopt_dirty_query *query)
{
	size_t at = MODEL_BITMAP_AT + model_below(run, PAGE_SIZE);
	unsigned long edge = run->cfg->base + model_below(run, run->cfg->bytes);
	unsigned long bits = (SZ_2M - offset_in_page(run->bitmap + at)) * 8;

	query->page_size = model_below(run, 2) ? SZ_4K : SZ_8K;
	edge = round_down(edge, query->page_size);
	query->iova = edge - bits * query->page_size;
	query->length = round_down(model_window_last(run) + 1 - query->iova,
				   query->page_size);
	return at;
}

/**
 * iopt_random_query() - query the dirty bits of a random range
 * @run: the run
 */
void iopt_random_query(struct model_run *run)
{
	struct model_domain *md = model_tracking_domain(run);
	struct iopt_dirty_query query = { .no_clear = !model_below(run, 4) };
	size_t at = MODEL_BITMAP_AT + model_below(run, PAGE_SIZE);
	unsigned long end, ioas;
	unsigned int nr;

	if (!md)
		return;
	nr = md - run->domains;
	ioas = run->now.ioas[nr];
	query.page_size = max(MODEL_UNIT,
			      iopt_model_align(run, &run->now, ioas));
	query.page_size <<= model_below(run, 3) ? 0 : model_below(run, 8);
	query.iova = iopt_random_iova(run, ioas);
	end = iopt_random_iova(run, ioas);
	if (end < query.iova)
		swap(query.iova, end);
	query.length = end - query.iova;
	if (model_below(run, 16)) {
		query.iova = round_down(query.iova, query.page_size);
		query.length = round_up(query.length + 1, query.page_size);
	}
	/* Do not wrap: end with the last IOVA. */
	if (query.iova + query.length < query.iova)
		query.length = -query.iova;
	if (run->cfg->flags & MODEL_LONG_QUERY && !model_below(run, 8))
		at = model_long_query(run, &query);
	iopt_model_describe(run, "domain %u: %s %#lx, %#lx bytes, %#lx a bit", nr,
			    query.no_clear ? "read" : "read and clear", query.iova,
			    query.length, query.page_size);
	iopt_model_query(run, md, &query, at);
}

/**
 * iopt_random_faulting_query() - query dirty bits with a bitmap that faults
 * @run: the run
 */
void iopt_random_faulting_query(struct model_run *run)
{
	struct model_domain *md = model_tracking_domain(run);
	struct iopt_dirty_query query = {
		.iova = run->cfg->base,
		.length = run->cfg->bytes,
		.page_size = PAGE_SIZE,
	};
	unsigned long data, unused;
	unsigned int nr;
	int rc;

	if (!md || !run->now.tracked[md - run->domains])
		return;
	nr = md - run->domains;
	switch (model_below(run, 3)) {
	case 0:
		/* Not mapped. */
		data = PAGE_SIZE;
		break;
	case 1:
		/* Only the first byte is mapped. */
		data = run->bitmap + run->bitmap_bytes - 1;
		break;
	default:
		/* Mapped read-only. */
		data = run->mems[MODEL_MEMS - 1].address;
	}
	/* The page after the bitmap may be mapped: then the query does not fault. */
	if (!copy_from_user(&unused, (void __user *)data + 1, 8) &&
	    data == run->bitmap + run->bitmap_bytes - 1)
		return;
	query.data = (void __user *)data;
	iopt_model_describe(run, "domain %u: query with a bitmap that faults", nr);
	iopt_model_begin(run);
	rc = iopt_read_and_clear_dirty(&run->iopts[run->now.ioas[nr]],
				       &md->domain, &query);
	iopt_model_end(run, rc, MODEL_EFAULT);
	iopt_random_check_dirty(run);
}

/**
 * iopt_random_check_dirty() - check all dirty bits, without clearing them
 * @run: the run
 */
void iopt_random_check_dirty(struct model_run *run)
{
	run->no_faults = true;
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++) {
		struct iopt_dirty_query query = {
			.iova = run->cfg->base,
			.length = run->cfg->bytes,
			.no_clear = true,
		};

		if (run->now.ioas[i] < 0 || !run->now.tracked[i])
			continue;
		query.page_size = max(MODEL_UNIT,
				      iopt_model_align(run, &run->now,
						       run->now.ioas[i]));
		iopt_model_query(run, &run->domains[i], &query,
				 MODEL_BITMAP_AT);
	}
	run->no_faults = false;
}
