// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: migration states of the mock PCI device
 *
 * The writes of a workload that moves between two devices are compared with a
 * model, so that a write that was lost, done twice, or done while a device was
 * stopped is found.
 */
#include "lib/device/migration_fixture.h"

TEST_F(migration, feature_has_p2p_and_precopy)
{
	struct vfio_device_feature_migration mig = {};

	ASSERT_EQ(0, __vfio_dev_feature(self->src, VFIO_DEVICE_FEATURE_GET |
					VFIO_DEVICE_FEATURE_MIGRATION, &mig,
					sizeof(mig)));
	ASSERT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		  VFIO_MIGRATION_PRE_COPY, mig.flags);
	ASSERT_EQ(RUNNING, get_state(_metadata, self->src));
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
	session = set_state(_metadata, dev, from);
	ASSERT_EQ(from, get_state(_metadata, dev));
	ASSERT_EQ(from, pci_regs(_metadata, dev).state);
	ASSERT_EQ(0, __mig_write(session, data, size));
	ASSERT_EQ(rc, __mig_set(dev, to, &fd)) {
		TH_LOG("%u to %u, %zu bytes", from, to, size);
	}
	ASSERT_EQ(rc ? from : to, get_state(_metadata, dev));
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
	size_t size = save(_metadata, self->src);

	for (__u32 from = STOP; from < STATES; from++) {
		for (__u32 to = 0; to <= STATES + 1; to++) {
			check_step(_metadata, &self->dst, from, to, 0);
			if (from == RESUMING)
				check_step(_metadata, &self->dst, from, to,
					   size);
		}
		check_step(_metadata, &self->dst, from, ~0U, 0);
	}
}

/* The workload continues on the other device with its next write. */
TEST_F(migration, workload_continues_with_its_next_write)
{
	struct bench *bench = &self->bench;
	__u64 writes, more;
	size_t size;

	mock_work_start(_metadata, self->src, &plain_work);
	mock_work_wait(_metadata, self->src, 300);
	size = save(_metadata, self->src);
	check_quiet(_metadata, bench, self->src, &plain_work);
	writes = mock_get(_metadata, self->src, MOCK_REG(work_writes));
	ASSERT_LE(300, writes);

	load(_metadata, &self->dst, size);
	set_state(_metadata, &self->dst, STOP);
	ASSERT_EQ(writes, mock_get(_metadata, &self->dst,
				   MOCK_REG(work_writes)));
	ASSERT_EQ(1, mock_get(_metadata, &self->dst, MOCK_REG(work_control)));
	check_quiet(_metadata, bench, &self->dst, &plain_work);

	set_state(_metadata, &self->dst, RUNNING);
	mock_work_wait(_metadata, &self->dst, writes + 300);
	more = mock_work_stop(_metadata, &self->dst);
	check_writes(_metadata, bench, &plain_work, more);
	ASSERT_EQ(0, mock_get(_metadata, &self->dst, MOCK_REG(fault_count)));
}

/* There and back, several times. */
TEST_F(migration, migrations_counts_each_move)
{
	struct vfio_dev *from = self->src, *to = &self->dst, *other;
	__u64 writes = 0;

	mock_work_start(_metadata, from, &plain_work);
	for (__u32 n = 1; n <= 6; n++) {
		size_t size;

		mock_work_wait(_metadata, from, writes + 50);
		size = save(_metadata, from);
		ASSERT_EQ(n - 1, pci_regs(_metadata, from).migrations);
		load(_metadata, to, size);
		set_state(_metadata, to, RUNNING);
		ASSERT_EQ(n, pci_regs(_metadata, to).migrations);
		writes = mock_get(_metadata, to, MOCK_REG(work_writes));
		set_state(_metadata, from, STOP);
		other = from;
		from = to;
		to = other;
	}
	check_writes(_metadata, &self->bench, &plain_work,
		     mock_work_stop(_metadata, from));
	ASSERT_EQ(0, __vfio_dev_reset(from));
	ASSERT_EQ(0, pci_regs(_metadata, from).migrations);
}

