// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: migration of the mock PCI device
 *
 * Two devices map the same memory at the same IOVAs. A workload moves from one
 * to the other. Its writes are compared with a model, so that a write that was
 * lost, done twice, or done while a device was stopped is found.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/fail_nth.h"
#include "lib/test.h"

#define IOVA		0x200000ULL
#define LENGTH		(16 * SZ_4K)
#define BAR0		VFIO_PCI_BAR0_REGION_INDEX
#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX
#define STATE_MAX	SZ_1M
/* An address of the kernel. */
#define NOWHERE		((void *)-SZ_4K)

#define ERROR		VFIO_DEVICE_STATE_ERROR
#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P
#define STATES		VFIO_DEVICE_STATE_NR

/* A device state that was read, with room for more. */
static __u8 data[STATE_MAX];
static __u8 model[LENGTH];

static const struct mock_work plain_work = {
	.iova = IOVA, .length = LENGTH, .stride = 512, .seed = 7,
};

FIXTURE(migration)
{
	struct bench bench;
	struct vfio_dev *src;
	struct vfio_dev dst;
};

FIXTURE_VARIANT(migration)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(migration, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(migration, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(migration, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(migration)
{
	char path[PATH_MAX];

	bench_open_pci(_metadata, &self->bench, variant->mode, "4k");
	self->src = &self->bench.dev;
	ASSERT_EQ(0, mock_pci_find("4k", 1, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&self->dst, &self->bench.iommu, path));
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(migration)
{
	vfio_dev_close(&self->dst);
	bench_close(_metadata, &self->bench);
}

/* Set a state, and return the file of a new session or -1. */
static int set_state(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     __u32 state)
{
	int fd;

	ASSERT_EQ(0, __mig_set(dev, state, &fd)) {
		TH_LOG("state %u", state);
	}
	return fd;
}

static __u32 get_state(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	__u32 state;

	ASSERT_EQ(0, __mig_get(dev, &state));
	return state;
}

static struct vfio_mock_pci_regs pci_regs(struct __test_metadata *_metadata,
					  struct vfio_dev *dev)
{
	struct vfio_mock_pci_regs regs;

	ASSERT_EQ(sizeof(regs), __vfio_dev_read(dev, BAR0,
						VFIO_MOCK_PCI_BAR_PCI_REGS,
						&regs, sizeof(regs)));
	return regs;
}

static struct vfio_mock_dma_regs dma_regs(struct __test_metadata *_metadata,
					  struct vfio_dev *dev)
{
	struct vfio_mock_dma_regs regs;

	ASSERT_EQ(sizeof(regs), __vfio_dev_read(dev, BAR0,
						VFIO_MOCK_PCI_BAR_REGS,
						&regs, sizeof(regs)));
	return regs;
}

/* Read the device state to data, and return its size. */
static size_t save(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	int fd = set_state(_metadata, dev, STOP_COPY);
	ssize_t size;

	ASSERT_LE(0, fd);
	size = __mig_read(fd, data, sizeof(data), SZ_64K);
	ASSERT_LT(0, size);
	close(fd);
	return size;
}

static void load(struct __test_metadata *_metadata, struct vfio_dev *dev,
		 size_t size)
{
	int fd = set_state(_metadata, dev, RESUMING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, __mig_write(fd, data, size));
	close(fd);
}

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

TEST_F(migration, data_size_is_that_of_the_data)
{
	__u64 length;

	ASSERT_EQ(0, __mig_data_size(self->src, &length));
	ASSERT_EQ(length, save(_metadata, self->src));
	ASSERT_EQ(0, __mig_data_size(self->src, &length));
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

/* Everything that a guest can see of a device is the same on the other. */
TEST_F(migration, registers_buffer_and_config_space_are_migrated)
{
	struct vfio_dev *src = self->src, *dst = &self->dst;
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

	load(_metadata, dst, save(_metadata, src));
	set_state(_metadata, dst, RUNNING);
	ASSERT_EQ(0, __mock_region_read(dst, VFIO_MOCK_DMA_REGION_BUFFER, 0,
					after, sizeof(after)));
	ASSERT_EQ(0, memcmp(before, after, sizeof(after)));
	ASSERT_EQ(256, __vfio_dev_read(dst, CONFIG, 0, seen, 256));
	ASSERT_EQ(0, memcmp(config, seen, 256));
	one = dma_regs(_metadata, src);
	two = dma_regs(_metadata, dst);
	ASSERT_EQ(0, memcmp(&one, &two, sizeof(one)));
	ASSERT_EQ(1, two.fault_count);
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT_UNMAPPED, two.fault_reason);
	ASSERT_EQ(IOVA + LENGTH, two.fault_iova);
	ASSERT_EQ(3, two.work_stride);
}

/* The data can be read and written with any size of a part. */
TEST_F(migration, data_is_the_same_in_parts_of_any_size)
{
	static const size_t parts[] = { 1, 3, 24, 4096, STATE_MAX };
	static __u8 again[STATE_MAX];
	size_t size = save(_metadata, self->src);

	set_state(_metadata, self->src, STOP);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int fd = set_state(_metadata, self->src, STOP_COPY);

		ASSERT_EQ(size, __mig_read(fd, again, sizeof(again), parts[i]));
		ASSERT_EQ(0, memcmp(data, again, size));
		ASSERT_EQ(0, read(fd, again, 1));
		close(fd);
		set_state(_metadata, self->src, STOP);

		ASSERT_EQ(0, __vfio_dev_reset(&self->dst));
		fd = set_state(_metadata, &self->dst, RESUMING);
		for (size_t at = 0; at < size; at += parts[i]) {
			size_t part = parts[i] < size - at ? parts[i] :
							     size - at;

			ASSERT_EQ(0, __mig_write(fd, data + at, part));
		}
		close(fd);
		set_state(_metadata, &self->dst, STOP);
		ASSERT_EQ(1, pci_regs(_metadata, &self->dst).migrations);
	}
}

/* Write @size bytes that are not valid, and expect the device to be as before. */
static void check_refused(struct __test_metadata *_metadata,
			  struct vfio_dev *dev, size_t size, const char *what,
			  size_t at)
{
	struct vfio_mock_dma_regs before, after;
	__u8 buffer[64];
	int fd, none;

	ASSERT_EQ(0, __vfio_dev_reset(dev));
	mock_set(_metadata, dev, MOCK_REG(pattern), 99);
	before = dma_regs(_metadata, dev);
	fd = set_state(_metadata, dev, RESUMING);
	ASSERT_EQ(0, __mig_write(fd, data, size));
	ASSERT_EQ(-EINVAL, __mig_set(dev, STOP, &none)) {
		TH_LOG("%s at %zu", what, at);
	}
	ASSERT_EQ(-1, none);
	ASSERT_EQ(RESUMING, get_state(_metadata, dev));
	close(fd);
	after = dma_regs(_metadata, dev);
	ASSERT_EQ(0, memcmp(&before, &after, sizeof(before)));
	ASSERT_EQ(0, pci_regs(_metadata, dev).migrations);
	ASSERT_EQ(0, __mock_region_read(dev, VFIO_MOCK_DMA_REGION_BUFFER, 0,
					buffer, sizeof(buffer)));
	ASSERT_TRUE(mem_is(buffer, sizeof(buffer), 0));
}

/* A state with a value other than that after a reset in most of its bytes. */
static size_t save_busy(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	static __u8 buffer[VFIO_MOCK_DMA_BUFFER];

	mem_pattern(buffer, sizeof(buffer), 9);
	ASSERT_EQ(0, __mock_region_write(dev, VFIO_MOCK_DMA_REGION_BUFFER, 0,
					 buffer, sizeof(buffer)));
	mock_work_start(_metadata, dev, &plain_work);
	mock_work_wait(_metadata, dev, 50);
	return save(_metadata, dev);
}

TEST_F(migration, truncated_data_is_refused)
{
	size_t size = save_busy(_metadata, self->src);

	for (size_t length = 0; length < 700; length++)
		check_refused(_metadata, &self->dst, length, "end", length);
	for (size_t length = 700; length < size; length += 997)
		check_refused(_metadata, &self->dst, length, "end", length);
	check_refused(_metadata, &self->dst, size - 1, "end", size - 1);
	/* The data itself is valid. */
	ASSERT_EQ(0, __vfio_dev_reset(&self->dst));
	load(_metadata, &self->dst, size);
	set_state(_metadata, &self->dst, STOP);
}

/* All bytes of the header and the registers, and a sample of the buffer. */
TEST_F(migration, data_with_a_changed_byte_is_refused)
{
	size_t size = save_busy(_metadata, self->src);

	for (size_t at = 0; at < size; at += at < 700 || at > size - 32 ? 1 :
									 509) {
		data[at] ^= 1 << at % 8;
		check_refused(_metadata, &self->dst, size, "byte", at);
		data[at] ^= 1 << at % 8;
	}
}

/* The session stays invalid, although all of the data was written. */
TEST_F(migration, data_after_the_end_is_refused)
{
	size_t size = save_busy(_metadata, self->src);
	int fd, none;

	fd = set_state(_metadata, &self->dst, RESUMING);
	ASSERT_EQ(-EFBIG, __mig_write(fd, data, size + 1));
	ASSERT_EQ(0, __mig_write(fd, data, size));
	ASSERT_EQ(-EINVAL, __mig_set(&self->dst, STOP, &none));
	close(fd);

	ASSERT_EQ(0, __vfio_dev_reset(&self->dst));
	fd = set_state(_metadata, &self->dst, RESUMING);
	ASSERT_EQ(0, __mig_write(fd, data, size));
	/* The same data again. */
	ASSERT_EQ(-EFBIG, __mig_write(fd, data, size));
	ASSERT_EQ(-EINVAL, __mig_set(&self->dst, RUNNING, &none));
	ASSERT_EQ(RESUMING, get_state(_metadata, &self->dst));
	close(fd);
}

/* A session that failed for lack of data can be completed. */
TEST_F(migration, truncated_data_can_be_completed)
{
	size_t size = save_busy(_metadata, self->src);
	int fd, none;

	fd = set_state(_metadata, &self->dst, RESUMING);
	ASSERT_EQ(0, __mig_write(fd, data, size - 5));
	ASSERT_EQ(-EINVAL, __mig_set(&self->dst, STOP, &none));
	ASSERT_EQ(0, __mig_write(fd, data + size - 5, 5));
	set_state(_metadata, &self->dst, STOP);
	ASSERT_EQ(-1, write(fd, data, 1));
	ASSERT_EQ(ENODEV, errno);
	close(fd);
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
