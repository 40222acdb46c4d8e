// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the ioctls of an IOAS
 *
 * Valid and invalid arguments and their errnos. A refused call changes nothing.
 * No device is needed: an IOAS without a device only records its mappings.
 */
#include <sys/mman.h>

#include "lib/test.h"

#define IOVA	0x10000000ULL
#define LENGTH	(64 * SZ_4K)

#define UNKNOWN_ID	0x7fff

FIXTURE(ioas)
{
	struct iommu iommu;
	struct mem mem;
	int fd;
	__u32 id;
	__u32 scratch;
};

FIXTURE_SETUP(ioas)
{
	iommu_open(_metadata, &self->iommu, MODE_IOMMUFD);
	self->fd = self->iommu.fd;
	self->id = self->iommu.ioas_id;
	ASSERT_EQ(0, __ioas_alloc(self->fd, &self->scratch));
	mem_alloc(_metadata, &self->mem, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(ioas)
{
	iommu_close(&self->iommu);
	mem_free(&self->mem);
}

/* Check that a range is mapped without a gap: then it can be copied. */
static int try_copy(struct iommu *iommu, __u32 scratch, __u64 iova,
		    __u64 length)
{
	__u64 to = 0;
	int rc = __ioas_copy(iommu->fd, MAP_R, scratch, &to, iommu->ioas_id,
			     iova, length);

	return rc ?: __ioas_unmap(iommu->fd, scratch, to, length, NULL);
}

static void check_nothing_mapped(struct __test_metadata *_metadata, int fd,
				 __u32 id)
{
	__u64 unmapped = 1;

	ASSERT_EQ(0, __ioas_unmap(fd, id, 0, ~0ULL, &unmapped));
	ASSERT_EQ(0, unmapped);
}

/* Zeroed structures of each ioctl, and its result with a valid size. */
static const struct {
	unsigned long cmd;
	__u32 size, min_size;
	int rc;
} commands[] = {
	{ IOMMU_DESTROY, sizeof(struct iommu_destroy), 8, -ENOENT },
	{ IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc), 12, 0 },
	{ IOMMU_IOAS_ALLOW_IOVAS, sizeof(struct iommu_ioas_allow_iovas), 24,
	  -ENOENT },
	{ IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy), 40, -EINVAL },
	{ IOMMU_IOAS_IOVA_RANGES, sizeof(struct iommu_ioas_iova_ranges), 32,
	  -ENOENT },
	{ IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map), 40, -EINVAL },
	{ IOMMU_IOAS_MAP_FILE, sizeof(struct iommu_ioas_map_file), 40,
	  -EINVAL },
	{ IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap), 24, -ENOENT },
	{ IOMMU_OPTION, sizeof(struct iommu_option), 24, -EBUSY },
	{ IOMMU_VFIO_IOAS, sizeof(struct iommu_vfio_ioas), 12, -ENODEV },
	{ IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc), 24, -ENOENT },
	{ IOMMU_GET_HW_INFO, sizeof(struct iommu_hw_info), 32, -ENOENT },
	{ IOMMU_HWPT_SET_DIRTY_TRACKING,
	  sizeof(struct iommu_hwpt_set_dirty_tracking), 16, -ENOENT },
	{ IOMMU_HWPT_GET_DIRTY_BITMAP,
	  sizeof(struct iommu_hwpt_get_dirty_bitmap), 48, -ENOENT },
};

/* Issue an ioctl whose structure has this size. */
static int sized(int fd, unsigned long cmd, __u8 *arg, __u32 size)
{
	memcpy(arg, &size, sizeof(size));
	return xioctl(fd, cmd, arg);
}

