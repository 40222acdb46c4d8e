// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: page tables and the devices attached to them
 *
 * The allocation of page tables, the attach and replace of devices, the
 * information on the hardware, and the separate dirty state of several page
 * tables of one IOAS.
 */
#include <sys/mman.h>

#include "lib/counts.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	256
#define LENGTH	(PAGES * SZ_4K)

#define UNKNOWN_ID	0x7fff

FIXTURE(hwpt)
{
	struct bench bench;
	struct vfio_dev second, able, unable;
	int fd;
	__u32 ioas;
};

static void bind_device(struct __test_metadata *_metadata,
			struct iommu *iommu, struct vfio_dev *dev,
			const char *model, unsigned int skip)
{
	char path[256];

	ASSERT_EQ(0, mock_find(model, skip, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(dev, iommu, path));
}

FIXTURE_SETUP(hwpt)
{
	struct iommu *iommu = &self->bench.iommu;

	bench_open(_metadata, &self->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	bind_device(_metadata, iommu, &self->second, "4k", 1);
	bind_device(_metadata, iommu, &self->able, "2m", 0);
	bind_device(_metadata, iommu, &self->unable, "nodirty", 0);
	self->fd = iommu->fd;
	self->ioas = iommu->ioas_id;
}

FIXTURE_TEARDOWN(hwpt)
{
	vfio_dev_close(&self->second);
	vfio_dev_close(&self->able);
	vfio_dev_close(&self->unable);
	bench_close(_metadata, &self->bench);
}

static bool device_writes(struct __test_metadata *_metadata,
			  struct vfio_dev *dev, __u64 iova, __u64 pattern)
{
	ASSERT_EQ(0, __mock_fill(dev, iova, 8, pattern));
	return mock_get(_metadata, dev, MOCK_REG(status)) == VFIO_MOCK_DMA_OK;
}

static __u64 why_not(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	return mock_get(_metadata, dev, MOCK_REG(fault_reason));
}

TEST_F(hwpt, alloc_with_bad_arguments_leaves_no_object)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->second.dev_id,
		.pt_id = self->ioas,
	}, arg;
	__u32 expected, id;

	ASSERT_EQ(0, __hwpt_alloc(self->fd, self->second.dev_id, self->ioas, 0,
				  &expected));
	ASSERT_EQ(0, __iommu_destroy(self->fd, expected));

	arg = cmd;
	arg.__reserved = 1;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	arg = cmd;
	arg.flags = 1U << 31;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	/* The IOMMU of this device has no nested translation. */
	arg.dev_id = self->unable.dev_id;
	arg.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	arg = cmd;
	arg.data_len = 8;
	ASSERT_EQ(-EINVAL, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	arg = cmd;
	arg.data_type = IOMMU_HWPT_DATA_VTD_S1;
	ASSERT_EQ(-EINVAL, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	arg = cmd;
	arg.dev_id = UNKNOWN_ID;
	ASSERT_EQ(-ENOENT, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	arg.dev_id = self->ioas;
	ASSERT_EQ(-ENOENT, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	arg = cmd;
	arg.pt_id = self->second.dev_id;
	ASSERT_EQ(-EINVAL, xioctl(self->fd, IOMMU_HWPT_ALLOC, &arg));
	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc(self->fd, self->unable.dev_id, self->ioas,
			       IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &id));
	/* The refused calls have left no object. */
	ASSERT_EQ(0, __hwpt_alloc(self->fd, self->second.dev_id, self->ioas, 0,
				  &id));
	ASSERT_EQ(expected, id);
}

/* If the ID cannot be written to userspace, the object is destroyed. */
TEST_F(hwpt, alloc_with_unwritable_argument_leaves_no_object)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->second.dev_id,
		.pt_id = self->ioas,
	};
	void *page = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct counts counts;
	__u32 first, second;

	ASSERT_NE(MAP_FAILED, page);
	memcpy(page, &cmd, sizeof(cmd));
	ASSERT_EQ(0, mprotect(page, SZ_4K, PROT_READ));
	counts_now(_metadata, &counts);
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_HWPT_ALLOC, page));
	ASSERT_EQ(0, __ioas_alloc(self->fd, &first));
	ASSERT_EQ(0, __iommu_destroy(self->fd, first));
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_HWPT_ALLOC, page));
	ASSERT_EQ(0, __ioas_alloc(self->fd, &second));
	ASSERT_EQ(first, second);
	counts_check(_metadata, &counts, 0, 0, 0);
	munmap(page, SZ_4K);
}

