// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: changes of the process that pinned pages are accounted to
 *
 * IOMMU_IOAS_CHANGE_PROCESS moves the accounts of all IOASes to the calling process, or
 * after an error none of them. Device DMA goes on, and nothing stays accounted.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/fail_nth.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	32
#define LENGTH	(PAGES * SZ_4K)
/* Pages of each test: the first file in two IOASes, the second in one */
#define ALL	(2 * PAGES)

/* A user that runs no other process */
#define UNPRIVILEGED_UID	54322

/**
 * struct result - what a process saw that took over
 * @rc: result of the ioctl
 * @before: pages accounted to the process (VmPin) before the ioctl
 * @after: after it
 * @locked: VmLck after it
 * @hit: an allocation failed
 */
struct result {
	int rc;
	long before;
	long after;
	long locked;
	bool hit;
};

FIXTURE(change)
{
	struct iommu iommu;
	struct vfio_dev dev, second;
	struct counts counts;
	struct result *result;
	__u32 other;
	int files[2];
};

FIXTURE_VARIANT(change)
{
	bool mm;
};

FIXTURE_VARIANT_ADD(change, user) {};
FIXTURE_VARIANT_ADD(change, mm) { .mm = true };

static int change_process(int fd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return xioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

/* Return: a figure of a process in pages. */
static long figure(pid_t pid, const char *name)
{
	char path[64], line[128];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name) + 1) / 4;
	if (file)
		fclose(file);
	return value;
}

static void map_file(struct __test_metadata *_metadata, int fd, __u32 ioas, int file, __u64 iova)
{
	ASSERT_EQ(0, __ioas_map_file(fd, ioas, MAP_RW_FIXED, file, 0, &iova, LENGTH));
}

/* Both devices have a page table of their own; both IOASes have the first file. */
FIXTURE_SETUP(change)
{
	struct iommu *iommu = &self->iommu;
	__u64 mode = variant->mm, iova = IOVA;
	char path[256];

	iommu_open(_metadata, iommu, MODE_IOMMUFD);
	ASSERT_EQ(0, __iommu_destroy(iommu->fd, iommu->ioas_id));
	ASSERT_EQ(0, __iommu_option(iommu->fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_SET, 0, &mode));
	ASSERT_EQ(0, __ioas_alloc(iommu->fd, &iommu->ioas_id));
	ASSERT_EQ(0, __ioas_alloc(iommu->fd, &self->other));
	ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(&self->dev, iommu, path));
	ASSERT_EQ(0, mock_find("1g", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(&self->second, iommu, path));
	for (int i = 0; i < 2; i++) {
		self->files[i] = memfd_create("test", MFD_CLOEXEC);
		ASSERT_LE(0, self->files[i]);
		ASSERT_EQ(0, ftruncate(self->files[i], LENGTH));
	}
	self->result = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->result);
	counts_now(_metadata, &self->counts);

	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, self->other));
	map_file(_metadata, iommu->fd, iommu->ioas_id, self->files[0], IOVA);
	map_file(_metadata, iommu->fd, self->other, self->files[1], IOVA + LENGTH);
	ASSERT_EQ(0, __ioas_copy(iommu->fd, MAP_RW_FIXED, self->other, &iova,
				 iommu->ioas_id, IOVA, LENGTH));
	counts_check(_metadata, &self->counts, ALL, ALL, 0);
}

FIXTURE_TEARDOWN(change)
{
	vfio_dev_close(&self->dev);
	vfio_dev_close(&self->second);
	iommu_close(&self->iommu);
	close(self->files[0]);
	close(self->files[1]);
	munmap(self->result, SZ_4K);
}

/*
 * Take over in a new process. @limit: RLIMIT_MEMLOCK in pages, with which the process
 * has no privilege; -1 to keep the privilege. @nth: allocation that fails; 0 for none.
 * Return: the process, which waits for a signal.
 */
