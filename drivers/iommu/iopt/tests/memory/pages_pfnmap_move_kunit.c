// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of PFNMAP memory without memory for the kernel, and of PFNMAP memory that
 * gets another address. A file that behaves as a BAR is mapped twice, side by side:
 * the engine makes an area of each VMA.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "tests/iopt_fault_kunit.h"
#include "tests/iopt_kunit.h"

#define MOVE_IOVA	SZ_1G
/* Pages of each VMA, and of both. */
#define MOVE_HALF	8UL
#define MOVE_PAGES	(2 * MOVE_HALF)
#define MOVE_LENGTH	(MOVE_PAGES * PAGE_SIZE)
/* 252 GiB: behind the memory of any machine that runs tests. */
#define MOVE_PFN	0x3f00000UL
/* Page frames between the two VMAs, and between two places. */
#define MOVE_GAP	32UL
#define MOVE_PLACE	128UL
/* More allocations than any call makes, also on a debug kernel. */
#define MOVE_MOST	500

static vm_fault_t move_fault(struct vm_fault *vmf)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, MOVE_PFN + vmf->pgoff);
}

static const struct vm_operations_struct move_vm_ops = {
	.fault = move_fault,
};

/* Map the file in two VMAs side by side. @place selects the page frames. */
static unsigned long move_map(struct kunit *test, unsigned long place)
{
	unsigned long pgoff = place * MOVE_PLACE;
	unsigned long address;

	address = iopt_kunit_mmap_pfnmap(test, &move_vm_ops, 0, pgoff,
					 MOVE_PAGES, PROT_READ | PROT_WRITE);
	iopt_kunit_mmap_pfnmap(test, &move_vm_ops,
			       address + MOVE_HALF * PAGE_SIZE,
			       pgoff + MOVE_HALF + MOVE_GAP, MOVE_HALF,
			       PROT_READ | PROT_WRITE);
	return address;
}

/**
 * struct move_run - an IOAS with a domain
 * @test: the test
 * @iopt: the IOAS
 * @kd: the domain
 * @ops: operations of @kd that count down @nomem
 * @kd_ops: operations of @kd without that
 * @nomem: number of calls of map_pages to fail with -ENOMEM
 */
struct move_run {
	struct kunit *test;
	struct io_pagetable iopt;
	struct iopt_kunit_domain kd;
	struct iommu_domain_ops ops;
	const struct iommu_domain_ops *kd_ops;
	unsigned int nomem;
};

static int move_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t paddr, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	struct move_run *run = container_of(domain, struct move_run, kd.domain);

	if (run->nomem) {
		run->nomem--;
		return -ENOMEM;
	}
	return run->kd_ops->map_pages(domain, iova, paddr, pgsize, pgcount,
				      prot, gfp, mapped);
}

static struct move_run *move_begin(struct kunit *test, bool large_pages)
{
	struct move_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	iopt_init_table(&run->iopt);
	if (!large_pages)
		KUNIT_ASSERT_EQ(test, 0, iopt_disable_large_pages(&run->iopt));
	iopt_kunit_domain_init(test, &run->kd, SZ_4K | SZ_2M, MOVE_IOVA,
			       MOVE_LENGTH);
	run->kd_ops = run->kd.domain.ops;
	run->ops = *run->kd_ops;
	run->ops.map_pages = move_map_pages;
	run->kd.domain.ops = &run->ops;
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&run->iopt, &run->kd.domain));
	return run;
}

static void move_end(struct move_run *run)
{
	struct iopt_kunit *ik = run->test->priv;

	KUNIT_EXPECT_EQ(run->test, 0, iopt_unmap_all(&run->iopt, NULL));
	KUNIT_EXPECT_EQ(run->test, 0, iopt_kunit_domain_mapped(&run->kd));
	KUNIT_EXPECT_EQ(run->test, run->kd.misuses, 0);
	KUNIT_EXPECT_EQ(run->test, iopt_kunit_check_pins(ik->pins), ik->pins);
	iopt_table_remove_domain(&run->iopt, &run->kd.domain);
	iopt_destroy_table(&run->iopt);
}