TEST_F(ioas, structures_of_any_size_follow_the_abi)
{
	static __u8 arg[2 * SZ_4K];

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		unsigned long cmd = commands[i].cmd;
		__u32 size = commands[i].size, sizes[] = {
			commands[i].min_size, size, size + 1, size + 8, 200,
			SZ_4K + 64,
		};

		ASSERT_EQ(-EINVAL, sized(self->fd, cmd, arg, 0));
		ASSERT_EQ(-EINVAL, sized(self->fd, cmd, arg,
					 commands[i].min_size - 1));
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			memset(arg, 0, sizeof(arg));
			ASSERT_EQ(commands[i].rc,
				  sized(self->fd, cmd, arg, sizes[s])) {
				TH_LOG("command 0x%lx, %u bytes", cmd,
				       sizes[s]);
			}
			if (sizes[s] <= size)
				continue;
			memset(arg, 0, sizeof(arg));
			arg[sizes[s] - 1] = 1;
			ASSERT_EQ(-E2BIG, sized(self->fd, cmd, arg, sizes[s])) {
				TH_LOG("command 0x%lx, %u bytes", cmd,
				       sizes[s]);
			}
		}
		ASSERT_EQ(-EFAULT, xioctl(self->fd, cmd, NULL));
	}
}

/* A structure that extends into unmapped memory. */
TEST_F(ioas, structure_ending_in_unmapped_memory_is_efault)
{
	__u8 *map = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u8 *at = map + SZ_4K - 4;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + SZ_4K, SZ_4K));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		*(__u32 *)at = commands[i].size;
		ASSERT_EQ(-EFAULT, xioctl(self->fd, commands[i].cmd, at));
	}
	munmap(map, SZ_4K);
}

TEST_F(ioas, unknown_commands_fail)
{
	static const unsigned long unknown[] = {
		_IO(';', 0), _IO(';', 0x7f), _IO(';', 0xa8), _IO(';', 0xff),
		_IO(':', 0x81), _IOR(';', 0x81, __u32), _IOW(';', 0x85, __u64),
		_IOWR(';', 0x80, __u32),
	};
	__u32 arg[32] = { sizeof(arg) };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		ASSERT_EQ(-ENOTTY, xioctl(self->fd, unknown[i], arg)) {
			TH_LOG("0x%lx", unknown[i]);
		}
	}
}

TEST_F(ioas, allocated_ioas_can_be_destroyed)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd), .flags = 1 };
	__u32 first, second, again;

	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_IOAS_ALLOC, &cmd));
	ASSERT_EQ(0, cmd.out_ioas_id);
	ASSERT_EQ(0, __ioas_alloc(self->fd, &first));
	ASSERT_EQ(0, __ioas_alloc(self->fd, &second));
	ASSERT_NE(0, first);
	ASSERT_NE(first, second);
	ASSERT_EQ(0, __iommu_destroy(self->fd, first));
	ASSERT_EQ(-ENOENT, __iommu_destroy(self->fd, first));
	ASSERT_EQ(0, __ioas_alloc(self->fd, &again));
	ASSERT_EQ(first, again);
	ASSERT_EQ(-ENOENT, __iommu_destroy(self->fd, 0));
	ASSERT_EQ(-ENOENT, __iommu_destroy(self->fd, ~0U));
	/* An IOAS with a mapping can be destroyed. */
	ASSERT_EQ(0, __ioas_map(self->fd, second, self->mem.va, IOVA, LENGTH,
				PROT_DMA_RW));
	ASSERT_EQ(0, __iommu_destroy(self->fd, second));
}

/* If the ID or IOVA cannot be written to userspace, the call is undone. */
TEST_F(ioas, call_with_unwritable_argument_changes_nothing)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = MAP_RW,
		.ioas_id = self->id,
		.user_va = (unsigned long)self->mem.va,
		.length = LENGTH,
	};
	void *page = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u32 expected, id;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, __ioas_alloc(self->fd, &expected));
	ASSERT_EQ(0, __iommu_destroy(self->fd, expected));
	memcpy(page, &alloc, sizeof(alloc));
	ASSERT_EQ(0, mprotect(page, SZ_4K, PROT_READ));
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_IOAS_ALLOC, page));
	ASSERT_EQ(0, __ioas_alloc(self->fd, &id));
	ASSERT_EQ(expected, id);

	ASSERT_EQ(0, mprotect(page, SZ_4K, PROT_READ | PROT_WRITE));
	memcpy(page, &map, sizeof(map));
	ASSERT_EQ(0, mprotect(page, SZ_4K, PROT_READ));
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_IOAS_MAP, page));
	check_nothing_mapped(_metadata, self->fd, self->id);
	munmap(page, SZ_4K);
}