TEST_F(hwpt, destroy_of_page_table_in_use_is_ebusy)
{
	struct vfio_dev *dev = &self->bench.dev;

	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, self->ioas));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, dev->hwpt_id));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, dev->dev_id));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, self->second.dev_id));
	mock_fill(_metadata, dev, IOVA, LENGTH, 1);
	ASSERT_EQ(0, __vfio_dev_detach(dev));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, self->ioas));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, dev->dev_id));
	ASSERT_EQ(0, __iommu_destroy(self->fd, dev->hwpt_id));
	ASSERT_EQ(-ENOENT, __iommu_destroy(self->fd, dev->hwpt_id));
	ASSERT_EQ(-ENOENT, __vfio_dev_attach(dev, dev->hwpt_id));
	ASSERT_EQ(0, __iommu_destroy(self->fd, self->ioas));
	ASSERT_EQ(-ENOENT, __vfio_dev_attach(dev, self->ioas));
	ASSERT_FALSE(device_writes(_metadata, dev, IOVA, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT_BLOCKED, why_not(_metadata, dev));
	vfio_dev_close(dev);
	ASSERT_EQ(-ENOENT, __iommu_destroy(self->fd, dev->dev_id));
}

/* The automatic page table of an IOAS exists while a device is attached. */
TEST_F(hwpt, automatic_page_table_lives_as_long_as_its_attach)
{
	struct vfio_dev *dev = &self->second;
	struct counts counts;
	__u32 other;

	ASSERT_EQ(0, __ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, __ioas_map(self->fd, other, self->bench.mem.va, IOVA,
				LENGTH, PROT_DMA_RW));
	counts_now(_metadata, &counts);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, __vfio_dev_attach(dev, other));
		counts_check(_metadata, &counts, PAGES, PAGES, 0);
		ASSERT_EQ(0, __vfio_dev_attach(&self->unable, other));
		ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, other));
		mock_fill(_metadata, dev, IOVA, 8, 1);
		ASSERT_EQ(0, __vfio_dev_detach(dev));
		mock_fill(_metadata, &self->unable, IOVA, 8, 2);
		ASSERT_EQ(0, __vfio_dev_detach(&self->unable));
		counts_check(_metadata, &counts, 0, 0, 0);
	}
	ASSERT_EQ(0, __iommu_destroy(self->fd, other));
}

/*
 * A device can replace any page table by any other; its DMA uses the new one.
 */
TEST_F(hwpt, replaced_page_table_is_used_by_dma)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u8 *va = self->bench.mem.va;
	__u32 to[4];

	/*
	 * An IOAS with other memory at the same IOVA, and one object of each
	 * kind.
	 */
	ASSERT_EQ(0, __ioas_alloc(self->fd, &to[0]));
	ASSERT_EQ(0, __ioas_map(self->fd, to[0], va + SZ_64K, IOVA, SZ_64K,
				PROT_DMA_RW));
	ASSERT_EQ(0, __hwpt_alloc(self->fd, dev->dev_id, to[0],
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &to[1]));
	to[2] = self->ioas;
	to[3] = dev->hwpt_id;
	for (int i = 0; i < 40; i++) {
		int n = i % 7 % 4;

		ASSERT_EQ(0, __vfio_dev_attach(dev, to[n])) {
			TH_LOG("attach %d, to[%d]", i, n);
		}
		mock_fill(_metadata, dev, IOVA, 8, i);
		ASSERT_EQ(i, va[n < 2 ? SZ_64K : 0]);
		ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, to[n]));
	}
	ASSERT_EQ(0, __vfio_dev_attach(dev, to[3]));
	ASSERT_EQ(0, __iommu_destroy(self->fd, to[1]));
	ASSERT_EQ(0, __iommu_destroy(self->fd, to[0]));
}

/* A refused replace keeps the device attached. */
TEST_F(hwpt, refused_replace_keeps_the_attach)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_dev *unable = &self->unable;
	__u32 bad, huge;

	/* A mapping of 100 bytes cannot be mapped with a granule of 4 KiB. */
	ASSERT_EQ(0, __ioas_alloc(self->fd, &bad));
	ASSERT_EQ(0, __ioas_map(self->fd, bad, self->bench.mem.va, IOVA, 100,
				PROT_DMA_RW));
	ASSERT_EQ(-EADDRINUSE, __vfio_dev_attach(dev, bad));
	ASSERT_EQ(-ENOENT, __vfio_dev_attach(dev, UNKNOWN_ID));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(dev, dev->dev_id));
	/* The device's IOMMU cannot walk a page table of leaves of 2 MiB. */
	ASSERT_EQ(0, __hwpt_alloc(self->fd, self->able.dev_id, self->ioas, 0,
				  &huge));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(dev, huge));
	ASSERT_EQ(0, __iommu_destroy(self->fd, huge));
	mock_fill(_metadata, dev, IOVA, LENGTH, 5);

	ASSERT_EQ(0, __vfio_dev_attach(unable, self->ioas));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(unable, dev->hwpt_id));
	mock_fill(_metadata, unable, IOVA, LENGTH, 6);
	ASSERT_TRUE(mem_is(self->bench.mem.va, 1, 6));
	ASSERT_EQ(0, __iommu_destroy(self->fd, bad));
}

