/* SPDX-License-Identifier: GPL-2.0-only */
/* Random calls, see random_calls_test.c. */
#ifndef _VFIO_SELFTEST_RANDOM_H
#define _VFIO_SELFTEST_RANDOM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/iommu.h"

struct __test_metadata;

/* Processes that issue calls concurrently, and threads of each. */
#define RANDOM_PROCESSES	2
#define RANDOM_THREADS		3
#define RANDOM_SLOTS		64

/* The index of the thread that unbinds drivers. */
#define RANDOM_UNBINDER		1000

/* Driver of the mock devices. */
#define RANDOM_DRIVER		"/sys/bus/platform/drivers/vfio-mock-dma"

/* Open files of each kind in a process, and recent IDs and ranges. */
#define RANDOM_FILES		3
#define RANDOM_DEVICES		5
#define RANDOM_RECENT		8

/* See enum random_id. */
#define RANDOM_ID_KINDS		3

/* Files that have mappings: those of /dev/iommu, then containers. */
#define RANDOM_CONTEXTS		(2 * RANDOM_FILES)

/* The largest number of different calls, for the statistics. */
#define RANDOM_CALLS		64
#define RANDOM_ERRNOS		134

/* Bits of RANDOM_WITHOUT: what to leave out. */
#define WITHOUT_HUGETLB_FILE	0x1
#define WITHOUT_LAST_GROUP	0x2
#define WITHOUT_COMPAT_GROUP	0x4
#define WITHOUT_HOT_UNBIND	0x8
#define WITHOUT_TYPE1_GROUP	0x40
#define WITHOUT_KILL		0x10
#define WITHOUT_FAULTS		0x20

/**
 * struct random_slot - the current call of a thread, for other processes
 * @pid: process of the thread; 0 for a free slot
 * @tid: the thread
 * @name: name of the call
 * @since: when the call began, in milliseconds; 0 between two calls
 * @calls: number of calls
 * @fd: the file that the call is made on
 * @cmd: the number of the ioctl, or another distinction of calls
 * @nth: the allocation that is to fail; 0 for none
 * @args: the first words of the ioctl's structure, or arguments
 */
struct random_slot {
	atomic_int pid;
	pid_t tid;
	const char *name;
	atomic_ulong since;
	unsigned long calls;
	int fd;
	unsigned long cmd;
	int nth;
	__u64 args[8];
};

/**
 * struct random_world - state that all processes of an epoch share
 * @stop: no further calls
 * @seed: seed of the epoch
 * @without: WITHOUT_* bits of what to leave out
 * @group: the first process, and so the ID of their process group
 * @failed: a process has found an error; @text describes it
 * @text: message for the log
 * @slots: slots of every thread
 * @ids: recent IDs of objects of the file that all processes share
 * @issued: how often each call was made
 * @passed: how often it succeeded
 * @errnos: how often it failed with each errno
 */
struct random_world {
	atomic_bool stop;
	__u64 seed;
	unsigned int without;
	pid_t group;
	atomic_bool failed;
	char text[256];
	struct random_slot slots[RANDOM_SLOTS];
	atomic_uint ids[RANDOM_ID_KINDS][RANDOM_RECENT];
	atomic_ulong issued[RANDOM_CALLS];
	atomic_ulong passed[RANDOM_CALLS];
	atomic_uint errnos[RANDOM_CALLS][RANDOM_ERRNOS];
};

/**
 * struct random_range - a mapped range
 * @iova: start of the range
 * @length: bytes of the range
 */
struct random_range {
	__u64 iova;
	__u64 length;
};

enum random_id {
	ID_IOAS,
	ID_HWPT,
	ID_DEVICE,
};

/**
 * struct random_process - a process that issues calls
 * @world: state that it shares with other processes
 * @iommufd: open files of /dev/iommu; the first one is shared with others
 * @container: open files of /dev/vfio/vfio; the first one is shared with others
 * @group: open groups
 * @device: open devices, of groups or by their own files
 * @memfd: memfds of small pages, and of huge pages
 * @zero: /dev/zero
 * @uffd: userfaultfd of memory that is delivered late; -1 without
 * @group_context: context of the file that each group is in
 * @device_context: context that each device, or its group, is bound to
 * @ids: recent IDs of objects, by file of /dev/iommu; those of the first file
 *	are in @world
 * @recent: ranges that were mapped recently, by context
 * @turn: next index of @ids and @recent
 * @group_lock: with WITHOUT_LAST_GROUP, container ioctls take it for reading,
 *	and calls that can remove a container's last group for writing
 */
