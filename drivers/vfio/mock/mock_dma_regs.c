// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Registers and buffer of the mock DMA device
 *
 * A table describes each register: its position, its length, and when it may be
 * written. Most registers store the value that is written. A write to a control
 * register calls a function.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "mock_dma.h"

/**
 * enum mock_dma_reg_kind - condition for a write to a register
 * @REG_RO: never allowed
 * @REG_RW: always allowed
 * @REG_WORK: allowed while the workload is stopped
 * @REG_TRUTH: allowed while there is no truth log
 */
enum mock_dma_reg_kind {
	REG_RO,
	REG_RW,
	REG_WORK,
	REG_TRUTH,
};

/**
 * struct mock_dma_reg - a register
 * @end: offset of the first byte above the register, where the next one starts
 * @kind: condition for a write
 * @store: called with &mock_dma.lock held instead of storing the value, or NULL
 */
struct mock_dma_reg {
	unsigned int end;
	enum mock_dma_reg_kind kind;
	int (*store)(struct mock_dma *md, u64 value);
};

static int mock_dma_store_work(struct mock_dma *md, u64 value)
{
	if (value > 1)
		return -EINVAL;
	if (value)
		return mock_dma_work_start(md);
	mock_dma_work_stop(md);
	return 0;
}

static int mock_dma_store_truth(struct mock_dma *md, u64 value)
{
	if (value > 1)
		return -EINVAL;
	if (value)
		return mock_dma_truth_start(md);
	mock_dma_truth_stop(md);
	return 0;
}

#define REG(_name, _kind, _store) {					\
	.end = offsetofend(struct vfio_mock_dma_regs, _name),		\
	.kind = _kind,							\
	.store = _store,						\
}

static const struct mock_dma_reg mock_dma_regs[] = {
	REG(magic, REG_RO, NULL),
	REG(version, REG_RO, NULL),
	REG(src, REG_RW, NULL),
	REG(dst, REG_RW, NULL),
	REG(length, REG_RW, NULL),
	REG(pattern, REG_RW, NULL),
	REG(command, REG_RW, mock_dma_command),
	REG(status, REG_RO, NULL),
	REG(fault_count, REG_RO, NULL),
	REG(fault_iova, REG_RO, NULL),
	REG(fault_reason, REG_RO, NULL),
	REG(work_control, REG_RW, mock_dma_store_work),
	REG(work_iova, REG_WORK, NULL),
	REG(work_length, REG_WORK, NULL),
	REG(work_stride, REG_WORK, NULL),
	REG(work_rate, REG_WORK, NULL),
	REG(work_hot_length, REG_WORK, NULL),
	REG(work_hot_percent, REG_WORK, NULL),
	REG(work_seed, REG_WORK, NULL),
	REG(work_writes, REG_RO, NULL),
	REG(truth_control, REG_RW, mock_dma_store_truth),
	REG(reserved, REG_RO, NULL),
	REG(truth_granule, REG_TRUTH, NULL),
	REG(truth_iova, REG_TRUTH, NULL),
	REG(truth_length, REG_TRUTH, NULL),
};

/*
 * Find the register that contains @size bytes at @offset. Returns NULL if the
 * bytes belong to two registers: of two adjacent 4 byte registers, one is
 * read-only, so the write must fail.
 */
static const struct mock_dma_reg *mock_dma_find_reg(u64 offset, size_t size)
{
	const struct mock_dma_reg *reg = mock_dma_regs;

	while (offset >= reg->end)
		reg++;
	return offset + size <= reg->end ? reg : NULL;
}

/* Check whether a register may be written. Returns 0 or a negative errno. */
static int mock_dma_reg_check(struct mock_dma *md,
			      const struct mock_dma_reg *reg)
{
	if (!reg || reg->kind == REG_RO)
		return -EPERM;
	if (reg->kind == REG_WORK && mock_dma_work_is_started(md))
		return -EBUSY;
	if (reg->kind == REG_TRUTH && rcu_access_pointer(md->truth))
		return -EBUSY;
	return 0;
}

/* Copy all registers, including those without a stored value. */
static void mock_dma_snapshot_regs(struct mock_dma *md,
				   struct vfio_mock_dma_regs *regs)
{
	lockdep_assert_held(&md->lock);

	*regs = md->regs;
	regs->work_control = mock_dma_work_is_started(md);
	/* A reader that sees the number of a write must see it logged, too. */
	regs->work_writes = smp_load_acquire(&md->work.writes);
	regs->truth_control = !!rcu_access_pointer(md->truth);

	spin_lock(&md->fault_lock);
	regs->fault_count = md->fault_count;
	regs->fault_iova = md->fault.iova;
	regs->fault_reason = md->fault.reason;
	spin_unlock(&md->fault_lock);
}

