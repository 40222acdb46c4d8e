// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects: allocation, lookup by ID, and destruction.
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
 * &iommufd_ctx.objects owns every object. It has one reference in
 * &iommufd_object.users and one in &iommufd_object.shortterm_users. An object
 * can be destroyed if the former is the only reference in @users. A thread that
 * destroys an object drops the latter and waits until @shortterm_users is 0.
 * Then no ioctl uses the object, and none can look it up again.
 *
 * The wait cannot time out, since unbinding a device cannot fail. It is short,
 * because an ioctl puts its short-term reference on a device before it waits
 * for user memory, which userfaultfd or FUSE may never deliver. An ioctl may
 * keep references on IOASes and page tables over such waits: IOMMU_DESTROY
 * fails with -EBUSY meanwhile.
 *
 * iommufd_lock_obj() takes a reference in @shortterm_users before the one in
 * @users, and iommufd_put_object() drops them in reverse order. So
 * @shortterm_users is not 0 while a short-term reference in @users exists.
 */

/**
 * _iommufd_object_alloc() - allocate an object that cannot be looked up yet
 * @ictx: the context
 * @size: size in bytes of the structure that contains the object
 * @ops: type of the object
 *
 * Use iommufd_object_alloc(), which computes @size from a structure.
 *
 * The ID is reserved, but cannot be looked up before iommufd_object_finalize().
 * After that, a lookup may prevent that the object is destroyed. So a caller
 * must do all that can fail before, and call iommufd_object_abort() if it
 * fails.
 *
 * Return:
 * * the object, zeroed except for the members that this file initialises
 * * -ENOMEM: out of memory
 * * -EBUSY: no ID is free
 *
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
 * __iommufd_object_finalize() - publish an object for lookups, locked
 * @ictx: the context
 * @obj: from iommufd_object_alloc(); from now on owned by the context
 *
 * Context: the lock of @ictx->objects is held.
 */
void __iommufd_object_finalize(struct iommufd_ctx *ictx,
			       struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	/*
	 * _iommufd_object_alloc() has reserved the entry, so this cannot fail.
	 */
	WARN_ON(__xa_store(&ictx->objects, obj->id, obj, GFP_NOWAIT));
}

/**
 * iommufd_object_finalize() - publish an object for lookups
 * @ictx: the context
 * @obj: from iommufd_object_alloc(); from now on owned by the context, and
 *	another thread may destroy it at any time
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
 * iommufd_object_abort() - free an object that was not finalized
 * @ictx: the context
 * @obj: from iommufd_object_alloc(), in its initial state
 *
 * Context: takes the lock of @ictx->objects.
 */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	/* A finalized object may have been looked up, and must not be freed. */
	WARN_ON(xa_erase(&ictx->objects, obj->id));
	kfree(obj);
}

/**
 * iommufd_object_abort_and_destroy() - destroy an object that was not finalized
 * @ictx: the context
 * @obj: the object, initialised as far as &iommufd_object_ops.abort, or
 *	&iommufd_object_ops.destroy if that is NULL, requires
 *
 * Context: may sleep; locks are held as required by this operation.
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
 * iommufd_lock_obj() - take a short-term reference on an object
 * @obj: the object; a reference or a held lock prevents that it is freed
 *
 * Return: true, if the caller must call iommufd_put_object() soon; false, if
 * the object is being destroyed.
 * Context: any.
 */
bool iommufd_lock_obj(struct iommufd_object *obj)
{
	if (!refcount_inc_not_zero(&obj->shortterm_users))
		return false;
	if (refcount_inc_not_zero(&obj->users))
		return true;

	/*
	 * The context is being closed. This needs no wake-up: closing does not
	 * wait for short-term users, and the xarray still has its reference.
	 */
	refcount_dec(&obj->shortterm_users);
	return false;
}

