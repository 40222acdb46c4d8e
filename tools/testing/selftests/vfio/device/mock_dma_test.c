// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: commands of the mock DMA device
 *
 * Compare registers, the device's own memory, and DMA by command with a model
 * of memory, an array of bytes. The background workload is tested in
 * mock_work_test.c.
 */
#include <unistd.h>

#include "lib/test.h"

#define IOVA	0x100000ULL
#define LENGTH	(16 * SZ_4K)

FIXTURE(mock_dma)
{
	struct bench bench;
	__u8 *model;
	__u8 *buffer;
};

FIXTURE_VARIANT(mock_dma)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(mock_dma, type1) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(mock_dma, compat) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(mock_dma, iommufd) {
	.mode = MODE_IOMMUFD, .model = "4k",
};

FIXTURE_VARIANT_ADD(mock_dma, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(mock_dma, compat_emulated) {
	.mode = MODE_COMPAT, .model = "emulated",
};

FIXTURE_VARIANT_ADD(mock_dma, iommufd_emulated) {
	.mode = MODE_IOMMUFD, .model = "emulated",
};

FIXTURE_SETUP(mock_dma)
{
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	self->model = calloc(1, LENGTH);
	self->buffer = malloc(VFIO_MOCK_DMA_BUFFER);
	ASSERT_NE(NULL, self->model);
	ASSERT_NE(NULL, self->buffer);
	mem_pattern(self->model, LENGTH, 1);
	memcpy(self->bench.mem.va, self->model, LENGTH);
}

FIXTURE_TEARDOWN(mock_dma)
{
	bench_close(_metadata, &self->bench);
	free(self->model);
	free(self->buffer);
}

static void read_regs(struct __test_metadata *_metadata, struct bench *bench,
		      struct vfio_mock_dma_regs *regs)
{
	__u64 *word = (__u64 *)regs;

	for (size_t at = 0; at < sizeof(*regs); at += 8) {
		ASSERT_EQ(0, __mock_region_read(&bench->dev,
						VFIO_MOCK_DMA_REGION_REGS, at,
						word++, 8));
	}
}

/* Check the values after a reset; magic, version and two strides are not 0. */
static void check_reset_regs(struct __test_metadata *_metadata,
			     struct bench *bench)
{
	struct vfio_mock_dma_regs regs, expect = {
		.magic = VFIO_MOCK_DMA_MAGIC,
		.version = VFIO_MOCK_DMA_VERSION,
		.work_stride = 4096,
		.truth_granule = 4096,
	};

	read_regs(_metadata, bench, &regs);
	ASSERT_EQ(0, memcmp(&regs, &expect, sizeof(regs)));
}

static void check_memory(struct __test_metadata *_metadata, const __u8 *model,
			 const struct mem *mem)
{
	size_t i = 0;

	if (!memcmp(model, mem->va, mem->length))
		return;
	while (model[i] == mem->va[i])
		i++;
	ASSERT_EQ(model[i], mem->va[i]) {
		TH_LOG("memory differs at offset 0x%zx", i);
	}
}

TEST_F(mock_dma, device_info_is_as_documented)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;

	ASSERT_EQ(0, xioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(VFIO_MOCK_DMA_NUM_REGIONS, info.num_regions);
	ASSERT_EQ(0, info.num_irqs);
	ASSERT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);

	ASSERT_EQ(0, __vfio_dev_region(dev, VFIO_MOCK_DMA_REGION_REGS,
				       &region));
	ASSERT_LE(sizeof(struct vfio_mock_dma_regs), region.size);
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  region.flags);
	ASSERT_EQ(0, __vfio_dev_region(dev, VFIO_MOCK_DMA_REGION_BUFFER,
				       &region));
	ASSERT_EQ(VFIO_MOCK_DMA_BUFFER, region.size);
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  region.flags);
	ASSERT_EQ(0, __vfio_dev_region(dev, VFIO_MOCK_DMA_REGION_TRUTH,
				       &region));
	ASSERT_EQ(VFIO_MOCK_DMA_TRUTH_MAX / 8, region.size);
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ, region.flags);
}

