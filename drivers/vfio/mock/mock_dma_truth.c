// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the truth log
 *
 * A bit for every granule of a range of IOVA, set behind each write that the
 * device made there. It knows nothing of IOMMU, VFIO or page sizes, which is
 * why tests hold the answers of these against it.
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
 * struct mock_dma_truth - one truth log
 * @rcu: for freeing it
 * @iova: first byte
 * @last: last byte, inclusive
 * @shift: log2 of the bytes for a bit
 * @words: how many @bits there are
 * @bits: the bits; any number of writers, readers under the truth lock
 *
 * Owner: the device, from start to end of the log. Only @bits ever change.
 */
struct mock_dma_truth {
	struct rcu_head rcu;
	unsigned long iova;
	unsigned long last;
	unsigned int shift;
	unsigned long words;
	atomic_long_t bits[] __counted_by(words);
};

static bool mock_dma_truth_is_good(const struct vfio_mock_dma_regs *regs)
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
 * Where, how long and how fine is in the registers.
 *
 * Return: 0; -EINVAL for registers that are no good, -EBUSY if there is one,
 * -ENOMEM.
 * Context: process; the lock of the device is held.
 */
int mock_dma_truth_start(struct mock_dma *md)
{
	const struct vfio_mock_dma_regs *regs = &md->regs;
	struct mock_dma_truth *truth;
	unsigned long words;

	lockdep_assert_held(&md->lock);

	if (rcu_access_pointer(md->truth))
		return -EBUSY;
	if (!mock_dma_truth_is_good(regs))
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
	smp_mb(); /* Pairs with mock_dma_wrote() */
	return 0;
}

/**
 * mock_dma_truth_end() - end the truth log, if there is one
 * @md: the device
 *
 * Context: process; the lock of the device is held.
 */
void mock_dma_truth_end(struct mock_dma *md)
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
 * mock_dma_truth_mark() - note that a range was written
 * @md: the device
 * @iova: first byte
 * @last: last byte, inclusive
 *
 * What is outside the log is left out. The memory must have been written
 * already, with a full barrier behind it.
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

static void mock_dma_truth_take(struct mock_dma_truth *truth, __le64 *words,
				unsigned long first, unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++)
		words[i] = cpu_to_le64(mock_dma_bits_take(&truth->bits[first + i],
							  ~0UL, ~0UL));
}

static void mock_dma_truth_put_back(struct mock_dma_truth *truth,
				    const __le64 *words, unsigned long first,
				    unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++)
		atomic_long_or(le64_to_cpu(words[i]), &truth->bits[first + i]);
}

/**
 * mock_dma_truth_read() - show bits of the truth log and clear them
 * @md: the device
 * @buf: where to
 * @count: bytes, a multiple of 8
 * @offset: byte of the log to begin with, a multiple of 8
 *
 * Bits that could not be copied to @buf stay in the log.
 *
 * Return: bytes read, which are fewer than @count at the end of the log, and 0
 * behind it; -EINVAL if not aligned or if there is no log, -EFAULT, -ENOMEM.
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
		mock_dma_truth_take(truth, words, index, part);
		if (copy_to_user(buf + done, words, part * sizeof(*words))) {
			mock_dma_truth_put_back(truth, words, index, part);
			return done ?: -EFAULT;
		}
		done += part * sizeof(*words);
		cond_resched();
	}
	return done;
}
