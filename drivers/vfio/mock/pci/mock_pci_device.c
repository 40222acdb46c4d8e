// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The mock PCI device
 *
 * A platform device "vfio-mock-pci.N" is a mock DMA device behind the mock
 * IOMMU. Its VFIO device has the interface of vfio-pci: config space, a BAR and
 * an interrupt. It supports migration. So a VMM can assign it to a guest by its
 * path in sysfs, and migrate the guest.
 *
 * BAR 0 has the registers and the buffer of the mock DMA device. It has no
 * truth log: its granules would be those of one host, but the guest continues
 * on another one. mmap() fails with -EINVAL.
 */
#include <linux/cleanup.h>

#include "mock_pci.h"

static const struct mock_dma_ops mock_pci_ops = {
	.read = mock_dma_physical_read,
	.write = mock_dma_physical_write,
	.release = mock_dma_pins_release,
	.interrupt = mock_pci_interrupt,
};

static int mock_pci_init(struct vfio_device *vdev)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));

	mock_pci_irq_init(mp);
	mock_pci_config_init(mp->config);
	/* debugfs shows the state also of a device that is not open. */
	mp->mig_state = VFIO_DEVICE_STATE_RUNNING;
	return mock_dma_init(vdev);
}

static void mock_pci_reset(struct mock_pci *mp)
{
	mock_dma_reset(&mp->md);
	mock_pci_migration_reset(mp);
	mock_pci_set_interrupts(mp, 0);
}

static int mock_pci_open(struct vfio_device *vdev)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));

	guard(mutex)(&mp->md.lock);
	mock_pci_reset(mp);
	mock_pci_config_init(mp->config);
	return 0;
}

static void mock_pci_close(struct vfio_device *vdev)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));

	guard(mutex)(&mp->md.lock);
	mock_pci_reset(mp);
	mock_pci_irq_disable(mp);
}

static int mock_pci_user_reset(struct mock_pci *mp)
{
	scoped_cond_guard(mutex_intr, return -EINTR, &mp->md.lock)
		mock_pci_reset(mp);
	return 0;
}

static long mock_pci_ioctl(struct vfio_device *vdev, unsigned int cmd,
			   unsigned long arg)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return mock_pci_get_info(uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return mock_pci_get_region_info(uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return mock_pci_get_irq_info(uarg);
	case VFIO_DEVICE_SET_IRQS:
		return mock_pci_set_irqs(mp, uarg);
	case VFIO_DEVICE_RESET:
		return mock_pci_user_reset(mp);
	default:
		return -ENOTTY;
	}
}

static ssize_t mock_pci_rw(struct vfio_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos, bool write)
{
	struct mock_pci *mp = to_mock_pci(to_mock_dma(vdev));
	unsigned int index = mock_dma_region_index(*ppos);
	u64 offset = *ppos - mock_dma_region_offset(index);
	ssize_t done;

	if (!count)
		return 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		done = mock_pci_config_rw(mp, buf, count, offset, write);
	else if (index == VFIO_PCI_BAR0_REGION_INDEX)
		done = mock_pci_bar_rw(mp, buf, count, offset, write);
	else
		return -EINVAL;
	if (done > 0)
		*ppos += done;
	return done;
}

static ssize_t mock_pci_read(struct vfio_device *vdev, char __user *buf,
			     size_t count, loff_t *ppos)
{
	return mock_pci_rw(vdev, buf, count, ppos, false);
}

static ssize_t mock_pci_write(struct vfio_device *vdev, const char __user *buf,
			      size_t count, loff_t *ppos)
{
	return mock_pci_rw(vdev, (char __user *)buf, count, ppos, true);
}

static const struct vfio_device_ops mock_pci_vfio_ops = {
	.name = "vfio-mock-pci",
	.init = mock_pci_init,
	.release = mock_dma_release,
	.open_device = mock_pci_open,
	.close_device = mock_pci_close,
	.ioctl = mock_pci_ioctl,
	.read = mock_pci_read,
	.write = mock_pci_write,
	.request = mock_pci_request,
	.dma_unmap = mock_dma_pins_unmap,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

static int mock_pci_add(struct vfio_device *vdev)
{
	vdev->mig_ops = &mock_pci_migration_ops;
	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
				VFIO_MIGRATION_PRE_COPY;
	return vfio_register_group_dev(vdev);
}

/* Devices "vfio-mock-pci". */
const struct mock_dma_kind mock_pci_kind = {
	.size = sizeof(struct mock_pci),
	.ops = &mock_pci_ops,
	.vfio_ops = &mock_pci_vfio_ops,
	.add = mock_pci_add,
};

static_assert(!offsetof(struct mock_pci, md));