static const struct {
	int rc;
	__u32 flags;
	__u64 va, iova, length;
} bad_map[] = {
	{ -EOPNOTSUPP, MAP_RW_FIXED | 8, SZ_4K, IOVA, SZ_4K },
	{ -EOPNOTSUPP, 1U << 31, SZ_4K, IOVA, SZ_4K },
	{ -EINVAL, 0, SZ_4K, IOVA, SZ_4K },
	{ -EINVAL, IOMMU_IOAS_MAP_FIXED_IOVA, SZ_4K, IOVA, SZ_4K },
	{ -EINVAL, MAP_RW_FIXED, SZ_4K, IOVA, 0 },
	{ -EINVAL, MAP_RW, SZ_4K, IOVA, 0 },
	{ -EOVERFLOW, MAP_RW_FIXED, SZ_4K, ~0ULL, SZ_4K },
	{ -EOVERFLOW, MAP_RW_FIXED, SZ_4K, 0, ~0ULL },
	{ -EOVERFLOW, MAP_RW_FIXED, SZ_4K, 0 - SZ_4K, 2 * SZ_4K },
	{ -EOVERFLOW, MAP_RW_FIXED, 0 - SZ_4K, IOVA, 2 * SZ_4K },
	{ -EOVERFLOW, MAP_RW_FIXED, ~0ULL, IOVA, 2 },
	{ -EOVERFLOW, MAP_RW, 0, 0, ~0ULL >> 1 },
};

TEST_F(ioas, map_with_bad_arguments_changes_nothing)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = MAP_RW_FIXED,
		.ioas_id = self->id,
		.__reserved = 1,
		.user_va = (unsigned long)self->mem.va,
		.iova = IOVA,
		.length = LENGTH,
	};
	__u64 iova;

	for (size_t i = 0; i < ARRAY_SIZE(bad_map); i++) {
		iova = bad_map[i].iova;
		ASSERT_EQ(bad_map[i].rc,
			  __ioas_map_at(self->fd, self->id, bad_map[i].flags,
					(void *)bad_map[i].va, &iova,
					bad_map[i].length)) {
			TH_LOG("bad_map[%zu]", i);
		}
		ASSERT_EQ(bad_map[i].iova, iova);
		check_nothing_mapped(_metadata, self->fd, self->id);
	}
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_IOAS_MAP, &cmd));
	cmd.__reserved = 0;
	cmd.ioas_id = UNKNOWN_ID;
	ASSERT_EQ(-ENOENT, xioctl(self->fd, IOMMU_IOAS_MAP, &cmd));
	check_nothing_mapped(_metadata, self->fd, self->id);
}

/* Without a device, any byte can be mapped at any IOVA, up to the last one. */
TEST_F(ioas, map_of_any_byte_succeeds_without_device)
{
	static const struct {
		__u64 va, iova, length;
	} odd[] = {
		{ 1, 3, 5 }, { 4095, IOVA + 1, 2 }, { 0, IOVA + 3, 1 },
		{ 77, 0 - 8192ULL, 8190 }, { 0, 0 - 2ULL, 1 }, { 5, 0, 3 },
	};
	__u64 total = 0, unmapped;

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		ASSERT_EQ(0, __ioas_map(self->fd, self->id,
					self->mem.va + odd[i].va, odd[i].iova,
					odd[i].length, PROT_DMA_RW)) {
			TH_LOG("odd[%zu]", i);
		}
		ASSERT_EQ(0, try_copy(&self->iommu, self->scratch, odd[i].iova,
				      odd[i].length));
		total += odd[i].length;
	}
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, 0, ~0ULL, &unmapped));
	ASSERT_EQ(total, unmapped);
}

