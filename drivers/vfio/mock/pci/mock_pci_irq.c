// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Interrupts of the mock PCI device
 *
 * The device has one MSI. VFIO_DEVICE_SET_IRQS behaves as that of vfio-pci,
 * with one exception: if the file descriptor of a new eventfd is not valid, the
 * old eventfd remains. The workload signals interrupts without &mock_dma.lock,
 * so the eventfds have a lock of their own.
 */
#include <linux/eventfd.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

#include "mock_pci.h"

/**
 * mock_pci_irq_init() - initialize the interrupts of a device
 * @mp: the device
 *
 * Context: process.
 */
void mock_pci_irq_init(struct mock_pci *mp)
{
	spin_lock_init(&mp->irqs.lock);
}

/**
 * mock_pci_get_interrupts() - get the number of interrupts
 * @mp: the device
 *
 * Return: the number of times that the device has signaled its MSI.
 * Context: any that may spin.
 */
u64 mock_pci_get_interrupts(struct mock_pci *mp)
{
	u64 interrupts;

	spin_lock(&mp->irqs.lock);
	interrupts = mp->irqs.interrupts;
	spin_unlock(&mp->irqs.lock);
	return interrupts;
}

/**
 * mock_pci_set_interrupts() - set the number of interrupts
 * @mp: the device
 * @interrupts: the number
 *
 * Context: any that may spin.
 */
void mock_pci_set_interrupts(struct mock_pci *mp, u64 interrupts)
{
	spin_lock(&mp->irqs.lock);
	mp->irqs.interrupts = interrupts;
	spin_unlock(&mp->irqs.lock);
}

/**
 * mock_pci_interrupt() - signal the MSI, if it is enabled and has an eventfd
 * @md: the mock DMA device of a mock PCI device
 *
 * mock_dma_ops.interrupt.
 *
 * Context: process.
 */
void mock_pci_interrupt(struct mock_dma *md)
{
	struct mock_pci_irqs *irqs = &to_mock_pci(md)->irqs;

	spin_lock(&irqs->lock);
	if (irqs->msi) {
		irqs->interrupts++;
		eventfd_signal(irqs->msi);
	}
	spin_unlock(&irqs->lock);
}

/* Signal an eventfd. Returns whether there is one. */
static bool mock_pci_signal(struct mock_pci *mp, struct eventfd_ctx **trigger)
{
	bool set;

	spin_lock(&mp->irqs.lock);
	set = *trigger;
	if (set)
		eventfd_signal(*trigger);
	spin_unlock(&mp->irqs.lock);
	return set;
}

/* Replace an eventfd, and consume the reference on @ctx, which may be NULL. */
static void mock_pci_replace(struct mock_pci *mp, struct eventfd_ctx **trigger,
			     struct eventfd_ctx *ctx)
{
	spin_lock(&mp->irqs.lock);
	swap(*trigger, ctx);
	spin_unlock(&mp->irqs.lock);
	if (ctx)
		eventfd_ctx_put(ctx);
}

/* Replace an eventfd by that of @fd, or by none if @fd is negative. */
static int mock_pci_replace_fd(struct mock_pci *mp,
			       struct eventfd_ctx **trigger, int fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd >= 0) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	mock_pci_replace(mp, trigger, ctx);
	return 0;
}

/**
 * mock_pci_irq_disable() - disable all interrupts, and put the eventfds
 * @mp: the device
 *
 * Context: process. The caller holds &mock_dma.lock.
 */
void mock_pci_irq_disable(struct mock_pci *mp)
{
	lockdep_assert_held(&mp->md.lock);

	mp->irqs.msi_enabled = false;
	mock_pci_replace(mp, &mp->irqs.msi, NULL);
	mock_pci_replace(mp, &mp->irqs.request, NULL);
}

/**
 * mock_pci_request() - request the user to release the device
 * @vdev: the VFIO device
 * @count: number of requests before
 *
 * vfio_device_ops.request.
 *
 * Context: process.
 */
void mock_pci_request(struct vfio_device *vdev, unsigned int count)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));

	mock_pci_signal(mp, &mp->irqs.request);
}

