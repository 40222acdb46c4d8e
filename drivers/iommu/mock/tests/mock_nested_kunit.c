// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of nested domains.
 */
#include <linux/iommu_mock.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "mock_kunit.h"
#include "mock_private.h"

#define PARENT_FLAGS	(IOMMU_HWPT_ALLOC_NEST_PARENT | \
			 IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
#define RW		(IOMMU_READ | IOMMU_WRITE)
#define IOVA		SZ_2M
#define INITIAL		0x1234

/**
 * struct nested_test - a nested domain over a paging domain that maps a page
 * @dev: a device, not attached
 * @memory: the mapped page
 * @user: a page of user memory
 * @parent: the paging domain; dirty tracking is enabled
 * @nested: the nested domain
 */
struct nested_test {
	struct device *dev;
	u64 *memory;
	void __user *user;
	struct iommu_domain *parent;
	struct iommu_domain *nested;
};

static struct iommu_domain *alloc_nested(struct nested_test *t,
					 u32 flags, u32 type, size_t length)
{
	struct iommu_user_data data = {
		.type = type,
		.uptr = t->user,
		.len = length,
	};
	struct iommu_domain *domain;

	domain = mock_nested_alloc_user(t->dev, flags, t->parent, &data);
	if (!IS_ERR(domain))
		domain->owner = &mock_iommu_ops;
	return domain;
}

static int nested_init(struct kunit *test)
{
	struct iommu_mock_hwpt_data data = { .iotlb = INITIAL };
	struct nested_test *t;
	unsigned long addr;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->memory = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->memory);
	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	t->user = (void __user *)addr;
	KUNIT_ASSERT_EQ(test, copy_to_user(t->user, &data, sizeof(data)), 0);

	t->dev = mock_kunit_device(test, "4k");
	t->parent = mock_nested_alloc_user(t->dev, PARENT_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->parent);
	t->parent->owner = &mock_iommu_ops;
	KUNIT_ASSERT_EQ(test,
			iommu_map(t->parent, IOVA, virt_to_phys(t->memory),
				  PAGE_SIZE, RW, GFP_KERNEL),
			0);
	t->parent->dirty_ops->set_dirty_tracking(t->parent, true);
	t->nested = alloc_nested(t, 0, IOMMU_MOCK_HWPT_DATA, sizeof(data));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->nested);
	test->priv = t;
	return 0;
}

static void nested_exit(struct kunit *test)
{
	struct nested_test *t = test->priv;

	if (!t)
		return;
	iommu_domain_free(t->nested);
	iommu_domain_free(t->parent);
}

static void write_value(struct kunit *test, u64 value, int rc)
{
	struct nested_test *t = test->priv;
	struct iommu_mock_fault fault;

	KUNIT_EXPECT_EQ(test,
			iommu_mock_dma_write(t->dev, IOVA, &value,
					     sizeof(value), &fault),
			rc);
	if (!rc)
		KUNIT_EXPECT_EQ(test, *t->memory, value);
}

/* Query and clear the dirty bit of the page. */
static bool page_was_dirty(struct kunit *test)
{
	struct nested_test *t = test->priv;
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	bool was_dirty;

	iommu_dirty_bitmap_init(&dirty, NULL, &gather);
	t->parent->dirty_ops->read_and_clear_dirty(t->parent, IOVA, PAGE_SIZE,
						   0, &dirty);
	was_dirty = dirty.pgsizes;
	iommu_iotlb_sync(t->parent, &gather);
	return was_dirty;
}

/* Each query also flushes what the device has cached. */
static void nested_dma_sets_dirty_bits_of_parent(struct kunit *test)
{
	struct nested_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iommu_attach_device(t->nested, t->dev), 0);
	KUNIT_EXPECT_FALSE(test, page_was_dirty(test));
	for (u64 i = 1; i < 4; i++) {
		write_value(test, i, 0);
		KUNIT_EXPECT_TRUE(test, page_was_dirty(test));
		KUNIT_EXPECT_FALSE(test, page_was_dirty(test));
	}
	KUNIT_EXPECT_EQ(test, iommu_unmap(t->parent, IOVA, PAGE_SIZE),
			PAGE_SIZE);
	write_value(test, 5, -EFAULT);
	iommu_detach_device(t->nested, t->dev);
}

/* A write before a change of domains is reported after it. */
static void nested_change_keeps_dirty_bits(struct kunit *test)
{
	struct nested_test *t = test->priv;
	struct iommu_domain *other, *domains[3];

	other = alloc_nested(t, 0, IOMMU_MOCK_HWPT_DATA, sizeof(u32));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	domains[0] = t->nested;
	domains[1] = t->parent;
	domains[2] = other;
	for (unsigned int i = 0; i < 6; i++) {
		struct iommu_domain *domain = domains[i % 3];

		KUNIT_ASSERT_EQ(test, iommu_attach_device(domain, t->dev), 0);
		write_value(test, i, 0);
		iommu_detach_device(domain, t->dev);
		write_value(test, i, -EFAULT);
		KUNIT_EXPECT_TRUE(test, page_was_dirty(test));
	}
	iommu_domain_free(other);
}

static void nested_alloc_rejects_bad_arguments(struct kunit *test)
{
	struct nested_test *t = test->priv;
	struct iommu_domain *paging = t->parent;
	size_t length = sizeof(struct iommu_mock_hwpt_data);

	KUNIT_EXPECT_EQ(test,
			PTR_ERR(alloc_nested(t, PARENT_FLAGS,
					     IOMMU_MOCK_HWPT_DATA, length)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(alloc_nested(t, 0, IOMMU_MOCK_HWPT_DATA + 1,
					     length)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(alloc_nested(t, 0, IOMMU_MOCK_HWPT_DATA,
					     length - 1)),
			-EINVAL);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(mock_nested_alloc_user(t->dev, 0, t->parent,
						       NULL)),
			-EOPNOTSUPP);
	/* A nested domain cannot be the parent of another one. */
	t->parent = t->nested;
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(alloc_nested(t, 0, IOMMU_MOCK_HWPT_DATA,
					     length)),
			-EINVAL);
	t->parent = paging;
	t->user = NULL;
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(alloc_nested(t, 0, IOMMU_MOCK_HWPT_DATA,
					     length)),
			-EFAULT);
}

static void nested_iotlb_is_inspected_by_index(struct kunit *test)
{
	struct nested_test *t = test->priv;
	u32 value;

	for (unsigned int i = 0; i < IOMMU_MOCK_NESTED_IOTLB_NUM; i++) {
		value = 0;
		KUNIT_EXPECT_EQ(test,
				iommu_mock_nested_iotlb(t->nested, i, &value),
				0);
		KUNIT_EXPECT_EQ(test, value, INITIAL);
	}
	KUNIT_EXPECT_EQ(test,
			iommu_mock_nested_iotlb(t->nested,
						IOMMU_MOCK_NESTED_IOTLB_NUM,
						&value),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iommu_mock_nested_iotlb(t->parent, 0, &value),
			-EINVAL);
}

static struct kunit_case mock_nested_cases[] = {
	KUNIT_CASE(nested_dma_sets_dirty_bits_of_parent),
	KUNIT_CASE(nested_change_keeps_dirty_bits),
	KUNIT_CASE(nested_alloc_rejects_bad_arguments),
	KUNIT_CASE(nested_iotlb_is_inspected_by_index),
	{}
};

static struct kunit_suite mock_nested_suite = {
	.name = "iommu_mock_nested",
	.init = nested_init,
	.exit = nested_exit,
	.test_cases = mock_nested_cases,
};

kunit_test_suite(mock_nested_suite);
