// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the floor of map and unmap
 *
 * The kernel of the series has a module that times what no implementation can
 * avoid for the same memory: CONFIG_IOMMU_IOPT_FLOOR. Other kernels do not have it,
 * and nothing is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "bench_map.h"

#define FLOOR_FILE	"/sys/kernel/debug/iopt_floor"
#define REPEAT		3

struct floor {
	unsigned long long pin, map, unmap, unpin;
};

static int read_floor(int fd, const struct guest *g, struct floor *f)
{
	const __u64 memory[] = { (__u64)(unsigned long)g->source, g->size };
	char text[128];
	ssize_t n;

	if (write(fd, memory, sizeof(memory)) != sizeof(memory))
		return fail(EXIT_SETUP, FLOOR_FILE ": %m");
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return fail(EXIT_SETUP, FLOOR_FILE ": %m");
	text[n] = 0;
	if (sscanf(text, "pin %llu map %llu unmap %llu unpin %llu", &f->pin,
		   &f->map, &f->unmap, &f->unpin) != 4)
		return fail(EXIT_SETUP, FLOOR_FILE " has %s", text);
	return 0;
}

/* Print the floor of map and unmap of @g's memory, for each MiB. */
int measure_floor(const char *kind, const struct guest *g)
{
	unsigned long long map = ~0ULL, unmap = ~0ULL;
	int fd = open(FLOOR_FILE, O_RDWR | O_CLOEXEC);
	struct floor f;
	int i, rc = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 :
		       fail(EXIT_SETUP, FLOOR_FILE ": %m");
	for (i = 0; i < REPEAT && !rc; i++) {
		rc = read_floor(fd, g, &f);
		if (rc)
			break;
		if (f.pin + f.map < map)
			map = f.pin + f.map;
		if (f.unmap + f.unpin < unmap)
			unmap = f.unmap + f.unpin;
	}
	close(fd);
	if (rc)
		return rc;
	print_figure("floor-map", kind, (double)map * MIB / g->size);
	print_figure("floor-unmap", kind, (double)unmap * MIB / g->size);
	return 0;
}
