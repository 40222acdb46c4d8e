// SPDX-License-Identifier: GPL-2.0-only
/*
 * References on a context, and the response to an ioctl.
 */
#include <linux/file.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

/**
 * iommufd_ucmd_respond() - copy the structure of an ioctl to userspace
 * @ucmd: the ioctl
 * @cmd_len: size of the kernel's structure in bytes; no more than
 *	&iommufd_ucmd.user_size is copied
 *
 * Return: 0; -EFAULT if user memory cannot be written.
 * Context: may sleep.
 */
int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len)
{
	size_t len = min_t(size_t, cmd_len, ucmd->user_size);

	return copy_to_user(ucmd->ubuffer, ucmd->cmd, len) ? -EFAULT : 0;
}

/**
 * iommufd_ctx_get() - take a reference on a context
 * @ictx: the context; the caller has a reference
 *
 * Context: any.
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	get_file(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_get, IOMMUFD);

/**
 * iommufd_ctx_put() - put a reference on a context
 * @ictx: the context
 *
 * Context: as fput().
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	fput(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_put, IOMMUFD);
