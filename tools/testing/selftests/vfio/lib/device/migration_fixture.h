/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two mock PCI devices that map the same memory at the same IOVAs, so that a
 * workload can move from one to the other.
 */
#ifndef _LIB_MIGRATION_FIXTURE_H
#define _LIB_MIGRATION_FIXTURE_H

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/fail_nth.h"
#include "lib/test.h"

#define IOVA		0x200000ULL
#define LENGTH		(16 * SZ_4K)
#define BAR0		VFIO_PCI_BAR0_REGION_INDEX
#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX
#define STATE_MAX	SZ_1M
/* An address of the kernel. */
#define NOWHERE		((void *)-SZ_4K)

#define ERROR		VFIO_DEVICE_STATE_ERROR
#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P
#define STATES		VFIO_DEVICE_STATE_NR

/* A device state that was read, with room for more. */
static __u8 data[STATE_MAX];
static __u8 model[LENGTH];

static const struct mock_work plain_work = {
	.iova = IOVA, .length = LENGTH, .stride = 512, .seed = 7,
};

FIXTURE(migration)
{
	struct bench bench;
	struct vfio_dev *src;
	struct vfio_dev dst;
};

FIXTURE_VARIANT(migration)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(migration, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(migration, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(migration, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(migration)
{
	char path[PATH_MAX];

	bench_open_pci(_metadata, &self->bench, variant->mode, "4k");
	self->src = &self->bench.dev;
	ASSERT_EQ(0, mock_pci_find("4k", 1, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&self->dst, &self->bench.iommu, path));
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(migration)
{
	vfio_dev_close(&self->dst);
	bench_close(_metadata, &self->bench);
}

/* Set a state, and return the file of a new session or -1. */
static inline int set_state(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     __u32 state)
{
	int fd;

	ASSERT_EQ(0, __mig_set(dev, state, &fd)) {
		TH_LOG("state %u", state);
	}
	return fd;
}

static inline __u32 get_state(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	__u32 state;

	ASSERT_EQ(0, __mig_get(dev, &state));
	return state;
}

static inline struct vfio_mock_pci_regs pci_regs(struct __test_metadata *_metadata,
					  struct vfio_dev *dev)
{
	struct vfio_mock_pci_regs regs;

	ASSERT_EQ(sizeof(regs), __vfio_dev_read(dev, BAR0,
						VFIO_MOCK_PCI_BAR_PCI_REGS,
						&regs, sizeof(regs)));
	return regs;
}

static inline struct vfio_mock_dma_regs dma_regs(struct __test_metadata *_metadata,
					  struct vfio_dev *dev)
{
	struct vfio_mock_dma_regs regs;

	ASSERT_EQ(sizeof(regs), __vfio_dev_read(dev, BAR0,
						VFIO_MOCK_PCI_BAR_REGS,
						&regs, sizeof(regs)));
	return regs;
}

/* Read the device state to data, and return its size. */
static inline size_t save(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	int fd = set_state(_metadata, dev, STOP_COPY);
	ssize_t size;

	ASSERT_LE(0, fd);
	size = __mig_read(fd, data, sizeof(data), SZ_64K);
	ASSERT_LT(0, size);
	close(fd);
	return size;
}

static inline void load(struct __test_metadata *_metadata, struct vfio_dev *dev,
		 size_t size)
{
	int fd = set_state(_metadata, dev, RESUMING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, __mig_write(fd, data, size));
	close(fd);
}

/* Compare memory with the first writes of the workload. */
static inline void check_writes(struct __test_metadata *_metadata,
			 struct bench *bench, const struct mock_work *work,
			 __u64 writes)
{
	mock_sequence_run(work, writes, model);
	ASSERT_EQ(0, memcmp(model, bench->mem.va, work->length)) {
		TH_LOG("memory differs after %llu writes", writes);
	}
}

static inline double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Expect the device to write nothing for a while. */
static inline void check_quiet(struct __test_metadata *_metadata, struct bench *bench,
			struct vfio_dev *dev, const struct mock_work *work)
{
	__u64 writes = mock_get(_metadata, dev, MOCK_REG(work_writes));
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		check_writes(_metadata, bench, work, writes);
	} while (seconds_since(&start) < 0.02);
	ASSERT_EQ(writes, mock_get(_metadata, dev, MOCK_REG(work_writes)));
}

#endif
