/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the engine's model test share: see iopt_random_kunit.c.
 */
#ifndef __RANDOM_KUNIT_H
#define __RANDOM_KUNIT_H

#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "tests/iopt_kunit.h"

/* Bytes of IOVA that the model's arrays have an element for. */
#define MODEL_UNIT		SZ_1K

#define MODEL_IOASES		3
#define MODEL_DOMAINS		4
#define MODEL_MEMS		7
/* Those in front have no holes, but for the end of the file. */
#define MODEL_PINNABLE_MEMS		5
#define MODEL_FILE_HOLE		8
#define MODEL_AREAS		48
#define MODEL_PINS		10
#define MODEL_PAGES_ACCESSES		64
/* Pages that a memory has at most. */
#define MODEL_MAX_PAGES		576
/* Bytes that are copied at a time at most. */
#define MODEL_MAX_DATA		SZ_32K
/* Pages that are pinned at a time at most. */
#define MODEL_MAX_OUT		64
/* Folios that there are at most. */
#define MODEL_FOLIOS		512

/* What a map that fails because the test wants it fails with. */
#define MODEL_MAP_ERRNO		(-EXDEV)

/**
 * struct model_mem - memory that can be mapped
 * @name: for messages
 * @npages: its length
 * @page: its pages, each with a reference; NULL where there is none
 * @address: where the test's process has it, or 0
 * @file: the file that it is, or NULL
 * @readonly: the process must not write it
 * @folio: of each page the index of its folio
 */
struct model_mem {
	const char *name;
	unsigned int npages;
	struct page *page[MODEL_MAX_PAGES];
	unsigned long address;
	struct file *file;
	bool readonly;
	u16 folio[MODEL_MAX_PAGES];
};

/**
 * struct model_folio - what pages belong to, in any memory
 * @folio: the folio
 * @pins: how often the model has it pinned, by all of its pages
 * @written: how often of these by somebody who may write
 * @were_written: what that was a step ago
 */
struct model_folio {
	struct folio *folio;
	unsigned int pins;
	unsigned int written;
	unsigned int were_written;
};

/**
 * struct model_pages - an iopt_pages
 * @mem: index of the memory
 * @first: page of that where it begins
 * @npages: its length
 * @writable: pinned for writing
 * @mode: how it is counted
 *
 * Its index is what areas know it by. It is there as long as one does.
 */
struct model_pages {
	u8 mem;
	u16 first;
	u16 npages;
	bool writable;
	u8 mode;
};

/**
 * struct model_area - an area
 * @length: bytes, or 0 where there is no area
 * @iova: first byte
 * @start_byte: where it begins in the pages
 * @ioas: index of the table
 * @pages: index of the pages
 * @prot: IOMMU_READ and IOMMU_WRITE
 */
struct model_area {
	unsigned long length;
	unsigned long iova;
	unsigned long start_byte;
	u8 ioas;
	u8 pages;
	int prot;
};

/**
 * struct model_hold - pages that are pinned through an area
 * @users: how often, or 0 where nothing is held
 * @area: index of the area
 * @first: first page index
 * @last: last page index
 * @writable: by one who writes
 */
struct model_pages_access {
	unsigned int users;
	u8 area;
	u16 first;
	u16 last;
	bool writable;
};

/**
 * struct model_pin - a call of iopt_pin_pages() that has not been undone
 * @length: bytes, or 0 where there is none
 * @iova: first byte
 * @ioas: index of the table
 */
struct model_pin {
	unsigned long length;
	unsigned long iova;
	u8 ioas;
};

/**
 * struct model_state - what the engine should have
 * @areas: all areas
 * @pages: what they map
 * @pages_accesses: what in-kernel users hold
 * @pins: the calls it comes from
 * @small: by table: large pages are disabled
 * @access: by table: alignment of its access, or 0 where it has none
 * @ioas: by domain: index of the table that it is in, or -1
 * @tracked: by domain: tracking is on
 *
 * Can be copied: a step that may fail works on a copy.
 */
