// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the effects of valid type1 calls: see type1_kunit.c. They check
 * which mappings an unmap of each version affects, what a failed call leaves,
 * and which pages are reported dirty.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/iommufd.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include "space/iopt_area.h"
#include "tests/type1/type1_kunit.h"

#define START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP
#define ALL	VFIO_DMA_UNMAP_FLAG_ALL
#define INVALID	VFIO_DMA_UNMAP_FLAG_VADDR
#define BITMAP	VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP

/* Unmap a range. Expect @rc, and @pages unmapped pages if @rc is 0. */
static void t1_expect(struct kunit *test, u32 flags, unsigned long iova,
		      unsigned long size, int rc, unsigned long pages)
{
	struct t1 *t1 = test->priv;
	u64 unmapped, expect = PAGES(pages);

	/*
	 * ABI: after an error, only /dev/iommu sets size, unless the range is
	 * invalid.
	 */
	if (rc && (t1->type1.flavour->strict || rc == -EINVAL))
		expect = size;
	KUNIT_EXPECT_EQ(test, rc, t1_unmap(test, flags, iova, size, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, expect);
}

static void v1_unmaps_mappings_that_begin_in_range(struct kunit *test)
{
	struct t1 *t1 = test->priv;
	struct t1_arg arg;

	t1_begin(test, true);
	t1->type1.v2 = false;
	KUNIT_EXPECT_EQ(test, 0, t1_map(test, BASE + PAGES(6), PAGES(2)));
	/* The range begins within the first mapping, so nothing is unmapped. */
	t1_expect(test, 0, BASE + PAGES(1), PAGES(10), 0, 0);
	t1_expect(test, INVALID, BASE + PAGES(1), PAGES(10), 0, 0);
	t1_expect(test, 0, BASE + PAGES(4), PAGES(2), 0, 0);
	KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, 2);
	/* The first byte of the second mapping is in the range. */
	t1_expect(test, INVALID, BASE + PAGES(5), PAGES(2), 0, 2);
	t1_expect(test, 0, BASE + PAGES(5), PAGES(2), 0, 2);
	t1_expect(test, 0, BASE, PAGES(1), 0, 4);
	KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, 0);

	KUNIT_EXPECT_EQ(test, 0, t1_map(test, -PAGES(4), PAGES(4)));
	t1_expect(test, 0, 0, -PAGES(3), 0, 4);
	KUNIT_EXPECT_EQ(test, 0, t1_map(test, 0, PAGES(4)));
	KUNIT_EXPECT_EQ(test, 0, t1_map(test, -PAGES(4), PAGES(4)));
	t1_expect(test, ALL, 0, 0, 0, 8);

	/* Version 1 has no dirty pages, even if the call is otherwise valid. */
	KUNIT_EXPECT_EQ(test, -EACCES, t1_dirty(test, START));
	KUNIT_EXPECT_EQ(test, -EACCES, t1_dirty(test, STOP));
	KUNIT_EXPECT_EQ(test, -EACCES, t1_dirty(test, 0));
	arg = t1_bitmap_arg(test, BITMAP);
	KUNIT_EXPECT_EQ(test, -EINVAL, t1_ioctl(test, VFIO_IOMMU_UNMAP_DMA,
						&arg, sizeof(arg)));
	t1_end(test);
}

static void v1_splits_mapping_at_ends_of_range(struct kunit *test)
{
	struct t1 *t1 = test->priv;

	t1_begin(test, false);
	KUNIT_ASSERT_EQ(test, 0, iopt_disable_large_pages(&t1->iopt));
	KUNIT_EXPECT_EQ(test, 0, t1_map(test, 0, PAGES(2)));
	t1_expect(test, 0, BASE + PAGES(1), PAGES(2), 0, 2);
	KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, 3);
	t1_expect(test, 0, 0, PAGES(1), 0, 1);
	t1_expect(test, 0, BASE - PAGES(1), PAGES(2), 0, 1);
	t1_expect(test, 0, BASE, PAGES(3), 0, 0);
	t1_expect(test, 0, 0, BASE + PAGES(10), 0, 2);
	/* Only the version prevents tracking, not the disabled huge pages. */
	KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, START));
	KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, STOP));
	t1->type1.v2 = false;
	KUNIT_EXPECT_EQ(test, -EACCES, t1_dirty(test, START));
	KUNIT_EXPECT_EQ(test, -EACCES, t1_dirty(test, STOP));
	t1_end(test);
}

