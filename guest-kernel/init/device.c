#define _GNU_SOURCE
#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "options.h"
#include "protocol.h"
#include "share.h"
#include "sys.h"

/* Linux, fs/ext4/ext4.h: not in the UAPI headers. The argument is a count of blocks. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

struct source {
	struct source *next;
	uint32_t kind;
	bool read_only, scratch;
	bool pending; /* a process is mounting it */
	char *name;
	char path[64];
};

static struct source *sources;
static unsigned source_number;

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	if (text[n - 1] == '\n')
		n--;
	text[n] = 0;
	return true;
}

/* In test mode DIR/devices/SERIAL is a link to the device. */
static bool find_test_device(const char *serial, char *path, uint32_t size)
{
	int n = snprintf(path, size, "%s/devices/%s", options.test_directory, serial);

	return n > 0 && (uint32_t)n < size && !strchr(serial, '/') && access(path, F_OK) == 0;
}

bool find_block_device(const char *serial, char *path, uint32_t size)
{
	DIR *directory;
	struct dirent *entry;
	bool found = false;

	if (options.test_directory)
		return find_test_device(serial, path, size);
	directory = opendir("/sys/block");
	while (directory && !found && (entry = readdir(directory))) {
		char file[PATH_MAX], text[64];
		unsigned major_number, minor_number;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "/sys/block/%s/serial", entry->d_name);
		/* virtio 1.2 §5.2.6: an identifier of 20 bytes, without a NUL when it fills them */
		if (!read_text(file, text, sizeof text) || strncmp(text, serial, 20) != 0)
			continue;
		snprintf(file, sizeof file, "/sys/block/%s/size", entry->d_name);
		/* capacity 0: a spare slot that nothing fills yet */
		if (!read_text(file, text, sizeof text) || !strcmp(text, "0"))
			continue;
		snprintf(file, sizeof file, "/sys/block/%s/dev", entry->d_name);
		if (!read_text(file, text, sizeof text) ||
		    sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
			continue;
		snprintf(path, size, BASE "/dev/%s", entry->d_name);
		found = mknod(path, S_IFBLK | 0600, makedev(major_number, minor_number)) == 0 || errno == EEXIST;
	}
	if (directory)
		closedir(directory);
	return found;
}

static struct source *find_source(uint32_t kind, const char *name)
{
	for (struct source *s = sources; s; s = s->next)
		if (s->kind == kind && !strcmp(s->name, name))
			return s;
	return NULL;
}

static struct source *add_source(uint32_t kind, const char *name, struct failure *f)
{
	struct source *s = calloc(1, sizeof *s);

	if (!s || !(s->name = strdup(name))) {
		free(s);
		fail(f, ERR_SYSTEM, ENOMEM, "no memory for a mount");
		return NULL;
	}
	s->kind = kind;
	snprintf(s->path, sizeof s->path, BASE "/source/%u", ++source_number);
	mkdir(s->path, 0700);
	s->next = sources;
	sources = s;
	return s;
}

static void drop_source(struct source *s)
{
	for (struct source **link = &sources; *link; link = &(*link)->next) {
		if (*link == s) {
			*link = s->next;
			break;
		}
	}
	rmdir(s->path);
	free(s->name);
	free(s);
}

static int mount_source(struct source *s, const char *device, const char *fstype, uint64_t flags,
			const char *data, struct failure *f)
{
	if (mount(device, s->path, fstype, (unsigned long)flags, data) == 0)
		return 0;
	fail(f, ERR_MOUNT, errno, "cannot mount '%.64s' as %.32s: %s", s->name, fstype, strerror(errno));
	drop_source(s);
	return -1;
}

static int mount_block(struct source *s, const struct mount_spec *m, const char *device, struct failure *f)
{
	/* What holds for the file system; the rest belongs to each container's own mount of it. */
	const uint64_t kept = MS_SYNCHRONOUS | MS_MANDLOCK | MS_DIRSYNC | MS_SILENT | MS_NOATIME | MS_LAZYTIME;

	return mount_source(s, device, m->fstype, (m->flags & kept) | (s->read_only ? MS_RDONLY : 0), m->data, f);
}

static int being_mounted(const char *name, struct failure *f)
{
	return fail(f, ERR_MOUNT, EBUSY, "'%.64s' is just being mounted", name);
}

/*
 * A share is mounted once, writable: which container may write to which of its exports is said by each
 * container's own mount of it, and by the device.
 */
