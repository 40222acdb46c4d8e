// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: DMA logging
 *
 * The device tells by itself which memory it wrote, as
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_START and its relatives ask for.
 *
 * Bits are kept for units of 4 KiB, whatever page size was agreed on: a write
 * marks all units of the page that it is in. So a report may cover a part of a
 * page; it clears the units that it tells of and the others stay. A unit that
 * a report covers in part only is told and stays, too.
 */
#include <linux/cleanup.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "mock_dma.h"

#define UNIT_SHIFT	12
#define UNIT		BIT(UNIT_SHIFT)

/* What one log may cover: a TiB, which takes 32 MiB. */
#define UNITS_MAX	BIT(28)

/**
 * struct mock_dma_log_range - one range that is logged
 * @iova: first byte
 * @last: last byte, inclusive
 * @bits: a bit for every unit that the range touches
 */
struct mock_dma_log_range {
	unsigned long iova;
	unsigned long last;
	atomic_long_t *bits;
};

/**
 * struct mock_dma_log - DMA logging that was started
 * @page_size: bytes that a write marks at least
 * @bits: memory for the bits of all ranges
 * @nr: how many ranges
 * @ranges: in ascending order, without overlap
 *
 * Owner: the device, from start to stop. Only the bits ever change.
 */
struct mock_dma_log {
	unsigned long page_size;
	atomic_long_t *bits;
	unsigned int nr;
	struct mock_dma_log_range ranges[] __counted_by(nr);
};

/**
 * struct mock_dma_run - dirty memory on the way to whoever asked
 * @iova: first byte
 * @length: bytes; 0 if there is none on the way
 * @emit: where it goes
 * @arg: first argument of @emit
 */
struct mock_dma_run {
	unsigned long iova;
	unsigned long length;
	mock_dma_emit_t emit;
	void *arg;
};

static unsigned long mock_dma_unit(const struct mock_dma_log_range *range,
				   unsigned long iova)
{
	return (iova >> UNIT_SHIFT) - (range->iova >> UNIT_SHIFT);
}

static unsigned long mock_dma_range_words(const struct mock_dma_log_range *range)
{
	return mock_dma_unit(range, range->last) / BITS_PER_LONG + 1;
}

static void mock_dma_log_free(struct mock_dma_log *log)
{
	if (!log)
		return;
	kvfree(log->bits);
	kfree(log);
}

DEFINE_FREE(mock_dma_log, struct mock_dma_log *, mock_dma_log_free(_T))

/* The page size that comes closest, 0 if what was asked for is none. */
static u64 mock_dma_page_size(u64 page_size)
{
	if (!page_size)
		return PAGE_SIZE;
	if (!is_power_of_2(page_size))
		return 0;
	return clamp_t(u64, page_size, SZ_4K, SZ_1G);
}

/* Copy the ranges. Returns how many words of bits they take, 0 if too many. */
static unsigned long mock_dma_log_fill(struct mock_dma_log *log,
				       struct rb_root_cached *tree)
{
	struct mock_dma_log_range *range = log->ranges;
	struct interval_tree_node *node;
	unsigned long words = 0;

