// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IO page table
 *
 * An io_pagetable maps memory at IOVAs. It is a set of areas. Every area is filled
 * into every domain of the io_pagetable; accesses use areas without a domain.
 *
 * Mapping an area takes three steps: insert the area, which reserves its IOVAs; fill
 * the domains, with &io_pagetable.iova_rwsem dropped; publish the area by setting
 * &iopt_area.pages. Unmapping reverses the steps. Only whole areas are unmapped: an
 * area that one call mapped is unmapped by one call.
 */
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/pid.h>

#include "space/io_pagetable.h"
#include "space/iova_space.h"

LIST_HEAD(iopt_list);
/* guards iopt_list */
DEFINE_MUTEX(iopt_list_mutex);

/**
 * iopt_init_table() - initialize an empty IOAS
 * @iopt: the IOAS
 */
void iopt_init_table(struct io_pagetable *iopt)
{
	static atomic64_t last_id;

	mutex_init(&iopt->tracking_mutex);
	init_rwsem(&iopt->domains_rwsem);
	init_rwsem(&iopt->iova_rwsem);
	iopt->area_itree = RB_ROOT_CACHED;
	iopt->allowed_itree = RB_ROOT_CACHED;
	iopt->reserved_itree = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&iopt->domains);
	xa_init_flags(&iopt->access_list, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	iopt->num_locking = 0;
	iopt->disable_large_pages = false;
	iopt->num_areas = 0;
	iopt->num_joined = 0;
	iopt->num_invalid = 0;
	iopt->tracking = false;
	iova_set_init(&iopt->spill);
	iopt->iova_alignment = 1;

	iopt->id = atomic64_inc_return(&last_id);
	iopt->tgid = task_tgid_nr(current);
	get_task_comm(iopt->comm, current->group_leader);
	iopt->stats = (struct iopt_stats) {};
	spin_lock_init(&iopt->stats.lock);
	guard(mutex)(&iopt_list_mutex);
	list_add_tail(&iopt->item, &iopt_list);
}
EXPORT_SYMBOL_NS_GPL(iopt_init_table, IOMMU_IOPT);

/**
 * iopt_destroy_table() - free the memory of an IOAS
 * @iopt: the IOAS, without areas, domains and accesses
 */
void iopt_destroy_table(struct io_pagetable *iopt)
{
	scoped_guard(mutex, &iopt_list_mutex)
		list_del(&iopt->item);

	/* A range that a test reserved has no owner that would release it. */
	if (IS_ENABLED(CONFIG_IOPT_TEST_HOOKS))
		iopt_remove_reserved_iova(iopt, NULL);
	iopt_free_allowed(&iopt->allowed_itree);
	iova_set_clear(&iopt->spill);

	WARN_ON(!RB_EMPTY_ROOT(&iopt->area_itree.rb_root) || iopt->num_areas);
	WARN_ON(!RB_EMPTY_ROOT(&iopt->reserved_itree.rb_root));
	WARN_ON(!list_empty(&iopt->domains));
	WARN_ON(!xa_empty(&iopt->access_list));
	xa_destroy(&iopt->access_list);
	mutex_destroy(&iopt->tracking_mutex);
}
EXPORT_SYMBOL_NS_GPL(iopt_destroy_table, IOMMU_IOPT);

MODULE_IMPORT_NS(IOMMUFD);
MODULE_DESCRIPTION("I/O address spaces of /dev/iommu and VFIO containers");
MODULE_LICENSE("GPL");
