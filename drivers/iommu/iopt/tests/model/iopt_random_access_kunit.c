// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random steps of in-kernel users: see iopt_random_kunit.c.
 */
#include <linux/highmem.h>
#include <linux/iommufd.h>
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

static struct model_access *to_model_access(struct iopt_access *access)
{
	return container_of(access, struct model_access, access);
}

static bool model_access_get(struct iopt_access *access)
{
	return true;
}

static void model_access_put(struct iopt_access *access)
{
}

static void model_unpin(struct model_run *run, struct model_pin *pin)
{
	iopt_unpin_pages(&run->iopts[pin->ioas], NULL, pin->iova, pin->length);
	iopt_model_unpin(run, pin);
}

/* Told of an unmap: let go of what lies there, if not at once. */
static void model_access_unmap(struct iopt_access *access, unsigned long iova,
			       unsigned long length)
{
	struct model_access *ma = to_model_access(access);
	struct io_pagetable *iopt = &ma->run->iopts[ma->ioas];
	struct model_run *run = ma->run;

	if (!down_write_trylock(&iopt->domains_rwsem))
		iopt_model_fail(run, "told of an unmap with a lock held");
	else
		up_write(&iopt->domains_rwsem);
	if (!down_write_trylock(&iopt->iova_rwsem))
		iopt_model_fail(run, "told of an unmap with a lock held");
	else
		up_write(&iopt->iova_rwsem);
	for (unsigned int i = 0; i < MODEL_PINS; i++) {
		struct model_pin *pin = &run->now.pins[i];

		if (pin->length && pin->ioas == ma->ioas &&
		    pin->iova <= iova + length - 1 &&
		    pin->iova + pin->length - 1 >= iova && model_below(run, 4))
			model_unpin(run, pin);
	}
}

static const struct iopt_access_ops model_access_ops = {
	.get = model_access_get,
	.put = model_access_put,
	.unmap = model_access_unmap,
};

/**
 * iopt_random_access_init() - an in-kernel user for each table
 * @run: the run
 * @ioas: index of the table
 */
void iopt_random_access_init(struct model_run *run, unsigned int ioas)
{
	struct model_access *ma = &run->accesses[ioas];

	ma->run = run;
	ma->ioas = ioas;
	ma->access.ops = &model_access_ops;
}

static bool model_is_pinned(struct model_run *run, unsigned int ioas)
{
	for (unsigned int i = 0; i < MODEL_PINS; i++)
		if (run->now.pins[i].length && run->now.pins[i].ioas == ioas)
			return true;
	return false;
}

/**
 * iopt_random_remove_access() - have the in-kernel user leave, if there is one
 * @run: the run
 * @ioas: index of the table; nothing is pinned there
 */
void iopt_random_remove_access(struct model_run *run, unsigned int ioas)
{
	if (!run->now.access[ioas])
		return;
	iopt_model_describe(run, "table %u: remove access", ioas);
	iopt_model_begin(run);
	iopt_remove_access(&run->iopts[ioas], &run->accesses[ioas].access);
	iopt_model_end(run, 0, MODEL_OK);
	run->now.access[ioas] = 0;
}

/**
 * iopt_random_access() - have an in-kernel user come or leave
 * @run: the run
 */
void iopt_random_access(struct model_run *run)
{
	unsigned int ioas = model_below(run, MODEL_IOASES);
	struct model_access *ma = &run->accesses[ioas];
	unsigned int allowed = MODEL_OK;
	struct model_area *area;
	int rc;

	if (run->now.access[ioas]) {
		if (!model_is_pinned(run, ioas) && !model_below(run, 6))
			iopt_random_remove_access(run, ioas);
		return;
	}
	ma->access.iova_alignment = model_below(run, 12) ? PAGE_SIZE : 1;
	model_for_each_area(area, &run->now, ioas)
		if ((area->iova | area->length | area->start_byte) &
		    (ma->access.iova_alignment - 1))
			allowed = MODEL_EADDRINUSE;
	iopt_model_describe(run, "table %u: add access", ioas);
	iopt_model_begin(run);
	rc = iopt_add_access(&run->iopts[ioas], &ma->access);
	iopt_model_end(run, rc, allowed);
	if (!rc)
		run->now.access[ioas] = ma->access.iova_alignment;
}

static struct model_pin *model_free_pin(struct model_state *state)
{
	for (unsigned int i = 0; i < MODEL_PINS; i++)
		if (!state->pins[i].length)
			return &state->pins[i];
	return NULL;
}

