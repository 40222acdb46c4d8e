// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: IOVAs of an IOAS
 *
 * The usable and the allowed IOVA ranges, the IOVAs that the kernel chooses,
 * and the options of an IOAS and of the whole context.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"

#define IOVA	0x10000000ULL
#define UNKNOWN_ID	0x7fff

FIXTURE(iova)
{
	struct iommu iommu;
	struct vfio_dev dev;
	struct mem mem;
	int fd;
	__u32 id;
};

FIXTURE_SETUP(iova)
{
	char path[256];

	iommu_open(_metadata, &self->iommu, MODE_IOMMUFD);
	self->fd = self->iommu.fd;
	self->id = self->iommu.ioas_id;
	mem_alloc(_metadata, &self->mem, 2 * SZ_2M, MEM_HUGETLB);
	ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(&self->dev, &self->iommu, path));
}

FIXTURE_TEARDOWN(iova)
{
	vfio_dev_close(&self->dev);
	iommu_close(&self->iommu);
	mem_free(&self->mem);
}

/* Return the number of ranges; @alignment is that of IOVAs. */
static int get_ranges(int fd, __u32 id, struct iommu_iova_range *ranges,
		      __u32 *count, __u64 *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = id,
		.num_iovas = *count,
		.allowed_iovas = (unsigned long)ranges,
	};
	int rc = xioctl(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*count = cmd.num_iovas;
	*alignment = cmd.out_iova_alignment;
	return rc;
}

TEST_F(iova, ranges_are_those_of_the_device)
{
	struct iommu_iova_range ranges[8];
	__u64 alignment, last;
	__u32 count = 8;

	ASSERT_EQ(0, get_ranges(self->fd, self->id, ranges, &count,
				&alignment));
	ASSERT_EQ(1, count);
	ASSERT_EQ(1, alignment);
	ASSERT_EQ(0, ranges[0].start);
	ASSERT_EQ(~0ULL, ranges[0].last);

	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, self->id));
	count = 8;
	ASSERT_EQ(0, get_ranges(self->fd, self->id, ranges, &count,
				&alignment));
	ASSERT_LE(1, count);
	ASSERT_EQ(SZ_4K, alignment);
	for (__u32 i = 0; i < count; i++) {
		ASSERT_LT(ranges[i].start, ranges[i].last);
		ASSERT_TRUE(!i || ranges[i].start > ranges[i - 1].last);
	}
	last = ranges[count - 1].last;
	ASSERT_NE(~0ULL, last);
	/*
	 * The ends of the reported ranges can be mapped, the next page cannot.
	 */
	iommu_map(_metadata, &self->iommu, self->mem.va, ranges[0].start,
		  SZ_4K);
	iommu_map(_metadata, &self->iommu, self->mem.va, last + 1 - SZ_4K,
		  SZ_4K);
	ASSERT_EQ(-EINVAL, __ioas_map(self->fd, self->id, self->mem.va,
				      last + 1, SZ_4K, PROT_DMA_RW));
	mock_fill(_metadata, &self->dev, last - 7, 8, 0x33);
	ASSERT_EQ(0x33, self->mem.va[SZ_4K - 8]);

	ASSERT_EQ(0, __vfio_dev_detach(&self->dev));
	count = 8;
	ASSERT_EQ(0, get_ranges(self->fd, self->id, ranges, &count,
				&alignment));
	ASSERT_EQ(1, count);
	ASSERT_EQ(1, alignment);
}

TEST_F(iova, ranges_with_bad_arguments_fail)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = self->id,
		.__reserved = 1,
	};

	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_IOAS_IOVA_RANGES, &cmd));
	cmd.__reserved = 0;
	ASSERT_EQ(-EMSGSIZE, xioctl(self->fd, IOMMU_IOAS_IOVA_RANGES, &cmd));
	ASSERT_EQ(1, cmd.num_iovas);
	ASSERT_EQ(1, cmd.out_iova_alignment);
	/* The array is large enough now, but its address is invalid. */
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_IOAS_IOVA_RANGES, &cmd));
	cmd.ioas_id = UNKNOWN_ID;
	ASSERT_EQ(-ENOENT, xioctl(self->fd, IOMMU_IOAS_IOVA_RANGES, &cmd));
}

