// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: processes of random calls
 *
 * The first process of an epoch opens the files that all processes share, and
 * forks the other processes. Each process has threads that issue calls until
 * the epoch ends, and also has files and memory of its own.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "random.h"
#include "lib/sysfs.h"

/* Limit of pinned bytes; low enough that some calls exceed it. */
#define LIMIT	(12UL << 20)

static void world_fail(struct random_world *world, const char *text, long value)
{
	if (!atomic_exchange(&world->failed, true))
		snprintf(world->text, sizeof(world->text), text, value);
}

/* Make a few calls on the parent's files and memory, in a child. */
static void child_main(struct random_thread *parent)
{
	struct random_thread t = {
		.process = parent->process,
		.index = random_number(parent) >> 40,
	};

	if (random_thread_init(&t))
		_exit(0);
	for (unsigned int i = 0; i < 8; i++)
		random_step(&t);
	random_thread_exit(&t);
	_exit(0);
}

/* Free the slots of a child that was killed. */
static void slots_free(struct random_world *world, pid_t pid)
{
	for (size_t i = 0; i < RANDOM_SLOTS; i++)
		if (world->slots[i].pid == pid)
			random_slot_put(&world->slots[i]);
}

static int run_fork(struct random_thread *t)
{
	struct random_process *p = t->process;
	bool lock = p->world->without & WITHOUT_LAST_GROUP;
	unsigned int delay = random_below(t, 5000);
	bool kills = random_chance(t, 60);
	pid_t pid;

	/* A child has no children. */
	if (t->index >= RANDOM_PROCESSES * RANDOM_THREADS)
		return -EINVAL;
	if (lock)
		pthread_rwlock_wrlock(&p->group_lock);
	random_begin(t, -1, kills, &delay, sizeof(delay));
	pid = fork();
	if (!pid) {
		/* The child copied the locks in any state: initialize them. */
		pthread_rwlock_init(&p->group_lock, NULL);
		child_main(t);
	}
	random_end(t);
	t->slot->since = random_now_ms();
	if (pid > 0 && kills) {
		usleep(delay);
		kill(pid, SIGKILL);
	}
	if (pid > 0 && waitpid(pid, NULL, 0) == pid)
		slots_free(p->world, pid);
	if (lock)
		pthread_rwlock_unlock(&p->group_lock);
	return pid;
}

const struct random_call random_process_calls[] = {
	{ "fork", 2, run_fork },
	{}
};

/* Set RLIMIT_MEMLOCK and drop CAP_IPC_LOCK, so that the limit applies. */
void random_drop_privilege(const struct rlimit *limit)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	setrlimit(RLIMIT_MEMLOCK, limit);
	if (syscall(SYS_capget, &header, caps))
		return;
	caps[CAP_IPC_LOCK / 32].effective &= ~(1U << (CAP_IPC_LOCK % 32));
	syscall(SYS_capset, &header, caps);
}

static void *thread_main(void *data)
{
	struct random_thread *t = data;
	struct random_world *world = t->process->world;
	int rc = random_thread_init(t);

	if (rc) {
		world_fail(world, "cannot start a thread: %ld", rc);
		return NULL;
	}
	random_open_devices(t);
	while (!world->stop)
		random_step(t);
	random_thread_exit(t);
	return NULL;
}

static void close_all(struct random_process *p)
{
	for (size_t i = 0; i < RANDOM_DEVICES; i++) {
		close(p->device[i]);
		close(p->group[i]);
	}
	for (size_t i = 0; i < RANDOM_FILES; i++) {
		close(p->container[i]);
		close(p->iommufd[i]);
	}
}

/* Run the threads until the end of the epoch. */
static void run_threads(struct random_process *p, unsigned int index)
{
	static struct random_thread threads[RANDOM_THREADS];

	if (random_memory_init(p))
		world_fail(p->world, "out of memory: %ld", errno);
	for (size_t i = 0; i < RANDOM_FILES; i++)
		random_first_ioas(p, i, p->iommufd[i]);
	for (size_t i = 0; i < RANDOM_THREADS; i++) {
		threads[i].process = p;
		threads[i].index = index * RANDOM_THREADS + i;
		if (pthread_create(&threads[i].thread, NULL, thread_main,
				   &threads[i]))
			_exit(1);
	}
	for (size_t i = 0; i < RANDOM_THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	close_all(p);
}

static void open_files(struct random_process *p)
{
	for (size_t i = 0; i < RANDOM_FILES; i++) {
		p->iommufd[i] = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		p->container[i] = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	}
}

/* Open files of the process; WITHOUT_LAST_GROUP: do not share a container. */
static void open_own(struct random_process *p)
{
	size_t first = p->world->without & WITHOUT_LAST_GROUP ? 0 : 1;

	for (size_t i = first; i < RANDOM_FILES; i++) {
		close(p->container[i]);
		p->container[i] = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	}
	for (size_t i = 1; i < RANDOM_FILES; i++) {
		close(p->iommufd[i]);
		p->iommufd[i] = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	}
}

static long pinned_by_process(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	long kib, pages = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmPin: %ld", &kib) == 1 ||
		    sscanf(line, "VmLck: %ld", &kib) == 1)
			pages += kib / 4;
	if (file)
		fclose(file);
	return pages;
}

/* Run the first process of an epoch. */
void random_process_main(struct random_world *world)
{
	static const struct rlimit limit = { LIMIT, LIMIT };
	static struct random_process process;
	struct random_process *p = &process;
	pid_t pids[RANDOM_PROCESSES] = {};
	long pinned;

	p->world = world;
	random_drop_privilege(&limit);
	pthread_rwlock_init(&p->group_lock, NULL);
	for (size_t i = 0; i < RANDOM_DEVICES; i++) {
		p->group[i] = -1;
		p->device[i] = -1;
	}
	open_files(p);
	for (unsigned int i = 1; i < RANDOM_PROCESSES; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			open_own(p);
			run_threads(p, i);
			_exit(0);
		}
	}
	run_threads(p, 0);
	for (unsigned int i = 1; i < RANDOM_PROCESSES; i++)
		waitpid(pids[i], NULL, 0);

	/* All files are closed, so nothing is pinned. */
	pinned = pinned_by_process();
	if (pinned)
		world_fail(world, "%ld pages are still accounted", pinned);
}

/* Unbind and rebind the driver of devices that are in use. */
void random_unbinder_main(struct random_world *world)
{
	struct random_process process = { .world = world };
	struct random_thread t = {
		.process = &process,
		.index = RANDOM_UNBINDER,
	};
	char name[64];

	if (random_thread_init(&t))
		_exit(1);
	while (!world->stop) {
		usleep(random_below(&t, 100000));
		if (sysfs_find(PLATFORM_DEVICES, "vfio-mock-",
			       random_below(&t, 12), name, sizeof(name)))
			continue;
		t.slot->name = "unbind";
		sysfs_write(RANDOM_DRIVER "/unbind", name);
		t.slot->name = "bind";
		sysfs_write(RANDOM_DRIVER "/bind", name);
	}
	random_thread_exit(&t);
	_exit(0);
}