TEST_F(mock_dma, info_with_bad_arguments_is_einval)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_device_info info = { .argsz = 8 };
	struct vfio_region_info region = { .argsz = 8 };

	ASSERT_EQ(-EINVAL, xioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(-EINVAL, xioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO,
				  &region));
	ASSERT_EQ(-EINVAL, __vfio_dev_region(dev, VFIO_MOCK_DMA_NUM_REGIONS,
					     &region));
}

/* Access four of the eight bytes of @src. */
static int access_half(struct vfio_dev *dev, size_t at, __u32 *half, bool write)
{
	size_t offset = MOCK_REG(src) + at;

	if (write)
		return __mock_region_write(dev, VFIO_MOCK_DMA_REGION_REGS,
					   offset, half, 4);
	return __mock_region_read(dev, VFIO_MOCK_DMA_REGION_REGS, offset, half,
				  4);
}

TEST_F(mock_dma, registers_read_back_what_was_written)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 half = 0xaabbccdd;
	__u32 halves[2];

	check_reset_regs(_metadata, &self->bench);
	mock_set(_metadata, dev, MOCK_REG(src), 0x1122334455667788ULL);
	ASSERT_EQ(0, access_half(dev, 0, &halves[0], false));
	ASSERT_EQ(0, access_half(dev, 4, &halves[1], false));
	ASSERT_EQ(0x55667788, halves[0]);
	ASSERT_EQ(0x11223344, halves[1]);
	ASSERT_EQ(0, access_half(dev, 4, &half, true));
	ASSERT_EQ(0xaabbccdd55667788ULL,
		  mock_get(_metadata, dev, MOCK_REG(src)));
	mock_set(_metadata, dev, MOCK_REG(dst), ~0ULL);
	mock_set(_metadata, dev, MOCK_REG(length), ~0ULL - 1);
	mock_set(_metadata, dev, MOCK_REG(pattern), ~0ULL - 2);
	ASSERT_EQ(~0ULL, mock_get(_metadata, dev, MOCK_REG(dst)));
	ASSERT_EQ(~0ULL - 1, mock_get(_metadata, dev, MOCK_REG(length)));
	ASSERT_EQ(~0ULL - 2, mock_get(_metadata, dev, MOCK_REG(pattern)));
	ASSERT_EQ(0, __vfio_dev_reset(dev));
	check_reset_regs(_metadata, &self->bench);
}

TEST_F(mock_dma, register_access_of_other_size_is_einval)
{
	static const struct {
		__u64 offset;
		size_t size;
	} bad[] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 0, 5 }, { 0, 16 },
		{ 2, 4 }, { 1, 4 }, { 4, 8 }, { 12, 8 },
	};
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_mock_dma_regs before, after;
	__u64 data[2] = { 1, 2 };
	int rc;

	read_regs(_metadata, &self->bench, &before);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		rc = __mock_region_read(dev, VFIO_MOCK_DMA_REGION_REGS,
					bad[i].offset, data, bad[i].size);
		ASSERT_EQ(-EINVAL, rc);
		rc = __mock_region_write(dev, VFIO_MOCK_DMA_REGION_REGS,
					 MOCK_REG(src) + bad[i].offset, data,
					 bad[i].size);
		ASSERT_EQ(-EINVAL, rc);
	}
	read_regs(_metadata, &self->bench, &after);
	ASSERT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

TEST_F(mock_dma, write_to_read_only_register_is_eperm)
{
	static const struct {
		size_t offset;
	} regs[] = {
		{ MOCK_REG(magic) }, { MOCK_REG(version) },
		{ MOCK_REG(status) }, { MOCK_REG(fault_count) },
		{ MOCK_REG(fault_iova) }, { MOCK_REG(fault_reason) },
		{ MOCK_REG(work_writes) },
	};
	struct vfio_dev *dev = &self->bench.dev;

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		ASSERT_EQ(-EPERM, __mock_set(dev, regs[i].offset, 1)) {
			TH_LOG("register at 0x%zx", regs[i].offset);
		}
	}
	check_reset_regs(_metadata, &self->bench);
}

