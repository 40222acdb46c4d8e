// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: refused calls of IOMMU_IOAS_MAP_FILE
 *
 * Arguments, kinds of files, and seals: a process that relies on a seal against
 * writing must not see the file change by a device of any process.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/test.h"

#define IOVA	0x10000000ULL
#define LENGTH	(16 * SZ_4K)

#define UNKNOWN_ID	0x7fff

FIXTURE(file_errno)
{
	struct iommu iommu;
	int fd;
};

FIXTURE_VARIANT(file_errno)
{
	unsigned int flags;
	size_t length;
};

FIXTURE_VARIANT_ADD(file_errno, memfd) { .length = LENGTH };
FIXTURE_VARIANT_ADD(file_errno, memfd_huge) {
	.flags = MFD_HUGETLB, .length = SZ_2M,
};

FIXTURE_SETUP(file_errno)
{
	iommu_open(_metadata, &self->iommu, MODE_IOMMUFD);
	self->fd = memfd_create("test", MFD_ALLOW_SEALING | variant->flags);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, variant->length));
}

FIXTURE_TEARDOWN(file_errno)
{
	iommu_close(&self->iommu);
	close(self->fd);
}

static int map_file(struct iommu *iommu, __u32 flags, int fd, __u64 length)
{
	__u64 iova = IOVA;

	return __ioas_map_file(iommu->fd, iommu->ioas_id,
			       flags | IOMMU_IOAS_MAP_FIXED_IOVA, fd, 0, &iova,
			       length);
}

static int unmap_all(struct iommu *iommu)
{
	__u64 unmapped;
	int rc = __ioas_unmap(iommu->fd, iommu->ioas_id, 0, ~0ULL, &unmapped);

	if (rc)
		return rc;
	return unmapped ? 0 : -ENOENT;
}

static const struct {
	int rc;
	__u32 flags;
	__u64 start, iova, length;
} bad[] = {
	{ -EOPNOTSUPP, MAP_RW_FIXED | 8, 0, IOVA, LENGTH },
	{ -EOPNOTSUPP, 1U << 31, 0, IOVA, LENGTH },
	{ -EINVAL, 0, 0, IOVA, LENGTH },
	{ -EINVAL, IOMMU_IOAS_MAP_FIXED_IOVA, 0, IOVA, LENGTH },
	{ -EINVAL, MAP_RW_FIXED, 0, IOVA, 0 },
	{ -EINVAL, MAP_RW, 0, IOVA, 0 },
	{ -EOVERFLOW, MAP_RW_FIXED, 0, ~0ULL, LENGTH },
	{ -EOVERFLOW, MAP_RW_FIXED, ~0ULL, IOVA, LENGTH },
	{ -EOVERFLOW, MAP_RW_FIXED, 0, IOVA, ~0ULL },
	{ -EOVERFLOW, MAP_RW_FIXED, 1ULL << 63, IOVA, LENGTH },
	{ -EOVERFLOW, MAP_RW_FIXED, 0 - SZ_4K, IOVA, 2 * SZ_4K },
	{ -EOVERFLOW, MAP_RW_FIXED, (~0ULL >> 1) - SZ_4K, IOVA, 2 * SZ_4K },
	{ -EOVERFLOW, MAP_RW_FIXED, 0, 0 - SZ_4K, 2 * SZ_4K },
};

TEST_F(file_errno, map_file_with_bad_arguments_fails)
{
	int fd = self->iommu.fd;
	__u64 iova = IOVA;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		iova = bad[i].iova;
		ASSERT_EQ(bad[i].rc,
			  __ioas_map_file(fd, self->iommu.ioas_id, bad[i].flags,
					  self->fd, bad[i].start, &iova,
					  bad[i].length)) {
			TH_LOG("bad[%zu]", i);
		}
		ASSERT_EQ(bad[i].iova, iova);
		ASSERT_EQ(-ENOENT, unmap_all(&self->iommu));
	}
	iova = IOVA;
	ASSERT_EQ(-ENOENT, __ioas_map_file(fd, UNKNOWN_ID, MAP_RW, self->fd, 0,
					   &iova, LENGTH));
	ASSERT_EQ(0, map_file(&self->iommu, MAP_RW, self->fd, LENGTH));
	ASSERT_EQ(-EEXIST, map_file(&self->iommu, MAP_RW, self->fd, SZ_4K));
	ASSERT_EQ(0, unmap_all(&self->iommu));
}

