// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: nested page tables
 *
 * A device that is attached to a nested page table sets dirty bits in the
 * parent. Whatever page tables of one parent the device is attached to, one
 * after the other, queries of the parent report each page that was written, and
 * no other. The arguments and results of the ioctls are tested one by one.
 */
#include <string.h>
#include <sys/mman.h>

#include "lib/bench.h"
#include "lib/counts.h"
#include "lib/test.h"

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"

#define IOVA		0x10000000ULL
#define PAGES		64
#define LENGTH		(PAGES * SZ_4K)

#define PARENT		(IOMMU_HWPT_ALLOC_NEST_PARENT | \
			 IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
#define TYPE		IOMMU_HWPT_DATA_SELFTEST
#define INVALIDATE	IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
#define INITIAL		0x1234

/* More entries than IOMMU_HWPT_INVALIDATE takes */
#define TOO_MANY	((1 << 19) + 1)

#define UNKNOWN_ID	0x7fff

FIXTURE(nested)
{
	struct bench bench;
	int fd;
	__u32 parent;
	__u32 table[2];
};

static int alloc_nested(int fd, __u32 dev_id, __u32 parent, __u32 *id)
{
	struct iommu_hwpt_selftest data = { .iotlb = INITIAL };

	return __hwpt_alloc_data(fd, dev_id, parent, 0, 0, TYPE, &data,
				 sizeof(data), id);
}

FIXTURE_SETUP(nested)
{
	struct bench *bench = &self->bench;
	__u32 dev_id;

	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	self->fd = bench->iommu.fd;
	dev_id = bench->dev.dev_id;
	ASSERT_EQ(0, __hwpt_alloc(self->fd, dev_id, bench->iommu.ioas_id,
				  PARENT, &self->parent));
	ASSERT_EQ(0, __hwpt_track(self->fd, self->parent, true));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, alloc_nested(self->fd, dev_id, self->parent,
					  &self->table[i]));
}

FIXTURE_TEARDOWN(nested)
{
	bench_close(_metadata, &self->bench);
}

/* Query and clear; exactly the pages of @oracle are dirty, which is cleared. */
static void check_dirty(struct __test_metadata *_metadata,
			int fd, __u32 parent, struct oracle *oracle)
{
	struct guarded_bitmap bm;

	bitmap_alloc(_metadata, &bm, PAGES, 0);
	ASSERT_EQ(0, __hwpt_dirty(fd, parent, 0, IOVA, LENGTH, SZ_4K,
				  bm.bits));
	oracle_check(_metadata, oracle, &bm, IOVA, SZ_4K);
	oracle_clean(oracle, IOVA, LENGTH);
	bitmap_free(&bm);
}

TEST_F(nested, dma_is_reported_by_parent)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 tables[] = { self->table[0], self->parent, self->table[1],
			   self->table[0] };
	__u64 seed = 1, page;
	struct oracle oracle;

	oracle_init(_metadata, &oracle, IOVA, LENGTH, SZ_4K);
	for (int round = 0; round < 40; round++) {
		ASSERT_EQ(0, __vfio_dev_attach(dev, tables[round % 4]));
		for (int i = 0; i < 3; i++) {
			page = next_random(&seed) % PAGES;
			mock_fill(_metadata, dev, IOVA + page * SZ_4K, 8,
				  round);
			ASSERT_EQ(round, self->bench.mem.va[page * SZ_4K]);
			oracle_write(&oracle, IOVA + page * SZ_4K, 8);
		}
		/* The bits survive a change of the page table. */
		if (round % 3 == 2)
			check_dirty(_metadata, self->fd, self->parent, &oracle);
		if (round % 5 == 4)
			ASSERT_EQ(0, __vfio_dev_detach(dev));
	}
	check_dirty(_metadata, self->fd, self->parent, &oracle);
	oracle_free(&oracle);
}

TEST_F(nested, tracking_changes_while_attached)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct oracle oracle;

	oracle_init(_metadata, &oracle, IOVA, LENGTH, SZ_4K);
	ASSERT_EQ(0, __vfio_dev_attach(dev, self->table[0]));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, __hwpt_track(self->fd, self->parent, false));
		mock_fill(_metadata, dev, IOVA, LENGTH, i);
		ASSERT_EQ(0, __hwpt_track(self->fd, self->parent, true));
		check_dirty(_metadata, self->fd, self->parent, &oracle);
		mock_fill(_metadata, dev, IOVA + i * SZ_4K, 8, i);
		oracle_write(&oracle, IOVA + i * SZ_4K, 8);
		check_dirty(_metadata, self->fd, self->parent, &oracle);
	}
	oracle_free(&oracle);
}

