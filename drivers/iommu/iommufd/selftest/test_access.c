// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of the test ABI: a driver that uses an IOAS from within the kernel.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "test_private.h"

/**
 * DOC: Test accesses
 *
 * An access is a file. Userspace names it by its descriptor and destroys it by
 * closing that; the access holds on to the context, as a driver's does, so
 * /dev/iommu may be closed first.
 *
 * A pin is remembered, with a number for userspace, until userspace gives it
 * back or the engine asks for it: who pins and writes that down does both with
 * the lock held that the unmap callback takes, so that no pin is missed by an
 * unmap that runs meanwhile.
 */

/* More at a time nobody needs, and a fuzzer does not get. */
#define TEST_ACCESS_MAX		SZ_16M

#define TEST_RW_FLAGS		(MOCK_ACCESS_RW_WRITE | \
				 MOCK_ACCESS_RW_SLOW_PATH)

static_assert((int)MOCK_FLAGS_ACCESS_WRITE == (int)IOMMUFD_ACCESS_RW_WRITE);
static_assert((int)MOCK_ACCESS_RW_WRITE == (int)IOMMUFD_ACCESS_RW_WRITE);
static_assert((int)MOCK_ACCESS_RW_SLOW_PATH ==
	      (int)__IOMMUFD_ACCESS_RW_SLOW_PATH);

/**
 * struct test_access - an access
 * @access: of the IOAS; NULL only until it is made and in a file that nobody
 *	has seen
 * @lock: guards @pins and @next_id; taken outside all locks of the IOAS
 * @pins: struct test_pin, in the order in which they were made
 * @next_id: number of the next pin
 *
 * Owner: a struct file, its reference counts.
 */
struct test_access {
	struct iommufd_access *access;
	/* Held over a pin and its entry in the list. */
	struct mutex lock;
	struct list_head pins;
	u32 next_id;
};

/**
 * struct test_pin - pages that an access pinned
 * @node: in &test_access.pins
 * @iova: first byte
 * @length: bytes
 * @id: what userspace names it by
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

/*
 * All pins are undone while there is an access to undo them by. Until that is
 * destroyed the engine may still call test_access_unmap().
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

/* The access of a descriptor; NULL for any other file, or none. */
static struct test_access *test_access_of(struct fd f)
{
	if (fd_empty(f) || fd_file(f)->f_op != &test_access_fops)
		return NULL;
	return fd_file(f)->private_data;
}

/* A file with an access that is not made yet. */
static struct file *test_access_file(void)
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

/* Make the access, attach it, and tell userspace its descriptor. */
static int test_access_attach(struct iommufd_ucmd *ucmd, struct test_access *ta,
			      int fd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	const struct iommufd_access_ops *ops = &test_access_ops;
	struct iommufd_access *access;
	u32 id;
	int rc;

	if (cmd->create_access.flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
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
 * iommufd_test_create_access() - make an access to an IOAS
 * @ucmd: IOMMU_TEST_OP_CREATE_ACCESS, with the ID of the IOAS
 *
 * Return: 0, out_access_fd being the access; -EOPNOTSUPP for an unknown flag;
 * -ENOMEM, also without a free descriptor; what creating and attaching an
 * access gives; -EFAULT.
 */
int iommufd_test_create_access(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct file *file;
	int fd, rc;

	if (cmd->create_access.flags &
	    ~(u32)MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	file = test_access_file();
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
	/* The release undoes what there is. */
	fput(file);
	return rc;
}

/**
 * iommufd_test_access_replace_ioas() - give an access another IOAS
 * @ucmd: IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, with the access
 *
 * Return: 0; -EBADFD for what is no access; what replacing gives.
 */
int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access *ta;

	CLASS(fd, f)(cmd->id);
	ta = test_access_of(f);
	if (!ta)
		return -EBADFD;
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

/* Compare what was pinned with what is at an address of the caller. */
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

/* Pin, compare, tell userspace. The caller keeps what was pinned, or frees. */
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
	/* A fuzzer does not know what is there and gives no address. */
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
 * @ucmd: IOMMU_TEST_OP_ACCESS_PAGES, with the access
 *
 * Return: 0, out_access_pages_id being the pin; -ENOMEM, also for more than
 * 16 MiB; -EOPNOTSUPP for an unknown flag, and for an access that was made
 * without MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES; -EBADFD for what is no
 * access; what pinning gives; -EBADE where other pages are at uptr; -EFAULT.
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
	ta = test_access_of(f);
	if (!ta)
		return -EBADFD;
	if (!ta->access->ops->needs_pin_pages)
		return -EOPNOTSUPP;

	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->iova = test_access_iova(ta, cmd->access_pages.iova, flags);
	pin->length = length;
	/* A page more than whole ones, as neither end need be aligned. */
	pages = kvcalloc(length / PAGE_SIZE + 2, sizeof(*pages),
			 GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	rc = test_access_pin(ucmd, ta, pin, pages);
	/* The list has it now. */
	if (!rc)
		pin = NULL;
	return rc;
}

/**
 * iommufd_test_destroy_access_pages() - give a pin back
 * @ucmd: IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, with the access
 *
 * Return: 0; -EBADFD for what is no access; -ENOENT for a pin that it has not,
 * or has no more.
 */
int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access *ta;
	struct test_pin *pin;

	CLASS(fd, f)(cmd->id);
	ta = test_access_of(f);
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
 * iommufd_test_access_rw() - copy through an access
 * @ucmd: IOMMU_TEST_OP_ACCESS_RW, with the access
 *
 * Return: 0; -ENOMEM, also for more than 16 MiB; -EOPNOTSUPP for an unknown
 * flag; -EBADFD for what is no access; what copying gives; -EFAULT.
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
	ta = test_access_of(f);
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
