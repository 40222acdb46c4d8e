// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the mock device as precopy uses it
 *
 * Registers are read and written through the device file at the offsets of
 * its regions. The workload writes memory by DMA; the truth log is a bitmap of
 * the pages that it wrote.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <linux/vfio_mock_dma.h>
#include "precopy.h"

static int reg_read(struct device *d, size_t at, void *value, size_t size)
{
	__u64 offset = d->region[VFIO_MOCK_DMA_REGION_REGS] + at;

	if (pread(d->fd, value, size, offset) == (ssize_t)size)
		return 0;
	return fail(EXIT_WRONG, "mock device: reading its register %#zx: %m",
		    at);
}

static int reg_write(struct device *d, size_t at, __u64 value, size_t size)
{
	__u64 offset = d->region[VFIO_MOCK_DMA_REGION_REGS] + at;

	if (pwrite(d->fd, &value, size, offset) == (ssize_t)size)
		return 0;
	return fail(EXIT_WRONG,
		    "mock device: writing %#llx to its register %#zx: %m",
		    value, at);
}

/* The control registers are the only ones of 4 bytes that are written. */
static int control(struct device *d, size_t at, bool on)
{
	return reg_write(d, at, on, sizeof(__u32));
}

int device_init(struct device *d, int fd)
{
	struct vfio_region_info info;
	__u32 i, magic, version;

	*d = (struct device){ .fd = fd };
	for (i = 0; i < ARRAY_SIZE(d->region); i++) {
		info = (struct vfio_region_info){ .argsz = sizeof(info),
						  .index = i };
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info))
			return fail(EXIT_SETUP, "mock device: region %u: %m", i);
		d->region[i] = info.offset;
	}
	if (reg_read(d, offsetof(struct vfio_mock_dma_regs, magic), &magic,
		     sizeof(magic)) ||
	    reg_read(d, offsetof(struct vfio_mock_dma_regs, version), &version,
		     sizeof(version)))
		return EXIT_SETUP;
	if (magic != VFIO_MOCK_DMA_MAGIC || version != VFIO_MOCK_DMA_VERSION)
		return fail(EXIT_SETUP,
			    "mock device: magic %#x, version %u: not supported by this program",
			    magic, version);
	return 0;
}

int device_work_start(struct device *d, const struct options *o,
		      const struct range *span, __u64 seed)
{
	bool all = o->hot >= span->size;
	const struct {
		size_t at;
		__u64 value;
	} setup[] = {
		{ offsetof(struct vfio_mock_dma_regs, work_iova), span->iova },
		{ offsetof(struct vfio_mock_dma_regs, work_length), span->size },
		{ offsetof(struct vfio_mock_dma_regs, work_stride), o->stride },
		{ offsetof(struct vfio_mock_dma_regs, work_rate), o->rate },
		{ offsetof(struct vfio_mock_dma_regs, work_hot_length),
		  all ? span->size : o->hot },
		{ offsetof(struct vfio_mock_dma_regs, work_hot_percent),
		  all ? 100 : o->hot_percent },
		{ offsetof(struct vfio_mock_dma_regs, work_seed), seed },
	};
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < ARRAY_SIZE(setup); i++)
		rc = reg_write(d, setup[i].at, setup[i].value, sizeof(__u64));
	if (rc)
		return rc;
	return control(d, offsetof(struct vfio_mock_dma_regs, work_control),
		       true);
}

/* On return the device's last write has reached memory. */
int device_work_stop(struct device *d)
{
	__u64 writes;
	int rc;

	rc = control(d, offsetof(struct vfio_mock_dma_regs, work_control),
		     false);
	if (!rc)
		rc = reg_read(d, offsetof(struct vfio_mock_dma_regs, work_writes),
			      &writes, sizeof(writes));
	if (!rc)
		d->writes += writes;
	return rc;
}

int device_truth_start(struct device *d, const struct guest *g)
{
	const struct range *last = &g->spans[g->nr_spans - 1];
	__u64 iova = g->spans[0].iova;

	if (reg_write(d, offsetof(struct vfio_mock_dma_regs, truth_granule),
		      g->page, sizeof(__u64)) ||
	    reg_write(d, offsetof(struct vfio_mock_dma_regs, truth_iova), iova,
		      sizeof(__u64)) ||
	    reg_write(d, offsetof(struct vfio_mock_dma_regs, truth_length),
		      last->iova + last->size - iova, sizeof(__u64)))
		return EXIT_WRONG;
	return control(d, offsetof(struct vfio_mock_dma_regs, truth_control),
		       true);
}

/* Little-endian bytes are the bitmap's words on the machines that we run on. */
int device_truth_read(struct device *d, const struct guest *g, __u64 *bitmap)
{
	const struct range *span;
	__u64 at, from, size;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < g->nr_spans; i++) {
		span = &g->spans[i];
		from = d->region[VFIO_MOCK_DMA_REGION_TRUTH] +
		       (span->iova - g->spans[0].iova) / g->page / 8;
		size = span->size / g->page / 8;
		for (at = 0; at < size; at += n) {
			n = pread(d->fd, (char *)bitmap +
				  span->offset / g->page / 8 + at, size - at,
				  from + at);
			if (n <= 0)
				return fail(EXIT_WRONG,
					    "mock device: reading its truth log: %s",
					    n ? strerror(errno) : "it ends");
		}
	}
	return 0;
}

int device_faults(struct device *d, __u64 *count)
{
	static const char *const reasons[] = {
		"none", "unmapped", "not readable", "not writable", "no memory",
		"no address space"
	};
	__u32 reason;
	__u64 iova;
	int rc;

	rc = reg_read(d, offsetof(struct vfio_mock_dma_regs, fault_count),
		      count, sizeof(*count));
	if (rc || !*count)
		return rc;
	if (reg_read(d, offsetof(struct vfio_mock_dma_regs, fault_iova), &iova,
		     sizeof(iova)) ||
	    reg_read(d, offsetof(struct vfio_mock_dma_regs, fault_reason),
		     &reason, sizeof(reason)))
		return EXIT_WRONG;
	return fail(EXIT_WRONG,
		    "mock device: %llu faults, the last at IOVA %#llx: %s",
		    *count, iova, reason < ARRAY_SIZE(reasons) ?
		    reasons[reason] : "unknown reason");
}
