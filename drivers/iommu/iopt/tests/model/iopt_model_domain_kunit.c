// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the model test's IOMMU
 *
 * The page table is an array. The test fails if the engine maps a granule that is
 * mapped, unmaps a part of a leaf, maps or unmaps a page that is not pinned, or begins
 * a query within a leaf. Most hardware does not report any of these.
 *
 * The IOTLB caches leaves that a device has written: until it is flushed, further
 * writes do not set their dirty bits. A missing flush thereby loses dirty bits. It also
 * caches whether a leaf that a device has read is writable. Hardware need not check this
 * again when it sets the dirty bit.
 */
#include <linux/mm.h>

#include "tests/model/random_kunit.h"

static struct model_domain *to_model_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct model_domain, domain);
}

static unsigned long model_granule_iova(const struct model_domain *md,
					unsigned int i)
{
	return md->run->cfg->base + ((unsigned long)i << md->shift);
}

/* Convert a range to granules; fail the test if it is not inside of the window. */
static bool model_domain_range(struct model_domain *md, unsigned long iova,
			       size_t size, unsigned int *first,
			       unsigned int *n)
{
	unsigned long offset = iova - md->run->cfg->base;

	if (iova < md->run->cfg->base || !size ||
	    offset >= md->run->cfg->bytes ||
	    size > md->run->cfg->bytes - offset ||
	    (offset | size) & (BIT(md->shift) - 1)) {
		iopt_model_fail(md->run, "driver called for %#lx, %#zx bytes",
				iova, size);
		return false;
	}
	*first = offset >> md->shift;
	*n = size >> md->shift;
	return true;
}

static void model_check_pinned(struct model_domain *md, unsigned int granule,
			       const char *when)
{
	phys_addr_t phys = md->granules[granule].phys;

	if (iopt_model_page_pins(pfn_to_page(PHYS_PFN(phys))))
		return;
	iopt_model_fail(md->run, "page of iova %#lx not pinned %s",
			model_granule_iova(md, granule), when);
}

static void model_map_leaf(struct model_domain *md, unsigned int first,
			   unsigned int n, phys_addr_t phys, int prot)
{
	for (unsigned int i = first; i < first + n; i++) {
		struct model_granule *g = &md->granules[i];

		if (g->n)
			iopt_model_fail(md->run, "mapped over iova %#lx",
					model_granule_iova(md, i));
		g->phys = phys;
		g->leaf = first;
		g->n = n;
		g->prot = prot;
		g->read_only = false;
		g->dirty = false;
		g->cached = false;
		g->writable = false;
		model_check_pinned(md, i, "when mapped");
		phys += BIT(md->shift);
	}
	md->mapped += n;
}

static int model_map_pages(struct iommu_domain *domain, unsigned long iova,
			   phys_addr_t paddr, size_t pgsize, size_t pgcount,
			   int prot, gfp_t gfp, size_t *mapped)
{
	struct model_domain *md = to_model_domain(domain);
	bool fail = md->fail && !--md->fail;
	unsigned int first, n;

	if (!(domain->pgsize_bitmap & pgsize) ||
	    ((iova | paddr) & (pgsize - 1)) ||
	    !model_domain_range(md, iova, pgsize * pgcount, &first, &n)) {
		iopt_model_fail(md->run, "bad map at iova %#lx", iova);
		return -EINVAL;
	}
	if (fail)
		pgcount /= 2;
	for (size_t i = 0; i < pgcount; i++) {
		model_map_leaf(md, first, pgsize >> md->shift, paddr, prot);
		first += pgsize >> md->shift;
		paddr += pgsize;
	}
	*mapped = pgsize * pgcount;
	md->run->driver_failed |= fail;
	return fail ? MODEL_MAP_ERRNO : 0;
}

static size_t model_unmap_pages(struct iommu_domain *domain, unsigned long iova,
				size_t pgsize, size_t pgcount,
				struct iommu_iotlb_gather *gather)
{
	struct model_domain *md = to_model_domain(domain);
	unsigned int first, n;

