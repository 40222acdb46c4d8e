// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: statistics of IOASes
 *
 * The file iopt/ioas of debugfs has a paragraph for each IOAS of /dev/iommu and of each
 * VFIO container, with a "name: value" line for each figure:
 *
 *  - ioas: the number of the IOAS in events (trace/events/iopt.h);
 *  - process: process ID and name of the process that created it;
 *  - areas, bytes: number of areas, and bytes of IOVA that they map;
 *  - pinned_pages: pages that are pinned because a domain maps them; a page that is
 *    mapped at two IOVAs counts twice;
 *  - access_pins: number of pins by accesses;
 *  - domains, tracking_domains: number of domains, and of those that track dirty pages;
 *  - tracking: whether dirty pages of the whole IOAS are tracked, as for type1;
 *  - spill_ranges: number of IOVA ranges that the next queries report as dirty in addition
 *    to what IOMMUs report;
 *  - queries, failed_queries: queries of dirty bits, and those of them that failed;
 *  - last_query_ns: duration of the query that ended last;
 *  - max_query_ns: duration of the longest query.
 *
 * The figures of an IOAS are not a snapshot: it may change while they are read. A task
 * that attaches a domain holds the locks of the IOAS while it waits for page faults. The
 * reader waits for no task: there is a line "busy: 1" then in place of those from areas to
 * spill_ranges.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "domains/iopt_domain.h"
#include "memory/iopt_pages.h"
#include "space/iopt_area.h"

/*
 * iopt_list_mutex is held while an IOAS is shown, and creating and destroying any IOAS
 * takes it: so nothing here may wait for a lock that is held during a page fault.
 */

/* Number of areas that are summed up with &io_pagetable.iova_rwsem held. */
#define IOPT_DEBUGFS_STEP	4096

/**
 * struct iopt_usage - figures of an IOAS that are summed up when they are read
 * @areas: number of areas
 * @bytes: bytes of IOVA that they map; the sum may overflow
 * @pinned: pages that are pinned because a domain maps them
 * @access_pins: number of pins by accesses
 * @domains: number of domains
 * @tracking: number of domains that track
 * @spill: number of ranges in all spills
 * @ioas_tracking: dirty pages of the whole IOAS are tracked
 */
struct iopt_usage {
	unsigned long areas;
	u64 bytes;
	u64 pinned;
	u64 access_pins;
	unsigned int domains;
	unsigned int tracking;
	unsigned int spill;
	bool ioas_tracking;
};

static unsigned int iopt_spill_ranges(struct iova_set *spill)
{
	unsigned int nr;

	spin_lock(&spill->lock);
	nr = spill->nr;
	spin_unlock(&spill->lock);
	return nr;
}

static void iopt_count_area(const struct iopt_area *area,
			    struct iopt_usage *usage)
{
	usage->areas++;
	usage->bytes += iopt_area_length(area);
	if (!area->pages)
		return;
	/* Old figures do no harm; the mutex that guards both may be held for long. */
	usage->access_pins += data_race(area->num_accesses);
	/* as above */
	if (data_race(area->storage_domain) && !area->pages->ops->pfnmap)
		usage->pinned += iopt_area_last_index(area) -
				 iopt_area_index(area) + 1;
}

/*
 * Count a bounded number of areas from @iova on. Return: 1, with @iova set, if there may
 * be more; 0 at the end; -EBUSY if a task holds the lock for writing.
 */
static int iopt_count_step(struct io_pagetable *iopt, unsigned long *iova,
			   struct iopt_usage *usage)
{
	unsigned int n = IOPT_DEBUGFS_STEP;
	struct iopt_area *area;

	scoped_cond_guard(rwsem_read_try, return -EBUSY, &iopt->iova_rwsem) {
		iopt_for_each_area(area, iopt, *iova, ULONG_MAX) {
			iopt_count_area(area, usage);
			*iova = iopt_area_last_iova(area) + 1;
			if (!*iova)
				return 0;
			if (!--n)
				return 1;
		}
	}
	return 0;
}

