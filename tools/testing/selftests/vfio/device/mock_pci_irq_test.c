// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: interrupts of the mock PCI device
 *
 * The device signals an eventfd when a command ends, and for each fault of the
 * workload. VFIO_DEVICE_SET_IRQS behaves as that of vfio-pci.
 */
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/test.h"

#define IOVA		0x200000ULL
#define LENGTH		(16 * SZ_4K)
#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX
#define BAR0		VFIO_PCI_BAR0_REGION_INDEX
#define MSI		VFIO_PCI_MSI_IRQ_INDEX
#define REQ		VFIO_PCI_REQ_IRQ_INDEX

#define EVENTFD_TRIGGER	\
	(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE_TRIGGER	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BOOL_TRIGGER	(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER)

FIXTURE(mock_pci_irq)
{
	struct bench bench;
	int event;
};

FIXTURE_SETUP(mock_pci_irq)
{
	bench_open_pci(_metadata, &self->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_LE(0, self->event);
}

FIXTURE_TEARDOWN(mock_pci_irq)
{
	close(self->event);
	bench_close(_metadata, &self->bench);
}

TEST_F(mock_pci_irq, irq_info_has_one_msi_and_one_request)
{
	static const struct {
		int rc;
		__u32 flags, count;
	} irqs[VFIO_PCI_NUM_IRQS + 1] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = {
			.flags = VFIO_IRQ_INFO_EVENTFD |
				 VFIO_IRQ_INFO_MASKABLE |
				 VFIO_IRQ_INFO_AUTOMASKED,
		},
		[VFIO_PCI_MSI_IRQ_INDEX] = {
			.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
			.count = 1,
		},
		[VFIO_PCI_MSIX_IRQ_INDEX] = {
			.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
		},
		[VFIO_PCI_ERR_IRQ_INDEX] = { .rc = -EINVAL },
		[VFIO_PCI_REQ_IRQ_INDEX] = {
			.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
			.count = 1,
		},
		[VFIO_PCI_NUM_IRQS] = { .rc = -EINVAL },
	};
	int fd = self->bench.dev.fd;

	for (__u32 i = 0; i < ARRAY_SIZE(irqs); i++) {
		struct vfio_irq_info info = {
			.argsz = sizeof(info), .index = i,
		};

		ASSERT_EQ(irqs[i].rc, xioctl(fd, VFIO_DEVICE_GET_IRQ_INFO,
					     &info)) {
			TH_LOG("interrupt %u", i);
		}
		ASSERT_EQ(irqs[i].flags, info.flags);
		ASSERT_EQ(irqs[i].count, info.count);
		info.argsz--;
		ASSERT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	}
}

/* VFIO_DEVICE_SET_IRQS with @size bytes of data. */
static int set_irqs(struct vfio_dev *dev, __u32 index, __u32 flags, __u32 start,
		    __u32 count, const void *data, size_t size)
{
	struct {
		struct vfio_irq_set set;
		__u8 data[16];
	} arg = {
		.set = {
			.argsz = sizeof(arg.set) + size,
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
		},
	};

	if (size)
		memcpy(arg.data, data, size);
	return xioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &arg);
}

static int set_eventfd(struct vfio_dev *dev, __u32 index, __s32 fd)
{
	return set_irqs(dev, index, EVENTFD_TRIGGER, 0, 1, &fd, sizeof(fd));
}

/* The number of signals since the last call. */
static __u64 signals(int event)
{
	__u64 count = 0;

	return read(event, &count, sizeof(count)) < 0 ? 0 : count;
}

static __u64 interrupts(struct __test_metadata *_metadata, struct vfio_dev *dev)
{
	struct vfio_mock_pci_regs regs;

	ASSERT_EQ(sizeof(regs), __vfio_dev_read(dev, BAR0,
						VFIO_MOCK_PCI_BAR_PCI_REGS,
						&regs, sizeof(regs)));
	return regs.interrupts;
}

TEST_F(mock_pci_irq, each_command_signals_the_msi_once)
{
	struct vfio_dev *dev = &self->bench.dev;

	mock_fill(_metadata, dev, IOVA, 8, 1);
	ASSERT_EQ(0, interrupts(_metadata, dev));
	ASSERT_EQ(0, set_eventfd(dev, MSI, self->event));
	ASSERT_EQ(0, signals(self->event));
	mock_fill(_metadata, dev, IOVA, LENGTH, 1);
	ASSERT_EQ(1, signals(self->event));
	ASSERT_EQ(1, interrupts(_metadata, dev));

	/* A command that faults ends, too. One that is not valid does not. */
	ASSERT_EQ(0, __mock_fill(dev, IOVA + LENGTH, 8, 1));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, mock_get(_metadata, dev,
						MOCK_REG(status)));
	ASSERT_EQ(1, signals(self->event));
	ASSERT_EQ(-EINVAL, __mock_fill(dev, IOVA, 0, 1));
	ASSERT_EQ(0, signals(self->event));
	ASSERT_EQ(2, interrupts(_metadata, dev));

	ASSERT_EQ(0, set_irqs(dev, MSI, NONE_TRIGGER, 0, 0, NULL, 0));
	mock_fill(_metadata, dev, IOVA, 8, 1);
	ASSERT_EQ(0, signals(self->event));
	ASSERT_EQ(2, interrupts(_metadata, dev));
}

