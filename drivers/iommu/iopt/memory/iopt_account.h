/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accounting of pinned pages: see iopt_pages.c.
 */
#ifndef __IOPT_ACCOUNT_H
#define __IOPT_ACCOUNT_H

/**
 * enum iopt_account_mode - counter that pinned pages are charged to
 * @IOPT_PAGES_ACCOUNT_NONE: no counter with a limit
 * @IOPT_PAGES_ACCOUNT_USER: locked_vm of the user, limited by RLIMIT_MEMLOCK
 * @IOPT_PAGES_ACCOUNT_MM: locked_vm of the mm, limited by RLIMIT_MEMLOCK
 * @IOPT_PAGES_ACCOUNT_TYPE1: locked_vm of the mm, limited by RLIMIT_MEMLOCK unless the
 *	mapping process has CAP_IPC_LOCK
 *
 * With CAP_IPC_LOCK, @IOPT_PAGES_ACCOUNT_USER and @IOPT_PAGES_ACCOUNT_MM become
 * @IOPT_PAGES_ACCOUNT_NONE. Pages are accounted in pinned_vm of the mm in every mode.
 */
enum iopt_account_mode {
	IOPT_PAGES_ACCOUNT_NONE,
	IOPT_PAGES_ACCOUNT_USER,
	IOPT_PAGES_ACCOUNT_MM,
	IOPT_PAGES_ACCOUNT_TYPE1,
};

#endif
