// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of addresses that change. Memory is mapped, loses its address and gets
 * another one, in the same process or in another, which then has to account for
 * what is pinned.
 */
#include <linux/cred.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>

#include "iopt_area.h"
#include "iopt_kunit.h"
#include "test_hooks.h"

#define VADDR_IOVA	SZ_16M
/* Areas side by side, of so many pages each, and one after a gap of a page. */
#define VADDR_AREAS	3
#define VADDR_PAGES	4UL
#define VADDR_LENGTH	(VADDR_PAGES * PAGE_SIZE)
#define VADDR_ALL	(VADDR_AREAS * VADDR_LENGTH)
#define VADDR_FAR	(VADDR_IOVA + VADDR_ALL + PAGE_SIZE)

/**
 * struct vaddr_run - a table with areas
 * @test: the test
 * @iopt: the table
 * @address: of the memory of the areas, side by side too
 * @far: of the memory behind the gap
 * @account_mode: how all of it is counted
 */
struct vaddr_run {
	struct kunit *test;
	struct io_pagetable iopt;
	unsigned long address;
	unsigned long far;
	enum iopt_account_mode account_mode;
};

static void vaddr_map(struct vaddr_run *run, unsigned long iova,
		      unsigned long address, enum iopt_account_mode mode)
{
	struct iopt_map map = {
		.iova = iova,
		.length = VADDR_LENGTH,
		.prot = IOMMU_READ | IOMMU_WRITE,
		.account_mode = mode,
	};

	KUNIT_ASSERT_EQ(run->test, 0,
			iopt_map_user_pages(&run->iopt, &map,
					    (void __user *)address));
}

static struct vaddr_run *vaddr_begin(struct kunit *test,
				     enum iopt_account_mode mode)
{
	struct vaddr_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	run->account_mode = mode;
	iopt_init_table(&run->iopt);
	run->address = iopt_kunit_mmap(test, VADDR_ALL / PAGE_SIZE);
	run->far = iopt_kunit_mmap(test, VADDR_PAGES);
	for (unsigned int i = 0; i < VADDR_AREAS; i++)
		vaddr_map(run, VADDR_IOVA + i * VADDR_LENGTH,
			  run->address + i * VADDR_LENGTH, mode);
	vaddr_map(run, VADDR_FAR, run->far, mode);
	return run;
}

static int vaddr_update(struct vaddr_run *run, unsigned long iova,
			unsigned long length, unsigned long vaddr)
{
	return iopt_update_vaddr(&run->iopt, iova, length, vaddr,
				 run->account_mode);
}

static void vaddr_end(struct vaddr_run *run)
{
	KUNIT_EXPECT_EQ(run->test, 0, iopt_unmap_all(&run->iopt, NULL));
	KUNIT_EXPECT_EQ(run->test, run->iopt.num_invalid, 0);
	iopt_destroy_table(&run->iopt);
}

/* Invalidate some pages of IOVAs, and see that it says how many bytes. */
static int vaddr_invalidate(struct vaddr_run *run, unsigned long iova,
			    unsigned long length, unsigned long bytes)
{
	unsigned long invalidated = 1;
	int rc;

	rc = iopt_invalidate_vaddr(&run->iopt, iova, iova + length - 1,
				   &invalidated);
	KUNIT_EXPECT_EQ(run->test, invalidated, rc ? 0 : bytes);
	return rc;
}

/* What is written is found at an address, or nothing can be written. */
static void vaddr_check_rw(struct vaddr_run *run, unsigned long iova,
			   unsigned long address, int rc)
{
	static u32 value;
	u32 found;

	value++;
	KUNIT_EXPECT_EQ(run->test, rc,
			iopt_rw(&run->iopt, iova, &value, sizeof(value),
				IOMMUFD_ACCESS_RW_WRITE));
	if (rc)
		return;
	KUNIT_EXPECT_EQ(run->test, 0,
			copy_from_user(&found, (void __user *)address,
				       sizeof(found)));
	KUNIT_EXPECT_EQ(run->test, found, value);
}

/**
 * struct vaddr_case - a range
 * @name: of the row
 * @start: where it begins, from the first area on
 * @length: bytes
 * @bytes: how many lose their address
 * @rc: or what comes of it
 */
struct vaddr_case {
	const char *name;
	unsigned long start;
	unsigned long length;
	unsigned long bytes;
	int rc;
};

#define FAR	(VADDR_FAR - VADDR_IOVA)

