// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: page tables
 *
 * A paging struct iommufd_hwpt is an iommu_domain that has all mappings of an
 * IOAS. Userspace creates one by IOMMU_HWPT_ALLOC, if it requires certain
 * flags, and destroys it. Attaching a device to an IOAS creates one if no page
 * table is compatible, and detaching its last device destroys it. If the IOMMU
 * supports dirty tracking, dirty pages are queried by page table. For nested
 * page tables, see hwpt_nested.c.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>
#include <trace/events/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

static struct iommufd_hwpt *to_hwpt(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hwpt, obj);
}

/* Called after the domain was removed from the IOAS, or before it was added. */
static void hwpt_free(struct iommufd_hwpt *hwpt)
{
	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	if (hwpt->fault)
		refcount_dec(&hwpt->fault->obj.users);
	refcount_dec(&hwpt->ioas->obj.users);
}

/* Called without attached devices. */
static void hwpt_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = to_hwpt(obj);

	scoped_guard(mutex, &hwpt->ioas->mutex)
		list_del(&hwpt->hwpt_item);
	iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->domain);
	hwpt_free(hwpt);
}

/*
 * The caller holds &iommufd_ioas.mutex if iommufd_hwpt_paging_fill() succeeded.
 */
static void hwpt_abort(struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = to_hwpt(obj);

	if (!list_empty(&hwpt->hwpt_item)) {
		lockdep_assert_held(&hwpt->ioas->mutex);
		list_del(&hwpt->hwpt_item);
		iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->domain);
	}
	hwpt_free(hwpt);
}

static const struct iommufd_object_ops hwpt_ops = {
	.type = IOMMUFD_OBJ_HWPT_PAGING,
	.destroy = hwpt_destroy,
	.abort = hwpt_abort,
};

/**
 * iommufd_hwpt_put() - put the reference of a device on a page table
 * @ictx: the context
 * @hwpt: from iommufd_hwpt_detach() or iommufd_hwpt_replace()
 *
 * Destroys a page table that an attach has created, if it has no other user.
 *
 * Context: may sleep; &iommufd_ioas.mutex must not be held, as destroying takes
 * it.
 */
void iommufd_hwpt_put(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt)
{
	lockdep_assert_not_held(&hwpt->ioas->mutex);

	if (hwpt->auto_domain)
		iommufd_object_put_and_try_destroy(ictx, &hwpt->obj);
	else
		refcount_dec(&hwpt->obj.users);
}

static int hwpt_check_flags(struct device *dev, u32 flags,
			    const struct iommu_user_data *user_data)
{
	if (flags & ~(IOMMU_HWPT_ALLOC_NEST_PARENT |
		      IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
		      IOMMU_HWPT_FAULT_ID_VALID))
		return -EOPNOTSUPP;
	/* Faults of the second stage cannot be responded by a guest. */
	if ((flags & IOMMU_HWPT_FAULT_ID_VALID) &&
	    (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return -EOPNOTSUPP;
	if ((flags || user_data) && !dev_iommu_ops(dev)->domain_alloc_user)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    !device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	return 0;
}

static bool hwpt_enforce_cc(struct iommufd_hwpt *hwpt)
{
	const struct iommu_domain_ops *ops = hwpt->domain->ops;

	hwpt->enforce_cache_coherency =
		ops->enforce_cache_coherency &&
		ops->enforce_cache_coherency(hwpt->domain);
	return hwpt->enforce_cache_coherency;
}

static struct iommu_domain *
hwpt_alloc_domain(struct device *dev, u32 flags,
		  const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	struct iommu_domain *domain;

	if (!user_data)
		return iopt_domain_alloc_flags(dev, flags);

	domain = ops->domain_alloc_user(dev, flags, NULL, user_data);
	if (!IS_ERR(domain))
		domain->owner = ops;
	return domain;
}

/* On failure, hwpt_free() frees hwpt->domain unless it is NULL. */
static int hwpt_init(struct iommufd_hwpt *hwpt, struct iommufd_device *idev,
		     u32 flags, const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain;

	domain = hwpt_alloc_domain(idev->dev,
				   flags & ~IOMMU_HWPT_FAULT_ID_VALID,
				   user_data);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	hwpt->domain = domain;

	/*
	 * Some IOMMUs set this in each entry, so it must precede the first map.
	 * It never changes: a device that cannot force snooping requires
	 * another page table. A driver that reports the capability must not
	 * fail here.
	 */
	if (idev->enforce_cache_coherency && WARN_ON(!hwpt_enforce_cc(hwpt)))
		return -EINVAL;
	return 0;
}

/**
 * iommufd_hwpt_paging_alloc() - allocate an empty page table
 * @ictx: the context
 * @ioas: the IOAS; the page table takes a reference
 * @idev: a device that can be attached to the page table
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
 *	IOMMU_HWPT_FAULT_ID_VALID if iommufd_fault_init_hwpt() follows
 * @user_data: data for the IOMMU driver, or NULL
 *
 * The page table does not refer to @idev: a domain belongs to the IOMMU driver,
 * and outlives the device that it was allocated for. So the caller may put
 * @idev before it fills the page table.
 *
 * Return:
 * * the page table, for iommufd_hwpt_paging_fill(). Its ID cannot be looked up
 *   before iommufd_object_finalize()
 * * -EOPNOTSUPP: a flag is unknown, or the device's IOMMU does not support it
 *   or @user_data
 * * -ENOMEM: out of memory
 * * -EBUSY: the context has no free ID
 * * -EINVAL: the driver fails to enforce cache coherency
 * * or another errno of the IOMMU driver
 *
 * Context: may sleep; waits for user memory only where the IOMMU driver reads
 * @user_data.
 */
struct iommufd_hwpt *
iommufd_hwpt_paging_alloc(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			  struct iommufd_device *idev, u32 flags,
			  const struct iommu_user_data *user_data)
{
	struct iommufd_hwpt *hwpt;
	int rc;

	rc = hwpt_check_flags(idev->dev, flags, user_data);
	if (rc)
		return ERR_PTR(rc);

	hwpt = iommufd_object_alloc(ictx, hwpt, &hwpt_ops);
	if (IS_ERR(hwpt))
		return hwpt;
	INIT_LIST_HEAD(&hwpt->hwpt_item);
	refcount_inc(&ioas->obj.users);
	hwpt->ioas = ioas;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;

	rc = hwpt_init(hwpt, idev, flags, user_data);
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, &hwpt->obj);
		return ERR_PTR(rc);
	}
	return hwpt;
}

