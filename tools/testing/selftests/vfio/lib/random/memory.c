// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory of random calls
 *
 * Each kind of memory has its part of an arena. The arena is far away from all
 * other memory of the process, so that a mapping longer than the arena covers
 * unmapped addresses only, and a device cannot overwrite other memory. Threads
 * access the arena by system calls only, as it may be unmapped.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib/memory/memory.h"
#include "random.h"

#define ARENA		0x100000000000ULL
#define PART		(4 * SZ_2M)
#define PART_USED	(2 * SZ_2M)

/* Bytes of the part whose pages are delivered late: 16 pages take 32 ms. */
#define PART_SLOW_USED	(16 * SZ_4K)

/* A longer mapping may reach the stacks. */
#define LENGTH_SAFE	0x200000000000ULL
#define LENGTH_WRAPS	0x4000000000000000ULL

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

enum part {
	PART_4K,
	PART_THP,
	PART_HUGETLB,
	PART_SHMEM,
	PART_HUGETLB_FILE,
	PART_READ_ONLY,
	PART_BITMAP,
	PART_SLOW,
	PARTS,
};

static void *part_at(enum part part)
{
	return (void *)(uintptr_t)(ARENA + part * PART);
}

static int part_map(struct random_process *p, enum part part)
{
	int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;
	int prot = PROT_READ | PROT_WRITE, fd = -1;

	switch (part) {
	case PART_HUGETLB:
		flags |= MAP_HUGETLB;
		break;
	case PART_SHMEM:
	case PART_HUGETLB_FILE:
		fd = p->memfd[part == PART_HUGETLB_FILE];
		flags = MAP_FIXED | MAP_SHARED;
		break;
	case PART_READ_ONLY:
		prot = PROT_READ;
		break;
	default:
		break;
	}
	/* Leave a hole if there are no huge pages left. */
	if (mmap(part_at(part), PART_USED, prot, flags, fd, 0) == MAP_FAILED)
		return -errno;
	if (part == PART_THP)
		madvise(part_at(part), PART_USED, MADV_HUGEPAGE);
	if (part == PART_SLOW)
		random_slow_register(p, part_at(part), PART_SLOW_USED);
	return 0;
}

