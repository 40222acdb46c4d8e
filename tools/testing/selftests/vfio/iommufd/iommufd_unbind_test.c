// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: unbinding a device while an ioctl waits for user memory
 *
 * Pinning and copying wait for page faults, and userfaultfd or FUSE can delay a
 * page fault forever. A device must be closed and unbound meanwhile, since
 * neither can fail, and killing the waiting process must end all waits.
 *
 * Every test runs the ioctl in a child, with memory that is never delivered.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "lib/counts.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define DRIVER	"/sys/bus/platform/drivers/vfio-mock-dma"

/* Less than the 60 s after which unbinding used to give up. */
#define PATIENCE_MS	20000

/* Reports of a child */
#define IS_WAITING	'w'
#define IS_DONE		'd'

/* Commands for a child that waits */
#define DO_CLOSE	"c"
#define DO_SECOND	"s"

/**
 * struct stalled - an ioctl that waits for memory
 * @path: sysfs directory of the device
 * @iommu: /dev/iommu with an IOAS that has @memory mapped
 * @dev: device that is bound to @iommu, not attached
 * @memory: memory that userfaultfd does not deliver
 * @uffd: reports the page fault
 * @op: the ioctl
 */
struct stalled {
	const char *path;
	struct iommu iommu;
	struct vfio_dev dev;
	void *memory;
	int uffd;
	void (*op)(struct stalled *stalled);
};

static void op_hwpt_alloc(struct stalled *stalled)
{
	__u32 id;

	__hwpt_alloc(stalled->iommu.fd, stalled->dev.dev_id,
		     stalled->iommu.ioas_id, 0, &id);
}

static void op_attach(struct stalled *stalled)
{
	__vfio_dev_attach(&stalled->dev, stalled->iommu.ioas_id);
}

static void op_hw_info(struct stalled *stalled)
{
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = stalled->dev.dev_id,
		.data_len = SZ_4K,
		.data_uptr = (unsigned long)stalled->memory,
	};

	xioctl(stalled->iommu.fd, IOMMU_GET_HW_INFO, &cmd);
}

static void *run_op(void *data)
{
	struct stalled *stalled = data;

	stalled->op(stalled);
	return NULL;
}

static int stalled_memory(struct stalled *stalled)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = SZ_4K,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	stalled->memory = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stalled->memory == MAP_FAILED)
		return -ENOMEM;
	reg.range.start = (unsigned long)stalled->memory;
	stalled->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stalled->uffd < 0)
		return -errno;
	return xioctl(stalled->uffd, UFFDIO_API, &api) ?:
	       xioctl(stalled->uffd, UFFDIO_REGISTER, &reg);
}

/* Wait until the ioctl waits in a page fault. */
static int stalled_start(struct stalled *stalled)
{
	struct pollfd fault = { .events = POLLIN };
	pthread_t thread;
	int rc;

	rc = stalled_memory(stalled) ?:
	     __iommu_open(&stalled->iommu, MODE_IOMMUFD) ?:
	     __vfio_dev_bind(&stalled->dev, &stalled->iommu, stalled->path) ?:
	     __ioas_map(stalled->iommu.fd, stalled->iommu.ioas_id,
			stalled->memory, IOVA, SZ_4K, PROT_DMA_RW);
	if (rc)
		return rc;
	if (pthread_create(&thread, NULL, run_op, stalled))
		return -EAGAIN;
	fault.fd = stalled->uffd;
	return poll(&fault, 1, PATIENCE_MS) == 1 ? 0 : -ETIMEDOUT;
}

FIXTURE(unbind)
{
	struct counts counts;
	char path[256];
	const char *name;
	pid_t child;
	int from, to;
};

FIXTURE_VARIANT(unbind)
{
	void (*op)(struct stalled *stalled);
};

FIXTURE_VARIANT_ADD(unbind, hwpt_alloc) { .op = op_hwpt_alloc };

FIXTURE_VARIANT_ADD(unbind, attach) { .op = op_attach };

FIXTURE_VARIANT_ADD(unbind, hw_info) { .op = op_hw_info };

/* Wait until the process has ended. */
static bool is_gone(pid_t pid)
{
	for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(10000);
	}
	return false;
}

