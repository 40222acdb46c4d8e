/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exact count of all page pins in the system, for tests that check that no pin
 * leaks.
 */
#ifndef _KUNIT_PINS_H
#define _KUNIT_PINS_H

#include <linux/mmzone.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

/* Sum a node counter, including the per-CPU differences not yet folded in. */
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
 * pins_sum() - count page pins without synchronizing with other CPUs
 *
 * Fast. The result is wrong while a CPU folds its counter differences, see
 * pins_count().
 *
 * Return: the number of pins; a page that is pinned twice counts twice.
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
 * pins_count() - count page pins
 *
 * Return: the number of pins; a page that is pinned twice counts twice.
 * Context: may sleep.
 */
static inline long pins_count(void)
{
	long pins, again = pins_sum();
	int cpu;

	/*
	 * A per-CPU work folds the difference of its CPU into the node counter.
	 * Meanwhile, the difference is in neither of the two. Running a work on
	 * each CPU waits for a work that folds. Repeat until the sum is stable.
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