/**
 * iommufd_put_object() - put a reference of iommufd_get_object() or
 *	iommufd_lock_obj()
 * @ictx: the context
 * @obj: the object; may be freed at once
 *
 * Context: any.
 */
void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	refcount_dec(&obj->users);
	if (refcount_dec_and_test(&obj->shortterm_users))
		wake_up_all(&ictx->destroy_wait);
}

/*
 * Return: the object; NULL if there is no finalized object of this ID and type.
 */
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
 * iommufd_try_get_object() - take a short-term reference on an object if it is there
 * @ictx: the context
 * @id: the ID
 * @type: required type, or IOMMUFD_OBJ_ANY
 *
 * For walks over all objects. Tests cannot make it fail.
 *
 * Return: as iommufd_get_object(), or NULL in place of an error.
 * Context: takes the lock of @ictx->objects.
 */
struct iommufd_object *iommufd_try_get_object(struct iommufd_ctx *ictx, u32 id,
					      enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = object_find(ictx, id, type);
	if (obj && !iommufd_lock_obj(obj))
		obj = NULL;
	xa_unlock(&ictx->objects);
	return obj;
}

/**
 * iommufd_get_object() - look up an object by ID and take a short-term reference
 * @ictx: the context
 * @id: the ID
 * @type: required type, or IOMMUFD_OBJ_ANY
 *
 * Return:
 * * the object, which the caller must pass to iommufd_put_object() before the
 *   ioctl ends
 * * -ENOENT: there is no object of this ID and type, or it is being destroyed
 *
 * Context: takes the lock of @ictx->objects.
 */
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	if (iopt_should_fail())
		return ERR_PTR(-ENOENT);
	return iommufd_try_get_object(ictx, id, type) ?: ERR_PTR(-ENOENT);
}

/*
 * Put the xarray's short-term reference and wait until all others are put.
 * Callers cannot fail, so the wait is uninterruptible and has no timeout.
 */
static void object_drain(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	if (refcount_dec_and_test(&obj->shortterm_users))
		return;

	wait_event(ictx->destroy_wait, !refcount_read(&obj->shortterm_users));
	/*
	 * Order accesses of the last short-term user before those of the
	 * caller.
	 */
	smp_acquire__after_ctrl_dep();
}

/*
 * Remove an object from the xarray if it has no other user. Returns 0 or
 * -EBUSY.
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
 * Free an object after object_remove(). There was no other user, so a remaining
 * short-term user is about to complete iommufd_put_object().
 */
static void object_drain_and_free(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	object_drain(ictx, obj);
	object_free(obj);
}

/**
 * iommufd_object_destroy_id() - destroy an object at the request of userspace
 * @ictx: the context
 * @id: the ID
 *
 * Return:
 * * 0: success
 * * -ENOENT: no object has this ID
 * * -EBUSY: another object, a driver or a running ioctl uses the object
 *
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
 * iommufd_object_destroy_user() - destroy an object at the request of its driver
 * @ictx: the context
 * @obj: the object; the caller has a reference in @users, but no short-term one
 *
 * Consumes the caller's reference, and waits for running ioctls. If there is
 * any other user, which is a bug, this warns and leaves the object until the
 * context is closed.
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
 * iommufd_object_put_and_try_destroy() - put a reference on an object, and destroy
 *	the object if it was the last
 * @ictx: the context
 * @obj: the object; the caller has a reference in @users, but no short-term one
 *
 * For page tables that an attach has created. If an ioctl uses the object at
 * the moment, it stays until userspace destroys it or closes the context.
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

/*
 * Destroy an object if it has no other user. Returns whether it was destroyed.
 */
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
 * iommufd_destroy_all_objects() - destroy the objects of a context that is closed
 * @ictx: the context; no other thread can use it
 *
 * The references between objects form a graph without cycles. Each pass
 * destroys the objects without a user, which drops their references on others.
 * An object remains only if a driver still uses it, or if a reference was
 * leaked.
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
