// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: DMA logging of the mock DMA device
 *
 * The device logs the memory that it has written, for
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and _REPORT.
 *
 * The log has a bit per unit of 4 KiB for every page size. A write marks all
 * units of its page. So a report may cover part of a page: it clears the units
 * that it covers, and the other units of the page stay marked. A unit that a
 * report covers in part is reported and stays marked.
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

/* Maximum size of a log: 1 TiB, which needs 32 MiB of bits. */
#define UNITS_MAX	BIT(28)

/**
 * struct mock_dma_log_range - a range of a log
 * @iova: first IOVA
 * @last: last IOVA, inclusive
 * @bits: bits of the units that overlap the range
 */
struct mock_dma_log_range {
	unsigned long iova;
	unsigned long last;
	atomic_long_t *bits;
};

/**
 * struct mock_dma_log - state of DMA logging
 * @page_size: page size of the log; a write marks whole pages
 * @bits: memory for the bits of all ranges
 * @nr: number of ranges
 * @ranges: the ranges, in ascending order, without overlap
 *
 * Owner: the device, from start to stop. Only the bits change.
 */
struct mock_dma_log {
	unsigned long page_size;
	atomic_long_t *bits;
	unsigned int nr;
	struct mock_dma_log_range ranges[] __counted_by(nr);
};

/**
 * struct mock_dma_dirty_run - adjacent dirty units that are not yet reported
 * @iova: first IOVA
 * @length: number of bytes; 0 for no unit
 * @emit: function that reports a run
 * @arg: first argument of @emit
 */
struct mock_dma_dirty_run {
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

/* Get the nearest supported page size, or 0 if @page_size is not valid. */
static u64 mock_dma_page_size(u64 page_size)
{
	if (!page_size)
		return PAGE_SIZE;
	if (!is_power_of_2(page_size))
		return 0;
	return clamp_t(u64, page_size, SZ_4K, SZ_1G);
}

/* Copy the ranges. Returns the number of words for their bits, 0 if invalid. */
static unsigned long mock_dma_log_fill(struct mock_dma_log *log,
				       struct rb_root_cached *tree)
{
	struct mock_dma_log_range *range = log->ranges;
	struct interval_tree_node *node;
	unsigned long words = 0;

	for (node = interval_tree_iter_first(tree, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		/* For a range of length 0, last is first - 1. */
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
 * mock_dma_log_start() - start DMA logging
 * @md: the device
 * @ranges: interval tree of the ranges, without overlap
 * @nnodes: number of ranges
 * @page_size: requested page size; set to the nearest supported one, a power of
 *	two from 4 KiB to 1 GiB
 *
 * Return:
 * * 0: success
 * * -EINVAL: logging is running, @page_size is not a power of two, a range is
 *   empty, or the ranges are more than 1 TiB
 * * -ENOMEM: out of memory
 *
 * Context: process; takes &mock_dma.log_lock.
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
	smp_mb(); /* Pairs with mock_dma_log_write() */
	return 0;
}

/**
 * mock_dma_log_stop() - stop DMA logging, if it is running
 * @md: the device
 *
 * Discards unreported dirty units.
 *
 * Context: process; takes &mock_dma.log_lock.
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
 * mock_dma_log_mark() - record a write in the log of DMA logging
 * @md: the device
 * @iova: first IOVA of the write
 * @last: last IOVA of the write, inclusive
 *
 * Ignores the part of the write outside of the logged ranges. The caller has
 * written the memory, and has executed a full barrier after the write.
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

static void mock_dma_dirty_run_flush(struct mock_dma_dirty_run *run)
{
	if (run->length)
		run->emit(run->arg, run->iova, run->length);
	run->length = 0;
}

static void mock_dma_dirty_run_add(struct mock_dma_dirty_run *run,
				   unsigned long iova, unsigned long last)
{
	if (run->length && run->iova + run->length == iova) {
		run->length += last - iova + 1;
		return;
	}
	mock_dma_dirty_run_flush(run);
	run->iova = iova;
	run->length = last - iova + 1;
}

/* Get the mask of the bits of @word that are in @first to @last. */
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
 * Report the dirty units of a range that overlap [@iova, @last], word by word,
 * and clear the bits of units that [@iova, @last] covers. The first and the
 * last unit may be covered in part; their bits stay set then.
 */
static void mock_dma_range_report(const struct mock_dma_log_range *range,
				  unsigned long iova, unsigned long last,
				  struct mock_dma_dirty_run *run)
{
	unsigned long base = range->iova & ~(UNIT - 1);
	unsigned long first_unit = mock_dma_unit(range, iova);
	unsigned long last_unit = mock_dma_unit(range, last);
	unsigned long keep_first = iova != range->iova && iova % UNIT;
	unsigned long keep_last = last != range->last && (last + 1) % UNIT;
	unsigned long word, mask, bits, bit, clear;

	for (word = first_unit / BITS_PER_LONG;
	     word <= last_unit / BITS_PER_LONG; word++) {
		clear = 0;
		if (last_unit - first_unit + 1 > keep_first + keep_last)
			clear = mock_dma_mask(word, first_unit + keep_first,
					      last_unit - keep_last);
		mask = mock_dma_mask(word, first_unit, last_unit);
		bits = mock_dma_bits_test_and_clear(&range->bits[word], mask,
						    clear);
		for_each_set_bit(bit, &bits, BITS_PER_LONG) {
			unsigned long unit = word * BITS_PER_LONG + bit;
			unsigned long start = base + (unit << UNIT_SHIFT);

			mock_dma_dirty_run_add(run, max(start, iova),
					       min(start + UNIT - 1, last));
		}
		if (!(word % SZ_4K))
			cond_resched();
	}
}

/**
 * mock_dma_log_report() - report and clear dirty units of the log
 * @md: the device
 * @iova: first IOVA of the range to report
 * @last: last IOVA of the range, inclusive
 * @emit: called for each run of adjacent dirty units, in ascending order,
 *	clipped to the range
 * @arg: first argument of @emit
 *
 * Reports every write that ended before the call, unless an earlier report has
 * reported it. Units outside of the range stay marked.
 *
 * Return: 0, or -EINVAL if logging is not running.
 *
 * Context: process; takes &mock_dma.log_lock, and calls @emit with it held.
 */
int mock_dma_log_report(struct mock_dma *md, unsigned long iova,
			unsigned long last, mock_dma_emit_t emit, void *arg)
{
	struct mock_dma_dirty_run run = { .emit = emit, .arg = arg };
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
	mock_dma_dirty_run_flush(&run);
	return 0;
}

static int mock_dma_vfio_log_start(struct vfio_device *vdev,
				   struct rb_root_cached *ranges, u32 nnodes,
				   u64 *page_size)
{
	return mock_dma_log_start(to_mock_dma(vdev), ranges, nnodes, page_size);
}

/* A second stop is no error: mock_dma_close() may have stopped logging. */
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
