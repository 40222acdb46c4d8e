// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory that gets another address
 *
 * A VMM that replaces itself tells that the addresses of its memory are no good
 * any more, and its successor where they are now. Meanwhile devices go on, dirty
 * pages are told, and whatever would need an address is refused.
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

/* Nobody else in the machine has this one. */
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

/* The same memory at two addresses, the first of which is mapped. */
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

/* Dirty pages are told, and everything stays mapped and pinned. */
static void device_goes_on(struct __test_metadata *_metadata,
			   struct bench *bench, struct report *report,
			   size_t page)
{
	report_write(_metadata, report, &bench->dev, REPORT_WRITES,
		     page * SZ_4K, 2 * SZ_4K);
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
}

TEST_F(vaddr, elsewhere)
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
		device_goes_on(_metadata, bench, &self->report, 2 * i);
		counts_check(_metadata, &before, 0, 0, 0);
		ASSERT_EQ(0, update(bench, i % 2 ? bench->mem.va :
						   self->elsewhere));
		device_goes_on(_metadata, bench, &self->report, 20 + i);
		counts_check(_metadata, &before, 0, 0, 0);
	}
	ASSERT_EQ(1, self->elsewhere[20 * SZ_4K]);
	/* which it can be pinned through: the old one is gone */
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

TEST_F(vaddr, unmap_refused)
{
	struct bench *bench = &self->bench;
	int fd = bench->iommu.fd;
	int errno_split = variant->mode == MODE_TYPE1 ? -EINVAL : -ENOENT;
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
	/* none of these has invalidated it */
	ASSERT_EQ(-EINVAL, update(bench, self->elsewhere));

	/* two at once, of which the second is invalid: neither, or both */
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
	/* unmapped in earnest is not invalid any more */
	iommu_unmap(_metadata, &bench->iommu, OTHER, LENGTH);
	ASSERT_EQ(0, update(bench, self->elsewhere));
	device_goes_on(_metadata, bench, &self->report, 5);
}

TEST_F(vaddr, update_refused)
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
	device_goes_on(_metadata, bench, &self->report, 5);
}

/* Whoever would have to pin has to wait. */
TEST_F(vaddr, others_while_invalid)
{
	static const char *const models[] = { "nodirty", "emulated" };
	struct bench *bench = &self->bench;
	struct vfio_dev dev;
	char path[128];

	invalidate(_metadata, bench);
	/* an access to /dev/iommu may be made: it is its use that is refused */
	for (size_t i = 0; i < (variant->mode == MODE_TYPE1 ? 2 : 1); i++) {
		ASSERT_EQ(0, mock_find(models[i], 0, path, sizeof(path)));
		CHECK_RC(-EBUSY, __vfio_dev_open(&dev, &bench->iommu, path),
			 "%s", models[i]);
	}
	device_goes_on(_metadata, bench, &self->report, 9);
	/* new memory has an address */
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

/* With a device that may pin at any time nothing can become invalid. */
TEST_F(vaddr, not_with_a_device_that_pins)
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

/* What a child does, which ends with its status, an errno: -errno. */
static int wait_for(struct __test_metadata *_metadata, pid_t child)
{
	int status;

	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

/* The successor: it locks as much as its predecessor did, which is free then. */
TEST_F(vaddr, another_process)
{
	struct bench *bench = &self->bench;
	long locked = variant->mode == MODE_TYPE1 ? PAGES : 0;
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
		/* of whom nothing is left but what he counts for */
		counts_check(_metadata, &self->counts, PAGES, 0, 0);
		device_goes_on(_metadata, bench, &self->report, 11);
		ASSERT_EQ(1, bench->mem.va[11 * SZ_4K]);
		invalidate(_metadata, bench);
		ASSERT_EQ(0, update(bench, bench->mem.va));
		counts_check(_metadata, &self->counts, PAGES, PAGES, locked);
	}
}

/* One that may not lock so much does not get it, and another one may. */
TEST_F(vaddr, another_process_without_room)
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
		     variant->mode == MODE_TYPE1 ? PAGES : 0);
	device_goes_on(_metadata, bench, &self->report, 11);
	ASSERT_EQ(0, update(bench, self->elsewhere));
	/* and one that dies with everything invalid */
	invalidate(_metadata, bench);
}

TEST_HARNESS_MAIN
