/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures and functions shared by the files of the mock DMA device.
 */
#ifndef _MOCK_DMA_H
#define _MOCK_DMA_H

#include <linux/atomic.h>
#include <linux/iommu_mock.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/vfio_mock_dma.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct mock_dma;
struct mock_dma_log;
struct mock_dma_truth;
struct task_struct;

/**
 * struct mock_dma_ops - memory access of a kind of device
 * @read: copy memory at @iova to @buf. Returns 0, or a negative errno and sets
 *	@fault. The bytes below @fault->iova have been copied.
 * @write: copy @buf to memory at @iova. Returns as @read.
 * @release: unpin all pages. Called with the device open, the workload stopped
 *	and no command running. May be NULL.
 * @interrupt: signal that a command has ended, or that a write of the workload
 *	has faulted. May be NULL.
 *
 * @length is never 0 and the range never wraps. All operations are called in
 * process context and may sleep.
 */
struct mock_dma_ops {
	int (*read)(struct mock_dma *md, unsigned long iova, void *buf,
		    size_t length, struct iommu_mock_fault *fault);
	int (*write)(struct mock_dma *md, unsigned long iova, const void *buf,
		     size_t length, struct iommu_mock_fault *fault);
	void (*release)(struct mock_dma *md);
	void (*interrupt)(struct mock_dma *md);
};

/**
 * struct mock_dma_kind - a kind of device: physical, emulated or PCI
 * @size: size of the structure of a device, which starts with struct mock_dma
 * @ops: operations for memory access
 * @vfio_ops: VFIO device operations
 * @add: register the device with VFIO
 */
struct mock_dma_kind {
	size_t size;
	const struct mock_dma_ops *ops;
	const struct vfio_device_ops *vfio_ops;
	int (*add)(struct vfio_device *vdev);
};

extern const struct mock_dma_kind mock_dma_physical;
extern const struct mock_dma_kind mock_dma_emulated;
extern const struct mock_dma_kind mock_pci_kind;

/* mock_dma_physical.c */
int mock_dma_physical_read(struct mock_dma *md, unsigned long iova, void *buf,
			   size_t length, struct iommu_mock_fault *fault);
int mock_dma_physical_write(struct mock_dma *md, unsigned long iova,
			    const void *buf, size_t length,
			    struct iommu_mock_fault *fault);

/* mock_dma_pins.c */
extern const struct mock_dma_ops mock_dma_pins_ops;
void mock_dma_unpin_work(struct work_struct *work);
int mock_dma_pin_range(struct mock_dma *md, unsigned long iova, size_t length);
void mock_dma_pins_unmap(struct vfio_device *vdev, u64 iova, u64 length);
void mock_dma_pins_release(struct mock_dma *md);

/**
 * struct mock_dma_sequence - the sequence of writes of a workload
 * @key: hash of the seed
 * @iova: first IOVA of unit 0
 * @hot: number of units in the hot set, which starts with unit 0
 * @cold: number of units above the hot set
 * @shift: log2 of the size of a unit in bytes
 * @hot_percent: percentage of writes to the hot set
 */
struct mock_dma_sequence {
	u64 key;
	unsigned long iova;
	unsigned long hot;
	unsigned long cold;
	unsigned int shift;
	unsigned int hot_percent;
};

/* The longest unit that a workload writes, in bytes. */
#define MOCK_DMA_UNIT_MAX	4096

/**
 * struct mock_dma_work - the background workload
 * @task: the thread, or NULL; guarded by &mock_dma.lock
 * @suspended: the workload has been started, but has no thread until
 *	mock_dma_work_resume(); guarded by &mock_dma.lock
 * @sequence: sequence of writes; changes only while there is no thread
 * @rate: writes per second, 0 for no limit; changes only while there is no
 *	thread
 * @writes: number of writes; only the thread writes it, without a lock
 * @data: buffer of MOCK_DMA_UNIT_MAX bytes; only the thread uses it
 */
struct mock_dma_work {
	struct task_struct *task;
	bool suspended;
	struct mock_dma_sequence sequence;
	u64 rate;
	u64 writes;
	u64 *data;
};

/**
 * struct mock_dma_pins - pages that a device has pinned
 * @lock: held to write to a page of @pages, and to remove a page from @pages,
 *	so a removed page can be unpinned. Not held during calls of VFIO that
 *	pin or unpin: VFIO calls dma_unmap with locks held that these calls
 *	take.
 * @pages: struct page by IOVA >> PAGE_SHIFT; each page is pinned separately
 * @in_flight: number of pages that may be pinned but are not in @pages
 * @unpin: work that unpins the pages marked with UNPIN in @pages
 * @unpinned: number of pages unpinned so far, to detect progress
 * @wait: woken when @in_flight becomes 0, or no page is marked with UNPIN
 * @backoff_until: time in jiffies before which the device pins no page, see
 *	mock_dma_wait_backoff()
 */
struct mock_dma_pins {
	struct mutex lock;	/* guards pages against concurrent removal */
	struct xarray pages;
	atomic_t in_flight;
	atomic_t unpinned;
	struct work_struct unpin;
	wait_queue_head_t wait;
	unsigned long backoff_until;
};