static const struct vaddr_case invalidate_cases[] = {
	{ "one", 0, VADDR_LENGTH, VADDR_LENGTH, 0 },
	{ "some", VADDR_LENGTH, 2 * VADDR_LENGTH, 2 * VADDR_LENGTH, 0 },
	{ "all", 0, SZ_16M, 4 * VADDR_LENGTH, 0 },
	{ "around a gap", 2 * VADDR_LENGTH, SZ_1M, 2 * VADDR_LENGTH, 0 },
	{ "nothing", SZ_1M, SZ_1M, 0, 0 },
	{ "cut at the front", 1, VADDR_LENGTH - 1, 0, -ENOENT },
	{ "cut at the end", 0, VADDR_LENGTH + PAGE_SIZE, 0, -ENOENT },
	{ "part of one", PAGE_SIZE, PAGE_SIZE, 0, -ENOENT },
};

KUNIT_ARRAY_PARAM_DESC(invalidate, invalidate_cases, name);

static void vaddr_test_invalidate(struct kunit *test)
{
	struct vaddr_run *run = vaddr_begin(test, IOPT_PAGES_ACCOUNT_NONE);
	const struct vaddr_case *c = test->param_value;
	unsigned int n = c->bytes / VADDR_LENGTH;
	struct page *page;

	KUNIT_EXPECT_EQ(test, c->rc,
			vaddr_invalidate(run, VADDR_IOVA + c->start, c->length,
					 c->bytes));
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, n);
	for (unsigned int i = 0; i < VADDR_AREAS; i++)
		vaddr_check_rw(run, VADDR_IOVA + i * VADDR_LENGTH,
			       run->address + i * VADDR_LENGTH,
			       n ? -EBUSY : 0);
	if (n) {
		KUNIT_EXPECT_EQ(test, -EBUSY,
				iopt_pin_pages(&run->iopt, VADDR_IOVA,
					       PAGE_SIZE, &page, 0));
		/* Once, and then nothing of more than that. */
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vaddr_invalidate(run, VADDR_IOVA, SZ_16M, 0));
		KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, n);
	}
	vaddr_end(run);
}

static const struct vaddr_case update_cases[] = {
	{ "nothing there", SZ_1M, PAGE_SIZE, 0, -ENOENT },
	{ "nothing in the gap", VADDR_ALL, PAGE_SIZE, 0, -ENOENT },
	{ "zero", 0, 0, 0, -EINVAL },
	{ "short", 0, VADDR_LENGTH - PAGE_SIZE, 0, -EINVAL },
	{ "long", 2 * VADDR_LENGTH, VADDR_LENGTH + PAGE_SIZE, 0, -EINVAL },
	{ "late", PAGE_SIZE, VADDR_LENGTH - PAGE_SIZE, 0, -EINVAL },
	{ "early", FAR - PAGE_SIZE, VADDR_LENGTH + PAGE_SIZE, 0, -EINVAL },
	{ "with a gap", 2 * VADDR_LENGTH, 2 * VADDR_LENGTH + PAGE_SIZE, 0,
	  -EINVAL },
	{ "wraps", 0, -VADDR_IOVA + 1UL, 0, -EOVERFLOW },
	{ "one", 0, VADDR_LENGTH, VADDR_LENGTH, 0 },
	{ "the last one", FAR, VADDR_LENGTH, VADDR_LENGTH, 0 },
	{ "some", VADDR_LENGTH, 2 * VADDR_LENGTH, 2 * VADDR_LENGTH, 0 },
};

KUNIT_ARRAY_PARAM_DESC(update, update_cases, name);

/* In the same process: with another address the same IOVA is other memory. */
static void vaddr_test_update(struct kunit *test)
{
	struct vaddr_run *run = vaddr_begin(test, IOPT_PAGES_ACCOUNT_NONE);
	unsigned long to = iopt_kunit_mmap(test, 16 * VADDR_PAGES);
	const struct vaddr_case *c = test->param_value;
	unsigned long iova = VADDR_IOVA + c->start;

	/* What has an address cannot get one. */
	KUNIT_EXPECT_EQ(test, c->rc ?: -EINVAL,
			vaddr_update(run, iova, c->length, to));
	KUNIT_EXPECT_EQ(test, 0, vaddr_invalidate(run, 0, SZ_1G,
						  4 * VADDR_LENGTH));
	if (!c->rc) {
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vaddr_update(run, iova, c->length, to + 8));
		KUNIT_EXPECT_EQ(test, -EOVERFLOW,
				vaddr_update(run, iova, c->length, -PAGE_SIZE));
	}
	KUNIT_EXPECT_EQ(test, c->rc,
			vaddr_update(run, iova, c->length, to));
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid,
			4 - c->bytes / VADDR_LENGTH);
	vaddr_check_rw(run, VADDR_IOVA, run->address, -EBUSY);

	/* The rest goes with its areas, or stays invalid for the test's end. */
	if (!c->rc && c->start != FAR) {
		KUNIT_EXPECT_EQ(test, 0,
				vaddr_update(run, VADDR_FAR,
					     VADDR_LENGTH, run->far));
		for (unsigned int i = 0; i < VADDR_AREAS; i++) {
			unsigned long start = i * VADDR_LENGTH;

			if (start < c->start || start >= c->start + c->length)
				iopt_unmap_iova(&run->iopt, VADDR_IOVA + start,
						VADDR_LENGTH, NULL);
		}
		KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 0);
		for (unsigned long n = 0; n < c->length; n += PAGE_SIZE)
			vaddr_check_rw(run, iova + n, to + n, 0);
		vaddr_check_rw(run, VADDR_FAR, run->far, 0);
	}
	vaddr_end(run);
}