TEST_F(migration, precopy_reads_the_head_and_stop_copy_the_rest)
{
	struct vfio_precopy_info info = {};
	struct vfio_dev *src = self->src;
	__u64 length;
	ssize_t head;
	int fd;

	ASSERT_EQ(0, __mig_data_size(src, &length));
	fd = set_state(_metadata, src, PRE_COPY);
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_LT(8, info.initial_bytes);
	ASSERT_EQ(0, info.dirty_bytes);
	head = info.initial_bytes;

	ASSERT_EQ(3, read(fd, data, 3));
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_EQ(head - 3, info.initial_bytes);
	ASSERT_EQ(head - 3, read(fd, data + 3, STATE_MAX - 3));
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_EQ(0, info.initial_bytes);
	ASSERT_EQ(-1, read(fd, data + head, 1));
	ASSERT_EQ(ENOMSG, errno);

	ASSERT_EQ(-1, set_state(_metadata, src, PRE_COPY_P2P));
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_EQ(-1, read(fd, data + head, 1));
	ASSERT_EQ(ENOMSG, errno);
	ASSERT_EQ(-1, set_state(_metadata, src, STOP_COPY));
	ASSERT_EQ(-EINVAL, __mig_precopy_info(fd, &info));
	ASSERT_EQ(length - head, __mig_read(fd, data + head, STATE_MAX - head,
					    STATE_MAX));
	close(fd);
	load(_metadata, &self->dst, length);
	set_state(_metadata, &self->dst, RUNNING);
}

TEST_F(migration, precopy_info_with_bad_arguments_fails)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) - 1 };
	int fd = set_state(_metadata, self->src, PRE_COPY);

	ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(-EFAULT, xioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, NULL));
	ASSERT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	/* The file is a stream that can only be read. */
	ASSERT_EQ(-1, pread(fd, data, 1, 0));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, write(fd, data, 1));
	ASSERT_EQ(EBADF, errno);
	ASSERT_EQ(-1, read(fd, NOWHERE, 1));
	ASSERT_EQ(EFAULT, errno);
	close(fd);
	fd = set_state(_metadata, self->src, STOP_COPY);
	ASSERT_EQ(-1, fd);
	set_state(_metadata, self->src, RUNNING);

	fd = set_state(_metadata, self->src, RESUMING);
	ASSERT_EQ(-ENOTTY, xioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(-1, read(fd, data, 1));
	ASSERT_EQ(EBADF, errno);
	ASSERT_EQ(-1, write(fd, NOWHERE, 1));
	ASSERT_EQ(EFAULT, errno);
	close(fd);
}

/* Use the file of a session that was started in @state. */
static ssize_t use_session(int fd, __u32 state)
{
	return state == RESUMING ? write(fd, data, 1) : read(fd, data, 1);
}

/* End a session by another state, or by a reset if that is ERROR. */
static int end_session(struct __test_metadata *_metadata, struct vfio_dev *dev,
		       __u32 state)
{
	if (state != ERROR)
		return set_state(_metadata, dev, state);
	ASSERT_EQ(0, __vfio_dev_reset(dev));
	return -1;
}

/* End each session in every way; its file fails afterwards. */
TEST_F(migration, file_of_an_ended_session_is_enodev)
{
	static const struct {
		__u32 state, end;
	} cases[] = {
		{ PRE_COPY, RUNNING }, { PRE_COPY, STOP },
		{ PRE_COPY_P2P, RUNNING_P2P }, { PRE_COPY_P2P, RESUMING },
		{ STOP_COPY, STOP }, { STOP_COPY, RUNNING },
		{ PRE_COPY, ERROR }, { PRE_COPY_P2P, ERROR },
		{ STOP_COPY, ERROR }, { RESUMING, ERROR },
	};
	struct vfio_precopy_info info = {};
	struct vfio_dev *dev = self->src;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = set_state(_metadata, dev, cases[i].state);
		int next = end_session(_metadata, dev, cases[i].end);
		bool resuming = cases[i].state == RESUMING;

		ASSERT_EQ(-1, use_session(fd, cases[i].state)) {
			TH_LOG("case %zu", i);
		}
		ASSERT_EQ(ENODEV, errno);
		ASSERT_EQ(resuming ? -ENOTTY : -ENODEV,
			  __mig_precopy_info(fd, &info));
		close(fd);
		if (next >= 0)
			close(next);
		ASSERT_EQ(0, __vfio_dev_reset(dev));
	}
}

/* The file outlives the device, and then fails. */
TEST_F(migration, close_of_the_device_ends_the_session)
{
	static const __u32 states[] = { PRE_COPY, STOP_COPY, RESUMING };
	char path[PATH_MAX];

	ASSERT_EQ(0, mock_pci_find("4k", 1, path, sizeof(path)));
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		int fd = set_state(_metadata, &self->dst, states[i]);

		vfio_dev_close(&self->dst);
		ASSERT_EQ(-1, use_session(fd, states[i]));
		ASSERT_EQ(ENODEV, errno);
		ASSERT_EQ(0, __vfio_dev_open(&self->dst, &self->bench.iommu,
					     path));
		ASSERT_EQ(RUNNING, get_state(_metadata, &self->dst));
		close(fd);
	}
}