int share_path(const char *tag, const char **path, struct failure *f)
{
	struct source *s = find_source(SOURCE_SHARE, tag);
	struct share_device d;

	if (!s) {
		if (!find_share(tag, &d))
			return fail(f, ERR_DEVICE, ENOENT, "there is no share with the tag '%.64s'", tag);
		s = add_source(SOURCE_SHARE, tag, f);
		if (!s || mount_source(s, d.device, d.fstype, d.flags, NULL, f))
			return -1;
	}
	*path = s->path;
	return 0;
}

int source_path(const struct mount_spec *m, bool read_only, const char **path, struct failure *f)
{
	static char volume[PATH_MAX];
	char device[PATH_MAX];
	struct source *s;

	if (m->kind == SOURCE_DIRECTORY) {
		*path = m->source;
		return 0;
	}
	if (m->kind == SOURCE_VOLUME) {
		if (strchr(m->source, '/') || m->source[0] == '.')
			return fail(f, ERR_INVALID, 0, "'%.64s' is not a volume's name", m->source);
		snprintf(volume, sizeof volume, BASE "/volume/%s", m->source);
		if (access(volume, F_OK))
			return fail(f, ERR_NOT_FOUND, 0, "there is no volume '%.64s'", m->source);
		*path = volume;
		return 0;
	}
	s = find_source(m->kind, m->source);
	if (s) {
		if (s->pending)
			return being_mounted(m->source, f);
		if (s->read_only && !read_only)
			return fail(f, ERR_MOUNT, EROFS, "'%.64s' is mounted read-only already", m->source);
		*path = s->path;
		return 0;
	}
	if (m->kind == SOURCE_SHARE)
		return share_path(m->source, path, f);
	if (!find_block_device(m->source, device, sizeof device))
		return fail(f, ERR_DEVICE, ENOENT, "there is no disk with the serial '%.64s'", m->source);
	s = add_source(m->kind, m->source, f);
	if (!s)
		return -1;
	s->read_only = read_only;
	if (mount_block(s, m, device, f))
		return -1;
	*path = s->path;
	return 0;
}

int source_begin(const struct mount_spec *m, struct source **s, struct failure *f)
{
	char device[PATH_MAX];
	const char *path;

	*s = NULL;
	if (m->kind == SOURCE_SHARE)
		return share_path(m->source, &path, f);
	if (m->kind != SOURCE_BLOCK || find_source(m->kind, m->source))
		return source_path(m, m->flags & MS_RDONLY, &path, f);
	if (!find_block_device(m->source, device, sizeof device))
		return fail(f, ERR_DEVICE, ENOENT, "there is no disk with the serial '%.64s'", m->source);
	*s = add_source(m->kind, m->source, f);
	if (!*s)
		return -1;
	(*s)->read_only = m->flags & MS_RDONLY;
	(*s)->pending = true;
	return 0;
}

int source_finish(const struct mount_spec *m, struct failure *f)
{
	struct source *s = find_source(m->kind, m->source);
	char device[PATH_MAX];

	if (!s || !s->pending)
		return 0;
	s->pending = false;
	if (!find_block_device(m->source, device, sizeof device))
		return fail(f, ERR_DEVICE, ENODEV, "the disk with the serial '%.64s' has gone", m->source);
	return mount_block(s, m, device, f);
}

void source_settle(struct source *s, bool done)
{
	s->pending = false;
	if (done)
		return;
	/* EINVAL: it was not mounted. What it was attached to has its own mount. */
	umount2(s->path, UMOUNT_NOFOLLOW);
	drop_source(s);
}

int source_open(const struct mount_spec *m, struct failure *f)
{
	const char *path;
	int root, inner;

	if (source_path(m, m->flags & MS_RDONLY, &path, f))
		return -1;
	root = open(path, O_PATH | O_CLOEXEC);
	inner = root >= 0 && m->subpath ? open_below(root, m->subpath) : root;
	if (inner < 0)
		fail(f, ERR_MOUNT, errno, "mount source '%.100s' of '%.100s': %s", m->source, m->target, strerror(errno));
	if (root >= 0 && inner != root)
		close(root);
	return inner;
}

/* ext4's count of blocks: struct ext4_super_block, s_blocks_count_lo and _hi. */
static uint64_t size_of(int disk)
{
	uint32_t low, high;

	if (pread(disk, &low, sizeof low, 1024 + 0x4) != sizeof low || pread(disk, &high, sizeof high, 1024 + 0x150) != sizeof high)
		return 0;
	return (uint64_t)high << 32 | low;
}

