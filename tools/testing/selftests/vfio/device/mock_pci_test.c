// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: config space and BARs of the mock PCI device
 *
 * The device has the interface of vfio-pci. Check each result that a VMM relies
 * on, and that invalid requests fail with the errno of vfio-pci.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/test.h"

#define IOVA		0x200000ULL
#define LENGTH		(16 * SZ_4K)
#define CONFIG_SIZE	256
#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX
#define BAR0		VFIO_PCI_BAR0_REGION_INDEX

FIXTURE(mock_pci)
{
	struct bench bench;
};

FIXTURE_SETUP(mock_pci)
{
	bench_open_pci(_metadata, &self->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
}

FIXTURE_TEARDOWN(mock_pci)
{
	bench_close(_metadata, &self->bench);
}

/* The bits of config space that can be written, and its initial value. */
static const struct {
	__u8 offset;
	__u32 value;
	__u32 mask;
} config_dwords[CONFIG_SIZE / 4] = {
	[0x00 / 4] = { .value = 0x6d641234 },
	[0x04 / 4] = { .value = 0x00100002, .mask = 0x00000546 },
	[0x08 / 4] = { .value = 0xff000001 },
	[0x0c / 4] = { .mask = 0x0000ffff },
	[0x10 / 4] = { .mask = 0xfffe0000 },
	[0x2c / 4] = { .value = 0x6d641234 },
	[0x34 / 4] = { .value = 0x00000040 },
	[0x3c / 4] = { .mask = 0x000000ff },
	[0x40 / 4] = { .value = 0x00800005, .mask = 0x00010000 },
	[0x44 / 4] = { .mask = 0xfffffffc },
	[0x48 / 4] = { .mask = 0xffffffff },
	[0x4c / 4] = { .mask = 0x0000ffff },
};

static __u8 config_value(unsigned int offset)
{
	return config_dwords[offset / 4].value >> 8 * (offset % 4);
}

static __u8 config_mask(unsigned int offset)
{
	return config_dwords[offset / 4].mask >> 8 * (offset % 4);
}

TEST_F(mock_pci, device_info_has_regions_and_irqs_of_vfio_pci)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = self->bench.dev.fd;

	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET, info.flags);
	ASSERT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	ASSERT_EQ(9, info.num_regions);
	ASSERT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
	ASSERT_EQ(5, info.num_irqs);
	ASSERT_EQ(0, info.cap_offset);
	info.argsz = 15;
	ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_INFO, NULL));
	ASSERT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				  &info));
}

TEST_F(mock_pci, only_bar_0_and_config_space_have_a_size)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_region_info info;

	for (__u32 i = 0; i < VFIO_PCI_VGA_REGION_INDEX; i++) {
		__u32 flags = VFIO_REGION_INFO_FLAG_READ |
			      VFIO_REGION_INFO_FLAG_WRITE;
		__u64 size = 0;

		if (i == BAR0)
			size = VFIO_MOCK_PCI_BAR_SIZE;
		else if (i == CONFIG)
			size = CONFIG_SIZE;
		ASSERT_EQ(0, __vfio_dev_region(dev, i, &info)) {
			TH_LOG("region %u", i);
		}
		ASSERT_EQ(size, info.size);
		ASSERT_EQ(size ? flags : 0, info.flags);
		ASSERT_EQ((__u64)i << 40, info.offset);
	}
	ASSERT_EQ(-EINVAL, __vfio_dev_region(dev, VFIO_PCI_VGA_REGION_INDEX,
					     &info));
	ASSERT_EQ(-EINVAL, __vfio_dev_region(dev, VFIO_PCI_NUM_REGIONS, &info));
	ASSERT_EQ(-EINVAL, __vfio_dev_region(dev, -1, &info));
	info.argsz = sizeof(info) - 1;
	info.index = 0;
	ASSERT_EQ(-EINVAL, xioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info));
}

