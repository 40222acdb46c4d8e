// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: accounting of pinned pages
 *
 * Memory is pinned and accounted once, however many mappings and page tables
 * share it, from the first user to the last. Without privilege, RLIMIT_MEMLOCK
 * limits the pinned pages: of all processes of a user together, or of each
 * address space with IOMMU_OPTION_RLIMIT_MODE.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)

/* A user that runs no other process */
#define UNPRIVILEGED_UID	54321

/**
 * struct source - memory to map
 * @iommu: the IOAS to map it in
 * @mem: mapping of the process
 * @file: file of the memory; -1 for anonymous memory
 */
struct source {
	struct iommu iommu;
	struct mem mem;
	int file;
};

FIXTURE(account)
{
	struct source source;
	struct vfio_dev dev, second;
	struct counts counts;
};

FIXTURE_VARIANT(account)
{
	enum mem_kind kind;
	const char *model;
	bool file;
	bool mm;
};

FIXTURE_VARIANT_ADD(account, user_4k) { .model = "4k", .kind = MEM_4K };

FIXTURE_VARIANT_ADD(account, user_thp) { .model = "2m", .kind = MEM_THP };

FIXTURE_VARIANT_ADD(account, user_file) { .model = "4k", .file = true };

FIXTURE_VARIANT_ADD(account, mm_4k) {
	.model = "4k", .kind = MEM_4K, .mm = true,
};

FIXTURE_VARIANT_ADD(account, mm_file) {
	.model = "4k", .file = true, .mm = true,
};

/* Allocate anonymous memory, or map a file shared. */
static void get_memory(struct __test_metadata *_metadata,
		       struct source *source, enum mem_kind kind, bool file)
{
	struct mem *mem = &source->mem;

	source->file = -1;
	if (!file) {
		mem_alloc(_metadata, mem, kind == MEM_THP ? SZ_2M : LENGTH,
			  kind);
		return;
	}
	source->file = memfd_create("test", MFD_CLOEXEC);
	ASSERT_LE(0, source->file);
	ASSERT_EQ(0, ftruncate(source->file, LENGTH));
	mem->length = LENGTH;
	mem->map_length = LENGTH;
	mem->map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED,
			source->file, 0);
	ASSERT_NE(MAP_FAILED, mem->map);
	mem->va = mem->map;
}

