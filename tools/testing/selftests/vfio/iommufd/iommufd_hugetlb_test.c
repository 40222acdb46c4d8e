// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: accounting of huge pages that IOMMU_IOAS_MAP_FILE allocates
 *
 * IOMMU_IOAS_MAP_FILE fills holes of a hugetlb file with huge pages. The
 * counters of the pool, the reservation of the file, and the limit and the
 * reservation of its mount must be exact after every step, whether or not a
 * process has mapped the file. Reservations of other processes must stay
 * available.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/fail_nth.h"
#include "lib/memory/hugetlb.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	4
#define LENGTH	(PAGES * SZ_2M)

FIXTURE(hugetlb)
{
	struct bench bench;
	struct counts counts;
	struct hugetlb_fs fs;
	__u8 *va;
	int fd;
};

FIXTURE_VARIANT(hugetlb)
{
	const char *options;
};

FIXTURE_VARIANT_ADD(hugetlb, memfd) {};

FIXTURE_VARIANT_ADD(hugetlb, mount) { .options = "pagesize=2M" };

FIXTURE_VARIANT_ADD(hugetlb, size) { .options = "pagesize=2M,size=16M" };

FIXTURE_VARIANT_ADD(hugetlb, min_size) {
	.options = "pagesize=2M,min_size=16M",
};

FIXTURE_VARIANT_ADD(hugetlb, min_size_of_half_without_size) {
	.options = "pagesize=2M,min_size=4M",
};

FIXTURE_VARIANT_ADD(hugetlb, size_and_min_size) {
	.options = "pagesize=2M,size=16M,min_size=16M",
};

FIXTURE_VARIANT_ADD(hugetlb, min_size_of_half) {
	.options = "pagesize=2M,size=16M,min_size=4M",
};

FIXTURE_SETUP(hugetlb)
{
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, "2m");
	counts_now(_metadata, &self->counts);
	hugetlb_fs_open(_metadata, &self->fs, variant->options);
	self->fd = hugetlb_file(_metadata, &self->fs, LENGTH);
	hugetlb_check(_metadata, &self->fs, "new file", 0, 0);
}

/* After the last reference to the file every page and reservation is free. */
FIXTURE_TEARDOWN(hugetlb)
{
	close(self->fd);
	hugetlb_check(_metadata, &self->fs, "file closed", 0, 0);
	hugetlb_fs_close(_metadata, &self->fs);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	bench_close(_metadata, &self->bench);
}

static int __map_pages(struct bench *bench, int fd, long first, long count)
{
	__u64 iova = IOVA + first * SZ_2M;

	return __ioas_map_file(bench->iommu.fd, bench->iommu.ioas_id,
			       MAP_RW_FIXED, fd, first * SZ_2M, &iova,
			       count * SZ_2M);
}

static void map_pages(struct __test_metadata *_metadata, struct bench *bench,
		      int fd, long first, long count)
{
	ASSERT_EQ(0, __map_pages(bench, fd, first, count));
}

static void unmap_pages(struct __test_metadata *_metadata, struct bench *bench,
			long first, long count)
{
	iommu_unmap(_metadata, &bench->iommu, IOVA + first * SZ_2M,
		    count * SZ_2M);
}

static __u8 *process_maps(struct __test_metadata *_metadata, int fd, int flags)
{
	__u8 *va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, flags, fd, 0);

	ASSERT_NE(MAP_FAILED, va) {
		TH_LOG("%m");
	}
	return va;
}

static void touch(__u8 *va, long first, long count)
{
	for (long i = first; i < first + count; i++)
		va[i * SZ_2M] = 1;
}

static void punch(struct __test_metadata *_metadata, int fd, long first,
		  long count)
{
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       first * SZ_2M, count * SZ_2M));
}

TEST_F(hugetlb, file_without_reservation_is_exact)
{
	map_pages(_metadata, &self->bench, self->fd, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "mapped", PAGES, 0);
	unmap_pages(_metadata, &self->bench, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "unmapped", PAGES, 0);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	hugetlb_check(_metadata, &self->fs, "truncated", 0, 0);
}

