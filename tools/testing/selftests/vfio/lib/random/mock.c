// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: random DMA and device DMA logging
 */
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib/device/mock_dma.h"
#include "random.h"

/* Write a register; the device reports the offsets of its regions. */
static int set(struct random_thread *t, int fd, size_t offset, __u64 value)
{
	struct vfio_dev dev = { .fd = fd };
	__u64 args[2] = { offset, value };
	int rc;

	random_begin(t, fd, offset, args, sizeof(args));
	rc = __mock_set(&dev, offset, value);
	random_end(t);
	return rc;
}

static int run_dma(struct random_thread *t)
{
	int fd = random_device_file(t), rc;

	rc = set(t, fd, MOCK_REG(src), random_iova(t)) ?:
	     set(t, fd, MOCK_REG(dst), random_iova(t)) ?:
	     set(t, fd, MOCK_REG(length), random_length(t)) ?:
	     set(t, fd, MOCK_REG(pattern), random_number(t)) ?:
	     set(t, fd, MOCK_REG(command),
		 random_flags(t, 1 + random_below(t, 4), 7));
	return rc;
}

static int run_work(struct random_thread *t)
{
	int fd = random_device_file(t), rc;

	set(t, fd, MOCK_REG(work_control), 0);
	rc = set(t, fd, MOCK_REG(work_iova), random_iova(t)) ?:
	     set(t, fd, MOCK_REG(work_length), random_length(t)) ?:
	     set(t, fd, MOCK_REG(work_stride), 8ULL << random_below(t, 10)) ?:
	     set(t, fd, MOCK_REG(work_rate), 1 + random_below(t, 2000)) ?:
	     set(t, fd, MOCK_REG(work_seed), random_number(t)) ?:
	     set(t, fd, MOCK_REG(work_control), 1);
	return rc;
}

static int run_truth(struct random_thread *t)
{
	struct vfio_dev dev = { .fd = random_device_file(t) };
	__u64 bits[64];

	if (random_chance(t, 50))
		return __mock_region_read(&dev, VFIO_MOCK_DMA_REGION_TRUTH,
					  random_below(t, 64) * 8, bits,
					  8 + random_below(t, 63) * 8);
	return set(t, dev.fd, MOCK_REG(truth_control), 0) ?:
	       set(t, dev.fd, MOCK_REG(truth_iova), random_iova(t)) ?:
	       set(t, dev.fd, MOCK_REG(truth_length), random_length(t)) ?:
	       set(t, dev.fd, MOCK_REG(truth_control), 1);
}

/**
 * union feature - the largest structure of a device feature
 * @feature: header of all features
 * @room: space for the payload
 */
union feature {
	struct vfio_device_feature feature;
	__u8 room[128];
};

static int run_feature(struct random_thread *t, int fd, __u32 flags,
		       const void *what, size_t size)
{
	union feature arg = {};

	arg.feature.argsz = random_chance(t, 97) ? sizeof(arg.feature) + size :
						   random_below(t, 64);
	arg.feature.flags = random_flags(t, flags, VFIO_DEVICE_FEATURE_MASK |
					 VFIO_DEVICE_FEATURE_GET |
					 VFIO_DEVICE_FEATURE_SET |
					 VFIO_DEVICE_FEATURE_PROBE);
	memcpy(arg.feature.data, what, size);
	return random_ioctl(t, fd, VFIO_DEVICE_FEATURE, &arg, sizeof(arg));
}

static int run_log_start(struct random_thread *t)
{
	int fd = random_device_file(t);
	struct vfio_device_feature_dma_logging_range ranges[4];
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = random_chance(t, 80) ? SZ_4K : random_boundary(t),
		.num_ranges = random_below(t, ARRAY_SIZE(ranges) + 1),
		.ranges = random_chance(t, 95) ? (unsigned long)ranges :
						 random_va(t),
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		ranges[i].iova = random_iova(t);
		ranges[i].length = random_length(t);
	}
	return run_feature(t, fd, VFIO_DEVICE_FEATURE_SET |
			   VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
			   sizeof(control));
}

static int run_log_stop(struct random_thread *t)
{
	return run_feature(t, random_device_file(t), VFIO_DEVICE_FEATURE_SET |
			   VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, "", 0);
}

static int run_log_report(struct random_thread *t)
{
	int fd = random_device_file(t);
	struct vfio_device_feature_dma_logging_report report = {
		.iova = random_iova(t),
		.length = random_length(t),
		.page_size = random_chance(t, 80) ? SZ_4K : random_boundary(t),
		.bitmap = (unsigned long)random_bitmap(t),
	};

	return run_feature(t, fd, VFIO_DEVICE_FEATURE_GET |
			   VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
			   sizeof(report));
}

/* Query or set features of migration and others that the device may lack. */
static int run_other_feature(struct random_thread *t)
{
	__u64 what[4] = { random_boundary(t), random_number(t) };

	return run_feature(t, random_device_file(t), random_below(t, 16) |
			   (1U << (16 + random_below(t, 3))), what,
			   random_below(t, 5) * 8);
}

const struct random_call random_mock_calls[] = {
	{ "dma", 32, run_dma },
	{ "workload", 6, run_work },
	{ "truth", 2, run_truth },
	{ "LOGGING_START", 6, run_log_start },
	{ "LOGGING_STOP", 2, run_log_stop },
	{ "LOGGING_REPORT", 8, run_log_report },
	{ "FEATURE", 2, run_other_feature },
	{}
};