/**
 * iommufd_hwpt_paging_fill() - map all mappings of the IOAS in a page table
 * @hwpt: from iommufd_hwpt_paging_alloc()
 * @idev: a device to attach first, for IOMMU drivers that finalise a domain on
 *	its first attach; or NULL
 *
 * Pins memory, so it waits for page faults, which userfaultfd or FUSE may never
 * serve, until the task is killed. The caller must not have a short-term
 * reference on a device meanwhile: unbinding the device waits for these. @idev
 * needs no such reference, since its driver does not unbind it concurrently.
 *
 * Return: 0, or an errno of iommufd_hwpt_attach() or iopt_table_add_domain().
 * On failure the device is not attached and nothing is mapped; the caller must
 * abort the object.
 *
 * Context: may sleep; &iommufd_ioas.mutex is held. If the caller attaches
 * devices, it must hold the mutex until it has finalized or aborted @hwpt.
 * Takes &iommufd_group.lock and the locks of the io_pagetable.
 */
int iommufd_hwpt_paging_fill(struct iommufd_hwpt *hwpt,
			     struct iommufd_device *idev)
{
	struct iommufd_ioas *ioas = hwpt->ioas;
	int rc;

	lockdep_assert_held(&ioas->mutex);

	if (idev) {
		rc = iommufd_hwpt_attach(hwpt, idev);
		if (rc)
			return rc;
	}

	rc = iopt_table_add_domain(&ioas->iopt, hwpt->domain);
	if (rc) {
		if (idev) {
			iommufd_hwpt_detach(idev);
			refcount_dec(&hwpt->obj.users);
		}
		return rc;
	}
	list_add_tail(&hwpt->hwpt_item, &ioas->hwpt_list);
	return 0;
}

/* Allocate a page table for @obj, which is an IOAS or a nest parent. */
static struct iommufd_hwpt *hwpt_alloc_for(struct iommufd_ucmd *ucmd,
					   struct iommufd_device *idev,
					   struct iommufd_object *obj)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommu_user_data user_data = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	struct iommufd_hwpt *parent;
	struct iommufd_ioas *ioas;

	switch (obj->ops->type) {
	case IOMMUFD_OBJ_IOAS:
		ioas = container_of(obj, struct iommufd_ioas, obj);
		return iommufd_hwpt_paging_alloc(ucmd->ictx, ioas, idev,
						 cmd->flags,
						 cmd->data_len ? &user_data :
								 NULL);
	case IOMMUFD_OBJ_HWPT_PAGING:
		parent = container_of(obj, struct iommufd_hwpt, obj);
		return iommufd_hwpt_nested_alloc(ucmd->ictx, parent, idev,
						 cmd->flags, &user_data);
	default:
		return ERR_PTR(-EINVAL);
	}
}

/* Do the part of IOMMU_HWPT_ALLOC that requires a reference on the device. */
static struct iommufd_hwpt *hwpt_alloc_empty(struct iommufd_ucmd *ucmd,
					     struct iommufd_device *idev,
					     struct iommufd_object *obj)
{
	const struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt = hwpt_alloc_for(ucmd, idev, obj);
	int rc;

	if (IS_ERR(hwpt) || !(cmd->flags & IOMMU_HWPT_FAULT_ID_VALID))
		return hwpt;
	rc = iommufd_fault_init_hwpt(ucmd->ictx, hwpt, cmd->fault_id);
	if (!rc)
		return hwpt;
	iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->obj);
	return ERR_PTR(rc);
}