	if (!model_domain_range(md, iova, pgsize * pgcount, &first, &n))
		return 0;
	for (unsigned int i = first; i < first + n; i++) {
		struct model_granule *g = &md->granules[i];

		if (!g->n) {
			iopt_model_fail(md->run, "unmap of iova %#lx, which is not mapped",
					model_granule_iova(md, i));
			continue;
		}
		if (g->leaf < first || g->leaf + g->n > first + n)
			iopt_model_fail(md->run, "unmap splits a leaf at iova %#lx",
					model_granule_iova(md, i));
		model_check_pinned(md, i, "when unmapped");
		g->n = 0;
		md->mapped--;
	}
	iommu_iotlb_gather_add_range(gather, iova, pgsize * pgcount);
	return pgsize * pgcount;
}

static phys_addr_t model_iova_to_phys(struct iommu_domain *domain,
				      dma_addr_t iova)
{
	struct model_domain *md = to_model_domain(domain);
	unsigned long offset = iova - md->run->cfg->base;
	unsigned int i = offset >> md->shift;

	if (iova < md->run->cfg->base || offset >= md->run->cfg->bytes ||
	    !md->granules[i].n)
		return 0;
	return md->granules[i].phys + (offset & (BIT(md->shift) - 1));
}

static void model_iotlb_sync(struct iommu_domain *domain,
			     struct iommu_iotlb_gather *gather)
{
	struct model_domain *md = to_model_domain(domain);

	for (unsigned int i = 0; i < md->nr; i++) {
		struct model_granule *g = &md->granules[i];
		unsigned long iova = model_granule_iova(md, i);

		if (g->n && iova <= gather->end &&
		    iova + BIT(md->shift) - 1 >= gather->start)
			md->granules[g->leaf].cached =
				md->granules[g->leaf].writable = false;
	}
}

static int model_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	to_model_domain(domain)->tracking = enabled;
	return 0;
}

/* Like drivers: report whole leaves, even if only a part is in the range. */
static int model_read_and_clear_dirty(struct iommu_domain *domain,
				      unsigned long iova, size_t size,
				      unsigned long flags,
				      struct iommu_dirty_bitmap *dirty)
{
	struct model_domain *md = to_model_domain(domain);
	unsigned int first, n;

	if (!md->tracking && dirty->bitmap)
		return -EINVAL;
	/* A bit of a query may cover less than a granule, so the end may be misaligned. */
	size = ALIGN(iova + size, BIT(md->shift)) - iova;
	if (!model_domain_range(md, iova, size, &first, &n))
		return 0;
	for (unsigned int i = first; i < first + n; i++) {
		struct model_granule *g = &md->granules[i];

		if (!g->n) {
			iopt_model_fail(md->run, "query of iova %#lx, which is not mapped",
					model_granule_iova(md, i));
			return 0;
		}
		if (i != g->leaf) {
			if (i == first)
				iopt_model_fail(md->run, "query begins within a leaf at iova %#lx",
						iova);
			continue;
		}
		if (!g->dirty)
			continue;
		g->dirty = flags & IOMMU_DIRTY_NO_CLEAR;
		iommu_dirty_bitmap_record(dirty, model_granule_iova(md, i),
					  (size_t)g->n << md->shift);
	}
	return 0;
}

/* Like drivers: change whole leaves. The engine calls it for writable memory only. */
static void model_write_protect(struct iommu_domain *domain, unsigned long iova,
				size_t size, bool enable,
				struct iommu_dirty_bitmap *dirty)
{
	const int rw = IOMMU_READ | IOMMU_WRITE;
	struct model_domain *md = to_model_domain(domain);
	unsigned int first, n;

