/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of huge pages, and what the kernel accounts for them. */
#ifndef _VFIO_SELFTEST_HUGETLB_H
#define _VFIO_SELFTEST_HUGETLB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct __test_metadata;

/**
 * struct hugetlb_counts - the pool of 2 MiB pages, and the limit of a mount
 * @total: pages of the pool (HugePages_Total)
 * @free: pages that are not allocated (HugePages_Free)
 * @reserved: free pages that are promised to a mapping (HugePages_Rsvd)
 * @surplus: pages above nr_hugepages (HugePages_Surp)
 * @mount_free: what statfs() reports as free; 0 for a memfd, which has no limit
 */
struct hugetlb_counts {
	long total;
	long free;
	long reserved;
	long surplus;
	long mount_free;
};

/**
 * struct hugetlb_fs - where the files of a test are created
 * @root: directory of the mount; -1 if the files are memfds
 * @path: mount point
 * @unmounted: the pool before the mount
 * @idle: the counts without any file
 * @min: pages that the mount itself has reserved (min_size=)
 * @limited: the mount has a limit (size=)
 */
struct hugetlb_fs {
	int root;
	char path[64];
	struct hugetlb_counts unmounted;
	struct hugetlb_counts idle;
	long min;
	bool limited;
};

/**
 * struct hugetlb_guard - a process whose reservation must stay available
 * @child: the process
 * @start: pipe; a byte makes the process touch all of its pages
 */
struct hugetlb_guard {
	pid_t child;
	int start;
};

void hugetlb_fs_open(struct __test_metadata *_metadata, struct hugetlb_fs *fs,
		     const char *options);
void hugetlb_fs_close(struct __test_metadata *_metadata,
		      struct hugetlb_fs *fs);
int hugetlb_file(struct __test_metadata *_metadata, struct hugetlb_fs *fs,
		 size_t length);
void hugetlb_counts_now(struct __test_metadata *_metadata,
			const struct hugetlb_fs *fs,
			struct hugetlb_counts *counts);
void hugetlb_check(struct __test_metadata *_metadata,
		   const struct hugetlb_fs *fs, const char *when,
		   long allocated, long reserved);
void hugetlb_overcommit(struct __test_metadata *_metadata, long pages);
void hugetlb_guard_start(struct __test_metadata *_metadata,
			 struct hugetlb_guard *guard, long pages, int flags);
void hugetlb_guard_end(struct __test_metadata *_metadata,
		       struct hugetlb_guard *guard);

#endif
