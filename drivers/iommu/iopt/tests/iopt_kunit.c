// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of the engine
 *
 * A test's thread is made a process with memory of its own, so that there is
 * something to pin. When the test has ended everything must be unpinned and
 * uncharged. An IOMMU is an array, which knows for each granule what is mapped
 * there and for each leaf where it began, and minds what hardware would: a map
 * over a map, a leaf that is cut.
 */
#include <kunit/pins.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "test_hooks.h"
#include "tests/iopt_kunit.h"

/**
 * iopt_kunit_check_pins() - count pins, fast where there is nothing to find
 * @expected: how many there should be
 *
 * Return: @expected, or how many there are.
 * Context: may sleep.
 */
long iopt_kunit_check_pins(long expected)
{
	return pins_sum() == expected ? expected : pins_count();
}

/**
 * iopt_kunit_init() - init function of a suite
 * @test: its priv becomes a struct iopt_kunit
 *
 * Return: 0.
 */
int iopt_kunit_init(struct kunit *test)
{
	struct iopt_kunit *ik = kunit_kzalloc(test, sizeof(*ik), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ik);
	/* The first map makes the thread a process. */
	iopt_kunit_mmap(test, 1);
	ik->mm = current->mm;
	mmgrab(ik->mm);
	ik->pins = pins_count();
	ik->user_locked = atomic_long_read(&current_user()->locked_vm);
	iopt_test_memory_limit = SZ_64K;
	test->priv = ik;
	return 0;
}

/**
 * iopt_kunit_exit() - exit function of a suite
 * @test: fails where it left something pinned or charged
 */
void iopt_kunit_exit(struct kunit *test)
{
	struct iopt_kunit *ik = test->priv;

	iopt_test_memory_limit = SZ_64K;
	if (!ik)
		return;
	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(ik->pins), ik->pins);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm),
			ik->user_locked);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ik->mm->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, ik->mm->locked_vm, 0);
	mmdrop(ik->mm);
}

KUNIT_DEFINE_ACTION_WRAPPER(iopt_kunit_vfree, vfree, const void *);

/**
 * iopt_kunit_vzalloc() - memory for as long as the test runs
 * @test: the test
 * @bytes: how much
 *
 * Return: the memory, zeroed.
 */
void *iopt_kunit_vzalloc(struct kunit *test, size_t bytes)
{
	void *p = vzalloc(bytes);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, iopt_kunit_vfree, p),
			0);
	return p;
}

/**
 * iopt_kunit_mmap() - memory that a process has
 * @test: the test
 * @npages: how much; pages of their own, not shared with anything
 *
 * Return: its address.
 */
unsigned long iopt_kunit_mmap(struct kunit *test, unsigned long npages)
{
	unsigned long address;

	address = kunit_vm_mmap(test, NULL, 0, npages * PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, address, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(address));
	return address;
}

/**
 * iopt_kunit_pfn() - the page frame behind an address
 * @test: the test
 * @address: of the process; faulted in
 *
 * Return: the PFN.
 */
unsigned long iopt_kunit_pfn(struct kunit *test, unsigned long address)
{
	struct page *page;

	KUNIT_ASSERT_EQ(test, 1,
			get_user_pages_fast(address & PAGE_MASK, 1, FOLL_WRITE,
					    &page));
	put_page(page);
	return page_to_pfn(page);
}

static const struct iopt_pages_ops iopt_kunit_no_ops;

/**
 * iopt_kunit_pages() - an iopt_pages without memory
 * @test: the test
 * @npages: its length
 *
 * Return: the iopt_pages, with one count, for which nothing can be pinned.
 */
struct iopt_pages *iopt_kunit_pages(struct kunit *test, unsigned long npages)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc(&iopt_kunit_no_ops, npages, true,
				 IOPT_PAGES_ACCOUNT_NONE);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	return pages;
}

static struct iopt_kunit_domain *to_kunit_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct iopt_kunit_domain, domain);
}

static bool iopt_kunit_domain_has(const struct iopt_kunit_domain *kd,
				  unsigned long iova, size_t size)
{
	unsigned long granule = (iova - kd->base) >> kd->shift;

	return iova >= kd->base && granule < kd->nr &&
	       size >> kd->shift <= kd->nr - granule;
}

