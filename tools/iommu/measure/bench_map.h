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
 */
#ifndef BENCH_MAP_H
#define BENCH_MAP_H

#include "../precopy.h"

#define PAGE		4096ULL
#define GIB		(1024 * MIB)

/* IOVA of the first mapping: above the ranges that PCs reserve. */
#define BENCH_IOVA	(4 * GIB)

/* bench_edu.c */
int claim_edu(struct vfio_device *edu);

/* bench_dirty.c */
int measure_dirty(const struct vfio_device *edu, const struct guest *g);

/* bench_floor.c */
int measure_floor(const char *kind, const struct guest *g);

/* bench_map.c */
void print_figure(const char *name, const char *kind, double value);

/* bench_memory.c */
int measure_memory(const struct vfio_device *edu, const char *kind, void *memory,
		   __u64 size, __u64 span, __u64 unit);

#endif