static int read_buffer(struct vfio_dev *dev, __u64 at, void *to, size_t size)
{
	return __mock_region_read(dev, VFIO_MOCK_DMA_REGION_BUFFER, at, to,
				  size);
}

static int write_buffer(struct vfio_dev *dev, __u64 at, const void *from,
			size_t size)
{
	return __mock_region_write(dev, VFIO_MOCK_DMA_REGION_BUFFER, at, from,
				   size);
}

/* Any range inside of the buffer is accessible, and none that exceeds it. */
TEST_F(mock_dma, buffer_access_of_any_range_matches_the_model)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u8 *model = malloc(VFIO_MOCK_DMA_BUFFER);
	__u64 seed = 7;

	ASSERT_NE(NULL, model);
	mem_pattern(model, VFIO_MOCK_DMA_BUFFER, 3);
	ASSERT_EQ(0, write_buffer(dev, 0, model, VFIO_MOCK_DMA_BUFFER));
	for (int i = 0; i < 200; i++) {
		size_t at = next_random(&seed) % VFIO_MOCK_DMA_BUFFER;
		size_t size = 1 + next_random(&seed) %
			      (VFIO_MOCK_DMA_BUFFER - at);

		if (i % 2) {
			mem_pattern(model + at, size, i);
			ASSERT_EQ(0, write_buffer(dev, at, model + at, size));
		}
		ASSERT_EQ(0, read_buffer(dev, at, self->buffer, size));
		ASSERT_EQ(0, memcmp(model + at, self->buffer, size));
	}
	ASSERT_EQ(-EINVAL, read_buffer(dev, VFIO_MOCK_DMA_BUFFER - 8,
				       self->buffer, 9));
	ASSERT_EQ(-EINVAL, write_buffer(dev, VFIO_MOCK_DMA_BUFFER,
					self->buffer, 1));
	ASSERT_EQ(-EINVAL, write_buffer(dev, 1, self->buffer,
					VFIO_MOCK_DMA_BUFFER));
	ASSERT_EQ(0, read_buffer(dev, 0, self->buffer, VFIO_MOCK_DMA_BUFFER));
	ASSERT_EQ(0, memcmp(model, self->buffer, VFIO_MOCK_DMA_BUFFER));
	free(model);
}

/* Apply a command to the model. */
static void model_run(__u8 *model, __u8 *buffer, __u32 command, size_t src,
		      size_t dst, size_t length, __u64 pattern)
{
	const __u8 *byte = (const __u8 *)&pattern;

	switch (command) {
	case VFIO_MOCK_DMA_CMD_READ:
		memcpy(buffer, model + src, length);
		break;
	case VFIO_MOCK_DMA_CMD_WRITE:
		memcpy(model + dst, buffer, length);
		break;
	case VFIO_MOCK_DMA_CMD_FILL:
		for (size_t i = 0; i < length; i++)
			model[dst + i] = byte[i % 8];
		break;
	case VFIO_MOCK_DMA_CMD_COPY:
		memcpy(model + dst, model + src, length);
		break;
	}
}

/* Unaligned, page-crossing, short and long ranges of every command. */
TEST_F(mock_dma, commands_match_the_model)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u8 *seen = malloc(VFIO_MOCK_DMA_BUFFER);
	__u64 seed = 11;

	ASSERT_NE(NULL, seen);
	mem_pattern(self->buffer, VFIO_MOCK_DMA_BUFFER, 5);
	ASSERT_EQ(0, write_buffer(dev, 0, self->buffer, VFIO_MOCK_DMA_BUFFER));
	for (int i = 0; i < 120; i++) {
		__u32 command = VFIO_MOCK_DMA_CMD_READ + i % 4;
		size_t half = LENGTH / 2;
		size_t src = next_random(&seed) % half;
		size_t dst = half + next_random(&seed) % half;
		size_t room = LENGTH - dst;
		size_t length;
		__u64 pattern = next_random(&seed);

		if (half - src < room)
			room = half - src;
		length = 1 + next_random(&seed) % room;
		if (i % 3 == 0 && length > 24)
			length = 1 + length % 24;

		mock_set(_metadata, dev, MOCK_REG(pattern), pattern);
		ASSERT_EQ(0, __mock_run(dev, command, IOVA + src, IOVA + dst,
					length));
		ASSERT_EQ(VFIO_MOCK_DMA_OK,
			  mock_get(_metadata, dev, MOCK_REG(status)));
		model_run(self->model, self->buffer, command, src, dst, length,
			  pattern);
		check_memory(_metadata, self->model, &self->bench.mem);
	}
	ASSERT_EQ(0, read_buffer(dev, 0, seen, VFIO_MOCK_DMA_BUFFER));
	ASSERT_EQ(0, memcmp(seen, self->buffer, VFIO_MOCK_DMA_BUFFER));
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(fault_count)));
	free(seen);
}

