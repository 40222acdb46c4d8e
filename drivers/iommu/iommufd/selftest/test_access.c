// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test ABI: accesses, which replace a mediated driver.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "test_abi.h"
#include "test_private.h"

/**
 * DOC: Test accesses
 *
 * An access is a file. Userspace passes its descriptor, and destroys the access
 * by closing it. An access has a reference on the context, so /dev/iommu may be
 * closed first.
 *
 * Pins are in a list. Userspace unpins by the ID of the pin, and the unmap
 * callback by range. The lock of the list is held while pages are pinned and
 * added, so a concurrent unmap callback finds all pins.
 *
 * With MOCK_FLAGS_ACCESS_CREATE_LOCKS there is no unmap callback: what is pinned
 * cannot be unmapped.
 */

/*
 * Maximum length of a pin or copy: limits the memory that a fuzzer allocates.
 */
#define TEST_ACCESS_MAX		SZ_16M

#define TEST_CREATE_FLAGS	(MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES | \
				 MOCK_FLAGS_ACCESS_CREATE_LOCKS)

#define TEST_RW_FLAGS		(MOCK_ACCESS_RW_WRITE | \
				 MOCK_ACCESS_RW_SLOW_PATH)

static_assert((int)MOCK_FLAGS_ACCESS_WRITE == (int)IOMMUFD_ACCESS_RW_WRITE);
static_assert((int)MOCK_ACCESS_RW_WRITE == (int)IOMMUFD_ACCESS_RW_WRITE);
static_assert((int)MOCK_ACCESS_RW_SLOW_PATH ==
	      (int)__IOMMUFD_ACCESS_RW_SLOW_PATH);

/**
 * struct test_access - an access
 * @access: the access to the IOAS; NULL only before the file has a descriptor
 * @lock: guards @pins and @next_id; nests outside all locks of the IOAS
 * @pins: struct test_pin, oldest first
 * @next_id: ID of the next pin
 *
 * Owner: a struct file.
 */
struct test_access {
	struct iommufd_access *access;
	/* serialises pins with the unmap callback */
	struct mutex lock;
	struct list_head pins;
	u32 next_id;
};

/**
 * struct test_pin - pages that an access has pinned
 * @node: entry in &test_access.pins
 * @iova: first byte
 * @length: number of bytes
 * @id: ID for userspace
 */
struct test_pin {
	struct list_head node;
	unsigned long iova;
	unsigned long length;
	u32 id;
};

static void test_access_unpin(struct test_access *ta, struct test_pin *pin)
{
	lockdep_assert_held(&ta->lock);

	list_del(&pin->node);
	iommufd_access_unpin_pages(ta->access, pin->iova, pin->length);
	kfree(pin);
}

static void test_access_unpin_range(struct test_access *ta, unsigned long iova,
				    unsigned long last)
{
	struct test_pin *pin, *next;

	guard(mutex)(&ta->lock);
	list_for_each_entry_safe(pin, next, &ta->pins, node)
		if (pin->iova <= last && pin->iova + (pin->length - 1) >= iova)
			test_access_unpin(ta, pin);
}

static void test_access_unmap(void *data, unsigned long iova,
			      unsigned long length)
{
	test_access_unpin_range(data, iova, iova + length - 1);
}

static const struct iommufd_access_ops test_access_ops = {
	.unmap = test_access_unmap,
};

static const struct iommufd_access_ops test_access_pin_ops = {
	.needs_pin_pages = true,
	.unmap = test_access_unmap,
};

static const struct iommufd_access_ops test_access_lock_ops = {
	.needs_pin_pages = true,
};

/*
 * Unpin before the access is destroyed, as unpinning requires the access. The
 * engine may call test_access_unmap() until then.
 */
static int test_access_release(struct inode *inode, struct file *file)
{
	struct test_access *ta = file->private_data;

	if (ta->access) {
		test_access_unpin_range(ta, 0, ULONG_MAX);
		iommufd_access_destroy(ta->access);
	}
	mutex_destroy(&ta->lock);
	kfree(ta);
	return 0;
}

static const struct file_operations test_access_fops = {
	.owner = THIS_MODULE,
	.release = test_access_release,
};

/*
 * Get the access of a descriptor. Returns NULL if it is not one of an access.
 */
static struct test_access *test_access_from_fd(struct fd f)
{
	if (fd_empty(f) || fd_file(f)->f_op != &test_access_fops)
		return NULL;
	return fd_file(f)->private_data;
}

