// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: data of a migration of the mock PCI device
 *
 * A device loads the data of another device, in parts of any size, and refuses
 * data that is truncated, changed or too long. The file of a session fails when
 * the session has ended.
 */
#include <string.h>
#include <unistd.h>

#include "lib/migration_fixture.h"

/* An address of the kernel. */
#define NOWHERE		((void *)-SZ_4K)

/* The data does not depend on the interface: all bytes once, else a sample. */
#define STEP(variant)	((variant)->mode == MODE_IOMMUFD ? 1 : 31)

/* A device state that was read, with room for more. */
static __u8 data[MIG_DATA_MAX];

TEST_F(migration, data_size_is_that_of_the_data)
{
	__u64 length;

	ASSERT_EQ(0, __mig_data_size(self->pair.src, &length));
	ASSERT_EQ(length, mig_save(_metadata, self->pair.src, data));
	ASSERT_EQ(0, __mig_data_size(self->pair.src, &length));
}

/* The data can be read and written with any size of a part. */
TEST_F(migration, data_is_the_same_in_parts_of_any_size)
{
	static const size_t parts[] = { MIG_DATA_MAX, 4096, 24, 3, 1 };
	const size_t count = variant->mode == MODE_IOMMUFD ? ARRAY_SIZE(parts) :
							     2;
	static __u8 again[MIG_DATA_MAX];
	size_t size = mig_save(_metadata, self->pair.src, data);

	mig_set(_metadata, self->pair.src, STOP);
	for (size_t i = 0; i < count; i++) {
		int fd = mig_set(_metadata, self->pair.src, STOP_COPY);

		ASSERT_EQ(size, __mig_read(fd, again, sizeof(again), parts[i]));
		ASSERT_EQ(0, memcmp(data, again, size));
		ASSERT_EQ(0, read(fd, again, 1));
		close(fd);
		mig_set(_metadata, self->pair.src, STOP);

		ASSERT_EQ(0, __vfio_dev_reset(&self->pair.dst));
		fd = mig_set(_metadata, &self->pair.dst, RESUMING);
		for (size_t at = 0; at < size; at += parts[i]) {
			size_t part = parts[i] < size - at ? parts[i] :
							     size - at;

			ASSERT_EQ(0, __mig_write(fd, data + at, part));
		}
		close(fd);
		mig_set(_metadata, &self->pair.dst, STOP);
		ASSERT_EQ(1, mock_pci_regs(_metadata, &self->pair.dst).migrations);
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
	before = mock_dma_regs(_metadata, dev);
	fd = mig_set(_metadata, dev, RESUMING);
	ASSERT_EQ(0, __mig_write(fd, data, size));
	ASSERT_EQ(-EINVAL, __mig_set(dev, STOP, &none)) {
		TH_LOG("%s at %zu", what, at);
	}
	ASSERT_EQ(-1, none);
	ASSERT_EQ(RESUMING, mig_get(_metadata, dev));
	close(fd);
	after = mock_dma_regs(_metadata, dev);
	ASSERT_EQ(0, memcmp(&before, &after, sizeof(before)));
	ASSERT_EQ(0, mock_pci_regs(_metadata, dev).migrations);
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
	return mig_save(_metadata, dev, data);
}

TEST_F(migration, truncated_data_is_refused)
{
	size_t size = save_busy(_metadata, self->pair.src);

	for (size_t length = 0; length < 700; length += STEP(variant))
		check_refused(_metadata, &self->pair.dst, length, "end", length);
	for (size_t length = 700; length < size; length += 997)
		check_refused(_metadata, &self->pair.dst, length, "end", length);
	check_refused(_metadata, &self->pair.dst, size - 1, "end", size - 1);
	/* The data itself is valid. */
	ASSERT_EQ(0, __vfio_dev_reset(&self->pair.dst));
	mig_load(_metadata, &self->pair.dst, data, size);
	mig_set(_metadata, &self->pair.dst, STOP);
}

/* All bytes of the header and the registers, and a sample of the buffer. */
TEST_F(migration, data_with_a_changed_byte_is_refused)
{
	size_t size = save_busy(_metadata, self->pair.src);

	for (size_t at = 0; at < size;
	     at += at < 700 || at > size - 32 ? STEP(variant) : 509) {
		data[at] ^= 1 << at % 8;
		check_refused(_metadata, &self->pair.dst, size, "byte", at);
		data[at] ^= 1 << at % 8;
	}
}

/* The session stays invalid, although all of the data was written. */
TEST_F(migration, data_after_the_end_is_refused)
{
	size_t size = save_busy(_metadata, self->pair.src);
	int fd, none;

	fd = mig_set(_metadata, &self->pair.dst, RESUMING);
	ASSERT_EQ(-EFBIG, __mig_write(fd, data, size + 1));
	ASSERT_EQ(0, __mig_write(fd, data, size));
	ASSERT_EQ(-EINVAL, __mig_set(&self->pair.dst, STOP, &none));
	close(fd);

	ASSERT_EQ(0, __vfio_dev_reset(&self->pair.dst));
	fd = mig_set(_metadata, &self->pair.dst, RESUMING);
	ASSERT_EQ(0, __mig_write(fd, data, size));
	/* The same data again. */
	ASSERT_EQ(-EFBIG, __mig_write(fd, data, size));
	ASSERT_EQ(-EINVAL, __mig_set(&self->pair.dst, RUNNING, &none));
	ASSERT_EQ(RESUMING, mig_get(_metadata, &self->pair.dst));
	close(fd);
}

/* A session that failed for lack of data can be completed. */
TEST_F(migration, truncated_data_can_be_completed)
{
	size_t size = save_busy(_metadata, self->pair.src);
	int fd, none;

	fd = mig_set(_metadata, &self->pair.dst, RESUMING);
	ASSERT_EQ(0, __mig_write(fd, data, size - 5));
	ASSERT_EQ(-EINVAL, __mig_set(&self->pair.dst, STOP, &none));
	ASSERT_EQ(0, __mig_write(fd, data + size - 5, 5));
	mig_set(_metadata, &self->pair.dst, STOP);
	ASSERT_EQ(-1, write(fd, data, 1));
	ASSERT_EQ(ENODEV, errno);
	close(fd);
}

TEST_F(migration, precopy_reads_the_head_and_stop_copy_the_rest)
{
	struct vfio_precopy_info info = {};
	struct vfio_dev *src = self->pair.src;
	__u64 length;
	ssize_t head;
	int fd;

	ASSERT_EQ(0, __mig_data_size(src, &length));
	fd = mig_set(_metadata, src, PRE_COPY);
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_LT(8, info.initial_bytes);
	ASSERT_EQ(0, info.dirty_bytes);
	head = info.initial_bytes;

	ASSERT_EQ(3, read(fd, data, 3));
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_EQ(head - 3, info.initial_bytes);
	ASSERT_EQ(head - 3, read(fd, data + 3, MIG_DATA_MAX - 3));
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_EQ(0, info.initial_bytes);
	ASSERT_EQ(-1, read(fd, data + head, 1));
	ASSERT_EQ(ENOMSG, errno);

	ASSERT_EQ(-1, mig_set(_metadata, src, PRE_COPY_P2P));
	ASSERT_EQ(0, __mig_precopy_info(fd, &info));
	ASSERT_EQ(-1, read(fd, data + head, 1));
	ASSERT_EQ(ENOMSG, errno);
	ASSERT_EQ(-1, mig_set(_metadata, src, STOP_COPY));
	ASSERT_EQ(-EINVAL, __mig_precopy_info(fd, &info));
	ASSERT_EQ(length - head, __mig_read(fd, data + head, MIG_DATA_MAX - head,
					    MIG_DATA_MAX));
	close(fd);
	mig_load(_metadata, &self->pair.dst, data, length);
	mig_set(_metadata, &self->pair.dst, RUNNING);
}

TEST_F(migration, precopy_info_with_bad_arguments_fails)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) - 1 };
	int fd = mig_set(_metadata, self->pair.src, PRE_COPY);

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
	fd = mig_set(_metadata, self->pair.src, STOP_COPY);
	ASSERT_EQ(-1, fd);
	mig_set(_metadata, self->pair.src, RUNNING);

	fd = mig_set(_metadata, self->pair.src, RESUMING);
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
		return mig_set(_metadata, dev, state);
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
	struct vfio_dev *dev = self->pair.src;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = mig_set(_metadata, dev, cases[i].state);
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

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		int fd = mig_set(_metadata, &self->pair.dst, states[i]);

		vfio_dev_close(&self->pair.dst);
		ASSERT_EQ(-1, use_session(fd, states[i]));
		ASSERT_EQ(ENODEV, errno);
		mig_reopen_dst(_metadata, &self->pair);
		ASSERT_EQ(RUNNING, mig_get(_metadata, &self->pair.dst));
		close(fd);
	}
}

TEST_HARNESS_MAIN