/* Copies to lower addresses, and ranges that touch without overlapping. */
TEST_F(mock_dma, copy_between_adjacent_ranges_matches_the_model)
{
	struct vfio_dev *dev = &self->bench.dev;

	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_COPY, IOVA + 5000,
				IOVA + 1, 4999));
	memcpy(self->model + 1, self->model + 5000, 4999);
	check_memory(_metadata, self->model, &self->bench.mem);
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_COPY, IOVA + 1000,
				IOVA + 9000, 8000));
	memcpy(self->model + 9000, self->model + 1000, 8000);
	check_memory(_metadata, self->model, &self->bench.mem);
}

static const struct {
	__u32 command;
	__u64 src, dst, length;
} refused[] = {
	{ 0, IOVA, IOVA + 0x8000, 8 },
	{ 5, IOVA, IOVA + 0x8000, 8 },
	{ ~0U, IOVA, IOVA + 0x8000, 8 },
	{ VFIO_MOCK_DMA_CMD_READ, IOVA, 0, 0 },
	{ VFIO_MOCK_DMA_CMD_WRITE, 0, IOVA, 0 },
	{ VFIO_MOCK_DMA_CMD_FILL, 0, IOVA, 0 },
	{ VFIO_MOCK_DMA_CMD_COPY, IOVA, IOVA + 0x8000, 0 },
	{ VFIO_MOCK_DMA_CMD_READ, IOVA, 0, VFIO_MOCK_DMA_BUFFER + 1 },
	{ VFIO_MOCK_DMA_CMD_WRITE, 0, IOVA, VFIO_MOCK_DMA_BUFFER + 1 },
	{ VFIO_MOCK_DMA_CMD_WRITE, 0, IOVA, ~0ULL },
	{ VFIO_MOCK_DMA_CMD_READ, -4ULL, 0, 8 },
	{ VFIO_MOCK_DMA_CMD_WRITE, 0, -4ULL, 8 },
	{ VFIO_MOCK_DMA_CMD_FILL, 0, -4ULL, 8 },
	{ VFIO_MOCK_DMA_CMD_FILL, 0, IOVA, ~0ULL },
	{ VFIO_MOCK_DMA_CMD_COPY, -4ULL, IOVA, 8 },
	{ VFIO_MOCK_DMA_CMD_COPY, IOVA, -4ULL, 8 },
	{ VFIO_MOCK_DMA_CMD_COPY, IOVA, IOVA, 8 },
	{ VFIO_MOCK_DMA_CMD_COPY, IOVA, IOVA + 7, 8 },
	{ VFIO_MOCK_DMA_CMD_COPY, IOVA + 7, IOVA, 8 },
};

TEST_F(mock_dma, refused_commands_change_nothing)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_mock_dma_regs before, after;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		mock_set(_metadata, dev, MOCK_REG(src), refused[i].src);
		mock_set(_metadata, dev, MOCK_REG(dst), refused[i].dst);
		mock_set(_metadata, dev, MOCK_REG(length), refused[i].length);
		read_regs(_metadata, &self->bench, &before);
		ASSERT_EQ(-EINVAL, __mock_set(dev, MOCK_REG(command),
					      refused[i].command)) {
			TH_LOG("refused[%zu]", i);
		}
		read_regs(_metadata, &self->bench, &after);
		ASSERT_EQ(0, memcmp(&before, &after, sizeof(before))) {
			TH_LOG("refused[%zu] changed a register", i);
		}
	}
	check_memory(_metadata, self->model, &self->bench.mem);
	mock_fill(_metadata, dev, IOVA, 8, 1);
}

