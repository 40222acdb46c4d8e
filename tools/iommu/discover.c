// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: finding mock devices
 *
 * A mock device is a platform device with an attribute "model". Its IOMMU
 * group and its character device are found from there.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "precopy.h"

static const char devices[] = "/sys/bus/platform/devices";

/* Read a device's name, group and VFIO character device from its sysfs folder. */
bool read_vfio_device(const char *folder, struct vfio_device *dev)
{
	const char *name = strrchr(folder, '/') + 1;
	char path[512], target[256];
	struct dirent *entry;
	const char *base;
	ssize_t n;
	DIR *dir;

	*dev = (struct vfio_device){ .group = -1 };
	if (snprintf(dev->name, sizeof(dev->name), "%s", name) >=
	    (int)sizeof(dev->name))
		return false;

	snprintf(path, sizeof(path), "%s/iommu_group", folder);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = 0;
		base = strrchr(target, '/');
		dev->group = atoi(base ? base + 1 : target);
	}

	/* VFIO makes a group for a device without an IOMMU. */
	snprintf(path, sizeof(path), "%s/iommu", folder);
	dev->emulated = dev->group >= 0 && access(path, F_OK);

	snprintf(path, sizeof(path), "%s/vfio-dev", folder);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(dev->cdev, sizeof(dev->cdev), "%.31s",
				 entry->d_name);
	if (dir)
		closedir(dir);
	return true;
}

static bool read_mock(const char *name, struct vfio_device *mock)
{
	char folder[384], path[400];

	/* The regions of a mock PCI device are those of vfio-pci. */
	if (!strncmp(name, "vfio-mock-pci.", strlen("vfio-mock-pci.")))
		return false;
	snprintf(folder, sizeof(folder), "%s/%s", devices, name);
	snprintf(path, sizeof(path), "%s/model", folder);
	return read_vfio_device(folder, mock) &&
	       read_line(path, mock->model, sizeof(mock->model));
}

static int no_dots(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int find_mock(const struct options *o, struct vfio_device *mock)
{
	struct dirent **entries;
	bool found = false;
	int i, n;

	if (o->device) {
		if (!strchr(o->device, '/') && read_mock(o->device, mock))
			return 0;
		return fail(EXIT_SETUP,
			    "no mock device '%s' on this kernel, see --list",
			    o->device);
	}
	n = scandir(devices, &entries, no_dots, versionsort);
	for (i = 0; i < n; i++) {
		if (!found && read_mock(entries[i]->d_name, mock))
			found = !strcmp(mock->model, o->model);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (found)
		return 0;
	return fail(EXIT_SETUP,
		    "no mock device of model '%s' on this kernel, see --list",
		    o->model);
}

static void list_backend(const struct vfio_device *mock,
			 const struct backend_ops *ops)
{
	struct backend b;
	bool logging;

	if (backend_open(&b, ops, mock)) {
		printf("  %-8s no: %s\n", ops->name, take_failure());
		return;
	}
	logging = logging_offered(b.device);
	printf("  %-8s tracked by %s%s%s", ops->name, b.tracks ? "iommu" : "",
	       b.tracks && logging ? " or " : "", logging ? "device" : "");
	if (!b.tracks)
		printf("%s(iommu: %s)", logging ? " " : "neither ", b.reason);
	printf("\n");
	backend_close(&b);
}

int list_mocks(void)
{
	struct dirent **entries;
	struct vfio_device mock;
	int i, j, n, count = 0;

	n = scandir(devices, &entries, no_dots, versionsort);
	for (i = 0; i < n; i++) {
		if (read_mock(entries[i]->d_name, &mock)) {
			printf("%s: model %s, group %d, cdev %s\n", mock.name,
			       mock.model, mock.group,
			       mock.cdev[0] ? mock.cdev : "none");
			for (j = 0; backends[j]; j++)
				list_backend(&mock, backends[j]);
			count++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (count)
		return 0;
	return fail(EXIT_SETUP, "no mock device on this kernel");
}
