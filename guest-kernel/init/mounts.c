/* What a container finds mounted: the usual /proc, /sys and /dev, and what the host asked for. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "device.h"
#include "kept.h"
#include "launch.h"
#include "nodes.h"
#include "notify.h"
#include "options.h"
#include "protocol.h"
#include "sys.h"

/* Trees that were taken from init's mounts before the change of root, one a mount or file. */
static int *mount_trees, *file_trees;

static int mount_error(struct failure *f, const char *target)
{
	return fail(f, ERR_MOUNT, errno, "cannot mount on '%.160s': %s", target, strerror(errno));
}

int mount_take(const struct mount_spec *m, struct failure *f)
{
	/* Mounted already, so this only looks the path up, and enters a share's export. */
	int inner = source_open(m, f);
	int tree;

	if (inner < 0)
		return -1;
	tree = sys_open_tree(inner, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
			     (m->flags & MS_REC ? AT_RECURSIVE : 0));
	if (tree < 0)
		fail(f, ERR_MOUNT, errno, "mount source '%.100s' of '%.100s': %s", m->source, m->target, strerror(errno));
	close(inner);
	return tree;
}

/* A file's content on a tmpfs of its own: for roots that must not be written to. */
static int take_file(const struct file_spec *file, uint32_t index, struct failure *f)
{
	char path[64];
	int fd, tree;

	snprintf(path, sizeof path, BASE "/work/file%u", index);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, file->content, file->size) != (ssize_t)file->size ||
	    fchown(fd, file->uid, file->gid) || fchmod(fd, file->mode & 07777))
		return fail(f, ERR_FILE, errno, "file '%.160s': %s", file->target, strerror(errno));
	close(fd);
	tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? mount_error(f, file->target) : tree;
}

/* Whether what is mounted lies in init's own mount namespace. */
static bool is_taken(const struct mount_spec *m)
{
	return m->kind != SOURCE_NONE && m->kind != SOURCE_ROOT;
}

