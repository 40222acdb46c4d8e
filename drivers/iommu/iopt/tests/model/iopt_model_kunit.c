// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the engine's model
 *
 * What the engine should do, in plain arrays and without a thought of speed:
 * areas in a table, each knows by number what it maps; what is pinned follows
 * from that alone. A call that can fail is done in a copy of the arrays, and
 * what it may fail with comes out as a set.
 */
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

/**
 * iopt_model_domains_of() - count the domains of a table
 * @state: the model
 * @ioas: the table
 *
 * Return: how many.
 */
unsigned int iopt_model_domains_of(const struct model_state *state,
				   unsigned int ioas)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		n += state->ioas[i] == ioas;
	return n;
}

/**
 * iopt_model_pinned() - find the pages of an iopt_pages that are pinned
 * @state: the model
 * @pages: the number of the iopt_pages
 * @pinned: set to its pages that are pinned
 * @accessed: set to those that an access has pinned
 */
void iopt_model_pinned(const struct model_state *state, unsigned int pages,
		       unsigned long *pinned, unsigned long *accessed)
{
	bitmap_zero(pinned, MODEL_MAX_PAGES);
	bitmap_zero(accessed, MODEL_MAX_PAGES);
	for (unsigned int i = 0; i < MODEL_PAGES_ACCESSES; i++) {
		const struct model_pages_access *pa = &state->pages_accesses[i];

		if (pa->users && state->areas[pa->area].pages == pages)
			bitmap_set(accessed, pa->first,
				   pa->last - pa->first + 1);
	}
	for (unsigned int i = 0; i < MODEL_AREAS; i++) {
		const struct model_area *area = &state->areas[i];
		unsigned long first = area->start_byte / PAGE_SIZE;
		unsigned long end = area->start_byte + area->length;

		if (area->length && area->pages == pages &&
		    iopt_model_domains_of(state, area->ioas))
			bitmap_set(pinned, first,
				   DIV_ROUND_UP(end, PAGE_SIZE) - first);
	}
	bitmap_or(pinned, pinned, accessed, MODEL_MAX_PAGES);
}

static void model_count_pages(struct model_run *run,
			      const struct model_pages *pages,
			      const unsigned long *pinned,
			      struct model_need *need)
{
	const struct model_mem *mem = &run->mems[pages->mem];
	unsigned int i;

	for_each_set_bit(i, pinned, MODEL_MAX_PAGES) {
		unsigned int page = pages->first + i;

		need->mode[pages->mode]++;
		if (page >= mem->npages || !mem->page[page] ||
		    (mem->readonly && pages->writable)) {
			need->fault = true;
			continue;
		}
		run->folios[mem->folio[page]].pins++;
		run->folios[mem->folio[page]].written += pages->writable;
	}
}

/**
 * iopt_model_count_pins() - count what is pinned in a model
 * @run: the run; the counts of its folios are set
 * @state: the model
 * @need: set to pages by mode, and whether there are some that cannot be pinned
 */
void iopt_model_count_pins(struct model_run *run, const struct model_state *state,
			   struct model_need *need)
{
	DECLARE_BITMAP(pinned, MODEL_MAX_PAGES);
	DECLARE_BITMAP(accessed, MODEL_MAX_PAGES);

	memset(need, 0, sizeof(*need));
	for (unsigned int i = 0; i < run->nr_folios; i++) {
		run->folios[i].pins = 0;
		run->folios[i].written = 0;
	}
	for (unsigned int i = 0; i < MODEL_AREAS; i++) {
		iopt_model_pinned(state, i, pinned, accessed);
		model_count_pages(run, &state->pages[i], pinned, need);
	}
}

/**
 * iopt_model_align() - what IOVAs of a table are aligned to
 * @run: the run
 * @state: the model
 * @ioas: the table
 *
 * Return: bytes.
 */
unsigned long iopt_model_align(const struct model_run *run,
			       const struct model_state *state,
			       unsigned int ioas)
{
	unsigned long align = max(state->small[ioas] ? PAGE_SIZE : 1,
				  state->access[ioas]);

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (state->ioas[i] == ioas)
			align = max(align, BIT(run->domains[i].shift));
	return align;
}

/**
 * iopt_model_find_area() - the first area of a range
 * @state: the model
 * @ioas: the table
 * @iova: first byte
 * @last: last byte
 *
 * Return: the area, or NULL.
 */
struct model_area *iopt_model_find_area(struct model_state *state,
					unsigned int ioas, unsigned long iova,
					unsigned long last)
{
	struct model_area *area, *first = NULL;

	model_for_each_area(area, state, ioas)
		if (area->iova <= last && model_last(area) >= iova &&
		    (!first || area->iova < first->iova))
			first = area;
	return first;
}

