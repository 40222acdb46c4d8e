// SPDX-License-Identifier: GPL-2.0-only
/*
 * Record dirty IOVA ranges in a bitmap in user memory.
 */
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include <kunit/static_stub.h>

#include "iova_bitmap.h"

/**
 * DOC: IOVA bitmap
 *
 * Live migration queries which memory a device wrote. The caller of a query
 * supplies a bitmap in user memory: bit ``n % 64`` of 64 bit word ``n / 64``
 * stands for the ``n``-th granule, where ``n = (IOVA - first IOVA) / granule``.
 * An IOMMU driver clears the dirty bits of its page table as it reads them, and
 * a device clears its log. Dirty bits that have been read, but cannot be
 * written to the bitmap, would be lost.
 *
 * Therefore the bitmap is processed in windows. The memory of a window is
 * pinned for writing *before* the callback reads the dirty bits of the window's
 * IOVA range, and unpinned afterwards. iova_bitmap_set() then only sets bits
 * through a kernel mapping, which neither fails nor sleeps. If a window cannot
 * be pinned, the walk ends, and no dirty bit is lost: the callback has not run
 * for this window.
 *
 * A range that the callback reports may end above the window, because hardware
 * has one dirty bit for a huge page. The part above the window is carried over
 * to the next window. The part outside of the bitmap goes to the spill function
 * of the owner, which reports it in a later query.
 */

/**
 * DOC: IOVA bitmap windows
 *
 * A window has at most as many pages of bitmap as one kernel page can hold page
 * pointers: 512 pages, or 2 MiB of bitmap, with pages of 4 KiB and pointers of
 * 8 bytes. With a granule of 4 KiB, such a window covers 64 GiB of IOVA. A
 * query of 4 GiB to 128 GiB has two windows, 4 GiB to 68 GiB and 68 GiB to
 * 128 GiB. A bitmap may start at any byte address. If this address is not page
 * aligned, the first window is shorter by the bytes before it in its page. Each
 * bitmap needs one page for page pointers, regardless of its length.
 */

#define IOVA_BITMAP_MAX_PAGES	((unsigned int)(PAGE_SIZE / sizeof(struct page *)))
#define IOVA_BITMAP_PAGE_BITS	((unsigned int)(PAGE_SIZE * BITS_PER_BYTE))

/* For this many bytes or more, memset() is cheaper than a loop. */
#define IOVA_BITMAP_MEMSET	256

/*
 * struct iova_bitmap_window - the pinned window of a bitmap
 *
 * Member of struct iova_bitmap. While no window is pinned, npages is 0, run is
 * false, and of the other members only pages is valid: it is allocated and freed
 * with the struct iova_bitmap.
 */
struct iova_bitmap_window {
	/* First IOVA, and distance from the first to the last IOVA */
	unsigned long iova;
	unsigned long span;
	/* Number of bits in pages[0] below the bit for iova */
	unsigned int skip;
	unsigned int npages;
	/* Whether a bit was set; if so, unpinning marks the pages dirty */
	bool written;
	/*
	 * Whether the bits of offsets run_first to next - 1 are pending: they
	 * are set together, so adjacent ranges cost one update. next is the
	 * offset after the latest range. It cannot wrap, as a bitmap covers
	 * less than 2^64 bytes of IOVA.
	 */
	bool run;
	unsigned long run_first;
	unsigned long next;
	struct page **pages;
};

/*
 * struct iova_bitmap - a bitmap in user memory for a range of IOVA
 *
 * Owner: the caller of iova_bitmap_alloc(), for one query.
 * Locks: none. One thread walks the bitmap and sets bits. Concurrent queries
 * need a struct iova_bitmap each, and bitmaps that do not overlap, as bits are
 * not set atomically.
 */
struct iova_bitmap {
	struct iova_bitmap_window mapped;
	unsigned int pgshift;
	/* Whether a range continues in the next window, up to carry_last */
	bool carry;
	/* Whether the last window stays pinned until iova_bitmap_free() */
	bool keep_pinned;
	unsigned long carry_last;

