/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations of iommufd. The engine in drivers/iommu/iopt does not use them.
 */
#ifndef __IOMMUFD_PRIVATE_H
#define __IOMMUFD_PRIVATE_H

#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_object.h"
#include "iopt.h"
#include "test_hooks.h"
#include "type1/type1.h"

/**
 * struct iommufd_ctx - context of an open /dev/iommu
 * @file: the open file; a reference on it is a reference on the context
 * @objects: struct iommufd_object by ID
 * @groups: struct iommufd_group by ID of the iommu_group
 * @destroy_wait: woken when the last short-term reference on an object is put
 * @account_mode: how pinned pages of new mappings are accounted
 * @no_iommu_mode: whether the compat container is in no-IOMMU mode
 * @vfio_ioas: compat IOAS, which the compat container uses, or NULL; not a
 *	reference
 *
 * Owner: @file. The lock of @objects guards @no_iommu_mode and @vfio_ioas.
 */
struct iommufd_ctx {
	struct file *file;
	struct xarray objects;
	struct xarray groups;
	wait_queue_head_t destroy_wait;

	enum iopt_account_mode account_mode;
	bool no_iommu_mode;
	struct iommufd_ioas *vfio_ioas;
};

/**
 * struct iommufd_ucmd - a running ioctl
 * @ictx: the context
 * @ubuffer: user address of the structure
 * @user_size: size of the caller's structure in bytes
 * @cmd: kernel's copy; members that the caller's structure lacks are 0
 */
struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void __user *ubuffer;
	u32 user_size;
	void *cmd;
};

int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len);

/**
 * struct iommufd_ioas - an I/O address space
 * @obj: the object
 * @iopt: mappings and domains
 * @mutex: guards @hwpt_list; nests outside &iommufd_group.lock and the locks of
 *	@iopt
 * @hwpt_list: page tables of the IOAS, by &iommufd_hwpt.hwpt_item
 * @type1: state of type1 ioctls, for use as the compat IOAS
 */
struct iommufd_ioas {
	struct iommufd_object obj;
	struct io_pagetable iopt;
	/* guards hwpt_list */
	struct mutex mutex;
	struct list_head hwpt_list;
	struct type1 type1;
};

/**
 * iommufd_get_ioas() - look up an IOAS by ID
 * @ictx: the context
 * @id: the ID
 *
 * Return: the IOAS, which the caller must pass to iommufd_put_object(), or
 * -ENOENT.
 * Context: takes the lock of @ictx->objects.
 */
static inline struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx,
						    u32 id)
{
	/* obj is the first member, so an error pointer is passed through. */
	return container_of(iommufd_get_object(ictx, id, IOMMUFD_OBJ_IOAS),
			    struct iommufd_ioas, obj);
}

struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx);
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd);
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd);

/* change_process.c */
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd);

/* option.c */
int iommufd_disable_huge_pages(struct io_pagetable *iopt);
int iommufd_option(struct iommufd_ucmd *ucmd);

/**
 * struct iommufd_hwpt - a page table
 * @obj: the object, of the type of a paging or of a nested page table
 * @domain: the page table; owned
 * @ioas: the IOAS: a reference, or for a nested page table that of @parent
 * @parent: paging page table that translates what a nested one has translated;
 *	a reference. NULL for a paging page table
 * @fault: queue of page faults of attached devices; a reference; or NULL
 * @nest_parent: paging: allocated with IOMMU_HWPT_ALLOC_NEST_PARENT
 * @auto_domain: paging: created by an attach to the IOAS; destroyed when its
 *	last device is detached
 * @enforce_cache_coherency: paging: whether the domain forces DMA to snoop
 *	caches
 * @msi_cookie: paging: whether the domain has a window for software MSI
 * @hwpt_item: paging: entry in &iommufd_ioas.hwpt_list; guarded by
 *	&iommufd_ioas.mutex
 *
 * A paging page table has all mappings of an IOAS. A nested one belongs to a
 * guest, which changes it without the kernel.
 */
struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	struct iommufd_ioas *ioas;
	struct iommufd_hwpt *parent;
	struct iommufd_fault *fault;
	bool nest_parent;
	bool auto_domain;
	bool enforce_cache_coherency;
	bool msi_cookie;
	struct list_head hwpt_item;
};

