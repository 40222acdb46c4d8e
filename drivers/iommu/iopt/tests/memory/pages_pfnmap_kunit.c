// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of PFNMAP memory. The test maps a file that behaves like the BAR of a device,
 * whose page frames do not exist or are reserved; some tests replace the lookup of page
 * table entries by bar_lookup(), which returns entries of any size. The tests compare
 * page tables with the expected PFNs. PFNMAP memory must not be pinned or charged.
 */
#include <kunit/static_stub.h>
#include <linux/gfp.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "memory/pfnmap_cursor.h"
#include "space/iopt_area.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

#define BAR_IOVA	SZ_1G
#define BAR_PAGES	24UL
/* 252 GiB: above the RAM of any machine that runs the tests. */
#define BAR_PFN		0x3f00000UL
#define RW		(IOMMU_READ | IOMMU_WRITE)

/**
 * struct bar_fake - the device
 * @pfn: PFN of the first page of the file
 * @faults: number of pages that were faulted in
 * @fail: the page of the file whose fault fails
 * @address: address of the first entry of bar_lookup()
 * @entry: pages that each entry of bar_lookup() maps
 * @skip: page frames between the last page of an entry and the first of the next one
 * @stop: the page that bar_lookup() has no entry for
 * @rc: error of bar_lookup() for @stop
 * @lookups: number of calls of bar_lookup()
 * @zap: the call of bar_lookup(), counting from 1, after which the process loses the page
 *	at @address; UINT_MAX for every call
 */
static struct bar_fake {
	unsigned long pfn;
	unsigned int faults;
	unsigned long fail;
	unsigned long address;
	unsigned long entry;
	unsigned long skip;
	unsigned long stop;
	int rc;
	unsigned int lookups;
	unsigned int zap;
} bar;

static vm_fault_t bar_fault(struct vm_fault *vmf)
{
	bar.faults++;
	if (vmf->pgoff == bar.fail)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vmf->vma, vmf->address, bar.pfn + vmf->pgoff);
}

static const struct vm_operations_struct bar_vm_ops = {
	.fault = bar_fault,
};

/* Map pages of the file in the test's mm, at @address if it is not 0. */
static unsigned long bar_map(struct kunit *test, unsigned long address,
			     unsigned long pgoff, unsigned long npages, int prot)
{
	return iopt_kunit_mmap_pfnmap(test, &bar_vm_ops, address, pgoff, npages,
				      prot);
}

/* Return the PFN of a page that bar_lookup() returns. */
static unsigned long bar_entry_pfn(unsigned long index)
{
	return bar.pfn + index + index / bar.entry * bar.skip;
}

static long bar_lookup(struct iopt_pages *pages, unsigned long addr,
		       unsigned long *pfn)
{
	unsigned long index = (addr - bar.address) / PAGE_SIZE;

	bar.lookups++;
	if (bar.stop / bar.entry == index / bar.entry)
		return bar.rc;
	*pfn = bar_entry_pfn(index);
	/* Remove the entry but not the VMA, as vfio-pci does before a reset. */
	if (bar.lookups == bar.zap || bar.zap == UINT_MAX)
		zap_vma_ptes(vma_lookup(current->mm, bar.address), bar.address,
			     PAGE_SIZE);
	return bar.entry - index % bar.entry;
}

/**
 * struct bar_run - an IOVA space and domains
 * @test: the test
 * @iopt: the IOVA space
 * @kd: the domains; bar_begin() attaches the first one
 */
struct bar_run {
	struct kunit *test;
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd[2];
};

static struct bar_run *bar_begin(struct kunit *test, unsigned long bytes)
{
	struct bar_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	memset(&bar, 0, sizeof(bar));
	bar.pfn = BAR_PFN;
	bar.fail = ULONG_MAX;
	bar.stop = ULONG_MAX;
	bar.entry = 1;
	run->test = test;
	iopt_init_table(&run->iopt);
	for (unsigned int i = 0; i < ARRAY_SIZE(run->kd); i++)
		iopt_kunit_domain_init(test, &run->kd[i],
				       SZ_4K | SZ_2M | SZ_1G, BAR_IOVA, bytes);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd[0].domain));
	return run;
}

