// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: fault queues
 *
 * An IOMMU can report a page fault of a device, and let the device retry after a
 * response. If a page table was allocated with a fault queue, the process reads
 * the faults of its devices from the file of the queue, makes the pages present,
 * and writes the responses to the file.
 *
 * The IOMMU core passes faults in groups, and wants one response for each group.
 * A group has a cookie from the time when it is added to the queue until it is
 * responded, and the caller that removes the cookie responds the group. So each
 * group is responded exactly once: by a write, or, with IOMMU_PAGE_RESP_INVALID,
 * when the device is detached. Cookies are not reused soon: a response that
 * comes too late is an error, and is not taken for one to another fault.
 *
 * The function that adds a group runs in a thread of the IOMMU driver, which
 * must not wait for a process. So user memory is accessed without locks.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/*
 * Groups in a queue, at most. A device waits for responses of 512 groups at
 * most, as many as there are indices of page request groups in PCIe.
 */
#define FAULT_GROUPS_MAX	(16 * 512)

static struct iommufd_fault *to_fault(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_fault, obj);
}

static void fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault *fault = to_fault(obj);

	/* No page table refers to the queue, so no device is attached. */
	WARN_ON(!xa_empty(&fault->groups));
	xa_destroy(&fault->groups);
	mutex_destroy(&fault->respond_lock);
}

static const struct iommufd_object_ops fault_ops = {
	.type = IOMMUFD_OBJ_FAULT,
	.destroy = fault_destroy,
};

/* Called by the IOMMU core. After an error, the core responds the group. */
static int fault_add(struct iopf_group *group)
{
	const struct iommufd_hwpt *hwpt =
		group->attach_handle->domain->fault_data;
	struct iommufd_fault *fault = hwpt->fault;
	int rc = -ENOSPC;

	xa_lock(&fault->groups);
	if (fault->nr_groups < FAULT_GROUPS_MAX)
		rc = __xa_alloc_cyclic(&fault->groups, &group->cookie, group,
				       xa_limit_32b, &fault->next_cookie,
				       GFP_KERNEL);
	if (rc >= 0) {
		fault->nr_groups++;
		list_add_tail(&group->node, &fault->unread);
	}
	xa_unlock(&fault->groups);
	if (rc < 0)
		return rc;
	wake_up_interruptible(&fault->wait);
	return 0;
}

/**
 * iommufd_fault_init_hwpt() - set the fault queue of a page table
 * @ictx: the context
 * @hwpt: the page table, not attached
 * @fault_id: ID of the fault queue; the page table takes a reference
 *
 * Return: 0, or -ENOENT if there is no such fault queue.
 * Context: takes the lock of &iommufd_ctx.objects.
 */
int iommufd_fault_init_hwpt(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt,
			    u32 fault_id)
{
	struct iommufd_object *obj;

	obj = iommufd_get_object(ictx, fault_id, IOMMUFD_OBJ_FAULT);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	refcount_inc(&obj->users);
	hwpt->fault = to_fault(obj);
	hwpt->domain->iopf_handler = fault_add;
	hwpt->domain->fault_data = hwpt;
	iommufd_put_object(ictx, obj);
	return 0;
}

static void fault_remove(struct iommufd_fault *fault, struct iopf_group *group)
{
	lockdep_assert_held(&fault->respond_lock);

	xa_lock(&fault->groups);
	list_del(&group->node);
	__xa_erase(&fault->groups, group->cookie);
	fault->nr_groups--;
	xa_unlock(&fault->groups);
}

static void fault_respond(struct iommufd_fault *fault, struct iopf_group *group,
			  enum iommu_page_response_code code)
{
	fault_remove(fault, group);
	iopf_group_response(group, code);
	iopf_free_group(group);
}

/**
 * iommufd_fault_respond_all() - respond all faults of an attachment
 * @fault: the fault queue
 * @handle: the attachment; no fault of it is added any more
 *
 * On return, the device has all responses, also those that a concurrent write
 * has sent, and the caller may free @handle.
 *
 * Context: may sleep; takes &iommufd_fault.respond_lock.
 */
void iommufd_fault_respond_all(struct iommufd_fault *fault,
			       const struct iommu_attach_handle *handle)
{
	struct iopf_group *group;
	unsigned long cookie;

	guard(mutex)(&fault->respond_lock);
	xa_for_each(&fault->groups, cookie, group)
		if (group->attach_handle == handle)
			fault_respond(fault, group, IOMMU_PAGE_RESP_INVALID);
}

