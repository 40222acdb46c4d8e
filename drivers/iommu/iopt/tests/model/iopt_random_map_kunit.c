// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random steps that map and unmap: see iopt_random_kunit.c.
 */
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

/**
 * iopt_random_area() - pick an area of an IOAS
 * @run: the run
 * @ioas: index of the IOAS
 *
 * Return: the area, or NULL if the IOAS has none.
 */
struct model_area *iopt_random_area(struct model_run *run, unsigned int ioas)
{
	struct model_area *area, *picked = NULL;
	unsigned int n = 0;

	model_for_each_area(area, &run->now, ioas)
		if (!model_below(run, ++n))
			picked = area;
	return picked;
}

/*
 * Round down to a page or to the IOAS's alignment if that is smaller, and rarely to
 * MODEL_UNIT, which may be too little.
 */
static unsigned long model_round_down(struct model_run *run, unsigned int ioas,
				      unsigned long value)
{
	unsigned long align = iopt_model_align(run, &run->now, ioas);

	if (!model_below(run, 24))
		align = MODEL_UNIT;
	else if (align < MODEL_UNIT || model_below(run, 2))
		align = PAGE_SIZE;
	return round_down(value, align);
}

/**
 * iopt_random_iova() - pick an IOVA of the window
 * @run: the run
 * @ioas: index of the IOAS
 *
 * Return: any IOVA, or the first one of an area, or the first one after an area, or one
 * in an area; aligned in most cases.
 */
unsigned long iopt_random_iova(struct model_run *run, unsigned int ioas)
{
	unsigned long iova = run->cfg->base + model_below(run, run->cfg->bytes);
	struct model_area *area = iopt_random_area(run, ioas);

	if (area) {
		switch (model_below(run, 6)) {
		case 0:
			iova = area->iova;
			break;
		case 1:
			if (model_last(area) != model_window_last(run))
				iova = model_last(area) + 1;
			break;
		case 2:
			iova = area->iova + model_below(run, area->length);
			break;
		}
	}
	return run->cfg->base +
	       model_round_down(run, ioas, iova - run->cfg->base);
}

/**
 * iopt_random_unuse_mm() - drop the mm of the test's thread, in some cases
 * @run: the run
 *
 * Calls that do not access the mm of the current thread must work without one.
 *
 * Return: the mm for iopt_random_use_mm(), or NULL if the thread has kept it.
 */
struct mm_struct *iopt_random_unuse_mm(struct model_run *run)
{
	struct mm_struct *mm = current->mm;

	if (model_below(run, 4))
		return NULL;
	kthread_unuse_mm(mm);
	return mm;
}

/**
 * iopt_random_use_mm() - undo iopt_random_unuse_mm()
 * @mm: what iopt_random_unuse_mm() returned
 */
void iopt_random_use_mm(struct mm_struct *mm)
{
	if (mm)
		kthread_use_mm(mm);
}

/* With MODEL_FAULTS, make a map in a domain of the IOAS fail, in some cases. */
static void model_fail_maps(struct model_run *run, unsigned int ioas)
{
	if (!(run->cfg->flags & MODEL_FAULTS))
		return;
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.ioas[i] == ioas && !model_below(run, 12))
			run->domains[i].fail = 1 + model_below(run, 8);
}

static int model_random_prot(struct model_run *run)
{
	return model_below(run, 4) ? IOMMU_READ | IOMMU_WRITE :
	       model_below(run, 2) ? IOMMU_READ : IOMMU_WRITE;
}

static unsigned int model_random_mode(struct model_run *run)
{
	return run->cfg->flags & MODEL_ACCOUNT ? model_below(run, 3) :
						 IOPT_PAGES_ACCOUNT_NONE;
}

/* Pick the memory of a new area. Return its offset in the memory object. */
static unsigned long model_pick_memory(struct model_run *run,
				       struct model_area *area)
{
	struct model_pages *pages = &run->next.pages[area->pages];
	unsigned int mem = model_below(run, MODEL_PINNABLE_MEMS);
	unsigned long offset, max;

