// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: accesses
 *
 * A driver without an IOMMU, such as that of a mediated device, reaches the
 * memory behind the IOVAs of an IOAS through an iommufd_access: it reads and
 * writes bytes, or has pages pinned. Before an unmap takes memory away the
 * driver is told, by its unmap callback, to give back what it has pinned there.
 *
 * That callback is called with no lock held, so it can unpin as at any other
 * time. While the access leaves an IOAS two pointers differ: iommufd_access.ioas
 * is NULL already, and nothing new is pinned; iommufd_access.ioas_unpin still
 * leads to where the old pins are.
 */
#include <linux/cleanup.h>
#include <linux/iommufd.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/overflow.h>

#include "iommufd_private.h"

static struct iommufd_access *to_iommufd_access(struct iopt_access *access)
{
	return container_of(access, struct iommufd_access, access);
}

static bool access_get(struct iopt_access *access)
{
	return iommufd_lock_obj(&to_iommufd_access(access)->obj);
}

static void access_put(struct iopt_access *access)
{
	struct iommufd_access *user = to_iommufd_access(access);

	iommufd_put_object(user->ictx, &user->obj);
}

static void access_unmap(struct iopt_access *access, unsigned long iova,
			 unsigned long length)
{
	struct iommufd_access *user = to_iommufd_access(access);

	/* A driver without it has nothing pinned. */
	if (user->ops->unmap)
		user->ops->unmap(user->data, iova, length);
}

static const struct iopt_access_ops iommufd_iopt_access_ops = {
	.get = access_get,
	.put = access_put,
	.unmap = access_unmap,
};

/*
 * Gives up the lock while the driver undoes its pins. @id is the access' number
 * in @ioas: it may have another by now, that in the IOAS it goes to.
 */
static void access_leave_ioas(struct iommufd_access *access,
			      struct iommufd_ioas *ioas, u32 id)
{
	lockdep_assert_held(&access->lock);

	access->ioas = NULL;
	mutex_unlock(&access->lock);
	access_unmap(&access->access, 0, ULONG_MAX);
	mutex_lock(&access->lock);

	swap(access->access.id, id);
	iopt_remove_access(&ioas->iopt, &access->access);
	swap(access->access.id, id);
	refcount_dec(&ioas->obj.users);
}

/*
 * Go from one IOAS to another; either may be NULL. Returns -EBUSY if another
 * thread is about to do that, or an error of iopt_add_access(): then nothing
 * has changed.
 */
static int access_change_ioas(struct iommufd_access *access,
			      struct iommufd_ioas *ioas)
{
	struct iommufd_ioas *old = access->ioas;
	u32 old_id = access->access.id;
	int rc;

	lockdep_assert_held(&access->lock);

	if (old != access->ioas_unpin)
		return -EBUSY;
	if (old == ioas)
		return 0;

	if (ioas) {
		rc = iopt_add_access(&ioas->iopt, &access->access);
		if (rc) {
			access->access.id = old_id;
			return rc;
		}
		refcount_inc(&ioas->obj.users);
	}
	if (old)
		access_leave_ioas(access, old, old_id);
	access->ioas = ioas;
	access->ioas_unpin = ioas;
	return 0;
}