static void v2_rejects_range_that_splits_mapping(struct kunit *test)
{
	struct t1 *t1 = test->priv;

	for (int strict = 0; strict < 2; strict++) {
		t1_begin(test, strict);
		KUNIT_EXPECT_EQ(test, 0, t1_map(test, 0, PAGES(1)));
		KUNIT_EXPECT_EQ(test, 0, t1_map(test, BASE + PAGES(6), PAGES(2)));
		KUNIT_EXPECT_EQ(test, 0, t1_map(test, -PAGES(4), PAGES(4)));
		t1_expect(test, 0, BASE + PAGES(4), PAGES(2), 0, 0);
		/*
		 * The range covers the last mapping in part: nothing is
		 * unmapped.
		 */
		t1_expect(test, 0, 0, BASE + PAGES(7),
			  strict ? -EINVAL : -ENOENT, 0);
		KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, 4);
		t1_expect(test, 0, BASE, PAGES(8), 0, 6);
		t1_expect(test, ALL, 0, 0, 0, 5);
		t1_expect(test, ALL, 0, 0, 0, 0);
		t1_end(test);
	}
}

static int t1_set_vaddr(struct kunit *test, unsigned long iova,
			unsigned long size)
{
	struct t1_arg arg = t1_map_arg(test);

	arg.flags = VFIO_DMA_MAP_FLAG_VADDR;
	arg.word[T1_MAP_IOVA] = iova;
	arg.word[T1_MAP_SIZE] = size;
	return t1_ioctl(test, VFIO_IOMMU_MAP_DMA, &arg, arg.argsz);
}

static bool t1_access_get(struct iopt_access *access)
{
	return true;
}

static void t1_access_put(struct iopt_access *access)
{
}

static void t1_access_unmap(struct iopt_access *access, unsigned long iova,
			    unsigned long length)
{
}

static const struct iopt_access_ops t1_access_ops = {
	.get = t1_access_get,
	.put = t1_access_put,
	.unmap = t1_access_unmap,
};

static void vaddr_update_needs_whole_invalid_mapping(struct kunit *test)
{
	struct iopt_access access = { .ops = &t1_access_ops, .iova_alignment = 1 };
	struct t1 *t1 = test->priv;
	u64 size;

	for (int strict = 0; strict < 2; strict++) {
		t1_begin(test, strict);
		KUNIT_EXPECT_EQ(test, 0, t1_map(test, 0, PAGES(1)));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_set_vaddr(test, BASE, PAGES(4)));
		t1_expect(test, INVALID, BASE, PAGES(4), 0, 4);
		KUNIT_EXPECT_EQ(test, t1->iopt.num_invalid, 1);
		/*
		 * One mapping is invalid already, so the other one stays valid.
		 */
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_unmap(test, INVALID | ALL, 0, 0, &size));
		KUNIT_EXPECT_EQ(test, t1->iopt.num_invalid, 1);
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_set_vaddr(test, BASE, PAGES(3)));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_set_vaddr(test, BASE, PAGES(5)));
		KUNIT_EXPECT_EQ(test, -EINVAL, t1_set_vaddr(test, BASE, 0));
		KUNIT_EXPECT_EQ(test, -ENOENT,
				t1_set_vaddr(test, 2 * BASE, PAGES(4)));
		KUNIT_EXPECT_EQ(test, 0, t1_set_vaddr(test, BASE, PAGES(4)));
		KUNIT_EXPECT_EQ(test, t1->iopt.num_invalid, 0);
		t1_expect(test, INVALID | ALL, 0, 0, 0, 5);
		KUNIT_EXPECT_EQ(test, 0, t1_set_vaddr(test, BASE, PAGES(4)));
		/* A mapping without a valid user address can be unmapped. */
		t1_expect(test, 0, 0, PAGES(1), 0, 1);
		KUNIT_EXPECT_EQ(test, t1->iopt.num_invalid, 0);

		if (strict)
			t1->type1.emulated = true;
		else
			KUNIT_ASSERT_EQ(test, 0, iopt_add_access(&t1->iopt,
								 &access));
		KUNIT_EXPECT_EQ(test, -EBUSY, t1_unmap(test, INVALID, BASE,
						       PAGES(4), &size));
		if (!strict)
			iopt_remove_access(&t1->iopt, &access);
		t1_end(test);
	}
}

static void map_above_limit_of_mappings_fails(struct kunit *test)
{
	t1_begin(test, true);
	t1_max_mappings = 2;
	KUNIT_EXPECT_EQ(test, 0, t1_map(test, 0, PAGES(1)));
	KUNIT_EXPECT_EQ(test, -ENOSPC, t1_map(test, PAGES(1), PAGES(1)));
	KUNIT_EXPECT_EQ(test, -EEXIST, t1_map(test, 0, PAGES(2)));
	t1_expect(test, 0, 0, PAGES(1), 0, 1);
	KUNIT_EXPECT_EQ(test, 0, t1_map(test, PAGES(1), PAGES(1)));
	t1_end(test);
}

