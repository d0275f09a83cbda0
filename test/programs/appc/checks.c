#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "appc.h"

/* "Environment Variables": what main and lifecycle processes must have. */
void check_environment(const char *app)
{
	const char *path = getenv("PATH") ?: "", *name = getenv("AC_APP_NAME") ?: "", *container = getenv("container") ?: "";
	if (strcmp(path, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") != 0) fail("PATH is %s", path);
	if (strcmp(name, app) != 0) fail("AC_APP_NAME is %s", name);
	if (container[0] == 0) fail("container is not set");
}

/* Fields of proc_pid_mountinfo(5): the fifth is the mount point, the sixth its options. */
void check_mount(const char *target, const char *word)
{
	char line[1024], at[256], options[256];
	FILE *file = fopen("/proc/self/mountinfo", "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%*s %*s %*s %*s %255s %255s", at, options) != 2 || strcmp(at, target) != 0) continue;
		fclose(file);
		for (char *each = strtok(options, ","); each != NULL; each = strtok(NULL, ",")) if (strcmp(each, word) == 0) return;
		fail("%s is not mounted %s", target, word);
		return;
	}
	fail("%s is not a mount point", target);
}

static void file_system(const char *path, unsigned long type)
{
	struct statfs stat;
	if (statfs(path, &stat) != 0) fail("%s: %s", path, strerror(errno));
	else if ((unsigned long)stat.f_type != type) fail("%s is of file system type %lx", path, (unsigned long)stat.f_type);
}

static void device(const char *path, unsigned major_, unsigned minor_)
{
	struct stat stat_;
	if (stat(path, &stat_) != 0) fail("%s: %s", path, strerror(errno));
	else if (!S_ISCHR(stat_.st_mode)) fail("%s is no character device", path);
	else if (major_ != 0 && (major(stat_.st_rdev) != major_ || minor(stat_.st_rdev) != minor_)) fail("%s is %u:%u", path, major(stat_.st_rdev), minor(stat_.st_rdev));
}

/* "Linux Environment", and a loopback interface that is up. */
void check_linux(void)
{
	int fd, number;
	struct ifreq request = { .ifr_name = "lo" };
	file_system("/proc", 0x9fa0);
	file_system("/sys", 0x62656572);
	file_system("/dev/pts", 0x1cd1);
	file_system("/dev/shm", 0x01021994);
	device("/dev/null", 1, 3);
	device("/dev/zero", 1, 5);
	device("/dev/full", 1, 7);
	device("/dev/random", 1, 8);
	device("/dev/urandom", 1, 9);
	device("/dev/tty", 5, 0);
	device("/dev/console", 0, 0);
	fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (fd < 0 || ioctl(fd, TIOCGPTN, &number) != 0) fail("/dev/ptmx gives no terminal: %s", strerror(errno));
	else {
		char path[64];
		snprintf(path, sizeof(path), "/dev/pts/%d", number);
		if (!exists(path)) fail("%s is not there: /dev/ptmx is of another devpts", path);
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & (IFF_UP | IFF_LOOPBACK)) != (IFF_UP | IFF_LOOPBACK)) fail("there is no loopback interface that is up");
}

static void namespaces(char *text, size_t size)
{
	static const char *const names[] = { "pid", "net", "ipc", "uts" };
	text[0] = 0;
	for (size_t i = 0; i < 4; i++) {
		char path[64], target[64];
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = 0;
		snprintf(text + strlen(text), size - strlen(text), "%s ", target);
	}
}

/* Apps of a pod share these name spaces, and see each other's processes. */
void check_shared(const char *path, bool first)
{
	char own[512];
	namespaces(own, sizeof(own));
	if (first) {
		touch(path, own);
		return;
	}
	const char *theirs = line_of(path);
	if (strcmp(own, theirs) != 0) fail("the name spaces are %s, the sidekick’s %s", own, theirs);
	pid_t pid = atoi(line_of("/db/sidekick"));
	if (pid <= 1 || kill(pid, 0) != 0) fail("the sidekick’s process %d is not to be seen", pid);
}
