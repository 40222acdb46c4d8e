// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: data of a migration of the mock PCI device
 *
 * Data that is complete and unchanged is loaded, in parts of any size. All other
 * data is refused, and the device keeps its state.
 */
#include "lib/device/migration_fixture.h"

TEST_F(migration, data_size_is_that_of_the_data)
{
	__u64 length;

	ASSERT_EQ(0, __mig_data_size(self->src, &length));
	ASSERT_EQ(length, save(_metadata, self->src));
	ASSERT_EQ(0, __mig_data_size(self->src, &length));
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

TEST_HARNESS_MAIN
