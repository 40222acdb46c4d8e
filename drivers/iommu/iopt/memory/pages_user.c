// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: user memory
 *
 * Memory of a process, by address. The pages that are pinned are those that the page
 * tables of the process map at the time of pinning.
 */
#include <kunit/static_stub.h>
#include <linux/highmem.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "memory/pfn_reader.h"

static long pages_user_pin_remote(struct iopt_pages *pages, unsigned long addr,
				  unsigned long npages, unsigned int gup_flags,
				  struct page **list)
{
	struct mm_struct *mm = pages->source_mm;
	int locked = 1;
	long got;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_read_lock(mm);
	got = pin_user_pages_remote(mm, addr, npages, gup_flags, list, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return got;
}

/* A separate function, so that a test can return pages in unusual order, or errors. */
VISIBLE_IF_KUNIT long pages_user_gup(struct iopt_pages *pages,
				     unsigned long addr, unsigned long npages,
				     struct page **list)
{
	unsigned int gup_flags = FOLL_LONGTERM |
				 (pages->writable ? FOLL_WRITE : 0);

	KUNIT_STATIC_STUB_REDIRECT(pages_user_gup, pages, addr, npages, list);
	if (pages->source_mm == current->mm)
		return pin_user_pages_fast(addr, npages, gup_flags, list);
	return pages_user_pin_remote(pages, addr, npages, gup_flags, list);
}

/* Number of pages that are pinned between calls of cond_resched(). */
#define PAGES_USER_STEP		8192UL

static long pages_user_pin(struct iopt_pages *pages, struct pfn_pinner *pinner,
			   struct pfn_batch *batch, unsigned long index,
			   unsigned long npages)
{
	unsigned long addr = pages->start + index * PAGE_SIZE;
	struct page **list = (struct page **)pinner->list;
	unsigned long done = 0, n;
	long got;

	do {
		n = min(npages - done, PAGES_USER_STEP);
		got = pages_user_gup(pages, addr + done * PAGE_SIZE, n, list);
		if (got <= 0)
			break;
		pfn_batch_add_pages(batch, list, got);
		done += got;
		cond_resched();
	} while (got == n && done < npages);
	/* If GUP returns 0, there is no memory at the address. */
	return done ?: got ?: -EFAULT;
}

static int pages_user_pin_sole(struct iopt_pages *pages)
{
	struct page *page;
	long got = pages_user_gup(pages, pages->start, 1, &page);

	/* If GUP returns 0, there is no memory at the address. */
	if (got <= 0)
		return got ?: -EFAULT;
	pages->sole_pfn = page_to_pfn(page);
	return 0;
}

/* Copy to or from user memory of the current mm. */
static int pages_user_copy(void __user *uptr, void *data, unsigned long length,
			   bool write)
{
	if (write)
		return copy_to_user(uptr, data, length) ? -EFAULT : 0;
	return copy_from_user(data, uptr, length) ? -EFAULT : 0;
}

/**
 * pages_user_rw() - copy to or from memory of a process, for &iopt_pages_ops.rw
 * @pages: the memory
 * @start_byte: byte offset in @pages
 * @data: kernel buffer to copy from or to
 * @length: length in bytes
 * @flags: IOMMUFD_ACCESS_RW_*
 *
 * Return: 0, or
 * * -EFAULT: a part of the memory is not accessible
 * * -EOPNOTSUPP: the current thread does not run in the process and is no kernel
 *   thread (IOMMUFD_ACCESS_RW_KTHREAD), the process has exited, or @flags has
 *   __IOMMUFD_ACCESS_RW_SLOW_PATH
 * Context: takes &iopt_pages.mutex; may sleep.
 */
int pages_user_rw(struct iopt_pages *pages, unsigned long start_byte,
		  void *data, unsigned long length, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct mm_struct *mm = NULL;
	void __user *uptr;
	bool same_mm;
	int rc;

	if (flags & __IOMMUFD_ACCESS_RW_SLOW_PATH)
		return -EOPNOTSUPP;
	/* An iopt_update_vaddr() of another IOAS may change address and process. */
	mutex_lock(&pages->mutex);
	uptr = (void __user *)(unsigned long)(pages->start + start_byte);
	same_mm = current->mm == pages->source_mm;
	if (!same_mm && (flags & IOMMUFD_ACCESS_RW_KTHREAD) &&
	    mmget_not_zero(pages->source_mm))
		mm = pages->source_mm;
	mutex_unlock(&pages->mutex);

	if (same_mm)
		return pages_user_copy(uptr, data, length, write);
	if (!mm)
		return -EOPNOTSUPP;
	kthread_use_mm(mm);
	rc = pages_user_copy(uptr, data, length, write);
	kthread_unuse_mm(mm);
	mmput(mm);
	return rc;
}

/* Copy to or from one page of any process. Return: -EFAULT if it has exited. */
static int pages_user_rw_page(struct iopt_pages *pages, unsigned long index,
			      unsigned int offset, void *data,
			      unsigned int length, bool write)
{
	unsigned int gup_flags = write ? FOLL_WRITE : 0;
	struct mm_struct *mm = NULL;
	unsigned long addr;
	struct page *page;
	int locked = 1;
	long got;

	/* An iopt_update_vaddr() of another IOAS may change address and process. */
	mutex_lock(&pages->mutex);
	addr = pages->start + index * PAGE_SIZE;
	if (mmget_not_zero(pages->source_mm))
		mm = pages->source_mm;
	mutex_unlock(&pages->mutex);
	if (!mm)
		return -EFAULT;

	mmap_read_lock(mm);
	got = pin_user_pages_remote(mm, addr, 1, gup_flags, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	if (got <= 0)
		return got ?: -EFAULT;
	if (write)
		memcpy_to_page(page, offset, data, length);
	else
		memcpy_from_page(data, page, offset, length);
	unpin_user_pages_dirty_lock(&page, 1, write);
	return 0;
}

static const struct iopt_pages_ops pages_user_ops = {
	.pin = pages_user_pin,
	.pin_sole = pages_user_pin_sole,
	.rw = pages_user_rw,
	.rw_page = pages_user_rw_page,
};

/**
 * pages_user_alloc() - allocate an iopt_pages for memory with a user address
 * @ops: the origin
 * @start: address of the first byte; the iopt_pages begins with its page
 * @length: length in bytes
 * @writable: pin pages for writing
 * @account_mode: counter that pages are charged to
 *
 * Return: as iopt_pages_alloc_user().
 */
struct iopt_pages *pages_user_alloc(const struct iopt_pages_ops *ops,
				    unsigned long start, unsigned long length,
				    bool writable,
				    enum iopt_account_mode account_mode)
{
	struct iopt_pages *pages;
	unsigned long end;

	if (!length || length > ULONG_MAX - PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	if (check_add_overflow(start, length, &end))
		return ERR_PTR(-EOVERFLOW);
	pages = iopt_pages_alloc(ops, (end - 1) / PAGE_SIZE -
				      start / PAGE_SIZE + 1,
				 writable, account_mode);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	pages->start = start & PAGE_MASK;
	return pages;
}

/**
 * iopt_pages_alloc_user() - allocate an iopt_pages for memory of the current process
 * @uptr: address of the first byte; the iopt_pages begins with its page
 * @length: length in bytes
 * @writable: pin pages for writing
 * @account_mode: counter that pages are charged to
 *
 * Neither pins the memory nor checks that it exists.
 *
 * Return: an iopt_pages, or an ERR_PTR() of
 * * -EINVAL: @length is 0 or more than ULONG_MAX - PAGE_SIZE
 * * -EOVERFLOW: the range wraps
 * * -ENOMEM: out of memory
 */
struct iopt_pages *iopt_pages_alloc_user(void __user *uptr,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode)
{
	return pages_user_alloc(&pages_user_ops, (unsigned long)uptr, length,
				writable, account_mode);
}