static void check_fault(struct __test_metadata *_metadata, struct bench *bench,
			__u64 count, __u64 iova, __u32 reason)
{
	struct vfio_dev *dev = &bench->dev;

	ASSERT_EQ(VFIO_MOCK_DMA_FAULT,
		  mock_get(_metadata, dev, MOCK_REG(status)));
	ASSERT_EQ(count, mock_get(_metadata, dev, MOCK_REG(fault_count)));
	ASSERT_EQ(iova, mock_get(_metadata, dev, MOCK_REG(fault_iova)));
	ASSERT_EQ(reason, mock_get(_metadata, dev, MOCK_REG(fault_reason)));
}

/* DMA beyond the end of a mapping transfers the part before the end. */
TEST_F(mock_dma, dma_past_the_mapping_faults_at_its_end)
{
	struct vfio_dev *dev = &self->bench.dev;
	const __u64 end = IOVA + LENGTH;

	ASSERT_EQ(0, __mock_fill(dev, end - 100, 300, 0x4242424242424242ULL));
	check_fault(_metadata, &self->bench, 1, end,
		    VFIO_MOCK_DMA_FAULT_UNMAPPED);
	memset(self->model + LENGTH - 100, 0x42, 100);
	check_memory(_metadata, self->model, &self->bench.mem);

	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_READ, IOVA - 1, 0, 10));
	check_fault(_metadata, &self->bench, 2, IOVA - 1,
		    VFIO_MOCK_DMA_FAULT_UNMAPPED);
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_WRITE, 0, 0, 10));
	check_fault(_metadata, &self->bench, 3, 0,
		    VFIO_MOCK_DMA_FAULT_UNMAPPED);
	check_memory(_metadata, self->model, &self->bench.mem);

	/* The next command works; the status is that of the last command. */
	mock_fill(_metadata, dev, IOVA, 16, 0x4343434343434343ULL);
	memset(self->model, 0x43, 16);
	check_memory(_metadata, self->model, &self->bench.mem);
	ASSERT_EQ(3, mock_get(_metadata, dev, MOCK_REG(fault_count)));
	ASSERT_EQ(0, __vfio_dev_reset(dev));
	check_reset_regs(_metadata, &self->bench);
}

/* The source of a copy has a hole of one page. */
TEST_F(mock_dma, copy_over_a_hole_faults_at_the_hole)
{
	struct vfio_dev *dev = &self->bench.dev;
	const __u64 end = IOVA + LENGTH;
	size_t from = LENGTH - 6000;

	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_COPY, IOVA + from, IOVA,
				9000));
	check_fault(_metadata, &self->bench, 1, end,
		    VFIO_MOCK_DMA_FAULT_UNMAPPED);
	memcpy(self->model, self->model + from, 6000);
	check_memory(_metadata, self->model, &self->bench.mem);
}

TEST_F(mock_dma, dma_after_unmap_faults)
{
	struct vfio_dev *dev = &self->bench.dev;

	mock_fill(_metadata, dev, IOVA, LENGTH, 0);
	memset(self->model, 0, LENGTH);
	iommu_unmap(_metadata, &self->bench.iommu, IOVA, LENGTH);
	ASSERT_EQ(0, __mock_fill(dev, IOVA, LENGTH, ~0ULL));
	check_fault(_metadata, &self->bench, 1, IOVA,
		    VFIO_MOCK_DMA_FAULT_UNMAPPED);
	check_memory(_metadata, self->model, &self->bench.mem);

	iommu_map(_metadata, &self->bench.iommu, self->bench.mem.va, IOVA,
		  LENGTH);
	mock_fill(_metadata, dev, IOVA, LENGTH, ~0ULL);
	memset(self->model, 0xff, LENGTH);
	check_memory(_metadata, self->model, &self->bench.mem);
}