/* Return: the page table with the mappings of the IOAS: @hwpt or its parent. */
static inline struct iommufd_hwpt *iommufd_hwpt_paging(struct iommufd_hwpt *hwpt)
{
	return hwpt->parent ?: hwpt;
}

struct iommufd_device;

/**
 * iommufd_get_hwpt_paging() - look up a paging page table by ID
 * @ictx: the context
 * @id: the ID
 *
 * Return: the page table, which the caller must pass to iommufd_put_object(),
 * or -ENOENT.
 * Context: takes the lock of @ictx->objects.
 */
static inline struct iommufd_hwpt *
iommufd_get_hwpt_paging(struct iommufd_ctx *ictx, u32 id)
{
	return container_of(iommufd_get_object(ictx, id,
					       IOMMUFD_OBJ_HWPT_PAGING),
			    struct iommufd_hwpt, obj);
}

/**
 * iommufd_get_hwpt_nested() - look up a nested page table by ID
 * @ictx: the context
 * @id: the ID
 *
 * Return: the page table, which the caller must pass to iommufd_put_object(),
 * or -ENOENT.
 * Context: takes the lock of @ictx->objects.
 */
static inline struct iommufd_hwpt *
iommufd_get_hwpt_nested(struct iommufd_ctx *ictx, u32 id)
{
	return container_of(iommufd_get_object(ictx, id,
					       IOMMUFD_OBJ_HWPT_NESTED),
			    struct iommufd_hwpt, obj);
}

struct iommufd_hwpt *
iommufd_hwpt_paging_alloc(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			  struct iommufd_device *idev, u32 flags,
			  const struct iommu_user_data *user_data);
int iommufd_hwpt_paging_fill(struct iommufd_hwpt *hwpt,
			     struct iommufd_device *idev);
void iommufd_hwpt_put(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt);
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);

/* hwpt_nested.c */
struct iommufd_hwpt *
iommufd_hwpt_nested_alloc(struct iommufd_ctx *ictx, struct iommufd_hwpt *parent,
			  struct iommufd_device *idev, u32 flags,
			  const struct iommu_user_data *user_data);
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd);

/**
 * struct iommufd_group - devices of an iommu_group that are bound to a context
 * @ref: one reference for each device; the last put removes the group from
 *	&iommufd_ctx.groups
 * @lock: guards all members below except @ictx and @group, which never change;
 *	nests inside &iommufd_ioas.mutex, outside the locks of
 *	&iommufd_ioas.iopt
 * @ictx: the context; not a reference, as the devices have references on it
 * @group: the iommu_group; a reference
 * @hwpt: attached page table, or NULL
 * @handle: attachment to @hwpt, if it has a fault queue, or NULL
 * @device_list: attached devices, by &iommufd_device.group_item; only one if
 *	@handle is set
 * @sw_msi_start: first IOVA of the window for software MSI, or PHYS_ADDR_MAX
 */
struct iommufd_group {
	struct kref ref;
	/* guards hwpt, handle, device_list and sw_msi_start */
	struct mutex lock;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	struct iommufd_hwpt *hwpt;
	struct iommufd_attach_handle *handle;
	struct list_head device_list;
	phys_addr_t sw_msi_start;
};

/**
 * struct iommufd_device - a device that its driver has bound to a context
 * @obj: the object; the driver has a reference until iommufd_device_unbind()
 * @ictx: the context; a reference, except for mock devices of the test ABI
 * @igroup: the group; a reference
 * @group_item: entry in &iommufd_group.device_list while attached
 * @dev: the device; the context owns its DMA
 * @enforce_cache_coherency: whether its domains can force DMA to snoop caches
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_group *igroup;
	struct list_head group_item;
	struct device *dev;
	bool enforce_cache_coherency;
};

/**
 * iommufd_get_device() - look up a device by ID
 * @ictx: the context
 * @id: the ID
 *
 * Return: the device, which the caller must pass to iommufd_put_object(), or
 * -ENOENT.
 * Context: takes the lock of @ictx->objects.
 */
static inline struct iommufd_device *
iommufd_get_device(struct iommufd_ctx *ictx, u32 id)
{
	return container_of(iommufd_get_object(ictx, id, IOMMUFD_OBJ_DEVICE),
			    struct iommufd_device, obj);
}