static void bar_end(struct bar_run *run, unsigned int domain)
{
	KUNIT_EXPECT_EQ(run->test, 0, iopt_unmap_all(&run->iopt, NULL));
	for (unsigned int i = 0; i < ARRAY_SIZE(run->kd); i++)
		iopt_kunit_domain_check(run->test, &run->kd[i], 0);
	iopt_table_remove_domain(&run->iopt, &run->kd[domain].domain);
	iopt_destroy_table(&run->iopt);
}

static int bar_try_map(struct bar_run *run, unsigned long address,
		       unsigned long npages, int prot)
{
	struct iopt_map map = {
		.iova = BAR_IOVA,
		.length = npages * PAGE_SIZE,
		.prot = prot,
		.flags = IOPT_PFNMAP,
		.account_mode = IOPT_PAGES_ACCOUNT_TYPE1,
	};

	return iopt_map_user_pages(&run->iopt, &map, (void __user *)address);
}

/* Check that a page of a domain is mapped to @pfn, or is unmapped if @pfn is 0. */
static void bar_check_page(struct bar_run *run, unsigned int domain,
			   unsigned long index, unsigned long pfn)
{
	u64 phys = pfn ? PFN_PHYS(pfn) | IOPT_KUNIT_MAPPED : 0;

	KUNIT_EXPECT_EQ_MSG(run->test,
			    run->kd[domain].phys[index * PAGE_SIZE / SZ_4K],
			    phys, "domain %u, page %lu", domain, index);
}

/* Check that @npages are pinned, accounted and charged. */
static void bar_check_pins(struct bar_run *run, unsigned long npages)
{
	struct iopt_kunit *ik = run->test->priv;

	iopt_kunit_expect_pins(run->test, npages);
	KUNIT_EXPECT_EQ(run->test, atomic64_read(&ik->mm->pinned_vm), npages);
	KUNIT_EXPECT_EQ(run->test, ik->mm->locked_vm, npages);
}

/* Bug: a PFNMAP that the process had not yet accessed was mapped to wrong PFNs. */
static void map_of_untouched_bar_faults_pages_in(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	unsigned long address = bar_map(test, 0, 3, BAR_PAGES,
					PROT_READ | PROT_WRITE);

	KUNIT_EXPECT_EQ(test, 0, bar_try_map(run, address, BAR_PAGES, RW));
	KUNIT_EXPECT_EQ(test, bar.faults, BAR_PAGES);
	for (unsigned long i = 0; i < BAR_PAGES; i++)
		bar_check_page(run, 0, i, BAR_PFN + 3 + i);
	bar_check_pins(run, 0);

	/* A second domain is filled from the first one, without faults. */
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd[1].domain));
	KUNIT_EXPECT_EQ(test, bar.faults, BAR_PAGES);
	for (unsigned long i = 0; i < BAR_PAGES; i++)
		bar_check_page(run, 1, i, BAR_PFN + 3 + i);
	iopt_table_remove_domain(&run->iopt, &run->kd[0].domain);
	KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd[0]));

	/* Unmap works without the page tables of the process, and reads no domain. */
	run->kd[1].lookups = 0;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(address, BAR_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd[1]));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&run->iopt, NULL));
	KUNIT_EXPECT_EQ(test, run->kd[1].lookups, 0);
	bar_end(run, 1);
}

/**
 * struct bar_case - a map, most of which fail
 * @name: name of the test parameter
 * @prot: protection of the VMA
 * @iommu_prot: protection of the area
 * @fail: the page whose fault fails
 * @ram: the page frames are RAM that is not reserved
 * @rc: expected result
 */
struct bar_case {
	const char *name;
	int prot;
	int iommu_prot;
	unsigned long fail;
	bool ram;
	int rc;
};