	/* As long as an area maps memory that cannot be pinned, attaching fails. */
	if (!model_below(run, 16))
		mem = model_below(run, MODEL_MEMS);
	max = run->mems[mem].npages * PAGE_SIZE;
	offset = model_below(run, 3) ? model_below(run, max) : 0;
	offset = model_round_down(run, area->ioas, offset);
	if (mem < MODEL_PINNABLE_MEMS && run->mems[mem].file &&
	    model_below(run, 16))
		max -= MODEL_FILE_HOLE * PAGE_SIZE;
	offset = min(offset, max - PAGE_SIZE);
	area->length = model_below(run, max - offset) + 1;
	if (model_below(run, 4))
		area->length = min(area->length,
				   model_below(run, 24 * PAGE_SIZE) + 1);
	area->length = model_round_down(run, area->ioas,
					area->length + PAGE_SIZE - 1);
	area->length = clamp(area->length, MODEL_UNIT, max - offset);
	area->start_byte = offset_in_page(offset);
	area->prot = model_random_prot(run);

	pages->mem = mem;
	pages->first = offset / PAGE_SIZE;
	pages->npages = DIV_ROUND_UP(area->start_byte + area->length,
				     PAGE_SIZE);
	pages->writable = area->prot & IOMMU_WRITE;
	pages->mode = model_random_mode(run);
	return offset;
}

/* Pick the IOVA of a new area: in most cases a free one, often one for large leaves. */
static void model_pick_iova(struct model_run *run, struct model_area *area,
			    unsigned long offset)
{
	unsigned long big = run->cfg->flags & MODEL_HUGE ? SZ_2M : SZ_64K;
	unsigned long room = run->cfg->bytes - area->length;

	for (unsigned int tries = 0; tries < 8; tries++) {
		area->iova = iopt_random_iova(run, area->ioas) -
			     run->cfg->base;
		if (model_below(run, 2))
			area->iova = round_down(area->iova, big) + offset % big;
		if (area->iova > room)
			area->iova = round_down(room, PAGE_SIZE);
		area->iova += run->cfg->base;
		if (!model_below(run, 8) ||
		    !iopt_model_find_area(&run->now, area->ioas, area->iova,
					  model_last(area)))
			return;
	}
}

/*
 * A map has succeeded. If an allocation failed in it, iopt_discard_dirty() may have left
 * the mapped range in a spill.
 */
static void model_mapped(struct model_run *run)
{
	run->now = run->next;
	if (run->injected)
		iopt_model_allow_dirty(run);
}

static int model_call_map(struct model_run *run, struct iopt_map *map,
			  const struct model_area *area, unsigned long offset)
{
	const struct model_mem *mem =
		&run->mems[run->next.pages[area->pages].mem];
	struct io_pagetable *iopt = &run->iopts[area->ioas];
	int rc;

	map->length = area->length;
	map->prot = area->prot;
	map->account_mode = run->next.pages[area->pages].mode;
	model_fail_maps(run, area->ioas);
	iopt_model_begin(run);
	if (mem->file)
		rc = iopt_map_file_pages(iopt, map, mem->file, offset);
	else
		rc = iopt_map_user_pages(iopt, map,
					 (void __user *)mem->address + offset);
	return rc;
}

/**
 * iopt_random_map() - map memory
 * @run: the run
 */