TEST_F(mock_pci_irq, each_fault_of_the_workload_signals_the_msi)
{
	const struct mock_work work = {
		.iova = IOVA, .length = 2 * LENGTH, .stride = SZ_4K, .seed = 3,
	};
	struct vfio_dev *dev = &self->bench.dev;
	__u64 faults;

	ASSERT_EQ(0, set_eventfd(dev, MSI, self->event));
	mock_work_start(_metadata, dev, &work);
	mock_work_wait(_metadata, dev, 100);
	mock_work_stop(_metadata, dev);
	faults = mock_get(_metadata, dev, MOCK_REG(fault_count));
	ASSERT_NE(0, faults);
	ASSERT_EQ(faults, interrupts(_metadata, dev));
	ASSERT_EQ(faults, signals(self->event));
}

static const struct {
	__u32 index, flags, start, count;
	size_t size;
	int rc;
} bad_irqs[] = {
	{ MSI, NONE_TRIGGER, 0, 0, 0, -EINVAL },
	{ MSI, NONE_TRIGGER, 0, 1, 0, -EINVAL },
	{ MSI, BOOL_TRIGGER, 0, 1, 1, -EINVAL },
	{ MSI, EVENTFD_TRIGGER, 0, 0, 0, -ERANGE },
	{ MSI, EVENTFD_TRIGGER, 0, 1, 3, -EINVAL },
	{ MSI, EVENTFD_TRIGGER, 0, 1, 0, -EINVAL },
	{ MSI, EVENTFD_TRIGGER, 0, 2, 8, -EINVAL },
	{ MSI, EVENTFD_TRIGGER, 1, 1, 4, -EINVAL },
	{ MSI, EVENTFD_TRIGGER, 1, 0, 0, -EINVAL },
	{ MSI, EVENTFD_TRIGGER, 0, ~0U, 4, -EINVAL },
	{ MSI, VFIO_IRQ_SET_DATA_EVENTFD, 0, 1, 4, -ENOTTY },
	{ MSI, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, 4, -EINVAL },
	{ MSI, EVENTFD_TRIGGER | VFIO_IRQ_SET_DATA_NONE, 0, 1, 4, -EINVAL },
	{ MSI, EVENTFD_TRIGGER | 0x40, 0, 1, 4, -EINVAL },
	{ MSI, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, 0,
	  -ENOTTY },
	{ MSI, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, 0,
	  -ENOTTY },
	{ VFIO_PCI_INTX_IRQ_INDEX, EVENTFD_TRIGGER, 0, 1, 4, -EINVAL },
	{ VFIO_PCI_INTX_IRQ_INDEX, NONE_TRIGGER, 0, 0, 0, -EINVAL },
	{ VFIO_PCI_MSIX_IRQ_INDEX, EVENTFD_TRIGGER, 0, 1, 4, -EINVAL },
	{ VFIO_PCI_ERR_IRQ_INDEX, EVENTFD_TRIGGER, 0, 1, 4, -EINVAL },
	{ VFIO_PCI_NUM_IRQS, EVENTFD_TRIGGER, 0, 1, 4, -EINVAL },
	{ REQ, NONE_TRIGGER, 0, 0, 0, -EINVAL },
	{ REQ, NONE_TRIGGER, 0, 1, 0, -EINVAL },
	{ REQ, BOOL_TRIGGER, 0, 0, 0, -EINVAL },
	{ REQ, EVENTFD_TRIGGER, 0, 0, 0, -EINVAL },
};

TEST_F(mock_pci_irq, set_irqs_with_bad_arguments_has_the_errno_of_vfio_pci)
{
	struct vfio_dev *dev = &self->bench.dev;
	struct vfio_irq_set small = { .argsz = 19 };
	__s32 data[2] = { self->event, self->event };

	for (size_t i = 0; i < ARRAY_SIZE(bad_irqs); i++) {
		ASSERT_EQ(bad_irqs[i].rc,
			  set_irqs(dev, bad_irqs[i].index, bad_irqs[i].flags,
				   bad_irqs[i].start, bad_irqs[i].count, data,
				   bad_irqs[i].size)) {
			TH_LOG("bad_irqs[%zu]", i);
		}
	}
	ASSERT_EQ(-EINVAL, xioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &small));
	ASSERT_EQ(-EFAULT, xioctl(dev->fd, VFIO_DEVICE_SET_IRQS, NULL));
	ASSERT_EQ(-EBADF, set_eventfd(dev, MSI, 1000));
	ASSERT_EQ(-EINVAL, set_eventfd(dev, MSI, dev->fd));
	ASSERT_EQ(-EINVAL, set_eventfd(dev, REQ, -2));
	/* None of them has enabled the MSI. */
	ASSERT_EQ(-EINVAL, set_irqs(dev, MSI, NONE_TRIGGER, 0, 1, NULL, 0));
	mock_fill(_metadata, dev, IOVA, 8, 1);
	ASSERT_EQ(0, signals(self->event));
}

