// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: file memory
 *
 * Memory of a file: memfd, shmem or hugetlbfs. No process has to map the file: its
 * pages are pinned from the page cache. If pages are charged to the mm of the mapping
 * process, by type1 or by the per-process IOMMU_OPTION_RLIMIT_MODE, pinning fails with
 * -EFAULT after that process has exited.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/hugetlb.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include "space/iopt_area.h"
#include "memory/pfn_reader.h"

/*
 * memfd_pin_folios() pins each folio once. An iopt_pages pins and unpins pages, so add
 * one pin for each further page.
 */
static unsigned long pages_file_add_folio(struct pfn_batch *batch,
					  struct folio *folio, pgoff_t pgoff,
					  unsigned long npages)
{
	unsigned long offset = pgoff - folio->index;
	unsigned long n;

	/* @offset is unsigned: also true if the folio begins behind @pgoff. */
	if (IOPT_WARN_ON(offset >= folio_nr_pages(folio)))
		return 0;
	n = min(npages, folio_nr_pages(folio) - offset);
	if (n > 1 && folio_add_pins(folio, n - 1))
		return 0;
	pfn_batch_add(batch, folio_pfn(folio) + offset, n);
	return n;
}

/*
 * memfd_pin_folios() requires the inode lock of a hugetlb file, so that the file is
 * not truncated while it allocates huge pages. Shmem checks for truncation itself; its
 * inode lock is not taken, as write(2) holds it across page faults.
 */
static long pages_file_pin_folios(struct file *file, loff_t start, loff_t last,
				  struct folio **folios, unsigned long npages)
{
	struct inode *inode = file_inode(file);
	bool huge = is_file_hugepages(file);
	pgoff_t offset;
	long nr;

	if (huge && down_read_killable(&inode->i_rwsem))
		return -EINTR;
	nr = memfd_pin_folios(file, start, last, folios, npages, &offset);
	if (huge)
		inode_unlock_shared(inode);
	return nr;
}

/*
 * Number of pages that are pinned between calls of cond_resched(). memfd_pin_folios()
 * allocates pages for holes in the file; until all of them are allocated it neither
 * reschedules nor checks for signals.
 */
#define PAGES_FILE_STEP		256

static long pages_file_pin_step(struct iopt_pages *pages,
				struct folio **folios, struct pfn_batch *batch,
				unsigned long index, unsigned long npages)
{
	loff_t start = pages->start + (loff_t)index * PAGE_SIZE;
	loff_t end = start + (loff_t)npages * PAGE_SIZE - 1;
	unsigned long got = 0, n;
	pgoff_t pgoff;
	long nr, i;

	nr = pages_file_pin_folios(pages->file, start, end, folios, npages);
	if (nr <= 0)
		return nr ?: -EFAULT;

	pgoff = start / PAGE_SIZE;
	for (i = 0; i < nr; i++) {
		n = pages_file_add_folio(batch, folios[i], pgoff + got,
					 npages - got);
		if (!n)
			break;
		got += n;
	}
	if (i < nr)
		unpin_folios(folios + i, nr - i);
	return got ?: -ENOMEM;
}