	u8 __user *bitmap;
	unsigned long iova;
	unsigned long last;

	iova_bitmap_spill_fn_t spill;
	void *spill_opaque;
	unsigned long nr_dropped;
};

/*
 * Bits are set in bytes, because a word at the edge of the bitmap may contain
 * bytes that do not belong to the bitmap. On little-endian machines, bit n is
 * in byte n / 8. On big-endian machines, the bytes of a word are reversed.
 */
#define IOVA_BITMAP_SWIZZLE \
	(IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? sizeof(u64) - 1 : 0)

/**
 * iova_bitmap_pin_pages() - pin all pages of a window, or none
 * @addr: user address of the first page
 * @npages: number of pages
 * @pages: set to the pinned pages
 *
 * Return:
 * * 0: success
 * * -EFAULT: a page is not writable memory
 * * or another errno of pin_user_pages_fast()
 */
VISIBLE_IF_KUNIT int iova_bitmap_pin_pages(unsigned long addr,
					   unsigned int npages,
					   struct page **pages)
{
	unsigned int done = 0;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(iova_bitmap_pin_pages, addr, npages, pages);

	/* A short count has no errno: the next call fails at its first page. */
	while (done < npages) {
		ret = pin_user_pages_fast(addr + done * PAGE_SIZE,
					  npages - done, FOLL_WRITE,
					  pages + done);
		if (ret <= 0) {
			unpin_user_pages(pages, done);
			/* -EOVERFLOW: the address is above the address space */
			return ret && ret != -EOVERFLOW ? ret : -EFAULT;
		}
		done += ret;
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iova_bitmap_pin_pages);

/* Fill whole bytes, up to @stop exclusive. */
static __always_inline void iova_bitmap_fill_bytes(u8 *p, u8 *stop)
{
	if (stop - p >= IOVA_BITMAP_MEMSET) {
		memset(p, 0xff, stop - p);
		return;
	}
	/* The last word may extend above @stop, into bytes that are full. */
	for (; p < stop; p += sizeof(u64)) {
		/* Keep the compiler from replacing the loop by memset(). */
		OPTIMIZER_HIDE_VAR(p);
		put_unaligned(~0ULL, (u64 *)p);
	}
}

/* Fill whole words. A huge page has eight. */
static __always_inline void iova_bitmap_fill_words(u64 *p, unsigned int n)
{
	if (n * sizeof(u64) >= IOVA_BITMAP_MEMSET) {
		memset(p, 0xff, n * sizeof(u64));
		return;
	}
	for (; n >= 8; n -= 8, p += 8) {
		p[0] = ~0ULL;
		p[1] = ~0ULL;
		p[2] = ~0ULL;
		p[3] = ~0ULL;
		p[4] = ~0ULL;
		p[5] = ~0ULL;
		p[6] = ~0ULL;
		p[7] = ~0ULL;
	}
	for (; n; n--, p++) {
		/* Keep the compiler from replacing the loop by memset(). */
		OPTIMIZER_HIDE_VAR(p);
		*p = ~0ULL;
	}
}

/* Fill several bytes on a big-endian machine, or fewer than a word. */
static void iova_bitmap_fill_swizzled(u8 *kaddr, unsigned int byte,
				      unsigned int end, u8 head, u8 tail)
{
	kaddr[byte ^ IOVA_BITMAP_SWIZZLE] |= head;
	while (++byte < end)
		kaddr[byte ^ IOVA_BITMAP_SWIZZLE] = 0xff;
	kaddr[end ^ IOVA_BITMAP_SWIZZLE] |= tail;
}

/*
 * Set bits @first to @last of the page mapped at @kaddr.
 *
 * All lengths from 1 bit to the 512 bits of a huge page are common. Each has a
 * path without a loop over bits. No path accesses a byte outside of the range.
 */
static __always_inline void iova_bitmap_fill(u8 *kaddr, unsigned int first,
					     unsigned int last)
{
	unsigned int byte = first / BITS_PER_BYTE;
	unsigned int end = last / BITS_PER_BYTE;
	unsigned int head = first % BITS_PER_BYTE;
	unsigned int tail = BITS_PER_BYTE - 1 - last % BITS_PER_BYTE;
	u8 *stop;

	if (!((first | ~last) % BITS_PER_TYPE(u64))) {
		iova_bitmap_fill_words((u64 *)(kaddr + byte),
				       (last - first + 1) / BITS_PER_TYPE(u64));
		return;
	}
	if (byte == end) {
		kaddr[byte ^ IOVA_BITMAP_SWIZZLE] |=
			((2U << (last - first)) - 1) << head;
		return;
	}
	if (IOVA_BITMAP_SWIZZLE || end - byte < sizeof(u64)) {
		iova_bitmap_fill_swizzled(kaddr, byte, end, 0xff << head,
					  0xff >> tail);
		return;
	}

	/*
	 * Update the unaligned word that starts with the first byte, and the
	 * one that ends with the last byte. They may overlap, but neither
	 * contains the partial byte of the other.
	 */
	kaddr += byte;
	stop = kaddr + (end - byte) + 1 - sizeof(u64);
	put_unaligned(get_unaligned((u64 *)kaddr) | ~0ULL << head,
		      (u64 *)kaddr);
	put_unaligned(get_unaligned((u64 *)stop) | ~0ULL >> tail, (u64 *)stop);
	iova_bitmap_fill_bytes(kaddr + sizeof(u64), stop);
}

/* Set bits @bit to @end of the pinned pages, page by page. */
static noinline void iova_bitmap_set_pages(struct iova_bitmap_window *mapped,
					   unsigned int bit, unsigned int end)
{
	unsigned int index, stop;
	u8 *kaddr;

	for (;;) {
		index = bit / IOVA_BITMAP_PAGE_BITS;
		stop = min(end, (index + 1) * IOVA_BITMAP_PAGE_BITS - 1);
		kaddr = kmap_local_page(mapped->pages[index]);
		iova_bitmap_fill(kaddr, bit % IOVA_BITMAP_PAGE_BITS,
				 stop % IOVA_BITMAP_PAGE_BITS);
		kunmap_local(kaddr);
		if (stop == end)
			return;
		bit = stop + 1;
	}
}

/* Set several bits, which are nearly always in the same page. */
static noinline void iova_bitmap_set_run(struct iova_bitmap_window *mapped,
					 unsigned int bit, unsigned int end)
{
	unsigned int index = bit / IOVA_BITMAP_PAGE_BITS;
	u8 *kaddr;

	if (index != end / IOVA_BITMAP_PAGE_BITS) {
		iova_bitmap_set_pages(mapped, bit, end);
		return;
	}
	kaddr = kmap_local_page(mapped->pages[index]);
	iova_bitmap_fill(kaddr, bit % IOVA_BITMAP_PAGE_BITS,
			 end % IOVA_BITMAP_PAGE_BITS);
	kunmap_local(kaddr);
}

/* Set the bits of a range inside the window, given as offsets from its IOVA. */
static __always_inline void iova_bitmap_set_mapped(struct iova_bitmap *bitmap,
						   unsigned long offset,
						   unsigned long last)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned int bit, end;
	u8 *kaddr;

