// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of the engine
 *
 * The thread of a test case gets an mm of its own, whose memory the test maps and
 * pins. After each test case, no page may be left pinned or charged.
 *
 * struct iopt_kunit_domain is an IOMMU domain whose page table is an array with one
 * entry for each granule. It counts calls that hardware does not support: a map of
 * mapped granules, an unmap of unmapped granules or of a part of a leaf.
 */
#include <kunit/pins.h>
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "iopt.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

/**
 * iopt_kunit_check_pins() - compare the number of pins of the system
 * @expected: the expected number
 *
 * The exact count, which is slow, is taken only if a sum that is cheap differs from
 * @expected.
 *
 * Return: @expected if it is right, otherwise the number of pins.
 * Context: may sleep.
 */
long iopt_kunit_check_pins(long expected)
{
	return pins_sum() == expected ? expected : pins_count();
}

/**
 * iopt_kunit_expect_pins() - check the number of pages that a test has pinned
 * @test: the test; its priv begins with a struct iopt_kunit
 * @npages: expected number of pages
 */
void iopt_kunit_expect_pins(struct kunit *test, unsigned long npages)
{
	struct iopt_kunit *ik = test->priv;
	long pins = ik->pins + npages;

	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(pins), pins);
}

/**
 * iopt_kunit_init() - set up a test case; for &kunit_suite.init
 * @test: the test; its priv is set to a struct iopt_kunit
 *
 * Return: 0. An assertion of @test fails without memory.
 */
int iopt_kunit_init(struct kunit *test)
{
	struct iopt_kunit *ik = kunit_kzalloc(test, sizeof(*ik), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ik);
	/* kunit_vm_mmap() gives the thread an mm if it has none. */
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
 * iopt_kunit_exit() - check for leaked pins and charges; for &kunit_suite.exit
 * @test: the test; its priv begins with a struct iopt_kunit
 */
void iopt_kunit_exit(struct kunit *test)
{
	struct iopt_kunit *ik = test->priv;

	iopt_test_memory_limit = SZ_64K;
	if (!ik)
		return;
	iopt_kunit_expect_pins(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm),
			ik->user_locked);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ik->mm->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, ik->mm->locked_vm, 0);
	mmdrop(ik->mm);
}

KUNIT_DEFINE_ACTION_WRAPPER(iopt_kunit_vfree, vfree, const void *);

/**
 * iopt_kunit_vzalloc() - allocate zeroed memory for the time of a test
 * @test: the test; it frees the memory when it ends
 * @bytes: size of the memory
 *
 * Return: the memory. An assertion of @test fails without memory.
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
 * iopt_kunit_mmap() - mmap anonymous, private memory
 * @test: the test; the memory is mapped in the mm of its thread
 * @npages: length of the memory in pages
 *
 * Return: the address of the memory.
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

static int pfnmap_mmap(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = file->private_data;
	return 0;
}

static const struct file_operations pfnmap_fops = {
	.mmap = pfnmap_mmap,
};

/**
 * iopt_kunit_mmap_pfnmap() - map a file without struct pages, as the BAR of a device is
 * @test: the test, whose mm gets the mapping
 * @ops: operations of the VMA; @ops->fault inserts PFNs
 * @address: address of the mapping, which replaces others, or 0 for any
 * @pgoff: first page of the file
 * @npages: number of pages
 * @prot: PROT_* flags
 *
 * Return: the address.
 * Context: may sleep.
 */