/* A range that begins where an area is, mostly, and mostly ends with one. */
static unsigned long model_pick_range(struct model_run *run, unsigned int ioas,
				      unsigned long max, unsigned long *iova)
{
	unsigned long room = model_window_last(run);
	struct model_area *area;

	for (unsigned int tries = 0; tries < 4; tries++) {
		*iova = iopt_random_iova(run, ioas);
		area = iopt_model_find_area(&run->now, ioas, *iova, *iova);
		if (area)
			break;
	}
	while (area && model_below(run, 8) && room == model_window_last(run)) {
		room = model_last(area);
		if (room == model_window_last(run) || model_below(run, 3))
			break;
		area = iopt_model_find_area(&run->now, ioas, room + 1, room + 1);
		if (area)
			room = model_window_last(run);
	}
	return 1 + model_below(run, min(room - *iova + 1, max));
}

/* As before, so that an access has more than one user. */
static void model_repeat_pin(struct model_run *run, struct model_pin *pin)
{
	const struct model_pin *other =
		&run->now.pins[model_below(run, MODEL_PINS)];

	if (other->length && run->now.access[other->ioas] == PAGE_SIZE)
		*pin = *other;
}

/**
 * iopt_random_pin() - pin pages
 * @run: the run
 */
void iopt_random_pin(struct model_run *run)
{
	struct page **out = run->out_pages, **expected = out + MODEL_MAX_OUT;
	struct model_pin *pin = model_free_pin(&run->now), new;
	bool write = model_below(run, 2);
	unsigned int allowed, resources;
	struct mm_struct *mm;
	int rc;

	new.ioas = model_below(run, MODEL_IOASES);
	new.length = model_pick_range(run, new.ioas, 40 * PAGE_SIZE,
				      &new.iova);
	new.length = round_up(new.length, PAGE_SIZE);
	if (!model_below(run, 4))
		model_repeat_pin(run, &new);
	if (!pin || run->now.access[new.ioas] != PAGE_SIZE ||
	    new.length - 1 > model_window_last(run) - new.iova)
		return;
	iopt_model_describe(run, "table %u: pin %#lx, %#lx bytes%s", new.ioas,
			    new.iova, new.length, write ? " for writing" : "");
	run->next = run->now;
	run->next.pins[pin - run->now.pins] = new;
	allowed = iopt_model_pin(run, &run->next, &new, write, expected);
	if (allowed & MODEL_EOTHER)
		return;
	/* What lies in front of an error is pinned already. */
	resources = iopt_model_resources(run, &run->next);
	allowed = allowed ? allowed | (resources & ~MODEL_OK) : resources;
	memset(out, 0, MODEL_MAX_OUT * sizeof(*out));
	mm = iopt_random_unuse_mm(run);
	iopt_model_begin(run);
	rc = iopt_pin_pages(&run->iopts[new.ioas], NULL, new.iova, new.length, out,
			    write ? IOMMUFD_ACCESS_RW_WRITE : 0);
	iopt_model_end(run, rc, allowed);
	iopt_random_use_mm(mm);
	/* Not a page of what failed is dirty. */
	if (rc)
		return;
	run->now = run->next;
	if (memcmp(out, expected, new.length / PAGE_SIZE * sizeof(*out)))
		iopt_model_fail(run, "gave other pages");
}

/**
 * iopt_random_unpin() - unpin pages
 * @run: the run
 */
void iopt_random_unpin(struct model_run *run)
{
	struct model_pin *pin = &run->now.pins[model_below(run, MODEL_PINS)];

	if (!pin->length)
		return;
	iopt_model_describe(run, "table %u: unpin %#lx, %#lx bytes", pin->ioas,
			    pin->iova, pin->length);
	iopt_model_begin(run);
	model_unpin(run, pin);
	iopt_model_end(run, 0, MODEL_OK);
	if (run->injected)
		iopt_model_allow_dirty(run);
}

/* What is in memory, or is put there, up to the first byte that is not there. */
static size_t model_peek(struct model_run *run, unsigned int ioas,
			 unsigned long iova, size_t length, u8 *data, bool poke)
{
	size_t done, n;

	for (done = 0; done < length; done += n, iova += n) {
		struct model_area *area = iopt_model_find_area(&run->now, ioas,
							       iova, iova);
		const struct model_pages *pages;
		unsigned long byte;
		struct page *page;

		if (!area)
			break;
		pages = &run->now.pages[area->pages];
		byte = area->start_byte + iova - area->iova;
		n = min3(length - done, model_last(area) - iova + 1,
			 PAGE_SIZE - offset_in_page(byte));
		page = run->mems[pages->mem].page[pages->first +
						  byte / PAGE_SIZE];
		if (!page)
			break;
		if (poke)
			memcpy_to_page(page, offset_in_page(byte), data + done,
				       n);
		else
			memcpy_from_page(data + done, page,
					 offset_in_page(byte), n);
	}
	return done;
}