struct model_state {
	struct model_area areas[MODEL_AREAS];
	struct model_pages pages[MODEL_AREAS];
	struct model_pages_access pages_accesses[MODEL_PAGES_ACCESSES];
	struct model_pin pins[MODEL_PINS];
	bool small[MODEL_IOASES];
	unsigned long access[MODEL_IOASES];
	s8 ioas[MODEL_DOMAINS];
	bool tracked[MODEL_DOMAINS];
};

/**
 * struct model_granule - an entry of a domain's page table
 * @phys: what it translates to
 * @leaf: index of the first granule of its leaf
 * @n: granules of the leaf, or 0 where nothing is mapped
 * @prot: what a device may do
 * @dirty: of the first granule of a leaf: a device wrote the leaf
 * @cached: of the first granule: the IOTLB knows that it is dirty, and will
 *	not set @dirty again until it is flushed
 */
struct model_granule {
	phys_addr_t phys;
	u32 leaf;
	u32 n;
	int prot;
	bool dirty;
	bool cached;
};

/* In &model_domain.expected: must be told as dirty, may be told as dirty. */
#define MODEL_MUST		BIT(0)
#define MODEL_MAY		BIT(1)

/**
 * struct model_domain - an IOMMU that is an array
 * @domain: what the engine sees
 * @run: whose it is
 * @shift: log2 of a granule
 * @nr: granules that there are
 * @mapped: how many are
 * @granules: the page table
 * @tracking: dirty bits are set
 * @fail: the call to map that fails, counting down to 1; 0 for none
 * @expected: by unit: what the next query has to tell
 */
struct model_domain {
	struct iommu_domain domain;
	struct model_run *run;
	unsigned int shift;
	unsigned int nr;
	unsigned int mapped;
	struct model_granule *granules;
	bool tracking;
	unsigned int fail;
	u8 *expected;
};

#define MODEL_FAULTS	BIT(0)	/* make allocations and maps fail */
#define MODEL_ACCOUNT	BIT(1)	/* count pages, in all ways there are */
#define MODEL_HUGE	BIT(2)	/* have a memory with a folio of 2 MiB */
#define MODEL_APERTURE	BIT(3)	/* domains translate the window only */
#define MODEL_FAR	BIT(4)	/* queries of more than one window */

/**
 * struct model_row - a run
 * @name: what is special
 * @seed: of the random numbers
 * @steps: how many
 * @base: first IOVA of the window that is used
 * @bytes: its length
 * @pgsizes: leaf sizes of each domain, 0 where there is none
 * @memory_limit: bytes that a batch may take, or 0 for the usual limit
 * @limit: RLIMIT_MEMLOCK in pages, or 0 for none
 * @flags: MODEL_*
 */
struct model_config {
	const char *name;
	u32 seed;
	unsigned int steps;
	unsigned long base;
	unsigned long bytes;
	unsigned long pgsizes[MODEL_DOMAINS];
	unsigned int memory_limit;
	unsigned int limit;
	unsigned int flags;
};

/**
 * struct model_access - the in-kernel user of a table
 * @access: what the engine sees
 * @run: whose it is
 * @ioas: index of the table
 */
struct model_access {
	struct iopt_access access;
	struct model_run *run;
	unsigned int ioas;
};

