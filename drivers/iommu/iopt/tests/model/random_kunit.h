/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of the engine, and the random test that compares both: see
 * iopt_model_kunit.c and iopt_random_kunit.c.
 */
#ifndef __RANDOM_KUNIT_H
#define __RANDOM_KUNIT_H

#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "iopt.h"
#include "tests/iopt_kunit.h"

/* Bytes of IOVA for each element of &model_domain.expected. */
#define MODEL_UNIT		SZ_1K

#define MODEL_IOASES		3
#define MODEL_DOMAINS		4
#define MODEL_MEMS		7
/* Memory objects from 0 on without holes, except at the end of the file. */
#define MODEL_PINNABLE_MEMS		5
#define MODEL_FILE_HOLE		8
#define MODEL_AREAS		48
#define MODEL_PINS		10
#define MODEL_PAGES_ACCESSES		64
/* Maximum pages of a memory object. */
#define MODEL_MAX_PAGES		576
/* Maximum bytes of one iopt_rw(). */
#define MODEL_MAX_DATA		SZ_32K
/* Maximum pages of one iopt_pin_pages(). */
#define MODEL_MAX_OUT		64
/* Maximum folios of all memory objects. */
#define MODEL_FOLIOS		512

/* Error of the call that &model_domain.fail selects. */
#define MODEL_MAP_ERRNO		(-EXDEV)

/**
 * struct model_mem - a memory object, which areas can map
 * @name: name for messages
 * @npages: length in pages
 * @page: its pages, each with a reference; NULL for a hole
 * @address: address in the mm of the test, or 0 for a file that is not mapped there
 * @file: the file to map, or NULL for user memory
 * @readonly: the test's mm maps the memory without write permission
 * @folio: by page: index of its folio in &model_run.folios
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
 * struct model_folio - a folio of any memory object
 * @folio: the folio
 * @pins: expected pins of the folio: the sum of the pins of its pages
 * @written: expected pins of the folio that are for writing
 * @were_written: @written before the current step
 */
struct model_folio {
	struct folio *folio;
	unsigned int pins;
	unsigned int written;
	unsigned int were_written;
};

/**
 * struct model_pages - model of an iopt_pages
 * @mem: index of the memory object
 * @first: first page, in the memory object
 * @npages: length in pages
 * @writable: pages are pinned for writing
 * @mode: enum iopt_account_mode
 *
 * Areas refer to it by its index. An element that no area refers to is unused.
 */
struct model_pages {
	u8 mem;
	u16 first;
	u16 npages;
	bool writable;
	u8 mode;
};

/**
 * struct model_area - model of an area
 * @length: length in bytes, or 0 if the element is unused
 * @iova: first IOVA
 * @start_byte: offset of the area in its pages, in bytes
 * @ioas: index of the IOAS
 * @pages: index of the struct model_pages
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
 * struct model_pages_access - model of an iopt_pages_access
 * @users: number of pins of the range, or 0 if the element is unused
 * @area: index of the area that the pages are pinned through
 * @first: first page index
 * @last: last page index
 * @writable: at least one of the pins was for writing
 */
struct model_pages_access {
	unsigned int users;
	u8 area;
	u16 first;
	u16 last;
	bool writable;
};

/**
 * struct model_pin - a call of iopt_pin_pages() that is still to be undone
 * @length: length in bytes, or 0 if the element is unused
 * @iova: first IOVA
 * @ioas: index of the IOAS
 */
struct model_pin {
	unsigned long length;
	unsigned long iova;
	u8 ioas;
};

/**
 * struct model_state - expected state of the engine
 * @areas: the areas of every IOAS
 * @pages: the memory that @areas map
 * @pages_accesses: ranges of pages that accesses have pinned
 * @pins: the calls of iopt_pin_pages() that pinned @pages_accesses
 * @small: by IOAS: large pages are disabled
 * @access: by IOAS: alignment of its access, or 0 if it has none
 * @ioas: by domain: index of the IOAS that it is attached to, or -1
 * @tracked: by domain: dirty tracking is enabled
 *
 * A step that may fail works on a copy of the state.
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
 * @phys: physical address
 * @leaf: index of the first granule of its leaf
 * @n: number of granules of its leaf, or 0 if the granule is unmapped
 * @prot: IOMMU_READ and IOMMU_WRITE
 * @read_only: the engine has made the leaf read-only
 * @dirty: dirty bit of the leaf; valid in its first granule
 * @cached: the IOTLB has cached the leaf as dirty, so a write does not set @dirty
 *	until the IOTLB is flushed; valid in the first granule of the leaf
 * @writable: the IOTLB has cached that the leaf is writable, so a write succeeds until
 *	the IOTLB is flushed; valid in the first granule of the leaf
 */
