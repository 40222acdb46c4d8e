// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory above 4 GiB
 *
 * A device may write memory that a 32 bit program cannot address, such as memory
 * that was hot-added. Page tables of PAE map all addresses to themselves, by 2 MiB
 * pages, but for a window: 768 MiB from 2 GiB on, where this machine has neither
 * memory nor devices, map the memory from 4 GiB on.
 */
#include "bare.h"

#define PAGE_2M		(2 * MIB)
#define ENTRIES		512		/* of a table */
#define FLAGS_TABLE	1		/* present */
#define FLAGS_PAGE	0x83		/* present, writable, 2 MiB */

#define WINDOW		0x80000000u
#define WINDOW_SIZE	(768 * MIB)
#define WINDOW_TARGET	0x100000000ULL

[[gnu::aligned(32)]] static __u64 top[4];
[[gnu::aligned(PAGE)]] static __u64 tables[4][ENTRIES];

void paging_init(void)
{
	unsigned int i;
	__u64 address;

	for (i = 0; i < 4 * ENTRIES; i++) {
		address = (__u64)i * PAGE_2M;
		if (address >= WINDOW && address < WINDOW + WINDOW_SIZE)
			address += WINDOW_TARGET - WINDOW;
		tables[i / ENTRIES][i % ENTRIES] = address | FLAGS_PAGE;
	}
	for (i = 0; i < 4; i++)
		top[i] = (__u32)tables[i] | FLAGS_TABLE;
	asm volatile("mov %%cr4, %%eax\n\t"
		     "or $0x20, %%eax\n\t"	/* PAE */
		     "mov %%eax, %%cr4\n\t"
		     "mov %0, %%cr3\n\t"
		     "mov %%cr0, %%eax\n\t"
		     "or $0x80000000, %%eax\n\t"	/* paging */
		     "mov %%eax, %%cr0" :: "r"(top) : "eax", "memory");
}

/* Where the program finds @length bytes of physical memory; NULL: nowhere. */
unsigned char *paging_window(__u64 address, __u32 length)
{
	__u64 offset = address - WINDOW_TARGET;

	if (address + length <= WINDOW)
		return (unsigned char *)(__u32)address;
	if (address < WINDOW_TARGET || offset + length > WINDOW_SIZE)
		return NULL;
	return (unsigned char *)(WINDOW + (__u32)offset);
}