/* The process reserves nothing again for pages that the file has. */
TEST_F(hugetlb, mmap_of_mapped_file_reserves_nothing)
{
	map_pages(_metadata, &self->bench, self->fd, 1, 2);
	hugetlb_check(_metadata, &self->fs, "mapped", 2, 0);
	self->va = process_maps(_metadata, self->fd, MAP_SHARED);
	hugetlb_check(_metadata, &self->fs, "mmap", 2, PAGES - 2);
	touch(self->va, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "touched", PAGES, 0);
	unmap_pages(_metadata, &self->bench, 1, 2);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
	hugetlb_check(_metadata, &self->fs, "unmapped", PAGES, 0);
}

TEST_F(hugetlb, file_reserved_by_shared_mapping_is_exact)
{
	self->va = process_maps(_metadata, self->fd, MAP_SHARED);
	hugetlb_check(_metadata, &self->fs, "mmap", 0, PAGES);
	map_pages(_metadata, &self->bench, self->fd, 0, PAGES - 1);
	hugetlb_check(_metadata, &self->fs, "mapped", PAGES - 1, 1);
	touch(self->va, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "touched", PAGES, 0);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
	unmap_pages(_metadata, &self->bench, 0, PAGES - 1);
	hugetlb_check(_metadata, &self->fs, "unmapped", PAGES, 0);
}

/* The reservation of a shared mapping belongs to the file, and stays with it. */
TEST_F(hugetlb, file_reserved_by_former_mapping_is_exact)
{
	self->va = process_maps(_metadata, self->fd, MAP_SHARED);
	touch(self->va, 0, 1);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
	hugetlb_check(_metadata, &self->fs, "munmap", 1, PAGES - 1);
	map_pages(_metadata, &self->bench, self->fd, 0, 2);
	hugetlb_check(_metadata, &self->fs, "mapped", 2, PAGES - 2);
	unmap_pages(_metadata, &self->bench, 0, 2);
}

TEST_F(hugetlb, partially_faulted_file_is_exact)
{
	self->va = process_maps(_metadata, self->fd, MAP_SHARED);
	touch(self->va, 1, 2);
	hugetlb_check(_metadata, &self->fs, "touched", 2, PAGES - 2);
	map_pages(_metadata, &self->bench, self->fd, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "mapped", PAGES, 0);
	unmap_pages(_metadata, &self->bench, 0, PAGES);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
	hugetlb_check(_metadata, &self->fs, "unmapped", PAGES, 0);
}

/* The reservation of a private mapping is for its copies, not for the file. */
TEST_F(hugetlb, privately_mapped_file_is_exact)
{
	self->va = process_maps(_metadata, self->fd, MAP_PRIVATE);
	hugetlb_check(_metadata, &self->fs, "mmap", 0, PAGES);
	map_pages(_metadata, &self->bench, self->fd, 0, 2);
	hugetlb_check(_metadata, &self->fs, "mapped", 2, PAGES);
	touch(self->va, 0, 1);
	touch(self->va, PAGES - 1, 1);
	hugetlb_check(_metadata, &self->fs, "touched", 4, PAGES - 2);
	unmap_pages(_metadata, &self->bench, 0, 2);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
}

/* Pages of a truncated file stay with the device until they are unmapped. */
TEST_F(hugetlb, truncated_file_is_exact)
{
	self->va = process_maps(_metadata, self->fd, MAP_SHARED);
	map_pages(_metadata, &self->bench, self->fd, 0, PAGES);
	ASSERT_EQ(0, ftruncate(self->fd, SZ_2M));
	hugetlb_check(_metadata, &self->fs, "truncated", PAGES, 0);
	ASSERT_EQ(-EINVAL, __map_pages(&self->bench, self->fd, PAGES, 1));
	unmap_pages(_metadata, &self->bench, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "unmapped", 1, 0);
	ASSERT_EQ(0, ftruncate(self->fd, LENGTH));
	map_pages(_metadata, &self->bench, self->fd, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "mapped again", PAGES, 0);
	unmap_pages(_metadata, &self->bench, 0, PAGES);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
}

