/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: vmm-migrate
 *
 * Migrate a guest between two processes of an unmodified QEMU while a device
 * writes the guest's memory, and judge the kernel's dirty tracking by what the
 * guest then finds in its memory.
 *
 *   options.c    command line
 *   vmm_migrate.c from the options to the verdict
 *   process.c    a child with pipes, its version
 *   pump.c       poll() on all pipes; lines go to qmp.c, trace.c and serial.c
 *   qmp.c        commands, replies and events
 *   command.c    the command line of QEMU
 *   vm.c         start and end of a QEMU
 *   interface.c  which interface a QEMU really uses
 *   trace.c      QEMU's traces, its messages
 *   serial.c     what the guest reports
 *   rounds.c     one migration, round by round
 *   cases.c      migrations that are cancelled, refused or killed, memory hot-add
 *   report.c     progress and JSON
 *
 * There are no threads. All waiting is in pump(), which takes a deadline. The
 * convention for errors is that of precopy.h.
 */
#ifndef VMM_H
#define VMM_H

#include <jansson.h>
#include <sys/types.h>
#include "../precopy.h"

#define MAX_DEVICES	4
#define MAX_MOVES	1000
#define MAX_ARGS	128
#define MAX_VMS		2
#define MAX_MESSAGES	16
#define RAM		"pc.ram"	/* memory backends, and blocks in the traces */
#define DIMM		"hot"
#define DIMM_IOVA	(4096 * MIB)	/* where QEMU's q35 has hot-added memory */

enum interface { TYPE1, COMPAT, IOMMUFD };

struct vmm_options {
	const char *qemu, *guest, *initrd, *append, *json, *picture, *log;
	const char *source, *destination;	/* names, separated by commas */
	char **more;			/* arguments for both QEMUs */
	enum interface interface;
	enum choice tracker;
	enum backing backing;
	__u64 memory, dimm, moves, rounds, timeout, bandwidth;
	bool cancel, hotplug, kill_source, refuse, quiet;
};

/* A pipe from which lines are read. */
struct stream {
	int fd;				/* -1: at its end */
	size_t used;
	FILE *log;
	char buffer[65536];
};

/* The lines of all devices of a guest, since its QEMU was started. */
struct guest_report {
	unsigned int running, moved, after_move, at_home, plugged;
	bool different, ended;
	__u64 writes, faults, units, pages;	/* units and pages that differ */
	char error[128];
};

/* Traces of QEMU that are read, in the order of trace_names[]. */
enum trace {
	TRACE_GET_BITMAP,		/* of all interfaces */
	TRACE_HWPT_BITMAP,
	TRACE_HWPT_START,
	TRACE_DEVICE_START,
	TRACE_SYNC,
	TRACE_RATE,			/* states of calc-dirty-rate */
	TRACE_SENT,
	TRACES
};

struct vm {
	char name[32];
	pid_t pid;
	int qmp_in;			/* -1: closed */
	struct stream qmp, errors, serial;
	bool may_end;			/* else its end is a failure */
	bool greeted, ready, stopped;	/* @ready: has executed a command */
	int status;			/* of waitpid(), once all streams ended */
	json_t *reply;			/* of the last command */
	bool is_source;			/* a migration was started in it */
	char migration[24];		/* status of the last MIGRATION event */
	unsigned int passes;		/* of the migration under way */
	unsigned int syncs;		/* the same by the traces */
	bool tracing;			/* traces belong to the current round */
	char message[256];		/* the first one that is no trace */
	struct guest_report guest;
};

/* What QEMU reports of a round. */
struct vmm_round {
	struct round shown;		/* for the picture: DIRTY and WRITTEN only */
	unsigned int migration, pass;
	bool queried;			/* else what follows @queries is not known */
	__u64 queries, remaining, transferred, dirty_rate, expected_ms;
};

enum verdict { SAME, DIFFERENT, FAILED, NOT_COMPARED };