int iommufd_get_hw_info(struct iommufd_ucmd *ucmd);

/* group.c */
struct iommufd_group *iommufd_get_group(struct iommufd_ctx *ictx,
					struct device *dev);
void iommufd_put_group(struct iommufd_group *igroup);
int iommufd_hwpt_attach(struct iommufd_hwpt *hwpt,
			struct iommufd_device *idev);
struct iommufd_hwpt *iommufd_hwpt_detach(struct iommufd_device *idev);
struct iommufd_hwpt *
iommufd_hwpt_replace(struct iommufd_device *idev,
		     struct iommufd_hwpt *hwpt);

/**
 * struct iommufd_fault - a queue of page faults
 * @obj: the object; an open file of the queue has a reference
 * @ictx: the context; the file has a reference on it
 * @groups: faults without a response, struct iopf_group by &iopf_group.cookie;
 *	its lock guards all members below except @respond_lock and @wait
 * @next_cookie: where the search for a free cookie begins
 * @nr_groups: number of entries of @groups
 * @unread: groups that were not read, by &iopf_group.node; that of a group that
 *	was read is empty
 * @respond_lock: held while a group is removed from @groups and responded;
 *	nests inside &iommufd_group.lock, outside the lock of @groups
 * @wait: woken when a group is added
 */
struct iommufd_fault {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct xarray groups;
	u32 next_cookie;
	unsigned int nr_groups;
	struct list_head unread;
	/* serializes responses */
	struct mutex respond_lock;
	wait_queue_head_t wait;
};

/**
 * struct iommufd_attach_handle - attachment to a page table with a fault queue
 * @handle: what faults refer to
 * @idev: the attached device
 *
 * Owner: &iommufd_group.handle. Lifetime: until the group is detached or
 * replaced, and each fault that refers to it has a response.
 */
struct iommufd_attach_handle {
	struct iommu_attach_handle handle;
	struct iommufd_device *idev;
};

/* fault_queue.c */
int iommufd_fault_alloc(struct iommufd_ucmd *ucmd);
int iommufd_fault_init_hwpt(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt,
			    u32 fault_id);
void iommufd_fault_respond_all(struct iommufd_fault *fault,
			       const struct iommu_attach_handle *handle);

/* fault_attach.c */
int iommufd_fault_attach(struct iommufd_group *igroup,
			 struct iommufd_device *idev,
			 struct iommufd_hwpt *hwpt);
void iommufd_fault_detach(struct iommufd_group *igroup);
int iommufd_fault_replace(struct iommufd_group *igroup,
			  struct iommufd_device *idev,
			  struct iommufd_hwpt *hwpt);

/**
 * struct iommufd_access - access of a mediated driver to the memory of an IOAS
 * @obj: the object; the driver has a reference until iommufd_access_destroy()
 * @access: the access in the engine
 * @ictx: the context; a reference
 * @lock: guards @ioas and @ioas_unpin
 * @ioas: attached IOAS, or NULL; a reference
 * @ioas_unpin: like @ioas, but still set while a detach waits for unpinning
 * @ops: operations of the driver
 * @data: argument of these operations
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iopt_access access;
	struct iommufd_ctx *ictx;
	/* guards ioas and ioas_unpin */
	struct mutex lock;
	struct iommufd_ioas *ioas;
	struct iommufd_ioas *ioas_unpin;
	const struct iommufd_access_ops *ops;
	void *data;
};

/* vfio_compat.c */
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd);
int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg);

/* selftest/: the IOMMU_TEST ABI, see iommufd_test.h */
#ifdef CONFIG_IOMMUFD_TEST
int iommufd_test(struct iommufd_ucmd *ucmd);
void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd,
				   unsigned int ioas_id, u64 *iova, u32 *flags);
unsigned long iommufd_test_syz_iova(struct io_pagetable *iopt, u64 where);

/* device type of the test ABI's mock devices */
extern const struct device_type iommufd_test_device_type;

static inline bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return dev->type == &iommufd_test_device_type;
}

int iommufd_test_init(void);
void iommufd_test_exit(void);
#else
static inline void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd,
						 unsigned int ioas_id,
						 u64 *iova, u32 *flags)
{
}

static inline bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return false;
}

static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}
#endif

#endif