TEST_F(nested, unmap_and_map_apply_to_attached_device)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct bench *bench = &self->bench;

	ASSERT_EQ(0, __vfio_dev_attach(dev, self->table[0]));
	mock_fill(_metadata, dev, IOVA, LENGTH, 1);
	iommu_unmap(_metadata, &bench->iommu, IOVA, LENGTH);
	ASSERT_EQ(0, __mock_fill(dev, IOVA, 8, 2));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, dev,
						MOCK_REG(status)));
	ASSERT_TRUE(mem_is(bench->mem.va, 1, 1));
	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA, LENGTH);
	mock_fill(_metadata, dev, IOVA, LENGTH, 3);
}

/* A replace between page tables of two IOASes changes the memory. */
TEST_F(nested, replace_moves_to_other_ioas)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u8 *va = self->bench.mem.va;
	__u32 ioas, parent, table;

	ASSERT_EQ(0, __ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, __ioas_map(self->fd, ioas, va + LENGTH / 2, IOVA,
				LENGTH / 2, PROT_DMA_RW));
	ASSERT_EQ(0, __hwpt_alloc(self->fd, dev->dev_id, ioas, PARENT,
				  &parent));
	ASSERT_EQ(0, alloc_nested(self->fd, dev->dev_id, parent, &table));
	for (int i = 1; i < 9; i++) {
		ASSERT_EQ(0, __vfio_dev_attach(dev, i % 2 ? table :
							    self->table[0]));
		mock_fill(_metadata, dev, IOVA, 8, i);
		ASSERT_EQ(i, va[i % 2 ? LENGTH / 2 : 0]);
	}
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, parent));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, ioas));
	ASSERT_EQ(0, __iommu_destroy(self->fd, table));
	ASSERT_EQ(0, __iommu_destroy(self->fd, parent));
	ASSERT_EQ(0, __iommu_destroy(self->fd, ioas));
}

TEST_F(nested, objects_in_use_are_busy)
{
	struct vfio_dev *dev = &self->bench.dev;

	ASSERT_EQ(0, __vfio_dev_attach(dev, self->table[0]));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, self->table[0]));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, self->parent));
	ASSERT_EQ(0, __iommu_destroy(self->fd, self->table[1]));
	ASSERT_EQ(0, __vfio_dev_attach(dev, self->bench.iommu.ioas_id));
	ASSERT_EQ(-EBUSY, __iommu_destroy(self->fd, self->parent));
	ASSERT_EQ(0, __iommu_destroy(self->fd, self->table[0]));
	ASSERT_EQ(0, __iommu_destroy(self->fd, self->parent));
	ASSERT_EQ(-ENOENT, __vfio_dev_attach(dev, self->table[0]));
}

/* A nested page table has no mappings of its own. */
TEST_F(nested, ioctls_of_paging_page_tables_are_refused)
{
	__u32 id = self->table[0];
	__u8 bits[8] = {};

	ASSERT_EQ(-ENOENT, __hwpt_track(self->fd, id, true));
	ASSERT_EQ(-ENOENT, __hwpt_dirty(self->fd, id, 0, IOVA, LENGTH, SZ_4K,
					bits));
}

