/* Files of a container one at a time, for who has no program there. */
#define _GNU_SOURCE
#include "builtin.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys.h"

#define MAX_DEPTH 1024

static char buffer[65536];

/* A regular file, or -1: a FIFO or device would have us wait, or do more than writing does. */
static int open_regular(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	close(fd);
	return -1;
}

int file_read(const char *path)
{
	int fd = open_regular(path, O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		return missing(path);
	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		if (put(buffer, (size_t)n))
			return 0; /* the reader has enough */
	return n < 0 ? (failed(path), 1) : 0;
}

/* The directories above a path. */
static int make_parents(const char *path)
{
	char parent[PATH_MAX];
	char *slash;

	if (strlen(path) >= sizeof parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(parent, path);
	for (slash = parent + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(parent, 0777) && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

static int write_chunks(int fd, const char *path)
{
	uint32_t left;

	for (;;) {
		if (get(&left, sizeof left))
			return -1;
		if (left == 0)
			return 0;
		while (left) {
			size_t length = left < sizeof buffer ? left : sizeof buffer;

			if (get(buffer, length))
				return -1;
			for (size_t done = 0; done < length;) {
				ssize_t n = write(fd, buffer + done, length - done);

				if (n < 0)
					return failed(path);
				done += (size_t)n;
			}
			left -= (uint32_t)length;
		}
	}
}

int file_write(const char *path, const char *mode, bool append)
{
	int flags = O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC);
	int fd = open_regular(path, flags, 0666);
	int rc;

	if (fd < 0 && errno == ENOENT && make_parents(path) == 0)
		fd = open_regular(path, flags, 0666);
	if (fd < 0)
		return missing(path);
	if (*mode && fchmod(fd, (mode_t)strtoul(mode, NULL, 8) & 07777))
		return failed(path), 1;
	rc = write_chunks(fd, path);
	return close(fd) || rc ? 1 : 0;
}

int file_list(const char *path)
{
	DIR *stream = opendir(path);
	char target[PATH_MAX];
	struct dirent *entry;

	if (!stream)
		return missing(path);
	while ((errno = 0, entry = readdir(stream))) {
		struct stat st;
		ssize_t n = 0;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISLNK(st.st_mode) && (n = readlinkat(dirfd(stream), entry->d_name, target, sizeof target - 1)) < 0)
			continue;
		target[n] = '\0';
		if (put_record(entry->d_name, &st, target))
			return 0;
	}
	return errno ? (failed(path), 1) : 0;
}

/* As mkdir -p. */
int file_mkdir(const char *path, const char *mode)
{
	struct stat st;

	if (make_parents(path) || (mkdir(path, 0777) && errno != EEXIST))
		return missing(path);
	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return failed(path), 1;
	}
	return *mode && chmod(path, (mode_t)strtoul(mode, NULL, 8) & 07777) ? (failed(path), 1) : 0;
}

/* Names are looked up in directories that are open: what is replaced by a link meanwhile leads nowhere. */
static int remove_below(int dir, const char *name, unsigned depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *stream;
	int rc = 0;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return unlinkat(dir, name, 0) && errno != ENOENT ? failed(name) : 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : failed(name);
	if (depth == MAX_DEPTH || !(stream = fdopendir(fd))) {
		errno = depth == MAX_DEPTH ? ENAMETOOLONG : errno;
		close(fd);
		return failed(name);
	}
	while (!rc && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			rc = remove_below(fd, entry->d_name, depth + 1);
	closedir(stream);
	return rc ? rc : unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT ? failed(name) : 0;
}

int file_remove(const char *path, bool recursive)
{
	struct stat st;

	if (lstat(path, &st))
		return missing(path);
	if (recursive)
		return remove_below(AT_FDCWD, path, 0) ? 1 : 0;
	return (S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) ? missing(path) : 0;
}

int file_rename(const char *from, const char *to)
{
	return rename(from, to) ? missing(from) : 0;
}