static int move_try_map(struct move_run *run, unsigned long address)
{
	struct iopt_map map = {
		.iova = MOVE_IOVA,
		.length = MOVE_LENGTH,
		.prot = IOMMU_READ | IOMMU_WRITE,
		.flags = IOPT_PFNMAP,
		.account_mode = IOPT_PAGES_ACCOUNT_TYPE1,
	};

	return iopt_map_user_pages(&run->iopt, &map, (void __user *)address);
}

static void move_invalidate(struct move_run *run)
{
	unsigned long invalidated;

	KUNIT_ASSERT_EQ(run->test, 0,
			iopt_invalidate_vaddr(&run->iopt, MOVE_IOVA,
					      MOVE_IOVA + MOVE_LENGTH - 1,
					      &invalidated));
	KUNIT_EXPECT_EQ(run->test, invalidated, MOVE_LENGTH);
}

static int move_update(struct move_run *run, unsigned long address)
{
	return iopt_update_vaddr(&run->iopt, MOVE_IOVA, MOVE_LENGTH, address,
				 IOPT_PAGES_ACCOUNT_TYPE1);
}

/* The domain maps the page frames of a place. */
static void move_check(struct move_run *run, unsigned long place)
{
	for (unsigned long i = 0; i < MOVE_PAGES; i++) {
		unsigned long pgoff = place * MOVE_PLACE + i +
				      (i < MOVE_HALF ? 0 : MOVE_GAP);

		KUNIT_EXPECT_EQ_MSG(run->test,
				    run->kd.phys[i * PAGE_SIZE / SZ_4K],
				    PFN_PHYS(MOVE_PFN + pgoff) |
				    IOPT_KUNIT_MAPPED, "page %lu", i);
	}
}

static void map_without_memory_leaves_nothing(struct kunit *test)
{
	struct move_run *run = move_begin(test, true);
	unsigned long address = move_map(test, 0);
	unsigned int nth, failures = 0;
	bool failed = true;
	int rc;

	iopt_kunit_begin_faults(test);
	for (nth = 1; failed; nth++) {
		KUNIT_ASSERT_LT(test, nth, MOVE_MOST);
		iopt_kunit_fail_nth(nth);
		rc = move_try_map(run, address);
		failed = iopt_kunit_end_fail_nth();
		/* There are allocations that the kernel can do without. */
		if (!rc) {
			move_check(run, 0);
			KUNIT_EXPECT_EQ(test, 0,
					iopt_unmap_all(&run->iopt, NULL));
		} else {
			KUNIT_EXPECT_TRUE(test, failed);
			KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
			failures++;
		}
		KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd));
	}
	/*
	 * Each of two areas needs itself, an iopt_pages, a notifier, an entry. But the
	 * order varies if the kernel is debugged: kmemleak allocates now and then.
	 */
	KUNIT_EXPECT_GT(test, failures, 0);
	move_end(run);
}

static void update_without_memory_changes_nothing(struct kunit *test)
{
	struct move_run *run = move_begin(test, true);
	unsigned long from = move_map(test, 0), to = move_map(test, 1);
	unsigned int nth, failures = 0, place = 0;
	bool failed = true;
	int rc;

	KUNIT_ASSERT_EQ(test, 0, move_try_map(run, from));
	iopt_kunit_begin_faults(test);
	for (nth = 1; failed; nth++) {
		KUNIT_ASSERT_LT(test, nth, MOVE_MOST);
		move_invalidate(run);
		iopt_kunit_fail_nth(nth);
		rc = move_update(run, to);
		failed = iopt_kunit_end_fail_nth();
		if (rc) {
			KUNIT_EXPECT_TRUE(test, failed);
			KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
			KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 2);
			move_check(run, place);
			failures++;
		} else if (failed) {
			/* The new place may be mapped in part: move once more. */
			move_invalidate(run);
		}
		if (failed)
			KUNIT_ASSERT_EQ(test, 0, move_update(run, to));
		KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 0);
		place = 1;
		move_check(run, place);
	}
	/* A notifier for each area; the order varies as above. */
	KUNIT_EXPECT_GT(test, failures, 0);
	move_end(run);
}