/**
 * iopt_model_room() - how many more areas there can be
 * @state: the model
 *
 * Return: how many.
 */
unsigned int iopt_model_room(const struct model_state *state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_AREAS; i++)
		n += !state->areas[i].length;
	return n;
}

/**
 * iopt_model_add_pages() - a number for new pages
 * @state: the model, which has room for an area
 *
 * Return: one that no area knows.
 */
unsigned int iopt_model_add_pages(struct model_state *state)
{
	DECLARE_BITMAP(used, MODEL_AREAS) = {};

	for (unsigned int i = 0; i < MODEL_AREAS; i++)
		if (state->areas[i].length)
			__set_bit(state->areas[i].pages, used);
	return find_first_zero_bit(used, MODEL_AREAS);
}

/**
 * iopt_model_add_area() - map
 * @run: the run
 * @state: where to
 * @area: what; an area is made of it if there is no error
 *
 * Return: the errors there are, none of which has to do with pinning.
 */
unsigned int iopt_model_add_area(struct model_run *run, struct model_state *state,
				 const struct model_area *area)
{
	unsigned long align = iopt_model_align(run, state, area->ioas);
	unsigned int errors = 0;

	if ((area->iova | area->length | area->start_byte) & (align - 1))
		errors |= MODEL_EINVAL;
	if (iopt_model_find_area(state, area->ioas, area->iova, model_last(area)))
		errors |= MODEL_EEXIST;
	if ((area->prot & IOMMU_WRITE) && !state->pages[area->pages].writable)
		errors |= MODEL_EPERM;
	if (errors)
		return errors;
	for (unsigned int i = 0; i < MODEL_AREAS; i++) {
		if (!state->areas[i].length) {
			state->areas[i] = *area;
			return 0;
		}
	}
	return MODEL_EOTHER;
}

/**
 * iopt_model_copy() - map what is mapped
 * @run: the run, whose areas are the source
 * @state: where to
 * @to: what; only the pages and where they begin come from the source
 * @src: table to copy from
 * @src_iova: first byte
 *
 * Return: the errors there are, none of which has to do with pinning.
 */
unsigned int iopt_model_copy(struct model_run *run, struct model_state *state,
			     const struct model_area *to, unsigned int src,
			     unsigned long src_iova)
{
	unsigned long left = to->length, align, offset;
	struct model_area segment = *to;
	unsigned int errors = 0;
	struct model_area *area;

	/* Not of pieces, so they come one by one, whatever their lengths are. */
	align = iopt_model_align(run, state, to->ioas);
	if ((to->iova | to->length) & (align - 1))
		errors |= MODEL_EINVAL;
	while (left) {
		area = iopt_model_find_area(&run->now, src, src_iova, src_iova);
		if (!area)
			return errors | MODEL_ENOENT;
		offset = src_iova - area->iova;
		segment.pages = area->pages;
		segment.start_byte = area->start_byte + offset;
		segment.length = min(left, area->length - offset);
		errors |= iopt_model_add_area(run, state, &segment);
		segment.iova += segment.length;
		src_iova += segment.length;
		left -= segment.length;
	}
	return errors;
}

/**
 * iopt_model_resources() - see whether what has to be pinned can be
 * @run: the run
 * @state: the model after the call
 *
 * Return: the errors there are, or MODEL_OK.
 */
unsigned int iopt_model_resources(struct model_run *run,
				  const struct model_state *state)
{
	unsigned int limit = run->cfg->limit;
	unsigned int errors = 0;
	struct model_need need;

	iopt_model_count_pins(run, state, &need);
	if (need.fault)
		errors |= MODEL_EFAULT | MODEL_EINVAL;
	if (limit && (need.mode[IOPT_PAGES_ACCOUNT_USER] > limit ||
		      need.mode[IOPT_PAGES_ACCOUNT_MM] > limit))
		errors |= MODEL_ENOMEM;
	return errors ?: MODEL_OK;
}

static struct model_pages_access *model_find_pages_access(struct model_state *state,
							  unsigned int area,
							  unsigned long first,
							  unsigned long last)
{
	struct model_pages_access *unused = NULL;

	for (unsigned int i = 0; i < MODEL_PAGES_ACCESSES; i++) {
		struct model_pages_access *pa = &state->pages_accesses[i];

		if (!pa->users) {
			unused = pa;
			continue;
		}
		if (pa->area == area && pa->first == first &&
		    pa->last == last)
			return pa;
	}
	if (unused)
		*unused = (struct model_pages_access){
			.area = area, .first = first, .last = last,
		};
	return unused;
}

static void model_pages_out(struct model_run *run,
			    const struct model_state *state,
			    const struct model_pages_access *pa, struct page **out)
{
	const struct model_area *area = &state->areas[pa->area];
	const struct model_pages *pages = &state->pages[area->pages];

	for (unsigned int i = pa->first; i <= pa->last; i++)
		*out++ = run->mems[pages->mem].page[pages->first + i];
}