	/* A window has at most 2^32 bits, so bit numbers fit unsigned int. */
	bit = mapped->skip + (offset >> bitmap->pgshift);
	end = mapped->skip + (last >> bitmap->pgshift);
	mapped->written = true;
	if (bit != end) {
		iova_bitmap_set_run(mapped, bit, end);
		return;
	}

	/* Fast path: dirty leaves of 4 KiB set one bit each. */
	kaddr = kmap_local_page(mapped->pages[bit / IOVA_BITMAP_PAGE_BITS]);
	kaddr[bit % IOVA_BITMAP_PAGE_BITS / BITS_PER_BYTE ^
	      IOVA_BITMAP_SWIZZLE] |= BIT(bit % BITS_PER_BYTE);
	kunmap_local(kaddr);
}

/* Set the bits of the pending run of adjacent ranges, if there is one. */
static void iova_bitmap_flush_run(struct iova_bitmap *bitmap)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;

	if (!mapped->run)
		return;
	mapped->run = false;
	iova_bitmap_set_mapped(bitmap, mapped->run_first, mapped->next - 1);
}

/* Extend the pending run by a range, or end the run if it is not adjacent. */
static noinline void iova_bitmap_extend_run(struct iova_bitmap *bitmap,
					    unsigned long offset,
					  unsigned long last)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;

	if (offset != mapped->next) {
		iova_bitmap_flush_run(bitmap);
		iova_bitmap_set_mapped(bitmap, offset, last);
	} else if (!mapped->run) {
		mapped->run = true;
		mapped->run_first = offset;
	}
	mapped->next = last + 1;
}