static u32 fault_perm(u32 perm)
{
	static_assert((int)IOMMU_PGFAULT_PERM_READ ==
		      (int)IOMMU_FAULT_PERM_READ);
	static_assert((int)IOMMU_PGFAULT_PERM_WRITE ==
		      (int)IOMMU_FAULT_PERM_WRITE);
	static_assert((int)IOMMU_PGFAULT_PERM_EXEC ==
		      (int)IOMMU_FAULT_PERM_EXEC);
	static_assert((int)IOMMU_PGFAULT_PERM_PRIV ==
		      (int)IOMMU_FAULT_PERM_PRIV);
	return perm;
}

static void fault_describe(const struct iopf_group *group,
			   struct iommu_hwpt_pgfault *to)
{
	const struct iommufd_attach_handle *handle =
		container_of_const(group->attach_handle,
				   struct iommufd_attach_handle, handle);
	const struct iopf_fault *iopf;

	list_for_each_entry(iopf, &group->faults, list) {
		const struct iommu_fault_page_request *prm = &iopf->fault.prm;

		*to = (struct iommu_hwpt_pgfault){
			.dev_id = handle->idev->obj.id,
			.pasid = prm->pasid,
			.grpid = prm->grpid,
			.perm = fault_perm(prm->perm),
			.addr = prm->addr,
			.cookie = group->cookie,
		};
		if (prm->flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID)
			to->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		if (prm->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE)
			to->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
		to++;
	}
}

static struct iopf_group *fault_first_unread(struct iommufd_fault *fault)
{
	return list_first_entry_or_null(&fault->unread, struct iopf_group,
					node);
}

/* Return: the size of the first unread group in bytes; 0 if there is none. */
static size_t fault_unread_size(struct iommufd_fault *fault)
{
	struct iopf_group *group;
	size_t size = 0;

	xa_lock(&fault->groups);
	group = fault_first_unread(fault);
	if (group)
		size = group->fault_count * sizeof(struct iommu_hwpt_pgfault);
	xa_unlock(&fault->groups);
	return size;
}

/*
 * Describe the first unread group in @to, which has @size bytes, and mark it as
 * read. Another reader may have read it since its size was determined.
 *
 * Return: the size of the description; 0 if @size is another.
 */
static size_t fault_take_unread(struct iommufd_fault *fault,
				struct iommu_hwpt_pgfault *to, size_t size)
{
	struct iopf_group *group;
	bool fits;

	xa_lock(&fault->groups);
	group = fault_first_unread(fault);
	fits = group && group->fault_count * sizeof(*to) == size;
	if (fits) {
		fault_describe(group, to);
		list_del_init(&group->node);
	}
	xa_unlock(&fault->groups);
	return fits ? size : 0;
}

/* Undo fault_take_unread(), if the group was not responded meanwhile. */
static void fault_put_unread(struct iommufd_fault *fault, u32 cookie)
{
	struct iopf_group *group;

	xa_lock(&fault->groups);
	group = xa_load(&fault->groups, cookie);
	if (group)
		list_add(&group->node, &fault->unread);
	xa_unlock(&fault->groups);
}

/* Read a group. Return: its size, 0 if there is none, or an errno. */
static ssize_t fault_read_group(struct iommufd_fault *fault, char __user *buf,
				size_t count)
{
	size_t size = fault_unread_size(fault), taken;
	struct iommu_hwpt_pgfault *messages;
	ssize_t rc;

	while (size) {
		if (size > count)
			return -EINVAL;
		messages = kvmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!messages)
			return -ENOMEM;
		taken = fault_take_unread(fault, messages, size);
		rc = taken;
		if (taken && copy_to_user(buf, messages, taken)) {
			fault_put_unread(fault, messages->cookie);
			rc = -EFAULT;
		}
		kvfree(messages);
		if (taken)
			return rc;
		size = fault_unread_size(fault);
	}
	return 0;
}

/*
 * Read as many groups as fit. ABI: does not wait; -ESPIPE if @count is no
 * multiple of the size of a fault, -EINVAL if not even one group fits.
 */
