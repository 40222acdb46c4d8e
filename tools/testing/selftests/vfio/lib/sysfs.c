// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: sysfs helpers
 *
 * Every function returns 0 or -errno. Values are returned without the newline
 * at their end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

int sysfs_read(const char *path, char *buf, size_t size)
{
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	got = read(fd, buf, size - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	if (got < 0)
		return got;
	buf[got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int sysfs_write(const char *path, const char *value)
{
	ssize_t done;
	int fd;

	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	done = write(fd, value, strlen(value));
	if (done < 0)
		done = -errno;
	close(fd);
	return done < 0 ? done : 0;
}

/* Return the last component of the target of a symbolic link. */
int sysfs_link_name(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t got;

	got = readlink(path, target, sizeof(target) - 1);
	if (got < 0)
		return -errno;
	target[got] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	snprintf(buf, size, "%s", name);
	return 0;
}

/* Return entry number @skip, by name, of those that start with @prefix. */
int sysfs_find(const char *dir, const char *prefix, unsigned int skip,
	       char *buf, size_t size)
{
	struct dirent **entries;
	int count, rc = -ENOENT;

	count = scandir(dir, &entries, NULL, alphasort);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (rc && !strncmp(name, prefix, strlen(prefix)) && !skip--) {
			snprintf(buf, size, "%s", name);
			rc = 0;
		}
		free(entries[i]);
	}
	free(entries);
	return rc;
}

bool sysfs_attr_is(const char *dir, const char *attr, const char *value)
{
	char path[PATH_MAX], found[64];

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	return !sysfs_read(path, found, sizeof(found)) && !strcmp(found, value);
}