FIXTURE_SETUP(account)
{
	struct iommu *iommu = &self->source.iommu;
	__u64 mode = variant->mm;
	char path[256];

	iommu_open(_metadata, iommu, MODE_IOMMUFD);
	ASSERT_EQ(0, __iommu_destroy(iommu->fd, iommu->ioas_id));
	ASSERT_EQ(0, __iommu_option(iommu->fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_SET, 0, &mode));
	ASSERT_EQ(0, __ioas_alloc(iommu->fd, &iommu->ioas_id));
	ASSERT_EQ(0, mock_find(variant->model, 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(&self->dev, iommu, path));
	/* A device of another IOMMU has a page table of its own. */
	ASSERT_EQ(0, mock_find("1g", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(&self->second, iommu, path));
	get_memory(_metadata, &self->source, variant->kind, variant->file);
	counts_now(_metadata, &self->counts);
}

FIXTURE_TEARDOWN(account)
{
	vfio_dev_close(&self->dev);
	vfio_dev_close(&self->second);
	iommu_close(&self->source.iommu);
	mem_free(&self->source.mem);
}

/* Map a part of the memory: 0 or -errno. */
static int map_part(struct source *source, __u64 offset, __u64 iova,
		    __u64 length)
{
	struct iommu *iommu = &source->iommu;

	if (source->file >= 0)
		return __ioas_map_file(iommu->fd, iommu->ioas_id, MAP_RW_FIXED,
				       source->file, offset, &iova, length);
	return __iommu_map(iommu, source->mem.va + offset, iova, length,
			   PROT_DMA_RW);
}

static void copy_part(struct __test_metadata *_metadata, struct iommu *iommu,
		      __u32 to_id, __u64 to, __u64 iova, __u64 length)
{
	ASSERT_EQ(0, __ioas_copy(iommu->fd, MAP_RW_FIXED, to_id, &to,
				 iommu->ioas_id, iova, length));
}

/* Without a page table, a mapping pins nothing. */
TEST_F(account, mapping_is_pinned_while_a_page_table_needs_it)
{
	struct source *source = &self->source;
	__u64 length = source->mem.length;
	__u32 ioas = source->iommu.ioas_id;
	long pages = length / SZ_4K;

	ASSERT_EQ(0, map_part(source, 0, IOVA, length));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, __vfio_dev_attach(&self->dev, ioas));
		counts_check(_metadata, &self->counts, pages, pages, 0);
		ASSERT_EQ(0, __vfio_dev_attach(&self->second, ioas));
		counts_check(_metadata, &self->counts, pages, pages, 0);
		mock_fill(_metadata, &self->second, IOVA, length, 3);
		ASSERT_EQ(0, __vfio_dev_detach(&self->dev));
		counts_check(_metadata, &self->counts, pages, pages, 0);
		mock_fill(_metadata, &self->second, IOVA, length, i);
		ASSERT_EQ(i, source->mem.va[8]);
		ASSERT_EQ(0, __vfio_dev_detach(&self->second));
		counts_check(_metadata, &self->counts, 0, 0, 0);
	}
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, ioas));
	iommu_unmap(_metadata, &source->iommu, IOVA, length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Copies share pinned memory, within an IOAS and across IOASes. */
TEST_F(account, copies_are_pinned_once)
{
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;
	__u64 length = source->mem.length, half = length / 2;
	long pages = length / SZ_4K;
	__u32 ioas = iommu->ioas_id, other;

	ASSERT_EQ(0, __ioas_alloc(iommu->fd, &other));
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, ioas));
	ASSERT_EQ(0, map_part(source, 0, IOVA, length));
	copy_part(_metadata, iommu, ioas, IOVA + SZ_1G, IOVA, length);
	copy_part(_metadata, iommu, other, IOVA, IOVA, length);
	copy_part(_metadata, iommu, other, 4 * SZ_1G, IOVA + half, half);
	counts_check(_metadata, &self->counts, pages, pages, 0);
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, other));
	counts_check(_metadata, &self->counts, pages, pages, 0);

	/* Two copies in the other IOAS are left, and then the second half. */
	ASSERT_EQ(0, __ioas_unmap(iommu->fd, ioas, 0, ~0ULL, NULL));
	counts_check(_metadata, &self->counts, pages, pages, 0);
	mock_fill(_metadata, &self->second, IOVA, length, 0x55);
	ASSERT_EQ(0x55, source->mem.va[0]);
	ASSERT_EQ(0, __ioas_unmap(iommu->fd, other, IOVA, length, NULL));
	counts_check(_metadata, &self->counts, pages / 2, pages / 2, 0);
	mock_fill(_metadata, &self->second, 4 * SZ_1G, half, 0x66);
	ASSERT_EQ(0x66, source->mem.va[half]);
	ASSERT_EQ(0, __ioas_unmap(iommu->fd, other, 4 * SZ_1G, half, NULL));
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Memory that is mapped by two calls is pinned twice. */
TEST_F(account, memory_mapped_twice_is_pinned_twice)
{
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;

	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	ASSERT_EQ(0, map_part(source, 0, IOVA, 6 * SZ_4K));
	ASSERT_EQ(0, map_part(source, 3 * SZ_4K, IOVA + SZ_1G, 6 * SZ_4K));
	counts_check(_metadata, &self->counts, 12, 12, 0);
	iommu_unmap(_metadata, iommu, IOVA, 6 * SZ_4K);
	counts_check(_metadata, &self->counts, 6, 6, 0);
	ASSERT_EQ(-EBUSY, __iommu_destroy(iommu->fd, iommu->ioas_id));
	ASSERT_EQ(0, __vfio_dev_detach(&self->dev));
	ASSERT_EQ(0, __iommu_destroy(iommu->fd, iommu->ioas_id));
	counts_check(_metadata, &self->counts, 0, 0, 0);
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
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;
	long locked = variant->mm ? 10 : 0;

	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	become_unprivileged(_metadata, 10);
	ASSERT_EQ(-ENOMEM, map_part(source, 0, IOVA, 11 * SZ_4K));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	ASSERT_EQ(0, map_part(source, 0, IOVA, 10 * SZ_4K));
	counts_check(_metadata, &self->counts, 10, 10, locked);
	ASSERT_EQ(-ENOMEM, map_part(source, 10 * SZ_4K, SZ_1G, SZ_4K));
	counts_check(_metadata, &self->counts, 10, 10, locked);
	/* A copy is not accounted again. */
	copy_part(_metadata, iommu, iommu->ioas_id, SZ_1G, IOVA, 10 * SZ_4K);
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, iommu->ioas_id));
	counts_check(_metadata, &self->counts, 10, 10, locked);
	iommu_unmap(_metadata, iommu, IOVA, 10 * SZ_4K);
	ASSERT_EQ(-ENOMEM, map_part(source, 0, IOVA, SZ_4K));
	iommu_unmap(_metadata, iommu, SZ_1G, 10 * SZ_4K);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	for (int i = 0; i < 10; i++)
		CHECK_RC(0, map_part(source, i * SZ_4K, IOVA + i * SZ_4K,
				     SZ_4K), "page %d", i);
	ASSERT_EQ(-ENOMEM, map_part(source, 0, IOVA + 10 * SZ_4K, SZ_4K));
	counts_check(_metadata, &self->counts, 10, 10, locked);
}