/* What is cut stays invalid, and the pieces keep their distance. */
static void vaddr_test_cut(struct kunit *test)
{
	unsigned long cut = VADDR_IOVA + PAGE_SIZE - 1;
	struct vaddr_run *run = vaddr_begin(test, IOPT_PAGES_ACCOUNT_NONE);
	unsigned long to = iopt_kunit_mmap(test, VADDR_PAGES);

	KUNIT_EXPECT_EQ(test, 0, vaddr_invalidate(run, VADDR_IOVA, VADDR_LENGTH,
						  VADDR_LENGTH));
	KUNIT_ASSERT_EQ(test, 0, iopt_cut_iova(&run->iopt, &cut, 1));
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 2);
	KUNIT_EXPECT_EQ(test, 0,
			vaddr_update(run, cut + 1, VADDR_LENGTH - PAGE_SIZE,
				     to + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 1);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap_iova(&run->iopt, VADDR_IOVA, PAGE_SIZE, NULL));
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 0);
	for (unsigned long n = PAGE_SIZE; n < VADDR_LENGTH; n += PAGE_SIZE)
		vaddr_check_rw(run, VADDR_IOVA + n, to + n, 0);
	vaddr_end(run);
}

/**
 * struct heir_case - another process gets the memory
 * @name: of the row
 * @mode: how pages are counted
 * @mm: they are counted in the mm's locked_vm
 * @user: they are counted in the user's
 * @ipc_lock: who maps may lock any amount
 * @limit: pages that the new process may lock
 * @gone: the old process is gone
 * @rc: what comes of it
 */
struct heir_case {
	const char *name;
	enum iopt_account_mode mode;
	bool mm;
	bool user;
	bool ipc_lock;
	unsigned long limit;
	bool gone;
	int rc;
};

static const struct heir_case heir_cases[] = {
	{ "not counted", IOPT_PAGES_ACCOUNT_NONE, .limit = 0 },
	{ "mm", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 16 },
	{ "mm, limit", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 15,
	  .rc = -ENOMEM },
	{ "mm, gone", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 16,
	  .gone = true },
	{ "type1", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true, .limit = 16 },
	{ "type1, limit", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true, .limit = 15,
	  .rc = -ENOMEM },
	{ "type1, no limit", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true,
	  .ipc_lock = true, .limit = 0 },
	{ "type1, no limit, gone", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true,
	  .ipc_lock = true, .limit = 0, .gone = true },
	{ "mm, no limit", IOPT_PAGES_ACCOUNT_MM, .ipc_lock = true, .limit = 0 },
	{ "user", IOPT_PAGES_ACCOUNT_USER, .user = true, .limit = 0 },
};

KUNIT_ARRAY_PARAM_DESC(heir, heir_cases, name);

#define HEIR_PAGES	(4 * VADDR_PAGES)

/* The pages are @mm's, and nobody else's. */
static void heir_check(struct kunit *test, struct mm_struct *mm,
		       struct mm_struct *other)
{
	const struct heir_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;

	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(ik->pins + HEIR_PAGES),
			ik->pins + HEIR_PAGES);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->pinned_vm), HEIR_PAGES);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, mm->locked_vm, c->mm ? HEIR_PAGES : 0);
	/* Nobody looks at that of a process that is gone. */
	if (!c->gone)
		KUNIT_EXPECT_EQ(test, other->locked_vm, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm),
			ik->user_locked + (c->user ? HEIR_PAGES : 0));
}

/**
 * struct heir_run - the old process and the new one
 * @run: what the old one has mapped
 * @kd: a domain that has it, so that all of it is pinned
 * @cred: what the test's thread may do otherwise
 * @new: the new process
 * @to: where it has memory
 */
struct heir_run {
	struct vaddr_run *run;
	struct iopt_kunit_domain kd;
	const struct cred *cred;
	struct mm_struct *new;
	unsigned long to;
};