static void iova_bitmap_unpin_window(struct iova_bitmap *bitmap)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;

	if (!mapped->npages)
		return;
	iova_bitmap_flush_run(bitmap);

	/*
	 * Mark the pages dirty. Bits set through the kernel mapping do not set
	 * the dirty bit of the user page table, so reclaim could otherwise drop
	 * the page as clean.
	 */
	unpin_user_pages_dirty_lock(mapped->pages, mapped->npages,
				    mapped->written);
	mapped->npages = 0;
}

/* Pin the memory of the window whose first granule is at @iova. */
static int iova_bitmap_pin_window(struct iova_bitmap *bitmap,
				  unsigned long iova)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long first, bits, room, addr;
	unsigned int npages, pgoff;
	int ret;

	first = (iova - bitmap->iova) >> bitmap->pgshift;
	addr = (unsigned long)bitmap->bitmap + first / BITS_PER_BYTE;
	pgoff = offset_in_page(addr);

	/* The number of the last bit: the number of bits may overflow. */
	bits = (bitmap->last - iova) >> bitmap->pgshift;
	room = IOVA_BITMAP_MAX_PAGES * (unsigned long)IOVA_BITMAP_PAGE_BITS -
	       pgoff * BITS_PER_BYTE;
	if (bits >= room) {
		bits = room - 1;
		mapped->span = (room << bitmap->pgshift) - 1;
	} else {
		mapped->span = bitmap->last - iova;
	}
	npages = (pgoff + bits / BITS_PER_BYTE) / PAGE_SIZE + 1;

	ret = iova_bitmap_pin_pages(addr - pgoff, npages, mapped->pages);
	if (ret)
		return ret;

	mapped->iova = iova;
	mapped->skip = pgoff * BITS_PER_BYTE;
	mapped->npages = npages;
	mapped->written = false;
	return 0;
}

