// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the run of the guest
 *
 * Every device writes its range. When the count of migrations of each device
 * has grown, the guest has moved: it stops them, compares ("after-move"), starts them again where
 * they are now, and compares once more ("at-home"). Then it waits for the next move,
 * or ends. A guest that does not move does the last part only.
 */
#include "guest.h"

static struct device devices[MAX_DEVICES];
/* The last one is for memory that is hot-added; device 0 writes it. */
static struct range ranges[MAX_DEVICES + 1];
static unsigned int nr_devices;
static struct range *plugged;

/* Several devices: which one a line is about. */
static int number_of(const struct device *dev)
{
	return nr_devices > 1 ? (int)(dev - devices) : -1;
}

/* The range that a device writes now. */
static struct range *current_range(const struct device *dev)
{
	return plugged && dev == devices ? plugged : &ranges[dev - devices];
}

static void prepare_range(struct range *r, unsigned int k, struct device *dev)
{
	r->dev = dev;
	r->work.stride = parameter("stride", 64);
	r->work.length = parameter("length", 16) * MIB;
	r->work.hot = parameter("hot", 512) * 1024;
	r->work.hot_percent = parameter("hot-percent", 50);
	r->work.rate = parameter("rate", 2000);
	r->work.seed = parameter("seed", 42) + k;
	r->last = machine_table(k, r->work.length / r->work.stride);
	if (!r->last)
		give_up("no memory for the table of units");
}

static void prepare(void)
{
	unsigned int want = parameter("devices", 1), k;
	struct range *r;

	if (want > MAX_DEVICES)
		give_up("too many devices");
	nr_devices = machine_devices(devices, want);
	if (nr_devices < want)
		give_up("a mock device is missing");
	for (k = 0; k < nr_devices; k++) {
		r = &ranges[k];
		if (!device_present(&devices[k]))
			give_up("the device's registers have no magic number");
		prepare_range(r, k, &devices[k]);
		r->memory = machine_range(k, r->work.length, &r->iova);
		if (!r->memory)
			give_up("no memory for the device to write");
	}
}

static void start_all(void)
{
	struct range *r;
	unsigned int k;

	for (k = 0; k < nr_devices; k++)
		range_start(current_range(&devices[k]));
	for (k = 0; k < nr_devices; k++) {
		r = current_range(&devices[k]);
		begin_line(number_of(r->dev));
		put_text("running ");
		put_number(r->work.length / r->work.stride);
		put_text(" units of ");
		put_number(r->work.stride);
		put_text(" bytes at ");
		put_hex(r->iova);
		end_line();
	}
}

/* Until memory is plugged; device 0 goes on in it. */
static void wait_for_memory(void)
{
	struct range *r = &ranges[MAX_DEVICES];

	prepare_range(r, MAX_DEVICES, devices);
	while (!(r->memory = machine_plugged(r->work.length, &r->iova)))
		machine_wait();
	range_stop(&ranges[0]);
	range_start(r);
	plugged = r;
	begin_line(-1);
	put_text("plugged ");
	put_number(r->work.length / MIB);
	put_text(" MiB at ");
	put_hex(r->iova);
	end_line();
}

static void wait_for_move(const __u32 *before)
{
	unsigned int k;

	for (k = 0; k < nr_devices; k++)
		while (device_migrations(&devices[k]) == before[k])
			machine_wait();
}

static void stop_all(bool moved)
{
	struct range *r;
	unsigned int k;

	for (k = 0; k < nr_devices; k++)
		range_stop(current_range(&devices[k]));
	for (k = 0; moved && k < nr_devices; k++) {
		r = current_range(&devices[k]);
		begin_line(number_of(r->dev));
		put_text("moved ");
		put_number(device_migrations(r->dev));
		put_text(" writes ");
		put_number(r->writes);
		put_text(" faults ");
		put_number(r->faults);
		end_line();
	}
}

static void report_result(const struct device *dev, const char *when,
			  const struct result *sum)
{
	begin_line(number_of(dev));
	put_text(sum->wrong || sum->faults || !sum->writes ? "different " : "same ");
	put_text(when);
	put_text(": ");
	put_number(sum->writes);
	put_text(" writes, ");
	put_number(sum->written);
	put_text(" of ");
	put_number(sum->units);
	put_text(" units written, ");
	put_number(sum->wrong);
	put_text(" differ on ");
	put_number(sum->pages);
	put_text(" pages, ");
	put_number(sum->older);
	put_text(" hold older data");
	end_line();
}

static void compare(const struct device *dev, const char *when)
{
	struct result sum = { 0 };

	range_compare(&ranges[dev - devices], &sum);
	if (plugged && dev == devices)
		range_compare(plugged, &sum);
	report_result(dev, when, &sum);
}

static void compare_all(const char *when)
{
	unsigned int k;

	for (k = 0; k < nr_devices; k++)
		compare(&devices[k], when);
}

static __u32 interrupts_of(const struct device *dev)
{
	return __atomic_load_n(&dev->interrupts, __ATOMIC_RELAXED);
}

/* An interrupt after a command must arrive before and after a move. */
static void check_interrupts(struct device *dev)
{
	unsigned int tries;

	if (!dev->has_msi)
		return;
	device_command(dev, machine_scratch());
	for (tries = 0; interrupts_of(dev) < dev->commands && tries < 500; tries++)
		machine_wait();
	if (interrupts_of(dev) < dev->commands)
		give_up("a command ended without its interrupt");
	begin_line(number_of(dev));
	put_text("interrupts ");
	put_number(interrupts_of(dev));
	put_text(" of ");
	put_number(dev->commands);
	end_line();
}

static void go_on_at_home(void)
{
	__u32 writes = parameter("home-writes", 500);
	struct range *r;
	unsigned int k;

	for (k = 0; k < nr_devices; k++)
		range_start(current_range(&devices[k]));
	for (k = 0; k < nr_devices; k++) {
		r = current_range(&devices[k]);
		while (range_writes(r) < writes)
			machine_wait();
	}
	stop_all(false);
	compare_all("at-home");
	for (k = 0; k < nr_devices; k++)
		check_interrupts(&devices[k]);
}

static void run_moves(unsigned int moves)
{
	bool hotplug = parameter("hotplug", 0);
	__u32 before[MAX_DEVICES];
	unsigned int k;

	prepare();
	for (k = 0; k < nr_devices; k++)
		check_interrupts(&devices[k]);
	if (!moves)
		go_on_at_home();
	while (moves--) {
		for (k = 0; k < nr_devices; k++)
			before[k] = device_migrations(&devices[k]);
		start_all();
		if (hotplug && !plugged)
			wait_for_memory();
		wait_for_move(before);
		stop_all(true);
		compare_all("after-move");
		go_on_at_home();
	}
}

/* The edu devices of QEMU copy memory and cannot move. */
static void run_edu(void)
{
	unsigned int want = parameter("devices", 1), k;
	struct result sum;

	nr_devices = machine_devices(devices, want < MAX_DEVICES ? want : MAX_DEVICES);
	if (nr_devices < want)
		give_up("an edu device is missing");
	for (k = 0; k < nr_devices; k++) {
		sum = (struct result){ 0 };
		edu_copy(&devices[k], k, &sum);
		report_result(&devices[k], "at-home", &sum);
	}
}

void run_guest(void)
{
	if (parameter("edu", 0))
		run_edu();
	else
		run_moves(parameter("moves", 1));
	begin_line(-1);
	put_text("end");
	end_line();
	machine_end();
}