/* A device with dirty tracking can attach to a page table without it. */
TEST_F(hwpt, device_with_tracking_attaches_to_either_kind)
{
	struct vfio_dev *able = &self->second, *unable = &self->unable;
	__u32 plain, tracking = self->bench.dev.hwpt_id;

	ASSERT_EQ(0, __hwpt_alloc(self->fd, unable->dev_id, self->ioas, 0,
				  &plain));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(unable, tracking));
	ASSERT_FALSE(device_writes(_metadata, unable, IOVA, 1));
	ASSERT_EQ(0, __vfio_dev_attach(unable, plain));
	ASSERT_EQ(0, __vfio_dev_attach(able, plain));
	mock_fill(_metadata, able, IOVA, LENGTH, 7);
	ASSERT_EQ(0, __vfio_dev_attach(able, tracking));
	mock_fill(_metadata, able, IOVA, LENGTH, 8);
	mock_fill(_metadata, unable, IOVA + 8, 8, 9);
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, plain));
	ASSERT_EQ(0, __vfio_dev_detach(unable));
	ASSERT_EQ(0, __iommu_destroy(self->fd, plain));
}

TEST_F(hwpt, hw_info_reports_dirty_tracking)
{
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->second.dev_id,
	}, arg = cmd;
	__u8 data[64];
	bool able;

	ASSERT_EQ(0, __device_can_track(self->fd, self->second.dev_id, &able));
	ASSERT_TRUE(able);
	ASSERT_EQ(0, __device_can_track(self->fd, self->unable.dev_id, &able));
	ASSERT_FALSE(able);
	/* The mock IOMMU has no data of its own: the buffer is zeroed. */
	memset(data, 0xff, sizeof(data));
	arg.data_len = 32;
	arg.data_uptr = (unsigned long)data;
	ASSERT_EQ(0, xioctl(self->fd, IOMMU_GET_HW_INFO, &arg));
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_NONE, arg.out_data_type);
	ASSERT_EQ(0, arg.data_len);
	ASSERT_TRUE(mem_is(data, 32, 0));
	ASSERT_TRUE(mem_is(data + 32, 32, 0xff));

	arg = cmd;
	arg.flags = 1;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_GET_HW_INFO, &arg));
	arg = cmd;
	arg.__reserved[0] = 1;
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_GET_HW_INFO, &arg));
	arg = cmd;
	arg.dev_id = UNKNOWN_ID;
	ASSERT_EQ(-ENOENT, xioctl(self->fd, IOMMU_GET_HW_INFO, &arg));
	arg.dev_id = self->ioas;
	ASSERT_EQ(-ENOENT, xioctl(self->fd, IOMMU_GET_HW_INFO, &arg));
	arg = cmd;
	arg.data_len = 8;
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_GET_HW_INFO, &arg));
}

/* Check that exactly these pages are dirty in a page table. */
static void expect_dirty(struct __test_metadata *_metadata, int fd, __u32 hwpt,
			 size_t first, size_t count)
{
	struct guarded_bitmap bm;

	bitmap_alloc(_metadata, &bm, PAGES, 0);
	ASSERT_EQ(0, __hwpt_dirty(fd, hwpt, 0, IOVA, LENGTH, SZ_4K, bm.bits));
	bitmap_check_guards(_metadata, &bm);
	for (size_t page = 0; page < PAGES; page++) {
		ASSERT_EQ(page >= first && page < first + count,
			  bitmap_test(&bm, page)) {
			TH_LOG("page %zu of page table %u; %zu from %zu on",
			       page, hwpt, count, first);
		}
	}
	bitmap_free(&bm);
}

