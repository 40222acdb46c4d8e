/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's accounting of pinned memory, to check that no pin is leaked. */
#ifndef _VFIO_SELFTEST_COUNTS_H
#define _VFIO_SELFTEST_COUNTS_H

struct __test_metadata;

/* Only root can make the kernel sum up its per-CPU counters. */
#define COUNTS_UNKNOWN	(-1L)

/**
 * struct counts - numbers of pinned and locked pages
 * @pins: pins that are not undone, of the whole machine; COUNTS_UNKNOWN, which
 *	equals every number, without the privilege to read it
 * @vm_pin: pages pinned by this process (VmPin)
 * @vm_lck: pages locked by this process (VmLck)
 */
struct counts {
	long pins;
	long vm_pin;
	long vm_lck;
};

void counts_now(struct __test_metadata *_metadata, struct counts *counts);
void counts_check(struct __test_metadata *_metadata,
		  const struct counts *before, long pins, long vm_pin,
		  long vm_lck);
long counts_locked(void);

#endif
