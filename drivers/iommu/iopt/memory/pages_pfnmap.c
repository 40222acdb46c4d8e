// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: PFNMAP memory
 *
 * Device memory that a process has mapped: a BAR, by mmap(2) of vfio-pci, for another
 * device to read and write. It cannot be pinned. Domains map it for as long as the
 * process does: see "lifetime of PFNMAP memory". When a domain is filled, the page
 * frames are read from the page tables of the process, one entry of the page tables,
 * of any size, at a time.
 */
#include <linux/mm.h>

#include "memory/iopt_pages.h"
#include "memory/pages_pfnmap.h"

/* Copy by user address only: there is no &iopt_pages_ops.rw_page to fall back to. */
static int pages_pfnmap_rw(struct iopt_pages *pages, unsigned long start_byte,
			   void *data, unsigned long length, unsigned int flags)
{
	int rc = pages_user_rw(pages, start_byte, data, length, flags);

	return rc == -EOPNOTSUPP ? -EFAULT : rc;
}

static void pages_pfnmap_release(struct iopt_pages *pages)
{
	iopt_pfnmap_free(pages->pfnmap);
}

static const struct iopt_pages_ops pages_pfnmap_ops = {
	.pfnmap = true,
	.rw = pages_pfnmap_rw,
	.release = pages_pfnmap_release,
};

/**
 * iopt_pages_alloc_pfnmap() - allocate an iopt_pages for PFNMAP memory
 * @uptr: address of the first byte, in the current process; the iopt_pages begins with
 *	its page
 * @length: length in bytes
 * @writable: areas may map the memory for writing
 *
 * Return: an iopt_pages, or an ERR_PTR() as iopt_pages_alloc_user() and
 * iopt_pfnmap_alloc().
 * Context: takes the mmap lock for writing; may sleep.
 */
struct iopt_pages *iopt_pages_alloc_pfnmap(void __user *uptr,
					   unsigned long length, bool writable)
{
	struct iopt_pfnmap *pfnmap;
	struct iopt_pages *pages;

	pages = pages_user_alloc(&pages_pfnmap_ops, (unsigned long)uptr, length,
				 writable, IOPT_PAGES_ACCOUNT_NONE);
	if (IS_ERR(pages))
		return pages;
	pfnmap = iopt_pfnmap_alloc(pages->start, pages->npages);
	if (IS_ERR(pfnmap)) {
		iopt_pages_put(pages);
		return ERR_CAST(pfnmap);
	}
	pages->pfnmap = pfnmap;
	return pages;
}

/**
 * iopt_pfnmap_range_length() - find the length of a range with or without PFNMAP memory
 * @uptr: address of the first byte, in the current process
 * @length: length of the memory to check, in bytes
 * @pfnmap: set to whether the memory at @uptr is a PFNMAP; false if there is no memory
 *
 * Return: the number of bytes from @uptr on for which @pfnmap holds, at most @length; of
 * a PFNMAP not beyond the end of its VMA. If the range exceeds TASK_SIZE, @length, with
 * @pfnmap false.
 * Context: takes the mmap lock for reading.
 */
unsigned long iopt_pfnmap_range_length(const void __user *uptr,
				       unsigned long length, bool *pfnmap)
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
		if (!(vma->vm_flags & VM_PFNMAP))
			continue;
		/* One VMA per range: the process may lose one VMA and keep the next. */
		*pfnmap = vma->vm_start <= page;
		stop = *pfnmap ? vma->vm_end : vma->vm_start;
		break;
	}
	mmap_read_unlock(mm);
	return min(stop, end) - start;
}
