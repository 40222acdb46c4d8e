// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of the type1 ABI
 *
 * Each row of these tests changes one field of a valid call. It gives the errno
 * of each of the two containers. A call that fails must change neither the IOVA
 * space nor the structure. The structure ends where a mapped page ends, so an
 * access behind it faults. type1_unmap_kunit.c tests the effects of valid
 * calls.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "space/iopt_area.h"
#include "tests/type1/type1_kunit.h"

unsigned int t1_max_mappings;

static const struct type1_flavour t1_strict = {
	.max_mappings = &t1_max_mappings,
	.strict = true,
};

static const struct type1_flavour t1_loose = {
	.split = true,
};

/**
 * t1_kunit_init() - initialise a test of a suite
 * @test: the test; its priv becomes a struct t1
 *
 * Return: 0.
 */
int t1_kunit_init(struct kunit *test)
{
	struct t1 *t1 = kunit_kzalloc(test, sizeof(*t1), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t1);
	iopt_kunit_init(test);
	t1->ik = *(struct iopt_kunit *)test->priv;
	test->priv = t1;
	t1->memory = iopt_kunit_mmap(test, T1_MEMORY);
	/*
	 * Keep a page in front of an unmapped range of the largest bitmap size.
	 */
	t1->page = iopt_kunit_mmap(test, 1 + SZ_256M / PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(t1->page + PAGE_SIZE, SZ_256M));
	return 0;
}

/**
 * t1_begin() - create a container of version 2 with one mapping
 * @test: the test
 * @strict: create VFIO's container instead of that of /dev/iommu
 */
void t1_begin(struct kunit *test, bool strict)
{
	struct t1 *t1 = test->priv;

	t1_max_mappings = 100;
	type1_init(&t1->type1, strict ? &t1_strict : &t1_loose);
	t1->type1.v2 = true;
	iopt_init_table(&t1->iopt);
	t1->call = (struct type1_call) {
		.type1 = &t1->type1,
		.iopt = &t1->iopt,
		.account_mode = IOPT_PAGES_ACCOUNT_NONE,
	};
	KUNIT_ASSERT_EQ(test, 0, t1_map(test, BASE, PAGES(T1_PAGES)));
}

/**
 * t1_end() - undo t1_begin()
 * @test: the test
 */
void t1_end(struct kunit *test)
{
	struct t1 *t1 = test->priv;

	iopt_stop_tracking(&t1->iopt);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t1->iopt, NULL));
	iopt_destroy_table(&t1->iopt);
	type1_destroy(&t1->type1);
}

/**
 * t1_ioctl() - copy a structure to user memory and call an ioctl with it
 * @test: the test
 * @cmd: VFIO_IOMMU_*
 * @arg: the structure; updated with what the ioctl wrote
 * @size: number of bytes to copy, at most a page; memory behind them is not
 *	mapped
 *
 * Return: the result of the ioctl.
 */
int t1_ioctl(struct kunit *test, unsigned int cmd, void *arg, size_t size)
{
	struct t1 *t1 = test->priv;
	int rc;

	t1->call.arg = (void __user *)(t1->page + PAGE_SIZE - size);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(t1->call.arg, arg, size));
	rc = type1_ioctl(&t1->call, cmd);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(arg, t1->call.arg, size));
	return rc;
}

/**
 * t1_map_arg() - prepare a valid call of VFIO_IOMMU_MAP_DMA
 * @test: the test
 *
 * Return: the structure.
 */
struct t1_arg t1_map_arg(struct kunit *test)
{
	struct t1 *t1 = test->priv;

	return (struct t1_arg) {
		.argsz = 32,
		.flags = RW,
		.word = { t1->memory, 2 * BASE, PAGES(T1_PAGES) },
	};
}

/**
 * t1_unmap_arg() - prepare a call of VFIO_IOMMU_UNMAP_DMA
 * @flags: VFIO_DMA_UNMAP_FLAG_*
 * @iova: first byte
 * @size: number of bytes
 *
 * Return: the structure.
 */