TEST_F(ioas, map_over_a_mapping_is_eexist)
{
	static const struct {
		__s64 offset;
		__u64 length;
	} over[] = {
		{ 0, LENGTH }, { 0, 1 }, { LENGTH - 1, 1 }, { LENGTH - 1, 2 },
		{ -1, 2 }, { -SZ_4K, LENGTH + 2 * SZ_4K }, { SZ_4K, SZ_4K },
	};
	__u64 unmapped;

	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, LENGTH);
	for (size_t i = 0; i < ARRAY_SIZE(over); i++) {
		ASSERT_EQ(-EEXIST, __ioas_map(self->fd, self->id, self->mem.va,
					      IOVA + over[i].offset,
					      over[i].length, PROT_DMA_RW)) {
			TH_LOG("over[%zu]", i);
		}
	}
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA - 1, 1);
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA + LENGTH, 1);
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, 0, ~0ULL, &unmapped));
	ASSERT_EQ(LENGTH + 2, unmapped);
}

static const struct {
	int rc;
	__u64 iova, length;
} bad_unmap[] = {
	{ -ENOENT, IOVA - SZ_4K, SZ_4K }, { -ENOENT, 0, IOVA },
	{ -ENOENT, IOVA + 4 * LENGTH, SZ_4K },
	{ -ENOENT, IOVA, SZ_4K }, { -ENOENT, IOVA + SZ_4K, LENGTH - SZ_4K },
	{ -ENOENT, IOVA + SZ_4K, SZ_4K }, { -ENOENT, IOVA + 1, LENGTH - 1 },
	{ -ENOENT, IOVA, LENGTH - 1 },
	{ -EINVAL, IOVA, 0 }, { -EINVAL, 0, 0 },
	{ -EOVERFLOW, IOVA, ~0ULL }, { -EOVERFLOW, ~0ULL, LENGTH },
	{ -EOVERFLOW, 0 - SZ_4K, 2 * SZ_4K }, { -EOVERFLOW, 1, ~0ULL },
};

TEST_F(ioas, unmap_removes_whole_mappings_only)
{
	__u64 unmapped;

	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, LENGTH);
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA + 2 * LENGTH,
		  LENGTH);
	for (size_t i = 0; i < ARRAY_SIZE(bad_unmap); i++) {
		ASSERT_EQ(bad_unmap[i].rc,
			  __ioas_unmap(self->fd, self->id, bad_unmap[i].iova,
				       bad_unmap[i].length, NULL)) {
			TH_LOG("bad_unmap[%zu]", i);
		}
		ASSERT_EQ(0, try_copy(&self->iommu, self->scratch, IOVA,
				      LENGTH));
	}
	ASSERT_EQ(-ENOENT, __ioas_unmap(self->fd, UNKNOWN_ID, 0, ~0ULL, NULL));
	/* One mapping with nothing around it, then two with a hole between. */
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, IOVA - LENGTH,
				  3 * LENGTH, &unmapped));
	ASSERT_EQ(LENGTH, unmapped);
	ASSERT_EQ(-ENOENT, try_copy(&self->iommu, self->scratch, IOVA, 1));
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, LENGTH);
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, IOVA, 3 * LENGTH,
				  &unmapped));
	ASSERT_EQ(2 * LENGTH, unmapped);
	check_nothing_mapped(_metadata, self->fd, self->id);
	check_nothing_mapped(_metadata, self->fd, self->id);
}

static const struct {
	int rc;
	__u32 flags;
	__u64 src, dst, length;
} bad_copy[] = {
	{ -EOPNOTSUPP, MAP_R | 8, IOVA, IOVA, LENGTH },
	{ -EINVAL, 0, IOVA, IOVA, LENGTH },
	{ -EINVAL, IOMMU_IOAS_MAP_FIXED_IOVA, IOVA, IOVA, LENGTH },
	{ -EINVAL, MAP_R, IOVA, IOVA, 0 },
	{ -EPERM, MAP_RW, IOVA, IOVA, LENGTH },
	{ -EPERM, MAP_RW, IOVA, IOVA, 1 },
	{ -ENOENT, MAP_R, IOVA, IOVA, LENGTH + 1 },
	{ -ENOENT, MAP_R, IOVA - 1, IOVA, LENGTH },
	{ -ENOENT, MAP_R, IOVA, IOVA, 3 * LENGTH },
	{ -ENOENT, MAP_R, 0, IOVA, SZ_4K },
	{ -EOVERFLOW, MAP_R, IOVA, IOVA, ~0ULL },
	{ -EOVERFLOW, MAP_R, ~0ULL, IOVA, SZ_4K },
	{ -EOVERFLOW, MAP_R, 0 - SZ_4K, IOVA, 2 * SZ_4K },
	{ -EOVERFLOW, MAP_R | IOMMU_IOAS_MAP_FIXED_IOVA, IOVA, ~0ULL, SZ_4K },
	{ -EOVERFLOW, MAP_R | IOMMU_IOAS_MAP_FIXED_IOVA, IOVA, 0 - SZ_4K,
	  2 * SZ_4K },
};