/**
 * iova_bitmap_alloc() - allocate an iova_bitmap and pin its first window
 * @iova: first IOVA of the bitmap
 * @length: number of bytes of IOVA that the bitmap covers. The bitmap has one
 *	bit per granule, also for a partial granule at the end. Bytes of @data
 *	without such a bit are not written.
 * @page_size: granule, the number of bytes of IOVA per bit; a power of two
 * @data: the bitmap in memory of the current process, at any byte address (on
 *	big-endian machines a multiple of 8). Bits are set, but never cleared.
 *
 * The caller must call iova_bitmap_free() in the same process.
 *
 * Context: may sleep, takes the mmap lock.
 * Return: the iova_bitmap, or an ERR_PTR():
 *
 * * -EINVAL: @length is 0, @page_size is not a power of two, or @data is not
 *   aligned on a big-endian machine
 * * -EOVERFLOW: the range ends above ULONG_MAX
 * * -EFAULT: the first window of @data is not writable memory
 * * -ENOMEM: out of memory
 * * or another errno of pin_user_pages_fast()
 */
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length,
				      unsigned long page_size,
				      u64 __user *data)
{
	struct iova_bitmap *bitmap;
	unsigned long last;
	int ret;

	if (!length || !is_power_of_2(page_size))
		return ERR_PTR(-EINVAL);
	if (IOVA_BITMAP_SWIZZLE && !IS_ALIGNED((unsigned long)data, sizeof(u64)))
		return ERR_PTR(-EINVAL);
	if (check_add_overflow(iova, length - 1, &last))
		return ERR_PTR(-EOVERFLOW);

	bitmap = kzalloc(sizeof(*bitmap), GFP_KERNEL);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);

	bitmap->pgshift = ilog2(page_size);
	bitmap->bitmap = (u8 __user *)data;
	bitmap->iova = iova;
	bitmap->last = last;
	bitmap->mapped.pages = (struct page **)__get_free_page(GFP_KERNEL);
	if (!bitmap->mapped.pages) {
		ret = -ENOMEM;
		goto err_free;
	}

	ret = iova_bitmap_pin_window(bitmap, iova);
	if (ret)
		goto err_free;
	return bitmap;

err_free:
	iova_bitmap_free(bitmap);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_alloc, IOMMUFD);

/**
 * iova_bitmap_alloc_spill() - allocate an iova_bitmap without user memory
 * @spill: called with each range passed to iova_bitmap_set()
 * @opaque: first argument of @spill
 *
 * For callers that read dirty bits of hardware without a user bitmap. Any
 * thread may call iova_bitmap_set() and iova_bitmap_free(), but not
 * iova_bitmap_for_each().
 *
 * Context: may sleep.
 * Return: the iova_bitmap, or NULL if out of memory.
 */
struct iova_bitmap *iova_bitmap_alloc_spill(iova_bitmap_spill_fn_t spill,
					    void *opaque)
{
	struct iova_bitmap *bitmap = kzalloc(sizeof(*bitmap), GFP_KERNEL);

	if (bitmap)
		iova_bitmap_set_spill(bitmap, spill, opaque);
	return bitmap;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_alloc_spill, IOMMUFD);

/**
 * iova_bitmap_free() - free an iova_bitmap
 * @bitmap: from iova_bitmap_alloc() or iova_bitmap_alloc_spill()
 *
 * Unpins the window that is still pinned, if any.
 *
 * Context: may sleep.
 */
void iova_bitmap_free(struct iova_bitmap *bitmap)
{
	iova_bitmap_unpin_window(bitmap);
	free_page((unsigned long)bitmap->mapped.pages);
	kfree(bitmap);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_free, IOMMUFD);

/**
 * iova_bitmap_set_spill() - set the function for ranges outside of the bitmap
 * @bitmap: from iova_bitmap_alloc()
 * @spill: called with each part of a dirty range that lies outside of the
 *	bitmap, or whose window could not be pinned; may be NULL
 * @opaque: first argument of @spill
 *
 * Context: any; before iova_bitmap_for_each().
 */
void iova_bitmap_set_spill(struct iova_bitmap *bitmap,
			   iova_bitmap_spill_fn_t spill, void *opaque)
{
	bitmap->spill = spill;
	bitmap->spill_opaque = opaque;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_set_spill, IOMMUFD);

/**
 * iova_bitmap_keep_pinned() - keep the last window pinned until free
 * @bitmap: from iova_bitmap_alloc()
 *
 * Unpinning a dirty page takes the lock of its folio, which writeback of a file
 * may hold for a long time. After this call, iova_bitmap_for_each() leaves the
 * last window pinned, and iova_bitmap_free() unpins it. A bitmap of one window
 * can then be walked with locks held.
 *
 * Context: any; before iova_bitmap_for_each().
 */