/**
 * iopt_model_pin() - pin pages
 * @run: the run
 * @state: where
 * @pin: what
 * @write: for writing
 * @out: takes the pages
 *
 * Return: the errors there are, none of which has to do with pinning.
 */
unsigned int iopt_model_pin(struct model_run *run, struct model_state *state,
			    const struct model_pin *pin, bool write,
			    struct page **out)
{
	unsigned long iova = pin->iova, left = pin->length, start, n;
	unsigned int errors = 0;
	struct model_area *area;
	struct model_pages_access *pa;

	while (left) {
		area = iopt_model_find_area(state, pin->ioas, iova, iova);
		if (!area)
			return errors | MODEL_ENOENT;
		n = min(left, model_last(area) - iova + 1);
		start = area->start_byte + iova - area->iova;
		if (!(area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
			errors |= MODEL_EPERM;
		if (offset_in_page(start) ||
		    (n != left && offset_in_page(start + n)))
			errors |= MODEL_EINVAL;
		pa = model_find_pages_access(state, area - state->areas,
					     start / PAGE_SIZE,
					     (start + n - 1) / PAGE_SIZE);
		if (!pa)
			return MODEL_EOTHER;
		pa->users++;
		pa->writable |= write;
		model_pages_out(run, state, pa, out);
		out += pa->last - pa->first + 1;
		iova += n;
		left -= n;
	}
	return errors;
}

/**
 * iopt_model_pages_access_range() - the IOVAs of what is held
 * @state: the model
 * @pa: what is held
 * @iova: set to the first byte
 * @last: set to the last one
 */
void iopt_model_pages_access_range(const struct model_state *state,
				   const struct model_pages_access *pa,
				   unsigned long *iova, unsigned long *last)
{
	const struct model_area *area = &state->areas[pa->area];
	unsigned long start = max(pa->first * PAGE_SIZE, area->start_byte);
	unsigned long end = min((pa->last + 1) * PAGE_SIZE,
				area->start_byte + area->length);

	*iova = area->iova + start - area->start_byte;
	*last = area->iova + end - area->start_byte - 1;
}

/**
 * iopt_model_unpin() - let go of pages
 * @run: the run
 * @pin: what; not there any more afterwards
 *
 * What was held for writing is dirty.
 */
void iopt_model_unpin(struct model_run *run, struct model_pin *pin)
{
	struct model_state *state = &run->now;
	unsigned long iova = pin->iova, left = pin->length, start, last, n;
	struct model_area *area;
	struct model_pages_access *pa;

	while (left) {
		area = iopt_model_find_area(state, pin->ioas, iova, iova);
		if (!area) {
			iopt_model_fail(run, "the model lost what is pinned");
			return;
		}
		n = min(left, model_last(area) - iova + 1);
		start = area->start_byte + iova - area->iova;
		pa = model_find_pages_access(state, area - state->areas,
					     start / PAGE_SIZE,
					     (start + n - 1) / PAGE_SIZE);
		iova += n;
		left -= n;

		iopt_model_pages_access_range(state, pa, &start, &last);
		if (pa->writable)
			iopt_model_mark_dirty(run, pin->ioas, start, last,
					      MODEL_MUST | MODEL_MAY);
		pa->users--;
	}
	pin->length = 0;
}

/**
 * iopt_model_mark_dirty() - something is dirty
 * @run: the run
 * @ioas: in the domains of this table that track
 * @iova: first byte
 * @last: last byte
 * @mark: MODEL_MUST | MODEL_MAY, or MODEL_MAY
 */
void iopt_model_mark_dirty(struct model_run *run, unsigned int ioas,
			   unsigned long iova, unsigned long last, u8 mark)
{
	unsigned long first = (iova - run->cfg->base) / MODEL_UNIT;
	unsigned long end = (last - run->cfg->base) / MODEL_UNIT;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.ioas[i] == ioas && run->now.tracked[i])
			for (unsigned long u = first; u <= end; u++)
				run->domains[i].expected[u] |= mark;
}

/**
 * iopt_model_clear_dirty() - nothing is dirty any more
 * @run: the run
 * @ioas: in the domains of this table
 * @iova: first byte
 * @last: last byte
 */
void iopt_model_clear_dirty(struct model_run *run, unsigned int ioas,
			    unsigned long iova, unsigned long last)
{
	unsigned long first = (iova - run->cfg->base) / MODEL_UNIT;
	unsigned long n = (last - run->cfg->base) / MODEL_UNIT - first + 1;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.ioas[i] == ioas)
			memset(run->domains[i].expected + first, 0, n);
}
