// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu: the file and its ioctls.
 */
#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "iommufd_test.h"

/**
 * DOC: The file
 *
 * Each open of /dev/iommu creates a context. A reference on the file is a
 * reference on the context. Each ioctl has a structure that begins with its
 * size. iommufd_ioctls[] has the size of the kernel's structure, and the
 * minimum size that a caller must pass. A handler receives a copy of the
 * kernel's size. Members that the caller's structure lacks are 0. Ioctls that
 * are not in the array are passed to the compat container, which implements the
 * type1 ioctls.
 */

/* Size in bytes of the buffer for the largest structure. */
#define UCMD_SIZE	128

/**
 * struct iommufd_ioctl - an ioctl and its handler
 * @cmd: ioctl number, with type and direction
 * @size: size of the structure in bytes
 * @min_size: minimum size that a caller must pass
 * @handler: handles the ioctl; returns 0 or a negative errno
 */
struct iommufd_ioctl {
	unsigned int cmd;
	u16 size;
	u16 min_size;
	int (*handler)(struct iommufd_ucmd *ucmd);
};

static int iommufd_destroy(struct iommufd_ucmd *ucmd)
{
	struct iommu_destroy *cmd = ucmd->cmd;

	return iommufd_object_destroy_id(ucmd->ictx, cmd->id);
}

/*
 * @_last is the last member that every caller must pass. All arguments are
 * names and constants: evaluating one twice does no harm.
 */
#define IOMMUFD_IOCTL(_cmd, _handler, _struct, _last)			\
	[_IOC_NR(_cmd) - IOMMUFD_CMD_BASE] = {				\
		.cmd = _cmd,						\
		.handler = _handler,					\
		.min_size = offsetofend(struct _struct, _last) +	\
			BUILD_BUG_ON_ZERO(offsetof(struct _struct, size)), \
		.size = sizeof(struct _struct) +			\
			BUILD_BUG_ON_ZERO(sizeof(struct _struct) > UCMD_SIZE), \
	}

static const struct iommufd_ioctl iommufd_ioctls[] = {
	IOMMUFD_IOCTL(IOMMU_DESTROY, iommufd_destroy, iommu_destroy, id),
	IOMMUFD_IOCTL(IOMMU_IOAS_ALLOC, iommufd_ioas_alloc_ioctl,
		      iommu_ioas_alloc, out_ioas_id),
	IOMMUFD_IOCTL(IOMMU_IOAS_ALLOW_IOVAS, iommufd_ioas_allow_iovas,
		      iommu_ioas_allow_iovas, allowed_iovas),
	IOMMUFD_IOCTL(IOMMU_IOAS_CHANGE_PROCESS, iommufd_ioas_change_process,
		      iommu_ioas_change_process, __reserved),
	IOMMUFD_IOCTL(IOMMU_IOAS_COPY, iommufd_ioas_copy,
		      iommu_ioas_copy, src_iova),
	IOMMUFD_IOCTL(IOMMU_IOAS_IOVA_RANGES, iommufd_ioas_iova_ranges,
		      iommu_ioas_iova_ranges, out_iova_alignment),
	IOMMUFD_IOCTL(IOMMU_IOAS_MAP, iommufd_ioas_map, iommu_ioas_map, iova),
	IOMMUFD_IOCTL(IOMMU_IOAS_MAP_FILE, iommufd_ioas_map_file,
		      iommu_ioas_map_file, iova),
	IOMMUFD_IOCTL(IOMMU_IOAS_UNMAP, iommufd_ioas_unmap,
		      iommu_ioas_unmap, length),
	IOMMUFD_IOCTL(IOMMU_OPTION, iommufd_option, iommu_option, val64),
	IOMMUFD_IOCTL(IOMMU_VFIO_IOAS, iommufd_vfio_ioas,
		      iommu_vfio_ioas, __reserved),
	IOMMUFD_IOCTL(IOMMU_HWPT_ALLOC, iommufd_hwpt_alloc,
		      iommu_hwpt_alloc, __reserved),
	IOMMUFD_IOCTL(IOMMU_FAULT_QUEUE_ALLOC, iommufd_fault_alloc,
		      iommu_fault_alloc, out_fault_fd),
	IOMMUFD_IOCTL(IOMMU_GET_HW_INFO, iommufd_get_hw_info,
		      iommu_hw_info, __reserved),
	IOMMUFD_IOCTL(IOMMU_HWPT_SET_DIRTY_TRACKING,
		      iommufd_hwpt_set_dirty_tracking,
		      iommu_hwpt_set_dirty_tracking, __reserved),
	IOMMUFD_IOCTL(IOMMU_HWPT_GET_DIRTY_BITMAP,
		      iommufd_hwpt_get_dirty_bitmap,
		      iommu_hwpt_get_dirty_bitmap, data),
	IOMMUFD_IOCTL(IOMMU_HWPT_INVALIDATE, iommufd_hwpt_invalidate,
		      iommu_hwpt_invalidate, __reserved),
#ifdef CONFIG_IOMMUFD_TEST
	IOMMUFD_IOCTL(IOMMU_TEST_CMD, iommufd_test, iommu_test_cmd, last),
#endif
};