void iova_bitmap_keep_pinned(struct iova_bitmap *bitmap)
{
	bitmap->keep_pinned = true;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_keep_pinned, IOMMUFD);

/**
 * iova_bitmap_nr_dropped() - count dirty ranges that were lost
 * @bitmap: from iova_bitmap_alloc()
 *
 * A range outside of the bitmap is lost if there is no spill function.
 *
 * Context: any.
 * Return: the number of lost ranges, or parts of ranges, since the allocation.
 */
unsigned long iova_bitmap_nr_dropped(const struct iova_bitmap *bitmap)
{
	return bitmap->nr_dropped;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_nr_dropped, IOMMUFD);

/**
 * iova_bitmap_weight() - count the set bits in the memory of the window
 * @bitmap: from iova_bitmap_alloc(), with a window that is pinned
 *
 * The difference of two calls is the number of bits that were set in between. It reads
 * the whole memory, so it is for statistics only.
 *
 * Context: the thread that walks the bitmap.
 * Return: the number of bits that are set in the pages of the window, including those
 * beside the bits of the window.
 */
u64 iova_bitmap_weight(const struct iova_bitmap *bitmap)
{
	const struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned int i;
	u64 weight = 0;
	void *kaddr;

	for (i = 0; i < mapped->npages; i++) {
		kaddr = kmap_local_page(mapped->pages[i]);
		weight += memweight(kaddr, PAGE_SIZE);
		kunmap_local(kaddr);
	}
	return weight;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_weight, IOMMUFD);

static void iova_bitmap_spill(struct iova_bitmap *bitmap, unsigned long iova,
			      unsigned long last)
{
	if (bitmap->spill) {
		bitmap->spill(bitmap->spill_opaque, iova, last);
		return;
	}
	bitmap->nr_dropped++;
	pr_warn_once("iova_bitmap: lost dirty range %#lx-%#lx outside of the bitmap\n",
		     iova, last);
}

/* Record a range that is not inside the window: split it into parts. */
static noinline void iova_bitmap_set_clipped(struct iova_bitmap *bitmap,
					     unsigned long iova, size_t length)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long mapped_last = mapped->iova + mapped->span;
	unsigned long last;

	if (!length)
		return;
	if (check_add_overflow(iova, length - 1, &last))
		last = ULONG_MAX;

	if (!mapped->npages || last < mapped->iova || iova > mapped_last) {
		iova_bitmap_spill(bitmap, iova, last);
		return;
	}

	if (iova < mapped->iova) {
		iova_bitmap_spill(bitmap, iova, mapped->iova - 1);
		iova = mapped->iova;
	}
	if (last > bitmap->last) {
		iova_bitmap_spill(bitmap, bitmap->last + 1, last);
		last = bitmap->last;
	}
	if (last > mapped_last) {
		bitmap->carry_last = bitmap->carry ?
				     max(bitmap->carry_last, last) : last;
		bitmap->carry = true;
		last = mapped_last;
	}
	iova_bitmap_set_mapped(bitmap, iova - mapped->iova,
			       last - mapped->iova);
}

#ifdef CONFIG_IOVA_BITMAP_FAULT
/*
 * Fault injection: a migration whose kernel loses a dirty bit must be seen to
 * fail. Queries that run at the same time may count wrong.
 */
static unsigned int iova_bitmap_lose_every;
module_param_named(lose_every, iova_bitmap_lose_every, uint, 0644);
MODULE_PARM_DESC(lose_every,
		 "Do not record every Nth range; 0: record all. For tests.");

static bool iova_bitmap_loses(void)
{
	static unsigned int count;
	unsigned int every = READ_ONCE(iova_bitmap_lose_every);

	if (likely(!every))
		return false;
	WRITE_ONCE(count, READ_ONCE(count) + 1);
	return READ_ONCE(count) % every == 0;
}
#else
static inline bool iova_bitmap_loses(void)
{
	return false;
}
#endif

