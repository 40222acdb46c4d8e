// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: floor of map and unmap
 *
 * Times what no implementation can avoid: to pin memory by one call, to map each
 * contiguous run of its pages by one iommu_map(), to unmap all of it by one
 * iommu_unmap(), and to unpin it run by run. For a benchmark, which writes the address and
 * length of its memory to the file iopt_floor in debugfs, and reads the times. The device
 * is QEMU's edu, which no other domain may be attached to.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/iommu.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* Above the ranges that PCs reserve */
#define FLOOR_IOVA	(4UL * SZ_1G)

/**
 * struct floor_memory - memory of the process that writes to the file
 * @addr: address
 * @length: length in bytes
 *
 * Both are page aligned.
 */
struct floor_memory {
	u64 addr;
	u64 length;
};

/**
 * struct floor_run - contiguous pages
 * @pfn: the first one
 * @npages: number of pages
 */
struct floor_run {
	unsigned long pfn;
	unsigned long npages;
};

/**
 * struct floor - a measurement
 * @pages: the pages of the memory
 * @npages: number of @pages
 * @npinned: number of @pages that are pinned
 * @runs: the runs of @pages
 * @nruns: number of @runs
 * @pin: nanoseconds to pin @pages
 * @map: nanoseconds to map @runs
 * @unmap: nanoseconds to unmap them
 * @unpin: nanoseconds to unpin them
 */
struct floor {
	struct page **pages;
	unsigned long npages;
	unsigned long npinned;
	struct floor_run *runs;
	unsigned long nruns;
	u64 pin;
	u64 map;
	u64 unmap;
	u64 unpin;
};

/* guards floor_text */
static DEFINE_MUTEX(floor_lock);
static char floor_text[128];

static int floor_pin(struct floor *f, unsigned long addr)
{
	u64 begin = ktime_get_ns();
	long got;

	while (f->npinned < f->npages) {
		got = pin_user_pages_fast(addr + f->npinned * PAGE_SIZE,
					  f->npages - f->npinned,
					  FOLL_LONGTERM | FOLL_WRITE,
					  f->pages + f->npinned);
		if (got <= 0)
			return got ?: -EFAULT;
		f->npinned += got;
	}
	f->pin = ktime_get_ns() - begin;
	return 0;
}

static void floor_find_runs(struct floor *f)
{
	struct floor_run *run = f->runs;

	for (unsigned long i = 0; i < f->npinned; i++) {
		unsigned long pfn = page_to_pfn(f->pages[i]);

		if (f->nruns && run->pfn + run->npages == pfn) {
			run->npages++;
			continue;
		}
		run = &f->runs[f->nruns++];
		run->pfn = pfn;
		run->npages = 1;
	}
}

static void floor_unpin(struct floor *f)
{
	u64 begin = ktime_get_ns();

	for (unsigned long i = 0; i < f->nruns; i++)
		unpin_user_page_range_dirty_lock(pfn_to_page(f->runs[i].pfn),
						 f->runs[i].npages, true);
	f->unpin = ktime_get_ns() - begin;
}

static int floor_map(struct floor *f, struct iommu_domain *domain)
{
	unsigned long iova = FLOOR_IOVA;
	u64 begin = ktime_get_ns();
	int rc = 0;

	for (unsigned long i = 0; i < f->nruns && !rc; i++) {
		rc = iommu_map(domain, iova, PFN_PHYS(f->runs[i].pfn),
			       f->runs[i].npages * PAGE_SIZE,
			       IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE,
			       GFP_KERNEL_ACCOUNT);
		if (!rc)
			iova += f->runs[i].npages * PAGE_SIZE;
	}
	f->map = ktime_get_ns() - begin;

	begin = ktime_get_ns();
	iommu_unmap(domain, FLOOR_IOVA, iova - FLOOR_IOVA);
	f->unmap = ktime_get_ns() - begin;
	return rc;
}

/* Measure with a domain that the device is attached to, as drivers flush only then. */
static int floor_attach_and_map(struct floor *f, struct device *dev)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(dev);
	int rc;

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	rc = iommu_attach_device(domain, dev);
	if (!rc) {
		rc = floor_map(f, domain);
		iommu_detach_device(domain, dev);
	}
	iommu_domain_free(domain);
	return rc;
}

static int floor_measure(struct floor *f, unsigned long addr)
{
	struct pci_dev *edu = pci_get_device(0x1234, 0x11e8, NULL);
	int rc;

	if (!edu)
		return -ENODEV;
	rc = floor_pin(f, addr);
	floor_find_runs(f);
	rc = rc ?: floor_attach_and_map(f, &edu->dev);
	floor_unpin(f);
	pci_dev_put(edu);
	return rc;
}

static ssize_t floor_write(struct file *file, const char __user *user,
			   size_t count, loff_t *pos)
{
	struct floor_memory memory;
	struct floor f = {};
	int rc = -ENOMEM;

	if (count != sizeof(memory))
		return -EINVAL;
	if (copy_from_user(&memory, user, sizeof(memory)))
		return -EFAULT;
	if (!memory.length || !PAGE_ALIGNED(memory.addr | memory.length) ||
	    memory.length > SZ_1G)
		return -EINVAL;

	f.npages = memory.length / PAGE_SIZE;
	f.pages = kvmalloc_array(f.npages, sizeof(*f.pages), GFP_KERNEL);
	f.runs = kvmalloc_array(f.npages, sizeof(*f.runs), GFP_KERNEL);
	if (f.pages && f.runs)
		rc = floor_measure(&f, memory.addr);
	kvfree(f.runs);
	kvfree(f.pages);
	if (rc)
		return rc;

	guard(mutex)(&floor_lock);
	snprintf(floor_text, sizeof(floor_text),
		 "pin %llu\nmap %llu\nunmap %llu\nunpin %llu\n", f.pin, f.map,
		 f.unmap, f.unpin);
	return count;
}

static ssize_t floor_read(struct file *file, char __user *user, size_t count,
			  loff_t *pos)
{
	guard(mutex)(&floor_lock);
	return simple_read_from_buffer(user, count, pos, floor_text,
				       strlen(floor_text));
}

static const struct file_operations floor_fops = {
	.owner = THIS_MODULE,
	.read = floor_read,
	.write = floor_write,
	.llseek = default_llseek,
};

static struct dentry *floor_file;

static int __init floor_init(void)
{
	floor_file = debugfs_create_file("iopt_floor", 0600, NULL, NULL,
					 &floor_fops);
	return PTR_ERR_OR_ZERO(floor_file);
}
module_init(floor_init);

static void __exit floor_exit(void)
{
	debugfs_remove(floor_file);
}
module_exit(floor_exit);

MODULE_DESCRIPTION("Floor of map and unmap, for benchmarks");
MODULE_LICENSE("GPL");
