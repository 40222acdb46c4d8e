// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty IOVA ranges as bits in a caller's memory.
 */
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include <kunit/static_stub.h>

#include "iova_bitmap.h"

/**
 * DOC: idea
 *
 * A live migration asks which memory a device wrote and passes a bitmap to be
 * filled: bit ``n % 64`` of 64 bit word ``n / 64`` stands for the ``n``-th
 * granule, where ``n = (IOVA - first IOVA) / granule``. Whoever knows the
 * answer, an IOMMU driver reading its page table or a device reading its own
 * log, forgets what it tells by telling it. So there must be no moment at
 * which an answer was taken from the hardware and cannot be written down.
 *
 * The bitmap is therefore walked in windows. The memory behind a window is
 * pinned, writable, *before* the callback is asked for that part of the IOVA
 * range, and unpinned after it; recording an answer is then nothing but
 * setting bits through a kernel mapping, which neither fails nor sleeps. A
 * window that cannot be pinned whole ends the walk with nothing lost, since
 * nobody was asked.
 *
 * An answer may still reach past the window, because hardware has one dirty
 * bit for a huge page. What reaches into the next window is carried there.
 * What lies outside the whole bitmap goes to the owner's spill function, to be
 * told by a later query.
 */

/**
 * DOC: windows
 *
 * The page pointers of a window fill one kernel page: 512 pointers of 8 bytes
 * where a page has 4 KiB, hence at most 512 pages or 2 MiB of bitmap, which at
 * a granule of 4 KiB tell about 64 GiB of IOVA. A query over 4 GiB to 128 GiB
 * is two windows, 4 GiB to 68 GiB and 68 GiB to 128 GiB. A bitmap may start at
 * any byte address; where that is inside a page, the first window is shorter
 * by the bytes in front of it. The cost in memory is one page for each bitmap,
 * however large.
 */

#define IOVA_BITMAP_MAX_PAGES	((unsigned int)(PAGE_SIZE / sizeof(struct page *)))
#define IOVA_BITMAP_PAGE_BITS	((unsigned int)(PAGE_SIZE * BITS_PER_BYTE))

/* From this many bytes on a call to memset() is cheaper than a loop. */
#define IOVA_BITMAP_MEMSET	256

/*
 * struct iova_bitmap_window - the part of the bitmap that is pinned
 *
 * Inner part of struct iova_bitmap. Nothing is pinned while @npages is 0, and
 * the other members then mean nothing but @run, which is false, and @pages, which
 * lives as long as the bitmap does.
 */
struct iova_bitmap_window {
	/* First IOVA, and the distance from it to the last one */
	unsigned long iova;
	unsigned long span;
	/* Bits of pages[0] in front of the bit for @iova */
	unsigned int skip;
	unsigned int npages;
	/* Whether a bit was set, so that the pages must be marked dirty */
	bool written;
	/*
	 * Whether offsets @run_first to @next - 1 are still to be written. What
	 * is told next would go on at @next, which cannot wrap: a bitmap has
	 * less than 2^64 bytes of IOVA.
	 */
	bool run;
	unsigned long run_first;
	unsigned long next;
	struct page **pages;
};

/*
 * struct iova_bitmap - a caller's bitmap over a range of IOVA
 *
 * Owner: whoever called iova_bitmap_alloc(), for the time of one query.
 * Locks: none. One thread walks and sets; two queries at a time need two
 * objects, and memory that does not overlap, as bits are not set atomically.
 */
struct iova_bitmap {
	struct iova_bitmap_window mapped;
	unsigned int pgshift;
	/* Whether @carry_last is the end of a range to go on with */
	bool carry;
	unsigned long carry_last;

	u8 __user *bitmap;
	unsigned long iova;
	unsigned long last;

	iova_bitmap_spill_fn_t spill;
	void *spill_opaque;
	unsigned long nr_dropped;
};

/*
 * On little-endian machines the bit of word n / 64 is that of byte n / 8, and
 * bytes are what is written: a word at the edge may hold bytes that are not
 * the bitmap's. On big-endian ones the bytes of a word run the other way.
 */
#define IOVA_BITMAP_SWIZZLE \
	(IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? sizeof(u64) - 1 : 0)

