// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the mock DMA device
 *
 * All accesses are pread() and pwrite() on the device file, as in a userspace
 * driver.
 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib/check.h"
#include "mock_dma.h"
#include "lib/sysfs.h"

/* Time limit to wait for writes of the device. */
#define WORK_WAIT_SECONDS	60

#define PCI_PREFIX	"vfio-mock-pci."

static int find_device(const char *prefix, const char *model, unsigned int skip,
		       char *path, size_t size)
{
	char name[64];

	for (unsigned int i = 0;; i++) {
		int rc = sysfs_find(PLATFORM_DEVICES, prefix, i, name,
				    sizeof(name));

		if (rc)
			return rc;
		snprintf(path, size, PLATFORM_DEVICES "/%s", name);
		if (sysfs_attr_is(path, "model", model) && !skip--)
			return 0;
	}
}

/* Return the sysfs directory of mock device number @skip of that model. */
int mock_find(const char *model, unsigned int skip, char *path, size_t size)
{
	return find_device(!strcmp(model, "emulated") ? "vfio-mock-mdev." :
						      "vfio-mock-dma.",
			   model, skip, path, size);
}

/* Return the sysfs directory of mock PCI device number @skip of that model. */
int mock_pci_find(const char *model, unsigned int skip, char *path, size_t size)
{
	return find_device(PCI_PREFIX, model, skip, path, size);
}

/* The place of a region: BAR 0 of a mock PCI device has all but the truth log. */
static int find_region(struct vfio_dev *dev, __u32 *region, __u64 *offset)
{
	if (strncmp(dev->name, PCI_PREFIX, strlen(PCI_PREFIX)))
		return 0;
	switch (*region) {
	case VFIO_MOCK_DMA_REGION_REGS:
		*offset += VFIO_MOCK_PCI_BAR_REGS;
		break;
	case VFIO_MOCK_DMA_REGION_BUFFER:
		*offset += VFIO_MOCK_PCI_BAR_BUFFER;
		break;
	default:
		return -EINVAL;
	}
	*region = VFIO_PCI_BAR0_REGION_INDEX;
	return 0;
}

/* Return 0 only if all bytes were read. */
int __mock_region_read(struct vfio_dev *dev, __u32 region, __u64 offset,
		       void *buf, size_t size)
{
	ssize_t rc = find_region(dev, &region, &offset);

	if (!rc)
		rc = __vfio_dev_read(dev, region, offset, buf, size);
	if (rc < 0)
		return rc;
	return (size_t)rc == size ? 0 : -EIO;
}

int __mock_region_write(struct vfio_dev *dev, __u32 region, __u64 offset,
			const void *buf, size_t size)
{
	ssize_t rc = find_region(dev, &region, &offset);

	if (!rc)
		rc = __vfio_dev_write(dev, region, offset, buf, size);
	if (rc < 0)
		return rc;
	return (size_t)rc == size ? 0 : -EIO;
}

static size_t reg_size(size_t offset)
{
	switch (offset) {
	case MOCK_REG(magic):
	case MOCK_REG(version):
	case MOCK_REG(command):
	case MOCK_REG(status):
	case MOCK_REG(fault_reason):
	case MOCK_REG(work_control):
	case MOCK_REG(truth_control):
		return sizeof(__u32);
	default:
		return sizeof(__u64);
	}
}

int __mock_set(struct vfio_dev *dev, size_t offset, __u64 value)
{
	size_t size = reg_size(offset);
	__u32 low = value;

	return __mock_region_write(dev, VFIO_MOCK_DMA_REGION_REGS, offset,
				   size == 4 ? (void *)&low : (void *)&value,
				   size);
}

void mock_set(struct __test_metadata *_metadata, struct vfio_dev *dev,
	      size_t offset, __u64 value)
{
	CHECK_RC(0, __mock_set(dev, offset, value),
		 "register 0x%zx = 0x%llx", offset, value);
}