TEST_F(nested, alloc_with_bad_arguments_leaves_no_object)
{
	struct iommu_hwpt_selftest data = { .iotlb = INITIAL };
	__u32 dev = self->bench.dev.dev_id, parent = self->parent;
	__u32 size = sizeof(data), plain, expected, id;
	int fd = self->fd;

	ASSERT_EQ(0, __hwpt_alloc(fd, dev, self->bench.iommu.ioas_id, 0,
				  &plain));
	ASSERT_EQ(0, alloc_nested(fd, dev, parent, &expected));
	ASSERT_EQ(0, __iommu_destroy(fd, expected));

	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc_data(fd, dev, parent, 0, 0, TYPE + 1, &data,
				    size, &id));
	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc_data(fd, dev, parent, 0, 0, 0, NULL, 0, &id));
	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc_data(fd, dev, parent, PARENT, 0, TYPE, &data,
				    size, &id));
	ASSERT_EQ(-EINVAL,
		  __hwpt_alloc_data(fd, dev, parent, 0, 0, TYPE, &data,
				    size - 1, &id));
	ASSERT_EQ(-EINVAL,
		  __hwpt_alloc_data(fd, dev, parent, 0, 0, 0, &data, size,
				    &id));
	ASSERT_EQ(-EINVAL,
		  __hwpt_alloc_data(fd, dev, parent, 0, 0, TYPE, &data, 0,
				    &id));
	ASSERT_EQ(-EFAULT,
		  __hwpt_alloc_data(fd, dev, parent, 0, 0, TYPE, NULL, size,
				    &id));
	/* Only a page table that was allocated for it can be a parent. */
	ASSERT_EQ(-EINVAL, alloc_nested(fd, dev, plain, &id));
	ASSERT_EQ(-EINVAL, alloc_nested(fd, dev, self->bench.dev.hwpt_id, &id));
	ASSERT_EQ(-EINVAL, alloc_nested(fd, dev, self->table[0], &id));
	ASSERT_EQ(-EINVAL, alloc_nested(fd, dev, dev, &id));
	ASSERT_EQ(-EINVAL, alloc_nested(fd, dev, UNKNOWN_ID, &id));
	ASSERT_EQ(-ENOENT, alloc_nested(fd, UNKNOWN_ID, parent, &id));
	/* No driver supports data for a paging page table. */
	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc_data(fd, dev, self->bench.iommu.ioas_id, 0, 0,
				    TYPE, &data, size, &id));

	ASSERT_EQ(0, alloc_nested(fd, dev, parent, &id));
	ASSERT_EQ(expected, id);
}

/* If the ID cannot be written to userspace, the object is destroyed. */
TEST_F(nested, alloc_with_unwritable_argument_leaves_no_object)
{
	struct iommu_hwpt_selftest data = { .iotlb = INITIAL };
	__u32 dev = self->bench.dev.dev_id, expected, id;
	struct iommu_hwpt_alloc *cmd;

	ASSERT_EQ(0, alloc_nested(self->fd, dev, self->parent, &expected));
	ASSERT_EQ(0, __iommu_destroy(self->fd, expected));
	cmd = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	*cmd = (struct iommu_hwpt_alloc){
		.size = sizeof(*cmd),
		.dev_id = dev,
		.pt_id = self->parent,
		.data_type = TYPE,
		.data_len = sizeof(data),
		.data_uptr = (unsigned long)&data,
	};
	ASSERT_EQ(0, mprotect(cmd, SZ_4K, PROT_READ));
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_HWPT_ALLOC, cmd));
	munmap(cmd, SZ_4K);
	ASSERT_EQ(0, alloc_nested(self->fd, dev, self->parent, &id));
	ASSERT_EQ(expected, id);
}

/* Which entries of a nested page table were invalidated */
static unsigned int invalidated(struct __test_metadata *_metadata, int fd,
				__u32 id)
{
	unsigned int mask = 0;

	for (__u32 i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++) {
		struct iommu_test_cmd cmd = {
			.size = sizeof(cmd),
			.op = IOMMU_TEST_OP_MD_CHECK_IOTLB,
			.id = id,
			.check_iotlb = { .id = i, .iotlb = INITIAL },
		};

		if (!xioctl(fd, IOMMU_TEST_CMD, &cmd))
			continue;
		cmd.check_iotlb.iotlb = 0;
		ASSERT_EQ(0, xioctl(fd, IOMMU_TEST_CMD, &cmd));
		mask |= 1 << i;
	}
	return mask;
}

TEST_F(nested, invalidate_reports_processed_entries)
{
	struct iommu_hwpt_invalidate_selftest entries[4] = {
		{ .iotlb_id = 2 }, { .iotlb_id = 0 }, { .iotlb_id = 9 },
		{ .iotlb_id = 1 },
	};
	__u32 size = sizeof(entries[0]), n;
	int fd = self->fd;

	n = 2;
	ASSERT_EQ(0, __hwpt_invalidate(fd, self->table[0], INVALIDATE, entries,
				       size, &n));
	ASSERT_EQ(2, n);
	ASSERT_EQ(0x5, invalidated(_metadata, fd, self->table[0]));
	ASSERT_EQ(0, invalidated(_metadata, fd, self->table[1]));

	/* The third entry is bad: the fourth one is not processed. */
	n = 4;
	ASSERT_EQ(-EINVAL, __hwpt_invalidate(fd, self->table[1], INVALIDATE,
					     entries, size, &n));
	ASSERT_EQ(2, n);
	ASSERT_EQ(0x5, invalidated(_metadata, fd, self->table[1]));

	entries[0].flags = IOMMU_TEST_INVALIDATE_FLAG_ALL;
	n = 1;
	ASSERT_EQ(0, __hwpt_invalidate(fd, self->table[1], INVALIDATE, entries,
				       size, &n));
	ASSERT_EQ(1, n);
	ASSERT_EQ(0xf, invalidated(_metadata, fd, self->table[1]));
}