static ssize_t fault_fops_read(struct file *file, char __user *buf,
			       size_t count, loff_t *ppos)
{
	struct iommufd_fault *fault = file->private_data;
	size_t done = 0;
	ssize_t rc;

	if (*ppos || count % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	do {
		rc = fault_read_group(fault, buf + done, count - done);
		if (rc > 0)
			done += rc;
	} while (rc > 0 && done < count);
	return done ?: rc;
}

static int fault_write_response(struct iommufd_fault *fault,
				const struct iommu_hwpt_page_response *response)
{
	struct iopf_group *group;
	bool read;

	static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS ==
		      (int)IOMMU_PAGE_RESP_SUCCESS);
	static_assert((int)IOMMUFD_PAGE_RESP_INVALID ==
		      (int)IOMMU_PAGE_RESP_INVALID);
	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;

	guard(mutex)(&fault->respond_lock);
	xa_lock(&fault->groups);
	group = xa_load(&fault->groups, response->cookie);
	read = group && list_empty(&group->node);
	xa_unlock(&fault->groups);
	if (!read)
		return -EINVAL;
	fault_respond(fault, group, response->code);
	return 0;
}

/*
 * ABI: -ESPIPE if @count is no multiple of the size of a response. A response
 * with an unknown code or cookie is -EINVAL, unless others precede it.
 */
static ssize_t fault_fops_write(struct file *file, const char __user *buf,
				size_t count, loff_t *ppos)
{
	struct iommufd_fault *fault = file->private_data;
	struct iommu_hwpt_page_response response;
	size_t done;
	int rc = 0;

	if (*ppos || count % sizeof(response))
		return -ESPIPE;
	for (done = 0; done < count; done += sizeof(response)) {
		if (copy_from_user(&response, buf + done, sizeof(response)))
			rc = -EFAULT;
		else
			rc = fault_write_response(fault, &response);
		if (rc)
			break;
		cond_resched();
	}
	return done ?: rc;
}

static __poll_t fault_fops_poll(struct file *file, poll_table *wait)
{
	struct iommufd_fault *fault = file->private_data;
	__poll_t events = EPOLLOUT;

	poll_wait(file, &fault->wait, wait);
	xa_lock(&fault->groups);
	if (!list_empty(&fault->unread))
		events |= EPOLLIN | EPOLLRDNORM;
	xa_unlock(&fault->groups);
	return events;
}

/* The file has no queue if iommufd_fault_alloc() failed. */
static int fault_fops_release(struct inode *inode, struct file *file)
{
	struct iommufd_fault *fault = file->private_data;
	struct iommufd_ctx *ictx;

	if (!fault)
		return 0;
	/* Another task may destroy the queue once the reference is put. */
	ictx = fault->ictx;
	refcount_dec(&fault->obj.users);
	iommufd_ctx_put(ictx);
	return 0;
}

static const struct file_operations fault_fops = {
	.owner = THIS_MODULE,
	.read = fault_fops_read,
	.write = fault_fops_write,
	.poll = fault_fops_poll,
	.release = fault_fops_release,
};

static struct iommufd_fault *fault_alloc(struct iommufd_ctx *ictx)
{
	struct iommufd_fault *fault;

	fault = iommufd_object_alloc(ictx, fault, &fault_ops);
	if (IS_ERR(fault))
		return fault;
	fault->ictx = ictx;
	xa_init_flags(&fault->groups, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&fault->unread);
	mutex_init(&fault->respond_lock);
	init_waitqueue_head(&fault->wait);
	return fault;
}

/**
 * iommufd_fault_alloc() - handle IOMMU_FAULT_QUEUE_ALLOC
 * @ucmd: the ioctl, with a struct iommu_fault_alloc
 *
 * The queue cannot be destroyed while its file is open, or a page table has it.
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: a flag is set
 * * -EMFILE, -ENFILE: too many files are open
 * * -EBUSY: the context has no free ID
 * * -ENOMEM: out of memory
 * * -EFAULT: the structure cannot be written
 *
 * Context: may sleep.
 */
int iommufd_fault_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;
	struct file *file;
	int fd, rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	fault = fault_alloc(ucmd->ictx);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		rc = fd;
		goto err_abort;
	}
	file = anon_inode_getfile("[iommufd-pgfault]", &fault_fops, NULL,
				  O_RDWR);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto err_fd;
	}

	cmd->out_fault_id = fault->obj.id;
	cmd->out_fault_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_file;

	/* From here on, the file has references: nothing can fail any more. */
	refcount_inc(&fault->obj.users);
	iommufd_ctx_get(ucmd->ictx);
	file->private_data = fault;
	iommufd_object_finalize(ucmd->ictx, &fault->obj);
	fd_install(fd, file);
	return 0;

err_file:
	fput(file);
err_fd:
	put_unused_fd(fd);
err_abort:
	iommufd_object_abort_and_destroy(ucmd->ictx, &fault->obj);
	return rc;
}
