/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many pages of the system are pinned, to the unit, for tests that see to it
 * that none is left so.
 */
#ifndef _KUNIT_PINS_H
#define _KUNIT_PINS_H

#include <linux/mmzone.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

/* A node counter, with what the CPUs still keep to themselves. */
static inline long pins_node_state(enum node_stat_item item)
{
	long sum = atomic_long_read(&vm_node_stat[item]);
#ifdef CONFIG_SMP
	int nid, cpu;

	for_each_online_node(nid)
		for_each_online_cpu(cpu)
			sum += per_cpu_ptr(NODE_DATA(nid)->per_cpu_nodestats,
					   cpu)->vm_node_stat_diff[item];
#endif
	return sum;
}

/**
 * pins_sum() - count pins, fast
 *
 * Return: how many there are, each page as often as it is pinned; now and then
 * another number, see pins_count().
 * Context: any.
 */
static inline long pins_sum(void)
{
	return pins_node_state(NR_FOLL_PIN_ACQUIRED) -
	       pins_node_state(NR_FOLL_PIN_RELEASED);
}

static inline long pins_nothing(void *arg)
{
	return 0;
}

/**
 * pins_count() - count pins
 *
 * Return: how many there are, each page as often as it is pinned.
 * Context: may sleep.
 */
static inline long pins_count(void)
{
	long pins, again = pins_sum();
	int cpu;

	/*
	 * A CPU moves what it kept to itself to the sum in a work of its own,
	 * and for a moment that is in neither. When another work has run there
	 * the moment is over.
	 */
	do {
		pins = again;
		for_each_online_cpu(cpu)
			work_on_cpu(cpu, pins_nothing, NULL);
		again = pins_sum();
	} while (again != pins);
	return pins;
}

#endif
