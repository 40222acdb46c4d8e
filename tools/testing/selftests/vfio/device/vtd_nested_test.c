// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: nested translation of VT-d
 *
 * A first-stage page table in the memory of the process, as a guest would have
 * it, over a second stage with dirty bits. What the second stage reports are the
 * pages that the device wrote, and those of the page table in which the walk set
 * accessed and dirty bits. Random steps are compared with a model.
 */
#include <linux/iommufd.h>

#include "lib/device/edu.h"
#include "lib/test.h"

/* The guest's memory: pages for DMA, then two page tables. */
#define GPA		0x40000000ULL
#define PAGES		512
#define TABLE_PAGES	4
#define TABLES		2
#define ALL_PAGES	(PAGES + TABLES * TABLE_PAGES)
#define GPA_OF(page)	(GPA + (page) * SZ_4K)

/* What the first stage maps to the pages for DMA */
#define VA		0x80000000ULL

#define PARENT		(IOMMU_HWPT_ALLOC_NEST_PARENT | \
			 IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
#define STEPS		6000

/* Bits of a first-stage entry */
#define FS_VALID	0x7	/* present, writable, user */
#define FS_A		0x20
#define FS_D		0x40
#define FS_LARGE	0x80

/**
 * struct table - a first-stage page table
 * @id: its HWPT
 * @first: its first page in the guest's memory
 * @target: page that each page of the VA is mapped to
 */
struct table {
	__u32 id;
	unsigned int first;
	unsigned int target[PAGES];
};

/**
 * struct state - the device, two page tables, and the model
 * @bench: the device; the memory is that of the guest
 * @fd: /dev/iommu
 * @parent: HWPT of the second stage
 * @tables: the first stages
 * @current: what the device is attached to; NULL is the parent
 * @large: the first stages have one leaf of 2 MiB
 * @tracking: dirty tracking is on
 * @oracle: pages of the guest's memory that are dirty
 * @bm: result of a query
 * @seed: of the random steps
 */
struct state {
	struct bench bench;
	int fd;
	__u32 parent;
	struct table tables[TABLES];
	struct table *current;
	bool large;
	bool tracking;
	struct oracle oracle;
	struct guarded_bitmap bm;
	__u64 seed;
};

FIXTURE(vtd_nested)
{
	struct state state;
};

FIXTURE_VARIANT(vtd_nested)
{
	bool large;
};

FIXTURE_VARIANT_ADD(vtd_nested, first_stage_4k) { .large = false };

FIXTURE_VARIANT_ADD(vtd_nested, first_stage_2m) { .large = true };

/* The entry for @va in the page table of a level, the root being 0. */
static __u64 *entry(struct state *state, const struct table *table,
		    int level, __u64 va)
{
	__u64 *page = (__u64 *)(state->bench.mem.va +
				(table->first + level) * SZ_4K);

	return page + (va >> (39 - 9 * level)) % 512;
}

static int leaf_level(const struct state *state)
{
	return state->large ? 2 : 3;
}

static void table_fill(struct state *state, struct table *table)
{
	__u64 shift = next_random(&state->seed) % PAGES;

	for (int level = 0; level < leaf_level(state); level++)
		*entry(state, table, level, VA) =
			GPA_OF(table->first + level + 1) | FS_VALID;
	if (state->large)
		*entry(state, table, 2, VA) = GPA | FS_VALID | FS_LARGE;
	for (unsigned int page = 0; page < PAGES; page++) {
		table->target[page] = state->large ? page :
						     (page * 5 + shift) % PAGES;
		if (!state->large)
			*entry(state, table, 3, VA + page * SZ_4K) =
				GPA_OF(table->target[page]) | FS_VALID;
	}
}

static int alloc_nested(struct state *state, struct table *table, __u32 width)
{
	struct iommu_hwpt_vtd_s1 data = {
		.pgtbl_addr = GPA_OF(table->first),
		.addr_width = width,
	};

	return __hwpt_alloc_data(state->fd, state->bench.dev.dev_id,
				 state->parent, 0, 0, IOMMU_HWPT_DATA_VTD_S1,
				 &data, sizeof(data), &table->id);
}