TEST_F(mock_pci, config_space_reads_at_any_offset_and_size)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u8 whole[CONFIG_SIZE], part[CONFIG_SIZE + 1];

	ASSERT_EQ(CONFIG_SIZE, __vfio_dev_read(dev, CONFIG, 0, whole,
					       CONFIG_SIZE));
	for (size_t i = 0; i < CONFIG_SIZE; i++) {
		ASSERT_EQ(config_value(i), whole[i]) {
			TH_LOG("offset 0x%zx", i);
		}
	}
	for (size_t at = 0; at < CONFIG_SIZE; at++) {
		for (size_t size = 1; size <= CONFIG_SIZE - at; size++) {
			memset(part, 0xa5, sizeof(part));
			ASSERT_EQ(size, __vfio_dev_read(dev, CONFIG, at, part,
							size));
			ASSERT_EQ(0, memcmp(part, whole + at, size));
			ASSERT_EQ(0xa5, part[size]);
		}
		ASSERT_EQ(-EFAULT, __vfio_dev_read(dev, CONFIG, at, part,
						   CONFIG_SIZE - at + 1));
	}
	ASSERT_EQ(0, __vfio_dev_read(dev, CONFIG, CONFIG_SIZE, part, 0));
	ASSERT_EQ(-EFAULT, __vfio_dev_read(dev, CONFIG, CONFIG_SIZE, part, 1));
	ASSERT_EQ(-EFAULT, __vfio_dev_read(dev, CONFIG, 1 << 20, part, 1));
	ASSERT_EQ(-EFAULT, __vfio_dev_read(dev, CONFIG, 0, NULL, 4));
	ASSERT_EQ(-EFAULT, __vfio_dev_write(dev, CONFIG, 0, NULL, 4));
	ASSERT_EQ(-EFAULT, __vfio_dev_write(dev, CONFIG, 254, part, 4));
}

/* Write all ones, then a pattern, then all zeroes, to a part of config space. */
static void check_config_write(struct __test_metadata *_metadata,
			       struct vfio_dev *dev, size_t at, size_t size)
{
	static const __u8 bytes[] = { 0xff, 0xa5, 0 };
	__u8 before[CONFIG_SIZE], after[CONFIG_SIZE], data[CONFIG_SIZE];

	for (size_t n = 0; n < ARRAY_SIZE(bytes); n++) {
		ASSERT_EQ(CONFIG_SIZE, __vfio_dev_read(dev, CONFIG, 0, before,
						       CONFIG_SIZE));
		memset(data, bytes[n], size);
		ASSERT_EQ(size, __vfio_dev_write(dev, CONFIG, at, data, size));
		ASSERT_EQ(CONFIG_SIZE, __vfio_dev_read(dev, CONFIG, 0, after,
						       CONFIG_SIZE));
		for (size_t i = 0; i < CONFIG_SIZE; i++) {
			__u8 mask = i >= at && i < at + size ? config_mask(i) :
							       0;

			ASSERT_EQ((before[i] & ~mask) | (bytes[n] & mask),
				  after[i]) {
				TH_LOG("0x%x to %zu bytes at 0x%zx: 0x%zx",
				       bytes[n], size, at, i);
			}
		}
	}
}

TEST_F(mock_pci, config_space_writes_change_only_writable_bits)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 8, 64 };

	for (size_t n = 0; n < ARRAY_SIZE(sizes); n++)
		for (size_t at = 0; at <= CONFIG_SIZE - sizes[n]; at++)
			check_config_write(_metadata, &self->bench.dev, at,
					   sizes[n]);
	check_config_write(_metadata, &self->bench.dev, 0, CONFIG_SIZE);
}

