/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects that userspace names by ID: see object.c.
 */
#ifndef __IOMMUFD_OBJECT_H
#define __IOMMUFD_OBJECT_H

#include <linux/container_of.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct iommufd_ctx;
struct iommufd_object_ops;

enum iommufd_object_type {
	/* Any type, for lookups. */
	IOMMUFD_OBJ_ANY,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
#ifdef CONFIG_IOMMUFD_TEST
	IOMMUFD_OBJ_SELFTEST,
#endif
	IOMMUFD_OBJ_MAX,
};

/**
 * struct iommufd_object - what every object with an ID begins with
 * @users: everybody who needs the object, &iommufd_ctx.objects among them;
 *	an object that has more users than that cannot be destroyed: EBUSY
 * @shortterm_users: those of @users that will soon be gone by themselves, such
 *	as a running ioctl; whoever destroys the object waits for them
 * @ops: what it is, and how it ends; never changes
 * @id: index in &iommufd_ctx.objects; never changes
 *
 * Owner: &iommufd_ctx.objects, from iommufd_object_finalize() on; before that
 * the function that makes it. Counts are only taken from zero by nobody:
 * iommufd_get_object() looks up and counts under the lock of that xarray, and
 * the last user is taken away under it.
 */
struct iommufd_object {
	refcount_t users;
	refcount_t shortterm_users;
	const struct iommufd_object_ops *ops;
	unsigned int id;
};

/**
 * struct iommufd_object_ops - a type of objects
 * @type: the type
 * @destroy: undo all that made the object; cannot fail; the memory is freed by
 *	the caller
 * @abort: the same for an object that was never finalized, where that differs
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
 * A zeroed structure whose first member is a struct iommufd_object obj. @ptr is
 * only asked for its type: using it twice does no harm.
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