	for (node = interval_tree_iter_first(tree, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		/* A length of 0 comes as a last byte in front of the first. */
		if (range == log->ranges + log->nr || node->last < node->start ||
		    node->last - node->start == ULONG_MAX)
			return 0;
		range->iova = node->start;
		range->last = node->last;
		words += mock_dma_range_words(range++);
		if (words > UNITS_MAX / BITS_PER_LONG + log->nr)
			return 0;
	}
	return range == log->ranges + log->nr ? words : 0;
}

static struct mock_dma_log *mock_dma_log_alloc(struct rb_root_cached *tree,
					       u32 nnodes, u64 page_size)
{
	struct mock_dma_log *log __free(mock_dma_log) = NULL;
	unsigned long words, i;
	atomic_long_t *bits;

	log = kzalloc(struct_size(log, ranges, nnodes), GFP_KERNEL_ACCOUNT);
	if (!log)
		return ERR_PTR(-ENOMEM);
	log->page_size = page_size;
	log->nr = nnodes;

	words = mock_dma_log_fill(log, tree);
	if (!words)
		return ERR_PTR(-EINVAL);
	log->bits = kvcalloc(words, sizeof(*log->bits), GFP_KERNEL_ACCOUNT);
	if (!log->bits)
		return ERR_PTR(-ENOMEM);
	bits = log->bits;
	for (i = 0; i < log->nr; i++) {
		log->ranges[i].bits = bits;
		bits += mock_dma_range_words(&log->ranges[i]);
	}
	return no_free_ptr(log);
}

/**
 * mock_dma_log_start() - start logging
 * @md: the device
 * @ranges: interval tree of the ranges, without overlap
 * @nnodes: how many there are
 * @page_size: what a bit shall stand for; gives back what it will stand for: a
 *	power of two from 4 KiB to 1 GiB, the nearest one
 *
 * Return: 0; -EINVAL if logging is on, for a page size that is no power of
 * two, an empty range, or more than a TiB; -ENOMEM.
 * Context: process; takes the log lock.
 */
int mock_dma_log_start(struct mock_dma *md, struct rb_root_cached *ranges,
		       u32 nnodes, u64 *page_size)
{
	u64 size = mock_dma_page_size(*page_size);
	struct mock_dma_log *log;

	if (!size)
		return -EINVAL;

	guard(mutex)(&md->log_lock);
	if (rcu_access_pointer(md->log))
		return -EINVAL;
	log = mock_dma_log_alloc(ranges, nnodes, size);
	if (IS_ERR(log))
		return PTR_ERR(log);
	*page_size = size;
	rcu_assign_pointer(md->log, log);
	smp_mb(); /* Pairs with mock_dma_wrote() */
	return 0;
}

/**
 * mock_dma_log_stop() - stop logging, if it is on
 * @md: the device
 *
 * What was not reported is gone.
 *
 * Context: process; takes the log lock.
 */
void mock_dma_log_stop(struct mock_dma *md)
{
	struct mock_dma_log *log;

	guard(mutex)(&md->log_lock);
	log = rcu_replace_pointer(md->log, NULL,
				  lockdep_is_held(&md->log_lock));
	if (!log)
		return;
	synchronize_rcu();
	mock_dma_log_free(log);
}

/**
 * mock_dma_log_mark() - note that a range was written
 * @md: the device
 * @iova: first byte
 * @last: last byte, inclusive
 *
 * Nothing is noted outside the ranges that are logged. The memory must have
 * been written already, with a full barrier behind it.
 *
 * Context: any.
 */
void mock_dma_log_mark(struct mock_dma *md, unsigned long iova,
		       unsigned long last)
{
	struct mock_dma_log_range *range;
	struct mock_dma_log *log;
	unsigned long page_mask;

	guard(rcu)();
	log = rcu_dereference(md->log);
	if (!log)
		return;
	page_mask = log->page_size - 1;
	for (range = log->ranges; range < log->ranges + log->nr; range++) {
		if (last < range->iova)
			return;
		if (iova > range->last)
			continue;
		mock_dma_bits_set(range->bits,
				  mock_dma_unit(range, max(iova & ~page_mask,
							   range->iova)),
				  mock_dma_unit(range, min(last | page_mask,
							   range->last)));
	}
}

static void mock_dma_run_end(struct mock_dma_run *run)
{
	if (run->length)
		run->emit(run->arg, run->iova, run->length);
	run->length = 0;
}

static void mock_dma_run_add(struct mock_dma_run *run, unsigned long iova,
			     unsigned long last)
{
	if (run->length && run->iova + run->length == iova) {
		run->length += last - iova + 1;
		return;
	}
	mock_dma_run_end(run);
	run->iova = iova;
	run->length = last - iova + 1;
}

/* Mask of those bits of @word that are in @first to @last. */
static unsigned long mock_dma_mask(unsigned long word, unsigned long first,
				   unsigned long last)
{
	unsigned long base = word * BITS_PER_LONG;

	if (first > last || last < base || first >= base + BITS_PER_LONG)
		return 0;
	return GENMASK(min(last - base, BITS_PER_LONG - 1),
		       max(first, base) - base);
}

/*
 * Tell of the units of one range that [@iova, @last] touches, a word at a
 * time. The bits to clear are those of units that it covers as far as the
 * range goes; without the first and last unit that is all but them.
 */
static void mock_dma_range_report(const struct mock_dma_log_range *range,
				  unsigned long iova, unsigned long last,
				  struct mock_dma_run *run)
{
	unsigned long base = range->iova & ~(UNIT - 1);
	unsigned long first_unit = mock_dma_unit(range, iova);
	unsigned long last_unit = mock_dma_unit(range, last);
	unsigned long keep_first = iova != range->iova && iova % UNIT;
	unsigned long keep_last = last != range->last && (last + 1) % UNIT;
	unsigned long word, bits, bit, clear;