struct model_granule {
	phys_addr_t phys;
	u32 leaf;
	u32 n;
	int prot;
	bool read_only;
	bool dirty;
	bool cached;
	bool writable;
};

/*
 * Values of &model_domain.expected: the next query must report the unit as dirty; the
 * next query may report it.
 */
#define MODEL_MUST		BIT(0)
#define MODEL_MAY		BIT(1)

/**
 * struct model_domain - a domain whose page table is an array
 * @domain: the domain
 * @run: the run that it belongs to
 * @shift: log2 of the size of a granule
 * @nr: number of granules
 * @mapped: number of mapped granules
 * @granules: the page table
 * @tracking: the driver has dirty tracking enabled
 * @fail: number of calls of map_pages up to the one that fails with MODEL_MAP_ERRNO;
 *	0 for none
 * @expected: by MODEL_UNIT: expected result of the next query, MODEL_MUST and
 *	MODEL_MAY
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

/* Make allocations and maps fail. */
#define MODEL_FAULTS	BIT(0)
/* Charge pages, by each enum iopt_account_mode but IOPT_PAGES_ACCOUNT_TYPE1. */
#define MODEL_ACCOUNT	BIT(1)
/* One memory object has a folio of 2 MiB. */
#define MODEL_HUGE	BIT(2)
/* The aperture of the domains is the run's window of IOVAs. */
#define MODEL_APERTURE	BIT(3)
/* Query ranges whose bitmaps are larger than the window that the engine pins. */
#define MODEL_LONG_QUERY	BIT(4)

/**
 * struct model_config - parameters of a run
 * @name: name of the test parameter
 * @seed: seed of the random numbers
 * @steps: number of steps
 * @base: first IOVA of the window that the run uses
 * @bytes: size of the window
 * @pgsizes: by domain: bitmap of its leaf sizes, 0 for no such domain
 * @memory_limit: iopt_test_memory_limit, or 0 for its default
 * @limit: RLIMIT_MEMLOCK in pages, or 0 to keep the one that the thread has
 * @flags: MODEL_FAULTS, MODEL_ACCOUNT, MODEL_HUGE, MODEL_APERTURE, MODEL_LONG_QUERY
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
 * struct model_access - the access of an IOAS
 * @access: the access
 * @run: the run that it belongs to
 * @ioas: index of the IOAS
 */
struct model_access {
	struct iopt_access access;
	struct model_run *run;
	unsigned int ioas;
};

/**
 * struct model_run - a run: the engine's objects and the model of them
 * @test: the test
 * @cfg: parameters of the run
 * @seed: seed of @rnd
 * @rnd: state of the random numbers
 * @step: index of the current step
 * @description: description of the current step, for messages
 * @failed: number of failures; the run ends if it is not 0
 * @iopts: the IOVA spaces
 * @accesses: by IOAS: its access
 * @domains: the domains
 * @mems: the memory objects
 * @folios: the folios of @mems
 * @nr_folios: number of @folios
 * @now: expected state
 * @next: expected state if the current step succeeds
 * @driver_failed: a domain made a map of the current step fail
 * @injected: an allocation of the current step failed
 * @fail_nth: the allocation of the current step that fails, or 0
 * @no_faults: do not make allocations fail
 * @pins: number of pins of the system without those of the run
 * @user_locked: number of pages that the user has locked without those of the run
 * @used_pages: by index of struct model_pages: the iopt_pages that it models; set and
 *	used by iopt_model_check() only
 * @out_pages: pages that iopt_pin_pages() returned, then MODEL_MAX_OUT expected pages
 * @data: bytes to copy
 * @bitmap: address of user memory for the bitmaps of queries
 * @bitmap_bytes: size of @bitmap, @before, @after, @must and @may
 * @before: contents of @bitmap before a query
 * @after: contents of @bitmap after a query
 * @must: bits that a query must set
 * @may: bits that a query may set
 */
struct model_run {
	struct kunit *test;
	const struct model_config *cfg;
	u32 seed;
	struct rnd_state rnd;
	unsigned int step;
	char description[160];
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

/* Return the next area of an IOAS in the array after @area, or its first if NULL. */
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
void iopt_model_domain_read(struct model_domain *md, unsigned long iova);
bool iopt_model_domain_write(struct model_domain *md, unsigned long iova,
			     unsigned long *start, unsigned long *last);

/* iopt_model_kunit.c */
/* Sets of results that a call may return. */
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
/* The set is the same if an allocation fails. */
#define MODEL_ALWAYS	BIT(30)
/* A result without a bit of its own. */
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
unsigned int iopt_model_unused_areas(const struct model_state *state);
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

/**
 * struct model_need - pages that a state of the model requires to be pinned
 * @mode: by enum iopt_account_mode: number of pages
 * @fault: at least one of the pages cannot be pinned
 */
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