static int allow(int fd, __u32 id, const struct iommu_iova_range *ranges,
		 __u32 count)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = id,
		.num_iovas = count,
		.allowed_iovas = (unsigned long)ranges,
	};

	return xioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static int map_anywhere(int fd, __u32 id, const void *va, __u64 length,
			__u64 *iova)
{
	*iova = 0;
	return __ioas_map_at(fd, id, MAP_RW, va, iova, length);
}

static const struct {
	int rc;
	__u32 count;
	struct iommu_iova_range ranges[3];
} bad_allow[] = {
	{ -EINVAL, 1, { { SZ_4K, SZ_4K } } },
	{ -EINVAL, 1, { { SZ_64K, SZ_4K } } },
	{ -EINVAL, 2, { { 0, SZ_64K }, { SZ_64K, SZ_2M } } },
	{ -EINVAL, 2, { { 0, SZ_64K }, { 0, SZ_64K } } },
	{ -EINVAL, 3, { { 0, 9 }, { 20, 30 }, { 5, 15 } } },
};

TEST_F(iova, allow_with_bad_arguments_changes_nothing)
{
	const struct iommu_iova_range one = { IOVA, IOVA + SZ_4K - 1 };
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = self->id,
		.__reserved = 1,
	};
	__u64 at;

	ASSERT_EQ(0, allow(self->fd, self->id, &one, 1));
	for (size_t i = 0; i < ARRAY_SIZE(bad_allow); i++) {
		ASSERT_EQ(bad_allow[i].rc,
			  allow(self->fd, self->id, bad_allow[i].ranges,
				bad_allow[i].count)) {
			TH_LOG("bad_allow[%zu]", i);
		}
		/* The former range is still the one to choose from. */
		ASSERT_EQ(0, map_anywhere(self->fd, self->id, self->mem.va,
					  SZ_4K, &at));
		ASSERT_EQ(IOVA, at);
		ASSERT_EQ(-ENOSPC, map_anywhere(self->fd, self->id,
						self->mem.va, SZ_4K, &at));
		ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, IOVA, SZ_4K,
					  NULL));
	}
	ASSERT_EQ(-EFAULT, allow(self->fd, self->id, NULL, 1));
	ASSERT_EQ(-ENOENT, allow(self->fd, UNKNOWN_ID, &one, 1));
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd));
}

/* A device that cannot use all allowed ranges is refused. */
TEST_F(iova, attach_outside_of_allowed_ranges_is_refused)
{
	const struct iommu_iova_range high = { ~0ULL - SZ_64K, ~0ULL };
	const struct iommu_iova_range low[] = {
		{ IOVA, IOVA + SZ_64K - 1 }, { SZ_1G, SZ_1G + SZ_64K - 1 },
	};
	__u64 at;

	ASSERT_EQ(0, allow(self->fd, self->id, &high, 1));
	ASSERT_EQ(-EADDRINUSE, __vfio_dev_attach(&self->dev, self->id));
	ASSERT_EQ(0, allow(self->fd, self->id, low, 2));
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, self->id));
	ASSERT_EQ(-EADDRINUSE, allow(self->fd, self->id, &high, 1));
	ASSERT_EQ(0, map_anywhere(self->fd, self->id, self->mem.va, SZ_64K,
				  &at));
	ASSERT_EQ(IOVA, at);
	ASSERT_EQ(0, map_anywhere(self->fd, self->id, self->mem.va, SZ_64K,
				  &at));
	ASSERT_EQ(SZ_1G, at);
	ASSERT_EQ(-ENOSPC, map_anywhere(self->fd, self->id, self->mem.va,
					SZ_4K, &at));
	/* A fixed IOVA need not be in an allowed range. */
	iommu_map(_metadata, &self->iommu, self->mem.va, SZ_4K, SZ_4K);
	ASSERT_EQ(0, allow(self->fd, self->id, NULL, 0));
	ASSERT_EQ(0, map_anywhere(self->fd, self->id, self->mem.va, SZ_4K,
				  &at));
}