TEST_F(ioas, copy_with_bad_arguments_changes_nothing)
{
	__u64 to = IOVA;

	ASSERT_EQ(0, __ioas_map(self->fd, self->id, self->mem.va, IOVA, LENGTH,
				PROT_DMA_READ));
	ASSERT_EQ(0, __ioas_map(self->fd, self->id, self->mem.va,
				IOVA + 2 * LENGTH, LENGTH, PROT_DMA_READ));
	for (size_t i = 0; i < ARRAY_SIZE(bad_copy); i++) {
		__u64 dst = bad_copy[i].dst;

		ASSERT_EQ(bad_copy[i].rc,
			  __ioas_copy(self->fd, bad_copy[i].flags,
				      self->scratch, &dst, self->id,
				      bad_copy[i].src, bad_copy[i].length)) {
			TH_LOG("bad_copy[%zu]", i);
		}
		ASSERT_EQ(bad_copy[i].dst, dst);
		check_nothing_mapped(_metadata, self->fd, self->scratch);
	}
	ASSERT_EQ(-ENOENT, __ioas_copy(self->fd, MAP_R, UNKNOWN_ID, &to,
				       self->id, IOVA, LENGTH));
	ASSERT_EQ(-ENOENT, __ioas_copy(self->fd, MAP_R, self->scratch, &to,
				       UNKNOWN_ID, IOVA, LENGTH));
	ASSERT_EQ(-EEXIST, __ioas_copy(self->fd,
				       MAP_R | IOMMU_IOAS_MAP_FIXED_IOVA,
				       self->id, &to, self->id,
				       IOVA + 2 * LENGTH, LENGTH));
}

/* Copies of parts and of several mappings, to another IOAS and to the same. */
TEST_F(ioas, copies_share_the_memory_of_their_source)
{
	const __u64 at = IOVA + SZ_1G;
	__u64 unmapped, to = at;

	for (int i = 0; i < 4; i++)
		iommu_map(_metadata, &self->iommu, self->mem.va,
			  IOVA + i * LENGTH, LENGTH);
	ASSERT_EQ(0, __ioas_copy(self->fd, MAP_RW_FIXED, self->id, &to,
				 self->id, IOVA + SZ_4K, 3 * LENGTH));
	ASSERT_EQ(at, to);
	ASSERT_EQ(0, try_copy(&self->iommu, self->scratch, at, 3 * LENGTH));
	/* Each of the four copies is a mapping of its own. */
	ASSERT_EQ(-ENOENT, __ioas_unmap(self->fd, self->id, at, SZ_4K, NULL));
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, at, LENGTH - SZ_4K,
				  &unmapped));
	ASSERT_EQ(LENGTH - SZ_4K, unmapped);
	/* The source can be unmapped. */
	iommu_unmap(_metadata, &self->iommu, IOVA, 4 * LENGTH);
	to = 0;
	ASSERT_EQ(0, __ioas_copy(self->fd, MAP_RW, self->scratch, &to,
				 self->id, at + LENGTH - SZ_4K, LENGTH));
	ASSERT_NE(0, to);
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->scratch, to, LENGTH,
				  &unmapped));
	ASSERT_EQ(LENGTH, unmapped);
}

TEST_HARNESS_MAIN
