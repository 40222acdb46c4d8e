// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: accounting of huge pages
 *
 * An error in the counters of a pool of huge pages is not corrected until the
 * next boot. So a test compares them exactly: with the counters before the
 * test, and with the pages that a mapping adds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/check.h"
#include "hugetlb.h"
#include "lib/iommu.h"
#include "lib/sysfs.h"

#define POOL	"/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* An underflow of a counter of the kernel shows as a negative number. */
static long pool_number(struct __test_metadata *_metadata, const char *path)
{
	char text[32];

	CHECK_RC(0, sysfs_read(path, text, sizeof(text)), "%s", path);
	return (long)strtoul(text, NULL, 10);
}

void hugetlb_counts_now(struct __test_metadata *_metadata,
			const struct hugetlb_fs *fs,
			struct hugetlb_counts *counts)
{
	struct statfs statfs = {};

	if (fs->root >= 0)
		CHECK_RC(0, fstatfs(fs->root, &statfs), "%s", fs->path);
	*counts = (struct hugetlb_counts) {
		.total = pool_number(_metadata, POOL "nr_hugepages"),
		.free = pool_number(_metadata, POOL "free_hugepages"),
		.reserved = pool_number(_metadata, POOL "resv_hugepages"),
		.surplus = pool_number(_metadata, POOL "surplus_hugepages"),
		.mount_free = statfs.f_bfree,
	};
}

static void counts_equal(struct __test_metadata *_metadata, const char *when,
			 const struct hugetlb_counts *expected,
			 const struct hugetlb_counts *now)
{
	CHECK(!memcmp(expected, now, sizeof(*now)),
	      "%s: Total %ld, Free %ld, Rsvd %ld, Surp %ld, mount %ld; expected %ld, %ld, %ld, %ld, %ld",
	      when, now->total, now->free, now->reserved, now->surplus,
	      now->mount_free, expected->total, expected->free,
	      expected->reserved, expected->surplus, expected->mount_free);
}

/*
 * Check for @allocated pages of files and mappings, and @reserved pages that
 * are promised to them. Both count against the limit of a mount (size=), and
 * come out of the mount's own reservation (min_size=) first.
 */
void hugetlb_check(struct __test_metadata *_metadata,
		   const struct hugetlb_fs *fs, const char *when,
		   long allocated, long reserved)
{
	struct hugetlb_counts expected = fs->idle, now;
	long used = allocated + reserved;

	expected.free -= allocated;
	expected.reserved += reserved - (used < fs->min ? used : fs->min);
	if (fs->limited)
		expected.mount_free -= used;
	hugetlb_counts_now(_metadata, fs, &now);
	/*
	 * Without size= the kernel does not account how many pages of a mount
	 * are in use: it keeps every page that is freed, until min_size= is
	 * reserved again.
	 */
	if (!fs->limited && used && now.reserved > expected.reserved &&
	    now.reserved <= fs->idle.reserved + reserved)
		expected.reserved = now.reserved;
	counts_equal(_metadata, when, &expected, &now);
}

/* Set how many pages the pool may have above nr_hugepages. */
void hugetlb_overcommit(struct __test_metadata *_metadata, long pages)
{
	static const char path[] = POOL "nr_overcommit_hugepages";
	char text[32];

	snprintf(text, sizeof(text), "%ld", pages);
	CHECK_RC(0, sysfs_write(path, text), "%s", path);
}

/* Mount hugetlbfs with @options, or use memfds where @options is NULL. */
void hugetlb_fs_open(struct __test_metadata *_metadata, struct hugetlb_fs *fs,
		     const char *options)
{
	fs->root = -1;
	/* A test that failed may have left an overcommit. */
	hugetlb_overcommit(_metadata, 0);
	hugetlb_counts_now(_metadata, fs, &fs->unmounted);
	if (options) {
		snprintf(fs->path, sizeof(fs->path), "/tmp/hugetlb.XXXXXX");
		CHECK(mkdtemp(fs->path), "%s: %m", fs->path);
		CHECK_RC(0, mount("none", fs->path, "hugetlbfs", 0, options),
			 "%s: %m", options);
		fs->root = open(fs->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(fs->root >= 0, "%s: %m", fs->path);
	}
	hugetlb_counts_now(_metadata, fs, &fs->idle);
	fs->min = fs->idle.reserved - fs->unmounted.reserved;
	fs->limited = fs->idle.mount_free > 0;
}

/* Unmount, and check that the pool is as it was before the mount. */
void hugetlb_fs_close(struct __test_metadata *_metadata, struct hugetlb_fs *fs)
{
	struct hugetlb_counts now;

	if (fs->root >= 0) {
		close(fs->root);
		fs->root = -1;
		CHECK_RC(0, umount2(fs->path, MNT_DETACH), "%m");
		CHECK_RC(0, rmdir(fs->path), "%s: %m", fs->path);
	}
	hugetlb_counts_now(_metadata, fs, &now);
	counts_equal(_metadata, "unmounted", &fs->unmounted, &now);
}

/* Create a file without a name that has no pages and no reservation. */
int hugetlb_file(struct __test_metadata *_metadata, struct hugetlb_fs *fs,
		 size_t length)
{
	int fd;

	if (fs->root < 0) {
		fd = memfd_create("hugetlb", MFD_HUGETLB | MFD_CLOEXEC);
		CHECK(fd >= 0, "memfd: %m");
	} else {
		fd = openat(fs->root, "file", O_RDWR | O_CREAT | O_CLOEXEC,
			    0600);
		CHECK(fd >= 0, "%s: %m", fs->path);
		CHECK_RC(0, unlinkat(fs->root, "file", 0), "%m");
	}
	CHECK_RC(0, ftruncate(fd, length), "%zu: %m", length);
	return fd;
}

static void guard_run(int ready, int start, long pages, int flags)
{
	char *at = mmap(NULL, pages * SZ_2M, PROT_READ | PROT_WRITE,
			flags | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char byte = 0;

	if (at == MAP_FAILED)
		_exit(1);
	if (write(ready, &byte, 1) != 1 || read(start, &byte, 1) != 1)
		_exit(2);
	for (long i = 0; i < pages; i++)
		at[i * SZ_2M] = 1;
	_exit(0);
}

/* Make another process reserve @pages by a mapping with these flags. */
void hugetlb_guard_start(struct __test_metadata *_metadata,
			 struct hugetlb_guard *guard, long pages, int flags)
{
	int ready[2], start[2];
	char byte;

	CHECK_RC(0, pipe(ready), "%m");
	CHECK_RC(0, pipe(start), "%m");
	guard->child = fork();
	CHECK(guard->child >= 0, "fork: %m");
	if (!guard->child) {
		close(ready[0]);
		close(start[1]);
		guard_run(ready[1], start[0], pages, flags);
	}
	close(ready[1]);
	close(start[0]);
	guard->start = start[1];
	CHECK_RC(1, read(ready[0], &byte, 1), "%ld pages not reserved", pages);
	close(ready[0]);
}

/* Make the process touch its pages: SIGBUS if a reservation has no page. */
void hugetlb_guard_end(struct __test_metadata *_metadata,
		       struct hugetlb_guard *guard)
{
	int status;

	CHECK_RC(1, write(guard->start, "", 1), "%m");
	CHECK_RC(guard->child, waitpid(guard->child, &status, 0), "%m");
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status),
	      "no page for a reservation: status 0x%x", status);
	close(guard->start);
}
