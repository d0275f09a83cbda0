#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "fatal.h"
#include "options.h"

int null_fd = -1;

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		fatal("mkdir %s: %m", path);
}

static void mount_or_die(const char *fstype, const char *target)
{
	if (mount(fstype, target, fstype, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) && errno != EBUSY)
		fatal("mount %s: %m", target);
}

/*
 * pivot_root(2) refuses the initial ramfs, which is not mounted on anything. A bind mount of it,
 * moved above it, is.
 */
static void leave_rootfs(void)
{
	make_directory("/run");
	if (mount("/", "/run", NULL, MS_BIND, NULL) || chdir("/run") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		fatal("cannot leave the initial root file system: %m");
}

void machine_mounts(void)
{
	static const char *const directories[] = { BASE, BASE "/dev", BASE "/source", BASE "/volume", BASE "/root",
						   BASE "/work", BASE "/lower" };

	if (options.test_directory) {
		/* A mount namespace of our own, made by whoever started us. */
		if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID, "mode=0755"))
			fatal("mount /run: %m");
	} else {
		leave_rootfs();
		make_directory("/proc");
		make_directory("/sys");
		mount_or_die("sysfs", "/sys");
		if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
			options.cgroup = "/sys/fs/cgroup";
	}
	mount_or_die("proc", "/proc");
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
		make_directory(directories[i]);
	if (!options.test_directory) {
		if (mknod(BASE "/dev/null", S_IFCHR | 0666, makedev(1, 3)) ||
		    mknod(BASE "/dev/urandom", S_IFCHR | 0666, makedev(1, 9)))
			fatal("mknod: %m");
	}
	null_fd = open(options.test_directory ? "/dev/null" : BASE "/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		fatal("open /dev/null: %m");
}

void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A kernel without IPv4 has nothing to bring up. */
	if (fd < 0)
		return;
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int set_clock(uint64_t nanoseconds)
{
	struct timespec time = { (time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000) };

	/* A test runs on a machine whose clock is not ours. */
	return options.test_directory ? 0 : clock_settime(CLOCK_REALTIME, &time);
}

void add_entropy(const void *seed, uint32_t length)
{
	struct rand_pool_info *pool;
	int fd;

	if (options.test_directory || length == 0)
		return;
	pool = malloc(sizeof *pool + length);
	fd = open(BASE "/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (pool && fd >= 0) {
		pool->entropy_count = (int)length * 8;
		pool->buf_size = (int)length;
		memcpy(pool->buf, seed, length);
		ioctl(fd, RNDADDENTROPY, pool);
		explicit_bzero(pool, sizeof *pool + length);
	}
	if (fd >= 0)
		close(fd);
	free(pool);
}
