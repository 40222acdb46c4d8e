// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: user memory
 *
 * Memory of a process, by address. It is the process' own page tables that say
 * what is there, at the moment it is pinned.
 */
#include <kunit/static_stub.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>

#include "pfn_reader.h"

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

/* Apart, so that a test can have it give what memory seldom does. */
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

static long pages_user_pin(struct iopt_pages *pages, struct pfn_pinner *pinner,
			   struct pfn_batch *batch, unsigned long index,
			   unsigned long npages)
{
	unsigned long addr = pages->start + index * PAGE_SIZE;
	struct page **list = (struct page **)pinner->list;
	long got;

	got = pages_user_gup(pages, addr, npages, list);
	/* Neither pages nor an error: as if there was no memory. */
	if (!got)
		return -EFAULT;
	if (got > 0)
		pfn_batch_add_pages(batch, list, got);
	return got;
}

/* Copy through the addresses themselves, as the process would. */
static int pages_user_copy(void __user *uptr, void *data, unsigned long length,
			   bool write)
{
	if (write)
		return copy_to_user(uptr, data, length) ? -EFAULT : 0;
	return copy_from_user(data, uptr, length) ? -EFAULT : 0;
}

/**
 * pages_user_rw() - copy to or from memory of a process, &iopt_pages_ops.rw
 * @pages: the memory
 * @start_byte: from where on
 * @data: the other side
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_*
 *
 * Return: 0; EFAULT where there is no memory; EOPNOTSUPP where the current
 * thread is another process, or the process is gone.
 * Context: may sleep.
 */
int pages_user_rw(struct iopt_pages *pages, unsigned long start_byte,
		  void *data, unsigned long length, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct mm_struct *mm = NULL;
	void __user *uptr;
	bool here;
	int rc;

	if (flags & __IOMMUFD_ACCESS_RW_SLOW_PATH)
		return -EOPNOTSUPP;
	/* What is shared with another table may go to another process there. */
	mutex_lock(&pages->mutex);
	uptr = (void __user *)(pages->start + start_byte);
	here = current->mm == pages->source_mm;
	if (!here && (flags & IOMMUFD_ACCESS_RW_KTHREAD) &&
	    mmget_not_zero(pages->source_mm))
		mm = pages->source_mm;
	mutex_unlock(&pages->mutex);

	if (here)
		return pages_user_copy(uptr, data, length, write);
	if (!mm)
		return -EOPNOTSUPP;
	kthread_use_mm(mm);
	rc = pages_user_copy(uptr, data, length, write);
	kthread_unuse_mm(mm);
	mmput(mm);
	return rc;
}

static const struct iopt_pages_ops pages_user_ops = {
	.pin = pages_user_pin,
	.rw = pages_user_rw,
};

/**
 * pages_user_alloc() - what all memory of a process has in common
 * @ops: the origin
 * @start: first byte; the iopt_pages begin with its page
 * @length: bytes, at least 1
 * @writable: pin for writing
 * @account_mode: how pages are counted
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
	length += offset_in_page(start);
	pages = iopt_pages_alloc(ops, DIV_ROUND_UP(length, PAGE_SIZE), writable,
				 account_mode);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	pages->start = start & PAGE_MASK;
	return pages;
}

/**
 * iopt_pages_alloc_user() - memory of the current process
 * @uptr: first byte; the iopt_pages begin with its page
 * @length: bytes, at least 1
 * @writable: pin for writing
 * @account_mode: how pages are counted
 *
 * Nothing is pinned, nor looked at.
 *
 * Return: an iopt_pages; EOVERFLOW where the range wraps, EINVAL for a @length
 * of 0 or out of all bounds, ENOMEM.
 */
struct iopt_pages *iopt_pages_alloc_user(void __user *uptr,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode)
{
	return pages_user_alloc(&pages_user_ops, (unsigned long)uptr, length,
				writable, account_mode);
}