struct t1_arg t1_unmap_arg(u32 flags, unsigned long iova, unsigned long size)
{
	return (struct t1_arg) {
		.argsz = 24,
		.flags = flags,
		.word = { iova, size },
	};
}

/**
 * t1_bitmap_arg() - prepare a valid query, or unmap with a bitmap, of T1_PAGES pages
 * @test: the test; the bitmap is at the start of &t1.page
 * @flags: VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP or
 *	VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP
 *
 * Return: the structure.
 */
struct t1_arg t1_bitmap_arg(struct kunit *test, u32 flags)
{
	struct t1 *t1 = test->priv;

	return (struct t1_arg) {
		.argsz = 48,
		.flags = flags,
		.word = { BASE, PAGES(T1_PAGES), PAGE_SIZE, 8, t1->page },
	};
}

/**
 * t1_map() - map the user memory
 * @test: the test
 * @iova: first byte
 * @size: number of bytes
 *
 * Return: the result of the ioctl.
 */
int t1_map(struct kunit *test, unsigned long iova, unsigned long size)
{
	struct t1_arg arg = t1_map_arg(test);

	arg.word[T1_MAP_IOVA] = iova;
	arg.word[T1_MAP_SIZE] = size;
	return t1_ioctl(test, VFIO_IOMMU_MAP_DMA, &arg, arg.argsz);
}

/**
 * t1_unmap() - unmap a range or invalidate its user addresses
 * @test: the test
 * @flags: VFIO_DMA_UNMAP_FLAG_*
 * @iova: first byte
 * @size: number of bytes
 * @unmapped: set to the size that the ioctl reports
 *
 * Return: the result of the ioctl.
 */
int t1_unmap(struct kunit *test, u32 flags, unsigned long iova,
	     unsigned long size, u64 *unmapped)
{
	struct t1_arg arg = t1_unmap_arg(flags, iova, size);
	int rc = t1_ioctl(test, VFIO_IOMMU_UNMAP_DMA, &arg, arg.argsz);

	*unmapped = arg.word[T1_SIZE];
	return rc;
}

/**
 * t1_dirty() - start or stop dirty tracking
 * @test: the test
 * @flags: VFIO_IOMMU_DIRTY_PAGES_FLAG_START or VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
 *
 * Return: the result of the ioctl.
 */
int t1_dirty(struct kunit *test, u32 flags)
{
	struct t1_arg arg = { .argsz = 8, .flags = flags };

	return t1_ioctl(test, VFIO_IOMMU_DIRTY_PAGES, &arg, arg.argsz);
}

/* Field of the structure that a row changes. */
#define ARGSZ		0
#define FLAGS		1
#define WORD(n)		(2 + (n))
#define VADDR		WORD(T1_MAP_VADDR)
#define MAP_IOVA	WORD(T1_MAP_IOVA)
#define MAP_SIZE	WORD(T1_MAP_SIZE)
#define IOVA		WORD(T1_IOVA)
#define SIZE		WORD(T1_SIZE)
#define PGSIZE		WORD(T1_PGSIZE)
#define BYTES		WORD(T1_BYTES)
#define DATA		WORD(T1_DATA)

/**
 * struct t1_case - a valid call with one changed field
 * @name: name of the row
 * @what: index of the changed field
 * @value: the new value, or the value to add
 * @add: add @value to the field instead of setting it
 * @strict: expected result of VFIO's container
 * @loose: expected result of the container of /dev/iommu
 */
struct t1_case {
	const char *name;
	unsigned int what;
	u64 value;
	bool add;
	int strict;
	int loose;
};

#define T1_CASE(_name, _what, _value, _add, _strict, _loose)		\
	{ .name = (_name), .what = (_what), .value = (_value),		\
	  .add = (_add), .strict = (_strict), .loose = (_loose) }
#define SET(_name, _what, _value, _strict, _loose)			\
	T1_CASE(_name, _what, _value, false, _strict, _loose)
