// SPDX-License-Identifier: GPL-2.0-only
/*
 * The type1-compatible container on /dev/iommu.
 */
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"

/**
 * DOC: The type1-compatible container
 *
 * A file of /dev/iommu answers the ioctls of a VFIO container, too. Those name
 * no IOAS; they mean &iommufd_ctx.vfio_ioas, which VFIO makes when a group
 * joins, or which userspace chooses. The pointer counts nothing: it is cleared
 * when the IOAS goes. What the ioctls mean is in type1.c; here is whom they mean
 * it for.
 */

/*
 * Become a short-term user of the container's IOAS.
 * Return: the IOAS, for iommufd_put_object(); ERR_PTR(-ENODEV) where there is
 * none.
 */
static struct iommufd_ioas *compat_get_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	xa_lock(&ictx->objects);
	ioas = ictx->vfio_ioas;
	if (ioas && !iommufd_lock_obj(&ioas->obj))
		ioas = NULL;
	xa_unlock(&ictx->objects);
	return ioas ?: ERR_PTR(-ENODEV);
}

/**
 * iommufd_vfio_compat_ioas_get_id - tell the ID of the container's IOAS
 * @ictx: the context
 * @out_ioas_id: set on success
 *
 * Return: 0; -ENODEV where the container has no IOAS.
 * Context: takes the lock of @ictx->objects.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	struct iommufd_ioas *ioas = compat_get_ioas(ictx);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*out_ioas_id = ioas->obj.id;
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, IOMMUFD_VFIO);

/**
 * iommufd_vfio_compat_set_no_iommu - put the container into no-IOMMU mode
 * @ictx: the context
 *
 * For a group that has no IOMMU. Such a container never gets an IOAS.
 *
 * Return: 0; -EINVAL where the container has an IOAS.
 * Context: takes the lock of @ictx->objects.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	bool usable;

	xa_lock(&ictx->objects);
	usable = !ictx->vfio_ioas;
	if (usable)
		WRITE_ONCE(ictx->no_iommu_mode, true);
	xa_unlock(&ictx->objects);
	return usable ? 0 : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, IOMMUFD_VFIO);

/*
 * Make @ioas the container's, and let it be found by ID in the same step:
 * whoever sees that the container has an IOAS goes on by ID.
 * Return: 0; -EEXIST where the container has one; -EINVAL in no-IOMMU mode.
 */
static int compat_install_ioas(struct iommufd_ctx *ictx,
			       struct iommufd_ioas *ioas)
{
	int rc = 0;

	xa_lock(&ictx->objects);
	if (ictx->no_iommu_mode) {
		rc = -EINVAL;
	} else if (ictx->vfio_ioas) {
		rc = -EEXIST;
	} else {
		__iommufd_object_finalize(ictx, &ioas->obj);
		ictx->vfio_ioas = ioas;
	}
	xa_unlock(&ictx->objects);
	return rc;
}

/**
 * iommufd_vfio_compat_ioas_create - see to it that the container has an IOAS
 * @ictx: the context
 *
 * For a group that joins. What is made here is an IOAS as any other one:
 * userspace can learn its ID and destroy it, or it goes with the context.
 *
 * Return: 0, with a new IOAS or the one that was there; -EINVAL in no-IOMMU
 * mode; otherwise as iommufd_ioas_alloc().
 * Context: may sleep.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_ioas_alloc(ictx);
	int rc;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = compat_install_ioas(ictx, ioas);
	if (rc)
		iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	return rc == -EEXIST ? 0 : rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, IOMMUFD_VFIO);

/* @ioas is kept by the caller; when it goes it takes the pointer with it. */
static void compat_set_ioas(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas)
{
	xa_lock(&ictx->objects);
	ictx->vfio_ioas = ioas;
	xa_unlock(&ictx->objects);
}

static int compat_choose_ioas(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, id);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	compat_set_ioas(ictx, ioas);
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}

/**
 * iommufd_vfio_ioas - IOMMU_VFIO_IOAS
 * @ucmd: struct iommu_vfio_ioas
 *
 * Return: 0; -ENODEV where IOMMU_VFIO_IOAS_GET finds none; -ENOENT for an ID
 * that is no IOAS; -EOPNOTSUPP; -EFAULT.
 * Context: may sleep.
 */
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_SET:
		return compat_choose_ioas(ictx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		compat_set_ioas(ictx, NULL);
		return 0;
	case IOMMU_VFIO_IOAS_GET:
		rc = iommufd_vfio_compat_ioas_get_id(ictx, &cmd->ioas_id);
		return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	}
	return -EOPNOTSUPP;
}

