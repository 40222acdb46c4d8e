// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the errno if several errors apply
 *
 * A VMM that handles EEXIST and EINVAL differently depends on the errno that
 * earlier kernels return. So each row has two errors.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define LENGTH	(64 * SZ_4K)

/* End of the mock IOMMU's aperture */
#define MOCK_END	0x1000000000000ULL

#define ENTRY_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

/* An address without memory */
#define NOWHERE		((void *)0x1000)
/* The last page of the address space */
#define LAST_PAGE	((void *)-4096L)

FIXTURE(order)
{
	struct bench bench;
};

FIXTURE_VARIANT(order)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(order, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(order, compat) { .mode = MODE_COMPAT };

FIXTURE_SETUP(order)
{
	bench_open(_metadata, &self->bench, variant->mode, "4k");
	bench_memory(_metadata, &self->bench, MOCK_END - LENGTH, LENGTH,
		     MEM_4K);
}

FIXTURE_TEARDOWN(order)
{
	sysfs_write(ENTRY_LIMIT, "65535");
	bench_close(_metadata, &self->bench);
}

/**
 * struct map_order - a map with more than one error
 * @name: the errors
 * @limit: dma_entry_limit; NULL for the default
 * @va: memory; NULL for valid memory
 * @iova: start of the range
 * @length: bytes of the range
 * @type1: errno of a container of /dev/vfio/vfio
 * @compat: errno of the compat container
 */
struct map_order {
	const char *name;
	const char *limit;
	void *va;
	__u64 iova;
	__u64 length;
	int type1;
	int compat;
};

static const struct map_order map_orders[] = {
	{ "overlap, reserved", NULL, NULL, MOCK_END - SZ_4K, 2 * SZ_4K,
	  -EEXIST, -EINVAL },
	{ "overlap, limit", "1", NULL, MOCK_END - SZ_4K, SZ_4K,
	  -EEXIST, -EEXIST },
	{ "overlap, reserved, limit", "1", NULL, MOCK_END - SZ_4K, 2 * SZ_4K,
	  -EEXIST, -EINVAL },
	{ "overlap, no memory", NULL, NOWHERE, MOCK_END - SZ_4K, SZ_4K,
	  -EEXIST, -EEXIST },
	{ "reserved, limit", "1", NULL, MOCK_END, SZ_4K, -ENOSPC, -EINVAL },
	{ "reserved, no memory", NULL, NOWHERE, MOCK_END, SZ_4K,
	  -EINVAL, -EINVAL },
	{ "limit, no memory", "1", NOWHERE, IOVA, SZ_4K, -ENOSPC, -EFAULT },
	{ "overlap, last address", NULL, LAST_PAGE, MOCK_END - SZ_4K, SZ_4K,
	  -EEXIST, -EOVERFLOW },
	{ "reserved, last address", NULL, LAST_PAGE, MOCK_END, SZ_4K,
	  -EINVAL, -EOVERFLOW },
	{ "limit, last address", "1", LAST_PAGE, IOVA, SZ_4K,
	  -ENOSPC, -EOVERFLOW },
	{ "last address", NULL, LAST_PAGE, IOVA, SZ_4K, -EFAULT, -EOVERFLOW },
	{ "address wraps", NULL, LAST_PAGE, IOVA, 2 * SZ_4K,
	  -EINVAL, -EOVERFLOW },
	{ "overlap, IOVA to the last one", NULL, NULL, MOCK_END - SZ_4K,
	  0 - (MOCK_END - SZ_4K), -EEXIST, -EINVAL },
	{ "IOVA wraps", NULL, NULL, 0 - SZ_4K, 2 * SZ_4K, -EINVAL, -EOVERFLOW },
};

TEST_F(order, map_with_two_errors_has_the_errno_of_type1)
{
	struct bench *bench = &self->bench;
	bool type1 = bench->iommu.mode == MODE_TYPE1;
	const struct map_order *row;

	for (size_t i = 0; i < ARRAY_SIZE(map_orders); i++) {
		row = &map_orders[i];
		if (type1)
			ASSERT_EQ(0, sysfs_write(ENTRY_LIMIT,
						 row->limit ?: "65535"));
		CHECK_RC(type1 ? row->type1 : row->compat,
			 __type1_map(bench->iommu.fd, row->va ?: bench->mem.va,
				     row->iova, row->length, PROT_DMA_RW),
			 "%s", row->name);
	}
}

/**
 * struct unmap_size - an unmap that fails
 * @flags: VFIO_DMA_UNMAP_FLAG_*
 * @iova: start of the range
 * @length: bytes of the range
 * @type1: errno of a container of /dev/vfio/vfio, which keeps the size
 * @compat: errno of the compat container
 * @set: the compat container sets the size
 */
static const struct unmap_size {
	__u32 flags;
	__u64 iova;
	__u64 length;
	int type1;
	int compat;
	bool set;
} unmap_sizes[] = {
	{ 0, MOCK_END - SZ_4K, SZ_4K, -EINVAL, -ENOENT, true },
	{ 0, MOCK_END - LENGTH, SZ_4K, -EINVAL, -ENOENT, true },
	{ 0, 0 - SZ_4K, 2 * SZ_4K, -EINVAL, -EOVERFLOW, true },
	{ 0, IOVA, 0, -EINVAL, -EINVAL, true },
	{ VFIO_DMA_UNMAP_FLAG_ALL, 0, SZ_4K, -EINVAL, -EINVAL, false },
	{ 1U << 31, MOCK_END - LENGTH, SZ_4K, -EINVAL, -EINVAL, false },
};

TEST_F(order, failed_unmap_keeps_or_sets_the_size)
{
	bool type1 = self->bench.iommu.mode == MODE_TYPE1;

	for (size_t i = 0; i < ARRAY_SIZE(unmap_sizes); i++) {
		const struct unmap_size *row = &unmap_sizes[i];
		struct vfio_iommu_type1_dma_unmap unmap = {
			.argsz = sizeof(unmap),
			.flags = row->flags,
			.iova = row->iova,
			.size = row->length,
		};
		bool set = row->set && !type1;

		CHECK_RC(type1 ? row->type1 : row->compat,
			 xioctl(self->bench.iommu.fd, VFIO_IOMMU_UNMAP_DMA,
				&unmap), "%zu", i);
		CHECK_RC(set ? 0 : row->length, unmap.size, "%zu", i);
	}
}

/* Return false if iommufd provides /dev/vfio/vfio. */
static bool container_is_type1(struct __test_metadata *_metadata)
{
	struct iommu iommu;

	iommu_open(_metadata, &iommu, MODE_TYPE1);
	iommu_close(&iommu);
	return iommu.mode == MODE_TYPE1;
}

/*
 * VFIO's container logs an exceeded RLIMIT_MEMLOCK, as other failures return
 * ENOMEM too.
 */
TEST(map_beyond_the_limit_is_logged)
{
	static const struct rlimit none;
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	struct bench bench;
	bool found = false;
	char line[2048];
	ssize_t length;

	ASSERT_LE(0, fd);
	if (!container_is_type1(_metadata))
		return;
	bench_open(_metadata, &bench, MODE_TYPE1, "4k");
	mem_alloc(_metadata, &bench.mem, LENGTH, MEM_4K);
	lseek(fd, 0, SEEK_END);
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	/* Root keeps CAP_IPC_LOCK, so become another user. */
	ASSERT_EQ(0, setresuid(1000, 1000, 1000));
	/*
	 * The message is rate-limited, and earlier tests may have used up the
	 * limit. So call until it appears; the harness ends the test after 30
	 * s.
	 */
	while (!found) {
		ASSERT_EQ(-ENOMEM, __type1_map(bench.iommu.fd, bench.mem.va,
					       IOVA, LENGTH, PROT_DMA_RW));
		while ((length = read(fd, line, sizeof(line) - 1)) > 0) {
			line[length] = 0;
			if (strstr(line, "RLIMIT_MEMLOCK"))
				found = true;
		}
	}
	close(fd);
	bench_close(_metadata, &bench);
}

/* Programs may read the version of the driver, if there is one. */
TEST(module_has_version)
{
	bool type1 = container_is_type1(_metadata);
	char version[16] = "";

	ASSERT_EQ(type1 ? 0 : -ENOENT,
		  sysfs_read("/sys/module/vfio_iommu_type1/version", version,
			     sizeof(version)));
	ASSERT_EQ(type1, !strncmp(version, "0.2", 3));
}

static int attach(struct iommu *iommu, struct vfio_dev *dev, const char *model)
{
	char path[256];
	int rc = mock_find(model, 0, path, sizeof(path));

	return rc ?: __vfio_dev_open(dev, iommu, path);
}

/* Attach the first IOMMU to a container with mappings. */
TEST(first_iommu_with_smaller_aperture_is_erange)
{
	struct vfio_dev emulated, dev;
	struct iommu iommu;
	struct mem mem;

	iommu_open(_metadata, &iommu, MODE_TYPE1);
	mem_alloc(_metadata, &mem, SZ_4K, MEM_4K);
	ASSERT_EQ(0, attach(&iommu, &emulated, "emulated"));
	iommu_map(_metadata, &iommu, mem.va, MOCK_END, SZ_4K);
	ASSERT_EQ(iommu.mode == MODE_TYPE1 ? -ERANGE : -EADDRINUSE,
		  attach(&iommu, &dev, "4k"));
	iommu_unmap(_metadata, &iommu, MOCK_END, SZ_4K);
	ASSERT_EQ(0, attach(&iommu, &dev, "4k"));
	vfio_dev_close(&dev);
	vfio_dev_close(&emulated);
	mem_free(&mem);
	iommu_close(&iommu);
}

/*
 * Nesting, which no IOMMU driver supports, is checked before interrupts. The
 * compat container has no such type.
 */
TEST(nesting_with_unsafe_interrupts_is_einval)
{
	struct vfio_dev dev;
	struct iommu iommu;
	int rc;

	iommu_open(_metadata, &iommu, MODE_TYPE1);
	iommu.type = VFIO_TYPE1_NESTING_IOMMU;
	ASSERT_EQ(0, iommu_allow_unsafe_interrupts(&iommu, false));
	rc = attach(&iommu, &dev, "4k");
	ASSERT_EQ(0, iommu_allow_unsafe_interrupts(&iommu, true));
	ASSERT_EQ(-EINVAL, rc);
	iommu_close(&iommu);
}

FIXTURE(objects)
{
	struct bench bench;
};

FIXTURE_SETUP(objects)
{
	bench_open(_metadata, &self->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(objects)
{
	bench_close(_metadata, &self->bench);
}

/* The source of a copy is checked before the destination. */
TEST_F(objects, copy_with_two_errors_has_the_errno_of_iommufd)
{
	const __u32 ioas_id = self->bench.iommu.ioas_id, none = 0x7fffffff;
	int fd = self->bench.iommu.fd;
	__u64 iova = 2 * IOVA;

	EXPECT_EQ(-EINVAL, __ioas_copy(fd, MAP_RW_FIXED, none, &iova, ioas_id,
				       IOVA, 0));
	EXPECT_EQ(-EOVERFLOW, __ioas_copy(fd, MAP_RW_FIXED, none, &iova,
					  ioas_id, 0 - SZ_4K, 2 * SZ_4K));
	EXPECT_EQ(-ENOENT, __ioas_copy(fd, MAP_RW_FIXED, none, &iova, ioas_id,
				       IOVA, SZ_4K));
	EXPECT_EQ(-ENOENT, __ioas_copy(fd, MAP_RW_FIXED, ioas_id, &iova, none,
				       IOVA, 0));
	EXPECT_EQ(-EINVAL, __ioas_copy(fd, MAP_RW_FIXED, ioas_id, &iova,
				       ioas_id, IOVA, 0));
}

/* A page table in a page table requires driver data. */
TEST_F(objects, page_table_in_page_table_without_data_is_eopnotsupp)
{
	struct vfio_dev *dev = &self->bench.dev;
	int fd = self->bench.iommu.fd;
	__u32 id;

	ASSERT_NE(0, dev->hwpt_id);
	EXPECT_EQ(-EOPNOTSUPP, __hwpt_alloc(fd, dev->dev_id, dev->hwpt_id, 0,
					    &id));
	EXPECT_EQ(-EINVAL, __hwpt_alloc(fd, dev->dev_id, dev->dev_id, 0, &id));
	EXPECT_EQ(-EINVAL, __hwpt_alloc(fd, dev->dev_id, 0x7fffffff, 0, &id));
}

TEST_HARNESS_MAIN
