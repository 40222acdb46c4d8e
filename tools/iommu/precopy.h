/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: precopy
 *
 * A live migration in small: guest memory, a device that writes it by DMA all
 * the time, dirty tracking, rounds of copying, and a verdict at the end.
 *
 *   options.c   command line
 *   numbers.c   values of options
 *   guest.c     source and destination memory, its slots and IOVAs
 *   discover.c  mock devices in sysfs, --list
 *   device.c    registers of the mock device: workload and truth log
 *   type1.c     /dev/vfio/vfio, and /dev/iommu standing in for it
 *   iommufd.c   /dev/iommu itself
 *   logging.c   the device's own log of its DMA
 *   migrate.c   the rounds
 *   ledger.c    bitmaps against the device's ground truth
 *   report.c    progress and JSON
 *   picture.c   SVG
 *   heading.c   the words in it
 *
 * A function that can fail returns 0 or the exit status of the program; in the
 * latter case it has stored one line of text by fail().
 */
#ifndef PRECOPY_H
#define PRECOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

enum {
	EXIT_WRONG = 1,		/* memory differs, pages missed, or it broke off */
	EXIT_SETUP = 2,		/* bad option, missing device, failed set-up */
	EXIT_NOT_OFFERED = 4,	/* the kernel does not offer this combination */
	EXIT_INTERRUPTED = 130,
};

#define MIB		1048576ULL
#define HUGE		(2 * MIB)
#define MAX_SLOTS	64
#define MAX_ROUNDS	1000
#define NSEC		1000000000ULL

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum backing { BACKING_ANON, BACKING_THP, BACKING_HUGETLB, BACKING_MEMFD };
enum choice { TRACKER_AUTO, TRACKER_IOMMU, TRACKER_DEVICE };

struct options {
	const char *backend, *device, *model, *json, *picture;
	enum backing backing;
	enum choice tracker;
	__u64 memory, iova, hole, page;
	__u64 rate, stride, hot, hot_percent, seed;
	__u64 warmup_ms, downtime_ms, bandwidth;	/* bandwidth: MiB/s */
	__u64 slots, max_rounds;
	bool list, quiet;
};

/* A range of guest memory; @offset is relative to the start of the memory. */
struct range {
	__u64 iova, size, offset;
};

/*
 * One ioctl maps a slot; a span is a run of slots without a hole between them, and
 * one dirty query covers it. Bitmaps have one bit for each @page bytes of guest
 * memory and none for holes; every slot starts at a word of the bitmap.
 */
struct guest {
	unsigned char *source, *target;
	__u64 size, page, pages, words;
	struct range slots[MAX_SLOTS], spans[MAX_SLOTS];
	unsigned int nr_slots, nr_spans;
	long long huge_kib;		/* -1: not known */
};

/* A device as sysfs has it; only mock devices have a @model. */
struct vfio_device {
	char name[64], model[32], cdev[32];
	int group;			/* -1: none */
	bool emulated;			/* has a group, but no IOMMU */
};

struct backend;

/* Causes of a missing file: see backend_open_file(). */
#define NO_IOMMUFD	"the module iommufd is not loaded, or the kernel has none"
#define NO_TYPE1	"the module vfio_iommu_type1 is not loaded, or the kernel has none"

/* A source of dirty bits. query() requires a zeroed bitmap. */
struct tracker {
	const char *name;
	int (*start)(struct backend *b, const struct guest *g);
	int (*query)(struct backend *b, const struct guest *g,
		     const struct range *span, __u64 *bitmap);
	int (*stop)(struct backend *b);
};

struct backend_ops {
	const char *name;
	int (*open)(struct backend *b, const struct vfio_device *dev);
	int (*map)(struct backend *b, const struct range *slot, void *memory);
	int (*unmap)(struct backend *b, const struct range *slot);
	const struct tracker *tracker;
};

struct backend {
	const struct backend_ops *ops;
	int container, group, device;	/* files; -1: not open */
	__u32 ioas, hwpt;		/* iommufd's objects */
	bool emulated;
	bool tracks;			/* the IOMMU side can track this device */
	const char *reason;		/* why not, if !@tracks */
	__u64 page_sizes;		/* granules for queries, a bit each */
	__u64 iommu_page_sizes;		/* the same for mappings; 0: unknown */
	__u64 max_bitmap;		/* bytes for a query */
};

/* An open mock device; @region is the file offset of each region. */
struct device {
	int fd;
	__u64 region[3];
	__u64 writes;			/* of workloads that have ended */
};

/* Pages of a round: reported, in the truth log, and the differences. */
enum kind { DIRTY, WRITTEN, SPURIOUS, MISSED, KINDS };

/* Most columns that guest memory is divided into for a picture. */
#define COLUMNS		256

struct round {
	__u64 pages[KINDS];
	__u64 copied;		/* bytes */
	__u64 query_ns, copy_ns;
	__u64 since_ns;		/* in which these pages became dirty */
	__u64 left_ns;		/* estimate until the guest can be stopped */
	int rounds_left;	/* the same in rounds; -1: never */
	__u32 heat[COLUMNS][KINDS];	/* the pages of each column */
};

enum outcome { CONVERGED, FORCED, BROKEN_OFF, INTERRUPTED };