TEST_F(nested, invalidate_with_bad_arguments_changes_nothing)
{
	static struct iommu_hwpt_invalidate_selftest many[TOO_MANY];
	struct iommu_hwpt_invalidate_selftest entry = { .iotlb_id = 1 };
	__u32 size = sizeof(entry), table = self->table[0];
	struct {
		__u32 hwpt_id;
		__u32 type;
		const void *entries;
		__u32 length;
		__u32 count;
		int rc;
	} cases[] = {
		/* Without entries, only the type is checked. */
		{ table, INVALIDATE, NULL, 0, 0, 0 },
		{ table, INVALIDATE + 1, NULL, 0, 0, -EINVAL },
		{ table, INVALIDATE + 1, &entry, size, 1, -EINVAL },
		{ table, INVALIDATE, NULL, size, 1, -EINVAL },
		{ table, INVALIDATE, &entry, 0, 1, -EINVAL },
		{ table, INVALIDATE, &entry, size - 1, 1, -EINVAL },
		{ table, INVALIDATE, many, SZ_4K + 1, 1, -EINVAL },
		{ table, INVALIDATE, many, size, TOO_MANY, -EINVAL },
		{ table, INVALIDATE, (void *)8, size, 1, -EFAULT },
		{ self->parent, INVALIDATE, &entry, size, 1, -ENOENT },
		{ UNKNOWN_ID, INVALIDATE, &entry, size, 1, -ENOENT },
	};
	__u32 n;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		n = cases[i].count;
		ASSERT_EQ(cases[i].rc,
			  __hwpt_invalidate(self->fd, cases[i].hwpt_id,
					    cases[i].type, cases[i].entries,
					    cases[i].length, &n)) {
			TH_LOG("case %zu", i);
		}
		ASSERT_EQ(0, n);
	}
	ASSERT_EQ(0, invalidated(_metadata, self->fd, table));

	/* As many as are allowed */
	n = TOO_MANY - 1;
	ASSERT_EQ(0, __hwpt_invalidate(self->fd, table, INVALIDATE, many, size,
				       &n));
	ASSERT_EQ(TOO_MANY - 1, n);
	ASSERT_EQ(0x1, invalidated(_metadata, self->fd, table));
}

TEST_F(nested, invalidate_with_unwritable_argument_is_efault)
{
	struct iommu_hwpt_invalidate_selftest entry = { .iotlb_id = 3 };
	struct iommu_hwpt_invalidate *cmd;

	cmd = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	*cmd = (struct iommu_hwpt_invalidate){
		.size = sizeof(*cmd),
		.hwpt_id = self->table[0],
		.data_uptr = (unsigned long)&entry,
		.data_type = INVALIDATE,
		.entry_len = sizeof(entry),
		.entry_num = 1,
		.__reserved = 1,
	};
	ASSERT_EQ(-EOPNOTSUPP, xioctl(self->fd, IOMMU_HWPT_INVALIDATE, cmd));
	ASSERT_EQ(0, cmd->entry_num);
	cmd->__reserved = 0;
	cmd->entry_num = 1;
	ASSERT_EQ(0, mprotect(cmd, SZ_4K, PROT_READ));
	ASSERT_EQ(-EFAULT, xioctl(self->fd, IOMMU_HWPT_INVALIDATE, cmd));
	munmap(cmd, SZ_4K);
}

/* Whatever is allocated is freed when the context is closed. */
TEST(nested_context_closes_with_everything_attached)
{
	struct bench bench;
	struct counts counts;
	__u32 parent, table;

	counts_now(_metadata, &counts);
	bench_open(_metadata, &bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &bench, IOVA, LENGTH, MEM_4K);
	ASSERT_EQ(0, __hwpt_alloc(bench.iommu.fd, bench.dev.dev_id,
				  bench.iommu.ioas_id, PARENT, &parent));
	ASSERT_EQ(0, alloc_nested(bench.iommu.fd, bench.dev.dev_id, parent,
				  &table));
	ASSERT_EQ(0, __vfio_dev_attach(&bench.dev, table));
	bench_close(_metadata, &bench);
	counts_check(_metadata, &counts, 0, 0, 0);
}

TEST_HARNESS_MAIN