	for (word = first_unit / BITS_PER_LONG;
	     word <= last_unit / BITS_PER_LONG; word++) {
		clear = 0;
		if (last_unit - first_unit + 1 > keep_first + keep_last)
			clear = mock_dma_mask(word, first_unit + keep_first,
					      last_unit - keep_last);
		bits = mock_dma_bits_take(&range->bits[word],
					  mock_dma_mask(word, first_unit, last_unit),
					  clear);
		for_each_set_bit(bit, &bits, BITS_PER_LONG) {
			unsigned long unit = word * BITS_PER_LONG + bit;
			unsigned long start = base + (unit << UNIT_SHIFT);

			mock_dma_run_add(run, max(start, iova),
					 min(start + UNIT - 1, last));
		}
		if (!(word % SZ_4K))
			cond_resched();
	}
}

/**
 * mock_dma_log_report() - tell what was written and forget it
 * @md: the device
 * @iova: first byte asked for
 * @last: last byte, inclusive
 * @emit: called for each run of written memory, ascending, within the range
 * @arg: first argument of @emit
 *
 * Every write that was made before this was called is told, unless an earlier
 * report told it. What is logged outside the range stays.
 *
 * Return: 0, or -EINVAL if logging is off.
 * Context: process; takes the log lock, under which @emit is called.
 */
int mock_dma_log_report(struct mock_dma *md, unsigned long iova,
			unsigned long last, mock_dma_emit_t emit, void *arg)
{
	struct mock_dma_run run = { .emit = emit, .arg = arg };
	struct mock_dma_log_range *range;
	struct mock_dma_log *log;

	guard(mutex)(&md->log_lock);
	log = rcu_dereference_protected(md->log,
					lockdep_is_held(&md->log_lock));
	if (!log)
		return -EINVAL;
	for (range = log->ranges; range < log->ranges + log->nr; range++) {
		if (last < range->iova || iova > range->last)
			continue;
		mock_dma_range_report(range, max(iova, range->iova),
				      min(last, range->last), &run);
	}
	mock_dma_run_end(&run);
	return 0;
}

static int mock_dma_vfio_log_start(struct vfio_device *vdev,
				   struct rb_root_cached *ranges, u32 nnodes,
				   u64 *page_size)
{
	return mock_dma_log_start(to_mock_dma(vdev), ranges, nnodes, page_size);
}

/* Stopping twice is no error: closing the device may have been first. */
static int mock_dma_vfio_log_stop(struct vfio_device *vdev)
{
	mock_dma_log_stop(to_mock_dma(vdev));
	return 0;
}

static void mock_dma_emit_bitmap(void *arg, unsigned long iova, size_t length)
{
	iova_bitmap_set(arg, iova, length);
}

static int mock_dma_vfio_log_report(struct vfio_device *vdev,
				    unsigned long iova, unsigned long length,
				    struct iova_bitmap *dirty)
{
	if (!length)
		return -EINVAL;
	return mock_dma_log_report(to_mock_dma(vdev), iova, iova + (length - 1),
				   mock_dma_emit_bitmap, dirty);
}

const struct vfio_log_ops mock_dma_log_ops = {
	.log_start = mock_dma_vfio_log_start,
	.log_stop = mock_dma_vfio_log_stop,
	.log_read_and_clear = mock_dma_vfio_log_report,
};