/*
 * Do the part of IOMMU_HWPT_ALLOC that waits for user memory: pin the memory of
 * a paging page table, and copy the result. The caller's reference on the IOAS
 * or on the parent outlives @hwpt, and with it @hwpt->ioas.
 */
static int hwpt_fill_and_respond(struct iommufd_ucmd *ucmd,
				 struct iommufd_hwpt *hwpt)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas = hwpt->ioas;
	int rc = 0;

	if (!hwpt->parent) {
		rc = mutex_lock_killable(&ioas->mutex);
		if (!rc) {
			rc = iommufd_hwpt_paging_fill(hwpt, NULL);
			mutex_unlock(&ioas->mutex);
		}
	}
	if (rc) {
		/*
		 * Aborting takes no lock of the IOAS, as the page table is
		 * empty.
		 */
		iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->obj);
		return rc;
	}

	cmd->out_hwpt_id = hwpt->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc) {
		iommufd_object_finalize(ucmd->ictx, &hwpt->obj);
		return 0;
	}
	guard(mutex)(&ioas->mutex);
	iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->obj);
	return rc;
}

/**
 * iommufd_hwpt_alloc() - handle IOMMU_HWPT_ALLOC
 * @ucmd: the ioctl, with a struct iommu_hwpt_alloc
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: __reserved is set
 * * -EINVAL: there is a data type without data, or data without a type; or
 *   pt_id is the ID of neither an IOAS nor a paging page table
 * * -ENOENT: there is no such device or fault queue
 * * -EFAULT: the structure cannot be written
 * * -EINTR: the task was killed
 * * or another errno of iommufd_hwpt_paging_alloc(),
 *   iommufd_hwpt_paging_fill() or iommufd_hwpt_nested_alloc()
 *
 * Context: may sleep.
 */
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	bool has_type = cmd->data_type != IOMMU_HWPT_DATA_NONE;
	struct iommufd_object *obj;
	struct iommufd_device *idev;
	struct iommufd_hwpt *hwpt;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (has_type != !!cmd->data_len)
		return -EINVAL;

	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	obj = iommufd_get_object(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj)) {
		iommufd_put_object(ucmd->ictx, &idev->obj);
		return -EINVAL;
	}

	hwpt = hwpt_alloc_empty(ucmd, idev, obj);
	/* Put the device before filling, which can wait for page faults. */
	iommufd_put_object(ucmd->ictx, &idev->obj);
	rc = IS_ERR(hwpt) ? PTR_ERR(hwpt) : hwpt_fill_and_respond(ucmd, hwpt);
	iommufd_put_object(ucmd->ictx, obj);
	return rc;
}

/**
 * iommufd_hwpt_set_dirty_tracking() - handle IOMMU_HWPT_SET_DIRTY_TRACKING
 * @ucmd: the ioctl, with a struct iommu_hwpt_set_dirty_tracking
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: a flag is unknown, or the page table does not support dirty
 *   tracking
 * * -ENOENT: there is no such page table
 * * or another errno of iopt_set_dirty_tracking()
 *
 * Context: may sleep.
 */
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt;
	int rc;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = iopt_set_dirty_tracking(&hwpt->ioas->iopt, hwpt->domain,
				     cmd->flags);
	trace_iommufd_track(cmd->hwpt_id, hwpt->ioas->iopt.id, cmd->flags, rc);
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	return rc;
}

/**
 * iommufd_hwpt_get_dirty_bitmap() - handle IOMMU_HWPT_GET_DIRTY_BITMAP
 * @ucmd: the ioctl, with a struct iommu_hwpt_get_dirty_bitmap
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: a flag is unknown, or __reserved is set
 * * -ENOENT: there is no such page table
 * * -EOVERFLOW: a value does not fit into an unsigned long
 * * or another errno of iopt_read_and_clear_dirty()
 *
 * Context: may sleep.
 */
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	struct iopt_dirty_query query = {
		.iova = cmd->iova,
		.length = cmd->length,
		.page_size = cmd->page_size,
		.data = u64_to_user_ptr(cmd->data),
		.no_clear = cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
	};
	struct iommufd_hwpt *hwpt;
	int rc = -EOVERFLOW;

	if ((cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
	    cmd->__reserved)
		return -EOPNOTSUPP;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	if (!overflows_type(cmd->iova, query.iova) &&
	    !overflows_type(cmd->length, query.length) &&
	    !overflows_type(cmd->page_size, query.page_size))
		rc = iopt_read_and_clear_dirty(&hwpt->ioas->iopt, hwpt->domain,
					       &query);
	trace_iommufd_query(cmd->hwpt_id, hwpt->ioas->iopt.id, cmd->iova,
			    cmd->length, cmd->page_size, cmd->flags, rc);
	iommufd_put_object(ucmd->ictx, &hwpt->obj);
	return rc;
}
