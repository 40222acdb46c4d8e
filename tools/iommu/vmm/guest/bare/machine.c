// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the machine under the guest
 *
 * The report goes to the first serial port. The layout of memory is fixed:
 *
 *     1 MiB  this program; the boot loader's data follow
 *     8 MiB  tables of units, TABLE_SIZE for each range
 *    32 MiB  ranges that the devices write, or at parameter "base"
 *
 * QEMU shows hot-added memory in the registers from which its ACPI tables take
 * it. There is no interrupt for them here, so machine_plugged() polls them.
 */
#include "bare.h"

#define SERIAL		0x3f8
#define LOADER_MAGIC	0x2badb002u
#define HAS_PARAMETERS	4u

#define TABLES		(8 * MIB)
#define TABLE_SIZE	(4 * MIB)
#define FOUR_GIB	4096u		/* in MiB */

/* Registers for memory devices; a write to the first one selects a slot. */
#define SLOTS		0xa00
#define SLOT_ADDRESS	(SLOTS + 0)
#define SLOT_SIZE	(SLOTS + 8)
#define SLOT_FLAGS	(SLOTS + 0x14)
#define SLOT_ENABLED	1

enum { LAYOUT_FITS = 1 / (TABLES + (MAX_DEVICES + 1) * TABLE_SIZE <= 32 * MIB) };

static char parameters[1024];
static __u64 scratch[8];

void machine_put(char c)
{
	while (!(port_read8(SERIAL + 5) & 0x20))
		;
	port_write8(SERIAL, c);
}

const char *machine_parameters(void)
{
	return parameters;
}

__u32 *machine_table(unsigned int k, __u32 entries)
{
	if (entries > TABLE_SIZE / sizeof(__u32))
		return NULL;
	return (__u32 *)(TABLES + k * TABLE_SIZE);
}

__u64 machine_scratch(void)
{
	return (__u32)scratch;
}

unsigned char *machine_range(unsigned int k, __u32 length, __u64 *iova)
{
	*iova = ((__u64)parameter("base", 32) + k * (length / MIB)) * MIB;
	return paging_window(*iova, length);
}

unsigned char *machine_plugged(__u32 length, __u64 *iova)
{
	port_write32(SLOTS, 0);
	if (!(port_read8(SLOT_FLAGS) & SLOT_ENABLED) || port_read32(SLOT_SIZE) == ~0u)
		return NULL;
	*iova = (__u64)port_read32(SLOT_ADDRESS + 4) << 32 | port_read32(SLOT_ADDRESS);
	return paging_window(*iova, length);
}

void machine_end(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

void bare_main(__u32 magic, const __u32 *info)
{
	const char *text = "";
	unsigned int i;

	if (magic == LOADER_MAGIC && (info[0] & HAS_PARAMETERS))
		text = (const char *)info[4];
	for (i = 0; text[i] && i < sizeof(parameters) - 1; i++)
		parameters[i] = text[i];
	begin_line(-1);
	put_text("up, without an operating system");
	end_line();
	paging_init();
	interrupts_init();
	run_guest();
}
