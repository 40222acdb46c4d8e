// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compat container: type1 ioctls on /dev/iommu.
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
 * DOC: compat container
 *
 * An open /dev/iommu also implements the ioctls of a VFIO container. They do
 * not name an IOAS, but use the compat IOAS: &iommufd_ctx.vfio_ioas. VFIO
 * creates it when it binds a group, or userspace selects it by IOMMU_VFIO_IOAS.
 * The pointer is not a reference: it is cleared when the IOAS is destroyed.
 * drivers/iommu/iopt/type1 implements the type1 ioctls. This file selects the
 * IOAS and implements the other ioctls.
 */

/*
 * Take a short-term reference on the compat IOAS. Returns the IOAS, which the
 * caller must pass to iommufd_put_object(), or -ENODEV if there is none.
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
 * iommufd_vfio_compat_ioas_get_id() - get the ID of the compat IOAS
 * @ictx: the context
 * @out_ioas_id: set on success
 *
 * Return: 0; -ENODEV if there is no compat IOAS.
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
 * iommufd_vfio_compat_set_no_iommu() - set no-IOMMU mode of the compat container
 * @ictx: the context
 *
 * For a group without an IOMMU. VFIO does not create a compat IOAS in this
 * mode.
 *
 * Return: 0; -EINVAL if there is a compat IOAS.
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
 * Set the compat IOAS and finalize it. Both happen under one lock, because a
 * thread that finds that there is a compat IOAS looks it up by ID. Returns 0,
 * -EEXIST if there is a compat IOAS already, or -EINVAL in no-IOMMU mode.
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
 * iommufd_vfio_compat_ioas_create() - create the compat IOAS if there is none
 * @ictx: the context
 *
 * Userspace can get the ID of the new IOAS and destroy it, like any other IOAS.
 *
 * Return:
 * * 0: there is a compat IOAS
 * * -EINVAL: the container is in no-IOMMU mode
 * * or another errno of iommufd_ioas_alloc()
 *
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

/* The caller has a reference on @ioas. Destroying @ioas clears the pointer. */
static void compat_set_ioas(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas)
{
	xa_lock(&ictx->objects);
	ictx->vfio_ioas = ioas;
	xa_unlock(&ictx->objects);
}

static int compat_select_ioas(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, id);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	compat_set_ioas(ictx, ioas);
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}

/**
 * iommufd_vfio_ioas() - handle IOMMU_VFIO_IOAS
 * @ucmd: the ioctl, with a struct iommu_vfio_ioas
 *
 * Return:
 * * 0: success
 * * -ENODEV: IOMMU_VFIO_IOAS_GET: there is no compat IOAS
 * * -ENOENT: IOMMU_VFIO_IOAS_SET: there is no such IOAS
 * * -EOPNOTSUPP: the operation is unknown, or __reserved is set
 * * -EFAULT: the structure cannot be written
 *
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
		return compat_select_ioas(ictx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		compat_set_ioas(ictx, NULL);
		return 0;
	case IOMMU_VFIO_IOAS_GET:
		rc = iommufd_vfio_compat_ioas_get_id(ictx, &cmd->ioas_id);
		return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	}
	return -EOPNOTSUPP;
}

/*
 * Returns 1 if all page tables of the compat IOAS enforce cache coherency, 0 if
 * not, or a negative errno.
 */
static int compat_is_coherent(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = compat_get_ioas(ictx);
	struct iommufd_hwpt *hwpt;
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

/* An access needs valid user addresses to pin pages. */
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
 * Set the version of the type1 ABI. Version 1 has no ioctl to stop dirty
 * tracking, so it cannot be set while pages are tracked. It splits mappings,
 * which requires that no leaf is larger than a page. Huge pages stay disabled
 * if version 2 is set later. Returns 0, -EBUSY, -EINTR, or an errno of
 * iommufd_disable_huge_pages().
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
 * Returns 0, -EINVAL for a type that is not supported, -EPERM for no-IOMMU mode
 * without CAP_SYS_RAWIO, -ENODEV without a compat IOAS, or an errno of
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

	/* ABI: VFIO_SET_IOMMU fails if the container has no group. */
	ioas = compat_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = compat_set_version(ioas, type == VFIO_TYPE1v2_IOMMU);
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/*
 * ABI: errors of the structure precede -ENODEV, so call type1_ioctl() in any
 * case.
 */
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
 * iommufd_vfio_ioctl() - handle an ioctl of the compat container
 * @ictx: the context
 * @cmd: ioctl number
 * @arg: argument: a value or a user address
 *
 * Return: the result of the ioctl, as of a VFIO container; -ENOIOCTLCMD for an
 * unknown @cmd.
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