unsigned long iopt_kunit_mmap_pfnmap(struct kunit *test,
				     const struct vm_operations_struct *ops,
				     unsigned long address, unsigned long pgoff,
				     unsigned long npages, int prot)
{
	struct file *file;

	file = anon_inode_getfile("iommufd-kunit", &pfnmap_fops, (void *)ops,
				  O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	address = kunit_vm_mmap(test, file, address, npages * PAGE_SIZE, prot,
				MAP_SHARED | (address ? MAP_FIXED : 0),
				pgoff * PAGE_SIZE);
	fput(file);
	KUNIT_ASSERT_NE(test, address, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(address));
	return address;
}

/**
 * iopt_kunit_pfn() - look up the page frame that is mapped at an address
 * @test: the test
 * @address: address in the mm of the test; the page is faulted in for writing
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
 * iopt_kunit_map() - map memory of the test for reading and writing
 * @iopt: the IOVA space
 * @iova: first IOVA
 * @address: address of the memory in the mm of the test
 * @length: length in bytes
 * @mode: counter that pages are charged to
 *
 * Return: what iopt_map_user_pages() returns.
 */
int iopt_kunit_map(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long address, unsigned long length,
		   enum iopt_account_mode mode)
{
	struct iopt_map map = {
		.iova = iova,
		.length = length,
		.prot = IOMMU_READ | IOMMU_WRITE,
		.account_mode = mode,
	};

	return iopt_map_user_pages(iopt, &map, (void __user *)address);
}

/**
 * iopt_kunit_allow() - allow one range of IOVAs, and no other
 * @test: the test
 * @iopt: the IOVA space
 * @start: first IOVA of the range
 * @last: last IOVA of the range
 */
void iopt_kunit_allow(struct kunit *test, struct io_pagetable *iopt,
		      unsigned long start, unsigned long last)
{
	struct iopt_allowed *allowed = kzalloc(sizeof(*allowed), GFP_KERNEL);
	struct rb_root_cached tree = RB_ROOT_CACHED;

	KUNIT_ASSERT_NOT_NULL(test, allowed);
	allowed->node.start = start;
	allowed->node.last = last;
	interval_tree_insert(&allowed->node, &tree);
	KUNIT_ASSERT_EQ(test, iopt_set_allow_iova(iopt, &tree), 0);
	/* iopt_set_allow_iova() leaves the previous ranges in the tree. */
	iopt_free_allowed(&tree);
}

/**
 * iopt_kunit_drop_ipc_lock() - drop CAP_IPC_LOCK of the test's thread
 * @test: the test; it is skipped if the kernel cannot drop capabilities
 *
 * The thread is without the capability until it ends, that is, until the test case
 * ends.
 */
void iopt_kunit_drop_ipc_lock(struct kunit *test)
{
	struct cred *cred;

	if (!IS_ENABLED(CONFIG_MULTIUSER))
		kunit_skip(test, "no capabilities without CONFIG_MULTIUSER");
	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	commit_creds(cred);
}

/**
 * iopt_kunit_access_get() - &iopt_access_ops.get of an access that always exists
 * @access: the access
 *
 * Return: true.
 */
bool iopt_kunit_access_get(struct iopt_access *access)
{
	return true;
}

/**
 * iopt_kunit_access_put() - undo iopt_kunit_access_get()
 * @access: the access
 */
void iopt_kunit_access_put(struct iopt_access *access)
{
}

/**
 * iopt_kunit_pages() - allocate an iopt_pages without memory
 * @test: the test
 * @npages: its length in pages
 *
 * Return: the iopt_pages, with one reference; it has no pin operation.
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
		kd->misuses++;
		return -EINVAL;
	}
	if (fail)
		pgcount /= 2;
	*mapped = pgsize * pgcount;
	for (size_t n = 0; n < *mapped >> kd->shift; n++) {
		size_t offset = n << kd->shift;

		kd->misuses += kd->phys[granule + n] != 0;
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
		kd->misuses++;
		return 0;
	}
	for (unsigned long i = granule; i < granule + n; i++) {
		if (kd->leaf[i])
			leaf_end = i + (BIT(kd->leaf[i]) >> kd->shift);
		kd->misuses += !kd->phys[i] || i >= leaf_end;
		kd->phys[i] = 0;
		kd->leaf[i] = 0;
	}
	/* Hardware cannot unmap a part of a leaf: unmap the last leaf as a whole. */
	kd->misuses += leaf_end > granule + n;
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
 * iopt_kunit_domain_init() - initialise an empty domain
 * @test: the test; it frees the page table when it ends
 * @kd: the domain
 * @pgsizes: bitmap of its leaf sizes
 * @base: first IOVA that it can map
 * @bytes: number of IOVAs that it can map
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
 * iopt_kunit_domain_mapped() - count the mapped granules of a domain
 * @kd: the domain
 *
 * Return: the number of mapped granules.
 */
unsigned long iopt_kunit_domain_mapped(const struct iopt_kunit_domain *kd)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < kd->nr; i++)
		n += kd->phys[i] != 0;
	return n;
}

/**
 * iopt_kunit_domain_check() - check the size of a page table and its use
 * @test: the test
 * @kd: the domain
 * @mapped: expected number of mapped granules
 */
void iopt_kunit_domain_check(struct kunit *test,
			     const struct iopt_kunit_domain *kd,
			     unsigned long mapped)
{
	KUNIT_EXPECT_EQ(test, iopt_kunit_domain_mapped(kd), mapped);
	KUNIT_EXPECT_EQ(test, kd->misuses, 0);
}
