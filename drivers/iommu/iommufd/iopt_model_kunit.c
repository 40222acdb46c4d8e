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

#include "random_kunit.h"

/**
 * iopt_model_outcome() - what a call gave, as a bit
 * @rc: 0 or a negative errno
 *
 * Return: one of the bits.
 */
unsigned int iopt_model_outcome(int rc)
{
	static const struct {
		int rc;
		unsigned int bit;
	} outcomes[] = {
		{ 0, MODEL_OK },
		{ -EINVAL, MODEL_EINVAL },
		{ -EEXIST, MODEL_EEXIST },
		{ -ENOENT, MODEL_ENOENT },
		{ -EPERM, MODEL_EPERM },
		{ -ENOMEM, MODEL_ENOMEM },
		{ -EFAULT, MODEL_EFAULT },
		{ -EADDRINUSE, MODEL_EADDRINUSE },
		{ -EOVERFLOW, MODEL_EOVERFLOW },
		{ -ENOSPC, MODEL_ENOSPC },
		{ MODEL_MAP_ERRNO, MODEL_EXDEV },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(outcomes); i++)
		if (outcomes[i].rc == rc)
			return outcomes[i].bit;
	return MODEL_EOTHER;
}

/**
 * iopt_model_domains_of() - count the domains of a table
 * @state: the model
 * @table: the table
 *
 * Return: how many.
 */
unsigned int iopt_model_domains_of(const struct model_state *state,
				   unsigned int table)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		n += state->table[i] == table;
	return n;
}

/**
 * iopt_model_align() - what IOVAs of a table are aligned to
 * @run: the run
 * @state: the model
 * @table: the table
 *
 * Return: bytes.
 */
unsigned long iopt_model_align(const struct model_run *run,
			       const struct model_state *state,
			       unsigned int table)
{
	unsigned long align = max(state->small[table] ? PAGE_SIZE : 1,
				  state->access[table]);

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (state->table[i] == table)
			align = max(align, BIT(run->domains[i].shift));
	return align;
}

/**
 * iopt_model_find() - the first area of a range
 * @state: the model
 * @table: the table
 * @iova: first byte
 * @last: last byte
 *
 * Return: the area, or NULL.
 */