TEST_F(file_errno, map_file_of_bad_descriptor_fails)
{
	char path[64];
	int fd;

	ASSERT_EQ(-EBADF, map_file(&self->iommu, MAP_R, -1, LENGTH));
	ASSERT_EQ(-EBADF, map_file(&self->iommu, MAP_R, 1 << 20, LENGTH));
	fd = dup(self->fd);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(-EBADF, map_file(&self->iommu, MAP_R, fd, LENGTH));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	fd = open(path, O_PATH);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-EBADF, map_file(&self->iommu, MAP_R, fd, LENGTH));
	close(fd);
}

/* Only files of memory (memfd, shmem, hugetlbfs) can be mapped. */
TEST_F(file_errno, map_file_of_other_kinds_of_files_fails)
{
	static const char * const paths[] = {
		"/dev/zero", "/dev/null", "/dev/iommu", "/proc/self/maps",
		"/proc/self/exe", "/sys/kernel/mm", "/dev/shm",
	};
	int pair[2];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_RDONLY);

		ASSERT_LE(0, fd) {
			TH_LOG("%s: %m", paths[i]);
		}
		ASSERT_EQ(-EINVAL, map_file(&self->iommu, MAP_R, fd, SZ_4K)) {
			TH_LOG("%s", paths[i]);
		}
		close(fd);
	}
	ASSERT_EQ(0, pipe(pair));
	ASSERT_EQ(-EINVAL, map_file(&self->iommu, MAP_R, pair[0], SZ_4K));
	ASSERT_EQ(-EINVAL, map_file(&self->iommu, MAP_RW, pair[1], SZ_4K));
	ASSERT_EQ(-ENOENT, unmap_all(&self->iommu));
}

/*
 * A sealed file is mapped for reading only; a writable mapping prevents the
 * seal.
 */
TEST_F(file_errno, writable_mapping_and_write_seal_exclude_each_other)
{
	struct iommu *iommu = &self->iommu;

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, map_file(iommu, MAP_RW, self->fd, SZ_4K));
		ASSERT_EQ(-1, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
		ASSERT_EQ(EBUSY, errno);
		ASSERT_EQ(0, unmap_all(iommu));
	}
	ASSERT_EQ(0, map_file(iommu, MAP_R, self->fd, SZ_4K));
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, unmap_all(iommu));
	ASSERT_EQ(-EPERM, map_file(iommu, MAP_RW, self->fd, SZ_4K));
	ASSERT_EQ(-EPERM, map_file(iommu, IOMMU_IOAS_MAP_WRITEABLE, self->fd,
				   SZ_4K));
	ASSERT_EQ(0, map_file(iommu, MAP_R, self->fd, SZ_4K));
	ASSERT_EQ(0, unmap_all(iommu));
}

/* A copy of a writable mapping prevents the seal as the mapping does. */
TEST_F(file_errno, copy_of_writable_mapping_prevents_write_seal)
{
	struct iommu *iommu = &self->iommu;
	__u64 at = IOVA + SZ_1G;

	ASSERT_EQ(0, map_file(iommu, MAP_RW, self->fd, LENGTH));
	ASSERT_EQ(0, __ioas_copy(iommu->fd, MAP_RW_FIXED, iommu->ioas_id, &at,
				 iommu->ioas_id, IOVA, SZ_4K));
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
	ASSERT_EQ(-1, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(EBUSY, errno);
	iommu_unmap(_metadata, iommu, at, SZ_4K);
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
}

/* F_SEAL_FUTURE_WRITE keeps existing mappings writable and refuses new ones. */
TEST_F(file_errno, future_write_seal_refuses_new_writable_mapping)
{
	struct iommu *iommu = &self->iommu;

	ASSERT_EQ(0, map_file(iommu, MAP_RW, self->fd, SZ_4K));
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	ASSERT_EQ(0, unmap_all(iommu));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, variant->length,
				   PROT_READ | PROT_WRITE, MAP_SHARED,
				   self->fd, 0));
	ASSERT_EQ(EPERM, errno);
	ASSERT_EQ(-EPERM, map_file(iommu, MAP_RW, self->fd, SZ_4K));
	ASSERT_EQ(0, map_file(iommu, MAP_R, self->fd, SZ_4K));
}

/* A refused call does not prevent a seal. */
TEST_F(file_errno, refused_map_file_does_not_prevent_seal)
{
	struct iommu *iommu = &self->iommu;
	__u64 iova = IOVA;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		iova = bad[i].iova;
		ASSERT_GT(0, __ioas_map_file(iommu->fd, iommu->ioas_id,
					     bad[i].flags, self->fd,
					     bad[i].start, &iova,
					     bad[i].length));
	}
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
}

TEST_HARNESS_MAIN