static int iopt_kunit_map_pages(struct iommu_domain *domain, unsigned long iova,
				phys_addr_t paddr, size_t pgsize,
				size_t pgcount, int prot, gfp_t gfp,
				size_t *mapped)
{
	struct iopt_kunit_domain *kd = to_kunit_domain(domain);
	unsigned long granule = (iova - kd->base) >> kd->shift;
	bool fail = ++kd->maps == kd->fail;

	if (!iopt_kunit_domain_has(kd, iova, pgsize * pgcount) ||
	    (iova | paddr) & (pgsize - 1)) {
		kd->broken++;
		return -EINVAL;
	}
	if (fail)
		pgcount /= 2;
	*mapped = pgsize * pgcount;
	for (size_t n = 0; n < *mapped >> kd->shift; n++) {
		size_t offset = n << kd->shift;

		kd->broken += kd->phys[granule + n] != 0;
		kd->phys[granule + n] = (paddr + offset) | IOPT_KUNIT_MAPPED;
		kd->leaf[granule + n] = offset & (pgsize - 1) ? 0 :
								__ffs(pgsize);
	}
	return fail ? IOPT_KUNIT_ERRNO : 0;
}

static int iopt_kunit_sync_map(struct iommu_domain *domain, unsigned long iova,
			       size_t size)
{
	to_kunit_domain(domain)->syncs++;
	return 0;
}

static size_t iopt_kunit_unmap_pages(struct iommu_domain *domain,
				     unsigned long iova, size_t pgsize,
				     size_t pgcount,
				     struct iommu_iotlb_gather *gather)
{
	struct iopt_kunit_domain *kd = to_kunit_domain(domain);
	unsigned long granule = (iova - kd->base) >> kd->shift;
	unsigned long n = (pgsize * pgcount) >> kd->shift;
	unsigned long leaf_end = granule;

	if (!iopt_kunit_domain_has(kd, iova, pgsize * pgcount)) {
		kd->broken++;
		return 0;
	}
	for (unsigned long i = granule; i < granule + n; i++) {
		if (kd->leaf[i])
			leaf_end = i + (BIT(kd->leaf[i]) >> kd->shift);
		kd->broken += !kd->phys[i] || i >= leaf_end;
		kd->phys[i] = 0;
		kd->leaf[i] = 0;
	}
	/* As hardware: a leaf that is cut goes as a whole. */
	kd->broken += leaf_end > granule + n;
	for (; n < kd->nr - granule && granule + n < leaf_end; n++) {
		kd->phys[granule + n] = 0;
		kd->leaf[granule + n] = 0;
	}
	return n << kd->shift;
}

static phys_addr_t iopt_kunit_iova_to_phys(struct iommu_domain *domain,
					   dma_addr_t iova)
{
	struct iopt_kunit_domain *kd = to_kunit_domain(domain);
	u64 phys;

	kd->lookups++;
	if (!iopt_kunit_domain_has(kd, iova, 1))
		return 0;
	phys = kd->phys[(iova - kd->base) >> kd->shift];
	if (!phys)
		return 0;
	return (phys & ~IOPT_KUNIT_MAPPED) + (iova & (BIT(kd->shift) - 1));
}

static const struct iommu_domain_ops iopt_kunit_domain_ops = {
	.map_pages = iopt_kunit_map_pages,
	.iotlb_sync_map = iopt_kunit_sync_map,
	.unmap_pages = iopt_kunit_unmap_pages,
	.iova_to_phys = iopt_kunit_iova_to_phys,
};

/**
 * iopt_kunit_domain_init() - an empty domain
 * @test: it goes when this test ends
 * @kd: the domain
 * @pgsizes: bitmap of its leaf sizes
 * @base: first IOVA that can be mapped
 * @bytes: how many can be
 */
void iopt_kunit_domain_init(struct kunit *test, struct iopt_kunit_domain *kd,
			    unsigned long pgsizes, unsigned long base,
			    unsigned long bytes)
{
	memset(kd, 0, sizeof(*kd));
	kd->domain.type = IOMMU_DOMAIN_UNMANAGED;
	kd->domain.ops = &iopt_kunit_domain_ops;
	kd->domain.pgsize_bitmap = pgsizes;
	kd->domain.geometry.aperture_end = ULONG_MAX;
	kd->shift = __ffs(pgsizes);
	kd->base = base;
	kd->nr = bytes >> kd->shift;
	kd->phys = iopt_kunit_vzalloc(test, kd->nr * sizeof(*kd->phys));
	kd->leaf = iopt_kunit_vzalloc(test, kd->nr * sizeof(*kd->leaf));
}

/**
 * iopt_kunit_domain_mapped() - count what is mapped
 * @kd: the domain
 *
 * Return: how many granules are.
 */
unsigned long iopt_kunit_domain_mapped(const struct iopt_kunit_domain *kd)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < kd->nr; i++)
		n += kd->phys[i] != 0;
	return n;
}
