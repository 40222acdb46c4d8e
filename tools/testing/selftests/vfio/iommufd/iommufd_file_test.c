// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory of files
 *
 * IOMMU_IOAS_MAP_FILE maps the file of a descriptor. A device reads and writes
 * the memory of the file itself, independently of the descriptor, of mappings
 * of the file in the process, and of the process. A mapping has the rights that
 * mmap(2) of the descriptor would have.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PATTERN	0x1122334455667788ULL

#define RESERVED	\
	"/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"

FIXTURE(file)
{
	struct bench bench;
	struct counts counts;
	size_t length;
	int iommufd;
	__u32 ioas;
	int fd;
	__u8 *va;
};

FIXTURE_VARIANT(file)
{
	const char *model;
	const char *path;
	unsigned int flags;
	size_t page;
};

FIXTURE_VARIANT_ADD(file, memfd) { .model = "4k", .page = SZ_4K };

FIXTURE_VARIANT_ADD(file, shmem) {
	.model = "4k", .path = "/dev/shm/file_test", .page = SZ_4K,
};

FIXTURE_VARIANT_ADD(file, memfd_huge) {
	.model = "2m", .flags = MFD_HUGETLB, .page = SZ_2M,
};

FIXTURE_VARIANT_ADD(file, hugetlbfs) {
	.model = "2m", .path = "/dev/hugepages/file_test", .page = SZ_2M,
};

static int new_file(const char *path, unsigned int flags, size_t length)
{
	int fd;

	if (path)
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	else
		fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC |
				  flags);
	if (path)
		unlink(path);
	if (fd >= 0 && ftruncate(fd, length)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

FIXTURE_SETUP(file)
{
	self->length = variant->page == SZ_2M ? 2 * SZ_2M : 16 * SZ_4K;
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, variant->model);
	self->iommufd = self->bench.iommu.fd;
	self->ioas = self->bench.iommu.ioas_id;
	self->fd = new_file(variant->path, variant->flags, self->length);
	ASSERT_LE(0, self->fd) {
		TH_LOG("no file: %m");
	}
	self->va = mmap(NULL, self->length, PROT_READ | PROT_WRITE, MAP_SHARED,
			self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->va);
	memset(self->va, 0, self->length);
	counts_now(_metadata, &self->counts);
}

FIXTURE_TEARDOWN(file)
{
	bench_close(_metadata, &self->bench);
	close(self->fd);
}

static void map_file(struct __test_metadata *_metadata, struct bench *bench,
		     int fd, __u64 start, __u64 iova, __u64 length)
{
	__u64 at = iova;

	ASSERT_EQ(0, __ioas_map_file(bench->iommu.fd, bench->iommu.ioas_id,
				     MAP_RW_FIXED, fd, start, &at, length));
	ASSERT_EQ(iova, at);
}

/* Read 8 bytes at an IOVA by the device. */
static __u64 device_reads(struct __test_metadata *_metadata,
			  struct vfio_dev *dev, __u64 iova)
{
	__u64 value = 0;

	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_READ, iova, 0, 8));
	ASSERT_EQ(VFIO_MOCK_DMA_OK, mock_get(_metadata, dev,
					     MOCK_REG(status)));
	ASSERT_EQ(0, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_BUFFER, 0,
					&value, 8));
	return value;
}

TEST_F(file, device_and_process_share_the_memory)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u64 last = self->length - 8;

	map_file(_metadata, &self->bench, self->fd, 0, IOVA, self->length);
	mock_fill(_metadata, dev, IOVA, self->length, PATTERN);
	for (size_t at = 0; at < self->length; at += 8)
		CHECK(*(__u64 *)(self->va + at) == PATTERN, "at 0x%zx", at);
	*(__u64 *)(self->va + last) = 5;
	*(__u64 *)(self->va + SZ_4K) = 6;
	ASSERT_EQ(5, device_reads(_metadata, dev, IOVA + last));
	ASSERT_EQ(6, device_reads(_metadata, dev, IOVA + SZ_4K));
}

