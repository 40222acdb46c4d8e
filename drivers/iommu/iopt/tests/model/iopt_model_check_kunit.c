// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: comparison of the engine with its model
 *
 * iopt_model_check() runs after every step, and compares every granule of every domain,
 * the pins of every page, every counter, and every area. iopt_model_query() compares the
 * dirty bits of one query.
 */
#include <linux/mm.h>
#include <linux/sched/user.h>
#include <linux/uaccess.h>

#include "space/iopt_area.h"
#include "tests/model/random_kunit.h"

/* Bytes on each side of a bitmap that a query must not change. */
#define MODEL_MARGIN	64

static void model_check_folios(struct model_run *run)
{
	for (unsigned int i = 0; i < run->nr_folios; i++) {
		struct model_folio *mf = &run->folios[i];
		unsigned int pins;

		pins = iopt_model_page_pins(folio_page(mf->folio, 0));
		if (pins != mf->pins)
			iopt_model_fail(run, "folio %u of %lu pages pinned %u times, not %u",
					i, folio_nr_pages(mf->folio), pins,
					mf->pins);
		/* The writes of an access are in no page table: unpinning dirties. */
		if (mf->written < mf->were_written &&
		    !folio_test_clear_dirty(mf->folio))
			iopt_model_fail(run, "folio %u was unpinned and is clean",
					i);
		mf->were_written = mf->written;
	}
}

static void model_check_counter(struct model_run *run, const char *name,
				long value, unsigned long expected)
{
	if (value != expected)
		iopt_model_fail(run, "%s is %ld, not %lu", name, value,
				expected);
}

static void model_check_counters(struct model_run *run,
				 const struct model_need *need)
{
	unsigned long all = need->mode[IOPT_PAGES_ACCOUNT_NONE] +
			    need->mode[IOPT_PAGES_ACCOUNT_USER] +
			    need->mode[IOPT_PAGES_ACCOUNT_MM];

	model_check_counter(run, "number of pins",
			    iopt_kunit_check_pins(run->pins + all) - run->pins,
			    all);
	model_check_counter(run, "pinned_vm",
			    atomic64_read(&current->mm->pinned_vm), all);
	model_check_counter(run, "user's locked_vm",
			    atomic_long_read(&current_user()->locked_vm) -
			    run->user_locked,
			    need->mode[IOPT_PAGES_ACCOUNT_USER]);
	model_check_counter(run, "mm's locked_vm", current->mm->locked_vm,
			    need->mode[IOPT_PAGES_ACCOUNT_MM]);
}

/* Compare an iopt_pages with its model. */
static void model_check_pages(struct model_run *run, unsigned int nr,
			      struct iopt_pages *pages)
{
	const struct model_pages *mp = &run->now.pages[nr];
	DECLARE_BITMAP(pinned, MODEL_MAX_PAGES);
	DECLARE_BITMAP(accessed, MODEL_MAX_PAGES);
	unsigned int areas = 0;

	for (unsigned int i = 0; i < MODEL_AREAS; i++)
		areas += run->now.areas[i].length &&
			 run->now.areas[i].pages == nr;
	iopt_model_pinned(&run->now, nr, pinned, accessed);
	if (pages->npages != mp->npages || pages->writable != mp->writable ||
	    pages->account_mode != mp->mode || kref_read(&pages->kref) != areas)
		iopt_model_fail(run, "iopt_pages %u: %lu pages, %s, %u areas",
				nr, pages->npages,
				pages->writable ? "writable" : "readable",
				kref_read(&pages->kref));
	model_check_counter(run, "npinned", pages->npinned,
			    bitmap_weight(pinned, MODEL_MAX_PAGES));
	for (unsigned int i = 0; i < pages->npages; i++) {
		struct page *page = run->mems[mp->mem].page[mp->first + i];
		void *entry = xa_load(&pages->pinned_pfns, i);

		if (entry != (test_bit(i, accessed) ?
			      xa_mk_value(page_to_pfn(page)) : NULL))
			iopt_model_fail(run, "iopt_pages %u: wrong PFN of page %u in the xarray",
					nr, i);
	}
}

static bool model_has_domain(struct model_run *run, unsigned int ioas,
			     struct iommu_domain *domain)
{
	if (!domain)
		return !iopt_model_domains_of(&run->now, ioas);
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (domain == &run->domains[i].domain)
			return run->now.ioas[i] == ioas;
	return false;
}

static void model_check_area(struct model_run *run, unsigned int ioas,
			     struct iopt_area *area)
{
	unsigned long iova = iopt_area_iova(area);
	unsigned int accesses = 0;
	struct model_area *ma;

