// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: two devices to migrate between
 *
 * Both devices are in one container or IOAS. So memory has the writes of both,
 * as if it was copied before the destination continues.
 */
#include <limits.h>
#include <unistd.h>

#include "check.h"
#include "mig_pair.h"

/* Open the destination, which is closed. */
void mig_reopen_dst(struct __test_metadata *_metadata, struct mig_pair *pair)
{
	char path[PATH_MAX];

	CHECK_RC(0, mock_pci_find("4k", 1, path, sizeof(path)),
		 "no second mock PCI device");
	CHECK_RC(0, __vfio_dev_open(&pair->dst, &pair->bench.iommu, path),
		 "cannot open %s", path);
}

void mig_open(struct __test_metadata *_metadata, struct mig_pair *pair,
	      enum iommu_mode mode, __u64 iova, size_t length)
{
	bench_open_pci(_metadata, &pair->bench, mode, "4k");
	pair->src = &pair->bench.dev;
	mig_reopen_dst(_metadata, pair);
	bench_memory(_metadata, &pair->bench, iova, length, MEM_4K);
}

void mig_close(struct __test_metadata *_metadata, struct mig_pair *pair)
{
	vfio_dev_close(&pair->dst);
	bench_close(_metadata, &pair->bench);
}

/* Set a state, and return the file of a new session or -1. */
int mig_set(struct __test_metadata *_metadata, struct vfio_dev *dev,
	    __u32 state)
{
	int fd;

	CHECK_RC(0, __mig_set(dev, state, &fd), "state %u", state);
	return fd;
}

__u32 mig_get(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	__u32 state;

	CHECK_RC(0, __mig_get(dev, &state), "state");
	return state;
}

/* Read the device state to @data, of MIG_DATA_MAX bytes; return its size. */
size_t mig_save(struct __test_metadata *_metadata, struct vfio_dev *dev,
		__u8 *data)
{
	int fd = mig_set(_metadata, dev, VFIO_DEVICE_STATE_STOP_COPY);
	ssize_t size = __mig_read(fd, data, MIG_DATA_MAX, SZ_64K);

	CHECK(size > 0, "read %zd bytes", size);
	close(fd);
	return size;
}

/* Write a device state, which the next state of the device loads. */
void mig_load(struct __test_metadata *_metadata, struct vfio_dev *dev,
	      const __u8 *data, size_t size)
{
	int fd = mig_set(_metadata, dev, VFIO_DEVICE_STATE_RESUMING);

	CHECK_RC(0, __mig_write(fd, data, size), "%zu bytes", size);
	close(fd);
}

struct vfio_mock_pci_regs mock_pci_regs(struct __test_metadata *_metadata,
					struct vfio_dev *dev)
{
	struct vfio_mock_pci_regs regs;

	CHECK_RC(sizeof(regs), __vfio_dev_read(dev, VFIO_PCI_BAR0_REGION_INDEX,
					       VFIO_MOCK_PCI_BAR_PCI_REGS,
					       &regs, sizeof(regs)),
		 "PCI registers");
	return regs;
}

struct vfio_mock_dma_regs mock_dma_regs(struct __test_metadata *_metadata,
					struct vfio_dev *dev)
{
	struct vfio_mock_dma_regs regs;

	CHECK_RC(0, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_REGS, 0, &regs,
				       sizeof(regs)), "registers");
	return regs;
}
