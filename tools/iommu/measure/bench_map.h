/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: bench_map
 *
 * Measure what a mapping costs for a device behind a hardware IOMMU.
 *
 *   bench_map.c     command line; times of map and unmap
 *   bench_memory.c  memory that the kernel allocates for a mapping
 *   bench_dirty.c   dirty queries
 *   bench_floor.c   what no implementation can avoid
 *   bench_edu.c     the device: QEMU's edu, bound to vfio-pci
 *
 * Programs of their own, with the same device:
 *
 *   bench_scale.c     how the cost grows with the guest
 *   bench_parallel.c  two threads against one
 */
#ifndef BENCH_MAP_H
#define BENCH_MAP_H

#include "../precopy.h"

#define PAGE		4096ULL
#define GIB		(1024 * MIB)

/* IOVA of the first mapping: above the ranges that PCs reserve. */
#define BENCH_IOVA	(4 * GIB)

/* The registers of an edu that is open */
struct edu {
	__u64 *registers;
};

/* bench_edu.c */
int claim_edu(struct vfio_device *device);
int edu_enable(struct edu *edu, int device);
void edu_disable(struct edu *edu);
void edu_write(const struct edu *edu, __u64 iova);

/* bench_dirty.c */
int measure_dirty(const struct vfio_device *device, const struct guest *g);

/* bench_floor.c */
int measure_floor(const char *kind, const struct guest *g);

/* Memory of the kernel */
struct usage {
	long long free, tables;		/* pages */
};

/* bench_memory.c */
int read_usage(struct usage *u);
void print_figure(const char *name, const char *kind, double value);
int measure_memory(const struct vfio_device *edu, const char *kind, void *memory,
		   __u64 size, __u64 span, __u64 unit);

#endif
