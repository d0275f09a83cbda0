/* Mounts that come to a container while it runs, and go. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "device.h"
#include "launch.h"
#include "protocol.h"
#include "sys.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

int change_open(const struct process_spec *p, struct failure *f)
{
	struct failure lost = { 0 };
	int fd;

	if (p->action == ACTION_ADD)
		return source_finish(p->mount, f) ? -1 : mount_take(p->mount, f);
	fd = source_open(p->mount, &lost);
	/* Its device may have let go of it, or answer nothing: it can still be taken away. */
	if (fd < 0 && p->action == ACTION_REMOVE)
		*f = lost;
	return fd;
}

/* Is what is mounted here of `source`? Of one that cannot be opened any more: of a kind that only a host's mount has. */
static bool is_of(int directory, const char *name, int source)
{
	struct stat here, there;
	struct statfs fs;
	bool same = false;
	int fd;

	if (source >= 0)
		return fstatat(directory, name, &here, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 &&
		       fstat(source, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
	/* What covers parts of /proc and /sys must stay, and answers always. */
	fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		same = fstatfs(fd, &fs) != 0 || fs.f_type == FUSE_SUPER_MAGIC || fs.f_type == EXT4_SUPER_MAGIC ||
		       fs.f_type == EROFS_SUPER_MAGIC_V1;
		close(fd);
	}
	return same;
}

/*
 * The name is looked up in a directory that is held: what is mounted on cannot be renamed, so that a container, which may change
 * all else of the path meanwhile, gets nothing unmounted but what was looked at.
 */
static int leave(const struct process_spec *p, int root, int source, struct failure *f)
{
	const char *target = p->mount->target, *slash = strrchr(target, '/'), *name = slash + 1;
	char parent[MAX_PATH + 1];
	int directory;

	memcpy(parent, target, (size_t)(slash - target));
	parent[slash - target] = 0;
	directory = open_in_root(root, *parent ? parent : "/", O_PATH | O_DIRECTORY, 0);
	if (directory < 0 || !*name || !strcmp(name, "..") || !is_of(directory, name, source))
		return fail(f, ERR_NOT_FOUND, 0, "nothing of the host's that can be taken away is mounted on '%.120s'", target);
	if (fchdir(directory) || close(directory))
		return fail(f, ERR_SYSTEM, errno, "'%.160s': %s", target, strerror(errno));
	if (umount2(name, UMOUNT_NOFOLLOW | (p->action == ACTION_DETACH ? MNT_DETACH : 0)))
		return fail(f, ERR_MOUNT, errno, "'%.160s' cannot be unmounted: %s", target,
			    errno == EBUSY ? "it is in use" : strerror(errno));
	return 0;
}

int change_mount(const struct process_spec *p, int source, struct failure *f)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return fail(f, ERR_ROOT, errno, "root file system: %s", strerror(errno));
	return p->action == ACTION_ADD ? mount_attach(root, p->mount, source, f) : leave(p, root, source, f);
}