static const struct bar_case bar_cases[] = {
	{ "read only, read", PROT_READ, IOMMU_READ, ULONG_MAX, false, 0 },
	{ "read only, written", PROT_READ, RW, ULONG_MAX, false, -EFAULT },
	{ "no access", PROT_NONE, IOMMU_READ, ULONG_MAX, false, -EFAULT },
	{ "no first page", PROT_READ, IOMMU_READ, 0, false, -EFAULT },
	{ "no last page", PROT_READ, IOMMU_READ, BAR_PAGES - 1, false, -EFAULT },
	{ "RAM", PROT_READ | PROT_WRITE, RW, ULONG_MAX, true,
	  -EFAULT },
};

KUNIT_ARRAY_PARAM_DESC(bar, bar_cases, name);

static void map_of_inaccessible_bar_fails(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	const struct bar_case *c = test->param_value;
	struct page *ram = alloc_page(GFP_KERNEL);
	unsigned long address;

	KUNIT_ASSERT_NOT_NULL(test, ram);
	bar.fail = c->fail;
	if (c->ram)
		bar.pfn = page_to_pfn(ram);
	address = bar_map(test, 0, 0, BAR_PAGES, c->prot);
	KUNIT_EXPECT_EQ(test, c->rc,
			bar_try_map(run, address, BAR_PAGES, c->iommu_prot));
	if (c->rc)
		KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd[0]));
	bar_check_pins(run, 0);
	bar_end(run, 0);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(address, BAR_PAGES * PAGE_SIZE));
	__free_page(ram);
}

/**
 * struct bar_huge - large page table entries of a process
 * @name: name of the test parameter
 * @npages: length of the area in pages
 * @entry: pages that an entry maps
 * @skip: page frames between the last page of an entry and the first of the next one
 * @lookups: expected number of lookups
 * @leaf: expected log2 of the size of the first leaf of the domain
 */
struct bar_huge {
	const char *name;
	unsigned long npages;
	unsigned long entry;
	unsigned long skip;
	unsigned int lookups;
	u8 leaf;
};

#define HUGE_PAGES	(SZ_1G / PAGE_SIZE)
#define BIG_PAGES	(SZ_2M / PAGE_SIZE)

static const struct bar_huge bar_huges[] = {
	{ "1 GiB", HUGE_PAGES, HUGE_PAGES, 0, 1, 30 },
	{ "2 MiB", HUGE_PAGES, BIG_PAGES, 0, 512, 30 },
	{ "2 MiB, not contiguous", HUGE_PAGES, BIG_PAGES, BIG_PAGES, 512, 21 },
	{ "pages", 2 * BIG_PAGES, 1, 0, 2 * BIG_PAGES, 21 },
	{ "pages, not contiguous", BIG_PAGES, 1, 1, BIG_PAGES, 12 },
	{ "a part of 1 GiB", 5, HUGE_PAGES, 0, 1, 12 },
};

KUNIT_ARRAY_PARAM_DESC(bar_huge, bar_huges, name);

static void map_of_large_entries_uses_large_leaves(struct kunit *test)
{
	const struct bar_huge *c = test->param_value;
	struct bar_run *run = bar_begin(test, SZ_1G);
	unsigned long address;

	address = ALIGN(bar_map(test, 0, 0, 2 * HUGE_PAGES, PROT_READ), SZ_1G);
	kunit_activate_static_stub(test, pages_pfnmap_lookup, bar_lookup);
	bar.address = address;
	bar.entry = c->entry;
	bar.skip = c->skip;
	KUNIT_ASSERT_EQ(test, 0, bar_try_map(run, address, c->npages, RW));
	KUNIT_EXPECT_EQ(test, bar.lookups, c->lookups);
	KUNIT_EXPECT_EQ(test, run->kd[0].leaf[0], c->leaf);
	for (unsigned long i = 0; i < c->npages; i += 5)
		bar_check_page(run, 0, i, bar_entry_pfn(i));
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(&run->kd[0]),
			c->npages * PAGE_SIZE / SZ_4K);
	bar_check_pins(run, 0);
	run->kd[0].lookups = 0;
	bar_end(run, 0);
	KUNIT_EXPECT_EQ(test, run->kd[0].lookups, 0);
}

