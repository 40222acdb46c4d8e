// SPDX-License-Identifier: GPL-2.0-only
/*
 * The regions of the device file.
 */
#include <linux/build_bug.h>
#include <linux/vfio.h>

#include "mock_dma.h"

/* The offset of a region is its index, shifted by this. */
#define MOCK_DMA_REGION_SHIFT	40

static const struct {
	u64 size;
	u32 flags;
} mock_dma_regions[] = {
	[VFIO_MOCK_DMA_REGION_REGS] = {
		.size = sizeof(struct vfio_mock_dma_regs),
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	},
	[VFIO_MOCK_DMA_REGION_BUFFER] = {
		.size = VFIO_MOCK_DMA_BUFFER,
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	},
	[VFIO_MOCK_DMA_REGION_TRUTH] = {
		.size = VFIO_MOCK_DMA_TRUTH_MAX / BITS_PER_BYTE,
		.flags = VFIO_REGION_INFO_FLAG_READ,
	},
};

static_assert(ARRAY_SIZE(mock_dma_regions) == VFIO_MOCK_DMA_NUM_REGIONS);

/**
 * mock_dma_region_offset() - get the offset of a region in the device file
 * @index: enum vfio_mock_dma_region
 *
 * Return: the offset of the first byte.
 */
u64 mock_dma_region_offset(unsigned int index)
{
	return (u64)index << MOCK_DMA_REGION_SHIFT;
}

/**
 * mock_dma_region_index() - get the region that contains an offset
 * @offset: offset in the device file
 *
 * Return: the index of the region, or a number of at least
 * VFIO_MOCK_DMA_NUM_REGIONS.
 */
unsigned int mock_dma_region_index(u64 offset)
{
	return offset >> MOCK_DMA_REGION_SHIFT;
}

/**
 * mock_dma_region_size() - get the size of a region
 * @index: enum vfio_mock_dma_region, or any other number
 *
 * Return: the size in bytes, or 0 if there is no such region.
 */
u64 mock_dma_region_size(unsigned int index)
{
	if (index >= VFIO_MOCK_DMA_NUM_REGIONS)
		return 0;
	return mock_dma_regions[index].size;
}

/**
 * mock_dma_region_flags() - get the flags of a region
 * @index: enum vfio_mock_dma_region
 *
 * Return: VFIO_REGION_INFO_FLAG_*.
 */
u32 mock_dma_region_flags(unsigned int index)
{
	return mock_dma_regions[index].flags;
}