/* A device that cannot use all mappings is refused. */
TEST_F(iova, attach_with_unusable_mappings_is_refused)
{
	iommu_map(_metadata, &self->iommu, self->mem.va, 0 - SZ_64K, SZ_4K);
	ASSERT_EQ(-EADDRINUSE, __vfio_dev_attach(&self->dev, self->id));
	iommu_unmap(_metadata, &self->iommu, 0 - SZ_64K, SZ_4K);
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, 100);
	ASSERT_EQ(-EADDRINUSE, __vfio_dev_attach(&self->dev, self->id));
	iommu_unmap(_metadata, &self->iommu, IOVA, 100);
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, self->id));
	ASSERT_EQ(-EINVAL, __ioas_map(self->fd, self->id, self->mem.va, IOVA,
				      100, PROT_DMA_RW));
	ASSERT_EQ(-EINVAL, __ioas_map(self->fd, self->id, self->mem.va,
				      IOVA + 512, SZ_4K, PROT_DMA_RW));
	ASSERT_EQ(-EINVAL, __ioas_map(self->fd, self->id, self->mem.va + 512,
				      IOVA, SZ_4K, PROT_DMA_RW));
	ASSERT_EQ(-EINVAL, __ioas_map(self->fd, self->id, self->mem.va + 512,
				      IOVA + 512, SZ_4K, PROT_DMA_RW));
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, SZ_4K);
}

/* The chosen IOVA allows huge leaves if the memory has huge pages. */
TEST_F(iova, chosen_iova_allows_huge_leaves)
{
	__u8 *va = self->mem.va;
	__u64 at, before = 0, unmapped;

	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, map_anywhere(self->fd, self->id,
					  va + i * SZ_4K, SZ_4K, &at));
		ASSERT_NE(0, at);
		ASSERT_EQ(0, map_anywhere(self->fd, self->id, va, SZ_2M, &at));
		ASSERT_EQ(0, at % SZ_2M);
		ASSERT_NE(before, at);
		before = at;
		ASSERT_EQ(0, map_anywhere(self->fd, self->id, va + 100 * i,
					  2 * SZ_2M - 100 * i, &at));
		ASSERT_EQ(100 * i % SZ_4K, at % SZ_4K);
	}
	ASSERT_EQ(0, __ioas_unmap(self->fd, self->id, 0, ~0ULL, &unmapped));
	ASSERT_EQ(20 * (SZ_4K + 3 * SZ_2M) - 190 * 100, unmapped);
}

TEST_F(iova, rlimit_mode_can_be_set_without_ioas_only)
{
	struct iommu empty = { .mode = MODE_IOMMUFD };
	__u32 option = IOMMU_OPTION_RLIMIT_MODE;
	__u32 set = IOMMU_OPTION_OP_SET, get = IOMMU_OPTION_OP_GET;
	__u64 value = 1;

	/* There is an IOAS already. */
	ASSERT_EQ(-EBUSY, __iommu_option(self->fd, option, set, 0, &value));
	ASSERT_EQ(0, __iommu_option(self->fd, option, get, 0, &value));
	ASSERT_EQ(0, value);
	iommu_open(_metadata, &empty, MODE_IOMMUFD);
	ASSERT_EQ(0, __iommu_destroy(empty.fd, empty.ioas_id));
	for (int i = 0; i < 4; i++) {
		value = !(i % 2);
		ASSERT_EQ(0, __iommu_option(empty.fd, option, set, 0, &value));
		value = 7;
		ASSERT_EQ(0, __iommu_option(empty.fd, option, get, 0, &value));
		ASSERT_EQ(!(i % 2), value);
	}
	value = 2;
	ASSERT_EQ(-EINVAL, __iommu_option(empty.fd, option, set, 0, &value));
	ASSERT_EQ(-EOPNOTSUPP, __iommu_option(empty.fd, option, set, 1,
					      &value));
	ASSERT_EQ(-EOPNOTSUPP, __iommu_option(empty.fd, option, 2, 0, &value));
	ASSERT_EQ(-EOPNOTSUPP, __iommu_option(empty.fd, 2, get, 0, &value));
	ASSERT_EQ(0, setuid(1000));
	value = 1;
	ASSERT_EQ(-EPERM, __iommu_option(empty.fd, option, set, 0, &value));
	ASSERT_EQ(0, __iommu_option(empty.fd, option, get, 0, &value));
	ASSERT_EQ(0, value);
	iommu_close(&empty);
}

