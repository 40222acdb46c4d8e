// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: groups
 *
 * A group of devices that have an IOMMU is attached to a domain, which has all
 * of the container's mappings. Groups share a domain where one is good for both,
 * so that there are few to fill. A domain that tells what was written is never
 * shared with one that cannot. A group without an IOMMU is only known.
 *
 * There are drivers that pin pages although their device has an IOMMU: they
 * promise that it writes to nothing else. Once all groups of a domain do, the
 * engine need not take everything for dirty where the IOMMU does not tell.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "type1_container.h"

/**
 * struct vfio_type1_domain - page tables for one group or more
 * @domain: the domain, which the container's table knows
 * @num_groups: groups that are attached to it; guarded by &type1.lock
 * @coherent: devices cannot pass the caches by; never changes
 *
 * Owner: its groups, all of the same container.
 */
struct vfio_type1_domain {
	struct iommu_domain *domain;
	unsigned int num_groups;
	bool coherent;
};

/**
 * struct vfio_type1_group - a group of the container
 * @item: in &vfio_type1.groups
 * @container: the container
 * @iommu_group: the group; vfio core keeps it
 * @domain: what it is attached to; NULL for one without an IOMMU; never changes
 * @sw_msi: where a window for software MSI has to be, or PHYS_ADDR_MAX
 * @pins: its drivers pin what they write; guarded by &vfio_type1.group_lock
 *
 * Owner: the container, while the group is attached. To the engine it is what
 * the IOVAs that its devices cannot use are reserved for.
 */
struct vfio_type1_group {
	struct list_head item;
	struct vfio_type1 *container;
	struct iommu_group *iommu_group;
	struct vfio_type1_domain *domain;
	phys_addr_t sw_msi;
	bool pins;
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

/* Tell the engine whether all groups of a domain pin what they write. */
static void update_scope(struct vfio_type1 *container,
			 struct vfio_type1_domain *domain)
{
	struct vfio_type1_group *group;
	bool pinned = true;

	lockdep_assert_held(&container->group_lock);

	list_for_each_entry(group, &container->groups, item)
		if (group->domain == domain && !group->pins)
			pinned = false;
	WARN_ON(iopt_set_pinned_scope(&container->iopt, domain->domain,
				      pinned));
}

/**
 * vfio_type1_group_pins() - a driver has pinned memory
 * @container: the container
 * @iommu_group: the group of the driver's device
 *
 * Context: takes &vfio_type1.group_lock and the engine's locks.
 */
void vfio_type1_group_pins(struct vfio_type1 *container,
			   struct iommu_group *iommu_group)
{
	struct vfio_type1_group *group;

	guard(mutex)(&container->group_lock);
	group = find_group(container, iommu_group);
	if (!group || group->pins)
		return;
	group->pins = true;
	update_scope(container, group->domain);
}

static void add_group(struct vfio_type1_group *group,
		      struct vfio_type1_domain *domain)
{
	struct vfio_type1 *container = group->container;

	lockdep_assert_held(&container->type1.lock);
	guard(mutex)(&container->group_lock);

