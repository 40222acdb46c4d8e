// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: model of dirty tracking
 *
 * Each function changes an IOVA space and its model, which has a byte for each page, and
 * queries are compared with the model. The results must be equal bit by bit: as long as
 * no allocation fails, the engine reports exactly the pages that are dirty. The domains
 * are those of iopt_model_domain_kunit.c, which detect a query that begins within a leaf,
 * and lose dirty bits if the IOTLB is not flushed.
 */
#include <linux/uaccess.h>

#include "tests/dirty/track_kunit.h"

static const struct iommu_dirty_ops *track_driver;

static struct track *track_of(struct iommu_domain *domain)
{
	return container_of(domain, struct model_domain, domain)
		->run->test->priv;
}

static int track_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	if (enabled && track_of(domain)->refuse)
		return TRACK_ERRNO;
	return track_driver->set_dirty_tracking(domain, enabled);
}

/* The devices of a domain try to write every page of a range. */
static void track_write_late(struct track *t, struct iommu_domain *domain,
			     unsigned long iova, size_t size)
{
	struct model_domain *md =
		container_of(domain, struct model_domain, domain);
	unsigned long base = t->run->cfg->base;

	for (unsigned int page = (iova - base) / PAGE_SIZE;
	     page <= (iova + size - 1 - base) / PAGE_SIZE; page++)
		iopt_tracked_write(t, md - t->run->domains, page);
}

static int track_read_and_clear_dirty(struct iommu_domain *domain,
				      unsigned long iova, size_t size,
				      unsigned long flags,
				      struct iommu_dirty_bitmap *dirty)
{
	struct track *t = track_of(domain);
	int rc;

	if (t->fail && !--t->fail) {
		t->driver_failed = true;
		return TRACK_ERRNO;
	}
	rc = track_driver->read_and_clear_dirty(domain, iova, size, flags,
						dirty);
	if (t->write_late && domain->dirty_ops->write_protect)
		track_write_late(t, domain, iova, size);
	return rc;
}

static void track_write_protect(struct iommu_domain *domain, unsigned long iova,
				size_t size, bool enable,
				struct iommu_dirty_bitmap *dirty)
{
	struct model_domain *md =
		container_of(domain, struct model_domain, domain);

	/* The IOTLB caches what is writable now. */
	for (size_t offset = 0; offset < size; offset += BIT(md->shift))
		iopt_model_domain_read(md, iova + offset);
	track_driver->write_protect(domain, iova, size, enable, dirty);
}

static const struct iommu_dirty_ops track_dirty_ops = {
	.set_dirty_tracking = track_set_dirty_tracking,
	.read_and_clear_dirty = track_read_and_clear_dirty,
	.write_protect = track_write_protect,
};

static const struct iommu_dirty_ops track_dirty_ops_without_protect = {
	.set_dirty_tracking = track_set_dirty_tracking,
	.read_and_clear_dirty = track_read_and_clear_dirty,
};

static void track_access_unmap(struct iopt_access *access, unsigned long iova,
			       unsigned long length)
{
	struct track *t = container_of(access, struct track, access);
	unsigned int first = (iova - t->run->cfg->base) / PAGE_SIZE;
	unsigned int end = first + length / PAGE_SIZE;

	t->notified++;
	/* A range that is being unmapped can be neither pinned nor copied. */
	if (iopt_pin_pages(&t->iopt, NULL, iova, PAGE_SIZE, t->run->out_pages, 0) !=
		    -EINVAL ||
	    iopt_rw(&t->iopt, iova, t->run->data, 1, 0) != -EINVAL)
		iopt_model_fail(t->run, "page %u accessed during its unmap",
				first);
	if (t->ignore) {
		t->ignore--;
		return;
	}
	for (unsigned int i = 0; i < TRACK_PINS; i++)
		if (t->pins[i].n && t->pins[i].first >= first &&
		    t->pins[i].first < end)
			iopt_tracked_unpin(t, &t->pins[i]);
}

static const struct iopt_access_ops track_access_ops = {
	.get = iopt_kunit_access_get,
	.put = iopt_kunit_access_put,
	.unmap = track_access_unmap,
};

/**
 * iopt_tracked_begin() - initialise an empty IOVA space, memory objects and domains
 * @test: the test; its priv is set to the struct track
 * @cfg: parameters of the memory objects and domains
 *
 * Return: the IOVA space and its model.
 */
