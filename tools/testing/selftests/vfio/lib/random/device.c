// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: random calls of groups and devices
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib/device/mock_dma.h"
#include "random.h"
#include "lib/sysfs.h"

static const char *const prefixes[] = {
	"vfio-mock-dma.", "vfio-mock-dma.", "vfio-mock-dma.", "vfio-mock-mdev.",
};

static int group_of(struct random_thread *t, unsigned int *index)
{
	return random_file(t, t->process->group, RANDOM_DEVICES, index);
}

/* Return the name of a mock device, with or without a driver. */
static int pick_device(struct random_thread *t, char *name, size_t size)
{
	const char *prefix = prefixes[random_below(t, ARRAY_SIZE(prefixes))];
	unsigned int skip = random_below(t, 12);
	int rc = sysfs_find(PLATFORM_DEVICES, prefix, skip, name, size);

	return rc ? sysfs_find(PLATFORM_DEVICES, prefix, 0, name, size) : rc;
}

/*
 * Begin a call that can remove the last group of a container, or that adds a
 * group, which a later call can remove.
 */
static void group_begin(struct random_process *p)
{
	if (p->world->without & WITHOUT_LAST_GROUP)
		pthread_rwlock_wrlock(&p->group_lock);
}

static void group_end(struct random_process *p)
{
	if (p->world->without & WITHOUT_LAST_GROUP)
		pthread_rwlock_unlock(&p->group_lock);
}

static void close_file(struct random_thread *t, atomic_int *file)
{
	group_begin(t->process);
	random_close(t, file);
	group_end(t->process);
}

/* Return true to keep an open file, most of the time. */
static bool stays(struct random_thread *t, atomic_int *file)
{
	return *file >= 0 && random_chance(t, 90);
}

static void put_file(struct random_thread *t, atomic_int *file, int fd)
{
	close_file(t, file);
	fd = atomic_exchange(file, fd);
	if (fd < 0)
		return;
	group_begin(t->process);
	close(fd);
	group_end(t->process);
}

static int open_begun(struct random_thread *t, const char *node)
{
	int fd;

	random_begin(t, -1, 0, node, strlen(node));
	fd = open(node, O_RDWR | O_CLOEXEC);
	random_end(t);
	return fd < 0 ? -errno : fd;
}

static int run_open_group(struct random_thread *t)
{
	struct random_process *p = t->process;
	atomic_int *file = &p->group[random_below(t, RANDOM_DEVICES)];
	char name[64], link[PATH_MAX], number[16], node[64];
	int fd, rc;

	if (stays(t, file))
		return -EALREADY;
	close_file(t, file);
	rc = pick_device(t, name, sizeof(name));
	if (rc)
		return rc;
	snprintf(link, sizeof(link), PLATFORM_DEVICES "/%s/iommu_group", name);
	rc = sysfs_link_name(link, number, sizeof(number));
	if (rc)
		return rc;
	snprintf(node, sizeof(node), "/dev/vfio/%s", number);
	fd = open_begun(t, node);
	if (fd >= 0)
		put_file(t, file, fd);
	return fd;
}

static int run_close_group(struct random_thread *t)
{
	close_file(t, &t->process->group[random_below(t, RANDOM_DEVICES)]);
	return 0;
}

static int run_status(struct random_thread *t)
{
	struct vfio_group_status status = {
		.argsz = random_chance(t, 90) ? sizeof(status) :
						random_below(t, 8),
	};
	unsigned int index;

	return random_ioctl(t, group_of(t, &index), VFIO_GROUP_GET_STATUS, &status,
			    sizeof(status));
}

static int run_set_container(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int group, file;
	int fd, rc;

	t->context = random_context(t, RANDOM_CONTEXTS);
	if (p->world->without & (t->context < RANDOM_FILES ?
				 WITHOUT_COMPAT_GROUP : WITHOUT_TYPE1_GROUP))
		return -EOPNOTSUPP;
	file = t->context;
	fd = file < RANDOM_FILES ? p->iommufd[file] :
				   p->container[file - RANDOM_FILES];
	group_begin(p);
	rc = random_ioctl(t, group_of(t, &group), VFIO_GROUP_SET_CONTAINER, &fd,
			  sizeof(fd));
	group_end(p);
	if (!rc)
		p->group_context[group] = file;
	/* Most calls of a container without a type fail. */
	if (!rc && random_chance(t, 80))
		ioctl(fd, VFIO_SET_IOMMU, random_chance(t, 80) ?
		      VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU);
	return rc;
}

static int run_unset_container(struct random_thread *t)
{
	unsigned int index;
	int rc;

	group_begin(t->process);
	rc = random_ioctl_value(t, group_of(t, &index), VFIO_GROUP_UNSET_CONTAINER, 0);
	group_end(t->process);
	return rc;
}

