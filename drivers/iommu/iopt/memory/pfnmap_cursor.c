// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: PFNs of PFNMAP memory
 *
 * The page frames of a PFNMAP are those that the page tables of the process map. A
 * cursor walks over them. It takes one step for an entry of any size, also for a huge
 * page.
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/align.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "memory/iopt_pages.h"
#include "memory/pfnmap_cursor.h"

/*
 * The memory map has struct pages for all page frames of such an aligned block, or for
 * none of them.
 */
#define PFNMAP_HOLE_PAGES	(SZ_2M / PAGE_SIZE)

/*
 * Look up the PFN at an address. Return: the number of contiguous pages from @addr to the
 * end of its page table entry or VMA, or a negative errno.
 */
static long pages_pfnmap_follow(struct mm_struct *mm, unsigned long addr,
				bool write, unsigned long *pfn)
{
	struct follow_pfnmap_args args = {};
	unsigned int faults = 0;
	unsigned long end;
	bool unlocked;
	int rc;

	addr = untagged_addr_remote(mm, addr);
	args.address = addr;
	for (;;) {
		args.vma = vma_lookup(mm, addr);
		if (!args.vma || !(args.vma->vm_flags & VM_PFNMAP))
			return -EFAULT;
		if (!follow_pfnmap_start(&args)) {
			if (!write || args.writable)
				break;
			follow_pfnmap_end(&args);
		}
		/* One fault makes the page present, a second one makes it writable. */
		if (faults == 2)
			return -EFAULT;
		unlocked = false;
		rc = fixup_user_fault(mm, addr,
				      FAULT_FLAG_REMOTE |
				      (write ? FAULT_FLAG_WRITE : 0),
				      &unlocked);
		if (rc)
			return rc;
		/* If the mmap lock was dropped, the VMA may have changed: start over. */
		faults = unlocked ? 0 : faults + 1;
	}
	end = min((addr | ~args.addr_mask) + 1, args.vma->vm_end);
	*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return (end - addr) / PAGE_SIZE;
}

/* A separate function, so that a test can return entries that no process has. */
VISIBLE_IF_KUNIT long pages_pfnmap_lookup(struct iopt_pages *pages,
					  unsigned long addr,
					  unsigned long *pfn)
{
	KUNIT_STATIC_STUB_REDIRECT(pages_pfnmap_lookup, pages, addr, pfn);
	return pages_pfnmap_follow(pages->source_mm, addr, pages->writable,
				   pfn);
}

/*
 * Return: the number of page frames, from @pfn on, that belong to a device. Other page
 * frames must not be mapped without a pin: the kernel may reuse them.
 */
static unsigned long pages_pfnmap_count_device(unsigned long pfn,
					       unsigned long npages)
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

/**
 * pfnmap_cursor_init() - start a walk
 * @cursor: the cursor
 * @pages: the memory
 * @index: first page index
 */
void pfnmap_cursor_init(struct pfnmap_cursor *cursor, struct iopt_pages *pages,
			unsigned long index)
{
	cursor->pages = pages;
	cursor->addr = pages->start + index * PAGE_SIZE;
	cursor->end = pages->start + pages->npages * PAGE_SIZE;
	cursor->npages = 0;
}

static int pfnmap_cursor_lookup(struct pfnmap_cursor *cursor)
{
	long got;

	got = pages_pfnmap_lookup(cursor->pages, cursor->addr, &cursor->pfn);
	if (got < 0)
		return got;
	cursor->npages = min_t(unsigned long, got,
			       (cursor->end - cursor->addr) / PAGE_SIZE);
	cursor->npages = pages_pfnmap_count_device(cursor->pfn, cursor->npages);
	return cursor->npages ? 0 : -EFAULT;
}

static int pfnmap_cursor_read(struct pfnmap_cursor *cursor,
			      unsigned long npages, struct pfn_run *run)
{
	unsigned long n;
	int rc;

	for (run->npages = 0; run->npages < npages; run->npages += n) {
		if (!cursor->npages) {
			rc = pfnmap_cursor_lookup(cursor);
			/* The next call finds the error again. */
			if (rc)
				return run->npages ? 0 : rc;
		}
		if (!run->npages)
			run->pfn = cursor->pfn;
		else if (run->pfn + run->npages != cursor->pfn)
			break;
		n = min(cursor->npages, npages - run->npages);
		cursor->addr += n * PAGE_SIZE;
		cursor->pfn += n;
		cursor->npages -= n;
		cond_resched();
	}
	return 0;
}

/**
 * pfnmap_cursor_next() - read the next run of contiguous page frames
 * @cursor: the cursor
 * @npages: maximum length of @run in pages, at least 1
 * @run: set to the page frames, at least one
 *
 * Return: 0, or
 * * -EFAULT: the process has exited, has no PFNMAP at the address, or maps page frames
 *   that do not belong to a device
 * * the error of the page fault
 * Context: takes the mmap lock of the process for reading; may sleep.
 */
int pfnmap_cursor_next(struct pfnmap_cursor *cursor, unsigned long npages,
		       struct pfn_run *run)
{
	struct mm_struct *mm = cursor->pages->source_mm;
	int rc;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_read_lock(mm);
	rc = pfnmap_cursor_read(cursor, npages, run);
	mmap_read_unlock(mm);
	mmput(mm);
	return rc;
}