/* The probe of a PCI driver: write all ones, and read the size. */
TEST_F(mock_pci, bars_report_their_size)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 ones = ~0U, bar;

	for (int i = 0; i < 6; i++) {
		__u64 at = PCI_BASE_ADDRESS_0 + 4 * i;

		ASSERT_EQ(4, __vfio_dev_write(dev, CONFIG, at, &ones, 4));
		ASSERT_EQ(4, __vfio_dev_read(dev, CONFIG, at, &bar, 4));
		ASSERT_EQ(i ? 0 : -VFIO_MOCK_PCI_BAR_SIZE, bar);
	}
	ASSERT_EQ(4, __vfio_dev_write(dev, CONFIG, PCI_ROM_ADDRESS, &ones, 4));
	ASSERT_EQ(4, __vfio_dev_read(dev, CONFIG, PCI_ROM_ADDRESS, &bar, 4));
	ASSERT_EQ(0, bar);
}

/* Only with 4 and 8 bytes, aligned, as in the plain device. */
TEST_F(mock_pci, registers_accept_aligned_accesses_of_4_and_8_bytes)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 half[3] = {};
	__u64 value;

	ASSERT_EQ(4, __vfio_dev_read(dev, BAR0, 0, half, 4));
	ASSERT_EQ(VFIO_MOCK_DMA_MAGIC, half[0]);
	ASSERT_EQ(8, __vfio_dev_read(dev, BAR0, 0, half, 8));
	ASSERT_EQ(VFIO_MOCK_DMA_VERSION, half[1]);
	for (size_t at = 0; at < 8; at++) {
		for (size_t size = 1; size <= 8; size++) {
			bool valid = at % 4 == 0 && size >= 4;
			/* What is left after 4 bytes is not valid. */
			ssize_t want = !valid ? -EINVAL : size < 8 ? 4 : 8;

			ASSERT_EQ(want, __vfio_dev_read(dev, BAR0, at, &value,
							size)) {
				TH_LOG("%zu bytes at %zu", size, at);
			}
		}
	}

	half[0] = 0x11223344;
	half[1] = 0x55667788;
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(4, __vfio_dev_write(dev, BAR0, MOCK_REG(pattern) +
					      4 * i, &half[i], 4));
	ASSERT_EQ(0x5566778811223344ULL,
		  mock_get(_metadata, dev, MOCK_REG(pattern)));
	ASSERT_EQ(-EINVAL, __vfio_dev_write(dev, BAR0, MOCK_REG(pattern), half,
					    2));
	ASSERT_EQ(-EPERM, __vfio_dev_write(dev, BAR0, MOCK_REG(magic), half,
					   4));
	/* The end of an access that fails is not done. */
	ASSERT_EQ(8, __vfio_dev_write(dev, BAR0, MOCK_REG(pattern), half, 10));
}

TEST_F(mock_pci, buffer_accepts_any_access)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u8 data[67], seen[67];
	__u64 seed = 1;

	for (size_t size = 1; size <= sizeof(data); size++) {
		for (size_t at = 0; at < 9; at++) {
			__u64 where = VFIO_MOCK_PCI_BAR_BUFFER + at;

			mem_pattern(data, size, next_random(&seed));
			ASSERT_EQ(size, __vfio_dev_write(dev, BAR0, where, data,
							 size));
			ASSERT_EQ(size, __vfio_dev_read(dev, BAR0, where, seen,
							size));
			ASSERT_EQ(0, memcmp(data, seen, size));
		}
	}
	/* An access ends with the BAR. */
	ASSERT_EQ(3, __vfio_dev_read(dev, BAR0, VFIO_MOCK_PCI_BAR_SIZE - 3,
				     seen, 8));
	ASSERT_EQ(3, __vfio_dev_write(dev, BAR0, VFIO_MOCK_PCI_BAR_SIZE - 3,
				      seen, 8));
	ASSERT_EQ(-EINVAL, __vfio_dev_read(dev, BAR0, VFIO_MOCK_PCI_BAR_SIZE,
					   seen, 1));
	ASSERT_EQ(-EINVAL, __vfio_dev_write(dev, BAR0, VFIO_MOCK_PCI_BAR_SIZE,
					    seen, 1));
}

