// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: accounting of memory that is mapped in a type1 container
 *
 * Pinned memory is accounted as locked memory of the process that mapped it,
 * limited by RLIMIT_MEMLOCK unless it has CAP_IPC_LOCK. It stays accounted to
 * this process whichever process unmaps it, until another process takes the
 * accounting over: see type1_vaddr_test.c.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)

/* A user that runs no other process */
#define UNPRIVILEGED_UID	54321

#define ENTRY_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

/* Argument of this program when it executes itself, see after_exec() */
#define AFTER_EXEC	"--after-exec"

FIXTURE(account)
{
	struct bench bench;
	struct counts counts;
};

FIXTURE_SETUP(account)
{
	struct bench *bench = &self->bench;

	sysfs_write(EMULATED_PIN, "Y");
	bench_open(_metadata, bench, MODE_TYPE1, "4k");
	/* Shared, so that other processes see the device's writes. */
	bench->mem.length = LENGTH;
	bench->mem.map_length = LENGTH;
	bench->mem.map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, bench->mem.map);
	bench->mem.va = bench->mem.map;
	counts_now(_metadata, &self->counts);
}

FIXTURE_TEARDOWN(account)
{
	bench_close(_metadata, &self->bench);
}

static void attach(struct __test_metadata *_metadata, struct bench *bench,
		   struct vfio_dev *dev, const char *model)
{
	char path[256];

	ASSERT_EQ(0, mock_find(model, 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(dev, &bench->iommu, path));
}

/* Check the pins of mapped memory as long as the process has CAP_IPC_LOCK. */
static void check_privileged(struct __test_metadata *_metadata,
			     const struct counts *counts,
			     const struct iommu *iommu, long pages)
{
	counts_check(_metadata, counts, pages, pages,
		     iommu_locked(iommu, pages));
}

static void become_unprivileged(struct __test_metadata *_metadata, long limit)
{
	struct rlimit rlimit = { limit * SZ_4K, limit * SZ_4K };

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &rlimit));
	ASSERT_EQ(0, setuid(UNPRIVILEGED_UID));
}

/* Up to the limit and not a page more; a refused map changes nothing. */
TEST_F(account, map_beyond_the_limit_is_enomem)
{
	struct iommu *iommu = &self->bench.iommu;
	__u8 *va = self->bench.mem.va;

	become_unprivileged(_metadata, 10);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(-ENOMEM, __iommu_map(iommu, va, IOVA, 11 * SZ_4K,
					       PROT_DMA_RW));
		counts_check(_metadata, &self->counts, 0, 0, 0);
		iommu_map(_metadata, iommu, va, IOVA, 6 * SZ_4K);
		iommu_map(_metadata, iommu, va, IOVA + SZ_1G, 4 * SZ_4K);
		counts_check(_metadata, &self->counts, 10, 10, 10);
		ASSERT_EQ(-ENOMEM, __iommu_map(iommu, va, IOVA + 2 * SZ_1G,
					       SZ_4K, PROT_DMA_RW));
		mock_fill(_metadata, &self->bench.dev, IOVA, 6 * SZ_4K, i);
		iommu_unmap(_metadata, iommu, IOVA, 6 * SZ_4K);
		counts_check(_metadata, &self->counts, 4, 4, 4);
		iommu_unmap(_metadata, iommu, IOVA + SZ_1G, 4 * SZ_4K);
		counts_check(_metadata, &self->counts, 0, 0, 0);
	}
}

/* CAP_IPC_LOCK lifts the limit, but pinned memory is accounted. */
TEST_F(account, privileged_map_is_accounted_without_limit)
{
	struct rlimit rlimit = { 0, 0 };
	struct iommu *iommu = &self->bench.iommu;
	__u8 *va = self->bench.mem.va;

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &rlimit));
	iommu_map(_metadata, iommu, va, IOVA, LENGTH);
	check_privileged(_metadata, &self->counts, iommu, PAGES);
	/* What was accounted with privilege is unaccounted without it. */
	become_unprivileged(_metadata, 0);
	ASSERT_EQ(-ENOMEM, __iommu_map(iommu, va, SZ_1G, SZ_4K, PROT_DMA_RW));
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/*
 * Pages that a driver has pinned too are accounted once; without IOMMU as well.
 */