/* Create the file of an access that is yet to be created. */
static struct file *test_access_create_file(void)
{
	struct test_access *ta = kzalloc(sizeof(*ta), GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!ta)
		return ERR_PTR(-ENOMEM);
	mutex_init(&ta->lock);
	INIT_LIST_HEAD(&ta->pins);
	file = anon_inode_getfile("[iommufd_test_access]", &test_access_fops,
				  ta, O_RDWR);
	if (IS_ERR(file))
		kfree(ta);
	return file;
}

/* Create and attach an access, and report its descriptor to userspace. */
static int test_access_attach(struct iommufd_ucmd *ucmd, struct test_access *ta,
			      int fd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	const struct iommufd_access_ops *ops = &test_access_ops;
	struct iommufd_access *access;
	u32 id;
	int rc;

	if (cmd->create_access.flags & MOCK_FLAGS_ACCESS_CREATE_LOCKS)
		ops = &test_access_lock_ops;
	else if (cmd->create_access.flags &
		 MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		ops = &test_access_pin_ops;
	access = iommufd_access_create(ucmd->ictx, ops, ta, &id);
	if (IS_ERR(access))
		return PTR_ERR(access);
	ta->access = access;
	rc = iommufd_access_attach(access, cmd->id);
	if (rc)
		return rc;
	cmd->create_access.out_access_fd = fd;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/**
 * iommufd_test_create_access() - create an access and attach it to an IOAS
 * @ucmd: IOMMU_TEST_OP_CREATE_ACCESS, with the ID of the IOAS
 *
 * Return:
 * * 0: success; out_access_fd is the descriptor of the access
 * * -EOPNOTSUPP: unknown flag
 * * -ENOMEM: out of memory, or there is no free descriptor
 * * -EFAULT: user memory cannot be written
 * * or another errno of iommufd_access_create() or iommufd_access_attach()
 */
int iommufd_test_create_access(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct file *file;
	int fd, rc;

	if (cmd->create_access.flags & ~(u32)TEST_CREATE_FLAGS)
		return -EOPNOTSUPP;
	file = test_access_create_file();
	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		rc = -ENOMEM;
		goto err_file;
	}
	rc = test_access_attach(ucmd, file->private_data, fd);
	if (rc)
		goto err_fd;
	fd_install(fd, file);
	return 0;

err_fd:
	put_unused_fd(fd);
err_file:
	/* test_access_release() destroys the access, if there is one. */
	fput(file);
	return rc;
}

/**
 * iommufd_test_access_replace_ioas() - attach an access to another IOAS
 * @ucmd: IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, with the descriptor of the access
 *
 * Return: 0; -EBADFD if the descriptor is not one of an access; -EBUSY if the
 * access locks memory; or an errno of iommufd_access_replace().
 */
int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access *ta;

	CLASS(fd, f)(cmd->id);
	ta = test_access_from_fd(f);
	if (!ta)
		return -EBADFD;
	if (ta->access->ops->unmap)
		return iommufd_access_replace(ta->access,
					      cmd->access_replace_ioas.ioas_id);
	guard(mutex)(&ta->lock);
	if (!list_empty(&ta->pins))
		return -EBUSY;
	return iommufd_access_replace(ta->access,
				      cmd->access_replace_ioas.ioas_id);
}

static unsigned long test_access_iova(struct test_access *ta, u64 iova,
				      u32 flags)
{
	if (!(flags & MOCK_FLAGS_ACCESS_SYZ))
		return iova;
	guard(mutex)(&ta->access->lock);
	if (!ta->access->ioas)
		return 0;
	return iommufd_test_syz_iova(&ta->access->ioas->iopt, iova);
}

/* Compare pinned pages with the pages at a user address. */
static int test_access_compare(unsigned long address, struct page **pages,
			       size_t npages)
{
	size_t i;

	for (i = 0; i < npages; i++) {
		struct page *page;
		int rc;

		rc = get_user_pages_fast(address + i * PAGE_SIZE, 1, 0, &page);
		if (rc < 0)
			return rc;
		if (WARN_ON(rc != 1))
			return -EFAULT;
		put_page(page);
		if (page != pages[i])
			return -EBADE;
	}
	return 0;
}

/* Pin, compare and report to userspace. On success @pin is in the list. */
static int test_access_pin(struct iommufd_ucmd *ucmd, struct test_access *ta,
			   struct test_pin *pin, struct page **pages)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long in_page = offset_in_page(pin->iova);
	int rc;

	guard(mutex)(&ta->lock);
	rc = iommufd_access_pin_pages(ta->access, pin->iova, pin->length, pages,
				      cmd->access_pages.flags &
					      MOCK_FLAGS_ACCESS_WRITE);
	if (rc)
		return rc;
	/*
	 * A fuzzer passes no address, as it cannot predict which pages are
	 * pinned.
	 */
	if (cmd->access_pages.uptr)
		rc = test_access_compare(cmd->access_pages.uptr - in_page,
					 pages,
					 DIV_ROUND_UP(in_page + pin->length,
						      PAGE_SIZE));
	pin->id = ta->next_id;
	cmd->access_pages.out_access_pages_id = pin->id;
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_access_unpin_pages(ta->access, pin->iova, pin->length);
		return rc;
	}
	ta->next_id++;
	list_add_tail(&pin->node, &ta->pins);
	return 0;
}