/* Call each ioctl with every size of its structure that is too small. */
static void truncated_argument_faults_in_every_ioctl(struct kunit *test)
{
	static const struct {
		unsigned int cmd;
		u32 flags;
		size_t size;
	} calls[] = {
		{ VFIO_IOMMU_GET_INFO, 0, 16 },
		{ VFIO_IOMMU_MAP_DMA, RW, 32 },
		{ VFIO_IOMMU_UNMAP_DMA, 0, 24 },
		{ VFIO_IOMMU_UNMAP_DMA, BITMAP, 48 },
		{ VFIO_IOMMU_DIRTY_PAGES, STOP, 8 },
		{ VFIO_IOMMU_DIRTY_PAGES, GET, 48 },
	};
	struct t1 *t1 = test->priv;
	struct t1_arg arg;

	t1_begin(test, true);
	KUNIT_ASSERT_EQ(test, 0, t1_dirty(test, START));
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		for (size_t size = 0; size < calls[i].size; size++) {
			arg = t1_bitmap_arg(test, calls[i].flags);
			KUNIT_EXPECT_EQ(test, -EFAULT,
					t1_ioctl(test, calls[i].cmd, &arg,
						 size));
		}
	}
	KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, 1);
	KUNIT_EXPECT_TRUE(test, t1->iopt.tracking);
	KUNIT_EXPECT_EQ(test, -ENOTTY, t1_ioctl(test, VFIO_IOMMU_ENABLE, &arg,
						sizeof(arg)));
	t1_end(test);
}

/* An unmap fails before it unmaps anything if it cannot report the size. */
static void unmap_fails_if_size_cannot_be_written(struct kunit *test)
{
	struct t1_arg arg = t1_unmap_arg(0, BASE, PAGES(T1_PAGES));
	struct t1 *t1 = test->priv;
	unsigned long address;
	struct file *file;
	loff_t pos = 0;

	file = shmem_kernel_file_setup("t1", PAGE_SIZE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_EXPECT_EQ(test, kernel_write(file, &arg, sizeof(arg), &pos),
			sizeof(arg));
	address = kunit_vm_mmap(test, file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED,
				0);
	fput(file);
	KUNIT_ASSERT_NE(test, address, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(address));

	t1_begin(test, true);
	t1->call.arg = (void __user *)address;
	KUNIT_EXPECT_EQ(test, -EFAULT,
			type1_ioctl(&t1->call, VFIO_IOMMU_UNMAP_DMA));
	KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, 1);
	t1_end(test);
}

/*
 * Without an IOVA space, -ENODEV is reported after all errors of the structure.
 */
static void valid_ioctl_without_iova_space_gives_enodev(struct kunit *test)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct t1 *t1 = test->priv;
	u64 size;

	t1_begin(test, false);
	t1->call.iopt = NULL;
	KUNIT_EXPECT_EQ(test, -ENODEV, t1_ioctl(test, VFIO_IOMMU_GET_INFO, &info,
						sizeof(info)));
	KUNIT_EXPECT_EQ(test, -ENODEV, t1_map(test, 0, PAGES(1)));
	KUNIT_EXPECT_EQ(test, -ENODEV, t1_unmap(test, 0, 0, PAGES(1), &size));
	KUNIT_EXPECT_EQ(test, -EINVAL, t1_unmap(test, 8, 0, PAGES(1), &size));
	KUNIT_EXPECT_EQ(test, -ENODEV, t1_dirty(test, START));
	t1->call.iopt = &t1->iopt;
	t1_end(test);
}

/* Write to a page through the engine, without a pin. */
static void t1_write(struct kunit *test, unsigned int page)
{
	struct t1 *t1 = test->priv;
	char c = 1;

	KUNIT_EXPECT_EQ(test, 0, iopt_rw(&t1->iopt, BASE + PAGES(page), &c, 1,
					 IOMMUFD_ACCESS_RW_WRITE));
}

/* Query @pages pages from BASE on, into a bitmap that has all bits set. */
static int t1_get(struct kunit *test, unsigned int cmd, u32 flags,
		  unsigned long pages, u64 *bits)
{
	struct t1_arg arg = t1_bitmap_arg(test, flags);
	struct t1 *t1 = test->priv;
	u64 __user *bitmap = (u64 __user *)t1->page;
	u64 ones[3] = { U64_MAX, U64_MAX, U64_MAX };
	int rc;

	arg.word[T1_SIZE] = PAGES(pages);
	arg.word[T1_BYTES] = DIV_ROUND_UP(pages, 64) * 8;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(bitmap, ones, sizeof(ones)));
	rc = t1_ioctl(test, cmd, &arg, sizeof(arg));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(bits, bitmap, 3 * 8));
	if (!rc && cmd == VFIO_IOMMU_UNMAP_DMA)
		KUNIT_EXPECT_EQ(test, arg.word[T1_SIZE], PAGES(T1_PAGES));
	return rc;
}

