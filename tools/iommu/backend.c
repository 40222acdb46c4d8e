// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: common part of the backends
 *
 * A backend attaches a device to an I/O address space and maps memory there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "precopy.h"

const struct backend_ops *const backends[] = {
	&type1_ops, &compat_ops, &iommufd_ops, NULL
};

const struct backend_ops *find_backend(const char *name)
{
	int i;

	for (i = 0; backends[i]; i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

int backend_open(struct backend *b, const struct backend_ops *ops,
		 const struct vfio_device *dev)
{
	int rc;

	*b = (struct backend){ .ops = ops, .container = -1, .group = -1,
		.device = -1, .emulated = dev->emulated };
	rc = ops->open(b, dev);
	if (rc)
		backend_close(b);
	return rc;
}

/*
 * Open a file of the kernel's. @cause is the usual one if there is no such file.
 * A kernel without the container does not offer the backend; any other failure is
 * one of the set-up.
 */
int backend_open_file(const struct backend *b, const char *path,
		      const char *cause, int *fd)
{
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return fail(fd == &b->container ? EXIT_NOT_OFFERED : EXIT_SETUP,
			    "%s: no %s: %s", b->ops->name, path, cause);
	case EACCES:
	case EPERM:
		return fail(EXIT_SETUP, "%s: no permission to open %s",
			    b->ops->name, path);
	case EBUSY:
		return fail(EXIT_SETUP, "%s: %s is in use by another process",
			    b->ops->name, path);
	default:
		return fail(EXIT_SETUP, "%s: %s: %m", b->ops->name, path);
	}
}

/* Attaching a group whose interrupts the hardware does not isolate is refused. */
const char *interrupts_hint(int error)
{
	return error != EPERM ? "" :
	       " (no interrupt remapping: see the parameter allow_unsafe_interrupts)";
}

int choose_tracker(const struct backend *b, const struct options *o,
		   const struct tracker **tracker)
{
	bool logging = logging_offered(b->device);

	if (o->tracker != TRACKER_DEVICE && b->tracks) {
		if (!(b->page_sizes & o->page))
			return fail(EXIT_NOT_OFFERED,
				    "%s: the kernel offers no bitmaps with a bit for %llu bytes",
				    b->ops->name, o->page);
		*tracker = b->ops->tracker;
		return 0;
	}
	if (o->tracker == TRACKER_IOMMU)
		return fail(EXIT_NOT_OFFERED, "%s: not tracked by the IOMMU: %s",
			    b->ops->name, b->reason);
	*tracker = &logging_tracker;
	if (logging && o->page >= 4096)
		return 0;
	if (logging)
		return fail(EXIT_NOT_OFFERED,
			    "%s: a device's log has bits for 4K and more",
			    b->ops->name);
	if (o->tracker == TRACKER_DEVICE)
		return fail(EXIT_NOT_OFFERED,
			    "%s: the device keeps no log of its DMA",
			    b->ops->name);
	return fail(EXIT_NOT_OFFERED,
		    "%s: the device keeps no log of its DMA, and the IOMMU does not track it: %s",
		    b->ops->name, b->reason);
}

/* The device first: while it is open, the group and the container are in use. */
void backend_close(struct backend *b)
{
	if (b->device >= 0)
		close(b->device);
	if (b->group >= 0)
		close(b->group);
	if (b->container >= 0)
		close(b->container);
	b->device = -1;
	b->group = -1;
	b->container = -1;
}
