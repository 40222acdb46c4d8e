// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the examples of the documentation
 *
 * Two devices write two ranges of memory while each example of lib/example copies
 * it. After the last round both copies must be equal. Every send waits for further
 * writes, so pages are written after they were sent, in each round.
 */
#include "lib/example/example.h"
#include "lib/test.h"

#define PAGES		512
#define LENGTH		(PAGES * SZ_4K)
/* The devices write the first pages of each range only. */
#define WRITTEN		64
#define ROUNDS		6
#define MODELS		2

/**
 * struct machine - a guest without virtual CPUs
 * @vm: what the example requires
 * @metadata: the test
 * @iommu: container or /dev/iommu
 * @devs: devices; each writes one range
 * @hwpts: page tables of @devs
 * @fds: files of @devs
 * @memory: memory of the source, one for each range
 * @copies: memory of the destination
 * @tracker: the example
 * @sent: bytes that were sent
 * @unwritten: pages that were sent again though no device wrote them
 * @break_at: number of @sent bytes at which the test ends tracking behind the back of
 *	the example; 0: never
 */
struct machine {
	struct example_vm vm;
	struct __test_metadata *metadata;
	struct iommu iommu;
	struct vfio_dev devs[MODELS];
	__u32 hwpts[MODELS];
	int fds[MODELS];
	struct mem memory[MODELS];
	__u8 *copies[MODELS];
	struct example_tracker tracker;
	__u64 sent;
	__u64 unwritten;
	__u64 break_at;
};

/* Two ranges with a hole between them. */
static const struct example_range ranges[MODELS] = {
	{ 8 * SZ_2M, LENGTH },
	{ 32 * SZ_2M, LENGTH },
};

static void machine_send(struct example_vm *vm, __u64 iova, __u64 length)
{
	struct machine *machine = (struct machine *)vm;
	struct __test_metadata *_metadata = machine->metadata;
	unsigned int i = iova >= ranges[1].iova;
	__u64 at = iova - ranges[i].iova;

	CHECK(iova >= ranges[i].iova && at + length <= LENGTH,
	      "sent 0x%llx bytes at 0x%llx", length, iova);
	memcpy(machine->copies[i] + at, machine->memory[i].va + at, length);
	if (machine->sent >= MODELS * LENGTH)
		for (__u64 page = at / SZ_4K; page * SZ_4K < at + length; page++)
			machine->unwritten += page >= WRITTEN;
	machine->sent += length;
	if (machine->break_at && machine->sent >= machine->break_at) {
		machine->break_at = 0;
		CHECK_RC(0, machine->tracker.stop(&machine->tracker), "stop");
	}
	for (i = 0; i < MODELS; i++) {
		struct vfio_dev *dev = &machine->devs[i];

		if (mock_get(_metadata, dev, MOCK_REG(work_control)))
			mock_work_wait(_metadata, dev, 20 +
				       mock_get(_metadata, dev,
						MOCK_REG(work_writes)));
	}
}

static int machine_stop(struct example_vm *vm)
{
	struct machine *machine = (struct machine *)vm;

	for (int i = 0; i < MODELS; i++)
		mock_work_stop(machine->metadata, &machine->devs[i]);
	return 0;
}

static void machine_open(struct __test_metadata *_metadata,
			 struct machine *machine, enum iommu_mode mode,
			 const char *const *models, enum mem_kind kind)
{
	char path[128];

	*machine = (struct machine) {
		.vm.ranges = ranges,
		.vm.nr_ranges = MODELS,
		.vm.max_rounds = ROUNDS,
		.vm.send = machine_send,
		.vm.stop = machine_stop,
		.metadata = _metadata,
	};
	sysfs_write(DROP_FLUSH, "0");
	iommu_open(_metadata, &machine->iommu, mode);
	for (int i = 0; i < MODELS; i++) {
		struct vfio_dev *dev = &machine->devs[i];

		CHECK_RC(0, mock_find(models[i], 0, path, sizeof(path)),
			 "model %s", models[i]);
		CHECK_RC(0, __vfio_dev_open(dev, &machine->iommu, path),
			 "%s", path);
		machine->hwpts[i] = dev->hwpt_id;
		machine->fds[i] = dev->fd;
		mem_alloc(_metadata, &machine->memory[i], LENGTH, kind);
		mem_pattern(machine->memory[i].va, LENGTH, i);
		machine->copies[i] = calloc(1, LENGTH);
		CHECK(machine->copies[i], "no memory");
		iommu_map(_metadata, &machine->iommu, machine->memory[i].va,
			  ranges[i].iova, LENGTH);
	}
}