	ma = iopt_model_find_area(&run->now, ioas, iova, iova);
	if (!ma || ma->iova != iova ||
	    model_last(ma) != iopt_area_last_iova(area) ||
	    ma->prot != area->prot || !area->pages || area->prevent_access ||
	    area->iopt != &run->iopts[ioas] ||
	    ma->start_byte != iopt_area_start_byte(area, iova)) {
		iopt_model_fail(run, "IOAS %u: area %#lx-%#lx is wrong", ioas,
				iova, iopt_area_last_iova(area));
		return;
	}
	for (unsigned int i = 0; i < MODEL_PAGES_ACCESSES; i++)
		if (&run->now.areas[run->now.pages_accesses[i].area] == ma)
			accesses += run->now.pages_accesses[i].users;
	if (accesses != area->num_accesses)
		iopt_model_fail(run, "IOAS %u: area %#lx has %u accesses, not %u",
				ioas, iova, area->num_accesses, accesses);
	if (!model_has_domain(run, ioas, area->storage_domain))
		iopt_model_fail(run, "IOAS %u: area %#lx has a wrong storage domain",
				ioas, iova);
	if (!run->used_pages[ma->pages])
		run->used_pages[ma->pages] = area->pages;
	if (run->used_pages[ma->pages] != area->pages)
		iopt_model_fail(run, "IOAS %u: area %#lx has other pages",
				ioas, iova);
}

static void model_check_ioas(struct model_run *run, unsigned int ioas)
{
	struct io_pagetable *iopt = &run->iopts[ioas];
	unsigned int n = 0, expected = 0;
	struct model_area *ma;
	struct iopt_area *area;

	model_for_each_area(ma, &run->now, ioas)
		expected++;
	down_read(&iopt->iova_rwsem);
	iopt_for_each_area(area, iopt, 0, ULONG_MAX) {
		model_check_area(run, ioas, area);
		n++;
	}
	up_read(&iopt->iova_rwsem);
	model_check_counter(run, "number of areas", n, expected);
	model_check_counter(run, "alignment", iopt->iova_alignment,
			    iopt_model_align(run, &run->now, ioas));
}

static void model_check_mapping(struct model_run *run, struct model_domain *md,
				const struct model_area *area)
{
	const struct model_pages *pages = &run->now.pages[area->pages];
	const struct model_mem *mem = &run->mems[pages->mem];
	unsigned long granule = BIT(md->shift);

	for (unsigned long offset = 0; offset < area->length;
	     offset += granule) {
		unsigned long iova = area->iova + offset;
		unsigned long byte = area->start_byte + offset;
		struct page *page = mem->page[pages->first + byte / PAGE_SIZE];
		struct model_granule *g =
			&md->granules[(iova - run->cfg->base) >> md->shift];

		if (!g->n || g->prot != area->prot ||
		    g->phys != page_to_phys(page) + offset_in_page(byte)) {
			iopt_model_fail(run, "iova %#lx is not mapped to byte %#lx of %s",
					iova, pages->first * PAGE_SIZE + byte,
					mem->name);
			return;
		}
		if (run->now.small[area->ioas] &&
		    (unsigned long)g->n << md->shift > PAGE_SIZE)
			iopt_model_fail(run, "large leaf at iova %#lx", iova);
	}
}

static void model_check_domain(struct model_run *run, unsigned int nr)
{
	struct model_domain *md = &run->domains[nr];
	unsigned int mapped = 0;
	struct model_area *area;

	model_for_each_area(area, &run->now, run->now.ioas[nr]) {
		model_check_mapping(run, md, area);
		mapped += area->length >> md->shift;
	}
	model_check_counter(run, "number of mapped granules", md->mapped,
			    mapped);
}

/**
 * iopt_model_check() - compare everything but dirty bits
 * @run: the run
 */
void iopt_model_check(struct model_run *run)
{
	struct model_need need;

	iopt_model_count_pins(run, &run->now, &need);
	model_check_folios(run);
	model_check_counters(run, &need);
	memset(run->used_pages, 0, sizeof(run->used_pages));
	for (unsigned int i = 0; i < MODEL_IOASES; i++)
		model_check_ioas(run, i);
	for (unsigned int i = 0; i < MODEL_AREAS; i++)
		if (run->used_pages[i])
			model_check_pages(run, i, run->used_pages[i]);
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		model_check_domain(run, i);
}

static void model_expect_bits(struct model_run *run,
			      const struct iopt_dirty_query *query,
			      unsigned long iova, unsigned long last, u8 mark)
{
	unsigned long first = (max(iova, query->iova) - query->iova) /
			      query->page_size;
	unsigned long end = (min(last, query->iova + query->length - 1) -
			     query->iova) / query->page_size;

	for (unsigned long i = first; i <= end; i++) {
		if (mark & MODEL_MUST)
			run->must[i / 8] |= BIT(i % 8);
		run->may[i / 8] |= BIT(i % 8);
	}
}