static pid_t take_over(struct __test_metadata *_metadata, int fd, struct result *result,
		       long limit, int nth)
{
	struct rlimit rlimit = { limit * SZ_4K, limit * SZ_4K };
	struct fail_nth fail;
	int done[2];
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(done));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (limit >= 0 && (setrlimit(RLIMIT_MEMLOCK, &rlimit) || setuid(UNPRIVILEGED_UID)))
			_exit(1);
		/* A failed test keeps no device. A change of the user would undo this. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		result->before = figure(getpid(), "VmPin:");
		if (nth) {
			fail_nth_open(_metadata, &fail);
			fail_nth_arm(_metadata, &fail, nth);
		}
		result->rc = change_process(fd);
		result->hit = nth && fail_nth_disarm(_metadata, &fail);
		result->after = figure(getpid(), "VmPin:");
		result->locked = figure(getpid(), "VmLck:");
		if (write(done[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(done[1]);
	ASSERT_EQ(1, read(done[0], &c, 1));
	close(done[0]);
	return child;
}

static void end(struct __test_metadata *_metadata, pid_t child)
{
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
}

static void expect(struct __test_metadata *_metadata, const struct result *result, int rc,
		   long pages, long locked)
{
	ASSERT_EQ(rc, result->rc);
	ASSERT_EQ(0, result->before);
	ASSERT_EQ(pages, result->after);
	ASSERT_EQ(locked, result->locked);
}

TEST_F(change, accounts_move_to_the_caller_and_back)
{
	struct result *result = self->result;
	int fd = self->iommu.fd;
	pid_t child;

	/* The process has the memory already. */
	ASSERT_EQ(0, change_process(fd));
	counts_check(_metadata, &self->counts, ALL, ALL, 0);
	for (int i = 0; i < 3; i++) {
		child = take_over(_metadata, fd, result, -1, 0);
		expect(_metadata, result, 0, ALL, 0);
		counts_check(_metadata, &self->counts, ALL, 0, 0);
		mock_fill(_metadata, &self->dev, IOVA, LENGTH, i);
		mock_fill(_metadata, &self->second, IOVA + LENGTH, LENGTH, i);
		ASSERT_EQ(0, change_process(fd));
		counts_check(_metadata, &self->counts, ALL, ALL, 0);
		ASSERT_EQ(0, figure(child, "VmPin:"));
		end(_metadata, child);
	}
}

/* Memory that a process took over stays accounted when it has exited. */
TEST_F(change, memory_of_a_process_that_has_exited_can_be_unmapped)
{
	int fd = self->iommu.fd;

	end(_metadata, take_over(_metadata, fd, self->result, -1, 0));
	expect(_metadata, self->result, 0, ALL, 0);
	counts_check(_metadata, &self->counts, ALL, 0, 0);
	ASSERT_EQ(0, __ioas_unmap(fd, self->iommu.ioas_id, 0, ~0ULL, NULL));
	counts_check(_metadata, &self->counts, ALL, 0, 0);
	ASSERT_EQ(0, __ioas_unmap(fd, self->other, 0, ~0ULL, NULL));
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Up to the limit and not a page more; a refused change is refused for all IOASes. */
TEST_F(change, change_beyond_the_limit_is_enomem)
{
	struct result *result = self->result;
	int fd = self->iommu.fd;

	for (long limit = 0; limit < ALL; limit += PAGES - 1) {
		end(_metadata, take_over(_metadata, fd, result, limit, 0));
		expect(_metadata, result, -ENOMEM, 0, 0);
		counts_check(_metadata, &self->counts, ALL, ALL, 0);
	}
	end(_metadata, take_over(_metadata, fd, result, ALL - 1, 0));
	expect(_metadata, result, -ENOMEM, 0, 0);
	counts_check(_metadata, &self->counts, ALL, ALL, 0);
	end(_metadata, take_over(_metadata, fd, result, ALL, 0));
	expect(_metadata, result, 0, ALL, variant->mm ? ALL : 0);
	counts_check(_metadata, &self->counts, ALL, 0, 0);
	/* The user, or the process, gets its limit back. */
	ASSERT_EQ(0, change_process(fd));
	counts_check(_metadata, &self->counts, ALL, ALL, 0);
	end(_metadata, take_over(_metadata, fd, result, ALL, 0));
	expect(_metadata, result, 0, ALL, variant->mm ? ALL : 0);
}

/* Two processes of a user that has no room for both do not need it. */
TEST_F(change, change_within_a_user_needs_no_second_room)
{
	struct result *result = self->result;
	int fd = self->iommu.fd;
	pid_t first;

	first = take_over(_metadata, fd, result, ALL, 0);
	expect(_metadata, result, 0, ALL, variant->mm ? ALL : 0);
	end(_metadata, take_over(_metadata, fd, result, ALL, 0));
	expect(_metadata, result, 0, ALL, variant->mm ? ALL : 0);
	ASSERT_EQ(0, figure(first, "VmPin:"));
	ASSERT_EQ(0, figure(first, "VmLck:"));
	end(_metadata, first);
}

TEST_F(change, user_memory_is_einval)
{
	struct iommu *iommu = &self->iommu;
	struct mem mem;

	mem_alloc(_metadata, &mem, SZ_4K, MEM_4K);
	ASSERT_EQ(0, __ioas_map(iommu->fd, self->other, mem.va, 8 * IOVA, SZ_4K, PROT_DMA_RW));
	end(_metadata, take_over(_metadata, iommu->fd, self->result, -1, 0));
	expect(_metadata, self->result, -EINVAL, 0, 0);
	counts_check(_metadata, &self->counts, ALL + 1, ALL + 1, 0);
	ASSERT_EQ(0, __ioas_unmap(iommu->fd, self->other, 8 * IOVA, SZ_4K, NULL));
	end(_metadata, take_over(_metadata, iommu->fd, self->result, -1, 0));
	expect(_metadata, self->result, 0, ALL, 0);
	mem_free(&mem);
}

TEST_F(change, bad_arguments_fail)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd), .__reserved = 1 };
	int fd = self->iommu.fd;

	ASSERT_EQ(-EOPNOTSUPP, xioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	cmd.__reserved = 0;
	cmd.size--;
	ASSERT_EQ(-EINVAL, xioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	ASSERT_EQ(-EFAULT, xioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, (void *)1));
}

