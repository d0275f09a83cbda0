#define _GNU_SOURCE
#include "kept.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"
#include "protocol.h"
#include "sys.h"

#define FOLDER BASE "/kept"

/* "/etc/hosts" of container 3: BASE/kept/3.:etc:hosts. */
static int kept_path(uint32_t container, const char *target, char *path, size_t size, struct failure *f)
{
	int start = snprintf(path, size, FOLDER "/%u.", container);
	int n = snprintf(path + start, size - (size_t)start, "%s", target);

	if (n > 200 || strchr(target, ':'))
		return fail(f, ERR_FILE, ENAMETOOLONG, "file '%.160s': init cannot keep a file of this name", target);
	for (char *p = path + start; (p = strchr(p, '/')); )
		*p = ':';
	return 0;
}

static int write_kept(const char *path, int flags, const struct file_spec *file, struct failure *f)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	bool written = fd >= 0 && write(fd, file->content, file->size) == (ssize_t)file->size &&
		       fchown(fd, file->uid, file->gid) == 0 && fchmod(fd, file->mode & 07777) == 0;

	if (!written)
		fail(f, errno == ENOENT ? ERR_NOT_FOUND : ERR_FILE, errno, "file '%.160s': %s", file->target, strerror(errno));
	if (fd >= 0)
		close(fd);
	return written ? 0 : -1;
}

int kept_make(uint32_t container, const struct file_spec *file, struct failure *f)
{
	char path[300];
	int tree;

	mkdir(FOLDER, 0700);
	if (kept_path(container, file->target, path, sizeof path, f) || write_kept(path, O_CREAT, file, f))
		return -1;
	tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? fail(f, ERR_FILE, errno, "file '%.160s': %s", file->target, strerror(errno)) : tree;
}

int kept_write(uint32_t container, const struct file_spec *file, struct failure *f)
{
	char path[300];

	if (kept_path(container, file->target, path, sizeof path, f))
		return -1;
	return write_kept(path, 0, file, f);
}

void kept_remove(uint32_t container)
{
	DIR *directory = opendir(FOLDER);
	struct dirent *entry;
	char prefix[16], path[300];

	snprintf(prefix, sizeof prefix, "%u.", container);
	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof path, FOLDER "/%s", entry->d_name);
		unlink(path);
	}
	if (directory)
		closedir(directory);
}
