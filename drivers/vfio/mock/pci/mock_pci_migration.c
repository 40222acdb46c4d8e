// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Migration of the mock PCI device
 *
 * The device implements all states of migration: RUNNING, STOP, STOP_COPY,
 * RESUMING, and those of P2P and PRE_COPY.
 *
 * The arcs to a P2P state quiesce the device: the current write of the workload
 * ends, and neither commands nor the workload can start. So the device does no
 * DMA in a P2P state and in STOP. Registers can be accessed in all states. The
 * arcs to RUNNING and PRE_COPY resume the workload with its next write.
 *
 * An arc that fails changes nothing. The device is never in the ERROR state: if
 * the device state that was written is not valid, the device remains in
 * RESUMING with its own state, until it is reset.
 */
#include <linux/fs.h>
#include <linux/mutex.h>

#include "mock_pci.h"

/* The number of an arc, for the cases of a switch. */
#define ARC(_from, _to)							\
	(VFIO_DEVICE_STATE_##_from * VFIO_DEVICE_STATE_NR +		\
	 VFIO_DEVICE_STATE_##_to)

static int mock_pci_resume(struct mock_pci *mp)
{
	int rc = mock_dma_work_resume(&mp->md);

	if (!rc)
		mp->md.quiesced = false;
	return rc;
}

static void mock_pci_quiesce(struct mock_pci *mp)
{
	mock_dma_work_suspend(&mp->md);
	mp->md.quiesced = true;
}

/* Check and load the device state that was written. */
static int mock_pci_load(struct mock_pci *mp)
{
	struct mock_pci_session *session = mp->session;
	int rc = -EINVAL;

	/* A write may wait for a page fault with the lock held. */
	if (mutex_lock_killable(&session->lock))
		return -EINTR;
	if (!session->overrun)
		rc = mock_pci_state_check(&session->state, session->done);
	if (!rc)
		mock_pci_state_load(mp, &session->state);
	mutex_unlock(&session->lock);
	return rc;
}

/*
 * Do the arc to @next. Returns the file of a new data transfer session, NULL if
 * the arc starts none, or a negative errno.
 */
static struct file *mock_pci_do_arc(struct mock_pci *mp,
				    enum vfio_device_mig_state next)
{
	int rc;

	switch (mp->mig_state * VFIO_DEVICE_STATE_NR + next) {
	case ARC(RUNNING, RUNNING_P2P):
	case ARC(PRE_COPY, PRE_COPY_P2P):
		mock_pci_quiesce(mp);
		return NULL;
	case ARC(RUNNING_P2P, RUNNING):
	case ARC(PRE_COPY_P2P, PRE_COPY):
		return ERR_PTR(mock_pci_resume(mp));
	case ARC(RUNNING_P2P, STOP):
	case ARC(STOP, RUNNING_P2P):
		return NULL;
	case ARC(RUNNING, PRE_COPY):
	case ARC(RUNNING_P2P, PRE_COPY_P2P):
		return mock_pci_session_open(mp, MOCK_PCI_PRE_COPY);
	case ARC(STOP, STOP_COPY):
		return mock_pci_session_open(mp, MOCK_PCI_STOP_COPY);
	case ARC(STOP, RESUMING):
		return mock_pci_session_open(mp, MOCK_PCI_RESUMING);
	case ARC(PRE_COPY_P2P, STOP_COPY):
		mock_pci_state_save(mp, &mp->session->state);
		mock_pci_session_set_phase(mp->session, MOCK_PCI_STOP_COPY);
		return NULL;
	case ARC(RESUMING, STOP):
		rc = mock_pci_load(mp);
		if (rc)
			return ERR_PTR(rc);
		fallthrough;
	case ARC(PRE_COPY, RUNNING):
	case ARC(PRE_COPY_P2P, RUNNING_P2P):
	case ARC(STOP_COPY, STOP):
		mock_pci_session_end(mp);
		return NULL;
	default:
		/* vfio_mig_get_next_state() returns no other arc. */
		WARN_ON(true);
		return ERR_PTR(-EINVAL);
	}
}

/*
 * vfio_migration_ops.migration_set_state. Only the last arc of a path starts a
 * data transfer session.
 */
static struct file *mock_pci_set_state(struct vfio_device *vdev,
				       enum vfio_device_mig_state state)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));
	enum vfio_device_mig_state next;
	struct file *file = NULL;
	int rc;

	if (mutex_lock_killable(&mp->md.lock))
		return ERR_PTR(-EINTR);
	while (mp->mig_state != state) {
		rc = vfio_mig_get_next_state(vdev, mp->mig_state, state, &next);
		if (rc) {
			file = ERR_PTR(rc);
			break;
		}
		file = mock_pci_do_arc(mp, next);
		if (IS_ERR(file))
			break;
		mp->mig_state = next;
	}
	mutex_unlock(&mp->md.lock);
	return file;
}

static int mock_pci_get_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state *state)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));

	if (mutex_lock_killable(&mp->md.lock))
		return -EINTR;
	*state = mp->mig_state;
	mutex_unlock(&mp->md.lock);
	return 0;
}

static int mock_pci_get_data_size(struct vfio_device *vdev,
				  unsigned long *length)
{
	*length = sizeof(struct mock_pci_state);
	return 0;
}

const struct vfio_migration_ops mock_pci_migration_ops = {
	.migration_set_state = mock_pci_set_state,
	.migration_get_state = mock_pci_get_state,
	.migration_get_data_size = mock_pci_get_data_size,
};

/**
 * mock_pci_migration_reset() - end a migration in any state
 * @mp: the device, with its workload stopped
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_pci_migration_reset(struct mock_pci *mp)
{
	lockdep_assert_held(&mp->md.lock);

	mock_pci_session_end(mp);
	mp->mig_state = VFIO_DEVICE_STATE_RUNNING;
	mp->migrations = 0;
	mp->md.quiesced = false;
}
