// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: a PCI device for bench_map
 *
 * QEMU's edu is behind an IOMMU. Only bench_dirty.c makes it do DMA.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include "bench_map.h"

static const char devices[] = "/sys/bus/pci/devices";

static bool attr_is(const char *folder, const char *attr, const char *value)
{
	char path[512], text[64];

	snprintf(path, sizeof(path), "%s/%s", folder, attr);
	return read_line(path, text, sizeof(text)) && !strcmp(text, value);
}

static int write_line(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	bool good = file && fputs(text, file) >= 0;

	if (file && fclose(file))
		good = false;
	return good ? 0 : fail(EXIT_SETUP, "writing '%s' to %s: %m", text, path);
}

static bool find_edu(char *folder, size_t size)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir(devices);
	while (!found && dir && (entry = readdir(dir))) {
		snprintf(folder, size, "%s/%s", devices, entry->d_name);
		found = attr_is(folder, "vendor", "0x1234") &&
			attr_is(folder, "device", "0x11e8");
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Bind edu, which has no other driver, to vfio-pci. */
int claim_edu(struct vfio_device *edu)
{
	char folder[384], path[512];
	int rc;

	if (!find_edu(folder, sizeof(folder)))
		return fail(EXIT_SETUP,
			    "no edu device: qemu -device intel-iommu -device edu");
	snprintf(path, sizeof(path), "%s/driver_override", folder);
	rc = write_line(path, "vfio-pci") ?:
	     write_line("/sys/bus/pci/drivers_probe", strrchr(folder, '/') + 1);
	if (rc)
		return rc;
	if (!read_vfio_device(folder, edu) || !edu->cdev[0])
		return fail(EXIT_SETUP, "vfio-pci does not take %s", folder);
	return 0;
}
