/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * BAR 0 and config space of the mock PCI device, the mock DMA device as a PCI
 * device that can be migrated.
 */
#ifndef _UAPI_LINUX_VFIO_MOCK_PCI_H
#define _UAPI_LINUX_VFIO_MOCK_PCI_H

#include <linux/types.h>
#include <linux/vfio_mock_dma.h>

#define VFIO_MOCK_PCI_VENDOR_ID		0x1234
#define VFIO_MOCK_PCI_DEVICE_ID		0x6d64	/* "dm" */
#define VFIO_MOCK_PCI_CLASS		0xff0000
#define VFIO_MOCK_PCI_REVISION		1
/* Offset of the MSI capability, the only one, in config space */
#define VFIO_MOCK_PCI_MSI		0x40

/* Offsets in BAR 0, a 32-bit memory BAR, and its size */
#define VFIO_MOCK_PCI_BAR_REGS		0x0	/* struct vfio_mock_dma_regs */
#define VFIO_MOCK_PCI_BAR_PCI_REGS	0x1000	/* struct vfio_mock_pci_regs */
#define VFIO_MOCK_PCI_BAR_BUFFER	0x10000	/* the buffer */
#define VFIO_MOCK_PCI_BAR_SIZE		0x20000

/**
 * struct vfio_mock_pci_regs - registers that only the PCI device has
 * @migrations: number of times that the device state was loaded; part of the
 *	device state, so that it counts every migration since the last reset
 * @state: enum vfio_device_mig_state
 * @interrupts: number of interrupts since the last reset; part of the device
 *	state
 *
 * All registers are read-only: a write fails with -EPERM. Accesses to BAR 0:
 *
 * * An access is split into naturally aligned accesses of at most 8 bytes, and
 *   ends at the end of the BAR. If one of them fails, the result is the number
 *   of bytes before it, or its errno if there are none.
 * * Accesses to struct vfio_mock_dma_regs succeed and fail as those to
 *   VFIO_MOCK_DMA_REGION_REGS. So they have 4 or 8 bytes after the split.
 * * Any access to struct vfio_mock_pci_regs and to the buffer is valid.
 * * Elsewhere, reads return 0, and writes are ignored.
 * * Without PCI_COMMAND_MEMORY, all accesses fail with -EIO.
 *
 * PCI_COMMAND_MASTER can be written, but does not enable or disable DMA.
 *
 * There is one interrupt, an MSI. As with vfio-pci, VFIO_DEVICE_SET_IRQS
 * enables it, and the MSI capability can be written but has no effect. The
 * device signals an interrupt when a command ends, whether it faulted or not,
 * and after each write of the workload that faulted. It counts those that
 * signaled an eventfd.
 *
 * Migration: the device supports VFIO_MIGRATION_STOP_COPY, VFIO_MIGRATION_P2P
 * and VFIO_MIGRATION_PRE_COPY. It starts DMA only in RUNNING and PRE_COPY. In
 * other states, a write that starts a command or the workload fails with
 * -EBUSY, and a workload that was running is suspended. Its @work_control reads
 * as 1, and writing 0 stops it. It continues with its next write when the
 * device state is RUNNING or PRE_COPY again. The device state consists of
 * config space, the buffer and all registers, but not the registers of the
 * truth log. The truth log and DMA logging are not migrated.
 *
 * VFIO_DEVICE_RESET ends a migration, and sets the state to RUNNING. Config
 * space and the eventfds do not change.
 */
struct vfio_mock_pci_regs {
	__u32 migrations;
	__u32 state;
	__u64 interrupts;
};

#endif