/**
 * iova_bitmap_set() - record that a range of IOVA is dirty
 * @bitmap: from iova_bitmap_alloc() or iova_bitmap_alloc_spill()
 * @iova: first IOVA of the range
 * @length: length of the range in bytes; need not be aligned to the granule of
 *	the bitmap; 0 records nothing
 *
 * Sets the bit of every granule that overlaps the range. Bits of adjacent
 * ranges may be set later, but not after the window is unpinned.
 *
 * The range need not lie inside the window of the running callback:
 *
 * * The part above the window, up to the end of the bitmap, is set in the
 *   following windows.
 * * The part outside of the bitmap, or below the window, goes to the spill
 *   function. If there is none, that part is lost, counts for
 *   iova_bitmap_nr_dropped(), and causes a warning once.
 * * A range that does not overlap the window goes to the spill function whole.
 *
 * Context: any context that allows kmap_local_page(); does not sleep. Only the
 * thread that walks the bitmap.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long offset = iova - mapped->iova;

	if (iova_bitmap_loses())
		return;

	/* Comparing offset and length separately avoids an overflow. */
	if (unlikely(!mapped->npages || offset > mapped->span ||
		     length - 1 > mapped->span - offset)) {
		iova_bitmap_set_clipped(bitmap, iova, length);
		return;
	}

	/* Dirty leaves are often adjacent: collect their ranges in a run. */
	if (offset == mapped->next || mapped->run) {
		iova_bitmap_extend_run(bitmap, offset, offset + length - 1);
		return;
	}
	mapped->next = offset + length;
	iova_bitmap_set_mapped(bitmap, offset, offset + length - 1);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_set, IOMMUFD);

/* Set the bits of a range that started in an earlier window. */
static void iova_bitmap_write_carry(struct iova_bitmap *bitmap)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long offset;

	if (!bitmap->carry)
		return;
	offset = bitmap->carry_last - mapped->iova;
	if (offset <= mapped->span)
		bitmap->carry = false;
	iova_bitmap_set_mapped(bitmap, 0, min(offset, mapped->span));
}

/**
 * iova_bitmap_for_each() - call a function for each window of the bitmap
 * @bitmap: from iova_bitmap_alloc()
 * @opaque: last argument of @fn
 * @fn: called for each window, in ascending order, while the memory of the
 *	window is pinned; calls iova_bitmap_set() for each dirty range
 *
 * After an error, @fn is not called again. If @fn has recorded a range that
 * extends into later windows, its bits are still set there if these windows can
 * be pinned. Bits set before the error remain set. If pinning fails, @fn has
 * not been called for the failing window or a later one.
 *
 * Context: may sleep, takes the mmap lock; process of iova_bitmap_alloc().
 * Return:
 * * 0: success
 * * -EFAULT: a window is not writable memory
 * * or an errno of @fn, or another errno of pin_user_pages_fast()
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long iova = bitmap->iova;
	int ret = 0, pinned;

	for (;;) {
		/* iova_bitmap_alloc() has pinned the first window. */
		if (!mapped->npages || mapped->iova != iova) {
			iova_bitmap_unpin_window(bitmap);
			pinned = iova_bitmap_pin_window(bitmap, iova);
			if (pinned) {
				ret = ret ?: pinned;
				break;
			}
		}
		iova_bitmap_write_carry(bitmap);
		if (!ret)
			ret = fn(bitmap, iova, mapped->span + 1, opaque);
		iova += mapped->span;
		if (bitmap->keep_pinned && iova == bitmap->last)
			iova_bitmap_flush_run(bitmap);
		else
			iova_bitmap_unpin_window(bitmap);
		if (iova++ == bitmap->last || (ret && !bitmap->carry))
			return ret;
		cond_resched();
	}

	if (bitmap->carry)
		iova_bitmap_spill(bitmap, iova, bitmap->carry_last);
	bitmap->carry = false;
	return ret;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_for_each, IOMMUFD);