static const struct iommufd_ioctl *iommufd_find_ioctl(unsigned int cmd)
{
	/* A number below the first one wraps to a large one. */
	unsigned int nr = _IOC_NR(cmd) - IOMMUFD_CMD_BASE;
	const struct iommufd_ioctl *op;

	if (nr >= ARRAY_SIZE(iommufd_ioctls))
		return NULL;

	op = &iommufd_ioctls[array_index_nospec(nr, ARRAY_SIZE(iommufd_ioctls))];
	return op->handler && op->cmd == cmd ? op : NULL;
}

/*
 * Copy the user's structure. If it is larger than the kernel's, the remaining
 * bytes, up to 4 GiB, must be 0. They are checked in steps, so that the task
 * can be killed.
 */
static int iommufd_copy_cmd(struct iommufd_ucmd *ucmd, size_t size)
{
	size_t n, done = min_t(size_t, ucmd->user_size, PAGE_SIZE);
	int rc;

	rc = copy_struct_from_user(ucmd->cmd, size, ucmd->ubuffer, done);
	for (; !rc && done < ucmd->user_size; done += n) {
		n = min_t(size_t, ucmd->user_size - done, SZ_64K);
		rc = check_zeroed_user(ucmd->ubuffer + done, n);
		if (rc >= 0)
			rc = rc ? 0 : -E2BIG;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return rc;
}

static long iommufd_fops_ioctl(struct file *file, unsigned int cmd,
			       unsigned long arg)
{
	const struct iommufd_ioctl *op = iommufd_find_ioctl(cmd);
	u64 buffer[UCMD_SIZE / sizeof(u64)];
	struct iommufd_ucmd ucmd = {
		.ictx = file->private_data,
		.ubuffer = (void __user *)arg,
		.cmd = buffer,
	};
	int rc;

	if (!op)
		return iommufd_vfio_ioctl(ucmd.ictx, cmd, arg);

	if (get_user(ucmd.user_size, (u32 __user *)ucmd.ubuffer))
		return -EFAULT;
	if (ucmd.user_size < op->min_size)
		return -EINVAL;
	rc = iommufd_copy_cmd(&ucmd, op->size);
	return rc ?: op->handler(&ucmd);
}

#if IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER)
static struct miscdevice vfio_misc_dev;

/* misc_open() has set private_data to the miscdevice. */
static bool is_vfio_container(struct file *file)
{
	return file->private_data == &vfio_misc_dev;
}
#else
static bool is_vfio_container(struct file *file)
{
	return false;
}
#endif

static int iommufd_fops_open(struct inode *inode, struct file *file)
{
	struct iommufd_ctx *ictx = kzalloc(sizeof(*ictx), GFP_KERNEL_ACCOUNT);

	if (!ictx)
		return -ENOMEM;

	ictx->file = file;
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init(&ictx->groups);
	init_waitqueue_head(&ictx->destroy_wait);

	ictx->account_mode = IOPT_PAGES_ACCOUNT_USER;
	if (is_vfio_container(file)) {
		/*
		 * ABI: VFIO accounts pinned pages to the mm, not to the user.
		 */
		ictx->account_mode = IOPT_PAGES_ACCOUNT_MM;
		pr_info_once("/dev/vfio/vfio is provided by iommufd, not by VFIO\n");
	}
	file->private_data = ictx;
	return 0;
}

static int iommufd_fops_release(struct inode *inode, struct file *file)
{
	struct iommufd_ctx *ictx = file->private_data;

	iommufd_destroy_all_objects(ictx);
	WARN_ON(!xa_empty(&ictx->groups));

	/*
	 * A leaked reference on an object may still be used, so leak the
	 * context.
	 */
	if (xa_empty(&ictx->objects))
		kfree(ictx);
	return 0;
}

static const struct file_operations iommufd_fops = {
	.owner = THIS_MODULE,
	.open = iommufd_fops_open,
	.release = iommufd_fops_release,
	.unlocked_ioctl = iommufd_fops_ioctl,
};

/**
 * iommufd_ctx_from_file() - get the context of an open file
 * @file: any file; its reference is not consumed
 *
 * Return: the context with a reference, which the caller must drop by
 * iommufd_ctx_put(); -EBADFD if @file is not an open /dev/iommu.
 * Context: any.
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	if (file->f_op == &iommufd_fops) {
		get_file(file);
		return file->private_data;
	}
	return ERR_PTR(-EBADFD);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_file, IOMMUFD);

/**
 * iommufd_ctx_from_fd() - get the context of a file descriptor
 * @fd: a descriptor of the calling process
 *
 * Return:
 * * the context with a reference, which the caller must drop by
 *   iommufd_ctx_put()
 * * -EBADF: @fd is not open
 * * -EBADFD: @fd is not an open /dev/iommu
 *
 * Context: process context.
 */
struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	CLASS(fd, f)(fd);

	if (!fd_file(f))
		return ERR_PTR(-EBADF);
	return iommufd_ctx_from_file(fd_file(f));
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_fd, IOMMUFD);