/**
 * iova_bitmap_pin() - pin the memory of a window, all of it or nothing
 * @addr: user address of its first byte
 * @npages: pages from there on
 * @pages: takes the pages
 *
 * Return: 0, -EFAULT where a page cannot be written, or what else
 * pin_user_pages_fast() says.
 */
VISIBLE_IF_KUNIT int iova_bitmap_pin(unsigned long addr, unsigned int npages,
				     struct page **pages)
{
	unsigned int done = 0;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(iova_bitmap_pin, addr, npages, pages);

	/* A short count says no reason; the next try starts at the culprit. */
	while (done < npages) {
		ret = pin_user_pages_fast(addr + done * PAGE_SIZE,
					  npages - done, FOLL_WRITE,
					  pages + done);
		if (ret <= 0) {
			unpin_user_pages(pages, done);
			return ret ?: -EFAULT;
		}
		done += ret;
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iova_bitmap_pin);

/* Whole bytes; @stop is the first one that is not. */
static __always_inline void iova_bitmap_fill_bytes(u8 *p, u8 *stop)
{
	if (stop - p >= IOVA_BITMAP_MEMSET) {
		memset(p, 0xff, stop - p);
		return;
	}
	/* The last word may reach into bytes behind, which are full as well. */
	for (; p < stop; p += sizeof(u64)) {
		/* Or the compiler calls memset() after all. */
		OPTIMIZER_HIDE_VAR(p);
		put_unaligned(~0ULL, (u64 *)p);
	}
}

/* Whole words, of which a huge page has eight. */
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
		/* Or the compiler calls memset() after all. */
		OPTIMIZER_HIDE_VAR(p);
		*p = ~0ULL;
	}
}

/* A run of several bytes on a machine whose words run the other way. */
static void iova_bitmap_fill_swizzled(u8 *kaddr, unsigned int byte,
				      unsigned int end, u8 head, u8 tail)
{
	kaddr[byte ^ IOVA_BITMAP_SWIZZLE] |= head;
	while (++byte < end)
		kaddr[byte ^ IOVA_BITMAP_SWIZZLE] = 0xff;
	kaddr[end ^ IOVA_BITMAP_SWIZZLE] |= tail;
}

/*
 * Set bits @first to @last of the page that is mapped at @kaddr.
 *
 * 512 bits is a huge page, and all in between happens: each has a path without
 * a loop over bits, and none touches a byte outside of the run.
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
	 * A word from the first byte on and one up to the last byte, wherever
	 * these are. They may overlap, but neither reaches the other's partial
	 * byte.
	 */
	kaddr += byte;
	stop = kaddr + (end - byte) + 1 - sizeof(u64);
	put_unaligned(get_unaligned((u64 *)kaddr) | ~0ULL << head,
		      (u64 *)kaddr);
	put_unaligned(get_unaligned((u64 *)stop) | ~0ULL >> tail, (u64 *)stop);
	iova_bitmap_fill_bytes(kaddr + sizeof(u64), stop);
}

/* Set bits of the pinned pages, counted from the first page's, in pieces. */
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

/* More than one bit: within a page, as nearly always, or not. */
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

/* Set the bits for a range inside of the window, as offsets from its IOVA. */
static __always_inline void iova_bitmap_set_mapped(struct iova_bitmap *bitmap,
						   unsigned long offset,
						   unsigned long last)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned int bit, end;
	u8 *kaddr;

	/* A window has at most 2^24 bits, however far its offsets go. */
	bit = mapped->skip + (offset >> bitmap->pgshift);
	end = mapped->skip + (last >> bitmap->pgshift);
	mapped->written = true;
	if (bit != end) {
		iova_bitmap_set_run(mapped, bit, end);
		return;
	}

	/* One bit is what a device with 4 KiB pages reports all the time. */
	kaddr = kmap_local_page(mapped->pages[bit / IOVA_BITMAP_PAGE_BITS]);
	kaddr[bit % IOVA_BITMAP_PAGE_BITS / BITS_PER_BYTE ^
	      IOVA_BITMAP_SWIZZLE] |= BIT(bit % BITS_PER_BYTE);
	kunmap_local(kaddr);
}

/* Write the run of ranges that went on from each other, if there is one. */
static void iova_bitmap_end_run(struct iova_bitmap *bitmap)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;

	if (!mapped->run)
		return;
	mapped->run = false;
	iova_bitmap_set_mapped(bitmap, mapped->run_first, mapped->next - 1);
}

