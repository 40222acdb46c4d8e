/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects with an ID: see object.c.
 */
#ifndef __IOMMUFD_OBJECT_H
#define __IOMMUFD_OBJECT_H

#include <linux/container_of.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct iommufd_ctx;
struct iommufd_object_ops;

enum iommufd_object_type {
	/* matches any type in a lookup */
	IOMMUFD_OBJ_ANY,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
#ifdef CONFIG_IOMMUFD_TEST
	IOMMUFD_OBJ_SELFTEST,
#endif
	IOMMUFD_OBJ_MAX,
};

/**
 * struct iommufd_object - common part of all objects with an ID
 * @users: number of references, including that of &iommufd_ctx.objects. An
 *	object with any other reference cannot be destroyed: -EBUSY.
 * @shortterm_users: number of the references in @users that are put soon, such
 *	as those of running ioctls; destroying the object waits for them
 * @ops: type of the object; never changes
 * @id: index in &iommufd_ctx.objects; never changes
 *
 * Owner: &iommufd_ctx.objects after iommufd_object_finalize(); before, the
 * function that allocated it. Neither counter is incremented from 0:
 * iommufd_get_object() looks up an object and takes its references with the
 * lock of the xarray held, and the last reference in @users is dropped with
 * this lock held.
 */
struct iommufd_object {
	refcount_t users;
	refcount_t shortterm_users;
	const struct iommufd_object_ops *ops;
	unsigned int id;
};

/**
 * struct iommufd_object_ops - type of an object
 * @type: the type
 * @destroy: release everything in the object, but not its memory; cannot fail
 * @abort: like @destroy, for an object that was not finalized; NULL if @destroy
 *	works for this as well
 */
struct iommufd_object_ops {
	enum iommufd_object_type type;
	void (*destroy)(struct iommufd_object *obj);
	void (*abort)(struct iommufd_object *obj);
};

struct iommufd_object *_iommufd_object_alloc(struct iommufd_ctx *ictx,
					     size_t size,
					     const struct iommufd_object_ops *ops);

/*
 * Allocate a zeroed structure whose first member is a struct iommufd_object
 * obj. Only the type of @ptr is used: evaluating it twice does no harm.
 */
#define iommufd_object_alloc(ictx, ptr, ops)				\
	container_of(_iommufd_object_alloc(ictx,			\
			sizeof(*(ptr)) + BUILD_BUG_ON_ZERO(		\
				offsetof(typeof(*(ptr)), obj)), ops),	\
		     typeof(*(ptr)), obj)

void __iommufd_object_finalize(struct iommufd_ctx *ictx,
			       struct iommufd_object *obj);
void iommufd_object_finalize(struct iommufd_ctx *ictx,
			     struct iommufd_object *obj);
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj);

struct iommufd_object *iommufd_try_get_object(struct iommufd_ctx *ictx, u32 id,
					      enum iommufd_object_type type);
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type);
bool iommufd_lock_obj(struct iommufd_object *obj);
void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj);

int iommufd_object_destroy_id(struct iommufd_ctx *ictx, u32 id);
void iommufd_object_destroy_user(struct iommufd_ctx *ictx,
				 struct iommufd_object *obj);
void iommufd_object_put_and_try_destroy(struct iommufd_ctx *ictx,
					struct iommufd_object *obj);
void iommufd_destroy_all_objects(struct iommufd_ctx *ictx);

#endif