TEST_F(mock_pci, rest_of_bar_0_reads_0_and_ignores_writes)
{
	static const __u64 offsets[] = {
		sizeof(struct vfio_mock_dma_regs), 0x800, 0x801, 0xfff,
		VFIO_MOCK_PCI_BAR_PCI_REGS + sizeof(struct vfio_mock_pci_regs),
		0x8000, 0xffff,
	};
	struct vfio_dev *dev = &self->bench.dev;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		__u8 byte = 0xff;

		ASSERT_EQ(1, __vfio_dev_write(dev, BAR0, offsets[i], &byte, 1));
		ASSERT_EQ(1, __vfio_dev_read(dev, BAR0, offsets[i], &byte, 1));
		ASSERT_EQ(0, byte);
	}
}

TEST_F(mock_pci, whole_bar_0_reads_at_once)
{
	static __u8 bar[VFIO_MOCK_PCI_BAR_SIZE + 1];
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_mock_pci_regs regs;

	memset(bar, 0xa5, sizeof(bar));
	ASSERT_EQ(VFIO_MOCK_PCI_BAR_SIZE,
		  __vfio_dev_read(dev, BAR0, 0, bar, sizeof(bar)));
	ASSERT_EQ(0xa5, bar[VFIO_MOCK_PCI_BAR_SIZE]);
	ASSERT_TRUE(mem_is(bar + VFIO_MOCK_PCI_BAR_BUFFER, VFIO_MOCK_DMA_BUFFER,
			   0));
	memcpy(&regs, bar + VFIO_MOCK_PCI_BAR_PCI_REGS, sizeof(regs));
	ASSERT_EQ(VFIO_DEVICE_STATE_RUNNING, regs.state);
	ASSERT_EQ(0, regs.migrations);
	ASSERT_EQ(0, regs.interrupts);
	memset(&regs, 0, sizeof(regs));
	for (size_t i = 0; i < sizeof(regs); i++) {
		ASSERT_EQ(-EPERM, __vfio_dev_write(dev, BAR0,
						   VFIO_MOCK_PCI_BAR_PCI_REGS +
						   i, &regs, 1));
	}
}

TEST_F(mock_pci, other_regions_cannot_be_accessed)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 value = 0;

	for (__u64 i = 0; i < 16; i++) {
		if (i == BAR0 || i == CONFIG)
			continue;
		ASSERT_EQ(-1, pread(dev->fd, &value, 4, i << 40));
		ASSERT_EQ(EINVAL, errno);
		ASSERT_EQ(-1, pwrite(dev->fd, &value, 4, i << 40));
		ASSERT_EQ(EINVAL, errno);
	}
}

TEST_F(mock_pci, bar_0_needs_memory_enabled)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u16 command = PCI_COMMAND_MASTER;
	__u32 value;

	ASSERT_EQ(2, __vfio_dev_write(dev, CONFIG, PCI_COMMAND, &command, 2));
	ASSERT_EQ(-EIO, __vfio_dev_read(dev, BAR0, 0, &value, 4));
	ASSERT_EQ(-EIO, __vfio_dev_write(dev, BAR0, 0x8000, &value, 4));
	command = PCI_COMMAND_MEMORY;
	ASSERT_EQ(2, __vfio_dev_write(dev, CONFIG, PCI_COMMAND, &command, 2));
	ASSERT_EQ(4, __vfio_dev_read(dev, BAR0, 0, &value, 4));
	mock_fill(_metadata, dev, IOVA, LENGTH, ~0ULL);
	ASSERT_TRUE(mem_is(self->bench.mem.va, LENGTH, 0xff));
}

TEST_F(mock_pci, mmap_is_einval)
{
	static const __u32 regions[] = { BAR0, CONFIG, VFIO_PCI_ROM_REGION_INDEX };

	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		ASSERT_EQ(MAP_FAILED, mmap(NULL, SZ_4K, PROT_READ, MAP_SHARED,
					   self->bench.dev.fd,
					   (off_t)regions[i] << 40));
		ASSERT_EQ(EINVAL, errno);
	}
}

TEST_HARNESS_MAIN
