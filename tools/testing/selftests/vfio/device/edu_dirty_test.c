// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: dirty bits of VT-d and AMD-Vi
 *
 * QEMU's edu device writes memory behind an IOMMU that has dirty bits. Random
 * steps write, read, query, map and unmap, and each result is compared with a
 * model that has one byte per page. EDU_STEPS in the environment sets the
 * number of steps.
 */
#include "lib/device/edu.h"
#include "lib/test.h"

#define IOVA	0x40000000ULL
#define STEPS	4000

#define SLOTS	12

/* Maximum number of slots of a query */
#define MOST	3

/**
 * struct state - the device, its memory and the model
 * @bench: the device
 * @oracle: pages that are dirty
 * @bm: result of a query
 * @leaf: size of a leaf of the IOMMU
 * @slot: bytes of a mapping; AMD-Vi maps adjacent huge pages of one by one leaf
 * @slots: number of mappings, up to SLOTS
 * @seed: of the random steps
 * @mapped: the slots of the memory that are mapped
 * @written: number of writes of the device
 * @reported: number of pages in all results
 */
struct state {
	struct bench bench;
	struct oracle oracle;
	struct guarded_bitmap bm;
	__u64 leaf;
	__u64 slot;
	int slots;
	__u64 seed;
	bool mapped[SLOTS];
	size_t written;
	size_t reported;
};

FIXTURE(edu_dirty)
{
	struct state state;
};

FIXTURE_VARIANT(edu_dirty)
{
	enum iommu_mode mode;
	enum mem_kind kind;
};

FIXTURE_VARIANT_ADD(edu_dirty, type1_4k) {
	.mode = MODE_TYPE1, .kind = MEM_4K,
};

FIXTURE_VARIANT_ADD(edu_dirty, type1_2m) {
	.mode = MODE_TYPE1, .kind = MEM_HUGETLB,
};

FIXTURE_VARIANT_ADD(edu_dirty, type1_1g) {
	.mode = MODE_TYPE1, .kind = MEM_GIGANTIC,
};

FIXTURE_VARIANT_ADD(edu_dirty, compat_4k) {
	.mode = MODE_COMPAT, .kind = MEM_4K,
};

FIXTURE_VARIANT_ADD(edu_dirty, compat_2m) {
	.mode = MODE_COMPAT, .kind = MEM_HUGETLB,
};

FIXTURE_VARIANT_ADD(edu_dirty, compat_1g) {
	.mode = MODE_COMPAT, .kind = MEM_GIGANTIC,
};

FIXTURE_VARIANT_ADD(edu_dirty, iommufd_4k) {
	.mode = MODE_IOMMUFD, .kind = MEM_4K,
};

FIXTURE_VARIANT_ADD(edu_dirty, iommufd_2m) {
	.mode = MODE_IOMMUFD, .kind = MEM_HUGETLB,
};

FIXTURE_VARIANT_ADD(edu_dirty, iommufd_1g) {
	.mode = MODE_IOMMUFD, .kind = MEM_GIGANTIC,
};

static const __u64 leaf_size[] = {
	[MEM_4K] = SZ_4K, [MEM_HUGETLB] = SZ_2M, [MEM_GIGANTIC] = SZ_1G,
};

static void map(struct __test_metadata *_metadata, struct state *state, int i)
{
	__u64 offset = i * state->slot;

	iommu_map(_metadata, &state->bench.iommu, state->bench.mem.va + offset,
		  IOVA + offset, state->slot);
	state->mapped[i] = true;
}

FIXTURE_SETUP(edu_dirty)
{
	struct state *state = &self->state;
	__u64 length;

	bench_open_edu(_metadata, &state->bench, variant->mode);
	state->leaf = leaf_size[variant->kind];
	state->slot = variant->kind == MEM_GIGANTIC ? SZ_1G : SZ_2M;
	state->slots = variant->kind == MEM_GIGANTIC ? 2 : SLOTS;
	state->seed = 20;
	length = state->slots * state->slot;
	mem_alloc(_metadata, &state->bench.mem, length, variant->kind);
	if (variant->kind == MEM_4K)
		mem_scatter(_metadata, &state->bench.mem);
	for (int i = 0; i < state->slots; i++)
		map(_metadata, state, i);
	oracle_init(_metadata, &state->oracle, IOVA, length, SZ_4K);
	bitmap_alloc(_metadata, &state->bm, MOST * state->slot / SZ_4K, 0);
	bench_track(_metadata, &state->bench);
}

FIXTURE_TEARDOWN(edu_dirty)
{
	bench_close(_metadata, &self->state.bench);
	bitmap_free(&self->state.bm);
	oracle_free(&self->state.oracle);
}

/* A write makes all of its leaf dirty. */
static void device_writes(struct __test_metadata *_metadata,
			  struct state *state, __u64 iova, __u32 length)
{
	__u64 first = iova & -state->leaf;
	__u64 last = (iova + length - 1) | (state->leaf - 1);

	ASSERT_EQ(0, __edu_write(&state->bench.dev, iova, length));
	oracle_write(&state->oracle, first, last - first + 1);
	state->written++;
}

