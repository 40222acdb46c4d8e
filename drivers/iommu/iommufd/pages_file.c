// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: file memory
 *
 * Memory of a file: memfd, shmem or hugetlbfs, mapped by a process or not. It
 * is the page cache that says what is there, so no process has to stay.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/hugetlb.h>
#include <linux/overflow.h>
#include <linux/shmem_fs.h>

#include "iopt_area.h"
#include "pfn_reader.h"

/*
 * Whoever finds folios pins each of them once; here every page is unpinned by
 * itself, and so has a pin of its own.
 */
static unsigned long pages_file_add_folio(struct pfn_batch *batch,
					  struct folio *folio, pgoff_t pgoff,
					  unsigned long npages)
{
	unsigned long offset = pgoff - folio->index;
	unsigned long n;

	/* Unsigned: true as well where the folio begins behind @pgoff. */
	if (IOPT_WARN_ON(offset >= folio_nr_pages(folio)))
		return 0;
	n = min(npages, folio_nr_pages(folio) - offset);
	if (n > 1 && folio_add_pins(folio, n - 1))
		return 0;
	pfn_batch_add(batch, folio_pfn(folio) + offset, n);
	return n;
}

static long pages_file_pin(struct iopt_pages *pages, struct pfn_pinner *pinner,
			   struct pfn_batch *batch, unsigned long index,
			   unsigned long npages)
{
	struct folio **folios = (struct folio **)pinner->list;
	loff_t start = pages->start + index * PAGE_SIZE;
	loff_t end = start + npages * PAGE_SIZE - 1;
	unsigned long got = 0, n;
	pgoff_t pgoff;
	long nr, i;

	nr = memfd_pin_folios(pages->file, start, end, folios, npages, &pgoff);
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

static void pages_file_release(struct iopt_pages *pages)
{
	if (pages->writable)
		mapping_unmap_writable(pages->file->f_mapping);
	fput(pages->file);
}

static const struct iopt_pages_ops pages_file_ops = {
	.pin = pages_file_pin,
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
	/* As a shared mapping: no seal against writing, before or later. */
	return mapping_map_writable(file->f_mapping);
}

/**
 * iopt_pages_alloc_file() - memory of a file
 * @file: memfd, shmem or hugetlbfs; counted
 * @start: first byte in it; the iopt_pages begin with its page
 * @length: bytes, at least 1
 * @writable: pin for writing
 * @account_mode: how pages are counted
 *
 * A device can do what the file descriptor allows a process to do by mmap(2):
 * to read the file has to be open for reading, to write for both, and it must
 * not be sealed against writing, nor will it be while this exists.
 *
 * Return: an iopt_pages; EACCES and EPERM where mmap(2) would fail with them,
 * EOVERFLOW where the range is beyond what a file can have, EINVAL for another
 * kind of file or for a @length of 0, ENOMEM.
 */
struct iopt_pages *iopt_pages_alloc_file(struct file *file, unsigned long start,
					 unsigned long length, bool writable,
					 enum iopt_account_mode account_mode)
{
	struct iopt_pages *pages;
	loff_t end;
	int rc;

	if (!length)
		return ERR_PTR(-EINVAL);
	if (start > MAX_LFS_FILESIZE || length > MAX_LFS_FILESIZE ||
	    check_add_overflow((loff_t)start, (loff_t)length, &end))
		return ERR_PTR(-EOVERFLOW);
	rc = pages_file_check(file, writable);
	if (rc)
		return ERR_PTR(rc);

	length += offset_in_page(start);
	pages = iopt_pages_alloc(&pages_file_ops,
				 DIV_ROUND_UP(length, PAGE_SIZE), writable,
				 account_mode);
	if (!pages) {
		if (writable)
			mapping_unmap_writable(file->f_mapping);
		return ERR_PTR(-ENOMEM);
	}
	pages->start = start & PAGE_MASK;
	pages->file = get_file(file);
	return pages;
}
