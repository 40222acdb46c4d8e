// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Tests of the mock PCI device
 *
 * Tests of config space and of the device state, which need no VFIO user. The
 * checksum of a device state protects its values, so the checks of values are
 * tested with a checksum that fits.
 */
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/stddef.h>

#include "pci/mock_pci.h"

#define ROUNDS	2000

static struct mock_pci *mock_pci_test_device(struct kunit *test)
{
	struct mock_pci *mp = kunit_kzalloc(test, sizeof(*mp), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mp);
	mp->md.buffer = kunit_kzalloc(test, VFIO_MOCK_DMA_BUFFER, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mp->md.buffer);
	mutex_init(&mp->md.lock);
	spin_lock_init(&mp->md.fault_lock);
	mock_pci_irq_init(mp);
	mock_pci_config_init(mp->config);
	mp->md.regs = (struct vfio_mock_dma_regs) {
		.magic = VFIO_MOCK_DMA_MAGIC,
		.version = VFIO_MOCK_DMA_VERSION,
		.work_length = MOCK_DMA_UNIT_MAX,
		.work_stride = MOCK_DMA_UNIT_MAX,
		.truth_granule = 8,
	};
	return mp;
}

/* Save the state of a device with a workload that has done 5 writes. */
static struct mock_pci_state *mock_pci_test_state(struct kunit *test,
						  struct mock_pci *mp)
{
	struct mock_pci_state *state =
		kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, state);
	mp->md.work.suspended = true;
	mp->md.work.writes = 5;
	mock_pci_state_init(state);
	mutex_lock(&mp->md.lock);
	mock_pci_state_save(mp, state);
	mutex_unlock(&mp->md.lock);
	return state;
}

/* A write changes the writable bits, and any result is valid. */
static void mock_pci_test_config_write_keeps_valid(struct kunit *test)
{
	u8 config[PCI_CFG_SPACE_SIZE], ones[PCI_CFG_SPACE_SIZE];
	u8 zeroes[PCI_CFG_SPACE_SIZE], data[8], before[PCI_CFG_SPACE_SIZE];
	struct rnd_state rnd;
	unsigned int n, i;

	mock_pci_config_init(zeroes);
	KUNIT_ASSERT_TRUE(test, mock_pci_config_is_valid(zeroes));
	memset(ones, 0xff, sizeof(ones));
	memcpy(config, zeroes, sizeof(config));
	mock_pci_config_write(config, 0, ones, sizeof(ones));
	memcpy(ones, config, sizeof(ones));
	memset(before, 0, sizeof(before));
	mock_pci_config_write(zeroes, 0, before, sizeof(before));

	prandom_seed_state(&rnd, 1);
	for (n = 0; n < ROUNDS; n++) {
		unsigned int count = 1 + prandom_u32_state(&rnd) % sizeof(data);
		unsigned int at = prandom_u32_state(&rnd) %
				  (sizeof(config) - count + 1);

		prandom_bytes_state(&rnd, data, sizeof(data));
		memcpy(before, config, sizeof(before));
		mock_pci_config_write(config, at, data, count);
		KUNIT_ASSERT_TRUE(test, mock_pci_config_is_valid(config));
		for (i = 0; i < sizeof(config); i++) {
			u8 mask = ones[i] ^ zeroes[i];

			if (i < at || i >= at + count)
				mask = 0;
			KUNIT_ASSERT_EQ(test, config[i], (before[i] & ~mask) |
					(mask ? data[i - at] & mask : 0));
		}
	}
}