TEST_F(account, page_pinned_by_a_driver_too_is_accounted_once)
{
	struct bench *bench = &self->bench;
	struct vfio_dev mdev;

	attach(_metadata, bench, &mdev, "emulated");
	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA, LENGTH);
	check_privileged(_metadata, &self->counts, &bench->iommu, PAGES);
	mock_fill(_metadata, &mdev, IOVA, 4 * SZ_4K, 1);
	check_privileged(_metadata, &self->counts, &bench->iommu, PAGES);
	vfio_dev_close(&bench->dev);
	check_privileged(_metadata, &self->counts, &bench->iommu, 4);
	mock_fill(_metadata, &mdev, IOVA + 3 * SZ_4K, 4 * SZ_4K, 2);
	check_privileged(_metadata, &self->counts, &bench->iommu, 7);
	ASSERT_EQ(2, bench->mem.va[6 * SZ_4K]);
	attach(_metadata, bench, &bench->dev, "2m");
	check_privileged(_metadata, &self->counts, &bench->iommu, PAGES);
	ASSERT_EQ(0, __vfio_dev_reset(&mdev));
	check_privileged(_metadata, &self->counts, &bench->iommu, PAGES);
	vfio_dev_close(&bench->dev);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	mock_fill(_metadata, &mdev, IOVA, SZ_4K, 1);
	iommu_unmap(_metadata, &bench->iommu, IOVA, LENGTH);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	vfio_dev_close(&mdev);
}

/* A device with an IOMMU pins all mapped memory, which may exceed the limit. */
TEST_F(account, attach_beyond_the_limit_is_enomem)
{
	struct bench *bench = &self->bench;
	struct vfio_dev mdev;

	attach(_metadata, bench, &mdev, "emulated");
	vfio_dev_close(&bench->dev);
	/* Opening a group takes root; the mapping process is another user. */
	for (int i = 0; i < 2; i++) {
		struct rlimit rlimit = { 10 * SZ_4K, RLIM_INFINITY };
		char path[256];

		ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
		ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &rlimit));
		ASSERT_EQ(0, seteuid(UNPRIVILEGED_UID));
		iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA,
			  (10 + !i) * SZ_4K);
		counts_check(_metadata, &self->counts, 0, 0, 0);
		ASSERT_EQ(0, seteuid(0));
		ASSERT_EQ(i ? 0 : -ENOMEM, __vfio_dev_open(&bench->dev,
							   &bench->iommu,
							   path));
		counts_check(_metadata, &self->counts, i * 10, i * 10, i * 10);
		iommu_unmap(_metadata, &bench->iommu, IOVA,
			    (10 + !i) * SZ_4K);
	}
	vfio_dev_close(&mdev);
}

