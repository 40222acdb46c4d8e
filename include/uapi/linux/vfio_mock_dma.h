/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The registers of the mock DMA device, a VFIO device without hardware.
 *
 * A VFIO user reaches it through pread() and pwrite() on the device file, at
 * the offsets that VFIO_DEVICE_GET_REGION_INFO gives for the regions below.
 */
#ifndef _UAPI_LINUX_VFIO_MOCK_DMA_H
#define _UAPI_LINUX_VFIO_MOCK_DMA_H

#include <linux/types.h>

/**
 * enum vfio_mock_dma_region - region index
 * @VFIO_MOCK_DMA_REGION_REGS: struct vfio_mock_dma_regs; naturally aligned
 *	accesses of 4 or 8 bytes, anything else is EINVAL
 * @VFIO_MOCK_DMA_REGION_BUFFER: the device's own memory, VFIO_MOCK_DMA_BUFFER
 *	bytes, any access
 * @VFIO_MOCK_DMA_REGION_TRUTH: one bit for every @truth_granule bytes from
 *	@truth_iova on: little-endian bytes, bit 0 of byte 0 first; accesses
 *	are of whole 8 byte words. Reading shows the bits and clears the ones
 *	that it showed. Not writable.
 * @VFIO_MOCK_DMA_NUM_REGIONS: how many there are
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
/* As many granules as the truth log can hold, and so 8 times its bytes. */
#define VFIO_MOCK_DMA_TRUTH_MAX	0x10000000ULL

/**
 * enum vfio_mock_dma_command - what a write to @command starts
 * @VFIO_MOCK_DMA_CMD_READ: memory at @src to the buffer; @length at most
 *	VFIO_MOCK_DMA_BUFFER
 * @VFIO_MOCK_DMA_CMD_WRITE: the buffer to memory at @dst; same limit
 * @VFIO_MOCK_DMA_CMD_FILL: @length bytes at @dst become the 8 bytes of
 *	@pattern over and over, the first of them at @dst
 * @VFIO_MOCK_DMA_CMD_COPY: @length bytes from @src to @dst, ascending in
 *	pieces; overlapping ranges are EINVAL
 *
 * A command has ended when the write returns: with 0 although it faulted
 * (@status tells), with EINVAL for an unknown command, a zero @length, one
 * over the limit, or a range that wraps; with EBUSY while the workload runs.
 * A refused command changes no register and no memory.
 */
enum vfio_mock_dma_command {
	VFIO_MOCK_DMA_CMD_READ = 1,
	VFIO_MOCK_DMA_CMD_WRITE,
	VFIO_MOCK_DMA_CMD_FILL,
	VFIO_MOCK_DMA_CMD_COPY,
};

/**
 * enum vfio_mock_dma_status - how the last command ended
 * @VFIO_MOCK_DMA_OK: everything was transferred
 * @VFIO_MOCK_DMA_FAULT: it stopped at @fault_iova because of @fault_reason
 */
enum vfio_mock_dma_status {
	VFIO_MOCK_DMA_OK,
	VFIO_MOCK_DMA_FAULT,
};

/**
 * enum vfio_mock_dma_fault - @fault_reason
 * @VFIO_MOCK_DMA_FAULT_NONE: there was no fault since the reset
 * @VFIO_MOCK_DMA_FAULT_UNMAPPED: no translation for the IOVA
 * @VFIO_MOCK_DMA_FAULT_READ: the IOVA may not be read
 * @VFIO_MOCK_DMA_FAULT_WRITE: the IOVA may not be written
 * @VFIO_MOCK_DMA_FAULT_NO_RAM: the IOVA leads to no memory
 * @VFIO_MOCK_DMA_FAULT_BLOCKED: the device is attached to no IOAS or container
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
 * @magic: VFIO_MOCK_DMA_MAGIC; read only
 * @version: VFIO_MOCK_DMA_VERSION; read only
 * @src: IOVA that a command reads from
 * @dst: IOVA that a command writes to
 * @length: bytes that a command transfers
 * @pattern: what FILL writes
 * @command: enum vfio_mock_dma_command; writing runs it
 * @status: enum vfio_mock_dma_status; read only
 * @fault_count: faults since the reset, of commands and workload; read only
 * @fault_iova: first byte of the latest fault; read only
 * @fault_reason: enum vfio_mock_dma_fault, of the latest fault; read only
 * @work_control: 1 starts the background workload (EINVAL if the registers
 *	below are no good, EBUSY if it runs), 0 stops it and returns when its
 *	last write has ended; reads 1 while it runs
 * @work_iova: start of the range that the workload writes to
 * @work_length: its bytes
 * @work_stride: the workload writes in units of this many bytes, a power of
 *	two from 8 to 4096: each write is the whole of one aligned unit
 * @work_rate: writes a second; 0 is as fast as it goes
 * @work_hot_length: bytes from @work_iova on that make the hot set
 * @work_hot_percent: how many of 100 writes go to the hot set; 0 to 100
 * @work_seed: the sequence of addresses and data depends on it alone
 * @work_writes: writes since the workload was last started; read only
 * @truth_control: 1 starts an empty truth log (EINVAL if the registers below
 *	are no good, ENOMEM), 0 ends it; reads 1 while there is one
 * @reserved: reads as zero; read only
 * @truth_granule: bytes for a bit of the truth log, a power of two
 * @truth_iova: where the truth log starts, a multiple of @truth_granule
 * @truth_length: its bytes, a multiple of @truth_granule, at most
 *	VFIO_MOCK_DMA_TRUTH_MAX granules
 *
 * VFIO_DEVICE_RESET, and closing the device, stop the workload, end the truth
 * log and DMA logging, and set every register to zero but @magic, @version,
 * @work_stride (4096) and @truth_granule (4096). Registers of the workload
 * and the truth log are EBUSY to write while these run. Writing a read only
 * register is EPERM.
 *
 * A bit of the truth log is set after the write that it tells of has reached
 * memory: reading the log just before a dirty query gives writes that this
 * query or an earlier one has to tell.
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
