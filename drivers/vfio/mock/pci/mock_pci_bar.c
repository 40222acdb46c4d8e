// SPDX-License-Identifier: GPL-2.0-only
/*
 * BAR 0 of the mock PCI device. See <uapi/linux/vfio_mock_pci.h> for its
 * layout.
 */
#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "mock_pci.h"

#define PCI_REGS_END							\
	(VFIO_MOCK_PCI_BAR_PCI_REGS + sizeof(struct vfio_mock_pci_regs))

static_assert(VFIO_MOCK_PCI_BAR_SIZE ==
	      VFIO_MOCK_PCI_BAR_BUFFER + VFIO_MOCK_DMA_BUFFER);

static ssize_t mock_pci_regs_read(struct mock_pci *mp, char __user *buf,
				  size_t count, u64 offset)
{
	struct vfio_mock_pci_regs regs = {
		.interrupts = mock_pci_get_interrupts(mp),
	};

	scoped_cond_guard(mutex_intr, return -EINTR, &mp->md.lock) {
		regs.migrations = mp->migrations;
		regs.state = mp->mig_state;
	}
	if (copy_to_user(buf, (void *)&regs + offset, count))
		return -EFAULT;
	return count;
}

static ssize_t mock_pci_region_rw(struct mock_pci *mp, unsigned int index,
				  char __user *buf, size_t count, u64 offset,
				  bool write)
{
	if (write)
		return mock_dma_region_write(&mp->md, index, buf, count,
					     offset);
	return mock_dma_region_read(&mp->md, index, buf, count, offset);
}

/* The size of the first access that an access is split into. */
static size_t mock_pci_access_size(size_t count, u64 offset)
{
	size_t size = min_t(size_t, rounddown_pow_of_two(count), sizeof(u64));

	return offset ? min(size, BIT(__ffs(offset))) : size;
}

/* Access the first bytes of a range. Returns their number or an errno. */
static ssize_t mock_pci_bar_access(struct mock_pci *mp, char __user *buf,
				   size_t count, u64 offset, bool write)
{
	if (offset >= VFIO_MOCK_PCI_BAR_BUFFER)
		return mock_pci_region_rw(mp, VFIO_MOCK_DMA_REGION_BUFFER, buf,
					  count,
					  offset - VFIO_MOCK_PCI_BAR_BUFFER,
					  write);
	count = mock_pci_access_size(count, offset);
	if (offset < sizeof(struct vfio_mock_dma_regs))
		return mock_pci_region_rw(mp, VFIO_MOCK_DMA_REGION_REGS, buf,
					  count, offset, write);
	if (offset >= VFIO_MOCK_PCI_BAR_PCI_REGS && offset < PCI_REGS_END) {
		if (write)
			return -EPERM;
		return mock_pci_regs_read(mp, buf, count,
					  offset - VFIO_MOCK_PCI_BAR_PCI_REGS);
	}
	if (!write && clear_user(buf, count))
		return -EFAULT;
	return count;
}

static int mock_pci_check_memory(struct mock_pci *mp)
{
	scoped_cond_guard(mutex_intr, return -EINTR, &mp->md.lock) {
		if (!(mp->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
			return -EIO;
	}
	return 0;
}

/**
 * mock_pci_bar_rw() - access BAR 0
 * @mp: the device
 * @buf: destination, or source if @write
 * @count: number of bytes
 * @offset: offset of the first byte
 * @write: whether to write
 *
 * Return: the number of bytes read or written, or a negative errno:
 * * -EINVAL: @offset is not inside the BAR
 * * -EIO: memory is disabled in the command register
 * * -EPERM: the register is read-only
 * * -EFAULT: @buf is not accessible memory
 * * -EINTR: a signal is pending
 * * or an errno of mock_dma_region_read() or mock_dma_region_write()
 *
 * Context: process, may fault.
 */
ssize_t mock_pci_bar_rw(struct mock_pci *mp, char __user *buf, size_t count,
			u64 offset, bool write)
{
	size_t done = 0;
	ssize_t rc;

	if (offset >= VFIO_MOCK_PCI_BAR_SIZE)
		return -EINVAL;
	count = min_t(u64, count, VFIO_MOCK_PCI_BAR_SIZE - offset);
	while (done < count) {
		rc = mock_pci_check_memory(mp);
		if (!rc)
			rc = mock_pci_bar_access(mp, buf + done, count - done,
						 offset + done, write);
		if (rc < 0)
			return done ?: rc;
		done += rc;
	}
	return done;
}