static int iopt_count_domains(struct io_pagetable *iopt,
			      struct iopt_usage *usage)
{
	struct iopt_domain *entry;

	scoped_cond_guard(rwsem_read_try, return -EBUSY, &iopt->iova_rwsem) {
		list_for_each_entry(entry, &iopt->domains, item) {
			usage->domains++;
			usage->tracking += entry->tracking;
			usage->spill += iopt_spill_ranges(&entry->spill);
		}
		usage->spill += iopt_spill_ranges(&iopt->spill);
		usage->ioas_tracking = iopt->tracking;
	}
	return 0;
}

static void iopt_show_usage(struct seq_file *file,
			    const struct iopt_usage *usage)
{
	seq_printf(file, "areas: %lu\n", usage->areas);
	seq_printf(file, "bytes: %llu\n", usage->bytes);
	seq_printf(file, "pinned_pages: %llu\n", usage->pinned);
	seq_printf(file, "access_pins: %llu\n", usage->access_pins);
	seq_printf(file, "domains: %u\n", usage->domains);
	seq_printf(file, "tracking_domains: %u\n", usage->tracking);
	seq_printf(file, "tracking: %d\n", usage->ioas_tracking);
	seq_printf(file, "spill_ranges: %u\n", usage->spill);
}

static void iopt_show_stats(struct seq_file *file, struct iopt_stats *stats)
{
	struct iopt_stats copy;

	spin_lock(&stats->lock);
	copy = *stats;
	spin_unlock(&stats->lock);
	seq_printf(file, "queries: %llu\n", copy.queries);
	seq_printf(file, "failed_queries: %llu\n", copy.failed);
	seq_printf(file, "last_query_ns: %llu\n", copy.last_ns);
	seq_printf(file, "max_query_ns: %llu\n\n", copy.max_ns);
}

static void *iopt_list_start(struct seq_file *file, loff_t *pos)
{
	mutex_lock(&iopt_list_mutex);
	return seq_list_start(&iopt_list, *pos);
}

static void *iopt_list_next(struct seq_file *file, void *v, loff_t *pos)
{
	return seq_list_next(v, &iopt_list, pos);
}

static void iopt_list_stop(struct seq_file *file, void *v)
{
	mutex_unlock(&iopt_list_mutex);
}

static int iopt_list_show(struct seq_file *file, void *v)
{
	struct io_pagetable *iopt = list_entry(v, struct io_pagetable, item);
	struct iopt_usage usage = {};
	unsigned long iova = 0;
	int rc;

	while ((rc = iopt_count_step(iopt, &iova, &usage)) > 0)
		cond_resched();
	rc = rc ?: iopt_count_domains(iopt, &usage);
	seq_printf(file, "ioas: %llu\n", iopt->id);
	seq_printf(file, "process: %d ", iopt->tgid);
	seq_escape(file, iopt->comm, "\n\\");
	seq_putc(file, '\n');
	if (rc)
		seq_puts(file, "busy: 1\n");
	else
		iopt_show_usage(file, &usage);
	iopt_show_stats(file, &iopt->stats);
	return 0;
}

static const struct seq_operations iopt_list_sops = {
	.start = iopt_list_start,
	.next = iopt_list_next,
	.stop = iopt_list_stop,
	.show = iopt_list_show,
};
DEFINE_SEQ_ATTRIBUTE(iopt_list);

static struct dentry *iopt_debugfs;

static int __init iopt_debugfs_init(void)
{
	iopt_debugfs = debugfs_create_dir("iopt", NULL);
	debugfs_create_file("ioas", 0400, iopt_debugfs, NULL, &iopt_list_fops);
	return 0;
}
module_init(iopt_debugfs_init);

static void __exit iopt_debugfs_exit(void)
{
	debugfs_remove_recursive(iopt_debugfs);
}
module_exit(iopt_debugfs_exit);
