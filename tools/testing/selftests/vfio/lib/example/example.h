/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pre-copy over each interface, as examples for authors of VMMs: they need the
 * UAPI headers and a C library only. dirty_example_test.c runs them, and
 * Documentation/userspace-api/dma-dirty-tracking.rst includes and explains them.
 */
#ifndef _VFIO_SELFTEST_EXAMPLE_H
#define _VFIO_SELFTEST_EXAMPLE_H

#include <linux/types.h>

/**
 * struct example_range - guest memory that the devices can access
 * @iova: first byte; the address of the memory in the guest
 * @length: bytes, all of them mapped
 */
struct example_range {
	__u64 iova;
	__u64 length;
};

/**
 * struct example_vm - the VMM around the example
 * @ranges: the memory of the guest
 * @nr_ranges: number of @ranges
 * @stop_bytes: stop the guest when a round has sent at most this much
 * @max_rounds: stop the guest after this many rounds in any case
 * @send: copy memory to the destination, while devices may write it
 * @stop: stop the virtual CPUs and the devices. After it has returned 0, no
 *	device writes memory
 */
struct example_vm {
	const struct example_range *ranges;
	unsigned int nr_ranges;
	__u64 stop_bytes;
	unsigned int max_rounds;
	void (*send)(struct example_vm *vm, __u64 iova, __u64 length);
	int (*stop)(struct example_vm *vm);
};

/**
 * struct example_tracker - dirty tracking by one of the interfaces
 * @fd: /dev/iommu, or the type1 container; unused by device logs
 * @hwpts: IDs of all page tables of the guest's memory, iommufd only
 * @nr_hwpts: number of @hwpts
 * @devices: all devices of the guest, device logs only
 * @nr_devices: number of @devices
 * @page_size: bytes of memory for each bit; valid after @start
 * @start: track all ranges, with no page dirty
 * @query: set the bits of pages of a range that were written, and clear the dirty
 *	bits of the hardware. The caller passes a bitmap of zeros
 * @stop: end tracking, and discard what was not queried
 *
 * The functions return 0 or -errno.
 */
struct example_tracker {
	int fd;
	const __u32 *hwpts;
	unsigned int nr_hwpts;
	const int *devices;
	unsigned int nr_devices;
	__u64 page_size;
	int (*start)(struct example_tracker *tracker,
		     const struct example_vm *vm);
	int (*query)(struct example_tracker *tracker,
		     const struct example_range *range, __u64 *bitmap);
	int (*stop)(struct example_tracker *tracker);
};

/* Bytes of a bitmap: whole 64-bit words, as type1 requires. */
static inline __u64 example_bitmap_bytes(__u64 length, __u64 page_size)
{
	return ((length - 1) / page_size / 64 + 1) * 8;
}

/* lib/example/precopy.c */
int example_precopy(struct example_vm *vm, struct example_tracker *tracker);

/* Trackers whose other members the caller sets. */
extern const struct example_tracker example_iommufd;
extern const struct example_tracker example_type1;
extern const struct example_tracker example_dma_logging;

/* Unmap a range while it is tracked. */
int example_iommufd_unmap(const struct example_tracker *tracker, __u32 ioas_id,
			  const struct example_range *range, __u64 *bitmap);
int example_type1_unmap(const struct example_tracker *tracker,
			const struct example_range *range, __u64 *bitmap);

#endif
