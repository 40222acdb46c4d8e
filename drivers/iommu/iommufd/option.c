// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_OPTION: accounting of pinned pages, and use of huge pages.
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
 * An option belongs to the context or to an object. IOMMU_OPTION sets or gets
 * its value, and returns the value in both cases.
 */

/*
 * The mode can only change while nothing can be mapped, because pages must be
 * unaccounted in the place where they were accounted. A reserved ID counts as
 * an object, since an object may be finalized with it.
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
 * iommufd_disable_huge_pages() - limit leaves of an IOAS to single pages
 * @iopt: io_pagetable of the IOAS
 *
 * iopt_disable_large_pages() waits for calls that pin memory, and blocks others
 * meanwhile. To avoid this in most cases, first check with
 * &io_pagetable.iova_rwsem only whether it would have no effect or fail.
 *
 * Return:
 * * 0: success
 * * -EINVAL: a domain has mappings
 * * -EADDRINUSE: a mapping is not aligned to pages
 * * -EINTR: the task was killed
 *
 * Context: may sleep.
 */
int iommufd_disable_huge_pages(struct io_pagetable *iopt)
{
	scoped_cond_guard(rwsem_read_kill, return -EINTR, &iopt->iova_rwsem) {
		if (iopt->disable_large_pages)
			return 0;
		if (!list_empty(&iopt->domains) &&
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
 * iommufd_option() - handle IOMMU_OPTION
 * @ucmd: the ioctl, with a struct iommu_option
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: the option or the operation is unknown, the option does not
 *   belong to an object, or __reserved is set
 * * -ENOENT: there is no such IOAS
 * * -EINVAL: the option does not support this value, or huge pages are in use
 * * -EADDRINUSE: huge pages cannot be disabled, because a mapping is not
 *   aligned to pages
 * * -EBUSY: IOMMU_OPTION_RLIMIT_MODE is set, and the context has objects
 * * -EPERM: IOMMU_OPTION_RLIMIT_MODE is set without CAP_SYS_RESOURCE
 * * -EINTR: the task was killed
 * * -EFAULT: the structure cannot be written; the option is set nevertheless
 *
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