FIXTURE_SETUP(vtd_nested)
{
	struct state *state = &self->state;
	struct bench *bench = &state->bench;

	state->large = variant->large;
	state->seed = 7;
	bench_open_edu(_metadata, bench, MODE_IOMMUFD);
	state->fd = bench->iommu.fd;
	mem_alloc(_metadata, &bench->mem, ALL_PAGES * SZ_4K, MEM_4K);
	mem_scatter(_metadata, &bench->mem);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, GPA,
		  ALL_PAGES * SZ_4K);
	ASSERT_EQ(0, __hwpt_alloc(state->fd, bench->dev.dev_id,
				  bench->iommu.ioas_id, PARENT,
				  &state->parent));
	for (int i = 0; i < TABLES; i++) {
		state->tables[i].first = PAGES + i * TABLE_PAGES;
		table_fill(state, &state->tables[i]);
		ASSERT_EQ(0, alloc_nested(state, &state->tables[i], 48));
	}
	oracle_init(_metadata, &state->oracle, GPA, ALL_PAGES * SZ_4K, SZ_4K);
	bitmap_alloc(_metadata, &state->bm, ALL_PAGES, 0);
}

FIXTURE_TEARDOWN(vtd_nested)
{
	bench_close(_metadata, &self->state.bench);
	bitmap_free(&self->state.bm);
	oracle_free(&self->state.oracle);
}

/* Half of the pages are few, whose entries in the IOTLB are used again. */
static unsigned int random_page(struct state *state)
{
	bool few = next_random(&state->seed) % 2;

	return next_random(&state->seed) % (few ? 4 : PAGES);
}

static void page_written(struct state *state, unsigned int page)
{
	if (state->tracking)
		oracle_write(&state->oracle, GPA_OF(page), SZ_4K);
}

/* The walk sets bits in the first stage, and so writes pages that have it. */
static void walk(struct state *state, const struct table *table, __u64 va,
		 bool write)
{
	int last = leaf_level(state);
	__u64 bits;

	for (int level = 0; level <= last; level++) {
		bits = FS_A | (level == last && write ? FS_D : 0);
		if ((*entry(state, table, level, va) & bits) != bits)
			page_written(state, table->first + level);
	}
}

static void random_access(struct __test_metadata *_metadata,
			  struct state *state)
{
	unsigned int page = random_page(state);
	__u32 length = 1 + next_random(&state->seed) % EDU_MAX;
	__u32 offset = next_random(&state->seed) % (SZ_4K - length);
	bool write = next_random(&state->seed) % 4;
	const struct table *table = state->current;
	__u64 iova = GPA_OF(page);

	if (table) {
		iova = VA + page * SZ_4K;
		walk(state, table, iova, write);
		page = table->target[page];
	}
	if (write) {
		ASSERT_EQ(0, __edu_write(&state->bench.dev, iova + offset,
					 length));
		page_written(state, page);
	} else {
		ASSERT_EQ(0, __edu_read(&state->bench.dev, iova + offset,
					length));
	}
}

static void query(struct __test_metadata *_metadata, struct state *state)
{
	bool keep = next_random(&state->seed) % 4 == 0;

	bitmap_reset(&state->bm);
	ASSERT_EQ(0, __hwpt_dirty(state->fd, state->parent,
				  keep ? IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR : 0,
				  GPA, ALL_PAGES * SZ_4K, SZ_4K,
				  state->bm.bits));
	oracle_check(_metadata, &state->oracle, &state->bm, GPA, SZ_4K);
	if (!keep)
		oracle_clean(&state->oracle, GPA, ALL_PAGES * SZ_4K);
}

static void attach(struct __test_metadata *_metadata, struct state *state,
		   struct table *table)
{
	ASSERT_EQ(0, __vfio_dev_attach(&state->bench.dev,
				       table ? table->id : state->parent));
	state->current = table;
}

static void track(struct __test_metadata *_metadata, struct state *state,
		  bool enable)
{
	ASSERT_EQ(0, __hwpt_track(state->fd, state->parent, enable));
	state->tracking = enable;
	if (enable)
		oracle_clean(&state->oracle, GPA, ALL_PAGES * SZ_4K);
}

static int invalidate(struct state *state, const struct table *table, __u64 va,
		      __u64 pages)
{
	struct iommu_hwpt_vtd_s1_invalidate data = {
		.addr = va,
		.npages = pages,
	};
	__u32 count = 1;

	return __hwpt_invalidate(state->fd, table->id,
				 IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &data,
				 sizeof(data), &count);
}