/* Whether no page table behind the container lets a device pass caches by. */
static int compat_is_coherent(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = compat_get_ioas(ictx);
	struct iommufd_hwpt_paging *hwpt;
	int coherent = 1;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	if (!mutex_lock_killable(&ioas->mutex)) {
		list_for_each_entry(hwpt, &ioas->hwpt_list, hwpt_item)
			if (!hwpt->enforce_cache_coherency)
				coherent = 0;
		mutex_unlock(&ioas->mutex);
	} else {
		coherent = -EINTR;
	}
	iommufd_put_object(ictx, &ioas->obj);
	return coherent;
}

/* Whoever may pin has to find the memory where it is mapped. */
static int compat_can_update_vaddr(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = compat_get_ioas(ictx);
	int can;

	if (IS_ERR(ioas))
		return 0;
	can = xa_empty(&ioas->iopt.access_list);
	iommufd_put_object(ictx, &ioas->obj);
	return can;
}

static int compat_check_extension(struct iommufd_ctx *ictx,
				  unsigned long extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !READ_ONCE(ictx->no_iommu_mode);
	case VFIO_NOIOMMU_IOMMU:
		return IS_ENABLED(CONFIG_VFIO_NOIOMMU);
	case VFIO_UPDATE_VADDR:
		return compat_can_update_vaddr(ictx);
	case VFIO_DMA_CC_IOMMU:
		return compat_is_coherent(ictx);
	}
	return 0;
}

/*
 * Version 1 has no dirty pages, so it could not stop tracking either. And it
 * splits mappings, for which no leaf may be huge. The latter stays when the
 * container becomes one of version 2.
 * Return: 0; -EBUSY; -EINTR; from iommufd_disable_huge_pages().
 */
static int compat_set_version(struct iommufd_ioas *ioas, bool v2)
{
	int rc;

	rc = mutex_lock_killable(&ioas->type1.dirty_lock);
	if (rc)
		return rc;
	if (!v2)
		rc = READ_ONCE(ioas->iopt.tracking) ?
			     -EBUSY : iommufd_disable_huge_pages(&ioas->iopt);
	if (!rc)
		WRITE_ONCE(ioas->type1.v2, v2);
	mutex_unlock(&ioas->type1.dirty_lock);
	return rc;
}

/*
 * Return: 0; -EINVAL for a type that the container does not have; -EPERM for
 * no-IOMMU mode without CAP_SYS_RAWIO; -ENODEV without an IOAS; from
 * compat_set_version().
 */
static int compat_set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	struct iommufd_ioas *ioas;
	int rc;

	if (READ_ONCE(ictx->no_iommu_mode)) {
		if (!IS_ENABLED(CONFIG_VFIO_NOIOMMU) ||
		    type != VFIO_NOIOMMU_IOMMU)
			return -EINVAL;
		return capable(CAP_SYS_RAWIO) ? 0 : -EPERM;
	}
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;

	/* VFIO does not let a container without a group have an IOMMU either. */
	ioas = compat_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = compat_set_version(ioas, type == VFIO_TYPE1v2_IOMMU);
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/* Without an IOAS a call is looked at all the same: -ENODEV is the last error. */
static int compat_type1_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
			      void __user *arg)
{
	struct iommufd_ioas *ioas = compat_get_ioas(ictx);
	struct type1_call call = {
		.type1 = IS_ERR(ioas) ? NULL : &ioas->type1,
		.iopt = IS_ERR(ioas) ? NULL : &ioas->iopt,
		.account_mode = READ_ONCE(ictx->account_mode),
		.arg = arg,
	};
	int rc;

	rc = type1_ioctl(&call, cmd);
	if (!IS_ERR(ioas))
		iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_vfio_ioctl - an ioctl that is none of iommufd's own
 * @ictx: the context
 * @cmd: its number
 * @arg: its argument, a number or the address of a structure
 *
 * Return: what the ioctl of a VFIO container returns; -ENOIOCTLCMD for one that
 * there is not here.
 * Context: may sleep.
 */
int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg)
{
	switch (cmd) {
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA:
	case VFIO_IOMMU_GET_INFO:
	case VFIO_IOMMU_DIRTY_PAGES:
		return compat_type1_ioctl(ictx, cmd, (void __user *)arg);
	case VFIO_CHECK_EXTENSION:
		return compat_check_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return compat_set_iommu(ictx, arg);
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	}
	return -ENOIOCTLCMD;
}
