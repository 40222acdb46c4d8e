// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the workload
 *
 * A thread that writes to memory all the time, as a busy device does. What it
 * writes is a function of the seed and of the number of the write: the same
 * seed on the same range writes the same data to the same places.
 *
 * A word of the data holds the number of its write, multiplied by an odd
 * constant. So a write never stores what an earlier one of the same run left,
 * and a byte that a migration forgot to copy shows.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/time64.h>

#include "mock_dma.h"

/* 2^64 divided by the golden ratio: an odd number with its bits well spread. */
#define SPREAD	0x9e3779b97f4a7c15ULL

/* Words of the longest unit, log2: the number of a word takes so many bits. */
#define WORD_BITS	9

/* A thread that is early sleeps at least so long, to make its wake-ups few. */
#define NAP_NS		(500 * NSEC_PER_USEC)

static_assert(sizeof(u64) << WORD_BITS == MOCK_DMA_UNIT_MAX);

/* A bijection on 64 bit values in which every bit depends on all others. */
static u64 mock_dma_mix(u64 x)
{
	x = (x ^ (x >> 32)) * SPREAD;
	x = (x ^ (x >> 29)) * SPREAD;
	return x ^ (x >> 32);
}

/**
 * mock_dma_sequence_init() - make a sequence of writes from registers
 * @seq: the sequence
 * @regs: registers; those of the workload are used
 *
 * The range must be of whole units and must not wrap. A hot set takes all the
 * writes or leaves units for the others, and is not empty if writes go there.
 *
 * Return: 0, or -EINVAL if the registers are no good.
 * Context: any.
 */
int mock_dma_sequence_init(struct mock_dma_sequence *seq,
			   const struct vfio_mock_dma_regs *regs)
{
	u64 stride = regs->work_stride;
	u64 last;

	if (!is_power_of_2(stride) || stride < sizeof(u64) ||
	    stride > MOCK_DMA_UNIT_MAX)
		return -EINVAL;
	if (!regs->work_length ||
	    !IS_ALIGNED(regs->work_iova | regs->work_length |
			regs->work_hot_length, stride))
		return -EINVAL;
	if (check_add_overflow(regs->work_iova, regs->work_length - 1, &last))
		return -EINVAL;
	if (regs->work_hot_length > regs->work_length ||
	    regs->work_hot_percent > 100)
		return -EINVAL;
	if (!regs->work_hot_length && regs->work_hot_percent)
		return -EINVAL;
	if (regs->work_hot_length == regs->work_length &&
	    regs->work_hot_percent < 100)
		return -EINVAL;

	seq->key = mock_dma_mix(regs->work_seed);
	seq->iova = regs->work_iova;
	seq->shift = ilog2(stride);
	seq->hot = regs->work_hot_length >> seq->shift;
	seq->cold = (regs->work_length >> seq->shift) - seq->hot;
	seq->hot_percent = regs->work_hot_percent;
	return 0;
}

/**
 * mock_dma_sequence_iova() - where a write goes to
 * @seq: the sequence
 * @n: number of the write
 *
 * Return: the IOVA of the first byte of the unit that write @n writes.
 * Context: any.
 */
unsigned long mock_dma_sequence_iova(const struct mock_dma_sequence *seq,
				     u64 n)
{
	u64 set = mock_dma_mix(seq->key + 2 * n * SPREAD);
	u64 where = mock_dma_mix(seq->key + (2 * n + 1) * SPREAD);
	unsigned long unit;

	if ((set >> 32) % 100 < seq->hot_percent)
		unit = mul_u64_u64_shr(where, seq->hot, 64);
	else
		unit = seq->hot + mul_u64_u64_shr(where, seq->cold, 64);
	return seq->iova + (unit << seq->shift);
}

/**
 * mock_dma_sequence_data() - what a write stores
 * @seq: the sequence
 * @n: number of the write
 * @data: where it is put, a whole unit
 *
 * Context: any.
 */
void mock_dma_sequence_data(const struct mock_dma_sequence *seq, u64 n,
			    u64 *data)
{
	unsigned long words = BIT(seq->shift) / sizeof(*data);
	unsigned long i;

	for (i = 0; i < words; i++)
		data[i] = (((n + 1) << WORD_BITS) | i) * SPREAD ^ seq->key;
}

static void mock_dma_work_one(struct mock_dma *md, u64 n)
{
	struct mock_dma_work *work = &md->work;
	const struct mock_dma_sequence *seq = &work->sequence;
	struct iommu_mock_fault fault;

	mock_dma_sequence_data(seq, n, work->data);
	if (mock_dma_write(md, mock_dma_sequence_iova(seq, n), work->data,
			   BIT(seq->shift), &fault))
		mock_dma_note_fault(md, &fault);
	/* A write that is counted is in the logs. */
	smp_store_release(&work->writes, n + 1);
}

/* Sleep until write @n is due, or until the thread shall stop. */
static void mock_dma_work_wait(struct mock_dma_work *work, ktime_t start,
			       u64 n)
{
	u64 due = mul_u64_u64_div_u64(n, NSEC_PER_SEC, work->rate);
	ktime_t until = ktime_add_ns(start, due);

	if (ktime_before(ktime_get(), until)) {
		until = ktime_add_ns(until, NAP_NS);
		set_current_state(TASK_IDLE);
		if (!kthread_should_stop())
			schedule_hrtimeout(&until, HRTIMER_MODE_ABS);
		__set_current_state(TASK_RUNNING);
	}
}

static int mock_dma_work_thread(void *arg)
{
	struct mock_dma *md = arg;
	struct mock_dma_work *work = &md->work;
	ktime_t start = ktime_get();
	u64 n;

	for (n = 0; !kthread_should_stop(); n++) {
		if (work->rate) {
			mock_dma_work_wait(work, start, n);
			if (kthread_should_stop())
				break;
		}
		mock_dma_work_one(md, n);
		cond_resched();
	}
	return 0;
}

/**
 * mock_dma_work_start() - start the workload
 * @md: the device
 *
 * Return: 0; -EBUSY if it runs, -EINVAL if its registers are no good, -ENOMEM
 * or -EINTR if there is no thread to be had.
 * Context: process; the lock of the device is held, the device is open.
 */
int mock_dma_work_start(struct mock_dma *md)
{
	struct mock_dma_work *work = &md->work;
	struct mock_dma_sequence seq;
	struct task_struct *task;
	int rc;

	lockdep_assert_held(&md->lock);

	if (work->task)
		return -EBUSY;
	rc = mock_dma_sequence_init(&seq, &md->regs);
	if (rc)
		return rc;

	work->sequence = seq;
	/* Nothing here writes once a nanosecond: that is no limit either. */
	work->rate = md->regs.work_rate < NSEC_PER_SEC ? md->regs.work_rate : 0;
	task = kthread_create(mock_dma_work_thread, md, "%s",
			      dev_name(md->vdev.dev));
	if (IS_ERR(task))
		return PTR_ERR(task);
	WRITE_ONCE(work->writes, 0);
	work->task = task;
	wake_up_process(task);
	return 0;
}

/**
 * mock_dma_work_stop() - stop the workload, if it runs
 * @md: the device
 *
 * Its last write has ended when this returns.
 *
 * Context: process; the lock of the device is held.
 */
void mock_dma_work_stop(struct mock_dma *md)
{
	lockdep_assert_held(&md->lock);

	if (!md->work.task)
		return;
	kthread_stop(md->work.task);
	md->work.task = NULL;
}