/* What copying within an area must fail with, and in @perhaps what it may. */
static unsigned int model_rw_area(struct model_run *run,
				  const struct model_area *area,
				  unsigned long iova, size_t length, bool write,
				  unsigned int *perhaps)
{
	const struct model_pages *pages = &run->now.pages[area->pages];
	const struct model_mem *mem = &run->mems[pages->mem];
	unsigned int errors = 0;

	if (!(area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
		errors |= MODEL_EPERM;
	if (model_peek(run, area->ioas, iova, length, run->data, false) !=
	    length || (mem->readonly && write))
		errors |= MODEL_EFAULT | MODEL_EINVAL;
	else if (mem->readonly && pages->writable)
		*perhaps |= MODEL_EFAULT;
	return errors;
}

/* What iopt_rw() may give. */
static unsigned int model_rw(struct model_run *run, unsigned int ioas,
			     unsigned long iova, size_t length, bool write)
{
	unsigned int perhaps = run->cfg->limit ? MODEL_ENOMEM : 0;
	unsigned int errors = 0;
	struct model_area *area;
	size_t n;

	for (; length; iova += n, length -= n) {
		area = iopt_model_find_area(&run->now, ioas, iova, iova);
		if (!area) {
			errors |= MODEL_ENOENT;
			break;
		}
		n = min(length, model_last(area) - iova + 1);
		errors |= model_rw_area(run, area, iova, n, write, &perhaps);
	}
	return (errors ?: MODEL_OK) | perhaps;
}

static int model_call_rw(struct model_run *run, unsigned int ioas,
			 unsigned long iova, size_t length, bool write,
			 unsigned int allowed)
{
	unsigned int flags = write ? IOMMUFD_ACCESS_RW_WRITE : 0;
	struct mm_struct *mm;
	int rc;

	if (!model_below(run, 3))
		flags |= __IOMMUFD_ACCESS_RW_SLOW_PATH;
	if (model_below(run, 2))
		flags |= IOMMUFD_ACCESS_RW_KTHREAD;
	mm = iopt_random_unuse_mm(run);
	iopt_model_begin(run);
	rc = iopt_rw(&run->iopts[ioas], iova, run->data, length, flags);
	iopt_model_end(run, rc, allowed);
	iopt_random_use_mm(mm);
	return rc;
}

/**
 * iopt_random_rw() - copy to memory, or from it
 * @run: the run
 */
void iopt_random_rw(struct model_run *run)
{
	unsigned int ioas = model_below(run, MODEL_IOASES), allowed;
	unsigned long iova;
	size_t length = model_pick_range(run, ioas, MODEL_MAX_DATA / 2, &iova);
	u8 *expected = run->data + MODEL_MAX_DATA;
	u8 *old = expected + MODEL_MAX_DATA;
	bool write = model_below(run, 2);
	int rc;

	if (model_below(run, 2)) {
		size_t skip = model_below(run, min(MODEL_UNIT, length));

		iova += skip;
		length = 1 + model_below(run, length - skip);
	}
	iopt_model_describe(run, "table %u: %s %#lx, %#zx bytes", ioas,
			    write ? "write" : "read", iova, length);
	allowed = model_rw(run, ioas, iova, length, write);
	prandom_bytes_state(&run->rnd, run->data, length);
	/* Where pages are there twice the last byte wins: try it out. */
	model_peek(run, ioas, iova, length, old, false);
	if (write && allowed & MODEL_OK)
		model_peek(run, ioas, iova, length, run->data, true);
	model_peek(run, ioas, iova, length, expected, false);
	if (write && allowed & MODEL_OK)
		model_peek(run, ioas, iova, length, old, true);

	rc = model_call_rw(run, ioas, iova, length, write, allowed);
	if (write)
		iopt_model_mark_dirty(run, ioas, iova, iova + length - 1,
				      rc ? MODEL_MAY : MODEL_MUST | MODEL_MAY);
	if (run->injected)
		iopt_model_allow_dirty(run);
	if (rc)
		return;
	if (write)
		model_peek(run, ioas, iova, length, run->data, false);
	if (memcmp(run->data, expected, length))
		iopt_model_fail(run, "copied something else");
}