static void random_access(struct __test_metadata *_metadata,
			  struct state *state, __u64 start, __u64 room)
{
	__u32 length = 1 + next_random(&state->seed) % EDU_MAX;
	__u64 iova;

	/* Half of them are to few pages, whose entries in the IOTLB are used again. */
	if (next_random(&state->seed) % 2)
		room = 4 * SZ_4K;
	iova = start + next_random(&state->seed) % (room - length + 1);
	if (next_random(&state->seed) % 4)
		device_writes(_metadata, state, iova, length);
	else
		ASSERT_EQ(0, __edu_read(&state->bench.dev, iova, length));
}

/* Type1 takes whole mappings only, iommufd also pages of one. */
static void random_query(struct __test_metadata *_metadata,
			 struct state *state, __u64 iova,
			 __u64 length)
{
	bool exact = state->bench.iommu.mode == MODE_IOMMUFD;
	struct guarded_bitmap *bm = &state->bm;
	__u64 pages = length / SZ_4K, first = 0;
	__u32 flags = 0;

	if (exact && next_random(&state->seed) % 2) {
		first = next_random(&state->seed) % pages;
		pages = 1 + next_random(&state->seed) % (pages - first);
	}
	if (exact && next_random(&state->seed) % 4 == 0)
		flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	bm->nbits = pages;
	bitmap_reset(bm);
	iova += first * SZ_4K;
	ASSERT_EQ(0, __bench_query(&state->bench, flags, iova, pages * SZ_4K,
				   SZ_4K, bm->bits));
	oracle_check(_metadata, &state->oracle, bm, iova, SZ_4K);
	state->reported += bitmap_count(bm);
	if (!flags)
		oracle_clean(&state->oracle, iova, pages * SZ_4K);
}

/* Type1 reports the dirty pages of what is unmapped. */
static void unmap(struct __test_metadata *_metadata,
		  struct state *state, int i)
{
	struct guarded_bitmap *bm = &state->bm;
	__u64 iova = IOVA + i * state->slot, length = state->slot;

	if (state->bench.iommu.mode == MODE_IOMMUFD) {
		iommu_unmap(_metadata, &state->bench.iommu, iova, length);
	} else {
		bm->nbits = state->slot / SZ_4K;
		bitmap_reset(bm);
		ASSERT_EQ(0, __type1_unmap_bitmap(state->bench.iommu.fd, iova,
						  &length, SZ_4K, bm->bits,
						  bitmap_bytes(bm)));
		ASSERT_EQ(state->slot, length);
		oracle_check(_metadata, &state->oracle, bm, iova, SZ_4K);
		state->reported += bitmap_count(bm);
	}
	oracle_clean(&state->oracle, iova, state->slot);
	state->mapped[i] = false;
}

static void restart(struct __test_metadata *_metadata,
		    struct state *state)
{
	ASSERT_EQ(0, __bench_track(&state->bench, false));
	if (state->mapped[0])
		ASSERT_EQ(0, __edu_write(&state->bench.dev, IOVA, EDU_MAX));
	bench_track(_metadata, &state->bench);
	memset(state->oracle.dirty, 0, state->oracle.count);
}

static void random_step(struct __test_metadata *_metadata,
			struct state *state)
{
	__u64 what = next_random(&state->seed) % 1000;
	int i = next_random(&state->seed) % state->slots, count = 0;
	int most = 1 + next_random(&state->seed) % MOST;
	__u64 iova = IOVA + i * state->slot;

	while (count < most && i + count < state->slots &&
	       state->mapped[i + count])
		count++;
	if (!count)
		map(_metadata, state, i);
	else if (what < 700)
		random_access(_metadata, state, iova, count * state->slot);
	else if (what < 990)
		random_query(_metadata, state, iova, count * state->slot);
	else if (what < 998)
		unmap(_metadata, state, i);
	else
		restart(_metadata, state);
}

TEST_F_TIMEOUT(edu_dirty, random_steps_match_the_model, 3600)
{
	const char *steps = getenv("EDU_STEPS");
	long count = steps ? atol(steps) : STEPS;

	/* The model of a leaf of 1 GiB has as many bytes as 512 of 2 MiB. */
	if (variant->kind == MEM_GIGANTIC)
		count /= 10;
	for (long n = count; n > 0; n--)
		random_step(_metadata, &self->state);
	ASSERT_NE(0, self->state.written);
	ASSERT_NE(0, self->state.reported);
	TH_LOG("%zu writes, %zu pages reported", self->state.written,
	       self->state.reported);
}

/* What an IOTLB has cached as dirty sets D again once the query has flushed. */
TEST_F(edu_dirty, write_after_query_is_reported)
{
	struct state *state = &self->state;

	for (int again = 0; again < 10; again++) {
		for (int i = 0; i < state->slots; i++) {
			__u64 iova = IOVA + i * state->slot;

			device_writes(_metadata, state, iova + 77, EDU_MAX);
			random_query(_metadata, state, iova, state->slot);
		}
	}
}

/* Skip the tests if the machine lacks the device. */
int main(int argc, char **argv)
{
	if (!edu_has_dirty_bits()) {
		ksft_print_header();
		ksft_exit_skip("no edu device behind an IOMMU with dirty bits\n");
	}
	return test_harness_run(argc, argv);
}