/* Memory that is not pinned yet is accounted to the new process when it is. */
TEST_F(change, memory_that_is_pinned_later_is_accounted_to_the_caller)
{
	struct result *result = self->result;
	int fd = self->iommu.fd;
	pid_t child;

	ASSERT_EQ(0, __vfio_dev_detach(&self->dev));
	ASSERT_EQ(0, __vfio_dev_detach(&self->second));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	child = take_over(_metadata, fd, result, -1, 0);
	expect(_metadata, result, 0, 0, 0);
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, self->other));
	counts_check(_metadata, &self->counts, ALL, 0, 0);
	ASSERT_EQ(ALL, figure(child, "VmPin:"));
	end(_metadata, child);
}

/* Each allocation fails once, and the accounts stay with the process that had them. */
TEST_F_TIMEOUT(change, failed_allocation_changes_nothing, 120)
{
	struct result *result = self->result;
	int fd = self->iommu.fd, failed = 0, tries = 0;

	result->hit = true;
	for (int nth = 1; result->hit; nth = fail_nth_next(nth, !result->rc, &tries)) {
		end(_metadata, take_over(_metadata, fd, result, -1, nth));
		if (result->rc) {
			ASSERT_TRUE(result->hit);
			expect(_metadata, result, -ENOMEM, 0, 0);
			failed++;
		} else {
			expect(_metadata, result, 0, ALL, 0);
			ASSERT_EQ(0, change_process(fd));
		}
		counts_check(_metadata, &self->counts, ALL, ALL, 0);
	}
	/* At least an item, and its account, for each of both files. */
	ASSERT_LE(4, failed);
}

/* Pages that are pinned and unpinned during a change are accounted to one process. */
TEST_F_TIMEOUT(change, change_during_map_and_unmap_is_exact, 120)
{
	struct iommu *iommu = &self->iommu;
	__u64 iova;
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!child)
		self->result->after += !change_process(iommu->fd);
	for (int i = 0; i < 300; i++) {
		iova = 8 * IOVA;
		ASSERT_EQ(0, __ioas_copy(iommu->fd, MAP_RW_FIXED, iommu->ioas_id, &iova,
					 self->other, IOVA + LENGTH, LENGTH));
		iova = 16 * IOVA;
		map_file(_metadata, iommu->fd, self->other, self->files[0], iova);
		change_process(iommu->fd);
		ASSERT_EQ(0, __ioas_unmap(iommu->fd, iommu->ioas_id, 8 * IOVA, LENGTH, NULL));
		ASSERT_EQ(0, __ioas_unmap(iommu->fd, self->other, iova, LENGTH, NULL));
	}
	/* It stops when it has left the ioctl. */
	ASSERT_EQ(0, kill(child, SIGSTOP));
	ASSERT_EQ(child, waitpid(child, NULL, WUNTRACED));
	ASSERT_EQ(ALL, figure(getpid(), "VmPin:") + figure(child, "VmPin:"));
	end(_metadata, child);
	ASSERT_LT(0, self->result->after);
	ASSERT_EQ(0, change_process(iommu->fd));
	counts_check(_metadata, &self->counts, ALL, ALL, 0);
}

TEST_HARNESS_MAIN
