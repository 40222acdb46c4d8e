// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_IOAS_CHANGE_PROCESS
 */
#include <linux/xarray.h>

#include "iommufd_private.h"
#include "iopt_takeover.h"

/* Add every IOAS. One that is allocated meanwhile belongs to the process that does so. */
static int change_add_all(struct iommufd_ctx *ictx,
			  struct iopt_takeover *takeover)
{
	struct iommufd_object *obj;
	unsigned long id = 0;
	int rc = 0;

	while (!rc && xa_find(&ictx->objects, &id, UINT_MAX, XA_PRESENT)) {
		obj = iommufd_try_get_object(ictx, id++, IOMMUFD_OBJ_IOAS);
		if (!obj)
			continue;
		rc = iopt_takeover_add(takeover,
				       &container_of(obj, struct iommufd_ioas,
						     obj)->iopt);
		iommufd_put_object(ictx, obj);
	}
	return rc;
}

/**
 * iommufd_ioas_change_process() - handle IOMMU_IOAS_CHANGE_PROCESS
 * @ucmd: the ioctl, with a struct iommu_ioas_change_process
 *
 * Return: 0, or, with nothing changed,
 * * -EOPNOTSUPP: __reserved is set
 * * -EINVAL: an IOAS maps memory that is not of a file
 * * -ENOMEM: the pages would exceed RLIMIT_MEMLOCK, or out of memory
 * * -EINTR: the process received a fatal signal
 *
 * Context: may sleep.
 */
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_change_process *cmd = ucmd->cmd;
	struct iopt_takeover takeover;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	iopt_takeover_init(&takeover, READ_ONCE(ucmd->ictx->account_mode));
	rc = change_add_all(ucmd->ictx, &takeover);
	if (!rc)
		iopt_takeover_commit(&takeover);
	iopt_takeover_end(&takeover);
	return rc;
}