/* Config space with another value of a read-only bit is not valid. */
static void mock_pci_test_config_read_only_bits_are_checked(struct kunit *test)
{
	u8 initial[PCI_CFG_SPACE_SIZE], written[PCI_CFG_SPACE_SIZE];
	u8 config[PCI_CFG_SPACE_SIZE];
	unsigned int bit, writable = 0;

	mock_pci_config_init(initial);
	for (bit = 0; bit < PCI_CFG_SPACE_SIZE * BITS_PER_BYTE; bit++) {
		unsigned int byte = bit / BITS_PER_BYTE;

		memcpy(config, initial, sizeof(config));
		config[byte] ^= BIT(bit % BITS_PER_BYTE);
		memcpy(written, initial, sizeof(written));
		mock_pci_config_write(written, byte, &config[byte], 1);
		KUNIT_ASSERT_EQ(test, mock_pci_config_is_valid(config),
				!memcmp(written, config, sizeof(config)));
		writable += mock_pci_config_is_valid(config);
	}
	/* Command, cache line and timer, BAR, interrupt line, and the MSI. */
	KUNIT_EXPECT_EQ(test, writable, 5 + 16 + 15 + 8 + 1 + 30 + 32 + 16);
}

/* A device state can be loaded only as a whole. */
static void mock_pci_test_state_length_is_checked(struct kunit *test)
{
	struct mock_pci *mp = mock_pci_test_device(test);
	struct mock_pci_state *state = mock_pci_test_state(test, mp);
	size_t length;

	KUNIT_EXPECT_EQ(test, mock_pci_state_check(state, sizeof(*state)), 0);
	for (length = 0; length < sizeof(*state); length++)
		KUNIT_ASSERT_EQ(test, mock_pci_state_check(state, length),
				-EINVAL);
	KUNIT_EXPECT_EQ(test, mock_pci_state_check(state, sizeof(*state) + 1),
			-EINVAL);
}

/* A device state with a changed bit is not valid: each byte but the buffer. */
static void mock_pci_test_state_changes_are_found(struct kunit *test)
{
	struct mock_pci *mp = mock_pci_test_device(test);
	struct mock_pci_state *state = mock_pci_test_state(test, mp);
	const size_t buffer = offsetof(struct mock_pci_state, body.buffer);
	u8 *bytes = (u8 *)state;
	size_t i;

	for (i = 0; i < sizeof(*state); i++) {
		if (i > buffer && i % 1021 &&
		    i < buffer + sizeof(state->body.buffer) - 1)
			continue;
		bytes[i] ^= BIT(i % BITS_PER_BYTE);
		KUNIT_ASSERT_EQ(test, mock_pci_state_check(state,
							   sizeof(*state)),
				-EINVAL);
		bytes[i] ^= BIT(i % BITS_PER_BYTE);
	}
	KUNIT_EXPECT_EQ(test, mock_pci_state_check(state, sizeof(*state)), 0);
}

#define BODY(member)	offsetof(struct mock_pci_body, member)

/* A value of 4 bytes in the body, and the result of the check. */
struct mock_pci_value_case {
	const char *name;
	size_t offset;
	u32 value;
	int rc;
};

