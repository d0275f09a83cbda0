#define _GNU_SOURCE
#include "share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "sys.h"

/* In test mode DIR/shares/TAG is a directory that stands for the device's root. */
static bool find_test_share(const char *tag, struct share_device *d)
{
	int n = snprintf(d->device, sizeof d->device, "%s/shares/%s", options.test_directory, tag);

	d->fstype = NULL;
	d->flags = MS_BIND | MS_REC;
	return n > 0 && (size_t)n < sizeof d->device && !strchr(tag, '/') && tag[0] != '.' && access(d->device, F_OK) == 0;
}

/* Linux, fs/fuse/virtio_fs.c: /sys/fs/virtiofs/N/tag */
static bool has_tag(const char *entry, const char *tag)
{
	char path[300], text[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "/sys/fs/virtiofs/%s/tag", entry);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0)
		return false;
	text[n] = 0;
	return !strcmp(text, tag);
}

bool find_share(const char *tag, struct share_device *d)
{
	DIR *directory;
	struct dirent *entry;
	bool found = false;

	if (options.test_directory)
		return find_test_share(tag, d);
	snprintf(d->device, sizeof d->device, "%s", tag);
	d->fstype = "virtiofs";
	d->flags = 0;
	directory = opendir("/sys/fs/virtiofs");
	while (directory && !found && (entry = readdir(directory)))
		found = entry->d_name[0] != '.' && has_tag(entry->d_name, tag);
	if (directory)
		closedir(directory);
	return found;
}

int open_below(int root, const char *path)
{
	/*
	 * Linux, fs/namei.c, follow_automount: the last component of a path is not entered as a submount
	 * unless a directory is asked for.
	 */
	int fd = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);

	return fd >= 0 || errno != ENOTDIR ? fd : open_in_root(root, path, O_PATH, 0);
}

int leave_below(int root, const char *name)
{
	char path[64 + 256];

	if (snprintf(path, sizeof path, "/proc/self/fd/%d/%s", root, name) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* EINVAL: a file, or nobody has entered it. ENOENT: the device has let go of it already, of the mount too. */
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : -1;
}