/**
 * mock_pci_irq_count() - get the number of interrupts of an index
 * @index: VFIO_PCI_*_IRQ_INDEX, or any other number
 *
 * Return: the number of interrupts, or 0 if there is no such index.
 */
unsigned int mock_pci_irq_count(unsigned int index)
{
	return index == VFIO_PCI_MSI_IRQ_INDEX ||
	       index == VFIO_PCI_REQ_IRQ_INDEX;
}

static int mock_pci_set_msi(struct mock_pci *mp, const struct vfio_irq_set *set,
			    int data)
{
	struct mock_pci_irqs *irqs = &mp->irqs;
	int rc = 0;

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		/* The errno of vfio-pci if it has no vector to enable. */
		if (!set->count)
			return irqs->msi_enabled ? 0 : -ERANGE;
		rc = mock_pci_replace_fd(mp, &irqs->msi, data);
		if (!rc)
			irqs->msi_enabled = true;
		return rc;
	}
	if (!irqs->msi_enabled)
		return -EINVAL;
	if (!set->count && set->flags & VFIO_IRQ_SET_DATA_NONE) {
		irqs->msi_enabled = false;
		mock_pci_replace(mp, &irqs->msi, NULL);
	} else if (set->count && data) {
		mock_pci_signal(mp, &irqs->msi);
	}
	return 0;
}

static int mock_pci_set_request(struct mock_pci *mp,
				const struct vfio_irq_set *set, int data)
{
	struct mock_pci_irqs *irqs = &mp->irqs;

	if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
		if (!irqs->request)
			return -EINVAL;
		if (set->count)
			mock_pci_signal(mp, &irqs->request);
		else
			mock_pci_replace(mp, &irqs->request, NULL);
		return 0;
	}
	if (!set->count)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_BOOL) {
		if (data)
			mock_pci_signal(mp, &irqs->request);
		return 0;
	}
	if (data < -1)
		return -EINVAL;
	return mock_pci_replace_fd(mp, &irqs->request, data);
}

/* Get the eventfd or the boolean of an interrupt; 1 if there is no data. */
static int mock_pci_get_irq_data(const struct vfio_irq_set *set, size_t size,
				 const void __user *from, int *data)
{
	u8 byte;

	*data = 1;
	if (!size)
		return 0;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return copy_from_user(data, from, sizeof(*data)) ? -EFAULT : 0;
	if (copy_from_user(&byte, from, sizeof(byte)))
		return -EFAULT;
	*data = byte;
	return 0;
}

/**
 * mock_pci_set_irqs() - handle VFIO_DEVICE_SET_IRQS
 * @mp: the device
 * @arg: the ioctl's argument
 *
 * Return:
 * * 0: success
 * * -EINVAL: argsz is too small; there is no such interrupt; the flags are not
 *   valid; or the MSI is not enabled, but shall be disabled or signaled
 * * -ENOTTY: the action is not VFIO_IRQ_SET_ACTION_TRIGGER
 * * -ERANGE: no MSI shall be enabled
 * * -EFAULT: @arg is not readable memory
 * * -EBADF: there is no file of the descriptor
 * * -EINTR: a fatal signal is pending
 *
 * An eventfd of a descriptor that is not one of an eventfd fails with -EINVAL,
 * too. After an error, nothing has changed.
 *
 * Context: process, may fault.
 */
int mock_pci_set_irqs(struct mock_pci *mp, struct vfio_irq_set __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set set;
	size_t size;
	int data, rc;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	rc = vfio_set_irqs_validate_and_prepare(&set,
						mock_pci_irq_count(set.index),
						VFIO_PCI_NUM_IRQS, &size);
	if (rc)
		return rc;
	rc = mock_pci_get_irq_data(&set, size, &arg->data, &data);
	if (rc)
		return rc;
	if ((set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) !=
	    VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;

	if (mutex_lock_killable(&mp->md.lock))
		return -EINTR;
	if (set.index == VFIO_PCI_MSI_IRQ_INDEX)
		rc = mock_pci_set_msi(mp, &set, data);
	else
		rc = mock_pci_set_request(mp, &set, data);
	mutex_unlock(&mp->md.lock);
	return rc;
}