/* An attach that would pin beyond the limit is refused. */
TEST_F(account, attach_beyond_the_limit_is_enomem)
{
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;

	become_unprivileged(_metadata, 10);
	ASSERT_EQ(0, map_part(source, 0, IOVA, 8 * SZ_4K));
	ASSERT_EQ(0, map_part(source, 0, IOVA + SZ_1G, 8 * SZ_4K));
	ASSERT_EQ(-ENOMEM, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	iommu_unmap(_metadata, iommu, IOVA, 8 * SZ_4K);
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	counts_check(_metadata, &self->counts, 8, 8, variant->mm ? 8 : 0);
	mock_fill(_metadata, &self->dev, IOVA + SZ_1G, 8 * SZ_4K, 1);
}

/* Memory that was mapped with privilege is unaccounted without it. */
TEST_F(account, privileged_map_has_no_limit)
{
	struct source *source = &self->source;

	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, source->iommu.ioas_id));
	ASSERT_EQ(0, map_part(source, 0, IOVA, LENGTH));
	counts_check(_metadata, &self->counts, PAGES, PAGES, 0);
	become_unprivileged(_metadata, 0);
	iommu_unmap(_metadata, &source->iommu, IOVA, LENGTH);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	ASSERT_EQ(-ENOMEM, map_part(source, 0, IOVA, SZ_4K));
}

/* Map in a process that exits at once: 0 or -errno. */
static int map_and_exit(struct __test_metadata *_metadata,
			struct source *source, __u64 iova, __u64 length)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child)
		_exit(-map_part(source, 0, iova, length));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

/*
 * Two processes of one user share the limit of the user, or each has its own
 * with RLIMIT_MODE. Mappings of a process that has exited stay accounted.
 */