static int access_change_ioas_id(struct iommufd_access *access, u32 ioas_id)
{
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(access->ictx, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = access_change_ioas(access, ioas);
	iommufd_put_object(access->ictx, &ioas->obj);
	return rc;
}

static void access_destroy(struct iommufd_object *obj)
{
	struct iommufd_access *access =
		container_of(obj, struct iommufd_access, obj);

	scoped_guard(mutex, &access->lock)
		WARN_ON(access_change_ioas(access, NULL));
	mutex_destroy(&access->lock);
	iommufd_ctx_put(access->ictx);
}

static const struct iommufd_object_ops access_ops = {
	.type = IOMMUFD_OBJ_ACCESS,
	.destroy = access_destroy,
};

/**
 * iommufd_access_create() - Become able to use memory by its IOVA
 * @ictx: the context
 * @ops: the driver's callbacks; must stay
 * @data: what they are called with
 * @id: where the new object's ID goes
 *
 * A driver that pins pages sets needs_pin_pages and has an unmap callback. An
 * IOAS gets the coarser alignment of IOVAs that this takes while the access is
 * attached. The callback may be called from iommufd_access_attach() until
 * iommufd_access_destroy() returns. It is called with no lock held, and the
 * driver must not make it wait for either function, or for
 * iommufd_access_replace() or iommufd_access_detach().
 *
 * Context: May sleep.
 *
 * Return: the object, not attached to any IOAS, which userspace cannot destroy,
 * until iommufd_access_destroy(). -ENOMEM, -EBUSY if the context has no ID left.
 */
struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id)
{
	struct iommufd_access *access;

	access = iommufd_object_alloc(ictx, access, &access_ops);
	if (IS_ERR(access))
		return access;

	mutex_init(&access->lock);
	access->access.ops = &iommufd_iopt_access_ops;
	access->access.iova_alignment = ops->needs_pin_pages ? PAGE_SIZE : 1;
	access->ops = ops;
	access->data = data;
	iommufd_ctx_get(ictx);
	access->ictx = ictx;

	/* The driver, up to iommufd_access_destroy(). */
	refcount_inc(&access->obj.users);
	*id = access->obj.id;
	iommufd_object_finalize(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_create, IOMMUFD);

/**
 * iommufd_access_destroy() - Undo iommufd_access_create()
 * @access: the access; gone afterwards
 *
 * The driver must not use @access in any other way meanwhile but to unpin from
 * its unmap callback, which is called where the access is still attached.
 *
 * Context: May sleep; waits for unmap callbacks to return. None is called
 * afterwards.
 */
void iommufd_access_destroy(struct iommufd_access *access)
{
	iommufd_object_destroy_user(access->ictx, &access->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_destroy, IOMMUFD);

/**
 * iommufd_access_attach() - Attach an access to an IOAS
 * @access: the access, not attached
 * @ioas_id: ID of the IOAS
 *
 * Context: May sleep.
 *
 * Return: 0 on success. -EINVAL if it is attached, -ENOENT if there is no such
 * IOAS, -EBUSY if it is about to leave another, or an error of
 * iopt_add_access(): -EADDRINUSE if something is mapped in the IOAS that has
 * not the alignment which the access needs, -ENOMEM.
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	guard(mutex)(&access->lock);

	if (WARN_ON(access->ioas))
		return -EINVAL;
	return access_change_ioas_id(access, ioas_id);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_attach, IOMMUFD);

/**
 * iommufd_access_replace() - Attach an access to another IOAS
 * @access: the access, attached
 * @ioas_id: ID of the IOAS
 *
 * The driver has to give back its pins in the old IOAS: its unmap callback is
 * called for all IOVAs.
 *
 * Context: May sleep. The driver holds no lock that its unmap callback takes.
 *
 * Return: 0 on success. -ENOENT if it is not attached, else as
 * iommufd_access_attach(); then it still is where it was.
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	guard(mutex)(&access->lock);

	if (!access->ioas)
		return -ENOENT;
	return access_change_ioas_id(access, ioas_id);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_replace, IOMMUFD);

/**
 * iommufd_access_detach() - Undo iommufd_access_attach()
 * @access: the access, attached
 *
 * The driver has to give back its pins: its unmap callback is called for all
 * IOVAs.
 *
 * Context: May sleep. The driver holds no lock that its unmap callback takes.
 */
void iommufd_access_detach(struct iommufd_access *access)
{
	guard(mutex)(&access->lock);

	if (!WARN_ON(!access->ioas))
		WARN_ON(access_change_ioas(access, NULL));
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_detach, IOMMUFD);

static int access_check_range(unsigned long iova, unsigned long length)
{
	unsigned long last;

	if (!length)
		return -EINVAL;
	return check_add_overflow(iova, length - 1, &last) ? -EOVERFLOW : 0;
}

/**
 * iommufd_access_unpin_pages() - Undo iommufd_access_pin_pages()
 * @access: the access
 * @iova: first byte, as it was pinned
 * @length: bytes, as they were pinned
 *
 * Context: May sleep. Takes &iommufd_access.lock and, inside it, locks of the
 * IOAS' io_pagetable. May be called from the unmap callback.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	if (WARN_ON(access_check_range(iova, length)))
		return;

	guard(mutex)(&access->lock);

	/* Not attached: what could have been pinned? */
	if (WARN_ON(!access->ioas_unpin))
		return;
	iopt_unpin_pages(&access->ioas_unpin->iopt, &access->access, iova,
			 length);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, IOMMUFD);

/**
 * iommufd_access_pin_pages() - Pin the memory behind IOVAs
 * @access: the access
 * @iova: first byte, at the start of a page
 * @length: bytes; the last page may be there in part
 * @out_pages: where the pages go, one for each PAGE_SIZE of IOVA
 * @flags: IOMMUFD_ACCESS_RW_WRITE if they will be written,
 *	IOMMUFD_ACCESS_RW_KTHREAD
 *
 * Context: May sleep. Takes &iommufd_access.lock and, inside it, locks of the
 * IOAS' io_pagetable.
 *
 * Return: 0 on success. -EINVAL if the access was not made to pin pages, the
 * length is 0, an IOVA in there is not where a page begins, or the memory is
 * being unmapped; -EOVERFLOW if the range wraps; -ENOENT if the access is not
 * attached or not all of it is mapped; -EPERM if it is not mapped to be read,
 * or written; -ENOMEM and -EFAULT if memory cannot be pinned.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	int rc;

	if (WARN_ON(!access->ops->needs_pin_pages || !access->ops->unmap))
		return -EINVAL;
	rc = access_check_range(iova, length);
	if (rc)
		return rc;

	guard(mutex)(&access->lock);

	if (!access->ioas)
		return -ENOENT;
	return iopt_pin_pages(&access->ioas->iopt, &access->access, iova,
			      length, out_pages, flags);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_pin_pages, IOMMUFD);

/**
 * iommufd_access_rw() - Copy from or to the memory behind IOVAs
 * @access: the access
 * @iova: first byte
 * @data: the driver's buffer
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_WRITE to write what is in @data, else it is filled;
 *	IOMMUFD_ACCESS_RW_KTHREAD if the caller is a kernel thread, which may
 *	then borrow the mm that the memory belongs to
 *
 * Context: May sleep. Takes &iommufd_access.lock and, inside it, locks of the
 * IOAS' io_pagetable.
 *
 * Return: 0 on success. -EINVAL if the length is 0 or the memory is being
 * unmapped; -EOVERFLOW if the range wraps; -ENOENT if the access is not
 * attached or not all of it is mapped; -EPERM if it is not mapped to be read,
 * or written; -ENOMEM and -EFAULT if the memory cannot be had.
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t length, unsigned int flags)
{
	int rc = access_check_range(iova, length);

	if (rc)
		return rc;

	guard(mutex)(&access->lock);

	if (!access->ioas)
		return -ENOENT;
	return iopt_rw(&access->ioas->iopt, iova, data, length, flags);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_rw, IOMMUFD);
