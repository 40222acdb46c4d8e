/* SPDX-License-Identifier: GPL-2.0-only */
/* Read and write the sysfs and procfs files that the tests need. */
#ifndef _VFIO_SELFTEST_SYSFS_H
#define _VFIO_SELFTEST_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

/* Directories of the platform and PCI devices. */
#define PLATFORM_DEVICES	"/sys/bus/platform/devices"
#define PCI_DEVICES		"/sys/bus/pci/devices"

int sysfs_read(const char *path, char *buf, size_t size);
int sysfs_write(const char *path, const char *value);
int sysfs_link_name(const char *path, char *buf, size_t size);
int sysfs_find(const char *dir, const char *prefix, unsigned int skip,
	       char *buf, size_t size);
bool sysfs_attr_is(const char *dir, const char *attr, const char *value);

#endif
