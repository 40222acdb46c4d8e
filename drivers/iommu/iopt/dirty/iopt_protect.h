/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages that are read-only for devices until they are unmapped: see iopt_protect.c.
 */
#ifndef __IOPT_PROTECT_H
#define __IOPT_PROTECT_H

struct io_pagetable;
struct iopt_area;
struct iopt_dirty_walk;

int iopt_protect_window(struct iopt_dirty_walk *walk, unsigned long iova,
			unsigned long last);
void iopt_unprotect_area(struct iopt_area *area);
void iopt_unprotect(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long last);

#endif