/**
 * iommufd_test_access_pages() - pin pages through an access
 * @ucmd: IOMMU_TEST_OP_ACCESS_PAGES, with the descriptor of the access
 *
 * Return:
 * * 0: success; out_access_pages_id is the ID of the pin
 * * -ENOMEM: out of memory, or the length exceeds 16 MiB
 * * -EOPNOTSUPP: unknown flag, or the access was created without a flag of
 *   TEST_CREATE_FLAGS
 * * -EBADFD: the descriptor is not one of an access
 * * -EBADE: the pages differ from those at uptr
 * * -EFAULT: user memory cannot be accessed
 * * or another errno of iommufd_access_pin_pages()
 */
int iommufd_test_access_pages(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long length = cmd->access_pages.length;
	u32 flags = cmd->access_pages.flags;
	struct page **pages __free(kvfree) = NULL;
	struct test_pin *pin __free(kfree) = NULL;
	struct test_access *ta;
	int rc;

	if (length > TEST_ACCESS_MAX)
		return -ENOMEM;
	if (flags & ~(u32)(MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	CLASS(fd, f)(cmd->id);
	ta = test_access_from_fd(f);
	if (!ta)
		return -EBADFD;
	if (!ta->access->ops->needs_pin_pages)
		return -EOPNOTSUPP;

	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->iova = test_access_iova(ta, cmd->access_pages.iova, flags);
	pin->length = length;
	/* A range of unaligned ends covers up to two more pages. */
	pages = kvcalloc(length / PAGE_SIZE + 2, sizeof(*pages),
			 GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	rc = test_access_pin(ucmd, ta, pin, pages);
	/* The list owns it now. */
	if (!rc)
		pin = NULL;
	return rc;
}

/**
 * iommufd_test_destroy_access_pages() - unpin pages of iommufd_test_access_pages()
 * @ucmd: IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, with the descriptor of the access
 *
 * Return: 0; -EBADFD if the descriptor is not one of an access; -ENOENT if the
 * access has no pin of this ID.
 */
int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access *ta;
	struct test_pin *pin;

	CLASS(fd, f)(cmd->id);
	ta = test_access_from_fd(f);
	if (!ta)
		return -EBADFD;

	guard(mutex)(&ta->lock);
	list_for_each_entry(pin, &ta->pins, node) {
		if (pin->id == cmd->destroy_access_pages.access_pages_id) {
			test_access_unpin(ta, pin);
			return 0;
		}
	}
	return -ENOENT;
}

/**
 * iommufd_test_access_rw() - copy from or to an IOVA range through an access
 * @ucmd: IOMMU_TEST_OP_ACCESS_RW, with the descriptor of the access
 *
 * Return:
 * * 0: success
 * * -ENOMEM: out of memory, or the length exceeds 16 MiB
 * * -EOPNOTSUPP: unknown flag
 * * -EBADFD: the descriptor is not one of an access
 * * -EFAULT: user memory cannot be read or written
 * * or another errno of iommufd_access_rw()
 */
int iommufd_test_access_rw(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	void __user *user = u64_to_user_ptr(cmd->access_rw.uptr);
	unsigned long length = cmd->access_rw.length;
	u32 flags = cmd->access_rw.flags;
	struct test_access *ta;
	unsigned long iova;
	int rc;

	if (length > TEST_ACCESS_MAX)
		return -ENOMEM;
	if (flags & ~(u32)(TEST_RW_FLAGS | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	CLASS(fd, f)(cmd->id);
	ta = test_access_from_fd(f);
	if (!ta)
		return -EBADFD;

	void *data __free(kvfree) = kvzalloc(length, GFP_KERNEL_ACCOUNT);

	if (!data)
		return -ENOMEM;
	if (flags & MOCK_ACCESS_RW_WRITE && copy_from_user(data, user, length))
		return -EFAULT;
	iova = test_access_iova(ta, cmd->access_rw.iova, flags);
	rc = iommufd_access_rw(ta->access, iova, data, length,
			       flags & TEST_RW_FLAGS);
	if (rc)
		return rc;
	if (!(flags & MOCK_ACCESS_RW_WRITE) && copy_to_user(user, data, length))
		return -EFAULT;
	return 0;
}