TEST_F(mock_dma, write_to_read_only_mapping_faults)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct iommu *iommu = &self->bench.iommu;
	struct mem *mem = &self->bench.mem;
	const __u64 at = 0x4000000;

	ASSERT_EQ(0, __iommu_map(iommu, mem->va, at, LENGTH, PROT_DMA_READ));
	ASSERT_EQ(0, __mock_fill(dev, at + 8192 + 7, 9, ~0ULL));
	check_fault(_metadata, &self->bench, 1, at + 8192 + 7,
		    VFIO_MOCK_DMA_FAULT_WRITE);
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_COPY, at, at + 8192,
				8192));
	check_fault(_metadata, &self->bench, 2, at + 8192,
		    VFIO_MOCK_DMA_FAULT_WRITE);
	check_memory(_metadata, self->model, mem);
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_READ, at + 3, 0, 9000));
	ASSERT_EQ(VFIO_MOCK_DMA_OK, mock_get(_metadata, dev, MOCK_REG(status)));
	ASSERT_EQ(0, read_buffer(dev, 0, self->buffer, 9000));
	ASSERT_EQ(0, memcmp(self->buffer, mem->va + 3, 9000));
}

TEST_F(mock_dma, read_of_write_only_mapping_faults)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct iommu *iommu = &self->bench.iommu;
	struct mem *mem = &self->bench.mem;
	const __u64 at = 0x4000000;

	ASSERT_EQ(0, __iommu_map(iommu, mem->va, at, LENGTH, PROT_DMA_WRITE));
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_READ, at + 5, 0, 9));
	check_fault(_metadata, &self->bench, 1, at + 5,
		    VFIO_MOCK_DMA_FAULT_READ);
	mock_fill(_metadata, dev, at + 5, 9000, 0x3131313131313131ULL);
	memset(self->model + 5, 0x31, 9000);
	check_memory(_metadata, self->model, mem);
}

/*
 * Only a device file can be detached while it is open. A group with an open
 * device cannot be removed from its container.
 */
TEST_F(mock_dma, dma_of_detached_device_faults)
{
	struct vfio_dev *dev = &self->bench.dev;

	if (variant->mode != MODE_IOMMUFD) {
		ASSERT_EQ(-EBUSY,
			  xioctl(dev->group_fd, VFIO_GROUP_UNSET_CONTAINER,
				 NULL));
		mock_fill(_metadata, dev, IOVA, 8, 0);
		return;
	}
	ASSERT_EQ(0, __vfio_dev_detach(dev));
	ASSERT_EQ(0, __mock_fill(dev, IOVA, LENGTH, ~0ULL));
	check_fault(_metadata, &self->bench, 1, IOVA,
		    VFIO_MOCK_DMA_FAULT_BLOCKED);
	ASSERT_EQ(0, __mock_run(dev, VFIO_MOCK_DMA_CMD_READ, IOVA, 0, 8));
	check_fault(_metadata, &self->bench, 2, IOVA,
		    VFIO_MOCK_DMA_FAULT_BLOCKED);
	check_memory(_metadata, self->model, &self->bench.mem);

	ASSERT_EQ(0, __vfio_dev_attach(dev, dev->hwpt_id ?:
				       self->bench.iommu.ioas_id));
	mock_fill(_metadata, dev, IOVA, 8, 0);
	memset(self->model, 0, 8);
	check_memory(_metadata, self->model, &self->bench.mem);
}

/* Closing the device resets it: the next user reads no data of this one. */
TEST_F(mock_dma, close_resets_the_device)
{
	struct bench *bench = &self->bench;
	struct vfio_dev *dev = &bench->dev;

	mock_set(_metadata, dev, MOCK_REG(src), 77);
	ASSERT_EQ(0, __mock_fill(dev, 0, 8, 1));
	ASSERT_EQ(0, __mock_truth_start(dev, IOVA, LENGTH, SZ_4K));
	bench_close(_metadata, bench);
	bench_open(_metadata, bench, variant->mode, variant->model);
	check_reset_regs(_metadata, bench);
	ASSERT_EQ(0, __mock_fill(dev, IOVA, 8, 1));
	check_fault(_metadata, bench, 1, IOVA, VFIO_MOCK_DMA_FAULT_UNMAPPED);
}

TEST_HARNESS_MAIN
