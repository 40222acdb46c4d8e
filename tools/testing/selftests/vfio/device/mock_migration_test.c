// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: states of a migration of the mock PCI device
 *
 * A workload moves from one device to another. Its writes are compared with a
 * model, so that a write that was lost, done twice, or done while a device was
 * stopped is found.
 */
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/fail_nth.h"
#include "lib/migration_fixture.h"

#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX
#define STATES		VFIO_DEVICE_STATE_NR

/* A device state that was read. */
static __u8 data[MIG_DATA_MAX];
static __u8 model[LENGTH];

/* Compare memory with the first writes of the workload. */
static void check_writes(struct __test_metadata *_metadata,
			 struct bench *bench, const struct mock_work *work,
			 __u64 writes)
{
	mock_sequence_run(work, writes, model);
	ASSERT_EQ(0, memcmp(model, bench->mem.va, work->length)) {
		TH_LOG("memory differs after %llu writes", writes);
	}
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Expect the device to write nothing for a while. */
static void check_quiet(struct __test_metadata *_metadata, struct bench *bench,
			struct vfio_dev *dev, const struct mock_work *work)
{
	__u64 writes = mock_get(_metadata, dev, MOCK_REG(work_writes));
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		check_writes(_metadata, bench, work, writes);
	} while (seconds_since(&start) < 0.02);
	ASSERT_EQ(writes, mock_get(_metadata, dev, MOCK_REG(work_writes)));
}

TEST_F(migration, feature_has_p2p_and_precopy)
{
	struct vfio_device_feature_migration mig = {};

	ASSERT_EQ(0, __vfio_dev_feature(self->pair.src, VFIO_DEVICE_FEATURE_GET |
					VFIO_DEVICE_FEATURE_MIGRATION, &mig,
					sizeof(mig)));
	ASSERT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		  VFIO_MIGRATION_PRE_COPY, mig.flags);
	ASSERT_EQ(RUNNING, mig_get(_metadata, self->pair.src));
}

static bool is_saving(__u32 state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P || state == STOP_COPY;
}

/* Whether the step from one state to another starts a session. */
static bool starts_session(__u32 from, __u32 to)
{
	if (from == to)
		return false;
	return to == RESUMING || (is_saving(to) && !is_saving(from));
}

/* The result of a step from RESUMING if no data was written. */
static int step_result(__u32 from, __u32 to, bool loaded)
{
	if (to == ERROR || to >= STATES)
		return -EINVAL;
	if (from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P))
		return -EINVAL;
	if (from == RESUMING && to != RESUMING && !loaded)
		return -EINVAL;
	return 0;
}

static void check_step(struct __test_metadata *_metadata, struct vfio_dev *dev,
		       __u32 from, __u32 to, size_t size)
{
	int rc = step_result(from, to, size);
	int session, fd;

	ASSERT_EQ(0, __vfio_dev_reset(dev));
	session = mig_set(_metadata, dev, from);
	ASSERT_EQ(from, mig_get(_metadata, dev));
	ASSERT_EQ(from, mock_pci_regs(_metadata, dev).state);
	ASSERT_EQ(0, __mig_write(session, data, size));
	ASSERT_EQ(rc, __mig_set(dev, to, &fd)) {
		TH_LOG("%u to %u, %zu bytes", from, to, size);
	}
	ASSERT_EQ(rc ? from : to, mig_get(_metadata, dev));
	ASSERT_EQ(!rc && starts_session(from, to), fd >= 0) {
		TH_LOG("%u to %u: fd %d", from, to, fd);
	}
	if (fd >= 0)
		close(fd);
	if (session >= 0)
		close(session);
}

/* From each state to each, including states that do not exist. */
TEST_F(migration, every_step_between_two_states)
{
	size_t size = mig_save(_metadata, self->pair.src, data);

	for (__u32 from = STOP; from < STATES; from++) {
		for (__u32 to = 0; to <= STATES + 1; to++) {
			check_step(_metadata, &self->pair.dst, from, to, 0);
			if (from == RESUMING)
				check_step(_metadata, &self->pair.dst, from, to,
					   size);
		}
		check_step(_metadata, &self->pair.dst, from, ~0U, 0);
	}
}

