/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Registers of the mock DMA device, a VFIO device without hardware.
 *
 * A VFIO user accesses the regions below with pread() and pwrite() on the
 * device file, at the offsets that VFIO_DEVICE_GET_REGION_INFO returns.
 */
#ifndef _UAPI_LINUX_VFIO_MOCK_DMA_H
#define _UAPI_LINUX_VFIO_MOCK_DMA_H

#include <linux/types.h>

/**
 * enum vfio_mock_dma_region - region index
 * @VFIO_MOCK_DMA_REGION_REGS: struct vfio_mock_dma_regs. Accesses have 4 or 8
 *	bytes and are naturally aligned; other accesses fail with -EINVAL.
 * @VFIO_MOCK_DMA_REGION_BUFFER: device memory of VFIO_MOCK_DMA_BUFFER bytes.
 *	Any access is valid.
 * @VFIO_MOCK_DMA_REGION_TRUTH: the truth log, with one bit for each
 *	@truth_granule bytes from @truth_iova on, in little-endian bytes,
 *	starting with bit 0 of byte 0. Accesses are whole 8 byte words. A read
 *	returns the bits and clears the bits that it returned. Not writable.
 * @VFIO_MOCK_DMA_NUM_REGIONS: number of regions
 */
enum vfio_mock_dma_region {
	VFIO_MOCK_DMA_REGION_REGS,
	VFIO_MOCK_DMA_REGION_BUFFER,
	VFIO_MOCK_DMA_REGION_TRUTH,
	VFIO_MOCK_DMA_NUM_REGIONS,
};

#define VFIO_MOCK_DMA_MAGIC	0x414d444d	/* "MDMA" */
#define VFIO_MOCK_DMA_VERSION	1
#define VFIO_MOCK_DMA_BUFFER	(64 * 1024)
/* Maximum number of granules in the truth log, which needs 1 bit for each */
#define VFIO_MOCK_DMA_TRUTH_MAX	0x10000000ULL

/**
 * enum vfio_mock_dma_command - command started by a write to @command
 * @VFIO_MOCK_DMA_CMD_READ: copy @length bytes of memory at @src to the buffer;
 *	@length is at most VFIO_MOCK_DMA_BUFFER
 * @VFIO_MOCK_DMA_CMD_WRITE: copy @length bytes of the buffer to memory at @dst;
 *	@length is at most VFIO_MOCK_DMA_BUFFER
 * @VFIO_MOCK_DMA_CMD_FILL: fill @length bytes at @dst with the 8 bytes of
 *	@pattern, starting with its first byte at @dst
 * @VFIO_MOCK_DMA_CMD_COPY: copy @length bytes from @src to @dst in ascending
 *	order; the ranges must not overlap
 *
 * pwrite() returns after the command has ended. It succeeds also if the command
 * faulted, see @status. Errors, which change no register and no memory:
 *
 * * -EINVAL: the command is unknown, @length is 0 or above the limit, a range
 *   wraps, or the ranges overlap
 * * -EBUSY: the workload is running
 *
 * A fatal signal ends a command early, with -EINTR.
 */
enum vfio_mock_dma_command {
	VFIO_MOCK_DMA_CMD_READ = 1,
	VFIO_MOCK_DMA_CMD_WRITE,
	VFIO_MOCK_DMA_CMD_FILL,
	VFIO_MOCK_DMA_CMD_COPY,
};

/**
 * enum vfio_mock_dma_status - result of the last command
 * @VFIO_MOCK_DMA_OK: all bytes were transferred
 * @VFIO_MOCK_DMA_FAULT: the command stopped at @fault_iova with @fault_reason
 */
enum vfio_mock_dma_status {
	VFIO_MOCK_DMA_OK,
	VFIO_MOCK_DMA_FAULT,
};

/**
 * enum vfio_mock_dma_fault - reason of a fault
 * @VFIO_MOCK_DMA_FAULT_NONE: no fault since the reset
 * @VFIO_MOCK_DMA_FAULT_UNMAPPED: the IOVA is not mapped
 * @VFIO_MOCK_DMA_FAULT_READ: the mapping does not allow reads
 * @VFIO_MOCK_DMA_FAULT_WRITE: the mapping does not allow writes
 * @VFIO_MOCK_DMA_FAULT_NO_RAM: the IOVA is not mapped to memory
 * @VFIO_MOCK_DMA_FAULT_BLOCKED: the device is not attached to an IOAS or a
 *	container
 */