/* Map ranges at any offset of the file, more than once. */
TEST_F(file, parts_of_a_file_are_mapped)
{
	struct vfio_dev *dev = &self->bench.dev;
	const __u64 other = IOVA + SZ_1G;
	size_t page = self->length / 2 - SZ_4K;

	map_file(_metadata, &self->bench, self->fd, page, IOVA, 3 * SZ_4K);
	map_file(_metadata, &self->bench, self->fd, 0, other, self->length);
	mock_fill(_metadata, dev, IOVA + SZ_4K, SZ_4K, PATTERN);
	ASSERT_TRUE(mem_is(self->va, page + SZ_4K, 0));
	ASSERT_EQ(PATTERN, *(__u64 *)(self->va + page + SZ_4K));
	ASSERT_EQ(PATTERN, *(__u64 *)(self->va + page + 2 * SZ_4K - 8));
	ASSERT_TRUE(mem_is(self->va + page + 2 * SZ_4K,
			   self->length - page - 2 * SZ_4K, 0));
	ASSERT_EQ(PATTERN, device_reads(_metadata, dev, other + page + SZ_4K));
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, 3 * SZ_4K);
	ASSERT_EQ(PATTERN, device_reads(_metadata, dev, other + page + SZ_4K));
}

/* The mapping for the device is the last user of the file. */
TEST_F(file, mapping_survives_close_of_the_descriptor)
{
	struct vfio_dev *dev = &self->bench.dev;

	map_file(_metadata, &self->bench, self->fd, 0, IOVA, self->length);
	*(__u64 *)(self->va + SZ_4K) = PATTERN;
	ASSERT_EQ(0, munmap(self->va, self->length));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	ASSERT_EQ(PATTERN, device_reads(_metadata, dev, IOVA + SZ_4K));
	mock_fill(_metadata, dev, IOVA, self->length, 9);
	ASSERT_EQ(9, device_reads(_metadata, dev, IOVA + self->length - 8));
	counts_check(_metadata, &self->counts, self->length / SZ_4K,
		     self->length / SZ_4K, 0);
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, self->length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Return the number of reserved huge pages. */
static long reserved(struct __test_metadata *_metadata)
{
	char text[32];

	ASSERT_EQ(0, sysfs_read(RESERVED, text, sizeof(text)));
	return atol(text);
}

/*
 * Mapping fills holes of the file. No huge pages are reserved for these holes,
 * and pages that are reserved by others are not used.
 */
TEST_F(file, holes_of_a_file_are_filled)
{
	int fd = new_file(variant->path, variant->flags, self->length);
	long before = reserved(_metadata);
	__u8 *va;

	ASSERT_LE(0, fd);
	map_file(_metadata, &self->bench, fd, 0, IOVA, self->length);
	ASSERT_EQ(before, reserved(_metadata));
	mock_fill(_metadata, &self->bench.dev, IOVA + SZ_4K, 8, PATTERN);
	va = mmap(NULL, self->length, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	ASSERT_EQ(PATTERN, *(__u64 *)(va + SZ_4K));
	ASSERT_TRUE(mem_is(va, SZ_4K, 0));
	ASSERT_TRUE(mem_is(va + SZ_4K + 8, self->length - SZ_4K - 8, 0));
	munmap(va, self->length);
	close(fd);
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, self->length);
	ASSERT_EQ(before, reserved(_metadata));
}

/* A range beyond the end of the file is refused. */
TEST_F(file, map_beyond_the_end_of_file_fails)
{
	static const struct {
		__u64 start, more;
	} beyond[] = { { 0, SZ_4K }, { 0, SZ_2M }, { 1, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
		__u64 iova = IOVA, start = beyond[i].start * self->length;

		ASSERT_EQ(-EINVAL,
			  __ioas_map_file(self->iommufd, self->ioas,
					  MAP_RW_FIXED, self->fd, start, &iova,
					  self->length + beyond[i].more)) {
			TH_LOG("beyond[%zu]", i);
		}
		counts_check(_metadata, &self->counts, 0, 0, 0);
	}
	map_file(_metadata, &self->bench, self->fd, 0, IOVA, self->length);
}

/* Pages of a truncated file stay mapped for the device. */
TEST_F(file, pages_of_truncated_file_stay_mapped)
{
	struct vfio_dev *dev = &self->bench.dev;

	map_file(_metadata, &self->bench, self->fd, 0, IOVA, self->length);
	mock_fill(_metadata, dev, IOVA, self->length, PATTERN);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	mock_fill(_metadata, dev, IOVA, 8, 3);
	ASSERT_EQ(3, device_reads(_metadata, dev, IOVA));
	ASSERT_EQ(0, ftruncate(self->fd, self->length));
	ASSERT_TRUE(mem_is(self->va, self->length, 0));
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, self->length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Open the file again with other rights. */
static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

TEST_F(file, mapping_has_the_rights_of_the_descriptor)
{
	int reader = reopen(self->fd, O_RDONLY);
	int writer = reopen(self->fd, O_WRONLY);
	__u64 iova = 0;

	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	ASSERT_EQ(-EACCES, __ioas_map_file(self->iommufd, self->ioas, MAP_RW,
					   reader, 0, &iova, self->length));
	ASSERT_EQ(-EACCES, __ioas_map_file(self->iommufd, self->ioas,
					   IOMMU_IOAS_MAP_WRITEABLE, reader, 0,
					   &iova, self->length));
	ASSERT_EQ(-EACCES, __ioas_map_file(self->iommufd, self->ioas, MAP_R,
					   writer, 0, &iova, self->length));
	ASSERT_EQ(-EACCES, __ioas_map_file(self->iommufd, self->ioas, MAP_RW,
					   writer, 0, &iova, self->length));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	ASSERT_EQ(0, __ioas_map_file(self->iommufd, self->ioas, MAP_R, reader,
				     0, &iova, self->length));
	*(__u64 *)self->va = PATTERN;
	ASSERT_EQ(PATTERN, device_reads(_metadata, &self->bench.dev, iova));
	ASSERT_EQ(0, __mock_fill(&self->bench.dev, iova, 8, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT_WRITE,
		  mock_get(_metadata, &self->bench.dev,
			   MOCK_REG(fault_reason)));
	ASSERT_EQ(PATTERN, *(__u64 *)self->va);
	close(reader);
	close(writer);
}

/* The mapping process exits, while another process has the context open. */
TEST_F(file, mapping_survives_exit_of_mapping_process)
{
	struct vfio_dev *dev = &self->bench.dev;
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		__u64 iova = IOVA;

		_exit(__ioas_map_file(self->iommufd, self->ioas, MAP_RW_FIXED,
				      self->fd, 0, &iova, self->length) != 0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	mock_fill(_metadata, dev, IOVA, self->length, PATTERN);
	ASSERT_EQ(PATTERN, *(__u64 *)(self->va + self->length - 8));
	counts_check(_metadata, &self->counts, self->length / SZ_4K, 0, 0);
	/* Another page table maps it too, after that process has exited. */
	ASSERT_EQ(0, __vfio_dev_detach(dev));
	ASSERT_EQ(0, __iommu_destroy(self->iommufd, dev->hwpt_id));
	counts_check(_metadata, &self->counts, 0, 0, 0);
	ASSERT_EQ(0, __vfio_dev_attach(dev, self->ioas));
	ASSERT_EQ(PATTERN, device_reads(_metadata, dev, IOVA));
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, self->length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

TEST_F(file, dirty_pages_of_a_file_are_reported)
{
	struct guarded_bitmap bm;
	size_t count = self->length / SZ_4K;
	bool huge = variant->page == SZ_2M;

	map_file(_metadata, &self->bench, self->fd, 0, IOVA, self->length);
	bench_track(_metadata, &self->bench);
	*(__u64 *)self->va = 1;
	mock_fill(_metadata, &self->bench.dev, IOVA + self->length - 1, 1, 1);
	bitmap_alloc(_metadata, &bm, count, 0);
	bench_query(_metadata, &self->bench, &bm, IOVA, SZ_4K);
	ASSERT_EQ(huge ? count / 2 : 1, bitmap_count(&bm));
	ASSERT_TRUE(bitmap_test(&bm, count - 1));
	bitmap_free(&bm);
}

/* Accesses can pin memory of files as well. */
TEST_F(file, access_pins_memory_of_a_file)
{
	struct vfio_dev mdev;
	char path[256];

	ASSERT_EQ(0, mock_find("emulated", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&mdev, &self->bench.iommu, path));
	map_file(_metadata, &self->bench, self->fd, 0, IOVA, self->length);
	mock_fill(_metadata, &mdev, IOVA + 100, self->length - 100, PATTERN);
	ASSERT_TRUE(mem_is(self->va, 100, 0));
	ASSERT_EQ(PATTERN, *(__u64 *)(self->va + 100));
	*(__u64 *)(self->va + SZ_4K) = 4;
	ASSERT_EQ(4, device_reads(_metadata, &mdev, IOVA + SZ_4K));
	vfio_dev_close(&mdev);
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, self->length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

TEST_HARNESS_MAIN