/* Kill a process with the same files that waits for the lock or the page. */
static bool second_is_killed(struct stalled *stalled)
{
	pid_t pid = fork();

	if (!pid) {
		op_hwpt_alloc(stalled);
		_exit(0);
	}
	usleep(200000);
	return !waitpid(pid, NULL, WNOHANG) && !kill(pid, SIGKILL) &&
	       is_gone(pid);
}

/* Execute one command, then wait for SIGKILL. */
static void child_main(struct stalled *stalled, int from, int to)
{
	char c;

	if (stalled_start(stalled))
		_exit(1);
	if (write(to, &(char){ IS_WAITING }, 1) != 1 || read(from, &c, 1) != 1)
		_exit(1);
	if (c == DO_CLOSE[0])
		vfio_dev_close(&stalled->dev);
	else if (!second_is_killed(stalled))
		_exit(1);
	if (write(to, &(char){ IS_DONE }, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

FIXTURE_SETUP(unbind)
{
	struct stalled stalled = { .op = variant->op };
	int down[2], up[2];

	counts_now(_metadata, &self->counts);
	ASSERT_EQ(0, mock_find("4k", 1, self->path, sizeof(self->path)));
	self->name = strrchr(self->path, '/') + 1;
	ASSERT_EQ(0, pipe(down));
	ASSERT_EQ(0, pipe(up));
	stalled.path = self->path;
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		close(down[1]);
		close(up[0]);
		child_main(&stalled, down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	self->from = up[0];
	self->to = down[1];
}

static bool child_reports(int from, char what)
{
	struct pollfd in = { .fd = from, .events = POLLIN };
	char c;

	return poll(&in, 1, PATIENCE_MS) == 1 && read(from, &c, 1) == 1 &&
	       c == what;
}

/* Check that DMA ownership of the device was released. */
FIXTURE_TEARDOWN(unbind)
{
	struct iommu iommu;
	struct vfio_dev dev;

	close(self->from);
	close(self->to);
	iommu_open(_metadata, &iommu, MODE_IOMMUFD);
	EXPECT_EQ(0, __vfio_dev_open(&dev, &iommu, self->path));
	vfio_dev_close(&dev);
	iommu_close(&iommu);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Runs in a child, as the close or unbind may wait. */
static pid_t driver_unbind(const char *name)
{
	pid_t pid = fork();

	if (!pid)
		_exit(sysfs_write(DRIVER "/unbind", name) ? 1 : 0);
	return pid;
}

static bool child_does(int to, int from, const char *what)
{
	return write(to, what, 1) == 1 && child_reports(from, IS_DONE);
}

TEST_F_TIMEOUT(unbind, close_while_ioctl_waits_succeeds, 120)
{
	ASSERT_TRUE(child_reports(self->from, IS_WAITING));
	EXPECT_TRUE(child_does(self->to, self->from, DO_CLOSE));
	/* An ioctl of the device's own file keeps the file open. */
	if (variant->op != op_attach) {
		EXPECT_TRUE(is_gone(driver_unbind(self->name)));
		EXPECT_EQ(0, sysfs_write(DRIVER "/bind", self->name));
	}
	EXPECT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_TRUE(is_gone(self->child));
}

TEST_F_TIMEOUT(unbind, kill_of_waiting_process_ends_ioctl_and_unbind, 120)
{
	pid_t unbinder;

	ASSERT_TRUE(child_reports(self->from, IS_WAITING));
	unbinder = driver_unbind(self->name);
	ASSERT_LT(0, unbinder);
	usleep(200000);
	/* The device is open. */
	EXPECT_EQ(0, waitpid(unbinder, NULL, WNOHANG));
	EXPECT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_TRUE(is_gone(self->child));
	EXPECT_TRUE(is_gone(unbinder));
	EXPECT_EQ(0, sysfs_write(DRIVER "/bind", self->name));
}

TEST_F_TIMEOUT(unbind, kill_of_second_waiter_ends_it, 120)
{
	ASSERT_TRUE(child_reports(self->from, IS_WAITING));
	EXPECT_TRUE(child_does(self->to, self->from, DO_SECOND));
	EXPECT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_TRUE(is_gone(self->child));
}

TEST_HARNESS_MAIN
