// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory that moves to another address
 *
 * A VMM that replaces itself invalidates the addresses of its memory, and its
 * successor process updates them. Meanwhile devices continue, dirty pages are
 * reported, and calls that need an address are refused.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define OTHER	0x50000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)

/* A user that runs no other process */
#define UNPRIVILEGED_UID	54321

#define VADDR	VFIO_DMA_UNMAP_FLAG_VADDR
#define ALL	VFIO_DMA_UNMAP_FLAG_ALL

FIXTURE(vaddr)
{
	struct bench bench;
	struct counts counts;
	struct report report;
	int file;
	__u8 *elsewhere;
};

FIXTURE_VARIANT(vaddr)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(vaddr, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(vaddr, compat) { .mode = MODE_COMPAT };

/* Map memory at two addresses, and the first address for the device. */
FIXTURE_SETUP(vaddr)
{
	struct bench *bench = &self->bench;
	struct mem *mem = &bench->mem;

	sysfs_write(EMULATED_PIN, "Y");
	bench_open(_metadata, bench, variant->mode, "4k");
	self->file = memfd_create("test", MFD_CLOEXEC);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, LENGTH));
	mem->length = LENGTH;
	mem->map_length = LENGTH;
	mem->map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED,
			self->file, 0);
	ASSERT_NE(MAP_FAILED, mem->map);
	mem->va = mem->map;
	self->elsewhere = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED,
			       self->file, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->elsewhere);
	counts_now(_metadata, &self->counts);
	iommu_map(_metadata, &bench->iommu, mem->va, IOVA, LENGTH);
	report_init(_metadata, &self->report, IOVA, PAGES);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
}

FIXTURE_TEARDOWN(vaddr)
{
	report_free(&self->report);
	bench_close(_metadata, &self->bench);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

static void invalidate(struct __test_metadata *_metadata, struct bench *bench)
{
	__u64 bytes;

	ASSERT_EQ(0, __type1_unmap_flags(bench->iommu.fd, VADDR, IOVA, LENGTH,
					 &bytes));
	ASSERT_EQ(LENGTH, bytes);
}

static int update(struct bench *bench, const void *va)
{
	return __type1_map_flags(bench->iommu.fd, VFIO_DMA_MAP_FLAG_VADDR, va,
				 IOVA, LENGTH);
}

/* Check that dirty pages are reported, and that all memory stays mapped. */
static void check_device_continues(struct __test_metadata *_metadata,
				   struct bench *bench, struct report *report,
				   size_t page)
{
	report_write(_metadata, report, &bench->dev, REPORT_WRITES,
		     page * SZ_4K, 2 * SZ_4K);
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
}

TEST_F(vaddr, moved_memory_stays_mapped_and_tracked)
{
	struct bench *bench = &self->bench;
	struct counts before;
	struct vfio_dev mdev;
	char path[128];

	counts_now(_metadata, &before);
	ASSERT_EQ(1, xioctl(bench->iommu.fd, VFIO_CHECK_EXTENSION,
			    (void *)VFIO_UPDATE_VADDR));
	for (int i = 0; i < 4; i++) {
		invalidate(_metadata, bench);
		check_device_continues(_metadata, bench, &self->report, 2 * i);
		counts_check(_metadata, &before, 0, 0, 0);
		ASSERT_EQ(0, update(bench, i % 2 ? bench->mem.va :
						   self->elsewhere));
		check_device_continues(_metadata, bench, &self->report, 20 + i);
		counts_check(_metadata, &before, 0, 0, 0);
	}
	ASSERT_EQ(1, self->elsewhere[20 * SZ_4K]);
	/* Memory is pinned by the new address: the old one is unmapped. */
	invalidate(_metadata, bench);
	ASSERT_EQ(0, update(bench, self->elsewhere));
	ASSERT_EQ(0, munmap(bench->mem.map, LENGTH));
	bench->mem.map = NULL;
	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&mdev, &bench->iommu, path));
	vfio_dev_close(&bench->dev);
	mock_fill(_metadata, &mdev, IOVA + SZ_4K, SZ_4K, 7);
	ASSERT_EQ(7, self->elsewhere[SZ_4K]);
	vfio_dev_close(&mdev);
}