	size = ALIGN(iova + size, BIT(md->shift)) - iova;
	if (!model_domain_range(md, iova, size, &first, &n))
		return;
	if (md->granules[first].leaf != first)
		iopt_model_fail(md->run, "iova %#lx of a leaf protected", iova);
	for (unsigned int i = first; i < first + n; i++) {
		struct model_granule *g = &md->granules[i];
		struct model_granule *leaf = &md->granules[g->leaf];

		if (!g->n || (g->prot & rw) != rw) {
			iopt_model_fail(md->run, "iova %#lx cannot be protected",
					model_granule_iova(md, i));
			return;
		}
		if (leaf->read_only == enable)
			continue;
		leaf->read_only = enable;
		iommu_dirty_bitmap_record(dirty, model_granule_iova(md, i),
					  (size_t)g->n << md->shift);
	}
}

static const struct iommu_domain_ops model_domain_ops = {
	.map_pages = model_map_pages,
	.unmap_pages = model_unmap_pages,
	.iotlb_sync = model_iotlb_sync,
	.iova_to_phys = model_iova_to_phys,
};

static const struct iommu_dirty_ops model_dirty_ops = {
	.set_dirty_tracking = model_set_dirty_tracking,
	.read_and_clear_dirty = model_read_and_clear_dirty,
	.write_protect = model_write_protect,
};

/**
 * iopt_model_domain_init() - initialise an empty domain
 * @run: the run; its test frees the page table when it ends
 * @nr: index of the domain
 */
void iopt_model_domain_init(struct model_run *run, unsigned int nr)
{
	struct model_domain *md = &run->domains[nr];
	unsigned long pgsizes = run->cfg->pgsizes[nr];

	md->run = run;
	if (!pgsizes)
		return;
	md->shift = __ffs(pgsizes);
	md->nr = run->cfg->bytes >> md->shift;
	md->granules = iopt_kunit_vzalloc(run->test,
					  md->nr * sizeof(*md->granules));
	md->expected = iopt_kunit_vzalloc(run->test,
					  run->cfg->bytes / MODEL_UNIT);
	md->domain.type = IOMMU_DOMAIN_UNMANAGED;
	md->domain.ops = &model_domain_ops;
	md->domain.dirty_ops = &model_dirty_ops;
	md->domain.pgsize_bitmap = pgsizes;
	md->domain.geometry.aperture_end = ULONG_MAX;
	if (run->cfg->flags & MODEL_APERTURE) {
		md->domain.geometry.aperture_start = run->cfg->base;
		md->domain.geometry.aperture_end =
			run->cfg->base + run->cfg->bytes - 1;
	}
}

/* Return: the leaf that maps an IOVA, or NULL. */
static struct model_granule *model_leaf(struct model_domain *md,
					unsigned long iova)
{
	struct model_granule *g =
		&md->granules[(iova - md->run->cfg->base) >> md->shift];

	return g->n ? &md->granules[g->leaf] : NULL;
}

/**
 * iopt_model_domain_read() - simulate a read by a device
 * @md: the domain of the device
 * @iova: IOVA in the window of the run
 */
void iopt_model_domain_read(struct model_domain *md, unsigned long iova)
{
	struct model_granule *leaf = model_leaf(md, iova);

	if (leaf && leaf->prot & IOMMU_WRITE && !leaf->read_only)
		leaf->writable = true;
}

/**
 * iopt_model_domain_write() - simulate a write by a device
 * @md: the domain of the device
 * @iova: IOVA in the window of the run
 * @start: set to the first IOVA of the leaf that becomes dirty
 * @last: set to the last one
 *
 * Return: true if the write must be reported: the device can write to the leaf, and
 * tracking is enabled.
 */
bool iopt_model_domain_write(struct model_domain *md, unsigned long iova,
			     unsigned long *start, unsigned long *last)
{
	struct model_granule *leaf = model_leaf(md, iova);

	if (!leaf || !(leaf->prot & IOMMU_WRITE) || !md->tracking)
		return false;
	if (leaf->read_only && !leaf->writable)
		return false;
	if (!leaf->cached)
		leaf->dirty = true;
	leaf->cached = true;
	leaf->writable = true;
	*start = model_granule_iova(md, leaf->leaf);
	*last = *start + ((unsigned long)leaf->n << md->shift) - 1;
	return true;
}