static long pages_file_pin(struct iopt_pages *pages, struct pfn_pinner *pinner,
			   struct pfn_batch *batch, unsigned long index,
			   unsigned long npages)
{
	struct folio **folios = (struct folio **)pinner->list;
	unsigned long done = 0, n, step = PAGES_FILE_STEP;
	long got;

	if (is_file_hugepages(pages->file))
		step = max(step, pages_per_huge_page(hstate_file(pages->file)));
	while (done < npages) {
		n = min(npages - done, step);
		got = pages_file_pin_step(pages, folios, batch, index + done,
					  n);
		if (got < 0)
			return done ?: got;
		done += got;
		if (got < n || fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done;
}

/* Copy to or from one page. If the page is a hole in the file, it is allocated. */
static int pages_file_rw_page(struct iopt_pages *pages, unsigned long index,
			      unsigned int offset, void *data,
			      unsigned int length, bool write)
{
	loff_t start = pages->start + (loff_t)index * PAGE_SIZE;
	struct folio *folio;
	struct page *page;
	long nr;

	nr = pages_file_pin_folios(pages->file, start, start + PAGE_SIZE - 1,
				   &folio, 1);
	if (nr <= 0)
		return nr ?: -EFAULT;
	page = folio_page(folio, start / PAGE_SIZE - folio->index);
	if (write)
		memcpy_to_page(page, offset, data, length);
	else
		memcpy_from_page(data, page, offset, length);
	if (write)
		unpin_user_page_range_dirty_lock(page, 1, true);
	else
		unpin_folio(folio);
	return 0;
}

static void pages_file_release(struct iopt_pages *pages)
{
	if (pages->writable)
		mapping_unmap_writable(pages->file->f_mapping);
	fput(pages->file);
}

static const struct iopt_pages_ops pages_file_ops = {
	.pin = pages_file_pin,
	.rw_page = pages_file_rw_page,
	.release = pages_file_release,
};

static unsigned int pages_file_seals(struct file *file)
{
#ifdef CONFIG_HUGETLBFS
	if (is_file_hugepages(file))
		return HUGETLBFS_I(file_inode(file))->seals;
#endif
	return SHMEM_I(file_inode(file))->seals;
}

static int pages_file_check(struct file *file, bool writable)
{
	if (!shmem_file(file) && !is_file_hugepages(file))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	if (!writable)
		return 0;
	if (!(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (pages_file_seals(file) & F_SEAL_FUTURE_WRITE)
		return -EPERM;
	/*
	 * Count as a writable shared mapping: fails if the file is sealed against
	 * writing, and prevents such a seal from now on.
	 */
	return mapping_map_writable(file->f_mapping);
}

/**
 * iopt_pages_alloc_file() - allocate an iopt_pages for memory of a file
 * @file: a memfd, shmem or hugetlbfs file; the iopt_pages takes a reference
 * @start: offset of the first byte in @file; the iopt_pages begins with its page
 * @length: length in bytes
 * @writable: pin pages for writing
 * @account_mode: counter that pages are charged to
 *
 * A device gets the rights that mmap(2) of @file would give to a process. @file has to
 * be open for reading, and with @writable also for writing. With @writable, @file must
 * not be sealed against writing, and cannot be sealed while the iopt_pages exists.
 *
 * Return: an iopt_pages, or an ERR_PTR() of
 * * -EINVAL: @length is 0, or @file is a file of another kind
 * * -EOVERFLOW: the range exceeds the maximum size of a file
 * * -EACCES: @file is not open for reading, or with @writable for writing
 * * -EPERM: with @writable, @file is sealed against writing
 * * -ENOMEM: out of memory
 */
struct iopt_pages *iopt_pages_alloc_file(struct file *file, u64 start,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode)
{
	struct iopt_pages *pages;
	loff_t end;
	int rc;

	if (!length)
		return ERR_PTR(-EINVAL);
	if (start > MAX_LFS_FILESIZE || length > MAX_LFS_FILESIZE ||
	    length > ULONG_MAX - offset_in_page(start) ||
	    check_add_overflow((loff_t)start, (loff_t)length, &end))
		return ERR_PTR(-EOVERFLOW);
	rc = pages_file_check(file, writable);
	if (rc)
		return ERR_PTR(rc);

	pages = iopt_pages_alloc(&pages_file_ops,
				 (end - 1) / PAGE_SIZE - start / PAGE_SIZE + 1,
				 writable, account_mode);
	if (!pages) {
		if (writable)
			mapping_unmap_writable(file->f_mapping);
		return ERR_PTR(-ENOMEM);
	}
	pages->start = round_down(start, PAGE_SIZE);
	pages->file = get_file(file);
	return pages;
}