#define ADD(_name, _what, _value, _strict, _loose)			\
	T1_CASE(_name, _what, _value, true, _strict, _loose)

static const struct t1_case t1_map_cases[] = {
	ADD("valid", FLAGS, 0, 0, 0),
	SET("argsz of 0", ARGSZ, 0, -EINVAL, -EINVAL),
	ADD("argsz too small", ARGSZ, -1, -EINVAL, -EINVAL),
	ADD("argsz too large", ARGSZ, 100, 0, 0),
	SET("read only", FLAGS, VFIO_DMA_MAP_FLAG_READ, 0, 0),
	SET("write only", FLAGS, VFIO_DMA_MAP_FLAG_WRITE, 0, 0),
	SET("no protection", FLAGS, 0, -EINVAL, -EINVAL),
	ADD("flag 3", FLAGS, BIT(3), -EINVAL, -EINVAL),
	ADD("flag 31", FLAGS, BIT(31), -EINVAL, -EINVAL),
	ADD("new vaddr and protection", FLAGS, VFIO_DMA_MAP_FLAG_VADDR,
	    -EINVAL, -EINVAL),
	SET("new vaddr of unmapped range", FLAGS, VFIO_DMA_MAP_FLAG_VADDR,
	    -ENOENT, -ENOENT),
	ADD("vaddr within a page", VADDR, 1, -EINVAL, 0),
	SET("vaddr wraps", VADDR, -PAGE_SIZE, -EINVAL, -EOVERFLOW),
	ADD("iova within a page", MAP_IOVA, 1, -EINVAL, 0),
	SET("iova of 0", MAP_IOVA, 0, 0, 0),
	SET("iova wraps", MAP_IOVA, -PAGE_SIZE, -EINVAL, -EOVERFLOW),
	SET("iova up to 2^64", MAP_IOVA, -PAGES(T1_PAGES), 0, 0),
	SET("overlaps a mapping", MAP_IOVA, BASE - PAGE_SIZE, -EEXIST, -EEXIST),
	SET("adjacent to a mapping", MAP_IOVA, BASE + PAGES(T1_PAGES), 0, 0),
	SET("size of 0", MAP_SIZE, 0, -EINVAL, -EINVAL),
	ADD("size larger by a byte", MAP_SIZE, 1, -EINVAL, 0),
	SET("size wraps", MAP_SIZE, -PAGES(2), -EINVAL, -EOVERFLOW),
	SET("size of U64_MAX", MAP_SIZE, U64_MAX, -EINVAL, -EINVAL),
};

static const struct t1_case t1_unmap_cases[] = {
	ADD("valid", FLAGS, 0, 0, 0),
	SET("argsz of 0", ARGSZ, 0, -EINVAL, -EINVAL),
	ADD("argsz too small", ARGSZ, -1, -EINVAL, -EINVAL),
	ADD("argsz too large", ARGSZ, 100, 0, 0),
	SET("flag to invalidate vaddr", FLAGS, VFIO_DMA_UNMAP_FLAG_VADDR, 0, 0),
	SET("flag for all with a range", FLAGS, VFIO_DMA_UNMAP_FLAG_ALL,
	    -EINVAL, -EINVAL),
	SET("flag for bitmap without bitmap", FLAGS,
	    VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, -EINVAL, -EINVAL),
	ADD("flag 3", FLAGS, BIT(3), -EINVAL, -EINVAL),
	ADD("flag 31", FLAGS, BIT(31), -EINVAL, -EINVAL),
	ADD("iova within a page", IOVA, 1, -EINVAL, -ENOENT),
	ADD("iova within a mapping", IOVA, PAGE_SIZE, -EINVAL, -ENOENT),
	ADD("iova in front of mapping", IOVA, -PAGE_SIZE, -EINVAL, -ENOENT),
	SET("iova outside of mappings", IOVA, 0, 0, 0),
	SET("iova wraps", IOVA, -PAGE_SIZE, -EINVAL, -EOVERFLOW),
	SET("iova up to 2^64", IOVA, -PAGES(T1_PAGES), 0, 0),
	SET("size of 0", SIZE, 0, -EINVAL, -EINVAL),
	ADD("size smaller by a byte", SIZE, -1, -EINVAL, -ENOENT),
	ADD("size larger by a byte", SIZE, 1, -EINVAL, 0),
	ADD("size smaller by a page", SIZE, -PAGE_SIZE, -EINVAL, -ENOENT),
	ADD("size larger by a page", SIZE, PAGE_SIZE, 0, 0),
	SET("size up to 2^64", SIZE, -BASE, 0, 0),
	SET("size wraps", SIZE, PAGE_SIZE - BASE, -EINVAL, -EOVERFLOW),
	SET("size of U64_MAX", SIZE, U64_MAX, -EINVAL, -EOVERFLOW),
};