	list_add_tail(&group->item, &container->groups);
	group->domain = domain;
	if (domain) {
		domain->num_groups++;
		update_scope(container, domain);
	}
}

static int get_first_device(struct device *dev, void *data)
{
	struct device **first = data;

	*first = get_device(dev);
	return 1;	/* not the next one */
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

static int reserve_for_device(struct device *dev, void *data)
{
	struct vfio_type1_group *group = data;

	return iopt_table_enforce_dev_resv_regions(&group->container->iopt, dev,
						   group, &group->sw_msi);
}

/*
 * Move a group from a domain of its own to one that the container has. Gives 1
 * where it did so, 0 where it is attached to its own one as before, or an errno
 * where it is attached to nothing.
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

static int attach_to_iommu(struct vfio_type1_group *group)
{
	struct io_pagetable *iopt = &group->container->iopt;
	struct iommu_group *iommu_group = group->iommu_group;
	const struct iommu_domain_ops *ops;
	struct vfio_type1_domain *domain;
	int rc;

	if (!vfio_type1_allow_unsafe_interrupts &&
	    !iommu_group_has_isolated_msi(iommu_group)) {
		pr_warn_ratelimited("vfio: interrupts of IOMMU group %d are not remapped, which parameter allow_unsafe_interrupts of vfio_iommu_type1 can overrule\n",
				    iommu_group_id(iommu_group));
		return -EPERM;
	}
	domain = alloc_domain(group);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	rc = iommu_group_for_each_dev(iommu_group, group, reserve_for_device);
	rc = rc ?: iommu_attach_group(domain->domain, iommu_group);
	if (rc)
		goto err_unreserve;

	/* What a domain can do depends on which devices are attached. */
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
	if (group->sw_msi != PHYS_ADDR_MAX)
		rc = iommu_get_msi_cookie(domain->domain, group->sw_msi);
	if (!rc || rc == -ENODEV)
		rc = iopt_table_add_domain(iopt, domain->domain);
	if (rc)
		goto err_detach;
	add_group(group, domain);
	return 0;

err_detach:
	iommu_detach_group(domain->domain, iommu_group);
err_unreserve:
	iopt_remove_reserved_iova(iopt, group);
	free_domain(domain);
	/* The ABI has one errno for what does not go together. */
	return rc == -EADDRINUSE ? -EINVAL : rc;
}

/**
 * vfio_type1_attach_group() - a group joins
 * @data: struct vfio_type1
 * @iommu_group: the group; if it has an IOMMU vfio core owns its DMA
 * @type: whether it has one
 *
 * Return: 0; EBUSY while mappings have no address; EINVAL where the group is
 * there, or has a device that cannot use an IOVA which is mapped; EPERM where it
 * can send any interrupt; ENODEV where it has no device; ENOMEM, EFAULT or what
 * else pinning and the IOMMU's driver give. After an error nothing has changed.
 * Context: takes &type1.lock, &vfio_type1.group_lock and the engine's locks.
 */
int vfio_type1_attach_group(void *data, struct iommu_group *iommu_group,
			    enum vfio_group_type type)
{
	struct vfio_type1 *container = data;
	struct vfio_type1_group *group;
	int rc;

	guard(mutex)(&container->type1.lock);
	/* Only ioctls change it. */
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
	group->pins = type == VFIO_EMULATED_IOMMU;
	if (group->pins) {
		add_group(group, NULL);
		container->num_emulated++;
		container->type1.emulated = true;
		return 0;
	}
	rc = attach_to_iommu(group);
	if (rc)
		kfree(group);
	return rc;
}

/**
 * vfio_type1_detach_group() - a group leaves
 * @data: struct vfio_type1
 * @iommu_group: the group
 *
 * With the last one goes what is mapped. Cannot fail.
 *
 * Context: takes &type1.lock, &vfio_type1.group_lock and the engine's locks.
 */
void vfio_type1_detach_group(void *data, struct iommu_group *iommu_group)
{
	struct vfio_type1 *container = data;
	struct vfio_type1_domain *domain;
	struct vfio_type1_group *group;

	guard(mutex)(&container->type1.lock);
	group = find_group(container, iommu_group);
	if (WARN_ON(!group))
		return;
	domain = group->domain;
	/* First of all: from here on nothing is written, so nothing is missed. */
	if (domain)
		iommu_detach_group(domain->domain, iommu_group);
	else
		container->type1.emulated = --container->num_emulated;

	scoped_guard(mutex, &container->group_lock) {
		list_del(&group->item);
		if (domain && --domain->num_groups)
			update_scope(container, domain);
	}
	/* It is by having groups that the user may map. */
	if (list_empty(&container->groups))
		WARN_ON(iopt_unmap_all(&container->iopt, NULL));
	if (domain && !domain->num_groups) {
		/* In the scope that its groups had: it tells what they wrote. */
		iopt_table_remove_domain(&container->iopt, domain->domain);
		free_domain(domain);
	}
	iopt_remove_reserved_iova(&container->iopt, group);
	kfree(group);
}

/**
 * vfio_type1_is_coherent() - whether devices cannot pass the caches by
 * @container: the container
 *
 * Return: whether no domain lets them.
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