/* The new process cannot be accounted to without memory for its account. */
static void update_by_another_process_without_memory_fails(struct kunit *test)
{
	struct move_run *run = move_begin(test, true);
	struct iopt_kunit *ik = test->priv;
	unsigned long to;
	struct mm_struct *new;
	int rc;

	KUNIT_ASSERT_EQ(test, 0, move_try_map(run, move_map(test, 0)));
	move_invalidate(run);
	/* The first map makes the thread another process. */
	kthread_unuse_mm(ik->mm);
	to = move_map(test, 1);
	new = current->mm;
	KUNIT_ASSERT_PTR_NE(test, new, ik->mm);

	iopt_kunit_begin_faults(test);
	iopt_kunit_fail_all(true);
	rc = move_update(run, to);
	iopt_kunit_fail_all(false);
	KUNIT_EXPECT_EQ(test, -ENOMEM, rc);
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 2);
	move_check(run, 0);
	KUNIT_EXPECT_EQ(test, 0, move_update(run, to));
	move_check(run, 1);

	move_end(run);
	kthread_unuse_mm(new);
	mmput(new);
	kthread_use_mm(ik->mm);
}

/**
 * struct reclaim_case - a driver without memory
 * @name: of the row
 * @nomem: number of calls that fail
 * @rc: result
 */
struct reclaim_case {
	const char *name;
	unsigned int nomem;
	int rc;
};

/* The driver must not reclaim: the engine does, and calls it again 16 times. */
static const struct reclaim_case reclaim_cases[] = {
	{ "once", 1, 0 },
	{ "16 times", 16, 0 },
	{ "17 times", 17, -ENOMEM },
};

KUNIT_ARRAY_PARAM_DESC(reclaim, reclaim_cases, name);

static void map_retries_after_driver_is_out_of_memory(struct kunit *test)
{
	const struct reclaim_case *c = test->param_value;
	struct move_run *run = move_begin(test, true);
	unsigned long address = move_map(test, 0);

	run->nomem = c->nomem;
	KUNIT_EXPECT_EQ(test, c->rc, move_try_map(run, address));
	KUNIT_EXPECT_EQ(test, run->nomem, 0);
	if (c->rc)
		KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd));
	else
		move_check(run, 0);
	move_end(run);
}

/* With a leaf for each page, what is mapped of a run goes again. */
static void map_of_single_pages_is_undone_if_driver_fails(struct kunit *test)
{
	struct move_run *run = move_begin(test, false);
	unsigned long address = move_map(test, 0);

	for (unsigned int n = 1; n <= MOVE_PAGES; n++) {
		run->kd.maps = 0;
		run->kd.fail = n;
		KUNIT_EXPECT_EQ(test, IOPT_KUNIT_ERRNO,
				move_try_map(run, address));
		KUNIT_EXPECT_EQ(test, run->kd.maps, n);
		KUNIT_EXPECT_EQ(test, 0, iopt_kunit_domain_mapped(&run->kd));
	}
	run->kd.fail = 0;
	KUNIT_EXPECT_EQ(test, 0, move_try_map(run, address));
	move_check(run, 0);
	move_end(run);
}

static struct kunit_case move_cases[] = {
	KUNIT_CASE(map_without_memory_leaves_nothing),
	KUNIT_CASE(update_without_memory_changes_nothing),
	KUNIT_CASE(update_by_another_process_without_memory_fails),
	KUNIT_CASE_PARAM(map_retries_after_driver_is_out_of_memory, reclaim_gen_params),
	KUNIT_CASE(map_of_single_pages_is_undone_if_driver_fails),
	{}
};

static struct kunit_suite move_suite = {
	.name = "iommufd_pages_pfnmap_move",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = move_cases,
};

kunit_test_suite(move_suite);
