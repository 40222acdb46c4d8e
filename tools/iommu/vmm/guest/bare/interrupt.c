// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: interrupts of the guest
 *
 * The guest waits with the CPU halted, so that its virtual CPU leaves the real one
 * to the migration. The timer of the local APIC ends a wait; handlers of the MSIs
 * increment a number. Interrupts are on only in machine_wait().
 */
#include "bare.h"

#define APIC		0xfee00000u
#define APIC_EOI	0xb0
#define APIC_SPURIOUS	0xf0
#define  APIC_ENABLE	0x100
#define APIC_TIMER	0x320
#define APIC_COUNT	0x380
#define APIC_DIVIDE	0x3e0
#define  DIVIDE_BY_16	3

/* QEMU's APIC has a clock of 1 GHz: 10 ms */
#define WAIT_COUNT	(1000000000u / 16 / 100)

#define CODE		0x08
#define INTERRUPT_GATE	0x8e00u

/* The operand of lgdt and lidt. */
struct pointer {
	__u16 limit, low, high;
};

struct frame;

static const __u64 segments[] = {
	0, 0x00cf9a000000ffffULL /* code */, 0x00cf92000000ffffULL /* data */
};

static __u64 gates[256];
static struct device *owners[MAX_DEVICES];

static void apic_write(__u32 reg, __u32 value)
{
	__atomic_store_n((__u32 *)(APIC + reg), value, __ATOMIC_RELEASE);
}

static void count(unsigned int k)
{
	if (owners[k])
		__atomic_add_fetch(&owners[k]->interrupts, 1,
				   __ATOMIC_RELAXED);
	apic_write(APIC_EOI, 0);
}

#define MSI_HANDLER(k)							\
	[[gnu::interrupt, gnu::target("general-regs-only")]]		\
	static void on_msi##k(struct frame *frame)			\
	{								\
		(void)frame;						\
		count(k);						\
	}
MSI_HANDLER(0)
MSI_HANDLER(1)
MSI_HANDLER(2)
MSI_HANDLER(3)

[[gnu::interrupt, gnu::target("general-regs-only")]]
static void on_timer(struct frame *frame)
{
	(void)frame;
	apic_write(APIC_EOI, 0);
}

[[gnu::interrupt, gnu::target("general-regs-only")]]
static void on_spurious(struct frame *frame)
{
	(void)frame;
}

static void set_gate(unsigned int vector, void (*handler)(struct frame *frame))
{
	__u32 address = (__u32)handler;

	gates[vector] = (address & 0xffff) | CODE << 16 |
			(__u64)((address & 0xffff0000) | INTERRUPT_GATE) << 32;
}

void route_interrupt(unsigned int k, struct device *device)
{
	owners[k] = device;
}

static struct pointer pointer_to(const void *table, __u32 size)
{
	__u32 address = (__u32)table;

	return (struct pointer){ size - 1, address & 0xffff, address >> 16 };
}

void interrupts_init(void)
{
	struct pointer gdt = pointer_to(segments, sizeof(segments));
	struct pointer idt = pointer_to(gates, sizeof(gates));

	asm volatile("lgdt %0\n\t"
		     "ljmp %1, $1f\n"
		     "1:\n\t"
		     "mov %2, %%ds\n\t"
		     "mov %2, %%es\n\t"
		     "mov %2, %%ss"
		     :: "m"(gdt), "i"(CODE), "r"(2 * 8) : "memory");
	set_gate(VECTOR_MSI + 0, on_msi0);
	set_gate(VECTOR_MSI + 1, on_msi1);
	set_gate(VECTOR_MSI + 2, on_msi2);
	set_gate(VECTOR_MSI + 3, on_msi3);
	set_gate(VECTOR_TIMER, on_timer);
	set_gate(VECTOR_SPURIOUS, on_spurious);
	asm volatile("lidt %0" :: "m"(idt) : "memory");
	/* The two old interrupt controllers stay silent. */
	port_write8(0x21, 0xff);
	port_write8(0xa1, 0xff);
	apic_write(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_DIVIDE, DIVIDE_BY_16);
	apic_write(APIC_TIMER, VECTOR_TIMER);
}

void machine_wait(void)
{
	apic_write(APIC_COUNT, WAIT_COUNT);
	/* The CPU takes no interrupt between sti and hlt. */
	asm volatile("sti; hlt; cli" ::: "memory");
}