int random_memory_init(struct random_process *p)
{
	p->memfd[0] = memfd_create("random", MFD_CLOEXEC);
	p->memfd[1] = memfd_create("random", MFD_CLOEXEC | MFD_HUGETLB);
	p->zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (p->memfd[0] < 0 || p->zero < 0 || ftruncate(p->memfd[0], PART_USED))
		return -errno;
	if (p->memfd[1] >= 0 && ftruncate(p->memfd[1], PART_USED))
		return -errno;
	if (mmap(part_at(0), PARTS * PART, PROT_NONE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return -errno;
	random_slow_init(p);
	for (enum part part = 0; part < PARTS; part++)
		part_map(p, part);
	return 0;
}

/* Return an address in the arena, nearly always page aligned. */
__u64 random_va(struct random_thread *t)
{
	__u64 va = (uintptr_t)part_at(random_below(t, PARTS));
	unsigned int way = random_below(t, 32);

	if (way < 12)
		return va;
	if (way < 24)
		return va + random_below(t, PART_USED / SZ_4K) * SZ_4K;
	if (way < 27)
		return va + PART_USED - (1 + random_below(t, 4)) * SZ_4K;
	if (way < 29)
		return va + random_below(t, PART_USED);
	if (way < 31)
		return va + PART_USED;
	return random_chance(t, 50) ? -random_below(t, SZ_64K) :
				      (1ULL << 47) - SZ_4K;
}

/* Return a random_length() that is safe for memory of the process. */
__u64 random_map_length(struct random_thread *t)
{
	__u64 length = random_length(t);

	return length > LENGTH_SAFE && length < LENGTH_WRAPS ?
	       LENGTH_SAFE : length;
}

/* Return memory for a bitmap: writable, partly writable, or unmapped. */
void *random_bitmap(struct random_thread *t)
{
	unsigned int way = random_below(t, 16);

	if (way < 10)
		return (__u8 *)part_at(PART_BITMAP) +
		       random_below(t, 2) * random_below(t, SZ_64K);
	if (way < 12)
		return (__u8 *)part_at(PART_BITMAP) + PART_USED -
		       random_below(t, SZ_64K);
	if (way < 13)
		return part_at(PART_READ_ONLY);
	return (void *)(uintptr_t)random_va(t);
}

static int range_begin(struct random_thread *t, unsigned long what, void **at,
		       size_t *length)
{
	enum part part = random_below(t, PARTS);
	size_t first = random_below(t, 2) * random_below(t, 512);
	__u64 args[3];

	*length = (1 + random_below(t, 64)) * SZ_4K;
	*at = (__u8 *)part_at(part) + first * SZ_4K;
	if (random_chance(t, 8)) {
		*at = part_at(part);
		*length = PART_USED;
	}
	args[0] = (uintptr_t)*at;
	args[1] = *length;
	args[2] = what;
	random_begin(t, -1, what, args, sizeof(args));
	return part;
}

static int run_munmap(struct random_thread *t)
{
	size_t length;
	void *at;
	int rc;

	range_begin(t, 0, &at, &length);
	/* Not munmap(): another thread's mapping could take its place. */
	rc = mmap(at, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		  MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED ? -errno : 0;
	random_end(t);
	return rc;
}

static int run_mmap(struct random_thread *t)
{
	size_t length;
	void *at;
	int rc;

	rc = part_map(t->process, range_begin(t, 0, &at, &length));
	random_end(t);
	return rc;
}

static int run_madvise(struct random_thread *t)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_REMOVE, MADV_COLLAPSE, MADV_POPULATE_WRITE, MADV_DONTFORK,
		MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_PAGEOUT,
		MADV_WILLNEED,
	};
	int what = advice[random_below(t, ARRAY_SIZE(advice))], rc;
	size_t length;
	void *at;

	range_begin(t, what, &at, &length);
	rc = madvise(at, length, what) ? -errno : 0;
	random_end(t);
	return rc;
}

static int run_mprotect(struct random_thread *t)
{
	int prot = random_below(t, 4), rc;
	size_t length;
	void *at;

	range_begin(t, prot, &at, &length);
	rc = mprotect(at, length, prot) ? -errno : 0;
	random_end(t);
	return rc;
}

/* Move a range to another part, replacing the pages there. */
static int run_mremap(struct random_thread *t)
{
	void *to = (__u8 *)part_at(random_below(t, PARTS)) +
		   random_below(t, 2) * SZ_64K;
	size_t length;
	void *at;
	int rc;

	/*
	 * Linux 6.12 accounts one reserved huge page too many after mremap() of
	 * a private mapping that is pinned. VFIO and iommufd are not involved.
	 */
	if (range_begin(t, (uintptr_t)to, &at, &length) == PART_HUGETLB) {
		random_end(t);
		return -EOPNOTSUPP;
	}
	if (length > PART_USED - SZ_64K)
		length = PART_USED - SZ_64K;
	rc = mremap(at, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	     MAP_FAILED ? -errno : 0;
	random_end(t);
	return rc;
}

/* Fault in all pages of a range that are writable. */
static int run_touch(struct random_thread *t)
{
	size_t length;
	void *at;
	int rc;

	range_begin(t, 0, &at, &length);
	rc = read(t->process->zero, at, length) < 0 ? -errno : 0;
	random_end(t);
	return rc;
}

static int run_file(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int huge = random_below(t, 2);
	__u64 args[3] = {
		random_below(t, 4),
		random_below(t, PART_USED / SZ_4K) * SZ_4K,
		(1 + random_below(t, 64)) * SZ_4K,
	};
	int fd = p->memfd[huge], rc;

	if (huge && p->world->without & WITHOUT_HUGETLB_FILE)
		return -EINVAL;
	random_begin(t, fd, args[0], args, sizeof(args));
	switch (args[0]) {
	case 0:
		rc = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       args[1], args[2]);
		break;
	case 1:
		rc = fallocate(fd, 0, args[1], args[2]);
		break;
	case 2:
		rc = ftruncate(fd, huge ? args[1] & ~(SZ_2M - 1) : args[1]);
		break;
	default:
		rc = ftruncate(fd, PART_USED);
	}
	random_end(t);
	return rc ? -errno : 0;
}

const struct random_call random_memory_calls[] = {
	{ "munmap", 4, run_munmap },
	{ "mmap", 8, run_mmap },
	{ "madvise", 12, run_madvise },
	{ "mprotect", 2, run_mprotect },
	{ "mremap", 2, run_mremap },
	{ "touch", 8, run_touch },
	{ "memfd", 8, run_file },
	{}
};
