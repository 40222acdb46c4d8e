// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: numbers of random calls
 *
 * Most numbers are valid, as otherwise no call would pass its first checks: an
 * IOVA in a window of mappings, the ID of an object that exists. Other numbers
 * are boundaries: of a page, a huge page, a type.
 */
#include "kselftest.h"
#include "lib/memory/memory.h"
#include "random.h"

/* The window of most mappings: few places, so that mappings overlap. */
#define WINDOW		0x10000000ULL
#define PLACES		64

__u64 random_number(struct random_thread *t)
{
	return next_random(&t->rng);
}

unsigned int random_below(struct random_thread *t, unsigned int bound)
{
	return (random_number(t) >> 32) % bound;
}

bool random_chance(struct random_thread *t, unsigned int percent)
{
	return random_below(t, 100) < percent;
}

__u64 random_boundary(struct random_thread *t)
{
	static const __u64 ends[] = {
		0, 0x800, SZ_4K, SZ_64K, SZ_2M, SZ_1G, 1ULL << 31, 1ULL << 32,
		1ULL << 39, 1ULL << 47, 1ULL << 48, 1ULL << 52, 1ULL << 62,
		1ULL << 63,
	};
	static const __s64 off[] = { 0, 0, 1, -1, SZ_4K, -SZ_4K, SZ_2M };

	return ends[random_below(t, ARRAY_SIZE(ends))] +
	       off[random_below(t, ARRAY_SIZE(off))];
}

struct random_range random_recent(struct random_thread *t)
{
	return t->process->recent[t->context][random_below(t, RANDOM_RECENT)];
}

__u64 random_iova(struct random_thread *t)
{
	struct random_range range = random_recent(t);
	unsigned int way = random_below(t, 40);

	if (way < 16)
		return WINDOW + random_below(t, PLACES) * SZ_64K;
	if (way < 22)
		return WINDOW + random_below(t, 8) * SZ_2M;
	if (way < 32)
		return range.iova;
	if (way < 33)
		return range.iova + range.length;
	if (way < 34)
		return range.iova - SZ_4K;
	if (way < 37)
		return range.iova + random_below(t, 64) * SZ_4K;
	if (way < 38)
		return WINDOW + random_below(t, SZ_64K);
	return random_boundary(t);
}

__u64 random_length(struct random_thread *t)
{
	unsigned int way = random_below(t, 40);

	/* Mostly short, as a debug kernel takes long for each page. */
	if (way < 24)
		return (1 + random_below(t, 32)) * SZ_4K;
	if (way < 26)
		return (1 + random_below(t, 2)) * SZ_2M;
	if (way < 30)
		return (1 + random_below(t, 128)) * SZ_4K;
	if (way < 37)
		return random_recent(t).length;
	if (way < 38)
		return 1 + random_below(t, SZ_64K);
	return random_boundary(t);
}

/* Return @usual, now and then with other bits of @all, seldom any number. */
__u32 random_flags(struct random_thread *t, __u32 usual, __u32 all)
{
	unsigned int way = random_below(t, 40);

	if (way < 35)
		return usual;
	if (way < 38)
		return random_number(t) & all;
	if (way < 39)
		return usual ^ (1U << random_below(t, 32));
	return random_number(t);
}

atomic_uint *random_ids(struct random_process *p, unsigned int file,
			enum random_id kind)
{
	return file ? p->ids[file][kind] : p->world->ids[kind];
}

/* Return one of the first @count contexts, often one that is shared. */
unsigned int random_context(struct random_thread *t, unsigned int count)
{
	if (random_chance(t, 50))
		return random_below(t, count / RANDOM_FILES) * RANDOM_FILES;
	return random_below(t, count);
}

__u32 random_id(struct random_thread *t, enum random_id kind)
{
	unsigned int file = t->context % RANDOM_FILES;
	unsigned int way = random_below(t, 40);

	if (way >= 37)
		kind = random_below(t, RANDOM_ID_KINDS);
	if (way == 38)
		file = random_below(t, RANDOM_FILES);
	if (way < 39)
		return random_ids(t->process, file,
				  kind)[random_below(t, RANDOM_RECENT)];
	return random_chance(t, 50) ? random_below(t, 40) : random_boundary(t);
}

/* Pick a file, open if possible; another thread may reuse its descriptor. */
int random_file(struct random_thread *t, atomic_int *files, size_t count,
		unsigned int *index)
{
	int fd = -1;

	for (int try = 0; fd < 0 && try < 4; try++) {
		*index = random_below(t, count);
		fd = files[*index];
	}
	return fd;
}

/* Return the file that the call is for, now and then another. */
int random_context_file(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int context = t->context;

	if (random_chance(t, 2))
		context = random_below(t, RANDOM_CONTEXTS);
	return context < RANDOM_FILES ? p->iommufd[context] :
					p->container[context - RANDOM_FILES];
}

/* Pick a device, and set the context to the file that it is bound to. */
int random_device_file(struct random_thread *t)
{
	struct random_process *p = t->process;
	unsigned int index;
	int fd = random_file(t, p->device, RANDOM_DEVICES, &index);

	t->context = p->device_context[index];
	return fd;
}

/* Store an ID in several places, as most IDs do not live long. */
void random_note_id(struct random_thread *t, enum random_id kind, __u32 id)
{
	struct random_process *p = t->process;
	atomic_uint *ids = random_ids(p, t->context % RANDOM_FILES, kind);

	for (int i = 0; i < RANDOM_RECENT / 2; i++)
		ids[p->turn++ % RANDOM_RECENT] = id;
}

/* Store a range. Without a lock, as a mixture of two ranges is a range, too. */
void random_note_range(struct random_thread *t, __u64 iova, __u64 length)
{
	struct random_process *p = t->process;

	p->recent[t->context][p->turn++ % RANDOM_RECENT] =
		(struct random_range){ .iova = iova, .length = length };
}
