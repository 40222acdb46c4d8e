// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Config space of the mock PCI device
 *
 * Config space has a type 0 header with one BAR, and an MSI capability with one
 * vector and a 64-bit address. A table describes each double word that is not
 * 0: its initial value, and the bits that can be written. Other bits ignore
 * writes.
 */
#include <linux/cleanup.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "mock_pci.h"

/* The command register; there is no I/O space. */
#define COMMAND_MASK							\
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |	\
	 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE)

/* A double word of a 16-bit register and the one above. */
#define WORDS(low, high)	((low) | (u32)(high) << 16)

/**
 * struct mock_pci_dword - a double word of config space
 * @offset: its offset
 * @value: its value when the device is opened
 * @mask: bits that can be written
 */
struct mock_pci_dword {
	unsigned int offset;
	u32 value;
	u32 mask;
};

static const struct mock_pci_dword mock_pci_dwords[] = {
	{
		.offset = PCI_VENDOR_ID,
		.value = WORDS(VFIO_MOCK_PCI_VENDOR_ID,
			       VFIO_MOCK_PCI_DEVICE_ID),
	}, {
		/* vfio-pci, too, opens a device with its memory enabled. */
		.offset = PCI_COMMAND,
		.value = WORDS(PCI_COMMAND_MEMORY, PCI_STATUS_CAP_LIST),
		.mask = COMMAND_MASK,
	}, {
		.offset = PCI_CLASS_REVISION,
		.value = VFIO_MOCK_PCI_CLASS << 8 | VFIO_MOCK_PCI_REVISION,
	}, {
		/* With the latency timer. */
		.offset = PCI_CACHE_LINE_SIZE,
		.mask = 0xffff,
	}, {
		.offset = PCI_BASE_ADDRESS_0,
		.value = PCI_BASE_ADDRESS_SPACE_MEMORY |
			 PCI_BASE_ADDRESS_MEM_TYPE_32,
		.mask = ~(VFIO_MOCK_PCI_BAR_SIZE - 1),
	}, {
		.offset = PCI_SUBSYSTEM_VENDOR_ID,
		.value = WORDS(VFIO_MOCK_PCI_VENDOR_ID,
			       VFIO_MOCK_PCI_DEVICE_ID),
	}, {
		.offset = PCI_CAPABILITY_LIST,
		.value = VFIO_MOCK_PCI_MSI,
	}, {
		.offset = PCI_INTERRUPT_LINE,
		.mask = 0xff,
	}, {
		.offset = VFIO_MOCK_PCI_MSI,
		.value = WORDS(PCI_CAP_ID_MSI, PCI_MSI_FLAGS_64BIT),
		.mask = WORDS(0, PCI_MSI_FLAGS_ENABLE),
	}, {
		.offset = VFIO_MOCK_PCI_MSI + PCI_MSI_ADDRESS_LO,
		.mask = ~3U,
	}, {
		.offset = VFIO_MOCK_PCI_MSI + PCI_MSI_ADDRESS_HI,
		.mask = ~0U,
	}, {
		.offset = VFIO_MOCK_PCI_MSI + PCI_MSI_DATA_64,
		.mask = 0xffff,
	},
};

static const struct mock_pci_dword *mock_pci_find_dword(unsigned int offset)
{
	static const struct mock_pci_dword zero;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mock_pci_dwords); i++) {
		if (mock_pci_dwords[i].offset == ALIGN_DOWN(offset, 4))
			return &mock_pci_dwords[i];
	}
	return &zero;
}

static u8 mock_pci_config_value(unsigned int offset)
{
	return mock_pci_find_dword(offset)->value >> 8 * (offset % 4);
}

static u8 mock_pci_config_mask(unsigned int offset)
{
	return mock_pci_find_dword(offset)->mask >> 8 * (offset % 4);
}

/**
 * mock_pci_config_init() - set config space to its initial value
 * @config: config space, of PCI_CFG_SPACE_SIZE bytes
 *
 * Context: any.
 */
void mock_pci_config_init(u8 *config)
{
	unsigned int i;

	for (i = 0; i < PCI_CFG_SPACE_SIZE; i++)
		config[i] = mock_pci_config_value(i);
}

/**
 * mock_pci_config_write() - write bytes of config space
 * @config: config space
 * @offset: offset of the first byte
 * @data: source
 * @count: number of bytes; @offset + @count is at most PCI_CFG_SPACE_SIZE
 *
 * Bits that are read-only do not change.
 *
 * Context: any.
 */
void mock_pci_config_write(u8 *config, unsigned int offset, const u8 *data,
			   size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		u8 mask = mock_pci_config_mask(offset + i);

		config[offset + i] &= ~mask;
		config[offset + i] |= data[i] & mask;
	}
}

/**
 * mock_pci_config_is_valid() - check whether config space is of such a device
 * @config: config space
 *
 * Return: whether writes to the initial config space can result in @config.
 * Context: any.
 */
bool mock_pci_config_is_valid(const u8 *config)
{
	unsigned int i;

	for (i = 0; i < PCI_CFG_SPACE_SIZE; i++) {
		if ((config[i] ^ mock_pci_config_value(i)) &
		    ~mock_pci_config_mask(i))
			return false;
	}
	return true;
}

/**
 * mock_pci_config_rw() - access config space, for VFIO_PCI_CONFIG_REGION_INDEX
 * @mp: the device
 * @buf: destination, or source if @write
 * @count: number of bytes
 * @offset: offset of the first byte
 * @write: whether to write
 *
 * Return: @count, or a negative errno:
 * * -EFAULT: the access is not inside config space, as with vfio-pci, or @buf
 *   is not accessible memory
 * * -EINTR: a signal is pending
 *
 * Context: process, may fault.
 */
ssize_t mock_pci_config_rw(struct mock_pci *mp, char __user *buf, size_t count,
			   u64 offset, bool write)
{
	u8 data[PCI_CFG_SPACE_SIZE];

	if (!count)
		return 0;
	if (offset >= sizeof(data) || count > sizeof(data) - offset)
		return -EFAULT;
	if (write && copy_from_user(data, buf, count))
		return -EFAULT;
	scoped_cond_guard(mutex_intr, return -EINTR, &mp->md.lock) {
		if (write)
			mock_pci_config_write(mp->config, offset, data, count);
		else
			memcpy(data, mp->config + offset, count);
	}
	if (!write && copy_to_user(buf, data, count))
		return -EFAULT;
	return count;
}
