// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: queries whose bitmap is in memory that is never delivered
 *
 * A page fault may take any time in userspace: here, the owner of a userfaultfd
 * never resolves it. A query that waits in such a fault can be killed and loses
 * no dirty page: the next query reports every page. Meanwhile, calls of other
 * processes on the same IOAS complete, or can be killed as well.
 *
 * A child makes the query that waits. The parent does not map the memory that
 * is never delivered, so the parent cannot block.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "lib/counts.h"
#include "lib/test.h"
#include "lib/report.h"

#define IOVA	0x40000000ULL
/* As many pages as there are bits in a word of a bitmap of type1 */
#define AREA	(64 * SZ_4K)
/* A second mapping of the same memory */
#define OTHER	(IOVA + AREA)
/* IOVAs of one page of bitmap with a bit per 4 KiB */
#define PER_PAGE	(SZ_4K * 8 * SZ_4K)
/* IOVAs of a window, the 512 pages of bitmap that a query pins at a time */
#define PER_WINDOW	(512 * PER_PAGE)

/* Time limit of a killed call, for a shared machine under emulation */
#define KILLED_MS	1000
/* A call that has not returned after this time is considered stuck. */
#define STUCK_MS	500

/**
 * struct child - a process that makes one call
 * @pid: the process
 * @result: pipe for the result of the call
 */
struct child {
	pid_t pid;
	int result[2];
};

FIXTURE(dirty_fault)
{
	struct bench bench;
	struct guarded_bitmap bm;
	struct child stuck;
	struct child beside;
	struct child behind;
	struct counts before;
};

