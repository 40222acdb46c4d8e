// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the engine's model
 *
 * The model keeps the expected state of the engine in plain arrays, struct
 * model_state, and is not written for speed. Each area refers to its memory by index;
 * the pages that must be pinned follow from areas, domains and accesses.
 *
 * The functions for calls that can fail change a copy of the state, and return the set
 * of errors that the engine may return. If the engine's call succeeds, the copy becomes
 * the state.
 */
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

/**
 * iopt_model_domains_of() - count the domains of an IOAS
 * @state: the model
 * @ioas: index of the IOAS
 *
 * Return: the number of domains.
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
 * @pages: index of the struct model_pages
 * @pinned: set to the bitmap of pages that are pinned
 * @accessed: set to the bitmap of pages that accesses have pinned
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
 * iopt_model_count_pins() - count the pages that must be pinned
 * @run: the run; the pin counts of its folios are set
 * @state: the model
 * @need: set to the result
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
 * iopt_model_align() - compute the alignment of IOVAs and lengths in an IOAS
 * @run: the run
 * @state: the model
 * @ioas: index of the IOAS
 *
 * Return: the alignment in bytes.
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
 * iopt_model_find_area() - find the first area that overlaps a range
 * @state: the model
 * @ioas: index of the IOAS
 * @iova: first IOVA
 * @last: last IOVA
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
 * iopt_model_unused_areas() - count the unused elements of &model_state.areas
 * @state: the model
 *
 * Return: the number of areas that can be added.
 */
unsigned int iopt_model_unused_areas(const struct model_state *state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_AREAS; i++)
		n += !state->areas[i].length;
	return n;
}

/**
 * iopt_model_add_pages() - find an unused struct model_pages
 * @state: the model; at least one more area can be added
 *
 * Return: an index that no area refers to.
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
 * iopt_model_add_area() - check an area and add a copy of it
 * @run: the run
 * @state: the model; unchanged on error
 * @area: the area
 *
 * Errors of pinning and charging pages are those of iopt_model_resources().
 *
 * Return: the set of errors that the engine may return, or 0.
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
 * iopt_model_copy() - map memory that another IOAS or another IOVA maps
 * @run: the run; the source is in &model_run.now
 * @state: the model to add areas to
 * @to: the range to map; pages and start_byte come from the source
 * @src: index of the IOAS to copy from
 * @src_iova: first IOVA to copy from
 *
 * Errors of pinning and charging pages are those of iopt_model_resources().
 *
 * Return: the set of errors that the engine may return, or 0.
 */
unsigned int iopt_model_copy(struct model_run *run, struct model_state *state,
			     const struct model_area *to, unsigned int src,
			     unsigned long src_iova)
{
	unsigned long left = to->length, align, offset;
	struct model_area segment = *to;
	unsigned int errors = 0;
	struct model_area *area;

	/*
	 * Check the range as a whole: iopt_model_add_area() checks each segment, but the
	 * segments that precede an IOVA without an area may all be aligned.
	 */
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
 * iopt_model_resources() - check that all required pages can be pinned and charged
 * @run: the run
 * @state: the model after the call
 *
 * Return: the set of errors that the engine may return, or MODEL_OK.
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
 * iopt_model_pin() - pin the pages of a range for an access
 * @run: the run
 * @state: the model; changed in part on error
 * @pin: the range
 * @write: pin for writing
 * @out: set to the pages
 *
 * Errors of pinning and charging pages are those of iopt_model_resources().
 *
 * Return: the set of errors that the engine may return, or 0. MODEL_EOTHER if
 * &model_state.pages_accesses is full.
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
 * iopt_model_pages_access_range() - convert pages that accesses have pinned to IOVAs
 * @state: the model
 * @pa: the pages
 * @iova: set to the first IOVA of the area that is in the pages
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
 * iopt_model_unpin() - unpin the pages of a range
 * @run: the run
 * @pin: the range; unused afterwards
 *
 * Pages with a pin for writing become dirty.
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

static void model_mark(struct model_run *run, unsigned int ioas,
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
 * iopt_model_mark_dirty() - mark a range as dirty in all domains with tracking enabled
 * @run: the run
 * @ioas: index of the IOAS
 * @iova: first IOVA
 * @last: last IOVA
 * @mark: MODEL_MUST | MODEL_MAY, or MODEL_MAY
 *
 * As iopt_record_write(), widen the range to the alignment of the IOAS: if the alignment
 * gets smaller, a query may find the additional units.
 */
void iopt_model_mark_dirty(struct model_run *run, unsigned int ioas,
			   unsigned long iova, unsigned long last, u8 mark)
{
	unsigned long mask = iopt_model_align(run, &run->now, ioas) - 1;

	model_mark(run, ioas, iova, last, mark);
	model_mark(run, ioas, iova & ~mask, last | mask, MODEL_MAY);
}

/**
 * iopt_model_clear_dirty() - mark a range as clean in all domains
 * @run: the run
 * @ioas: index of the IOAS
 * @iova: first IOVA
 * @last: last IOVA
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
