// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty pages from the device
 *
 * VFIO_DEVICE_FEATURE_DMA_LOGGING: the device itself logs what it writes. The log
 * depends on no IOMMU and on no backend.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>
#include "precopy.h"

struct logging_request {
	struct vfio_device_feature feature;
	union {
		struct vfio_device_feature_dma_logging_control control;
		struct vfio_device_feature_dma_logging_report report;
	};
};

bool logging_offered(int device)
{
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
	};

	return !ioctl(device, VFIO_DEVICE_FEATURE, &probe);
}

static int logging_start(struct backend *b, const struct guest *g)
{
	struct vfio_device_feature_dma_logging_range ranges[MAX_SLOTS];
	struct logging_request start = {
		.feature.argsz = sizeof(start.feature) + sizeof(start.control),
		.feature.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		.control.page_size = g->page,
		.control.num_ranges = g->nr_spans,
		.control.ranges = (unsigned long)ranges,
	};
	unsigned int i;

	for (i = 0; i < g->nr_spans; i++) {
		ranges[i].iova = g->spans[i].iova;
		ranges[i].length = g->spans[i].size;
	}
	if (!ioctl(b->device, VFIO_DEVICE_FEATURE, &start))
		return 0;
	return fail(EXIT_SETUP, "%s: starting the device's log: %m",
		    b->ops->name);
}

static int logging_query(struct backend *b, const struct guest *g,
			 const struct range *span, __u64 *bitmap)
{
	struct logging_request report = {
		.feature.argsz = sizeof(report.feature) + sizeof(report.report),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		.report.iova = span->iova,
		.report.length = span->size,
		.report.page_size = g->page,
		.report.bitmap = (unsigned long)bitmap,
	};

	if (!ioctl(b->device, VFIO_DEVICE_FEATURE, &report))
		return 0;
	return fail(EXIT_WRONG, "%s: the device's log of %llu MiB at %#llx: %m",
		    b->ops->name, span->size / MIB, span->iova);
}

static int logging_stop(struct backend *b)
{
	struct vfio_device_feature stop = {
		.argsz = sizeof(stop),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
	};

	if (!ioctl(b->device, VFIO_DEVICE_FEATURE, &stop))
		return 0;
	return fail(EXIT_WRONG, "%s: stopping the device's log: %m",
		    b->ops->name);
}

const struct tracker logging_tracker = {
	.name = "device",
	.start = logging_start,
	.query = logging_query,
	.stop = logging_stop,
};