TEST_F(hugetlb, hole_punch_in_mapped_file_is_exact)
{
	struct bench *bench = &self->bench;

	map_pages(_metadata, bench, self->fd, 0, 3);
	punch(_metadata, self->fd, 1, 1);
	hugetlb_check(_metadata, &self->fs, "punched", 3, 0);
	unmap_pages(_metadata, bench, 0, 3);
	hugetlb_check(_metadata, &self->fs, "unmapped", 2, 0);
	map_pages(_metadata, bench, self->fd, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "mapped again", PAGES, 0);
	unmap_pages(_metadata, bench, 0, PAGES);
	punch(_metadata, self->fd, 0, PAGES);
	hugetlb_check(_metadata, &self->fs, "punched", 0, 0);
}

/*
 * Pages that another process has reserved are not available, whichever kind of
 * mapping has reserved them, and however often the map is tried.
 */
TEST_F(hugetlb, reservation_of_another_process_stays_available)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	struct hugetlb_fs *fs = &self->fs;
	struct hugetlb_guard guard;
	long available, own = fs->min < 2 ? fs->min : 2;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		available = fs->idle.free - fs->idle.reserved;
		hugetlb_guard_start(_metadata, &guard, available - 2 + own,
				    flags[i]);
		hugetlb_counts_now(_metadata, fs, &fs->idle);
		map_pages(_metadata, &self->bench, self->fd, 0, 2);
		hugetlb_check(_metadata, fs, "mapped", 2, 0);
		for (int try = 0; fs->min <= 2 && try < 3; try++) {
			ASSERT_EQ(-ENOMEM,
				  __map_pages(&self->bench, self->fd, 2, 1));
			hugetlb_check(_metadata, fs, "refused", 2, 0);
		}
		hugetlb_guard_end(_metadata, &guard);
		unmap_pages(_metadata, &self->bench, 0, 2);
		punch(_metadata, self->fd, 0, PAGES);
		hugetlb_counts_now(_metadata, fs, &fs->idle);
	}
}

/* If the mount's own pages are in use, a failing mmap() reserves no others. */
TEST_F(hugetlb, failed_reservation_is_exact)
{
	struct hugetlb_fs *fs = &self->fs;
	struct hugetlb_guard guard;

	if (fs->min >= PAGES)
		return;
	if (fs->min)
		ASSERT_EQ(0, fallocate(self->fd, 0, 0, fs->min * SZ_2M));
	hugetlb_guard_start(_metadata, &guard,
			    fs->idle.free - fs->idle.reserved - 1, MAP_PRIVATE);
	fs->idle.reserved = fs->idle.free - 1;
	for (int try = 0; try < 3; try++) {
		hugetlb_check(_metadata, fs, "not reserved", fs->min, 0);
		ASSERT_EQ(MAP_FAILED, mmap(NULL, LENGTH, PROT_READ, MAP_SHARED,
					   self->fd, 0));
		ASSERT_EQ(ENOMEM, errno);
	}
	hugetlb_guard_end(_metadata, &guard);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	hugetlb_counts_now(_metadata, fs, &fs->idle);
}

/* Pages of nr_overcommit_hugepages are freed when the file is. */
TEST_F(hugetlb, surplus_pages_are_freed_with_the_file)
{
	struct hugetlb_fs *fs = &self->fs;
	const long own = fs->min < PAGES ? fs->min : PAGES;
	struct hugetlb_counts now;
	struct hugetlb_guard guard;

	hugetlb_overcommit(_metadata, 2 * PAGES);
	hugetlb_guard_start(_metadata, &guard,
			    fs->idle.free - fs->idle.reserved, MAP_PRIVATE);
	hugetlb_counts_now(_metadata, fs, &fs->idle);
	map_pages(_metadata, &self->bench, self->fd, 0, PAGES);
	hugetlb_counts_now(_metadata, fs, &now);
	ASSERT_EQ(fs->idle.surplus + PAGES - own, now.surplus);
	unmap_pages(_metadata, &self->bench, 0, PAGES);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	hugetlb_check(_metadata, fs, "truncated", 0, 0);
	hugetlb_guard_end(_metadata, &guard);
	hugetlb_overcommit(_metadata, 0);
	hugetlb_counts_now(_metadata, fs, &fs->idle);
}