struct random_process {
	struct random_world *world;
	atomic_int iommufd[RANDOM_FILES];
	atomic_int container[RANDOM_FILES];
	atomic_int group[RANDOM_DEVICES];
	atomic_int device[RANDOM_DEVICES];
	int memfd[2];
	int zero;
	int uffd;
	atomic_uint group_context[RANDOM_DEVICES];
	atomic_uint device_context[RANDOM_DEVICES];
	atomic_uint ids[RANDOM_FILES][RANDOM_ID_KINDS][RANDOM_RECENT];
	struct random_range recent[RANDOM_CONTEXTS][RANDOM_RECENT];
	atomic_uint turn;
	pthread_rwlock_t group_lock;
};

/**
 * struct random_thread - a thread that issues calls
 * @process: process of the thread
 * @slot: its current call
 * @rng: state of its random numbers; depends on the seed and @index only
 * @fail_fd: /proc/thread-self/fail-nth
 * @pages: three pages: a writable one, the same memory read-only, a hole
 * @index: index among all threads
 * @context: context of the file that the call is for
 * @thread: the thread
 */
struct random_thread {
	struct random_process *process;
	struct random_slot *slot;
	__u64 rng;
	int fail_fd;
	__u8 *pages;
	unsigned int index;
	unsigned int context;
	pthread_t thread;
};

/**
 * struct random_call - a kind of call
 * @name: name for the log
 * @weight: relative frequency of the call
 * @run: issues the call; returns 0 or more on success
 */
struct random_call {
	const char *name;
	unsigned int weight;
	int (*run)(struct random_thread *t);
};

/* values.c */
__u64 random_number(struct random_thread *t);
unsigned int random_below(struct random_thread *t, unsigned int bound);
bool random_chance(struct random_thread *t, unsigned int percent);
__u64 random_boundary(struct random_thread *t);
__u64 random_iova(struct random_thread *t);
__u64 random_length(struct random_thread *t);
__u32 random_flags(struct random_thread *t, __u32 usual, __u32 all);
__u32 random_id(struct random_thread *t, enum random_id kind);
int random_file(struct random_thread *t, atomic_int *files, size_t count,
		unsigned int *index);
int random_context_file(struct random_thread *t);
int random_device_file(struct random_thread *t);
struct random_range random_recent(struct random_thread *t);
unsigned int random_context(struct random_thread *t, unsigned int count);
atomic_uint *random_ids(struct random_process *p, unsigned int file,
			enum random_id kind);
void random_note_id(struct random_thread *t, enum random_id kind, __u32 id);
void random_note_range(struct random_thread *t, __u64 iova, __u64 length);

/* issue.c */
double random_now(void);
unsigned long random_now_ms(void);
struct random_slot *random_slot_get(struct random_world *world);
void random_slot_put(struct random_slot *slot);
void random_begin(struct random_thread *t, int fd, unsigned long cmd,
		  const void *args, size_t size);
void random_end(struct random_thread *t);
int random_ioctl(struct random_thread *t, int fd, unsigned long cmd, void *arg,
		 size_t size);
int random_ioctl_value(struct random_thread *t, int fd, unsigned long cmd,
		       unsigned long value);
void random_close(struct random_thread *t, atomic_int *file);
int random_thread_init(struct random_thread *t);
void random_thread_exit(struct random_thread *t);
void random_step(struct random_thread *t);
void random_print_slots(struct random_world *world);
void random_print_calls(struct random_world *world);

/* memory.c */
int random_memory_init(struct random_process *p);
__u64 random_va(struct random_thread *t);
__u64 random_map_length(struct random_thread *t);
void *random_bitmap(struct random_thread *t);
extern const struct random_call random_memory_calls[];

/* slow.c */
void random_slow_init(struct random_process *p);
void random_slow_register(struct random_process *p, void *at, size_t length);

/* iommufd.c, type1.c, device.c */
extern const struct random_call random_iommufd_calls[];
void random_first_ioas(struct random_process *p, unsigned int context, int fd);
extern const struct random_call random_type1_calls[];
extern const struct random_call random_device_calls[];
extern const struct random_call random_mock_calls[];
void random_open_devices(struct random_thread *t);

/* process.c */
extern const struct random_call random_process_calls[];
struct rlimit;
void random_drop_privilege(const struct rlimit *limit);
void random_process_main(struct random_world *world);
void random_unbinder_main(struct random_world *world);

/* epoch.c */
void random_setup(struct __test_metadata *_metadata);
void random_epoch(struct __test_metadata *_metadata, struct random_world *world,
		  double time);

#endif
