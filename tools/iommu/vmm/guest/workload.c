// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the workload of the mock device, seen from the guest
 *
 * Write n of a workload fills one unit. The seed and n determine which unit, and
 * each word of its data; drivers/vfio/mock/mock_dma_work.c describes how. Here the
 * sequence is repeated to find the last write of every unit, whose data the unit
 * must contain. The word's data is a bijection of n, so wrong data shows whether it
 * is that of an earlier write, which is the trace of a lost dirty bit.
 *
 * 64 bit registers are accessed as two halves: a VMM splits larger accesses of a
 * 32 bit guest anyway.
 */
#include <linux/vfio_mock_dma.h>
#include "guest.h"

#define MULTIPLIER	0x9e3779b97f4a7c15ULL
#define INVERSE		0xf1de83e19937733dULL	/* of it, modulo 2^64 */
#define WORD_BITS	9

#define REG(field)	(offsetof(struct vfio_mock_dma_regs, field) / 4)

/* The driver is 64 bit code and aligns all members to 8 bytes. */
enum {
	LAYOUT_FITS = 1 / (offsetof(struct vfio_mock_dma_regs, work_iova) == 72 &&
			   offsetof(struct vfio_mock_dma_regs, work_writes) == 128)
};

static void write32(struct device *dev, size_t reg, __u32 value)
{
	__atomic_store_n(&dev->bar[reg], value, __ATOMIC_RELEASE);
}

static __u32 read32(const struct device *dev, size_t reg)
{
	return __atomic_load_n(&dev->bar[reg], __ATOMIC_ACQUIRE);
}

static void write64(struct device *dev, size_t reg, __u64 value)
{
	write32(dev, reg, value);
	write32(dev, reg + 1, value >> 32);
}

/* For a register that only grows. */
static __u64 read64(const struct device *dev, size_t reg)
{
	__u32 low, high;

	do {
		high = read32(dev, reg + 1);
		low = read32(dev, reg);
	} while (high != read32(dev, reg + 1));
	return (__u64)high << 32 | low;
}

bool device_present(const struct device *dev)
{
	return read32(dev, REG(magic)) == VFIO_MOCK_DMA_MAGIC;
}

__u32 device_migrations(const struct device *dev)
{
	return read32(dev, BAR_MIGRATIONS / 4);
}

void range_start(struct range *r)
{
	struct device *dev = r->dev;
	__u32 i;

	for (i = 0; i < r->work.length / 8; i++)
		((__u64 *)r->memory)[i] = 0;
	r->writes = 0;
	write64(dev, REG(work_iova), r->iova);
	write64(dev, REG(work_length), r->work.length);
	write64(dev, REG(work_stride), r->work.stride);
	write64(dev, REG(work_rate), r->work.rate);
	write64(dev, REG(work_hot_length), r->work.hot);
	write64(dev, REG(work_hot_percent), r->work.hot_percent);
	write64(dev, REG(work_seed), r->work.seed);
	write32(dev, REG(work_control), 1);
	if (read32(dev, REG(work_control)) != 1)
		give_up("the device does not start the workload");
}

/* On return the device has ended its last write. */
void range_stop(struct range *r)
{
	write32(r->dev, REG(work_control), 0);
	r->writes = range_writes(r);
	r->faults = read64(r->dev, REG(fault_count));
}

__u32 range_writes(const struct range *r)
{
	return read64(r->dev, REG(work_writes));
}

/* Fill 8 bytes at @iova: with MSI, an interrupt follows. */
void device_command(struct device *dev, __u64 iova)
{
	write64(dev, REG(dst), iova);
	write64(dev, REG(length), 8);
	write64(dev, REG(pattern), MULTIPLIER);
	write32(dev, REG(command), VFIO_MOCK_DMA_CMD_FILL);
	dev->commands++;
}

static __u64 mix(__u64 x)
{
	x = (x ^ (x >> 32)) * MULTIPLIER;
	x = (x ^ (x >> 29)) * MULTIPLIER;
	return x ^ (x >> 32);
}

/* (@where * @count) >> 64, without the 128 bit product. */
static __u32 scale(__u64 where, __u32 count)
{
	__u64 low = (where & 0xffffffffu) * count;

	return ((where >> 32) * count + (low >> 32)) >> 32;
}

/* Note for each unit the number of its last write, from 1; 0: never written. */
static void find_last(const struct range *r, __u64 key, __u32 units)
{
	__u32 hot = r->work.hot / r->work.stride, n, unit;
	__u64 set, where;

	for (n = 0; n < units; n++)
		r->last[n] = 0;
	for (n = 0; n < r->writes; n++) {
		set = mix(key + 2ULL * n * MULTIPLIER);
		where = mix(key + (2ULL * n + 1) * MULTIPLIER);
		if ((__u32)(set >> 32) % 100 < r->work.hot_percent)
			unit = scale(where, hot);
		else
			unit = hot + scale(where, units - hot);
		r->last[unit] = n + 1;
	}
}

static __u64 data(__u64 key, __u32 write, __u32 word)
{
	return write ? ((__u64)write << WORD_BITS | word) * MULTIPLIER ^ key : 0;
}

/* Is a unit in a state from before its last write? */
static bool is_older(const __u64 *unit, __u64 key, __u32 last)
{
	__u64 number = (*unit ^ key) * INVERSE >> WORD_BITS;

	return !*unit || (number && number < last);
}

/* Compare every unit with the sequence; the result is added to @sum. */
void range_compare(const struct range *r, struct result *sum)
{
	__u32 units = r->work.length / r->work.stride, unit, word, page;
	__u32 wrong_page = ~0u;
	__u64 key = mix(r->work.seed);
	const __u64 *have;
	bool wrong;

	find_last(r, key, units);
	sum->writes += r->writes;
	sum->faults += r->faults;
	sum->units += units;
	for (unit = 0; unit < units; unit++) {
		have = (const __u64 *)(r->memory + unit * r->work.stride);
		wrong = false;
		for (word = 0; word < r->work.stride / 8; word++)
			wrong |= have[word] != data(key, r->last[unit], word);
		sum->written += !!r->last[unit];
		if (!wrong)
			continue;
		sum->wrong++;
		sum->older += is_older(have, key, r->last[unit]);
		page = unit * r->work.stride / PAGE;
		sum->pages += page != wrong_page;
		wrong_page = page;
	}
}