void iopt_random_map(struct model_run *run)
{
	struct model_area area = { .ioas = model_below(run, MODEL_IOASES) };
	struct iopt_map map = {};
	unsigned int allowed;
	unsigned long offset;
	int rc;

	if (iopt_model_unused_areas(&run->now) < 4) {
		iopt_random_unmap(run);
		return;
	}
	run->next = run->now;
	area.pages = iopt_model_add_pages(&run->next);
	offset = model_pick_memory(run, &area);
	model_pick_iova(run, &area, offset);
	map.iova = area.iova;
	iopt_model_describe(run, "IOAS %u: map %#lx, %#lx bytes of %s at offset %#lx",
			    area.ioas, area.iova, area.length,
			    run->mems[run->next.pages[area.pages].mem].name, offset);
	allowed = iopt_model_add_area(run, &run->next, &area);
	allowed = allowed ?: iopt_model_resources(run, &run->next);
	rc = model_call_map(run, &map, &area, offset);
	iopt_model_end(run, rc, allowed);
	if (!rc)
		model_mapped(run);
}

/* Check if the window has a free range for an area at the alignment of its memory. */
static bool model_has_room(struct model_run *run, const struct model_area *area,
			   unsigned long address)
{
	unsigned long align = BIT(__ffs(address | PMD_SIZE));
	unsigned long last = min(model_window_last(run), ULONG_MAX - PAGE_SIZE);
	unsigned long iova = max(run->cfg->base, PAGE_SIZE);

	align = max(min(align, roundup_pow_of_two(area->length)), PAGE_SIZE);
	iova = round_up(iova, align) + offset_in_page(address);
	for (; iova <= last && last - iova >= area->length - 1; iova += align) {
		if (!iopt_model_find_area(&run->now, area->ioas, iova,
					  iova + area->length - 1))
			return true;
		if (last - iova < align)
			break;
	}
	return false;
}

/* The IOVA is not yet known, and does not matter for the pages to pin and charge. */
static unsigned int model_resources_anywhere(struct model_run *run,
					     const struct model_area *area)
{
	struct model_state *state = &run->next;
	unsigned int i;

	for (i = 0; state->areas[i].length; i++)
		;
	state->areas[i] = *area;
	return iopt_model_resources(run, state);
}

/**
 * iopt_random_map_anywhere() - map memory at an IOVA that the engine allocates
 * @run: the run
 */
void iopt_random_map_anywhere(struct model_run *run)
{
	struct model_area area = { .ioas = model_below(run, MODEL_IOASES) };
	struct iopt_map map = { .flags = IOPT_ALLOC_IOVA };
	unsigned int allowed = 0, pages;
	const struct model_mem *mem;
	unsigned long offset, align;
	int rc;

	if (iopt_model_unused_areas(&run->now) < 4)
		return;
	run->next = run->now;
	pages = iopt_model_add_pages(&run->next);
	area.pages = pages;
	offset = model_pick_memory(run, &area);
	mem = &run->mems[run->next.pages[pages].mem];
	iopt_model_describe(run, "IOAS %u: map %#lx bytes of %s at offset %#lx",
			    area.ioas, area.length, mem->name, offset);
	align = iopt_model_align(run, &run->now, area.ioas);
	if ((area.length | offset) & (align - 1))
		allowed |= MODEL_EINVAL;
	if (!model_has_room(run, &area, mem->address + offset))
		allowed |= MODEL_ENOSPC;
	allowed = allowed ?: model_resources_anywhere(run, &area);
	rc = model_call_map(run, &map, &area, offset);
	iopt_model_end(run, rc, allowed);
	if (rc)
		return;

	area.iova = map.iova;
	if (area.iova < max(run->cfg->base, PAGE_SIZE) ||
	    model_last(&area) > model_window_last(run) ||
	    model_last(&area) < area.iova)
		iopt_model_fail(run, "allocated iova %#lx, which is not allowed",
				area.iova);
	/* Remove what model_resources_anywhere() has added. */
	for (unsigned int i = 0; i < MODEL_AREAS; i++)
		if (!run->now.areas[i].length)
			run->next.areas[i].length = 0;
	if (iopt_model_add_area(run, &run->next, &area))
		iopt_model_fail(run, "allocated iova %#lx, which cannot be mapped",
				area.iova);
	model_mapped(run);
}

