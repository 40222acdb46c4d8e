/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel counts of pinned memory, to see that nothing is left over. */
#ifndef _VFIO_SELFTEST_COUNTS_H
#define _VFIO_SELFTEST_COUNTS_H

struct __test_metadata;

/* Who is not root cannot ask for up-to-date numbers of the machine. */
#define COUNTS_UNKNOWN	(-1L)

/**
 * struct counts - pages, at one moment
 * @pins: pins of pages that were not undone, in the whole machine; or
 *	COUNTS_UNKNOWN, which equals everything
 * @vm_pin: pinned by this process (VmPin)
 * @vm_lck: locked by this process (VmLck)
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