/* Compute the bits of one area that a query must or may set, and clear dirty bits. */
static void model_expect_area(struct model_run *run, struct model_domain *md,
			      const struct model_area *area,
			      const struct iopt_dirty_query *query)
{
	unsigned long last = min(model_last(area),
				 query->iova + query->length - 1);
	unsigned long n, iova = max(area->iova, query->iova);
	u8 *expected = md->expected + (iova - run->cfg->base) / MODEL_UNIT;

	n = (last - iova) / MODEL_UNIT + 1;
	for (unsigned long u = 0; u < n; u++)
		if (expected[u])
			model_expect_bits(run, query, iova + u * MODEL_UNIT,
					  iova + u * MODEL_UNIT, expected[u]);
	if (!query->no_clear)
		memset(expected, 0, n);
	for (unsigned int i = 0; i < MODEL_PAGES_ACCESSES; i++) {
		const struct model_pages_access *pa = &run->now.pages_accesses[i];
		unsigned long from, to;

		if (!pa->users || &run->now.areas[pa->area] != area ||
		    !pa->writable)
			continue;
		iopt_model_pages_access_range(&run->now, pa, &from, &to);
		if (from <= last && to >= iova)
			model_expect_bits(run, query, from, to, MODEL_MUST);
	}
}

static void model_check_bitmap(struct model_run *run, size_t offset,
			       size_t bytes)
{
	size_t i;

	for (i = offset - MODEL_MARGIN; i < offset + bytes + MODEL_MARGIN; i++) {
		bool inside = i >= offset && i < offset + bytes;
		u8 must = inside ? run->must[i - offset] : 0;
		u8 may = inside ? run->may[i - offset] : 0;
		u8 was = run->before[i], is = run->after[i];

		if (must & ~is)
			iopt_model_fail(run, "dirty bits lost: byte %zd is %#x, needs %#x",
					i - offset, is, must);
		if ((was ^ is) & ~may)
			iopt_model_fail(run, "wrong bits: byte %zd was %#x, is %#x, may get %#x",
					i - offset, was, is, may);
		if (run->failed)
			return;
	}
}

static bool model_query_allowed(struct model_run *run, struct model_domain *md,
				const struct iopt_dirty_query *query)
{
	unsigned int nr = md - run->domains;
	unsigned long align = iopt_model_align(run, &run->now,
					       run->now.ioas[nr]);

	align = max(align, query->page_size);
	return run->now.tracked[nr] && query->length &&
	       !((query->iova | query->length) & (align - 1));
}

/**
 * iopt_model_query() - query dirty bits, and check the result
 * @run: the run
 * @md: the domain
 * @query: the query; its data is set to &model_run.bitmap + @offset
 * @offset: offset of the bitmap, at least MODEL_MARGIN
 *
 * Clears the dirty bits of the range in the model, unless @query has no_clear set.
 */
void iopt_model_query(struct model_run *run, struct model_domain *md,
		      struct iopt_dirty_query *query, size_t offset)
{
	unsigned int ioas = run->now.ioas[md - run->domains];
	void __user *bitmap = (void __user *)run->bitmap;
	size_t bytes = (query->length / query->page_size + 7) / 8 + 1;
	size_t from = offset - MODEL_MARGIN;
	bool allowed = model_query_allowed(run, md, query);
	struct model_area *area;
	int rc;

	if (offset + bytes + MODEL_MARGIN > run->bitmap_bytes)
		return;
	memset(run->before + from, 0, bytes + 2 * MODEL_MARGIN);
	if (!model_below(run, 4))
		prandom_bytes_state(&run->rnd, run->before + from,
				    min(bytes + 2 * MODEL_MARGIN, SZ_4K));
	if (copy_to_user(bitmap + from, run->before + from,
			 bytes + 2 * MODEL_MARGIN))
		iopt_model_fail(run, "copying the bitmap failed");
	query->data = bitmap + offset;
	iopt_model_begin(run);
	rc = iopt_read_and_clear_dirty(&run->iopts[ioas], &md->domain, query);
	iopt_model_end(run, rc, allowed ? MODEL_OK : MODEL_EINVAL);
	if (copy_from_user(run->after + from, bitmap + from,
			   bytes + 2 * MODEL_MARGIN))
		iopt_model_fail(run, "copying the bitmap failed");

	memset(run->must, 0, bytes);
	memset(run->may, 0, bytes);
	if (!rc) {
		if (run->injected)
			iopt_model_allow_dirty(run);
		model_for_each_area(area, &run->now, ioas)
			if (area->iova <= query->iova + query->length - 1 &&
			    model_last(area) >= query->iova)
				model_expect_area(run, md, area, query);
		if (run->injected)
			iopt_model_allow_dirty(run);
	}
	model_check_bitmap(run, offset, bytes);
}
