// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects: how they get an ID, are found by it, and end.
 */
#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "iommufd_private.h"

/**
 * DOC: Objects
 *
 * &iommufd_ctx.objects owns every object with one count of
 * &iommufd_object.users and one of &iommufd_object.shortterm_users. The first
 * counter tells whether an object may go, the second one whether it is worth
 * waiting: whoever destroys an object gives back the xarray's short-term count,
 * so that zero means that no ioctl is inside any more, and nobody gets in after
 * that.
 *
 * That wait has no limit, since unbinding a device cannot fail. It is short,
 * because an ioctl puts its short-term reference on a device before it waits for
 * user memory, which userfaultfd or FUSE may never deliver. References on IOASes
 * and page tables may be kept over such waits: IOMMU_DESTROY returns EBUSY.
 *
 * A short-term user counts itself in @shortterm_users first and out of it last.
 * So while somebody is seen in @users for a moment only, @shortterm_users is
 * not zero.
 */

/**
 * _iommufd_object_alloc - make an object that nobody can find yet
 * @ictx: the context
 * @size: bytes of the structure around the object
 * @ops: what it is, and how it ends
 *
 * The ID is taken, but leads nowhere until iommufd_object_finalize(). Whoever
 * finds an object can keep it from being destroyed, so all that can fail comes
 * before that; then iommufd_object_abort() undoes this function.
 *
 * Use iommufd_object_alloc(), which knows the structure.
 *
 * Return: the object, zeroed but for what this file needs; ERR_PTR(-ENOMEM);
 * ERR_PTR(-EBUSY) where all IDs are taken.
 * Context: may sleep.
 */
struct iommufd_object *_iommufd_object_alloc(struct iommufd_ctx *ictx,
					     size_t size,
					     const struct iommufd_object_ops *ops)
{
	struct iommufd_object *obj = kzalloc(size, GFP_KERNEL_ACCOUNT);
	int rc;

	if (!obj)
		return ERR_PTR(-ENOMEM);

	rc = xa_alloc(&ictx->objects, &obj->id, XA_ZERO_ENTRY, xa_limit_31b,
		      GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(obj);
		return ERR_PTR(rc);
	}
	obj->ops = ops;
	refcount_set(&obj->users, 1);
	refcount_set(&obj->shortterm_users, 1);
	return obj;
}

/**
 * __iommufd_object_finalize - let an object be found by its ID, locked
 * @ictx: the context
 * @obj: from iommufd_object_alloc(); the context owns it from here on
 *
 * Context: the lock of @ictx->objects is held.
 */
void __iommufd_object_finalize(struct iommufd_ctx *ictx,
			       struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	/* The slot is reserved: nothing is allocated, nothing was there. */
	WARN_ON(__xa_store(&ictx->objects, obj->id, obj, GFP_NOWAIT));
}

/**
 * iommufd_object_finalize - let an object be found by its ID
 * @ictx: the context
 * @obj: from iommufd_object_alloc(); the context owns it from here on, and
 *	another thread may destroy it at once
 *
 * Context: takes the lock of @ictx->objects.
 */
void iommufd_object_finalize(struct iommufd_ctx *ictx,
			     struct iommufd_object *obj)
{
	xa_lock(&ictx->objects);
	__iommufd_object_finalize(ictx, obj);
	xa_unlock(&ictx->objects);
}

/**
 * iommufd_object_abort - free an object that was never finalized
 * @ictx: the context
 * @obj: from iommufd_object_alloc(), with nothing in it to be undone
 *
 * Context: takes the lock of @ictx->objects.
 */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	/* Anything but the reservation means that somebody may have found it. */
	WARN_ON(xa_erase(&ictx->objects, obj->id));
	kfree(obj);
}

/**
 * iommufd_object_abort_and_destroy - undo and free an object never finalized
 * @ictx: the context
 * @obj: complete, as the destroy or abort function of its type expects it
 *
 * Context: may sleep; the caller holds what the type's function asks for.
 */
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj)
{
	if (obj->ops->abort)
		obj->ops->abort(obj);
	else
		obj->ops->destroy(obj);
	iommufd_object_abort(ictx, obj);
}

/**
 * iommufd_lock_obj - become a short-term user
 * @obj: the object; the caller is a user of it, or holds a lock under which it
 *	was found and without which it cannot go
 *
 * Return: true, then iommufd_put_object() is due soon; false where the object
 * is being destroyed.
 * Context: any.
 */
bool iommufd_lock_obj(struct iommufd_object *obj)
{
	if (!refcount_inc_not_zero(&obj->shortterm_users))
		return false;
	if (refcount_inc_not_zero(&obj->users))
		return true;

	/*
	 * The context is being closed. Nobody waits for short-term users then,
	 * and the xarray's own count is still there.
	 */
	refcount_dec(&obj->shortterm_users);
	return false;
}

/**
 * iommufd_put_object - end what iommufd_get_object() or iommufd_lock_obj() began
 * @ictx: the context
 * @obj: the object; may be gone afterwards
 *
 * Context: any.
 */
void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	refcount_dec(&obj->users);
	if (refcount_dec_and_test(&obj->shortterm_users))
		wake_up_all(&ictx->destroy_wait);
}

/* Return: the object, or NULL where that ID is free, reserved or another type's. */
static struct iommufd_object *object_find(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	lockdep_assert_held(&ictx->objects.xa_lock);

	obj = xa_load(&ictx->objects, id);
	if (!obj || type == IOMMUFD_OBJ_ANY || type == obj->ops->type)
		return obj;
	return NULL;
}