TEST_F(iova, huge_pages_can_be_disabled_without_device_only)
{
	__u32 option = IOMMU_OPTION_HUGE_PAGES;
	__u32 set = IOMMU_OPTION_OP_SET, get = IOMMU_OPTION_OP_GET;
	__u64 value = 7;

	ASSERT_EQ(0, __iommu_option(self->fd, option, get, self->id, &value));
	ASSERT_EQ(1, value);
	value = 2;
	ASSERT_EQ(-EINVAL, __iommu_option(self->fd, option, set, self->id,
					  &value));
	value = 0;
	ASSERT_EQ(-ENOENT, __iommu_option(self->fd, option, set, UNKNOWN_ID,
					  &value));
	ASSERT_EQ(-ENOENT, __iommu_option(self->fd, option, get, 0, &value));
	ASSERT_EQ(-EOPNOTSUPP, __iommu_option(self->fd, option, 2, self->id,
					      &value));
	/* Not while a page table may have huge leaves. */
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, SZ_2M);
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, self->id));
	ASSERT_EQ(-EINVAL, __iommu_option(self->fd, option, set, self->id,
					  &value));
	ASSERT_EQ(0, __vfio_dev_detach(&self->dev));
	ASSERT_EQ(0, __iommu_option(self->fd, option, set, self->id, &value));
	value = 7;
	ASSERT_EQ(0, __iommu_option(self->fd, option, get, self->id, &value));
	ASSERT_EQ(0, value);
	ASSERT_EQ(0, __vfio_dev_attach(&self->dev, self->id));
	mock_fill(_metadata, &self->dev, IOVA, SZ_2M, 0);
	value = 1;
	ASSERT_EQ(0, __iommu_option(self->fd, option, set, self->id, &value));
}

static int vfio_ioas(int fd, __u16 op, __u32 *id)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *id,
		.op = op,
	};
	int rc = xioctl(fd, IOMMU_VFIO_IOAS, &cmd);

	*id = cmd.ioas_id;
	return rc;
}

/* Set the compat IOAS of the container. */
TEST_F(iova, compat_ioas_can_be_set_and_cleared)
{
	struct iommu_vfio_ioas reserved = {
		.size = sizeof(reserved), .op = IOMMU_VFIO_IOAS_GET,
		.__reserved = 1,
	};
	__u32 id = self->id;

	ASSERT_EQ(-ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	ASSERT_EQ(-ENODEV, __type1_map(self->fd, self->mem.va, IOVA, SZ_4K,
				       PROT_DMA_RW));
	id = UNKNOWN_ID;
	ASSERT_EQ(-ENOENT, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	id = self->dev.dev_id;
	ASSERT_EQ(-ENOENT, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	ASSERT_EQ(-EOPNOTSUPP, vfio_ioas(self->fd, 3, &id));
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_VFIO_IOAS, &reserved));
	id = self->id;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	id = 0;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	ASSERT_EQ(self->id, id);
	ASSERT_EQ(0, __type1_map(self->fd, self->mem.va, IOVA, SZ_4K,
				 PROT_DMA_RW));
	iommu_unmap(_metadata, &self->iommu, IOVA, SZ_4K);
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	ASSERT_EQ(-ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	/* Destroying the IOAS clears it, too. */
	id = self->id;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	ASSERT_EQ(0, __iommu_destroy(self->fd, self->id));
	ASSERT_EQ(-ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
}

TEST_HARNESS_MAIN