struct track *iopt_tracked_begin(struct kunit *test, const struct model_config *cfg)
{
	struct track *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->ik = *(struct iopt_kunit *)test->priv;
	t->run = iopt_model_alloc(test, cfg);
	test->priv = t;
	track_driver = t->run->domains[0].domain.dirty_ops;
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		t->run->domains[i].domain.dirty_ops =
			i == TRACK_NO_DIRTY_OPS ? NULL :
			i == TRACK_NO_PROTECT ? &track_dirty_ops_without_protect :
						&track_dirty_ops;
	iopt_init_table(&t->iopt);
	t->access.ops = &track_access_ops;
	t->access.iova_alignment = PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&t->iopt, &t->access));
	return t;
}

/**
 * iopt_tracked_end() - unmap and detach everything
 * @t: the IOVA space and its model
 */
void iopt_tracked_end(struct track *t)
{
	struct kunit *test = t->run->test;

	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, NULL));
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (t->attached[i])
			iopt_table_remove_domain(&t->iopt,
						 &t->run->domains[i].domain);
	iopt_remove_access(&t->iopt, &t->access);
	KUNIT_EXPECT_EQ(test, t->iopt.num_areas, 0);
	iopt_destroy_table(&t->iopt);
}

static void track_mark(struct track *t, unsigned int first, unsigned int n)
{
	if (t->started)
		memset(t->dirty + first, 1, n);
}

/**
 * iopt_tracked_set_dirty() - mark the mapped pages of a range as dirty or clean
 * @t: the IOVA space and its model
 * @iova: first IOVA
 * @last: last IOVA
 * @dirty: mark the pages as dirty, if tracking of the IOAS is enabled
 */
void iopt_tracked_set_dirty(struct track *t, unsigned long iova,
			    unsigned long last, bool dirty)
{
	for (unsigned int i = 0; i < TRACK_AREAS; i++)
		for (unsigned int n = 0; n < t->areas[i].n; n++) {
			unsigned int page = t->areas[i].first + n;

			if (track_iova(t, page) >= iova &&
			    track_iova(t, page) <= last)
				t->dirty[page] = dirty && t->started;
		}
}

/**
 * iopt_tracked_is_conservative() - check if a domain makes every mapped page dirty
 * @t: the IOVA space and its model
 * @nr: index of the domain
 *
 * Return: true if the domain is attached and does not track, and its devices may write
 * pages that are not pinned.
 */
bool iopt_tracked_is_conservative(const struct track *t, unsigned int nr)
{
	return t->attached[nr] && !t->run->domains[nr].tracking &&
	       !t->pinned_scope[nr];
}

/**
 * iopt_tracked_map() - map a memory object
 * @t: the IOVA space and its model
 * @mem: index of the memory object
 * @offset: first page of the memory object
 * @first: first page of the window
 * @n: number of pages
 */
void iopt_tracked_map(struct track *t, unsigned int mem, unsigned int offset,
		      unsigned int first, unsigned int n)
{
	unsigned long address = t->run->mems[mem].address + offset * PAGE_SIZE;
	struct track_range *area = t->areas;

	while (area->n)
		area++;
	KUNIT_ASSERT_EQ(t->run->test, 0,
			iopt_kunit_map(&t->iopt, track_iova(t, first), address,
				       n * PAGE_SIZE, IOPT_PAGES_ACCOUNT_NONE));
	*area = (struct track_range){ first, n };
}

/**
 * iopt_tracked_drop_areas() - remove the areas of a range from the model
 * @t: the IOVA space and its model
 * @first: first page of the window
 * @n: number of pages
 */
void iopt_tracked_drop_areas(struct track *t, unsigned int first, unsigned int n)
{
	for (unsigned int i = 0; i < TRACK_AREAS; i++)
		if (t->areas[i].n && t->areas[i].first >= first &&
		    t->areas[i].first < first + n)
			t->areas[i].n = 0;
	memset(t->dirty + first, 0, n);
}

/**
 * iopt_tracked_add_domain() - attach a domain
 * @t: the IOVA space and its model
 * @nr: index of the domain
 */
void iopt_tracked_add_domain(struct track *t, unsigned int nr)
{
	struct model_domain *md = &t->run->domains[nr];

	KUNIT_ASSERT_EQ(t->run->test, 0,
			iopt_table_add_domain(&t->iopt, &md->domain));
	t->attached[nr] = true;
	t->pinned_scope[nr] = false;
	if (md->tracking != (t->started && !t->refuse && nr != TRACK_NO_DIRTY_OPS))
		iopt_model_fail(t->run, "tracking of domain %u is wrong", nr);
}

/**
 * iopt_tracked_remove_domain() - detach a domain
 * @t: the IOVA space and its model
 * @nr: index of the domain
 */
