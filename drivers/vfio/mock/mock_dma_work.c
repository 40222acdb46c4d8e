// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The workload of the mock DMA device
 *
 * The workload is a thread that writes memory continuously, as a busy device
 * does. Address and data of a write are a function of the seed and the number
 * of the write, so the same seed and range give the same sequence of writes.
 *
 * Each word of the data depends on the number of the write, by a bijection. So
 * each write changes every word that an earlier write of the same run has
 * stored, and a comparison finds each word that a migration did not copy.
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

/* 2^64 divided by the golden ratio: odd, with well distributed bits. */
#define MIX_MULTIPLIER	0x9e3779b97f4a7c15ULL

/* log2 of the number of words in the longest unit: bits of a word's number. */
#define WORD_BITS	9

/* Minimum time that a thread with a rate limit sleeps, to limit wakeups. */
#define MIN_SLEEP_NS		(500 * NSEC_PER_USEC)

static_assert(sizeof(u64) << WORD_BITS == MOCK_DMA_UNIT_MAX);

/* A bijection on 64 bit values whose result bits depend on all bits of @x. */
static u64 mock_dma_mix(u64 x)
{
	x = (x ^ (x >> 32)) * MIX_MULTIPLIER;
	x = (x ^ (x >> 29)) * MIX_MULTIPLIER;
	return x ^ (x >> 32);
}

/**
 * mock_dma_sequence_init() - initialize a sequence of writes from registers
 * @seq: the sequence
 * @regs: the registers; the work_* registers define the sequence
 *
 * The range must consist of whole units and must not wrap. The hot set must not
 * be empty if any writes go there, and must not be the whole range if any do
 * not.
 *
 * Return: 0, or -EINVAL if the registers are not valid.
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
 * mock_dma_sequence_iova() - get the IOVA of a write
 * @seq: the sequence
 * @n: number of the write
 *
 * Return: the first IOVA of the unit that write @n writes.
 * Context: any.
 */
unsigned long mock_dma_sequence_iova(const struct mock_dma_sequence *seq,
				     u64 n)
{
	u64 set = mock_dma_mix(seq->key + 2 * n * MIX_MULTIPLIER);
	u64 where = mock_dma_mix(seq->key + (2 * n + 1) * MIX_MULTIPLIER);
	unsigned long unit;

	if ((set >> 32) % 100 < seq->hot_percent)
		unit = mul_u64_u64_shr(where, seq->hot, 64);
	else
		unit = seq->hot + mul_u64_u64_shr(where, seq->cold, 64);
	return seq->iova + (unit << seq->shift);
}

/**
 * mock_dma_sequence_data() - get the data of a write
 * @seq: the sequence
 * @n: number of the write
 * @data: set to the data, a whole unit
 *
 * Context: any.
 */
void mock_dma_sequence_data(const struct mock_dma_sequence *seq, u64 n,
			    u64 *data)
{
	unsigned long words = BIT(seq->shift) / sizeof(*data);
	unsigned long i;

	for (i = 0; i < words; i++)
		data[i] = (((n + 1) << WORD_BITS) | i) * MIX_MULTIPLIER ^
			  seq->key;
}

static void mock_dma_work_write(struct mock_dma *md, u64 n)
{
	struct mock_dma_work *work = &md->work;
	const struct mock_dma_sequence *seq = &work->sequence;
	struct iommu_mock_fault fault;

	mock_dma_sequence_data(seq, n, work->data);
	if (mock_dma_write(md, mock_dma_sequence_iova(seq, n), work->data,
			   BIT(seq->shift), &fault)) {
		mock_dma_record_fault(md, &fault);
		mock_dma_interrupt(md);
	}
	/* Count the write after logging; pairs with mock_dma_snapshot_regs() */
	smp_store_release(&work->writes, n + 1);
}

/* Sleep until write @n since @start is due, or until kthread_stop(). */
static void mock_dma_work_wait(struct mock_dma_work *work, ktime_t start,
			       u64 n)
{
	u64 due = mul_u64_u64_div_u64(n, NSEC_PER_SEC, work->rate);
	ktime_t until = ktime_add_ns(start, due);

	if (ktime_before(ktime_get(), until)) {
		until = ktime_add_ns(until, MIN_SLEEP_NS);
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
	u64 first = work->writes;
	u64 n;

	for (n = first; !kthread_should_stop(); n++) {
		if (work->rate) {
			/* Count from @first: a resumed workload has no lag. */
			mock_dma_work_wait(work, start, n - first);
			if (kthread_should_stop())
				break;
		}
		mock_dma_work_write(md, n);
		cond_resched();
	}
	return 0;
}

/* Start the thread with write @first. Returns as mock_dma_work_start(). */
static int mock_dma_work_run(struct mock_dma *md, u64 first)
{
	struct mock_dma_work *work = &md->work;
	struct mock_dma_sequence seq;
	struct task_struct *task;
	int rc;

	rc = mock_dma_sequence_init(&seq, &md->regs);
	if (rc)
		return rc;

	work->sequence = seq;
	/* A rate of a write per nanosecond or more is no limit. */
	work->rate = md->regs.work_rate < NSEC_PER_SEC ? md->regs.work_rate : 0;
	task = kthread_create(mock_dma_work_thread, md, "%s",
			      dev_name(md->vdev.dev));
	if (IS_ERR(task))
		return PTR_ERR(task);
	WRITE_ONCE(work->writes, first);
	work->task = task;
	wake_up_process(task);
	return 0;
}

/**
 * mock_dma_work_start() - start the workload with its first write
 * @md: the device
 *
 * Return:
 * * 0: success
 * * -EBUSY: the workload is running, or the device is quiesced
 * * -EINVAL: the registers of the workload are not valid
 * * -ENOMEM, -EINTR: the thread cannot be created
 *
 * Context: process. The caller holds &mock_dma.lock, and the device is open.
 */
int mock_dma_work_start(struct mock_dma *md)
{
	if (mock_dma_work_is_started(md) || md->quiesced)
		return -EBUSY;
	return mock_dma_work_run(md, 0);
}

/**
 * mock_dma_work_suspend() - stop the thread of the workload, if it is running
 * @md: the device
 *
 * On return, the last write of the workload has ended. The registers show the
 * workload as running, until mock_dma_work_stop().
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_dma_work_suspend(struct mock_dma *md)
{
	lockdep_assert_held(&md->lock);

	if (!md->work.task)
		return;
	kthread_stop(md->work.task);
	md->work.task = NULL;
	md->work.suspended = true;
}

/**
 * mock_dma_work_resume() - continue a suspended workload, if there is one
 * @md: the device
 *
 * The workload continues with the number of its next write. Its rate counts
 * from now, so that writes that were due while it was suspended do not follow
 * in a burst.
 *
 * Return:
 * * 0: success, or the workload is not suspended
 * * -ENOMEM, -EINTR: the thread cannot be created; the workload is suspended
 *
 * Context: process. The caller holds &mock_dma.lock, and the device is open.
 */
int mock_dma_work_resume(struct mock_dma *md)
{
	int rc;

	lockdep_assert_held(&md->lock);

	if (!md->work.suspended)
		return 0;
	rc = mock_dma_work_run(md, md->work.writes);
	if (!rc)
		md->work.suspended = false;
	return rc;
}

/**
 * mock_dma_work_stop() - stop the workload, if it is running or suspended
 * @md: the device
 *
 * On return, the last write of the workload has ended.
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_dma_work_stop(struct mock_dma *md)
{
	mock_dma_work_suspend(md);
	md->work.suspended = false;
}