/* Everything is pinned and without an address, the thread another process. */
static void heir_begin(struct kunit *test, struct heir_run *heir)
{
	const struct heir_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;
	struct cred *cred;

	if (!IS_ENABLED(CONFIG_MULTIUSER) && !c->ipc_lock)
		kunit_skip(test, "everybody may do everything");
	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	if (!c->ipc_lock)
		cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	heir->cred = override_creds(cred);
	put_cred(cred);

	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
	heir->run = vaddr_begin(test, c->mode);
	iopt_kunit_domain_init(test, &heir->kd, SZ_4K, VADDR_IOVA, SZ_1M);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&heir->run->iopt,
					      &heir->kd.domain));
	KUNIT_EXPECT_EQ(test, 0, vaddr_invalidate(heir->run, 0, SZ_1G,
						  HEIR_PAGES * PAGE_SIZE));
	/* The first map makes it one. */
	kthread_unuse_mm(ik->mm);
	heir->to = iopt_kunit_mmap(test, HEIR_PAGES);
	heir->new = current->mm;
	KUNIT_ASSERT_PTR_NE(test, heir->new, ik->mm);
	heir_check(test, ik->mm, heir->new);
}

/* Nothing is left with the new process, and the thread is the old one. */
static void heir_end(struct kunit *test, struct heir_run *heir)
{
	struct iopt_kunit *ik = test->priv;

	iopt_table_remove_domain(&heir->run->iopt, &heir->kd.domain);
	vaddr_end(heir->run);
	KUNIT_EXPECT_EQ(test, atomic64_read(&heir->new->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, heir->new->locked_vm, 0);
	kthread_unuse_mm(heir->new);
	mmput(heir->new);
	kthread_use_mm(ik->mm);
	revert_creds(heir->cred);
}

static int heir_update(struct vaddr_run *run, unsigned long to)
{
	return vaddr_update(run, VADDR_IOVA, VADDR_ALL, to) ?:
	       vaddr_update(run, VADDR_FAR, VADDR_LENGTH, to + VADDR_ALL);
}

static void heir_test(struct kunit *test)
{
	const struct heir_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;
	struct vaddr_run *run;
	struct heir_run heir;
	int users = 0;

	heir_begin(test, &heir);
	run = heir.run;
	if (c->gone)
		users = atomic_xchg(&ik->mm->mm_users, 0);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = c->limit * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, c->rc, heir_update(run, heir.to));
	if (c->gone) {
		atomic_set(&ik->mm->mm_users, users);
		ik->mm->locked_vm = 0;
	}
	if (c->rc) {
		/* The areas side by side went, what was too much did not. */
		KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 1);
		current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
		KUNIT_EXPECT_EQ(test, 0,
				vaddr_update(run, VADDR_FAR, VADDR_LENGTH,
					     heir.to + VADDR_ALL));
	}
	heir_check(test, heir.new, ik->mm);
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 0);
	vaddr_check_rw(run, VADDR_FAR, heir.to + VADDR_ALL, 0);
	heir_end(test, &heir);
}

static const struct heir_case too_much_cases[] = {
	{ "mm", IOPT_PAGES_ACCOUNT_MM, .mm = true },
	{ "type1", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true },
};

KUNIT_ARRAY_PARAM_DESC(too_much, too_much_cases, name);

/* A range of which not all can be charged: nothing has changed. */
static void heir_test_too_much(struct kunit *test)
{
	struct iopt_kunit *ik = test->priv;
	struct heir_run heir;

	heir_begin(test, &heir);
	for (unsigned long limit = 0; limit < VADDR_ALL / PAGE_SIZE; limit++) {
		current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur =
			limit * PAGE_SIZE;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				vaddr_update(heir.run, VADDR_IOVA,
					     VADDR_ALL, heir.to));
		heir_check(test, ik->mm, heir.new);
		KUNIT_EXPECT_EQ(test, heir.run->iopt.num_invalid, 4);
	}
	heir_end(test, &heir);
}

static struct kunit_case vaddr_kunit_cases[] = {
	KUNIT_CASE_PARAM(vaddr_test_invalidate, invalidate_gen_params),
	KUNIT_CASE_PARAM(vaddr_test_update, update_gen_params),
	KUNIT_CASE(vaddr_test_cut),
	KUNIT_CASE_PARAM(heir_test, heir_gen_params),
	KUNIT_CASE_PARAM(heir_test_too_much, too_much_gen_params),
	{}
};

static struct kunit_suite vaddr_suite = {
	.name = "iommufd_iopt_vaddr",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = vaddr_kunit_cases,
};

kunit_test_suite(vaddr_suite);
