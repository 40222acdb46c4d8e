// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random steps of accesses: see iopt_random_kunit.c.
 */
#include <linux/highmem.h>
#include <linux/iommufd.h>
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

static struct model_access *to_model_access(struct iopt_access *access)
{
	return container_of(access, struct model_access, access);
}

static void model_unpin(struct model_run *run, struct model_pin *pin)
{
	iopt_unpin_pages(&run->iopts[pin->ioas], NULL, pin->iova, pin->length);
	iopt_model_unpin(run, pin);
}

/*
 * Unpin the pages of a range that is unmapped. In some cases, leave a pin to the next
 * notification.
 */
static void model_access_unmap(struct iopt_access *access, unsigned long iova,
			       unsigned long length)
{
	struct model_access *ma = to_model_access(access);
	struct io_pagetable *iopt = &ma->run->iopts[ma->ioas];
	struct model_run *run = ma->run;

	if (!down_write_trylock(&iopt->domains_rwsem))
		iopt_model_fail(run, "unmap callback called with a lock held");
	else
		up_write(&iopt->domains_rwsem);
	if (!down_write_trylock(&iopt->iova_rwsem))
		iopt_model_fail(run, "unmap callback called with a lock held");
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
	.get = iopt_kunit_access_get,
	.put = iopt_kunit_access_put,
	.unmap = model_access_unmap,
};

/**
 * iopt_random_access_init() - initialise the access of an IOAS
 * @run: the run
 * @ioas: index of the IOAS
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
 * iopt_random_remove_access() - remove the access of an IOAS, if it has one
 * @run: the run
 * @ioas: index of the IOAS; its access has no pages pinned
 */
void iopt_random_remove_access(struct model_run *run, unsigned int ioas)
{
	if (!run->now.access[ioas])
		return;
	iopt_model_describe(run, "IOAS %u: remove access", ioas);
	iopt_model_begin(run);
	iopt_remove_access(&run->iopts[ioas], &run->accesses[ioas].access);
	iopt_model_end(run, 0, MODEL_OK);
	run->now.access[ioas] = 0;
}

/**
 * iopt_random_access() - add or remove the access of an IOAS
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
	iopt_model_describe(run, "IOAS %u: add access", ioas);
	iopt_model_begin(run);
	rc = iopt_add_access(&run->iopts[ioas], &ma->access);
	iopt_model_end(run, rc, allowed);
	if (!rc)
		run->now.access[ioas] = ma->access.iova_alignment;
}

static struct model_pin *model_find_unused_pin(struct model_state *state)
{
	for (unsigned int i = 0; i < MODEL_PINS; i++)
		if (!state->pins[i].length)
			return &state->pins[i];
	return NULL;
}

/*
 * Pick a range that in most cases begins in an area, and ends in it or in one of the
 * areas that follow it without a gap. Return its length.
 */
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

/* Pin a range again, so that an iopt_pages_access has more than one pin. */
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
	struct model_pin *pin = model_find_unused_pin(&run->now), new;
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
	iopt_model_describe(run, "IOAS %u: pin %#lx, %#lx bytes%s", new.ioas,
			    new.iova, new.length, write ? " for writing" : "");
	run->next = run->now;
	run->next.pins[pin - run->now.pins] = new;
	allowed = iopt_model_pin(run, &run->next, &new, write, expected);
	if (allowed & MODEL_EOTHER)
		return;
	/* The engine pins the areas in front of an error, which may fail, too. */
	resources = iopt_model_resources(run, &run->next);
	allowed = allowed ? allowed | (resources & ~MODEL_OK) : resources;
	memset(out, 0, MODEL_MAX_OUT * sizeof(*out));
	mm = iopt_random_unuse_mm(run);
	iopt_model_begin(run);
	rc = iopt_pin_pages(&run->iopts[new.ioas], NULL, new.iova, new.length, out,
			    write ? IOMMUFD_ACCESS_RW_WRITE : 0);
	iopt_model_end(run, rc, allowed);
	iopt_random_use_mm(mm);
	/* A call that fails leaves every page clean, so the model is unchanged. */
	if (rc)
		return;
	run->now = run->next;
	if (memcmp(out, expected, new.length / PAGE_SIZE * sizeof(*out)))
		iopt_model_fail(run, "returned other pages");
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
	iopt_model_describe(run, "IOAS %u: unpin %#lx, %#lx bytes", pin->ioas,
			    pin->iova, pin->length);
	iopt_model_begin(run);
	model_unpin(run, pin);
	iopt_model_end(run, 0, MODEL_OK);
	if (run->injected)
		iopt_model_allow_dirty(run);
}

/*
 * Copy between @data and the pages of the model, up to the first byte without a page.
 * Return the number of bytes.
 */
static size_t model_copy_bytes(struct model_run *run, unsigned int ioas,
			       unsigned long iova, size_t length, u8 *data, bool write)
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
		if (write)
			memcpy_to_page(page, offset_in_page(byte), data + done,
				       n);
		else
			memcpy_from_page(data + done, page,
					 offset_in_page(byte), n);
	}
	return done;
}

/*
 * Return the set of errors that iopt_rw() must return for a range of one area. Add those
 * that it may return to @perhaps.
 */
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
	if (model_copy_bytes(run, area->ioas, iova, length, run->data, false) !=
	    length || (mem->readonly && write))
		errors |= MODEL_EFAULT | MODEL_EINVAL;
	else if (mem->readonly && pages->writable)
		*perhaps |= MODEL_EFAULT;
	return errors;
}

/* Return the set of results that iopt_rw() may return. */
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
	iopt_model_describe(run, "IOAS %u: %s %#lx, %#zx bytes", ioas,
			    write ? "write" : "read", iova, length);
	allowed = model_rw(run, ioas, iova, length, write);
	prandom_bytes_state(&run->rnd, run->data, length);
	/*
	 * If the range maps a page twice, the last write to a byte of it wins. Write to
	 * the pages to compute the expected contents, then restore them.
	 */
	model_copy_bytes(run, ioas, iova, length, old, false);
	if (write && allowed & MODEL_OK)
		model_copy_bytes(run, ioas, iova, length, run->data, true);
	model_copy_bytes(run, ioas, iova, length, expected, false);
	if (write && allowed & MODEL_OK)
		model_copy_bytes(run, ioas, iova, length, old, true);

	rc = model_call_rw(run, ioas, iova, length, write, allowed);
	if (write)
		iopt_model_mark_dirty(run, ioas, iova, iova + length - 1,
				      rc ? MODEL_MAY : MODEL_MUST | MODEL_MAY);
	if (run->injected)
		iopt_model_allow_dirty(run);
	if (rc)
		return;
	if (write)
		model_copy_bytes(run, ioas, iova, length, run->data, false);
	if (memcmp(run->data, expected, length))
		iopt_model_fail(run, "copied other bytes");
}
