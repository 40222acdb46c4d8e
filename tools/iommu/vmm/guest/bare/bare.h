/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: a guest without an operating system
 *
 * QEMU loads this 32 bit program by multiboot. One CPU, interrupts off but in
 * machine_wait(), all memory at its physical address; see paging.c for the
 * exception.
 *
 *   start.S      header for the boot loader, stack
 *   machine.c    serial port, parameters, memory
 *   pci.c        finds the devices, enables DMA and MSI
 *   paging.c     a window to memory above 4 GiB
 *   interrupt.c  local APIC: timer and MSI
 */
#ifndef BARE_H
#define BARE_H

#include "../guest.h"

static inline void port_write8(__u16 port, __u8 value)
{
	asm volatile("outb %0, %1" :: "a"(value), "Nd"(port));
}

static inline __u8 port_read8(__u16 port)
{
	__u8 value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void port_write32(__u16 port, __u32 value)
{
	asm volatile("outl %0, %1" :: "a"(value), "Nd"(port));
}

static inline __u32 port_read32(__u16 port)
{
	__u32 value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* Vectors: one for each device, then that of the timer. */
#define VECTOR_MSI	0x30
#define VECTOR_TIMER	(VECTOR_MSI + MAX_DEVICES)
#define VECTOR_SPURIOUS	0xff

/* The place where the local APIC takes MSIs for the first CPU. */
#define MSI_ADDRESS	0xfee00000u

/* interrupt.c; @device gets the interrupts of VECTOR_MSI + @k. */
void interrupts_init(void);
void route_interrupt(unsigned int k, struct device *device);

/* paging.c */
void paging_init(void);
unsigned char *paging_window(__u64 address, __u32 length);

/* machine.c, called by start.S */
[[gnu::noreturn]] void bare_main(__u32 magic, const __u32 *info);

#endif
