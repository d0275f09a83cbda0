/* Files of a container as a row of records, and back. What tar makes of them is the host's matter. */
#define _GNU_SOURCE
#include "builtin.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sys.h"

#define MAX_DEPTH 1024
#define MAX_LENGTH 65536

/* Little-endian, as this machine is. Behind it: path, link's target, content of a file. */
struct record {
	uint8_t type; /* f d l c b p s; 0: the end */
	uint8_t zero[3];
	uint32_t mode, uid, gid, major, minor;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns, path_length, link_length, zero2;
};

static char path[MAX_LENGTH];
static char target[PATH_MAX];
static char buffer[65536];

int failed(const char *what)
{
	fprintf(stderr, "%.512s: %m\n", what);
	return -1;
}

int put(const void *bytes, size_t length)
{
	for (const char *at = bytes; length;) {
		ssize_t n = write(STDOUT_FILENO, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1; /* nobody reads any more */
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

int put_record(const char *name, const struct stat *st, const char *link)
{
	struct record r = {
		.type = (uint8_t)type_of(st->st_mode), .mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid,
		.major = major(st->st_rdev), .minor = minor(st->st_rdev), .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
		.mtime = st->st_mtim.tv_sec, .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.path_length = (uint32_t)strlen(name), .link_length = (uint32_t)strlen(link),
	};

	return put(&r, sizeof r) || put(name, r.path_length) || put(link, r.link_length) ? -1 : 0;
}

/* As many bytes as its record has said, whatever becomes of the file meanwhile. */
static int put_content(int fd, uint64_t left)
{
	while (left) {
		size_t most = left < sizeof buffer ? (size_t)left : sizeof buffer;
		ssize_t n = read(fd, buffer, most);

		if (n <= 0) {
			memset(buffer, 0, most);
			n = (ssize_t)most;
		}
		if (put(buffer, (size_t)n))
			return -1;
		left -= (uint64_t)n;
	}
	return 0;
}

static int put_entry(int dir, const char *name, unsigned depth);

static int put_children(int fd, unsigned depth)
{
	size_t length = strlen(path);
	DIR *stream = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!stream) {
		close(fd);
		return failed(path);
	}
	while (!rc && (entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (depth == MAX_DEPTH || length + strlen(entry->d_name) + 2 > sizeof path) {
			errno = ENAMETOOLONG;
			rc = failed(path);
			break;
		}
		sprintf(path + length, "/%s", entry->d_name);
		rc = put_entry(dirfd(stream), entry->d_name, depth + 1);
		path[length] = '\0';
	}
	closedir(stream);
	return rc;
}

/* `path` is its name in the records. What goes meanwhile is left out. */
static int put_entry(int dir, const char *name, unsigned depth)
{
	struct stat st;
	ssize_t n = 0;
	int fd, rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT && depth ? 0 : failed(path);
	if (S_ISSOCK(st.st_mode))
		return 0; /* it is nothing without its process */
	if (S_ISLNK(st.st_mode) && (n = readlinkat(dir, name, target, sizeof target - 1)) < 0)
		return errno == ENOENT && depth ? 0 : failed(path);
	target[n] = '\0';
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return put_record(path, &st, target);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
	if (fd < 0 || fstat(fd, &st)) {
		rc = errno == ENOENT && depth ? 0 : failed(path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (S_ISDIR(st.st_mode))
		return put_record(path, &st, "") ? (close(fd), -1) : put_children(fd, depth);
	rc = put_record(path, &st, "") || put_content(fd, (uint64_t)(S_ISREG(st.st_mode) ? st.st_size : 0)) ? -1 : 0;
	close(fd);
	return rc;
}

int missing(const char *name)
{
	int status = errno == ENOENT || errno == ENOTDIR ? STATUS_MISSING : 1;

	failed(name);
	return status;
}

/* What is there, and, where that is a link, what it leads to. */
int transfer_stat(const char *name)
{
	struct stat st;
	ssize_t n = 0;

	if (lstat(name, &st))
		return missing(name);
	if (S_ISLNK(st.st_mode) && (n = readlink(name, target, sizeof target - 1)) < 0)
		return missing(name);
	target[n] = '\0';
	if (put_record(name, &st, target))
		return 1;
	return S_ISLNK(st.st_mode) && stat(name, &st) == 0 ? -put_record(name, &st, "") : 0;
}

/* The entry itself is called `as`, what is below it "AS/NAME". */
int transfer_out(const char *name, const char *as)
{
	static const struct record end;
	struct stat st;

	if (lstat(name, &st))
		return missing(name);
	snprintf(path, sizeof path, "%.255s", as);
	return put_entry(AT_FDCWD, name, 0) || put(&end, sizeof end) ? 1 : 0;
}

int get(void *bytes, size_t length)
{
	for (char *at = bytes; length;) {
		ssize_t n = read(STDIN_FILENO, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fprintf(stderr, "the files end too early\n");
			return -1;
		}
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int get_content(int fd, const char *name, uint64_t left)
{
	while (left) {
		size_t length = left < sizeof buffer ? (size_t)left : sizeof buffer;

		if (get(buffer, length))
			return -1;
		for (size_t done = 0; done < length;) {
			ssize_t n = write(fd, buffer + done, length - done);

			if (n < 0)
				return failed(name);
			done += (size_t)n;
		}
		left -= length;
	}
	return 0;
}

static int make_file(const struct record *r)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return failed(path);
	rc = get_content(fd, path, r->size);
	close(fd);
	return rc;
}

/* What is there already gives way, but a directory, to another kind of thing. */
static int make_entry(const struct record *r)
{
	static const mode_t kinds[] = { ['c'] = S_IFCHR, ['b'] = S_IFBLK, ['p'] = S_IFIFO };
	struct stat st;
	bool there = lstat(path, &st) == 0;

	if (r->type == 'd') {
		if (there && S_ISDIR(st.st_mode))
			return 0;
		/* A link to a directory stays, as with tar --keep-directory-symlink: what is below it goes there. */
		if (there && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return 0;
		errno = ENOTDIR;
		return (!there && mkdir(path, 0700) == 0) ? 0 : failed(path);
	}
	if (there && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return failed(path);
	}
	if (there && unlink(path))
		return failed(path);
	switch (r->type) {
	case 'f':
		return make_file(r);
	case 'l':
		return symlink(target, path) ? failed(path) : 0;
	case 'c':
	case 'b':
	case 'p':
		return mknod(path, kinds[r->type] | 0600, makedev(r->major, r->minor)) ? failed(path) : 0;
	default:
		errno = EINVAL;
		return failed(path);
	}
}

static int dress_entry(const struct record *r)
{
	const struct timespec times[2] = { { r->mtime, r->mtime_ns }, { r->mtime, r->mtime_ns } };

	if (lchown(path, r->uid, r->gid))
		return failed(path);
	if (r->type != 'l' && chmod(path, r->mode & 07777))
		return failed(path);
	utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

int transfer_in(const char *directory)
{
	struct record r;

	if (chdir(directory))
		return missing(directory);
	for (;;) {
		if (get(&r, sizeof r))
			return 1;
		if (r.type == 0)
			return 0;
		if (r.path_length == 0 || r.path_length >= PATH_MAX || r.link_length >= PATH_MAX) {
			fprintf(stderr, "a name is too long\n");
			return 1;
		}
		if (get(path, r.path_length) || get(target, r.link_length))
			return 1;
		path[r.path_length] = target[r.link_length] = '\0';
		if (make_entry(&r) || dress_entry(&r))
			return 1;
	}
}