static ssize_t mock_dma_regs_read(struct mock_dma *md, char __user *buf,
				  size_t count, u64 offset)
{
	struct vfio_mock_dma_regs regs;

	scoped_cond_guard(mutex_intr, return -EINTR, &md->lock)
		mock_dma_snapshot_regs(md, &regs);
	if (copy_to_user(buf, (void *)&regs + offset, count))
		return -EFAULT;
	return count;
}

static ssize_t mock_dma_regs_write(struct mock_dma *md, const char __user *buf,
				   size_t count, u64 offset)
{
	const struct mock_dma_reg *reg = mock_dma_find_reg(offset, count);
	u32 low;
	u64 value;
	int rc;

	if (copy_from_user(&value, buf, count))
		return -EFAULT;

	scoped_cond_guard(mutex_intr, return -EINTR, &md->lock) {
		rc = mock_dma_reg_check(md, reg);
		if (rc)
			return rc;
		if (!reg->store) {
			memcpy((void *)&md->regs + offset, &value, count);
			return count;
		}
		/* All control registers have 4 bytes. */
		memcpy(&low, &value, sizeof(low));
		rc = reg->store(md, low);
	}
	return rc ?: count;
}

static ssize_t mock_dma_buffer_read(struct mock_dma *md, char __user *buf,
				    size_t count, u64 offset)
{
	void *copy __free(kvfree) = kvmalloc(count, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	scoped_cond_guard(mutex_intr, return -EINTR, &md->lock)
		memcpy(copy, md->buffer + offset, count);
	return copy_to_user(buf, copy, count) ? -EFAULT : count;
}

static ssize_t mock_dma_buffer_write(struct mock_dma *md,
				     const char __user *buf, size_t count,
				     u64 offset)
{
	void *copy __free(kvfree) = kvmalloc(count, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	if (copy_from_user(copy, buf, count))
		return -EFAULT;
	scoped_cond_guard(mutex_intr, return -EINTR, &md->lock)
		memcpy(md->buffer + offset, copy, count);
	return count;
}

/* Check alignment and range of an access to a region. */
static bool mock_dma_access_is_valid(unsigned int index, u64 offset,
				     size_t count)
{
	u64 size = mock_dma_region_size(index);

	if (offset > size)
		return false;
	switch (index) {
	case VFIO_MOCK_DMA_REGION_REGS:
		return (count == sizeof(u32) || count == sizeof(u64)) &&
		       IS_ALIGNED(offset, count) && count <= size - offset;
	case VFIO_MOCK_DMA_REGION_BUFFER:
		return count && count <= size - offset;
	case VFIO_MOCK_DMA_REGION_TRUTH:
		return IS_ALIGNED(offset | count, sizeof(u64));
	default:
		return false;
	}
}

/**
 * mock_dma_region_read() - read from a region
 * @md: the device
 * @index: enum vfio_mock_dma_region, or any other number
 * @buf: destination
 * @count: number of bytes
 * @offset: offset in the region
 *
 * Return: the number of bytes read, or a negative errno:
 * * -EINVAL: the access is not inside the region, its alignment or length is
 *   not valid for the region, there is no such region, or no truth log
 * * -EFAULT: @buf is not writable memory
 * * -ENOMEM: out of memory
 * * -EINTR: a signal is pending
 *
 * Context: process, may fault.
 */
ssize_t mock_dma_region_read(struct mock_dma *md, unsigned int index,
			     char __user *buf, size_t count, u64 offset)
{
	if (!mock_dma_access_is_valid(index, offset, count))
		return -EINVAL;
	if (index == VFIO_MOCK_DMA_REGION_REGS)
		return mock_dma_regs_read(md, buf, count, offset);
	if (index == VFIO_MOCK_DMA_REGION_BUFFER)
		return mock_dma_buffer_read(md, buf, count, offset);
	return mock_dma_truth_read(md, buf, count, offset);
}

/**
 * mock_dma_region_write() - write to a region
 * @md: the device
 * @index: enum vfio_mock_dma_region, or any other number
 * @buf: source
 * @count: number of bytes
 * @offset: offset in the region
 *
 * Return: the number of bytes written, or a negative errno:
 * * -EINVAL: the access is not inside the region, its alignment or length is
 *   not valid for the region, or there is no such region
 * * -EPERM: the register or the region is read-only
 * * -EBUSY: the workload or the truth log uses the register
 * * -EFAULT: @buf is not readable memory
 * * -ENOMEM: out of memory
 * * -EINTR: a signal is pending
 * * or an errno of mock_dma_command(), mock_dma_work_start() or
 *   mock_dma_truth_start()
 *
 * Context: process, may fault.
 */
ssize_t mock_dma_region_write(struct mock_dma *md, unsigned int index,
			      const char __user *buf, size_t count, u64 offset)
{
	if (!mock_dma_access_is_valid(index, offset, count))
		return -EINVAL;
	if (index == VFIO_MOCK_DMA_REGION_REGS)
		return mock_dma_regs_write(md, buf, count, offset);
	if (index == VFIO_MOCK_DMA_REGION_BUFFER)
		return mock_dma_buffer_write(md, buf, count, offset);
	return -EPERM;
}

/**
 * mock_dma_vfio_read() - read from the device file
 * @vdev: the VFIO device
 * @buf: destination
 * @count: number of bytes
 * @ppos: offset in the device file; increased by the number of bytes read
 *
 * Return: as mock_dma_region_read().
 *
 * Context: process, may fault.
 */
ssize_t mock_dma_vfio_read(struct vfio_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos)
{
	unsigned int index = mock_dma_region_index(*ppos);
	u64 offset = *ppos - mock_dma_region_offset(index);
	ssize_t done;

	done = mock_dma_region_read(to_mock_dma(vdev), index, buf, count,
				    offset);
	if (done > 0)
		*ppos += done;
	return done;
}

/**
 * mock_dma_vfio_write() - write to the device file
 * @vdev: the VFIO device
 * @buf: source
 * @count: number of bytes
 * @ppos: offset in the device file; increased by the number of bytes written
 *
 * Return: as mock_dma_region_write().
 *
 * Context: process, may fault.
 */
ssize_t mock_dma_vfio_write(struct vfio_device *vdev, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	unsigned int index = mock_dma_region_index(*ppos);
	u64 offset = *ppos - mock_dma_region_offset(index);
	ssize_t done;

	done = mock_dma_region_write(to_mock_dma(vdev), index, buf, count,
				     offset);
	if (done > 0)
		*ppos += done;
	return done;
}

/**
 * mock_dma_reset() - reset a device to its initial state
 * @md: the device
 *
 * Stops the workload and both logs, unpins all pages, and clears the registers
 * and the buffer.
 *
 * Context: process, may sleep. The caller holds &mock_dma.lock, and the device
 * is open.
 */
void mock_dma_reset(struct mock_dma *md)
{
	lockdep_assert_held(&md->lock);

	mock_dma_work_stop(md);
	mock_dma_truth_stop(md);
	mock_dma_log_stop(md);
	if (md->ops->release)
		md->ops->release(md);

	memset(md->buffer, 0, VFIO_MOCK_DMA_BUFFER);
	md->regs = (struct vfio_mock_dma_regs) {
		.magic = VFIO_MOCK_DMA_MAGIC,
		.version = VFIO_MOCK_DMA_VERSION,
		.work_stride = MOCK_DMA_UNIT_MAX,
		.truth_granule = 4096,
	};
	WRITE_ONCE(md->work.writes, 0);

	spin_lock(&md->fault_lock);
	md->fault_count = 0;
	md->fault = (struct iommu_mock_fault) {};
	spin_unlock(&md->fault_lock);
}

/**
 * mock_dma_save_regs() - copy the registers for a migration
 * @md: the device
 * @regs: destination; registers of the truth log are set to 0
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_dma_save_regs(struct mock_dma *md, struct vfio_mock_dma_regs *regs)
{
	mock_dma_snapshot_regs(md, regs);
	regs->truth_control = 0;
	regs->truth_granule = 0;
	regs->truth_iova = 0;
	regs->truth_length = 0;
}

/**
 * mock_dma_load_regs() - set the registers to those of a migrated device
 * @md: the device, quiesced
 * @regs: registers from mock_dma_save_regs(); if @regs->work_control is set,
 *	mock_dma_sequence_init() accepts them
 *
 * If @regs->work_control is set, the workload is suspended. The registers of
 * the truth log do not change.
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_dma_load_regs(struct mock_dma *md,
			const struct vfio_mock_dma_regs *regs)
{
	struct vfio_mock_dma_regs old = md->regs;

	mock_dma_work_stop(md);
	md->regs = *regs;
	md->regs.truth_granule = old.truth_granule;
	md->regs.truth_iova = old.truth_iova;
	md->regs.truth_length = old.truth_length;
	md->work.suspended = regs->work_control;
	WRITE_ONCE(md->work.writes, regs->work_writes);

	spin_lock(&md->fault_lock);
	md->fault_count = regs->fault_count;
	md->fault.iova = regs->fault_iova;
	md->fault.reason = regs->fault_reason;
	spin_unlock(&md->fault_lock);
}
