// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: issuing a random call
 *
 * Before a call, its thread stores the call's arguments in memory that another
 * process can read, in case the call does not return.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "random.h"
#include "lib/sysfs.h"

/* All calls, in the order of the statistics. */
static const struct random_call *const tables[] = {
	random_iommufd_calls, random_type1_calls, random_device_calls,
	random_mock_calls, random_memory_calls, random_process_calls,
};

double random_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

unsigned long random_now_ms(void)
{
	return random_now() * 1000;
}

/* Return a free slot, or NULL if there are more threads than slots. */
struct random_slot *random_slot_get(struct random_world *world)
{
	for (size_t i = 0; i < RANDOM_SLOTS; i++) {
		struct random_slot *slot = &world->slots[i];
		int none = 0;

		if (!atomic_compare_exchange_strong(&slot->pid, &none,
						    getpid()))
			continue;
		slot->tid = syscall(SYS_gettid);
		slot->name = "nothing";
		slot->since = 0;
		return slot;
	}
	return NULL;
}

void random_slot_put(struct random_slot *slot)
{
	slot->since = 0;
	slot->pid = 0;
}

static void fail_write(struct random_thread *t, int nth)
{
	char text[16];

	if (t->fail_fd < 0)
		return;
	snprintf(text, sizeof(text), "%d", nth);
	t->slot->nth = nth;
	if (pwrite(t->fail_fd, text, strlen(text), 0) < 0)
		t->slot->nth = 0;
}

/* Make one allocation of this call fail, mostly one of the first. */
static void fail_some(struct random_thread *t)
{
	unsigned int most = 1U << (1 + random_below(t, 7));

	t->slot->nth = 0;
	if (random_chance(t, 15))
		fail_write(t, 1 + random_below(t, most));
}

void random_begin(struct random_thread *t, int fd, unsigned long cmd,
		  const void *args, size_t size)
{
	struct random_slot *slot = t->slot;

	memset(slot->args, 0, sizeof(slot->args));
	memcpy(slot->args, args, size < sizeof(slot->args) ?
				 size : sizeof(slot->args));
	slot->fd = fd;
	slot->cmd = cmd;
	slot->calls++;
	slot->since = random_now_ms();
	fail_some(t);
}

void random_end(struct random_thread *t)
{
	if (t->slot->nth)
		fail_write(t, 0);
	t->slot->since = 0;
}

/* Return where the kernel reads the structure, which may fault. */
static void *argument_place(struct random_thread *t, const void *arg,
			    size_t size)
{
	static const unsigned long bad[] = { 0, 1, SZ_4K, -SZ_4K, 1UL << 47 };
	unsigned int way = random_below(t, 64);
	size_t tail;

	if (way >= 3 || size > SZ_4K) {
		if (size <= SZ_4K)
			memcpy(t->pages, arg, size);
		return t->pages;
	}
	switch (way) {
	case 0:
		return (void *)bad[random_below(t, ARRAY_SIZE(bad))];
	case 1:
		memcpy(t->pages, arg, size);
		return t->pages + SZ_4K;
	default:
		tail = random_below(t, size);
		memcpy(t->pages + SZ_4K - tail, arg, tail);
		/* The end of the read-only page, and then a hole. */
		return t->pages + 2 * SZ_4K - tail;
	}
}

/* Issue an ioctl and return its result or -errno; @arg is written back. */
int random_ioctl(struct random_thread *t, int fd, unsigned long cmd, void *arg,
		 size_t size)
{
	void *at = argument_place(t, arg, size);
	int rc;

	random_begin(t, fd, cmd, arg, size);
	rc = xioctl(fd, cmd, at);
	random_end(t);
	if (at == t->pages)
		memcpy(arg, at, size);
	return rc;
}

int random_ioctl_value(struct random_thread *t, int fd, unsigned long cmd,
		       unsigned long value)
{
	int rc;

	random_begin(t, fd, cmd, &value, sizeof(value));
	rc = xioctl(fd, cmd, (void *)value);
	random_end(t);
	return rc;
}

/* Close an open file; of concurrent threads, one gets the descriptor. */
void random_close(struct random_thread *t, atomic_int *file)
{
	int fd = atomic_exchange(file, -1);

	if (fd < 0)
		return;
	random_begin(t, fd, 0, "close", 6);
	close(fd);
	random_end(t);
}

