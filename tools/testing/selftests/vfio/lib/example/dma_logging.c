// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: example of dirty tracking by device logs
 *
 * Each device logs its own writes. The log does not depend on the container of the
 * device. Every device of the guest must have one.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "example.h"

struct logging {
	struct vfio_device_feature feature;
	union {
		struct vfio_device_feature_dma_logging_control control;
		struct vfio_device_feature_dma_logging_report report;
	};
};

static int logging_stop(struct example_tracker *tracker)
{
	struct vfio_device_feature stop = {
		.argsz = sizeof(stop),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
	};
	int rc = 0;

	for (unsigned int i = 0; i < tracker->nr_devices; i++)
		if (ioctl(tracker->devices[i], VFIO_DEVICE_FEATURE, &stop))
			rc = -errno;
	return rc;
}

/* The device may choose another page size; use the largest of all devices. */
static int start_device(struct example_tracker *tracker, int device,
			const struct vfio_device_feature_dma_logging_range *ranges,
			unsigned int nr_ranges)
{
	struct logging start = {
		.feature.argsz = sizeof(start.feature) + sizeof(start.control),
		.feature.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		.control.page_size = 4096,
		.control.num_ranges = nr_ranges,
		.control.ranges = (unsigned long)ranges,
	};

	if (ioctl(device, VFIO_DEVICE_FEATURE, &start))
		return -errno;
	if (tracker->page_size < start.control.page_size)
		tracker->page_size = start.control.page_size;
	return 0;
}

static int logging_start(struct example_tracker *tracker,
			 const struct example_vm *vm)
{
	struct vfio_device_feature_dma_logging_range *ranges;
	int rc = 0;

	ranges = calloc(vm->nr_ranges, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	for (unsigned int i = 0; i < vm->nr_ranges; i++) {
		ranges[i].iova = vm->ranges[i].iova;
		ranges[i].length = vm->ranges[i].length;
	}
	tracker->page_size = 4096;
	for (unsigned int i = 0; !rc && i < tracker->nr_devices; i++)
		rc = start_device(tracker, tracker->devices[i], ranges,
				  vm->nr_ranges);
	/* Stopping a log that was not started has no effect. */
	if (rc)
		logging_stop(tracker);
	free(ranges);
	return rc;
}

/* A report only sets bits: all devices share one bitmap, one after another. */
static int logging_query(struct example_tracker *tracker,
			 const struct example_range *range, __u64 *bitmap)
{
	struct logging report = {
		.feature.argsz = sizeof(report.feature) + sizeof(report.report),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		.report.iova = range->iova,
		.report.length = range->length,
		.report.page_size = tracker->page_size,
		.report.bitmap = (unsigned long)bitmap,
	};

	for (unsigned int i = 0; i < tracker->nr_devices; i++)
		if (ioctl(tracker->devices[i], VFIO_DEVICE_FEATURE, &report))
			return -errno;
	return 0;
}

const struct example_tracker example_dma_logging = {
	.start = logging_start,
	.query = logging_query,
	.stop = logging_stop,
};
