/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: the guest of a live migration
 *
 * A program in a virtual machine whose memory a mock device writes by DMA while a
 * VMM migrates the machine. It finds lost dirty bits from inside: data and address
 * of every write follow from the seed and the number of the write, so memory after
 * the move has exactly one correct content.
 *
 *   guest.c      the run: start, wait for the move, compare, go on, compare
 *   workload.c   registers of the mock device, and the comparison
 *   edu.c        copies by QEMU's edu device
 *   text.c       lines of the report, parameters
 *
 * They do not depend on the machine. Below them is one of
 *
 *   bare/        a machine without an operating system, started by multiboot
 *   linux.c      the init of a Linux guest
 *
 * Each line of the report begins with "guest: "; with several devices, lines about
 * one of them go on with "device K: ".
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define MIB		1048576u
#define PAGE		4096u
#define MAX_DEVICES	4

/* Place of the device's registers in its BAR. */
#define BAR_MIGRATIONS	0x1000
#define BAR_SIZE	0x20000

/* A mock device; the handler of its MSI increments @interrupts. */
struct device {
	__u32 *bar;
	bool has_msi;
	__u32 interrupts;
	__u32 commands;
};

/* The workload that a device runs: the registers' values. */
struct workload {
	__u32 stride, length, hot, hot_percent, rate, seed;
};

/*
 * A range of memory that a device writes, at @memory for the CPU. @last has
 * one entry for each unit. @writes and @faults are set when the workload stops.
 */
struct range {
	struct device *dev;
	unsigned char *memory;
	__u32 *last;
	__u64 iova;
	struct workload work;
	__u32 writes, faults;
};

/* Result of a comparison, in units; @pages are those with a wrong unit. */
struct result {
	__u32 writes, faults, units, written, wrong, pages, older;
};

/* guest.c */
[[gnu::noreturn]] void run_guest(void);

/* workload.c */
bool device_present(const struct device *dev);
__u32 device_migrations(const struct device *dev);
void range_start(struct range *r);
void range_stop(struct range *r);
__u32 range_writes(const struct range *r);
void range_compare(const struct range *r, struct result *sum);
void device_command(struct device *dev, __u64 iova);

/* edu.c */
void edu_copy(struct device *dev, unsigned int k, struct result *sum);

/* text.c */
void begin_line(int device);
void put_text(const char *text);
void put_number(__u32 number);
void put_hex(__u64 number);
void end_line(void);
__u32 parameter(const char *name, __u32 otherwise);
[[gnu::noreturn]] void give_up(const char *text);

/*
 * bare/ or linux.c.
 *
 * machine_range() gives range @k of guest memory, zeroed, and its IOVA; NULL if it
 * cannot. machine_devices() finds mock devices, or edu devices if the parameter "edu"
 * is not 0. machine_plugged() gives memory that was hot-added, NULL as long as there
 * is none. machine_wait() returns after about 10 ms, or after an interrupt.
 */
void machine_put(char c);
const char *machine_parameters(void);
unsigned int machine_devices(struct device *devices, unsigned int max);
unsigned char *machine_range(unsigned int k, __u32 length, __u64 *iova);
unsigned char *machine_plugged(__u32 length, __u64 *iova);
__u32 *machine_table(unsigned int k, __u32 entries);
__u64 machine_scratch(void);
void machine_wait(void);
[[gnu::noreturn]] void machine_end(void);

#endif