/* The workload continues on the other device with its next write. */
TEST_F(migration, workload_continues_with_its_next_write)
{
	struct bench *bench = &self->pair.bench;
	__u64 writes, more;
	size_t size;

	mock_work_start(_metadata, self->pair.src, &plain_work);
	mock_work_wait(_metadata, self->pair.src, 300);
	size = mig_save(_metadata, self->pair.src, data);
	check_quiet(_metadata, bench, self->pair.src, &plain_work);
	writes = mock_get(_metadata, self->pair.src, MOCK_REG(work_writes));
	ASSERT_LE(300, writes);

	mig_load(_metadata, &self->pair.dst, data, size);
	mig_set(_metadata, &self->pair.dst, STOP);
	ASSERT_EQ(writes, mock_get(_metadata, &self->pair.dst,
				   MOCK_REG(work_writes)));
	ASSERT_EQ(1, mock_get(_metadata, &self->pair.dst, MOCK_REG(work_control)));
	check_quiet(_metadata, bench, &self->pair.dst, &plain_work);

	mig_set(_metadata, &self->pair.dst, RUNNING);
	mock_work_wait(_metadata, &self->pair.dst, writes + 300);
	more = mock_work_stop(_metadata, &self->pair.dst);
	check_writes(_metadata, bench, &plain_work, more);
	ASSERT_EQ(0, mock_get(_metadata, &self->pair.dst, MOCK_REG(fault_count)));
}

/* There and back, several times. */
TEST_F(migration, migrations_counts_each_move)
{
	struct vfio_dev *from = self->pair.src, *to = &self->pair.dst, *other;
	__u64 writes = 0;

	mock_work_start(_metadata, from, &plain_work);
	for (__u32 n = 1; n <= 6; n++) {
		size_t size;

		mock_work_wait(_metadata, from, writes + 50);
		size = mig_save(_metadata, from, data);
		ASSERT_EQ(n - 1, mock_pci_regs(_metadata, from).migrations);
		mig_load(_metadata, to, data, size);
		mig_set(_metadata, to, RUNNING);
		ASSERT_EQ(n, mock_pci_regs(_metadata, to).migrations);
		writes = mock_get(_metadata, to, MOCK_REG(work_writes));
		mig_set(_metadata, from, STOP);
		other = from;
		from = to;
		to = other;
	}
	check_writes(_metadata, &self->pair.bench, &plain_work,
		     mock_work_stop(_metadata, from));
	ASSERT_EQ(0, __vfio_dev_reset(from));
	ASSERT_EQ(0, mock_pci_regs(_metadata, from).migrations);
}

/* Everything that a guest can see of a device is the same on the other. */
TEST_F(migration, registers_buffer_and_config_space_are_migrated)
{
	struct vfio_dev *src = self->pair.src, *dst = &self->pair.dst;
	static __u8 before[VFIO_MOCK_DMA_BUFFER], after[VFIO_MOCK_DMA_BUFFER];
	__u8 config[256], seen[256];
	struct vfio_mock_dma_regs one, two;

	mem_pattern(before, sizeof(before), 3);
	ASSERT_EQ(0, __mock_region_write(src, VFIO_MOCK_DMA_REGION_BUFFER, 0,
					 before, sizeof(before)));
	memset(config, 0xff, sizeof(config));
	ASSERT_EQ(256, __vfio_dev_write(src, CONFIG, 0, config, 256));
	ASSERT_EQ(256, __vfio_dev_read(src, CONFIG, 0, config, 256));
	mock_fill(_metadata, src, IOVA, 8, 0x1234567890abcdefULL);
	ASSERT_EQ(0, __mock_run(src, VFIO_MOCK_DMA_CMD_WRITE, 1,
				IOVA + LENGTH - 8, 100));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, src,
						MOCK_REG(status)));
	/* Work registers that are not valid, as long as it does not run. */
	mock_set(_metadata, src, MOCK_REG(work_stride), 3);

	mig_load(_metadata, dst, data, mig_save(_metadata, src, data));
	mig_set(_metadata, dst, RUNNING);
	ASSERT_EQ(0, __mock_region_read(dst, VFIO_MOCK_DMA_REGION_BUFFER, 0,
					after, sizeof(after)));
	ASSERT_EQ(0, memcmp(before, after, sizeof(after)));
	ASSERT_EQ(256, __vfio_dev_read(dst, CONFIG, 0, seen, 256));
	ASSERT_EQ(0, memcmp(config, seen, 256));
	one = mock_dma_regs(_metadata, src);
	two = mock_dma_regs(_metadata, dst);
	ASSERT_EQ(0, memcmp(&one, &two, sizeof(one)));
	ASSERT_EQ(1, two.fault_count);
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT_UNMAPPED, two.fault_reason);
	ASSERT_EQ(IOVA + LENGTH, two.fault_iova);
	ASSERT_EQ(3, two.work_stride);
}

