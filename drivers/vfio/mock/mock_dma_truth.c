// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The truth log of the mock DMA device
 *
 * The truth log has a bit for each granule of a range of IOVA. The device sets
 * the bit after it has written to the granule. The log does not depend on the
 * IOMMU, VFIO or page sizes, so tests compare the results of dirty tracking
 * with it.
 */
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/byteorder.h>

#include "mock_dma.h"

/**
 * struct mock_dma_truth - a truth log
 * @rcu: for kvfree_rcu()
 * @iova: first IOVA
 * @last: last IOVA, inclusive
 * @shift: log2 of the granule
 * @words: number of words in @bits
 * @bits: the bits; concurrent writers, readers under &mock_dma.truth_lock
 *
 * Owner: the device, from start to stop of the log. Only @bits change.
 */
struct mock_dma_truth {
	struct rcu_head rcu;
	unsigned long iova;
	unsigned long last;
	unsigned int shift;
	unsigned long words;
	atomic_long_t bits[] __counted_by(words);
};

static bool mock_dma_truth_is_valid(const struct vfio_mock_dma_regs *regs)
{
	u64 granule = regs->truth_granule;
	u64 last;

	return is_power_of_2(granule) && regs->truth_length &&
	       IS_ALIGNED(regs->truth_iova, granule) &&
	       IS_ALIGNED(regs->truth_length, granule) &&
	       regs->truth_length / granule <= VFIO_MOCK_DMA_TRUTH_MAX &&
	       !check_add_overflow(regs->truth_iova, regs->truth_length - 1,
				   &last);
}

/**
 * mock_dma_truth_start() - start an empty truth log
 * @md: the device
 *
 * The truth_* registers define the range and the granule.
 *
 * Return:
 * * 0: success
 * * -EINVAL: the registers are not valid
 * * -EBUSY: a truth log is running
 * * -ENOMEM: out of memory
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
int mock_dma_truth_start(struct mock_dma *md)
{
	const struct vfio_mock_dma_regs *regs = &md->regs;
	struct mock_dma_truth *truth;
	unsigned long words;

	lockdep_assert_held(&md->lock);

	if (rcu_access_pointer(md->truth))
		return -EBUSY;
	if (!mock_dma_truth_is_valid(regs))
		return -EINVAL;

	words = DIV_ROUND_UP(regs->truth_length / regs->truth_granule,
			     BITS_PER_LONG);
	truth = kvzalloc(struct_size(truth, bits, words), GFP_KERNEL_ACCOUNT);
	if (!truth)
		return -ENOMEM;
	truth->iova = regs->truth_iova;
	truth->last = regs->truth_iova + (regs->truth_length - 1);
	truth->shift = ilog2(regs->truth_granule);
	truth->words = words;

	guard(mutex)(&md->truth_lock);
	rcu_assign_pointer(md->truth, truth);
	smp_mb(); /* Pairs with mock_dma_log_write() */
	return 0;
}

/**
 * mock_dma_truth_stop() - stop the truth log, if it is running
 * @md: the device
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_dma_truth_stop(struct mock_dma *md)
{
	struct mock_dma_truth *truth;

	lockdep_assert_held(&md->lock);

	guard(mutex)(&md->truth_lock);
	truth = rcu_replace_pointer(md->truth, NULL,
				    lockdep_is_held(&md->truth_lock));
	if (truth)
		kvfree_rcu(truth, rcu);
}

/**
 * mock_dma_truth_mark() - record a write in the truth log
 * @md: the device
 * @iova: first IOVA of the write
 * @last: last IOVA of the write, inclusive
 *
 * Ignores the part of the write outside of the log. The caller has written the
 * memory, and has executed a full barrier after the write.
 *
 * Context: any.
 */
void mock_dma_truth_mark(struct mock_dma *md, unsigned long iova,
			 unsigned long last)
{
	struct mock_dma_truth *truth;

	guard(rcu)();
	truth = rcu_dereference(md->truth);
	if (!truth || last < truth->iova || iova > truth->last)
		return;
	iova = max(iova, truth->iova) - truth->iova;
	last = min(last, truth->last) - truth->iova;
	mock_dma_bits_set(truth->bits, iova >> truth->shift,
			  last >> truth->shift);
}

static void mock_dma_truth_fetch(struct mock_dma_truth *truth, __le64 *words,
				 unsigned long first, unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++) {
		atomic_long_t *word = &truth->bits[first + i];

		words[i] = cpu_to_le64(mock_dma_bits_test_and_clear(word, ~0UL,
								    ~0UL));
	}
}

static void mock_dma_truth_restore(struct mock_dma_truth *truth,
				   const __le64 *words, unsigned long first,
				    unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++)
		atomic_long_or(le64_to_cpu(words[i]), &truth->bits[first + i]);
}

/**
 * mock_dma_truth_read() - read and clear bits of the truth log
 * @md: the device
 * @buf: destination
 * @count: number of bytes, a multiple of 8
 * @offset: first byte of the log to read, a multiple of 8
 *
 * Bits that cannot be copied to @buf stay set in the log.
 *
 * Return: the number of bytes read, which is less than @count at the end of the
 * log and 0 above it, or a negative errno:
 * * -EINVAL: @count or @offset is not aligned, or there is no log
 * * -EFAULT: @buf is not writable memory
 * * -ENOMEM: out of memory
 *
 * Context: process, may fault.
 */
ssize_t mock_dma_truth_read(struct mock_dma *md, char __user *buf,
			    size_t count, u64 offset)
{
	__le64 *words __free(kfree) = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct mock_dma_truth *truth;
	unsigned long index, left, part;
	size_t done;

	if (!words)
		return -ENOMEM;
	if (!IS_ALIGNED(offset | count, sizeof(*words)))
		return -EINVAL;

	guard(mutex)(&md->truth_lock);
	truth = rcu_dereference_protected(md->truth,
					  lockdep_is_held(&md->truth_lock));
	if (!truth)
		return -EINVAL;

	index = min(offset / sizeof(*words), truth->words);
	left = min(count / sizeof(*words), truth->words - index);
	for (done = 0; left; left -= part, index += part) {
		part = min(left, PAGE_SIZE / sizeof(*words));
		mock_dma_truth_fetch(truth, words, index, part);
		if (copy_to_user(buf + done, words, part * sizeof(*words))) {
			mock_dma_truth_restore(truth, words, index, part);
			return done ?: -EFAULT;
		}
		done += part * sizeof(*words);
		cond_resched();
	}
	return done;
}