TEST_F(vaddr, invalidation_with_bad_arguments_changes_nothing)
{
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	int errno_split = bench->iommu.mode == MODE_TYPE1 ? -EINVAL : -ENOENT;
	__u64 bytes;

	ASSERT_EQ(errno_split,
		  __type1_unmap_flags(fd, VADDR, IOVA, SZ_4K, &bytes));
	ASSERT_EQ(errno_split,
		  __type1_unmap_flags(fd, VADDR, IOVA + SZ_4K, LENGTH, &bytes));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, VADDR, IOVA, 0, &bytes));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, VADDR | ALL, IOVA, LENGTH,
					       &bytes));
	ASSERT_EQ(0, __type1_unmap_flags(fd, VADDR, OTHER, LENGTH, &bytes));
	ASSERT_EQ(0, bytes);
	/* None of the refused calls has invalidated the mapping. */
	ASSERT_EQ(-EINVAL, update(bench, self->elsewhere));

	/*
	 * Of two mappings, the second one is invalid already: neither or both.
	 */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, OTHER, LENGTH);
	ASSERT_EQ(0, __type1_unmap_flags(fd, VADDR, OTHER, LENGTH, &bytes));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, VADDR, IOVA,
					       OTHER - IOVA + LENGTH, NULL));
	ASSERT_EQ(-EINVAL, __type1_unmap_flags(fd, VADDR | ALL, 0, 0, NULL));
	ASSERT_EQ(-EINVAL, update(bench, self->elsewhere));
	ASSERT_EQ(0, __type1_map_flags(fd, VFIO_DMA_MAP_FLAG_VADDR,
				       bench->mem.va, OTHER, LENGTH));
	ASSERT_EQ(0, __type1_unmap_flags(fd, VADDR | ALL, 0, 0, &bytes));
	ASSERT_EQ(2 * LENGTH, bytes);
	/* After an unmap there is no invalid mapping. */
	iommu_unmap(_metadata, &bench->iommu, OTHER, LENGTH);
	ASSERT_EQ(0, update(bench, self->elsewhere));
	check_device_continues(_metadata, bench, &self->report, 5);
}

TEST_F(vaddr, update_with_bad_arguments_is_refused)
{
	const __u32 flag = VFIO_DMA_MAP_FLAG_VADDR;
	struct bench *bench = &self->bench;
	__u8 *va = self->elsewhere;
	int fd = bench->iommu.fd;

	ASSERT_EQ(-EINVAL, update(bench, va));
	ASSERT_EQ(-ENOENT, __type1_map_flags(fd, flag, va, OTHER, LENGTH));
	invalidate(_metadata, bench);
	for (__u32 prot = VFIO_DMA_MAP_FLAG_READ; prot < flag; prot++)
		CHECK_RC(-EINVAL, __type1_map_flags(fd, flag | prot, va, IOVA,
						    LENGTH), "%u", prot);
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, flag, va, IOVA,
					     LENGTH - SZ_4K));
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, flag, va, IOVA + SZ_4K,
					     LENGTH - SZ_4K));
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, flag, va, IOVA,
					     LENGTH + SZ_4K));
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, flag, va + 1, IOVA, LENGTH));
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, flag, va, IOVA, 0));
	ASSERT_EQ(0, update(bench, va));
	ASSERT_EQ(-EINVAL, update(bench, va));
	check_device_continues(_metadata, bench, &self->report, 5);
}