/**
 * iopt_random_copy() - map memory of an IOAS again, in any IOAS
 * @run: the run
 */
void iopt_random_copy(struct model_run *run)
{
	struct model_area to = { .ioas = model_below(run, MODEL_IOASES) };
	unsigned int src = model_below(run, MODEL_IOASES);
	struct model_area *from = iopt_random_area(run, src);
	unsigned long src_iova;
	struct iopt_map map = {};
	unsigned int allowed;
	struct mm_struct *mm;
	int rc;

	if (!from || iopt_model_unused_areas(&run->now) < 12)
		return;
	run->next = run->now;
	src_iova = from->iova;
	to.length = from->length;
	to.prot = from->prot;
	if (!model_below(run, 4))
		to.prot = model_random_prot(run);
	if (!model_below(run, 3)) {
		src_iova = iopt_random_iova(run, src);
		to.length = model_below(run, 20 * PAGE_SIZE) + 1;
		to.length = max(MODEL_UNIT,
				model_round_down(run, to.ioas, to.length));
		to.length = min(to.length,
				model_window_last(run) - src_iova + 1);
	}
	model_pick_iova(run, &to, src_iova - run->cfg->base);
	iopt_model_describe(run, "IOAS %u: copy %#lx, %#lx bytes, to IOAS %u, %#lx",
			    src, src_iova, to.length, to.ioas, to.iova);
	allowed = iopt_model_copy(run, &run->next, &to, src, src_iova);
	allowed = allowed ?: iopt_model_resources(run, &run->next);

	map.iova = to.iova;
	map.length = to.length;
	map.prot = to.prot;
	model_fail_maps(run, to.ioas);
	mm = iopt_random_unuse_mm(run);
	iopt_model_begin(run);
	rc = iopt_copy_iova(&run->iopts[to.ioas], &map, &run->iopts[src],
			    src_iova);
	iopt_model_end(run, rc, allowed);
	iopt_random_use_mm(mm);
	if (!rc)
		model_mapped(run);
}

/* Unmap a range in the model, and compare the results with those of the engine. */
static void model_unmap(struct model_run *run, unsigned int ioas,
			unsigned long iova, unsigned long last, int rc,
			unsigned long bytes)
{
	struct model_area *area;
	unsigned long done = 0;
	int expected = 0;

	while ((area = iopt_model_find_area(&run->now, ioas, iova, last))) {
		unsigned long area_last = model_last(area);

		if (area->iova < iova || area_last > last) {
			expected = -ENOENT;
			break;
		}
		iopt_model_clear_dirty(run, ioas, area->iova, area_last);
		done += area->length;
		area->length = 0;
		if (area_last == last)
			break;
		iova = area_last + 1;
	}
	if (run->injected)
		iopt_model_allow_dirty(run);
	if (rc != expected || bytes != done)
		iopt_model_fail(run, "returned %d and %#lx bytes, not %d and %#lx",
				rc, bytes, expected, done);
}

static void model_call_unmap(struct model_run *run, unsigned int ioas,
			     unsigned long iova, unsigned long last)
{
	unsigned long bytes = 1;
	struct mm_struct *mm;
	int rc;

	iopt_model_describe(run, "IOAS %u: unmap %#lx-%#lx", ioas, iova, last);
	mm = iopt_random_unuse_mm(run);
	iopt_model_begin(run);
	rc = iopt_unmap_iova(&run->iopts[ioas], iova, last - iova + 1,
			     &bytes);
	iopt_model_end(run, rc, MODEL_OK | MODEL_ENOENT | MODEL_ALWAYS);
	iopt_random_use_mm(mm);
	model_unmap(run, ioas, iova, last, rc, bytes);
}

/**
 * iopt_random_unmap_all() - unmap every area of an IOAS
 * @run: the run
 * @ioas: index of the IOAS
 */
