// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every ioctl needs: references on its context, and its result.
 */
#include <linux/file.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

/**
 * iommufd_ucmd_respond - give the caller of an ioctl its structure back
 * @ucmd: the ioctl
 * @cmd_len: bytes of the kernel's structure; a caller that knows less of it
 *	gets no more than that
 *
 * Return: 0; -EFAULT where the caller's memory cannot be written.
 * Context: may sleep.
 */
int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len)
{
	size_t len = min_t(size_t, cmd_len, ucmd->user_size);

	return copy_to_user(ucmd->ubuffer, ucmd->cmd, len) ? -EFAULT : 0;
}

/**
 * iommufd_ctx_get - take another reference to a context
 * @ictx: the context; the caller has a reference to it
 *
 * Context: any.
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	get_file(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_get, IOMMUFD);

/**
 * iommufd_ctx_put - give back a reference to a context
 * @ictx: the context
 *
 * Context: as fput().
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	fput(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_put, IOMMUFD);