/**
 * iommufd_get_object - find an object by ID and become a short-term user
 * @ictx: the context
 * @id: the ID
 * @type: what it must be, or IOMMUFD_OBJ_ANY
 *
 * Return: the object, for iommufd_put_object() by the end of the ioctl;
 * ERR_PTR(-ENOENT) where there is none of that type, or it is being destroyed.
 * Context: takes the lock of @ictx->objects.
 */
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	if (iopt_should_fail())
		return ERR_PTR(-ENOENT);

	xa_lock(&ictx->objects);
	obj = object_find(ictx, id, type);
	if (obj && !iommufd_lock_obj(obj))
		obj = NULL;
	xa_unlock(&ictx->objects);
	return obj ?: ERR_PTR(-ENOENT);
}

/*
 * Put the xarray's short-term count and wait for all others. The caller cannot
 * fail, so this is neither killable nor limited in time.
 */
static void object_drain(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	if (refcount_dec_and_test(&obj->shortterm_users))
		return;

	wait_event(ictx->destroy_wait, !refcount_read(&obj->shortterm_users));
	/* What the last user did comes before what the caller will do. */
	smp_acquire__after_ctrl_dep();
}

/*
 * Take the object out of the xarray unless somebody else uses it.
 * Return: 0, or -EBUSY.
 */
static int object_remove(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	if (!refcount_dec_if_one(&obj->users))
		return -EBUSY;

	__xa_erase(&ictx->objects, obj->id);
	if (ictx->vfio_ioas && &ictx->vfio_ioas->obj == obj)
		ictx->vfio_ioas = NULL;
	return 0;
}

static void object_free(struct iommufd_object *obj)
{
	obj->ops->destroy(obj);
	kfree(obj);
}

/*
 * Free what object_remove() removed. It had no other user, so a short-term user
 * that is left is between the two steps of iommufd_put_object().
 */
static void object_drain_and_free(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	object_drain(ictx, obj);
	object_free(obj);
}

/**
 * iommufd_object_destroy_id - destroy an object because userspace wants it
 * @ictx: the context
 * @id: the ID
 *
 * Return: 0; -ENOENT where no object has that ID; -EBUSY where something uses
 * it, be it only an ioctl that runs.
 * Context: may sleep.
 */
int iommufd_object_destroy_id(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;
	int rc;

	xa_lock(&ictx->objects);
	obj = object_find(ictx, id, IOMMUFD_OBJ_ANY);
	rc = obj ? object_remove(ictx, obj) : -ENOENT;
	xa_unlock(&ictx->objects);
	if (!rc)
		object_drain_and_free(ictx, obj);
	return rc;
}

/**
 * iommufd_object_destroy_user - destroy an object because its driver is done
 * @ictx: the context
 * @obj: the object; the caller is one of its users, and not a short-term one
 *
 * Waits for running ioctls. The caller's count is gone in any case. Should
 * somebody else still use the object, which is a bug and warned about, it is
 * left to the close of the context.
 *
 * Context: may sleep, uninterruptibly.
 */
void iommufd_object_destroy_user(struct iommufd_ctx *ictx,
				 struct iommufd_object *obj)
{
	int rc;

	object_drain(ictx, obj);

	xa_lock(&ictx->objects);
	refcount_dec(&obj->users);
	rc = object_remove(ictx, obj);
	if (rc)
		refcount_set(&obj->shortterm_users, 1);
	xa_unlock(&ictx->objects);

	if (!WARN_ON(rc))
		object_free(obj);
}

/**
 * iommufd_object_put_and_try_destroy - stop using an object, which goes with
 *	its last user
 * @ictx: the context
 * @obj: the object; the caller is one of its users, and not a short-term one
 *
 * For page tables that an attach made. If userspace works with the object by
 * its ID just then the object stays, until userspace destroys it or closes.
 *
 * Context: may sleep.
 */
void iommufd_object_put_and_try_destroy(struct iommufd_ctx *ictx,
					struct iommufd_object *obj)
{
	int rc;

	xa_lock(&ictx->objects);
	refcount_dec(&obj->users);
	rc = object_remove(ictx, obj);
	xa_unlock(&ictx->objects);

	if (!rc)
		object_drain_and_free(ictx, obj);
}

/* Return: whether @obj had no user, and is gone. */
static bool object_destroy_leaf(struct iommufd_ctx *ictx,
				struct iommufd_object *obj)
{
	int rc;

	xa_lock(&ictx->objects);
	rc = object_remove(ictx, obj);
	xa_unlock(&ictx->objects);

	if (!rc)
		object_free(obj);
	return !rc;
}

/**
 * iommufd_destroy_all_objects - the context is being closed
 * @ictx: the context; nobody else can reach it any more
 *
 * Objects use each other, in a graph without cycles: whatever nothing uses is
 * destroyed, which sets free what it used, and so on. Objects remain only where
 * a driver still is a user of one, or somebody forgot to stop being one.
 *
 * Context: may sleep.
 */
void iommufd_destroy_all_objects(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool progress;

	do {
		progress = false;
		xa_for_each(&ictx->objects, id, obj)
			progress |= object_destroy_leaf(ictx, obj);
	} while (progress);

	WARN_ON(!xa_empty(&ictx->objects));
}