/* The missing entry is any page, entries have any size, batches have any room. */
static void map_fails_at_any_missing_entry(struct kunit *test)
{
	static const size_t limits[] = { 1, 16, 48, SZ_64K };
	struct bar_run *run = bar_begin(test, SZ_1M);
	int rc;

	bar.address = bar_map(test, 0, 0, BAR_PAGES, PROT_READ);
	kunit_activate_static_stub(test, pages_pfnmap_lookup, bar_lookup);
	bar.rc = -ENOTBLK;
	for (unsigned int i = 0; i < ARRAY_SIZE(limits); i++) {
		for (unsigned long stop = 0; stop <= BAR_PAGES; stop++) {
			iopt_test_memory_limit = limits[i];
			bar.stop = stop;
			bar.entry = 1 + stop % 4;
			bar.skip = stop % 3;
			rc = bar_try_map(run, bar.address, BAR_PAGES, RW);
			KUNIT_EXPECT_EQ(test, rc,
					stop < BAR_PAGES ? bar.rc : 0);
			for (unsigned long n = 0; n < BAR_PAGES && !rc; n++)
				bar_check_page(run, 0, n, bar_entry_pfn(n));
			bar_check_pins(run, 0);
			KUNIT_EXPECT_EQ(test, 0,
					iopt_unmap_all(&run->iopt, NULL));
			KUNIT_EXPECT_EQ(test, 0,
					iopt_kunit_domain_mapped(&run->kd[0]));
		}
	}
	bar_end(run, 0);
}

/* A range of RAM, two VMAs of BARs, and RAM becomes four areas. */
static void map_of_ram_and_bars_pins_ram_only(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	unsigned long address = iopt_kunit_mmap(test, BAR_PAGES), n = 0;
	unsigned long page = address + 4 * PAGE_SIZE;
	struct iopt_map map = {
		.iova = BAR_IOVA,
		.length = BAR_PAGES * PAGE_SIZE,
		.prot = RW,
		.account_mode = IOPT_PAGES_ACCOUNT_TYPE1,
	};
	struct page *out[6];
	struct iopt_area *area;

	bar_map(test, page, 7, 5, PROT_READ | PROT_WRITE);
	bar_map(test, page + 5 * PAGE_SIZE, 1, 3, PROT_READ | PROT_WRITE);

	/* Without IOPT_PFNMAP, the map fails. */
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iopt_map_user_pages(&run->iopt, &map,
					    (void __user *)address));
	bar_check_pins(run, 0);

	KUNIT_ASSERT_EQ(test, 0, bar_try_map(run, address, BAR_PAGES, RW));
	bar_check_pins(run, BAR_PAGES - 8);
	for (unsigned long i = 0; i < BAR_PAGES; i++) {
		unsigned long pfn = i < 4 || i >= 12 ?
			iopt_kunit_pfn(test, address + i * PAGE_SIZE) :
			bar.pfn + (i < 9 ? 7 + i - 4 : 1 + i - 9);

		bar_check_page(run, 0, i, pfn);
	}
	down_read(&run->iopt.iova_rwsem);
	iopt_for_each_area(area, &run->iopt, 0, ULONG_MAX)
		n++;
	up_read(&run->iopt.iova_rwsem);
	KUNIT_EXPECT_EQ(test, n, 4);

	/* An access can pin neither a BAR nor a range that begins in RAM in front of it. */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_pin_pages(&run->iopt, NULL, BAR_IOVA + 5 * PAGE_SIZE,
				       PAGE_SIZE, out, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iopt_pin_pages(&run->iopt, NULL, BAR_IOVA + 2 * PAGE_SIZE,
				       4 * PAGE_SIZE, out, 0));
	bar_check_pins(run, BAR_PAGES - 8);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&run->iopt, NULL));
	bar_check_pins(run, 0);

	/* With a hole in the memory, the map fails. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(page, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			bar_try_map(run, address, BAR_PAGES, RW));
	bar_check_pins(run, 0);
	bar_end(run, 0);
}

/* If the process loses one page, the whole area is unmapped from every domain. */
static void lost_page_unmaps_all_in_every_domain(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	unsigned long unmapped, length = BAR_PAGES * PAGE_SIZE;
	unsigned long address = bar_map(test, 0, 0, BAR_PAGES,
					PROT_READ | PROT_WRITE);

	KUNIT_ASSERT_EQ(test, 0, bar_try_map(run, address, BAR_PAGES, RW));
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd[1].domain));
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(address + 7 * PAGE_SIZE, PAGE_SIZE));
	for (unsigned int i = 0; i < ARRAY_SIZE(run->kd); i++)
		KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd[i]));

	/* A domain that is attached later does not map the area. */
	iopt_table_remove_domain(&run->iopt, &run->kd[1].domain);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd[1].domain));
	KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd[1]));
	iopt_table_remove_domain(&run->iopt, &run->kd[1].domain);

	/* The area keeps its IOVAs until it is unmapped. */
	KUNIT_EXPECT_EQ(test, -EEXIST,
			bar_try_map(run, address, BAR_PAGES, RW));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&run->iopt, BAR_IOVA, length,
					&unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, length);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			bar_try_map(run, address, BAR_PAGES, RW));
	KUNIT_EXPECT_EQ(test, 0, bar_try_map(run, address, 7, RW));
	bar_check_pins(run, 0);
	bar_end(run, 0);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(address, length));
}

