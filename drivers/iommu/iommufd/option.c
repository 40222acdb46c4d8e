// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_OPTION: how memory is counted, whether IOMMUs get huge pages.
 */
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/rwsem.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/**
 * DOC: Options
 *
 * An option belongs to the context or to an object. It has a function to get
 * its value and one to set it; one ioctl serves them all, and tells the value
 * after either.
 */

/*
 * The mode only changes while nothing can be mapped, as what was counted in one
 * place cannot be given back in another. An ID that is reserved for an object
 * to come counts as an object.
 */
static int rlimit_mode_set(struct iommufd_ctx *ictx, u64 val)
{
	int rc = 0;

	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;

	xa_lock(&ictx->objects);
	if (!xa_empty(&ictx->objects))
		rc = -EBUSY;
	else if (val > 1)
		rc = -EINVAL;
	else
		WRITE_ONCE(ictx->account_mode, val ? IOPT_PAGES_ACCOUNT_MM :
						     IOPT_PAGES_ACCOUNT_USER);
	xa_unlock(&ictx->objects);
	return rc;
}

static int option_rlimit_mode(struct iommufd_ctx *ictx,
			      struct iommu_option *cmd)
{
	if (cmd->object_id)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_OPTION_OP_SET:
		return rlimit_mode_set(ictx, cmd->val64);
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = READ_ONCE(ictx->account_mode) ==
			     IOPT_PAGES_ACCOUNT_MM;
		return 0;
	}
	return -EOPNOTSUPP;
}

/**
 * iommufd_disable_huge_pages() - have a leaf for each page from now on
 * @iopt: of an IOAS
 *
 * Mostly does not wait for a map that waits for memory, or make others wait for
 * that: a map into a domain is a reason to fail.
 *
 * Return: 0; -EINTR if the process was killed; from iopt_disable_large_pages().
 * Context: may sleep.
 */
int iommufd_disable_huge_pages(struct io_pagetable *iopt)
{
	scoped_cond_guard(rwsem_read_kill, return -EINTR, &iopt->iova_rwsem) {
		if (iopt->disable_large_pages)
			return 0;
		if (!xa_empty(&iopt->domains) &&
		    !RB_EMPTY_ROOT(&iopt->area_itree.rb_root))
			return -EINVAL;
	}
	return iopt_disable_large_pages(iopt);
}

static int huge_pages_set(struct io_pagetable *iopt, u64 val)
{
	switch (val) {
	case 0:
		return iommufd_disable_huge_pages(iopt);
	case 1:
		scoped_cond_guard(rwsem_read_kill, return -EINTR,
				  &iopt->iova_rwsem)
			if (!iopt->disable_large_pages)
				return 0;
		return iopt_enable_large_pages(iopt);
	}
	return -EINVAL;
}

static int option_huge_pages(struct iommufd_ctx *ictx, struct iommu_option *cmd)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, cmd->object_id);
	int rc = 0;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	switch (cmd->op) {
	case IOMMU_OPTION_OP_SET:
		rc = huge_pages_set(&ioas->iopt, cmd->val64);
		break;
	case IOMMU_OPTION_OP_GET:
		rc = down_read_killable(&ioas->iopt.iova_rwsem);
		if (rc)
			break;
		cmd->val64 = !ioas->iopt.disable_large_pages;
		up_read(&ioas->iopt.iova_rwsem);
		break;
	default:
		rc = -EOPNOTSUPP;
	}
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_option - IOMMU_OPTION
 * @ucmd: struct iommu_option
 *
 * Return: 0; -EOPNOTSUPP for an option or operation that does not exist, or an
 * object that it does not belong to; -ENOENT; -EINVAL for a value that it cannot
 * have, or huge pages that are in use; -EADDRINUSE for pages with something
 * mapped that is not aligned to them; -EBUSY and -EPERM for a change of
 * IOMMU_OPTION_RLIMIT_MODE with objects there, or without CAP_SYS_RESOURCE;
 * -EINTR; -EFAULT, with the option set.
 * Context: may sleep.
 */
int iommufd_option(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *cmd = ucmd->cmd;
	int rc = -EOPNOTSUPP;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = option_rlimit_mode(ucmd->ictx, cmd);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = option_huge_pages(ucmd->ictx, cmd);
		break;
	}
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