/**
 * struct model_run - a run
 * @test: the test
 * @cfg: what it does
 * @seed: of the random numbers
 * @rnd: the random numbers
 * @step: which step it is at
 * @what: what that step does, for messages
 * @failed: how much was wrong: the run ends
 * @iopts: the tables
 * @accesses: their in-kernel users
 * @domains: what tables may get
 * @mems: what can be mapped
 * @folios: what it consists of
 * @nr_folios: how many that are
 * @now: what there is to be
 * @next: what it is going to be if the step succeeds
 * @driver_failed: a domain failed a map in this step
 * @injected: an allocation failed in this step
 * @no_faults: nothing is to fail now
 * @fail_nth: which allocation of this step is to fail, or 0
 * @pins: pins of the system without the run's
 * @user_locked: pages of the user without the run's
 * @used_pages: the engine's iopt_pages for each of the model's, while checking
 * @out_pages: what iopt_pin_pages() gave, and what it should have given
 * @data: bytes to copy
 * @bitmap: user memory for dirty bits
 * @bitmap_bytes: its length
 * @before: what is in it
 * @after: what is in it after a query
 * @must: bits that have to be set
 * @may: bits that may be set
 */
struct model_run {
	struct kunit *test;
	const struct model_config *cfg;
	u32 seed;
	struct rnd_state rnd;
	unsigned int step;
	char what[160];
	unsigned int failed;

	struct io_pagetable iopts[MODEL_IOASES];
	struct model_access accesses[MODEL_IOASES];
	struct model_domain domains[MODEL_DOMAINS];
	struct model_mem mems[MODEL_MEMS];
	struct model_folio folios[MODEL_FOLIOS];
	unsigned int nr_folios;
	struct model_state now;
	struct model_state next;
	bool driver_failed;
	bool injected;
	unsigned int fail_nth;
	bool no_faults;

	long pins;
	long user_locked;
	void *used_pages[MODEL_AREAS];
	struct page *out_pages[2 * MODEL_MAX_OUT];
	u8 *data;

	unsigned long bitmap;
	size_t bitmap_bytes;
	u8 *before;
	u8 *after;
	u8 *must;
	u8 *may;
};

static inline unsigned long model_below(struct model_run *run, unsigned long n)
{
	return iopt_kunit_below(&run->rnd, n);
}

static inline unsigned long model_last(const struct model_area *area)
{
	return area->iova + area->length - 1;
}

static inline unsigned long model_window_last(const struct model_run *run)
{
	return run->cfg->base + run->cfg->bytes - 1;
}

/* The area behind @area in the array, or the first, of those of a table. */
static inline struct model_area *model_next_area(struct model_state *state,
						 struct model_area *area,
						 int ioas)
{
	area = area ? area + 1 : state->areas;
	for (; area < state->areas + MODEL_AREAS; area++)
		if (area->length && area->ioas == ioas)
			return area;
	return NULL;
}

#define model_for_each_area(area, state, nr)				\
	for ((area) = model_next_area((state), NULL, (nr)); (area);	\
	     (area) = model_next_area((state), (area), (nr)))

/* iopt_model_run_kunit.c */
__printf(2, 3) void iopt_model_fail(struct model_run *run, const char *fmt, ...);
__printf(2, 3) void iopt_model_describe(struct model_run *run, const char *fmt, ...);
void iopt_model_begin(struct model_run *run);
void iopt_model_end(struct model_run *run, int rc, unsigned int allowed);
void iopt_model_allow_dirty(struct model_run *run);

/* iopt_random_kunit.c */
struct model_run *iopt_model_alloc(struct kunit *test,
				   const struct model_config *cfg);

/* iopt_model_memory_kunit.c */
void iopt_model_memory_init(struct model_run *run);
unsigned int iopt_model_page_pins(struct page *page);

/* iopt_model_domain_kunit.c */
void iopt_model_domain_init(struct model_run *run, unsigned int nr);
bool iopt_model_domain_write(struct model_domain *md, unsigned long iova,
			     unsigned long *start, unsigned long *last);

/* iopt_model_kunit.c */
/* What a call may give, as bits. */
#define MODEL_OK	BIT(0)
#define MODEL_EINVAL	BIT(1)
#define MODEL_EEXIST	BIT(2)
#define MODEL_ENOENT	BIT(3)
#define MODEL_EPERM	BIT(4)
#define MODEL_ENOMEM	BIT(5)
#define MODEL_EFAULT	BIT(6)
#define MODEL_EADDRINUSE	BIT(7)
#define MODEL_EOVERFLOW	BIT(8)
#define MODEL_ENOSPC	BIT(9)
#define MODEL_EXDEV	BIT(10)
#define MODEL_ALWAYS	BIT(30)	/* the same if an allocation fails */
#define MODEL_EOTHER	BIT(31)