void iopt_random_unmap_all(struct model_run *run, unsigned int ioas)
{
	unsigned long bytes = 1;
	int rc;

	iopt_model_describe(run, "IOAS %u: unmap all", ioas);
	iopt_model_begin(run);
	rc = iopt_unmap_all(&run->iopts[ioas], &bytes);
	iopt_model_end(run, rc, MODEL_OK | MODEL_ALWAYS);
	model_unmap(run, ioas, 0, ULONG_MAX, rc, bytes);
}

/**
 * iopt_random_unmap() - unmap a range of whole areas, or any range
 * @run: the run
 */
void iopt_random_unmap(struct model_run *run)
{
	unsigned int ioas = model_below(run, MODEL_IOASES);
	struct model_area *first = iopt_random_area(run, ioas);
	struct model_area *end = iopt_random_area(run, ioas);
	unsigned long iova, last;

	if (first && first->iova > end->iova)
		swap(first, end);
	switch (first ? model_below(run, 48) : 47) {
	case 0:
		iopt_random_unmap_all(run, ioas);
		return;
	case 1 ... 4:
		model_call_unmap(run, ioas, first->iova, model_last(end));
		return;
	case 5 ... 36:
		model_call_unmap(run, ioas, first->iova, model_last(first));
		return;
	}
	iova = iopt_random_iova(run, ioas);
	last = iopt_random_iova(run, ioas);
	if (iova > last)
		swap(iova, last);
	model_call_unmap(run, ioas, iova, last);
}

/* Split after @iova in the model. Return the set of results that are right. */
static unsigned int model_split(struct model_run *run, unsigned int ioas,
				unsigned long iova)
{
	struct model_state *state = &run->next;
	struct model_area *area = iopt_model_find_area(state, ioas, iova, iova);
	unsigned long align = iopt_model_align(run, state, ioas);
	struct model_area tail;
	unsigned long offset;

	if (!area || model_last(area) == iova)
		return MODEL_OK;
	for (unsigned int i = 0; i < MODEL_PAGES_ACCESSES; i++)
		if (state->pages_accesses[i].users &&
		    &state->areas[state->pages_accesses[i].area] == area)
			return MODEL_EINVAL;
	offset = iova + 1 - area->iova;
	if (((iova + 1) | (area->start_byte + offset)) & (align - 1))
		return MODEL_EINVAL;
	if (iopt_model_domains_of(state, ioas) && !state->small[ioas])
		return MODEL_EINVAL;
	tail = *area;
	tail.iova += offset;
	tail.start_byte += offset;
	tail.length -= offset;
	area->length = offset;
	return iopt_model_add_area(run, state, &tail) ?: MODEL_OK;
}

/**
 * iopt_random_split() - split up to two areas
 * @run: the run
 */
void iopt_random_split(struct model_run *run)
{
	unsigned int ioas = model_below(run, MODEL_IOASES);
	unsigned int n = 1, allowed = MODEL_OK;
	unsigned long iovas[2];
	int rc;

	if (iopt_model_unused_areas(&run->now) < 6)
		return;
	/* After an injected failure it is unknown how many areas are split. */
	if (!(run->cfg->flags & MODEL_FAULTS))
		n += model_below(run, 2);
	run->next = run->now;
	for (unsigned int i = 0; i < n; i++) {
		iovas[i] = iopt_random_iova(run, ioas) - 1;
		if (iovas[i] == run->cfg->base - 1)
			iovas[i] = run->cfg->base + PAGE_SIZE - 1;
		if (allowed == MODEL_OK)
			allowed = model_split(run, ioas, iovas[i]);
	}
	iopt_model_describe(run, "IOAS %u: split after %#lx%s", ioas, iovas[0],
			    n == 2 ? " and another IOVA" : "");
	iopt_model_begin(run);
	rc = iopt_split_areas(&run->iopts[ioas], iovas, n);
	iopt_model_end(run, rc, allowed);
	if (!run->injected || !rc)
		run->now = run->next;
}