/* A mapping that exceeds the limit of the mount takes nothing from it. */
TEST_F(hugetlb, map_beyond_the_limit_of_mount_takes_nothing)
{
	const long limit = self->fs.idle.mount_free;

	if (!self->fs.limited)
		return;
	ASSERT_EQ(0, ftruncate(self->fd, (limit + 1) * SZ_2M));
	map_pages(_metadata, &self->bench, self->fd, 0, limit);
	hugetlb_check(_metadata, &self->fs, "mapped", limit, 0);
	ASSERT_EQ(-ENOMEM, __map_pages(&self->bench, self->fd, limit, 1));
	hugetlb_check(_metadata, &self->fs, "refused", limit, 0);
	unmap_pages(_metadata, &self->bench, 0, limit);
	punch(_metadata, self->fd, 0, 1);
	map_pages(_metadata, &self->bench, self->fd, limit, 1);
	hugetlb_check(_metadata, &self->fs, "mapped", limit, 0);
	unmap_pages(_metadata, &self->bench, limit, 1);
}

/**
 * struct failing - a map whose allocations fail
 * @_metadata: the test
 * @bench: the device
 * @fs: file system of the file
 * @fd: the file
 * @reserved: pages that are reserved for the file
 */
struct failing {
	struct __test_metadata *_metadata;
	struct bench *bench;
	struct hugetlb_fs *fs;
	int fd;
	long reserved;
};

static int failing_map(void *data)
{
	struct failing *failing = data;

	return __map_pages(failing->bench, failing->fd, 0, PAGES);
}

/*
 * Pages that were allocated before the failure stay in the file, as with
 * fallocate(). Remove them, so that the next try allocates them again.
 */
static int failing_check(void *data)
{
	struct failing *failing = data;
	struct __test_metadata *_metadata = failing->_metadata;
	long left = failing->reserved;
	struct hugetlb_counts now;

	hugetlb_counts_now(_metadata, failing->fs, &now);
	ASSERT_EQ(failing->fs->idle.total, now.total);
	ASSERT_EQ(0, ftruncate(failing->fd, 0));
	hugetlb_check(_metadata, failing->fs, "truncated after failure", 0, 0);
	ASSERT_EQ(0, ftruncate(failing->fd, LENGTH));
	if (left) {
		__u8 *va = process_maps(_metadata, failing->fd, MAP_SHARED);

		ASSERT_EQ(0, munmap(va, LENGTH));
	}
	hugetlb_check(_metadata, failing->fs, "reserved again", 0, left);
	return 0;
}

static int failing_undo(void *data)
{
	struct failing *failing = data;

	unmap_pages(failing->_metadata, failing->bench, 0, PAGES);
	return failing_check(data);
}

static void fail_each_allocation(struct __test_metadata *_metadata,
				 struct failing *failing)
{
	const struct fail_case c = {
		.name = "map huge pages of file", .op = failing_map,
		.undo = failing_undo, .least = PAGES,
		.others = { -ENOENT, -EINVAL }, .check = failing_check,
	};
	struct fail_nth fail;

	fail_nth_open(_metadata, &fail);
	fail_each(_metadata, &fail, failing->bench->iommu.fd, &c, failing);
	fail_nth_close(&fail);
}

TEST_F_TIMEOUT(hugetlb, every_allocation_of_a_map_fails_once, 300)
{
	struct failing failing = {
		._metadata = _metadata, .bench = &self->bench,
		.fs = &self->fs, .fd = self->fd,
	};

	fail_each_allocation(_metadata, &failing);
}

TEST_F_TIMEOUT(hugetlb, every_allocation_for_reserved_file_fails_once, 300)
{
	struct failing failing = {
		._metadata = _metadata, .bench = &self->bench,
		.fs = &self->fs, .fd = self->fd, .reserved = PAGES,
	};

	self->va = process_maps(_metadata, self->fd, MAP_SHARED);
	ASSERT_EQ(0, munmap(self->va, LENGTH));
	fail_each_allocation(_metadata, &failing);
}

TEST_HARNESS_MAIN
