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

#include "iopt.h"
#include "space/iopt_area.h"
#include "test_hooks.h"
#include "tests/iopt_kunit.h"

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

static void invalidate_of_whole_areas_only_succeeds(struct kunit *test)
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
				iopt_pin_pages(&run->iopt, NULL, VADDR_IOVA,
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
static void update_of_whole_invalid_areas_only_succeeds(struct kunit *test)
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
static void split_of_invalid_area_gives_invalid_areas(struct kunit *test)
{
	unsigned long split = VADDR_IOVA + PAGE_SIZE - 1;
	struct vaddr_run *run = vaddr_begin(test, IOPT_PAGES_ACCOUNT_NONE);
	unsigned long to = iopt_kunit_mmap(test, VADDR_PAGES);

	KUNIT_EXPECT_EQ(test, 0, vaddr_invalidate(run, VADDR_IOVA, VADDR_LENGTH,
						  VADDR_LENGTH));
	KUNIT_ASSERT_EQ(test, 0, iopt_split_areas(&run->iopt, &split, 1));
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 2);
	KUNIT_EXPECT_EQ(test, 0,
			vaddr_update(run, split + 1, VADDR_LENGTH - PAGE_SIZE,
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
 * struct mm_move_case - another process gets the memory
 * @name: of the row
 * @mode: how pages are counted
 * @mm: they are counted in the mm's locked_vm
 * @user: they are counted in the user's
 * @ipc_lock: who maps may lock any amount
 * @limit: pages that the new process may lock
 * @exited: the old process is gone
 * @rc: what comes of it
 */
struct mm_move_case {
	const char *name;
	enum iopt_account_mode mode;
	bool mm;
	bool user;
	bool ipc_lock;
	unsigned long limit;
	bool exited;
	int rc;
};

static const struct mm_move_case mm_move_cases[] = {
	{ "not counted", IOPT_PAGES_ACCOUNT_NONE, .limit = 0 },
	{ "mm", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 16 },
	{ "mm, limit", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 15,
	  .rc = -ENOMEM },
	{ "mm, gone", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 16,
	  .exited = true },
	{ "type1", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true, .limit = 16 },
	{ "type1, limit", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true, .limit = 15,
	  .rc = -ENOMEM },
	{ "type1, no limit", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true,
	  .ipc_lock = true, .limit = 0 },
	{ "type1, no limit, gone", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true,
	  .ipc_lock = true, .limit = 0, .exited = true },
	{ "mm, no limit", IOPT_PAGES_ACCOUNT_MM, .ipc_lock = true, .limit = 0 },
	{ "user", IOPT_PAGES_ACCOUNT_USER, .user = true, .limit = 0 },
};

KUNIT_ARRAY_PARAM_DESC(mm_move, mm_move_cases, name);

#define MM_MOVE_PAGES	(4 * VADDR_PAGES)

/* The pages are @mm's, and nobody else's. */
static void mm_move_check(struct kunit *test, struct mm_struct *mm,
			  struct mm_struct *other)
{
	const struct mm_move_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;

	KUNIT_EXPECT_EQ(test, iopt_kunit_check_pins(ik->pins + MM_MOVE_PAGES),
			ik->pins + MM_MOVE_PAGES);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->pinned_vm), MM_MOVE_PAGES);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, mm->locked_vm, c->mm ? MM_MOVE_PAGES : 0);
	/* Nobody looks at that of a process that is gone. */
	if (!c->exited)
		KUNIT_EXPECT_EQ(test, other->locked_vm, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm),
			ik->user_locked + (c->user ? MM_MOVE_PAGES : 0));
}

/**
 * struct mm_move_run - the old process and the new one
 * @run: what the old one has mapped
 * @kd: a domain that has it, so that all of it is pinned
 * @cred: what the test's thread may do otherwise
 * @new: the new process
 * @to: where it has memory
 */
struct mm_move_run {
	struct vaddr_run *run;
	struct iopt_kunit_domain kd;
	const struct cred *cred;
	struct mm_struct *new;
	unsigned long to;
};