static void machine_use(struct machine *machine,
			const struct example_tracker *example)
{
	machine->tracker = *example;
	machine->tracker.fd = machine->iommu.fd;
	machine->tracker.hwpts = machine->hwpts;
	machine->tracker.nr_hwpts = MODELS;
	machine->tracker.devices = machine->fds;
	machine->tracker.nr_devices = MODELS;
}

static void machine_close(struct machine *machine)
{
	for (int i = 0; i < MODELS; i++)
		vfio_dev_close(&machine->devs[i]);
	iommu_close(&machine->iommu);
	for (int i = 0; i < MODELS; i++) {
		mem_free(&machine->memory[i]);
		free(machine->copies[i]);
	}
	sysfs_write(DROP_FLUSH, "0");
}

static void machine_work(struct machine *machine)
{
	for (int i = 0; i < MODELS; i++) {
		const struct mock_work work = {
			.iova = ranges[i].iova,
			.length = WRITTEN * SZ_4K,
			.stride = 512,
			.seed = i + 1,
		};

		mock_work_start(machine->metadata, &machine->devs[i], &work);
		mock_work_wait(machine->metadata, &machine->devs[i], 1);
	}
}

/* Number of pages that differ. */
static size_t machine_compare(const struct machine *machine)
{
	size_t differ = 0;

	for (int i = 0; i < MODELS; i++)
		for (size_t at = 0; at < LENGTH; at += SZ_4K)
			differ += !!memcmp(machine->memory[i].va + at,
					   machine->copies[i] + at, SZ_4K);
	return differ;
}

FIXTURE(example)
{
	struct machine machine;
};

/*
 * @all: pages that no device wrote are reported as well, as a leaf has one dirty bit,
 * or an IOMMU has none.
 */
FIXTURE_VARIANT(example)
{
	enum iommu_mode mode;
	const struct example_tracker *tracker;
	const char *models[MODELS];
	enum mem_kind kind;
	bool all;
};

FIXTURE_VARIANT_ADD(example, iommufd) {
	.mode = MODE_IOMMUFD, .tracker = &example_iommufd,
	.models = { "4k", "2k" },
};

FIXTURE_VARIANT_ADD(example, iommufd_huge) {
	.mode = MODE_IOMMUFD, .tracker = &example_iommufd,
	.models = { "2m", "4k" }, .kind = MEM_HUGETLB, .all = true,
};

FIXTURE_VARIANT_ADD(example, type1) {
	.mode = MODE_TYPE1, .tracker = &example_type1,
	.models = { "4k", "2k" },
};

FIXTURE_VARIANT_ADD(example, type1_nodirty) {
	.mode = MODE_TYPE1, .tracker = &example_type1,
	.models = { "4k", "nodirty" }, .all = true,
};

FIXTURE_VARIANT_ADD(example, compat) {
	.mode = MODE_COMPAT, .tracker = &example_type1,
	.models = { "4k", "2k" },
};

FIXTURE_VARIANT_ADD(example, log_of_iommufd) {
	.mode = MODE_IOMMUFD, .tracker = &example_dma_logging,
	.models = { "nodirty", "emulated" },
};

FIXTURE_VARIANT_ADD(example, log_of_type1) {
	.mode = MODE_TYPE1, .tracker = &example_dma_logging,
	.models = { "4k", "2m" },
};

FIXTURE_SETUP(example)
{
	machine_open(_metadata, &self->machine, variant->mode, variant->models,
		     variant->kind);
	machine_use(&self->machine, variant->tracker);
}