/* For a query, and for an unmap with a bitmap. */
static const struct t1_case t1_bitmap_cases[] = {
	ADD("valid", FLAGS, 0, 0, 0),
	SET("argsz of 0", ARGSZ, 0, -EINVAL, -EINVAL),
	ADD("argsz too small", ARGSZ, -1, -EINVAL, -EINVAL),
	SET("argsz without bitmap", ARGSZ, 24, -EINVAL, -EINVAL),
	ADD("argsz too large", ARGSZ, 100, 0, 0),
	ADD("flag 3", FLAGS, BIT(3), -EINVAL, -EINVAL),
	ADD("flag 31", FLAGS, BIT(31), -EINVAL, -EINVAL),
	ADD("other flag", FLAGS, 2, -EINVAL, -EINVAL),
	SET("two other flags", FLAGS, 6, -EINVAL, -EINVAL),
	ADD("iova within a page", IOVA, 1, -EINVAL, -EINVAL),
	SET("iova outside of mappings", IOVA, 0, 0, 0),
	SET("iova wraps", IOVA, -PAGE_SIZE, -EINVAL, -EINVAL),
	SET("iova up to 2^64", IOVA, -PAGES(T1_PAGES), 0, 0),
	SET("size of 0", SIZE, 0, -EINVAL, -EINVAL),
	ADD("size smaller by a byte", SIZE, -1, -EINVAL, -EINVAL),
	SET("64 bits", SIZE, PAGES(64), 0, 0),
	SET("65 bits in 8 bytes", SIZE, PAGES(65), -EINVAL, -EINVAL),
	SET("size wraps", SIZE, -PAGE_SIZE, -EINVAL, -EINVAL),
	SET("pgsize of 0", PGSIZE, 0, -EINVAL, -EINVAL),
	SET("pgsize of 1", PGSIZE, 1, -EINVAL, -EINVAL),
	SET("pgsize of half a page", PGSIZE, PAGE_SIZE / 2, -EINVAL, -EINVAL),
	SET("pgsize of two pages", PGSIZE, PAGES(2), -EINVAL, -EINVAL),
	SET("pgsize of 2^63", PGSIZE, BIT_ULL(63), -EINVAL, -EINVAL),
	ADD("pgsize not a power of two", PGSIZE, 1, -EINVAL, -EINVAL),
	SET("bitmap size of 0", BYTES, 0, -EINVAL, -EINVAL),
	SET("bitmap size below 8", BYTES, 7, -EINVAL, -EINVAL),
	SET("bitmap of 256 MiB", BYTES, SZ_256M, 0, 0),
	SET("bitmap larger than 256 MiB", BYTES, SZ_256M + 8, -EINVAL, -EINVAL),
	SET("bitmap size of U64_MAX", BYTES, U64_MAX, -EINVAL, -EINVAL),
	SET("bitmap at kernel address", DATA, -PAGE_SIZE, -EINVAL, -EINVAL),
	SET("bitmap at address 0", DATA, 0, -EFAULT, -EFAULT),
	ADD("bitmap in unmapped page", DATA, PAGE_SIZE, -EFAULT, -EFAULT),
};

