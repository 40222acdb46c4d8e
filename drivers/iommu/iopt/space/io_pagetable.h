/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOVA space of an IOAS: the memory mapped at each IOVA, and the IOMMU domains
 * that map it. See io_pagetable.c.
 */
#ifndef __IO_PAGETABLE_H
#define __IO_PAGETABLE_H

#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "space/iopt_stats.h"
#include "space/iova_set.h"

/**
 * struct io_pagetable - the IOVA space of an IOAS
 * @tracking_mutex: serialises enabling and disabling of dirty tracking, which
 *	walk all page tables with neither rwsem held for writing
 * @domains_rwsem: held for writing to change @domains, and thereby the domains that
 *	areas are filled into; held for reading while an area is filled or unfilled
 * @domains: list of struct iopt_domain
 * @domains_added: number of domains that were ever added; wraps
 * @iova_rwsem: guards every member below
 * @area_itree: struct iopt_area by IOVA; areas never overlap
 * @allowed_itree: struct iopt_allowed: IOVAs that cannot be reserved, and that the
 *	kernel allocates IOVAs from; if empty, the kernel allocates from all IOVAs
 * @reserved_itree: struct iopt_reserved: IOVAs that cannot be mapped
 * @access_list: struct iopt_access by &iopt_access.id
 * @num_locking: number of accesses with &iopt_access.locks_areas set; also read without
 *	a lock
 * @iova_alignment: alignment of IOVAs and lengths, in bytes: the largest one that a
 *	domain or an access requires; at most PAGE_SIZE
 * @disable_large_pages: map domains with leaves of PAGE_SIZE only, so that areas can
 *	be split
 * @num_areas: number of areas in @area_itree
 * @num_joined: number of areas with &iopt_area.joined set
 * @num_invalid: number of areas with &iopt_area.vaddr_invalid set
 * @tracking: dirty pages of the whole IOAS are tracked, see iopt_track.c
 * @spill: with @tracking, dirty IOVAs that no domain reports
 * @item: in iopt_list, with iopt_list_mutex held
 * @id: number of the IOAS in events and in debugfs; no other one ever has it; never
 *	changes
 * @tgid: the process that created the IOAS; never changes
 * @comm: its name then; never changes
 * @stats: statistics of queries
 *
 * Owner: the object that embeds it, from iopt_init_table() to iopt_destroy_table().
 *
 * Lock order: @tracking_mutex, @domains_rwsem, @iova_rwsem, a range of
 * &iopt_domain.query_lock, &iopt_pages.mutex, &iova_set.lock. The mmap lock nests
 * inside each of them except &iova_set.lock. &iopt_pfnmap.lock nests inside the mmap
 * lock. iopt_list_mutex is taken before @iova_rwsem, &iopt_stats.lock is an innermost
 * lock.
 *
 * @domains, @domains_added, @access_list, @num_locking, @iova_alignment and
 * @disable_large_pages change with both rwsems held for writing. Either rwsem, held for
 * reading or writing, suffices to read them.
 */
struct io_pagetable {
	/* serialises changes of dirty tracking */
	struct mutex tracking_mutex;
	struct rw_semaphore domains_rwsem;
	struct list_head domains;
	unsigned int domains_added;

	struct rw_semaphore iova_rwsem;
	struct rb_root_cached area_itree;
	struct rb_root_cached allowed_itree;
	struct rb_root_cached reserved_itree;
	struct xarray access_list;
	unsigned int num_locking;
	unsigned long iova_alignment;
	bool disable_large_pages;
	unsigned int num_areas;
	unsigned int num_joined;
	unsigned int num_invalid;
	bool tracking;
	struct iova_set spill;

	struct list_head item;
	u64 id;
	pid_t tgid;
	char comm[TASK_COMM_LEN];
	struct iopt_stats stats;
};

/* Every IOAS, from iopt_init_table() to iopt_destroy_table(). */
extern struct list_head iopt_list;
extern struct mutex iopt_list_mutex;

/* A fatal signal ends the wait of an ioctl for a lock. */
DEFINE_GUARD_COND(rwsem_read, _kill, down_read_killable(_T) == 0)
DEFINE_GUARD_COND(rwsem_write, _kill, down_write_killable(_T) == 0)

/*
 * Check an invariant of the engine. Only kernels with CONFIG_IOPT_TEST_HOOKS warn if
 * @condition is true. Every kernel evaluates @condition, and the value is that of
 * WARN_ON().
 */
#ifdef CONFIG_IOPT_TEST_HOOKS
#define IOPT_WARN_ON(condition) WARN_ON(condition)
#else
#define IOPT_WARN_ON(condition) ({	\
	bool __broken = !!(condition);	\
	unlikely(__broken);		\
})
#endif

void iopt_init_table(struct io_pagetable *iopt);
void iopt_destroy_table(struct io_pagetable *iopt);

#endif
