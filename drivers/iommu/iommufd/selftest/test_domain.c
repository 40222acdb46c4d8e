// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test ABI: checks of page tables, reference counts and dirty bits.
 */
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/iommu_mock.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "test_private.h"

/**
 * DOC: Test domains
 *
 * The caller passes the expected translation of a range, or the expected number
 * of pins of pages, and the operation fails if it differs. Another operation
 * sets dirty bits, which the caller then queries.
 */

/* The nested domains of the mock IOMMU are those of the test ABI. */
static_assert(IOMMU_MOCK_HWPT_DATA == IOMMU_HWPT_DATA_SELFTEST);
static_assert(sizeof(struct iommu_mock_hwpt_data) ==
	      sizeof(struct iommu_hwpt_selftest));
static_assert(IOMMU_MOCK_HWPT_INVALIDATE_DATA ==
	      IOMMU_HWPT_INVALIDATE_DATA_SELFTEST);
static_assert(IOMMU_MOCK_HWPT_INVALIDATE_ALL == IOMMU_TEST_INVALIDATE_FLAG_ALL);
static_assert(sizeof(struct iommu_mock_hwpt_invalidate) ==
	      sizeof(struct iommu_hwpt_invalidate_selftest));
static_assert(IOMMU_MOCK_NESTED_IOTLB_NUM ==
	      (int)MOCK_NESTED_DOMAIN_IOTLB_NUM);

/* Step in which ranges are checked. */
#define TEST_GRANULE		(PAGE_SIZE / 2)

/* Maximum size of a dirty bitmap in bits: 16 MiB. */
#define TEST_DIRTY_BITS_MAX	((unsigned long)SZ_16M * BITS_PER_BYTE)

/* Get the page at a user address. The caller must put it. */
static struct page *test_user_page(unsigned long address)
{
	struct page *page;
	int rc;

	rc = get_user_pages_fast(address & PAGE_MASK, 1, 0, &page);
	if (rc < 0)
		return ERR_PTR(rc);
	if (WARN_ON(rc != 1))
		return ERR_PTR(-EFAULT);
	return page;
}

/*
 * Look up a page table of a mock IOMMU. Returns -EINVAL for one of another
 * IOMMU.
 */
static struct iommufd_hwpt *test_get_hwpt(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->id);
	if (!IS_ERR(hwpt) && !iommu_mock_domain_model(hwpt->domain)) {
		iommufd_put_object(ucmd->ictx, &hwpt->obj);
		return ERR_PTR(-EINVAL);
	}
	return hwpt;
}

static int test_check_map_at(struct iommu_domain *domain, unsigned long iova,
			     unsigned long address)
{
	phys_addr_t expected, found;
	struct page *page;

	page = test_user_page(address);
	if (IS_ERR(page))
		return PTR_ERR(page);
	expected = page_to_phys(page) + offset_in_page(address);
	put_page(page);
	if (!iommu_mock_domain_translate(domain, iova, &found) ||
	    found != expected)
		return -EINVAL;
	return 0;
}

/**
 * iommufd_test_check_map() - compare translations of a range with user memory
 * @ucmd: IOMMU_TEST_OP_MD_CHECK_MAP, with the ID of a page table
 *
 * Return:
 * * 0: each IOVA translates to the page at the same offset from uptr
 * * -EINVAL: an IOVA does not; the range is not aligned; or the page table is
 *   not of a mock IOMMU
 * * -ENOENT: there is no such page table
 * * -EFAULT: there is no user memory
 */
int iommufd_test_check_map(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long address = cmd->check_map.uptr;
	unsigned long length = cmd->check_map.length;
	unsigned long iova = cmd->check_map.iova;
	struct iommufd_hwpt *hwpt;
	unsigned long done, end;
	int rc = 0;

	if (!IS_ALIGNED(iova | length | address, TEST_GRANULE) ||
	    check_add_overflow(address, length, &end))
		return -EINVAL;
	hwpt = test_get_hwpt(ucmd);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	for (done = 0; !rc && done < length; done += TEST_GRANULE) {
		rc = test_check_map_at(hwpt->domain, iova + done,
				       address + done);
		cond_resched();
	}
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	return rc;
}

