#define _GNU_SOURCE
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "protocol.h"

static int write_at(int dir, const char *file, const char *value)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int err;

	if (fd < 0)
		return -1;
	n = write(fd, value, strlen(value));
	err = errno;
	close(fd);
	errno = err;
	return n < 0 ? -1 : 0;
}

int cgroup_write(int cgroup, const char *file, const char *value)
{
	return write_at(cgroup, file, value);
}

bool cgroup_read(int cgroup, const char *file, char *text, uint32_t size)
{
	int fd = openat(cgroup, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = 0;
	return true;
}

/* Controllers cost time and memory, so each is switched on when a container first asks for it. */
static int enable_controller(const char *setting, struct failure *f)
{
	char name[32], command[40], enabled[256];
	size_t length = strcspn(setting, ".");
	int parent;
	int rc = 0;

	if (length == 0 || length >= sizeof name)
		return fail(f, ERR_INVALID, 0, "'%.64s' is not a cgroup setting", setting);
	memcpy(name, setting, length);
	name[length] = 0;
	if (!strcmp(name, "cgroup"))
		return 0;
	parent = open(options.cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return fail(f, ERR_CGROUP, errno, "no cgroup v2 hierarchy: %s", strerror(errno));
	if (cgroup_read(parent, "cgroup.subtree_control", enabled, sizeof enabled)) {
		for (char *word = strtok(enabled, " \n"); word; word = strtok(NULL, " \n")) {
			if (!strcmp(word, name)) {
				close(parent);
				return 0;
			}
		}
	}
	snprintf(command, sizeof command, "+%s", name);
	if (write_at(parent, "cgroup.subtree_control", command))
		rc = fail(f, ERR_CGROUP, errno, "the cgroup controller '%s' is not available: %s", name,
			  strerror(errno));
	close(parent);
	return rc;
}

int cgroup_apply(int cgroup, const struct strings *settings, struct failure *f)
{
	for (uint32_t i = 0; i < settings->count; i++) {
		const char *setting = settings->items[i];
		const char *equals = strchr(setting, '=');
		char file[64];

		if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof file ||
		    memchr(setting, '/', (size_t)(equals - setting)))
			return fail(f, ERR_INVALID, 0, "'%.64s' is not a cgroup setting", setting);
		memcpy(file, setting, (size_t)(equals - setting));
		file[equals - setting] = 0;
		if (enable_controller(file, f))
			return -1;
		if (write_at(cgroup, file, equals + 1))
			return fail(f, ERR_CGROUP, errno, "cgroup setting %.120s: %s", setting, strerror(errno));
	}
	return 0;
}

static void directory_of(uint32_t container, char *path, size_t size)
{
	snprintf(path, size, "%s/c%u", options.cgroup, container);
}

int cgroup_create(uint32_t container, const struct strings *settings, int *cgroup, struct failure *f)
{
	char path[256];

	*cgroup = -1;
	if (!options.cgroup) {
		if (settings->count)
			return fail(f, ERR_CGROUP, ENOENT, "this kernel has no cgroup v2, so no limits");
		return 0;
	}
	directory_of(container, path, sizeof path);
	if (mkdir(path, 0755) && errno != EEXIST)
		return fail(f, ERR_CGROUP, errno, "cannot make a cgroup: %s", strerror(errno));
	*cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*cgroup < 0)
		return fail(f, ERR_CGROUP, errno, "cannot open the cgroup: %s", strerror(errno));
	if (cgroup_apply(*cgroup, settings, f)) {
		close(*cgroup);
		*cgroup = -1;
		rmdir(path);
		return -1;
	}
	return 0;
}

void cgroup_remove(uint32_t container)
{
	char path[256];

	if (!options.cgroup)
		return;
	directory_of(container, path, sizeof path);
	rmdir(path);
}

void cgroup_signal(int cgroup, int signal)
{
	char text[4096];
	FILE *procs;
	int fd;

	if (signal == SIGKILL && cgroup_write(cgroup, "cgroup.kill", "1") == 0)
		return;
	fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	procs = fd < 0 ? NULL : fdopen(fd, "r");
	if (!procs) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fgets(text, sizeof text, procs)) {
		long pid = strtol(text, NULL, 10);

		/* 0: a process outside our PID namespace */
		if (pid > 1)
			kill((pid_t)pid, signal);
	}
	fclose(procs);
}

static uint64_t value_after(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (text && *text) {
		if (!strncmp(text, key, length) && text[length] == ' ')
			return strtoull(text + length, NULL, 10);
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return 0;
}

uint64_t oom_kills(int cgroup)
{
	static char text[16384];

	if (cgroup >= 0 && cgroup_read(cgroup, "memory.events", text, sizeof text))
		return value_after(text, "oom_kill");
	if (cgroup_read(AT_FDCWD, "/proc/vmstat", text, sizeof text))
		return value_after(text, "oom_kill");
	return 0;
}