struct result {
	struct round *rounds;			/* [0] is the full copy */
	unsigned int nr_rounds;
	enum outcome outcome;
	__u64 writes, faults;
	__u64 queries, query_ns, dirty, spurious, missed;
	__u64 total_ns, downtime_ns, copied;
	__u64 different;			/* pages */
	__u64 first_different, first_missed;	/* IOVAs */
	const char *tracker;
};

/* The rounds that decide about one: itself, and its neighbours. */
#define ROUNDS_KEPT	3

/*
 * Index 0 is the current round, higher indices are earlier ones. @truth was read
 * before the query, @after when it had ended.
 */
struct ledger {
	__u64 *dirty[ROUNDS_KEPT], *truth[ROUNDS_KEPT], *after[ROUNDS_KEPT];
	__u64 first_missed;		/* a page; ~0: none */
};

/* common.c */
void catch_signals(void);
bool interrupted(void);
[[gnu::format(printf, 2, 3)]]
int fail(int status, const char *format, ...);
const char *take_failure(void);
__u64 now_ns(void);
bool read_line(const char *path, char *text, size_t size);
bool test_page(const __u64 *bitmap, __u64 page);

/* options.c */
int parse_options(int argc, char **argv, struct options *o);

/* numbers.c */
#define BACKING_NAMES	4
#define TRACKER_NAMES	3
extern const char *const backing_names[BACKING_NAMES];
extern const char *const tracker_names[TRACKER_NAMES];
const char *backing_name(enum backing backing);
const char *short_size(__u64 value);
int one_of(const char *option, const char *text, const char *const *names,
	   int n, int *value);
int parse_number(const char *option, const char *text, bool suffix,
		 __u64 least, __u64 most, __u64 *value);
int power_of_two(const char *option, const char *text, __u64 least,
		 __u64 most, __u64 *value);

/* guest.c */
int guest_create(struct guest *g, const struct options *o);
int guest_map(const struct guest *g, struct backend *b);
int guest_copy_all(struct guest *g, __u64 bandwidth, __u64 *copied);
int guest_copy_dirty(struct guest *g, const __u64 *dirty, __u64 bandwidth,
		     __u64 *copied);
void guest_compare(const struct guest *g, struct result *r);
__u64 guest_iova(const struct guest *g, __u64 offset);
unsigned int guest_columns(const struct guest *g);

/* discover.c */
bool read_vfio_device(const char *folder, struct vfio_device *dev);
int find_mock(const struct options *o, struct vfio_device *mock);
int list_mocks(void);

/* backend.c */
const struct backend_ops *find_backend(const char *name);
int backend_open(struct backend *b, const struct backend_ops *ops,
		 const struct vfio_device *mock);
int choose_tracker(const struct backend *b, const struct options *o,
		   const struct tracker **tracker);
void backend_close(struct backend *b);
int backend_open_file(const struct backend *b, const char *path,
		      const char *cause, int *fd);
const char *interrupts_hint(int error);

extern const struct backend_ops type1_ops, compat_ops, iommufd_ops;
extern const struct backend_ops *const backends[];

/* logging.c */
extern const struct tracker logging_tracker;
bool logging_offered(int device);

/* device.c */
int device_init(struct device *d, int fd);
int device_work_start(struct device *d, const struct options *o,
		      const struct range *span, __u64 seed);
int device_work_stop(struct device *d);
int device_truth_start(struct device *d, const struct guest *g);
int device_truth_read(struct device *d, const struct guest *g, __u64 *bitmap);
int device_faults(struct device *d, __u64 *count);

/* ledger.c */
int ledger_init(struct ledger *l, const struct guest *g);
void ledger_turn(struct ledger *l, const struct guest *g);
void ledger_round(struct ledger *l, const struct guest *g, struct round *now,
		  struct round *before);
void ledger_close(struct ledger *l, const struct guest *g, struct round *last);

/* migrate.c */
int migrate(const struct options *o, struct guest *g, struct backend *b,
	    const struct tracker *tracker, struct device *d, struct result *r);

/* report.c */
void report_start(const struct options *o, const struct guest *g,
		  const struct vfio_device *mock, const char *tracker);
void report_round(const struct options *o, const struct guest *g,
		  const struct result *r, bool last);
void report_end(const struct options *o, const struct guest *g,
		const struct result *r);
int report_json(const struct options *o, const struct guest *g,
		const struct vfio_device *mock, const struct result *r);
const char *outcome_name(enum outcome outcome);
bool result_good(const struct result *r);

/* heading.c */
int draw_result(const struct options *o, const struct guest *g,
		const struct vfio_device *mock, const struct result *r);

/* picture.c */
#define PICTURE_NUMBERS	3

/* What a picture has besides the rounds. */
struct picture_words {
	const char *file, *title, *line, *verdict;
	bool bad;			/* the verdict is */
	const char *upper, *lower;	/* the two strips of a round */
	const char *missed, *note;	/* below the legend; may be NULL */
	const char *full_copy;		/* over round 0 in place of strips, or NULL */
	const char *heads[PICTURE_NUMBERS];
	/* Fill the numbers beside a round; an empty text is left out. */
	void (*numbers)(const struct guest *g, const struct round *r,
			bool full_copy, char texts[PICTURE_NUMBERS][32]);
	unsigned int first;		/* number of the first round */
	bool stopped;			/* the guest stood still in the last one */
};

const char *thousands(__u64 value, char *text, size_t size);
int draw_picture(const struct guest *g, const struct round *rounds,
		 unsigned int nr_rounds, const struct picture_words *words);

#endif