FIXTURE_VARIANT(dirty_fault)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(dirty_fault, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(dirty_fault, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(dirty_fault, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(dirty_fault)
{
	struct bench *bench = &self->bench;

	counts_now(_metadata, &self->before);
	bench_open(_metadata, bench, variant->mode, "4k");
	bench_memory(_metadata, bench, IOVA, AREA, MEM_4K);
	/*
	 * Type1 queries whole mappings only, so each other query has its own.
	 */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, OTHER, AREA);
	bench_track(_metadata, bench);
}

static void child_kill(struct child *child)
{
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

static void child_reap(struct child *child)
{
	if (child->pid <= 0)
		return;
	waitpid(child->pid, NULL, 0);
	close(child->result[0]);
	child->pid = 0;
}

/*
 * A child may wait for the other one, so kill both before waiting for either.
 */
FIXTURE_TEARDOWN(dirty_fault)
{
	child_kill(&self->behind);
	child_kill(&self->beside);
	child_kill(&self->stuck);
	child_reap(&self->stuck);
	child_reap(&self->beside);
	child_reap(&self->behind);
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

/* The call of a child: 0 or -errno. */
typedef int (*child_call)(struct bench *bench, __u64 length, __u64 missing);

static void child_start(struct __test_metadata *_metadata, struct child *child,
			child_call call, struct bench *bench, __u64 length,
			__u64 missing)
{
	int rc;

	CHECK_RC(0, pipe(child->result), "cannot create a pipe");
	child->pid = fork();
	CHECK(child->pid >= 0, "cannot fork");
	if (child->pid) {
		close(child->result[1]);
		return;
	}
	/* A test that fails ends without its teardown. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rc = call(bench, length, missing);
	if (write(child->result[1], &rc, sizeof(rc)) != sizeof(rc))
		_exit(1);
	_exit(0);
}

/* Return true if the child's call returned within @milliseconds. */
static bool child_returned(struct child *child, int milliseconds, int *rc)
{
	struct pollfd pfd = { .fd = child->result[0], .events = POLLIN };

	return poll(&pfd, 1, milliseconds) == 1 && pfd.revents & POLLIN &&
	       read(child->result[0], rc, sizeof(*rc)) == sizeof(*rc);
}

/* Check that the child's call succeeds, or waits, which is logged. */
static void child_succeeds_or_waits(struct __test_metadata *_metadata,
				    struct child *child, const char *what)
{
	int rc;

	if (!child_returned(child, KILLED_MS, &rc)) {
		TH_LOG("the %s waits", what);
		return;
	}
	CHECK_RC(0, rc, "the %s failed", what);
}

/* Kill the child and return true if it ends in time. */
static bool child_dies(struct child *child)
{
	kill(child->pid, SIGKILL);
	for (int i = 0; i < KILLED_MS / 10; i++) {
		if (waitpid(child->pid, NULL, WNOHANG) == child->pid) {
			close(child->result[0]);
			child->pid = 0;
			return true;
		}
		usleep(10 * 1000);
	}
	return false;
}

/* Called in a child only, as its page faults are never resolved. */
static int never_comes(void *at, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)at, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

/*
 * Allocate a bitmap for @length bytes of IOVAs. Pages from number @missing on
 * are never delivered; the pages before exist.
 */
static __u8 *missing_bitmap(__u64 length, __u64 missing)
{
	size_t bytes = (length / SZ_4K / 8 + SZ_4K - 1) & ~(SZ_4K - 1);
	__u8 *bits;

	bits = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bits == MAP_FAILED || madvise(bits, bytes, MADV_NOHUGEPAGE) ||
	    never_comes(bits + missing * SZ_4K, bytes - missing * SZ_4K))
		return NULL;
	memset(bits, 0, missing * SZ_4K);
	return bits;
}

static int call_query(struct bench *bench, __u64 length, __u64 missing)
{
	__u8 *bits = missing_bitmap(length, missing);

	if (!bits)
		return -ENODATA;
	return __bench_query(bench, 0, IOVA, length, SZ_4K, bits);
}

static int call_unmap(struct bench *bench, __u64 length, __u64 missing)
{
	__u8 *bits = missing_bitmap(length, missing);

	if (!bits)
		return -ENODATA;
	return __type1_unmap_bitmap(bench->iommu.fd, IOVA, &length, SZ_4K, bits,
				    length / SZ_4K / 8);
}

static int call_map(struct bench *bench, __u64 length, __u64 skip)
{
	return __iommu_map(&bench->iommu, bench->mem.va, IOVA + SZ_1G + skip,
			   length, PROT_DMA_RW);
}

static int call_good_query(struct bench *bench, __u64 length, __u64 skip)
{
	__u8 bits[64] = {};

	return __bench_query(bench, 0, IOVA + skip, length, SZ_4K, bits);
}

/* Start a query whose bitmap is never delivered, and check that it waits. */
static void start_stuck(struct __test_metadata *_metadata, struct child *child,
			child_call call, struct bench *bench, __u64 length,
			__u64 missing)
{
	int rc = 0;

	child_start(_metadata, child, call, bench, length, missing);
	CHECK(!child_returned(child, STUCK_MS, &rc), "it returned %d", rc);
}

/* Check that the first page of every area is dirty. */
static void expect_all(struct __test_metadata *_metadata, struct bench *bench,
		       struct guarded_bitmap *bm, __u64 length,
		       const __u64 *dirty, size_t count)
{
	bitmap_alloc(_metadata, bm, length / SZ_4K, 0);
	bench_query(_metadata, bench, bm, IOVA, SZ_4K);
	for (size_t i = 0; i < count; i++)
		CHECK(bitmap_test(bm, (dirty[i] - IOVA) / SZ_4K),
		      "the page at 0x%llx is lost", dirty[i]);
	CHECK(bitmap_count(bm) == count, "%zu pages, not %zu",
	      bitmap_count(bm), count);
}

TEST_F(dirty_fault, killed_query_returns_and_loses_nothing)
{
	const __u64 dirty[] = { IOVA + SZ_4K, IOVA + 9 * SZ_4K };
	struct bench *bench = &self->bench;

	mock_fill(_metadata, &bench->dev, dirty[0], 1, 1);
	start_stuck(_metadata, &self->stuck, call_query, bench, AREA, 0);
	mock_fill(_metadata, &bench->dev, dirty[1], 1, 1);
	ASSERT_TRUE(child_dies(&self->stuck));
	expect_all(_metadata, bench, &self->bm, AREA, dirty, 2);
}

/* The bitmap is partly there, so the query may have cleared dirty bits. */
TEST_F(dirty_fault, killed_query_of_a_bitmap_that_is_half_there_loses_nothing)
{
	const __u64 dirty[] = { IOVA + SZ_4K, IOVA + PER_PAGE + SZ_4K };
	const __u64 length = PER_PAGE + AREA;
	struct bench *bench = &self->bench;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA + PER_PAGE,
		  AREA);
	for (int i = 0; i < 2; i++)
		mock_fill(_metadata, &bench->dev, dirty[i], 1, 1);
	start_stuck(_metadata, &self->stuck, call_query, bench, length, 1);
	ASSERT_TRUE(child_dies(&self->stuck));
	expect_all(_metadata, bench, &self->bm, length, dirty, 2);
}

/* All of the first window of the bitmap is there, none of the second one. */
TEST_F(dirty_fault, killed_query_in_its_second_window_loses_nothing)
{
	const __u64 dirty[] = { IOVA + SZ_4K, IOVA + PER_WINDOW + SZ_4K };
	const __u64 length = PER_WINDOW + AREA;
	struct bench *bench = &self->bench;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA + PER_WINDOW,
		  AREA);
	for (int i = 0; i < 2; i++)
		mock_fill(_metadata, &bench->dev, dirty[i], 1, 1);
	start_stuck(_metadata, &self->stuck, call_query, bench, length, 512);
	ASSERT_TRUE(child_dies(&self->stuck));
	expect_all(_metadata, bench, &self->bm, length, dirty, 2);
}

TEST_F(dirty_fault, killed_unmap_with_bitmap_unmaps_and_loses_nothing)
{
	const __u64 dirty[] = { IOVA + SZ_4K };
	struct bench *bench = &self->bench;

	if (variant->mode == MODE_IOMMUFD)
		return;	/* The unmap of iommufd has no bitmap. */
	mock_fill(_metadata, &bench->dev, dirty[0], 1, 1);
	start_stuck(_metadata, &self->stuck, call_unmap, bench, AREA, 0);
	ASSERT_TRUE(child_dies(&self->stuck));
	expect_all(_metadata, bench, &self->bm, AREA, dirty, 1);
	iommu_unmap(_metadata, &bench->iommu, IOVA, AREA);
}

/* DMA and other queries continue; those of a container may wait, killable. */
TEST_F(dirty_fault, query_beside_one_that_waits_returns_or_dies)
{
	const __u64 dirty[] = { IOVA + 2 * SZ_4K };
	struct bench *bench = &self->bench;
	bool returned;
	int rc;

	start_stuck(_metadata, &self->stuck, call_query, bench, AREA, 0);
	for (int i = 0; i < 3; i++) {
		/* Alternate between other IOVAs and the same IOVAs. */
		child_start(_metadata, &self->beside, call_good_query, bench,
			    AREA, i % 2 ? 0 : OTHER - IOVA);
		returned = child_returned(&self->beside, KILLED_MS, &rc);
		ASSERT_TRUE(returned || variant->mode != MODE_IOMMUFD);
		ASSERT_EQ(0, returned ? rc : 0);
		ASSERT_TRUE(child_dies(&self->beside));
	}
	mock_fill(_metadata, &bench->dev, dirty[0], 1, 1);
	ASSERT_TRUE(child_dies(&self->stuck));
	expect_all(_metadata, bench, &self->bm, AREA, dirty, 1);
}

/* A map and the queries after it complete, or can be killed. */
TEST_F(dirty_fault, map_beside_a_query_that_waits_returns_or_dies)
{
	const __u64 dirty[] = { IOVA + 2 * SZ_4K };
	struct bench *bench = &self->bench;

	start_stuck(_metadata, &self->stuck, call_query, bench, AREA, 0);
	child_start(_metadata, &self->beside, call_map, bench, AREA, 0);
	child_succeeds_or_waits(_metadata, &self->beside, "map");
	child_start(_metadata, &self->behind, call_good_query, bench, AREA,
		    OTHER - IOVA);
	child_succeeds_or_waits(_metadata, &self->behind, "query after it");
	EXPECT_TRUE(child_dies(&self->behind));
	EXPECT_TRUE(child_dies(&self->beside));
	mock_fill(_metadata, &bench->dev, dirty[0], 1, 1);
	EXPECT_TRUE(child_dies(&self->stuck));
	expect_all(_metadata, bench, &self->bm, AREA, dirty, 1);
}

/* Map memory that is never delivered. */
static int call_map_missing(struct bench *bench, __u64 length, __u64 skip)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || never_comes(at, length))
		return -ENODATA;
	return __iommu_map(&bench->iommu, at, IOVA + 2 * SZ_1G + skip, length,
			   PROT_DMA_RW);
}