TEST_F(migration, reset_returns_to_running_from_any_state)
{
	struct vfio_dev *dev = self->pair.src;

	for (__u32 state = STOP; state < STATES; state++) {
		int fd;

		mock_work_start(_metadata, dev, &plain_work);
		mock_work_wait(_metadata, dev, 20);
		fd = mig_set(_metadata, dev, state);
		ASSERT_EQ(0, __vfio_dev_reset(dev));
		ASSERT_EQ(RUNNING, mig_get(_metadata, dev));
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_writes)));
		mock_fill(_metadata, dev, IOVA, LENGTH, 0);
		ASSERT_TRUE(mem_is(self->pair.bench.mem.va, LENGTH, 0));
		if (fd >= 0)
			close(fd);
	}
}

/* In RUNNING and PRE_COPY the workload runs, in all other states not. */
TEST_F(migration, workload_pauses_while_the_device_is_quiesced)
{
	static const __u32 path[] = {
		RUNNING_P2P, RUNNING, STOP, RUNNING, PRE_COPY, PRE_COPY_P2P,
		PRE_COPY, RUNNING, STOP_COPY, RUNNING, PRE_COPY, STOP_COPY,
		RUNNING_P2P, RUNNING,
	};
	struct vfio_dev *dev = self->pair.src;
	__u64 writes = 0;

	mock_work_start(_metadata, dev, &plain_work);
	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		int fd;

		mock_work_wait(_metadata, dev, writes + 30);
		fd = mig_set(_metadata, dev, path[i]);
		ASSERT_EQ(1, mock_get(_metadata, dev, MOCK_REG(work_control)));
		writes = mock_get(_metadata, dev, MOCK_REG(work_writes));
		if (path[i] != RUNNING && path[i] != PRE_COPY) {
			check_quiet(_metadata, &self->pair.bench, dev, &plain_work);
			/* Nothing to wait for in the next round. */
			writes = writes < 30 ? 0 : writes - 30;
		}
		if (fd >= 0)
			close(fd);
	}
	mock_work_wait(_metadata, dev, writes + 60);
	check_writes(_metadata, &self->pair.bench, &plain_work,
		     mock_work_stop(_metadata, dev));
}

TEST_F(migration, quiesced_device_starts_no_dma)
{
	static const __u32 states[] = {
		RUNNING_P2P, STOP, PRE_COPY_P2P, STOP_COPY, RESUMING,
	};
	struct vfio_dev *dev = self->pair.src;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		int fd = mig_set(_metadata, dev, states[i]);

		ASSERT_EQ(-EBUSY, __mock_fill(dev, IOVA, 8, ~0ULL));
		ASSERT_EQ(-EBUSY, __mock_work_start(dev, &plain_work));
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
		/* Registers, the buffer and config space work. */
		ASSERT_EQ(~0ULL, mock_get(_metadata, dev, MOCK_REG(pattern)));
		ASSERT_EQ(4, __vfio_dev_read(dev, CONFIG, 0, data, 4));
		ASSERT_EQ(0, __vfio_dev_reset(dev));
		if (fd >= 0)
			close(fd);
	}
	ASSERT_TRUE(mem_is(self->pair.bench.mem.va, LENGTH, 0));
}

/* A workload that is stopped while it is suspended does not continue. */
TEST_F(migration, suspended_workload_can_be_stopped)
{
	struct vfio_dev *dev = self->pair.src;

	mock_work_start(_metadata, dev, &plain_work);
	mock_work_wait(_metadata, dev, 30);
	mig_set(_metadata, dev, RUNNING_P2P);
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(work_control), 1));
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(work_seed), 1));
	mock_set(_metadata, dev, MOCK_REG(work_control), 0);
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
	mig_set(_metadata, dev, RUNNING);
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
	check_quiet(_metadata, &self->pair.bench, dev, &plain_work);
	mock_fill(_metadata, dev, IOVA, 8, 1);
}