struct model_area *iopt_model_find(struct model_state *state,
				   unsigned int table, unsigned long iova,
				   unsigned long last)
{
	struct model_area *area, *first = NULL;

	model_for_each_area(area, state, table)
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
 * iopt_model_put() - map
 * @run: the run
 * @state: where to
 * @area: what; an area is made of it if there is no error
 *
 * Return: the errors there are, none of which has to do with pinning.
 */
unsigned int iopt_model_put(struct model_run *run, struct model_state *state,
			    const struct model_area *area)
{
	unsigned long align = iopt_model_align(run, state, area->table);
	unsigned int errors = 0;

	if ((area->iova | area->length | area->start_byte) & (align - 1))
		errors |= MODEL_EINVAL;
	if (iopt_model_find(state, area->table, area->iova, model_last(area)))
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
	struct model_area piece = *to;
	unsigned int errors = 0;
	struct model_area *area;

	/* Not of pieces, so they come one by one, whatever their lengths are. */
	align = iopt_model_align(run, state, to->table);
	if ((to->iova | to->length) & (align - 1))
		errors |= MODEL_EINVAL;
	while (left) {
		area = iopt_model_find(&run->now, src, src_iova, src_iova);
		if (!area)
			return errors | MODEL_ENOENT;
		offset = src_iova - area->iova;
		piece.pages = area->pages;
		piece.start_byte = area->start_byte + offset;
		piece.length = min(left, area->length - offset);
		errors |= iopt_model_put(run, state, &piece);
		piece.iova += piece.length;
		src_iova += piece.length;
		left -= piece.length;
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
	unsigned int limit = run->row->limit;
	unsigned int errors = 0;
	struct model_need need;

	iopt_model_count(run, state, &need);
	if (need.fault)
		errors |= MODEL_EFAULT | MODEL_EINVAL;
	if (limit && (need.mode[IOPT_PAGES_ACCOUNT_USER] > limit ||
		      need.mode[IOPT_PAGES_ACCOUNT_MM] > limit))
		errors |= MODEL_ENOMEM;
	return errors ?: MODEL_OK;
}

static struct model_hold *model_find_hold(struct model_state *state,
					  unsigned int area,
					  unsigned long first,
					  unsigned long last)
{
	struct model_hold *unused = NULL;

	for (unsigned int i = 0; i < MODEL_HOLDS; i++) {
		struct model_hold *hold = &state->holds[i];

		if (!hold->users) {
			unused = hold;
			continue;
		}
		if (hold->area == area && hold->first == first &&
		    hold->last == last)
			return hold;
	}
	if (unused)
		*unused = (struct model_hold){
			.area = area, .first = first, .last = last,
		};
	return unused;
}

static void model_pages_out(struct model_run *run,
			    const struct model_state *state,
			    const struct model_hold *hold, struct page **out)
{
	const struct model_area *area = &state->areas[hold->area];
	const struct model_pages *pages = &state->pages[area->pages];

	for (unsigned int i = hold->first; i <= hold->last; i++)
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
	struct model_hold *hold;

	while (left) {
		area = iopt_model_find(state, pin->table, iova, iova);
		if (!area)
			return errors | MODEL_ENOENT;
		n = min(left, model_last(area) - iova + 1);
		start = area->start_byte + iova - area->iova;
		if (!(area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
			errors |= MODEL_EPERM;
		if (offset_in_page(start) ||
		    (n != left && offset_in_page(start + n)))
			errors |= MODEL_EINVAL;
		hold = model_find_hold(state, area - state->areas,
				       start / PAGE_SIZE,
				       (start + n - 1) / PAGE_SIZE);
		if (!hold)
			return MODEL_EOTHER;
		hold->users++;
		hold->writable |= write;
		model_pages_out(run, state, hold, out);
		out += hold->last - hold->first + 1;
		iova += n;
		left -= n;
	}
	return errors;
}

/**
 * iopt_model_hold_range() - the IOVAs of what is held
 * @state: the model
 * @hold: what is held
 * @iova: set to the first byte
 * @last: set to the last one
 */
void iopt_model_hold_range(const struct model_state *state,
			   const struct model_hold *hold, unsigned long *iova,
			   unsigned long *last)
{
	const struct model_area *area = &state->areas[hold->area];
	unsigned long start = max(hold->first * PAGE_SIZE, area->start_byte);
	unsigned long end = min((hold->last + 1) * PAGE_SIZE,
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
	struct model_hold *hold;

	while (left) {
		area = iopt_model_find(state, pin->table, iova, iova);
		if (!area) {
			iopt_model_fail(run, "the model lost what is pinned");
			return;
		}
		n = min(left, model_last(area) - iova + 1);
		start = area->start_byte + iova - area->iova;
		hold = model_find_hold(state, area - state->areas,
				       start / PAGE_SIZE,
				       (start + n - 1) / PAGE_SIZE);
		iova += n;
		left -= n;

		iopt_model_hold_range(state, hold, &start, &last);
		if (hold->writable)
			iopt_model_mark(run, pin->table, start, last,
					MODEL_MUST | MODEL_MAY);
		hold->users--;
	}
	pin->length = 0;
}

/**
 * iopt_model_mark() - something is dirty
 * @run: the run
 * @table: in the domains of this table that track
 * @iova: first byte
 * @last: last byte
 * @mark: MODEL_MUST | MODEL_MAY, or MODEL_MAY
 */
void iopt_model_mark(struct model_run *run, unsigned int table,
		     unsigned long iova, unsigned long last, u8 mark)
{
	unsigned long first = (iova - run->row->base) / MODEL_UNIT;
	unsigned long end = (last - run->row->base) / MODEL_UNIT;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.table[i] == table && run->now.tracked[i])
			for (unsigned long u = first; u <= end; u++)
				run->domains[i].expected[u] |= mark;
}

/**
 * iopt_model_forget() - nothing is dirty any more
 * @run: the run
 * @table: in the domains of this table
 * @iova: first byte
 * @last: last byte
 */
void iopt_model_forget(struct model_run *run, unsigned int table,
		       unsigned long iova, unsigned long last)
{
	unsigned long first = (iova - run->row->base) / MODEL_UNIT;
	unsigned long n = (last - run->row->base) / MODEL_UNIT - first + 1;

	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.table[i] == table)
			memset(run->domains[i].expected + first, 0, n);
}
