/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures and functions shared by the files of the mock PCI device.
 */
#ifndef _MOCK_PCI_H
#define _MOCK_PCI_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/pci_regs.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/vfio_mock_pci.h>

#include "../mock_dma.h"

struct eventfd_ctx;
struct file;

/**
 * struct mock_pci_irqs - interrupts of a device
 * @lock: guards all members
 * @msi: eventfd of the MSI, or NULL
 * @request: eventfd that is signaled to request the release of the device, or
 *	NULL
 * @msi_enabled: MSI is enabled; @msi may be NULL nevertheless
 * @interrupts: number of times that the device has signaled @msi
 */
struct mock_pci_irqs {
	spinlock_t lock;	/* taken inside of mock_dma.lock */
	struct eventfd_ctx *msi;
	struct eventfd_ctx *request;
	bool msi_enabled;
	u64 interrupts;
};

/**
 * struct mock_pci_head - first part of a device state, available in PRE_COPY
 * @magic: identifies a device state
 * @version: version of its layout
 * @length: size of struct mock_pci_state
 * @device: vendor and device ID
 *
 * All members are constants: a device can load only the state of a device whose
 * head is equal.
 */
struct mock_pci_head {
	u32 magic;
	u32 version;
	u32 length;
	u32 device;
};

/**
 * struct mock_pci_body - second part of a device state, available in STOP_COPY
 * @regs: registers; those of the truth log are 0
 * @interrupts: number of interrupts
 * @migrations: number of times that the device state was loaded
 * @config: config space
 * @buffer: device memory
 * @reserved: 0
 * @reserved2: 0
 * @crc: CRC-32 of the members above
 */
struct mock_pci_body {
	struct vfio_mock_dma_regs regs;
	u64 interrupts;
	u32 migrations;
	u32 reserved;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 buffer[VFIO_MOCK_DMA_BUFFER];
	u32 reserved2;
	u32 crc;
};

/**
 * struct mock_pci_state - device state as it is migrated
 * @head: first part
 * @body: second part
 *
 * It is in native byte order: @head.magic differs if the other device has
 * another one.
 */
struct mock_pci_state {
	struct mock_pci_head head;
	struct mock_pci_body body;
};

/**
 * enum mock_pci_phase - what a data transfer session does
 * @MOCK_PCI_PRE_COPY: &mock_pci_state.head can be read
 * @MOCK_PCI_STOP_COPY: the whole device state can be read
 * @MOCK_PCI_RESUMING: the device state can be written
 * @MOCK_PCI_ENDED: reads and writes fail
 */
enum mock_pci_phase {
	MOCK_PCI_PRE_COPY,
	MOCK_PCI_STOP_COPY,
	MOCK_PCI_RESUMING,
	MOCK_PCI_ENDED,
};

/**
 * struct mock_pci_session - a data transfer session
 * @kref: references of the device and of the file
 * @phase: what the session does. The device sets it, with &mock_dma.lock held;
 *	the file operations read it without a lock.
 * @lock: serializes file operations, and the load of the device state. The
 *	device does not take it to end a session, because reads and writes of
 *	the file wait for page faults with @lock held.
 * @done: number of bytes that have been read or written; guarded by @lock
 * @overrun: data above the size of the device state was written; guarded by
 *	@lock
 * @state: the device state. @state.body is constant once @phase is
 *	MOCK_PCI_STOP_COPY. In MOCK_PCI_RESUMING, @lock guards it.
 *
 * The session does not refer to the device, so that the file may stay open when
 * the device is closed.
 */
struct mock_pci_session {
	struct kref kref;
	enum mock_pci_phase phase;
	struct mutex lock;	/* serializes file operations */
	size_t done;
	bool overrun;
	struct mock_pci_state state;
};

/**
 * struct mock_pci - a mock PCI device
 * @md: the mock DMA device; the first member
 * @config: config space
 * @mig_state: state of the migration
 * @migrations: number of times that the device state was loaded
 * @session: data transfer session that the device has a reference on, or NULL
 * @irqs: interrupts
 *
 * @md.lock guards @config, @mig_state, @migrations and @session. Lock order:
 * @md.lock, &mock_pci_session.lock, then mmap_lock. @irqs.lock is innermost.
 */
struct mock_pci {
	struct mock_dma md;
	u8 config[PCI_CFG_SPACE_SIZE];
	enum vfio_device_mig_state mig_state;
	u32 migrations;
	struct mock_pci_session *session;
	struct mock_pci_irqs irqs;
};

static inline struct mock_pci *to_mock_pci(struct mock_dma *md)
{
	return container_of(md, struct mock_pci, md);
}

/* mock_pci_config.c */
void mock_pci_config_init(u8 *config);
void mock_pci_config_write(u8 *config, unsigned int offset, const u8 *data,
			   size_t count);
bool mock_pci_config_is_valid(const u8 *config);
ssize_t mock_pci_config_rw(struct mock_pci *mp, char __user *buf, size_t count,
			   u64 offset, bool write);

/* mock_pci_bar.c */
ssize_t mock_pci_bar_rw(struct mock_pci *mp, char __user *buf, size_t count,
			u64 offset, bool write);

/* mock_pci_irq.c */
void mock_pci_irq_init(struct mock_pci *mp);
void mock_pci_irq_disable(struct mock_pci *mp);
void mock_pci_interrupt(struct mock_dma *md);
u64 mock_pci_get_interrupts(struct mock_pci *mp);
void mock_pci_set_interrupts(struct mock_pci *mp, u64 interrupts);
void mock_pci_request(struct vfio_device *vdev, unsigned int count);
unsigned int mock_pci_irq_count(unsigned int index);
int mock_pci_set_irqs(struct mock_pci *mp, struct vfio_irq_set __user *arg);

/* mock_pci_info.c */
int mock_pci_get_info(void __user *arg);
int mock_pci_get_region_info(void __user *arg);
int mock_pci_get_irq_info(void __user *arg);

/* mock_pci_state.c */
void mock_pci_state_init(struct mock_pci_state *state);
void mock_pci_state_save(struct mock_pci *mp, struct mock_pci_state *state);
int mock_pci_state_check(const struct mock_pci_state *state, size_t length);
void mock_pci_state_load(struct mock_pci *mp,
			 const struct mock_pci_state *state);

/* mock_pci_session.c */
struct file *mock_pci_session_open(struct mock_pci *mp,
				   enum mock_pci_phase phase);
void mock_pci_session_set_phase(struct mock_pci_session *session,
				enum mock_pci_phase phase);
void mock_pci_session_end(struct mock_pci *mp);

/* mock_pci_migration.c */
extern const struct vfio_migration_ops mock_pci_migration_ops;
void mock_pci_migration_reset(struct mock_pci *mp);

#endif
