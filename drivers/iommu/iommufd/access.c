// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: accesses
 *
 * A mediated driver, whose device has no IOMMU, uses the memory of an IOAS
 * through a struct iommufd_access: it copies from and to IOVAs, or pins their
 * pages. Before memory is unmapped, iommufd calls the driver's unmap callback,
 * in which the driver must unpin its pages of the range. A driver without this
 * callback locks the memory that it has pinned: userspace cannot unmap it.
 *
 * No lock is held during this callback, so the driver may unpin as at any other
 * time. While an access is detached from an IOAS, iommufd_access.ioas is NULL,
 * so no new page is pinned. iommufd_access.ioas_unpin still refers to the IOAS
 * until the driver has unpinned all pages.
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

	if (user->ops->unmap)
		user->ops->unmap(user->data, iova, length);
}

static const struct iopt_access_ops iommufd_iopt_access_ops = {
	.get = access_get,
	.put = access_put,
	.unmap = access_unmap,
};

/*
 * Detach from @ioas. Drops the lock while the driver unpins its pages. @id is
 * the ID of the access in @ioas: access->access.id may already be that in the
 * next IOAS.
 */
static void access_detach_ioas(struct iommufd_access *access,
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
 * Detach from the current IOAS and attach to @ioas; either may be NULL. Returns
 * 0, -EBUSY if another thread is detaching the access, or an errno of
 * iopt_add_access(). On failure nothing has changed.
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
		access_detach_ioas(access, old, old_id);
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
 * iommufd_access_create() - create an access to the memory of IOASes
 * @ictx: the context
 * @ops: callbacks of the driver; must outlive the access
 * @data: argument of the callbacks
 * @id: set to the ID of the new object
 *
 * A driver that pins pages must set needs_pin_pages. While such an access is
 * attached, IOVAs of the IOAS must be aligned to PAGE_SIZE. The unmap callback
 * may be called from iommufd_access_attach() on, until iommufd_access_destroy()
 * returns. It is called with no lock held. It must not wait for a call of
 * iommufd_access_attach(), iommufd_access_replace(), iommufd_access_detach() or
 * iommufd_access_destroy().
 *
 * A driver that cannot unpin at any time does not set the unmap callback. A
 * mapping with a page that it has pinned then cannot be unmapped: an unmap fails
 * with -EBUSY, and notifies no other driver. Such a driver must unpin all pages
 * before it calls iommufd_access_replace(), iommufd_access_detach() or
 * iommufd_access_destroy().
 *
 * Return:
 * * the access, not attached to an IOAS. Userspace cannot destroy it before
 *   iommufd_access_destroy()
 * * -ENOMEM: out of memory
 * * -EBUSY: the context has no free ID
 *
 * Context: may sleep.
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
	access->access.locks_areas = ops->needs_pin_pages && !ops->unmap;
	access->ops = ops;
	access->data = data;
	iommufd_ctx_get(ictx);
	access->ictx = ictx;

	/* Reference of the driver, until iommufd_access_destroy(). */
	refcount_inc(&access->obj.users);
	*id = access->obj.id;
	iommufd_object_finalize(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_create, IOMMUFD);

/**
 * iommufd_access_destroy() - destroy an access
 * @access: the access; freed
 *
 * Calls the unmap callback if the access is attached, and waits for callbacks
 * to return. No callback is called afterwards. Meanwhile the driver must use
 * @access only to unpin pages.
 *
 * Context: may sleep.
 */
void iommufd_access_destroy(struct iommufd_access *access)
{
	iommufd_object_destroy_user(access->ictx, &access->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_destroy, IOMMUFD);

/**
 * iommufd_access_attach() - attach an access to an IOAS
 * @access: the access, which is not attached
 * @ioas_id: ID of the IOAS
 *
 * Return:
 * * 0: success
 * * -EINVAL: the access is attached
 * * -ENOENT: there is no such IOAS
 * * -EBUSY: another thread is detaching the access
 * * -EADDRINUSE: a mapping of the IOAS lacks the alignment that the access
 *   requires
 * * -ENOMEM: out of memory
 *
 * Context: may sleep.
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
 * iommufd_access_replace() - attach an access to another IOAS
 * @access: the access, which is attached
 * @ioas_id: ID of the IOAS
 *
 * Calls the unmap callback for all IOVAs, in which the driver must unpin its
 * pages of the old IOAS.
 *
 * Return: 0; -ENOENT if the access is not attached; or an errno of
 * iommufd_access_attach(). On failure the access stays attached to the old
 * IOAS.
 *
 * Context: may sleep; the caller holds no lock that the unmap callback takes.
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
 * iommufd_access_detach() - detach an access from its IOAS
 * @access: the access, which is attached
 *
 * Calls the unmap callback for all IOVAs, in which the driver must unpin its
 * pages.
 *
 * Context: may sleep; the caller holds no lock that the unmap callback takes.
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
 * iommufd_access_unpin_pages() - unpin pages of iommufd_access_pin_pages()
 * @access: the access
 * @iova: first byte, as when it was pinned
 * @length: number of bytes, as when they were pinned
 *
 * May be called from the unmap callback.
 *
 * Context: may sleep; takes &iommufd_access.lock and locks of the io_pagetable.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	if (WARN_ON(access_check_range(iova, length)))
		return;

	guard(mutex)(&access->lock);

	/* An access that is not attached has no pinned pages. */
	if (WARN_ON(!access->ioas_unpin))
		return;
	iopt_unpin_pages(&access->ioas_unpin->iopt, &access->access, iova,
			 length);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, IOMMUFD);

/**
 * iommufd_access_pin_pages() - pin the pages of an IOVA range
 * @access: the access
 * @iova: first byte, which is the first byte of a page
 * @length: number of bytes; may end within a page
 * @out_pages: set to the pages, one for each PAGE_SIZE of IOVA
 * @flags: IOMMUFD_ACCESS_RW_WRITE if the driver writes the pages, and
 *	IOMMUFD_ACCESS_RW_KTHREAD if the caller is a kernel thread
 *
 * Return:
 * * 0: success
 * * -EINVAL: the driver's operations do not allow pins, @length is 0, an IOVA
 *   is not the first byte of a page, or the memory is being unmapped
 * * -EOVERFLOW: the range wraps
 * * -ENOENT: the access is not attached, or part of the range is not mapped
 * * -EPERM: the mapping does not allow this access
 * * -EBUSY: the mapping has no valid user address
 * * -EINTR: the task was killed
 * * -ENOMEM, -EFAULT: the memory cannot be pinned
 *
 * Context: may sleep; takes &iommufd_access.lock and locks of the io_pagetable.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	int rc;

	if (WARN_ON(!access->ops->needs_pin_pages))
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
 * iommufd_access_rw() - copy from or to an IOVA range
 * @access: the access
 * @iova: first byte
 * @data: buffer of the driver
 * @length: number of bytes
 * @flags: IOMMUFD_ACCESS_RW_WRITE to copy from @data, otherwise to copy to
 *	@data; IOMMUFD_ACCESS_RW_KTHREAD if the caller is a kernel thread, which
 *	may then use the mm of the memory
 *
 * Return:
 * * 0: success
 * * -EINVAL: @length is 0, or the memory is being unmapped
 * * -EOVERFLOW: the range wraps
 * * -ENOENT: the access is not attached, or part of the range is not mapped
 * * -EPERM: the mapping does not allow this access
 * * -EBUSY: the mapping has no valid user address
 * * -EINTR: the task was killed
 * * -ENOMEM, -EFAULT: the memory cannot be accessed
 *
 * Context: may sleep; takes &iommufd_access.lock and locks of the io_pagetable.
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