TEST_F(dirty_fault, query_beside_a_map_of_memory_that_never_comes_returns_or_dies)
{
	const __u64 dirty[] = { IOVA + 2 * SZ_4K };
	struct bench *bench = &self->bench;

	mock_fill(_metadata, &bench->dev, dirty[0], 1, 1);
	start_stuck(_metadata, &self->stuck, call_map_missing, bench, AREA, 0);
	child_start(_metadata, &self->beside, call_good_query, bench, AREA,
		    OTHER - IOVA);
	child_succeeds_or_waits(_metadata, &self->beside, "query");
	EXPECT_TRUE(child_dies(&self->beside));
	/* The killed process leaves nothing mapped and nothing pinned. */
	ASSERT_TRUE(child_dies(&self->stuck));
	ASSERT_EQ(0, __iommu_map(&bench->iommu, bench->mem.va,
				 IOVA + 2 * SZ_1G, AREA, PROT_DMA_RW));
	expect_all(_metadata, bench, &self->bm, AREA, dirty, 1);
}

/* Query with a bitmap that is delivered @delay ms later. */
static int call_late_query(struct bench *bench, __u64 length, __u64 delay)
{
	size_t bytes = SZ_4K;
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_zeropage zero = {};
	__u8 *bits = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC), rc;
	pid_t helper;

	if (bits == MAP_FAILED || fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -ENODATA;
	reg.range.start = (unsigned long)bits;
	reg.range.len = bytes;
	zero.range = reg.range;
	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	helper = fork();
	if (!helper) {
		/* The memory is the parent's; both processes share the file. */
		usleep(delay * 1000);
		_exit(ioctl(fd, UFFDIO_ZEROPAGE, &zero) ? 1 : 0);
	}
	rc = __bench_query(bench, 0, IOVA, length, SZ_4K, bits);
	waitpid(helper, NULL, 0);
	return rc ?: bits[0] | bits[1] << 8;
}

TEST_F(dirty_fault, query_of_a_bitmap_that_comes_late_reports_all)
{
	struct bench *bench = &self->bench;
	int rc;

	mock_fill(_metadata, &bench->dev, IOVA + SZ_4K, 1, 1);
	mock_fill(_metadata, &bench->dev, IOVA + 9 * SZ_4K, 1, 1);
	child_start(_metadata, &self->stuck, call_late_query, bench, AREA,
		    STUCK_MS);
	ASSERT_FALSE(child_returned(&self->stuck, STUCK_MS / 2, &rc));
	ASSERT_TRUE(child_returned(&self->stuck, STUCK_MS + KILLED_MS, &rc));
	ASSERT_EQ(1 << 1 | 1 << 9, rc);
}

TEST_HARNESS_MAIN