unsigned int iopt_model_outcome(int rc);
unsigned long iopt_model_align(const struct model_run *run,
			       const struct model_state *state,
			       unsigned int ioas);
unsigned int iopt_model_domains_of(const struct model_state *state,
				   unsigned int ioas);
struct model_area *iopt_model_find_area(struct model_state *state,
					unsigned int ioas, unsigned long iova,
					unsigned long last);
unsigned int iopt_model_room(const struct model_state *state);
unsigned int iopt_model_add_pages(struct model_state *state);
unsigned int iopt_model_resources(struct model_run *run,
				  const struct model_state *state);
unsigned int iopt_model_add_area(struct model_run *run, struct model_state *state,
				 const struct model_area *area);
unsigned int iopt_model_copy(struct model_run *run, struct model_state *state,
			     const struct model_area *to, unsigned int src,
			     unsigned long src_iova);
unsigned int iopt_model_pin(struct model_run *run, struct model_state *state,
			    const struct model_pin *pin, bool write,
			    struct page **out);
void iopt_model_unpin(struct model_run *run, struct model_pin *pin);
void iopt_model_mark_dirty(struct model_run *run, unsigned int ioas,
			   unsigned long iova, unsigned long last, u8 mark);
void iopt_model_clear_dirty(struct model_run *run, unsigned int ioas,
			    unsigned long iova, unsigned long last);
void iopt_model_pages_access_range(const struct model_state *state,
				   const struct model_pages_access *pa,
				   unsigned long *iova, unsigned long *last);

/* iopt_model_check_kunit.c */
struct model_need {
	unsigned long mode[3];
	bool fault;
};

void iopt_model_pinned(const struct model_state *state, unsigned int pages,
		       unsigned long *pinned, unsigned long *accessed);
void iopt_model_count_pins(struct model_run *run, const struct model_state *state,
			   struct model_need *need);
void iopt_model_check(struct model_run *run);
void iopt_model_query(struct model_run *run, struct model_domain *md,
		      struct iopt_dirty_query *query, size_t offset);

/* iopt_random_map_kunit.c */
struct model_area *iopt_random_area(struct model_run *run, unsigned int ioas);
unsigned long iopt_random_iova(struct model_run *run, unsigned int ioas);
struct mm_struct *iopt_random_unuse_mm(struct model_run *run);
void iopt_random_use_mm(struct mm_struct *mm);
void iopt_random_map(struct model_run *run);
void iopt_random_map_anywhere(struct model_run *run);
void iopt_random_copy(struct model_run *run);
void iopt_random_unmap(struct model_run *run);
void iopt_random_unmap_all(struct model_run *run, unsigned int ioas);
void iopt_random_split(struct model_run *run);

/* iopt_random_domain_kunit.c */
void iopt_random_add_domain(struct model_run *run);
void iopt_random_remove_domain(struct model_run *run);
void iopt_random_remove_domains(struct model_run *run, unsigned int ioas);
void iopt_random_large_pages(struct model_run *run);
void iopt_random_track(struct model_run *run);
void iopt_random_write(struct model_run *run);
void iopt_random_query(struct model_run *run);
void iopt_random_faulting_query(struct model_run *run);
void iopt_random_check_dirty(struct model_run *run);

/* iopt_random_access_kunit.c */
void iopt_random_access_init(struct model_run *run, unsigned int ioas);
void iopt_random_access(struct model_run *run);
void iopt_random_remove_access(struct model_run *run, unsigned int ioas);
void iopt_random_pin(struct model_run *run);
void iopt_random_unpin(struct model_run *run);
void iopt_random_rw(struct model_run *run);

#endif
