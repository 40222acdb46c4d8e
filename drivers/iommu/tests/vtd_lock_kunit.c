// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit test of the lock order of the VT-d driver.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>

#include "../intel/iommu.h"

/**
 * DOC: Lock order of VT-d
 *
 * The driver takes iommu->lock inside of domain->lock, as when it enables dirty
 * tracking. So a function that takes both must not hold iommu->lock while it waits for
 * domain->lock.
 */

struct vtd_lock_fixture {
	struct dmar_domain domain;
	struct intel_iommu iommu;
	unsigned long domain_ids;
};

static int vtd_lock_attach(void *opaque)
{
	struct vtd_lock_fixture *f = opaque;

	return domain_attach_iommu(&f->domain, &f->iommu);
}

static struct vtd_lock_fixture *vtd_lock_create(struct kunit *test)
{
	struct vtd_lock_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	INIT_LIST_HEAD(&f->domain.devices);
	spin_lock_init(&f->domain.lock);
	xa_init(&f->domain.iommu_array);
	f->domain.domain.type = IOMMU_DOMAIN_UNMANAGED;
	/* Without a node, attaching looks at the devices under domain->lock. */
	f->domain.nid = NUMA_NO_NODE;
	f->domain.gaw = 48;
	spin_lock_init(&f->iommu.lock);
	f->iommu.domain_ids = &f->domain_ids;
	return f;
}

/* Wait until the thread only needs domain->lock; for a second at most. */
static bool vtd_lock_is_released(struct vtd_lock_fixture *f)
{
	unsigned long end = jiffies + HZ;

	while (time_before(jiffies, end)) {
		cpu_relax();
		/* The thread stores this under iommu->lock. */
		if (!xa_load(&f->domain.iommu_array, f->iommu.seq_id) ||
		    !spin_trylock(&f->iommu.lock))
			continue;
		spin_unlock(&f->iommu.lock);
		return true;
	}
	return false;
}

static void vtd_attach_releases_iommu_lock_before_domain_lock(struct kunit *test)
{
	struct vtd_lock_fixture *f = vtd_lock_create(test);
	struct task_struct *task;
	bool released;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	task = kthread_create(vtd_lock_attach, f, "vtd_lock");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	/* The thread runs while this one spins. */
	migrate_disable();
	kthread_bind(task, cpumask_any_but(cpu_online_mask, smp_processor_id()));

	spin_lock(&f->domain.lock);
	wake_up_process(task);
	released = vtd_lock_is_released(f);
	spin_unlock(&f->domain.lock);
	migrate_enable();

	KUNIT_EXPECT_EQ(test, 0, kthread_stop(task));
	put_task_struct(task);
	KUNIT_EXPECT_TRUE(test, released);
	domain_detach_iommu(&f->domain, &f->iommu);
}

static struct kunit_case vtd_lock_cases[] = {
	KUNIT_CASE(vtd_attach_releases_iommu_lock_before_domain_lock),
	{}
};

static struct kunit_suite vtd_lock_suite = {
	.name = "vtd_lock",
	.test_cases = vtd_lock_cases,
};

kunit_test_suite(vtd_lock_suite);