/* Ranges that have all of the VA: the whole of it, and some of extreme sizes. */
static const __u64 whole[][2] = {
	{ VA, PAGES },
	{ VA & -SZ_1G, SZ_1G / SZ_4K },
	{ 0, 1ULL << 51 },
	{ 0, (1ULL << 52) - 1 },
	{ SZ_4K, 1ULL << 52 },
	{ VA, (1ULL << 52) + 1 },
	{ SZ_4K, ~0ULL - 1 },
	{ 0, ~0ULL },
};

/* As a guest does: change an entry, or clear its bits, and invalidate. */
static void change_leaf(struct __test_metadata *_metadata, struct state *state,
			struct table *table)
{
	unsigned int page = random_page(state);
	__u64 va = VA + page * SZ_4K, pages = 1;
	__u64 i = next_random(&state->seed) % (2 * ARRAY_SIZE(whole));

	if (state->large) {
		*entry(state, table, 2, VA) = GPA | FS_VALID | FS_LARGE;
		i %= ARRAY_SIZE(whole);
	} else {
		table->target[page] = next_random(&state->seed) % PAGES;
		*entry(state, table, 3, va) =
			GPA_OF(table->target[page]) | FS_VALID;
	}
	if (i < ARRAY_SIZE(whole)) {
		va = whole[i][0];
		pages = whole[i][1];
	}
	ASSERT_EQ(0, invalidate(state, table, va, pages));
	ASSERT_EQ(0, invalidate(state, table, va, 0));
}

static struct table *random_table(struct state *state)
{
	return &state->tables[next_random(&state->seed) % TABLES];
}

static void random_step(struct __test_metadata *_metadata,
			struct state *state)
{
	__u64 what = next_random(&state->seed) % 100;

	if (what < 70)
		random_access(_metadata, state);
	else if (what < 85 && state->tracking)
		query(_metadata, state);
	else if (what < 85)
		track(_metadata, state, true);
	else if (what < 95)
		change_leaf(_metadata, state, random_table(state));
	else if (what < 97)
		attach(_metadata, state, random_table(state));
	else if (what < 98)
		attach(_metadata, state, NULL);
	else if (state->tracking)
		track(_metadata, state, false);
}

TEST_F_TIMEOUT(vtd_nested, random_steps_match_the_model, 3600)
{
	struct state *state = &self->state;
	const char *steps = getenv("EDU_STEPS");

	attach(_metadata, state, &state->tables[0]);
	for (long n = steps ? atol(steps) : STEPS; n > 0; n--)
		random_step(_metadata, state);
}

/* Tracking of the parent begins and ends while the device is attached below. */
TEST_F(vtd_nested, tracking_of_parent_applies_to_nested)
{
	struct state *state = &self->state;

	for (int i = 0; i < 10; i++) {
		attach(_metadata, state, &state->tables[i % TABLES]);
		for (int j = 0; j < 20; j++)
			random_access(_metadata, state);
		track(_metadata, state, true);
		for (int j = 0; j < 20; j++)
			random_access(_metadata, state);
		/* The dirty bits stay when the page table is replaced. */
		attach(_metadata, state, NULL);
		query(_metadata, state);
		track(_metadata, state, false);
	}
}

TEST_F(vtd_nested, bad_arguments_are_refused)
{
	struct state *state = &self->state;
	struct iommu_hwpt_vtd_s1_invalidate data[2] = {
		{ .addr = VA, .npages = 1 },
		{ .addr = VA + 1, .npages = 1 },
	};
	struct table bad = { .first = PAGES };
	__u32 count = 2;

	attach(_metadata, state, &state->tables[0]);
	/* The entry before the bad one was processed. */
	ASSERT_EQ(-EINVAL,
		  __hwpt_invalidate(state->fd, state->tables[0].id,
				    IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, data,
				    sizeof(data[0]), &count));
	ASSERT_EQ(1, count);
	ASSERT_EQ(-EINVAL, invalidate(state, &state->tables[0], VA, ~0ULL));
	/* The width is checked when a device is attached. */
	ASSERT_EQ(0, alloc_nested(state, &bad, 39));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(&state->bench.dev, bad.id));
	track(_metadata, state, true);
	for (int i = 0; i < 20; i++)
		random_access(_metadata, state);
	query(_metadata, state);
}

/* Skip the tests if the machine lacks the device. */
int main(int argc, char **argv)
{
	if (!edu_has_dirty_bits()) {
		ksft_print_header();
		ksft_exit_skip("no edu device behind a VT-d with dirty bits\n");
	}
	return test_harness_run(argc, argv);
}