TEST_F(migration, reset_returns_to_running_from_any_state)
{
	struct vfio_dev *dev = self->src;

	for (__u32 state = STOP; state < STATES; state++) {
		int fd;

		mock_work_start(_metadata, dev, &plain_work);
		mock_work_wait(_metadata, dev, 20);
		fd = set_state(_metadata, dev, state);
		ASSERT_EQ(0, __vfio_dev_reset(dev));
		ASSERT_EQ(RUNNING, get_state(_metadata, dev));
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
		ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_writes)));
		mock_fill(_metadata, dev, IOVA, LENGTH, 0);
		ASSERT_TRUE(mem_is(self->bench.mem.va, LENGTH, 0));
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
	struct vfio_dev *dev = self->src;
	__u64 writes = 0;

	mock_work_start(_metadata, dev, &plain_work);
	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		int fd;

		mock_work_wait(_metadata, dev, writes + 30);
		fd = set_state(_metadata, dev, path[i]);
		ASSERT_EQ(1, mock_get(_metadata, dev, MOCK_REG(work_control)));
		writes = mock_get(_metadata, dev, MOCK_REG(work_writes));
		if (path[i] != RUNNING && path[i] != PRE_COPY) {
			check_quiet(_metadata, &self->bench, dev, &plain_work);
			/* Nothing to wait for in the next round. */
			writes = writes < 30 ? 0 : writes - 30;
		}
		if (fd >= 0)
			close(fd);
	}
	mock_work_wait(_metadata, dev, writes + 60);
	check_writes(_metadata, &self->bench, &plain_work,
		     mock_work_stop(_metadata, dev));
}

TEST_F(migration, quiesced_device_starts_no_dma)
{
	static const __u32 states[] = {
		RUNNING_P2P, STOP, PRE_COPY_P2P, STOP_COPY, RESUMING,
	};
	struct vfio_dev *dev = self->src;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		int fd = set_state(_metadata, dev, states[i]);

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
	ASSERT_TRUE(mem_is(self->bench.mem.va, LENGTH, 0));
}

/* A workload that is stopped while it is suspended does not continue. */
TEST_F(migration, suspended_workload_can_be_stopped)
{
	struct vfio_dev *dev = self->src;

	mock_work_start(_metadata, dev, &plain_work);
	mock_work_wait(_metadata, dev, 30);
	set_state(_metadata, dev, RUNNING_P2P);
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(work_control), 1));
	ASSERT_EQ(-EBUSY, __mock_set(dev, MOCK_REG(work_seed), 1));
	mock_set(_metadata, dev, MOCK_REG(work_control), 0);
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
	set_state(_metadata, dev, RUNNING);
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(work_control)));
	check_quiet(_metadata, &self->bench, dev, &plain_work);
	mock_fill(_metadata, dev, IOVA, 8, 1);
}

/* Writes that were due during the pause do not follow in a burst. */
TEST_F(migration, resumed_workload_keeps_its_rate)
{
	struct vfio_dev *dev = self->src;
	struct mock_work work = plain_work;
	struct timespec start;
	__u64 before, after;

	work.rate = 200;
	mock_work_start(_metadata, dev, &work);
	mock_work_wait(_metadata, dev, 20);
	set_state(_metadata, dev, STOP);
	before = mock_get(_metadata, dev, MOCK_REG(work_writes));
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (seconds_since(&start) < 1)
		sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &start);
	set_state(_metadata, dev, RUNNING);
	mock_work_wait(_metadata, dev, before + 40);
	after = mock_work_stop(_metadata, dev);
	ASSERT_GE(seconds_since(&start) * work.rate + work.rate / 10,
		  after - before);
}

/* Dirty tracking of the device works in PRE_COPY, as a VMM needs it. */
TEST_F(migration, dma_log_reports_writes_of_precopy)
{
	struct vfio_device_feature_dma_logging_range range = { IOVA, LENGTH };
	struct vfio_dev *dev = self->src;
	__u64 page_size = SZ_4K, bits = 0;
	int fd;

	ASSERT_EQ(0, __dma_log_start(dev, &page_size, 1, &range));
	fd = set_state(_metadata, dev, PRE_COPY);
	mock_fill(_metadata, dev, IOVA + 3 * SZ_4K, 1, 1);
	mock_fill(_metadata, dev, IOVA + 7 * SZ_4K, 1, 1);
	set_state(_metadata, dev, STOP_COPY);
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
	struct fail_data step = { .dev = self->src, .fd = -1 };
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
	ASSERT_EQ(0, __vfio_dev_reset(self->src));
}

TEST_HARNESS_MAIN
