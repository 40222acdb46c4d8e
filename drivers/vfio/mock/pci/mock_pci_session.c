// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Data transfer sessions of the mock PCI device
 *
 * A data transfer session is the device state in memory, and a file to read or
 * write it. All memory is allocated at its start, so that the arcs that
 * continue or end it cannot fail.
 *
 * Reads return the head in PRE_COPY, and the body in STOP_COPY. No read waits
 * for data: the end of the head in PRE_COPY is -ENOMSG. Writes fill the device
 * state in memory. It is checked and loaded by the device when RESUMING ends.
 * When the session ends, reads and writes fail with -ENODEV.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mock_pci.h"

static void mock_pci_session_free(struct kref *kref)
{
	struct mock_pci_session *session =
		container_of(kref, struct mock_pci_session, kref);

	mutex_destroy(&session->lock);
	kvfree(session);
}

static enum mock_pci_phase
mock_pci_session_phase(const struct mock_pci_session *session)
{
	/* Read the phase first; pairs with mock_pci_session_set_phase() */
	return smp_load_acquire(&session->phase);
}

static ssize_t mock_pci_session_read(struct file *file, char __user *buf,
				     size_t count, loff_t *ppos)
{
	struct mock_pci_session *session = file->private_data;
	enum mock_pci_phase phase;
	size_t size;

	scoped_cond_guard(mutex_intr, return -EINTR, &session->lock) {
		phase = mock_pci_session_phase(session);
		if (phase == MOCK_PCI_ENDED)
			return -ENODEV;
		size = phase == MOCK_PCI_PRE_COPY ?
		       sizeof(session->state.head) : sizeof(session->state);
		if (session->done == size)
			return phase == MOCK_PCI_PRE_COPY ? -ENOMSG : 0;
		count = min(count, size - session->done);
		if (copy_to_user(buf, (void *)&session->state + session->done,
				 count))
			return -EFAULT;
		session->done += count;
	}
	return count;
}

static ssize_t mock_pci_session_write(struct file *file, const char __user *buf,
				      size_t count, loff_t *ppos)
{
	struct mock_pci_session *session = file->private_data;

	scoped_cond_guard(mutex_intr, return -EINTR, &session->lock) {
		if (mock_pci_session_phase(session) == MOCK_PCI_ENDED)
			return -ENODEV;
		if (count > sizeof(session->state) - session->done) {
			session->overrun = true;
			return -EFBIG;
		}
		if (copy_from_user((void *)&session->state + session->done, buf,
				   count))
			return -EFAULT;
		session->done += count;
	}
	return count;
}

static int mock_pci_get_precopy_info(struct mock_pci_session *session,
				     void __user *arg)
{
	const size_t size = offsetofend(struct vfio_precopy_info, dirty_bytes);
	struct vfio_precopy_info info;
	int rc = mock_dma_get_arg(&info, arg, size);

	if (rc)
		return rc;
	info.flags = 0;
	info.dirty_bytes = 0;
	scoped_cond_guard(mutex_intr, return -EINTR, &session->lock) {
		switch (mock_pci_session_phase(session)) {
		case MOCK_PCI_PRE_COPY:
			info.initial_bytes = sizeof(session->state.head) -
					     session->done;
			break;
		case MOCK_PCI_ENDED:
			return -ENODEV;
		default:
			return -EINVAL;
		}
	}
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static long mock_pci_session_ioctl(struct file *file, unsigned int cmd,
				   unsigned long arg)
{
	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	return mock_pci_get_precopy_info(file->private_data,
					 (void __user *)arg);
}

static int mock_pci_session_release(struct inode *inode, struct file *file)
{
	struct mock_pci_session *session = file->private_data;

	kref_put(&session->kref, mock_pci_session_free);
	return 0;
}

static const struct file_operations mock_pci_save_fops = {
	.owner = THIS_MODULE,
	.read = mock_pci_session_read,
	.unlocked_ioctl = mock_pci_session_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = mock_pci_session_release,
};

static const struct file_operations mock_pci_resume_fops = {
	.owner = THIS_MODULE,
	.write = mock_pci_session_write,
	.release = mock_pci_session_release,
};

/**
 * mock_pci_session_open() - start a data transfer session
 * @mp: the device, which has none
 * @phase: the first phase; with MOCK_PCI_STOP_COPY, the device state is saved
 *
 * Sets &mock_pci.session.
 *
 * Return: the file, which the caller has to put, or a negative errno:
 * * -ENOMEM: out of memory
 * * or another errno of anon_inode_getfile()
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
struct file *mock_pci_session_open(struct mock_pci *mp,
				   enum mock_pci_phase phase)
{
	bool resume = phase == MOCK_PCI_RESUMING;
	struct mock_pci_session *session;
	struct file *file;

	lockdep_assert_held(&mp->md.lock);

	session = kvzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);
	if (!session)
		return ERR_PTR(-ENOMEM);
	kref_init(&session->kref);
	mutex_init(&session->lock);
	session->phase = phase;
	if (!resume)
		mock_pci_state_init(&session->state);
	if (phase == MOCK_PCI_STOP_COPY)
		mock_pci_state_save(mp, &session->state);

	file = anon_inode_getfile("[vfio-mock-pci]", resume ?
				  &mock_pci_resume_fops : &mock_pci_save_fops,
				  session, resume ? O_WRONLY : O_RDONLY);
	if (IS_ERR(file)) {
		kref_put(&session->kref, mock_pci_session_free);
		return file;
	}
	stream_open(file_inode(file), file);
	kref_get(&session->kref);
	mp->session = session;
	return file;
}

/**
 * mock_pci_session_set_phase() - continue with another phase
 * @session: the session
 * @phase: the phase; the device state has the data for it
 *
 * Context: any. The caller holds &mock_dma.lock.
 */
void mock_pci_session_set_phase(struct mock_pci_session *session,
				enum mock_pci_phase phase)
{
	/* Publish the device state before the phase in which it is read. */
	smp_store_release(&session->phase, phase);
}

/**
 * mock_pci_session_end() - end the data transfer session, if there is one
 * @mp: the device
 *
 * Puts the device's reference on the session. Reads and writes of the file that
 * start later fail.
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_pci_session_end(struct mock_pci *mp)
{
	lockdep_assert_held(&mp->md.lock);

	if (!mp->session)
		return;
	mock_pci_session_set_phase(mp->session, MOCK_PCI_ENDED);
	kref_put(&mp->session->kref, mock_pci_session_free);
	mp->session = NULL;
}