static const struct mock_pci_value_case mock_pci_value_cases[] = {
	{ "other registers", BODY(regs.magic), 1, -EINVAL },
	{ "other version", BODY(regs.version), 2, -EINVAL },
	{ "last command", BODY(regs.command), VFIO_MOCK_DMA_CMD_COPY, 0 },
	{ "no such command", BODY(regs.command), 5, -EINVAL },
	{ "fault", BODY(regs.status), VFIO_MOCK_DMA_FAULT, 0 },
	{ "no such status", BODY(regs.status), 2, -EINVAL },
	{ "last reason", BODY(regs.fault_reason), 5, 0 },
	{ "no such reason", BODY(regs.fault_reason), 6, -EINVAL },
	{ "stopped workload", BODY(regs.work_control), 0, 0 },
	{ "no such control", BODY(regs.work_control), 2, -EINVAL },
	{ "work of another unit", BODY(regs.work_stride), 8, 0 },
	{ "work of no unit", BODY(regs.work_stride), 24, -EINVAL },
	{ "work of no length", BODY(regs.work_length), 0, -EINVAL },
	{ "hot set of no length", BODY(regs.work_hot_percent), 1, -EINVAL },
	{ "any number of writes", BODY(regs.work_writes), ~0U, 0 },
	{ "truth log", BODY(regs.truth_control), 1, -EINVAL },
	{ "truth granule", BODY(regs.truth_granule), 8, -EINVAL },
	{ "truth iova", BODY(regs.truth_iova), 8, -EINVAL },
	{ "truth length", BODY(regs.truth_length), 8, -EINVAL },
	{ "reserved register", BODY(regs.reserved), 1, -EINVAL },
	{ "reserved", BODY(reserved), 1, -EINVAL },
	{ "reserved2", BODY(reserved2), 1, -EINVAL },
	{ "any number of migrations", BODY(migrations), ~0U, 0 },
	{ "other device ID", BODY(config), 0x12345678, -EINVAL },
	{ "BAR", BODY(config) + PCI_BASE_ADDRESS_0, 0xfe000000, 0 },
	{ "BAR of I/O", BODY(config) + PCI_BASE_ADDRESS_0, 1, -EINVAL },
	{ "another BAR", BODY(config) + PCI_BASE_ADDRESS_1, 0x1000, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(mock_pci_value, mock_pci_value_cases, name);

static void mock_pci_test_state_values_are_checked(struct kunit *test)
{
	const struct mock_pci_value_case *c = test->param_value;
	struct mock_pci *mp = mock_pci_test_device(test);
	struct mock_pci_state *state = mock_pci_test_state(test, mp);
	struct mock_pci_body *body = &state->body;

	memcpy((void *)body + c->offset, &c->value, sizeof(c->value));
	body->crc = crc32_le(~0U, (void *)body, offsetof(typeof(*body), crc));
	KUNIT_EXPECT_EQ(test, mock_pci_state_check(state, sizeof(*state)),
			c->rc);
}

/* The state of a device is that of the other device after a load. */
static void mock_pci_test_loaded_state_is_that_saved(struct kunit *test)
{
	struct mock_pci *src = mock_pci_test_device(test);
	struct mock_pci *dst = mock_pci_test_device(test);
	struct mock_pci_state *state, *again;

	src->md.regs.pattern = 0x1234;
	src->md.regs.truth_iova = 8;
	src->md.fault_count = 3;
	src->md.fault.iova = 0x5000;
	src->md.fault.reason = IOMMU_MOCK_FAULT_WRITE;
	src->migrations = 6;
	src->irqs.interrupts = 9;
	memset(src->md.buffer, 0x5a, VFIO_MOCK_DMA_BUFFER);
	src->config[PCI_INTERRUPT_LINE] = 11;
	state = mock_pci_test_state(test, src);

	dst->md.regs.truth_iova = 0x800;
	mutex_lock(&dst->md.lock);
	mock_pci_state_load(dst, state);
	mutex_unlock(&dst->md.lock);
	KUNIT_EXPECT_EQ(test, dst->migrations, 7);
	KUNIT_EXPECT_TRUE(test, dst->md.work.suspended);
	KUNIT_EXPECT_EQ(test, dst->md.work.writes, 5);
	/* The truth log is that of the device. */
	KUNIT_EXPECT_EQ(test, dst->md.regs.truth_iova, 0x800);
	KUNIT_EXPECT_EQ(test, dst->md.regs.truth_granule, 8);

	dst->migrations = 6;
	again = mock_pci_test_state(test, dst);
	KUNIT_EXPECT_MEMEQ(test, state, again, sizeof(*state));
}

static struct kunit_case mock_pci_test_cases[] = {
	KUNIT_CASE(mock_pci_test_config_write_keeps_valid),
	KUNIT_CASE(mock_pci_test_config_read_only_bits_are_checked),
	KUNIT_CASE(mock_pci_test_state_length_is_checked),
	KUNIT_CASE(mock_pci_test_state_changes_are_found),
	KUNIT_CASE_PARAM(mock_pci_test_state_values_are_checked,
			 mock_pci_value_gen_params),
	KUNIT_CASE(mock_pci_test_loaded_state_is_that_saved),
	{}
};

static struct kunit_suite mock_pci_test_suite = {
	.name = "vfio-mock-pci",
	.test_cases = mock_pci_test_cases,
};

kunit_test_suite(mock_pci_test_suite);