/* A range that goes on from the one before, or the first that does not. */
static noinline void iova_bitmap_set_next(struct iova_bitmap *bitmap,
					  unsigned long offset,
					  unsigned long last)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;

	if (offset != mapped->next) {
		iova_bitmap_end_run(bitmap);
		iova_bitmap_set_mapped(bitmap, offset, last);
	} else if (!mapped->run) {
		mapped->run = true;
		mapped->run_first = offset;
	}
	mapped->next = last + 1;
}

static void iova_bitmap_put_window(struct iova_bitmap *bitmap)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;

	if (!mapped->npages)
		return;
	iova_bitmap_end_run(bitmap);

	/*
	 * The bits were written through the kernel's mapping, which leaves no
	 * trace in the caller's page table: unless told so, reclaim may drop a
	 * page that it believes to be clean, and the bits with it.
	 */
	unpin_user_pages_dirty_lock(mapped->pages, mapped->npages,
				    mapped->written);
	mapped->npages = 0;
}

/* Pin the window that starts with the granule at @iova. */
static int iova_bitmap_get_window(struct iova_bitmap *bitmap,
				  unsigned long iova)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long first, bits, room, addr;
	unsigned int npages, pgoff;
	int ret;

	first = (iova - bitmap->iova) >> bitmap->pgshift;
	addr = (unsigned long)bitmap->bitmap + first / BITS_PER_BYTE;
	pgoff = offset_in_page(addr);

	/* As a last bit, not a number of bits: that may be one too many. */
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

	ret = iova_bitmap_pin(addr - pgoff, npages, mapped->pages);
	if (ret)
		return ret;

	mapped->iova = iova;
	mapped->skip = pgoff * BITS_PER_BYTE;
	mapped->npages = npages;
	mapped->written = false;
	return 0;
}

/**
 * iova_bitmap_alloc() - begin to fill a caller's bitmap
 * @iova: IOVA that the first bit stands for
 * @length: bytes of IOVA that the bitmap covers; it has a bit for each started
 *	granule, and no byte more than these bits need is ever written
 * @page_size: bytes of IOVA to a bit, any power of two
 * @data: the bitmap in the current process' memory, at any byte address (on
 *	big-endian machines a multiple of 8). Bits are set there, none is
 *	cleared.
 *
 * The memory of the first window is pinned. iova_bitmap_free() must run in the
 * same process.
 *
 * Context: may sleep, takes the mmap lock.
 * Return: the object, or an ERR_PTR():
 *
 * * -EINVAL: @length is zero, @page_size no power of two, or @data misaligned
 *   for a big-endian machine
 * * -EOVERFLOW: the range goes on past the last IOVA
 * * -EFAULT: the first window of @data is not writable memory
 * * -ENOMEM: out of memory
 * * what else pin_user_pages_fast() may say
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

	ret = iova_bitmap_get_window(bitmap, iova);
	if (ret)
		goto err_free;
	return bitmap;

err_free:
	iova_bitmap_free(bitmap);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_alloc, IOMMUFD);

/**
 * iova_bitmap_alloc_spill() - begin to keep what there is no bitmap for
 * @spill: is called with each range that iova_bitmap_set() is
 * @opaque: handed to @spill
 *
 * For who asks the hardware but has no caller to tell. Any thread may set and
 * free; there is nothing to walk.
 *
 * Context: may sleep.
 * Return: the object, or NULL.
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
 * iova_bitmap_free() - end the use of a bitmap
 * @bitmap: from iova_bitmap_alloc() or iova_bitmap_alloc_spill(); gone afterwards
 *
 * Unpins what may still be pinned.
 *
 * Context: may sleep.
 */
void iova_bitmap_free(struct iova_bitmap *bitmap)
{
	iova_bitmap_put_window(bitmap);
	free_page((unsigned long)bitmap->mapped.pages);
	kfree(bitmap);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_free, IOMMUFD);

