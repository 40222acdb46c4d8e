// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: finding the devices
 *
 * The firmware has assigned the BARs. All devices are on the first bus, and have
 * one function.
 */
#include "bare.h"

#define CONFIG_ADDRESS	0xcf8
#define CONFIG_DATA	0xcfc

#define MOCK_ID		0x6d641234u	/* device and vendor */
#define EDU_ID		0x11e81234u

#define REG_ID		0x00
#define REG_COMMAND	0x04		/* status in the upper half */
#define  COMMAND_MEMORY		0x2
#define  COMMAND_MASTER		0x4
#define  STATUS_CAPABILITIES	0x100000
#define REG_BAR0	0x10
#define REG_CAPABILITIES 0x34

#define CAPABILITY_MSI	5
#define MSI_ENABLE	0x10000		/* in the capability's first word */
#define MSI_64BIT	0x800000

static __u32 config_read(unsigned int slot, unsigned int reg)
{
	port_write32(CONFIG_ADDRESS, 0x80000000u | slot << 11 | reg);
	return port_read32(CONFIG_DATA);
}

static void config_write(unsigned int slot, unsigned int reg, __u32 value)
{
	port_write32(CONFIG_ADDRESS, 0x80000000u | slot << 11 | reg);
	port_write32(CONFIG_DATA, value);
}

/* Returns the place of the MSI capability in config space; 0: none. */
static unsigned int find_msi(unsigned int slot)
{
	unsigned int at, tries = 48;

	if (!(config_read(slot, REG_COMMAND) & STATUS_CAPABILITIES))
		return 0;
	at = config_read(slot, REG_CAPABILITIES) & 0xfc;
	while (at && tries--) {
		__u32 word = config_read(slot, at);

		if ((word & 0xff) == CAPABILITY_MSI)
			return at;
		at = word >> 8 & 0xfc;
	}
	return 0;
}

static bool enable_msi(unsigned int slot, __u32 vector)
{
	unsigned int at = find_msi(slot), data;
	__u32 word;

	if (!at)
		return false;
	word = config_read(slot, at);
	config_write(slot, at + 4, MSI_ADDRESS);
	data = at + 8;
	if (word & MSI_64BIT) {
		config_write(slot, at + 8, 0);
		data = at + 12;
	}
	config_write(slot, data, vector);
	config_write(slot, at, word | MSI_ENABLE);
	return true;
}

unsigned int machine_devices(struct device *devices, unsigned int max)
{
	const __u32 id = parameter("edu", 0) ? EDU_ID : MOCK_ID;
	unsigned int slot, found = 0;
	struct device *dev;
	__u32 command;

	for (slot = 0; slot < 32 && found < max; slot++) {
		if (config_read(slot, REG_ID) != id)
			continue;
		dev = &devices[found];
		command = config_read(slot, REG_COMMAND) & 0xffff;
		config_write(slot, REG_COMMAND,
			     command | COMMAND_MEMORY | COMMAND_MASTER);
		dev->bar = (__u32 *)(config_read(slot, REG_BAR0) & ~15u);
		route_interrupt(found, dev);
		dev->has_msi = enable_msi(slot, VECTOR_MSI + found);
		found++;
	}
	return found;
}
