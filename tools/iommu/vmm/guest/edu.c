// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DMA of QEMU's edu device, which has a buffer of one page
 *
 * Memory is copied to the buffer and from there to another page, which must then
 * be equal. docs/specs/edu.rst of QEMU describes the registers.
 */
#include "guest.h"

#define REG_ID		0x00
#define  ID_MASK	0xff
#define  ID		0xed
#define REG_SOURCE	0x80
#define REG_TARGET	0x88
#define REG_COUNT	0x90
#define REG_COMMAND	0x98
#define  COMMAND_RUN	0x1
#define  COMMAND_TO_RAM	0x2
#define BUFFER		0x40000

/* QEMU 7.2 takes a transfer of the whole buffer for one beyond it. */
#define LENGTH		(PAGE / 2)

#define COPIES		16u
#define WORDS		(LENGTH / 8)

static void write32(struct device *dev, size_t reg, __u32 value)
{
	__atomic_store_n(&dev->bar[reg / 4], value, __ATOMIC_RELEASE);
}

static __u32 read32(const struct device *dev, size_t reg)
{
	return __atomic_load_n(&dev->bar[reg / 4], __ATOMIC_ACQUIRE);
}

static void copy(struct device *dev, __u32 source, __u32 target,
		 __u32 direction)
{
	unsigned int tries;

	write32(dev, REG_SOURCE, source);
	write32(dev, REG_TARGET, target);
	write32(dev, REG_COUNT, LENGTH);
	write32(dev, REG_COMMAND, COMMAND_RUN | direction);
	for (tries = 0; tries < 500; tries++) {
		if (!(read32(dev, REG_COMMAND) & COMMAND_RUN))
			return;
		machine_wait();
	}
	give_up("a transfer of the edu device does not end");
}

static __u64 data(unsigned int copy, unsigned int word)
{
	return ((__u64)copy << 32 | word) * 0x9e3779b97f4a7c15ULL + 1;
}

/* Copy pages by device @k, each to another place; add what was found to @sum. */
void edu_copy(struct device *dev, unsigned int k, struct result *sum)
{
	unsigned int n, w, wrong;
	__u64 iova, *from, *to;
	unsigned char *memory = machine_range(k, MIB, &iova);

	if (!memory)
		give_up("no memory for the edu device");
	if ((read32(dev, REG_ID) & ID_MASK) != ID)
		give_up("the registers are not those of an edu device");
	for (n = 0; n < COPIES; n++) {
		from = (__u64 *)(memory + n * PAGE);
		to = (__u64 *)(memory + (2 * COPIES - n) * PAGE);
		for (w = 0; w < WORDS; w++)
			from[w] = data(n, w);
		copy(dev, iova + n * PAGE, BUFFER, 0);
		copy(dev, BUFFER, iova + (2 * COPIES - n) * PAGE,
		     COMMAND_TO_RAM);
		for (w = 0, wrong = 0; w < WORDS; w++)
			wrong += to[w] != data(n, w);
		sum->writes++;
		sum->units += WORDS;
		sum->written += WORDS;
		sum->wrong += wrong;
		sum->pages += !!wrong;
	}
}