/**
 * iova_bitmap_set_spill() - say who takes what the bitmap cannot
 * @bitmap: from iova_bitmap_alloc()
 * @spill: is called with each part of a dirty range that lies outside of the
 *	bitmap, or whose window could not be pinned; NULL for nobody
 * @opaque: handed to @spill
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
 * iova_bitmap_nr_dropped() - how many ranges found neither bits nor a taker
 * @bitmap: from iova_bitmap_alloc()
 *
 * Context: any.
 * Return: the number of ranges, or parts of one, since the allocation.
 */
unsigned long iova_bitmap_nr_dropped(const struct iova_bitmap *bitmap)
{
	return bitmap->nr_dropped;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_nr_dropped, IOMMUFD);

static void iova_bitmap_spill(struct iova_bitmap *bitmap, unsigned long iova,
			      unsigned long last)
{
	if (bitmap->spill) {
		bitmap->spill(bitmap->spill_opaque, iova, last);
		return;
	}
	bitmap->nr_dropped++;
	pr_warn_once("iova_bitmap: dirty range %#lx-%#lx is outside of the bitmap and nobody keeps it\n",
		     iova, last);
}

/* A range that is not inside of the window: find a place for each part. */
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

/**
 * iova_bitmap_set() - record that a range of IOVA is dirty
 * @bitmap: from iova_bitmap_alloc()
 * @iova: first byte of the range, as an absolute IOVA
 * @length: bytes of the range; the caller's own granule may be smaller or
 *	larger than a bit's, and zero bytes are none
 *
 * Sets the bit of every granule that the range touches, at the latest when its
 * window is left: ranges that go on from each other are written as one. Any
 * range is good:
 * what reaches past the window of the running callback is written with the
 * next window, and what is outside of the bitmap, or nowhere near the window,
 * goes to the spill function. Without one it is lost, counted, and a warning
 * is logged once.
 *
 * Context: any in which the page of a pinned user buffer may be mapped; does
 * not sleep. The bitmap's thread only.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long offset = iova - mapped->iova;

	/* Offset and length together cannot wrap once both were compared. */
	if (unlikely(!mapped->npages || offset > mapped->span ||
		     length - 1 > mapped->span - offset)) {
		iova_bitmap_set_clipped(bitmap, iova, length);
		return;
	}

	/* Leaves that were written in a row are told in a row. */
	if (offset == mapped->next || mapped->run) {
		iova_bitmap_set_next(bitmap, offset, offset + length - 1);
		return;
	}
	mapped->next = offset + length;
	iova_bitmap_set_mapped(bitmap, offset, offset + length - 1);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_set, IOMMUFD);

/* Write down what the window before this one had to leave. */
static void iova_bitmap_take_carry(struct iova_bitmap *bitmap)
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
 * iova_bitmap_for_each() - ask for the whole bitmap, a window at a time
 * @bitmap: from iova_bitmap_alloc()
 * @opaque: handed to @fn
 * @fn: is asked for one window after the other, in ascending order, each
 *	while its memory is pinned; records with iova_bitmap_set()
 *
 * After an error no more is asked, but what was already told of a later window
 * is still written there, if it can be.
 *
 * Context: may sleep, takes the mmap lock; process of iova_bitmap_alloc().
 * Return: 0, the errno of @fn, -EFAULT for a window that is not writable
 * memory, or what else pin_user_pages_fast() says. Bits set before an error
 * remain; for no IOVA from the failing window on was @fn asked, if pinning
 * was what failed.
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn)
{
	struct iova_bitmap_window *mapped = &bitmap->mapped;
	unsigned long iova = bitmap->iova;
	int ret = 0, pinned;

	for (;;) {
		/* The first window may still be pinned from the allocation. */
		if (!mapped->npages || mapped->iova != iova) {
			iova_bitmap_put_window(bitmap);
			pinned = iova_bitmap_get_window(bitmap, iova);
			if (pinned) {
				ret = ret ?: pinned;
				break;
			}
		}
		iova_bitmap_take_carry(bitmap);
		if (!ret)
			ret = fn(bitmap, iova, mapped->span + 1, opaque);
		iova += mapped->span;
		iova_bitmap_put_window(bitmap);
		if (iova++ == bitmap->last || (ret && !bitmap->carry))
			return ret;
	}

	if (bitmap->carry)
		iova_bitmap_spill(bitmap, iova, bitmap->carry_last);
	bitmap->carry = false;
	return ret;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_for_each, IOMMUFD);
