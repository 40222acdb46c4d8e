/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VFIO container as a type 1 IOMMU. See type1_container.c.
 */
#ifndef __TYPE1_CONTAINER_H
#define __TYPE1_CONTAINER_H

#include <linux/list.h>

#include "io_pagetable.h"
#include "type1.h"
#include "vfio.h"

/**
 * struct vfio_type1 - a container
 * @type1: the ABI's side; its lock is held by every ioctl, and while a group
 *	comes or goes
 * @iopt: what is mapped
 * @access: all in-kernel users together
 * @nesting: domains have to allow others in them; never changes
 * @num_emulated: groups that have no IOMMU; changes under the lock of @type1
 * @group_lock: guards @groups together with the lock of @type1: both are held to
 *	change it, either lets it be read
 * @groups: struct vfio_type1_group, and through them vfio_type1_domain
 * @device_lock: guards @devices; held while they are told of an unmap, so that
 *	none of them goes away meanwhile
 * @devices: struct vfio_device that want to be told, by &vfio_device.iommu_entry
 *
 * Owner: vfio core, from open to release. Before release it has detached all
 * groups and unregistered all devices.
 *
 * Lock order: the lock of @type1, then either @device_lock and what drivers take
 * in their dma_unmap, or @group_lock and the locks of @iopt.
 *
 * An unmap waits, with the lock of @type1 and @device_lock held, for drivers to
 * unpin what is unmapped, on whatever thread they do. And drivers pin, unpin and
 * copy with locks held that their dma_unmap takes. So pin_pages, unpin_pages and
 * dma_rw take neither of the two, but only @group_lock and the locks of @iopt,
 * with which nobody waits for a driver.
 */
struct vfio_type1 {
	struct type1 type1;
	struct io_pagetable iopt;
	struct iopt_access access;
	bool nesting;
	unsigned int num_emulated;

	/* never held while a driver is called */
	struct mutex group_lock;
	struct list_head groups;

	/* held while dma_unmap is called */
	struct mutex device_lock;
	struct list_head devices;
};

/* type1_container.c: the module's parameter */
extern bool vfio_type1_allow_unsafe_interrupts;

/* type1_group.c: groups, and the domains that they are attached to */
int vfio_type1_attach_group(void *data, struct iommu_group *iommu_group,
			    enum vfio_group_type type);
void vfio_type1_detach_group(void *data, struct iommu_group *iommu_group);
bool vfio_type1_is_coherent(struct vfio_type1 *container);
void vfio_type1_group_pins(struct vfio_type1 *container,
			   struct iommu_group *iommu_group);

#endif
