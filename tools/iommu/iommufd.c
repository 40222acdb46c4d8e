// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the iommufd backend of precopy
 *
 * The VFIO character device is bound to /dev/iommu and attached to a HWPT, which is
 * allocated for dirty tracking if the IOMMU supports it. An emulated device has no
 * HWPT and is attached to the IOAS.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include "precopy.h"

/* VFIO refuses a device that is open by a group, and one that is open already. */
static const char *bind_hint(int error)
{
	return error == EBUSY || error == EINVAL ?
	       " (is it in use by another process?)" : interrupts_hint(error);
}

static int bind_device(struct backend *b, const struct vfio_device *dev,
		       __u32 *id)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[64];
	int rc;

	if (!dev->cdev[0])
		return fail(EXIT_SETUP, "iommufd: %s has no character device",
			    dev->name);
	rc = backend_open_file(b, "/dev/iommu", NO_IOMMUFD, &b->container);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", dev->cdev);
	rc = backend_open_file(b, path,
			       "the kernel has no CONFIG_VFIO_DEVICE_CDEV",
			       &b->device);
	if (rc)
		return rc;
	bind.iommufd = b->container;
	if (ioctl(b->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail(EXIT_SETUP, "iommufd: binding %s: %m%s", dev->name,
			    bind_hint(errno));
	*id = bind.out_devid;
	return 0;
}

static int can_track(struct backend *b, __u32 id)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = id };

	if (b->emulated) {
		b->reason = "an emulated device has no HWPT that can be queried";
		return 0;
	}
	if (ioctl(b->container, IOMMU_GET_HW_INFO, &info))
		return fail(EXIT_SETUP, "iommufd: IOMMU_GET_HW_INFO: %m");
	b->tracks = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
	b->reason = "its IOMMU has no dirty bits";
	b->page_sizes = ~0ULL;
	return 0;
}

static int allocate_hwpt(struct backend *b, __u32 id)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = b->tracks ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0,
		.dev_id = id,
		.pt_id = b->ioas,
	};

	if (ioctl(b->container, IOMMU_HWPT_ALLOC, &hwpt))
		return fail(EXIT_SETUP, "iommufd: allocating a page table: %m");
	b->hwpt = hwpt.out_hwpt_id;
	return 0;
}

static int iommufd_open(struct backend *b, const struct vfio_device *dev)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach)
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	__u32 id = 0;
	int rc;

	rc = bind_device(b, dev, &id);
	if (!rc)
		rc = can_track(b, id);
	if (rc)
		return rc;
	if (ioctl(b->container, IOMMU_IOAS_ALLOC, &ioas))
		return fail(EXIT_SETUP, "iommufd: allocating an IOAS: %m");
	b->ioas = ioas.out_ioas_id;
	if (!b->emulated)
		rc = allocate_hwpt(b, id);
	if (rc)
		return rc;
	attach.pt_id = b->emulated ? b->ioas : b->hwpt;
	if (ioctl(b->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail(EXIT_SETUP, "iommufd: attaching %s: %m%s",
			    dev->name, errno != EINVAL || !b->tracks ?
			    interrupts_hint(errno) :
			    " (does each IOMMU of the group have dirty bits?)");
	return 0;
}

static int iommufd_map(struct backend *b, const struct range *slot,
		       void *memory)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = b->ioas,
		.user_va = (unsigned long)memory,
		.length = slot->size,
		.iova = slot->iova,
	};

	if (!ioctl(b->container, IOMMU_IOAS_MAP, &map))
		return 0;
	return fail(EXIT_SETUP, "iommufd: mapping %llu MiB at %#llx: %m",
		    slot->size / MIB, slot->iova);
}

static int iommufd_unmap(struct backend *b, const struct range *slot)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = b->ioas,
		.iova = slot->iova,
		.length = slot->size,
	};

	if (!ioctl(b->container, IOMMU_IOAS_UNMAP, &unmap) &&
	    unmap.length == slot->size)
		return 0;
	return fail(EXIT_WRONG, "iommufd: unmapping %llu MiB at %#llx: %m",
		    slot->size / MIB, slot->iova);
}

static int set_tracking(struct backend *b, __u32 flags)
{
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.hwpt_id = b->hwpt,
		.flags = flags,
	};

	return ioctl(b->container, IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
}

static int iommufd_start(struct backend *b, const struct guest *g)
{
	(void)g;
	if (!set_tracking(b, IOMMU_HWPT_DIRTY_TRACKING_ENABLE))
		return 0;
	return fail(EXIT_SETUP, "iommufd: starting dirty tracking: %m");
}

static int iommufd_stop(struct backend *b)
{
	if (!set_tracking(b, 0))
		return 0;
	return fail(EXIT_WRONG, "iommufd: stopping dirty tracking: %m");
}

static int iommufd_query(struct backend *b, const struct guest *g,
			 const struct range *span, __u64 *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = b->hwpt,
		.iova = span->iova,
		.length = span->size,
		.page_size = g->page,
		.data = (unsigned long)bitmap,
	};

	if (!ioctl(b->container, IOMMU_HWPT_GET_DIRTY_BITMAP, &get))
		return 0;
	return fail(EXIT_WRONG, "iommufd: dirty pages of %llu MiB at %#llx: %m",
		    span->size / MIB, span->iova);
}

static const struct tracker iommufd_tracker = {
	.name = "iommu",
	.start = iommufd_start,
	.query = iommufd_query,
	.stop = iommufd_stop,
};

const struct backend_ops iommufd_ops = {
	.name = "iommufd",
	.open = iommufd_open,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.tracker = &iommufd_tracker,
};
