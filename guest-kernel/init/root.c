/* The container's root file system: a lower directory, mostly with an overlay above it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "launch.h"
#include "options.h"
#include "protocol.h"
#include "sys.h"

#define ROOT BASE "/root"
#define WORK BASE "/work"
#define LOWER BASE "/lower"

static int root_error(struct failure *f, const char *what)
{
	return fail(f, ERR_ROOT, errno, "root file system: %s: %s", what, strerror(errno));
}

/* A directory below a mounted source becomes a mount of its own, so that its path cannot be turned. */
static int bind_subpath(const char *source, const char *subpath, const char *target, bool read_only, struct failure *f)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int root = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int directory = root < 0 ? -1 : open_in_root(root, subpath && *subpath ? subpath : "/", O_PATH | O_DIRECTORY, 0);
	int tree = directory < 0 ? -1 : sys_open_tree(directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
						      AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0)
		return fail(f, ERR_ROOT, errno, "root file system: '%.100s' in '%.64s': %s", subpath ? subpath : "/",
			    source, strerror(errno));
	if (read_only && sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr))
		return root_error(f, "cannot make it read-only");
	if (sys_move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH))
		return root_error(f, "cannot mount it");
	close(tree);
	close(directory);
	close(root);
	return 0;
}

/*
 * upper and work directories; the merged root has the attributes of upper, so they are the lower root's. A kept one has what its
 * container gave it: upper gets its name when it is ready, so that a machine which is killed meanwhile leaves none.
 */
static int make_upper(const char *base, const char *lower, char *upper, char *work, size_t size, struct failure *f)
{
	struct stat st;

	char made[128];

	snprintf(upper, size, "%s/upper", base);
	snprintf(work, size, "%s/work", base);
	snprintf(made, sizeof made, "%s/new", base);
	if ((mkdir(base, 0700) && errno != EEXIST) || (mkdir(work, 0700) && errno != EEXIST))
		return root_error(f, "cannot make the overlay's directories");
	if (access(upper, F_OK) == 0)
		return 0;
	if (mkdir(made, 0755) && errno != EEXIST)
		return root_error(f, "cannot make the overlay's directories");
	if (stat(lower, &st))
		return root_error(f, "cannot read the lower directory");
	if (chown(made, st.st_uid, st.st_gid) || chmod(made, st.st_mode & 07777) || rename(made, upper))
		return root_error(f, "cannot set the owner of the overlay");
	return 0;
}

static int mount_overlay(const struct launch *l, const char *lower, struct failure *f)
{
	const struct container_spec *c = l->container;
	char options[512], upper[128], work[128], base[96];

	bool kept = c->overlay_kind == OVERLAY_KEPT;

	if (kept) {
		snprintf(base, sizeof base, "%s/kept", l->upper);
	} else if (l->upper) {
		snprintf(base, sizeof base, "%s/c%u", l->upper, c->process.container);
	} else {
		snprintf(base, sizeof base, WORK);
		if (sys_move_mount(l->space, "", AT_FDCWD, WORK, MOVE_MOUNT_F_EMPTY_PATH))
			return root_error(f, "cannot mount the overlay's tmpfs");
	}
	if (make_upper(base, lower, upper, work, sizeof upper, f))
		return -1;
	/*
	 * redirect_dir: renaming a directory of the image works as on any file system. xino: files have
	 * the st_dev of their directories, so that du -x and find -xdev see one file system. volatile:
	 * nothing of a scratch disk outlives its machine, so that a sync would only wait for the host. A kept
	 * one is mounted again, which volatile would refuse.
	 */
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on,xino=on%s", lower, upper, work,
		 kept ? "" : ",volatile");
	if (mount("overlay", ROOT, "overlay", 0, options))
		return root_error(f, "cannot mount the overlay");
	return 0;
}

int build_root(const struct launch *l, struct failure *f)
{
	const struct container_spec *c = l->container;
	const char *lower = l->lower;

	/* Nothing that is mounted here may reach init's own mounts. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return root_error(f, "cannot make the mounts private");
	if (!c->has_root) {
		if (mount("tmpfs", ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0755"))
			return root_error(f, "cannot mount a tmpfs");
		return 0;
	}
	if (!c->has_overlay)
		return bind_subpath(lower, c->root.subpath, ROOT, c->root.flags & MS_RDONLY, f);
	/* ':' and ',' have a meaning in the overlay's options; only test directories could hold them */
	if (c->root.subpath || strpbrk(lower, ":,\\")) {
		if (bind_subpath(lower, c->root.subpath, LOWER, true, f))
			return -1;
		lower = LOWER;
	}
	return mount_overlay(l, lower, f);
}