__u64 mock_get(struct __test_metadata *_metadata, struct vfio_dev *dev,
	       size_t offset)
{
	size_t size = reg_size(offset);
	__u64 value = 0;
	__u32 low = 0;
	void *to = size == 4 ? (void *)&low : (void *)&value;

	CHECK_RC(0, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_REGS, offset,
				       to, size),
		 "register 0x%zx", offset);
	return size == 4 ? low : value;
}

/* Return the result of writing the command; a DMA fault is not an error. */
int __mock_run(struct vfio_dev *dev, __u32 command, __u64 src, __u64 dst,
	       __u64 length)
{
	int rc;

	rc = __mock_set(dev, MOCK_REG(src), src);
	if (!rc)
		rc = __mock_set(dev, MOCK_REG(dst), dst);
	if (!rc)
		rc = __mock_set(dev, MOCK_REG(length), length);
	if (!rc)
		rc = __mock_set(dev, MOCK_REG(command), command);
	return rc;
}

int __mock_fill(struct vfio_dev *dev, __u64 iova, __u64 length, __u64 pattern)
{
	int rc;

	rc = __mock_set(dev, MOCK_REG(pattern), pattern);
	if (rc)
		return rc;
	return __mock_run(dev, VFIO_MOCK_DMA_CMD_FILL, 0, iova, length);
}

void mock_fill(struct __test_metadata *_metadata, struct vfio_dev *dev,
	       __u64 iova, __u64 length, __u64 pattern)
{
	CHECK_RC(0, __mock_fill(dev, iova, length, pattern),
		 "0x%llx bytes at 0x%llx", length, iova);
	CHECK_RC(VFIO_MOCK_DMA_OK, mock_get(_metadata, dev, MOCK_REG(status)),
		 "fill of 0x%llx bytes at 0x%llx faulted at 0x%llx: %llu",
		 length, iova, mock_get(_metadata, dev, MOCK_REG(fault_iova)),
		 mock_get(_metadata, dev, MOCK_REG(fault_reason)));
}

int __mock_work_start(struct vfio_dev *dev, const struct mock_work *work)
{
	const struct {
		size_t offset;
		__u64 value;
	} regs[] = {
		{ MOCK_REG(work_iova), work->iova },
		{ MOCK_REG(work_length), work->length },
		{ MOCK_REG(work_stride), work->stride },
		{ MOCK_REG(work_rate), work->rate },
		{ MOCK_REG(work_hot_length), work->hot_length },
		{ MOCK_REG(work_hot_percent), work->hot_percent },
		{ MOCK_REG(work_seed), work->seed },
		{ MOCK_REG(work_control), 1 },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(regs); i++)
		rc = __mock_set(dev, regs[i].offset, regs[i].value);
	return rc;
}

void mock_work_start(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     const struct mock_work *work)
{
	CHECK_RC(0, __mock_work_start(dev, work), "workload");
}

static time_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Wait until the workload has made that many writes since its start. */
void mock_work_wait(struct __test_metadata *_metadata, struct vfio_dev *dev,
		    __u64 writes)
{
	time_t start = now_seconds();

	while (mock_get(_metadata, dev, MOCK_REG(work_writes)) < writes) {
		CHECK(now_seconds() - start < WORK_WAIT_SECONDS,
		      "the workload made no %llu writes", writes);
		sched_yield();
	}
}

/* Return the number of writes of the workload. */
__u64 mock_work_stop(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	mock_set(_metadata, dev, MOCK_REG(work_control), 0);
	return mock_get(_metadata, dev, MOCK_REG(work_writes));
}

int __mock_truth_start(struct vfio_dev *dev, __u64 iova, __u64 length,
		       __u64 granule)
{
	int rc;

	rc = __mock_set(dev, MOCK_REG(truth_iova), iova);
	if (!rc)
		rc = __mock_set(dev, MOCK_REG(truth_length), length);
	if (!rc)
		rc = __mock_set(dev, MOCK_REG(truth_granule), granule);
	if (!rc)
		rc = __mock_set(dev, MOCK_REG(truth_control), 1);
	return rc;
}

/* @bytes is a multiple of 8, as the device requires. */
void mock_truth_read(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     __u8 *bits, size_t bytes)
{
	CHECK_RC(0, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_TRUTH, 0,
				       bits, bytes),
		 "truth log");
}