/*
 * The process loses the first page between two lookups. If the page is not published yet,
 * it is looked up again; otherwise the area is unmapped from the domain.
 */
static void page_lost_before_publishing_is_looked_up_again(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	unsigned long mapped, unmapped;

	bar.address = bar_map(test, 0, 0, BAR_PAGES, PROT_READ);
	kunit_activate_static_stub(test, pages_pfnmap_lookup, bar_lookup);
	bar.entry = 4;
	for (bar.skip = 0; bar.skip < 2; bar.skip++) {
		for (bar.zap = 1; bar.zap <= BAR_PAGES / bar.entry;
		     bar.zap++) {
			/* A run is published when the next one is found. */
			bool ends = bar.skip && bar.zap > 2;

			bar.lookups = 0;
			KUNIT_EXPECT_EQ(test, 0,
					bar_try_map(run, bar.address, BAR_PAGES,
						    RW));
			mapped = iopt_kunit_domain_mapped(&run->kd[0]);
			KUNIT_EXPECT_EQ_MSG(test, mapped, ends ? 0 : BAR_PAGES,
					    "skip %lu, lookup %u", bar.skip,
					    bar.zap);
			for (unsigned long i = 0; i < BAR_PAGES && mapped; i++)
				bar_check_page(run, 0, i, bar_entry_pfn(i));
			KUNIT_EXPECT_EQ(test, 0,
					iopt_unmap_all(&run->iopt, &unmapped));
			KUNIT_EXPECT_EQ(test, unmapped, BAR_PAGES * PAGE_SIZE);
		}
	}
	bar_end(run, 0);
}

/* The number of repeated lookups is limited, so that the map ends. */
static void map_fails_if_each_lookup_loses_a_page(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);

	bar.address = bar_map(test, 0, 0, BAR_PAGES, PROT_READ);
	kunit_activate_static_stub(test, pages_pfnmap_lookup, bar_lookup);
	bar.entry = BAR_PAGES;
	bar.zap = UINT_MAX;
	KUNIT_EXPECT_EQ(test, -EFAULT,
			bar_try_map(run, bar.address, BAR_PAGES, RW));
	KUNIT_EXPECT_EQ(test, bar.lookups, 10);
	KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd[0]));
	bar_end(run, 0);
}

