/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO type1 container, see type1_container.c.
 */
#ifndef __TYPE1_CONTAINER_H
#define __TYPE1_CONTAINER_H

#include <linux/list.h>

#include "iopt.h"
#include "type1/type1.h"
#include "vfio.h"

/**
 * struct vfio_type1 - a type1 container
 * @type1: state of the ioctls
 * @iopt: the mappings
 * @access: the access of all mediated drivers together
 * @nesting: whether domains must support nesting; never changes
 * @num_emulated: number of groups without an IOMMU
 * @group_lock: guards @groups against readers outside of ioctls
 * @groups: list of struct vfio_type1_group
 * @device_lock: guards @devices. Held during calls of dma_unmap, so that
 *	no device is unregistered meanwhile.
 * @devices: list of struct vfio_device that have a dma_unmap operation, by
 *	&vfio_device.iommu_entry
 *
 * Owner: the VFIO core, from open to release. Before release, it has detached
 * all groups and unregistered all devices.
 *
 * The VFIO core holds &vfio_container.group_lock for writing while it attaches
 * or detaches a group, and for reading during an ioctl. So @groups,
 * @num_emulated and &type1.emulated do not change during an ioctl, and only
 * one group is attached or detached at a time. An attach or detach waits for
 * ioctls that wait for page faults, both here and in the engine.
 *
 * Lock order: &vfio_container.group_lock, then a range of @type1, then
 * &type1.dirty_lock, then either @device_lock and locks that drivers take in
 * dma_unmap, or @group_lock and the locks of @iopt.
 *
 * With a range of @type1 and @device_lock held, an unmap waits until drivers
 * have unpinned the pages, which they may do on any thread. Drivers call
 * pin_pages, unpin_pages and dma_rw with locks held that their dma_unmap
 * takes. So these three operations must not take a range of @type1 or
 * @device_lock. They take only @group_lock and the locks of @iopt. No thread
 * waits for a driver while it holds these.
 */
struct vfio_type1 {
	struct type1 type1;
	struct io_pagetable iopt;
	struct iopt_access access;
	bool nesting;
	unsigned int num_emulated;

	/* not held during calls of drivers */
	struct mutex group_lock;
	struct list_head groups;

	/* held during calls of dma_unmap */
	struct mutex device_lock;
	struct list_head devices;
};

/* type1_group.c */
int vfio_type1_attach_group(void *data, struct iommu_group *iommu_group,
			    enum vfio_group_type type);
void vfio_type1_detach_group(void *data, struct iommu_group *iommu_group);
bool vfio_type1_is_coherent(struct vfio_type1 *container);
void vfio_type1_set_pinned_scope(struct vfio_type1 *container,
				 struct iommu_group *iommu_group);

#endif