/* Grows a mounted ext4 to the size of its device. */
static int grow(const char *device, const char *path, struct failure *f)
{
	uint64_t bytes = 0, blocks;
	struct statfs fs;
	int disk = open(device, O_RDONLY | O_CLOEXEC);
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (disk < 0 || root < 0 || ioctl(disk, BLKGETSIZE64, &bytes) || fstatfs(root, &fs)) {
		rc = fail(f, ERR_MOUNT, errno, "cannot read the size of the scratch disk: %s", strerror(errno));
	} else {
		blocks = bytes / (uint64_t)fs.f_bsize;
		if (size_of(disk) != blocks && ioctl(root, EXT4_IOC_RESIZE_FS, &blocks))
			rc = fail(f, ERR_MOUNT, errno, "cannot grow the scratch disk to %llu bytes: %s",
				  (unsigned long long)bytes, strerror(errno));
	}
	if (disk >= 0)
		close(disk);
	if (root >= 0)
		close(root);
	return rc;
}

int scratch_path(const char *serial, const char **path, struct failure *f)
{
	char device[PATH_MAX];
	struct source *s = find_source(SOURCE_BLOCK, serial);

	if (s) {
		if (s->pending)
			return being_mounted(serial, f);
		*path = s->path;
		return 0;
	}
	if (!find_block_device(serial, device, sizeof device))
		return fail(f, ERR_DEVICE, ENOENT, "there is no scratch disk with the serial '%.64s'", serial);
	s = add_source(SOURCE_BLOCK, serial, f);
	if (!s)
		return -1;
	s->scratch = true;
	/* noinit_itable: writing a gigabyte of zeros for the inode tables of a sparse disk helps nobody */
	if (mount_source(s, device, "ext4", MS_NOATIME, "noinit_itable,discard", f))
		return -1;
	if (grow(device, s->path, f)) {
		umount2(s->path, 0);
		drop_source(s);
		return -1;
	}
	*path = s->path;
	return 0;
}

int volume_add(const char *name, const struct mount_spec *m, struct failure *f)
{
	char path[PATH_MAX];

	if (!*name || strchr(name, '/') || name[0] == '.' || strlen(name) > 200)
		return fail(f, ERR_INVALID, 0, "'%.64s' is not a volume's name", name);
	if (m->kind != SOURCE_NONE)
		return fail(f, ERR_UNSUPPORTED, 0, "a volume of kind %u; mount the source itself", m->kind);
	snprintf(path, sizeof path, BASE "/volume/%s", name);
	if (mkdir(path, 0700))
		return fail(f, errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM, errno, "volume '%.64s': %s", name,
			    strerror(errno));
	if (mount(m->fstype, path, m->fstype, (unsigned long)m->flags, m->data)) {
		fail(f, ERR_MOUNT, errno, "volume '%.64s': cannot mount %.32s: %s", name, m->fstype,
		     strerror(errno));
		rmdir(path);
		return -1;
	}
	return 0;
}

int volume_remove(const char *name, struct failure *f)
{
	char path[PATH_MAX];

	if (!*name || strchr(name, '/') || name[0] == '.')
		return fail(f, ERR_INVALID, 0, "'%.64s' is not a volume's name", name);
	snprintf(path, sizeof path, BASE "/volume/%s", name);
	if (umount2(path, UMOUNT_NOFOLLOW) || rmdir(path))
		return fail(f, ERR_MOUNT, errno, "volume '%.64s': %s", name, strerror(errno));
	return 0;
}

int source_remove(uint32_t kind, const char *name, struct failure *f)
{
	struct source *s = find_source(kind, name);

	if (!s)
		return 0;
	if (s->pending)
		return being_mounted(name, f);
	if (umount2(s->path, UMOUNT_NOFOLLOW))
		return fail(f, ERR_MOUNT, errno, "'%.64s' cannot be unmounted: %s", name, strerror(errno));
	drop_source(s);
	return 0;
}

int share_mount(const char *tag, struct failure *f)
{
	const char *path;

	return share_path(tag, &path, f);
}

int export_change(const char *tag, const char *name, bool add, struct failure *f)
{
	const char *path;
	int root, fd;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return fail(f, ERR_INVALID, 0, "'%.64s' is not the name of an export", name);
	if (!add && !find_source(SOURCE_SHARE, tag))
		return 0;
	if (share_path(tag, &path, f))
		return -1;
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail(f, ERR_MOUNT, errno, "share '%.64s': %s", tag, strerror(errno));
	fd = add ? open_below(root, name) : leave_below(root, name);
	if (fd < 0)
		fail(f, errno == ENOENT ? ERR_NOT_FOUND : ERR_MOUNT, errno, "export '%.64s' of share '%.64s': %s", name, tag,
		     strerror(errno));
	else if (add)
		close(fd);
	close(root);
	return fd < 0 ? -1 : 0;
}

void sources_unmount(void)
{
	for (struct source *s = sources; s; s = s->next)
		if (umount2(s->path, UMOUNT_NOFOLLOW))
			/* Busy: at least nothing is written after this. */
			mount(NULL, s->path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}
