/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: dirtyinfo
 *
 * Print for each VFIO device by which interfaces the kernel can track its DMA, and
 * why it cannot by the others.
 *
 *   dirtyinfo.c  command line, list of devices
 *   hardware.c   the IOMMU of a device in sysfs, and its registers
 *   probe.c      the interfaces, each by its ioctls
 *   print.c      text and JSON
 *
 * The backends are those of precopy.
 */
#ifndef DIRTYINFO_H
#define DIRTYINFO_H

#include "../precopy.h"

enum way { WAY_IOMMUFD, WAY_TYPE1, WAY_COMPAT, WAY_DEVICE, WAYS };

/* UNKNOWN: sysfs has no register for it, and no ioctl was made. */
enum verdict { UNKNOWN, NO, YES };

#define REASON_SIZE	256

/* @reason is empty if @tracks. */
struct tracking {
	bool tracks;
	char reason[2 * REASON_SIZE];
};

struct info {
	struct vfio_device device;
	char folder[384];		/* in sysfs */
	char driver[64];		/* of the device; empty: none */
	char iommu[64];			/* in /sys/class/iommu; empty: none */
	const char *iommu_driver;
	__u64 page_sizes;		/* of the IOMMU; 0: unknown */
	enum verdict dirty_bits;		/* of the IOMMU */
	char reason[REASON_SIZE];	/* why @dirty_bits is not YES */
	const char *cause;		/* why iommufd reports none; or NULL */
	struct tracking ways[WAYS];
};

/* hardware.c */
void read_hardware(struct info *info, const char *root);
bool is_bound_to_vfio(const struct info *info);

/* probe.c */
void probe_device(struct info *info);
void skip_probe(struct info *info, const char *reason);
bool can_track(const struct info *info);

/* print.c */
void print_text(const struct info *info);
void print_json(const struct info *infos, unsigned int count);

#endif