/* Wait for a child and return its exit status as -errno. */
static int wait_for(struct __test_metadata *_metadata, pid_t child)
{
	int status;

	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

/* Memory of another process is accounted to it, also after it has exited. */
TEST_F(account, mapping_of_a_child_stays_accounted_to_it)
{
	struct iommu *iommu = &self->bench.iommu;
	__u8 *va = self->bench.mem.va;
	pid_t child;

	child = fork();
	if (!child)
		_exit(-__iommu_map(iommu, va, IOVA, LENGTH, PROT_DMA_RW));
	ASSERT_EQ(0, wait_for(_metadata, child));
	counts_check(_metadata, &self->counts, PAGES, 0, 0);
	mock_fill(_metadata, &self->bench.dev, IOVA, LENGTH, 9);
	ASSERT_EQ(9, va[8]);
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
	counts_check(_metadata, &self->counts, 0, 0, 0);

	/* The child unmaps memory of the parent. */
	iommu_map(_metadata, iommu, va, IOVA, LENGTH);
	child = fork();
	if (!child)
		_exit(-__iommu_unmap(iommu, IOVA, LENGTH, NULL));
	ASSERT_EQ(0, wait_for(_metadata, child));
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Check in the new program that none of its memory is locked at any time. */
static int after_exec(int fd)
{
	void *va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u64 unmapped;
	int rc;

	if (counts_locked())
		return 101;
	rc = __type1_unmap(fd, IOVA, LENGTH, &unmapped);
	if (rc)
		return -rc;
	if (unmapped != LENGTH || counts_locked())
		return 102;
	/* The map fails if the accounting has become negative. */
	rc = __type1_map(fd, va, IOVA, 10 * SZ_4K, PROT_DMA_RW);
	if (rc)
		return -rc;
	if (counts_locked() != 10)
		return 103;
	if (__type1_map(fd, va, SZ_1G, SZ_4K, PROT_DMA_RW) != -ENOMEM)
		return 104;
	rc = __type1_unmap(fd, IOVA, 10 * SZ_4K, &unmapped);
	if (rc)
		return -rc;
	return counts_locked() ? 105 : 0;
}

/* After exec() the process has another mm, but the mappings stay. */
TEST_F(account, mapping_from_before_exec_stays_pinned)
{
	struct bench *bench = &self->bench;
	struct rlimit rlimit = { 10 * SZ_4K, 10 * SZ_4K };
	char number[16];
	pid_t child;

	snprintf(number, sizeof(number), "%d", bench->iommu.fd);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (__iommu_map(&bench->iommu, bench->mem.va, IOVA, LENGTH,
				PROT_DMA_RW) ||
		    fcntl(bench->iommu.fd, F_SETFD, 0) ||
		    setrlimit(RLIMIT_MEMLOCK, &rlimit))
			_exit(106);
		execl("/proc/self/exe", "test", AFTER_EXEC, number, NULL);
		_exit(107);
	}
	ASSERT_EQ(0, wait_for(_metadata, child));
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/*
 * dma_entry_limit, a parameter of VFIO's container, limits the number of
 * mappings, whatever their size.
 */
TEST_F(account, map_beyond_the_entry_limit_is_enospc)
{
	struct vfio_iommu_type1_info_dma_avail avail;
	struct bench *bench = &self->bench;
	struct iommu *iommu = &bench->iommu;

	if (iommu->mode != MODE_TYPE1) {
		ASSERT_EQ(-ENOENT, sysfs_write(ENTRY_LIMIT, "3"));
		return;
	}
	/* The limit applies to containers opened from now on. */
	bench_close(_metadata, bench);
	ASSERT_EQ(0, sysfs_write(ENTRY_LIMIT, "3"));
	bench_open(_metadata, bench, MODE_TYPE1, "4k");
	mem_alloc(_metadata, &bench->mem, LENGTH, MEM_4K);
	for (int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 3; i++) {
			ASSERT_EQ(0, __type1_info_cap(iommu->fd,
						      VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
						      &avail, sizeof(avail)));
			ASSERT_EQ(3 - i, avail.avail);
			iommu_map(_metadata, iommu, bench->mem.va,
				  IOVA + i * SZ_1G, (1 + i) * SZ_4K);
		}
		ASSERT_EQ(-ENOSPC, __iommu_map(iommu, bench->mem.va, SZ_1M,
					       SZ_4K, PROT_DMA_RW));
		ASSERT_EQ(-EEXIST, __iommu_map(iommu, bench->mem.va, IOVA,
					       SZ_4K, PROT_DMA_RW));
		iommu_unmap(_metadata, iommu, IOVA + SZ_1G, 2 * SZ_4K);
		iommu_map(_metadata, iommu, bench->mem.va, SZ_1M, SZ_4K);
		ASSERT_EQ(-ENOSPC, __iommu_map(iommu, bench->mem.va, 5 * SZ_1G,
					       SZ_4K, PROT_DMA_RW));
		ASSERT_EQ(0, __type1_unmap_flags(iommu->fd,
						 VFIO_DMA_UNMAP_FLAG_ALL, 0, 0,
						 NULL));
	}
	ASSERT_EQ(0, sysfs_write(ENTRY_LIMIT, "65535"));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], AFTER_EXEC)) {
		/* With CAP_IPC_LOCK there would be no limit. */
		if (setuid(UNPRIVILEGED_UID))
			return 108;
		return after_exec(atoi(argv[2]));
	}
	return test_harness_run(argc, argv);
}