/* Everything is pinned and without an address, the thread another process. */
static void mm_move_begin(struct kunit *test, struct mm_move_run *move)
{
	const struct mm_move_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;
	struct cred *cred;

	if (!IS_ENABLED(CONFIG_MULTIUSER) && !c->ipc_lock)
		kunit_skip(test, "everybody may do everything");
	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	if (!c->ipc_lock)
		cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	move->cred = override_creds(cred);
	put_cred(cred);

	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
	move->run = vaddr_begin(test, c->mode);
	iopt_kunit_domain_init(test, &move->kd, SZ_4K, VADDR_IOVA, SZ_1M);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&move->run->iopt,
					      &move->kd.domain));
	KUNIT_EXPECT_EQ(test, 0, vaddr_invalidate(move->run, 0, SZ_1G,
						  MM_MOVE_PAGES * PAGE_SIZE));
	/* The first map makes it one. */
	kthread_unuse_mm(ik->mm);
	move->to = iopt_kunit_mmap(test, MM_MOVE_PAGES);
	move->new = current->mm;
	KUNIT_ASSERT_PTR_NE(test, move->new, ik->mm);
	mm_move_check(test, ik->mm, move->new);
}

/* Nothing is left with the new process, and the thread is the old one. */
static void mm_move_end(struct kunit *test, struct mm_move_run *move)
{
	struct iopt_kunit *ik = test->priv;

	iopt_table_remove_domain(&move->run->iopt, &move->kd.domain);
	vaddr_end(move->run);
	KUNIT_EXPECT_EQ(test, atomic64_read(&move->new->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, move->new->locked_vm, 0);
	kthread_unuse_mm(move->new);
	mmput(move->new);
	kthread_use_mm(ik->mm);
	revert_creds(move->cred);
}

static int mm_move_update(struct vaddr_run *run, unsigned long to)
{
	return vaddr_update(run, VADDR_IOVA, VADDR_ALL, to) ?:
	       vaddr_update(run, VADDR_FAR, VADDR_LENGTH, to + VADDR_ALL);
}

static void update_by_another_process_moves_accounting(struct kunit *test)
{
	const struct mm_move_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;
	struct vaddr_run *run;
	struct mm_move_run move;
	int users = 0;

	mm_move_begin(test, &move);
	run = move.run;
	if (c->exited)
		users = atomic_xchg(&ik->mm->mm_users, 0);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = c->limit * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, c->rc, mm_move_update(run, move.to));
	if (c->exited) {
		atomic_set(&ik->mm->mm_users, users);
		ik->mm->locked_vm = 0;
	}
	if (c->rc) {
		/* The areas side by side went, what was too much did not. */
		KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 1);
		current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
		KUNIT_EXPECT_EQ(test, 0,
				vaddr_update(run, VADDR_FAR, VADDR_LENGTH,
					     move.to + VADDR_ALL));
	}
	mm_move_check(test, move.new, ik->mm);
	KUNIT_EXPECT_EQ(test, run->iopt.num_invalid, 0);
	vaddr_check_rw(run, VADDR_FAR, move.to + VADDR_ALL, 0);
	mm_move_end(test, &move);
}

static const struct mm_move_case over_limit_cases[] = {
	{ "mm", IOPT_PAGES_ACCOUNT_MM, .mm = true },
	{ "type1", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true },
};

KUNIT_ARRAY_PARAM_DESC(over_limit, over_limit_cases, name);

/* A range of which not all can be charged: nothing has changed. */
static void update_over_limit_changes_nothing(struct kunit *test)
{
	struct iopt_kunit *ik = test->priv;
	struct mm_move_run move;

	mm_move_begin(test, &move);
	for (unsigned long limit = 0; limit < VADDR_ALL / PAGE_SIZE; limit++) {
		current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur =
			limit * PAGE_SIZE;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				vaddr_update(move.run, VADDR_IOVA,
					     VADDR_ALL, move.to));
		mm_move_check(test, ik->mm, move.new);
		KUNIT_EXPECT_EQ(test, move.run->iopt.num_invalid, 4);
	}
	mm_move_end(test, &move);
}

static struct kunit_case vaddr_kunit_cases[] = {
	KUNIT_CASE_PARAM(invalidate_of_whole_areas_only_succeeds, invalidate_gen_params),
	KUNIT_CASE_PARAM(update_of_whole_invalid_areas_only_succeeds, update_gen_params),
	KUNIT_CASE(split_of_invalid_area_gives_invalid_areas),
	KUNIT_CASE_PARAM(update_by_another_process_moves_accounting, mm_move_gen_params),
	KUNIT_CASE_PARAM(update_over_limit_changes_nothing, over_limit_gen_params),
	{}
};

static struct kunit_suite vaddr_suite = {
	.name = "iommufd_iopt_vaddr",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = vaddr_kunit_cases,
};

kunit_test_suite(vaddr_suite);