static struct miscdevice iommu_misc_dev = {
	.name = "iommu",
	.nodename = "iommu",
	.mode = 0660,
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &iommufd_fops,
};

#if IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER)
static struct miscdevice vfio_misc_dev = {
	.name = "vfio",
	.nodename = "vfio/vfio",
	.mode = 0666,
	.minor = VFIO_MINOR,
	.fops = &iommufd_fops,
};

static int __init vfio_container_register(void)
{
	return misc_register(&vfio_misc_dev);
}

static void vfio_container_deregister(void)
{
	misc_deregister(&vfio_misc_dev);
}

MODULE_ALIAS_MISCDEV(VFIO_MINOR);
MODULE_ALIAS("devname:vfio/vfio");
#else
static int __init vfio_container_register(void)
{
	return 0;
}

static void vfio_container_deregister(void)
{
}
#endif

static int __init iommufd_init(void)
{
	int rc;

	rc = misc_register(&iommu_misc_dev);
	if (rc)
		return rc;

	rc = vfio_container_register();
	if (rc)
		goto err_iommu;

	rc = iommufd_test_init();
	if (rc)
		goto err_vfio_iommu;
	return 0;

err_vfio_iommu:
	vfio_container_deregister();
err_iommu:
	misc_deregister(&iommu_misc_dev);
	return rc;
}

static void __exit iommufd_exit(void)
{
	iommufd_test_exit();
	vfio_container_deregister();
	misc_deregister(&iommu_misc_dev);
}

module_init(iommufd_init);
module_exit(iommufd_exit);

MODULE_IMPORT_NS(IOMMUFD);
MODULE_IMPORT_NS(IOMMU_IOPT);
MODULE_IMPORT_NS(IOMMUFD_INTERNAL);
MODULE_DESCRIPTION("IOMMU page tables for user space");
MODULE_LICENSE("GPL");
