// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the interface that a QEMU really uses
 *
 * Options and device nodes decide about the interface, and both can be wrong
 * without a message: /dev/vfio/vfio may be a node of type1 or of iommufd. The
 * files that QEMU has open show it, and QEMU's traces show the tracker.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "vmm.h"

/* The files of QEMU that matter here. */
struct open_files {
	bool iommufd, container, group, device;
};

static dev_t misc_number(const char *name)
{
	unsigned int major, minor;
	char path[64], line[32];

	snprintf(path, sizeof(path), "/sys/class/misc/%s/dev", name);
	if (!read_line(path, line, sizeof(line)) ||
	    sscanf(line, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

static void look_at(const char *path, struct open_files *files)
{
	static const char group[] = "/dev/vfio/", device[] = "/dev/vfio/devices/";
	char target[128], *at;
	struct stat st;
	ssize_t n;

	if (stat(path, &st) || !S_ISCHR(st.st_mode))
		return;
	files->iommufd |= st.st_rdev == misc_number("iommu");
	files->container |= st.st_rdev == misc_number("vfio");
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = 0;
	/* In a chroot the path has more in front. */
	at = strstr(target, group);
	if (!at)
		return;
	files->device |= !strncmp(at, device, strlen(device));
	at += strlen(group);
	files->group |= isdigit(*at) || !strncmp(at, "noiommu-", 8);
}

static int read_open_files(pid_t pid, struct open_files *files)
{
	char path[300];
	struct dirent *entry;
	DIR *folder;

	memset(files, 0, sizeof(*files));
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return fail(EXIT_SETUP, "%s: %m", path);
	while ((entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid,
			 entry->d_name);
		look_at(path, files);
	}
	closedir(folder);
	return 0;
}

/**
 * check_interface() - check that a QEMU has opened what the interface needs
 * @d: driver
 * @vm: QEMU, which has devices
 *
 * Return: 0, or EXIT_SETUP if it is another interface.
 */
int check_interface(const struct driver *d, const struct vm *vm)
{
	struct open_files f;
	bool good = false;
	int rc = read_open_files(vm->pid, &f);

	if (rc)
		return rc;
	switch (d->o->interface) {
	case TYPE1:
		good = f.container && f.group && !f.iommufd;
		break;
	case COMPAT:
		good = f.iommufd && f.group && !f.container;
		break;
	case IOMMUFD:
		good = f.iommufd && f.device && !f.group;
		break;
	}
	if (good)
		return 0;
	return fail(EXIT_SETUP, "the %s does not use %s: it has open%s%s%s%s", vm->name,
		    interface_name(d->o->interface),
		    f.container ? " /dev/vfio/vfio of type1" : "",
		    f.iommufd ? " /dev/iommu" : "", f.group ? " a group" : "",
		    f.device ? " a device" :
		    f.container || f.iommufd || f.group ? "" : " nothing of vfio");
}

/**
 * check_traces() - check that the tracker under test reported the dirty pages
 * @d: driver, after a migration
 *
 * Return: 0, or EXIT_WRONG if QEMU used another tracker or none.
 */
int check_traces(const struct driver *d)
{
	const __u64 *t = d->traces;
	bool device = t[TRACE_DEVICE_START], hwpt = t[TRACE_HWPT_BITMAP];
	const char *used = device ? "the device's log" :
			   hwpt ? "iommufd's bitmap" :
			   t[TRACE_GET_BITMAP] ? "DIRTY_PAGES of the container" :
			   "no tracker";
	bool good;

	if (d->o->tracker == TRACKER_DEVICE)
		good = device && !hwpt;
	else if (d->o->interface == IOMMUFD)
		good = !device && hwpt;
	else
		good = !device && !hwpt;
	if (good && t[TRACE_GET_BITMAP])
		return 0;
	return fail(EXIT_WRONG, "QEMU's traces show %s, which is not under test",
		    used);
}
