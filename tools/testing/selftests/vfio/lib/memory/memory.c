// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: test memory
 *
 * The size of an IOMMU leaf depends on the size of the pages, so small pages
 * are kept from becoming huge, and huge pages are reserved.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/check.h"
#include "lib/iommu.h"
#include "memory.h"
#include "lib/sysfs.h"

#define NR_HUGEPAGES	"/proc/sys/vm/nr_hugepages"
#define FREE_HUGEPAGES	\
	"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define FREE_GIGANTIC	\
	"/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages"

#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB	(30 << 26)
#endif

static long read_number(const char *path)
{
	char text[32];

	if (sysfs_read(path, text, sizeof(text)))
		return -1;
	return atol(text);
}

/* Ensure enough free huge pages; they stay reserved for the next test. */
static void reserve_hugepages(struct __test_metadata *_metadata, long count)
{
	long free_now = read_number(FREE_HUGEPAGES);
	char text[32];

	if (free_now >= count)
		return;
	snprintf(text, sizeof(text), "%ld",
		 read_number(NR_HUGEPAGES) + count - free_now);
	sysfs_write("/proc/sys/vm/drop_caches", "3");
	sysfs_write("/proc/sys/vm/compact_memory", "1");
	CHECK_RC(0, sysfs_write(NR_HUGEPAGES, text), "%s", text);
	CHECK(read_number(FREE_HUGEPAGES) >= count, "no %ld huge pages", count);
}

/* Return true if the pool has a page of 1 GiB, which is reserved at boot. */
bool mem_has_gigantic(void)
{
	return read_number(FREE_GIGANTIC) > 0;
}

/*
 * Pages that are touched in order may be contiguous, and IOMMUs map contiguous
 * pages by a huge leaf. So touch odd pages first, from the end on.
 */
static void scatter(__u8 *va, size_t length)
{
	size_t pages = length / SZ_4K;

	for (size_t page = pages; page--;)
		if (page % 2)
			va[page * SZ_4K] = 1;
	for (size_t page = 0; page < pages; page += 2)
		va[page * SZ_4K] = 1;
}

void mem_alloc(struct __test_metadata *_metadata, struct mem *mem,
	       size_t length, enum mem_kind kind)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	mem->length = length;
	mem->map_length = length;
	if (kind == MEM_HUGETLB) {
		reserve_hugepages(_metadata, length / SZ_2M);
		flags |= MAP_HUGETLB;
	} else if (kind == MEM_GIGANTIC) {
		flags |= MAP_HUGETLB | MAP_HUGE_1GB;
	} else if (kind == MEM_THP) {
		mem->map_length += SZ_2M;
	}
	mem->map = mmap(NULL, mem->map_length, PROT_READ | PROT_WRITE, flags,
			-1, 0);
	CHECK(mem->map != MAP_FAILED, "0x%zx bytes", length);
	mem->va = mem->map;
	if (kind == MEM_THP) {
		mem->va = (void *)(((uintptr_t)mem->map + SZ_2M - 1) &
				   ~(SZ_2M - 1));
		CHECK_RC(0, madvise(mem->va, length, MADV_HUGEPAGE), "THP");
	} else if (kind == MEM_4K) {
		madvise(mem->va, length, MADV_NOHUGEPAGE);
		scatter(mem->va, length);
	}
	/* A page of 1 GiB is zeroed by the first access, which takes long. */
	memset(mem->va, 0, kind == MEM_GIGANTIC ? 1 : length);
}

static __u64 pfn_of(struct __test_metadata *_metadata, int pagemap,
		    const void *va)
{
	__u64 entry;

	CHECK_RC(sizeof(entry), pread(pagemap, &entry, sizeof(entry),
				      (uintptr_t)va / SZ_4K * sizeof(entry)),
		 "cannot read the page map");
	return entry & ((1ULL << 55) - 1);
}

/*
 * Make no two neighbours of small pages neighbours in physical memory as well,
 * for IOMMUs that map such pages by one leaf.
 */
void mem_scatter(struct __test_metadata *_metadata, struct mem *mem)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	CHECK(pagemap >= 0, "no page map");
	for (size_t at = SZ_4K; at < mem->length; at += SZ_4K) {
		__u64 before = pfn_of(_metadata, pagemap, mem->va + at - SZ_4K);
		void *page;

		CHECK(before, "the page map has no addresses");
		while (pfn_of(_metadata, pagemap, mem->va + at) == before + 1) {
			/* Its own page is in use, so it gets another one. */
			page = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
				    -1, 0);
			CHECK(page != MAP_FAILED, "no page");
			page = mremap(page, SZ_4K, SZ_4K,
				      MREMAP_MAYMOVE | MREMAP_FIXED,
				      mem->va + at);
			CHECK(page != MAP_FAILED, "mremap");
		}
	}
	close(pagemap);
}

void mem_free(struct mem *mem)
{
	if (mem->map)
		munmap(mem->map, mem->map_length);
	mem->map = NULL;
}

bool mem_is(const void *at, size_t length, __u8 value)
{
	const __u8 *byte = at;

	/* All bytes are equal if each is equal to the next one. */
	return !length || (*byte == value && !memcmp(byte, byte + 1, length - 1));
}

/* xorshift64*: the same numbers in every run */
__u64 next_random(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

void mem_pattern(void *at, size_t length, __u64 seed)
{
	__u64 state = seed * 2 + 1;
	__u8 *byte = at;

	for (size_t i = 0; i < length; i++)
		byte[i] = next_random(&state) >> 56;
}