void iopt_tracked_remove_domain(struct track *t, unsigned int nr)
{
	bool conservative = iopt_tracked_is_conservative(t, nr);

	iopt_table_remove_domain(&t->iopt, &t->run->domains[nr].domain);
	if (conservative || t->driver_failed)
		iopt_tracked_set_dirty(t, 0, ULONG_MAX, true);
	t->attached[nr] = false;
	if (t->run->domains[nr].tracking)
		iopt_model_fail(t->run, "domain %u still tracks", nr);
}

/**
 * iopt_tracked_set_pinned_scope() - set the pages that a domain's devices may write
 * @t: the IOVA space and its model
 * @nr: index of the domain
 * @pinned: the devices write pages only that are pinned
 */
void iopt_tracked_set_pinned_scope(struct track *t, unsigned int nr, bool pinned)
{
	int rc = iopt_set_pinned_scope(&t->iopt, &t->run->domains[nr].domain,
				       pinned);

	KUNIT_EXPECT_EQ(t->run->test, rc, t->attached[nr] ? 0 : -ENOENT);
	if (pinned && iopt_tracked_is_conservative(t, nr))
		iopt_tracked_set_dirty(t, 0, ULONG_MAX, true);
	t->pinned_scope[nr] = pinned;
}

/**
 * iopt_tracked_start() - enable tracking of the IOAS
 * @t: the IOVA space and its model
 */
void iopt_tracked_start(struct track *t)
{
	KUNIT_EXPECT_EQ(t->run->test, 0, iopt_start_tracking(&t->iopt));
	if (t->started)
		return;
	t->started = true;
	memset(t->dirty, 0, sizeof(t->dirty));
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (t->attached[i] && i != TRACK_NO_DIRTY_OPS && !t->refuse &&
		    !t->driver_failed && !t->run->domains[i].tracking)
			iopt_model_fail(t->run, "domain %u does not track", i);
}

/**
 * iopt_tracked_stop() - disable tracking of the IOAS
 * @t: the IOVA space and its model
 */
void iopt_tracked_stop(struct track *t)
{
	iopt_stop_tracking(&t->iopt);
	t->started = false;
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (t->run->domains[i].tracking)
			iopt_model_fail(t->run, "domain %u still tracks", i);
}

/**
 * iopt_tracked_write() - simulate a write by a device
 * @t: the IOVA space and its model
 * @nr: index of the domain of the device
 * @page: page of the window
 */
void iopt_tracked_write(struct track *t, unsigned int nr, unsigned int page)
{
	unsigned long start, last, base = t->run->cfg->base;

	if (!iopt_model_domain_write(&t->run->domains[nr], track_iova(t, page),
				     &start, &last))
		return;
	start = (start - base) / PAGE_SIZE;
	last = (last - base) / PAGE_SIZE;
	track_mark(t, start, last - start + 1);
}

/**
 * iopt_tracked_pin() - pin pages for the access
 * @t: the IOVA space and its model
 * @first: first page of the window
 * @n: number of pages
 * @write: pin for writing
 */
void iopt_tracked_pin(struct track *t, unsigned int first, unsigned int n,
		      bool write)
{
	struct track_range *pin = t->pins;

	while (pin->n)
		pin++;
	KUNIT_ASSERT_EQ(t->run->test, 0,
			iopt_pin_pages(&t->iopt, NULL, track_iova(t, first),
				       n * PAGE_SIZE, t->run->out_pages,
				       write ? IOMMUFD_ACCESS_RW_WRITE : 0));
	*pin = (struct track_range){ first, n };
}

/**
 * iopt_tracked_unpin() - unpin pages of the access
 * @t: the IOVA space and its model
 * @pin: the element of &track.pins; unused afterwards
 */
void iopt_tracked_unpin(struct track *t, struct track_range *pin)
{
	iopt_unpin_pages(&t->iopt, NULL, track_iova(t, pin->first),
			 pin->n * PAGE_SIZE);
	track_mark(t, pin->first, pin->n);
	pin->n = 0;
}

/**
 * iopt_tracked_rw() - copy bytes by iopt_rw()
 * @t: the IOVA space and its model
 * @offset: offset of the first byte in the window
 * @length: number of bytes
 * @write: copy to the memory
 */
void iopt_tracked_rw(struct track *t, unsigned long offset, size_t length,
		     bool write)
{
	unsigned int first = offset / PAGE_SIZE;
	unsigned int last = (offset + length - 1) / PAGE_SIZE;

	KUNIT_ASSERT_EQ(t->run->test, 0,
			iopt_rw(&t->iopt, t->run->cfg->base + offset,
				t->run->data, length,
				write ? IOMMUFD_ACCESS_RW_WRITE : 0));
	if (write)
		track_mark(t, first, last - first + 1);
}