/* Enabling and disabling tracking of one page table does not affect another. */
TEST_F(hwpt, page_tables_have_separate_dirty_state)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 one = dev->hwpt_id, two;
	__u8 bits[PAGES / 8];

	ASSERT_EQ(0, __hwpt_alloc(self->fd, self->second.dev_id, self->ioas,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &two));
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, two));
	ASSERT_EQ(0, __hwpt_track(self->fd, one, true));
	ASSERT_EQ(-EINVAL, __hwpt_dirty(self->fd, two, 0, IOVA, LENGTH, SZ_4K,
					bits));
	ASSERT_EQ(0, __hwpt_track(self->fd, two, true));
	ASSERT_EQ(0, __hwpt_track(self->fd, two, true));

	mock_fill(_metadata, dev, IOVA, 3 * SZ_4K, 1);
	mock_fill(_metadata, &self->second, IOVA + 2 * SZ_4K, 3 * SZ_4K, 1);
	expect_dirty(_metadata, self->fd, one, 0, 3);
	expect_dirty(_metadata, self->fd, two, 2, 3);
	mock_fill(_metadata, dev, IOVA, SZ_4K, 1);
	mock_fill(_metadata, &self->second, IOVA + SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __hwpt_track(self->fd, two, false));
	ASSERT_EQ(0, __hwpt_track(self->fd, two, false));
	ASSERT_EQ(0, __hwpt_track(self->fd, two, true));
	expect_dirty(_metadata, self->fd, two, 0, 0);
	expect_dirty(_metadata, self->fd, one, 0, 1);
	/* Enabling tracking again changes nothing. */
	mock_fill(_metadata, dev, IOVA, SZ_4K, 1);
	ASSERT_EQ(0, __hwpt_track(self->fd, one, true));
	expect_dirty(_metadata, self->fd, one, 0, 1);
}

/* Query several page tables into one bitmap, as a VMM does. */
TEST_F(hwpt, queries_into_one_bitmap_add_up)
{
	struct vfio_dev *devs[] = { &self->bench.dev, &self->able };
	__u32 tables[] = { self->bench.dev.hwpt_id, 0 };
	struct guarded_bitmap bm;

	ASSERT_EQ(0, __hwpt_alloc(self->fd, self->able.dev_id, self->ioas,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &tables[1]));
	ASSERT_EQ(0, __vfio_dev_attach(&self->able, tables[1]));
	for (int i = 0; i < 2; i++)
		CHECK_RC(0, __hwpt_track(self->fd, tables[i], true),
			 "page table %d", i);
	bitmap_alloc(_metadata, &bm, PAGES, 3);
	for (int round = 0; round < 10; round++) {
		bitmap_reset(&bm);
		for (int i = 0; i < 2; i++)
			mock_fill(_metadata, devs[i],
				  IOVA + (20 * i + 7 * round) * SZ_4K,
				  (i + 3) * SZ_4K, 1);
		for (int i = 0; i < 2; i++)
			CHECK_RC(0, __hwpt_dirty(self->fd, tables[i], 0, IOVA,
						 LENGTH, SZ_4K, bm.bits),
				 "page table %d", i);
		bitmap_check_guards(_metadata, &bm);
		ASSERT_EQ(3 + 4, bitmap_count(&bm));
		for (int i = 0; i < 3; i++) {
			ASSERT_TRUE(bitmap_test(&bm, 7 * round + i));
			ASSERT_TRUE(bitmap_test(&bm, 20 + 7 * round + i));
		}
	}
	bitmap_free(&bm);
}

/* Enable tracking of a page table before it has a device or a mapping. */
TEST_F(hwpt, tracking_enabled_before_attach_reports_writes)
{
	__u32 ioas, table;

	ASSERT_EQ(0, __ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, __hwpt_alloc(self->fd, self->second.dev_id, ioas,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &table));
	ASSERT_EQ(0, __hwpt_track(self->fd, table, true));
	expect_dirty(_metadata, self->fd, table, 0, 0);
	ASSERT_EQ(0, __ioas_map(self->fd, ioas, self->bench.mem.va, IOVA,
				LENGTH, PROT_DMA_RW));
	expect_dirty(_metadata, self->fd, table, 0, 0);
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, table));
	mock_fill(_metadata, &self->second, IOVA + 9 * SZ_4K, SZ_4K, 1);
	expect_dirty(_metadata, self->fd, table, 9, 1);
	/* Writes from before the detach are reported after it. */
	mock_fill(_metadata, &self->second, IOVA + 9 * SZ_4K, SZ_4K, 1);
	ASSERT_EQ(0, __vfio_dev_detach(&self->second));
	expect_dirty(_metadata, self->fd, table, 9, 1);
	ASSERT_EQ(0, __vfio_dev_attach(&self->second, table));
	mock_fill(_metadata, &self->second, IOVA + 9 * SZ_4K, SZ_4K, 1);
	expect_dirty(_metadata, self->fd, table, 9, 1);
}

TEST_HARNESS_MAIN