/**
 * struct mock_dma - a mock DMA device
 * @vdev: the VFIO device, which owns the memory of this structure
 * @ops: operations for memory access; never changes
 * @lock: serializes register accesses and commands
 * @regs: registers with a stored value; mock_dma_snapshot_regs() sets the
 *	others when they are read. Guarded by @lock.
 * @buffer: VFIO_MOCK_DMA_BUFFER bytes of device memory. Guarded by @lock.
 * @bounce: buffer of the same size for the running command. Guarded by @lock.
 * @quiesced: commands and the workload cannot start, because the device is
 *	being migrated. Guarded by @lock.
 * @work: the workload
 * @fault_lock: guards @fault and @fault_count, which both a command and the
 *	workload may change
 * @fault: the latest fault
 * @fault_count: number of faults since the reset
 * @truth_lock: serializes readers of the truth log, and changes of @truth
 * @truth: the truth log, or NULL. Writes to memory mark it under RCU.
 * @log_lock: serializes reports of DMA logging, and changes of @log
 * @log: state of DMA logging, or NULL. Writes to memory mark it under RCU.
 * @pins: pinned pages; physical devices pin only with physical_pin set
 *
 * Owner: the driver from probe to remove; after that, open files hold a
 * reference. Lock order: dev_set->lock of the VFIO core, @lock, then one of
 * @truth_lock, @log_lock, mmap_lock, or the locks that VFIO and iommufd take to
 * pin pages. @pins.lock and @fault_lock are innermost.
 */
struct mock_dma {
	struct vfio_device vdev;
	const struct mock_dma_ops *ops;

	struct mutex lock;	/* outermost */
	struct vfio_mock_dma_regs regs;
	void *buffer;
	void *bounce;
	bool quiesced;
	struct mock_dma_work work;

	spinlock_t fault_lock;	/* innermost */
	struct iommu_mock_fault fault;
	u64 fault_count;

	struct mutex truth_lock;	/* serializes truth log readers */
	struct mock_dma_truth __rcu *truth;

	struct mutex log_lock;	/* serializes reports of DMA logging */
	struct mock_dma_log __rcu *log;

	struct mock_dma_pins pins;
};

static inline struct mock_dma *to_mock_dma(struct vfio_device *vdev)
{
	return container_of(vdev, struct mock_dma, vdev);
}

/* Whether the workload is running for the user, possibly without a thread. */
static inline bool mock_dma_work_is_started(const struct mock_dma *md)
{
	lockdep_assert_held(&md->lock);

	return md->work.task || md->work.suspended;
}

/* mock_dma_bits.c */
void mock_dma_bits_set(atomic_long_t *bits, unsigned long first,
		       unsigned long last);
unsigned long mock_dma_bits_test_and_clear(atomic_long_t *word,
					   unsigned long mask,
					   unsigned long clear);

/* mock_dma_engine.c */
int mock_dma_write(struct mock_dma *md, unsigned long iova, const void *buf,
		   size_t length, struct iommu_mock_fault *fault);
void mock_dma_record_fault(struct mock_dma *md,
			   const struct iommu_mock_fault *fault);
void mock_dma_interrupt(struct mock_dma *md);
int mock_dma_command(struct mock_dma *md, u64 command);

/* mock_dma_region.c */
u64 mock_dma_region_offset(unsigned int index);
unsigned int mock_dma_region_index(u64 offset);
u64 mock_dma_region_size(unsigned int index);
u32 mock_dma_region_flags(unsigned int index);

/* mock_dma_info.c */
int mock_dma_get_arg(void *to, const void __user *from, size_t size);
long mock_dma_ioctl(struct vfio_device *vdev, unsigned int cmd,
		    unsigned long arg);

/* mock_dma_log.c */
typedef void (*mock_dma_emit_t)(void *arg, unsigned long iova, size_t length);

extern const struct vfio_log_ops mock_dma_log_ops;
int mock_dma_log_start(struct mock_dma *md, struct rb_root_cached *ranges,
		       u32 nnodes, u64 *page_size);
void mock_dma_log_stop(struct mock_dma *md);
int mock_dma_log_report(struct mock_dma *md, unsigned long iova,
			unsigned long last, mock_dma_emit_t emit, void *arg);
void mock_dma_log_mark(struct mock_dma *md, unsigned long iova,
		       unsigned long last);

/* mock_dma_device.c */
int mock_dma_init(struct vfio_device *vdev);
void mock_dma_release(struct vfio_device *vdev);
int mock_dma_open(struct vfio_device *vdev);
void mock_dma_close(struct vfio_device *vdev);

/* mock_dma_regs.c */
void mock_dma_reset(struct mock_dma *md);
void mock_dma_save_regs(struct mock_dma *md, struct vfio_mock_dma_regs *regs);
void mock_dma_load_regs(struct mock_dma *md,
			const struct vfio_mock_dma_regs *regs);
ssize_t mock_dma_region_read(struct mock_dma *md, unsigned int index,
			     char __user *buf, size_t count, u64 offset);
ssize_t mock_dma_region_write(struct mock_dma *md, unsigned int index,
			      const char __user *buf, size_t count, u64 offset);
ssize_t mock_dma_vfio_read(struct vfio_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos);
ssize_t mock_dma_vfio_write(struct vfio_device *vdev, const char __user *buf,
			    size_t count, loff_t *ppos);

/* mock_dma_truth.c */
int mock_dma_truth_start(struct mock_dma *md);
void mock_dma_truth_stop(struct mock_dma *md);
void mock_dma_truth_mark(struct mock_dma *md, unsigned long iova,
			 unsigned long last);
ssize_t mock_dma_truth_read(struct mock_dma *md, char __user *buf,
			    size_t count, u64 offset);

/* mock_dma_work.c */
int mock_dma_sequence_init(struct mock_dma_sequence *seq,
			   const struct vfio_mock_dma_regs *regs);
unsigned long mock_dma_sequence_iova(const struct mock_dma_sequence *seq,
				     u64 n);
void mock_dma_sequence_data(const struct mock_dma_sequence *seq, u64 n,
			    u64 *data);
int mock_dma_work_start(struct mock_dma *md);
void mock_dma_work_suspend(struct mock_dma *md);
int mock_dma_work_resume(struct mock_dma *md);
void mock_dma_work_stop(struct mock_dma *md);

#endif