/* Userspace can signal an eventfd through the device. */
TEST_F(mock_pci_irq, set_irqs_signals_on_request)
{
	static const __u32 indices[] = { MSI, REQ };
	struct vfio_dev *dev = &self->bench.dev;
	__u8 yes = 1, no = 0;

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		__u32 index = indices[i];

		ASSERT_EQ(0, set_eventfd(dev, index, self->event));
		ASSERT_EQ(0, set_irqs(dev, index, NONE_TRIGGER, 0, 1, NULL, 0));
		ASSERT_EQ(1, signals(self->event));
		ASSERT_EQ(0, set_irqs(dev, index, BOOL_TRIGGER, 0, 1, &yes, 1));
		ASSERT_EQ(1, signals(self->event));
		ASSERT_EQ(0, set_irqs(dev, index, BOOL_TRIGGER, 0, 1, &no, 1));
		ASSERT_EQ(0, signals(self->event));
		ASSERT_EQ(0, set_eventfd(dev, index, -1));
		ASSERT_EQ(index == MSI ? 0 : -EINVAL,
			  set_irqs(dev, index, NONE_TRIGGER, 0, 1, NULL, 0));
		ASSERT_EQ(0, signals(self->event));
	}
	/* The MSI is enabled without an eventfd. */
	ASSERT_EQ(0, set_irqs(dev, MSI, EVENTFD_TRIGGER, 0, 0, NULL, 0));
	ASSERT_EQ(0, set_irqs(dev, MSI, NONE_TRIGGER, 0, 0, NULL, 0));
	ASSERT_EQ(-EINVAL, set_irqs(dev, MSI, NONE_TRIGGER, 0, 0, NULL, 0));
	ASSERT_EQ(0, interrupts(_metadata, dev));
}

TEST_F(mock_pci_irq, failed_replacement_keeps_the_eventfd)
{
	struct vfio_dev *dev = &self->bench.dev;

	ASSERT_EQ(0, set_eventfd(dev, MSI, self->event));
	ASSERT_EQ(-EBADF, set_eventfd(dev, MSI, 1000));
	mock_fill(_metadata, dev, IOVA, 8, 1);
	ASSERT_EQ(1, signals(self->event));
}

TEST_F(mock_pci_irq, reset_keeps_config_space_and_the_msi)
{
	struct vfio_dev *dev = &self->bench.dev;
	__u32 bar = 0xfe000000, seen;

	ASSERT_EQ(4, __vfio_dev_write(dev, CONFIG, PCI_BASE_ADDRESS_0, &bar,
				      4));
	ASSERT_EQ(0, set_eventfd(dev, MSI, self->event));
	mock_fill(_metadata, dev, IOVA, 8, 1);
	ASSERT_EQ(1, interrupts(_metadata, dev));
	ASSERT_EQ(0, __vfio_dev_reset(dev));
	ASSERT_EQ(0, interrupts(_metadata, dev));
	ASSERT_EQ(0, mock_get(_metadata, dev, MOCK_REG(pattern)));
	ASSERT_EQ(4, __vfio_dev_read(dev, CONFIG, PCI_BASE_ADDRESS_0, &seen,
				     4));
	ASSERT_EQ(bar, seen);
	ASSERT_EQ(1, signals(self->event));
	mock_fill(_metadata, dev, IOVA, 8, 1);
	ASSERT_EQ(1, signals(self->event));
}

/* The next user finds the initial config space, and no interrupt. */
TEST_F(mock_pci_irq, close_clears_config_space_and_the_msi)
{
	struct bench *bench = &self->bench;
	__u32 bar = 0xfe000000, seen;

	ASSERT_EQ(4, __vfio_dev_write(&bench->dev, CONFIG, PCI_BASE_ADDRESS_0,
				      &bar, 4));
	ASSERT_EQ(0, set_eventfd(&bench->dev, MSI, self->event));
	bench_close(_metadata, bench);
	bench_open_pci(_metadata, bench, MODE_TYPE1, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	ASSERT_EQ(4, __vfio_dev_read(&bench->dev, CONFIG, PCI_BASE_ADDRESS_0,
				     &seen, 4));
	ASSERT_EQ(0, seen);
	mock_fill(_metadata, &bench->dev, IOVA, 8, 1);
	ASSERT_EQ(0, signals(self->event));
}

TEST_HARNESS_MAIN