int prepare_mounts(const struct launch *l, struct failure *f)
{
	const struct container_spec *c = l->container;

	mount_trees = calloc(c->mount_count + 1, sizeof *mount_trees);
	file_trees = calloc(c->file_count + 1, sizeof *file_trees);
	if (!mount_trees || !file_trees)
		return fail(f, ERR_SYSTEM, ENOMEM, "no memory for the mounts");
	for (uint32_t i = 0; i < c->mount_count; i++)
		if (is_taken(&c->mounts[i]) && (mount_trees[i] = mount_take(&c->mounts[i], f)) < 0)
			return -1;
	if (!c->has_overlay && c->file_count > 0 && mount("tmpfs", BASE "/work", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"))
		return mount_error(f, "the files' tmpfs");
	for (uint32_t i = 0; i < c->file_count; i++) {
		const struct file_spec *file = &c->files[i];

		if (file->flags & FILE_KEPT)
			file_trees[i] = kept_make(c->process.container, file, f);
		else if (!c->has_overlay)
			file_trees[i] = take_file(file, i, f);
		if (file_trees[i] < 0)
			return -1;
	}
	return 0;
}

int enter_root(struct failure *f)
{
	/* pivot_root(2): with both arguments "." the old root ends up mounted above the new one */
	if (chdir(BASE "/root") || sys_pivot_root(".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fail(f, ERR_ROOT, errno, "root file system: cannot change to it: %s", strerror(errno));
	return 0;
}

/* The host's own mount on a standard target takes the standard one's place and turn. -1: none. */
static int32_t host_mount_on(const struct container_spec *c, const char *target)
{
	for (uint32_t i = 0; i < c->mount_count; i++)
		if (!strcmp(c->mounts[i].target, target))
			return (int32_t)i;
	return -1;
}

struct standard_mount {
	const char *target, *fstype;
	unsigned long flags;
	const char *data;
	bool optional; /* the kernel may lack it */
};

#define RESTRICTED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct standard_mount standard_mounts[] = {
	{ "/proc", "proc", RESTRICTED, NULL, false },
	{ "/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k", false },
	{ "/dev/shm", "tmpfs", RESTRICTED, "mode=1777,size=65536k", false },
	{ "/dev/mqueue", "mqueue", RESTRICTED, NULL, true },
	{ "/sys", "sysfs", RESTRICTED | MS_RDONLY, NULL, false },
	{ "/sys/fs/cgroup", "cgroup2", RESTRICTED | MS_RDONLY, NULL, true },
};
#define STANDARD_MOUNTS (sizeof standard_mounts / sizeof *standard_mounts)

/* The directory must be one: /proc as a link to elsewhere would move what protects the container. */
static int directory_for(int root, const char *target, struct failure *f)
{
	struct stat st;
	int fd;

	if (lstat(target, &st) == 0 && !S_ISDIR(st.st_mode))
		return fail(f, ERR_MOUNT, ENOTDIR, "'%s' of the root file system is not a directory", target);
	fd = ensure_directory(root, target, 0755);
	return fd < 0 ? mount_error(f, target) : fd;
}

/* mount(2) on the directory that a descriptor names: no path is walked twice. */
static int mount_at(int directory, const char *source, const char *fstype, unsigned long flags, const char *data)
{
	int err, rc = fchdir(directory) ? -1 : mount(source, ".", fstype, flags, data);

	err = errno;
	if (chdir("/") && !rc)
		rc = -1;
	errno = err;
	return rc;
}

static int attach_terminals(const struct launch *l, int root, struct failure *f)
{
	int pts;

	if (l->devpts < 0)
		return 0;
	pts = directory_for(root, "/dev/pts", f);
	if (pts < 0)
		return -1;
	if (sys_move_mount(l->devpts, "", pts, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return mount_error(f, "/dev/pts");
	close(pts);
	if (!l->tty)
		return 0;
	if (make_node("/dev/console", S_IFCHR, 5, 1, 0600) || mount("/dev/pts/0", "/dev/console", NULL, MS_BIND, NULL))
		return mount_error(f, "/dev/console");
	return 0;
}

static int write_file(int root, const struct file_spec *file, int tree, struct failure *f)
{
	int target, fd;

	if (file->flags & FILE_IF_ABSENT && (fd = open_in_root(root, file->target, O_PATH, 0)) >= 0) {
		close(fd);
		return 0;
	}
	target = ensure_file(root, file->target, 0644);
	if (target < 0)
		return fail(f, ERR_FILE, errno, "file '%.160s': %s", file->target, strerror(errno));
	if (tree > 0) {
		if (sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
			return mount_error(f, file->target);
		close(tree);
		close(target);
		return 0;
	}
	fd = open_in_root(root, file->target, O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || write(fd, file->content, file->size) != (ssize_t)file->size ||
	    fchown(fd, file->uid, file->gid) || fchmod(fd, file->mode & 07777))
		return fail(f, ERR_FILE, errno, "file '%.160s': %s", file->target, strerror(errno));
	close(fd);
	close(target);
	return 0;
}

static uint64_t attributes_of(uint64_t flags)
{
	return (flags & MS_RDONLY ? MOUNT_ATTR_RDONLY : 0) | (flags & MS_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
	       (flags & MS_NODEV ? MOUNT_ATTR_NODEV : 0) | (flags & MS_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int mount_attach(int root, const struct mount_spec *m, int tree, struct failure *f)
{
	struct mount_attr attr = { .attr_set = attributes_of(m->flags) };
	struct stat st;
	int target;

	if (fstat(tree, &st))
		return mount_error(f, m->target);
	target = S_ISDIR(st.st_mode) ? ensure_directory(root, m->target, 0755) : ensure_file(root, m->target, 0644);
	if (target >= 0 && is_directory(target) != S_ISDIR(st.st_mode)) {
		close(target);
		target = -1;
		errno = ENOTDIR;
	}
	if (target < 0 && errno == ENOTDIR)
		return fail(f, ERR_MOUNT, ENOTDIR, "cannot mount on '%.160s': a directory goes on a directory, a file on a file", m->target);
	if (target < 0)
		return mount_error(f, m->target);
	if (attr.attr_set &&
	    sys_mount_setattr(tree, "", AT_EMPTY_PATH | (m->flags & MS_REC ? AT_RECURSIVE : 0), &attr))
		return mount_error(f, m->target);
	if (sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return mount_error(f, m->target);
	close(tree);
	close(target);
	return 0;
}

/*
 * A directory of the root, made when it is absent, as a mount of its own: what it holds stays in
 * sight, and it can be written to when the root itself becomes read-only.
 */
static int take_own_directory(int root, const struct mount_spec *m, struct failure *f)
{
	int directory = ensure_directory(root, m->source, 0755);
	int tree = directory < 0 ? -1 : sys_open_tree(directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return mount_error(f, m->target);
	close(directory);
	return tree;
}

static int mount_requested(int root, const struct mount_spec *m, struct failure *f)
{
	int directory = ensure_directory(root, m->target, m->has_mode ? m->mode & 07777 : 0755);

	if (directory < 0)
		return mount_error(f, m->target);
	if (mount_at(directory, m->source ? m->source : m->fstype, m->fstype, (unsigned long)m->flags, m->data))
		return mount_error(f, m->target);
	close(directory);
	return 0;
}

static int set_sysctl(const char *setting, struct failure *f)
{
	const char *equals = strchr(setting, '=');
	char path[MAX_PATH + 16] = "/proc/sys/";
	size_t length = equals ? (size_t)(equals - setting) : 0;
	int fd, rc = 0;

	if (length == 0 || length > MAX_PATH || strstr(setting, "..") != NULL)
		return fail(f, ERR_INVALID, 0, "'%.120s' is not a sysctl setting", setting);
	memcpy(path + 10, setting, length);
	if (!memchr(setting, '/', length))
		for (char *p = path + 10; *p; p++)
			if (*p == '.')
				*p = '/';
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || write(fd, equals + 1, strlen(equals + 1)) < 0)
		rc = fail(f, ERR_INVALID, errno, "sysctl %.160s: %s", setting, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static int mask_path(const char *path, bool closed, struct failure *f)
{
	struct stat st;
	int rc;

	if (lstat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? 0 : mount_error(f, path);
	rc = S_ISDIR(st.st_mode) ? mount("tmpfs", path, "tmpfs", MS_RDONLY, closed ? "size=0k,mode=0" : "size=0k")
				 : mount("/dev/null", path, NULL, MS_BIND, NULL);
	return rc ? mount_error(f, path) : 0;
}

static int protect_path(const char *path, struct failure *f)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : mount_error(f, path);
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) ||
	    sys_move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH))
		return mount_error(f, path);
	close(tree);
	return 0;
}

/* 1: the host mounts on this target itself, 0: it does not, -1: failed. */
static int mount_host_choice(const struct container_spec *c, int root, const char *target, bool *own_dev,
			     struct failure *f)
{
	int32_t i = host_mount_on(c, target);
	const struct mount_spec *m = i < 0 ? NULL : &c->mounts[i];

	if (!m)
		return 0;
	*own_dev = m->kind == SOURCE_NONE;
	if (m->kind == SOURCE_ROOT && (mount_trees[i] = take_own_directory(root, m, f)) < 0)
		return -1;
	if (m->kind != SOURCE_NONE)
		return mount_attach(root, m, mount_trees[i], f) ? -1 : 1;
	return mount_requested(root, m, f) ? -1 : 1;
}

static int mount_standard(const struct launch *l, int root, struct failure *f)
{
	for (size_t i = 0; i < STANDARD_MOUNTS; i++) {
		const struct standard_mount *m = &standard_mounts[i];
		bool fresh = true;
		int directory = directory_for(root, m->target, f);
		int chosen;

		if (directory < 0) {
			/* /sys/fs/cgroup: a kernel without cgroups has no such directory */
			if (m->optional)
				continue;
			return -1;
		}
		chosen = mount_host_choice(l->container, root, m->target, &fresh, f);
		if (chosen < 0 && !m->optional)
			return -1;
		if (chosen == 0 && mount_at(directory, m->fstype, m->fstype, m->flags, m->data) && !m->optional)
			return mount_error(f, m->target);
		close(directory);
		if (strcmp(m->target, "/dev") != 0)
			continue;
		/* A /dev of the host's that is a bind has its own nodes. */
		if ((fresh && make_nodes(f)) || attach_terminals(l, root, f))
			return -1;
	}
	return 0;
}

/* Mounted in mount_standard's turn already; a devpts is always the one whose terminals init opens. */
static bool is_standard(const struct mount_spec *m)
{
	if (!strcmp(m->target, "/dev/pts") && m->kind == SOURCE_NONE)
		return true;
	for (size_t i = 0; i < STANDARD_MOUNTS; i++)
		if (!strcmp(m->target, standard_mounts[i].target))
			return true;
	return false;
}

static int furnish_mounts(const struct container_spec *c, int root, struct failure *f)
{
	/* Before anything is mounted on a parent of them: they are directories of the root, not of what covers it. */
	for (uint32_t i = 0; i < c->mount_count; i++)
		if (c->mounts[i].kind == SOURCE_ROOT && !is_standard(&c->mounts[i]) &&
		    (mount_trees[i] = take_own_directory(root, &c->mounts[i], f)) < 0)
			return -1;
	for (uint32_t i = 0; i < c->mount_count; i++) {
		const struct mount_spec *m = &c->mounts[i];

		if (!is_standard(m) &&
		    (m->kind == SOURCE_NONE ? mount_requested(root, m, f) : mount_attach(root, m, mount_trees[i], f)))
			return -1;
	}
	return 0;
}

static int furnish_lists(const struct container_spec *c, int root, struct failure *f)
{
	for (uint32_t i = 0; i < c->file_count; i++)
		if (write_file(root, &c->files[i], file_trees[i], f))
			return -1;
	if (furnish_mounts(c, root, f))
		return -1;
	for (uint32_t i = 0; i < c->device_count; i++)
		if (make_device(root, &c->devices[i], f))
			return -1;
	if (c->all_devices && make_all_devices(root, f))
		return -1;
	for (uint32_t i = 0; i < c->sysctls.count; i++)
		if (set_sysctl(c->sysctls.items[i], f))
			return -1;
	for (uint32_t i = 0; i < c->readonly.count; i++)
		if (protect_path(c->readonly.items[i], f))
			return -1;
	for (uint32_t i = 0; i < c->masked.count; i++)
		if (mask_path(c->masked.items[i], c->masked_closed, f))
			return -1;
	return 0;
}

int furnish_root(const struct launch *l, struct failure *f)
{
	const struct container_spec *c = l->container;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int cwd;

	if (root < 0)
		return fail(f, ERR_ROOT, errno, "root file system: %s", strerror(errno));
	if (mount_standard(l, root, f) || furnish_lists(c, root, f) || (l->notify >= 0 && notify_bind(l->notify, root, f)))
		return -1;
	if (c->process.cwd && !c->process.cwd_there) {
		cwd = ensure_directory(root, c->process.cwd, 0755);
		if (cwd < 0)
			return fail(f, ERR_CWD, errno, "cannot make the working directory '%.160s': %s",
				    c->process.cwd, strerror(errno));
		close(cwd);
	}
	if (c->read_only && sys_mount_setattr(AT_FDCWD, "/", 0, &attr))
		return fail(f, ERR_ROOT, errno, "root file system: cannot make it read-only: %s", strerror(errno));
	close(root);
	return 0;
}