enum vfio_mock_dma_fault {
	VFIO_MOCK_DMA_FAULT_NONE,
	VFIO_MOCK_DMA_FAULT_UNMAPPED,
	VFIO_MOCK_DMA_FAULT_READ,
	VFIO_MOCK_DMA_FAULT_WRITE,
	VFIO_MOCK_DMA_FAULT_NO_RAM,
	VFIO_MOCK_DMA_FAULT_BLOCKED,
};

/**
 * struct vfio_mock_dma_regs - layout of VFIO_MOCK_DMA_REGION_REGS
 * @magic: VFIO_MOCK_DMA_MAGIC; read-only
 * @version: VFIO_MOCK_DMA_VERSION; read-only
 * @src: first IOVA that a command reads
 * @dst: first IOVA that a command writes
 * @length: number of bytes that a command transfers
 * @pattern: pattern of VFIO_MOCK_DMA_CMD_FILL
 * @command: enum vfio_mock_dma_command; a write runs the command
 * @status: enum vfio_mock_dma_status; read-only
 * @fault_count: number of faults of commands and the workload since the reset;
 *	read-only
 * @fault_iova: IOVA of the latest fault; read-only
 * @fault_reason: enum vfio_mock_dma_fault of the latest fault; read-only
 * @work_control: writing 1 starts the workload; fails with -EINVAL if the work
 *	registers are not valid, and with -EBUSY if the workload is running.
 *	Writing 0 stops the workload after its current write. Reads as 1 while
 *	the workload is running.
 * @work_iova: first IOVA that the workload writes
 * @work_length: length of the workload's range in bytes
 * @work_stride: size of a unit in bytes, a power of two from 8 to 4096; each
 *	write of the workload fills one aligned unit
 * @work_rate: writes per second; 0 for no limit
 * @work_hot_length: length of the hot set in bytes, which starts at @work_iova
 * @work_hot_percent: percentage of writes to the hot set; 0 to 100
 * @work_seed: seed of the sequence of addresses and data
 * @work_writes: number of writes since the last start of the workload;
 *	read-only
 * @truth_control: writing 1 starts an empty truth log; fails with -EINVAL if
 *	the truth registers are not valid, with -EBUSY if a truth log is
 *	running, and with -ENOMEM. Writing 0 stops it. Reads as 1 while the
 *	truth log is running.
 * @reserved: reads as 0; read-only
 * @truth_granule: bytes per bit of the truth log, a power of two
 * @truth_iova: first IOVA of the truth log, a multiple of @truth_granule
 * @truth_length: length of the truth log in bytes of IOVA, a multiple of
 *	@truth_granule, at most VFIO_MOCK_DMA_TRUTH_MAX granules
 *
 * VFIO_DEVICE_RESET and closing the device stop the workload, the truth log
 * and DMA logging. They set @work_stride and @truth_granule to 4096, and all
 * other registers except @magic and @version to 0. A write to a work register
 * while the workload is running, or to a truth register while the truth log is
 * running, fails with -EBUSY. A write to a read-only register fails with
 * -EPERM.
 *
 * A bit of the truth log is set after the write to memory. So a dirty query
 * must report each write that the truth log contained before the query, unless
 * an earlier query has reported it.
 */
struct vfio_mock_dma_regs {
	__u32 magic;
	__u32 version;
	__u64 src;
	__u64 dst;
	__u64 length;
	__u64 pattern;
	__u32 command;
	__u32 status;
	__u64 fault_count;
	__u64 fault_iova;
	__u32 fault_reason;
	__u32 work_control;
	__u64 work_iova;
	__u64 work_length;
	__u64 work_stride;
	__u64 work_rate;
	__u64 work_hot_length;
	__u64 work_hot_percent;
	__u64 work_seed;
	__u64 work_writes;
	__u32 truth_control;
	__u32 reserved;
	__u64 truth_granule;
	__u64 truth_iova;
	__u64 truth_length;
};

#endif
