// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Groups of a type1 container
 *
 * Each group with an IOMMU is attached to a domain that has all mappings of
 * the container. Groups share a domain if it is compatible with both, so that
 * fewer domains have to be mapped. A group whose IOMMU supports dirty tracking
 * does not share a domain with a group whose IOMMU lacks it. A group without
 * an IOMMU has no domain.
 *
 * A driver whose device has an IOMMU may pin pages, too. Then its device writes
 * only pinned pages. If this holds for all groups of a domain that lacks dirty
 * tracking, the engine reports only pinned pages of the domain as dirty instead
 * of every mapped page.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <trace/events/vfio_type1.h>

#include "type1_container.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow groups whose devices can send any interrupt to the host");

/**
 * struct vfio_type1_domain - a domain of one or more groups of a container
 * @domain: the domain, which is added to &vfio_type1.iopt
 * @num_groups: number of attached groups; does not change during an ioctl
 * @coherent: whether DMA is always cache coherent; never changes
 *
 * Owner: the attached groups, which belong to one container.
 */
struct vfio_type1_domain {
	struct iommu_domain *domain;
	unsigned int num_groups;
	bool coherent;
};

/**
 * struct vfio_type1_group - a group of the container
 * @item: entry in &vfio_type1.groups
 * @container: the container
 * @iommu_group: the group; the VFIO core holds a reference
 * @domain: the attached domain, or NULL for a group without an IOMMU; never
 *	changes
 * @sw_msi: first IOVA of the window for software MSI, or PHYS_ADDR_MAX
 * @pinned_scope: whether the devices write only pinned pages; guarded by
 *	&vfio_type1.group_lock
 *
 * Owner: the container, while the group is attached. The engine uses the
 * pointer as the owner of the IOVA ranges that are reserved for the group's
 * devices.
 */
struct vfio_type1_group {
	struct list_head item;
	struct vfio_type1 *container;
	struct iommu_group *iommu_group;
	struct vfio_type1_domain *domain;
	phys_addr_t sw_msi;
	bool pinned_scope;
};

static struct vfio_type1_group *find_group(struct vfio_type1 *container,
					   struct iommu_group *iommu_group)
{
	struct vfio_type1_group *group;

	list_for_each_entry(group, &container->groups, item)
		if (group->iommu_group == iommu_group)
			return group;
	return NULL;
}

/* Update whether devices of all groups of a domain write only pinned pages. */
static void update_pinned_scope(struct vfio_type1 *container,
				struct vfio_type1_domain *domain)
{
	struct vfio_type1_group *group;
	bool pinned = true;

	lockdep_assert_held(&container->group_lock);

	list_for_each_entry(group, &container->groups, item)
		if (group->domain == domain && !group->pinned_scope)
			pinned = false;
	WARN_ON(iopt_set_pinned_scope(&container->iopt, domain->domain,
				      pinned));
}

/**
 * vfio_type1_set_pinned_scope() - limit dirty pages of a group to pinned pages
 * @container: the container
 * @iommu_group: group of a device whose driver has pinned memory
 *
 * Context: takes &vfio_type1.group_lock and the engine's locks.
 */
void vfio_type1_set_pinned_scope(struct vfio_type1 *container,
				 struct iommu_group *iommu_group)
{
	struct vfio_type1_group *group;

	guard(mutex)(&container->group_lock);
	group = find_group(container, iommu_group);
	if (!group || group->pinned_scope)
		return;
	group->pinned_scope = true;
	update_pinned_scope(container, group->domain);
}

static void add_group(struct vfio_type1_group *group,
		      struct vfio_type1_domain *domain)
{
	struct vfio_type1 *container = group->container;

	guard(mutex)(&container->group_lock);

	list_add_tail(&group->item, &container->groups);
	group->domain = domain;
	if (domain) {
		domain->num_groups++;
		update_pinned_scope(container, domain);
	}
}

static int get_first_device(struct device *dev, void *data)
{
	struct device **first = data;

	*first = get_device(dev);
	return 1;	/* stop after the first device */
}

static void free_domain(struct vfio_type1_domain *domain)
{
	if (!IS_ERR(domain->domain))
		iommu_domain_free(domain->domain);
	kfree(domain);
}

static struct vfio_type1_domain *alloc_domain(struct vfio_type1_group *group)
{
	struct vfio_type1_domain *domain;
	struct device *dev = NULL;
	int rc;

	domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	iommu_group_for_each_dev(group->iommu_group, &dev, get_first_device);
	domain->domain = dev ? iopt_domain_alloc(dev) : ERR_PTR(-ENODEV);
	put_device(dev);
	rc = PTR_ERR_OR_ZERO(domain->domain);
	if (!rc && group->container->nesting)
		rc = iommu_enable_nesting(domain->domain);
	if (rc) {
		free_domain(domain);
		return ERR_PTR(rc);
	}
	return domain;
}

static int reserve_device_regions(struct device *dev, void *data)
{
	struct vfio_type1_group *group = data;

	return iopt_table_enforce_dev_resv_regions(&group->container->iopt, dev,
						   group, &group->sw_msi);
}

/*
 * Move a group from its own domain to a compatible domain of the container.
 * Returns 1 if the group was moved, 0 if it stays attached to its own domain,
 * or a negative errno if it is not attached to any domain.
 */
static int share_domain(struct vfio_type1_group *group,
			struct vfio_type1_domain *own)
{
	struct vfio_type1_domain *domain;
	struct vfio_type1_group *other;
	int rc;

	list_for_each_entry(other, &group->container->groups, item) {
		domain = other->domain;
		if (!domain || domain->domain->ops != own->domain->ops ||
		    domain->domain->dirty_ops != own->domain->dirty_ops ||
		    domain->coherent != own->coherent)
			continue;
		iommu_detach_group(own->domain, group->iommu_group);
		if (!iommu_attach_group(domain->domain, group->iommu_group)) {
			add_group(group, domain);
			return 1;
		}
		rc = iommu_attach_group(own->domain, group->iommu_group);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_interrupts(struct iommu_group *iommu_group)
{
	if (!allow_unsafe_interrupts &&
	    !iommu_group_has_isolated_msi(iommu_group)) {
		pr_warn_ratelimited("vfio: no interrupt remapping for IOMMU group %d; parameter allow_unsafe_interrupts of vfio_iommu_type1 allows such groups\n",
				    iommu_group_id(iommu_group));
		return -EPERM;
	}
	return 0;
}

/*
 * Use no window for software MSI if a device of the group has one for hardware
 * MSI. Returns 0 or a negative errno.
 */
static int prefer_hardware_msi(struct vfio_type1_group *group)
{
	struct iommu_resv_region *region, *next;
	LIST_HEAD(regions);
	int rc;

	if (group->sw_msi == PHYS_ADDR_MAX)
		return 0;
	rc = iommu_get_group_resv_regions(group->iommu_group, &regions);
	list_for_each_entry_safe(region, next, &regions, list) {
		if (region->type == IOMMU_RESV_MSI)
			group->sw_msi = PHYS_ADDR_MAX;
		list_del(&region->list);
		kfree(region);
	}
	return rc;
}

/* Check whether a group of the container has a domain. */
static bool has_domain(struct vfio_type1 *container)
{
	struct vfio_type1_group *group;

	list_for_each_entry(group, &container->groups, item)
		if (group->domain)
			return true;
	return false;
}

static int add_domain(struct vfio_type1_group *group,
		      struct iommu_domain *domain)
{
	int rc = 0;

	if (group->sw_msi != PHYS_ADDR_MAX)
		rc = iommu_get_msi_cookie(domain, group->sw_msi);
	if (rc && rc != -ENODEV)
		return rc;
	rc = iopt_table_add_domain(&group->container->iopt, domain);
	/* ABI: the errno is -ERANGE if the first domain lacks a mapped IOVA. */
	if (rc == -EADDRINUSE && !has_domain(group->container))
		rc = -ERANGE;
	return rc;
}

static int attach_iommu_group(struct vfio_type1_group *group)
{
	struct io_pagetable *iopt = &group->container->iopt;
	struct iommu_group *iommu_group = group->iommu_group;
	const struct iommu_domain_ops *ops;
	struct vfio_type1_domain *domain;
	int rc;

	domain = alloc_domain(group);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	rc = iommu_attach_group(domain->domain, iommu_group);
	if (rc)
		goto err_unreserve;
	/* ABI: the order of these checks determines the errno. */
	rc = iommu_group_for_each_dev(iommu_group, group,
				      reserve_device_regions);
	rc = rc ?: prefer_hardware_msi(group);
	rc = rc ?: check_interrupts(iommu_group);
	if (rc)
		goto err_detach;

	/* Coherency of a domain depends on the attached devices. */
	ops = domain->domain->ops;
	domain->coherent = ops->enforce_cache_coherency &&
			   ops->enforce_cache_coherency(domain->domain);
	rc = share_domain(group, domain);
	if (rc < 0)
		goto err_unreserve;
	if (rc) {
		free_domain(domain);
		return 0;
	}
	rc = add_domain(group, domain->domain);
	if (rc)
		goto err_detach;
	add_group(group, domain);
	return 0;

err_detach:
	iommu_detach_group(domain->domain, iommu_group);
err_unreserve:
	iopt_remove_reserved_iova(iopt, group);
	free_domain(domain);
	/* ABI: the errno for an incompatible group is -EINVAL. */
	return rc == -EADDRINUSE ? -EINVAL : rc;
}

/**
 * vfio_type1_attach_group() - attach a group to a container
 * @data: struct vfio_type1
 * @iommu_group: the group; if it has an IOMMU, the VFIO core owns its DMA
 * @type: whether the group has an IOMMU
 *
 * After an error, the container is unchanged.
 *
 * Return:
 * * 0: success
 * * -EBUSY: a mapping has no valid user address
 * * -EINVAL: the group is attached already, or a device of the group cannot use
 *   a mapped IOVA
 * * -ERANGE: the domain of the first group with an IOMMU cannot translate a
 *   mapped IOVA
 * * -EPERM: devices of the group can send any interrupt to the host
 * * -ENODEV: the group has no device
 * * -ENOMEM: out of memory
 * * -EFAULT: the user memory of a mapping cannot be pinned
 * * or another errno of pinning or of the IOMMU driver
 *
 * Context: no ioctl of the container is running; takes &vfio_type1.group_lock
 * and the engine's locks.
 */
int vfio_type1_attach_group(void *data, struct iommu_group *iommu_group,
			    enum vfio_group_type type)
{
	struct vfio_type1 *container = data;
	struct vfio_type1_group *group;
	int rc;

	/* Only ioctls change num_invalid, and none is running. */
	if (READ_ONCE(container->iopt.num_invalid))
		return -EBUSY;
	if (find_group(container, iommu_group))
		return -EINVAL;

	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return -ENOMEM;
	group->container = container;
	group->iommu_group = iommu_group;
	group->sw_msi = PHYS_ADDR_MAX;
	group->pinned_scope = type == VFIO_EMULATED_IOMMU;
	if (group->pinned_scope) {
		add_group(group, NULL);
		container->num_emulated++;
		WRITE_ONCE(container->type1.emulated, true);
		trace_vfio_type1_attach(container->iopt.id,
					iommu_group_id(iommu_group), 0);
		return 0;
	}
	rc = attach_iommu_group(group);
	if (rc)
		kfree(group);
	trace_vfio_type1_attach(container->iopt.id, iommu_group_id(iommu_group),
				rc);
	return rc;
}

/**
 * vfio_type1_detach_group() - detach a group from a container
 * @data: struct vfio_type1
 * @iommu_group: the group
 *
 * Detaching the last group unmaps everything. Cannot fail.
 *
 * Context: no ioctl of the container is running; takes &vfio_type1.group_lock
 * and the engine's locks.
 */
void vfio_type1_detach_group(void *data, struct iommu_group *iommu_group)
{
	struct vfio_type1 *container = data;
	struct vfio_type1_domain *domain;
	struct vfio_type1_group *group;

	group = find_group(container, iommu_group);
	if (WARN_ON(!group))
		return;
	domain = group->domain;
	/* Stop DMA first, so the dirty bits read below include all writes. */
	if (domain)
		iommu_detach_group(domain->domain, iommu_group);
	else
		WRITE_ONCE(container->type1.emulated,
			   --container->num_emulated);

	scoped_guard(mutex, &container->group_lock) {
		list_del(&group->item);
		if (domain && --domain->num_groups)
			update_pinned_scope(container, domain);
	}
	/* ABI: a container without groups has no mappings. */
	if (list_empty(&container->groups))
		WARN_ON(iopt_unmap_all(&container->iopt, NULL));
	if (domain && !domain->num_groups) {
		/* Reads dirty pages, with the pinned scope of its groups. */
		iopt_table_remove_domain(&container->iopt, domain->domain);
		free_domain(domain);
	}
	iopt_remove_reserved_iova(&container->iopt, group);
	kfree(group);
}

/**
 * vfio_type1_is_coherent() - check whether all DMA is cache coherent
 * @container: the container
 *
 * Return: true if all domains enforce cache coherency.
 * Context: takes &vfio_type1.group_lock.
 */
bool vfio_type1_is_coherent(struct vfio_type1 *container)
{
	struct vfio_type1_group *group;

	guard(mutex)(&container->group_lock);
	list_for_each_entry(group, &container->groups, item)
		if (group->domain && !group->domain->coherent)
			return false;
	return true;
}
