#define _GNU_SOURCE
#include "nodes.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "launch.h"
#include "protocol.h"
#include "sys.h"

int make_node(const char *path, unsigned type, unsigned major_number, unsigned minor_number, unsigned mode)
{
	return mknod(path, type | mode, makedev(major_number, minor_number));
}

int make_nodes(struct failure *f)
{
	bool made = make_node("/dev/null", S_IFCHR, 1, 3, 0666) == 0 && make_node("/dev/zero", S_IFCHR, 1, 5, 0666) == 0 &&
		    make_node("/dev/full", S_IFCHR, 1, 7, 0666) == 0 && make_node("/dev/random", S_IFCHR, 1, 8, 0666) == 0 &&
		    make_node("/dev/urandom", S_IFCHR, 1, 9, 0666) == 0 && make_node("/dev/tty", S_IFCHR, 5, 0, 0666) == 0 &&
		    symlink("/proc/self/fd", "/dev/fd") == 0 && symlink("/proc/self/fd/0", "/dev/stdin") == 0 &&
		    symlink("/proc/self/fd/1", "/dev/stdout") == 0 && symlink("/proc/self/fd/2", "/dev/stderr") == 0 &&
		    symlink("/proc/kcore", "/dev/core") == 0 && symlink("pts/ptmx", "/dev/ptmx") == 0;

	return made ? 0 : fail(f, ERR_MOUNT, errno, "cannot fill /dev: %s", strerror(errno));
}

int make_device(int root, const struct device_spec *d, struct failure *f)
{
	const char *slash = strrchr(d->target, '/');
	unsigned type = d->type == 'c' ? S_IFCHR : d->type == 'b' ? S_IFBLK : S_IFIFO;
	char parent[MAX_PATH + 1];
	int directory;

	memcpy(parent, d->target, (size_t)(slash - d->target));
	parent[slash - d->target] = 0;
	directory = ensure_directory(root, *parent ? parent : "/", 0755);
	if (directory < 0 || !strcmp(slash + 1, "..") ||
	    mknodat(directory, slash + 1, type | (d->mode & 07777), makedev(d->major, d->minor)) ||
	    fchownat(directory, slash + 1, d->uid, d->gid, AT_SYMLINK_NOFOLLOW))
		return fail(f, ERR_FILE, errno, "device '%.160s': %s", d->target, strerror(errno));
	close(directory);
	return 0;
}

/* The value of a line KEY=value of a uevent file; the line's end becomes the string's. */
static char *uevent_value(char *text, const char *key)
{
	char *at = strstr(text, key);

	if (!at)
		return NULL;
	at += strlen(key);
	at[strcspn(at, "\n")] = 0;
	return at;
}

static void make_listed(int root, const char *list, const char *number, unsigned type)
{
	char path[80], text[1024], target[128];
	struct device_spec d = { .target = target, .type = type, .mode = 0600 };
	char *name, *mode, *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/%.24s/uevent", list, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	/* From the end of the file to its beginning, as each value's end is cut. */
	mode = uevent_value(text, "DEVMODE=");
	name = uevent_value(text, "DEVNAME=");
	if (!name || strlen(name) > 100)
		return;
	d.major = (uint32_t)strtoul(number, &end, 10);
	d.minor = *end == ':' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
	if (mode)
		d.mode = (uint32_t)strtoul(mode, NULL, 8);
	snprintf(target, sizeof target, "/dev/%s", name);
	/* One that is there already, or cannot be made: the others still are. */
	make_device(root, &d, &(struct failure){ 0 });
}

int make_all_devices(int root, struct failure *f)
{
	static const struct {
		const char *path;
		unsigned type;
	} lists[] = { { "/sys/dev/char", 'c' }, { "/sys/dev/block", 'b' } };

	for (int i = 0; i < 2; i++) {
		DIR *directory = opendir(lists[i].path);
		struct dirent *entry;

		if (!directory)
			return fail(f, ERR_FILE, errno, "devices: %s: %s", lists[i].path, strerror(errno));
		while ((entry = readdir(directory)))
			if (entry->d_name[0] != '.')
				make_listed(root, lists[i].path, entry->d_name, lists[i].type);
		closedir(directory);
	}
	return 0;
}