FIXTURE_TEARDOWN(example)
{
	machine_close(&self->machine);
}

/* Every round finds pages: the devices write until the example stops them. */
TEST_F(example, copy_is_equal_after_the_last_round)
{
	struct machine *machine = &self->machine;

	machine_work(machine);
	ASSERT_EQ(0, example_precopy(&machine->vm, &machine->tracker));
	ASSERT_EQ(0, machine_compare(machine));
	ASSERT_GT(machine->sent, MODELS * LENGTH + ROUNDS * SZ_4K);
	if (!variant->all)
		ASSERT_EQ(0, machine->unwritten);
}

/* The first round is short enough, and the last one has what came after. */
TEST_F(example, copy_is_equal_after_a_stop_in_the_first_round)
{
	struct machine *machine = &self->machine;

	machine->vm.stop_bytes = ~0ULL;
	machine_work(machine);
	ASSERT_EQ(0, example_precopy(&machine->vm, &machine->tracker));
	ASSERT_EQ(0, machine_compare(machine));
}

/* Tracking ends during the second round, so that the next query fails. */
TEST_F(example, failed_query_sends_all_memory_again)
{
	struct machine *machine = &self->machine;

	machine->break_at = MODELS * LENGTH + SZ_4K;
	machine_work(machine);
	ASSERT_EQ(0, example_precopy(&machine->vm, &machine->tracker));
	ASSERT_EQ(0, machine->break_at);
	ASSERT_EQ(0, machine_compare(machine));
	ASSERT_GE(machine->sent, 2 * MODELS * LENGTH);
}

/*
 * The test can fail: where the IOMMU does not flush, it misses writes. Device logs do
 * not depend on it, and conservative results have every page.
 */
TEST_F(example, copy_differs_without_iotlb_flush_but_not_by_log)
{
	struct machine *machine = &self->machine;

	machine_work(machine);
	ASSERT_EQ(0, sysfs_write(DROP_FLUSH, "1"));
	ASSERT_EQ(0, example_precopy(&machine->vm, &machine->tracker));
	if (variant->all)
		return;
	ASSERT_EQ(variant->tracker == &example_dma_logging,
		  !machine_compare(machine));
}

/* What was written before an unmap is in the bitmap of the unmap. */
TEST_F(example, unmap_reports_dirty_pages)
{
	const struct example_range *range = &ranges[0];
	struct machine *machine = &self->machine;
	struct vfio_dev *dev = &machine->devs[0];
	__u64 bits[PAGES / 64] = {};
	int rc;

	if (variant->tracker == &example_dma_logging)
		return;
	ASSERT_EQ(0, machine->tracker.start(&machine->tracker, &machine->vm));
	mock_fill(_metadata, dev, range->iova + 65 * SZ_4K, 2 * SZ_4K, 1);
	if (variant->mode == MODE_IOMMUFD)
		rc = example_iommufd_unmap(&machine->tracker,
					   machine->iommu.ioas_id, range, bits);
	else
		rc = example_type1_unmap(&machine->tracker, range, bits);
	ASSERT_EQ(0, rc);
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		ASSERT_EQ(variant->all ? ~0ULL : i == 1 ? 6 : 0, bits[i]);
	ASSERT_EQ(0, __mock_fill(dev, range->iova, 8, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT,
		  mock_get(_metadata, dev, MOCK_REG(status)));
}

/* A migration that could miss writes does not begin. */
TEST(example_refuses_page_table_without_dirty_bits)
{
	static const char *const models[] = { "nodirty", "4k" };
	struct machine machine;

	machine_open(_metadata, &machine, MODE_IOMMUFD, models, MEM_4K);
	machine_use(&machine, &example_iommufd);
	ASSERT_EQ(-EOPNOTSUPP, example_precopy(&machine.vm, &machine.tracker));
	ASSERT_EQ(0, machine.sent);
	machine_close(&machine);
}

TEST_HARNESS_MAIN