KUNIT_ARRAY_PARAM_DESC(t1_map, t1_map_cases, name);
KUNIT_ARRAY_PARAM_DESC(t1_unmap, t1_unmap_cases, name);
KUNIT_ARRAY_PARAM_DESC(t1_bitmap, t1_bitmap_cases, name);

static void t1_change(struct t1_arg *arg, const struct t1_case *c)
{
	u64 value = c->value;
	u64 *word;

	switch (c->what) {
	case ARGSZ:
		arg->argsz = value + (c->add ? arg->argsz : 0);
		break;
	case FLAGS:
		arg->flags = value + (c->add ? arg->flags : 0);
		break;
	default:
		word = &arg->word[c->what - WORD(0)];
		*word = value + (c->add ? *word : 0);
	}
}

/* Test a row in both containers. @size is the size of a valid structure. */
static void t1_check(struct kunit *test, unsigned int cmd,
		     const struct t1_arg *valid, size_t size, bool track)
{
	const struct t1_case *c = test->param_value;
	struct t1 *t1 = test->priv;
	struct t1_arg arg, old;
	unsigned int areas;
	int rc;

	for (int strict = 0; strict < 2; strict++) {
		t1_begin(test, strict);
		if (track)
			KUNIT_ASSERT_EQ(test, 0,
					iopt_start_tracking(&t1->iopt));
		areas = t1->iopt.num_areas;
		arg = *valid;
		t1_change(&arg, c);
		old = arg;
		rc = t1_ioctl(test, cmd, &arg, size);
		KUNIT_EXPECT_EQ(test, rc, strict ? c->strict : c->loose);
		if (rc) {
			KUNIT_EXPECT_EQ(test, t1->iopt.num_areas, areas);
			KUNIT_EXPECT_EQ(test, t1->iopt.num_invalid, 0);
			/* ABI: only /dev/iommu sets size after an error. */
			if (!strict && cmd == VFIO_IOMMU_UNMAP_DMA &&
			    rc != -EINVAL)
				old.word[T1_SIZE] = 0;
			KUNIT_EXPECT_MEMEQ(test, &arg, &old, size);
		}
		t1_end(test);
	}
}

static void map_checks_each_field(struct kunit *test)
{
	struct t1_arg arg = t1_map_arg(test);

	t1_check(test, VFIO_IOMMU_MAP_DMA, &arg, arg.argsz, false);
}

static void unmap_checks_each_field(struct kunit *test)
{
	struct t1_arg arg = t1_unmap_arg(0, BASE, PAGES(T1_PAGES));

	t1_check(test, VFIO_IOMMU_UNMAP_DMA, &arg, arg.argsz, false);
}

static void unmap_with_bitmap_checks_each_field(struct kunit *test)
{
	struct t1_arg arg =
		t1_bitmap_arg(test, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP);

	t1_check(test, VFIO_IOMMU_UNMAP_DMA, &arg, arg.argsz, true);
}

static void get_bitmap_checks_each_field(struct kunit *test)
{
	struct t1_arg arg =
		t1_bitmap_arg(test, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);

	t1_check(test, VFIO_IOMMU_DIRTY_PAGES, &arg, arg.argsz, true);
}

static struct kunit_case t1_cases[] = {
	KUNIT_CASE_PARAM(map_checks_each_field, t1_map_gen_params),
	KUNIT_CASE_PARAM(unmap_checks_each_field, t1_unmap_gen_params),
	KUNIT_CASE_PARAM(unmap_with_bitmap_checks_each_field, t1_bitmap_gen_params),
	KUNIT_CASE_PARAM(get_bitmap_checks_each_field, t1_bitmap_gen_params),
	{}
};

static struct kunit_suite t1_suite = {
	.name = "iommufd_type1",
	.init = t1_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = t1_cases,
};

kunit_test_suite(t1_suite);
