/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that moves to the accounts of another process: see iopt_takeover.c.
 */
#ifndef __IOPT_TAKEOVER_H
#define __IOPT_TAKEOVER_H

#include <linux/xarray.h>

#include "memory/iopt_account.h"

struct io_pagetable;
struct iopt_pages;

/**
 * struct iopt_takeover - memory that the current process is taking over
 * @items: struct iopt_takeover_item by iopt_pages_key(), of memory that belongs to
 *	another process
 * @account_mode: counter of the current process that pages are charged to
 *
 * Owner: the calling thread, on its stack, from iopt_takeover_init() to
 * iopt_takeover_end().
 */
struct iopt_takeover {
	struct xarray items;
	enum iopt_account_mode account_mode;
};

void iopt_takeover_init(struct iopt_takeover *takeover,
			enum iopt_account_mode account_mode);
int iopt_takeover_pages(struct iopt_takeover *takeover,
			struct iopt_pages *pages);
struct iopt_pages *iopt_takeover_successor(struct iopt_takeover *takeover,
					   const struct iopt_pages *pages);
int iopt_takeover_add(struct iopt_takeover *takeover,
		      struct io_pagetable *iopt);
void iopt_takeover_commit(struct iopt_takeover *takeover);
void iopt_takeover_end(struct iopt_takeover *takeover);

#endif