static void query_reports_writes_since_start(struct kunit *test)
{
	u64 bits[3];

	for (int strict = 0; strict < 2; strict++) {
		t1_begin(test, strict);
		KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, STOP));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_get(test, VFIO_IOMMU_DIRTY_PAGES, GET, 4,
				       bits));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_get(test, VFIO_IOMMU_UNMAP_DMA, BITMAP, 4,
				       bits));
		t1_write(test, 0);
		KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, START));
		t1_write(test, 1);
		KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, START));
		KUNIT_EXPECT_EQ(test, -EINVAL, t1_dirty(test, 0));
		KUNIT_EXPECT_EQ(test, -EINVAL, t1_dirty(test, START | STOP));

		/* The range covers the mapping in part. */
		KUNIT_EXPECT_EQ(test, -EINVAL,
				t1_get(test, VFIO_IOMMU_DIRTY_PAGES, GET, 3,
				       bits));
		/*
		 * Bits of mapped pages are overwritten, other words do not
		 * change.
		 */
		KUNIT_EXPECT_EQ(test, 0, t1_get(test, VFIO_IOMMU_DIRTY_PAGES,
						GET, 70, bits));
		KUNIT_EXPECT_EQ(test, bits[0], BIT_ULL(1));
		KUNIT_EXPECT_EQ(test, bits[1], U64_MAX);
		KUNIT_EXPECT_EQ(test, bits[2], U64_MAX);
		KUNIT_EXPECT_EQ(test, 0, t1_get(test, VFIO_IOMMU_DIRTY_PAGES,
						GET, 4, bits));
		KUNIT_EXPECT_EQ(test, bits[0], 0);

		t1_write(test, 2);
		KUNIT_EXPECT_EQ(test, 0, t1_get(test, VFIO_IOMMU_UNMAP_DMA,
						BITMAP, 4, bits));
		KUNIT_EXPECT_EQ(test, bits[0], BIT_ULL(2));
		KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, STOP));
		KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, STOP));
		t1_end(test);
	}
}

/* An unmap that fails keeps all mappings and dirty bits. */
static void failed_unmap_keeps_dirty_bits(struct kunit *test)
{
	struct t1_arg arg = t1_bitmap_arg(test, BITMAP);
	u64 bits[3];

	t1_begin(test, true);
	KUNIT_EXPECT_EQ(test, 0, t1_dirty(test, START));
	t1_write(test, 3);
	arg.word[T1_DATA] += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, -EFAULT, t1_ioctl(test, VFIO_IOMMU_UNMAP_DMA, &arg,
						sizeof(arg)));
	KUNIT_EXPECT_EQ(test, arg.word[T1_SIZE], PAGES(T1_PAGES));
	KUNIT_EXPECT_EQ(test, -EINVAL, t1_get(test, VFIO_IOMMU_UNMAP_DMA, BITMAP,
					      2, bits));
	KUNIT_EXPECT_EQ(test, 0, t1_get(test, VFIO_IOMMU_DIRTY_PAGES, GET, 4,
					bits));
	KUNIT_EXPECT_EQ(test, bits[0], BIT_ULL(3));
	t1_end(test);
}

static struct kunit_case t1_unmap_cases[] = {
	KUNIT_CASE(v1_unmaps_mappings_that_begin_in_range),
	KUNIT_CASE(v1_splits_mapping_at_ends_of_range),
	KUNIT_CASE(v2_rejects_range_that_splits_mapping),
	KUNIT_CASE(vaddr_update_needs_whole_invalid_mapping),
	KUNIT_CASE(map_above_limit_of_mappings_fails),
	KUNIT_CASE(truncated_argument_faults_in_every_ioctl),
	KUNIT_CASE(unmap_fails_if_size_cannot_be_written),
	KUNIT_CASE(valid_ioctl_without_iova_space_gives_enodev),
	KUNIT_CASE(query_reports_writes_since_start),
	KUNIT_CASE(failed_unmap_keeps_dirty_bits),
	{}
};

static struct kunit_suite t1_unmap_suite = {
	.name = "iommufd_type1_unmap",
	.init = t1_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = t1_unmap_cases,
};

kunit_test_suite(t1_unmap_suite);