TEST_F(account, two_processes_share_or_have_their_limit)
{
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;
	bool mm = variant->mm;

	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	become_unprivileged(_metadata, 10);
	ASSERT_EQ(0, map_and_exit(_metadata, source, IOVA, 6 * SZ_4K));
	counts_check(_metadata, &self->counts, 6, 0, 0);
	ASSERT_EQ(mm ? 0 : -ENOMEM, map_part(source, 0, SZ_1G, 5 * SZ_4K));
	if (mm)
		iommu_unmap(_metadata, iommu, SZ_1G, 5 * SZ_4K);
	ASSERT_EQ(0, map_part(source, 0, SZ_1G, 4 * SZ_4K));
	ASSERT_EQ(mm ? 0 : -ENOMEM,
		  map_and_exit(_metadata, source, 2 * SZ_1G, SZ_4K));
	/* The unmap by another process unaccounts the mapping process. */
	iommu_unmap(_metadata, iommu, IOVA, 6 * SZ_4K);
	counts_check(_metadata, &self->counts, 4, 4, mm ? 4 : 0);
	ASSERT_EQ(0, map_part(source, 0, IOVA, 6 * SZ_4K));
	ASSERT_EQ(-ENOMEM, map_part(source, 0, 3 * SZ_1G, SZ_4K));
	counts_check(_metadata, &self->counts, 10, 10, mm ? 10 : 0);
}

/*
 * The mapping process has exited before the attach: only files can be pinned.
 */
TEST_F(account, attach_after_exit_of_mapping_process_pins_files_only)
{
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;
	bool file = variant->file;

	ASSERT_EQ(0, map_and_exit(_metadata, source, IOVA, LENGTH));
	ASSERT_EQ(file ? 0 : -EFAULT,
		  __vfio_dev_attach(&self->dev, iommu->ioas_id));
	counts_check(_metadata, &self->counts, file ? PAGES : 0, 0, 0);
	if (file)
		mock_fill(_metadata, &self->dev, IOVA, LENGTH, 3);
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* The compat container accounts to the user, as /dev/iommu does. */
TEST_F(account, compat_container_accounts_to_the_user)
{
	__u8 *va = self->source.mem.va;
	struct bench bench;
	struct iommu *iommu = &bench.iommu;

	bench_open(_metadata, &bench, MODE_COMPAT, "2k");
	become_unprivileged(_metadata, 10);
	ASSERT_EQ(-ENOMEM, __iommu_map(iommu, va, IOVA, 11 * SZ_4K,
				       PROT_DMA_RW));
	iommu_map(_metadata, iommu, va, IOVA, 10 * SZ_4K);
	counts_check(_metadata, &self->counts, 10, 10, 0);
	iommu_unmap(_metadata, iommu, IOVA, 10 * SZ_4K);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	bench_close(_metadata, &bench);
}

/* A page that is pinned by a driver and for a page table is accounted once. */
TEST_F(account, page_pinned_by_a_driver_too_is_accounted_once)
{
	struct source *source = &self->source;
	struct iommu *iommu = &source->iommu;
	__u64 length = source->mem.length;
	long all = length / SZ_4K;
	struct vfio_dev mdev;
	char path[256];

	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&mdev, iommu, path));
	ASSERT_EQ(0, map_part(source, 0, IOVA, length));
	mock_fill(_metadata, &mdev, IOVA + SZ_4K, 4 * SZ_4K, 1);
	counts_check(_metadata, &self->counts, 4, 4, 0);
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, iommu->ioas_id));
	counts_check(_metadata, &self->counts, all, all, 0);
	mock_fill(_metadata, &mdev, IOVA + 8 * SZ_4K, 4 * SZ_4K, 1);
	counts_check(_metadata, &self->counts, all, all, 0);
	ASSERT_EQ(0, __vfio_dev_detach(&self->dev));
	counts_check(_metadata, &self->counts, 8, 8, 0);
	mock_fill(_metadata, &mdev, IOVA, 2 * SZ_4K, 7);
	counts_check(_metadata, &self->counts, 9, 9, 0);
	ASSERT_EQ(0, __vfio_dev_reset(&mdev));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	ASSERT_EQ(7, source->mem.va[0]);
	mock_fill(_metadata, &mdev, IOVA, 2 * SZ_4K, 7);
	iommu_unmap(_metadata, iommu, IOVA, length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	vfio_dev_close(&mdev);
}

TEST_HARNESS_MAIN
