// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of VFIO_DMA_UNMAP_FLAG_VADDR and VFIO_DMA_MAP_FLAG_VADDR: the user address of
 * mapped memory is invalidated, and replaced by an address of the same process or of
 * another one, to which the accounting of pinned pages moves.
 */
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
/* VADDR_AREAS adjacent areas of VADDR_PAGES each, and one after a gap of a page. */
#define VADDR_AREAS	3
#define VADDR_PAGES	4UL
#define VADDR_LENGTH	(VADDR_PAGES * PAGE_SIZE)
#define VADDR_ALL	(VADDR_AREAS * VADDR_LENGTH)
#define VADDR_FAR	(VADDR_IOVA + VADDR_ALL + PAGE_SIZE)

/**
 * struct vaddr_run - an IOVA space with areas
 * @test: the test
 * @iopt: the IOVA space
 * @address: address of the memory of the adjacent areas
 * @far: address of the memory of the area after the gap
 * @account_mode: counter that all pages are charged to
 */
struct vaddr_run {
	struct kunit *test;
	struct io_pagetable iopt;
	unsigned long address;
	unsigned long far;
	enum iopt_account_mode account_mode;
};

static void vaddr_map(struct vaddr_run *run, unsigned long iova,
		      unsigned long address)
{
	KUNIT_ASSERT_EQ(run->test, 0,
			iopt_kunit_map(&run->iopt, iova, address, VADDR_LENGTH,
				       run->account_mode));
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
			  run->address + i * VADDR_LENGTH);
	vaddr_map(run, VADDR_FAR, run->far);
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

/* Invalidate the addresses of a range, and check the number of bytes it returns. */
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

/* Write to an IOVA: it fails with @rc, or the value is found at @address. */
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
 * struct vaddr_case - a range of IOVAs
 * @name: name of the test parameter
 * @start: first IOVA, relative to VADDR_IOVA
 * @length: length in bytes
 * @bytes: expected number of bytes that are invalidated, or updated
 * @rc: expected result
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
	{ "begins within one", 1, VADDR_LENGTH - 1, 0, -ENOENT },
	{ "ends within one", 0, VADDR_LENGTH + PAGE_SIZE, 0, -ENOENT },
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
		/* A range with an invalid area cannot be invalidated. */
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

/* After an update by the same process, the IOVAs refer to the memory at the new address. */
static void update_of_whole_invalid_areas_only_succeeds(struct kunit *test)
{
	struct vaddr_run *run = vaddr_begin(test, IOPT_PAGES_ACCOUNT_NONE);
	unsigned long to = iopt_kunit_mmap(test, 16 * VADDR_PAGES);
	const struct vaddr_case *c = test->param_value;
	unsigned long iova = VADDR_IOVA + c->start;

	/* Valid areas cannot be updated. */
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

	/* Update one more area and unmap the other invalid ones, if any was updated. */
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

/* Both parts of a split area stay invalid; each is updated by an address of its own. */
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
 * struct mm_move_case - an update by another process
 * @name: name of the test parameter
 * @mode: counter that pages are charged to
 * @mm: pages are charged to locked_vm of the mm
 * @user: pages are charged to locked_vm of the user
 * @ipc_lock: the mapping process has CAP_IPC_LOCK
 * @limit: RLIMIT_MEMLOCK of the new process, in pages
 * @exited: the old process has exited
 * @rc: expected result of the update
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
	{ "not charged", IOPT_PAGES_ACCOUNT_NONE, .limit = 0 },
	{ "mm", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 16 },
	{ "mm, limit", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 15,
	  .rc = -ENOMEM },
	{ "mm, exited", IOPT_PAGES_ACCOUNT_MM, .mm = true, .limit = 16,
	  .exited = true },
	{ "type1", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true, .limit = 16 },
	{ "type1, limit", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true, .limit = 15,
	  .rc = -ENOMEM },
	{ "type1, no limit", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true,
	  .ipc_lock = true, .limit = 0 },
	{ "type1, no limit, exited", IOPT_PAGES_ACCOUNT_TYPE1, .mm = true,
	  .ipc_lock = true, .limit = 0, .exited = true },
	{ "mm, no limit", IOPT_PAGES_ACCOUNT_MM, .ipc_lock = true, .limit = 0 },
	{ "user", IOPT_PAGES_ACCOUNT_USER, .user = true, .limit = 0 },
};

KUNIT_ARRAY_PARAM_DESC(mm_move, mm_move_cases, name);

#define MM_MOVE_PAGES	(4 * VADDR_PAGES)

/* All pages are accounted to @mm, and none to @other. */
static void mm_move_check(struct kunit *test, struct mm_struct *mm,
			  struct mm_struct *other)
{
	const struct mm_move_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;

	iopt_kunit_expect_pins(test, MM_MOVE_PAGES);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->pinned_vm), MM_MOVE_PAGES);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->pinned_vm), 0);
	KUNIT_EXPECT_EQ(test, mm->locked_vm, c->mm ? MM_MOVE_PAGES : 0);
	/* The engine does not uncharge locked_vm of a process that has exited. */
	if (!c->exited)
		KUNIT_EXPECT_EQ(test, other->locked_vm, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm),
			ik->user_locked + (c->user ? MM_MOVE_PAGES : 0));
}

/**
 * struct mm_move_run - an IOVA space that moves from one process to another
 * @run: the IOVA space, whose areas the old process has mapped
 * @kd: a domain of the IOVA space, so that every page is pinned
 * @new: the mm of the new process
 * @to: address of memory in @new
 */
struct mm_move_run {
	struct vaddr_run *run;
	struct iopt_kunit_domain kd;
	struct mm_struct *new;
	unsigned long to;
};

/* Map and pin memory, invalidate its address, and give the thread a new mm. */
static void mm_move_begin(struct kunit *test, struct mm_move_run *move)
{
	const struct mm_move_case *c = test->param_value;
	struct iopt_kunit *ik = test->priv;

	if (!c->ipc_lock)
		iopt_kunit_drop_ipc_lock(test);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
	move->run = vaddr_begin(test, c->mode);
	iopt_kunit_domain_init(test, &move->kd, SZ_4K, VADDR_IOVA, SZ_1M);
	KUNIT_ASSERT_EQ(test, 0,
			iopt_table_add_domain(&move->run->iopt,
					      &move->kd.domain));
	KUNIT_EXPECT_EQ(test, 0, vaddr_invalidate(move->run, 0, SZ_1G,
						  MM_MOVE_PAGES * PAGE_SIZE));
	/* iopt_kunit_mmap() gives a thread without an mm a new one. */
	kthread_unuse_mm(ik->mm);
	move->to = iopt_kunit_mmap(test, MM_MOVE_PAGES);
	move->new = current->mm;
	KUNIT_ASSERT_PTR_NE(test, move->new, ik->mm);
	mm_move_check(test, ik->mm, move->new);
}

/* Unmap, check that no page is accounted to the new mm, and restore the old mm. */
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
		/* The adjacent areas were updated; the limit is too low for the last. */
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

/* If not all pages of a range can be charged, no area of the range is updated. */
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
