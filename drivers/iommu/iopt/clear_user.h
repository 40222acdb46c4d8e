/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clear user memory of any size.
 */
#ifndef __IOPT_CLEAR_USER_H
#define __IOPT_CLEAR_USER_H

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

/* Bytes of user memory that are cleared between calls of cond_resched(). */
#define IOPT_CLEAR_STEP		SZ_64K

/**
 * iopt_clear_user() - clear user memory of any size
 * @to: first byte
 * @length: length in bytes
 *
 * Return: 0, or
 * * -EFAULT: a part of the memory is not accessible
 * * -EINTR: the process received a fatal signal
 * Context: may sleep.
 */
static inline int iopt_clear_user(void __user *to, unsigned long length)
{
	unsigned long n;

	for (; length; length -= n, to += n) {
		n = min(length, IOPT_CLEAR_STEP);
		if (clear_user(to, n))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

#endif
