// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: PFNMAP memory
 *
 * Memory of a process that is a device's: a BAR that is mapped by mmap(2) of
 * vfio-pci, for another device to read and write. There is nothing to pin, so
 * whoever maps it has to see to it that the device stays. Page frames are what
 * the process' page tables say when a domain is filled; an entry for a huge page
 * is one step.
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/align.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "pfn_reader.h"

/* No memory map has struct pages for a part of so much memory, aligned. */
#define PFNMAP_HOLE_PAGES	(SZ_2M / PAGE_SIZE)

/* Pages from an address to where its entry or the VMA ends, and the first PFN. */
static long pages_pfnmap_follow(struct mm_struct *mm, unsigned long addr,
				bool write, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .address = addr };
	unsigned int faults = 0;
	unsigned long end;
	bool unlocked;
	int rc;

	for (;;) {
		args.vma = vma_lookup(mm, addr);
		if (!args.vma || !(args.vma->vm_flags & VM_PFNMAP))
			return -EFAULT;
		if (!follow_pfnmap_start(&args)) {
			if (!write || args.writable)
				break;
			follow_pfnmap_end(&args);
		}
		/* A fault for what was not there, and one to make it writable. */
		if (faults == 2)
			return -EFAULT;
		unlocked = false;
		rc = fixup_user_fault(mm, addr,
				      FAULT_FLAG_REMOTE |
				      (write ? FAULT_FLAG_WRITE : 0),
				      &unlocked);
		if (rc)
			return rc;
		/* Without the lock anything may have happened: begin again. */
		faults = unlocked ? 0 : faults + 1;
	}
	end = min((addr | ~args.addr_mask) + 1, args.vma->vm_end);
	*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return (end - addr) / PAGE_SIZE;
}

/* Apart, so that a test can have entries that no process has. */
VISIBLE_IF_KUNIT long pages_pfnmap_lookup(struct iopt_pages *pages,
					  unsigned long addr,
					  unsigned long *pfn)
{
	KUNIT_STATIC_STUB_REDIRECT(pages_pfnmap_lookup, pages, addr, pfn);
	return pages_pfnmap_follow(pages->source_mm, addr, pages->writable,
				   pfn);
}

/*
 * How many page frames, from the first on, are a device's. Others, that the
 * kernel may give to somebody else, are not to be mapped without a pin.
 */
static unsigned long pages_pfnmap_count(unsigned long pfn, unsigned long npages)
{
	unsigned long end = pfn + npages, next = pfn;

	while (next < end) {
		if (!pfn_valid(next))
			next = min(ALIGN(next + 1, PFNMAP_HOLE_PAGES), end);
		else if (PageReserved(pfn_to_page(next)))
			next++;
		else
			break;
	}
	return next - pfn;
}

static long pages_pfnmap_read(struct iopt_pages *pages, struct pfn_batch *batch,
			      unsigned long index, unsigned long npages)
{
	unsigned long addr, pfn, n, done = 0;
	long got;

	addr = untagged_addr_remote(pages->source_mm,
				    pages->start + index * PAGE_SIZE);
	while (done < npages) {
		got = pages_pfnmap_lookup(pages, addr + done * PAGE_SIZE, &pfn);
		if (got < 0)
			return done ?: got;
		n = min(npages - done, (unsigned long)got);
		n = pages_pfnmap_count(pfn, n);
		if (!n)
			return done ?: -EFAULT;
		if (!pfn_batch_add(batch, pfn, n))
			break;
		done += n;
		cond_resched();
	}
	return done;
}

static long pages_pfnmap_pin(struct iopt_pages *pages,
			     struct pfn_pinner *pinner, struct pfn_batch *batch,
			     unsigned long index, unsigned long npages)
{
	struct mm_struct *mm = pages->source_mm;
	long got;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_read_lock(mm);
	got = pages_pfnmap_read(pages, batch, index, npages);
	mmap_read_unlock(mm);
	mmput(mm);
	return got;
}

/* The address is the only way. */
static int pages_pfnmap_rw(struct iopt_pages *pages, unsigned long start_byte,
			   void *data, unsigned long length, unsigned int flags)
{
	int rc = pages_user_rw(pages, start_byte, data, length, flags);

	return rc == -EOPNOTSUPP ? -EFAULT : rc;
}

static const struct iopt_pages_ops pages_pfnmap_ops = {
	.pfnmap = true,
	.pin = pages_pfnmap_pin,
	.rw = pages_pfnmap_rw,
};

/**
 * iopt_pages_alloc_pfnmap() - memory of a device in the current process
 * @uptr: first byte; the iopt_pages begin with its page
 * @length: bytes, at least 1
 * @writable: devices will write
 *
 * Return: an iopt_pages; what iopt_pages_alloc_user() gives.
 */
struct iopt_pages *iopt_pages_alloc_pfnmap(void __user *uptr,
					   unsigned long length, bool writable)
{
	struct iopt_pages *pages;

	pages = pages_user_alloc(&pages_pfnmap_ops, (unsigned long)uptr, length,
				 writable, IOPT_PAGES_ACCOUNT_NONE);
	/* A page frame tells nothing about the next one. */
	if (!IS_ERR(pages))
		pages->split_folios = true;
	return pages;
}

/**
 * iopt_pfnmap_stretch() - how far memory is of one kind
 * @uptr: first byte, of the current process
 * @length: bytes that somebody is interested in
 * @pfnmap: set to true where the memory is a PFNMAP, to false for any other kind
 *	or none at all
 *
 * Return: bytes of @length from @uptr on of which the same is true; all of a
 * range that no process can have.
 * Context: takes the mmap lock.
 */
unsigned long iopt_pfnmap_stretch(const void __user *uptr, unsigned long length,
				  bool *pfnmap)
{
	unsigned long start = (unsigned long)untagged_addr(uptr);
	unsigned long page = start & PAGE_MASK;
	unsigned long end = start + length;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long stop = end;
	struct vma_iterator vmi;

	*pfnmap = false;
	if (length > TASK_SIZE || start > TASK_SIZE - length)
		return length;
	vma_iter_init(&vmi, mm, page);
	mmap_read_lock(mm);
	for_each_vma_range(vmi, vma, end) {
		if (!*pfnmap && !(vma->vm_flags & VM_PFNMAP))
			continue;
		if (!*pfnmap && vma->vm_start > page) {
			stop = vma->vm_start;
			break;
		}
		if (*pfnmap && (!(vma->vm_flags & VM_PFNMAP) ||
				vma->vm_start != stop))
			break;
		*pfnmap = true;
		stop = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return min(stop, end) - start;
}