/* Writes that were due during the pause do not follow in a burst. */
TEST_F(migration, resumed_workload_keeps_its_rate)
{
	struct vfio_dev *dev = self->pair.src;
	struct mock_work work = plain_work;
	struct timespec start;
	__u64 before, after;

	work.rate = 200;
	mock_work_start(_metadata, dev, &work);
	mock_work_wait(_metadata, dev, 20);
	mig_set(_metadata, dev, STOP);
	before = mock_get(_metadata, dev, MOCK_REG(work_writes));
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (seconds_since(&start) < 1)
		sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &start);
	mig_set(_metadata, dev, RUNNING);
	mock_work_wait(_metadata, dev, before + 40);
	after = mock_work_stop(_metadata, dev);
	ASSERT_GE(seconds_since(&start) * work.rate + work.rate / 10,
		  after - before);
}

/* Dirty tracking of the device works in PRE_COPY, as a VMM needs it. */
TEST_F(migration, dma_log_reports_writes_of_precopy)
{
	struct vfio_device_feature_dma_logging_range range = { IOVA, LENGTH };
	struct vfio_dev *dev = self->pair.src;
	__u64 page_size = SZ_4K, bits = 0;
	int fd;

	ASSERT_EQ(0, __dma_log_start(dev, &page_size, 1, &range));
	fd = mig_set(_metadata, dev, PRE_COPY);
	mock_fill(_metadata, dev, IOVA + 3 * SZ_4K, 1, 1);
	mock_fill(_metadata, dev, IOVA + 7 * SZ_4K, 1, 1);
	mig_set(_metadata, dev, STOP_COPY);
	ASSERT_EQ(0, __dma_log_report(dev, IOVA, LENGTH, SZ_4K, &bits));
	ASSERT_EQ(0x88, bits);
	ASSERT_EQ(0, __dma_log_stop(dev));
	close(fd);
}

/**
 * struct fail_data - argument of fail_op_t
 * @dev: the device
 * @size: bytes of data to load
 * @from: state before the step
 * @to: state after it
 * @fd: file of the session of @from, or -1
 */
struct fail_data {
	struct vfio_dev *dev;
	size_t size;
	__u32 from;
	__u32 to;
	int fd;
};

static int fail_step(void *arg)
{
	struct fail_data *step = arg;
	int fd, rc = __mig_set(step->dev, step->to, &fd);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* A step of several arcs may end in a state of its path. */
static int check_failed_step(void *arg)
{
	struct fail_data *step = arg;
	__u32 state;
	int rc = __mig_get(step->dev, &state);

	return rc ?: state == step->to ? -EEXIST : 0;
}

/* Back to the state before, with the workload running. */
static int undo_step(void *arg)
{
	struct fail_data *step = arg;
	int rc;

	if (step->fd >= 0)
		close(step->fd);
	rc = __vfio_dev_reset(step->dev);
	if (!rc)
		rc = __mock_work_start(step->dev, &plain_work);
	if (!rc)
		rc = __mig_set(step->dev, step->from, &step->fd);
	return rc;
}

/* Each allocation of each step fails once. */
TEST_F(migration, step_that_fails_for_memory_can_be_repeated)
{
	static const struct {
		__u32 from, to;
	} steps[] = {
		{ RUNNING, PRE_COPY }, { RUNNING, STOP_COPY },
		{ RUNNING, RESUMING }, { STOP, RUNNING },
		{ PRE_COPY_P2P, PRE_COPY }, { STOP_COPY, RUNNING },
	};
	struct fail_data step = { .dev = self->pair.src, .fd = -1 };
	struct fail_nth fail;

	fail_nth_open(_metadata, &fail);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct fail_case c = {
			.name = "step", .op = fail_step, .undo = undo_step,
			.least = 1, .check = check_failed_step,
		};

		step.from = steps[i].from;
		step.to = steps[i].to;
		ASSERT_EQ(0, undo_step(&step));
		fail_each(_metadata, &fail, -1, &c, &step);
	}
	fail_nth_close(&fail);
	if (step.fd >= 0)
		close(step.fd);
	ASSERT_EQ(0, __vfio_dev_reset(self->pair.src));
}

TEST_HARNESS_MAIN
