// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Memory accesses of the mock DMA device
 *
 * Commands and the workload write memory with mock_dma_write(). It first
 * writes memory, which sets the dirty bit of the IOMMU, then marks the log of
 * DMA logging, and then the truth log. Users of the truth log rely on this
 * order: if a bit of the truth log is set, the write is also visible in
 * memory, in the dirty bits, and in DMA logging.
 */
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "mock_dma.h"

static void mock_dma_log_write(struct mock_dma *md, unsigned long iova,
			       size_t length)
{
	/*
	 * Pairs with the barrier after the start of a log, and with the
	 * clearing of a bit: either this CPU sees the new log or the cleared
	 * bit, or the other CPU sees memory as it is after the write.
	 */
	smp_mb();
	mock_dma_log_mark(md, iova, iova + length - 1);
	mock_dma_truth_mark(md, iova, iova + length - 1);
}

/**
 * mock_dma_write() - write memory and log the range
 * @md: the device
 * @iova: first IOVA
 * @buf: source
 * @length: number of bytes, not 0; the range must not wrap
 * @fault: set to the fault, if the function fails
 *
 * Return: 0, or a negative errno. After an error, the bytes below @fault->iova
 * have been written and logged.
 *
 * Context: process, may sleep. The device must be open.
 */
int mock_dma_write(struct mock_dma *md, unsigned long iova, const void *buf,
		   size_t length, struct iommu_mock_fault *fault)
{
	int rc = md->ops->write(md, iova, buf, length, fault);

	if (rc)
		length = fault->iova - iova;
	if (length)
		mock_dma_log_write(md, iova, length);
	return rc;
}

/**
 * mock_dma_record_fault() - record a fault in the fault registers
 * @md: the device
 * @fault: the fault
 *
 * Context: any that may spin.
 */
void mock_dma_record_fault(struct mock_dma *md,
			   const struct iommu_mock_fault *fault)
{
	spin_lock(&md->fault_lock);
	md->fault = *fault;
	md->fault_count++;
	spin_unlock(&md->fault_lock);
}

/**
 * mock_dma_interrupt() - signal an interrupt of the device, if it has any
 * @md: the device
 *
 * Context: process.
 */
void mock_dma_interrupt(struct mock_dma *md)
{
	if (md->ops->interrupt)
		md->ops->interrupt(md);
}

static int mock_dma_fill(struct mock_dma *md, struct iommu_mock_fault *fault)
{
	const struct vfio_mock_dma_regs *regs = &md->regs;
	u64 done, part;
	int rc;

	memset64(md->bounce, regs->pattern, VFIO_MOCK_DMA_BUFFER / sizeof(u64));
	for (done = 0; done < regs->length; done += part) {
		/* All parts but the last are a multiple of the pattern. */
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
 * Copy in parts. The bytes that were read before a fault are written before the
 * command ends, as by a device that reads ahead of its writes.
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

static int mock_dma_run_command(struct mock_dma *md, u64 command,
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

static bool mock_dma_command_is_valid(const struct vfio_mock_dma_regs *regs,
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
	/* The result of overlapping ranges would depend on the part size. */
	return !(reads && writes && regs->src <= dst_last &&
		 regs->dst <= src_last);
}

/**
 * mock_dma_command() - run a command and wait for its end
 * @md: the device
 * @command: enum vfio_mock_dma_command
 *
 * The registers src, dst, length and pattern are the operands. The device
 * signals an interrupt when the command has ended.
 *
 * Return:
 * * 0: the command has ended, possibly with a fault
 * * -EINVAL: @command or an operand is not valid; nothing has changed
 * * -EBUSY: the workload is running, or the device is quiesced; nothing has
 *   changed
 * * -EINTR: a fatal signal is pending
 *
 * Context: process, may sleep. The caller holds &mock_dma.lock.
 */
int mock_dma_command(struct mock_dma *md, u64 command)
{
	struct iommu_mock_fault fault;
	int rc;

	lockdep_assert_held(&md->lock);

	if (!mock_dma_command_is_valid(&md->regs, command))
		return -EINVAL;
	if (mock_dma_work_is_started(md) || md->quiesced)
		return -EBUSY;

	md->regs.command = command;
	md->regs.status = VFIO_MOCK_DMA_OK;
	rc = mock_dma_run_command(md, command, &fault);
	if (rc == -EINTR)
		return rc;
	if (rc) {
		md->regs.status = VFIO_MOCK_DMA_FAULT;
		mock_dma_record_fault(md, &fault);
	}
	mock_dma_interrupt(md);
	return 0;
}