struct driver {
	const struct vmm_options *o;
	struct vm vms[MAX_VMS];
	unsigned int started;		/* QEMUs so far */
	unsigned int devices;		/* of the guest */
	bool plugged;			/* memory was hot-added */
	long pins;			/* before the first QEMU; -1: not known */
	char version[32];
	struct guest map;		/* the guest's memory, for the picture */
	struct vmm_round *rounds;
	unsigned int nr_rounds, shown, migrations, moves;
	__u64 traces[TRACES];
	__u64 reported, outside;	/* pages; outside of migrations */
	__u64 dimm_queries;
	__u64 total_ms, downtime_ms, transferred;
	char *messages[MAX_MESSAGES];
	unsigned int nr_messages;
	enum verdict verdict;
	struct guest_report guest;	/* over all moves */
};

/* options.c */
int vmm_parse_options(int argc, char **argv, struct vmm_options *o);
const char *interface_name(enum interface interface);

/* process.c */
int process_start(struct vm *vm, char **args, const int *keep,
		  unsigned int nr_keep, bool no_thp);
void process_kill(struct vm *vm);
void process_reap(struct vm *vm);
bool process_ended(const struct vm *vm);
int check_version(struct driver *d);

/* pump.c */
__u64 step_deadline(const struct driver *d);
int pump(struct driver *d, __u64 deadline, const char *purpose);

/* qmp.c */
void qmp_line(struct driver *d, struct vm *vm, const char *line, size_t length);
int qmp_greeting(struct driver *d, struct vm *vm);
int qmp_try(struct driver *d, struct vm *vm, const char *command,
	    json_t *arguments, const char **error);
int qmp(struct driver *d, struct vm *vm, const char *command,
	json_t *arguments);
__u64 qmp_number(const json_t *object, const char *path);

/* command.c */
struct command {
	char *args[MAX_ARGS];
	unsigned int nr;
};

int command_build(const struct driver *d, struct command *c,
		  const char *devices, int serial, int incoming, __u64 memory);
void command_free(struct command *c);
int check_devices(const char *devices, unsigned int *count);
json_t *memory_backend(const struct vmm_options *o, const char *id, __u64 size);

/* vm.c */
void vm_init(struct vm *vm);
int vm_start(struct driver *d, struct vm *vm, const char *role,
	     const char *devices, int incoming, __u64 memory);
int vm_end(struct driver *d, struct vm *vm);
int vm_wait_end(struct driver *d, struct vm *vm);
void vm_destroy(struct vm *vm);

/* interface.c */
int check_interface(const struct driver *d, const struct vm *vm);
int check_traces(const struct driver *d);

/* trace.c */
extern const char *const trace_names[TRACES];
void new_round(struct driver *d, unsigned int pass);
void trace_line(struct driver *d, struct vm *vm, char *line);

/* serial.c */
void serial_line(struct vm *vm, char *line);
int guest_wait(struct driver *d, struct vm *vm, const unsigned int *count,
	       unsigned int wanted, const char *purpose);

/* rounds.c */
int migration_start(struct driver *d, struct vm *source, int fd);
int migration_follow(struct driver *d, struct vm *source, unsigned int passes);
int migration_end(struct driver *d, struct vm *source, const char *how);
void add_report(struct driver *d, const struct guest_report *g);
int migrate_to(struct driver *d, struct vm *source, struct vm *destination,
	       const char *devices);

/* cases.c */
long pinned_pages(void);
int case_cancel(struct driver *d, struct vm *source);
int case_hotplug(struct driver *d, struct vm *source);
int case_kill_source(struct driver *d, struct vm *source,
		     struct vm *destination);
int case_refuse(struct driver *d, struct vm *source, struct vm *destination);

/* report.c */
[[gnu::format(printf, 2, 3)]]
void vmm_report(const struct driver *d, const char *format, ...);
void vmm_report_start(const struct driver *d);
void vmm_report_migration(const struct driver *d);
void vmm_report_round(const struct driver *d, const struct vmm_round *r);
void vmm_report_verdict(const struct driver *d, const struct guest_report *g);
void vmm_report_end(const struct driver *d);
int vmm_report_json(const struct driver *d);

/* draw.c */
int vmm_draw(const struct driver *d);

#endif