/* Open a device of the group, or try a device of another group. */
static int run_group_device(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int index, device = random_below(t, RANDOM_DEVICES);
	int group = group_of(t, &index), fd;
	char name[64];

	if (stays(t, &p->device[device]))
		return -EALREADY;
	for (int try = 0; try < 12; try++) {
		if (pick_device(t, name, sizeof(name)))
			return -ENODEV;
		fd = random_ioctl(t, group, VFIO_GROUP_GET_DEVICE_FD, name,
				  sizeof(name));
		if (fd != -ENODEV)
			break;
	}
	if (fd < 0)
		return fd;
	put_file(t, &p->device[device], fd);
	p->device_context[device] = p->group_context[index];
	return 0;
}

static int bind_fd(struct random_thread *t, int fd, atomic_uint *context)
{
	unsigned int file = random_context(t, RANDOM_FILES);
	struct vfio_device_bind_iommufd bind = {
		.argsz = random_chance(t, 95) ? sizeof(bind) :
						random_below(t, 32),
		.flags = random_flags(t, 0, 1),
		.iommufd = t->process->iommufd[file],
	};
	int rc = random_ioctl(t, fd, VFIO_DEVICE_BIND_IOMMUFD, &bind,
			      sizeof(bind));

	if (rc)
		return rc;
	*context = file;
	t->context = file;
	random_note_id(t, ID_DEVICE, bind.out_devid);
	return 0;
}

static int run_bind(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int index;
	int fd = random_file(t, p->device, RANDOM_DEVICES, &index);

	return bind_fd(t, fd, &p->device_context[index]);
}

/* Open a device by its own file, and bind it nearly always. */
static int run_open_device(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int index = random_below(t, RANDOM_DEVICES);
	atomic_int *file = &p->device[index];
	char name[64], dir[PATH_MAX], entry[32], node[64];
	int fd, rc;

	if (stays(t, file))
		return -EALREADY;
	close_file(t, file);
	rc = pick_device(t, name, sizeof(name));
	if (rc)
		return rc;
	snprintf(dir, sizeof(dir), PLATFORM_DEVICES "/%s/vfio-dev", name);
	rc = sysfs_find(dir, "vfio", 0, entry, sizeof(entry));
	if (rc)
		return rc;
	snprintf(node, sizeof(node), "/dev/vfio/devices/%s", entry);
	fd = open_begun(t, node);
	if (fd < 0)
		return fd;
	if (random_chance(t, 90))
		rc = bind_fd(t, fd, &p->device_context[index]);
	if (rc && random_chance(t, 80))
		close(fd);
	else
		put_file(t, file, fd);
	return rc;
}

static int run_close_device(struct random_thread *t)
{
	close_file(t, &t->process->device[random_below(t, RANDOM_DEVICES)]);
	return 0;
}

static int run_attach(struct random_thread *t)
{
	int fd = random_device_file(t);
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = random_chance(t, 97) ? sizeof(attach) :
						random_below(t, 16),
		.flags = random_flags(t, 0, 1),
		.pt_id = random_id(t, random_chance(t, 60) ? ID_IOAS : ID_HWPT),
	};
	int rc = random_ioctl(t, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach,
			      sizeof(attach));

	if (!rc)
		random_note_id(t, ID_HWPT, attach.pt_id);
	return rc;
}

static int run_detach(struct random_thread *t)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = random_chance(t, 97) ? sizeof(detach) :
						random_below(t, 16),
		.flags = random_flags(t, 0, 1),
	};

	return random_ioctl(t, random_device_file(t), VFIO_DEVICE_DETACH_IOMMUFD_PT,
			    &detach, sizeof(detach));
}

static int run_info(struct random_thread *t)
{
	union {
		struct vfio_device_info device;
		struct vfio_region_info region;
		struct vfio_irq_info irq;
	} arg = {};
	static const unsigned int cmds[] = {
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO,
	};

	arg.region.argsz = sizeof(arg);
	arg.region.index = random_flags(t, random_below(t, 3), 7);
	return random_ioctl(t, random_device_file(t),
			    cmds[random_below(t, ARRAY_SIZE(cmds))], &arg,
			    sizeof(arg));
}

static int run_reset(struct random_thread *t)
{
	return random_ioctl_value(t, random_device_file(t), VFIO_DEVICE_RESET, 0);
}

/* Open devices at the start of an epoch, of groups or by their own files. */
void random_open_devices(struct random_thread *t)
{
	for (int i = 0; i < 2 * RANDOM_DEVICES; i++) {
		if (t->index % 2) {
			run_open_group(t);
			run_set_container(t);
			run_group_device(t);
		} else if (!run_open_device(t)) {
			run_attach(t);
		}
	}
}

const struct random_call random_device_calls[] = {
	{ "group_open", 8, run_open_group },
	{ "group_close", 1, run_close_group },
	{ "GROUP_STATUS", 1, run_status },
	{ "SET_CONTAINER", 12, run_set_container },
	{ "UNSET_CONTAINER", 1, run_unset_container },
	{ "GET_DEVICE_FD", 16, run_group_device },
	{ "device_open", 24, run_open_device },
	{ "device_close", 1, run_close_device },
	{ "BIND_IOMMUFD", 4, run_bind },
	{ "ATTACH", 32, run_attach },
	{ "DETACH", 8, run_detach },
	{ "DEVICE_INFO", 1, run_info },
	{ "DEVICE_RESET", 4, run_reset },
	{}
};