/**
 * iommufd_test_check_refs() - compare the number of pins of user pages
 * @ucmd: IOMMU_TEST_OP_MD_CHECK_REFS
 *
 * Skips pages of large folios, which share a pin count.
 *
 * Return:
 * * 0: each page has the number of pins in refs
 * * -EIO: a page does not
 * * -EINVAL: the range wraps or is not aligned
 * * -EFAULT: there is no user memory
 */
int iommufd_test_check_refs(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long address = cmd->check_refs.uptr;
	unsigned long end;

	if (!PAGE_ALIGNED(address | (unsigned long)cmd->check_refs.length) ||
	    check_add_overflow(address, (unsigned long)cmd->check_refs.length,
			       &end))
		return -EINVAL;

	for (; address != end; address += PAGE_SIZE) {
		struct page *page = test_user_page(address);
		unsigned int pins;

		if (IS_ERR(page))
			return PTR_ERR(page);
		pins = page_ref_count(page) / GUP_PIN_COUNTING_BIAS;
		if (PageCompound(page))
			pins = cmd->check_refs.refs;
		put_page(page);
		if (pins != cmd->check_refs.refs)
			return -EIO;
		cond_resched();
	}
	return 0;
}

/*
 * Set the dirty bits of a user bitmap. Returns the number of set bits, or an
 * errno.
 */
static long test_dirty_bits(struct iommu_domain *domain, unsigned long iova,
			    unsigned long page_size, unsigned long nbits,
			    const void __user *data)
{
	unsigned long *bits __free(kvfree) = NULL;
	unsigned long i;
	long count = 0;

	if (!iommu_mock_domain_tracks(domain))
		return -EINVAL;
	bits = kvcalloc(BITS_TO_LONGS(nbits), sizeof(*bits),
			GFP_KERNEL_ACCOUNT);
	if (!bits)
		return -ENOMEM;
	if (copy_from_user(bits, data, DIV_ROUND_UP(nbits, BITS_PER_BYTE)))
		return -EFAULT;
	for_each_set_bit(i, bits, nbits) {
		count += iommu_mock_domain_set_dirty(domain,
						     iova + i * page_size);
		cond_resched();
	}
	return count;
}

/**
 * iommufd_test_dirty() - set dirty bits in a page table
 * @ucmd: IOMMU_TEST_OP_DIRTY, with the ID of a page table
 *
 * A bit of the bitmap represents page_size bytes. It sets the dirty bit of the
 * leaf that maps their first byte. out_nr_dirty is set to the number of such
 * leaves, dirty before or not.
 *
 * Return:
 * * 0: success
 * * -EINVAL: the range is empty or not aligned; there is no bitmap; tracking is
 *   disabled; or the page table is not of a mock IOMMU
 * * -EOVERFLOW: the bitmap is too large
 * * -ENOENT: there is no such page table
 * * -ENOMEM: out of memory
 * * -EFAULT: user memory cannot be read or written
 */
int iommufd_test_dirty(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long page_size = cmd->dirty.page_size;
	unsigned long length = cmd->dirty.length;
	unsigned long iova = cmd->dirty.iova;
	struct iommufd_hwpt *hwpt;
	long count;

	if (!page_size || !length || !cmd->dirty.uptr || iova % page_size ||
	    length % page_size)
		return -EINVAL;
	if (length / page_size > TEST_DIRTY_BITS_MAX)
		return -EOVERFLOW;
	hwpt = test_get_hwpt(ucmd);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	count = test_dirty_bits(hwpt->domain, iova, page_size,
				length / page_size,
				u64_to_user_ptr(cmd->dirty.uptr));
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	if (count < 0)
		return count;
	cmd->dirty.out_nr_dirty = count;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/**
 * iommufd_test_check_iotlb() - compare an entry of a nested page table
 * @ucmd: IOMMU_TEST_OP_MD_CHECK_IOTLB, with the ID of a nested page table
 *
 * Return:
 * * 0: the entry has the value iotlb
 * * -EINVAL: it does not, there is no such entry, or the page table is not of a
 *   mock IOMMU
 * * -ENOENT: there is no such nested page table
 */
int iommufd_test_check_iotlb(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt;
	u32 value;
	int rc;

	hwpt = iommufd_get_hwpt_nested(ucmd->ictx, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = iommu_mock_nested_iotlb(hwpt->domain, cmd->check_iotlb.id, &value);
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	if (rc)
		return rc;
	return value == cmd->check_iotlb.iotlb ? 0 : -EINVAL;
}
