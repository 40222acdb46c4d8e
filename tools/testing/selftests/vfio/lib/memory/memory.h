/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory for devices, of a given page size. */
#ifndef _VFIO_SELFTEST_MEMORY_H
#define _VFIO_SELFTEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct __test_metadata;

enum mem_kind {
	MEM_4K,
	MEM_THP,
	MEM_HUGETLB,
	MEM_GIGANTIC,
};

/**
 * struct mem - zeroed, touched memory
 * @va: address; 2 MiB aligned unless of MEM_4K, 1 GiB aligned if MEM_GIGANTIC
 * @length: bytes
 * @map: start of the mapping around it
 * @map_length: bytes of the mapping
 */
struct mem {
	__u8 *va;
	size_t length;
	void *map;
	size_t map_length;
};

void mem_alloc(struct __test_metadata *_metadata, struct mem *mem,
	       size_t length, enum mem_kind kind);
void mem_scatter(struct __test_metadata *_metadata, struct mem *mem);
void mem_free(struct mem *mem);
bool mem_has_gigantic(void);
bool mem_is(const void *at, size_t length, __u8 value);
void mem_pattern(void *at, size_t length, __u64 seed);
__u64 next_random(__u64 *state);

#endif
