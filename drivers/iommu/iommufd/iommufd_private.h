/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the iommufd interface share. The engine below it,
 * iopt.h, knows nothing of what is declared here.
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
 * struct iommufd_ctx - an open /dev/iommu
 * @file: the open file; its references are the context's
 * @objects: struct iommufd_object by ID
 * @groups: struct iommufd_group by the ID of the iommu_group
 * @destroy_wait: woken when an object's last short-term user is gone
 * @account_mode: of memory that is mapped from now on
 * @no_iommu_mode: the type1-compatible container is in no-IOMMU mode
 * @vfio_ioas: the IOAS of the type1-compatible container, or NULL
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
 * struct iommufd_ucmd - an ioctl while it runs
 * @ictx: the context that it was called on
 * @ubuffer: the caller's structure
 * @user_size: its size, as the caller knows it
 * @cmd: the kernel's copy, zero where the caller's ends
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
 * @iopt: what is mapped
 * @mutex: guards @hwpt_list; taken outside the locks of @iopt and outside
 *	&iommufd_group.lock
 * @hwpt_list: the page tables that @iopt fills, by &iommufd_hwpt_paging.hwpt_item
 * @type1: the type1 ioctls of the container, while this is &iommufd_ctx.vfio_ioas
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
 * @id: its ID
 *
 * Return: the IOAS, for iommufd_put_object(); ERR_PTR(-ENOENT).
 * Context: takes the lock of @ictx->objects.
 */
static inline struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx,
						    u32 id)
{
	/* An error stays an error: obj is the first member. */
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

/* option.c */
int iommufd_disable_huge_pages(struct io_pagetable *iopt);
int iommufd_option(struct iommufd_ucmd *ucmd);

/**
 * struct iommufd_hwpt_paging - a page table that an IOAS fills
 * @obj: the object
 * @domain: the page table, owned
 * @ioas: what fills it; counted as a user of that
 * @auto_domain: made by an attach to the IOAS; goes with its last device
 * @enforce_cache_coherency: the domain ignores devices' wish not to snoop
 * @msi_cookie: the domain has its window for software MSI
 * @hwpt_item: in &iommufd_ioas.hwpt_list; guarded by &iommufd_ioas.mutex
 */
struct iommufd_hwpt_paging {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	struct iommufd_ioas *ioas;
	bool auto_domain;
	bool enforce_cache_coherency;
	bool msi_cookie;
	struct list_head hwpt_item;
};

struct iommufd_device;

/**
 * iommufd_get_hwpt_paging() - look up a page table by ID
 * @ictx: the context
 * @id: its ID
 *
 * Return: the page table, for iommufd_put_object(); ERR_PTR(-ENOENT).
 * Context: takes the lock of @ictx->objects.
 */
static inline struct iommufd_hwpt_paging *
iommufd_get_hwpt_paging(struct iommufd_ctx *ictx, u32 id)
{
	return container_of(iommufd_get_object(ictx, id,
					       IOMMUFD_OBJ_HWPT_PAGING),
			    struct iommufd_hwpt_paging, obj);
}

struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			  struct iommufd_device *idev, u32 flags);
int iommufd_hwpt_paging_fill(struct iommufd_hwpt_paging *hwpt,
			     struct iommufd_device *idev);
void iommufd_hwpt_paging_put(struct iommufd_ctx *ictx,
			     struct iommufd_hwpt_paging *hwpt);
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);

/**
 * struct iommufd_group - the devices of one iommu_group in a context
 * @ref: a count for each of its devices; the last one removes it from
 *	&iommufd_ctx.groups
 * @lock: guards everything below; taken inside &iommufd_ioas.mutex, outside the
 *	locks of &iommufd_ioas.iopt
 * @ictx: the context; no reference, the devices have that
 * @group: the iommu_group, counted
 * @hwpt: what the group is attached to, or NULL
 * @device_list: the attached devices, by &iommufd_device.group_item
 * @sw_msi_start: where the window for software MSI must be, or PHYS_ADDR_MAX
 */
struct iommufd_group {
	struct kref ref;
	/* guards everything below */
	struct mutex lock;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	struct iommufd_hwpt_paging *hwpt;
	struct list_head device_list;
	phys_addr_t sw_msi_start;
};

/**
 * struct iommufd_device - a physical device that a driver bound
 * @obj: the object; the driver is a user until iommufd_device_unbind()
 * @ictx: the context, counted (but by the mock devices of the test ABI)
 * @igroup: counted
 * @group_item: in &iommufd_group.device_list while attached
 * @dev: the device; DMA ownership is held
 * @enforce_cache_coherency: its domains can ignore a wish not to snoop
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
 * @id: its ID
 *
 * Return: the device, for iommufd_put_object(); ERR_PTR(-ENOENT).
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
int iommufd_hwpt_attach(struct iommufd_hwpt_paging *hwpt,
			struct iommufd_device *idev);
struct iommufd_hwpt_paging *iommufd_hwpt_detach(struct iommufd_device *idev);
struct iommufd_hwpt_paging *
iommufd_hwpt_replace(struct iommufd_device *idev,
		     struct iommufd_hwpt_paging *hwpt);

/**
 * struct iommufd_access - an in-kernel user of an IOAS
 * @obj: the object; the driver is a user until iommufd_access_destroy()
 * @access: what the engine knows of it
 * @ictx: the context, counted
 * @lock: guards the next two
 * @ioas: what it is attached to, or NULL; counted as a user of that
 * @ioas_unpin: as @ioas, but stays while a detach waits for pins to be undone
 * @ops: the driver's
 * @data: the driver's
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

/* selftest/: the IOMMU_TEST ABI; see also iommufd_test.h */
#ifdef CONFIG_IOMMUFD_TEST
int iommufd_test(struct iommufd_ucmd *ucmd);
void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd,
				   unsigned int ioas_id, u64 *iova, u32 *flags);
unsigned long iommufd_test_syz_iova(struct io_pagetable *iopt, u64 where);

/* Devices of the test ABI. */
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
