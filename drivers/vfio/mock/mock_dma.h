/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of the mock DMA device that its files share.
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
 * struct mock_dma_ops - how a kind of device reaches memory
 * @read: memory at @iova to @buf. Returns 0, or a negative errno with @fault
 *	telling the first byte that could not be read; everything in front of
 *	it has arrived.
 * @write: the same from @buf to memory.
 * @release: give back what earlier calls hold on to. Called with the device
 *	open, the workload stopped and no command running. May be NULL.
 *
 * @length is never 0 and the range never wraps. All are called in process
 * context and may sleep.
 */
struct mock_dma_ops {
	int (*read)(struct mock_dma *md, unsigned long iova, void *buf,
		    size_t length, struct iommu_mock_fault *fault);
	int (*write)(struct mock_dma *md, unsigned long iova, const void *buf,
		     size_t length, struct iommu_mock_fault *fault);
	void (*release)(struct mock_dma *md);
};

/**
 * struct mock_dma_kind - what is different between the kinds of devices
 * @ops: the way to memory
 * @vfio_ops: what VFIO calls
 * @add: makes the device known to VFIO
 */
struct mock_dma_kind {
	const struct mock_dma_ops *ops;
	const struct vfio_device_ops *vfio_ops;
	int (*add)(struct vfio_device *vdev);
};

extern const struct mock_dma_kind mock_dma_physical;
extern const struct mock_dma_kind mock_dma_emulated;

/* mock_dma_emulated.c: pins, also of other devices */
void mock_dma_unpin_work(struct work_struct *work);
int mock_dma_pin_range(struct mock_dma *md, unsigned long iova, size_t length);
void mock_dma_pins_unmap(struct vfio_device *vdev, u64 iova, u64 length);
void mock_dma_pins_release(struct mock_dma *md);

/**
 * struct mock_dma_sequence - the writes of a workload, as a function of seed
 * @key: what the seed was turned into
 * @iova: first byte of unit 0
 * @hot: units of the hot set, which are the first ones
 * @cold: units behind the hot set
 * @shift: log2 of the bytes of a unit
 * @hot_percent: how many of 100 writes go to the hot set
 *
 * A plain value: whoever holds it owns it.
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
 * @task: the thread, or NULL; guarded by the device's lock
 * @sequence: what it writes; set while there is no thread
 * @rate: writes a second, 0 for no limit; set while there is no thread
 * @writes: how many it made; stored by the thread alone, loaded by anyone
 * @data: MOCK_DMA_UNIT_MAX bytes, for the thread alone
 */
struct mock_dma_work {
	struct task_struct *task;
	struct mock_dma_sequence sequence;
	u64 rate;
	u64 writes;
	u64 *data;
};

/**
 * struct mock_dma_pins - pages that a device wrote and holds pinned
 * @lock: is held while memory of @pages is written and while one of them is
 *	taken out, so that what was taken out may be unpinned. Never while
 *	VFIO pins or unpins: it calls dma_unmap with locks that those need.
 * @pages: struct page by IOVA >> PAGE_SHIFT; each was pinned alone
 * @under_way: how many pages are pinned but not in @pages, or about to be so
 * @unpin: takes out and unpins those of @pages that are marked for it
 * @unpinned: how many pages were unpinned so far; only its changing matters
 * @wait: for @under_way to become 0, and for no page to be marked
 * @quiet_until: jiffies; no new pin before, see mock_dma_wait_quiet()
 */
struct mock_dma_pins {
	struct mutex lock;	/* see above */
	struct xarray pages;
	atomic_t under_way;
	atomic_t unpinned;
	struct work_struct unpin;
	wait_queue_head_t wait;
	unsigned long quiet_until;
};

/**
 * struct mock_dma - one mock DMA device
 * @vdev: its VFIO device, which owns the memory of this structure
 * @ops: how it reaches memory; never changes
 * @lock: one register access or command at a time
 * @regs: the registers that keep a value; those that tell a state are made
 *	up when they are read. Guarded by @lock.
 * @buffer: VFIO_MOCK_DMA_BUFFER bytes of the device's own. Guarded by @lock.
 * @bounce: as many, for a command that is running. Guarded by @lock.
 * @work: the workload
 * @fault_lock: guards @fault and @fault_count, which both a command and the
 *	workload may change
 * @fault: the latest fault
 * @fault_count: faults since the reset
 * @truth_lock: guards the readers of @truth, and setting it
 * @truth: the truth log, or NULL. Writers of memory mark it under RCU.
 * @log_lock: guards the readers of @log, and setting it
 * @log: what DMA logging keeps, or NULL. Writers of memory mark it under RCU.
 * @pins: pinned pages; of physical devices only where they were told to pin
 *
 * Owner: the driver from probe to remove; after that, open files keep it.
 * Lock order: dev_set->lock of the VFIO core, @lock, then one of @truth_lock,
 * @log_lock, and mmap_lock; what VFIO and IOMMUFD take when pages are pinned
 * comes behind @lock. @pins.lock and @fault_lock are innermost.
 */
struct mock_dma {
	struct vfio_device vdev;
	const struct mock_dma_ops *ops;

	struct mutex lock;	/* outermost */
	struct vfio_mock_dma_regs regs;
	void *buffer;
	void *bounce;
	struct mock_dma_work work;

	spinlock_t fault_lock;	/* innermost */
	struct iommu_mock_fault fault;
	u64 fault_count;

	struct mutex truth_lock;	/* readers of the truth log */
	struct mock_dma_truth __rcu *truth;

	struct mutex log_lock;	/* readers of DMA logging */
	struct mock_dma_log __rcu *log;

	struct mock_dma_pins pins;
};

static inline struct mock_dma *to_mock_dma(struct vfio_device *vdev)
{
	return container_of(vdev, struct mock_dma, vdev);
}

/* mock_dma_bits.c */
void mock_dma_bits_set(atomic_long_t *bits, unsigned long first,
		       unsigned long last);
unsigned long mock_dma_bits_take(atomic_long_t *word, unsigned long show,
				 unsigned long clear);

/* mock_dma_engine.c */
int mock_dma_write(struct mock_dma *md, unsigned long iova, const void *buf,
		   size_t length, struct iommu_mock_fault *fault);
void mock_dma_note_fault(struct mock_dma *md,
			 const struct iommu_mock_fault *fault);
int mock_dma_command(struct mock_dma *md, u64 command);

/* mock_dma_info.c */
u64 mock_dma_region_offset(unsigned int index);
unsigned int mock_dma_region_index(u64 offset);
u64 mock_dma_region_size(unsigned int index);
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

/* mock_dma_main.c */
int mock_dma_init(struct vfio_device *vdev);
void mock_dma_release(struct vfio_device *vdev);
int mock_dma_open(struct vfio_device *vdev);
void mock_dma_close(struct vfio_device *vdev);

/* mock_dma_regs.c */
void mock_dma_reset(struct mock_dma *md);
ssize_t mock_dma_vfio_read(struct vfio_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos);
ssize_t mock_dma_vfio_write(struct vfio_device *vdev, const char __user *buf,
			    size_t count, loff_t *ppos);

/* mock_dma_truth.c */
int mock_dma_truth_start(struct mock_dma *md);
void mock_dma_truth_end(struct mock_dma *md);
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
void mock_dma_work_stop(struct mock_dma *md);

#endif