static int map_pages(struct random_thread *t)
{
	int file = memfd_create("arguments", MFD_CLOEXEC);
	__u8 *at;

	if (file < 0 || ftruncate(file, SZ_4K))
		return -errno;
	at = mmap(NULL, 3 * SZ_4K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0);
	if (at == MAP_FAILED ||
	    mmap(at, SZ_4K, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 file, 0) == MAP_FAILED ||
	    mmap(at + SZ_4K, SZ_4K, PROT_READ, MAP_SHARED | MAP_FIXED, file,
		 0) == MAP_FAILED)
		return -errno;
	close(file);
	t->pages = at;
	return 0;
}

/* Initialize a thread. Called by the thread itself. */
int random_thread_init(struct random_thread *t)
{
	struct random_world *world = t->process->world;

	t->rng = (world->seed * 0x9e3779b97f4a7c15ULL + t->index) | 1;
	for (int i = 0; i < 4; i++)
		random_number(t);
	t->slot = random_slot_get(world);
	if (!t->slot)
		return -EBUSY;
	t->fail_fd = -1;
	if (!(world->without & WITHOUT_FAULTS))
		t->fail_fd = open("/proc/thread-self/fail-nth",
				  O_RDWR | O_CLOEXEC);
	return map_pages(t);
}

void random_thread_exit(struct random_thread *t)
{
	if (t->fail_fd >= 0)
		close(t->fail_fd);
	munmap(t->pages, 3 * SZ_4K);
	random_slot_put(t->slot);
}

static const struct random_call *call_at(unsigned int *weight, size_t *table,
					 size_t *number)
{
	*number = 0;
	for (*table = 0; *table < ARRAY_SIZE(tables); ++*table) {
		const struct random_call *call = tables[*table];

		for (; call->name; call++, ++*number) {
			if (*weight < call->weight)
				return call;
			*weight -= call->weight;
		}
	}
	return NULL;
}

/* Issue one random call. */
void random_step(struct random_thread *t)
{
	struct random_world *world = t->process->world;
	unsigned int total = -1U, weight;
	const struct random_call *call;
	size_t table, number;
	int rc;

	call_at(&total, &table, &number);
	weight = random_below(t, -1U - total);
	call = call_at(&weight, &table, &number);
	t->context = random_context(t, tables[table] == random_iommufd_calls ?
				    RANDOM_FILES : RANDOM_CONTEXTS);
	t->slot->name = call->name;
	world->issued[number]++;
	rc = call->run(t);
	if (rc >= 0)
		world->passed[number]++;
	else if (-rc < RANDOM_ERRNOS)
		world->errnos[number][-rc]++;
	t->slot->since = 0;
}

/* Print how often each call was made, succeeded, and failed. */
void random_print_calls(struct random_world *world)
{
	size_t number = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct random_call *call = tables[i]; call->name;
		     call++, number++) {
			printf("# %-16s %8lu calls %8lu passed", call->name,
			       world->issued[number], world->passed[number]);
			for (int e = 0; e < RANDOM_ERRNOS; e++)
				if (world->errnos[number][e])
					printf(" %s %u", strerrorname_np(e),
					       world->errnos[number][e]);
			printf("\n");
		}
}

static void print_proc(const struct random_slot *slot, const char *what)
{
	char path[64], text[4096];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", slot->pid,
		 slot->tid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return;
	text[got] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		printf("#     %s\n", line);
}

/* Print the calls that are in progress, and since when. */
void random_print_slots(struct random_world *world)
{
	for (size_t i = 0; i < RANDOM_SLOTS; i++) {
		const struct random_slot *slot = &world->slots[i];
		unsigned long since = slot->since;

		if (!slot->pid || !since)
			continue;
		printf("# %d/%d: %s for %.1f s, call %lu, fd %d, cmd 0x%lx, nth %d:",
		       slot->pid, slot->tid, slot->name,
		       random_now() - since / 1000.0,
		       slot->calls, slot->fd, slot->cmd, slot->nth);
		for (size_t k = 0; k < ARRAY_SIZE(slot->args); k++)
			printf(" %llx", slot->args[k]);
		printf("\n");
		print_proc(slot, "stack");
		print_proc(slot, "wchan");
	}
	fflush(stdout);
}
