// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Device state of the mock PCI device
 *
 * The device state starts with a head that is the same for all devices, for
 * PRE_COPY. The body has the state of a device, with a checksum. A device state
 * is checked before any of it is loaded. The checksum finds data that a
 * migration corrupted. In addition, each value is checked as if a user wrote
 * it, since a user can write any device state.
 */
#include <linux/build_bug.h>
#include <linux/crc32.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "mock_pci.h"

#define STATE_MAGIC	0x5350444d	/* "MDPS" */
#define STATE_VERSION	1

/* There is no padding, which would leak memory, and escape the checks. */
static_assert(sizeof(struct mock_pci_state) ==
	      sizeof(struct mock_pci_head) +
	      sizeof(struct vfio_mock_dma_regs) + sizeof(u64) +
	      4 * sizeof(u32) + PCI_CFG_SPACE_SIZE + VFIO_MOCK_DMA_BUFFER);

static const struct mock_pci_head mock_pci_head = {
	.magic = STATE_MAGIC,
	.version = STATE_VERSION,
	.length = sizeof(struct mock_pci_state),
	.device = VFIO_MOCK_PCI_DEVICE_ID << 16 | VFIO_MOCK_PCI_VENDOR_ID,
};

static u32 mock_pci_state_crc(const struct mock_pci_state *state)
{
	return crc32_le(~0U, (const u8 *)&state->body,
			offsetof(struct mock_pci_body, crc));
}

/**
 * mock_pci_state_init() - set the head of a device state
 * @state: the device state, all zeroes
 *
 * Context: any.
 */
void mock_pci_state_init(struct mock_pci_state *state)
{
	state->head = mock_pci_head;
}

/**
 * mock_pci_state_save() - save the state of a device
 * @mp: the device, quiesced
 * @state: destination; its body is all zeroes
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_pci_state_save(struct mock_pci *mp, struct mock_pci_state *state)
{
	struct mock_pci_body *body = &state->body;

	mock_dma_save_regs(&mp->md, &body->regs);
	body->interrupts = mock_pci_get_interrupts(mp);
	body->migrations = mp->migrations;
	memcpy(body->config, mp->config, sizeof(body->config));
	memcpy(body->buffer, mp->md.buffer, sizeof(body->buffer));
	body->crc = mock_pci_state_crc(state);
}

static bool mock_pci_regs_are_valid(const struct vfio_mock_dma_regs *regs)
{
	struct mock_dma_sequence seq;

	if (regs->magic != VFIO_MOCK_DMA_MAGIC ||
	    regs->version != VFIO_MOCK_DMA_VERSION)
		return false;
	if (regs->command > VFIO_MOCK_DMA_CMD_COPY ||
	    regs->status > VFIO_MOCK_DMA_FAULT ||
	    regs->fault_reason > VFIO_MOCK_DMA_FAULT_BLOCKED)
		return false;
	if (regs->truth_control || regs->reserved || regs->truth_granule ||
	    regs->truth_iova || regs->truth_length)
		return false;
	if (regs->work_control > 1)
		return false;
	/* The registers of a workload that is stopped can have any value. */
	return !regs->work_control || !mock_dma_sequence_init(&seq, regs);
}

/**
 * mock_pci_state_check() - check whether a device state can be loaded
 * @state: the device state
 * @length: number of bytes at @state
 *
 * Return: 0, or -EINVAL if @length is not that of a device state, if @state is
 * not of such a device, was changed, or has a value that is not valid.
 *
 * Context: any.
 */
int mock_pci_state_check(const struct mock_pci_state *state, size_t length)
{
	if (length != sizeof(*state))
		return -EINVAL;
	if (memcmp(&state->head, &mock_pci_head, sizeof(mock_pci_head)))
		return -EINVAL;
	if (state->body.crc != mock_pci_state_crc(state))
		return -EINVAL;
	if (state->body.reserved || state->body.reserved2)
		return -EINVAL;
	if (!mock_pci_regs_are_valid(&state->body.regs) ||
	    !mock_pci_config_is_valid(state->body.config))
		return -EINVAL;
	return 0;
}

/**
 * mock_pci_state_load() - set the state of a device
 * @mp: the device, quiesced
 * @state: the device state, checked by mock_pci_state_check()
 *
 * A workload that was running is suspended, until mock_dma_work_resume().
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_pci_state_load(struct mock_pci *mp,
			 const struct mock_pci_state *state)
{
	const struct mock_pci_body *body = &state->body;

	mock_dma_load_regs(&mp->md, &body->regs);
	mock_pci_set_interrupts(mp, body->interrupts);
	mp->migrations = body->migrations + 1;
	memcpy(mp->config, body->config, sizeof(mp->config));
	memcpy(mp->md.buffer, body->buffer, VFIO_MOCK_DMA_BUFFER);
}