/* The map of either domain fails at any call of map_pages. */
static void map_is_undone_if_driver_fails(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);

	bar.address = bar_map(test, 0, 0, BAR_PAGES, PROT_READ);
	kunit_activate_static_stub(test, pages_pfnmap_lookup, bar_lookup);
	bar.entry = 4;
	bar.skip = 3;
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd[1].domain));
	for (unsigned int i = 0; i < ARRAY_SIZE(run->kd); i++) {
		for (unsigned int n = 1; n <= BAR_PAGES / bar.entry; n++) {
			run->kd[i].maps = 0;
			run->kd[i].fail = n;
			KUNIT_EXPECT_EQ(test, IOPT_KUNIT_ERRNO,
					bar_try_map(run, bar.address, BAR_PAGES,
						    RW));
			for (unsigned int j = 0; j < ARRAY_SIZE(run->kd); j++)
				KUNIT_EXPECT_EQ(test, 0,
						iopt_kunit_domain_mapped(&run->kd[j]));
		}
		run->kd[i].fail = 0;
	}
	KUNIT_EXPECT_EQ(test, 0, bar_try_map(run, bar.address, BAR_PAGES, RW));
	iopt_table_remove_domain(&run->iopt, &run->kd[1].domain);
	bar_end(run, 0);
}

/* PFNMAP memory cannot be copied, not even within its IOVA space. */
static void copy_of_bar_fails(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	unsigned long address = bar_map(test, 0, 0, BAR_PAGES,
					PROT_READ | PROT_WRITE);
	struct iopt_map map = {
		.iova = BAR_IOVA + SZ_512K,
		.length = PAGE_SIZE,
		.prot = IOMMU_READ,
	};

	KUNIT_ASSERT_EQ(test, 0, bar_try_map(run, address, BAR_PAGES, RW));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iopt_copy_iova(&run->iopt, &map, &run->iopt, BAR_IOVA));
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(&run->kd[0]), BAR_PAGES);
	bar_end(run, 0);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(address, BAR_PAGES * PAGE_SIZE));
}

/* The engine treats reserved pages of RAM like the memory of a device. */
static void rw_of_bar_uses_address_of_process(struct kunit *test)
{
	struct bar_run *run = bar_begin(test, SZ_1M);
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	unsigned long address;
	char data[] = "0123456789", back[sizeof(data)];

	KUNIT_ASSERT_NOT_NULL(test, page);
	SetPageReserved(page);
	bar.pfn = page_to_pfn(page);
	address = bar_map(test, 0, 0, 1, PROT_READ | PROT_WRITE);
	KUNIT_EXPECT_EQ(test, 0, bar_try_map(run, address, 1, RW));
	bar_check_page(run, 0, 0, bar.pfn);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_rw(&run->iopt, BAR_IOVA + 100, data, sizeof(data),
				IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_EXPECT_MEMEQ(test, page_address(page) + 100, data, sizeof(data));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_rw(&run->iopt, BAR_IOVA + 100, back, sizeof(back),
				0));
	KUNIT_EXPECT_MEMEQ(test, back, data, sizeof(data));
	/* iopt_rw() copies by the user address only, as the pages cannot be pinned. */
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iopt_rw(&run->iopt, BAR_IOVA, back, sizeof(back),
				__IOMMUFD_ACCESS_RW_SLOW_PATH));
	bar_check_pins(run, 0);
	bar_end(run, 0);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(address, PAGE_SIZE));
	ClearPageReserved(page);
	__free_page(page);
}

static struct kunit_case bar_kunit_cases[] = {
	KUNIT_CASE(map_of_untouched_bar_faults_pages_in),
	KUNIT_CASE_PARAM(map_of_inaccessible_bar_fails, bar_gen_params),
	KUNIT_CASE_PARAM(map_of_large_entries_uses_large_leaves, bar_huge_gen_params),
	KUNIT_CASE(map_fails_at_any_missing_entry),
	KUNIT_CASE(map_of_ram_and_bars_pins_ram_only),
	KUNIT_CASE(lost_page_unmaps_all_in_every_domain),
	KUNIT_CASE(page_lost_before_publishing_is_looked_up_again),
	KUNIT_CASE(map_fails_if_each_lookup_loses_a_page),
	KUNIT_CASE(map_is_undone_if_driver_fails),
	KUNIT_CASE(copy_of_bar_fails),
	KUNIT_CASE(rw_of_bar_uses_address_of_process),
	{}
};

static struct kunit_suite bar_suite = {
	.name = "iommufd_pages_pfnmap",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = bar_kunit_cases,
};

kunit_test_suite(bar_suite);
