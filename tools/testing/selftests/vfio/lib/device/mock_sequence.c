// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: model of the workload of the mock DMA device
 *
 * Address and data of each write are a function of the seed and the number of
 * the write, as in drivers/vfio/mock/mock_dma_work.c. So memory after any
 * number of writes can be compared with the model.
 */
#include <string.h>

#include "mock_dma.h"

#define MULTIPLIER	0x9e3779b97f4a7c15ULL

static __u64 mix(__u64 x)
{
	x = (x ^ x >> 32) * MULTIPLIER;
	x = (x ^ x >> 29) * MULTIPLIER;
	return x ^ x >> 32;
}

/* A number below @count that depends on all bits of @x. */
static __u64 scale(__u64 x, __u64 count)
{
	return (__uint128_t)x * count >> 64;
}

/* Do write @n; @mem is at the first IOVA of the workload. */
void mock_sequence_write(const struct mock_work *work, __u64 n, __u8 *mem)
{
	__u64 key = mix(work->seed);
	__u64 set = mix(key + 2 * n * MULTIPLIER);
	__u64 where = mix(key + (2 * n + 1) * MULTIPLIER);
	__u64 hot = work->hot_length / work->stride;
	__u64 unit;

	if ((set >> 32) % 100 < work->hot_percent)
		unit = scale(where, hot);
	else
		unit = hot + scale(where, work->length / work->stride - hot);
	for (__u64 i = 0; i < work->stride / sizeof(__u64); i++) {
		__u64 word = ((n + 1) << 9 | i) * MULTIPLIER ^ key;

		memcpy(mem + unit * work->stride + i * sizeof(word), &word,
		       sizeof(word));
	}
}

/* Do the first @writes writes to memory that is all zeroes. */
void mock_sequence_run(const struct mock_work *work, __u64 writes, __u8 *mem)
{
	memset(mem, 0, work->length);
	for (__u64 n = 0; n < writes; n++)
		mock_sequence_write(work, n, mem);
}