/* Calls that have to pin an invalid mapping are refused. */
TEST_F(vaddr, calls_on_invalid_mapping_are_refused)
{
	static const char *const models[] = { "nodirty", "emulated" };
	struct bench *bench = &self->bench;
	struct vfio_dev dev;
	char path[128];

	invalidate(_metadata, bench);
	/* An access of /dev/iommu can be created, but cannot pin. */
	for (size_t i = 0; i < (bench->iommu.mode == MODE_TYPE1 ? 2 : 1); i++) {
		ASSERT_EQ(0, mock_find(models[i], 0, path, sizeof(path)));
		CHECK_RC(-EBUSY, __vfio_dev_open(&dev, &bench->iommu, path),
			 "%s", models[i]);
	}
	check_device_continues(_metadata, bench, &self->report, 9);
	/* Other memory can be mapped. */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, OTHER, LENGTH);
	iommu_unmap(_metadata, &bench->iommu, OTHER, LENGTH);
	ASSERT_EQ(0, update(bench, self->elsewhere));
	for (size_t i = 0; i < 2; i++) {
		ASSERT_EQ(0, mock_find(models[i], 0, path, sizeof(path)));
		CHECK_RC(0, __vfio_dev_open(&dev, &bench->iommu, path), "%s",
			 models[i]);
		mock_fill(_metadata, &dev, IOVA, SZ_4K, 3 + i);
		ASSERT_EQ(3 + i, bench->mem.va[0]);
		vfio_dev_close(&dev);
	}
}

/* With a device whose driver may pin, no mapping can be invalidated. */
TEST_F(vaddr, invalidation_with_device_that_pins_is_refused)
{
	struct bench *bench = &self->bench;
	struct vfio_dev mdev;
	char path[128];

	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&mdev, &bench->iommu, path));
	ASSERT_EQ(0, xioctl(bench->iommu.fd, VFIO_CHECK_EXTENSION,
			    (void *)VFIO_UPDATE_VADDR));
	ASSERT_EQ(-EBUSY, __type1_unmap_flags(bench->iommu.fd, VADDR, IOVA,
					      LENGTH, NULL));
	ASSERT_EQ(-EBUSY, __type1_unmap_flags(bench->iommu.fd, VADDR | ALL, 0,
					      0, NULL));
	ASSERT_EQ(-EINVAL, update(bench, self->elsewhere));
	mock_fill(_metadata, &mdev, IOVA, SZ_4K, 3);
	vfio_dev_close(&mdev);
	invalidate(_metadata, bench);
	ASSERT_EQ(0, update(bench, self->elsewhere));
}

/* Wait for a child and return its exit status as -errno. */
static int wait_for(struct __test_metadata *_metadata, pid_t child)
{
	int status;

	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

/* The accounting moves from the mapping process to the successor process. */
TEST_F(vaddr, update_by_another_process_moves_the_accounting)
{
	struct bench *bench = &self->bench;
	long locked = iommu_locked(&bench->iommu, PAGES);
	int rc;

	for (int i = 0; i < 2; i++) {
		pid_t child;

		invalidate(_metadata, bench);
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			rc = update(bench, self->elsewhere);
			if (!rc && counts_locked() != locked)
				_exit(101);
			_exit(-rc);
		}
		ASSERT_EQ(0, wait_for(_metadata, child));
		/* Only the accounting of the predecessor is left. */
		counts_check(_metadata, &self->counts, PAGES, 0, 0);
		check_device_continues(_metadata, bench, &self->report, 11);
		ASSERT_EQ(1, bench->mem.va[11 * SZ_4K]);
		invalidate(_metadata, bench);
		ASSERT_EQ(0, update(bench, bench->mem.va));
		counts_check(_metadata, &self->counts, PAGES, PAGES, locked);
	}
}

/* A process beyond its limit cannot take over the memory; another one can. */
TEST_F(vaddr, update_beyond_the_limit_is_enomem)
{
	struct rlimit rlimit = { SZ_4K, SZ_4K };
	struct bench *bench = &self->bench;
	pid_t child;

	invalidate(_metadata, bench);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (setrlimit(RLIMIT_MEMLOCK, &rlimit) ||
		    setuid(UNPRIVILEGED_UID))
			_exit(101);
		_exit(-update(bench, self->elsewhere));
	}
	ASSERT_EQ(-ENOMEM, wait_for(_metadata, child));
	counts_check(_metadata, &self->counts, PAGES, PAGES,
		     iommu_locked(&bench->iommu, PAGES));
	check_device_continues(_metadata, bench, &self->report, 11);
	ASSERT_EQ(0, update(bench, self->elsewhere));
	/* Exit while every mapping is invalid. */
	invalidate(_metadata, bench);
}

TEST_HARNESS_MAIN
