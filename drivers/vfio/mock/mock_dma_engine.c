// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: what the mock DMA device does with memory
 *
 * Every write of the device, by a command or by the workload, goes through
 * mock_dma_write(). The order there is what users of the truth log rely on:
 * memory first (with it the dirty bit of the IOMMU), then DMA logging, then
 * the truth log. Whoever sees a bit of the truth log finds the write in
 * everything that came before.
 */
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "mock_dma.h"

static void mock_dma_wrote(struct mock_dma *md, unsigned long iova,
			   size_t length)
{
	/*
	 * Pairs with the barrier in starting a log, and with taking a bit:
	 * either the log or bit is seen here, or the other side sees memory as
	 * it is after the write.
	 */
	smp_mb();
	mock_dma_log_mark(md, iova, iova + length - 1);
	mock_dma_truth_mark(md, iova, iova + length - 1);
}

/**
 * mock_dma_write() - write to memory and log what was written
 * @md: the device
 * @iova: first byte
 * @buf: what to write
 * @length: bytes, not 0; the range must not wrap
 * @fault: where it stopped, if it did
 *
 * Return: 0, or a negative errno with @fault filled in; what is in front of
 * the fault was written and logged.
 * Context: process, may sleep. The device must be open.
 */
int mock_dma_write(struct mock_dma *md, unsigned long iova, const void *buf,
		   size_t length, struct iommu_mock_fault *fault)
{
	int rc = md->ops->write(md, iova, buf, length, fault);

	if (rc)
		length = fault->iova - iova;
	if (length)
		mock_dma_wrote(md, iova, length);
	return rc;
}

/**
 * mock_dma_note_fault() - make a fault readable in the registers
 * @md: the device
 * @fault: the fault
 *
 * Context: any that may spin.
 */
void mock_dma_note_fault(struct mock_dma *md,
			 const struct iommu_mock_fault *fault)
{
	spin_lock(&md->fault_lock);
	md->fault = *fault;
	md->fault_count++;
	spin_unlock(&md->fault_lock);
}

static int mock_dma_fill(struct mock_dma *md, struct iommu_mock_fault *fault)
{
	const struct vfio_mock_dma_regs *regs = &md->regs;
	u64 done, part;
	int rc;

	memset64(md->bounce, regs->pattern, VFIO_MOCK_DMA_BUFFER / sizeof(u64));
	for (done = 0; done < regs->length; done += part) {
		/* Parts of whole patterns: each starts where one begins. */
		part = min(regs->length - done, VFIO_MOCK_DMA_BUFFER);
		rc = mock_dma_write(md, regs->dst + done, md->bounce, part,
				    fault);
		if (rc)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/*
 * What was read in front of a fault is written before the command ends, as a
 * device does that reads ahead of its writes.
 */
static int mock_dma_copy(struct mock_dma *md, struct iommu_mock_fault *fault)
{
	const struct vfio_mock_dma_regs *regs = &md->regs;
	struct iommu_mock_fault read_fault;
	u64 done, part, got;
	int rc, read_rc;

	for (done = 0; done < regs->length; done += part) {
		part = min(regs->length - done, VFIO_MOCK_DMA_BUFFER);
		read_rc = md->ops->read(md, regs->src + done, md->bounce, part,
					&read_fault);
		got = read_rc ? read_fault.iova - (regs->src + done) : part;
		if (got) {
			rc = mock_dma_write(md, regs->dst + done, md->bounce,
					    got, fault);
			if (rc)
				return rc;
		}
		if (read_rc) {
			*fault = read_fault;
			return read_rc;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int mock_dma_run(struct mock_dma *md, u64 command,
			struct iommu_mock_fault *fault)
{
	const struct vfio_mock_dma_regs *regs = &md->regs;

	switch (command) {
	case VFIO_MOCK_DMA_CMD_READ:
		return md->ops->read(md, regs->src, md->buffer, regs->length,
				     fault);
	case VFIO_MOCK_DMA_CMD_WRITE:
		return mock_dma_write(md, regs->dst, md->buffer, regs->length,
				      fault);
	case VFIO_MOCK_DMA_CMD_FILL:
		return mock_dma_fill(md, fault);
	default:
		return mock_dma_copy(md, fault);
	}
}

static bool mock_dma_command_is_good(const struct vfio_mock_dma_regs *regs,
				     u64 command)
{
	bool reads = command == VFIO_MOCK_DMA_CMD_READ ||
		     command == VFIO_MOCK_DMA_CMD_COPY;
	bool writes = command != VFIO_MOCK_DMA_CMD_READ;
	u64 src_last, dst_last;

	if (command < VFIO_MOCK_DMA_CMD_READ ||
	    command > VFIO_MOCK_DMA_CMD_COPY || !regs->length)
		return false;
	if (command <= VFIO_MOCK_DMA_CMD_WRITE &&
	    regs->length > VFIO_MOCK_DMA_BUFFER)
		return false;
	if (check_add_overflow(regs->src, regs->length - 1, &src_last) && reads)
		return false;
	if (check_add_overflow(regs->dst, regs->length - 1, &dst_last) && writes)
		return false;
	/* Ranges that overlap would make the size of the pieces visible. */
	return !(reads && writes && regs->src <= dst_last &&
		 regs->dst <= src_last);
}

/**
 * mock_dma_command() - run a command to its end
 * @md: the device
 * @command: enum vfio_mock_dma_command
 *
 * The other operands are in the registers.
 *
 * Return: 0, also when it ended in a fault; -EINVAL for a command or operands
 * that are no good and -EBUSY while the workload runs, with nothing changed;
 * -EINTR when the caller is being killed.
 * Context: process, may sleep; the lock of the device is held.
 */
int mock_dma_command(struct mock_dma *md, u64 command)
{
	struct iommu_mock_fault fault;
	int rc;

	lockdep_assert_held(&md->lock);

	if (!mock_dma_command_is_good(&md->regs, command))
		return -EINVAL;
	if (md->work.task)
		return -EBUSY;

	md->regs.command = command;
	md->regs.status = VFIO_MOCK_DMA_OK;
	rc = mock_dma_run(md, command, &fault);
	if (!rc || rc == -EINTR)
		return rc;
	md->regs.status = VFIO_MOCK_DMA_FAULT;
	mock_dma_note_fault(md, &fault);
	return 0;
}
